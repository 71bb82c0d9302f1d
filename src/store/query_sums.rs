//! Sums over any period, by time and by whatever is asked: each stretch of it is read from the longest
//! spans that fit.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, ToSql};

use super::{
    Store, StoreError,
    entries::{to_millis, tokens},
    query::Owner,
    sums::{FIELDS, SPANS, TOP_SPANS},
};
use crate::{api::Summed, base::Usage};

/// What sums can be told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum By {
    Key,
    Provider,
    Model,
    ClientType,
}

impl By {
    pub const ALL: [Self; 4] = [Self::Key, Self::Provider, Self::Model, Self::ClientType];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Provider => "provider",
            Self::Model => "model",
            Self::ClientType => "client_type",
        }
    }
}

/// What is asked of the sums.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    pub owner: Owner,
    /// Seconds since 1970: whole spans that overlap with this, its end excluded.
    pub from: i64,
    pub to: i64,
    /// Spans that are shorter than this are not kept for that time any more.
    pub shortest: i64,
    /// Seconds of a slot, a multiple of a span; none for the whole period at once.
    pub slot: Option<i64>,
    pub by: Vec<By>,
    /// Only those of which this is so.
    pub only: Vec<(By, String)>,
}

/// One sum.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sum {
    /// When its slot begins.
    pub at: i64,
    /// As asked, in the order of [`Asked::by`]; empty for none.
    pub names: Vec<String>,
    fields: [i64; FIELDS.len()],
}

impl Sum {
    fn field(&self, name: &str) -> u64 {
        let at = FIELDS.iter().position(|it| *it == name).unwrap_or_default();
        u64::try_from(self.fields[at]).unwrap_or_default()
    }

    pub fn requests(&self) -> u64 {
        self.field("requests")
    }

    /// As the API shows it.
    pub fn summed(&self) -> Summed {
        let usage = Usage {
            input: self.field("input"),
            cache_read: self.field("cache_read"),
            cache_write_5m: self.field("cache_write_5m"),
            cache_write_1h: self.field("cache_write_1h"),
            audio_input: self.field("audio_input"),
            output: self.field("output"),
            reasoning: self.field("reasoning"),
            audio_output: self.field("audio_output"),
        };
        let (requests, cost) = (self.requests(), self.field("cost"));
        let latency = to_millis(self.field("duration"));
        let speed = |tokens, time| ratio(self.field(tokens), self.field(time)) * 1e6;
        Summed {
            requests,
            failed_requests: self.field("failed"),
            prompt_tokens: usage.prompt(),
            prompt_cached_tokens: usage.cache_read,
            completion_tokens: usage.completion(),
            total_tokens: usage.total(),
            tokens: tokens(&usage),
            estimated: self.field("estimated"),
            cost_pico_usd: cost,
            cost_usd: float(cost) / 1e12,
            unpriced_requests: self.field("unpriced"),
            latency_ms_sum: latency,
            avg_latency_ms: latency / float(requests.max(1)),
            avg_ttfb_ms: ratio(self.field("ttfb"), self.field("answered")) / 1e3,
            avg_prompt_tps: speed("prompt_timed", "prompt_time"),
            avg_generation_tps: speed("generation_timed", "generation_time"),
        }
    }

    /// Adds what another sums up.
    pub fn add(&mut self, other: &Self) {
        for (sum, it) in self.fields.iter_mut().zip(other.fields) {
            *sum = sum.saturating_add(it);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a mean for people needs no more")]
fn float(number: u64) -> f64 {
    number as f64
}

fn ratio(of: u64, by: u64) -> f64 {
    if by == 0 { 0.0 } else { float(of) / float(by) }
}

impl Store {
    pub async fn sums(&self, asked: Asked) -> Result<Vec<Sum>, StoreError> {
        self.read(move |connection| sums(connection, &asked)).await
    }

    /// Requests by user agent and by address, the most first.
    pub async fn tops(
        &self,
        asked: Asked,
        limit: usize,
    ) -> Result<[Vec<(String, u64)>; 2], StoreError> {
        self.read(move |connection| {
            Ok([tops(connection, 0, &asked, limit)?, tops(connection, 1, &asked, limit)?])
        })
        .await
    }
}

/// A period as stretches of spans: the longest in the middle, shorter ones at its ends. All are
/// multiples of each other.
fn stretches(spans: &[i64], from: i64, to: i64) -> Vec<(i64, i64, i64)> {
    let Some((&span, longer)) = spans.split_first() else { return Vec::new() };
    let (from, to) = (from - from.rem_euclid(span), to + (-to).rem_euclid(span));
    if from >= to {
        return Vec::new();
    }
    let Some(next) = longer.first() else { return vec![(span, from, to)] };
    let inner_from = from + (-from).rem_euclid(*next);
    let inner_to = to - to.rem_euclid(*next);
    if inner_from >= inner_to {
        return vec![(span, from, to)];
    }
    let mut found = vec![(span, from, inner_from), (span, inner_to, to)];
    found.retain(|it| it.1 < it.2);
    found.extend(stretches(longer, inner_from, inner_to));
    found
}

fn sums(connection: &Connection, asked: &Asked) -> rusqlite::Result<Vec<Sum>> {
    let fits = |it: &i64| *it >= asked.shortest && asked.slot.is_none_or(|slot| slot % it == 0);
    let spans: Vec<i64> = SPANS.into_iter().filter(fits).collect();
    let slot = match asked.slot {
        Some(slot) => format!("at - at % {slot}"),
        None => "at - at".to_owned(),
    };
    let by = asked.by.iter().fold(String::new(), |text, it| text + ", " + it.name());
    let totals = FIELDS.map(|it| format!("sum({it})")).join(", ");
    let mut conditions = "span = ? AND at >= ? AND at < ?".to_owned();
    let mut names: Vec<&str> = Vec::new();
    for (by, name) in &asked.only {
        conditions += &is(by.name(), name, &mut names);
    }
    if let Owner::Key(key) = &asked.owner {
        conditions += &is("key", key.as_deref().unwrap_or_default(), &mut names);
    }
    let sql =
        format!("SELECT {slot}, {totals}{by} FROM sums WHERE {conditions} GROUP BY {slot}{by}");
    let mut statement = connection.prepare(&sql)?;
    let mut found: BTreeMap<(i64, Vec<i64>), [i64; FIELDS.len()]> = BTreeMap::new();
    for stretch in stretches(&spans, asked.from, asked.to) {
        let (span, from, to) = stretch;
        let mut values: Vec<&dyn ToSql> = vec![&span, &from, &to];
        values.extend(names.iter().map(|it| it as &dyn ToSql));
        let mut rows = statement.query(&*values)?;
        while let Some(row) = rows.next()? {
            // A period without any row is one sum of nothing.
            let Some(_) = row.get::<_, Option<i64>>(1)? else { continue };
            let mut group = Vec::with_capacity(asked.by.len());
            for at in 0..asked.by.len() {
                group.push(row.get(1 + FIELDS.len() + at)?);
            }
            let sum = found.entry((row.get(0)?, group)).or_insert([0; FIELDS.len()]);
            for (at, sum) in sum.iter_mut().enumerate() {
                *sum = sum.saturating_add(row.get(1 + at)?);
            }
        }
    }
    named(connection, found)
}

/// The condition that a column has this name; no name is 0.
fn is<'n>(column: &str, name: &'n str, names: &mut Vec<&'n str>) -> String {
    if name.is_empty() {
        return format!(" AND {column} = 0");
    }
    names.push(name);
    format!(" AND {column} = (SELECT id FROM names WHERE name = ?)")
}

fn named(
    connection: &Connection,
    found: BTreeMap<(i64, Vec<i64>), [i64; FIELDS.len()]>,
) -> rusqlite::Result<Vec<Sum>> {
    let mut known: HashMap<i64, String> = HashMap::from([(0, String::new())]);
    let mut look = connection.prepare("SELECT name FROM names WHERE id = ?")?;
    let mut sums = Vec::with_capacity(found.len());
    for ((at, group), fields) in found {
        let mut names = Vec::with_capacity(group.len());
        for number in group {
            let name = match known.get(&number) {
                Some(name) => name.clone(),
                None => look.query_row([number], |row| row.get::<_, String>(0))?,
            };
            known.entry(number).or_insert_with(|| name.clone());
            names.push(name);
        }
        sums.push(Sum { at, names, fields });
    }
    Ok(sums)
}

fn tops(
    connection: &Connection,
    kind: i64,
    asked: &Asked,
    limit: usize,
) -> rusqlite::Result<Vec<(String, u64)>> {
    let mut found: HashMap<String, i64> = HashMap::new();
    let sql = "SELECT name, sum(requests) FROM tops WHERE span = ? AND at >= ? AND at < ? AND kind = ? GROUP BY name";
    let mut statement = connection.prepare(sql)?;
    // Hours of these are kept only as long as entries are.
    let spans = if asked.shortest > SPANS[0] { &TOP_SPANS[1..] } else { &TOP_SPANS[..] };
    for (span, from, to) in stretches(spans, asked.from, asked.to) {
        let mut rows = statement.query((span, from, to, kind))?;
        while let Some(row) = rows.next()? {
            *found.entry(row.get(0)?).or_default() += row.get::<_, i64>(1)?;
        }
    }
    let mut found: Vec<(String, u64)> =
        found.into_iter().map(|(name, it)| (name, u64::try_from(it).unwrap_or_default())).collect();
    found.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    found.truncate(limit);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The stretches of a period cover it once, and each begins and ends where its span does.
        #[test]
        fn stretches_cover_a_period_once(from in 0_i64..2_000_000, length in 1_i64..1_000_000) {
            let to = from + length;
            let mut found = stretches(&SPANS, from, to);
            found.sort_by_key(|it| it.1);
            prop_assert_eq!(found.first().map(|it| it.1), Some(from - from % 300));
            prop_assert_eq!(found.last().map(|it| it.2), Some(to + (-to).rem_euclid(300)));
            prop_assert!(found.windows(2).all(|it| it[0].2 == it[1].1), "{:?}", found);
            prop_assert!(found.iter().all(|it| it.1 % it.0 == 0 && it.2 % it.0 == 0));
        }
    }
}
