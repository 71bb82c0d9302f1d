//! What the file means, and what an edit of one entry means for the others.

use jiff::Timestamp;

use super::file::ConfigFile;
use crate::{
    access::{Key, Role},
    cli::exit::Unloadable,
    config::{Config, Resolved},
};

/// What the file on disk means; an error with carets when it does not load.
pub(in crate::cli) fn load(file: &ConfigFile) -> anyhow::Result<Config> {
    let text = file.read()?;
    let Resolved { config, problems, .. } = file.resolve(&text);
    let path = file.path().to_owned();
    Ok(config.ok_or(Unloadable { path, text, problems })?)
}

/// The virtual models that target a provider.
pub(in crate::cli) fn targets_of(config: &Config, provider: &str) -> Vec<String> {
    let uses =
        |targets: &[(std::sync::Arc<str>, String)]| targets.iter().any(|it| *it.0 == *provider);
    config.models.iter().filter(|it| uses(&it.targets)).map(|it| it.name.to_string()).collect()
}

/// The keys below a key, at any depth.
pub(in crate::cli) fn below<'a>(keys: &'a [std::sync::Arc<Key>], id: &str) -> Vec<&'a str> {
    let mut found: Vec<&str> = Vec::new();
    loop {
        let is_below = |it: &Key| {
            it.parent.as_deref().is_some_and(|it| it == id || found.contains(&it))
                && *it.id != *id
                && !found.contains(&&*it.id)
        };
        let more: Vec<&str> = keys.iter().filter(|it| is_below(it)).map(|it| &*it.id).collect();
        if more.is_empty() {
            return found;
        }
        found.extend(more);
    }
}

/// Whether somebody is left who may change everything, when some keys are gone.
pub(in crate::cli) fn leaves_an_admin(config: &Config, gone: &[&str], now: Timestamp) -> bool {
    let is_admin = |it: &Key| {
        it.role == Role::Admin && it.digest.is_some() && it.expires_at.is_none_or(|end| now < end)
    };
    let mut admins = config.keys.iter().filter(|it| is_admin(it)).peekable();
    admins.peek().is_none() || admins.any(|it| !gone.contains(&&*it.id))
}
