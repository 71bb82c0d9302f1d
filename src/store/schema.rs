//! The database's schema by number; each is applied once, in order, and never changed afterwards.

use rusqlite::{Connection, ffi};

const MIGRATIONS: [&str; 3] = [
    include_str!("schema/1_entries.sql"),
    include_str!("schema/2_spending.sql"),
    include_str!("schema/3_conversations.sql"),
];

/// Brings a database to the newest schema.
pub(super) fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    let at: u32 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let at = at as usize;
    if at > MIGRATIONS.len() {
        let what = format!(
            "a newer torod made it: its schema is {at}, and {} is known here",
            MIGRATIONS.len()
        );
        return Err(rusqlite::Error::SqliteFailure(
            ffi::Error::new(ffi::SQLITE_SCHEMA),
            Some(what),
        ));
    }
    for (migration, number) in MIGRATIONS.iter().zip(1_u32..).skip(at) {
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "user_version", number)?;
    }
    transaction.commit()
}
