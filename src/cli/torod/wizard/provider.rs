//! Adding a provider and changing one, each tried at once.

use std::path::Path;

use cliclack::log;
use serde_json::{Map, Value};
use url::Url;

use super::{
    super::config::{
        provider::{credential, default_provider, remove},
        secret,
    },
    ask,
    session::Session,
};
use crate::{
    app::surroundings,
    catalog::{Preset, Provider, preset},
    config::edit::{self, Edit, Kind},
};

/// Asks for one more provider, until there is one or none is wanted; its name.
pub(super) fn add(session: &mut Session, none: &str) -> anyhow::Result<Option<String>> {
    while let Some(preset) = pick(session, none)? {
        let name = name(session, preset)?;
        if add_one(session, preset, &name)? {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// Asks for the rest of a provider; whether it is in.
fn add_one(session: &mut Session, preset: &Preset, name: &str) -> anyhow::Result<bool> {
    let mut base_url = base_url(preset, None)?;
    let before = session.pending.clone();
    loop {
        let mut values = Map::new();
        values.insert("name".to_owned(), name.into());
        values.insert("provider_type".to_owned(), preset.name.as_str().into());
        if let Some(url) = &base_url {
            values.insert("base_url".to_owned(), url.as_str().into());
        }
        if let Some(text) = credential_text(session, preset)? {
            values.insert("api_key".to_owned(), text.into());
        }
        let is_taken = session.take(vec![Edit::Add { kind: Kind::Provider, values }])?;
        let kept = kept(session, name, is_taken, "Leave it out")?;
        if matches!(kept, Kept::Yes) {
            return Ok(true);
        }
        session.pending = before.clone();
        if matches!(kept, Kept::No) {
            return Ok(false);
        }
        base_url = self::base_url(preset, base_url.as_deref())?;
    }
}

enum Kept {
    Yes,
    Change,
    No,
}

/// Tries what was entered, as often as wanted.
fn kept(session: &mut Session, name: &str, is_taken: bool, skip: &str) -> anyhow::Result<Kept> {
    #[derive(Clone, PartialEq, Eq)]
    enum Next {
        Change,
        Again,
        Keep,
        Skip,
    }
    loop {
        if is_taken && session.test(name)? {
            return Ok(Kept::Yes);
        }
        let mut items = vec![(Next::Change, "Change what was entered", "")];
        if is_taken {
            items.push((Next::Again, "Try again", ""));
            items.push((Next::Keep, "Keep it all the same", "it is asked again when torod runs"));
        }
        items.push((Next::Skip, skip, ""));
        match ask::choose("What now?", &items)? {
            Next::Change => return Ok(Kept::Change),
            Next::Keep => return Ok(Kept::Yes),
            Next::Skip => return Ok(Kept::No),
            Next::Again => {}
        }
    }
}

/// Those whose variable is set come first: they need nothing more.
fn pick(session: &Session, none: &str) -> anyhow::Result<Option<&'static Preset>> {
    let is_ready = |it: &&Preset| variable(session.file.path(), it).is_some();
    let known = preset::presets().iter().filter(|it| it.name != "echo");
    let (ready, others): (Vec<_>, Vec<_>) = known.partition(is_ready);
    let mut items = vec![(None, none.to_owned(), String::new())];
    for it in ready {
        let label = format!(
            "{}, with the key of `{}`",
            label(it),
            it.api_key_env.as_deref().unwrap_or_default()
        );
        items.push((Some(it.name.as_str()), label, String::new()));
    }
    items.extend(others.into_iter().map(|it| (Some(it.name.as_str()), label(it), hint(it))));
    let picked = ask::search("Add a provider (type to search)", &items)?;
    Ok(picked.and_then(preset::preset))
}

fn label(preset: &Preset) -> String {
    match preset.name.as_str() {
        "openai-compatible" => "Any OpenAI-compatible server".to_owned(),
        "gemini" => "Any server with Gemini's API".to_owned(),
        _ => preset.display_name.clone(),
    }
}

fn hint(preset: &Preset) -> String {
    let what = if preset.local {
        "on this machine"
    } else if preset.public_free_no_auth {
        "answers without a key"
    } else if preset.free_tier_with_key {
        "free to some extent, with a key"
    } else {
        ""
    };
    what.to_owned()
}

/// The preset's variable, where it is set here.
fn variable<'p>(path: &Path, preset: &'p Preset) -> Option<&'p str> {
    let name = preset.api_key_env.as_deref()?;
    surroundings(path).env(name).filter(|it| !it.trim().is_empty()).map(|_| name)
}

/// The preset's name, or one of one's own where that is taken or says nothing.
fn name(session: &Session, preset: &Preset) -> anyhow::Result<String> {
    if !preset.generic && session.provider(&preset.name).is_none() {
        return Ok(preset.name.clone());
    }
    free_name(session)
}

fn free_name(session: &Session) -> anyhow::Result<String> {
    let providers = session.pending.config.providers.clone();
    let check = move |it: &str| {
        if providers.iter().any(|known| *known.name == *it) {
            Err(format!("there is a provider `{it}` already"))
        } else if it.contains('/') || it.chars().any(char::is_whitespace) {
            Err("a name has no spaces and no `/`".to_owned())
        } else {
            Ok(())
        }
    };
    Ok(ask::text("Its name: what its models begin with", None, check)?)
}

/// Nothing where the preset knows the address.
fn base_url(preset: &Preset, before: Option<&str>) -> anyhow::Result<Option<String>> {
    if preset.base_url.is_some() && before.is_none() {
        return Ok(None);
    }
    if let (Some(template), None) = (&preset.base_url_template, before) {
        let mut url = template.clone();
        if let Some(hint) = &preset.base_url_hint {
            log::info(cliclack::termwrap(hint, 6))?;
        }
        while let Some((name, rest)) = placeholder(&url) {
            let check = |it: &str| {
                let fits = it.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_.".contains(&it));
                if fits { Ok(()) } else { Err("use letters, digits, `-`, `_` and `.`".to_owned()) }
            };
            let value = ask::text(&format!("`{name}` of `{template}`"), None, check)?;
            url = format!("{}{value}{rest}", &url[..url.len() - rest.len() - name.len() - 2]);
        }
        return Ok(Some(url));
    }
    let default = before.or(preset.base_url.as_deref());
    Ok(Some(ask::text("Its base URL, up to the version: `https://host/v1`", default, is_url)?))
}

/// The first `{name}` of a template, and what stands behind it.
fn placeholder(template: &str) -> Option<(String, String)> {
    let (_, behind) = template.split_once('{')?;
    let (name, rest) = behind.split_once('}')?;
    Some((name.to_owned(), rest.to_owned()))
}

fn is_url(text: &str) -> Result<(), String> {
    let fits = Url::parse(text).is_ok_and(|it| matches!(it.scheme(), "http" | "https"));
    if fits { Ok(()) } else { Err("write it as `https://api.example.com/v1`".to_owned()) }
}

/// What stands in the file for the credential.
fn credential_text(session: &Session, preset: &Preset) -> anyhow::Result<Option<String>> {
    #[derive(Clone, PartialEq, Eq)]
    enum Way {
        Preset(String),
        Enter,
        Variable,
        File,
        None,
    }
    let nothing = (Way::None, "No key".to_owned(), "");
    let mut items = Vec::new();
    if let Some(name) = variable(session.file.path(), preset) {
        let label = format!("Use the variable `{name}`, which is set");
        items.push((Way::Preset(name.to_owned()), label, "torod must be started with it"));
    }
    let needs_none = preset.local || preset.generic || preset.public_free_no_auth;
    if needs_none {
        items.push(nothing.clone());
    }
    let enter = "it goes into the file itself";
    items.push((Way::Enter, "Enter the key".to_owned(), enter));
    let label = "Name another environment variable".to_owned();
    items.push((Way::Variable, label, "`${env:NAME}` goes into the file"));
    items.push((
        Way::File,
        "Name a file with the key".to_owned(),
        "`${file:PATH}` goes into the file",
    ));
    if !needs_none {
        items.push(nothing);
    }
    if let Some(url) = &preset.api_key_url {
        log::info(format!("Keys are made at {url}"))?;
    }
    let prompt = format!("The key for {}", label_of(preset));
    Ok(match ask::choose(&prompt, &items)? {
        Way::Preset(name) => Some(secret::env(&name)),
        Way::Enter => Some(ask::secret("The key")?),
        Way::Variable => Some(secret::env(&ask::text("The variable's name", None, is_variable)?)),
        Way::File => {
            let path = ask::text("The file's path", None, |_| Ok(()))?;
            Some(secret::file(Path::new(&path))?)
        }
        Way::None => None,
    })
}

fn label_of(preset: &Preset) -> &str {
    if preset.generic { "this server" } else { &preset.display_name }
}

fn is_variable(text: &str) -> Result<(), String> {
    let fits = text.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_');
    if fits { Ok(()) } else { Err("a variable has letters, digits and `_`".to_owned()) }
}

#[derive(Clone, PartialEq, Eq)]
enum Action {
    Test,
    Credential,
    BaseUrl,
    Rename,
    Default,
    Enable,
    Disable,
    Remove,
    Back,
}

/// What may be done with a provider of the file, until enough is done.
pub(super) fn change(session: &mut Session, name: &str) -> anyhow::Result<()> {
    let mut name = name.to_owned();
    loop {
        let Some(provider) = session.provider(&name).cloned() else { return Ok(()) };
        let is_default = session.pending.config.default_provider.as_deref() == Some(&*name);
        let source = credential(&provider).unwrap_or("none");
        let url = provider.base_url.as_ref().map_or("built in", |it| it.as_str());
        let mut items = vec![(Action::Test, "Test it".to_owned(), String::new())];
        if !provider.is_echo() {
            items.push((Action::Credential, "Change its key".to_owned(), format!("now: {source}")));
            items.push((Action::BaseUrl, "Change its base URL".to_owned(), url.to_owned()));
        }
        items.push((Action::Rename, "Rename it".to_owned(), String::new()));
        if provider.enabled {
            if !is_default {
                let hint = "for models without a prefix".to_owned();
                items.push((Action::Default, "Make it the default".to_owned(), hint));
            }
            items.push((Action::Disable, "Disable it".to_owned(), String::new()));
        } else {
            items.push((Action::Enable, "Enable it".to_owned(), String::new()));
        }
        items.push((Action::Remove, "Remove it".to_owned(), String::new()));
        items.push((Action::Back, "Back".to_owned(), String::new()));
        let edits = match ask::choose(&format!("Provider `{name}`"), &items)? {
            Action::Back => return Ok(()),
            Action::Test => {
                session.test(&name)?;
                continue;
            }
            Action::Credential => change_credential(session, &provider)?,
            Action::BaseUrl => return change_base_url(session, &provider),
            Action::Rename => {
                let to = free_name(session)?;
                let edit =
                    Edit::Rename { kind: Kind::Provider, name: name.clone(), to: to.clone() };
                if session.take(vec![edit])? {
                    name = to;
                }
                continue;
            }
            Action::Default => vec![default_provider(&name)],
            Action::Enable => vec![Edit::Enable { name: name.clone() }],
            Action::Disable => vec![Edit::Disable { name: name.clone() }],
            Action::Remove => match remove(&session.pending.config, name.clone()) {
                Ok(edits) => edits,
                Err(why) => {
                    log::error(why)?;
                    continue;
                }
            },
        };
        session.take(edits)?;
    }
}

fn change_credential(session: &Session, provider: &Provider) -> anyhow::Result<Vec<Edit>> {
    let text = credential_text(session, provider.preset)?;
    Ok(vec![changed(&provider.name, "api_key", text)])
}

fn changed(name: &str, key: &str, value: Option<String>) -> Edit {
    let values = Map::from_iter([(key.to_owned(), value.map_or(Value::Null, Value::from))]);
    Edit::Change { kind: Kind::Provider, name: name.to_owned(), values }
}

/// A credential is for the address that it was entered for: another address needs another one.
fn change_base_url(session: &mut Session, provider: &Provider) -> anyhow::Result<()> {
    let name = &*provider.name;
    let before = provider.base_url.as_ref().map(Url::as_str);
    let undo = session.pending.clone();
    loop {
        let url = ask::text("Its base URL", before, is_url)?;
        let mut edits = vec![changed(name, "base_url", Some(url))];
        let text = &session.pending.text;
        let moved = edit::apply(text, &edits).unwrap_or_default();
        if has_credential(text, name) && !has_credential(&moved, name) {
            log::warning("Its key was for the old address, which this one does not get.")?;
            edits.extend(change_credential(session, provider)?);
        }
        let is_taken = session.take(edits)?;
        let kept = kept(session, name, is_taken, "Leave it as it was")?;
        if matches!(kept, Kept::Yes) {
            return Ok(());
        }
        session.pending = undo.clone();
        if matches!(kept, Kept::No) {
            return Ok(());
        }
    }
}

fn has_credential(text: &str, name: &str) -> bool {
    let value = edit::value(text, &format!("providers.{}.api_key", toml::Value::from(name)));
    value.is_ok_and(|it| it.is_some())
}
