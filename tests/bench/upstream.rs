//! The scripted provider: the part of the request's `model` after the last `/` says what it does.
//!
//! A whole reply answers at once. Streams differ in their pace only: `paced` sends an event a
//! millisecond, `flood` as fast as they go but each by its own write, `hold` stops after a few
//! and stays open until the client leaves.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use memchr::memmem;
use tokio::net::TcpListener;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

/// Content events of one stream.
pub(crate) const EVENTS: usize = 200;
/// Events that a held stream has sent before it falls silent.
pub(crate) const HELD: usize = 8;
const PACE: Duration = Duration::from_millis(1);

const LIST: &str = r#"{"object":"list","data":[{"id":"m","object":"model","created":1,"owned_by":"bench"},{"id":"paced","object":"model","created":1,"owned_by":"bench"},{"id":"flood","object":"model","created":1,"owned_by":"bench"},{"id":"hold","object":"model","created":1,"owned_by":"bench"}]}"#;
const WHOLE: &str = r#"{"id":"chatcmpl-bench","object":"chat.completion","created":1767225600,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"A proxy should cost little: it reads who asks and what for, passes the bytes on, counts what comes back and gets out of the way.","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":211,"completion_tokens":29,"total_tokens":240,"prompt_tokens_details":{"cached_tokens":64,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0}},"service_tier":"default","system_fingerprint":"fp_bench"}"#;
const USAGE: &str = r#""usage":{"prompt_tokens":211,"completion_tokens":200,"total_tokens":411,"prompt_tokens_details":{"cached_tokens":64}}"#;

/// Answers until it is dropped; prints its own port first.
pub(crate) async fn run() -> anyhow::Result<()> {
    let script = Arc::new(Script::new());
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("{}", listener.local_addr()?.port());
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let script = Arc::clone(&script);
        let service = service_fn(move |request| answer(Arc::clone(&script), request));
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        tokio::spawn(async move { connection.await.ok() });
    }
}

/// The events of a stream, made once: with usage asked for, and without.
struct Script {
    plain: Arc<[Bytes]>,
    metered: Arc<[Bytes]>,
}

impl Script {
    fn new() -> Self {
        Self { plain: events(false), metered: events(true) }
    }
}

/// As the chat API has it: `usage` is null but in one more event at the end, and absent unasked.
fn events(with_usage: bool) -> Arc<[Bytes]> {
    let null = if with_usage { r#","usage":null"# } else { "" };
    let event = |choices: &str, usage: &str| {
        Bytes::from(format!(
            "data: {{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\
             \"model\":\"m\",\"choices\":[{choices}]{usage}}}\n\n"
        ))
    };
    let word = r#"{"index":0,"delta":{"content":" word"},"finish_reason":null}"#;
    let end = r#"{"index":0,"delta":{},"finish_reason":"stop"}"#;
    let mut all = vec![event(word, null); EVENTS];
    all.push(event(end, null));
    if with_usage {
        all.push(event("", &format!(",{USAGE}")));
    }
    all.push(Bytes::from_static(b"data: [DONE]\n\n"));
    all.into()
}

async fn answer(
    script: Arc<Script>,
    request: Request<Incoming>,
) -> hyper::Result<Response<Scripted>> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await?.to_bytes();
    let (kind, scripted) = match path.as_str() {
        "/v1/chat/completions" if says(&body, br#""stream":true"#) => {
            let metered = says(&body, br#""include_usage":true"#);
            let events = if metered { &script.metered } else { &script.plain };
            ("text/event-stream", Scripted::stream(Arc::clone(events), model(&body)))
        }
        "/v1/chat/completions" => ("application/json", Scripted::whole(WHOLE)),
        "/v1/models" => ("application/json", Scripted::whole(LIST)),
        _ => {
            let mut response = Response::new(Scripted::whole(""));
            *response.status_mut() = StatusCode::NOT_FOUND;
            return Ok(response);
        }
    };
    let mut response = Response::new(scripted);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    Ok(response)
}

fn says(body: &[u8], words: &[u8]) -> bool {
    memmem::find(body, words).is_some()
}

fn model(body: &[u8]) -> &[u8] {
    const KEY: &[u8] = br#""model":""#;
    let value = memmem::find(body, KEY).map_or(&b""[..], |at| &body[at + KEY.len()..]);
    let value = memchr::memchr(b'"', value).map_or(value, |end| &value[..end]);
    memchr::memrchr(b'/', value).map_or(value, |at| &value[at + 1..])
}

enum Pace {
    Paced(Interval),
    /// True when the next poll must wait once, which makes hyper write what it has.
    Flood(bool),
    Hold(bool),
}

enum Scripted {
    Whole(Option<Bytes>),
    Stream { events: Arc<[Bytes]>, sent: usize, pace: Pace },
}

impl Scripted {
    fn whole(text: &'static str) -> Self {
        Self::Whole(Some(Bytes::from_static(text.as_bytes())))
    }

    fn stream(events: Arc<[Bytes]>, model: &[u8]) -> Self {
        let pace = match model {
            b"paced" => {
                let mut ticks = interval_at(Instant::now() + PACE, PACE);
                // Late ticks must not be made up for in one burst: chunks are to travel apart.
                ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
                Pace::Paced(ticks)
            }
            b"hold" => Pace::Hold(false),
            _ => Pace::Flood(false),
        };
        Self::Stream { events, sent: 0, pace }
    }
}

impl Body for Scripted {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let (events, sent, pace) = match self.get_mut() {
            Self::Whole(text) => return Poll::Ready(text.take().map(|it| Ok(Frame::data(it)))),
            Self::Stream { events, sent, pace } => (events, sent, pace),
        };
        match pace {
            Pace::Paced(ticks) => {
                // The first event does not wait: the time to it is measured too.
                if *sent > 0 && ticks.poll_tick(context).is_pending() {
                    return Poll::Pending;
                }
            }
            Pace::Hold(_) if *sent == HELD => return Poll::Pending,
            Pace::Flood(waits) | Pace::Hold(waits) => {
                *waits = !*waits;
                if !*waits {
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
        }
        let event = events.get(*sent).cloned();
        *sent += 1;
        Poll::Ready(event.map(|it| Ok(Frame::data(it))))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(text) => text.is_none(),
            Self::Stream { events, sent, .. } => *sent >= events.len(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(text) => {
                SizeHint::with_exact(text.as_ref().map_or(0, |it| it.len() as u64))
            }
            Self::Stream { .. } => SizeHint::default(),
        }
    }
}
