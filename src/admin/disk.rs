//! The file as it is on disk at this moment, and what is to be told of it.

use std::path::Path;

use serde_json::{Map, Value};

use crate::{
    api,
    app::App,
    base::file,
    config::{
        self, Revision, Severity,
        edit::{self, Entry, Kind},
    },
    door::Refusal,
};

/// As the loader has it.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// A text that was read just now.
#[derive(Debug)]
pub(super) struct OnDisk {
    pub(super) text: String,
    pub(super) revision: Revision,
}

pub(super) async fn read(app: &App) -> Result<OnDisk, Refusal> {
    let path = app.live.path().to_owned();
    let read = tokio::task::spawn_blocking(move || file::read(&path, MAX_BYTES)).await;
    let unreadable = |why: String| {
        let message = "the config file cannot be read";
        Refusal::new(503, "server_error", "config_unreadable", message).because(why)
    };
    let bytes = read
        .map_err(std::io::Error::other)
        .and_then(|it| it)
        .map_err(|it| unreadable(it.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|it| unreadable(it.to_string()))?;
    Ok(OnDisk { revision: Revision::of(&text), text })
}

/// The name of the list in the file, of the key that names an entry, and what an entry is.
pub(super) fn words(kind: Kind) -> (&'static str, &'static str, &'static str) {
    match kind {
        Kind::Provider => ("providers", "name", "provider"),
        Kind::Key => ("incoming_tokens", "id", "key"),
        Kind::Model => ("models", "name", "virtual model"),
        Kind::Price => ("prices", "model", "price"),
    }
}

/// The entries of a list with their keys, in the order of the file; none of a text that is not
/// TOML.
pub(super) fn entries(text: &str, kind: Kind) -> Vec<(Entry, Map<String, Value>)> {
    let Ok(found) = edit::entries(text, kind) else { return Vec::new() };
    let values = edit::value(text, words(kind).0).ok().flatten();
    let Some(Value::Array(values)) = values else { return Vec::new() };
    let entry = |(entry, value)| match value {
        Value::Object(map) => Some((entry, map)),
        _ => None,
    };
    found.into_iter().zip(values).filter_map(entry).collect()
}

pub(super) fn entry(text: &str, kind: Kind, name: &str) -> Option<(Entry, Map<String, Value>)> {
    entries(text, kind).into_iter().find(|it| it.0.name == name)
}

/// That there is none of that name.
pub(super) fn no_entry(kind: Kind, name: &str) -> Refusal {
    let name: String = name.chars().take(200).collect();
    let message = format!("there is no {} `{name}`", words(kind).2);
    Refusal::new(404, "invalid_request_error", "not_found", message)
}

/// Problems of a text: position, message, and the line with its values as stars.
pub(super) fn problems(path: &Path, text: &str, found: Vec<config::Problem>) -> Vec<api::Problem> {
    if found.is_empty() {
        return Vec::new();
    }
    let (path, masked) = (path.display().to_string(), config::masked(text));
    found.into_iter().map(|it| told(&it, Some(it.render(&path, &masked, false)))).collect()
}

/// One problem. Neither message nor help holds a value that may be secret.
pub(super) fn told(it: &config::Problem, rendered: Option<String>) -> api::Problem {
    let severity = match it.severity {
        Severity::Note => "note",
        Severity::Warning => "warning",
        Severity::Error => "error",
    };
    api::Problem {
        severity: severity.to_owned(),
        code: it.code.to_owned(),
        line: it.line,
        column: it.column,
        message: it.message.clone(),
        help: it.help.clone(),
        rendered,
    }
}
