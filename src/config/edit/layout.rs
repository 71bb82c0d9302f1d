//! The text as lines: headers with the lines that are theirs, and keys with their values.

use std::{collections::BTreeMap, ops::Range};

use toml_edit::{InlineTable, Item, RawString, Table, Value};

use super::{
    lines,
    tree::{Doc, Node, Step, below},
};

/// A key and its value, dotted or not.
pub(super) struct Leaf<'a> {
    /// From its table on.
    pub(super) path: Vec<&'a str>,
    /// Where the first part of the key begins.
    pub(super) start: usize,
    /// Where its last part ends.
    pub(super) key_end: usize,
    pub(super) value: &'a Value,
}

impl Leaf<'_> {
    pub(super) fn span(&self) -> Range<usize> {
        self.start..span(self.value).end
    }
}

/// Where a value of a parsed text stands.
pub(super) fn span(value: &Value) -> Range<usize> {
    value.span().unwrap_or_default()
}

/// The keys that stand on lines of a table's own, in the order of the text.
pub(super) fn table_leaves<'a>(text: &str, table: &'a Table) -> Vec<Leaf<'a>> {
    let mut found = Vec::new();
    collect(text, table, &[], &mut found);
    found.sort_by_key(|it| it.start);
    found
}

fn collect<'a>(text: &str, table: &'a Table, prefix: &[&'a str], found: &mut Vec<Leaf<'a>>) {
    for (name, item) in table {
        let path = [prefix, &[name]].concat();
        match item {
            Item::Value(value) => {
                let key = table.key(name).and_then(toml_edit::Key::span).unwrap_or_default();
                let line = lines::start(text, key.start);
                let start = line + lines::indent(text, line).len();
                found.push(Leaf { path, start, key_end: key.end, value });
            }
            Item::Table(it) if it.is_dotted() || it.is_implicit() => {
                collect(text, it, &path, found);
            }
            _ => {}
        }
    }
}

/// The keys between a table's own braces, in the order of the text.
pub(super) fn inline_leaves(table: &InlineTable) -> Vec<Leaf<'_>> {
    let mut found = Vec::new();
    collect_inline(table, &[], &mut found);
    found.sort_by_key(|it| it.start);
    found
}

fn collect_inline<'a>(table: &'a InlineTable, prefix: &[&'a str], found: &mut Vec<Leaf<'a>>) {
    for (name, value) in table {
        let path = [prefix, &[name]].concat();
        match value {
            Value::InlineTable(it) if it.is_dotted() => collect_inline(it, &path, found),
            value => {
                let Some(key) = table.key(name) else { continue };
                let span = key.span().unwrap_or_default();
                let white = key.leaf_decor().prefix().and_then(RawString::span);
                let start = white.map_or(span.start, |it| it.end);
                found.push(Leaf { path, start, key_end: span.end, value });
            }
        }
    }
}

/// A header, or the beginning of the file, with the keys up to the next header.
pub(super) struct Section<'a> {
    pub(super) path: Vec<Step>,
    pub(super) table: &'a Table,
    /// Empty at the beginning of the file.
    pub(super) header: Range<usize>,
    /// Where blank lines and comments above the header begin.
    gap: usize,
}

/// The sections in the order of the text.
pub(super) struct Layout<'a> {
    text: &'a str,
    pub(super) sections: Vec<Section<'a>>,
    /// Where blank lines and comments at the end begin.
    trailing: usize,
    /// Where lines for an editor at the top of the file end.
    directives: usize,
}

impl<'a> Layout<'a> {
    pub(super) fn of(doc: &'a Doc<'_>) -> Self {
        let text = doc.raw();
        let root = Section { path: Vec::new(), table: doc.as_table(), header: 0..0, gap: 0 };
        let mut sections = vec![root];
        headers(text, doc.as_table(), &[], &mut sections);
        sections.sort_by_key(|it| it.header.start);
        let trailing = doc.trailing().span().map_or(text.len(), |it| it.start);
        let directives = text.split_inclusive('\n').take_while(|it| it.starts_with("#:"));
        let directives = directives.map(str::len).sum();
        Self { text, sections, trailing, directives }
    }

    pub(super) fn below(&self, path: &[Step]) -> impl Iterator<Item = usize> {
        (0..self.sections.len()).filter(move |at| self.sections[*at].path.starts_with(path))
    }

    /// Where the comments begin that are a section's own: those on the lines directly above its
    /// header. What is said to an editor at the top of the file is said of the file.
    pub(super) fn start(&self, at: usize) -> usize {
        let Section { header, gap, .. } = &self.sections[at];
        lines::glued(self.text, lines::start(self.text, header.start), (*gap).max(self.directives))
    }

    /// Where a section ends: behind its last key and the comments on the lines directly below it.
    pub(super) fn end(&self, at: usize) -> usize {
        let next = self.sections.get(at + 1);
        let gap = next.map_or(self.trailing, |it| it.gap);
        let stop = next.map_or(self.text.len(), |it| lines::start(self.text, it.header.start));
        let mut last = gap;
        while last < stop && lines::is_comment(&self.text[last..lines::end(self.text, last)]) {
            last = lines::end(self.text, last);
        }
        // Comments that reach the next header speak of it.
        if next.is_some() && last == stop { gap } else { last }
    }

    /// The lines of all sections at and below a path, each run of them as one.
    pub(super) fn runs(&self, path: &[Step]) -> Vec<Range<usize>> {
        self.joined(self.below(path))
    }

    /// The same for each entry of a list.
    pub(super) fn entries(&self, list: &str) -> BTreeMap<usize, Vec<Range<usize>>> {
        let mut sections: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for at in self.below(&[Step::from(list)]) {
            if let Some(Step::At(entry)) = self.sections[at].path.get(1) {
                sections.entry(*entry).or_default().push(at);
            }
        }
        sections.into_iter().map(|(entry, it)| (entry, self.joined(it.into_iter()))).collect()
    }

    fn joined(&self, sections: impl Iterator<Item = usize>) -> Vec<Range<usize>> {
        let mut runs: Vec<(usize, usize)> = Vec::new();
        for at in sections {
            match runs.last_mut() {
                Some(run) if run.1 + 1 == at => run.1 = at,
                _ => runs.push((at, at)),
            }
        }
        runs.into_iter().map(|(first, last)| self.start(first)..self.end(last)).collect()
    }
}

fn headers<'a>(text: &str, table: &'a Table, path: &[Step], found: &mut Vec<Section<'a>>) {
    let section = |table: &'a Table, path: Vec<Step>, found: &mut Vec<Section<'a>>| {
        if Node::Table(table).is_physical() {
            let header = table.span().unwrap_or_default();
            let white = table.decor().prefix().and_then(RawString::span);
            let gap = white.map_or(lines::start(text, header.start), |it| it.start);
            found.push(Section { path: path.clone(), table, header, gap });
        }
        headers(text, table, &path, found);
    };
    for (name, item) in table {
        let path = below(path, name);
        match item {
            Item::Table(it) => section(it, path, found),
            Item::ArrayOfTables(list) => {
                for (at, it) in list.iter().enumerate() {
                    section(it, below(&path, Step::At(at)), found);
                }
            }
            _ => {}
        }
    }
}
