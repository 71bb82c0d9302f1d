//! The public list of Cerebras: the shape of a model list with prices, and no key is needed.

use super::{Prices, Source, metadata};
use crate::catalog::{PriceSource, Provider};

#[derive(Debug)]
pub(super) struct Cerebras;

impl Source for Cerebras {
    fn kind(&self) -> PriceSource {
        PriceSource::Cerebras
    }

    fn url(&self, provider: &Provider) -> Option<String> {
        let base = provider.base_url.as_ref().filter(|_| provider.preset.name == "cerebras")?;
        Some(base.join("/public/v1/models").ok()?.to_string())
    }

    fn is_private(&self) -> bool {
        false
    }

    fn read(&self, bytes: &[u8], _: &Provider) -> Option<Prices> {
        Some(metadata::prices(&serde_json::from_slice(bytes).ok()?))
    }
}
