//! Forgets events for good: a journal first, then every file of the log without them.
//!
//! The journal `ERASE` is durable before anything is changed and holds no content: positions and keyed hashes. From that
//! moment on nobody is shown the events, in this run or in the next. It is removed last, by whoever has emptied all that is
//! derived as well; a start that finds it goes on where the run before died. Every step may be repeated.

use std::io::ErrorKind;

use clone_schema::{Position, Timestamp};
use serde::{Deserialize, Serialize};

use super::keep::is_half_written;
use super::queue::Job;
use super::rewrite::Gone;
use super::storage::Storage;
use super::tombstones::{Grave, Holds, Keyed, Tombstone, opened, put, sealed};
use super::{Log, LogError, QUARANTINE, Shared, locked};

/// The journal.
pub(super) const JOURNAL: &str = "ERASE";
const DRAFT: &str = "ERASE.new";

/// What is being forgotten: the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasure {
    /// Ours; what is written because of it is written once, however often it is resumed.
    pub id: String,
    /// When it was asked for.
    pub at: Timestamp,
    /// `person` or `retention`.
    pub by: String,
    /// First and last position of every run of events, ascending.
    pub runs: Vec<(u64, u64)>,
    /// The position that was read up to: a batch that was past the door may have left copies of them from here on.
    pub upto: Position,
    /// What stays of the events that somebody could bring again.
    pub stones: Vec<Tombstone>,
    /// Ids of notes and claims that a person had withdrawn, in notes that go.
    pub withdrawn: Vec<String>,
    /// Files outside of the log that go.
    pub files: Vec<Doomed>,
    /// How long the tombstones hold.
    #[serde(skip)]
    pub holds: Holds,
    /// Sessions and projects of a source of which nothing more is taken.
    #[serde(skip)]
    pub items: Vec<Keyed>,
}

impl Erasure {
    /// The body of the journal. How long it holds follows the rest, which is all that earlier versions wrote and read.
    fn body(&self) -> postcard::Result<Vec<u8>> {
        Ok([postcard::to_stdvec(self)?, postcard::to_stdvec(&(&self.holds, &self.items))?].concat())
    }

    fn parsed(body: &[u8]) -> postcard::Result<Self> {
        let (erasure, rest) = postcard::take_from_bytes::<Self>(body)?;
        if rest.is_empty() {
            return Ok(erasure);
        }
        let (holds, items) = postcard::from_bytes(rest)?;
        Ok(Self { holds, items, ..erasure })
    }
}

/// A file that goes, by hashes alone: its name tells of what it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doomed {
    /// Of its path.
    pub path: Keyed,
    /// Of what it may hold; anything else is somebody's and stays.
    pub holds: Vec<Keyed>,
}

/// Reads the journal of a run that died.
pub(super) fn unfinished(disk: &dyn Storage, key: &[u8; 32]) -> Result<Option<Erasure>, LogError> {
    let bytes = match disk.read(JOURNAL) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(LogError::io("read", JOURNAL, error)),
    };
    // What must not be shown is not known then: nothing is.
    let body = opened(&bytes, key).ok_or_else(|| LogError::Journal(disk.path(JOURNAL).display().to_string()))?;
    let read = Erasure::parsed(body).map(Some);
    read.map_err(|_| LogError::Journal(disk.path(JOURNAL).display().to_string()))
}

impl Log {
    /// Writes the journal; from here on nobody reads what is in it.
    ///
    /// # Durability
    /// However this process ends, the erasure is finished by it or by the next.
    ///
    /// # Errors
    /// The disk refuses. Nothing is forgotten then, unless [`erasure`](Self::erasure) says that it has begun.
    pub fn begin_erasure(&self, erasure: &Erasure) -> Result<(), LogError> {
        let shared = &self.inner.shared;
        let body = erasure.body().map_err(std::io::Error::other);
        let written = body.and_then(|body| put(&*shared.disk, JOURNAL, DRAFT, &sealed(&body, &shared.key)));
        written.map_err(|error| LogError::io("write", JOURNAL, error))?;
        // Known before hidden: of what is hidden nobody knows the ids any more, and it would be recorded again.
        let buried = self.bury_stones(erasure);
        shared.directory_mut().erased.clone_from(&erasure.runs);
        *locked(&shared.erasure) = Some(erasure.clone());
        buried
    }

    /// Remembers what an erasure takes.
    pub(super) fn bury_stones(&self, erasure: &Erasure) -> Result<(), LogError> {
        let grave = Grave {
            ids: erasure.stones.iter().map(|stone| stone.id).collect(),
            texts: erasure.stones.iter().filter_map(|stone| stone.text).collect(),
            items: erasure.items.clone(),
        };
        match &erasure.holds {
            Holds::Forever => self.bury(&grave.ids, &grave.texts, erasure.at),
            Holds::UntilCleared(source) => self.keep_out(source, &grave, erasure.at, None),
            Holds::UntilEnded(_) => {
                self.refuse_for_now(&grave, erasure.at);
                Ok(())
            }
        }
    }

    /// The erasure that has begun and is not ended.
    #[must_use]
    pub fn erasure(&self) -> Option<Erasure> {
        locked(&self.inner.shared.erasure).clone()
    }

    /// Whether an erasure has begun and is not ended.
    #[must_use]
    pub fn is_erasing(&self) -> bool {
        locked(&self.inner.shared.erasure).is_some()
    }

    /// Writes every file of the log without what is being forgotten; nothing where nothing is. Gives how many quarantined
    /// files are gone, because it cannot be told what they hold.
    ///
    /// Costs a read and a write of every segment that holds some of it. Appends go on meanwhile.
    ///
    /// # Errors
    /// The disk refuses; do it again.
    pub fn erase(&self) -> Result<usize, LogError> {
        let shared = &self.inner.shared;
        let Some(erasure) = self.erasure() else { return Ok(0) };
        self.bury_stones(&erasure)?;
        let live = self.seal()?;
        let _keeper_rests = locked(&shared.tending);
        shared.drop_drafts()?;
        let ids = erasure.stones.iter().map(|stone| stone.id).collect();
        let gone = Gone { runs: &erasure.runs, upto: erasure.upto, ids, key: &shared.key };
        shared.rewrite(&gone, live)?;
        let quarantined = shared.empty_quarantine(&gone)?;
        shared.write_blocks();
        *locked(&shared.cache) = super::reader::Cache::default();
        Ok(quarantined)
    }

    /// Removes the journal, once nothing anywhere holds what was in it.
    ///
    /// # Errors
    /// The disk refuses; the next start does all of it again.
    pub fn end_erasure(&self) -> Result<(), LogError> {
        let shared = &self.inner.shared;
        let removed = match shared.disk.remove(JOURNAL) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => shared.disk.sync_dir(""),
        };
        removed.map_err(|error| LogError::io("remove", JOURNAL, error))?;
        *locked(&shared.erasure) = None;
        self.refuse_no_longer();
        shared.directory_mut().erased.clear();
        Ok(())
    }

    /// Seals the open segment, whatever its size; gives the position from which on later ones begin.
    fn seal(&self) -> Result<Position, LogError> {
        let (reply, answer) = std::sync::mpsc::sync_channel(1);
        self.inner.shared.queue.push(Job { entries: Vec::new(), reply: Some(reply), seal: true })?;
        answer.recv().unwrap_or(Err(LogError::Closed))?;
        Ok(self.head())
    }
}

impl Shared {
    /// Removes what others left half written beside segments.
    fn drop_drafts(&self) -> Result<(), LogError> {
        let failed = |error| LogError::io("clear", self.disk.path("").display().to_string(), error);
        let names = self.disk.list("").map_err(failed)?;
        names.iter().filter(|name| is_half_written(name)).try_for_each(|name| self.disk.remove(name)).map_err(failed)
    }

    /// Removes quarantined files, but those that can be read whole and hold nothing of it.
    fn empty_quarantine(&self, gone: &Gone<'_>) -> Result<usize, LogError> {
        let failed = |error| LogError::io("clear", QUARANTINE, error);
        let names = match self.disk.list(QUARANTINE) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
            names => names.map_err(failed)?,
        };
        let mut removed = 0;
        for name in names.iter().map(|name| format!("{QUARANTINE}/{name}")) {
            if !gone.spares(&self.disk.read(&name).map_err(failed)?) {
                self.disk.remove(&name).map_err(failed)?;
                removed += 1;
            }
        }
        if removed > 0 {
            self.disk.sync_dir(QUARANTINE).map_err(failed)?;
        }
        Ok(removed)
    }
}
