//! The response: the reply's bytes as they come, read by the meter on their way.

use std::{
    collections::VecDeque,
    future::Future as _,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Response, header};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;

use super::{decode, forward::Answered, gather::Kind, settlement::Settlement};
use crate::{
    app::App,
    door::Booked,
    llm::{Endpoint, Fault, Protocol, injected::Filter, meter::Meter},
    upstream::{ReplyBody, headers, reply::Broke},
};

/// A reply that is encoded all the same is kept for the meter up to this size.
const MAX_ENCODED: usize = 4 * 1024 * 1024;

/// The response to the client. From here on a break can only be said in the stream itself.
pub(super) fn relay(
    app: &App,
    endpoint: &Endpoint,
    answered: Answered,
    mut settlement: Settlement,
    read_usage: bool,
) -> Response<Body> {
    let Answered { gathered, target, injected } = answered;
    let (kind, status) = (gathered.kind, gathered.reply.status);
    let protocol = endpoint.protocol;
    let meter = match kind {
        _ if !read_usage => Meter::opaque(protocol),
        Kind::Events => Meter::stream(protocol),
        Kind::Whole => Meter::whole(protocol),
        Kind::Opaque => Meter::opaque(protocol),
    };
    settlement.replied(status.as_u16(), meter);
    if gathered.is_whole && gathered.ahead.is_empty() {
        settlement.end(true); // nobody asks for the bytes of an answer that has none
    }
    let mut shown = headers::downward(&gathered.reply.headers, &target.provider);
    shown.remove(header::CONTENT_LENGTH); // the body's own length says it
    if kind == Kind::Events {
        shown.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        shown.insert("x-accel-buffering", HeaderValue::from_static("no"));
    }
    let is_encoded = gathered.reply.headers.contains_key(header::CONTENT_ENCODING);
    let body = Relay {
        ahead: gathered.ahead.into(),
        body: (!gathered.is_whole).then_some(gathered.reply.body),
        settlement,
        filter: (injected && kind == Kind::Events && !is_encoded).then(Filter::default),
        encoded: is_encoded.then(|| (gathered.reply.headers, Vec::new())),
        is_stream: kind == Kind::Events,
        protocol,
        idle: target.provider.idle,
        quiet_since: Instant::now(),
        timer: None,
        end: app.tasks.ended(),
        ending: None,
        is_done: false,
    };
    let mut response = Response::new(Body::new(body));
    *response.status_mut() = status;
    *response.headers_mut() = shown;
    response.extensions_mut().insert(Booked);
    response
}

/// The body of a response. Dropping it drops the provider's connection and books the entry.
struct Relay {
    ahead: VecDeque<Bytes>,
    body: Option<ReplyBody>,
    settlement: Settlement,
    filter: Option<Filter>,
    /// The reply's headers and its bytes, to be decoded beside.
    encoded: Option<(http::HeaderMap, Vec<u8>)>,
    is_stream: bool,
    protocol: Protocol,
    idle: Duration,
    quiet_since: Instant,
    timer: Option<Pin<Box<Sleep>>>,
    end: CancellationToken,
    ending: Option<Pin<Box<tokio_util::sync::WaitForCancellationFutureOwned>>>,
    is_done: bool,
}

/// What the provider does next.
enum Next {
    Bytes(Bytes),
    End,
    Broke(Broke),
    /// torod ends before the provider does.
    Ending,
}

impl Relay {
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Next> {
        if let Some(bytes) = self.ahead.pop_front() {
            return Poll::Ready(Next::Bytes(bytes));
        }
        let Some(body) = &mut self.body else { return Poll::Ready(Next::End) };
        loop {
            match Pin::new(&mut *body).poll_frame(context) {
                Poll::Ready(None) => return Poll::Ready(Next::End),
                Poll::Ready(Some(Err(broke))) => return Poll::Ready(Next::Broke(broke)),
                Poll::Ready(Some(Ok(frame))) => {
                    // Trailers say nothing that a client of these protocols reads.
                    if let Ok(bytes) = frame.into_data() {
                        self.quiet_since = Instant::now();
                        return Poll::Ready(Next::Bytes(bytes));
                    }
                }
                Poll::Pending => break,
            }
        }
        self.poll_patience(context)
    }

    /// Ready when nothing more is waited for. One timer serves the whole stream: it is moved only
    /// when it fires.
    fn poll_patience(&mut self, context: &mut Context<'_>) -> Poll<Next> {
        let end = &self.end;
        let ending = self.ending.get_or_insert_with(|| Box::pin(end.clone().cancelled_owned()));
        if ending.as_mut().poll(context).is_ready() {
            return Poll::Ready(Next::Ending);
        }
        loop {
            let until = self.quiet_since + self.idle;
            let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
            ready!(timer.as_mut().poll(context));
            if Instant::now() >= until {
                return Poll::Ready(Next::Broke(Broke("no byte within the idle limit".into())));
            }
            timer.as_mut().reset(until);
        }
    }

    /// Reads what passes, and gives back what the client may see of it.
    fn pass(&mut self, bytes: Bytes) -> Bytes {
        match &mut self.encoded {
            None => self.settlement.feed(&bytes),
            Some((_, kept)) if kept.len() + bytes.len() <= MAX_ENCODED => {
                kept.extend_from_slice(&bytes);
            }
            Some(_) => {}
        }
        match &mut self.filter {
            Some(filter) => filter.feed(bytes),
            None => bytes,
        }
    }

    /// The last bytes of a reply, when it ended well by HTTP.
    fn finish(&mut self) -> Bytes {
        if let Some((headers, kept)) = self.encoded.take()
            && let Ok(decoded) = decode::decode(&headers, &kept, 16 * MAX_ENCODED)
        {
            self.settlement.feed(&decoded);
        }
        let rest = self.filter.as_mut().map(Filter::finish).unwrap_or_default();
        let is_whole = !self.is_stream || self.settlement.meter().is_none_or(Meter::is_complete);
        self.settlement.end(is_whole);
        if is_whole {
            return rest;
        }
        self.fault("upstream_broke", "the provider's stream ended before it was complete")
    }

    fn close(&mut self) {
        self.is_done = true;
        self.body = None;
    }

    /// A stream is cut: the client is told, unless it has the whole answer already.
    fn torn(&mut self, code: &'static str, message: &str) -> Bytes {
        let is_whole = self.settlement.meter().is_some_and(Meter::has_ended);
        self.settlement.end(is_whole);
        if is_whole { Bytes::new() } else { self.fault(code, message) }
    }

    /// The event that says in the client's protocol that the stream is not whole.
    fn fault(&self, code: &'static str, message: &str) -> Bytes {
        let fault = Fault::new(502, "server_error", code, message.to_owned());
        let (id, sequence) = match self.settlement.meter() {
            Some(meter) => (meter.id(), meter.events()),
            None => (None, 0),
        };
        // A torn event in front of it would swallow it.
        Bytes::from(format!("\n\n{}", fault.event(self.protocol, id, sequence)))
    }
}

impl HttpBody for Relay {
    type Data = Bytes;
    type Error = Broke;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broke>>> {
        let relay = self.get_mut();
        while !relay.is_done {
            let bytes = match ready!(relay.poll_next(context)) {
                Next::Bytes(bytes) => {
                    let shown = relay.pass(bytes);
                    // With a known length nobody asks again after the last byte.
                    let nothing_follows = relay.ahead.is_empty()
                        && relay.body.as_ref().is_none_or(HttpBody::is_end_stream);
                    if nothing_follows && !relay.is_stream {
                        relay.is_done = true;
                        relay.finish();
                    }
                    shown
                }
                Next::End => {
                    relay.is_done = true;
                    relay.body = None;
                    relay.finish()
                }
                Next::Broke(broke) if !relay.is_stream => {
                    relay.close();
                    relay.settlement.end(false);
                    return Poll::Ready(Some(Err(broke)));
                }
                Next::Broke(_) => {
                    relay.close();
                    relay.torn("upstream_broke", "the provider broke off in mid-stream")
                }
                Next::Ending if !relay.is_stream => {
                    relay.close();
                    relay.settlement.end(false);
                    return Poll::Ready(Some(Err(Broke("torod is ending".into()))));
                }
                Next::Ending => {
                    relay.close();
                    relay.torn(
                        "server_shutdown",
                        "torod is shutting down before this answer is complete",
                    )
                }
            };
            if !bytes.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
        }
        Poll::Ready(None)
    }

    fn size_hint(&self) -> SizeHint {
        let ahead: u64 = self.ahead.iter().map(|it| it.len() as u64).sum();
        if self.is_stream || self.is_done {
            return SizeHint::default();
        }
        match self.body.as_ref().map(HttpBody::size_hint) {
            None => SizeHint::with_exact(ahead),
            Some(rest) => {
                rest.exact().map_or_else(SizeHint::default, |it| SizeHint::with_exact(ahead + it))
            }
        }
    }
}
