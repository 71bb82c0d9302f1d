//! The ledger as its readers see it: one entry a request, sums that are equal, and nobody else's.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokenrouter::llm::Protocol;

use crate::{
    samples::{CHAT, DONE, STOP, USAGE, delta},
    scripted::{Script, Scripted},
    world::{CONFIG, World, chat_body, eventually, fill, scale},
};

const KEYS: &str = r#"
[[incoming_tokens]]
id = "a"
name = "A"
role = "inferrer"
key = "sk-key-of-a-000000000"

[[incoming_tokens]]
id = "b"
name = "B"
role = "inferrer"
key = "sk-key-of-b-000000000"
"#;

async fn as_key(world: &World, key: &str, path: &str) -> Value {
    let ask = world
        .bare("GET", path)
        .header("authorization", format!("Bearer sk-key-of-{key}-000000000"));
    let reply = ask.send().await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()
}

/// What the admin sees of the ledger, as soon as it is written.
async fn written(world: &World) -> Value {
    assert!(world.app().store.flush().await);
    world.get("/admin/api/stats?group_by=key,provider,model").await.json()
}

/// A provider that serves, streams, breaks off and refuses by what the model's name says.
async fn mixed() -> Scripted {
    Scripted::start(|request| match &*request.model() {
        "cut" => Script::sse_head().chunk(delta("a")).cut(),
        "slow" => Script::sse_head().chunk(delta("a")).hang(),
        "limited" => Script::json(429, r#"{"error":{"message":"slow down"}}"#),
        "absent" => Script::json(404, r#"{"error":{"message":"no such model"}}"#),
        "stream" => Script::sse(&[&delta("a"), STOP, USAGE, DONE]),
        _ => Script::json(200, CHAT),
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_is_one_entry_and_the_sums_are_equal() {
    let provider = mixed().await;
    provider.set_models(&["whole", "stream", "cut", "slow", "limited"]);
    let world = World::with(&provider, KEYS).await;
    let kinds = ["whole", "stream", "cut", "slow", "limited", "absent"];
    let count = scale(10_000) / 6 * 6;
    let next = AtomicUsize::new(0);
    let worker = || async {
        loop {
            let number = next.fetch_add(1, Ordering::SeqCst);
            if number >= count {
                return;
            }
            let kind = kinds[number % 6];
            let streams = matches!(kind, "stream" | "cut" | "slow");
            let ask = world.posting("/v1/chat/completions", chat_body(kind, streams));
            let ask = ask.header("x-torod-tag", format!("n-{number}"));
            if kind == "slow" {
                let mut stream = ask.open().await;
                stream.until("delta").await;
                stream.hang_up().await;
            } else {
                ask.send().await;
            }
        }
    };
    let workers: Vec<_> = (0..16).map(|_| worker()).collect();
    futures_util::future::join_all(workers).await;
    let ledger = &world.app().ledger;
    let total = count as u64;
    eventually("all are booked", || ledger.totals().requests >= total).await;
    let stats = written(&world).await;
    let each = total / 6;
    assert_eq!(stats["requests"], json!(total), "{stats}");
    assert_eq!(stats["failed_requests"], json!(each * 4), "{stats}");
    // A name that no provider knows is no row of the sums: there is no end of them.
    assert_eq!(stats["requests_per_model"]["absent"], Value::Null);
    let text = world.get("/admin/api/usage?format=jsonl").await.text();
    let rows: Vec<Value> = text.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    assert_eq!(rows.len(), count);
    let mut tags: Vec<&str> = rows.iter().map(|it| it["tags"][0].as_str().unwrap()).collect();
    tags.sort_unstable();
    tags.dedup();
    assert_eq!(tags.len(), count, "no request is there twice");
    for (kind, outcome, provider) in [
        ("whole", "ok", Some("scripted")),
        ("stream", "ok", Some("scripted")),
        ("cut", "upstream_broke", Some("scripted")),
        ("slow", "client_gone", Some("scripted")),
        ("limited", "refused", Some("scripted")),
        ("absent", "refused", Some("scripted")),
    ] {
        let of = rows.iter().filter(|it| it["requested_model"] == kind);
        let (mut found, mut tokens) = (0, 0);
        for row in of {
            assert_eq!(
                (&row["outcome"], &row["provider"]),
                (&json!(outcome), &json!(provider)),
                "{row}"
            );
            tokens += row["total_tokens"].as_u64().unwrap();
            found += 1;
        }
        assert_eq!(found, each, "{kind}");
        if outcome == "ok" {
            assert_eq!(tokens, each * 5, "{kind}: as the provider said");
        }
    }
    let sum = |rows: &[Value], field: &str| {
        rows.iter().map(|it| it[field].as_u64().unwrap()).sum::<u64>()
    };
    let buckets = stats["buckets"].as_array().unwrap();
    for field in ["prompt_tokens", "completion_tokens", "total_tokens"] {
        assert_eq!(stats[field], json!(sum(&rows, field)), "{field}");
        assert_eq!(stats[field], json!(sum(buckets, field)), "{field}");
    }
    assert_eq!(stats["total_tokens"], json!(ledger.totals().usage.total()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_sees_its_own_usage_and_no_other() {
    let provider = Scripted::always(Script::json(200, CHAT)).await;
    let world = World::with(&provider, KEYS).await;
    for (key, count) in [("a", 1), ("b", 2)] {
        for _ in 0..count {
            let ask = world
                .posting("/v1/chat/completions", chat_body("m", false))
                .with("authorization", format!("Bearer sk-key-of-{key}-000000000"));
            assert_eq!(ask.send().await.status, 200);
        }
    }
    world.chat("m").await;
    world.entries(4).await;
    assert!(world.app().store.flush().await);
    for (key, count) in [("a", 1), ("b", 2)] {
        for path in ["/v1/usage", "/v1/usage?key=a", "/v1/usage?key=b", "/v1/usage?key=tester"] {
            let page = as_key(&world, key, path).await;
            let rows = page["data"].as_array().unwrap();
            assert!(rows.iter().all(|it| it["key_id"] == key), "{key} {path}: {page}");
            assert!(path != "/v1/usage" || rows.len() == count, "{key}: {page}");
        }
        let status = as_key(&world, key, "/v1/status").await;
        assert_eq!(
            (&status["requests"], &status["total_tokens"]),
            (&json!(count), &json!(count * 5))
        );
        assert!(status.get("providers").is_none() && status.get("listening").is_none(), "{status}");
        for path in ["/admin/api/usage", "/admin/api/stats"] {
            let key = format!("Bearer sk-key-of-{key}-000000000");
            let reply = world.bare("GET", path).header("authorization", key).send().await;
            assert_eq!(reply.status, 403, "{path}");
        }
    }
    // The admin's own page is its own; the ledger of all is another path.
    assert_eq!(world.get("/v1/usage").await.json()["data"].as_array().unwrap().len(), 1);
    let all = world.get("/admin/api/usage?limit=3").await.json();
    assert_eq!(all["data"].as_array().unwrap().len(), 3);
    let next = all["next"].as_str().unwrap();
    let rest = world.get(&format!("/admin/api/usage?limit=3&cursor={next}")).await.json();
    assert_eq!((rest["data"].as_array().unwrap().len(), &rest["next"]), (1, &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_tells_who_asked_and_how_long_it_took() {
    let timed = CHAT.replace(
        r#""prompt_tokens":3"#,
        r#""prompt_time":0.25,"completion_time":0.5,"prompt_tokens":3"#,
    );
    let provider = Scripted::always(Script::json(200, timed)).await;
    let world = World::over(&provider).await;
    let ask = world
        .posting("/v1/chat/completions", chat_body("m", false))
        .with("user-agent", "OpenAI/Python 1.99.1")
        .header("x-torod-tag", "=cmd(), team-a");
    assert_eq!(ask.send().await.status, 200);
    assert_eq!(world.entry().await.protocol, Protocol::Chat);
    assert_eq!(provider.last().header("x-torod-tag"), None, "it is for torod alone");
    assert!(world.app().store.flush().await);
    let page = world.get("/admin/api/usage").await.json();
    let row = &page["data"][0];
    for (field, wanted) in [
        ("client_type", json!("openai-python")),
        ("tags", json!(["=cmd()", "team-a"])),
        ("prompt_ms", json!(250.0)),
        ("generation_ms", json!(500.0)),
        ("key_id", json!("tester")),
        ("requested_model", json!("m")),
        ("cost_pico_usd", Value::Null),
        ("client_ip", json!("127.0.0.1")),
    ] {
        assert_eq!(row[field], wanted, "{field}: {row}");
    }
    let stats = world.get("/admin/api/stats?period_seconds=600&group_by=model").await.json();
    assert_eq!(
        (&stats["avg_prompt_tps"], &stats["avg_generation_tps"]),
        (&json!(12.0), &json!(4.0))
    );
    assert_eq!(stats["requests_per_user_agent"], json!({ "OpenAI/Python 1.99.1": 1 }));
    assert_eq!(
        (&stats["unpriced_requests"], &stats["buckets"][0]["model"]),
        (&json!(1), &json!("m"))
    );
    let reply = world.get("/admin/api/usage?format=csv").await;
    assert!(reply.header("content-type").unwrap().starts_with("text/csv"));
    let csv = reply.text();
    let (head, line) = csv.trim_end().split_once("\r\n").unwrap();
    assert!(
        head.starts_with("id,request_id,at,") && head.contains(",tokens_cache_read,"),
        "{head}"
    );
    assert!(line.contains(r#""[""=cmd()"",""team-a""]""#), "{line}");
    for (query, status) in
        [("slot_seconds=7", 400), ("group_by=color", 400), ("from=9", 200), ("form=9", 400)]
    {
        assert_eq!(world.get(&format!("/admin/api/stats?{query}")).await.status, status, "{query}");
    }
    let ready = world.bare("GET", "/readyz").send().await.json();
    assert_eq!(ready["ledger"], json!({ "state": "ok", "queued": 0, "dropped": 0 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_stop_loses_nothing() {
    let provider = Scripted::always(Script::json(200, CHAT)).await;
    let world = World::over(&provider).await;
    for _ in 0..20 {
        assert_eq!(world.chat("m").await.status, 200);
    }
    let World { dir, daemon, .. } = world;
    daemon.stop().await;
    let world = World::start_in(dir, &fill(CONFIG, &[("scripted", &provider)]), true).await;
    let page = world.get("/admin/api/usage").await.json();
    assert_eq!(page["data"].as_array().unwrap().len(), 20);
}
