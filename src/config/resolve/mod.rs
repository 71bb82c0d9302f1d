//! From the file's words to checked values; every problem is reported before any is fatal.

mod keys;
mod listen;
mod models;
mod prices;
mod providers;
mod secret;

use std::{sync::Arc, time::Duration};

use super::{
    Config, Resolved, Severity, Surroundings,
    document::{self, Document},
    problem::{Problems, nearest},
    schema::{Egress, HttpMode},
    schema_parts::{TlsMode, UnknownPrice},
};
use crate::catalog::{PriceSource, Provider};
use secret::Secrets;

/// Reads a text. Pure but for what it asks of the surroundings.
pub fn resolve(text: &str, surroundings: &dyn Surroundings) -> Resolved {
    let shown = text;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut problems = Problems::new(text);
    let document = document::parse(text, &mut problems);
    let mut secrets = Secrets::new(surroundings);
    if document::is_blank(text) {
        problems.error("empty", 0..0, "the file has no settings").help(
            "an empty file is most often half of a save; delete the file and start torod to begin anew",
        );
    }
    let mut config = settings(&document);
    config.listen = listen::addresses(&document, &mut problems);
    config.keys = keys::keys(&document, &mut secrets, &mut problems);
    config.providers = providers::providers(&document, &mut secrets, &mut problems);
    config.models = models::models(&document, &config.providers, &mut problems);
    config.prices = prices::prices(&document, &config.providers, &mut problems);
    listen::guards(&document, &config, &mut problems);
    switches(&document, &mut problems);
    default_provider(&document, &config.providers, &mut problems);
    let mut found = problems.found;
    // A byte order mark belongs to the first line.
    let mark = shown.len() - text.len();
    for it in &mut found {
        it.span = it.span.start + mark..it.span.end + mark;
    }
    found.sort_by_key(|it| (it.line, it.column));
    let loads = found.iter().all(|it| it.severity < Severity::Error);
    // A missing credential is most often the misspelt key above.
    found.retain(|it| loads || it.code != "no_credential");
    let (watched, secrets) = secrets.finish();
    Resolved { config: loads.then_some(config), problems: found, watched, secrets }
}

/// What needs no check beyond the schema's.
fn settings(document: &Document) -> Config {
    let file = &document.file;
    Config {
        listen: Vec::new(),
        allowed_hosts: file.allowed_hosts.iter().map(|it| it.trim().to_ascii_lowercase()).collect(),
        default_provider: file.default_provider.clone().filter(|it| !it.is_empty()),
        local_no_auth: file.allow_localhost_no_auth,
        docker_no_auth: file.allow_localhost_no_auth && file.allow_host_docker_internal_no_auth,
        detect_local: file.auto_detect_local_servers.unwrap_or(true),
        enable_public_free: file.auto_enable_public_free_models,
        managed: file.managed,
        public_only: file.egress == Some(Egress::Public),
        remove_expired: file.auto_remove_expired_tokens,
        history: file.config.history.unwrap_or(20),
        shutdown: Duration::from_secs(file.shutdown_seconds.unwrap_or(30)),
        worker_threads: file.worker_threads,
        keys: Vec::new(),
        providers: Vec::new(),
        models: Vec::new(),
        prices: Vec::new(),
        price_sources: file.pricing.sources.clone().unwrap_or_else(|| PriceSource::ALL.to_vec()),
        price_refresh: Duration::from_mins(file.pricing.refresh_minutes.unwrap_or(30)),
        block_unpriced: file.pricing.unknown == Some(UnknownPrice::Block),
        limits: file.limits.clone(),
        log_level: file.logs.level,
        log_format: file.logs.format,
        raw_days: file.usage.raw_days.unwrap_or(30),
        rollup_days: file.usage.rollup_days.unwrap_or(400),
    }
}

/// Keys whose feature does not act yet where silence would do harm.
fn switches(document: &Document, problems: &mut Problems<'_>) {
    let file = &document.file;
    let tls = &file.tls;
    if !tls.enabled {
        return;
    }
    let has = |it: &Option<String>| it.as_ref().is_some_and(|it| !it.trim().is_empty());
    match tls.mode {
        TlsMode::Pem if !has(&tls.cert_pem) || tls.key_pem.is_none() => {
            problems
                .error(
                    "tls_material",
                    document.span("tls.mode"),
                    "`tls.mode = \"pem\"` needs a certificate and its key",
                )
                .help("set `tls.cert_pem` and `tls.key_pem`");
        }
        TlsMode::Letsencrypt if !has(&tls.domain) && tls.domains.is_empty() => {
            problems
                .error(
                    "tls_material",
                    document.span("tls.mode"),
                    "`tls.mode = \"letsencrypt\"` needs a name",
                )
                .help("set `tls.domain`");
        }
        _ => {}
    }
    // The Go original served plain HTTP beside HTTPS in this mode: leaving HTTPS away opens nothing.
    if document.is_legacy && file.http_mode.unwrap_or_default() == HttpMode::Enabled {
        problems
            .warning(
                "not_active",
                document.span("tls.enabled"),
                "HTTPS is not active yet, so only plain HTTP is served",
            )
            .help("put a proxy with HTTPS in front of torod");
    } else {
        not_yet(document, "tls.enabled", problems);
    }
}

fn not_yet(document: &Document, path: &str, problems: &mut Problems<'_>) {
    problems
        .error(
            "not_active",
            document.span(path),
            format!("`{path}` is not active yet, and torod does not run without what it asks for"),
        )
        .help("remove it until it is supported");
}

fn default_provider(document: &Document, providers: &[Arc<Provider>], problems: &mut Problems<'_>) {
    let Some(name) = document.file.default_provider.as_deref().filter(|it| !it.is_empty()) else {
        return;
    };
    let span = document.span("default_provider");
    match providers.iter().find(|it| &*it.name == name) {
        Some(it) if it.enabled => {}
        Some(_) => {
            problems.warning(
                "disabled_default",
                span,
                format!("the default provider `{name}` is disabled"),
            );
        }
        None => {
            let near = nearest(name, providers.iter().map(|it| &*it.name));
            problems
                .error(
                    "unknown_provider",
                    span,
                    format!("`default_provider` names `{name}`, which does not exist"),
                )
                .maybe_help(near.map(|it| format!("did you mean `{it}`?")));
        }
    }
}

#[cfg(test)]
mod tests;
