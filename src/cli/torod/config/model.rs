//! `torod config model`: virtual models, names of one's own for targets.

use std::process::ExitCode;

use serde_json::{Map, Value, json};

use super::{
    entries::load,
    file::ConfigFile,
    report::{self, How},
};
use crate::{
    app::edit::Input,
    cli::ui,
    config::edit::{Edit, Kind},
};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Add a name for targets, which are tried in this order
    Add(Add),
    /// Take a name out of the file
    Remove(Remove),
    /// List the virtual models of the file
    List(List),
}

#[derive(Debug, clap::Args)]
pub(super) struct Add {
    /// What clients ask for
    name: String,
    /// `provider/model`
    #[arg(required = true, value_name = "TARGET")]
    targets: Vec<String>,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, clap::Args)]
pub(super) struct Remove {
    name: String,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// Print them as a JSON list
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: Command, file: &ConfigFile) -> anyhow::Result<ExitCode> {
    let (edit, how) = match command {
        Command::Add(Add { name, targets, how }) => (new(&name, &targets), how),
        Command::Remove(Remove { name, how }) => (Edit::Remove { kind: Kind::Model, name }, how),
        Command::List(args) => return list(&args, file),
    };
    Ok(report::edit(file, &how, Input::Edits(vec![edit]))?.code)
}

pub(in crate::cli) fn new(name: &str, targets: &[String]) -> Edit {
    let values = [("name", Value::from(name)), ("targets", targets.into())];
    let values = Map::from_iter(values.map(|it| (it.0.to_owned(), it.1)));
    Edit::Add { kind: Kind::Model, values }
}

fn list(args: &List, file: &ConfigFile) -> anyhow::Result<ExitCode> {
    let config = load(file)?;
    let rows = config.models.iter().map(|it| {
        let targets = it.targets.iter().map(|(provider, model)| format!("{provider}/{model}"));
        (it.name.to_string(), targets.collect::<Vec<_>>())
    });
    if args.json {
        let rows = rows.map(|(name, targets)| json!({ "name": name, "targets": targets }));
        ui::line(&Value::Array(rows.collect()).to_string());
    } else {
        ui::table(&["NAME", "TARGETS"], rows.map(|it| [it.0, it.1.join(", ")]));
    }
    Ok(ExitCode::SUCCESS)
}
