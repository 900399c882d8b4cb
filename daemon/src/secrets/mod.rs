//! Secrets of services that the person connected: in the keychain, or in a file that is sealed with a key; never in clear.
//!
//! Nothing else in the home holds them: not the settings, not the log, not a message, not the arguments of a process.

#[cfg_attr(not(all(feature = "keychain", any(target_os = "linux", target_os = "macos"))), path = "no_keychain.rs")]
mod keychain;
mod sealed;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use self::keychain::Keychain;
use self::sealed::Sealed;

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

/// Where secrets are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Store {
    /// In the keychain where there is one, else in the sealed file; a home in one folder keeps them there.
    #[default]
    Auto,
    /// In the keychain or nowhere.
    Keychain,
    /// In the sealed file.
    File,
}

/// Where a secret is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// In the keychain of the system.
    Keychain,
    /// In the sealed file.
    File,
}

/// The secrets of one home.
#[derive(Debug)]
pub struct Secrets {
    sealed: Sealed,
    keychain: Keychain,
    store: Store,
}

impl Secrets {
    /// The secrets that are sealed in this file under the keys in that one, or are in the keychain; nothing is opened yet.
    #[must_use]
    pub fn new(store: Store, file: &Path, keys: &Path) -> Self {
        let home = blake3::hash(file.as_os_str().as_encoded_bytes()).to_hex();
        Self { sealed: Sealed::new(file, keys), keychain: Keychain::new(&home[..16]), store }
    }

    /// The secret of this name.
    ///
    /// # Errors
    ///
    /// It is there and cannot be read: a file is damaged, no key opens it, or the keychain is locked.
    pub fn get(&self, name: &str) -> Result<Option<Secret>, SecretsError> {
        if self.sealed.in_keychain(name)? { self.keychain.get(name) } else { self.sealed.get(name) }
    }

    /// Keeps a secret under this name; one that was there is replaced.
    ///
    /// # Errors
    ///
    /// A file cannot be written or is damaged, or the keychain that was asked for cannot be used.
    pub fn set(&self, name: &str, secret: &Secret) -> Result<(), SecretsError> {
        if self.store == Store::Keychain || self.store == Store::Auto && keychain::BUILT {
            match self.keychain.set(name, secret) {
                Ok(()) => return self.sealed.gave_to_keychain(name),
                Err(error) if self.store == Store::Keychain => return Err(error),
                Err(error) => tracing::info!("a secret is kept in the sealed file: {error}"),
            }
        }
        let older = self.sealed.in_keychain(name)?;
        self.sealed.set(name, secret)?;
        // A keychain that cannot be used keeps nobody from connecting: that is what the file is for.
        if let Err(error) = if older { self.keychain.remove(name) } else { Ok(false) } {
            tracing::warn!("the older secret `{name}` stays in the keychain: {error}");
        }
        Ok(())
    }

    /// Where the secret of this name is; nothing where there is none, or nobody can tell.
    #[must_use]
    pub fn place(&self, name: &str) -> Option<Place> {
        if self.sealed.in_keychain(name).ok()? {
            return Some(Place::Keychain);
        }
        self.sealed.get(name).ok()?.map(|_| Place::File)
    }

    /// Takes a secret away; whether there was one.
    ///
    /// # Errors
    ///
    /// As [`Secrets::get`]; it is still there then.
    pub fn remove(&self, name: &str) -> Result<bool, SecretsError> {
        if self.sealed.in_keychain(name)? {
            self.keychain.remove(name)?;
        }
        self.sealed.remove(name)
    }

    /// Seals everything that is in the file with a new key and lets the older keys go; how many secrets that are.
    ///
    /// # Errors
    ///
    /// As [`Secrets::get`]; every key is kept then.
    pub fn rotate(&self) -> Result<usize, SecretsError> {
        self.sealed.rotate()
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
    /// The keychain, and why.
    #[error("the keychain cannot be used: {0}; unlock it, or set `store = \"file\"` under `[secrets]` in config.toml")]
    Keychain(String),
    /// The system has no random source.
    #[error("the system gives no random bytes, so nothing can be sealed")]
    Random,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A session without a keychain, as on a server: the sealed file stands in, unless the person wants nothing else.
    #[test]
    fn without_a_keychain_the_file_stands_in_and_what_a_keychain_holds_is_never_taken_for_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let secrets = |store| Secrets::new(store, &dir.path().join("secrets.sealed"), &dir.path().join("secrets.keys"));
        let secret = Secret::new("gho_canary").unwrap();
        secrets(Store::File).set("github", &secret).unwrap();
        assert_eq!(secrets(Store::Auto).get("github").unwrap(), Some(secret.clone()));
        assert_eq!(secrets(Store::Keychain).get("github").unwrap(), Some(secret.clone()), "wherever it is");
        assert!(secrets(Store::File).remove("github").unwrap());
        if keychain::BUILT {
            assert_eq!(secrets(Store::Auto).place("github"), None);
            return;
        }
        let told = secrets(Store::Keychain).set("github", &secret).unwrap_err().to_string();
        assert!(told.contains("keychain") && told.contains("store = \"file\""), "{told}");
        secrets(Store::Auto).set("github", &secret).unwrap();
        assert_eq!(secrets(Store::File).get("github").unwrap(), Some(secret.clone()));
        secrets(Store::Auto).sealed.gave_to_keychain("github").unwrap();
        assert!(matches!(secrets(Store::Auto).get("github"), Err(SecretsError::Keychain(_))));
        assert!(matches!(secrets(Store::Auto).remove("github"), Err(SecretsError::Keychain(_))));
        secrets(Store::File).set("github", &secret).unwrap();
        assert_eq!(
            secrets(Store::File).get("github").unwrap(),
            Some(secret),
            "though the older one cannot be taken away"
        );
    }

    /// `make keychain` runs this in a session with a keychain of its own.
    #[test]
    fn a_secret_that_goes_to_the_file_leaves_no_older_one_in_the_keychain() {
        let dir = tempfile::tempdir().unwrap();
        let secrets = |store| Secrets::new(store, &dir.path().join("secrets.sealed"), &dir.path().join("secrets.keys"));
        let (older, newer) = (Secret::new("gho_older").unwrap(), Secret::new("gho_newer").unwrap());
        if let Err(error) = secrets(Store::Keychain).set("github", &older) {
            eprintln!("SKIPPED: a_secret_that_goes_to_the_file_leaves_no_older_one_in_the_keychain ({error})");
            return;
        }
        assert_eq!(secrets(Store::File).get("github").unwrap(), Some(older), "wherever it is");
        secrets(Store::File).set("github", &newer).unwrap();
        assert_eq!(secrets(Store::Keychain).keychain.get("github").unwrap(), None);
        assert_eq!(secrets(Store::Auto).get("github").unwrap(), Some(newer));
    }
}
