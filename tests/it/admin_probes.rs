//! Whether providers answer, by the admin API: before they are saved, and after.

use serde_json::{Value, json};

use crate::{
    admin::{done, get, refused, send, world},
    samples::CHAT,
    scripted::{Script, Scripted},
};

/// A provider that answers chats.
async fn another() -> Scripted {
    Scripted::always(Script::json(200, CHAT)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_is_tried_before_it_is_saved() {
    let (world, provider) = world("").await;
    provider.set_models(&["m", "n"]);
    // As it is stored.
    let reply = send(&world, "POST", "/providers/test", json!({ "name": "scripted" })).await;
    let told = reply.json();
    assert_eq!((reply.status, &told["ok"], &told["model_count"]), (200, &json!(true), &json!(2)));
    assert_eq!(told["models"], json!(["m", "n"]));
    assert!(told["response_ms"].is_u64() && told["note"].is_null() && told["chatted"].is_null());
    // Stored, with a chat; the credential goes where it belongs.
    let body = json!({ "name": "scripted", "chat": true, "model": "n" });
    let told = send(&world, "POST", "/providers/test", body).await.json();
    assert_eq!(told["chatted"], "n", "{told}");
    assert_eq!(provider.last().header("authorization"), Some("Bearer up-secret"));
    assert_eq!(provider.last().json()["max_tokens"], 1);
    // New, with its own.
    let new = json!({ "provider_type": "openai-compatible", "base_url": provider.base(), "api_key": "given-secret", "chat": true });
    let told = send(&world, "POST", "/providers/test", new).await.json();
    assert_eq!((&told["ok"], &told["chatted"]), (&json!(true), &json!("m")), "{told}");
    assert_eq!(provider.last().header("authorization"), Some("Bearer given-secret"));
    let told =
        send(&world, "POST", "/providers/test", json!({ "provider_type": "echo", "chat": true }))
            .await
            .json();
    assert_eq!(told["ok"], true, "{told}");
    assert!(!world.config_text().contains("given-secret") && world.generation() == 1);
}

/// A server that answers whatever comes in plain HTTP.
async fn plain_http() -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
            let _ = socket.read(&mut [0; 512]).await;
            let _ =
                socket.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
        }
    });
    addr
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_the_way_of_a_provider_is_said_in_words() {
    let (world, _) = world("").await;
    let (refused_base, _socket) = Scripted::refused();
    let second = another().await;
    let leak = json!({ "error": "CANARY of the upstream" }).to_string();
    let to = format!("{}/models", second.base());
    let answers = [
        (Script::json(401, &leak), "auth", "401"),
        (Script::json(403, &leak), "auth", "403"),
        (Script::json(404, &leak), "path", "404"),
        (Script::json(429, &leak), "quota", "429"),
        (Script::json(500, &leak), "server", "500"),
        (Script::json(200, &leak), "shape", "not with a list"),
        (Script::json(200, "<html>CANARY</html>"), "shape", "not with a list"),
        (
            Script::whole(302, &[("location", &to)], ""),
            "path",
            "a redirect, which torod does not follow",
        ),
        (Script::whole(307, &[("location", &to)], ""), "path", "a redirect"),
    ];
    let mut cases = Vec::new();
    for (script, kind, words) in answers {
        let provider = Scripted::always(script).await;
        cases.push((provider.root() + "/list", kind, words));
    }
    cases.extend([
        (refused_base, "connect", "cannot be reached"),
        ("http://no-such-host.invalid/v1".to_owned(), "dns", "no address"),
        ("http://169.254.169.254/v1".to_owned(), "egress", "does not connect"),
        (format!("https://{}/v1", plain_http().await), "tls", "plain HTTP"),
    ]);
    for (url, kind, words) in cases {
        let body = json!({
            "provider_type": "openai-compatible", "base_url": url, "api_key": "CANARY-key",
            "model_list_url": if url.ends_with("/list") { json!(url) } else { Value::Null },
        });
        let reply = send(&world, "POST", "/providers/test", body).await;
        let told = reply.json();
        assert_eq!(
            (reply.status, &told["ok"], &told["kind"]),
            (400, &json!(false), &json!(kind)),
            "{url}: {told}"
        );
        let error = told["error"].as_str().unwrap();
        assert!(error.contains(words), "{url}: {error}");
        assert!(!reply.text().contains("CANARY") && !error.contains("http://"), "{error}");
    }
    assert_eq!((second.hits(), second.lists()), (0, 0), "no redirect was followed");
    for body in [
        json!({ "provider_type": "openai-compatible" }),
        json!({ "provider_type": "nope" }),
        json!({ "base_url": "file:///etc/passwd" }),
    ] {
        refused(&world, "POST", "/providers/test", body, (422, "config_invalid")).await;
    }
    refused(&world, "POST", "/providers/test", json!({ "api_kye": "x" }), (400, "unknown_field"))
        .await;
    refused(
        &world,
        "POST",
        "/providers/test",
        json!({ "api_key": "***#01234567" }),
        (422, "mask_in_edit"),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_of_a_provider_is_that_of_its_last_list() {
    let (world, provider) = world("").await;
    let is = async |word: &str, name: &str| {
        let row = get(&world, &format!("/providers/{name}")).await.0;
        assert_eq!(row["status"], word, "{row}");
        row
    };
    let row = is("online", "scripted").await;
    assert!(
        row["response_ms"].is_u64() && row["checked_at"].is_string() && row["problem"].is_null()
    );
    is("online", "echo").await;
    let sick = Scripted::always(Script::json(401, "{}")).await;
    for (name, base, extra) in [
        ("sick", sick.root() + "/sick", json!(sick.root() + "/list")),
        ("down", Scripted::refused().0, Value::Null),
        ("meta", "http://169.254.169.254/v1".to_owned(), Value::Null),
    ] {
        let body = json!({ "name": name, "provider_type": "openai-compatible", "base_url": base, "model_list_url": extra });
        done(&world, "POST", "/providers", body).await;
        let told =
            done(&world, "POST", &format!("/providers/{name}/refresh"), Value::Null).await.json();
        assert_eq!(told, json!({ "status": "ok", "providers": 1, "online": 0 }));
    }
    let row = is("auth problem", "sick").await;
    assert!(row["problem"].as_str().unwrap().contains("401"), "{row}");
    is("offline", "down").await;
    is("blocked", "meta").await;
    let body =
        json!({ "name": "lost", "provider_type": "groq", "api_key": "${env:NO_SUCH_VARIABLE}" });
    done(&world, "POST", "/providers", body).await;
    let row = is("auth problem", "lost").await;
    assert_eq!(
        (&row["credential"]["set"], &row["credential"]["unresolved"]),
        (&json!(true), &json!(true))
    );
    // New models are there with the answer.
    provider.set_models(&["m", "n", "o"]);
    let told = done(&world, "POST", "/providers/refresh", Value::Null).await.json();
    assert_eq!((&told["providers"], &told["online"]), (&json!(6), &json!(2)), "{told}");
    assert_eq!(is("online", "scripted").await["model_count"], 3);
    let (catalog, _) = get(&world, "/models/catalog").await;
    let rows = catalog["data"].as_array().unwrap();
    let of = |name: &str| {
        rows.iter()
            .filter(|it| it["provider"] == name)
            .map(|it| it["model"].as_str().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!((of("scripted"), of("down")), (vec!["m", "n", "o"], vec![""]), "{catalog}");
    let down = rows.iter().find(|it| it["provider"] == "down").unwrap();
    assert_eq!(
        (&down["status"], &down["provider_type"]),
        (&json!("offline"), &json!("openai-compatible"))
    );
    provider.set_models(&["p"]);
    let told = done(&world, "POST", "/models/refresh", Value::Null).await.json();
    assert!(told["data"].as_array().unwrap().iter().any(|it| it["model"] == "p"), "{told}");
}
