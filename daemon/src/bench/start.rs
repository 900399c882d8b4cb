//! `start`: the log alone and the whole daemon, after a clean stop and after kill -9.
//!
//! - The log: [`Log::open`](crate::log::Log::open) in this process. After kill -9 it finds an open file with a tail of some
//!   MiB; the folder is copied while a log has it open, which is what a crash leaves. Beside it, the stock reader takes the
//!   summaries of the sealed files, and the open file is read once.
//! - The daemon: from spawning it to the first answer to `health`. It is killed right after it acked the tail, while it
//!   still derives. Beside it, this process opens the search index of that home and a reader on it.

use std::path::{Path, PathBuf};

use rustix::process::Signal;

use super::events::{Supply, body};
use super::measure::{Pair, Samples, rounds};
use super::store::{self, Store};
use super::{BenchError, Home, Options, ROUNDS, Row, Target, bare};

/// Events of the tail that a crash leaves unsealed: about 7 MB of JSON.
const TAIL: usize = 20_000;
/// The same for the daemon, which derives from them.
const DAEMON_TAIL: usize = 2_000;
/// How long the rounds of one kind may take together, in seconds.
const LOG_SECONDS: f64 = 20.0;
/// The same for the daemon.
const DAEMON_SECONDS: f64 = 60.0;
/// What the whole daemon may take, in milliseconds.
const CLEAN_MS: f64 = 300.0;
const KILLED_MS: f64 = 1_000.0;

pub(super) fn run(options: &Options) -> Result<Vec<Row>, BenchError> {
    let store = Store::filled(&options.folder, options.events, 41)?;
    let mut out = rows(&clean(&store)?, &killed(&store)?).to_vec();
    drop(store);
    out.extend(daemon(options)?);
    Ok(out)
}

/// The rows of the log alone.
pub(super) fn rows(clean: &Pair, killed: &Pair) -> [Row; 2] {
    let row = |name: &str, pair: &Pair| Row::compare(name, "ms, p50", pair.at(50.0, 1e3)).raw(pair.raw());
    [
        row("start log clean", clean).beside("the mcap crate reads the summaries"),
        row("start log after kill -9", killed).beside("the summaries, and the open file read once"),
    ]
}

pub(super) fn clean(store: &Store) -> Result<Pair, BenchError> {
    let files = store.segments()?.sealed;
    let mut pair = Pair::default();
    rounds(ROUNDS, LOG_SECONDS, |_| {
        // Kept beyond the clock: closing is no part of a start.
        let mut log = None;
        let open = || -> Result<(), BenchError> {
            log = Some(store.open()?);
            Ok(())
        };
        pair.time(open, || summaries(&files))
    })?;
    Ok(pair)
}

pub(super) fn killed(store: &Store) -> Result<Pair, BenchError> {
    let growing = store.scratch("growing");
    store::copy(store.folder(), &growing)?;
    let (writer, mut supply, tail) = (store::open(&growing)?, Supply::new(42), TAIL.min(store.events));
    for count in store::batches(tail) {
        writer.append(supply.entries(count))?;
    }
    let left = store::segments(&growing)?;
    let expected = (store.events + tail) as u64;
    let mut pair = Pair::default();
    rounds(ROUNDS, LOG_SECONDS, |round| {
        let crashed = store.scratch(&format!("crashed-{round}"));
        store::copy(&growing, &crashed)?;
        let mut log = None;
        let open = || {
            log = Some(store::open(&crashed)?);
            Ok(())
        };
        pair.time(open, || summaries(&left.sealed).and_then(|()| left.open.iter().try_for_each(|path| whole(path))))?;
        let events = log.as_ref().map(|log| log.stats().events);
        if events != Some(expected) {
            return Err(BenchError::Lost(format!("{events:?} of {expected} events after a crash")));
        }
        drop(log);
        store::remove(&crashed)
    })?;
    drop(writer);
    store::remove(&growing)?;
    Ok(pair)
}

fn summaries(files: &[PathBuf]) -> Result<(), BenchError> {
    for path in files {
        std::hint::black_box(bare::summary(path)?);
    }
    Ok(())
}

fn whole(path: &Path) -> Result<(), BenchError> {
    std::fs::read(path).map(|bytes| drop(std::hint::black_box(bytes))).map_err(BenchError::io("read a segment"))
}

fn daemon(options: &Options) -> Result<[Row; 2], BenchError> {
    let mut home = Home::started(&options.folder)?;
    let mut supply = Supply::new(43);
    ingest(&home, &mut supply, options.events)?;
    let [mut clean_settled, mut killed_settled]: [Samples; 2] = Default::default();
    let clean = started(&mut home, Signal::TERM, &mut clean_settled, |_| Ok(()))?;
    let killed = started(&mut home, Signal::KILL, &mut killed_settled, |home| ingest(home, &mut supply, DAEMON_TAIL))?;
    let row = |name: &str, pair: &Pair, settled: &Samples| {
        let mut raw = pair.raw();
        raw["until_derived"] = settled.raw();
        Row::compare(name, "ms, p50", pair.at(50.0, 1e3)).beside("open the tantivy index and a reader").raw(raw)
    };
    Ok([
        row("start daemon clean", &clean, &clean_settled).target(Target::Within(CLEAN_MS)),
        row("start daemon after kill -9", &killed, &killed_settled).target(Target::Within(KILLED_MS)),
    ])
}

fn ingest(home: &Home, supply: &mut Supply, events: usize) -> Result<(), BenchError> {
    let mut daemon = home.connect()?;
    store::batches(events).try_for_each(|count| daemon.ingest(&body(&supply.take(count)), count, false))
}

/// Lets everything be derived, does what comes before the end, ends the daemon and times its next start; again and again.
fn started(
    home: &mut Home,
    end: Signal,
    settled: &mut Samples,
    mut before: impl FnMut(&Home) -> Result<(), BenchError>,
) -> Result<Pair, BenchError> {
    let mut pair = Pair::default();
    home.connect()?.settle()?;
    rounds(ROUNDS, DAEMON_SECONDS, |_| {
        before(home)?;
        home.end(end);
        let index = home.paths.index.clone();
        // Not in turn: once the daemon runs, it would share the processor with the limit.
        pair.limit.time(|| open_index(&index))?;
        pair.ours.time(|| home.answer())?;
        settled.time(|| home.connect()?.settle())
    })?;
    Ok(pair)
}

fn open_index(folder: &Path) -> Result<(), BenchError> {
    let index = tantivy::Index::open_in_dir(folder).map_err(BenchError::limit)?;
    let reader = index.reader_builder().reload_policy(tantivy::ReloadPolicy::Manual);
    let reader: tantivy::IndexReader = reader.try_into().map_err(BenchError::limit)?;
    std::hint::black_box(reader.searcher().num_docs());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_is_opened_with_its_tail_and_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::filled(dir.path(), 1_200, 6).unwrap();
        let pair = killed(&store).unwrap();
        assert!(pair.ours.len() >= 1 && pair.limit.len() == pair.ours.len());
        assert!(!store.scratch("growing").exists() && !store.scratch("crashed-0").exists());
        // The log that was copied is as it was.
        assert_eq!(store.open().unwrap().stats().events, 1_200);
    }
}
