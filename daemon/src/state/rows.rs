//! What a row and a table carry so that neither is believed when it is wrong.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{StateError, Table};

const SUM_BYTES: usize = 8;
/// Positions whose rows share a sum, in a table [by position](Table::is_by_position): such a table is long, and most starts
/// read its end alone.
pub const STRETCH: u64 = 1 << 14;

/// How many rows a table has, and their checksums taken together: a row that got lost or came back changes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sum {
    rows: u64,
    together: u64,
}

impl Sum {
    pub(super) fn add(&mut self, row: &[u8]) {
        (self.rows, self.together) = (self.rows.wrapping_add(1), self.together ^ stored(row));
    }

    pub(super) fn take(&mut self, row: &[u8]) {
        (self.rows, self.together) = (self.rows.wrapping_sub(1), self.together ^ stored(row));
    }
}

impl Sum {
    pub(super) fn join(&mut self, other: Self) {
        (self.rows, self.together) = (self.rows.wrapping_add(other.rows), self.together ^ other.together);
    }
}

fn stored(row: &[u8]) -> u64 {
    row.first_chunk().map_or(0, |sum| u64::from_le_bytes(*sum))
}

/// Which sum of its table a row belongs to.
pub(super) fn stretch(table: Table, key: &[u8]) -> u64 {
    let position = key.try_into().map_or(0, u64::from_be_bytes);
    if table.is_by_position() { position / STRETCH } else { 0 }
}

/// Where `meta` keeps a sum.
pub(super) fn name(table: Table, stretch: u64) -> String {
    format!("rows:{}:{stretch:016x}", table.name())
}

/// The first and the end of the names of the sums of a table.
pub(super) fn names(table: Table) -> (String, String) {
    (format!("rows:{}:", table.name()), format!("rows:{};", table.name()))
}

/// A row as the file holds it.
pub(super) fn sealed(key: &[u8], json: &[u8]) -> Vec<u8> {
    let mut row = sum(key, json).to_vec();
    row.extend_from_slice(json);
    row
}

/// The JSON of a row that matches its checksum.
pub(super) fn check<'a>(table: Table, key: &[u8], row: &'a [u8]) -> Result<&'a [u8], StateError> {
    match row.split_at_checked(SUM_BYTES) {
        Some((stored, json)) if stored == sum(key, json) => Ok(json),
        _ => Err(StateError::Damaged(table.name())),
    }
}

/// The value of a row that matches its checksum.
pub(super) fn opened<T: DeserializeOwned>(table: Table, key: &[u8], row: &[u8]) -> Result<T, StateError> {
    serde_json::from_slice(check(table, key, row)?).map_err(|_| StateError::Damaged(table.name()))
}

fn sum(key: &[u8], json: &[u8]) -> [u8; SUM_BYTES] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(key.len() as u64).to_le_bytes()).update(key).update(json);
    let mut out = [0; SUM_BYTES];
    out.copy_from_slice(&hasher.finalize().as_bytes()[..SUM_BYTES]);
    out
}
