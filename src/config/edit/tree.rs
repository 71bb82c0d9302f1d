//! Places of a parsed text by path, whatever form the text gives them.

use serde_json::{Map, Number, Value as Json};
use toml_edit::{ArrayOfTables, Document, InlineTable, Item, Table, TableLike, Value};

/// A parsed text. Its spans are the places of the text that it was parsed from.
pub(super) type Doc<'a> = Document<&'a str>;

/// One step from a table or a list to what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    At(usize),
}

impl Step {
    pub(super) fn key(&self) -> Option<&str> {
        if let Self::Key(key) = self { Some(key) } else { None }
    }
}

impl From<&str> for Step {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

/// A path and one step more.
pub(super) fn below(path: &[Step], step: impl Into<Step>) -> Vec<Step> {
    let mut path = path.to_vec();
    path.push(step.into());
    path
}

/// What stands at a path.
#[derive(Clone, Copy)]
pub(super) enum Node<'a> {
    /// A table with a header, of dotted keys, or of headers below it.
    Table(&'a Table),
    /// `{ .. }`, or of dotted keys within one.
    Inline(&'a InlineTable),
    /// `[[..]]`.
    List(&'a ArrayOfTables),
    /// All else, arrays among it.
    Value(&'a Value),
}

impl<'a> Node<'a> {
    pub(super) fn of(item: &'a Item) -> Option<Self> {
        match item {
            Item::None => None,
            Item::Value(it) => Some(Self::of_value(it)),
            Item::Table(it) => Some(Self::Table(it)),
            Item::ArrayOfTables(it) => Some(Self::List(it)),
        }
    }

    fn of_value(value: &'a Value) -> Self {
        match value {
            Value::InlineTable(it) => Self::Inline(it),
            other => Self::Value(other),
        }
    }

    pub(super) fn table(self) -> Option<&'a dyn TableLike> {
        match self {
            Self::Table(it) => Some(it),
            Self::Inline(it) => Some(it),
            Self::List(_) | Self::Value(_) => None,
        }
    }

    pub(super) fn get(self, key: &str) -> Option<Self> {
        self.table()?.get(key).and_then(Self::of)
    }

    /// The elements of a list in either of its forms.
    pub(super) fn elements(self) -> Option<Vec<Self>> {
        match self {
            Self::List(it) => Some(it.iter().map(Self::Table).collect()),
            Self::Value(Value::Array(it)) => Some(it.iter().map(Self::of_value).collect()),
            _ => None,
        }
    }

    pub(super) fn step(self, step: &Step) -> Option<Self> {
        match step {
            Step::Key(key) => self.get(key),
            Step::At(at) => match self {
                Self::List(it) => it.get(*at).map(Self::Table),
                Self::Value(Value::Array(it)) => it.get(*at).map(Self::of_value),
                _ => None,
            },
        }
    }

    pub(super) fn text(self) -> Option<&'a str> {
        if let Self::Value(it) = self { it.as_str() } else { None }
    }

    /// Whether it holds keys by a header or braces of its own.
    pub(super) fn is_physical(self) -> bool {
        match self {
            Self::Table(it) => !it.is_dotted() && !it.is_implicit(),
            Self::Inline(it) => !it.is_dotted(),
            Self::List(_) | Self::Value(_) => false,
        }
    }

    pub(super) fn json(self) -> Json {
        match self {
            Self::Table(it) => object(it),
            Self::Inline(it) => object(it),
            Self::List(it) => it.iter().map(|it| object(it)).collect(),
            Self::Value(it) => scalar(it),
        }
    }
}

fn object(table: &dyn TableLike) -> Json {
    let pairs = table.iter().filter_map(|(key, item)| Some((key, Node::of(item)?)));
    Json::Object(pairs.map(|(key, node)| (key.to_owned(), node.json())).collect::<Map<_, _>>())
}

fn scalar(value: &Value) -> Json {
    match value {
        Value::String(it) => it.value().as_str().into(),
        Value::Integer(it) => (*it.value()).into(),
        // JSON has no word for them.
        Value::Float(it) => Number::from_f64(*it.value())
            .map_or_else(|| it.value().to_string().into(), Json::Number),
        Value::Boolean(it) => (*it.value()).into(),
        Value::Datetime(it) => it.value().to_string().into(),
        Value::Array(it) => it.iter().map(|it| Node::of_value(it).json()).collect(),
        Value::InlineTable(it) => object(it),
    }
}

pub(super) fn root<'a>(doc: &'a Doc<'_>) -> Node<'a> {
    Node::Table(doc.as_table())
}

pub(super) fn at<'a>(doc: &'a Doc<'_>, path: &[Step]) -> Option<Node<'a>> {
    path.iter().try_fold(root(doc), Node::step)
}

/// The nearest table with a header or braces of its own on the way, with the length of the path to
/// it, and how far the path goes at all.
pub(super) struct Host<'a> {
    pub(super) node: Node<'a>,
    pub(super) depth: usize,
    pub(super) reached: usize,
    /// What stands where the path ends.
    pub(super) last: Node<'a>,
}

pub(super) fn host<'a>(doc: &'a Doc<'_>, path: &[Step]) -> Host<'a> {
    let mut host = Host { node: root(doc), depth: 0, reached: 0, last: root(doc) };
    for step in path {
        let Some(next) = host.last.step(step) else { break };
        (host.last, host.reached) = (next, host.reached + 1);
        if next.is_physical() {
            (host.node, host.depth) = (next, host.reached);
        }
    }
    host
}

/// Whether two values mean the same to whoever reads the file.
pub(super) fn same(one: &Json, other: &Json) -> bool {
    match (one, other) {
        (Json::Number(one), Json::Number(other)) => {
            one == other || one.as_f64() == other.as_f64() && (one.is_f64() || other.is_f64())
        }
        (Json::Array(one), Json::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Json::Object(one), Json::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, it)| other.get(key).is_some_and(|other| same(it, other)))
        }
        _ => one == other,
    }
}
