//! A request that gets an error, and how it looks to its client.

use axum::body::Body;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::llm::{Fault, Protocol};

/// An error for a client. The message is for the client; `cause` is for the log only.
#[derive(Debug, Clone)]
pub struct Refusal {
    pub fault: Box<Fault>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub cause: Option<Box<str>>,
    /// The request has its ledger entry already.
    pub booked: bool,
    /// What the admin API says beside the error.
    pub extra: Option<Box<Map<String, Value>>>,
}

impl Refusal {
    pub fn new(
        status: u16,
        kind: &'static str,
        code: &'static str,
        message: impl Into<String>,
    ) -> Self {
        let fault = Box::new(Fault::new(status, kind, code, message.into()));
        Self { fault, headers: Vec::new(), cause: None, booked: false, extra: None }
    }

    /// The client's mistake.
    pub fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(400, "invalid_request_error", code, message)
    }

    /// No such path.
    pub fn no_such_path() -> Self {
        Self::new(404, "invalid_request_error", "not_found", "there is nothing at this path")
    }

    #[must_use]
    pub fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((HeaderName::from_static(name), HeaderValue::from_static(value)));
        self
    }

    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<str>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    #[must_use]
    pub fn param(mut self, name: &'static str) -> Self {
        self.fault.param = Some(name);
        self
    }

    /// Adds a field beside the error.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Serialize) -> Self {
        let value = serde_json::to_value(value).unwrap_or_default();
        self.extra.get_or_insert_default().insert(name.to_owned(), value);
        self
    }

    /// The response, in the client's protocol. What the log should know rides along.
    pub fn dress(self, protocol: Protocol) -> Response<Body> {
        let mut body = self.fault.json(protocol);
        if let (Some(extra), Some(body)) = (&self.extra, body.as_object_mut()) {
            body.extend((**extra).clone());
        }
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() =
            StatusCode::from_u16(self.fault.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.extend(self.headers.iter().cloned());
        if self.fault.status == 401 {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.booked {
            response.extensions_mut().insert(super::Booked);
        }
        response.extensions_mut().insert(self);
        response
    }
}
