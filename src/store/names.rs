//! Names as numbers: an entry and a sum hold a few of them, and most of them again and again.

use std::{collections::HashMap, sync::Arc};

use rusqlite::Connection;

/// So many are remembered; a caller can make up as many models as it likes.
const KEPT: usize = 10_000;

/// The numbers of names that were written.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<Arc<str>, i64>);

impl Names {
    /// The number of a name, new or not. No name is 0.
    pub(super) fn number(&mut self, connection: &Connection, name: &str) -> rusqlite::Result<i64> {
        if name.is_empty() {
            return Ok(0);
        }
        if let Some(number) = self.0.get(name) {
            return Ok(*number);
        }
        let mut statement = connection.prepare_cached(
            "INSERT INTO names (name) VALUES (?) ON CONFLICT DO UPDATE SET name = name RETURNING id",
        )?;
        let number = statement.query_row([name], |row| row.get(0))?;
        if self.0.len() >= KEPT {
            self.0.clear();
        }
        self.0.insert(name.into(), number);
        Ok(number)
    }
}
