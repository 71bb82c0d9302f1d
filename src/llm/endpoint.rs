//! The paths that clients call: which protocol they speak, and where the model's name stands.

use super::Protocol;

/// Where a request names its model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelAt {
    /// The top-level key `model` of a JSON body.
    Body,
    /// The field `model` of a multipart form, or of a JSON body.
    Form,
    /// Between `/models/` and the last colon of the path.
    Path,
}

/// One path of the public API.
#[derive(Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub protocol: Protocol,
    /// What is appended to a base URL that ends in its version, such as `.../v1`; empty where the
    /// client's own path decides.
    pub path: &'static str,
    pub model_at: ModelAt,
    /// `stream_options.include_usage` may be injected.
    pub takes_stream_options: bool,
    /// A model is needed; without one the default provider is asked.
    pub needs_model: bool,
}

const fn chat(path: &'static str) -> Endpoint {
    Endpoint {
        protocol: Protocol::Chat,
        path,
        model_at: ModelAt::Body,
        takes_stream_options: false,
        needs_model: true,
    }
}

pub static CHAT: Endpoint = Endpoint { takes_stream_options: true, ..chat("/chat/completions") };
pub static COMPLETIONS: Endpoint = Endpoint { takes_stream_options: true, ..chat("/completions") };
pub static EMBEDDINGS: Endpoint = chat("/embeddings");
pub static RERANK: Endpoint = chat("/rerank");
pub static MODERATIONS: Endpoint = Endpoint { needs_model: false, ..chat("/moderations") };
/// Images and audio: the path is the client's own, the model stands in a form or in JSON.
pub static MEDIA: Endpoint = Endpoint { model_at: ModelAt::Form, needs_model: false, ..chat("") };
pub static RESPONSES: Endpoint = Endpoint { protocol: Protocol::Responses, ..chat("/responses") };
pub static INPUT_TOKENS: Endpoint =
    Endpoint { protocol: Protocol::Responses, ..chat("/responses/input_tokens") };
pub static COMPACT: Endpoint =
    Endpoint { protocol: Protocol::Responses, ..chat("/responses/compact") };
pub static MESSAGES: Endpoint = Endpoint { protocol: Protocol::Messages, ..chat("/messages") };
pub static COUNT_TOKENS: Endpoint =
    Endpoint { protocol: Protocol::Messages, ..chat("/messages/count_tokens") };
pub static GEMINI: Endpoint =
    Endpoint { protocol: Protocol::Gemini, model_at: ModelAt::Path, ..chat("") };
