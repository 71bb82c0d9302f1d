//! New keys for callers.

use crate::base::{digest, hex};

const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// `tr_<id>_<secret>_<crc>`: 10 and 32 characters from the system's random source, and the CRC-32
/// of all before it in 6 more, so that scanners of leaked secrets can tell one.
pub struct NewKey {
    pub id: String,
    /// The key; shown once.
    pub text: String,
}

impl std::fmt::Debug for NewKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NewKey({})", self.id)
    }
}

impl NewKey {
    pub fn make() -> Result<Self, getrandom::Error> {
        let (id, secret) = (random(10)?, random(32)?);
        let body = format!("tr_{id}_{secret}");
        let mut rest = crc32fast::hash(body.as_bytes());
        let mut crc = [b'0'; 6];
        for place in crc.iter_mut().rev() {
            *place = LETTERS[(rest % 62) as usize];
            rest /= 62;
        }
        let text = format!("{body}_{}", String::from_utf8_lossy(&crc));
        Ok(Self { id, text })
    }

    /// What the file keeps of it.
    pub fn hash(&self) -> String {
        hash(&self.text)
    }
}

/// `key_hash` of a key.
pub fn hash(key: &str) -> String {
    format!("sha256:{}", hex(&digest(key)))
}

/// Letters from the system's random source. Bytes that would favour some letters are left out.
fn random(length: usize) -> Result<String, getrandom::Error> {
    let mut text = String::with_capacity(length);
    while text.len() < length {
        let mut bytes = [0; 64];
        getrandom::fill(&mut bytes)?;
        let fair = bytes
            .iter()
            .filter(|it| **it < 248)
            .map(|it| char::from(LETTERS[usize::from(*it) % 62]));
        text.extend(fair.take(length - text.len()));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_its_parts_and_no_two_are_alike() {
        let (a, b) = (NewKey::make().unwrap(), NewKey::make().unwrap());
        let parts: Vec<_> = a.text.split('_').collect();
        assert_eq!(parts.iter().map(|it| it.len()).collect::<Vec<_>>(), [2, 10, 32, 6]);
        assert_eq!(parts[1], a.id);
        assert!(parts[1..].iter().all(|it| it.bytes().all(|it| LETTERS.contains(&it))));
        assert_ne!(a.text, b.text);
        assert!(!format!("{a:?}").contains(parts[2]));
    }
}
