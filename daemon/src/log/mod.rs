//! The log (L0): an append-only, durable list of events in MCAP segments.
//!
//! One thread writes ([`writer`]); everything else reads what is durable. An append returns after fdatasync. What would
//! surprise:
//!
//! - A commit starts when the last one returns and takes all that queued meanwhile, so there is no timer to tune.
//! - Nothing is ever appended to a file that another run wrote: recovery seals it and the next append begins a new one.
//! - Positions ascend and are never reused. They can have gaps: after a failed commit whose bytes may still be on the
//!   disk, and after damage at the end of the log, some are skipped.
//! - The first append creates the first file, so an idle start writes nothing but the lock and the key.

mod directory;
mod queue;
mod reader;
mod recover;
mod storage;
mod writer;

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread::JoinHandle;

use clone_schema::topic;
use clone_schema::{Position, Timestamp};

use directory::Directory;
use queue::{Job, Queue};
pub use recover::{Damage, Recovery, TornTail};
use storage::Disk;

/// The largest event, in bytes of JSON.
pub const MAX_EVENT_BYTES: usize = 16 << 20;
/// Where a segment is sealed and the next begins, in bytes, unless the options say otherwise.
pub const ROLL_BYTES: u64 = 64 << 20;
/// How many entries may wait for the writer, unless the options say otherwise.
pub const QUEUE: usize = 16_384;

const LOCK: &str = "LOCK";
const KEY: &str = "KEY";
const QUARANTINE: &str = "quarantine";

/// How a log is opened.
pub struct Options {
    /// The id of the home, written into every file.
    pub home_id: String,
    /// Where a segment is sealed and the next begins, in bytes.
    pub roll_bytes: u64,
    /// How many entries may wait for the writer; more block the appender.
    pub queue: usize,
    /// Called by the writer after each commit with the new head. It must not append.
    pub wake: Option<Box<dyn Fn(Position) + Send + Sync>>,
    /// The clock that says when an event was recorded.
    pub now: fn() -> Timestamp,
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

/// Why the log refused.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LogError {
    /// Another process holds the log.
    #[error("the log in `{folder}` is held by process {pid}")]
    Locked {
        /// The folder of the log.
        folder: String,
        /// The holder, or `unknown`.
        pid: String,
    },
    /// The disk is full. Nothing of the batch is in the log; the next append tries again.
    #[error("no space is left to write `{file}`")]
    DiskFull {
        /// The file that could not grow.
        file: String,
    },
    /// The file system failed. Whether the batch survives is not known; the next append tries again.
    #[error("cannot {what} `{file}`: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file.
        file: String,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The topic is not in the table.
    #[error("the topic `{0}` is not known")]
    UnknownTopic(String),
    /// The JSON of an entry does not carry its id.
    #[error("the JSON of event `{0}` does not hold that id")]
    WrongId(String),
    /// An event is larger than [`MAX_EVENT_BYTES`].
    #[error("event `{id}` has {bytes} bytes, more than {MAX_EVENT_BYTES}")]
    TooLarge {
        /// The event.
        id: String,
        /// Its size.
        bytes: usize,
    },
    /// A chunk went bad after the log was opened.
    #[error("`{segment}` is damaged at byte {offset}: {reason}")]
    Damaged {
        /// The file.
        segment: String,
        /// Of the chunk, in bytes.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
    /// `KEY` does not hold 32 bytes.
    #[error("the key file `{0}` is damaged; restore it from a backup")]
    Key(String),
    /// The log was closed.
    #[error("the log is closed")]
    Closed,
}

impl LogError {
    fn io(what: &'static str, file: impl Into<String>, source: io::Error) -> Self {
        let file = file.into();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { file },
            _ => Self::Io { what, file, source: Arc::new(source) },
        }
    }
}

/// A durable, append-only list of events. Cheap to clone; the last clone to go closes it.
#[derive(Clone)]
pub struct Log {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<Result<(), LogError>>>>,
}

/// What the writer and the readers share.
struct Shared {
    disk: Disk,
    directory: RwLock<Directory>,
    queue: Queue,
    cache: Mutex<reader::Cache>,
    key: [u8; 32],
    /// Held for the life of the log and let go when it is closed.
    lock: Mutex<Option<File>>,
}

impl Shared {
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
        Self::open_on(disk, options)
    }

    fn open_on(disk: Disk, options: Options) -> Result<(Self, Recovery), LogError> {
        let lock = hold(&disk)?;
        let key = key(&disk)?;
        let mut directory = Directory::default();
        let recovery = recover::recover(&disk, &options.home_id, &mut directory)?;
        let next = directory.head;
        let shared = Arc::new(Shared {
            disk,
            directory: RwLock::new(directory),
            queue: Queue::new(options.queue),
            cache: Mutex::default(),
            key,
            lock: Mutex::new(Some(lock)),
        });
        let writer = writer::start(shared.clone(), options, next)?;
        Ok((Self { inner: Arc::new(Inner { shared, writer: Mutex::new(Some(writer)) }) }, recovery))
    }

    /// Appends events and returns where they are, in the order given; an id that is known already is not written again.
    ///
    /// # Durability
    /// On `Ok` every event is on the disk. Blocks until then, and while the queue is full.
    ///
    /// # Errors
    /// Nothing of the batch is known to be durable; append it again.
    pub fn append(&self, entries: Vec<Entry>) -> Result<Vec<Appended>, LogError> {
        check(&entries)?;
        let (reply, answer) = std::sync::mpsc::sync_channel(1);
        self.inner.shared.queue.push(Job { entries, reply: Some(reply) })?;
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
        self.inner.shared.queue.push(Job { entries, reply: None })
    }

    /// The position after the last durable event.
    #[must_use]
    pub fn head(&self) -> Position {
        self.inner.shared.directory().head
    }

    /// The position of the durable event with this id.
    #[must_use]
    pub fn position(&self, id: &str) -> Option<Position> {
        self.inner.shared.directory().position(&directory::digest(id))
    }

    /// The 32 bytes that key the tombstones of this log.
    #[must_use]
    pub fn key(&self) -> [u8; 32] {
        self.inner.shared.key
    }

    /// How much there is.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let directory = self.inner.shared.directory();
        let occurred = directory.occurred();
        Stats {
            segments: directory.segments.len(),
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

/// Locks the log for the life of the returned file and writes our pid into it.
fn hold(disk: &Disk) -> Result<File, LogError> {
    let failed = |error| LogError::io("lock", disk.path(LOCK).display().to_string(), error);
    let mut file = disk.lock_file(LOCK).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let _ = file.take(32).read_to_string(&mut pid);
            let pid = if pid.trim().is_empty() { "unknown".to_owned() } else { pid.trim().to_owned() };
            return Err(LogError::Locked { folder: disk.path("").display().to_string(), pid });
        }
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    file.set_len(0).and_then(|()| file.rewind()).map_err(failed)?;
    writeln!(file, "{}", std::process::id()).map_err(failed)?;
    Ok(file)
}

/// The key, made once.
fn key(disk: &Disk) -> Result<[u8; 32], LogError> {
    const NEW: &str = "KEY.new";
    let failed = |error| LogError::io("make", disk.path(KEY).display().to_string(), error);
    if disk.exists(KEY).map_err(failed)? {
        let bytes = disk.read(KEY).map_err(|error| LogError::io("read", KEY, error))?;
        return bytes.try_into().map_err(|_| LogError::Key(disk.path(KEY).display().to_string()));
    }
    if disk.exists(NEW).map_err(failed)? {
        disk.remove(NEW).map_err(failed)?;
    }
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|error| failed(io::Error::other(error.to_string())))?;
    let write = || {
        let file = disk.create(NEW)?;
        disk.append(&file, &key)?;
        disk.sync(&file)?;
        disk.rename(NEW, KEY)?;
        disk.sync_dir("")
    };
    write().map_err(failed)?;
    Ok(key)
}

#[cfg(test)]
mod tests;
