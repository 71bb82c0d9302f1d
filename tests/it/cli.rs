//! `torod` as people and scripts call it: what it prints, and its exit codes.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;
use tempfile::TempDir;
use tokenrouter::base::{digest, hex};

use crate::{
    scripted::{Script, Scripted},
    world::World,
};

/// Five mistakes; the lines that have one end in a mark, which is taken off before it is written.
const FIVE: &str = r#"listen_addr = "127.0.0.1:0"
default_provider = "opnai" #!

[[incoming_tokens]]
id = "tester"
role = "amdin" #!
key = "sk-very-secret-key"

[[providers]]
name = "one/two" #!
provider_type = "echo"

[[providers]]
name = "three"
provider_type = "openai-compatible"
base_url = "nowhere" #!

[[providers]]
name = "openai"
provider_type = "openai"
api_kee = "sk-very-secret-value" #!
"#;

const GOOD: &str = r#"
listen_addr = "127.0.0.1:0"
[[incoming_tokens]]
id = "tester"
role = "admin"
key = "sk-very-secret-long-key"
[[providers]]
name = "scripted"
provider_type = "openai-compatible"
base_url = "http://127.0.0.1:9/v1"
api_key = "sk-very-secret-value"
headers = { "x-team" = "sk-very-secret-header" }
"#;

#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |it: &[u8]| String::from_utf8(it.to_vec()).unwrap();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }
}

/// The program in an environment with nothing but these variables.
pub fn torod_with(dir: &Path, words: &[&str], variables: &[(&str, &str)]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_torod"));
    command.args(words).env_clear().env("HOME", dir).current_dir(dir);
    command.envs(variables.iter().copied()).output().unwrap().into()
}

fn torod(dir: &Path, words: &[&str]) -> Said {
    torod_with(dir, words, &[])
}

/// A directory with this config.
fn with_config(text: &str) -> (TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("torod.toml");
    std::fs::write(&path, text).unwrap();
    (dir, path.to_str().unwrap().to_owned())
}

fn check(text: &str, more: &[&str]) -> Said {
    let (dir, path) = with_config(text);
    torod(dir.path(), &[&["check", "--config", &path], more].concat())
}

pub fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|it| panic!("{it}: `{text}`"))
}

#[test]
fn a_good_file_is_0() {
    for more in [&[][..], &["--strict"], &["--format", "json"], &["--print"]] {
        let said = check(GOOD, more);
        assert_eq!(said.code, Some(0), "{more:?}: {}{}", said.out, said.err);
    }
    let found = json(&check(GOOD, &["--format", "json"]).out);
    assert_eq!((&found["ok"], &found["problems"]), (&true.into(), &Value::Array(vec![])));
}

#[test]
fn five_mistakes_are_five_problems_with_their_lines() {
    let text = FIVE.replace(" #!", "");
    let marked = FIVE.lines().enumerate().filter(|it| it.1.ends_with("#!"));
    let lines: Vec<_> = marked.map(|it| it.0 + 1).collect();
    let said = check(&text, &[]);
    assert_eq!(said.code, Some(3), "{}", said.err);
    for line in &lines {
        let place = format!("torod.toml:{line}:");
        assert!(said.err.contains(&place), "no `{place}` in:\n{}", said.err);
    }
    for near in ["`openai`", "`admin`", "`api_key`"] {
        assert!(said.err.contains(near), "no {near} in:\n{}", said.err);
    }
    assert!(said.err.contains('^'), "a caret shows the place:\n{}", said.err);

    let said = check(&text, &["--format", "json"]);
    assert_eq!(said.code, Some(3));
    let found = json(&said.out);
    let problems = found["problems"].as_array().unwrap();
    let found: Vec<_> = problems.iter().map(|it| it["line"].as_u64().unwrap()).collect();
    assert_eq!(found, lines.iter().map(|it| *it as u64).collect::<Vec<_>>());
    for problem in problems {
        assert_eq!(problem["severity"], "error");
        for key in ["code", "message"] {
            assert!(problem[key].as_str().is_some_and(|it| !it.is_empty()), "{problem}");
        }
        assert!(problem["column"].as_u64().is_some_and(|it| it > 0), "{problem}");
    }
}

#[test]
fn no_output_of_a_check_holds_a_secret() {
    let broken = FIVE.replace(" #!", "");
    let torn = "[[providers]]\nname = \"x\"\napi_key = \"sk-very-secret-value\n";
    let typed = "[[providers]]\nname = \"x\"\napi_key = [\"sk-very-secret-value\"]\n";
    let twice = "api_key = \"sk-very-secret-value\"\n";
    for text in [GOOD, &broken, torn, typed, twice] {
        for more in [&[][..], &["--print"], &["--format", "json"], &["--strict", "--print"]] {
            let said = check(text, more);
            let all = said.out + &said.err;
            assert!(!all.contains("very-secret"), "{more:?}:\n{all}");
        }
    }
}

#[test]
fn a_warning_is_0_and_3_when_it_is_strict() {
    let text = GOOD.replace("\"sk-very-secret-value\"", "\"${env:TOROD_NO_SUCH_VARIABLE}\"");
    let said = check(&text, &[]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.err.contains("TOROD_NO_SUCH_VARIABLE") && said.err.contains("warning"));
    assert_eq!(check(&text, &["--strict"]).code, Some(3));
    let (dir, path) = with_config(&text);
    let words = ["check", "--strict", "--config", &path];
    let said = torod_with(dir.path(), &words, &[("TOROD_NO_SUCH_VARIABLE", "sk-x")]);
    assert_eq!(said.code, Some(0), "{}", said.err);
}

#[test]
fn print_shows_what_torod_understood() {
    let said = check(GOOD, &["--print"]);
    let shown = json(&said.out);
    assert_eq!(shown["listen_addr"][0], "http://127.0.0.1:0");
    let provider = &shown["providers"][0];
    assert_eq!((&provider["name"], &provider["api_key"]), (&"scripted".into(), &"***".into()));
    assert_eq!(provider["headers"]["x-team"], "***");
    assert_eq!((&provider["enabled"], &provider["timeout_seconds"]), (&true.into(), &60.into()));
    assert_eq!(shown["limits"]["max_body_bytes"], 67_108_864);
    assert!(check(FIVE, &["--print"]).out.is_empty(), "a broken file has no meaning");
}

#[test]
fn a_check_of_no_file_fails_and_makes_none() {
    let dir = tempfile::tempdir().unwrap();
    let said = torod(dir.path(), &["check", "--config", "nowhere.toml"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("nowhere.toml"), "{}", said.err);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn bad_usage_is_2() {
    let dir = tempfile::tempdir().unwrap();
    for words in [
        &["frobnicate"][..],
        &["check", "--format", "xml"],
        &["check", "--nope"],
        &["key"],
        &["key", "new", "--role", "king"],
        &["--config"],
    ] {
        let said = torod(dir.path(), words);
        assert_eq!(said.code, Some(2), "{words:?}: {}", said.err);
        assert!(said.out.is_empty() && !said.err.is_empty(), "{words:?}");
    }
    assert_eq!(torod(dir.path(), &["--help"]).code, Some(0));
}

#[test]
fn a_new_key_comes_with_the_lines_for_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let words = ["key", "new", "--id", "ci", "--name", "The \"CI\"", "--role", "keymaster"];
    let said = torod(dir.path(), &words);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let (key, snippet) = said.out.split_once('\n').unwrap();
    let parts: Vec<_> = key.split('_').collect();
    let lengths: Vec<_> = parts.iter().map(|it| it.len()).collect();
    assert_eq!((parts[0], lengths), ("tr", vec![2, 10, 32, 6]), "{key}");
    assert!(key.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_'), "{key}");
    let file: toml::Table = snippet.parse().unwrap();
    let token = &file["incoming_tokens"][0];
    let text = |name: &str| token[name].as_str().unwrap();
    assert_eq!((text("id"), text("name"), text("role")), ("ci", "The \"CI\"", "keymaster"));
    assert_eq!(text("key_hash"), format!("sha256:{}", hex(&digest(key))));
    assert!(!snippet.contains(key) && !said.err.contains(key), "it is shown once");
    assert_eq!(check(&format!("{GOOD}\n{snippet}"), &["--strict"]).code, Some(0));

    let said = torod(dir.path(), &["key", "new"]);
    let (other, snippet) = said.out.split_once('\n').unwrap();
    assert_ne!(other, key);
    let file: toml::Table = snippet.parse().unwrap();
    let token = &file["incoming_tokens"][0];
    assert_eq!(token["id"].as_str(), other.split('_').nth(1), "by default the id in the key");
    assert_eq!(token["role"].as_str(), Some("inferrer"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_opens_what_its_role_opens() {
    let dir = tempfile::tempdir().unwrap();
    let said = torod(dir.path(), &["key", "new", "--role", "admin"]);
    let (key, snippet) = said.out.split_once('\n').unwrap();
    let provider = Scripted::always(Script::json(200, "{}")).await;
    let world = World::with(&provider, snippet).await;
    let ask = world.bare("GET", "/admin/api/config/status");
    assert_eq!(ask.header("authorization", format!("Bearer {key}")).send().await.status, 200);
}

#[test]
fn the_schema_describes_every_key() {
    let dir = tempfile::tempdir().unwrap();
    let said = torod(dir.path(), &["config", "schema"]);
    assert_eq!(said.code, Some(0));
    let schema = json(&said.out);
    let properties = schema["properties"].as_object().unwrap();
    for key in ["listen_addr", "incoming_tokens", "providers", "models", "limits", "logs"] {
        assert!(properties.contains_key(key), "{key}");
    }
    for (key, value) in properties {
        assert!(value["description"].is_string(), "{key} has no description");
    }
}

#[test]
fn the_version_is_one_line() {
    let dir = tempfile::tempdir().unwrap();
    for word in ["version", "--version"] {
        let said = torod(dir.path(), &[word]);
        assert_eq!((said.code, said.out.lines().count()), (Some(0), 1), "{word}");
        assert_eq!(said.out.trim(), format!("torod {}", env!("CARGO_PKG_VERSION")), "{word}");
    }
}

#[test]
fn the_examples_load() {
    let examples = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples");
    let variables = [("TOROD_KEY", "sk-a-key-of-some-length"), ("OPENAI_API_KEY", "sk-up")];
    let mut seen = 0;
    for entry in std::fs::read_dir(examples).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|it| it != "toml") {
            continue;
        }
        seen += 1;
        let dir = tempfile::tempdir().unwrap();
        let words = ["check", "--strict", "--config", path.to_str().unwrap()];
        let said = torod_with(dir.path(), &words, &variables);
        assert_eq!(said.code, Some(0), "{}:\n{}", path.display(), said.err);
    }
    assert!(seen >= 2, "{seen} examples");
}

#[test]
fn a_file_that_does_not_load_is_not_served() {
    let (dir, path) = with_config(&FIVE.replace(" #!", ""));
    let said = torod(dir.path(), &["--config", &path]);
    assert_eq!(said.code, Some(3), "{}", said.err);
    assert!(
        said.err.contains("torod.toml:2:") && said.err.contains("does not load"),
        "{}",
        said.err
    );
    assert!(!said.err.contains("very-secret"), "{}", said.err);
}

#[test]
fn a_taken_address_is_fatal_and_says_what_to_do() {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = holder.local_addr().unwrap().to_string();
    let (dir, path) = with_config(&GOOD.replace("127.0.0.1:0", &addr));
    for words in [&["serve", "--config", &path][..], &["--config", &path]] {
        let said = torod(dir.path(), words);
        assert_eq!(said.code, Some(1), "{}", said.err);
        assert!(said.err.contains(&addr) && said.err.contains("hint: "), "{}", said.err);
    }
}

#[test]
fn a_status_of_nobody_is_4() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let said = torod(dir.path(), &["status", "--state-dir", state.to_str().unwrap()]);
    assert_eq!(said.code, Some(4), "{}", said.err);
    assert!(said.out.is_empty() && said.err.contains("hint: "), "{}", said.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_tells_what_runs() {
    let provider = Scripted::always(Script::json(200, crate::samples::CHAT)).await;
    let world = World::over(&provider).await;
    assert_eq!(world.chat("m").await.status, 200);
    world.entry().await;
    let dir = world.dir.path().to_owned();
    let status = |more: &'static [&str]| {
        let dir = dir.clone();
        let run = move || {
            let state = dir.join("state");
            let words = [&["status", "--state-dir", state.to_str().unwrap()], more].concat();
            torod(&dir, &words)
        };
        tokio::task::spawn_blocking(run)
    };
    let said = status(&[]).await.unwrap();
    assert_eq!(said.code, Some(0), "{}", said.err);
    for part in ["ready", "generation 1", "scripted", &world.addr.to_string()] {
        assert!(said.out.contains(part), "no `{part}` in:\n{}", said.out);
    }
    let said = status(&["--format", "json"]).await.unwrap();
    let found = json(&said.out);
    assert_eq!(
        (&found["status"]["requests"], &found["config"]["generation"]),
        (&1.into(), &1.into())
    );
}
