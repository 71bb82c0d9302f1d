//! `/admin`: the admin API, one file a resource. Everything that it changes it changes in the file,
//! by the one door: [`crate::app::Live::edit`].

mod answer;
mod config;
mod disk;
mod form;
mod keys;
mod lists;
mod models;
mod network;
pub mod openapi;
mod pricing;
mod probes;
mod providers;
mod routes;
mod settings;
mod text;
mod usage;
mod write;

pub use routes::ROUTES;
