//! Keeps what is learned fresh: model lists of the file's providers, servers on this machine.
//! A request never waits for any of it.

use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval},
};

use super::{App, Wanted};
use crate::{
    catalog::{Lists, ModelList, Provider, preset},
    config::{Address, Config},
    store::lists,
    upstream::{detect, models, prices::Prices},
};

/// Lists are loaded again after this.
const LISTS: Duration = Duration::from_mins(30);
/// Local servers, and lists that failed, are looked at again after this.
const LOCAL: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_mins(1);
/// A list that a missing model asks for is not loaded more often than this.
const DEBOUNCE: Duration = Duration::from_mins(2);

/// What was asked for, by provider.
struct Asked {
    provider: Arc<Provider>,
    at: Instant,
    failed: bool,
    /// Who waits for it.
    waiting: Vec<oneshot::Sender<()>>,
}

/// What came of a request that took this long.
struct Loaded {
    provider: Arc<Provider>,
    took: Duration,
    list: Result<(ModelList, Prices), models::ListError>,
}

/// The task that loads model lists. Level-triggered: it compares what it asked with what is.
pub async fn keep_lists(app: Arc<App>, mut wanted: mpsc::Receiver<Wanted>) {
    let mut changed = app.live.subscribe();
    let mut tick = interval(LOCAL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut asked: HashMap<Arc<str>, Asked> = HashMap::new();
    let mut loading: JoinSet<Loaded> = JoinSet::new();
    loop {
        let snapshot = app.live.snapshot();
        let now = Instant::now();
        for provider in snapshot.table.providers() {
            let is_due = asked.get(&provider.name).is_none_or(|it| {
                let age = now.duration_since(it.at);
                !it.provider.is_same_service(provider) || age >= LISTS || it.failed && age >= RETRY
            });
            if is_due && !provider.is_echo() {
                load(&app, &mut loading, &mut asked, provider);
            }
        }
        drop(snapshot);
        tokio::select! {
            _ = changed.changed() => {}
            _ = tick.tick() => {}
            Some(Wanted { provider: name, done }) = wanted.recv() => {
                let old = asked.get(&name).is_none_or(|it| it.at.elapsed() >= DEBOUNCE);
                let snapshot = app.live.snapshot();
                let provider = snapshot.table.provider(&name).filter(|it| !it.is_echo());
                if let Some(provider) = provider.filter(|_| old || done.is_some()) {
                    load(&app, &mut loading, &mut asked, provider);
                    if let (Some(it), Some(done)) = (asked.get_mut(&name), done) {
                        it.waiting.push(done);
                    }
                }
            }
            Some(Ok(loaded)) = loading.join_next() => take_in(&app, &mut asked, loaded).await,
        }
    }
}

fn load(
    app: &Arc<App>,
    loading: &mut JoinSet<Loaded>,
    asked: &mut HashMap<Arc<str>, Asked>,
    provider: &Arc<Provider>,
) {
    let (failed, waiting) = match asked.remove(&provider.name) {
        // Until it succeeds, the same failure is not said again.
        Some(before) => (before.failed, before.waiting),
        None => (false, Vec::new()),
    };
    let fresh = Asked { provider: Arc::clone(provider), at: Instant::now(), failed, waiting };
    asked.insert(Arc::clone(&provider.name), fresh);
    let (upstream, provider) = (app.upstream.clone(), Arc::clone(provider));
    loading.spawn(async move {
        let began = Instant::now();
        let list = models::list_priced(&upstream, &provider).await;
        Loaded { provider, took: began.elapsed(), list }
    });
}

async fn take_in(app: &Arc<App>, asked: &mut HashMap<Arc<str>, Asked>, loaded: Loaded) {
    let Loaded { provider, took, list: loaded } = loaded;
    let Some(state) =
        asked.get_mut(&provider.name).filter(|it| it.provider.is_same_service(&provider))
    else {
        return;
    };
    let said = std::mem::replace(&mut state.failed, loaded.is_err());
    let waiting = std::mem::take(&mut state.waiting);
    app.health.note(&provider, took, loaded.as_ref().err());
    match loaded {
        Ok((list, prices)) => {
            let has_prices = !prices.is_empty();
            tracing::debug!(provider = %provider.name, models = list.models.len(), "model list loaded");
            let list = Arc::new(list);
            app.live
                .relearn(|learned| {
                    let mut all = learned.lists.all().clone();
                    all.insert(Arc::clone(&provider.name), Arc::clone(&list));
                    learned.lists = Arc::new(Lists::new(all));
                    super::prices::came_with_list(learned, &provider, prices);
                })
                .await;
            let (path, lists) = (
                app.cache_dir.join("models-cache.json"),
                app.live.snapshot().learned.lists.all().clone(),
            );
            let saved = tokio::task::spawn_blocking(move || lists::save(&path, &lists)).await;
            if let Ok(Err(error)) = saved {
                tracing::warn!(%error, "the cache of model lists cannot be written");
            }
            if has_prices {
                super::prices::save(app).await;
            }
        }
        Err(error) if !said => {
            tracing::warn!(provider = %provider.name, %error, "model list not loaded; the last good one is kept");
        }
        Err(_) => {}
    }
    for it in waiting {
        let _ = it.send(()); // who asked may have gone
    }
}

/// The task that finds servers on this machine, and what else is there without the file.
pub async fn keep_found(app: Arc<App>) {
    let mut changed = app.live.subscribe();
    let mut tick = interval(LOCAL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let config = Arc::clone(&app.live.snapshot().config);
        let docker_host = if config.docker_no_auth { detect::docker_host().await } else { None };
        let mut found = Vec::new();
        // What is found on this machine could not be asked anything.
        if config.detect_local && !config.public_only {
            found = detect::detect(&app.upstream, &own_addresses(&app)).await;
        }
        if config.enable_public_free {
            found.extend(public_free(&app).await);
        }
        if !is_known(&app, &found, docker_host) {
            for provider in &found {
                tracing::info!(provider = %provider.name, "found a provider that is not in the file");
            }
            app.live.relearn(|it| (it.found, it.docker_host) = (found, docker_host)).await;
        }
        loop {
            tokio::select! {
                _ = tick.tick() => break,
                _ = changed.changed() => {
                    let now = &app.live.snapshot().config;
                    let of = |it: &Config| {
                        [it.detect_local, it.public_only, it.enable_public_free, it.docker_no_auth]
                    };
                    if of(now) != of(&config) {
                        break;
                    }
                }
            }
        }
    }
}

/// Whether the live snapshot, which must not be held while waiting, has just this.
fn is_known(app: &App, found: &[Arc<Provider>], docker_host: Option<std::net::IpAddr>) -> bool {
    let learned = &app.live.snapshot().learned;
    let same = |(a, b): (&Arc<Provider>, &Arc<Provider>)| a.name == b.name && a.is_same_service(b);
    learned.docker_host == docker_host
        && learned.found.len() == found.len()
        && learned.found.iter().zip(found).all(same)
}

fn own_addresses(app: &App) -> Vec<SocketAddr> {
    let tcp = |it: &Address| match it {
        Address::Tcp(it) => Some(*it),
        Address::Unix(_) => None,
    };
    app.listeners().open.iter().filter_map(tcp).collect()
}

/// Presets that answer without a key, when they do.
async fn public_free(app: &App) -> Vec<Arc<Provider>> {
    let mut found = Vec::new();
    for preset in preset::presets().iter().filter(|it| it.public_free_no_auth && !it.local) {
        let Some(base_url) = preset.base_url.as_deref().and_then(|it| it.parse().ok()) else {
            continue;
        };
        let provider = Provider::found(&preset.name, preset, base_url);
        if models::list(&app.upstream, &provider).await.is_ok() {
            found.push(Arc::new(provider));
        }
    }
    found
}
