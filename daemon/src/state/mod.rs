//! `state.redb`: what a restart should not have to fold from the whole log again.
//!
//! Derived data only. redb does not verify its pages on read, so every row carries a checksum and every table a sum over
//! its rows: a wrong row, a lost row and a row that came back are all found. Then, and where redb panics over a file that
//! lies, the file is renamed aside and everything is folded again from the log. A lock, a missing permission or a full
//! disk never triggers that: [`StateError::mend`] is the whole table.

mod rows;
pub mod tables;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable, WriteTransaction};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use rows::STRETCH;
use rows::{Sum, opened, sealed};
pub use tables::Table;

/// Memory that redb may use for its page cache, in bytes.
const CACHE_BYTES: usize = 16 << 20;
/// The version of the rows; another one is folded anew.
const VERSION: u64 = 9;

/// How often this process set a store aside.
static SET_ASIDE: AtomicU64 = AtomicU64::new(0);

/// Why the state cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another process holds the file.
    #[error("`{}` is held by another process", .0.display())]
    Held(PathBuf),
    /// The system refused: permission, space, a failing disk.
    #[error("cannot use `{}`: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// redb failed; the outcome of the last commit is unknown, and repeating it is harmless.
    #[error("state: {0}")]
    Redb(Box<redb::Error>),
    /// redb panicked, as it does over pages that lie.
    #[error("state: redb panicked: {0}")]
    Panicked(String),
    /// A row does not match its checksum, or the rows of a table do not match theirs.
    #[error("state: `{0}` is damaged")]
    Damaged(&'static str),
    /// There is nothing in the place of a store that was in use.
    #[error("state: it is gone")]
    Gone,
    /// The log ends before what was folded: it was put back from an earlier copy.
    #[error("state: the log ends before position {0}, up to which it was folded")]
    Ahead(u64),
    /// The log lost what was forgotten, which only a fold of all of it finds again.
    #[error("state: the log's tombstones were lost, and only folding all of it finds them again")]
    Tombless,
}

/// What a failure asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mend {
    /// Close, open again and repeat: it says nothing about the data.
    Repeat,
    /// Set the file aside and fold the log anew.
    Rebuild,
}

impl StateError {
    /// What this failure asks for.
    #[must_use]
    pub fn mend(&self) -> Mend {
        match self {
            Self::Held(_) | Self::Io { .. } => Mend::Repeat,
            Self::Redb(error) => match &**error {
                redb::Error::DatabaseAlreadyOpen => Mend::Repeat,
                redb::Error::Io(error) if is_refusal(error) => Mend::Repeat,
                _ => Mend::Rebuild,
            },
            Self::Panicked(_) | Self::Damaged(_) | Self::Gone | Self::Ahead(_) | Self::Tombless => Mend::Rebuild,
        }
    }
}

impl<E: Into<redb::Error>> From<E> for StateError {
    fn from(error: E) -> Self {
        Self::Redb(Box::new(error.into()))
    }
}

/// The open store. After a failed commit it answers nothing any more: drop it and open it again.
pub struct State {
    /// None only while it is dropped.
    db: Option<Database>,
    path: PathBuf,
}

impl Drop for State {
    /// Closing writes, and over a file that lies it panics.
    fn drop(&mut self) {
        let db = self.db.take();
        let closed = guarded(|| {
            drop(db);
            Ok(())
        });
        if let Err(error) = closed {
            tracing::warn!(%error, "the state did not close cleanly");
        }
    }
}

/// Rows to write in one transaction; the cursor moves with them.
#[derive(Default)]
pub struct Batch {
    rows: Vec<(Table, Vec<u8>, Option<Vec<u8>>)>,
}

impl Batch {
    /// Puts one row.
    pub fn put<T: Serialize>(&mut self, table: Table, key: &[u8], value: &T) {
        let json = serde_json::to_vec(value).unwrap_or_default();
        self.rows.push((table, key.to_vec(), Some(sealed(key, &json))));
    }

    /// Removes one row.
    pub fn remove(&mut self, table: Table, key: &[u8]) {
        self.rows.push((table, key.to_vec(), None));
    }

    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Keeps the first rows only.
    pub fn truncate(&mut self, rows: usize) {
        self.rows.truncate(rows);
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl State {
    /// Opens the store, setting a broken one aside; says whether it is empty and everything must be folded anew.
    ///
    /// A store in which nothing was ever folded is empty too: a fold that was cut short begins again as the first one.
    ///
    /// # Errors
    ///
    /// Another process holds the file, or the system refuses it.
    pub fn open(path: &Path) -> Result<(Self, bool), StateError> {
        let state = match Self::try_open(path) {
            Err(error) if error.mend() == Mend::Rebuild => {
                set_aside(path, &error)?;
                Self::try_open(path)?
            }
            opened => opened?,
        };
        if state.cursor()?.is_some_and(|cursor| cursor > 0) {
            return Ok((state, false));
        }
        state.commit(&Batch::default(), 0)?;
        Ok((state, true))
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn try_open(path: &Path) -> Result<Self, StateError> {
        let io = |source| StateError::Io { path: path.to_owned(), source };
        let db = guarded(|| match Database::builder().set_cache_size(CACHE_BYTES).create(path) {
            Ok(db) => Ok(db),
            Err(redb::DatabaseError::DatabaseAlreadyOpen) => Err(StateError::Held(path.to_owned())),
            Err(redb::DatabaseError::Storage(redb::StorageError::Io(error))) if is_refusal(&error) => Err(io(error)),
            Err(error) => Err(error.into()),
        })?;
        let state = Self { db: Some(db), path: path.to_owned() };
        restrict(path).map_err(io)?;
        let written = guarded(|| Ok(state.read()?.list_tables()?.next().is_some()))?;
        match (state.meta("version")?, state.cursor()?) {
            (Some(VERSION), Some(_)) => Ok(state),
            (None, None) if !written => Ok(state),
            _ => Err(StateError::Damaged(Table::Meta.name())),
        }
    }

    fn db(&self) -> Result<&Database, StateError> {
        self.db.as_ref().ok_or_else(|| redb::Error::DatabaseClosed.into())
    }

    fn read(&self) -> Result<ReadTransaction, StateError> {
        Ok(self.db()?.begin_read()?)
    }

    /// The log position up to which everything is folded in.
    ///
    /// # Errors
    ///
    /// The row cannot be read.
    pub fn cursor(&self) -> Result<Option<u64>, StateError> {
        self.meta("cursor")
    }

    fn meta<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, StateError> {
        guarded(|| {
            let Some(table) = existing(self.read()?.open_table(Table::Meta.definition()))? else { return Ok(None) };
            let row = table.get(key.as_bytes())?;
            row.map(|row| opened(Table::Meta, key.as_bytes(), row.value())).transpose()
        })
    }

    /// Hands every row of a table to `each`, in key order.
    ///
    /// # Errors
    ///
    /// A row is damaged, missing, or cannot be read; some were handed over by then. Set the file aside and fold anew.
    pub fn load<T: DeserializeOwned>(&self, table: Table, mut each: impl FnMut(&[u8], T)) -> Result<(), StateError> {
        guarded(|| {
            let read = self.read()?;
            let mut found = Sum::default();
            if let Some(rows) = existing(read.open_table(table.definition()))? {
                for row in rows.iter()? {
                    let (key, value) = row?;
                    each(key.value(), opened(table, key.value(), value.value())?);
                    found.add(value.value());
                }
            }
            whole(table, found, expected(&read, table)?)
        })
    }

    /// Hands the rows of these positions to `each`, in order, from a table [by position](Table::is_by_position).
    ///
    /// # Errors
    ///
    /// As of [`load`](Self::load); stretches outside the range are not looked at.
    pub fn load_positions<T: DeserializeOwned>(
        &self,
        table: Table,
        positions: Range<u64>,
        mut each: impl FnMut(u64, T),
    ) -> Result<(), StateError> {
        for stretch in positions.start / STRETCH..positions.end.div_ceil(STRETCH) {
            let expected: Sum = self.meta(&rows::name(table, stretch))?.unwrap_or_default();
            let mut found = Sum::default();
            guarded(|| {
                let Some(rows) = existing(self.read()?.open_table(table.definition()))? else { return Ok(()) };
                let (first, last) = (stretch * STRETCH, stretch * STRETCH + (STRETCH - 1));
                for row in rows.range(first.to_be_bytes().as_slice()..=last.to_be_bytes().as_slice())? {
                    let (key, value) = row?;
                    let position = key.value().try_into().map_or(u64::MAX, u64::from_be_bytes);
                    found.add(value.value());
                    // The sum is over the whole stretch.
                    if positions.contains(&position) {
                        each(position, opened(table, key.value(), value.value())?);
                    }
                }
                Ok(())
            })?;
            whole(table, found, expected)?;
        }
        Ok(())
    }

    /// Writes the rows and moves the cursor, in one transaction that is on disk when this returns.
    ///
    /// # Errors
    ///
    /// The outcome is unknown, and repeating the commit is harmless.
    pub fn commit(&self, batch: &Batch, cursor: u64) -> Result<(), StateError> {
        guarded(|| {
            let mut write = self.db()?.begin_write()?;
            // Values come from the screen and the web: two phases leave nothing to a checksum that an attacker could
            // aim at.
            write.set_two_phase_commit(true);
            write.set_quick_repair(true);
            for table in Table::DATA {
                put(&write, table, batch)?;
            }
            put_meta(&write, "version", &VERSION)?;
            put_meta(&write, "cursor", &cursor)?;
            Ok(write.commit()?)
        })
    }
}

/// Writes the rows of one table and its sum.
fn put(write: &WriteTransaction, table: Table, batch: &Batch) -> Result<(), StateError> {
    let mut ours = batch.rows.iter().filter(|(of, ..)| *of == table).peekable();
    if ours.peek().is_none() {
        return Ok(());
    }
    let mut rows = write.open_table(table.definition())?;
    let mut sums: BTreeMap<u64, Sum> = BTreeMap::new();
    for (_, key, value) in ours {
        let stretch = rows::stretch(table, key);
        if let Entry::Vacant(unknown) = sums.entry(stretch) {
            unknown.insert(written_sum(write, &rows::name(table, stretch))?);
        }
        let sum = sums.entry(stretch).or_default();
        let before = match value {
            Some(value) => {
                sum.add(value);
                rows.insert(key.as_slice(), value.as_slice())?
            }
            None => rows.remove(key.as_slice())?,
        };
        if let Some(before) = before {
            rows::check(table, key, before.value())?;
            sum.take(before.value());
        }
    }
    sums.iter().try_for_each(|(stretch, sum)| put_meta(write, &rows::name(table, *stretch), sum))
}

fn written_sum(write: &WriteTransaction, name: &str) -> Result<Sum, StateError> {
    match write.open_table(Table::Meta.definition())?.get(name.as_bytes())? {
        Some(row) => opened(Table::Meta, name.as_bytes(), row.value()),
        None => Ok(Sum::default()),
    }
}

/// The sum that all rows of a table should come to.
fn expected(read: &ReadTransaction, table: Table) -> Result<Sum, StateError> {
    let Some(meta) = existing(read.open_table(Table::Meta.definition()))? else { return Ok(Sum::default()) };
    let (first, end) = rows::names(table);
    let mut all = Sum::default();
    for row in meta.range(first.as_bytes()..end.as_bytes())? {
        let (name, sum) = row?;
        all.join(opened(Table::Meta, name.value(), sum.value())?);
    }
    Ok(all)
}

/// Refuses rows that are not all there, or more than there were.
fn whole(table: Table, found: Sum, expected: Sum) -> Result<(), StateError> {
    if found == expected { Ok(()) } else { Err(StateError::Damaged(table.name())) }
}

/// A table, or nothing where nothing was ever written to it.
fn existing<T>(table: Result<T, redb::TableError>) -> Result<Option<T>, StateError> {
    match table {
        Ok(table) => Ok(Some(table)),
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn put_meta(write: &WriteTransaction, key: &str, value: &impl Serialize) -> Result<(), StateError> {
    let json = serde_json::to_vec(value).unwrap_or_default();
    write.open_table(Table::Meta.definition())?.insert(key.as_bytes(), sealed(key.as_bytes(), &json).as_slice())?;
    Ok(())
}

/// Runs what calls redb: over pages that lie it panics, and the panic ends here.
fn guarded<T>(run: impl FnOnce() -> Result<T, StateError>) -> Result<T, StateError> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().cloned();
        let said = said.or_else(|| panic.downcast_ref::<&str>().map(|said| (*said).to_owned()));
        Err(StateError::Panicked(said.unwrap_or_else(|| "it did not say why".to_owned())))
    })
}

/// How often this process set a broken store aside.
#[must_use]
pub fn times_set_aside() -> u64 {
    SET_ASIDE.load(Ordering::Relaxed)
}

/// Renames a broken store aside, so that nothing is lost for whoever wants to look at it; an empty one is removed.
///
/// # Errors
///
/// The file cannot be renamed.
pub fn set_aside(path: &Path, why: &StateError) -> Result<(), StateError> {
    let aside = path.with_extension("redb.broken");
    tracing::warn!(%why, to = %aside.display(), "the state is set aside and folded anew from the log");
    let moved =
        if matches!(why, StateError::Gone) { std::fs::remove_file(path) } else { std::fs::rename(path, &aside) };
    moved.map_err(|source| StateError::Io { path: path.to_owned(), source })?;
    SET_ASIDE.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

/// Errors that say nothing about the data: rebuilding would only hide them.
fn is_refusal(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    let out_of = |errno: rustix::io::Errno| error.raw_os_error() == Some(errno.raw_os_error());
    out_of(rustix::io::Errno::MFILE)
        || out_of(rustix::io::Errno::NFILE)
        || matches!(
            error.kind(),
            ErrorKind::PermissionDenied
                | ErrorKind::StorageFull
                | ErrorKind::QuotaExceeded
                | ErrorKind::FileTooLarge
                | ErrorKind::NotFound
                | ErrorKind::ReadOnlyFilesystem
                | ErrorKind::OutOfMemory
                | ErrorKind::Interrupted
                | ErrorKind::WouldBlock
        )
}

fn restrict(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_in_key_order_and_move_with_the_cursor() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.redb");
        let (state, fresh) = State::open(&path).unwrap();
        assert!(fresh);
        drop(state);
        let (state, fresh) = State::open(&path).unwrap();
        assert!(fresh, "a fold that was cut short before its first commit begins again as the first one");
        let mut batch = Batch::default();
        batch.put(Table::Pairs, &2_u64.to_be_bytes(), &"two");
        batch.put(Table::Pairs, &1_u64.to_be_bytes(), &"one");
        batch.put(Table::Pairs, &3_u64.to_be_bytes(), &"three");
        batch.remove(Table::Pairs, &3_u64.to_be_bytes());
        state.commit(&batch, 7).unwrap();
        drop(state);
        let (state, fresh) = State::open(&path).unwrap();
        assert!(!fresh);
        assert_eq!(state.cursor().unwrap(), Some(7));
        let mut rows = Vec::new();
        state.load(Table::Pairs, |_, row: String| rows.push(row)).unwrap();
        assert_eq!(rows, ["one", "two"]);
    }

    #[test]
    fn a_wrong_row_is_found_and_never_returned() {
        let row = sealed(b"k", b"\"value\"");
        assert_eq!(opened::<String>(Table::Keys, b"k", &row).unwrap(), "value");
        assert!(opened::<String>(Table::Keys, b"other", &row).is_err());
        for i in 0..row.len() {
            let mut bad = row.clone();
            bad[i] ^= 1;
            assert!(opened::<String>(Table::Keys, b"k", &bad).is_err(), "byte {i}");
        }
    }

    #[test]
    fn a_broken_file_is_set_aside_and_a_held_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.redb");
        std::fs::write(&path, vec![7; 8192]).unwrap();
        let (state, fresh) = State::open(&path).unwrap();
        assert!(fresh && path.with_extension("redb.broken").exists());
        assert!(matches!(State::open(&path), Err(StateError::Held(_))));
        drop(state);
    }

    /// Every kind of failure has its mend; no lock, permission or full disk ever costs a fold.
    #[test]
    fn only_wrong_data_is_folded_anew() {
        use std::io::{Error, ErrorKind};
        let system = |errno: rustix::io::Errno| StateError::from(redb::Error::Io(errno.into()));
        let refusals = [
            StateError::Held(PathBuf::new()),
            StateError::Io { path: PathBuf::new(), source: ErrorKind::PermissionDenied.into() },
            redb::Error::DatabaseAlreadyOpen.into(),
            system(rustix::io::Errno::NOSPC),
            system(rustix::io::Errno::DQUOT),
            system(rustix::io::Errno::FBIG),
            system(rustix::io::Errno::ACCESS),
            system(rustix::io::Errno::PERM),
            system(rustix::io::Errno::ROFS),
            system(rustix::io::Errno::MFILE),
            system(rustix::io::Errno::NFILE),
            system(rustix::io::Errno::NOMEM),
            system(rustix::io::Errno::INTR),
        ];
        let wrong = [
            StateError::Damaged("pairs"),
            StateError::Ahead(7),
            StateError::Gone,
            StateError::Panicked("index out of bounds".to_owned()),
            redb::Error::Corrupted("a page".to_owned()).into(),
            redb::Error::PreviousIo.into(),
            redb::Error::TableTypeMismatch {
                table: "pairs".to_owned(),
                key: redb::TypeName::new("a"),
                value: redb::TypeName::new("b"),
            }
            .into(),
            system(rustix::io::Errno::IO),
            redb::Error::Io(Error::from(ErrorKind::UnexpectedEof)).into(),
            redb::Error::Io(Error::from(ErrorKind::InvalidData)).into(),
        ];
        for error in &refusals {
            assert_eq!(error.mend(), Mend::Repeat, "{error}");
        }
        for error in &wrong {
            assert_eq!(error.mend(), Mend::Rebuild, "{error}");
        }
    }

    fn filled(path: &Path) {
        let (state, _) = State::open(path).unwrap();
        for round in 0..4_u64 {
            let mut batch = Batch::default();
            for key in 0..30_u64 {
                let position = (round * 20 + key) * (STRETCH / 40);
                batch.put(Table::Pairs, &position.to_be_bytes(), &format!("pair {round} {key}"));
                batch.put(Table::Keys, &key.to_be_bytes(), &format!("key {round} {key}"));
            }
            batch.remove(Table::Keys, &round.to_be_bytes());
            state.commit(&batch, round + 1).unwrap();
        }
    }

    fn read(path: &Path) -> Result<(u64, Vec<String>), StateError> {
        let state = State::try_open(path)?;
        let mut rows = Vec::new();
        for table in Table::DATA {
            state.load(table, |key, row: String| rows.push(format!("{} {key:?} {row}", table.name())))?;
        }
        Ok((state.cursor()?.unwrap_or(0), rows))
    }

    /// Whatever bit is wrong: what was written comes back whole, or nothing does. `FLIPS=20000` for more.
    #[test]
    fn a_flipped_bit_is_found_or_harmless() {
        let flips = std::env::var("FLIPS").ok().and_then(|flips| flips.parse().ok()).unwrap_or(500_usize);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.redb");
        filled(&path);
        let (whole, before) = (std::fs::read(&path).unwrap(), read(&path).unwrap());
        let used: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] != 0).collect();
        let (mut found, mut dice) = (0, 1_u64);
        for round in 0..flips {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = used[usize::try_from(dice >> 33).unwrap() % used.len()];
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (round % 8);
            std::fs::write(&path, &bytes).unwrap();
            match read(&path) {
                // The commit before is whole too, and only lags.
                Ok((cursor, _)) if cursor + 1 == before.0 => {}
                Ok(after) => assert_eq!(after, before, "byte {at} of round {round}"),
                Err(error) => {
                    assert_eq!(error.mend(), Mend::Rebuild, "byte {at} of round {round}: {error}");
                    found += 1;
                }
            }
        }
        assert!(found > 0, "no flip was noticed");
    }

    #[test]
    fn a_row_that_got_lost_is_missed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.redb");
        filled(&path);
        let state = State::try_open(&path).unwrap();
        let write = state.db().unwrap().begin_write().unwrap();
        write.open_table(Table::Pairs.definition()).unwrap().pop_last().unwrap();
        write.commit().unwrap();
        assert!(matches!(state.load(Table::Pairs, |_, _: String| {}), Err(StateError::Damaged("pairs"))));
        state.load(Table::Keys, |_, _: String| {}).unwrap();
    }

    #[test]
    fn a_row_that_got_lost_is_missed_in_its_stretch_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.redb");
        filled(&path);
        let state = State::try_open(&path).unwrap();
        let load = |positions: Range<u64>| {
            let mut found = Vec::new();
            state.load_positions(Table::Pairs, positions, |position, _: String| found.push(position)).map(|()| found)
        };
        let step = STRETCH / 40;
        assert_eq!(load(step * 3..step * 6).unwrap(), [step * 3, step * 4, step * 5]);
        assert_eq!(load(0..u64::from(u32::MAX)).unwrap().len(), 90);
        let write = state.db().unwrap().begin_write().unwrap();
        write.open_table(Table::Pairs.definition()).unwrap().pop_first().unwrap();
        write.commit().unwrap();
        assert!(matches!(load(step * 3..step * 6), Err(StateError::Damaged("pairs"))));
        assert_eq!(load(step * 85..step * 86).unwrap(), [step * 85], "two stretches on");
    }
}
