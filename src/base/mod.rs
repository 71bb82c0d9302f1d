//! Words that every layer needs: secrets, usage, money, whole files. No `crate::` import.

pub mod file;
pub mod money;
pub mod secret;
pub mod usage;

pub use money::Usd;
pub use secret::Secret;
pub use usage::Usage;

/// SHA-256 of some bytes: the identity of a text, of a key, of a secret.
pub fn digest(bytes: impl AsRef<[u8]>) -> [u8; 32] {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes.as_ref()).into()
}

/// A text of somebody else's as it may stand in a log: without characters that steer a
/// terminal or turn the writing around.
pub fn printable(text: &str) -> std::borrow::Cow<'_, str> {
    if text.bytes().all(|it| matches!(it, b' '..=b'~')) {
        text.into()
    } else {
        text.escape_debug().to_string().into()
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let digit = |it: u8| char::from_digit(u32::from(it), 16).unwrap_or('0');
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
        text
    })
}

/// The opposite of [`hex`], for exactly 32 bytes.
pub fn digest_from_hex(text: &str) -> Option<[u8; 32]> {
    let mut out = [0; 32];
    if text.len() != 64 || !text.bytes().all(|it| it.is_ascii_hexdigit()) {
        return None;
    }
    for (at, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).ok()?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_goes_there_and_back() {
        let bytes = digest("x");
        assert_eq!(digest_from_hex(&hex(&bytes)), Some(bytes));
        for bad in ["", "zz", &"g".repeat(64), &"é".repeat(32)] {
            assert_eq!(digest_from_hex(bad), None, "{bad}");
        }
    }
}
