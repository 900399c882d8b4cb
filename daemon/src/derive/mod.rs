//! From the log to everything derived, in one order: fold events, write files, then the index, then the cursor.
//!
//! One thread, one loop, one closed list of reasons to wake. A crash between any two steps repeats work and changes
//! nothing: every step is a function of the log, and what the vault should hold is itself in the log (`vault.written`)
//! before it is on the disk.
//!
//! What the [lessons] taught is kept beside the state as a [snapshot], so that a start need not teach all of it again.

pub mod conflicts;
pub mod forget;
pub mod history;
mod holders;
pub mod imports;
pub mod judging;
pub mod keep;
pub mod lessons;
pub mod load;
pub mod notes;
pub mod pairs;
pub mod plan;
pub mod progress;
mod retain;
pub mod retention;
mod review;
pub mod selection;
pub mod snapshot;
pub mod vault;
pub mod versions;
pub mod view;
mod wish;

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use clone_schema::Position;
use clone_schema::internal::{Internal, Payload};
use clone_schema::memory::SoulTokens;

use crate::clock;
use crate::config::Keep;
use crate::index::{Index, IndexError};
use crate::log::{Entry, Log, LogError};
use crate::memory::vault::disk::{Blocked, Disk};
use crate::paths::Paths;
use crate::state::{Batch, Mend, State, StateError};
use conflicts::Conflicts;
use forget::{Forgot, Refusal, Wanted};
use keep::{Keeper, Kept};
use progress::Progress;
use retain::Retention;
use snapshot::Snapshot;
use view::{Changes, View};
use wish::Wish;

/// Events folded under one write lock, so that readers wait no longer than this takes.
const FOLD_EVENTS: usize = 16;
/// How long an appended event waits for company before it is folded, unless somebody waits for it.
const FOLD_AFTER: Duration = Duration::from_millis(10);
/// How far this loop stands back where those who answer want the same core.
const NICENESS: i32 = 10;
/// How long derived rows may wait for company before they are written.
const PERSIST_AFTER: Duration = Duration::from_millis(1000);
/// How long changed facts and episodes wait for company before their notes are written.
const TELL_AFTER: Duration = Duration::from_millis(300);
/// Documents that are written at once, whatever the time.
const PERSIST_DOCUMENTS: usize = 5_000;
/// Quiet time after a change in the vault before it is looked at: editors save in several steps.
const VAULT_QUIET: Duration = Duration::from_millis(100);
/// The longest that changes in the vault wait for quiet.
const VAULT_PATIENCE: Duration = Duration::from_secs(1);
/// How often idle sessions and displaced files are looked at.
const TICK: Duration = Duration::from_secs(30);
/// How soon a step that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How soon a displaced or half-written file is looked at again.
const SETTLE: Duration = Duration::from_secs(2);

/// Where the answer to a wish to forget goes.
pub type Told = SyncSender<Result<Forgot, Refusal>>;

/// How often an index is mended in one turn: what wrote over its files may still be at it when the first mend is done.
const MENDS_MAX: u32 = 5;
/// What `status` says meanwhile.
const BUILDING_INDEX: &str = "the search index was damaged and is built again from the log; nothing is lost, searches \
    answer again when it is done; wait";

/// Why the loop wakes.
#[derive(Debug)]
pub enum Wake {
    /// The log grew.
    Appended,
    /// Something moved in the vault.
    VaultChanged,
    /// Somebody waits until everything so far is derived and written; answered when it is.
    Settle(SyncSender<Result<Position, String>>),
    /// Somebody said whether notes that are gone all at once were meant to be; answered with how many that was.
    Deletions(bool, SyncSender<Result<usize, String>>),
    /// Somebody wants the rules of retention looked at, and may say that the clock is right; answered when that is done.
    Retain(bool, Told),
    /// Somebody wants a note deleted; answered when it is gone from the folder and from memory.
    Delete(String, SyncSender<Result<(), String>>),
    /// Somebody wants something forgotten; answered when it is.
    Forget(Box<Wanted>, Told),
    /// Somebody wants what was taken out of a source to come again; answered when it may.
    Clear(String, SyncSender<Result<(), String>>),
    /// Write what is pending and end.
    Shutdown,
}

/// Why deriving failed; the loop says so in `status` and tries again.
#[derive(Debug, thiserror::Error)]
pub enum DeriveError {
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The index.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The state.
    #[error(transparent)]
    State(#[from] StateError),
}

impl DeriveError {
    /// Whether the system refused a write, which says nothing about what is derived.
    fn is_refusal(&self) -> bool {
        match self {
            Self::Log(error) => error.is_full() || matches!(error, LogError::Io { .. }),
            Self::Index(error) => error.is_refusal(),
            Self::State(error) => error.mend() == Mend::Repeat,
        }
    }
}

/// What the loop owns.
pub struct Derive {
    log: Log,
    keeper: Keeper,
    snapshot: Snapshot,
    index: Arc<Index>,
    view: Arc<RwLock<View>>,
    disk: Disk,
    conflicts: Conflicts,
    changes: Changes,
    fold_at: Option<Instant>,
    persist_at: Option<Instant>,
    tell_at: Option<Instant>,
    vault_at: Option<Instant>,
    vault_first: Option<Instant>,
    tick_at: Instant,
    /// Notes that are missing, and since when: an editor may be in the middle of a save.
    missing: BTreeMap<String, Instant>,
    /// What the last look could not read; nothing is written there and nothing there is deleted.
    blocked: Blocked,
    paths: Paths,
    /// What is to go next.
    wishes: Vec<Wish>,
    /// Everything derived was thrown away and is not folded anew yet.
    emptied: bool,
    /// When files may be written again, after the system refused one.
    write_at: Option<Instant>,
    /// What the rules of retention keep, and when they are looked at again.
    retention: Retention,
}

impl Derive {
    /// Loads what a restart kept and folds in what the log has beyond it.
    ///
    /// # Errors
    ///
    /// The log, the state or the index cannot be used.
    pub fn open(
        log: Log,
        state: (State, bool),
        index: Arc<Index>,
        paths: &Paths,
        progress: &Progress,
        soul_tokens: SoulTokens,
    ) -> Result<Self, DeriveError> {
        let (state, fresh) = state;
        let (mut view, mut snapshot) = (View::new(soul_tokens), Snapshot::new(&paths.model));
        load::load(&mut view, &state, &log, &mut snapshot, progress)?;
        let mut derive = Self {
            keeper: Keeper::new(state, log.clone()),
            log,
            snapshot,
            index,
            view: Arc::new(RwLock::new(view)),
            disk: Disk::new(&paths.vault),
            conflicts: Conflicts::new(&paths.state_dir),
            changes: Changes::default(),
            fold_at: None,
            persist_at: None,
            tell_at: None,
            vault_at: Some(Instant::now()),
            vault_first: None,
            tick_at: Instant::now() + TICK,
            missing: BTreeMap::new(),
            blocked: Blocked::default(),
            paths: paths.clone(),
            wishes: Vec::new(),
            emptied: false,
            write_at: None,
            retention: Retention::default(),
        };
        load::reindex(&derive.view, &derive.log, &derive.index, progress)?;
        match derive.fold_all(progress) {
            // The loop folds the rest once there is room, and does nothing else before.
            Err(error) if error.is_refusal() && !fresh => {
                derive.report_and_retry(&Err(error));
                return Ok(derive);
            }
            folded => folded?,
        }
        if fresh {
            if let Ok(mut view) = derive.view.write() {
                load::forget_disk(&mut view, &mut derive.changes);
            }
            // Every tombstone of the log was buried on the way.
            if let Err(error) = derive.log.found() {
                tracing::warn!(%error, "the tombstones cannot be written; the next start folds the log anew");
            }
        }
        derive.sweep();
        let caught_up = match derive.catch_up() {
            // Wrong bytes that come under a start are mended like those under a running loop.
            Err(DeriveError::Index(_)) if derive.index.is_suspect() => {
                derive.mend_index()?;
                derive.catch_up()
            }
            done => done,
        };
        match caught_up {
            Err(error) if !error.is_refusal() => Err(error),
            // Reads go on while nothing can be written, from the first moment on.
            outcome => {
                derive.report_and_retry(&outcome);
                Ok(derive)
            }
        }
    }

    /// The first step: everything as it should be; the loop writes it down at once, which readers need not wait for.
    fn catch_up(&mut self) -> Result<(), DeriveError> {
        self.pass(true)?;
        load::unindex(&self.view, &self.index)?;
        self.persist_at = Some(Instant::now());
        Ok(())
    }

    /// Tries again in a moment, and says why in `status`.
    fn report_and_retry(&mut self, outcome: &Result<(), DeriveError>) {
        if outcome.is_err() {
            self.vault_at = Some(Instant::now() + RETRY);
            self.persist_at = Some(Instant::now() + RETRY);
            self.fold_at = Some(Instant::now() + RETRY);
        }
        self.report(outcome);
    }

    /// The same, keeping no more than these rules say.
    #[must_use]
    pub fn keeping(self, rules: BTreeMap<String, Keep>) -> Self {
        Self { retention: Retention::of(rules), ..self }
    }

    /// What is derived, for readers.
    #[must_use]
    pub fn view(&self) -> Arc<RwLock<View>> {
        self.view.clone()
    }

    /// Runs until it is told to end, or everyone who could wake it is gone.
    pub fn run(mut self, wakes: &Receiver<Wake>) {
        stand_back();
        loop {
            let first = match wakes.recv_timeout(self.patience()) {
                Ok(wake) => Some(wake),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => Some(Wake::Shutdown),
            };
            if self.turn(first.into_iter().chain(wakes.try_iter())) {
                self.keep_learned(Snapshot::is_stale);
                return;
            }
        }
    }

    /// Takes what woke it, does what is due, and answers whoever waits; says whether it is to end.
    fn turn(&mut self, wakes: impl Iterator<Item = Wake>) -> bool {
        let (mut waiting, mut shutdown) = (Vec::new(), false);
        for wake in wakes {
            shutdown |= self.note(wake, &mut waiting);
        }
        let outcome = self.step(!waiting.is_empty() || shutdown);
        self.report_and_retry(&outcome);
        for settled in waiting {
            let answer = outcome.as_ref().map(|()| self.cursor()).map_err(ToString::to_string);
            let _gone = settled.send(answer);
        }
        self.grant(&outcome);
        shutdown
    }

    fn note(&mut self, wake: Wake, waiting: &mut Vec<SyncSender<Result<Position, String>>>) -> bool {
        // Whatever woke it: a full channel has no room for the word that the log grew.
        self.fold_at.get_or_insert_with(|| Instant::now() + FOLD_AFTER);
        match wake {
            Wake::Appended => {}
            Wake::VaultChanged => self.vault_changed(Instant::now()),
            Wake::Settle(settled) => {
                self.vault_at = Some(Instant::now());
                self.write_at = None;
                waiting.push(settled);
            }
            Wake::Deletions(meant, decided) => self.wishes.push(Wish::Decide(meant, decided)),
            Wake::Delete(path, deleted) => self.wishes.push(Wish::Delete(path, deleted)),
            Wake::Retain(trust_clock, told) => self.wishes.push(Wish::Retain(trust_clock, told)),
            Wake::Forget(wanted, told) => self.wishes.push(Wish::Forget(wanted, told)),
            Wake::Clear(source, told) => self.wishes.push(Wish::Clear(source, told)),
            Wake::Shutdown => return true,
        }
        false
    }

    /// The vault is looked at once it is quiet, and within [`VAULT_PATIENCE`] of the first change even when it is not.
    ///
    /// A look that is due already stays due: somebody may be waiting for it.
    fn vault_changed(&mut self, now: Instant) {
        if self.vault_at.is_some_and(|at| at <= now) {
            return;
        }
        let first = *self.vault_first.get_or_insert(now);
        self.vault_at = Some((now + VAULT_QUIET).min(first + VAULT_PATIENCE));
    }

    /// How long the loop may sleep before something is due.
    fn patience(&self) -> Duration {
        let due = [self.fold_at, self.persist_at, self.tell_at, self.vault_at, Some(self.tick_at)];
        let next = due.into_iter().flatten().min().unwrap_or(self.tick_at);
        // Somebody searches and gets no answer.
        let next = if self.index.is_suspect() { next.min(Instant::now() + RETRY) } else { next };
        next.saturating_duration_since(Instant::now())
    }

    /// One turn of the loop; an index that turns out damaged is built again first, as often as [`MENDS_MAX`].
    fn step(&mut self, settle: bool) -> Result<(), DeriveError> {
        let mut mends = 0;
        loop {
            match self.mend_index().and_then(|()| self.try_step(settle)) {
                Err(DeriveError::Index(_)) if self.index.is_suspect() && mends < MENDS_MAX => mends += 1,
                done => return done,
            }
        }
    }

    fn try_step(&mut self, settle: bool) -> Result<(), DeriveError> {
        let now = Instant::now();
        self.go_on_forgetting()?;
        self.pass(settle)?;
        if now >= self.tick_at {
            self.tick_at = now + TICK;
            self.close_idle(None)?;
            // A watch may be missing, or have died with a folder that was made again.
            self.vault_at = Some(now);
            self.retain_daily()?;
        }
        let due = self.persist_at.is_some_and(|at| at <= Instant::now());
        if settle || due || self.changes.documents >= PERSIST_DOCUMENTS {
            self.persist()?;
        }
        Ok(())
    }

    /// Folds, looks at the vault, tells the log what the vault should hold, and writes the files.
    ///
    /// Telling waits a moment for company unless somebody waits for it: an import would otherwise write a note anew with
    /// every batch.
    fn pass(&mut self, settle: bool) -> Result<(), DeriveError> {
        if settle || self.fold_at.is_some_and(|at| at <= Instant::now()) {
            self.fold_at = None;
            self.fold()?;
        }
        if self.vault_at.is_some_and(|at| at <= Instant::now()) {
            (self.vault_at, self.vault_first) = (None, None);
            self.look(settle)?;
        }
        if let Some(mark) = self.changes.import_ended.take() {
            self.close_idle(Some(mark)).inspect_err(|_| self.changes.import_ended = Some(mark))?;
        }
        if settle || self.tell_at.is_some_and(|at| at <= Instant::now()) {
            // Telling changes the log, which is folded in turn; a second round finds nothing to tell.
            while self.tell()? {
                self.fold()?;
            }
            self.tell_at = None;
        }
        self.materialise(settle);
        if self.disk.settle(clock::now().as_second()) > 0 {
            self.vault_at = Some(Instant::now());
        }
        if self.disk.is_unsettled() {
            self.vault_at.get_or_insert_with(|| Instant::now() + SETTLE);
        }
        Ok(())
    }

    /// Folds everything that the log has beyond the cursor now; what comes meanwhile wakes the loop again.
    fn fold(&mut self) -> Result<(), DeriveError> {
        self.fold_all(&Progress::default())
    }

    fn fold_all(&mut self, progress: &Progress) -> Result<(), DeriveError> {
        let head = self.log.head();
        while self.cursor() < head {
            let records = self.log.scan(self.cursor(), FOLD_EVENTS)?;
            if records.is_empty() {
                return Ok(());
            }
            progress.at("events", self.cursor().0);
            let mut documents = Vec::new();
            if let Ok(mut view) = self.view.write() {
                for record in &records {
                    view.fold(record, &self.log, &mut self.changes, &mut documents);
                }
            }
            self.changes.documents += documents.len();
            self.index.put(documents)?;
            let removed = std::mem::take(&mut self.changes.removed);
            self.index.remove(&removed)?;
            self.persist_at.get_or_insert_with(|| Instant::now() + PERSIST_AFTER);
            self.tell_at.get_or_insert_with(|| Instant::now() + TELL_AFTER);
            // A long backlog is kept as it is worked off, so that a crash repeats little and memory stays flat.
            if self.changes.documents >= PERSIST_DOCUMENTS {
                self.persist()?;
            }
        }
        Ok(())
    }

    /// Closes sessions that stopped or went idle; those that came before the end of an import, by the time of their events
    /// alone.
    fn close_idle(&mut self, imported: Option<Position>) -> Result<(), DeriveError> {
        let closings = match self.view.read() {
            Ok(view) => view.closings(clock::now(), imported),
            Err(_) => return Ok(()),
        };
        let closed = closings.into_iter().map(|closing| Payload::SessionClosed {
            session_id: closing.session_id,
            upto: closing.upto.0,
            reason: closing.reason.to_owned(),
        });
        if self.append(closed.collect())? {
            self.fold()?;
        }
        Ok(())
    }

    /// Appends internal events; says whether there were any.
    fn append(&self, payloads: Vec<Payload>) -> Result<bool, DeriveError> {
        if payloads.is_empty() {
            return Ok(false);
        }
        let entries = payloads.into_iter().map(entry).collect();
        self.log.append(entries)?;
        Ok(true)
    }

    /// Files, then the index, then the cursor: the order that a crash may cut anywhere.
    fn persist(&mut self) -> Result<(), DeriveError> {
        if self.keeper.returned()? {
            self.doubt_files();
        }
        let mut batch = std::mem::take(&mut self.changes.rows);
        let folded = batch.len();
        if let Ok(view) = self.view.read() {
            view.rows(&self.changes, &mut batch);
        }
        let outcome = self.write(&batch, self.cursor());
        if !matches!(outcome, Ok(Kept::Written)) {
            // The cursor moves past these rows with the next commit: they must be in it.
            batch.truncate(folded);
            self.changes.rows = batch;
        }
        self.persist_at = None;
        match outcome? {
            Kept::Written => {
                self.changes.clear();
                self.keep_learned(Snapshot::is_due);
            }
            Kept::Later => {
                self.changes.documents = 0;
                self.persist_at = Some(Instant::now() + PERSIST_AFTER);
            }
        }
        Ok(())
    }

    /// Writes what was learned to its own file where that is wanted; without it a restart is slow, and nothing else.
    ///
    /// Readers go on meanwhile: nobody but this loop ever waits to change the view.
    fn keep_learned(&mut self, wanted: impl Fn(&Snapshot, &lessons::Learned) -> bool) {
        // Rows that the state does not hold yet must not be in it.
        if self.persist_at.is_some() {
            return;
        }
        let Ok(view) = self.view.read() else { return };
        if wanted(&self.snapshot, &view.learned)
            && let Err(error) = self.snapshot.write(&view.learned, view.cursor, &self.log)
        {
            tracing::warn!(%error, "the next start is a slow one");
        }
    }

    /// Looks at an index that failed as over wrong bytes, and builds it again where they are wrong.
    fn mend_index(&mut self) -> Result<(), DeriveError> {
        if !self.index.is_suspect() || self.index.is_sound()? {
            return Ok(());
        }
        if let Ok(mut view) = self.view.write() {
            view.problems.insert("index".to_owned(), BUILDING_INDEX.to_owned());
        }
        self.index.begin_anew()?;
        load::fill(&self.view, &self.log, &self.index)?;
        self.index.filled();
        Ok(())
    }

    fn write(&mut self, batch: &Batch, cursor: Position) -> Result<Kept, DeriveError> {
        self.index.commit(cursor.0)?;
        Ok(self.keeper.commit(batch, cursor)?)
    }

    /// Rows that were folded anew know nothing of the disk: those of the view do.
    fn doubt_files(&mut self) {
        if let Ok(view) = self.view.read() {
            self.changes.files.extend(view.ledger.rows().map(|(path, _)| path.to_owned()));
        }
    }

    fn cursor(&self) -> Position {
        self.view.read().map_or(Position(0), |view| view.cursor)
    }

    fn report(&self, outcome: &Result<(), DeriveError>) {
        let Ok(mut view) = self.view.write() else { return };
        match self.keeper.why() {
            Some(why) => drop(view.problems.insert("state".to_owned(), folding_anew(why))),
            None => drop(view.problems.remove("state")),
        }
        if !self.index.is_suspect() {
            view.problems.remove("index");
        }
        let before = match outcome {
            // Until everything is written it is not known whether it can be.
            Ok(()) if self.persist_at.is_some() => return,
            Ok(()) => view.problems.remove("derive"),
            // The log says so itself.
            Err(DeriveError::Log(error)) if error.is_full() => view.problems.remove("derive"),
            Err(error) => view.problems.insert("derive".to_owned(), error.to_string()),
        };
        if let Some(now) = view.problems.get("derive").filter(|now| before.as_ref() != Some(now)) {
            tracing::error!(error = now, "deriving failed; it is tried again");
        }
    }
}

fn folding_anew(why: &str) -> String {
    format!("what a restart needs is folded anew from the log: {why}; nothing is lost and reads go on; wait")
}

/// Lets those who answer go first: what is derived may lag, an answer should not.
fn stand_back() {
    // Elsewhere it would be the whole process that stands back.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::debug!(%error, "the derive loop runs at the priority of everybody else");
    }
}

/// An internal event as the log takes it.
#[must_use]
pub fn entry(payload: Payload) -> Entry {
    entry_with_id(clock::new_id(), payload)
}

/// An internal event under an id that is already known outside.
#[must_use]
pub fn entry_with_id(id: String, payload: Payload) -> Entry {
    entry_of(Internal { id, at: clock::now(), payload })
}

/// A whole internal event, likewise.
fn entry_of(event: Internal) -> Entry {
    Entry { id: event.id.clone(), topic: event.topic(), occurred_at: event.at, json: event.to_json() }
}

/// Words that a look at the vault needs and only memory knows: the id inside a note.
fn note_id(bytes: &[u8]) -> Option<String> {
    notes::note_id(std::str::from_utf8(bytes).ok()?)
}

impl Changes {
    fn clear(&mut self) {
        *self = Self { import_ended: self.import_ended, rows: Batch::default(), ..Self::default() };
    }
}
