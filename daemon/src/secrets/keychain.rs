//! The keychain of the system: Secret Service on Linux, Keychain on macOS.
//!
//! It may show a dialog that nobody sees, or never answer: every question goes over a thread of its own, nobody waits for it
//! longer than [`PATIENCE`], and while one is not answered no other is asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

#[cfg(target_os = "macos")]
use apple_native_keyring_store::keychain::Store;
use keyring_core::api::CredentialStoreApi;
use keyring_core::{Entry, Error};
#[cfg(target_os = "linux")]
use zbus_secret_service_keyring_store::Store;

use super::{Secret, SecretsError};

/// The name under which a keychain shows them.
const SERVICE: &str = "clone";
/// How long it may take: somebody may have to type a password into a dialog.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whether this build knows any.
pub(super) const BUILT: bool = true;

/// The keychain of the person who is signed in.
#[derive(Debug)]
pub(super) struct Keychain {
    /// Tells the entries of two homes apart.
    home: String,
    patience: Duration,
    /// A question is not answered yet.
    asking: Arc<AtomicBool>,
    open: fn(&str) -> Result<Entry, Error>,
}

impl Keychain {
    /// The keychain for the home of this name; nothing is opened yet.
    pub(super) fn new(home: &str) -> Self {
        Self { home: home.to_owned(), patience: PATIENCE, asking: Arc::default(), open: opened }
    }

    /// The secret of this name.
    ///
    /// # Errors
    ///
    /// There is no keychain, it is locked, or it does not answer.
    pub(super) fn get(&self, name: &str) -> Result<Option<Secret>, SecretsError> {
        let found = self.ask(name, Entry::get_password, |_| {})?;
        Ok(found.and_then(|words| Secret::new(&words)))
    }

    /// Keeps a secret under this name.
    ///
    /// # Errors
    ///
    /// As [`Keychain::get`]; it is not kept then, however late the answer is.
    pub(super) fn set(&self, name: &str, secret: &Secret) -> Result<(), SecretsError> {
        let secret = secret.clone();
        let keep = move |entry: &Entry| entry.set_password(secret.expose());
        // Nobody knows any more that it is there: it is somewhere else by now.
        let late = |entry: &Entry| _ = entry.delete_credential();
        self.ask(name, keep, late).map(drop)
    }

    /// Takes a secret away; whether there was one.
    ///
    /// # Errors
    ///
    /// As [`Keychain::get`].
    pub(super) fn remove(&self, name: &str) -> Result<bool, SecretsError> {
        self.ask(name, Entry::delete_credential, |_| {}).map(|gone| gone.is_some())
    }

    /// Asks about the entry of this name; nothing where there is none. What comes of it too late is undone by `late`.
    fn ask<T: Send + 'static>(
        &self,
        name: &str,
        question: impl FnOnce(&Entry) -> Result<T, Error> + Send + 'static,
        late: impl FnOnce(&Entry) + Send + 'static,
    ) -> Result<Option<T>, SecretsError> {
        if self.asking.swap(true, Ordering::AcqRel) {
            return Err(SecretsError::Keychain("it has not answered yet what it was asked before".to_owned()));
        }
        // Nobody takes anything out of it but whoever still waits.
        let (told, answer) = sync_channel(0);
        let (asking, open, user) = (self.asking.clone(), self.open, format!("{name} {}", self.home));
        let ask = move || {
            let entry = open(&user);
            let answer = entry.as_ref().map_err(refused).and_then(|entry| match question(entry) {
                Ok(answer) => Ok(Some(answer)),
                Err(Error::NoEntry) => Ok(None),
                Err(error) => Err(refused(&error)),
            });
            let done = matches!(answer, Ok(Some(_)));
            if told.send(answer).is_err() {
                if let Some(entry) = entry.ok().filter(|_| done) {
                    late(&entry);
                }
                asking.store(false, Ordering::Release);
            }
        };
        let thread = std::thread::Builder::new().name("keychain".to_owned()).spawn(ask);
        let answered = thread.map_err(|_| RecvTimeoutError::Disconnected);
        let answered = answered.and_then(|_asked| answer.recv_timeout(self.patience));
        if !matches!(answered, Err(RecvTimeoutError::Timeout)) {
            self.asking.store(false, Ordering::Release);
        }
        answered.unwrap_or_else(|_| {
            let seconds = self.patience.as_secs();
            Err(SecretsError::Keychain(format!("it did not answer within {seconds} s")))
        })
    }
}

/// The entry of this name in the keychain of the session, as that is now: it may have begun, or been left, since it was last
/// asked.
fn opened(user: &str) -> Result<Entry, Error> {
    Store::new().map_err(|_| Error::NoDefaultStore)?.build(SERVICE, user, None)
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
    use std::sync::{LazyLock, Mutex};

    use keyring_core::mock;

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

    static MOCK: LazyLock<std::sync::Arc<mock::Store>> = LazyLock::new(|| mock::Store::new().unwrap());
    /// Held by whoever wants it not to answer.
    static DIALOG: Mutex<()> = Mutex::new(());

    fn behind_a_dialog(user: &str) -> Result<Entry, Error> {
        let _answered = DIALOG.lock().unwrap();
        MOCK.build(SERVICE, user, None)
    }

    #[test]
    fn nobody_waits_for_a_keychain_that_does_not_answer_and_its_late_answer_keeps_nothing() {
        let patient = Keychain { open: behind_a_dialog, ..Keychain::new("test") };
        let hasty = Keychain { patience: Duration::ZERO, asking: patient.asking.clone(), ..Keychain::new("test") };
        let hasty = Keychain { open: behind_a_dialog, ..hasty };
        let secret = Secret::new("gho_canary").unwrap();
        let dialog = DIALOG.lock().unwrap();
        let told = hasty.set("github", &secret).unwrap_err().to_string();
        assert!(told.contains("did not answer within 0 s") && told.contains("store = \"file\""), "{told}");
        // While the dialog is open nobody is shown another.
        for told in [patient.get("github").unwrap_err(), patient.remove("github").unwrap_err()] {
            assert!(told.to_string().contains("has not answered yet"), "{told}");
        }
        drop(dialog);
        while patient.asking.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        assert_eq!(patient.get("github").unwrap(), None, "it is kept elsewhere by now");
        patient.set("github", &secret).unwrap();
        assert_eq!(patient.get("github").unwrap(), Some(secret));
        assert_eq!((patient.remove("github").unwrap(), patient.remove("github").unwrap()), (true, false));
    }
}
