//! Virtual models: names of one's own for targets.

use std::collections::BTreeMap;

use super::{super::config::model, ask, session::Session};
use crate::config::edit::{Edit, Kind};

pub(super) fn menu(session: &mut Session) -> anyhow::Result<()> {
    loop {
        let models = session.pending.config.models.clone();
        let mut items = vec![(Some(String::new()), "Add a name".to_owned(), String::new())];
        for it in &models {
            let targets: Vec<_> =
                it.targets.iter().map(|it| format!("{}/{}", it.0, it.1)).collect();
            items.push((Some(it.name.to_string()), it.name.to_string(), targets.join(", ")));
        }
        items.push((None, "Back".to_owned(), String::new()));
        match ask::search("Virtual models (type to search)", &items)? {
            None => return Ok(()),
            Some(name) if name.is_empty() => add(session)?,
            Some(name) => {
                if ask::confirm(&format!("Remove the name `{name}`?"), false)? {
                    session.take(vec![Edit::Remove { kind: Kind::Model, name }])?;
                }
            }
        }
    }
}

fn add(session: &mut Session) -> anyhow::Result<()> {
    let name = ask::text("The name that clients ask for", None, |_| Ok(()))?;
    let known = known(&session.models);
    let mut targets = vec![ask::suggested("Its target: `provider/model`", "", known.clone())?];
    while let Some(target) = Some(ask::suggested(
        "Another target, for when those before fail",
        "empty: no more",
        known.clone(),
    )?)
    .filter(|it| !it.is_empty())
    {
        targets.push(target);
    }
    session.take(vec![model::new(&name, &targets)])?;
    Ok(())
}

/// What was learned of the providers that were tested.
fn known(models: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let of = |it: (&String, &Vec<String>)| {
        let provider = it.0.clone();
        it.1.iter().map(move |it| format!("{provider}/{it}")).collect::<Vec<_>>()
    };
    models.iter().flat_map(of).collect()
}
