//! `size`: bytes an event takes on the disk, by how many come in one commit.
//!
//! A commit of one event is a chunk of one event while the file is open, and what a sealed file makes of many such chunks
//! is what a history costs for ever. Beside it, the `mcap` crate writes the same events with its own defaults.

use serde_json::json;

use super::events::Supply;
use super::measure::number;
use super::store::{self, Store};
use super::{BenchError, Options, Row, Target, bare};

/// Events in a commit.
const COMMITS: &[usize] = &[1, 5, 20, 50, 200, 1000];
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
    Ok(Sizes {
        events: commits * commit,
        open,
        sealed: store::bytes(&store.segments()?.sealed)?,
        folder: store::bytes(&store::files(store.folder())?)?,
        limit: limit.finish()?,
    })
}

fn rows(commit: usize, sizes: &Sizes) -> [Row; 2] {
    let per_event = |bytes: u64| number(bytes) / number(sizes.events as u64);
    let row = |state: &str, bytes: u64| {
        Row::compare(format!("size {state}, commit {commit}"), "B/event", (per_event(bytes), per_event(sizes.limit)))
            .beside("the mcap crate's writer, its defaults, no index")
    };
    let raw = json!({"events": sizes.events, "bytes": {"open": sizes.open, "sealed": sizes.sealed,
        "folder": sizes.folder, "limit": sizes.limit}});
    [row("sealed", sizes.sealed).target(Target::AtMost(1.1)).raw(raw), row("open", sizes.open)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_per_event() {
        let sizes = Sizes { events: 40, open: 8_000, sealed: 6_000, folder: 6_100, limit: 5_000 };
        let [sealed, open] = rows(5, &sizes);
        assert_eq!((sealed.name.as_str(), open.name.as_str()), ("size sealed, commit 5", "size open, commit 5"));
        for (row, ours, ratio, met) in [(&sealed, 150.0, 1.2, Some(false)), (&open, 200.0, 1.6, None)] {
            assert!((row.ours - ours).abs() < 1e-9 && (row.limit - 125.0).abs() < 1e-9, "{row:?}");
            assert!((row.ratio - ratio).abs() < 1e-9 && row.met() == met, "{row:?}");
        }
    }

    #[test]
    fn a_log_and_the_file_beside_it_hold_the_same_events() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { events: 2_000, folder: dir.path().to_owned() };
        let sizes = sizes(&options, 200).unwrap();
        assert_eq!(sizes.events, 2_000);
        // Sealing adds a tail and never more than the open file held.
        assert!(sizes.sealed < 2 * sizes.open && sizes.folder >= sizes.sealed, "{} {}", sizes.sealed, sizes.open);
        // Packed, and no less than a fifth of what the texts are: both hold all of them.
        for bytes in [sizes.sealed, sizes.limit] {
            assert!((100_000..600_000).contains(&bytes), "{bytes}");
        }
    }
}
