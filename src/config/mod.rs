//! The file's way into memory.
//!
//! ```text
//!  the admin API, torod config: edits,          an editor, git, a ConfigMap: a save
//!  perhaps with an ETag                          notify on the directory, a hash poll each 2 s,
//!     |                                          SIGHUP, POST /admin/api/config/reload
//!  Live::edit     ETag stale: 412                   |  100 ms of quiet, 1 s at most
//!  app::editor    lock; read the file, not memory   |
//!                 edit::apply: splices           Live::reload   read, and again 50 ms later: equal,
//!                 resolve: an error is 422          |           not empty; resolve: an error keeps
//!                 change places with the file,      |           the last good; half of the keys gone:
//!                 look at what came out             |           look again in 2 s
//!      \---------------------------\    /------------/
//!                         Snapshot::build    pure
//!                         ArcSwap::store     the only call; generation + 1
//!                         watch::send        followers compare what they saw with what is:
//!                                            listeners, model lists, log level
//! ```
//!
//! Here is the pure part: a text becomes a [`Config`] and a list of [`Problem`]s, an edit becomes
//! splices of a text. It asks its [`Surroundings`] for variables and files and does no other I/O.

pub mod changes;
mod document;
pub mod edit;
pub mod mask;
pub mod problem;
mod resolve;
pub mod schema;
pub mod schema_keys;
pub mod schema_parts;
pub mod template;

use std::{io, path::PathBuf, sync::Arc};

use crate::{
    access::Key,
    base::{digest, digest_from_hex, hex},
    catalog::{PriceOverride, PriceSource, Provider},
    routing::VirtualModel,
};

pub use document::masked;
pub use problem::{Problem, Severity};
pub use resolve::resolve;
pub use schema_parts::{Limits, LogFormat, LogLevel};

/// What the file refers to but does not hold.
pub trait Surroundings {
    fn env(&self, name: &str) -> Option<String>;
    /// A whole text file, with a limit; relative paths are relative to the config file.
    fn file(&self, path: &str) -> io::Result<String>;
    /// Where a path of the file is, to be watched.
    fn locate(&self, path: &str) -> PathBuf;
}

/// Digest of a file's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Revision([u8; 32]);

impl Revision {
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        Self(digest(bytes))
    }

    /// As [`Display`](std::fmt::Display) writes it.
    pub fn parse(text: &str) -> Option<Self> {
        digest_from_hex(text).map(Self)
    }
}

impl std::fmt::Display for Revision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

/// An address to listen on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    Tcp(std::net::SocketAddr),
    Unix(PathBuf),
}

impl Address {
    pub fn is_public(&self) -> bool {
        matches!(self, Self::Tcp(it) if !it.ip().to_canonical().is_loopback())
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(it) => write!(f, "http://{it}"),
            Self::Unix(it) => write!(f, "unix:{}", it.display()),
        }
    }
}

/// A file that loads, as checked values.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "the switches of the file")]
pub struct Config {
    pub listen: Vec<Address>,
    pub allowed_hosts: Vec<String>,
    pub default_provider: Option<String>,
    pub local_no_auth: bool,
    pub docker_no_auth: bool,
    pub detect_local: bool,
    pub enable_public_free: bool,
    pub managed: bool,
    /// Providers on this machine and in private networks are not connected to.
    pub public_only: bool,
    /// Expired keys are removed from the file.
    pub remove_expired: bool,
    /// So many earlier texts are kept.
    pub history: usize,
    pub shutdown: std::time::Duration,
    pub worker_threads: Option<usize>,
    pub keys: Vec<Arc<Key>>,
    /// All of the file, disabled ones too, in its order.
    pub providers: Vec<Arc<Provider>>,
    pub models: Vec<VirtualModel>,
    /// Prices of the file, in its order.
    pub prices: Vec<PriceOverride>,
    /// Where prices come from, the most trusted first.
    pub price_sources: Vec<PriceSource>,
    /// Between two looks at prices.
    pub price_refresh: std::time::Duration,
    /// Models without a price are not called.
    pub block_unpriced: bool,
    pub limits: Limits,
    pub log_level: LogLevel,
    pub log_format: LogFormat,
    /// Days that single entries are kept, and sums of them.
    pub raw_days: u64,
    pub rollup_days: u64,
}

/// What a text is worth.
#[derive(Debug)]
pub struct Resolved {
    /// None when a problem is an error.
    pub config: Option<Config>,
    pub problems: Vec<Problem>,
    /// Files that the text refers to.
    pub watched: Vec<PathBuf>,
    /// Digest of all secrets as resolved: a rotated one is a new generation.
    pub secrets: [u8; 32],
}
