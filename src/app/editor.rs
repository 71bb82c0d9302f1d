//! An edit of the file from its fresh bytes to the new ones, with or without a running torod.
//!
//! ```text
//!  Live::edit, a command
//!    lock             one writer among all torods and commands
//!    recover          what a crash left; saves that landed in a file that we had displaced
//!    find             the bytes at the path, not memory; known to be whole, or quiet for 50 ms
//!    plan             guard, apply, resolve as the loader would: a bad text is never written
//!    write            Place::put; somebody saved meanwhile: once more from `find`
//!    keep             history, and what is to be held against the next foreign text
//! ```
//!
//! Reading is quick where the text is the one that is live or that we wrote: it was seen whole. A text
//! that nobody has looked at yet may be half a save (an editor truncates and then writes), so it must
//! have stood still for as long as the loader waits. Should a slow editor be taken for a finished one
//! all the same, its next write goes to the file that we displaced. That file is held open for some
//! seconds and looked at again before each edit, at each reload, and by the poll: the editor's text is
//! put at the path if nothing but our own edits came after it, as if it had saved after them. Those
//! edits are then listed as overwritten, like any that an editor saved over. If somebody else saved
//! since, the later save stays and the text is kept in the history and listed.

mod recover;

use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{
    edit::{Author, Change, EditFailure, Edited, Guard, Input},
    history::{History, Origin},
    late::Late,
    live::{shrinks, unreadable},
    lock::Lock,
    overwritten::Met,
    put::{Place, Put, Way, is_mount},
    source::{MAX_BYTES, Source},
};
use crate::{
    api::Overwritten,
    base::file::held::Held,
    config::{self, Config, Problem, Resolved, Revision, changes, edit},
};

/// A text that nobody has looked at must be as old as this, like two equal reads of the loader.
pub(super) const QUIET: Duration = Duration::from_millis(50);
/// An editor that never stops is not waited for longer: nothing of its is lost by going on.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);
/// So long a text may be half a save that has fewer than half of the keys or providers.
const SHRUNK: Duration = Duration::from_secs(2);
/// So long the path may have nothing while an editor saves.
const GONE: Duration = Duration::from_millis(200);
/// Saves of others that one edit gives way to.
const TRIES: usize = 50;

const READ_ONLY: &str = "torod was started with `--read-only`";
const MANAGED: &str = "the file says `managed = true`: somebody else writes it";
const CONFIG_MAP: &str = "the file comes from a mounted ConfigMap";
const NOT_WRITABLE: &str = "the file or its directory is not writable";

/// Edits a config file; cheap to clone. One that is made without a daemon is as good.
#[derive(Debug, Clone)]
pub struct Editor(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    source: Source,
    state_dir: PathBuf,
    read_only: bool,
    way: Way,
    met: Mutex<Met>,
    late: Mutex<Late>,
}

/// What is live: a text that was seen whole.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) revision: Revision,
    pub(super) config: Arc<Config>,
}

/// An edit, and the text that it came to as the loader sees it.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) edited: Edited,
    pub(super) resolved: Resolved,
}

/// What is at the path.
struct Found {
    /// None: there is no file.
    held: Option<Held>,
    text: String,
    revision: Revision,
    managed: bool,
    /// Why it does not load.
    broken: Option<Vec<Problem>>,
}

impl Editor {
    pub fn new(path: PathBuf, state_dir: PathBuf) -> Self {
        let source = Source { path };
        let (met, late) = (Mutex::default(), Mutex::default());
        Self(Arc::new(Inner { source, state_dir, read_only: false, way: Way::Exchange, met, late }))
    }

    /// One that shows what it would write, and writes nothing. For an editor not used yet.
    #[must_use]
    pub fn read_only(self, read_only: bool) -> Self {
        self.with(|it| it.read_only = read_only)
    }

    /// As on a file system where the others do not work. For an editor not used yet.
    #[must_use]
    pub fn by(self, way: Way) -> Self {
        self.with(|it| it.way = way)
    }

    fn with(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            change(inner);
        }
        self
    }

    pub fn path(&self) -> &Path {
        &self.0.source.path
    }

    pub(super) fn source(&self) -> &Source {
        &self.0.source
    }

    pub fn history(&self) -> History {
        History::of(&self.0.state_dir)
    }

    /// Edits and saves of this process's life that the file no longer has, the newest first.
    pub fn overwritten(&self) -> Vec<Overwritten> {
        self.met().overwritten()
    }

    /// Edits the file, waiting for locks and disks; for a thread that may, where no torod runs in
    /// this process. A running one takes the edit up by itself.
    pub fn edit(&self, change: &Change) -> Result<Edited, EditFailure> {
        let done = self.edit_knowing(change, None)?;
        if !change.dry_run {
            // Nobody will look again later.
            std::thread::sleep(QUIET);
            self.look_again();
        }
        Ok(done.edited)
    }

    pub(super) fn edit_knowing(
        &self,
        change: &Change,
        known: Option<&Known>,
    ) -> Result<Done, EditFailure> {
        let fails = |error| self.io(error);
        let place = Place::find(self.path()).map_err(fails)?;
        let _lock = Lock::take(&place.directory, &self.0.state_dir).map_err(fails)?;
        self.recover(&place);
        let mut first = None;
        for _ in 0..TRIES {
            let found = self.find(&place, known)?;
            if found.broken.is_none() {
                self.met().meets(&found.text, &self.history());
            }
            let first = *first.get_or_insert(found.revision);
            let done = self.plan(change, &found, first)?;
            if change.dry_run || done.edited.before == done.edited.after {
                return Ok(done);
            }
            if let Some(why) =
                self.locked(found.managed || known.is_some_and(|it| it.config.managed))
            {
                return Err(managed(why, done));
            }
            if let Some(done) = self.write(&place, found, done, &change.by)? {
                return Ok(done);
            }
        }
        Err(self.io(ErrorKind::ResourceBusy.into()))
    }

    /// What is at the path, seen whole.
    fn find(&self, place: &Place, known: Option<&Known>) -> Result<Found, EditFailure> {
        let begin = Instant::now();
        loop {
            let held = match place.read() {
                Ok(held) => Some(held),
                Err(error) if error.kind() == ErrorKind::NotFound => None,
                Err(error) => return Err(self.io(error)),
            };
            let age = held.as_ref().and_then(|it| it.age().ok().flatten());
            let (found, quiet) = self.judge(held, known);
            let waited = begin.elapsed();
            let is_quiet = match &found.held {
                None => waited >= GONE,
                Some(_) => age.is_some_and(|it| it >= quiet) || waited >= quiet.max(PATIENCE),
            };
            if is_quiet || quiet.is_zero() {
                return Ok(found);
            }
            std::thread::sleep(QUIET / 5);
        }
    }

    /// What a text is worth, and for how long it must have stood still to be believed.
    fn judge(&self, held: Option<Held>, known: Option<&Known>) -> (Found, Duration) {
        let bytes = held.as_ref().map_or(&[][..], |it| &it.bytes);
        let (text, revision) = (String::from_utf8_lossy(bytes).into_owned(), Revision::of(bytes));
        let not_utf8 = text.as_bytes() != bytes;
        let mut found = Found { held, text, revision, managed: false, broken: None };
        if let Some(live) = known.filter(|it| it.revision == revision) {
            found.managed = live.config.managed;
            return (found, Duration::ZERO);
        }
        let Resolved { config, mut problems, .. } = config::resolve(&found.text, self.source());
        let Some(config) = config.filter(|_| !not_utf8) else {
            if not_utf8 {
                problems.insert(0, unreadable(&"the file is not UTF-8"));
            }
            found.broken = Some(problems);
            return (found, PATIENCE);
        };
        found.managed = config.managed;
        let quiet = match known {
            _ if self.met().knows(revision) => Duration::ZERO,
            Some(live) if shrinks(&live.config, &config) => SHRUNK,
            _ => QUIET,
        };
        (found, quiet)
    }

    /// The new text, if the edit is still what its author meant and the text would load. `first` is
    /// what was at the path when the edit began.
    fn plan(&self, change: &Change, found: &Found, first: Revision) -> Result<Done, EditFailure> {
        let text = match (&change.input, &found.broken) {
            (Input::Edits(_), _) if found.held.is_none() => {
                return Err(self.io(ErrorKind::NotFound.into()));
            }
            (Input::Edits(_), Some(problems)) => {
                let (text, problems) = (found.text.clone(), problems.clone());
                return Err(EditFailure::BrokenOnDisk { text, problems });
            }
            (Input::Edits(edits), None) => {
                self.check(&change.guard, found)?;
                edit::apply(&found.text, edits)?
            }
            (Input::Text(text), _) => {
                self.check(&change.guard, found)?;
                // It says nothing of what somebody saved meanwhile.
                if found.revision != first {
                    return Err(self.stale(found, None));
                }
                text.clone()
            }
        };
        let mut resolved = config::resolve(&text, self.source());
        if text.len() as u64 > MAX_BYTES {
            resolved.config = None;
            resolved.problems.insert(0, unreadable(&"the file is larger than 16 MB"));
        }
        if resolved.config.is_none() {
            return Err(EditFailure::Invalid { text, problems: resolved.problems });
        }
        let name = self.path().file_name().unwrap_or_default().to_string_lossy();
        let edited = Edited {
            before: found.revision,
            after: Revision::of(&text),
            patch: changes::patch(&name, &found.text, &text),
            words: changes::between(&found.text, &text).words,
            problems: resolved.problems.clone(),
            generation: None,
            restart_required: Vec::new(),
            text,
        };
        Ok(Done { edited, resolved })
    }

    fn check(&self, guard: &Guard, found: &Found) -> Result<(), EditFailure> {
        match guard {
            Guard::None => Ok(()),
            Guard::Revision(it) if *it == found.revision.to_string() => Ok(()),
            Guard::Revision(it) => {
                let known = Revision::parse(it).and_then(|_| self.history().read(it).ok()?);
                Err(self.stale(found, known))
            }
            Guard::Entry { kind, name, etag } => {
                let has_it = |text: &str| {
                    let all = edit::entries(text, *kind).unwrap_or_default();
                    all.iter().any(|it| it.name == *name && it.etag == *etag)
                };
                if has_it(&found.text) {
                    return Ok(());
                }
                let kept = self.history().list().unwrap_or_default();
                let known = kept.iter().filter_map(|it| it.read().ok()).find(|it| has_it(it));
                Err(self.stale(found, known))
            }
        }
    }

    fn stale(&self, found: &Found, known: Option<String>) -> EditFailure {
        let name = self.path().file_name().unwrap_or_default().to_string_lossy();
        EditFailure::Stale {
            current_revision: found.revision,
            current: found.text.clone(),
            diff: changes::patch(&name, &known.unwrap_or_default(), &found.text),
        }
    }

    /// None when somebody saved meanwhile.
    fn write(
        &self,
        place: &Place,
        found: Found,
        done: Done,
        by: &Author,
    ) -> Result<Option<Done>, EditFailure> {
        let history = self.history();
        let depth = done.resolved.config.as_ref().map_or(0, |it| it.history);
        if let Some(held) = &found.held {
            history.keep(&held.bytes, Origin::Save, depth);
        }
        let text = done.edited.text.as_bytes();
        match place.put(found.held, text, self.way(place), &self.0.state_dir) {
            Ok(Put::Done(displaced)) => {
                history.keep(text, Origin::Edit, depth);
                self.met().edited(&found.text, &done.edited, by);
                self.late().push(displaced);
                Ok(Some(done))
            }
            Ok(Put::Changed(displaced)) => {
                self.displaced(&found.text, &displaced, depth);
                Ok(None)
            }
            Err(error) => Err(match error.kind() {
                ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                    managed(NOT_WRITABLE, done)
                }
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                    EditFailure::NoSpace(self.path().to_owned())
                }
                _ => self.io(error),
            }),
        }
    }

    fn way(&self, place: &Place) -> Way {
        if is_mount(&place.target) { Way::InPlace } else { self.0.way }
    }

    /// Why nothing may be written, `managed` being what the config says.
    pub(super) fn locked(&self, managed: bool) -> Option<&'static str> {
        if self.0.read_only {
            Some(READ_ONLY)
        } else if managed {
            Some(MANAGED)
        } else if self.source().is_config_map() {
            Some(CONFIG_MAP)
        } else if !Place::find(self.path()).is_ok_and(|it| it.is_writable()) {
            Some(NOT_WRITABLE)
        } else {
            None
        }
    }

    /// A text that was read with care, and that loads.
    pub(super) fn meets(&self, text: &str) {
        self.met().meets(text, &self.history());
    }

    fn met(&self) -> MutexGuard<'_, Met> {
        self.0.met.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn late(&self) -> MutexGuard<'_, Late> {
        self.0.late.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn io(&self, error: io::Error) -> EditFailure {
        EditFailure::Io(self.path().to_owned(), error)
    }
}

fn managed(why: &'static str, done: Done) -> EditFailure {
    let Edited { patch, text, .. } = done.edited;
    EditFailure::Managed { why, patch, text }
}
