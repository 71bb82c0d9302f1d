//! A request's walk, on one screen.
//!
//! ```text
//!  server            accept, head in time, Host, snapshot pinned, request id, access line, panic
//!  gateway::ROUTES   "/v1/chat/completions" -> walk(CHAT)
//!    1 who     door::caller       key -> Caller                                    401 403
//!    2 what    Inbound::read      peek model and stream; keep the bytes            400 413
//!              Settlement::open   from here on, Drop books it
//!    3 where   route              model -> Route [target, target ...]              404 403
//!    5 ask     forward            for target in route: splice the model, send,
//!                                 gather the first moments, verdict                502 504
//!    6 answer  relay              bytes -> client; the meter reads beside
//!    7 book    Settlement::drop   -> ledger: usage, outcome, access line
//! ```
//!
//! Each step takes what stands above it and returns a value. Streamed and whole replies take the
//! same line. On the way there is one `ArcSwap` load, no lock across an await, no file, and no
//! JSON tree. The client gone means: body dropped, provider's connection dropped, entry booked.

use std::sync::Arc;

use super::{
    error::{model_not_allowed, price_unknown},
    forward::{Request, forward},
    inbound::Inbound,
    relay::relay,
    settlement::{Facts, Settlement},
};
use crate::{
    access::Key,
    app::Snapshot,
    door::{Answer, Arrival, Refusal, Visit},
    llm::{Endpoint, endpoint},
    routing::Route,
    store::Responses,
};

/// The line itself.
async fn walk(endpoint: &'static Endpoint, visit: Visit) -> Answer {
    let Visit { app, arrival, caller, head, body } = visit;
    let limit = arrival.snapshot.config.limits.max_body_bytes;
    let inbound = Inbound::read(endpoint, &head, body, limit).await?;
    let facts = Facts {
        protocol: endpoint.protocol,
        model: inbound.model.clone().unwrap_or_default(),
        stream: inbound.stream,
        request_bytes: inbound.body.len(),
    };
    let mut settlement = Settlement::open(&app, &arrival, &caller, &head.headers, facts);
    let request = Request {
        endpoint,
        method: &head.method,
        path: head.uri.path(),
        query: head.uri.query(),
        headers: &head.headers,
    };
    let key = caller.key.as_ref();
    let asked = async {
        let route = priced(&arrival.snapshot, route(&arrival, key, &inbound)?, &inbound)?;
        followed_up(&app.responses, key, &inbound)?;
        forward(&app, request, &inbound, route, &mut settlement).await
    };
    let ended = app.tasks.ended();
    let asked = async {
        tokio::select! {
            asked = asked => asked,
            () = ended.cancelled() => Err(draining()),
        }
    };
    match asked.await {
        Ok(answered) => Ok(relay(&app, endpoint, answered, settlement, true)),
        Err(mut refusal) => {
            settlement.refuse(&refusal);
            refusal.booked = refusal.fault.status != 400;
            Err(refusal)
        }
    }
}

/// The end of the process came before the provider's answer.
fn draining() -> Refusal {
    Refusal::new(503, "server_error", "draining", "torod is shutting down")
}

/// The targets of the request's model, if the key may use it.
fn route(arrival: &Arrival, key: Option<&Arc<Key>>, inbound: &Inbound) -> Result<Route, Refusal> {
    let snapshot = &arrival.snapshot;
    let mut route = match &inbound.model {
        Some(model) => snapshot.table.route(model)?,
        None => snapshot.table.default_route()?,
    };
    let Some(key) = key else { return Ok(route) };
    let keys = &snapshot.keys;
    let name = inbound.model.as_deref().unwrap_or_default();
    if !keys.allows(key, &[name]) {
        route.targets.retain(|it| keys.allows(key, &[&it.full_name()]));
    }
    if route.targets.is_empty() { Err(model_not_allowed(name)) } else { Ok(route) }
}

/// Where models without a price are not called, only those that have one.
fn priced(snapshot: &Snapshot, mut route: Route, inbound: &Inbound) -> Result<Route, Refusal> {
    if !snapshot.config.block_unpriced {
        return Ok(route);
    }
    route.targets.retain(|it| snapshot.prices.find(&it.provider, &it.model).is_some());
    let name = inbound.model.as_deref().unwrap_or_default();
    if route.targets.is_empty() { Err(price_unknown(name)) } else { Ok(route) }
}

/// A response that another key made is not there for this one.
fn followed_up(
    responses: &Responses,
    key: Option<&Arc<Key>>,
    inbound: &Inbound,
) -> Result<(), Refusal> {
    let Some(id) = &inbound.previous_response else { return Ok(()) };
    let foreign = responses.find(id).is_some_and(|it| it.key.as_ref() != key.map(|it| &it.id));
    if foreign { Err(super::answers::no_such_response()) } else { Ok(()) }
}

/// One handler a path.
macro_rules! walks {
    ($($name:ident => $endpoint:ident),* $(,)?) => {$(
        pub(super) async fn $name(visit: Visit) -> Answer {
            walk(&endpoint::$endpoint, visit).await
        }
    )*};
}

walks! {
    chat => CHAT,
    completions => COMPLETIONS,
    embeddings => EMBEDDINGS,
    moderations => MODERATIONS,
    rerank => RERANK,
    responses => RESPONSES,
    input_tokens => INPUT_TOKENS,
    compact => COMPACT,
    messages => MESSAGES,
    count_tokens => COUNT_TOKENS,
    gemini => GEMINI,
}

/// Images and audio: the path goes on as the client wrote it, so it must be a plain one.
pub(super) async fn media(visit: Visit) -> Answer {
    if !is_plain(visit.head.uri.path()) {
        return Err(Refusal::no_such_path());
    }
    walk(&endpoint::MEDIA, visit).await
}

/// No dots, no escapes, nothing that a server could read in another way.
pub(super) fn is_plain(path: &str) -> bool {
    let fits = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'/' | b'-' | b'_');
    path.bytes().all(fits) && !path.contains("//") && !path.ends_with('/')
}
