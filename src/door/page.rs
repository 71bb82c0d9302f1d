//! What a page in a browser may ask of the admin API: only one that torod itself has served.

use http::{HeaderMap, header};

use super::Refusal;

/// Refuses what another site's page sends. Programs send neither header.
pub(super) fn check(headers: &HeaderMap) -> Result<(), Refusal> {
    let text = |name: &str| headers.get(name).map(|it| it.to_str().unwrap_or("\u{fffd}"));
    let foreign = || {
        let message = "this request comes from another site's page";
        Err(Refusal::new(403, "invalid_request_error", "foreign_origin", message))
    };
    if text("sec-fetch-site").is_some_and(|it| it.eq_ignore_ascii_case("cross-site")) {
        return foreign();
    }
    if headers.get_all(header::ORIGIN).iter().count() > 1 {
        return foreign();
    }
    match text("origin") {
        Some(origin) if !is_own(origin, text("host").unwrap_or_default()) => foreign(),
        _ => Ok(()),
    }
}

/// Whether an origin's host and port are those that the request went to.
fn is_own(origin: &str, host: &str) -> bool {
    let bare = |it: &str, port: &str| {
        let it = it.to_ascii_lowercase();
        it.strip_suffix(port).map_or(it.clone(), str::to_owned)
    };
    [("http://", ":80"), ("https://", ":443")].iter().any(|(scheme, port)| {
        let own = origin.to_ascii_lowercase();
        own.strip_prefix(scheme).is_some_and(|it| bare(it, port) == bare(host, port))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_own_when_its_host_and_port_are() {
        for (origin, host, wanted) in [
            ("http://127.0.0.1:8080", "127.0.0.1:8080", true),
            ("http://LOCALHOST:8080", "localhost:8080", true),
            ("https://torod.example", "torod.example", true),
            ("https://torod.example", "torod.example:443", true),
            ("http://torod.example:80", "torod.example", true),
            ("http://[::1]:8080", "[::1]:8080", true),
            ("http://localhost:3000", "localhost:8080", false),
            ("http://localhost", "localhost:8080", false),
            ("http://localhost:8080.evil.example", "localhost:8080", false),
            ("http://evil.example", "localhost:8080", false),
            ("https://torod.example", "torod.example:80", false),
            ("null", "localhost:8080", false),
            ("", "localhost:8080", false),
            ("http://", "", true),
            ("file://", "localhost", false),
            ("chrome-extension://x", "x", false),
        ] {
            assert_eq!(is_own(origin, host), wanted, "{origin} {host}");
        }
    }
}
