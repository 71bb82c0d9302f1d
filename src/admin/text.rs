//! The whole text: read with its secrets masked, written, edited, tried, and as it was before.

use http::{StatusCode, header};

use super::{
    answer::{between, fixed, ok, reply, toml},
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
    door::{Answer, Refusal, Visit, body, etag},
};

/// The type of a config as it is.
const TOML: &str = "application/toml";

pub(super) async fn get(visit: Visit) -> Answer {
    let OnDisk { text, revision } = disk::read(&visit.app).await?;
    let (text, tag) = (mask::mask(&text), revision.to_string());
    if body::media_type(&visit.head.headers, header::ACCEPT).as_deref() == Some(TOML) {
        return Ok(toml(text, &tag));
    }
    let live = revision == visit.app.live.snapshot().revision;
    let source = visit.app.live.path().display().to_string();
    ok(&ConfigText { text, revision: tag.clone(), source, live }, &tag)
}

/// The only write that passes while the file on disk does not load.
pub(super) async fn put(mut visit: Visit) -> Answer {
    let Some(seen) = etag::if_match(&visit.head.headers)? else {
        let message = "send `If-Match` with the `ETag` of the text that you changed";
        return Err(Refusal::new(428, "invalid_request_error", "if_match_required", message));
    };
    let text = whole(&mut visit).await?;
    let write = write::write(&visit, |before, resolved| {
        if before.revision.to_string() != seen {
            return Err(write::changed(&visit, &seen, before));
        }
        let restored = restore(&visit.app, &text, before, &resolved)
            .map_err(|it| write::invalid(disk::problems(visit.app.live.path(), &text, it)))?;
        let resolved = write::resolve(&visit.app, &restored.text);
        if resolved.config.is_none() {
            return Err(write::invalid(problems(&visit.app, &text, &restored, resolved)));
        }
        Ok((Input::Text(restored.text.clone()), restored.text))
    })
    .await?;
    write.answer(&visit.app, To::File)
}

pub(super) async fn patch(mut visit: Visit) -> Answer {
    let edits = match body::json(&visit.head.headers, std::mem::take(&mut visit.body)).await? {
        Edits::List(edits) | Edits::Object { edits } => edits,
    };
    edits.iter().try_for_each(no_mask)?;
    let write: Write = write::edit(&visit, To::File, |_| Ok(edits.clone())).await?;
    write.answer(&visit.app, To::File)
}

/// Every problem of a text; nothing is written.
pub(super) async fn validate(mut visit: Visit) -> Answer {
    let text = whole(&mut visit).await?;
    let app = &visit.app;
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

pub(super) async fn schema(_: Visit) -> Answer {
    fixed(&schema::json_schema())
}

pub(super) async fn history(visit: Visit) -> Answer {
    let history = visit.app.live.editor().history();
    let kept = history.list().map_err(|it| unreadable(&it))?.into_iter();
    let rows: Vec<_> = kept
        .map(|it| KeptText { at: it.at, revision: it.revision.to_string(), bytes: it.bytes })
        .collect();
    ok(&rows, &visit.app.live.snapshot().revision.to_string())
}

/// One of them by its revision or the beginning of it, masked.
pub(super) async fn kept(visit: Visit) -> Answer {
    let wanted = between(&visit, "/admin/api/config/history/", "")?;
    let fits = wanted.len() >= 8 && wanted.bytes().all(|it| it.is_ascii_hexdigit());
    let history = visit.app.live.editor().history();
    let found = if fits { history.read(&wanted).map_err(|it| unreadable(&it))? } else { None };
    let text = found.ok_or_else(|| {
        Refusal::new(404, "invalid_request_error", "not_found", "no text of that revision is kept")
    })?;
    let tag = crate::config::Revision::of(&text).to_string();
    let text = mask::mask(&text);
    if body::media_type(&visit.head.headers, header::ACCEPT).as_deref() == Some(TOML) {
        return Ok(toml(text, &tag));
    }
    let live = tag == visit.app.live.snapshot().revision.to_string();
    let source = visit.app.live.path().display().to_string();
    ok(&ConfigText { text, revision: tag.clone(), source, live }, &tag)
}

fn unreadable(error: &std::io::Error) -> Refusal {
    Refusal::new(500, "server_error", "history_unreadable", "the history cannot be read")
        .because(error.to_string())
}

/// The text of a body, as JSON or as it is.
async fn whole(visit: &mut Visit) -> Result<String, Refusal> {
    let (headers, body) = (&visit.head.headers, std::mem::take(&mut visit.body));
    if body::media_type(headers, header::CONTENT_TYPE).as_deref() != Some(TOML) {
        return body::json::<WholeText>(headers, body).await.map(|it| it.text);
    }
    let bytes = body::bytes(headers, body).await?;
    String::from_utf8(bytes.into())
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
