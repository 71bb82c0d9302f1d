//! Where a secret belongs.

use toml::{Spanned, de::DeValue};
use url::Url;

use super::Found;
use crate::catalog::preset;

/// A kind of place. A secret goes back only to where it, or one just like it, stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// A provider's entry; its secrets are sent to these origins.
    Provider(Origins),
    /// A key by its path without the numbers of entries: `.incoming_tokens.key`.
    Key(String),
    Comment,
}

/// Scheme, host and port of a provider's base URL and of its model list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origins {
    base: Option<String>,
    list: Option<String>,
}

impl Place {
    /// Whether a secret from `source` may stand here.
    pub(super) fn takes(&self, source: &Self) -> bool {
        match (self, source) {
            (Self::Provider(here), Self::Provider(there)) => here.take(there),
            (Self::Comment, _) => true,
            (Self::Key(here), Self::Key(there)) => here == there,
            _ => false,
        }
    }
}

/// The keys that say where a provider is.
pub(super) const URLS: [&str; 2] = [".providers.base_url", ".providers.model_list_url"];

/// The origins of each provider of a text, in its order. A URL that is masked is what it stands
/// for in `known`.
pub(super) fn origins(root: &Spanned<DeValue<'_>>, known: &[&Found]) -> Vec<Origins> {
    let DeValue::Table(root) = root.get_ref() else { return Vec::new() };
    let Some(DeValue::Array(entries)) = root.get("providers").map(Spanned::get_ref) else {
        return Vec::new();
    };
    let unmasked = |text: String| {
        let is_url =
            |it: &Found| matches!(&it.place, Place::Key(it) if URLS.contains(&it.as_str()));
        let found = known.iter().find(|it| it.mask == text && is_url(it));
        found.map_or(text, |it| it.secret.clone())
    };
    let of = |entry: &Spanned<DeValue<'_>>| {
        let DeValue::Table(entry) = entry.get_ref() else { return Origins::default() };
        Origins::of(|key| match entry.get(key).map(Spanned::get_ref) {
            Some(DeValue::String(it)) => Some(unmasked(it.trim().to_owned())),
            _ => None,
        })
    };
    entries.iter().map(of).collect()
}

impl Origins {
    /// Of an entry whose strings `text` knows.
    fn of(text: impl Fn(&str) -> Option<String>) -> Self {
        let text = |key: &str| text(key).filter(|it| !it.trim().is_empty());
        let preset = text("provider_type").or_else(|| text("name"));
        let preset = preset.as_deref().and_then(|it| preset::preset(it.trim()));
        let base = text("base_url").or_else(|| preset?.base_url.clone());
        let list = text("model_list_url").or_else(|| preset?.model_list_url.clone());
        let base = base.as_deref().and_then(origin);
        Self { list: list.as_deref().and_then(origin).or_else(|| base.clone()), base }
    }

    /// Of an entry as JSON.
    pub fn of_entry(entry: &serde_json::Map<String, serde_json::Value>) -> Self {
        Self::of(|key| entry.get(key)?.as_str().map(str::to_owned))
    }

    /// Whether a secret that was entered for `there` may go to these.
    pub fn take(&self, there: &Self) -> bool {
        let known = [&there.base, &there.list];
        self.base == there.base && (self.list.is_none() || known.contains(&&self.list))
    }
}

fn origin(url: &str) -> Option<String> {
    Url::parse(url.trim()).ok().map(|it| it.origin().ascii_serialization())
}

/// Names of what a query passes that is no setting.
const SECRET_PARAMETERS: [&str; 8] =
    ["key", "token", "secret", "sig", "signature", "password", "code", "auth"];

/// Whether a value that should be harmless holds a secret all the same: a URL with a password or
/// a key in it, a private key where the certificate belongs.
pub(super) fn tells_one(text: &str) -> bool {
    if text.contains("PRIVATE KEY-----") {
        return true;
    }
    let Ok(url) = Url::parse(text.trim()) else { return false };
    let speaks = |name: &str| {
        let name = name.to_ascii_lowercase();
        SECRET_PARAMETERS.iter().any(|it| {
            name == *it || name.ends_with(&format!("_{it}")) || name.ends_with(&format!("-{it}"))
        })
    };
    url.password().is_some()
        || url.has_host() && !url.username().is_empty()
        || url.query_pairs().any(|(name, value)| speaks(&name) && !value.is_empty())
}
