//! Keys that callers present.

use cliclack::log;

use super::{
    super::config::key::{self, Wanted, ends, expiry},
    ask,
    session::Session,
};
use crate::access::{NewKey, Role};

pub(super) fn menu(session: &mut Session) -> anyhow::Result<()> {
    loop {
        let keys = session.pending.config.keys.clone();
        let mut items = vec![(Some(String::new()), "Add a key".to_owned(), String::new())];
        for it in &keys {
            let hint = format!("{}, ends: {}", role(it.role), ends(it));
            items.push((Some(it.id.to_string()), format!("{} ({})", it.name, it.id), hint));
        }
        items.push((None, "Back".to_owned(), String::new()));
        match ask::search("Keys (type to search)", &items)? {
            None => return Ok(()),
            Some(id) if id.is_empty() => add(session)?,
            Some(id) => remove(session, &id)?,
        }
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Admin => "admin",
        Role::Keymaster => "keymaster",
        Role::Inferrer => "inferrer",
    }
}

fn add(session: &mut Session) -> anyhow::Result<()> {
    let name = ask::text("Whose key is it?", None, |_| Ok(()))?;
    let roles = [
        (Role::Inferrer, "Inferrer", "calls models"),
        (Role::Keymaster, "Keymaster", "also makes keys below its own"),
        (Role::Admin, "Admin", "also reads and changes everything else"),
    ];
    let role = ask::choose("What may it do?", &roles)?;
    let check = |it: &str| expiry(it).map(|_| ());
    let expires =
        ask::optional("When does it end?", "never; or `30d`, `2027-01-01T00:00:00Z`", check)?;
    let hint = "all; or `fast, openai/*`";
    let models = ask::optional("Which models may it use?", hint, |_| Ok(()))?.unwrap_or_default();
    let models = models.split(',').map(str::trim).filter(|it| !it.is_empty());
    let key = NewKey::make()?;
    let wanted = Wanted {
        name: Some(name.clone()),
        role,
        expires: expires.and_then(|it| expiry(&it).ok()),
        models: models.map(str::to_owned).collect(),
        ..Wanted::default()
    };
    if session.take(vec![key::new(&key, &wanted)?])? {
        log::success(format!("The key of `{name}` is shown when the file is saved."))?;
        session.new_keys.push((key.id, key.text));
    }
    Ok(())
}

fn remove(session: &mut Session, id: &str) -> anyhow::Result<()> {
    if !ask::confirm(&format!("Remove the key `{id}`, and those that belong to it?"), false)? {
        return Ok(());
    }
    match key::remove(&session.pending.config, id, true) {
        Ok(edits) => {
            if session.take(edits)? {
                session.new_keys.retain(|it| it.0 != id);
            }
        }
        Err(why) => log::error(why)?,
    }
    Ok(())
}
