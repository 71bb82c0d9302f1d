//! `torod config` for scripts: what each command changes, what it prints, and how it ends.

use std::{
    fs,
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::cli::{Said, json, torod_with};

pub(crate) const TEXT: &str = r#"# A file that somebody wrote by hand.
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

pub(crate) fn all<'w>(words: &[&'w str]) -> Vec<&'w str> {
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
pub(crate) fn changed(old: &str, new: &str) -> (Vec<String>, Vec<String>) {
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
