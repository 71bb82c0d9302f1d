//! Who may do what: keys, their roles, their ends, their parents, and their lists of models.

use tokenrouter::{
    access::Right,
    base::{digest, hex},
    door::Route,
    store::Outcome,
};

use crate::{
    samples::CHAT,
    scripted::{Script, Scripted},
    world::{Ask, CONFIG, World, eventually},
};

const CHAT_PATH: &str = "/v1/chat/completions";

/// Keys of each kind beside the admin of [`CONFIG`].
const KEYS: &str = r#"
[[incoming_tokens]]
id = "keymaster"
role = "keymaster"
key = "sk-keymaster"

[[incoming_tokens]]
id = "inferrer"
key = "sk-inferrer"

[[incoming_tokens]]
id = "expired"
role = "admin"
key = "sk-expired"
expires_at = 2020-01-01T00:00:00Z

[[incoming_tokens]]
id = "child-of-expired"
role = "admin"
key = "sk-child-of-expired"
parent_id = "expired"

[[incoming_tokens]]
id = "grandchild-of-expired"
key = "sk-grandchild-of-expired"
parent_id = "child-of-expired"

[[incoming_tokens]]
id = "orphan"
key = "sk-orphan"
parent_id = "nobody"

[[incoming_tokens]]
id = "child"
key = "sk-child"
parent_id = "keymaster"
expires_at = 2999-01-01T00:00:00Z
"#;

async fn world(more: &str) -> World {
    let provider = Scripted::always(Script::json(200, CHAT)).await;
    World::with(&provider, more).await
}

fn with_key(ask: Ask, key: &str) -> Ask {
    ask.header("authorization", format!("Bearer {key}"))
}

/// A request to a route of the table that reaches its handler.
fn ask_for(world: &World, row: &Route) -> Ask {
    let mut path = String::new();
    for segment in row.path.split('/').skip(1) {
        let call = row.method == "POST" && segment == "{*call}";
        let named = if segment.starts_with('{') { "x" } else { segment };
        path += "/";
        path += if call { "models/x:generateContent" } else { named };
    }
    let ask = world.bare(row.method, &path);
    if matches!(row.method, "POST" | "PUT" | "PATCH") {
        let json = if row.path.starts_with("/admin") { "{}" } else { r#"{"model":"echo/x"}"# };
        ask.header("content-type", "application/json").body(json)
    } else {
        ask
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_asks_for_its_right_and_no_more() {
    let world = world(KEYS).await;
    let rows: Vec<_> =
        tokenrouter::gateway::ROUTES.iter().chain(tokenrouter::admin::ROUTES).collect();
    assert!(rows.iter().any(|it| it.right == Right::Administer), "both tables are looked at");
    let nobody = [None, Some("sk-wrong"), Some("sk-expired"), Some("sk-orphan"), Some("")];
    let roles = [("sk-inferrer", 1), ("sk-keymaster", 2), ("sk-test", 3)];
    let before = world.config_text();
    for row in rows {
        let what = format!("{} {}", row.method, row.path);
        let (needed, public) = match row.right {
            Right::Public => (0, true),
            Right::Infer => (1, false),
            Right::DelegateKeys => (2, false),
            Right::Administer => (3, false),
        };
        for key in nobody {
            let ask = ask_for(&world, row);
            let reply = key.map_or(ask.clone(), |it| with_key(ask, it)).send().await;
            assert_eq!(reply.status == 401, !public, "{what} with {key:?}: {}", reply.status);
            assert_ne!(reply.status, 403, "{what} with {key:?}");
        }
        for (key, rank) in roles {
            let reply = with_key(ask_for(&world, row), key).send().await;
            assert_eq!(reply.status == 403, rank < needed, "{what} with {key}: {}", reply.status);
            assert_ne!(reply.status, 401, "{what} with {key}");
            assert!(reply.status < 500, "{what} with {key}: {}", reply.text());
        }
    }
    assert_eq!(world.config_text(), before, "none of it was a change");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_taken_from_each_of_its_headers() {
    let world = world(KEYS).await;
    for (name, value) in [
        ("authorization", "Bearer sk-inferrer"),
        ("authorization", "bearer  sk-inferrer"),
        ("Authorization", "BEARER sk-inferrer"),
        ("x-api-key", "sk-inferrer"),
        ("x-goog-api-key", "sk-inferrer"),
        ("api-key", "sk-inferrer"),
    ] {
        let reply = world.bare("GET", "/v1/models").header(name, value).send().await;
        assert_eq!(reply.status, 200, "{name}: {value}");
    }
    for (name, value) in [
        ("authorization", "sk-inferrer"),
        ("authorization", "Basic c2staW5mZXJyZXI6"),
        ("authorization", "Bearer"),
        ("authorization", "Bearer sk-inferrer2"),
        ("authorization", "Bearer sk-inferre"),
        ("x-api-key", "Bearer sk-inferrer"),
        ("x-api-key", ""),
        ("api-key", "é"),
        ("cookie", "authorization=sk-inferrer"),
    ] {
        let reply = world.bare("GET", "/v1/models").header(name, value).send().await;
        assert_eq!(reply.status, 401, "{name}: {value}");
    }
    let reply = world.bare("GET", "/v1/models?key=sk-inferrer").send().await;
    assert_eq!(reply.status, 401, "no key in a URL");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_bad_keys_get_the_same_answer() {
    let world = world(KEYS).await;
    let path = "/v1/models";
    let none = world.bare("GET", path).send().await;
    assert_eq!((none.status, none.code().as_str()), (401, "invalid_api_key"));
    assert!(none.header("www-authenticate").is_some());
    for key in [
        "sk-wrong",
        "sk-expired",
        "sk-child-of-expired",
        "sk-grandchild-of-expired",
        "sk-orphan",
        "up-secret",
    ] {
        let reply = with_key(world.bare("GET", path), key).send().await;
        assert_eq!((reply.status, &reply.body), (401, &none.body), "{key}");
        let chat = with_key(world.bare("POST", CHAT_PATH), key).body(r#"{"model":"m"}"#);
        assert_eq!(chat.send().await.status, 401, "{key}");
    }
    for (path, field) in [("/v1/messages", "type"), ("/v1beta/models/m:generateContent", "error")] {
        let reply = world.bare("POST", path).body("{}").send().await;
        assert_eq!(reply.status, 401);
        assert!(!reply.json()[field].is_null(), "its own shape: {}", reply.text());
    }
    assert_eq!(world.app().ledger.totals().requests, 0, "401 makes no entry");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_lives_as_long_as_its_parent_and_is_booked_under_its_own_name() {
    let world = world(KEYS).await;
    let ask = with_key(world.bare("POST", CHAT_PATH), "sk-child").body(r#"{"model":"m"}"#);
    assert_eq!(ask.send().await.status, 200);
    let entry = world.entry().await;
    assert_eq!(
        (entry.key_id.as_deref(), entry.parent.as_deref()),
        (Some("child"), Some("keymaster"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_ends_at_its_hour_without_a_reload() {
    let end = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(3);
    let key = format!(
        "[[incoming_tokens]]\nid = \"brief\"\nkey = \"sk-brief\"\nexpires_at = \"{end}\"\n"
    );
    let world = world(&key).await;
    let mut last = 0;
    while jiff::Timestamp::now() < end + jiff::SignedDuration::from_secs(1) {
        let sent = jiff::Timestamp::now();
        last = with_key(world.bare("GET", "/v1/models"), "sk-brief").send().await.status;
        let came = jiff::Timestamp::now();
        if came < end {
            assert_eq!(last, 200, "{came}");
        } else if sent >= end {
            assert_eq!(last, 401, "{sent}");
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!((last, world.generation()), (401, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hash_in_the_file_stands_for_the_key() {
    let hash = hex(&digest("tr_secret"));
    let key = format!("[[incoming_tokens]]\nid = \"hashed\"\nkey_hash = \"sha256:{hash}\"\n");
    let world = world(&key).await;
    let status =
        async |key: &str| with_key(world.bare("GET", "/v1/models"), key).send().await.status;
    assert_eq!(status("tr_secret").await, 200);
    assert_eq!(status(&hash).await, 401, "the hash is no key");
    assert_eq!(status(&format!("sha256:{hash}")).await, 401);
}

const LISTS: &str = r#"
[[incoming_tokens]]
id = "narrow"
key = "sk-narrow"
models = ["scripted/*", "fast"]

[[incoming_tokens]]
id = "narrower"
key = "sk-narrower"
parent_id = "narrow"
models = ["*"]

[[incoming_tokens]]
id = "echoes"
key = "sk-echoes"
models = ["echo/*"]

[[models]]
name = "fast"
targets = ["echo/hello"]

[[models]]
name = "mixed"
targets = ["echo/hello", "scripted/m"]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_key_calls_the_models_of_its_list_only() {
    let world = world(LISTS).await;
    let chat = async |key: &str, model: &str| {
        let body = format!(r#"{{"model":"{model}","messages":[]}}"#);
        with_key(world.bare("POST", CHAT_PATH), key).body(body).send().await
    };
    for (key, model, provider) in [
        ("sk-narrow", "scripted/m", Some("scripted")),
        ("sk-narrow", "m", Some("scripted")),
        ("sk-narrow", "fast", Some("echo")),
        ("sk-narrow", "mixed", Some("scripted")),
        ("sk-narrow", "echo/hello", None),
        ("sk-narrower", "scripted/m", Some("scripted")),
        ("sk-narrower", "echo/hello", None),
        ("sk-echoes", "echo/hello", Some("echo")),
        ("sk-echoes", "scripted/m", None),
        ("sk-echoes", "m", None),
        ("sk-echoes", "mixed", Some("echo")),
    ] {
        let before = world.app().ledger.entries().len();
        let reply = chat(key, model).await;
        let entry = world.entries(before + 1).await.pop().unwrap();
        assert_eq!(entry.provider.as_deref(), provider, "{key} {model}: {}", reply.text());
        if provider.is_some() {
            assert_eq!((reply.status, entry.outcome), (200, Outcome::Ok), "{key} {model}");
        } else {
            assert_eq!((reply.status, reply.code().as_str()), (403, "model_not_allowed"));
            assert_eq!((entry.status, entry.outcome), (403, Outcome::Refused), "{key} {model}");
        }
    }
    let moderation = with_key(world.bare("POST", "/v1/moderations"), "sk-echoes");
    let reply = moderation.body(r#"{"input":"x"}"#).send().await;
    assert_eq!(reply.status, 403, "the default provider is not in its list");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_sees_the_models_of_its_list_only() {
    let world = world(LISTS).await;
    let seen = async |key: &str| {
        let reply = with_key(world.bare("GET", "/v1/models"), key).send().await.json();
        let rows = reply["data"].as_array().unwrap().clone();
        rows.iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(seen("sk-narrow").await, ["fast", "scripted/m"]);
    assert_eq!(seen("sk-narrower").await, ["fast", "scripted/m"]);
    let echoes = seen("sk-echoes").await;
    assert!(!echoes.is_empty() && echoes.iter().all(|it| it.starts_with("echo/")), "{echoes:?}");
    let one = async |path: &str| with_key(world.bare("GET", path), "sk-narrow").send().await.status;
    assert_eq!(one("/v1/models/scripted/m").await, 200);
    assert_eq!(one("/v1/models/echo/hello").await, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_needs_no_key_is_a_program_on_this_machine() {
    let provider = Scripted::always(Script::json(200, CHAT)).await;
    let text =
        format!("allow_localhost_no_auth = true\nallowed_hosts = [\"torod.example\"]\n{CONFIG}");
    let world = World::start(&text, &[("scripted", &provider)]).await;
    let port = world.addr.port();
    let json = ("content-type", "application/json");
    let cases: [(&[(&str, &str)], u16); 26] = [
        (&[json], 200),
        (&[("host", "localhost")], 200),
        (&[("host", &format!("localhost:{port}"))], 200),
        (&[("host", "[::1]")], 200),
        (&[("host", "api.localhost")], 200),
        (&[("origin", "http://localhost:3000")], 200),
        (&[("origin", "http://127.0.0.1:5173")], 200),
        (&[("origin", "https://evil.example")], 401),
        (&[("origin", "http://localhost.evil.example")], 401),
        (&[("origin", "null")], 401),
        (&[("origin", "file://")], 401),
        (&[("host", "torod.example")], 401),
        (&[("host", "evil.example")], 421),
        (&[("host", "127.0.0.1.evil.example")], 421),
        (&[("x-forwarded-for", "127.0.0.1")], 401),
        (&[("x-forwarded-host", "localhost")], 401),
        (&[("x-forwarded-proto", "http")], 401),
        (&[("x-real-ip", "127.0.0.1")], 401),
        (&[("forwarded", "for=127.0.0.1")], 401),
        (&[("via", "1.1 localhost")], 401),
        (&[("sec-fetch-site", "cross-site")], 401),
        (&[("sec-fetch-site", "same-site")], 401),
        (&[("sec-fetch-site", "same-origin")], 200),
        (&[("content-type", "text/plain")], 401),
        (&[("content-type", "multipart/form-data; boundary=x")], 401),
        (&[("origin", "http://localhost:3000"), ("x-forwarded-for", "1.2.3.4")], 401),
    ];
    for (headers, status) in cases {
        let mut ask = world.bare("POST", CHAT_PATH).body(r#"{"model":"echo/x","messages":[]}"#);
        for (name, value) in headers {
            ask = ask.with(name, *value);
        }
        let with_key = with_key(ask.clone(), "sk-test");
        let reply = ask.send().await;
        assert_eq!(reply.status, status, "{headers:?}: {}", reply.text());
        if status != 421 {
            assert_eq!(with_key.send().await.status, 200, "{headers:?} with a key");
        }
    }
    let entry = world.app().ledger.entries().remove(0);
    assert_eq!((entry.key_id, entry.key_name), (None, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_needs_no_key_is_an_inferrer_and_a_wrong_key_is_wrong_all_the_same() {
    let provider = Scripted::always(Script::json(200, CHAT)).await;
    let text = format!("allow_localhost_no_auth = true\n{CONFIG}");
    let world = World::start(&text, &[("scripted", &provider)]).await;
    assert_eq!(world.bare("GET", "/v1/models").send().await.status, 200);
    assert_eq!(with_key(world.bare("GET", "/v1/models"), "sk-wrong").send().await.status, 401);
    assert_eq!(world.bare("GET", "/v1/models").header("x-api-key", "").send().await.status, 401);
    let status = world.bare("GET", "/admin/api/config/status").send().await;
    assert_eq!(status.status, 401, "the admin API always needs a key");
    // A key taken away is gone for the next request, and so is the leave to go without one.
    world.save(&world.config_text().replace("no_auth = true", "no_auth = false"));
    eventually("the change is live", || world.generation() == 2).await;
    assert_eq!(world.bare("GET", "/v1/models").send().await.status, 401);
}
