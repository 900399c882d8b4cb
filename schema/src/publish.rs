//! The JSON Schema and the TypeScript types of the wire, generated from the [topic table](crate::topic).
//!
//! The results are checked in as `schema/events.schema.json` and `schema/events.ts`; a test fails when they are stale,
//! and another proves that the schema accepts exactly what [`Event::parse`](crate::Event::parse) accepts. Keys are
//! sorted, so that the text does not depend on how `serde_json` was built.

use serde_json::{Map, Value, json};

use crate::event::{META_FIELDS, MODIFIER_KEYS, ORIGINS, RAW_SOURCES, SOURCES};
use crate::time::REFUSED_PATTERN;
use crate::topic::{Field, Shape, TOPICS, Topic};

/// The name by which the schema refers to itself.
pub const SCHEMA_ID: &str = "https://clone.is/schema/events.schema.json";

/// The base fields that every event has.
const REQUIRED: [&str; 5] = ["id", "session_id", "occurred_at", "source", "type"];

/// The JSON Schema (Draft 2020-12) of one wire event.
#[must_use]
pub fn json_schema() -> Value {
    let variants: Vec<Value> = wire_topics().map(variant).collect();
    let names: Vec<&str> = wire_topics().map(|topic| topic.name).collect();
    sorted(&json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "CloneEvent",
        "description": "One event on its way into Clone. Generated from the topic table; do not edit.",
        "type": "object",
        "required": REQUIRED,
        "properties": { "type": { "enum": names } },
        "oneOf": variants,
        "allOf": [{
            "$comment": "An integration says which one it is.",
            "if": { "properties": { "source": { "const": "integration" } }, "required": ["source"] },
            "then": {
                "properties": { "source_detail": { "type": "string", "minLength": 1 } },
                "required": ["source_detail"],
            },
        }],
        "$defs": definitions(),
    }))
}

/// The schema as it is checked in.
#[must_use]
pub fn json_schema_text() -> String {
    // A `Value` has no key that is not a string, the one thing that cannot be written.
    let mut text = serde_json::to_string_pretty(&json_schema()).unwrap_or_default();
    text.push('\n');
    text
}

fn wire_topics() -> impl Iterator<Item = &'static Topic> {
    TOPICS.iter().filter(|topic| topic.wire)
}

/// The schema of one type of event.
fn variant(topic: &Topic) -> Value {
    let mut properties = Map::new();
    for name in ["id", "session_id", "occurred_at", "source", "source_detail", "meta"] {
        properties.insert(name.to_owned(), reference(name));
    }
    properties.insert("type".to_owned(), json!({ "const": topic.name }));
    for field in topic.fields {
        properties.insert(field.name.to_owned(), shape(field.shape));
    }
    let required: Vec<&str> = REQUIRED.into_iter().chain(topic.fields.iter().map(|field| field.name)).collect();
    json!({
        "title": topic.name,
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}") })
}

/// The schema of one field.
fn shape(shape: Shape) -> Value {
    match shape {
        Shape::Text { non_empty: false } => json!({ "type": "string" }),
        Shape::Text { non_empty: true } => json!({ "type": "string", "minLength": 1 }),
        Shape::TextOrNull => json!({ "type": ["string", "null"] }),
        Shape::Int { min } => json!({ "type": "integer", "minimum": min.unwrap_or(i64::MIN), "maximum": i64::MAX }),
        Shape::IntOrNull => json!({ "type": ["integer", "null"], "minimum": i64::MIN, "maximum": i64::MAX }),
        Shape::OneOf(values) => json!({ "enum": values }),
        Shape::Texts => json!({ "type": "array", "items": { "type": "string" } }),
        Shape::Modifiers => reference("modifiers"),
    }
}

fn definitions() -> Value {
    let raw: Vec<&str> = RAW_SOURCES.iter().map(|(name, _)| *name).collect();
    json!({
        "id": { "type": "string", "minLength": 1, "description": "The idempotency key." },
        "session_id": { "type": "string", "minLength": 1, "description": "The session, begun by its first event." },
        "occurred_at": {
            "type": "string",
            "format": "date-time",
            "not": { "pattern": REFUSED_PATTERN },
            "description": "When it happened, by the producer's clock, with an offset.",
        },
        "source": {
            "anyOf": [
                { "enum": SOURCES },
                {
                    "enum": raw,
                    "deprecated": true,
                    "description": "Sent by older clients; kept as `agent`, with the value in `meta.raw_source`.",
                },
            ],
        },
        "source_detail": { "type": ["string", "null"], "description": "The provider or tool." },
        "meta": meta(),
        "modifiers": closed(MODIFIER_KEYS, |_| json!({ "type": "boolean" }), true),
    })
}

fn meta() -> Value {
    let field = |name: &str| if name == "origin" { json!({ "enum": ORIGINS }) } else { json!({ "type": "string" }) };
    closed(META_FIELDS, field, false)
}

/// An object with these keys and no others.
fn closed(names: &[&str], schema: impl Fn(&str) -> Value, required: bool) -> Value {
    let properties: Map<String, Value> = names.iter().map(|name| ((*name).to_owned(), schema(name))).collect();
    let mut out = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    if required {
        out["required"] = json!(names);
    }
    out
}

/// The value with the keys of every object in order.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<(&String, &Value)> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            Value::Object(entries.into_iter().map(|(key, value)| (key.clone(), sorted(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

/// The TypeScript types as they are checked in.
#[must_use]
pub fn typescript() -> String {
    let mut out = String::from("// Generated from the topic table of clone-schema; do not edit.\n\n");
    let names: Vec<&str> = wire_topics().map(|topic| topic.name).collect();
    out += &constant("CLONE_EVENT_TYPES", "CloneEventType", &names);
    out += &constant("CLONE_EVENT_SOURCES", "CloneEventSource", SOURCES);
    out += &constant("CLONE_EVENT_ORIGINS", "CloneEventOrigin", ORIGINS);
    out += "/** Which modifier keys were held. */\n";
    out += &interface("CloneModifiers", "", MODIFIER_KEYS.iter().map(|key| format!("{key}: boolean")));
    out += "/** What else is known about an event. */\n";
    out += &interface("CloneEventMeta", "", META_FIELDS.iter().map(|name| meta_field(name)));
    out += "/** What every event has. */\n";
    let base = ["id: string", "session_id: string", "occurred_at: string", "meta?: CloneEventMeta"];
    out += &interface("CloneEventBase", "", base.into_iter().map(str::to_owned));
    out += PROVENANCE;
    for topic in wire_topics() {
        let kind = format!("type: \"{}\"", topic.name);
        let fields = std::iter::once(kind).chain(topic.fields.iter().map(typescript_field));
        out += &interface(&type_name(topic.name), " extends CloneEventBase", fields);
    }
    out += "/** One event on its way into Clone, told apart by `type`. */\nexport type CloneEvent = CloneEventProvenance &\n  (";
    for topic in wire_topics() {
        out += &format!("\n    | {}", type_name(topic.name));
    }
    out + "\n  );\n"
}

const PROVENANCE: &str = "\
/** Where an event came from; an integration says which one it is. */
export type CloneEventProvenance =
  | { source: Exclude<CloneEventSource, \"integration\">; source_detail?: string | null }
  | { source: \"integration\"; source_detail: string };

";

/// A list of names and the type of one of them.
fn constant(name: &str, type_name: &str, values: &[&str]) -> String {
    let lines: String = values.iter().map(|value| format!("  \"{value}\",\n")).collect();
    format!("export const {name} = [\n{lines}] as const;\nexport type {type_name} = (typeof {name})[number];\n\n")
}

fn interface(name: &str, extends: &str, fields: impl Iterator<Item = String>) -> String {
    let lines: String = fields.map(|field| format!("  {field};\n")).collect();
    format!("export interface {name}{extends} {{\n{lines}}}\n\n")
}

fn meta_field(name: &str) -> String {
    format!("{name}?: {}", if name == "origin" { "CloneEventOrigin" } else { "string" })
}

fn typescript_field(field: &Field) -> String {
    let shape = match field.shape {
        Shape::Text { .. } => "string".to_owned(),
        Shape::TextOrNull => "string | null".to_owned(),
        Shape::Int { .. } => "number".to_owned(),
        Shape::IntOrNull => "number | null".to_owned(),
        Shape::OneOf(values) => values.iter().map(|value| format!("\"{value}\"")).collect::<Vec<_>>().join(" | "),
        Shape::Texts => "string[]".to_owned(),
        Shape::Modifiers => "CloneModifiers".to_owned(),
    };
    format!("{}: {shape}", field.name)
}

/// `agent.prompt` as `AgentPromptEvent`.
fn type_name(topic: &str) -> String {
    let words = topic.split('.').map(|word| word[..1].to_ascii_uppercase() + &word[1..]);
    words.collect::<String>() + "Event"
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use super::*;

    /// The generated files are those checked in; `UPDATE=1` writes them anew.
    #[test]
    fn the_files_are_fresh() {
        for (name, text) in [("events.schema.json", json_schema_text()), ("events.ts", typescript())] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
            if std::env::var_os("UPDATE").is_some() {
                std::fs::write(&path, &text).unwrap();
            }
            let found = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(found == text, "schema/{name} is stale: run `UPDATE=1 cargo test -p clone-schema`");
        }
    }

    #[test]
    fn every_variant_is_closed_and_every_wire_topic_has_one() {
        let schema = json_schema();
        let variants = schema["oneOf"].as_array().unwrap();
        let named: Vec<&str> =
            variants.iter().filter_map(|variant| variant["properties"]["type"]["const"].as_str()).collect();
        assert_eq!(named, crate::topic::wire_names());
        assert!(variants.iter().all(|variant| variant["additionalProperties"] == false));
    }

    #[test]
    fn the_types_name_every_type_and_field() {
        let text = typescript();
        for topic in wire_topics() {
            assert!(text.contains(&format!("  type: \"{}\";", topic.name)), "{}", topic.name);
            assert!(topic.fields.iter().all(|field| text.contains(&format!("  {}: ", field.name))), "{}", topic.name);
        }
        assert_eq!(text.matches("    | ").count(), crate::topic::wire_names().len());
    }
}
