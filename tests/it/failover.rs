//! A virtual model's targets are tried in order, until the first byte and no further.

use std::{fmt::Write as _, time::Duration};

use tokenrouter::store::Outcome;

use crate::{
    samples::{CHAT, DONE, STOP, delta},
    scripted::{Gate, Script, Scripted},
    world::{World, chat_body, fill},
};

/// Providers `a`, `b` and so on, and the model `fast` over all of them.
fn config(count: usize) -> String {
    let names: Vec<_> = "abcdef".chars().take(count).collect();
    let mut text = "listen_addr = \"127.0.0.1:0\"\nauto_detect_local_servers = false\n\
        [[incoming_tokens]]\nid = \"tester\"\nrole = \"admin\"\nkey = \"sk-test\"\n"
        .to_owned();
    for name in &names {
        let _ = write!(
            text,
            "[[providers]]\nname = \"{name}\"\nprovider_type = \"openai-compatible\"\n\
            base_url = \"{{{name}}}\"\napi_key = \"up-{name}\"\ntimeout_seconds = 1\n"
        );
    }
    let targets: Vec<_> = names.iter().map(|it| format!("\"{it}/model-{it}\"")).collect();
    text + &format!("[[models]]\nname = \"fast\"\ntargets = [{}]\n", targets.join(", "))
}

async fn world(providers: &[&Scripted]) -> World {
    let letters = ["a", "b", "c", "d", "e", "f"];
    let named: Vec<_> = letters.into_iter().zip(providers.iter().copied()).collect();
    World::start(&config(providers.len()), &named).await
}

async fn good() -> Scripted {
    Scripted::always(Script::json(200, CHAT)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_in_trouble_is_passed_over() {
    let error = r#"{"error":{"message":"no"}}"#;
    let mut scripts = vec![
        ("cut", Script::new().cut()),
        ("reset", Script::new().reset()),
        ("half a head", Script::new().bytes("HTTP/1.1 200 OK\r\ncontent-le").cut()),
        ("half a body", Script::new().head(200, &[("content-length", "90")]).bytes("{").cut()),
        ("an empty stream", Script::sse(&[])),
        ("a stream cut before its first byte", Script::sse_head().cut()),
        ("silence", Script::new().hang()),
        ("a silent stream", Script::sse_head().hang()),
        ("a page", Script::html(200, "hello")),
        ("a busy page", Script::html(503, "busy")),
        ("no HTTP", Script::new().bytes("SSH-2.0-x\r\n").cut()),
    ];
    let statuses = [401, 402, 404, 408, 429, 500, 502, 503, 529];
    scripts.extend(statuses.map(|it| ("a status", Script::json(it, error))));
    for (how, script) in scripts {
        let (bad, good) = (Scripted::always(script).await, good().await);
        let world = world(&[&bad, &good]).await;
        let reply = world.chat("fast").await;
        assert_eq!((reply.status, reply.text().as_str()), (200, CHAT), "{how}");
        // On a kept connection an end without a word may have crossed the request.
        let most = if matches!(how, "cut" | "reset") { 2 } else { 1 };
        assert!((1..=most).contains(&bad.hits()) && good.hits() == 1, "{how}: {}", bad.hits());
        let entry = world.entry().await;
        assert_eq!((entry.outcome, entry.attempts), (Outcome::FailedOver, 2), "{how}");
        assert_eq!(entry.provider.as_deref(), Some("b"), "{how}");
        assert_eq!(entry.upstream_model.as_deref(), Some("model-b"), "{how}");
        assert_eq!(&*entry.requested_model, "fast");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_provider_is_skipped() {
    let good = good().await;
    let (dead, _socket) = Scripted::refused();
    let text = fill(&config(2).replace("{a}", &dead), &[("b", &good)]);
    let world = World::start(&text, &[]).await;
    assert_eq!(world.chat("fast").await.status, 200);
    let entry = world.entry().await;
    assert_eq!((entry.outcome, entry.attempts), (Outcome::FailedOver, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_target_gets_the_same_request_with_its_own_model_and_credential() {
    let bad = Scripted::always(Script::json(503, "{}")).await;
    let good = good().await;
    let world = world(&[&bad, &good]).await;
    let body = |model: &str| format!(r#"{{"n":1e400,"model": "{model}" ,"x":"é"}}"#);
    let ask = world.posting("/v1/chat/completions?x=1", body("fast"));
    assert_eq!(ask.header("x-trace", "7").send().await.status, 200);
    for (provider, name) in [(&bad, "a"), (&good, "b")] {
        let request = provider.last();
        assert_eq!(request.text(), body(&format!("model-{name}")));
        assert_eq!(request.header("authorization"), Some(format!("Bearer up-{name}").as_str()));
        assert_eq!(request.header("x-trace"), Some("7"));
        assert_eq!(request.path, "/v1/chat/completions?x=1");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clients_own_mistake_is_not_tried_elsewhere() {
    for status in [400, 403, 409, 413, 422] {
        let error = r#"{"error":{"message":"yours"}}"#;
        let (bad, good) = (Scripted::always(Script::json(status, error)).await, good().await);
        let world = world(&[&bad, &good]).await;
        let reply = world.chat("fast").await;
        assert_eq!((reply.status, reply.text().as_str()), (status, error));
        assert_eq!(good.hits(), 0);
        assert_eq!(world.entry().await.outcome, Outcome::Refused, "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_are_tried_and_no_more() {
    let bad = || Scripted::always(Script::json(503, r#"{"error":{"message":"full"}}"#));
    let (a, b, c, good) = (bad().await, bad().await, bad().await, good().await);
    let world = world(&[&a, &b, &c, &good]).await;
    let reply = world.chat("fast").await;
    assert_eq!((reply.status, reply.json()["error"]["message"].as_str()), (503, Some("full")));
    assert_eq!((a.hits(), b.hits(), c.hits(), good.hits()), (1, 1, 1, 0));
    let entry = world.entry().await;
    assert_eq!((entry.outcome, entry.attempts), (Outcome::UpstreamBroke, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_refusal_is_the_clients_answer() {
    let first = Scripted::always(Script::json(500, r#"{"error":{"message":"first"}}"#)).await;
    let headers = [("content-type", "application/json"), ("retry-after", "9")];
    let last = Script::whole(429, &headers, r#"{"error":{"message":"last"}}"#);
    let last = Scripted::always(last).await;
    let world = world(&[&first, &last]).await;
    let reply = world.chat("fast").await;
    assert_eq!((reply.status, reply.header("retry-after")), (429, Some("9")));
    assert_eq!(reply.json()["error"]["message"], "last");
    let entry = world.entry().await;
    assert_eq!((entry.outcome, entry.attempts), (Outcome::Refused, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn when_all_are_dead_the_answer_says_so() {
    let (dead, _socket) = Scripted::refused();
    let text = config(2).replace("{a}", &dead).replace("{b}", &dead);
    let world = World::start(&text, &[]).await;
    let reply = world.chat("fast").await;
    assert_eq!((reply.status, reply.code().as_str()), (502, "upstream_unreachable"));
    let entry = world.entry().await;
    assert_eq!((entry.outcome, entry.attempts), (Outcome::UpstreamBroke, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_fails_over_before_its_first_byte_only() {
    let bad = Scripted::always(Script::sse_head().cut()).await;
    let good = Scripted::always(Script::sse(&[&delta("b"), STOP, DONE])).await;
    let world = world(&[&bad, &good]).await;
    let reply = world.chat_stream("fast").await.rest().await;
    assert_eq!(reply.text(), delta("b") + STOP + DONE);
    assert_eq!(world.entry().await.outcome, Outcome::FailedOver);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_first_byte_there_is_no_failover() {
    let gate = Gate::new();
    let dying = Scripted::always(Script::sse_head().chunk(delta("a")).gate(&gate).cut()).await;
    let good = Scripted::always(Script::sse(&[&delta("b"), STOP, DONE])).await;
    let world = world(&[&dying, &good]).await;
    let mut stream = world.chat_stream("fast").await;
    stream.until(&delta("a")).await;
    gate.open();
    let rest = stream.rest().await.text();
    assert!(rest.contains("upstream_broke") && !rest.contains("[DONE]"), "{rest}");
    assert_eq!(good.hits(), 0);
    let entry = world.entry().await;
    assert_eq!((entry.outcome, entry.attempts), (Outcome::UpstreamBroke, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_between_two_tries_ends_both() {
    let bad = Scripted::always(Script::json(503, "{}")).await;
    let mute = Scripted::always(Script::new().hang()).await;
    let world = world(&[&bad, &mute]).await;
    let mut socket = world.connect().await;
    let ask = world.posting("/v1/chat/completions", chat_body("fast", false));
    tokio::io::AsyncWriteExt::write_all(&mut socket, &ask.bytes()).await.unwrap();
    crate::world::eventually("the second is asked", || mute.hits() == 1).await;
    drop(socket);
    let second = Duration::from_secs(1);
    crate::world::within(second, "the second is left alone", || mute.gone() == 1).await;
    let entry = world.entry().await;
    assert_eq!((entry.outcome, entry.attempts), (Outcome::ClientGone, 2));
    assert_eq!(entry.provider.as_deref(), Some("b"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_connection_that_the_provider_closed_costs_no_request() {
    // The provider hangs up after each answer, without saying so in a header.
    let provider = Scripted::always(Script::json(200, CHAT).cut()).await;
    let world = world(&[&provider]).await;
    for _ in 0..crate::world::scale(1000) {
        let reply = world.chat("a/m").await;
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
}
