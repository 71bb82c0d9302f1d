//! What can be called: the built-in presets, the providers of the file, their model lists, and
//! what their models cost.

pub mod embedded;
pub mod lists;
pub mod preset;
pub mod price;
pub mod price_table;
pub mod provider;

pub use lists::{Lists, ModelList};
pub use preset::{Auth, Preset};
pub use price::{Fee, Price, Rate, Rates, Tier};
pub use price_table::{
    LearnedPrices, PriceOverride, PriceSource, PriceTable, Priced, ProviderPrices,
};
pub use provider::{Credential, Provider};
