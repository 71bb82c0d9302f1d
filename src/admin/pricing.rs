//! What models cost: by which source, how old, and what nobody knows.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures_util::future::join_all;
use http::StatusCode;

use super::answer::{Ask, ok, parameter, reply};
use crate::{
    api::{EmbeddedPrices, PriceEntry, Pricing, PricingRefreshed},
    app::App,
    catalog::{Priced, Provider, embedded},
    door::Answer,
    store,
};

/// Nobody waits longer for all prices.
const LIMIT: Duration = Duration::from_secs(45);

pub(super) async fn pricing(ask: Ask) -> Answer {
    ask.app.wants_prices();
    let told = told(&ask.app, parameter(&ask, "provider").as_deref());
    ok(&told, &ask.arrival.snapshot.revision.to_string())
}

/// Asks all providers, or one, for their prices now.
pub(super) async fn refresh(ask: Ask) -> Answer {
    let one = parameter(&ask, "provider");
    let providers = ask.arrival.snapshot.table.providers().iter();
    let wanted =
        providers.filter(|it| !it.is_echo() && one.as_ref().is_none_or(|one| **one == *it.name));
    let loaded = join_all(wanted.map(|it| ask.app.load_prices(&it.name, LIMIT))).await;
    let status = if loaded.iter().all(|it| *it) { "ok" } else { "timeout" }.to_owned();
    let told = PricingRefreshed { status, cache: told(&ask.app, one.as_deref()) };
    reply(StatusCode::OK, &told, &ask.app.live.snapshot().revision.to_string())
}

/// What is known of all providers, or of one.
fn told(app: &App, only: Option<&str>) -> Pricing {
    let snapshot = app.live.snapshot();
    let wanted = |name: &str| only.is_none_or(|it| it == name);
    let learned = &snapshot.learned.prices;
    let current = |provider: &Arc<Provider>| {
        let prices = learned.get(&provider.name)?;
        let is_its = prices.service == crate::catalog::ProviderPrices::service_of(provider);
        is_its.then(|| (Arc::clone(&provider.name), Arc::clone(prices)))
    };
    let providers: Vec<_> =
        snapshot.table.providers().iter().filter(|it| wanted(&it.name)).collect();
    let mut told = store::prices::cache(&providers.iter().filter_map(|it| current(it)).collect());
    let now = jiff::Timestamp::now();
    for state in told.provider_states.values_mut() {
        let age = state.last_update.map(|it| now.duration_since(it).unsigned_abs());
        state.age_seconds = age.map(|it| it.as_secs());
    }
    for provider in providers {
        let mut models: BTreeSet<_> = snapshot.table.models_of(provider).into_iter().collect();
        if let Some(prices) = learned.get(&provider.name) {
            models.extend(prices.models.keys().cloned());
        }
        for model in models {
            let name = format!("{}/{model}", provider.name);
            match snapshot.prices.find(provider, &model) {
                Some(priced) => {
                    let at = told.entries.get(&name).and_then(|it| it.discovered_at);
                    told.entries.insert(name, entry(provider, model, &priced, at));
                }
                None => told.unknown.push(name),
            }
        }
    }
    told.embedded = Some(EmbeddedPrices {
        version: embedded::version().to_string(),
        date: embedded::date().to_owned(),
        models: embedded::len(),
        notice: "data of litellm and models.dev, MIT License".to_owned(),
    });
    told
}

fn entry(
    provider: &Provider,
    model: String,
    priced: &Priced<'_>,
    discovered_at: Option<jiff::Timestamp>,
) -> PriceEntry {
    PriceEntry {
        provider: provider.name.to_string(),
        model,
        currency: "USD".to_owned(),
        price: priced.price.clone(),
        discovered_at,
        source: priced.source.name().to_owned(),
        version: Some(priced.version.to_string()),
        suspicious: priced.price.is_suspicious(),
    }
}
