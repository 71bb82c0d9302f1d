//! What well-behaved providers say.

/// A whole chat answer: 3 tokens in, 2 out.
pub const CHAT: &str = concat!(
    r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"#,
    r#""message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],"#,
    r#""usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#,
);

/// One chunk of a chat stream with this text.
pub fn delta(text: &str) -> String {
    let text = serde_json::Value::from(text);
    let choice = format!(r#"{{"index":0,"delta":{{"content":{text}}},"finish_reason":null}}"#);
    format!(
        "data: {{\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"choices\":[{choice}]}}\n\n"
    )
}

/// The last chunk of a chat stream before its usage.
pub const STOP: &str =
    "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";

/// The chunk that has nothing but usage: 3 tokens in, 2 out.
pub const USAGE: &str = "data: {\"id\":\"c1\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\n";

pub const DONE: &str = "data: [DONE]\n\n";

/// The first event of an Anthropic stream: 10 tokens in.
pub const MESSAGE_START: &str = concat!(
    "event: message_start\n",
    "data: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"role\":\"assistant\",",
    "\"usage\":{\"input_tokens\":10,\"output_tokens\":1}}}\n\n",
);

/// The last events of an Anthropic stream: 7 tokens out.
pub const MESSAGE_END: &str = concat!(
    "event: message_delta\n",
    "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},",
    "\"usage\":{\"output_tokens\":7}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
);

/// The first event of a Responses stream.
pub const RESPONSE_CREATED: &str = concat!(
    "event: response.created\n",
    "data: {\"type\":\"response.created\",\"sequence_number\":0,",
    "\"response\":{\"id\":\"resp_1\",\"status\":\"in_progress\",\"usage\":null}}\n\n",
);

/// The last event of a Responses stream: 3 tokens in, 4 out.
pub const RESPONSE_COMPLETED: &str = concat!(
    "event: response.completed\n",
    "data: {\"type\":\"response.completed\",\"sequence_number\":1,\"response\":{\"id\":\"resp_1\",",
    "\"status\":\"completed\",\"usage\":{\"input_tokens\":3,\"output_tokens\":4}}}\n\n",
);

/// A chunk of a Gemini stream that is not its last.
pub const GEMINI_PART: &str =
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}]}\r\n\r\n";

/// The last chunk of a Gemini stream: 5 tokens in, 6 out.
pub const GEMINI_END: &str = concat!(
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"b\"}]},\"finishReason\":\"STOP\"}],",
    "\"usageMetadata\":{\"promptTokenCount\":5,\"candidatesTokenCount\":6}}\r\n\r\n",
);
