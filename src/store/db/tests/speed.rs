//! What the database takes, and how long it makes people wait.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_year_of_sums_is_quickly_told() {
    let bench = bench();
    let (store, now) = (bench.open(), now() / DAY * DAY);
    // 5 keys, 2 providers, 4 models, 2 clients: each hour and each day of 400 days.
    let made = store.written(move |it| {
        it.execute_batch("INSERT INTO names (id, name) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20) SELECT i, 'name-' || i FROM n")?;
        for (span, count) in [(3_600, 9_600), (86_400, 400)] {
            it.execute(
                "INSERT INTO sums WITH RECURSIVE
                    t(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM t WHERE i < ?2),
                    g(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM g WHERE i < 39)
                SELECT ?1, ?3 - t.i * ?1, 1 + g.i % 5, 6 + g.i % 2, 8 + g.i / 10, 12 + g.i % 2,
                    10, 1, 100, 5, 0, 0, 0, 50, 0, 0, 0, 1000, 0, 5000, 500, 10, 100, 500, 50, 4000
                FROM t, g WHERE true ON CONFLICT DO NOTHING",
                (span, count, now),
            )?;
        }
        Ok(())
    });
    assert!(tokio::join!(made, store.flush()).1);
    let asked = Asked { from: now - 400 * DAY, to: now, shortest: 3_600, ..Asked::default() };
    for (slot, by) in [
        (None, By::ALL.to_vec()),
        (Some(DAY), vec![]),
        (Some(DAY), vec![By::Provider]),
        (Some(7 * DAY), vec![By::Model, By::Key]),
    ] {
        let asked = Asked { slot, by, ..asked.clone() };
        let mut best = Duration::MAX;
        for _ in 0..5 {
            let begin = std::time::Instant::now();
            let sums = store.sums(asked.clone()).await.unwrap();
            best = best.min(begin.elapsed());
            let requests: u64 = sums.iter().map(Sum::requests).sum();
            assert!(requests >= 400 * 40 * 10 / 4, "{requests}");
        }
        assert!(best < Duration::from_millis(50), "{slot:?} {:?}: {best:?}", asked.by);
    }
}

/// `cargo test --release --lib writing_is_cheap -- --ignored --nocapture`
#[tokio::test]
#[ignore = "a measurement of a release build"]
#[expect(clippy::print_stdout, reason = "a measurement is read by who asked for it")]
async fn writing_is_cheap() {
    let bench = bench();
    let (store, begin) = (bench.open(), now());
    let cpu = || {
        let text = std::fs::read_to_string("/proc/self/stat").unwrap();
        let (_, rest) = text.rsplit_once(") ").unwrap();
        let field = |at: usize| rest.split(' ').nth(at).unwrap().parse::<u64>().unwrap();
        Duration::from_millis((field(11) + field(12)) * 10)
    };
    let entries: Vec<_> = (0..100_000_u64)
        .map(|it| {
            entry(
                begin + i64::try_from(it / 5_000).unwrap(),
                it,
                if it % 3 == 0 { "a" } else { "b" },
            )
        })
        .collect();
    let (from, started) = (cpu(), std::time::Instant::now());
    for part in entries.chunks(250) {
        for it in part {
            store.book(Arc::clone(it));
        }
        assert!(store.flush().await);
    }
    let (used, took) = (cpu().saturating_sub(from), started.elapsed());
    println!("{:?} of CPU an entry, {took:?} in all", used / 100_000);
    assert!(used / 100_000 <= Duration::from_micros(25));
}
