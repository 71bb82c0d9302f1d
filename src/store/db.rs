//! The state database: one writer that batches, readers on connections of their own.
//!
//! What is to be written waits in a queue in memory, and goes to disk within 50 ms, in transactions
//! of up to 1,000 items. When the disk fails the queue is what survives: it is tried again every 5 s,
//! and the oldest go first when it is full. No request waits for any of this.

use std::{
    collections::VecDeque,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rusqlite::Connection;
use tokio::sync::{Notify, Semaphore, oneshot};

use super::{
    Entry,
    open::{self, Place, is_damage},
    writer::{Answer, Item, Writer},
};

/// What comes within this goes into one transaction.
const GATHER: Duration = Duration::from_millis(50);
/// A transaction of so many is large enough to be worth its cost.
const BATCH: usize = 1_000;
/// So many wait while the disk fails.
const MAX_QUEUED: usize = 100_000;
const RETRY: Duration = Duration::from_secs(5);
/// More reads at once wait for each other, so that the writer finds a thread.
const READERS: usize = 8;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the state database failed")]
    Sqlite(#[from] rusqlite::Error),
    #[error("the state database cannot be written now")]
    Unwritten,
    #[error("the state database is closing")]
    Closing,
}

/// How the database is, for whoever asks whether torod is well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Condition {
    /// `ok`; `memory` when nothing of it survives the process; `failing` when the disk takes nothing.
    pub state: &'static str,
    /// What waits to be written.
    pub queued: usize,
    /// What was lost because too much waited.
    pub dropped: u64,
}

/// A cheap handle on the state database.
#[derive(Debug, Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    place: Place,
    queue: Mutex<Queue>,
    filled: Notify,
    full: Notify,
    writer: Mutex<Writer>,
    readers: Semaphore,
}

#[derive(Default)]
struct Queue {
    items: VecDeque<Item>,
    dropped: u64,
    failing: bool,
}

impl Queue {
    fn push(&mut self, item: Item) {
        self.items.push_back(item);
        self.trim();
    }

    /// A batch that was not written goes back to where it was.
    fn put_back(&mut self, batch: Vec<Item>) {
        for item in batch.into_iter().rev().filter(Item::can_wait) {
            self.items.push_front(item);
        }
        self.trim();
    }

    fn trim(&mut self) {
        let over = self.items.len().saturating_sub(MAX_QUEUED);
        self.items.drain(..over);
        self.dropped += over as u64;
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the database of a state directory, and brings it to the newest schema. What cannot be
    /// used is said in the log, and replaced.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let (place, connection) = open::open(path)?;
        Ok(Self(Arc::new(Inner {
            place,
            queue: Mutex::default(),
            filled: Notify::new(),
            full: Notify::new(),
            writer: Mutex::new(Writer::new(connection)),
            readers: Semaphore::new(READERS),
        })))
    }

    /// Writes an entry and its sums.
    pub fn book(&self, entry: Arc<Entry>) {
        self.push(Item::Entry(entry, None));
    }

    /// The same, and does this in the same transaction, once for each entry.
    pub fn book_and(
        &self,
        entry: Arc<Entry>,
        job: impl Fn(&Connection) -> rusqlite::Result<()> + Send + 'static,
    ) {
        self.push(Item::Entry(entry, Some(Box::new(job))));
    }

    /// Does this in the writer's next transaction, together with what else came; nobody waits. It
    /// may be called again when the disk failed: what was not committed was not done.
    pub fn write(&self, job: impl Fn(&Connection) -> rusqlite::Result<()> + Send + 'static) {
        self.push(Item::Job(Box::new(job)));
    }

    /// The same, and waits until it is committed.
    pub async fn written<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (done, answer) = oneshot::channel();
        self.push(Item::once(move |connection| match job(connection) {
            Ok(value) => Some(Box::new(move |committed| {
                let _ = done.send(if committed { Ok(value) } else { Err(StoreError::Unwritten) });
            }) as Answer),
            Err(error) => {
                let _ = done.send(Err(error.into()));
                None
            }
        }));
        answer.await.map_err(|_| StoreError::Closing)?
    }

    /// Reads on a connection of its own: a slow reader holds up nobody.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let inner = Arc::clone(&self.0);
        let _turn = self.0.readers.acquire().await.map_err(|_| StoreError::Closing)?;
        let read = move || Ok(read(&inner.place.connect_reading()?)?);
        tokio::task::spawn_blocking(read).await.map_err(|_| StoreError::Closing)?
    }

    /// The one writer; ends never.
    pub async fn keep_writing(self) {
        loop {
            self.0.filled.notified().await;
            let _ = tokio::time::timeout(GATHER, self.0.full.notified()).await;
            while !self.flush().await {
                tokio::time::sleep(RETRY).await;
            }
        }
    }

    /// Writes what is queued now; whether all of it is on disk.
    pub async fn flush(&self) -> bool {
        let inner = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || inner.flush()).await.unwrap_or(false)
    }

    pub fn condition(&self) -> Condition {
        let queue = self.0.queue();
        let state = match &self.0.place {
            _ if queue.failing => "failing",
            Place::Memory(_) => "memory",
            Place::Disk(_) => "ok",
        };
        Condition { state, queued: queue.items.len(), dropped: queue.dropped }
    }

    fn push(&self, item: Item) {
        let mut queue = self.0.queue();
        queue.push(item);
        let count = queue.items.len();
        drop(queue);
        self.0.filled.notify_one();
        if count == BATCH {
            self.0.full.notify_one();
        }
    }
}

impl Inner {
    /// Whether all that was queued is on disk.
    fn flush(&self) -> bool {
        // What a batch left half done is undone before the next.
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut moved = false;
        loop {
            let mut batch: Vec<Item> = {
                let mut queue = self.queue();
                let count = queue.items.len().min(BATCH);
                queue.items.drain(..count).collect()
            };
            if batch.is_empty() {
                return true;
            }
            let written = writer.write(&self.place, &mut batch);
            let failed_before = {
                let mut queue = self.queue();
                if written.is_err() {
                    queue.put_back(batch);
                }
                std::mem::replace(&mut queue.failing, written.is_err())
            };
            // Said without the queue's lock: a line of the log may itself be on its way here.
            let Err(error) = written else {
                if failed_before {
                    tracing::info!("the state database is written again");
                }
                continue;
            };
            if !failed_before {
                tracing::error!(
                    %error,
                    "the state database cannot be written: torod serves on and keeps up to {MAX_QUEUED} entries in memory"
                );
            }
            if let (true, Place::Disk(path)) = (is_damage(&error), &self.place) {
                // Without its connection nothing holds the damaged file.
                writer.disconnect();
                if !moved && open::set_aside(path, &error).is_ok() {
                    moved = true;
                    continue;
                }
            }
            return false;
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
