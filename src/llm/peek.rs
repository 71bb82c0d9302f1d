//! What a request body says about its route, read without decoding it, and the splices that are
//! all that torod changes in it.

use std::ops::Range;

use bytes::Bytes;

use super::json;

/// The deepest nesting that is accepted; providers' own parsers stop there too.
const MAX_DEPTH: usize = 128;

/// What the body of a request says at its top level.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Peek {
    /// The model's name and where its JSON string stands, quotes included.
    pub model: Option<(String, Range<usize>)>,
    pub stream: bool,
    /// The splice that asks for usage in the stream; none where the client asked already.
    pub usage_wish: Option<(Range<usize>, &'static str)>,
    /// The id in `previous_response_id`.
    pub previous_response: Option<String>,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PeekError {
    #[error("the body is not UTF-8")]
    NotUtf8,
    #[error("the body is not the JSON object that this endpoint takes: {0}")]
    NotJson(String),
    #[error("the body nests deeper than {MAX_DEPTH} levels")]
    TooDeep,
    #[error("the body has the key `model` twice")]
    TwoModels,
    #[error("`model` must be a non-empty string")]
    BadModel,
}

/// Reads the top level of a request body.
pub fn peek(body: &[u8]) -> Result<Peek, PeekError> {
    let text = std::str::from_utf8(body).map_err(|_| PeekError::NotUtf8)?;
    if json::deeper_than(body, MAX_DEPTH) {
        return Err(PeekError::TooDeep);
    }
    let members = json::members(text).map_err(|it| PeekError::NotJson(it.to_string()))?;
    let mut found = Peek::default();
    let mut wishes = Vec::new();
    for (key, value) in members {
        match &*key {
            "model" if found.model.is_some() => return Err(PeekError::TwoModels),
            "model" => {
                let name: String = serde_json::from_str(value).map_err(|_| PeekError::BadModel)?;
                if name.trim().is_empty() {
                    return Err(PeekError::BadModel);
                }
                found.model = Some((name, json::span(text, value)));
            }
            "stream" => found.stream = value == "true",
            "stream_options" => wishes.push(value),
            "previous_response_id" => {
                found.previous_response = serde_json::from_str(value).unwrap_or_default();
            }
            _ => {}
        }
    }
    if found.stream && wishes.len() < 2 {
        found.usage_wish = usage_wish(text, wishes.pop());
    }
    Ok(found)
}

/// Where to splice so that the stream ends with its usage.
fn usage_wish(text: &str, options: Option<&str>) -> Option<(Range<usize>, &'static str)> {
    let Some(options) = options else {
        let end = text.rfind('}')?;
        return Some((end..end, r#","stream_options":{"include_usage":true}"#));
    };
    let at = json::span(text, options);
    if options == "null" {
        return Some((at, r#"{"include_usage":true}"#));
    }
    let members = json::members(options).ok()?;
    if let Some((_, value)) = members.iter().find(|it| it.0 == "include_usage") {
        return (*value != "true").then(|| (json::span(text, value), "true"));
    }
    let after_brace = at.start + 1;
    let member =
        if members.is_empty() { r#""include_usage":true"# } else { r#""include_usage":true,"# };
    Some((after_brace..after_brace, member))
}

/// A body as the pieces that follow each other on the wire: slices of the client's bytes and the
/// few bytes that stand between them. Nothing is copied.
pub fn splice(body: &Bytes, mut edits: Vec<(Range<usize>, Bytes)>) -> Vec<Bytes> {
    edits.sort_by_key(|it| it.0.start);
    let (mut pieces, mut from) = (Vec::with_capacity(edits.len() * 2 + 1), 0);
    for (range, fresh) in edits {
        pieces.push(body.slice(from..range.start));
        pieces.push(fresh);
        from = range.end;
    }
    pieces.push(body.slice(from..));
    pieces.retain(|it| !it.is_empty());
    pieces
}

/// A name as JSON text.
pub fn quoted(name: &str) -> Bytes {
    serde_json::Value::from(name).to_string().into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rename(body: &str, to: &str) -> String {
        let peek = peek(body.as_bytes()).unwrap();
        let edit = (peek.model.unwrap().1, quoted(to));
        let pieces = splice(&Bytes::from(body.to_owned()), vec![edit]);
        String::from_utf8(pieces.concat()).unwrap()
    }

    #[test]
    fn only_the_models_value_changes() {
        for (before, after) in [
            (r#"{"model":"a/b","x":1}"#, r#"{"model":"new","x":1}"#),
            (
                r#"{ "x" : {"model":"no"}, "model" : "a" } "#,
                r#"{ "x" : {"model":"no"}, "model" : "new" } "#,
            ),
            (r#"{"mod\u0065l":"\u0061/b"}"#, r#"{"mod\u0065l":"new"}"#),
            (
                r#"{"n":1e400,"big":123456789012345678901234567890,"model":"a"}"#,
                r#"{"n":1e400,"big":123456789012345678901234567890,"model":"new"}"#,
            ),
            (r#"{"s":"\"model\":\"x\"","model":"é"}"#, r#"{"s":"\"model\":\"x\"","model":"new"}"#),
        ] {
            assert_eq!(rename(before, "new"), after);
        }
    }

    #[test]
    fn bad_bodies_say_what_is_wrong() {
        let deep = format!(r#"{{"model":"a","x":{}{}}}"#, "[".repeat(128), "]".repeat(128));
        let fits = format!(r#"{{"model":"a","x":{}{}}}"#, "[".repeat(127), "]".repeat(127));
        assert_eq!(peek(deep.as_bytes()), Err(PeekError::TooDeep));
        assert!(peek(fits.as_bytes()).is_ok());
        assert_eq!(peek(b"{\"model\":\"\xff\"}"), Err(PeekError::NotUtf8));
        assert_eq!(peek(br#"{"model":"a","model":"a"}"#), Err(PeekError::TwoModels));
        assert_eq!(peek(br#"{"model":"a","mod\u0065l":"b"}"#), Err(PeekError::TwoModels));
        for bad in
            [r#"{"model":1}"#, r#"{"model":""}"#, r#"{"model":"\ud800"}"#, r#"{"model":null}"#]
        {
            assert_eq!(peek(bad.as_bytes()), Err(PeekError::BadModel), "{bad}");
        }
        for bad in ["", "[]", "{", r#"{"model":"a"}x"#, r#"{"a":01}"#, "\u{feff}{}", "null"] {
            assert!(matches!(peek(bad.as_bytes()), Err(PeekError::NotJson(_))), "{bad}");
        }
    }

    #[test]
    fn the_wish_for_usage_is_one_splice() {
        let wish = |body: &str| {
            let (range, text) = peek(body.as_bytes()).unwrap().usage_wish?;
            Some(format!("{}{text}{}", &body[..range.start], &body[range.end..]))
        };
        for (before, after) in [
            (
                r#"{"model":"a","stream":true}"#,
                r#"{"model":"a","stream":true,"stream_options":{"include_usage":true}}"#,
            ),
            (
                r#"{"stream_options":null,"stream":true}"#,
                r#"{"stream_options":{"include_usage":true},"stream":true}"#,
            ),
            (
                r#"{"stream_options":{ },"stream":true}"#,
                r#"{"stream_options":{"include_usage":true },"stream":true}"#,
            ),
            (
                r#"{"stream_options":{"x":1},"stream":true}"#,
                r#"{"stream_options":{"include_usage":true,"x":1},"stream":true}"#,
            ),
            (
                r#"{"stream_options":{"include_usage":false},"stream":true}"#,
                r#"{"stream_options":{"include_usage":true},"stream":true}"#,
            ),
        ] {
            assert_eq!(wish(before).as_deref(), Some(after));
        }
        assert_eq!(wish(r#"{"stream_options":{"include_usage":true},"stream":true}"#), None);
        assert_eq!(wish(r#"{"model":"a"}"#), None, "only streams are asked");
    }

    proptest! {
        #[test]
        fn all_other_bytes_are_equal(
            before in "[ \n]{0,3}", key in "[a-z\"\\\\é]{0,6}", nested in "[a-z{}\\[\\],:\"\\\\]{0,20}",
            model in "\\PC{1,8}", tail in any::<bool>(),
        ) {
            prop_assume!(!model.trim().is_empty() && key != "model");
            let other = format!("{}:{{\"model\":{}}}", quoted_text(&key), quoted_text(&nested));
            let own = |name: &str| format!("\"model\"{before}:{}", quoted_text(name));
            let body = |name: &str| if tail {
                format!("{before}{{{other},{}}}{before}", own(name))
            } else {
                format!("{before}{{{},{other}}}{before}", own(name))
            };
            prop_assert_eq!(rename(&body(&model), "x/y"), body("x/y"));
        }

        #[test]
        fn no_bytes_panic(body in any::<Vec<u8>>()) {
            let _ = peek(&body);
        }
    }

    fn quoted_text(text: &str) -> String {
        String::from_utf8(quoted(text).to_vec()).unwrap()
    }
}
