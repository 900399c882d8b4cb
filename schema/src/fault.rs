//! The error that crosses the socket: what kind, what happened, what to do.

use serde::{Deserialize, Serialize};

/// What kind of trouble, which decides the HTTP status and the CLI exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The request is wrong (400).
    Invalid,
    /// No credential, or a wrong one (401).
    Unauthorized,
    /// The caller may not do this (403).
    Forbidden,
    /// No such thing (404).
    NotFound,
    /// The thing changed meanwhile, or exists already (409).
    Conflict,
    /// The body is larger than the limit (413).
    TooLarge,
    /// The content type is not JSON (415).
    Unsupported,
    /// Too much at once, or not ready; try again (503).
    Unavailable,
    /// No room on the disk (507).
    DiskFull,
    /// Our own fault (500).
    Internal,
}

impl Kind {
    /// The HTTP status of this kind.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Invalid => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::Unsupported => 415,
            Self::Unavailable => 503,
            Self::DiskFull => 507,
            Self::Internal => 500,
        }
    }
}

/// One failure as a caller sees it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// What kind of trouble.
    pub kind: Kind,
    /// What happened, in one line without a full stop.
    pub message: String,
    /// What the caller can do about it.
    pub hint: Option<String>,
}

impl Fault {
    /// A fault of this kind with this message.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None }
    }

    /// The request is wrong.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, message)
    }

    /// No such thing.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, message)
    }

    /// Our own fault.
    pub fn internal(message: impl std::fmt::Display) -> Self {
        Self::new(Kind::Internal, message.to_string())
    }

    /// The same fault with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
