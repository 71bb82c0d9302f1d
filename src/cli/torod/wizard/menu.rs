//! The menu over a file that is there.

use cliclack::log;

use super::{
    super::config::{file::ConfigFile, provider::counted},
    End, ask, key, model, network, provider, save,
    session::Session,
};
use crate::cli::ui;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Item {
    Providers,
    Keys,
    Models,
    Listen,
    Https,
    Switches,
    Check,
    Diff,
    Save,
    Quit,
}

pub(super) fn run(file: ConfigFile) -> anyhow::Result<End> {
    let base = file.read()?;
    cliclack::intro(format!("torod {}: {}", env!("CARGO_PKG_VERSION"), file.path().display()))?;
    let mut session = Session::new(file, base)?;
    if session.pending.config.managed {
        log::info(
            "Somebody else writes this file (`managed = true`): you get a patch to apply there.",
        )?;
    }
    loop {
        match ask::choose("What is to be done?", &items(&session))? {
            Item::Providers => providers(&mut session)?,
            Item::Keys => key::menu(&mut session)?,
            Item::Models => model::menu(&mut session)?,
            Item::Listen => network::listen(&mut session)?,
            Item::Https => network::https(&mut session)?,
            Item::Switches => network::switches(&mut session)?,
            Item::Check => check(&session)?,
            Item::Diff => log::info(format!("Changes so far\n{}", session.diff()))?,
            Item::Save => {
                if let Some(end) = save::edits(&mut session)? {
                    return Ok(end);
                }
            }
            Item::Quit if !session.is_changed() => {
                cliclack::outro("Nothing was changed.")?;
                return Ok(End::Shown);
            }
            Item::Quit => return Ok(End::Declined),
        }
    }
}

fn items(session: &Session) -> Vec<(Item, &'static str, String)> {
    let config = &session.pending.config;
    let listen: Vec<_> = config.listen.iter().map(ToString::to_string).collect();
    let none = String::new;
    let mut items = vec![
        (Item::Providers, "Providers", format!("{}; add, test, change", config.providers.len())),
        (Item::Keys, "Keys", format!("{}; what callers present", config.keys.len())),
        (Item::Models, "Virtual models", format!("{}; names of your own", config.models.len())),
        (Item::Listen, "Listen address", listen.join(", ")),
        (Item::Https, "HTTPS", none()),
        (Item::Switches, "Switches", "who needs no key, what is found by itself".to_owned()),
        (Item::Check, "Check", "say all that is wrong or worth a look".to_owned()),
    ];
    if session.is_changed() {
        items.push((Item::Diff, "Show the changes so far", none()));
        items.push((Item::Save, "Save and quit", "they are shown first".to_owned()));
        items.push((Item::Quit, "Quit without saving", none()));
    } else {
        items.push((Item::Quit, "Quit", none()));
    }
    items
}

fn check(session: &Session) -> anyhow::Result<()> {
    let problems = session.file.resolve(&session.pending.text).problems;
    session.say_problems(&session.pending.text, &problems)?;
    match ui::summary(&problems) {
        none if none.is_empty() => log::success("No problems")?,
        some => log::info(some)?,
    }
    Ok(())
}

fn providers(session: &mut Session) -> anyhow::Result<()> {
    loop {
        let config = session.pending.config.clone();
        let mut items = vec![(Some(String::new()), "Add a provider".to_owned(), String::new())];
        for it in &config.providers {
            let is_default = config.default_provider.as_deref() == Some(&it.name);
            let mut hint = vec![it.preset.name.clone()];
            hint.extend(is_default.then(|| "default".to_owned()));
            hint.extend((!it.enabled).then(|| "disabled".to_owned()));
            hint.extend(session.models.get(&*it.name).map(|it| counted(it.len())));
            items.push((Some(it.name.to_string()), it.name.to_string(), hint.join(", ")));
        }
        items.push((None, "Back".to_owned(), String::new()));
        match ask::search("Providers (type to search)", &items)? {
            None => return Ok(()),
            Some(name) if name.is_empty() => {
                provider::add(session, "None after all")?;
            }
            Some(name) => provider::change(session, &name)?,
        }
    }
}
