//! The whole text: read with its secrets masked, written, edited, tried, and as it was before.

use http::{StatusCode, header};

use super::{
    answer::{Ask, between, fixed, ok, reply, toml},
    disk::{self, OnDisk},
    write::{self, To, Write},
};
use crate::{
    api::{ConfigText, Edits, KeptText, Validated, WholeText},
    app::{App, edit::Input},
    config::{
        Resolved, Severity,
        edit::Edit,
        mask::{self, Restored},
        schema,
    },
    door::{Answer, Refusal, body, etag},
};

/// The type of a config as it is.
const TOML: &str = "application/toml";

pub(super) async fn get(ask: Ask) -> Answer {
    let OnDisk { text, revision } = disk::read(&ask.app).await?;
    let (text, tag) = (mask::mask(&text), revision.to_string());
    if wants_toml(&ask) {
        return Ok(toml(text, &tag));
    }
    let live = revision == ask.app.live.snapshot().revision;
    let source = ask.app.live.path().display().to_string();
    ok(&ConfigText { text, revision: tag.clone(), source, live }, &tag)
}

/// The only write that passes while the file on disk does not load.
pub(super) async fn put(ask: Ask) -> Answer {
    let Some(seen) = etag::if_match(&ask.head.headers)? else {
        let message = "send `If-Match` with the `ETag` of the text that you changed";
        return Err(Refusal::new(428, "invalid_request_error", "if_match_required", message));
    };
    let text = whole(&ask)?;
    let write = write::write(&ask, |before, resolved| {
        if before.revision.to_string() != seen {
            return Err(write::changed(&ask, &seen, before));
        }
        let restored = restore(&ask.app, &text, before, &resolved)
            .map_err(|it| write::invalid(disk::problems(ask.app.live.path(), &text, it)))?;
        let resolved = write::resolve(&ask.app, &restored.text);
        if resolved.config.is_none() {
            return Err(write::invalid(problems(&ask.app, &text, &restored, resolved)));
        }
        Ok((Input::Text(restored.text.clone()), restored.text))
    })
    .await?;
    write.answer(&ask.app, To::File)
}

pub(super) async fn patch(ask: Ask) -> Answer {
    let edits = match ask.json()? {
        Edits::List(edits) | Edits::Object { edits } => edits,
    };
    edits.iter().try_for_each(no_mask)?;
    let write: Write = write::edit(&ask, To::File, |_| Ok(edits.clone())).await?;
    write.answer(&ask.app, To::File)
}

/// Every problem of a text; nothing is written.
pub(super) async fn validate(ask: Ask) -> Answer {
    let text = whole(&ask)?;
    let app = &ask.app;
    let before = disk::read(app).await?;
    let now = write::resolve(app, &before.text);
    let problems = match restore(app, &text, &before, &now) {
        Ok(restored) => {
            let resolved = write::resolve(app, &restored.text);
            problems(app, &text, &restored, resolved)
        }
        Err(unknown) => disk::problems(app.live.path(), &text, unknown),
    };
    let ok = !problems.iter().any(|it| it.severity == "error");
    reply(StatusCode::OK, &Validated { ok, problems }, &before.revision.to_string())
}

pub(super) async fn schema(_: Ask) -> Answer {
    fixed(&schema::json_schema())
}

pub(super) async fn history(ask: Ask) -> Answer {
    let history = ask.app.live.editor().history();
    let kept = history.list().map_err(|it| unreadable(&it))?.into_iter();
    let rows: Vec<_> = kept
        .map(|it| KeptText { at: it.at, revision: it.revision.to_string(), bytes: it.bytes })
        .collect();
    ok(&rows, &ask.app.live.snapshot().revision.to_string())
}

/// One of them by its revision or the beginning of it, masked.
pub(super) async fn kept(ask: Ask) -> Answer {
    let wanted = between(&ask, "/admin/api/config/history/", "")?;
    let fits = wanted.len() >= 8 && wanted.bytes().all(|it| it.is_ascii_hexdigit());
    let history = ask.app.live.editor().history();
    let found = if fits { history.read(&wanted).map_err(|it| unreadable(&it))? } else { None };
    let text = found.ok_or_else(|| {
        Refusal::new(404, "invalid_request_error", "not_found", "no text of that revision is kept")
    })?;
    let tag = crate::config::Revision::of(&text).to_string();
    let text = mask::mask(&text);
    if wants_toml(&ask) {
        return Ok(toml(text, &tag));
    }
    let live = tag == ask.app.live.snapshot().revision.to_string();
    let source = ask.app.live.path().display().to_string();
    ok(&ConfigText { text, revision: tag.clone(), source, live }, &tag)
}

/// Whether the client names that type, and JSON not before it.
fn wants_toml(ask: &Ask) -> bool {
    let accept = ask.head.headers.get(header::ACCEPT).and_then(|it| it.to_str().ok());
    let mut types = accept.unwrap_or_default().split(',');
    let mut types = types.by_ref().map(|it| it.split(';').next().unwrap_or_default().trim());
    types.find(|it| [TOML, "application/json"].contains(it)) == Some(TOML)
}

fn unreadable(error: &std::io::Error) -> Refusal {
    Refusal::new(500, "server_error", "history_unreadable", "the history cannot be read")
        .because(error.to_string())
}

/// The text of a body, as JSON or as it is.
fn whole(ask: &Ask) -> Result<String, Refusal> {
    if body::media_type(&ask.head.headers, header::CONTENT_TYPE).as_deref() != Some(TOML) {
        return ask.json::<WholeText>().map(|it| it.text);
    }
    String::from_utf8(ask.body.to_vec())
        .map_err(|_| Refusal::bad_request("invalid_value", "the text is not UTF-8"))
}

/// The text with its secrets back. While the file does not load, the text that is live knows them
/// too.
fn restore(
    app: &App,
    text: &str,
    before: &OnDisk,
    resolved: &Resolved,
) -> Result<Restored, Vec<crate::config::Problem>> {
    let mut known = vec![before.text.clone()];
    if resolved.config.is_none() && mask::holds_mask(text) {
        let live = app.live.snapshot().revision.to_string();
        known.extend(app.live.editor().history().read(&live).ok().flatten());
    }
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    mask::unmask(text, &known)
}

/// Problems of the restored text where they are in the text that was sent.
fn problems(
    app: &App,
    sent: &str,
    restored: &Restored,
    resolved: Resolved,
) -> Vec<crate::api::Problem> {
    let mut found: Vec<_> =
        resolved.problems.into_iter().map(|it| restored.problem(sent, it)).collect();
    found.sort_by_key(|it| std::cmp::Reverse(it.severity == Severity::Error));
    disk::problems(app.live.path(), sent, found)
}

/// In an edit a mask would become the secret itself.
fn no_mask(edit: &Edit) -> Result<(), Refusal> {
    let text = serde_json::to_string(edit).unwrap_or_default();
    if mask::holds_mask(&text) { Err(masked()) } else { Ok(()) }
}

pub(super) fn masked() -> Refusal {
    let message = "this holds the mask of a secret; leave the key out to keep its value";
    Refusal::new(422, "invalid_request_error", "mask_in_edit", message)
}
