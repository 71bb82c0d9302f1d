//! Books each admitted request once, whatever happens to it: the entry is sent by `Drop`.

use std::{sync::Arc, time::Duration};

use http::HeaderMap;

use super::client::Client;
use crate::{
    access::Key,
    app::App,
    base::{Usage, Usd, printable},
    door::{Arrival, Caller, Refusal},
    llm::{Protocol, meter::Meter},
    routing::Target,
    store::{Entry, Hold, Outcome, responses::Made},
};

/// What is known of a request when it is admitted.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) protocol: Protocol,
    pub(super) model: String,
    pub(super) stream: bool,
    pub(super) request_bytes: usize,
}

/// From here on the request is booked.
#[derive(Debug)]
pub(super) struct Settlement {
    app: Arc<App>,
    arrival: Arrival,
    key: Option<Arc<Key>>,
    facts: Facts,
    client: Client,
    at: jiff::Timestamp,
    target: Option<(Arc<str>, Box<str>)>,
    attempts: u8,
    status: u16,
    outcome: Option<Outcome>,
    meter: Option<Meter>,
    ttfb: Option<Duration>,
    knows_id: bool,
    /// What the log should know of a failure.
    cause: Option<Box<str>>,
    /// 400s are no entries.
    void: bool,
    _hold: Hold,
}

impl Settlement {
    pub(super) fn open(
        app: &Arc<App>,
        arrival: &Arrival,
        caller: &Caller,
        headers: &HeaderMap,
        facts: Facts,
    ) -> Self {
        Self {
            app: Arc::clone(app),
            arrival: arrival.clone(),
            key: caller.key.clone(),
            client: Client::of(headers),
            facts,
            at: jiff::Timestamp::now(),
            target: None,
            attempts: 0,
            status: 499,
            outcome: None,
            meter: None,
            ttfb: None,
            knows_id: false,
            cause: None,
            void: false,
            _hold: app.counters.reserve(),
        }
    }

    /// A target is asked.
    pub(super) fn attempt(&mut self, target: &Target) {
        self.attempts += 1;
        self.target = Some((Arc::clone(&target.provider.name), target.model.as_str().into()));
    }

    /// The head goes to the client, and the meter reads what follows.
    pub(super) fn replied(&mut self, status: u16, meter: Meter) {
        self.status = status;
        self.meter = Some(meter);
        self.ttfb = Some(self.arrival.at.elapsed());
    }

    /// The request ends in an error of ours.
    pub(super) fn refuse(&mut self, refusal: &Refusal) {
        self.status = refusal.fault.status;
        self.void = self.status == 400;
        self.cause.clone_from(&refusal.cause);
        self.outcome =
            Some(if self.status < 500 { Outcome::Refused } else { Outcome::UpstreamBroke });
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) {
        let Some(meter) = &mut self.meter else { return };
        meter.feed(bytes);
        if self.knows_id || self.facts.protocol != Protocol::Responses {
            return;
        }
        if let (Some(id), Some((provider, _))) = (meter.id(), &self.target) {
            let key = self.key.as_ref().map(|it| Arc::clone(&it.id));
            self.app.responses.remember(id, Made { provider: Arc::clone(provider), key });
            self.knows_id = true;
        }
    }

    pub(super) fn meter(&self) -> Option<&Meter> {
        self.meter.as_ref()
    }

    /// The answer reached its end, or will not.
    pub(super) fn end(&mut self, whole: bool) {
        self.outcome = Some(match self.status {
            _ if !whole => Outcome::UpstreamBroke,
            500.. => Outcome::UpstreamBroke,
            400.. => Outcome::Refused,
            _ if self.attempts > 1 => Outcome::FailedOver,
            _ => Outcome::Ok,
        });
    }

    /// What these tokens cost by the prices that hold for the request, and who says so.
    fn cost(&self, usage: Option<&Usage>) -> (Option<Usd>, Option<Arc<str>>) {
        let snapshot = &self.arrival.snapshot;
        let Some((provider, model)) = &self.target else { return (None, None) };
        self.app.wants_prices_of(snapshot.table.provider(provider));
        let Some(usage) = usage else { return (None, None) };
        let Some(priced) = snapshot.price(provider, model) else { return (None, None) };
        let cost = priced.price.cost(usage);
        (cost, cost.map(|_| format!("{}@{}", priced.source.name(), priced.version).into()))
    }

    fn entry(&mut self) -> Entry {
        let answered = (200..300).contains(&self.status);
        // A client that leaves once it has the answer's end has not left early.
        let complete = self.meter.as_ref().is_some_and(|it| it.is_stream() && it.is_complete());
        if self.outcome.is_none() && complete && !std::thread::panicking() {
            self.end(true);
        }
        let unfinished =
            if std::thread::panicking() { Outcome::Panicked } else { Outcome::ClientGone };
        let found = self.meter.take().map(|it| it.finish(self.facts.request_bytes, answered));
        let found = found.unwrap_or_default();
        let mut outcome = self.outcome.unwrap_or(unfinished);
        if found.failed && outcome == Outcome::Ok {
            outcome = Outcome::UpstreamBroke;
        }
        let key = self.key.as_ref();
        let (cost, price_source) = self.cost(found.usage.as_ref());
        let (provider, upstream_model) = self.target.take().unzip();
        Entry {
            id: self.arrival.id,
            request_id: self.arrival.request_id.to_str().unwrap_or_default().into(),
            at: self.at,
            generation: self.arrival.snapshot.generation,
            key_id: key.map(|it| Arc::clone(&it.id)),
            key_name: key.map(|it| Arc::clone(&it.name)),
            parent: key.and_then(|it| it.parent.clone()),
            provider,
            requested_model: std::mem::take(&mut self.facts.model).into(),
            upstream_model,
            protocol: self.facts.protocol,
            stream: self.facts.stream,
            status: self.status,
            outcome,
            attempts: self.attempts,
            usage: found.usage,
            estimated: found.estimated,
            ttfb: self.ttfb,
            duration: self.arrival.at.elapsed(),
            cost,
            price_source,
            reported_cost: found.cost,
            prompt_time: found.prompt_time,
            generation_time: found.generation_time,
            client_type: self.client.kind,
            conversation: None,
            tags: std::mem::take(&mut self.client.tags),
            user_agent: self.client.agent.take(),
            client_ip: self.arrival.peer.ip(),
        }
    }
}

impl Drop for Settlement {
    fn drop(&mut self) {
        if self.void {
            return;
        }
        let entry = self.entry();
        log(&entry, self.cause.as_deref());
        self.app.ledger.book(entry);
    }
}

/// The access line of a booked request: no secret, no prompt.
fn log(entry: &Entry, cause: Option<&str>) {
    let millis = |it: Duration| u64::try_from(it.as_millis()).unwrap_or(u64::MAX);
    let usage = entry.usage.unwrap_or_default();
    tracing::info!(
        id = &*entry.request_id,
        key = &*printable(entry.key_name.as_deref().unwrap_or_default()),
        provider = entry.provider.as_deref().unwrap_or_default(),
        model = &*printable(&entry.requested_model),
        status = entry.status,
        prompt_tokens = usage.prompt(),
        completion_tokens = usage.completion(),
        cost_usd = entry.cost.map(tracing::field::display),
        reported_cost_usd = entry.reported_cost.map(tracing::field::display),
        ttfb_ms = entry.ttfb.map(millis),
        duration_ms = millis(entry.duration),
        outcome = entry.outcome.name(),
        cause,
        "request"
    );
}
