//! The thread that follows transcripts: it watches the agents' folders and hands what was added to the engine.
//!
//! It opens only the fixed folders of the agents that the person switched on; no caller names a path. Where the log takes
//! nothing it waits and tries again, and what it has not handed over is not remembered as read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use clone_schema::Event;
use notify::{RecursiveMode, Watcher};
use serde_json::{Value, json};

use crate::clock;
use crate::engine::Engine;
use crate::env::Env;
use crate::paths::{self, Paths};
use crate::sources::{Filter, Folder, Follower, Format, Memory};

/// Changes that may wait; when more come, every file is looked at.
const WAKES_MAX: usize = 4096;
/// How often the settings are looked at, and folders that could not be watched.
const TICK: Duration = Duration::from_secs(1);
/// How often every file is looked at, for what a watch missed.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// How soon a new folder is looked at once more: files may have been written before it was watched.
const NEW_FOLDER: Duration = Duration::from_millis(300);
/// How long what was read waits for company before it is remembered.
const SAVE_AFTER: Duration = Duration::from_secs(5);
/// How soon events that the log did not take are offered again.
const RETRY: Duration = Duration::from_secs(1);
/// Events handed over at once, and their bytes.
const BATCH: usize = 256;
const BATCH_BYTES: usize = 2 << 20;

enum Wake {
    Moved(PathBuf),
    Stop,
}

/// The running thread.
pub(super) struct Following {
    wake: SyncSender<Wake>,
    ending: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Following {
    /// Begins to follow; nothing is followed until an agent is switched on.
    pub(super) fn start(env: &Env, paths: &Paths, engine: &Arc<Engine>) -> std::io::Result<Self> {
        let (wake, wakes) = sync_channel(WAKES_MAX);
        let ending = Arc::new(AtomicBool::new(false));
        let room = Room {
            env: env.clone(),
            file: paths.following.clone(),
            engine: engine.clone(),
            ending: ending.clone(),
            missed: Arc::new(AtomicBool::new(false)),
            wake: wake.clone(),
            saved_at: Instant::now(),
            lost: false,
            wipes: engine.wipes(),
            taken: Taken::new(),
            last: None,
        };
        let thread = thread::Builder::new().name("follow".to_owned()).spawn(move || room.run(&wakes))?;
        Ok(Self { wake, ending, thread })
    }

    /// Ends following; what is not handed over by then is read again at the next start.
    pub(super) fn end(self) {
        self.ending.store(true, Ordering::Release);
        let _full = self.wake.try_send(Wake::Stop);
        let _ended = self.thread.join();
    }
}

/// Events by the name of their format: recorded, and known before.
type Taken = BTreeMap<String, (u64, u64)>;

struct Room {
    env: Env,
    file: PathBuf,
    engine: Arc<Engine>,
    ending: Arc<AtomicBool>,
    missed: Arc<AtomicBool>,
    wake: SyncSender<Wake>,
    saved_at: Instant,
    /// Events were read that could not be handed over.
    lost: bool,
    /// Wipes of a source that what is remembered was forgotten after.
    wipes: u64,
    /// What the log took of each format, and what it had already.
    taken: Taken,
    last: Option<clone_schema::Timestamp>,
}

/// What is followed now.
struct Followed {
    agents: Vec<Format>,
    follower: Follower,
    watcher: Option<notify::RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
    looked_at: Instant,
    /// When everything is looked at once more.
    again_at: Option<Instant>,
}

impl Room {
    fn run(mut self, wakes: &Receiver<Wake>) {
        let mut followed = None;
        while !self.ending.load(Ordering::Acquire) {
            followed = self.adopted(followed);
            let wait = followed.as_ref().and_then(|followed: &Followed| followed.again_at);
            let wait = wait.map_or(TICK, |at| at.saturating_duration_since(Instant::now()).min(TICK));
            let moved = match wakes.recv_timeout(wait) {
                Ok(Wake::Moved(path)) => moved(path, wakes),
                Err(RecvTimeoutError::Timeout) => BTreeSet::new(),
                Ok(Wake::Stop) | Err(RecvTimeoutError::Disconnected) => break,
            };
            if let Some(followed) = &mut followed {
                self.look(followed, &moved);
                self.save(followed, SAVE_AFTER);
            }
        }
        if let Some(followed) = &mut followed {
            self.save(followed, Duration::ZERO);
        }
    }

    /// Begins anew where the settings changed; while they are not known all stays as it is.
    fn adopted(&mut self, followed: Option<Followed>) -> Option<Followed> {
        let Ok(agents) = self.engine.followed() else { return followed };
        let wipes = self.engine.wipes();
        let wiped = std::mem::replace(&mut self.wipes, wipes) != wipes;
        match followed {
            Some(followed) if followed.agents == agents && !wiped && !self.lost => Some(followed),
            None if agents.is_empty() && !wiped => None,
            before => {
                if let Some(mut before) = before {
                    self.save(&mut before, Duration::ZERO);
                }
                if wiped {
                    // Whoever follows it again starts over; what others wrote is read once more, and known.
                    let _gone = std::fs::remove_file(&self.file);
                }
                self.lost = false;
                self.engine.tell_following(Value::Null);
                (!agents.is_empty()).then(|| self.begin(agents))
            }
        }
    }

    fn begin(&mut self, agents: Vec<Format>) -> Followed {
        let of =
            |format: Format| paths::transcripts(&self.env, format.name()).into_iter().map(move |path| (format, path));
        let folders = agents.iter().copied().flat_map(of).map(|(format, path)| Folder { format, path }).collect();
        let memory = std::fs::read(&self.file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let filter = Filter { include: Vec::new(), exclude: self.engine.excluded() };
        let follower = Follower::new(folders, filter, memory.unwrap_or_default());
        let (watcher, watched) = (self.watcher(), BTreeSet::new());
        let mut followed = Followed { agents, follower, watcher, watched, looked_at: Instant::now(), again_at: None };
        self.watch(&mut followed);
        let before = self.taken.clone();
        // Where it was cut short, the next start comes to the end of it.
        if self.look_at_all(&mut followed) {
            self.mark(&followed, &before);
        }
        self.tell(&followed);
        followed
    }

    fn watcher(&self) -> Option<notify::RecommendedWatcher> {
        let (wake, missed) = (self.wake.clone(), self.missed.clone());
        let told = move |event: notify::Result<notify::Event>| match event {
            Ok(event) if event.kind.is_access() => {}
            Ok(event) if !event.need_rescan() => {
                for path in event.paths {
                    if wake.try_send(Wake::Moved(path)).is_err() {
                        missed.store(true, Ordering::Release);
                    }
                }
            }
            _ => missed.store(true, Ordering::Release),
        };
        notify::recommended_watcher(told).inspect_err(|error| tracing::warn!(%error, "no folder can be watched")).ok()
    }

    /// Watches the folders that are there and not watched yet; whether one is new.
    fn watch(&self, followed: &mut Followed) -> bool {
        let mut new = false;
        for folder in followed.follower.folders() {
            let Some(watcher) = &mut followed.watcher else { break };
            if followed.watched.contains(&folder.path) || !folder.path.is_dir() {
                continue;
            }
            match watcher.watch(&folder.path, RecursiveMode::Recursive) {
                Ok(()) => new |= followed.watched.insert(folder.path.clone()),
                Err(error) => tracing::debug!(%error, "a folder is not watched; it is looked at every second"),
            }
        }
        new
    }

    fn look(&mut self, followed: &mut Followed, moved: &BTreeSet<PathBuf>) {
        let before = self.taken.clone();
        let due = followed.again_at.is_some_and(|at| at <= Instant::now());
        let unwatched =
            followed.follower.folders().iter().any(|f| f.path.is_dir() && !followed.watched.contains(&f.path));
        let new = unwatched && self.watch(followed);
        let stale = followed.looked_at.elapsed() >= if unwatched { TICK } else { LOOK_AGAIN };
        if due || new || stale || self.missed.swap(false, Ordering::AcqRel) {
            self.look_at_all(followed);
        }
        if moved.iter().any(|path| path.is_dir()) {
            followed.again_at = Some(Instant::now() + NEW_FOLDER);
        }
        for path in moved {
            self.feed(&mut followed.follower, |follower, out| follower.look_at(path, out));
        }
        if self.taken != before || !moved.is_empty() {
            self.tell(followed);
        }
    }

    /// Whether everything was looked at: a stop does not wait for all of history.
    fn look_at_all(&mut self, followed: &mut Followed) -> bool {
        followed.looked_at = Instant::now();
        followed.again_at = None;
        let ending = self.ending.clone();
        self.feed(&mut followed.follower, |follower, out| {
            follower.look_at_all(&|| !ending.load(Ordering::Acquire), out);
        });
        !self.ending.load(Ordering::Acquire)
    }

    /// Lets the follower read, and hands over what it finds in batches of one format.
    fn feed(&mut self, follower: &mut Follower, read: impl FnOnce(&mut Follower, &mut dyn FnMut(Event))) {
        let (mut batch, mut bytes) = (Vec::<Event>::new(), 0);
        read(follower, &mut |event| {
            if batch.last().is_some_and(|last| last.source_detail != event.source_detail) {
                self.hand_over(std::mem::take(&mut batch));
                bytes = 0;
            }
            bytes += event.to_json().len();
            batch.push(event);
            if batch.len() >= BATCH || bytes >= BATCH_BYTES {
                self.hand_over(std::mem::take(&mut batch));
                bytes = 0;
            }
        });
        self.hand_over(batch);
    }

    /// Offers a batch until the log takes it or the daemon ends.
    fn hand_over(&mut self, batch: Vec<Event>) {
        let Some(first) = batch.first() else { return };
        let format = first.source_detail.clone().unwrap_or_default();
        // What was read before somebody ended following it, or wiped it, comes too late.
        let is_followed = |engine: &Engine| {
            engine.followed().map_or(true, |agents| agents.iter().any(|agent| agent.name() == format))
        };
        while !self.ending.load(Ordering::Acquire) && is_followed(&self.engine) {
            match self.engine.record_followed(batch.clone()) {
                Ok(answer) => {
                    let taken = self.taken.entry(format).or_default();
                    *taken = (taken.0 + answer.accepted as u64, taken.1 + answer.duplicates as u64);
                    self.last = Some(clock::now());
                    return;
                }
                Err(error) => {
                    tracing::warn!(%error, "what was followed is not recorded yet; trying again");
                    thread::sleep(RETRY);
                }
            }
        }
        self.lost = true;
    }

    /// The end of a first look, for each format that it recorded something of.
    fn mark(&self, followed: &Followed, before: &Taken) {
        let of = |taken: &Taken, format: &Format| taken.get(format.name()).copied().unwrap_or_default();
        for format in &followed.agents {
            let (before, after) = (of(before, format), of(&self.taken, format));
            let (recorded, known) = (after.0 - before.0, after.1 - before.1);
            if recorded > 0 {
                let counts = followed.follower.counts().get(format.name()).cloned().unwrap_or_default();
                self.engine.caught_up(*format, recorded, known, &counts);
            }
        }
    }

    fn save(&mut self, followed: &mut Followed, after: Duration) {
        if self.lost || self.saved_at.elapsed() < after {
            return;
        }
        let Some(memory) = followed.follower.take_memory() else { return };
        self.saved_at = Instant::now();
        if let Err(error) = keep(&self.file, &memory) {
            tracing::debug!(%error, "what was read is not remembered; it is read again after a restart");
        }
    }

    fn tell(&self, followed: &Followed) {
        let count = |(name, counts): (&&str, &crate::sources::Counts)| {
            let told = json!({"events": counts.events, "human": counts.human, "skipped": counts.skipped});
            ((*name).to_owned(), told)
        };
        let agents: serde_json::Map<String, Value> = followed.follower.counts().iter().map(count).collect();
        let unreadable = followed.follower.unreadable().take(20);
        let unreadable: Vec<String> = unreadable.map(|(path, why)| format!("{}: {why}", path.display())).collect();
        let sum = |of: fn(&(u64, u64)) -> u64| self.taken.values().map(of).sum::<u64>();
        self.engine.tell_following(json!({
            "agents": agents, "folders": followed.watched, "recorded": sum(|taken| taken.0), "known": sum(|taken| taken.1),
            "last": self.last, "unreadable": unreadable,
        }));
    }
}

/// What else moved meanwhile; a path counts once.
fn moved(first: PathBuf, wakes: &Receiver<Wake>) -> BTreeSet<PathBuf> {
    let mut paths = BTreeSet::from([first]);
    while let Ok(Wake::Moved(path)) = wakes.try_recv() {
        paths.insert(path);
    }
    paths
}

/// Writes beside and renames, so that a crash leaves the old one.
fn keep(file: &Path, memory: &Memory) -> std::io::Result<()> {
    let beside = file.with_extension("tmp");
    std::fs::write(&beside, serde_json::to_vec(memory)?)?;
    std::fs::rename(beside, file)
}
