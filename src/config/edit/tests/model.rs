//! What edits do to values, said without any text.

use serde_json::{Value, json};

use super::{
    super::values,
    choices::{Dice, LISTS},
    generator::File,
    *,
};

/// An edit that applies to the file, what it touches, and what it does to the values.
pub(super) struct Case {
    pub(super) edit: Edit,
    pub(super) touched: String,
    pub(super) wanted: Value,
}

pub(super) fn names(text: &str, list: &str) -> Vec<String> {
    let kind = Kind::of_list(list).unwrap();
    entries(text, kind).unwrap().into_iter().map(|it| it.name).collect()
}

/// What a client would say of a list's entries, and a new one.
fn new_values(list: &str) -> Value {
    match list {
        "providers" => {
            json!({ "base_url": "http://n/v1", "name": "new", "api_key": null, "headers": { "x-n": "1" } })
        }
        "incoming_tokens" => {
            json!({ "key": "0123456789abcdef-new", "role": "keymaster", "id": "new", "expires_at": "2028-01-01T00:00:00Z", "models": ["x", "y"] })
        }
        "models" => {
            json!({ "targets": ["a/new", { "weight": 3, "model": "b/new" }], "name": "new" })
        }
        _ => json!({ "model": "new", "output": 2.5, "input": 1 }),
    }
}

fn changes(list: &str, dice: &mut Dice<'_>) -> Value {
    match list {
        "providers" => dice.of(&[
            json!({ "timeout_seconds": 20, "api_key": null }),
            json!({ "headers": { "x-a": null, "x-n": "1" }, "enabled": false }),
            json!({ "base_url": "http://x/v2", "models": ["m"] }),
            json!({ "headers": null, "provider_type": "openai-compatible" }),
        ]),
        "incoming_tokens" => dice.of(&[
            json!({ "quota": { "requests": null, "tokens": { "limit": 7 } }, "role": "inferrer" }),
            json!({ "quota": { "requests": { "limit": 9, "interval": "day" } }, "expires_at": null }),
            json!({ "models": ["a/*", "n", "a"], "quota": null }),
            json!({ "models": ["n"], "expires_at": "2029-01-01T00:00:00Z", "name": null }),
        ]),
        "models" => dice.of(&[
            json!({ "targets": ["a/z", { "model": "b/y", "weight": 3 }] }),
            json!({ "targets": ["n/1", "a/x", "a/z", "n/2"], "strategy": null }),
            json!({ "strategy": "weighted" }),
        ]),
        _ => dice.of(&[json!({ "input": 2, "cache_read": 0.5 }), json!({ "output": null })]),
    }
}

pub(super) fn case(file: &File, dice: &mut Dice<'_>) -> Case {
    let mut wanted = values(&file.text).unwrap();
    let (list, key, kind) = dice.of(&LISTS);
    let names = names(&file.text, list);
    let at = dice.below(names.len().max(1));
    let op = dice.below(8);
    if names.is_empty() || op == 0 {
        if dice.once_in(2) {
            let values = new_values(list);
            list_of(&mut wanted, list).push(values.clone());
            let edit = edit(json!({ "op": "add", "kind": kind, "values": values }));
            return Case { edit, touched: list.to_owned(), wanted };
        }
        return setting(wanted, dice);
    }
    let name = &names[at];
    let touched = format!("{list}.{name}");
    let edit = match op {
        1 | 2 => {
            list_of(&mut wanted, list).remove(at);
            edit(json!({ "op": "remove", "kind": kind, "name": name }))
        }
        3 => {
            wanted[list][at][key] = json!("renamed");
            follow(&mut wanted, list, name);
            edit(json!({ "op": "rename", "kind": kind, "name": name, "to": "renamed" }))
        }
        4 if list == "providers" => {
            let on = dice.once_in(2);
            if wanted[list][at].get("enabled").is_none_or(|it| it == &json!(true)) != on {
                wanted[list][at]["enabled"] = on.into();
            }
            edit(json!({ "op": if on { "enable" } else { "disable" }, "name": name }))
        }
        5 => return setting(wanted, dice),
        _ => {
            let values = changes(list, dice);
            let entry = &mut wanted[list][at];
            if values.get("base_url").is_some() && entry.get("base_url").is_none() {
                // From no address to one: what was entered for none does not go there.
                merge_json(entry, &json!({ "api_key": null, "headers": null }));
            }
            merge_json(&mut wanted[list][at], &values);
            edit(json!({ "op": "change", "kind": kind, "name": name, "values": values }))
        }
    };
    Case { edit, touched, wanted }
}

fn setting(mut wanted: Value, dice: &mut Dice<'_>) -> Case {
    let (path, value) = dice.of(&[
        ("managed", json!(false)),
        ("egress", json!("any")),
        ("listen_addr", json!("127.0.0.1:2")),
        ("listen_addr", json!(["127.0.0.1:2", "127.0.0.1:0", "127.0.0.1:3"])),
        ("listen_addr", Value::Null),
        ("tls.mode", json!("self_signed")),
        ("tls.cert_pem", json!("a\nb\n")),
        ("tls.email", Value::Null),
        ("tls.domains", json!(["b", "c"])),
        ("tls", Value::Null),
        ("logs.level", json!("debug")),
        ("logs.level", Value::Null),
        ("limits.max_body_bytes", json!(2048)),
        ("shutdown_seconds", Value::Null),
    ]);
    let nested = path.rsplit('.').fold(value.clone(), |value, key| json!({ key: value }));
    merge_json(&mut wanted, &nested);
    let edit = edit(json!({ "op": "set", "path": path, "value": value }));
    Case { edit, touched: path.to_owned(), wanted }
}

fn list_of<'a>(root: &'a mut Value, list: &str) -> &'a mut Vec<Value> {
    let root = root.as_object_mut().unwrap();
    root.entry(list).or_insert_with(|| json!([])).as_array_mut().unwrap()
}

fn merge_json(old: &mut Value, new: &Value) {
    let Value::Object(map) = new else {
        *old = new.clone();
        return;
    };
    if !old.is_object() {
        *old = json!({});
    }
    for (key, value) in map {
        if value.is_null() {
            old.as_object_mut().unwrap().shift_remove(key);
        } else {
            merge_json(&mut old[key], value);
        }
    }
}

/// What else says the name says the new one.
fn follow(root: &mut Value, list: &str, name: &str) {
    let replace = |value: &mut Value| {
        let Some(text) = value.as_str() else { return };
        let prefix = text.strip_prefix(name).and_then(|it| it.strip_prefix('/'));
        match (list, prefix) {
            ("providers", Some(rest)) => *value = format!("renamed/{rest}").into(),
            ("models", None) if text == name => *value = "renamed".into(),
            _ => {}
        }
    };
    for model in root["models"].as_array_mut().into_iter().flatten() {
        for target in model["targets"].as_array_mut().into_iter().flatten() {
            if list == "providers" {
                replace(if target.is_object() { &mut target["model"] } else { target });
            }
        }
    }
    for key in root["incoming_tokens"].as_array_mut().into_iter().flatten() {
        key["models"].as_array_mut().into_iter().flatten().for_each(replace);
        if list == "incoming_tokens" && key["parent_id"] == name {
            key["parent_id"] = "renamed".into();
        }
    }
    if list == "providers" && root["default_provider"] == name {
        root["default_provider"] = "renamed".into();
    }
}

/// Tables and lists without anything say nothing.
pub(super) fn pruned(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.iter().map(|(key, it)| (key.clone(), pruned(it)));
            let empty = |it: &Value| it.is_null() || it == &json!({}) || it == &json!([]);
            Value::Object(kept.filter(|it| !empty(&it.1)).collect())
        }
        Value::Array(items) => items.iter().map(pruned).collect(),
        other => other.clone(),
    }
}

/// An edit and its inverse.
pub(super) fn there_and_back(text: &str, dice: &mut Dice<'_>) -> (Value, Value) {
    let (list, key, kind) = dice.of(&LISTS);
    let root = values(text).unwrap();
    let mut pairs = vec![(
        json!({ "op": "add", "kind": kind, "values": new_values(list) }),
        json!({ "op": "remove", "kind": kind, "name": "new" }),
    )];
    pairs.extend(set_back(text, &root, list, dice));
    let entries = root[list].as_array().cloned().unwrap_or_default();
    // A key without an id gets one with its new name.
    for name in entries.iter().filter_map(|it| it[key].as_str()) {
        pairs.push((
            json!({ "op": "rename", "kind": kind, "name": name, "to": "renamed" }),
            json!({ "op": "rename", "kind": kind, "name": "renamed", "to": name }),
        ));
    }
    for entry in entries.iter().filter(|_| list == "providers") {
        // On by the first of its keys: that is where a switch of ours stands.
        let is_first = entry.as_object().unwrap().keys().next().unwrap() == "enabled";
        if entry["enabled"] != false && !is_first {
            let name = &entry["name"];
            pairs.push((
                json!({ "op": "disable", "name": name }),
                json!({ "op": "enable", "name": name }),
            ));
        }
    }
    dice.of(&pairs)
}

/// A key that is set to something else and back, or one that was not there and is taken out again.
fn set_back(text: &str, root: &Value, list: &str, dice: &mut Dice<'_>) -> Option<(Value, Value)> {
    let mut choices = vec![
        ("managed".to_owned(), json!(false)),
        ("listen_addr".to_owned(), json!("127.0.0.1:9")),
        ("limits.max_connections".to_owned(), json!(9)),
        ("config.history".to_owned(), json!(1)),
    ];
    // A table that loses its last key goes; an empty one that was there does not come back.
    if root["tls"] != json!({}) {
        choices.push(("tls.mode".to_owned(), json!("self_signed")));
        choices.push(("tls.cache_dir".to_owned(), json!("/x")));
    }
    let keys = match list {
        "providers" => {
            json!({ "timeout_seconds": 11, "headers.x-a": "z", "headers.x-z": "z", "models": ["z"] })
        }
        "incoming_tokens" => {
            json!({ "role": "inferrer", "quota.requests.limit": 6, "quota.tokens.interval": "day", "expires_at": "2031-01-01T00:00:00Z" })
        }
        "models" => json!({ "strategy": "weighted" }),
        _ => json!({ "input": 0.5, "cache_write": 0.5 }),
    };
    for name in names(text, list) {
        let keys = keys.as_object().unwrap();
        choices.extend(keys.iter().map(|it| (format!("{list}.\"{name}\".{}", it.0), it.1.clone())));
    }
    let (path, new) = dice.of(&choices);
    let back = match value(text, &path).unwrap() {
        Some(Value::Array(_)) => return None,
        Some(old) => json!({ "op": "set", "path": path, "value": old }),
        None => json!({ "op": "unset", "path": path }),
    };
    Some((json!({ "op": "set", "path": path, "value": new }), back))
}
