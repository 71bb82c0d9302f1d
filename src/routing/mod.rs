//! From a model's name to the targets to try, and from a reply to what to do next.

pub mod route;
pub mod verdict;

pub use route::{NoRoute, Route, Table, Target, VirtualModel};
pub use verdict::Verdict;
