//! The built-in provider that answers what it was asked: a first reply without any account, and a
//! predictable peer for tests of one's own programs.
//!
//! Pure: a request becomes a [`Script`], which the upstream seam plays. The model's name may hold
//! switches, joined by dashes: `slow-200ms` waits before the first byte, `tick-50ms` between
//! chunks, `words-500` answers 500 words, `error-429` fails with that status, `tool-call` calls
//! the request's first tool, `cut` dies in mid-stream.

mod response;

use std::time::Duration;

use serde_json::{Value, json};

use super::{Fault, Protocol};
use crate::base::{digest, hex};

/// What the provider will say, and when.
#[derive(Debug, PartialEq, Eq)]
pub struct Script {
    pub wait: Duration,
    pub status: u16,
    pub content_type: &'static str,
    /// The pause before each piece but the first.
    pub tick: Duration,
    pub pieces: Vec<String>,
    /// The connection breaks after the last piece.
    pub cut: bool,
}

/// Ids that the model list shows.
pub const MODELS: [&str; 5] = ["hello", "slow-200ms", "tick-50ms", "error-429", "tool-call"];

/// When everything that the echo makes was created: answers are the same each time.
const CREATED: u64 = 1_700_000_000;

#[derive(Debug, Default)]
struct Switches {
    wait: Duration,
    tick: Duration,
    words: Option<usize>,
    error: Option<u16>,
    tool_call: bool,
    cut: bool,
}

impl Switches {
    fn parse(model: &str) -> Self {
        let mut found = Self::default();
        let mut words = model.split(['-', '/']).peekable();
        while let Some(word) = words.next() {
            let next = words.peek().copied().unwrap_or_default();
            match word {
                "slow" => found.wait = span(next),
                "tick" => found.tick = span(next),
                "words" => found.words = next.parse().ok().map(|it: usize| it.min(100_000)),
                "error" => found.error = next.parse().ok().filter(|it| (400..600).contains(it)),
                "tool" => found.tool_call = next == "call",
                "cut" => found.cut = true,
                _ => {}
            }
        }
        found
    }
}

/// `200ms` or `2s`, at most a minute.
fn span(text: &str) -> Duration {
    let (number, unit) =
        text.split_at(text.find(|it: char| !it.is_ascii_digit()).unwrap_or(text.len()));
    let millis =
        number.parse::<u64>().unwrap_or(0).saturating_mul(if unit == "s" { 1000 } else { 1 });
    Duration::from_millis(millis.min(60_000))
}

/// Answers a request to `path`, such as `/chat/completions`.
pub fn answer(path: &str, body: &[u8]) -> Script {
    let Ok(request) = serde_json::from_slice::<Value>(body) else {
        return refuse(400, "the echo provider takes JSON", Duration::ZERO);
    };
    let model = request["model"].as_str().unwrap_or_default();
    let switches = Switches::parse(model);
    if let Some(status) = switches.error {
        return refuse(status, "the echo provider was asked for this error", switches.wait);
    }
    let turn = Turn {
        model,
        id: hex(&digest(body)[..12]),
        stream: request["stream"] == true,
        usage_in_stream: request["stream_options"]["include_usage"] == true,
        tool: request["tools"][0].as_object().filter(|_| switches.tool_call).map(|it| {
            let function = it.get("function").unwrap_or(&request["tools"][0]);
            function["name"].as_str().unwrap_or("tool").to_owned()
        }),
        said: said(&request),
        words: switches.words,
    };
    let pieces = match path {
        "/chat/completions" => turn.chat(),
        "/completions" => turn.completion(),
        "/responses" => turn.response(),
        "/embeddings" => vec![embeddings(&request, model).to_string()],
        _ => return refuse(404, "the echo provider does not serve this path", switches.wait),
    };
    let stream = turn.stream && path != "/embeddings";
    let keep = if switches.cut { pieces.len().div_ceil(2) } else { pieces.len() };
    Script {
        wait: switches.wait,
        status: 200,
        content_type: if stream { "text/event-stream" } else { "application/json" },
        tick: switches.tick,
        pieces: pieces.into_iter().take(keep).collect(),
        cut: switches.cut,
    }
}

fn refuse(status: u16, message: &str, wait: Duration) -> Script {
    let kind = if status == 429 {
        "rate_limit_error"
    } else if status < 500 {
        "invalid_request_error"
    } else {
        "server_error"
    };
    let fault = Fault { status, kind, code: None, param: None, message: message.to_owned() };
    let pieces = vec![fault.body(Protocol::Chat)];
    let content_type = "application/json";
    Script { wait, status, content_type, tick: Duration::ZERO, pieces, cut: false }
}

/// The text that is echoed: the last user message, the prompt, or the last input.
fn said(request: &Value) -> String {
    let last_user = |list: &Value| {
        let list = list.as_array()?;
        list.iter().rev().find(|it| it["role"] == "user").map(|it| text(&it["content"]))
    };
    last_user(&request["messages"]).or_else(|| last_user(&request["input"])).unwrap_or_else(|| {
        text(if request["prompt"].is_null() { &request["input"] } else { &request["prompt"] })
    })
}

/// The text of a content value: a string, or the texts of its parts.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().map(text).collect(),
        Value::Object(part) => part.get("text").map(text).unwrap_or_default(),
        _ => String::new(),
    }
}

/// Words with the white space that follows them; joined they are the text.
fn chunks(text: &str) -> Vec<String> {
    text.split_inclusive(char::is_whitespace).map(str::to_owned).collect()
}

struct Turn<'a> {
    model: &'a str,
    id: String,
    stream: bool,
    usage_in_stream: bool,
    tool: Option<String>,
    said: String,
    words: Option<usize>,
}

impl Turn<'_> {
    fn answer(&self) -> Vec<String> {
        match self.words {
            None => chunks(&self.said),
            Some(count) => (1..=count).map(|it| format!("word{it} ")).collect(),
        }
    }

    /// One token a word, at least one each way.
    fn counts(&self) -> (usize, usize) {
        let prompt = self.said.split_whitespace().count().max(1);
        (prompt, if self.tool.is_some() { 1 } else { self.answer().len().max(1) })
    }

    fn usage(&self) -> Value {
        let (prompt, completion) = self.counts();
        json!({ "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion })
    }

    fn chat(&self) -> Vec<String> {
        let call = self.tool.as_ref().map(|name| {
            json!([{ "index": 0, "id": "call_echo", "type": "function", "function": { "name": name, "arguments": "{}" } }])
        });
        let reason = if call.is_some() { "tool_calls" } else { "stop" };
        if !self.stream {
            let mut message =
                json!({ "role": "assistant", "content": self.answer().concat(), "refusal": null });
            if let Some(call) = call {
                message["content"] = Value::Null;
                message["tool_calls"] = call;
            }
            let choice = json!({ "index": 0, "message": message, "logprobs": null, "finish_reason": reason });
            return vec![self.object(
                "chatcmpl",
                "chat.completion",
                &json!([choice]),
                &self.usage(),
            )];
        }
        let mut deltas = vec![json!({ "role": "assistant", "content": "" })];
        match call {
            Some(call) => deltas.push(json!({ "tool_calls": call })),
            None => deltas.extend(self.answer().iter().map(|it| json!({ "content": it }))),
        }
        let mut choices: Vec<Value> = deltas
            .into_iter()
            .map(|it| json!([{ "index": 0, "delta": it, "finish_reason": null }]))
            .collect();
        choices.push(json!([{ "index": 0, "delta": {}, "finish_reason": reason }]));
        self.events("chatcmpl", "chat.completion.chunk", &choices)
    }

    fn completion(&self) -> Vec<String> {
        let choice = |text: &str, reason: Option<&str>| json!([{ "index": 0, "text": text, "logprobs": null, "finish_reason": reason }]);
        if !self.stream {
            let choices = choice(&self.answer().concat(), Some("stop"));
            return vec![self.object("cmpl", "text_completion", &choices, &self.usage())];
        }
        let mut choices: Vec<Value> = self.answer().iter().map(|it| choice(it, None)).collect();
        choices.push(choice("", Some("stop")));
        self.events("cmpl", "text_completion", &choices)
    }

    fn object(&self, prefix: &str, object: &str, choices: &Value, usage: &Value) -> String {
        json!({
            "id": format!("{prefix}-{}", self.id), "object": object, "created": CREATED,
            "model": self.model, "choices": choices, "usage": usage,
        })
        .to_string()
    }

    fn events(&self, prefix: &str, object: &str, choices: &[Value]) -> Vec<String> {
        let event = |choices: &Value, usage: &Value| {
            let mut chunk = json!({
                "id": format!("{prefix}-{}", self.id), "object": object, "created": CREATED,
                "model": self.model, "choices": choices,
            });
            if self.usage_in_stream {
                chunk["usage"] = usage.clone();
            }
            format!("data: {chunk}\n\n")
        };
        let mut events: Vec<String> = choices.iter().map(|it| event(it, &Value::Null)).collect();
        if self.usage_in_stream {
            events.push(event(&json!([]), &self.usage()));
        }
        events.push("data: [DONE]\n\n".to_owned());
        events
    }
}

/// Unit vectors of 8 numbers, made from the digest of each input.
fn embeddings(request: &Value, model: &str) -> Value {
    let inputs = match &request["input"] {
        Value::Array(list) if !list.first().is_some_and(Value::is_number) => list.clone(),
        one => vec![one.clone()],
    };
    let base64 = request["encoding_format"] == "base64";
    let data: Vec<Value> = inputs
        .iter()
        .enumerate()
        .map(|(index, input)| {
            let bytes = digest(input.to_string());
            let raw: Vec<f32> = bytes[..8].iter().map(|it| f32::from(*it) - 127.5).collect();
            let length = raw.iter().map(|it| it * it).sum::<f32>().sqrt();
            let vector: Vec<f32> = raw.iter().map(|it| it / length).collect();
            let embedding = if base64 {
                let bytes: Vec<u8> = vector.iter().flat_map(|it| it.to_le_bytes()).collect();
                Value::from(data_encoding::BASE64.encode(&bytes))
            } else {
                json!(vector)
            };
            json!({ "object": "embedding", "index": index, "embedding": embedding })
        })
        .collect();
    let tokens: usize = inputs.iter().map(|it| text(it).split_whitespace().count().max(1)).sum();
    json!({ "object": "list", "model": model, "data": data, "usage": { "prompt_tokens": tokens, "total_tokens": tokens } })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(path: &str, request: &Value) -> Script {
        answer(path, request.to_string().as_bytes())
    }

    #[test]
    fn it_says_what_it_was_told() {
        let chat =
            json!({ "model": "hello", "messages": [{ "role": "user", "content": "one two" }] });
        let script = ask("/chat/completions", &chat);
        let reply: Value = serde_json::from_str(&script.pieces[0]).unwrap();
        assert_eq!(reply["choices"][0]["message"]["content"], "one two");
        assert_eq!(reply["usage"]["total_tokens"], 4);
        assert_eq!(script, ask("/chat/completions", &chat), "the same request, the same answer");
        let input = json!({ "model": "m", "input": [{ "role": "user", "content": [{ "type": "input_text", "text": "hi" }] }] });
        let reply: Value = serde_json::from_str(&ask("/responses", &input).pieces[0]).unwrap();
        assert_eq!(reply["output"][0]["content"][0]["text"], "hi");
    }

    #[test]
    fn switches_stand_in_the_models_name() {
        let of = |model: &str| {
            ask(
                "/chat/completions",
                &json!({ "model": model, "stream": true, "messages": [{ "role": "user", "content": "a b c" }] }),
            )
        };
        assert_eq!(of("slow-200ms").wait, Duration::from_millis(200));
        assert_eq!(of("tick-2s").tick, Duration::from_secs(2));
        assert_eq!(of("error-429").status, 429);
        assert_eq!(of("words-50").pieces.len(), 50 + 3);
        let cut = of("cut");
        assert!(cut.cut && !cut.pieces.concat().contains("[DONE]"));
        assert_eq!(of("hello").pieces.len(), 3 + 3);
    }

    #[test]
    fn embeddings_are_unit_vectors_in_the_form_asked_for() {
        let of = |format: &str| {
            let request = json!({ "model": "m", "input": ["a", "b"], "encoding_format": format });
            serde_json::from_str::<Value>(&ask("/embeddings", &request).pieces[0]).unwrap()
        };
        let floats = of("float");
        let length: f64 = floats["data"][1]["embedding"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it.as_f64().unwrap().powi(2))
            .sum();
        assert!((length - 1.0).abs() < 1e-5);
        let packed = of("base64")["data"][0]["embedding"].as_str().unwrap().to_owned();
        assert_eq!(data_encoding::BASE64.decode(packed.as_bytes()).unwrap().len(), 32);
    }
}
