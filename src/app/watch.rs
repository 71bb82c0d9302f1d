//! What wakes a reload: the watched directories, the poll, a signal, a request.
//!
//! The poll is the guarantee, the watch only makes it fast: a watch on the file dies with its
//! first rename, and bind mounts, NFS and `ConfigMaps` tell of other names or of nothing.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, oneshot},
    time::{Instant, MissedTickBehavior},
};

use super::{Live, live::Reload, systemd};

/// With the two equal reads of a reload, which are as far apart, this makes 100 ms of quiet.
const QUIET: Duration = Duration::from_millis(50);
const AT_MOST: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_secs(2);

/// Asks the one reloading task for a reload and waits for it.
#[derive(Debug, Clone)]
pub struct Reloads(mpsc::Sender<oneshot::Sender<Reload>>);

/// The asking side and the task's side of [`Reloads`].
pub fn reloads() -> (Reloads, mpsc::Receiver<oneshot::Sender<Reload>>) {
    let (ask, asked) = mpsc::channel(16);
    (Reloads(ask), asked)
}

impl Reloads {
    /// None when the process is ending.
    pub async fn reload(&self) -> Option<Reload> {
        let (reply, answer) = oneshot::channel();
        self.0.send(reply).await.ok()?;
        answer.await.ok()
    }
}

/// Directories under watch. Without inotify there are none, and the poll does all.
struct Watches {
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
}

impl Watches {
    /// Any event but a read wakes, whatever it is called: a `ConfigMap`'s swap does not name the
    /// file, and our own reading must not wake us.
    fn new(watch: bool) -> (Self, mpsc::Receiver<()>) {
        let (wake, wakeups) = mpsc::channel(1); // a burst of events is one wake-up
        let made = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if !matches!(&event, Ok(it) if matches!(it.kind, EventKind::Access(_))) {
                let _ = wake.try_send(());
            }
        });
        let watcher = match made {
            Ok(watcher) if watch => Some(watcher),
            Ok(_) => None,
            Err(error) => {
                tracing::warn!(%error, "changes of the file are seen by polling only");
                None
            }
        };
        (Self { watcher, watched: BTreeSet::new() }, wakeups)
    }

    /// Watches these directories, also those that were replaced since.
    fn rearm(&mut self, wanted: BTreeSet<PathBuf>) {
        let Some(watcher) = &mut self.watcher else { return };
        for gone in self.watched.difference(&wanted) {
            let _ = watcher.unwatch(gone);
        }
        for path in &wanted {
            if let Err(error) = watcher.watch(path, RecursiveMode::NonRecursive) {
                tracing::debug!(path = %path.display(), %error, "not watched; the poll sees it");
            }
        }
        self.watched = wanted;
    }
}

/// The one task that reloads, so that an older read never overtakes a newer one.
pub async fn follow(
    live: Arc<Live>,
    mut asked: mpsc::Receiver<oneshot::Sender<Reload>>,
    watch: bool,
) {
    let (mut watches, mut wakeups) = Watches::new(watch);
    watches.rearm(live.directories().await);
    let mut poll = tokio::time::interval(POLL);
    poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut hangup = signal(SignalKind::hangup()).ok();
    // What changed between the first read and the first watch is seen now.
    live.reload().await;
    loop {
        let (mut replies, mut signalled) = (Vec::new(), false);
        tokio::select! {
            Some(()) = wakeups.recv() => settle(&live, &mut wakeups).await,
            _ = poll.tick() => {
                if !live.is_stale().await {
                    continue;
                }
            }
            Some(reply) = asked.recv() => replies.push(reply),
            () = hung_up(&mut hangup) => {
                tracing::info!("reloading after SIGHUP");
                signalled = true;
                systemd::tell(sd_notify::NotifyState::Reloading);
            }
        }
        // First the watch, then the reading: what changes after it is seen.
        watches.rearm(live.directories().await);
        let came_to = live.reload().await;
        watches.rearm(live.directories().await);
        for reply in replies {
            let _ = reply.send(came_to);
        }
        if signalled {
            systemd::tell(sd_notify::NotifyState::Ready);
        }
    }
}

/// Waits until the file stands still. Events alone would not tell: a log in the same directory
/// never does.
async fn settle(live: &Live, wakeups: &mut mpsc::Receiver<()>) {
    let last = Instant::now() + AT_MOST;
    let mut before = live.look().await;
    while Instant::now() < last {
        tokio::time::sleep(QUIET).await;
        while wakeups.try_recv().is_ok() {}
        let now = live.look().await;
        if now == before {
            return;
        }
        before = now;
    }
}

async fn hung_up(hangup: &mut Option<tokio::signal::unix::Signal>) {
    match hangup {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}
