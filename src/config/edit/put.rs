//! A value at a place: in the old one's bytes, or as a new key beside its neighbours.

use serde_json::{Map, Value as Json};
use toml_edit::{InlineTable, Table, Value};

use super::{
    EditError, Splice,
    array::Items,
    known,
    layout::{Layout, Leaf, inline_leaves, span, table_leaves},
    lines,
    render::{self, Quote, Spacing, Style},
    tree::{Doc, Node, Step, at, host, same},
};

/// The place holds the value.
pub(super) fn put(doc: &Doc<'_>, path: &[Step], value: &Json) -> Result<Vec<Splice>, EditError> {
    match at(doc, path) {
        Some(Node::Value(old)) => replace(doc, path, old, value),
        Some(node @ Node::Inline(old)) if node.is_physical() => {
            replace(doc, path, &Value::InlineTable(old.clone()), value)
        }
        Some(_) => Err(EditError::Value(format!("`{}` is a table", known::dotted(path)))),
        None => insert(doc, path, value),
    }
}

fn replace(
    doc: &Doc<'_>,
    path: &[Step],
    old: &Value,
    value: &Json,
) -> Result<Vec<Splice>, EditError> {
    let text = doc.raw();
    let style = Style {
        dates: !old.is_str(),
        fractions: old.is_float() && value.is_number(),
        ..Style::new(text, Quote::of(text, old).unwrap_or_default())
    };
    let rendered = render::value(value, known::at(path), style)?;
    let was = at(doc, path).map(Node::json);
    let is_equal = was.is_some_and(|it| same(&it, value)) || text[span(old)] == rendered;
    Ok(if is_equal { Vec::new() } else { vec![Splice { span: span(old), text: rendered }] })
}

fn insert(doc: &Doc<'_>, path: &[Step], value: &Json) -> Result<Vec<Splice>, EditError> {
    let no_key = || EditError::NoKey(known::dotted(path));
    let Some((_, parent)) = path.split_last() else { return Err(no_key()) };
    let host = host(doc, parent);
    if host.last.table().is_none() {
        let message = format!("`{}` is no table", known::dotted(&path[..host.reached]));
        return Err(EditError::Value(message));
    }
    // Tables that are not there yet are written as values, but for one at the top.
    let top = usize::from(host.reached == 0 && !parent.is_empty());
    let Some((Step::Key(key), rest)) = path[host.reached + top..].split_first() else {
        return Err(no_key());
    };
    let mut value = value.clone();
    for step in rest.iter().rev() {
        let Step::Key(key) = step else { return Err(no_key()) };
        value = Json::Object(Map::from_iter([(key.clone(), value)]));
    }
    let path = &path[..=host.reached + top];
    let dotted = path[host.depth..host.reached].iter().filter_map(Step::key).collect();
    let new = New { doc, path, table: &path[..host.depth], dotted, key, value: &value };
    match (host.node, path) {
        (_, [Step::Key(name), ..]) if top == 1 => new.section(name),
        (Node::Table(table), _) => new.line(table),
        (Node::Inline(table), _) => new.element(table),
        (Node::List(_) | Node::Value(_), _) => Err(no_key()),
    }
}

/// A key that is not there yet.
struct New<'a> {
    doc: &'a Doc<'a>,
    path: &'a [Step],
    /// The table with a header or braces of its own where it goes, and the names from there on.
    table: &'a [Step],
    dotted: Vec<&'a str>,
    key: &'a str,
    value: &'a Json,
}

impl New<'_> {
    fn render(&self, quote: Quote) -> Result<String, EditError> {
        let schema = known::at(self.path);
        let dates = !known::is_date(schema) || super::names::writes_dates(self.doc, self.path);
        let style = Style { dates, ..Style::new(self.doc.raw(), quote) };
        render::value(self.value, schema, style)
    }

    /// The key as it stands in that table.
    fn name(&self) -> String {
        let names = self.dotted.iter().copied().chain([self.key]);
        names.map(render::key).collect::<Vec<_>>().join(".")
    }

    /// The neighbour after which the key goes by the order of the schema; none: before all others.
    fn neighbour<'l, 'a>(&self, all: &'l [Leaf<'a>]) -> (Vec<&'l Leaf<'a>>, Option<&'l Leaf<'a>>) {
        let in_table = all.iter().filter(|it| it.path.starts_with(&self.dotted));
        let mut siblings: Vec<_> =
            in_table.filter(|it| it.path.len() > self.dotted.len()).collect();
        let mut depth = self.dotted.len();
        if siblings.is_empty() {
            // The table stands below headers only: its first key goes where the table belongs.
            (siblings, depth) = (all.iter().collect(), 0);
        }
        let table =
            self.table.iter().cloned().chain(self.dotted[..depth].iter().copied().map(Step::from));
        let schema = known::at(&table.collect::<Vec<_>>());
        let order = |name: &str| known::order(schema, name);
        let mine = order(self.dotted.get(depth).copied().unwrap_or(self.key));
        let before = siblings.iter().filter(|it| order(it.path[depth]) <= mine);
        let found = before.max_by_key(|it| (order(it.path[depth]), it.start)).copied();
        (siblings, found)
    }

    fn line(&self, table: &Table) -> Result<Vec<Splice>, EditError> {
        let text = self.doc.raw();
        let leaves = table_leaves(text, table);
        let (siblings, after) = self.neighbour(&leaves);
        let near = after.or(siblings.first().copied());
        let quote = quote_near(text, near, &siblings);
        let spacing = Spacing::of(text, near, &leaves);
        let indent = near.map_or("", |it| lines::indent(text, it.start));
        let pair = spacing.pair(&self.name(), &self.render(quote)?);
        let line = format!("{indent}{pair}");
        let place = match (after, siblings.first()) {
            (Some(it), _) => lines::end(text, it.span().end),
            // A comment above the first key speaks of that, or of the whole file.
            (None, Some(it)) if self.table.is_empty() || !self.dotted.is_empty() => {
                let first = lines::start(text, it.start);
                if lines::is_comment_above(text, first) {
                    lines::end(text, it.span().end)
                } else {
                    first
                }
            }
            _ if self.table.is_empty() => return Ok(vec![top(self.doc, &line)]),
            _ => lines::end(text, table.span().unwrap_or_default().end),
        };
        Ok(vec![lines::insert(text, place, &line)])
    }

    fn element(&self, table: &InlineTable) -> Result<Vec<Splice>, EditError> {
        let text = self.doc.raw();
        let leaves = inline_leaves(table);
        let (siblings, after) = self.neighbour(&leaves);
        let near = after.or(siblings.first().copied());
        let quote = quote_near(text, near, &siblings).one_line();
        let spacing = Spacing::of(text, near, &[]);
        let mut piece = spacing.pair(&self.name(), &self.render(quote)?);
        let inside = table.span().map(|it| &text[it.start + 1..it.end - 1]).unwrap_or_default();
        if leaves.is_empty() && !inside.contains('\n') {
            piece = if inside.is_empty() { format!(" {piece} ") } else { format!(" {piece}") };
        }
        let index = after.and_then(|it| leaves.iter().position(|leaf| leaf.start == it.start));
        Ok(Items::of_table(text, table).insert(index.map_or(0, |it| it + 1), &piece))
    }

    /// A table at the top that is not there yet: at the end, where it takes no key from another.
    fn section(&self, name: &str) -> Result<Vec<Splice>, EditError> {
        let text = self.doc.raw();
        let quote = Quote::default();
        let ending = lines::ending(text);
        let pair = format!("{} = {}", render::key(self.key), self.render(quote)?);
        let section = format!("[{}]{ending}{pair}", render::key(name));
        Ok(vec![append(text, lines::content_end(text), 1, &section)])
    }
}

/// A block of lines behind others, with so many blank lines between; none at the top of a file.
pub(super) fn append(text: &str, place: usize, gap: usize, block: &str) -> Splice {
    let gap = if lines::is_blank(&text[..place]) { 0 } else { gap };
    lines::insert(text, place, &format!("{}{block}", lines::ending(text).repeat(gap)))
}

/// The first key of a file that begins with a header, or has only comments.
fn top(doc: &Doc<'_>, line: &str) -> Splice {
    let text = doc.raw();
    let layout = Layout::of(doc);
    if layout.sections.len() < 2 {
        return lines::insert(text, lines::content_end(text), line);
    }
    let place = layout.start(1);
    let alone = place == 0 || lines::blank_above(text, place).1 > 0;
    let gap = if alone { lines::ending(text) } else { "" };
    lines::insert(text, place, &format!("{line}{gap}"))
}

/// The quotes of the nearest string.
fn quote_near(text: &str, near: Option<&Leaf<'_>>, all: &[&Leaf<'_>]) -> Quote {
    let quote = |it: &Leaf<'_>| Quote::of(text, it.value);
    let others = all.iter().find_map(|it| quote(it));
    near.and_then(quote).or(others).unwrap_or_default().one_line()
}
