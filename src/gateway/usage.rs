//! `GET /v1/usage`: a caller's own entries, and what they cost.

use crate::{
    door::{Answer, Caller, Visit, usage},
    store::query::Owner,
};

pub(super) async fn own(visit: Visit) -> Answer {
    usage::answer(&visit.app, owner(&visit.caller), visit.head.uri.query()).await
}

/// Whose entries a caller may see here: its own, also where it is an admin. Whoever needs no key sees
/// those of all who need none.
pub(super) fn owner(caller: &Caller) -> Owner {
    Owner::Key(caller.key.as_ref().map(|it| it.id.to_string()))
}
