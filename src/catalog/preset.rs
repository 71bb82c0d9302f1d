//! The built-in providers: `assets/providers.json`, parsed once.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::llm::Protocol;

/// How a credential is presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Auth {
    #[default]
    Bearer,
    XApiKey,
    XGoogApiKey,
    ApiKey,
    None,
}

/// The form of a provider's model list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelsShape {
    /// `{"data": [{"id": ..}]}`
    #[default]
    Openai,
    /// `[{"id": ..}]`
    Array,
    /// `{"models": [{"name": "models/.."}]}`
    Gemini,
}

/// One row of the table. What a provider cannot do stands in `quirks`, never in code.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "a row of a table")]
pub struct Preset {
    pub name: String,
    pub display_name: String,
    pub base_url: Option<String>,
    /// A base URL in which a person fills in the `{placeholders}`.
    pub base_url_template: Option<String>,
    pub base_url_hint: Option<String>,
    /// What the base URL speaks; the first is the main one.
    pub protocols: Vec<Protocol>,
    pub auth: Auth,
    pub api_key_env: Option<String>,
    pub docs_url: Option<String>,
    pub api_key_url: Option<String>,
    pub model_list_url: Option<String>,
    pub models_shape: ModelsShape,
    /// Answers without any key.
    pub public_free_no_auth: bool,
    pub free_tier_with_key: bool,
    pub trial_credits: bool,
    /// A server on this machine.
    pub local: bool,
    /// Takes `stream_options.include_usage`.
    pub stream_usage: bool,
    pub quirks: Vec<Quirk>,
    pub timeout_seconds: Option<u64>,
    /// Not a provider but a kind of server; its base URL is the file's.
    pub generic: bool,
}

/// What a provider wants otherwise than `OpenAI` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quirk {
    DeveloperToSystem,
    NoToolChoiceRequired,
    MaxTokensName,
    StripReasoningContent,
    KeepReasoningContent,
    RolesAlternate,
    NineCharacterToolIds,
    NoLogprobs,
    NoJsonSchema,
    NoEmptyContent,
    NoN,
    ReindexToolCalls,
    UsageInLastChunk,
    DoneMissing,
    ArrayWrappedErrors,
    StripModelsPrefix,
}

static PRESETS: LazyLock<Vec<Preset>> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "a test parses the embedded table")]
    serde_json::from_str(include_str!("../../assets/providers.json"))
        .expect("the embedded table of presets is JSON of this shape")
});

/// All presets and generic kinds, in the order of the table.
pub fn presets() -> &'static [Preset] {
    &PRESETS
}

pub fn preset(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|it| it.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_preset_can_be_reached() {
        let (generic, real): (Vec<_>, Vec<_>) = presets().iter().partition(|it| it.generic);
        assert_eq!((real.len(), generic.len()), (44, 3));
        for it in &real {
            assert!(it.base_url.is_some() != it.base_url_template.is_some(), "{}", it.name);
            assert!(!it.protocols.is_empty(), "{}", it.name);
            let url = it.base_url.as_deref().or(it.base_url_template.as_deref()).unwrap();
            assert!(url.starts_with("https://") || it.local, "{}", it.name);
            assert!(it.api_key_env.is_some(), "{}", it.name);
            assert_eq!(presets().iter().filter(|other| other.name == it.name).count(), 1);
        }
        for name in ["openai-compatible", "gemini", "echo"] {
            assert!(preset(name).is_some_and(|it| it.generic), "{name}");
        }
    }
}
