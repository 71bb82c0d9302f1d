//! Keys that callers present. A keymaster sees and manages only those below its own, and what it
//! may not see does not exist for it.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Map, Value};

use super::{
    answer::{Ask, between, ok, parameter, reply},
    disk,
    form::{self, required},
    lists::changed,
    write::{self, To, Write},
};
use crate::{
    access::{Key, NewKey, Role, new_key},
    api::{KeyCreated, KeyRow, Written},
    config::edit::{Edit, Kind},
    door::{Answer, Refusal},
};

const PATH: &str = "/admin/api/access-tokens/";
const LIST: &str = "incoming_tokens";

/// An entry of the file as a key may be seen.
type Entry = (crate::config::edit::Entry, Map<String, Value>);

/// The key below whose id somebody works; none for an admin.
fn keymaster(ask: &Ask) -> Option<&Arc<Key>> {
    ask.caller.key.as_ref().filter(|_| ask.caller.role != Role::Admin)
}

fn text_of<'a>(values: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    values.get(name)?.as_str().map(str::trim).filter(|it| !it.is_empty())
}

/// The entries that the caller may know of.
fn visible(ask: &Ask, text: &str) -> Vec<Entry> {
    let mut all = disk::entries(text, Kind::Key);
    if let Some(own) = keymaster(ask) {
        all.retain(|it| text_of(&it.1, "parent_id") == Some(&own.id));
    }
    all
}

fn find(ask: &Ask, text: &str, id: &str) -> Result<Entry, Refusal> {
    let mut all = visible(ask, text).into_iter();
    all.find(|it| it.0.name == id).ok_or_else(|| disk::no_entry(Kind::Key, id))
}

fn row(ask: &Ask, (entry, values): Entry) -> KeyRow {
    let snapshot = ask.app.live.snapshot();
    let live = snapshot.config.keys.iter().find(|it| *it.id == *entry.name);
    let now = jiff::Timestamp::now();
    let source = match text_of(&values, "key") {
        Some(it) if it.starts_with("${env:") => "env",
        Some(it) if it.starts_with("${file:") => "file",
        Some(_) => "literal",
        None => "key_hash",
    };
    let own = |name: &str| values.get(name).cloned();
    KeyRow {
        name: text_of(&values, "name").unwrap_or(&entry.name).to_owned(),
        role: own("role").and_then(|it| serde_json::from_value(it).ok()).unwrap_or_default(),
        parent_id: text_of(&values, "parent_id").map(str::to_owned),
        expires_at: text_of(&values, "expires_at").and_then(|it| it.parse().ok()),
        live: live.is_some_and(|it| it.digest.is_some() && snapshot.keys.lives(it, now)),
        source: source.to_owned(),
        models: own("models"),
        quota: own("quota"),
        rate: own("rate"),
        may_delegate: own("may_delegate").and_then(|it| it.as_bool()),
        conversations: own("conversations").and_then(|it| it.as_bool()),
        etag: Some(entry.etag),
        id: entry.name,
    }
}

pub(super) async fn list(ask: Ask) -> Answer {
    let now = disk::read(&ask.app).await?;
    let rows = visible(&ask, &now.text).into_iter().map(|it| row(&ask, it));
    ok(&rows.collect::<Vec<_>>(), &now.revision.to_string())
}

pub(super) async fn one(ask: Ask) -> Answer {
    let id = between(&ask, PATH, "")?;
    let now = disk::read(&ask.app).await?;
    let found = row(&ask, find(&ask, &now.text, &id)?);
    let tag = found.etag.clone().unwrap_or_default();
    ok(&found, &tag)
}

pub(super) async fn create(ask: Ask) -> Answer {
    let mut values = form::keys(&ask, LIST, &[])?;
    values.retain(|_, it| !it.is_null());
    form::drop_blank(&mut values, &["role", "expires_at", "key", "key_hash", "parent_id", "id"]);
    allowed(&ask, &values)?;
    if text_of(&values, "name").is_none() {
        return Err(required("name"));
    }
    let fresh = NewKey::make().map_err(|it| {
        Refusal::new(503, "server_error", "no_randomness", "the system has no random numbers")
            .because(it.to_string())
    })?;
    hash_key(&mut values)?;
    values.retain(|_, it| !it.is_null());
    let made = !values.contains_key("key_hash");
    if made {
        values.insert("key_hash".to_owned(), fresh.hash().into());
    }
    let id = text_of(&values, "id").unwrap_or(&fresh.id).to_owned();
    values.insert("id".to_owned(), id.clone().into());
    if let Some(own) = keymaster(&ask) {
        values.insert("parent_id".to_owned(), (*own.id).into());
    }
    let parent = text_of(&values, "parent_id").map(str::to_owned);
    let edit = Edit::Add { kind: Kind::Key, values };
    let write = write::edit(&ask, To::File, |text| {
        parent.as_deref().map_or(Ok(()), |it| can_be_parent(text, it))?;
        Ok(vec![edit.clone()])
    });
    let write = write.await.map_err(|it| discreet(&ask, it))?;
    let tag = write.tag(To::Entry(Kind::Key, &id));
    let key = made.then_some(fresh.text).filter(|_| write.created() == StatusCode::CREATED);
    let told = KeyCreated { written: told(&ask, &write), id, key };
    reply(write.created(), &told, &tag)
}

pub(super) async fn change(ask: Ask) -> Answer {
    let id = between(&ask, PATH, "")?;
    let mut values = form::keys(&ask, LIST, &[])?;
    form::drop_blank(&mut values, &["name", "role", "key", "key_hash", "parent_id", "id"]);
    if values.get("expires_at").is_some_and(|it| it == "") {
        values.insert("expires_at".to_owned(), Value::Null);
    }
    hash_key(&mut values)?;
    let renamed = form::take_text(&mut values, "id")?.filter(|it| *it != id);
    let to = To::Entry(Kind::Key, &id);
    let write = write::edit(&ask, to, |text| {
        // What a caller must not know of is not there, before anything else is said.
        find(&ask, text, &id)?;
        allowed(&ask, &values)?;
        if renamed.is_some() && keymaster(&ask).is_some() {
            return Err(forbidden("a keymaster cannot choose ids"));
        }
        text_of(&values, "parent_id").map_or(Ok(()), |it| can_be_parent(text, it))?;
        Ok(changed(Kind::Key, &id, &values, renamed.as_deref()))
    });
    let write = hidden(&ask, &id, write.await)?;
    let id = renamed.as_deref().unwrap_or(&id);
    let tag = write.tag(To::Entry(Kind::Key, id));
    reply(StatusCode::OK, &told(&ask, &write), &tag)
}

pub(super) async fn remove(ask: Ask) -> Answer {
    let id = between(&ask, PATH, "")?;
    let with_children = match parameter(&ask, "children").as_deref() {
        None => false,
        Some("delete") => true,
        Some(_) => {
            let message = "`children` can only be `delete`";
            return Err(Refusal::bad_request("invalid_value", message).param("children"));
        }
    };
    let to = To::Entry(Kind::Key, &id);
    let write = write::edit(&ask, to, |text| {
        find(&ask, text, &id)?;
        let below = below(text, &id);
        if !below.is_empty() && !with_children {
            let message = format!(
                "the key `{id}` has {} below it; remove them first, or send `?children=delete`",
                below.len()
            );
            return Err(Refusal::new(409, "invalid_request_error", "has_children", message)
                .with("children", below));
        }
        let all = below.into_iter().chain([id.clone()]);
        Ok(all.map(|name| Edit::Remove { kind: Kind::Key, name }).collect())
    });
    let write = hidden(&ask, &id, write.await)?;
    reply(StatusCode::OK, &told(&ask, &write), &write.tag(To::File))
}

/// The ids below a key, the lowest first.
fn below(text: &str, id: &str) -> Vec<String> {
    let all = disk::entries(text, Kind::Key);
    let (mut found, mut next) = (Vec::new(), vec![id.to_owned()]);
    while let Some(parent) = next.pop() {
        for (entry, values) in &all {
            let is_new = entry.name != id && !found.contains(&entry.name);
            if is_new && text_of(values, "parent_id") == Some(&parent) {
                found.push(entry.name.clone());
                next.push(entry.name.clone());
            }
        }
    }
    found.reverse();
    found
}

/// Only its hash goes into the file, whoever made the key.
fn hash_key(values: &mut Map<String, Value>) -> Result<(), Refusal> {
    if let Some(key) = form::take_text(values, "key")? {
        if values.contains_key("key_hash") {
            let message = "send `key` or `key_hash`, not both";
            return Err(Refusal::bad_request("invalid_value", message).param("key"));
        }
        if key.len() < 16 {
            let message = "a key needs at least 16 characters; without one, torod makes it";
            return Err(Refusal::bad_request("weak_key", message).param("key"));
        }
        values.insert("key_hash".to_owned(), new_key::hash(&key).into());
    }
    // A key that stood in the file itself goes with it.
    if values.get("key_hash").is_some_and(|it| !it.is_null()) {
        values.insert("key".to_owned(), Value::Null);
    }
    Ok(())
}

/// A key without an `id` is known by its place, which may be another's tomorrow.
fn can_be_parent(text: &str, id: &str) -> Result<(), Refusal> {
    let refuse = |message: String| {
        Err(Refusal::new(409, "invalid_request_error", "bad_parent", message).param("parent_id"))
    };
    match disk::entry(text, Kind::Key, id) {
        None => refuse(format!("there is no key `{id}`")),
        Some((_, values)) if text_of(&values, "id").is_none() => {
            refuse(format!("the key `{id}` has no `id` in the file; give it one first"))
        }
        Some(_) => Ok(()),
    }
}

/// What a keymaster may say of a key.
fn allowed(ask: &Ask, values: &Map<String, Value>) -> Result<(), Refusal> {
    let Some(own) = keymaster(ask) else { return Ok(()) };
    let is_own = |it: &Value| it.as_str() == Some(&*own.id);
    for (name, value) in values {
        let fits = match name.as_str() {
            "name" | "key" | "key_hash" | "expires_at" | "models" | "conversations" => true,
            "role" => value == "inferrer",
            "parent_id" => is_own(value),
            _ => false,
        };
        if !fits {
            return Err(forbidden(&format!("a keymaster cannot set `{name}` to this")));
        }
    }
    Ok(())
}

fn forbidden(message: &str) -> Refusal {
    Refusal::new(403, "invalid_request_error", "forbidden", message)
}

/// A stale tag of a key that the caller must not know of says that it is there.
fn hidden(ask: &Ask, id: &str, written: Result<Write, Refusal>) -> Result<Write, Refusal> {
    written.map_err(|refusal| {
        let knows =
            |it: &Refusal| it.extra.as_ref().is_none_or(|it| own_child(ask, it.get("current")));
        if refusal.fault.status == 412 && !knows(&refusal) {
            return disk::no_entry(Kind::Key, id);
        }
        discreet(ask, refusal)
    })
}

fn own_child(ask: &Ask, current: Option<&Value>) -> bool {
    let parent = current.and_then(|it| it["parent_id"].as_str());
    keymaster(ask).is_none_or(|own| parent == Some(&*own.id))
}

/// An error without what only an admin may know: the file's text, its problems, other keys.
fn discreet(ask: &Ask, mut refusal: Refusal) -> Refusal {
    if keymaster(ask).is_none() {
        return refusal;
    }
    if let Some(extra) = &mut refusal.extra {
        extra.retain(|name, _| {
            matches!(name.as_str(), "current_revision" | "current" | "why" | "children")
        });
    }
    if matches!(refusal.fault.code, Some("config_invalid")) {
        "the key would not load: check its times, its models, and that it is no other's"
            .clone_into(&mut refusal.fault.message);
    }
    refusal
}

/// A write without what only an admin may know.
fn told(ask: &Ask, write: &Write) -> Written {
    let told = write.told(&ask.app);
    if keymaster(ask).is_none() {
        return told;
    }
    Written { problems: Vec::new(), patch: None, restart_required: Vec::new(), ..told }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_presented_key_becomes_its_hash() {
        let mut values =
            json!({ "key": " 0123456789abcdef ", "name": "x" }).as_object().unwrap().clone();
        hash_key(&mut values).unwrap();
        assert_eq!(values["key_hash"], new_key::hash("0123456789abcdef"));
        assert!(values["key"].is_null());
        let mut weak = json!({ "key": "short" }).as_object().unwrap().clone();
        assert!(hash_key(&mut weak).is_err());
    }
}
