//! What one text has that another has not: in words, by key, and as a patch.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use similar::{Algorithm, TextDiff};

use super::edit::{self, Kind};

/// Parts of a sentence; what is more is only counted.
const PARTS: usize = 5;
/// Keys named in one part.
const KEYS: usize = 4;
/// Characters of a name.
const NAME: usize = 64;

/// What changed between two texts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes {
    /// `provider `groq` added, 1 setting changed (`tls.mode`)`; no value is in it. Empty when the
    /// texts are equal or one of them is not TOML.
    pub words: String,
    /// Each value that changed, by a path with names for entries (`providers.groq.base_url`), as it
    /// was and as it is. A list whose entries only changed their places stands with their names.
    pub values: BTreeMap<String, (Option<Value>, Option<Value>)>,
}

/// Compares the values of two texts; of a text that is not TOML, nothing is known.
pub fn between(old: &str, new: &str) -> Changes {
    let (Ok(was), Ok(is)) = (edit::values(old), edit::values(new)) else {
        return Changes::default();
    };
    let mut found = Compared::default();
    for kind in Kind::all() {
        found.list(kind, &entries(&was, kind), &entries(&is, kind));
    }
    found.settings(&was, &is);
    let words = match found.sentence() {
        words if words.is_empty() && old != new => "comments and spacing".to_owned(),
        words => words,
    };
    Changes { words, values: found.values }
}

/// The entries of a list by name; of two with one name, the later one has its place beside it.
fn entries(root: &Value, kind: Kind) -> Vec<(String, &Value)> {
    let mut seen = BTreeSet::new();
    let list = root[kind.list()].as_array().into_iter().flatten().enumerate();
    list.map(|(at, entry)| {
        let mut name = kind.name_of(entry[kind.name_key()].as_str(), at);
        if name.is_empty() || seen.contains(&name) {
            name = format!("{name}#{}", at + 1);
        }
        seen.insert(name.clone());
        (name, entry)
    })
    .collect()
}

#[derive(Default)]
struct Compared {
    parts: Vec<String>,
    values: BTreeMap<String, (Option<Value>, Option<Value>)>,
}

impl Compared {
    fn list(&mut self, kind: Kind, old: &[(String, &Value)], new: &[(String, &Value)]) {
        let get = |list: &[(String, &Value)], name: &str| {
            list.iter().find(|it| it.0 == name).map(|it| it.1.clone())
        };
        let mut gone: Vec<_> = old.iter().filter(|it| get(new, &it.0).is_none()).collect();
        for (name, value) in new {
            let path = [kind.list(), name];
            let quoted = named(name);
            let word = kind.word();
            let Some(was) = get(old, name) else {
                let same =
                    |it: &&(String, &Value)| without_name(kind, it.1) == without_name(kind, value);
                if let Some(at) = gone.iter().position(same) {
                    let (from, was) = gone.remove(at);
                    self.parts.push(format!("{word} {} renamed to {quoted}", named(from)));
                    self.leaves(&[kind.list(), from], Some(was), None);
                } else {
                    self.parts.push(format!("{word} {quoted} added"));
                }
                self.leaves(&path, None, Some(value));
                continue;
            };
            let keys = self.leaves(&path, Some(&was), Some(value));
            if !keys.is_empty() {
                self.parts.push(format!("{word} {quoted} changed ({})", listed(&keys)));
            }
        }
        for (name, value) in gone {
            self.parts.push(format!("{} {} removed", kind.word(), named(name)));
            self.leaves(&[kind.list(), name], Some(value), None);
        }
        let order = |list: &[(String, &Value)], other: &[(String, &Value)]| -> Vec<Value> {
            let both = list.iter().filter(|it| get(other, &it.0).is_some());
            both.map(|it| it.0.as_str().into()).collect()
        };
        let (was, is) = (order(old, new), order(new, old));
        if was != is {
            self.parts.push(format!("order of {}s changed", kind.word()));
            self.values.insert(kind.list().to_owned(), (Some(was.into()), Some(is.into())));
        }
    }

    fn settings(&mut self, old: &Value, new: &Value) {
        let settings = |root: &Value| {
            let mut root = root.clone();
            if let Some(map) = root.as_object_mut() {
                map.retain(|key, it| Kind::of_list(key).is_none() || !it.is_array());
            }
            root
        };
        let keys = self.leaves(&[], Some(&settings(old)), Some(&settings(new)));
        if !keys.is_empty() {
            let plural = if keys.len() == 1 { "" } else { "s" };
            self.parts.push(format!("{} setting{plural} changed ({})", keys.len(), listed(&keys)));
        }
    }

    /// Notes each leaf that differs below a path, and returns their paths from there on.
    fn leaves(&mut self, path: &[&str], old: Option<&Value>, new: Option<&Value>) -> Vec<String> {
        let (mut was, mut is) = (BTreeMap::new(), BTreeMap::new());
        old.into_iter().for_each(|it| flatten(it, "", &mut was));
        new.into_iter().for_each(|it| flatten(it, "", &mut is));
        let prefix = path.iter().map(|it| edit::path_part(it)).collect::<Vec<_>>().join(".");
        let keys: BTreeSet<_> = was.keys().chain(is.keys()).cloned().collect();
        let changed: Vec<_> = keys.into_iter().filter(|it| was.get(it) != is.get(it)).collect();
        for key in &changed {
            let full = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
            self.values.insert(full, (was.remove(key), is.remove(key)));
        }
        changed
    }

    fn sentence(&self) -> String {
        let mut parts: Vec<_> = self.parts.iter().take(PARTS).cloned().collect();
        if self.parts.len() > PARTS {
            parts.push(format!("and {} more", self.parts.len() - PARTS));
        }
        parts.join(", ")
    }
}

/// Tables are walked into, all else is a leaf; a table without keys says nothing.
fn flatten(value: &Value, path: &str, found: &mut BTreeMap<String, Value>) {
    let Value::Object(map) = value else {
        found.insert(path.to_owned(), value.clone());
        return;
    };
    for (key, value) in map {
        let key = edit::path_part(key);
        let path = if path.is_empty() { key } else { format!("{path}.{key}") };
        flatten(value, &path, found);
    }
}

fn without_name(kind: Kind, entry: &Value) -> Map<String, Value> {
    let mut entry = entry.as_object().cloned().unwrap_or_default();
    entry.shift_remove(kind.name_key());
    entry
}

/// A name for one line of a log, whatever is in it.
fn named(name: &str) -> String {
    let mut text: String = name.chars().take(NAME).flat_map(char::escape_debug).collect();
    if name.chars().count() > NAME {
        text.push('…');
    }
    format!("`{text}`")
}

fn listed(keys: &[String]) -> String {
    let mut names: Vec<_> = keys.iter().take(KEYS).map(|it| named(it)).collect();
    if keys.len() > KEYS {
        names.push(format!("and {} more", keys.len() - KEYS));
    }
    names.join(", ")
}

/// The unified diff that `patch -p1` and `git apply` take, `name` being the file's.
pub fn patch(name: &str, old: &str, new: &str) -> String {
    // Lines end where `patch` says so; a lone `\r` is no line end to it.
    let lines = |text| str::split_inclusive(text, '\n').collect::<Vec<_>>();
    let (old, new) = (lines(old), lines(new));
    let diff = TextDiff::configure()
        .algorithm(Algorithm::Patience)
        .newline_terminated(true)
        .diff_slices(&old, &new);
    // A tab ends a name that has spaces in it.
    let end = if name.contains(' ') { "\t" } else { "" };
    diff.unified_diff()
        .context_radius(3)
        .header(&format!("a/{name}{end}"), &format!("b/{name}{end}"))
        .to_string()
}

#[cfg(test)]
mod tests;
