//! Values by dotted paths: settings, entries, and keys of entries.

use serde_json::{Map, Value as Json};

use super::{
    EditError, Kind, Splice, entry,
    known::{self, Place, place},
    merge::merge,
    names::find,
    splice::in_turn,
    tree::{Doc, Node, Step, at, root},
};

pub(super) fn get(doc: &Doc<'_>, path: &str) -> Result<Option<Json>, EditError> {
    let steps = match place(path)? {
        Place::Setting(steps) => steps,
        Place::List(kind) => vec![Step::from(kind.list())],
        Place::Entry(kind, name, rest) => match find(doc, kind, &name) {
            Ok(index) => [kind.entry(index), rest].concat(),
            Err(_) => return Ok(None),
        },
    };
    Ok(at(doc, &steps).map(Node::json))
}

pub(super) fn set(doc: &Doc<'_>, path: &str, value: &Json) -> Result<Vec<Splice>, EditError> {
    match place(path)? {
        Place::Setting(steps) => {
            let values = nested(&steps, value.clone());
            known::check(&[], &values)?;
            in_turn(doc, &merge(root(doc), &[], &Json::Object(values)))
        }
        Place::List(kind) => Err(whole_list(kind)),
        Place::Entry(kind, name, rest) if rest.is_empty() => whole_entry(doc, kind, &name, value),
        Place::Entry(kind, name, rest) => {
            entry::change(doc, kind, &name, &nested(&rest, value.clone()))
        }
    }
}

pub(super) fn unset(doc: &Doc<'_>, path: &str) -> Result<Vec<Splice>, EditError> {
    let place = place(path)?;
    if let Place::Entry(kind, name, _) = &place {
        find(doc, *kind, name)?;
    }
    if get(doc, path)?.is_none() {
        return Err(EditError::NoKey(path.to_owned()));
    }
    match place {
        Place::List(kind) => Err(whole_list(kind)),
        Place::Entry(kind, name, rest) if rest.is_empty() => entry::remove(doc, kind, &name),
        _ => set(doc, path, &Json::Null),
    }
}

fn whole_list(kind: Kind) -> EditError {
    let list = kind.list();
    EditError::Value(format!("`{list}` is changed by its entries, as `{list}.NAME`"))
}

/// An entry that is there changes, one that is not is new.
fn whole_entry(
    doc: &Doc<'_>,
    kind: Kind,
    name: &str,
    value: &Json,
) -> Result<Vec<Splice>, EditError> {
    match value {
        Json::Null => entry::remove(doc, kind, name),
        Json::Object(values) if find(doc, kind, name).is_ok() => {
            entry::change(doc, kind, name, values)
        }
        Json::Object(values) => {
            let mut values = values.clone();
            let given = values.entry(kind.name_key()).or_insert_with(|| name.into());
            if given.as_str().map(str::trim) != Some(name.trim()) {
                let message = format!("`{}` is not the name in the path", kind.name_key());
                return Err(EditError::Value(message));
            }
            entry::add(doc, kind, &values)
        }
        _ => Err(EditError::Value(format!("a {} is a table of keys", kind.word()))),
    }
}

fn nested(path: &[Step], value: Json) -> Map<String, Json> {
    let value = path.iter().rev().fold(value, |value, step| match step {
        Step::Key(key) => Json::Object(Map::from_iter([(key.clone(), value)])),
        Step::At(_) => value,
    });
    if let Json::Object(map) = value { map } else { Map::new() }
}
