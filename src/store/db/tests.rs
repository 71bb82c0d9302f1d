use std::{os::unix::fs::PermissionsExt as _, path::PathBuf};

use super::*;
use crate::{
    base::{Usage, Usd},
    llm::Protocol,
    store::{
        Keep, Outcome,
        query::{Filter, Owner},
        query_sums::{Asked, By, Sum},
    },
};

const DAY: i64 = 86_400;

fn at(second: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(second).unwrap()
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// An id of this moment.
fn id(second: i64, number: u64) -> uuid::Uuid {
    let mut id = crate::store::query::first_id(second);
    id[8..].copy_from_slice(&number.to_be_bytes());
    uuid::Uuid::from_slice(&id).unwrap()
}

pub(crate) fn entry(second: i64, number: u64, key: &str) -> Arc<Entry> {
    let usage = Usage { input: 100, cache_read: 20, output: 30, ..Usage::default() };
    Arc::new(Entry {
        id: id(second, number),
        request_id: format!("req_{number}").into(),
        at: at(second),
        generation: 1,
        key_id: (!key.is_empty()).then(|| key.into()),
        key_name: (!key.is_empty()).then(|| key.to_uppercase().into()),
        parent: None,
        provider: Some(format!("p{}", number % 3).into()),
        requested_model: "m".into(),
        upstream_model: Some("m-1".into()),
        protocol: Protocol::Chat,
        stream: number.is_multiple_of(2),
        status: if number % 10 == 9 { 502 } else { 200 },
        outcome: if number % 10 == 9 { Outcome::UpstreamBroke } else { Outcome::Ok },
        attempts: 1,
        usage: Some(usage),
        estimated: false,
        ttfb: Some(Duration::from_millis(100)),
        duration: Duration::from_millis(1_100),
        cost: Some(Usd(1_000_000_007)),
        price_source: None,
        reported_cost: None,
        prompt_time: Some(Duration::from_millis(500)),
        generation_time: None,
        client_type: "curl",
        conversation: None,
        tags: vec!["a".into(), "b,c".into()],
        user_agent: Some(format!("agent-{}", number % 3).into()),
        client_ip: Some([127, 0, 0, 1].into()),
    })
}

struct Bench {
    _dir: tempfile::TempDir,
    path: PathBuf,
}

fn bench() -> Bench {
    let dir = tempfile::tempdir().unwrap();
    Bench { path: dir.path().join("torod.db"), _dir: dir }
}

impl Bench {
    fn open(&self) -> Store {
        Store::open(&self.path).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let list = std::fs::read_dir(self.path.parent().unwrap()).unwrap();
        let mut names: Vec<String> =
            list.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

async fn count(store: &Store, table: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM {table}");
    store.read(move |it| it.query_row(&sql, [], |row| row.get(0))).await.unwrap()
}

#[tokio::test]
async fn sums_are_those_of_the_entries_and_twice_is_once() {
    let bench = bench();
    let (store, now) = (bench.open(), now());
    for number in 0..2_500 {
        let second = now - i64::try_from(number).unwrap() * 60;
        store.book(entry(second, number, ["", "a", "b"][(number % 3) as usize]));
    }
    store.book(entry(now, 0, "")); // it is there already
    assert!(store.flush().await);
    assert_eq!(count(&store, "entries").await, 2_500);
    let asked = Asked { from: now - 10 * DAY, to: now + 1, ..Asked::default() };
    let all = store.sums(asked.clone()).await.unwrap()[0].summed();
    assert_eq!((all.requests, all.failed_requests), (2_500, 250));
    assert_eq!((all.tokens.input, all.tokens.cache_read), (250_000, 50_000));
    assert_eq!(all.cost_pico_usd, 2_500 * 1_000_000_007);
    assert!((all.avg_latency_ms - 1_100.0).abs() < 0.001, "{all:?}");
    assert!((all.avg_prompt_tps - 200.0).abs() < 0.001, "{all:?}");
    // Each way to cut the period comes to the same.
    for slot in [300, 900, 3_600, 5_400, DAY] {
        let asked = Asked { slot: Some(slot), by: By::ALL.to_vec(), ..asked.clone() };
        let sums = store.sums(asked).await.unwrap();
        assert_eq!(sums.iter().map(Sum::requests).sum::<u64>(), 2_500, "{slot}");
        assert!(sums.iter().all(|it| it.at % slot == 0), "{slot}");
    }
    // A part of it is what the entries of that part are.
    let (from, to) = ((now - 20_000) / 300 * 300, (now - 7_000) / 300 * 300);
    let part = Asked { from, to, ..asked.clone() };
    let filter = Filter { from: Some(from), to: Some(to), ..Filter::default() };
    let rows = store.entries(filter, 10_000).await.unwrap();
    assert_eq!(store.sums(part).await.unwrap()[0].requests(), rows.len() as u64);
    let [agents, addresses] = store.tops(asked.clone(), 2).await.unwrap();
    assert_eq!((agents.len(), agents[0].1), (2, 834));
    assert_eq!(addresses, [("127.0.0.1".to_owned(), 2_500)]);
}

#[tokio::test]
async fn a_key_sees_its_own_entries_and_sums_only() {
    let bench = bench();
    let (store, now) = (bench.open(), now());
    for (number, key) in ["a", "b", "", "a"].into_iter().enumerate() {
        store.book(entry(now, number as u64, key));
    }
    assert!(store.flush().await);
    for (owner, wanted) in [(Some("a"), 2), (Some("b"), 1), (None, 1), (Some("nobody"), 0)] {
        let owner = Owner::Key(owner.map(str::to_owned));
        for key in [None, Some("a"), Some("b"), Some("' OR 1 --")] {
            let filter =
                Filter { owner: owner.clone(), key: key.map(str::to_owned), ..Filter::default() };
            let rows = store.entries(filter, 100).await.unwrap();
            let own = |it: &Option<String>| owner == Owner::Key(it.clone());
            assert!(rows.iter().all(|it| own(&it.key_id)), "{owner:?} {key:?}");
            assert!(key.is_some() || rows.len() == wanted, "{owner:?}");
        }
        let asked = Asked { owner: owner.clone(), to: now + 1, ..Asked::default() };
        let sums = store.sums(asked).await.unwrap();
        assert_eq!(sums.first().map_or(0, Sum::requests), wanted as u64, "{owner:?}");
    }
}

#[tokio::test]
async fn an_entry_is_read_as_it_was_written() {
    let bench = bench();
    let (store, now) = (bench.open(), now());
    for number in 0..5_i64 {
        store.book(entry(now - 100 + number, number.cast_unsigned(), "a"));
    }
    assert!(store.flush().await);
    let first = store.entries(Filter::default(), 2).await.unwrap();
    assert_eq!(first.iter().map(|it| &*it.request_id).collect::<Vec<_>>(), ["req_4", "req_3"]);
    let row = &first[0];
    assert_eq!((row.key_id.as_deref(), row.key_name.as_deref()), (Some("a"), Some("A")));
    assert_eq!((row.tags.join("|"), row.cost_pico_usd), ("a|b,c".to_owned(), Some(1_000_000_007)));
    assert_eq!((row.prompt_tokens, row.ttfb_ms, row.prompt_ms), (120, Some(100.0), Some(500.0)));
    let before = first[1].id.parse().ok();
    let rest = store.entries(Filter { before, ..Filter::default() }, 10).await.unwrap();
    assert_eq!(rest.len(), 3);
    for (filter, wanted) in [
        (Filter { tag: Some("b,c".to_owned()), ..Filter::default() }, 5),
        (Filter { tag: Some("b".to_owned()), ..Filter::default() }, 0),
        (Filter { provider: Some("p0".to_owned()), ..Filter::default() }, 2),
        (Filter { model: Some("m-1".to_owned()), ..Filter::default() }, 5),
        (Filter { model: Some("m".to_owned()), ..Filter::default() }, 5),
        (Filter { status: Some(502), ..Filter::default() }, 0),
        (Filter { from: Some(now - 98), to: Some(now - 97), ..Filter::default() }, 1),
    ] {
        let rows = store.entries(filter.clone(), 10).await.unwrap();
        assert_eq!(rows.len(), wanted, "{filter:?}");
    }
}

#[tokio::test]
async fn a_bad_job_spoils_nothing_but_itself() {
    let bench = bench();
    let store = bench.open();
    store.write(|it| it.execute_batch("CREATE TABLE t (n INTEGER UNIQUE NOT NULL)"));
    store.write(|it| it.execute("INSERT INTO t VALUES (1)", []).map(drop));
    store.write(|it| it.execute_batch("INSERT INTO t VALUES (7); INSERT INTO t VALUES (1);"));
    store.write(|it| {
        it.execute("INSERT INTO t VALUES (8)", [])?;
        panic!("as planned")
    });
    store.book_and(entry(now(), 1, "a"), |it| it.execute("INSERT INTO t VALUES (2)", []).map(drop));
    store.book_and(entry(now(), 1, "a"), |it| it.execute("INSERT INTO t VALUES (9)", []).map(drop));
    let asking = store.clone();
    let failing = store.written(|it| {
        it.execute("INSERT INTO t VALUES (6)", [])?;
        it.execute("INSERT INTO t VALUES (1)", [])
    });
    let passing = asking.written(|it| it.execute("INSERT INTO t VALUES (3)", []));
    let flushing = async {
        tokio::task::yield_now().await;
        asking.flush().await
    };
    let (failed, passed, flushed) = tokio::join!(failing, passing, flushing);
    assert!(flushed && matches!(failed, Err(StoreError::Sqlite(_))), "{failed:?}");
    assert_eq!(passed.unwrap(), 1);
    let sum = |it: &Connection| it.query_row("SELECT group_concat(n) FROM t", [], |row| row.get(0));
    let kept: String = store.read(sum).await.unwrap();
    assert_eq!(kept, "1,2,3");
    assert_eq!(count(&store, "entries").await, 1);
}

#[tokio::test]
async fn a_full_disk_keeps_the_queue_and_the_order() {
    let bench = bench();
    let store = bench.open();
    // The limit is the connection's, which is opened anew after a failure: there is room again.
    let limiting = store.written(|it| it.execute_batch("PRAGMA max_page_count = 30"));
    assert!(tokio::join!(limiting, store.flush()).1);
    for number in 0..3_000 {
        store.book(entry(now(), number, "a"));
    }
    let unwritten = store.written(|_| Ok(()));
    let (unwritten, flushed) = tokio::join!(unwritten, async {
        tokio::task::yield_now().await;
        let flushed = store.flush().await;
        let condition = store.condition();
        assert_eq!((condition.state, condition.dropped), ("failing", 0));
        assert!(condition.queued > 2_000, "{condition:?}");
        assert!(store.flush().await);
        flushed
    });
    assert!(!flushed && unwritten.is_ok(), "it was still queued: {unwritten:?}");
    assert_eq!(count(&store, "entries").await, 3_000);
    let condition = Condition { state: "ok", queued: 0, dropped: 0 };
    assert_eq!(store.condition(), condition);
}

#[tokio::test]
async fn the_oldest_go_first_when_too_much_waits() {
    let bench = bench();
    let (store, now) = (bench.open(), now());
    let entries: Vec<_> = (0..10).map(|it| entry(now, it, "a")).collect();
    for number in 0..MAX_QUEUED + 10 {
        store.book(Arc::clone(&entries[number.min(9)]));
    }
    let condition = store.condition();
    assert_eq!((condition.queued, condition.dropped), (MAX_QUEUED, 10));
    assert!(store.flush().await);
    assert_eq!(count(&store, "entries").await, 1, "those before were dropped");
}

#[tokio::test]
async fn a_damaged_database_is_moved_aside() {
    // From the start, and from the middle on.
    for (from, length) in [(0_usize, 100), (4_096, usize::MAX)] {
        let bench = bench();
        let store = bench.open();
        for number in 0..2_000 {
            store.book(entry(now(), number, "a"));
        }
        assert!(store.flush().await);
        drop(store);
        let mut bytes = std::fs::read(&bench.path).unwrap();
        let end = bytes.len().min(from.saturating_add(length));
        assert!(end > from);
        bytes[from..end].fill(0xa5);
        std::fs::write(&bench.path, bytes).unwrap();
        let store = bench.open();
        assert_eq!(store.condition().state, "ok");
        store.book(entry(now(), 1, "a"));
        assert!(store.flush().await);
        assert_eq!(count(&store, "entries").await, 1);
        let names = bench.names();
        assert!(names.iter().any(|it| it.starts_with("torod.db.corrupt-")), "{names:?}");
        let mode = std::fs::metadata(&bench.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[tokio::test]
async fn what_cannot_be_opened_is_in_memory() {
    let bench = bench();
    std::fs::create_dir(&bench.path).unwrap();
    let store = bench.open();
    assert_eq!(store.condition().state, "memory");
    store.book(entry(now(), 1, "a"));
    assert!(store.flush().await);
    assert_eq!(count(&store, "entries").await, 1);
    // A failed transaction does not lose what is only there.
    let full = std::sync::atomic::AtomicBool::new(true);
    store.write(move |_| {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL);
        let full = full.swap(false, std::sync::atomic::Ordering::Relaxed);
        if full { Err(rusqlite::Error::SqliteFailure(code, None)) } else { Ok(()) }
    });
    assert!(!store.flush().await);
    assert!(store.flush().await);
    assert_eq!(count(&store, "entries").await, 1);
}

#[tokio::test]
async fn a_newer_database_is_left_as_it_is() {
    let bench = bench();
    drop(bench.open());
    Connection::open(&bench.path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let store = bench.open();
    assert_eq!((store.condition().state, bench.names().len()), ("memory", 1));
}

#[tokio::test]
async fn a_slow_reader_holds_up_nobody() {
    let bench = bench();
    let store = bench.open();
    let (begun, begins) = oneshot::channel();
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let slow = store.read(move |it| {
        let mut statement = it.prepare("SELECT name FROM sqlite_schema")?;
        let mut rows = statement.query([])?;
        rows.next()?;
        let _ = begun.send(());
        let _ = gone.recv();
        Ok(())
    });
    let quick = async {
        begins.await.unwrap();
        store.book(entry(now(), 1, "a"));
        assert!(store.flush().await);
        assert_eq!(count(&store, "entries").await, 1);
        go.send(()).unwrap();
    };
    let (slow, ()) = tokio::join!(slow, quick);
    slow.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_old_goes_and_its_sums_stay() {
    let bench = bench();
    let (store, now) = (bench.open(), now());
    for days in 0..40_i64 {
        for number in 0..60 {
            store.book(entry(now - days * DAY, days.cast_unsigned() * 100 + number, "a"));
        }
    }
    assert!(store.flush().await);
    let keep = Keep { raw: 10, sums: 30 };
    let pruning = async {
        assert!(store.prune(keep, at(now)).await.unwrap() > 1_000);
        assert_eq!(store.prune(keep, at(now)).await.unwrap(), 0, "nothing is left to do");
    };
    tokio::select! {
        () = pruning => {}
        () = store.clone().keep_writing() => {}
    }
    let kept = count(&store, "entries").await;
    assert!((600..=660).contains(&kept), "{kept}");
    let asked = Asked { from: now - 40 * DAY, to: now + 1, shortest: 3_600, ..Asked::default() };
    let requests = store.sums(asked).await.unwrap()[0].requests();
    assert!((1_800..=1_920).contains(&requests), "{requests}");
}

mod speed;
