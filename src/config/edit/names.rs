//! Entries by their names, as the resolver reads them.

use toml_edit::Value;

use super::{
    EditError, Kind,
    tree::{Doc, Node, Step, root},
};

const KINDS: [Kind; 4] = [Kind::Provider, Kind::Key, Kind::Model, Kind::Price];

impl Kind {
    /// The key of the file under which the entries stand.
    pub fn list(self) -> &'static str {
        match self {
            Self::Provider => "providers",
            Self::Key => "incoming_tokens",
            Self::Model => "models",
            Self::Price => "prices",
        }
    }

    /// The key that holds an entry's name.
    pub fn name_key(self) -> &'static str {
        match self {
            Self::Provider | Self::Model => "name",
            Self::Key => "id",
            Self::Price => "model",
        }
    }

    /// What a person calls an entry.
    pub fn word(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Key => "key",
            Self::Model => "model",
            Self::Price => "price",
        }
    }

    pub fn of_list(key: &str) -> Option<Self> {
        KINDS.into_iter().find(|it| it.list() == key)
    }

    pub fn all() -> [Self; 4] {
        KINDS
    }

    pub(super) fn entry(self, index: usize) -> Vec<Step> {
        vec![Step::from(self.list()), Step::At(index)]
    }

    /// The name of the entry at a place of its list. A key without an id has one all the same.
    pub(crate) fn name_of(self, given: Option<&str>, index: usize) -> String {
        match given.map(str::trim).unwrap_or_default() {
            "" if self == Self::Key => format!("key-{}", index + 1),
            name => name.to_owned(),
        }
    }
}

/// The entries of a list in the order of the text.
pub(super) fn entries<'a>(doc: &'a Doc<'_>, kind: Kind) -> Vec<(String, Node<'a>)> {
    let elements = root(doc).get(kind.list()).and_then(Node::elements).unwrap_or_default();
    let name = |(index, node): (usize, Node<'a>)| {
        let given = node.get(kind.name_key()).and_then(Node::text);
        (kind.name_of(given, index), node)
    };
    elements.into_iter().enumerate().map(name).collect()
}

/// The place of an entry in its list.
pub(super) fn find(doc: &Doc<'_>, kind: Kind, name: &str) -> Result<usize, EditError> {
    let name = name.trim();
    let found = entries(doc, kind).iter().position(|it| it.0 == name && !name.is_empty());
    found.ok_or_else(|| EditError::NoEntry { kind: kind.word(), name: name.to_owned() })
}

/// Whether a new moment is written as such: so do the other entries, or none of them has it.
pub(super) fn writes_dates(doc: &Doc<'_>, path: &[Step]) -> bool {
    let [Step::Key(list), Step::At(_), Step::Key(key)] = path else { return true };
    let elements = root(doc).get(list).and_then(Node::elements).unwrap_or_default();
    let nearest = elements.into_iter().filter_map(|it| it.get(key)).next_back();
    nearest.is_none_or(|it| !matches!(it, Node::Value(Value::String(_))))
}
