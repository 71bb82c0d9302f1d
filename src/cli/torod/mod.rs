//! `torod`: one file a command.

mod check;
mod first;
mod key;
mod serve;
mod status;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use super::{exit, paths::PathArgs, ui};
use crate::config::schema;

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
    /// Look at the config
    #[command(subcommand)]
    Config(ConfigCommand),
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

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print the JSON Schema of the config file
    Schema,
}

/// The whole of `torod`.
pub fn torod() -> ExitCode {
    let Torod { paths, command } = Torod::parse();
    exit::finish(match command.unwrap_or(Command::Serve(serve::Args::default())) {
        Command::Serve(args) => paths.resolve().and_then(|paths| serve::run(&args, paths)),
        Command::Check(args) => paths.resolve().and_then(|paths| check::run(&args, &paths)),
        Command::Key(KeyCommand::New(args)) => key::run(&args),
        Command::Config(ConfigCommand::Schema) => {
            ui::line(&format!("{:#}", schema::json_schema()));
            Ok(ExitCode::SUCCESS)
        }
        Command::Status(args) => paths.resolve().and_then(|paths| status::run(&args, &paths)),
        Command::Version => {
            ui::line(&format!("torod {}", env!("CARGO_PKG_VERSION")));
            Ok(ExitCode::SUCCESS)
        }
    })
}
