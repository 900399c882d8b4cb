//! Forgetting: the journal, the log without it, every store that was derived emptied, and all of it derived anew.
//!
//! [`STORES`] lists every place that may hold what a person said, and what becomes of it. Everything derived is thrown away
//! and folded again from the log: the simplest thing that is surely true, at the cost of one fold of the whole log, during
//! which whatever needs more than the log answers 503. A crash anywhere is made good by the next start, before it reads.

use std::path::Path;
use std::sync::Arc;

use clone_schema::api::{ForgetReply, ForgetRequest};
use clone_schema::internal::{Forgotten, Internal, Payload};
use clone_schema::text;

use super::conflicts::Conflicts;
use super::keep::beside;
use super::plan::{self, Plan, may_go};
use super::progress::Progress;
use super::selection::Selection;
use super::snapshot::Snapshot;
use super::view::{Changes, View};
use super::{Derive, DeriveError, entry_of, load};
use crate::clock;
use crate::log::{Doomed, Erasure, Holds, Log, LogError, Of};
use crate::paths::Paths;

/// Tombstones in one event.
const STONES_PER_EVENT: usize = 1_000;
/// What to do where nothing says what to forget.
pub const CRITERIA: &str = "give one or more of id, session_id, app, source, project, from, to, text";
/// Folders inside each other that are looked through for files that go.
const DEPTH_MAX: usize = 12;

/// What becomes of a store when something is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is written again without it.
    Rewritten,
    /// It is thrown away and derived anew.
    Anew,
    /// It never holds what anybody said.
    Bare,
}

/// Every file and folder of a home, by how its name begins, and what becomes of it. A test holds it against a home in use:
/// a new store does not pass unless it is listed here.
pub const STORES: &[(&str, Fate)] = &[
    ("log/", Fate::Rewritten),
    ("vault/", Fate::Rewritten),
    ("state.redb", Fate::Anew),
    ("model.snapshot", Fate::Anew),
    ("model.part", Fate::Anew),
    ("conflicts/", Fate::Anew),
    ("index/", Fate::Anew),
    ("index.broken", Fate::Anew),
    // Where transcripts of the agents lie and how far they were read: their names are not ours to change.
    ("following.json", Fate::Bare),
    ("config.toml", Fate::Bare),
    ("clone.sock", Fate::Bare),
];

/// What became of it.
#[derive(Debug, Default)]
pub struct Forgot {
    /// The answer.
    pub reply: ForgetReply,
    /// What must not be found any more: lines that stood nowhere else.
    pub marks: Vec<String>,
}

/// What somebody wants forgotten.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// By which criteria.
    pub request: ForgetRequest,
    /// Of these, only one item of the source: an event, or a session or a project, of which nothing more is taken then.
    pub item: Option<String>,
    /// How long it may not come again.
    pub holds: Holds,
}

impl From<ForgetRequest> for Wanted {
    fn from(request: ForgetRequest) -> Self {
        Self { request, ..Self::default() }
    }
}

/// Why nothing was forgotten, or not all of it yet.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Whoever asks must change something first: what is wrong, and what to do about it.
    Asked(String, &'static str),
    /// It could not be done; what was begun is gone on with by itself.
    Failed(String),
}

impl From<DeriveError> for Refusal {
    fn from(error: DeriveError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl Derive {
    /// Forgets what is wanted, or says what would go.
    ///
    /// The door is shut before the log is read to its end: what is answered meanwhile would rest on what goes.
    pub(super) fn forget(&mut self, wanted: &Wanted) -> Result<Forgot, Refusal> {
        let nothing = || Refusal::Asked("nothing says what to forget".to_owned(), CRITERIA);
        let selection = Selection::of(&wanted.request).ok_or_else(nothing)?.item(wanted.item.as_deref());
        Ok(self.forget_barred(selection, wanted, "person")?)
    }

    /// Lets come again what was taken out of a source; what was forgotten does not.
    pub(super) fn clear(&mut self, source: &str) -> Result<(), DeriveError> {
        // The journal of what is half taken out of it comes before.
        self.go_on_forgetting()?;
        let cleared = Forgotten { cleared: Some(source.to_owned()), by: "person".to_owned(), ..Forgotten::default() };
        self.append(vec![Payload::EventForgotten(cleared)])?;
        self.fold()
    }

    /// Forgets what is selected while nobody is answered; `by` is `person` or `retention`.
    pub(super) fn forget_barred(
        &mut self,
        selection: Selection,
        wanted: &Wanted,
        by: &str,
    ) -> Result<Forgot, DeriveError> {
        // Its journal would be written over.
        self.go_on_forgetting()?;
        if !wanted.request.dry_run {
            self.bar(true);
        }
        let forgot = self.forget_selected(selection, wanted, by);
        if !self.log.is_erasing() && !self.emptied {
            self.bar(false);
        }
        forgot
    }

    fn forget_selected(&mut self, mut selection: Selection, wanted: &Wanted, by: &str) -> Result<Forgot, DeriveError> {
        let Wanted { request, holds, .. } = wanted;
        self.log.append(Vec::new())?;
        self.vault_at = Some(std::time::Instant::now());
        self.pass(true)?;
        let plan = match self.view.read() {
            Ok(view) => {
                selection.ids = request.id.as_ref().map(|id| {
                    let rests = evidence(&view, id);
                    rests.unwrap_or_else(|| vec![id.clone()]).into_iter().collect()
                });
                plan::plan(&self.log, &view, &selection, request.vault)?
            }
            Err(_) => Plan::default(),
        };
        let mut reply = plan.reply(request.dry_run);
        if request.dry_run || plan.gone.is_empty() {
            if let Holds::UntilEnded(source) = holds
                && !request.dry_run
            {
                self.clear(source)?;
            }
            return Ok(Forgot { reply, marks: Vec::new() });
        }
        self.append(plan.cleaned.iter().cloned().map(Payload::VaultEdited).collect())?;
        self.log.begin_erasure(&plan.erasure(clock::new_id(), clock::now(), self.cursor(), by, holds.clone()))?;
        reply.quarantined = self.go_on_forgetting()?;
        Ok(Forgot { reply, marks: plan.marks })
    }

    /// Shuts or opens what needs more than the log.
    fn bar(&self, shut: bool) {
        if let Ok(mut view) = self.view.write() {
            view.forgetting = shut;
        }
    }

    /// Does what is left to do of an erasure, if there is one; again and again until it is done.
    pub(super) fn go_on_forgetting(&mut self) -> Result<usize, DeriveError> {
        let mut quarantined = 0;
        if let Some(erasure) = self.log.erasure() {
            self.bar(true);
            self.emptied = true;
            bury(&self.log, &erasure)?;
            quarantined = self.log.erase()?;
            self.keeper.begin_empty()?;
            self.index.begin_empty()?;
            forget_files(&self.paths, &self.log, &erasure, true)?;
            self.log.end_erasure()?;
        }
        if self.emptied {
            self.begin_again()?;
        }
        Ok(quarantined)
    }

    /// Folds everything anew into an empty view.
    fn begin_again(&mut self) -> Result<(), DeriveError> {
        self.disk.settle(i64::MAX);
        self.changes = Changes::default();
        self.snapshot = Snapshot::new(&self.paths.model);
        self.conflicts = Conflicts::new(&self.paths.state_dir);
        if let Ok(mut view) = self.view.write() {
            *view = View::new(view.soul_tokens);
            view.forgetting = true;
        }
        self.fold_all(&Progress::default())?;
        if let Ok(mut view) = self.view.write() {
            load::forget_disk(&mut view, &mut self.changes);
        }
        self.vault_at = Some(std::time::Instant::now());
        self.pass(true)?;
        self.persist()?;
        self.index.filled();
        self.emptied = false;
        self.bar(false);
        Ok(())
    }
}

/// The events that a fact or an episode rests on, of a withdrawn one too.
#[must_use]
pub fn evidence(view: &View, id: &str) -> Option<Vec<String>> {
    let fact = view.facts.get(id).map(|fact| &fact.evidence);
    let found = fact.or_else(|| view.episodes.get(id).map(|episode| &episode.evidence));
    if let Some(evidence) = found {
        return Some(evidence.iter().map(|one| one.id.clone()).collect());
    }
    // A fact whose note was deleted is withdrawn, and its evidence is still there.
    let mined = view.learned.miner.facts().into_iter().find(|fact| fact.id == id)?;
    Some(mined.evidence.into_iter().map(|one| one.id).collect())
}

/// Finishes what a run that died had begun, while nothing derived is open; the start then folds everything anew.
///
/// # Errors
///
/// The disk refuses; the next start tries again.
pub fn resume(log: &Log, paths: &Paths) -> Result<(), DeriveError> {
    let Some(erasure) = log.erasure() else { return Ok(()) };
    tracing::info!("going on with forgetting, which the last run did not finish");
    bury(log, &erasure)?;
    log.erase()?;
    forget_files(paths, log, &erasure, false)?;
    Ok(log.end_erasure()?)
}

/// Writes the tombstones into the log: events under ids of the erasure, so that a second time adds none. Of those that end with
/// the erasure the log says nothing but which source that clears.
fn bury(log: &Log, erasure: &Erasure) -> Result<(), DeriveError> {
    let (removed_from, cleared) = match &erasure.holds {
        Holds::Forever => (None, None),
        Holds::UntilCleared(source) => (Some(source), None),
        Holds::UntilEnded(source) => (None, Some(source)),
    };
    let stones = if cleared.is_some() { &[][..] } else { &erasure.stones };
    let parts = stones.len().div_ceil(STONES_PER_EVENT).max(1);
    let entries = (0..parts).map(|part| {
        let from = part * STONES_PER_EVENT;
        let stones = &stones[from..(from + STONES_PER_EVENT).min(stones.len())];
        let first = part == 0;
        let forgotten = Forgotten {
            by: erasure.by.clone(),
            runs: if first { erasure.runs.clone() } else { Vec::new() },
            ids: stones.iter().map(|stone| text::hex(&stone.id)).collect(),
            texts: stones.iter().filter_map(|stone| stone.text.as_ref().map(|one| text::hex(one))).collect(),
            withdrawn: if first { erasure.withdrawn.clone() } else { Vec::new() },
            removed_from: removed_from.cloned(),
            items: if first { erasure.items.iter().map(|item| text::hex(item)).collect() } else { Vec::new() },
            cleared: cleared.cloned(),
        };
        let id = format!("{}.{part}", erasure.id);
        // As of when it was asked for, however late that is resumed.
        entry_of(Internal { id, at: erasure.at, payload: Payload::EventForgotten(forgotten) })
    });
    log.append(entries.collect())?;
    Ok(())
}

/// Removes the derived files, but those that are open and empty now, and what goes of the vault.
fn forget_files(paths: &Paths, log: &Log, erasure: &Erasure, open: bool) -> Result<(), DeriveError> {
    let failed = |error| LogError::Io { what: "clear", file: "a store".to_owned(), source: Arc::new(error) };
    for (name, fate) in STORES {
        let path = paths.state_dir.join(name.trim_end_matches('/'));
        if *fate == Fate::Anew && !(open && (path == paths.state || path == paths.index)) {
            remove(&path).map_err(failed)?;
        }
    }
    for path in beside(&paths.state) {
        remove(&path).map_err(failed)?;
    }
    Ok(forget_below(&paths.vault, &paths.vault, log, &erasure.files, 0).map_err(failed)?)
}

/// Removes a file or a folder, if it is there.
fn remove(path: &Path) -> std::io::Result<()> {
    let outcome = match std::fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(error) => Err(error),
    };
    outcome.or_else(|error| if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

/// Removes the files below a folder that go; one that holds anything else than it should is somebody's, and stays.
fn forget_below(root: &Path, dir: &Path, log: &Log, doomed: &[Doomed], depth: usize) -> std::io::Result<()> {
    if doomed.is_empty() || depth > DEPTH_MAX {
        return Ok(());
    }
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let (path, kind) = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)))?;
        if kind.is_dir() {
            forget_below(root, &path, log, doomed, depth + 1)?;
        } else if kind.is_file() {
            let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            let name = log.keyed(Of::Path, name.as_bytes());
            let found = doomed.iter().find(|one| one.path == name);
            if let Some(found) = found
                && may_go(log, found, &std::fs::read(&path)?)
            {
                std::fs::remove_file(&path)?;
            }
        }
    }
    std::fs::File::open(dir)?.sync_all()
}
