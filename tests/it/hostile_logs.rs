//! What must not get into a log line or out of torod: control characters, secrets, addresses.

use std::{os::unix::fs::PermissionsExt as _, path::Path};

use serde_json::Value;

use crate::{
    client::{PATIENCE, Reply},
    process::Torod,
    samples::CHAT,
    scripted::{Script, Scripted},
    wire::{answers, exchange},
    world::{CONFIG, KEY, World, chat_body, eventually},
};

/// Texts that a terminal or a reader of logs would take for more than a text.
const ODD: [&str; 8] = [
    "\u{1b}[31mred\u{1b}]0;title\u{7}",
    "a\r\n2026-01-01T00:00:00Z  INFO forged line",
    "\u{9b}31m\u{85}\u{90}",
    "\u{202e}txet\u{2066}",
    "a\u{2028}b\u{2029}c",
    "\u{0}\u{8}\u{7f}\u{b}\u{c}",
    "{\"level\":\"ERROR\"}\n",
    "\"}\\\"\t=x status=200",
];

/// Requests that put these texts wherever a client can put a text; how many there were.
async fn odd_requests(torod: &Torod) -> usize {
    let mut count = 0;
    for text in ODD {
        let body = chat_body(text, false);
        let asked = torod.posting("/v1/chat/completions", &body);
        assert_eq!(crate::garbage::what_is_wrong(&asked.send().await), None);
        let body = chat_body(&format!("scripted/{text}"), true);
        let asked = torod.posting("/v1/chat/completions", &body);
        assert_eq!(crate::garbage::what_is_wrong(&asked.send().await), None);
        count += 2;
        let escaped: Vec<_> = text.bytes().map(|it| format!("%{it:02x}")).collect();
        let path = format!("/v1/models/{}", escaped.concat());
        assert!(matches!(torod.ask("GET", &path).send().await.status, 400 | 404));
        // Headers as raw as they come: most are refused.
        for name in ["user-agent", "x-request-id", "authorization", "origin", "x-forwarded-for"] {
            let raw = format!("GET /v1/none HTTP/1.1\r\nhost: localhost\r\n{name}: {text}\r\n\r\n");
            let bytes = exchange(torod.addr, raw, std::time::Duration::from_millis(50)).await.bytes;
            let replies = answers(&bytes).unwrap_or_else(|why| panic!("{name}: {text:?}: {why}"));
            let forged = |it: &(String, String)| it.1.contains(['\u{1b}', '\u{9b}', '\u{7}']);
            assert!(!replies.iter().any(|it| it.headers.iter().any(forged)), "{replies:?}");
        }
    }
    count
}

/// A provider whose errors are as odd.
async fn odd_provider() -> Scripted {
    Scripted::start(|request| {
        let name = request.model();
        match name.len() % 3 {
            0 => Script::html(500, &name),
            1 => Script::whole(200, &[("content-type", "text/html\u{9b}31m")], &name),
            _ => Script::new().bytes(format!("HTTP/1.1 {name}\r\n\r\n")).cut(),
        }
    })
    .await
}

async fn logging(format: &str, provider: &Scripted) -> Torod {
    let text = format!("{CONFIG}\n[logs]\nlevel = \"trace\"\nformat = \"{format}\"\n");
    Torod::start(&text, &[("scripted", provider)]).await
}

/// Every line that torod said, after all requests have theirs.
async fn lines(torod: &mut Torod, requests: usize) -> Vec<String> {
    let count = |said: &str| said.lines().filter(|it| it.contains("duration_ms")).count();
    eventually("every request has its line", || count(&torod.said()) >= requests).await;
    torod.signal(rustix::process::Signal::TERM);
    torod.ended(PATIENCE).await;
    let said = torod.said();
    let odd = |it: char| {
        it != '\n' && (it.is_control() || "\u{2028}\u{2029}\u{202e}\u{2066}".contains(it))
    };
    let found = said.char_indices().find(|it| odd(it.1));
    assert!(found.is_none(), "{found:?} in {said}");
    said.lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_text_breaks_a_line_for_people() {
    let provider = odd_provider().await;
    let mut torod = logging("text", &provider).await;
    let count = odd_requests(&torod).await;
    for line in lines(&mut torod, count).await {
        let (time, rest) = line.split_once(' ').unwrap_or_default();
        assert!(time.parse::<jiff::Timestamp>().is_ok(), "{line}");
        let level = rest.trim_start().split(' ').next().unwrap_or_default();
        assert!(["ERROR", "WARN", "INFO", "DEBUG", "TRACE"].contains(&level), "{line}");
        assert!(!line.starts_with("2026-01-01"), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_text_breaks_a_line_for_programs() {
    let provider = odd_provider().await;
    let mut torod = logging("json", &provider).await;
    let count = odd_requests(&torod).await;
    for line in lines(&mut torod, count).await {
        let value: Value = serde_json::from_str(&line).unwrap_or_else(|it| panic!("{it}: {line}"));
        assert!(value["message"].is_string() && value["level"].is_string(), "{line}");
        assert!(value["timestamp"].is_string(), "{line}");
    }
}

const UP: &str = "up-secret-canary-1";
const DOWN: &str = "in-secret-canary-2";
const WRONG: &str = "wrong-secret-canary-3";
const HEADER: &str = "header-secret-canary-4";
const QUERY: &str = "query-secret-canary-5";
const PROMPT: &str = "prompt-secret-canary-6";
const SECRETS: [&str; 6] = [UP, DOWN, WRONG, HEADER, QUERY, PROMPT];

/// A provider that says what it was sent: in its headers, its errors, its status line.
async fn parrot() -> Scripted {
    Scripted::start(|request| {
        let key = request.header("authorization").unwrap_or_default().to_owned();
        let extra = request.header("x-team").unwrap_or_default().to_owned();
        let said =
            serde_json::json!({ "error": { "message": format!("bad key {key} of {extra}") } });
        let json = ("content-type", "application/json");
        let headers = [json, ("x-echo", &*key), ("x-key", UP), ("set-cookie", &*key)];
        match &*request.model() {
            "ok" => Script::whole(200, &headers, CHAT),
            "redirect" => {
                let to = format!("http://127.0.0.1:1/?key={UP}");
                Script::whole(302, &[json, ("location", &to)], said.to_string())
            }
            "page" => Script::html(503, &said.to_string()),
            "head" => Script::new().bytes(format!("HTTP/1.1 {key}\r\n\r\n")).cut(),
            "cut" => {
                let headers = [&headers[..], &[("content-length", "9999")]].concat();
                Script::new().head(200, &headers).bytes(said.to_string()).cut()
            }
            "type" => Script::whole(200, &[("content-type", &*key)], said.to_string()),
            status => Script::whole(status.parse().unwrap_or(400), &headers, said.to_string()),
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_gets_out() {
    let provider = parrot().await;
    let text = CONFIG.replace("up-secret", UP).replace(KEY, DOWN);
    let text = format!(
        "{text}headers = {{ \"x-team\" = \"{HEADER}\" }}\n\
         [[providers]]\nname = \"dead\"\nprovider_type = \"openai-compatible\"\n\
         base_url = \"http://127.0.0.1:1/url-canary/v1\"\napi_key = \"{UP}\"\n\
         [logs]\nlevel = \"trace\"\n"
    );
    let mut torod = Torod::start(&text, &[("scripted", &provider)]).await;
    let mut replies: Vec<Reply> = Vec::new();
    for model in "ok|redirect|page|head|cut|type|400|401|403|404|429|500|503".split('|') {
        let model = format!("scripted/{model}");
        for (model, stream) in [(&*model, false), (&*model, true), ("dead/m", false)] {
            let body = chat_body(model, stream).replace("\"hi\"", &format!("\"{PROMPT}\""));
            let asked = torod.bare("POST", &format!("/v1/chat/completions?key={QUERY}"));
            let asked = asked.header("content-type", "application/json").body(body);
            replies.push(asked.header("authorization", format!("Bearer {DOWN}")).send().await);
        }
    }
    for (method, path) in [
        ("GET", "/v1/models"),
        ("GET", "/v1/status"),
        ("GET", "/admin/api/config/status"),
        ("POST", "/admin/api/config/reload"),
    ] {
        replies.push(torod.bare(method, path).header("x-api-key", DOWN).send().await);
        replies.push(torod.bare(method, path).header("x-api-key", WRONG).send().await);
        let query = format!("{path}?key={QUERY}&api_key={WRONG}");
        replies.push(torod.bare(method, &query).send().await);
    }
    // A broken file, with a secret at the place that is wrong.
    let path = torod.dir.path().join("torod.toml");
    let broken = std::fs::read_to_string(&path).unwrap().replace("x-team", "x\\nteam");
    std::fs::write(&path, broken + &format!("\napi_key = \"{UP}\n")).unwrap();
    replies.push(
        torod.bare("POST", "/admin/api/config/reload").header("x-api-key", DOWN).send().await,
    );
    replies
        .push(torod.bare("GET", "/admin/api/config/status").header("x-api-key", DOWN).send().await);
    for request in provider.requests() {
        assert_eq!(request.header("authorization"), Some(&*format!("Bearer {UP}")));
        assert_eq!(request.header("x-team"), Some(HEADER));
        assert!(request.text().contains(PROMPT));
    }
    let mut leaks = Vec::new();
    for reply in &replies {
        let shown = format!("{} {:?} {}", reply.status, reply.headers, reply.text());
        leaks.extend(hidden().filter(|it| shown.contains(it)).map(|it| format!("{it}: {shown}")));
    }
    torod.signal(rustix::process::Signal::TERM);
    torod.ended(PATIENCE).await;
    let said = torod.said();
    assert!(said.contains("TRACE") || said.contains("DEBUG"), "the level is low enough");
    for line in said.lines() {
        leaks.extend(hidden().filter(|it| line.contains(it)).map(|it| format!("{it}: {line}")));
    }
    assert!(leaks.is_empty(), "{leaks:#?}");
    for place in ["state", "cache"] {
        no_secret_below(&torod.dir.path().join(place));
    }
}

fn hidden() -> impl Iterator<Item = &'static str> {
    SECRETS.into_iter().chain(["url-canary"])
}

fn no_secret_below(directory: &Path) {
    for item in std::fs::read_dir(directory).unwrap() {
        let path = item.unwrap().path();
        if path.ends_with("state/history") {
            // Earlier texts of the file, with what it says in clear, are as private as the file.
            for text in std::fs::read_dir(&path).unwrap() {
                let mode = text.unwrap().metadata().unwrap().permissions().mode();
                assert_eq!(mode & 0o077, 0, "{}", path.display());
            }
        } else if path.is_dir() {
            no_secret_below(&path);
        } else if let Ok(bytes) = std::fs::read(&path) {
            let text = String::from_utf8_lossy(&bytes);
            assert!(SECRETS.iter().all(|it| !text.contains(it)), "{}", path.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_not_followed() {
    let elsewhere = Scripted::always(Script::json(200, CHAT)).await;
    let root = elsewhere.root();
    let target = root.clone();
    let provider = Scripted::start(move |request| {
        let status = request.model().parse().unwrap();
        let to = format!("{target}/stolen");
        Script::whole(
            status,
            &[("location", &to), ("content-type", "text/html")],
            format!("<a href={to}>"),
        )
    })
    .await;
    let world = World::over(&provider).await;
    for (at, status) in [300, 301, 302, 303, 304, 305, 307, 308].into_iter().enumerate() {
        for stream in [false, true] {
            let body = chat_body(&format!("scripted/{status}"), stream);
            let reply = world.post("/v1/chat/completions", body).await;
            assert_eq!((reply.status, reply.code()), (502, "upstream_garbage".into()), "{status}");
            let shown = format!("{:?} {}", reply.headers, reply.text());
            assert!(!shown.contains(&root[7..]) && !shown.contains("stolen"), "{shown}");
        }
        world.entries(at * 2 + 2).await;
    }
    assert_eq!((elsewhere.connections(), provider.hits()), (0, 16));
}
