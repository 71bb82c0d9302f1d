//! Sums of entries by time, key, provider, model and client: a batch is summed in memory first, so that
//! a row is written once a batch and not once an entry.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
    time::Duration,
};

use rusqlite::{Connection, params_from_iter};

use super::{
    Entry, Outcome,
    entries::{count, cut, micros},
    names::Names,
};
use crate::base::Usage;

/// The lengths of time that are summed over, in seconds.
pub(super) const SPANS: [i64; 3] = [300, 3_600, 86_400];
/// Those of [`TOPS`].
pub(super) const TOP_SPANS: [i64; 2] = [3_600, 86_400];

/// What is summed, as the table has it.
pub(super) const FIELDS: [&str; 20] = [
    "requests",
    "failed",
    "input",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "audio_input",
    "output",
    "reasoning",
    "audio_output",
    "estimated",
    "cost",
    "unpriced",
    "duration",
    "ttfb",
    "answered",
    "prompt_timed",
    "prompt_time",
    "generation_timed",
    "generation_time",
];

/// What stands in the top-N table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i64)]
pub(super) enum Top {
    UserAgent = 0,
    Address = 1,
}

type Sums = [i64; FIELDS.len()];

/// Whose sum: key, provider, model, client type, and the five minutes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Whose {
    at: i64,
    key: Option<Arc<str>>,
    provider: Option<Arc<str>>,
    model: Box<str>,
    client_type: &'static str,
}

/// The sums of a batch.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    sums: HashMap<Whose, Sums>,
    /// Requests, failed, tokens by hour.
    tops: HashMap<(i64, Top, Box<str>), [i64; 3]>,
}

impl Gathered {
    pub(super) fn add(&mut self, entry: &Entry) {
        let at = entry.at.as_second();
        let whose = Whose {
            at: at - at.rem_euclid(SPANS[0]),
            key: entry.key_id.clone(),
            provider: entry.provider.clone(),
            model: model(entry).into(),
            client_type: entry.client_type,
        };
        let own = sums_of(entry);
        let sums = self.sums.entry(whose).or_insert([0; FIELDS.len()]);
        sums.iter_mut().zip(own).for_each(|(sum, it)| *sum = sum.saturating_add(it));
        let hour = at - at.rem_euclid(TOP_SPANS[0]);
        let total = entry.usage.map_or(0, |it| count(it.total()));
        let address = entry.client_ip.map(|it| it.to_string().into());
        for (kind, name) in [(Top::UserAgent, entry.user_agent.clone()), (Top::Address, address)] {
            let Some(name) = name else { continue };
            let top = self.tops.entry((hour, kind, name)).or_default();
            top.iter_mut().zip([own[0], own[1], total]).for_each(|(sum, it)| *sum += it);
        }
    }
}

/// Whose sum it is in; a model that no provider has is nobody's: callers can make up any number of them.
fn model(entry: &Entry) -> &str {
    if entry.status == 404 { "" } else { cut(entry.upstream_model.as_deref().unwrap_or_default()) }
}

fn sums_of(entry: &Entry) -> Sums {
    let usage = entry.usage.unwrap_or_default();
    let speeds = Speeds::of(entry);
    let failed = entry.status >= 400 || !matches!(entry.outcome, Outcome::Ok | Outcome::FailedOver);
    [
        1,
        failed.into(),
        count(usage.input),
        count(usage.cache_read),
        count(usage.cache_write_5m),
        count(usage.cache_write_1h),
        count(usage.audio_input),
        count(usage.output),
        count(usage.reasoning),
        count(usage.audio_output),
        entry.estimated.into(),
        entry.cost.map_or(0, |it| count(it.0)),
        (entry.cost.is_none() && usage != Usage::default()).into(),
        micros(entry.duration),
        entry.ttfb.map_or(0, micros),
        entry.ttfb.is_some().into(),
        count(speeds.prompt.0),
        micros(speeds.prompt.1),
        count(speeds.generation.0),
        micros(speeds.generation.1),
    ]
}

/// Tokens and the time that they took, for the prompt and for the answer.
#[derive(Debug, PartialEq, Eq)]
struct Speeds {
    prompt: (u64, Duration),
    generation: (u64, Duration),
}

/// A shorter phase says nothing of a speed.
const SHORTEST: Duration = Duration::from_millis(250);

impl Speeds {
    /// By the provider's own clock, or else by ours: until the first byte, and from there on.
    fn of(entry: &Entry) -> Self {
        let none = (0, Duration::ZERO);
        let Some(usage) = entry.usage.filter(|_| entry.status < 400) else {
            return Self { prompt: none, generation: none };
        };
        let ours = |tokens: u64, time: Duration| (tokens, time.max(SHORTEST));
        // What came from the cache took no time.
        let prompt_tokens = usage.prompt().saturating_sub(usage.cache_read);
        let prompt = match (entry.prompt_time, entry.ttfb) {
            (Some(time), _) => (prompt_tokens, time),
            (None, Some(time)) if entry.stream => ours(prompt_tokens, time),
            _ => none,
        };
        let after = entry.ttfb.map_or(entry.duration, |it| entry.duration.saturating_sub(it));
        let after = if after < SHORTEST { entry.duration } else { after };
        let generation = match entry.generation_time {
            Some(time) => (usage.completion(), time),
            None => ours(usage.completion(), after),
        };
        let made = |it: (u64, Duration)| if it.0 == 0 || it.1.is_zero() { none } else { it };
        Self { prompt: made(prompt), generation: made(generation) }
    }
}

static ADD: LazyLock<String> = LazyLock::new(|| {
    let marks = vec!["?"; 6 + FIELDS.len()].join(", ");
    let adds = FIELDS.map(|it| format!("{it} = {it} + excluded.{it}")).join(", ");
    format!("INSERT INTO sums VALUES ({marks}) ON CONFLICT DO UPDATE SET {adds}")
});

const ADD_TOP: &str = "
    INSERT INTO tops VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
        requests = requests + excluded.requests, failed = failed + excluded.failed,
        tokens = tokens + excluded.tokens";

/// Adds the sums of a batch to those that are there.
pub(super) fn write(
    connection: &Connection,
    names: &mut Names,
    gathered: &Gathered,
) -> rusqlite::Result<()> {
    let mut add = connection.prepare_cached(&ADD)?;
    for (whose, sums) in &gathered.sums {
        let key = names.number(connection, cut(whose.key.as_deref().unwrap_or_default()))?;
        let provider =
            names.number(connection, cut(whose.provider.as_deref().unwrap_or_default()))?;
        let model = names.number(connection, &whose.model)?;
        let client = names.number(connection, whose.client_type)?;
        for span in SPANS {
            let at = whose.at - whose.at.rem_euclid(span);
            let place = [span, at, key, provider, model, client];
            add.execute(params_from_iter(place.iter().chain(sums)))?;
        }
    }
    let mut add = connection.prepare_cached(ADD_TOP)?;
    for ((at, kind, name), [requests, failed, tokens]) in &gathered.tops {
        for span in TOP_SPANS {
            let at = at - at.rem_euclid(span);
            add.execute((span, at, *kind as i64, &**name, requests, failed, tokens))?;
        }
    }
    Ok(())
}
