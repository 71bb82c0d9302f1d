//! tokenrouter: one OpenAI-compatible address in front of every model provider.
//!
//! # Map
//!
//! ```text
//! words      base                                   no I/O but whole-file read and replace
//! domain     llm  access  catalog  routing          pure: no clock, no async, no I/O
//! config     config  api                            text <-> domain values; JSON of the admin API
//! outside    store  upstream                        what torod remembers; providers
//! process    app                                    the one live value, and what keeps it fresh
//! surfaces   gateway  admin                         /v1 and /admin; strangers to each other
//! edges      server  client  cli  (bin/)            sockets, terminals
//! ```
//!
//! The order of the `pub mod` lines below is the order of the layers: **a module uses only modules
//! listed before it**. `tests/tidy.rs` reads that list.
//!
//! # The two straight lines
//!
//! - A request walks down one screen of code: [`gateway::walk`] carries the diagram.
//! - A change of the file takes one way into memory: [`config`] carries the diagram.
//!
//! # Invariants
//!
//! 1. Domain modules do no I/O, read no clock, never await.
//! 2. `llm` alone knows a protocol's JSON.
//! 3. A request whose protocol is its target's is never decoded: bytes pass, with the value of
//!    `model` spliced and, where a preset takes it, the wish for usage in a stream.
//! 4. The config file is written by [`app::editor`] alone, and at a first start. `ArcSwap::store` is
//!    called in one place.
//! 5. A request sees one `Snapshot` from its first header to its last byte.
//! 6. Every admitted request makes exactly one ledger entry, whatever happens to it.
//! 7. After the first byte to the client there is no failover; a break becomes an error event in
//!    the client's protocol.
//! 8. No message to a client names an upstream URL, a provider's credential or another key.
//! 9. Every route is a row of a `ROUTES` table with the right that it needs.
//! 10. Every task is spawned by the task set and awaited at shutdown.
//! 11. A `Secret` cannot be printed or serialised; redirects are never followed.
//! 12. Only `upstream` and `client` open connections.

#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, reason = "tests write files and spawn at will")
)]

pub mod base;
pub mod llm;
pub mod access;
pub mod catalog;
pub mod routing;
pub mod config;
pub mod api;
pub mod store;
pub mod upstream;
pub mod app;
pub mod door;
pub mod gateway;
pub mod admin;
pub mod server;
pub mod client;
pub mod cli;
