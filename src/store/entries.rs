//! Entries as rows, one way and the other.

use std::time::Duration;

use rusqlite::{Connection, Row, named_params};

use super::{Entry, names::Names};
use crate::{
    api::{Tokens, UsageRow},
    base::Usage,
};

/// Names that a caller makes up are cut to this.
const MAX_NAME: usize = 200;

const INSERT: &str = "
    INSERT OR IGNORE INTO entries VALUES (
        :id, :at, :request_id, :generation, :key, :key_name, :parent, :provider, :requested_model,
        :upstream_model, :protocol, :stream, :status, :outcome, :attempts, :input, :cache_read,
        :cache_write_5m, :cache_write_1h, :audio_input, :output, :reasoning, :audio_output,
        :estimated, :ttfb, :duration, :prompt_time, :generation_time, :cost, :price_source,
        :reported_cost, :client_type, :conversation, :tags, :user_agent, :client_ip
    )";

/// Whether it was not there before.
pub(super) fn insert(
    connection: &Connection,
    names: &mut Names,
    entry: &Entry,
) -> rusqlite::Result<bool> {
    let mut number = |it: Option<&str>| names.number(connection, cut(it.unwrap_or_default()));
    let usage = entry.usage.as_ref();
    let tokens = |class: fn(&Usage) -> u64| usage.map(|it| count(class(it)));
    let tags = (!entry.tags.is_empty()).then(|| serde_json::json!(entry.tags).to_string());
    let added = connection.prepare_cached(INSERT)?.execute(named_params! {
        ":id": entry.id.as_bytes().as_slice(),
        ":at": entry.at.as_microsecond(),
        ":request_id": cut(&entry.request_id),
        ":generation": count(entry.generation),
        ":key": number(entry.key_id.as_deref())?,
        ":key_name": number(entry.key_name.as_deref())?,
        ":parent": number(entry.parent.as_deref())?,
        ":provider": number(entry.provider.as_deref())?,
        ":requested_model": cut(&entry.requested_model),
        ":upstream_model": entry.upstream_model.as_deref().map(cut),
        ":protocol": entry.protocol.name(),
        ":stream": entry.stream,
        ":status": entry.status,
        ":outcome": entry.outcome.name(),
        ":attempts": entry.attempts,
        ":input": tokens(|it| it.input),
        ":cache_read": tokens(|it| it.cache_read),
        ":cache_write_5m": tokens(|it| it.cache_write_5m),
        ":cache_write_1h": tokens(|it| it.cache_write_1h),
        ":audio_input": tokens(|it| it.audio_input),
        ":output": tokens(|it| it.output),
        ":reasoning": tokens(|it| it.reasoning),
        ":audio_output": tokens(|it| it.audio_output),
        ":estimated": entry.estimated,
        ":ttfb": entry.ttfb.map(micros),
        ":duration": micros(entry.duration),
        ":prompt_time": entry.prompt_time.map(micros),
        ":generation_time": entry.generation_time.map(micros),
        ":cost": entry.cost.map(|it| count(it.0)),
        ":price_source": number(entry.price_source.as_deref())?,
        ":reported_cost": entry.reported_cost.map(|it| count(it.0)),
        ":client_type": number(Some(entry.client_type))?,
        ":conversation": entry.conversation.as_deref(),
        ":tags": tags,
        ":user_agent": entry.user_agent.as_deref().map(cut),
        ":client_ip": entry.client_ip.map(|it| it.to_string()),
    })?;
    Ok(added > 0)
}

pub(super) fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_NAME)]
}

/// `SQLite` counts to 2^63 - 1.
pub(super) fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

/// The columns of [`read`], each name by its own look-up.
pub(super) fn columns() -> String {
    let look = |column: &str| format!("(SELECT name FROM names WHERE id = e.{column}) AS {column}");
    let names = ["key", "key_name", "parent", "provider", "price_source", "client_type"];
    let names: Vec<String> = names.iter().map(|it| look(it)).collect();
    format!(
        "id, at, request_id, generation, requested_model, upstream_model, protocol, stream, status, outcome,
        attempts, input, cache_read, cache_write_5m, cache_write_1h, audio_input, output, reasoning, audio_output,
        estimated, ttfb, duration, prompt_time, generation_time, cost, reported_cost, conversation,
        tags, user_agent, client_ip, {}",
        names.join(", ")
    )
}

pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<UsageRow> {
    let number =
        |name| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(name)?.map(i64::cast_unsigned));
    let millis = |name| Ok::<_, rusqlite::Error>(number(name)?.map(to_millis));
    let tags: Option<String> = row.get("tags")?;
    let usage = usage(row)?;
    let all = usage.unwrap_or_default();
    Ok(UsageRow {
        id: uuid::Uuid::from_slice(&row.get::<_, Vec<u8>>("id")?).unwrap_or_default().to_string(),
        request_id: row.get("request_id")?,
        at: jiff::Timestamp::from_microsecond(row.get("at")?).unwrap_or_default(),
        generation: number("generation")?.unwrap_or_default(),
        key_id: row.get("key")?,
        key_name: row.get("key_name")?,
        parent: row.get("parent")?,
        provider: row.get("provider")?,
        requested_model: row.get("requested_model")?,
        upstream_model: row.get("upstream_model")?,
        protocol: row.get("protocol")?,
        stream: row.get("stream")?,
        status: row.get("status")?,
        outcome: row.get("outcome")?,
        attempts: row.get("attempts")?,
        tokens: usage.map(|it| tokens(&it)),
        prompt_tokens: all.prompt(),
        completion_tokens: all.completion(),
        total_tokens: all.total(),
        estimated: row.get("estimated")?,
        ttfb_ms: millis("ttfb")?,
        duration_ms: millis("duration")?.unwrap_or_default(),
        prompt_ms: millis("prompt_time")?,
        generation_ms: millis("generation_time")?,
        cost_pico_usd: number("cost")?,
        price_source: row.get("price_source")?,
        reported_pico_usd: number("reported_cost")?,
        client_type: row.get::<_, Option<String>>("client_type")?.unwrap_or_default(),
        conversation: row.get("conversation")?,
        tags: tags.and_then(|it| serde_json::from_str(&it).ok()).unwrap_or_default(),
        user_agent: row.get("user_agent")?,
        client_ip: row.get("client_ip")?,
    })
}

pub(super) fn tokens(usage: &Usage) -> Tokens {
    Tokens {
        input: usage.input,
        cache_read: usage.cache_read,
        cache_write_5m: usage.cache_write_5m,
        cache_write_1h: usage.cache_write_1h,
        audio_input: usage.audio_input,
        output: usage.output,
        reasoning: usage.reasoning,
        audio_output: usage.audio_output,
    }
}

/// Microseconds as people read them.
#[expect(clippy::cast_precision_loss, reason = "a time for people needs no more")]
pub(super) fn to_millis(micros: u64) -> f64 {
    micros as f64 / 1_000.0
}

/// None where the provider said nothing and nothing was guessed.
fn usage(row: &Row<'_>) -> rusqlite::Result<Option<Usage>> {
    let Some(input) = row.get::<_, Option<i64>>("input")? else { return Ok(None) };
    let number = |name| row.get::<_, i64>(name).map(i64::cast_unsigned);
    Ok(Some(Usage {
        input: input.cast_unsigned(),
        cache_read: number("cache_read")?,
        cache_write_5m: number("cache_write_5m")?,
        cache_write_1h: number("cache_write_1h")?,
        audio_input: number("audio_input")?,
        output: number("output")?,
        reasoning: number("reasoning")?,
        audio_output: number("audio_output")?,
    }))
}
