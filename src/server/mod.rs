//! The process from the first read of the file to the last byte of the last response.

mod connection;
mod guard;
mod layers;
mod listeners;

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::{
    admin,
    app::{
        self, App, Editor, Learned, Live, OpenError, Tasks, expired, logs::Logs, prices, prune,
        refresh, watch,
    },
    base::file,
    catalog::Lists,
    config::Address,
    door::Routes,
    gateway,
    store::{self, Store, StoreError},
    upstream::Upstream,
};
use connection::{Connections, Socket};
use layers::Server;
pub use listeners::BindError;
use listeners::Listeners;

/// After the time for draining, so long for the last error events to get out.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How often idle connections to providers are looked at.
const SWEEP: Duration = Duration::from_secs(15);

/// Where things are.
#[derive(Debug, Clone)]
pub struct Options {
    pub config: PathBuf,
    pub state_dir: PathBuf,
    pub cache_dir: PathBuf,
    /// False: changes of the file are seen by polling only.
    pub watch: bool,
    /// torod shows what it would write to the config, and writes nothing.
    pub read_only: bool,
}

impl Options {
    /// The one that edits this config.
    pub fn editor(&self) -> Editor {
        Editor::new(self.config.clone(), self.state_dir.clone()).read_only(self.read_only)
    }
}

/// Why there is no daemon.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error("cannot use the directory `{}`", .0.display())]
    Directory(PathBuf, #[source] io::Error),
    #[error("cannot set up TLS to providers")]
    Upstream(#[source] io::Error),
    #[error("cannot keep what torod learns, not even in memory")]
    Store(#[source] StoreError),
    #[error("two routes fit one path")]
    Routes(#[source] matchit::InsertError),
}

/// A running torod.
#[derive(Debug)]
pub struct Daemon {
    app: Arc<App>,
    connections: Connections,
    accepting: CancellationToken,
    listeners: oneshot::Receiver<Listeners>,
    control: Option<PathBuf>,
}

impl Daemon {
    /// Everything up: config live, sockets open, background tasks running.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        Self::start_with(options, None).await
    }

    pub async fn start_with(options: Options, logs: Option<Logs>) -> Result<Self, StartError> {
        for directory in [&options.state_dir, &options.cache_dir] {
            if let Err(error) = file::create_directory(directory) {
                // A cache is a convenience, and so is a state that is not written yet.
                tracing::warn!(path = %directory.display(), %error, "the directory cannot be made; going on without it");
            }
        }
        let lists = Lists::new(store::lists::load(&options.cache_dir.join("models-cache.json")));
        let known = store::prices::load(&options.cache_dir.join("pricing-cache.json"));
        let learned =
            Learned { lists: Arc::new(lists), prices: Arc::new(known), ..Learned::default() };
        let live = Arc::new(Live::open(options.editor(), learned)?);
        let config = Arc::clone(&live.snapshot().config);
        if let Some(logs) = &logs {
            logs.set(config.log_level, config.log_format);
        }
        let upstream =
            Upstream::new(config.limits.connect_timeout_seconds).map_err(StartError::Upstream)?;
        upstream.limit_reach(config.public_only);
        let (reloads, asked) = watch::reloads();
        let tasks = Tasks::new();
        let store = Store::open(&options.state_dir.join("torod.db")).map_err(StartError::Store)?;
        tasks.spawn_until_end(store.clone().keep_writing());
        let cache_dir = options.cache_dir;
        let parts = app::Parts { live, store, upstream, tasks, reloads, cache_dir };
        let (app, wanted) = App::new(parts);
        let routes = Routes::new(&[gateway::ROUTES, admin::ROUTES]).map_err(StartError::Routes)?;
        let server = Server { app: Arc::clone(&app), routes: Arc::new(routes) };
        let connections = Connections::default();
        let mut listeners = Listeners::new(server.clone(), connections.clone(), raise_fd_limit());
        listeners.apply(&config.listen).await?;
        listeners.report(&config.listen, None);
        let accepting = CancellationToken::new();
        let control = options.state_dir.join("control.sock");
        let control = open_control(&control, &server, &connections, &accepting).then_some(control);
        let (done, listeners_done) = oneshot::channel();
        let end = accepting.clone();
        app.tasks.spawn(async move {
            let _ = done.send(listeners.follow(end).await);
        });
        let tasks = &app.tasks;
        tasks.spawn_until_end(watch::follow(Arc::clone(&app.live), asked, options.watch));
        tasks.spawn_until_end(refresh::keep_lists(Arc::clone(&app), wanted));
        tasks.spawn_until_end(refresh::keep_found(Arc::clone(&app)));
        tasks.spawn_until_end(prices::keep_prices(Arc::clone(&app)));
        tasks.spawn_until_end(follow_limits(Arc::clone(&app)));
        tasks.spawn_until_end(expired::keep_removed(Arc::clone(&app.live)));
        tasks.spawn_until_end(prune::keep_pruned(Arc::clone(&app)));
        if let Some(logs) = logs {
            tasks.spawn_until_end(logs.follow(Arc::clone(&app.live)));
        }
        Ok(Self { app, connections, accepting, listeners: listeners_done, control })
    }

    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// The TCP addresses that are open, with their real ports.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let tcp = |it: Address| match it {
            Address::Tcp(it) => Some(it),
            Address::Unix(_) => None,
        };
        self.app.listeners().open.into_iter().filter_map(tcp).collect()
    }

    /// Stops accepting, lets running requests finish within the config's limit, ends the rest with
    /// an error in their own protocol.
    pub async fn stop(self) {
        self.stop_unless(std::future::pending()).await;
    }

    /// The same, cut short by `now`.
    pub async fn stop_unless(self, now: impl Future<Output = ()>) {
        self.app.drain();
        self.accepting.cancel();
        if let Ok(mut listeners) = self.listeners.await {
            listeners.close_all().await;
        }
        if let Some(control) = &self.control {
            let _ = std::fs::remove_file(control);
        }
        self.connections.tasks.close();
        let limit = self.app.live.snapshot().config.shutdown;
        let finished = async {
            if tokio::time::timeout(limit, self.connections.tasks.wait()).await.is_err() {
                tracing::warn!(
                    requests = self.app.counters.in_flight(),
                    "ending requests that did not finish in time"
                );
            }
            // Whoever still waits is told now, in its own protocol.
            self.app.tasks.end().await;
            let _ = tokio::time::timeout(LAST_WORDS, self.connections.tasks.wait()).await;
        };
        tokio::select! {
            () = finished => {}
            () = now => tracing::warn!("ending at once"),
        }
        let written = tokio::time::timeout(LAST_WORDS, self.app.store.flush()).await;
        let lost = self.app.store.condition().queued;
        if written != Ok(true) && lost > 0 {
            tracing::error!(lost, "entries are lost: the state database cannot be written");
        }
    }
}

/// The socket of the commands on this machine.
fn open_control(
    path: &std::path::Path,
    server: &Server,
    connections: &Connections,
    stop: &CancellationToken,
) -> bool {
    match listeners::bind_unix(path, 0o600) {
        Ok(listener) => {
            let task = connection::accept(
                Socket::Control(listener),
                server.clone(),
                connections.clone(),
                stop.clone(),
                usize::MAX,
            );
            server.app.tasks.spawn(task);
            true
        }
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "no control socket; `torod status` cannot reach this torod");
            false
        }
    }
}

/// Follows the limits of the file, and closes connections to providers that idled too long.
async fn follow_limits(app: Arc<App>) {
    let mut changed = app.live.subscribe();
    loop {
        let config = Arc::clone(&app.live.snapshot().config);
        app.upstream.limit_connecting(config.limits.connect_timeout_seconds);
        app.upstream.limit_reach(config.public_only);
        app.upstream.sweep();
        if let Ok(Err(_)) = tokio::time::timeout(SWEEP, changed.changed()).await {
            return;
        }
    }
}

/// Raises the limit of open files as far as it goes; answers how far.
fn raise_fd_limit() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let now = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: now.maximum, maximum: now.maximum };
    let limit = if setrlimit(Resource::Nofile, raised).is_ok() { now.maximum } else { now.current };
    limit.and_then(|it| usize::try_from(it).ok()).unwrap_or(usize::MAX)
}
