//! A provider's model list, in each of the shapes that providers have for it.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use serde_json::Value;

use super::{
    Upstream, UpstreamError,
    client::Pieces,
    error::{Kind, chain},
    headers,
    prices::{Prices, metadata},
    request,
};
use crate::{
    catalog::{Credential, ModelList, Provider, preset::ModelsShape},
    llm::{Protocol, echo},
};

const MAX_BYTES: usize = 16 * 1024 * 1024;
const LIMIT: Duration = Duration::from_secs(20);
const MAX_MODELS: usize = 20_000;

/// Why a list could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    #[error("{}", chain(.0))]
    Upstream(#[from] UpstreamError),
    #[error("the list answered {0}")]
    Status(StatusCode),
    #[error("a guard in front of the list takes torod for a robot")]
    Challenged,
    #[error("the list is not in a form that is known")]
    Shape,
    #[error("the list broke off")]
    Broke,
}

impl ListError {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Upstream(error) => error.kind(),
            Self::Status(status) => Kind::of_status(*status),
            Self::Challenged => Kind::Blocked,
            Self::Shape => Kind::Shape,
            Self::Broke => Kind::Connect,
        }
    }
}

/// Asks a provider which models it has.
pub async fn list(upstream: &Upstream, provider: &Provider) -> Result<ModelList, ListError> {
    list_priced(upstream, provider).await.map(|it| it.0)
}

/// The same, with the prices that the list says beside.
pub async fn list_priced(
    upstream: &Upstream,
    provider: &Provider,
) -> Result<(ModelList, Prices), ListError> {
    let fetched_at = jiff::Timestamp::now();
    if provider.is_echo() {
        let models = echo::MODELS.iter().map(ToString::to_string).collect();
        return Ok((ModelList { models, fetched_at }, Prices::new()));
    }
    if provider.credential == Credential::Unresolved {
        return Err(UpstreamError::NoCredential.into());
    }
    let url = request::models_url(provider).ok_or(ListError::Shape)?;
    let read = match get(upstream, provider, &url).await {
        // Older Ollamas have only their own list.
        Err(ListError::Status(StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED))
            if provider.preset.name == "ollama" =>
        {
            get(upstream, provider, &url.replace("/v1/models", "/api/tags")).await
        }
        other => other,
    };
    let read = read?;
    let mut models = parse(&read, provider.preset.models_shape).ok_or(ListError::Shape)?;
    models.truncate(MAX_MODELS);
    Ok((ModelList { models, fetched_at }, metadata::prices(&read)))
}

async fn get(upstream: &Upstream, provider: &Provider, url: &str) -> Result<Value, ListError> {
    let bytes = fetch(upstream, provider, url).await?;
    serde_json::from_slice(&bytes).map_err(|_| ListError::Shape)
}

/// What a provider answers there, to its own credential.
pub(super) async fn fetch(
    upstream: &Upstream,
    provider: &Provider,
    url: &str,
) -> Result<Bytes, ListError> {
    let protocol = provider.protocols.first().copied().unwrap_or(Protocol::Chat);
    let mut head = HeaderMap::new();
    head.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    let mut request = Request::new(Pieces::default());
    *request.method_mut() = Method::GET;
    *request.uri_mut() = url.parse().map_err(|_| ListError::Shape)?;
    *request.headers_mut() = headers::upward(&head, provider, protocol);
    let mut reply = upstream.send(request, LIMIT).await?;
    if reply.headers.get("cf-mitigated").is_some_and(|it| it == "challenge") {
        return Err(ListError::Challenged);
    }
    if !reply.status.is_success() {
        return Err(ListError::Status(reply.status));
    }
    let (bytes, whole) = reply.body.read(MAX_BYTES, LIMIT).await.map_err(|_| ListError::Broke)?;
    if whole { Ok(bytes) } else { Err(ListError::Shape) }
}

/// The ids of a list, each once, as the provider writes them but for the prefix `models/`.
fn parse(list: &Value, shape: ModelsShape) -> Option<Vec<String>> {
    let (rows, key) = match shape {
        ModelsShape::Gemini => (list["models"].as_array(), "name"),
        ModelsShape::Array => (list.as_array().or_else(|| list["data"].as_array()), "id"),
        ModelsShape::Openai => (list["data"].as_array().or_else(|| list.as_array()), "id"),
    };
    let (rows, key) = match rows {
        Some(rows) => (rows, key),
        None => (list["models"].as_array()?, "name"),
    };
    let mut seen = std::collections::HashSet::new();
    let ids = rows.iter().filter_map(|it| it[key].as_str().or_else(|| it["id"].as_str()));
    let ids = ids
        .map(|it| it.strip_prefix("models/").unwrap_or(it))
        .filter(|it| !it.is_empty() && it.len() <= 512 && !it.chars().any(char::is_control));
    Some(ids.filter(|it| seen.insert(it.to_string())).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_in_each_shape() {
        for (shape, text, wanted) in [
            (
                ModelsShape::Openai,
                r#"{"data":[{"id":"a"},{"id":"models/b"},{"id":"a"},{"x":1}]}"#,
                Some(vec!["a", "b"]),
            ),
            (ModelsShape::Array, r#"[{"id":"a/b"}]"#, Some(vec!["a/b"])),
            (ModelsShape::Gemini, r#"{"models":[{"name":"models/g"}]}"#, Some(vec!["g"])),
            (ModelsShape::Openai, r#"{"models":[{"name":"llama:8b"}]}"#, Some(vec!["llama:8b"])),
            (ModelsShape::Openai, r#"{"data":[]}"#, Some(vec![])),
            (ModelsShape::Openai, r#"{"error":{}}"#, None),
            (ModelsShape::Openai, r#""x""#, None),
        ] {
            let list = serde_json::from_str(text).unwrap();
            let wanted = wanted.map(|it| it.into_iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(parse(&list, shape), wanted, "{text}");
        }
    }
}
