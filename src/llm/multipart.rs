//! The field `model` of a multipart form, and where its value stands.

use std::ops::Range;

use memchr::memmem;

/// The boundary of a `multipart/form-data` content type.
pub fn boundary(content_type: &str) -> Option<&str> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let value = parameters.split(';').find_map(|it| {
        let (name, value) = it.trim().split_once('=')?;
        name.eq_ignore_ascii_case("boundary").then(|| value.trim_matches('"'))
    })?;
    (!value.is_empty() && value.len() <= 70).then_some(value)
}

/// The model that a form names; none when it has no such field or is not a form.
pub fn model(body: &[u8], boundary: &str) -> Option<(String, Range<usize>)> {
    let delimiter = format!("--{boundary}");
    let mut at = memmem::find(body, delimiter.as_bytes())? + delimiter.len();
    loop {
        let end = at + memmem::find(&body[at..], delimiter.as_bytes())?;
        let part = &body[at..end];
        let head = memmem::find(part, b"\r\n\r\n")?;
        if names_model(&part[..head]) {
            // The line end before the delimiter belongs to the delimiter.
            let range = at + head + 4..end.saturating_sub(2).max(at + head + 4);
            let name = std::str::from_utf8(&body[range.clone()]).ok()?.trim();
            return (!name.is_empty()).then(|| (name.to_owned(), range));
        }
        at = end + delimiter.len();
    }
}

fn names_model(head: &[u8]) -> bool {
    let head = String::from_utf8_lossy(head);
    head.lines().any(|line| {
        let Some((name, value)) = line.split_once(':') else { return false };
        name.trim().eq_ignore_ascii_case("content-disposition")
            && value.split(';').any(|it| matches!(it.trim(), "name=\"model\"" | "name=model"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_of_a_form_is_found() {
        let kind = "multipart/form-data; boundary=\"x-1\"";
        let body = "--x-1\r\nContent-Disposition: form-data; name=\"file\"; filename=\"model\"\r\n\r\nmodel\r\n\
                    --x-1\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\na/whisper\r\n--x-1--\r\n";
        let (name, range) = model(body.as_bytes(), boundary(kind).unwrap()).unwrap();
        assert_eq!(name, "a/whisper");
        assert_eq!(&body[range], "a/whisper");
        for (kind, body) in [("text/plain; boundary=a", ""), ("multipart/form-data", "")] {
            assert_eq!(boundary(kind), None, "{kind} {body}");
        }
        for bad in ["", "--a", "--a\r\n", "--a\r\n\r\n--a--", "--a--a--a"] {
            assert_eq!(model(bad.as_bytes(), "a"), None, "{bad:?}");
        }
    }
}
