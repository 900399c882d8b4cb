//! The schemas that a segment embeds are true of every event in it, as a stock reader sees both.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clone_schema::segment::{Message, chunk, header, schema_text};
use clone_schema::topic::{self, TOPICS};
use serde_json::Value;

/// The longest schema, in bytes: every chunk repeats those of its topics.
const LONGEST: usize = 600;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/golden").join(name)
}

/// Topic and text of every golden event; there is one of each topic at least.
fn golden_events() -> Vec<(usize, String)> {
    let lines = std::fs::read_to_string(golden("segment-1.jsonl")).unwrap();
    let rows = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.map(|row| (topic::find(row["topic"].as_str().unwrap()).unwrap().0, row["json"].as_str().unwrap().to_owned()))
        .collect()
}

/// A segment that this version writes, open, with an event of each chunk's own.
fn written(events: &[(usize, String)]) -> Vec<u8> {
    let mut bytes = header("home-1");
    for (sequence, (topic, json)) in events.iter().enumerate() {
        let sequence = u32::try_from(sequence).unwrap();
        let message = Message { sequence, topic: *topic, log_time: 1, publish_time: 1, data: json.as_bytes() };
        bytes.extend_from_slice(&chunk(0, &[message]).bytes);
    }
    bytes
}

fn validator(schema: &Value) -> jsonschema::Validator {
    jsonschema::draft202012::options().should_validate_formats(true).build(schema).unwrap()
}

/// How many events a stock reader finds, each valid by the schema that the segment itself says.
fn validated(bytes: &[u8]) -> usize {
    let mut validators = BTreeMap::new();
    let options = mcap::read::Options::IgnoreEndMagic.into();
    let messages = mcap::MessageStream::new_with_options(bytes, options).unwrap();
    let events = messages.map(|message| {
        let message = message.unwrap();
        let schema = message.channel.schema.clone().unwrap();
        assert_eq!(schema.encoding, "jsonschema");
        let text = serde_json::from_slice(&schema.data).unwrap();
        let validator = validators.entry(schema.name.clone()).or_insert_with(|| validator(&text));
        let event = serde_json::from_slice(&message.data).unwrap();
        let wrong: Vec<String> = validator.iter_errors(&event).map(|error| error.to_string()).collect();
        assert!(wrong.is_empty(), "{}: {wrong:?}: {event}", schema.name);
    });
    events.count()
}

#[test]
fn every_event_is_valid_by_the_schema_in_its_own_segment() {
    let events = golden_events();
    assert_eq!(validated(&std::fs::read(golden("segment-1.mcap")).unwrap()), events.len());
    assert_eq!(validated(&written(&events)), events.len());
}

#[test]
fn a_schema_knows_every_key_of_its_events_and_misses_each_that_is_required() {
    for (topic, json) in golden_events() {
        let schema: Value = serde_json::from_str(schema_text(topic)).unwrap();
        let validator = validator(&schema);
        let event: Value = serde_json::from_str(&json).unwrap();
        for name in schema["required"].as_array().unwrap() {
            let mut less = event.clone();
            less.as_object_mut().unwrap().remove(name.as_str().unwrap());
            assert!(!validator.is_valid(&less), "{} without {name}", TOPICS[topic].name);
        }
        let optional = ["source_detail", "meta", "hex"];
        let known =
            |name: &&String| schema["properties"].get(name.as_str()).is_some() || optional.contains(&name.as_str());
        let unknown: Vec<&String> = event.as_object().unwrap().keys().filter(|name| !known(name)).collect();
        assert!(unknown.is_empty(), "{}: {unknown:?}", TOPICS[topic].name);
    }
}

#[test]
fn schemas_are_short_and_their_bytes_never_change() {
    let longest = (0..TOPICS.len()).map(|topic| schema_text(topic).len()).max().unwrap();
    assert!(longest <= LONGEST, "{longest}");
    assert_eq!(
        schema_text(topic::find("key.revoked").unwrap().0),
        r#"{"type":"object","properties":{"id":{"type":"string"},"at":{"type":"string","format":"date-time"},"key_id":{"type":"string"},"type":{"const":"key.revoked"}},"required":["type","id","at","key_id"]}"#
    );
    assert_eq!(schema_text(TOPICS.len()), r#"{"type":"object"}"#);
}
