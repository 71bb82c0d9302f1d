//! The live config: one value, one door to change it.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::sync::{OwnedMutexGuard, watch};

use super::{
    edit::{Change, EditFailure, Edited, audit},
    editor::{Done, Editor, Known},
    history::Origin,
    snapshot::{Identity, Learned, Snapshot},
    source::{MAX_BYTES, Seen, Source, referred_now},
};
use crate::{
    access::KeyTable,
    api::Overwritten,
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
    editor: Editor,
    source: Source,
    current: ArcSwap<Snapshot>,
    changed: watch::Sender<u64>,
    writer: Arc<tokio::sync::Mutex<Writer>>,
    disk: Mutex<Disk>,
}

impl Live {
    /// The first reload. Unlike all others it fails when the text does not load.
    pub fn open(editor: Editor, learned: Learned) -> Result<Self, OpenError> {
        let (source, path) = (editor.source().clone(), editor.path().to_owned());
        if let Err(error) = editor.open() {
            tracing::debug!(%error, "what a crash may have left stays");
        }
        let read = |it| OpenError::Read(path.clone(), it);
        let bytes = file::read(&path, MAX_BYTES).map_err(read)?;
        let text = String::from_utf8(bytes).map_err(|_| {
            read(io::Error::new(io::ErrorKind::InvalidData, "the file is not UTF-8"))
        })?;
        let Resolved { config, problems, watched, secrets } = config::resolve(&text, &source);
        let Some(config) = config else {
            return Err(OpenError::Invalid { path, text, problems });
        };
        editor.meets(&text);
        editor.history().keep(text.as_bytes(), Origin::Save, config.history);
        let worker_threads = config.worker_threads;
        let writable = editor.locked(config.managed).is_none();
        let identity = Identity {
            revision: Revision::of(&text),
            generation: 1,
            loaded_at: jiff::Timestamp::now(),
        };
        let snapshot = build(config, identity, learned);
        let disk = Disk { problems, restart_required: Vec::new(), writable };
        let writer = Writer {
            seen: None,
            referred: watched,
            secrets,
            complaint: String::new(),
            worker_threads,
        };
        Ok(Self {
            editor,
            source,
            current: ArcSwap::from_pointee(snapshot),
            changed: watch::channel(1).0,
            writer: Arc::new(tokio::sync::Mutex::new(writer)),
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

    /// Edits the same file without making it live; its history is the file's.
    pub fn editor(&self) -> &Editor {
        &self.editor
    }

    /// Why torod may not write the file.
    pub fn locked(&self) -> Option<&'static str> {
        self.editor.locked(self.snapshot().config.managed)
    }

    /// Edits and saves that the file no longer has, the newest first.
    pub fn overwritten(&self) -> Vec<Overwritten> {
        self.editor.overwritten()
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
        if self.editor.is_looking() {
            return true;
        }
        let (seen, referred) = {
            let writer = self.writer.lock().await;
            (writer.seen.clone(), writer.referred.clone())
        };
        !self.is_seen(seen.as_ref(), &referred).await
    }

    async fn is_seen(&self, seen: Option<&Seen>, referred: &[PathBuf]) -> bool {
        let Ok(bytes) = self.source.bytes().await else { return false };
        let (revision, referred) = (Revision::of(bytes), self.source.referred(referred).await);
        seen == Some(&Seen { revision, referred })
    }

    /// Takes the file as it is now. A bad file changes nothing.
    pub async fn reload(&self) -> Reload {
        let mut writer = self.writer.lock().await;
        if self.editor.is_looking() {
            let editor = self.editor.clone();
            let _ = tokio::task::spawn_blocking(move || editor.look_again()).await;
        }
        // Most often it is woken by an edit of ours, and nobody should wait for that.
        if self.is_seen(writer.seen.as_ref(), &writer.referred).await {
            return Reload::Unchanged;
        }
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
            if paused != Some(revision) && shrinks(&self.snapshot().config, &config) {
                tracing::warn!(
                    "the file lost more than half of its keys or providers; looking again in 2 s"
                );
                (paused, writer.seen) = (Some(revision), None);
                tokio::time::sleep(SHRINK_PAUSE).await;
                continue;
            }
            self.editor.meets(&text);
            let depth = config.history;
            let resolved = Resolved { config: Some(config), problems, watched, secrets };
            if !self.apply(&mut writer, revision, resolved) {
                return Reload::Unchanged;
            }
            self.editor.history().keep(text.as_bytes(), Origin::Save, depth);
            return Reload::Applied;
        }
    }

    /// Makes a text that loads the live one; false when it is that, secrets and all.
    fn apply(&self, writer: &mut Writer, revision: Revision, resolved: Resolved) -> bool {
        let Resolved { config: Some(config), problems, secrets, .. } = resolved else {
            return false;
        };
        let restart = if writer.worker_threads == config.worker_threads {
            Vec::new()
        } else {
            restart_keys()
        };
        self.note(problems, restart);
        writer.complaint.clear();
        let old = self.snapshot();
        if revision == old.revision && secrets == writer.secrets {
            return false;
        }
        writer.secrets = secrets;
        let generation = old.generation + 1;
        let identity = Identity { revision, generation, loaded_at: jiff::Timestamp::now() };
        self.swap(build(config, identity, old.learned.clone()));
        tracing::info!(generation, revision = %revision, "config applied");
        true
    }

    /// Edits the file and makes the new text live: the answer tells the generation. The edit is
    /// carried through, and told in the log, also when nobody waits for the answer any more.
    pub async fn edit(self: &Arc<Self>, change: Change) -> Result<Edited, EditFailure> {
        let writer = Arc::clone(&self.writer).lock_owned().await;
        let (live, path) = (Arc::clone(self), self.path().to_owned());
        let edited = tokio::task::spawn_blocking(move || {
            let result = live.edit_holding(writer, &change);
            if !change.dry_run {
                audit(&change.by, &result);
            }
            result
        });
        edited.await.map_err(|it| EditFailure::Io(path, io::Error::other(it)))?
    }

    fn edit_holding(
        &self,
        mut writer: OwnedMutexGuard<Writer>,
        change: &Change,
    ) -> Result<Edited, EditFailure> {
        let old = self.snapshot();
        let known = Known { revision: old.revision, config: Arc::clone(&old.config) };
        let referred = referred_now(&writer.referred);
        let Done { mut edited, resolved } = self.editor.edit_knowing(change, Some(&known))?;
        if change.dry_run {
            edited.generation = Some(old.generation);
            return Ok(edited);
        }
        // The watch's echo finds this text seen, unless what it refers to is not what it was.
        writer.seen = None;
        if resolved.watched == writer.referred && referred_now(&resolved.watched) == referred {
            writer.seen = Some(Seen { revision: edited.after, referred });
        }
        writer.referred.clone_from(&resolved.watched);
        self.apply(&mut writer, edited.after, resolved);
        edited.generation = Some(self.snapshot().generation);
        edited.restart_required = self.disk().1;
        Ok(edited)
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
        let complaint = Problem::complaint(&problems);
        if complaint != writer.complaint {
            tracing::warn!(
                problems = complaint,
                "config not applied; the last good one stays live"
            );
            writer.complaint = complaint;
        }
        self.note(problems, Vec::new());
        Reload::Refused
    }

    fn note(&self, problems: Vec<Problem>, restart_required: Vec<String>) {
        let writable = self.locked().is_none();
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
pub(super) fn shrinks(old: &Config, new: &Config) -> bool {
    new.keys.len() * 2 < old.keys.len() || new.providers.len() * 2 < old.providers.len()
}

fn restart_keys() -> Vec<String> {
    schema::keys().into_iter().filter(|it| it.restart).map(|it| it.path).collect()
}

pub(super) fn unreadable(error: &dyn std::fmt::Display) -> Problem {
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
