//! The screen and input recorder of Clone; not built yet.

use std::process::ExitCode;

#[allow(clippy::print_stderr)]
fn main() -> ExitCode {
    eprintln!("error: the recorder is not built yet");
    eprintln!("hint: Clone records agents, terminals and imports without it; see `clone --help`");
    ExitCode::FAILURE
}
