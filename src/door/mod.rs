//! What both surfaces share: a route is a row, a row names the right that it needs, and no handler
//! runs before that right was checked.

pub mod body;
pub mod caller;
pub mod doc;
pub mod etag;
mod page;
pub mod refusal;
pub mod usage;

use std::{
    collections::BTreeSet, future::Future, net::SocketAddr, pin::Pin, sync::Arc, time::Instant,
};

use axum::body::Body;
use http::{HeaderValue, Method, Response, header, request};

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
    /// Ours; ordered by time.
    pub id: uuid::Uuid,
    /// What the client knows it by.
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

/// The rows of all surfaces, by path: as its bytes are, without any normalisation.
#[derive(Debug, Clone, Default)]
pub struct Routes(matchit::Router<Vec<&'static Route>>);

impl Routes {
    /// Fails when two patterns fit one path.
    pub fn new(tables: &[&'static [Route]]) -> Result<Self, matchit::InsertError> {
        let rows = || tables.iter().flat_map(|it| it.iter());
        let paths: BTreeSet<_> = rows().map(|it| it.path).collect();
        let mut router = matchit::Router::new();
        for path in paths {
            router.insert(path, rows().filter(|it| it.path == path).collect())?;
        }
        Ok(Self(router))
    }

    /// The row of a request; `HEAD` is what `GET` is, without the body.
    pub fn find(&self, method: &Method, path: &str) -> Result<&'static Route, Refusal> {
        let rows = self.0.at(path).map_err(|_| Refusal::no_such_path())?.value;
        let of = |method: &str| rows.iter().find(|it| it.method == method).copied();
        let row = of(method.as_str()).or_else(|| of("GET").filter(|_| method == Method::HEAD));
        row.ok_or_else(|| {
            let allowed = rows.iter().map(|it| it.method).collect::<Vec<_>>().join(", ");
            let message = "this path does not take this method";
            let refusal = Refusal::new(405, "invalid_request_error", "method_not_allowed", message);
            refusal.header_value(header::ALLOW, &allowed)
        })
    }
}

/// A row's right is checked before its handler is called.
pub async fn answer(
    app: Arc<App>,
    row: &'static Route,
    arrival: Arrival,
    head: request::Parts,
    body: Body,
) -> Response<Body> {
    let face = face_of(row.face, &head);
    let admitted = caller::admit(&arrival, &head.headers, row.right).and_then(|caller| {
        if row.right >= Right::DelegateKeys {
            page::check(&head.headers)?;
        }
        Ok(caller)
    });
    let answered = match admitted {
        Ok(caller) => (row.handler)(Visit { app, arrival, caller, head, body }).await,
        Err(refusal) => Err(refusal),
    };
    answered.unwrap_or_else(|refusal| refusal.dress(face))
}

/// The face that a client expects: its row's, but Anthropic's where it says so by header on a path
/// that both protocols have.
fn face_of(row: Protocol, head: &request::Parts) -> Protocol {
    let shared = head.uri.path().starts_with("/v1/models");
    if shared && head.headers.contains_key("anthropic-version") { Protocol::Messages } else { row }
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
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    Ok(response)
}

/// Makes an `async fn(Visit) -> Answer` into a row's handler.
#[macro_export]
macro_rules! handler {
    ($function:path) => {
        |visit| Box::pin($function(visit))
    };
}
