//! The many ways to report usage, as one set of disjoint classes.

use serde_json::{Map, Value};

use super::Protocol;
use crate::base::Usage;

/// The usage objects of a reply laid over each other: what came last wins, key by key, so that a
/// stream's running counts end as its final ones.
#[derive(Debug, Default)]
pub(super) struct Counts {
    usage: Map<String, Value>,
    timings: Map<String, Value>,
}

impl Counts {
    pub(super) fn report(&mut self, usage: Map<String, Value>) {
        self.usage.extend(usage.into_iter().filter(|it| !it.1.is_null()));
    }

    pub(super) fn timings(&mut self, timings: Map<String, Value>) {
        self.timings = timings;
    }

    /// None while nothing was reported.
    pub(super) fn usage(&self, protocol: Protocol) -> Option<Usage> {
        let reported = match protocol {
            Protocol::Messages => messages(&self.usage),
            Protocol::Gemini => gemini(&self.usage),
            Protocol::Chat | Protocol::Responses => openai(&self.usage),
        };
        // llama.cpp counts in `timings` what it may leave out of `usage`.
        reported.or_else(|| {
            let input = first(&self.timings, &["prompt_n"])?;
            let cache_read = first(&self.timings, &["cache_n"]).unwrap_or(0);
            let output = first(&self.timings, &["predicted_n"]).unwrap_or(0);
            Some(Usage { input, cache_read, output, ..Usage::default() })
        })
    }
}

/// The first of these paths that holds a count; a path may go one level down.
fn first(map: &Map<String, Value>, paths: &[&str]) -> Option<u64> {
    paths.iter().find_map(|path| {
        let value = match path.split_once('.') {
            None => map.get(*path),
            Some((outer, inner)) => map.get(outer)?.get(inner),
        }?;
        // Written as a float it is the same count; beyond this it is a provider's slip.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked here")]
        value.as_f64().filter(|it| (0.0..1e12).contains(it)).map(|it| it as u64)
    })
}

fn openai(map: &Map<String, Value>) -> Option<Usage> {
    let get = |paths: &[&str]| first(map, paths).unwrap_or(0);
    let prompt = first(map, &["prompt_tokens", "input_tokens"]);
    let completion = first(map, &["completion_tokens", "output_tokens"]);
    let total = first(map, &["total_tokens"]);
    if prompt.is_none() && completion.is_none() && total.is_none() {
        return None;
    }
    let completion = completion.unwrap_or(0);
    let prompt = prompt.unwrap_or_else(|| total.unwrap_or(0).saturating_sub(completion));
    let cache_read = get(&[
        "prompt_tokens_details.cached_tokens",
        "input_tokens_details.cached_tokens",
        "prompt_cache_hit_tokens",
        "cached_tokens",
    ]);
    let cache_write = get(&[
        "prompt_tokens_details.cache_write_tokens",
        "input_tokens_details.cache_write_tokens",
    ]);
    let audio_input =
        get(&["prompt_tokens_details.audio_tokens", "input_tokens_details.audio_tokens"]);
    let audio_output =
        get(&["completion_tokens_details.audio_tokens", "output_tokens_details.audio_tokens"]);
    let reasoning = get(&[
        "completion_tokens_details.reasoning_tokens",
        "output_tokens_details.reasoning_tokens",
        "reasoning_tokens",
    ]);
    // Some providers leave reasoning out of the completion; then only the total adds up.
    let apart = reasoning > 0
        && total == prompt.checked_add(completion).and_then(|it| it.checked_add(reasoning));
    let within = if apart { 0 } else { reasoning };
    Some(Usage {
        input: prompt
            .saturating_sub(cache_read.saturating_add(cache_write).saturating_add(audio_input)),
        cache_read,
        cache_write_5m: cache_write,
        audio_input,
        output: completion.saturating_sub(within.saturating_add(audio_output)),
        reasoning,
        audio_output,
        ..Usage::default()
    })
}

/// Anthropic's `input_tokens` excludes what the cache read and wrote.
fn messages(map: &Map<String, Value>) -> Option<Usage> {
    let input = first(map, &["input_tokens"]);
    let output = first(map, &["output_tokens"]);
    if input.is_none() && output.is_none() {
        return None;
    }
    let get = |paths: &[&str]| first(map, paths).unwrap_or(0);
    let long = get(&["cache_creation.ephemeral_1h_input_tokens"]);
    let reasoning = get(&["output_tokens_details.thinking_tokens"]);
    Some(Usage {
        input: input.unwrap_or(0),
        cache_read: get(&["cache_read_input_tokens"]),
        cache_write_5m: get(&["cache_creation_input_tokens"]).saturating_sub(long),
        cache_write_1h: long,
        output: output.unwrap_or(0).saturating_sub(reasoning),
        reasoning,
        ..Usage::default()
    })
}

/// Gemini's prompt includes what was cached, its candidates exclude thoughts.
fn gemini(map: &Map<String, Value>) -> Option<Usage> {
    let prompt = first(map, &["promptTokenCount"])?;
    let get = |path: &str| first(map, &[path]).unwrap_or(0);
    let cache_read = get("cachedContentTokenCount");
    Some(Usage {
        input: prompt.saturating_sub(cache_read).saturating_add(get("toolUsePromptTokenCount")),
        cache_read,
        output: get("candidatesTokenCount"),
        reasoning: get("thoughtsTokenCount"),
        ..Usage::default()
    })
}
