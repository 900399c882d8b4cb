//! Says what is wrong with an event: walks the [topic table](crate::topic) over a JSON value.
//!
//! The slow way, run only when the typed one refused.

use serde_json::{Map, Value};

use super::wire::whole;
use super::{MAX_PROBLEMS, META_FIELDS, MODIFIER_KEYS, ORIGINS, Problem, SOURCES, Source, source_of};
use crate::topic::{self, Shape};
use crate::{text, time};

/// Why an event was refused, for a caller; never empty.
pub(super) fn explain(json: &str) -> Vec<Problem> {
    let mut found = match serde_json::from_str::<Value>(json) {
        Ok(value) => problems(&value),
        Err(error) => vec![Problem { pointer: String::new(), message: format!("not JSON: {error}") }],
    };
    if found.is_empty() {
        // A duplicated key is the one thing that a JSON value no longer shows.
        found.push(Problem { pointer: String::new(), message: "a key appears twice".to_owned() });
    }
    found.truncate(MAX_PROBLEMS);
    found
}

/// Everything wrong with a wire event, in JSON-pointer order.
#[must_use]
pub fn problems(value: &Value) -> Vec<Problem> {
    let Some(map) = value.as_object() else {
        return vec![Problem { pointer: String::new(), message: format!("{} is not of type 'object'", show(value)) }];
    };
    let mut found = Vec::new();
    for key in ["id", "session_id", "occurred_at", "source", "type"] {
        if !map.contains_key(key) {
            found.push(at("", format!("'{key}' is a required property")));
        }
    }
    let topic = map.get("type").and_then(Value::as_str).and_then(topic::find).filter(|(_, topic)| topic.wire);
    if let Some(value) = map.get("type").filter(|_| topic.is_none()) {
        found.push(at("/type", format!("{} is not one of {}", show(value), list(&topic::wire_names()))));
    }
    let fields = topic.map_or(&[][..], |(_, topic)| topic.fields);
    for field in fields.iter().filter(|field| !map.contains_key(field.name)) {
        found.push(at("", format!("'{}' is a required property", field.name)));
    }
    for (key, value) in map {
        match key.as_str() {
            "id" | "session_id" => shape(value, Shape::Text { non_empty: true }, &format!("/{key}"), &mut found),
            "occurred_at" => instant(value, &mut found),
            "source" => source(value, map, &mut found),
            "source_detail" => shape(value, Shape::TextOrNull, "/source_detail", &mut found),
            "type" => {}
            "meta" => meta(value, &mut found),
            _ => match fields.iter().find(|field| field.name == key) {
                Some(field) => shape(value, field.shape, &format!("/{key}"), &mut found),
                None if topic.is_some() => found.push(unexpected("", key)),
                None => {}
            },
        }
    }
    found.sort();
    found
}

fn at(pointer: &str, message: String) -> Problem {
    Problem { pointer: pointer.to_owned(), message }
}

fn unexpected(pointer: &str, key: &str) -> Problem {
    at(pointer, format!("Additional properties are not allowed ('{key}' was unexpected)"))
}

fn list(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    format!("[{}]", quoted.join(", "))
}

/// A value as the reference validator quotes it, cut so that an error never repeats a document.
fn show(value: &Value) -> String {
    let text = match value {
        Value::String(text) => format!("'{text}'"),
        Value::Null => "None".to_owned(),
        other => other.to_string(),
    };
    text::clipped(text, 80)
}

fn instant(value: &Value, found: &mut Vec<Problem>) {
    match value.as_str() {
        None => found.push(at("/occurred_at", format!("{} is not of type 'string'", show(value)))),
        Some(text) if time::parse_wire(text).is_none() => {
            found.push(at("/occurred_at", format!("{} is not a 'date-time'", show(value))));
        }
        Some(_) => {}
    }
}

fn source(value: &Value, map: &Map<String, Value>, found: &mut Vec<Problem>) {
    match value.as_str().and_then(source_of) {
        None => found.push(at("/source", format!("{} is not one of {}", show(value), list(SOURCES)))),
        Some((Source::Integration, _)) => match map.get("source_detail") {
            None => found.push(at("", "'source_detail' is a required property".to_owned())),
            Some(Value::Null) => found.push(at("/source_detail", "None is not of type 'string'".to_owned())),
            Some(Value::String(text)) if text.is_empty() => {
                found.push(at("/source_detail", "'' should be non-empty".to_owned()));
            }
            Some(_) => {}
        },
        Some(_) => {}
    }
}

fn meta(value: &Value, found: &mut Vec<Problem>) {
    let Some(map) = value.as_object() else {
        found.push(at("/meta", format!("{} is not of type 'object'", show(value))));
        return;
    };
    for (key, value) in map {
        let pointer = format!("/meta/{key}");
        match key.as_str() {
            "origin" => shape(value, Shape::OneOf(ORIGINS), &pointer, found),
            key if META_FIELDS.contains(&key) => shape(value, Shape::Text { non_empty: false }, &pointer, found),
            key => found.push(unexpected("/meta", key)),
        }
    }
}

fn shape(value: &Value, shape: Shape, pointer: &str, found: &mut Vec<Problem>) {
    match shape {
        Shape::TextOrNull | Shape::IntOrNull if value.is_null() => {}
        Shape::Text { .. } | Shape::TextOrNull => match value.as_str() {
            None => found.push(at(pointer, format!("{} is not of type 'string'", show(value)))),
            Some("") if shape == (Shape::Text { non_empty: true }) => {
                found.push(at(pointer, "'' should be non-empty".to_owned()));
            }
            Some(_) => {}
        },
        Shape::Int { .. } | Shape::IntOrNull => {
            let min = if let Shape::Int { min } = shape { min } else { None };
            match (value.as_number().and_then(whole), min) {
                (None, _) => found.push(at(pointer, format!("{} is not of type 'integer'", show(value)))),
                (Some(n), Some(min)) if n < min => {
                    found.push(at(pointer, format!("{n} is less than the minimum of {min}")));
                }
                _ => {}
            }
        }
        Shape::OneOf(values) => {
            if !value.as_str().is_some_and(|text| values.contains(&text)) {
                found.push(at(pointer, format!("{} is not one of {}", show(value), list(values))));
            }
        }
        Shape::Texts => match value.as_array() {
            None => found.push(at(pointer, format!("{} is not of type 'array'", show(value)))),
            Some(items) => {
                for (i, item) in items.iter().enumerate().filter(|(_, item)| !item.is_string()) {
                    found.push(at(&format!("{pointer}/{i}"), format!("{} is not of type 'string'", show(item))));
                }
            }
        },
        Shape::Modifiers => modifiers(value, pointer, found),
    }
}

fn modifiers(value: &Value, pointer: &str, found: &mut Vec<Problem>) {
    let Some(map) = value.as_object() else {
        found.push(at(pointer, format!("{} is not of type 'object'", show(value))));
        return;
    };
    for key in MODIFIER_KEYS {
        match map.get(*key) {
            None => found.push(at(pointer, format!("'{key}' is a required property"))),
            Some(value) if !value.is_boolean() => {
                found.push(at(&format!("{pointer}/{key}"), format!("{} is not of type 'boolean'", show(value))));
            }
            Some(_) => {}
        }
    }
    for key in map.keys().filter(|key| !MODIFIER_KEYS.contains(&key.as_str())) {
        found.push(unexpected(pointer, key));
    }
}
