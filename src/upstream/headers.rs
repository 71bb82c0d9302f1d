//! What passes in each direction; the connection's own headers and credentials never do.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::{
    catalog::{Auth, Credential, Provider},
    llm::Protocol,
};

/// They belong to one connection.
fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "expect"
    )
}

/// The client's own: who it is, where it came from, and what it made of its body.
fn never_goes_up(name: &str) -> bool {
    let prefixes = ["x-forwarded", "cf-", "sec-", "x-torod-", "proxy-", "access-control-"];
    matches!(
        name,
        "host"
            | "authorization"
            | "x-api-key"
            | "api-key"
            | "x-goog-api-key"
            | "cookie"
            | "content-length"
            | "content-encoding"
            | "accept-encoding"
            | "forwarded"
            | "via"
            | "x-real-ip"
            | "true-client-ip"
            | "client-ip"
            | "origin"
            | "referer"
            | "x-request-id"
            | "x-client-ip"
            | "x-envoy-external-address"
    ) || is_hop_by_hop(name)
        || prefixes.iter().any(|it| name.starts_with(it))
}

/// The provider's own: its cookies, its server, its rules for browsers.
fn never_goes_down(name: &str) -> bool {
    let prefixes = ["cf-", "access-control-", "x-torod-", "content-security-policy"];
    matches!(
        name,
        "set-cookie"
            | "set-cookie2"
            | "server"
            | "alt-svc"
            | "via"
            | "strict-transport-security"
            | "nel"
            | "report-to"
            | "www-authenticate"
    ) || is_hop_by_hop(name)
        || prefixes.iter().any(|it| name.starts_with(it))
}

/// Where a provider's own request id goes; ours stands in `x-request-id`.
static PROVIDER_REQUEST_ID: HeaderName = HeaderName::from_static("x-provider-request-id");
static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
static ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");

/// Whether the sender's `Connection` header names it, which makes it the connection's own.
fn is_named_by_connection(name: &str, headers: &HeaderMap) -> bool {
    headers.get_all(header::CONNECTION).iter().any(|it| {
        it.to_str().is_ok_and(|it| it.split(',').any(|it| it.trim().eq_ignore_ascii_case(name)))
    })
}

/// The headers of a request to a provider.
pub fn upward(client: &HeaderMap, provider: &Provider, protocol: Protocol) -> HeaderMap {
    let mut out = HeaderMap::with_capacity(client.len() + 4);
    let lists = client.contains_key(header::CONNECTION);
    for (name, value) in client {
        if never_goes_up(name.as_str()) || lists && is_named_by_connection(name.as_str(), client) {
            continue;
        }
        out.append(name, value.clone());
    }
    out.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if protocol == Protocol::Messages && !out.contains_key(&ANTHROPIC_VERSION) {
        out.insert(&ANTHROPIC_VERSION, HeaderValue::from_static("2023-06-01"));
    }
    for (name, value) in &provider.headers {
        out.insert(name, value.clone());
    }
    authorize(&mut out, provider);
    out
}

/// Adds the credential, in the way that the provider wants it.
pub fn authorize(headers: &mut HeaderMap, provider: &Provider) {
    let Credential::Present(secret) = &provider.credential else { return };
    let (name, prefix) = match provider.preset.auth {
        Auth::Bearer => (header::AUTHORIZATION, "Bearer "),
        Auth::XApiKey => (HeaderName::from_static("x-api-key"), ""),
        Auth::XGoogApiKey => (HeaderName::from_static("x-goog-api-key"), ""),
        Auth::ApiKey => (HeaderName::from_static("api-key"), ""),
        Auth::None => return,
    };
    if let Ok(mut value) = HeaderValue::try_from(format!("{prefix}{}", secret.expose())) {
        value.set_sensitive(true);
        headers.insert(name, value);
    }
}

/// The headers of a reply, as the client may see them.
pub fn downward(reply: &HeaderMap, provider: &Provider) -> HeaderMap {
    let mut out = HeaderMap::with_capacity(reply.len() + 4);
    let lists = reply.contains_key(header::CONNECTION);
    for (name, value) in reply {
        let leaks =
            provider.secrets().any(|it| memchr::memmem::find(value.as_bytes(), it).is_some());
        if leaks
            || never_goes_down(name.as_str())
            || lists && is_named_by_connection(name.as_str(), reply)
        {
            continue;
        }
        let name = if *name == REQUEST_ID { &PROVIDER_REQUEST_ID } else { name };
        out.append(name, value.clone());
    }
    out
}
