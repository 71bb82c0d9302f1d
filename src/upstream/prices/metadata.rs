//! Prices in a provider's own list of models, in each of the shapes and units that providers have.
//!
//! | who | where | unit |
//! |---|---|---|
//! | OpenRouter, Cerebras, Nebius | `pricing.prompt`, `.completion` | USD per token, texts |
//! | Vercel | `pricing.input`, `.output`, texts | USD per token |
//! | Together, Hugging Face (`providers[].pricing`) | `pricing.input`, `.output`, numbers | USD per 1M |
//! | DeepInfra | `metadata.pricing.input_tokens` | USD per 1M |
//! | Venice | `model_spec.pricing.input.usd` | USD per 1M |
//! | Novita | `input_token_price_per_m` | 1/10,000 USD per 1M |
//! | Requesty | `input_price` | USD per token |
//! | LiteLLM and what follows it | `input_cost_per_token` | USD per token |
//! | xAI (`/language-models`) | `prompt_text_token_price` | US cents per 100M |

use serde_json::Value;

use super::{Prices, Source};
use crate::{
    catalog::{Fee, Price, PriceSource, Provider, Rate, Rates, Tier, price::Amount},
    upstream::request,
};

pub(super) const XAI: &str = "xai";

#[derive(Debug)]
pub(super) struct Metadata;

impl Source for Metadata {
    fn kind(&self) -> PriceSource {
        PriceSource::Models
    }

    fn url(&self, provider: &Provider) -> Option<String> {
        if provider.is_echo() {
            return None;
        }
        let url = request::models_url(provider)?;
        Some(match provider.preset.name.as_str() {
            XAI => url.replace("/models", "/language-models"),
            "nebius" => format!("{url}?verbose=true"),
            _ => url,
        })
    }

    fn is_private(&self) -> bool {
        true
    }

    fn read(&self, bytes: &[u8], _: &Provider) -> Option<Prices> {
        Some(prices(&serde_json::from_slice(bytes).ok()?))
    }
}

/// The prices that a list of models says; those that it does not say are not there.
pub fn prices(list: &Value) -> Prices {
    let rows = list.as_array().or_else(|| list["data"].as_array());
    let rows = rows.or_else(|| list["models"].as_array()).map_or(&[][..], Vec::as_slice);
    let found = rows.iter().filter_map(|row| {
        let id = row["id"].as_str().or_else(|| row["name"].as_str())?;
        let id = id.strip_prefix("models/").unwrap_or(id);
        Some((id.to_owned(), price(row).filter(Price::is_known)?))
    });
    found.collect()
}

fn price(row: &Value) -> Option<Price> {
    if row["pricing"].is_object() {
        return pricing(&row["pricing"]);
    }
    if let Some(providers) = row["providers"].as_array() {
        // Whoever asks for no provider gets one that torod does not know: the cheapest is a guess,
        // and the only price that there is.
        let priced =
            providers.iter().filter_map(|it| pricing(&it["pricing"])).filter(Price::is_known);
        return priced.min_by_key(|it| {
            let of = |it: Option<Rate>| it.unwrap_or_default().0;
            of(it.rates.input_per_1m).saturating_add(of(it.rates.output_per_1m))
        });
    }
    let known = |it: Price| it.is_known().then_some(it);
    let per_1m = |at: &Value, input: &str, output: &str, cached: &str| {
        known(simple(amount(&at[input], 6), amount(&at[output], 6), amount(&at[cached], 6)))
    };
    let spec = &row["model_spec"]["pricing"];
    per_1m(&row["metadata"]["pricing"], "input_tokens", "output_tokens", "cache_read_tokens")
        .or_else(|| {
            let usd = |it: &str| amount(&spec[it]["usd"], 6);
            known(simple(usd("input"), usd("output"), usd("cache_input")))
        })
        .or_else(|| {
            let [input, output] = ["input_token_price_per_m", "output_token_price_per_m"]
                .map(|it| amount(&row[it], 10));
            known(simple(input, output, None))
        })
        .or_else(|| {
            let [input, output, read, written] =
                ["input_price", "output_price", "cached_price", "caching_price"]
                    .map(|it| amount(&row[it], 0));
            let mut price = simple(input, output, read);
            price.rates.cache_write_per_1m = written;
            known(price)
        })
        .or_else(|| known(litellm(row)))
        .or_else(|| known(xai(row)))
}

fn simple(input: Option<Rate>, output: Option<Rate>, cached: Option<Rate>) -> Price {
    let rates = Rates {
        input_per_1m: input,
        output_per_1m: output,
        cache_read_per_1m: cached,
        ..Rates::default()
    };
    Price { rates, ..Price::default() }
}

/// A number or a text in dollars for 10^`each`. Negative ones say that the price varies.
fn amount<const EACH: i32>(value: &Value, each: i32) -> Option<Amount<EACH>> {
    match value {
        Value::String(text) => Amount::parse(text, each),
        // As it is written, not as a float.
        Value::Number(number) => Amount::parse(&number.to_string(), each),
        _ => None,
    }
}

/// An object `pricing`. Texts, and what is named as `OpenRouter` names it, are per token; numbers
/// named `input` and `output` are per million.
fn pricing(it: &Value) -> Option<Price> {
    let is_routed = !it["prompt"].is_null() || !it["completion"].is_null();
    let is_text = it["input"].is_string() || it["output"].is_string();
    let each = if is_routed || is_text { 0 } else { 6 };
    // A model by the hour has no price by the token.
    if amount::<6>(&it["hourly"], 0).is_some_and(|it| it.0 > 0) {
        return None;
    }
    let first = |names: &[&str]| names.iter().find_map(|name| amount::<6>(&it[*name], each));
    let varies = |name: &str| {
        let number = it[name].as_f64().or_else(|| it[name].as_str()?.trim().parse().ok());
        number.is_some_and(|it: f64| it < 0.0)
    };
    if ["prompt", "completion", "input", "output"].into_iter().any(varies) {
        return None;
    }
    let rates = Rates {
        input_per_1m: first(&["prompt", "input"]),
        output_per_1m: first(&["completion", "output"]),
        cache_read_per_1m: first(&["input_cache_read", "cached_input", "cache_read"]),
        cache_write_per_1m: first(&["input_cache_write", "cache_write"]),
        cache_write_1h_per_1m: first(&["input_cache_write_1h"]),
        // OpenRouter writes 0 where reasoning costs what the answer costs.
        reasoning_per_1m: first(&["internal_reasoning"]).filter(|it| it.0 > 0),
        audio_input_per_1m: first(&["audio"]).filter(|it| it.0 > 0),
        audio_output_per_1m: first(&["audio_output"]).filter(|it| it.0 > 0),
    };
    let fee = |name: &str| amount::<0>(&it[name], 0).filter(|it: &Fee| it.0 > 0);
    let tiers = it["overrides"].as_array().into_iter().flatten().filter_map(|tier| {
        let above_tokens = tier["min_prompt_tokens"].as_u64()?.saturating_sub(1);
        Some(Tier { above_tokens, rates: pricing(tier)?.rates })
    });
    Some(Price {
        per_request: fee("request"),
        per_image: fee("image"),
        tiers: tiers.collect(),
        rates,
    })
}

fn litellm(row: &Value) -> Price {
    let rate = |name: &str| amount(&row[name], 0);
    let rates = Rates {
        input_per_1m: rate("input_cost_per_token"),
        output_per_1m: rate("output_cost_per_token"),
        cache_read_per_1m: rate("cache_read_input_token_cost"),
        cache_write_per_1m: rate("cache_creation_input_token_cost"),
        cache_write_1h_per_1m: rate("cache_creation_input_token_cost_above_1hr"),
        reasoning_per_1m: rate("output_cost_per_reasoning_token"),
        audio_input_per_1m: rate("input_cost_per_audio_token"),
        audio_output_per_1m: rate("output_cost_per_audio_token"),
    };
    Price { rates, ..Price::default() }
}

/// Cents for 100M tokens are 1/10,000 dollars for 1M.
fn xai(row: &Value) -> Price {
    let rate = |name: &str| amount::<6>(&row[name], 10);
    let mut price = simple(
        rate("prompt_text_token_price"),
        rate("completion_text_token_price"),
        rate("cached_prompt_text_token_price"),
    );
    if let Some(above_tokens) = row["long_context_threshold"].as_u64().filter(|it| *it > 0) {
        let rates = simple(
            rate("prompt_text_token_price_long_context"),
            rate("completion_text_token_price_long_context"),
            rate("cached_prompt_text_token_price_long_context"),
        )
        .rates;
        price.tiers.push(Tier { above_tokens, rates });
    }
    price
}

#[cfg(test)]
mod tests;
