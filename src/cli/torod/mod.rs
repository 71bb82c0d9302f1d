//! `torod`: one file a command.

mod check;
mod config;
mod first;
mod key;
mod serve;
mod status;
mod wizard;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use super::{exit, paths::PathArgs, ui};

/// One OpenAI-compatible address in front of every model provider.
#[derive(Debug, Parser)]
#[command(name = "torod", version)]
struct Torod {
    #[command(flatten)]
    paths: PathArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway (the default)
    Serve(serve::Args),
    /// Say everything that is wrong with the config
    Check(check::Args),
    /// Make keys
    #[command(subcommand)]
    Key(KeyCommand),
    /// Change the config: a wizard on a terminal, commands for scripts
    Config(config::Args),
    /// Show what the running torod is doing
    Status(status::Args),
    /// Print the version
    Version,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Print a new key once, and the lines for the config file
    New(key::Args),
}

/// The whole of `torod`.
pub fn torod() -> ExitCode {
    let Torod { paths, command } = Torod::parse();
    exit::finish(match command.unwrap_or(Command::Serve(serve::Args::default())) {
        Command::Serve(args) => paths.resolve().and_then(|paths| serve::run(&args, paths)),
        Command::Check(args) => paths.resolve().and_then(|paths| check::run(&args, &paths)),
        Command::Key(KeyCommand::New(args)) => key::run(&args),
        Command::Config(args) => paths.resolve().and_then(|paths| config::run(args, paths)),
        Command::Status(args) => paths.resolve().and_then(|paths| status::run(&args, &paths)),
        Command::Version => {
            ui::line(&format!("torod {}", env!("CARGO_PKG_VERSION")));
            Ok(ExitCode::SUCCESS)
        }
    })
}
