//! What is too old goes, in steps so small that the writer's other work hardly waits.

use std::time::Duration;

use rusqlite::Connection;

use super::{Store, StoreError, query::first_id, sums::TOP_SPANS};

/// So many rows go in one step.
const STEP: i64 = 1_000;
/// So many pages go back to the file system in one step.
const PAGES: usize = 200;
/// Between two steps others write.
const PAUSE: Duration = Duration::from_millis(60);
/// So many names of a kind stay in a top-N table.
const TOP: i64 = 100;

/// How long things are kept, in days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Entries, and sums of less than a day.
    pub raw: u64,
    /// Sums of a day, and those of an hour.
    pub sums: u64,
}

impl Store {
    /// Removes all that is too old, step by step; how many rows that was.
    pub async fn prune(&self, keep: Keep, now: jiff::Timestamp) -> Result<usize, StoreError> {
        let mut removed = 0;
        loop {
            let step = self.written(move |connection| step(connection, keep, now)).await?;
            removed += step;
            if step == 0 {
                return Ok(removed);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// One step; 0 when nothing is left to do.
fn step(connection: &Connection, keep: Keep, now: jiff::Timestamp) -> rusqlite::Result<usize> {
    let before = |days: u64| {
        let seconds = i64::try_from(days).unwrap_or(i64::MAX).saturating_mul(86_400);
        now.as_second().saturating_sub(seconds)
    };
    let (raw, sums) = (before(keep.raw), before(keep.sums));
    let entries =
        "DELETE FROM entries WHERE id IN (SELECT id FROM entries WHERE id < ? ORDER BY id LIMIT ?)";
    let mut removed = connection.execute(entries, (first_id(raw), STEP))?;
    for (span, before) in [(300, raw), (3_600, sums), (86_400, sums)] {
        removed += connection.execute(
            "DELETE FROM sums WHERE (span, at, key, provider, model, client_type) IN (
                SELECT span, at, key, provider, model, client_type FROM sums
                WHERE span = ? AND at < ? ORDER BY at LIMIT ?)",
            (span, before, STEP),
        )?;
    }
    for (span, before) in [(3_600, raw), (86_400, sums)] {
        removed += connection.execute(
            "DELETE FROM tops WHERE (span, at, kind, name) IN (
                SELECT span, at, kind, name FROM tops WHERE span = ? AND at < ? ORDER BY at LIMIT ?)",
            (span, before, STEP),
        )?;
    }
    removed += cut_tops(connection, now.as_second())?;
    if removed > 0 {
        let mut vacuum = connection.prepare(&format!("PRAGMA incremental_vacuum({PAGES})"))?;
        let mut rows = vacuum.query([])?;
        while rows.next()?.is_some() {}
    }
    Ok(removed)
}

/// Keeps the first names of each kind in the span that runs and in the one before; of those that are
/// older, this was done.
fn cut_tops(connection: &Connection, now: i64) -> rusqlite::Result<usize> {
    let mut removed = 0;
    for span in TOP_SPANS {
        let running = now - now.rem_euclid(span);
        // The one that runs may hold more, so that a name that is only beginning is not cut again and again.
        for (at, most) in [(running, TOP * 20), (running - span, TOP)] {
            for kind in [0, 1] {
                removed += connection.execute(
                    "DELETE FROM tops WHERE span = ?1 AND at = ?2 AND kind = ?3 AND name IN (
                        SELECT name FROM tops WHERE span = ?1 AND at = ?2 AND kind = ?3
                        ORDER BY requests DESC, name LIMIT ?4 OFFSET ?5)",
                    (span, at, kind, STEP, most),
                )?;
            }
        }
    }
    Ok(removed)
}
