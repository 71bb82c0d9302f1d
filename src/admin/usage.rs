//! `/admin/api/stats` and `/admin/api/usage`: what was used, summed up and one by one.

use std::collections::BTreeMap;

use super::answer::Ask;
use crate::{
    api::{Bucket, Stats},
    door::{
        Answer, Refusal, json,
        usage::{self, moment, unavailable, unknown, wrong},
    },
    store::{
        query::Owner,
        query_sums::{Asked, By, Sum},
    },
};

/// What `stats` takes.
pub(super) const PARAMETERS: &[(&str, &str)] = &[
    ("period_seconds", "The time up to now, or up to `to`; 3600 by default"),
    ("from", "The beginning instead of `period_seconds`: RFC 3339, or seconds since 1970"),
    ("to", "The end; now by default"),
    ("slot_seconds", "Of a bucket: a multiple of 300; by default what makes at most 300 of them"),
    ("group_by", "Buckets by any of `key`, `provider`, `model`, `client_type`, with commas"),
    ("key", "Only this key's"),
    ("provider", "Only this provider's"),
    ("model", "Only this model's"),
    ("client_type", "Only this kind of client's"),
    ("force", "Ignored: the numbers are never older than a second"),
];

const DAY: i64 = 86_400;
/// So many user agents and addresses are shown.
const TOP: usize = 50;
const MAX_SLOTS: i64 = 2_000;
const GOOD_SLOTS: i64 = 300;
/// With more buckets than this the answer would be no answer.
const MAX_BUCKETS: usize = 50_000;

pub(super) async fn entries(ask: Ask) -> Answer {
    usage::answer(&ask.app, Owner::Anybody, ask.head.uri.query()).await
}

pub(super) async fn stats(ask: Ask) -> Answer {
    let now = jiff::Timestamp::now().as_second();
    let raw_days = ask.arrival.snapshot.config.raw_days;
    let asked = read(ask.head.uri.query().unwrap_or_default(), now, raw_days)?;
    let slot = asked.slot.unwrap_or_default();
    let store = &ask.app.store;
    let whole = Asked { slot: None, by: By::ALL.to_vec(), ..asked.clone() };
    let groups = store.sums(whole).await.map_err(|it| unavailable(&it))?;
    let [agents, addresses] =
        store.tops(asked.clone(), TOP).await.map_err(|it| unavailable(&it))?;
    let (from, to, by) = (asked.from, asked.to, asked.by.clone());
    let buckets = store.sums(asked).await.map_err(|it| unavailable(&it))?;
    if buckets.len() > MAX_BUCKETS {
        let message =
            "these are too many buckets: take longer slots, a shorter period or fewer groups";
        return Err(Refusal::bad_request("too_many_buckets", message));
    }
    let mut sum = Sum::default();
    for group in &groups {
        sum.add(group);
    }
    let per = |by: By| {
        let at = By::ALL.iter().position(|it| *it == by).unwrap_or_default();
        let mut found: BTreeMap<String, u64> = BTreeMap::new();
        for group in &groups {
            *found.entry(group.names[at].clone()).or_default() += group.requests();
        }
        found
    };
    let providers = ask.arrival.snapshot.table.providers();
    let lists = &ask.app.live.snapshot().learned.lists;
    let online = |it: &&std::sync::Arc<crate::catalog::Provider>| {
        it.is_echo() || lists.of(&it.name).is_some()
    };
    json(&Stats {
        period_seconds: (to - from).cast_unsigned(),
        from: jiff::Timestamp::from_second(from).unwrap_or_default(),
        to: jiff::Timestamp::from_second(to).unwrap_or_default(),
        sum: sum.summed(),
        providers_available: providers.len(),
        providers_online: providers.iter().filter(online).count(),
        requests_per_provider: per(By::Provider),
        requests_per_model: per(By::Model),
        requests_per_client_type: per(By::ClientType),
        requests_per_user_agent: agents.into_iter().collect(),
        requests_per_client_ip: addresses.into_iter().collect(),
        requests_per_key: per(By::Key),
        slot_seconds: slot.cast_unsigned(),
        buckets: buckets.iter().map(|it| bucket(it, slot, &by)).collect(),
    })
}

fn bucket(sum: &Sum, slot: i64, by: &[By]) -> Bucket {
    let name = |wanted: By| {
        let at = by.iter().position(|it| *it == wanted)?;
        Some(sum.names[at].clone())
    };
    Bucket {
        start_at: jiff::Timestamp::from_second(sum.at).unwrap_or_default(),
        slot_seconds: slot.cast_unsigned(),
        key: name(By::Key),
        provider: name(By::Provider),
        model: name(By::Model),
        client_type: name(By::ClientType),
        sum: sum.summed(),
    }
}

fn read(query: &str, now: i64, raw_days: u64) -> Result<Asked, Refusal> {
    // The second that runs belongs to it, also where a span begins with it.
    let mut asked = Asked { from: -1, to: now + 1, ..Asked::default() };
    let (mut period, mut slot) = (3_600, None);
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let number = |least: i64| {
            let number = value.parse().ok().filter(|it| (least..=100_000 * DAY).contains(it));
            number.ok_or_else(|| wrong(&name, "a number of seconds"))
        };
        match &*name {
            "period_seconds" => period = number(1)?,
            "slot_seconds" => slot = Some(number(1)?),
            "from" => asked.from = moment(&name, &value)?,
            "to" => asked.to = moment(&name, &value)?,
            "force" => {}
            "group_by" => {
                for word in value.split(',').map(str::trim).filter(|it| !it.is_empty()) {
                    let by = By::ALL.into_iter().find(|it| it.name() == word);
                    let by = by.ok_or_else(|| {
                        wrong("group_by", "any of `key`, `provider`, `model`, `client_type`")
                    })?;
                    if !asked.by.contains(&by) {
                        asked.by.push(by);
                    }
                }
            }
            _ => {
                let by = By::ALL.into_iter().find(|it| it.name() == name);
                let by = by.ok_or_else(|| unknown(&name, PARAMETERS))?;
                asked.only.push((by, value.into_owned()));
            }
        }
    }
    if asked.from < 0 {
        asked.from = (asked.to - period).max(0);
    }
    if asked.from >= asked.to {
        return Err(wrong("from", "before `to`"));
    }
    // Five minutes are kept as long as entries are.
    let kept = i64::try_from(raw_days).unwrap_or(i64::MAX / DAY).saturating_mul(DAY);
    asked.shortest = if asked.from < now.saturating_sub(kept) { 3_600 } else { 300 };
    asked.slot = Some(slot_of(&asked, slot)?);
    Ok(asked)
}

/// The length of a slot: as it was asked for, if there is such a sum, or a good one.
fn slot_of(asked: &Asked, wanted: Option<i64>) -> Result<i64, Refusal> {
    let period = asked.to - asked.from;
    let Some(wanted) = wanted else {
        let good = [300, 900, 3_600, 6 * 3_600, DAY, 7 * DAY];
        let fits = |it: &i64| *it >= asked.shortest && period / it <= GOOD_SLOTS;
        return Ok(good.into_iter().find(fits).unwrap_or(30 * DAY));
    };
    if wanted % asked.shortest != 0 {
        return Err(wrong(
            "slot_seconds",
            &format!("a multiple of {} for this period", asked.shortest),
        ));
    }
    if period / wanted > MAX_SLOTS {
        return Err(wrong(
            "slot_seconds",
            &format!("so long that the period has at most {MAX_SLOTS} slots"),
        ));
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000 / DAY * DAY;

    #[test]
    fn a_period_holds_the_second_that_runs() {
        for (query, length, slot) in [
            ("", 3_600, 300),
            ("period_seconds=300", 300, 300),
            ("period_seconds=28800", 28_800, 300),
            ("period_seconds=259200", 259_200, 900),
            ("period_seconds=34560000", 34_560_000, 7 * DAY),
            ("period_seconds=34560000&slot_seconds=86400", 34_560_000, DAY),
        ] {
            let asked = read(query, NOW, 30).unwrap();
            assert_eq!((asked.to, asked.to - asked.from), (NOW + 1, length), "{query}");
            assert_eq!(asked.slot, Some(slot), "{query}");
        }
    }

    #[test]
    fn a_bad_parameter_is_named() {
        for query in [
            "slot_seconds=7",
            "slot_seconds=300&period_seconds=34560000",
            "slot_seconds=300&from=0&to=3600",
            "period_seconds=0",
            "period_seconds=-5",
            "from=5&to=5",
            "from=tomorrow",
            "group_by=color",
            "periods=1",
        ] {
            assert_eq!(read(query, NOW, 30).unwrap_err().fault.status, 400, "{query}");
        }
        let asked = read("group_by=key,model,key&provider=p", NOW, 30).unwrap();
        assert_eq!(asked.by, [By::Key, By::Model]);
        assert_eq!(asked.only, [(By::Provider, "p".to_owned())]);
    }
}
