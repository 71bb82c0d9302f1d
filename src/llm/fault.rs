//! An error's face in each protocol's own JSON, whole and in the middle of a stream.

use serde_json::{Value, json};

use super::Protocol;

/// What a client is told. The message never names an upstream URL or a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub status: u16,
    /// `OpenAI`'s `type`; the other protocols derive theirs from the status.
    pub kind: &'static str,
    pub code: Option<&'static str>,
    pub param: Option<&'static str>,
    pub message: String,
}

impl Fault {
    pub fn new(status: u16, kind: &'static str, code: &'static str, message: String) -> Self {
        Self { status, kind, code: Some(code), param: None, message }
    }

    /// The body of an error reply.
    pub fn body(&self, protocol: Protocol) -> String {
        self.json(protocol).to_string()
    }

    /// The same as a value.
    pub fn json(&self, protocol: Protocol) -> Value {
        match protocol {
            Protocol::Chat | Protocol::Responses => json!({ "error": {
                "message": self.message, "type": self.kind, "param": self.param, "code": self.code,
            }}),
            Protocol::Messages => json!({
                "type": "error",
                "error": { "type": anthropic_type(self.status), "message": self.message },
            }),
            Protocol::Gemini => json!({ "error": {
                "code": self.status, "message": self.message, "status": google_status(self.status),
            }}),
        }
    }

    /// The event that ends a stream which cannot go on; no terminator follows it.
    ///
    /// `response` is the id of the response that fails and `sequence` the number of its next
    /// event, both as the Responses API counts.
    pub fn event(&self, protocol: Protocol, response: Option<&str>, sequence: u64) -> String {
        match protocol {
            Protocol::Chat | Protocol::Gemini => format!("data: {}\n\n", self.json(protocol)),
            Protocol::Messages => format!("event: error\ndata: {}\n\n", self.json(protocol)),
            Protocol::Responses => {
                let failed = json!({
                    "type": "response.failed",
                    "sequence_number": sequence,
                    "response": {
                        "id": response.unwrap_or("resp_failed"), "object": "response",
                        "created_at": 0, "status": "failed", "model": "", "output": [],
                        "error": { "code": self.code.unwrap_or("server_error"), "message": self.message },
                        "incomplete_details": null, "instructions": null, "metadata": null,
                        "parallel_tool_calls": true, "temperature": null, "tool_choice": "auto",
                        "tools": [], "top_p": null,
                    },
                });
                format!("event: response.failed\ndata: {failed}\n\n")
            }
        }
    }
}

fn anthropic_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        400..500 => "invalid_request_error",
        _ => "api_error",
    }
}

fn google_status(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        400..500 => "INVALID_ARGUMENT",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        _ => "INTERNAL",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_protocol_has_its_face() {
        let fault = Fault::new(404, "invalid_request_error", "model_not_found", "no `x`".into());
        for (protocol, body) in [
            (
                Protocol::Chat,
                r#"{"error":{"message":"no `x`","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#,
            ),
            (
                Protocol::Messages,
                r#"{"type":"error","error":{"type":"not_found_error","message":"no `x`"}}"#,
            ),
            (Protocol::Gemini, r#"{"error":{"code":404,"message":"no `x`","status":"NOT_FOUND"}}"#),
        ] {
            assert_eq!(fault.body(protocol), body);
        }
        let event = fault.event(Protocol::Responses, Some("resp_1"), 7);
        assert!(event.starts_with("event: response.failed\ndata: {"), "{event}");
        assert!(event.contains(r#""sequence_number":7"#) && event.contains("resp_1"), "{event}");
        assert!(fault.event(Protocol::Messages, None, 0).starts_with("event: error\n"));
    }
}
