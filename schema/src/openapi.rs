//! `openapi.json`: the table of operations as OpenAPI 3.1, generated and never written by hand.
//!
//! Names, methods, paths and scopes come from [`OPERATIONS`]; requests from the types that the daemon reads them into; what
//! neither knows (queries, replies, one line of prose) from [`routes::ROUTES`], which has a row for every operation.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::api::{OPERATIONS, Operation, Scope};
use crate::topic::TOPICS;

pub mod routes;

use routes::{Body, Param, Reply, Route, Takes};

/// The whole document, for a daemon of this version.
#[must_use]
pub fn document(version: &str) -> Value {
    let mut paths = Map::new();
    for (operation, route) in OPERATIONS.iter().filter_map(|known| Some((known, routes::find(known.name)?))) {
        let path = paths.entry(shown(operation.path)).or_insert_with(|| json!({}));
        path[operation.method.to_lowercase()] = described(operation, route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Clone",
            "version": version,
            "description": "One person's daemon: records, remembers, predicts. Paths answer alike with and without the last slash.",
        },
        "servers": [{"url": "http://127.0.0.1:8001", "description": "loopback; the Unix socket speaks the same"}],
        "security": [{"apiKey": []}, {"bearer": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-Clone-API-Key"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
            "schemas": {"Error": {
                "type": "object",
                "required": ["error"],
                "properties": {"error": {"type": "string"}, "hint": {"type": "string"}},
            }},
        },
    })
}

/// A path as it is shown; documents are known without the last slash.
fn shown(path: &str) -> String {
    path.strip_suffix(".json/").map_or_else(|| path.to_owned(), |name| format!("{name}.json"))
}

fn described(operation: &Operation, route: &Route) -> Value {
    let mut shown = json!({
        "operationId": operation.name,
        "tags": [operation.path.trim_start_matches("/api/").split('/').find(|part| !part.is_empty())],
        "summary": route.summary,
        "x-scope": operation.scope.name(),
        "responses": responses(operation, route),
    });
    let parameters = parameters(operation, route);
    if !parameters.is_empty() {
        shown["parameters"] = parameters.into();
    }
    if operation.scope == Scope::Open {
        shown["security"] = json!([]);
    }
    if let Some((required, schema)) = body(route) {
        shown["requestBody"] = json!({"required": required, "content": {"application/json": {"schema": schema}}});
    }
    shown
}

fn parameters(operation: &Operation, route: &Route) -> Vec<Value> {
    let id = operation.path.contains("{id}").then(|| {
        let schema = json!({"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[A-Za-z0-9_:.-]+$"});
        json!({"name": "id", "in": "path", "required": true, "schema": schema})
    });
    let query = route.query.iter();
    let query = query.map(|(name, takes)| {
        let required = matches!(takes, Takes::Needed);
        json!({"name": name, "in": "query", "required": required, "schema": query_schema(takes)})
    });
    id.into_iter().chain(query).collect()
}

/// What the query of an operation takes, as the schema of an object.
#[must_use]
pub fn query(operation: &str) -> Value {
    let query = routes::find(operation).map_or(&[][..], |route| route.query);
    let properties: Map<String, Value> =
        query.iter().map(|(name, takes)| ((*name).to_owned(), query_schema(takes))).collect();
    json!({"type": "object", "properties": properties})
}

fn query_schema(takes: &Takes) -> Value {
    match takes {
        Takes::Text | Takes::Needed => json!({"type": "string"}),
        Takes::Time => json!({"type": "string", "format": "date-time"}),
        Takes::Int(low, high) => json!({"type": "integer", "minimum": low, "maximum": high}),
        Takes::OneOf(words) => json!({"type": "string", "enum": words}),
        Takes::Topic => {
            let names: Vec<&str> = TOPICS.iter().map(|topic| topic.name).collect();
            json!({"type": "string", "enum": names})
        }
    }
}

/// Whether a body must be sent, and its schema; nothing for what takes none.
fn body(route: &Route) -> Option<(bool, Value)> {
    let schema = match &route.body {
        Body::Of(schema) => schema(),
        Body::Fields(fields) => object(fields),
        Body::Nothing => return None,
    };
    let needs = schema["required"].as_array().is_some_and(|names| !names.is_empty());
    Some((needs || schema["anyOf"].is_array() || schema["type"] != "object", schema))
}

/// The schema of a type of ours, whole in itself.
#[must_use]
pub fn of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    SchemaGenerator::new(settings).into_root_schema_for::<T>().to_value()
}

/// An object of these fields; the schema of each is JSON text, and a name with `?` may be missing.
fn object(fields: &[Param]) -> Value {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for (name, schema) in fields {
        let bare = name.trim_end_matches('?');
        if bare == *name {
            required.push(bare);
        }
        properties.insert(bare.to_owned(), serde_json::from_str(schema).unwrap_or_default());
    }
    json!({"type": "object", "properties": properties, "required": required})
}

fn responses(operation: &Operation, route: &Route) -> Value {
    let mut shown = Map::new();
    for (status, reply) in route.replies {
        let mut response = json!({"description": route.summary});
        if let Some((kind, schema)) = content(reply) {
            response["content"] = json!({kind: {"schema": schema}});
        }
        shown.insert(status.to_string(), response);
    }
    for (status, description) in failures(operation) {
        let content = json!({"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}});
        shown.insert(status.to_owned(), json!({"description": description, "content": content}));
    }
    Value::Object(shown)
}

fn content(reply: &Reply) -> Option<(&'static str, Value)> {
    const JSON: &str = "application/json";
    match reply {
        Reply::Nothing => None,
        Reply::Any => Some((JSON, json!({}))),
        Reply::Object(fields) => Some((JSON, object(fields))),
        Reply::List(fields) => Some((JSON, json!({"type": "array", "items": object(fields)}))),
        Reply::Stream => Some(("text/event-stream", json!({"type": "string"}))),
    }
}

/// What any operation of this kind may be answered with instead.
fn failures(operation: &Operation) -> Vec<(&'static str, &'static str)> {
    let mut all = vec![
        ("400", "the request does not fit"),
        ("403", "a foreign Host or Origin, or a scope that is too small"),
        ("409", "the client is of another version"),
        ("503", "not now; Retry-After says when"),
    ];
    if operation.scope != Scope::Open || operation.name == "token_refresh" {
        all.push(("401", "no good credential"));
    }
    // A note is named in the query or the body.
    if operation.path.contains("{id}") || matches!(operation.name, "memory_history" | "memory_undo") {
        all.push(("404", "there is nothing of this id"));
    }
    if operation.method != "GET" {
        all.extend([
            ("408", "the body did not arrive in time"),
            ("413", "the body is too large"),
            ("415", "the body is not JSON"),
            ("507", "the disk is full; nothing was recorded"),
        ]);
    }
    if operation.name == "mcp" {
        all.extend([("406", "the client takes no JSON"), ("422", "the body is no JSON-RPC")]);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_described_once_and_every_description_has_its_operation() {
        let rows: Vec<&str> = routes::ROUTES.iter().map(|route| route.name).collect();
        let operations: Vec<&str> = OPERATIONS.iter().map(|operation| operation.name).collect();
        assert_eq!(rows, operations, "a row for every operation, in the order of the table");
        let document = document("0.0.0");
        for operation in OPERATIONS {
            let shown = &document["paths"][shown(operation.path)][operation.method.to_lowercase()];
            assert_eq!(shown["operationId"], operation.name);
            assert_eq!(shown["x-scope"], operation.scope.name());
            let silent = routes::find(operation.name).is_some_and(|route| matches!(route.body, Body::Nothing));
            assert_eq!(shown["requestBody"].is_null(), silent, "{shown}");
            assert!(silent || operation.takes_body(), "{shown}");
        }
        for route in routes::ROUTES {
            assert!(!route.summary.is_empty() && !route.replies.is_empty(), "{}", route.name);
            for fields in route.replies.iter().map(|(_, reply)| reply) {
                if let Reply::Object(fields) | Reply::List(fields) = fields {
                    good(fields);
                }
            }
            if let Body::Fields(fields) = route.body {
                good(fields);
            }
        }
    }

    fn good(fields: &[Param]) {
        for (name, schema) in fields {
            assert!(serde_json::from_str::<Value>(schema).is_ok_and(|schema| schema.is_object()), "{name}: {schema}");
        }
    }

    #[test]
    fn requests_come_from_the_types_that_read_them() {
        let document = document("0.0.0");
        let predict = &document["paths"]["/api/predictions/predict/"]["post"]["requestBody"];
        let schema = &predict["content"]["application/json"]["schema"];
        assert_eq!(schema["required"], json!(["agent", "agent_input"]));
        assert_eq!(schema["properties"]["k"]["maximum"], 10);
        let feedback = &document["paths"]["/api/predictions/{id}/feedback/"]["post"]["requestBody"];
        assert!(feedback.to_string().contains("rejected") && !feedback.to_string().contains("$ref"), "{feedback}");
    }

    #[test]
    fn a_new_note_needs_its_text_and_an_edit_needs_nothing() {
        let document = document("0.0.0");
        for (path, text, other) in [("facts", "text", "importance"), ("episodes", "title", "started_at")] {
            let body = |path: String, method: &str| {
                document["paths"][path][method]["requestBody"]["content"]["application/json"]["schema"].clone()
            };
            let new = body(format!("/api/memory/{path}/"), "post");
            let edit = body(format!("/api/memory/{path}/{{id}}/"), "patch");
            assert_eq!((&new["required"], &edit["required"]), (&json!([text]), &Value::Null), "{path}");
            assert_eq!(
                (&new["properties"][text]["type"], &edit["properties"][other]),
                (&json!("string"), &new["properties"][other])
            );
            let fits = |schema: &Value, body: Value| jsonschema::is_valid(schema, &body);
            assert!(
                fits(&new, json!({text: "x", other: null}))
                    && fits(&edit, json!({}))
                    && fits(&edit, json!({text: null}))
            );
            assert!(!fits(&new, json!({})) && !fits(&new, json!({text: " "})) && !fits(&new, json!({text: null})));
            assert!(!fits(&edit, json!({other: 2})) && !fits(&edit, json!({"tags": [1]})), "{path}");
        }
    }

    #[test]
    fn what_a_request_must_hold_is_told() {
        let document = document("0.0.0");
        let table = [
            ("/api/memory/forget/", "post", json!({"dry_run": true}), json!({"text": "x"})),
            ("/api/memory/forget/", "post", json!({"text": " "}), json!({"text": "", "id": "x"})),
            ("/api/memory/forget/", "post", json!({"id": null}), json!({"from": "2026-01-01T00:00:00Z"})),
            ("/api/memory/profile/", "post", json!({"body": null}), json!({"body": null, "soul": ""})),
            ("/api/memory/promote/{id}/", "post", json!({"choice": ""}), json!({"choice": "reject"})),
            ("/api/memory/undo/", "post", json!({"of": "x", "to": 4_294_967_296_u64}), json!({"of": "x", "to": null})),
            ("/api/memory/facts/", "post", json!({"text": "x", "tags": [""]}), json!({"text": "x", "tags": ["a"]})),
            ("/api/memory/facts/", "post", json!({"text": "x", "kind": " "}), json!({"text": "x", "kind": null})),
            ("/api/memory/facts/{id}/", "patch", json!({"text": ""}), json!({"text": "x"})),
            ("/api/memory/episodes/{id}/", "patch", json!({"title": ""}), json!({"title": null, "tags": null})),
            ("/api/predictions/mute/", "post", json!({"agents": [""]}), json!({"projects": ["a"]})),
            ("/api/predictions/mute/", "post", json!({"hours": ["25-7"]}), json!({"hours": ["22-7", "12:30-24"]})),
            (
                "/api/predictions/predict/",
                "post",
                json!({"agent": "a", "agent_input": "x", "options": [" "]}),
                json!({"agent": "a", "agent_input": "x", "options": ["a"]}),
            ),
        ];
        for (path, method, not, fits) in table {
            let body = &document["paths"][path][method]["requestBody"];
            let schema = &body["content"]["application/json"]["schema"];
            assert!(!jsonschema::is_valid(schema, &not) && jsonschema::is_valid(schema, &fits), "{path}: {not} {fits}");
        }
        let needed = |path: &str| document["paths"][path]["post"]["requestBody"]["required"].clone();
        assert_eq!((needed("/api/memory/forget/"), needed("/api/memory/profile/")), (json!(true), json!(true)));
        let of = &document["paths"]["/api/memory/history/"]["get"]["parameters"][0];
        assert_eq!((&of["name"], &of["required"]), (&json!("of"), &json!(true)));
    }

    #[test]
    fn every_schema_in_it_is_a_schema() {
        let document = document("0.0.0");
        let mut seen = 0;
        for shown in document["paths"].as_object().expect("paths").values().flat_map(|path| path.as_object()) {
            for body in shown.values().map(|shown| &shown["requestBody"]["content"]["application/json"]["schema"]) {
                if body.is_object() {
                    jsonschema::validator_for(body).expect("a schema");
                    seen += 1;
                }
            }
        }
        assert!(seen > 10, "{seen}");
    }
}
