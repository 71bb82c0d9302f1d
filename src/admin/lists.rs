//! Virtual models and prices: entries of the file, as it has them.

use http::StatusCode;
use serde_json::{Map, Value};

use super::{
    answer::{Ask, between, ok, reply},
    disk,
    form::{self, required},
    write::{self, To},
};
use crate::{
    config::{
        edit::{Edit, Kind},
        mask,
    },
    door::{Answer, Refusal},
};

/// One of the lists.
#[derive(Debug, Clone, Copy)]
struct List {
    kind: Kind,
    path: &'static str,
}

const MODELS: List = List { kind: Kind::Model, path: "/admin/api/virtual-models" };
const PRICES: List = List { kind: Kind::Price, path: "/admin/api/price-overrides" };

macro_rules! handlers {
    ($list:expr, $all:ident, $one:ident, $create:ident, $change:ident, $remove:ident) => {
        pub(super) async fn $all(ask: Ask) -> Answer {
            $list.all(&ask).await
        }
        pub(super) async fn $one(ask: Ask) -> Answer {
            $list.one(&ask).await
        }
        pub(super) async fn $create(ask: Ask) -> Answer {
            $list.create(ask).await
        }
        pub(super) async fn $change(ask: Ask) -> Answer {
            $list.change(ask).await
        }
        pub(super) async fn $remove(ask: Ask) -> Answer {
            $list.remove(&ask).await
        }
    };
}

handlers!(MODELS, models, model, create_model, change_model, remove_model);
handlers!(PRICES, prices, price, create_price, change_price, remove_price);

impl List {
    fn name(self, ask: &Ask) -> Result<String, Refusal> {
        between(ask, &format!("{}/", self.path), "")
    }

    fn row(self, etag: &str, values: Map<String, Value>) -> Value {
        let mut row = mask::value(disk::words(self.kind).0, values.into());
        if let Some(row) = row.as_object_mut() {
            row.insert("etag".to_owned(), etag.into());
        }
        row
    }

    async fn all(self, ask: &Ask) -> Answer {
        let now = disk::read(&ask.app).await?;
        let rows = disk::entries(&now.text, self.kind).into_iter();
        let rows: Vec<_> = rows.map(|(entry, values)| self.row(&entry.etag, values)).collect();
        ok(&rows, &now.revision.to_string())
    }

    async fn one(self, ask: &Ask) -> Answer {
        let name = self.name(ask)?;
        let now = disk::read(&ask.app).await?;
        let found = disk::entry(&now.text, self.kind, &name);
        let (entry, values) = found.ok_or_else(|| disk::no_entry(self.kind, &name))?;
        ok(&self.row(&entry.etag, values), &entry.etag)
    }

    async fn create(self, ask: Ask) -> Answer {
        let (list, id, _) = disk::words(self.kind);
        let mut values = form::keys(&ask, list, &[])?;
        let name = form::take_text(&mut values, id)?.ok_or_else(|| required(id))?;
        values.retain(|_, it| !it.is_null());
        values.insert(id.to_owned(), name.clone().into());
        let edit = Edit::Add { kind: self.kind, values };
        let write = write::edit(&ask, To::File, |_| Ok(vec![edit.clone()])).await?;
        let tag = write.tag(To::Entry(self.kind, &name));
        reply(write.created(), &write.told(&ask.app), &tag)
    }

    async fn change(self, ask: Ask) -> Answer {
        let (list, id, _) = disk::words(self.kind);
        let name = self.name(&ask)?;
        let mut values = form::keys(&ask, list, &[])?;
        let renamed = form::take_text(&mut values, id)?.filter(|it| *it != name);
        let to = To::Entry(self.kind, &name);
        let write = write::edit(&ask, to, |text| {
            disk::entry(text, self.kind, &name).ok_or_else(|| disk::no_entry(self.kind, &name))?;
            Ok(changed(self.kind, &name, &values, renamed.as_deref()))
        })
        .await?;
        let name = renamed.as_deref().unwrap_or(&name);
        let tag = write.tag(To::Entry(self.kind, name));
        reply(StatusCode::OK, &write.told(&ask.app), &tag)
    }

    async fn remove(self, ask: &Ask) -> Answer {
        let name = self.name(ask)?;
        let edit = Edit::Remove { kind: self.kind, name: name.clone() };
        let write = write::edit(ask, To::Entry(self.kind, &name), |text| {
            disk::entry(text, self.kind, &name).ok_or_else(|| disk::no_entry(self.kind, &name))?;
            Ok(vec![edit.clone()])
        })
        .await?;
        write.answer(&ask.app, To::File)
    }
}

/// New values, then a new name.
pub(super) fn changed(
    kind: Kind,
    name: &str,
    values: &Map<String, Value>,
    renamed: Option<&str>,
) -> Vec<Edit> {
    let name = || name.to_owned();
    let change = Edit::Change { kind, name: name(), values: values.clone() };
    let rename = renamed.map(|it| Edit::Rename { kind, name: name(), to: it.to_owned() });
    (!values.is_empty()).then_some(change).into_iter().chain(rename).collect()
}
