//! The JSON Schema of each topic, as the Schema record of every chunk embeds it.
//!
//! Every chunk repeats it, so it says the names and types of the fields and nothing that costs more bytes; what the wire
//! accepts in full is said by [`publish`](crate::publish). Readers must ignore what they do not know: a later version may
//! add a key.

use std::sync::OnceLock;

use crate::topic::{Shape, TOPICS, Topic};

const TEXT: &str = r#"{"type":"string"}"#;
const TEXT_OR_NULL: &str = r#"{"type":["string","null"]}"#;
const INT: &str = r#"{"type":"integer"}"#;
const INT_OR_NULL: &str = r#"{"type":["integer","null"]}"#;
const OBJECT: &str = r#"{"type":"object"}"#;
const TEXTS: &str = r#"{"type":"array","items":{"type":"string"}}"#;
const INSTANT: &str = r#"{"type":"string","format":"date-time"}"#;

/// A required key and its schema.
type Key = (&'static str, &'static str);

const WIRE: &[Key] = &[("id", TEXT), ("session_id", TEXT), ("occurred_at", INSTANT), ("source", TEXT)];
const FILE: &[Key] = &[("path", TEXT), ("text", TEXT)];

/// What the payload of an internal topic always holds, as [`internal`](crate::internal) types it.
const INTERNAL: &[(&str, &[Key])] = &[
    ("prediction.made", &[("prediction", OBJECT)]),
    (
        "feedback.given",
        &[("prediction_id", TEXT), ("status", TEXT), ("actual_response", TEXT_OR_NULL), ("judge", TEXT)],
    ),
    ("choice.audited", &[("prediction_id", TEXT)]),
    ("key.created", &[("key_id", TEXT), ("label", TEXT), ("hash", TEXT)]),
    ("key.revoked", &[("key_id", TEXT)]),
    ("vault.written", FILE),
    ("vault.edited", FILE),
    ("vault.moved", &[("from", TEXT), ("to", TEXT)]),
    ("vault.deleted", &[("path", TEXT), ("by", TEXT)]),
    ("session.closed", &[("session_id", TEXT), ("upto", INT), ("reason", TEXT)]),
    ("import.marked", &[("format", TEXT), ("imported", INT), ("duplicates", INT), ("skipped", OBJECT)]),
    ("config.changed", &[("key", TEXT), ("value", TEXT)]),
    ("memory.noted", &[("text", TEXT), ("session_id", TEXT_OR_NULL)]),
];

/// The JSON Schema text that goes into the Schema record of a topic; the bare object for a topic that does not exist.
#[must_use]
pub fn schema_text(topic: usize) -> &'static str {
    static TEXTS: OnceLock<Vec<String>> = OnceLock::new();
    TEXTS.get_or_init(|| TOPICS.iter().map(text).collect()).get(topic).map_or(OBJECT, String::as_str)
}

fn text(topic: &Topic) -> String {
    let keys = keys(topic);
    // Written by hand: the bytes must not depend on how a JSON library orders keys.
    let required: Vec<String> = keys.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    let mut properties: Vec<String> = keys.iter().map(|(name, schema)| format!("\"{name}\":{schema}")).collect();
    properties.push(format!(r#""type":{{"const":"{}"}}"#, topic.name));
    let (required, properties) = (required.join(","), properties.join(","));
    format!(r#"{{"type":"object","properties":{{{properties}}},"required":["type",{required}]}}"#)
}

/// Every key that an event of the topic always has, but `type`.
fn keys(topic: &Topic) -> Vec<Key> {
    if topic.wire {
        let fields = topic.fields.iter().map(|field| (field.name, shape(field.shape)));
        return WIRE.iter().copied().chain(fields).collect();
    }
    let payload = INTERNAL.iter().find(|(name, _)| *name == topic.name).map_or(&[][..], |(_, keys)| keys);
    [("id", TEXT), ("at", INSTANT)].into_iter().chain(payload.iter().copied()).collect()
}

fn shape(shape: Shape) -> &'static str {
    match shape {
        Shape::Text { .. } | Shape::OneOf(_) => TEXT,
        Shape::TextOrNull => TEXT_OR_NULL,
        Shape::Int { .. } => INT,
        Shape::IntOrNull => INT_OR_NULL,
        Shape::Texts => TEXTS,
        Shape::Modifiers => OBJECT,
    }
}
