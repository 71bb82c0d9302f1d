//! HTTP/1.1 as bytes: a request's head, a reply's head, and where its body ends. No I/O.

use std::io;

use bytes::{Buf as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request};

/// A head longer than this, or with more headers, is no head.
const MAX_HEAD: usize = 64 * 1024;
const MAX_HEADERS: usize = 100;
/// The size line of a chunk, or a line behind the last one.
const MAX_LINE: usize = 8 * 1024;

/// Bytes that are not HTTP.
pub(super) fn garbage(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// The head of a request whose body has this length.
pub(super) fn write_head(head: &request::Parts, length: u64) -> Bytes {
    let mut out = BytesMut::with_capacity(512);
    let target = head.uri.path_and_query().map_or("/", |it| it.as_str());
    for piece in [head.method.as_str(), " ", target, " HTTP/1.1\r\nhost: "] {
        out.extend_from_slice(piece.as_bytes());
    }
    out.extend_from_slice(head.uri.authority().map_or("", |it| it.as_str()).as_bytes());
    for (name, value) in &head.headers {
        for piece in [b"\r\n", name.as_str().as_bytes(), b": ", value.as_bytes()] {
            out.extend_from_slice(piece);
        }
    }
    if length > 0 || head.method == Method::POST {
        out.extend_from_slice(b"\r\ncontent-length: ");
        out.extend_from_slice(length.to_string().as_bytes());
    }
    out.extend_from_slice(b"\r\n\r\n");
    out.freeze()
}

/// The head of a reply.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Framing,
    /// The connection may be used again once the body is read.
    pub(super) keeps: bool,
}

/// Takes the head off `bytes`; none while it is not complete. Heads such as `100 Continue`, which
/// only announce one, are skipped.
pub(super) fn take_head(bytes: &mut Bytes, method: &Method) -> io::Result<Option<Head>> {
    loop {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let length = match response.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) if bytes.len() > MAX_HEAD => {
                return Err(garbage("the head is too long"));
            }
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(garbage("the head is not HTTP")),
        };
        let (code, is_old) = (response.code.unwrap_or_default(), response.version == Some(0));
        if code == 101 || code < 100 {
            return Err(garbage("the status means nothing here"));
        }
        if code < 200 {
            bytes.advance(length);
            continue;
        }
        let status = StatusCode::from_u16(code).map_err(|_| garbage("the status is none"))?;
        let headers = header_map(bytes, response.headers)?;
        let body = Framing::of(status, method, &headers, is_old)?;
        let says = |word: &str| {
            headers.get_all(header::CONNECTION).iter().any(|it| {
                let mut words = it.to_str().unwrap_or_default().split(',');
                words.any(|it| it.trim().eq_ignore_ascii_case(word))
            })
        };
        // Both lengths at once: what follows may be read in two ways.
        let ambiguous = headers.contains_key(header::TRANSFER_ENCODING)
            && headers.contains_key(header::CONTENT_LENGTH);
        let keeps = !says("close") && (!is_old || says("keep-alive")) && !ambiguous;
        bytes.advance(length);
        return Ok(Some(Head {
            status,
            headers,
            keeps: keeps && body != Framing::UntilClose,
            body,
        }));
    }
}

/// Values are slices of what was read.
fn header_map(bytes: &Bytes, parsed: &[httparse::Header<'_>]) -> io::Result<HeaderMap> {
    let bad = || garbage("a header is none");
    let mut headers = HeaderMap::with_capacity(parsed.len() + 4);
    for it in parsed {
        let name = HeaderName::from_bytes(it.name.as_bytes()).map_err(|_| bad())?;
        let value = HeaderValue::from_maybe_shared(bytes.slice_ref(it.value)).map_err(|_| bad())?;
        headers.append(name, value);
    }
    Ok(headers)
}

/// Where a body ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Framing {
    /// After so many bytes more.
    Length(u64),
    Chunked(Chunk),
    /// With the connection.
    UntilClose,
}

/// What comes next in a chunked body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Chunk {
    Size,
    Data(u64),
    /// The line end behind a chunk's data.
    End,
    /// Lines behind the last chunk; they say nothing to us.
    Trailer,
    Over,
}

impl Framing {
    fn of(
        status: StatusCode,
        method: &Method,
        headers: &HeaderMap,
        is_old: bool,
    ) -> io::Result<Self> {
        if method == Method::HEAD
            || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        {
            return Ok(Self::Length(0));
        }
        if let Some(coding) = headers.get_all(header::TRANSFER_ENCODING).iter().next_back() {
            let coding = coding.to_str().unwrap_or_default().rsplit(',').next().unwrap_or_default();
            return match coding.trim() {
                _ if is_old => Err(garbage("HTTP/1.0 has no transfer encoding")),
                it if it.eq_ignore_ascii_case("chunked") => Ok(Self::Chunked(Chunk::Size)),
                _ => Ok(Self::UntilClose),
            };
        }
        let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
        let Some(first) = lengths.next() else { return Ok(Self::UntilClose) };
        let digits = first.to_str().ok().filter(|it| it.bytes().all(|it| it.is_ascii_digit()));
        match digits.and_then(|it| it.parse().ok()) {
            Some(length) if lengths.all(|it| it == first) => Ok(Self::Length(length)),
            _ => Err(garbage("the length is none")),
        }
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunk::Over))
    }

    /// Takes what there is of the body off `bytes`; empty when more has to be read first.
    pub(super) fn take(&mut self, bytes: &mut Bytes) -> io::Result<Bytes> {
        match self {
            Self::UntilClose => Ok(std::mem::take(bytes)),
            Self::Length(left) => Ok(take_some(bytes, left)),
            Self::Chunked(chunk) => chunk.take(bytes),
        }
    }
}

fn take_some(bytes: &mut Bytes, left: &mut u64) -> Bytes {
    let some = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
    *left -= some as u64;
    bytes.split_to(some)
}

impl Chunk {
    /// The data of all chunks in `bytes`, as one piece. What is good before a fault comes first; the
    /// fault is still there the next time.
    fn take(&mut self, bytes: &mut Bytes) -> io::Result<Bytes> {
        let (mut first, mut rest) = (Bytes::new(), BytesMut::new());
        loop {
            match self.step(bytes) {
                Ok(Some(data)) if data.is_empty() => {} // a size, or an end
                Ok(Some(data)) if first.is_empty() => first = data,
                Ok(Some(data)) => {
                    if rest.is_empty() {
                        rest.extend_from_slice(&first);
                    }
                    rest.extend_from_slice(&data);
                }
                Err(error) if first.is_empty() => return Err(error),
                Ok(None) | Err(_) => break,
            }
        }
        Ok(if rest.is_empty() { first } else { rest.freeze() })
    }

    /// Goes on by one part; none when there is nothing more to take.
    fn step(&mut self, bytes: &mut Bytes) -> io::Result<Option<Bytes>> {
        let mut data = Bytes::new();
        match self {
            Self::Over => return Ok(None),
            // The parser takes a line without a size for the last chunk.
            Self::Size if bytes.first().is_some_and(|it| !it.is_ascii_hexdigit()) => {
                return Err(garbage("the size of a chunk is none"));
            }
            Self::Size => match httparse::parse_chunk_size(bytes) {
                Ok(httparse::Status::Complete((length, size))) => {
                    bytes.advance(length);
                    *self = if size == 0 { Self::Trailer } else { Self::Data(size) };
                }
                Ok(httparse::Status::Partial) if bytes.len() <= MAX_LINE => return Ok(None),
                _ => return Err(garbage("the size of a chunk is none")),
            },
            Self::Data(_) if bytes.is_empty() => return Ok(None),
            Self::Data(left) => {
                data = take_some(bytes, left);
                if *left == 0 {
                    *self = Self::End;
                }
            }
            Self::End => match bytes.get(..2) {
                Some(b"\r\n") => {
                    bytes.advance(2);
                    *self = Self::Size;
                }
                None if bytes.is_empty() || **bytes == *b"\r" => return Ok(None),
                _ => return Err(garbage("a chunk does not end where it says")),
            },
            Self::Trailer => match memchr::memchr(b'\n', bytes) {
                Some(end) if matches!(&*bytes.split_to(end + 1), b"\r\n" | b"\n") => {
                    *self = Self::Over;
                }
                Some(_) => {}
                None if bytes.len() <= MAX_LINE => return Ok(None),
                None => return Err(garbage("the trailer is too long")),
            },
        }
        Ok(Some(data))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A whole reply, fed in two pieces, as status and body; none where it is no HTTP.
    fn read(reply: &[u8], cut: usize) -> Option<(u16, Vec<u8>, bool)> {
        let (mut ahead, mut rest) = (Bytes::copy_from_slice(&reply[..cut]), &reply[cut..]);
        let more = |ahead: &mut Bytes, rest: &mut &[u8]| {
            let all = [&**ahead, *rest].concat();
            *rest = b"";
            *ahead = all.into();
        };
        let mut head = loop {
            match take_head(&mut ahead, &Method::POST).ok()? {
                Some(head) => break head,
                None if rest.is_empty() => return None,
                None => more(&mut ahead, &mut rest),
            }
        };
        let mut body = Vec::new();
        while !head.body.is_over() {
            let data = head.body.take(&mut ahead).ok()?;
            if data.is_empty() && !head.body.is_over() {
                if rest.is_empty() {
                    return (head.body == Framing::UntilClose).then_some((
                        head.status.as_u16(),
                        body,
                        head.keeps,
                    ));
                }
                more(&mut ahead, &mut rest);
            }
            body.extend_from_slice(&data);
        }
        Some((head.status.as_u16(), body, head.keeps))
    }

    #[test]
    fn a_body_ends_where_its_framing_says_wherever_it_is_cut() {
        let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n";
        for (reply, wanted) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", Some((200, "hi", true))),
            ("HTTP/1.1 204 No\r\ncontent-length: 2\r\n\r\n", Some((204, "", true))),
            (
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200\r\ncontent-length: 0\r\n\r\n",
                Some((200, "", true)),
            ),
            (
                "HTTP/1.1 200 OK\r\nconnection: x, Close\r\ncontent-length: 1\r\n\r\na",
                Some((200, "a", false)),
            ),
            ("HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\na", Some((200, "a", false))),
            ("HTTP/1.1 200 OK\r\n\r\nto the end", Some((200, "to the end", false))),
            (&format!("{chunked}\r\n2\r\nhi\r\n1;x=y\r\n!\r\n0\r\n\r\n"), Some((200, "hi!", true))),
            (&format!("{chunked}\r\n2\r\nhi\r\n0\r\nx: y\r\n\r\n"), Some((200, "hi", true))),
            (&format!("{chunked}content-length: 9\r\n\r\n0\r\n\r\n"), Some((200, "", false))),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nhi",
                Some((200, "hi", true)),
            ),
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nhi", None),
            ("HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\nhi", None),
            ("HTTP/1.1 101 Switching\r\n\r\n", None),
            ("HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", None),
            (&format!("{chunked}\r\nzz\r\n"), None),
            (&format!("{chunked}\r\n2\r\nhi!\r\n"), None),
            (&format!("{chunked}\r\n2\r\nhi\r\n\r\n\r\n"), None),
            (&format!("{chunked}\r\n2\r\nhi\r\n;\r\n\r\n"), None),
            (&format!("{chunked}\r\n2\r\nhi\r\n"), None),
            ("HTTP/1.1 200 OK\r\nbad header\r\n\r\n", None),
            ("<html>", None),
        ] {
            for cut in 0..=reply.len() {
                let got = read(reply.as_bytes(), cut);
                let wanted = wanted.map(|(status, body, keeps)| (status, body.into(), keeps));
                assert_eq!(got, wanted, "{reply:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn a_request_names_its_host_and_its_length() {
        let request = http::Request::post("https://h:1/v1/a?b=c").header("x", "y");
        let (head, ()) = request.body(()).unwrap().into_parts();
        let wanted = b"POST /v1/a?b=c HTTP/1.1\r\nhost: h:1\r\nx: y\r\ncontent-length: 3\r\n\r\n";
        assert_eq!(write_head(&head, 3), &wanted[..]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in any::<Vec<u8>>(), cut in any::<prop::sample::Index>()) {
            let reply = [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", &*bytes].concat();
            let _ = (read(&bytes, cut.index(bytes.len() + 1)), read(&reply, cut.index(reply.len())));
        }
    }
}
