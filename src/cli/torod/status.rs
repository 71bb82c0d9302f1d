//! `torod status`: what the running daemon says of itself, over its control socket.

use std::process::ExitCode;

use serde_json::json;

use super::super::{paths::Paths, runtime, ui};
use crate::{
    api::{ConfigStatus, Status},
    client,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// `text` for people, `json` for programs
    #[arg(long, default_value = "text", value_parser = ["text", "json"])]
    format: String,
}

pub(super) fn run(args: &Args, paths: &Paths) -> anyhow::Result<ExitCode> {
    let socket = paths.control_socket();
    let (status, config) = runtime()?.block_on(async {
        let status: Status = client::get(&socket, "/v1/status").await?;
        let config: ConfigStatus = client::get(&socket, "/admin/api/config/status").await?;
        Ok::<_, client::ClientError>((status, config))
    })?;
    if args.format == "json" {
        ui::line(&format!("{:#}", json!({ "status": status, "config": config })));
    } else {
        print(&status, &config);
    }
    Ok(ExitCode::SUCCESS)
}

fn print(status: &Status, config: &ConfigStatus) {
    let row = |name: &str, value: String| ui::line(&format!("{name:<12}{value}"));
    let ready = if status.ready { "ready" } else { "not ready" };
    row("torod", format!("{} {ready}, up {} s", status.version, status.uptime_seconds));
    row("listening", status.listening.join(", "));
    row(
        "config",
        format!(
            "{}, generation {}, live since {}",
            config.source, config.generation, config.loaded_at
        ),
    );
    row("revision", config.revision.clone());
    let tokens = (status.prompt_tokens, status.completion_tokens);
    row(
        "requests",
        format!(
            "{}, {} running, {} + {} tokens",
            status.requests, status.in_flight, tokens.0, tokens.1
        ),
    );
    for provider in &status.providers {
        let models =
            provider.models.map_or("no model list".to_owned(), |it| format!("{it} models"));
        let state = if provider.enabled { models } else { "disabled".to_owned() };
        let automatic = if provider.automatic { ", found here" } else { "" };
        let credential =
            provider.credential.as_ref().map_or(String::new(), |it| format!(", credential {it}"));
        row(
            "provider",
            format!(
                "{} ({}): {state}{credential}{automatic}",
                provider.name, provider.provider_type
            ),
        );
    }
    for it in &config.problems {
        row(&it.severity, format!("{}:{}: {}", it.line, it.column, it.message));
    }
    if !config.restart_required.is_empty() {
        row("restart for", config.restart_required.join(", "));
    }
}
