//! JSON of the admin API and of `/v1/status`: types only, shared by the surfaces, `client` and
//! the tests.

mod config;
mod keys;
mod models;
mod pricing;
mod providers;
mod settings;
mod usage;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use config::{
    ConfigText, Edits, ErrorBody, ErrorDetail, KeptText, Validated, WholeText, Written,
};
pub use keys::{KeyCreated, KeyRow};
pub use models::{ModelCatalog, ModelRow, Version};
pub use pricing::{EmbeddedPrices, PriceEntry, PriceState, Pricing, PricingRefreshed};
pub use providers::{
    CredentialRow, PresetRow, ProviderRow, ProviderTest, ProviderWritten, Refreshed, Tested,
};
pub use settings::{Network, NetworkChange, Security, TlsChange, TlsSettings};
pub use usage::{Bucket, OwnStatus, Stats, Summed, Tokens, UsagePage, UsageRow};

/// `GET /admin/api/config/status`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ConfigStatus {
    /// How many texts or secrets went live so far.
    pub generation: u64,
    /// SHA-256 of the live text, hexadecimal.
    pub revision: String,
    #[schemars(with = "Moment")]
    pub loaded_at: jiff::Timestamp,
    /// Path of the file.
    pub source: String,
    /// torod may write the file.
    pub writable: bool,
    /// Why it may not.
    pub managed: Option<String>,
    /// What is wrong with the text on disk, or with applying it.
    pub problems: Vec<Problem>,
    /// Keys whose new value waits for a restart.
    pub restart_required: Vec<String>,
    /// Edits and saves of this process's life that somebody saved over, the newest first, at most
    /// 50. They are cleared by a restart; their patches stay in the state directory.
    pub overwritten: Vec<Overwritten>,
}

/// An edit that the file no longer has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Overwritten {
    #[schemars(with = "Moment")]
    pub at: jiff::Timestamp,
    /// Whose it was.
    pub by: String,
    /// What it did, in words.
    pub what: String,
    /// Where its patch is kept: it may hold secrets, so only its path is told.
    pub patch_file: Option<String>,
    pub revision_before: String,
    pub revision_after: String,
}

/// One problem: position and message, never a value of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    pub severity: String,
    pub code: String,
    pub line: usize,
    pub column: usize,
    pub message: String,
    pub help: Option<String>,
    /// The line with a caret below it, values that may be secret as stars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rendered: Option<String>,
}

/// `POST /admin/api/config/reload`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Reloaded {
    pub generation: u64,
    pub revision: String,
    /// The text on disk is what is live now.
    pub applied: bool,
    pub problems: Vec<Problem>,
}

/// The form of a moment: RFC 3339.
#[derive(Debug)]
pub struct Moment;

impl JsonSchema for Moment {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Moment".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "date-time" })
    }
}

/// `GET /v1/status` for an admin. Names of the Go original are kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    pub checked_at: jiff::Timestamp,
    pub version: String,
    pub generation: u64,
    pub revision: String,
    pub uptime_seconds: u64,
    pub ready: bool,
    pub listening: Vec<String>,
    pub providers_available: usize,
    /// Providers whose model list was loaded.
    pub providers_online: usize,
    pub requests: u64,
    pub in_flight: u64,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    pub total_tokens: u64,
    /// Entries whose usage was estimated.
    pub estimated: u64,
    pub avg_latency_ms: f64,
    pub outcomes: Outcomes,
    pub providers: Vec<ProviderStatus>,
}

/// Entries by how they ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcomes {
    pub ok: u64,
    pub client_gone: u64,
    pub upstream_broke: u64,
    pub refused: u64,
    pub failed_over: u64,
    pub panicked: u64,
}

/// One provider of `/v1/status`; nothing secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProviderStatus {
    pub name: String,
    pub provider_type: String,
    pub enabled: bool,
    /// Found on this machine, not in the file.
    pub automatic: bool,
    /// Where its credential comes from: `literal`, `file`, `env`, `env:NAME`; none without one.
    pub credential: Option<String>,
    pub models: Option<usize>,
    pub models_fetched_at: Option<jiff::Timestamp>,
}
