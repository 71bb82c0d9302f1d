//! Why a provider gave no answer. Nothing here knows a URL, so nothing can print one.

use http::StatusCode;

use super::{
    connect::TooSlow,
    egress::{NoName, Refused},
};

/// An attempt that ended before the first byte of a reply.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    #[error("the connection failed")]
    Connect(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Nothing was connected.
    #[error(transparent)]
    Refused(Refused),
    #[error("no answer within {0} s")]
    Silent(u64),
    #[error("the exchange broke")]
    Broke(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the request cannot be made")]
    Request(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the credential is not there")]
    NoCredential,
}

/// What went wrong, for those who look after providers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Dns,
    Connect,
    Tls,
    Auth,
    Path,
    Quota,
    Timeout,
    Egress,
    Shape,
    /// A guard in front of it takes torod for a robot.
    Blocked,
    /// It answers that it is not well.
    Server,
}

impl Kind {
    /// Of an answer that is not a success.
    pub fn of_status(status: StatusCode) -> Self {
        match status.as_u16() {
            401 | 403 | 407 => Self::Auth,
            402 | 429 => Self::Quota,
            408 | 504 => Self::Timeout,
            300..500 => Self::Path,
            _ => Self::Server,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Auth => "auth",
            Self::Path => "path",
            Self::Quota => "quota",
            Self::Timeout => "timeout",
            Self::Egress => "egress",
            Self::Shape => "shape",
            Self::Blocked => "blocked",
            Self::Server => "server",
        }
    }
}

impl UpstreamError {
    /// What a connection failed at, among its causes.
    fn cause<E: std::error::Error + 'static>(&self) -> Option<&E> {
        match self {
            Self::Connect(cause) => causes(cause.as_ref()).find_map(|it| it.downcast_ref()),
            _ => None,
        }
    }

    /// What went wrong with HTTPS.
    pub fn tls(&self) -> Option<&rustls::Error> {
        self.cause()
    }

    pub fn kind(&self) -> Kind {
        match self {
            Self::Connect(_) if self.cause::<NoName>().is_some() => Kind::Dns,
            Self::Connect(_) if self.cause::<TooSlow>().is_some() => Kind::Timeout,
            Self::Connect(_) if self.tls().is_some() => Kind::Tls,
            Self::Connect(_) | Self::Broke(_) => Kind::Connect,
            Self::Refused(_) => Kind::Egress,
            Self::Silent(_) => Kind::Timeout,
            Self::Request(_) => Kind::Path,
            Self::NoCredential => Kind::Auth,
        }
    }
}

impl From<hyper_util::client::legacy::Error> for UpstreamError {
    fn from(error: hyper_util::client::legacy::Error) -> Self {
        if let Some(refused) = causes(&error).find_map(|it| it.downcast_ref::<Refused>()) {
            Self::Refused(*refused)
        } else if error.is_connect() {
            Self::Connect(error.into())
        } else {
            Self::Broke(error.into())
        }
    }
}

type Cause = dyn std::error::Error + 'static;

/// An error, its cause, the cause of that; an `io::Error` hides what it was made of.
fn causes(error: &Cause) -> impl Iterator<Item = &Cause> {
    std::iter::successors(Some(error), |it| {
        let inside = it.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        inside.map(|it| it as &Cause).or_else(|| it.source())
    })
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
