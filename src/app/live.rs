//! The live config: one value, one door to change it.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::{
    snapshot::{Identity, Learned, Snapshot},
    source::{Seen, Source},
};
use crate::{
    access::KeyTable,
    base::file,
    config::{self, Config, Problem, Resolved, Revision, Severity, schema},
};

/// A text that drops more than half of the keys or providers is looked at again after this.
const SHRINK_PAUSE: Duration = Duration::from_secs(2);

/// Why there is no first config.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("cannot read `{}`", .0.display())]
    Read(PathBuf, #[source] io::Error),
    #[error("`{}` does not load", .path.display())]
    Invalid { path: PathBuf, text: String, problems: Vec<Problem> },
}

/// What a reload came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// The text and its secrets are those that are live, or that were refused before.
    Unchanged,
    Applied,
    /// The last good one stays live; the status says why.
    Refused,
}

/// What the disk holds, as against what is live.
#[derive(Debug, Default, Clone)]
struct Disk {
    problems: Vec<Problem>,
    restart_required: Vec<String>,
    writable: bool,
}

/// What only the one writer touches.
#[derive(Debug)]
struct Writer {
    seen: Option<Seen>,
    referred: Vec<PathBuf>,
    secrets: [u8; 32],
    /// What was complained of last: the same is not said again.
    complaint: String,
    /// Of the first config: what only a restart changes.
    worker_threads: Option<usize>,
}

/// Everybody holds it, a request loads it once.
#[derive(Debug)]
pub struct Live {
    source: Source,
    current: ArcSwap<Snapshot>,
    changed: watch::Sender<u64>,
    writer: tokio::sync::Mutex<Writer>,
    disk: Mutex<Disk>,
}

impl Live {
    /// The first reload. Unlike all others it fails when the text does not load.
    pub fn open(path: &Path, learned: Learned) -> Result<Self, OpenError> {
        let source = Source { path: path.to_owned() };
        let read = |it| OpenError::Read(path.to_owned(), it);
        let bytes = file::read(path, 16 * 1024 * 1024).map_err(read)?;
        let text = String::from_utf8(bytes).map_err(|_| {
            read(io::Error::new(io::ErrorKind::InvalidData, "the file is not UTF-8"))
        })?;
        let Resolved { config, problems, watched, secrets } = config::resolve(&text, &source);
        let Some(config) = config else {
            return Err(OpenError::Invalid { path: path.to_owned(), text, problems });
        };
        let worker_threads = config.worker_threads;
        let identity = Identity {
            revision: Revision::of(&text),
            generation: 1,
            loaded_at: jiff::Timestamp::now(),
        };
        let snapshot = build(config, identity, learned);
        let disk = Disk { problems, restart_required: Vec::new(), writable: is_writable(path) };
        let writer = Writer {
            seen: None,
            referred: watched,
            secrets,
            complaint: String::new(),
            worker_threads,
        };
        Ok(Self {
            source,
            current: ArcSwap::from_pointee(snapshot),
            changed: watch::channel(1).0,
            writer: tokio::sync::Mutex::new(writer),
            disk: Mutex::new(disk),
        })
    }

    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Wakes after each swap; followers compare what they saw with what is.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub fn path(&self) -> &Path {
        &self.source.path
    }

    /// The directories to watch now.
    pub async fn directories(&self) -> std::collections::BTreeSet<PathBuf> {
        let referred = self.writer.lock().await.referred.clone();
        self.source.directories(&referred)
    }

    /// What is on disk at this moment, good or bad, whole or not.
    pub async fn look(&self) -> Option<Revision> {
        self.source.bytes().await.ok().map(Revision::of)
    }

    /// Whether the disk holds something else than what was looked at last: what the poll asks.
    pub async fn is_stale(&self) -> bool {
        let (seen, referred) = {
            let writer = self.writer.lock().await;
            (writer.seen.clone(), writer.referred.clone())
        };
        let Ok(bytes) = self.source.bytes().await else { return true };
        let now =
            Seen { revision: Revision::of(bytes), referred: self.source.referred(&referred).await };
        seen != Some(now)
    }

    /// Takes the file as it is now. A bad file changes nothing.
    pub async fn reload(&self) -> Reload {
        let mut writer = self.writer.lock().await;
        let mut paused = None;
        loop {
            let text = match self.source.read().await {
                Ok(text) => text,
                Err(error) => {
                    writer.seen = None;
                    return self.refuse(&mut writer, vec![unreadable(&error)]);
                }
            };
            let revision = Revision::of(&text);
            let before = self.source.referred(&writer.referred).await;
            let now = Seen { revision, referred: before };
            if writer.seen.as_ref() == Some(&now) {
                return Reload::Unchanged;
            }
            let Resolved { config, problems, watched, secrets } =
                config::resolve(&text, &self.source);
            if watched != writer.referred {
                // The digest must be of what is read: once more, now that it is known what that is.
                writer.referred = watched;
                continue;
            }
            if before != self.source.referred(&watched).await {
                continue;
            }
            writer.seen = Some(now);
            let Some(config) = config else { return self.refuse(&mut writer, problems) };
            let old = self.snapshot();
            if paused != Some(revision) && shrinks(&old.config, &config) {
                tracing::warn!(
                    "the file lost more than half of its keys or providers; looking again in 2 s"
                );
                (paused, writer.seen) = (Some(revision), None);
                tokio::time::sleep(SHRINK_PAUSE).await;
                continue;
            }
            let restart = if writer.worker_threads == config.worker_threads {
                Vec::new()
            } else {
                restart_keys()
            };
            self.note(problems, restart);
            writer.complaint.clear();
            if revision == old.revision && secrets == writer.secrets {
                return Reload::Unchanged;
            }
            writer.secrets = secrets;
            let generation = old.generation + 1;
            let identity = Identity { revision, generation, loaded_at: jiff::Timestamp::now() };
            self.swap(build(config, identity, old.learned.clone()));
            tracing::info!(generation, revision = %revision, "config applied");
            return Reload::Applied;
        }
    }

    /// Takes in what torod found out: fresh lists, servers on this machine.
    pub async fn relearn(&self, learn: impl FnOnce(&mut Learned)) {
        let _writer = self.writer.lock().await;
        let old = self.snapshot();
        let mut learned = old.learned.clone();
        learn(&mut learned);
        let (config, keys) = (Arc::clone(&old.config), Arc::clone(&old.keys));
        self.swap(Snapshot::build(config, keys, old.identity(), learned));
    }

    /// The only caller of `ArcSwap::store`.
    fn swap(&self, new: Snapshot) {
        let generation = new.generation;
        self.current.store(Arc::new(new));
        self.changed.send_replace(generation);
    }

    fn refuse(&self, writer: &mut Writer, problems: Vec<Problem>) -> Reload {
        let complaint: String = problems
            .iter()
            .filter(|it| it.severity == Severity::Error)
            .map(|it| it.line() + "; ")
            .collect();
        if complaint != writer.complaint {
            let what = complaint.trim_end_matches("; ");
            tracing::warn!(problems = what, "config not applied; the last good one stays live");
            writer.complaint = complaint;
        }
        self.note(problems, Vec::new());
        Reload::Refused
    }

    fn note(&self, problems: Vec<Problem>, restart_required: Vec<String>) {
        let writable = is_writable(&self.source.path);
        let disk = Disk { problems, restart_required, writable };
        *self.disk.lock().unwrap_or_else(PoisonError::into_inner) = disk;
    }

    /// Problems of the text on disk, keys that wait for a restart, and whether it can be written.
    pub fn disk(&self) -> (Vec<Problem>, Vec<String>, bool) {
        let disk = self.disk.lock().unwrap_or_else(PoisonError::into_inner).clone();
        (disk.problems, disk.restart_required, disk.writable)
    }
}

fn build(config: Config, identity: Identity, learned: Learned) -> Snapshot {
    let keys = Arc::new(KeyTable::new(config.keys.iter().cloned()));
    Snapshot::build(Arc::new(config), keys, identity, learned)
}

/// Half a save is often valid TOML: cut at a table, it only has fewer of them.
fn shrinks(old: &Config, new: &Config) -> bool {
    new.keys.len() * 2 < old.keys.len() || new.providers.len() * 2 < old.providers.len()
}

fn restart_keys() -> Vec<String> {
    schema::keys().into_iter().filter(|it| it.restart).map(|it| it.path).collect()
}

fn is_writable(path: &Path) -> bool {
    let access = rustix::fs::Access::WRITE_OK;
    rustix::fs::access(path, access).is_ok()
        && rustix::fs::access(file::directory_of(path), access).is_ok()
}

fn unreadable(error: &io::Error) -> Problem {
    Problem {
        severity: Severity::Error,
        code: "unreadable",
        line: 1,
        column: 1,
        message: format!("the file cannot be read: {error}"),
        help: None,
        span: 0..0,
    }
}
