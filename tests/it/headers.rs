//! Which headers pass, which do not, and which torod adds.

use crate::{
    samples::CHAT,
    scripted::{Script, Scripted},
    world::{CONFIG, World},
};

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_the_client_stays_with_torod() {
    let provider = Scripted::always(Script::json(200, CHAT)).await;
    let world = World::over(&provider).await;
    let never = [
        ("cookie", "session=1"),
        ("x-api-key", "sk-test"),
        ("api-key", "sk-test"),
        ("x-goog-api-key", "sk-test"),
        ("forwarded", "for=1.2.3.4"),
        ("x-forwarded-for", "1.2.3.4"),
        ("x-forwarded-host", "inside"),
        ("x-forwarded-proto", "https"),
        ("x-real-ip", "1.2.3.4"),
        ("via", "1.1 proxy"),
        ("cf-connecting-ip", "1.2.3.4"),
        ("origin", "http://localhost:3000"),
        ("referer", "http://localhost:3000/"),
        ("sec-fetch-mode", "cors"),
        ("sec-ch-ua", "x"),
        ("te", "trailers"),
        ("proxy-authorization", "Basic eDp5"),
        ("keep-alive", "timeout=5"),
        ("x-mine", "named by connection"),
        ("x-request-id", "client-1"),
        ("x-torod-trace", "1"),
    ];
    let passing = [
        ("user-agent", "story/1"),
        ("accept", "application/json"),
        ("openai-organization", "org-1"),
        ("anthropic-beta", "a,b"),
        ("idempotency-key", "k1"),
        ("x-stainless-lang", "python"),
        ("content-type", "application/json; charset=utf-8"),
    ];
    let mut ask = world.posting("/v1/chat/completions", r#"{"model":"m"}"#).without("content-type");
    ask = ask.header("connection", "keep-alive, x-mine").header("accept-encoding", "gzip, br");
    for (name, value) in never.into_iter().chain(passing) {
        ask = ask.header(name, value);
    }
    let reply = ask.send().await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let request = provider.last();
    for (name, _) in never {
        assert_eq!(request.header(name), None, "{name}");
    }
    for (name, value) in passing {
        assert_eq!(request.header(name), Some(value));
    }
    assert_eq!(request.header("accept-encoding"), Some("identity"));
    assert_eq!(request.header("authorization"), Some("Bearer up-secret"));
    assert_eq!(request.header("host"), provider.root().strip_prefix("http://"));
    assert_eq!(request.header("content-length"), Some("13"));
    assert_eq!(request.header("transfer-encoding"), None);
    let count = |name: &str| request.headers.iter().filter(|it| it.0 == name).count();
    assert_eq!((count("authorization"), count("content-length"), count("host")), (1, 1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callers_key_is_nowhere_in_what_the_provider_gets() {
    let provider = Scripted::always(Script::json(200, CHAT)).await;
    let world = World::over(&provider).await;
    let ask = world.bare("POST", "/v1/chat/completions?key=sk-test&x=1");
    let ask = ask.header("x-api-key", "sk-test").header("authorization", "Bearer sk-test");
    assert_eq!(ask.body(r#"{"model":"m"}"#).send().await.status, 200);
    let request = provider.last();
    assert!(!request.path.contains("sk-test"), "{}", request.path);
    assert!(request.headers.iter().all(|it| !it.1.contains("sk-test")), "{:?}", request.headers);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_provider_gets_the_credential_its_own_way() {
    let provider = Scripted::always(Script::json(200, CHAT)).await;
    let more = r#"
[[providers]]
name = "claude"
provider_type = "anthropic"
base_url = "{scripted}"
api_key = "up-claude"
headers = { "x-team" = "blue", "anthropic-beta" = "ours" }

[[providers]]
name = "google"
provider_type = "gemini"
base_url = "{scripted}"
api_key = "up-google"
"#;
    let world = World::with(&provider, more).await;
    let body = r#"{"model":"claude/m","messages":[]}"#;
    assert_eq!(world.post("/v1/messages", body).await.status, 200);
    let request = provider.last();
    assert_eq!((request.path.as_str(), request.model().as_str()), ("/v1/messages", "m"));
    assert_eq!(request.header("x-api-key"), Some("up-claude"));
    assert_eq!(request.header("authorization"), None);
    assert_eq!(request.header("anthropic-version"), Some("2023-06-01"));
    assert_eq!(request.header("x-team"), Some("blue"));

    let ask = world.posting("/v1/messages/count_tokens?beta=true", body);
    let ask = ask.header("anthropic-version", "2024-01-01").header("anthropic-beta", "theirs");
    assert_eq!(ask.send().await.status, 200);
    let request = provider.last();
    assert_eq!(request.path, "/v1/messages/count_tokens?beta=true");
    assert_eq!(request.header("anthropic-version"), Some("2024-01-01"));
    assert_eq!(request.header("anthropic-beta"), Some("ours"), "what the file says wins");

    for path in
        ["/v1beta/models/google%2Fm:generateContent", "/v1beta/models/google/m:generateContent"]
    {
        assert_eq!(
            world.post(&format!("{path}?key=sk-test"), r#"{"contents":[]}"#).await.status,
            200
        );
        let request = provider.last();
        assert_eq!(request.path, "/v1/models/m:generateContent", "the base names the version");
        assert_eq!(request.header("x-goog-api-key"), Some("up-google"));
        assert_eq!(request.header("authorization"), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_the_provider_stays_with_torod() {
    let never = [
        ("set-cookie", "a=b"),
        ("server", "nginx"),
        ("alt-svc", "h3=\":443\""),
        ("via", "1.1 x"),
        ("strict-transport-security", "max-age=1"),
        ("access-control-allow-origin", "*"),
        ("cf-ray", "1"),
        ("keep-alive", "timeout=5"),
        ("x-hop", "named by connection"),
        ("x-echo", "Bearer up-secret"),
    ];
    let passing = [
        ("openai-processing-ms", "12"),
        ("x-ratelimit-limit-requests", "100"),
        ("openai-model", "m-2024"),
        ("content-type", "application/json"),
    ];
    let mut headers: Vec<_> = never.into_iter().chain(passing).collect();
    headers.push(("x-request-id", "req-provider"));
    headers.push(("connection", "keep-alive, x-hop"));
    headers.push(("x-torod-generation", "99"));
    let provider = Scripted::always(Script::whole(200, &headers, CHAT)).await;
    let world = World::over(&provider).await;
    let reply = world.chat("m").await;
    for (name, _) in never {
        assert_eq!(reply.header(name), None, "{name}");
    }
    for (name, value) in passing {
        assert_eq!(reply.header(name), Some(value));
    }
    assert_eq!(reply.header("x-provider-request-id"), Some("req-provider"));
    assert_ne!(reply.header("x-request-id"), Some("req-provider"));
    assert_eq!(reply.header("x-torod-generation"), Some("1"));
    assert_eq!(reply.header("content-length"), Some(CHAT.len().to_string().as_str()));
    let count = |name: &str| reply.headers.iter().filter(|it| it.0 == name).count();
    assert_eq!((count("x-request-id"), count("content-length"), count("date")), (1, 1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_reply_says_which_request_and_which_config_it_is_of() {
    let provider = Scripted::always(Script::json(200, CHAT)).await;
    let world = World::over(&provider).await;
    let mut seen = std::collections::HashSet::new();
    for ask in [
        world.bare("GET", "/healthz"),
        world.bare("GET", "/v1/models"),
        world.ask("GET", "/v1/models"),
        world.ask("GET", "/v1/nope"),
        world.ask("DELETE", "/v1/models"),
        world.posting("/v1/chat/completions", "{"),
        world.posting("/v1/chat/completions", r#"{"model":"m"}"#),
        world.posting("/v1/chat/completions", r#"{"model":"nope/m"}"#),
        world.bare("GET", "/healthz").with("host", "evil.example"),
    ] {
        let reply = ask.send().await;
        let id = reply.header("x-request-id").unwrap_or_default().to_owned();
        assert!(id.len() > 8 && seen.insert(id), "{} {:?}", reply.status, reply.headers);
        assert_eq!(reply.header("x-torod-generation"), Some("1"), "{}", reply.status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sane_request_id_of_the_client_is_kept() {
    let provider = Scripted::always(Script::json(200, CHAT)).await;
    let world = World::over(&provider).await;
    let ask = world.posting("/v1/chat/completions", r#"{"model":"m"}"#);
    let reply = ask.header("x-request-id", "trace-7.a:b_c").send().await;
    assert_eq!(reply.header("x-request-id"), Some("trace-7.a:b_c"));
    assert_eq!(&*world.entry().await.request_id, "trace-7.a:b_c");
    for bad in ["", "a b", "<script>", "é", &"a".repeat(200)] {
        let reply = world.bare("GET", "/healthz").header("x-request-id", bad).send().await;
        let id = reply.header("x-request-id").unwrap();
        assert!(id.starts_with("req_") && id != bad, "{bad}: {id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_not_followed() {
    let trap = Scripted::always(Script::json(200, CHAT)).await;
    for status in [301, 302, 303, 307, 308] {
        let headers = [("location", &*format!("{}/chat/completions", trap.base()))];
        let provider = Scripted::always(Script::whole(status, &headers, "")).await;
        let world = World::over(&provider).await;
        let reply = world.chat("m").await;
        assert_eq!((reply.status, reply.code().as_str()), (502, "upstream_garbage"), "{status}");
        assert_eq!(reply.header("location"), None);
    }
    assert_eq!(trap.hits(), 0, "a credential never goes elsewhere");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_to_the_provider_serves_many_requests() {
    let provider = Scripted::always(Script::json(200, CHAT)).await;
    let world = World::over(&provider).await;
    for _ in 0..20 {
        assert_eq!(world.chat("m").await.status, 200);
    }
    assert!(provider.connections() <= 3, "{} connections", provider.connections());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encoded_reply_passes_as_it_is_and_is_metered() {
    use std::io::Write as _;
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(CHAT.as_bytes()).unwrap();
    let bytes = writer.finish().unwrap();
    let headers = [("content-type", "application/json"), ("content-encoding", "gzip")];
    let provider = Scripted::always(Script::whole(200, &headers, &bytes)).await;
    let world = World::start(CONFIG, &[("scripted", &provider)]).await;
    let reply = world.chat("m").await;
    assert_eq!((reply.status, reply.header("content-encoding")), (200, Some("gzip")));
    assert!(reply.body == bytes);
    let usage = world.entry().await.usage.unwrap();
    assert_eq!((usage.input, usage.output), (3, 2));
}
