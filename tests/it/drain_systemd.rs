//! What torod and systemd say to each other.

use std::{
    os::{fd::OwnedFd, unix::net::UnixDatagram},
    process::{Command, Stdio},
    time::Duration,
};

use rustix::process::Signal;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
};

use crate::{
    client::PATIENCE,
    process::{Torod, directory, program, program_after},
    samples::CHAT,
    scripted::{Script, Scripted},
    world::{CONFIG, eventually},
};

async fn provider() -> Scripted {
    Scripted::always(Script::json(200, CHAT)).await
}

/// What torod said to systemd since the last look.
fn heard(socket: &UnixDatagram) -> String {
    let (mut text, mut buffer) = (String::new(), [0; 4096]);
    while let Ok(length) = socket.recv(&mut buffer) {
        text += &String::from_utf8_lossy(&buffer[..length]);
        text.push('\n');
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn systemd_hears_when_torod_is_ready_and_when_it_stops() {
    let provider = provider().await;
    let dir = directory(CONFIG, &[("scripted", &provider)]);
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_nonblocking(true).unwrap();
    let mut command = program(&dir);
    command.env("NOTIFY_SOCKET", &path);
    let mut torod = Torod::launch(dir, command).listens().await;
    let mut text = String::new();
    let mut hears = |mark: &str| {
        text += &heard(&socket);
        text.lines().any(|it| it.starts_with(mark))
    };
    eventually("systemd hears READY", || hears("READY=1")).await;
    assert_eq!(torod.chat("scripted/m").await.status, 200, "ready means ready");
    assert!(!hears("STOPPING=1"));
    torod.signal(Signal::TERM);
    eventually("systemd hears STOPPING", || hears("STOPPING=1")).await;
    assert!(torod.ended(PATIENCE).await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn systemd_hears_of_a_reload() {
    let provider = provider().await;
    let dir = directory(CONFIG, &[("scripted", &provider)]);
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_nonblocking(true).unwrap();
    let mut command = program(&dir);
    command.env("NOTIFY_SOCKET", &path);
    let torod = Torod::launch(dir, command).listens().await;
    let mut text = String::new();
    let mut hears = |mark: &str, count: usize| {
        text += &heard(&socket);
        text.lines().filter(|it| it.starts_with(mark)).count() >= count
    };
    eventually("systemd hears READY", || hears("READY=1", 1)).await;
    torod.signal(Signal::HUP);
    eventually("systemd hears RELOADING", || hears("RELOADING=1", 1)).await;
    eventually("with the time", || hears("MONOTONIC_USEC=", 1)).await;
    eventually("systemd hears READY again", || hears("READY=1", 2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_nobody_hears_does_not_stop_the_start() {
    let provider = provider().await;
    let dir = directory(CONFIG, &[("scripted", &provider)]);
    let mut command = program(&dir);
    command.env("NOTIFY_SOCKET", dir.path().join("nobody"));
    let torod = Torod::launch(dir, command).listens().await;
    assert_eq!(torod.chat("scripted/m").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_systemd_opened_is_served() {
    let provider = provider().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    // Somebody waits already, before there is a torod; and the socket blocks, as systemd's do.
    let early = tokio::net::TcpStream::connect(addr).await.unwrap();
    let dir = directory(CONFIG, &[("scripted", &provider)]);
    // `exec` keeps the process id, so the shell can say whom the socket is for.
    let first = "exec 3<&0 </dev/null; export LISTEN_FDS=1 LISTEN_PID=$$";
    let mut command = program_after(&dir, first);
    command.stdin(Stdio::from(OwnedFd::from(listener)));
    let mut torod = Torod::launch(dir, command);
    torod.says(&format!("listening on http://{addr}")).await;
    torod.addr = addr;
    for _ in 0..3 {
        assert_eq!(torod.chat("scripted/m").await.status, 200);
    }
    let mut early = early;
    early
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut text = String::new();
    early.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    // The sockets of the file come and go; this one stays.
    let path = torod.dir.path().join("torod.toml");
    let changed = std::fs::read_to_string(&path).unwrap().replace("127.0.0.1:0", "[::1]:0");
    std::fs::write(&path, changed).unwrap();
    torod.says("listening on http://[::1]").await;
    assert_eq!(torod.chat("scripted/m").await.status, 200);
    torod.signal(Signal::TERM);
    assert!(torod.ended(PATIENCE).await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_is_for_another_process_is_left_alone() {
    let provider = provider().await;
    let dir = directory(CONFIG, &[("scripted", &provider)]);
    let mut command = program_after(&dir, "exec 3</dev/null; export LISTEN_FDS=1 LISTEN_PID=1");
    command.stdin(Stdio::null());
    let torod = Torod::launch(dir, command).listens().await;
    assert_eq!(torod.chat("scripted/m").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn systemds_own_launcher_starts_torod_at_the_first_connection() {
    let launcher = "systemd-socket-activate";
    if Command::new(launcher).arg("--version").output().is_err() {
        eprintln!("skipped: there is no {launcher}");
        return;
    }
    let provider = provider().await;
    let dir = directory(CONFIG, &[("scripted", &provider)]);
    let path = dir.path().join("activated.sock");
    let inner = program(&dir);
    let mut command = Command::new(launcher);
    command.arg("-l").arg(&path).arg(inner.get_program()).args(inner.get_args());
    let mut torod = Torod::launch(dir, command);
    eventually("the launcher listens", || path.exists()).await;
    for _ in 0..2 {
        let mut socket = UnixStream::connect(&path).await.unwrap();
        let ask = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        socket.write_all(ask).await.unwrap();
        let mut text = String::new();
        let read = tokio::time::timeout(Duration::from_secs(10), socket.read_to_string(&mut text));
        read.await.expect("torod answers").unwrap();
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    }
    torod.signal(Signal::TERM);
    assert!(torod.ended(PATIENCE).await.success(), "{}", torod.said());
}
