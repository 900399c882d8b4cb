//! The doors: one table of operations over a Unix socket and, where asked for, over loopback TCP.
//!
//! What answers a call is not known here: the engine is two closures in a [`Handler`]. The order of a request is
//! connection cap ([`seats`]) → Host and Origin → credential → scope → content type ([`guard`]) → body ([`body`]) →
//! [`Handler::call`] ([`routes`]); a stream asks it again and again ([`feed`]), and so does MCP at `/mcp`, which is a shim in
//! front of the same operations. A handler runs on its own task, so a client that hangs up never cancels half a write.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use axum::body::Bytes;
use clone_schema::Fault;
use clone_schema::api::{Operation, Scope};

pub mod bind;
pub mod body;
pub mod feed;
pub mod guard;
pub mod listen;
pub mod routes;
pub mod seats;
mod tools;

pub use bind::BindError;
pub use feed::Feed;
pub use guard::Door;
pub use listen::{Limits, tcp, unix};
pub use routes::router;

/// The header that names the version of whoever sends it, daemon or client.
pub const VERSION_HEADER: &str = "clone-version";

/// Our own version, as [`VERSION_HEADER`] carries it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Whether two versions may talk: the same major and minor.
#[must_use]
pub fn compatible(ours: &str, theirs: &str) -> bool {
    let line = |version: &str| version.split('.').take(2).map(str::to_owned).collect::<Vec<_>>();
    line(ours) == line(theirs)
}

/// One request that passed every check.
#[derive(Clone, Debug)]
pub struct Call {
    /// Which operation.
    pub operation: &'static Operation,
    /// The path parameter, percent-decoded.
    pub id: Option<String>,
    /// The query, percent-decoded; the last of two equal names wins.
    pub query: BTreeMap<String, String>,
    /// The body; `{}` where a POST came without one, empty for other methods.
    pub body: Bytes,
    /// Who asks.
    pub caller: Caller,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// The person: a peer of the same user over the socket.
    Owner,
    /// The holder of an API key.
    Key {
        /// Which key.
        id: String,
        /// What it may do.
        scope: Scope,
    },
    /// No credential; only operations that are open to all.
    Nobody,
}

impl Caller {
    /// The widest scope that the caller may use.
    #[must_use]
    pub const fn scope(&self) -> Scope {
        match self {
            Self::Owner => Scope::Admin,
            Self::Key { scope, .. } => *scope,
            Self::Nobody => Scope::Open,
        }
    }
}

/// What the engine answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// JSON; empty for 204.
    pub body: String,
}

/// An answer that is still being worked on.
pub type Answer = Pin<Box<dyn Future<Output = Result<Reply, Fault>> + Send>>;

/// Answers one call.
pub type Answerer = Arc<dyn Fn(Call) -> Answer + Send + Sync>;

/// Looks up a presented key or token; fails where nobody can say now whether it is a good one.
pub type Authenticator = Arc<dyn Fn(&str) -> Result<Option<Caller>, Fault> + Send + Sync>;

/// The engine as the doors see it.
#[derive(Clone)]
pub struct Handler {
    /// Answers one call.
    pub call: Answerer,
    /// The caller behind a presented key or token, where it is a good one.
    pub authenticate: Authenticator,
    /// What streams of events wait for.
    pub feed: Feed,
}

impl std::fmt::Debug for Handler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handler").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_one_minor_talk() {
        for (ours, theirs, talk) in [
            ("0.1.0", "0.1.7", true),
            ("0.1.0", "0.1", true),
            ("0.1.0", "0.2.0", false),
            ("1.1.0", "0.1.0", false),
            ("0.1.0", "", false),
            ("0.1.0", "0.10.0", false),
        ] {
            assert_eq!(compatible(ours, theirs), talk, "{ours} {theirs}");
        }
    }
}
