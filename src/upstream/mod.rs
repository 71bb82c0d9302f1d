//! Talking to providers: the only module of torod, beside its own client, that opens connections.

pub mod client;
pub mod connect;
mod connection;
pub mod detect;
pub mod echo;
pub mod egress;
pub mod error;
pub mod headers;
mod http1;
pub mod models;
mod pool;
pub mod prices;
pub mod probe;
pub mod reply;
pub mod request;

pub use client::Upstream;
pub use error::UpstreamError;
pub use reply::{Reply, ReplyBody};
