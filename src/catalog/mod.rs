//! What can be called: the built-in presets, the providers of the file, and their model lists.

pub mod lists;
pub mod preset;
pub mod provider;

pub use lists::{Lists, ModelList};
pub use preset::{Auth, Preset};
pub use provider::{Credential, Provider};
