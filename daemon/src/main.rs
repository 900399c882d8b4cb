//! The binary `clone`: everything is in the library, so that tests and docs see it too.

use std::process::ExitCode;

fn main() -> ExitCode {
    clone_daemon::cli::main()
}
