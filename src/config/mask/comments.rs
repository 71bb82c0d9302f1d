//! Secrets in remarks: lines that were commented out, and what looks like a key.

use std::ops::Range;

use super::{Found, Place, Walked, find_mask, mask_of};

/// Keys of the file whose value is a secret, and those that hold several.
const KEYS: [&str; 8] = [
    "api_key",
    "key",
    "auth_token",
    "refresh_token",
    "key_pem",
    "webhook",
    "admin_api_key",
    "password",
];
const HOLDERS: [&str; 2] = ["headers", "incoming_api_keys"];

/// How keys of well-known issuers begin.
const PREFIXES: [&str; 13] = [
    "sk-",
    "sk_",
    "pk-",
    "gsk_",
    "xai-",
    "hf_",
    "ghp_",
    "gho_",
    "github_pat_",
    "AIza",
    "nvapi-",
    "tr_",
    "r8_",
];

/// Finds what comments hold.
pub(super) fn look(text: &str, walked: &mut Walked) {
    let mut taken = std::mem::take(&mut walked.keys);
    taken.extend(walked.values.iter().cloned());
    taken.sort_by_key(|it| it.start);
    for line in lines(text) {
        let Some(comment) = comment_in(text, &line, &taken) else { continue };
        let inside = &text[comment.clone()];
        let mut at = 0;
        while let Some(mask) = inside.get(at..).and_then(find_mask) {
            let span = comment.start + at + mask.start..comment.start + at + mask.end;
            walked.masks.push((
                quotes_too(text, &span),
                Some(text[span].to_owned()),
                Place::Comment,
            ));
            at += mask.end;
        }
        for span in secrets(inside) {
            let span = comment.start + span.start..comment.start + span.end;
            let secret = text[span.clone()].trim_matches(['"', '\'']).to_owned();
            if !secret.is_empty() && find_mask(&secret).is_none() {
                let mask = mask_of(&secret);
                walked.secrets.push(Found { span, secret, mask, place: Place::Comment });
            }
        }
    }
}

/// A mask in quotes took the place of the quotes too.
fn quotes_too(text: &str, span: &Range<usize>) -> Range<usize> {
    if text[..span.start].ends_with('"') && text[span.end..].starts_with('"') {
        span.start - 1..span.end + 1
    } else {
        span.clone()
    }
}

/// The lines of a text without their ends.
fn lines(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    text.split_inclusive('\n').map(move |it| {
        let start = at;
        at += it.len();
        start..start + it.trim_end_matches(['\r', '\n']).len()
    })
}

/// Whether a span has a byte in common with one of these, which stand in order and apart.
fn overlaps(taken: &[Range<usize>], span: &Range<usize>) -> bool {
    let next = taken.partition_point(|it| it.end <= span.start);
    taken.get(next).is_some_and(|it| it.start < span.end)
}

/// The comment of a line: from the first `#` that is in no value and no key.
fn comment_in(text: &str, line: &Range<usize>, taken: &[Range<usize>]) -> Option<Range<usize>> {
    let is_taken = |at: usize| overlaps(taken, &(at..at + 1));
    let found = text[line.clone()].match_indices('#').map(|it| line.start + it.0);
    found.into_iter().find(|it| !is_taken(*it)).map(|it| it..line.end)
}

/// The spans of what is secret in a comment, with their quotes.
fn secrets(comment: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let names = KEYS.iter().map(|it| (*it, false)).chain(HOLDERS.iter().map(|it| (*it, true)));
    for (name, holds_many) in names {
        for (at, _) in comment.match_indices(name) {
            let before = comment[..at].chars().next_back();
            let after = comment[at + name.len()..].trim_start_matches(['"', '\'']).trim_start();
            let is_part = before.is_some_and(|it| it.is_alphanumeric() || matches!(it, '_' | '-'));
            let Some(value) = after.strip_prefix('=').filter(|_| !is_part) else { continue };
            let from = comment.len() - value.len();
            if holds_many {
                found.extend(strings(comment, from));
            } else {
                found.extend(value_at(comment, from));
            }
        }
    }
    found.extend(words(comment));
    found.sort_by_key(|it| it.start);
    let mut end = 0;
    found.retain(|it| {
        let is_new = end <= it.start;
        end = end.max(it.end);
        is_new
    });
    found
}

/// The string that begins behind `from`, or the word there.
fn value_at(comment: &str, from: usize) -> Option<Range<usize>> {
    let rest = comment[from..].trim_start();
    let start = comment.len() - rest.len();
    let end = match rest.chars().next()? {
        quote @ ('"' | '\'') => {
            start + 1 + rest[1..].find(quote).map_or(rest.len() - 1, |it| it + 1)
        }
        '{' | '[' => return None,
        _ => {
            start
                + rest
                    .find(|it: char| it.is_whitespace() || matches!(it, ',' | '}'))
                    .unwrap_or(rest.len())
        }
    };
    let value = comment[start..end].trim_matches(['"', '\'']);
    (!value.starts_with("${") && !value.is_empty()).then_some(start..end)
}

/// Every quoted value behind `from`.
fn strings(comment: &str, from: usize) -> Vec<Range<usize>> {
    let (mut found, mut at) = (Vec::new(), from);
    while let Some(start) = comment[at..].find(['"', '\'']).map(|it| at + it) {
        let Some(span) = value_at(comment, start) else { break };
        at = span.end;
        let is_name = comment[at..].trim_start().starts_with('=');
        if !is_name {
            found.push(span);
        }
    }
    found
}

/// Words that look like a key wherever they stand.
fn words(comment: &str) -> impl Iterator<Item = Range<usize>> {
    let part =
        |it: char| it.is_ascii_alphanumeric() || matches!(it, '_' | '-' | '+' | '/' | '=' | ':');
    comment.split(move |it| !part(it)).filter_map(move |it| {
        let start = it.as_ptr() as usize - comment.as_ptr() as usize;
        // What follows `=` or `:` without a space between.
        let word = it.rsplit([':', '=']).find(|it| !it.is_empty()).unwrap_or_default();
        let known = PREFIXES.iter().any(|it| word.starts_with(it)) && word.len() >= 16;
        let long = word.len() >= 40
            && !it.starts_with("sha256:")
            && word.bytes().any(|it| it.is_ascii_digit())
            && word.bytes().any(|it| it.is_ascii_alphabetic());
        let offset = it.rfind(word)?;
        (known || long).then_some(start + offset..start + offset + word.len())
    })
}

/// Of a text that is not TOML, what stands in no value that was understood, from behind its `=`.
pub(super) fn not_understood(
    text: &str,
    values: &[Range<usize>],
    errors: impl Iterator<Item = Range<usize>>,
) -> Vec<Range<usize>> {
    let errors: Vec<_> = errors.collect();
    let touches = |a: &Range<usize>, b: &Range<usize>| a.start <= b.end && b.start <= a.end;
    let hides = |line: &Range<usize>| {
        let inside = text[line.clone()].trim();
        let is_broken = errors.iter().any(|it| touches(it, line));
        let is_known =
            inside.is_empty() || inside.starts_with(['#', '[']) || overlaps(values, line);
        !inside.is_empty() && (is_broken || !is_known) && !inside.starts_with('#')
    };
    let rest = |line: Range<usize>| {
        let from = text[line.clone()].find('=').map_or(line.start, |it| line.start + it + 1);
        from..line.end
    };
    lines(text).filter(hides).map(rest).filter(|it| !it.is_empty()).collect()
}
