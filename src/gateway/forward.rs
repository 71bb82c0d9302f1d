//! The attempts: each target of the route in turn, until one gives an answer that is worth
//! passing on. Nothing has reached the client yet.

use http::{HeaderMap, Method};

use super::{
    error,
    gather::{Gathered, gather},
    inbound::Inbound,
    settlement::Settlement,
};
use crate::{
    app::App,
    door::Refusal,
    llm::{Endpoint, ModelAt, Protocol},
    routing::{Route, Target, Verdict},
    upstream::{
        client::Pieces,
        echo,
        request::{self, Outgoing},
    },
};

/// What of a client's request goes on to each target.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) endpoint: &'static Endpoint,
    pub(super) method: &'a Method,
    /// The client's own path, where the endpoint does not say it.
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
    pub(super) headers: &'a HeaderMap,
}

/// An answer, and who gave it.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) gathered: Gathered,
    pub(super) target: Target,
    /// Usage was asked for on the client's behalf, and has to be taken out of the stream.
    pub(super) injected: bool,
}

/// Tries the targets that speak the request's protocol.
pub(super) async fn forward(
    app: &App,
    request: Request<'_>,
    inbound: &Inbound,
    route: Route,
    settlement: &mut Settlement,
) -> Result<Answered, Refusal> {
    let wanted = request.endpoint.protocol;
    let refusal = route.targets.first().map(|it| {
        let spoken: Vec<_> = it.provider.protocols.iter().map(|it| it.name()).collect();
        error::protocol_not_supported(&it.provider.name, wanted.name(), &spoken.join(" and "))
    });
    let mut targets = route.targets.into_iter().filter(|it| takes(it, wanted)).peekable();
    let mut last = refusal.unwrap_or_else(Refusal::no_such_path);
    while let Some(target) = targets.next() {
        settlement.attempt(&target);
        let is_last = targets.peek().is_none();
        match attempt(app, request, inbound, &target).await {
            Ok((gathered, injected)) => {
                let verdict = Verdict::of_status(gathered.reply.status.as_u16());
                if gathered.reply.status == http::StatusCode::NOT_FOUND {
                    app.wants_list(&target.provider.name);
                }
                if is_last || verdict == Verdict::Done {
                    return Ok(Answered { gathered, target, injected });
                }
                tracing::debug!(provider = %target.provider.name, status = gathered.reply.status.as_u16(), "trying the next target");
            }
            Err(refusal) => {
                let cause = refusal.cause.as_deref().unwrap_or_default();
                tracing::debug!(provider = %target.provider.name, code = refusal.fault.code, cause, "attempt failed");
                last = refusal;
            }
        }
    }
    Err(last)
}

/// `OpenAI`'s own endpoints are one family until translation comes: a server that has no
/// `/responses` says so itself.
fn takes(target: &Target, wanted: Protocol) -> bool {
    match wanted {
        Protocol::Chat | Protocol::Responses => {
            target.speaks(Protocol::Chat) || target.speaks(Protocol::Responses)
        }
        other => target.speaks(other),
    }
}

async fn attempt(
    app: &App,
    request: Request<'_>,
    inbound: &Inbound,
    target: &Target,
) -> Result<(Gathered, bool), Refusal> {
    let provider = &target.provider;
    let injected = provider.include_usage && inbound.usage_wish.is_some();
    let body = inbound.body_for(&target.model, injected);
    let path = path_for(request, &target.model);
    let refused = |it| error::upstream(&provider.name, &it);
    let reply = if provider.is_echo() {
        echo::send(&path, &body.concat(), provider.first_byte).await.map_err(refused)?
    } else {
        let outgoing = Outgoing {
            method: request.method,
            path: &path,
            query: request.query,
            headers: request.headers,
            protocol: request.endpoint.protocol,
        };
        let built = request::build(provider, outgoing, Pieces::new(body)).map_err(refused)?;
        app.upstream.send(built, provider.first_byte).await.map_err(refused)?
    };
    Ok((gather(reply, provider, request.endpoint).await?, injected))
}

/// Below the version of the base; the model enters a path only with its odd bytes escaped.
fn path_for<'a>(request: Request<'a>, model: &str) -> std::borrow::Cow<'a, str> {
    if request.endpoint.model_at == ModelAt::Path {
        let version = request.path[1..].split('/').next().unwrap_or("v1beta");
        let action = request.path.rsplit(':').next().unwrap_or_default();
        let model = request::escaped(model);
        return format!("/{version}/models/{model}:{action}").into();
    }
    let own = request.path.strip_prefix("/v1").unwrap_or(request.path);
    if request.endpoint.path.is_empty() { own.into() } else { request.endpoint.path.into() }
}
