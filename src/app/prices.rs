//! Keeps prices fresh, once somebody has asked for them. A request never waits for it.
//!
//! Prices that stand in a model list come with that list, which is loaded anyway; the task here asks
//! what else there is, each provider by itself: one that hangs holds up nobody.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use super::{App, Learned};
use crate::{
    catalog::{LearnedPrices, PriceSource, Provider, ProviderPrices},
    store,
    upstream::prices::{self, PriceError, Prices},
};

/// What is due is looked for this often.
const TICK: Duration = Duration::from_secs(10);
/// A source that failed is asked again after this.
const RETRY: Duration = Duration::from_mins(5);

/// Somebody asks for prices.
#[derive(Debug)]
struct Wanted {
    /// One provider that is asked now, however young its prices are; told when that is over.
    now: Option<(Arc<str>, oneshot::Sender<()>)>,
}

/// The way to the task that asks for prices.
#[derive(Debug)]
pub struct Asking {
    send: mpsc::Sender<Wanted>,
    receive: Mutex<Option<mpsc::Receiver<Wanted>>>,
}

impl Default for Asking {
    fn default() -> Self {
        let (send, receive) = mpsc::channel(64);
        Self { send, receive: Mutex::new(Some(receive)) }
    }
}

impl App {
    /// Prices are looked at from now on.
    pub fn wants_prices(&self) {
        let _ = self.prices.send.try_send(Wanted { now: None }); // a full queue says the same
    }

    /// A request went to this provider: its prices are kept fresh if they do not come by themselves.
    pub fn wants_prices_of(&self, provider: Option<&Arc<Provider>>) {
        if provider.is_some_and(|it| prices::asks_apart(it)) {
            self.wants_prices();
        }
    }

    /// Asks for a provider's prices now; whether that came to an end within `limit`.
    pub async fn load_prices(&self, provider: &Arc<str>, limit: Duration) -> bool {
        let (done, ended) = oneshot::channel();
        let wanted = Wanted { now: Some((Arc::clone(provider), done)) };
        let loading = async { self.prices.send.send(wanted).await.is_ok() && ended.await.is_ok() };
        tokio::time::timeout(limit, loading).await.unwrap_or(false)
    }
}

type Answer = Result<Option<(PriceSource, Prices)>, PriceError>;

/// The task. Level-triggered: it compares what is known with what is.
pub async fn keep_prices(app: Arc<App>) {
    let receive = app.prices.receive.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(mut wanted) = receive else { return };
    let mut changed = app.live.subscribe();
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_wanted = false;
    let mut loads = Loads::default();
    loop {
        if is_wanted {
            let snapshot = app.live.snapshot();
            for provider in snapshot.table.providers() {
                if loads.is_due(&app, provider) {
                    loads.load(&app, provider);
                }
            }
        }
        tokio::select! {
            _ = changed.changed() => {}
            _ = tick.tick() => {}
            Some(Wanted { now }) = wanted.recv() => {
                is_wanted = true;
                if let Some((name, done)) = now {
                    let snapshot = app.live.snapshot();
                    if let Some(provider) = snapshot.table.provider(&name) {
                        loads.load(&app, provider);
                        loads.waiting.entry(name).or_default().push(done);
                    }
                }
            }
            Some(Ok((provider, answer))) = loads.tasks.join_next() => {
                loads.running.remove(&provider.name);
                take_in(&app, &provider, answer).await;
                for it in loads.waiting.remove(&provider.name).unwrap_or_default() {
                    let _ = it.send(()); // who asked may have gone
                }
            }
        }
    }
}

/// Who is asked, and who was.
#[derive(Default)]
struct Loads {
    tasks: JoinSet<(Arc<Provider>, Answer)>,
    running: HashMap<Arc<str>, Arc<Provider>>,
    asked: HashMap<Arc<str>, Arc<Provider>>,
    waiting: HashMap<Arc<str>, Vec<oneshot::Sender<()>>>,
}

impl Loads {
    fn is_due(&self, app: &App, provider: &Arc<Provider>) -> bool {
        if provider.is_echo() || self.running.contains_key(&provider.name) {
            return false;
        }
        if self.asked.get(&provider.name).is_some_and(|it| !it.is_same_service(provider)) {
            return true;
        }
        let snapshot = app.live.snapshot();
        let Some(known) = snapshot.learned.prices.get(&provider.name) else { return true };
        let fresh = snapshot.config.price_refresh;
        let limit = if known.last_error.is_some() { fresh.min(RETRY) } else { fresh };
        let age = jiff::Timestamp::now().duration_since(known.last_attempt).unsigned_abs();
        known.service != ProviderPrices::service_of(provider) || age >= limit
    }

    fn load(&mut self, app: &Arc<App>, provider: &Arc<Provider>) {
        if self.running.get(&provider.name).is_some_and(|it| it.is_same_service(provider)) {
            return;
        }
        for asked in [&mut self.running, &mut self.asked] {
            asked.insert(Arc::clone(&provider.name), Arc::clone(provider));
        }
        let trusted = app.live.snapshot().config.price_sources.clone();
        let (upstream, provider) = (app.upstream.clone(), Arc::clone(provider));
        self.tasks.spawn(async move {
            let answer = prices::load(&upstream, &provider, &trusted).await;
            (provider, answer)
        });
    }
}

async fn take_in(app: &Arc<App>, provider: &Arc<Provider>, answer: Answer) {
    if let Err(error) = &answer {
        tracing::debug!(provider = %provider.name, %error, "prices not learned; the last good ones are kept");
    }
    let now = app.live.snapshot().table.provider(&provider.name).cloned();
    if now.is_none_or(|it| !it.is_same_service(provider)) {
        return; // changed meanwhile; what it is now is asked for itself
    }
    app.live.relearn(|learned| note(learned, provider, answer)).await;
    save(app).await;
}

/// Takes prices that came with a model list.
pub(super) fn came_with_list(learned: &mut Learned, provider: &Provider, prices: Prices) {
    if !prices.is_empty() {
        note(learned, provider, Ok(Some((PriceSource::Models, prices))));
    }
}

/// A failure, and an answer without any price, leave the last good ones.
fn note(learned: &mut Learned, provider: &Provider, answer: Answer) {
    let (service, now) = (ProviderPrices::service_of(provider), jiff::Timestamp::now());
    let known = learned.prices.get(&provider.name).filter(|it| it.service == service);
    let mut prices = known.map_or_else(
        || ProviderPrices {
            service,
            source: PriceSource::Models,
            last_attempt: now,
            last_update: None,
            last_error: None,
            models: BTreeMap::new(),
        },
        |it| ProviderPrices::clone(it),
    );
    prices.last_attempt = now;
    prices.last_error = answer.as_ref().err().map(ToString::to_string);
    if let Ok(Some((source, models))) = answer {
        (prices.source, prices.models, prices.last_update) = (source, models, Some(now));
    }
    let mut all = LearnedPrices::clone(&learned.prices);
    all.insert(Arc::clone(&provider.name), Arc::new(prices));
    learned.prices = Arc::new(all);
}

/// Writes the cache, without providers that are gone.
pub(super) async fn save(app: &App) {
    let snapshot = app.live.snapshot();
    let there = snapshot.config.providers.iter().chain(&snapshot.learned.found);
    let names: std::collections::HashSet<_> = there.map(|it| Arc::clone(&it.name)).collect();
    let mut prices = LearnedPrices::clone(&snapshot.learned.prices);
    prices.retain(|name, _| names.contains(name));
    let path = app.cache_dir.join("pricing-cache.json");
    let saved = tokio::task::spawn_blocking(move || store::prices::save(&path, &prices)).await;
    if let Ok(Err(error)) = saved {
        tracing::warn!(%error, "the cache of prices cannot be written");
    }
}
