//! The set of open sockets follows the config: new ones first, then those that are gone are
//! drained. One that cannot be opened is a problem in the status, and closes nothing.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    os::unix::fs::{FileTypeExt as _, PermissionsExt as _},
    path::Path,
    sync::Arc,
    time::Duration,
};

use socket2::{Domain, Protocol, Socket as RawSocket, Type};
use tokio::net::{TcpListener, UnixListener};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    connection::{Connections, Socket, accept},
    layers::Server,
};
use crate::{
    app,
    config::{Address, Problem, Severity},
    upstream::connect::is_listening,
};

const BACKLOG: i32 = 1024;
/// An address that could not be opened is tried again after this.
const AGAIN: Duration = Duration::from_secs(2);

/// One open socket.
#[derive(Debug)]
struct Open {
    /// Where it really listens: port 0 is any free port.
    local: Address,
    stop: CancellationToken,
    accepting: TaskTracker,
}

/// The set, and what it is made with.
#[derive(Debug)]
pub(super) struct Listeners {
    server: Server,
    connections: Connections,
    open: BTreeMap<Address, Open>,
    /// Sockets that systemd opened for us, until they are started.
    given: Vec<(Address, Socket)>,
    /// Their addresses: they are served for good, whatever the file says.
    kept: Vec<Address>,
    fds: usize,
}

/// An address that could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}")]
pub struct BindError {
    pub address: Address,
    #[source]
    pub source: io::Error,
}

impl Listeners {
    pub(super) fn new(server: Server, connections: Connections, fds: usize) -> Self {
        Self {
            server,
            connections,
            open: BTreeMap::new(),
            given: activated(),
            kept: Vec::new(),
            fds,
        }
    }

    /// Opens what is wanted and not open, then closes what is open and not wanted.
    pub(super) async fn apply(&mut self, wanted: &[Address]) -> Result<(), BindError> {
        let mut wanted = wanted.to_vec();
        for (address, socket) in std::mem::take(&mut self.given) {
            self.kept.push(address.clone());
            self.start(address.clone(), socket, Some(address))?;
        }
        wanted.extend(self.kept.iter().cloned());
        for address in &wanted {
            if self.open.contains_key(address) || self.open.values().any(|it| it.local == *address)
            {
                continue;
            }
            let socket = match bind(address) {
                Ok(socket) => socket,
                Err(source) if source.kind() == io::ErrorKind::AddrInUse => {
                    self.bind_over(address, &wanted, source).await?
                }
                Err(source) => return Err(BindError { address: address.clone(), source }),
            };
            self.start(address.clone(), socket, None)?;
        }
        let gone: Vec<_> = self
            .open
            .iter()
            .filter(|it| !wanted.contains(it.0) && !wanted.contains(&it.1.local))
            .map(|it| it.0.clone())
            .collect();
        for address in gone {
            self.close(&address).await;
        }
        Ok(())
    }

    /// The port is taken, perhaps by ourselves: `127.0.0.1:80` has to go before `0.0.0.0:80` can
    /// come, and comes back when it cannot.
    async fn bind_over(
        &mut self,
        address: &Address,
        wanted: &[Address],
        source: io::Error,
    ) -> Result<Socket, BindError> {
        let port = |it: &Address| match it {
            Address::Tcp(it) => Some(it.port()),
            Address::Unix(_) => None,
        };
        let in_the_way = self
            .open
            .iter()
            .find(|(key, it)| port(&it.local) == port(address) && !wanted.contains(key))
            .map(|it| it.0.clone());
        let failed = |source| BindError { address: address.clone(), source };
        let Some(old) = in_the_way.filter(|_| port(address).is_some()) else {
            return Err(failed(source));
        };
        self.close(&old).await;
        match bind(address) {
            Ok(socket) => Ok(socket),
            Err(source) => {
                let again = bind(&old).map_err(failed)?;
                self.start(old, again, None)?;
                Err(failed(source))
            }
        }
    }

    fn start(
        &mut self,
        address: Address,
        socket: Socket,
        local: Option<Address>,
    ) -> Result<(), BindError> {
        let local = local.map_or_else(|| local_address(&address, &socket), Ok);
        let local = local.map_err(|source| BindError { address: address.clone(), source })?;
        tracing::info!(addr = %local, "listening on {local}");
        let stop = CancellationToken::new();
        let accepting = TaskTracker::new();
        let task =
            accept(socket, self.server.clone(), self.connections.clone(), stop.clone(), self.fds);
        accepting.spawn(task);
        accepting.close();
        self.open.insert(address, Open { local, stop, accepting });
        Ok(())
    }

    /// Stops accepting; running requests of it finish by themselves.
    async fn close(&mut self, address: &Address) {
        let Some(open) = self.open.remove(address) else { return };
        open.stop.cancel();
        open.accepting.wait().await;
        if let Address::Unix(path) = address {
            let _ = std::fs::remove_file(path);
        }
        tracing::info!(addr = %open.local, "no longer listening on {}", open.local);
    }

    pub(super) async fn close_all(&mut self) {
        for address in self.open.keys().cloned().collect::<Vec<_>>() {
            self.close(&address).await;
        }
        self.report(&[], None);
    }

    pub(super) fn report(&self, wanted: &[Address], problem: Option<&BindError>) {
        let open = self.open.values().map(|it| it.local.clone()).collect();
        let problems = problem.into_iter().map(|it| Problem {
            severity: Severity::Error,
            code: "bind_failed",
            line: 1,
            column: 1,
            message: format!("{it}: {}", it.source),
            help: Some("the addresses that were open stay open".to_owned()),
            span: 0..0,
        });
        let (wanted, problems) = (wanted.to_vec(), problems.collect());
        self.server.app.set_listeners(app::Listeners { wanted, open, problems });
    }

    /// Follows the file until the end.
    pub(super) async fn follow(mut self, end: CancellationToken) -> Self {
        let live = Arc::clone(&self.server.app.live);
        let mut changed = live.subscribe();
        let mut wanted = live.snapshot().config.listen.clone();
        let mut failed = false;
        loop {
            tokio::select! {
                () = end.cancelled() => return self,
                _ = changed.changed() => {}
                () = tokio::time::sleep(AGAIN), if failed => {}
            }
            let now = live.snapshot().config.listen.clone();
            if now == wanted && !failed {
                continue;
            }
            let said = failed && now == wanted;
            wanted = now;
            let applied = self.apply(&wanted).await.err();
            if let Some(error) = applied.as_ref().filter(|_| !said) {
                tracing::warn!(cause = %error.source, "{error}; the addresses that were open stay open");
            }
            failed = applied.is_some();
            self.report(&wanted, applied.as_ref());
        }
    }
}

/// Sockets by systemd's socket activation.
fn activated() -> Vec<(Address, Socket)> {
    let mut given = listenfd::ListenFd::from_env();
    let mut found = Vec::new();
    for at in 0..given.len() {
        if let Ok(Some(listener)) = given.take_tcp_listener(at) {
            // Without it an accept would block the whole thread.
            let socket =
                listener.set_nonblocking(true).and_then(|()| TcpListener::from_std(listener));
            if let Ok(socket) = socket
                && let Ok(local) = socket.local_addr()
            {
                found.push((Address::Tcp(local), Socket::Tcp(socket)));
            }
        } else if let Ok(Some(listener)) = given.take_unix_listener(at) {
            let path =
                listener.local_addr().ok().and_then(|it| it.as_pathname().map(Path::to_owned));
            let socket =
                listener.set_nonblocking(true).and_then(|()| UnixListener::from_std(listener));
            if let (Ok(socket), Some(path)) = (socket, path) {
                found.push((Address::Unix(path), Socket::Unix(socket)));
            }
        }
    }
    found
}

fn bind(address: &Address) -> io::Result<Socket> {
    match address {
        Address::Tcp(address) => bind_tcp(*address).map(Socket::Tcp),
        Address::Unix(path) => bind_unix(path, 0o660).map(Socket::Unix),
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = RawSocket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // `[::]` means both families, whatever the system's default is.
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Takes the place of a socket file that nobody listens on any more.
pub(super) fn bind_unix(path: &Path, mode: u32) -> io::Result<UnixListener> {
    let is_socket = path.symlink_metadata().is_ok_and(|it| it.file_type().is_socket());
    if is_socket && !is_listening(path) {
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    Ok(listener)
}

fn local_address(address: &Address, socket: &Socket) -> io::Result<Address> {
    match socket {
        Socket::Tcp(listener) => listener.local_addr().map(Address::Tcp),
        Socket::Unix(_) | Socket::Control(_) => Ok(address.clone()),
    }
}
