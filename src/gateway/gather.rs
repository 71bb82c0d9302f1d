//! The first moments of a reply, before its head goes to the client: long enough that a break or
//! garbage becomes a proper error, short enough that nothing waits.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{StatusCode, header};
use http_body_util::BodyExt as _;
use tokio::time::{Instant, timeout, timeout_at};

use super::error;
use crate::{
    catalog::Provider,
    door::Refusal,
    llm::Endpoint,
    upstream::{Reply, ReplyBody, error::chain},
};

/// A whole reply is held back up to this size or this long.
const HELD_BYTES: usize = 256 * 1024;
const HELD: Duration = Duration::from_secs(1);
const MAX_ERROR_BYTES: usize = 1024 * 1024;

/// What follows the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Server-sent events.
    Events,
    /// JSON, or the like of it that a client reads whole.
    Whole,
    /// Sound, images, text: bytes that say nothing to us.
    Opaque,
}

/// A reply that may go to the client.
#[derive(Debug)]
pub(super) struct Gathered {
    pub(super) reply: Reply,
    pub(super) kind: Kind,
    /// What was read so far; it goes first.
    pub(super) ahead: Vec<Bytes>,
    /// Nothing follows `ahead`.
    pub(super) is_whole: bool,
}

/// Looks at a reply's head and its first bytes.
pub(super) async fn gather(
    reply: Reply,
    provider: &Provider,
    endpoint: &Endpoint,
) -> Result<Gathered, Refusal> {
    let status = reply.status;
    if status == StatusCode::UNAUTHORIZED {
        return Err(error::upstream_credentials(&provider.name));
    }
    if status.is_client_error() || status.is_server_error() {
        return failed(reply, provider).await;
    }
    if !status.is_success() {
        let why = if status.is_redirection() { "a redirect" } else { "an unknown status" };
        return Err(error::upstream_garbage(&provider.name, why));
    }
    let kind =
        kind_of(&reply, endpoint).map_err(|why| error::upstream_garbage(&provider.name, why))?;
    let broken = |it: &dyn std::error::Error| error::broke(&provider.name).because(chain(it));
    match kind {
        Kind::Events | Kind::Opaque => first(reply, kind, provider).await,
        Kind::Whole => {
            let mut gathered = Gathered { reply, kind, ahead: Vec::new(), is_whole: false };
            hold(&mut gathered).await.map_err(|it| broken(&it))?;
            if gathered.is_whole && gathered.reply.status != StatusCode::NO_CONTENT {
                checked(&gathered).map_err(|why| error::upstream_garbage(&provider.name, why))?;
            }
            Ok(gathered)
        }
    }
}

/// By content type. Where JSON is due, a page is no answer.
fn kind_of(reply: &Reply, endpoint: &Endpoint) -> Result<Kind, &'static str> {
    let kind = reply.headers.get(header::CONTENT_TYPE).map(|it| it.to_str().unwrap_or("?"));
    let kind = kind.unwrap_or("application/json").to_ascii_lowercase();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    match kind {
        "text/event-stream" => Ok(Kind::Events),
        _ if kind.ends_with("json") => Ok(Kind::Whole),
        "text/html" => Err("an HTML page"),
        // Only media endpoints have answers that are not JSON.
        _ if endpoint.path.is_empty() => Ok(Kind::Opaque),
        "text/plain" | "application/octet-stream" => Ok(Kind::Whole),
        _ => Err("an unknown content type"),
    }
}

/// Waits for the first piece of a stream: until then another target may still be asked.
async fn first(mut reply: Reply, kind: Kind, provider: &Provider) -> Result<Gathered, Refusal> {
    let gathered = |reply, first: Option<Bytes>, is_whole| Gathered {
        reply,
        kind,
        ahead: first.into_iter().collect(),
        is_whole,
    };
    loop {
        let frame =
            timeout(provider.first_byte.max(Duration::from_secs(1)), reply.body.frame()).await;
        match frame {
            Err(_) => {
                return Err(error::upstream(
                    &provider.name,
                    &crate::upstream::UpstreamError::Silent(provider.first_byte.as_secs()),
                ));
            }
            Ok(None) if kind == Kind::Events => {
                return Err(error::broke(&provider.name).because("the stream is empty"));
            }
            Ok(None) => return Ok(gathered(reply, None, true)),
            Ok(Some(Err(it))) => return Err(error::broke(&provider.name).because(chain(&it))),
            Ok(Some(Ok(frame))) => {
                if let Ok(data) = frame.into_data().map_err(drop)
                    && !data.is_empty()
                {
                    return Ok(gathered(reply, Some(data), false));
                }
            }
        }
    }
}

async fn hold(gathered: &mut Gathered) -> Result<(), crate::upstream::reply::Broke> {
    let until = Instant::now() + HELD;
    let mut held = 0;
    while held < HELD_BYTES {
        let Ok(frame) = timeout_at(until, gathered.reply.body.frame()).await else { return Ok(()) };
        let Some(frame) = frame else {
            gathered.is_whole = true;
            return Ok(());
        };
        if let Ok(data) = frame?.into_data() {
            held += data.len();
            gathered.ahead.push(data);
        }
    }
    Ok(())
}

/// A whole reply is JSON in UTF-8 by its looks: from bracket to bracket. Numbers such as `NaN`,
/// which some servers write, are none of our business.
fn checked(gathered: &Gathered) -> Result<(), &'static str> {
    if gathered.reply.headers.contains_key(header::CONTENT_ENCODING) {
        return Ok(());
    }
    let joined;
    let bytes: &[u8] = match gathered.ahead.as_slice() {
        [one] => one,
        many => {
            joined = many.concat();
            &joined
        }
    };
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8")?;
    let text = text.trim_start_matches('\u{feff}').trim();
    let ends = (text.as_bytes().first(), text.as_bytes().last());
    match ends {
        (None, _) => Err("it is empty"),
        (Some(b'{'), Some(b'}')) | (Some(b'['), Some(b']')) => Ok(()),
        _ => Err("it is not JSON"),
    }
}

/// An error of the provider: its own JSON with its own status, without our credential in it.
async fn failed(mut reply: Reply, provider: &Provider) -> Result<Gathered, Refusal> {
    let status = reply.status;
    let read = reply.body.read(MAX_ERROR_BYTES, HELD * 10).await;
    let page = || error::error_page(&provider.name, status.as_u16());
    let (text, whole) = read.map_err(|it| page().because(chain(&it)))?;
    if !whole || !is_error_object(&text) {
        let shown = String::from_utf8_lossy(&text[..text.len().min(200)]).into_owned();
        return Err(page().because(format!("{:?}", scrub(shown.into(), provider))));
    }
    let text = scrub(text, provider);
    reply.body = ReplyBody::Whole(None);
    Ok(Gathered { reply, kind: Kind::Whole, ahead: vec![text], is_whole: true })
}

/// An object, or one in a list, as Google's compatible endpoint has it.
fn is_error_object(text: &[u8]) -> bool {
    match serde_json::from_slice(text) {
        Ok(serde_json::Value::Object(_)) => true,
        Ok(serde_json::Value::Array(list)) => {
            list.first().is_some_and(serde_json::Value::is_object)
        }
        _ => false,
    }
}

/// Takes what we keep secret out of a text that a provider sends back.
fn scrub(mut text: Bytes, provider: &Provider) -> Bytes {
    for secret in provider.secrets() {
        let finder = memchr::memmem::Finder::new(secret);
        let Some(mut at) = finder.find(&text) else { continue };
        let mut out = BytesMut::with_capacity(text.len());
        let mut from = 0;
        loop {
            out.extend_from_slice(&text[from..at]);
            out.extend_from_slice(b"***");
            from = at + secret.len();
            match finder.find(&text[from..]) {
                Some(next) => at = from + next,
                None => break,
            }
        }
        out.extend_from_slice(&text[from..]);
        text = out.freeze();
    }
    text
}
