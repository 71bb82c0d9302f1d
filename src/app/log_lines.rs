//! Log lines on their way to stderr: a request only appends to a buffer, a thread of its own writes
//! what has gathered. A reader of stderr that stalls costs lines, never requests.

use std::{
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tracing_subscriber::fmt::MakeWriter;

/// Lines that come within this go out in one write.
const GATHER: Duration = Duration::from_millis(10);
/// More is not kept for a reader that does not read.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// So long the end of the process waits for the last lines.
const LAST_LINES: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
struct Buffer {
    bytes: Vec<u8>,
    dropped: u64,
    /// The thread is writing what it took.
    writing: bool,
}

#[derive(Debug, Default)]
struct Shared {
    buffer: Mutex<Buffer>,
    filled: Condvar,
    written: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where lines are written to; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct LogLines(Arc<Shared>);

/// Waits for the last lines when it is dropped.
#[derive(Debug)]
pub struct Guard(LogLines);

impl LogLines {
    /// Starts the thread that writes; it ends with the process.
    pub(super) fn to_stderr() -> (Self, Guard) {
        let lines = Self::default();
        let own = lines.clone();
        let thread = std::thread::Builder::new().name("log".to_owned());
        // Without the thread, lines gather and are dropped: there is nobody to tell.
        let _ = thread.spawn(move || own.write_all_to(&mut io::stderr()));
        (lines.clone(), Guard(lines))
    }

    /// What gathered so far.
    #[cfg(test)]
    pub(super) fn taken(&self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.0.lock().bytes)).into_owned()
    }

    fn write_all_to(&self, out: &mut impl io::Write) {
        let mut taken = Vec::new();
        loop {
            let mut buffer = self.0.lock();
            while buffer.bytes.is_empty() {
                buffer = self.0.filled.wait(buffer).unwrap_or_else(PoisonError::into_inner);
            }
            drop(buffer);
            std::thread::sleep(GATHER);
            let mut buffer = self.0.lock();
            std::mem::swap(&mut buffer.bytes, &mut taken);
            let dropped = std::mem::take(&mut buffer.dropped);
            buffer.writing = true;
            drop(buffer);
            let _ = out.write_all(&taken);
            if dropped > 0 {
                let _ = writeln!(out, "{dropped} log lines were dropped: nobody read them");
            }
            taken.clear();
            taken.shrink_to(64 * 1024);
            self.0.lock().writing = false;
            self.0.written.notify_all();
        }
    }
}

impl io::Write for LogLines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut buffer = self.0.lock();
        if buffer.bytes.len() + bytes.len() > MAX_BYTES {
            buffer.dropped += 1;
            return Ok(bytes.len());
        }
        let was_empty = buffer.bytes.is_empty();
        buffer.bytes.extend_from_slice(bytes);
        drop(buffer);
        if was_empty {
            self.0.filled.notify_one();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for LogLines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let shared = &self.0.0;
        let pending = |it: &mut Buffer| it.writing || !it.bytes.is_empty();
        let _ = shared.written.wait_timeout_while(shared.lock(), LAST_LINES, pending);
    }
}
