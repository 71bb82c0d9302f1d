//! `torod key new`: a key that is shown once, and its lines for the file.

use std::process::ExitCode;

use super::super::ui;
use crate::access::{NewKey, Role};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Its short name in the file; by default the one in the key
    #[arg(long)]
    id: Option<String>,
    /// Whose key it is
    #[arg(long)]
    name: Option<String>,
    /// What it may do: admin, keymaster or inferrer
    #[arg(long, default_value = "inferrer", value_parser = role)]
    role: Role,
}

pub(super) fn role(text: &str) -> Result<Role, String> {
    serde_json::from_value(text.into()).map_err(|_| "use admin, keymaster or inferrer".to_owned())
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let key = NewKey::make()?;
    let id = args.id.as_deref().unwrap_or(&key.id);
    let quoted = |it: &str| toml::Value::from(it).to_string();
    let role = serde_json::to_value(args.role)?;
    ui::line(&key.text);
    ui::line("\n[[incoming_tokens]]");
    ui::line(&format!("id = {}", quoted(id)));
    ui::line(&format!("name = {}", quoted(args.name.as_deref().unwrap_or(id))));
    ui::line(&format!("role = {}", quoted(role.as_str().unwrap_or("inferrer"))));
    ui::line(&format!("key_hash = {}", quoted(&key.hash())));
    ui::say("\nThe key is shown only now; paste the lines into torod.toml.");
    Ok(ExitCode::SUCCESS)
}
