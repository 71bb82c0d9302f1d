//! Texts that were live, and what somebody lost: files in the state directory that a person can
//! copy back. A text holds what the file held, secrets in clear included, so it is as private: 0600.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use crate::{base::file, config::Revision};

/// So many lost texts and patches are kept, whatever the config says of earlier texts.
const MAX_LOST: usize = 50;
/// Sorting by name is sorting by time.
const TIME: &str = "%Y%m%dT%H%M%S.%9fZ";

/// How a text came to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// An edit of torod's or of one of its commands.
    Edit,
    /// Somebody else's save.
    Save,
    /// Somebody's save that the file no longer has, or never had.
    Lost,
}

impl Origin {
    const ALL: [(Self, &'static str); 3] =
        [(Self::Edit, "edit"), (Self::Save, "save"), (Self::Lost, "lost")];

    fn word(self) -> &'static str {
        Self::ALL.iter().find(|it| it.0 == self).map_or("", |it| it.1)
    }
}

/// One kept text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub at: Timestamp,
    pub revision: Revision,
    pub origin: Origin,
    pub bytes: u64,
    path: PathBuf,
}

/// The directory of kept texts. It needs no running torod.
#[derive(Debug, Clone)]
pub struct History {
    directory: PathBuf,
}

impl History {
    pub fn of(state_dir: &Path) -> Self {
        Self { directory: state_dir.join("history") }
    }

    /// The newest first. Without a directory there are none.
    pub fn list(&self) -> io::Result<Vec<Kept>> {
        let names = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            names => names?,
        };
        let mut found: Vec<_> = names.filter_map(|it| kept(&it.ok()?)).collect();
        found.sort_by(|a, b| b.path.cmp(&a.path));
        Ok(found)
    }

    /// The newest text whose revision begins so.
    pub fn read(&self, revision: &str) -> io::Result<Option<String>> {
        let starts = |it: &&Kept| it.revision.to_string().starts_with(revision);
        match self.list()?.iter().find(starts) {
            Some(it) => it.read().map(Some),
            None => Ok(None),
        }
    }

    /// Keeps a text, and no more than `depth` earlier ones. Without room or right for it the
    /// edit goes on.
    pub(super) fn keep(&self, text: &[u8], origin: Origin, depth: usize) {
        if let Err(error) = self.try_keep(text, origin, depth) {
            let path = self.directory.display();
            tracing::warn!(%path, %error, "the config's history cannot be written");
        }
    }

    fn try_keep(&self, text: &[u8], origin: Origin, depth: usize) -> io::Result<()> {
        let revision = Revision::of(text);
        let is_lost = origin == Origin::Lost;
        let most = if is_lost { MAX_LOST } else { depth };
        let alike = |all: Vec<Kept>| {
            all.into_iter().filter(move |it| (it.origin == Origin::Lost) == is_lost)
        };
        let newest = alike(self.list()?).next();
        if most > 0 && newest.is_none_or(|it| it.revision != revision) {
            self.write(&format!("{}-{revision}.toml", origin.word()), text)?;
        }
        alike(self.list()?).skip(most).try_for_each(|it| fs::remove_file(it.path))
    }

    /// Whether an edit made a text, as against somebody else's save.
    pub(super) fn has_edit(&self, revision: Revision) -> bool {
        let made = |it: &Kept| it.revision == revision && it.origin == Origin::Edit;
        self.list().is_ok_and(|all| all.iter().any(made))
    }

    /// Keeps the patch of a lost edit; where.
    pub(super) fn keep_patch(&self, revision: Revision, patch: &str) -> io::Result<PathBuf> {
        let fresh = self.write(&format!("lost-{revision}.patch"), patch.as_bytes())?;
        let entries = fs::read_dir(&self.directory)?.filter_map(|it| Some(it.ok()?.path()));
        let mut all: Vec<_> =
            entries.filter(|it| it.extension().is_some_and(|it| it == "patch")).collect();
        all.sort();
        all.iter().rev().skip(MAX_LOST).try_for_each(fs::remove_file)?;
        Ok(fresh)
    }

    /// A file of this moment, for this user alone.
    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<PathBuf> {
        file::create_directory(&self.directory)?;
        let path = self.directory.join(format!("{}-{name}", Timestamp::now().strftime(TIME)));
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        file.write_all(bytes).inspect_err(|_| drop(fs::remove_file(&path)))?;
        Ok(path)
    }
}

impl Kept {
    pub fn read(&self) -> io::Result<String> {
        let bytes = file::read(&self.path, super::source::MAX_BYTES)?;
        if Revision::of(&bytes) != self.revision {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the kept text is damaged"));
        }
        String::from_utf8(bytes).map_err(|it| io::Error::new(io::ErrorKind::InvalidData, it))
    }
}

fn kept(entry: &fs::DirEntry) -> Option<Kept> {
    let name = entry.file_name().into_string().ok()?;
    let mut parts = name.strip_suffix(".toml")?.splitn(3, '-');
    let (at, word, revision) = (parts.next()?, parts.next()?, parts.next()?);
    let at = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%S.%fZ", at).ok()?;
    let at = jiff::tz::TimeZone::UTC.to_timestamp(at).ok()?;
    let origin = Origin::ALL.iter().find(|it| it.1 == word)?.0;
    let revision = Revision::parse(revision)?;
    Some(Kept { at, revision, origin, bytes: entry.metadata().ok()?.len(), path: entry.path() })
}
