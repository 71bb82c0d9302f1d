//! What a client says of itself: its user agent, and the tags that it wants its entry to carry.

use http::{HeaderMap, header};

const MAX_AGENT: usize = 200;
const MAX_TAGS: usize = 8;
const MAX_TAG: usize = 64;

#[derive(Debug)]
pub(super) struct Client {
    pub(super) agent: Option<Box<str>>,
    pub(super) kind: &'static str,
    pub(super) tags: Vec<Box<str>>,
}

impl Client {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let agent = headers.get(header::USER_AGENT).and_then(|it| it.to_str().ok());
        // One header of several, or several headers.
        let tags = headers.get_all("x-torod-tag").iter().filter_map(|it| it.to_str().ok());
        let tags = tags.flat_map(|it| it.split(',')).map(str::trim).filter(|it| !it.is_empty());
        Self {
            agent: agent.map(|it| it[..it.floor_char_boundary(MAX_AGENT)].into()),
            kind: kind(agent),
            tags: tags
                .take(MAX_TAGS)
                .map(|it| it[..it.floor_char_boundary(MAX_TAG)].into())
                .collect(),
        }
    }
}

/// Parts of a user agent in lower case, and what sends them; the first that fits.
const KINDS: [(&str, &str); 25] = [
    ("claude-cli", "claude-code"),
    ("claude-code", "claude-code"),
    ("codex", "codex"),
    ("opencode", "opencode"),
    ("openai/python", "openai-python"),
    ("openai-python", "openai-python"),
    ("openai/js", "openai-node"),
    ("openai/node", "openai-node"),
    ("openai-node", "openai-node"),
    ("openai/go", "openai-go"),
    ("openai-go", "openai-go"),
    ("anthropic/python", "anthropic-python"),
    ("anthropic/js", "anthropic-node"),
    ("google-genai-sdk", "google-genai"),
    ("curl/", "curl"),
    ("python", "python"),
    ("aiohttp", "python"),
    ("httpx", "python"),
    ("node", "nodejs"),
    ("undici", "nodejs"),
    ("axios/", "nodejs"),
    ("bun/", "nodejs"),
    ("deno/", "nodejs"),
    ("go-http-client", "go-http-client"),
    ("mozilla/", "browser"),
];

fn kind(agent: Option<&str>) -> &'static str {
    let Some(agent) = agent.filter(|it| !it.trim().is_empty()) else { return "unknown" };
    let agent = agent[..agent.floor_char_boundary(MAX_AGENT)].to_ascii_lowercase();
    KINDS.iter().find(|it| agent.contains(it.0)).map_or("other", |it| it.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_agent_tells_the_client() {
        for (agent, wanted) in [
            (Some("OpenAI/Python 1.99.1"), "openai-python"),
            (Some("AsyncOpenAI/Python 1.99.1"), "openai-python"),
            (Some("OpenAI/JS 5.12.0"), "openai-node"),
            (Some("OpenAI/Go 2.1.0"), "openai-go"),
            (Some("Anthropic/Python 0.64"), "anthropic-python"),
            (Some("claude-cli/1.0.80 (external, cli)"), "claude-code"),
            (Some("codex_cli_rs/0.20.0"), "codex"),
            (Some("curl/8.5.0"), "curl"),
            (Some("python-requests/2.32"), "python"),
            (Some("Python/3.12 aiohttp/3.10"), "python"),
            (Some("node"), "nodejs"),
            (Some("Go-http-client/1.1"), "go-http-client"),
            (Some("Mozilla/5.0 (X11; Linux x86_64) Firefox/142.0"), "browser"),
            (Some("Wget/1.2"), "other"),
            (Some("  "), "unknown"),
            (None, "unknown"),
        ] {
            assert_eq!(kind(agent), wanted, "{agent:?}");
        }
    }

    #[test]
    fn tags_are_few_and_short() {
        let mut headers = HeaderMap::new();
        let long = "x".repeat(100);
        headers.append("x-torod-tag", "team-a, ,job=7".parse().unwrap());
        headers.append("x-torod-tag", format!("{long},3,4,5,6,7,8,9,10").parse().unwrap());
        let tags = Client::of(&headers).tags;
        assert_eq!(tags.len(), 8);
        assert_eq!((&*tags[0], &*tags[1], tags[2].len()), ("team-a", "job=7", MAX_TAG));
    }
}
