//! A target and the client's request as the request to the provider: the URL and the head.

use http::{HeaderMap, Method, Request, Uri};
use url::Url;

use super::{UpstreamError, client::Pieces, headers};
use crate::{
    catalog::{Credential, Provider},
    llm::Protocol,
};

/// What of the client's request the provider's is made of.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    pub method: &'a Method,
    /// Below the version: `/chat/completions`; for Gemini the whole path, version first.
    pub path: &'a str,
    pub query: Option<&'a str>,
    pub headers: &'a HeaderMap,
    pub protocol: Protocol,
}

/// The request to a provider.
pub fn build(
    provider: &Provider,
    outgoing: Outgoing<'_>,
    body: Pieces,
) -> Result<Request<Pieces>, UpstreamError> {
    if provider.credential == Credential::Unresolved {
        return Err(UpstreamError::NoCredential);
    }
    let base =
        provider.base_url.as_ref().ok_or_else(|| UpstreamError::Request("no base URL".into()))?;
    let text = join(base, provider, outgoing.protocol, outgoing.path, outgoing.query);
    let uri: Uri = text.parse().map_err(|it| UpstreamError::Request(Box::new(it)))?;
    let mut request = Request::new(body);
    *request.method_mut() = outgoing.method.clone();
    *request.uri_mut() = uri;
    *request.headers_mut() = headers::upward(outgoing.headers, provider, outgoing.protocol);
    Ok(request)
}

/// The URL of a path below a provider's base. The client's query is kept, but for a key in it.
fn join(
    base: &Url,
    provider: &Provider,
    protocol: Protocol,
    path: &str,
    query: Option<&str>,
) -> String {
    let root = base.path().trim_end_matches('/');
    let last = root.rsplit('/').next().unwrap_or_default();
    let mut out = String::with_capacity(base.as_str().len() + path.len() + 32);
    out.push_str(&base[..url::Position::BeforePath]);
    out.push_str(root);
    match protocol {
        Protocol::Gemini if is_version(last) => {
            // The base names the version, so the client's is dropped.
            out.push_str(path[1..].find('/').map_or("", |it| &path[it + 1..]));
        }
        Protocol::Gemini => out.push_str(path),
        Protocol::Messages if !is_version(last) => {
            out.push_str("/v1");
            out.push_str(path);
        }
        // A bare host means its `/v1`, unless it is a preset's own base.
        _ if root.is_empty() && !is_presets_own(base, provider) => {
            out.push_str("/v1");
            out.push_str(path);
        }
        _ => out.push_str(path),
    }
    let kept = query.into_iter().flat_map(|it| it.split('&'));
    let kept = kept.filter(|it| !it.is_empty() && !it.starts_with("key=") && *it != "key");
    let all = base.query().into_iter().chain(kept);
    for (at, pair) in all.enumerate() {
        out.push(if at == 0 { '?' } else { '&' });
        out.push_str(pair);
    }
    out
}

/// `v1`, `v1beta`, `v4`.
fn is_version(segment: &str) -> bool {
    segment.strip_prefix('v').is_some_and(|it| it.starts_with(|it: char| it.is_ascii_digit()))
}

fn is_presets_own(base: &Url, provider: &Provider) -> bool {
    provider
        .preset
        .base_url
        .as_deref()
        .and_then(|it| Url::parse(it).ok())
        .is_some_and(|it| it == *base)
}

/// Everything that could mean something in a path.
const ESCAPED: percent_encoding::AsciiSet = percent_encoding::NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'@');

/// A model's id as one segment of a path.
pub fn escaped(model: &str) -> percent_encoding::PercentEncode<'_> {
    percent_encoding::utf8_percent_encode(model, &ESCAPED)
}

/// Where a provider's model list is.
pub fn models_url(provider: &Provider) -> Option<String> {
    if let Some(url) = &provider.model_list_url {
        return Some(url.to_string());
    }
    let base = provider.base_url.as_ref()?;
    let protocol = provider.protocols.first().copied().unwrap_or(Protocol::Chat);
    let path = if protocol == Protocol::Gemini { "/v1beta/models" } else { "/models" };
    Some(join(base, provider, protocol, path, None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Preset, preset};

    fn provider(preset: &'static Preset, base: &str) -> Provider {
        Provider::found("p", preset, Url::parse(base).unwrap())
    }

    fn joined(
        preset: &str,
        base: &str,
        protocol: Protocol,
        path: &str,
        query: Option<&str>,
    ) -> String {
        let provider = provider(preset::preset(preset).unwrap(), base);
        join(provider.base_url.as_ref().unwrap(), &provider, protocol, path, query)
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn a_path_stands_right_behind_any_base() {
        use Protocol::{Chat, Gemini, Messages};
        let chat = "/chat/completions";
        let gemini = "/v1beta/models/m:generateContent";
        for (preset, base, protocol, path, query, wanted) in [
            (
                "openai-compatible",
                "http://h:8000",
                Chat,
                chat,
                None,
                "http://h:8000/v1/chat/completions",
            ),
            (
                "openai-compatible",
                "http://h:8000/v1",
                Chat,
                chat,
                None,
                "http://h:8000/v1/chat/completions",
            ),
            (
                "openai-compatible",
                "http://h:8000/v1/",
                Chat,
                chat,
                None,
                "http://h:8000/v1/chat/completions",
            ),
            (
                "openai-compatible",
                "http://h/x/openai",
                Chat,
                chat,
                None,
                "http://h/x/openai/chat/completions",
            ),
            (
                "openai-compatible",
                "http://[::1]:1/v1?a=b",
                Chat,
                chat,
                Some("c=d"),
                "http://[::1]:1/v1/chat/completions?a=b&c=d",
            ),
            (
                "github-copilot",
                "https://api.githubcopilot.com",
                Chat,
                chat,
                None,
                "https://api.githubcopilot.com/chat/completions",
            ),
            (
                "google-gemini",
                "https://g/v1beta/openai",
                Chat,
                chat,
                None,
                "https://g/v1beta/openai/chat/completions",
            ),
            (
                "zai",
                "https://api.z.ai/api/paas/v4",
                Chat,
                chat,
                None,
                "https://api.z.ai/api/paas/v4/chat/completions",
            ),
            (
                "anthropic",
                "https://a/v1",
                Messages,
                "/messages",
                Some("beta=true"),
                "https://a/v1/messages?beta=true",
            ),
            ("anthropic", "https://a", Messages, "/messages", None, "https://a/v1/messages"),
            (
                "anthropic",
                "https://a/anthropic",
                Messages,
                "/messages",
                None,
                "https://a/anthropic/v1/messages",
            ),
            (
                "gemini",
                "https://g",
                Gemini,
                gemini,
                Some("alt=sse&key=secret"),
                "https://g/v1beta/models/m:generateContent?alt=sse",
            ),
            (
                "gemini",
                "https://g/v1",
                Gemini,
                gemini,
                None,
                "https://g/v1/models/m:generateContent",
            ),
        ] {
            assert_eq!(joined(preset, base, protocol, path, query), wanted);
        }
    }

    #[test]
    fn every_preset_is_joined_below_its_base() {
        for preset in preset::presets() {
            let Some(base) = &preset.base_url else { continue };
            let provider = provider(preset, base);
            for protocol in &preset.protocols {
                let path = match protocol {
                    Protocol::Gemini => "/v1beta/models/m:generateContent",
                    Protocol::Messages => "/messages",
                    Protocol::Responses => "/responses",
                    Protocol::Chat => "/chat/completions",
                };
                let url =
                    join(provider.base_url.as_ref().unwrap(), &provider, *protocol, path, None);
                assert_eq!(url, format!("{base}{path}"), "{}", preset.name);
                assert_eq!(url.matches("/v1/v1").count(), 0);
            }
        }
    }
}
