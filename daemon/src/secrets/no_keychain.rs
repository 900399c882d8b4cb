//! No keychain: this build was made without the feature `keychain`.

use super::{Secret, SecretsError};

/// A keychain that is never there.
#[derive(Debug)]
pub(super) struct Keychain;

/// Whether this build knows any.
pub(super) const BUILT: bool = false;

impl Keychain {
    pub(super) fn new(_home: &str) -> Self {
        Self
    }

    pub(super) fn get(&self, _name: &str) -> Result<Option<Secret>, SecretsError> {
        Err(absent())
    }

    pub(super) fn set(&self, _name: &str, _secret: &Secret) -> Result<(), SecretsError> {
        Err(absent())
    }

    pub(super) fn remove(&self, _name: &str) -> Result<bool, SecretsError> {
        Err(absent())
    }
}

fn absent() -> SecretsError {
    SecretsError::Keychain("this build has none (it was made with `--no-default-features`)".to_owned())
}
