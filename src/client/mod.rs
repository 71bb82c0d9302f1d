//! HTTP from a command line to a running torod: over its control socket, where this user is an
//! admin without a key.

use std::{io, path::Path};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use tokio::net::UnixStream;

const MAX_BYTES: usize = 16 * 1024 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("cannot reach torod on `{0}`")]
    Unreachable(String, #[source] io::Error),
    #[error("the exchange with torod broke")]
    Broke(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("torod answered {status}{}", said(.message))]
    Status {
        status: StatusCode,
        /// What the body says of it; empty when it has no message.
        message: String,
    },
    #[error("torod's answer is not understood; are both of one version?")]
    Answer(#[source] serde_json::Error),
}

fn said(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

impl ClientError {
    fn broke(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Broke(error.into())
    }
}

/// `GET path` over the control socket.
pub async fn get<T: DeserializeOwned>(socket: &Path, path: &str) -> Result<T, ClientError> {
    send(socket, Method::GET, path, None::<&()>).await
}

/// `POST path` with a body of JSON.
pub async fn post<T: DeserializeOwned>(
    socket: &Path,
    path: &str,
    body: &impl Serialize,
) -> Result<T, ClientError> {
    send(socket, Method::POST, path, Some(body)).await
}

/// `PUT path` with a body of JSON.
pub async fn put<T: DeserializeOwned>(
    socket: &Path,
    path: &str,
    body: &impl Serialize,
) -> Result<T, ClientError> {
    send(socket, Method::PUT, path, Some(body)).await
}

async fn send<T: DeserializeOwned>(
    socket: &Path,
    method: Method,
    path: &str,
    body: Option<&impl Serialize>,
) -> Result<T, ClientError> {
    let name = socket.display().to_string();
    let stream =
        UnixStream::connect(socket).await.map_err(|it| ClientError::Unreachable(name, it))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(ClientError::broke)?;
    let request = request(method, path, body)?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(ClientError::broke)?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_BYTES);
        let bytes = body.collect().await.map_err(ClientError::Broke)?.to_bytes();
        if !status.is_success() {
            return Err(ClientError::Status { status, message: message(&bytes) });
        }
        serde_json::from_slice(&bytes).map_err(ClientError::Answer)
    };
    tokio::select! {
        answer = answer => answer,
        Err(error) = connection => Err(ClientError::broke(error)),
    }
}

fn request(
    method: Method,
    path: &str,
    body: Option<&impl Serialize>,
) -> Result<Request<Full<Bytes>>, ClientError> {
    let bytes = match body {
        Some(body) => serde_json::to_vec(body).map_err(ClientError::broke)?,
        None => Vec::new(),
    };
    let mut request = Request::new(Full::from(bytes));
    *request.method_mut() = method;
    *request.uri_mut() =
        path.parse().map_err(|it: http::uri::InvalidUri| ClientError::broke(it))?;
    let headers = request.headers_mut();
    headers.insert(header::HOST, HeaderValue::from_static("localhost"));
    if body.is_some() {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    Ok(request)
}

/// The message of torod's error bodies.
fn message(body: &[u8]) -> String {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    body["error"]["message"].as_str().unwrap_or_default().to_owned()
}
