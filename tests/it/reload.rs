//! A saved config is live soon, a bad one never, and the status says why.

use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use notify::{EventKind, RecursiveMode, Watcher as _, event::AccessKind};
use serde_json::Value;
use tokenrouter::server::{Daemon, Options};
use tokio::time::{Instant, sleep};

use crate::{
    saves::{self, POLLED, WATCHED, errors, live, models_as, refused, reload, status, text},
    world::{KEY, World, eventually, within},
};

/// Texts that do not load, the place of their problem marked by `@@`, and the problem's code. A
/// line that stands first is above the tables.
const BAD: &[(&str, &str)] = &[
    ("default_provider = @@", "syntax"),
    ("@@shutdown_sconds = 5", "unknown_key"),
    ("shutdown_seconds = @@\"soon\"", "type"),
    ("listen_addr = @@\"nowhere\"", "bad_address"),
    ("default_provider = @@\"nobody\"", "unknown_provider"),
    ("@@<<<<<<< HEAD", "syntax"),
    ("limits = @@5", "type"),
    ("[[incoming_tokens]]\nid = @@\"tester\"\nkey = \"sk-another-one-0001\"", "duplicate"),
    (
        "[[incoming_tokens]]\nid = \"x\"\nkey = \"sk-another-one-0002\"\nrole = @@\"boss\"",
        "unknown_word",
    ),
    ("[[providers]]\nname = \"x\"\nprovider_type = @@\"opnai\"", "unknown_type"),
    ("[[providers]]\nname = @@\"a/b\"\nprovider_type = \"echo\"", "bad_name"),
];

/// The bad lines in a good text, and where the mark was, from 1.
fn marked(bad: &str, number: usize) -> (String, usize, usize) {
    let good = text(number);
    let key = bad.split(' ').next().unwrap().trim_start_matches("@@");
    let is_table = bad.starts_with('[');
    let kept: Vec<_> = good.lines().filter(|it| is_table || !it.starts_with(key)).collect();
    let kept = kept.join("\n");
    let text = if is_table { format!("{kept}\n{bad}\n") } else { format!("{bad}\n{kept}\n") };
    let before = &text[..text.find("@@").unwrap()];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap().chars().count() + 1;
    (text.replace("@@", ""), line, column)
}

/// The problems of the status that keep a text from going live.
fn fatal(status: &Value) -> Vec<&Value> {
    let all = status["problems"].as_array().unwrap();
    all.iter().filter(|it| it["severity"] == "error").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_edit_changes_nothing_and_the_status_says_where() {
    let world = saves::over(&text(0), true).await;
    for (turn, (bad, code)) in BAD.iter().enumerate() {
        let (bad, line, column) = marked(bad, turn);
        let generation = world.generation();
        world.save(&bad);
        within(WATCHED, &format!("`{code}` is noticed"), || errors(world.app()) > 0).await;
        let told = status(&world).await;
        assert_eq!(told["generation"], generation, "{bad}");
        let problem = fatal(&told)[0];
        assert_eq!(&problem["code"], code, "{problem} in\n{bad}");
        let place = (problem["line"].as_u64(), problem["column"].as_u64());
        assert_eq!(place, (Some(line as u64), Some(column as u64)), "{problem} in\n{bad}");
        assert!(!problem["message"].as_str().unwrap().is_empty());
        assert_eq!(world.chat("echo/hello").await.status, 200, "the last good one serves");
        if turn % 2 == 0 {
            world.save(&text(turn));
            within(WATCHED, "undoing it clears", || errors(world.app()) == 0).await;
            assert_eq!(world.generation(), generation, "that text was live all the time");
        }
        let good = text(turn + 1);
        world.save(&good);
        live(world.app(), &good, WATCHED).await;
        let told = status(&world).await;
        assert!(fatal(&told).is_empty(), "a good edit clears: {told}");
        assert_eq!(told["generation"], generation + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_text_changes_nothing() {
    let world = saves::over(&text(0), true).await;
    let utf16: Vec<u8> = text(1).encode_utf16().flat_map(u16::to_le_bytes).collect();
    let deep = format!("{}\nx = {}1{}", text(1), "[".repeat(50_000), "]".repeat(50_000));
    let huge = format!("{}\n# {}", text(1), "x".repeat(17 * 1024 * 1024));
    let mut nul = text(1).into_bytes();
    nul.insert(3, 0);
    let latin1 = [text(1).as_bytes(), b"# caf\xe9\n"].concat();
    for (turn, bad) in [utf16, deep.into(), huge.into(), nul, latin1].into_iter().enumerate() {
        let generation = world.generation();
        saves::replace(&world.config_path(), &bad);
        within(POLLED, &format!("bad text {turn} is noticed"), || errors(world.app()) > 0).await;
        assert_eq!(world.generation(), generation, "bad text {turn}");
        let good = text(turn + 1);
        world.save(&good);
        live(world.app(), &good, WATCHED).await;
        assert_eq!(errors(world.app()), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_file_is_refused() {
    let world = saves::over(&text(0), true).await;
    for (turn, empty) in ["", "\n\n", "# only a remark\n", "\u{feff}", " \t\r\n"].iter().enumerate()
    {
        let generation = world.generation();
        fs::write(world.config_path(), empty).unwrap();
        refused(world.app(), "empty", WATCHED).await;
        assert_eq!(world.generation(), generation, "{empty:?}");
        let good = text(turn + 1);
        fs::write(world.config_path(), &good).unwrap();
        live(world.app(), good, WATCHED).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_byte_order_mark_and_carriage_returns_are_accepted() {
    let world = saves::over(&text(0), true).await;
    let windows = |it: String| format!("\u{feff}{}", it.replace('\n', "\r\n"));
    for number in 1..4 {
        let good = windows(text(number));
        world.save(&good);
        live(world.app(), good, WATCHED).await;
        assert_eq!(models_as(world.addr, &saves::key(number)).await.status, 200);
        let (bad, line, column) = marked("shutdown_seconds = @@\"soon\"", number);
        world.save(&windows(bad));
        within(WATCHED, "the bad edit is noticed", || errors(world.app()) > 0).await;
        let told = status(&world).await;
        let problem = fatal(&told)[0];
        assert_eq!((&problem["line"], &problem["column"]), (&line.into(), &column.into()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_read_leaves_the_last_good_one() {
    for watch in [true, false] {
        let world = saves::over(&text(0), watch).await;
        let limit = if watch { WATCHED } else { POLLED };
        let path = world.config_path();
        fs::remove_file(&path).unwrap();
        refused(world.app(), "unreadable", limit).await;
        assert_eq!(world.chat("echo/hello").await.status, 200);
        fs::write(&path, text(0)).unwrap();
        within(limit, "the same text clears it", || errors(world.app()) == 0).await;
        assert_eq!(world.generation(), 1, "it is no new text");
        // Whoever is root can read everything, so a directory stands for what cannot be read.
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        refused(world.app(), "unreadable", limit).await;
        assert_eq!(fatal(&status(&world).await)[0]["code"], "unreadable");
        assert_eq!(world.generation(), 1);
        fs::remove_dir(&path).unwrap();
        fs::write(&path, text(1)).unwrap();
        live(world.app(), text(1), limit).await;
        assert_eq!((world.generation(), errors(world.app())), (2, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_leaves_the_text_alone_makes_no_generation() {
    let world = saves::over(&text(0), true).await;
    let path = world.config_path();
    let busy = tokio::spawn({
        let neighbour = world.dir.path().join("torod.log");
        async move {
            for turn in 0..400 {
                fs::write(&neighbour, format!("line {turn}")).unwrap();
                sleep(Duration::from_millis(3)).await;
            }
        }
    });
    for turn in 0..50_u64 {
        fs::read(&path).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000 + turn);
        File::open(&path).unwrap().set_modified(time).unwrap();
        let mode = if turn % 2 == 0 { 0o600 } else { 0o644 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        fs::write(&path, text(0)).unwrap();
        world.save(&text(0));
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(reload(&world).await["generation"], 1);
    busy.await.unwrap();
    assert_eq!(reload(&world).await["generation"], 1);
    assert_eq!((world.generation(), errors(world.app())), (1, 0));
    world.save(&text(1));
    live(world.app(), text(1), WATCHED).await;
    assert_eq!(world.generation(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_neighbour_does_not_hold_up_a_save() {
    let world = saves::over(&text(0), true).await;
    let neighbour = world.dir.path().join("torod.log");
    let busy = tokio::spawn(async move {
        loop {
            fs::write(&neighbour, "a line").unwrap();
            sleep(Duration::from_millis(5)).await;
        }
    });
    let mut times = saves::Times::default();
    for number in 1..5 {
        world.save(&text(number));
        // There is no moment of quiet, so it is a second at most, and the reading.
        times.add(live(world.app(), text(number), Duration::from_secs(2)).await);
    }
    times.report("beside a busy neighbour");
    busy.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn torod_is_not_woken_by_its_own_reading() {
    let world = saves::over(&text(0), true).await;
    world.save(&text(1));
    live(world.app(), text(1), WATCHED).await;
    let opened = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&opened);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if matches!(event.unwrap().kind, EventKind::Access(AccessKind::Open(_))) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    })
    .unwrap();
    watcher.watch(&world.config_path(), RecursiveMode::NonRecursive).unwrap();
    fs::read(world.config_path()).unwrap();
    within(WATCHED, "a reading is seen", || opened.load(Ordering::Relaxed) > 0).await;
    // Nothing is changed, so only the poll looks: every two seconds.
    sleep(Duration::from_millis(2500)).await;
    let opened = opened.load(Ordering::Relaxed);
    // A reading that wakes a reading would be seen a dozen times.
    assert!(opened <= 8, "opened {opened} times");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_while_torod_starts_is_not_missed() {
    for turn in 0..8_u64 {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("torod.toml");
        fs::write(&path, text(0)).unwrap();
        let (state_dir, cache_dir) = (root.path().join("state"), root.path().join("cache"));
        let config = path.clone();
        let options = Options { config, state_dir, cache_dir, watch: true, read_only: false };
        let starting = tokio::spawn(Daemon::start(options));
        sleep(Duration::from_millis(turn)).await;
        saves::replace(&path, text(1));
        let daemon = starting.await.unwrap().unwrap();
        live(daemon.app(), text(1), WATCHED).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_can_be_asked_for_by_an_admin_alone() {
    let keys = r#"
[[incoming_tokens]]
id = "master"
role = "keymaster"
key = "sk-keymaster-0000001"
"#;
    let world = saves::over(&(text(0) + keys), false).await;
    for path in ["/admin/api/config/reload", "/admin/api/config/status"] {
        let method = if path.ends_with("status") { "GET" } else { "POST" };
        for (key, wanted, code) in [
            (saves::key(0).as_str(), 403, "forbidden"),
            ("sk-keymaster-0000001", 403, "forbidden"),
            ("sk-nobody", 401, "invalid_api_key"),
        ] {
            let ask = world.bare(method, path).header("authorization", format!("Bearer {key}"));
            let reply = ask.send().await;
            assert_eq!((reply.status, reply.code().as_str()), (wanted, code), "{path} {key}");
        }
        assert_eq!(world.bare(method, path).send().await.status, 401, "{path}");
    }
    assert_eq!(world.get("/admin/api/config/reload").await.status, 405);

    let begin = Instant::now();
    let good = text(1) + keys;
    world.save(&good);
    let told = reload(&world).await;
    assert_eq!((&told["applied"], &told["generation"]), (&true.into(), &2.into()), "{told}");
    assert!(begin.elapsed() < Duration::from_secs(1), "it did not wait for the poll");
    assert_eq!(told["revision"], world.snapshot().revision.to_string());
    let told = reload(&world).await;
    assert_eq!((&told["applied"], &told["generation"]), (&true.into(), &2.into()), "{told}");
    world.save("listen_addr = 5");
    for _ in 0..3 {
        let told = reload(&world).await;
        assert_eq!((&told["applied"], &told["generation"]), (&false.into(), &2.into()), "{told}");
        assert!(!fatal(&told).is_empty(), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_reply_carries_its_generation() {
    let world = saves::over(&text(0), true).await;
    for generation in 1..4 {
        let wanted = Some(generation.to_string());
        let replies = [
            world.get("/healthz").await,
            world.get("/v1/models").await,
            world.bare("GET", "/v1/models").send().await,
            world.get("/no/such/path").await,
            world.chat("echo/hello").await,
            world.chat("echo/error-429").await,
            world.post("/v1/chat/completions", "{").await,
            world.chat_stream("echo/hello").await.rest().await,
            world.get("/admin/api/config/status").await,
            world.bare("GET", "/healthz").without("host").send().await,
        ];
        for reply in replies {
            let found = reply.header("x-torod-generation").map(str::to_owned);
            assert_eq!(found, wanted, "{} {}", reply.status, reply.text());
        }
        let number = usize::try_from(generation).unwrap();
        world.save(&text(number));
        live(world.app(), text(number), WATCHED).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_names_what_waits_for_a_restart() {
    let world: World = saves::over(&text(0), true).await;
    let told = status(&world).await;
    assert_eq!(told["restart_required"], serde_json::json!([]));
    assert_eq!(told["source"], world.config_path().display().to_string());
    assert_eq!((&told["writable"], &told["generation"]), (&true.into(), &1.into()));
    assert!(told["loaded_at"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    let threads = format!("worker_threads = 3\n{}", text(1));
    world.save(&threads);
    live(world.app(), &threads, WATCHED).await;
    assert_eq!(status(&world).await["restart_required"], serde_json::json!(["worker_threads"]));
    world.save(&text(2));
    live(world.app(), text(2), WATCHED).await;
    assert_eq!(status(&world).await["restart_required"], serde_json::json!([]));
    assert_eq!(models_as(world.addr, KEY).await.status, 200);
    eventually("all is quiet", || world.app().counters.in_flight() == 0).await;
}
