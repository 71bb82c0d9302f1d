//! A new name, and all that says the old one follows.

use serde_json::Value as Json;

use super::{
    EditError, Kind, Splice, names,
    splice::{Op, in_turn},
    tree::{Doc, Node, Step, at, below, root},
};
use crate::catalog::preset;

pub(super) fn rename(
    doc: &Doc<'_>,
    kind: Kind,
    name: &str,
    to: &str,
) -> Result<Vec<Splice>, EditError> {
    in_turn(doc, &ops(doc, kind, name, to)?)
}

pub(super) fn ops(doc: &Doc<'_>, kind: Kind, name: &str, to: &str) -> Result<Vec<Op>, EditError> {
    let (name, to) = (name.trim(), to.trim());
    let index = names::find(doc, kind, name)?;
    if to.is_empty() {
        return Err(EditError::Value(format!("a {} needs `{}`", kind.word(), kind.name_key())));
    }
    if name == to {
        return Ok(Vec::new());
    }
    if names::find(doc, kind, to).is_ok() {
        return Err(EditError::Exists { kind: kind.word(), name: to.to_owned() });
    }
    let entry = kind.entry(index);
    let mut ops = vec![Op::Put(below(&entry, kind.name_key()), to.into())];
    match kind {
        Kind::Provider => {
            ops.extend(kept_type(doc, &entry, name, to));
            let exact = |text: &str| (text == name).then(|| to.to_owned());
            let prefix =
                |text: &str| Some(format!("{to}/{}", text.strip_prefix(name)?.strip_prefix('/')?));
            replaced(doc, &["default_provider"], &exact, &mut ops);
            replaced(doc, &["models", "targets"], &prefix, &mut ops);
            replaced(doc, &["models", "targets", "model"], &prefix, &mut ops);
            replaced(doc, &["prices", "model"], &prefix, &mut ops);
            replaced(doc, &["incoming_tokens", "models"], &prefix, &mut ops);
        }
        Kind::Key => {
            let exact = |text: &str| (text.trim() == name).then(|| to.to_owned());
            replaced(doc, &["incoming_tokens", "parent_id"], &exact, &mut ops);
        }
        Kind::Model => {
            let exact = |text: &str| (text.trim() == name).then(|| to.to_owned());
            replaced(doc, &["incoming_tokens", "models"], &exact, &mut ops);
        }
        Kind::Price => {}
    }
    Ok(ops)
}

/// A provider without a type has that of its name, or the one for all others: it keeps it.
fn kept_type(doc: &Doc<'_>, entry: &[Step], name: &str, to: &str) -> Option<Op> {
    let path = below(entry, "provider_type");
    let given = at(doc, &path).and_then(Node::text).is_some_and(|it| !it.trim().is_empty());
    let (was, is) = (preset::preset(name), preset::preset(to));
    if given || was.is_none() && is.is_none() {
        return None;
    }
    let kept = was.map_or("openai-compatible", |it| it.name.as_str());
    Some(Op::Put(path, kept.into()))
}

/// Each string at a path with keys only, lists on the way being walked through.
fn replaced(
    doc: &Doc<'_>,
    keys: &[&str],
    change: &dyn Fn(&str) -> Option<String>,
    ops: &mut Vec<Op>,
) {
    walk(root(doc), &[], keys, &mut |path, text| {
        ops.extend(change(text).map(|it| Op::Put(path.to_vec(), Json::String(it))));
    });
}

fn walk(node: Node<'_>, path: &[Step], keys: &[&str], found: &mut dyn FnMut(&[Step], &str)) {
    if let Some(elements) = node.elements() {
        for (index, it) in elements.into_iter().enumerate() {
            walk(it, &below(path, Step::At(index)), keys, found);
        }
    } else if let Some((key, rest)) = keys.split_first() {
        if let Some(it) = node.get(key) {
            walk(it, &below(path, *key), rest, found);
        }
    } else if let Some(text) = node.text() {
        found(path, text);
    }
}
