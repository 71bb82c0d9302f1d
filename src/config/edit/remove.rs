//! What stands at a place goes: a key with its line, a table with all of its lines.

use std::ops::Range;

use toml_edit::{InlineTable, Table, Value};

use super::{
    EditError, Splice,
    array::Items,
    layout::{Layout, Leaf, inline_leaves, table_leaves},
    lines,
    splice::{Op, in_turn},
    tree::{Doc, Node, Step, at, host},
};

/// The place holds nothing; a table that loses its last key goes too, unless a comment is in it.
pub(super) fn take(doc: &Doc<'_>, path: &[Step]) -> Result<Vec<Splice>, EditError> {
    let text = doc.raw();
    let Some((last, parent)) = path.split_last() else { return Ok(Vec::new()) };
    let (Some(node), Some(around)) = (at(doc, path), at(doc, parent)) else {
        return Ok(Vec::new());
    };
    if let Step::At(index) = last {
        return Ok(match around {
            Node::Value(Value::Array(array)) => {
                Items::of_array(text, array).remove(*index, node.table().is_some())
            }
            _ => sections(doc, path),
        });
    }
    let host = host(doc, parent);
    let (table, names) = path.split_at(host.depth);
    let names: Vec<&str> = names.iter().filter_map(Step::key).collect();
    let mut splices =
        if let Node::Table(_) | Node::List(_) = node { sections(doc, path) } else { Vec::new() };
    match host.node {
        Node::Table(it) => splices.extend(lines_of(doc, table, it, &names)),
        Node::Inline(it) => splices.extend(elements_of(doc, table, it, &names)?),
        Node::List(_) | Node::Value(_) => {}
    }
    Ok(splices)
}

/// All headers at and below a path, with their lines and comments.
fn sections(doc: &Doc<'_>, path: &[Step]) -> Vec<Splice> {
    let runs = Layout::of(doc).runs(path);
    runs.into_iter().map(|it| lines::cut(doc.raw(), it)).collect()
}

fn lines_of(doc: &Doc<'_>, path: &[Step], table: &Table, names: &[&str]) -> Vec<Splice> {
    let text = doc.raw();
    let leaves = table_leaves(text, table);
    let (gone, kept): (Vec<_>, Vec<_>) = leaves.iter().partition(|it| it.path.starts_with(names));
    if !gone.is_empty() && kept.is_empty() && matches!(path.last(), Some(Step::Key(_))) {
        let layout = Layout::of(doc);
        if layout.below(path).count() == 1
            && let [run] = &layout.runs(path)[..]
            && !has_comment(text, run, &gone)
        {
            return vec![lines::cut(text, run.clone())];
        }
    }
    // Neighbours go as one, so that no gap is counted twice.
    let mut cuts: Vec<Range<usize>> = Vec::new();
    for leaf in gone {
        let span = leaf.span();
        let line = lines::start(text, span.start)..lines::end(text, span.end);
        match cuts.last_mut() {
            Some(last) if last.end == line.start => last.end = line.end,
            _ => cuts.push(line),
        }
    }
    let stays = |at: usize| {
        let is_value = leaves.iter().any(|it| it.start < at && it.span().end >= at);
        !is_value && !text[lines::start(text, at.saturating_sub(1))..].starts_with("#:")
    };
    let cut = |line: Range<usize>| {
        let mut cut = lines::cut(text, line);
        let Range { start, end } = cut.span;
        // A comment above stays where it is, and does not become one of the next header.
        if lines::is_comment_above(text, start) && stays(start) && lines::leads_to_header(text, end)
        {
            lines::ending(text).clone_into(&mut cut.text);
        }
        cut
    };
    cuts.into_iter().map(cut).collect()
}

/// Whether a comment stands in the lines, outside of the values.
fn has_comment(text: &str, lines: &Range<usize>, leaves: &[&Leaf<'_>]) -> bool {
    let mut from = lines.start;
    let mut found = false;
    for leaf in leaves {
        found |= text[from..leaf.start].contains('#');
        from = leaf.span().end;
    }
    found || text[from..lines.end].contains('#')
}

fn elements_of(
    doc: &Doc<'_>,
    path: &[Step],
    table: &InlineTable,
    names: &[&str],
) -> Result<Vec<Splice>, EditError> {
    let leaves = inline_leaves(table);
    let items = Items::of_table(doc.raw(), table);
    let gone: Vec<_> = (0..leaves.len()).filter(|it| leaves[*it].path.starts_with(names)).collect();
    let [first, ..] = gone[..] else { return Ok(Vec::new()) };
    let is_key = matches!(path.last(), Some(Step::Key(_)));
    if gone.len() == leaves.len() && is_key && !items.has_comments() {
        return take(doc, path);
    }
    if gone.len() == 1 {
        return Ok(items.remove(first, false));
    }
    // A table of dotted keys: one after the other, since each takes a comma with it.
    let leaf = |it: &usize| leaves[*it].path.iter().copied().map(Step::from);
    let ops = gone.iter().map(|it| Op::Take(path.iter().cloned().chain(leaf(it)).collect()));
    in_turn(doc, &ops.collect::<Vec<_>>())
}
