//! HTTP from a command line to a running torod: over its control socket, where this user is an
//! admin without a key.

use std::{io, path::Path};

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

const MAX_BYTES: usize = 16 * 1024 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("cannot reach torod on `{0}`")]
    Unreachable(String, #[source] io::Error),
    #[error("the exchange with torod broke")]
    Broke(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("torod answered {0}")]
    Status(StatusCode),
    #[error("torod's answer is not understood; are both of one version?")]
    Answer(#[source] serde_json::Error),
}

/// `GET path` over the control socket.
pub async fn get<T: DeserializeOwned>(socket: &Path, path: &str) -> Result<T, ClientError> {
    let name = socket.display().to_string();
    let stream =
        UnixStream::connect(socket).await.map_err(|it| ClientError::Unreachable(name, it))?;
    let broke = |it: Box<dyn std::error::Error + Send + Sync>| ClientError::Broke(it);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|it| broke(it.into()))?;
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.uri_mut() = path.parse().map_err(|it: http::uri::InvalidUri| broke(it.into()))?;
    request.headers_mut().insert(header::HOST, HeaderValue::from_static("localhost"));
    let answer = async {
        let response = sender.send_request(request).await.map_err(|it| broke(it.into()))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_BYTES).collect().await.map_err(broke)?;
        if !status.is_success() {
            return Err(ClientError::Status(status));
        }
        serde_json::from_slice(&body.to_bytes()).map_err(ClientError::Answer)
    };
    tokio::select! {
        answer = answer => answer,
        Err(error) = connection => Err(broke(error.into())),
    }
}
