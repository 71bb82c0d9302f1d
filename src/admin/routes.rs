//! Every route of `/admin`, one line each, with the right that it needs and what it says of itself.

use super::{
    answer::Ask, config, keys, lists, models, network, openapi, pricing, probes, providers,
    settings, text, usage,
};
use crate::{
    access::Right::{self, Administer, DelegateKeys, Public},
    api,
    config::{schema, schema_keys, schema_parts},
    door::{
        Answering, Doc, Route, Visit,
        doc::{Shape, any, of},
    },
    handler,
    llm::Protocol::Chat,
};

/// Makes an `async fn(Ask) -> Answer` into a row's handler.
macro_rules! asked {
    ($function:path) => {
        |visit| Box::pin(async move { $function(Ask::read(visit).await?).await })
    };
}

type Handler = fn(Visit) -> Answering;

/// A row that is described.
const fn row(
    (method, path, right): (&'static str, &'static str, Right),
    handler: Handler,
    summary: &'static str,
    response: Shape,
) -> Route {
    let guarded = false;
    let doc = Doc { summary, query: &[], request: None, status: 200, response, guarded };
    Route { method, path, right, face: Chat, handler, doc: Some(doc) }
}

const fn get(path: &'static str, handler: Handler, summary: &'static str, shape: Shape) -> Route {
    row(("GET", path, Administer), handler, summary, shape)
}

const fn post(path: &'static str, handler: Handler, summary: &'static str, shape: Shape) -> Route {
    row(("POST", path, Administer), handler, summary, shape)
}

/// A write: `If-Match` guards it, `dry_run` keeps it from being done.
const fn write(
    method: &'static str,
    path: &'static str,
    handler: Handler,
    summary: &'static str,
    response: Shape,
) -> Route {
    let mut route = row((method, path, Administer), handler, summary, response);
    if let Some(doc) = &mut route.doc {
        doc.guarded = true;
    }
    route
}

impl Route {
    const fn takes(mut self, request: Shape) -> Self {
        if let Some(doc) = &mut self.doc {
            doc.request = Some(request);
        }
        self
    }

    const fn makes(mut self) -> Self {
        if let Some(doc) = &mut self.doc {
            doc.status = 201;
        }
        self
    }

    const fn asks(mut self, query: &'static [(&'static str, &'static str)]) -> Self {
        if let Some(doc) = &mut self.doc {
            doc.query = query;
        }
        self
    }

    /// For keymasters too.
    const fn delegated(mut self) -> Self {
        self.right = DelegateKeys;
        self
    }
}

const PAGE: Route = Route {
    method: "GET",
    path: "/admin",
    right: Public,
    face: Chat,
    handler: handler!(config::page),
    doc: None,
};

/// Every route of this surface.
#[rustfmt::skip]
pub static ROUTES: &[Route] = &[
    PAGE,
    get("/admin/api/config", asked!(text::get),
        "The file's text, literal secrets masked", of::<api::ConfigText>),
    write("PUT", "/admin/api/config", asked!(text::put),
        "Replaces the whole text; masks become the file's secrets again", of::<api::Written>).takes(of::<api::WholeText>),
    write("PATCH", "/admin/api/config", asked!(text::patch),
        "Edits of entries and settings, all or none", of::<api::Written>).takes(of::<api::Edits>),
    post("/admin/api/config/validate", asked!(text::validate),
        "Every problem of a text; nothing is written", of::<api::Validated>).takes(of::<api::WholeText>),
    get("/admin/api/config/status", asked!(config::status),
        "What is live, and what is wrong with the file on disk", of::<api::ConfigStatus>),
    post("/admin/api/config/reload", asked!(config::reload),
        "Reads the file again now", of::<api::Reloaded>),
    get("/admin/api/config/schema", asked!(text::schema),
        "JSON Schema of the file", any),
    get("/admin/api/config/history", asked!(text::history),
        "Earlier texts that are kept, the newest first", of::<Vec<api::KeptText>>),
    get("/admin/api/config/history/{revision}", asked!(text::kept),
        "One of them, literal secrets masked", of::<api::ConfigText>),
    get("/admin/api/providers", asked!(providers::list),
        "All providers, those of the file first", of::<Vec<api::ProviderRow>>),
    write("POST", "/admin/api/providers", asked!(providers::create),
        "A new provider; the first becomes the default", of::<api::ProviderWritten>).takes(of::<schema::Provider>).makes(),
    get("/admin/api/providers/popular", asked!(providers::popular),
        "Presets", of::<Vec<api::PresetRow>>),
    post("/admin/api/providers/test", asked!(probes::test),
        "Tries settings before they are saved", of::<api::Tested>).takes(of::<api::ProviderTest>),
    post("/admin/api/providers/refresh", asked!(probes::refresh_all),
        "Loads all model lists now", of::<api::Refreshed>),
    get("/admin/api/providers/{name}", asked!(providers::one),
        "One provider", of::<api::ProviderRow>),
    write("PUT", "/admin/api/providers/{name}", asked!(providers::change),
        "Changes a provider; another `name` renames it. A new origin without a new credential drops the old one", of::<api::ProviderWritten>).takes(of::<schema::Provider>),
    write("DELETE", "/admin/api/providers/{name}", asked!(providers::remove),
        "Removes a provider that no virtual model targets", of::<api::ProviderWritten>),
    post("/admin/api/providers/{name}/refresh", asked!(probes::refresh_one),
        "Loads its model list now", of::<api::Refreshed>),
    get("/admin/api/access-tokens", asked!(keys::list),
        "Keys; a keymaster sees those below its own", of::<Vec<api::KeyRow>>).delegated(),
    write("POST", "/admin/api/access-tokens", asked!(keys::create),
        "A new key; without `key`, torod makes it and shows it once", of::<api::KeyCreated>).takes(of::<schema_keys::Token>).makes().delegated(),
    get("/admin/api/access-tokens/{id}", asked!(keys::one),
        "One key", of::<api::KeyRow>).delegated(),
    write("PUT", "/admin/api/access-tokens/{id}", asked!(keys::change),
        "Changes a key; another `id` renames it", of::<api::Written>).takes(of::<schema_keys::Token>).delegated(),
    write("DELETE", "/admin/api/access-tokens/{id}", asked!(keys::remove),
        "Removes a key", of::<api::Written>).asks(&[("children", "`delete`: the keys below it go too; without it, a key that has some stays")]).delegated(),
    get("/admin/api/virtual-models", asked!(lists::models),
        "Names of your own for targets", of::<Vec<schema_parts::Model>>),
    write("POST", "/admin/api/virtual-models", asked!(lists::create_model),
        "A new virtual model", of::<api::Written>).takes(of::<schema_parts::Model>).makes(),
    get("/admin/api/virtual-models/{*name}", asked!(lists::model),
        "One virtual model", of::<schema_parts::Model>),
    write("PUT", "/admin/api/virtual-models/{*name}", asked!(lists::change_model),
        "Changes a virtual model; another `name` renames it", of::<api::Written>).takes(of::<schema_parts::Model>),
    write("DELETE", "/admin/api/virtual-models/{*name}", asked!(lists::remove_model),
        "Removes a virtual model", of::<api::Written>),
    get("/admin/api/price-overrides", asked!(lists::prices),
        "Prices that win over all others, USD per 1M tokens", of::<Vec<schema_parts::Price>>),
    write("POST", "/admin/api/price-overrides", asked!(lists::create_price),
        "A new price", of::<api::Written>).takes(of::<schema_parts::Price>).makes(),
    get("/admin/api/price-overrides/{*model}", asked!(lists::price),
        "One price", of::<schema_parts::Price>),
    write("PUT", "/admin/api/price-overrides/{*model}", asked!(lists::change_price),
        "Changes a price; another `model` renames it", of::<api::Written>).takes(of::<schema_parts::Price>),
    write("DELETE", "/admin/api/price-overrides/{*model}", asked!(lists::remove_price),
        "Removes a price", of::<api::Written>),
    get("/admin/api/models", asked!(models::catalog),
        "Each provider's models", of::<api::ModelCatalog>).asks(&[("refresh", "`1`: after loading all model lists")]),
    get("/admin/api/models/catalog", asked!(models::catalog),
        "The same", of::<api::ModelCatalog>).asks(&[("refresh", "`1`: after loading all model lists")]),
    post("/admin/api/models/refresh", asked!(models::refresh),
        "Loads all model lists, and answers with them", of::<api::ModelCatalog>),
    get("/admin/api/pricing", asked!(pricing::pricing),
        "What models cost, USD per 1M tokens, and what nobody knows", of::<api::Pricing>).asks(&[("provider", "only this one")]),
    post("/admin/api/pricing/refresh", asked!(pricing::refresh),
        "Asks providers for their prices now", of::<api::PricingRefreshed>).asks(&[("provider", "only this one")]),
    get("/admin/api/settings/security", asked!(settings::security),
        "Who may come in, and where torod goes", of::<api::Security>),
    write("PUT", "/admin/api/settings/security", asked!(settings::put_security),
        "Changes them; what is absent stays", of::<api::Written>).takes(of::<api::Security>),
    get("/admin/api/settings/conversations", asked!(settings::conversations),
        "Recording of prompts and answers", of::<schema_parts::Conversations>),
    write("PUT", "/admin/api/settings/conversations", asked!(settings::put_conversations),
        "Changes them; what is absent stays", of::<api::Written>).takes(of::<schema_parts::Conversations>),
    get("/admin/api/settings/logs", asked!(settings::logs),
        "What torod says about itself", of::<schema_parts::Logs>),
    write("PUT", "/admin/api/settings/logs", asked!(settings::put_logs),
        "Changes them; what is absent stays", of::<api::Written>).takes(of::<schema_parts::Logs>),
    get("/admin/api/settings/limits", asked!(settings::limits),
        "Sizes and times that protect torod", of::<schema_parts::Limits>),
    write("PUT", "/admin/api/settings/limits", asked!(settings::put_limits),
        "Changes them; what is absent stays", of::<api::Written>).takes(of::<schema_parts::Limits>),
    get("/admin/api/settings/telemetry", asked!(settings::telemetry),
        "Metrics and traces", of::<schema::Telemetry>),
    write("PUT", "/admin/api/settings/telemetry", asked!(settings::put_telemetry),
        "Changes them; what is absent stays", of::<api::Written>).takes(of::<schema::Telemetry>),
    get("/admin/api/settings/network", asked!(network::network),
        "Where torod listens", of::<api::Network>),
    write("PUT", "/admin/api/settings/network", asked!(network::put_network),
        "Listens elsewhere", of::<api::Written>).takes(of::<api::NetworkChange>),
    get("/admin/api/settings/tls", asked!(network::tls),
        "HTTPS, without its key", of::<api::TlsSettings>),
    write("PUT", "/admin/api/settings/tls", asked!(network::put_tls),
        "Changes HTTPS", of::<api::Written>).takes(of::<api::TlsChange>),
    get("/admin/api/stats", asked!(usage::stats),
        "What was used in a period: sums, shares, buckets", of::<api::Stats>).asks(usage::PARAMETERS),
    get("/admin/api/usage", asked!(usage::entries),
        "Entries of the ledger, the newest first", of::<api::UsagePage>).asks(crate::door::usage::PARAMETERS),
    get("/admin/api/version", asked!(models::version),
        "Which torod this is", of::<api::Version>),
    get("/admin/api/openapi.json", asked!(openapi::document),
        "This document", any),
];
