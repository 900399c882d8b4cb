//! Why a call failed, in the daemon's words where it spoke, and what the person can do.

use clone_schema::Fault;
use clone_schema::fault::Kind;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("no daemon answers on `{address}`: {reason}")]
    NotReachable {
        /// The socket or the URL.
        address: String,
        /// What the operating system said.
        reason: String,
    },
    /// The daemon is of another version.
    #[error("this is Clone `{client}`, the daemon is `{daemon}`")]
    Version {
        /// Our version.
        client: String,
        /// The daemon's version.
        daemon: String,
    },
    /// The daemon said no.
    #[error("{error}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// What happened.
        error: String,
        /// What to do, where the daemon knows.
        hint: Option<String>,
    },
    /// Whatever answers is not a daemon of ours, or it broke off.
    #[error("the answer of `{address}` cannot be used: {reason}")]
    Broken {
        /// The socket or the URL.
        address: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// The call or the address is wrong on our side.
    #[error("{0}")]
    Misuse(String),
}

impl ClientError {
    /// What the person can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::NotReachable { .. } => Some("start it with `clone daemon`"),
            Self::Version { .. } => Some("restart the daemon so that both are the same version"),
            Self::Refused { hint, .. } => hint.as_deref(),
            Self::Broken { .. } | Self::Misuse(_) => None,
        }
    }

    /// The HTTP status, where the daemon answered.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }
}

impl From<ClientError> for Fault {
    fn from(error: ClientError) -> Self {
        let kind = match &error {
            ClientError::NotReachable { .. } => Kind::Unavailable,
            ClientError::Version { .. } => Kind::Conflict,
            ClientError::Refused { status, .. } => kind(*status),
            ClientError::Broken { .. } => Kind::Internal,
            ClientError::Misuse(_) => Kind::Invalid,
        };
        Self { kind, message: error.to_string(), hint: error.hint().map(str::to_owned) }
    }
}

/// The kind behind a status; one that no kind has is the caller's fault below 500 and ours from there.
fn kind(status: u16) -> Kind {
    let kinds = [
        Kind::Invalid,
        Kind::Unauthorized,
        Kind::Forbidden,
        Kind::NotFound,
        Kind::Conflict,
        Kind::TooLarge,
        Kind::Unsupported,
        Kind::Unavailable,
        Kind::DiskFull,
    ];
    let other = if status < 500 { Kind::Invalid } else { Kind::Internal };
    kinds.into_iter().find(|kind| kind.status() == status).unwrap_or(other)
}
