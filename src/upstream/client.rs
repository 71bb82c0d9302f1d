//! The seam between torod and the HTTP of its providers: a head and a body go out, a head and
//! frames come back. Redirects are not followed, nothing is decoded, no URL is in an error.

use std::{
    collections::{HashSet, VecDeque},
    convert::Infallible,
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{
    Request, Version,
    uri::{Authority, Scheme},
};
use http_body::{Body, Frame, SizeHint};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioTimer},
};
use tokio::time::timeout;
use tower_service::Service as _;

use super::{
    Reply, ReplyBody, UpstreamError,
    connect::{self, Connector},
    connection::{Connection, Http1Body},
    http1::{Head, write_head},
    pool::{Origin, Pool},
};

/// A provider that closes what is idle may do so while a request is on its way to it. It has not
/// read that request, so it is sent again. It tells within a round trip; what ends later ends with
/// the provider's knowledge, and is not asked twice.
const CROSSING: Duration = Duration::from_millis(300);

/// An outgoing body: slices of what the client sent. Its length is known.
#[derive(Debug, Clone, Default)]
pub struct Pieces(VecDeque<Bytes>);

impl Pieces {
    pub fn new(pieces: Vec<Bytes>) -> Self {
        Self(pieces.into())
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|it| Ok(Frame::data(it))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.iter().map(|it| it.len() as u64).sum())
    }
}

/// The one HTTP client; cheap to clone.
///
/// HTTP/1.1 goes over connections of our own, driven by the request that uses one. An origin that
/// is asked for the first time over TLS may speak HTTP/2, which hyper's client finds out; it keeps
/// those that do.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// A connection that was opened to a private address must not serve once only public ones
    /// may, so each has a pool of its own.
    anywhere: Arc<Ways>,
    public: Arc<Ways>,
    public_only: Arc<AtomicBool>,
    connect_seconds: Arc<AtomicU64>,
}

impl Upstream {
    pub fn new(connect_seconds: u64) -> io::Result<Self> {
        let connect_seconds = Arc::new(AtomicU64::new(connect_seconds));
        let tls = connect::tls()?;
        let ways = |public_only| {
            let [connector, both] =
                [false, true].map(|any| Connector::new(&tls, any, &connect_seconds, public_only));
            let any = Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(Duration::from_mins(1))
                .pool_max_idle_per_host(256)
                .timer(TokioTimer::new())
                .http2_keep_alive_interval(Duration::from_secs(20))
                .build(both);
            Arc::new(Ways { pool: Arc::default(), connector, any, plain_tls: Mutex::default() })
        };
        let (anywhere, public) = (ways(false), ways(true));
        Ok(Self { anywhere, public, public_only: Arc::default(), connect_seconds })
    }

    /// For connections opened from now on.
    pub fn limit_connecting(&self, seconds: u64) {
        self.connect_seconds.store(seconds, Ordering::Relaxed);
    }

    /// Closes idle connections whose time is over.
    pub fn sweep(&self) {
        self.anywhere.pool.sweep();
        self.public.pool.sweep();
    }

    /// Whether requests from now on go to public addresses only.
    pub fn limit_reach(&self, public_only: bool) {
        self.public_only.store(public_only, Ordering::Relaxed);
    }

    /// Sends a request and waits for the head of the reply, at most `first_byte`.
    pub async fn send(
        &self,
        request: Request<Pieces>,
        first_byte: Duration,
    ) -> Result<Reply, UpstreamError> {
        let public_only = self.public_only.load(Ordering::Relaxed);
        let ways = if public_only { &self.public } else { &self.anywhere };
        let silent = |_| UpstreamError::Silent(first_byte.as_secs());
        let is_tls = request.uri().scheme() == Some(&Scheme::HTTPS);
        let authority = request.uri().authority().map_or("", Authority::as_str);
        if !is_tls || ways.is_plain_tls(authority) {
            return timeout(first_byte, ways.http1(request, is_tls)).await.map_err(silent)?;
        }
        // Boxed: hyper's way is rarely gone and needs much room.
        Box::pin(timeout(first_byte, ways.any(request))).await.map_err(silent)?
    }
}

/// The ways to providers within one reach.
#[derive(Debug)]
struct Ways {
    pool: Arc<Pool>,
    connector: Connector,
    any: Client<Connector, Pieces>,
    /// Authorities that answered in HTTP/1.1 over TLS.
    plain_tls: Mutex<HashSet<Box<str>>>,
}

impl Ways {
    fn is_plain_tls(&self, authority: &str) -> bool {
        self.plain_tls.lock().unwrap_or_else(PoisonError::into_inner).contains(authority)
    }

    async fn any(&self, request: Request<Pieces>) -> Result<Reply, UpstreamError> {
        let authority: Box<str> = request.uri().authority().map_or("", Authority::as_str).into();
        let response = self.any.request(request).await?;
        if response.version() == Version::HTTP_11 {
            self.plain_tls.lock().unwrap_or_else(PoisonError::into_inner).insert(authority);
        }
        let (head, body) = response.into_parts();
        Ok(Reply { status: head.status, headers: head.headers, body: ReplyBody::Hyper(body) })
    }

    async fn http1(&self, request: Request<Pieces>, is_tls: bool) -> Result<Reply, UpstreamError> {
        let (head, body) = request.into_parts();
        let authority = head.uri.authority().map_or("", Authority::as_str);
        let length = body.size_hint().lower();
        let mut bytes = body.0;
        bytes.push_front(write_head(&head, length));
        if let Some(mut kept) = self.pool.take(is_tls, authority) {
            let asked = Instant::now();
            let answer = kept.exchange(&head.method, bytes.clone()).await;
            if answer.is_ok() || kept.has_heard() || asked.elapsed() > CROSSING {
                return self.reply(kept, answer);
            }
            tracing::trace!("a kept connection had ended");
        }
        let origin = Origin { is_tls, authority: authority.into() };
        let io = self.connector.clone().call(head.uri.clone()).await;
        let mut fresh = Box::new(Connection::new(io.map_err(UpstreamError::unopened)?, origin));
        let answer = fresh.exchange(&head.method, bytes).await;
        self.reply(fresh, answer)
    }

    fn reply(
        &self,
        connection: Box<Connection>,
        answer: io::Result<Head>,
    ) -> Result<Reply, UpstreamError> {
        let head = answer.map_err(|it| UpstreamError::Broke(it.into()))?;
        let body = Http1Body::new(connection, &head, Arc::clone(&self.pool));
        let body = ReplyBody::Http1(Box::new(body));
        Ok(Reply { status: head.status, headers: head.headers, body })
    }
}
