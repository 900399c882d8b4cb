//! The vault's turn in the loop: what a person did becomes events, what the log says becomes files.

use std::time::Instant;

use clone_schema::internal::{FileText, Internal, Payload};
use clone_schema::{Position, Timestamp};

use super::notes::Told;
use super::{Derive, DeriveError, SETTLE, TICK, VAULT_QUIET, note_id};
use crate::clock;
use crate::log::Log;
use crate::memory::vault::disk::{Look, VaultError};
use crate::memory::vault::reconcile::{Act, reconcile};
use crate::memory::vault::{Author, Row};

/// How long an emptied file may be an editor in the middle of saving.
const EMPTY_PATIENCE_SECONDS: i64 = 5;

impl Derive {
    /// Clears what a killed daemon left in the vault.
    pub(super) fn sweep(&self) {
        if let Ok(view) = self.view.read() {
            self.disk.sweep(|hash| view.ledger.rows().any(|(_, row)| row.ours.iter().any(|ours| ours == hash)));
        }
    }

    /// Looks at the vault and tells the log what the person did there.
    pub(super) fn look(&mut self) -> Result<(), DeriveError> {
        let mut look = self.disk.look(note_id);
        let saving = self.set_aside_half_saved(&mut look);
        let outcome = match self.view.read() {
            Ok(view) => reconcile(&view.ledger, &look.files, look.root_exists, &look.blocked),
            Err(_) => return Ok(()),
        };
        self.files_held = outcome.held;
        self.blocked.clone_from(&look.blocked);
        let payloads: Vec<Payload> = outcome.acts.iter().filter_map(|act| self.payload(act, &mut look)).collect();
        if let Ok(mut view) = self.view.write() {
            for (path, hash) in outcome.seen {
                if view.ledger.get(&path).is_some_and(|row| row.seen != hash) {
                    view.ledger.saw(&path, hash);
                    self.changes.files.insert(path);
                }
            }
            view.problems.retain(|key, _| !key.starts_with("vault:"));
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

    /// A file that had text and is empty now may be in the middle of a save: it is taken as unchanged for a while.
    fn set_aside_half_saved(&self, look: &mut Look) -> bool {
        let Ok(view) = self.view.read() else { return false };
        let emptied: Vec<String> =
            look.changed.iter().filter(|(_, bytes)| bytes.is_empty()).map(|(p, _)| p.clone()).collect();
        let mut saving = false;
        for path in emptied {
            let Some(row) = view.ledger.get(&path) else { continue };
            if self.disk.age_seconds(&path, clock::now().as_second()) < EMPTY_PATIENCE_SECONDS
                && let Some(found) = look.files.get_mut(&path)
            {
                found.hash.clone_from(&row.hash);
                saving = true;
            }
        }
        saving
    }

    fn payload(&self, act: &Act, look: &mut Look) -> Option<Payload> {
        Some(match act {
            Act::Edited(path) => {
                let bytes = look.changed.remove(path).or_else(|| self.disk.read(path).ok())?;
                Payload::VaultEdited(FileText::new(path, &bytes))
            }
            Act::Moved { from, to } => Payload::VaultMoved { from: from.clone(), to: to.clone() },
            // Looked at once more, now: a scan that raced with a save must never delete.
            Act::Deleted(path) if !self.disk.is_gone(path) => return None,
            Act::Deleted(path) => Payload::VaultDeleted { path: path.clone(), by: "person".to_owned() },
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
        let written =
            told.files.into_iter().map(|(path, text)| Payload::VaultWritten(FileText::new(&path, text.as_bytes())));
        self.append(written.collect())
    }

    /// Writes every file that the disk does not hold as the log says.
    pub(super) fn materialise(&mut self) {
        let stale = match self.view.read() {
            Ok(view) => view.ledger.stale(),
            Err(_) => return,
        };
        let stale: Vec<(String, Row)> = stale.into_iter().filter(|(path, _)| !self.blocked.holds(path)).collect();
        // A refused write leaves traces in the folder, which wake this loop: without a pause it would never rest.
        if stale.is_empty() || self.write_at.is_some_and(|at| at > Instant::now()) {
            return;
        }
        self.write_at = None;
        if let Err(error) = self.disk.make() {
            self.refused("vault:", &error.to_string());
            return;
        }
        let now = clock::now();
        for (path, row) in stale {
            self.write_note(&path, &row, now);
        }
    }

    fn write_note(&mut self, path: &str, row: &Row, now: Timestamp) {
        let Some(bytes) = bytes_at(&self.log, row.position) else {
            self.trouble(path, "its text cannot be read back from the log");
            return;
        };
        // A person's file comes back only where nothing is.
        let ours = if row.author == Author::Daemon { row.ours.as_slice() } else { &[] };
        match self.disk.write(path, &bytes, ours, now.as_second()) {
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

/// The bytes that the event at this position holds.
#[must_use]
pub fn bytes_at(log: &Log, position: u64) -> Option<Vec<u8>> {
    let record = log.read(Position(position)).ok()??;
    match serde_json::from_str::<Internal>(&record.json).ok()?.payload {
        Payload::VaultWritten(file) | Payload::VaultEdited(file) => file.bytes(),
        _ => None,
    }
}

/// The text that the event at this position holds.
#[must_use]
pub fn text_at(log: &Log, position: u64) -> Option<String> {
    bytes_at(log, position).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}
