//! Where to listen, and what must not be reachable from elsewhere by accident.

use std::{net::SocketAddr, path::PathBuf};

use super::super::{Address, Config, document::Document, problem::Problems, schema::OneOrMany};
use crate::access::{Role, origin::host_name};

pub(super) fn addresses(document: &Document, problems: &mut Problems<'_>) -> Vec<Address> {
    let single;
    let (texts, is_list): (&[String], bool) = match &document.file.listen_addr {
        // The Go original listened everywhere when the key was missing; nothing is open unasked.
        None => return vec![Address::Tcp(([127, 0, 0, 1], 8080).into())],
        Some(OneOrMany::One(text)) => {
            single = [text.clone()];
            (&single, false)
        }
        Some(OneOrMany::Many(texts)) => (texts, true),
    };
    if texts.is_empty() {
        problems.error(
            "missing_key",
            document.span("listen_addr"),
            "`listen_addr` names no address",
        );
    }
    let mut found = Vec::new();
    for (at, text) in texts.iter().enumerate() {
        let span = document.span(&if is_list {
            format!("listen_addr[{at}]")
        } else {
            "listen_addr".to_owned()
        });
        match address(text.trim()) {
            Some(it) if found.contains(&it) => {
                problems.error("duplicate", span, format!("the address `{text}` is given twice"));
            }
            Some(it) => found.push(it),
            None => {
                problems
                    .error("bad_address", span, format!("`{text}` is no address to listen on"))
                    .help("write `127.0.0.1:8080`, `[::]:8080` or `unix:/run/torod.sock`");
            }
        }
    }
    found
}

fn address(text: &str) -> Option<Address> {
    if let Some(path) = text.strip_prefix("unix:") {
        return path.starts_with('/').then(|| Address::Unix(PathBuf::from(path)));
    }
    let spelled = match text.rsplit_once(':')? {
        ("", port) => format!("[::]:{port}"), // as Go writes "everywhere"
        ("localhost", port) => format!("127.0.0.1:{port}"),
        _ => text.to_owned(),
    };
    spelled.parse::<SocketAddr>().ok().map(Address::Tcp)
}

/// What a public address must not come together with.
pub(super) fn guards(document: &Document, config: &Config, problems: &mut Problems<'_>) {
    for (at, host) in document.file.allowed_hosts.iter().enumerate() {
        if host_name(host.trim()) != Some(host.trim()) {
            problems
                .error(
                    "bad_host",
                    document.span(&format!("allowed_hosts[{at}]")),
                    format!("`{host}` is no host name"),
                )
                .help("write the name alone, without scheme and port");
        }
    }
    if !config.listen.iter().any(Address::is_public) {
        return;
    }
    for (on, path) in [
        (config.local_no_auth, "allow_localhost_no_auth"),
        (document.file.allow_host_docker_internal_no_auth, "allow_host_docker_internal_no_auth"),
    ] {
        if on {
            problems
                .error(
                    "open_to_all",
                    document.span(path),
                    format!("`{path}` does not go together with a public `listen_addr`"),
                )
                .help("listen on `127.0.0.1`, or turn it off");
        }
    }
    if !config.keys.iter().any(|it| it.role == Role::Admin) {
        problems
            .error(
                "no_admin",
                document.span("listen_addr"),
                "a public `listen_addr` needs a key with `role = \"admin\"`",
            )
            .help("`torod key new --role admin` makes one");
    }
}
