//! What can go wrong on `/v1`, and the face that each error shows: status, type, code.

use crate::{
    door::Refusal,
    gateway::decode::DecodeError,
    llm::peek::PeekError,
    routing::NoRoute,
    upstream::{
        UpstreamError,
        error::{Kind, chain},
    },
};

const CLIENT: &str = "invalid_request_error";
const SERVER: &str = "server_error";

impl From<PeekError> for Refusal {
    fn from(error: PeekError) -> Self {
        match error {
            PeekError::TwoModels | PeekError::BadModel => {
                Self::bad_request("invalid_model", error.to_string()).param("model")
            }
            _ => Self::bad_request("invalid_json", error.to_string()),
        }
    }
}

impl From<DecodeError> for Refusal {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::TooLarge(limit) => too_large(limit),
            _ => Self::bad_request("bad_encoding", error.to_string()),
        }
    }
}

impl From<NoRoute> for Refusal {
    fn from(error: NoRoute) -> Self {
        Self::new(404, CLIENT, "model_not_found", error.to_string()).param("model")
    }
}

pub(super) fn too_large(limit: usize) -> Refusal {
    Refusal::new(413, CLIENT, "body_too_large", format!("the body is larger than {limit} bytes"))
}

pub(super) fn model_not_allowed(model: &str) -> Refusal {
    let message = format!("this key may not use the model `{model}`");
    Refusal::new(403, CLIENT, "model_not_allowed", message).param("model")
}

pub(super) fn price_unknown(model: &str) -> Refusal {
    let message = format!(
        "nobody knows what the model `{model}` costs, and this torod does not call such models; \
         an administrator can write its price into `[[prices]]`"
    );
    Refusal::new(403, CLIENT, "price_unknown", message).param("model")
}

pub(super) fn protocol_not_supported(provider: &str, wanted: &str, spoken: &str) -> Refusal {
    Refusal::bad_request(
        "protocol_not_supported",
        format!("`{provider}` speaks {spoken}, not {wanted}; send the request in its own protocol"),
    )
}

/// The caller's key is fine, ours is not: a client must not throw its own away.
pub(super) fn upstream_credentials(provider: &str) -> Refusal {
    let message = format!("`{provider}` does not accept the credential that torod has for it");
    Refusal::new(502, SERVER, "upstream_credentials", message).header("x-should-retry", "false")
}

pub(super) fn upstream_garbage(provider: &str, why: &str) -> Refusal {
    let message = format!("`{provider}` answered with something that is not an answer: {why}");
    Refusal::new(502, SERVER, "upstream_garbage", message)
}

/// An error page of a provider that is no JSON: its status stays, its text does not.
pub(super) fn error_page(provider: &str, status: u16) -> Refusal {
    let message = format!("`{provider}` answered {status} with a page that is not JSON");
    let kind = if status >= 500 { SERVER } else { CLIENT };
    Refusal::new(status, kind, "upstream_error", message)
}

pub(super) fn broke(provider: &str) -> Refusal {
    let message = format!("`{provider}` broke off before its answer was complete");
    Refusal::new(502, SERVER, "upstream_broke", message)
}

pub(super) fn upstream(provider: &str, error: &UpstreamError) -> Refusal {
    let (status, code, what) = match error {
        UpstreamError::NoCredential => (
            503,
            "provider_unconfigured",
            "has a credential that cannot be read; see `torod check`",
        ),
        UpstreamError::Connect(_) if error.kind() == Kind::Tls => {
            (502, "upstream_tls", "cannot be reached over TLS")
        }
        UpstreamError::Connect(_) => (502, "upstream_unreachable", "cannot be reached"),
        UpstreamError::Refused(_) => {
            (502, "egress_refused", "has an address that torod does not connect to")
        }
        UpstreamError::Silent(_) => (504, "upstream_timeout", "did not answer in time"),
        UpstreamError::Broke(_) => (502, "upstream_broke", "broke off before it answered"),
        UpstreamError::Request(_) => (502, "upstream_unreachable", "cannot be asked this way"),
    };
    Refusal::new(status, SERVER, code, format!("`{provider}` {what}")).because(chain(error))
}
