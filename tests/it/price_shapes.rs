//! Replies in the shapes of each provider, with what they cost, computed by hand.

/// A provider's way to say what it used, and what that costs.
pub struct Shape {
    pub who: &'static str,
    pub path: &'static str,
    /// A whole reply.
    pub whole: &'static str,
    /// The events of the same reply as a stream.
    pub stream: &'static [&'static str],
    /// Its cost by [`PRICES`].
    pub cost: u64,
    pub reported: Option<u64>,
}

/// Every class has a price of its own, so that a token in a wrong class shows. USD per 1M:
pub const PRICES: &str = r#"
[[prices]]
model = "*/m"
input = 3
output = 15
cache_read = 0.3
cache_write = 3.75
cache_write_1h = 6
reasoning = 16.5
audio_input = 40.123456
audio_output = 80
"#;

const CHAT: &str = "/v1/chat/completions";

/// `1 USD per 1M = 1,000,000 pico-dollars per token`; the sums are written as they were computed.
pub const SHAPES: &[Shape] = &[
    Shape {
        who: "openai chat",
        path: CHAT,
        whole: r#"{"id":"c","choices":[{"index":0,"message":{"content":"x"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1200,"completion_tokens":340,"total_tokens":1540,"prompt_tokens_details":{"cached_tokens":1024,"audio_tokens":7},"completion_tokens_details":{"reasoning_tokens":256,"audio_tokens":4}}}"#,
        stream: &[
            "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}],\"usage\":null}\n\n",
            "data: {\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":1200,\"completion_tokens\":340,\"total_tokens\":1540,\"prompt_tokens_details\":{\"cached_tokens\":1024,\"audio_tokens\":7},\"completion_tokens_details\":{\"reasoning_tokens\":256,\"audio_tokens\":4}}}\n\n",
            "data: [DONE]\n\n",
        ],
        // input 1200-1024-7 = 169, output 340-256-4 = 80
        cost: 169 * 3_000_000
            + 1024 * 300_000
            + 7 * 40_123_456
            + 80 * 15_000_000
            + 256 * 16_500_000
            + 4 * 80_000_000,
        reported: None,
    },
    Shape {
        who: "openai responses",
        path: "/v1/responses",
        whole: r#"{"id":"resp_1","status":"completed","output":[],"usage":{"input_tokens":81,"input_tokens_details":{"cached_tokens":30,"cache_write_tokens":11},"output_tokens":1035,"output_tokens_details":{"reasoning_tokens":832},"total_tokens":1116}}"#,
        stream: &[
            "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\",\"usage\":null}}\n\n",
            "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_1\",\"usage\":{\"input_tokens\":81,\"input_tokens_details\":{\"cached_tokens\":30,\"cache_write_tokens\":11},\"output_tokens\":1035,\"output_tokens_details\":{\"reasoning_tokens\":832},\"total_tokens\":1116}}}\n\n",
        ],
        cost: 40 * 3_000_000 + 30 * 300_000 + 11 * 3_750_000 + 203 * 15_000_000 + 832 * 16_500_000,
        reported: None,
    },
    Shape {
        who: "anthropic messages",
        path: "/v1/messages",
        whole: r#"{"id":"msg_1","type":"message","content":[],"stop_reason":"end_turn","usage":{"input_tokens":21,"cache_creation_input_tokens":300,"cache_read_input_tokens":5000,"cache_creation":{"ephemeral_5m_input_tokens":200,"ephemeral_1h_input_tokens":100},"output_tokens":393}}"#,
        stream: &[
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"usage\":{\"input_tokens\":21,\"cache_creation_input_tokens\":300,\"cache_read_input_tokens\":5000,\"cache_creation\":{\"ephemeral_5m_input_tokens\":200,\"ephemeral_1h_input_tokens\":100},\"output_tokens\":1}}}\n\n",
            "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":393}}\n\n",
            "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        ],
        cost: 21 * 3_000_000
            + 5000 * 300_000
            + 200 * 3_750_000
            + 100 * 6_000_000
            + 393 * 15_000_000,
        reported: None,
    },
    Shape {
        who: "gemini",
        path: "/v1beta/models/google%2Fm:generateContent",
        whole: r#"{"candidates":[{"content":{"parts":[{"text":"x"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":100,"cachedContentTokenCount":60,"toolUsePromptTokenCount":9,"candidatesTokenCount":50,"thoughtsTokenCount":70,"totalTokenCount":229}}"#,
        stream: &[
            "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"x\"}]}}],\"usageMetadata\":{\"promptTokenCount\":100,\"candidatesTokenCount\":2,\"totalTokenCount\":102}}\r\n\r\n",
            "data: {\"candidates\":[{\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":100,\"cachedContentTokenCount\":60,\"toolUsePromptTokenCount\":9,\"candidatesTokenCount\":50,\"thoughtsTokenCount\":70,\"totalTokenCount\":229}}\r\n\r\n",
        ],
        cost: 49 * 3_000_000 + 60 * 300_000 + 50 * 15_000_000 + 70 * 16_500_000,
        reported: None,
    },
    Shape {
        who: "deepseek",
        path: CHAT,
        whole: r#"{"choices":[{"finish_reason":"stop"}],"usage":{"prompt_tokens":500,"completion_tokens":20,"total_tokens":520,"prompt_cache_hit_tokens":448,"prompt_cache_miss_tokens":52,"completion_tokens_details":{"reasoning_tokens":5}}}"#,
        stream: &[
            ": keep-alive\n\n",
            "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":500,\"completion_tokens\":20,\"total_tokens\":520,\"prompt_cache_hit_tokens\":448,\"prompt_cache_miss_tokens\":52,\"completion_tokens_details\":{\"reasoning_tokens\":5}}}\n\n",
            "data: [DONE]\n\n",
        ],
        cost: 52 * 3_000_000 + 448 * 300_000 + 15 * 15_000_000 + 5 * 16_500_000,
        reported: None,
    },
    Shape {
        who: "openrouter, with its own cost",
        path: CHAT,
        whole: r#"{"id":"gen-1","provider":"X","choices":[{"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":4,"total_tokens":14,"cost":0.00014,"is_byok":false,"cost_details":{"upstream_inference_cost":null},"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}}}"#,
        stream: &[
            ": OPENROUTER PROCESSING\n\n",
            "data: {\"id\":\"gen-1\",\"choices\":[{\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}\n\n",
            "data: {\"id\":\"gen-1\",\"choices\":[{\"delta\":{},\"finish_reason\":null}],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":4,\"total_tokens\":14,\"cost\":0.00014,\"is_byok\":false,\"cost_details\":{\"upstream_inference_cost\":null}}}\n\n",
            "data: [DONE]\n\n",
        ],
        cost: 10 * 3_000_000 + 4 * 15_000_000,
        reported: Some(140_000_000),
    },
    Shape {
        who: "xai, reasoning apart, cost in ticks",
        path: CHAT,
        whole: r#"{"choices":[{"finish_reason":"stop"}],"usage":{"prompt_tokens":32,"completion_tokens":9,"total_tokens":135,"prompt_tokens_details":{"text_tokens":32,"cached_tokens":6},"completion_tokens_details":{"reasoning_tokens":94},"num_sources_used":0,"cost_in_usd_ticks":16175000}}"#,
        stream: &[
            "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":32,\"completion_tokens\":9,\"total_tokens\":135,\"prompt_tokens_details\":{\"text_tokens\":32,\"cached_tokens\":6},\"completion_tokens_details\":{\"reasoning_tokens\":94},\"num_sources_used\":0,\"cost_in_usd_ticks\":16175000}}\n\n",
            "data: [DONE]\n\n",
        ],
        cost: 26 * 3_000_000 + 6 * 300_000 + 9 * 15_000_000 + 94 * 16_500_000,
        reported: Some(1_617_500_000),
    },
    Shape {
        who: "perplexity",
        path: CHAT,
        whole: r#"{"choices":[{"finish_reason":"stop"}],"usage":{"prompt_tokens":8,"completion_tokens":3,"total_tokens":11,"search_context_size":"low","cost":{"input_tokens_cost":0.0,"output_tokens_cost":0.0,"request_cost":0.005,"total_cost":0.005011}}}"#,
        stream: &[
            "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":8,\"completion_tokens\":3,\"total_tokens\":11,\"cost\":{\"input_tokens_cost\":0.0,\"output_tokens_cost\":0.0,\"request_cost\":0.005,\"total_cost\":0.005011}}}\n\n",
        ],
        cost: 8 * 3_000_000 + 3 * 15_000_000,
        reported: Some(5_011_000_000),
    },
    Shape {
        who: "deepinfra",
        path: CHAT,
        whole: r#"{"choices":[{"finish_reason":"stop"}],"usage":{"prompt_tokens":15,"total_tokens":31,"completion_tokens":16,"estimated_cost":0.0000268}}"#,
        stream: &[
            "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":15,\"total_tokens\":31,\"completion_tokens\":16,\"estimated_cost\":0.0000268}}\n\n",
            "data: [DONE]\n\n",
        ],
        cost: 15 * 3_000_000 + 16 * 15_000_000,
        reported: Some(26_800_000),
    },
    Shape {
        who: "groq",
        path: CHAT,
        whole: r#"{"choices":[{"finish_reason":"stop"}],"usage":{"queue_time":0.02,"prompt_tokens":18,"prompt_time":0.001,"completion_tokens":5,"completion_time":0.01,"total_tokens":23,"total_time":0.011},"x_groq":{"id":"req_1"}}"#,
        stream: &[
            "data: {\"choices\":[{\"delta\":{\"content\":\"x\"},\"finish_reason\":null}],\"x_groq\":{\"id\":\"req_1\"}}\n\n",
            "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"x_groq\":{\"id\":\"req_1\",\"usage\":{\"prompt_tokens\":18,\"completion_tokens\":5,\"total_tokens\":23}}}\n\n",
            "data: [DONE]\n\n",
        ],
        cost: 18 * 3_000_000 + 5 * 15_000_000,
        reported: None,
    },
    Shape {
        who: "moonshot, cached at the top",
        path: CHAT,
        whole: r#"{"choices":[{"finish_reason":"stop"}],"usage":{"prompt_tokens":19,"completion_tokens":21,"total_tokens":40,"cached_tokens":10}}"#,
        stream: &[
            "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\",\"usage\":null}],\"usage\":{\"prompt_tokens\":19,\"completion_tokens\":21,\"total_tokens\":40,\"cached_tokens\":10}}\n\n",
            "data: [DONE]\n\n",
        ],
        cost: 9 * 3_000_000 + 10 * 300_000 + 21 * 15_000_000,
        reported: None,
    },
    Shape {
        who: "llama.cpp, timings alone",
        path: CHAT,
        whole: r#"{"choices":[{"finish_reason":"stop"}],"timings":{"prompt_n":12,"prompt_ms":30.5,"predicted_n":40,"predicted_ms":900.1,"cache_n":3}}"#,
        stream: &[
            "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":15,\"completion_tokens\":40,\"prompt_tokens_details\":{\"cached_tokens\":3}},\"timings\":{\"prompt_n\":12,\"predicted_n\":40,\"cache_n\":3}}\n\n",
            "data: [DONE]\n\n",
        ],
        cost: 12 * 3_000_000 + 3 * 300_000 + 40 * 15_000_000,
        reported: None,
    },
];
