//! Callers that say of themselves that they are near: pages, proxies, names that are not ours.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::{
    client::{Ask, PATIENCE},
    process::{Torod, directory, program},
    samples::CHAT,
    scripted::{Script, Scripted},
    world::{CONFIG, KEY, World, chat_body},
};

/// Nobody on this machine needs a key.
fn open(listen: &str) -> String {
    let text = CONFIG.replace("127.0.0.1:0", listen);
    format!("allow_localhost_no_auth = true\n{text}")
}

async fn world() -> (Scripted, World) {
    let provider = Scripted::always(Script::json(200, CHAT)).await;
    let world = World::start(&open("127.0.0.1:0"), &[("scripted", &provider)]).await;
    (provider, world)
}

fn chat(addr: SocketAddr) -> Ask {
    let ask = Ask::new(addr, "POST", "/v1/chat/completions");
    ask.header("content-type", "application/json").body(chat_body("scripted/m", false))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_on_this_machine_needs_no_key_where_the_config_says_so() {
    let (_provider, world) = world().await;
    for host in ["localhost", "127.0.0.1", "[::1]:80", "LOCALHOST:9"] {
        assert_eq!(chat(world.addr).with("host", host).send().await.status, 200, "{host}");
    }
    for origin in ["http://localhost:3000", "https://127.0.0.1", "http://[::1]:5173"] {
        let asked = chat(world.addr).header("origin", origin);
        assert_eq!(asked.send().await.status, 200, "{origin}");
    }
    for site in ["same-origin", "none"] {
        let asked = chat(world.addr).header("sec-fetch-site", site);
        assert_eq!(asked.send().await.status, 200, "{site}");
    }
    let entries = world.entries(9).await;
    assert!(entries.iter().all(|it| it.key_id.is_none()), "{entries:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_in_a_browser_is_no_program_on_this_machine() {
    let (provider, world) = world().await;
    let origins = "null|https://evil.example|http://localhost.evil.example|http://evil.localhost@x|\
        http://localhost@evil.example|http://127.0.0.1.evil.example|file://|http://0.0.0.0|localhost|\
        http://128.0.0.1|chrome-extension://abc|http://[::2]|";
    for origin in origins.split('|') {
        let reply = chat(world.addr).header("origin", origin).send().await;
        assert_eq!(reply.status, 401, "{origin}");
    }
    for site in ["cross-site", "same-site", "anything"] {
        let reply = chat(world.addr).header("sec-fetch-site", site).send().await;
        assert_eq!(reply.status, 401, "{site}");
    }
    for kind in [
        "text/plain",
        "TEXT/PLAIN;charset=utf-8",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
    ] {
        let reply = chat(world.addr).with("content-type", kind).send().await;
        assert_eq!(reply.status, 401, "{kind}");
    }
    for host in ["evil.example", "localhost.evil.example", "0.0.0.0", "[::]", "128.0.0.1"] {
        let reply = chat(world.addr).with("host", host).send().await;
        assert_eq!(reply.status, 421, "{host}");
    }
    assert_eq!(provider.hits(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_is_never_an_admin_and_a_wrong_key_is_never_no_key() {
    let (provider, world) = world().await;
    for (method, path) in
        [("GET", "/admin/api/config/status"), ("POST", "/admin/api/config/reload")]
    {
        assert_eq!(world.bare(method, path).send().await.status, 401, "{path}");
    }
    for (name, value) in [
        ("authorization", "Bearer sk-wrong"),
        ("authorization", "Basic c2stdGVzdA=="),
        ("authorization", ""),
        ("authorization", "Bearer "),
        ("x-api-key", "sk-wrong"),
        ("x-goog-api-key", ""),
        ("api-key", "' OR 1=1--"),
    ] {
        let reply = chat(world.addr).header(name, value).send().await;
        assert_eq!(
            (reply.status, reply.code()),
            (401, "invalid_api_key".into()),
            "{name}: {value}"
        );
    }
    assert_eq!(provider.hits(), 0);
}

/// What proxies write, and who they may say the caller is.
const FORWARDED: [&str; 10] = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
    "via",
    "x-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "x-forwarded",
];
const VALUES: [&str; 4] = ["127.0.0.1", "for=127.0.0.1;host=localhost", "::1, 127.0.0.1", "1.1 x"];

#[tokio::test(flavor = "multi_thread")]
async fn a_header_never_makes_a_caller_near() {
    let provider = Scripted::always(Script::json(200, CHAT)).await;
    let closed = World::over(&provider).await;
    let (_provider, open) = world().await;
    let mut wrong = Vec::new();
    for name in FORWARDED {
        for value in VALUES {
            for world in [&closed, &open] {
                let status = chat(world.addr).header(name, value).send().await.status;
                if status != 401 {
                    wrong.push(format!("{name}: {value}: {status}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // With a key it is a request like any other, and the caller's address is the socket's.
    let asked = chat(open.addr).header("x-forwarded-for", "9.9.9.9");
    let asked = asked.header("authorization", format!("Bearer {KEY}"));
    assert_eq!(asked.send().await.status, 200);
    assert_eq!(open.entry().await.client_ip, Some(IpAddr::V4(Ipv4Addr::LOCALHOST)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loopback_of_the_other_family_is_near_too() {
    let provider = Scripted::always(Script::json(200, CHAT)).await;
    let world = World::start(&open("[::1]:0"), &[("scripted", &provider)]).await;
    assert!(world.addr.is_ipv6());
    assert_eq!(chat(world.addr).send().await.status, 200, "as `[::1]:port`");
    assert_eq!(chat(world.addr).with("host", "localhost").send().await.status, 200);
    let reply = chat(world.addr).header("x-forwarded-for", "::1").send().await;
    assert_eq!(reply.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapped_address_is_the_address_that_it_maps() {
    let provider = Scripted::always(Script::json(200, CHAT)).await;
    let text = CONFIG.replace("127.0.0.1:0", "[::]:0");
    let world = World::start(&text, &[("scripted", &provider)]).await;
    let port = world.addr.port();
    // Over one socket of both families: a peer of 127.0.0.1 comes as ::ffff:127.0.0.1.
    for ip in ["127.0.0.1", "::1"] {
        let addr = SocketAddr::new(ip.parse().unwrap(), port);
        let asked = chat(addr).header("authorization", format!("Bearer {KEY}"));
        assert_eq!(asked.send().await.status, 200, "{ip}");
    }
    let seen: Vec<_> =
        world.entries(2).await.iter().map(|it| it.client_ip.unwrap().to_string()).collect();
    assert_eq!(seen, ["127.0.0.1", "::1"]);
    let mapped = World::start(&open("[::ffff:127.0.0.1]:0"), &[("scripted", &provider)]).await;
    let addr = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), mapped.addr.port());
    assert_eq!(chat(addr).send().await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_address_without_keys_is_no_config() {
    let provider = Scripted::always(Script::json(200, CHAT)).await;
    for listen in ["0.0.0.0:0", "[::]:0", "[::ffff:0.0.0.0]:0", "192.0.2.1:0"] {
        let dir = directory(&open(listen), &[("scripted", &provider)]);
        let command = program(&dir);
        let mut torod = Torod::launch(dir, command);
        let status = torod.ended(PATIENCE).await;
        assert_eq!(status.code(), Some(3), "{listen}: {}", torod.said());
        assert!(torod.said().contains("allow_localhost_no_auth"), "{}", torod.said());
    }
}
