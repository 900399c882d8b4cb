//! What is done for sealed segments in the background: id blocks, packing, and a look at every byte now and then.
//!
//! One thread of low priority, woken when a segment is sealed and once a minute. Nothing that it does can lose an event:
//! blocks are made from segments, and a segment is only replaced by one that was read back and compared.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use clone_schema::Position;

use super::directory::{Broken, Care, Digest, Directory, Ids};
use super::ids::{self, Block, block_name};
use super::recover::Found;
use super::storage::Storage;
use super::writer::sealed_name;
use super::{LogError, Shared, locked};

/// How often a part of the log is read to see whether it still can be.
const TICK: Duration = Duration::from_secs(60);
/// How long it takes until all of it was read once, in seconds. No whole number of days, so that a machine that is on
/// for the same hours every day reads everything in the end.
const ROUND: u64 = 613_337;

/// Wakes and ends the keeper.
#[derive(Default)]
pub(super) struct Keeper {
    state: Mutex<Bell>,
    rung: Condvar,
}

#[derive(Default)]
struct Bell {
    due: bool,
    end: bool,
}

impl Keeper {
    /// There is something to do.
    pub(super) fn wake(&self) {
        locked(&self.state).due = true;
        self.rung.notify_all();
    }

    /// Ends the keeper after what it is doing.
    pub(super) fn end(&self) {
        locked(&self.state).end = true;
        self.rung.notify_all();
    }

    /// Whether it was told to end.
    pub(super) fn is_ended(&self) -> bool {
        locked(&self.state).end
    }

    /// Waits for something to do, for a tick at most; false at the end.
    fn wait(&self) -> bool {
        let idle = |bell: &mut Bell| !bell.due && !bell.end;
        let waited = self.rung.wait_timeout_while(locked(&self.state), TICK, idle);
        let mut bell = waited.unwrap_or_else(PoisonError::into_inner).0;
        bell.due = false;
        !bell.end
    }
}

/// Starts the keeper.
pub(super) fn start(shared: Arc<Shared>) -> Result<JoinHandle<()>, LogError> {
    let run = move || {
        // Of this thread alone, on Linux; where it is refused, the keeper competes and is right all the same.
        let _ = rustix::process::nice(10);
        let mut scrubbed = wheel(&shared);
        while shared.keeper.wait() {
            shared.tend();
            let now = wheel(&shared);
            shared.scrub_between(scrubbed, now);
            scrubbed = now;
        }
    };
    let thread = std::thread::Builder::new().name("log-keeper".to_owned()).spawn(run);
    thread.map_err(|error| LogError::io("start", "log-keeper", error))
}

/// Where the weekly round stands, as a share of the log in billionths: the clock turns it, so that nothing is remembered.
fn wheel(shared: &Shared) -> u64 {
    let seconds = u64::try_from((shared.now)().as_second()).unwrap_or(0) % ROUND;
    seconds * 1_000_000_000 / ROUND
}

impl Shared {
    /// Does all that is due but scrubbing.
    pub(super) fn tend(&self) {
        let _turn = locked(&self.tending);
        self.reread();
        self.write_blocks();
        while !self.keeper.is_ended() && self.pack_once() {
            self.write_blocks();
        }
    }

    /// Reads segments again of which their blocks say what is not true any more.
    fn reread(&self) {
        let stale = || self.directory().segments.iter().position(|segment| segment.care == Care::Stale);
        while let Some(index) = stale() {
            let error = ids::BlockError::Unfit("it names a chunk that is damaged");
            if let Err(error) = self.heal(Broken { segment: index, error }) {
                tracing::warn!(%error, "a damaged segment cannot be read again");
                return;
            }
        }
    }

    /// The position of an id.
    pub(super) fn position(&self, digest: &Digest) -> Result<Option<Position>, LogError> {
        loop {
            let found = self.directory().position(&*self.disk, digest);
            match found {
                Ok(position) => return Ok(position),
                Err(broken) => self.heal(broken)?,
            }
        }
    }

    /// Reads a segment whose block cannot be used, so that its ids are known again.
    ///
    /// # Errors
    /// The segment cannot be read either.
    pub(super) fn heal(&self, broken: Broken) -> Result<(), LogError> {
        let (name, base, generation) = {
            let directory = self.directory();
            let segment = &directory.segments[broken.segment];
            (segment.name.clone(), segment.base, segment.generation)
        };
        tracing::warn!(error = %broken.error, file = name, "an id block is made anew");
        let bytes = self.disk.read(&name).map_err(|error| LogError::io("read", &name, error))?;
        let found = Found::read(bytes, base, name);
        let mut directory = self.directory_mut();
        let segment = &mut directory.segments[broken.segment];
        // It was packed meanwhile: what was read is of the old file.
        if segment.generation == generation {
            found.heal(segment);
        }
        drop(directory);
        self.keeper.wake();
        Ok(())
    }

    /// Writes the blocks that are due; one that cannot be written stays due.
    pub(super) fn write_blocks(&self) {
        let due: Vec<usize> = self.directory().due().collect();
        for index in due {
            // Copied, so that nobody who commits waits for the disk meanwhile.
            let Some(draft) = self.directory().draft(index) else { continue };
            let used = draft.write(&*self.disk).map_err(ids::BlockError::from).and_then(|fresh| {
                let mut directory = self.directory_mut();
                directory.use_block(&*self.disk, index, &fresh)
            });
            if let Err(error) = used {
                tracing::warn!(%error, "an id block cannot be written; the next start takes longer");
            }
        }
    }

    /// Reads the chunks again that lie in this part of the round.
    fn scrub_between(&self, from: u64, to: u64) {
        let total = self.directory().head.0;
        let at = |share: u64| u64::try_from(u128::from(total) * u128::from(share) / 1_000_000_000).unwrap_or(0);
        // At the turn of the round, its last part.
        let to = if to < from { 1_000_000_000 } else { to };
        let (mut next, end) = (Position(at(from)), at(to));
        while next.0 < end && !self.keeper.is_ended() {
            let Some(after) = self.scrub(next) else { return };
            next = after;
        }
    }
}

impl Directory {
    /// The segments whose blocks are due.
    fn due(&self) -> impl Iterator<Item = usize> {
        let is_due = |care: &Care| matches!(care, Care::Due(_));
        self.segments.iter().enumerate().filter(move |(_, segment)| is_due(&segment.care)).map(|(index, _)| index)
    }

    /// What the block of a segment is made of, where it is due.
    fn draft(&self, index: usize) -> Option<Draft> {
        let segment = &self.segments[index];
        let (Care::Due(contents), Ids::Memory(ids)) = (&segment.care, &segment.ids) else { return None };
        let (contents, ids) = (contents.clone(), ids.clone());
        Some(Draft { name: segment.name.clone(), base: segment.base, bytes: segment.bytes, contents, ids })
    }

    /// Puts a block that was written in its place and asks it from now on.
    fn use_block(&mut self, disk: &dyn Storage, index: usize, fresh: &str) -> Result<(), ids::BlockError> {
        let segment = &mut self.segments[index];
        disk.replace(fresh, &block_name(segment.base))?;
        let (block, _) = Block::open(disk, segment.base, (&segment.name, segment.bytes))?;
        (segment.ids, segment.care) = (Ids::Block(Box::new(block)), Care::Done);
        Ok(())
    }
}

/// What an id block is made of.
struct Draft {
    name: String,
    base: Position,
    bytes: u64,
    contents: ids::Contents,
    ids: Vec<(Digest, u32)>,
}

impl Draft {
    /// Writes the block under a name that nobody reads; gives that name.
    fn write(&self, disk: &dyn Storage) -> std::io::Result<String> {
        let fresh = fresh_name(self.base);
        ids::write(disk, &fresh, self.base, (&self.name, self.bytes), &self.contents, &self.ids)?;
        Ok(fresh)
    }
}

/// The name of a block while it is written.
fn fresh_name(base: Position) -> String {
    format!("{}.new", block_name(base))
}

/// Writes the blocks that are due while nobody else knows the log; what cannot be written stays due.
pub(super) fn write_blocks(disk: &dyn Storage, directory: &mut Directory) {
    let due: Vec<usize> = directory.due().collect();
    for index in due {
        let Some(draft) = directory.draft(index) else { continue };
        let written = draft.write(disk).map_err(ids::BlockError::from);
        let used = written.and_then(|fresh| directory.use_block(disk, index, &fresh));
        if let Err(error) = used {
            tracing::warn!(%error, "an id block cannot be written; the next start takes longer");
        }
    }
}

/// Whether a file is one that somebody writes beside a segment, and nobody reads before it has its last name.
pub(super) fn is_half_written(name: &str) -> bool {
    [".packed", ".ids.new", ".recovered", ".erased"].iter().any(|end| name.ends_with(end))
}

/// Removes what a run that died left unfinished, and blocks of segments that are not there.
pub(super) fn remove_leftovers(disk: &dyn Storage, names: &[String]) {
    let there: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    let orphan = |name: &str| {
        let base = name.strip_suffix(".ids").and_then(|stem| stem.parse().ok());
        base.is_some_and(|base| {
            let base = Position(base);
            !there.contains(&*sealed_name(base)) && !there.contains(&*super::writer::open_name(base))
        })
    };
    for name in names.iter().filter(|name| is_half_written(name) || orphan(name)) {
        // Where it cannot be removed it only takes room.
        let _ = disk.remove(name);
    }
}
