//! Who calls: the one place that reads a key out of a request.

use std::sync::Arc;

use http::{HeaderMap, header};
use jiff::Timestamp;

use super::{Arrival, Peer, Refusal};
use crate::access::{
    Key, Right, Role,
    origin::{Source, host_name},
};

/// The authenticated caller of a request.
#[derive(Debug, Clone)]
pub struct Caller {
    /// None for a caller that needs no key.
    pub key: Option<Arc<Key>>,
    pub role: Role,
}

/// Headers that only a proxy sends, and those that begin so.
const FORWARDED: [&str; 7] = [
    "forwarded",
    "via",
    "x-real-ip",
    "x-client-ip",
    "true-client-ip",
    "client-ip",
    "cf-connecting-ip",
];
const FORWARDED_PREFIX: &str = "x-forwarded";

/// Checks the right that a route asks for. A presented key is always used, also where none is
/// needed.
pub(super) fn admit(
    arrival: &Arrival,
    headers: &HeaderMap,
    right: Right,
) -> Result<Caller, Refusal> {
    if right == Right::Public {
        return Ok(Caller { key: None, role: Role::Inferrer });
    }
    let caller = match presented(headers) {
        Some(key) => {
            let key = arrival.snapshot.keys.admit(key, Timestamp::now()).ok_or_else(bad_key)?;
            Caller { role: key.role, key: Some(key) }
        }
        None if arrival.peer == Peer::Control => Caller { key: None, role: Role::Admin },
        None if right == Right::Infer && needs_no_key(arrival, headers) => {
            Caller { key: None, role: Role::Inferrer }
        }
        None => return Err(bad_key()),
    };
    if caller.role.may(right) {
        return Ok(caller);
    }
    Err(Refusal::new(
        403,
        "invalid_request_error",
        "forbidden",
        "this key's role does not allow this",
    ))
}

/// One answer for no key, an unknown one and an expired one.
fn bad_key() -> Refusal {
    let message = "no valid API key; send `Authorization: Bearer <key>`";
    Refusal::new(401, "invalid_request_error", "invalid_api_key", message)
}

/// The key that a request presents; an empty one, which is no key's, when it presents something
/// that cannot be one.
fn presented(headers: &HeaderMap) -> Option<&str> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let (scheme, key) =
            value.to_str().ok().and_then(|it| it.split_once(' ')).unwrap_or_default();
        return Some(if scheme.eq_ignore_ascii_case("bearer") { key.trim() } else { "" });
    }
    let named =
        ["x-api-key", "x-goog-api-key", "api-key"].iter().find_map(|it| headers.get(*it))?;
    Some(named.to_str().unwrap_or_default().trim())
}

fn needs_no_key(arrival: &Arrival, headers: &HeaderMap) -> bool {
    let snapshot = &arrival.snapshot;
    if !snapshot.config.local_no_auth {
        return false;
    }
    let text = |name: &str| headers.get(name).map(|it| it.to_str().unwrap_or("\u{fffd}"));
    let is_form = text("content-type").is_some_and(|it| {
        let it = it.to_ascii_lowercase();
        // What a page may send elsewhere without asking the browser for leave.
        ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data"]
            .iter()
            .any(|kind| it.starts_with(kind))
    });
    let source = Source {
        peer: arrival.peer.ip(),
        host: text("host").and_then(host_name).unwrap_or_default(),
        origin: text("origin"),
        forwarded: headers.keys().any(|it| {
            FORWARDED.contains(&it.as_str()) || it.as_str().starts_with(FORWARDED_PREFIX)
        }),
        cross_site: is_form
            || text("sec-fetch-site").is_some_and(|it| !matches!(it, "same-origin" | "none")),
    };
    source.is_local(snapshot.learned.docker_host.filter(|_| snapshot.config.docker_no_auth))
}
