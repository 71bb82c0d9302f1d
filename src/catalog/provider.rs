//! A provider as the file configures it, with all that its preset fills in.

use std::{sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue};
use url::Url;

use super::Preset;
use crate::{access::Pattern, base::Secret, llm::Protocol};

/// What we present to a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// It needs none, or none was configured.
    None,
    Present(Secret),
    /// It is configured, but its environment variable or file could not be read: requests are 503.
    Unresolved,
}

#[derive(Debug, Clone)]
pub struct Provider {
    pub name: Arc<str>,
    pub preset: &'static Preset,
    /// None for the built-in echo.
    pub base_url: Option<Url>,
    pub model_list_url: Option<Url>,
    pub protocols: Vec<Protocol>,
    pub credential: Credential,
    /// Where the credential stands: `api_key`, or the preset's environment variable.
    pub credential_source: Option<String>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Only these models; none means all.
    pub models: Option<Vec<Pattern>>,
    pub enabled: bool,
    /// Found on this machine, not in the file.
    pub automatic: bool,
    /// Until the first byte of a reply.
    pub first_byte: Duration,
    /// Between two chunks of a reply.
    pub idle: Duration,
    pub include_usage: bool,
}

impl Provider {
    /// One that is there without being in the file, with all that its preset says.
    pub fn found(name: &str, preset: &'static Preset, base_url: Url) -> Self {
        Self {
            name: name.into(),
            preset,
            base_url: Some(base_url),
            model_list_url: None,
            protocols: preset.protocols.clone(),
            credential: Credential::None,
            credential_source: None,
            headers: Vec::new(),
            models: None,
            enabled: true,
            automatic: true,
            first_byte: Duration::from_secs(preset.timeout_seconds.unwrap_or(60)),
            idle: Duration::from_mins(5),
            include_usage: preset.stream_usage,
        }
    }

    pub fn is_echo(&self) -> bool {
        self.preset.name == "echo"
    }

    pub fn offers(&self, model: &str) -> bool {
        self.models.as_ref().is_none_or(|list| list.iter().any(|it| it.matches(model)))
    }

    /// What must not come back to a client: the credential, and header values that are long
    /// enough to be one.
    pub fn secrets(&self) -> impl Iterator<Item = &[u8]> {
        let credential = match &self.credential {
            Credential::Present(secret) => Some(secret.expose().as_bytes()),
            _ => None,
        };
        let headers = self.headers.iter().map(|it| it.1.as_bytes()).filter(|it| it.len() >= 8);
        credential.filter(|it| it.len() >= 4).into_iter().chain(headers)
    }

    pub fn speaks(&self, protocol: Protocol) -> bool {
        self.protocols.contains(&protocol)
    }

    /// Whether both would get the same model list: what is learned of one holds for the other.
    pub fn is_same_service(&self, other: &Self) -> bool {
        self.base_url == other.base_url
            && self.model_list_url == other.model_list_url
            && self.preset == other.preset
            && self.credential == other.credential
            && self.headers == other.headers
    }
}
