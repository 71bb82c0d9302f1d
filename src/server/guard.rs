//! A client's socket with patience that ends: for a first byte, a head, a body, a reader that does
//! not read.
//!
//! hyper's own timer knows the head only, and the same value is its keep-alive. Here each phase of
//! a connection has its own limit, and one timer serves them all: it is moved when it fires, not
//! per request.

use std::{
    future::Future as _,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

use crate::config::Limits;

/// An idle connection is kept for the client's next request.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// A client that takes nothing of its response.
const WRITE_STALL: Duration = Duration::from_mins(1);
/// A body that comes slower than this, in bytes per second, runs out of time.
const BODY_FLOOR: u64 = 16 * 1024;

/// What a connection waits for.
#[derive(Debug, Default)]
pub(super) struct Phase(AtomicU8);

const FRESH: u8 = 0;
const IDLE: u8 = 1;
const HEAD: u8 = 2;
const BODY: u8 = 3;
const BUSY: u8 = 4;

impl Phase {
    fn get(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, phase: u8) {
        self.0.store(phase, Ordering::Relaxed);
    }

    /// A request's head is read; its body follows or not.
    pub(super) fn head_read(&self, has_body: bool) {
        self.set(if has_body { BODY } else { BUSY });
    }

    /// No request is at work.
    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.get(), FRESH | IDLE)
    }

    pub(super) fn body_read(&self) {
        self.set(BUSY);
    }

    /// The response is over.
    pub(super) fn answered(&self) {
        self.set(IDLE);
    }
}

/// The limits that the config sets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    first_byte: Duration,
    head: Duration,
    body: Duration,
}

impl From<&Limits> for Patience {
    fn from(limits: &Limits) -> Self {
        Self {
            first_byte: Duration::from_secs(limits.first_byte_timeout_seconds),
            head: Duration::from_secs(limits.header_timeout_seconds),
            body: Duration::from_secs(limits.body_idle_seconds),
        }
    }
}

/// A socket that errs with `TimedOut` when the other side takes too long.
pub(super) struct Guarded<S> {
    socket: S,
    phase: Arc<Phase>,
    patience: Patience,
    /// The phase that was seen last, since when, and what came in it.
    seen: u8,
    since: Instant,
    last_read: Instant,
    received: u64,
    timer: Option<Pin<Box<Sleep>>>,
    stalled: Option<Pin<Box<Sleep>>>,
    /// Of the head: its last byte, the length of its last line, whether it is over.
    last_byte: u8,
    line: usize,
    head_over: bool,
}

impl<S> Guarded<S> {
    pub(super) fn new(socket: S, phase: Arc<Phase>, patience: Patience) -> Self {
        let now = Instant::now();
        Self {
            socket,
            phase,
            patience,
            seen: FRESH,
            since: now,
            last_read: now,
            received: 0,
            timer: None,
            stalled: None,
            last_byte: 0,
            line: 0,
            head_over: false,
        }
    }

    fn turn(&mut self, phase: u8) {
        if phase != self.seen {
            (self.seen, self.since, self.received) = (phase, Instant::now(), 0);
            self.last_read = self.since;
        }
    }

    /// Until when something has to come; `None` while nothing has to.
    fn until(&self) -> Option<Instant> {
        match self.seen {
            FRESH => Some(self.since + self.patience.first_byte),
            IDLE => Some(self.since + KEEP_ALIVE),
            HEAD => Some(self.since + self.patience.head),
            BODY => {
                let earned = Duration::from_secs(self.received / BODY_FLOOR);
                Some(
                    (self.last_read + self.patience.body)
                        .min(self.since + self.patience.body + earned),
                )
            }
            _ => None,
        }
    }

    fn poll_patience(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let Some(until) = self.until() else { return Poll::Pending };
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(until)));
            // A timer that fires early is moved then; one that would fire late is moved now.
            if timer.deadline() > until {
                timer.as_mut().reset(until);
            }
            if timer.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            if Instant::now() >= until {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            timer.as_mut().reset(until);
        }
    }

    /// A line of a head that ends without `\r` is read one way here and another way elsewhere.
    fn has_bare_line_end(&mut self, bytes: &[u8]) -> bool {
        let mut from = 0;
        for at in memchr::memchr_iter(b'\n', bytes) {
            if self.head_over {
                break; // what follows is the body
            }
            let before = if at == 0 { self.last_byte } else { bytes[at - 1] };
            if before != b'\r' {
                return true;
            }
            // An empty line, the `\r` alone, ends the head.
            self.head_over = self.line + (at - from) == 1;
            (self.line, from) = (0, at + 1);
        }
        self.line += bytes.len() - from;
        self.last_byte = bytes.last().copied().unwrap_or_default();
        false
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let it = self.get_mut();
        let phase = it.phase.get();
        // The socket alone knows that a head has begun, the service that it is complete.
        let phase = if it.seen == HEAD && matches!(phase, FRESH | IDLE) { HEAD } else { phase };
        it.turn(phase);
        let before = buffer.filled().len();
        match Pin::new(&mut it.socket).poll_read(context, buffer) {
            Poll::Ready(Ok(())) => {
                let fresh = &buffer.filled()[before..];
                if fresh.is_empty() {
                    return Poll::Ready(Ok(()));
                }
                if matches!(it.seen, FRESH | IDLE) {
                    (it.last_byte, it.line, it.head_over) = (0, 0, false);
                    it.phase.set(IDLE);
                    it.turn(HEAD);
                }
                let now = Instant::now();
                let wrong = if it.until().is_some_and(|it| now > it) {
                    Some(io::ErrorKind::TimedOut)
                } else if it.seen == HEAD && it.has_bare_line_end(fresh) {
                    Some(io::ErrorKind::InvalidData)
                } else {
                    None
                };
                it.received += fresh.len() as u64;
                it.last_read = now;
                match wrong {
                    None => Poll::Ready(Ok(())),
                    Some(kind) => {
                        buffer.set_filled(before);
                        Poll::Ready(Err(kind.into()))
                    }
                }
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => it.poll_patience(context),
        }
    }
}

impl<S: AsyncWrite + Unpin> Guarded<S> {
    /// A write that waits has until the stall limit.
    fn poll_stall<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let timer = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(WRITE_STALL)));
        match timer.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let it = self.get_mut();
        let written = Pin::new(&mut it.socket).poll_write(context, bytes);
        it.poll_stall(context, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let it = self.get_mut();
        let written = Pin::new(&mut it.socket).poll_write_vectored(context, pieces);
        it.poll_stall(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    fn guarded(socket: tokio::io::DuplexStream) -> (Guarded<tokio::io::DuplexStream>, Arc<Phase>) {
        let phase = Arc::new(Phase::default());
        let limits = Limits {
            first_byte_timeout_seconds: 1,
            header_timeout_seconds: 2,
            body_idle_seconds: 3,
            ..Limits::default()
        };
        (Guarded::new(socket, Arc::clone(&phase), Patience::from(&limits)), phase)
    }

    async fn seconds_until_cut(guarded: &mut Guarded<tokio::io::DuplexStream>) -> u64 {
        let start = Instant::now();
        let error = guarded.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        start.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn each_phase_has_its_own_patience() {
        let (mut client, socket) = duplex(64);
        let (mut guarded, phase) = guarded(socket);
        assert_eq!(seconds_until_cut(&mut guarded).await, 1, "no first byte");
        client.write_all(b"GET").await.unwrap();
        guarded.read_exact(&mut [0; 3]).await.unwrap();
        assert_eq!(seconds_until_cut(&mut guarded).await, 2, "half a head");
        phase.head_read(true);
        assert_eq!(seconds_until_cut(&mut guarded).await, 3, "no body");
        phase.body_read();
        let waiting = tokio::time::timeout(Duration::from_hours(1), guarded.read_u8()).await;
        assert!(waiting.is_err(), "a request at work has no limit here");
        phase.answered();
        assert_eq!(seconds_until_cut(&mut guarded).await, 75, "keep-alive");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_cut_after_a_minute() {
        let (mut client, socket) = duplex(64);
        let (mut guarded, phase) = guarded(socket);
        phase.head_read(false);
        guarded.write_all(&[0; 64]).await.unwrap();
        // One that takes a little now and then is not cut.
        for _ in 0..5 {
            let mut taken = [0; 16];
            let slow = async {
                tokio::time::sleep(WRITE_STALL * 2 / 3).await;
                client.read_exact(&mut taken).await
            };
            let (written, read) = tokio::join!(guarded.write_all(&[0; 16]), slow);
            assert!(written.is_ok() && read.is_ok());
        }
        let start = Instant::now();
        let error = guarded.write_all(&[0; 16]).await.unwrap_err();
        assert_eq!((error.kind(), start.elapsed().as_secs()), (io::ErrorKind::TimedOut, 60));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_dribbles_runs_out_of_time() {
        let (mut client, socket) = duplex(64);
        let (mut guarded, phase) = guarded(socket);
        phase.head_read(true);
        let start = Instant::now();
        while client.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if guarded.read_u8().await.is_err() {
                break;
            }
            assert!(start.elapsed().as_secs() < 10);
        }
        let end = tokio::time::timeout(Duration::from_secs(5), guarded.read_u8()).await.unwrap();
        assert_eq!(end.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_bare_line_end_in_a_head_is_refused() {
        for (head, fits) in [
            ("GET / HTTP/1.1\r\nhost: a\r\n\r\n{\n", true),
            ("GET / HTTP/1.1\nhost: a\r\n\r\n", false),
            ("GET / HTTP/1.1\r\nhost: a\n\r\n", false),
        ] {
            let (mut client, socket) = duplex(64);
            let (mut guarded, _) = guarded(socket);
            client.write_all(head.as_bytes()).await.unwrap();
            drop(client);
            let read = guarded.read_to_end(&mut Vec::new()).await;
            assert_eq!(read.is_ok(), fits, "{head:?}");
        }
    }
}
