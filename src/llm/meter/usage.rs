//! The many ways to report usage, as one set of disjoint classes.

use std::{borrow::Cow, fmt, time::Duration};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::Protocol;
use crate::base::{Usage, Usd, money::scaled_number};

/// Every count that some provider reports: its key below `usage`, `timings` or `time_info`, or two of them.
const PATHS: [&str; 34] = [
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "prompt_tokens_details.cached_tokens",
    "prompt_tokens_details.cache_write_tokens",
    "prompt_tokens_details.audio_tokens",
    "completion_tokens_details.reasoning_tokens",
    "completion_tokens_details.audio_tokens",
    "input_tokens",
    "output_tokens",
    "input_tokens_details.cached_tokens",
    "input_tokens_details.cache_write_tokens",
    "input_tokens_details.audio_tokens",
    "output_tokens_details.reasoning_tokens",
    "output_tokens_details.audio_tokens",
    "output_tokens_details.thinking_tokens",
    "prompt_cache_hit_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cache_creation.ephemeral_1h_input_tokens",
    "promptTokenCount",
    "toolUsePromptTokenCount",
    "cachedContentTokenCount",
    "candidatesTokenCount",
    "thoughtsTokenCount",
    "prompt_n",
    "cache_n",
    "predicted_n",
    "prompt_time",
    "completion_time",
    "prompt_ms",
    "predicted_ms",
];

/// What some providers say that the reply cost, and how many pico-dollars their unit is, as a power
/// of ten: `OpenRouter` and Vercel, `Perplexity`, `DeepInfra` in dollars, xAI in 10^-10 of one.
const COSTS: [(&str, i32); 4] =
    [("cost", 12), ("cost.total_cost", 12), ("estimated_cost", 12), ("cost_in_usd_ticks", 2)];

/// The counts of a reply's usage objects laid over each other: what came last wins, count by count,
/// so that a stream's running counts end as its final ones.
#[derive(Debug, Default)]
pub(super) struct Counts {
    counts: Vec<(&'static str, u64)>,
    cost: Option<Usd>,
}

impl Counts {
    /// Takes the counts out of a JSON object; everything else in it is passed over.
    pub(super) fn report(&mut self, object: &[u8]) {
        let seed = Object { counts: self, outer: None };
        // An object that breaks off keeps what it said until there.
        let _ = seed.deserialize(&mut serde_json::Deserializer::from_slice(object));
    }

    /// What the provider says that the reply cost.
    pub(super) fn cost(&self) -> Option<Usd> {
        self.cost
    }

    fn set(&mut self, outer: Option<&str>, key: &str, count: f64) {
        // Lengths differ more often than not, and are compared first.
        let is_it = |path: &&&str| match outer {
            None => **path == key,
            Some(outer) => {
                path.len() == outer.len() + 1 + key.len()
                    && path.split_once('.') == Some((outer, key))
            }
        };
        if let Some((_, shift)) = COSTS.iter().find(|it| is_it(&&it.0)) {
            self.cost = scaled_number(count, *shift).map(Usd).or(self.cost);
            return;
        }
        // Written as a float it is the same count; beyond this it is a provider's slip.
        let Some(path) = PATHS.iter().find(is_it).filter(|_| (0.0..1e12).contains(&count)) else {
            return;
        };
        // Times are kept in microseconds.
        let count = match *path {
            "prompt_time" | "completion_time" => count * 1e6,
            "prompt_ms" | "predicted_ms" => count * 1e3,
            _ => count,
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked here")]
        let count = count as u64;
        match self.counts.iter_mut().find(|it| it.0 == *path) {
            Some(known) => known.1 = count,
            None => self.counts.push((path, count)),
        }
    }

    /// The first of these paths that holds a count.
    fn first(&self, paths: &[&str]) -> Option<u64> {
        paths.iter().find_map(|path| self.counts.iter().find(|it| it.0 == *path).map(|it| it.1))
    }

    /// How long the provider says that the prompt took, and the answer.
    pub(super) fn times(&self) -> (Option<Duration>, Option<Duration>) {
        let time = |paths: &[&str]| self.first(paths).map(Duration::from_micros);
        (time(&["prompt_time", "prompt_ms"]), time(&["completion_time", "predicted_ms"]))
    }

    /// None while nothing was reported.
    pub(super) fn usage(&self, protocol: Protocol) -> Option<Usage> {
        let reported = match protocol {
            Protocol::Messages => messages(self),
            Protocol::Gemini => gemini(self),
            Protocol::Chat | Protocol::Responses => openai(self),
        };
        // llama.cpp counts in `timings` what it may leave out of `usage`.
        reported.or_else(|| {
            let input = self.first(&["prompt_n"])?;
            let cache_read = self.first(&["cache_n"]).unwrap_or(0);
            let output = self.first(&["predicted_n"]).unwrap_or(0);
            Some(Usage { input, cache_read, output, ..Usage::default() })
        })
    }
}

/// An object of counts, at most one level down.
struct Object<'c, 'k> {
    counts: &'c mut Counts,
    outer: Option<&'k str>,
}

impl<'de> DeserializeSeed<'de> for Object<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of counts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Key(key)) = map.next_key()? {
            map.next_value_seed(Member { counts: self.counts, outer: self.outer, key: &key })?;
        }
        Ok(())
    }
}

/// Borrowed, but for one with an escape in it.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// What stands behind a key: a count, an object of counts, or something else.
struct Member<'c, 'k> {
    counts: &'c mut Counts,
    outer: Option<&'k str>,
    key: &'k str,
}

impl<'de> DeserializeSeed<'de> for Member<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Member<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
    fn visit_u64<E: Error>(self, count: u64) -> Result<(), E> {
        self.visit_f64(count as f64)
    }

    fn visit_f64<E: Error>(self, count: f64) -> Result<(), E> {
        self.counts.set(self.outer, self.key, count);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        match self.outer {
            None => Object { counts: self.counts, outer: Some(self.key) }.visit_map(map),
            Some(_) => IgnoredAny.visit_map(map).map(drop),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<(), A::Error> {
        IgnoredAny.visit_seq(list).map(drop)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }
}

fn openai(counts: &Counts) -> Option<Usage> {
    let get = |paths: &[&str]| counts.first(paths).unwrap_or(0);
    let prompt = counts.first(&["prompt_tokens", "input_tokens"]);
    let completion = counts.first(&["completion_tokens", "output_tokens"]);
    let total = counts.first(&["total_tokens"]);
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
fn messages(counts: &Counts) -> Option<Usage> {
    let input = counts.first(&["input_tokens"]);
    let output = counts.first(&["output_tokens"]);
    if input.is_none() && output.is_none() {
        return None;
    }
    let get = |paths: &[&str]| counts.first(paths).unwrap_or(0);
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
fn gemini(counts: &Counts) -> Option<Usage> {
    let prompt = counts.first(&["promptTokenCount"])?;
    let get = |path: &str| counts.first(&[path]).unwrap_or(0);
    let cache_read = get("cachedContentTokenCount");
    Some(Usage {
        input: prompt.saturating_sub(cache_read).saturating_add(get("toolUsePromptTokenCount")),
        cache_read,
        output: get("candidatesTokenCount"),
        reasoning: get("thoughtsTokenCount"),
        ..Usage::default()
    })
}
