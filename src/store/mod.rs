//! What torod learned: entries, counters, who made which response, last good model lists.
//!
//! One `SQLite` database holds what must survive ([`db`] says how it is written). Counters and who
//! made which response live in memory.

pub mod counters;
pub mod db;
mod entries;
pub mod ledger;
pub mod lists;
mod names;
mod open;
pub mod prices;
mod prune;
pub mod query;
pub mod query_sums;
pub mod responses;
mod schema;
mod sums;
mod writer;

pub use counters::{Counters, Hold};
pub use db::{Condition, Store, StoreError};
pub use ledger::{Entry, Ledger, Outcome};
pub use prune::Keep;
pub use responses::Responses;
