//! Why a provider gave no answer. Nothing here knows a URL, so nothing can print one.

/// An attempt that ended before the first byte of a reply.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    #[error("the connection failed")]
    Connect(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("no answer within {0} s")]
    Silent(u64),
    #[error("the exchange broke")]
    Broke(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the request cannot be made")]
    Request(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the credential is not there")]
    NoCredential,
}

impl From<hyper_util::client::legacy::Error> for UpstreamError {
    fn from(error: hyper_util::client::legacy::Error) -> Self {
        if error.is_connect() { Self::Connect(error.into()) } else { Self::Broke(error.into()) }
    }
}

/// An error and its causes on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(it) = cause {
        let next = it.to_string();
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        cause = it.source();
    }
    text
}
