//! The last good model lists, in a cache file that may be deleted at any time.

use std::{collections::BTreeMap, io, path::Path, sync::Arc};

use crate::{base::file, catalog::ModelList};

const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// What was learned last; an absent or damaged file is no lists.
pub fn load(path: &Path) -> BTreeMap<Arc<str>, Arc<ModelList>> {
    match file::read(path, MAX_BYTES) {
        Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
            tracing::warn!(path = %path.display(), %error, "the cache of model lists is damaged and is ignored");
            BTreeMap::new()
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "the cache of model lists cannot be read");
            BTreeMap::new()
        }
    }
}

pub fn save(path: &Path, lists: &BTreeMap<Arc<str>, Arc<ModelList>>) -> io::Result<()> {
    file::create_directory(file::directory_of(path))?;
    file::replace(path, &serde_json::to_vec(lists)?)
}
