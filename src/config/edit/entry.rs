//! Entries come, change and go.

use serde_json::{Map, Value as Json};
use toml_edit::Value;

use super::{
    EditError, Kind, Splice,
    array::Items,
    credential, known,
    layout::{Layout, inline_leaves, table_leaves},
    lines,
    merge::merge,
    names::{self, entries, find},
    put::append,
    remove::take,
    rename,
    render::{self, Quote, Spacing, Style},
    splice::in_turn,
    tree::{Doc, Node, Step, at},
};

/// A new entry behind the last of its list, in the style of that.
pub(super) fn add(
    doc: &Doc<'_>,
    kind: Kind,
    values: &Map<String, Json>,
) -> Result<Vec<Splice>, EditError> {
    let name =
        values.get(kind.name_key()).and_then(Json::as_str).map(str::trim).unwrap_or_default();
    if name.is_empty() {
        return Err(EditError::Value(format!("a {} needs `{}`", kind.word(), kind.name_key())));
    }
    if find(doc, kind, name).is_ok() {
        return Err(EditError::Exists { kind: kind.word(), name: name.to_owned() });
    }
    let list = [Step::from(kind.list())];
    check(kind, name, values)?;
    match at(doc, &list) {
        Some(Node::Value(Value::Array(array))) => {
            let text = doc.raw();
            let pairs = pairs(doc, kind, values)?;
            let near = array.iter().filter_map(Value::as_inline_table).last();
            let leaves = near.map(inline_leaves).unwrap_or_default();
            let spacing = Spacing::of(text, leaves.first(), &[]);
            let pairs: Vec<_> = pairs.iter().map(|it| spacing.pair(&it.0, &it.1)).collect();
            let tight = leaves.first().is_some_and(|it| text[..it.start].ends_with('{'));
            let (open, close) = if tight { ("{", "}") } else { ("{ ", " }") };
            let piece = format!("{open}{}{close}", pairs.join(", "));
            Ok(Items::of_array(text, array).insert(array.len(), &piece))
        }
        None | Some(Node::List(_)) => block(doc, kind, values),
        Some(_) => Err(EditError::Value(format!("`{}` is no list", kind.list()))),
    }
}

/// Whether an entry can have such keys.
fn check(kind: Kind, name: &str, values: &Map<String, Json>) -> Result<(), EditError> {
    let entry = kind.entry(0);
    known::check(&entry, values).map_err(|error| match error {
        EditError::NoKey(path) => {
            let named = known::dotted(&[Step::from(kind.list()), Step::from(name.trim())]);
            EditError::NoKey(path.replacen(&known::dotted(&entry), &named, 1))
        }
        other => other,
    })
}

/// The keys and values of a new entry, in the quotes of the last one.
fn pairs(
    doc: &Doc<'_>,
    kind: Kind,
    values: &Map<String, Json>,
) -> Result<Vec<(String, String)>, EditError> {
    let text = doc.raw();
    let last = entries(doc, kind).pop().map(|it| it.1);
    let leaves = match last {
        Some(Node::Table(it)) => table_leaves(text, it),
        Some(Node::Inline(it)) => inline_leaves(it),
        _ => Vec::new(),
    };
    let quote = leaves.iter().find_map(|it| Quote::of(text, it.value)).unwrap_or_default();
    let mut values = Json::Object(values.clone());
    without_nulls(&mut values);
    let style = Style::new(text, quote.one_line());
    let entry = kind.entry(usize::MAX);
    let dates = |it: &str| names::writes_dates(doc, &super::tree::below(&entry, it));
    let style = Style { dates: dates("expires_at"), ..style };
    render::pairs(&values, known::at(&entry), style)
}

/// `null` says that a key is absent. Tables that hold nothing say nothing.
pub(super) fn without_nulls(value: &mut Json) {
    match value {
        Json::Object(map) => {
            map.values_mut().for_each(without_nulls);
            map.retain(|_, it| !it.is_null() && it.as_object().is_none_or(|it| !it.is_empty()));
        }
        Json::Array(items) => items.iter_mut().filter(|it| it.is_object()).for_each(without_nulls),
        _ => {}
    }
}

/// The entry as lines below a header.
fn block(doc: &Doc<'_>, kind: Kind, values: &Map<String, Json>) -> Result<Vec<Splice>, EditError> {
    let text = doc.raw();
    let layout = Layout::of(doc);
    let pairs = pairs(doc, kind, values)?;
    let list = [Step::from(kind.list())];
    let last_header = layout.below(&list).filter(|it| layout.sections[*it].path.len() == 2).last();
    let leaves = last_header.map(|it| table_leaves(text, layout.sections[it].table));
    let leaves = leaves.unwrap_or_default();
    let spacing = Spacing::of(text, leaves.first(), &leaves).widened(&pairs);
    let indent = leaves.first().map_or("", |it| lines::indent(text, it.start));
    let header = last_header.map(|it| &layout.sections[it].header);
    let header_indent = header.map_or("", |it| lines::indent(text, it.start));
    let header =
        header.map_or_else(|| format!("[[{}]]", kind.list()), |it| text[it.clone()].to_owned());
    let pairs = pairs.iter().map(|it| format!("{indent}{}", spacing.pair(&it.0, &it.1)));
    let lines: Vec<String> =
        [format!("{header_indent}{header}")].into_iter().chain(pairs).collect();
    let place = match layout.below(&list).last() {
        Some(at) => layout.end(at),
        None => lines::content_end(text),
    };
    // As far from the last one as that is from what stands before it. A gap that is wider than the
    // one behind would not go again with the entry.
    let first = last_header.map(|it| layout.start(it)).filter(|it| *it > 0);
    let mut gap = first.map_or(1, |it| lines::blank_above(text, it).1);
    let (below, after) = lines::blank_below(text, place);
    if below < text.len() {
        gap = gap.min(after);
    }
    let above = text[..place].lines().next_back().unwrap_or_default();
    if lines::is_comment(above) || last_header.is_none() {
        gap = gap.max(1);
    }
    Ok(vec![append(text, place, gap, &lines.join(lines::ending(text)))])
}

/// An entry goes with all that is its own.
pub(super) fn remove(doc: &Doc<'_>, kind: Kind, name: &str) -> Result<Vec<Splice>, EditError> {
    take(doc, &kind.entry(find(doc, kind, name)?))
}

/// Keys of an entry; another name is a new name for all who say it.
pub(super) fn change(
    doc: &Doc<'_>,
    kind: Kind,
    name: &str,
    values: &Map<String, Json>,
) -> Result<Vec<Splice>, EditError> {
    let index = find(doc, kind, name)?;
    let entry = kind.entry(index);
    check(kind, name, values)?;
    let mut values = values.clone();
    let Some(node) = at(doc, &entry) else { return Ok(Vec::new()) };
    if kind == Kind::Provider {
        credential::bind(&node.json(), &mut values);
    }
    let mut ops = Vec::new();
    match values.shift_remove(kind.name_key()) {
        Some(Json::String(to)) if to.trim() != name.trim() => {
            ops = rename::ops(doc, kind, name, &to)?;
        }
        None | Some(Json::String(_)) => {}
        Some(_) => {
            return Err(EditError::Value(format!("a {} needs `{}`", kind.word(), kind.name_key())));
        }
    }
    ops.extend(merge(node, &entry, &Json::Object(values)));
    in_turn(doc, &ops)
}
