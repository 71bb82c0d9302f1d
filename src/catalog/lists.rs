//! Which provider lists which models: what was learned last, kept while a provider is away.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

/// One provider's model list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelList {
    /// Ids as the provider knows them, without the provider's name.
    pub models: Vec<String>,
    pub fetched_at: jiff::Timestamp,
}

/// All lists that were ever loaded, by provider, with an index from id to provider.
#[derive(Debug, Clone, Default)]
pub struct Lists {
    by_provider: BTreeMap<Arc<str>, Arc<ModelList>>,
    listed_by: HashMap<String, Vec<Arc<str>>>,
}

impl Lists {
    pub fn new(by_provider: BTreeMap<Arc<str>, Arc<ModelList>>) -> Self {
        let mut listed_by: HashMap<String, Vec<Arc<str>>> = HashMap::new();
        for (provider, list) in &by_provider {
            for model in &list.models {
                listed_by.entry(model.clone()).or_default().push(Arc::clone(provider));
            }
        }
        Self { by_provider, listed_by }
    }

    pub fn of(&self, provider: &str) -> Option<&Arc<ModelList>> {
        self.by_provider.get(provider)
    }

    /// The providers that list an id, in the order of their names.
    pub fn listing(&self, model: &str) -> &[Arc<str>] {
        self.listed_by.get(model).map_or(&[], Vec::as_slice)
    }

    pub fn all(&self) -> &BTreeMap<Arc<str>, Arc<ModelList>> {
        &self.by_provider
    }
}
