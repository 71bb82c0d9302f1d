//! What can be called: each provider's models, and how it is.

use std::sync::Arc;

use http::StatusCode;

use super::{
    answer::{Ask, fixed, flag, ok, reply},
    probes,
    providers::display_name,
};
use crate::{
    api::{ModelCatalog, ModelRow, Version},
    app::{App, Snapshot},
    catalog::Provider,
    door::Answer,
};

/// With `?refresh=1` after loading all lists.
pub(super) async fn catalog(ask: Ask) -> Answer {
    ask.app.wants_prices();
    if flag(&ask, "refresh") {
        probes::refresh(&ask.app, ask.arrival.snapshot.table.providers()).await;
    }
    let (rows, tag) = rows(&ask.app);
    ok(&rows, &tag)
}

/// Loads all lists, and answers with what they hold.
pub(super) async fn refresh(ask: Ask) -> Answer {
    probes::refresh(&ask.app, ask.arrival.snapshot.table.providers()).await;
    let (rows, tag) = rows(&ask.app);
    reply(StatusCode::OK, &rows, &tag)
}

fn rows(app: &App) -> (ModelCatalog, String) {
    let snapshot = app.live.snapshot();
    let of = |provider: &Arc<Provider>| {
        let mut models = snapshot.table.models_of(provider);
        if models.is_empty() {
            models.push(String::new());
        }
        let row = |model| row(app, &snapshot, provider, model);
        models.into_iter().map(row).collect::<Vec<_>>()
    };
    let data = snapshot.table.providers().iter().flat_map(of).collect();
    let learned = snapshot.learned.prices.values();
    let pricing_cache_updated_at = learned.filter_map(|it| it.last_update).max();
    let catalog =
        ModelCatalog { data, fetched_at: jiff::Timestamp::now(), pricing_cache_updated_at };
    (catalog, snapshot.revision.to_string())
}

fn row(app: &App, snapshot: &Snapshot, provider: &Provider, model: String) -> ModelRow {
    let look = app.health.of(provider);
    let priced = snapshot.prices.find(provider, &model).filter(|_| !model.is_empty());
    let price = priced.as_ref().map(|it| it.price.clone());
    ModelRow {
        provider: provider.name.to_string(),
        provider_type: provider.preset.name.clone(),
        provider_display_name: display_name(provider),
        model,
        status: app.health.word(provider).to_owned(),
        response_ms: look.as_ref().and_then(|it| u64::try_from(it.response.as_millis()).ok()),
        checked_at: look.map(|it| it.at),
        currency: price.as_ref().map(|_| "USD".to_owned()),
        price_source: priced.map(|it| it.source.name().to_owned()),
        price,
    }
}

pub(super) async fn version(_: Ask) -> Answer {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let commit = option_env!("TOROD_COMMIT").unwrap_or_default().to_owned();
    let raw = if commit.is_empty() { version.clone() } else { format!("{version}+{commit}") };
    let date = option_env!("TOROD_BUILD_DATE").unwrap_or_default().to_owned();
    fixed(&Version { version, raw, commit, date, dirty: false })
}
