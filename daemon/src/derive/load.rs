//! What a restart does not fold again: rows of the state back into the view, and a lost index filled anew.

use std::sync::RwLock;

use clone_schema::internal::{Internal, Payload};
use clone_schema::memory::{Episode, Session};
use clone_schema::{Event, Position};
use serde::{Deserialize, Serialize};

use super::DeriveError;
use super::judging::Open;
use super::pairs::Thread;
use super::progress::Progress;
use super::snapshot::Snapshot;
use super::versions::Version;
use super::view::{Changes, KeyRow, Mark, Tally, View};
use crate::index::{Index, Tier};
use crate::log::Log;
use crate::memory::vault::{Author, Row};
use crate::state::{State, StateError, Table};

/// Records read at once while filling a lost index.
const SCAN: usize = 1_000;

/// A session as the state keeps it.
#[derive(Serialize, Deserialize)]
pub struct SessionRow {
    session: Session,
    thread: Thread,
    /// First position of its open stretch.
    open_from: Option<Position>,
}

/// The row of a session.
#[must_use]
pub fn session_row(view: &View, id: &str) -> Option<SessionRow> {
    let session = view.sessions.get(id)?.clone();
    let thread = view.threads.get(id)?.clone();
    Some(SessionRow { session, thread, open_from: view.sessions.open_from(id) })
}

/// Fills the view from the state.
///
/// # Errors
///
/// A row is damaged or cannot be read; the caller sets the state aside and folds anew.
pub fn load(
    view: &mut View,
    state: &State,
    log: &Log,
    snapshot: &mut Snapshot,
    progress: &Progress,
) -> Result<(), DeriveError> {
    view.cursor = Position(state.cursor()?.unwrap_or(0));
    if view.cursor > log.head() {
        return Err(StateError::Ahead(view.cursor.0).into());
    }
    let (learned, from) = snapshot.restore(view.cursor, log);
    view.learned = learned;
    view.learned.take_rows(state, from, view.cursor, progress)?;
    sessions(view, state, log)?;
    state.load(Table::Episodes, |_, episode: Episode| {
        view.hold(episode);
    })?;
    state.load(Table::Keys, |key, row: KeyRow| {
        view.keys.insert(text(key), row);
    })?;
    state.load(Table::Settings, |key, value: String| {
        view.settings.insert(text(key), value);
    })?;
    state.load(Table::Tallies, |key, tally: Tally| {
        view.tallies.insert(text(key), tally);
    })?;
    state.load(Table::Imports, |key, _: bool| {
        view.imports.put(key.try_into().map_or(0, u64::from_be_bytes));
    })?;
    state.load(Table::Versions, |key, versions: Vec<Version>| view.versions.put(text(key), versions))?;
    state.load(Table::Gates, |key, choice: String| {
        view.decisions.insert(text(key), choice);
    })?;
    state.load(Table::Withdrawn, |key, _: bool| {
        view.withdrawn.insert(text(key));
    })?;
    state.load(Table::Predictions, |_, mark: Mark| {
        view.predictions.insert(mark.position, mark);
    })?;
    state.load(Table::Waiting, |key, open: Open| view.judgements.restore(text(key), open))?;
    vault(view, state, log)?;
    view.facts_due = true;
    // An episode folded before a crash may not have its note yet; telling one twice changes nothing.
    let untold = view.episodes.keys().filter(|id| view.ledger.path_of(id).is_none());
    view.episodes_due = untold.cloned().collect();
    Ok(())
}

fn text(key: &[u8]) -> String {
    String::from_utf8_lossy(key).into_owned()
}

fn sessions(view: &mut View, state: &State, log: &Log) -> Result<(), DeriveError> {
    let mut rows = Vec::new();
    state.load(Table::Sessions, |_, row: SessionRow| rows.push(row))?;
    for SessionRow { session, thread, open_from } in rows {
        let id = session.id.clone();
        view.sessions.restore(session);
        if let Some(from) = open_from {
            for event in events(log, &thread, &id, from, view.cursor)? {
                view.sessions.reopen(event.0, &event.1);
            }
        }
        view.threads.insert(id, thread);
    }
    Ok(())
}

/// The events of a session from a position on, oldest first.
///
/// # Errors
///
/// The log cannot be read.
pub fn events(
    log: &Log,
    thread: &Thread,
    id: &str,
    from: Position,
    until: Position,
) -> Result<Vec<(Position, Event)>, DeriveError> {
    let mut found = Vec::new();
    for (first, last) in thread.runs.iter().filter(|(_, last)| *last >= from.0) {
        let first = (*first).max(from.0);
        let last = (*last).min(until.0.saturating_sub(1));
        let count = usize::try_from((last + 1).saturating_sub(first)).unwrap_or(0);
        for record in log.scan(Position(first), count)?.into_iter().filter(|record| record.position.0 <= last) {
            if let Ok(event) = Event::parse(&record.json)
                && event.session_id == id
            {
                found.push((record.position, event));
            }
        }
    }
    Ok(found)
}

fn vault(view: &mut View, state: &State, log: &Log) -> Result<(), DeriveError> {
    let mut rows: Vec<(String, Row)> = Vec::new();
    state.load(Table::Vault, |key, row: Row| rows.push((text(key), row)))?;
    for (path, row) in rows {
        if row.author == Author::Person
            && let Some(record) = log.read(Position(row.position))?
            && let Ok(internal) = serde_json::from_str::<Internal>(&record.json)
            && let Payload::VaultEdited(file) | Payload::VaultWritten(file) = internal.payload
        {
            let first = log.read(Position(row.first))?.map_or(internal.id, |record| record.id);
            view.take_note(&path, &file.bytes().unwrap_or_default(), &first, internal.at);
        }
        view.ledger.put(&path, row);
    }
    Ok(())
}

/// After everything was folded anew, nothing is known of the disk: every missing file comes back.
pub fn forget_disk(view: &mut View, changes: &mut Changes) {
    let paths: Vec<String> = view.ledger.rows().map(|(path, _)| path.to_owned()).collect();
    for path in paths {
        view.ledger.saw(&path, None);
        changes.files.insert(path);
    }
}

/// Takes out of the index what memory does not hold: what was deleted while the daemon was down, or derived just before a
/// crash and not again after it.
///
/// # Errors
///
/// The index cannot be used.
pub fn unindex(view: &RwLock<View>, index: &Index) -> Result<(), DeriveError> {
    let (facts, episodes) = (index.ids(Tier::Fact)?, index.ids(Tier::Episode)?);
    let Ok(view) = view.read() else { return Ok(()) };
    let facts = facts.into_iter().filter(|id| !view.facts.contains_key(id));
    let episodes = episodes.into_iter().filter(|id| !view.episodes.contains_key(id));
    let gone: Vec<String> = facts.chain(episodes).collect();
    Ok(index.remove(&gone)?)
}

/// Fills the index with what it lacks up to the cursor.
///
/// # Errors
///
/// The log or the index cannot be used.
pub fn reindex(view: &RwLock<View>, log: &Log, index: &Index, progress: &Progress) -> Result<(), DeriveError> {
    let Ok(view) = view.read() else { return Ok(()) };
    // Documents of events that the log does not hold: it was put back from an earlier copy.
    if index.cursor().is_some_and(|cursor| cursor > log.head().0) {
        index.clear()?;
    }
    let mut from = Position(index.cursor().unwrap_or(0));
    if from >= view.cursor {
        return Ok(());
    }
    while from < view.cursor {
        progress.at("index", from.0);
        let records = log.scan(from, SCAN)?;
        let Some(last) = records.last() else { break };
        from = last.position.next();
        let known = records.iter().filter(|record| record.position < view.cursor);
        index.put(known.filter_map(super::view::record_document).collect())?;
    }
    let episodes = view.episodes.values().map(super::view::memory_document);
    index.put(episodes.collect())?;
    index.commit(view.cursor.0)?;
    Ok(())
}

/// Fills an empty index with everything up to the cursor.
///
/// # Errors
///
/// The log or the index cannot be used; what is missing then is still missing.
pub fn fill(view: &RwLock<View>, log: &Log, index: &Index) -> Result<(), DeriveError> {
    let (upto, held) = match view.read() {
        Ok(view) => (view.cursor, view.documents()),
        Err(_) => return Ok(()),
    };
    let mut from = Position(0);
    while from < upto {
        let records = log.scan(from, SCAN)?;
        let Some(last) = records.last() else { break };
        from = last.position.next();
        let known = records.iter().filter(|record| record.position < upto);
        index.put(known.filter_map(super::view::record_document).collect())?;
    }
    index.put(held)?;
    Ok(index.commit(upto.0)?)
}
