//! The text as TOML: checked against the schema key by key, every fault reported with its place.
//!
//! What is wrong is reported and taken out, so that the rest is checked all the same.

use std::{collections::HashMap, ops::Range};

use serde::Deserialize as _;
use serde_json::Value as Schema;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    problem::{Problems, nearest},
    schema::{File, full_schema},
};

/// The file's values and where each of them stands.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub(super) file: File,
    /// By path, such as `providers[0].base_url`.
    spans: HashMap<String, Range<usize>>,
    /// The file has a key that only the Go original wrote.
    pub(super) is_legacy: bool,
}

impl Document {
    /// Where a key's value stands; for a missing key, where its table does.
    pub(super) fn span(&self, path: &str) -> Range<usize> {
        let mut path = path;
        loop {
            if let Some(span) = self.spans.get(path) {
                return span.clone();
            }
            let Some(cut) = path.rfind(['.', '[']) else { return 0..0 };
            path = &path[..cut];
        }
    }
}

/// Parses the text and checks every key against the schema.
pub(super) fn parse(text: &str, problems: &mut Problems<'_>) -> Document {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut broken_lines = Vec::new();
    for error in &errors {
        let span = error.span().unwrap_or(text.len()..text.len());
        let problem = problems.error("syntax", span, format!("not TOML: {}", error.message()));
        broken_lines.push(problem.line);
    }
    let parsed = problems.found.len();
    let mut walk = Walk { problems, document: Document::default() };
    let span = table.span();
    let mut root = Spanned::new(span.clone(), DeValue::Table(table.into_inner()));
    walk.value(full_schema(), &mut root, "", span);
    let mut document = walk.document;
    // What follows a syntax error on its line is a guess.
    if !broken_lines.is_empty() {
        let mut at = 0;
        problems.found.retain(|it| {
            at += 1;
            at <= parsed || !broken_lines.contains(&it.line)
        });
    }
    match File::deserialize(toml::de::ValueDeserializer::from(root)) {
        Ok(file) => document.file = file,
        Err(error) => {
            let span = error.span().unwrap_or(0..0);
            problems.error("value", span, error.message().to_owned());
        }
    }
    document
}

struct Walk<'p, 't> {
    problems: &'p mut Problems<'t>,
    document: Document,
}

impl Walk<'_, '_> {
    /// Whether the value fits; one that does not is reported.
    fn value(
        &mut self,
        schema: &Schema,
        value: &mut Spanned<DeValue<'_>>,
        path: &str,
        key: Range<usize>,
    ) -> bool {
        let span = if value.span().is_empty() { key } else { value.span() };
        self.document.spans.insert(path.to_owned(), span.clone());
        let schema = alternative(schema, value.get_ref());
        if let (DeValue::Datetime(moment), Some("date-time")) =
            (value.get_ref(), schema["format"].as_str())
        {
            // Written as a TOML date or as a string, it is the same moment.
            let text = moment.to_string();
            *value.get_mut() = DeValue::String(text.into());
        }
        if !fits(schema, value.get_ref()) {
            let wanted = wanted(schema);
            let got = value.get_ref().type_str();
            self.problems.error("type", span, format!("`{path}` must be {wanted}, not {got}"));
            return false;
        }
        match value.get_mut() {
            DeValue::Table(table) => self.table(schema, table, path),
            DeValue::Array(array) => {
                let items = &schema["items"];
                let fits: Vec<bool> = array
                    .iter_mut()
                    .enumerate()
                    .map(|(at, item)| {
                        let span = item.span();
                        self.value(items, item, &format!("{path}[{at}]"), span)
                    })
                    .collect();
                return fits.into_iter().all(|it| it);
            }
            DeValue::String(text) => return self.word(schema, text, path, span),
            DeValue::Integer(_) | DeValue::Float(_) => {
                return self.number(schema, value.get_ref(), path, span);
            }
            _ => {}
        }
        true
    }

    fn table(&mut self, schema: &Schema, table: &mut DeTable<'_>, path: &str) {
        let known = schema["properties"].as_object();
        let mut out = Vec::new();
        for (name, value) in table.iter_mut() {
            let key = name.get_ref().to_string();
            let full = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            let free = &schema["additionalProperties"];
            let Some(property) =
                known.and_then(|it| it.get(&key)).or(free.is_object().then_some(free))
            else {
                out.push(key.clone());
                if key.starts_with("x-") {
                    continue; // a person's own table
                }
                let current =
                    known.into_iter().flatten().filter(|it| it.1.get("x-legacy").is_none());
                let near = nearest(&key, current.map(|it| it.0.as_str()));
                self.problems
                    .error("unknown_key", name.span(), format!("unknown key `{full}`"))
                    .maybe_help(near.map(|it| format!("did you mean `{it}`?")));
                continue;
            };
            if !self.value(property, value, &full, name.span()) {
                out.push(key);
                continue;
            }
            self.remarks(property, value.get_ref(), &full, name.span());
        }
        for key in out {
            table.remove(key.as_str());
        }
    }

    /// What is to be said of a key that is there.
    fn remarks(&mut self, property: &Schema, value: &DeValue<'_>, path: &str, key: Range<usize>) {
        if let Some(went) = property["x-legacy"].as_str() {
            self.document.is_legacy = true;
            self.problems
                .warning("legacy_key", key.clone(), format!("`{path}` is a key of the Go original"))
                .help(went);
        }
        if property["x-later"] == "note" && value.as_bool() != Some(false) {
            self.problems.note("not_active", key, format!("`{path}` is not active yet"));
        }
    }

    fn word(&mut self, schema: &Schema, text: &str, path: &str, span: Range<usize>) -> bool {
        let known = words(schema);
        if known.is_empty() || known.contains(&text) {
            return true;
        }
        let near = nearest(text, known.iter().copied()).map(|it| format!("did you mean `{it}`?"));
        self.problems
            .error(
                "unknown_word",
                span,
                format!("`{path}` must be one of `{}`", known.join("`, `")),
            )
            .maybe_help(near);
        false
    }

    fn number(
        &mut self,
        schema: &Schema,
        value: &DeValue<'_>,
        path: &str,
        span: Range<usize>,
    ) -> bool {
        let Some(number) = number_of(value) else {
            self.problems.error("range", span, format!("`{path}` is too large a number"));
            return false;
        };
        let (least, most) = (schema["minimum"].as_f64(), schema["maximum"].as_f64());
        if least.is_none_or(|it| number >= it)
            && most.is_none_or(|it| number <= it)
            && number.is_finite()
        {
            return true;
        }
        let least = least.map_or(String::new(), |it| format!("at least {it}"));
        let most = most.map_or(String::new(), |it| format!("at most {it}"));
        let and = if least.is_empty() || most.is_empty() { "" } else { " and " };
        self.problems.error("range", span, format!("`{path}` must be {least}{and}{most}"));
        false
    }
}

fn number_of(value: &DeValue<'_>) -> Option<f64> {
    match value {
        DeValue::Integer(it) =>
        {
            #[expect(clippy::cast_precision_loss, reason = "bounds are small")]
            i64::from_str_radix(it.as_str(), it.radix()).ok().map(|it| it as f64)
        }
        DeValue::Float(it) => it.as_str().parse().ok(),
        _ => None,
    }
}

/// The branch of an `anyOf` that a value takes: the first of its type.
fn alternative<'s>(schema: &'s Schema, value: &DeValue<'_>) -> &'s Schema {
    let Some(branches) = schema["anyOf"].as_array() else { return schema };
    branches
        .iter()
        .find(|it| fits(it, value))
        .or_else(|| branches.iter().find(|it| it["type"] != "null"))
        .unwrap_or(schema)
}

fn fits(schema: &Schema, value: &DeValue<'_>) -> bool {
    let kind = match value {
        DeValue::String(_) => "string",
        DeValue::Integer(_) => "integer",
        DeValue::Float(_) => "number",
        DeValue::Boolean(_) => "boolean",
        DeValue::Array(_) => "array",
        DeValue::Table(_) => "object",
        DeValue::Datetime(_) => "datetime",
    };
    let kinds = kinds(schema);
    kinds.is_empty() || kinds.contains(&kind) || kind == "integer" && kinds.contains(&"number")
}

fn kinds(schema: &Schema) -> Vec<&str> {
    if let Some(branches) = schema["anyOf"].as_array() {
        return branches.iter().flat_map(kinds).collect();
    }
    if !words(schema).is_empty() {
        return vec!["string"];
    }
    match &schema["type"] {
        Schema::String(one) => vec![one],
        Schema::Array(many) => {
            many.iter().filter_map(Schema::as_str).filter(|it| *it != "null").collect()
        }
        _ => Vec::new(),
    }
}

/// The words of an enum, in either of the forms that the schema has for it.
fn words(schema: &Schema) -> Vec<&str> {
    let plain = schema["enum"].as_array().into_iter().flatten().filter_map(Schema::as_str);
    let documented = schema["oneOf"].as_array().into_iter().flatten();
    let documented = documented.flat_map(|it| match it["const"].as_str() {
        Some(word) => vec![word],
        None => words(it),
    });
    let optional = schema["anyOf"].as_array().into_iter().flatten().flat_map(words);
    plain.chain(documented).chain(optional).collect()
}

fn wanted(schema: &Schema) -> String {
    let name = |it: &str| match it {
        "integer" => "a whole number".to_owned(),
        "array" => "a list".to_owned(),
        "object" => "a table".to_owned(),
        other => format!("a {other}"),
    };
    kinds(schema).into_iter().map(name).collect::<Vec<_>>().join(" or ")
}

/// The text with every string value that the schema does not call public turned into stars, byte
/// for byte, so that spans stay right.
pub fn masked(text: &str) -> String {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut hidden = Vec::new();
    let span = table.span();
    hide(
        full_schema(),
        &Spanned::new(span, DeValue::Table(table.into_inner())),
        false,
        &mut hidden,
    );
    let mut out = text.to_owned().into_bytes();
    // Where the text is not TOML nothing is known of its values, so the whole line is hidden.
    for error in errors {
        let at = error.span().map_or(0, |it| it.start).min(text.len());
        let start = text[..at].rfind('\n').map_or(0, |it| it + 1);
        let end = text[at..].find('\n').map_or(text.len(), |it| at + it);
        let from = text[start..end].find('=').map_or(start, |it| start + it + 1);
        hidden.push(from..end);
    }
    for span in hidden {
        for at in span {
            let quote = matches!(out[at], b'"' | b'\'' | b'\n' | b'\r' | b' ');
            if !quote {
                out[at] = b'*';
            }
        }
    }
    String::from_utf8(out).unwrap_or_default()
}

fn hide(
    schema: &Schema,
    value: &Spanned<DeValue<'_>>,
    public: bool,
    hidden: &mut Vec<Range<usize>>,
) {
    let schema = alternative(schema, value.get_ref());
    let public = public || schema["x-public"] == true || !words(schema).is_empty();
    match value.get_ref() {
        DeValue::String(_) if !public => hidden.push(value.span()),
        DeValue::Array(array) => {
            array.iter().for_each(|it| hide(&schema["items"], it, public, hidden));
        }
        DeValue::Table(table) => {
            for (name, value) in table {
                let name: &str = name.get_ref();
                let property =
                    schema["properties"].get(name).unwrap_or(&schema["additionalProperties"]);
                let public = property["x-public"] == true;
                hide(property, value, public, hidden);
            }
        }
        _ => {}
    }
}

/// Nothing but white space and comments.
pub(super) fn is_blank(text: &str) -> bool {
    text.lines().all(|it| it.trim().is_empty() || it.trim_start().starts_with('#'))
}
