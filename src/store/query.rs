//! Which entries there are: by whom, when, what; a page at a time, the newest first.

use rusqlite::{Connection, ToSql};

use super::{
    Store, StoreError,
    entries::{columns, read},
};
use crate::api::UsageRow;

/// Whose entries.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Owner {
    /// All; for admins.
    #[default]
    Anybody,
    /// Those of this key, or of callers without one. Whose they are is a condition of the query, so
    /// that no other parameter can widen it.
    Key(Option<String>),
}

/// Which entries are wanted; what is none is not asked for.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub owner: Owner,
    /// Seconds since 1970; from this on, and before that.
    pub from: Option<i64>,
    pub to: Option<i64>,
    pub key: Option<String>,
    pub provider: Option<String>,
    /// As it was asked for, or as the provider knows it.
    pub model: Option<String>,
    pub outcome: Option<String>,
    pub status: Option<u16>,
    pub client_type: Option<String>,
    pub tag: Option<String>,
    pub conversation: Option<String>,
    pub request_id: Option<String>,
    /// Older than this entry.
    pub before: Option<uuid::Uuid>,
}

impl Store {
    /// The newest entries of a filter, at most so many.
    pub async fn entries(&self, filter: Filter, limit: usize) -> Result<Vec<UsageRow>, StoreError> {
        self.read(move |connection| entries(connection, &filter, limit)).await
    }
}

/// The smallest id of a second: the first 48 bits of an id are its milliseconds.
pub(super) fn first_id(second: i64) -> Vec<u8> {
    let millis = u64::try_from(second).unwrap_or(0).saturating_mul(1000).min((1 << 48) - 1);
    let mut id = vec![0; 16];
    id[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
    id
}

fn entries(
    connection: &Connection,
    filter: &Filter,
    limit: usize,
) -> rusqlite::Result<Vec<UsageRow>> {
    let mut conditions: Vec<&str> = Vec::new();
    let mut values: Vec<Box<dyn ToSql>> = Vec::new();
    let mut add = |condition: &'static str, value: Box<dyn ToSql>| {
        conditions.push(condition);
        values.push(value);
    };
    if let Owner::Key(key) = &filter.owner {
        match key {
            Some(key) => add("key = (SELECT id FROM names WHERE name = ?)", Box::new(key.clone())),
            None => add("key = ?", Box::new(0)),
        }
    }
    for (condition, value) in [
        ("key = (SELECT id FROM names WHERE name = ?)", &filter.key),
        ("provider = (SELECT id FROM names WHERE name = ?)", &filter.provider),
        ("? IN (requested_model, upstream_model)", &filter.model),
        ("outcome = ?", &filter.outcome),
        ("client_type = (SELECT id FROM names WHERE name = ?)", &filter.client_type),
        ("EXISTS (SELECT 1 FROM json_each(e.tags) WHERE value = ?)", &filter.tag),
        ("conversation = ?", &filter.conversation),
        ("request_id = ?", &filter.request_id),
    ] {
        if let Some(value) = value {
            add(condition, Box::new(value.clone()));
        }
    }
    if let Some(status) = filter.status {
        add("status = ?", Box::new(status));
    }
    if let Some(from) = filter.from {
        add("id >= ?", Box::new(first_id(from)));
    }
    if let Some(to) = filter.to {
        add("id < ?", Box::new(first_id(to)));
    }
    if let Some(before) = filter.before {
        add("id < ?", Box::new(before.as_bytes().to_vec()));
    }
    let conditions = if conditions.is_empty() { "1" } else { &conditions.join(" AND ") };
    let sql = format!(
        "SELECT {} FROM entries e WHERE {conditions} ORDER BY id DESC LIMIT {limit}",
        columns()
    );
    let mut statement = connection.prepare(&sql)?;
    let values: Vec<&dyn ToSql> = values.iter().map(AsRef::as_ref).collect();
    statement.query_map(&*values, read)?.collect()
}
