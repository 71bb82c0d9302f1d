//! The ledger: one entry for each admitted request, and the totals of all of them. The state database
//! keeps every entry; the last ones and the totals since the start are here as well.

use std::{
    collections::VecDeque,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::Store;
use crate::{
    api::Outcomes,
    base::{Usage, Usd},
    llm::Protocol,
};

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Ok,
    /// The client hung up before the end.
    ClientGone,
    /// The provider could not be reached, failed, or died before the end.
    UpstreamBroke,
    /// 403, 404, 429 and what else the provider or torod refuses.
    Refused,
    /// Ok, but not by the first target.
    FailedOver,
    /// A bug of ours.
    Panicked,
}

impl Outcome {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::ClientGone => "client_gone",
            Self::UpstreamBroke => "upstream_broke",
            Self::Refused => "refused",
            Self::FailedOver => "failed_over",
            Self::Panicked => "panicked",
        }
    }
}

/// One booked request.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Ordered by time.
    pub id: uuid::Uuid,
    pub request_id: Arc<str>,
    pub at: jiff::Timestamp,
    /// The config under which it ran.
    pub generation: u64,
    /// None for a caller that needs no key.
    pub key_id: Option<Arc<str>>,
    pub key_name: Option<Arc<str>>,
    pub parent: Option<Arc<str>>,
    /// None when no provider was asked.
    pub provider: Option<Arc<str>>,
    pub requested_model: Box<str>,
    pub upstream_model: Option<Box<str>>,
    pub protocol: Protocol,
    pub stream: bool,
    /// What the client got; 499 when it was gone before anything could be sent.
    pub status: u16,
    pub outcome: Outcome,
    pub attempts: u8,
    pub usage: Option<Usage>,
    /// The usage is a guess.
    pub estimated: bool,
    /// Until the first byte of the reply.
    pub ttfb: Option<Duration>,
    pub duration: Duration,
    /// None while the price is unknown; never 0 for unknown.
    pub cost: Option<Usd>,
    /// Where the price came from, with its version.
    pub price_source: Option<Arc<str>>,
    /// What the provider says that it cost.
    pub reported_cost: Option<Usd>,
    /// The provider's own time for the prompt, and for the answer.
    pub prompt_time: Option<Duration>,
    pub generation_time: Option<Duration>,
    /// What the user agent is: `openai-python`, `curl`, `browser` ...
    pub client_type: &'static str,
    pub conversation: Option<Arc<str>>,
    /// Of the header `x-torod-tag`.
    pub tags: Vec<Box<str>>,
    pub user_agent: Option<Box<str>>,
    pub client_ip: Option<IpAddr>,
}

/// Sums over all entries since the start.
#[derive(Debug, Clone, Copy, Default)]
pub struct Totals {
    pub requests: u64,
    pub usage: Usage,
    pub estimated: u64,
    pub duration: Duration,
    pub outcomes: Outcomes,
}

/// So many entries are kept in memory.
const KEPT: usize = 1_000;

#[derive(Debug, Default)]
struct Book {
    totals: Totals,
    entries: VecDeque<Arc<Entry>>,
}

/// A cheap handle; nothing waits while it is locked.
#[derive(Debug, Clone)]
pub struct Ledger {
    book: Arc<Mutex<Book>>,
    store: Store,
}

impl Ledger {
    pub fn new(store: Store) -> Self {
        Self { book: Arc::default(), store }
    }

    /// Counts an entry, and gives it to the writer; nobody waits for the disk.
    pub fn book(&self, entry: Entry) {
        let entry = Arc::new(entry);
        self.count(Arc::clone(&entry));
        self.store.book(entry);
    }

    fn count(&self, entry: Arc<Entry>) {
        let mut book = self.lock();
        let totals = &mut book.totals;
        totals.requests += 1;
        totals.duration += entry.duration;
        totals.estimated += u64::from(entry.estimated);
        if let Some(usage) = &entry.usage {
            totals.usage.add(usage);
        }
        let outcomes = &mut totals.outcomes;
        *match entry.outcome {
            Outcome::Ok => &mut outcomes.ok,
            Outcome::ClientGone => &mut outcomes.client_gone,
            Outcome::UpstreamBroke => &mut outcomes.upstream_broke,
            Outcome::Refused => &mut outcomes.refused,
            Outcome::FailedOver => &mut outcomes.failed_over,
            Outcome::Panicked => &mut outcomes.panicked,
        } += 1;
        if book.entries.len() == KEPT {
            book.entries.pop_front();
        }
        book.entries.push_back(entry);
    }

    pub fn totals(&self) -> Totals {
        self.lock().totals
    }

    /// The entries still in memory, the oldest first.
    pub fn entries(&self) -> Vec<Entry> {
        self.lock().entries.iter().map(|it| Entry::clone(it)).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Book> {
        // A sum is right or wrong whether or not another thread panicked.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
