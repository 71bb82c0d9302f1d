//! What is where: liveness, the way to the admin page, and what is said of paths that are not.

use serde_json::json;

use crate::{
    samples::CHAT,
    scripted::{Script, Scripted},
    world::World,
};

async fn world() -> World {
    World::over(&Scripted::always(Script::json(200, CHAT)).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn liveness_needs_no_key() {
    let world = world().await;
    for path in ["/healthz", "/readyz"] {
        assert_eq!(world.bare("GET", path).send().await.status, 200, "{path}");
    }
    let reply = world.bare("GET", "/").send().await;
    assert_eq!((reply.status, reply.header("location")), (302, Some("/admin")));
    assert_eq!(world.bare("GET", "/admin").send().await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_is_a_get_without_a_body() {
    let world = world().await;
    for path in ["/", "/healthz", "/readyz", "/v1", "/v1/models", "/v1/status"] {
        let reply = world.ask("HEAD", path).send().await;
        assert!(matches!(reply.status, 200 | 302), "{path}: {}", reply.status);
        assert!(reply.header("x-request-id").is_some(), "{path}");
    }
    // What follows on the connection is the next answer, not a body.
    let both = "HEAD /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n\
        GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let text = String::from_utf8(world.raw(both).await).unwrap();
    assert_eq!(text.matches("HTTP/1.1 200").count(), 2, "{text}");
    assert_eq!(text.matches("\r\n\r\nok\n").count(), 1, "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_root_of_v1_tells_what_there_is() {
    let world = world().await;
    for path in ["/v1", "/v1/"] {
        let reply = world.get(path).await;
        assert_eq!(reply.status, 200, "{path}");
        let paths = reply.json()["paths"].clone();
        assert!(paths.as_array().unwrap().contains(&json!("/v1/chat/completions")), "{paths}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_adds_up() {
    let world = world().await;
    for _ in 0..3 {
        assert_eq!(world.chat("m").await.status, 200);
    }
    world.entries(3).await;
    let status = world.get("/v1/status").await.json();
    assert_eq!((&status["requests"], &status["outcomes"]["ok"]), (&json!(3), &json!(3)));
    assert_eq!((&status["prompt_tokens"], &status["completion_tokens"]), (&json!(9), &json!(6)));
    assert_eq!((&status["total_tokens"], &status["generation"]), (&json!(15), &json!(1)));
    assert_eq!(status["providers_available"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_method_is_told_the_right_one() {
    let world = world().await;
    for (method, path, allowed) in [
        ("GET", "/v1/chat/completions", "POST"),
        ("DELETE", "/v1/models", "GET"),
        ("PUT", "/v1/embeddings", "POST"),
        ("POST", "/healthz", "GET"),
        ("GET", "/admin/api/config/reload", "POST"),
        ("GET", "/v1/responses", "POST"),
    ] {
        let reply = world.ask(method, path).send().await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (405, "method_not_allowed"),
            "{method} {path}"
        );
        let allow = reply.header("allow").unwrap_or_default();
        assert!(allow.split(',').any(|it| it.trim() == allowed), "{method} {path}: `{allow}`");
    }
    let reply = world.ask("GET", "/v1/messages").send().await;
    assert_eq!((reply.status, &reply.json()["type"]), (405, &json!("error")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_path_is_said_in_the_clients_protocol() {
    let world = world().await;
    for path in ["/nope", "/v1/nope", "/v1/chat/completions/x", "/admin/nope", "/v1//models"] {
        let reply = world.get(path).await;
        assert_eq!((reply.status, reply.code().as_str()), (404, "not_found"), "{path}");
    }
    let reply = world.get("/v1/messages/nope").await;
    let error = json!({"type": "not_found_error", "message": "there is nothing at this path"});
    assert_eq!(reply.json(), json!({"type": "error", "error": error}));
    assert_eq!(reply.status, 404);
    for ask in [world.posting("/v1beta/nope", "{}"), world.ask("GET", "/v1beta/a/b")] {
        let reply = ask.send().await;
        let error = &reply.json()["error"];
        assert!(error["code"].is_number() && error["status"].is_string(), "{}", reply.text());
        assert!(matches!(reply.status, 404 | 405));
    }
    let ask = world.ask("GET", "/nope").header("anthropic-version", "2023-06-01");
    assert_eq!(ask.send().await.json()["type"], "error");
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_spellings_of_a_path_are_no_way_around_a_key() {
    let world = world().await;
    for path in [
        "/admin/api/config/status/",
        "/admin//api/config/status",
        "/admin/api/./config/status",
        "/healthz/../admin/api/config/status",
        "/%61dmin/api/config/status",
        "/ADMIN/api/config/status",
    ] {
        let reply = world.bare("GET", path).send().await;
        assert!(matches!(reply.status, 400 | 401 | 404), "{path}: {}", reply.status);
        assert!(!reply.text().contains("revision"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_of_responses_is_refused_at_once() {
    let world = world().await;
    let ask = world
        .ask("GET", "/v1/responses")
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    let reply = ask.send().await;
    assert_eq!((reply.status, reply.code().as_str()), (426, "upgrade_required"));
}
