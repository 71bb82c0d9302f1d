//! Whole answers, errors of each side, and what torod says of models and paths.

use serde_json::{Value, json};
use tokenrouter::store::Outcome;

use crate::{
    samples::CHAT,
    scripted::{Gate, Script, Scripted},
    world::{CONFIG, Reply, World},
};

const CHAT_PATH: &str = "/v1/chat/completions";

/// An answer of ours in `OpenAI`'s shape, with all four keys.
fn assert_openai(reply: &Reply, status: u16, code: &str) {
    let json = reply.json();
    assert_eq!((reply.status, json["error"]["code"].as_str()), (status, Some(code)), "{json}");
    let error = json["error"].as_object().unwrap();
    let mut keys: Vec<_> = error.keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["code", "message", "param", "type"], "{json}");
    assert!(error["message"].as_str().is_some_and(|it| !it.is_empty() && !it.ends_with('.')));
    assert!(error["type"].is_string(), "{json}");
    assert_eq!(reply.header("content-type"), Some("application/json"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_is_answered_and_booked() {
    let provider = Scripted::always(Script::json(200, CHAT)).await;
    let world = World::over(&provider).await;
    let ask = world.posting(CHAT_PATH, r#"{"model":"scripted/m","messages":[]}"#);
    let reply = ask.header("user-agent", "story/1").send().await;
    assert_eq!((reply.status, reply.text().as_str()), (200, CHAT));
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.header("x-torod-generation"), Some("1"));
    let entry = world.entry().await;
    assert_eq!(reply.header("x-request-id"), Some(&*entry.request_id));
    assert_eq!((entry.outcome, entry.status, entry.attempts), (Outcome::Ok, 200, 1));
    assert_eq!(entry.key_id.as_deref(), Some("tester"));
    assert_eq!(entry.key_name.as_deref(), Some("Tester"));
    assert_eq!(entry.provider.as_deref(), Some("scripted"));
    assert_eq!(&*entry.requested_model, "scripted/m");
    assert_eq!(entry.upstream_model.as_deref(), Some("m"));
    assert_eq!(entry.user_agent.as_deref(), Some("story/1"));
    assert_eq!(entry.client_ip, Some([127, 0, 0, 1].into()));
    let usage = entry.usage.unwrap();
    assert_eq!((usage.input, usage.output, entry.estimated), (3, 2, false));
    assert!(!entry.stream && entry.ttfb.is_some_and(|it| it <= entry.duration));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_endpoint_has_its_path_at_the_provider() {
    let provider = Scripted::always(Script::json(200, CHAT)).await;
    let world = World::over(&provider).await;
    let paths = [
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/embeddings",
        "/v1/moderations",
        "/v1/rerank",
        "/v1/responses",
        "/v1/responses/input_tokens",
        "/v1/responses/compact",
        "/v1/images/generations",
        "/v1/audio/speech",
    ];
    for path in paths {
        let reply = world.post(path, r#"{"model":"scripted/m","input":"x"}"#).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        let request = provider.last();
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", path));
        assert_eq!(request.text(), r#"{"model":"m","input":"x"}"#);
    }
    let entries = world.entries(paths.len()).await;
    assert!(entries.iter().all(|it| it.outcome == Outcome::Ok));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moderation_without_a_model_goes_to_the_default_provider() {
    let provider = Scripted::always(Script::json(200, r#"{"results":[]}"#)).await;
    let world = World::over(&provider).await;
    let reply = world.post("/v1/moderations", r#"{"input":"x"}"#).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(provider.last().text(), r#"{"input":"x"}"#);
    assert_openai(&world.post("/v1/embeddings", r#"{"input":"x"}"#).await, 400, "invalid_model");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_the_provider_passes_with_its_headers() {
    let error = r#"{ "error": {"message":"slow down","type":"rate_limit_error","code":null} }"#;
    for status in [400, 402, 403, 404, 408, 409, 422, 429, 500, 503, 529] {
        let headers = [
            ("content-type", "application/json; charset=utf-8"),
            ("retry-after", "7"),
            ("retry-after-ms", "7000"),
            ("x-ratelimit-remaining-requests", "0"),
            ("anthropic-ratelimit-tokens-remaining", "1"),
        ];
        let provider = Scripted::always(Script::whole(status, &headers, error)).await;
        let world = World::over(&provider).await;
        let reply = world.chat("m").await;
        assert_eq!((reply.status, reply.text().as_str()), (status, error));
        for (name, value) in headers {
            assert_eq!(reply.header(name), Some(value), "{status}");
        }
        let entry = world.entry().await;
        let outcome = if status < 500 { Outcome::Refused } else { Outcome::UpstreamBroke };
        assert_eq!((entry.status, entry.outcome, entry.usage), (status, outcome, None));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_refuses_our_credential_is_not_the_callers_fault() {
    let body = r#"{"error":{"message":"Incorrect API key provided: up-secret"}}"#;
    let headers = [("content-type", "application/json"), ("www-authenticate", "Bearer")];
    let provider = Scripted::always(Script::whole(401, &headers, body)).await;
    let world = World::over(&provider).await;
    let reply = world.chat("m").await;
    assert_openai(&reply, 502, "upstream_credentials");
    assert_eq!(reply.header("x-should-retry"), Some("false"));
    assert_eq!(reply.header("www-authenticate"), None);
    assert!(reply.text().contains("`scripted`") && !reply.text().contains("up-secret"));
    let entry = world.entry().await;
    assert_eq!((entry.status, entry.outcome), (502, Outcome::UpstreamBroke));
}

#[tokio::test(flavor = "multi_thread")]
async fn our_credential_in_an_error_text_is_masked() {
    let body = r#"{"error":{"message":"no money on up-secret, none: up-secret"}}"#;
    let provider = Scripted::always(Script::json(402, body)).await;
    let world = World::over(&provider).await;
    let reply = world.chat("m").await;
    assert_eq!(reply.status, 402);
    assert_eq!(reply.json()["error"]["message"], "no money on ***, none: ***");
    assert!(!reply.broken);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_no_answer() {
    for (status, wanted, code) in [
        (200, 502, "upstream_garbage"),
        (302, 502, "upstream_garbage"),
        (404, 404, "upstream_error"),
        (503, 503, "upstream_error"),
    ] {
        let provider = Scripted::always(Script::html(status, "<b>busy</b>")).await;
        let world = World::over(&provider).await;
        let reply = world.chat("m").await;
        assert_openai(&reply, wanted, code);
        assert!(!reply.text().contains("busy"), "{}", reply.text());
        world.entry().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_cannot_be_asked_is_named_and_its_address_is_not() {
    let (base, _socket) = Scripted::refused();
    let text = format!(
        "{CONFIG}\n[[providers]]\nname = \"bare\"\nprovider_type = \"openai-compatible\"\n\
        base_url = \"{base}\"\napi_key = \"${{env:TOROD_NO_SUCH_VARIABLE}}\"\n"
    );
    let world = World::start(&text.replace("{scripted}", &base), &[]).await;
    let reply = world.chat("m").await;
    assert_openai(&reply, 502, "upstream_unreachable");
    assert!(reply.text().contains("`scripted`") && !reply.text().contains("127.0.0.1"));
    let reply = world.chat("bare/m").await;
    assert_openai(&reply, 503, "provider_unconfigured");
    assert!(!reply.text().contains("TOROD_NO_SUCH_VARIABLE"));
    assert_eq!(world.entries(2).await[0].outcome, Outcome::UpstreamBroke);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_provider_is_given_up_and_a_broken_one_said_to_be() {
    let script = |request: &crate::scripted::Request| match request.model().as_str() {
        "silent" => Script::new().hang(),
        "reset" => Script::new().reset(),
        "half" => Script::new().head(200, &[("content-length", "100")]).bytes("{\"a\":").cut(),
        _ => Script::new().cut(),
    };
    let provider = Scripted::start(script).await;
    let text = CONFIG.replace("include_usage", "timeout_seconds = 1\ninclude_usage");
    let world = World::start(&text, &[("scripted", &provider)]).await;
    assert_openai(&world.chat("scripted/silent").await, 504, "upstream_timeout");
    for model in ["cut", "reset", "half"] {
        assert_openai(&world.chat(&format!("scripted/{model}")).await, 502, "upstream_broke");
    }
    let entries = world.entries(4).await;
    assert!(entries.iter().all(|it| it.outcome == Outcome::UpstreamBroke), "{entries:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_answer_that_breaks_late_is_seen_to_be_broken() {
    let head = [("content-type", "application/json"), ("content-length", "900000")];
    let start = Script::new().head(200, &head).bytes(format!("{{\"a\":\"{}", "x".repeat(500_000)));
    let chunked = [("content-type", "application/json"), ("transfer-encoding", "chunked")];
    let chunks = Script::new().head(200, &chunked).chunk("[1,").chunk("2".repeat(500_000));
    for script in [start, chunks] {
        let gate = Gate::new();
        let provider = Scripted::always(script.gate(&gate).cut()).await;
        let world = World::over(&provider).await;
        let ask = world.posting(CHAT_PATH, r#"{"model":"m"}"#);
        let stream = ask.open().await;
        assert_eq!(stream.status, 200, "it is too large to be held back");
        gate.open();
        let reply = stream.rest().await;
        assert!(reply.broken && reply.body.len() >= 256 * 1024, "{} bytes", reply.body.len());
        assert_eq!(world.entry().await.outcome, Outcome::UpstreamBroke);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_answer_begins_before_it_is_whole() {
    let gate = Gate::new();
    let (first, last) = CHAT.split_at(40);
    let length = CHAT.len().to_string();
    let head = [("content-type", "application/json"), ("content-length", &length)];
    let script = Script::new().head(200, &head).bytes(first).gate(&gate).bytes(last);
    let provider = Scripted::always(script).await;
    let world = World::over(&provider).await;
    let mut stream = world.posting(CHAT_PATH, r#"{"model":"m"}"#).open().await;
    assert_eq!(stream.until("chatcmpl-1").await, first);
    gate.open();
    let reply = stream.rest().await;
    assert_eq!((reply.text().as_str(), reply.broken), (last, false));
    assert_eq!(world.entry().await.usage.map(|it| it.output), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_model_names_the_nearest() {
    let provider = Scripted::always(Script::json(200, CHAT)).await;
    provider.set_models(&["gpt-large", "whisper"]);
    let world = World::over(&provider).await;
    let reply = world.chat("scriptet/gpt-large").await;
    assert_openai(&reply, 404, "model_not_found");
    assert_eq!(reply.json()["error"]["param"], "model");
    let message = reply.json()["error"]["message"].to_string();
    assert!(message.contains("did you mean `scripted/gpt-large`"), "{message}");
    assert_eq!(provider.hits(), 0);
    let entry = world.entry().await;
    assert_eq!((entry.status, entry.outcome, entry.attempts), (404, Outcome::Refused, 0));
    assert_eq!((entry.provider, &*entry.requested_model), (None, "scriptet/gpt-large"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_finds_its_provider_by_name_list_and_default() {
    let first = Scripted::always(Script::json(200, CHAT)).await;
    let other = Scripted::always(Script::json(200, CHAT)).await;
    other.set_models(&["only-here", "vendor/slashed", "m"]);
    let text = format!(
        "{CONFIG}\n[[providers]]\nname = \"other\"\nprovider_type = \"openai-compatible\"\n\
        base_url = \"{{other}}\"\n[[models]]\nname = \"fast\"\ntargets = [\"other/quick\"]\n"
    );
    let world = World::start(&text, &[("scripted", &first), ("other", &other)]).await;
    world.listed("scripted").await;
    world.listed("other").await;
    for (name, provider, model) in [
        ("other/x", "other", "x"),
        ("other/a/b", "other", "a/b"),
        ("fast", "other", "quick"),
        ("only-here", "other", "only-here"),
        ("vendor/slashed", "other", "vendor/slashed"),
        ("m", "scripted", "m"),
        ("nobody-lists-it", "scripted", "nobody-lists-it"),
    ] {
        let (hits, others) = (first.hits(), other.hits());
        let reply = world.chat(name).await;
        assert_eq!(reply.status, 200, "{name}: {}", reply.text());
        let asked = if provider == "other" { &other } else { &first };
        assert_eq!(asked.last().model(), model);
        assert_eq!(first.hits() + other.hits(), hits + others + 1);
        assert_eq!(asked.hits(), 1 + if provider == "other" { others } else { hits }, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_in_another_protocol_than_the_providers_says_so() {
    let provider = Scripted::always(Script::json(200, CHAT)).await;
    let world = World::over(&provider).await;
    let reply = world.post("/v1/messages", r#"{"model":"scripted/m","messages":[]}"#).await;
    assert_eq!(reply.status, 400, "{}", reply.text());
    assert_eq!(reply.json()["error"]["type"], "invalid_request_error");
    let path = "/v1beta/models/scripted%2Fm:generateContent";
    let reply = world.post(path, r#"{"contents":[]}"#).await;
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (400, &json!(400)));
    assert_eq!(provider.hits(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn models_are_listed_in_both_shapes() {
    let provider = Scripted::always(Script::json(200, CHAT)).await;
    provider.set_models(&["a", "vendor/b"]);
    let virtual_model = "[[models]]\nname = \"fast\"\ntargets = [\"scripted/a\"]\n";
    let world = World::with(&provider, virtual_model).await;
    let list = world.get("/v1/models").await.json();
    assert_eq!(list["object"], "list");
    let rows = list["data"].as_array().unwrap();
    let ids: Vec<_> = rows.iter().map(|it| it["id"].as_str().unwrap()).collect();
    assert_eq!(ids[0], "fast");
    for id in ["scripted/a", "scripted/vendor/b", "echo/hello"] {
        assert_eq!(ids.iter().filter(|it| **it == id).count(), 1, "{id} in {ids:?}");
    }
    assert!(rows.iter().all(|it| it["object"] == "model" && it["created"].is_number()));
    assert!(rows.iter().all(|it| it["owned_by"].is_string()));

    let ask = world.ask("GET", "/v1/models").header("anthropic-version", "2023-06-01");
    let list = ask.send().await.json();
    let rows = list["data"].as_array().unwrap();
    assert_eq!(rows.len(), ids.len());
    assert!(rows.iter().all(|it| it["type"] == "model" && it["display_name"].is_string()));
    assert_eq!((&list["has_more"], &list["first_id"]), (&Value::Bool(false), &json!("fast")));
    assert_eq!(list["last_id"].as_str(), ids.last().copied());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_model_is_found_by_its_id() {
    let provider = Scripted::always(Script::json(200, CHAT)).await;
    provider.set_models(&["vendor/b"]);
    let world = World::over(&provider).await;
    for path in ["scripted/vendor/b", "scripted%2Fvendor%2Fb", "scripted%2fvendor/b"] {
        let reply = world.get(&format!("/v1/models/{path}")).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        assert_eq!(reply.json()["id"], "scripted/vendor/b");
    }
    assert_openai(&world.get("/v1/models/scripted/vendor/c").await, 404, "model_not_found");
    let ask = world.ask("GET", "/v1/models/nope").header("anthropic-version", "2023-06-01");
    let reply = ask.send().await;
    assert_eq!((reply.status, &reply.json()["type"]), (404, &json!("error")));
}
