//! Money in integer pico-dollars: a price per million tokens times tokens is exact.

use serde::{Deserialize, Serialize};

/// United States dollars in units of 10^-12.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Hash,
)]
pub struct Usd(pub u64);
