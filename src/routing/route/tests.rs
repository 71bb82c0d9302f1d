use std::collections::BTreeMap;

use super::*;
use crate::{
    access::Pattern,
    catalog::{ModelList, preset},
};

fn provider(name: &str, kind: &str, only: Option<&str>) -> Arc<Provider> {
    let base_url = "http://127.0.0.1/v1".parse().unwrap();
    let preset = preset::preset(kind).unwrap();
    let models = only.map(|it| vec![Pattern::new(it)]);
    Arc::new(Provider { models, ..Provider::found(name, preset, base_url) })
}

fn lists(of: &[(&str, &[&str])]) -> Arc<Lists> {
    let list = |models: &[&str]| ModelList {
        models: models.iter().map(ToString::to_string).collect(),
        fetched_at: jiff::Timestamp::UNIX_EPOCH,
    };
    let all: BTreeMap<_, _> = of.iter().map(|it| (Arc::from(it.0), Arc::new(list(it.1)))).collect();
    Arc::new(Lists::new(all))
}

fn table(lists: Arc<Lists>, default: Option<&str>) -> Table {
    let providers = vec![
        provider("beta", "openai-compatible", None),
        provider("alpha", "openai-compatible", None),
        provider("tight", "openai-compatible", Some("t-*")),
    ];
    let fast = VirtualModel {
        name: "fast".into(),
        targets: ["gone", "alpha", "beta", "tight", "beta"]
            .map(|it| (it.into(), "m".into()))
            .into(),
    };
    Table::new(providers, &[fast], default, lists)
}

#[test]
fn the_first_rule_that_fits_decides() {
    let warm = lists(&[
        ("beta", &["both", "vendor/listed"]),
        ("alpha", &["only-a", "both", "also"]),
        ("tight", &["t-1", "also"]),
    ]);
    let table = table(warm, Some("alpha"));
    for (name, wanted) in [
        ("beta/x", "beta x"),
        ("beta/models/x", "beta x"),
        ("beta/deep/x", "beta deep/x"),
        ("fast", "alpha m, beta m, tight m"),
        ("only-a", "alpha only-a"),
        ("both", "alpha both"),
        ("also", "alpha also"),
        ("vendor/listed", "beta vendor/listed"),
        ("models/only-a", "alpha only-a"),
        ("never-heard", "alpha never-heard"),
        ("tight/t-9", "tight t-9"),
    ] {
        let route = table.route(name).unwrap();
        let got: Vec<_> =
            route.targets.iter().map(|it| format!("{} {}", it.provider.name, it.model)).collect();
        assert_eq!(got.join(", "), wanted, "{name}");
    }
    for name in ["gone/x", "tight/other"] {
        assert!(matches!(table.route(name), Err(NoRoute::Unknown { .. })), "{name}");
    }
}

#[test]
fn an_unknown_model_names_the_nearest() {
    let all: &[(&str, &[&str])] = &[("beta", &["gpt-5-mini"]), ("alpha", &[]), ("tight", &[])];
    let table = table(lists(all), None);
    let error = table.route("bta/gpt-5-mini").unwrap_err().to_string();
    assert_eq!(error, "the model `bta/gpt-5-mini` does not exist; did you mean `beta/gpt-5-mini`?");
}

#[test]
fn while_a_list_is_missing_an_unknown_prefix_goes_to_the_default() {
    let cold = table(lists(&[("alpha", &[])]), None);
    assert_eq!(&*cold.route("gone/x").unwrap().targets[0].provider.name, "beta");
    assert_eq!(Table::default().route("x").unwrap_err(), NoRoute::NoProvider);
}
