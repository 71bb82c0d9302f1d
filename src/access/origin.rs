//! Callers that need no key, and hosts that may be named: what stands between a local daemon and a
//! web page that wants to use it.

use std::net::IpAddr;

/// What is known of where a request comes from. All but `peer` is said by the request itself.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The socket's peer; none for a Unix socket.
    pub peer: Option<IpAddr>,
    /// The name in the `Host` header, without port.
    pub host: &'a str,
    pub origin: Option<&'a str>,
    /// A header is present that only a proxy sends.
    pub forwarded: bool,
    /// The browser's own word that another site made this request.
    pub cross_site: bool,
}

impl Source<'_> {
    /// Whether this is a program on this machine, and neither a proxy nor a page in a browser.
    pub fn is_local(&self, docker_host: Option<IpAddr>) -> bool {
        let Some(peer) = self.peer else { return false };
        let near = peer.to_canonical().is_loopback()
            || docker_host.is_some_and(|it| it.to_canonical() == peer.to_canonical());
        let from_page = self.origin.is_some_and(|it| {
            it.split_once("://")
                .and_then(|it| host_name(it.1))
                .is_none_or(|it| !is_loopback_name(it))
        });
        near && !self.forwarded && !self.cross_site && !from_page && is_loopback_name(self.host)
            || near
                && docker_host.is_some()
                && self.host == "host.docker.internal"
                && !self.forwarded
                && !self.cross_site
                && self.origin.is_none()
    }
}

/// The name in a `Host` value: `reg-name`, IPv4 or `[v6]`, then `:port`. None when it is anything
/// else, so that no URL is ever built from `localhost:80/#@elsewhere`.
pub fn host_name(host: &str) -> Option<&str> {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => {
            let end = rest.find(']')?;
            rest[..end].parse::<std::net::Ipv6Addr>().ok()?;
            (&rest[..end], &rest[end + 1..])
        }
        None => host.split_at(host.find(':').unwrap_or(host.len())),
    };
    let fits = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'.' | b'-' | b'_' | b':');
    let port_fits = match port.strip_prefix(':') {
        Some(digits) => {
            digits.is_empty()
                || digits.bytes().all(|it| it.is_ascii_digit()) && digits.parse::<u16>().is_ok()
        }
        None => port.is_empty(),
    };
    (!name.is_empty() && name.len() <= 253 && name.bytes().all(fits) && port_fits).then_some(name)
}

/// `localhost`, a name below it, or a loopback address.
pub fn is_loopback_name(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<IpAddr>().is_ok_and(|it| it.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_and_a_port_and_nothing_else() {
        for (host, wanted) in [
            ("localhost", Some("localhost")),
            ("localhost:8080", Some("localhost")),
            ("127.0.0.1:1", Some("127.0.0.1")),
            ("[::1]:8080", Some("::1")),
            ("api_1.example.com:443", Some("api_1.example.com")),
            ("", None),
            (":80", None),
            ("[::1", None),
            ("[zz]", None),
            ("[::1]x", None),
            ("a:b", None),
            ("a:99999", None),
            ("a b", None),
            ("localhost:4000/#@evil", None),
            ("user@host", None),
            ("host/path", None),
            ("hé", None),
            ("a,b", None),
        ] {
            assert_eq!(host_name(host), wanted, "{host}");
        }
    }

    #[test]
    fn only_a_program_on_this_machine_needs_no_key() {
        let near = Source {
            peer: Some([127, 0, 0, 1].into()),
            host: "localhost",
            origin: None,
            forwarded: false,
            cross_site: false,
        };
        let mapped: IpAddr = "::ffff:127.0.0.1".parse().unwrap();
        let docker: IpAddr = [172, 17, 0, 1].into();
        for (source, wanted) in [
            (near, true),
            (Source { peer: Some(mapped), host: "::1", ..near }, true),
            (Source { origin: Some("http://localhost:3000"), ..near }, true),
            (Source { peer: None, ..near }, false),
            (Source { peer: Some([10, 0, 0, 1].into()), ..near }, false),
            (Source { host: "evil.example", ..near }, false),
            (Source { host: "127.0.0.1.evil.example", ..near }, false),
            (Source { origin: Some("http://evil.example"), ..near }, false),
            (Source { origin: Some("null"), ..near }, false),
            (Source { origin: Some("http://localhost.evil.example"), ..near }, false),
            (Source { forwarded: true, ..near }, false),
            (Source { cross_site: true, ..near }, false),
            (Source { peer: Some(docker), ..near }, false),
        ] {
            assert_eq!(source.is_local(None), wanted, "{source:?}");
        }
        let from_docker = Source { peer: Some(docker), host: "host.docker.internal", ..near };
        assert!(from_docker.is_local(Some(docker)) && !from_docker.is_local(None));
        assert!(!Source { peer: Some([9, 9, 9, 9].into()), ..from_docker }.is_local(Some(docker)));
    }
}
