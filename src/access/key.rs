//! What callers present, and the table that finds it by digest.

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;

use super::{Pattern, Role};
use crate::base::digest;

/// A key as the file describes it; the presented text itself is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    pub id: Arc<str>,
    pub name: Arc<str>,
    pub role: Role,
    pub parent: Option<Arc<str>>,
    /// SHA-256 of the whole presented key; none when its secret could not be read, then it never
    /// matches.
    pub digest: Option<[u8; 32]>,
    pub expires_at: Option<Timestamp>,
    /// The models it may use; none means all.
    pub models: Option<Vec<Pattern>>,
}

impl Key {
    fn is_live(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }

    fn allows(&self, names: &[&str]) -> bool {
        self.models
            .as_ref()
            .is_none_or(|list| list.iter().any(|it| names.iter().any(|name| it.matches(name))))
    }
}

/// All keys, found by the digest of what is presented: nothing is compared byte by byte.
#[derive(Debug, Default)]
pub struct KeyTable {
    by_digest: HashMap<[u8; 32], Arc<Key>>,
    by_id: HashMap<Arc<str>, Arc<Key>>,
}

impl KeyTable {
    pub fn new(keys: impl IntoIterator<Item = Arc<Key>>) -> Self {
        let mut table = Self::default();
        for key in keys {
            if let Some(digest) = key.digest {
                table.by_digest.insert(digest, Arc::clone(&key));
            }
            table.by_id.insert(Arc::clone(&key.id), key);
        }
        table
    }

    /// The key that was presented, if it and all its ancestors are live. Unknown, expired and
    /// orphaned are the same answer.
    pub fn admit(&self, presented: &str, now: Timestamp) -> Option<Arc<Key>> {
        let key = self.by_digest.get(&digest(presented))?;
        self.lives(key, now).then(|| Arc::clone(key))
    }

    /// Whether a key and all its ancestors are live.
    pub fn lives(&self, key: &Arc<Key>, now: Timestamp) -> bool {
        self.lineage(key).all(|it| it.is_some_and(|it| it.is_live(now)))
    }

    /// Whether somebody can administer with a key.
    pub fn has_live_admin(&self, now: Timestamp) -> bool {
        let mut admins = self.by_id.values().filter(|it| it.role == Role::Admin);
        admins.any(|it| it.digest.is_some() && self.lives(it, now))
    }

    /// Whether a key and all its ancestors allow a model, under any of the names it goes by.
    pub fn allows(&self, key: &Arc<Key>, names: &[&str]) -> bool {
        self.lineage(key).all(|it| it.is_some_and(|it| it.allows(names)))
    }

    /// A key, its parent, and so on; `None` for a parent that does not exist. Ends in a circle too.
    fn lineage<'a>(&'a self, key: &'a Arc<Key>) -> impl Iterator<Item = Option<&'a Arc<Key>>> {
        std::iter::successors(Some(Some(key)), |it| {
            it.and_then(|it| it.parent.as_ref()).map(|parent| self.by_id.get(parent))
        })
        .take(self.by_id.len() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str, parent: Option<&str>, expires: Option<i64>, models: Option<&str>) -> Arc<Key> {
        Arc::new(Key {
            id: id.into(),
            name: id.into(),
            role: Role::Inferrer,
            parent: parent.map(Into::into),
            digest: Some(digest(format!("sk-{id}"))),
            expires_at: expires.map(|it| Timestamp::from_second(it).unwrap()),
            models: models.map(|it| vec![Pattern::new(it)]),
        })
    }

    #[test]
    fn a_key_lives_as_long_as_all_its_ancestors() {
        let table = KeyTable::new([
            key("root", None, Some(100), Some("a/*")),
            key("child", Some("root"), None, None),
            key("orphan", Some("gone"), None, None),
            key("self", Some("self"), None, None),
        ]);
        let admits = |presented: &str, at: i64| {
            table.admit(presented, Timestamp::from_second(at).unwrap()).is_some()
        };
        for (presented, at, wanted) in [
            ("sk-root", 99, true),
            ("sk-root", 100, false),
            ("sk-child", 99, true),
            ("sk-child", 100, false),
            ("sk-orphan", 0, false),
            ("sk-self", 0, true),
            ("sk-nobody", 0, false),
            ("", 0, false),
        ] {
            assert_eq!(admits(presented, at), wanted, "{presented} at {at}");
        }
        let child = table.admit("sk-child", Timestamp::UNIX_EPOCH).unwrap();
        assert!(table.allows(&child, &["x", "a/x"]), "any of its names");
        assert!(!table.allows(&child, &["b/x"]), "a child has no more than its parent");
    }
}
