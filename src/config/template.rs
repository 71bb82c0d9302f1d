//! The commented first file, which shows every key.

/// `assets/torod.toml`, with the digest of a first admin key in its place.
pub fn first_file(key_id: &str, key_hash: &str) -> String {
    include_str!("../../assets/torod.toml")
        .replace("@KEY_ID@", key_id)
        .replace("@KEY_HASH@", key_hash)
}
