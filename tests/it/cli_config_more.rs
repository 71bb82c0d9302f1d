//! `torod config` beside the plain edits: what is printed, secrets, keys, refusals, the editor,
//! white space, earlier texts.

use std::{fs, path::PathBuf, process::Command};

use serde_json::Value;
use tokenrouter::base::{digest, hex};

use crate::{
    cli::json,
    cli_config::{Place, TEXT, changed},
};

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
