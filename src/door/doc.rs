//! What a route says of itself, for the API's description.

use schemars::{JsonSchema, Schema, SchemaGenerator};

/// The form of a body.
pub type Shape = fn(&mut SchemaGenerator) -> Schema;

/// One route in words and forms.
#[derive(Debug, Clone, Copy)]
pub struct Doc {
    pub summary: &'static str,
    /// Names of query parameters, and what they do.
    pub query: &'static [(&'static str, &'static str)],
    pub request: Option<Shape>,
    /// Of a success.
    pub status: u16,
    pub response: Shape,
    /// A write to something that has an `ETag`.
    pub guarded: bool,
}

/// The form of a type, by reference where it has a name.
pub fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// Any JSON.
pub fn any(_: &mut SchemaGenerator) -> Schema {
    Schema::default()
}
