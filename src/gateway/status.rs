//! What torod says of itself without being asked for a model.

use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::json;

use super::usage::owner;
use crate::{
    access::Role,
    api::{OwnStatus, ProviderStatus, Status},
    catalog::{Credential, Provider},
    door::{Answer, Refusal, Visit, json, usage::unavailable},
    store::query_sums::Asked,
};

/// `GET /`: people look for the admin page.
pub(super) async fn home(_: Visit) -> Answer {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::FOUND;
    response.headers_mut().insert(header::LOCATION, HeaderValue::from_static("/admin"));
    Ok(response)
}

/// The process runs.
pub(super) async fn alive(_: Visit) -> Answer {
    let mut response = Response::new(Body::from("ok\n"));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    Ok(response)
}

/// A config is live, a listener is up, and the end has not begun.
pub(super) async fn ready(visit: Visit) -> Answer {
    if visit.app.is_draining() {
        return Err(Refusal::new(503, "server_error", "draining", "torod is shutting down"));
    }
    if !visit.app.is_ready() {
        return Err(Refusal::new(503, "server_error", "not_ready", "no listener is up"));
    }
    let ledger = visit.app.store.condition();
    json(&json!({
        "ready": true, "generation": visit.arrival.snapshot.generation, "ledger": ledger,
    }))
}

/// `GET /v1`: which paths there are.
pub(super) async fn root(_: Visit) -> Answer {
    let paths: Vec<_> = super::ROUTES
        .iter()
        .filter(|it| it.path.starts_with("/v1/") && !it.path.contains('{'))
        .map(|it| it.path)
        .collect();
    let mut unique = paths;
    unique.dedup();
    json(&json!({
        "object": "tokenrouter",
        "service": "TokenRouter OpenAI-compatible API",
        "paths": unique,
    }))
}

/// All of torod for an admin; for others what is their own business.
pub(super) async fn status(visit: Visit) -> Answer {
    if visit.caller.role == Role::Admin { whole(&visit) } else { own(visit).await }
}

async fn own(visit: Visit) -> Answer {
    let now = jiff::Timestamp::now();
    let asked = Asked { owner: owner(&visit.caller), to: now.as_second() + 1, ..Asked::default() };
    let sums = visit.app.store.sums(asked).await.map_err(|it| unavailable(&it))?;
    json(&OwnStatus {
        checked_at: now,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        generation: visit.arrival.snapshot.generation,
        ready: visit.app.is_ready(),
        sum: sums.first().cloned().unwrap_or_default().summed(),
    })
}

fn whole(visit: &Visit) -> Answer {
    let (app, snapshot) = (&visit.app, &visit.arrival.snapshot);
    let totals = app.ledger.totals();
    let providers: Vec<_> =
        snapshot.table.providers().iter().map(|it| of_provider(it, visit)).collect();
    let disabled = snapshot.config.providers.iter().filter(|it| !it.enabled);
    let millis = totals.duration.as_secs_f64() * 1000.0;
    #[expect(clippy::cast_precision_loss, reason = "an average needs no more")]
    let average = if totals.requests == 0 { 0.0 } else { millis / totals.requests as f64 };
    json(&Status {
        checked_at: jiff::Timestamp::now(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        generation: snapshot.generation,
        revision: snapshot.revision.to_string(),
        uptime_seconds: app.started.elapsed().as_secs(),
        ready: app.is_ready(),
        listening: app.listeners().open.iter().map(ToString::to_string).collect(),
        providers_available: providers.len(),
        providers_online: providers.iter().filter(|it| it.models.is_some()).count(),
        requests: totals.requests,
        in_flight: app.counters.in_flight(),
        prompt_tokens: totals.usage.prompt(),
        completion_tokens: totals.usage.completion(),
        total_tokens: totals.usage.total(),
        estimated: totals.estimated,
        avg_latency_ms: average,
        outcomes: totals.outcomes,
        providers: providers.into_iter().chain(disabled.map(|it| of_provider(it, visit))).collect(),
    })
}

fn of_provider(provider: &Provider, visit: &Visit) -> ProviderStatus {
    let list = visit.arrival.snapshot.learned.lists.of(&provider.name);
    let echo = provider.is_echo().then_some(crate::llm::echo::MODELS.len());
    ProviderStatus {
        name: provider.name.to_string(),
        provider_type: provider.preset.name.clone(),
        enabled: provider.enabled,
        automatic: provider.automatic,
        credential: match provider.credential {
            Credential::Unresolved => Some("unresolved".to_owned()),
            _ => provider.credential_source.clone(),
        },
        models: list.map(|it| it.models.len()).or(echo),
        models_fetched_at: list.map(|it| it.fetched_at),
    }
}
