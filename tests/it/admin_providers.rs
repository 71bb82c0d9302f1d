//! Providers by the admin API: kept in the file, shown without their secrets, tried before use.

use serde_json::{Value, json};

use crate::{
    admin::{done, get, refused, send, send_if, world},
    samples::CHAT,
    scripted::{Script, Scripted},
    world::{World, eventually, within},
};

async fn provider(world: &World, name: &str) -> Value {
    get(world, &format!("/providers/{name}")).await.0
}

/// A provider that answers chats, to be added.
async fn another() -> Scripted {
    Scripted::always(Script::json(200, CHAT)).await
}

fn saw(provider: &Scripted, secret: &str) -> bool {
    let all = provider.requests();
    all.iter().any(|it| it.headers.iter().any(|it| it.1.contains(secret)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_is_added_changed_renamed_and_removed() {
    let (world, _) = world("").await;
    let new = another().await;
    let body = json!({
        "name": "new", "provider_type": "openai-compatible", "base_url": new.base(),
        "api_key": "new-provider-secret", "headers": { "x-team": "blue-header-secret" },
        "timeout_seconds": 7,
    });
    let reply = done(&world, "POST", "/providers", body.clone()).await;
    let told = reply.json();
    assert_eq!((reply.status, &told["name"], &told["generation"]), (201, &json!("new"), &json!(2)));
    assert!(told["changes"].as_str().unwrap().contains("`new` added"), "{told}");
    assert!(told["default_provider"].is_null(), "there is one");
    world.listed("new").await;
    let (row, tag) = get(&world, "/providers/new").await;
    assert_eq!(reply.header("etag"), Some(&*tag));
    for (key, wanted) in [
        ("name", json!("new")),
        ("display_name", json!("new")),
        ("provider_type", json!("openai-compatible")),
        ("base_url", json!(new.base())),
        ("timeout_seconds", json!(7)),
        ("model_count", json!(1)),
        ("priced_models", json!(0)),
        ("managed", json!(true)),
        ("enabled", json!(true)),
        ("automatic", json!(false)),
        ("headers", json!(["x-team"])),
        ("credential", json!({ "set": true, "source": "literal", "last4": "cret" })),
    ] {
        assert_eq!(row[key], wanted, "{key}: {row}");
    }
    assert!(!row.to_string().contains("secret"), "{row}");
    refused(&world, "POST", "/providers", body, (409, "exists")).await;

    // Absent keeps, null removes, blank keeps.
    let body = json!({ "timeout_seconds": null, "headers": { "x-more": "v" }, "api_key": "" });
    let reply = send_if(&world, "PUT", "/providers/new", &tag, body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let row = provider(&world, "new").await;
    assert_eq!(
        (&row["timeout_seconds"], &row["headers"]),
        (&json!(60), &json!(["x-more", "x-team"]))
    );
    assert!(world.config_text().contains("new-provider-secret"));
    // The other client had the tag from before.
    let reply =
        send_if(&world, "PUT", "/providers/new", &tag, json!({ "timeout_seconds": 9 })).await;
    let told = reply.json();
    assert_eq!((reply.status, &told["current"]["name"]), (412, &json!("new")), "{told}");
    assert!(told["diff"].as_str().unwrap().contains("-timeout_seconds = 7"), "{told}");
    assert!(!reply.text().contains("secret"), "{told}");

    let reply = done(&world, "PUT", "/providers/new", json!({ "name": "newer" })).await;
    assert_eq!(reply.header("etag"), Some(&*get(&world, "/providers/newer").await.1));
    assert_eq!(send(&world, "GET", "/providers/new", Value::Null).await.status, 404);
    refused(&world, "PUT", "/providers/new", json!({ "timeout_seconds": 1 }), (404, "not_found"))
        .await;
    refused(&world, "PUT", "/providers/newer", json!({ "name": "echo" }), (409, "exists")).await;
    done(&world, "DELETE", "/providers/newer", Value::Null).await;
    refused(&world, "DELETE", "/providers/newer", Value::Null, (404, "not_found")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_provider_is_said() {
    let (world, _) = world("").await;
    for (body, wanted, words) in [
        (json!({ "name": "x" }), (422, "config_invalid"), "is no preset"),
        (json!({ "provider_type": "groq" }), (400, "missing_field"), "`name`"),
        (
            json!({ "name": "x", "base_ulr": "y" }),
            (400, "unknown_field"),
            "did you mean `base_url`?",
        ),
        (json!({ "name": "x", "auth_token": "y" }), (400, "unknown_field"), "auth_token"),
        (json!({ "name": "x/y", "provider_type": "groq" }), (422, "config_invalid"), "`/`"),
        (
            json!({ "name": "test", "provider_type": "groq" }),
            (400, "invalid_value"),
            "another name",
        ),
        (
            json!({ "name": "x", "provider_type": "groq", "enabled": "yes" }),
            (422, "config_invalid"),
            "boolean",
        ),
        (
            json!({ "name": "x", "base_url": "file:///etc/passwd" }),
            (422, "config_invalid"),
            "https://",
        ),
        (
            json!({ "name": "x", "base_url": "gopher://x:70/_" }),
            (422, "config_invalid"),
            "https://",
        ),
        (
            json!({ "name": "x", "base_url": "https://me:pw@x.example" }),
            (422, "config_invalid"),
            "credential",
        ),
        (
            json!({ "name": "x", "provider_type": "groq", "max_concurrency": 3 }),
            (422, "config_invalid"),
            "not active",
        ),
        (json!([1]), (400, "invalid_value"), "expected"),
    ] {
        let reply = refused(&world, "POST", "/providers", body.clone(), wanted).await;
        let message = reply.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(words), "{body}: {message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_stays_with_the_address_that_it_was_entered_for() {
    let (world, old) = world("").await;
    let thief = another().await;
    for body in [
        json!({ "base_url": thief.base() }),
        json!({ "base_url": thief.base(), "api_key": "" }),
        json!({ "model_list_url": thief.base() + "/models" }),
    ] {
        let before = world.config_text();
        // Tried, then saved.
        let mut tried = body.clone();
        tried["name"] = json!("scripted");
        tried["chat"] = json!(true);
        tried["model"] = json!("m");
        let told = send(&world, "POST", "/providers/test", tried).await.json();
        assert!(told["note"].as_str().unwrap().contains("not sent"), "{told}");
        done(&world, "PUT", "/providers/scripted", body).await;
        done(&world, "POST", "/providers/scripted/refresh", Value::Null).await;
        let _ = world.chat("scripted/m").await;
        assert!(!saw(&thief, "up-secret"));
        let row = provider(&world, "scripted").await;
        assert_eq!(row["credential"], json!({ "set": false }), "{row}");
        world.save(&before);
        eventually("it is as before", || {
            world.snapshot().revision == tokenrouter::config::Revision::of(&before)
        })
        .await;
    }
    // By an edit of the setting itself as well.
    let path = "providers.scripted.base_url";
    let edit = json!([{ "op": "set", "path": path, "value": thief.base() }]);
    done(&world, "PATCH", "/config", edit).await;
    let _ = world.chat("scripted/m").await;
    assert!(
        thief.hits() > 0 && !saw(&thief, "up-secret") && !world.config_text().contains("up-secret")
    );
    // With a new one it moves; within the origin it stays.
    done(
        &world,
        "PUT",
        "/providers/scripted",
        json!({ "base_url": old.base(), "api_key": "up-secret-2" }),
    )
    .await;
    done(&world, "PUT", "/providers/scripted", json!({ "base_url": old.root() + "/v2" })).await;
    assert_eq!(world.chat("scripted/m").await.status, 200);
    assert_eq!(old.last().header("authorization"), Some("Bearer up-secret-2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_default_follows() {
    let (world, provider) =
        world("[[models]]\nname = \"fast\"\ntargets = [\"scripted/m\"]\n").await;
    let default = || world.snapshot().config.default_provider.clone();
    let reply =
        refused(&world, "DELETE", "/providers/scripted", Value::Null, (409, "in_use")).await;
    assert!(reply.json()["error"]["message"].as_str().unwrap().contains("`fast`"));
    assert_eq!(reply.json()["models"], json!(["fast"]));
    // A new name goes with what names it.
    done(&world, "PUT", "/providers/scripted", json!({ "name": "main" })).await;
    assert_eq!(default().as_deref(), Some("main"));
    assert_eq!(world.chat("fast").await.status, 200);
    done(&world, "DELETE", "/virtual-models/fast", Value::Null).await;
    done(
        &world,
        "POST",
        "/providers",
        json!({ "name": "off", "provider_type": "groq", "enabled": false }),
    )
    .await;
    let told = done(&world, "DELETE", "/providers/main", Value::Null).await.json();
    assert_eq!((default().as_deref(), &told["default_provider"]), (Some("echo"), &json!("echo")));
    let told = done(&world, "DELETE", "/providers/echo", Value::Null).await.json();
    assert_eq!((default(), told["default_provider"].is_null()), (None, true));
    // The first that is made, and takes part, is the default again.
    let body = json!({ "name": "again", "provider_type": "openai-compatible", "base_url": provider.base() });
    let told = done(&world, "POST", "/providers", body).await.json();
    assert_eq!((default().as_deref(), &told["default_provider"]), (Some("again"), &json!("again")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_provider_takes_part_in_a_file_of_the_go_original_too() {
    let old = "[[incoming_tokens]]\nid = \"x\"\nkey = \"sk-x-0123456789abc\"\ncomment = \"old\"\n";
    let text = format!("{}{old}", crate::world::CONFIG);
    let world = World::start(&text, &[("scripted", &another().await)]).await;
    done(&world, "POST", "/providers", json!({ "name": "new", "provider_type": "echo" })).await;
    assert_eq!(provider(&world, "new").await["enabled"], true);
    assert_eq!(world.chat("new/hello").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn turned_off_and_on_again_nothing_is_left_of_it() {
    let (world, _) = world("").await;
    let before = world.config_text();
    done(&world, "PUT", "/providers/scripted", json!({ "enabled": false })).await;
    let row = provider(&world, "scripted").await;
    assert_eq!((&row["status"], &row["enabled"]), (&json!("disabled"), &json!(false)));
    refused(&world, "POST", "/providers/scripted/refresh", Value::Null, (409, "disabled")).await;
    done(&world, "PUT", "/providers/scripted", json!({ "enabled": true })).await;
    assert_eq!(world.config_text(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn presets_are_listed() {
    let (world, _) = world("").await;
    let (presets, _) = get(&world, "/providers/popular").await;
    let presets = presets.as_array().unwrap();
    assert_eq!(presets.len(), 47);
    let groq = presets.iter().find(|it| it["name"] == "groq").unwrap();
    assert_eq!(
        (&groq["display_name"], &groq["api_key_env"]),
        (&json!("Groq"), &json!("GROQ_API_KEY"))
    );
    let (list, tag) = get(&world, "/providers").await;
    let names: Vec<_> =
        list.as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["echo", "scripted"]);
    assert_eq!(list[1]["default"], true);
    assert_eq!(tag, get(&world, "/config").await.1);
    within(std::time::Duration::from_secs(1), "nothing is learned from asking", || {
        world.generation() == 1
    })
    .await;
}
