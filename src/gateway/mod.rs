//! `/v1` and what belongs to it: one line a route.

mod answers;
mod client;
mod decode;
mod error;
mod forward;
mod gather;
mod inbound;
mod models;
mod relay;
mod settlement;
mod status;
mod usage;
pub mod walk;

use crate::{
    access::Right::{Infer, Public},
    door::Route,
    handler,
    llm::Protocol::{self, Chat, Gemini, Messages, Responses},
};

const fn row(
    method: &'static str,
    path: &'static str,
    face: Protocol,
    handler: fn(crate::door::Visit) -> crate::door::Answering,
) -> Route {
    Route { method, path, right: Infer, face, handler, doc: None }
}

const fn public(
    method: &'static str,
    path: &'static str,
    handler: fn(crate::door::Visit) -> crate::door::Answering,
) -> Route {
    Route { method, path, right: Public, face: Chat, handler, doc: None }
}

/// Every route of this surface.
pub static ROUTES: &[Route] = &[
    public("GET", "/", handler!(status::home)),
    public("HEAD", "/", handler!(status::alive)),
    public("GET", "/healthz", handler!(status::alive)),
    public("GET", "/readyz", handler!(status::ready)),
    row("GET", "/v1", Chat, handler!(status::root)),
    row("GET", "/v1/", Chat, handler!(status::root)),
    row("GET", "/v1/status", Chat, handler!(status::status)),
    row("GET", "/v1/usage", Chat, handler!(usage::own)),
    row("GET", "/v1/models", Chat, handler!(models::list)),
    row("GET", "/v1/models/{*id}", Chat, handler!(models::one)),
    row("POST", "/v1/models/{*id}", Gemini, handler!(walk::gemini)),
    row("POST", "/v1/chat/completions", Chat, handler!(walk::chat)),
    row("POST", "/v1/completions", Chat, handler!(walk::completions)),
    row("POST", "/v1/embeddings", Chat, handler!(walk::embeddings)),
    row("POST", "/v1/moderations", Chat, handler!(walk::moderations)),
    row("POST", "/v1/rerank", Chat, handler!(walk::rerank)),
    row("POST", "/v1/images/{*path}", Chat, handler!(walk::media)),
    row("POST", "/v1/audio/{*path}", Chat, handler!(walk::media)),
    row("POST", "/v1/responses", Responses, handler!(walk::responses)),
    row("POST", "/v1/responses/input_tokens", Responses, handler!(walk::input_tokens)),
    row("POST", "/v1/responses/compact", Responses, handler!(walk::compact)),
    row("GET", "/v1/responses", Responses, handler!(answers::upgrade)),
    row("GET", "/v1/responses/{*id}", Responses, handler!(answers::stored)),
    row("POST", "/v1/responses/{*id}", Responses, handler!(answers::stored)),
    row("DELETE", "/v1/responses/{*id}", Responses, handler!(answers::stored)),
    row("POST", "/v1/messages", Messages, handler!(walk::messages)),
    row("POST", "/v1/messages/count_tokens", Messages, handler!(walk::count_tokens)),
    row("POST", "/v1beta/{*call}", Gemini, handler!(walk::gemini)),
];
