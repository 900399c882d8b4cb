//! Secrets of services that the person connected: in a file that is sealed with a key, never in clear.
//!
//! Nothing else in the home holds them: not the settings, not the log, not a message, not the arguments of a process.

mod sealed;

use std::path::PathBuf;

pub use self::sealed::Sealed;

/// The longest secret, in bytes.
pub const SECRET_MAX: usize = 4_096;

/// A secret; shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A secret of these words; nothing for what no header could carry.
    #[must_use]
    pub fn new(words: &str) -> Option<Self> {
        let words = words.trim();
        let usable =
            !words.is_empty() && words.len() <= SECRET_MAX && words.bytes().all(|byte| byte.is_ascii_graphic());
        usable.then(|| Self(words.to_owned()))
    }

    /// The words, for the one header that carries them.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// Why a secret cannot be kept or given.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// The file of the keys or the sealed one.
    #[error("cannot use `{}`: {error}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// It is not what was written.
    #[error("`{}` is damaged; put it back from a backup, or move it away and connect again", .0.display())]
    Damaged(PathBuf),
    /// Others may read it.
    #[error("other users can read `{}`; run `chmod 600` on it", .0.display())]
    Open(PathBuf),
    /// None of the keys opens it.
    #[error("no key in `{}` opens the secret `{name}`; put the older key back below the others, or connect again", keys.display())]
    NoKey {
        /// Whose.
        name: String,
        /// Where the keys are.
        keys: PathBuf,
    },
    /// The system has no random source.
    #[error("the system gives no random bytes, so nothing can be sealed")]
    Random,
}
