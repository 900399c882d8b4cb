//! `scan` and `verify`: all of the log, once as events in order and once as bytes that must be true.
//!
//! `scan` reads pages of a thousand, as the daemon does when it derives. Its limit is the stock reader over the same sealed
//! files, checksums included, which hands out bytes and reads no JSON. `verify` is what `clone log verify` does; its limit is
//! what nobody can check without: read every file, unpack every chunk, take its checksum.

use clone_schema::Position;

use super::measure::Pair;
use super::read::rate;
use super::store::{self, Store};
use super::{BATCH, BenchError, Options, ROUNDS, Row, Target, bare};
use crate::log::{self, Log};

pub(super) fn run(options: &Options) -> Result<Vec<Row>, BenchError> {
    let store = Store::filled(&options.folder, options.events, 21)?;
    let (log, files) = (store.open()?, store.segments()?.sealed);
    let expected = store.events as u64;
    let mut pair = Pair::default();
    for _ in 0..ROUNDS {
        pair.time(
            || counted(all(&log)?, expected),
            || counted(files.iter().map(|path| bare::messages(path)).sum::<Result<u64, _>>()?, expected),
        )?;
    }
    let row = rate("scan", "events/s", expected, &pair);
    Ok(vec![row.beside("the mcap crate's reader, checksums on, no JSON").target(Target::AtLeast(0.5))])
}

/// Fails unless as many were read as were written: a figure for less would say nothing.
fn counted(read: u64, expected: u64) -> Result<(), BenchError> {
    if read == expected { Ok(()) } else { Err(BenchError::Lost(format!("{read} of {expected} events were read"))) }
}

/// Reads every event in order; says how many.
fn all(log: &Log) -> Result<u64, BenchError> {
    let (mut from, mut count) = (Position(0), 0);
    loop {
        let page = log.scan(from, BATCH)?;
        let Some(last) = page.last() else { return Ok(count) };
        from = last.position.next();
        count += page.len() as u64;
        std::hint::black_box(page);
    }
}

pub(super) fn verify(options: &Options) -> Result<Vec<Row>, BenchError> {
    let store = Store::filled(&options.folder, options.events, 22)?;
    let files = store.segments()?.sealed;
    let unpacked = files.iter().map(|path| bare::check(path)).sum::<Result<u64, _>>()?;
    let mut pair = Pair::default();
    for _ in 0..ROUNDS {
        pair.time(|| checked(&store), || files.iter().try_for_each(|path| bare::check(path).map(drop)))?;
    }
    let mut row = rate("verify", "MB/s unpacked", unpacked, &pair);
    (row.ours, row.limit) = (row.ours / 1e6, row.limit / 1e6);
    row.raw["bytes"] = serde_json::json!({"unpacked": unpacked, "stored": store::bytes(&files)?});
    Ok(vec![row.beside("read + zstd + crc32fast of every chunk").target(Target::AtLeast(0.5))])
}

/// Has the log verify itself; all of it must be whole, and all events there.
fn checked(store: &Store) -> Result<(), BenchError> {
    let found = log::verify(store.folder(), |_| ())?;
    if !found.is_clean() {
        return Err(BenchError::Lost(format!("{:?} {:?}", found.damaged, found.missing)));
    }
    counted(found.events(), store.events as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_all_and_a_flipped_byte_is_not_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::filled(dir.path(), 2_300, 5).unwrap();
        assert_eq!(all(&store.open().unwrap()).unwrap(), 2_300);
        assert!(checked(&store).is_ok());
        let path = store.segments().unwrap().sealed.remove(0);
        assert_eq!(bare::messages(&path).unwrap(), 2_300);
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        assert!(matches!(checked(&store), Err(BenchError::Lost(_))));
    }
}
