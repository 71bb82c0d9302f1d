//! Settings, virtual models and prices by the admin API.

use serde_json::{Value, json};

use crate::{
    admin::{done, get, refused, send_if, world},
    client::Ask,
    world::eventually,
};

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_read_with_their_defaults_and_changed_key_by_key() {
    let (world, _) = world("[limits]\nmax_connections = 99\n").await;
    for (path, key, default, value) in [
        ("security", "allowed_hosts", json!([]), json!(["torod.example"])),
        ("security", "auto_detect_local_servers", json!(false), json!(true)),
        ("security", "auto_remove_expired_tokens", json!(false), json!(true)),
        ("security", "egress", json!("any"), json!("public")),
        ("conversations", "max_items", json!(5000), json!(200)),
        ("conversations", "enabled", json!(false), json!(true)),
        ("logs", "max_lines", json!(5000), json!(300)),
        ("logs", "level", json!("info"), json!("debug")),
        ("limits", "max_connections", json!(99), json!(100)),
        ("limits", "max_body_bytes", json!(67_108_864), json!(2_000_000)),
        ("telemetry", "metrics", json!(false), json!(true)),
    ] {
        let path = format!("/settings/{path}");
        let (settings, tag) = get(&world, &path).await;
        assert_eq!(settings[key], default, "{path} {key}");
        let reply = send_if(&world, "PUT", &path, &tag, json!({ key: value })).await;
        let told = reply.json();
        assert_eq!(
            (reply.status, &told[key], &told["status"]),
            (200, &value, &json!("ok")),
            "{told}"
        );
        assert!(told["changes"].as_str().unwrap().contains(key), "{told}");
        let (after, now) = get(&world, &path).await;
        assert_eq!((&after[key], reply.header("etag")), (&value, Some(&*now)));
        for (name, old) in settings.as_object().unwrap().iter().filter(|it| it.0 != key) {
            assert_eq!(&after[name], old, "{path}: `{name}` stays");
        }
        assert_eq!(send_if(&world, "PUT", &path, &tag, json!({ key: value })).await.status, 412);
        // Taken out, it is the default again; twice is no error.
        for _ in 0..2 {
            done(&world, "PUT", &path, json!({ key: null })).await;
        }
    }
    for (path, body, wanted) in [
        ("security", json!({ "egres": "any" }), (400, "unknown_field")),
        ("security", json!({ "listen_addr": "0.0.0.0:1" }), (400, "unknown_field")),
        ("security", json!({ "auto_remove_empty_quota_tokens": true }), (400, "invalid_value")),
        ("conversations", json!({ "max_items": 1 }), (422, "config_invalid")),
        ("logs", json!({ "level": "loud" }), (422, "config_invalid")),
        ("limits", json!({ "max_body_bytes": "x" }), (422, "config_invalid")),
        ("telemetry", json!({ "metric": true }), (400, "unknown_field")),
    ] {
        refused(&world, "PUT", &format!("/settings/{path}"), body, wanted).await;
    }
    let told = done(
        &world,
        "PUT",
        "/settings/security",
        json!({ "auto_remove_empty_quota_tokens": false }),
    )
    .await;
    assert_eq!(told.json()["auto_remove_empty_quota_tokens"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn torod_listens_where_it_is_told() {
    let (world, _) = world("").await;
    let (network, _) = get(&world, "/settings/network").await;
    assert_eq!(network["active"], json!([format!("http://{}", world.addr)]));
    assert_eq!(
        (&network["bind_mode"], &network["listen_addr"]),
        (&json!("localhost"), &json!("127.0.0.1:0"))
    );
    assert_eq!((&network["http_mode"], &network["pending"]), (&json!("enabled"), &Value::Null));
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let both = json!({ "listen_addr": ["127.0.0.1:0", free.to_string()] });
    let told = done(&world, "PUT", "/settings/network", both).await.json();
    let active = told["active"].as_array().unwrap();
    assert!(active.contains(&json!(format!("http://{free}"))) && active.len() == 2, "{told}");
    // An address that is taken is said to be, and what was open stays open.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let both = json!({ "listen_addr": ["127.0.0.1:0", taken.local_addr().unwrap().to_string()] });
    let told = done(&world, "PUT", "/settings/network", both).await.json();
    let status = get(&world, "/config/status").await.0;
    for told in [told, status] {
        let all = told["problems"].as_array().unwrap();
        assert!(all.iter().any(|it| it["code"] == "bind_failed"), "{told}");
    }
    // In the words of a form; what it does not say stays.
    let port = free.port();
    let keep = format!("listen_addr = \"127.0.0.1:{port}\"");
    let text = world.config_text();
    let line = text.lines().find(|it| it.starts_with("listen_addr")).unwrap();
    world.save(&text.replace(line, &keep));
    eventually("it listens there", || world.app().listeners().open.len() == 1).await;
    for (body, wanted) in [
        (json!({ "bind_mode": "localhost", "port": 1 }), "127.0.0.1:1".to_owned()),
        (json!({ "custom_bind": "::1" }), format!("[::1]:{port}")),
        (json!({ "bind_mode": "custom", "custom_bind": "127.0.0.2" }), format!("127.0.0.2:{port}")),
        (json!({ "bind_mode": "all" }), format!("[::]:{port}")),
    ] {
        let ask = Ask::new(free, "PUT", "/admin/api/settings/network?dry_run=1");
        let ask = ask.header("authorization", "Bearer sk-test");
        let reply =
            ask.header("content-type", "application/json").body(body.to_string()).send().await;
        let patch = reply.json()["patch"].as_str().unwrap().to_owned();
        assert!(patch.contains(&format!("+listen_addr = \"{wanted}\"")), "{body}: {patch}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_open_torod_to_all_is_refused() {
    let (world, _) = world("").await;
    for (path, body) in [
        ("network", json!({ "listen_addr": "nonsense" })),
        ("network", json!({ "http_mode": "sometimes" })),
        ("tls", json!({ "enabled": true })),
        ("tls", json!({ "enabled": true, "mode": "pem" })),
        ("tls", json!({ "enabled": true, "mode": "letsencrypt", "domain": "x.example" })),
        ("tls", json!({ "mode": "magic" })),
    ] {
        refused(&world, "PUT", &format!("/settings/{path}"), body, (422, "config_invalid")).await;
    }
    for (body, code) in [
        (json!({ "bind_mode": "moon", "port": 1 }), "invalid_value"),
        (json!({ "bind_mode": "custom", "custom_bind": "x", "port": 1 }), "invalid_value"),
        (json!({ "bind_mode": "all", "port": 0 }), "invalid_value"),
        (json!({ "bind_mode": "all", "listen_addr": "127.0.0.1:1", "port": 1 }), "invalid_value"),
        (json!({ "port": 65536 }), "invalid_value"),
        (json!({ "prot": 1 }), "unknown_field"),
    ] {
        refused(&world, "PUT", "/settings/network", body, (400, code)).await;
    }
    done(&world, "PUT", "/settings/security", json!({ "allow_localhost_no_auth": true })).await;
    let reply = refused(
        &world,
        "PUT",
        "/settings/network",
        json!({ "listen_addr": "0.0.0.0:1" }),
        (422, "config_invalid"),
    )
    .await;
    assert_eq!(reply.json()["problems"][0]["code"], "open_to_all");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_kept_and_its_key_never_shown() {
    let (world, _) = world("").await;
    let body = json!({
        "mode": "pem", "domain": "torod.example", "email": "ops@torod.example",
        "cert_pem": "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n",
        "key_pem": "-----BEGIN PRIVATE KEY-----\nCANARY\n-----END PRIVATE KEY-----\n",
        "bind_mode": "custom", "custom_bind": "127.0.0.1", "port": 8443,
    });
    let reply = done(&world, "PUT", "/settings/tls", body).await;
    assert!(!reply.text().contains("CANARY"), "{}", reply.text());
    let (tls, _) = get(&world, "/settings/tls").await;
    for (key, wanted) in [
        ("enabled", json!(false)),
        ("mode", json!("pem")),
        ("domain", json!("torod.example")),
        ("listen_addr", json!("127.0.0.1:8443")),
        ("bind_mode", json!("localhost")),
        ("port", json!(8443)),
        ("cert_configured", json!(true)),
        ("key_configured", json!(true)),
    ] {
        assert_eq!(tls[key], wanted, "{key}: {tls}");
    }
    // Empty material keeps what is stored; an empty name goes.
    done(&world, "PUT", "/settings/tls", json!({ "cert_pem": "", "key_pem": "", "domain": "" }))
        .await;
    let (tls, _) = get(&world, "/settings/tls").await;
    assert_eq!((&tls["key_configured"], &tls["domain"]), (&json!(true), &json!("")));
    assert!(world.config_text().contains("CANARY"));
}

#[tokio::test(flavor = "multi_thread")]
async fn virtual_models_and_prices_are_entries_too() {
    let (world, _) = world("").await;
    let body = json!({ "name": "team/fast", "targets": ["scripted/m", { "model": "echo/hello" }] });
    let reply = done(&world, "POST", "/virtual-models", body.clone()).await;
    assert_eq!(reply.status, 201);
    let (model, tag) = get(&world, "/virtual-models/team/fast").await;
    assert_eq!((&model["targets"], reply.header("etag")), (&body["targets"], Some(&*tag)));
    assert_eq!(world.chat("team/fast").await.status, 200);
    refused(&world, "POST", "/virtual-models", body, (409, "exists")).await;
    for (body, wanted) in [
        (json!({ "name": "x" }), (422, "config_invalid")),
        (json!({ "name": "x", "targets": ["nobody/m"] }), (422, "config_invalid")),
        (
            json!({ "name": "x", "targets": ["echo/a"], "strategy": "cheapest" }),
            (422, "config_invalid"),
        ),
        (json!({ "targets": ["echo/a"] }), (400, "missing_field")),
        (json!({ "name": "x", "target": ["echo/a"] }), (400, "unknown_field")),
    ] {
        refused(&world, "POST", "/virtual-models", body, wanted).await;
    }
    let reply = send_if(
        &world,
        "PUT",
        "/virtual-models/team%2Ffast",
        &tag,
        json!({ "targets": ["echo/hello"] }),
    )
    .await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let reply =
        send_if(&world, "PUT", "/virtual-models/team/fast", &tag, json!({ "targets": ["echo/x"] }))
            .await;
    assert_eq!((reply.status, &reply.json()["current"]["targets"]), (412, &json!(["echo/hello"])));
    done(&world, "PUT", "/virtual-models/team/fast", json!({ "name": "quick" })).await;
    assert_eq!(get(&world, "/virtual-models").await.0[0]["name"], "quick");
    done(&world, "DELETE", "/virtual-models/quick", Value::Null).await;
    refused(&world, "DELETE", "/virtual-models/quick", Value::Null, (404, "not_found")).await;

    let body =
        json!({ "model": "scripted/gpt-5*", "input": 1.25, "output": 10, "cache_read": null });
    done(&world, "POST", "/price-overrides", body).await;
    assert!(world.config_text().contains("model = \"scripted/gpt-5*\""));
    let (price, _) = get(&world, "/price-overrides/scripted/gpt-5*").await;
    assert_eq!((&price["input"], price.get("cache_read")), (&json!(1.25), None));
    done(
        &world,
        "PUT",
        "/price-overrides/scripted/gpt-5*",
        json!({ "input": 2.5, "output": null }),
    )
    .await;
    let (prices, _) = get(&world, "/price-overrides").await;
    assert_eq!((&prices[0]["input"], prices[0].get("output")), (&json!(2.5), None), "{prices}");
    refused(
        &world,
        "PUT",
        "/price-overrides/scripted/gpt-5*",
        json!({ "input": -1 }),
        (422, "config_invalid"),
    )
    .await;
    done(&world, "DELETE", "/price-overrides/scripted/gpt-5*", Value::Null).await;
    assert_eq!(get(&world, "/price-overrides").await.0, json!([]));
}
