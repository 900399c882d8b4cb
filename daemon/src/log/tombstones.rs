//! What was forgotten, as keyed hashes: it is not recorded again, and says nothing to whoever does not hold the key.
//!
//! The file `TOMBSTONES` lies beside `KEY`. It holds what the `event.forgotten` events of the log say, so that the door can
//! refuse an event before anything is folded; where it is lost, folding the log writes it again.

use std::collections::{BTreeMap, BTreeSet};

use clone_schema::Timestamp;
use serde::{Deserialize, Serialize};

use super::storage::{Storage, append};
use super::{Log, LogError, locked};

/// The file.
pub(super) const TOMBSTONES: &str = "TOMBSTONES";
const DRAFT: &str = "TOMBSTONES.new";
/// What the key of the hashes is derived for.
const CONTEXT: &str = "clone tombstones 1";
/// Bytes of the sum that begins the file.
const SUM: usize = blake3::OUT_LEN;

/// A hash under the key of the log; without it nobody can try words against it.
pub type Keyed = [u8; 16];

/// What a keyed hash is over, so that an id and a text of the same letters differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// The id of an event.
    Id,
    /// The topic and the normalised text of an event.
    Text,
    /// A path below a folder that the log does not own.
    Path,
    /// The bytes of such a file.
    Bytes,
}

/// What is left of a forgotten event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Tombstone {
    /// Of its id.
    pub id: Keyed,
    /// Of its text, where that is long enough to be its own.
    pub text: Option<Keyed>,
}

/// Every tombstone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tombstones {
    ids: BTreeSet<Keyed>,
    /// Up to when an event of this text is one that was forgotten: what is said later is said anew.
    texts: BTreeMap<Keyed, Timestamp>,
}

impl Tombstones {
    /// Reads the file; a missing one is empty, and so is one that is not whole: folding the log fills it again.
    pub(super) fn read(disk: &dyn Storage, key: &[u8; 32]) -> Result<Self, LogError> {
        let bytes = match disk.read(TOMBSTONES) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(LogError::io("read", TOMBSTONES, error)),
        };
        let whole = opened(&bytes, key).and_then(|body| postcard::from_bytes(body).ok());
        if whole.is_none() {
            tracing::error!(
                "`{TOMBSTONES}` is damaged; until the log is folded anew, what was forgotten can come back"
            );
        }
        Ok(whole.unwrap_or_default())
    }

    fn write(&self, disk: &dyn Storage, key: &[u8; 32]) -> Result<(), LogError> {
        let body = postcard::to_stdvec(self).map_err(std::io::Error::other);
        let written = body.and_then(|body| put(disk, TOMBSTONES, DRAFT, &sealed(&body, key)));
        written.map_err(|error| LogError::io("write", TOMBSTONES, error))
    }

    /// Adds some; says whether any was new.
    fn add(&mut self, ids: &[Keyed], texts: &[Keyed], at: Timestamp) -> bool {
        let mut new = false;
        for id in ids {
            new |= self.ids.insert(*id);
        }
        for text in texts {
            let upto = self.texts.entry(*text).or_insert(Timestamp::MIN);
            new |= *upto < at;
            *upto = (*upto).max(at);
        }
        new
    }
}

/// The bytes of a small file under a sum that only this log comes to.
pub(super) fn sealed(body: &[u8], key: &[u8; 32]) -> Vec<u8> {
    [sum(body, key).as_slice(), body].concat()
}

/// The body of such a file, if every byte of it is as it was written.
pub(super) fn opened<'a>(bytes: &'a [u8], key: &[u8; 32]) -> Option<&'a [u8]> {
    let (stored, body) = bytes.split_at_checked(SUM)?;
    (stored == sum(body, key)).then_some(body)
}

fn sum(body: &[u8], key: &[u8; 32]) -> [u8; SUM] {
    *blake3::keyed_hash(&blake3::derive_key(CONTEXT, key), body).as_bytes()
}

/// Writes a small file durably: under another name until it is whole.
pub(super) fn put(disk: &dyn Storage, name: &str, draft: &str, bytes: &[u8]) -> std::io::Result<()> {
    if disk.exists(draft)? {
        disk.remove(draft)?;
    }
    let file = disk.create(draft)?;
    append(&*file, bytes)?;
    file.sync()?;
    disk.replace(draft, name)?;
    disk.sync_dir("")
}

/// A hash under the key of a log.
pub(super) fn keyed(key: &[u8; 32], of: Of, bytes: &[u8]) -> Keyed {
    let mut hasher = blake3::Hasher::new_keyed(&blake3::derive_key(CONTEXT, key));
    hasher.update(&[of as u8]).update(bytes);
    let mut out = Keyed::default();
    hasher.finalize_xof().fill(&mut out);
    out
}

impl Log {
    /// A hash under the key of this log.
    #[must_use]
    pub fn keyed(&self, of: Of, bytes: &[u8]) -> Keyed {
        keyed(&self.inner.shared.key, of, bytes)
    }

    /// Whether this event was forgotten: the same id, or the same words from before they were forgotten.
    #[must_use]
    pub fn is_forgotten(&self, id: &str, text: Option<&[u8]>, occurred_at: Timestamp) -> bool {
        let stones = locked(&self.inner.shared.tombstones);
        if stones.ids.is_empty() {
            return false;
        }
        let said = |text| stones.texts.get(&self.keyed(Of::Text, text)).is_some_and(|upto| occurred_at <= *upto);
        stones.ids.contains(&self.keyed(Of::Id, id.as_bytes())) || text.is_some_and(said)
    }

    /// Remembers what was forgotten.
    ///
    /// # Durability
    /// It is on the disk when this returns; nothing is written for what was known.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn bury(&self, ids: &[Keyed], texts: &[Keyed], at: Timestamp) -> Result<(), LogError> {
        let shared = &self.inner.shared;
        let mut known = locked(&shared.tombstones);
        let mut more = known.clone();
        if more.add(ids, texts, at) {
            more.write(&*shared.disk, &shared.key)?;
            *known = more;
        }
        Ok(())
    }
}
