//! A response stays with the provider that made it and the key that asked for it.

use tokenrouter::store::Outcome;

use crate::{
    samples::{RESPONSE_COMPLETED, RESPONSE_CREATED},
    scripted::{Request, Script, Scripted},
    world::{CONFIG, World},
};

const MORE: &str = r#"
[[providers]]
name = "other"
provider_type = "openai-compatible"
base_url = "{other}"
api_key = "up-other"

[[incoming_tokens]]
id = "bob"
key = "sk-bob"
"#;

/// Makes responses whose ids begin with `name`; says which of its responses it was asked for.
async fn maker(name: &'static str) -> Scripted {
    Scripted::start(move |request: &Request| {
        if request.path == "/v1/responses" {
            let id = format!("resp_{name}_{}", request.json()["input"].as_str().unwrap_or("0"));
            let usage = r#""usage":{"input_tokens":3,"output_tokens":4}"#;
            return Script::json(200, format!(r#"{{"id":"{id}","object":"response",{usage}}}"#));
        }
        Script::json(200, format!(r#"{{"id":"{}","by":"{name}"}}"#, request.path))
    })
    .await
}

async fn world(first: &Scripted, other: &Scripted) -> World {
    let text = format!("{CONFIG}{MORE}");
    World::start(&text, &[("scripted", first), ("other", other)]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follow_up_goes_to_the_provider_that_made_the_response() {
    let (first, other) = (maker("first").await, maker("other").await);
    let world = world(&first, &other).await;
    for model in ["scripted/m", "other/m"] {
        let body = format!(r#"{{"model":"{model}","input":"1"}}"#);
        assert_eq!(world.post("/v1/responses", body).await.status, 200);
    }
    world.entries(2).await;
    let mut asked = 2;
    for (id, provider, credential) in
        [("resp_first_1", &first, "Bearer up-secret"), ("resp_other_1", &other, "Bearer up-other")]
    {
        for (method, path) in [
            ("GET", format!("/v1/responses/{id}")),
            ("GET", format!("/v1/responses/{id}?include=x&starting_after=2")),
            ("GET", format!("/v1/responses/{id}/input_items")),
            ("POST", format!("/v1/responses/{id}/cancel")),
            ("DELETE", format!("/v1/responses/{id}")),
        ] {
            let reply = world.ask(method, &path).send().await;
            assert_eq!(reply.status, 200, "{method} {path}: {}", reply.text());
            let request = provider.last();
            assert_eq!((request.method.as_str(), &request.path), (method, &path));
            assert_eq!(request.header("authorization"), Some(credential));
            asked += 1;
            let entry = world.entries(asked).await.pop().unwrap();
            assert_eq!(
                (entry.outcome, entry.usage),
                (Outcome::Ok, None),
                "booked when it was made"
            );
        }
    }
    assert_eq!((first.hits(), other.hits()), (6, 6));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_a_follow_up_passes_as_it_is() {
    let (first, other) = (maker("first").await, maker("other").await);
    let world = world(&first, &other).await;
    world.post("/v1/responses", r#"{"model":"scripted/m","input":"1"}"#).await;
    world.entry().await;
    let body = r#"{ "model":"scripted/x", "n":1e400 }"#;
    assert_eq!(world.post("/v1/responses/resp_first_1/cancel", body).await.status, 200);
    assert_eq!(first.last().text(), body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streamed_response_is_remembered_too() {
    let stream = Script::sse(&[RESPONSE_CREATED, RESPONSE_COMPLETED]);
    let provider = Scripted::in_turn([stream, Script::json(200, r#"{"id":"resp_1"}"#)]).await;
    let world = World::over(&provider).await;
    let reply = world.post("/v1/responses", r#"{"model":"scripted/m","stream":true}"#).await;
    assert_eq!(reply.text(), format!("{RESPONSE_CREATED}{RESPONSE_COMPLETED}"));
    assert_eq!(world.get("/v1/responses/resp_1").await.status, 200);
    assert_eq!(provider.last().path, "/v1/responses/resp_1");
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_and_foreign_responses_are_the_same_404() {
    let (first, other) = (maker("first").await, maker("other").await);
    let world = world(&first, &other).await;
    world.post("/v1/responses", r#"{"model":"scripted/m","input":"1"}"#).await;
    world.entry().await;
    let bob = |method: &str, path: &str| {
        world.bare(method, path).header("authorization", "Bearer sk-bob")
    };
    let unknown = bob("GET", "/v1/responses/resp_nobody").send().await;
    assert_eq!((unknown.status, unknown.code().as_str()), (404, "response_not_found"));
    for (method, path) in [
        ("GET", "/v1/responses/resp_first_1"),
        ("DELETE", "/v1/responses/resp_first_1"),
        ("POST", "/v1/responses/resp_first_1/cancel"),
    ] {
        let foreign = bob(method, path).send().await;
        assert_eq!((foreign.status, &foreign.body), (404, &unknown.body), "{method} {path}");
    }
    let body = r#"{"model":"scripted/m","previous_response_id":"resp_first_1"}"#;
    let reply = bob("POST", "/v1/responses").body(body).send().await;
    assert_eq!((reply.status, reply.code().as_str()), (404, "response_not_found"));
    assert_eq!((first.hits(), other.hits()), (1, 0));
    assert_eq!(world.get("/v1/responses/resp_first_1").await.status, 200, "its own key may");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_means_another_one_is_refused() {
    let (first, other) = (maker("first").await, maker("other").await);
    let world = world(&first, &other).await;
    world.post("/v1/responses", r#"{"model":"scripted/m","input":"1"}"#).await;
    world.entry().await;
    for path in [
        "resp_first_1/../../files",
        "resp_first_1/..%2f..%2ffiles",
        "resp_first_1%2Fcancel",
        "resp_first_1//cancel",
        "resp_first_1/",
        "resp_first_1;x",
    ] {
        let reply = world.get(&format!("/v1/responses/{path}")).await;
        assert_eq!(reply.status, 404, "{path}: {}", reply.text());
    }
    assert_eq!(first.hits(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_the_provider_about_a_response_passes() {
    let made = Script::json(200, r#"{"id":"resp_1","object":"response"}"#);
    let gone = r#"{"error":{"message":"expired","type":"invalid_request_error"}}"#;
    let provider = Scripted::in_turn([made, Script::json(404, gone)]).await;
    let world = World::over(&provider).await;
    world.post("/v1/responses", r#"{"model":"scripted/m"}"#).await;
    world.entry().await;
    let reply = world.get("/v1/responses/resp_1").await;
    assert_eq!((reply.status, reply.text().as_str()), (404, gone));
    assert_eq!(world.entries(2).await[1].outcome, Outcome::Refused);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_can_be_followed_up_as_soon_as_its_id_is_known() {
    let gate = crate::scripted::Gate::new();
    let running = Script::sse_head().chunk(RESPONSE_CREATED).gate(&gate).chunk(RESPONSE_COMPLETED);
    let cancelled = Script::json(200, r#"{"id":"resp_1","status":"cancelled"}"#);
    let provider = Scripted::in_turn([running.last_chunk(), cancelled]).await;
    let world = World::over(&provider).await;
    let ask = world.posting("/v1/responses", r#"{"model":"scripted/m","stream":true}"#);
    let mut stream = ask.open().await;
    stream.until(RESPONSE_CREATED).await;
    let reply = world.ask("POST", "/v1/responses/resp_1/cancel").send().await;
    assert_eq!(reply.json()["status"], "cancelled");
    gate.open();
    assert!(!stream.rest().await.broken);
}
