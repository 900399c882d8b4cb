//! The scrubber: a fixed point, and it says what it took.

#![no_main]

use clone_daemon::scrub::scrub;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let first = scrub(text);
    let again = scrub(&first.text);
    assert_eq!(again.text, first.text, "scrubbing again changed it");
    assert!(again.found.is_empty(), "{:?}", again.found);
    assert_eq!(first.found.is_empty(), first.text == text);
});
