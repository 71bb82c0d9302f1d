//! One batch, one transaction: entries with their sums, and jobs, of which a bad one spoils no other.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use rusqlite::Connection;

use super::{
    Entry, entries,
    names::Names,
    open::{Place, is_trouble},
    schema,
    sums::{self, Gathered},
};

pub(super) type Job = Box<dyn Fn(&Connection) -> rusqlite::Result<()> + Send>;
/// Told whether the transaction was committed.
pub(super) type Answer = Box<dyn FnOnce(bool) + Send>;
type Once = Box<dyn FnOnce(&Connection) -> Option<Answer> + Send>;

/// What waits to be written.
pub(super) enum Item {
    Entry(Arc<Entry>, Option<Job>),
    Job(Job),
    /// Somebody waits for it; none once it was done.
    Once(Option<Once>),
}

impl Item {
    pub(super) fn once(job: impl FnOnce(&Connection) -> Option<Answer> + Send + 'static) -> Self {
        Self::Once(Some(Box::new(job)))
    }

    /// Whether it can be done again when its batch failed.
    pub(super) fn can_wait(&self) -> bool {
        !matches!(self, Self::Once(None))
    }
}

/// The one connection that writes.
#[derive(Debug)]
pub(super) struct Writer {
    connection: Option<Connection>,
    names: Names,
}

impl Writer {
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection: Some(connection), names: Names::default() }
    }

    pub(super) fn disconnect(&mut self) {
        self.connection = None;
    }

    /// All of the batch, or on a failure of the disk none of it.
    pub(super) fn write(&mut self, place: &Place, batch: &mut [Item]) -> rusqlite::Result<()> {
        let mut answers = Vec::new();
        let written = self.transact(place, batch, &mut answers);
        if written.is_err() {
            self.names = Names::default();
            // A file whose fsync failed lies about what it holds until it is opened anew. What is in
            // memory alone is lost with its connection.
            if matches!(place, Place::Disk(_)) {
                self.disconnect();
            }
        }
        for answer in answers {
            answer(written.is_ok());
        }
        written
    }

    fn transact(
        &mut self,
        place: &Place,
        batch: &mut [Item],
        answers: &mut Vec<Answer>,
    ) -> rusqlite::Result<()> {
        if self.connection.is_none() {
            let mut fresh = place.connect()?;
            schema::migrate(&mut fresh)?;
            self.connection = Some(fresh);
        }
        let Some(connection) = &mut self.connection else { return Ok(()) };
        let transaction = connection.transaction()?;
        let mut gathered = Gathered::default();
        for item in batch {
            match item {
                Item::Entry(entry, job) => {
                    let added = entries::insert(&transaction, &mut self.names, entry);
                    if !passable(added)?.unwrap_or(false) {
                        continue; // it is there already
                    }
                    gathered.add(entry);
                    if let Some(job) = job {
                        apart(&transaction, || job(&transaction).map(Some))?;
                    }
                }
                Item::Job(job) => {
                    apart(&transaction, || job(&transaction).map(Some))?;
                }
                Item::Once(job) => {
                    let Some(job) = job.take() else { continue };
                    answers.extend(apart(&transaction, || Ok(job(&transaction)))?);
                }
            }
        }
        sums::write(&transaction, &mut self.names, &gathered)?;
        transaction.commit()
    }
}

/// What a statement came to; none when only it was wrong.
fn passable<T>(result: rusqlite::Result<T>) -> rusqlite::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if is_trouble(&error) => Err(error),
        Err(error) => {
            tracing::error!(%error, "something was not written to the state database");
            Ok(None)
        }
    }
}

/// Does one job so that what it did is undone when it fails or panics, and nothing else is.
fn apart<T>(
    connection: &Connection,
    job: impl FnOnce() -> rusqlite::Result<Option<T>>,
) -> rusqlite::Result<Option<T>> {
    connection.prepare_cached("SAVEPOINT job")?.execute([])?;
    let done = catch_unwind(AssertUnwindSafe(job)).unwrap_or_else(|_| {
        tracing::error!("a job of the state database panicked");
        Ok(None)
    });
    let done = passable(done)?.flatten();
    if done.is_none() {
        connection.prepare_cached("ROLLBACK TO job")?.execute([])?;
    }
    connection.prepare_cached("RELEASE job")?.execute([])?;
    Ok(done)
}
