//! `torod config` for scripts: what each command changes, what it prints, and how it ends.

use std::{
    fs,
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;
use tokenrouter::base::{digest, hex};

use crate::cli::{Said, json, torod_with};

const TEXT: &str = r#"# A file that somebody wrote by hand.
listen_addr = "127.0.0.1:0"   # nobody else
default_provider = "echo"
auto_detect_local_servers = false

# --- who ------------------------------------------------------------
[[incoming_tokens]]
id = "tester"
name = "Tester"
role = "admin"
key = "sk-very-secret-long-key"

# --- where ----------------------------------------------------------

# Answers what it was asked.
[[providers]]
name = "echo"
provider_type = "echo"

[[providers]] # far away
name = "far"
provider_type = "openai-compatible"
base_url = "http://127.0.0.1:9/v1"   # nothing listens there
api_key = "sk-very-secret-value"

[logs]
level = "info" # as it was
"#;

fn all<'w>(words: &[&'w str]) -> Vec<&'w str> {
    [&["--config", "torod.toml", "--state-dir", "state", "config"], words].concat()
}

/// A directory with this config, and the program for it.
pub struct Place {
    pub dir: TempDir,
    variables: Vec<(String, String)>,
}

impl Place {
    pub fn with(text: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("torod.toml"), text).unwrap();
        Self { dir, variables: Vec::new() }
    }

    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().join("torod.toml")
    }

    pub fn text(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }

    pub fn run(&self, words: &[&str]) -> Said {
        let variables: Vec<_> =
            self.variables.iter().map(|it| (it.0.as_str(), it.1.as_str())).collect();
        let variables = [&variables[..], &[("PATH", "/usr/bin:/bin")]].concat();
        torod_with(self.dir.path(), &all(words), &variables)
    }

    pub fn done(&self, words: &[&str]) -> Said {
        let said = self.run(words);
        assert_eq!(said.code, Some(0), "{words:?}: {said:#?}");
        said
    }

    /// With this on its stdin.
    pub fn fed(&self, words: &[&str], input: &str) -> Said {
        let mut child = Command::new(env!("CARGO_BIN_EXE_torod"))
            .args(all(words))
            .env_clear()
            .env("HOME", self.dir.path())
            .current_dir(self.dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap().into()
    }
}

/// The lines that went and those that came.
fn changed(old: &str, new: &str) -> (Vec<String>, Vec<String>) {
    let diff = similar::TextDiff::from_lines(old, new);
    let of = |tag: similar::ChangeTag| {
        let lines = diff.iter_all_changes().filter(move |it| it.tag() == tag);
        lines.map(|it| it.value().trim_end().to_owned()).filter(|it| !it.is_empty()).collect()
    };
    (of(similar::ChangeTag::Delete), of(similar::ChangeTag::Insert))
}

#[test]
fn each_command_changes_its_own_lines_and_no_others() {
    type Row<'r> = (&'r [&'r str], &'r [&'r str], &'r [&'r str]);
    let rows: &[Row<'_>] = &[
        (
            &["set", "logs.level", "debug"],
            &["level = \"info\" # as it was"],
            &["level = \"debug\" # as it was"],
        ),
        (
            &["set", "listen_addr", "127.0.0.1:1"],
            &["listen_addr = \"127.0.0.1:0\"   # nobody else"],
            &["listen_addr = \"127.0.0.1:1\"   # nobody else"],
        ),
        (&["set", "providers.far.timeout_seconds", "5"], &[], &["timeout_seconds = 5"]),
        (
            &["set", "providers.far.api_key", "${env:FAR}"],
            &["api_key = \"sk-very-secret-value\""],
            &["api_key = \"${env:FAR}\""],
        ),
        (&["unset", "auto_detect_local_servers"], &["auto_detect_local_servers = false"], &[]),
        (&["provider", "disable", "far"], &[], &["enabled = false"]),
        (
            &["provider", "add", "near", "--type", "ollama", "--base-url", "http://127.0.0.1:9/v1"],
            &[],
            &[
                "[[providers]]",
                "name = \"near\"",
                "provider_type = \"ollama\"",
                "base_url = \"http://127.0.0.1:9/v1\"",
            ],
        ),
        (
            &["provider", "add", "groq", "--api-key-env", "GROQ_API_KEY", "--disabled"],
            &[],
            &[
                "[[providers]]",
                "name = \"groq\"",
                "api_key = \"${env:GROQ_API_KEY}\"",
                "enabled = false",
            ],
        ),
        (
            &["provider", "add", "openai", "--api-key-file", "/run/key", "--default"],
            &["default_provider = \"echo\""],
            &[
                "default_provider = \"openai\"",
                "[[providers]]",
                "name = \"openai\"",
                "api_key = \"${file:/run/key}\"",
            ],
        ),
        (
            &["provider", "remove", "echo"],
            &[
                "default_provider = \"echo\"",
                "# Answers what it was asked.",
                "[[providers]]",
                "name = \"echo\"",
                "provider_type = \"echo\"",
            ],
            &["default_provider = \"far\""],
        ),
        (
            &["model", "add", "fast", "far/a", "echo/b"],
            &[],
            &["[[models]]", "name = \"fast\"", "targets = [\"far/a\", \"echo/b\"]"],
        ),
    ];
    for (words, gone, come) in rows {
        let place = Place::with(TEXT);
        let said = place.done(words);
        assert!(said.out.is_empty(), "{words:?}: {said:?}");
        let (mut removed, mut added) = changed(TEXT, &place.text());
        // Which of some equal lines went is nobody's business.
        removed.sort();
        added.sort();
        let sorted = |it: &[&str]| {
            let mut it: Vec<_> = it.iter().map(ToString::to_string).collect();
            it.sort();
            it
        };
        assert_eq!(removed, sorted(gone), "{words:?}");
        assert_eq!(added, sorted(come), "{words:?}");
        let place = Place::with(TEXT);
        let dry = place.done(&[words, &["--dry-run"][..]].concat());
        assert!(dry.out.starts_with("--- a/torod.toml"), "{words:?}: {dry:?}");
        assert_eq!(place.text(), TEXT, "{words:?}");
    }
}

#[test]
fn what_was_added_can_be_removed_again() {
    for (there, back) in [
        (&["model", "add", "fast", "echo/a"][..], &["model", "remove", "fast"][..]),
        (&["provider", "add", "x", "--type", "echo"], &["provider", "remove", "x"]),
        (&["provider", "disable", "far"], &["provider", "enable", "far"]),
        (&["key", "add", "--id", "x", "--role", "admin"], &["key", "remove", "x"]),
        (&["set", "limits.max_connections", "7"], &["unset", "limits.max_connections"]),
    ] {
        let place = Place::with(TEXT);
        place.done(there);
        assert_ne!(place.text(), TEXT, "{there:?}");
        place.done(back);
        let left = changed(TEXT, &place.text());
        let header = there[1] == "limits.max_connections";
        assert!(left.0.is_empty() && (left.1.is_empty() || header), "{there:?}: {left:?}");
    }
}

#[test]
fn a_failed_command_leaves_the_file_and_has_its_code() {
    let stale = "0".repeat(64);
    let rows: &[(&[&str], i32, &str)] = &[
        (&[], 2, "needs a terminal"),
        (&["get", "tls.mode"], 1, "`tls.mode` is not in the file"),
        (&["get", "providers.nobody.name"], 1, "nobody"),
        (&["set", "listen_adr", "x"], 1, "listen_addr"),
        (&["set", "logs.level", "loud"], 3, "logs.level"),
        (&["set", "logs.level", "[1"], 2, "no TOML value"),
        (&["set", "default_provider", "nobody"], 3, "nobody"),
        (&["set", "listen_addr", "0.0.0.0:80", "--if-revision", &stale], 1, "changed"),
        (&["set", "listen_addr", "0.0.0.0:80", "--if-revision", "xyz"], 2, "hexadecimal"),
        (&["set", "providers.far.api_key", "sk-plain"], 2, "stdin"),
        (&["set", "providers.far", "{ api_key = \"sk-plain\" }"], 2, "stdin"),
        (&["set", "providers.far.headers", "{ a = \"sk-plain\" }"], 2, "stdin"),
        (&["unset", "tls.mode"], 1, "tls.mode"),
        (&["provider", "add", "far"], 1, "already"),
        (&["provider", "add", "new"], 3, "preset"),
        (&["provider", "add", "azure"], 3, "base_url"),
        (&["provider", "add", "a", "--api-key-env", "A", "--api-key-stdin"], 2, "cannot be used"),
        (&["provider", "add", "groq", "--api-key", "sk-plain"], 2, "--api-key"),
        (&["provider", "remove", "nobody"], 1, "nobody"),
        (&["provider", "test", "nobody"], 1, "nobody"),
        (&["provider", "test", "far"], 1, "does not answer"),
        (&["key", "remove", "tester"], 1, "last admin"),
        (&["key", "add", "--id", "tester"], 1, "already"),
        (&["key", "add", "--expires", "yesterday"], 2, "30d"),
        (&["key", "add", "--expires", "2001-01-01T00:00:00Z"], 2, "over"),
        (&["model", "add", "fast"], 2, "TARGET"),
        (&["model", "add", "fast", "nobody/x"], 3, "nobody"),
        (&["model", "remove", "fast"], 1, "fast"),
        (&["restore", "0123456789"], 1, "0123456789"),
        (&["diff", "0123456789"], 1, "0123456789"),
        (&["diff"], 4, "cannot reach torod"),
        (&["wait", "--timeout", "0"], 4, "cannot reach torod"),
        (&["wait", "--revision", "short"], 2, "hexadecimal"),
    ];
    for (words, code, mark) in rows {
        let place = Place::with(TEXT);
        let said = place.run(words);
        assert_eq!(said.code, Some(*code), "{words:?}: {said:?}");
        assert!(said.err.contains(mark), "{words:?}: no `{mark}` in {}", said.err);
        assert!(!said.err.contains("very-secret"), "{words:?}: {}", said.err);
        assert!(said.out.is_empty(), "{words:?}: {}", said.out);
        assert_eq!(place.text(), TEXT, "{words:?}");
    }
}

#[test]
fn a_text_that_would_not_load_is_shown_with_carets() {
    let place = Place::with(TEXT);
    let said = place.run(&["set", "logs.level", "loud"]);
    assert!(said.err.contains("torod.toml:27:") && said.err.contains("^^^^^^"), "{}", said.err);
    let said = place.run(&["set", "logs.level", "loud", "--json"]);
    let found = json(&said.out);
    assert_eq!((said.code, &found["error"]), (Some(3), &"invalid".into()));
    assert_eq!(found["problems"][0]["line"], 27);
}

#[test]
fn values_are_printed_as_scripts_want_them() {
    let place = Place::with(TEXT);
    for (words, wanted) in [
        (&["get", "logs.level"][..], "info\n"),
        (&["get", "auto_detect_local_servers"], "false\n"),
        (&["get", "providers.far.base_url"], "http://127.0.0.1:9/v1\n"),
        (&["get", "logs"], "{ level = \"info\" }\n"),
        (&["get", "logs", "--json"], "{\"level\":\"info\"}\n"),
        (&["get", "logs.level", "--json"], "\"info\"\n"),
        (&["get", "providers.far.api_key", "--show-secrets"], "sk-very-secret-value\n"),
    ] {
        assert_eq!(place.done(words).out, wanted, "{words:?}");
    }
    let masked = place.done(&["get", "providers.far.api_key"]).out;
    assert!(masked.starts_with("***") && !masked.contains("secret"), "{masked}");
}

#[test]
fn an_edit_says_in_json_what_it_did() {
    let place = Place::with(TEXT);
    let before = hex(&digest(TEXT));
    let words = ["set", "logs.level", "debug", "--json", "--if-revision", &before[..8]];
    let dry = json(&place.done(&[&words[..], &["--dry-run"]].concat()).out);
    assert_eq!((&dry["dry_run"], place.text().as_str()), (&true.into(), TEXT));
    let done = json(&place.done(&words).out);
    let after = hex(&digest(place.text()));
    for found in [&dry, &done] {
        assert_eq!(found["changed"], true);
        assert_eq!(found["revision_before"].as_str(), Some(&*before));
        assert_eq!(found["revision_after"].as_str(), Some(&*after));
        assert!(found["changes"].as_str().unwrap().contains("logs.level"), "{found}");
        let patch = found["patch"].as_str().unwrap();
        assert!(patch.contains("\n-level = \"info\" # as it was\n+level = \"debug\""), "{patch}");
    }
    assert!(done.get("generation").is_none(), "no torod runs: {done}");
    let same = json(&place.done(&["set", "logs.level", "debug", "--json"]).out);
    assert_eq!((&same["changed"], &same["patch"]), (&false.into(), &"".into()));
}

#[test]
fn a_secret_comes_by_stdin_and_goes_nowhere_else() {
    let place = Place::with(TEXT);
    let words = ["provider", "add", "groq", "--api-key-stdin", "--json"];
    let said = place.fed(&words, "gsk-very-secret-new\n");
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(place.text().contains("api_key = \"gsk-very-secret-new\""));
    let mut all = said.out + &said.err;
    let said = place.fed(&["set", "providers.far.api_key", "-"], "sk-very-secret-other\n");
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(place.text().contains("api_key = \"sk-very-secret-other\""));
    all += &(said.out + &said.err);
    for words in [
        &["get", "providers"][..],
        &["provider", "list"],
        &["provider", "list", "--json"],
        &["key", "list"],
        &["provider", "remove", "groq", "--dry-run"],
        &["provider", "remove", "groq", "--dry-run", "--json"],
        &["fmt", "--check"],
        &["diff", &hex(&digest(TEXT))[..8]],
    ] {
        let said = place.run(words);
        all += &(said.out + &said.err);
    }
    assert!(!all.contains("very-secret"), "{all}");
    let said = place.done(&["provider", "remove", "groq", "--dry-run", "--show-secrets"]);
    assert!(said.out.contains("-api_key = \"gsk-very-secret-new\""), "{}", said.out);
    let said = place.fed(&["provider", "add", "x", "--api-key-stdin"], "\n");
    assert_eq!(said.code, Some(1), "an empty credential is none: {said:?}");
}

#[test]
fn a_credential_in_a_file_is_found_wherever_torod_starts() {
    let place = Place::with(TEXT);
    let real = place.dir.path().canonicalize().unwrap();
    place.done(&["provider", "add", "groq", "--api-key-file", "keys/groq"]);
    let wanted = format!("api_key = \"${{file:{}/keys/groq}}\"", real.display());
    assert!(place.text().contains(&wanted), "{}", place.text());
}

#[test]
fn a_new_key_is_printed_once_and_only_its_hash_is_kept() {
    let place = Place::with(TEXT);
    let words = ["key", "add", "--id", "ci", "--expires", "30d", "--models", "far/*,fast"];
    let said = place.done(&words);
    let key = said.out.trim();
    assert!(key.starts_with("tr_") && said.out.lines().count() == 1, "{said:?}");
    assert!(!said.err.contains(key), "{}", said.err);
    let text = place.text();
    assert!(!text.contains(key) && text.contains(&format!("sha256:{}", hex(&digest(key)))));
    let list = json(&place.done(&["key", "list", "--json"]).out);
    let row = &list[1];
    assert_eq!((&row["id"], &row["role"]), (&"ci".into(), &"inferrer".into()));
    assert_eq!(row["models"], serde_json::json!(["far/*", "fast"]));
    let ends: jiff::Timestamp = row["expires_at"].as_str().unwrap().parse().unwrap();
    let hours = ends.duration_since(jiff::Timestamp::now()).as_hours();
    assert!((719..=720).contains(&hours), "{hours}");

    let said = place.run(&["key", "add", "--id", "child", "--parent", "ci", "--dry-run"]);
    assert!(!said.out.contains("\ntr_") && !said.out.starts_with("tr_"), "nobody has it: {said:?}");
    let added = json(&place.done(&["key", "add", "--parent", "ci", "--json"]).out);
    assert!(added["key"].as_str().is_some_and(|it| it.starts_with("tr_")), "{added}");
    let said = place.run(&["key", "remove", "ci"]);
    assert!(said.code == Some(1) && said.err.contains("--children"), "{said:?}");
    place.done(&["key", "remove", "ci", "--children"]);
    assert_eq!(json(&place.done(&["key", "list", "--json"]).out).as_array().unwrap().len(), 1);
}

#[test]
fn a_managed_file_is_not_written_and_the_patch_applies() {
    let text = format!("managed = true\n{TEXT}");
    let place = Place::with(&text);
    let words = ["set", "providers.far.timeout_seconds", "5", "--show-secrets"];
    let said = place.run(&words);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.err.contains("managed"), "{}", said.err);
    let in_json = place.run(&[&words[..], &["--json"]].concat());
    let found: Value = json(&in_json.out);
    assert_eq!((in_json.code, &found["error"]), (Some(1), &"managed".into()));
    assert_eq!(found["patch"], said.out);
    assert_eq!(place.text(), text);
    fs::write(place.dir.path().join("it.patch"), &said.out).unwrap();
    let mut patch = Command::new("patch");
    let patched = patch.args(["-p1", "-i", "it.patch"]).current_dir(place.dir.path()).status();
    assert!(patched.unwrap().success(), "{}", said.out);
    assert_eq!(changed(&text, &place.text()).1, ["timeout_seconds = 5"]);
}

#[test]
fn an_editor_replaces_the_file_only_when_it_loads() {
    let edited = |editor: &str| {
        let place = Place::with(TEXT).variable("EDITOR", editor);
        let said = place.run(&["edit"]);
        (place, said)
    };
    let (place, said) = edited("sed -i s/info/debug/");
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(changed(TEXT, &place.text()).1, ["level = \"debug\" # as it was"]);
    for (editor, code, mark, is_kept) in [
        ("true", 0, "nothing to change", false),
        ("false", 1, "editor", false),
        ("sed -i s/info/loud/", 3, "logs.level", true),
        ("sed -i s/info/debug/ torod.toml; sed -i s/info/warn/", 1, "changed", true),
    ] {
        let (place, said) = edited(editor);
        assert_eq!(said.code, Some(code), "{editor}: {said:?}");
        assert!(said.err.contains(mark), "{editor}: {}", said.err);
        let same = place.text() == TEXT || editor.contains("torod.toml");
        assert!(same && !place.text().contains("warn"), "{editor}");
        assert!(!said.err.contains("very-secret"), "{}", said.err);
        let kept = said.err.split_once("your text is kept: ");
        assert_eq!(kept.is_some(), is_kept, "{editor}: {}", said.err);
        if let Some((_, kept)) = kept {
            let kept = PathBuf::from(kept.trim());
            assert_ne!(fs::read_to_string(&kept).unwrap(), TEXT, "{editor}");
            fs::remove_dir_all(kept.parent().unwrap()).unwrap();
        }
    }
}

#[test]
fn only_white_space_is_formatted_and_only_when_asked() {
    let untidy = TEXT.replace("[logs]", "\n\n[logs]   ").replace("as it was\n", "as it was  \n\n");
    let place = Place::with(&untidy);
    let said = place.run(&["fmt", "--check"]);
    assert_eq!((said.code, place.text()), (Some(1), untidy.clone()), "{said:?}");
    place.done(&["fmt", "--final-newline"]);
    assert_eq!(place.text(), untidy.trim_end().to_owned() + "  \n");
    place.done(&["fmt"]);
    assert_eq!(place.text(), TEXT);
    assert_eq!(place.done(&["fmt", "--check"]).err, "nothing to format\n");
}

#[test]
fn an_earlier_text_comes_back() {
    let place = Place::with(TEXT);
    place.done(&["set", "logs.level", "debug"]);
    place.done(&["provider", "disable", "far"]);
    let list = json(&place.done(&["history", "--json"]).out);
    let first = hex(&digest(TEXT));
    let rows = list.as_array().unwrap();
    assert!(rows.iter().any(|it| it["revision"] == *first), "{list}");
    let diff = place.done(&["diff", &first[..8]]).out;
    assert!(diff.contains("+level = \"debug\"") && diff.contains("+enabled = false"), "{diff}");
    assert!(place.done(&["history"]).out.contains(&first[..12]));
    place.done(&["restore", &first[..8]]);
    assert_eq!(place.text(), TEXT);
    let said = place.run(&["restore", &first[..8]]);
    assert!(said.code == Some(0) && said.err.contains("nothing to change"), "{said:?}");
}

#[test]
fn the_help_names_every_command_in_one_line() {
    let place = Place::with(TEXT);
    let said = place.done(&["--help"]);
    for line in said.out.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
    for word in [
        "get", "set", "unset", "provider", "key", "model", "edit", "check", "fmt", "diff", "wait",
        "history", "restore", "schema",
    ] {
        let line = said.out.lines().find(|it| it.trim_start().starts_with(&format!("{word} ")));
        assert!(line.is_some_and(|it| it.trim().len() > word.len() + 8), "{word}: {}", said.out);
    }
    assert_eq!(place.done(&["check"]).code, Some(0));
}
