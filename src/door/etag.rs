//! `ETag` and `If-Match`: what a writer saw is what it changes.

use http::{HeaderMap, HeaderValue, Response, header};

use super::Refusal;

/// The one tag that `If-Match` names; none without the header, and for `*`, which anything is.
pub fn if_match(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let mut values = headers.get_all(header::IF_MATCH).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" && values.next().is_none() {
        return Ok(None);
    }
    let tag = text.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
    match tag.filter(|it| !it.contains('"') && values.next().is_none()) {
        Some(tag) => Ok(Some(tag.to_owned())),
        None => Err(Refusal::bad_request(
            "bad_if_match",
            "`If-Match` must be one quoted `ETag`, as an answer had it",
        )),
    }
}

/// Adds the tag to a response.
pub fn tagged<T>(mut response: Response<T>, tag: &str) -> Response<T> {
    if let Ok(value) = HeaderValue::try_from(format!("\"{tag}\"")) {
        response.headers_mut().insert(header::ETAG, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn if_match_is_one_tag() {
        for (values, wanted) in [
            (&[][..], Ok(None)),
            (&["\"abc\""], Ok(Some("abc"))),
            (&[" \"abc\" "], Ok(Some("abc"))),
            (&["*"], Ok(None)),
            (&["\"a\", \"b\""], Err(())),
            (&["\"a\"", "\"b\""], Err(())),
            (&["abc"], Err(())),
            (&["W/\"abc\""], Err(())),
            (&[""], Err(())),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::IF_MATCH, HeaderValue::from_static(value));
            }
            let got = if_match(&headers).map_err(|_| ());
            assert_eq!(
                got.as_ref().map(Option::as_deref),
                wanted.as_ref().map(|it| *it),
                "{values:?}"
            );
        }
    }
}
