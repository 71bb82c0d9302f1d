//! The file word for word: every key with its meaning, its default, and what it takes to apply it.
//!
//! A doc comment here is the key's only documentation: `torod config schema` prints it. The
//! extensions say what the types cannot: `x-public`, a text that may be shown in a problem;
//! `x-restart`, a key that only a restart applies; `x-later`, a key that is read and checked but
//! whose feature does not act yet, a `note` where that does no harm and `refuse` where silence
//! would weaken security or cost money; `x-legacy`, a key of the Go original and where it went.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    schema_keys::Token,
    schema_parts::{Conversations, Limits, Logs, Model, Price, Pricing, Tls},
};
use crate::{base::Secret, llm::Protocol};

/// A value, or a list of them.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// Whether plain HTTP is served beside HTTPS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HttpMode {
    #[default]
    Enabled,
    WhenRequired,
    Disabled,
}

/// Where torod may connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Egress {
    #[default]
    Any,
    Public,
}

/// `torod.toml`: the source of truth of a torod.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "the switches of the file")]
pub struct File {
    /// Where to listen: one address or a list; `127.0.0.1:8080`, `[::]:8080`, `unix:/run/torod.sock`.
    #[schemars(extend("x-public" = true, "default" = "127.0.0.1:8080"))]
    pub listen_addr: Option<OneOrMany>,
    /// Whether plain HTTP is served beside HTTPS: `enabled`, `when_required` or `disabled`.
    pub http_mode: Option<HttpMode>,
    /// The provider of models without a prefix; without it, the first enabled one.
    #[schemars(extend("x-public" = true))]
    pub default_provider: Option<String>,
    /// Programs on this machine need no key to call models. The socket's peer, the `Host` and the
    /// `Origin` are checked; a key that is presented is used all the same.
    pub allow_localhost_no_auth: bool,
    /// Containers on this machine need no key either; only with `allow_localhost_no_auth`.
    pub allow_host_docker_internal_no_auth: bool,
    /// Ollama, LM Studio, llama.cpp and vLLM on this machine become providers by themselves.
    #[schemars(extend("default" = true))]
    pub auto_detect_local_servers: Option<bool>,
    /// Providers that answer without a key become providers by themselves.
    pub auto_enable_public_free_models: bool,
    /// Expired keys are removed from this file.
    pub auto_remove_expired_tokens: bool,
    /// Somebody else writes this file (`GitOps`); torod only reads it.
    pub managed: bool,
    /// Names by which clients may call torod beside loopback names and the listen address. Empty:
    /// any name, once torod listens on more than loopback.
    #[schemars(extend("x-public" = true))]
    pub allowed_hosts: Vec<String>,
    /// Where torod may connect to: `any`, or `public` addresses only. Link-local addresses and
    /// the metadata services of clouds are refused in any case.
    #[schemars(extend("default" = "any"))]
    pub egress: Option<Egress>,
    /// How long running requests may take to finish after a signal to stop, in seconds.
    #[schemars(range(min = 0, max = 86400), extend("default" = 30))]
    pub shutdown_seconds: Option<u64>,
    /// Threads that serve requests; one per core by default.
    #[schemars(range(min = 1, max = 1024), extend("x-restart" = true))]
    pub worker_threads: Option<usize>,
    /// Quota numbers are repeated in JSON answers.
    #[schemars(extend("x-later" = "note"))]
    pub quota_in_body: bool,
    /// Keys that callers present.
    pub incoming_tokens: Vec<Token>,
    /// Where models are.
    pub providers: Vec<Provider>,
    /// Virtual models: names of your own for one or more targets.
    pub models: Vec<Model>,
    /// Prices that win over all others, in USD per 1M tokens.
    pub prices: Vec<Price>,
    /// Where prices come from.
    pub pricing: Pricing,
    /// Recording of prompts and answers.
    #[schemars(extend("x-later" = "note"))]
    pub conversations: Conversations,
    /// How long usage is kept.
    pub usage: UsageKept,
    /// What torod says about itself.
    pub logs: Logs,
    /// Sizes and times that protect torod.
    pub limits: Limits,
    /// HTTPS.
    pub tls: Tls,
    /// Metrics and traces.
    #[schemars(extend("x-later" = "note"))]
    pub telemetry: Telemetry,
    /// How this file is kept.
    pub config: Kept,
    /// Who is told when something is wrong.
    #[schemars(extend("x-later" = "note"))]
    pub alerts: Alerts,

    /// Plain keys of an early Go original; they become inferrers.
    #[serde(skip_serializing)]
    #[schemars(extend("x-legacy" = "these keys are inferrers now; write each as `[[incoming_tokens]]`"))]
    pub incoming_api_keys: Vec<Secret>,
    /// The admin key of an early Go original.
    #[serde(skip_serializing)]
    #[schemars(extend("x-legacy" = "this key is an admin now; write it as `[[incoming_tokens]]` with `role = \"admin\"`"))]
    pub admin_api_key: Option<Secret>,
    /// Cleaning up used-up keys.
    #[schemars(extend("x-legacy" = "keys with a spent quota are no longer removed; drop the key"))]
    pub auto_remove_empty_quota_tokens: Option<bool>,
}

/// One place where models are.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Provider {
    /// What models of it begin with: `name/model`.
    #[schemars(extend("x-public" = true))]
    pub name: Option<String>,
    /// A preset such as `openai` or `groq`, or `openai-compatible`, `anthropic`, `gemini`, `echo`;
    /// without it, the preset of that name.
    #[schemars(extend("x-public" = true))]
    pub provider_type: Option<String>,
    /// Where its API is, up to the version: `https://api.example.com/v1`.
    pub base_url: Option<String>,
    /// Where its model list is, when not at `<base_url>/models`.
    pub model_list_url: Option<String>,
    /// Its credential: literal, `${env:NAME}` or `${file:PATH}`; without it, the preset's variable.
    #[serde(skip_serializing)]
    pub api_key: Option<Secret>,
    /// It takes part.
    #[schemars(extend("default" = true))]
    pub enabled: Option<bool>,
    /// Seconds until the first byte of a reply; never cuts a running stream.
    #[schemars(range(min = 0, max = 86400), extend("default" = 60))]
    pub timeout_seconds: Option<u64>,
    /// Seconds between two pieces of a reply.
    #[schemars(range(min = 1, max = 86400), extend("default" = 300))]
    pub stream_idle_timeout_seconds: Option<u64>,
    /// Headers that each request to it carries; values may be `${env:NAME}` or `${file:PATH}`.
    #[serde(skip_serializing)]
    pub headers: BTreeMap<String, Secret>,
    /// Only these of its models, with `*` for any text.
    #[schemars(extend("x-public" = true))]
    pub models: Option<Vec<String>>,
    /// What it speaks, when not what its preset says: `chat`, `responses`, `messages`, `gemini`.
    pub protocols: Option<Vec<Protocol>>,
    /// Streams ask it for their usage; by default when the preset is known to take it.
    pub include_usage: Option<bool>,
    /// What happens when a protocol cannot say something: `warn` or `refuse`.
    #[schemars(extend("x-later" = "note", "default" = "warn"))]
    pub on_loss: Option<OnLoss>,
    /// Requests at once.
    #[schemars(range(min = 1), extend("x-later" = "refuse"))]
    pub max_concurrency: Option<u64>,
    /// A login of the Go original.
    #[serde(skip_serializing)]
    #[schemars(extend("x-legacy" = "a login by OAuth is not supported; set `api_key`"))]
    pub auth_token: Option<Secret>,
    /// A login of the Go original.
    #[serde(skip_serializing)]
    #[schemars(extend("x-legacy" = "a login by OAuth is not supported; drop the key"))]
    pub refresh_token: Option<Secret>,
    /// When that login ends.
    #[schemars(extend("format" = "date-time", "x-legacy" = "a login by OAuth is not supported; drop the key"))]
    pub token_expires_at: Option<String>,
    /// The account of that login.
    #[schemars(extend("x-legacy" = "a login by OAuth is not supported; drop the key"))]
    pub account_id: Option<String>,
    /// Where that login began.
    #[schemars(extend("x-legacy" = "a login by device code is not supported; drop the key"))]
    pub device_auth_url: Option<String>,
}

/// What happens when a target's protocol cannot say what the request says.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnLoss {
    Warn,
    Refuse,
}

/// How long usage is kept.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UsageKept {
    /// Days of single entries.
    #[schemars(range(min = 1), extend("default" = 30))]
    pub raw_days: Option<u64>,
    /// Days of sums by the hour and by the day.
    #[schemars(range(min = 1), extend("default" = 400))]
    pub rollup_days: Option<u64>,
}

/// Metrics and traces.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Telemetry {
    /// `/metrics` is served.
    pub metrics: bool,
    /// Where traces go.
    pub otlp_endpoint: Option<String>,
    /// Which names traces use.
    pub genai_semconv: Option<String>,
}

/// How this file is kept.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Kept {
    /// So many earlier texts are kept in the state directory; 0 keeps none.
    #[schemars(range(min = 0, max = 10_000), extend("default" = 20))]
    pub history: Option<usize>,
}

/// Who is told when something is wrong.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Alerts {
    /// A URL that is called.
    #[serde(skip_serializing)]
    pub webhook: Option<Secret>,
}

/// The JSON Schema of the file, with every key that is current.
pub fn json_schema() -> serde_json::Value {
    let mut schema = full_schema().clone();
    prune_legacy(&mut schema);
    schema
}

/// The same with the keys of the Go original, as the checks use it.
pub(super) fn full_schema() -> &'static serde_json::Value {
    static SCHEMA: std::sync::LazyLock<serde_json::Value> = std::sync::LazyLock::new(|| {
        let settings = schemars::generate::SchemaSettings::draft2020_12()
            .with(|it| it.inline_subschemas = true);
        settings.into_generator().into_root_schema_for::<File>().to_value()
    });
    &SCHEMA
}

fn prune_legacy(schema: &mut serde_json::Value) {
    match schema {
        serde_json::Value::Object(map) => {
            if let Some(properties) = map.get_mut("properties").and_then(|it| it.as_object_mut()) {
                properties.retain(|_, it| it.get("x-legacy").is_none());
            }
            map.values_mut().for_each(prune_legacy);
        }
        serde_json::Value::Array(list) => list.iter_mut().for_each(prune_legacy),
        _ => {}
    }
}

/// One key of the file, as the house's own tests and the status see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    /// Dotted, with `[]` behind a list: `providers[].name`.
    pub path: String,
    pub restart: bool,
}

/// All current keys, in the order of the file.
pub fn keys() -> Vec<KeyInfo> {
    let mut found = Vec::new();
    collect(&json_schema(), "", &mut found);
    found
}

/// The current keys of an entry of a list, or of a table; of the file itself for an empty name.
pub fn names(table: &str) -> Vec<String> {
    let all = keys().into_iter().filter_map(|it| {
        let rest = if table.is_empty() {
            it.path
        } else {
            let rest = it.path.strip_prefix(table)?;
            rest.strip_prefix("[].").or_else(|| rest.strip_prefix('.'))?.to_owned()
        };
        (!rest.contains(['.', '['])).then_some(rest)
    });
    all.collect()
}

fn collect(schema: &serde_json::Value, prefix: &str, found: &mut Vec<KeyInfo>) {
    for alternative in schema["anyOf"].as_array().into_iter().flatten() {
        collect(alternative, prefix, found);
    }
    if schema["items"].is_object() {
        collect(&schema["items"], &format!("{prefix}[]"), found);
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        let restart = property["x-restart"] == true;
        found.push(KeyInfo { path: path.clone(), restart });
        collect(property, &path, found);
    }
}
