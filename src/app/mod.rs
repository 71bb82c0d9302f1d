//! The one live value, and what keeps it fresh.

pub mod edit;
pub mod editor;
pub mod expired;
pub mod health;
pub mod history;
mod journal;
mod late;
pub mod live;
mod lock;
mod log_lines;
mod log_text;
pub mod logs;
mod overwritten;
pub mod prices;
pub mod prune;
mod put;
pub mod refresh;
pub mod snapshot;
mod source;
pub mod systemd;
pub mod tasks;
pub mod watch;

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::{mpsc, oneshot};

use crate::{
    config::{Address, Problem},
    store::{Counters, Ledger, Responses, Store},
    upstream::Upstream,
};

pub use editor::Editor;
pub use live::{Live, OpenError};
pub use put::Way;
pub use snapshot::{Learned, Snapshot};
pub use tasks::Tasks;

/// What a config at `path` may refer to: this process's variables, files beside it.
pub fn surroundings(path: &std::path::Path) -> Box<dyn crate::config::Surroundings> {
    Box::new(source::Source { path: path.to_owned() })
}

/// What the process is made of: handles only. Shared as `Arc<App>`.
#[derive(Debug)]
pub struct App {
    pub live: Arc<Live>,
    pub upstream: Upstream,
    pub store: Store,
    pub ledger: Ledger,
    pub counters: Counters,
    pub responses: Responses,
    pub tasks: Tasks,
    pub reloads: watch::Reloads,
    pub health: health::Health,
    pub prices: prices::Asking,
    /// Whoever edits by the admin API holds it from reading the file to writing it, so that what
    /// was decided on a text is done to that text.
    pub editing: tokio::sync::Mutex<()>,
    pub started: Instant,
    pub cache_dir: PathBuf,
    refresh: mpsc::Sender<Wanted>,
    draining: AtomicBool,
    listeners: Mutex<Listeners>,
}

/// What the listener set says of itself.
#[derive(Debug, Default, Clone)]
pub struct Listeners {
    /// The addresses of the config that were opened last, or could not be.
    pub wanted: Vec<Address>,
    pub open: Vec<Address>,
    /// Addresses of the config that could not be opened.
    pub problems: Vec<Problem>,
}

/// A provider whose model list somebody asks for.
#[derive(Debug)]
pub struct Wanted {
    pub provider: Arc<str>,
    /// Told when it was loaded, or not; without it, a list that is young enough is kept.
    pub done: Option<oneshot::Sender<()>>,
}

/// What [`App::new`] needs beside its own stores.
#[derive(Debug)]
pub struct Parts {
    pub live: Arc<Live>,
    pub store: Store,
    pub upstream: Upstream,
    pub tasks: Tasks,
    pub reloads: watch::Reloads,
    pub cache_dir: PathBuf,
}

impl App {
    /// The app, and the providers whose lists are asked for.
    pub fn new(parts: Parts) -> (Arc<Self>, mpsc::Receiver<Wanted>) {
        let (refresh, wanted) = mpsc::channel(16);
        let app = Self {
            live: parts.live,
            upstream: parts.upstream,
            ledger: Ledger::new(parts.store.clone()),
            store: parts.store,
            counters: Counters::default(),
            responses: Responses::default(),
            tasks: parts.tasks,
            reloads: parts.reloads,
            health: health::Health::default(),
            prices: prices::Asking::default(),
            editing: tokio::sync::Mutex::default(),
            started: Instant::now(),
            cache_dir: parts.cache_dir,
            refresh,
            draining: AtomicBool::new(false),
            listeners: Mutex::default(),
        };
        (Arc::new(app), wanted)
    }

    /// Asks for a provider's model list to be loaded again; a full queue means it will be anyway.
    pub fn wants_list(&self, provider: &Arc<str>) {
        let _ = self.refresh.try_send(Wanted { provider: Arc::clone(provider), done: None });
    }

    /// Loads a provider's model list now; whether that came to an end within `limit`.
    pub async fn load_list(&self, provider: &Arc<str>, limit: Duration) -> bool {
        let (done, ended) = oneshot::channel();
        let wanted = Wanted { provider: Arc::clone(provider), done: Some(done) };
        let loading = async { self.refresh.send(wanted).await.is_ok() && ended.await.is_ok() };
        tokio::time::timeout(limit, loading).await.unwrap_or(false)
    }

    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// A config is live and a listener is up.
    pub fn is_ready(&self) -> bool {
        !self.is_draining() && !self.listeners().open.is_empty()
    }

    pub fn listeners(&self) -> Listeners {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set_listeners(&self, listeners: Listeners) {
        *self.listeners.lock().unwrap_or_else(PoisonError::into_inner) = listeners;
    }
}
