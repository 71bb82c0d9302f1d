//! The state database: one writer that batches, readers on connections of their own.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};
use tokio::sync::{Notify, oneshot};

use super::schema;

/// What comes within this goes into one transaction.
const GATHER: Duration = Duration::from_millis(50);

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the state database failed")]
    Sqlite(#[from] rusqlite::Error),
    #[error("the state database is closing")]
    Closing,
}

type Job = Box<dyn FnOnce(&Connection) -> rusqlite::Result<()> + Send>;

/// A cheap handle on the state database.
#[derive(Debug, Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    path: PathBuf,
    queue: Mutex<Vec<Job>>,
    filled: Notify,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the database of a state directory, and brings it to the newest schema.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let mut connection = connect(path)?;
        schema::migrate(&mut connection)?;
        Ok(Self(Arc::new(Inner {
            path: path.to_owned(),
            queue: Mutex::default(),
            filled: Notify::new(),
        })))
    }

    /// Does this in the writer's next transaction, together with what else came; nobody waits.
    pub fn write(&self, job: impl FnOnce(&Connection) -> rusqlite::Result<()> + Send + 'static) {
        self.queue().push(Box::new(job));
        self.0.filled.notify_one();
    }

    /// The same, and waits until it is on disk.
    pub async fn written<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (done, answer) = oneshot::channel();
        self.write(move |connection| {
            let _ = done.send(job(connection)?);
            Ok(())
        });
        answer.await.map_err(|_| StoreError::Closing)
    }

    /// Reads on a connection of its own: a slow reader holds up nobody.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let path = self.0.path.clone();
        let read = tokio::task::spawn_blocking(move || Ok(read(&connect_reading(&path)?)?));
        read.await.map_err(|_| StoreError::Closing)?
    }

    /// The one writer; ends never.
    pub async fn keep_writing(self) {
        loop {
            self.0.filled.notified().await;
            tokio::time::sleep(GATHER).await;
            self.flush().await;
        }
    }

    /// Writes what is queued now.
    pub async fn flush(&self) {
        let (path, jobs) = (self.0.path.clone(), std::mem::take(&mut *self.queue()));
        let written = tokio::task::spawn_blocking(move || {
            let mut connection = connect(&path)?;
            let transaction = connection.transaction()?;
            jobs.into_iter().try_for_each(|job| job(&transaction))?;
            transaction.commit()
        });
        if let Ok(Err(error)) = written.await {
            tracing::error!(%error, "the state database was not written");
        }
    }

    fn queue(&self) -> MutexGuard<'_, Vec<Job>> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.busy_timeout(Duration::from_secs(5))?;
    Ok(connection)
}

fn connect_reading(path: &Path) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
}
