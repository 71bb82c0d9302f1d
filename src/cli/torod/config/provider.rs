//! `torod config provider`: where models are.

use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::{Map, Value, json};

use super::{
    entries::{load, targets_of},
    file::ConfigFile,
    report::{self, How},
    secret::Source,
};
use crate::{
    app::edit::Input,
    catalog::{Credential, Provider},
    cli::{exit::Exit, runtime, ui},
    config::{
        Config,
        edit::{Edit, Kind},
    },
    upstream::{Upstream, probe},
};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Add a provider
    Add(Add),
    /// Take a provider out of the file
    Remove(Name),
    /// Let a provider take part
    Enable(Name),
    /// Keep a provider in the file without letting it take part
    Disable(Name),
    /// Ask a provider for its models, with the credential that the file has for it
    Test(Test),
    /// List the providers of the file
    List(List),
}

#[derive(Debug, clap::Args)]
pub(super) struct Add {
    /// What its models begin with: `NAME/model`
    name: String,
    /// A preset such as `openai`, or `openai-compatible`; by default the preset of that name
    #[arg(long = "type", value_name = "TYPE")]
    provider_type: Option<String>,
    /// Where its API is, when not where its preset says
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    #[command(flatten)]
    credential: Source,
    /// Do not let it take part yet
    #[arg(long)]
    disabled: bool,
    /// Make it the provider of models without a prefix
    #[arg(long, conflicts_with = "disabled")]
    default: bool,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, clap::Args)]
pub(super) struct Name {
    name: String,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, clap::Args)]
pub(super) struct Test {
    name: String,
    /// Print the models as a JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// Print them as a JSON list
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: Command, file: &ConfigFile) -> anyhow::Result<ExitCode> {
    let (edits, how) = match command {
        Command::Add(args) => (add(&args)?, args.how),
        Command::Remove(Name { name, how }) => (remove(&load(file)?, name)?, how),
        Command::Enable(Name { name, how }) => (vec![Edit::Enable { name }], how),
        Command::Disable(Name { name, how }) => (vec![Edit::Disable { name }], how),
        Command::Test(args) => return test(&args, file),
        Command::List(args) => return list(&args, file),
    };
    Ok(report::edit(file, &how, Input::Edits(edits))?.code)
}

fn add(args: &Add) -> anyhow::Result<Vec<Edit>> {
    let mut values = Map::new();
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            values.insert(key.to_owned(), value);
        }
    };
    let text = |it: &Option<String>| it.clone().map(Value::from);
    put("name", Some(args.name.clone().into()));
    put("provider_type", text(&args.provider_type));
    put("base_url", text(&args.base_url));
    put("api_key", args.credential.text()?.map(Value::from));
    put("enabled", args.disabled.then_some(false.into()));
    let mut edits = vec![Edit::Add { kind: Kind::Provider, values }];
    if args.default {
        edits.push(default_provider(&args.name));
    }
    Ok(edits)
}

pub(in crate::cli) fn default_provider(name: &str) -> Edit {
    Edit::Set { path: "default_provider".to_owned(), value: name.into() }
}

/// What refers to the provider is not left behind: the next one becomes the default, and a virtual
/// model that targets it is a person's to change.
pub(in crate::cli) fn remove(config: &Config, name: String) -> anyhow::Result<Vec<Edit>> {
    let models = targets_of(config, &name);
    anyhow::ensure!(
        models.is_empty(),
        "the provider `{name}` is a target of `{}`; change that model first",
        models.join("`, `")
    );
    let mut edits = Vec::new();
    if config.default_provider.as_ref() == Some(&name) {
        let mut others = config.providers.iter().filter(|it| *it.name != *name);
        edits.push(match others.find(|it| it.enabled) {
            Some(next) => default_provider(&next.name),
            None => Edit::Unset { path: "default_provider".to_owned() },
        });
    }
    edits.push(Edit::Remove { kind: Kind::Provider, name });
    Ok(edits)
}

fn test(args: &Test, file: &ConfigFile) -> anyhow::Result<ExitCode> {
    let name = &args.name;
    let config = load(file)?;
    let found = config.providers.iter().find(|it| *it.name == **name);
    let provider = found.with_context(|| format!("there is no provider `{name}`"))?;
    let answer = runtime()?.block_on(ask(&config, provider));
    let ok = answer.is_ok();
    match answer {
        Ok(list) if args.json => {
            ui::line(&json!({ "ok": true, "models": list }).to_string());
        }
        Ok(list) => {
            for model in &list {
                ui::line(model);
            }
            ui::say(&format!("`{name}` answers, with {}", counted(list.len())));
        }
        Err(why) => {
            if args.json {
                ui::line(&json!({ "ok": false, "error": why }).to_string());
            }
            ui::error(&format!("`{name}` does not answer: {why}"));
        }
    }
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::from(Exit::Failed as u8) })
}

pub(in crate::cli) fn counted(models: usize) -> String {
    format!("{models} model{}", if models == 1 { "" } else { "s" })
}

/// A provider's models, or in words why it has none to show.
pub(in crate::cli) async fn ask(
    config: &Config,
    provider: &Provider,
) -> Result<Vec<String>, String> {
    let upstream = Upstream::new(config.limits.connect_timeout_seconds);
    let upstream = upstream.map_err(|it| it.to_string())?;
    upstream.limit_reach(config.public_only);
    let probed = probe::probe(&upstream, provider, None).await;
    probed.map(|it| it.models).map_err(|it| it.words)
}

fn list(args: &List, file: &ConfigFile) -> anyhow::Result<ExitCode> {
    let config = load(file)?;
    let is_default = |it: &Provider| config.default_provider.as_deref() == Some(&it.name);
    if args.json {
        let rows = config.providers.iter().map(|it| {
            json!({
                "name": it.name, "provider_type": it.preset.name, "enabled": it.enabled,
                "default": is_default(it), "base_url": it.base_url.as_ref().map(url::Url::as_str),
                "credential": credential(it),
            })
        });
        ui::line(&Value::Array(rows.collect()).to_string());
        return Ok(ExitCode::SUCCESS);
    }
    let rows = config.providers.iter().map(|it| {
        let state = match (it.enabled, is_default(it)) {
            (false, _) => "disabled",
            (true, true) => "default",
            (true, false) => "enabled",
        };
        let url = it.base_url.as_ref().map_or("built in", |it| it.as_str());
        [&*it.name, &*it.preset.name, state, credential(it).unwrap_or("-"), url].map(str::to_owned)
    });
    ui::table(&["NAME", "TYPE", "STATE", "CREDENTIAL", "BASE URL"], rows);
    Ok(ExitCode::SUCCESS)
}

/// Where its credential comes from.
pub(in crate::cli) fn credential(provider: &Provider) -> Option<&str> {
    match provider.credential {
        Credential::None => None,
        Credential::Unresolved => Some("unresolved"),
        Credential::Present(_) => Some(provider.credential_source.as_deref().unwrap_or("literal")),
    }
}
