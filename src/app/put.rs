//! Putting a text at the config's path, beside editors that know nothing of us.
//!
//! Nobody can be kept from saving between our read and our write, so nothing is replaced unseen: the
//! new file and the one at the path change places in one step, and what came out is looked at.
//!
//! - **It is what was read**: the edit is done.
//! - **It is something else**: a save came between. The two change places again, and the edit begins
//!   anew with that text. An editor that was writing to it in place goes on doing so at the path. In
//!   the moment between, the path had our text without that save: somebody may have read that and
//!   save over the other later. So what came out is returned, for the caller to keep and to miss.
//! - **Something else comes out then, too**: somebody saved over ours in that moment. It is the newest
//!   text, so it goes back, and so on, until what comes out is what was put in last. The saves that
//!   lost their place by this are returned: the caller keeps them.
//! - **An editor opened the old file before the exchange and writes to it after our look**: the file
//!   is held open and looked at again, see `app::editor`.
//! - **A crash** between the exchange and the look leaves what came out beside the config, under a
//!   name that tells the two texts of the edit: [`Place::sweep`] knows a save by that and puts it
//!   back. Before the exchange it leaves a file that nobody misses.
//! - **The path has nothing** (vim moves the file away before it writes the new one): the edit begins
//!   anew.
//!
//! Two files are the same when inode and bytes are. Each is held open as long as it is compared, so
//! no inode is given away and taken for another's. Where the file system cannot exchange, the file is
//! read again just before the rename; where the path cannot be renamed over, see `app::journal`.

use std::{
    fs,
    io::{self, ErrorKind},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Access, access},
    io::Errno,
};
use tempfile::TempPath;

use super::{journal::Journal, source::MAX_BYTES};
use crate::{
    base::{
        digest,
        file::{
            self,
            held::{Held, exchange, rename_new},
            like, sync_directory,
        },
        hex,
    },
    config::Revision,
};

/// A new text that is not whole yet: of no worth when it is left over.
const FRESH: &str = ".torod-fresh-";
/// The other file of an exchange: `.torod-edit-<old>-<new>-<random>`.
const ASIDE: &str = ".torod-edit-";
/// Digits of a revision in that name.
const DIGITS: usize = 16;
/// More saves in the moment of one edit are no editor.
const MAX_TURNS: usize = 1000;

/// How a text gets to the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Exchange,
    /// Without seeing what was there last.
    Rename,
    InPlace,
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Put {
    /// The text is at the path; what was there, held open.
    Done(Option<Held>),
    /// The path has what somebody else saved meanwhile.
    Changed(Displaced),
}

/// Saves of others that were away from the path for a moment.
#[derive(Debug, Default)]
pub(super) struct Displaced {
    /// It was put back.
    pub(super) back: Option<Vec<u8>>,
    /// A later one is at the path.
    pub(super) lost: Vec<Vec<u8>>,
}

/// Where the config is once all links are followed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) target: PathBuf,
    pub(super) directory: PathBuf,
}

/// What a name leads to, readable or not.
struct Stand {
    inode: (u64, u64),
    held: Option<Held>,
}

impl Stand {
    fn at(path: &Path) -> io::Result<Self> {
        let held = Held::open(path, MAX_BYTES).ok();
        let meta = match &held {
            Some(it) => it.file.metadata()?,
            None => path.symlink_metadata()?,
        };
        Ok(Self { inode: (meta.dev(), meta.ino()), held })
    }

    fn bytes(&self) -> Option<&[u8]> {
        self.held.as_ref().map(|it| it.bytes.as_slice())
    }

    fn is(&self, other: &Self) -> bool {
        self.inode == other.inode && self.bytes() == other.bytes()
    }
}

impl Place {
    pub(super) fn find(path: &Path) -> io::Result<Self> {
        let target = match fs::canonicalize(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let name = path.file_name().ok_or(ErrorKind::InvalidInput)?;
                let directory = file::directory_of(path);
                // Not even a directory: the first text will make it.
                fs::canonicalize(directory).unwrap_or_else(|_| directory.to_owned()).join(name)
            }
            found => found?,
        };
        Ok(Self { directory: file::directory_of(&target).to_owned(), target })
    }

    /// Its directory takes a new file; where only the file is mounted, the file takes a new text.
    pub(super) fn is_writable(&self) -> bool {
        let may = |path: &Path| access(path, Access::WRITE_OK).is_ok();
        let may_make = |path: &Path| may(path) || !path.exists();
        may_make(&self.target) && (may_make(&self.directory) || is_mount(&self.target))
    }

    pub(super) fn read(&self) -> io::Result<Held> {
        Held::open(&self.target, MAX_BYTES)
    }

    /// Puts the text where `read` was; nothing changed when this is an error.
    pub(super) fn put(
        &self,
        read: Option<Held>,
        bytes: &[u8],
        way: Way,
        state_dir: &Path,
    ) -> io::Result<Put> {
        let Some(read) = read else { return self.create(bytes) };
        if way == Way::InPlace {
            return self.put_in_place(&read, bytes, state_dir);
        }
        let fresh = like::fresh(&self.directory, FRESH, bytes, Some(&read.file))?;
        if !self.read().and_then(|it| it.is(&read)).unwrap_or(false) {
            return Ok(Put::Changed(Displaced::default()));
        }
        if way == Way::Rename {
            return self.put_unseen(fresh.into_temp_path(), read);
        }
        let ours = Stand::at(fresh.path())?;
        let aside = set_aside(fresh.into_temp_path(), &read.bytes, bytes)?;
        match exchange(&aside, &self.target) {
            Ok(()) => self.look(aside, &read, ours),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Ok(Put::Changed(Displaced::default()))
            }
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                    self.put_unseen(aside, read)
                }
                Some(Errno::BUSY | Errno::XDEV) => self.put_in_place(&read, bytes, state_dir),
                _ => Err(error),
            },
        }
    }

    /// A first text; 0600.
    fn create(&self, bytes: &[u8]) -> io::Result<Put> {
        file::create_directory(&self.directory)?;
        let fresh = like::fresh(&self.directory, FRESH, bytes, None)?;
        match fresh.persist_noclobber(&self.target) {
            Ok(_) => sync_directory(&self.directory).map(|()| Put::Done(None)),
            Err(it) if it.error.kind() == ErrorKind::AlreadyExists => {
                Ok(Put::Changed(Displaced::default()))
            }
            Err(it) => Err(it.error),
        }
    }

    /// What came out of the exchange, and what follows from it.
    fn look(&self, aside: TempPath, read: &Held, ours: Stand) -> io::Result<Put> {
        let out = Stand::at(&aside).ok();
        let is_known = out.as_ref().and_then(Stand::bytes) == Some(&read.bytes);
        let synced = if is_known { sync_directory(&self.directory) } else { Ok(()) };
        if is_known && synced.is_ok() {
            return Ok(Put::Done(out.and_then(|it| it.held)));
        }
        match self.put_back(&aside, ours) {
            Ok(displaced) => synced.map(|()| Put::Changed(displaced)),
            Err(error) => {
                // Whatever it is, it is not ours to remove.
                let _ = aside.keep();
                Err(error)
            }
        }
    }

    /// Puts back what came out for ours, and what comes out for that, until the newest save is at the
    /// path.
    fn put_back(&self, aside: &Path, ours: Stand) -> io::Result<Displaced> {
        let (mut put, mut is_ours, mut lost) = (ours, true, Vec::new());
        for _ in 0..MAX_TURNS {
            let newer = Stand::at(aside)?;
            let came = match exchange(aside, &self.target) {
                Ok(()) => Some(Stand::at(aside)?),
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    match rename_new(aside, &self.target) {
                        Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                        renamed => renamed?,
                    }
                    None
                }
                Err(error) => return Err(error),
            };
            let is_done = came.as_ref().is_none_or(|it| it.is(&put));
            if !is_ours {
                lost.extend(put.held.map(|it| it.bytes));
            }
            if is_done {
                sync_directory(&self.directory)?;
                return Ok(Displaced { back: newer.held.map(|it| it.bytes), lost });
            }
            (put, is_ours) = (newer, false);
        }
        Err(ErrorKind::ResourceBusy.into())
    }

    /// Renames over a file that was as it was read a moment ago.
    fn put_unseen(&self, fresh: TempPath, read: Held) -> io::Result<Put> {
        if !self.read().and_then(|it| it.is(&read)).unwrap_or(false) {
            return Ok(Put::Changed(Displaced::default()));
        }
        match fresh.persist(&self.target) {
            Ok(()) => sync_directory(&self.directory).map(|()| Put::Done(Some(read))),
            Err(it) => Err(it.error),
        }
    }

    fn put_in_place(&self, read: &Held, bytes: &[u8], state_dir: &Path) -> io::Result<Put> {
        let written = Journal::new(state_dir, &self.target).write(read, bytes)?;
        // It was not displaced: what is written to it now is seen at the path.
        Ok(if written { Put::Done(None) } else { Put::Changed(Displaced::default()) })
    }

    /// Clears what a crash left, and returns saves that are not at the path. Only while the lock is
    /// held: then no edit is under way.
    pub(super) fn sweep(&self) -> io::Result<Vec<Vec<u8>>> {
        let mut lost = Vec::new();
        for entry in fs::read_dir(&self.directory)?.filter_map(Result::ok) {
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if name.starts_with(FRESH) {
                let _ = fs::remove_file(entry.path());
            } else if let Some(rest) = name.strip_prefix(ASIDE) {
                lost.extend(self.sweep_aside(&entry.path(), rest)?);
            }
        }
        Ok(lost)
    }

    fn sweep_aside(&self, aside: &Path, name: &str) -> io::Result<Vec<Vec<u8>>> {
        let mut parts = name.split('-');
        let (Some(old), Some(new)) = (parts.next(), parts.next()) else { return Ok(Vec::new()) };
        let begins = |bytes: &[u8], with: &str| {
            with.len() == DIGITS && hex(&digest(bytes)).starts_with(with)
        };
        let Ok(left) = Held::open(aside, MAX_BYTES) else { return Ok(Vec::new()) };
        let mut lost = Vec::new();
        if !begins(&left.bytes, old) && !begins(&left.bytes, new) {
            let stand = Stand::at(&self.target);
            match stand.ok().filter(|it| it.bytes().is_some_and(|it| begins(it, new))) {
                Some(ours) => lost = self.put_back(aside, ours)?.lost,
                None => lost.push(left.bytes),
            }
        }
        match fs::remove_file(aside) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(lost),
        }
    }
}

/// Names the file by the two texts of the edit.
fn set_aside(fresh: TempPath, old: &[u8], new: &[u8]) -> io::Result<TempPath> {
    let short = |it: &[u8]| Revision::of(it).to_string()[..DIGITS].to_owned();
    let name = fresh.file_name().and_then(|it| it.to_str()).unwrap_or_default();
    let random = name.trim_start_matches(FRESH);
    let aside = fresh.with_file_name(format!("{ASIDE}{}-{}-{random}", short(old), short(new)));
    fresh.persist(&aside).map_err(|it| it.error)?;
    TempPath::try_from_path(aside)
}

/// A single file that is mounted cannot be renamed over.
#[cfg(target_os = "linux")]
pub(super) fn is_mount(target: &Path) -> bool {
    use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
    let found = statx(CWD, target, AtFlags::empty(), StatxFlags::empty());
    found.is_ok_and(|it| it.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn is_mount(_target: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    fn place() -> (tempfile::TempDir, Place) {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("t");
        fs::write(&target, "").unwrap();
        (dir, Place::find(&target).unwrap())
    }

    /// Adds a line to what it read, without a pause; the lines.
    fn editor(target: &Path, until: &AtomicBool) -> Vec<String> {
        let (fresh, mut lines) = (target.with_extension("by-hand"), Vec::new());
        while !until.load(Ordering::Relaxed) {
            let text = fs::read_to_string(target).unwrap();
            let line = format!("by hand {}\n", lines.len());
            fs::write(&fresh, text + &line).unwrap();
            fs::rename(&fresh, target).unwrap();
            lines.push(line);
            std::thread::sleep(std::time::Duration::from_micros(50));
        }
        lines
    }

    #[test]
    fn no_save_is_destroyed_by_a_writer_in_a_hurry() {
        let (dir, place) = place();
        let until = AtomicBool::new(false);
        let (mut met, mut kept) = (0, Vec::new());
        let lines = std::thread::scope(|scope| {
            let by_hand = scope.spawn(|| editor(&place.target, &until));
            let mut at = 0;
            while met < 3 && at < 20_000 {
                at += 1;
                let read = place.read().unwrap();
                let text = [&read.bytes[..], format!("ours {at}\n").as_bytes()].concat();
                match place.put(Some(read), &text, Way::Exchange, dir.path()).unwrap() {
                    Put::Done(_) => {}
                    Put::Changed(Displaced { back, lost }) => {
                        met += usize::from(back.is_some());
                        kept.extend(back.into_iter().chain(lost));
                    }
                }
            }
            until.store(true, Ordering::Relaxed);
            by_hand.join().unwrap()
        });
        let text = fs::read_to_string(&place.target).unwrap();
        let kept: Vec<_> = kept.iter().map(|it| String::from_utf8_lossy(it)).collect();
        for line in &lines {
            let is_kept = text.contains(line) || kept.iter().any(|it| it.contains(line));
            assert!(is_kept, "{line:?} of {} is gone", lines.len());
        }
        assert_eq!(met, 3, "they hardly ever met");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left over");
    }

    #[test]
    fn the_newest_save_is_at_the_path_and_those_before_it_are_returned() {
        // Ours was put, `first` came out. Then somebody saved over ours, or moved it away.
        for (saved_over, at_path, lost) in [
            (None, "first", None),
            (Some("second"), "second", Some("first")),
            (Some(""), "", Some("first")),
        ] {
            for in_place in [false, true] {
                let (dir, place) = place();
                fs::write(&place.target, "ours").unwrap();
                let ours = Stand::at(&place.target).unwrap();
                let aside = dir.path().join("aside");
                fs::write(&aside, "first").unwrap();
                if let Some(text) = saved_over {
                    let path = if in_place { place.target.clone() } else { dir.path().join("x") };
                    fs::write(&path, text).unwrap();
                    fs::rename(&path, &place.target).unwrap();
                }
                let Displaced { back, lost: found } = place.put_back(&aside, ours).unwrap();
                assert_eq!(back.unwrap(), at_path.as_bytes());
                assert_eq!(fs::read_to_string(&place.target).unwrap(), at_path);
                assert_eq!(
                    found,
                    lost.map(|it| it.as_bytes().to_vec()).into_iter().collect::<Vec<_>>()
                );
            }
        }
        let (dir, place) = place();
        let (aside, ours) = (dir.path().join("aside"), Stand::at(&place.target).unwrap());
        fs::write(&aside, "first").unwrap();
        fs::rename(&place.target, dir.path().join("t~")).unwrap();
        assert_eq!(place.put_back(&aside, ours).unwrap().lost, Vec::<Vec<u8>>::new());
        assert_eq!(fs::read_to_string(&place.target).unwrap(), "first");
    }

    #[test]
    fn what_a_crash_left_is_cleared_and_a_save_in_it_is_put_back() {
        // What the path has, what is left beside it, and what the path has then.
        for (at_path, aside, wanted, lost) in [
            ("new", "old", "new", None),
            ("old", "new", "old", None),
            ("new", "saved", "saved", None),
            ("saved later", "saved", "saved later", Some("saved")),
        ] {
            let (dir, place) = place();
            fs::write(&place.target, at_path).unwrap();
            let fresh = like::fresh(&place.directory, FRESH, aside.as_bytes(), None).unwrap();
            let left = set_aside(fresh.into_temp_path(), b"old", b"new").unwrap().keep().unwrap();
            fs::write(dir.path().join(format!("{FRESH}1")), "ne").unwrap();
            fs::write(dir.path().join(format!("{ASIDE}somebody's")), "own").unwrap();
            let found = place.sweep().unwrap();
            assert_eq!(
                found,
                lost.map(|it| it.as_bytes().to_vec()).into_iter().collect::<Vec<_>>()
            );
            assert_eq!(fs::read_to_string(&place.target).unwrap(), wanted, "{at_path} {aside}");
            assert!(!left.exists());
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "what is not ours stays");
        }
    }
}
