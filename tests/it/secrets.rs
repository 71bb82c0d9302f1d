//! Secrets are read again when their files change, and never shown.

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::sleep;

use crate::{
    process::{Torod, program},
    saves::{self, Kept, POLLED, Times, WATCHED, live, models_as, replace, status, text},
    scripted::{Script, Scripted},
    world::{Ask, KEY, World, chat_body, scale, within},
};

const CHAT: &str = "/v1/chat/completions";
const ANSWER: &str = r#"{"id":"c","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"one"},"finish_reason":"stop"}]}"#;

/// A provider and a caller, both with their secret from elsewhere.
fn referring(number: usize, base: &str, provider: &str, caller: &str) -> String {
    text(number)
        + &format!(
            r#"
[[providers]]
name = "scripted"
provider_type = "openai-compatible"
base_url = "{base}"
api_key = "{provider}"

[[incoming_tokens]]
id = "caller"
key = "{caller}"
"#
        )
}

/// Waits until a key is admitted; how long that took is measured by the caller.
async fn admitted(world: &World, key: &str, limit: Duration) {
    let snapshot = || world.snapshot().keys.admit(key, jiff::Timestamp::now()).is_some();
    within(limit, "the key is admitted", snapshot).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_variable_is_a_warning_and_blocks_nothing() {
    let provider = Scripted::always(Script::json(200, ANSWER)).await;
    let reference = "${env:TOROD_TEST_NOT_SET}";
    let with = |number| referring(number, &provider.base(), reference, reference);
    let world = saves::over(&with(0), true).await;
    for number in 1..4 {
        let told = status(&world).await;
        let warnings = told["problems"].as_array().unwrap().iter();
        let warnings: Vec<_> = warnings.filter(|it| it["code"] == "unresolved_secret").collect();
        assert_eq!(warnings.len(), 2, "{told}");
        let lines = with(number - 1);
        let lines: Vec<_> = lines.lines().collect();
        for warning in warnings {
            assert_eq!(warning["severity"], "warning");
            let line = usize::try_from(warning["line"].as_u64().unwrap()).unwrap();
            assert!(lines[line - 1].contains(reference), "{warning}");
        }
        let reply = world.chat("scripted/m").await;
        assert_eq!((reply.status, reply.code().as_str()), (503, "provider_unconfigured"));
        assert!(!reply.text().contains("TOROD_TEST"), "{}", reply.text());
        for key in ["", reference, "TOROD_TEST_NOT_SET"] {
            assert_eq!(models_as(world.addr, key).await.status, 401, "`{key}`");
        }
        assert_eq!(world.chat("echo/hello").await.status, 200, "others are served");
        world.save(&with(number));
        live(world.app(), with(number), WATCHED).await;
    }
    assert_eq!(provider.hits(), 0, "nothing is sent without a credential");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_file_that_is_renamed_over_is_live_at_once() {
    for watch in [true, false] {
        let (limit, rounds) = if watch { (WATCHED, scale(50)) } else { (POLLED, 2) };
        let provider = Scripted::always(Script::json(200, ANSWER)).await;
        let secrets = tempfile::tempdir().unwrap();
        let (up, down) = (secrets.path().join("up"), secrets.path().join("down"));
        replace(&up, "up-0\n");
        replace(&down, "sk-rotated-0\n");
        let reference = |path: &Path| format!("${{file:{}}}", path.display());
        let config = referring(0, &provider.base(), &reference(&up), &reference(&down));
        let world = saves::over(&config, watch).await;
        let mut times = Times::default();
        for round in 1..=rounds {
            let (key, begin) = (format!("sk-rotated-{round}"), tokio::time::Instant::now());
            replace(&up, format!("up-{round}\n"));
            replace(&down, format!("{key}\n"));
            admitted(&world, &key, limit).await;
            times.add(begin.elapsed());
            assert_eq!(models_as(world.addr, &key).await.status, 200);
            let old = format!("sk-rotated-{}", round - 1);
            assert_eq!(models_as(world.addr, &old).await.status, 401, "the old one is dead");
            assert_eq!(world.chat("scripted/m").await.status, 200);
            let sent = provider.last().header("authorization").map(str::to_owned);
            assert_eq!(sent, Some(format!("Bearer up-{round}")));
            assert!(world.generation() > round as u64, "new secrets are a generation");
        }
        times.report(&format!("a secret by rename, watch {watch}"));
        assert_eq!(world.config_text(), config);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mounted_secret_is_rotated_under_load_without_a_refused_request() {
    let provider = Scripted::always(Script::json(200, ANSWER)).await;
    let mount = tempfile::tempdir().unwrap();
    let at = |name: &str| mount.path().join(name);
    fs::create_dir(at("..first")).unwrap();
    fs::write(at("..first/key"), "sk-mounted-0").unwrap();
    symlink("..first", at("..data")).unwrap();
    symlink("..data/key", at("key")).unwrap();
    let reference = format!("${{file:{}}}", at("key").display());
    let world = saves::over(&referring(0, &provider.base(), "up", &reference), true).await;
    let (end, mut clients) = (Arc::new(AtomicBool::new(false)), Vec::new());
    for _ in 0..8 {
        let (end, mut kept) = (Arc::clone(&end), Kept::open(world.addr, KEY).await);
        clients.push(tokio::spawn(async move {
            let mut calls = 0;
            while !end.load(Ordering::Relaxed) {
                let reply = kept.ask("POST", CHAT, chat_body("scripted/m", false)).await.unwrap();
                assert_eq!(reply.0, 200, "the other key is not concerned");
                calls += 1;
                sleep(Duration::from_millis(1)).await;
            }
            calls
        }));
    }
    let mut times = Times::default();
    for round in 1..=scale(50) {
        let (old, fresh) = (fs::read_link(at("..data")).unwrap(), format!("..round-{round}"));
        fs::create_dir(at(&fresh)).unwrap();
        fs::write(at(&fresh).join("key"), format!("sk-mounted-{round}")).unwrap();
        symlink(fresh, at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
        fs::remove_dir_all(mount.path().join(old)).unwrap();
        let begin = tokio::time::Instant::now();
        admitted(&world, &format!("sk-mounted-{round}"), WATCHED).await;
        times.add(begin.elapsed());
        let dead = models_as(world.addr, &format!("sk-mounted-{}", round - 1)).await;
        assert_eq!(dead.status, 401);
    }
    end.store(true, Ordering::Relaxed);
    for client in clients {
        assert!(client.await.unwrap() > 20, "they called all the time");
    }
    times.report("a mounted secret under load");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_file_may_come_late_and_go_again() {
    let provider = Scripted::always(Script::json(200, ANSWER)).await;
    let config = referring(0, &provider.base(), "${file:secrets/up}", "${file:secrets/down}");
    let world = saves::over(&config, true).await;
    assert_eq!(world.chat("scripted/m").await.code(), "provider_unconfigured");
    let secrets = world.dir.path().join("secrets");
    for _ in 0..2 {
        // Relative to the file. The directory is not there yet, so nothing can be watched.
        fs::create_dir(&secrets).unwrap();
        fs::write(secrets.join("up"), "up-secret").unwrap();
        fs::write(secrets.join("down"), "sk-late-000000000001").unwrap();
        admitted(&world, "sk-late-000000000001", POLLED).await;
        assert_eq!(world.chat("scripted/m").await.status, 200);
        fs::remove_dir_all(&secrets).unwrap();
        let gone = || world.snapshot().keys.admit("sk-late-000000000001", jiff::Timestamp::now());
        within(POLLED, "the key is gone", || gone().is_none()).await;
        assert_eq!(world.chat("scripted/m").await.code(), "provider_unconfigured");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_touched_secret_makes_no_generation() {
    let secrets = tempfile::tempdir().unwrap();
    let path = secrets.path().join("key");
    replace(&path, "sk-touched-00000001");
    let reference = format!("${{file:{}}}", path.display());
    let world = saves::over(&referring(0, "http://127.0.0.1:9/v1", "up", &reference), true).await;
    for _ in 0..10 {
        replace(&path, "sk-touched-00000001");
        fs::write(secrets.path().join("other"), "noise").unwrap();
        // A line end is not part of a secret.
        fs::write(&path, "sk-touched-00000001\n").unwrap();
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(saves::reload(&world).await["generation"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_keeps_a_text_from_going_live_is_looked_at_again() {
    let secrets = tempfile::tempdir().unwrap();
    let path = secrets.path().join("key");
    // Two keys that are the same: the file is at fault, not the text.
    replace(&path, KEY);
    let world = saves::over(&text(0), true).await;
    let config =
        referring(1, "http://127.0.0.1:9/v1", "up", &format!("${{file:{}}}", path.display()));
    world.save(&config);
    saves::refused(world.app(), "duplicate", WATCHED).await;
    replace(&path, "sk-another-000000001");
    admitted(&world, "sk-another-000000001", POLLED).await;
    assert_eq!(saves::errors(world.app()), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_changes_while_it_is_read_is_not_missed() {
    let world = saves::over(&text(0), true).await;
    let secrets = world.dir.path().join("secrets");
    fs::create_dir(&secrets).unwrap();
    // Many files take their time to be read; the first of them changes meanwhile.
    let key = |number: usize| {
        replace(&secrets.join(format!("key-{number}")), format!("sk-one-of-many-{number:05}"));
        format!(
            "\n[[incoming_tokens]]\nid = \"k{number}\"\nkey = \"${{file:secrets/key-{number}}}\"\n"
        )
    };
    let config = text(1) + &(0..300).map(key).collect::<Vec<_>>().concat();
    world.save(&config);
    live(world.app(), &config, WATCHED).await;
    for round in 0..scale(120) as u64 {
        let first = secrets.join("key-0");
        replace(&first, format!("sk-before-{round:010}"));
        // It is read about 150 ms after the first write.
        sleep(Duration::from_millis(146 + 3 * (round % 12))).await;
        replace(&first, format!("sk-after-{round:010}"));
        admitted(&world, &format!("sk-after-{round:010}"), POLLED).await;
    }
}

/// What must not be seen anywhere.
const CANARIES: [&str; 7] = [
    "canary-literal-key",
    "canary-env-key",
    "canary-file-key",
    "canary-up-literal",
    "canary-up-env",
    "canary-header",
    "canary-in-a-bad-line",
];

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_ever_in_the_status_or_the_log() {
    let provider = Scripted::start(|request| {
        Script::json(if request.model() == "bad" { 401 } else { 200 }, ANSWER)
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file-key"), "canary-file-key").unwrap();
    let base = provider.base();
    let mut config = referring(0, &base, "${env:TOROD_TEST_UP}", "${env:TOROD_TEST_KEY}");
    config += &format!(
        r#"headers = {{}}
[[incoming_tokens]]
id = "literal"
key = "canary-literal-key"
[[incoming_tokens]]
id = "file"
key = "${{file:file-key}}"
[[providers]]
name = "literal"
provider_type = "openai-compatible"
base_url = "{base}"
api_key = "canary-up-literal"
headers = {{ x-team = "canary-header" }}
[logs]
level = "trace"
"#
    )
    .replace("headers = {}\n", "");
    let path = dir.path().join("torod.toml");
    fs::write(&path, &config).unwrap();
    let mut command = program(&dir);
    command.env("TOROD_TEST_UP", "canary-up-env").env("TOROD_TEST_KEY", "canary-env-key");
    let torod = Torod::launch(dir, command).listens().await;
    let count = |mark: &str| torod.said().matches(mark).count();
    let mut seen = Vec::new();
    for key in ["canary-literal-key", "canary-env-key", "canary-file-key", "canary-in-a-bad-line"] {
        for model in ["scripted/m", "literal/m", "literal/bad", "nobody/m"] {
            let ask = Ask::new(torod.addr, "POST", CHAT);
            let ask = ask.header("authorization", format!("Bearer {key}"));
            let reply = ask.body(chat_body(model, false)).send().await;
            assert_eq!(reply.status == 401, key == "canary-in-a-bad-line", "{}", reply.text());
            seen.push(reply.text());
        }
    }
    assert_eq!(provider.last().header("authorization"), Some("Bearer canary-up-literal"));
    for bad in [
        "api_kye = \"canary-in-a-bad-line\"",
        "api_key = [\"canary-in-a-bad-line\"]",
        "[[incoming_tokens]]\nkey = \"canary-in-a-bad-line",
        "[[incoming_tokens]]\nid = \"x\"\nkey = \"canary-in-a-bad-line\"\nrole = \"boss\"",
        "[[incoming_tokens]]\nid = \"y\"\nkey = \"canary-literal-key\"",
        "[[providers]]\nname = \"p\"\nbase_url = \"http://u:canary-in-a-bad-line@127.0.0.1/v1\"",
        "[[providers]]\nname = \"p\"\nprovider_type = \"openai-compatible\"\nbase_url = \"canary-in-a-bad-line\"",
        "[[incoming_tokens]]\nid = \"z\"\nkey_hash = \"canary-in-a-bad-line\"",
        "[[incoming_tokens]]\nid = \"v\"\nkey = \"${vault:canary-in-a-bad-line}\"",
    ] {
        let lines = count("not applied");
        replace(&path, format!("{config}\n{bad}\n"));
        within(WATCHED, bad, || count("not applied") > lines).await;
        for path in ["/admin/api/config/status", "/v1/status"] {
            let reply = torod.ask("GET", path).send().await;
            assert_eq!(reply.status, 200);
            seen.push(reply.text());
        }
    }
    replace(&path, config.replace("number 0", "number 1"));
    torod.says("config applied").await;
    seen.push(torod.ask("GET", "/admin/api/config/status").send().await.text());
    seen.push(torod.said());
    for canary in CANARIES {
        for text in &seen {
            assert!(!text.contains(canary), "`{canary}` in `{text}`");
        }
    }
    assert!(count("TRACE") + count("DEBUG") > 0, "the log was at its loudest");
}
