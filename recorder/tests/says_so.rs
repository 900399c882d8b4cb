//! Until it is built, the recorder says so and fails, rather than pretending to record.

use std::process::Command;

#[test]
fn says_that_it_is_not_built_and_fails() {
    let output = Command::new(env!("CARGO_BIN_EXE_clone-recorder")).output().expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("not built yet"));
    assert!(output.stdout.is_empty());
}
