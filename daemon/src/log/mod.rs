//! The log (L0): an append-only, durable list of events in MCAP segments.
//!
//! One thread writes (`writer`); everything else reads what is durable. An append returns after fdatasync. What would
//! surprise:
//!
//! - A commit starts when the last one returns and takes all that queued meanwhile, so there is no timer to tune.
//! - Nothing is ever appended to a file that another run wrote: recovery seals it and the next append begins a new one.
//! - Positions ascend and are never reused. They can have gaps: after a failed commit whose bytes may still be on the
//!   disk, and after damage at the end of the log, some are skipped.
//! - Beside every sealed segment lies its id block (`ids`), made from it: a start reads that and not the segment. A second
//!   thread (`keep`) writes it, packs small chunks and small files again, and reads everything once a week to find damage
//!   before somebody needs what is damaged.
//! - The first append creates the first file, so an idle start writes nothing but the lock, the key and an empty list of
//!   tombstones.

mod directory;
mod disk;
mod error;
mod forget;
mod ids;
mod inspect;
mod keep;
mod lock;
mod pack;
mod page;
mod queue;
mod reader;
mod recover;
mod repair;
mod rewrite;
mod storage;
mod tombstones;
mod verify;
mod writer;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread::JoinHandle;

use clone_schema::topic;
use clone_schema::{Position, Timestamp};

use directory::Directory;
use disk::Disk;
pub use error::LogError;
pub use forget::{Doomed, Erasure};
pub use ids::check_block;
pub use inspect::{Inspection, Missing, inspect};
use keep::Keeper;
use pack::Packing;
pub use page::{Filter, Page};
use queue::{Job, Queue};
pub use recover::{Damage, Recovery, TornTail};
pub use repair::{RepairError, Repaired, repair, salvage};
use storage::{Lock, Storage};
pub use tombstones::{Grave, Holds, Keyed, Of, Tombstone};
pub use verify::{Note, Verification, verify};

/// The largest event, in bytes of JSON.
pub const MAX_EVENT_BYTES: usize = 16 << 20;
/// Where a segment is sealed and the next begins, in bytes, unless the options say otherwise.
pub const ROLL_BYTES: u64 = 64 << 20;
/// How many entries may wait for the writer, unless the options say otherwise.
pub const QUEUE: usize = 16_384;

const QUARANTINE: &str = "quarantine";

/// How a log is opened.
pub struct Options {
    /// The id of the home, written into every file.
    pub home_id: String,
    /// Where a segment is sealed and the next begins, in bytes.
    pub roll_bytes: u64,
    /// How many entries may wait for the writer; more block the appender.
    pub queue: usize,
    /// Below so many free bytes on the disk nothing is appended; 0 for no such mark.
    pub low_water: u64,
    /// Called by the writer after each commit with the new head. It must not append, and a clone of the log in
    /// it would keep the log open for ever.
    pub wake: Option<Box<dyn Fn(Position) + Send + Sync>>,
    /// The clock that says when an event was recorded.
    pub now: fn() -> Timestamp,
    /// What is packed again, and how.
    packing: Packing,
}

impl Options {
    /// The usual options.
    pub fn new(home_id: impl Into<String>, now: fn() -> Timestamp) -> Self {
        Self {
            home_id: home_id.into(),
            roll_bytes: ROLL_BYTES,
            queue: QUEUE,
            low_water: 0,
            wake: None,
            now,
            packing: Packing::default(),
        }
    }

    /// For a log that is opened only to be read: nothing is packed meanwhile.
    #[must_use]
    pub fn reading(now: fn() -> Timestamp) -> Self {
        Self { packing: Packing::never(), ..Self::new("reading", now) }
    }
}

/// One event to append.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The `id` of the event, the same as in `json`.
    pub id: String,
    /// A name in the topic table.
    pub topic: &'static str,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// The whole event.
    pub json: String,
}

/// What became of one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Where it is, or where the event with the same id has been.
    pub position: Position,
    /// False where the id was known and nothing was written.
    pub new: bool,
}

/// One event as the log holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where it is.
    pub position: Position,
    /// Its name in the topic table.
    pub topic: &'static str,
    /// The `id` of the event.
    pub id: String,
    /// When it was appended.
    pub recorded_at: Timestamp,
    /// When it happened; before 1970 it is 1970, because MCAP can say no less.
    pub occurred_at: Timestamp,
    /// The whole event, byte for byte as it was appended.
    pub json: String,
}

/// Where an event is stored, for citations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The name of the file.
    pub segment: String,
    /// Of the chunk in the file, in bytes.
    pub offset: u64,
    /// Of the event in the chunk.
    pub index: u32,
    /// When it was recorded, which is how MCAP tools find it.
    pub time: Timestamp,
}

/// How much there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Files.
    pub segments: usize,
    /// Durable bytes in them.
    pub bytes: u64,
    /// Readable events.
    pub events: u64,
    /// Commits since the log was opened.
    pub commits: u64,
    /// The earliest `occurred_at`.
    pub oldest: Option<Timestamp>,
    /// The latest `occurred_at`.
    pub newest: Option<Timestamp>,
}

/// Why nothing can be appended now.
#[derive(Clone, Debug)]
pub struct Trouble {
    /// What fails.
    pub error: LogError,
    /// Since when.
    pub since: Timestamp,
}

/// A durable, append-only list of events. Cheap to clone; the last clone to go closes it.
#[derive(Clone)]
pub struct Log {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<Result<(), LogError>>>>,
    keeper: Mutex<Option<JoinHandle<()>>>,
}

/// What the writer and the readers share.
struct Shared {
    disk: Arc<dyn Storage>,
    directory: RwLock<Directory>,
    queue: Queue,
    cache: Mutex<reader::Cache>,
    keeper: Keeper,
    packing: Packing,
    home_id: String,
    key: [u8; 32],
    /// The least free bytes, and the clock that says since when there are fewer.
    low_water: u64,
    now: fn() -> Timestamp,
    /// What the log does not take again.
    tombstones: Mutex<tombstones::Tombstones>,
    /// What is being forgotten.
    erasure: Mutex<Option<Erasure>>,
    /// Held by whoever works on sealed segments.
    tending: Mutex<()>,
    /// Held for the life of the log and let go when it is closed.
    lock: Mutex<Option<Lock>>,
}

impl Shared {
    /// Refuses while the disk has less room than is kept free; a disk that cannot say how much is asked by writing.
    fn check_room(&self) -> Result<(), LogError> {
        let mark = self.low_water;
        match self.disk.free() {
            Ok(free) if mark > 0 && free < mark => {
                Err(LogError::LowWater { folder: self.disk.path("").display().to_string(), free, mark })
            }
            _ => Ok(()),
        }
    }

    // A panic elsewhere leaves whole values behind: each change under these locks is one assignment or insertion.
    fn directory(&self) -> RwLockReadGuard<'_, Directory> {
        self.directory.read().unwrap_or_else(PoisonError::into_inner)
    }
    fn directory_mut(&self) -> RwLockWriteGuard<'_, Directory> {
        self.directory.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Log {
    /// Opens the log in `dir`, making it where it is missing, and recovers what the last run left.
    ///
    /// # Errors
    /// [`LogError::Locked`] while another process holds it, [`LogError::Key`], or the file system's.
    pub fn open(dir: &Path, options: Options) -> Result<(Self, Recovery), LogError> {
        let disk = Disk::open(dir).map_err(|error| LogError::io("make", dir.display().to_string(), error))?;
        let (log, recovery) = Self::open_on(Arc::new(disk), options)?;
        *locked(&log.inner.keeper) = Some(keep::start(log.inner.shared.clone())?);
        Ok((log, recovery))
    }

    fn open_on(disk: Arc<dyn Storage>, options: Options) -> Result<(Self, Recovery), LogError> {
        let lock = lock::hold(&*disk)?;
        let key = lock::key(&*disk)?;
        let mut directory = Directory::default();
        let recovery = recover::recover(&*disk, &mut directory)?;
        let is_new = directory.segments.is_empty() && directory.head == Position(0);
        let tombstones = Mutex::new(tombstones::Tombstones::read(&*disk, &key, is_new)?);
        let erasure = forget::unfinished(&*disk, &key)?;
        directory.erased = erasure.iter().flat_map(|erasure| erasure.runs.iter().copied()).collect();
        let next = directory.head;
        let shared = Arc::new(Shared {
            disk,
            directory: RwLock::new(directory),
            queue: Queue::new(options.queue),
            cache: Mutex::default(),
            keeper: Keeper::default(),
            packing: options.packing,
            home_id: options.home_id.clone(),
            key,
            low_water: options.low_water,
            now: options.now,
            tombstones,
            erasure: Mutex::new(erasure),
            tending: Mutex::default(),
            lock: Mutex::new(Some(lock)),
        });
        let writer = writer::start(shared.clone(), options, next)?;
        let log =
            Self { inner: Arc::new(Inner { shared, writer: Mutex::new(Some(writer)), keeper: Mutex::default() }) };
        // Of what is hidden nobody knows the ids: it is refused before anybody can append. A full disk keeps no log shut.
        if let Some(erasure) = log.erasure()
            && let Err(error) = log.bury_stones(&erasure)
        {
            tracing::warn!(%error, "what is being forgotten is refused, and that is not on the disk yet");
        }
        Ok((log, recovery))
    }

    /// Appends events and returns where they are, in the order given; an id that is known already is not written again.
    ///
    /// An empty batch waits for what [`append_later`](Self::append_later) queued before.
    ///
    /// # Durability
    /// On `Ok` every event is on the disk. Blocks until then, and while the queue is full.
    ///
    /// # Errors
    /// Nothing of the batch is known to be durable; append it again.
    pub fn append(&self, entries: Vec<Entry>) -> Result<Vec<Appended>, LogError> {
        check(&entries)?;
        let (reply, answer) = std::sync::mpsc::sync_channel(1);
        self.inner.shared.queue.push(Job { entries, reply: Some(reply), seal: false })?;
        answer.recv().unwrap_or(Err(LogError::Closed))
    }

    /// Appends events with the next commit, within a second in any case. Blocks while the queue is full.
    ///
    /// # Durability
    /// None yet on `Ok`. A batch that cannot be written is kept and tried again until the log is closed.
    ///
    /// # Errors
    /// Refused entries, a closed log, or a full queue while the disk fails.
    pub fn append_later(&self, entries: Vec<Entry>) -> Result<(), LogError> {
        check(&entries)?;
        self.inner.shared.queue.push(Job { entries, reply: None, seal: false })
    }

    /// The position after the last durable event.
    #[must_use]
    pub fn head(&self) -> Position {
        self.inner.shared.directory().head
    }

    /// The position of the durable event with this id.
    ///
    /// Where the disk fails while it is looked for it is not found, and the log says so in its messages.
    #[must_use]
    pub fn position(&self, id: &str) -> Option<Position> {
        let found = self.inner.shared.position(&directory::digest(id));
        found.inspect_err(|error| tracing::error!(%error, id, "an id cannot be looked for")).ok().flatten()
    }

    /// What of the log cannot be read, as far as is known: found at a start, by a reader or in idle time.
    #[must_use]
    pub fn damaged(&self) -> Vec<Damage> {
        self.inner.shared.directory().damaged().to_vec()
    }

    /// The 32 bytes that key the tombstones of this log.
    #[must_use]
    pub fn key(&self) -> [u8; 32] {
        self.inner.shared.key
    }

    /// Why nothing can be appended now; `None` while all is well.
    ///
    /// While it fails the writer looks again every second, whether anybody appends or not. A healthy log that nobody
    /// appends to is looked at here, and only for room.
    #[must_use]
    pub fn trouble(&self) -> Option<Trouble> {
        let shared = &self.inner.shared;
        let low = || Some(Trouble { error: shared.check_room().err()?, since: (shared.now)() });
        shared.queue.trouble().or_else(low)
    }

    /// How much there is.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let directory = self.inner.shared.directory();
        let occurred = directory.occurred();
        Stats {
            segments: directory.segments.iter().filter(|segment| !segment.name.is_empty()).count(),
            bytes: directory.segments.iter().map(|segment| segment.bytes).sum(),
            events: directory.events(),
            commits: directory.commits,
            oldest: occurred.map(|(oldest, _)| oldest),
            newest: occurred.map(|(_, newest)| newest),
        }
    }

    /// Writes what is queued, seals the open file and lets the lock go. Reading goes on working. Idempotent.
    ///
    /// # Errors
    /// The last error of the writer; the log recovers at the next open.
    pub fn close(&self) -> Result<(), LogError> {
        self.inner.close()
    }
}

impl Inner {
    fn close(&self) -> Result<(), LogError> {
        self.shared.queue.close();
        let mut writer = locked(&self.writer);
        let outcome = writer.take().map_or(Ok(()), |writer| writer.join().unwrap_or(Err(LogError::Closed)));
        self.shared.keeper.end();
        locked(&self.keeper).take().map(JoinHandle::join);
        self.shared.write_blocks();
        locked(&self.shared.lock).take();
        outcome
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!(%error, "the log did not close cleanly");
        }
    }
}

/// Refuses entries that could not be read back.
fn check(entries: &[Entry]) -> Result<(), LogError> {
    for entry in entries {
        if topic::find(entry.topic).is_none() {
            return Err(LogError::UnknownTopic(entry.topic.to_owned()));
        }
        if entry.json.len() > MAX_EVENT_BYTES {
            return Err(LogError::TooLarge { id: entry.id.clone(), bytes: entry.json.len() });
        }
        if reader::id_in(entry.json.as_bytes()).as_deref() != Some(&*entry.id) {
            return Err(LogError::WrongId(entry.id.clone()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod corruption;
#[cfg(test)]
mod crash_states;
#[cfg(test)]
mod failing;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod forgetting;
#[cfg(test)]
mod keeping;
#[cfg(test)]
mod script;
#[cfg(test)]
mod sim;
#[cfg(test)]
mod slow;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod world;
