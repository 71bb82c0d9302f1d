//! Paths spelled in ways that another server would read as the path beside them.

use std::{net::SocketAddr, time::Duration};

use futures_util::{StreamExt as _, stream};
use tokenrouter::{access::Right, admin, gateway};

use crate::{
    samples::CHAT,
    scripted::{Script, Scripted},
    wire::{answers, exchange},
    world::{CONFIG, World, chat_body},
};

const KEYS: &str = r#"
[[incoming_tokens]]
id = "worker"
role = "inferrer"
key = "sk-worker"

[[incoming_tokens]]
id = "maker"
role = "keymaster"
key = "sk-maker"
"#;

/// Paths that need a right.
const PATHS: [&str; 9] = [
    "/v1",
    "/v1/models",
    "/v1/models/scripted/m",
    "/v1/status",
    "/v1/chat/completions",
    "/v1/responses/resp_1",
    "/v1beta/models/m:generateContent",
    "/admin/api/config/status",
    "/admin/api/config/reload",
];

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"];

/// The path in other words.
fn spellings(path: &str) -> Vec<String> {
    let rest = &path[1..];
    let (first, tail) = rest.split_once('/').unwrap_or((rest, ""));
    let escaped = format!("%{:02x}", path.as_bytes()[1]);
    let last = path.rsplit('/').next().unwrap();
    let parent = &path[..path.len() - last.len()];
    let mut all = vec![
        format!("/{path}"),
        format!("//{path}"),
        format!("/.{path}"),
        format!("/..{path}"),
        format!("/./{rest}"),
        format!("/x/..{path}"),
        format!("/healthz/..{path}"),
        format!("/healthz{path}"),
        format!("/healthz;{path}"),
        format!("/healthz%2f..{path}"),
        format!("/healthz/..;{path}"),
        format!("/healthz/%2e%2e{path}"),
        format!("/healthz\\..{path}"),
        format!("/v1/..{path}"),
        format!("/v1/../..{path}"),
        format!("/v1/models/../..{path}"),
        format!("/v1/models/%2e%2e/%2e%2e{path}"),
        format!("/{escaped}{}", &rest[1..]),
        format!("/%25{}{}", &escaped[1..], &rest[1..]),
        format!("%2f{rest}"),
        format!("/%2f{rest}"),
        format!("/{first}//{tail}"),
        format!("/{first}/./{tail}"),
        format!("/{first}%2f{tail}"),
        format!("/{first}%2F{tail}"),
        format!("/{first}\\{tail}"),
        format!("/{first}%5c{tail}"),
        format!("/{first};x/{tail}"),
        format!("/{first}%00/{tail}"),
        format!("/{first}/x/../{tail}"),
        format!("{parent}{last}/"),
        format!("{path}//"),
        format!("{path}/."),
        format!("{path}/.."),
        format!("{path}/..;/"),
        format!("{path};x"),
        format!("{path};.js"),
        format!("{path}%00"),
        format!("{path}%20"),
        format!("{path}%0d%0a"),
        format!("{path}%23"),
        format!("{path}.json"),
        format!("{path}\u{0}"),
        format!("{path}\\"),
        path.to_ascii_uppercase(),
        format!("/{}{}", first.to_ascii_uppercase(), &rest[first.len()..]),
        format!("http://localhost{path}"),
        format!("http://localhost@evil{path}"),
        format!("//localhost{path}"),
    ];
    all.sort();
    all.dedup();
    // What is the path itself is the business of other tests.
    all.retain(|it| it != path && !it.trim_end_matches('/').is_empty());
    all
}

/// One request on a connection of its own; the status, or none when the connection was closed.
async fn status(addr: SocketAddr, method: &str, path: &str, key: &str) -> Option<u16> {
    let body = chat_body("scripted/m", false);
    let key = if key.is_empty() { String::new() } else { format!("x-api-key: {key}\r\n") };
    let text = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\n{key}connection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len(),
    );
    let bytes = exchange(addr, text, Duration::from_secs(20)).await.bytes;
    if method == "HEAD" && !bytes.is_empty() {
        // Its length is that of the body that is left out.
        assert!(bytes.ends_with(b"\r\n\r\n"), "a body after `HEAD {path}`");
        return Some(String::from_utf8_lossy(&bytes[9..12]).parse().unwrap());
    }
    let replies = answers(&bytes).unwrap_or_else(|why| panic!("{method} {path}: {why}"));
    replies.first().map(|it| it.status)
}

/// Every spelling of these paths with every method, many at once.
async fn all(addr: SocketAddr, paths: &[&str], key: &str) -> Vec<(String, Option<u16>)> {
    let mut cases = Vec::new();
    for path in paths {
        for spelling in spellings(path) {
            cases.extend(METHODS.map(|method| (method, spelling.clone())));
        }
    }
    let key = key.to_owned();
    let asked = cases.into_iter().map(|(method, path)| {
        let key = key.clone();
        async move {
            let status = status(addr, method, &path, &key).await;
            (format!("{method} {path}"), status)
        }
    });
    stream::iter(asked).buffer_unordered(16).collect().await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_of_a_path_needs_less_of_a_right() {
    let provider = Scripted::always(Script::json(200, CHAT)).await;
    let world = World::with(&provider, KEYS).await;
    for (what, status) in all(world.addr, &PATHS, "").await {
        let refused = status.is_none_or(|it| matches!(it, 400 | 401 | 404 | 405));
        assert!(refused, "{what} without a key: {status:?}");
    }
    for (what, status) in all(world.addr, &PATHS[7..], "sk-worker").await {
        // 403 is an answer to a path that is one.
        let refused = status.is_none_or(|it| matches!(it, 400 | 404 | 405));
        assert!(refused, "{what} with an inferrer's key: {status:?}");
    }
    assert_eq!((provider.hits(), world.generation()), (0, 1));
    assert_eq!(world.app().ledger.entries().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_is_its_bytes_alone() {
    let provider = Scripted::always(Script::json(200, CHAT)).await;
    let world = World::with(&provider, KEYS).await;
    let fixed = ["/v1/models", "/v1/status", "/v1/chat/completions", "/admin/api/config/status"];
    for (what, status) in all(world.addr, &fixed, "sk-test").await {
        let refused = status.is_none_or(|it| matches!(it, 400 | 404 | 405));
        assert!(refused, "{what} with an admin's key: {status:?}");
    }
    assert_eq!(provider.hits(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_asks_for_its_right_and_no_less() {
    let provider = Scripted::always(Script::json(200, CHAT)).await;
    let old = "[[incoming_tokens]]\nid = \"old\"\nrole = \"admin\"\nkey = \"sk-old\"\n\
               expires_at = 2020-01-01T00:00:00Z\n";
    let world = World::with(&provider, &format!("{KEYS}{old}")).await;
    let rows = gateway::ROUTES.iter().chain(admin::ROUTES);
    for row in rows.filter(|it| it.right != Right::Public) {
        let segments = row.path.split('/').map(|it| match it.as_bytes() {
            [b'{', b'*', ..] => "models/m:countTokens",
            [b'{', ..] => "m",
            _ => it,
        });
        let path = segments.collect::<Vec<_>>().join("/");
        for (key, may) in [
            ("", None),
            ("sk-none", None),
            ("sk-old", None),
            ("sk-worker", Some(row.right <= Right::Infer)),
            ("sk-maker", Some(row.right <= Right::DelegateKeys)),
            ("sk-test", Some(true)),
        ] {
            let status = status(world.addr, row.method, &path, key).await.unwrap();
            let fits = match may {
                None => status == 401,
                Some(false) => status == 403,
                Some(true) => !matches!(status, 401 | 403),
            };
            assert!(fits, "{} {path} with `{key}`: {status}", row.method);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_name_never_becomes_a_path() {
    let provider = Scripted::always(Script::json(200, CHAT)).await;
    let gemini = "[[providers]]\nname = \"g\"\nprovider_type = \"gemini\"\n\
                  base_url = \"{scripted}beta\"\napi_key = \"k\"\n";
    let world = World::start(&format!("{CONFIG}{gemini}"), &[("scripted", &provider)]).await;
    let names = "g/../../admin|g/..%2f..%2fadmin|g/%2e%2e/x|g/a?b=c|g/a%3Fb|g/a%23b|g/a;b|g/a%0d%0ab|g/a%00";
    for name in names.split('|') {
        let path = format!("/v1beta/models/{name}:generateContent");
        let reply = world.posting(&path, "{\"contents\":[]}").send().await;
        assert!(matches!(reply.status, 200 | 400 | 404), "{name}: {}", reply.status);
    }
    for request in provider.requests() {
        let (path, _) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let name =
            path.strip_prefix("/v1beta/models/").and_then(|it| it.strip_suffix(":generateContent"));
        let name = name.unwrap_or_else(|| panic!("{path}"));
        assert!(!name.contains(['/', ';', '\\', '#']), "{path}");
        assert!(name != ".." && name != "." && !request.path.contains("key=up"), "{path}");
    }
    for name in ["scripted/../../admin", "scripted/a?b=c", "scripted/a\r\nx: y", "scripted/a#b"] {
        assert_eq!(world.chat(name).await.status, 200, "{name}");
        let request = provider.last();
        assert_eq!(request.path, "/v1/chat/completions");
        assert_eq!(request.model(), name.strip_prefix("scripted/").unwrap());
    }
}
