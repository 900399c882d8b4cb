//! The state beside the loop: kept open, opened again after a refusal, and folded anew from the log when its data are
//! wrong.
//!
//! The loop never waits for it. While rows are folded anew on a thread of their own, reads are answered from the view and
//! the log as ever, and what changes meanwhile waits for the first commit after. The new rows are written to a file
//! beside and renamed when they are complete: a daemon that ends before finds no state and folds at its start.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use clone_schema::Position;

use super::DeriveError;
use super::view::{Changes, View};
use crate::log::Log;
use crate::state::{self, Batch, Mend, State, StateError};

/// Records folded at once while rows are made anew.
const SCAN: usize = 1_000;
/// Rows that are written at once.
const ROWS: usize = 20_000;

/// What may lie beside the state: what was set aside, and what is being folded anew.
#[must_use]
pub fn beside(state: &Path) -> [PathBuf; 2] {
    ["redb.broken", "redb.new"].map(|extension| state.with_extension(extension))
}

/// What became of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is on the disk.
    Written,
    /// The rows are being folded anew: keep these, and bring them again.
    Later,
}

enum Store {
    Open(State),
    /// A commit was refused; the next one opens it again.
    Shut,
    Anew(JoinHandle<Result<(), DeriveError>>),
}

/// The state of a running daemon.
pub struct Keeper {
    path: PathBuf,
    log: Log,
    store: Store,
    /// Why rows are folded anew, while they are.
    why: Option<String>,
}

impl Keeper {
    /// Keeps an open state.
    #[must_use]
    pub fn new(state: State, log: Log) -> Self {
        Self { path: state.path().to_owned(), log, store: Store::Open(state), why: None }
    }

    /// Why rows are folded anew; none while all is well.
    #[must_use]
    pub fn why(&self) -> Option<&str> {
        self.why.as_deref()
    }

    /// Throws the rows away with their file and begins an empty one: what is deleted in it would stay on its pages.
    ///
    /// # Errors
    ///
    /// The system refuses; do it again.
    pub fn begin_empty(&mut self) -> Result<(), StateError> {
        if let Store::Anew(running) = std::mem::replace(&mut self.store, Store::Shut) {
            let _folded = running.join();
        }
        self.why = None;
        for path in [self.path.clone()].into_iter().chain(beside(&self.path)) {
            match std::fs::remove_file(&path) {
                Err(source) if source.kind() != ErrorKind::NotFound => return Err(StateError::Io { path, source }),
                _ => {}
            }
        }
        self.store = Store::Open(State::open(&self.path)?.0);
        Ok(())
    }

    /// Whether rows that were folded anew are complete now; says so once, and the next commit goes on top of them.
    ///
    /// # Errors
    ///
    /// They could not be made; the next commit begins again.
    pub fn returned(&mut self) -> Result<bool, DeriveError> {
        let Store::Anew(running) = &self.store else { return Ok(false) };
        if !running.is_finished() {
            return Ok(false);
        }
        if let Store::Anew(ended) = std::mem::replace(&mut self.store, Store::Shut) {
            ended.join().unwrap_or_else(|_| Err(StateError::Panicked("while folding anew".to_owned()).into()))?;
        }
        self.why = None;
        tracing::info!("the state is folded anew");
        Ok(true)
    }

    /// Writes rows, everything up to `cursor` being folded in.
    ///
    /// # Errors
    ///
    /// The system refuses; bring the rows again.
    pub fn commit(&mut self, batch: &Batch, cursor: Position) -> Result<Kept, StateError> {
        match self.try_commit(batch, cursor) {
            Err(error) if error.mend() == Mend::Rebuild => {
                self.begin(&error, cursor)?;
                Ok(Kept::Later)
            }
            outcome => outcome,
        }
    }

    fn try_commit(&mut self, batch: &Batch, cursor: Position) -> Result<Kept, StateError> {
        let state = match std::mem::replace(&mut self.store, Store::Shut) {
            Store::Open(state) => state,
            Store::Shut => match State::open(&self.path)? {
                (state, false) => state,
                // Another than was open before.
                (_, true) => return Err(StateError::Gone),
            },
            running @ Store::Anew(_) => {
                self.store = running;
                return Ok(Kept::Later);
            }
        };
        if !batch.is_empty() || state.cursor()? != Some(cursor.0) {
            // A store that failed once refuses for ever: it is dropped here.
            state.commit(batch, cursor.0)?;
        }
        self.store = Store::Open(state);
        Ok(Kept::Written)
    }

    fn begin(&mut self, error: &StateError, upto: Position) -> Result<(), StateError> {
        self.why = Some(error.to_string());
        if self.path.exists() {
            state::set_aside(&self.path, error)?;
        }
        let (path, log) = (self.path.clone(), self.log.clone());
        let run = move || fold_anew(&path, &log, upto);
        let thread = std::thread::Builder::new().name("fold-anew".to_owned()).spawn(run);
        self.store = Store::Anew(thread.map_err(|source| StateError::Io { path: self.path.clone(), source })?);
        Ok(())
    }
}

/// Folds the log up to a position into a new file, which takes the place of the old one once it is complete.
fn fold_anew(path: &Path, log: &Log, upto: Position) -> Result<(), DeriveError> {
    let io = |source| StateError::Io { path: path.to_owned(), source };
    let draft = path.with_extension("redb.new");
    match std::fs::remove_file(&draft) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(io(error).into()),
        _ => {}
    }
    let (state, _) = State::open(&draft)?;
    let (mut view, mut changes) = (View::default(), Changes::default());
    while view.cursor < upto {
        let records = log.scan(view.cursor, SCAN)?;
        for record in records.iter().take_while(|record| record.position < upto) {
            view.fold(record, log, &mut changes, &mut Vec::new());
        }
        let over = records.last().is_none_or(|last| last.position.next() >= upto);
        if over {
            view.cursor = upto;
        }
        if over || changes.rows.len() >= ROWS {
            let mut batch = std::mem::take(&mut changes.rows);
            view.rows(&changes, &mut batch);
            state.commit(&batch, view.cursor.0)?;
            changes = Changes::default();
        }
    }
    drop(state);
    Ok(std::fs::rename(&draft, path).map_err(io)?)
}

#[cfg(test)]
mod tests {
    use clone_schema::internal::Payload;

    use super::*;
    use crate::log::Options;
    use crate::state::Table;

    const SETTINGS: [(&str, &str); 3] = [("one", "first value"), ("two", "second value"), ("three", "third value")];

    fn batch() -> Batch {
        let mut batch = Batch::default();
        for (key, value) in SETTINGS {
            batch.put(Table::Settings, key.as_bytes(), &value);
        }
        batch
    }

    fn settings(path: &Path) -> Vec<(String, String)> {
        let (state, fresh) = State::open(path).unwrap();
        assert!(!fresh);
        let mut found = Vec::new();
        let name = |key: &[u8]| String::from_utf8(key.to_vec()).unwrap();
        state.load(Table::Settings, |key, value: String| found.push((name(key), value))).unwrap();
        found
    }

    /// A log of three settings and a keeper that wrote them.
    fn kept(dir: &Path) -> (Log, Keeper, Position) {
        let (log, _) = Log::open(&dir.join("log"), Options::new("home", crate::clock::now)).unwrap();
        let changed = |(key, value): (&str, &str)| Payload::ConfigChanged { key: key.into(), value: value.into() };
        log.append(SETTINGS.into_iter().map(|one| super::super::entry(changed(one))).collect()).unwrap();
        let (state, _) = State::open(&dir.join("state.redb")).unwrap();
        let mut keeper = Keeper::new(state, log.clone());
        assert_eq!(keeper.commit(&batch(), log.head()).unwrap(), Kept::Written);
        let head = log.head();
        (log, keeper, head)
    }

    fn returned(keeper: &mut Keeper) {
        while !keeper.returned().unwrap() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_wrong_row_is_folded_anew_without_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.redb");
        let (log, keeper, head) = kept(dir.path());
        let before = {
            drop(keeper);
            settings(&path)
        };
        let mut bytes = std::fs::read(&path).unwrap();
        let needle = b"second value";
        let places: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(needle)).collect();
        assert!(!places.is_empty());
        places.iter().for_each(|at| bytes[*at] = b'S');
        std::fs::write(&path, bytes).unwrap();
        let (state, fresh) = State::open(&path).unwrap();
        assert!(!fresh, "nobody has read the row yet");
        let mut keeper = Keeper::new(state, log);
        assert_eq!(keeper.commit(&batch(), head).unwrap(), Kept::Later);
        assert!(keeper.why().is_some() && path.with_extension("redb.broken").exists());
        returned(&mut keeper);
        assert!(keeper.why().is_none());
        assert_eq!(keeper.commit(&batch(), head).unwrap(), Kept::Written);
        drop(keeper);
        assert_eq!(settings(&path), before);
    }

    #[test]
    fn a_state_that_vanished_is_folded_anew_and_not_begun_with_a_part() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.redb");
        let (_log, mut keeper, head) = kept(dir.path());
        keeper.store = Store::Shut;
        std::fs::remove_file(&path).unwrap();
        assert_eq!(keeper.commit(&Batch::default(), head).unwrap(), Kept::Later);
        returned(&mut keeper);
        assert_eq!(keeper.commit(&Batch::default(), head).unwrap(), Kept::Written);
        drop(keeper);
        assert_eq!(settings(&path).len(), SETTINGS.len());
    }
}
