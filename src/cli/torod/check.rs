//! `torod check`: every problem of the file at once, without running anything.

use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::json;

use super::super::{exit::Exit, paths::Paths, ui};
use crate::{
    app::surroundings,
    base::file,
    catalog::{Credential, Provider},
    config::{self, Config, Severity, masked},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// `text` for people, `json` for programs
    #[arg(long, default_value = "text", value_parser = ["text", "json"])]
    format: String,
    /// Warnings are as bad as errors
    #[arg(long)]
    strict: bool,
    /// Print the config as torod understands it, secrets as `***`
    #[arg(long)]
    print: bool,
}

pub(super) fn run(args: &Args, paths: &Paths) -> anyhow::Result<ExitCode> {
    let path = &paths.config;
    let bytes = file::read(path, 16 * 1024 * 1024)
        .with_context(|| format!("cannot read `{}`", path.display()))?;
    let text =
        String::from_utf8(bytes).with_context(|| format!("`{}` is not UTF-8", path.display()))?;
    let found = config::resolve(&text, &*surroundings(path));
    let worst = found.problems.iter().map(|it| it.severity).max();
    let fails = worst >= Some(if args.strict { Severity::Warning } else { Severity::Error });
    if args.format == "json" {
        ui::line(&json!({ "ok": !fails, "path": path, "problems": found.problems }).to_string());
    } else {
        ui::problems(&path.to_string_lossy(), &masked(&text), &found.problems);
        match ui::summary(&found.problems) {
            none if none.is_empty() => ui::say(&format!("{}: no problems", path.display())),
            some => ui::say(&format!("{}: {some}", path.display())),
        }
    }
    if let Some(config) = found.config.filter(|_| args.print) {
        ui::line(&format!("{:#}", shown(&config)));
    }
    Ok(if fails { ExitCode::from(Exit::Config as u8) } else { ExitCode::SUCCESS })
}

/// The config with every preset filled in. What is secret is `***`, whatever it is.
fn shown(config: &Config) -> serde_json::Value {
    let keys = config.keys.iter().map(|it| {
        json!({
            "id": it.id, "name": it.name, "role": it.role, "parent_id": it.parent, "key": "***",
            "matches": it.digest.is_some(), "expires_at": it.expires_at,
        })
    });
    json!({
        "listen_addr": config.listen.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "default_provider": config.default_provider,
        "allowed_hosts": config.allowed_hosts,
        "allow_localhost_no_auth": config.local_no_auth,
        "allow_host_docker_internal_no_auth": config.docker_no_auth,
        "auto_detect_local_servers": config.detect_local,
        "auto_enable_public_free_models": config.enable_public_free,
        "managed": config.managed,
        "shutdown_seconds": config.shutdown.as_secs(),
        "worker_threads": config.worker_threads,
        "incoming_tokens": keys.collect::<Vec<_>>(),
        "providers": config.providers.iter().map(|it| provider(it)).collect::<Vec<_>>(),
        "models": config.models.iter().map(|it| json!({
            "name": it.name,
            "targets": it.targets.iter().map(|(provider, model)| format!("{provider}/{model}")).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "limits": config.limits,
        "logs": { "level": config.log_level, "format": config.log_format },
    })
}

fn provider(it: &Provider) -> serde_json::Value {
    let credential = match it.credential {
        Credential::None => None,
        Credential::Present(_) => Some("***"),
        Credential::Unresolved => Some("unresolved"),
    };
    json!({
        "name": it.name, "provider_type": it.preset.name, "enabled": it.enabled,
        "base_url": it.base_url.as_ref().map(url::Url::as_str), "protocols": it.protocols,
        "api_key": credential, "api_key_source": it.credential_source,
        "headers": it.headers.iter().map(|it| (it.0.to_string(), "***")).collect::<std::collections::BTreeMap<_, _>>(),
        "timeout_seconds": it.first_byte.as_secs(),
        "stream_idle_timeout_seconds": it.idle.as_secs(), "include_usage": it.include_usage,
    })
}
