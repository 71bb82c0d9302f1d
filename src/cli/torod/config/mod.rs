//! `torod config`: the file, for people and for scripts.
//!
//! Every change is an edit of `config::edit` and takes the one way to the disk, so comments and
//! spacing stay, and nothing is written that would not load.

mod draft;
pub(super) mod entries;
pub(super) mod file;
mod fmt;
pub(super) mod key;
pub(super) mod live;
pub(super) mod model;
mod past;
pub(super) mod provider;
pub(super) mod report;
pub(super) mod secret;
mod values;

use std::process::ExitCode;

use super::{check, wizard};
use crate::{
    cli::{paths::Paths, ui},
    config::schema,
};
use file::ConfigFile;

const AFTER: &str = "\
On a terminal without a command: a wizard, which shows all that it would change
before it writes anything.

Comments, order and spacing of the file stay as they are outside of an edit.
Nothing is written that would not load. A running torod is told of each edit.

Exit codes: 0 done, 1 failed, 2 bad usage, 3 the new text would not load and the
file is as it was, 4 no torod answers.

Where somebody else writes the file (`managed = true`, or it is read-only), an
edit prints its patch on stdout, writes nothing and exits 1.";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Print a value of the file
    Get(values::Get),
    /// Set a value
    Set(values::Set),
    /// Take a value out, so that its default holds
    Unset(values::Unset),
    /// Add, remove, enable, disable, test or list providers
    #[command(subcommand)]
    Provider(provider::Command),
    /// Add, remove or list the keys that callers present
    #[command(subcommand)]
    Key(key::Command),
    /// Add, remove or list virtual models
    #[command(subcommand)]
    Model(model::Command),
    /// Open the file in an editor, and check it before it is replaced
    Edit(report::How),
    /// Say everything that is wrong with the file
    Check(check::Args),
    /// Format white space, and nothing else
    Fmt(fmt::Args),
    /// Show what a reload would change, or what changed since a revision
    Diff(past::Diff),
    /// Wait until the running torod has the file
    Wait(live::Args),
    /// List earlier texts of the file
    History(past::History),
    /// Bring an earlier text back
    Restore(past::Restore),
    /// Print the JSON Schema of the file
    Schema,
}

pub(super) fn run(args: Args, paths: Paths) -> anyhow::Result<ExitCode> {
    let file = ConfigFile { paths };
    match args.command {
        None => wizard::run(file),
        Some(Command::Get(args)) => values::get(&args, &file),
        Some(Command::Set(args)) => values::set(args, &file),
        Some(Command::Unset(args)) => values::unset(args, &file),
        Some(Command::Provider(command)) => provider::run(command, &file),
        Some(Command::Key(command)) => key::run(command, &file),
        Some(Command::Model(command)) => model::run(command, &file),
        Some(Command::Edit(how)) => draft::run(how, &file),
        Some(Command::Check(args)) => check::run(&args, &file.paths),
        Some(Command::Fmt(args)) => fmt::run(args, &file),
        Some(Command::Diff(args)) => past::diff(&args, &file),
        Some(Command::Wait(args)) => live::wait(&args, &file),
        Some(Command::History(args)) => past::history(&args, &file),
        Some(Command::Restore(args)) => past::restore(&args, &file),
        Some(Command::Schema) => {
            ui::line(&format!("{:#}", schema::json_schema()));
            Ok(ExitCode::SUCCESS)
        }
    }
}
