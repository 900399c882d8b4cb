//! The screen and input recorder of Clone; not built yet.

use std::process::ExitCode;

/// What it says until it is built.
const NOT_BUILT: &str = "error: the recorder is not built yet\nhint: Clone records agents, terminals and imports without it; see `clone --help`";

#[allow(clippy::print_stderr)]
fn main() -> ExitCode {
    eprintln!("{NOT_BUILT}");
    ExitCode::FAILURE
}
