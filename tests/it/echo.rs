//! The built-in provider: answers without any account, and switches in the model's name.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokenrouter::store::Outcome;

use crate::world::World;

const CONFIG: &str = r#"
listen_addr = "127.0.0.1:0"
auto_detect_local_servers = false

[[incoming_tokens]]
id = "tester"
role = "admin"
key = "sk-test"

[[providers]]
name = "echo"
provider_type = "echo"
"#;

const CHAT_PATH: &str = "/v1/chat/completions";

async fn world() -> World {
    World::start(CONFIG, &[]).await
}

fn chat(model: &str, more: &Value) -> String {
    let mut body = json!({
        "model": model,
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "not this"},
            {"role": "assistant", "content": "nor this"},
            {"role": "user", "content": [{"type": "text", "text": "one two "}, {"type": "text", "text": "three"}]},
        ],
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body.to_string()
}

/// The JSON of a chat stream's events, `[DONE]` apart.
fn chunks(events: &[String]) -> Vec<Value> {
    let texts = events.iter().filter(|it| *it != "[DONE]");
    texts.map(|it| serde_json::from_str(it).unwrap()).collect()
}

fn said(chunks: &[Value]) -> String {
    chunks.iter().filter_map(|it| it["choices"][0]["delta"]["content"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_says_what_it_was_told_last() {
    let world = world().await;
    let body = chat("echo/anything", &json!({}));
    let reply = world.post(CHAT_PATH, &body).await;
    let json = reply.json();
    assert_eq!(reply.status, 200);
    assert_eq!((&json["object"], &json["model"]), (&json!("chat.completion"), &json!("anything")));
    let choice = &json["choices"][0];
    assert_eq!(choice["message"]["content"], "one two three");
    assert_eq!(choice["finish_reason"], "stop");
    let usage = json!({"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6});
    assert_eq!(json["usage"], usage);
    assert_eq!(world.post(CHAT_PATH, &body).await.body, reply.body, "each time the same");
    let entry = world.entries(2).await.remove(0);
    assert_eq!((entry.provider.as_deref(), entry.outcome), (Some("echo"), Outcome::Ok));
    assert_eq!(entry.usage.map(|it| (it.input, it.output)), Some((3, 3)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_has_a_chunk_a_word_and_its_end() {
    let world = world().await;
    let reply = world.post(CHAT_PATH, chat("echo/x", &json!({"stream": true}))).await;
    assert_eq!(reply.header("content-type"), Some("text/event-stream"));
    let events = reply.events();
    assert_eq!(events.last().map(String::as_str), Some("[DONE]"));
    let chunks = chunks(&events);
    assert_eq!(said(&chunks), "one two three");
    let words = chunks.iter().filter(|it| it["choices"][0]["delta"]["content"] != "").count();
    assert_eq!((chunks.len(), words), (5, 4), "role, three words, reason");
    assert_eq!(chunks[4]["choices"][0]["finish_reason"], "stop");
    assert!(chunks.iter().all(|it| it.get("usage").is_none()), "nobody asked for usage");

    let more = json!({"stream": true, "stream_options": {"include_usage": true}});
    let events = world.post(CHAT_PATH, chat("echo/x", &more)).await.events();
    let last: Value = serde_json::from_str(&events[events.len() - 2]).unwrap();
    assert_eq!((&last["choices"], &last["usage"]["total_tokens"]), (&json!([]), &json!(6)));
}

#[tokio::test(flavor = "multi_thread")]
async fn completions_answer_their_prompt() {
    let world = world().await;
    let body = r#"{"model":"echo/x","prompt":"a b c"}"#;
    let json = world.post("/v1/completions", body).await.json();
    assert_eq!(
        (&json["object"], &json["choices"][0]["text"]),
        (&json!("text_completion"), &json!("a b c"))
    );
    let body = r#"{"model":"echo/x","prompt":"a b c","stream":true}"#;
    let events = world.post("/v1/completions", body).await.events();
    let text = chunks(&events);
    let text: String = text.iter().filter_map(|it| it["choices"][0]["text"].as_str()).collect();
    assert_eq!((text.as_str(), events.last().unwrap().as_str()), ("a b c", "[DONE]"));
}

#[tokio::test(flavor = "multi_thread")]
async fn responses_answer_whole_and_as_a_stream() {
    let world = world().await;
    let json = world.post("/v1/responses", r#"{"model":"echo/x","input":"a b"}"#).await.json();
    assert_eq!((&json["object"], &json["status"]), (&json!("response"), &json!("completed")));
    assert_eq!(json["output"][0]["content"][0]["text"], "a b");
    assert_eq!(json["usage"]["total_tokens"], 4);
    let body = r#"{"model":"echo/x","input":[{"role":"user","content":[{"type":"input_text","text":"a b"}]}],"stream":true}"#;
    let reply = world.post("/v1/responses", body).await;
    let events = chunks(&reply.events());
    let kind = |it: &Value| it["type"].as_str().unwrap().to_owned();
    assert_eq!(kind(&events[0]), "response.created");
    assert_eq!(kind(events.last().unwrap()), "response.completed");
    let deltas = events.iter().filter(|it| it["type"] == "response.output_text.delta");
    assert_eq!(deltas.filter_map(|it| it["delta"].as_str()).collect::<String>(), "a b");
    for (at, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], at);
    }
    let entries = world.entries(2).await;
    assert!(entries.iter().all(|it| it.usage.is_some_and(|it| it.total() == 4)), "{entries:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn embeddings_are_unit_vectors_in_either_form() {
    let world = world().await;
    let body = |format: &str| {
        format!(r#"{{"model":"echo/x","input":["a","b"],"encoding_format":"{format}"}}"#)
    };
    let floats = world.post("/v1/embeddings", body("float")).await.json();
    let encoded = world.post("/v1/embeddings", body("base64")).await.json();
    assert_eq!(floats["data"].as_array().unwrap().len(), 2);
    assert_ne!(floats["data"][0]["embedding"], floats["data"][1]["embedding"]);
    for at in 0..2 {
        let row = floats["data"][at]["embedding"].as_array().unwrap();
        let row: Vec<f64> = row.iter().map(|it| it.as_f64().unwrap()).collect();
        let length = row.iter().map(|it| it * it).sum::<f64>();
        assert_eq!((row.len(), (length - 1.0).abs() < 1e-5), (8, true));
        let text = encoded["data"][at]["embedding"].as_str().unwrap();
        let bytes = data_encoding::BASE64.decode(text.as_bytes()).unwrap();
        let (fours, []) = bytes.as_chunks::<4>() else { panic!("{} bytes", bytes.len()) };
        for (bytes, float) in fours.iter().zip(&row) {
            assert!((f64::from(f32::from_le_bytes(*bytes)) - float).abs() < 1e-6);
        }
    }
    let one = world.post("/v1/embeddings", r#"{"model":"echo/x","input":"a"}"#).await.json();
    assert_eq!(one["data"][0]["embedding"], floats["data"][0]["embedding"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_waits_before_the_first_byte() {
    let world = world().await;
    let start = Instant::now();
    assert_eq!(world.post(CHAT_PATH, chat("echo/slow-300ms", &json!({}))).await.status, 200);
    assert!(start.elapsed() >= Duration::from_millis(300));
    let entry = world.entry().await;
    assert!(entry.ttfb.unwrap() >= Duration::from_millis(300));
}

#[tokio::test(flavor = "multi_thread")]
async fn tick_waits_between_chunks() {
    let world = world().await;
    let ask = world.posting(CHAT_PATH, chat("echo/tick-100ms", &json!({"stream": true})));
    let mut stream = ask.open().await;
    stream.piece().await.unwrap();
    let first = Instant::now();
    let rest = stream.rest().await;
    let took = first.elapsed();
    assert!(rest.text().ends_with("data: [DONE]\n\n"));
    assert!(took >= Duration::from_millis(400), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn error_answers_that_status() {
    let world = world().await;
    for status in [400, 403, 404, 429, 500, 503, 529] {
        let model = format!("echo/error-{status}");
        for stream in [false, true] {
            let reply = world.post(CHAT_PATH, chat(&model, &json!({"stream": stream}))).await;
            assert_eq!(reply.status, status);
            let error = reply.json()["error"].clone();
            assert!(error["message"].is_string() && error["type"].is_string(), "{error}");
            assert_eq!(error.as_object().unwrap().len(), 4, "{error}");
            assert_eq!(reply.header("retry-after").is_some(), status == 429);
        }
    }
    let reply = world.post(CHAT_PATH, chat("echo/error-401", &json!({}))).await;
    assert_eq!((reply.status, reply.code().as_str()), (502, "upstream_credentials"));
}

#[tokio::test(flavor = "multi_thread")]
async fn tool_call_calls_the_first_tool() {
    let world = world().await;
    let tools = json!([
        {"type": "function", "function": {"name": "weather", "parameters": {}}},
        {"type": "function", "function": {"name": "time", "parameters": {}}},
    ]);
    let body = chat("echo/tool-call", &json!({"tools": tools}));
    let choice = world.post(CHAT_PATH, &body).await.json()["choices"][0].clone();
    assert_eq!(choice["finish_reason"], "tool_calls");
    assert_eq!(choice["message"]["content"], Value::Null);
    let call = &choice["message"]["tool_calls"][0];
    assert_eq!(
        (&call["function"]["name"], &call["function"]["arguments"]),
        (&json!("weather"), &json!("{}"))
    );
    let body = chat("echo/tool-call", &json!({"tools": tools, "stream": true}));
    let chunks = chunks(&world.post(CHAT_PATH, &body).await.events());
    let names =
        chunks.iter().map(|it| &it["choices"][0]["delta"]["tool_calls"][0]["function"]["name"]);
    assert_eq!(names.filter_map(|it| it.as_str()).collect::<Vec<_>>(), ["weather"]);
    let body =
        r#"{"model":"echo/tool-call","input":"x","tools":[{"type":"function","name":"weather"}]}"#;
    let item = world.post("/v1/responses", body).await.json()["output"][0].clone();
    assert_eq!((&item["type"], &item["name"]), (&json!("function_call"), &json!("weather")));
    let reply = world.post(CHAT_PATH, chat("echo/tool-call", &json!({}))).await;
    assert_eq!(reply.json()["choices"][0]["message"]["content"], "one two three", "no tool");
}

#[tokio::test(flavor = "multi_thread")]
async fn words_answers_so_many() {
    let world = world().await;
    let reply = world.post(CHAT_PATH, chat("echo/words-500", &json!({}))).await.json();
    let text = reply["choices"][0]["message"]["content"].as_str().unwrap();
    assert_eq!(text.split_whitespace().count(), 500);
    assert_eq!(reply["usage"]["completion_tokens"], 500);
    let events = world.post(CHAT_PATH, chat("echo/words-500", &json!({"stream": true}))).await;
    assert_eq!(said(&chunks(&events.events())), text);
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_dies_in_mid_stream() {
    let world = world().await;
    let reply = world.post(CHAT_PATH, chat("echo/words-9-cut", &json!({"stream": true}))).await;
    let text = reply.text();
    assert!(
        text.contains("word1") && !text.contains("word9") && !text.contains("[DONE]"),
        "{text}"
    );
    let last: Value = serde_json::from_str(reply.events().last().unwrap()).unwrap();
    assert_eq!(last["error"]["code"], "upstream_broke");
    let reply = world.post(CHAT_PATH, chat("echo/cut", &json!({}))).await;
    assert_eq!((reply.status, reply.code().as_str()), (502, "upstream_broke"), "whole");
    let entries = world.entries(2).await;
    assert!(entries.iter().all(|it| it.outcome == Outcome::UpstreamBroke));
}

#[tokio::test(flavor = "multi_thread")]
async fn switches_go_together() {
    let world = world().await;
    let start = Instant::now();
    let reply = world.post(CHAT_PATH, chat("echo/slow-200ms-error-503", &json!({}))).await;
    assert_eq!(reply.status, 503);
    assert!(start.elapsed() >= Duration::from_millis(200));
}
