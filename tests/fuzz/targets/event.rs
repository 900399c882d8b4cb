//! The typed parse and the table-driven check say the same of any text.

#![no_main]

use clone_schema::Event;
use clone_schema::event::{MAX_PROBLEMS, problems};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let found = serde_json::from_str(text).map(|value| problems(&value));
    match Event::parse(text) {
        Ok(event) => {
            assert_eq!(found.expect("an event is JSON"), []);
            assert_eq!(Event::parse(&event.to_json()), Ok(event));
        }
        Err(said) => {
            assert!((1..=MAX_PROBLEMS).contains(&said.len()), "{said:?}");
            match found {
                Ok(found) if found.is_empty() => assert_eq!(said[0].message, "a key appears twice"),
                Ok(found) => assert_eq!(said, found[..found.len().min(MAX_PROBLEMS)]),
                Err(_) => assert!(said[0].message.starts_with("not JSON"), "{said:?}"),
            }
        }
    }
});
