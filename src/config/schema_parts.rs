//! The smaller tables of the file; see `schema`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{base::Secret, catalog::PriceSource};

/// A name of your own for targets.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Model {
    /// What clients ask for.
    #[schemars(extend("x-public" = true))]
    pub name: Option<String>,
    /// `provider/model`, or `{ model = "provider/model", weight = 2 }`, in the order to try.
    pub targets: Vec<TargetEntry>,
    /// How a target is chosen: `failover`, `weighted`, `fastest` or `cheapest`.
    #[schemars(extend("default" = "failover"))]
    pub strategy: Option<Strategy>,
}

/// One target of a virtual model.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum TargetEntry {
    #[schemars(extend("x-public" = true))]
    Name(String),
    Weighted(WeightedTarget),
}

/// A target with its share.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WeightedTarget {
    /// `provider/model`.
    #[schemars(extend("x-public" = true))]
    pub model: String,
    /// Its share among the others.
    #[schemars(range(min = 0), extend("default" = 1))]
    pub weight: Option<u64>,
}

/// How a target is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    #[default]
    Failover,
    Weighted,
    Fastest,
    Cheapest,
}

/// A price that wins over all others, in USD per 1M tokens. The first that fits a model holds, and
/// holds alone: a class that it leaves out costs what the nearest class costs, what is read from and
/// written to a cache as `input`, reasoning as `output`.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Price {
    /// `provider/model`, with `*` for any text.
    #[schemars(extend("x-public" = true))]
    pub model: String,
    /// Tokens of the prompt.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub input: Option<f64>,
    /// Tokens of the answer.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub output: Option<f64>,
    /// Tokens read from a cache.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub cache_read: Option<f64>,
    /// Tokens written to a cache.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub cache_write: Option<f64>,
    /// Tokens written to a cache for an hour.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub cache_write_1h: Option<f64>,
    /// Tokens of reasoning.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub reasoning: Option<f64>,
    /// Tokens of sound in the prompt.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub audio_input: Option<f64>,
    /// Tokens of sound in the answer.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub audio_output: Option<f64>,
    /// USD for each request, beside its tokens.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub request: Option<f64>,
}

/// Where prices come from.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Pricing {
    /// Minutes between two looks.
    #[schemars(range(min = 1, max = 525_600), extend("default" = 30))]
    pub refresh_minutes: Option<u64>,
    /// Sources in the order of trust: `prices` (this file), `models` (the provider's own list),
    /// `opencode_zen` and `cerebras` (their public pages), `local` (servers on this machine cost
    /// nothing), `embedded` (those that come with torod). All in this order by default.
    pub sources: Option<Vec<PriceSource>>,
    /// A model without a price is flagged, or refused before it is called: `flag` or `block`.
    #[schemars(extend("default" = "flag"))]
    pub unknown: Option<UnknownPrice>,
}

/// What becomes of a model without a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnknownPrice {
    Flag,
    Block,
}

/// Recording of prompts and answers.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Conversations {
    /// They are recorded.
    pub enabled: bool,
    /// At most so many.
    #[schemars(range(min = 100, max = 200_000), extend("default" = 5000))]
    pub max_items: Option<u64>,
    /// For at most so many days.
    #[schemars(range(min = 1), extend("default" = 30))]
    pub max_age_days: Option<u64>,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// The least important lines that are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

/// What torod says about itself, on stderr.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Logs {
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: LogLevel,
    /// `text` or `json`.
    pub format: LogFormat,
    /// Lines that the admin page can show.
    #[schemars(range(min = 100, max = 200_000), extend("x-later" = "note", "default" = 5000))]
    pub max_lines: Option<u64>,
}

/// Sizes and times that protect torod.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The largest request body, decoded, in bytes.
    #[schemars(range(min = 1024, max = 1_073_741_824))]
    pub max_body_bytes: usize,
    /// Seconds to connect to a provider.
    #[schemars(range(min = 1, max = 600))]
    pub connect_timeout_seconds: u64,
    /// Seconds until a client's first byte.
    #[schemars(range(min = 1, max = 600))]
    pub first_byte_timeout_seconds: u64,
    /// Seconds until a request's head is complete.
    #[schemars(range(min = 1, max = 600))]
    pub header_timeout_seconds: u64,
    /// Seconds between two pieces of a request's body.
    #[schemars(range(min = 1, max = 3600))]
    pub body_idle_seconds: u64,
    /// Client connections at once.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_body_bytes: 64 * 1024 * 1024,
            connect_timeout_seconds: 5,
            first_byte_timeout_seconds: 10,
            header_timeout_seconds: 10,
            body_idle_seconds: 30,
            max_connections: 4096,
        }
    }
}

/// Where the certificate comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TlsMode {
    #[default]
    Letsencrypt,
    SelfSigned,
    Pem,
}

/// HTTPS.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// HTTPS is served.
    pub enabled: bool,
    /// Where the certificate comes from: `letsencrypt`, `self_signed` or `pem`.
    pub mode: TlsMode,
    /// Where HTTPS listens.
    #[schemars(extend("x-public" = true, "default" = ":443"))]
    pub listen_addr: Option<String>,
    /// The name that the certificate is for.
    #[schemars(extend("x-public" = true))]
    pub domain: Option<String>,
    /// The names that the certificate is for.
    #[schemars(extend("x-public" = true))]
    pub domains: Vec<String>,
    /// Whom Let's Encrypt writes to.
    pub email: Option<String>,
    /// Where certificates are kept.
    pub cache_dir: Option<String>,
    /// The certificate chain in PEM.
    pub cert_pem: Option<String>,
    /// The private key in PEM, literal, `${env:NAME}` or `${file:PATH}`.
    #[serde(skip_serializing)]
    pub key_pem: Option<Secret>,
}
