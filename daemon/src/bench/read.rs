//! `read-by-id`: one event by its id, from the log and over the socket.
//!
//! - *cold*: the chunk is not in the log's cache. Every chunk is visited once before any is visited again; where all that is
//!   visited could fit in the cache, the log is opened anew between two visits. Beside it, the same bytes of the same chunk
//!   are read with one call from a file that stays open, unpacked, and their checksum is compared.
//! - *warm*: the chunk is in the cache. Beside it, a hash map from ids to the same texts, whose text is copied out, as what
//!   the log hands out is the caller's own.
//! - *socket*: a caller of the daemon, beside the same caller's `health`.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::hint::black_box;

use clone_schema::Position;

use super::events::{Supply, body};
use super::measure::{Pair, number};
use super::store::Store;
use super::{BATCH, BenchError, Home, Options, ROUNDS, Row, Target, bare};
use crate::dice::Dice;
use crate::log::Log;

/// How many reads there are of the cold kind, where there are chunks enough.
const COLD: usize = 2_000;
/// How many there are of the warm kind.
const WARM: usize = 20_000;
/// How many there are over the socket.
const SOCKET: usize = 1_000;
/// The most events that the daemon of the socket's part is given: it looks one up, whatever else it has.
const SOCKET_EVENTS: usize = 10_000;
/// Unpacked bytes that the log's cache cannot hold, with room to spare: it keeps 32 MiB.
const BEYOND_CACHE: u64 = 64 << 20;
/// From how many places of the log the warm events are taken, and how many from each; all of it fits in the cache.
const PLACES: usize = 5;

pub(super) fn run(options: &Options) -> Result<Vec<Row>, BenchError> {
    let store = Store::filled(&options.folder, options.events, 11)?;
    let mut out = rows(&cold(&store)?, &warm(&store)?);
    let socket = socket(options)?;
    let beside = "the `health` round trip";
    out.push(
        Row::compare("read-by-id socket p50", "us", socket.at(50.0, 1e6))
            .beside(beside)
            .target(Target::AtMost(2.0))
            .raw(socket.raw()),
    );
    out.push(Row::compare("read-by-id socket p99", "us", socket.at(99.0, 1e6)).beside(beside));
    Ok(out)
}

/// The rows of the log itself.
pub(super) fn rows(cold: &Pair, warm: &Pair) -> Vec<Row> {
    let chunk = "one read of the chunk + zstd + its checksum";
    let map = "a hash map of the same ids and texts";
    let row = |name: &str, pair: &Pair, percent, beside| {
        Row::compare(format!("read-by-id {name}"), "us", pair.at(percent, 1e6)).beside(beside)
    };
    vec![
        row("cold p50", cold, 50.0, chunk).target(Target::AtMost(2.0)).raw(cold.raw()),
        row("cold p99", cold, 99.0, chunk).target(Target::AtMost(5.0)),
        row("warm p50", warm, 50.0, map).raw(warm.raw()),
        row("warm p99", warm, 99.0, map),
    ]
}

/// An event and the chunk that holds it.
struct Spot {
    id: String,
    file: usize,
    offset: u64,
    length: usize,
}

/// Chunks of a log, each with one event of it, in an order without a pattern.
struct Spots {
    files: Vec<File>,
    spots: Vec<Spot>,
    /// What the chunks unpack to.
    bytes: u64,
}

pub(super) fn cold(store: &Store) -> Result<Pair, BenchError> {
    let spots = spots(store)?;
    let mut log = store.open()?;
    let mut pair = Pair::default();
    for _ in 0..ROUNDS {
        for spot in &spots.spots {
            pair.time(|| read(&log, &spot.id), || unpack(&spots.files[spot.file], spot))?;
        }
        if pair.ours.len() >= COLD {
            break;
        }
        if spots.bytes < BEYOND_CACHE {
            drop(log);
            log = store.open()?;
        }
    }
    Ok(pair)
}

fn read(log: &Log, id: &str) -> Result<(), BenchError> {
    let record = log.position(id).map(|position| log.read(position)).transpose()?.flatten();
    match record {
        Some(record) if record.id == id => {
            black_box(record);
            Ok(())
        }
        _ => Err(BenchError::Lost(format!("no event `{id}`"))),
    }
}

fn unpack(file: &File, spot: &Spot) -> Result<(), BenchError> {
    let bytes = bare::read_at(file, spot.offset, spot.length)?;
    bare::unpack(&bytes).map(|records| drop(black_box(records)))
}

/// Looks where some of the remembered events are and keeps one event of each chunk.
fn spots(store: &Store) -> Result<Spots, BenchError> {
    let log = store.open()?;
    let (mut dice, mut seen, mut names) = (Dice::new(12), BTreeSet::new(), Vec::new());
    let mut out = Spots { files: Vec::new(), spots: Vec::new(), bytes: 0 };
    for _ in 0..COLD.min(store.ids.len()) {
        let id = &store.ids[dice.below(store.ids.len())];
        let found = log.position(id).and_then(|position| log.locate(position));
        let found = found.ok_or_else(|| BenchError::Lost(format!("no event `{id}`")))?;
        let file = match names.iter().position(|name| *name == found.segment) {
            Some(file) => file,
            None => {
                let path = store.folder().join(&found.segment);
                out.files.push(File::open(path).map_err(BenchError::io("open a segment"))?);
                names.push(found.segment);
                names.len() - 1
            }
        };
        if seen.insert((file, found.offset)) {
            let length = bare::chunk_length(&out.files[file], found.offset)?;
            let record = bare::read_at(&out.files[file], found.offset, length)?;
            out.bytes += bare::unpack(&record)?.len() as u64;
            out.spots.push(Spot { id: id.clone(), file, offset: found.offset, length });
        }
    }
    Ok(out)
}

pub(super) fn warm(store: &Store) -> Result<Pair, BenchError> {
    let log = store.open()?;
    let mut known = HashMap::new();
    for place in 0..PLACES {
        let from = Position((store.events * place / PLACES) as u64);
        known.extend(log.scan(from, BATCH)?.into_iter().map(|record| (record.id, record.json.into_bytes())));
    }
    let mut ids: Vec<&String> = known.keys().collect();
    ids.sort_unstable();
    ids.iter().try_for_each(|id| read(&log, id))?;
    let (mut pair, mut dice) = (Pair::default(), Dice::new(13));
    for _ in 0..WARM {
        let id = ids[dice.below(ids.len())];
        let beside = || {
            black_box(known.get(black_box(id)).cloned());
            Ok(())
        };
        pair.time(|| read(&log, id), beside)?;
    }
    Ok(pair)
}

fn socket(options: &Options) -> Result<Pair, BenchError> {
    let home = Home::started(&options.folder)?;
    let mut daemon = home.connect()?;
    let (mut supply, mut paths) = (Supply::new(14), Vec::new());
    for count in super::store::batches(options.events.min(SOCKET_EVENTS)) {
        let entries = supply.entries(count);
        paths.extend(entries.iter().map(|entry| format!("/api/recording/events/{}/", entry.id)));
        let events: Vec<String> = entries.into_iter().map(|entry| entry.json).collect();
        daemon.ingest(&body(&events), events.len(), false)?;
    }
    daemon.settle()?;
    // Not before: the daemon hangs up on a caller that says nothing for long.
    let mut beside = home.connect()?;
    let (mut pair, mut dice) = (Pair::default(), Dice::new(15));
    for _ in 0..SOCKET {
        let path = &paths[dice.below(paths.len())];
        pair.time(|| daemon.json("GET", path, b"").map(drop), || beside.health())?;
    }
    Ok(pair)
}

/// Rates of something that a time is for so many of, as a row.
pub(super) fn rate(name: &str, unit: &'static str, count: u64, pair: &Pair) -> Row {
    Row::compare(name, unit, pair.rates(number(count))).raw(pair.raw())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_chunk_is_visited_once_and_where_the_log_says() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::filled(dir.path(), 3_000, 4).unwrap();
        let spots = spots(&store).unwrap();
        let places: BTreeSet<_> = spots.spots.iter().map(|spot| (spot.file, spot.offset)).collect();
        assert!(!places.is_empty() && places.len() == spots.spots.len());
        // Every event is in a chunk, and the chunks hold more than the events' texts.
        assert!(spots.bytes > 900_000, "{}", spots.bytes);
        let log = store.open().unwrap();
        for spot in &spots.spots {
            let bytes = bare::read_at(&spots.files[spot.file], spot.offset, spot.length).unwrap();
            let records = bare::unpack(&bytes).unwrap();
            assert!(records.windows(spot.id.len()).any(|window| window == spot.id.as_bytes()));
            assert!(read(&log, &spot.id).is_ok());
        }
        assert!(matches!(read(&log, "nobody wrote this"), Err(BenchError::Lost(_))));
    }
}
