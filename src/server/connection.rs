//! Accepting, and serving what was accepted.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::Request;
use http_body::Body as _;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    sync::Notify,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    guard::{Guarded, Patience, Phase},
    layers::Server,
};
use crate::door::Peer;

/// A socket that listens.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
    /// Only this user may connect, as an admin.
    Control(UnixListener),
}

/// All connections of the process.
#[derive(Debug, Clone, Default)]
pub(super) struct Connections {
    open: Arc<AtomicUsize>,
    freed: Arc<Notify>,
    pub(super) tasks: TaskTracker,
}

/// One connection's room.
struct Room(Connections);

impl Drop for Room {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
        self.0.freed.notify_one();
    }
}

impl Connections {
    fn enter(&self) -> Room {
        self.open.fetch_add(1, Ordering::Relaxed);
        Room(self.clone())
    }

    /// Waits while there are as many as may be; the next ones wait in the kernel's queue.
    async fn room(&self, most: usize) {
        while self.open.load(Ordering::Relaxed) >= most {
            // Bounded, since a notification may have been meant for another listener.
            let _ = tokio::time::timeout(Duration::from_millis(100), self.freed.notified()).await;
        }
    }
}

/// So long after a stop a request may still arrive whole.
const LAST_HEAD: Duration = Duration::from_millis(300);
/// Descriptors that files, providers and the admin need beside the clients' connections.
const RESERVED_FDS: usize = 64;

/// Each client may need a connection to a provider too.
fn most(server: &Server, fds: usize) -> usize {
    let configured = server.app.live.snapshot().config.limits.max_connections;
    configured.min(fds.saturating_sub(RESERVED_FDS) / 2).max(4)
}

/// Accepts until told to stop. No error ends it: a full table of descriptors is waited out.
pub(super) async fn accept(
    socket: Socket,
    server: Server,
    connections: Connections,
    stop: CancellationToken,
    fds: usize,
) {
    let mut pause = Duration::from_millis(50);
    loop {
        let next = async {
            connections.room(most(&server, fds)).await;
            next(&socket).await
        };
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = next => accepted,
        };
        match accepted {
            Ok(Some((stream, peer))) => {
                pause = Duration::from_millis(50);
                let serving =
                    serve(stream, peer, server.clone(), connections.enter(), stop.clone());
                connections.tasks.spawn(serving);
            }
            Ok(None) => {} // not this user
            Err(error) if is_of_the_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept; waiting");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(1));
            }
        }
    }
}

/// The client's error, gone with its connection.
fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

async fn next(socket: &Socket) -> io::Result<Option<(Box<dyn Stream>, Peer)>> {
    Ok(match socket {
        Socket::Tcp(listener) => {
            let (stream, peer) = listener.accept().await?;
            // Without it small chunks wait for the client's acknowledgement.
            let _ = stream.set_nodelay(true);
            Some((Box::new(stream), Peer::Tcp(peer)))
        }
        Socket::Unix(listener) => Some((Box::new(listener.accept().await?.0), Peer::Unix)),
        Socket::Control(listener) => {
            let (stream, _) = listener.accept().await?;
            let user = stream.peer_cred()?.uid();
            let own = rustix::process::geteuid().as_raw();
            (user == own || user == 0).then(|| (Box::new(stream) as Box<dyn Stream>, Peer::Control))
        }
    })
}

async fn serve(
    stream: Box<dyn Stream>,
    peer: Peer,
    server: Server,
    room: Room,
    stop: CancellationToken,
) {
    let phase = Arc::new(Phase::default());
    let patience = Patience::from(&server.app.live.snapshot().config.limits);
    let guarded = Guarded::new(stream, Arc::clone(&phase), patience);
    let service = service_fn(|request: Request<Incoming>| {
        // Now, not when it is first polled: the next bytes of the socket are no head.
        phase.head_read(!request.body().is_end_stream());
        let (server, phase) = (&server, Arc::clone(&phase));
        // Boxed, since hyper keeps the room of what it polls as long as the connection: a stream
        // that is held open should not hold that of its request too.
        Box::pin(async move {
            Ok::<_, std::convert::Infallible>(server.serve(peer, phase, request).await)
        })
    });
    let connection = http1::Builder::new()
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(guarded), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            // What was sent before the stop is read and answered; half a head is not waited for.
            match tokio::time::timeout(LAST_HEAD, connection.as_mut()).await {
                Ok(ended) => ended,
                Err(_) if phase.is_waiting() => Ok(()),
                Err(_) => connection.await,
            }
        }
    };
    if let Err(error) = ended {
        tracing::trace!(%error, "connection ended");
    }
    drop(room);
}
