//! Bodies of the admin API: small, JSON, and said to be so.

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use super::Refusal;
use crate::config::problem::nearest;

const MAX_BYTES: usize = 1024 * 1024;

/// The media type of a message, in lower case and without parameters.
pub fn media_type(headers: &HeaderMap, name: header::HeaderName) -> Option<String> {
    let text = headers.get(name)?.to_str().ok()?;
    Some(text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// The bytes of a body.
pub async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, Refusal> {
    let too_large = || {
        let message = format!("the body is larger than {MAX_BYTES} bytes");
        Refusal::new(413, "invalid_request_error", "body_too_large", message)
            .header("connection", "close")
    };
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err(wrong_type("send the body without `Content-Encoding`"));
    }
    let said = headers.get(header::CONTENT_LENGTH).and_then(|it| it.to_str().ok()?.parse().ok());
    if said.is_some_and(|it: u64| it > MAX_BYTES as u64) {
        return Err(too_large());
    }
    match Limited::new(body, MAX_BYTES).collect().await {
        Ok(read) => Ok(read.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(_) => Err(Refusal::bad_request("incomplete_body", "the body broke off")),
    }
}

/// A body of JSON; a page in a browser cannot send that type elsewhere without being asked.
pub fn json<T: DeserializeOwned>(headers: &HeaderMap, bytes: &[u8]) -> Result<T, Refusal> {
    if media_type(headers, header::CONTENT_TYPE).as_deref() != Some("application/json") {
        return Err(wrong_type("send `Content-Type: application/json`"));
    }
    parse(bytes)
}

/// JSON of this form; a field that nobody knows is named, with the one that was most likely meant.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(bytes).map_err(|error| {
        let text = error.to_string();
        if let Some((field, known)) = unknown_field(&text) {
            return unknown(field, known);
        }
        let at = format!("line {} column {}", error.line(), error.column());
        match error.classify() {
            serde_json::error::Category::Data => {
                Refusal::bad_request("invalid_value", without_values(&text))
            }
            _ => Refusal::bad_request("invalid_json", format!("the body is not JSON: {at}")),
        }
    })
}

/// A field that is not there, and the nearest that is.
pub fn unknown<'a>(field: &str, known: impl IntoIterator<Item = &'a str>) -> Refusal {
    let near = nearest(field, known).map(|it| format!("; did you mean `{it}`?"));
    let field: String = field.chars().take(64).collect();
    let message = format!("there is no field `{field}`{}", near.unwrap_or_default());
    Refusal::bad_request("unknown_field", message)
}

pub fn wrong_type(message: &str) -> Refusal {
    Refusal::new(415, "invalid_request_error", "unsupported_media_type", message)
}

/// What serde says of an unknown field: its name, and those that it knows.
fn unknown_field(text: &str) -> Option<(&str, impl Iterator<Item = &str>)> {
    let (field, rest) = text.strip_prefix("unknown field `")?.split_once('`')?;
    Some((field, rest.split('`').skip(1).step_by(2)))
}

/// serde repeats the value that it did not want; it may be a secret.
fn without_values(text: &str) -> String {
    let Some((what, rest)) = text.split_once(": ").filter(|it| it.0.starts_with("invalid ")) else {
        return text.to_owned();
    };
    let kind = rest.split([' ', ',']).next().unwrap_or_default();
    let wanted = rest.rsplit_once(", expected ").map_or("", |it| it.1);
    format!("{what}: {kind}, expected {wanted}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "read by serde only")]
    struct Form {
        base_url: Option<String>,
        port: Option<u16>,
    }

    #[test]
    fn what_is_wrong_with_a_body_is_said_without_its_values() {
        for (text, code, wanted) in [
            (r#"{"base_ulr":1}"#, "unknown_field", "did you mean `base_url`?"),
            (r#"{"zzzzzzz":1}"#, "unknown_field", "there is no field `zzzzzzz`"),
            (
                r#"{"port":"sk-secret, expected x"}"#,
                "invalid_value",
                "invalid type: string, expected ",
            ),
            (r#"{"port":70000}"#, "invalid_value", "invalid value: integer, expected u16"),
            (r#"{"port":1"#, "invalid_json", "the body is not JSON: line 1"),
            ("", "invalid_json", "not JSON"),
            ("[1]", "invalid_value", "expected"),
            ("{\"port\":1,\"port\":2}", "invalid_value", "duplicate field"),
        ] {
            let fault = parse::<Form>(text.as_bytes()).unwrap_err().fault;
            assert_eq!((fault.status, fault.code), (400, Some(code)), "{text}");
            assert!(fault.message.contains(wanted), "{text}: {}", fault.message);
            assert!(!fault.message.contains("sk-secret"), "{}", fault.message);
        }
    }
}
