//! Providers that do not read what they are sent, or answer before they have.

use std::time::Duration;

use tokenrouter::store::Outcome;
use tokio::io::AsyncWriteExt as _;

use crate::{
    samples::CHAT,
    scripted::{Script, Scripted},
    world::{CONFIG, World, within},
};

const CHAT_PATH: &str = "/v1/chat/completions";

/// More than the sockets between torod and a provider hold.
fn large() -> String {
    format!(r#"{{"model":"scripted/m","x":"{}"}}"#, "a".repeat(14 << 20))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_while_the_body_is_on_its_way_reaches_the_client() {
    let error = r#"{"error":{"message":"too much for us"}}"#;
    let whole = Script::json(413, error);
    let chunks = Script::new()
        .head(413, &[("content-type", "application/json"), ("transfer-encoding", "chunked")])
        .chunk(error)
        .last_chunk();
    let until_close = Script::new().head(413, &[("content-type", "application/json")]).bytes(error);
    for script in [whole, chunks, until_close] {
        // Its end makes a reset of what nobody has read.
        for last in [script.clone(), script.pause(Duration::from_millis(50))] {
            let provider = Scripted::early(move |_| last.clone()).await;
            let world = World::over(&provider).await;
            for _ in 0..3 {
                let reply = world.post(CHAT_PATH, large()).await;
                let seen = (reply.status, reply.text());
                assert_eq!(seen, (413, error.to_owned()), "{:?}", world.app().ledger.entries());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_before_the_body_is_read_passes_and_takes_its_connection_along() {
    let provider = Scripted::early(|_| Script::json(200, CHAT).hang()).await;
    let world = World::over(&provider).await;
    for at in 1..4 {
        let before = provider.connections();
        let reply = world.post(CHAT_PATH, large()).await;
        assert_eq!((reply.status, reply.text()), (200, CHAT.to_owned()));
        assert_eq!((provider.hits(), provider.connections()), (at, before + 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_does_not_read_is_given_up() {
    let provider = Scripted::early(|_| Script::new().hang()).await;
    let text = CONFIG.replace("include_usage", "timeout_seconds = 1\ninclude_usage");
    let world = World::start(&text, &[("scripted", &provider)]).await;
    let reply = world.post(CHAT_PATH, large()).await;
    assert_eq!((reply.status, reply.code().as_str()), (504, "upstream_timeout"));
    assert_eq!((world.entry().await.status, world.app().counters.in_flight()), (504, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_while_its_body_is_passed_on_is_heard() {
    let provider = Scripted::early(|_| Script::new().hang()).await;
    let world = World::start(CONFIG, &[("scripted", &provider)]).await;
    let mut socket = world.connect().await;
    socket.write_all(&world.posting(CHAT_PATH, large()).bytes()).await.unwrap();
    within(Duration::from_secs(5), "the provider is asked", || provider.hits() == 1).await;
    drop(socket);
    let gone = || world.app().counters.in_flight() == 0;
    within(Duration::from_secs(2), "the request ends", gone).await;
    assert_eq!(world.entry().await.outcome, Outcome::ClientGone);
}
