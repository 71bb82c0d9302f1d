//! Providers that answer garbage.

use std::{collections::BTreeMap, io::Write as _, time::Duration};

use tokenrouter::store::{Entry, Outcome};

use crate::{
    client::Reply,
    garbage_cases::{Case, framings, pages, streams},
    hostile_bodies::gzip_bomb,
    process::Torod,
    samples::{CHAT, DONE, STOP, USAGE, delta},
    scripted::{Script, Scripted},
    world::{CONFIG, World, chat_body, eventually, scale},
};

/// The same provider once more, whose streams are not asked for usage.
const PLAIN: &str = r#"
stream_idle_timeout_seconds = 1

[[providers]]
name = "plain"
provider_type = "openai-compatible"
base_url = "{scripted}"
include_usage = false
stream_idle_timeout_seconds = 1
"#;

async fn world(provider: &Scripted) -> World {
    let world = World::start(&format!("{CONFIG}{PLAIN}"), &[("scripted", provider)]).await;
    world.listed("scripted").await;
    world.listed("plain").await;
    world
}

/// Why a reply is not one that a client can read; nothing when it is.
pub fn what_is_wrong(reply: &Reply) -> Option<String> {
    let kind = reply.header("content-type").unwrap_or_default();
    let why = if reply.broken {
        "it broke off"
    } else if reply.header("x-request-id").is_none() {
        "it has no id"
    } else if reply.status == 204 {
        return None;
    } else if reply.status == 200 && kind.starts_with("text/event-stream") {
        return events_are_wrong(reply);
    } else if kind.starts_with("text/html") || reply.status != 200 && kind != "application/json" {
        "its type is not JSON"
    } else if !serde_json::from_slice(&reply.body).is_ok_and(|it: serde_json::Value| it.is_object())
    {
        "it is not a JSON object"
    } else {
        return None;
    };
    Some(format!("{why}: {} {kind} {:.300}", reply.status, reply.text()))
}

/// A stream ends as its protocol says, or with an error event and no `[DONE]`.
fn events_are_wrong(reply: &Reply) -> Option<String> {
    let events = reply.events();
    let done = events.iter().position(|it| it == "[DONE]");
    let is_error = |it: &String| it.starts_with("{\"error\":{\"message\":\"");
    let error = events.iter().position(is_error);
    let last = events.len().wrapping_sub(1);
    let finished = reply.text().contains("\"finish_reason\":\"stop\"");
    let why = match (done, error) {
        (Some(at), _) if at != last => "something follows its end",
        (None, Some(at)) if at != last => "something follows its error",
        (Some(_), Some(_)) => "it ends well and with an error",
        (None, None) if !finished => "it has no end",
        _ => return None,
    };
    Some(format!("{why}: {:.600}", reply.text()))
}

fn gzip(text: &str) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(text.as_bytes()).unwrap();
    writer.finish().unwrap()
}

/// Each case, once whole and once as a stream, of each provider.
async fn play(cases: Vec<Case>, as_whole: bool) -> BTreeMap<String, Vec<Entry>> {
    let scripts: BTreeMap<_, _> = cases.iter().map(|it| (it.0, it.1.clone())).collect();
    let provider = Scripted::start(move |it| scripts[&*it.model()].clone()).await;
    let world = world(&provider).await;
    let (mut wrong, mut count) = (Vec::new(), 0);
    for (name, _, statuses) in &cases {
        for (of, stream) in [("scripted", false), ("scripted", true), ("plain", true)] {
            if !stream && !as_whole {
                continue;
            }
            let body = chat_body(&format!("{of}/{name}"), stream);
            let reply = world.post("/v1/chat/completions", body).await;
            count += 1;
            let why = what_is_wrong(&reply);
            let fits = statuses.contains(&reply.status);
            let status = (!fits).then(|| format!("{} {:.200}", reply.status, reply.text()));
            wrong.extend(why.or(status).map(|it| format!("{of}/{name}, stream: {stream}: {it}")));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let mut by_model = BTreeMap::<_, Vec<_>>::new();
    for entry in world.entries(count).await {
        by_model.entry(entry.requested_model.to_string()).or_default().push(entry);
    }
    for (name, _, statuses) in &cases {
        let entries = &by_model[&format!("scripted/{name}")];
        assert_eq!(entries.len(), 1 + usize::from(as_whole), "{name}");
        assert!(entries.iter().all(|it| statuses.contains(&it.status)), "{name}: {entries:#?}");
        let good = |it: &Entry| it.outcome == Outcome::Ok && it.status < 300;
        let bad = |it: &Entry| matches!(it.outcome, Outcome::UpstreamBroke | Outcome::Refused);
        assert!(entries.iter().all(|it| good(it) || bad(it)), "{name}: {entries:#?}");
    }
    assert_eq!(world.app().counters.in_flight(), 0);
    by_model
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_no_answer_becomes_an_error() {
    play(pages(), true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_whose_framing_lies_becomes_an_error() {
    play(framings(), true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_does_not_end_well_ends_with_an_error() {
    let entries = play(streams(), false).await;
    let outcome = |it: &str| entries[&format!("plain/{it}")][0].outcome;
    for broken in ["sse-no-end", "sse-text", "sse-error", "sse-cut", "sse-hang", "sse-comments"] {
        assert_eq!(outcome(broken), Outcome::UpstreamBroke, "{broken}");
    }
    for whole in ["sse-cr", "sse-crlf", "sse-no-blank-line", "sse-mark", "sse-done-alone"] {
        assert_eq!(outcome(whole), Outcome::Ok, "{whole}");
    }
    let usage = entries["plain/sse-crlf"][0].usage.unwrap();
    assert_eq!((usage.input, usage.output), (3, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_is_packed_unasked_passes_and_is_metered() {
    let packed = gzip(CHAT);
    let kind = ("content-type", "application/json");
    let good = Script::whole(200, &[kind, ("content-encoding", "gzip")], &packed);
    let lie = Script::whole(200, &[kind, ("content-encoding", "gzip")], CHAT);
    let provider = Scripted::in_turn([good, lie]).await;
    let world = World::over(&provider).await;
    let reply = world.chat("scripted/m").await;
    assert_eq!((reply.status, reply.header("content-encoding")), (200, Some("gzip")));
    assert!(reply.body == packed, "the bytes pass as they are");
    let usage = world.entry().await.usage.unwrap();
    assert_eq!((usage.input, usage.output), (3, 2));
    assert_eq!(world.chat("scripted/m").await.status, 200);
    world.entries(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_packed_unasked_passes_and_is_metered() {
    let packed = gzip(&format!("{}{STOP}{USAGE}{DONE}", delta("a")));
    let kind = ("content-type", "text/event-stream");
    let good = Script::whole(200, &[kind, ("content-encoding", "gzip")], &packed);
    let provider = Scripted::always(good).await;
    let world = world(&provider).await;
    for (at, of) in ["scripted", "plain"].into_iter().enumerate() {
        let reply = world.chat_stream(&format!("{of}/m")).await.rest().await;
        assert_eq!((reply.status, reply.header("content-encoding")), (200, Some("gzip")));
        assert!(reply.body == packed, "the bytes pass as they are");
        let entry = world.entries(at + 1).await.remove(at);
        let usage = entry.usage.unwrap();
        assert_eq!((entry.outcome, usage.input, usage.output), (Outcome::Ok, 3, 2), "{of}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_huge_reply_passes_as_it_is() {
    let text = "\u{e9} \\n ".repeat(scale(100) << 17);
    let body = CHAT.replace("Hello", &text);
    let provider = Scripted::always(Script::json(200, &body)).await;
    let world = World::over(&provider).await;
    let reply = world.chat("scripted/m").await;
    assert!(!reply.broken && reply.status == 200 && reply.body == body.as_bytes());
    let usage = world.entry().await.usage.unwrap();
    assert_eq!((usage.input, usage.output), (3, 2), "it is read to its end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_stops_after_its_head_was_passed_is_cut() {
    let kind = ("content-type", "application/json");
    let length = ("content-length", "9999");
    let script = Script::new().head(200, &[kind, length]).bytes(CHAT).hang();
    let provider = Scripted::always(script).await;
    let world = world(&provider).await;
    let reply = world.chat("plain/m").await;
    assert!(reply.broken, "{reply:?}");
    let entry = world.entry().await;
    assert_eq!((entry.status, entry.outcome), (200, Outcome::UpstreamBroke));
    eventually("the provider is dropped", || provider.gone() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_in_usage_is_never_booked() {
    let counts = "-5|1e30|NaN|1e999|\"7\"|null|[1]|{}|true|0.5|-0|18446744073709551615|\
        18446744073709551616|9999999999999999999999999";
    let scripts = counts.split('|').flat_map(|it| {
        let whole = CHAT.replace("\"prompt_tokens\":3", &format!("\"prompt_tokens\":{it}"));
        let usage = USAGE.replace("\"prompt_tokens\":3", &format!("\"prompt_tokens\":{it}"));
        let pieces = [delta("a"), STOP.to_owned(), usage, DONE.to_owned()];
        [Script::json(200, whole), Script::sse(&pieces.each_ref().map(String::as_str))]
    });
    let provider = Scripted::in_turn(scripts).await;
    let world = world(&provider).await;
    let mut wrong = Vec::new();
    for (at, count) in counts.split('|').enumerate() {
        for stream in [false, true] {
            let body = chat_body("plain/m", stream);
            let reply = world.post("/v1/chat/completions", body).await;
            assert_eq!((reply.status, reply.broken), (200, false), "{count}");
            assert!(reply.text().contains(count), "it passes as it is");
            let entries = world.entries(at * 2 + 1 + usize::from(stream)).await;
            let usage = entries.last().unwrap().usage.unwrap_or_default();
            if usage.total() > 1000 {
                wrong.push(format!("{count}: {usage:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(world.get("/v1/status").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_in_a_stream_pass_as_they_are() {
    let giant = format!("data: {{\"x\":\"{}\"}}\n\n", "x".repeat(scale(40) << 20));
    let mut odd = b"data: {\"x\":\"\xff\xfe\xf0\x9f\"}\n\n: \x80\n\n".to_vec();
    odd.extend_from_slice(format!("{STOP}{DONE}").as_bytes());
    let giant = format!("{giant}{}{STOP}{DONE}", delta("b")).into_bytes();
    let script = |bytes: &[u8]| {
        let pieces = bytes.chunks(100_000);
        pieces.fold(Script::sse_head(), Script::chunk).last_chunk()
    };
    let scripts = [script(&odd), script(&odd), script(&giant), script(&giant)];
    let provider = Scripted::in_turn(scripts).await;
    let world = world(&provider).await;
    for (at, (of, wanted)) in
        [("scripted", &odd), ("plain", &odd), ("scripted", &giant), ("plain", &giant)]
            .into_iter()
            .enumerate()
    {
        let reply = world.chat_stream(&format!("{of}/m")).await.rest().await;
        assert!(!reply.broken && reply.body == *wanted, "{of}, {} bytes", wanted.len());
        let entries = world.entries(at + 1).await;
        assert_eq!(entries[at].outcome, Outcome::Ok);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_reply_takes_much_memory() {
    let mb = "x".repeat(1 << 20);
    let line = format!("{:x}\r\n{mb}\r\n", mb.len());
    let endless = |head: Script| head.endless(&line, Duration::ZERO);
    let kind = ("content-type", "application/json");
    let chunked = ("transfer-encoding", "chunked");
    let packed = ("content-encoding", "gzip");
    let scripts = BTreeMap::from([
        ("json", endless(Script::new().head(200, &[kind, chunked]).chunk("{"))),
        ("line", endless(Script::sse_head().chunk("data: "))),
        ("packed", endless(Script::new().head(200, &[kind, chunked, packed]))),
        ("error", endless(Script::new().head(500, &[kind, chunked]))),
        ("bomb", Script::whole(200, &[kind, packed], gzip_bomb())),
        ("head", Script::new().bytes("HTTP/1.1 200 OK\r\nx: ").endless(&mb, Duration::ZERO)),
        ("extension", Script::sse_head().bytes("5;").endless(&mb, Duration::ZERO)),
        (
            "trailers",
            Script::sse_head().bytes("0\r\n").endless("a: b\r\n".repeat(9999), Duration::ZERO),
        ),
        ("hints", Script::new().endless("HTTP/1.1 103 x\r\n\r\n".repeat(9999), Duration::ZERO)),
    ]);
    let names: Vec<_> = scripts.keys().copied().collect();
    let provider = Scripted::start(move |it| scripts[&*it.model()].clone()).await;
    let text = format!("{CONFIG}timeout_seconds = 2\n");
    let torod = Torod::start(&text, &[("scripted", &provider)]).await;
    for name in names {
        for stream in [false, true] {
            let mut reply = torod.chatting(&format!("scripted/{name}"), stream).open().await;
            let mut read = 0;
            while let Some(piece) = reply.piece().await {
                read += piece.len();
                if read > scale(100) << 20 {
                    break; // endless, and the client has had enough
                }
            }
            reply.hang_up().await;
            assert!(torod.peak() < 150, "{name}: {} MB", torod.peak());
        }
    }
    eventually("all connections of providers are closed", || provider.open() <= 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_has_had_enough_ends_an_endless_reply() {
    let line = format!("10000\r\n{}\r\n", " ".repeat(0x1_0000));
    let heads = [("application/json", "{"), ("text/event-stream", "data: x\n\n")];
    for (kind, first) in heads {
        let head = [("content-type", kind), ("transfer-encoding", "chunked")];
        let script = Script::new().head(200, &head).chunk(first).endless(&line, Duration::ZERO);
        let provider = Scripted::always(script).await;
        let world = World::over(&provider).await;
        let mut reply = world.chat_stream("scripted/m").await;
        let mut read = 0;
        while read < 1 << 20 {
            read += reply.piece().await.expect("it is endless").len();
        }
        reply.hang_up().await;
        let entry = world.entry().await;
        assert_eq!((entry.status, entry.outcome), (200, Outcome::ClientGone), "{kind}");
        eventually("the provider is dropped", || provider.gone() == 1).await;
    }
}
