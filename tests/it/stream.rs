//! Streams pass as they come, end as their protocol says, and end upstream when the client leaves.

use std::time::{Duration, Instant};

use tokenrouter::store::Outcome;

use crate::{
    samples::{
        CHAT, DONE, GEMINI_END, GEMINI_PART, MESSAGE_END, MESSAGE_START, RESPONSE_COMPLETED,
        RESPONSE_CREATED, STOP, USAGE, delta,
    },
    scripted::{Gate, Script, Scripted},
    world::{CONFIG, World, chat_body, within},
};

const CHAT_PATH: &str = "/v1/chat/completions";

/// One provider a protocol beside `scripted`, all of them `{scripted}`.
const PROTOCOLS: &str = r#"
[[providers]]
name = "claude"
provider_type = "anthropic"
base_url = "{scripted}"
api_key = "up-secret"

[[providers]]
name = "google"
provider_type = "gemini"
base_url = "{scripted}"
api_key = "up-secret"
"#;

/// A path, a request, and the first and last words of an answer in each protocol.
const FAMILIES: [(&str, &str, &str, &str); 4] = [
    (CHAT_PATH, r#"{"model":"scripted/m","stream":true}"#, "first", STOP),
    (
        "/v1/responses",
        r#"{"model":"scripted/m","stream":true}"#,
        RESPONSE_CREATED,
        RESPONSE_COMPLETED,
    ),
    ("/v1/messages", r#"{"model":"claude/m","stream":true}"#, MESSAGE_START, MESSAGE_END),
    (
        "/v1beta/models/google%2Fm:streamGenerateContent?alt=sse",
        r#"{"contents":[]}"#,
        GEMINI_PART,
        GEMINI_END,
    ),
];

fn first_of(text: &str) -> String {
    if text == "first" { delta("first") } else { text.to_owned() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_piece_passes_while_the_next_is_still_held() {
    for (path, body, first, last) in FAMILIES {
        let gate = Gate::new();
        let script = Script::sse_head().chunk(first_of(first)).gate(&gate).chunk(last).last_chunk();
        let provider = Scripted::always(script).await;
        let world = World::with(&provider, PROTOCOLS).await;
        let mut stream = world.posting(path, body).open().await;
        assert_eq!(stream.status, 200, "{path}");
        assert_eq!(stream.header("content-type"), Some("text/event-stream"), "{path}");
        assert_eq!(stream.header("content-length"), None, "{path}");
        let got = stream.until(&first_of(first)).await;
        assert_eq!(got, first_of(first), "{path}: all of it, and nothing else");
        assert_eq!(world.app().ledger.totals().requests, 0, "{path}: it still runs");
        gate.open();
        let rest = stream.rest().await;
        assert_eq!((rest.text().as_str(), rest.broken), (last, false), "{path}");
        let entry = world.entry().await;
        assert_eq!((entry.outcome, entry.stream, entry.status), (Outcome::Ok, true, 200), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_of_each_protocol_is_metered() {
    let chat = format!("{STOP}{USAGE}{DONE}");
    let messages = format!("{MESSAGE_START}{MESSAGE_END}");
    let responses = format!("{RESPONSE_CREATED}{RESPONSE_COMPLETED}");
    let gemini = format!("{GEMINI_PART}{GEMINI_END}");
    let answers = [(chat, 3, 2), (responses, 3, 4), (messages, 10, 7), (gemini, 5, 6)];
    for ((path, body, ..), (answer, input, output)) in FAMILIES.into_iter().zip(answers) {
        // Cut at every seventh byte: the network owes nobody whole events.
        let pieces: Vec<_> = answer.as_bytes().chunks(7).map(String::from_utf8_lossy).collect();
        let pieces: Vec<&str> = pieces.iter().map(AsRef::as_ref).collect();
        let provider = Scripted::always(Script::sse(&pieces)).await;
        let world = World::with(&provider, PROTOCOLS).await;
        let reply = world.post(path, body).await;
        assert_eq!((reply.status, reply.broken), (200, false), "{path}");
        let entry = world.entry().await;
        let usage = entry.usage.unwrap();
        assert_eq!((usage.prompt(), usage.completion()), (input, output), "{path}");
        assert!(!entry.estimated, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_that_torod_asked_for_is_metered_and_taken_out() {
    let event = |usage: &str| format!("data: {{\"id\":\"c1\",\"choices\":[{{}}]{usage}}}\n\n");
    let with = [&event(",\"usage\":null"), STOP, USAGE, DONE];
    let provider = Scripted::always(Script::sse(&with)).await;
    let world = World::over(&provider).await;
    let reply = world.post(CHAT_PATH, r#"{"model":"scripted/m","stream":true} "#).await;
    assert_eq!(reply.text(), format!("{}{STOP}{DONE}", event("")));
    let asked = r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}} "#;
    assert_eq!(provider.last().text(), asked);
    let usage = world.entry().await.usage.unwrap();
    assert_eq!((usage.input, usage.output), (3, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_against_usage_is_turned_around_unseen() {
    let provider = Scripted::always(Script::sse(&[STOP, USAGE, DONE])).await;
    let world = World::over(&provider).await;
    let body = |wish: &str| format!(r#"{{"model":"m","stream_options":{{{wish}}},"stream":true}}"#);
    for (sent, passed) in [
        (r#""include_usage":false"#, r#""include_usage":true"#),
        ("", r#""include_usage":true"#),
        (r#""x":1"#, r#""include_usage":true,"x":1"#),
    ] {
        let reply = world.post(CHAT_PATH, body(sent)).await;
        assert_eq!(reply.text(), format!("{STOP}{DONE}"), "{sent}");
        assert_eq!(provider.last().text(), body(passed));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_that_the_client_asked_for_passes() {
    let provider = Scripted::always(Script::sse(&[&delta("a"), STOP, USAGE, DONE])).await;
    let world = World::over(&provider).await;
    let body = r#"{"stream":true,"stream_options":{ "include_usage" : true },"model":"m"}"#;
    let reply = world.post(CHAT_PATH, body).await;
    assert_eq!(reply.text(), format!("{}{STOP}{USAGE}{DONE}", delta("a")));
    assert_eq!(provider.last().text(), body);
    assert_eq!(world.entry().await.usage.map(|it| it.input), Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_does_not_take_the_wish_is_not_asked() {
    let provider = Scripted::always(Script::sse(&[&delta("a"), &delta("b"), STOP, DONE])).await;
    let text = CONFIG.replace("include_usage = true", "");
    let world = World::start(&text, &[("scripted", &provider)]).await;
    let body = r#"{"model":"m","stream":true}"#;
    assert_eq!(world.post(CHAT_PATH, body).await.status, 200);
    assert_eq!(provider.last().text(), body);
    let entry = world.entry().await;
    assert!(entry.estimated && entry.usage.is_some(), "a guess says that it is one: {entry:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_in_mid_stream_becomes_an_error_event() {
    for (path, body, first, _) in FAMILIES {
        let gate = Gate::new();
        let start = Script::sse_head().chunk(first_of(first)).gate(&gate);
        let torn = start.clone().bytes("40\r\ndata: {\"half\":").cut();
        for (how, script) in [
            ("cut", start.clone().cut()),
            ("reset", start.clone().reset()),
            ("ended", start.clone().last_chunk()),
            ("bad chunk", start.clone().bytes("zz\r\n")),
            ("torn event", torn),
        ] {
            let provider = Scripted::always(script).await;
            let world = World::with(&provider, PROTOCOLS).await;
            let mut stream = world.posting(path, body).open().await;
            assert_eq!(stream.status, 200, "{path}, {how}");
            stream.until(first_of(first).trim_end()).await;
            gate.open();
            let rest = stream.rest().await;
            let text = rest.text();
            assert!(!rest.broken && !text.contains("[DONE]"), "{path}, {how}: {text}");
            assert_last_event_is_error(path, &rest.events());
            let entry = world.entry().await;
            assert_eq!(
                (entry.outcome, entry.attempts),
                (Outcome::UpstreamBroke, 1),
                "{path}, {how}"
            );
        }
    }
}

/// The last `data:` is an error in the protocol of the path.
fn assert_last_event_is_error(path: &str, events: &[String]) {
    let last: serde_json::Value = serde_json::from_str(events.last().unwrap()).unwrap();
    match path {
        "/v1/messages" => {
            assert_eq!(
                (&last["type"], &last["error"]["type"]),
                (&"error".into(), &"api_error".into())
            );
        }
        "/v1/responses" => {
            assert_eq!(last["type"], "response.failed", "{last}");
            assert_eq!(last["response"]["id"], "resp_1", "{last}");
            assert_eq!(
                (&last["response"]["status"], &last["sequence_number"]),
                (&"failed".into(), &1.into())
            );
        }
        CHAT_PATH => assert_eq!(last["error"]["code"], "upstream_broke", "{last}"),
        _ => assert!(last["error"]["status"].is_string(), "{last}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_event_does_not_swallow_the_error() {
    let gate = Gate::new();
    let script = Script::sse_head().chunk("data: {\"choi").gate(&gate).cut();
    let provider = Scripted::always(script).await;
    let text = CONFIG.replace("include_usage = true", "");
    let world = World::start(&text, &[("scripted", &provider)]).await;
    let mut stream = world.chat_stream("m").await;
    stream.until("choi").await;
    gate.open();
    let rest = stream.rest().await.text();
    let event = rest.trim_start_matches('\n');
    assert!(rest.len() > event.len() && event.starts_with("data: {\"error\""), "{rest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_event_of_the_provider_is_its_own_end() {
    let error = "data: {\"error\":{\"message\":\"overloaded\",\"code\":503}}\n\n";
    let provider = Scripted::always(Script::sse(&[&delta("a"), error])).await;
    let world = World::over(&provider).await;
    let reply = world.chat_stream("m").await.rest().await;
    assert_eq!(reply.text(), delta("a") + error, "no second error");
    assert_eq!(world.entry().await.outcome, Outcome::UpstreamBroke);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_may_end_without_its_last_line_when_it_is_complete() {
    let provider = Scripted::always(Script::sse(&[&delta("a"), STOP])).await;
    let world = World::over(&provider).await;
    let reply = world.chat_stream("m").await.rest().await;
    assert_eq!(reply.text(), delta("a") + STOP);
    assert_eq!(world.entry().await.outcome, Outcome::Ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_takes_the_stream_with_it() {
    let endless = Script::sse_head().endless(framed(&delta("a")), Duration::from_millis(10));
    let silent = Script::sse_head().chunk(delta("a")).hang();
    for script in [endless, silent] {
        let provider = Scripted::always(script).await;
        let world = World::over(&provider).await;
        let mut stream = world.chat_stream("m").await;
        stream.until(&delta("a")).await;
        stream.hang_up().await;
        let second = Duration::from_secs(1);
        within(second, "the provider's connection ends", || provider.gone() == 1).await;
        let entry = world.entry().await;
        assert_eq!((entry.outcome, entry.status), (Outcome::ClientGone, 200));
        assert_eq!(world.app().counters.in_flight(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_before_an_answer_takes_the_request_with_it() {
    let half =
        Script::new().head(200, &[("content-type", "application/json"), ("content-length", "99")]);
    for (model, script) in [("mute", Script::new().hang()), ("half", half.bytes("{\"a\":").hang())]
    {
        let provider = Scripted::always(script).await;
        let world = World::over(&provider).await;
        let mut socket = world.connect().await;
        let ask = world.posting(CHAT_PATH, chat_body(model, false));
        tokio::io::AsyncWriteExt::write_all(&mut socket, &ask.bytes()).await.unwrap();
        within(Duration::from_secs(5), "the provider is asked", || provider.hits() == 1).await;
        drop(socket);
        let second = Duration::from_secs(1);
        within(second, "the provider's connection ends", || provider.gone() == 1).await;
        let entry = world.entry().await;
        assert_eq!((entry.outcome, entry.attempts), (Outcome::ClientGone, 1), "{model}");
        assert_eq!(world.app().counters.in_flight(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_falls_silent_is_given_up() {
    let provider = Scripted::always(Script::sse_head().chunk(delta("a")).hang()).await;
    let text = CONFIG.replace("include_usage", "stream_idle_timeout_seconds = 1\ninclude_usage");
    let world = World::start(&text, &[("scripted", &provider)]).await;
    let start = Instant::now();
    let reply = world.chat_stream("m").await.rest().await;
    let took = start.elapsed();
    assert!((0.9..3.0).contains(&took.as_secs_f64()), "{took:?}");
    assert!(!reply.broken && reply.text().starts_with(&delta("a")));
    assert_last_event_is_error(CHAT_PATH, &reply.events());
    within(Duration::from_secs(1), "the connection is dropped", || provider.gone() == 1).await;
    assert_eq!(world.entry().await.outcome, Outcome::UpstreamBroke);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_stream_is_not_a_silent_one() {
    let slow = (0..8)
        .fold(Script::sse_head(), |it, _| it.chunk(": ping\n\n").pause(Duration::from_millis(250)));
    let provider = Scripted::always(slow.chunk(STOP).chunk(DONE).last_chunk()).await;
    let limits = "timeout_seconds = 1\nstream_idle_timeout_seconds = 1\ninclude_usage";
    let text = CONFIG.replace("include_usage", limits);
    let world = World::start(&text, &[("scripted", &provider)]).await;
    let reply = world.chat_stream("m").await.rest().await;
    assert!(reply.text().ends_with(DONE), "2 s in all: {}", reply.text());
    assert_eq!(world.entry().await.outcome, Outcome::Ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_refused_gets_json() {
    let error = r#"{"error":{"message":"no","type":"invalid_request_error","code":"x"}}"#;
    for status in [400, 404, 429, 500] {
        let provider = Scripted::always(Script::json(status, error)).await;
        let world = World::over(&provider).await;
        let reply = world.chat_stream("m").await.rest().await;
        assert_eq!((reply.status, reply.text().as_str()), (status, error));
        assert_eq!(reply.header("content-type"), Some("application/json"));
        world.entry().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_answer_to_a_wish_for_a_stream_passes_as_it_is() {
    let provider = Scripted::always(Script::json(200, CHAT)).await;
    let world = World::over(&provider).await;
    let reply = world.chat_stream("m").await.rest().await;
    assert_eq!((reply.status, reply.text().as_str()), (200, CHAT));
    let entry = world.entry().await;
    assert_eq!((entry.outcome, entry.usage.map(|it| it.output)), (Outcome::Ok, Some(2)));
}

fn framed(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}
