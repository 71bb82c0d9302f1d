//! Values as TOML, in the style of what stands beside them.

use serde_json::Value as Json;
use toml_edit::{Datetime, Key, Value};
use toml_writer::{ToTomlValue as _, TomlStringBuilder};

use super::{
    EditError, known,
    layout::{Leaf, span},
    lines,
    tree::Step,
};

/// How strings are quoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Quote {
    #[default]
    Basic,
    Literal,
    Lines,
    LiteralLines,
}

impl Quote {
    /// The quotes of a value that stands in the text, where it has some.
    pub(super) fn of(text: &str, value: &Value) -> Option<Self> {
        let raw = match value {
            Value::String(_) => &text[span(value)],
            Value::Array(it) => {
                return it.iter().find_map(|it| Self::of(text, it)).map(Self::one_line);
            }
            _ => return None,
        };
        let quotes = [
            ("\"\"\"", Self::Lines),
            ("'''", Self::LiteralLines),
            ("\"", Self::Basic),
            ("'", Self::Literal),
        ];
        quotes.into_iter().find(|it| raw.starts_with(it.0)).map(|it| it.1)
    }

    /// The same for a value that is to stand on one line.
    pub(super) fn one_line(self) -> Self {
        match self {
            Self::Basic | Self::Lines => Self::Basic,
            Self::Literal | Self::LiteralLines => Self::Literal,
        }
    }
}

/// The style of a value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    pub(super) quote: Quote,
    /// Lines of the text end with CRLF; a line end in a string is then escaped, or the string would
    /// not be what was asked for.
    pub(super) crlf: bool,
    /// Moments are written as such, not as strings.
    pub(super) dates: bool,
    /// Whole numbers get a fraction.
    pub(super) fractions: bool,
}

impl Style {
    pub(super) fn new(text: &str, quote: Quote) -> Self {
        let crlf = lines::ending(text) == "\r\n";
        Self { quote, crlf, dates: true, fractions: false }
    }
}

/// A value as TOML on one line, but for strings of several lines.
pub(super) fn value(
    value: &Json,
    schema: Option<&Json>,
    style: Style,
) -> Result<String, EditError> {
    Ok(match value {
        Json::Null => return Err(EditError::Value("a list cannot hold `null`".to_owned())),
        Json::Bool(it) => it.to_string(),
        Json::Number(it) => match (it.as_i64(), it.as_f64()) {
            (Some(whole), _) if !style.fractions => whole.to_string(),
            (_, Some(float)) if it.is_f64() || style.fractions => Value::from(float).to_string(),
            _ => return Err(EditError::Value(format!("`{it}` is too large a number"))),
        },
        Json::String(text) => match text.parse::<Datetime>() {
            Ok(moment) if style.dates && known::is_date(schema) => moment.to_string(),
            _ => string(text, style),
        },
        Json::Array(items) => {
            let schema = schema.and_then(|it| known::inner(it, &Step::At(0)));
            let items: Result<Vec<_>, _> =
                items.iter().map(|it| self::value(it, schema, style)).collect();
            format!("[{}]", items?.join(", "))
        }
        Json::Object(_) => {
            let pairs = pairs(value, schema, style)?;
            let pairs: Vec<_> =
                pairs.into_iter().map(|it| format!("{} = {}", it.0, it.1)).collect();
            if pairs.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", pairs.join(", ")) }
        }
    })
}

/// The keys and values of a table, in the order of the schema.
pub(super) fn pairs(
    table: &Json,
    schema: Option<&Json>,
    style: Style,
) -> Result<Vec<(String, String)>, EditError> {
    let mut pairs: Vec<_> =
        table.as_object().into_iter().flatten().filter(|it| !it.1.is_null()).collect();
    pairs.sort_by_key(|it| known::order(schema, it.0));
    let pair = |(name, it): (&String, &Json)| {
        let schema = schema.and_then(|it| known::inner(it, &Step::from(name.as_str())));
        Ok((key(name), value(it, schema, style)?))
    };
    pairs.into_iter().map(pair).collect()
}

pub(super) fn key(name: &str) -> String {
    Key::new(name).display_repr().into_owned()
}

/// A string in the quotes of its style where they can hold it.
pub(super) fn string(text: &str, style: Style) -> String {
    let builder = TomlStringBuilder::new(text);
    let several = text.contains('\n');
    let lines = (!several || !style.crlf).then(|| builder.as_ml_basic());
    let literal_lines = || builder.as_ml_literal().filter(|_| !several || !style.crlf);
    let found = match style.quote {
        Quote::Basic if several => lines,
        Quote::Literal if several => literal_lines().or(lines),
        Quote::Basic => None,
        Quote::Literal => builder.as_literal(),
        Quote::Lines => lines,
        Quote::LiteralLines => literal_lines().or(lines),
    };
    found.unwrap_or_else(|| builder.as_basic()).to_toml_value()
}

/// How keys and their values stand on lines or between braces.
#[derive(Debug, Clone)]
pub(super) struct Spacing {
    /// Between key and `=`.
    before: String,
    /// Between `=` and value.
    after: String,
    /// Where all `=` stand, counted from the key.
    column: Option<usize>,
}

impl Spacing {
    /// The spacing of the nearest key, and the column where others have one.
    pub(super) fn of(text: &str, near: Option<&Leaf<'_>>, all: &[Leaf<'_>]) -> Self {
        let around = |it: &Leaf<'_>| {
            let between = &text[it.key_end..span(it.value).start];
            between.split_once('=').map(|it| (it.0.to_owned(), it.1.to_owned()))
        };
        let column = |it: &Leaf<'_>| {
            let key = text[it.start..it.key_end].chars().count();
            Some((key, key + around(it)?.0.chars().count()))
        };
        let columns: Vec<_> = all.iter().filter_map(column).collect();
        // Keys of other lengths with their `=` in one column: somebody put them there.
        let aligned = columns
            .iter()
            .find(|one| columns.iter().any(|other| other.1 == one.1 && other.0 != one.0));
        let (before, after) = near.and_then(around).unwrap_or_else(|| (" ".into(), " ".into()));
        let before = if before.chars().count() > 1 { " ".to_owned() } else { before };
        Self { before, after, column: aligned.map(|it| it.1) }
    }

    /// The column moves where a key would not fit.
    pub(super) fn widened(mut self, keys: &[(String, String)]) -> Self {
        let longest = keys.iter().map(|it| it.0.chars().count() + 1).max();
        self.column = self.column.max(longest.filter(|_| self.column.is_some()));
        self
    }

    pub(super) fn pair(&self, key: &str, value: &str) -> String {
        let Self { before, after, column } = self;
        let gap = column.map(|it| it.saturating_sub(key.chars().count()));
        let before = gap.filter(|it| *it > 0).map_or_else(|| before.clone(), |it| " ".repeat(it));
        format!("{key}{before}={after}{value}")
    }
}
