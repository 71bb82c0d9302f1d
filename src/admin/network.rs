//! Where torod listens, and with which certificate.

use std::{net::IpAddr, time::Duration};

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::{
    answer::{Ask, ok, reply},
    disk,
    settings::{edits, not_toml, present},
    write::{self, To},
};
use crate::{
    api::{Network, NetworkChange, TlsChange, TlsSettings},
    app::App,
    config::edit::{self, Edit},
    door::{Answer, Refusal},
};

/// Sockets follow the config within a moment; then the answer tells what became of them.
const SETTLED: Duration = Duration::from_secs(2);

pub(super) async fn network(ask: Ask) -> Answer {
    let now = disk::read(&ask.app).await?;
    ok(&shown(&ask.app, &now.text)?, &now.revision.to_string())
}

fn shown(app: &App, text: &str) -> Result<Network, Refusal> {
    let value = |path: &str| edit::value(text, path).map_err(|_| not_toml());
    let listen_addr = value("listen_addr")?.unwrap_or_else(|| "127.0.0.1:8080".into());
    let first = match &listen_addr {
        Value::Array(list) => list.first().and_then(Value::as_str),
        other => other.as_str(),
    };
    let (bind_mode, custom_bind, port) = parts(first.unwrap_or_default());
    let http_mode = value("http_mode")?.unwrap_or_else(|| "enabled".into());
    Ok(Network {
        bind_mode,
        custom_bind,
        port,
        http_mode: http_mode.as_str().unwrap_or_default().to_owned(),
        active: app.listeners().open.iter().map(ToString::to_string).collect(),
        local_addrs: local_addresses(),
        pending: None,
        listen_addr,
    })
}

/// How a form shows an address: which kind, which one, which port.
fn parts(address: &str) -> (String, String, u16) {
    let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let ip = host.parse::<IpAddr>().ok();
    let mode = match ip {
        _ if host.is_empty() => "all",
        Some(it) if it.is_unspecified() => "all",
        Some(it) if it.to_canonical() == IpAddr::from([127, 0, 0, 1]) => "localhost",
        None if host == "localhost" => "localhost",
        _ => "custom",
    };
    let custom = if mode == "custom" { host } else { "" };
    (mode.to_owned(), custom.to_owned(), port.parse().unwrap_or_default())
}

/// An address as the file has it.
fn address(mode: &str, custom: &str, port: u16) -> Result<String, Refusal> {
    let bad = |param: &'static str, message: String| {
        Err(Refusal::bad_request("invalid_value", message).param(param))
    };
    if port == 0 {
        return bad("port", "`port` must be from 1 to 65535".to_owned());
    }
    match mode {
        "localhost" => Ok(format!("127.0.0.1:{port}")),
        "all" => Ok(format!("[::]:{port}")),
        "custom" => match custom.trim().trim_start_matches('[').trim_end_matches(']').parse() {
            Ok(IpAddr::V4(it)) => Ok(format!("{it}:{port}")),
            Ok(IpAddr::V6(it)) => Ok(format!("[{it}]:{port}")),
            Err(_) => bad("custom_bind", "`custom_bind` must be an IP address".to_owned()),
        },
        _ => bad("bind_mode", "`bind_mode` must be `localhost`, `all` or `custom`".to_owned()),
    }
}

/// An address out of a form that says only some of its parts; none when it says none.
fn merged(
    (mode, custom, port): (Option<String>, Option<String>, Option<u16>),
    now: &str,
) -> Result<Option<String>, Refusal> {
    if mode.is_none() && custom.is_none() && port.is_none() {
        return Ok(None);
    }
    let (old_mode, old_custom, old_port) = parts(now);
    let mode = mode.unwrap_or(if custom.is_some() { "custom".to_owned() } else { old_mode });
    address(&mode, &custom.unwrap_or(old_custom), port.unwrap_or(old_port)).map(Some)
}

pub(super) async fn put_network(ask: Ask) -> Answer {
    let form: NetworkChange = ask.json()?;
    let write = write::edit(&ask, To::File, |text| {
        let now = shown(&ask.app, text)?;
        let parts = (form.bind_mode.clone(), form.custom_bind.clone(), form.port);
        let now = now.listen_addr.as_str().or_else(|| now.listen_addr[0].as_str());
        let merged = merged(parts, now.unwrap_or_default())?.map(Value::from);
        if merged.is_some() && form.listen_addr.is_some() {
            let message = "send `listen_addr`, or `bind_mode`, `custom_bind` and `port`";
            return Err(Refusal::bad_request("invalid_value", message));
        }
        let mut values = Map::new();
        values.extend(form.listen_addr.clone().or(merged).map(|it| ("listen_addr".to_owned(), it)));
        values.extend(form.http_mode.clone().map(|it| ("http_mode".to_owned(), it.into())));
        Ok(edits("", values))
    })
    .await?;
    settle(&ask.app).await;
    let mut told = serde_json::to_value(shown(&ask.app, &write.edited.text)?).unwrap_or_default();
    let mut written = write.told(&ask.app);
    let failed = ask.app.listeners().problems;
    written.problems.extend(failed.iter().map(|it| disk::told(it, None)));
    if let (Some(told), Ok(Value::Object(written))) =
        (told.as_object_mut(), serde_json::to_value(written))
    {
        told.extend(written);
    }
    reply(StatusCode::OK, &told, &write.tag(To::File))
}

/// Waits until the open sockets are those of the config, or one of them is said to have failed.
async fn settle(app: &App) {
    let end = tokio::time::Instant::now() + SETTLED;
    let is_settled = || app.listeners().wanted == app.live.snapshot().config.listen;
    while !is_settled() && tokio::time::Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Addresses of this machine that others may reach.
fn local_addresses() -> Vec<String> {
    let all = if_addrs::get_if_addrs().unwrap_or_default();
    let mut found: Vec<String> = all
        .into_iter()
        .filter(|it| !it.is_loopback() && !it.is_link_local())
        .map(|it| it.ip().to_string())
        .collect();
    found.sort();
    found.dedup();
    found
}

pub(super) async fn tls(ask: Ask) -> Answer {
    let now = disk::read(&ask.app).await?;
    ok(&tls_of(&now.text)?, &now.revision.to_string())
}

fn tls_of(text: &str) -> Result<TlsSettings, Refusal> {
    let value = |name: &str| edit::value(text, &format!("tls.{name}")).map_err(|_| not_toml());
    let word = |name: &str, default: &str| -> Result<String, Refusal> {
        Ok(value(name)?.and_then(|it| it.as_str().map(str::to_owned)).unwrap_or(default.to_owned()))
    };
    let listen_addr = word("listen_addr", ":443")?;
    let (bind_mode, custom_bind, port) = parts(&listen_addr);
    let domains = value("domains")?.and_then(|it| serde_json::from_value(it).ok());
    Ok(TlsSettings {
        enabled: value("enabled")? == Some(Value::Bool(true)),
        mode: word("mode", "letsencrypt")?,
        domain: word("domain", "")?,
        domains: domains.unwrap_or_default(),
        email: word("email", "")?,
        cache_dir: word("cache_dir", "")?,
        cert_configured: !word("cert_pem", "")?.is_empty(),
        key_configured: !word("key_pem", "")?.is_empty(),
        listen_addr,
        bind_mode,
        custom_bind,
        port,
    })
}

pub(super) async fn put_tls(ask: Ask) -> Answer {
    let form: TlsChange = ask.json()?;
    let write =
        write::edit(&ask, To::File, |text| Ok(present(text, tls_edits(&form, &tls_of(text)?)?)))
            .await?;
    let mut told = serde_json::to_value(tls_of(&write.edited.text)?).unwrap_or_default();
    if let (Some(told), Ok(Value::Object(written))) =
        (told.as_object_mut(), serde_json::to_value(write.told(&ask.app)))
    {
        told.extend(written);
    }
    reply(StatusCode::OK, &told, &write.tag(To::File))
}

fn tls_edits(form: &TlsChange, now: &TlsSettings) -> Result<Vec<Edit>, Refusal> {
    let mut values = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        values.extend(value.map(|it| (name.to_owned(), it)));
    };
    // An empty text takes the key out.
    let text = |it: &Option<String>| {
        it.as_ref().map(|it| if it.trim().is_empty() { Value::Null } else { json!(it.trim()) })
    };
    let parts = (form.bind_mode.clone(), form.custom_bind.clone(), form.port);
    let merged = merged(parts, &now.listen_addr)?;
    set("enabled", form.enabled.map(Value::from));
    set("mode", text(&form.mode));
    set("listen_addr", text(&form.listen_addr.clone().or(merged)));
    set("domain", text(&form.domain));
    set(
        "domains",
        form.domains.clone().map(|it| if it.is_empty() { Value::Null } else { json!(it) }),
    );
    set("email", text(&form.email));
    set("cache_dir", text(&form.cache_dir));
    // What is stored stays when a form sends nothing new.
    set("cert_pem", text(&form.cert_pem).filter(|it| !it.is_null()));
    let key = form.key_pem.as_ref().map(|it| it.expose().trim().to_owned());
    set("key_pem", text(&key).filter(|it| !it.is_null()));
    if crate::config::mask::holds_mask(&Value::from(values.clone()).to_string()) {
        return Err(super::text::masked());
    }
    Ok(edits("tls", values))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_parts_and_is_made_of_them() {
        for (text, mode, custom, port, again) in [
            ("127.0.0.1:8080", "localhost", "", 8080, "127.0.0.1:8080"),
            ("localhost:1", "localhost", "", 1, "127.0.0.1:1"),
            (":443", "all", "", 443, "[::]:443"),
            ("0.0.0.0:80", "all", "", 80, "[::]:80"),
            ("[::]:80", "all", "", 80, "[::]:80"),
            ("10.0.0.5:80", "custom", "10.0.0.5", 80, "10.0.0.5:80"),
            ("[::1]:80", "custom", "::1", 80, "[::1]:80"),
        ] {
            assert_eq!(parts(text), (mode.to_owned(), custom.to_owned(), port), "{text}");
            assert_eq!(address(mode, custom, port).unwrap(), again, "{text}");
        }
        for (mode, custom, port) in [("", "", 1), ("custom", "x", 1), ("all", "", 0)] {
            assert!(address(mode, custom, port).is_err(), "{mode} {custom} {port}");
        }
    }
}
