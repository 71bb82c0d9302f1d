//! `toro`, the client.

use std::process::ExitCode;

use clap::Parser;

use super::{exit, ui};

/// The client of torod.
#[derive(Debug, Parser)]
#[command(name = "toro", version, arg_required_else_help = true)]
struct Toro {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Print the version
    Version,
}

/// The whole of `toro`.
pub fn toro() -> ExitCode {
    let Command::Version = Toro::parse().command;
    ui::line(&format!("toro {}", env!("CARGO_PKG_VERSION")));
    exit::finish(Ok(ExitCode::SUCCESS))
}
