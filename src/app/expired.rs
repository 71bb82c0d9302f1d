//! Removes expired keys from the file, where the file asks for it, by the door that all edits take.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use super::{
    Live,
    edit::{Author, Change, EditFailure, Guard, Input},
};
use crate::{
    access::{Key, KeyTable, Role},
    config::edit::{Edit, Kind},
};

/// Clocks are set, and machines sleep: nothing is waited for longer without a look.
const AT_MOST: Duration = Duration::from_mins(10);
const AT_LEAST: Duration = Duration::from_secs(1);

/// The task: at the start, after each swap, and when the next key ends.
pub async fn keep_removed(live: Arc<Live>) {
    let mut changed = live.subscribe();
    loop {
        let next = remove(&live).await;
        tokio::select! {
            swapped = changed.changed() => if swapped.is_err() { return },
            () = tokio::time::sleep(next) => {}
        }
    }
}

/// Removes what has ended; the time until the next look.
async fn remove(live: &Arc<Live>) -> Duration {
    let (snapshot, now) = (live.snapshot(), Timestamp::now());
    let config = &snapshot.config;
    if !config.remove_expired || live.locked().is_some() {
        return AT_MOST;
    }
    let ended = ended(&config.keys, &snapshot.keys, now);
    if ended.is_empty() {
        let next = config.keys.iter().filter_map(|it| it.expires_at).filter(|it| *it > now).min();
        let wait = next.and_then(|it| Duration::try_from(it.duration_since(now)).ok());
        return wait.unwrap_or(AT_MOST).clamp(AT_LEAST, AT_MOST);
    }
    let remove = |name: String| Edit::Remove { kind: Kind::Key, name };
    let change = Change {
        input: Input::Edits(ended.into_iter().map(remove).collect()),
        // What was decided on this text holds for this text.
        guard: Guard::Revision(snapshot.revision.to_string()),
        dry_run: false,
        by: Author { who: "torod".to_owned(), from: "auto_remove_expired_tokens".to_owned() },
    };
    match live.edit(change).await {
        Ok(_) | Err(EditFailure::Stale { .. }) => AT_LEAST,
        Err(_) => AT_MOST, // said by the audit line
    }
}

/// The ids of keys that have ended. An admin stays where no other could still get in, and a parent as
/// long as a key below it stays: that one would be an orphan.
fn ended(keys: &[Arc<Key>], table: &KeyTable, now: Timestamp) -> Vec<String> {
    let has_ended = |it: &Key| it.expires_at.is_some_and(|end| end <= now);
    let is_admin = |it: &Key| it.role == Role::Admin;
    let has_admin =
        keys.iter().any(|it| is_admin(it) && it.digest.is_some() && table.lives(it, now));
    let mut gone: Vec<&Arc<Key>> =
        keys.iter().filter(|it| has_ended(it) && (has_admin || !is_admin(it))).collect();
    loop {
        let before = gone.len();
        let stays = |id: &str| !gone.iter().any(|it| *it.id == *id);
        let parents: Vec<_> =
            keys.iter().filter(|it| stays(&it.id)).filter_map(|it| it.parent.clone()).collect();
        gone.retain(|it| !parents.contains(&it.id));
        if gone.len() == before {
            return gone.into_iter().map(|it| it.id.to_string()).collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::digest;

    fn key(id: &str, role: Role, parent: Option<&str>, end: Option<i64>) -> Arc<Key> {
        Arc::new(Key {
            id: id.into(),
            name: id.into(),
            role,
            parent: parent.map(Into::into),
            digest: Some(digest(id)),
            expires_at: end.map(|it| Timestamp::from_second(it).unwrap()),
            models: None,
        })
    }

    #[test]
    fn what_has_ended_goes_but_for_the_last_admin_and_for_parents() {
        let (admin, user) = (Role::Admin, Role::Inferrer);
        let root = key("root", admin, None, None);
        let old = key("old", admin, None, Some(5));
        let gone = key("gone", user, None, Some(5));
        let later = key("later", user, None, Some(50));
        let parent = key("parent", user, None, Some(5));
        let child = key("child", user, Some("parent"), None);
        let dead = key("dead", user, Some("parent"), Some(5));
        for (keys, wanted) in [
            (vec![&root, &old, &gone, &later], vec!["old", "gone"]),
            (vec![&old, &gone], vec!["gone"]),
            (vec![&root, &parent, &child], vec![]),
            (vec![&root, &parent, &dead], vec!["parent", "dead"]),
            (vec![&root, &parent, &child, &dead], vec!["dead"]),
        ] {
            let keys: Vec<_> = keys.into_iter().cloned().collect();
            let table = KeyTable::new(keys.iter().cloned());
            assert_eq!(ended(&keys, &table, Timestamp::from_second(9).unwrap()), wanted);
        }
    }
}
