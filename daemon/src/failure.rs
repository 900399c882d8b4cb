//! The one error type of the edge: what is printed, the hint under it, and the exit code.

use std::fmt::Display;

use clone_schema::Fault;

use crate::client::ClientError;

/// Exit codes of `clone`; a broken pipe is success.
pub mod exit {
    /// It worked.
    pub const OK: u8 = 0;
    /// Something failed.
    pub const FAILED: u8 = 1;
    /// The command line is wrong.
    pub const USAGE: u8 = 2;
    /// The daemon is not reachable.
    pub const UNREACHABLE: u8 = 3;
    /// Running, but degraded, or data was lost.
    pub const DEGRADED: u8 = 4;
    /// `predict --exit-status` and the answer is escalated.
    pub const ESCALATED: u8 = 10;
    /// Our own fault.
    pub const INTERNAL: u8 = 70;
}

/// A failure on its way to the terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// One line, lower case, no full stop.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
    /// The exit code.
    pub code: u8,
}

impl Failure {
    /// A failure with exit code 1.
    pub fn new(message: impl Display) -> Self {
        Self { message: message.to_string(), hint: None, code: exit::FAILED }
    }

    /// A wrong command line.
    pub fn usage(message: impl Display) -> Self {
        Self { code: exit::USAGE, ..Self::new(message) }
    }

    /// The same failure with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same failure with this exit code.
    #[must_use]
    pub fn code(mut self, code: u8) -> Self {
        self.code = code;
        self
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let code = if matches!(error, ClientError::NotReachable { .. }) { exit::UNREACHABLE } else { exit::FAILED };
        Self { message: error.to_string(), hint: error.hint().map(str::to_owned), code }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        let code = if fault.kind == clone_schema::fault::Kind::Internal { exit::INTERNAL } else { exit::FAILED };
        Self { message: fault.message, hint: fault.hint, code }
    }
}
