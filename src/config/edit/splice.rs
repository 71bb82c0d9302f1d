//! From a text to a text: parse, splice, and several edits in turn.

use serde_json::Value as Json;

use super::{
    EditError, Splice, array, put, remove,
    tree::{self, Doc, Step},
};
use crate::config::problem::Problems;

/// A text without its byte order mark, as TOML.
pub(super) fn parse(text: &str) -> Result<Doc<'_>, EditError> {
    Doc::parse(text).map_err(|error| {
        // Its own words quote the line, which may hold a secret.
        let span = error.span().unwrap_or(text.len()..text.len());
        let mut problems = Problems::new(text);
        EditError::NotToml(problems.error("syntax", span, error.message()).line())
    })
}

/// The one place where text is replaced. Splices do not overlap; those at one place keep their
/// order.
pub(super) fn spliced(text: &str, mut splices: Vec<Splice>) -> String {
    splices.sort_by_key(|it| (it.span.start, it.span.end));
    let mut out = String::with_capacity(text.len() + 64);
    let mut kept = 0;
    for Splice { span, text: new } in splices {
        out.push_str(text.get(kept..span.start).unwrap_or_default());
        out.push_str(&new);
        kept = kept.max(span.end);
    }
    out.push_str(text.get(kept..).unwrap_or_default());
    out
}

/// A change of one place, found anew in the text that the one before left.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Op {
    /// The place holds this value.
    Put(Vec<Step>, Json),
    /// The place holds nothing.
    Take(Vec<Step>),
    /// A new element of an array, in front of that one.
    Insert(Vec<Step>, usize, Json),
}

impl Op {
    fn replaces(&self, doc: &Doc<'_>) -> bool {
        matches!(self, Self::Put(path, _) if tree::at(doc, path).is_some())
    }

    fn splices(&self, doc: &Doc<'_>) -> Result<Vec<Splice>, EditError> {
        match self {
            Self::Put(path, value) => put::put(doc, path, value),
            Self::Take(path) => remove::take(doc, path),
            Self::Insert(path, at, value) => array::insert(doc, path, *at, value),
        }
    }
}

/// All of the changes as splices of the first text.
pub(super) fn in_turn(doc: &Doc<'_>, ops: &[Op]) -> Result<Vec<Splice>, EditError> {
    if let [one] = ops {
        return one.splices(doc);
    }
    let mut text = doc.raw().to_owned();
    let mut rest = ops;
    while let Some((first, mut behind)) = rest.split_first() {
        let doc = parse_again(&text)?;
        let mut splices = first.splices(&doc)?;
        // Values that are there stand apart from each other: they change at once.
        while first.replaces(&doc)
            && let Some((next, after)) = behind.split_first()
            && next.replaces(&doc)
        {
            splices.extend(next.splices(&doc)?);
            behind = after;
        }
        rest = behind;
        text = spliced(&text, splices);
    }
    Ok(difference(doc.raw(), &text).into_iter().collect())
}

/// Parses what an edit left.
pub(super) fn parse_again(text: &str) -> Result<Doc<'_>, EditError> {
    parse(text).map_err(|_| {
        EditError::Value("the text has a form in which this cannot be written".to_owned())
    })
}

/// What stands between the common beginning and the common end.
fn difference(old: &str, new: &str) -> Option<Splice> {
    let same = |pairs: &mut dyn Iterator<Item = (char, char)>| {
        pairs.take_while(|it| it.0 == it.1).map(|it| it.0.len_utf8()).sum::<usize>()
    };
    let start = same(&mut old.chars().zip(new.chars()));
    let (old_rest, new_rest) = (&old[start..], &new[start..]);
    let end = same(&mut old_rest.chars().rev().zip(new_rest.chars().rev()));
    let (old_end, new_end) = (old.len() - end, new.len() - end);
    (old != new).then(|| Splice { span: start..old_end, text: new[start..new_end].to_owned() })
}
