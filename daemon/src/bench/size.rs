//! `size`: bytes an event takes on the disk, by how many come in one commit.
//!
//! A commit of one event is a chunk of one event while the file is open, and what a sealed file makes of many such chunks
//! is what a history costs for ever: it is told right after sealing, and once the log has packed what it packs in its idle
//! time. Beside it, the `mcap` crate writes the same events with its own defaults.

use std::path::Path;
use std::time::{Duration, Instant};

use clone_schema::Position;
use serde_json::json;

use super::events::Supply;
use super::measure::number;
use super::store::{self, Store};
use super::{BenchError, Options, Row, Target, bare};
use crate::clock;
use crate::log::{self, Log};

/// Events in a commit.
const COMMITS: &[usize] = &[1, 5, 20, 50, 200, 1000];
/// How long packing a log of this bench may take.
const GIVE_UP: Duration = Duration::from_secs(300);
/// Between two looks whether it is over.
const PAUSE: Duration = Duration::from_millis(5);
/// The most commits of one kind: each is a sync.
const MOST: usize = 4_000;

pub(super) fn run(options: &Options) -> Result<Vec<Row>, BenchError> {
    let mut out = Vec::new();
    for commit in COMMITS {
        let sizes = sizes(options, *commit)?;
        out.extend(rows(*commit, &sizes));
    }
    Ok(out)
}

/// Bytes of one log and of the file beside it.
struct Sizes {
    events: usize,
    /// Of the segments while the last is open.
    open: u64,
    /// Of the segments once all are sealed.
    sealed: u64,
    /// Of the same once they are packed.
    packed: u64,
    /// Of everything in the folder then.
    folder: u64,
    limit: u64,
}

fn sizes(options: &Options, commit: usize) -> Result<Sizes, BenchError> {
    let store = Store::new(&options.folder)?;
    let mut limit = bare::Writer::create(&store.scratch("bare.mcap"), bare::defaults())?;
    let (log, mut supply) = (store.open()?, Supply::new(31));
    let commits = (options.events / commit).clamp(1, MOST);
    for _ in 0..commits {
        let entries = supply.entries(commit);
        limit.write(entries.iter().map(|entry| &*entry.json))?;
        log.append(entries)?;
    }
    let now = store.segments()?;
    let open = store::bytes(now.sealed.iter().chain(&now.open))?;
    log.close()?;
    let events = commits * commit;
    let sealed = store::bytes(&store.segments()?.sealed)?;
    let folder = store::bytes(&store::files(store.folder())?)?;
    Ok(Sizes { events, open, sealed, packed: packed(&store, &mut supply)?, folder, limit: limit.finish()? })
}

/// Has the log pack what it packs, and says how many bytes the segments of before take then.
///
/// The log packs when a segment was sealed: after the id block of that segment is written, and before that of the next one
/// is. So three more commits, a segment each, and a look at two blocks say when it is over.
fn packed(store: &Store, supply: &mut Supply) -> Result<u64, BenchError> {
    let before = store.segments()?.sealed;
    let mut options = log::Options::new("bench", clock::now);
    options.roll_bytes = 1;
    let log = Log::open(store.folder(), options)?.0;
    let mut one = || -> Result<Position, BenchError> {
        let first = log.append(supply.entries(1))?.first().map(|appended| appended.position);
        first.ok_or_else(|| BenchError::Lost("an append without an answer".to_owned()))
    };
    let mut last = one()?;
    for _ in 0..2 {
        let next = one()?;
        wait_for(&store.folder().join(format!("{:020}.ids", last.0)))?;
        last = next;
    }
    log.close()?;
    store::bytes(before.iter().filter(|path| path.exists()))
}

/// Waits until a file is there.
fn wait_for(path: &Path) -> Result<(), BenchError> {
    let start = Instant::now();
    while !path.exists() {
        if start.elapsed() > GIVE_UP {
            return Err(BenchError::Lost(format!("`{}` never came", path.display())));
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

fn rows(commit: usize, sizes: &Sizes) -> [Row; 3] {
    let per_event = |bytes: u64| number(bytes) / number(sizes.events as u64);
    let row = |state: &str, bytes: u64| {
        Row::compare(format!("size {state}, commit {commit}"), "B/event", (per_event(bytes), per_event(sizes.limit)))
            .beside("the mcap crate's writer, its defaults, no index")
    };
    let raw = json!({"events": sizes.events, "bytes": {"open": sizes.open, "sealed": sizes.sealed,
        "packed": sizes.packed, "folder": sizes.folder, "limit": sizes.limit}});
    let sealed = row("sealed", sizes.sealed).target(Target::AtMost(1.1));
    [row("open", sizes.open).raw(raw), sealed, row("packed", sizes.packed).target(Target::AtMost(1.1))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_per_event() {
        let sizes = Sizes { events: 40, open: 8_000, sealed: 6_000, packed: 5_500, folder: 6_100, limit: 5_000 };
        let rows = rows(5, &sizes);
        let names = rows.each_ref().map(|row| row.name.as_str());
        assert_eq!(names, ["size open, commit 5", "size sealed, commit 5", "size packed, commit 5"]);
        let expected = [(200.0, 1.6, None), (150.0, 1.2, Some(false)), (137.5, 1.1, Some(true))];
        for (row, (ours, ratio, met)) in rows.iter().zip(expected) {
            assert!((row.ours - ours).abs() < 1e-9 && (row.limit - 125.0).abs() < 1e-9, "{row:?}");
            assert!((row.ratio - ratio).abs() < 1e-9 && row.met() == met, "{row:?}");
        }
    }

    #[test]
    fn a_log_and_the_file_beside_it_hold_the_same_events() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { events: 2_000, folder: dir.path().to_owned() };
        let sizes = super::sizes(&options, 200).unwrap();
        assert_eq!(sizes.events, 2_000);
        // Sealing adds a tail and never more than the open file held.
        assert!(sizes.sealed < 2 * sizes.open && sizes.folder >= sizes.sealed, "{} {}", sizes.sealed, sizes.open);
        // Packed, and no less than a fifth of what the texts are: both hold all of them.
        for bytes in [sizes.sealed, sizes.limit] {
            assert!((100_000..600_000).contains(&bytes), "{bytes}");
        }
        // A chunk of 200 events is packed well enough already, so those of one event are what is looked at.
        let loose = super::sizes(&options, 1).unwrap();
        assert!(loose.packed < loose.sealed / 2, "{} {}", loose.packed, loose.sealed);
    }
}
