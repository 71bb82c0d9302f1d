//! From the file's words to checked values; every problem is reported before any is fatal.

mod keys;
mod listen;
mod providers;
mod secret;

use std::{collections::HashSet, sync::Arc, time::Duration};

use super::{
    Config, Resolved, Severity, Surroundings,
    document::{self, Document},
    problem::{Problems, nearest},
    schema::{Egress, HttpMode},
    schema_parts::{Strategy, TargetEntry, TlsMode},
};
use crate::{catalog::Provider, routing::VirtualModel};
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
    config.models = models(&document, &config.providers, &mut problems);
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
        shutdown: Duration::from_secs(file.shutdown_seconds.unwrap_or(30)),
        worker_threads: file.worker_threads,
        keys: Vec::new(),
        providers: Vec::new(),
        models: Vec::new(),
        limits: file.limits.clone(),
        log_level: file.logs.level,
        log_format: file.logs.format,
    }
}

/// Keys whose feature does not act yet where silence would do harm.
fn switches(document: &Document, problems: &mut Problems<'_>) {
    let file = &document.file;
    if file.egress == Some(Egress::Public) {
        not_yet(document, "egress", problems);
    }
    if file.pricing.unknown.is_some_and(|it| matches!(it, super::schema::UnknownPrice::Block)) {
        not_yet(document, "pricing.unknown", problems);
    }
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

fn models(
    document: &Document,
    providers: &[Arc<Provider>],
    problems: &mut Problems<'_>,
) -> Vec<VirtualModel> {
    let (mut found, mut names) = (Vec::new(), HashSet::new());
    for (at, model) in document.file.models.iter().enumerate() {
        let path = format!("models[{at}]");
        let name = model.name.as_deref().unwrap_or_default().trim();
        if name.is_empty() {
            problems.error("missing_key", document.span(&path), "a model needs a `name`");
            continue;
        }
        if !names.insert(name) {
            problems.error(
                "duplicate",
                document.span(&format!("{path}.name")),
                format!("the model name `{name}` is used twice"),
            );
        }
        if name.split_once('/').is_some_and(|it| providers.iter().any(|p| &*p.name == it.0)) {
            problems
                .error(
                    "shadowed",
                    document.span(&format!("{path}.name")),
                    format!("the model name `{name}` begins with a provider's name"),
                )
                .help("choose a name without that prefix");
        }
        if model.strategy.unwrap_or_default() != Strategy::Failover {
            not_yet(document, &format!("{path}.strategy"), problems);
        }
        if model.targets.is_empty() {
            problems
                .error(
                    "missing_key",
                    document.span(&format!("{path}.targets")),
                    format!("the model `{name}` needs `targets`"),
                )
                .help("list at least one `provider/model`");
        }
        let mut targets = Vec::new();
        for (n, target) in model.targets.iter().enumerate() {
            let (text, at) = match target {
                TargetEntry::Name(text) => (text, format!("{path}.targets[{n}]")),
                TargetEntry::Weighted(it) => (&it.model, format!("{path}.targets[{n}].model")),
            };
            match text.split_once('/') {
                Some((provider, rest))
                    if !rest.is_empty() && providers.iter().any(|it| &*it.name == provider) =>
                {
                    targets.push((provider.into(), rest.to_owned()));
                }
                Some((provider, rest)) if !rest.is_empty() => {
                    let near = nearest(provider, providers.iter().map(|it| &*it.name));
                    problems
                        .error(
                            "unknown_provider",
                            document.span(&at),
                            format!("no provider is named `{provider}`"),
                        )
                        .maybe_help(near.map(|it| format!("did you mean `{it}`?")));
                }
                _ => {
                    problems.error(
                        "bad_target",
                        document.span(&at),
                        "a target is `provider/model`",
                    );
                }
            }
        }
        found.push(VirtualModel { name: name.into(), targets });
    }
    found
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
