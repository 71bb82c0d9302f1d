//! Writing in place, where no other file can take the path: a single file that is mounted.
//!
//! A crash in the middle leaves neither text, so both are kept in the state directory until the
//! new one is on the disk. The next edit or start looks at what the crash left: one of the two
//! texts, which is right, or a mixture of them, which becomes the new text. Anything else was saved
//! by somebody after the crash and stays.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

use super::source::MAX_BYTES;
use crate::base::{
    digest,
    file::{self, held::Held},
    hex,
};

/// What is to become of a file, until it has.
#[derive(Debug)]
pub(super) struct Journal<'a> {
    state_dir: &'a Path,
    target: &'a Path,
}

#[derive(Serialize, Deserialize)]
struct Note {
    target: PathBuf,
    old: String,
    new: String,
}

impl<'a> Journal<'a> {
    pub(super) fn new(state_dir: &'a Path, target: &'a Path) -> Self {
        Self { state_dir, target }
    }

    /// One a target, so that two torods with one state directory do not meet in it.
    fn path(&self) -> PathBuf {
        let name = hex(&digest(self.target.as_os_str().as_encoded_bytes()));
        self.state_dir.join(format!("config-{}.journal", &name[..16]))
    }

    /// Writes over what was read; false when somebody else writes it at the same time.
    pub(super) fn write(&self, read: &Held, bytes: &[u8]) -> io::Result<bool> {
        let note = Note {
            target: self.target.to_owned(),
            old: BASE64.encode(&read.bytes),
            new: BASE64.encode(bytes),
        };
        file::create_directory(self.state_dir)?;
        file::replace(&self.path(), &serde_json::to_vec(&note)?)?;
        if !Held::open(self.target, MAX_BYTES)?.is(read)? {
            self.drop()?;
            return Ok(false);
        }
        if let Err(error) = reserve(self.target, bytes.len(), read.bytes.len())
            .and_then(|()| overwrite(self.target, bytes))
        {
            // Its blocks are there still. Should even this fail, the journal has both texts.
            overwrite(self.target, &read.bytes)?;
            self.drop()?;
            return Err(error);
        }
        let same = Held::open(self.target, MAX_BYTES)?.bytes == bytes;
        self.drop()?;
        Ok(same)
    }

    /// Finishes what a crash left.
    pub(super) fn replay(&self) -> io::Result<()> {
        let note = match file::read(&self.path(), 4 * MAX_BYTES) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            read => serde_json::from_slice::<Note>(&read?)?,
        };
        let text = |it: &str| BASE64.decode(it.as_bytes()).map_err(io::Error::other);
        let (old, new) = (text(&note.old)?, text(&note.new)?);
        let now = Held::open(self.target, MAX_BYTES)?.bytes;
        if is_torn(&now, &old, &new) {
            tracing::warn!(path = %self.target.display(), "finishing an edit that a crash cut short");
            overwrite(self.target, &new)?;
        }
        self.drop()
    }

    fn drop(&self) -> io::Result<()> {
        std::fs::remove_file(self.path())?;
        file::sync_directory(self.state_dir)
    }
}

/// Neither text, but made of the two, or of what a file has where nothing was written yet.
fn is_torn(now: &[u8], old: &[u8], new: &[u8]) -> bool {
    let lengths = old.len().min(new.len())..=old.len().max(new.len());
    let fits = |(at, byte): (usize, &u8)| {
        *byte == 0 || old.get(at) == Some(byte) || new.get(at) == Some(byte)
    };
    now != old && now != new && lengths.contains(&now.len()) && now.iter().enumerate().all(fits)
}

fn open(target: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).open(target)
}

/// Room for the new text before the old one is touched, where the file system can say.
fn reserve(target: &Path, size: usize, old: usize) -> io::Result<()> {
    use rustix::{
        fs::{FallocateFlags, fallocate},
        io::Errno,
    };
    let (size, old) = (size as u64, old as u64);
    if size <= old {
        return Ok(());
    }
    match fallocate(open(target)?, FallocateFlags::KEEP_SIZE, old, size - old) {
        Err(error @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) => Err(error.into()),
        _ => Ok(()),
    }
}

fn overwrite(target: &Path, bytes: &[u8]) -> io::Result<()> {
    let file = open(target)?;
    file.write_all_at(bytes, 0)?;
    file.set_len(bytes.len() as u64)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_a_crash_left_is_finished_and_what_somebody_saved_stays() {
        let (old, new) = ("a = 1\nb = 2\nc = 3\n", "a = 1\nb = 222\nc = 3\nd = 4\n");
        let torn = |at: usize| [&new[..at], old.get(at..).unwrap_or("")].concat();
        let mut cases = vec![
            (old.to_owned(), old),
            (new.to_owned(), new),
            (format!("{}\0\0\0\0", &new[..20]), new),
            ("a = 1\nb = 2\n".to_owned(), "a = 1\nb = 2\n"),
            ("a = 9\nb = 2\nc = 3\n".to_owned(), "a = 9\nb = 2\nc = 3\n"),
            (format!("{new}e = 5\n"), "a = 1\nb = 222\nc = 3\nd = 4\ne = 5\n"),
        ];
        cases.extend((12..new.len()).map(|at| (torn(at), new)));
        for (left, wanted) in cases {
            let dir = tempfile::tempdir().unwrap();
            let (target, state) = (dir.path().join("t"), dir.path().join("state"));
            let journal = Journal::new(&state, &target);
            let note = Note {
                target: target.clone(),
                old: BASE64.encode(old.as_bytes()),
                new: BASE64.encode(new.as_bytes()),
            };
            file::create_directory(&state).unwrap();
            fs::write(journal.path(), serde_json::to_vec(&note).unwrap()).unwrap();
            fs::write(&target, &left).unwrap();
            journal.replay().unwrap();
            assert_eq!(fs::read_to_string(&target).unwrap(), wanted, "left: {left}");
            assert_eq!(fs::read_dir(&state).unwrap().count(), 0, "the journal is gone");
        }
    }
}
