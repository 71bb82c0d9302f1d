//! What the stories of the admin API share.

use serde_json::Value;

use crate::{
    client::{Ask, Reply},
    samples::CHAT,
    scripted::{Script, Scripted},
    world::World,
};

/// Every path of the API below this.
pub const API: &str = "/admin/api";

/// A torod over one provider that answers chats, with more tables.
pub async fn world(more: &str) -> (World, Scripted) {
    let provider = Scripted::always(Script::json(200, CHAT)).await;
    (World::with(&provider, more).await, provider)
}

/// A request with the admin's key, and a body of JSON unless it is null.
pub fn asking(world: &World, method: &str, path: &str, body: &Value) -> Ask {
    let ask = world.ask(method, &format!("{API}{path}"));
    if body.is_null() {
        return ask;
    }
    ask.header("content-type", "application/json").body(body.to_string())
}

pub async fn send(world: &World, method: &str, path: &str, body: Value) -> Reply {
    asking(world, method, path, &body).send().await
}

/// The same with `If-Match`.
pub async fn send_if(world: &World, method: &str, path: &str, etag: &str, body: Value) -> Reply {
    asking(world, method, path, &body).header("if-match", etag).send().await
}

/// The answer of a `GET`, and its tag.
pub async fn get(world: &World, path: &str) -> (Value, String) {
    let reply = send(world, "GET", path, Value::Null).await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    let tag = reply.header("etag").unwrap_or_else(|| panic!("{path} has no tag")).to_owned();
    assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() > 10, "{path}: {tag}");
    (reply.json(), tag)
}

/// A write that is done.
pub async fn done(world: &World, method: &str, path: &str, body: Value) -> Reply {
    let reply = send(world, method, path, body).await;
    assert!(
        matches!(reply.status, 200 | 201),
        "{method} {path}: {} {}",
        reply.status,
        reply.text()
    );
    assert!(reply.header("etag").is_some(), "{method} {path}");
    reply
}

/// A request that is refused with this status and code.
pub async fn refused(
    world: &World,
    method: &str,
    path: &str,
    body: Value,
    (status, code): (u16, &str),
) -> Reply {
    let before = world.config_text();
    let reply = send(world, method, path, body).await;
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (status, code),
        "{method} {path}: {}",
        reply.text()
    );
    assert_eq!(world.config_text(), before, "{method} {path}: nothing is written");
    reply
}

/// A request with this key.
pub fn ask_as(world: &World, key: &str, method: &str, path: &str, body: &Value) -> Ask {
    let ask = world.bare(method, &format!("{API}{path}"));
    let ask = ask.header("authorization", format!("Bearer {key}"));
    if body.is_null() {
        return ask;
    }
    ask.header("content-type", "application/json").body(body.to_string())
}

pub async fn send_as(world: &World, key: &str, method: &str, path: &str, body: Value) -> Reply {
    ask_as(world, key, method, path, &body).send().await
}
