//! `/admin/api/settings/...`. Names of the Go original are kept.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `settings/security`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "the switches of the file")]
pub struct Security {
    pub allow_localhost_no_auth: bool,
    pub allow_host_docker_internal_no_auth: bool,
    pub auto_enable_public_free_models: bool,
    pub auto_detect_local_servers: bool,
    pub auto_remove_expired_tokens: bool,
    /// Of the Go original; always false here.
    pub auto_remove_empty_quota_tokens: bool,
    pub allowed_hosts: Vec<String>,
    /// `any` or `public`.
    pub egress: String,
}

/// `settings/network`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Network {
    /// One address or a list, as the file has it.
    pub listen_addr: serde_json::Value,
    /// `localhost`, `all` or `custom`.
    pub bind_mode: String,
    pub custom_bind: String,
    pub port: u16,
    pub http_mode: String,
    /// Where torod really listens.
    pub active: Vec<String>,
    /// This machine's addresses that others may reach.
    pub local_addrs: Vec<String>,
    /// A switch that waits for its proof; there is none in this version.
    pub pending: Option<serde_json::Value>,
}

/// Body of `PUT settings/network`: `listen_addr`, or `bind_mode` with `custom_bind` and `port`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkChange {
    pub listen_addr: Option<serde_json::Value>,
    pub bind_mode: Option<String>,
    pub custom_bind: Option<String>,
    pub port: Option<u16>,
    pub http_mode: Option<String>,
}

/// `settings/tls`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct TlsSettings {
    pub enabled: bool,
    pub mode: String,
    pub domain: String,
    pub domains: Vec<String>,
    pub email: String,
    pub cache_dir: String,
    pub listen_addr: String,
    pub bind_mode: String,
    pub custom_bind: String,
    pub port: u16,
    pub cert_configured: bool,
    pub key_configured: bool,
}

/// Body of `PUT settings/tls`; what is absent stays, an empty text is taken out.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TlsChange {
    pub enabled: Option<bool>,
    pub mode: Option<String>,
    pub domain: Option<String>,
    pub domains: Option<Vec<String>>,
    pub email: Option<String>,
    pub cache_dir: Option<String>,
    pub listen_addr: Option<String>,
    pub bind_mode: Option<String>,
    pub custom_bind: Option<String>,
    pub port: Option<u16>,
    /// Empty keeps what is stored.
    pub cert_pem: Option<String>,
    /// Empty keeps what is stored.
    pub key_pem: Option<crate::base::Secret>,
}
