//! Files of the vault: any text comes back, a set key reads back and moves nothing else, and a fact settles at once.

#![no_main]

use clone_markdown::front_matter::Value;
use clone_markdown::{Document, edit, episode, fact, profile};
use clone_schema::Timestamp;
use libfuzzer_sys::fuzz_target;

const KEY: &str = "status";

fuzz_target!(|text: &str| {
    let document = Document::parse(text);
    assert_eq!(document.to_string(), text);
    assert!(text.ends_with(document.body()));
    for entry in document.entries() {
        assert!(text[entry.span.clone()].contains(&entry.key));
        assert!(text.get(entry.value_span.clone()).is_some());
    }
    if let Ok(changed) = edit::set(text, KEY, &Value::Text("archived: \"now\"".to_owned())) {
        let read = Document::parse(&changed);
        assert_eq!(read.value(KEY).and_then(Value::as_text), Some("archived: \"now\""), "{changed:?}");
        assert!(read.body().ends_with(document.body()), "{changed:?}");
        // The first of its kind changed, or a new one came last.
        let rest = |document: &Document| -> Vec<_> {
            let first = document.entries().iter().position(|entry| entry.key == KEY);
            let kept = document.entries().iter().enumerate().filter(|(i, _)| Some(*i) != first);
            kept.map(|(_, entry)| (entry.key.clone(), entry.value.clone())).collect()
        };
        assert_eq!(rest(&read), rest(&document), "{changed:?}");
        let comments = |text: &str| text.matches('#').count();
        assert!(comments(&changed) >= comments(text) - in_value(&document), "{changed:?}");
    }
    let settled = |text: &str| fact::render(&fact::parse(text).0.into_fact("event-1", Timestamp::UNIX_EPOCH));
    let once = settled(text);
    assert_eq!(settled(&once), once);
    let _draft = episode::parse(text).0.into_episode();
    let _sections = profile::parse(text);
});

/// How many `#` the old value itself held.
fn in_value(document: &Document) -> usize {
    match document.value(KEY) {
        Some(Value::Plain(text) | Value::Text(text)) => text.matches('#').count(),
        Some(Value::List(items)) => items.iter().map(|item| item.matches('#').count()).sum(),
        _ => 0,
    }
}
