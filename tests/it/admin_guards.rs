//! What stands before every route of the admin API, and what no answer of it ever holds.

use serde_json::{Value, json};
use tokenrouter::{access::Right, admin::ROUTES};

use crate::{
    admin::{API, asking, done, get, refused, world},
    world::World,
};

/// Secrets of every kind that a file can hold, each with `CANARY` in it.
const SECRETS: &str = r#"
# was: api_key = "sk-CANARY-comment-0001"
[[incoming_tokens]]
id = "plain"
key = "sk-CANARY-plain-key-0002"

[[providers]]
name = "groq"
enabled = false
api_key = "gsk-CANARY-groq-0003"
headers = { "x-team" = "CANARY-header-0004" }

[[providers]]
name = "own"
enabled = false
base_url = "https://own.example/v1?key=CANARY-query-0005"
model_list_url = "https://own.example/models?api_key=CANARY-query-0006"
provider_type = "openai-compatible"
api_key = '''CANARY-raw-0007'''

[tls]
key_pem = "CANARY-pem-0008"
[alerts]
webhook = "https://hooks.example/CANARY-0009"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_holds_a_secret() {
    let (world, _) = world(SECRETS).await;
    let mut all = Vec::new();
    for row in ROUTES.iter().filter(|it| it.method == "GET") {
        let path = row
            .path
            .replace(
                "{revision}",
                &tokenrouter::config::Revision::of(world.config_text()).to_string(),
            )
            .replace("providers/{name}", "providers/own")
            .replace("{id}", "plain");
        all.push(world.get(&path).await);
        let ask = world.ask("GET", &path).header("accept", "application/toml");
        all.push(ask.send().await);
    }
    for (method, path, body) in [
        ("PUT", "/providers/own", json!({ "timeout_seconds": 3 })),
        (
            "PUT",
            "/providers/own?dry_run=1",
            json!({ "timeout_seconds": 4, "headers": { "x-a": "b" } }),
        ),
        ("PUT", "/access-tokens/plain", json!({ "name": "Plain" })),
        ("PUT", "/settings/tls", json!({ "email": "x@y.example" })),
        ("PATCH", "/config?dry_run=1", json!([{ "op": "unset", "path": "tls.key_pem" }])),
        ("PATCH", "/config", json!([{ "op": "set", "path": "tls.mode", "value": "magic" }])),
        (
            "PATCH",
            "/config",
            json!([{ "op": "set", "path": "providers.own.base_url", "value": "x" }]),
        ),
        ("POST", "/config/validate", json!({ "text": "a = 1" })),
        ("POST", "/providers/test", json!({ "name": "own" })),
    ] {
        all.push(asking(&world, method, path, &body).send().await);
        all.push(asking(&world, method, path, &body).header("if-match", "\"stale\"").send().await);
    }
    assert!(all.len() > 50 && all.iter().all(|it| it.status < 500));
    for reply in &all {
        let text = reply.text();
        for secret in ["CANARY", "up-secret", "sk-test"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }
    assert!(all.iter().any(|it| it.text().contains("***#")));
    assert_eq!(world.config_text().matches("CANARY").count(), 9, "and none is lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_site_is_refused() {
    let (world, _) = world("").await;
    let own = format!("http://{}", world.addr);
    let before = world.config_text();
    for (headers, wanted) in [
        (&[("origin", &*own)][..], 200),
        (&[("origin", &own), ("sec-fetch-site", "same-origin")], 200),
        (&[("sec-fetch-site", "none")], 200),
        (&[("origin", "http://evil.example")], 403),
        (&[("origin", "null")], 403),
        (&[("origin", "http://127.0.0.1:1")], 403),
        (&[("origin", &own), ("origin", "http://evil.example")], 403),
        (&[("sec-fetch-site", "cross-site")], 403),
        (&[("origin", &own), ("sec-fetch-site", "cross-site")], 403),
    ] {
        for (method, path, body) in [
            ("PUT", "/settings/logs?dry_run=1", json!({ "level": "debug" })),
            ("POST", "/config/reload", Value::Null),
            ("GET", "/config", Value::Null),
        ] {
            let ask = asking(&world, method, path, &body);
            let ask = headers.iter().fold(ask, |ask, (name, value)| ask.header(name, *value));
            let reply = ask.send().await;
            assert_eq!(reply.status, wanted, "{method} {headers:?}: {}", reply.text());
            assert!(reply.header("access-control-allow-origin").is_none());
        }
    }
    assert_eq!(world.config_text(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_json_and_small() {
    let (world, _) = world("").await;
    let put = |kind: Option<&str>, body: Vec<u8>| {
        let ask = world.ask("PUT", &format!("{API}/settings/logs?dry_run=1"));
        kind.map_or(ask.clone(), |it| ask.header("content-type", it)).body(body)
    };
    let body = || br#"{"level":"debug"}"#.to_vec();
    for (kind, body, wanted) in [
        (Some("application/json"), body(), (200, "")),
        (Some("Application/JSON; charset=utf-8"), body(), (200, "")),
        (None, body(), (415, "unsupported_media_type")),
        (Some("text/plain"), body(), (415, "unsupported_media_type")),
        (Some("application/x-www-form-urlencoded"), body(), (415, "unsupported_media_type")),
        (Some("application/json"), Vec::new(), (400, "invalid_json")),
        (Some("application/json"), b"{\"level\":".to_vec(), (400, "invalid_json")),
        (Some("application/json"), b"\xff".to_vec(), (400, "invalid_json")),
        (Some("application/json"), b"[]".to_vec(), (400, "invalid_value")),
        (Some("application/json"), vec![b'['; 100_000], (400, "invalid_value")),
        (Some("application/json"), b"{\"level\":".repeat(10_000), (400, "invalid_json")),
        (Some("application/json"), vec![b' '; 1024 * 1024 + 1], (413, "body_too_large")),
    ] {
        let what = format!("{kind:?} {}", body.len());
        let reply = put(kind, body).send().await;
        assert_eq!((reply.status, reply.code().as_str()), wanted, "{what}: {}", reply.text());
    }
    let encoded = put(Some("application/json"), body()).header("content-encoding", "gzip");
    assert_eq!(encoded.send().await.status, 415);
    // Without a length the limit holds all the same.
    let mut bytes = format!(
        "PUT {API}/settings/logs HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer sk-test\r\n\
         content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
        world.addr
    )
    .into_bytes();
    for _ in 0..17 {
        bytes.extend_from_slice(format!("10000\r\n{}\r\n", " ".repeat(0x1_0000)).as_bytes());
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    let reply = String::from_utf8_lossy(&world.raw(bytes).await).into_owned();
    assert!(reply.starts_with("HTTP/1.1 413"), "{reply}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_edit_says_who_did_it_and_what() {
    // The audit line is H2's; that the author is right is seen in what was overwritten.
    let (world, _) = world("").await;
    let before = world.config_text();
    done(&world, "PUT", "/providers/scripted", json!({ "timeout_seconds": 9 })).await;
    world.save(&format!("# an editor that had read before\n{before}"));
    let listed = || world.app().live.overwritten();
    crate::world::eventually("the loss is seen", || !listed().is_empty()).await;
    let (status, _) = get(&world, "/config/status").await;
    let lost = &status["overwritten"][0];
    assert_eq!(lost["by"].as_str().map(|it| it.contains("Tester")), Some(true), "{lost}");
    assert!(lost["what"].as_str().unwrap().contains("timeout_seconds"), "{lost}");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_on_this_machine_need_no_key() {
    let (world, _) = world("").await;
    let socket = world.dir.path().join("state/control.sock");
    let stream = tokio::net::UnixStream::connect(socket).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let body = http_body_util::Full::new(bytes::Bytes::from_static(br#"{"level":"debug"}"#));
    let request = http::Request::put("/admin/api/settings/logs")
        .header("host", "localhost")
        .header("content-type", "application/json")
        .body(body)
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(world.config_text().contains("level = \"debug\""));
}

/// Kept short: what each method means to each of some paths that are almost routes.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_almost_a_route_is_none() {
    let (world, _) = world("").await;
    for (method, path, wanted) in [
        ("DELETE", "/config", 405),
        ("PUT", "/providers/popular", 405),
        ("GET", "/providers/", 404),
        ("GET", "/providers/a/b", 404),
        ("GET", "/providers/%ff", 404),
        ("GET", "/access-tokens/%2e%2e", 404),
        ("PATCH", "/providers/echo", 405),
        ("POST", "/version", 405),
        ("GET", "/nothing", 404),
    ] {
        let reply = asking(&world, method, path, &Value::Null).send().await;
        assert_eq!(reply.status, wanted, "{method} {path}: {}", reply.text());
    }
    refused(&world, "PUT", "/providers/x", json!({}), (404, "not_found")).await;
}

#[test]
fn all_but_keys_is_for_admins_alone() {
    for row in ROUTES {
        let wanted = match row.path {
            "/admin" => Right::Public,
            it if it.starts_with("/admin/api/access-tokens") => Right::DelegateKeys,
            _ => Right::Administer,
        };
        assert_eq!(row.right, wanted, "{} {}", row.method, row.path);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_describes_itself() {
    let (world, _) = world("").await;
    let (document, _) = get(&world, "/openapi.json").await;
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().unwrap();
    for row in ROUTES.iter().filter(|it| it.path.starts_with(API)) {
        let operation = &paths[&row.path.replace("{*", "{")][row.method.to_lowercase()];
        assert!(
            operation["x-right"].is_string() && operation["security"].is_array(),
            "{}",
            row.path
        );
    }
    let (version, _) = get(&world, "/version").await;
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    assert_form(&world, &document).await;
}

/// The rows that are really served have the keys that their description requires.
async fn assert_form(world: &World, document: &Value) {
    for (path, schema) in [
        ("/config", "ConfigText"),
        ("/config/status", "ConfigStatus"),
        ("/providers/echo", "ProviderRow"),
        ("/access-tokens/tester", "KeyRow"),
        ("/models", "ModelCatalog"),
        ("/settings/network", "Network"),
        ("/settings/tls", "TlsSettings"),
        ("/settings/security", "Security"),
        ("/version", "Version"),
    ] {
        let (served, _) = get(world, path).await;
        let schema = &document["components"]["schemas"][schema];
        for key in schema["required"].as_array().unwrap() {
            assert!(served.get(key.as_str().unwrap()).is_some(), "{path}: {key}");
        }
        for key in served.as_object().unwrap().keys() {
            assert!(schema["properties"].get(key).is_some(), "{path}: `{key}` is not described");
        }
    }
}
