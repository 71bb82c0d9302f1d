//! Clients that take their time, and clients that are many.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{sleep, timeout},
};

use crate::{
    client::PATIENCE,
    process::{Torod, directory, program_after},
    samples::CHAT,
    scripted::{Script, Scripted},
    wire::read_until,
    world::{CONFIG, KEY, World, chat_body, eventually, scale, within},
};

/// Every clock of a connection runs out within a second here.
const SHORT: &str = "[limits]\nfirst_byte_timeout_seconds = 1\nheader_timeout_seconds = 1\n\
    body_idle_seconds = 1\n";
/// A second, and what a busy machine adds to it.
const CUT: Duration = Duration::from_secs(4);
/// A request of a good client takes no longer, on a busy machine too.
const FAST: Duration = Duration::from_secs(1);

async fn world(limits: &str) -> (Scripted, World) {
    let provider = Scripted::always(Script::json(200, CHAT)).await;
    let world = World::with(&provider, limits).await;
    (provider, world)
}

/// The time that all but one in a hundred good requests stay below.
async fn p99(world: &World, count: usize) -> Duration {
    let mut times = Vec::new();
    for _ in 0..count {
        let start = Instant::now();
        assert_eq!(world.chat("scripted/m").await.status, 200);
        times.push(start.elapsed());
    }
    times.sort_unstable();
    times[times.len() * 99 / 100]
}

fn post(lines: &str, body: &str) -> String {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n\
         authorization: Bearer {KEY}\r\n{lines}\r\n{body}"
    )
}

/// Sends the first part, then the second piece by piece, until torod has had enough; how long
/// that took.
async fn drip(world: &World, first: &str, piece: &str) -> Duration {
    let mut socket = world.connect().await;
    let start = Instant::now();
    socket.write_all(first.as_bytes()).await.unwrap();
    let (mut read, mut write) = socket.split();
    let dripping = async {
        loop {
            sleep(Duration::from_millis(150)).await;
            if piece.is_empty() || write.write_all(piece.as_bytes()).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let reading = async {
        let mut buffer = [0; 4096];
        while matches!(read.read(&mut buffer).await, Ok(1..)) {}
    };
    tokio::select! {
        () = dripping => {}
        read = timeout(PATIENCE, reading) => read.expect("it is cut in the end"),
    }
    start.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_its_time_is_cut() {
    let (_provider, world) = world(SHORT).await;
    let half = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n";
    let body = "content-length: 1000\r\n";
    let chunked = "transfer-encoding: chunked\r\n";
    let cases = [
        ("silence", String::new(), ""),
        ("half a head", half.to_owned(), ""),
        ("a head header by header", half.to_owned(), "x: y\r\n"),
        ("a head byte by byte", half.to_owned(), "x"),
        ("line ends alone", String::new(), "\r\n"),
        ("no body", post(body, ""), ""),
        ("half a body", post(body, "{\"model\":"), ""),
        ("a body byte by byte", post(body, "{\"model\":"), " "),
        ("a chunk that does not come", post(chunked, "ff\r\n"), ""),
        ("a body chunk by chunk", post(chunked, ""), "1\r\n \r\n"),
        ("a size that does not end", post(chunked, ""), "0"),
        (
            "a body that nobody reads",
            "GET /healthz HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n\r\n".to_owned(),
            "",
        ),
    ];
    let all = join_all(cases.iter().map(|(_, first, piece)| drip(&world, first, piece))).await;
    for ((name, ..), took) in cases.iter().zip(all) {
        assert!(took < CUT, "{name}: {took:?}");
    }
    assert_eq!(world.chat("scripted/m").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_sockets_do_not_slow_the_good_ones() {
    let (_provider, world) = world("").await;
    let alone = p99(&world, 50).await;
    let half = b"POST /v1/chat/completions HTTP/1.1\r\nhost: local";
    let idle = join_all((0..scale(1000)).map(|at| {
        let world = &world;
        async move {
            let mut socket = world.connect().await;
            // A third says nothing, a third half a head, a third half a body.
            let text = post("content-length: 99\r\n", "{");
            let said: &[u8] = [&b""[..], half, text.as_bytes()][at % 3];
            socket.write_all(said).await.unwrap();
            socket
        }
    }))
    .await;
    let beside = p99(&world, 200).await;
    assert!(beside < FAST, "{beside:?} beside {} idle sockets, {alone:?} alone", idle.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_holds_up_nobody() {
    let line = format!("data: {{\"x\":\"{}\"}}\n\n", "x".repeat(64 * 1024));
    let endless = Script::sse_head()
        .endless(format!("{:x}\r\n{line}\r\n", line.len()), Duration::from_millis(1));
    let provider = Scripted::start(move |request| {
        if request.model() == "endless" { endless.clone() } else { Script::json(200, CHAT) }
    })
    .await;
    let torod = Torod::start(CONFIG, &[("scripted", &provider)]).await;
    let body = chat_body("scripted/endless", true);
    let text = post(&format!("content-length: {}\r\n", body.len()), &body);
    let mut deaf = Vec::new();
    for _ in 0..8 {
        let mut socket = TcpStream::connect(torod.addr).await.unwrap();
        socket.write_all(text.as_bytes()).await.unwrap();
        deaf.push(socket);
    }
    eventually("all are served", || provider.hits() == deaf.len()).await;
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(2) {
        let asked = Instant::now();
        assert_eq!(torod.chat("scripted/m").await.status, 200);
        assert!(asked.elapsed() < FAST, "{:?}", asked.elapsed());
        sleep(Duration::from_millis(20)).await;
    }
    // What is not read is not fetched, so memory stays where it is.
    assert!(torod.peak() < 150, "{} MB", torod.peak());
    drop(deaf);
    within(CUT, "their providers are dropped", || provider.gone() == 8).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_reads_is_cut_after_a_minute() {
    if scale(10) < 10 {
        return; // it takes more than a minute
    }
    let endless = Script::sse_head().endless("5\r\n: x\n\n\r\n".repeat(4000), Duration::ZERO);
    let provider = Scripted::always(endless).await;
    let world = World::over(&provider).await;
    let body = chat_body("scripted/m", true);
    let mut deaf = world.connect().await;
    let text = post(&format!("content-length: {}\r\n", body.len()), &body);
    deaf.write_all(text.as_bytes()).await.unwrap();
    within(Duration::from_secs(75), "it is cut", || provider.gone() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_over_the_cap_wait_and_none_is_lost() {
    let (_provider, world) = world("[limits]\nmax_connections = 8\n").await;
    let get = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut held = Vec::new();
    for _ in 0..8 {
        let mut socket = world.connect().await;
        socket.write_all(get.as_bytes()).await.unwrap();
        assert!(socket.read(&mut [0; 1024]).await.unwrap() > 0);
        held.push(socket);
    }
    let mut late = Vec::new();
    for _ in 0..8 {
        let mut socket = world.connect().await;
        socket.write_all(get.as_bytes()).await.unwrap();
        late.push(socket);
    }
    let until = tokio::time::Instant::now() + Duration::from_millis(300);
    for socket in &mut late {
        let (bytes, _) = read_until(socket, until).await;
        assert!(bytes.is_empty(), "{}", String::from_utf8_lossy(&bytes));
    }
    // Those that are in are served all the same.
    held[0].write_all(get.as_bytes()).await.unwrap();
    assert!(held[0].read(&mut [0; 1024]).await.unwrap() > 0);
    drop(held);
    for mut socket in late {
        let read = timeout(Duration::from_secs(5), socket.read(&mut [0; 1024])).await;
        assert!(read.expect("it is served when there is room").unwrap() > 0);
    }
    assert_eq!(world.chat("scripted/m").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_table_of_files_is_waited_out() {
    let provider = Scripted::always(Script::json(200, CHAT)).await;
    let dir = directory(CONFIG, &[("scripted", &provider)]);
    let command = program_after(&dir, "ulimit -n 96");
    let mut torod = Torod::launch(dir, command).listens().await;
    for round in 0..2 {
        let many = join_all((0..200).map(|_| TcpStream::connect(torod.addr))).await;
        let many: Vec<_> = many.into_iter().filter_map(Result::ok).collect();
        assert!(many.len() > 96, "{}", many.len());
        sleep(Duration::from_millis(300)).await;
        let before = torod.cpu();
        sleep(Duration::from_secs(1)).await;
        let spent = torod.cpu() - before;
        assert!(spent < 50, "{spent} % of a processor for nothing in round {round}");
        assert!(torod.files() <= 96);
        drop(many);
        let start = Instant::now();
        assert_eq!(torod.chat("scripted/m").await.status, 200, "round {round}");
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    }
    torod.signal(rustix::process::Signal::TERM);
    assert!(torod.ended(PATIENCE).await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_table_of_files_still_lets_requests_reach_providers() {
    let provider = Scripted::always(Script::json(200, CHAT)).await;
    let dir = directory(CONFIG, &[("scripted", &provider)]);
    let command = program_after(&dir, "ulimit -n 96");
    let torod = Torod::launch(dir, command).listens().await;
    // As many at once as there may be, and each needs a provider's connection too.
    let all = join_all((0..200).map(|_| torod.chat("scripted/m"))).await;
    for reply in all {
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
}
