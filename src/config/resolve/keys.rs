//! `[[incoming_tokens]]` as keys.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{
    super::{document::Document, problem::Problems, schema_keys::Token},
    secret::{Read, Secrets},
};
use crate::{
    access::{Key, Pattern, Role},
    base::{digest, digest_from_hex},
};

pub(super) fn keys(
    document: &Document,
    secrets: &mut Secrets<'_>,
    problems: &mut Problems<'_>,
) -> Vec<Arc<Key>> {
    let (mut found, mut ids, mut digests) = (Vec::new(), HashSet::new(), HashMap::new());
    for (at, token) in document.file.incoming_tokens.iter().enumerate() {
        let path = format!("incoming_tokens[{at}]");
        let key = key(document, &path, at, token, secrets, problems);
        if !ids.insert(Arc::clone(&key.id)) {
            problems.error(
                "duplicate",
                document.span(&format!("{path}.id")),
                format!("the key id `{}` is used twice", key.id),
            );
        }
        if let Some(first) = key.digest.and_then(|it| digests.insert(it, Arc::clone(&key.id))) {
            problems.error(
                "duplicate",
                document.span(&path),
                format!("the keys `{first}` and `{}` are the same", key.id),
            );
        }
        found.push(Arc::new(key));
    }
    found.extend(legacy(document, &digests.into_keys().collect()));
    for (at, token) in document.file.incoming_tokens.iter().enumerate() {
        let Some(parent) = parent(token) else { continue };
        if !found.iter().any(|it| &*it.id == parent) {
            problems
                .warning(
                    "unknown_parent",
                    document.span(&format!("incoming_tokens[{at}].parent_id")),
                    format!("no key has the id `{parent}`"),
                )
                .help("a key whose parent is gone is refused");
        }
    }
    found
}

fn parent(token: &Token) -> Option<&str> {
    token.parent_id.as_deref().map(str::trim).filter(|it| !it.is_empty())
}

fn key(
    document: &Document,
    path: &str,
    at: usize,
    token: &Token,
    secrets: &mut Secrets<'_>,
    problems: &mut Problems<'_>,
) -> Key {
    let trimmed = |it: &Option<String>| {
        it.as_deref().map(str::trim).filter(|it| !it.is_empty()).map(Arc::<str>::from)
    };
    let id = trimmed(&token.id).unwrap_or_else(|| format!("key-{}", at + 1).into());
    Key {
        name: trimmed(&token.name).unwrap_or_else(|| Arc::clone(&id)),
        role: token.role.unwrap_or_default(),
        parent: parent(token).map(Into::into),
        digest: presented(document, path, token, secrets, problems)
            .filter(|_| unlimited(document, path, &id, token, problems)),
        expires_at: expiry(document, path, token, problems),
        models: token.models.as_ref().map(|it| it.iter().map(|it| Pattern::new(it)).collect()),
        id,
    }
}

/// The digest of what a caller presents.
fn presented(
    document: &Document,
    path: &str,
    token: &Token,
    secrets: &mut Secrets<'_>,
    problems: &mut Problems<'_>,
) -> Option<[u8; 32]> {
    match (&token.key, &token.key_hash) {
        (Some(key), None) => {
            let at = document.span(&format!("{path}.key"));
            let Read::Found(secret, source) =
                secrets.read(key, &format!("{path}.key"), at.clone(), problems)
            else {
                return None;
            };
            if secret.expose().len() < 16 && source == "literal" {
                problems
                    .warning("weak_key", at, "this key is short enough to be guessed")
                    .help("`torod key new` makes a strong one");
            }
            Some(digest(secret.expose()))
        }
        (None, Some(hash)) => {
            let found = hash.trim().strip_prefix("sha256:").and_then(digest_from_hex);
            if found.is_none() {
                problems
                    .error(
                        "bad_hash",
                        document.span(&format!("{path}.key_hash")),
                        "`key_hash` must be `sha256:` and 64 hexadecimal digits",
                    )
                    .help("`torod key new` prints it");
            }
            found
        }
        (None, None) => {
            problems
                .error("missing_key", document.span(path), "a key needs `key_hash` or `key`")
                .help("`torod key new` prints both");
            None
        }
        (Some(_), Some(_)) => {
            problems
                .error(
                    "both_given",
                    document.span(&format!("{path}.key")),
                    "`key` and `key_hash` are both given",
                )
                .help("keep `key_hash`");
            None
        }
    }
}

/// Limits do not act yet. A key with limits is an error; in a file of the Go original it is refused
/// instead, so that the file loads and nobody spends without a limit.
fn unlimited(
    document: &Document,
    path: &str,
    id: &str,
    token: &Token,
    problems: &mut Problems<'_>,
) -> bool {
    let limits = [("quota", token.quota.is_some()), ("rate", token.rate.is_some())];
    for (name, _) in limits.iter().filter(|it| it.1) {
        let at = document.span(&format!("{path}.{name}"));
        if document.is_legacy {
            problems
                .warning(
                    "not_active",
                    at,
                    format!("`{name}` is not active yet, so the key `{id}` is refused"),
                )
                .help("remove it to let the key spend without a limit");
        } else {
            problems
                .error(
                    "not_active",
                    at,
                    format!(
                        "`{name}` is not active yet, and no key runs without the limit it asks for"
                    ),
                )
                .help("remove it until it is supported");
        }
    }
    limits.iter().all(|it| !it.1)
}

fn expiry(
    document: &Document,
    path: &str,
    token: &Token,
    problems: &mut Problems<'_>,
) -> Option<jiff::Timestamp> {
    let text = token.expires_at.as_deref().map(str::trim).filter(|it| !it.is_empty())?;
    let parsed = text.parse();
    if parsed.is_err() {
        problems
            .error(
                "bad_time",
                document.span(&format!("{path}.expires_at")),
                "`expires_at` must be a time with its zone",
            )
            .help("write it as `2027-01-01T00:00:00Z`");
    }
    // An end that cannot be read is no reason to live for ever.
    Some(parsed.unwrap_or(jiff::Timestamp::UNIX_EPOCH))
}

/// The plain keys of an early Go original, unless the file names them as tokens too.
fn legacy(document: &Document, known: &HashSet<[u8; 32]>) -> Vec<Arc<Key>> {
    let file = &document.file;
    let admin = file.admin_api_key.iter().map(|it| ("Admin".to_owned(), Role::Admin, it));
    let plain =
        file.incoming_api_keys.iter().enumerate().filter(|_| file.incoming_tokens.is_empty());
    let plain = plain.map(|(at, it)| (format!("Token {}", at + 1), Role::Inferrer, it));
    let mut seen = known.clone();
    admin
        .chain(plain)
        .filter(|it| !it.2.expose().trim().is_empty())
        .filter_map(|(name, role, key)| {
            let digest = digest(key.expose().trim());
            let id = name.to_lowercase().replace(' ', "-").into();
            let name = name.into();
            seen.insert(digest).then(|| {
                Arc::new(Key {
                    id,
                    name,
                    role,
                    parent: None,
                    digest: Some(digest),
                    expires_at: None,
                    models: None,
                })
            })
        })
        .collect()
}
