//! The seam between torod and the HTTP of its providers: a head and a body go out, a head and
//! frames come back. Redirects are not followed, nothing is decoded, no URL is in an error.

use std::{
    collections::VecDeque,
    convert::Infallible,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use http_body::{Body, Frame, SizeHint};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioTimer},
};

use super::{
    Reply, ReplyBody, UpstreamError,
    connect::{self, Connector},
};

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
#[derive(Debug, Clone)]
pub struct Upstream {
    /// A connection that was opened to a private address must not serve once only public ones
    /// may, so each has a pool of its own.
    anywhere: Client<Connector, Pieces>,
    public: Client<Connector, Pieces>,
    public_only: Arc<AtomicBool>,
    connect_seconds: Arc<AtomicU64>,
}

impl Upstream {
    pub fn new(connect_seconds: u64) -> io::Result<Self> {
        let connect_seconds = Arc::new(AtomicU64::new(connect_seconds));
        let tls = connect::tls()?;
        let client = |public_only| {
            Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(Duration::from_mins(1))
                .pool_max_idle_per_host(256)
                .timer(TokioTimer::new())
                .http2_keep_alive_interval(Duration::from_secs(20))
                .build(Connector::new(tls.clone(), Arc::clone(&connect_seconds), public_only))
        };
        let (anywhere, public) = (client(false), client(true));
        Ok(Self { anywhere, public, public_only: Arc::default(), connect_seconds })
    }

    /// For connections opened from now on.
    pub fn limit_connecting(&self, seconds: u64) {
        self.connect_seconds.store(seconds, Ordering::Relaxed);
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
        let http = if public_only { &self.public } else { &self.anywhere };
        let answered = tokio::time::timeout(first_byte, http.request(request)).await;
        let response = answered.map_err(|_| UpstreamError::Silent(first_byte.as_secs()))??;
        let (head, body) = response.into_parts();
        Ok(Reply { status: head.status, headers: head.headers, body: ReplyBody::Http(body) })
    }
}
