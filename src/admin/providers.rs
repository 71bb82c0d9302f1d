//! Providers: what is configured or found, and how it is.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Map, Value};

use super::{
    answer::{Ask, between, fixed, ok, reply},
    disk,
    form::{self, required},
    lists::changed,
    write::{self, To},
};
use crate::{
    api::{CredentialRow, PresetRow, ProviderRow, ProviderWritten},
    app::{App, Snapshot},
    catalog::{Credential, Preset, Provider, preset},
    config::{
        Surroundings,
        edit::{Edit, Kind},
        mask,
    },
    door::{Answer, Refusal},
};

pub(super) const PATH: &str = "/admin/api/providers/";
const LIST: &str = "providers";

/// Paths below [`PATH`] that are no names.
const RESERVED: [&str; 3] = ["popular", "test", "refresh"];

pub(super) async fn list(ask: Ask) -> Answer {
    ask.app.wants_prices();
    let now = disk::read(&ask.app).await?;
    let snapshot = ask.app.live.snapshot();
    let entries = disk::entries(&now.text, Kind::Provider);
    let found = snapshot.learned.found.iter().filter(|it| !is_in_file(&snapshot, &it.name));
    let rows = snapshot.config.providers.iter().chain(found).map(|provider| {
        let entry = entries.iter().find(|it| it.0.name == *provider.name);
        row(&ask.app, &snapshot, provider, entry.filter(|_| !provider.automatic))
    });
    ok(&rows.collect::<Vec<_>>(), &now.revision.to_string())
}

fn is_in_file(snapshot: &Snapshot, name: &str) -> bool {
    snapshot.config.providers.iter().any(|it| &*it.name == name)
}

pub(super) async fn one(ask: Ask) -> Answer {
    let name = between(&ask, PATH, "")?;
    let now = disk::read(&ask.app).await?;
    let snapshot = ask.app.live.snapshot();
    let provider = find(&snapshot, &name).ok_or_else(|| disk::no_entry(Kind::Provider, &name))?;
    let entry = disk::entry(&now.text, Kind::Provider, &name).filter(|_| !provider.automatic);
    let row = row(&ask.app, &snapshot, provider, entry.as_ref());
    let tag = row.etag.clone().unwrap_or_else(|| now.revision.to_string());
    ok(&row, &tag)
}

/// A provider of the file, also a disabled one, or one that was found.
pub(super) fn find<'a>(snapshot: &'a Snapshot, name: &str) -> Option<&'a Arc<Provider>> {
    let all = snapshot.config.providers.iter().chain(&snapshot.learned.found);
    all.into_iter().find(|it| &*it.name == name)
}

type Entry = (crate::config::edit::Entry, Map<String, Value>);

fn row(app: &App, snapshot: &Snapshot, it: &Provider, entry: Option<&Entry>) -> ProviderRow {
    let look = app.health.of(it);
    let own = |name: &str| entry.and_then(|it| it.1.get(name)).cloned();
    let shown = |url: &url::Url| match mask::value(
        "providers",
        serde_json::json!({ "base_url": url.as_str() }),
    ) {
        Value::Object(map) => map["base_url"].as_str().unwrap_or_default().to_owned(),
        _ => String::new(),
    };
    let models = snapshot.table.models_of(it);
    let (priced_models, free_models) = snapshot.prices.count(it, &models);
    let is_default =
        snapshot.table.default_provider().is_some_and(|default| default.name == it.name);
    ProviderRow {
        display_name: display_name(it),
        name: it.name.to_string(),
        provider_type: it.preset.name.clone(),
        base_url: it.base_url.as_ref().map(shown).unwrap_or_default(),
        timeout_seconds: it.first_byte.as_secs(),
        status: app.health.word(it).to_owned(),
        problem: look.as_ref().and_then(|it| it.trouble.as_ref()).map(|it| it.1.clone()),
        model_count: models.len(),
        priced_models,
        free_models,
        pricing_last_update: snapshot.prices.learned_at(&it.name),
        response_ms: look.as_ref().and_then(|it| u64::try_from(it.response.as_millis()).ok()),
        checked_at: look.as_ref().map(|it| it.at),
        managed: !it.automatic,
        enabled: it.enabled,
        automatic: it.automatic,
        default: is_default,
        credential: credential(it),
        headers: it.headers.iter().map(|it| it.0.to_string()).collect(),
        protocols: it.protocols.iter().map(|it| it.name().to_owned()).collect(),
        stream_idle_timeout_seconds: it.idle.as_secs(),
        include_usage: it.include_usage,
        model_list_url: it.model_list_url.as_ref().map(shown),
        models: own("models"),
        on_loss: own("on_loss"),
        max_concurrency: own("max_concurrency"),
        etag: entry.map(|it| it.0.etag.clone()),
    }
}

pub(super) fn display_name(provider: &Provider) -> String {
    let preset = provider.preset;
    let own = preset.generic || *provider.name != preset.name;
    if own { provider.name.to_string() } else { preset.display_name.clone() }
}

fn credential(provider: &Provider) -> CredentialRow {
    let source = provider.credential_source.clone();
    match &provider.credential {
        Credential::None => CredentialRow::default(),
        Credential::Unresolved => {
            CredentialRow { set: true, unresolved: true, source, last4: None }
        }
        Credential::Present(secret) => {
            let text = secret.expose();
            let is_long = source.as_deref() == Some("literal") && text.chars().count() >= 12;
            let from = text.char_indices().rev().nth(3).map_or(0, |it| it.0);
            let last4 = is_long.then(|| text[from..].to_owned());
            CredentialRow { set: true, source, last4, unresolved: false }
        }
    }
}

/// Every preset and generic kind.
pub(super) async fn popular(ask: Ask) -> Answer {
    let surroundings = crate::app::surroundings(ask.app.live.path());
    let rows: Vec<_> = preset::presets().iter().map(|it| preset_row(it, &*surroundings)).collect();
    fixed(&rows)
}

fn preset_row(it: &'static Preset, surroundings: &dyn Surroundings) -> PresetRow {
    let is_set = |name: &String| surroundings.env(name).is_some_and(|it| !it.trim().is_empty());
    PresetRow {
        name: &it.name,
        display_name: &it.display_name,
        base_url: it.base_url.as_deref(),
        base_url_template: it.base_url_template.as_deref(),
        base_url_hint: it.base_url_hint.as_deref(),
        protocols: it.protocols.iter().map(|it| it.name()).collect(),
        api_key_env: it.api_key_env.as_deref(),
        api_key_env_set: it.api_key_env.as_ref().is_some_and(is_set),
        docs_url: it.docs_url.as_deref(),
        api_key_url: it.api_key_url.as_deref(),
        public_free_no_auth: it.public_free_no_auth,
        free_tier_with_key: it.free_tier_with_key,
        trial_credits: it.trial_credits,
        local: it.local,
        generic: it.generic,
    }
}

/// What forms send empty and do not mean to change.
const KEPT_WHEN_BLANK: [&str; 4] = ["provider_type", "base_url", "api_key", "model_list_url"];

fn check_name(name: &str) -> Result<(), Refusal> {
    if RESERVED.contains(&name) {
        let message = format!("`{name}` is a word of this API; choose another name");
        return Err(Refusal::bad_request("invalid_value", message).param("name"));
    }
    Ok(())
}

pub(super) async fn create(ask: Ask) -> Answer {
    let mut values = form::keys(&ask, LIST, &[])?;
    values.retain(|_, it| !it.is_null());
    form::drop_blank(&mut values, &KEPT_WHEN_BLANK);
    let name = form::take_text(&mut values, "name")?.ok_or_else(|| required("name"))?;
    check_name(&name)?;
    values.insert("name".to_owned(), name.clone().into());
    let takes_part = values.get("enabled") != Some(&Value::Bool(false));
    let first = |text: &str| takes_part && default_of(text).is_none();
    let write = write::edit(&ask, To::File, |text| {
        let mut values = values.clone();
        // In a file of the Go original, a provider is off unless it says otherwise.
        let problems = write::resolve(&ask.app, text).problems;
        if problems.iter().any(|it| it.code == "legacy_key") {
            values.entry("enabled").or_insert(true.into());
        }
        let edit = Edit::Add { kind: Kind::Provider, values };
        let default = first(text).then(|| default_to(&name));
        Ok(std::iter::once(edit).chain(default).collect())
    })
    .await?;
    let tag = write.tag(To::Entry(Kind::Provider, &name));
    let default_provider = first(&write.before.text).then(|| name.clone());
    let told = ProviderWritten { written: write.told(&ask.app), name, default_provider };
    reply(write.created(), &told, &tag)
}

pub(super) async fn change(ask: Ask) -> Answer {
    let name = between(&ask, PATH, "")?;
    let mut values = form::keys(&ask, LIST, &[])?;
    form::drop_blank(&mut values, &KEPT_WHEN_BLANK);
    let renamed = form::take_text(&mut values, "name")?.filter(|it| *it != name);
    renamed.as_deref().map_or(Ok(()), check_name)?;
    // Turned off and on again, the text is as it was.
    let switch = match values.get("enabled") {
        Some(Value::Bool(true)) => Some(Edit::Enable { name: name.clone() }),
        Some(Value::Bool(false)) => Some(Edit::Disable { name: name.clone() }),
        _ => None,
    };
    if switch.is_some() {
        values.remove("enabled");
    }
    let write = write::edit(&ask, To::Entry(Kind::Provider, &name), |text| {
        exists(text, &name)?;
        let edits = changed(Kind::Provider, &name, &values, renamed.as_deref());
        Ok(switch.clone().into_iter().chain(edits).collect())
    })
    .await?;
    let name = renamed.unwrap_or(name);
    let tag = write.tag(To::Entry(Kind::Provider, &name));
    let told = ProviderWritten { written: write.told(&ask.app), name, default_provider: None };
    reply(StatusCode::OK, &told, &tag)
}

pub(super) async fn remove(ask: Ask) -> Answer {
    let name = between(&ask, PATH, "")?;
    let edits = |text: &str| {
        exists(text, &name)?;
        free(text, &name)?;
        let edit = Edit::Remove { kind: Kind::Provider, name: name.clone() };
        Ok(next_default(&ask.app, text, &name).0.into_iter().chain([edit]).collect())
    };
    let write = write::edit(&ask, To::Entry(Kind::Provider, &name), edits).await?;
    let (_, default_provider) = next_default(&ask.app, &write.before.text, &name);
    let told = ProviderWritten { written: write.told(&ask.app), name, default_provider };
    reply(StatusCode::OK, &told, &write.tag(To::File))
}

fn exists(text: &str, name: &str) -> Result<(), Refusal> {
    let found = disk::entry(text, Kind::Provider, name);
    found.map(drop).ok_or_else(|| disk::no_entry(Kind::Provider, name))
}

/// Refuses to take a provider from under virtual models.
fn free(text: &str, name: &str) -> Result<(), Refusal> {
    let targets_it = |model: &&(_, Map<String, Value>)| {
        let targets = model.1.get("targets").and_then(Value::as_array).into_iter().flatten();
        let mut names = targets.filter_map(|it| it.as_str().or_else(|| it["model"].as_str()));
        names.any(|it| it.split_once('/').is_some_and(|it| it.0 == name))
    };
    let models = disk::entries(text, Kind::Model);
    let users: Vec<_> = models.iter().filter(targets_it).map(|it| it.0.name.clone()).collect();
    if users.is_empty() {
        return Ok(());
    }
    let message = format!(
        "the virtual model `{}` targets the provider `{name}`; change it first",
        users.join("`, `")
    );
    Err(Refusal::new(409, "invalid_request_error", "in_use", message).with("models", users))
}

fn default_of(text: &str) -> Option<String> {
    let value = crate::config::edit::value(text, "default_provider").ok()??;
    value.as_str().filter(|it| !it.is_empty()).map(str::to_owned)
}

fn default_to(name: &str) -> Edit {
    Edit::Set { path: "default_provider".to_owned(), value: name.into() }
}

/// Who is the default once `gone` is not there: the first that takes part.
fn next_default(app: &App, text: &str, gone: &str) -> (Option<Edit>, Option<String>) {
    if default_of(text).as_deref() != Some(gone) {
        return (None, None);
    }
    let config = write::resolve(app, text).config;
    let mut rest = config.iter().flat_map(|it| &it.providers).filter(|it| it.enabled);
    let next = rest.find(|it| &*it.name != gone).map(|it| it.name.to_string());
    let edit = match &next {
        Some(name) => default_to(name),
        None => Edit::Unset { path: "default_provider".to_owned() },
    };
    (Some(edit), next)
}
