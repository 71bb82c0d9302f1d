//! What each key of the file changes while torod runs, and what a running request keeps.

use std::{
    fs,
    time::{Duration, Instant},
};

use tokenrouter::store::Outcome;

use crate::{
    saves::{self, Kept, WATCHED, live, models_as, text},
    scripted::{Gate, Script, Scripted},
    world::{CONFIG, KEY, World, chat_body, fill, within},
};

const CHAT: &str = "/v1/chat/completions";
const ANSWER: &str = r#"{"id":"c","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"one"},"finish_reason":"stop"}]}"#;

fn openai(name: &str, base: &str, more: &str) -> String {
    format!(
        "\n[[providers]]\nname = \"{name}\"\nprovider_type = \"openai-compatible\"\nbase_url = \"{base}\"\n{more}\n"
    )
}

/// Saves and waits until it is live.
async fn edit(world: &World, text: &str) {
    world.save(text);
    live(world.app(), text, WATCHED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn providers_come_change_and_go() {
    let one = Scripted::always(Script::json(200, ANSWER)).await;
    let two = Scripted::always(Script::json(200, ANSWER.replace("one", "two"))).await;
    let world = saves::over(&text(0), true).await;
    assert_eq!(world.chat("new/m").await.code(), "model_not_found");

    edit(&world, &(text(0) + &openai("new", &one.base(), "api_key = \"up-1\""))).await;
    assert!(world.chat("new/m").await.text().contains("\"one\""));
    assert_eq!(one.last().header("authorization"), Some("Bearer up-1"));

    edit(&world, &(text(0) + &openai("new", &one.base(), "api_key = \"up-2\""))).await;
    assert_eq!(world.chat("new/m").await.status, 200);
    assert_eq!(one.last().header("authorization"), Some("Bearer up-2"));

    edit(&world, &(text(0) + &openai("new", &two.base(), "headers = { x-team = \"blue\" }"))).await;
    assert!(world.chat("new/m").await.text().contains("\"two\""));
    assert_eq!(two.last().header("x-team"), Some("blue"));
    assert_eq!(two.last().header("authorization"), None, "no credential is left over");
    world.listed("new").await;

    edit(&world, &(text(0) + &openai("new", &two.base(), "models = [\"other*\"]"))).await;
    assert_eq!(world.chat("new/m").await.code(), "model_not_found");
    assert_eq!(world.chat("new/other").await.status, 200);

    edit(&world, &(text(0) + &openai("new", &two.base(), "enabled = false"))).await;
    assert_eq!(world.chat("new/other").await.code(), "model_not_found");
    edit(&world, &text(0)).await;
    assert_eq!(world.chat("new/other").await.code(), "model_not_found");
    let names = world.get("/v1/models").await.text();
    assert!(!names.contains("new/"), "{names}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_come_change_and_go_also_on_a_kept_connection() {
    let guest = |more: &str| {
        text(0) + "\n[[incoming_tokens]]\nid = \"guest\"\nkey = \"sk-guest-0000000001\"\n" + more
    };
    let world = saves::over(&guest(""), true).await;
    let mut kept = Kept::open(world.addr, "sk-guest-0000000001").await;
    let mut ask = async |path: &str| kept.ask("GET", path, String::new()).await.unwrap().0;
    assert_eq!(ask("/v1/models").await, 200);
    assert_eq!(ask("/admin/api/config/status").await, 403);
    edit(&world, &guest("role = \"admin\"")).await;
    assert_eq!(ask("/admin/api/config/status").await, 200);
    edit(&world, &guest("expires_at = \"2020-01-01T00:00:00Z\"")).await;
    assert_eq!(ask("/v1/models").await, 401);
    edit(&world, &guest("models = [\"echo/only\"]")).await;
    assert_eq!(ask("/v1/models/echo/hello").await, 404);
    edit(&world, &text(0)).await;
    assert_eq!(ask("/v1/models").await, 401, "a removed key ends on its next request");
    edit(&world, &guest("")).await;
    assert_eq!(ask("/v1/models").await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn virtual_models_come_change_and_go() {
    let world = saves::over(&text(0), true).await;
    let model = |target: &str| {
        text(0) + &format!("\n[[models]]\nname = \"fast\"\ntargets = [\"{target}\"]\n")
    };
    edit(&world, &model("echo/hello")).await;
    assert_eq!(world.chat("fast").await.status, 200);
    edit(&world, &model("echo/error-429")).await;
    assert_eq!(world.chat("fast").await.status, 429);
    edit(&world, &text(0)).await;
    let names = world.get("/v1/models").await.text();
    assert!(!names.contains("fast"), "{names}");
}

#[tokio::test(flavor = "multi_thread")]
async fn timeouts_of_a_provider_apply_to_the_next_request() {
    let silent = Scripted::always(Script::new().hang()).await;
    let slow = Scripted::always(Script::sse_head().chunk("data: {}\n\n").hang()).await;
    let with = |seconds: u64| {
        let times =
            format!("timeout_seconds = {seconds}\nstream_idle_timeout_seconds = {seconds}\n");
        text(0) + &openai("silent", &silent.base(), &times) + &openai("slow", &slow.base(), &times)
    };
    let world = saves::over(&with(60), true).await;
    edit(&world, &with(1)).await;
    let begin = Instant::now();
    let reply = world.chat("silent/m").await;
    assert_eq!((reply.status, reply.code().as_str()), (504, "upstream_timeout"));
    let reply = world.chat_stream("slow/m").await.rest().await;
    assert!(reply.text().contains("error") && !reply.text().contains("[DONE]"), "{}", reply.text());
    assert!(begin.elapsed() < Duration::from_secs(6), "{:?}", begin.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_of_a_body_applies_to_the_next_request() {
    let world = saves::over(&text(0), true).await;
    let long = format!(
        r#"{{"model":"echo/hello","messages":[{{"role":"user","content":"{}"}}]}}"#,
        "x".repeat(4000)
    );
    assert_eq!(world.post(CHAT, &long).await.status, 200);
    for turn in 1..3 {
        edit(&world, &format!("{}\n[limits]\nmax_body_bytes = 2000\n", text(turn))).await;
        let reply = world.post(CHAT, &long).await;
        assert_eq!((reply.status, reply.code().as_str()), (413, "body_too_large"));
        edit(&world, &format!("{}\n[limits]\nmax_body_bytes = 8000\n", text(turn))).await;
        assert_eq!(world.post(CHAT, &long).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_patience_with_clients_applies_to_new_connections() {
    let world = saves::over(&text(0), true).await;
    let limits = "[limits]\nheader_timeout_seconds = 1\nfirst_byte_timeout_seconds = 1\n";
    edit(&world, &format!("{}\n{limits}", text(1))).await;
    let begin = Instant::now();
    world.raw("GET /healthz HTTP/1.1\r\nhost: 127").await;
    world.raw("").await;
    assert!(begin.elapsed() < Duration::from_secs(6), "{:?}", begin.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leave_to_come_without_a_key_is_taken_back_on_a_kept_connection() {
    let open = format!("allow_localhost_no_auth = true\n{}", text(0));
    let world = saves::over(&open, true).await;
    let socket = tokio::net::TcpStream::connect(world.addr).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(socket);
    let (mut send, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    tokio::spawn(connection);
    for (text, wanted) in [(open.clone(), 200), (text(0), 401), (open, 200)] {
        edit(&world, &text).await;
        let request = http::Request::get("/v1/models").header("host", world.addr.to_string());
        let request = request.body(http_body_util::Empty::<bytes::Bytes>::new()).unwrap();
        let reply = send.send_request(request).await.unwrap();
        assert_eq!(reply.status().as_u16(), wanted);
        http_body_util::BodyExt::collect(reply.into_body()).await.unwrap();
        send.ready().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_keeps_the_config_it_began_with() {
    let gate = Gate::new();
    let first = r#"data: {"choices":[{"index":0,"delta":{"content":"first"}}]}"#;
    let last =
        r#"data: {"choices":[{"index":0,"delta":{"content":"last"},"finish_reason":"stop"}]}"#;
    let script = Script::sse_head()
        .chunk(format!("{first}\n\n"))
        .gate(&gate)
        .chunk(format!("{last}\n\ndata: [DONE]\n\n"))
        .last_chunk();
    let provider = Scripted::always(script).await;
    let world = World::over(&provider).await;
    let mut stream = world.chat_stream("scripted/m").await;
    stream.until("first").await;
    assert_eq!(stream.header("x-torod-generation"), Some("1"));

    // Its provider, and the key that it came with, are both gone.
    let gone = text(0).replace(KEY, "sk-somebody-else-001");
    edit(&world, &gone).await;
    assert_eq!(models_as(world.addr, KEY).await.status, 401);
    let ask = world.bare("POST", CHAT).header("authorization", "Bearer sk-somebody-else-001");
    let reply = ask.body(chat_body("scripted/m", false)).send().await;
    assert_eq!((reply.status, reply.code().as_str()), (404, "model_not_found"));
    assert_eq!(reply.header("x-torod-generation"), Some("2"));

    gate.open();
    let rest = stream.rest().await;
    assert!(!rest.broken && rest.text().contains("last"), "{}", rest.text());
    assert_eq!(rest.events().last().map(String::as_str), Some("[DONE]"));
    let entries = world.entries(2).await;
    let of = |generation| entries.iter().find(|it| it.generation == generation).unwrap();
    assert_eq!(of(1).outcome, Outcome::Ok);
    assert_eq!(
        (of(1).provider.as_deref(), of(1).key_id.as_deref()),
        (Some("scripted"), Some("tester"))
    );
    assert_eq!(of(2).outcome, Outcome::Refused);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_by_hand_while_a_stream_runs_adds_a_provider() {
    let provider = Scripted::always(Script::json(200, ANSWER)).await;
    let world = saves::over(&text(0), true).await;
    let mut stream = world.chat_stream("echo/words-40-tick-20ms").await;
    stream.until("data:").await;
    let text = text(0) + &openai("new", &provider.base(), "");
    fs::write(world.config_path(), &text).unwrap();
    live(world.app(), &text, WATCHED).await;
    assert!(world.chat("new/m").await.text().contains("\"one\""));
    assert_eq!(world.app().counters.in_flight(), 1, "the stream still runs");
    let rest = stream.rest().await;
    assert!(!rest.broken);
    assert_eq!(rest.events().last().map(String::as_str), Some("[DONE]"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_did_not_change_keeps_its_connections_and_its_list() {
    let provider = Scripted::always(Script::json(200, ANSWER)).await;
    let world = World::over(&provider).await;
    assert_eq!(world.chat("scripted/m").await.status, 200);
    let (connections, lists) = (provider.connections(), provider.lists());
    let config = fill(CONFIG, &[("scripted", &provider)]);
    for turn in 0..crate::world::scale(100) {
        edit(&world, &format!("{config}\n# turn {turn}\n")).await;
        assert_eq!(world.chat("scripted/m").await.status, 200);
    }
    assert_eq!(provider.connections(), connections, "no new connection");
    assert_eq!(provider.lists(), lists, "no new list");
    within(WATCHED, "all is booked", || world.app().counters.in_flight() == 0).await;
}
