//! Edits beside an editor that knows nothing of torod: nobody's text is destroyed, and an edit that
//! was acknowledged is in the file or listed as overwritten.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::{self, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokenrouter::{
    app::{
        Learned, Live,
        edit::{Change, EditFailure, Guard, Input},
        history::Origin,
    },
    config::{
        Revision,
        edit::{self, Edit, Kind},
    },
};

use crate::{
    edit_child::{Job, said, start},
    edits::{BASE, Desk, change, editor, keys},
    world::{World, eventually, scale},
};

const WRITERS: usize = 10;

/// A text whose keys `w0`, `w1` and so on have a number each.
fn numbered() -> String {
    (0..WRITERS).fold(BASE.to_owned(), |text, it| {
        let key = format!("id = \"w{it}\"\nname = \"edit 0\"\nkey = \"sk-numbered-{it:016}\"");
        format!("{text}\n[[incoming_tokens]]\n{key}\n")
    })
}

fn number(writer: usize, number: usize) -> Change {
    let values = json!({ "name": format!("edit {number}") });
    let Value::Object(values) = values else { unreachable!() };
    let name = format!("w{writer}");
    change(Input::Edits(vec![Edit::Change { kind: Kind::Key, name, values }]))
}

/// The number that a text has for this writer.
fn number_in(text: &str, writer: usize) -> usize {
    let at = text.find(&format!("id = \"w{writer}\"")).unwrap();
    let (_, rest) = text[at..].split_once("name = \"edit ").unwrap();
    rest.split('"').next().unwrap().parse().unwrap()
}

/// An editor: reads, thinks, adds a line with its count, saves. What it saved.
fn edit_by_hand(path: &Path, until: &AtomicBool, save: fn(&Path, &str)) -> Vec<String> {
    let mut lines = Vec::new();
    while !until.load(Ordering::Relaxed) {
        let text = fs::read_to_string(path).unwrap();
        let line = format!("# by hand, {}\n", lines.len());
        // Not a wait for something: it is as slow as a program is.
        let think = u64::from(tokenrouter::base::digest(&line)[0]);
        std::thread::sleep(Duration::from_micros(think * 20));
        save(path, &(text + &line));
        lines.push(line);
        std::thread::sleep(Duration::from_micros(think * 1000));
    }
    lines
}

fn save_by_rename(path: &Path, text: &str) {
    let fresh = path.with_extension("by-hand");
    fs::write(&fresh, text).unwrap();
    fs::rename(&fresh, path).unwrap();
}

fn save_in_place(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
}

/// In pieces, as over a slow line.
fn save_in_pieces(path: &Path, text: &str) {
    let mut file = OpenOptions::new().write(true).truncate(true).open(path).unwrap();
    for piece in text.as_bytes().chunks(text.len() / 3 + 1) {
        file.write_all(piece).unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Gathers what is listed, which is no more than the newest, with the patches.
#[derive(Debug, Clone, Default)]
struct Listed(Arc<Mutex<BTreeMap<String, String>>>);

impl Listed {
    fn gather(&self, live: &Live) {
        let mut all = self.0.lock().unwrap();
        for it in live.overwritten() {
            let patch = || fs::read_to_string(it.patch_file.unwrap()).unwrap();
            all.entry(it.revision_after).or_insert_with(patch);
        }
    }
}

/// One writer's edits: each number with the text that it came to and the number that it replaced.
type Acknowledged = Vec<(usize, Revision, usize)>;

async fn write(world: Arc<Live>, writer: usize, count: usize, listed: Listed) -> Acknowledged {
    let mut acknowledged = Vec::new();
    for at in 1..=count {
        let edited = world.edit(number(writer, at)).await.unwrap();
        listed.gather(&world);
        assert_eq!(number_in(&edited.text, writer), at);
        let minus = edited.patch.lines().find_map(|it| it.strip_prefix("-name = \"edit "));
        let replaced = minus.unwrap().trim_end_matches('"').parse().unwrap();
        acknowledged.push((at, edited.after, replaced));
    }
    acknowledged
}

async fn writers_beside_an_editor(save: fn(&Path, &str)) {
    let world = World::start(&numbered(), &[]).await;
    let (live, listed) = (Arc::clone(&world.app().live), Listed::default());
    let (path, done) = (world.config_path(), Arc::new(AtomicBool::new(false)));
    let until = Arc::clone(&done);
    let by_hand = std::thread::spawn(move || edit_by_hand(&path, &until, save));
    let writers: Vec<_> = (0..WRITERS)
        .map(|it| tokio::spawn(write(Arc::clone(&live), it, scale(500), listed.clone())))
        .collect();
    let mut acknowledged = Vec::new();
    for it in writers {
        acknowledged.push(it.await.unwrap());
    }
    done.store(true, Ordering::Relaxed);
    let lines = by_hand.join().unwrap();
    eventually("all is looked at", || {
        listed.gather(&live);
        Revision::of(world.config_text()) == world.snapshot().revision
            && !live.editor().is_looking()
    })
    .await;
    listed.gather(&live);

    let text = world.config_text();
    let kept = live.editor().history().list().unwrap();
    let lost = kept.iter().filter(|it| it.origin == Origin::Lost);
    let lost: Vec<_> = lost.map(|it| it.read().unwrap()).collect();
    let listed = listed.0.lock().unwrap();
    assert!(listed.values().all(|it| it.contains("\n+")), "patches are kept: {listed:?}");
    for line in &lines {
        let is_listed = listed.values().any(|it| it.contains(&format!("+{line}")));
        let is_kept = text.contains(line) || lost.iter().any(|it| it.contains(line));
        assert!(is_kept || is_listed, "{line} is gone");
    }
    for (writer, edits) in acknowledged.iter().enumerate() {
        let final_number = number_in(&text, writer);
        let replaced: HashMap<usize, usize> = edits.iter().map(|it| (it.2, it.0)).collect();
        for (at, revision, _) in edits {
            // It is there, or it was when the next edit replaced it, or it is listed.
            let is_there = final_number == *at || replaced.contains_key(at);
            let is_listed = listed.contains_key(&revision.to_string());
            assert!(is_there || is_listed, "edit {at} of w{writer} is gone, unsaid");
        }
    }
    eprintln!(
        "{} saves by hand, {} lost; {} edits overwritten",
        lines.len(),
        lost.len(),
        listed.len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_beside_an_editor_that_renames() {
    writers_beside_an_editor(save_by_rename).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_beside_an_editor_that_writes_in_place() {
    writers_beside_an_editor(save_in_place).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_beside_an_editor_that_writes_in_pieces() {
    writers_beside_an_editor(save_in_pieces).await;
}

#[test]
fn two_processes_do_not_lose_each_others_edits() {
    for in_place in [false, true] {
        let desk = Desk::with(BASE);
        let count = scale(200);
        let start = |name| {
            let job = Job { dir: desk.dir.path(), name, count, in_place };
            start(&job, &[], "")
        };
        let children = ["a", "b"].map(start);
        for (mut child, out) in children {
            assert_eq!(said(out).len(), 2 * count);
            assert!(child.wait().unwrap().success());
        }
        let of = |name| (0..count).map(move |at| format!("{name}-{at}"));
        let wanted: BTreeSet<_> = ["a", "b"].into_iter().flat_map(of).collect();
        let found = keys(&desk.text());
        assert!(wanted.is_subset(&found), "{:?}", wanted.difference(&found));
        assert_eq!(desk.litter(), [""; 0]);
    }
}

/// Two guarded edits and a save, each begun at a moment of its own.
async fn interleave(live: &Arc<Live>, path: &Path, round: usize) -> (usize, usize) {
    let base = fs::read_to_string(path).unwrap();
    let random = tokenrouter::base::digest(format!("{round}"));
    let moment = |at: usize| Duration::from_micros(u64::from(random[at]) * 40);
    let entries = edit::entries(&base, Kind::Key).unwrap();
    let edit = |writer: usize| {
        let (live, wait) = (Arc::clone(live), moment(writer));
        let name = format!("w{writer}");
        let etag = entries.iter().find(|it| it.name == name).unwrap().etag.clone();
        // The whole text as one client saw it, or only the entry.
        let guard = match random[4] % 2 {
            0 => Guard::Revision(Revision::of(&base).to_string()),
            _ => Guard::Entry { kind: Kind::Key, name, etag },
        };
        let change = Change { guard, ..number(writer, round + 1) };
        async move {
            tokio::time::sleep(wait).await;
            live.edit(change).await
        }
    };
    let by_hand = format!("{base}# by hand {round}\n");
    let save = {
        let (path, wait, text) = (path.to_owned(), moment(2), by_hand.clone());
        let in_place = random[3] % 2 == 0;
        tokio::task::spawn_blocking(move || {
            std::thread::sleep(wait);
            if in_place { save_in_place(&path, &text) } else { save_by_rename(&path, &text) }
        })
    };
    let (one, two, saved) = tokio::join!(edit(0), edit(1), save);
    saved.unwrap();
    // What the watch and the poll do in a running torod.
    live.reload().await;
    let text = fs::read_to_string(path).unwrap();
    let (mut stale, mut overwritten) = (0, 0);
    for (writer, edited) in [one, two].into_iter().enumerate() {
        match edited {
            Ok(edited) => {
                let is_there = number_in(&text, writer) == round + 1;
                let after = edited.after.to_string();
                let is_listed = live.overwritten().iter().any(|it| it.revision_after == after);
                overwritten += usize::from(is_listed);
                assert!(is_there || is_listed, "round {round}: w{writer} is gone\n{text}");
            }
            Err(EditFailure::Stale { diff, current, .. }) => {
                assert!(diff.contains("@@") && !current.is_empty(), "round {round}: {diff}");
                stale += 1;
            }
            Err(error) => panic!("round {round}: {error:?}"),
        }
    }
    let remark = format!("# by hand {round}\n");
    let is_kept = || {
        let kept = live.editor().history().list().unwrap();
        let mut lost = kept.iter().filter(|it| it.origin == Origin::Lost);
        lost.any(|it| it.read().unwrap() == by_hand)
    };
    assert!(text.contains(&remark) || is_kept(), "round {round}: the save is gone\n{text}");
    (stale, overwritten)
}

async fn interleave_all(path: PathBuf, rounds: std::ops::Range<usize>) -> (usize, usize) {
    let live = Live::open(editor(path.parent().unwrap()), Learned::default()).unwrap();
    let live = Arc::new(live);
    let (mut stale, mut overwritten) = (0, 0);
    for round in rounds {
        fs::write(&path, format!("{}# round {round}\n", numbered())).unwrap();
        live.reload().await;
        let (more_stale, more_overwritten) = interleave(&live, &path, round).await;
        (stale, overwritten) = (stale + more_stale, overwritten + more_overwritten);
    }
    (stale, overwritten)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_interleaving_of_two_edits_and_a_save_loses_one_silently() {
    let (lanes, rounds) = (16, scale(10_000));
    let desks: Vec<_> = (0..lanes).map(|_| Desk::with(BASE)).collect();
    let each = rounds.div_ceil(lanes);
    let running = desks.iter().enumerate().map(|(lane, desk)| {
        tokio::spawn(interleave_all(desk.path(), lane * each..(lane + 1) * each))
    });
    let (mut stale, mut overwritten) = (0, 0);
    for it in running.collect::<Vec<_>>() {
        let more = it.await.unwrap();
        (stale, overwritten) = (stale + more.0, overwritten + more.1);
    }
    eprintln!("{rounds} rounds: {stale} edits were stale, {overwritten} overwritten");
    assert!(stale > 0, "nothing met");
}
