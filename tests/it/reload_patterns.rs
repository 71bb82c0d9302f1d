//! Every way in which a file is saved, several saves in a row, by the watch and by the poll.

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, SystemTime},
};

use tokenrouter::config::Revision;
use tokio::task::JoinSet;

use crate::saves::{self, POLLED, Times, WATCHED, key, last_line, models_as};

/// Texts in the order in which they are saved: one comes back, and one is longer.
const NUMBERS: [usize; 5] = [2, 4, 2, 6, 7];

/// One save.
struct Save<'a> {
    path: &'a Path,
    text: &'a str,
    number: usize,
    turn: usize,
}

impl Save<'_> {
    fn beside(&self, name: &str) -> PathBuf {
        self.path.with_file_name(name)
    }
}

/// Makes the first file in this directory, and tells where it is.
type Prepare = fn(&Path) -> PathBuf;
type Pattern = (&'static str, Prepare, fn(&Save<'_>));

macro_rules! patterns {
    ($($test:ident: $prepare:ident, $save:ident;)*) => {
        const PATTERNS: &[Pattern] = &[$((stringify!($test), $prepare, $save)),*];

        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                follows((stringify!($test), $prepare, $save), true, WATCHED).await;
            }
        )*
    };
}

patterns! {
    a_file_that_is_truncated_and_written_is_live_at_once: plain, truncated;
    a_file_that_is_written_over_and_then_cut_is_live_at_once: plain, written_over;
    a_file_that_is_renamed_over_is_live_at_once: plain, renamed;
    what_vim_saves_is_live_at_once: plain, vim;
    what_vim_saves_with_a_backup_is_live_at_once: plain, vim_with_backup;
    what_emacs_saves_is_live_at_once: plain, emacs;
    a_file_that_is_deleted_and_made_again_is_live_at_once: plain, made_again;
    a_file_that_is_linked_in_place_is_live_at_once: plain, hard_linked;
    what_sed_saves_is_live_at_once: plain, sed;
    a_file_with_an_older_time_is_live_at_once: plain, older;
    a_file_of_the_same_size_and_time_is_live_at_once: plain, same_size_and_time;
    a_link_that_is_renamed_over_is_live_at_once: linked, link_renamed;
    a_link_that_is_made_again_is_live_at_once: linked, link_made_again;
    a_config_map_is_live_at_once: config_map, config_map_swapped;
    a_git_checkout_is_live_at_once: git_repository, git_switched;
    a_directory_that_is_swapped_is_live_at_once: plain, directory_swapped;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_save_is_live_when_only_the_poll_sees_it() {
    let mut all = JoinSet::new();
    for &pattern in PATTERNS {
        all.spawn(follows(pattern, false, POLLED));
    }
    all.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_a_link_names_is_live_soon() {
    // The link stands in a directory that nobody watches: the poll sees it.
    follows(("a_release", release, release_switched), true, POLLED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_watched_follows_a_swapped_directory() {
    let root = tempfile::tempdir().unwrap();
    let path = plain(root.path());
    let daemon = saves::start_at(root.path(), path.clone(), true).await;
    for (turn, number) in [(0, 2), (2, 4), (4, 6)] {
        let swapped = saves::text(number);
        directory_swapped(&Save { path: &path, text: &swapped, number, turn });
        saves::live(daemon.app(), swapped, WATCHED).await;
        let written = saves::text(number + 1);
        truncated(&Save { path: &path, text: &written, number: number + 1, turn: turn + 1 });
        saves::live(daemon.app(), written, WATCHED).await;
    }
}

async fn follows((name, prepare, save): Pattern, watch: bool, limit: Duration) {
    if name.contains("git") && Command::new("git").arg("--version").output().is_err() {
        eprintln!("skipped: {name}: there is no git here");
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let path = prepare(root.path());
    let daemon = saves::start_at(root.path(), path.clone(), watch).await;
    let app = daemon.app();
    assert_eq!(app.live.snapshot().revision, Revision::of(saves::text(0)), "{name}");
    let addr = daemon.addresses()[0];
    let (mut before, mut times) = (0, Times::default());
    for (turn, number) in NUMBERS.into_iter().enumerate() {
        let text = saves::text(number);
        let generation = app.live.snapshot().generation;
        save(&Save { path: &path, text: &text, number, turn });
        assert_eq!(fs::read_to_string(&path).unwrap(), text, "{name}: the story is told right");
        times.add(saves::live(app, &text, limit).await);
        assert_eq!(app.live.snapshot().generation, generation + 1, "{name}: one save, one step");
        assert_eq!(models_as(addr, &key(number)).await.status, 200, "{name}: the new key");
        assert_eq!(models_as(addr, &key(before)).await.status, 401, "{name}: the old key");
        before = number;
    }
    times.report(&format!("{name}, {}", if watch { "watched" } else { "polled" }));
}

fn plain(root: &Path) -> PathBuf {
    let path = root.join("conf/torod.toml");
    fs::create_dir(root.join("conf")).unwrap();
    fs::write(&path, saves::text(0)).unwrap();
    path
}

fn truncated(save: &Save<'_>) {
    fs::write(save.path, save.text).unwrap();
}

fn written_over(save: &Save<'_>) {
    let mut file = File::options().write(true).open(save.path).unwrap();
    file.write_all(save.text.as_bytes()).unwrap();
    file.set_len(save.text.len() as u64).unwrap();
}

fn renamed(save: &Save<'_>) {
    saves::replace(save.path, save.text);
}

/// As vim does by default: a probe, the old file renamed away, the new one made, the backup gone.
fn vim(save: &Save<'_>) {
    vim_with_backup(save);
    fs::remove_file(save.beside("torod.toml~")).unwrap();
}

fn vim_with_backup(save: &Save<'_>) {
    let probe = save.beside("4913");
    File::create_new(&probe).unwrap();
    fs::remove_file(probe).unwrap();
    fs::rename(save.path, save.beside("torod.toml~")).unwrap();
    let mut file = File::create_new(save.path).unwrap();
    file.write_all(save.text.as_bytes()).unwrap();
    file.sync_all().unwrap();
    file.set_permissions(fs::Permissions::from_mode(0o600)).unwrap();
}

/// With its lock, a link to nowhere, and its own copy of what is typed.
fn emacs(save: &Save<'_>) {
    let (lock, copy) = (save.beside(".#torod.toml"), save.beside("#torod.toml#"));
    symlink("somebody@somewhere.1:2", &lock).unwrap();
    fs::write(&copy, "half of wh").unwrap();
    fs::rename(save.path, save.beside("torod.toml~")).unwrap();
    fs::write(save.path, save.text).unwrap();
    fs::remove_file(lock).unwrap();
    fs::remove_file(copy).unwrap();
}

fn made_again(save: &Save<'_>) {
    fs::remove_file(save.path).unwrap();
    thread::sleep(Duration::from_millis(20));
    fs::write(save.path, save.text).unwrap();
}

fn hard_linked(save: &Save<'_>) {
    let fresh = save.beside("fresh");
    fs::write(&fresh, save.text).unwrap();
    fs::remove_file(save.path).unwrap();
    fs::hard_link(&fresh, save.path).unwrap();
    fs::remove_file(fresh).unwrap();
}

fn sed(save: &Save<'_>) {
    let key = format!("s/sk-save-[0-9]*/{}/", key(save.number));
    let last = format!("s/^# number.*/{}/", last_line(save.number));
    run(Command::new("sed").args(["-i", "-e", &key, "-e", &last]).arg(save.path));
}

fn older(save: &Save<'_>) {
    let fresh = save.beside("fresh");
    fs::write(&fresh, save.text).unwrap();
    let long_ago = Duration::from_secs(1_000_000_000 - 1000 * save.turn as u64);
    File::open(&fresh).unwrap().set_modified(SystemTime::UNIX_EPOCH + long_ago).unwrap();
    fs::rename(fresh, save.path).unwrap();
}

fn same_size_and_time(save: &Save<'_>) {
    let time = fs::metadata(save.path).unwrap().modified().unwrap();
    fs::write(save.path, save.text).unwrap();
    File::open(save.path).unwrap().set_modified(time).unwrap();
}

fn linked(root: &Path) -> PathBuf {
    let path = root.join("conf/torod.toml");
    fs::create_dir_all(root.join("conf/texts")).unwrap();
    fs::write(root.join("conf/texts/first.toml"), saves::text(0)).unwrap();
    symlink("texts/first.toml", &path).unwrap();
    path
}

fn link_renamed(save: &Save<'_>) {
    let target = format!("texts/{}.toml", save.turn);
    fs::write(save.beside(&target), save.text).unwrap();
    symlink(target, save.beside("fresh")).unwrap();
    fs::rename(save.beside("fresh"), save.path).unwrap();
}

fn link_made_again(save: &Save<'_>) {
    let target = format!("texts/{}.toml", save.turn);
    fs::write(save.beside(&target), save.text).unwrap();
    fs::remove_file(save.path).unwrap();
    symlink(target, save.path).unwrap();
}

/// As Kubernetes mounts it: the file leads through `..data`, and only that link is ever changed.
fn config_map(root: &Path) -> PathBuf {
    let conf = root.join("conf");
    fs::create_dir_all(conf.join("..first")).unwrap();
    fs::write(conf.join("..first/torod.toml"), saves::text(0)).unwrap();
    symlink("..first", conf.join("..data")).unwrap();
    symlink("..data/torod.toml", conf.join("torod.toml")).unwrap();
    conf.join("torod.toml")
}

fn config_map_swapped(save: &Save<'_>) {
    let old = fs::read_link(save.beside("..data")).unwrap();
    let fresh = format!("..turn-{}", save.turn);
    fs::create_dir(save.beside(&fresh)).unwrap();
    fs::write(save.beside(&format!("{fresh}/torod.toml")), save.text).unwrap();
    symlink(fresh, save.beside("..data_tmp")).unwrap();
    fs::rename(save.beside("..data_tmp"), save.beside("..data")).unwrap();
    fs::remove_dir_all(save.path.with_file_name(old)).unwrap();
}

/// The config in a checkout, one branch for each text.
fn git_repository(root: &Path) -> PathBuf {
    let path = plain(root);
    let conf = path.parent().unwrap();
    git(conf, &["init", "-q"]);
    let mut numbers = vec![0];
    numbers.extend(NUMBERS);
    numbers.sort_unstable();
    numbers.dedup();
    for number in numbers.into_iter().rev() {
        fs::write(&path, saves::text(number)).unwrap();
        git(conf, &["checkout", "-q", "-b", &format!("number-{number}")]);
        git(conf, &["add", "torod.toml"]);
        git(conf, &["commit", "-q", "-m", "a text"]);
    }
    path
}

fn git_switched(save: &Save<'_>) {
    let branch = format!("number-{}", save.number);
    git(save.path.parent().unwrap(), &["checkout", "-q", &branch]);
}

/// Git as it is for everybody, whatever the settings of whoever runs the tests.
fn git(directory: &Path, arguments: &[&str]) {
    let mut command = Command::new("git");
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    command.args(["-c", "user.name=Tester", "-c", "user.email=tester@example.com"]);
    run(command.arg("-C").arg(directory).args(arguments));
}

fn directory_swapped(save: &Save<'_>) {
    let conf = save.path.parent().unwrap();
    let fresh = conf.with_file_name("fresh");
    fs::create_dir(&fresh).unwrap();
    fs::write(fresh.join("torod.toml"), save.text).unwrap();
    fs::rename(conf, conf.with_file_name(format!("old-{}", save.turn))).unwrap();
    fs::rename(fresh, conf).unwrap();
}

fn release(root: &Path) -> PathBuf {
    fs::create_dir_all(root.join("releases/first")).unwrap();
    fs::write(root.join("releases/first/torod.toml"), saves::text(0)).unwrap();
    symlink("releases/first", root.join("current")).unwrap();
    root.join("current/torod.toml")
}

fn release_switched(save: &Save<'_>) {
    let root = save.path.parent().unwrap().parent().unwrap();
    let target = format!("releases/{}", save.turn);
    fs::create_dir(root.join(&target)).unwrap();
    fs::write(root.join(&target).join("torod.toml"), save.text).unwrap();
    symlink(target, root.join("fresh")).unwrap();
    fs::rename(root.join("fresh"), root.join("current")).unwrap();
}

fn run(command: &mut Command) {
    let status = command.status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}
