//! Keys by the admin API: made, shown once, kept as hashes, and each seen by whom it concerns.

use serde_json::{Value, json};

use crate::{
    admin::{ask_as, done, get, refused, send, send_as, send_if, world},
    world::{World, eventually},
};

const MASTERS: &str = r#"
[[incoming_tokens]]
id = "master"
name = "Master"
role = "keymaster"
key = "sk-master-0123456789"

[[incoming_tokens]]
id = "own"
key = "sk-own-0123456789"
parent_id = "master"

[[incoming_tokens]]
id = "rival"
role = "keymaster"
key = "sk-rival-0123456789"

[[incoming_tokens]]
id = "foreign"
name = "CANARY name"
key = "sk-foreign-0123456789"
parent_id = "rival"
"#;

const MASTER: &str = "sk-master-0123456789";

/// What a request with this key to `/v1` gets.
async fn status_of(world: &World, key: &str) -> u16 {
    let ask = world.bare("GET", "/v1/models");
    ask.header("authorization", format!("Bearer {key}")).send().await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_made_and_shown_once() {
    let (world, _) = world("").await;
    let body = json!({ "name": "Alice", "role": "inferrer", "expires_at": "2999-01-01T00:00:00Z", "models": ["scripted/*"] });
    let reply = done(&world, "POST", "/access-tokens", body).await;
    let told = reply.json();
    let (id, key) = (told["id"].as_str().unwrap(), told["key"].as_str().unwrap());
    assert_eq!((reply.status, &told["status"]), (201, &json!("ok")));
    assert!(key.starts_with(&format!("tr_{id}_")), "{told}");
    assert_eq!(status_of(&world, key).await, 200, "it is live with the answer");
    let text = world.config_text();
    assert!(!text.contains(key) && text.contains("key_hash = \"sha256:"), "{text}");
    assert!(text.contains("expires_at = 2999-01-01T00:00:00Z"), "{text}");
    let (row, tag) = get(&world, &format!("/access-tokens/{id}")).await;
    assert_eq!(reply.header("etag"), Some(&*tag));
    assert_eq!(
        (&row["name"], &row["role"], &row["live"]),
        (&json!("Alice"), &json!("inferrer"), &json!(true))
    );
    assert_eq!((&row["source"], &row["models"]), (&json!("key_hash"), &json!(["scripted/*"])));
    let (rows, _) = get(&world, "/access-tokens").await;
    assert_eq!(rows.as_array().unwrap().len(), 2);
    for secret in [key, "sk-test", "sha256:"] {
        assert!(
            !rows.to_string().contains(secret) && !row.to_string().contains(secret),
            "{secret}"
        );
    }
    // A key of one's own is hashed too.
    let body = json!({ "id": "bob", "name": "Bob", "key": "bobs-own-key-0123456789" });
    let told = done(&world, "POST", "/access-tokens", body.clone()).await.json();
    assert_eq!((&told["id"], told["key"].is_null()), (&json!("bob"), true), "{told}");
    assert!(!world.config_text().contains("bobs-own-key"));
    assert_eq!(status_of(&world, "bobs-own-key-0123456789").await, 200);
    refused(&world, "POST", "/access-tokens", body, (409, "exists")).await;
    for (body, wanted) in [
        (json!({}), (400, "missing_field")),
        (json!({ "name": "x", "key": "bobs-own-key-0123456789" }), (422, "config_invalid")),
        (json!({ "name": "x", "key": "short" }), (400, "weak_key")),
        (json!({ "name": "x", "expires_at": "tomorrow" }), (422, "config_invalid")),
        (json!({ "name": "x", "role": "root" }), (422, "config_invalid")),
        (json!({ "name": "x", "quota": { "requests": { "limit": 1 } } }), (422, "config_invalid")),
        (json!({ "name": "x", "parent_id": "nobody" }), (409, "bad_parent")),
        (json!({ "name": "x", "nmae": "y" }), (400, "unknown_field")),
    ] {
        refused(&world, "POST", "/access-tokens", body, wanted).await;
    }
    // Nothing is made by a look at what would be.
    let dry = done(&world, "POST", "/access-tokens?dry_run=1", json!({ "name": "x" })).await;
    assert_eq!((dry.status, dry.json()["key"].is_null()), (200, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_changed_and_ends() {
    let (world, _) = world(MASTERS).await;
    let (_, tag) = get(&world, "/access-tokens/own").await;
    let body = json!({ "name": "Own", "key": "sk-own-rotated-0123456789" });
    let reply = send_if(&world, "PUT", "/access-tokens/own", &tag, body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(status_of(&world, "sk-own-0123456789").await, 401, "the old one is gone at once");
    assert_eq!(status_of(&world, "sk-own-rotated-0123456789").await, 200);
    assert!(!world.config_text().contains("sk-own-"), "only the hash is left");
    let reply = send_if(&world, "PUT", "/access-tokens/own", &tag, json!({ "name": "x" })).await;
    assert_eq!((reply.status, &reply.json()["current"]["name"]), (412, &json!("Own")));
    done(&world, "PUT", "/access-tokens/own", json!({ "expires_at": "2020-01-01T00:00:00Z" }))
        .await;
    assert_eq!(status_of(&world, "sk-own-rotated-0123456789").await, 401);
    let (row, _) = get(&world, "/access-tokens/own").await;
    assert_eq!((&row["live"], &row["parent_id"]), (&json!(false), &json!("master")));
    done(&world, "PUT", "/access-tokens/own", json!({ "expires_at": "" })).await;
    assert_eq!(status_of(&world, "sk-own-rotated-0123456789").await, 200);
    // Another id: the keys below it follow.
    done(&world, "PUT", "/access-tokens/master", json!({ "id": "boss" })).await;
    let (row, _) = get(&world, "/access-tokens/own").await;
    assert_eq!(row["parent_id"], "boss");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_with_keys_below_it_does_not_go_alone() {
    let (world, _) = world(MASTERS).await;
    let reply =
        refused(&world, "DELETE", "/access-tokens/rival", Value::Null, (409, "has_children")).await;
    assert_eq!(reply.json()["children"], json!(["foreign"]));
    refused(
        &world,
        "DELETE",
        "/access-tokens/rival?children=keep",
        Value::Null,
        (400, "invalid_value"),
    )
    .await;
    done(&world, "DELETE", "/access-tokens/rival?children=delete", Value::Null).await;
    let text = world.config_text();
    assert!(
        !text.contains("rival") && !text.contains("foreign") && text.contains("master"),
        "{text}"
    );
    assert_eq!(status_of(&world, "sk-foreign-0123456789").await, 401);
    done(&world, "DELETE", "/access-tokens/own", Value::Null).await;
    done(&world, "DELETE", "/access-tokens/master", Value::Null).await;
    refused(&world, "DELETE", "/access-tokens/master", Value::Null, (404, "not_found")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_admin_stays() {
    let (world, _) = world("").await;
    for (method, body) in [
        ("DELETE", Value::Null),
        ("PUT", json!({ "role": "keymaster" })),
        ("PUT", json!({ "role": null })),
        ("PUT", json!({ "expires_at": "2020-01-01T00:00:00Z" })),
    ] {
        refused(&world, method, "/access-tokens/tester", body, (409, "last_admin")).await;
    }
    // A second one that has ended, or is below one that has, is no other way in.
    let ended = json!({ "id": "ended", "name": "x", "role": "admin", "expires_at": "2020-01-01T00:00:00Z" });
    done(&world, "POST", "/access-tokens", ended).await;
    done(
        &world,
        "POST",
        "/access-tokens",
        json!({ "name": "x", "role": "admin", "parent_id": "ended" }),
    )
    .await;
    refused(&world, "DELETE", "/access-tokens/tester", Value::Null, (409, "last_admin")).await;
    let second = done(
        &world,
        "POST",
        "/access-tokens",
        json!({ "id": "second", "name": "x", "role": "admin" }),
    )
    .await
    .json();
    done(&world, "DELETE", "/access-tokens/tester", Value::Null).await;
    let second = second["key"].as_str().unwrap();
    assert_eq!(send_as(&world, second, "GET", "/access-tokens", Value::Null).await.status, 200);
    assert_eq!(
        send_as(&world, second, "DELETE", "/access-tokens/second", Value::Null).await.status,
        409
    );
    assert_eq!(
        send(&world, "GET", "/access-tokens", Value::Null).await.status,
        401,
        "the old one is gone"
    );
}

/// Ids that another's keys have, with what a keymaster may try on them.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_a_keymasters_own_does_not_exist_for_it() {
    let (world, _) = world(MASTERS).await;
    let before = world.config_text();
    let as_master = |method, path: &str, body| {
        let path = path.to_owned();
        let world = &world;
        async move { send_as(world, MASTER, method, &path, body).await }
    };
    let rows = as_master("GET", "/access-tokens", Value::Null).await.json();
    let ids: Vec<_> =
        rows.as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids, ["own"]);
    let (_, foreign) = get(&world, "/access-tokens/foreign").await;
    let own = send_as(&world, "sk-own-0123456789", "GET", "/access-tokens", Value::Null).await;
    assert_eq!(own.status, 403, "an inferrer has no business here");
    for id in [
        "foreign",
        "rival",
        "tester",
        "master",
        "nobody",
        "",
        "own/../foreign",
        "own%2f..%2fforeign",
    ] {
        let path = format!("/access-tokens/{id}");
        for (method, body) in [
            ("GET", Value::Null),
            ("PUT", json!({ "name": "mine" })),
            ("PUT", json!({ "quota": {} })),
            ("PUT", json!({ "parent_id": "master" })),
            ("DELETE", Value::Null),
        ] {
            let reply = as_master(method, &path, body.clone()).await;
            assert_eq!(
                (reply.status, reply.code().as_str()),
                (404, "not_found"),
                "{method} {path} {body}"
            );
            assert!(!reply.text().contains("CANARY"), "{}", reply.text());
            // No tag tells that it is there.
            for tag in [&*foreign, "\"0000\""] {
                let reply = ask_as(&world, MASTER, method, &path, &body)
                    .header("if-match", tag)
                    .send()
                    .await;
                assert_eq!(reply.status, 404, "{method} {path} {body}: {}", reply.text());
                assert!(!reply.text().contains("CANARY"), "{}", reply.text());
            }
        }
    }
    assert_eq!(world.config_text(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keymaster_makes_inferrers_below_itself_and_nothing_else() {
    let (world, _) = world(MASTERS).await;
    for body in [
        json!({ "name": "x", "role": "admin" }),
        json!({ "name": "x", "role": "keymaster" }),
        json!({ "name": "x", "parent_id": "rival" }),
        json!({ "name": "x", "parent_id": "tester" }),
        json!({ "name": "x", "quota": { "requests": { "limit": 1 } } }),
        json!({ "name": "x", "rate": { "rpm": 1 } }),
        json!({ "name": "x", "may_delegate": true }),
        json!({ "name": "x", "id": "tester" }),
    ] {
        let reply = send_as(&world, MASTER, "POST", "/access-tokens", body.clone()).await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (403, "forbidden"),
            "{body}: {}",
            reply.text()
        );
        let reply = send_as(&world, MASTER, "PUT", "/access-tokens/own", body.clone()).await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (403, "forbidden"),
            "{body}: {}",
            reply.text()
        );
    }
    let told =
        send_as(&world, MASTER, "POST", "/access-tokens", json!({ "name": "Child" })).await.json();
    let (id, key) = (told["id"].as_str().unwrap(), told["key"].as_str().unwrap());
    assert_eq!(status_of(&world, key).await, 200);
    let (row, _) = get(&world, &format!("/access-tokens/{id}")).await;
    assert_eq!((&row["parent_id"], &row["role"]), (&json!("master"), &json!("inferrer")));
    let path = format!("/access-tokens/{id}");
    let reply =
        send_as(&world, MASTER, "PUT", &path, json!({ "name": "Kid", "models": ["m"] })).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let reply = send_as(&world, MASTER, "DELETE", &path, Value::Null).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(status_of(&world, key).await, 401);
    // What only an admin may know of the file stays with the admin.
    let taken = json!({ "name": "x", "key": "sk-foreign-0123456789" });
    let reply = send_as(&world, MASTER, "POST", "/access-tokens", taken).await;
    assert_eq!(reply.status, 422);
    assert!(
        !reply.text().contains("foreign") && !reply.text().contains("problems"),
        "{}",
        reply.text()
    );
    let broken = world.config_text().replace("shutdown_seconds = 5", "CANARY = 5");
    world.save(&broken);
    eventually("it is seen", || !world.app().live.disk().0.is_empty()).await;
    let reply = send_as(&world, MASTER, "POST", "/access-tokens", json!({ "name": "x" })).await;
    assert_eq!((reply.status, reply.text().contains("CANARY")), (409, false), "{}", reply.text());
    world.save(&broken.replace("CANARY = 5", "managed = true"));
    eventually("it is seen", || world.snapshot().config.managed).await;
    let reply = send_as(&world, MASTER, "POST", "/access-tokens", json!({ "name": "x" })).await;
    assert_eq!(
        (reply.status, reply.text().contains("providers")),
        (423, false),
        "{}",
        reply.text()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_without_an_id_is_nobodys_parent() {
    let (world, _) =
        world("[[incoming_tokens]]\nrole = \"keymaster\"\nkey = \"sk-nameless-0123456789\"\n")
            .await;
    let (row, _) = get(&world, "/access-tokens/key-2").await;
    assert_eq!(row["role"], "keymaster");
    let body = json!({ "name": "x", "parent_id": "key-2" });
    refused(&world, "POST", "/access-tokens", body, (409, "bad_parent")).await;
    let reply =
        send_as(&world, "sk-nameless-0123456789", "POST", "/access-tokens", json!({ "name": "x" }))
            .await;
    assert_eq!((reply.status, reply.code().as_str()), (409, "bad_parent"));
    done(&world, "PUT", "/access-tokens/key-2", json!({ "id": "named" })).await;
    let reply =
        send_as(&world, "sk-nameless-0123456789", "POST", "/access-tokens", json!({ "name": "x" }))
            .await;
    assert_eq!(reply.status, 201, "{}", reply.text());
}
