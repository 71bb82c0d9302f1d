//! How handlers read what was asked and say what there is.

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header, request};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    app::App,
    base::{digest, hex},
    door::{Answer, Arrival, Caller, Refusal, Visit, body, etag, json},
};

/// A request of which all is read.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) app: Arc<App>,
    pub(super) arrival: Arrival,
    pub(super) caller: Caller,
    pub(super) head: request::Parts,
    pub(super) body: Bytes,
}

impl Ask {
    pub(super) async fn read(visit: Visit) -> Result<Self, Refusal> {
        let Visit { app, arrival, caller, head, body } = visit;
        let body = body::read(&head.headers, body).await?;
        Ok(Self { app, arrival, caller, head, body })
    }

    /// The body as JSON of a form.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        body::json(&self.head.headers, &self.body)
    }
}

/// JSON with its tag.
pub(super) fn reply(status: StatusCode, value: &impl Serialize, tag: &str) -> Answer {
    let mut response = json(value)?;
    *response.status_mut() = status;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(etag::tagged(response, tag))
}

pub(super) fn ok(value: &impl Serialize, tag: &str) -> Answer {
    reply(StatusCode::OK, value, tag)
}

/// What changes only with torod itself: its tag is its digest.
pub(super) fn fixed(value: &impl Serialize) -> Answer {
    let text = serde_json::to_string(value).unwrap_or_default();
    reply(StatusCode::OK, value, &hex(&digest(text)))
}

/// A TOML text with its tag.
pub(super) fn toml(text: String, tag: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/toml"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    etag::tagged(response, tag)
}

/// The value of a query parameter, decoded.
pub(super) fn parameter(ask: &Ask, name: &str) -> Option<String> {
    let query = ask.head.uri.query()?;
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs.find(|it| it.0 == name).map(|it| it.1.into_owned())
}

/// Whether a switch is in the query: `?name`, `?name=1`, `?name=true`.
pub(super) fn flag(ask: &Ask, name: &str) -> bool {
    parameter(ask, name).is_some_and(|it| matches!(it.as_str(), "" | "1" | "true"))
}

/// What stands in the path between these, decoded.
pub(super) fn between(ask: &Ask, before: &str, after: &str) -> Result<String, Refusal> {
    let name = ask.head.uri.path().strip_prefix(before).and_then(|it| it.strip_suffix(after));
    let name = name.map(percent_encoding::percent_decode_str);
    let name = name.and_then(|it| it.decode_utf8().ok()).ok_or_else(Refusal::no_such_path)?;
    Ok(name.into_owned())
}
