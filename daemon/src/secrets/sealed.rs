//! The sealed file: secrets under ChaCha20-Poly1305, the keys in a file beside the data that only the person may read.
//!
//! Keys stand one a line, the newest first. The newest seals; the others still open, and what an older one opened is sealed
//! anew at once. Against a copy of the settings alone this is safe; against the same user on the same machine nothing is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use clone_schema::text::{hex, unhex};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde::{Deserialize, Serialize};

use super::{Secret, SecretsError};
use crate::clock;

/// The version of the sealed file.
const VERSION: u32 = 1;
/// Bytes of a key.
const KEY_BYTES: usize = 32;

/// The sealed file and its keys.
#[derive(Debug)]
pub struct Sealed {
    file: PathBuf,
    keys: PathBuf,
    /// One at a time: what is read is written back.
    turn: Mutex<()>,
}

/// What the file holds.
#[derive(Debug, Serialize, Deserialize)]
struct Held {
    version: u32,
    secrets: BTreeMap<String, String>,
    /// Names of secrets that the keychain holds, so that nobody is asked to unlock it for nothing.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    in_keychain: BTreeSet<String>,
}

impl Sealed {
    /// The sealed secrets in this file under the keys in that one; nothing is opened yet.
    #[must_use]
    pub fn new(file: &Path, keys: &Path) -> Self {
        Self { file: file.to_owned(), keys: keys.to_owned(), turn: Mutex::default() }
    }

    /// The secret of this name.
    ///
    /// # Errors
    ///
    /// A file cannot be read or is damaged, or no key opens it.
    pub fn get(&self, name: &str) -> Result<Option<Secret>, SecretsError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut held = self.read()?;
        let Some(text) = held.secrets.get(name) else { return Ok(None) };
        let keys = self.keys()?;
        let (secret, by) = self.open(name, text, &keys)?;
        if by > 0 {
            held.secrets.insert(name.to_owned(), seal(name, &secret, &keys[0])?);
            self.write(&held)?;
        }
        Ok(Some(secret))
    }

    /// Keeps a secret under this name; one that was there is replaced.
    ///
    /// # Errors
    ///
    /// A file cannot be read or written, or is damaged.
    pub fn set(&self, name: &str, secret: &Secret) -> Result<(), SecretsError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut held = self.read()?;
        let mut keys = self.keys()?;
        if keys.is_empty() {
            keys.push(random_key()?);
            self.write_keys(&keys)?;
        }
        held.secrets.insert(name.to_owned(), seal(name, secret, &keys[0])?);
        held.in_keychain.remove(name);
        self.write(&held)
    }

    /// Whether the keychain holds the secret of this name.
    ///
    /// # Errors
    ///
    /// As [`Sealed::get`].
    pub fn in_keychain(&self, name: &str) -> Result<bool, SecretsError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(self.read()?.in_keychain.contains(name))
    }

    /// Remembers that the keychain holds the secret of this name, and holds it no more itself.
    ///
    /// # Errors
    ///
    /// As [`Sealed::set`].
    pub fn gave_to_keychain(&self, name: &str) -> Result<(), SecretsError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut held = self.read()?;
        held.secrets.remove(name);
        held.in_keychain.insert(name.to_owned());
        self.write(&held)
    }

    /// Takes a secret away; whether there was one.
    ///
    /// # Errors
    ///
    /// The file cannot be read or written, or is damaged.
    pub fn remove(&self, name: &str) -> Result<bool, SecretsError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut held = self.read()?;
        let there = held.secrets.remove(name).is_some() | held.in_keychain.remove(name);
        if there {
            self.write(&held)?;
        }
        Ok(there)
    }

    /// Makes a new key, seals everything with it, and only then lets the older keys go; how many secrets there are.
    ///
    /// # Errors
    ///
    /// As [`Sealed::get`]; every key is kept then.
    pub fn rotate(&self) -> Result<usize, SecretsError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut held = self.read()?;
        let mut keys = self.keys()?;
        keys.insert(0, random_key()?);
        for (name, text) in &mut held.secrets {
            let (secret, _) = self.open(name, text, &keys)?;
            *text = seal(name, &secret, &keys[0])?;
        }
        // Only now, or every rotation that fails would leave one more key behind.
        self.write_keys(&keys)?;
        self.write(&held)?;
        self.write_keys(&keys[..1])?;
        Ok(held.secrets.len())
    }

    /// A secret, and which key opened it.
    fn open(&self, name: &str, text: &str, keys: &[[u8; KEY_BYTES]]) -> Result<(Secret, usize), SecretsError> {
        let bytes = unhex(text).filter(|bytes| bytes.len() > NONCE_LEN);
        let bytes = bytes.ok_or_else(|| SecretsError::Damaged(self.file.clone()))?;
        let opened = keys.iter().enumerate().find_map(|(at, key)| Some((unseal(name, &bytes, key)?, at)));
        opened.ok_or_else(|| SecretsError::NoKey { name: name.to_owned(), keys: self.keys.clone() })
    }

    fn read(&self) -> Result<Held, SecretsError> {
        let Some(text) = private(&self.file)? else {
            return Ok(Held { version: VERSION, secrets: BTreeMap::new(), in_keychain: BTreeSet::new() });
        };
        let held = serde_json::from_str::<Held>(&text).ok().filter(|held| held.version == VERSION);
        held.ok_or_else(|| SecretsError::Damaged(self.file.clone()))
    }

    fn write(&self, held: &Held) -> Result<(), SecretsError> {
        let text = serde_json::to_string(held).map_err(|_| SecretsError::Damaged(self.file.clone()))?;
        replace(&self.file, &text)
    }

    fn keys(&self) -> Result<Vec<[u8; KEY_BYTES]>, SecretsError> {
        let text = private(&self.keys)?.unwrap_or_default();
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let key = |line| unhex(line).and_then(|bytes| bytes.try_into().ok());
        lines.map(|line| key(line).ok_or_else(|| SecretsError::Damaged(self.keys.clone()))).collect()
    }

    fn write_keys(&self, keys: &[[u8; KEY_BYTES]]) -> Result<(), SecretsError> {
        let lines = keys.iter().map(|key| format!("{}\n", hex(key)));
        replace(&self.keys, &format!("# Keys of the sealed secrets, the newest first.\n{}", lines.collect::<String>()))
    }
}

fn seal(name: &str, secret: &Secret, key: &[u8; KEY_BYTES]) -> Result<String, SecretsError> {
    let drawn = clock::random().map_err(|_| SecretsError::Random)?;
    let mut nonce = [0; NONCE_LEN];
    nonce.copy_from_slice(&drawn[..NONCE_LEN]);
    let mut text = secret.expose().as_bytes().to_vec();
    let sealing = cipher(key).seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad(name), &mut text);
    sealing.map_err(|_| SecretsError::Random)?;
    Ok(hex(&nonce) + &hex(&text))
}

fn unseal(name: &str, bytes: &[u8], key: &[u8; KEY_BYTES]) -> Option<Secret> {
    let (nonce, sealed) = bytes.split_at_checked(NONCE_LEN)?;
    let mut text = sealed.to_vec();
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let text = cipher(key).open_in_place(nonce, aad(name), &mut text).ok()?;
    Secret::new(std::str::from_utf8(text).ok()?)
}

/// A secret moved to another name does not open.
fn aad(name: &str) -> Aad<Vec<u8>> {
    Aad::from(format!("clone/secret/{VERSION}/{name}").into_bytes())
}

fn cipher(key: &[u8; KEY_BYTES]) -> LessSafeKey {
    #[allow(clippy::expect_used, reason = "the array is as long as the cipher wants it")]
    LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key).expect("a key of 32 bytes"))
}

fn random_key() -> Result<[u8; KEY_BYTES], SecretsError> {
    clock::random().map_err(|_| SecretsError::Random)
}

/// The text of a file that nobody else may read; nothing where there is none.
fn private(path: &Path) -> Result<Option<String>, SecretsError> {
    let failed = |error| SecretsError::File { path: path.to_owned(), error };
    match fs::metadata(path) {
        Ok(meta) if meta.permissions().mode() & 0o077 != 0 => Err(SecretsError::Open(path.to_owned())),
        Ok(_) => fs::read_to_string(path).map(Some).map_err(failed),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

/// Writes beside, on disk, and renames, so that a crash leaves the old one.
fn replace(path: &Path, text: &str) -> Result<(), SecretsError> {
    let beside = path.with_extension("tmp");
    let write = || {
        if let Some(dir) = path.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        }
        let _left = fs::remove_file(&beside);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
    };
    write().map_err(|error| SecretsError::File { path: path.to_owned(), error })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Home {
        dir: tempfile::TempDir,
    }

    impl Home {
        fn new() -> Self {
            Self { dir: tempfile::tempdir().unwrap() }
        }

        fn at(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }

        fn sealed(&self) -> Sealed {
            Sealed::new(&self.at("secrets.sealed"), &self.at("secrets.keys"))
        }

        fn keys(&self) -> Vec<String> {
            let text = fs::read_to_string(self.at("secrets.keys")).unwrap();
            text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
        }

        fn put_keys(&self, keys: &[String]) {
            fs::write(self.at("secrets.keys"), keys.join("\n")).unwrap();
        }

        fn held(&self) -> String {
            fs::read_to_string(self.at("secrets.sealed")).unwrap()
        }
    }

    fn secret(words: &str) -> Secret {
        Secret::new(words).unwrap()
    }

    #[test]
    fn what_is_kept_comes_back_and_stands_nowhere_in_clear() {
        let home = Home::new();
        let sealed = home.sealed();
        assert_eq!(sealed.get("github").unwrap(), None);
        assert!(!sealed.remove("github").unwrap());
        sealed.set("github", &secret("gho_canary")).unwrap();
        sealed.set("other", &secret("second")).unwrap();
        assert_eq!(home.sealed().get("github").unwrap(), Some(secret("gho_canary")));
        for (file, mode) in [("secrets.sealed", 0o600), ("secrets.keys", 0o600)] {
            let text = fs::read_to_string(home.at(file)).unwrap();
            assert!(!text.contains("gho_canary") && !text.contains(&hex(b"gho_canary")), "{file}");
            assert_eq!(fs::metadata(home.at(file)).unwrap().permissions().mode() & 0o777, mode, "{file}");
        }
        assert!(sealed.remove("github").unwrap());
        assert_eq!(sealed.get("github").unwrap(), None);
        assert_eq!(sealed.get("other").unwrap(), Some(secret("second")));
    }

    #[test]
    fn the_newest_key_seals_and_older_ones_still_open() {
        let home = Home::new();
        home.sealed().set("github", &secret("gho_canary")).unwrap();
        let (old, before) = (home.keys().remove(0), home.held());
        let new = "ab".repeat(KEY_BYTES);
        home.put_keys(&[new.clone(), old.clone()]);
        assert_eq!(home.sealed().get("github").unwrap(), Some(secret("gho_canary")));
        assert_ne!(home.held(), before, "it was sealed anew");
        home.put_keys(&[new]);
        assert_eq!(home.sealed().get("github").unwrap(), Some(secret("gho_canary")), "without the old key");
        home.put_keys(&[old]);
        assert!(matches!(home.sealed().get("github"), Err(SecretsError::NoKey { .. })));
    }

    #[test]
    fn a_rotation_leaves_one_new_key_and_every_secret() {
        let home = Home::new();
        let sealed = home.sealed();
        sealed.set("github", &secret("gho_canary")).unwrap();
        sealed.set("other", &secret("second")).unwrap();
        let before = home.keys();
        assert_eq!(sealed.rotate().unwrap(), 2);
        let after = home.keys();
        assert!(after.len() == 1 && after != before);
        assert_eq!(sealed.get("github").unwrap(), Some(secret("gho_canary")));
        assert_eq!(sealed.get("other").unwrap(), Some(secret("second")));
    }

    #[test]
    fn a_rotation_that_fails_leaves_the_keys_as_they_were() {
        let home = Home::new();
        let sealed = home.sealed();
        sealed.set("github", &secret("gho_canary")).unwrap();
        home.put_keys(&["ab".repeat(KEY_BYTES)]);
        let before = (home.keys(), home.held());
        for _ in 0..3 {
            assert!(matches!(sealed.rotate(), Err(SecretsError::NoKey { .. })));
            assert_eq!((home.keys(), home.held()), before);
        }
    }

    #[test]
    fn what_is_damaged_moved_or_open_to_others_is_refused_by_name() {
        let home = Home::new();
        let sealed = home.sealed();
        sealed.set("github", &secret("gho_canary")).unwrap();
        let text = home.held();
        fs::write(home.at("secrets.sealed"), text.replace("github", "gitlab")).unwrap();
        assert!(matches!(sealed.get("gitlab"), Err(SecretsError::NoKey { .. })), "moved to another name");
        let cut = text.replace("\"}}", "0\"}}");
        for (damaged, told) in
            [("{", "is damaged"), (cut.as_str(), "is damaged"), ("{\"version\":9,\"secrets\":{}}", "is damaged")]
        {
            fs::write(home.at("secrets.sealed"), damaged).unwrap();
            assert!(sealed.get("github").unwrap_err().to_string().contains(told), "{damaged}");
        }
        fs::write(home.at("secrets.sealed"), &text).unwrap();
        fs::set_permissions(home.at("secrets.keys"), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(sealed.get("github"), Err(SecretsError::Open(_))));
        assert!(Secret::new("two\nlines").is_none() && Secret::new(" ").is_none());
        assert_eq!(format!("{:?}", secret("gho_canary")), "Secret");
    }
}
