//! What stands between brackets or braces with commas: its elements come and go with theirs.

use std::ops::Range;

use serde_json::Value as Json;
use toml_edit::{Array, InlineTable, Value};

use super::{
    EditError, Splice, known,
    layout::{inline_leaves, span},
    lines,
    render::{self, Quote, Style},
    tree::{Doc, Node, Step, at},
};

/// The elements of an array, or the keys of an inline table, by their places.
pub(super) struct Items<'t> {
    text: &'t str,
    /// Behind the opening bracket and before the closing one.
    inside: Range<usize>,
    elements: Vec<Range<usize>>,
}

impl<'t> Items<'t> {
    pub(super) fn of_array(text: &'t str, array: &Array) -> Self {
        let elements = array.iter().map(span).collect();
        Self::new(text, array.span().unwrap_or_default(), elements)
    }

    pub(super) fn of_table(text: &'t str, table: &InlineTable) -> Self {
        let elements = inline_leaves(table).iter().map(super::layout::Leaf::span).collect();
        Self::new(text, table.span().unwrap_or_default(), elements)
    }

    fn new(text: &'t str, span: Range<usize>, elements: Vec<Range<usize>>) -> Self {
        Self { text, inside: span.start + 1..span.end.saturating_sub(1), elements }
    }

    /// White space, commas and comments around the elements.
    fn gap(&self, before: usize) -> Range<usize> {
        let start = before.checked_sub(1).map_or(self.inside.start, |it| self.elements[it].end);
        start..self.elements.get(before).map_or(self.inside.end, |it| it.start)
    }

    pub(super) fn has_comments(&self) -> bool {
        (0..=self.elements.len()).any(|it| self.text[self.gap(it)].contains('#'))
    }

    /// The comma behind an element.
    fn comma(&self, at: usize) -> Option<usize> {
        let gap = self.gap(at + 1);
        let mut from = gap.start;
        for line in self.text[gap].split_inclusive('\n') {
            let code = line.split('#').next().unwrap_or_default();
            if let Some(comma) = code.find(',') {
                return Some(from + comma);
            }
            from += line.len();
        }
        None
    }

    /// Whether nothing stands before an element on its line.
    fn begins_line(&self, at: usize) -> bool {
        let start = self.elements[at].start;
        let line = lines::start(self.text, start);
        line > 0 && line >= self.inside.start && lines::is_blank(&self.text[line..start])
    }

    /// Where the line ends, if nothing but white space and a comment stands from there on.
    fn line_end(&self, from: usize) -> Option<usize> {
        let end = lines::end(self.text, from);
        let rest = self.text[from..end].trim_start();
        (end <= self.inside.end && (rest.is_empty() || rest.starts_with('#'))).then_some(end)
    }

    /// The comma behind an element where it stands on the line on which the element ends.
    fn near_comma(&self, at: usize) -> Option<usize> {
        let end = self.elements[at].end;
        self.comma(at).filter(|it| !self.text[end..*it].contains(['\n', '#']))
    }

    /// For an element with lines of its own: where they end, its comment included.
    fn own_lines(&self, at: usize) -> Option<usize> {
        let from = self.near_comma(at).map_or(self.elements[at].end, |it| it + 1);
        self.line_end(from).filter(|_| self.begins_line(at))
    }

    /// A new element in front of that one.
    pub(super) fn insert(&self, at: usize, piece: &str) -> Vec<Splice> {
        let one = |at: usize, text: String| vec![Splice { span: at..at, text }];
        let (text, ending) = (self.text, lines::ending(self.text));
        let Some(last) = at.checked_sub(1) else { return self.insert_first(piece) };
        let Some(end) = self.own_lines(last) else {
            return one(self.elements[last].end, format!("{}{piece}", self.separator()));
        };
        let indent = lines::indent(text, self.elements[last].start);
        if self.near_comma(last).is_some() {
            return one(end, format!("{indent}{piece},{ending}"));
        }
        if self.comma(last).is_some() {
            return one(self.elements[last].end, format!(", {piece}"));
        }
        let comma = self.elements[last].end;
        let line = text[..end].trim_end_matches(['\r', '\n']).len();
        let new = Splice { span: line..line, text: format!("{ending}{indent}{piece}") };
        [one(comma, ",".to_owned()), vec![new]].concat()
    }

    fn insert_first(&self, piece: &str) -> Vec<Splice> {
        let (text, start) = (self.text, self.inside.start);
        let one = |at: usize, text: String| vec![Splice { span: at..at, text }];
        let first = self.elements.first();
        let on_line = if first.is_some() { self.own_lines(0).is_some() } else { true };
        if let Some(line) = self.line_end(start).filter(|_| on_line) {
            let close = format!("{}    ", lines::indent(text, self.inside.end));
            let indent = first.map_or(close.as_str(), |it| lines::indent(text, it.start));
            return one(line, format!("{indent}{piece},{}", lines::ending(text)));
        }
        match first {
            Some(it) => one(it.start, format!("{piece}{}", self.separator())),
            None => one(start, piece.to_owned()),
        }
    }

    /// A comma and what else stands between elements on one line.
    fn separator(&self) -> &str {
        let gap = |at: usize| Some(&self.text[self.gap(at)]);
        let found = if self.elements.len() > 1 { gap(1) } else { None };
        found.filter(|it| it.trim_end_matches(' ') == ",").unwrap_or(", ")
    }

    /// An element goes, and its comma. Comments on the lines above go with an entry and stay with a
    /// key, where they may speak of a group.
    pub(super) fn remove(&self, at: usize, with_comments: bool) -> Vec<Splice> {
        let cut = |span: Range<usize>| Splice { span, text: String::new() };
        let text = self.text;
        let Range { start, end } = self.elements[at].clone();
        if let Some(last) = self.own_lines(at) {
            let gap = self.gap(at);
            let floor = at.checked_sub(1).and_then(|it| self.comma(it)).unwrap_or(gap.start);
            let line = lines::start(text, start);
            let first = if with_comments {
                lines::glued(text, line, lines::end(text, floor))
            } else {
                line
            };
            let mut splices = vec![cut(first..last)];
            if self.comma(at).is_none() && at > 0 {
                splices.extend(self.comma(at - 1).map(|it| cut(it..it + 1)));
            }
            return splices;
        }
        let behind = self.comma(at).map_or(end, |it| it + 1);
        let (before, after) = (self.gap(at), self.gap(at + 1));
        if at > 0 {
            let comma = self.comma(at - 1).map(|it| cut(it..it + 1));
            return match comma {
                Some(comma) if text[before.clone()].contains('#') => vec![comma, cut(start..end)],
                _ => vec![cut(before.start..end)],
            };
        }
        if at + 1 < self.elements.len() && !text[after.clone()].contains(['#', '\n']) {
            return vec![cut(start..after.end)];
        }
        if text[end..behind].contains('#') {
            return vec![cut(start..end), cut(behind - 1..behind)];
        }
        vec![cut(start..behind)]
    }
}

/// A new element of an array, in front of that one.
pub(super) fn insert(
    doc: &Doc<'_>,
    path: &[Step],
    index: usize,
    value: &Json,
) -> Result<Vec<Splice>, EditError> {
    let Some(Node::Value(found @ Value::Array(array))) = at(doc, path) else {
        return Err(EditError::NoKey(known::dotted(path)));
    };
    let schema = known::at(&super::tree::below(path, Step::At(0)));
    let style = Style::new(doc.raw(), Quote::of(doc.raw(), found).unwrap_or_default());
    let piece = render::value(value, schema, style)?;
    Ok(Items::of_array(doc.raw(), array).insert(index, &piece))
}
