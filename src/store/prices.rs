//! The last good prices of providers, in a cache file that may be deleted at any time.

use std::{collections::BTreeMap, io, path::Path, sync::Arc};

use crate::{
    api::{PriceEntry, PriceState, Pricing},
    base::file,
    catalog::{LearnedPrices, PriceSource, ProviderPrices},
};

const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// What was learned last; an absent or damaged file is no prices.
pub fn load(path: &Path) -> LearnedPrices {
    let read = file::read(path, MAX_BYTES);
    let read = read.and_then(|it| serde_json::from_slice(&it).map_err(io::Error::from));
    match read {
        Ok(cache) => learned(&cache),
        Err(error) if error.kind() == io::ErrorKind::NotFound => LearnedPrices::new(),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "the cache of prices cannot be read and is ignored");
            LearnedPrices::new()
        }
    }
}

pub fn save(path: &Path, prices: &LearnedPrices) -> io::Result<()> {
    file::create_directory(file::directory_of(path))?;
    file::replace(path, &serde_json::to_vec_pretty(&cache(prices))?)
}

/// Prices in the form of the file and of the API.
pub fn cache(prices: &LearnedPrices) -> Pricing {
    let mut told = Pricing::default();
    for (provider, it) in prices {
        told.updated_at = told.updated_at.max(it.last_update);
        let state = PriceState {
            last_attempt: it.last_attempt,
            last_update: it.last_update,
            last_error: it.last_error.clone(),
            age_seconds: None,
            service: Some(it.service.clone()),
        };
        told.provider_states.insert(provider.to_string(), state);
        for (model, price) in &it.models {
            let entry = PriceEntry {
                provider: provider.to_string(),
                model: model.clone(),
                currency: "USD".to_owned(),
                price: price.clone(),
                discovered_at: it.last_update,
                source: it.source.name().to_owned(),
                version: None,
                suspicious: price.is_suspicious(),
            };
            told.entries.insert(format!("{provider}/{model}"), entry);
        }
    }
    told
}

/// The Go original's file says no service; its prices are not taken for those of any address, and
/// only how its provider did is read.
fn learned(cache: &Pricing) -> LearnedPrices {
    let mut found: BTreeMap<&str, ProviderPrices> = BTreeMap::new();
    for (name, state) in &cache.provider_states {
        let Some(service) = state.service.clone() else { continue };
        let prices = ProviderPrices {
            service,
            source: PriceSource::Models,
            last_attempt: state.last_attempt,
            last_update: state.last_update,
            last_error: state.last_error.clone(),
            models: BTreeMap::new(),
        };
        found.insert(name, prices);
    }
    for entry in cache.entries.values().filter(|it| it.currency == "USD") {
        let source = PriceSource::ALL.into_iter().find(|it| it.name() == entry.source);
        if let (Some(prices), Some(source)) = (found.get_mut(entry.provider.as_str()), source) {
            prices.source = source;
            prices.models.insert(entry.model.clone(), entry.price.clone());
        }
    }
    found.into_iter().map(|(name, prices)| (name.into(), Arc::new(prices))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_loaded_and_the_go_original_s_file_does_no_harm() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cache/pricing-cache.json");
        assert!(load(&path).is_empty());
        let at: jiff::Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
        let price = serde_json::from_str(
            r#"{"input_per_1m":0.1,"per_request":0.5,"tiers":[{"above_tokens":9,"input_per_1m":0.2}]}"#,
        );
        let prices = ProviderPrices {
            service: "s".to_owned(),
            source: PriceSource::Cerebras,
            last_attempt: at,
            last_update: Some(at),
            last_error: Some("no".to_owned()),
            models: BTreeMap::from([("a/b".to_owned(), price.unwrap())]),
        };
        let all = LearnedPrices::from([("p".into(), Arc::new(prices))]);
        save(&path, &all).unwrap();
        assert_eq!(load(&path), all);
        let go = r#"{"updated_at":"2026-01-01T00:00:00Z","provider_states":{"p":{"last_attempt":"2026-01-01T00:00:00Z","last_update":"2026-01-01T00:00:00Z"}},"entries":{"p/m":{"provider":"p","model":"m","currency":"USD","input_per_1m":1,"output_per_1m":2,"discovered_at":"2026-01-01T00:00:00Z","source":"models-endpoint"}}}"#;
        for text in [go, "", "{", "[]", "null"] {
            std::fs::write(&path, text).unwrap();
            assert!(load(&path).is_empty(), "{text}");
        }
    }
}
