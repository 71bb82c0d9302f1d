//! Providers that are switched, and credentials that stay with the origin they were entered for.

use serde_json::{Map, Value as Json};
use url::{Origin, Url};

use super::{
    EditError, Kind, Splice,
    layout::{inline_leaves, table_leaves},
    lines, names,
    splice::{Op, in_turn},
    tree::{Doc, Node, at, below},
};
use crate::{
    catalog::{Preset, preset},
    config::{document, problem::Problems},
};

/// Keys that hold what a provider must not get by a change of its address alone.
const CREDENTIALS: [&str; 3] = ["api_key", "auth_token", "refresh_token"];

/// Where a provider's credential is sent.
#[derive(PartialEq)]
struct Sent {
    base: Option<Address>,
    list: Option<Address>,
}

#[derive(PartialEq)]
enum Address {
    Known(Origin),
    /// No URL; it is only equal to itself.
    Other(String),
}

impl Address {
    fn of(text: &str) -> Self {
        match Url::parse(text) {
            Ok(url) if url.origin().is_tuple() => Self::Known(url.origin()),
            _ => Self::Other(text.to_owned()),
        }
    }
}

impl Sent {
    fn of(provider: &Json) -> Self {
        let text = |key: &str| provider[key].as_str().map(str::trim).filter(|it| !it.is_empty());
        let preset = text("provider_type").or(text("name")).and_then(preset::preset);
        let or_preset = |key: &str, of: fn(&Preset) -> Option<&str>| {
            text(key).or(preset.and_then(of)).map(Address::of)
        };
        Self {
            base: or_preset("base_url", |it| it.base_url.as_deref()),
            list: or_preset("model_list_url", |it| it.model_list_url.as_deref()),
        }
    }
}

/// Where a provider's address changes, its credential goes unless a new one is among the values.
pub(super) fn bind(old: &Json, values: &mut Map<String, Json>) {
    let mut new = old.clone();
    for key in ["name", "provider_type", "base_url", "model_list_url"] {
        if let Some(value) = values.get(key) {
            new[key] = value.clone();
        }
    }
    if !old["provider_type"].is_string()
        && values.contains_key("name")
        && !values.contains_key("provider_type")
    {
        new["name"] = old["name"].clone(); // a new name keeps the preset
    }
    let (was, is) = (Sent::of(old), Sent::of(&new));
    let list_moved = is.list.is_some() && is.list != was.list && is.list != is.base;
    if was.base == is.base && !list_moved {
        return;
    }
    for key in CREDENTIALS.into_iter().filter(|it| !old[it].is_null()) {
        values.entry(key).or_insert(Json::Null);
    }
    let old_headers = old["headers"].as_object().into_iter().flatten();
    if old["headers"].is_object() {
        let new_headers = values.entry("headers").or_insert_with(|| Json::Object(Map::new()));
        if let Some(headers) = new_headers.as_object_mut() {
            for (name, _) in old_headers {
                headers.entry(name.clone()).or_insert(Json::Null);
            }
        }
    }
}

/// A provider takes part or does not. Where the file says nothing, the default holds; a switch that
/// torod wrote stands above all other keys, so that it is seen, and goes again when it is turned
/// back.
pub(super) fn switch(doc: &Doc<'_>, name: &str, on: bool) -> Result<Vec<Splice>, EditError> {
    let text = doc.raw();
    let entry = Kind::Provider.entry(names::find(doc, Kind::Provider, name)?);
    let path = below(&entry, "enabled");
    // In a file of the Go original a missing key means that the provider is off.
    let default = !document::parse(text, &mut Problems::new(text)).is_legacy;
    let is = at(doc, &path).map(Node::json);
    if is.as_ref().and_then(Json::as_bool).unwrap_or(default) == on {
        return Ok(Vec::new());
    }
    let Some(node) = at(doc, &entry) else { return Ok(Vec::new()) };
    match is {
        None => Ok(first(text, node, on)),
        Some(_) if on == default && is_first(text, node) => in_turn(doc, &[Op::Take(path)]),
        Some(_) => in_turn(doc, &[Op::Put(path, on.into())]),
    }
}

fn first(text: &str, entry: Node<'_>, on: bool) -> Vec<Splice> {
    match entry {
        Node::Table(table) => {
            let leaves = table_leaves(text, table);
            let spacing = super::render::Spacing::of(text, leaves.first(), &leaves);
            let indent = leaves.first().map_or("", |it| lines::indent(text, it.start));
            let line = format!("{indent}{}", spacing.pair("enabled", &on.to_string()));
            let header = table.span().unwrap_or_default();
            vec![lines::insert(text, lines::end(text, header.end), &line)]
        }
        Node::Inline(table) => {
            let leaves = inline_leaves(table);
            let spacing = super::render::Spacing::of(text, leaves.first(), &[]);
            let piece = spacing.pair("enabled", &on.to_string());
            super::array::Items::of_table(text, table).insert(0, &piece)
        }
        Node::List(_) | Node::Value(_) => Vec::new(),
    }
}

/// Whether the switch stands where torod puts it, and nobody wrote beside it.
fn is_first(text: &str, entry: Node<'_>) -> bool {
    match entry {
        Node::Table(table) => {
            let header = lines::end(text, table.span().unwrap_or_default().end);
            let leaves = table_leaves(text, table);
            leaves.first().is_some_and(|it| {
                let rest = &text[it.span().end..lines::end(text, it.span().end)];
                it.path == ["enabled"]
                    && lines::start(text, it.start) == header
                    && lines::is_blank(rest)
            })
        }
        Node::Inline(table) => {
            inline_leaves(table).first().is_some_and(|it| it.path == ["enabled"])
        }
        Node::List(_) | Node::Value(_) => false,
    }
}
