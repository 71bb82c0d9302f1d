//! Edits that are cut short: by a kill, by a full disk. The file is the old text or the new one.

use std::{
    collections::BTreeSet,
    fs,
    io::BufRead as _,
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use tokenrouter::{
    app::{Learned, Live},
    config,
};

use crate::{
    client::PATIENCE,
    edit_child::{Job, Said, said, start},
    edits::{BASE, Desk, add, editor, keys, litter},
    world::scale,
};

/// The ids that a child was told are in the file, and one that may be.
fn told(said: &[Said]) -> (BTreeSet<String>, Option<&String>) {
    let done = said.iter().filter_map(|it| match it {
        Said::Done(key) => Some(key.clone()),
        _ => None,
    });
    let last = said.last().and_then(|it| match it {
        Said::Begins(key) => Some(key),
        _ => None,
    });
    (done.collect(), last)
}

fn loads(text: &str) -> bool {
    config::resolve(text, &*tokenrouter::app::surroundings(Path::new("/"))).config.is_some()
}

/// So many kilobytes that move with each edit, so that a write takes its time.
fn large(kilobytes: usize) -> String {
    let line = format!("# {}\n", "x".repeat(125));
    format!("{BASE}{}", line.repeat(kilobytes * 8))
}

fn has_journal(dir: &Path) -> bool {
    let names = fs::read_dir(dir.join("state")).unwrap().map(|it| it.unwrap().path());
    names.into_iter().any(|it| it.extension().is_some_and(|it| it == "journal"))
}

/// Kills a child somewhere in its edits, and looks at the file, so many times.
fn kill_at_random(text: &str, in_place: bool, count: usize) {
    let desk = Desk::with(text);
    let mut expected = keys(text);
    let (mut torn, mut in_midst) = (0, 0);
    for turn in 0..count {
        let name = format!("turn-{turn}");
        let job = Job { dir: desk.dir.path(), name: &name, count: 1000, in_place };
        let (mut child, mut out) = start(&job, &[], "");
        let (mut line, mut times) = (String::new(), Vec::new());
        while times.len() < 2 {
            line.clear();
            assert!(out.read_line(&mut line).unwrap() > 0, "the child ended");
            assert!(!line.contains("failed"), "{line}");
            times.extend(line.contains("begins").then(Instant::now));
        }
        // Not a wait for something: a moment that nobody chose, within about two edits.
        let share = f64::from(tokenrouter::base::digest(&name)[0]) / 128.0;
        let mut time = times[1] - times[0];
        if in_place {
            // Most of the time is spent elsewhere.
            while !has_journal(desk.dir.path()) {
                assert!(times[1].elapsed() < PATIENCE, "no journal is written");
            }
            time = Duration::from_millis(2);
        }
        std::thread::sleep(time.mul_f64(share));
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        let key = |at| format!("{name}-{at}");
        let mut said = said(out);
        said.splice(0..0, [Said::Done(key(0)), Said::Begins(key(1))]);
        let (done, maybe) = told(&said);
        in_midst += usize::from(!desk.litter().is_empty() || has_journal(desk.dir.path()));
        if in_place {
            // The next start finishes what was begun.
            let left = desk.text();
            Live::open(editor(desk.dir.path()), Learned::default()).unwrap();
            torn += usize::from(left != desk.text());
        }
        let now = desk.text();
        assert!(loads(&now), "turn {turn}: it does not load");
        let found = keys(&now);
        expected.extend(done);
        let missing: Vec<_> = expected.difference(&found).collect();
        assert!(missing.is_empty(), "turn {turn}: told, but missing: {missing:?}");
        let more: Vec<_> = found.difference(&expected).collect();
        assert!(more.iter().all(|it| Some(*it) == maybe), "turn {turn}: {more:?}, not {maybe:?}");
        assert!(desk.litter().len() <= 2, "turn {turn}: {:?}", desk.litter());
        expected = found;
        if turn % 10 == 9 {
            // The text does not grow for ever.
            fs::write(desk.path(), text).unwrap();
            expected = keys(text);
        }
    }
    desk.edit(&add("last")).unwrap();
    assert_eq!(desk.litter(), [""; 0], "what the kills left is gone");
    eprintln!(
        "{count} kills, in place: {in_place}; {in_midst} in the midst of a write, {torn} torn"
    );
}

#[test]
fn a_kill_leaves_the_old_text_or_the_new_and_no_edit_that_was_told_is_missing() {
    kill_at_random(BASE, false, scale(300));
}

#[test]
fn a_kill_in_the_middle_of_a_write_in_place_is_made_good_at_the_next_start() {
    kill_at_random(&large(3000), true, scale(50));
}

/// What one edit of a child in this directory came to.
fn one_edit(dir: &Path, wrap: &[&str], shell: &str) -> Vec<Said> {
    let job = Job { dir, name: "x", count: 1, in_place: false };
    let (mut child, out) = start(&job, wrap, shell);
    let said = said(out);
    assert!(child.wait().unwrap().success());
    said
}

#[test]
fn a_limit_on_file_sizes_is_told_and_leaves_the_old_text() {
    let desk = Desk::with(large(300));
    let before = desk.text();
    // Half of what the text has, with the signal that would end the process put aside.
    let said = one_edit(desk.dir.path(), &[], "trap '' XFSZ; ulimit -f 320");
    assert!(matches!(&said[1], Said::Failed(it) if it.contains("no room")), "{said:?}");
    assert!(desk.text() == before);
    assert_eq!(desk.litter(), [""; 0]);
}

/// Whether this machine lets us mount.
fn may_mount() -> bool {
    let mut command = Command::new("unshare");
    command.args(["-m", "mount", "-t", "tmpfs", "none", "/mnt"]).stderr(Stdio::null());
    command.status().is_ok_and(|it| it.success())
}

#[test]
fn a_full_disk_is_told_and_leaves_the_old_text() {
    if !may_mount() {
        eprintln!("skipped: `mount` is not permitted here");
        return;
    }
    let desk = Desk::with(large(300));
    let dir = desk.dir.path().display();
    // The child's directory is a small disk that the config and its history nearly fill; what is
    // left on it afterwards is copied out.
    let shell = format!(
        "cp {dir}/torod.toml /tmp/torod-full-$$ && mount -t tmpfs -o size=400k none {dir} && \
         mv /tmp/torod-full-$$ {dir}/torod.toml && \"$@\"; \
         echo; ls -A {dir} | sed 's/^/begins /'; cksum < {dir}/torod.toml | sed 's/^/done /'; exit 0"
    );
    let said = one_edit(desk.dir.path(), &["unshare", "-m"], &shell);
    let failed = said.iter().any(|it| matches!(it, Said::Failed(it) if it.contains("no room")));
    assert!(failed, "{said:?}");
    let names = said.iter().filter_map(|it| match it {
        Said::Begins(it) if it.starts_with('.') => Some(it),
        _ => None,
    });
    let names: Vec<_> = names.collect();
    assert_eq!(names.len(), 0, "no temporary file stays: {names:?}");
    let sum = Command::new("cksum").stdin(fs::File::open(desk.path()).unwrap()).output().unwrap();
    let sum = String::from_utf8(sum.stdout).unwrap();
    assert!(said.contains(&Said::Done(sum.trim().to_owned())), "{said:?}");
}

#[test]
fn a_file_that_is_mounted_alone_is_written_in_place() {
    if !may_mount() {
        eprintln!("skipped: `mount` is not permitted here");
        return;
    }
    let desk = Desk::with("");
    let host = tempfile::tempdir().unwrap();
    let outside = host.path().join("host.toml");
    fs::write(&outside, BASE).unwrap();
    let shell = format!("mount --bind {} {}", outside.display(), desk.path().display());
    let said = one_edit(desk.dir.path(), &["unshare", "-m"], &shell);
    assert_eq!(said[1], Said::Done("x-0".to_owned()), "{said:?}");
    assert!(keys(&fs::read_to_string(&outside).unwrap()).contains("x-0"));
    assert_eq!(litter(desk.dir.path()), [""; 0]);
    // With everything else read-only, as in a hardened container.
    let dir = desk.dir.path().display();
    let state = host.path().join("state");
    fs::create_dir(&state).unwrap();
    fs::create_dir_all(desk.dir.path().join("state")).unwrap();
    let sealed = format!(
        "mount --bind {dir} {dir} && mount -o remount,ro,bind {dir} && \
         mount --bind {} {dir}/state && {shell}",
        state.display()
    );
    fs::write(&outside, BASE).unwrap();
    let said = one_edit(desk.dir.path(), &["unshare", "-m"], &sealed);
    assert_eq!(said[1], Said::Done("x-0".to_owned()), "{said:?}");
    // And the file itself read-only.
    fs::write(&outside, BASE).unwrap();
    let sealed = format!("{shell} && mount -o remount,ro,bind {}", desk.path().display());
    let said = one_edit(desk.dir.path(), &["unshare", "-m"], &sealed);
    assert!(matches!(&said[1], Said::Failed(it) if it.contains("not writable")), "{said:?}");
}
