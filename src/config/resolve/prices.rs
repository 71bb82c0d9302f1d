//! `[[prices]]`: what a person says that models cost.

use std::sync::Arc;

use super::super::{document::Document, problem::Problems, schema_parts};
use crate::{
    access::Pattern,
    catalog::{Fee, Price, PriceOverride, Provider, Rate, Rates},
};

pub(super) fn prices(
    document: &Document,
    providers: &[Arc<Provider>],
    problems: &mut Problems<'_>,
) -> Vec<PriceOverride> {
    let mut found: Vec<PriceOverride> = Vec::new();
    for (at, raw) in document.file.prices.iter().enumerate() {
        let path = format!("prices[{at}]");
        let model = raw.model.trim();
        let span = document.span(&format!("{path}.model"));
        if model.is_empty() {
            problems
                .error("missing_key", document.span(&path), "a price needs a `model`")
                .help("write `model = \"provider/model\"`, with `*` for any text");
            continue;
        }
        let price = price(raw);
        if !price.is_known() {
            let message = format!("the price of `{model}` says nothing");
            problems
                .error("missing_key", document.span(&path), message)
                .help("set `input` and `output`; 0 is free");
            continue;
        }
        let model = Pattern::new(model);
        if found.iter().any(|it| it.model == model) {
            let message = format!("the price of `{model}` is there twice; the first one holds");
            problems.warning("duplicate", span, message);
        } else if !names_a_provider(&raw.model, providers) {
            let message = format!("no provider of this file has models `{model}`");
            problems.warning("unknown_provider", span, message).help("write `provider/model`");
        }
        found.push(PriceOverride { model, price });
    }
    found
}

/// Whether a pattern can be the name of some provider's model.
fn names_a_provider(pattern: &str, providers: &[Arc<Provider>]) -> bool {
    let (name, is_whole) = match pattern.trim().split_once('/') {
        Some((name, _)) => (name, true),
        None => (pattern.trim(), false),
    };
    // Before its first `*` it must at least begin like one; servers that are found are not known.
    match name.split_once('*') {
        Some((begin, _)) => {
            begin.is_empty() || providers.iter().any(|it| it.name.starts_with(begin))
        }
        None => is_whole && (providers.is_empty() || providers.iter().any(|it| *it.name == *name)),
    }
}

/// The schema has checked that these are finite and not negative.
fn price(raw: &schema_parts::Price) -> Price {
    let rate = |it: Option<f64>| it.and_then(|it| Rate::of(it, 6));
    let rates = Rates {
        input_per_1m: rate(raw.input),
        output_per_1m: rate(raw.output),
        cache_read_per_1m: rate(raw.cache_read),
        cache_write_per_1m: rate(raw.cache_write),
        cache_write_1h_per_1m: rate(raw.cache_write_1h),
        reasoning_per_1m: rate(raw.reasoning),
        audio_input_per_1m: rate(raw.audio_input),
        audio_output_per_1m: rate(raw.audio_output),
    };
    let per_request = raw.request.and_then(|it| Fee::of(it, 0));
    Price { rates, per_request, ..Price::default() }
}
