//! The typed parse, the table-driven check and the published schema accept exactly the same events.

#![allow(clippy::unwrap_used)]

use std::sync::LazyLock;

use clone_schema::event::{MAX_PROBLEMS, META_FIELDS, ORIGINS, RAW_SOURCES, SOURCES, problems};
use clone_schema::topic::{self, Shape};
use clone_schema::{Event, Origin, Source, publish};
use proptest::prelude::*;
use serde_json::{Value, json};

static VALIDATOR: LazyLock<jsonschema::Validator> = LazyLock::new(|| {
    jsonschema::draft202012::options().should_validate_formats(true).build(&publish::json_schema()).unwrap()
});

/// Whether an event is accepted, after checking that all three ways say the same.
fn accepted(text: &str) -> Result<bool, TestCaseError> {
    let value: Value = serde_json::from_str(text).map_err(|error| TestCaseError::fail(error.to_string()))?;
    let (typed, found) = (Event::parse(text), problems(&value));
    prop_assert_eq!(typed.is_ok(), found.is_empty(), "typed {:?}, table {:?}: {}", typed, found, text);
    let schema: Vec<String> = VALIDATOR.iter_errors(&value).map(|error| error.to_string()).collect();
    prop_assert_eq!(typed.is_ok(), schema.is_empty(), "typed {:?}, schema {:?}: {}", typed, schema, text);
    match typed {
        Ok(event) => {
            let again = Event::parse(&event.to_json());
            prop_assert_eq!(again.as_ref(), Ok(&event), "{}", event.to_json());
            Ok(true)
        }
        Err(said) => {
            prop_assert_eq!(&said[..], &found[..found.len().min(MAX_PROBLEMS)]);
            Ok(false)
        }
    }
}

/// A valid event of this topic.
fn valid(name: &str) -> Value {
    let mut event = json!({
        "id": "evt-1", "session_id": "s-1", "occurred_at": "2026-05-05T12:34:56Z", "source": "agent", "type": name,
    });
    let (_, topic) = topic::find(name).unwrap();
    for field in topic.fields {
        event[field.name] = match field.shape {
            Shape::Text { .. } | Shape::TextOrNull => json!("text"),
            Shape::Int { .. } | Shape::IntOrNull => json!(3),
            Shape::OneOf(values) => json!(values[0]),
            Shape::Texts => json!(["one", "two"]),
            Shape::Modifiers => json!({ "shift": true, "ctrl": false, "alt": false, "meta": false }),
        };
    }
    event
}

fn names() -> impl Strategy<Value = &'static str> {
    prop::sample::select(topic::wire_names())
}

/// Every key of the wire and some that are none.
fn keys() -> impl Strategy<Value = String> {
    let base = ["id", "session_id", "occurred_at", "source", "source_detail", "type", "meta", "extra", ""];
    let fields = topic::TOPICS.iter().flat_map(|topic| topic.fields).map(|field| field.name);
    let mut all: Vec<String> = base.into_iter().chain(fields).map(str::to_owned).collect();
    // The base fields matter in every event: as likely as all the others together.
    all.extend(base.iter().cycle().take(27).map(|key| (*key).to_owned()));
    prop::sample::select(all)
}

/// Values at the edges of what any field takes.
fn edges() -> Vec<Value> {
    let numbers = vec![
        json!(1.0),
        json!(1e3),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(-0.0),
        json!(1e300),
        json!(-1e300),
        json!(1e17),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(9_223_372_036_854_775_808_u64),
        json!(9_223_372_036_854_775_808.0),
        json!(-9_223_372_036_854_775_808.0),
        json!(9_007_199_254_740_993_i64),
    ];
    let mut words: Vec<&str> = vec!["", "x", "press", "question", "chosen", "codex", "\u{0}", "\u{FFFF}"];
    words.extend(SOURCES.iter().chain(ORIGINS));
    words.extend(RAW_SOURCES.iter().map(|(name, _)| *name));
    words.extend(topic::wire_names());
    words.extend(["prediction.made", "agent.unknown"]);
    let shapes = vec![
        json!(null),
        json!(true),
        json!([]),
        json!({}),
        json!([1]),
        json!(["a", ""]),
        json!(["a", null]),
        json!([true, true, true, true]),
        json!({ "press": null }),
        json!({ "typed": null }),
        json!({ "shift": true, "ctrl": true, "alt": true, "meta": true }),
        json!({ "shift": true, "ctrl": true, "alt": true }),
        json!({ "shift": true, "ctrl": true, "alt": true, "meta": 1 }),
        json!({ "shift": true, "ctrl": true, "alt": true, "meta": true, "fn": true }),
    ];
    let words = words.into_iter().map(Value::from);
    numbers.into_iter().chain(words).chain(shapes).collect()
}

fn values() -> impl Strategy<Value = Value> {
    prop_oneof![3 => prop::sample::select(edges()), 1 => metas(), 1 => instants().prop_map(Value::from)]
}

fn metas() -> impl Strategy<Value = Value> {
    let key = prop::sample::select(META_FIELDS.iter().copied().chain(["other"]).collect::<Vec<_>>());
    let origin = prop::sample::select(ORIGINS.to_vec()).prop_map(Value::from);
    let value =
        prop_oneof![4 => origin, 1 => Just(json!(null)), 1 => Just(json!(1)), 1 => Just(json!({"typed": null}))];
    prop::collection::btree_map(key, value, 0..4).prop_map(|map| json!(map))
}

/// Instants, nearly instants, and the ends of the calendar.
fn instants() -> impl Strategy<Value = String> {
    let pick = |values: &'static [&'static str]| prop::sample::select(values.to_vec());
    let years = pick(&["2026", "0000", "0001", "9999", "9998", "1970", "26", "+2026", "-2026", "-000001"]);
    let days = pick(&[
        "-05-05", "-02-29", "-12-31", "-12-30", "-12-29", "-01-01", "-13-01", "-00-10", "0505", "-5-5", "-W18-2",
    ]);
    let gaps = pick(&["T", "t", " ", "_", ""]);
    let times = pick(&[
        "12:34:56", "00:00:00", "23:59:59", "23:59:60", "24:00:00", "12:34", "123456", "12:60:00", "1:2:3", "12:34:60",
    ]);
    let fractions = pick(&["", ".5", ".123456789", ".1234567891", ".", ",5", ".123 "]);
    let zones = pick(&[
        "Z", "z", "+02:00", "-23:59", "+23:59", "-00:00", "+24:00", "+0200", "+02", "", "Z[UTC]", "Z\n", "+02:60",
        "−02:00",
    ]);
    let usual = pick(&["2026-05-05T12:34:56Z", "2026-05-05T12:34:56.123456+00:00", "2024-02-29T00:00:00-08:00"]);
    let built = (years, days, gaps, times, fractions, zones)
        .prop_map(|(year, day, gap, time, fraction, zone)| format!("{year}{day}{gap}{time}{fraction}{zone}"));
    // Mostly right, wrong in one part: as built from all parts alone, nearly none would be valid.
    let ends = (
        pick(&[
            "0000-01-01T",
            "0001-01-01T",
            "9998-12-31T",
            "9999-12-29T",
            "9999-12-30T",
            "9999-12-31T",
            "9999-01-01T",
        ]),
        pick(&["00:00:00", "23:59:59", "23:59:59.999999999"]),
        pick(&["Z", "+00:00", "+23:59", "-23:59"]),
    )
        .prop_map(|(day, time, zone)| format!("{day}{time}{zone}"));
    prop_oneof![usual.prop_map(str::to_owned), built, ends]
}

#[derive(Clone, Debug)]
enum Change {
    /// The value of a key that is there, counted round.
    Nth(usize, Value),
    Drop(String),
    Set(String, Value),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let set = (keys(), values()).prop_map(|(key, value)| Change::Set(key, value));
    let likely = prop_oneof![
        (0_usize..12, values()).prop_map(|(place, value)| Change::Nth(place, value)),
        instants().prop_map(|at| Change::Set("occurred_at".into(), at.into())),
        metas().prop_map(|meta| Change::Set("meta".into(), meta)),
        prop::sample::select(SOURCES.to_vec()).prop_map(|source| Change::Set("source".into(), source.into())),
        prop::option::of(".{0,3}").prop_map(|detail| Change::Set("source_detail".into(), json!(detail))),
    ];
    prop::collection::vec(prop_oneof![1 => keys().prop_map(Change::Drop), 3 => set, 2 => likely], 0..4)
}

#[test]
fn the_three_ways_agree() {
    // A fixed seed: the counts below must not depend on luck.
    let rng = proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha);
    let config = ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new_with_rng(config, rng);
    let counts = std::cell::Cell::new((0, 0));
    let events = (names(), changes()).prop_map(|(name, changes)| {
        let mut event = valid(name);
        for change in changes {
            match change {
                Change::Nth(place, value) => {
                    let key = event.as_object().unwrap().keys().cycle().nth(place).unwrap().clone();
                    event[key] = value;
                }
                Change::Drop(key) => drop(event.as_object_mut().unwrap().remove(&key)),
                Change::Set(key, value) => event[key] = value,
            }
        }
        event.to_string()
    });
    runner
        .run(&events, |text| {
            let (yes, no) = counts.get();
            counts.set(if accepted(&text)? { (yes + 1, no) } else { (yes, no + 1) });
            Ok(())
        })
        .unwrap();
    let (yes, no) = counts.get();
    assert!(yes > 800 && no > 800, "too one-sided to prove anything: {yes} accepted, {no} refused");
}

#[test]
fn every_type_is_accepted_and_every_field_is_needed() {
    for name in topic::wire_names() {
        let event = valid(name);
        assert!(accepted(&event.to_string()).unwrap(), "{name}");
        for key in event.as_object().unwrap().keys() {
            let mut without = event.clone();
            without.as_object_mut().unwrap().remove(key);
            assert!(!accepted(&without.to_string()).unwrap(), "{name} without {key}");
        }
    }
}

#[test]
fn every_value_in_every_place() {
    for name in topic::wire_names() {
        let event = valid(name);
        let places = event.as_object().unwrap().keys().map(String::as_str).chain(["meta", "source_detail", "extra"]);
        for key in places {
            for value in edges() {
                let mut event = event.clone();
                event[key] = value;
                accepted(&event.to_string()).unwrap();
            }
        }
        for key in META_FIELDS.iter().chain(&["other"]) {
            for value in edges() {
                let mut event = event.clone();
                event["meta"] = json!({ *key: value });
                accepted(&event.to_string()).unwrap();
            }
        }
    }
}

#[test]
fn instants_are_taken_by_all_or_by_none() {
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(2_000)
    });
    runner
        .run(&instants(), |at| {
            let mut event = valid("session.started");
            event["occurred_at"] = at.into();
            accepted(&event.to_string()).map(drop)
        })
        .unwrap();
}

#[test]
fn documented_examples() {
    let cases = [
        (
            true,
            json!({"id": "evt-001", "session_id": "claude-code-2026-05-05", "occurred_at": "2026-05-05T12:34:56Z",
            "source": "agent", "source_detail": "claude-code", "type": "agent.prompt", "agent": "Claude Code",
            "prompt": "Test finished. What next?"}),
        ),
        (
            true,
            json!({"id": "evt-002", "session_id": "desktop-2026-05-05", "occurred_at": "2026-05-05T12:35:00Z",
            "source": "desktop", "type": "app.focused", "app": "Cursor", "window_title": "views.py"}),
        ),
        (
            true,
            json!({"id": "e", "session_id": "s", "occurred_at": "2026-05-05T12:34:56Z", "source": "desktop",
            "type": "app.focused", "app": "Cursor", "window_title": null}),
        ),
        (
            true,
            json!({"id": "e", "session_id": "s", "occurred_at": "2026-05-05T12:34:56Z", "source": "integration",
            "source_detail": "github", "type": "session.started"}),
        ),
        (
            false,
            json!({"id": "e", "session_id": "s", "occurred_at": "2026-05-05T12:34:56Z", "source": "integration",
            "type": "session.started"}),
        ),
        (
            false,
            json!({"id": "e", "session_id": "s", "occurred_at": "2026-05-05T12:34:56Z", "source": "claude-code",
            "type": "session.started"}),
        ),
        (
            false,
            json!({"id": "e", "session_id": "s", "occurred_at": "2026-05-05T12:34:56Z", "source": "desktop",
            "type": "app.focused", "app": "Cursor"}),
        ),
        (
            false,
            json!({"id": "e", "session_id": "s", "occurred_at": "2026-05-05T12:34:56Z", "source": "desktop",
            "type": "input.keystroke", "event_type": "press", "keychar": "a",
            "modifiers": {"shift": false, "ctrl": false, "alt": false, "meta": false}}),
        ),
        (
            false,
            json!({"id": "e", "session_id": "s", "occurred_at": "2026-05-05T12:34:56Z", "source": "desktop",
            "type": "capture.frame", "uri": "file:x", "content_hash": null, "width": 0, "height": 1}),
        ),
        (
            false,
            json!({"id": "e", "session_id": "s", "occurred_at": "2026-05-05T12:34:56", "source": "desktop",
            "type": "session.started"}),
        ),
    ];
    for (expected, event) in cases {
        assert_eq!(accepted(&event.to_string()).unwrap(), expected, "{event}");
    }
}

#[test]
fn odd_sources_of_real_clients_are_mapped_and_kept() {
    for (raw, origin) in RAW_SOURCES {
        let mut event = valid("agent.prompt");
        event["source"] = json!(raw);
        event["meta"] = json!({ "origin": "typed", "cwd": "/home" });
        assert!(accepted(&event.to_string()).unwrap(), "{raw}");
        let event = Event::parse(&event.to_string()).unwrap();
        assert_eq!((event.source, event.origin()), (Source::Agent, *origin), "{raw}");
        let meta = event.meta.unwrap();
        assert_eq!((meta.raw_source.as_deref(), meta.cwd.as_deref()), (Some(*raw), Some("/home")));
        assert_ne!(*origin, Origin::Typed, "words of {raw} must never train");
    }
    for other in ["User", "claude-code", "clone_prediction", "", " agent"] {
        let mut event = valid("agent.prompt");
        event["source"] = json!(other);
        assert!(!accepted(&event.to_string()).unwrap(), "{other}");
    }
}

#[test]
fn the_first_three_problems_come_in_the_order_of_their_pointers() {
    let event =
        json!({ "id": "", "occurred_at": 1, "source": "x", "type": "app.focused", "zzz": 1, "window_title": 2 });
    let said = Event::parse(&event.to_string()).unwrap_err();
    let pointers: Vec<&str> = said.iter().map(|problem| problem.pointer.as_str()).collect();
    assert_eq!(pointers, ["", "", ""]);
    assert!(said[2].message.contains("'zzz' was unexpected"), "{said:?}");
    let mut event = valid("input.click");
    for key in ["y", "x", "occurred_at", "id"] {
        event[key] = json!([]);
    }
    let said = Event::parse(&event.to_string()).unwrap_err();
    let pointers: Vec<&str> = said.iter().map(|problem| problem.pointer.as_str()).collect();
    assert_eq!(pointers, ["/id", "/occurred_at", "/x"]);
}

#[test]
fn texts_that_no_value_can_show() {
    let plain = valid("session.started").to_string();
    let refused = |text: &str| Event::parse(text).unwrap_err();
    let doubled = plain.replacen('{', "{\"id\":\"other\",", 1);
    assert_eq!(refused(&doubled)[0].message, "a key appears twice");
    let doubled = valid("input.click").to_string().replace("\"alt\":false", "\"alt\":false,\"alt\":false");
    assert_eq!(refused(&doubled)[0].message, "a key appears twice");
    for text in [
        plain.replace("evt-1", "\\ud800"),
        plain.replace("\"evt-1\"", "1e999"),
        plain.replacen('{', &format!("{{\"x\":{}{},", "[".repeat(10_000), "]".repeat(10_000)), 1),
        "[".repeat(1_000_000),
        String::new(),
        format!("{plain} {plain}"),
    ] {
        let said = refused(&text);
        assert!(said.len() == 1 && said[0].message.starts_with("not JSON"), "{said:?}");
    }
    for text in
        ["null", "[]", "\"x\"", "1", "[\"e\",\"s\",\"2026-05-05T12:34:56Z\",\"agent\",null,\"session.started\"]"]
    {
        assert!(!accepted(text).unwrap(), "{text}");
    }
}

#[test]
fn a_long_text_is_kept_whole() {
    let mut event = valid("agent.prompt");
    event["prompt"] = json!("é\n\"".repeat(2_500_000));
    let text = event.to_string();
    let event = Event::parse(&text).unwrap();
    assert_eq!(Event::parse(&event.to_json()), Ok(event));
    // A refusal of it stays small.
    let said = Event::parse(&text.replace("\"agent\":\"text\"", "\"agent\":\"\"").replace("evt-1", "")).unwrap_err();
    assert!(said.iter().map(|problem| problem.message.len()).sum::<usize>() < 1_000);
}
