//! Whether providers answer: before they are saved, and now.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::{
    answer::{Ask, between, reply},
    disk,
    providers::{self, PATH},
    write,
};
use crate::{
    api::{ProviderTest, Refreshed, Tested},
    app::{App, edit::Author},
    catalog::Provider,
    config::{
        Severity,
        edit::Kind,
        mask::{self, Origins},
    },
    door::{Answer, Refusal},
    upstream::probe::probe,
};

/// Nobody waits longer for all model lists.
const LIMIT: Duration = Duration::from_secs(45);
/// The name of a provider that has none yet.
const NAMELESS: &str = "test";

/// Lists the models of a provider as it would be with these keys, and on request asks one of them
/// for a token. A stored credential goes only to where it was entered for.
pub(super) async fn test(ask: Ask) -> Answer {
    let form: ProviderTest = ask.json()?;
    let given: Map<String, Value> = ask.json()?;
    if mask::holds_mask(&Value::from(given.clone()).to_string()) {
        return Err(super::text::masked());
    }
    let (given, chat) = keys(given, &form);
    let name = form.name.as_deref().map(str::trim).filter(|it| !it.is_empty()).unwrap_or(NAMELESS);
    let now = disk::read(&ask.app).await?;
    let stored = disk::entry(&now.text, Kind::Provider, name).map(|it| it.1);
    let had_credential = stored.as_ref().is_some_and(|it| it.contains_key("api_key"));
    let (provider, kept) = merged(&ask.app, name, stored.as_ref(), &given)?;
    let note = (had_credential && !kept).then(|| {
        "the stored credential was not sent: it was entered for another address".to_owned()
    });
    let Author { who, from } = write::author(&ask);
    tracing::info!(target: "audit", who, from, provider = name, "provider tested");
    let tag = now.revision.to_string();
    match probe(&ask.app.upstream, &provider, chat.as_deref()).await {
        Ok(it) => {
            let response_ms = u64::try_from(it.response.as_millis()).unwrap_or(u64::MAX);
            let tested = Tested {
                ok: true,
                model_count: it.models.len(),
                models: it.models,
                response_ms,
                chatted: it.chatted,
                note,
            };
            reply(StatusCode::OK, &tested, &tag)
        }
        Err(it) => {
            let failed =
                json!({ "ok": false, "error": it.words, "kind": it.kind.name(), "note": note });
            reply(StatusCode::BAD_REQUEST, &failed, &tag)
        }
    }
}

/// The keys of the entry among those of the form, and the model to chat with.
fn keys(
    mut given: Map<String, Value>,
    form: &ProviderTest,
) -> (Map<String, Value>, Option<String>) {
    for name in ["chat", "model", "name", "enabled"] {
        given.remove(name);
    }
    super::form::drop_blank(
        &mut given,
        &["provider_type", "base_url", "api_key", "model_list_url"],
    );
    let model = form.model.clone().unwrap_or_default();
    (given, form.chat.then(|| model.trim().to_owned()))
}

/// The provider as it would be, and whether it has its stored credential.
fn merged(
    app: &App,
    name: &str,
    stored: Option<&Map<String, Value>>,
    given: &Map<String, Value>,
) -> Result<(Arc<Provider>, bool), Refusal> {
    let mut new = stored.cloned().unwrap_or_default();
    for (key, value) in given {
        if value.is_null() {
            new.remove(key);
        } else {
            new.insert(key.clone(), value.clone());
        }
    }
    new.insert("name".to_owned(), name.into());
    new.insert("enabled".to_owned(), true.into());
    let same = stored.is_some_and(|it| Origins::of_entry(&new).take(&Origins::of_entry(it)));
    if !same {
        for key in ["api_key", "headers", "auth_token", "refresh_token"] {
            if !given.contains_key(key) {
                new.remove(key);
            }
        }
    }
    // Headers that were given come beside the stored ones only where those may go.
    let kept = same && new.contains_key("api_key") && !given.contains_key("api_key");
    new.retain(|key, _| !matches!(key.as_str(), "max_concurrency" | "on_loss"));
    let text = toml::to_string(&json!({ "providers": [new] }))
        .map_err(|_| Refusal::bad_request("invalid_value", "a value has no place in the file"))?;
    let resolved = write::resolve(app, &text);
    let problems = resolved.problems.into_iter().filter(|it| it.severity == Severity::Error);
    let Some(config) = resolved.config else {
        // Lines and columns are of a text that nobody has seen.
        let told =
            problems.map(|it| crate::api::Problem { line: 0, column: 0, ..disk::told(&it, None) });
        return Err(write::invalid(told.collect()));
    };
    let provider = config.providers.first().cloned();
    provider.map(|it| (it, kept)).ok_or_else(|| super::form::required("name"))
}

/// Loads the model list of one provider now.
pub(super) async fn refresh_one(ask: Ask) -> Answer {
    let name = between(&ask, PATH, "/refresh")?;
    let snapshot = ask.app.live.snapshot();
    let provider = providers::find(&snapshot, &name);
    let provider = provider.ok_or_else(|| disk::no_entry(Kind::Provider, &name))?;
    if !provider.enabled {
        let message = format!("the provider `{name}` is disabled");
        return Err(Refusal::new(409, "invalid_request_error", "disabled", message));
    }
    let told = refresh(&ask.app, &[Arc::clone(provider)]).await;
    reply(StatusCode::OK, &told, &snapshot.revision.to_string())
}

/// Loads all model lists now.
pub(super) async fn refresh_all(ask: Ask) -> Answer {
    let snapshot = ask.app.live.snapshot();
    let told = refresh(&ask.app, snapshot.table.providers()).await;
    reply(StatusCode::OK, &told, &snapshot.revision.to_string())
}

pub(super) async fn refresh(app: &App, providers: &[Arc<Provider>]) -> Refreshed {
    let remote = providers.iter().filter(|it| !it.is_echo());
    let loaded = join_all(remote.map(|it| app.load_list(&it.name, LIMIT))).await;
    let online = providers.iter().filter(|it| app.health.word(it) == "online").count();
    let status = if loaded.iter().all(|it| *it) { "ok" } else { "timeout" };
    Refreshed { status: status.to_owned(), providers: providers.len(), online }
}
