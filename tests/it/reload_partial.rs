//! Half of a save never goes live, and of many saves the last one wins.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::Write as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use tokenrouter::config::Revision;
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};

use crate::{
    saves::{self, Kept, POLLED, Times, WATCHED, errors, live, models_as, reload, text},
    world::{World, scale, within},
};

const CANARY: &str = "sk-canary-0000000001";
const KEYS: &str = "[[incoming_tokens]]";
const PROVIDERS: &str = "[[providers]]";

/// Four providers and four keys; the last one is the canary.
fn large(number: usize) -> String {
    let provider = |name| format!("\n[[providers]]\nname = \"{name}\"\nprovider_type = \"echo\"\n");
    text(number)
        + &["a", "b", "c"].map(provider).concat()
        + "\n[[incoming_tokens]]\nid = \"third\"\nkey = \"sk-third-00000000001\"\n"
        + &format!("\n[[incoming_tokens]]\nid = \"canary\"\nkey = \"{CANARY}\"\n")
}

/// [`large`] without most of these tables.
fn small(number: usize, table: &str) -> String {
    let (text, mut first) = (large(number), true);
    let kept = text.split("\n\n").filter(|it| {
        let is_one = it.starts_with(table);
        !is_one || std::mem::take(&mut first)
    });
    kept.collect::<Vec<_>>().join("\n\n")
}

/// Writes the pieces into the file, which is truncated before, with a pause after each.
fn in_pieces(path: &Path, pieces: &[&str], pause: Duration) {
    let mut file = File::create(path).unwrap();
    for piece in pieces {
        thread::sleep(pause);
        file.write_all(piece.as_bytes()).unwrap();
        file.flush().unwrap();
    }
}

/// Calls again and again with the canary's key, on kept connections.
struct Watchmen {
    end: Arc<AtomicBool>,
    calls: Arc<AtomicUsize>,
    tasks: Vec<JoinHandle<()>>,
}

impl Watchmen {
    async fn post(world: &World) -> Self {
        let (end, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut tasks = Vec::new();
        for _ in 0..4 {
            let (end, calls) = (Arc::clone(&end), Arc::clone(&calls));
            let mut kept = Kept::open(world.addr, CANARY).await;
            tasks.push(tokio::spawn(async move {
                while !end.load(Ordering::Relaxed) {
                    let reply = kept.ask("GET", "/v1/models", String::new()).await.unwrap();
                    assert_eq!(reply.0, 200, "the canary died in generation {}", reply.1);
                    calls.fetch_add(1, Ordering::Relaxed);
                    sleep(Duration::from_millis(1)).await;
                }
            }));
        }
        Self { end, calls, tasks }
    }

    async fn relieve(self) {
        self.end.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
        assert!(self.calls.load(Ordering::Relaxed) > 20, "they were there all the time");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_save_in_quick_pieces_never_goes_live_in_part() {
    for (watch, rounds) in [(true, scale(100)), (false, 2)] {
        let world = saves::over(&large(0), watch).await;
        let limit = if watch { WATCHED } else { POLLED };
        let watchmen = Watchmen::post(&world).await;
        let mut times = Times::default();
        for number in 1..=rounds {
            let text = large(number);
            // Each piece ends where a table does, so each part is a good text.
            let cut = text.rfind(KEYS).unwrap();
            let middle = text[..cut].rfind(KEYS).unwrap();
            let pieces = [&text[..middle], &text[middle..cut], &text[cut..]];
            let generation = world.generation();
            in_pieces(&world.config_path(), &pieces, Duration::from_millis(15));
            times.add(live(world.app(), &text, limit).await);
            assert_eq!(world.generation(), generation + 1, "one save, one generation");
        }
        times.report(&format!("in quick pieces, watch {watch}"));
        watchmen.relieve().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_that_is_asked_for_in_the_middle_of_a_save_waits_for_its_end() {
    let world = saves::over(&large(0), false).await;
    reload(&world).await;
    let watchmen = Watchmen::post(&world).await;
    for number in 1..=scale(100) {
        let (text, path) = (large(number), world.config_path());
        let saved = text.clone();
        let saving = tokio::task::spawn_blocking(move || {
            let cut = saved.rfind(KEYS).unwrap();
            in_pieces(&path, &[&saved[..cut], &saved[cut..]], Duration::from_millis(20));
        });
        // By now the first piece is there, which is a good text.
        sleep(Duration::from_millis(28)).await;
        reload(&world).await;
        saving.await.unwrap();
        live(world.app(), &text, POLLED).await;
        assert_eq!(world.generation(), 1 + number as u64);
    }
    watchmen.relieve().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_save_in_slow_pieces_that_begins_with_a_great_loss_never_goes_live_in_part() {
    let world = saves::over(&large(0), true).await;
    let watchmen = Watchmen::post(&world).await;
    for number in 1..=scale(30) {
        let text = large(number);
        let cut = text.match_indices(KEYS).nth(1).unwrap().0;
        let pause = Duration::from_millis(100 + 97 * (number as u64 % 4));
        let generation = world.generation();
        in_pieces(&world.config_path(), &[&text[..cut], &text[cut..]], pause);
        live(world.app(), &text, POLLED).await;
        assert_eq!(world.generation(), generation + 1);
    }
    watchmen.relieve().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_written_file_is_not_applied_and_is_read_again() {
    for watch in [true, false] {
        let world = saves::over(&large(0), watch).await;
        let limit = if watch { WATCHED } else { POLLED };
        for number in 1..4 {
            let (text, generation) = (large(number), world.generation());
            let cut = text.find(CANARY).unwrap() + 3;
            fs::write(world.config_path(), &text[..cut]).unwrap();
            within(limit, "the half is noticed", || errors(world.app()) > 0).await;
            assert_eq!(world.generation(), generation);
            assert_eq!(models_as(world.addr, CANARY).await.status, 200);
            let mut file = File::options().append(true).open(world.config_path()).unwrap();
            file.write_all(&text.as_bytes()[cut..]).unwrap();
            live(world.app(), &text, limit).await;
            assert_eq!((world.generation(), errors(world.app())), (generation + 1, 0));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_loses_most_is_looked_at_twice_and_then_applied() {
    let world = saves::over(&large(0), true).await;
    for (turn, table, left) in [(1, KEYS, (1, 4)), (3, PROVIDERS, (4, 1))] {
        let (begin, generation) = (Instant::now(), world.generation());
        world.save(&small(turn, table));
        live(world.app(), small(turn, table), Duration::from_secs(5)).await;
        let time = begin.elapsed();
        assert!(time >= Duration::from_millis(1900), "applied after {time:?}");
        eprintln!("live after a great loss: {} ms", time.as_millis());
        let config = Arc::clone(&world.snapshot().config);
        assert_eq!((config.keys.len(), config.providers.len()), left);
        world.save(&large(turn + 1));
        live(world.app(), large(turn + 1), WATCHED).await;
        assert_eq!(models_as(world.addr, CANARY).await.status, 200);
        assert_eq!(world.generation(), generation + 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn losing_half_or_less_needs_no_second_look() {
    let world = saves::over(&large(0), true).await;
    let text = large(1);
    let text = &text[..text.rfind(KEYS).unwrap()];
    world.save(text);
    live(world.app(), text, WATCHED).await;
    assert_eq!(models_as(world.addr, CANARY).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dip_that_is_mended_in_time_never_goes_live() {
    let world = saves::over(&large(0), true).await;
    let watchmen = Watchmen::post(&world).await;
    // Mended with the old text, and with a new one; by replacing, and by writing the rest.
    for (number, pause, table) in
        [(0, 300, KEYS), (1, 700, KEYS), (1, 1300, PROVIDERS), (2, 900, KEYS)]
    {
        let (generation, is_new) =
            (world.generation(), world.snapshot().revision != Revision::of(large(number)));
        fs::write(world.config_path(), small(number, table)).unwrap();
        sleep(Duration::from_millis(pause)).await;
        assert_eq!(world.generation(), generation, "not yet");
        if number % 2 == 0 {
            world.save(&large(number));
        } else {
            fs::write(world.config_path(), large(number)).unwrap();
        }
        live(world.app(), large(number), POLLED).await;
        // The one task that reloads is through with the dip when it has answered this.
        reload(&world).await;
        assert_eq!(world.generation(), generation + u64::from(is_new));
        assert_eq!(errors(world.app()), 0);
    }
    watchmen.relieve().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_edits_the_last_one_wins() {
    for in_place in [true, false] {
        let world = saves::over(&text(0), true).await;
        let (tasks, before) = (world.app().tasks.count(), world.generation());
        let last = scale(200);
        let seen = watch_numbers(&world, last);
        for number in 1..=last {
            if in_place {
                fs::write(world.config_path(), text(number)).unwrap();
            } else {
                world.save(&text(number));
            }
            sleep(Duration::from_millis(10)).await;
        }
        let mut times = Times::default();
        times.add(live(world.app(), text(last), WATCHED).await);
        times.report(&format!("after {last} edits, in place {in_place}"));
        let generation = world.generation();
        assert_eq!(reload(&world).await["generation"], generation, "it stays");
        assert!(world.generation() > before && world.generation() <= before + last as u64);
        assert_eq!(models_as(world.addr, &saves::key(last)).await.status, 200);
        for number in 0..last {
            let reply = models_as(world.addr, &saves::key(number)).await;
            assert_eq!(reply.status, 401, "the key of edit {number} is dead");
        }
        seen.await.unwrap();
        within(WATCHED, "no task is left over", || world.app().tasks.count() <= tasks).await;
    }
}

/// Fails when an older text comes back; ends when the last one is live.
fn watch_numbers(world: &World, last: usize) -> JoinHandle<()> {
    let numbers: HashMap<_, _> = (0..=last).map(|it| (Revision::of(text(it)), it)).collect();
    let live = Arc::clone(&world.app().live);
    tokio::spawn(async move {
        let mut changed = live.subscribe();
        let mut newest = (0, 0);
        while newest.0 < last {
            changed.changed().await.unwrap();
            let snapshot = live.snapshot();
            let now = (numbers[&snapshot.revision], snapshot.generation);
            assert!(now.0 >= newest.0 && now.1 >= newest.1, "{now:?} after {newest:?}");
            newest = now;
        }
    })
}
