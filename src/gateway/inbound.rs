//! The client's request, read once: its bytes stay as they are, and what the route needs is read
//! out of them.

use std::ops::Range;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header, request};
use http_body::Body as _;
use http_body_util::BodyExt as _;

use super::{decode, error::too_large};
use crate::{
    door::Refusal,
    llm::{Endpoint, ModelAt, multipart, peek},
};

/// Decoding more than this is no work for a thread that serves requests.
const DECODE_INLINE: usize = 64 * 1024;

/// What a client asks for.
#[derive(Debug)]
pub(super) struct Inbound {
    pub(super) endpoint: &'static Endpoint,
    /// None where an endpoint can do without.
    pub(super) model: Option<String>,
    /// Where the model's value stands in the body, and whether it is JSON text.
    pub(super) model_at: Option<(Range<usize>, bool)>,
    pub(super) stream: bool,
    pub(super) usage_wish: Option<(Range<usize>, &'static str)>,
    pub(super) previous_response: Option<String>,
    pub(super) body: Bytes,
}

impl Inbound {
    /// Reads the body and the model that it names.
    pub(super) async fn read(
        endpoint: &'static Endpoint,
        head: &request::Parts,
        body: Body,
        limit: usize,
    ) -> Result<Self, Refusal> {
        let body = whole(&head.headers, body, limit).await?;
        let mut inbound = Self {
            endpoint,
            model: None,
            model_at: None,
            stream: false,
            usage_wish: None,
            previous_response: None,
            body,
        };
        inbound.look(head)?;
        if inbound.model.is_none() && endpoint.needs_model {
            return Err(Refusal::bad_request("invalid_model", "the request names no `model`")
                .param("model"));
        }
        Ok(inbound)
    }

    fn look(&mut self, head: &request::Parts) -> Result<(), Refusal> {
        if self.endpoint.model_at == ModelAt::Path {
            let path = head.uri.path();
            let (model, action) = gemini_model(path).ok_or_else(Refusal::no_such_path)?;
            self.stream = action.starts_with("stream");
            self.model = Some(model);
            return Ok(());
        }
        let kind = head.headers.get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok());
        if let Some(boundary) =
            kind.filter(|_| self.endpoint.model_at == ModelAt::Form).and_then(multipart::boundary)
        {
            if let Some((name, range)) = multipart::model(&self.body, boundary) {
                (self.model, self.model_at) = (Some(name), Some((range, false)));
            }
            return Ok(());
        }
        let peeked = peek::peek(&self.body)?;
        self.stream = peeked.stream;
        self.usage_wish = peeked.usage_wish.filter(|_| self.endpoint.takes_stream_options);
        self.previous_response = peeked.previous_response;
        if let Some((name, range)) = peeked.model {
            (self.model, self.model_at) = (Some(name), Some((range, true)));
        }
        Ok(())
    }

    /// The body for a target: the model as the target knows it, and the wish for usage when asked.
    pub(super) fn body_for(&self, model: &str, wish: bool) -> Vec<Bytes> {
        let mut edits = Vec::new();
        if let (Some((range, json)), Some(own)) = (&self.model_at, &self.model)
            && own != model
        {
            let fresh =
                if *json { peek::quoted(model) } else { Bytes::copy_from_slice(model.as_bytes()) };
            edits.push((range.clone(), fresh));
        }
        if let Some((range, text)) = self.usage_wish.as_ref().filter(|_| wish) {
            edits.push((range.clone(), Bytes::from_static(text.as_bytes())));
        }
        peek::splice(&self.body, edits)
    }
}

/// The model and the action of `/v1beta/models/{model}:{action}`. Some clients leave `models/` out
/// when the name has a slash.
pub(super) fn gemini_model(path: &str) -> Option<(String, &str)> {
    let (_, rest) = path.strip_prefix('/')?.split_once('/')?;
    let (model, action) = rest.rsplit_once(':')?;
    let model = model.strip_prefix("models/").unwrap_or(model);
    let model = percent_encoding::percent_decode_str(model).decode_utf8().ok()?;
    let fits = !action.is_empty() && action.bytes().all(|it| it.is_ascii_alphanumeric());
    (fits && !model.is_empty()).then(|| (model.into_owned(), action))
}

/// The decoded body; over the limit it is refused before it is read, where its length is known.
async fn whole(headers: &HeaderMap, mut body: Body, limit: usize) -> Result<Bytes, Refusal> {
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large(limit));
    }
    let (mut first, mut rest, mut total) = (Bytes::new(), BytesMut::new(), 0);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|it| {
            Refusal::bad_request("incomplete_body", "the body ended early").because(it.to_string())
        })?;
        let Ok(data) = frame.into_data() else { continue };
        total += data.len();
        if total > limit {
            return Err(too_large(limit));
        }
        if first.is_empty() && rest.is_empty() {
            first = data;
        } else {
            rest.extend_from_slice(&std::mem::take(&mut first));
            rest.extend_from_slice(&data);
        }
    }
    let read = if rest.is_empty() { first } else { rest.freeze() };
    if !decode::is_encoded(headers, &read) {
        return Ok(read);
    }
    let decoded = if read.len() > DECODE_INLINE {
        let headers = headers.clone();
        tokio::task::spawn_blocking(move || decode::decode(&headers, &read, limit)).await.map_err(
            |it| {
                Refusal::new(500, "server_error", "internal_error", "the body was not decoded")
                    .because(it.to_string())
            },
        )?
    } else {
        decode::decode(headers, &read, limit)
    };
    Ok(decoded?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_of_a_gemini_path_ends_at_the_last_colon() {
        for (path, wanted) in [
            ("/v1beta/models/g/gemini-2:generateContent", Some(("g/gemini-2", "generateContent"))),
            ("/v1/models/a:b:countTokens", Some(("a:b", "countTokens"))),
            ("/v1beta/g/gemini-2:generateContent", Some(("g/gemini-2", "generateContent"))),
            ("/v1beta/models/a%2Fb:generateContent", Some(("a/b", "generateContent"))),
            ("/v1beta/models/a:", None),
            ("/v1beta/models/:x", None),
            ("/v1beta/models/a:x/y", None),
            ("/v1beta/models/a", None),
        ] {
            assert_eq!(gemini_model(path), wanted.map(|it| (it.0.to_owned(), it.1)), "{path}");
        }
    }
}
