//! House rules that no linter knows. They run with `cargo test`, like any other rule.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a failed test may panic")]

use std::{collections::BTreeSet, fs, path::Path};

const MAX_LINES: usize = 400;
const MAX_FUNCTION: usize = 60;

/// Barred though the order of the layers would allow it.
const STRANGERS: [(&str, &[&str]); 4] = [
    ("src/admin/", &["gateway"]),
    ("src/client/", &["app", "server", "store"]),
    ("src/cli/toro.rs", &["app", "server", "store"]),
    ("src/gateway/", &["admin"]),
];

/// Words that open a connection; only two modules may say them.
const CONNECTS: [&str; 6] = [
    "TcpStream::connect",
    "UnixStream::connect",
    "HttpConnector",
    "client::conn",
    "Client::builder",
    "UdpSocket",
];

#[test]
fn files_are_short_and_say_what_they_are_for() {
    for (path, text) in sources("src").into_iter().chain(sources("tests")) {
        let lines = code_of(&text).lines().count();
        assert!(lines <= MAX_LINES, "{path}: {lines} lines; split it by what a reader looks for");
        let is_test_module = path.ends_with("tests.rs") && path.starts_with("src");
        assert!(
            text.starts_with("//!") || is_test_module,
            "{path}: the first line must say what the file is for"
        );
    }
}

#[test]
fn functions_fit_on_a_screen() {
    for (path, text) in sources("src").into_iter().filter(|it| !it.0.ends_with("tests.rs")) {
        let (mut open, mut name, mut from) = (None, String::new(), 0);
        for (at, line) in code_of(&text).lines().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let starts = [
                "fn ",
                "pub fn ",
                "pub(super) fn ",
                "pub(crate) fn ",
                "async fn ",
                "pub async fn ",
                "pub(super) async fn ",
                "const fn ",
                "pub const fn ",
            ];
            if open.is_none()
                && starts.iter().any(|it| line.trim_start().starts_with(it))
                && !line.trim_end().ends_with([';', '}'])
            {
                (open, from) = (Some(indent), at);
                line.trim().clone_into(&mut name);
            } else if open == Some(indent) && line.trim() == "}" {
                let lines = at - from + 1;
                assert!(lines <= MAX_FUNCTION, "{path}:{}: {lines} lines: {name}", from + 1);
                open = None;
            }
        }
    }
}

/// The order of `pub mod` lines in `lib.rs` is the order of the layers, the lowest first.
#[test]
fn a_module_uses_only_those_listed_before_it() {
    let lib = fs::read_to_string("src/lib.rs").unwrap();
    let order: Vec<&str> =
        lib.lines().filter_map(|it| it.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert!(order.len() > 10, "the list of layers was not found");
    let layer = |name: &str| order.iter().position(|it| *it == name);
    for (path, text) in sources("src") {
        let own = path.trim_start_matches("src/").split(['/', '.']).next().unwrap_or_default();
        let Some(own_layer) = layer(own) else { continue };
        for used in crate_imports(&text) {
            let fits = used == own || layer(&used).is_none_or(|it| it < own_layer);
            assert!(fits, "{path}: `{own}` must not use `{used}`: lib.rs lists it later");
            let strangers =
                STRANGERS.iter().filter(|it| path.starts_with(it.0)).flat_map(|it| it.1);
            assert!(
                !strangers.clone().any(|it| *it == used),
                "{path}: `{used}` is a stranger to it"
            );
        }
        if !path.ends_with("tests.rs") {
            assert!(!text.contains("super::super::super"), "{path}: say `crate::`");
        }
    }
}

#[test]
fn the_live_value_is_stored_in_one_place() {
    let stores: Vec<String> = sources("src")
        .into_iter()
        .flat_map(|(path, text)| vec![path; code_of(&text).matches(".store(Arc::new").count()])
        .collect();
    assert_eq!(stores, ["src/app/live.rs"]);
    let swaps = sources("src").into_iter().filter(|it| code_of(&it.1).contains("ArcSwap<")).count();
    assert_eq!(swaps, 1, "there is one `ArcSwap`");
}

#[test]
fn only_upstream_and_client_open_connections() {
    for (path, text) in sources("src") {
        if path.starts_with("src/upstream/") || path.starts_with("src/client/") {
            continue;
        }
        for word in CONNECTS {
            assert!(
                !code_of(&text).contains(word),
                "{path}: `{word}` belongs to `upstream` or `client`"
            );
        }
    }
}

#[test]
fn tasks_are_spawned_by_the_task_set() {
    for (path, text) in sources("src") {
        let spawns =
            code_of(&text).contains("tokio::spawn") || code_of(&text).contains("thread::spawn");
        assert!(!spawns || path == "src/app/tasks.rs", "{path}: use `Tasks::spawn`");
    }
}

/// Every key of the schema stands in the first file, as itself or behind a `#`, and is documented.
#[test]
fn the_first_file_shows_every_key() {
    let text = fs::read_to_string("assets/torod.toml").unwrap();
    let schema = tokenrouter::config::schema::json_schema();
    let mut undocumented = Vec::new();
    check_docs(&schema, "", &mut undocumented);
    assert!(undocumented.is_empty(), "no doc comment: {undocumented:?}");
    for key in tokenrouter::config::schema::keys() {
        let name = key.path.rsplit('.').next().unwrap().trim_end_matches("[]");
        let shown = text.lines().any(|line| {
            let line = line.trim_start_matches(['#', ' ']);
            line.starts_with(&format!("{name} ="))
                || line.contains(&format!("{name} = "))
                || line.trim_matches(['[', ']']) == name
        });
        assert!(shown, "assets/torod.toml does not show `{}`", key.path);
    }
}

fn check_docs(schema: &serde_json::Value, path: &str, undocumented: &mut Vec<String>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        if property["description"].as_str().is_none_or(str::is_empty) {
            undocumented.push(path.clone());
        }
        check_docs(property, &path, undocumented);
        check_docs(&property["items"], &path, undocumented);
    }
}

/// What stands before the tests.
fn code_of(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod ").next().unwrap_or_default()
}

/// The top-level modules that a file names, in `crate::a::B` and in `crate::{a::B, c}`.
fn crate_imports(text: &str) -> BTreeSet<String> {
    let code: String = text.lines().filter(|it| !it.trim_start().starts_with("//")).collect();
    let mut found = BTreeSet::new();
    for (at, prefix) in code.match_indices("crate::") {
        let rest = &code[at + prefix.len()..];
        let group = rest.strip_prefix('{').map_or_else(|| vec![rest], members);
        found.extend(group.into_iter().map(|it| {
            let it = it.trim_start();
            it[..it.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(it.len())].to_owned()
        }));
    }
    found
}

/// Splits `a::{B, C}, d}` at its own commas, up to the brace that closes it.
fn members(group: &str) -> Vec<&str> {
    let (mut depth, mut from, mut found) = (0, 0, Vec::new());
    for (at, char) in group.char_indices() {
        match char {
            '{' => depth += 1,
            '}' if depth == 0 => {
                found.push(&group[from..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                found.push(&group[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    found
}

fn sources(root: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    visit(Path::new(root), &mut found);
    found
}

fn visit(dir: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            visit(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
        }
    }
}
