//! `state.redb`: what a restart should not have to fold from the whole log again.
//!
//! Derived data only. Every row carries a checksum, because redb does not verify its pages on read; a wrong row, a broken
//! file or another version means that the file is renamed aside and everything is folded again from the log. A lock, a
//! missing permission or a full disk never triggers that.

pub mod tables;

use std::ops::RangeBounds;
use std::path::{Path, PathBuf};

use redb::{Database, ReadableDatabase};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use tables::Table;

/// Memory that redb may use for its page cache, in bytes.
const CACHE_BYTES: usize = 16 << 20;
/// The version of the rows; another one is folded anew.
const VERSION: u64 = 3;
const SUM_BYTES: usize = 8;

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
    /// A row does not match its checksum.
    #[error("state: a row of `{0}` is damaged")]
    Damaged(&'static str),
    /// The log ends before what was folded: it was put back from an earlier copy.
    #[error("state: the log ends before position {0}, up to which it was folded")]
    Ahead(u64),
}

impl StateError {
    /// Whether folding the log anew mends it.
    #[must_use]
    pub fn is_mended_by_folding(&self) -> bool {
        match self {
            Self::Damaged(_) | Self::Ahead(_) => true,
            Self::Redb(error) => matches!(**error, redb::Error::Corrupted(_)),
            Self::Held(_) | Self::Io { .. } => false,
        }
    }
}

impl StateError {
    /// Whether the system refused, which says nothing about the data.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Io { .. } => true,
            Self::Redb(error) => matches!(**error, redb::Error::Io(_) | redb::Error::PreviousIo),
            Self::Held(_) | Self::Damaged(_) | Self::Ahead(_) => false,
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
    db: Database,
    path: PathBuf,
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
        match Self::try_open(path) {
            Ok(state) if state.cursor()?.is_some_and(|cursor| cursor > 0) => Ok((state, false)),
            Ok(state) => {
                state.commit(&Batch::default(), 0)?;
                Ok((state, true))
            }
            Err(error @ (StateError::Held(_) | StateError::Io { .. })) => Err(error),
            Err(error) => {
                set_aside(path, &error)?;
                let state = Self::try_open(path)?;
                state.commit(&Batch::default(), 0)?;
                Ok((state, true))
            }
        }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the store that this process had open and that failed; sets nothing aside.
    ///
    /// # Errors
    ///
    /// The system refuses still, or the store is broken, which the next start mends.
    pub fn reopen(path: &Path) -> Result<Self, StateError> {
        Self::try_open(path)
    }

    fn try_open(path: &Path) -> Result<Self, StateError> {
        let io = |source| StateError::Io { path: path.to_owned(), source };
        let opened = Database::builder().set_cache_size(CACHE_BYTES).create(path);
        let db = match opened {
            Ok(db) => db,
            Err(redb::DatabaseError::DatabaseAlreadyOpen) => return Err(StateError::Held(path.to_owned())),
            Err(redb::DatabaseError::Storage(redb::StorageError::Io(error))) if is_refusal(&error) => {
                return Err(io(error));
            }
            Err(error) => return Err(error.into()),
        };
        restrict(path).map_err(io)?;
        let state = Self { db, path: path.to_owned() };
        state.cursor()?;
        match state.meta("version")? {
            None | Some(VERSION) => Ok(state),
            Some(_) => Err(StateError::Damaged("meta")),
        }
    }

    /// The log position up to which everything is folded in.
    ///
    /// # Errors
    ///
    /// The row cannot be read.
    pub fn cursor(&self) -> Result<Option<u64>, StateError> {
        self.meta("cursor")
    }

    fn meta(&self, key: &str) -> Result<Option<u64>, StateError> {
        let read = self.db.begin_read()?;
        let table = match read.open_table(Table::Meta.definition()) {
            Ok(table) => table,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        match table.get(key.as_bytes())? {
            Some(row) => opened(Table::Meta, key.as_bytes(), row.value()).map(Some),
            None => Ok(None),
        }
    }

    /// Hands every row of a table to `each`, in key order.
    ///
    /// # Errors
    ///
    /// A row is damaged or cannot be read; set the file aside and fold anew.
    pub fn load<T: DeserializeOwned>(&self, table: Table, each: impl FnMut(&[u8], T)) -> Result<(), StateError> {
        self.load_range(table, .., each)
    }

    /// Hands every row of a range of keys to `each`, in key order.
    ///
    /// # Errors
    ///
    /// As of [`load`](Self::load); rows outside the range are not looked at.
    pub fn load_range<'k, T: DeserializeOwned>(
        &self,
        table: Table,
        keys: impl RangeBounds<&'k [u8]> + 'k,
        mut each: impl FnMut(&[u8], T),
    ) -> Result<(), StateError> {
        let read = self.db.begin_read()?;
        let rows = match read.open_table(table.definition()) {
            Ok(rows) => rows,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        for row in rows.range::<&[u8]>(keys)? {
            let (key, value) = row?;
            each(key.value(), opened(table, key.value(), value.value())?);
        }
        Ok(())
    }

    /// Writes the rows and moves the cursor, in one transaction that is on disk when this returns.
    ///
    /// # Errors
    ///
    /// redb failed: the outcome is unknown, and repeating the commit is harmless.
    pub fn commit(&self, batch: &Batch, cursor: u64) -> Result<(), StateError> {
        let mut write = self.db.begin_write()?;
        // Values come from the screen and the web: two phases leave nothing to a checksum that an attacker could aim at.
        write.set_two_phase_commit(true);
        write.set_quick_repair(true);
        {
            for (table, key, value) in &batch.rows {
                let mut rows = write.open_table(table.definition())?;
                match value {
                    Some(value) => drop(rows.insert(key.as_slice(), value.as_slice())?),
                    None => drop(rows.remove(key.as_slice())?),
                }
            }
            let mut meta = write.open_table(Table::Meta.definition())?;
            for (key, value) in [("version", VERSION), ("cursor", cursor)] {
                let json = serde_json::to_vec(&value).unwrap_or_default();
                meta.insert(key.as_bytes(), sealed(key.as_bytes(), &json).as_slice())?;
            }
        }
        write.commit()?;
        Ok(())
    }
}

/// Renames a broken store aside, so that nothing is lost for whoever wants to look at it.
///
/// # Errors
///
/// The file cannot be renamed.
pub fn set_aside(path: &Path, why: &StateError) -> Result<(), StateError> {
    let aside = path.with_extension("redb.broken");
    tracing::warn!(%why, to = %aside.display(), "the state is set aside and folded anew from the log");
    std::fs::rename(path, &aside).map_err(|source| StateError::Io { path: path.to_owned(), source })
}

/// Errors that say nothing about the data: rebuilding would only hide them.
fn is_refusal(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(
        error.kind(),
        ErrorKind::PermissionDenied
            | ErrorKind::StorageFull
            | ErrorKind::QuotaExceeded
            | ErrorKind::FileTooLarge
            | ErrorKind::NotFound
            | ErrorKind::ReadOnlyFilesystem
    )
}

fn restrict(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
}

fn sealed(key: &[u8], json: &[u8]) -> Vec<u8> {
    let mut row = sum(key, json).to_vec();
    row.extend_from_slice(json);
    row
}

fn opened<T: DeserializeOwned>(table: Table, key: &[u8], row: &[u8]) -> Result<T, StateError> {
    let damaged = || StateError::Damaged(table.name());
    let (stored, json) = row.split_at_checked(SUM_BYTES).ok_or_else(damaged)?;
    if stored != sum(key, json) {
        return Err(damaged());
    }
    serde_json::from_slice(json).map_err(|_| damaged())
}

fn sum(key: &[u8], json: &[u8]) -> [u8; SUM_BYTES] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(key.len() as u64).to_le_bytes()).update(key).update(json);
    let mut out = [0; SUM_BYTES];
    out.copy_from_slice(&hasher.finalize().as_bytes()[..SUM_BYTES]);
    out
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
}
