//! A disk in memory that loses power: the second implementation of [`Storage`].
//!
//! It keeps what was issued apart from what is durable, for the bytes of a file and for the names in a folder, and records
//! every operation. From the record, [`Trace::ending`] makes what may be found after the power failed at any point:
//! unsynced writes are torn per sector and reach the disk in any order, names come and go on their own, and a file that
//! was synced is gone if its name was not. What a file system does beyond that (syncing a new file's name along, say) is a
//! kindness that this disk does not do.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::locked;
use super::storage::{Handle, Lock, OpenFile, Storage};

/// What a disk writes whole or not at all, in bytes.
const SECTOR: usize = 512;

/// Files by name; a name with a slash lies in a folder.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// A seeded source of chance.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit.max(1)
    }
    pub(super) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

/// One thing that was done to the disk and had an effect.
#[derive(Clone, Debug)]
enum Op {
    CreateDir(String),
    Create(String, usize),
    Write(usize, Vec<u8>),
    Truncate(usize, u64),
    Sync(usize),
    /// A sync that failed: the kernel takes what was pending for clean, and no later sync of anybody writes it.
    SyncFailed(usize),
    SyncDir(String),
    Rename(String, String),
    Remove(String),
}

/// What may be called and fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Write,
    Sync,
    Truncate,
    Create,
    Reopen,
    SyncDir,
    Rename,
    Remove,
    Read,
    List,
    CreateDir,
}

/// Every call that may fail.
pub(super) const CALLS: [Call; 11] = [
    Call::Write,
    Call::Sync,
    Call::Truncate,
    Call::Create,
    Call::Reopen,
    Call::SyncDir,
    Call::Rename,
    Call::Remove,
    Call::Read,
    Call::List,
    Call::CreateDir,
];

/// What goes wrong, and when.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// The calls of this kind from the so-many-th on fail, so many of them.
    Fails { call: Call, after: usize, times: usize, error: ErrorKind },
    /// Every write from the so-many-th on writes at most so many bytes, so many times.
    Short { after: usize, times: usize, bytes: usize },
}

#[derive(Default)]
struct State {
    start: Files,
    trace: Vec<Op>,
    inodes: Vec<Vec<u8>>,
    names: BTreeMap<String, usize>,
    dirs: Vec<String>,
    faults: Vec<Fault>,
    calls: BTreeMap<String, usize>,
    capacity: Option<u64>,
    violations: Vec<String>,
}

/// A disk in memory. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Sim {
    state: Arc<Mutex<State>>,
    held: Arc<AtomicBool>,
}

/// What was done, from which state on.
#[derive(Clone)]
pub(super) struct Trace {
    start: Files,
    ops: Vec<Op>,
}

struct SimFile {
    sim: Sim,
    inode: usize,
    /// Whether a sync of this descriptor failed.
    failed: AtomicBool,
}

struct Held(Arc<AtomicBool>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

fn folder_of(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

impl Sim {
    /// A disk that holds these files, durably.
    pub(super) fn holding(files: Files) -> Self {
        let sim = Self::default();
        let mut state = locked(&sim.state);
        for (name, bytes) in &files {
            if !folder_of(name).is_empty() && !state.dirs.contains(&folder_of(name).to_owned()) {
                state.dirs.push(folder_of(name).to_owned());
            }
            state.inodes.push(bytes.clone());
            let inode = state.inodes.len() - 1;
            state.names.insert(name.clone(), inode);
        }
        state.start = files;
        drop(state);
        sim
    }

    /// How much was done.
    pub(super) fn ops(&self) -> usize {
        locked(&self.state).trace.len()
    }

    /// What was done.
    pub(super) fn trace(&self) -> Trace {
        let state = locked(&self.state);
        Trace { start: state.start.clone(), ops: state.trace.clone() }
    }

    /// What goes wrong from now on, counted from now.
    pub(super) fn set_faults(&self, faults: Vec<Fault>) {
        let mut state = locked(&self.state);
        (state.faults, state.calls) = (faults, BTreeMap::new());
    }

    /// How many bytes fit.
    pub(super) fn set_capacity(&self, bytes: Option<u64>) {
        locked(&self.state).capacity = bytes;
    }

    /// How many bytes there are.
    pub(super) fn used(&self) -> u64 {
        locked(&self.state).used()
    }

    /// What was done that must never be done.
    pub(super) fn violations(&self) -> Vec<String> {
        locked(&self.state).violations.clone()
    }

    /// The files as a process sees them now.
    pub(super) fn files(&self) -> Files {
        let state = locked(&self.state);
        state.names.iter().map(|(name, inode)| (name.clone(), state.inodes[*inode].clone())).collect()
    }
}

impl State {
    fn used(&self) -> u64 {
        self.names.values().map(|inode| self.inodes[*inode].len() as u64).sum()
    }

    /// Counts a call and fails it where a fault says so.
    fn call(&mut self, call: Call) -> io::Result<()> {
        let count = self.calls.entry(format!("{call:?}")).or_default();
        *count += 1;
        let number = *count;
        for fault in &self.faults {
            if let Fault::Fails { call: failing, after, times, error } = *fault
                && failing == call
                && (after + 1..=after.saturating_add(times)).contains(&number)
            {
                return Err(io::Error::new(error, format!("simulated failure of {call:?}")));
            }
        }
        Ok(())
    }

    /// How many of these bytes this write takes.
    fn takes(&self, wanted: usize) -> usize {
        let number = self.calls.get("Write").copied().unwrap_or_default();
        let short = self.faults.iter().find_map(|fault| match *fault {
            Fault::Short { after, times, bytes } => {
                (after + 1..=after.saturating_add(times)).contains(&number).then_some(bytes)
            }
            Fault::Fails { .. } => None,
        });
        let room = self.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(self.used()));
        wanted.min(short.unwrap_or(wanted)).min(usize::try_from(room).unwrap_or(usize::MAX))
    }

    fn inode(&self, name: &str) -> io::Result<usize> {
        let missing = || io::Error::new(ErrorKind::NotFound, format!("no `{name}`"));
        self.names.get(name).copied().ok_or_else(missing)
    }

    fn has_dir(&self, name: &str) -> io::Result<()> {
        match name.is_empty() || self.dirs.iter().any(|dir| dir == name) {
            true => Ok(()),
            false => Err(ErrorKind::NotFound.into()),
        }
    }
}

impl OpenFile for SimFile {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = locked(&self.sim.state);
        state.call(Call::Write)?;
        let takes = state.takes(bytes.len());
        if takes == 0 && !bytes.is_empty() {
            return Err(ErrorKind::StorageFull.into());
        }
        state.inodes[self.inode].extend_from_slice(&bytes[..takes]);
        state.trace.push(Op::Write(self.inode, bytes[..takes].to_vec()));
        Ok(takes)
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = locked(&self.sim.state);
        if self.failed.load(Ordering::SeqCst) {
            state.violations.push(format!("a descriptor of file {} was synced again after a failed sync", self.inode));
        }
        if let Err(error) = state.call(Call::Sync) {
            self.failed.store(true, Ordering::SeqCst);
            state.trace.push(Op::SyncFailed(self.inode));
            return Err(error);
        }
        state.trace.push(Op::Sync(self.inode));
        Ok(())
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        let mut state = locked(&self.sim.state);
        state.call(Call::Truncate)?;
        state.inodes[self.inode].resize(usize::try_from(length).unwrap(), 0);
        state.trace.push(Op::Truncate(self.inode, length));
        Ok(())
    }
}

impl Storage for Sim {
    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from("/simulated").join(name)
    }

    fn create_dir(&self, name: &str) -> io::Result<()> {
        let mut state = locked(&self.state);
        state.call(Call::CreateDir)?;
        if state.has_dir(name).is_err() {
            state.dirs.push(name.to_owned());
            state.trace.push(Op::CreateDir(name.to_owned()));
        }
        Ok(())
    }

    fn create(&self, name: &str) -> io::Result<Handle> {
        let mut state = locked(&self.state);
        state.call(Call::Create)?;
        state.has_dir(folder_of(name))?;
        if state.names.contains_key(name) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        state.inodes.push(Vec::new());
        let inode = state.inodes.len() - 1;
        state.names.insert(name.to_owned(), inode);
        state.trace.push(Op::Create(name.to_owned(), inode));
        Ok(Box::new(SimFile { sim: self.clone(), inode, failed: AtomicBool::new(false) }))
    }

    fn reopen(&self, name: &str) -> io::Result<Handle> {
        let mut state = locked(&self.state);
        state.call(Call::Reopen)?;
        let inode = state.inode(name)?;
        Ok(Box::new(SimFile { sim: self.clone(), inode, failed: AtomicBool::new(false) }))
    }

    fn lock(&self, _: &str, _: &str) -> io::Result<Option<Lock>> {
        let taken = self.held.swap(true, Ordering::SeqCst);
        Ok((!taken).then(|| Box::new(Held(self.held.clone())) as Lock))
    }

    fn sync_dir(&self, name: &str) -> io::Result<()> {
        let mut state = locked(&self.state);
        state.call(Call::SyncDir)?;
        state.has_dir(name)?;
        state.trace.push(Op::SyncDir(name.to_owned()));
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        if locked(&self.state).names.contains_key(to) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        self.replace(from, to)
    }

    fn replace(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = locked(&self.state);
        state.call(Call::Rename)?;
        let inode = state.inode(from)?;
        state.names.remove(from);
        state.names.insert(to.to_owned(), inode);
        state.trace.push(Op::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = locked(&self.state);
        state.call(Call::Remove)?;
        state.inode(name)?;
        state.names.remove(name);
        state.trace.push(Op::Remove(name.to_owned()));
        Ok(())
    }

    fn read_at(&self, name: &str, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut state = locked(&self.state);
        state.call(Call::Read)?;
        let inode = state.inode(name)?;
        let bytes = &state.inodes[inode];
        let start = usize::try_from(offset).unwrap().min(bytes.len());
        let part = bytes.get(start..start.saturating_add(length));
        part.map(<[u8]>::to_vec).ok_or_else(|| ErrorKind::UnexpectedEof.into())
    }

    fn length(&self, name: &str) -> io::Result<u64> {
        let state = locked(&self.state);
        Ok(state.inodes[state.inode(name)?].len() as u64)
    }

    fn list(&self, name: &str) -> io::Result<Vec<String>> {
        let mut state = locked(&self.state);
        state.call(Call::List)?;
        state.has_dir(name)?;
        let inside = state.names.keys().filter(|file| folder_of(file) == name);
        Ok(inside.map(|file| file.rsplit('/').next().unwrap_or(file).to_owned()).collect())
    }

    fn free(&self) -> io::Result<u64> {
        let state = locked(&self.state);
        Ok(state.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(state.used())))
    }
}

/// How the power fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// It does not: only the process dies, and all that was issued is there.
    Killed,
    /// Nothing is there but what was synced.
    Synced,
    /// What was not synced is torn, reordered, zeroed or missing by chance.
    Torn,
}

/// One file while the operations are gone through again.
#[derive(Clone, Default)]
struct Replayed {
    durable: Vec<u8>,
    issued: Vec<u8>,
    /// Since the last sync.
    pending: Vec<Pending>,
    /// Writes that a failed sync gave up.
    given_up: Vec<Pending>,
}

#[derive(Clone)]
enum Pending {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

/// A change of a folder since it was last synced.
#[derive(Clone)]
enum Name {
    Set(String, usize),
    /// One rename is one change: never both names, never neither.
    Move(String, String, usize),
    Gone(String),
}

impl Trace {
    /// How many operations there were.
    pub(super) fn len(&self) -> usize {
        self.ops.len()
    }

    /// What is found after the first `count` operations and this ending.
    pub(super) fn ending(&self, count: usize, ending: Ending, dice: &mut Dice) -> Files {
        let mut replay = Replay::new(&self.start);
        for op in &self.ops[..count] {
            replay.apply(op);
        }
        let mut names = replay.durable_names.clone();
        let mut dirs = replay.durable_dirs.clone();
        for (folder, change) in &replay.pending_names {
            // A process that dies leaves every change; a power cut any of them.
            if ending == Ending::Killed || (ending == Ending::Torn && dice.once_in(2)) {
                change.apply(&mut names);
                dirs.extend((!folder.is_empty()).then(|| folder.clone()));
            }
        }
        if ending == Ending::Killed {
            dirs.clone_from(&replay.dirs);
        } else if ending == Ending::Torn {
            dirs.extend(replay.dirs.iter().filter(|_| dice.once_in(2)).cloned().collect::<Vec<_>>());
        }
        let there = names.into_iter().filter(|(name, _)| {
            let folder = folder_of(name);
            folder.is_empty() || dirs.iter().any(|dir| dir == folder)
        });
        there.map(|(name, inode)| (name, replay.files[inode].end(ending, dice))).collect()
    }
}

struct Replay {
    files: Vec<Replayed>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    pending_names: Vec<(String, Name)>,
    dirs: Vec<String>,
    durable_dirs: Vec<String>,
}

impl Name {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Set(name, inode) => drop(names.insert(name.clone(), *inode)),
            Self::Move(from, to, inode) => {
                names.remove(from);
                names.insert(to.clone(), *inode);
            }
            Self::Gone(name) => drop(names.remove(name)),
        }
    }
}

impl Replay {
    fn new(start: &Files) -> Self {
        let files = start.values().map(|bytes| Replayed {
            durable: bytes.clone(),
            issued: bytes.clone(),
            ..Replayed::default()
        });
        let names: BTreeMap<String, usize> =
            start.keys().enumerate().map(|(inode, name)| (name.clone(), inode)).collect();
        let dirs: Vec<String> = start.keys().map(|name| folder_of(name).to_owned()).filter(|f| !f.is_empty()).collect();
        Self {
            files: files.collect(),
            durable_names: names.clone(),
            names,
            pending_names: Vec::new(),
            durable_dirs: dirs.clone(),
            dirs,
        }
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::CreateDir(name) => self.dirs.push(name.clone()),
            Op::Create(name, inode) => {
                self.files.resize_with(inode + 1, Replayed::default);
                self.rename_in(name, Name::Set(name.clone(), *inode));
            }
            Op::Rename(from, to) => {
                let inode = self.names[from];
                self.rename_in(to, Name::Move(from.clone(), to.clone(), inode));
            }
            Op::Remove(name) => self.rename_in(name, Name::Gone(name.clone())),
            Op::SyncDir(folder) => self.sync_dir(folder),
            Op::Write(inode, bytes) => self.files[*inode].write(bytes),
            Op::Truncate(inode, length) => self.files[*inode].truncate(usize::try_from(*length).unwrap()),
            Op::Sync(inode) => self.files[*inode].sync(),
            Op::SyncFailed(inode) => self.files[*inode].sync_failed(),
        }
    }

    fn rename_in(&mut self, name: &str, change: Name) {
        change.apply(&mut self.names);
        self.pending_names.push((folder_of(name).to_owned(), change));
    }

    fn sync_dir(&mut self, folder: &str) {
        let pending = std::mem::take(&mut self.pending_names);
        for (inside, change) in pending {
            match inside == folder {
                true => change.apply(&mut self.durable_names),
                false => self.pending_names.push((inside, change)),
            }
        }
        if folder.is_empty() {
            self.durable_dirs.clone_from(&self.dirs);
        }
    }
}

impl Replayed {
    fn write(&mut self, bytes: &[u8]) {
        self.pending.push(Pending::Write(self.issued.len(), bytes.to_vec()));
        self.issued.extend_from_slice(bytes);
    }

    fn truncate(&mut self, length: usize) {
        self.pending.push(Pending::Truncate(length));
        self.issued.resize(length, 0);
    }

    /// What a failed sync gave up stays a hole, however often somebody syncs after it, until it is cut off or written
    /// over.
    fn sync(&mut self) {
        for pending in self.pending.drain(..) {
            match pending {
                Pending::Truncate(length) => {
                    self.durable.resize(length, 0);
                    self.given_up.retain(|lost| matches!(lost, Pending::Write(offset, _) if *offset < length));
                }
                Pending::Write(offset, new) => {
                    self.durable.resize(self.durable.len().max(offset + new.len()), 0);
                    self.durable[offset..offset + new.len()].copy_from_slice(&new);
                }
            }
        }
    }

    fn sync_failed(&mut self) {
        let (writes, cuts) =
            std::mem::take(&mut self.pending).into_iter().partition(|one| matches!(one, Pending::Write(..)));
        self.given_up.extend::<Vec<Pending>>(writes);
        self.pending = cuts;
    }

    fn end(&self, ending: Ending, dice: &mut Dice) -> Vec<u8> {
        match ending {
            Ending::Killed => self.issued.clone(),
            Ending::Synced => self.durable.clone(),
            Ending::Torn => self.torn(dice),
        }
    }

    /// Every sector that was written since the last sync is there or not, whichever was written first.
    fn torn(&self, dice: &mut Dice) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        let kept_in = [1, 2, 8][dice.below(3)];
        let filler = [0, 0, 0xa5][dice.below(3)];
        for pending in self.given_up.iter().chain(&self.pending) {
            match pending {
                Pending::Truncate(length) if dice.once_in(2) => bytes.resize(*length, filler),
                Pending::Truncate(_) => {}
                Pending::Write(offset, new) => {
                    // The length may be there without the bytes.
                    let grown = offset + if dice.once_in(2) { new.len() } else { dice.below(new.len() + 1) };
                    bytes.resize(bytes.len().max(grown), filler);
                    tear(&mut bytes, *offset, new, grown, kept_in, dice);
                }
            }
        }
        bytes
    }
}

/// Lays some sectors of a write over the bytes, up to `grown`.
fn tear(bytes: &mut [u8], offset: usize, new: &[u8], grown: usize, kept_in: usize, dice: &mut Dice) {
    let mut at = offset;
    while at < grown {
        let end = grown.min((at / SECTOR + 1) * SECTOR);
        if dice.below(kept_in) == 0 {
            bytes[at..end].copy_from_slice(&new[at - offset..end - offset]);
        }
        at = end;
    }
}
