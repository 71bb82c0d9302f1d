use super::*;

/// One model of each provider that has prices in its list, in the shape of that provider.
#[test]
fn each_provider_s_prices_are_read_in_its_own_unit() {
    for (who, list, wanted) in [
        (
            "openrouter",
            r#"{"data":[{"id":"a/b","pricing":{"prompt":"0.00000125","completion":"0.00001","request":"0.005","image":"0.005165","web_search":"0","internal_reasoning":"0","input_cache_read":"0.000000125","input_cache_write":"0.0000015625"}}]}"#,
            r#"a/b {"input_per_1m":1.25,"output_per_1m":10.0,"cache_read_per_1m":0.125,"cache_write_per_1m":1.5625,"per_request":0.005,"per_image":0.005165}"#,
        ),
        (
            "openrouter, long prompts and own reasoning",
            r#"{"data":[{"id":"a/b","pricing":{"prompt":"0.000001","completion":"0.000002","internal_reasoning":"0.000003","audio":"0.000007","overrides":[{"min_prompt_tokens":200001,"prompt":"0.000004","completion":"0.000005"}]}}]}"#,
            r#"a/b {"input_per_1m":1.0,"output_per_1m":2.0,"reasoning_per_1m":3.0,"audio_input_per_1m":7.0,"tiers":[{"above_tokens":200000,"input_per_1m":4.0,"output_per_1m":5.0}]}"#,
        ),
        (
            "openrouter, a price that varies",
            r#"{"data":[{"id":"openrouter/auto","pricing":{"prompt":"-1","completion":"-1"}}]}"#,
            "",
        ),
        (
            "openrouter, free",
            r#"{"data":[{"id":"a/b:free","pricing":{"prompt":"0","completion":"0"}}]}"#,
            r#"a/b:free {"input_per_1m":0.0,"output_per_1m":0.0}"#,
        ),
        (
            "together",
            r#"[{"id":"m/x","type":"chat","pricing":{"hourly":0,"input":0.88,"output":0.88,"base":0,"finetune":0,"cached_input":0.2}}]"#,
            r#"m/x {"input_per_1m":0.88,"output_per_1m":0.88,"cache_read_per_1m":0.2}"#,
        ),
        (
            "together, by the hour",
            r#"[{"id":"m/x","pricing":{"hourly":2.5,"input":0,"output":0,"base":0,"finetune":0}}]"#,
            "",
        ),
        (
            "cerebras",
            r#"{"data":[{"id":"gpt-oss-120b","pricing":{"prompt":"0.00000035","completion":"0.00000075"},"limits":{}}]}"#,
            r#"gpt-oss-120b {"input_per_1m":0.35,"output_per_1m":0.75}"#,
        ),
        (
            "vercel",
            r#"{"data":[{"id":"openai/gpt-5","pricing":{"input":"0.00000125","output":"0.00001","input_cache_read":"0.00000013","input_cache_write":"0.000003"}}]}"#,
            r#"openai/gpt-5 {"input_per_1m":1.25,"output_per_1m":10.0,"cache_read_per_1m":0.13,"cache_write_per_1m":3.0}"#,
        ),
        (
            "huggingface, the cheapest of several",
            r#"{"data":[{"id":"o/m","providers":[{"provider":"x","pricing":{"input":2,"output":6}},{"provider":"y"},{"provider":"z","pricing":{"input":0.15,"output":0.6}}]}]}"#,
            r#"o/m {"input_per_1m":0.15,"output_per_1m":0.6}"#,
        ),
        (
            "deepinfra",
            r#"{"data":[{"id":"m","metadata":{"pricing":{"input_tokens":0.07,"output_tokens":0.28,"cache_read_tokens":0.035}}}]}"#,
            r#"m {"input_per_1m":0.07,"output_per_1m":0.28,"cache_read_per_1m":0.035}"#,
        ),
        (
            "novita",
            r#"{"data":[{"id":"m","input_token_price_per_m":5700,"output_token_price_per_m":23000}]}"#,
            r#"m {"input_per_1m":0.57,"output_per_1m":2.3}"#,
        ),
        (
            "requesty",
            r#"{"data":[{"id":"m","input_price":0.000003,"output_price":0.000015,"caching_price":0.00000375,"cached_price":3e-7}]}"#,
            r#"m {"input_per_1m":3.0,"output_per_1m":15.0,"cache_read_per_1m":0.3,"cache_write_per_1m":3.75}"#,
        ),
        (
            "venice",
            r#"{"data":[{"id":"m","model_spec":{"pricing":{"input":{"usd":0.7,"diem":7},"output":{"usd":2.8,"diem":28}}}}]}"#,
            r#"m {"input_per_1m":0.7,"output_per_1m":2.8}"#,
        ),
        (
            "nebius",
            r#"{"data":[{"id":"m","pricing":{"prompt":"0.00000013","completion":"0.0000004","image":"0","request":"0"}}]}"#,
            r#"m {"input_per_1m":0.13,"output_per_1m":0.4}"#,
        ),
        (
            "litellm",
            r#"{"data":[{"id":"m","input_cost_per_token":2.5e-06,"output_cost_per_token":1e-05,"cache_read_input_token_cost":1.25e-06}]}"#,
            r#"m {"input_per_1m":2.5,"output_per_1m":10.0,"cache_read_per_1m":1.25}"#,
        ),
        (
            "xai",
            r#"{"models":[{"id":"grok-4","prompt_text_token_price":30000,"cached_prompt_text_token_price":7500,"prompt_image_token_price":30000,"completion_text_token_price":150000,"prompt_text_token_price_long_context":60000,"completion_text_token_price_long_context":300000,"cached_prompt_text_token_price_long_context":15000,"long_context_threshold":128000}]}"#,
            r#"grok-4 {"input_per_1m":3.0,"output_per_1m":15.0,"cache_read_per_1m":0.75,"tiers":[{"above_tokens":128000,"input_per_1m":6.0,"output_per_1m":30.0,"cache_read_per_1m":1.5}]}"#,
        ),
        ("openai, no prices", r#"{"data":[{"id":"gpt-5","object":"model"}]}"#, ""),
        (
            "odd",
            r#"{"data":[{"id":"m","pricing":{"prompt":[],"completion":null}},{"pricing":{"prompt":"1"}},7]}"#,
            "",
        ),
        ("no list", r#"{"error":{}}"#, ""),
    ] {
        let told: Vec<_> = prices(&serde_json::from_str(list).unwrap())
            .iter()
            .map(|it| format!("{} {}", it.0, serde_json::to_string(it.1).unwrap()))
            .collect();
        assert_eq!(told.join("\n"), wanted, "{who}");
    }
}
