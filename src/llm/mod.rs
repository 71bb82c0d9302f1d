//! The wire families, and what can be learned from passing bytes without decoding a request.
//!
//! Nothing here knows providers, keys or HTTP connections.

pub mod echo;
pub mod endpoint;
pub mod fault;
pub mod injected;
pub mod json;
pub mod meter;
pub mod multipart;
pub mod peek;
pub mod sse;

pub use endpoint::{Endpoint, ModelAt};
pub use fault::Fault;

use serde::{Deserialize, Serialize};

/// A public API's wire form: it decides how an error looks and where usage stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// `OpenAI` chat completions and its siblings (completions, embeddings, audio, images).
    Chat,
    /// `OpenAI` responses.
    Responses,
    /// Anthropic messages.
    Messages,
    /// Google Gemini `generateContent`.
    Gemini,
}

impl Protocol {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
            Self::Messages => "messages",
            Self::Gemini => "gemini",
        }
    }
}
