//! The vault's turn in the loop: what a person did becomes events, what the log says becomes files.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use clone_markdown::lines::change;
use clone_markdown::merge::{Conflict, merge};
use clone_schema::internal::{FileText, Internal, Payload};
use clone_schema::{Position, Timestamp};

use super::notes::Told;
use super::versions::Version;
use super::{Derive, DeriveError, SETTLE, TICK, VAULT_QUIET, note_id};
use crate::clock;
use crate::log::Log;
use crate::memory::vault::disk::{Look, VaultError};
use crate::memory::vault::reconcile::{Act, reconcile, set_aside_emptied};
use crate::memory::vault::{Author, Row, hash};

/// How soon the folder is looked at again in which `git` was at work.
const GIT_PAUSE: Duration = Duration::from_millis(500);
/// How long a note may be missing before it is deleted.
const MISSING_PATIENCE: Duration = Duration::from_secs(1);
/// How long a note may be missing whose file lies beside under another name.
const ASIDE_PATIENCE: Duration = Duration::from_secs(10);
/// How long ago a person must have saved a note before theirs and ours are merged in it.
const SAVED_QUIET: Duration = Duration::from_millis(500);
/// How long after we wrote a note an editor may save what it read before, in seconds.
const OUTDATED_SECONDS: i64 = 60;
/// How many earlier texts of ours an edit and a conflict are compared with.
const EARLIER_MAX: usize = 16;
/// How long an emptied file may be an editor in the middle of saving.
const EMPTY_PATIENCE_SECONDS: i64 = 5;

impl Derive {
    /// Clears what a killed daemon left in the vault: any text that the log holds of that note, and nothing else.
    pub(super) fn sweep(&self) {
        let Ok(view) = self.view.read() else { return };
        let known = |bytes: &[u8]| {
            let hashed = hash(bytes);
            let logged = |position: u64| bytes_at(&self.log, position).is_some_and(|logged| logged == bytes);
            let path = note_id(bytes).and_then(|note| view.ledger.path_of(&note).map(str::to_owned));
            let versions = path.as_deref().map_or(&[][..], |path| view.versions.of(path));
            view.ledger.rows().any(|(_, row)| row.knows(&hashed))
                || versions.iter().any(|version| logged(version.position))
        };
        self.disk.sweep(known);
    }

    /// Looks at the vault and tells the log what the person did there.
    ///
    /// Who waits for it (`settle`) wants what is gone told at once; else a missing note may be an editor's in the middle of a
    /// save, for a while.
    pub(super) fn look(&mut self, settle: bool) -> Result<(), DeriveError> {
        if self.disk.is_busy() {
            self.vault_at = Some(Instant::now() + GIT_PAUSE);
            return Ok(());
        }
        let mut look = self.disk.look(note_id);
        let mut saving = self.set_aside_half_saved(&mut look);
        let outcome = match self.view.read() {
            Ok(view) => reconcile(&view.ledger, &look.files, look.root_exists, &look.blocked),
            Err(_) => return Ok(()),
        };
        let mut outcome = outcome;
        saving |= self.set_aside_missing(&mut outcome.acts, &look, settle);
        self.blocked.clone_from(&look.blocked);
        let payloads: Vec<Payload> = outcome.acts.iter().filter_map(|act| self.payload(act, &mut look)).collect();
        if let Ok(mut view) = self.view.write() {
            view.held = outcome.held;
            for (path, hash) in outcome.seen {
                if view.ledger.get(&path).is_some_and(|row| row.seen != hash) {
                    view.ledger.saw(&path, hash);
                    self.changes.files.insert(path);
                }
            }
            view.problems.retain(|key, _| !key.starts_with("vault:"));
            if let Some(problem) = held(view.held.len()) {
                view.problems.insert("vault:".to_owned(), problem);
            }
            for trouble in &look.troubles {
                view.problems
                    .insert(format!("vault:{}", trouble.path), format!("`{}`: {}", trouble.path, trouble.message));
            }
        }
        if !self.changes.files.is_empty() {
            self.persist_at.get_or_insert_with(|| Instant::now() + super::PERSIST_AFTER);
        }
        if self.append(payloads)? {
            self.fold()?;
            // What a person just wrote is found at once; only what is derived from events waits for company.
            self.tell_at = Some(std::time::Instant::now());
        }
        if saving {
            self.vault_at = Some(Instant::now() + SETTLE);
        }
        Ok(())
    }

    /// What somebody said of the notes that are gone all at once; gives back how many that was.
    pub(super) fn decide(&mut self, meant: bool) -> Result<usize, DeriveError> {
        let held = match self.view.write() {
            Ok(mut view) => std::mem::take(&mut view.held),
            Err(_) => return Ok(0),
        };
        let gone: Vec<String> = held.into_iter().filter(|path| self.disk.is_gone(path)).collect();
        if meant {
            let deleted = |path: &String| Payload::VaultDeleted { path: path.clone(), by: "person".to_owned() };
            if self.append(gone.iter().map(deleted).collect())? {
                self.fold()?;
            }
        } else if let Ok(mut view) = self.view.write() {
            for path in &gone {
                view.ledger.saw(path, None);
            }
            self.changes.files.extend(gone.iter().cloned());
        }
        Ok(gone.len())
    }

    /// Deletes a note for the person who asked.
    ///
    /// The file goes first: a crash in between is a deletion that the next look finds, where the other way round it would
    /// be a note that came back.
    pub(super) fn delete(&mut self, path: &str) -> Result<(), String> {
        let told = |error: DeriveError| error.to_string();
        self.vault_at = Some(Instant::now());
        self.pass(true).map_err(told)?;
        let row = self.view.read().ok().and_then(|view| view.ledger.get(path).cloned());
        let Some(row) = row else { return Ok(()) };
        let removed = self.disk.remove(path, |hash| row.knows(hash), clock::now().as_second());
        removed.and_then(|()| self.disk.flush()).map_err(|error| error.to_string())?;
        let deleted = Payload::VaultDeleted { path: path.to_owned(), by: "person".to_owned() };
        self.append(vec![deleted]).and_then(|_| self.fold()).map_err(told)
    }

    /// A file that had text and is empty now may be in the middle of a save: it is taken as unchanged for a while.
    fn set_aside_half_saved(&self, look: &mut Look) -> bool {
        let Ok(view) = self.view.read() else { return false };
        let now = clock::now().as_second();
        let is_young = |path: &str| self.disk.age_seconds(path, now) < EMPTY_PATIENCE_SECONDS;
        set_aside_emptied(&view.ledger, &mut look.files, is_young)
    }

    /// Holds deletions back for a while that may be no more than the middle of a save; says whether it did.
    fn set_aside_missing(&mut self, acts: &mut Vec<Act>, look: &Look, settle: bool) -> bool {
        let known = std::mem::take(&mut self.missing);
        let now = Instant::now();
        acts.retain(|act| {
            let Act::Deleted(path) = act else { return true };
            let since = known.get(path).copied().unwrap_or(now);
            let patience = match look.aside.contains(path) {
                true => ASIDE_PATIENCE,
                false if settle => return true,
                false => MISSING_PATIENCE,
            };
            let is_over = now.duration_since(since) >= patience;
            if !is_over {
                self.missing.insert(path.clone(), since);
            }
            is_over
        });
        !self.missing.is_empty()
    }

    fn payload(&self, act: &Act, look: &mut Look) -> Option<Payload> {
        Some(match act {
            Act::Edited { path, base } => {
                let bytes = look.changed.remove(path).or_else(|| self.disk.read(path).ok())?;
                let base = base.map(|base| self.outdated_base(path, base, &bytes).unwrap_or(base));
                Payload::VaultEdited(FileText { base, ..FileText::new(path, &bytes) })
            }
            Act::Moved { from, to } => Payload::VaultMoved { from: from.clone(), to: to.clone() },
            // Looked at once more, now: a scan that raced with a save must never delete.
            Act::Deleted(path) if !self.disk.is_gone(path) => return None,
            Act::Deleted(path) => Payload::VaultDeleted { path: path.clone(), by: "person".to_owned() },
        })
    }

    /// The earlier text of ours that an edit was made of, where an editor had read the note before we last wrote it.
    ///
    /// Such a save puts back every line that we replaced and has none of those that came. For a while after we wrote, that
    /// is taken for what it is; later, and where we only added lines, it is the person's wish.
    fn outdated_base(&self, path: &str, base: u64, bytes: &[u8]) -> Option<u64> {
        let view = self.view.read().ok()?;
        let versions = view.versions.of(path);
        let wrote = versions.iter().rev().find(|version| version.what.by() == "clone")?;
        if clone_schema::time::seconds_between(wrote.at, clock::now()) > OUTDATED_SECONDS {
            return None;
        }
        let (now, text) = (base_at(&self.log, base)?, std::str::from_utf8(bytes).ok()?);
        let held: BTreeSet<&str> = text.lines().collect();
        let holds = |line: &String| held.contains(line.as_str());
        let earlier = versions.iter().rev().filter_map(|version| version.base).filter(|earlier| *earlier < base);
        let mut earlier: Vec<u64> = earlier.collect();
        earlier.dedup();
        earlier.into_iter().take(EARLIER_MAX).find(|earlier| {
            let Some(then) = base_at(&self.log, *earlier) else { return false };
            let change = change(&then, &now);
            !change.removed.is_empty() && change.removed.iter().all(holds) && !change.added.iter().any(holds)
        })
    }

    /// Tells the log what the vault should hold, where that differs from what it holds; says whether it did.
    pub(super) fn tell(&mut self) -> Result<bool, DeriveError> {
        let (due, told) = match self.view.write() {
            Ok(mut view) => (view.episodes_due.clone(), view.refresh(&self.log)),
            Err(_) => return Ok(false),
        };
        let outcome = self.tell_log(told);
        if outcome.is_err()
            && let Ok(mut view) = self.view.write()
        {
            // What the log did not take is due again.
            view.facts_due = true;
            view.episodes_due.extend(due);
        }
        outcome
    }

    fn tell_log(&mut self, told: Told) -> Result<bool, DeriveError> {
        self.changes.documents += told.documents.len();
        self.index.put(told.documents)?;
        self.index.remove(&told.removed)?;
        let decided = told.decided.into_iter().map(|(gate, choice)| Payload::GateDecided { gate, choice });
        self.append(decided.chain(told.files.into_iter().map(Payload::VaultWritten)).collect())
    }

    /// Keeps what of ours the person's notes left out beside the state, where `status` points to.
    fn keep_conflicts(&mut self) {
        let Ok(view) = self.view.read() else { return };
        let wanted = view.ledger.conflicts().clone();
        drop(view);
        let log = &self.log;
        self.conflicts.keep(wanted, |position| file_at(log, position)?.conflict);
    }

    /// Writes every file that the disk does not hold as the log says; while nobody waits, none that was just saved.
    pub(super) fn materialise(&mut self, settle: bool) {
        self.keep_conflicts();
        let stale: Vec<(String, Row)> = match self.view.read() {
            Ok(view) => {
                let may = |path: &str| !view.held.contains(path) && !self.blocked.holds(path);
                let stale = view.ledger.stale().filter(|(path, _)| may(path));
                stale.map(|(path, row)| (path.to_owned(), row.clone())).collect()
            }
            Err(_) => return,
        };
        // A refused write leaves traces in the folder, which wake this loop: without a pause it would never rest.
        if stale.is_empty() || self.write_at.is_some_and(|at| at > Instant::now()) || self.disk.is_busy() {
            return;
        }
        self.write_at = None;
        if let Err(error) = self.disk.make() {
            self.refused("vault:", &error.to_string());
            return;
        }
        let now = clock::now();
        for (path, row) in stale {
            if !settle && row.author == Author::Person && self.disk.age(&path) < SAVED_QUIET {
                self.vault_at.get_or_insert_with(|| Instant::now() + SAVED_QUIET);
            } else {
                self.write_note(&path, &row, now);
            }
        }
        if let Err(error) = self.disk.flush() {
            self.refused("vault:", &error.to_string());
        }
    }

    fn write_note(&mut self, path: &str, row: &Row, now: Timestamp) {
        let Some(bytes) = bytes_at(&self.log, row.position) else {
            self.trouble(path, "its text cannot be read back from the log");
            return;
        };
        match self.disk.write(path, &bytes, |found| row.may_take(found), now.as_second()) {
            Ok(()) => {
                if let Ok(mut view) = self.view.write() {
                    view.ledger.saw(path, Some(row.hash.clone()));
                }
                self.changes.files.insert(path.to_owned());
                self.persist_at.get_or_insert_with(|| Instant::now() + super::PERSIST_AFTER);
            }
            Err(VaultError::Touched(_)) => {
                self.vault_at.get_or_insert_with(|| Instant::now() + VAULT_QUIET);
            }
            Err(error @ VaultError::Forbidden(_)) => self.trouble(path, &error.to_string()),
            Err(error) => self.refused(path, &error.to_string()),
        }
    }

    fn refused(&mut self, path: &str, message: &str) {
        self.write_at = Some(Instant::now() + TICK);
        self.trouble(path, message);
    }

    fn trouble(&self, path: &str, message: &str) {
        tracing::warn!(path, message, "vault");
        if let Ok(mut view) = self.view.write() {
            view.problems.insert(format!("vault:{path}"), format!("`{path}`: {message}"));
        }
    }
}

/// What `status` says of files that are gone all at once.
fn held(files: usize) -> Option<String> {
    (files > 0).then(|| {
        format!(
            "{files} notes are gone from the vault at once, and nothing was forgotten; `clone memory deletions confirm` \
             if that was meant, `clone memory deletions restore` to put them back"
        )
    })
}

/// What the log must be told where the text that follows from it for a file differs from what it holds.
///
/// A person's file is told only where ours was in it, and changed: then theirs and ours are merged.
#[must_use]
pub fn due((row, versions): (Option<&Row>, &[Version]), path: &str, text: &str, log: &Log) -> Option<FileText> {
    if !is_due(row, text) {
        return None;
    }
    let Some(row) = row.filter(|row| row.author == Author::Person) else {
        return Some(FileText::new(path, text.as_bytes()));
    };
    let base = row.base.as_ref()?;
    let (base, theirs) = (base_at(log, base.position)?, String::from_utf8(bytes_at(log, row.position)?).ok()?);
    let mut merged = merge(&base, text, &theirs);
    if !merged.conflicts.is_empty() {
        merged.conflicts = contested(merged.conflicts, versions, log);
    }
    let conflict = (!merged.conflicts.is_empty()).then(|| told(path, &merged.conflicts));
    let derived = Some(text.to_owned());
    Some(FileText { derived, conflict, ..FileText::new(path, merged.text.as_bytes()) })
}

/// Whether the text that follows from the log for a file is another than the one that the file was made of.
#[must_use]
pub fn is_due(row: Option<&Row>, text: &str) -> bool {
    let Some(row) = row else { return true };
    let derived = hash(text.as_bytes());
    match row.author {
        Author::Daemon => row.hash != derived,
        Author::Person => row.base.as_ref().is_some_and(|base| base.hash != derived),
    }
}

/// The conflicts without those in which the person's lines are earlier ones of ours: an editor that had read an older
/// version of the note has saved it. The lines stay, but nobody disagrees.
fn contested(conflicts: Vec<Conflict>, versions: &[Version], log: &Log) -> Vec<Conflict> {
    let ours = versions.iter().rev().filter(|version| version.what.by() == "clone").take(EARLIER_MAX);
    let earlier: Vec<String> = ours.filter_map(|version| base_at(log, version.position)).collect();
    let is_ours = |lines: &str| {
        let lines = format!("\n{}", lines.replace("\r\n", "\n"));
        !lines.trim().is_empty() && earlier.iter().any(|text| format!("\n{text}").contains(&lines))
    };
    conflicts.into_iter().filter(|conflict| !is_ours(&conflict.theirs)).collect()
}

/// What Clone would have written where the person's lines stand.
fn told(path: &str, conflicts: &[Conflict]) -> String {
    let quoted = |text: &str| text.lines().map(|line| format!("> {line}\n")).collect::<String>();
    let part = |conflict: &Conflict| {
        let ours = if conflict.ours.is_empty() { "> (nothing)\n".to_owned() } else { quoted(&conflict.ours) };
        format!("\nAt line {}, yours:\n\n{}\nClone's:\n\n{ours}", conflict.line, quoted(&conflict.theirs))
    };
    format!("# What Clone would write in `{path}`\n{}", conflicts.iter().map(part).collect::<String>())
}

fn file_at(log: &Log, position: u64) -> Option<FileText> {
    let record = log.read(Position(position)).ok()??;
    match serde_json::from_str::<Internal>(&record.json).ok()?.payload {
        Payload::VaultWritten(file) | Payload::VaultEdited(file) => Some(file),
        _ => None,
    }
}

/// The text of ours at this position, which a person's is merged with: alone, where the event holds a merge.
#[must_use]
pub fn base_at(log: &Log, position: u64) -> Option<String> {
    let file = file_at(log, position)?;
    match file.derived {
        Some(derived) => Some(derived),
        None => String::from_utf8(file.bytes()?).ok(),
    }
}

/// The bytes that the event at this position holds.
#[must_use]
pub fn bytes_at(log: &Log, position: u64) -> Option<Vec<u8>> {
    file_at(log, position)?.bytes()
}

/// The text that the event at this position holds.
#[must_use]
pub fn text_at(log: &Log, position: u64) -> Option<String> {
    bytes_at(log, position).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}
