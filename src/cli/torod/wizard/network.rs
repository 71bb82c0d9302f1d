//! Where torod listens, and by which protocol.

use cliclack::log;
use serde_json::Value;

use super::{ask, session::Session};
use crate::config::{
    Resolved,
    edit::{self, Edit, apply},
};

/// Where to listen; asked until the address fits.
pub(super) fn listen(session: &mut Session) -> anyhow::Result<()> {
    const HERE: &str = "127.0.0.1:8080";
    const EVERYWHERE: &str = "[::]:8080";
    let now = listens_on(session);
    let other = "Another address";
    let mut items = vec![
        (HERE, HERE, "only programs on this machine"),
        (EVERYWHERE, EVERYWHERE, "all of the network; every caller needs a key"),
        ("", other, "a port, an address, or `unix:/path`"),
    ];
    if ![HERE, EVERYWHERE].contains(&now.as_str()) {
        items.insert(0, (&now, &now, "as it is"));
    }
    loop {
        let mut address = ask::choose("Where should torod listen?", &items)?.to_owned();
        if address.is_empty() {
            address = ask::text("The address, such as `192.168.1.5:8080`", None, |_| Ok(()))?;
        }
        if address == now {
            return Ok(());
        }
        let edit = Edit::Set { path: "listen_addr".to_owned(), value: address.into() };
        if session.take(vec![edit])? {
            return Ok(());
        }
    }
}

fn listens_on(session: &Session) -> String {
    match edit::value(&session.pending.text, "listen_addr") {
        Ok(Some(Value::String(text))) => text,
        Ok(Some(list)) => list.to_string(),
        _ => "127.0.0.1:8080".to_owned(),
    }
}

/// HTTPS by Let's Encrypt, or plain HTTP.
pub(super) fn https(session: &mut Session) -> anyhow::Result<()> {
    let plain = "a proxy may put HTTPS in front";
    let items = [
        (false, "Plain HTTP", plain),
        (true, "HTTPS by Let's Encrypt", "needs a name that leads to this machine"),
    ];
    let wants = ask::choose("How should it be served?", &items)?;
    let set = |path: &str, value: Value| Edit::Set { path: path.to_owned(), value };
    if !wants {
        let is_on = edit::value(&session.pending.text, "tls.enabled") == Ok(Some(true.into()));
        if is_on {
            session.take(vec![set("tls.enabled", false.into())])?;
        }
        return Ok(());
    }
    let edits = |domain: String, email: Option<String>| {
        let mut edits = vec![
            set("tls.enabled", true.into()),
            set("tls.mode", "letsencrypt".into()),
            set("tls.domain", domain.into()),
        ];
        edits.extend(email.map(|it| set("tls.email", it.into())));
        edits
    };
    if !is_built(session, &edits("example.com".to_owned(), None)) {
        log::warning(
            "This torod cannot do HTTPS by itself yet, so nothing of it is written.\nPlain HTTP it is; for other machines, put a proxy with HTTPS in front.",
        )?;
        return Ok(());
    }
    let domain = ask::text("The name, such as `llm.example.com`", None, |_| Ok(()))?;
    let email = ask::optional("An email address for Let's Encrypt", "may stay empty", |_| Ok(()))?;
    session.take(edits(domain, email))?;
    Ok(())
}

/// Whether a text with these would load, as far as what torod can do is concerned.
fn is_built(session: &Session, edits: &[Edit]) -> bool {
    let Ok(text) = apply(&session.pending.text, edits) else { return false };
    let Resolved { config, problems, .. } = session.file.resolve(&text);
    config.is_some() || problems.iter().all(|it| it.code != "not_active")
}

/// The switches of who needs no key and what is found by itself.
pub(super) fn switches(session: &mut Session) -> anyhow::Result<()> {
    loop {
        let config = &session.pending.config;
        let state = |on: bool| if on { "on" } else { "off" };
        let items = [
            (
                "allow_localhost_no_auth",
                "Programs on this machine need no key",
                state(config.local_no_auth),
            ),
            (
                "auto_detect_local_servers",
                "Model servers on this machine are used by themselves",
                state(config.detect_local),
            ),
            (
                "auto_enable_public_free_models",
                "Providers that need no key are used by themselves",
                state(config.enable_public_free),
            ),
        ];
        let rows = items
            .map(|(path, label, state)| (path, format!("{label}: {state}"), "Enter switches it"));
        let rows: Vec<_> = rows.into_iter().chain([("", "Back".to_owned(), "")]).collect();
        let path = ask::choose("Switches", &rows)?;
        let Some(item) = items.iter().find(|it| it.0 == path) else { return Ok(()) };
        let value = (item.2 == "off").into();
        session.take(vec![Edit::Set { path: path.to_owned(), value }])?;
    }
}
