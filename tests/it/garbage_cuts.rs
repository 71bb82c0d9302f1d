//! Providers that break off, at each byte of a reply.

use futures_util::{StreamExt as _, stream};

use crate::{
    garbage::what_is_wrong,
    samples::{CHAT, DONE, STOP, USAGE, delta},
    scripted::{Script, Scripted},
    world::{CONFIG, World, chat_body},
};

/// A provider that sends the first bytes of this reply, as many as the model says, and is gone.
async fn cutting(reply: Vec<u8>) -> (Scripted, World) {
    let provider = Scripted::start(move |request| {
        let at: usize = request.model().parse().unwrap();
        let script = Script::new().bytes(&reply[..at]);
        // Half of the time by a reset: what was sent before it may be lost too.
        if at.is_multiple_of(2) || at == reply.len() { script.cut() } else { script.reset() }
    })
    .await;
    let world = World::start(CONFIG, &[("scripted", &provider)]).await;
    (provider, world)
}

/// What comes of a cut at each byte, checked; the count of replies that were whole.
async fn at_each_byte(reply: Vec<u8>, wanted: &str, stream: bool) -> usize {
    let (count, whole) = (reply.len(), wanted);
    let (_provider, world) = cutting(reply).await;
    let asked = (0..=count).map(|at| {
        let body = chat_body(&format!("scripted/{at}"), stream);
        let asked = world.posting("/v1/chat/completions", body);
        async move { (at, asked.send().await) }
    });
    let replies: Vec<_> = stream::iter(asked).buffer_unordered(8).collect().await;
    let (mut wrong, mut good) = (Vec::new(), 0);
    for (at, reply) in replies {
        good += usize::from(reply.text() == whole);
        let fits = match reply.status {
            200 => stream || reply.text() == whole,
            502 => true,
            _ => false,
        };
        let status = (!fits).then(|| format!("{} {}", reply.status, reply.text()));
        wrong.extend(what_is_wrong(&reply).or(status).map(|it| format!("cut at {at}: {it}")));
    }
    let seen = &wrong[..wrong.len().min(5)];
    assert!(wrong.is_empty(), "{} of {count} are wrong: {seen:#?}", wrong.len());
    world.entries(count + 1).await;
    assert_eq!(world.app().counters.in_flight(), 0);
    good
}

const JSON: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn half_a_reply_with_a_length_is_never_passed() {
    let reply = format!("{JSON}content-length: {}\r\n\r\n{CHAT}", CHAT.len());
    assert_eq!(at_each_byte(reply.into(), CHAT, false).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_reply_in_chunks_is_never_passed() {
    let mut reply = format!("{JSON}transfer-encoding: chunked\r\n\r\n");
    for piece in CHAT.as_bytes().chunks(50) {
        reply += &chunk(piece);
    }
    assert_eq!(at_each_byte((reply + "0\r\n\r\n").into(), CHAT, false).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_reply_without_a_length_is_never_passed() {
    // Here an early end looks like the end: what came says by itself that it is not whole.
    let good = at_each_byte(format!("{JSON}\r\n{CHAT}").into(), CHAT, false).await;
    assert!(good <= 1, "{good}");
}

fn events() -> String {
    format!("{}{}{STOP}{USAGE}{DONE}", delta("a \"b\" \u{1f980}"), delta("\n"))
}

fn chunk(piece: &[u8]) -> String {
    format!("{:x}\r\n{}\r\n", piece.len(), String::from_utf8_lossy(piece))
}

const SSE: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn half_a_stream_ends_with_an_error() {
    let mut reply = format!("{SSE}transfer-encoding: chunked\r\n\r\n").into_bytes();
    // Pieces that do not end where events do.
    for piece in events().as_bytes().chunks(70) {
        reply.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        reply.extend_from_slice(piece);
        reply.extend_from_slice(b"\r\n");
    }
    reply.extend_from_slice(b"0\r\n\r\n");
    at_each_byte(reply, &events(), true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_stream_without_a_length_ends_with_an_error() {
    at_each_byte(format!("{SSE}\r\n{}", events()).into(), &events(), true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn half_an_error_keeps_its_status() {
    let error = r#"{"error":{"message":"slow down","type":"x","param":null,"code":null}}"#;
    let length = error.len();
    let reply = format!(
        "HTTP/1.1 429 Slow\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{error}"
    );
    let head = reply.len() - length;
    let (_provider, world) = cutting(reply.clone().into()).await;
    for at in head..=reply.len() {
        let got = world.chat(&format!("scripted/{at}")).await;
        // A reset may overtake the head.
        assert!(got.status == 429 || at % 2 == 1 && got.status == 502, "{at}: {}", got.status);
        assert_eq!(what_is_wrong(&got), None);
    }
}
