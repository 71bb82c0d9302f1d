use std::{io::Write as _, path::Path, process::Command};

use proptest::prelude::*;
use serde_json::json;

use super::*;

#[test]
fn words_name_what_changed_and_no_value() {
    let provider =
        |name: &str| format!("[[providers]]\nname = '{name}'\nbase_url = 'http://sec.ret'\n");
    let many: String = ["b", "c", "d", "e", "f", "g", "h"].map(provider).concat();
    for (old, new, words) in [
        (String::new(), provider("groq"), "provider `groq` added"),
        (provider("groq"), String::new(), "provider `groq` removed"),
        (provider("a"), provider("b"), "provider `a` renamed to `b`"),
        (
            provider("a"),
            "providers = [{ name = 'a', base_url = 'http://other', headers.x-a = 'sec' }]".to_owned(),
            "provider `a` changed (`base_url`, `headers.x-a`)",
        ),
        (provider("a") + &provider("b"), provider("b") + &provider("a"), "order of providers changed"),
        (
            "[[incoming_tokens]]\nid = 'alice'\nkey = 'sec'\n".to_owned(),
            "[tls]\nmode = 'pem'\n[logs]\n".to_owned(),
            "key `alice` removed, 1 setting changed (`tls.mode`)",
        ),
        (
            "[[incoming_tokens]]\nkey = 'sec'\nquota = { usd = { limit = 1 } }\n".to_owned(),
            "[[incoming_tokens]]\nkey = 'sec'\nquota.usd.limit = 2\n".to_owned(),
            "key `key-1` changed (`quota.usd.limit`)",
        ),
        (
            String::new(),
            "managed = true\negress = 'any'\nlogs.level = 'info'\nlogs.format = 'text'\n[usage]\nraw_days = 1\n"
                .to_owned(),
            "5 settings changed (`egress`, `logs.format`, `logs.level`, `managed`, and 1 more)",
        ),
        (
            provider("a"),
            provider("a") + &many,
            "provider `b` added, provider `c` added, provider `d` added, provider `e` added, provider `f` added, and 2 more",
        ),
        (provider("a"), provider("a") + "# b\n", "comments and spacing"),
        (provider("a"), provider("a"), ""),
        (provider("a"), "a = ".to_owned(), ""),
        (String::new(), provider("a\u{1b}[1m`\u{202e}"), "provider `a\\u{1b}[1m`\\u{202e}` added"),
    ] {
        let old = old.replace("'a\u{1b}", "\"a\\u001b").replace("\u{202e}'", "\\u202e\"");
        let new = new.replace("'a\u{1b}", "\"a\\u001b").replace("\u{202e}'", "\\u202e\"");
        let found = between(&old, &new);
        assert_eq!(found.words, words, "{old}\n->\n{new}");
        assert!(!found.words.contains("sec"), "{}", found.words);
    }
    let long = between("", &provider(&"x".repeat(5000))).words;
    assert!(long.len() < 100, "{long}");
}

#[test]
fn values_stand_by_the_names_of_their_entries() {
    let old = "default_provider = 'a'\n[[providers]]\nname = 'a'\nmodels = ['x']\n";
    let new = "default_provider = 'a b'\n[[providers]]\nname = 'a b'\nmodels = ['x']\n[[prices]]\nmodel = 'm'\ninput = 1\n";
    let found = between(old, new).values;
    let found: Vec<_> = found.iter().map(|(path, it)| (path.as_str(), it.clone())).collect();
    assert_eq!(
        found,
        [
            ("default_provider", (Some(json!("a")), Some(json!("a b")))),
            ("prices.m.input", (None, Some(json!(1)))),
            ("prices.m.model", (None, Some(json!("m")))),
            ("providers.\"a b\".models", (None, Some(json!(["x"])))),
            ("providers.\"a b\".name", (None, Some(json!("a b")))),
            ("providers.a.models", (Some(json!(["x"])), None)),
            ("providers.a.name", (Some(json!("a")), None)),
        ]
    );
}

#[test]
fn equal_texts_have_no_patch() {
    assert_eq!(patch("torod.toml", "a\n", "a\n"), "");
    assert_eq!(
        patch("torod.toml", "a\nb", "a\nc\n"),
        "--- a/torod.toml\n+++ b/torod.toml\n@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+c\n"
    );
}

/// Whether a tool makes the new text out of the old one.
fn applies(tool: &[&str], name: &str, old: &str, new: &str) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(name);
    std::fs::write(&file, old).unwrap();
    let diff = patch(name, old, new);
    let mut child = Command::new(tool[0])
        .args(&tool[1..])
        .current_dir(dir.path())
        .env("GIT_CEILING_DIRECTORIES", dir.path().parent().unwrap_or(Path::new("/")))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(diff.as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    let said =
        String::from_utf8_lossy(&out.stderr).into_owned() + &String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "{tool:?}: {said}\n{diff}");
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(found, new, "{tool:?}\n{diff}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn tools_take_the_patch(
        old in "((a|b = 1|# c|\\[d\\]|é|\r)?\r?\n){1,20}(a|b)?",
        new in "((a|b = 1|# c|\\[d\\]|é|\r)?\r?\n){1,20}(a|b)?",
        blank in any::<bool>(),
    ) {
        let name = if blank { "my file.toml" } else { "torod.toml" };
        if old != new {
            applies(&["git", "apply", "-p1"], name, &old, &new);
            applies(&["patch", "-p1", "--binary", "--no-backup-if-mismatch"], name, &old, &new);
        }
    }
}
