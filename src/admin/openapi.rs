//! The API's description, made of the rows and the types that it is served by.

use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::{
    ROUTES,
    answer::{Ask, fixed},
};
use crate::{
    access::Right,
    api::ErrorBody,
    door::{Answer, Doc, Route, doc::of},
};

pub(super) async fn document(_: Ask) -> Answer {
    fixed(&openapi())
}

/// `OpenAPI` 3.1.
pub fn openapi() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|it| {
        it.definitions_path = "/components/schemas".into();
        it.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let mut paths: Map<String, Value> = Map::new();
    let error = of::<ErrorBody>(&mut generator);
    for row in ROUTES {
        let Some(doc) = &row.doc else { continue };
        let path = row.path.replace("{*", "{");
        let operation = operation(row, doc, &mut generator);
        let methods = paths.entry(path).or_insert_with(|| json!({}));
        methods[row.method.to_ascii_lowercase()] = operation;
    }
    let schemas = generator.take_definitions(true);
    let failed = json!({
        "description": "Why not; the envelope of OpenAI's errors, with more beside it where the code says so",
        "content": { "application/json": { "schema": error } },
    });
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "torod admin API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Reads carry an `ETag`; a write with `If-Match` is refused with 412 when what it names has changed since.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": { "Failed": failed },
            "securitySchemes": {
                "key": {
                    "type": "http", "scheme": "bearer",
                    "description": "A key of the file; over the control socket none is needed",
                },
            },
        },
    })
}

fn operation(row: &Route, doc: &Doc, generator: &mut SchemaGenerator) -> Value {
    let segments: Vec<&str> = row.path.trim_start_matches("/admin/api/").split('/').collect();
    let names = segments.iter().filter_map(|it| it.strip_prefix('{')?.strip_suffix('}'));
    let mut parameters: Vec<Value> = names
        .map(|it| {
            let name = it.trim_start_matches('*');
            json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
        })
        .collect();
    let query = |name: &str, what: &str| json!({ "name": name, "in": "query", "description": what, "schema": { "type": "string" } });
    parameters.extend(doc.query.iter().map(|(name, what)| query(name, what)));
    if doc.guarded {
        parameters.push(query("dry_run", "`1`: say what would change, and write nothing"));
        let whole = row.method == "PUT" && row.path == "/admin/api/config";
        parameters.push(json!({
            "name": "If-Match", "in": "header", "required": whole,
            "description": "The `ETag` of what is changed", "schema": { "type": "string" },
        }));
    }
    let (right, role) = match row.right {
        Right::Public => ("public", "nobody needs a key"),
        Right::Infer => ("infer", "any key"),
        Right::DelegateKeys => ("delegate_keys", "a key of the role `keymaster` or `admin`"),
        Right::Administer => ("administer", "a key of the role `admin`"),
    };
    let words = segments.iter().map(|it| it.trim_matches(['{', '}', '*']).replace(['.', '-'], "_"));
    let name = words.collect::<Vec<_>>().join("_");
    let mut operation = json!({
        "operationId": format!("{}_{name}", row.method.to_ascii_lowercase()),
        "tags": [segments[0]],
        "summary": doc.summary,
        "description": format!("Needs {role}."),
        "security": if row.right == Right::Public { json!([]) } else { json!([{ "key": [] }]) },
        "x-right": right,
        "parameters": parameters,
        "responses": {
            doc.status.to_string(): {
                "description": "Done",
                "headers": { "ETag": { "schema": { "type": "string" } } },
                "content": { "application/json": { "schema": (doc.response)(generator) } },
            },
            "default": { "$ref": "#/components/responses/Failed" },
        },
    });
    if let Some(request) = doc.request {
        let content = json!({ "application/json": { "schema": request(generator) } });
        operation["requestBody"] = json!({ "required": true, "content": content });
    }
    operation
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every `$ref` of a document.
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                map.values().for_each(|it| references(it, found));
            }
            Value::Array(list) => list.iter().for_each(|it| references(it, found)),
            _ => {}
        }
    }

    #[test]
    fn every_route_is_described_and_every_reference_leads_somewhere() {
        let document = openapi();
        let (mut ids, mut described) = (std::collections::HashSet::new(), 0);
        for row in ROUTES.iter().filter(|it| it.path.starts_with("/admin/api/")) {
            let path = row.path.replace("{*", "{");
            let operation = &document["paths"][&path][row.method.to_ascii_lowercase()];
            let what = format!("{} {path}", row.method);
            assert!(operation["summary"].as_str().is_some_and(|it| !it.is_empty()), "{what}");
            assert!(ids.insert(operation["operationId"].clone()), "{what}: its id is not its own");
            let is_guarded = operation["security"][0]["key"].is_array();
            assert_eq!(is_guarded, row.right != Right::Public, "{what}");
            assert_eq!(
                path.matches('{').count(),
                operation["parameters"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .filter(|it| it["in"] == "path")
                    .count(),
                "{what}"
            );
            described += 1;
        }
        let methods = document["paths"].as_object().unwrap().values();
        let all: usize = methods.map(|it| it.as_object().unwrap().len()).sum();
        assert_eq!(all, described, "nothing is described that is not served");
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 40);
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }
}
