//! `torod config diff|history|restore`: what the file was, and what is live.

use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::json;

use super::{
    file::ConfigFile,
    live,
    report::{self, How, Secrets, revision},
};
use crate::{
    api::ConfigStatus,
    app::{
        edit::Input,
        history::{self, Origin},
    },
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

fn earlier(file: &ConfigFile, revision: &str) -> anyhow::Result<String> {
    let history = history::History::of(&file.paths.state_dir);
    let text = history.read(revision).context("cannot read the history")?;
    text.with_context(|| format!("no text of the history has the revision `{revision}`"))
}

pub(super) fn history(args: &History, file: &ConfigFile) -> anyhow::Result<ExitCode> {
    let kept =
        history::History::of(&file.paths.state_dir).list().context("cannot read the history")?;
    let current = file.read().map(Revision::of).ok();
    let rows = kept.iter().map(|it| (it, Some(it.revision) == current, origin(it.origin)));
    if args.json {
        let rows = rows.map(|(it, is_current, origin)| {
            json!({
                "at": it.at, "revision": it.revision.to_string(), "bytes": it.bytes,
                "origin": origin, "on_disk": is_current,
            })
        });
        ui::line(&serde_json::Value::Array(rows.collect()).to_string());
        return Ok(ExitCode::SUCCESS);
    }
    let rows = rows.map(|(it, is_current, origin)| {
        let note = if is_current { format!("{origin}, on disk") } else { origin.to_owned() };
        let at = it.at.strftime("%Y-%m-%d %H:%M:%SZ").to_string();
        [at, it.revision.to_string()[..12].to_owned(), it.bytes.to_string(), note]
    });
    ui::table(&["AT", "REVISION", "BYTES", "FROM"], rows);
    Ok(ExitCode::SUCCESS)
}

fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Edit => "an edit",
        Origin::Save => "a save",
        Origin::Lost => "a save that was lost",
    }
}

pub(super) fn restore(args: &Restore, file: &ConfigFile) -> anyhow::Result<ExitCode> {
    let text = earlier(file, &args.revision)?;
    Ok(report::edit(file, &args.how, Input::Text(text))?.code)
}
