//! `/admin/api/providers`. Names of the Go original are kept. Never a secret.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Written;
use crate::base::Secret;

/// One provider.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[expect(clippy::struct_excessive_bools, reason = "the Go original's row and ours")]
pub struct ProviderRow {
    pub display_name: String,
    pub name: String,
    pub provider_type: String,
    /// What may be a secret in its query is masked.
    pub base_url: String,
    pub timeout_seconds: u64,
    /// `online`, `offline`, `auth problem`, `blocked`, `unknown` or `disabled`, as its model list
    /// was loaded last.
    pub status: String,
    /// Why, in words, when it is not online.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    pub model_count: usize,
    pub priced_models: usize,
    pub free_models: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<super::Moment>")]
    pub pricing_last_update: Option<jiff::Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<super::Moment>")]
    pub checked_at: Option<jiff::Timestamp>,
    /// It stands in the file.
    pub managed: bool,
    pub enabled: bool,
    /// Found, not in the file.
    pub automatic: bool,
    /// Models without a prefix go to it.
    pub default: bool,
    pub credential: CredentialRow,
    /// Names of the headers that each request to it carries.
    pub headers: Vec<String>,
    pub protocols: Vec<String>,
    pub stream_idle_timeout_seconds: u64,
    pub include_usage: bool,
    /// The other keys of its entry as the file has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_list_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub models: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_loss: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_concurrency: Option<serde_json::Value>,
    /// What `If-Match` of a write to it names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
}

/// What is known of a credential.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct CredentialRow {
    pub set: bool,
    /// `literal`, `file`, `env`, or `env:NAME` for the preset's variable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The end of a literal one that is long enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last4: Option<String>,
    /// It refers to what cannot be read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unresolved: bool,
}

/// A preset: `GET /admin/api/providers/popular`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[expect(clippy::struct_excessive_bools, reason = "a row of the table of presets")]
pub struct PresetRow {
    pub name: &'static str,
    pub display_name: &'static str,
    pub base_url: Option<&'static str>,
    /// A person fills in the `{placeholders}`.
    pub base_url_template: Option<&'static str>,
    pub base_url_hint: Option<&'static str>,
    pub protocols: Vec<&'static str>,
    pub api_key_env: Option<&'static str>,
    /// That variable is set where torod runs.
    pub api_key_env_set: bool,
    pub docs_url: Option<&'static str>,
    pub api_key_url: Option<&'static str>,
    pub public_free_no_auth: bool,
    pub free_tier_with_key: bool,
    pub trial_credits: bool,
    pub local: bool,
    /// A kind of server; it needs a `base_url`.
    pub generic: bool,
}

/// Body of `POST /admin/api/providers/test`: keys of a provider's entry. What is absent comes from
/// the stored provider of that name.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProviderTest {
    pub name: Option<String>,
    pub provider_type: Option<String>,
    pub base_url: Option<String>,
    pub model_list_url: Option<String>,
    /// Without it, the stored one, when the origin is the one that it was entered for.
    pub api_key: Option<Secret>,
    pub headers: Option<BTreeMap<String, Secret>>,
    pub protocols: Option<Vec<String>>,
    pub timeout_seconds: Option<u64>,
    pub stream_idle_timeout_seconds: Option<u64>,
    pub include_usage: Option<bool>,
    pub models: Option<Vec<String>>,
    pub enabled: Option<bool>,
    /// Also ask a model for one token.
    pub chat: bool,
    /// The model to ask; without it, the first of the list.
    pub model: Option<String>,
}

/// A provider that answers.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Tested {
    pub ok: bool,
    pub model_count: usize,
    pub models: Vec<String>,
    pub response_ms: u64,
    /// The model that answered a chat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chatted: Option<String>,
    /// What the test did without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// `POST /admin/api/providers`, and `PUT` of one.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ProviderWritten {
    #[serde(flatten)]
    pub written: Written,
    pub name: String,
    /// The provider that is the default because of this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_provider: Option<String>,
}

/// `POST /admin/api/providers/refresh`, and of one.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Refreshed {
    /// `ok`; `timeout` when some did not answer in time.
    pub status: String,
    /// How many were asked.
    pub providers: usize,
    /// How many are online now.
    pub online: usize,
}
