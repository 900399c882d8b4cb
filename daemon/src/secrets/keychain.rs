//! The keychain of the system: Secret Service on Linux, Keychain on macOS.

use keyring::{Entry, Error};

use super::{Secret, SecretsError};

/// The name under which a keychain shows them.
const SERVICE: &str = "clone";

/// Whether this build knows any.
pub(super) const BUILT: bool = true;

/// The keychain of the person who is signed in.
#[derive(Debug)]
pub(super) struct Keychain {
    /// Tells the entries of two homes apart.
    home: String,
}

impl Keychain {
    /// The keychain for the home of this name; nothing is opened yet.
    pub(super) fn new(home: &str) -> Self {
        Self { home: home.to_owned() }
    }

    /// The secret of this name.
    ///
    /// # Errors
    ///
    /// There is no keychain, or it is locked.
    pub(super) fn get(&self, name: &str) -> Result<Option<Secret>, SecretsError> {
        match self.entry(name)?.get_password() {
            Ok(words) => Ok(Secret::new(&words)),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(refused(&error)),
        }
    }

    /// Keeps a secret under this name.
    ///
    /// # Errors
    ///
    /// As [`Keychain::get`].
    pub(super) fn set(&self, name: &str, secret: &Secret) -> Result<(), SecretsError> {
        self.entry(name)?.set_password(secret.expose()).map_err(|error| refused(&error))
    }

    /// Takes a secret away; whether there was one.
    ///
    /// # Errors
    ///
    /// As [`Keychain::get`].
    pub(super) fn remove(&self, name: &str) -> Result<bool, SecretsError> {
        match self.entry(name)?.delete_credential() {
            Ok(()) => Ok(true),
            Err(Error::NoEntry) => Ok(false),
            Err(error) => Err(refused(&error)),
        }
    }

    fn entry(&self, name: &str) -> Result<Entry, SecretsError> {
        Entry::new(SERVICE, &format!("{name} {}", self.home)).map_err(|error| refused(&error))
    }
}

/// What the keychain says; it never says a secret.
fn refused(error: &Error) -> SecretsError {
    SecretsError::Keychain(match error {
        Error::NoDefaultStore => "there is none in this session".to_owned(),
        Error::NoStorageAccess(_) => "it is locked, or nobody may open it".to_owned(),
        Error::PlatformFailure(_) => "it does not answer".to_owned(),
        Error::Ambiguous(_) => "it holds several entries of this name".to_owned(),
        Error::BadEncoding(_) => "what it holds is no text".to_owned(),
        _ => "it refuses".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `make keychain` runs this in a session with a keychain of its own.
    #[test]
    fn a_keychain_keeps_a_secret_and_lets_it_go() {
        let (keychain, secret) = (Keychain::new("test"), Secret::new("gho_canary").unwrap());
        if let Err(error) = keychain.set("test", &secret) {
            eprintln!("SKIPPED: a_keychain_keeps_a_secret_and_lets_it_go ({error})");
            return;
        }
        assert_eq!(keychain.get("test").unwrap(), Some(secret));
        assert_eq!(Keychain::new("other").get("test").unwrap(), None, "of another home");
        assert!(keychain.remove("test").unwrap());
        assert_eq!((keychain.get("test").unwrap(), keychain.remove("test").unwrap()), (None, false));
    }
}
