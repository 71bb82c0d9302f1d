//! torod as clients and providers see it: over real sockets, one file a story.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a failed test may panic"
)]

mod chat;
mod cli;
mod client;
mod drain;
mod echo;
mod failover;
mod framing;
mod garbage;
mod headers;
mod hostile;
mod keys;
mod listeners;
mod passage;
mod paths;
mod reload;
mod responses;
mod samples;
mod script;
mod scripted;
mod secrets;
mod stream;
mod world;
