//! The five rules that find a model's provider.

use std::{collections::HashMap, sync::Arc};

use crate::{
    catalog::{Lists, Provider},
    llm::{Protocol, echo},
};

/// At most so many targets are tried for one request.
pub const MAX_TRIES: usize = 3;

/// A provider and the model to ask it for.
#[derive(Debug, Clone)]
pub struct Target {
    pub provider: Arc<Provider>,
    /// The id as the provider knows it.
    pub model: String,
}

/// The targets to try, best first; never empty.
#[derive(Debug, Clone)]
pub struct Route {
    pub targets: Vec<Target>,
}

/// A name of the file's own that stands for targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtualModel {
    pub name: Arc<str>,
    /// Provider and model, in the order to try.
    pub targets: Vec<(Arc<str>, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoRoute {
    #[error("no provider is enabled; add one to `torod.toml`")]
    NoProvider,
    #[error("the model `{name}` does not exist{}", near(.nearest))]
    Unknown { name: String, nearest: Vec<String> },
}

fn near(nearest: &[String]) -> String {
    match nearest {
        [] => String::new(),
        some => format!("; did you mean `{}`?", some.join("`, `")),
    }
}

/// All that a route is made of. Immutable: a new file or a new list makes a new table.
#[derive(Debug, Default)]
pub struct Table {
    /// Enabled providers in the order of the file, then those found on this machine.
    providers: Vec<Arc<Provider>>,
    by_name: HashMap<Arc<str>, Arc<Provider>>,
    virtuals: HashMap<Arc<str>, VirtualModel>,
    default: Option<Arc<Provider>>,
    lists: Arc<Lists>,
    /// An enabled provider's list was never loaded, so an unknown name proves nothing yet.
    cold: bool,
}

impl Table {
    pub fn new(
        providers: Vec<Arc<Provider>>,
        virtuals: &[VirtualModel],
        default: Option<&str>,
        lists: Arc<Lists>,
    ) -> Self {
        let by_name: HashMap<_, _> =
            providers.iter().map(|it| (Arc::clone(&it.name), Arc::clone(it))).collect();
        Self {
            default: default.and_then(|it| by_name.get(it)).or(providers.first()).cloned(),
            virtuals: virtuals.iter().map(|it| (Arc::clone(&it.name), it.clone())).collect(),
            cold: providers.iter().any(|it| !it.is_echo() && lists.of(&it.name).is_none()),
            providers,
            by_name,
            lists,
        }
    }

    pub fn providers(&self) -> &[Arc<Provider>] {
        &self.providers
    }

    /// Where models without a prefix go.
    pub fn default_provider(&self) -> Option<&Arc<Provider>> {
        self.default.as_ref()
    }

    /// What a provider has, as it knows it, and the file lets through.
    pub fn models_of(&self, provider: &Provider) -> Vec<String> {
        let own: Vec<String> = if provider.is_echo() {
            echo::MODELS.iter().map(ToString::to_string).collect()
        } else {
            self.lists.of(&provider.name).map(|it| it.models.clone()).unwrap_or_default()
        };
        own.into_iter().filter(|it| provider.offers(it)).collect()
    }

    pub fn provider(&self, name: &str) -> Option<&Arc<Provider>> {
        self.by_name.get(name)
    }

    pub fn virtuals(&self) -> impl Iterator<Item = &VirtualModel> {
        self.virtuals.values()
    }

    pub fn lists(&self) -> &Arc<Lists> {
        &self.lists
    }

    /// Where a request without a model goes.
    pub fn default_route(&self) -> Result<Route, NoRoute> {
        let provider = self.default.clone().ok_or(NoRoute::NoProvider)?;
        Ok(Route { targets: vec![Target { provider, model: String::new() }] })
    }

    /// The first rule that fits: `provider/model`; a virtual model; an id that a provider lists;
    /// the default provider; the first one.
    pub fn route(&self, name: &str) -> Result<Route, NoRoute> {
        let bare = name.strip_prefix("models/").unwrap_or(name);
        let one = |provider: &Arc<Provider>, model: &str| {
            if !provider.offers(model) {
                return Err(self.unknown(name));
            }
            let target = Target { provider: Arc::clone(provider), model: model.to_owned() };
            Ok(Route { targets: vec![target] })
        };
        let prefixed = bare.split_once('/');
        if let Some((prefix, model)) = prefixed
            && let Some(provider) = self.by_name.get(prefix)
        {
            return one(provider, model.strip_prefix("models/").unwrap_or(model));
        }
        if let Some(model) = self.virtuals.get(name) {
            return self.targets_of(model);
        }
        let default = self.default.as_ref().ok_or(NoRoute::NoProvider)?;
        let listing: Vec<_> =
            self.lists.listing(bare).iter().filter_map(|it| self.by_name.get(it)).collect();
        match listing.as_slice() {
            [] if prefixed.is_some() && !self.cold => Err(self.unknown(name)),
            [] => one(default, bare),
            [only] => one(only, bare),
            many if many.iter().any(|it| it.name == default.name) => one(default, bare),
            _ => {
                let listed = |it: &&Arc<Provider>| self.lists.listing(bare).contains(&it.name);
                one(self.providers.iter().find(listed).unwrap_or(default), bare)
            }
        }
    }

    fn targets_of(&self, model: &VirtualModel) -> Result<Route, NoRoute> {
        let targets: Vec<_> = model
            .targets
            .iter()
            .filter_map(|(provider, model)| {
                let provider = Arc::clone(self.by_name.get(provider)?);
                Some(Target { provider, model: model.clone() })
            })
            .take(MAX_TRIES)
            .collect();
        if targets.is_empty() { Err(self.unknown(&model.name)) } else { Ok(Route { targets }) }
    }

    /// All names that can be asked for, each with the provider that it comes from: of the file,
    /// then as each enabled provider lists them.
    pub fn names(&self) -> impl Iterator<Item = (String, &str)> {
        let mut virtuals: Vec<_> = self.virtuals.keys().collect();
        virtuals.sort();
        let virtuals = virtuals.into_iter().map(|it| (it.to_string(), "tokenrouter"));
        let listed = self.providers.iter().flat_map(|provider| {
            let own = self.models_of(provider).into_iter();
            own.map(|it| (format!("{}/{it}", provider.name), &*provider.name))
        });
        virtuals.chain(listed)
    }

    /// That a name stands for nothing, with the nearest that do.
    pub fn unknown(&self, name: &str) -> NoRoute {
        let mut scored: Vec<(f64, String)> = self
            .names()
            .map(|(known, _)| {
                let tail = known.split_once('/').map_or(known.as_str(), |it| it.1);
                let wanted = name.split_once('/').map_or(name, |it| it.1);
                let score = strsim::jaro_winkler(name, &known)
                    .max(strsim::jaro_winkler(wanted, tail) - 0.02);
                (score, known)
            })
            .filter(|it| it.0 > 0.8)
            .collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        // Only what is about as near as the nearest.
        let bound = scored.first().map_or(1.0, |it| it.0 - 0.05);
        let near = scored.into_iter().filter(|it| it.0 >= bound);
        let nearest = near.take(3).map(|it| it.1).collect();
        NoRoute::Unknown { name: name.chars().take(200).collect(), nearest }
    }
}

impl Target {
    pub fn speaks(&self, protocol: Protocol) -> bool {
        self.provider.speaks(protocol)
    }

    /// The name under which this target can be asked for directly.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.provider.name, self.model)
    }
}

#[cfg(test)]
mod tests;
