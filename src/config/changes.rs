//! What one text has that another has not: in words, by key, and as a patch.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;
use similar::TextDiff;

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
    fn list<'a>(
        &mut self,
        kind: Kind,
        old: &'a [(String, &'a Value)],
        new: &'a [(String, &'a Value)],
    ) {
        let by_name = |list: &'a [(String, &'a Value)]| -> HashMap<&'a str, &'a Value> {
            list.iter().map(|it| (it.0.as_str(), it.1)).collect()
        };
        let (was, is) = (by_name(old), by_name(new));
        let gone = old.iter().filter(|it| !is.contains_key(it.0.as_str()));
        let mut gone: BTreeMap<&str, &Value> = gone.map(|it| (it.0.as_str(), it.1)).collect();
        let mut same: HashMap<String, &str> =
            gone.iter().map(|it| (without_name(kind, it.1), *it.0)).collect();
        for (name, value) in new {
            let path = [kind.list(), name];
            let quoted = named(name);
            let word = kind.word();
            let Some(was) = was.get(name.as_str()) else {
                let from = same.remove(&without_name(kind, value));
                if let Some((from, was)) = from.and_then(|it| gone.remove_entry(it)) {
                    self.parts.push(format!("{word} {} renamed to {quoted}", named(from)));
                    self.leaves(&[kind.list(), from], Some(was), None);
                } else {
                    self.parts.push(format!("{word} {quoted} added"));
                }
                self.leaves(&path, None, Some(value));
                continue;
            };
            let keys = self.leaves(&path, Some(was), Some(value));
            if !keys.is_empty() {
                self.parts.push(format!("{word} {quoted} changed ({})", listed(&keys)));
            }
        }
        for (name, value) in gone {
            self.parts.push(format!("{} {} removed", kind.word(), named(name)));
            self.leaves(&[kind.list(), name], Some(value), None);
        }
        let order = |list: &[(String, &Value)], other: &HashMap<&str, &Value>| -> Vec<Value> {
            let both = list.iter().filter(|it| other.contains_key(it.0.as_str()));
            both.map(|it| it.0.as_str().into()).collect()
        };
        let (was, is) = (order(old, &is), order(new, &was));
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
        for (value, found) in [(old, &mut was), (new, &mut is)] {
            if let Some(value) = value {
                flatten(value, "", found);
            }
        }
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

/// All that an entry says but its name.
fn without_name(kind: Kind, entry: &Value) -> String {
    let mut entry = entry.as_object().cloned().unwrap_or_default();
    entry.shift_remove(kind.name_key());
    Value::Object(entry).to_string()
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
    let diff = TextDiff::configure().newline_terminated(true).diff_slices(&old, &new);
    // A tab ends a name that has spaces in it.
    let end = if name.contains(' ') { "\t" } else { "" };
    diff.unified_diff()
        .context_radius(3)
        .header(&format!("a/{name}{end}"), &format!("b/{name}{end}"))
        .to_string()
}

#[cfg(test)]
mod tests;
