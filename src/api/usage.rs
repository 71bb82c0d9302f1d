//! What was used: entries, and sums of them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Tokens in classes that do not overlap.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tokens {
    pub input: u64,
    pub cache_read: u64,
    pub cache_write_5m: u64,
    pub cache_write_1h: u64,
    pub audio_input: u64,
    pub output: u64,
    pub reasoning: u64,
    pub audio_output: u64,
}

/// One entry of the ledger. What is not known is null.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UsageRow {
    pub id: String,
    pub request_id: String,
    #[schemars(with = "super::Moment")]
    pub at: jiff::Timestamp,
    /// Of the config under which it ran.
    pub generation: u64,
    pub key_id: Option<String>,
    pub key_name: Option<String>,
    pub parent: Option<String>,
    pub provider: Option<String>,
    pub requested_model: String,
    pub upstream_model: Option<String>,
    pub protocol: String,
    pub stream: bool,
    pub status: u16,
    /// `ok`, `failed_over`, `client_gone`, `upstream_broke`, `refused`, `panicked`.
    pub outcome: String,
    pub attempts: u8,
    pub tokens: Option<Tokens>,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    pub total_tokens: u64,
    /// The tokens are a guess: the provider reported none.
    pub estimated: bool,
    pub ttfb_ms: Option<f64>,
    pub duration_ms: f64,
    /// The provider's own time for the prompt, and for the answer.
    pub prompt_ms: Option<f64>,
    pub generation_ms: Option<f64>,
    /// In 10^-12 USD, exact; null while the price is unknown.
    pub cost_pico_usd: Option<u64>,
    pub price_source: Option<String>,
    /// What the provider says that it cost.
    pub reported_pico_usd: Option<u64>,
    pub client_type: String,
    pub conversation: Option<String>,
    pub tags: Vec<String>,
    pub user_agent: Option<String>,
    pub client_ip: Option<String>,
}

/// `GET /admin/api/usage`, `GET /v1/usage`: the newest first.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct UsagePage {
    pub data: Vec<UsageRow>,
    /// The `cursor` of the next page; null on the last.
    pub next: Option<String>,
}

/// What is summed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Summed {
    pub requests: u64,
    pub failed_requests: u64,
    pub prompt_tokens: u64,
    pub prompt_cached_tokens: u64,
    pub completion_tokens: u64,
    pub total_tokens: u64,
    pub tokens: Tokens,
    /// Requests whose tokens are a guess.
    pub estimated: u64,
    /// In 10^-12 USD, exact; of what has a price.
    pub cost_pico_usd: u64,
    pub cost_usd: f64,
    /// Requests that used tokens of which nobody knows the price.
    pub unpriced_requests: u64,
    pub latency_ms_sum: f64,
    pub avg_latency_ms: f64,
    pub avg_ttfb_ms: f64,
    /// Tokens a second.
    pub avg_prompt_tps: f64,
    pub avg_generation_tps: f64,
}

/// `GET /admin/api/stats`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Stats {
    pub period_seconds: u64,
    #[schemars(with = "super::Moment")]
    pub from: jiff::Timestamp,
    #[schemars(with = "super::Moment")]
    pub to: jiff::Timestamp,
    #[serde(flatten)]
    pub sum: Summed,
    pub providers_available: usize,
    pub providers_online: usize,
    pub requests_per_provider: BTreeMap<String, u64>,
    pub requests_per_model: BTreeMap<String, u64>,
    pub requests_per_client_type: BTreeMap<String, u64>,
    /// The 50 that sent the most, as of the hours that the period touches.
    pub requests_per_user_agent: BTreeMap<String, u64>,
    pub requests_per_client_ip: BTreeMap<String, u64>,
    /// By id.
    pub requests_per_key: BTreeMap<String, u64>,
    pub slot_seconds: u64,
    pub buckets: Vec<Bucket>,
}

/// A slot of time, of one group.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Bucket {
    #[schemars(with = "super::Moment")]
    pub start_at: jiff::Timestamp,
    pub slot_seconds: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_type: Option<String>,
    #[serde(flatten)]
    pub sum: Summed,
}

/// `GET /v1/status` for a caller that is no admin: what it used itself, as far back as sums are kept.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct OwnStatus {
    #[schemars(with = "super::Moment")]
    pub checked_at: jiff::Timestamp,
    pub version: String,
    pub generation: u64,
    pub ready: bool,
    #[serde(flatten)]
    pub sum: Summed,
}
