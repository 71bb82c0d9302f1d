//! `torod config` beside a running torod: it is told, waited for, and asked what is live.

use std::{path::Path, time::Duration};

use tokenrouter::base::{digest, hex};

use crate::{
    cli::{Said, json, torod_with},
    samples,
    scripted::{Script, Scripted},
    world::{CONFIG, World, fill},
};

/// The program for this directory, on a thread of its own.
async fn config(dir: &Path, words: &[&str]) -> Said {
    let dir = dir.to_owned();
    let words: Vec<String> = ["--config", "torod.toml", "--state-dir", "state", "config"]
        .iter()
        .chain(words)
        .map(ToString::to_string)
        .collect();
    let run = move || {
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        torod_with(&dir, &words, &[])
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_torod_is_told_and_says_its_generation() {
    let provider = Scripted::always(Script::json(200, samples::CHAT)).await;
    let world = World::over(&provider).await;
    let dir = world.dir.path();
    let said = config(dir, &["set", "default_provider", "echo"]).await;
    assert!(said.code == Some(0) && said.err.contains("live as generation 2"), "{said:?}");
    assert_eq!(world.snapshot().config.default_provider.as_deref(), Some("echo"));
    let said = config(dir, &["provider", "disable", "scripted", "--json"]).await;
    assert_eq!(json(&said.out)["generation"], 3, "{said:?}");
    let said = config(dir, &["set", "default_provider", "echo"]).await;
    assert!(said.err.contains("nothing to change"), "{said:?}");
    let revision = hex(&digest(world.config_text()));
    for words in [&["wait"][..], &["wait", "--revision", &revision[..8], "--timeout", "0"]] {
        let said = config(dir, words).await;
        assert_eq!((said.code, said.out.as_str()), (Some(0), "generation 3\n"), "{said:?}");
    }
    let said = config(dir, &["key", "add", "--role", "admin"]).await;
    let ask = world.bare("GET", "/admin/api/config/status");
    let reply = ask.header("authorization", format!("Bearer {}", said.out.trim())).send().await;
    assert_eq!(reply.status, 200, "the new key is live when the command ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_is_not_live_is_waited_for_and_shown() {
    let provider = Scripted::always(Script::json(200, samples::CHAT)).await;
    let world = World::over(&provider).await;
    let dir = world.dir.path();
    // Of a text that does not load, nothing goes live.
    let good = world.config_text();
    let bad = good.replace("default_provider = \"scripted\"", "default_provider = \"nobody\"");
    world.save(&bad);
    let said = config(dir, &["wait", "--timeout", "1"]).await;
    assert!(said.code == Some(1) && said.err.contains("nobody"), "{said:?}");
    let said = config(dir, &["diff"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("+default_provider = \"nobody\""), "{said:?}");
    assert!(!said.out.contains("up-secret"), "{said:?}");
    let said = config(dir, &["set", "shutdown_seconds", "7"]).await;
    assert!(said.code == Some(3) && said.err.contains("nobody"), "{said:?}");
    assert_eq!(world.config_text(), bad);

    // One that comes while it is waited for.
    let next = good.replace("shutdown_seconds = 5", "shutdown_seconds = 6");
    let revision = hex(&digest(&next));
    let words = ["wait", "--revision", &revision, "--timeout", "20"];
    let (said, ()) = tokio::join!(config(dir, &words), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        world.save(&next);
    });
    assert_eq!((said.code, said.out.as_str()), (Some(0), "generation 2\n"), "{said:?}");
    let said = config(dir, &["diff"]).await;
    assert_eq!((said.code, said.out.as_str()), (Some(0), ""), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torod_with_another_file_is_left_alone() {
    let provider = Scripted::always(Script::json(200, samples::CHAT)).await;
    let world = World::over(&provider).await;
    let dir = world.dir.path();
    let other = fill(CONFIG, &[("scripted", &provider)]);
    std::fs::write(dir.join("other.toml"), other).unwrap();
    let said = config(dir, &["set", "shutdown_seconds", "9", "--config", "other.toml"]).await;
    assert!(said.code == Some(0) && !said.err.contains("live"), "{said:?}");
    assert_eq!(world.generation(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_is_tested_with_what_the_file_has() {
    let provider = Scripted::always(Script::json(200, samples::CHAT)).await;
    provider.set_models(&["a", "b"]);
    let dir = tempfile::tempdir().unwrap();
    let text = fill(CONFIG, &[("scripted", &provider)]);
    std::fs::write(dir.path().join("torod.toml"), text).unwrap();
    let said = config(dir.path(), &["provider", "test", "scripted"]).await;
    assert_eq!((said.code, said.out.as_str()), (Some(0), "a\nb\n"), "{said:?}");
    let said = config(dir.path(), &["provider", "test", "scripted", "--json"]).await;
    assert_eq!(json(&said.out)["models"], serde_json::json!(["a", "b"]));
    let said = config(dir.path(), &["provider", "test", "echo"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_go_to_torod_and_what_it_says_is_read() {
    let provider = Scripted::always(Script::json(200, samples::CHAT)).await;
    let world = World::over(&provider).await;
    let socket = world.dir.path().join("state/control.sock");
    let answer = tokenrouter::client::get::<serde_json::Value>(&socket, "/v1/models/nobody").await;
    let error = answer.unwrap_err().to_string();
    assert!(error.starts_with("torod answered 404") && error.contains("nobody"), "{error}");
    let logs = "/admin/api/settings/logs";
    let level = |it: &str| serde_json::json!({ "level": it });
    let put = tokenrouter::client::put::<serde_json::Value>(&socket, logs, &level("loud")).await;
    let error = put.unwrap_err().to_string();
    assert!(error.starts_with("torod answered 422"), "{error}");
    let put = tokenrouter::client::put::<serde_json::Value>(&socket, logs, &level("debug")).await;
    assert_eq!(put.unwrap()["generation"], 2);
}
