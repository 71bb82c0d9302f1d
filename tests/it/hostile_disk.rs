//! Files: whose they are, and what becomes of torod when they are damaged or cannot be written.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::Signal;

use crate::{
    client::PATIENCE,
    process::{Torod, program, program_after},
    samples::CHAT,
    scripted::{Script, Scripted},
    world::{CONFIG, World, eventually, fill, scale},
};

/// All that is below, the directory itself too.
fn below(path: &Path) -> Vec<PathBuf> {
    let mut all = vec![path.to_owned()];
    if path.is_dir() {
        for item in std::fs::read_dir(path).unwrap() {
            all.extend(below(&item.unwrap().path()));
        }
    }
    all
}

fn mode(path: &Path) -> u32 {
    path.symlink_metadata().unwrap().permissions().mode() & 0o777
}

/// Nobody but the owner may look at anything below.
fn is_private(path: &Path) {
    for path in below(path) {
        let most = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode(&path) & !most, 0, "{}: {:o}", path.display(), mode(&path));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_torod_writes_is_its_users_alone() {
    let provider = Scripted::always(Script::json(200, CHAT)).await;
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("torod.toml"), fill(CONFIG, &[("scripted", &provider)]))
        .unwrap();
    let command = program_after(&dir, "umask 0");
    let torod = Torod::launch(dir, command).listens().await;
    let cache = torod.dir.path().join("cache/models-cache.json");
    eventually("the cache is written", || cache.exists()).await;
    for place in ["state", "cache"] {
        is_private(&torod.dir.path().join(place));
    }
    // While it is written too: it is made with that mode, not given it later.
    assert_eq!(mode(&torod.dir.path().join("state")), 0o700);
    assert_eq!(mode(&cache), 0o600);
}

/// Starts without a config; waits for what is written then. The port of the written config may be
/// taken, so torod may end; what it wrote stays.
async fn first_start(first: &str) -> Torod {
    let dir = tempfile::tempdir().unwrap();
    let command = program_after(&dir, first);
    let mut torod = Torod::launch(dir, command);
    torod.says("curl ").await;
    torod.signal(Signal::KILL);
    torod.ended(PATIENCE).await;
    torod
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_start_writes_a_config_and_a_key_for_its_user_alone() {
    let torod = first_start("umask 0").await;
    let (said, dir) = (torod.said(), torod.dir.path().to_owned());
    let key_path = dir.join("state/first-admin-key");
    assert!(said.contains(key_path.to_str().unwrap()), "{said}");
    is_private(&dir.join("state"));
    assert_eq!(mode(&dir.join("torod.toml")), 0o600);
    let key = std::fs::read_to_string(key_path).unwrap();
    let key = key.trim();
    assert!(key.starts_with("tr_") && !said.contains(key), "{said}");
    let text = std::fs::read_to_string(dir.join("torod.toml")).unwrap();
    assert!(!text.contains(key) && text.contains("sha256:"), "the file has the hash alone");
    // The key works once torod serves that file.
    std::fs::write(dir.join("torod.toml"), text.replace("127.0.0.1:8080", "127.0.0.1:0")).unwrap();
    let again = program(&torod.dir);
    let (tempdir, key) = (tempfile::tempdir().unwrap(), key.to_owned());
    let again = Torod::launch(tempdir, again).listens().await;
    let body = r#"{"model":"echo/x","messages":[{"role":"user","content":"hello there"}]}"#;
    let asked = again.bare("POST", "/v1/chat/completions").header("x-api-key", key);
    let reply = asked.header("content-type", "application/json").body(body).send().await;
    assert_eq!(reply.json()["choices"][0]["message"]["content"], "hello there");
    assert!(!again.said().contains("first admin key"), "{}", again.said());
}

/// What a cache may have become.
fn damaged() -> Vec<Vec<u8>> {
    let good = r#"{"scripted":{"models":["old"],"fetched_at":"2026-01-01T00:00:00Z"}}"#;
    let mut all: Vec<Vec<u8>> = [
        "",
        "{",
        "null",
        "[]",
        "[1,2]",
        "{\"scripted\":null}",
        "{\"scripted\":{\"models\":[1],\"fetched_at\":5}}",
        "{\"scripted\":{\"models\":\"x\",\"fetched_at\":\"never\"}}",
        &good[..40],
        &format!("{good}x"),
        &"[".repeat(100_000),
    ]
    .map(|it| it.as_bytes().to_vec())
    .to_vec();
    all.push(vec![0; 4096]);
    all.push(vec![0xff; 4096]);
    all.push(vec![b' '; 17 * 1024 * 1024]);
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_cache_is_ignored() {
    let provider = Scripted::always(Script::json(200, CHAT)).await;
    let text = fill(CONFIG, &[("scripted", &provider)]);
    for bytes in damaged() {
        let dir = tempfile::tempdir().unwrap();
        let cache = dir.path().join("cache");
        std::fs::create_dir(&cache).unwrap();
        std::fs::write(cache.join("models-cache.json"), bytes).unwrap();
        let world = World::start_in(dir, &text, true).await;
        assert_eq!(world.chat("scripted/m").await.status, 200);
        world.listed("scripted").await;
        let path = cache.join("models-cache.json");
        let is_whole = || {
            let bytes = std::fs::read(&path).unwrap();
            serde_json::from_slice::<serde_json::Value>(&bytes)
                .is_ok_and(|it| it["scripted"]["models"][0] == "m")
        };
        eventually("the cache is written anew", is_whole).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_takes_nothing_does_not_stop_serving() {
    let provider = Scripted::always(Script::json(200, CHAT)).await;
    let text = fill(CONFIG, &[("scripted", &provider)]);
    // A file where a directory is due, and a directory where a file is.
    for (place, is_file) in [
        ("cache", true),
        ("state", true),
        ("cache/models-cache.json", false),
        ("state/control.sock", false),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(place);
        if is_file {
            std::fs::write(path, "in the way").unwrap();
        } else {
            std::fs::create_dir_all(path.join("in the way")).unwrap();
        }
        let world = World::start_in(dir, &text, true).await;
        world.listed("scripted").await;
        assert_eq!(world.chat("scripted/m").await.status, 200, "{place}");
        let changed = world.config_text() + "\n# changed\n";
        world.save(&changed.replace("shutdown_seconds = 5", "shutdown_seconds = 4"));
        eventually("a reload works", || world.generation() == 2).await;
        world.daemon.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_nobody_reads_does_not_stop_serving() {
    let provider = Scripted::always(Script::json(200, CHAT)).await;
    let dir = tempfile::tempdir().unwrap();
    let text = format!("{CONFIG}\n[logs]\nlevel = \"trace\"\n");
    std::fs::write(dir.path().join("torod.toml"), fill(&text, &[("scripted", &provider)])).unwrap();
    // The first lines are read, those after are not: the pipe fills, or it breaks.
    for (tail, name) in [("exec sleep 20", "stalls"), ("exit", "is gone")] {
        let (out, pipe) = (dir.path().join("out"), dir.path().join("pipe"));
        for old in [&out, &pipe] {
            let _ = std::fs::remove_file(old);
        }
        let (out_name, pipe_name) = (out.display(), pipe.display());
        let read = "n=0; while [ $n -lt 20 ] && read -r line; do echo \"$line\"; n=$((n+1)); done";
        let first = format!(
            "mkfifo {pipe_name}\n({read} > {out_name}; {tail}) < {pipe_name} &\nexec 2> {pipe_name}"
        );
        let command = program_after(&dir, &first);
        let mut torod = Torod::launch(tempfile::tempdir().unwrap(), command);
        let addr = || {
            let said = std::fs::read_to_string(&out).unwrap_or_default();
            let (_, rest) = said.split_once("http://")?;
            rest.split_whitespace().next()?.parse().ok()
        };
        eventually("torod listens", || addr().is_some()).await;
        torod.addr = addr().unwrap();
        for _ in 0..scale(5000) {
            assert_eq!(torod.chat("scripted/m").await.status, 200, "the reader {name}");
        }
        torod.signal(Signal::TERM);
        assert!(torod.ended(Duration::from_secs(10)).await.success(), "the reader {name}");
    }
}
