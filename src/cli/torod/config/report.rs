//! One edit from the command line: done, told to a running torod, and said in text or JSON.

use std::process::ExitCode;

use serde_json::{Map, Value, json};

use super::{
    file::ConfigFile,
    live::{self, Told},
};
use crate::{
    app::edit::{EditFailure, Edited, Guard, Input},
    cli::{exit::Exit, ui},
    config::{Problem, Revision, changes, mask::mask, masked},
};

/// Whether literal secrets are printed.
#[derive(Debug, Clone, Default, clap::Args)]
pub(in crate::cli) struct Secrets {
    /// Print literal secrets, which are masked otherwise
    #[arg(long)]
    show_secrets: bool,
}

impl Secrets {
    /// A text as it may be printed.
    pub(in crate::cli) fn shown(&self, text: &str) -> String {
        if self.show_secrets { text.to_owned() } else { mask(text) }
    }

    /// The diff of two texts as it may be printed.
    pub(in crate::cli) fn patch(&self, name: &str, old: &str, new: &str) -> String {
        changes::patch(name, &self.shown(old), &self.shown(new))
    }
}

/// How an edit is done, and what is said of it.
#[derive(Debug, Clone, Default, clap::Args)]
pub(in crate::cli) struct How {
    /// Print the diff and write nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Print what was done as a JSON object
    #[arg(long)]
    pub(super) json: bool,
    /// Only if the file has this revision; its first 8 digits do
    #[arg(long, value_name = "REVISION", value_parser = revision)]
    pub(super) if_revision: Option<String>,
    #[command(flatten)]
    pub(super) secrets: Secrets,
}

/// The first digits of a revision, enough of them to mean one.
pub(super) fn revision(text: &str) -> Result<String, String> {
    let fits = (8..=64).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_hexdigit());
    if fits {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("a revision is 8 to 64 hexadecimal digits".to_owned())
    }
}

/// What became of it.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) code: ExitCode,
    /// The file has the new text now.
    pub(super) is_written: bool,
}

pub(super) fn edit(file: &ConfigFile, how: &How, input: Input) -> anyhow::Result<Outcome> {
    edit_with(file, how, input, &Map::new())
}

/// The same with more for the JSON object, which a written edit has.
pub(super) fn edit_with(
    file: &ConfigFile,
    how: &How,
    input: Input,
    more: &Map<String, Value>,
) -> anyhow::Result<Outcome> {
    let old = file.read()?;
    let guard = match &how.if_revision {
        Some(first) => {
            let current = Revision::of(&old).to_string();
            let is_current = current.starts_with(first);
            Guard::Revision(if is_current { current } else { first.clone() })
        }
        None => Guard::None,
    };
    let code = match file.edit(input, guard, how.dry_run) {
        Ok(edited) => {
            let is_written = !how.dry_run && edited.before != edited.after;
            let told = if is_written { live::tell(file, edited.after)? } else { Told::Nobody };
            if how.json {
                let done = if how.dry_run { &Map::new() } else { more };
                print_json(file, how, &old, &edited, &told, done);
            } else {
                print_text(file, how, &old, &edited, &told);
            }
            return Ok(Outcome { code: ExitCode::SUCCESS, is_written });
        }
        Err(failure) => failed(file, how, &old, failure)?,
    };
    Ok(Outcome { code, is_written: false })
}

fn print_json(
    file: &ConfigFile,
    how: &How,
    old: &str,
    edited: &Edited,
    told: &Told,
    more: &Map<String, Value>,
) {
    let mut object = json!({
        "changed": edited.before != edited.after,
        "dry_run": how.dry_run,
        "revision_before": edited.before.to_string(),
        "revision_after": edited.after.to_string(),
        "changes": edited.words,
        "patch": how.secrets.patch(file.name(), old, &edited.text),
        "problems": edited.problems,
    });
    if let Told::Live(status) = told {
        object["generation"] = status.generation.into();
        object["restart_required"] = status.restart_required.clone().into();
    }
    for (key, value) in more {
        object[key] = value.clone();
    }
    ui::line(&object.to_string());
}

fn print_text(file: &ConfigFile, how: &How, old: &str, edited: &Edited, told: &Told) {
    if edited.before == edited.after {
        return ui::say("nothing to change");
    }
    if how.dry_run {
        ui::data(&how.secrets.patch(file.name(), old, &edited.text));
    }
    ui::problems(file.name(), &masked(&edited.text), &fresh(file, old, &edited.problems));
    let prefix = if how.dry_run { "not written: " } else { "" };
    ui::say(&format!("{prefix}{}", edited.words));
    told.say();
}

/// What is wrong with a new text that was not with the old one.
pub(in crate::cli) fn fresh(file: &ConfigFile, old: &str, problems: &[Problem]) -> Vec<Problem> {
    let known = file.resolve(old).problems;
    let is_known = |it: &&Problem| known.iter().any(|old| old.message == it.message);
    problems.iter().filter(|it| !is_known(it)).cloned().collect()
}

/// Says why an edit was not done. What belongs to a program's eyes is data, the rest is said.
fn failed(
    file: &ConfigFile,
    how: &How,
    old: &str,
    failure: EditFailure,
) -> anyhow::Result<ExitCode> {
    let message = failure.to_string();
    let (code, json) = match failure {
        EditFailure::Invalid { text, problems } | EditFailure::BrokenOnDisk { text, problems } => {
            let json = json!({ "error": "invalid", "problems": problems });
            if !how.json {
                ui::problems(file.name(), &masked(&text), &problems);
            }
            ui::error(&format!("{message}; `{}` is as it was", file.path().display()));
            (Exit::Config, json)
        }
        EditFailure::Stale { current_revision, .. } => {
            ui::error(&message);
            ui::hint(&format!("its revision is {current_revision}"));
            let current = current_revision.to_string();
            (Exit::Failed, json!({ "error": "stale", "current_revision": current }))
        }
        EditFailure::Managed { why, text, .. } => {
            let patch = how.secrets.patch(file.name(), old, &text);
            if !how.json {
                ui::data(&patch);
            }
            ui::error(&format!("`{}` is not written: {why}", file.path().display()));
            ui::hint("apply the patch where the file comes from");
            (Exit::Failed, json!({ "error": "managed", "why": why, "patch": patch }))
        }
        other => {
            if how.json {
                ui::line(&json!({ "error": "failed", "message": message }).to_string());
            }
            return Err(other.into());
        }
    };
    if how.json {
        let mut json = json;
        json["message"] = message.into();
        ui::line(&json.to_string());
    }
    Ok(ExitCode::from(code as u8))
}
