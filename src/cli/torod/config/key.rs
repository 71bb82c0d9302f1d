//! `torod config key`: what callers present.

use std::process::ExitCode;

use jiff::{Span, Timestamp, tz::TimeZone};
use serde_json::{Map, Value, json};

use super::{
    super::key::role,
    entries::{below, leaves_an_admin, load},
    file::ConfigFile,
    report::{self, How},
};
use crate::{
    access::{Key, NewKey, Role},
    app::edit::Input,
    cli::ui,
    config::{
        Config,
        edit::{Edit, Kind},
    },
};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Make a key: printed once on stdout, and only its hash goes into the file
    Add(Add),
    /// Take a key out of the file
    Remove(Remove),
    /// List the keys of the file
    List(List),
}

#[derive(Debug, clap::Args)]
pub(super) struct Add {
    /// Its short name in the file; by default the one in the key
    #[arg(long)]
    id: Option<String>,
    /// Whose key it is
    #[arg(long)]
    name: Option<String>,
    /// What it may do: admin, keymaster or inferrer
    #[arg(long, default_value = "inferrer", value_parser = role)]
    role: Role,
    /// When it ends: after a time such as `30d` or `12h`, or at `2027-01-01T00:00:00Z`
    #[arg(long, value_name = "WHEN", value_parser = expiry)]
    expires: Option<Timestamp>,
    /// Only these models, with `*` for any text
    #[arg(long, value_delimiter = ',', num_args = 1.., value_name = "MODEL")]
    models: Vec<String>,
    /// The key that it belongs to: it ends when that one does
    #[arg(long, value_name = "ID")]
    parent: Option<String>,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, clap::Args)]
pub(super) struct Remove {
    id: String,
    /// Take the keys that belong to it with it
    #[arg(long)]
    children: bool,
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
    match command {
        Command::Add(args) => add(&args, file),
        Command::Remove(Remove { id, children, how }) => {
            let edits = remove(&load(file)?, &id, children)?;
            Ok(report::edit(file, &how, Input::Edits(edits))?.code)
        }
        Command::List(args) => list(&args, file),
    }
}

/// The end of a key: a time from now, or a moment.
pub(in crate::cli) fn expiry(text: &str) -> Result<Timestamp, String> {
    let (text, now) = (text.trim(), Timestamp::now());
    let wrong = || "write a time from now such as `30d`, or `2027-01-01T00:00:00Z`".to_owned();
    let after = |span: Span| {
        let end = now.to_zoned_datetime(TimeZone::UTC).checked_add(span).ok()?;
        Some(end.timestamp())
    };
    let moment = text.parse().ok().or_else(|| after(text.parse().ok()?)).ok_or_else(wrong)?;
    if moment <= now {
        return Err("that is over already".to_owned());
    }
    Timestamp::from_second(moment.as_second()).map_err(|_| wrong())
}

fn add(args: &Add, file: &ConfigFile) -> anyhow::Result<ExitCode> {
    let key = NewKey::make()?;
    let edit = new(
        &key,
        &Wanted {
            id: args.id.clone(),
            name: args.name.clone(),
            role: args.role,
            expires: args.expires,
            models: args.models.clone(),
            parent: args.parent.clone(),
        },
    )?;
    let id = args.id.clone().unwrap_or_else(|| key.id.clone());
    let more = [("id", id), ("key", key.text.clone())].map(|it| (it.0.to_owned(), it.1.into()));
    let more = Map::from_iter(more);
    let outcome = report::edit_with(file, &args.how, Input::Edits(vec![edit]), &more)?;
    // Nobody gets a key that the file does not know.
    if outcome.is_written && !args.how.json {
        ui::line(&key.text);
        ui::say("the key is shown only now");
    }
    Ok(outcome.code)
}

/// What a new key is to be.
#[derive(Debug, Default)]
pub(in crate::cli) struct Wanted {
    pub(in crate::cli) id: Option<String>,
    pub(in crate::cli) name: Option<String>,
    pub(in crate::cli) role: Role,
    pub(in crate::cli) expires: Option<Timestamp>,
    pub(in crate::cli) models: Vec<String>,
    pub(in crate::cli) parent: Option<String>,
}

pub(in crate::cli) fn new(key: &NewKey, wanted: &Wanted) -> anyhow::Result<Edit> {
    let id = wanted.id.as_ref().unwrap_or(&key.id);
    let mut values = Map::new();
    values.insert("id".to_owned(), id.clone().into());
    values.insert("name".to_owned(), wanted.name.as_ref().unwrap_or(id).clone().into());
    values.insert("role".to_owned(), serde_json::to_value(wanted.role)?);
    values.insert("key_hash".to_owned(), key.hash().into());
    if let Some(parent) = &wanted.parent {
        values.insert("parent_id".to_owned(), parent.clone().into());
    }
    if let Some(moment) = wanted.expires {
        values.insert("expires_at".to_owned(), moment.to_string().into());
    }
    if !wanted.models.is_empty() {
        values.insert("models".to_owned(), wanted.models.clone().into());
    }
    Ok(Edit::Add { kind: Kind::Key, values })
}

/// The key with what belongs to it. The last admin stays: without one nobody could use the API.
pub(in crate::cli) fn remove(
    config: &Config,
    id: &str,
    children: bool,
) -> anyhow::Result<Vec<Edit>> {
    let keys = &config.keys;
    let mut gone = below(keys, id);
    anyhow::ensure!(
        children || gone.is_empty(),
        "the keys `{}` belong to `{id}` and would end with it; `--children` removes them too",
        gone.join("`, `")
    );
    gone.push(id);
    anyhow::ensure!(
        leaves_an_admin(config, &gone, Timestamp::now()),
        "`{id}` is the last admin key; make another one first"
    );
    let remove = |name: &&str| Edit::Remove { kind: Kind::Key, name: (*name).to_owned() };
    Ok(gone.iter().map(remove).collect())
}

fn list(args: &List, file: &ConfigFile) -> anyhow::Result<ExitCode> {
    let config = load(file)?;
    let role = |it: &Key| serde_json::to_value(it.role).unwrap_or_default();
    let models = |it: &Key| {
        it.models.as_ref().map(|it| it.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    if args.json {
        let rows = config.keys.iter().map(|it| {
            json!({
                "id": it.id, "name": it.name, "role": it.role, "parent_id": it.parent,
                "expires_at": it.expires_at, "models": models(it),
            })
        });
        ui::line(&Value::Array(rows.collect()).to_string());
        return Ok(ExitCode::SUCCESS);
    }
    let rows = config.keys.iter().map(|it| {
        let role = role(it).as_str().unwrap_or_default().to_owned();
        let models = models(it).map_or("all".to_owned(), |it| it.join(", "));
        [it.id.to_string(), it.name.to_string(), role, ends(it), models]
    });
    ui::table(&["ID", "NAME", "ROLE", "ENDS", "MODELS"], rows);
    Ok(ExitCode::SUCCESS)
}

pub(in crate::cli) fn ends(key: &Key) -> String {
    match key.expires_at {
        None => "never".to_owned(),
        Some(moment) if moment <= Timestamp::now() => "ended".to_owned(),
        Some(moment) => moment.to_string(),
    }
}
