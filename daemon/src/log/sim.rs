//! A disk in memory: the second [`Storage`], which records every change and fails where it is told to.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use super::locked;
use super::storage::{Handle, Lock, OpenFile, Storage};
use super::world::{Image, Op, World};

/// Calls of one kind that fail.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    /// The kind, the name of the method.
    pub(super) call: &'static str,
    /// The number of the first call that fails, counted from 0 since the last [`SimDisk::set_faults`].
    pub(super) from: u64,
    /// How many fail.
    pub(super) times: u64,
    pub(super) kind: io::ErrorKind,
    /// Whether the call has its effect although it says that it failed; a write has half of it.
    pub(super) effect: bool,
}

impl Fault {
    /// The call with this number fails once.
    pub(super) fn once(call: &'static str, from: u64, kind: io::ErrorKind) -> Self {
        Self { call, from, times: 1, kind, effect: false }
    }

    /// It and all after it fail.
    pub(super) fn for_ever(call: &'static str, from: u64, kind: io::ErrorKind) -> Self {
        Self { times: u64::MAX, ..Self::once(call, from, kind) }
    }
}

struct State {
    world: World,
    trace: Vec<Op>,
    faults: Vec<Fault>,
    calls: BTreeMap<&'static str, u64>,
    capacity: Option<u64>,
    most_per_write: usize,
    held: bool,
    violations: Vec<String>,
}

/// Where every sync goes through, so that a test can make it wait.
#[derive(Default)]
struct Gate {
    shut: Mutex<()>,
    waiting: AtomicUsize,
}

impl Gate {
    fn pass(&self) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        drop(locked(&self.shut));
        self.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A disk in memory.
#[derive(Clone)]
pub(super) struct SimDisk {
    state: Arc<Mutex<State>>,
    gate: Arc<Gate>,
}

struct SimFile {
    state: Arc<Mutex<State>>,
    gate: Arc<Gate>,
    file: usize,
    name: String,
    sync_failed: Mutex<bool>,
}

struct SimLock(Arc<Mutex<State>>);

impl Drop for SimLock {
    fn drop(&mut self) {
        locked(&self.0).held = false;
    }
}

impl State {
    fn new(world: World, trace: Vec<Op>) -> Self {
        let (faults, calls, violations) = (Vec::new(), BTreeMap::new(), Vec::new());
        Self { world, trace, faults, calls, capacity: None, most_per_write: usize::MAX, held: false, violations }
    }

    /// Counts a call and says how it fails: the error, and whether it has its effect.
    fn count(&mut self, call: &'static str) -> Option<(io::Error, bool)> {
        let number = self.calls.entry(call).or_default();
        let now = *number;
        *number += 1;
        let hit = |fault: &&Fault| fault.call == call && now >= fault.from && now - fault.from < fault.times;
        let fault = self.faults.iter().find(hit)?;
        Some((io::Error::new(fault.kind, format!("injected into {call} {now}")), fault.effect))
    }

    fn apply(&mut self, op: Op) {
        self.world.apply(&op);
        self.trace.push(op);
    }

    /// A call that only fails or has its effect.
    fn change(&mut self, call: &'static str, op: Op) -> io::Result<()> {
        match self.count(call) {
            None => self.apply(op),
            Some((error, effect)) => {
                if effect {
                    self.apply(op);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    fn look(&mut self, call: &'static str) -> io::Result<()> {
        self.count(call).map_or(Ok(()), |(error, _)| Err(error))
    }

    fn find(&self, name: &str) -> io::Result<usize> {
        self.world.file(name).ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("no `{name}`")))
    }

    fn free(&self) -> u64 {
        self.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(self.world.used()))
    }
}

impl SimDisk {
    /// A disk that holds this.
    pub(super) fn new(image: &Image) -> Self {
        Self::over(World::new(image), Vec::new())
    }

    /// A disk in this state, with nobody at work on it.
    pub(super) fn over(world: World, trace: Vec<Op>) -> Self {
        Self { state: Arc::new(Mutex::new(State::new(world, trace))), gate: Arc::default() }
    }

    /// The same disk after so many changes since `start`, with nobody at work on it: the process was killed there.
    pub(super) fn killed(&self, start: &Image, changes: usize) -> Self {
        let trace = self.trace()[..changes].to_vec();
        let mut world = World::new(start);
        trace.iter().for_each(|op| world.apply(op));
        let disk = Self::over(world, trace);
        locked(&disk.state).violations = self.violations();
        disk
    }

    /// Every change so far.
    pub(super) fn trace(&self) -> Vec<Op> {
        locked(&self.state).trace.clone()
    }

    /// How many changes there were so far.
    pub(super) fn changes(&self) -> usize {
        locked(&self.state).trace.len()
    }

    /// Puts faults in the place of those before and counts calls from 0 again.
    pub(super) fn set_faults(&self, faults: Vec<Fault>) {
        let mut state = locked(&self.state);
        (state.faults, state.calls) = (faults, BTreeMap::new());
    }

    /// Bytes that all files may have together.
    pub(super) fn set_capacity(&self, capacity: Option<u64>) {
        locked(&self.state).capacity = capacity;
    }

    /// Bytes in all files.
    pub(super) fn used(&self) -> u64 {
        locked(&self.state).world.used()
    }

    /// Bytes that one write takes at most.
    pub(super) fn set_most_per_write(&self, bytes: usize) {
        locked(&self.state).most_per_write = bytes;
    }

    /// Makes every sync wait until this is dropped.
    pub(super) fn hold_syncs(&self) -> MutexGuard<'_, ()> {
        locked(&self.gate.shut)
    }

    /// Whether a sync waits for that.
    pub(super) fn sync_waits(&self) -> bool {
        self.gate.waiting.load(Ordering::SeqCst) > 0
    }

    /// What the log must never do, where it did it.
    pub(super) fn violations(&self) -> Vec<String> {
        locked(&self.state).violations.clone()
    }

    fn open(&self, name: &str, file: usize) -> Handle {
        let (state, gate, name) = (self.state.clone(), self.gate.clone(), name.to_owned());
        Box::new(SimFile { state, gate, file, name, sync_failed: Mutex::new(false) })
    }
}

impl OpenFile for SimFile {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = locked(&self.state);
        let failed = state.count("write");
        let room = usize::try_from(state.free()).unwrap_or(usize::MAX).min(state.most_per_write);
        let length = match &failed {
            Some((_, true)) => bytes.len() / 2,
            Some((_, false)) => 0,
            None => bytes.len(),
        };
        let length = length.min(room);
        if length > 0 {
            state.apply(Op::Write(self.file, bytes[..length].into()));
        }
        match failed {
            Some((error, _)) => Err(error),
            None if length == 0 => Err(io::ErrorKind::StorageFull.into()),
            None => Ok(length),
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.gate.pass();
        let mut state = locked(&self.state);
        let mut before = locked(&self.sync_failed);
        if *before {
            let violation = format!("`{}` is synced again after a failed sync", self.name);
            state.violations.push(violation);
        }
        match state.count("sync") {
            None => state.apply(Op::Sync(self.file)),
            Some((error, effect)) => {
                *before = true;
                state.apply(if effect { Op::Sync(self.file) } else { Op::SyncFailed(self.file) });
                return Err(error);
            }
        }
        Ok(())
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        locked(&self.state).change("truncate", Op::Cut(self.file, length))
    }
}

impl Storage for SimDisk {
    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from("/sim").join(name)
    }

    fn create_dir(&self, name: &str) -> io::Result<()> {
        let mut state = locked(&self.state);
        match state.world.names(name) {
            Some(_) => state.look("create_dir"),
            None => state.change("create_dir", Op::Mkdir(name.to_owned())),
        }
    }

    fn create(&self, name: &str) -> io::Result<Handle> {
        let mut state = locked(&self.state);
        if state.find(name).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if state.free() == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.change("create", Op::Create(name.to_owned()))?;
        let file = state.find(name)?;
        Ok(self.open(name, file))
    }

    #[cfg(feature = "sabotage")]
    fn reopen(&self, name: &str) -> io::Result<Handle> {
        let file = locked(&self.state).find(name)?;
        Ok(self.open(name, file))
    }

    fn lock(&self, name: &str, _holder: &str) -> io::Result<Option<Lock>> {
        let mut state = locked(&self.state);
        state.look("lock")?;
        if state.held {
            return Ok(None);
        }
        if state.find(name).is_err() {
            state.apply(Op::Create(name.to_owned()));
        }
        state.held = true;
        Ok(Some(Box::new(SimLock(self.state.clone()))))
    }

    fn sync_dir(&self, name: &str) -> io::Result<()> {
        locked(&self.state).change("sync_dir", Op::SyncDir(name.to_owned()))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = locked(&self.state);
        if state.find(to).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.find(from)?;
        state.change("rename", Op::Rename(from.to_owned(), to.to_owned()))
    }

    fn replace(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = locked(&self.state);
        state.find(from)?;
        state.change("replace", Op::Rename(from.to_owned(), to.to_owned()))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = locked(&self.state);
        state.find(name)?;
        state.change("remove", Op::Remove(name.to_owned()))
    }

    fn read_at(&self, name: &str, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut state = locked(&self.state);
        state.look("read")?;
        let bytes = state.world.bytes(state.find(name)?);
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let range = from.checked_add(length).and_then(|to| bytes.get(from..to));
        range.map(<[u8]>::to_vec).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    fn length(&self, name: &str) -> io::Result<u64> {
        let mut state = locked(&self.state);
        state.look("length")?;
        Ok(state.world.bytes(state.find(name)?).len() as u64)
    }

    fn list(&self, name: &str) -> io::Result<Vec<String>> {
        let mut state = locked(&self.state);
        state.look("list")?;
        state.world.names(name).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn free(&self) -> io::Result<u64> {
        Ok(locked(&self.state).free())
    }
}
