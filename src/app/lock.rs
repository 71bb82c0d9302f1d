//! One writer of a config among all torods and their commands on this machine.

use std::{
    fs::File,
    io,
    path::Path,
    time::{Duration, Instant},
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

use crate::base::file;

const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(2);

/// Free when it is dropped, and when the process ends in whatever way.
#[derive(Debug)]
pub(super) struct Lock {
    _held: File,
}

impl Lock {
    /// Waits for the lock on the config's directory, which needs no file of its own; where that
    /// cannot be locked, on a file in the state directory.
    pub(super) fn take(directory: &Path, state_dir: &Path) -> io::Result<Self> {
        match File::open(directory).and_then(wait_for) {
            Err(error) if error.kind() != io::ErrorKind::TimedOut => {
                file::create_directory(state_dir)?;
                let path = state_dir.join("config.lock");
                let mut options = File::options();
                let file = options.create(true).append(true).open(path)?;
                wait_for(file)
            }
            other => other,
        }
    }
}

fn wait_for(file: File) -> io::Result<Lock> {
    let begin = Instant::now();
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Lock { _held: file }),
            Err(Errno::WOULDBLOCK | Errno::INTR) if begin.elapsed() < PATIENCE => {
                std::thread::sleep(PAUSE);
            }
            Err(Errno::WOULDBLOCK) => {
                let what = "another program is editing it and did not finish within 10 s";
                return Err(io::Error::new(io::ErrorKind::TimedOut, what));
            }
            Err(error) => return Err(error.into()),
        }
    }
}
