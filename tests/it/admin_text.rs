//! The whole text by the admin API: read, written, edited, tried, and as it was before.

use serde_json::{Value, json};
use tokenrouter::config::Revision;

use crate::{
    admin::{asking, done, get, refused, send, send_if, world},
    process::{Torod, directory, program_after},
    samples::CHAT,
    scripted::{Script, Scripted},
    world::{CONFIG, World, eventually},
};

/// The masked text and its tag.
async fn masked(world: &World) -> (String, String) {
    let (read, tag) = get(world, "/config").await;
    (read["text"].as_str().unwrap().to_owned(), tag)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_text_comes_masked_and_goes_back_as_it_was() {
    let (world, _) = world("").await;
    let before = world.config_text();
    let (text, tag) = masked(&world).await;
    assert_eq!(tag, format!("\"{}\"", Revision::of(&before)));
    assert!(!text.contains("up-secret") && !text.contains("sk-test"), "{text}");
    assert!(text.contains("api_key = \"***#"), "{text}");
    // Unchanged, it is no change.
    let reply = send_if(&world, "PUT", "/config", &tag, json!({ "text": text })).await;
    assert_eq!((reply.status, world.config_text()), (200, before.clone()), "{}", reply.text());
    assert_eq!((world.generation(), reply.header("etag")), (1, Some(&*tag)));
    // With a line more, that line is the change, and it is live with the answer.
    let more = format!("{text}\n[logs]\nlevel = \"debug\" # more\n");
    let reply = send_if(&world, "PUT", "/config", &tag, json!({ "text": more })).await;
    let told = reply.json();
    assert_eq!(
        (reply.status, &told["status"], &told["generation"]),
        (200, &json!("ok"), &json!(2))
    );
    assert_eq!(world.config_text(), format!("{before}\n[logs]\nlevel = \"debug\" # more\n"));
    let after = Revision::of(world.config_text()).to_string();
    assert_eq!(
        (&told["revision"], reply.header("etag")),
        (&json!(after), Some(&*format!("\"{after}\"")))
    );
    assert!(told["changes"].as_str().unwrap().contains("logs"), "{told}");
    assert_eq!(told["restart_required"], json!([]));
    assert_eq!(world.generation(), 2);
    assert_eq!(world.chat("m").await.status, 200, "the secrets are still there");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_text_passes_as_toml_too() {
    let (world, _) = world("").await;
    let reply = asking(&world, "GET", "/config", &Value::Null)
        .header("accept", "application/toml")
        .send()
        .await;
    assert_eq!(reply.header("content-type"), Some("application/toml"));
    let text = format!("# by curl\n{}", reply.text());
    assert!(!text.contains("up-secret"));
    let tag = reply.header("etag").unwrap().to_owned();
    let put = world.ask("PUT", "/admin/api/config").header("content-type", "application/toml");
    let reply = put.header("if-match", tag).body(text).send().await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(world.config_text().starts_with("# by curl\n"));
    assert!(world.config_text().contains("up-secret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_text_needs_the_revision_that_it_was_made_from() {
    let (world, _) = world("").await;
    let (text, tag) = masked(&world).await;
    let body = json!({ "text": text });
    refused(&world, "PUT", "/config", body.clone(), (428, "if_match_required")).await;
    // Two clients, one after the other.
    let mine = json!({ "text": format!("# mine\n{text}") });
    let yours = json!({ "text": format!("# yours\n{text}") });
    assert_eq!(send_if(&world, "PUT", "/config", &tag, mine).await.status, 200);
    let written = world.config_text();
    let reply = send_if(&world, "PUT", "/config", &tag, yours).await;
    let told = reply.json();
    assert_eq!((reply.status, reply.code().as_str()), (412, "config_changed"));
    assert_eq!(told["current_revision"], Revision::of(&written).to_string());
    assert!(told["current"].as_str().unwrap().starts_with("# mine\n"), "{told}");
    assert!(told["diff"].as_str().unwrap().contains("+# mine"), "{told}");
    assert!(!reply.text().contains("up-secret") && !reply.text().contains("sk-test"));
    assert_eq!(world.config_text(), written);
    for bad in ["abc", "W/\"a\"", "\"a\", \"b\""] {
        let reply = send_if(&world, "PUT", "/config", bad, body.clone()).await;
        assert_eq!((reply.status, reply.code().as_str()), (400, "bad_if_match"), "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_would_not_load_is_refused_with_all_its_problems() {
    let (world, _) = world("").await;
    let (text, tag) = masked(&world).await;
    let bad =
        format!("managd = true\n{text}\n[limits]\nmax_body_bytes = 1\n[logs]\nlevl = \"x\"\n");
    let reply = send_if(&world, "PUT", "/config", &tag, json!({ "text": bad })).await;
    let told = reply.json();
    assert_eq!((reply.status, reply.code().as_str()), (422, "config_invalid"), "{told}");
    let problems = told["problems"].as_array().unwrap();
    let errors: Vec<_> = problems.iter().filter(|it| it["severity"] == "error").collect();
    let lines: Vec<_> = errors.iter().map(|it| it["line"].as_u64().unwrap()).collect();
    let at = |mark: &str| bad.lines().position(|it| it.contains(mark)).unwrap() as u64 + 1;
    assert_eq!(lines, [1, at("max_body_bytes"), at("levl")], "{told}");
    assert_eq!(errors[0]["help"], "did you mean `managed`?");
    assert!(errors[0]["rendered"].as_str().unwrap().contains("^^^^^^"), "{told}");
    assert!(!reply.text().contains("up-secret"), "{told}");
    assert_eq!((world.generation(), world.config_text().contains("managd")), (1, false));
    // The same without writing.
    let reply = done(&world, "POST", "/config/validate", json!({ "text": bad })).await.json();
    assert_eq!((&reply["ok"], &reply["problems"]), (&json!(false), &told["problems"]));
    let reply = done(&world, "POST", "/config/validate", json!({ "text": text })).await.json();
    assert_eq!(reply["ok"], true, "{reply}");
    let syntax = done(&world, "POST", "/config/validate", json!({ "text": "a = \n" })).await.json();
    assert_eq!((&syntax["ok"], &syntax["problems"][0]["code"]), (&json!(false), &json!("syntax")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mask_is_no_way_to_move_a_credential() {
    let (world, provider) = world("").await;
    let (text, tag) = masked(&world).await;
    let elsewhere = Scripted::always(Script::json(200, "{}")).await;
    let moved = text.replace(&provider.base(), &elsewhere.base());
    assert_ne!(moved, text);
    let reply = send_if(&world, "PUT", "/config", &tag, json!({ "text": moved })).await;
    let told = reply.json();
    assert_eq!(
        (reply.status, &told["problems"][0]["code"]),
        (422, &json!("mask_elsewhere")),
        "{told}"
    );
    assert_eq!(told["problems"][0]["help"], "enter the credential again");
    let unknown = text.replace("***#", "***#0").replacen("***#0", "***#00000000\"\n# \"", 1);
    let reply = send_if(&world, "PUT", "/config", &tag, json!({ "text": unknown })).await;
    assert_eq!((reply.status, &reply.json()["problems"][0]["code"]), (422, &json!("unknown_mask")));
    let edit = json!([{ "op": "change", "kind": "provider", "name": "scripted", "values": { "api_key": "***#01234567" } }]);
    refused(&world, "PATCH", "/config", edit, (422, "mask_in_edit")).await;
    assert_eq!((elsewhere.hits(), elsewhere.lists()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_file_does_not_load_only_a_whole_text_passes() {
    let (world, _) = world("").await;
    let good = world.config_text();
    world.save(&good.replace("shutdown_seconds = 5", "shutdown_seconds = \"five\"\nmanagd = 1"));
    eventually("the bad text is seen", || !world.app().live.disk().0.is_empty()).await;
    for (method, path, body) in [
        ("PATCH", "/config", json!([{ "op": "set", "path": "logs.level", "value": "debug" }])),
        ("POST", "/providers", json!({ "name": "x", "provider_type": "echo" })),
        ("PUT", "/providers/scripted", json!({ "timeout_seconds": 5 })),
        ("DELETE", "/providers/echo", Value::Null),
        ("POST", "/access-tokens", json!({ "name": "x" })),
        ("PUT", "/settings/logs", json!({ "level": "debug" })),
    ] {
        let reply = refused(&world, method, path, body, (409, "config_broken")).await;
        let problems = reply.json()["problems"].clone();
        assert!(problems.as_array().unwrap().len() >= 2, "{method} {path}: {problems}");
    }
    let (text, tag) = masked(&world).await;
    assert!(text.contains("\"five\"") && !text.contains("up-secret"), "{text}");
    let mended = text.replace("\"five\"\nmanagd = 1", "5");
    let reply = send_if(&world, "PUT", "/config", &tag, json!({ "text": mended })).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(world.config_text(), good);
    // The same when it is not even TOML: what is live knows the secrets that cannot be found.
    world.save(&good.replacen("[[providers]]", "[[providers", 1));
    eventually("the bad text is seen", || !world.app().live.disk().0.is_empty()).await;
    let (text, tag) = masked(&world).await;
    assert!(!text.contains("up-secret"), "{text}");
    let before = crate::admin::get(&world, "/config/history").await.0[0]["revision"].clone();
    let (kept, _) = get(&world, &format!("/config/history/{}", before.as_str().unwrap())).await;
    let reply = send_if(&world, "PUT", "/config", &tag, json!({ "text": kept["text"] })).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(world.config_text(), good);
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_are_done_together_or_not_at_all() {
    let (world, _) = world("").await;
    let edits = json!({ "edits": [
        { "op": "set", "path": "logs.level", "value": "debug" },
        { "op": "add", "kind": "model", "values": { "name": "fast", "targets": ["echo/hello"] } },
        { "op": "disable", "name": "scripted" },
    ]});
    let before = world.config_text();
    let dry = done(&world, "PATCH", "/config?dry_run=1", edits.clone()).await;
    let told = dry.json();
    assert_eq!((&told["status"], world.config_text()), (&json!("dry_run"), before.clone()));
    let patch = told["patch"].as_str().unwrap();
    assert!(patch.contains("+name = \"fast\"") && !patch.contains("up-secret"), "{patch}");
    let told = done(&world, "PATCH", "/config", edits.clone()).await.json();
    assert_eq!((&told["status"], &told["generation"]), (&json!("ok"), &json!(2)), "{told}");
    assert!(told["patch"].is_null());
    let snapshot = world.snapshot();
    assert!(snapshot.config.models.len() == 1 && !snapshot.config.providers[1].enabled);
    for (edits, wanted) in [
        (
            json!([{ "op": "set", "path": "logs.level", "value": "info" }, { "op": "remove", "kind": "model", "name": "no" }]),
            (404, "not_found"),
        ),
        (edits, (409, "exists")),
        (json!([{ "op": "set", "path": "logs.levle", "value": "info" }]), (400, "unknown_field")),
        (json!([{ "op": "set", "path": "logs.level", "value": "loud" }]), (422, "config_invalid")),
        (json!([{ "op": "explode" }]), (400, "invalid_value")),
        (json!({ "edit": [] }), (400, "invalid_value")),
    ] {
        refused(&world, "PATCH", "/config", edits, wanted).await;
    }
    let stale = format!("\"{}\"", Revision::of(&before));
    let edit = json!([{ "op": "enable", "name": "scripted" }]);
    assert_eq!(send_if(&world, "PATCH", "/config", &stale, edit).await.status, 412);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_somebody_elses_is_shown_the_change() {
    let (world, _) = world("").await;
    let managed = world.config_text().replacen("shutdown", "managed = true\nshutdown", 1);
    world.save(&managed);
    eventually("it is live", || world.generation() == 2).await;
    let body = json!({ "name": "xai", "provider_type": "xai", "api_key": "xai-new-secret" });
    let reply = refused(&world, "POST", "/providers", body, (423, "config_managed")).await;
    let told = reply.json();
    assert!(told["why"].as_str().unwrap().contains("managed"), "{told}");
    let (patch, text) = (told["patch"].as_str().unwrap(), told["text"].as_str().unwrap());
    assert!(patch.contains("+name = \"xai\"") && text.contains("xai-new-secret"), "{told}");
    assert!(!reply.text().contains("up-secret") && !reply.text().contains("sk-test"), "{told}");
    let (status, _) = get(&world, "/config/status").await;
    assert_eq!((&status["writable"], world.config_text()), (&json!(false), managed));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_way_in_cannot_be_closed() {
    let (world, _) = world("").await;
    let (text, tag) = masked(&world).await;
    let demoted = text.replace("role = \"admin\"", "role = \"keymaster\"");
    let reply = send_if(&world, "PUT", "/config", &tag, json!({ "text": demoted })).await;
    assert_eq!((reply.status, reply.code().as_str()), (409, "last_admin"), "{}", reply.text());
    let edit = json!([{ "op": "remove", "kind": "key", "name": "tester" }]);
    refused(&world, "PATCH", "/config", edit, (409, "last_admin")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn earlier_texts_are_kept_and_shown_masked() {
    let (world, _) = world("").await;
    let first = world.config_text();
    done(&world, "PUT", "/settings/logs", json!({ "level": "debug" })).await;
    done(&world, "PUT", "/settings/logs", json!({ "level": "warn" })).await;
    let (rows, _) = get(&world, "/config/history").await;
    assert!(rows.as_array().unwrap().len() >= 3, "{rows}");
    assert_eq!(rows[0]["revision"], Revision::of(world.config_text()).to_string());
    let revision = Revision::of(&first).to_string();
    let (kept, tag) = get(&world, &format!("/config/history/{}", &revision[..12])).await;
    assert_eq!((&kept["revision"], tag), (&json!(revision), format!("\"{revision}\"")));
    assert!(kept["text"].as_str().unwrap().contains("***#"), "{kept}");
    assert!(!kept.to_string().contains("up-secret"));
    for path in [
        "/config/history/0123",
        "/config/history/00000000000000",
        "/config/history/..%2f..%2ftorod",
    ] {
        assert_eq!(send(&world, "GET", path, Value::Null).await.status, 404, "{path}");
    }
    let (schema, _) = get(&world, "/config/schema").await;
    assert!(schema["properties"]["providers"].is_object());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_room_the_file_is_as_it_was() {
    let provider = Scripted::always(Script::json(200, CHAT)).await;
    let dir =
        directory(&format!("{CONFIG}\n#{}\n", "x".repeat(200_000)), &[("scripted", &provider)]);
    let before = std::fs::read_to_string(dir.path().join("torod.toml")).unwrap();
    let command = program_after(&dir, "trap '' XFSZ; ulimit -f 320");
    let torod = Torod::launch(dir, command).listens().await;
    let ask = torod.ask("PUT", "/admin/api/settings/logs");
    let ask = ask.header("content-type", "application/json").body(r#"{"level":"debug"}"#);
    let reply = ask.send().await;
    assert_eq!((reply.status, reply.code().as_str()), (507, "no_space"), "{}", reply.text());
    let after = std::fs::read_to_string(torod.dir.path().join("torod.toml")).unwrap();
    assert!(after == before, "it is whole");
    let status = torod.ask("GET", "/admin/api/config/status").send().await.json();
    assert_eq!(status["generation"], 1);
}
