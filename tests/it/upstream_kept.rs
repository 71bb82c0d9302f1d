//! Connections to providers that are kept: which are used again, and which never.

use std::time::Duration;

use futures_util::future::join_all;

use crate::{
    samples::{CHAT, DONE, STOP, delta},
    scripted::{Gate, Script, Scripted},
    world::{World, chat_body, within},
};

/// More than a task of tokio may read before it has to let others run.
const MANY: usize = 150;

fn json(status_line: &str, lines: &str, body: &str) -> Script {
    let kind = "content-type: application/json";
    Script::new().bytes(format!("{status_line}\r\n{kind}\r\n{lines}\r\n{body}"))
}

fn sized(lines: &str) -> Script {
    json("HTTP/1.1 200 OK", &format!("content-length: {}\r\n{lines}", CHAT.len()), CHAT)
}

fn chunked(lines: &str, body: &str) -> Script {
    json("HTTP/1.1 200 OK", &format!("transfer-encoding: chunked\r\n{lines}"), body)
}

fn chunk(data: &str) -> String {
    format!("{:x}\r\n{data}\r\n", data.len())
}

/// For each case, a good request, the case, and a good request; whether the case's connection was
/// used for the last one too.
async fn play(cases: Vec<(&'static str, Script, u16)>) -> Vec<(&'static str, bool)> {
    let scripts = cases.clone();
    let provider = Scripted::start(move |request| {
        let model = request.model();
        let script = scripts.iter().find(|it| it.0 == model).map(|it| it.1.clone());
        script.unwrap_or_else(|| Script::json(200, CHAT))
    })
    .await;
    let world = World::over(&provider).await;
    let mut found = Vec::new();
    for (name, _, status) in cases {
        assert_eq!(world.chat("scripted/good").await.text(), CHAT, "before {name}");
        let before = provider.connections();
        let reply = world.chat(&format!("scripted/{name}")).await;
        assert_eq!(reply.status, status, "{name}: {}", reply.text());
        assert_eq!(provider.connections(), before, "{name} has a kept connection");
        if status == 200 {
            assert_eq!(reply.text(), CHAT, "{name}");
        }
        let next = world.chat("scripted/good").await;
        assert_eq!((next.status, next.text()), (200, CHAT.to_owned()), "after {name}");
        found.push((name, provider.connections() == before));
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_whose_reply_is_over_is_used_again() {
    let (one, two) = CHAT.split_at(20);
    let cut = chunk(one) + &chunk(two).replacen("\r\n", ";a=b;c=\"d\"\r\n", 1);
    let heads = "HTTP/1.1 100 Continue\r\n\r\n".repeat(3)
        + "HTTP/1.1 103 Hints\r\nlink: <x>\r\ncontent-length: 9\r\n\r\n";
    let old = format!("connection: keep-alive\r\ncontent-length: {}\r\n", CHAT.len());
    let bytes: String = CHAT.chars().map(|it| chunk(&it.to_string())).collect();
    let cases = vec![
        ("a length", sized(""), 200),
        ("chunks", chunked("", &format!("{cut}0\r\n\r\n")), 200),
        ("a chunk for each byte", chunked("", &format!("{bytes}0\r\n\r\n")), 200),
        ("trailers", chunked("trailer: x\r\n", &format!("{cut}0\r\nx: y\r\nz: \r\n\r\n")), 200),
        ("heads before the head", Script::new().bytes(heads).then(sized("")), 200),
        ("an old one that keeps", json("HTTP/1.0 200 OK", &old, CHAT), 200),
        ("nothing to say", Script::new().head(204, &[]), 204),
        ("an error", Script::json(429, r#"{"error":{"message":"slow down"}}"#), 429),
    ];
    for (name, is_kept) in play(cases).await {
        assert!(is_kept, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_of_which_something_is_odd_is_not_used_again() {
    let close = "connection: x, Close\r\n";
    let length = format!("content-length: {}\r\n", CHAT.len());
    let end = chunk(CHAT) + "0\r\n\r\n";
    let moved = Script::whole(302, &[("location", "/x")], "over there");
    let cases = vec![
        ("it says close", sized(close), 200),
        ("it says close in chunks", chunked(close, &end), 200),
        ("an old one", json("HTTP/1.0 200 OK", &length, CHAT), 200),
        ("two framings", chunked("content-length: 3\r\n", &end), 200),
        ("bytes behind the body", sized("").bytes("x"), 200),
        ("bytes behind the chunks", chunked("", &format!("{end}\r\n")), 200),
        ("a line that is no size", chunked("", &format!("{}\r\n\r\n", chunk(CHAT))), 502),
        ("a size that is none", chunked("", &format!("{}x\r\n", chunk(CHAT))), 502),
        ("a chunk that is longer", chunked("", &format!("1\r\n{CHAT}\r\n0\r\n\r\n")), 502),
        ("a body where none is due", Script::whole(204, &[], "hello"), 204),
        ("a body that nobody reads", moved, 502),
        ("a page that is read in part", Script::html(500, &"x".repeat(4 << 20)), 500),
        ("no head", Script::new().bytes("SSH-2.0-x\r\n"), 502),
        ("another protocol", Script::new().head(101, &[("connection", "upgrade")]), 502),
    ];
    for (name, is_kept) in play(cases).await {
        assert!(!is_kept, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_whose_client_left_in_mid_stream_is_not_used_again() {
    let provider = Scripted::start(|request| match &*request.model() {
        "long" => Script::sse_head().chunk(delta("a")).hang(),
        _ => Script::json(200, CHAT),
    })
    .await;
    let world = World::over(&provider).await;
    let before = provider.connections();
    let mut stream = world.chat_stream("scripted/long").await;
    stream.until(&delta("a")).await;
    stream.hang_up().await;
    within(Duration::from_secs(1), "its connection ends", || provider.gone() == 1).await;
    assert_eq!(world.chat("scripted/m").await.text(), CHAT);
    assert_eq!(provider.connections(), before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_chunks_in_one_packet_come_whole_and_in_order() {
    let events: Vec<_> = (0..5000).map(|it| delta(&format!("{it} "))).collect();
    let all = events.concat() + STOP + DONE;
    let framed = events.iter().map(|it| chunk(it)).collect::<String>() + &chunk(STOP);
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
        transfer-encoding: chunked\r\n\r\n";
    let script = Script::new().bytes(format!("{head}{framed}{}0\r\n\r\n", chunk(DONE)));
    let provider = Scripted::always(script).await;
    let text = crate::world::CONFIG.replace("include_usage = true\n", "");
    let world = World::start(&text, &[("scripted", &provider)]).await;
    for _ in 0..3 {
        let reply = world.chat_stream("scripted/m").await.rest().await;
        assert!(!reply.broken && reply.text() == all, "{:.2000}", reply.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_unasked_is_no_answer() {
    let poison = |body: &str| {
        let length = body.len();
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        )
    };
    let timeout = "HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n".to_owned();
    for unasked in [poison(r#"{"poison":true}"#), timeout, "\r\n".into(), "HTTP/1.1 200 ".into()] {
        let (first, second, said) = (Gate::new(), Gate::new(), Gate::new());
        let late = Script::new()
            .gate(&first)
            .then(Script::json(200, CHAT))
            .gate(&second)
            .bytes(&unasked)
            .open(&said);
        let provider = Scripted::start(move |request| match &*request.model() {
            "late" => late.clone(),
            _ => Script::json(200, CHAT),
        })
        .await;
        let world = World::over(&provider).await;
        let replies = join_all((0..MANY).map(|_| world.chat("scripted/late")));
        let gates = async {
            within(Duration::from_secs(10), "all ask", || provider.hits() == MANY).await;
            (0..MANY).for_each(|_| first.open());
        };
        let (replies, ()) = tokio::join!(replies, gates);
        assert!(replies.iter().all(|it| it.text() == CHAT));
        for _ in 0..MANY {
            second.open();
            said.pass().await;
        }
        let before = provider.connections();
        for _ in 0..3 {
            let reply = world.chat("scripted/m").await;
            assert_eq!((reply.status, reply.text()), (200, CHAT.to_owned()), "{unasked:?}");
        }
        assert_eq!(provider.connections(), before + 1, "{unasked:?}");
    }
}

/// How a provider meets a request, and what comes of it: the status, and how often it was asked.
async fn met(first: Script, second: Script) -> (u16, usize) {
    let provider = Scripted::in_turn([first, second, Script::json(200, CHAT)]).await;
    let world = World::over(&provider).await;
    assert_eq!(world.chat("scripted/m").await.status, 200);
    (world.chat("scripted/m").await.status, provider.hits() - 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_crosses_the_hanging_up_is_sent_again_and_no_other() {
    let late = Duration::from_millis(1300);
    for (name, first, second, wanted) in [
        ("ended", sized(""), Script::new().cut(), (200, 2)),
        ("reset", sized(""), Script::new().reset(), (200, 2)),
        ("a fresh one ended", sized("connection: close\r\n"), Script::new().cut(), (502, 1)),
        ("a fresh one reset", sized("connection: close\r\n"), Script::new().reset(), (502, 1)),
        ("it had begun", sized(""), Script::new().bytes("HTTP/1.1 2").cut(), (502, 1)),
        ("it had announced", sized(""), Script::new().head(100, &[]).cut(), (502, 1)),
        ("it had thought", sized(""), Script::new().pause(late).cut(), (502, 1)),
    ] {
        assert_eq!(met(first, second).await, wanted, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_starts_anew_costs_no_request() {
    let (first, second) = (Gate::new(), Gate::new());
    let once = Script::new().gate(&first).then(Script::json(200, CHAT)).gate(&second);
    for last in [once.clone().cut(), once.reset()] {
        let provider = Scripted::start(move |request| match &*request.model() {
            "once" => last.clone(),
            _ => Script::json(200, CHAT),
        })
        .await;
        let world = World::over(&provider).await;
        let bodies = (0..MANY).map(|_| chat_body("scripted/once", false));
        let replies = join_all(bodies.map(|it| world.post("/v1/chat/completions", it)));
        let gates = async {
            within(Duration::from_secs(10), "all ask", || provider.hits() == MANY).await;
            (0..MANY).for_each(|_| first.open());
        };
        let (replies, ()) = tokio::join!(replies, gates);
        assert!(replies.iter().all(|it| it.text() == CHAT));
        let open = provider.open();
        (0..MANY).for_each(|_| second.open());
        within(Duration::from_secs(10), "all end", || provider.open() + MANY <= open).await;
        for reply in join_all((0..20).map(|_| world.chat("scripted/m"))).await {
            assert_eq!((reply.status, reply.text()), (200, CHAT.to_owned()));
        }
    }
}
