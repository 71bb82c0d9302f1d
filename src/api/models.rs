//! `/admin/api/models`: what can be called, by provider.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalog::Price;

/// `GET /admin/api/models` and `/admin/api/models/catalog`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ModelCatalog {
    pub data: Vec<ModelRow>,
    #[schemars(with = "super::Moment")]
    pub fetched_at: jiff::Timestamp,
    #[schemars(with = "Option<super::Moment>")]
    pub pricing_cache_updated_at: Option<jiff::Timestamp>,
}

/// One model of one provider; a provider without models is one row with `model` empty.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ModelRow {
    pub provider: String,
    pub provider_type: String,
    pub provider_display_name: String,
    pub model: String,
    pub status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<super::Moment>")]
    pub checked_at: Option<jiff::Timestamp>,
    /// Absent while nobody knows what it costs.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_source: Option<String>,
}

/// `GET /admin/api/version`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Version {
    pub version: String,
    /// The same, as the Go original had it with its build.
    pub raw: String,
    pub commit: String,
    pub date: String,
    pub dirty: bool,
}
