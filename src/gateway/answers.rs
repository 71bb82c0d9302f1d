//! Stored responses: `GET`, `DELETE` and `POST /v1/responses/{id}...` go to the provider that made
//! the id, for the key that it was made for.

use http::header;

use super::{
    forward::{Request, forward},
    inbound::Inbound,
    relay::relay,
    settlement::{Facts, Settlement},
    walk::is_plain,
};
use crate::{
    door::{Answer, Refusal, Visit},
    llm::{Endpoint, ModelAt, Protocol},
    routing::{Route, Target},
};

/// A path of the client's own, without a model.
static STORED: Endpoint = Endpoint {
    protocol: Protocol::Responses,
    path: "",
    model_at: ModelAt::Body,
    takes_stream_options: false,
    needs_model: false,
};

pub(super) fn no_such_response() -> Refusal {
    Refusal::new(
        404,
        "invalid_request_error",
        "response_not_found",
        "no response of this key has this id",
    )
}

/// `GET /v1/responses`: the WebSocket form of the API is not served. Clients fall back to `POST`
/// at once when they are told so with this status.
pub(super) async fn upgrade(visit: Visit) -> Answer {
    if !visit.head.headers.contains_key(header::UPGRADE) {
        let message = "send `POST /v1/responses`";
        return Err(Refusal::new(405, "invalid_request_error", "method_not_allowed", message)
            .header("allow", "POST"));
    }
    let message = "responses are not served over WebSocket; send `POST /v1/responses`";
    Err(Refusal::new(426, "invalid_request_error", "upgrade_required", message))
}

pub(super) async fn stored(visit: Visit) -> Answer {
    let Visit { app, arrival, caller, head, body } = visit;
    let path = head.uri.path();
    let id =
        path.strip_prefix("/v1/responses/").and_then(|it| it.split('/').next()).unwrap_or_default();
    let made =
        app.responses.find(id).filter(|it| it.key.as_ref() == caller.key.as_ref().map(|it| &it.id));
    let provider = made.and_then(|it| arrival.snapshot.table.provider(&it.provider).cloned());
    let provider = provider.filter(|_| is_plain(path)).ok_or_else(no_such_response)?;
    let limit = arrival.snapshot.config.limits.max_body_bytes;
    let bytes =
        axum::body::to_bytes(body, limit).await.map_err(|_| super::error::too_large(limit))?;
    let inbound = Inbound {
        endpoint: &STORED,
        model: None,
        model_at: None,
        stream: false,
        usage_wish: None,
        previous_response: None,
        body: bytes,
    };
    let facts = Facts {
        protocol: Protocol::Responses,
        model: String::new(),
        stream: false,
        request_bytes: inbound.body.len(),
    };
    let mut settlement = Settlement::open(&app, &arrival, &caller, &head.headers, facts);
    let request = Request {
        endpoint: &STORED,
        method: &head.method,
        path,
        query: head.uri.query(),
        headers: &head.headers,
    };
    let route = Route { targets: vec![Target { provider, model: String::new() }] };
    match forward(&app, request, &inbound, route, &mut settlement).await {
        // Its usage was booked when it was made.
        Ok(answered) => Ok(relay(&app, &STORED, answered, settlement, false)),
        Err(mut refusal) => {
            settlement.refuse(&refusal);
            refusal.booked = true;
            Err(refusal)
        }
    }
}
