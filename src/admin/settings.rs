//! Switches and tables of the file: read with their defaults, changed key by key.

use http::StatusCode;
use serde_json::{Map, Value};

use super::{
    answer::{Ask, ok, reply},
    disk, form,
    write::{self, To},
};
use crate::{
    config::{
        edit::{self, Edit},
        schema,
    },
    door::{Answer, Refusal},
};

/// Keys of the file itself that are about who may come in and where torod goes.
const SECURITY: [&str; 7] = [
    "allow_localhost_no_auth",
    "allow_host_docker_internal_no_auth",
    "auto_enable_public_free_models",
    "auto_detect_local_servers",
    "auto_remove_expired_tokens",
    "allowed_hosts",
    "egress",
];
/// A switch of the Go original that nothing is behind.
const EMPTY_QUOTA: &str = "auto_remove_empty_quota_tokens";

macro_rules! handlers {
    ($table:literal, $get:ident, $put:ident) => {
        pub(super) async fn $get(ask: Ask) -> Answer {
            get(&ask, $table, &schema::names($table)).await
        }
        pub(super) async fn $put(ask: Ask) -> Answer {
            put(ask, $table).await
        }
    };
}

handlers!("conversations", conversations, put_conversations);
handlers!("logs", logs, put_logs);
handlers!("limits", limits, put_limits);
handlers!("telemetry", telemetry, put_telemetry);

pub(super) async fn security(ask: Ask) -> Answer {
    get(&ask, "", &SECURITY.map(str::to_owned)).await
}

pub(super) async fn put_security(ask: Ask) -> Answer {
    let mut values = form::keys(&ask, "", &[EMPTY_QUOTA])?;
    if values.remove(EMPTY_QUOTA).is_some_and(|it| it == true) {
        let message = format!("`{EMPTY_QUOTA}` is not supported: a spent key stays");
        return Err(Refusal::bad_request("invalid_value", message).param(EMPTY_QUOTA));
    }
    if let Some(other) = values.keys().find(|it| !SECURITY.contains(&it.as_str())) {
        return Err(crate::door::body::unknown(other, SECURITY));
    }
    apply(&ask, "", values, &SECURITY.map(str::to_owned)).await
}

async fn put(ask: Ask, table: &'static str) -> Answer {
    let values = form::keys(&ask, table, &[])?;
    apply(&ask, table, values, &schema::names(table)).await
}

/// Settings have the revision of the whole text for a tag.
async fn get(ask: &Ask, table: &str, names: &[String]) -> Answer {
    let now = disk::read(&ask.app).await?;
    ok(&values_of(&now.text, table, names)?, &now.revision.to_string())
}

async fn apply(ask: &Ask, table: &str, values: Map<String, Value>, names: &[String]) -> Answer {
    let edits = edits(table, values);
    let write = write::edit(ask, To::File, |text| Ok(present(text, edits.clone()))).await?;
    answer(ask, &write, table, names)
}

/// What was done, beside the settings as they are now.
fn answer(ask: &Ask, write: &write::Write, table: &str, names: &[String]) -> Answer {
    let mut told = values_of(&write.edited.text, table, names)?;
    if let Ok(Value::Object(written)) = serde_json::to_value(write.told(&ask.app)) {
        told.extend(written);
    }
    reply(StatusCode::OK, &told, &write.tag(To::File))
}

/// One edit a key; `null` takes it out.
pub(super) fn edits(table: &str, values: Map<String, Value>) -> Vec<Edit> {
    let path =
        |name: &str| if table.is_empty() { name.to_owned() } else { format!("{table}.{name}") };
    let edit = |(name, value): (String, Value)| match value {
        Value::Null => Edit::Unset { path: path(&name) },
        value => Edit::Set { path: path(&name), value },
    };
    values.into_iter().map(edit).collect()
}

/// What is not there cannot be taken out, and need not.
pub(super) fn present(text: &str, edits: Vec<Edit>) -> Vec<Edit> {
    let is_there = |it: &Edit| match it {
        Edit::Unset { path } => edit::value(text, path).is_ok_and(|it| it.is_some()),
        _ => true,
    };
    edits.into_iter().filter(is_there).collect()
}

/// The values of a table, each its default where the file has none.
pub(super) fn values_of(
    text: &str,
    table: &str,
    names: &[String],
) -> Result<Map<String, Value>, Refusal> {
    let schema = schema::json_schema();
    let schema = if table.is_empty() { &schema } else { &schema["properties"][table] };
    let mut values = Map::new();
    for name in names {
        let path = if table.is_empty() { name.clone() } else { format!("{table}.{name}") };
        let found = edit::value(text, &path).map_err(|_| not_toml())?;
        let property = &schema["properties"][name];
        let value = found.unwrap_or_else(|| property["default"].clone());
        values.insert(name.clone(), crate::config::mask::value(&path, value));
    }
    if table.is_empty() {
        values.insert(EMPTY_QUOTA.to_owned(), false.into());
    }
    Ok(values)
}

/// Of such a text, no key can be read.
pub(super) fn not_toml() -> Refusal {
    let message = "the file on disk is not TOML; see `GET /admin/api/config/status`";
    Refusal::new(409, "invalid_request_error", "config_broken", message)
}
