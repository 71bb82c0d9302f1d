//! The config as it is live, and what is wrong with the one on disk.

use axum::body::Body;
use http::{HeaderValue, Response, header};

use super::{
    answer::{Ask, ok},
    disk,
};
use crate::{
    api::{ConfigStatus, Problem, Reloaded},
    app::App,
    config::Severity,
    door::{Answer, Refusal, Visit},
};

/// Until there is a page, the way to what there is.
pub(super) async fn page(_: Visit) -> Answer {
    let text = "torod has no admin page yet. `GET /admin/api/config/status` with an admin key shows the config's state.\n";
    let mut response = Response::new(Body::from(text));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    Ok(response)
}

pub(super) async fn status(ask: Ask) -> Answer {
    let (app, snapshot) = (&ask.app, &ask.arrival.snapshot);
    let (_, restart_required, _) = app.live.disk();
    let managed = app.live.locked();
    let status = ConfigStatus {
        generation: snapshot.generation,
        revision: snapshot.revision.to_string(),
        loaded_at: snapshot.loaded_at,
        source: app.live.path().display().to_string(),
        writable: managed.is_none(),
        managed: managed.map(str::to_owned),
        problems: problems(app),
        restart_required,
        overwritten: app.live.overwritten(),
    };
    ok(&status, &status.revision)
}

/// Reads the file again now, and waits for what comes of it.
pub(super) async fn reload(ask: Ask) -> Answer {
    let app = &ask.app;
    let ending = || Refusal::new(503, "server_error", "draining", "torod is shutting down");
    app.reloads.reload().await.ok_or_else(ending)?;
    let snapshot = app.live.snapshot();
    let reloaded = Reloaded {
        generation: snapshot.generation,
        revision: snapshot.revision.to_string(),
        applied: !app.live.disk().0.iter().any(|it| it.severity == Severity::Error),
        problems: problems(app),
    };
    ok(&reloaded, &reloaded.revision)
}

/// Of the text on disk, then of the listeners. Position and message, never a value.
fn problems(app: &App) -> Vec<Problem> {
    let (disk, _, _) = app.live.disk();
    disk.into_iter().chain(app.listeners().problems).map(|it| disk::told(&it, None)).collect()
}
