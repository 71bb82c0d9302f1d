//! `[[models]]`: names of a person's own, each for targets that exist.

use std::{collections::HashSet, sync::Arc};

use super::{
    super::{
        document::Document,
        problem::{Problems, nearest},
        schema_parts::{Model, Strategy, TargetEntry},
    },
    not_yet,
};
use crate::{catalog::Provider, routing::VirtualModel};

pub(super) fn models(
    document: &Document,
    providers: &[Arc<Provider>],
    problems: &mut Problems<'_>,
) -> Vec<VirtualModel> {
    let (mut found, mut names) = (Vec::new(), HashSet::new());
    for (at, model) in document.file.models.iter().enumerate() {
        let path = format!("models[{at}]");
        let name = model.name.as_deref().unwrap_or_default().trim();
        let span = document.span(&format!("{path}.name"));
        if name.is_empty() {
            problems.error("missing_key", document.span(&path), "a model needs a `name`");
            continue;
        }
        if !names.insert(name) {
            problems.error("duplicate", span, format!("the model name `{name}` is used twice"));
        } else if name.split_once('/').is_some_and(|it| is_known(it.0, providers)) {
            let message = format!("the model name `{name}` begins with a provider's name");
            problems.error("shadowed", span, message).help("choose a name without that prefix");
        }
        if model.strategy.unwrap_or_default() != Strategy::Failover {
            not_yet(document, &format!("{path}.strategy"), problems);
        }
        if model.targets.is_empty() {
            let message = format!("the model `{name}` needs `targets`");
            problems
                .error("missing_key", document.span(&format!("{path}.targets")), message)
                .help("list at least one `provider/model`");
        }
        let targets = targets(document, &path, model, providers, problems);
        found.push(VirtualModel { name: name.into(), targets });
    }
    found
}

fn is_known(name: &str, providers: &[Arc<Provider>]) -> bool {
    providers.iter().any(|it| &*it.name == name)
}

fn targets(
    document: &Document,
    path: &str,
    model: &Model,
    providers: &[Arc<Provider>],
    problems: &mut Problems<'_>,
) -> Vec<(Arc<str>, String)> {
    let mut found = Vec::new();
    for (at, target) in model.targets.iter().enumerate() {
        let (text, key) = match target {
            TargetEntry::Name(text) => (text, format!("{path}.targets[{at}]")),
            TargetEntry::Weighted(it) => (&it.model, format!("{path}.targets[{at}].model")),
        };
        let span = document.span(&key);
        match text.split_once('/').filter(|it| !it.1.is_empty()) {
            Some((provider, rest)) if is_known(provider, providers) => {
                found.push((provider.into(), rest.to_owned()));
            }
            Some((provider, _)) => {
                let near = nearest(provider, providers.iter().map(|it| &*it.name));
                problems
                    .error("unknown_provider", span, format!("no provider is named `{provider}`"))
                    .maybe_help(near.map(|it| format!("did you mean `{it}`?")));
            }
            None => {
                problems.error("bad_target", span, "a target is `provider/model`");
            }
        }
    }
    found
}
