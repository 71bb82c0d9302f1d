//! Encoded bodies, decoded with a limit that counts what comes out.

use std::io::{self, Read};

use http::HeaderMap;

const PIECE: u64 = 256 * 1024;

#[derive(Debug, thiserror::Error)]
pub(super) enum DecodeError {
    #[error("the decoded body is larger than {0} bytes")]
    TooLarge(usize),
    #[error("the body is not in the encoding that `Content-Encoding` names")]
    Broken(#[source] io::Error),
    #[error("the encoding `{0}` is not supported; use gzip, deflate, br or zstd")]
    Unknown(String),
    #[error("the body is encoded more than three times")]
    TooMany,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// The encodings of a message, the last applied first.
fn encodings(headers: &HeaderMap) -> Result<Vec<Encoding>, DecodeError> {
    let mut found = Vec::new();
    for value in headers.get_all(http::header::CONTENT_ENCODING) {
        for word in value.to_str().unwrap_or("?").split(',') {
            found.push(match word.trim().to_ascii_lowercase().as_str() {
                "identity" | "" => continue,
                "gzip" | "x-gzip" => Encoding::Gzip,
                "deflate" => Encoding::Deflate,
                "br" => Encoding::Brotli,
                "zstd" => Encoding::Zstd,
                other => return Err(DecodeError::Unknown(other.chars().take(32).collect())),
            });
        }
    }
    found.reverse();
    if found.len() > 3 { Err(DecodeError::TooMany) } else { Ok(found) }
}

/// What the first bytes say, for clients that name no encoding.
fn sniff(body: &[u8]) -> Option<Encoding> {
    match body {
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Encoding::Zstd),
        [0x1f, 0x8b, ..] => Some(Encoding::Gzip),
        [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..] => Some(Encoding::Deflate),
        _ => None,
    }
}

fn looks_like_json(body: &[u8]) -> bool {
    body.iter().find(|it| !it.is_ascii_whitespace()).is_some_and(|it| matches!(it, b'{' | b'['))
}

/// Whether a body has to be decoded at all.
pub(super) fn is_encoded(headers: &HeaderMap, body: &[u8]) -> bool {
    headers.contains_key(http::header::CONTENT_ENCODING) || sniff(body).is_some()
}

/// The decoded body. Plain JSON under a wrong `Content-Encoding` is taken as it is.
pub(super) fn decode(
    headers: &HeaderMap,
    body: &[u8],
    limit: usize,
) -> Result<Vec<u8>, DecodeError> {
    let mut named = encodings(headers)?;
    if named.is_empty() {
        named.extend(sniff(body));
    }
    let mut current = body.to_vec();
    for encoding in named {
        match undo(encoding, &current, limit) {
            Err(DecodeError::Broken(_)) if looks_like_json(&current) => {}
            other => current = other?,
        }
    }
    Ok(current)
}

fn undo(encoding: Encoding, body: &[u8], limit: usize) -> Result<Vec<u8>, DecodeError> {
    match encoding {
        Encoding::Gzip => read(flate2::read::MultiGzDecoder::new(body), limit),
        // Named alike, both of these are in use: with zlib's head and without.
        Encoding::Deflate => match read(flate2::read::ZlibDecoder::new(body), limit) {
            Err(DecodeError::Broken(_)) => read(flate2::read::DeflateDecoder::new(body), limit),
            other => other,
        },
        Encoding::Brotli => read(brotli_decompressor::Decompressor::new(body, 8192), limit),
        Encoding::Zstd => {
            let decoder = ruzstd::decoding::StreamingDecoder::new(body);
            read(
                decoder.map_err(|it| DecodeError::Broken(io::Error::other(it.to_string())))?,
                limit,
            )
        }
    }
}

/// Gathered in pieces: a bomb never costs more than the limit, as a buffer that doubles would.
fn read(mut reader: impl Read, limit: usize) -> Result<Vec<u8>, DecodeError> {
    let (mut pieces, mut length) = (Vec::new(), 0);
    loop {
        let mut piece = Vec::new();
        reader.by_ref().take(PIECE).read_to_end(&mut piece).map_err(DecodeError::Broken)?;
        length += piece.len();
        if length > limit {
            return Err(DecodeError::TooLarge(limit));
        }
        if piece.is_empty() {
            return Ok(if pieces.len() == 1 { pieces.remove(0) } else { pieces.concat() });
        }
        pieces.push(piece);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use http::HeaderValue;

    use super::*;

    fn named(encoding: &str) -> HeaderMap {
        HeaderMap::from_iter([(
            http::header::CONTENT_ENCODING,
            HeaderValue::from_str(encoding).unwrap(),
        )])
    }

    fn gzip(body: &[u8]) -> Vec<u8> {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        writer.write_all(body).unwrap();
        writer.finish().unwrap()
    }

    #[test]
    fn what_was_encoded_is_decoded_within_the_limit() {
        let plain = br#"{"model":"m"}"#;
        assert_eq!(decode(&named("gzip"), &gzip(plain), 99).unwrap(), plain);
        assert_eq!(
            decode(&HeaderMap::new(), &gzip(plain), 99).unwrap(),
            plain,
            "found by its magic"
        );
        assert_eq!(decode(&named("gzip, gzip"), &gzip(&gzip(plain)), 99).unwrap(), plain);
        assert_eq!(decode(&named("gzip"), plain, 99).unwrap(), plain, "a wrong header is forgiven");
        assert_eq!(decode(&named("identity"), plain, 99).unwrap(), plain);
        let bomb = gzip(&vec![0; 10_000_000]);
        assert!(matches!(decode(&named("gzip"), &bomb, 1000), Err(DecodeError::TooLarge(1000))));
        assert!(matches!(decode(&named("br"), b"\xff\xff\xff", 99), Err(DecodeError::Broken(_))));
        assert!(matches!(decode(&named("lzma"), plain, 99), Err(DecodeError::Unknown(_))));
        assert!(matches!(decode(&named("br,br,br,br"), plain, 99), Err(DecodeError::TooMany)));
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        zlib.write_all(plain).unwrap();
        assert_eq!(decode(&named("deflate"), &zlib.finish().unwrap(), 99).unwrap(), plain);
        let zstd = ruzstd::encoding::compress_to_vec(
            &plain[..],
            ruzstd::encoding::CompressionLevel::Fastest,
        );
        assert_eq!(decode(&named("zstd"), &zstd, 99).unwrap(), plain);
    }
}
