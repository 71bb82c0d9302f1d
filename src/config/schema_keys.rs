//! `[[incoming_tokens]]` word for word; see `schema`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{access::Role, base::Secret};

/// One key that callers present.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Token {
    /// A short name that never changes; entries and logs refer to it.
    #[schemars(extend("x-public" = true))]
    pub id: Option<String>,
    /// Whose key it is.
    #[schemars(extend("x-public" = true))]
    pub name: Option<String>,
    /// What it may do: `admin`, `keymaster` or `inferrer`.
    pub role: Option<Role>,
    /// The key itself: literal, `${env:NAME}` or `${file:PATH}`.
    #[serde(skip_serializing)]
    pub key: Option<Secret>,
    /// `sha256:<hex>` of the whole key, as `torod key new` prints it; instead of `key`.
    #[schemars(extend("x-public" = true))]
    pub key_hash: Option<String>,
    /// The id of the key that made this one; it ends when its parent does.
    #[schemars(extend("x-public" = true))]
    pub parent_id: Option<String>,
    /// When it ends.
    #[schemars(extend("format" = "date-time", "x-public" = true))]
    pub expires_at: Option<String>,
    /// The models it may use, with `*` for any text; all without this.
    #[schemars(extend("x-public" = true))]
    pub models: Option<Vec<String>>,
    /// Limits that are spent: requests, tokens, usd.
    #[schemars(extend("x-later" = "refuse"))]
    pub quota: Option<Quota>,
    /// Limits by time: requests and tokens per minute, requests at once.
    #[schemars(extend("x-later" = "refuse"))]
    pub rate: Option<Rate>,
    /// It may make keys below its own.
    #[schemars(extend("x-later" = "note"))]
    pub may_delegate: bool,
    /// Its prompts and answers may be recorded.
    #[schemars(extend("x-later" = "note", "default" = true))]
    pub conversations: Option<bool>,
    /// A remark.
    #[schemars(extend("x-public" = true, "x-legacy" = "write it as a comment: `# ...`"))]
    pub comment: Option<String>,
    /// When it was made.
    #[schemars(extend("format" = "date-time", "x-public" = true, "x-legacy" = "it has no meaning here; drop the key"))]
    pub created_at: Option<String>,
}

/// What a key may spend.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Quota {
    /// Requests.
    pub requests: Option<Budget>,
    /// Tokens, both ways.
    pub tokens: Option<Budget>,
    /// Money.
    pub usd: Option<Budget>,
}

/// A limit and when it begins anew.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Budget {
    /// How much.
    #[schemars(range(min = 0))]
    pub limit: f64,
    /// It begins anew after so many seconds; never without this and `interval`.
    pub interval_seconds: Option<i64>,
    /// It begins anew each `hour`, `day`, `week` or `month`.
    pub interval: Option<Interval>,
    /// What the Go original had counted.
    #[schemars(extend("x-legacy" = "counters live in the state directory now; drop the key"))]
    pub used: Option<i64>,
    /// When the Go original's window began.
    #[schemars(extend("format" = "date-time", "x-legacy" = "counters live in the state directory now; drop the key"))]
    pub window_started_at: Option<String>,
}

/// A span of the calendar.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Interval {
    Hour,
    Day,
    Week,
    Month,
}

/// How fast a key may go.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rate {
    /// Requests per minute.
    pub rpm: Option<u64>,
    /// Tokens per minute.
    pub tpm: Option<u64>,
    /// Requests at once.
    pub concurrency: Option<u64>,
}
