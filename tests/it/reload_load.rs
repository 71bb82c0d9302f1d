//! Reloads under load: no request fails, and nothing is left over.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokenrouter::app::live::Reload;
use tokio::time::{Instant, sleep};

use crate::{
    process::Torod,
    saves::{self, Kept, Times, WATCHED, replace, text},
    world::{KEY, chat_body, scale, within},
};

const CHAT: &str = "/v1/chat/completions";
const CLIENTS: usize = 64;

/// One client's calls until the end: how many, and the slowest.
async fn call(mut kept: Kept, end: Arc<AtomicBool>) -> (usize, Duration) {
    let (mut calls, mut slowest, mut newest) = (0, Duration::ZERO, 0);
    while !end.load(Ordering::Relaxed) {
        let begin = Instant::now();
        let body = chat_body("echo/hello", false);
        let reply = kept.ask("POST", CHAT, body).await.expect("the connection is kept");
        let text = String::from_utf8_lossy(&reply.2);
        assert!(reply.0 == 200 && text.contains(r#""content":"hi""#), "{} {text}", reply.0);
        assert!(reply.1 >= newest, "generation {} after {newest}", reply.1);
        (calls, newest, slowest) = (calls + 1, reply.1, slowest.max(begin.elapsed()));
        // Other stories share this machine.
        sleep(Duration::from_millis(40)).await;
    }
    (calls, slowest)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_reloads_under_load_fail_no_request_and_keep_no_memory() {
    let torod = Torod::start(&text(0), &[]).await;
    let path = torod.dir.path().join("torod.toml");
    let (end, mut clients) = (Arc::new(AtomicBool::new(false)), Vec::new());
    for _ in 0..CLIENTS {
        let kept = Kept::open(torod.addr, KEY).await;
        clients.push(tokio::spawn(call(kept, Arc::clone(&end))));
    }
    let (reloads, warm) = (scale(1000).max(20), 10);
    let (mut times, mut peak) = (Times::default(), 0);
    for number in 1..=reloads {
        let begin = Instant::now();
        replace(&path, text(number));
        let reply = torod.ask("POST", "/admin/api/config/reload").send().await;
        let told = reply.json();
        assert_eq!(told["generation"], number + 1, "each save is one generation: {told}");
        times.add(begin.elapsed());
        if number == warm {
            peak = torod.peak();
        }
    }
    end.store(true, Ordering::Relaxed);
    let (mut calls, mut slowest) = (0, Duration::ZERO);
    for client in clients {
        let (called, longest) = client.await.unwrap();
        assert!(called > 0);
        (calls, slowest) = (calls + called, slowest.max(longest));
    }
    times.report(&format!("asked for, {CLIENTS} clients calling"));
    let (now, slowest) = (torod.peak(), slowest.as_millis());
    eprintln!("{reloads} reloads, {calls} calls, 0 failed, slowest {slowest} ms");
    eprintln!("most memory: {peak} MB after {warm} reloads, {now} MB after {reloads}");
    assert!(now <= peak + 16, "memory grew from {peak} MB to {now} MB");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_lives_as_long_as_its_last_request() {
    let world = saves::over(&text(0), false).await;
    let mut stream = world.chat_stream("echo/words-2000-tick-10ms").await;
    stream.until("data:").await;
    let first = Arc::downgrade(&world.snapshot());
    let mut old = Vec::new();
    for number in 1..=scale(200) {
        old.push(Arc::downgrade(&world.snapshot()));
        world.save(&text(number));
        assert_ne!(world.app().live.reload().await, Reload::Refused);
        assert_eq!(world.generation(), 1 + number as u64, "whoever saw it first");
        assert_eq!(world.chat("echo/hello").await.status, 200);
    }
    let left = || old.iter().filter(|it| it.strong_count() > 0).count();
    within(WATCHED, "only the stream's snapshot is left", || left() == 1).await;
    assert!(first.upgrade().is_some_and(|it| it.generation == 1));
    stream.hang_up().await;
    within(WATCHED, "that goes with it", || left() == 0).await;
    within(WATCHED, "all is booked", || world.app().counters.in_flight() == 0).await;
}
