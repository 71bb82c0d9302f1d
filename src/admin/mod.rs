//! `/admin`: the admin API, one file a resource. So far the config's status and its reload.

mod config;

use crate::{
    access::Right::{Administer, Public},
    door::Route,
    handler,
    llm::Protocol::Chat,
};

/// Every route of this surface.
pub static ROUTES: &[Route] = &[
    Route {
        method: "GET",
        path: "/admin",
        right: Public,
        face: Chat,
        handler: handler!(config::page),
    },
    Route {
        method: "GET",
        path: "/admin/api/config/status",
        right: Administer,
        face: Chat,
        handler: handler!(config::status),
    },
    Route {
        method: "POST",
        path: "/admin/api/config/reload",
        right: Administer,
        face: Chat,
        handler: handler!(config::reload),
    },
];
