//! Where torod does not connect to, whatever a provider's entry says.

use serde_json::json;

use crate::{
    admin::{done, get, send, world},
    samples::CHAT,
    scripted::{Script, Scripted},
    world::{World, eventually},
};

fn entry(name: &str, base: &str) -> String {
    format!(
        "[[providers]]\nname = \"{name}\"\nprovider_type = \"openai-compatible\"\nbase_url = \"{base}\"\napi_key = \"up-{name}\"\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_and_link_local_addresses_are_nobodys_provider() {
    let urls = [
        "http://169.254.169.254/v1",
        "http://[fd00:ec2::254]/v1",
        "http://0xA9FEA9FE/v1",
        "http://2852039166/v1",
        "http://0251.0376.0251.0376/v1",
        "http://[::ffff:169.254.169.254]/v1",
        "http://[64:ff9b::a9fe:a9fe]/v1",
        "http://[fe80::1]/v1",
        "http://100.100.100.200/v1",
        "http://0.0.0.0:{port}/v1",
        "http://[::]:{port}/v1",
        "http://224.0.0.1/v1",
        "http://255.255.255.255/v1",
        "https://169.254.169.254/v1",
    ];
    let trap = Scripted::always(Script::json(200, CHAT)).await;
    let port = trap.root().rsplit(':').next().unwrap().to_owned();
    let more: String = urls
        .iter()
        .enumerate()
        .map(|(at, url)| entry(&format!("p{at}"), &url.replace("{port}", &port)))
        .collect();
    let (world, _) = world(&more).await;
    for (at, url) in urls.iter().enumerate() {
        let reply = world.chat(&format!("p{at}/m")).await;
        assert_eq!(
            (reply.status, reply.code().as_str()),
            (502, "egress_refused"),
            "{url}: {}",
            reply.text()
        );
        assert!(
            !reply.text().contains("169.254") && !reply.text().contains("up-p"),
            "{}",
            reply.text()
        );
        let body = json!({ "name": format!("p{at}") });
        let told = send(&world, "POST", "/providers/test", body).await.json();
        assert_eq!(
            (&told["ok"], &told["kind"]),
            (&json!(false), &json!("egress")),
            "{url}: {told}"
        );
    }
    assert_eq!(trap.connections(), 0, "nothing was connected");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_public_addresses_once_the_file_says_so() {
    let (world, provider) = world("").await;
    assert_eq!(world.chat("m").await.status, 200);
    let connections = provider.connections();
    done(&world, "PUT", "/settings/security", json!({ "egress": "public" })).await;
    // A connection that is open already is no way around it.
    eventually("it applies", || world.snapshot().config.public_only).await;
    let refused = async |world: &World| {
        let reply = world.chat("m").await;
        (reply.status, reply.code())
    };
    let mut got = refused(&world).await;
    for _ in 0..100 {
        if got.0 == 502 {
            break;
        }
        tokio::task::yield_now().await;
        got = refused(&world).await;
    }
    assert_eq!((got.0, got.1.as_str()), (502, "egress_refused"));
    done(&world, "POST", "/providers/scripted/refresh", serde_json::Value::Null).await;
    assert_eq!(get(&world, "/providers/scripted").await.0["status"], "blocked");
    assert_eq!(provider.connections(), connections);
    let (hits, lists) = (provider.hits(), provider.lists());
    assert_eq!(refused(&world).await.0, 502);
    assert_eq!((provider.hits(), provider.lists()), (hits, lists));
    done(&world, "PUT", "/settings/security", json!({ "egress": null })).await;
    eventually("it applies", || !world.snapshot().config.public_only).await;
    let mut status = world.chat("m").await.status;
    for _ in 0..100 {
        if status == 200 {
            break;
        }
        status = world.chat("m").await.status;
    }
    assert_eq!(status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_leads_nowhere() {
    let second = Scripted::always(Script::json(200, CHAT)).await;
    let to = format!("{}/chat/completions", second.base());
    for status in [301, 302, 303, 307, 308] {
        let script = Script::whole(status, &[("location", &to)], "");
        let first = Scripted::always(script).await;
        let world = World::over(&first).await;
        let reply = world.chat("m").await;
        assert!(reply.header("location").is_none(), "{status}: {:?}", reply.headers);
        let body = json!({ "name": "scripted", "chat": true, "model": "m" });
        let told = send(&world, "POST", "/providers/test", body).await.json();
        assert!(told["error"].as_str().unwrap().contains("redirect"), "{status}: {told}");
        assert_eq!(first.hits(), 2);
    }
    assert_eq!((second.connections(), second.hits(), second.lists()), (0, 0, 0));
}
