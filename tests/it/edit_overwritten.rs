//! Edits in a running torod: live at once, known to its watch, and missed when an editor saves over
//! them.

use std::{
    fs::{self, OpenOptions},
    io::{Seek as _, Write as _},
    sync::Arc,
    time::Duration,
};

use serde_json::json;
use tokenrouter::{
    app::{
        Learned, Live,
        edit::{Change, EditFailure, Edited},
    },
    config::Revision,
    server::{Daemon, Options},
};
use tokio::time::Instant;

use crate::{
    edits::{BASE, Desk, add, editor, keys, set, text},
    saves::{self, WATCHED, live, models_as, reload, status},
    world::{World, eventually, within},
};

async fn world() -> World {
    World::start(BASE, &[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_is_live_when_it_is_answered() {
    let world = world().await;
    let live = &world.app().live;
    for generation in 2..6 {
        let name = format!("key-{generation}");
        let edited = live.edit(add(&name)).await.unwrap();
        assert_eq!(edited.generation, Some(generation));
        assert_eq!((world.generation(), world.snapshot().revision), (generation, edited.after));
        assert_eq!(world.config_text(), edited.text);
        let key = format!("sk-added-{name:0>16}");
        assert_eq!(models_as(world.addr, &key).await.status, 200, "the key works");
    }
    let same = live.edit(text(&world.config_text())).await.unwrap();
    assert_eq!((same.before, same.generation), (same.after, Some(5)));
    let dry = live.edit(Change { dry_run: true, ..add("dry") }).await.unwrap();
    assert_eq!(dry.generation, Some(5), "nothing is live of it");
    let told = reload(&world).await;
    assert_eq!(told["generation"], 5, "its own echo is no news: {told}");
    let edited = live.edit(set("worker_threads", 3)).await.unwrap();
    assert_eq!(edited.restart_required, ["worker_threads"]);
    assert_eq!(status(&world).await["restart_required"], json!(["worker_threads"]));
    assert_eq!(status(&world).await["overwritten"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deliberate_edit_that_drops_most_is_live_at_once() {
    let world = world().await;
    let live = &world.app().live;
    for name in ["a", "b", "c", "d"] {
        live.edit(add(name)).await.unwrap();
    }
    let begin = Instant::now();
    live.edit(text(BASE)).await.unwrap();
    assert_eq!(world.snapshot().revision, Revision::of(BASE));
    assert!(begin.elapsed() < Duration::from_secs(1), "it waited {:?}", begin.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_editor_that_saves_over_an_edit_is_noticed() {
    let world = world().await;
    let torod = &world.app().live;
    // An editor has the first text; two edits come; the editor saves.
    let one = torod.edit(add("one")).await.unwrap();
    let two = torod.edit(set("shutdown_seconds", 7)).await.unwrap();
    let by_hand = format!("{BASE}# by hand\n");
    world.save(&by_hand);
    live(world.app(), &by_hand, WATCHED).await;
    let told = status(&world).await;
    let listed = told["overwritten"].as_array().unwrap();
    assert_eq!(listed.len(), 2, "{told}");
    for (it, edited, mark) in
        [(&listed[0], &two, "+shutdown_seconds = 7"), (&listed[1], &one, "+id = \"one\"")]
    {
        assert_eq!(it["by"], "tester (127.0.0.1)");
        assert_eq!(it["what"], edited.words);
        assert_eq!(it["revision_before"], edited.before.to_string());
        assert_eq!(it["revision_after"], edited.after.to_string());
        let patch = fs::read_to_string(it["patch_file"].as_str().unwrap()).unwrap();
        assert!(patch.contains(mark), "{patch}");
        assert_eq!(patch, edited.patch);
    }
    assert!(!told.to_string().contains("sk-added"), "no secret: {told}");

    // A save that kept the edit settles it: what comes later is somebody's decision.
    let three = torod.edit(add("three")).await.unwrap();
    let kept = three.text.clone() + "# kept\n";
    world.save(&kept);
    live(world.app(), &kept, WATCHED).await;
    world.save(&by_hand);
    live(world.app(), &by_hand, WATCHED).await;
    assert_eq!(torod.overwritten().len(), 2, "{:#?}", torod.overwritten());

    // A value that is neither the old nor the new one is a decision, too.
    let four = torod.edit(set("shutdown_seconds", 8)).await.unwrap();
    let decided = four.text.replace("shutdown_seconds = 8", "shutdown_seconds = 9");
    world.save(&decided);
    live(world.app(), &decided, WATCHED).await;
    assert_eq!(torod.overwritten().len(), 2, "{:#?}", torod.overwritten());

    // A broken text settles nothing, and an edit of remarks alone can be missed as well.
    torod.edit(text(&format!("{decided}# a remark\n"))).await.unwrap();
    world.save("half of");
    saves::refused(world.app(), "syntax", WATCHED).await;
    let by_hand = decided.clone() + "# mine\n";
    world.save(&by_hand);
    live(world.app(), &by_hand, WATCHED).await;
    assert_eq!(torod.overwritten().len(), 3, "{:#?}", torod.overwritten());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_meets_the_save_before_the_watch_does() {
    let world = saves::over(BASE, false).await;
    let torod = &world.app().live;
    let one = torod.edit(add("one")).await.unwrap();
    world.save(&format!("{BASE}# by hand\n"));
    let two = torod.edit(add("two")).await.unwrap();
    assert!(two.text.contains("# by hand") && !keys(&two.text).contains("one"));
    let listed = torod.overwritten();
    assert_eq!(listed.len(), 1, "{listed:#?}");
    assert_eq!(listed[0].revision_after, one.after.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_save_that_loads_is_waited_for() {
    let keys = (0..6).fold(BASE.to_owned(), |text, it| {
        format!("{text}\n[[incoming_tokens]]\nid = \"k{it}\"\nkey = \"sk-half-a-save-{it:05}\"\n")
    });
    let desk = Desk::with(&keys);
    let torod = Arc::new(Live::open(desk.editor.clone(), Learned::default()).unwrap());
    // An editor has written the first part, cut at a table; the rest comes while an edit waits.
    fs::write(desk.path(), BASE).unwrap();
    let editing = tokio::spawn(edit(Arc::clone(&torod), add("one")));
    tokio::time::sleep(Duration::from_millis(600)).await;
    let whole = keys + "# by hand\n";
    fs::write(desk.path(), &whole).unwrap();
    let edited = editing.await.unwrap().unwrap();
    assert_eq!(edited.before, Revision::of(&whole), "{}", edited.text);
    assert_eq!(torod.overwritten(), []);
}

async fn edit(live: Arc<Live>, change: Change) -> Result<Edited, EditFailure> {
    live.edit(change).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_command_edited_is_missed_too() {
    let world = world().await;
    let torod = &world.app().live;
    torod.edit(add("one")).await.unwrap();
    let command = editor(world.dir.path());
    let two =
        tokio::task::spawn_blocking(move || command.edit(&add("two"))).await.unwrap().unwrap();
    live(world.app(), &two.text, WATCHED).await;
    world.save(BASE);
    live(world.app(), BASE, Duration::from_secs(4)).await;
    let listed: Vec<_> = torod.overwritten().into_iter().map(|it| it.by).collect();
    assert_eq!(listed, ["a command on this machine", "tester (127.0.0.1)"]);
}

/// An editor opens the file, then an edit displaces it, then the editor writes, in pieces.
async fn late(truncates: bool, pieces: usize) {
    let world = world().await;
    let torod = &world.app().live;
    let by_hand = format!("{BASE}# by hand, after it was opened\n");
    let mut file = OpenOptions::new().write(true).open(world.config_path()).unwrap();
    let edited = torod.edit(add("one")).await.unwrap();
    if truncates {
        file.set_len(0).unwrap();
    }
    file.rewind().unwrap();
    for piece in by_hand.as_bytes().chunks(by_hand.len().div_ceil(pieces)) {
        file.write_all(piece).unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(file);
    live(world.app(), &by_hand, Duration::from_secs(5)).await;
    assert_eq!(world.config_text(), by_hand, "its text is at the path");
    within(WATCHED, "the edit is listed", || torod.overwritten().len() == 1).await;
    assert_eq!(torod.overwritten()[0].revision_after, edited.after.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_save_into_the_displaced_file_is_not_lost() {
    late(false, 1).await;
    late(true, 1).await;
    late(true, 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_save_does_not_take_the_place_of_a_later_one() {
    let world = saves::over(BASE, false).await;
    let torod = &world.app().live;
    let mut file = OpenOptions::new().write(true).open(world.config_path()).unwrap();
    torod.edit(add("one")).await.unwrap();
    let later = world.config_text() + "# later\n";
    world.save(&later);
    file.write_all(format!("{BASE}# late\n").as_bytes()).unwrap();
    reload(&world).await;
    assert_eq!(world.config_text(), later);
    let listed = torod.overwritten();
    assert_eq!((listed.len(), listed[0].by.as_str()), (1, "an editor"), "{listed:#?}");
    let kept = torod.editor().history().list().unwrap();
    assert!(kept.iter().any(|it| it.read().is_ok_and(|it| it.contains("# late"))), "{kept:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_says_why_torod_may_not_write() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("torod.toml");
    fs::write(&config, BASE).unwrap();
    let (state_dir, cache_dir) = (dir.path().join("state"), dir.path().join("cache"));
    let options = Options { config, state_dir, cache_dir, watch: true, read_only: true };
    let daemon = Daemon::start(options).await.unwrap();
    let world = World { addr: daemon.addresses()[0], dir, daemon };
    let told = status(&world).await;
    assert_eq!(
        (&told["writable"], told["managed"].as_str().unwrap().contains("--read-only")),
        (&false.into(), true)
    );
    let refused = world.app().live.edit(add("one")).await.unwrap_err();
    assert!(matches!(refused, EditFailure::Managed { .. }));
    assert_eq!(world.config_text(), BASE);
    // Saves of others are followed all the same.
    let managed = format!("managed = true\n{BASE}");
    world.save(&managed);
    live(world.app(), &managed, WATCHED).await;

    let world = self::world().await;
    assert_eq!(status(&world).await["managed"], json!(null));
    world.app().live.edit(set("managed", true)).await.unwrap();
    let told = status(&world).await;
    assert_eq!(
        (&told["writable"], told["managed"].as_str().unwrap().contains("managed = true")),
        (&false.into(), true)
    );
    let refused = world.app().live.edit(set("managed", false)).await.unwrap_err();
    assert!(matches!(refused, EditFailure::Managed { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_keys_leave_the_file_when_it_asks_for_it() {
    let expiring = |id: &str, end: jiff::Timestamp| {
        format!(
            "\n# About {id}.\n[[incoming_tokens]]\nid = \"{id}\"\nkey = \"sk-expiring-{id:0>16}\"\nexpires_at = \"{end}\"\n"
        )
    };
    let now = jiff::Timestamp::now();
    let hour = jiff::SignedDuration::from_hours(1);
    let old = expiring("old", now - hour);
    let soon = expiring("soon", now + jiff::SignedDuration::from_millis(1500));
    let later = expiring("later", now + hour);
    let rest = format!("{BASE}{old}{soon}{later}");
    let world = World::start(&rest, &[]).await;
    assert_eq!(world.config_text(), rest, "it does not ask");
    let asks = format!("auto_remove_expired_tokens = true\n{rest}");
    world.save(&asks);
    within(Duration::from_secs(3), "the old one is gone", || {
        world.config_text() == asks.replace(&old, "")
    })
    .await;
    eventually("the next one goes when it ends", || {
        world.config_text() == asks.replace(&old, "").replace(&soon, "")
    })
    .await;
    eventually("that is live", || world.snapshot().revision == Revision::of(world.config_text()))
        .await;
    assert_eq!(saves::errors(world.app()), 0);
    assert_eq!(status(&world).await["overwritten"], json!([]));

    let managed = World::start(&format!("managed = true\n{asks}"), &[]).await;
    assert!(keys(&managed.config_text()).contains("old"), "not while somebody else writes it");
}
