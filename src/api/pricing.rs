//! `/admin/api/pricing`, which is also the form of the cache file; names of the Go original are kept.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalog::Price;

/// What is known of prices.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Pricing {
    /// When a price was learned last.
    #[schemars(with = "Option<super::Moment>")]
    pub updated_at: Option<jiff::Timestamp>,
    pub provider_states: BTreeMap<String, PriceState>,
    /// By `provider/model`.
    pub entries: BTreeMap<String, PriceEntry>,
    /// Models that nobody has a price for, as `provider/model`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
    /// The prices that come with torod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embedded: Option<EmbeddedPrices>,
}

/// How learning one provider's prices went.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PriceState {
    #[schemars(with = "super::Moment")]
    pub last_attempt: jiff::Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<super::Moment>")]
    pub last_update: Option<jiff::Timestamp>,
    /// Why the last attempt failed; the prices are those of `last_update`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// How old the prices are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<u64>,
    /// Which service they are of: a digest of its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
}

/// What one model costs.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PriceEntry {
    pub provider: String,
    pub model: String,
    pub currency: String,
    #[serde(flatten)]
    pub price: Price,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<super::Moment>")]
    pub discovered_at: Option<jiff::Timestamp>,
    /// `prices`, `models`, `opencode_zen`, `cerebras`, `local` or `embedded`.
    pub source: String,
    /// Which edition of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// So low or so high that its unit is in doubt: it is shown, and no cost is booked with it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspicious: bool,
}

/// The edition of the prices that come with torod.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct EmbeddedPrices {
    pub version: String,
    pub date: String,
    pub models: usize,
    pub notice: String,
}

/// `POST /admin/api/pricing/refresh`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PricingRefreshed {
    /// `ok`, or `timeout` when some provider did not answer within 45 s.
    pub status: String,
    pub cache: Pricing,
}
