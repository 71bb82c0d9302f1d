//! The end of a wizard: the diff, the yes, the write, and what the running torod makes of it.

use std::{convert::Infallible, time::Duration};

use cliclack::log;

use super::{
    super::{
        config::live::{errors, is_same_file, line, until},
        first::try_it,
    },
    End, ask,
    first::Then,
    session::Session,
};
use crate::{
    api::ConfigStatus,
    app::edit::{EditFailure, Guard, Input},
    cli::ui,
    config::{
        Address, Revision,
        edit::{Edit, apply},
    },
};

/// How long a running torod may take to have the file.
const LIVE: Duration = Duration::from_secs(5);

/// Writes the first file.
pub(super) fn first(session: &mut Session, then: Then) -> anyhow::Result<End> {
    let path = session.file.path().display().to_string();
    let changes = match session.diff_alone() {
        none if none.is_empty() => "It has every key with its default, commented.".to_owned(),
        diff => format!("It has every key with its default, commented, and these changes:\n{diff}"),
    };
    log::info(changes)?;
    if !ask::confirm(&format!("Write {path}?"), true)? {
        return Ok(End::Declined);
    }
    session.file.create(&session.pending.text)?;
    log::success(format!("Wrote {path}"))?;
    show_keys(session)?;
    cliclack::outro(match then {
        Then::Serves => "torod starts now.",
        Then::Ends => "`torod serve` starts it.",
    })?;
    if let Some(url) = session.pending.config.listen.iter().find_map(reached_by) {
        try_it(&url, "$TOROD_KEY");
    }
    Ok(End::Written)
}

/// How a program on this machine comes to an address.
fn reached_by(address: &Address) -> Option<String> {
    let Address::Tcp(address) = address else { return None };
    let port = address.port();
    Some(if address.ip().is_unspecified() {
        format!("http://127.0.0.1:{port}")
    } else {
        format!("http://{address}")
    })
    .filter(|_| port != 0)
}

/// Keys are shown once, and only when the file knows them. They stand alone on their lines, to be
/// copied.
fn show_keys(session: &Session) -> anyhow::Result<()> {
    for (id, key) in &session.new_keys {
        log::step(format!("The key `{id}`, shown only now:\n{key}"))?;
    }
    Ok(())
}

/// Applies the edits to the file as it is by then. None: back to the menu.
pub(super) fn edits(session: &mut Session) -> anyhow::Result<Option<End>> {
    loop {
        log::info(format!("What will change\n{}", session.diff()))?;
        if !ask::confirm(&format!("Write {}?", session.file.path().display()), true)? {
            return Ok(None);
        }
        let input = Input::Edits(session.pending.edits.clone());
        let guard = Guard::Revision(Revision::of(&session.base).to_string());
        match session.file.edit(input, guard, false) {
            Ok(edited) => {
                log::success(format!("Saved: {}", edited.words))?;
                show_keys(session)?;
                say_live(session, edited.after)?;
                return Ok(Some(End::Written));
            }
            Err(EditFailure::Stale { .. }) => {
                log::warning(
                    "The file changed in the meantime. The changes are applied to it as it is now.",
                )?;
                if !rebase(session)? {
                    return Ok(None);
                }
            }
            Err(EditFailure::Managed { why, .. }) => {
                log::warning(format!("The file is not written: {why}"))?;
                cliclack::outro("This patch does it where the file comes from:")?;
                ui::data(&session.patch());
                return Ok(Some(End::Shown));
            }
            Err(
                EditFailure::Invalid { text, problems }
                | EditFailure::BrokenOnDisk { text, problems },
            ) => {
                session.say_problems(&text, &problems)?;
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Brings what is pending onto the text that is on disk now. What does not fit any more is said
/// and left out. False when nothing is left.
fn rebase(session: &mut Session) -> anyhow::Result<bool> {
    let fresh = session.file.read()?;
    let mut kept: Vec<Edit> = Vec::new();
    let mut text = fresh.clone();
    for edit in std::mem::take(&mut session.pending.edits) {
        match apply(&text, std::slice::from_ref(&edit)) {
            Ok(next) => {
                text = next;
                kept.push(edit);
            }
            Err(why) => log::error(format!("Left out: {why}"))?,
        }
    }
    let resolved = session.file.resolve(&text);
    let Some(config) = resolved.config else {
        session.say_problems(&text, &resolved.problems)?;
        anyhow::bail!("the changes do not go together with the file as it is now");
    };
    session.base = fresh;
    (session.pending.edits, session.pending.text, session.pending.config) = (kept, text, config);
    if !session.is_changed() {
        log::info("Nothing is left to change.")?;
    }
    Ok(session.is_changed())
}

fn say_live(session: &mut Session, after: Revision) -> anyhow::Result<()> {
    let (file, wanted) = (session.file.clone(), after.to_string());
    if !file.paths.control_socket().exists() {
        return Ok(cliclack::outro("No torod runs here; `torod serve` starts it.")?);
    }
    let waiting = async { Ok::<_, Infallible>(until(&file, &wanted, LIVE).await) };
    let title = "Waiting for the running torod";
    let done = |it: &Result<ConfigStatus, _>| match it {
        Ok(status) if status.revision == wanted => {
            format!("Generation {} is live", status.generation)
        }
        Ok(status) if !is_same_file(&file, status) => {
            format!("The running torod has another file: {}", status.source)
        }
        Ok(status) => format!("Not live yet; generation {} is", status.generation),
        Err(_) => "No torod runs here".to_owned(),
    };
    let Ok(answer) = session.terminal.work(title, waiting, done)?;
    match answer {
        Ok(status) => {
            for it in errors(&status) {
                log::error(cliclack::termwrap(&line(it), 4))?;
            }
            cliclack::outro(if status.revision == wanted {
                "Done."
            } else {
                "`torod config wait` waits for it, `torod status` says more."
            })?;
        }
        Err(_) => cliclack::outro("`torod serve` starts it.")?,
    }
    Ok(())
}
