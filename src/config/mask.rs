//! Literal secrets of a text as masks, and masks as the secrets that they stand for.
//!
//! `api_key = "sk-1234"` is shown as `api_key = "***#<digest>"`. A text that comes back gets its
//! secrets from the file as it is then, each only at a place of the same kind: a provider's only
//! under the origins that it was entered for, so that nobody reads a credential by moving it to a
//! server of his own. What stands in a comment goes back into comments only: nobody can say where
//! it belongs.

mod comments;
mod place;

use std::ops::Range;

use serde_json::Value;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{Problem, problem::Problems, schema::full_schema};
use crate::base::{digest, hex};
pub use place::Origins;
use place::Place;

const MARK: &str = "***#";
const DIGITS: usize = 8;

/// A literal secret: the bytes that a mask takes the place of.
struct Found {
    span: Range<usize>,
    secret: String,
    mask: String,
    place: Place,
}

/// What a walk through a text found.
#[derive(Default)]
struct Walked {
    secrets: Vec<Found>,
    /// Strings that are masks, and those that have one in them.
    masks: Vec<(Range<usize>, Option<String>, Place)>,
    values: Vec<Range<usize>>,
    keys: Vec<Range<usize>>,
    /// Of a text that is not TOML, what nobody understands.
    hidden: Vec<Range<usize>>,
}

/// The mask of a secret.
fn mask_of(secret: &str) -> String {
    format!("{MARK}{}", &hex(&digest(secret))[..DIGITS])
}

/// The first mask in a text, if there is one.
fn find_mask(text: &str) -> Option<Range<usize>> {
    text.match_indices(MARK).find_map(|(at, _)| {
        let end = at + MARK.len() + DIGITS;
        let digits = text.get(at + MARK.len()..end)?;
        digits.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f')).then_some(at..end)
    })
}

/// Whether a string is or holds a mask.
pub fn holds_mask(text: &str) -> bool {
    find_mask(text).is_some()
}

/// The text with a mask in the place of each literal secret. References stay readable.
pub fn mask(text: &str) -> String {
    replace(text, walk(text, &[]), |_| true)
}

/// The same, but secrets that `known` does not have stay as they are: whoever sent them knows them.
pub fn mask_known(text: &str, known: &str) -> String {
    let known: Vec<String> = walk(known, &[]).secrets.into_iter().map(|it| it.mask).collect();
    replace(text, walk(text, &[]), |it| known.contains(&it.mask))
}

fn replace(text: &str, walked: Walked, shall: impl Fn(&Found) -> bool) -> String {
    let Walked { secrets, hidden, .. } = walked;
    let is_hidden =
        |it: &Range<usize>| hidden.iter().any(|no| it.start < no.end && no.start < it.end);
    let quoted = |it: &Found| match it.place {
        Place::Comment if !text[it.span.clone()].starts_with(['"', '\'']) => it.mask.clone(),
        _ => format!("\"{}\"", it.mask),
    };
    let masks = secrets.iter().filter(|it| shall(it)).map(|it| {
        let mask = if is_hidden(&it.span) { "***".to_owned() } else { quoted(it) };
        (it.span.clone(), mask)
    });
    let mut pieces: Vec<(Range<usize>, String)> = masks.collect();
    pieces.extend(hidden.iter().map(|it| (it.clone(), "***".to_owned())));
    splice(text, pieces)
}

/// A value of the file as JSON, such as an entry of the list at `path`, with its literal secrets
/// masked.
pub fn value(path: &str, mut value: Value) -> Value {
    let mut schema = full_schema();
    for part in path.split('.') {
        schema = &schema["properties"][part];
    }
    if value.is_object() {
        schema = schema.get("items").unwrap_or(schema); // an entry
    }
    hide(schema, &mut value);
    value
}

fn hide(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                hide(property(schema, name), value);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|it| hide(items(schema), it)),
        Value::String(text) if is_literal(schema, text) => *text = mask_of(text),
        _ => {}
    }
}

/// What a table's schema says of a key; null for one that nobody knows.
fn property<'s>(schema: &'s Value, name: &str) -> &'s Value {
    let branches = schema["anyOf"].as_array().into_iter().flatten();
    let mut all = std::iter::once(schema).chain(branches);
    all.find_map(|it| it["properties"].get(name)).unwrap_or(&schema["additionalProperties"])
}

fn items(schema: &Value) -> &Value {
    let branches = schema["anyOf"].as_array().into_iter().flatten();
    std::iter::once(schema).chain(branches).find_map(|it| it.get("items")).unwrap_or(&Value::Null)
}

/// Whether a text under this schema is a secret: under a key that nobody knows it may be.
fn is_secret(schema: &Value, text: &str) -> bool {
    schema["writeOnly"] == true || !schema.is_object() || place::tells_one(text)
}

/// Whether it is one, and no reference to one.
fn is_literal(schema: &Value, text: &str) -> bool {
    let text = text.trim();
    let refers = ["${env:", "${file:"].iter().any(|it| text.starts_with(it)) && text.ends_with('}');
    !text.is_empty() && !refers && is_secret(schema, text)
}

fn splice(text: &str, mut pieces: Vec<(Range<usize>, String)>) -> String {
    pieces.sort_by_key(|it| it.0.start);
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    for (span, piece) in pieces {
        if span.start >= at {
            out.push_str(&text[at..span.start]);
            out.push_str(&piece);
        }
        at = at.max(span.end);
    }
    out + &text[at..]
}

/// A text with its secrets back.
#[derive(Debug)]
pub struct Restored {
    pub text: String,
    /// Where masks stood, and how long what stands there now is.
    pieces: Vec<(Range<usize>, usize)>,
}

impl Restored {
    /// Where a byte of the restored text stands in the masked one.
    pub fn place(&self, at: usize) -> usize {
        let (mut given, mut restored) = (0, 0);
        for (span, length) in &self.pieces {
            let start = restored + (span.start - given);
            if at < start {
                break;
            }
            if at < start + length {
                return span.start;
            }
            (given, restored) = (span.end, start + length);
        }
        given + (at - restored)
    }

    /// A problem of the restored text as a problem of the masked one.
    pub fn problem(&self, masked: &str, mut problem: Problem) -> Problem {
        problem.span = self.place(problem.span.start)..self.place(problem.span.end);
        problem.settle(masked);
        problem
    }
}

/// Puts the secrets of `known` back in the place of their masks; `known` is the file as it is, and
/// what else may be trusted as much. A mask that fits nowhere is a problem of the text.
pub fn unmask(text: &str, known: &[&str]) -> Result<Restored, Vec<Problem>> {
    let sources: Vec<(&str, Walked)> = known.iter().map(|it| (*it, walk(it, &[]))).collect();
    let secrets: Vec<&Found> = sources.iter().flat_map(|it| &it.1.secrets).collect();
    let walked = walk(text, &secrets);
    let mut problems = Problems::new(text);
    let mut pieces = Vec::new();
    for (span, mask, place) in walked.masks {
        let all = sources.iter().flat_map(|(text, it)| it.secrets.iter().map(|it| (*text, it)));
        let same = all.filter(|it| mask.as_deref() == Some(&it.1.mask));
        let fits: Vec<_> = same.clone().filter(|it| place.takes(&it.1.place)).collect();
        match fits.first() {
            Some((text, found)) => pieces.push((span, text[found.span.clone()].to_owned())),
            // A remark that holds something like a mask is a remark.
            None if place == Place::Comment => {}
            None if same.count() > 0 => {
                problems
                    .error(
                        "mask_elsewhere",
                        span,
                        "this mask stands for a secret that was entered for another place",
                    )
                    .help("enter the credential again");
            }
            None => {
                problems
                    .error("unknown_mask", span, "this mask stands for no secret of the file")
                    .help("enter the secret itself, or a reference such as `${env:NAME}`");
            }
        }
    }
    if !problems.found.is_empty() {
        return Err(problems.found);
    }
    pieces.sort_by_key(|it: &(Range<usize>, String)| it.0.start);
    let lengths = pieces.iter().map(|it| (it.0.clone(), it.1.len())).collect();
    Ok(Restored { text: splice(text, pieces), pieces: lengths })
}

/// `known` are the secrets that masks in the text may stand for.
fn walk(text: &str, known: &[&Found]) -> Walked {
    let bare = text.strip_prefix('\u{feff}').unwrap_or(text);
    let shift = text.len() - bare.len();
    let (table, errors) = DeTable::parse_recoverable(bare);
    let span = table.span();
    let root = Spanned::new(span, DeValue::Table(table.into_inner()));
    let mut walk =
        Walk { text: bare, origins: place::origins(&root, known), walked: Walked::default() };
    walk.value(full_schema(), &root, "", None);
    let mut walked = walk.walked;
    walked.values.sort_by_key(|it| it.start);
    if !errors.is_empty() {
        let spans = errors.iter().map(|it| it.span().unwrap_or(bare.len()..bare.len()));
        walked.hidden = comments::not_understood(bare, &walked.values, spans);
    }
    comments::look(bare, &mut walked);
    let spans = walked.secrets.iter_mut().map(|it| &mut it.span);
    let spans = spans.chain(walked.masks.iter_mut().map(|it| &mut it.0)).chain(&mut walked.hidden);
    spans.for_each(|it| *it = it.start + shift..it.end + shift);
    walked
}

struct Walk<'a> {
    text: &'a str,
    origins: Vec<place::Origins>,
    walked: Walked,
}

impl Walk<'_> {
    /// `schema` is null under a key that nobody knows: what stands there may be a misspelt secret.
    fn value(
        &mut self,
        schema: &Value,
        value: &Spanned<DeValue<'_>>,
        path: &str,
        provider: Option<usize>,
    ) {
        match value.get_ref() {
            DeValue::Table(table) => {
                for (name, value) in table {
                    let key: &str = name.get_ref();
                    self.walked.keys.push(name.span());
                    self.value(property(schema, key), value, &format!("{path}.{key}"), provider);
                }
            }
            DeValue::Array(array) => {
                for (at, item) in array.iter().enumerate() {
                    let provider = if path == ".providers" { Some(at) } else { provider };
                    self.value(items(schema), item, path, provider);
                }
            }
            DeValue::String(text) => self.string(schema, text, value.span(), path, provider),
            DeValue::Integer(_) | DeValue::Float(_) if schema["writeOnly"] == true => {
                let raw = self.text[value.span()].to_owned();
                self.found(&raw, value.span(), path, provider);
            }
            _ => self.walked.values.push(value.span()),
        }
    }

    fn string(
        &mut self,
        schema: &Value,
        text: &str,
        span: Range<usize>,
        path: &str,
        provider: Option<usize>,
    ) {
        if let Some(mask) = find_mask(text) {
            // What everybody may read takes back only what stood there and was masked for its looks.
            let place = self.place(path, provider.filter(|_| is_secret(schema, text)));
            let whole = (mask == (0..text.len())).then(|| text.to_owned());
            self.walked.masks.push((span.clone(), whole, place));
        }
        if is_literal(schema, text) {
            self.found(text, span, path, provider);
        } else {
            self.walked.values.push(span);
        }
    }

    fn found(&mut self, secret: &str, span: Range<usize>, path: &str, provider: Option<usize>) {
        let place = self.place(path, provider);
        self.walked.values.push(span.clone());
        let (secret, mask) = (secret.to_owned(), mask_of(secret));
        self.walked.secrets.push(Found { span, secret, mask, place });
    }

    fn place(&self, path: &str, provider: Option<usize>) -> Place {
        // A URL with a secret in it is sent nowhere but to itself.
        let provider = provider.filter(|_| !place::URLS.contains(&path));
        match provider.and_then(|it| self.origins.get(it)) {
            Some(origins) => Place::Provider(origins.clone()),
            None => Place::Key(path.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests;
