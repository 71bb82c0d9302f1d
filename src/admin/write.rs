//! Every write of the admin API: decided on the text as it is, done to that text or not at all.

use std::{path::Path, time::Duration};

use http::StatusCode;
use serde_json::Value;

use super::{
    answer::{Ask, flag, reply},
    disk::{self, OnDisk},
};
use crate::{
    access::KeyTable,
    api::Written,
    app::{
        self, App,
        edit::{Author, Change, EditFailure, Edited, Guard, Input},
    },
    config::{
        self, Resolved, changes,
        edit::{self, Edit, EditError, Kind},
        mask,
    },
    door::{Answer, Peer, Refusal, etag},
};

/// An editor that saves again and again is given way to so often.
const TRIES: usize = 20;
/// A text that stands still so long is no half of a save, as the loader sees it.
const QUIET: Duration = Duration::from_millis(50);

/// A write that was done, or would be.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) edited: Edited,
    /// The text before.
    pub(super) before: OnDisk,
    dry_run: bool,
}

/// What a write is to.
#[derive(Debug, Clone, Copy)]
pub(super) enum To<'a> {
    /// `If-Match` is the file's revision.
    File,
    /// `If-Match` is the entry's tag.
    Entry(Kind, &'a str),
}

/// Edits the file by what `decide` makes of the text on disk. When somebody saves in between it is
/// decided anew.
pub(super) async fn edit(
    ask: &Ask,
    to: To<'_>,
    decide: impl Fn(&str) -> Result<Vec<Edit>, Refusal>,
) -> Result<Write, Refusal> {
    write(ask, |before, resolved| {
        if resolved.config.is_none() {
            return Err(broken(ask.app.live.path(), &before.text, resolved.problems));
        }
        check(ask, to, before)?;
        let edits = decide(&before.text)?;
        let after = edit::apply(&before.text, &edits).map_err(|it| cannot(&it))?;
        Ok((Input::Edits(edits), after))
    })
    .await
}

/// The same for any input. `decide` answers it with the text that it leads to.
pub(super) async fn write(
    ask: &Ask,
    decide: impl Fn(&OnDisk, Resolved) -> Result<(Input, String), Refusal>,
) -> Result<Write, Refusal> {
    let app = &ask.app;
    let _one_at_a_time = app.editing.lock().await;
    still_lives(ask)?;
    let dry_run = flag(ask, "dry_run");
    for _ in 0..TRIES {
        let before = disk::read(app).await?;
        let now = resolve(app, &before.text);
        let had_admin = has_admin(&now);
        let loads = now.config.is_some();
        let (input, after) = match decide(&before, now) {
            // Half of somebody's save does not load; what comes of it may.
            Err(_) if !loads && is_moving(app, &before).await? => continue,
            decided => decided?,
        };
        if had_admin && resolve(app, &after).config.is_some_and(|it| !is_administered(&it)) {
            let message = "this would leave no live key with the role `admin`";
            return Err(Refusal::new(409, "invalid_request_error", "last_admin", message));
        }
        let guard = Guard::Revision(before.revision.to_string());
        match app.live.edit(Change { input, guard, dry_run, by: author(ask) }).await {
            Ok(edited) => return Ok(Write { edited, before, dry_run }),
            Err(EditFailure::Stale { .. }) => {}
            Err(failure) => return Err(refused(app, failure, &before.text)),
        }
    }
    let message = "the file does not stop changing; try again";
    Err(Refusal::new(503, "server_error", "config_busy", message))
}

/// Whoever waited for others may have lost the right to edit to one of them.
fn still_lives(ask: &Ask) -> Result<(), Refusal> {
    let Some(own) = &ask.caller.key else { return Ok(()) };
    let (snapshot, now) = (ask.app.live.snapshot(), jiff::Timestamp::now());
    let found = snapshot.config.keys.iter().find(|it| it.digest == own.digest);
    if found.is_some_and(|it| it.role >= own.role && snapshot.keys.lives(it, now)) {
        return Ok(());
    }
    let message = "the key was changed or removed before its edit was done";
    Err(Refusal::new(401, "invalid_request_error", "invalid_api_key", message))
}

async fn is_moving(app: &App, before: &OnDisk) -> Result<bool, Refusal> {
    tokio::time::sleep(QUIET).await;
    Ok(disk::read(app).await?.revision != before.revision)
}

pub(super) fn resolve(app: &App, text: &str) -> Resolved {
    config::resolve(text, &*app::surroundings(app.live.path()))
}

fn has_admin(resolved: &Resolved) -> bool {
    resolved.config.as_ref().is_some_and(is_administered)
}

fn is_administered(config: &config::Config) -> bool {
    KeyTable::new(config.keys.iter().cloned()).has_live_admin(jiff::Timestamp::now())
}

/// Who the audit line names.
pub(super) fn author(ask: &Ask) -> Author {
    let (who, from) = match (&ask.caller.key, ask.arrival.peer) {
        (Some(key), Peer::Tcp(peer)) => {
            (key.name.to_string(), peer.ip().to_canonical().to_string())
        }
        (Some(key), _) => (key.name.to_string(), "a Unix socket".to_owned()),
        (None, _) => ("control socket".to_owned(), "this machine".to_owned()),
    };
    Author { who, from }
}

/// Whether what the writer saw is what is there.
fn check(ask: &Ask, to: To<'_>, now: &OnDisk) -> Result<(), Refusal> {
    let Some(seen) = etag::if_match(&ask.head.headers)? else { return Ok(()) };
    match to {
        To::File if seen == now.revision.to_string() => Ok(()),
        To::File => Err(changed(ask, &seen, now)),
        To::Entry(kind, name) => match disk::entry(&now.text, kind, name) {
            Some((entry, _)) if entry.etag == seen => Ok(()),
            found => {
                let current = found.map(|it| mask::value(disk::words(kind).0, Value::Object(it.1)));
                let knew =
                    |text: &str| disk::entry(text, kind, name).is_some_and(|it| it.0.etag == seen);
                Err(stale(ask, now, current.unwrap_or_default(), knew))
            }
        },
    }
}

/// 412 for the whole text.
pub(super) fn changed(ask: &Ask, seen: &str, now: &OnDisk) -> Refusal {
    let knew = |text: &str| config::Revision::of(text).to_string() == seen;
    stale(ask, now, mask::mask(&now.text).into(), knew)
}

fn stale(ask: &Ask, now: &OnDisk, current: Value, knew: impl Fn(&str) -> bool) -> Refusal {
    let history = ask.app.live.editor().history();
    let mut texts = history.list().unwrap_or_default().into_iter().filter_map(|it| it.read().ok());
    let diff = texts
        .find(|it| knew(it))
        .map(|it| patch(&ask.app, &mask::mask(&it), &mask::mask(&now.text)));
    let message = "it was changed since you read it; merge, and try again";
    Refusal::new(412, "invalid_request_error", "config_changed", message)
        .with("current_revision", now.revision.to_string())
        .with("current", current)
        .with("diff", diff.unwrap_or_default())
}

fn patch(app: &App, old: &str, new: &str) -> String {
    let name = app.live.path().file_name().map_or("torod.toml".into(), |it| it.to_string_lossy());
    changes::patch(&name, old, new)
}

/// 409: only a whole new text mends a file that does not load.
pub(super) fn broken(path: &Path, text: &str, found: Vec<config::Problem>) -> Refusal {
    let message =
        "the file on disk does not load; mend it first, by hand or with `PUT /admin/api/config`";
    Refusal::new(409, "invalid_request_error", "config_broken", message)
        .with("problems", disk::problems(path, text, found))
}

/// An edit that cannot be done to this text.
fn cannot(error: &EditError) -> Refusal {
    let message = error.to_string();
    let (status, code) = match error {
        EditError::NoEntry { .. } => (404, "not_found"),
        EditError::Exists { .. } => (409, "exists"),
        EditError::NoKey(_) => (400, "unknown_field"),
        EditError::Value(_) => (400, "invalid_value"),
        EditError::NotToml(_) => (409, "config_broken"),
    };
    Refusal::new(status, "invalid_request_error", code, message)
}

/// Why torod did not write, with nothing secret of the file in it.
pub(super) fn refused(app: &App, failure: EditFailure, before: &str) -> Refusal {
    let path = app.live.path();
    match failure {
        EditFailure::Edit(error) => cannot(&error),
        EditFailure::Invalid { text, problems } => invalid(disk::problems(path, &text, problems)),
        EditFailure::BrokenOnDisk { text, problems } => broken(path, &text, problems),
        EditFailure::Managed { why, text, .. } => {
            // What the caller sent, it may see; what it must not know stands as in the text it reads.
            let text = mask::mask_known(&text, before);
            let message = format!("torod does not write this file: {why}");
            Refusal::new(423, "invalid_request_error", "config_managed", message)
                .with("why", why)
                .with("patch", patch(app, &mask::mask(before), &text))
                .with("text", text)
        }
        EditFailure::NoSpace(_) => {
            let message = "there is no room on the disk; the file is as it was";
            Refusal::new(507, "server_error", "no_space", message)
        }
        EditFailure::Io(_, error) => {
            let message = "the file cannot be written; it is as it was";
            Refusal::new(500, "server_error", "config_not_written", message)
                .because(error.to_string())
        }
        EditFailure::Stale { .. } => {
            let message = "it was changed since you read it; try again";
            Refusal::new(412, "invalid_request_error", "config_changed", message)
        }
    }
}

/// 422: the text would not load.
pub(super) fn invalid(problems: Vec<crate::api::Problem>) -> Refusal {
    let first =
        problems.iter().find(|it| it.severity == "error").map(|it| format!(": {}", it.message));
    let message = format!("the new text would not load{}", first.unwrap_or_default());
    Refusal::new(422, "invalid_request_error", "config_invalid", message).with("problems", problems)
}

impl Write {
    /// What is told of it.
    pub(super) fn told(&self, app: &App) -> Written {
        let it = &self.edited;
        let shown = || {
            patch(
                app,
                &mask::mask(&self.before.text),
                &mask::mask_known(&it.text, &self.before.text),
            )
        };
        Written {
            status: if self.dry_run { "dry_run" } else { "ok" }.to_owned(),
            generation: it.generation.unwrap_or_else(|| app.live.snapshot().generation),
            revision: it.after.to_string(),
            changes: it.words.clone(),
            restart_required: it.restart_required.clone(),
            problems: disk::problems(app.live.path(), &it.text, it.problems.clone()),
            patch: self.dry_run.then(shown),
        }
    }

    /// The tag of an entry in the new text, else the revision of the whole.
    pub(super) fn tag(&self, to: To<'_>) -> String {
        let entry = match to {
            To::File => None,
            To::Entry(kind, name) => disk::entry(&self.edited.text, kind, name),
        };
        entry.map_or_else(|| self.edited.after.to_string(), |it| it.0.etag)
    }

    pub(super) fn answer(&self, app: &App, to: To<'_>) -> Answer {
        reply(StatusCode::OK, &self.told(app), &self.tag(to))
    }

    /// 201, when it is done.
    pub(super) fn created(&self) -> StatusCode {
        if self.dry_run { StatusCode::OK } else { StatusCode::CREATED }
    }
}
