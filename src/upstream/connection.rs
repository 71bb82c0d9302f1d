//! One connection to a provider, driven by the request that has it: no task, no channel, no wake-up
//! between the two.

use std::{
    cell::RefCell,
    collections::VecDeque,
    future::{Future as _, poll_fn},
    io::{self, IoSlice},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

use bytes::{Buf as _, Bytes, BytesMut};
use http::Method;
use http_body::{Body, Frame, SizeHint};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead as _, AsyncWrite as _, ReadBuf},
    net::TcpStream,
};

use super::{
    http1::{self, Framing, Head, garbage},
    pool::{Origin, Pool},
    reply::Broke,
};

/// What one read may bring. The room is the thread's: a connection that waits holds none.
const READ: usize = 16 * 1024;

thread_local! {
    static ROOM: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ].into());
}

#[derive(Debug)]
pub(super) struct Connection {
    io: TokioIo<MaybeHttpsStream<TokioIo<TcpStream>>>,
    pub(super) origin: Origin,
    /// Read and not yet used.
    ahead: Bytes,
    /// To be written.
    outgoing: VecDeque<Bytes>,
    /// The provider has not got all of the request; TLS may still hold what is written.
    unsent: bool,
    /// Bytes came since the request began.
    heard: bool,
}

impl Connection {
    pub(super) fn new(io: MaybeHttpsStream<TokioIo<TcpStream>>, origin: Origin) -> Self {
        let (ahead, outgoing) = (Bytes::new(), VecDeque::new());
        Self { io: TokioIo::new(io), origin, ahead, outgoing, unsent: false, heard: false }
    }

    /// Nothing came while it was idle: neither its end nor bytes that nobody asked for.
    pub(super) fn is_fresh(&mut self) -> bool {
        // Whatever the task that asks has done before, since one whose budget is spent hears
        // nothing.
        let reading = tokio::task::unconstrained(poll_fn(|context| self.poll_read(context)));
        pin!(reading).poll(&mut Context::from_waker(Waker::noop())).is_pending()
    }

    /// The request is sent, its reply is read, and nothing follows.
    fn is_idle(&self) -> bool {
        !self.unsent && self.ahead.is_empty()
    }

    /// Whether a reply has begun.
    pub(super) fn has_heard(&self) -> bool {
        self.heard
    }

    /// Sends a request and waits for the head of its reply. A provider may answer before it has
    /// read all.
    pub(super) async fn exchange(
        &mut self,
        method: &Method,
        request: VecDeque<Bytes>,
    ) -> io::Result<Head> {
        (self.outgoing, self.unsent, self.heard) = (request, true, false);
        let mut unwritten = None;
        poll_fn(|context| {
            if unwritten.is_none()
                && let Poll::Ready(Err(error)) = self.poll_write(context)
            {
                // It may have said why before it closed.
                unwritten = Some(error);
            }
            loop {
                if let Some(head) = http1::take_head(&mut self.ahead, method)? {
                    return Poll::Ready(Ok(head));
                }
                let read = ready!(self.poll_read(context));
                if !matches!(read, Ok(1..)) {
                    let closed = || io::ErrorKind::UnexpectedEof.into();
                    let why = read.err().or(unwritten.take()).unwrap_or_else(closed);
                    return Poll::Ready(Err(why));
                }
                self.heard = true;
            }
        })
        .await
    }

    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outgoing.is_empty() {
            let mut slices = [IoSlice::new(&[]); 8];
            let count = self.outgoing.len().min(slices.len());
            for (slice, piece) in slices.iter_mut().zip(&self.outgoing) {
                *slice = IoSlice::new(piece);
            }
            let io = Pin::new(&mut self.io);
            let mut written = ready!(io.poll_write_vectored(context, &slices[..count]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            while let Some(piece) = self.outgoing.front_mut() {
                if written < piece.len() {
                    piece.advance(written);
                    break;
                }
                written -= piece.len();
                self.outgoing.pop_front();
            }
        }
        if self.unsent {
            ready!(Pin::new(&mut self.io).poll_flush(context))?;
            self.unsent = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Reads once; 0 is the end.
    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        ROOM.with_borrow_mut(|room| {
            let mut room = ReadBuf::new(room);
            ready!(Pin::new(&mut self.io).poll_read(context, &mut room))?;
            let fresh = room.filled();
            if self.ahead.is_empty() {
                self.ahead = Bytes::copy_from_slice(fresh);
            } else {
                let mut all = BytesMut::with_capacity(self.ahead.len() + fresh.len());
                all.extend_from_slice(&self.ahead);
                all.extend_from_slice(fresh);
                self.ahead = all.freeze();
            }
            Poll::Ready(Ok(fresh.len()))
        })
    }
}

/// The body of a reply. Once it is read its connection goes back to the pool; dropped before, it
/// takes the connection along.
#[derive(Debug)]
pub struct Http1Body {
    connection: Option<Box<Connection>>,
    framing: Framing,
    keeps: bool,
    pool: Arc<Pool>,
}

impl Http1Body {
    pub(super) fn new(connection: Box<Connection>, head: &Head, pool: Arc<Pool>) -> Self {
        let connection = Some(connection);
        let mut body = Self { connection, framing: head.body.clone(), keeps: head.keeps, pool };
        body.give_back();
        body
    }

    /// Once the body is over.
    fn give_back(&mut self) {
        if !self.framing.is_over() {
            return;
        }
        let Some(connection) = self.connection.take() else { return };
        if self.keeps && connection.is_idle() {
            self.pool.put(connection);
        }
    }

    fn poll_data(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        loop {
            let Some(connection) = &mut self.connection else { return Poll::Ready(Ok(None)) };
            let data = self.framing.take(&mut connection.ahead)?;
            if !data.is_empty() {
                self.give_back();
                return Poll::Ready(Ok(Some(data)));
            }
            if self.framing.is_over() {
                self.give_back();
                continue;
            }
            // The rest of a request that was answered early.
            let _ = connection.poll_write(context);
            if ready!(connection.poll_read(context))? == 0 {
                if self.framing != Framing::UntilClose {
                    return Poll::Ready(Err(garbage("the connection closed within the body")));
                }
                self.connection = None;
            }
        }
    }
}

impl Body for Http1Body {
    type Data = Bytes;
    type Error = Broke;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broke>>> {
        let body = self.get_mut();
        match ready!(body.poll_data(context)) {
            Ok(data) => Poll::Ready(data.map(|it| Ok(Frame::data(it)))),
            Err(error) => {
                body.connection = None;
                Poll::Ready(Some(Err(Broke(error.into()))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.connection.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match self.framing {
            Framing::Length(left) => SizeHint::with_exact(left),
            _ => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use hyper_rustls::HttpsConnectorBuilder;
    use hyper_util::client::legacy::connect::HttpConnector;
    use rcgen::generate_simple_self_signed;
    use rustls::{
        ClientConfig, RootCertStore, ServerConfig, crypto::ring, pki_types::PrivateKeyDer,
    };
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };
    use tower_service::Service as _;

    use super::*;

    /// A provider over TLS that answers as soon as it has a head, and reads no further; and one that
    /// opens connections to it.
    async fn early() -> (http::Uri, hyper_rustls::HttpsConnector<HttpConnector>) {
        let own = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (key, certificate) = (own.signing_key.serialize_der(), own.cert.der().clone());
        let crypto = Arc::new(ring::default_provider());
        let server = ServerConfig::builder_with_provider(Arc::clone(&crypto))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], PrivateKeyDer::try_from(key).unwrap());
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server.unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let mut stream = acceptor.accept(socket).await.unwrap();
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        head.push(stream.read_u8().await.unwrap());
                    }
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
                    let _ = stream.flush().await;
                    std::future::pending::<()>().await;
                });
            }
        });
        let mut roots = RootCertStore::empty();
        roots.add(certificate).unwrap();
        let client = ClientConfig::builder_with_provider(crypto)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new().with_tls_config(client).https_only();
        (uri.parse().unwrap(), connector.enable_http1().build())
    }

    #[tokio::test]
    async fn what_tls_still_holds_of_a_request_is_not_left_on_a_kept_connection() {
        let (uri, mut connector) = early().await;
        let (mut whole, mut stuck) = (0, 0);
        // How much the sockets take is the machine's affair; behind them TLS holds up to 64 KB.
        for size in (0..200).map(|it| 60_000 * it) {
            let origin = Origin { is_tls: true, authority: "localhost".into() };
            let mut connection =
                Box::new(Connection::new(connector.call(uri.clone()).await.unwrap(), origin));
            let head = format!("POST / HTTP/1.1\r\ncontent-length: {size}\r\n\r\n");
            let request = VecDeque::from([Bytes::from(head), vec![b'x'; size].into()]);
            let answer = connection.exchange(&Method::POST, request).await.unwrap();
            let is_sent = !connection.unsent;
            let is_stuck = connection.outgoing.is_empty() && !is_sent;
            (whole, stuck) = (whole + usize::from(is_sent), stuck + usize::from(is_stuck));
            let pool = Arc::<Pool>::default();
            drop(Http1Body::new(connection, &answer, Arc::clone(&pool)));
            assert_eq!(pool.take(true, "localhost").is_some(), is_sent, "{size}");
            if whole > 0 && stuck > 0 {
                return;
            }
        }
        panic!("{whole} requests were sent whole, {stuck} were held");
    }
}
