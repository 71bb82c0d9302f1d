//! Bodies that are keys of the file: absent ones keep their values, `null` removes.

use serde_json::{Map, Value};

use super::{answer::Ask, text::masked};
use crate::{
    config::{mask, schema},
    door::{Refusal, body},
};

/// The body as keys of an entry or a table of the file. Of `list` are the keys that count, with
/// `more` of our own.
pub(super) fn keys(ask: &Ask, list: &str, more: &[&str]) -> Result<Map<String, Value>, Refusal> {
    let values: Map<String, Value> = ask.json()?;
    let mut known = schema::names(list);
    known.extend(more.iter().map(ToString::to_string));
    if let Some(name) = values.keys().find(|it| !known.contains(it)) {
        return Err(body::unknown(name, known.iter().map(String::as_str)));
    }
    if mask::holds_mask(&Value::from(values.clone()).to_string()) {
        return Err(masked());
    }
    Ok(values)
}

/// Takes a text out of the body; blank is absent.
pub(super) fn take_text(
    values: &mut Map<String, Value>,
    name: &'static str,
) -> Result<Option<String>, Refusal> {
    match values.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => {
            let text = text.trim();
            Ok((!text.is_empty()).then(|| text.to_owned()))
        }
        Some(_) => {
            let message = format!("`{name}` must be a string");
            Err(Refusal::bad_request("invalid_value", message).param(name))
        }
    }
}

/// As forms send what was left empty: these keys then keep their values.
pub(super) fn drop_blank(values: &mut Map<String, Value>, names: &[&str]) {
    values.retain(|name, value| {
        let is_blank = value.as_str().is_some_and(|it| it.trim().is_empty());
        !(is_blank && names.contains(&name.as_str()))
    });
}

/// A key that must be there.
pub(super) fn required(name: &'static str) -> Refusal {
    Refusal::bad_request("missing_field", format!("`{name}` is required")).param(name)
}
