//! What both surfaces share: a route is a row, a row names the right that it needs, and no handler
//! runs before that right was checked.

pub mod body;
pub mod caller;
pub mod doc;
pub mod etag;
mod page;
pub mod refusal;

use std::{future::Future, net::SocketAddr, pin::Pin, sync::Arc, time::Instant};

use axum::{Router, body::Body, extract::State, routing::MethodFilter};
use http::{HeaderValue, Request, Response, request};

use crate::{
    access::Right,
    app::{App, Snapshot},
    llm::Protocol,
};

pub use caller::Caller;
pub use doc::Doc;
pub use refusal::Refusal;

/// Who is at the other end of the socket: the kernel's word, no header's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    Tcp(SocketAddr),
    /// A Unix socket that the config names; it proves nothing.
    Unix,
    /// The control socket, which only this user can open: an admin.
    Control,
}

impl Peer {
    pub fn ip(self) -> Option<std::net::IpAddr> {
        match self {
            Self::Tcp(it) => Some(it.ip().to_canonical()),
            Self::Unix | Self::Control => None,
        }
    }
}

/// What was settled about a request before it was routed.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// The one snapshot that this request sees.
    pub snapshot: Arc<Snapshot>,
    pub peer: Peer,
    pub request_id: HeaderValue,
    pub at: Instant,
}

/// A request whose right was checked.
#[derive(Debug)]
pub struct Visit {
    pub app: Arc<App>,
    pub arrival: Arrival,
    /// Nobody in particular, on a public route.
    pub caller: Caller,
    pub head: request::Parts,
    pub body: Body,
}

pub type Answer = Result<Response<Body>, Refusal>;
pub type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// One route.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    pub method: &'static str,
    pub path: &'static str,
    pub right: Right,
    /// Whose errors it speaks.
    pub face: Protocol,
    pub handler: fn(Visit) -> Answering,
    /// For the description of the API that has one.
    pub doc: Option<Doc>,
}

/// Marks a response whose request has its ledger entry, and so its log line.
#[derive(Debug, Clone, Copy)]
pub struct Booked;

/// The router of some rows; a row's right is checked before its handler is called.
pub fn router(rows: &'static [Route]) -> Router<Arc<App>> {
    rows.iter().fold(Router::new(), |router, row| {
        let filter = match row.method {
            "GET" => MethodFilter::GET,
            "HEAD" => MethodFilter::HEAD,
            "PUT" => MethodFilter::PUT,
            "PATCH" => MethodFilter::PATCH,
            "DELETE" => MethodFilter::DELETE,
            _ => MethodFilter::POST,
        };
        let handler = move |State(app): State<Arc<App>>, request: Request<Body>| async move {
            let face = face_of(row.face, &request);
            match enter(app, row, request).await {
                Ok(response) => response,
                Err(refusal) => refusal.dress(face),
            }
        };
        router.route(row.path, axum::routing::on(filter, handler))
    })
}

async fn enter(app: Arc<App>, row: &Route, request: Request<Body>) -> Answer {
    let (mut head, body) = request.into_parts();
    let Some(arrival) = head.extensions.remove::<Arrival>() else {
        return Err(Refusal::new(
            500,
            "server_error",
            "internal_error",
            "the request has no arrival",
        ));
    };
    let caller = caller::admit(&arrival, &head.headers, row.right)?;
    if row.right >= Right::DelegateKeys {
        page::check(&head.headers)?;
    }
    (row.handler)(Visit { app, arrival, caller, head, body }).await
}

/// The face that a client expects: its row's, but Anthropic's where it says so by header on a path
/// that both protocols have.
fn face_of(row: Protocol, request: &Request<Body>) -> Protocol {
    let shared = request.uri().path().starts_with("/v1/models");
    if shared && request.headers().contains_key("anthropic-version") {
        Protocol::Messages
    } else {
        row
    }
}

/// The face of a path that is no route.
pub fn face_of_path(path: &str, headers: &http::HeaderMap) -> Protocol {
    if path.starts_with("/v1beta/") {
        Protocol::Gemini
    } else if path.starts_with("/v1/messages") || headers.contains_key("anthropic-version") {
        Protocol::Messages
    } else {
        Protocol::Chat
    }
}

/// A JSON response.
pub fn json(value: &impl serde::Serialize) -> Answer {
    let text = serde_json::to_string(value).map_err(|error| {
        tracing::error!(%error, "an answer cannot be written as JSON");
        Refusal::new(500, "server_error", "internal_error", "the answer cannot be written")
    })?;
    let mut response = Response::new(Body::from(text));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(http::header::CONTENT_TYPE, json);
    Ok(response)
}

/// Makes an `async fn(Visit) -> Answer` into a row's handler.
#[macro_export]
macro_rules! handler {
    ($function:path) => {
        |visit| Box::pin($function(visit))
    };
}
