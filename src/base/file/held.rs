//! A file as it was read, held open, and changing places with another.

use std::{
    fs::{File, OpenOptions},
    io::{self, Seek as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustix::fs::{CWD, OFlags, RenameFlags, renameat_with};

use super::read_open;
use crate::base::digest;

/// A file that was read. While it is held its inode is no other file's, and what is written to it
/// can be seen, whatever became of its name.
#[derive(Debug)]
pub struct Held {
    pub file: File,
    /// As they were read last.
    pub bytes: Vec<u8>,
}

impl Held {
    /// Follows no link, and waits for nobody at the other end of a pipe.
    pub fn open(path: &Path, limit: u64) -> io::Result<Self> {
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
        let bytes = read_open(&file, limit)?;
        Ok(Self { file, bytes })
    }

    /// Reads it again; whether it is as it was.
    pub fn look_again(&mut self, limit: u64) -> io::Result<bool> {
        (&self.file).rewind()?;
        let now = read_open(&self.file, limit)?;
        let same = now == self.bytes;
        self.bytes = now;
        Ok(same)
    }

    /// The same file with the same bytes.
    pub fn is(&self, other: &Self) -> io::Result<bool> {
        let (a, b) = (self.file.metadata()?, other.file.metadata()?);
        Ok((a.dev(), a.ino()) == (b.dev(), b.ino()) && self.bytes == other.bytes)
    }

    /// How long it was not touched, by the one time that no program can set. None where the clock
    /// of the file system is ahead of ours.
    pub fn age(&self) -> io::Result<Option<Duration>> {
        let meta = self.file.metadata()?;
        let seconds = u64::try_from(meta.ctime()).unwrap_or_default();
        let nanos = u32::try_from(meta.ctime_nsec()).unwrap_or_default();
        let touched = UNIX_EPOCH + Duration::new(seconds, nanos);
        Ok(SystemTime::now().duration_since(touched).ok())
    }

    pub fn digest(&self) -> [u8; 32] {
        digest(&self.bytes)
    }
}

/// The two names change places in one step: there is no moment without either.
pub fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
}

/// A rename that replaces nothing.
pub fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    Ok(renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?)
}
