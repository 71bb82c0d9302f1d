//! What the schema says of a path: whether there is such a key, its place among its neighbours, and
//! how a dotted path reads.

use serde_json::{Map, Value as Schema};
use toml_edit::Key;

use super::{
    EditError, Kind,
    tree::{Step, below},
};
use crate::config::{problem::nearest, schema::full_schema};

/// What the schema, or one of its alternatives, has under a word of its own.
fn part<'s>(schema: &'s Schema, word: &str) -> Option<&'s Schema> {
    let branches = || schema["anyOf"].as_array().into_iter().flatten();
    schema
        .get(word)
        .filter(|it| it.is_object())
        .or_else(|| branches().find_map(|it| part(it, word)))
}

/// The schema of what a table or a list holds there.
pub(super) fn inner<'s>(schema: &'s Schema, step: &Step) -> Option<&'s Schema> {
    match step {
        Step::Key(key) => {
            let named = part(schema, "properties").and_then(|it| it.get(key));
            named.or_else(|| part(schema, "additionalProperties"))
        }
        Step::At(_) => part(schema, "items"),
    }
}

/// The schema of a path; none below a person's own `x-` tables.
pub(super) fn at(path: &[Step]) -> Option<&'static Schema> {
    path.iter().try_fold(full_schema(), inner)
}

/// The place of a key among those that its table can have; unknown ones come last.
pub(super) fn order(table: Option<&Schema>, key: &str) -> usize {
    let properties = table.and_then(|it| part(it, "properties")?.as_object());
    properties.and_then(|it| it.keys().position(|it| it == key)).unwrap_or(usize::MAX)
}

pub(super) fn is_date(schema: Option<&Schema>) -> bool {
    schema.is_some_and(|it| it["format"] == "date-time")
}

/// Whether values have only known keys; if not, the path of the first that is unknown.
pub(super) fn check(path: &[Step], values: &Map<String, Schema>) -> Result<(), EditError> {
    for (key, value) in values {
        check_value(&below(path, key.as_str()), value)?;
    }
    Ok(())
}

fn check_value(path: &[Step], value: &Schema) -> Result<(), EditError> {
    if is_own(path) {
        return Ok(());
    }
    let Some(schema) = at(path) else { return Err(EditError::NoKey(dotted(path))) };
    match value {
        // Where no table belongs, the words of the loader are better than "no such key".
        Schema::Object(values) if part(schema, "properties").is_some() => check(path, values),
        Schema::Array(items) if part(schema, "items").is_some() => {
            items.iter().try_for_each(|it| check_value(&below(path, Step::At(0)), it))
        }
        _ => Ok(()),
    }
}

fn is_own(path: &[Step]) -> bool {
    matches!(path.first(), Some(Step::Key(key)) if key.starts_with("x-"))
}

/// A path as a person writes it.
pub(super) fn dotted(path: &[Step]) -> String {
    let name = |it: &Step| match it {
        Step::Key(key) => Key::new(key).display_repr().into_owned(),
        Step::At(at) => at.to_string(),
    };
    path.iter().map(name).collect::<Vec<_>>().join(".")
}

/// What a dotted path names.
#[derive(Debug, PartialEq)]
pub(super) enum Place {
    /// A key outside of the lists.
    Setting(Vec<Step>),
    List(Kind),
    /// An entry, and what of it.
    Entry(Kind, String, Vec<Step>),
}

pub(super) fn place(path: &str) -> Result<Place, EditError> {
    let keys = Key::parse(path).map_err(|_| {
        EditError::Value(format!(
            "`{path}` is no path; a name with other signs than letters, digits, `-` and `_` is written in quotes"
        ))
    })?;
    let mut keys = keys.iter().map(Key::get);
    let first = keys.next().unwrap_or_default();
    let place = match Kind::of_list(first) {
        None => Place::Setting([first].into_iter().chain(keys).map(Step::from).collect()),
        Some(kind) => match keys.next() {
            None => Place::List(kind),
            Some(name) => Place::Entry(kind, name.to_owned(), keys.map(Step::from).collect()),
        },
    };
    let steps = match &place {
        Place::Setting(steps) => steps.clone(),
        Place::List(_) => Vec::new(),
        Place::Entry(kind, _, rest) => {
            kind.entry(0).into_iter().chain(rest.iter().cloned()).collect()
        }
    };
    if is_own(&steps) || at(&steps).is_some() {
        return Ok(place);
    }
    Err(EditError::NoKey(path.to_owned()))
}

/// `there is no key `tls.mod`; did you mean `mode`?`
pub(super) fn no_key(path: &str) -> String {
    let keys = Key::parse(path).unwrap_or_default();
    let mut schema = full_schema();
    let mut keys = keys.iter().map(Key::get);
    let mut near = None;
    while let Some(key) = keys.next() {
        let Some(next) = inner(schema, &Step::from(key)) else {
            let known = part(schema, "properties").and_then(Schema::as_object);
            let known = known.into_iter().flatten();
            let known = known.filter(|it| it.1.get("x-legacy").is_none());
            near = nearest(key, known.map(|it| it.0.as_str()));
            break;
        };
        schema = next;
        if let Some(items) =
            inner(schema, &Step::At(0)).filter(|it| part(it, "properties").is_some())
        {
            schema = items; // behind a list stands a name
            keys.next();
        }
    }
    let near = near.map_or(String::new(), |it| format!("; did you mean `{it}`?"));
    format!("there is no key `{path}`{near}")
}
