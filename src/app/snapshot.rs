//! One generation of everything a request looks at: immutable, pinned by each request.

use std::{net::IpAddr, sync::Arc};

use http::HeaderValue;

use crate::{
    access::KeyTable,
    catalog::{LearnedPrices, Lists, PriceTable, Priced, Provider},
    config::{Config, Revision},
    routing::Table,
};

/// What torod found out, as against what the file says.
#[derive(Debug, Clone, Default)]
pub struct Learned {
    pub lists: Arc<Lists>,
    /// Providers that are there without being in the file.
    pub found: Vec<Arc<Provider>>,
    /// What providers say that their models cost.
    pub prices: Arc<LearnedPrices>,
    /// Where containers on this machine come from.
    pub docker_host: Option<IpAddr>,
}

/// The live value.
#[derive(Debug)]
pub struct Snapshot {
    pub config: Arc<Config>,
    pub revision: Revision,
    /// How many texts or sets of secrets went live so far.
    pub generation: u64,
    /// The same, as each reply carries it.
    pub generation_header: HeaderValue,
    pub loaded_at: jiff::Timestamp,
    pub keys: Arc<KeyTable>,
    pub table: Table,
    pub prices: PriceTable,
    pub learned: Learned,
}

/// Which text this is, and when it went live.
#[derive(Debug, Clone, Copy)]
pub struct Identity {
    pub revision: Revision,
    pub generation: u64,
    pub loaded_at: jiff::Timestamp,
}

impl Snapshot {
    pub fn build(
        config: Arc<Config>,
        keys: Arc<KeyTable>,
        identity: Identity,
        learned: Learned,
    ) -> Self {
        let in_file = |name: &str| config.providers.iter().any(|it| &*it.name == name);
        // A provider of the file wins over a found one of its name, also when it is disabled.
        let found = learned.found.iter().filter(|it| !in_file(&it.name));
        let providers: Vec<_> =
            config.providers.iter().filter(|it| it.enabled).chain(found).cloned().collect();
        let prices = PriceTable::new(
            &config.price_sources,
            &config.prices,
            &identity.revision.to_string(),
            &providers,
            &learned.prices,
        );
        let table = Table::new(
            providers,
            &config.models,
            config.default_provider.as_deref(),
            Arc::clone(&learned.lists),
        );
        let Identity { revision, generation, loaded_at } = identity;
        let generation_header = HeaderValue::from(generation);
        Self {
            config,
            revision,
            generation,
            generation_header,
            loaded_at,
            keys,
            table,
            prices,
            learned,
        }
    }

    /// What a model costs, as far as it is known.
    pub fn price(&self, provider: &str, model: &str) -> Option<Priced<'_>> {
        self.prices.find(self.table.provider(provider)?, model)
    }

    pub(super) fn identity(&self) -> Identity {
        let Self { revision, generation, loaded_at, .. } = *self;
        Identity { revision, generation, loaded_at }
    }
}
