//! Reloads of the program itself: signals, log lines, and a file that is mounted.

use std::{
    fs,
    os::unix::fs::symlink,
    process::{Command, Stdio},
    time::Duration,
};

use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use crate::{
    process::{Torod, directory, program, program_after},
    saves::{self, POLLED, Times, WATCHED, key, models_as, replace, text},
    world::{Reply, within},
};

/// Waits until the key of this number is admitted; how long that took.
async fn live(torod: &Torod, number: usize, limit: Duration) -> Duration {
    let begin = Instant::now();
    while models_as(torod.addr, &key(number)).await.status != 200 {
        assert!(begin.elapsed() < limit, "text {number} is not live within {limit:?}");
        sleep(Duration::from_millis(5)).await;
    }
    begin.elapsed()
}

async fn reload(torod: &Torod) -> Reply {
    let reply = torod.ask("POST", "/admin/api/config/reload").send().await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply
}

fn count(torod: &Torod, mark: &str) -> usize {
    torod.said().matches(mark).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_reads_the_file_again() {
    // The config leads through a link in a directory that is not watched.
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join("elsewhere").join(name);
    fs::create_dir_all(at("0")).unwrap();
    fs::write(at("0/torod.toml"), text(0)).unwrap();
    symlink("0", at("current")).unwrap();
    symlink("elsewhere/current/torod.toml", dir.path().join("torod.toml")).unwrap();
    let elsewhere = dir.path().join("elsewhere");
    let command = program(&dir);
    let torod = Torod::launch(dir, command).listens().await;
    let mut times = Times::default();
    for number in 1..6 {
        let name = number.to_string();
        fs::create_dir(elsewhere.join(&name)).unwrap();
        fs::write(elsewhere.join(&name).join("torod.toml"), text(number)).unwrap();
        symlink(&name, elsewhere.join("fresh")).unwrap();
        fs::rename(elsewhere.join("fresh"), elsewhere.join("current")).unwrap();
        torod.signal(Signal::HUP);
        times.add(live(&torod, number, WATCHED).await);
        assert_eq!(models_as(torod.addr, &key(number - 1)).await.status, 401);
    }
    times.report("after a hangup");
    torod.says("reloading after SIGHUP").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_hangups_do_no_harm() {
    let torod = Torod::start(&text(0), &[]).await;
    for _ in 0..50 {
        torod.signal(Signal::HUP);
        sleep(Duration::from_millis(2)).await;
    }
    let reply = reload(&torod).await;
    assert_eq!(reply.header("x-torod-generation"), Some("1"), "nothing changed");
    replace(&torod.dir.path().join("torod.toml"), "half of ");
    torod.signal(Signal::HUP);
    torod.says("config not applied").await;
    assert_eq!(torod.chat("echo/hello").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_once() {
    let torod = Torod::start(&text(0), &[]).await;
    let path = torod.dir.path().join("torod.toml");
    fs::remove_file(&path).unwrap();
    torod.says("config not applied").await;
    for _ in 0..10 {
        let told = reload(&torod).await.json();
        assert_eq!(told["problems"][0]["code"], "unreadable", "{told}");
    }
    assert_eq!(count(&torod, "config not applied"), 1, "{}", torod.said());
    let bad = format!("shutdown_seconds = \"soon\"\n{}", text(1));
    for _ in 0..10 {
        fs::write(&path, &bad).unwrap();
        reload(&torod).await;
    }
    within(WATCHED, "another problem is said", || count(&torod, "config not applied") == 2).await;
    assert!(torod.said().contains("1:20"), "with its place: {}", torod.said());
    assert!(!torod.said().contains("\"soon\""), "without the line: {}", torod.said());
    fs::write(&path, text(1)).unwrap();
    live(&torod, 1, WATCHED).await;
    within(WATCHED, "a good one is said", || count(&torod, "config applied") == 1).await;
    fs::remove_file(&path).unwrap();
    within(WATCHED, "after a good one it is news", || count(&torod, "config not applied") == 3)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn level_and_format_of_the_log_follow_the_file() {
    let torod = Torod::start(&text(0), &[]).await;
    let path = torod.dir.path().join("torod.toml");
    torod.chat("echo/info-1").await;
    torod.says("info-1").await;

    replace(&path, text(1) + "\n[logs]\nlevel = \"error\"\n");
    live(&torod, 1, WATCHED).await;
    let begin = Instant::now();
    loop {
        let before = torod.said().len();
        torod.chat("echo/error-level").await;
        sleep(Duration::from_millis(100)).await;
        if torod.said().len() == before {
            break;
        }
        assert!(begin.elapsed() < WATCHED, "it does not fall silent: {}", torod.said());
    }

    replace(&path, text(2) + "\n[logs]\nlevel = \"debug\"\nformat = \"json\"\n");
    live(&torod, 2, WATCHED).await;
    let begin = Instant::now();
    let line = loop {
        torod.chat("echo/json-1").await;
        sleep(Duration::from_millis(20)).await;
        let said = torod.said();
        if let Some(line) = said.lines().find(|it| it.starts_with('{') && it.contains("json-1")) {
            break line.to_owned();
        }
        assert!(begin.elapsed() < WATCHED, "it does not speak JSON: {said}");
    };
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["level"], "INFO", "{line}");
    torod.bare("GET", "/healthz").send().await;
    torod.says("DEBUG").await;

    replace(&path, text(3));
    live(&torod, 3, WATCHED).await;
    torod.chat("echo/text-1").await;
    torod.says("text-1").await;
    let said = torod.said();
    assert!(!said.lines().any(|it| it.starts_with('{') && it.contains("text-1")), "{said}");
}

/// Whether this machine lets us mount.
fn may_mount() -> bool {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a"), "").unwrap();
    fs::write(dir.path().join("b"), "").unwrap();
    let mut command = Command::new("unshare");
    command.args(["-m", "mount", "--bind"]).arg(dir.path().join("a")).arg(dir.path().join("b"));
    command.stderr(Stdio::null());
    command.status().is_ok_and(|it| it.success())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_mounted_alone_is_followed_by_the_poll() {
    if !may_mount() {
        eprintln!("skipped: `mount --bind` is not permitted here");
        return;
    }
    let host = tempfile::tempdir().unwrap();
    let outside = host.path().join("host.toml");
    fs::write(&outside, text(0)).unwrap();
    let dir = directory("", &[]);
    let inside = dir.path().join("torod.toml");
    let mount = format!("mount --bind {} {}", outside.display(), inside.display());
    let in_shell = program_after(&dir, &mount);
    // In a mount namespace of its own, as in a container.
    let mut command = Command::new("unshare");
    command.arg("-m").arg(in_shell.get_program()).args(in_shell.get_args());
    let torod = Torod::launch(dir, command).listens().await;
    let mut times = Times::default();
    for number in 1..5 {
        fs::write(&outside, text(number)).unwrap();
        times.add(live(&torod, number, POLLED).await);
        assert_eq!(models_as(torod.addr, &key(number - 1)).await.status, 401);
    }
    times.report("in a mounted file");
    // A rename on the host does not reach the mount: the last good one stays, without a complaint.
    saves::replace(&outside, text(5));
    let told = reload(&torod).await.json();
    assert_eq!((&told["applied"], &told["generation"]), (&true.into(), &5.into()), "{told}");
    assert_eq!(models_as(torod.addr, &key(4)).await.status, 200);
}
