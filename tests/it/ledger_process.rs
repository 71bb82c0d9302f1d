//! What the ledger holds after the program was killed, and while its disk takes nothing.

use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{
    client::PATIENCE,
    process::{Torod, directory, program, program_after},
    samples::CHAT,
    scripted::{Script, Scripted},
    world::CONFIG,
};

/// All entries that torod has.
async fn rows(torod: &Torod) -> Vec<Value> {
    let text = torod.ask("GET", "/admin/api/usage?format=jsonl").send().await.text();
    text.lines().map(|it| serde_json::from_str(it).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_loses_the_last_moments_only() {
    let provider = Scripted::always(Script::json(200, CHAT)).await;
    let mut torod = Torod::start(CONFIG, &[("scripted", &provider)]).await;
    let (answered, enough) = (Mutex::new(HashMap::new()), AtomicBool::new(false));
    let asking = async |worker: usize| {
        for number in 0.. {
            let name = format!("n-{worker}-{number}");
            let ask = torod.chatting("scripted/m", false).header("x-torod-tag", &name);
            assert_eq!(ask.send().await.status, 200);
            answered.lock().unwrap().insert(name, Instant::now());
            if enough.load(Ordering::SeqCst) {
                return;
            }
        }
    };
    let stopping = async {
        sleep(Duration::from_secs(1)).await;
        enough.store(true, Ordering::SeqCst);
    };
    // All that was answered is known, and the last of it is a moment old.
    tokio::join!(stopping, asking(0), asking(1), asking(2));
    torod.signal(Signal::KILL);
    let end = Instant::now();
    torod.ended(PATIENCE).await;
    let torod = torod.again().await;
    let rows = rows(&torod).await;
    let answered = answered.into_inner().unwrap();
    let mut found: HashMap<&str, usize> = HashMap::new();
    for it in &rows {
        *found.entry(it["tags"][0].as_str().unwrap()).or_default() += 1;
    }
    assert!(found.values().all(|it| *it == 1), "no entry is there twice");
    assert!(answered.len() > 20, "{}", answered.len());
    for (name, at) in &answered {
        let age = end.duration_since(*at);
        assert!(
            age < Duration::from_millis(100) || found.contains_key(&**name),
            "{name} was answered {age:?} before the end and is not there"
        );
    }
    let stats = torod.ask("GET", "/admin/api/stats").send().await.json();
    assert_eq!(stats["requests"], json!(rows.len()), "sums and entries are of one mind");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_database_is_told_and_replaced() {
    let provider = Scripted::always(Script::json(200, CHAT)).await;
    let dir = directory(CONFIG, &[("scripted", &provider)]);
    std::fs::create_dir(dir.path().join("state")).unwrap();
    std::fs::write(dir.path().join("state/torod.db"), "this is no database".repeat(1_000)).unwrap();
    let command = program(&dir);
    let mut torod = Torod::launch(dir, command).listens().await;
    torod.says("the state database is damaged").await;
    assert_eq!(torod.chat("scripted/m").await.status, 200);
    torod.signal(Signal::TERM);
    torod.ended(PATIENCE).await;
    let torod = torod.again().await;
    assert_eq!(rows(&torod).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_no_request_and_loses_no_entry() {
    let provider = Scripted::always(Script::json(200, CHAT)).await;
    let dir = directory(CONFIG, &[("scripted", &provider)]);
    // Files end at 256 KiB, and writing on is an error instead of a signal.
    let command = program_after(&dir, "trap '' XFSZ; ulimit -S -f 512");
    let torod = Torod::launch(dir, command).listens().await;
    let ledger = async || torod.bare("GET", "/readyz").send().await.json()["ledger"].clone();
    let mut count = 0;
    while ledger().await["state"] != "failing" {
        assert_eq!(torod.chat("scripted/m").await.status, 200);
        count += 1;
        assert!(count < 10_000, "the disk never fills up");
    }
    for _ in 0..20 {
        assert_eq!(torod.chat("scripted/m").await.status, 200);
        count += 1;
    }
    assert!(ledger().await["queued"].as_u64().unwrap() >= 20);
    assert_eq!(torod.said().matches("the state database cannot be written").count(), 1);
    let none = Rlimit { current: None, maximum: None };
    prlimit(Some(Pid::from_raw(torod.id().cast_signed()).unwrap()), Resource::Fsize, none).unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    while ledger().await != json!({ "state": "ok", "queued": 0, "dropped": 0 }) {
        assert!(Instant::now() < end, "{}", ledger().await);
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(rows(&torod).await.len(), count);
}
