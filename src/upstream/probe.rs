//! Tries a provider before anybody relies on it, and says in words what is wrong. What a provider
//! answers is never repeated: only its status is.

use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::json;

use super::{
    Upstream, UpstreamError,
    client::Pieces,
    error::Kind,
    models::{self, ListError},
    request::{self, Outgoing},
};
use crate::{catalog::Provider, llm::Protocol};

/// A model may have to be loaded first, but nobody waits longer for a test.
const LIMIT: Duration = Duration::from_secs(30);

/// What a provider has, and how long it took to say so.
#[derive(Debug)]
pub struct Probed {
    pub models: Vec<String>,
    pub response: Duration,
    /// The model that answered a chat, when one was asked.
    pub chatted: Option<String>,
}

/// What stands in the way, for a person who can do something about it.
#[derive(Debug)]
pub struct Trouble {
    pub kind: Kind,
    pub words: String,
}

/// Lists the models; with `chat`, also asks one of them for a single token: that one, or the first
/// when it is empty.
pub async fn probe(
    upstream: &Upstream,
    provider: &Provider,
    chat: Option<&str>,
) -> Result<Probed, Trouble> {
    let began = Instant::now();
    let list = match models::list(upstream, provider).await {
        Ok(list) => list.models,
        // Some servers have no list; a chat with a named model says more.
        Err(ListError::Status(StatusCode::NOT_FOUND)) if chat.is_some_and(|it| !it.is_empty()) => {
            Vec::new()
        }
        Err(error) => return Err(trouble(&error)),
    };
    let response = began.elapsed();
    let Some(chat) = chat.filter(|_| !provider.is_echo()) else {
        return Ok(Probed { models: list, response, chatted: None });
    };
    let model = if chat.is_empty() { list.first().map_or("", String::as_str) } else { chat };
    if model.is_empty() {
        let words = "the provider lists no model to chat with; name one".to_owned();
        return Err(Trouble { kind: Kind::Shape, words });
    }
    let model = model.to_owned();
    say_a_word(upstream, provider, &model).await?;
    Ok(Probed { models: list, response, chatted: Some(model) })
}

/// The shortest exchange that a protocol has.
async fn say_a_word(upstream: &Upstream, provider: &Provider, model: &str) -> Result<(), Trouble> {
    let protocol = provider.protocols.first().copied().unwrap_or(Protocol::Chat);
    let message = json!([{ "role": "user", "content": "hi" }]);
    let (path, body) = match protocol {
        Protocol::Chat => (
            "/chat/completions".to_owned(),
            json!({ "model": model, "messages": message, "max_tokens": 1 }),
        ),
        // The least that the API takes.
        Protocol::Responses => (
            "/responses".to_owned(),
            json!({ "model": model, "input": "hi", "max_output_tokens": 16, "store": false }),
        ),
        Protocol::Messages => (
            "/messages".to_owned(),
            json!({ "model": model, "messages": message, "max_tokens": 1 }),
        ),
        Protocol::Gemini => (
            format!("/v1beta/models/{}:generateContent", request::escaped(model)),
            json!({
                "contents": [{ "role": "user", "parts": [{ "text": "hi" }] }],
                "generationConfig": { "maxOutputTokens": 1 },
            }),
        ),
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    let method = Method::POST;
    let outgoing =
        Outgoing { method: &method, path: &path, query: None, headers: &headers, protocol };
    let body = Pieces::new(vec![body.to_string().into()]);
    let asked = async {
        let reply = upstream.send(request::build(provider, outgoing, body)?, LIMIT).await?;
        if reply.status.is_success() { Ok(()) } else { Err(ListError::Status(reply.status)) }
    };
    asked.await.map_err(|error: ListError| {
        let it = trouble(&error);
        Trouble {
            words: format!("the models are listed, but a chat with `{model}` fails: {}", it.words),
            ..it
        }
    })
}

/// What a failure means, in words.
pub fn trouble(error: &ListError) -> Trouble {
    let kind = error.kind();
    let words = match (error, kind) {
        (ListError::Status(status), _) => answered(*status),
        (_, Kind::Dns) => "the host's name has no address; check `base_url`".to_owned(),
        (ListError::Upstream(it), Kind::Tls) => it.tls().map_or("", handshake).to_owned(),
        (ListError::Upstream(UpstreamError::NoCredential), _) => {
            "the credential refers to a variable or a file that cannot be read".to_owned()
        }
        (ListError::Upstream(UpstreamError::Refused(refused)), _) => refused.to_string(),
        (ListError::Upstream(UpstreamError::Connect(_)), Kind::Connect) => {
            "the server cannot be reached: nothing answers at this address and port".to_owned()
        }
        (ListError::Upstream(UpstreamError::Broke(_)), _) => {
            "the server does not answer in HTTP; check the scheme of `base_url`".to_owned()
        }
        (_, Kind::Timeout) => "the server does not answer in time".to_owned(),
        (ListError::Shape, _) => {
            "the server answers, but not with a list of models; check the path of `base_url`"
                .to_owned()
        }
        _ => error.to_string(),
    };
    Trouble { kind, words }
}

/// What is wrong with HTTPS there.
fn handshake(error: &rustls::Error) -> &'static str {
    use rustls::{CertificateError as Bad, Error};
    match error {
        Error::InvalidMessage(_) => "the server speaks plain HTTP, not HTTPS; check `base_url`",
        Error::InvalidCertificate(Bad::UnknownIssuer) => {
            "the server's certificate is from an authority that this machine does not trust"
        }
        Error::InvalidCertificate(Bad::Expired | Bad::ExpiredContext { .. }) => {
            "the server's certificate has expired"
        }
        Error::InvalidCertificate(Bad::NotValidForName | Bad::NotValidForNameContext { .. }) => {
            "the server's certificate is for another name; check `base_url`"
        }
        Error::InvalidCertificate(_) => "the server's certificate is not valid",
        _ => "the server and torod find no way to speak HTTPS with each other",
    }
}

fn answered(status: StatusCode) -> String {
    let code = status.as_u16();
    match code {
        300..=399 => format!("the server answers {code}: a redirect, which torod does not follow; give `base_url` as it ends up"),
        401 => "the server answers 401: it does not know the credential".to_owned(),
        403 => "the server answers 403: the credential may not do this, or the server does not serve this address".to_owned(),
        404 | 405 => format!("the server answers {code}: there is nothing at this path; check the path of `base_url`"),
        402 | 429 => format!("the server answers {code}: the quota or the rate limit of the credential is spent"),
        500.. => format!("the server answers {code}: it has a problem of its own"),
        _ => format!("the server answers {code}"),
    }
}
