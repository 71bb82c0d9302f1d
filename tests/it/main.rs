//! torod as clients and providers see it: over real sockets, one file a story.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a failed test may panic"
)]
#![allow(unreachable_pub, reason = "nobody is outside of a test binary")]

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
mod hostile_bodies;
mod hostile_paths;
mod keys;
mod listeners;
mod passage;
mod paths;
mod process;
mod process;
mod reload;
mod reload_patterns;
mod responses;
mod samples;
mod saves;
mod script;
mod scripted;
mod secrets;
mod stream;
mod wire;
mod world;
