//! What torod learned: entries, counters, who made which response, last good model lists.
//!
//! Entries and counters live in memory; the types are those that a database will hold.

pub mod counters;
pub mod db;
pub mod ledger;
pub mod lists;
pub mod prices;
pub mod responses;
mod schema;

pub use counters::{Counters, Hold};
pub use db::{Store, StoreError};
pub use ledger::{Entry, Ledger, Outcome};
pub use responses::Responses;
