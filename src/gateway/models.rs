//! `GET /v1/models`: what a key may ask for, in the shape of the client's protocol.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::door::{Answer, Visit, json};

/// `created` is not known for most models; `OpenAI`'s own clients want a number.
const CREATED: u64 = 0;
const CREATED_AT: &str = "1970-01-01T00:00:00Z";

pub(super) async fn list(visit: Visit) -> Answer {
    let names = allowed(&visit);
    if is_anthropic(&visit) {
        let data: Vec<Value> = names.iter().map(|it| anthropic(&it.0)).collect();
        let id = |it: Option<&(String, String)>| it.map(|it| it.0.clone());
        let (first, last) = (id(names.first()), id(names.last()));
        return json(
            &json!({ "data": data, "has_more": false, "first_id": first, "last_id": last }),
        );
    }
    let data: Vec<Value> = names.iter().map(|(id, owner)| openai(id, owner)).collect();
    json(&json!({ "object": "list", "data": data }))
}

/// `GET /v1/models/{id}`; ids hold slashes, plain or as `%2F`.
pub(super) async fn one(visit: Visit) -> Answer {
    let wanted = visit.head.uri.path().strip_prefix("/v1/models/").unwrap_or_default();
    let wanted = percent_encoding::percent_decode_str(wanted).decode_utf8_lossy().into_owned();
    let found = allowed(&visit).into_iter().find(|it| it.0 == wanted);
    let Some((id, owner)) = found else {
        return Err(visit.arrival.snapshot.table.unknown(&wanted).into());
    };
    json(&if is_anthropic(&visit) { anthropic(&id) } else { openai(&id, &owner) })
}

fn is_anthropic(visit: &Visit) -> bool {
    visit.head.headers.contains_key("anthropic-version")
}

/// Names and owners, each name once, only those that the key may use.
fn allowed(visit: &Visit) -> Vec<(String, String)> {
    let snapshot = &visit.arrival.snapshot;
    let mut seen = HashSet::new();
    let names = snapshot.table.names().filter(|(name, _)| {
        visit.caller.key.as_ref().is_none_or(|key| snapshot.keys.allows(key, &[name]))
    });
    names.filter(|it| seen.insert(it.0.clone())).map(|it| (it.0, it.1.to_owned())).collect()
}

fn openai(id: &str, owner: &str) -> Value {
    json!({ "id": id, "object": "model", "created": CREATED, "owned_by": owner, "provider": owner })
}

fn anthropic(id: &str) -> Value {
    json!({ "type": "model", "id": id, "display_name": id, "created_at": CREATED_AT })
}
