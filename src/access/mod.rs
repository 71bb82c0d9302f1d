//! Who may do what, as pure functions of keys, rules and the time.

pub mod key;
pub mod new_key;
pub mod origin;
pub mod pattern;
pub mod role;

pub use key::{Key, KeyTable};
pub use new_key::NewKey;
pub use pattern::Pattern;
pub use role::{Right, Role};
