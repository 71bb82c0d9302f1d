//! A stop waits for what runs.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::{
    client::{PATIENCE, Stream},
    process::{Torod, directory, program},
    samples::{CHAT, DONE, MESSAGE_START, RESPONSE_CREATED, STOP, delta},
    scripted::{Gate, Script, Scripted},
    wire::{answers, read_until},
    world::{CONFIG, eventually},
};

/// A second, and what a busy machine adds to it.
const SOON: Duration = Duration::from_secs(3);

/// A stream that waits at the gate before it ends.
fn gated(gate: &Gate) -> Script {
    let script = Script::sse_head().chunk(delta("a")).gate(gate);
    script.chunk(delta("b")).chunk(STOP).chunk(DONE).last_chunk()
}

async fn running(provider: &Scripted, seconds: u64) -> Torod {
    let text = CONFIG.replace("shutdown_seconds = 5", &format!("shutdown_seconds = {seconds}"));
    Torod::start(&text, &[("scripted", provider)]).await
}

async fn begun(torod: &Torod) -> Stream {
    let mut stream = torod.chatting("scripted/m", true).open().await;
    stream.until("\"a\"").await;
    stream
}

/// Nobody gets in any more.
async fn is_closed(torod: &Torod) {
    let start = Instant::now();
    while TcpStream::connect(torod.addr).await.is_ok() {
        assert!(start.elapsed() < SOON, "new connections are still accepted");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_a_stream_finish() {
    for signal in [Signal::TERM, Signal::INT] {
        let gate = Gate::new();
        let provider = Scripted::always(gated(&gate)).await;
        let mut torod = running(&provider, 30).await;
        let stream = begun(&torod).await;
        torod.signal(signal);
        is_closed(&torod).await;
        gate.open();
        let reply = stream.rest().await;
        assert!(!reply.broken);
        assert_eq!(reply.events().last().unwrap(), "[DONE]");
        assert!(reply.text().contains("\"b\""), "{}", reply.text());
        // It does not wait for the rest of the time.
        let status = torod.ended(SOON).await;
        assert_eq!(status.code(), Some(0), "{signal:?}: {}", torod.said());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_connections_without_a_request() {
    let provider = Scripted::always(Script::json(200, CHAT)).await;
    let whole = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut wrong = Vec::new();
    for (name, said) in [
        ("none", None),
        ("silent", Some("")),
        ("half a head", Some(&whole[..30])),
        ("idle", Some(whole)),
    ] {
        let mut torod = running(&provider, 30).await;
        let mut socket = TcpStream::connect(torod.addr).await.unwrap();
        if let Some(said) = said {
            socket.write_all(said.as_bytes()).await.unwrap();
        } else {
            drop(socket.shutdown().await);
        }
        if said == Some(whole) {
            socket.readable().await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        let start = Instant::now();
        torod.signal(Signal::TERM);
        let status = torod.ended(PATIENCE).await;
        if start.elapsed() > SOON || status.code() != Some(0) {
            wrong.push(format!("{name}: {status} after {:?}", start.elapsed()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_too_long_ends_with_an_error() {
    let provider = Scripted::start(|request| {
        let first = match &*request.path {
            "/v1/messages" => MESSAGE_START.to_owned(),
            "/v1/responses" => RESPONSE_CREATED.to_owned(),
            _ => delta("a"),
        };
        Script::sse_head().chunk(first).hang()
    })
    .await;
    let claude = "[[providers]]\nname = \"claude\"\nprovider_type = \"anthropic\"\n\
                  base_url = \"{scripted}\"\napi_key = \"k\"\n";
    let text = CONFIG.replace("shutdown_seconds = 5", "shutdown_seconds = 1") + claude;
    let mut torod = Torod::start(&text, &[("scripted", &provider)]).await;
    let mut streams = Vec::new();
    for (path, model) in [
        ("/v1/chat/completions", "scripted/m"),
        ("/v1/messages", "claude/m"),
        ("/v1/responses", "scripted/m"),
    ] {
        let body = format!(
            r#"{{"model":"{model}","stream":true,"max_tokens":9,"messages":[],"input":"x"}}"#
        );
        let mut stream = torod.posting(path, body).open().await;
        assert_eq!(stream.status, 200, "{path}");
        stream.piece().await.unwrap();
        streams.push((path, stream));
    }
    let start = Instant::now();
    torod.signal(Signal::TERM);
    for (path, stream) in streams {
        let reply = stream.rest().await;
        assert!(!reply.broken, "{path}: it ends as HTTP says");
        let text = reply.text();
        assert!(!text.contains("[DONE]") && !text.contains("message_stop"), "{path}: {text}");
        let last = reply.events().pop().unwrap_or_default();
        let event: serde_json::Value = serde_json::from_str(&last).unwrap();
        let message = match path {
            "/v1/responses" => &event["response"]["error"]["message"],
            _ => &event["error"]["message"],
        };
        assert!(message.is_string(), "{path}: {event}");
        assert!(message.as_str().unwrap().contains("shut"), "{path}: it says why: {event}");
    }
    assert!(start.elapsed() >= Duration::from_secs(1), "they have their time");
    let status = torod.ended(SOON).await;
    assert_eq!(status.code(), Some(0), "{}", torod.said());
    eventually("providers are dropped", || provider.gone() == 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_a_busy_stream_nor_a_client_that_does_not_read_holds_up_the_end() {
    let event = delta(&"x".repeat(4000));
    let chunk = format!("{:x}\r\n{event}\r\n", event.len());
    let busy = Script::sse_head().endless(chunk.repeat(20), Duration::ZERO);
    let provider = Scripted::always(busy).await;
    let mut torod = running(&provider, 1).await;
    let mut deaf = torod.chatting("scripted/m", true).open().await;
    deaf.until("xxx").await;
    let mut reader = torod.chatting("scripted/m", true).open().await;
    let reading = tokio::spawn(async move {
        let (mut last, mut read) = (Vec::new(), 0);
        while let Some(piece) = reader.piece().await {
            read += piece.len();
            last = piece;
        }
        (reader.broken, read, String::from_utf8_lossy(&last).into_owned())
    });
    let start = Instant::now();
    torod.signal(Signal::TERM);
    let status = torod.ended(Duration::from_secs(8)).await;
    assert_eq!(status.code(), Some(0), "{}", torod.said());
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
    let (broken, read, last) = reading.await.unwrap();
    assert!(!broken && last.contains("\"error\""), "after {read} bytes, {broken}: {last:.300}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_not_answered_in_time_is_told_so() {
    let provider = Scripted::always(Script::new().hang()).await;
    let mut torod = running(&provider, 1).await;
    let body = crate::world::chat_body("scripted/m", false);
    let mut socket = TcpStream::connect(torod.addr).await.unwrap();
    let bytes = torod.posting("/v1/chat/completions", body).bytes();
    socket.write_all(&bytes).await.unwrap();
    eventually("it is asked", || provider.hits() == 1).await;
    torod.signal(Signal::TERM);
    let until = tokio::time::Instant::now() + Duration::from_secs(5);
    let (bytes, closed) = read_until(&mut socket, until).await;
    assert!(closed);
    let replies = answers(&bytes).unwrap();
    assert!(matches!(replies.as_slice(), [it] if it.status >= 500), "{replies:?}");
    assert_eq!(torod.ended(SOON).await.code(), Some(0), "{}", torod.said());
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_during_a_stop_hears_that_it_is_not_ready() {
    let gate = Gate::new();
    let provider = Scripted::always(gated(&gate)).await;
    let mut torod = running(&provider, 30).await;
    let stream = begun(&torod).await;
    let mut kept = TcpStream::connect(torod.addr).await.unwrap();
    let ask = b"GET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    kept.write_all(ask).await.unwrap();
    kept.readable().await.unwrap();
    torod.signal(Signal::TERM);
    is_closed(&torod).await;
    // A connection from before hears 503, or is closed; it is never told that all is well.
    let _ = kept.write_all(ask).await;
    let until = tokio::time::Instant::now() + SOON;
    let (bytes, closed) = read_until(&mut kept, until).await;
    assert!(closed);
    let statuses: Vec<_> = answers(&bytes).unwrap().iter().map(|it| it.status).collect();
    assert!(matches!(statuses.as_slice(), [200] | [200, 503]), "{statuses:?}");
    gate.open();
    assert_eq!(stream.rest().await.events().last().unwrap(), "[DONE]");
    assert_eq!(torod.ended(SOON).await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_at_once() {
    for (first, second) in [(Signal::TERM, Signal::TERM), (Signal::INT, Signal::INT)] {
        let provider = Scripted::always(gated(&Gate::new())).await;
        let mut torod = running(&provider, 60).await;
        let stream = begun(&torod).await;
        torod.signal(first);
        is_closed(&torod).await;
        torod.signal(second);
        torod.ended(SOON).await;
        let reply = stream.rest().await;
        assert!(!reply.text().contains("[DONE]"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_taken_ends_the_start() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let provider = Scripted::always(Script::json(200, CHAT)).await;
    for (listen, wanted) in [
        (format!("\"{addr}\""), &*addr),
        (format!("[\"127.0.0.1:0\", \"{addr}\"]"), &addr),
        ("\"192.0.2.1:0\"".to_owned(), "192.0.2.1"),
        ("\"unix:/nowhere/torod.sock\"".to_owned(), "/nowhere/torod.sock"),
    ] {
        let text = CONFIG.replace("\"127.0.0.1:0\"", &listen);
        let dir = directory(&text, &[("scripted", &provider)]);
        let command = program(&dir);
        let mut torod = Torod::launch(dir, command);
        assert_eq!(torod.ended(PATIENCE).await.code(), Some(1), "{}", torod.said());
        torod.says(wanted).await;
        torod.says("`listen_addr`").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torod_that_was_killed_starts_again() {
    let provider = Scripted::always(Script::json(200, CHAT)).await;
    let socket = "listen_addr = [\"127.0.0.1:0\", \"unix:{dir}/torod.sock\"]";
    let dir = directory(CONFIG, &[("scripted", &provider)]);
    let path = dir.path().join("torod.toml");
    let socket = socket.replace("{dir}", dir.path().to_str().unwrap());
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("listen_addr = \"127.0.0.1:0\"", &socket)).unwrap();
    let command = program(&dir);
    let mut torod = Torod::launch(dir, command).listens().await;
    torod.signal(Signal::KILL);
    torod.ended(PATIENCE).await;
    // What it left behind, its sockets above all, is in nobody's way.
    let again = program(&torod.dir);
    let again = Torod::launch(tempfile::tempdir().unwrap(), again).listens().await;
    assert_eq!(again.chat("scripted/m").await.status, 200);
    assert!(std::os::unix::net::UnixStream::connect(torod.dir.path().join("torod.sock")).is_ok());
}
