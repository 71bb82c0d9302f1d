//! An edit's way to the disk: what is refused, what is kept, and what is never touched.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    process::Command,
};

use rustix::fs::{XattrFlags, getxattr, setxattr};
use tokenrouter::{
    app::{
        Editor, Way,
        edit::{Change, EditFailure, Guard},
    },
    config::{Revision, edit::Kind},
};

use crate::edits::{BASE, Desk, add, editor, guarded, keys, remove, set, text};

const WAYS: [Way; 3] = [Way::Exchange, Way::Rename, Way::InPlace];

#[test]
fn an_edit_is_in_the_file_whichever_way_it_gets_there() {
    for way in WAYS {
        let desk = Desk::with(BASE);
        let editor = editor(desk.dir.path()).by(way);
        let edited = editor.edit(&add("one")).unwrap();
        assert_eq!(edited.before, Revision::of(BASE));
        assert_eq!(edited.after, Revision::of(&edited.text));
        assert!(edited.text.starts_with(BASE), "{way:?}: what was there stays");
        assert!(edited.patch.contains("+id = \"one\""), "{}", edited.patch);
        assert_eq!(edited.generation, None);
        let two = editor.edit(&add("two")).unwrap();
        assert_eq!(two.before, edited.after);
        assert_eq!(desk.text(), two.text, "{way:?}");
        assert!(!keys(&editor.edit(&remove("two")).unwrap().text).contains("two"), "{way:?}");
        assert_eq!(desk.litter(), [""; 0], "{way:?}");
        let left = fs::read_dir(desk.dir.path().join("state")).unwrap();
        let left = left.filter(|it| it.as_ref().unwrap().file_name() != "history").count();
        assert_eq!(left, 0, "{way:?}: the journal is gone");
    }
}

type Fails = fn(EditFailure) -> bool;

#[test]
fn what_would_not_load_or_changes_nothing_is_not_written() {
    let desk = Desk::with(BASE);
    let inode = || fs::metadata(desk.path()).unwrap().ino();
    let before = inode();
    let cases: [(Change, Fails); 4] = [
        (
            text("listen_addr = 5"),
            |it| matches!(it, EditFailure::Invalid { problems, .. } if problems[0].code == "type"),
        ),
        (text(""), |it| matches!(it, EditFailure::Invalid { .. })),
        (set("default_provider", "nobody"), |it| matches!(it, EditFailure::Invalid { .. })),
        (remove("nobody"), |it| matches!(it, EditFailure::Edit(_))),
    ];
    for (change, fails) in cases {
        let failed = desk.edit(&change).unwrap_err();
        assert!(fails(failed), "{change:?}");
    }
    let same = desk.edit(&text(BASE)).unwrap();
    assert_eq!((same.before, same.patch.as_str()), (same.after, ""));
    let dry = desk.edit(&Change { dry_run: true, ..add("dry") }).unwrap();
    assert!(dry.patch.contains("dry") && dry.before != dry.after);
    assert_eq!((desk.text().as_str(), inode()), (BASE, before));
}

#[test]
fn while_the_text_on_disk_is_broken_only_a_whole_text_passes() {
    for broken in [b"<<<<<<< HEAD\n".to_vec(), b"# caf\xe9\n".to_vec(), Vec::new()] {
        let desk = Desk::with(&broken);
        let failed = desk.edit(&add("one")).unwrap_err();
        assert!(
            matches!(&failed, EditFailure::BrokenOnDisk { problems, .. } if !problems.is_empty())
        );
        assert_eq!(fs::read(desk.path()).unwrap(), broken);
        desk.edit(&text(BASE)).unwrap();
        assert_eq!(desk.text(), BASE);
        // What was displaced can be looked at.
        let kept = desk.editor.history().list().unwrap();
        assert_eq!(kept.len(), 2, "{kept:?}");
        assert_eq!(kept[1].revision, Revision::of(&broken));
    }
}

#[test]
fn a_guard_that_does_not_hold_tells_what_changed() {
    let desk = Desk::with(BASE);
    let first = desk.edit(&guarded(add("one"), BASE)).unwrap();
    let etag = |text: &str| {
        let all = tokenrouter::config::edit::entries(text, Kind::Key).unwrap();
        all.into_iter().find(|it| it.name == "one").unwrap().etag
    };
    let entry = |etag: String| Guard::Entry { kind: Kind::Key, name: "one".to_owned(), etag };
    let seen = etag(&first.text);
    // Somebody changes it by hand.
    let by_hand = first.text.replace("sk-added-0000000000000one", "sk-changed-by-hand-1");
    fs::write(desk.path(), &by_hand).unwrap();
    for stale in [
        guarded(add("two"), &first.text),
        guarded(text(BASE), &first.text),
        Change { guard: entry(seen), ..remove("one") },
    ] {
        let EditFailure::Stale { current_revision, current, diff } = desk.edit(&stale).unwrap_err()
        else {
            panic!("{stale:?}")
        };
        assert_eq!((current_revision, &current), (Revision::of(&by_hand), &by_hand));
        assert!(diff.contains("+key = \"sk-changed-by-hand-1\""), "{diff}");
        assert!(!diff.contains("+id = \"tester\""), "only what changed: {diff}");
    }
    assert_eq!(desk.text(), by_hand);
    desk.edit(&Change { guard: entry(etag(&by_hand)), ..add("three") }).unwrap();
    let unknown = Change { guard: Guard::Revision("00".repeat(32)), ..add("four") };
    let EditFailure::Stale { diff, .. } = desk.edit(&unknown).unwrap_err() else { panic!() };
    assert!(diff.contains("+id = \"three\""), "from nothing: {diff}");
}

#[test]
fn line_ends_and_a_byte_order_mark_stay() {
    let crlf = format!("\u{feff}{}", BASE.replace('\n', "\r\n"));
    let desk = Desk::with(&crlf);
    let edited = desk.edit(&add("one")).unwrap();
    assert!(edited.text.starts_with(&crlf), "{:?}", edited.text);
    assert_eq!(fs::read(desk.path()).unwrap(), edited.text.as_bytes());
}

#[test]
fn a_link_stays_a_link() {
    let desk = Desk::with("");
    let real = desk.dir.path().join("real");
    fs::create_dir(&real).unwrap();
    fs::write(real.join("config.toml"), BASE).unwrap();
    fs::remove_file(desk.path()).unwrap();
    symlink("real", desk.dir.path().join("current")).unwrap();
    symlink("current/config.toml", desk.path()).unwrap();
    desk.edit(&add("one")).unwrap();
    assert!(desk.path().symlink_metadata().unwrap().is_symlink());
    assert!(keys(&fs::read_to_string(real.join("config.toml")).unwrap()).contains("one"));
    assert_eq!(fs::read_dir(&real).unwrap().count(), 1, "no temporary file stays");
}

#[test]
fn mode_owner_and_attributes_stay_and_a_new_file_is_private() {
    for way in WAYS {
        let desk = Desk::with(BASE);
        let mode = |it| fs::Permissions::from_mode(it);
        fs::set_permissions(desk.path(), mode(0o640)).unwrap();
        let is_root = std::os::unix::fs::chown(desk.path(), Some(12345), Some(23456)).is_ok();
        let has_xattr = setxattr(desk.path(), "user.note", b"mine", XattrFlags::empty()).is_ok();
        editor(desk.dir.path()).by(way).edit(&add("one")).unwrap();
        let meta = fs::metadata(desk.path()).unwrap();
        assert_eq!(meta.mode() & 0o7777, 0o640, "{way:?}");
        assert!(!is_root || (meta.uid(), meta.gid()) == (12345, 23456), "{way:?}");
        let mut value = [0; 4];
        let found = getxattr(desk.path(), "user.note", &mut value[..]);
        assert!(!has_xattr || found == Ok(4) && &value == b"mine", "{way:?}");
    }
    let desk = Desk::with("");
    fs::remove_file(desk.path()).unwrap();
    assert!(matches!(desk.edit(&add("one")), Err(EditFailure::Io(..))), "nothing to edit");
    desk.edit(&text(BASE)).unwrap();
    assert_eq!(fs::metadata(desk.path()).unwrap().mode() & 0o7777, 0o600);
    assert_eq!(desk.text(), BASE);
    let nowhere =
        Editor::new(desk.dir.path().join("a/b/torod.toml"), desk.dir.path().join("state"));
    nowhere.edit(&Change { dry_run: true, ..text(BASE) }).unwrap();
    assert!(!nowhere.path().parent().unwrap().exists(), "a dry run makes nothing");
    nowhere.edit(&text(BASE)).unwrap();
    let meta = fs::metadata(nowhere.path()).unwrap();
    let parent = fs::metadata(nowhere.path().parent().unwrap()).unwrap();
    assert_eq!((meta.mode() & 0o777, parent.mode() & 0o777), (0o600, 0o700));
    for entry in fs::read_dir(desk.dir.path().join("state/history")).unwrap() {
        assert_eq!(entry.unwrap().metadata().unwrap().mode() & 0o777, 0o600);
    }
    let history = fs::metadata(desk.dir.path().join("state/history")).unwrap();
    assert_eq!(history.mode() & 0o777, 0o700);
}

/// Expects an edit to be refused with the patch and the text, and nothing changed.
fn is_managed(editor: &Editor, why: &str) {
    let before = fs::read(editor.path()).unwrap();
    let wanted = editor.edit(&Change { dry_run: true, ..add("one") }).unwrap();
    let EditFailure::Managed { why: said, patch, text } = editor.edit(&add("one")).unwrap_err()
    else {
        panic!("not refused: {why}")
    };
    assert!(said.contains(why), "{said}");
    assert_eq!((patch, text), (wanted.patch, wanted.text));
    let invalid = editor.edit(&set("default_provider", "nobody")).unwrap_err();
    assert!(matches!(invalid, EditFailure::Invalid { .. }), "checked first: {invalid}");
    assert_eq!(fs::read(editor.path()).unwrap(), before);
}

#[test]
fn where_somebody_else_writes_the_patch_is_shown() {
    let desk = Desk::with(format!("managed = true\n{BASE}"));
    is_managed(&desk.editor, "managed = true");
    is_managed(&desk.editor, "managed = true");
    let desk = Desk::with(BASE);
    is_managed(&editor(desk.dir.path()).read_only(true), "--read-only");
    assert!(!desk.dir.path().join("state").exists(), "not even a history");

    // As kubelet lays it out.
    let desk = Desk::with(BASE);
    fs::create_dir(desk.dir.path().join("..2026")).unwrap();
    fs::rename(desk.path(), desk.dir.path().join("..2026/torod.toml")).unwrap();
    symlink("..2026", desk.dir.path().join("..data")).unwrap();
    symlink("..data/torod.toml", desk.path()).unwrap();
    is_managed(&desk.editor, "ConfigMap");
    assert_eq!(desk.litter(), [""; 0]);
}

/// Takes the right to write away: by mode, or from root by an attribute.
fn seal(path: &std::path::Path, on: bool) -> bool {
    if rustix::process::geteuid().is_root() {
        let flag = if on { "+i" } else { "-i" };
        return Command::new("chattr").arg(flag).arg(path).status().is_ok_and(|it| it.success());
    }
    let mode = if on { 0o500 } else { 0o700 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).is_ok()
}

#[test]
fn a_directory_or_file_that_cannot_be_written_is_managed() {
    let desk = Desk::with(BASE);
    let config = desk.dir.path().join("etc");
    fs::create_dir(&config).unwrap();
    let path = config.join("torod.toml");
    fs::write(&path, BASE).unwrap();
    let editor = Editor::new(path.clone(), desk.dir.path().join("state"));
    for sealed in [&config, &path] {
        if !seal(sealed, true) {
            eprintln!("skipped: a file system without `chattr +i`");
            return;
        }
        let result = std::panic::catch_unwind(|| is_managed(&editor, "not writable"));
        seal(sealed, false);
        result.unwrap();
    }
    editor.edit(&add("one")).unwrap();
}

#[test]
fn the_history_keeps_the_last_texts_and_only_those() {
    let desk = Desk::with(format!("{BASE}\n[config]\nhistory = 3\n"));
    let texts: Vec<_> = (0..5).map(|it| desk.edit(&add(&it.to_string())).unwrap().text).collect();
    let history = desk.editor.history();
    let kept = history.list().unwrap();
    let revisions: Vec<_> = kept.iter().map(|it| it.revision).collect();
    let wanted: Vec<_> = texts.iter().rev().take(3).map(Revision::of).collect();
    assert_eq!(revisions, wanted, "the newest first");
    assert!(kept.is_sorted_by(|a, b| a.at > b.at));
    let short = &kept[1].revision.to_string()[..10];
    assert_eq!(history.read(short).unwrap().as_ref(), Some(&texts[3]));
    assert_eq!(history.read("ffffffff").unwrap(), None);
    let file = fs::read_dir(desk.dir.path().join("state/history")).unwrap().next().unwrap();
    fs::write(file.unwrap().path(), "damaged").unwrap();
    assert_eq!(kept.iter().filter(|it| it.read().is_err()).count(), 1, "damage is noticed");

    let off = Desk::with(format!("{BASE}\n[config]\nhistory = 0\n"));
    off.edit(&add("one")).unwrap();
    assert_eq!(off.editor.history().list().unwrap(), []);
}
