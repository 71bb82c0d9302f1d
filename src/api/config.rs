//! `/admin/api/config`: the text and what becomes of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Problem;
use crate::config::edit::Edit;

/// `GET /admin/api/config`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ConfigText {
    /// The file as it is on disk; each literal secret as `***#<digest>`, which a `PUT` restores.
    pub text: String,
    /// SHA-256 of the file's bytes, hexadecimal: what `If-Match` of a `PUT` names.
    pub revision: String,
    /// Path of the file.
    pub source: String,
    /// This text is what is live.
    pub live: bool,
}

/// Body of `PUT /admin/api/config` and `POST /admin/api/config/validate`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WholeText {
    pub text: String,
}

/// Body of `PATCH /admin/api/config`: edits, applied in their order, all or none.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Edits {
    List(Vec<Edit>),
    Object { edits: Vec<Edit> },
}

/// `POST /admin/api/config/validate`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Validated {
    /// The text would load.
    pub ok: bool,
    pub problems: Vec<Problem>,
}

/// What a write did.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Written {
    /// `ok`; `dry_run` when nothing was written.
    pub status: String,
    /// The generation that is live with it.
    pub generation: u64,
    /// Of the new text.
    pub revision: String,
    /// What changed, in words.
    pub changes: String,
    /// Keys whose new value waits for a restart.
    pub restart_required: Vec<String>,
    /// Warnings and notes of the new text.
    pub problems: Vec<Problem>,
    /// With `dry_run=1`: the unified diff; secrets of the file are masked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch: Option<String>,
}

/// An earlier text that is kept.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct KeptText {
    #[schemars(with = "super::Moment")]
    pub at: jiff::Timestamp,
    pub revision: String,
    pub bytes: u64,
}

/// Every error of the admin API. Some codes bring more fields, named in [`ErrorBody::error`].
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ErrorBody {
    pub error: ErrorDetail,
    /// `config_invalid`, `config_broken`: every problem of the text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
    /// `config_changed`: the file's revision now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_revision: Option<String>,
    /// `config_changed`: the text, or the entry, as it is now, masked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<serde_json::Value>,
    /// `config_changed`: from what the caller knew, where that is kept, to what is there now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
    /// `config_managed`: why torod does not write the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// `config_managed`: the change as a unified diff, to apply elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patch: Option<String>,
    /// `config_managed`: the whole new text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// `error` of [`ErrorBody`].
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ErrorDetail {
    pub message: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub param: Option<String>,
    pub code: Option<String>,
}
