//! What was forgotten, as keyed hashes: it is not recorded again, and says nothing to whoever does not hold the key.
//!
//! The file `TOMBSTONES` lies beside `KEY` from birth on. It holds what the `event.forgotten` events of the log say, so that
//! the door can refuse an event before anything is folded. Where it is lost or damaged the log says so, and whoever folds it
//! folds all of it anew, which buries everything again.
//!
//! What was forgotten stays so for ever. What was taken out of a source is kept apart, by source: clearing one takes away
//! nothing else. A clear has a position, and buries nothing that the log says before it, however often that is folded.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;

use clone_schema::{Position, Timestamp};
use serde::{Deserialize, Serialize};

use super::storage::{Storage, write_anew};
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
    /// A session or a project of a source.
    Item,
}

/// What is left of a forgotten event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Tombstone {
    /// Of its id.
    pub id: Keyed,
    /// Of its text, where that is long enough to be its own.
    pub text: Option<Keyed>,
}

/// How long the tombstones of an erasure hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Holds {
    /// For ever.
    #[default]
    Forever,
    /// Until this source, which an item was taken out of, is cleared.
    UntilCleared(String),
    /// Until the erasure is ended, which clears this source.
    UntilEnded(String),
}

/// What is buried at once.
#[derive(Clone, Debug, Default)]
pub struct Grave {
    /// Of ids.
    pub ids: Vec<Keyed>,
    /// Of texts.
    pub texts: Vec<Keyed>,
    /// Of sessions and projects.
    pub items: Vec<Keyed>,
}

/// Some tombstones.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Stones {
    ids: BTreeSet<Keyed>,
    /// Up to when an event of this text is one that was forgotten: what is said later is said anew.
    texts: BTreeMap<Keyed, Timestamp>,
}

impl Stones {
    /// Adds some; whether any is new.
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

/// What was taken out of one source.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Removed {
    stones: Stones,
    items: BTreeSet<Keyed>,
    /// Where the log last says that it was cleared.
    cleared: Position,
}

/// Every tombstone.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tombstones {
    forever: Stones,
    /// By source.
    removed: BTreeMap<String, Removed>,
    /// Of an erasure that is not ended, after which they hold no longer; its journal has them.
    passing: Stones,
    /// Whether the file does not hold them all.
    unwritten: bool,
    /// Whether the file was lost: the log may hold tombstones that are not known here.
    lost: bool,
}

impl Tombstones {
    /// Reads the file, and makes it for a new log; where that of an old one is missing or not whole, all of them are lost.
    pub(super) fn read(disk: &dyn Storage, key: &[u8; 32], is_new: bool) -> Result<Self, LogError> {
        let why = match disk.read(TOMBSTONES) {
            Ok(bytes) => match opened(&bytes, key).and_then(Self::parsed) {
                Some(whole) => return Ok(whole),
                None => "damaged",
            },
            Err(error) if error.kind() == ErrorKind::NotFound && is_new => {
                let mut none = Self { unwritten: true, ..Self::default() };
                return none.keep(disk, key).map(|()| none);
            }
            Err(error) if error.kind() == ErrorKind::NotFound => "missing",
            Err(error) => return Err(LogError::io("read", TOMBSTONES, error)),
        };
        tracing::error!("`{TOMBSTONES}` is {why}; until the log is folded anew, what was forgotten can come back");
        Ok(Self { lost: true, unwritten: true, ..Self::default() })
    }

    /// Reads the body of the file. What was taken out of sources follows the rest, which is all that earlier versions read.
    ///
    /// Where one of those wrote it after a later one, that was lost: the log has it.
    fn parsed(body: &[u8]) -> Option<Self> {
        let (forever, rest) = postcard::take_from_bytes::<Stones>(body).ok()?;
        let lost = rest.is_empty() && forever != Stones::default();
        let removed = if rest.is_empty() { BTreeMap::new() } else { postcard::from_bytes(rest).ok()? };
        Some(Self { forever, removed, lost, unwritten: lost, ..Self::default() })
    }

    fn body(&self) -> postcard::Result<Vec<u8>> {
        Ok([postcard::to_stdvec(&self.forever)?, postcard::to_stdvec(&self.removed)?].concat())
    }

    /// All that hold.
    fn all(&self) -> impl Iterator<Item = &Stones> {
        [&self.forever, &self.passing].into_iter().chain(self.removed.values().map(|removed| &removed.stones))
    }

    /// Writes the file, where it does not hold them all.
    fn keep(&mut self, disk: &dyn Storage, key: &[u8; 32]) -> Result<(), LogError> {
        if !self.unwritten {
            return Ok(());
        }
        let body = self.body().map_err(std::io::Error::other);
        let written = body.and_then(|body| put(disk, TOMBSTONES, DRAFT, &sealed(&body, key)));
        written.map_err(|error| LogError::io("write", TOMBSTONES, error))?;
        self.unwritten = false;
        Ok(())
    }

    /// Writes the file after a change, unless it was lost: a part of them would pass for all.
    fn keep_known(&mut self, disk: &dyn Storage, key: &[u8; 32]) -> Result<(), LogError> {
        if self.lost { Ok(()) } else { self.keep(disk, key) }
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
    write_anew(disk, draft, bytes)?;
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
    ///
    /// Its text, as it would be recorded, is only asked for where a text was forgotten.
    #[must_use]
    pub fn is_forgotten(&self, id: &str, text: impl FnOnce() -> Option<String>, occurred_at: Timestamp) -> bool {
        {
            let stones = locked(&self.inner.shared.tombstones);
            if stones.all().any(|stones| !stones.ids.is_empty()) {
                let id = self.keyed(Of::Id, id.as_bytes());
                if stones.all().any(|stones| stones.ids.contains(&id)) {
                    return true;
                }
            }
            if stones.all().all(|stones| stones.texts.is_empty()) {
                return false;
            }
        }
        let Some(text) = text() else { return false };
        let text = self.keyed(Of::Text, text.as_bytes());
        let stones = locked(&self.inner.shared.tombstones);
        stones.all().any(|stones| stones.texts.get(&text).is_some_and(|upto| occurred_at <= *upto))
    }

    /// Whether nothing more is taken of one of these sessions and projects; they are only asked for where there is any such.
    #[must_use]
    pub fn is_kept_out(&self, items: impl FnOnce() -> Vec<String>) -> bool {
        let stones = locked(&self.inner.shared.tombstones);
        if stones.removed.values().all(|removed| removed.items.is_empty()) {
            return false;
        }
        let items: Vec<Keyed> = items().iter().map(|item| self.keyed(Of::Item, item.as_bytes())).collect();
        stones.removed.values().any(|removed| items.iter().any(|item| removed.items.contains(item)))
    }

    /// How many events that were taken out of a source may not come again.
    #[must_use]
    pub fn removed_from(&self, source: &str) -> usize {
        locked(&self.inner.shared.tombstones).removed.get(source).map_or(0, |removed| removed.stones.ids.len())
    }

    /// Remembers what was forgotten; from here on it is refused, whether the disk takes that or not.
    ///
    /// # Durability
    /// It is on the disk when this returns; nothing is written for what was known. While the file is lost nothing is
    /// written either: a part of them would pass for all.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn bury(&self, ids: &[Keyed], texts: &[Keyed], at: Timestamp) -> Result<(), LogError> {
        let shared = &self.inner.shared;
        let mut known = locked(&shared.tombstones);
        known.unwritten |= known.forever.add(ids, texts, at);
        known.keep_known(&*shared.disk, &shared.key)
    }

    /// Remembers what was taken out of a source; where the log says so before the source was cleared, nothing.
    ///
    /// # Durability
    /// As [`bury`](Self::bury).
    ///
    /// # Errors
    /// The disk refuses.
    pub fn keep_out(&self, source: &str, grave: &Grave, at: Timestamp, said: Option<Position>) -> Result<(), LogError> {
        let shared = &self.inner.shared;
        let mut known = locked(&shared.tombstones);
        let removed = known.removed.entry(source.to_owned()).or_default();
        if said.is_some_and(|said| said < removed.cleared) {
            return Ok(());
        }
        let mut new = removed.stones.add(&grave.ids, &grave.texts, at);
        for item in &grave.items {
            new |= removed.items.insert(*item);
        }
        known.unwritten |= new;
        known.keep_known(&*shared.disk, &shared.key)
    }

    /// Lets come again what was taken out of a source before the log says so at this position; no more than that.
    ///
    /// # Durability
    /// It is on the disk when this returns, as the log has it already.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn let_in(&self, source: &str, said: Position) -> Result<(), LogError> {
        let shared = &self.inner.shared;
        let mut known = locked(&shared.tombstones);
        let removed = known.removed.entry(source.to_owned()).or_default();
        if said <= removed.cleared {
            return Ok(());
        }
        *removed = Removed { cleared: said, ..Removed::default() };
        known.unwritten = true;
        known.keep_known(&*shared.disk, &shared.key)
    }

    /// Refuses these until the erasure that takes them is ended.
    pub(super) fn refuse_for_now(&self, grave: &Grave, at: Timestamp) {
        locked(&self.inner.shared.tombstones).passing.add(&grave.ids, &grave.texts, at);
    }

    /// Refuses those no longer.
    pub(super) fn refuse_no_longer(&self) {
        locked(&self.inner.shared.tombstones).passing = Stones::default();
    }

    /// Whether what was forgotten is not known, until the whole log is folded anew and [`found`](Self::found) is called.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        locked(&self.inner.shared.tombstones).lost
    }

    /// Says that all of the log was folded, and all of its tombstones were buried.
    ///
    /// # Errors
    /// The disk refuses; the next start folds the log anew once more.
    pub fn found(&self) -> Result<(), LogError> {
        let shared = &self.inner.shared;
        let mut known = locked(&shared.tombstones);
        known.keep(&*shared.disk, &shared.key)?;
        known.lost = false;
        Ok(())
    }
}
