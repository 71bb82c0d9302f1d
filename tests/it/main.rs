//! torod as clients and providers see it: over real sockets, one file a story.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a failed test may panic"
)]
#![allow(unreachable_pub, reason = "nobody is outside of a test binary")]

mod admin;
mod admin_guards;
mod admin_keys;
mod admin_lossless;
mod admin_probes;
mod admin_providers;
mod admin_races;
mod admin_settings;
mod admin_text;
mod chat;
mod cli;
mod cli_config;
mod cli_config_more;
mod cli_live;
mod cli_wizard;
mod client;
mod drain;
mod drain_systemd;
mod echo;
mod edit_beside;
mod edit_child;
mod edit_crash;
mod edit_overwritten;
mod edit_write;
mod edits;
mod egress;
mod failover;
mod framing;
mod garbage;
mod garbage_cases;
mod garbage_cuts;
mod headers;
mod hostile;
mod hostile_bodies;
mod hostile_disk;
mod hostile_logs;
mod hostile_paths;
mod hostile_slow;
mod keys;
mod ledger;
mod ledger_process;
mod listeners;
mod passage;
mod paths;
mod price_shapes;
mod prices;
mod pricing;
mod process;
mod reload;
mod reload_big;
mod reload_hot;
mod reload_load;
mod reload_partial;
mod reload_patterns;
mod reload_process;
mod responses;
mod samples;
mod saves;
mod script;
mod scripted;
mod secrets;
mod stream;
mod terminal;
mod upstream_early;
mod upstream_kept;
mod upstream_tls;
mod wire;
mod world;
