//! `torod key new`: a key that is shown once, and its lines for the file.

use std::process::ExitCode;

use anyhow::Context as _;

use super::super::ui;
use crate::{
    access::Role,
    base::{digest, hex},
};

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

const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// `tr_<id>_<secret>_<crc>`: 10 and 32 characters from the system's random source, and the CRC-32
/// of all before it in 6 more, so that scanners of leaked secrets can tell one.
pub(in crate::cli) struct NewKey {
    pub(in crate::cli) id: String,
    pub(in crate::cli) text: String,
}

impl NewKey {
    pub(in crate::cli) fn make() -> anyhow::Result<Self> {
        let (id, secret) = (random(10)?, random(32)?);
        let body = format!("tr_{id}_{secret}");
        let mut rest = crc32fast::hash(body.as_bytes());
        let mut crc = [b'0'; 6];
        for place in crc.iter_mut().rev() {
            *place = LETTERS[(rest % 62) as usize];
            rest /= 62;
        }
        let text = format!("{body}_{}", String::from_utf8_lossy(&crc));
        Ok(Self { id, text })
    }

    pub(in crate::cli) fn hash(&self) -> String {
        format!("sha256:{}", hex(&digest(&self.text)))
    }
}

/// Letters from the system's random source. Bytes that would favour some letters are left out.
fn random(length: usize) -> anyhow::Result<String> {
    let mut text = String::with_capacity(length);
    while text.len() < length {
        let mut bytes = [0; 64];
        getrandom::fill(&mut bytes).context("the system has no random numbers")?;
        let fair = bytes
            .iter()
            .filter(|it| **it < 248)
            .map(|it| char::from(LETTERS[usize::from(*it) % 62]));
        text.extend(fair.take(length - text.len()));
    }
    Ok(text)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_its_parts_and_no_two_are_alike() {
        let (a, b) = (NewKey::make().unwrap(), NewKey::make().unwrap());
        let parts: Vec<_> = a.text.split('_').collect();
        assert_eq!(parts.iter().map(|it| it.len()).collect::<Vec<_>>(), [2, 10, 32, 6]);
        assert_eq!(parts[1], a.id);
        assert!(parts[1..].iter().all(|it| it.bytes().all(|it| LETTERS.contains(&it))));
        assert_ne!(a.text, b.text);
    }
}
