//! Edits of the text: each finds its place by span and replaces no byte outside of it.
//!
//! ```text
//! Edit        an intent        entry (add, change, remove)  rename  credential (switch, bind)  setting
//!   Op        a place          merge says which; put, remove, array do it, found anew in each text
//!     Splice  bytes            splice replaces them
//! ```
//!
//! `toml_edit` parses and says where things stand; what it renders are new values only, since a
//! document that it prints has lost line ends, a byte order mark, or comments of what was removed.

mod array;
mod credential;
mod entry;
mod known;
mod layout;
mod lines;
mod merge;
mod names;
mod put;
mod remove;
mod rename;
mod render;
mod setting;
mod splice;
mod tree;

use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::base::{digest, hex};

/// A list of the file whose entries have names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// `[[providers]]`, by `name`.
    Provider,
    /// `[[incoming_tokens]]`, by `id`.
    Key,
    /// `[[models]]`, by `name`.
    Model,
    /// `[[prices]]`, by `model`.
    Price,
}

/// What to change, as an intent on one entry or setting of the text as it is when it is applied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum Edit {
    /// A new entry; `values` are the keys of the file, its name among them.
    Add { kind: Kind, values: Map<String, Value> },
    /// Keys of an entry: absent ones keep their values, `null` removes.
    Change { kind: Kind, name: String, values: Map<String, Value> },
    /// A new name; what refers to the old one follows.
    Rename { kind: Kind, name: String, to: String },
    /// The entry and its own comments go.
    Remove { kind: Kind, name: String },
    /// A provider takes part.
    Enable { name: String },
    /// A provider stays in the file and takes no part.
    Disable { name: String },
    /// A key outside of the lists, such as `tls.mode`, or of an entry, such as
    /// `providers.groq.base_url`.
    Set { path: String, value: Value },
    /// The same, taken out.
    Unset { path: String },
}

/// Bytes of the text that are replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Splice {
    pub span: Range<usize>,
    pub text: String,
}

/// Why an edit does not apply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    #[error("the text is not TOML: {0}")]
    NotToml(String),
    #[error("there is no {kind} `{name}`")]
    NoEntry { kind: &'static str, name: String },
    #[error("there is a {kind} `{name}` already")]
    Exists { kind: &'static str, name: String },
    #[error("{}", known::no_key(.0))]
    NoKey(String),
    #[error("{0}")]
    Value(String),
}

/// One entry as it stands in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    /// Its place in its list.
    pub at: usize,
    /// Digest of its bytes with its own comments, hexadecimal: what `If-Match` on its route means.
    pub etag: String,
}

/// Applies edits one after the other, each to the text that the one before left.
pub fn apply(text: &str, edits: &[Edit]) -> Result<String, EditError> {
    let (mark, text) = without_mark(text);
    let mut text = text.to_owned();
    splice::parse(&text)?;
    for edit in edits {
        let splices = splices(&splice::parse_again(&text)?, edit)?;
        text = splice::spliced(&text, splices);
    }
    splice::parse_again(&text)?;
    Ok(format!("{mark}{text}"))
}

fn splices(doc: &tree::Doc<'_>, edit: &Edit) -> Result<Vec<Splice>, EditError> {
    match edit {
        Edit::Add { kind, values } => entry::add(doc, *kind, values),
        Edit::Change { kind, name, values } => entry::change(doc, *kind, name, values),
        Edit::Rename { kind, name, to } => rename::rename(doc, *kind, name, to),
        Edit::Remove { kind, name } => entry::remove(doc, *kind, name),
        Edit::Enable { name } => credential::switch(doc, name, true),
        Edit::Disable { name } => credential::switch(doc, name, false),
        Edit::Set { path, value } => setting::set(doc, path, value),
        Edit::Unset { path } => setting::unset(doc, path),
    }
}

/// A byte order mark belongs to no key and stays where it is.
fn without_mark(text: &str) -> (&str, &str) {
    text.split_at(if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 })
}

/// The entries of a list, in the order of the file. One without a name has an empty one, but for
/// keys, which have names all the same.
pub fn entries(text: &str, kind: Kind) -> Result<Vec<Entry>, EditError> {
    let doc = splice::parse(without_mark(text).1)?;
    let mut lines = layout::Layout::of(&doc).entries(kind.list());
    let found = names::entries(&doc, kind).into_iter().enumerate();
    let entry = |(at, (name, node)): (usize, (String, tree::Node<'_>))| {
        let spans = match node {
            tree::Node::Inline(it) => it.span().into_iter().collect(),
            _ => lines.remove(&at).unwrap_or_default(),
        };
        // The line end of the last line comes and goes with what stands behind it.
        let bytes: String = spans.into_iter().map(|it| doc.raw()[it].trim_end()).collect();
        Entry { name, at, etag: hex(&digest(bytes)) }
    };
    Ok(found.map(entry).collect())
}

/// The value at a path as the file has it: `tls.mode`, `providers.groq.base_url`, `providers`.
pub fn value(text: &str, path: &str) -> Result<Option<Value>, EditError> {
    let doc = splice::parse(without_mark(text).1)?;
    setting::get(&doc, path)
}

/// All values of a text.
pub(super) fn values(text: &str) -> Result<Value, EditError> {
    Ok(tree::root(&splice::parse(without_mark(text).1)?).json())
}

/// A name as a part of a path: in quotes where it needs some.
pub(super) fn path_part(name: &str) -> String {
    render::key(name)
}

#[cfg(test)]
mod tests;
