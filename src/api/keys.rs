//! `/admin/api/access-tokens`: keys that callers present. Never the key itself, but once.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Written;
use crate::access::Role;

/// One key.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct KeyRow {
    pub id: String,
    pub name: String,
    pub role: Role,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<super::Moment>")]
    pub expires_at: Option<jiff::Timestamp>,
    /// It and all above it are live, and its secret can be read.
    pub live: bool,
    /// `key_hash`, or `literal`, `env` or `file` for a `key` in the file.
    pub source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub models: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub may_delegate: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversations: Option<bool>,
    /// What `If-Match` of a write to it names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
}

/// `POST /admin/api/access-tokens`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct KeyCreated {
    #[serde(flatten)]
    pub written: Written,
    pub id: String,
    /// The key that torod made; it is in no other answer, and only its hash is in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}
