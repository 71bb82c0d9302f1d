//! The first file: what a new torod needs to be told.

use std::path::Path;

use anyhow::Context as _;
use cliclack::log;
use serde_json::{Map, json};

use super::{
    super::config::{
        file::ConfigFile,
        provider::{counted, default_provider},
    },
    End, ask, network, provider, save,
    session::Session,
};
use crate::{
    access::NewKey,
    catalog::Provider,
    config::{
        Address,
        edit::{Edit, Kind},
        template,
    },
    upstream::{Upstream, detect},
};

/// What comes after the file is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Ends,
    Serves,
}

pub(super) fn run(file: ConfigFile, then: Then) -> anyhow::Result<End> {
    is_writable(file.path())?;
    let key = NewKey::make()?;
    let path = file.path().display().to_string();
    let mut session = Session::new(file, template::first_file(&key.id, &key.hash()))?;
    session.new_keys.push((key.id, key.text));
    cliclack::intro(format!("torod {}: the first config", env!("CARGO_PKG_VERSION")))?;
    log::info(format!(
        "It goes to {path}\nNothing is written before you have seen all of it. Esc ends."
    ))?;
    network::listen(&mut session)?;
    network::https(&mut session)?;
    local_servers(&mut session)?;
    let mut added = Vec::new();
    loop {
        let none =
            if added.is_empty() { "None for now: only the built-in echo" } else { "No more" };
        match provider::add(&mut session, none)? {
            Some(name) => added.push(name),
            None => break,
        }
    }
    choose_default(&mut session, &added)?;
    save::first(&mut session, then)
}

/// It is said before the questions that the answers cannot be kept.
fn is_writable(path: &Path) -> anyhow::Result<()> {
    let directory = path.ancestors().skip(1).find(|it| it.exists()).unwrap_or(path);
    rustix::fs::access(directory, rustix::fs::Access::WRITE_OK)
        .with_context(|| format!("cannot write in `{}`", directory.display()))
}

/// What becomes of servers on this machine.
#[derive(Clone, PartialEq, Eq)]
enum How {
    Themselves,
    Written,
    Ignored,
}

/// Servers on this machine, which need no entry but may have one.
fn local_servers(session: &mut Session) -> anyhow::Result<()> {
    let own: Vec<_> = session
        .pending
        .config
        .listen
        .iter()
        .filter_map(|it| match it {
            Address::Tcp(it) => Some(*it),
            Address::Unix(_) => None,
        })
        .collect();
    let looking = async {
        let upstream = Upstream::new(2)?;
        anyhow::Ok(detect::detect(&upstream, &own).await)
    };
    let title = "Looking for model servers on this machine";
    let done = |it: &Vec<_>| {
        if it.is_empty() { "No model server runs here".to_owned() } else { found(it) }
    };
    let servers = session.terminal.work(title, looking, done)?.unwrap_or_default();
    if servers.is_empty() {
        return Ok(());
    }
    let how = ask::choose(
        "What about them?",
        &[
            (How::Themselves, "Use them whenever they run", "`auto_detect_local_servers`"),
            (How::Written, "Write them into the file", "they stay when they are away"),
            (How::Ignored, "Leave them alone", "they are not looked for again"),
        ],
    )?;
    let edits = match how {
        How::Themselves => return Ok(()),
        How::Written => servers.iter().map(|it| entry(it)).collect(),
        How::Ignored => {
            let path = "auto_detect_local_servers".to_owned();
            vec![Edit::Set { path, value: false.into() }]
        }
    };
    session.take(edits)?;
    Ok(())
}

fn found(servers: &[std::sync::Arc<Provider>]) -> String {
    let names: Vec<_> = servers.iter().map(|it| format!("`{}`", it.name)).collect();
    format!("Found {}", names.join(", "))
}

fn entry(server: &Provider) -> Edit {
    let url = server.base_url.as_ref().map(url::Url::as_str);
    let values =
        json!({ "name": server.name, "provider_type": server.preset.name, "base_url": url });
    let values = values.as_object().map_or_else(Map::new, Clone::clone);
    Edit::Add { kind: Kind::Provider, values }
}

fn choose_default(session: &mut Session, added: &[String]) -> anyhow::Result<()> {
    let Some(first) = added.first() else { return Ok(()) };
    let mut name = first.clone();
    if added.len() > 1 {
        let hint =
            |it: &String| session.models.get(it).map_or(String::new(), |it| counted(it.len()));
        let items: Vec<_> = added.iter().map(|it| (it.clone(), it, hint(it))).collect();
        name = ask::choose("The default provider, for models without a prefix", &items)?;
    }
    session.take(vec![default_provider(&name)])?;
    Ok(())
}
