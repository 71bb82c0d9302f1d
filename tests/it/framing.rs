//! Requests whose framing lies.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::AsyncWriteExt as _;

use crate::{
    samples::CHAT,
    scripted::{Script, Scripted},
    wire::{Exchange, answers, exchange},
    world::{CONFIG, KEY, World},
};

/// Every clock of a connection runs out within a second here.
const LIMITS: &str = r"
[limits]
first_byte_timeout_seconds = 1
header_timeout_seconds = 1
body_idle_seconds = 1
";
const LONG: Duration = Duration::from_secs(4);
const BODY: &str = r#"{"model":"scripted/first"}"#;

async fn world() -> (Scripted, World) {
    let provider = Scripted::always(Script::json(200, CHAT)).await;
    let world = World::with(&provider, LIMITS).await;
    (provider, world)
}

/// A chat with these header lines, and what follows its head.
fn post(lines: &str, rest: &str) -> String {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {KEY}\r\n\
         content-type: application/json\r\n{lines}\r\n{rest}"
    )
}

/// The request that must not get through.
fn marked() -> String {
    let body = r#"{"model":"scripted/marked"}"#;
    post(&format!("content-length: {}\r\n", body.len()), body)
}

fn chunk(data: &str) -> String {
    format!("{:x}\r\n{data}\r\n", data.len())
}

/// Framings that two readers understand in two ways; behind each stands the marked request.
fn smuggling() -> Vec<(String, String)> {
    let mut all = Vec::new();
    let mut add = |name: &str, lines: &str, body: &str| {
        all.push((name.to_owned(), post(lines, &format!("{body}{}", marked()))));
    };
    let empty = "0\r\n\r\n";
    let chunked = chunk(BODY) + empty;
    let hidden = chunk(&marked()) + empty;
    let whole = format!("content-length: {}\r\n", empty.len() + marked().len());
    let first_line = format!("content-length: {}\r\n", hidden.find('\n').unwrap() + 1);
    let te = "transfer-encoding: chunked\r\n";
    add("CL+TE", &format!("{whole}{te}"), empty);
    add("TE+CL", &format!("{te}{whole}"), empty);
    add("CL+TE with a body", &format!("{whole}{te}"), &chunked);
    add("TE.CL, hidden in a chunk", &format!("{first_line}{te}"), &hidden);
    add("CL+TE in capitals", &format!("{whole}TRANSFER-ENCODING: CHUNKED\r\n"), empty);
    for value in "xchunked|chunked, identity|identity|\x0bchunked|chunked\"|chunked;q=1".split('|')
    {
        add(
            &format!("TE `{value:?}` and CL"),
            &format!("{whole}transfer-encoding: {value}\r\n"),
            empty,
        );
        add(&format!("TE `{value:?}`"), &format!("transfer-encoding: {value}\r\n"), &chunked);
    }
    add("TE folded", &format!("{whole}transfer-encoding:\r\n chunked\r\n"), empty);
    add("TE with a space", &format!("{whole}transfer-encoding : chunked\r\n"), empty);
    add("TE twice", &format!("{te}transfer-encoding: identity\r\n{whole}"), empty);
    add("TE behind a bare LF", &format!("x: a\ntransfer-encoding: chunked\r\n{whole}"), empty);
    add("TE behind a bare CR", &format!("x: a\rtransfer-encoding: chunked\r\n{whole}"), empty);
    add("CL twice", "content-length: 2\r\ncontent-length: 26\r\n", BODY);
    let lengths = "-1|+26|0x1a|1e1|26 26|26, 2|2;6||\u{ff12}\u{ff16}|26.0|18446744073709551642|\
        99999999999999999999999|900000000000";
    for value in lengths.split('|') {
        add(&format!("CL `{value}`"), &format!("content-length: {value}\r\n"), BODY);
    }
    add("CL with a space", "content-length : 26\r\n", BODY);
    add("CL folded", "x: y\r\n\tcontent-length: 26\r\n", BODY);
    add("CL behind NUL", "x: y\0\r\ncontent-length: 26\r\n", BODY);
    let sizes =
        "zz|-1a|+1a|0x1a||1a 1a|1a,|\u{ff11}a|1a\n|1a\r|10000000000000001a|fffffffffffffffff";
    for size in sizes.split('|') {
        let body = format!("{size}\r\n{BODY}\r\n{empty}");
        add(&format!("chunk size `{size:?}`"), te, &body);
    }
    add("chunk longer than its size", te, &format!("2\r\n{BODY}\r\n{empty}"));
    add("chunk without its line end", te, &format!("1a\r\n{BODY}{empty}"));
    add("chunks end at a bare LF", te, &format!("1a\n{BODY}\n0\n\n"));
    add("endless chunk extension", te, &format!("1a;{}\r\n{BODY}\r\n{empty}", "x".repeat(40_000)));
    add("bare LF in a chunk extension", te, &format!("1a;a\nb\r\n{BODY}\r\n{empty}"));
    add("endless trailers", te, &format!("{}0\r\n{}\r\n", chunk(BODY), "a: b\r\n".repeat(20_000)));
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_smuggled_request_never_reaches_a_provider() {
    let (provider, world) = world().await;
    let cases = smuggling();
    let all = join_all(cases.iter().map(|it| exchange(world.addr, &it.1, LONG))).await;
    for ((name, _), it) in cases.iter().zip(all) {
        assert!(it.closed, "{name}: the connection is still open");
        let replies = answers(&it.bytes).unwrap_or_else(|why| panic!("{name}: {why}"));
        assert!(replies.len() <= 1, "{name}: {replies:#?}");
    }
    for request in provider.requests() {
        assert!(!request.text().contains("marked"), "{}", request.text());
    }
    assert_eq!(world.chat("scripted/after").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_second_request_is_served() {
    let (provider, world) = world().await;
    let first = post("content-length: 26\r\n", BODY);
    let te = post("transfer-encoding: chunked\r\n", &format!("{}0\r\n\r\n", chunk(BODY)));
    for first in [first, te] {
        let it = exchange(world.addr, first + &marked(), Duration::from_millis(800)).await;
        let replies = answers(&it.bytes).unwrap();
        let seen: Vec<_> = replies.iter().map(|it| (it.status, &*it.body)).collect();
        assert_eq!(seen, [(200, CHAT.as_bytes()); 2]);
    }
    assert_eq!(provider.requests().iter().filter(|it| it.model() == "marked").count(), 2);
}

/// Heads that are no heads, or that ask for what torod is not.
fn refused() -> Vec<(&'static str, String)> {
    let get = |lines: &str| format!("GET /healthz HTTP/1.1\r\n{lines}\r\n");
    vec![
        ("no host", get("accept: */*\r\n")),
        ("two hosts", get("host: localhost\r\nhost: localhost\r\n")),
        ("a space before a colon", get("host : localhost\r\n")),
        ("a folded header", get("host: localhost\r\nx: a\r\n b\r\n")),
        ("NUL in a name", get("host: localhost\r\nx\0: a\r\n")),
        ("NUL in a value", get("host: localhost\r\nx: \0\r\n")),
        ("a header without a name", get("host: localhost\r\n: a\r\n")),
        ("a header without a colon", get("host: localhost\r\nx\r\n")),
        ("a bare LF", get("host: localhost\n")),
        ("a bare CR", get("host: localhost\rx: a\r\n")),
        ("bare LFs alone", "GET /healthz HTTP/1.1\nhost: localhost\n\n".to_owned()),
        ("HTTP/0.9", "GET /healthz\r\n\r\n".to_owned()),
        ("HTTP/0.9 with its name", "GET /healthz HTTP/0.9\r\nhost: localhost\r\n\r\n".to_owned()),
        ("HTTP/1.2", "GET /healthz HTTP/1.2\r\nhost: localhost\r\n\r\n".to_owned()),
        ("HTTP/9.9", "GET /healthz HTTP/9.9\r\nhost: localhost\r\n\r\n".to_owned()),
        ("HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_owned()),
        ("TLS", "\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03".to_owned()),
        ("a small method", "get /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned()),
        ("an odd method", "G\u{e9}T /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned()),
        ("two spaces", "GET  /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned()),
        ("a space in a path", "GET /health z HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned()),
        ("no path", "GET HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned()),
        ("a path without a slash", "GET healthz HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned()),
        ("a star", "OPTIONS * HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned()),
        ("CONNECT", "CONNECT localhost:1 HTTP/1.1\r\nhost: localhost:1\r\n\r\n".to_owned()),
        ("TRACE", "TRACE /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned()),
        (
            "another host in the URL",
            "GET http://evil.example/healthz HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned(),
        ),
        ("a scheme", "GET file:///etc/passwd HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned()),
        ("a huge header", get(&format!("host: localhost\r\nx: {}\r\n", "a".repeat(1 << 20)))),
        ("300 headers", get(&format!("host: localhost\r\n{}", "x: a\r\n".repeat(300)))),
        ("a huge path", format!("GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n", "a".repeat(70_000))),
        ("half a head", "GET /healthz HTTP/1.1\r\nhost: local".to_owned()),
        ("line ends alone", "\r\n".repeat(50_000)),
        ("noise", (0..=u8::MAX).cycle().step_by(7).take(4000).map(char::from).collect()),
    ]
}

fn is_refused(name: &str, it: &Exchange) {
    let replies = answers(&it.bytes).unwrap_or_else(|why| panic!("{name}: {why}"));
    for reply in &replies {
        assert!(reply.status >= 400, "{name}: {reply:?}");
    }
    assert!(it.closed || !replies.is_empty(), "{name}: nothing came, and it is still open");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_none_is_refused() {
    let (provider, world) = world().await;
    let cases = refused();
    let all = join_all(cases.iter().map(|it| exchange(world.addr, &it.1, LONG))).await;
    for ((name, _), it) in cases.iter().zip(all) {
        is_refused(name, &it);
    }
    assert_eq!(provider.hits(), 0);
    assert_eq!(world.chat("scripted/after").await.status, 200);
}

/// Without TLS there is HTTP/1.1 alone, whatever a client would rather speak.
#[tokio::test(flavor = "multi_thread")]
async fn no_other_protocol_is_spoken() {
    let (_provider, world) = world().await;
    // The preface of HTTP/2 with its first frame, SETTINGS.
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let it = exchange(world.addr, preface, LONG).await;
    assert!(it.closed, "it waits for more frames");
    let replies = answers(&it.bytes).unwrap_or_else(|why| panic!("no HTTP/1.1: {why}"));
    assert!(replies.iter().all(|it| it.status == 400), "{replies:?}");
    for upgrade in ["h2c", "websocket", "TLS/1.3", "h2c, websocket"] {
        let lines = format!(
            "connection: upgrade, http2-settings\r\nupgrade: {upgrade}\r\n\
             http2-settings: AAMAAABkAAQAAP__\r\ncontent-length: {}\r\n",
            BODY.len()
        );
        let it = exchange(world.addr, post(&lines, BODY) + &marked(), Duration::from_secs(1)).await;
        let replies = answers(&it.bytes).unwrap_or_else(|why| panic!("{upgrade}: {why}"));
        let seen: Vec<_> = replies.iter().map(|it| (it.status, &*it.body)).collect();
        assert_eq!(seen, [(200, CHAT.as_bytes()); 2], "{upgrade}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_host_ends_the_connection() {
    let (provider, world) = world().await;
    let bad = "localhost:4000/#@evil|localhost@evil|evil@localhost|localhost:99999|localhost:abc|\
        local host|localhost,evil|[::1|[zz]:80|::1|localhost/..|localhost?x|localhost#x|\
        \"localhost\"|loc\u{e9}||:80|localhost\\evil|a:b:c|local\thost|http://localhost|\
        %6cocalhost";
    let foreign = "evil.example|127.0.0.1.evil.example|localhost.evil.example|169.254.169.254|\
        0.0.0.0|[::]|128.0.0.1|[fe80::1]|2130706433|host.docker.internal";
    let bad = bad.split('|').map(|it| (it, 400));
    let cases: Vec<_> = bad.chain(foreign.split('|').map(|it| (it, 421))).collect();
    let all = cases.iter().map(|(host, _)| {
        let get = format!("GET /healthz HTTP/1.1\r\nhost: {host}\r\n\r\n{}", marked());
        exchange(world.addr, get, LONG)
    });
    for ((host, wanted), it) in cases.iter().zip(join_all(all).await) {
        let replies = answers(&it.bytes).unwrap_or_else(|why| panic!("`{host}`: {why}"));
        assert!(it.closed, "`{host}`: the connection is still open");
        let statuses: Vec<_> = replies.iter().map(|it| it.status).collect();
        assert_eq!(statuses, [*wanted], "`{host}`");
    }
    assert_eq!(provider.hits(), 0);
    let good = "localhost|LocalHost:1|127.0.0.1|127.9.9.9:80|[::1]:80|a.localhost|localhost.";
    for host in good.split('|') {
        let reply = world.bare("GET", "/healthz").with("host", host).send().await;
        assert_eq!(reply.status, 200, "`{host}`");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_read_alike_however_it_is_cut() {
    let (provider, world) = world().await;
    // Line ends in a body are JSON's own.
    let body = "{\n\"model\": \"scripted/m\",\n\r\n\"x\": [\n1]\n}";
    let text = post(&format!("connection: close\r\ncontent-length: {}\r\n", body.len()), body);
    let addr = world.addr;
    let all = (1..text.len()).map(|at| {
        let (first, second) = text.split_at(at);
        async move {
            let mut socket = tokio::net::TcpStream::connect(addr).await.unwrap();
            socket.set_nodelay(true).unwrap();
            socket.write_all(first.as_bytes()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(30)).await;
            let _ = socket.write_all(second.as_bytes()).await;
            let until = tokio::time::Instant::now() + LONG;
            (at, crate::wire::read_until(&mut socket, until).await.0)
        }
    });
    let mut wrong = Vec::new();
    for (at, bytes) in join_all(all).await {
        let replies = answers(&bytes).unwrap();
        if replies.iter().map(|it| it.status).ne([200]) {
            wrong.push(format!("{at}: {:?}", text.split_at(at)));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let sent = body.replace("scripted/m", "m");
    assert!(provider.requests().iter().all(|it| it.text() == sent));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_is_no_ones_is_not_the_next_ones() {
    let poison = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 15\r\n\r\n{\"poison\":true}";
    let provider = Scripted::always(Script::json(200, CHAT).bytes(poison)).await;
    let world = World::start(CONFIG, &[("scripted", &provider)]).await;
    for _ in 0..50 {
        let reply = world.chat("scripted/m").await;
        assert_eq!((reply.status, reply.text()), (200, CHAT.to_owned()));
    }
}
