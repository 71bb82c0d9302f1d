//! Around every request: the snapshot is pinned, the host checked, the request named, a panic
//! caught, the response stamped, and what has no ledger entry gets its access line.

use std::{
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use axum::body::Body;
use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderValue, Request, Response, Version, header};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;

use super::guard::Phase;
use crate::{
    access::origin::{host_name, is_loopback_name},
    app::{App, Snapshot},
    base::printable,
    config::Address,
    door::{self, Arrival, Booked, Peer, Refusal, Routes, face_of_path},
};

/// What a connection is served with.
#[derive(Debug, Clone)]
pub(super) struct Server {
    pub(super) app: Arc<App>,
    pub(super) routes: Arc<Routes>,
}

impl Server {
    pub(super) async fn serve(
        &self,
        peer: Peer,
        phase: Arc<Phase>,
        request: Request<Incoming>,
    ) -> Response<Answering> {
        let (head, body) = request.into_parts();
        let id = uuid::Uuid::now_v7();
        let arrival = Arrival {
            id,
            snapshot: self.app.live.snapshot(),
            peer,
            request_id: request_id(&head.headers, id),
            at: Instant::now(),
        };
        let face = face_of_path(head.uri.path(), &head.headers);
        let line = Line { method: head.method.clone(), path: head.uri.path().to_owned() };
        let row =
            gate(&head, &arrival).and_then(|()| self.routes.find(&head.method, head.uri.path()));
        let mut response = match row {
            Err(refusal) => refusal.dress(face),
            Ok(row) => {
                let body = Body::new(Reading { body, phase: Arc::clone(&phase) });
                let answering =
                    door::answer(Arc::clone(&self.app), row, arrival.clone(), head, body);
                AssertUnwindSafe(answering).catch_unwind().await.unwrap_or_else(|_| {
                    tracing::error!(id = ?arrival.request_id, "a request panicked");
                    let message = "torod made a mistake; the request was not answered";
                    Refusal::new(500, "server_error", "internal_error", message).dress(face)
                })
            }
        };
        if response.extensions_mut().remove::<Booked>().is_none() {
            line.log(&response, &arrival);
        }
        let headers = response.headers_mut();
        headers.insert("x-request-id", arrival.request_id);
        headers.insert("x-torod-generation", arrival.snapshot.generation_header.clone());
        if self.app.is_draining() {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response.map(|body| Answering { body, phase })
    }
}

/// The client's own id when it is sane, else ours.
fn request_id(headers: &HeaderMap, own: uuid::Uuid) -> HeaderValue {
    let fits = |it: &&HeaderValue| {
        let bytes = it.as_bytes();
        (1..=128).contains(&bytes.len())
            && bytes
                .iter()
                .all(|it| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_' | b'.' | b':'))
    };
    headers.get("x-request-id").filter(fits).cloned().unwrap_or_else(|| {
        let mut text = *b"req_00000000000000000000000000000000";
        own.simple().encode_lower(&mut text[4..]);
        HeaderValue::from_bytes(&text).unwrap_or_else(|_| HeaderValue::from_static("req_0"))
    })
}

/// Before any route: one well-formed host, that this torod answers to, and no proxying.
fn gate(head: &http::request::Parts, arrival: &Arrival) -> Result<(), Refusal> {
    let close = |it: Refusal| Err(it.header("connection", "close"));
    let bad = |message: &str| close(Refusal::bad_request("bad_host", message));
    if head.uri.authority().is_some() || head.uri.scheme().is_some() {
        return bad("torod is no proxy; send the path alone");
    }
    if head.version == Version::HTTP_09 || head.version == Version::HTTP_2 {
        return bad("send HTTP/1.1");
    }
    let mut hosts = head.headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return bad("send one `Host` header");
    };
    let Some(name) = host.to_str().ok().and_then(host_name) else {
        return bad("the `Host` header is not a host");
    };
    if !matches!(arrival.peer, Peer::Tcp(_)) || is_served(name, &arrival.snapshot) {
        return Ok(());
    }
    let message = format!("torod does not answer to `{name}`; add it to `allowed_hosts`");
    close(Refusal::new(421, "invalid_request_error", "host_not_allowed", message))
}

/// Loopback names, the addresses that torod listens on, `allowed_hosts`; and any other name once a
/// public address is open and no list restricts it.
fn is_served(name: &str, snapshot: &Snapshot) -> bool {
    let config = &snapshot.config;
    let listens = |it: &Address| matches!(it, Address::Tcp(it) if name.parse() == Ok(it.ip()));
    let is_open = config.allowed_hosts.is_empty() && config.listen.iter().any(Address::is_public);
    is_open
        || is_loopback_name(name)
        || config.listen.iter().any(listens)
        || config.allowed_hosts.iter().any(|it| it.eq_ignore_ascii_case(name))
        || config.local_no_auth && name == "host.docker.internal"
}

/// What the access line of a request without an entry says.
struct Line {
    method: http::Method,
    path: String,
}

impl Line {
    fn log(&self, response: &Response<Body>, arrival: &Arrival) {
        let refusal = response.extensions().get::<Refusal>();
        let (status, duration_ms) = (response.status().as_u16(), arrival.at.elapsed().as_millis());
        let code = refusal.and_then(|it| it.fault.code).unwrap_or_default();
        let cause = refusal.and_then(|it| it.cause.as_deref()).unwrap_or_default();
        let path = printable(&self.path[..self.path.floor_char_boundary(200)]);
        let id = arrival.request_id.to_str().unwrap_or_default();
        let method = self.method.as_str();
        if status >= 500 {
            tracing::warn!(id, method, path = &*path, status, code, cause, duration_ms, "request");
        } else {
            tracing::debug!(id, method, path = &*path, status, code, cause, duration_ms, "request");
        }
    }
}

/// A request's body; tells the connection when it is read.
struct Reading {
    body: Incoming,
    phase: Arc<Phase>,
}

impl HttpBody for Reading {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) || self.body.is_end_stream() {
            self.phase.body_read();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.phase.body_read();
    }
}

/// A response's body; tells the connection when it is over.
pub(super) struct Answering {
    body: Body,
    phase: Arc<Phase>,
}

impl HttpBody for Answering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.phase.answered();
    }
}
