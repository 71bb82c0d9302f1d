//! `torod config diff|history|restore`: what the file was, and what is live.

use std::process::ExitCode;

use serde_json::json;

use super::{
    file::ConfigFile,
    live,
    report::{self, How, Secrets, revision},
};
use crate::{
    api::ConfigStatus,
    app::edit::Input,
    cli::{runtime, ui},
    client,
    config::{Revision, changes},
};

#[derive(Debug, clap::Args)]
pub(super) struct Diff {
    /// Compare with this earlier text, by the first digits of its revision, instead of the live one
    #[arg(value_parser = revision)]
    revision: Option<String>,
    /// Print it as a JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    secrets: Secrets,
}

#[derive(Debug, clap::Args)]
pub(super) struct History {
    /// Print it as a JSON list
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Restore {
    /// The first digits of the revision, as `torod config history` prints it
    #[arg(value_parser = revision)]
    revision: String,
    #[command(flatten)]
    how: How,
}

pub(super) fn diff(args: &Diff, file: &ConfigFile) -> anyhow::Result<ExitCode> {
    let new = file.read()?;
    let old = match &args.revision {
        Some(revision) => earlier(file, revision)?,
        None => live_text(file, &new)?,
    };
    let patch = args.secrets.patch(file.name(), &old, &new);
    if args.json {
        let object = json!({
            "changed": old != new,
            "revision_before": Revision::of(&old).to_string(),
            "revision_after": Revision::of(&new).to_string(),
            "changes": changes::between(&old, &new).words,
            "patch": patch,
        });
        ui::line(&object.to_string());
    } else {
        ui::data(&patch);
    }
    Ok(ExitCode::SUCCESS)
}

/// What runs now. torod tells its revision; the text is in the history, unless it is on disk.
fn live_text(file: &ConfigFile, on_disk: &str) -> anyhow::Result<String> {
    let socket = file.paths.control_socket();
    let status: ConfigStatus =
        runtime()?.block_on(client::get(&socket, "/admin/api/config/status"))?;
    anyhow::ensure!(
        live::is_same_file(file, &status),
        "the running torod has another file: {}",
        status.source
    );
    if status.revision == Revision::of(on_disk).to_string() {
        return Ok(on_disk.to_owned());
    }
    earlier(file, &status.revision)
}

fn earlier(_: &ConfigFile, revision: &str) -> anyhow::Result<String> {
    anyhow::bail!("no text of the history has the revision `{revision}`")
}

pub(super) fn history(args: &History, _: &ConfigFile) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(args.json, "none");
    Ok(ExitCode::SUCCESS)
}

pub(super) fn restore(args: &Restore, file: &ConfigFile) -> anyhow::Result<ExitCode> {
    let text = earlier(file, &args.revision)?;
    Ok(report::edit(file, &args.how, Input::Text(text))?.code)
}
