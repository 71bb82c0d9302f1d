//! What it takes to make a place hold new values: as few changes of single keys and elements as
//! serve.

use serde_json::Value as Json;
use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::{
    entry::without_nulls,
    splice::Op,
    tree::{Node, Step, below, same},
};

/// Keys that are absent keep their values, `null` removes; so do tables in tables.
pub(super) fn merge(node: Node<'_>, path: &[Step], values: &Json) -> Vec<Op> {
    place(Some(node), path, values, false)
}

fn place(node: Option<Node<'_>>, path: &[Step], value: &Json, exactly: bool) -> Vec<Op> {
    match (node, value) {
        (None, Json::Null) => Vec::new(),
        (Some(_), Json::Null) => vec![Op::Take(path.to_vec())],
        (Some(node), Json::Object(_)) if node.table().is_some() => {
            table(node, path, value, exactly)
        }
        (Some(Node::Value(_)), Json::Array(new)) if node.and_then(Node::elements).is_some() => {
            array(&node.and_then(Node::elements).unwrap_or_default(), path, new)
        }
        (Some(node), value) if same(&node.json(), value) => Vec::new(),
        (Some(Node::Table(_) | Node::List(_)), _) => {
            vec![Op::Take(path.to_vec()), Op::Put(path.to_vec(), value.clone())]
        }
        (None, Json::Object(values)) if path.len() == 1 => {
            // A table at the top gets a header, and its keys one by one.
            values
                .iter()
                .flat_map(|it| place(None, &below(path, it.0.as_str()), it.1, exactly))
                .collect()
        }
        (_, value) => {
            let mut value = value.clone();
            without_nulls(&mut value);
            let is_nothing = value.as_object().is_some_and(serde_json::Map::is_empty);
            if is_nothing { Vec::new() } else { vec![Op::Put(path.to_vec(), value)] }
        }
    }
}

fn table(node: Node<'_>, path: &[Step], values: &Json, exactly: bool) -> Vec<Op> {
    let values = values.as_object().into_iter().flatten();
    // What goes goes last, or the table might be gone before its new keys come.
    let (gone, put): (Vec<_>, Vec<_>) = values.clone().partition(|it| it.1.is_null());
    let ops = put
        .into_iter()
        .chain(gone)
        .flat_map(|(key, value)| place(node.get(key), &below(path, key.as_str()), value, exactly));
    let mut ops: Vec<Op> = ops.collect();
    if exactly {
        let old = node.table().into_iter().flat_map(toml_edit::TableLike::iter);
        let gone = old.filter(|old| !values.clone().any(|it| it.0 == old.0));
        ops.extend(gone.map(|it| Op::Take(below(path, it.0))));
    }
    ops
}

/// Elements that are equal stay, with the comments beside them. Later ones first, so that the places
/// of the others hold.
fn array(old: &[Node<'_>], path: &[Step], new: &[Json]) -> Vec<Op> {
    let canonical = |it: &Json| it.to_string();
    let before: Vec<_> = old.iter().map(|it| canonical(&it.json())).collect();
    let after: Vec<_> = new.iter().map(canonical).collect();
    let element = |at: usize| below(path, Step::At(at));
    let mut ops = Vec::new();
    for op in capture_diff_slices(Algorithm::Myers, &before, &after).into_iter().rev() {
        let (_, was, is) = op.as_tag_tuple();
        if let DiffOp::Equal { .. } = op {
            continue;
        }
        let both = was.len().min(is.len());
        ops.extend(was.clone().skip(both).rev().map(|it| Op::Take(element(it))));
        ops.extend(
            is.clone()
                .skip(both)
                .rev()
                .map(|it| Op::Insert(path.to_vec(), was.start + both, new[it].clone())),
        );
        for (was, is) in was.zip(is).rev() {
            ops.extend(place(Some(old[was]), &element(was), &new[is], true));
        }
    }
    ops
}
