//! A log that the bench itself wrote, in a scratch folder.
//!
//! Only the public face of the log and the names of its files are used, so that the benches run on whatever the log is
//! inside. Sealed files are never written again by anybody: a copy of a log shares them by hard links.

use std::path::{Path, PathBuf};

use crate::clock;
use crate::log::{self, Log};

use super::events::Supply;
use super::{BATCH, BenchError, Home};
use crate::dice::Dice;

/// About how many ids are remembered of a log, however long it is.
const SAMPLE: usize = 20_000;

/// A scratch folder with a log in it; gone when the bench is over.
pub(super) struct Store {
    home: Home,
    /// Some of the ids that were written, in the order of their positions.
    pub(super) ids: Vec<String>,
    /// How many events were written.
    pub(super) events: usize,
}

/// The files of a log.
#[derive(Debug, Default)]
pub(super) struct Segments {
    pub(super) sealed: Vec<PathBuf>,
    pub(super) open: Vec<PathBuf>,
}

impl Store {
    /// A folder that holds no log yet.
    pub(super) fn new(folder: &Path) -> Result<Self, BenchError> {
        Ok(Self { home: Home::new(folder)?, ids: Vec::new(), events: 0 })
    }

    /// A log of so many events, a thousand a commit, that was closed.
    pub(super) fn filled(folder: &Path, events: usize, seed: u64) -> Result<Self, BenchError> {
        let mut store = Self::new(folder)?;
        let (log, mut supply, mut dice) = (store.open()?, Supply::new(seed), Dice::new(seed));
        for count in batches(events) {
            let entries = supply.entries(count);
            store.remember(&entries, events, &mut dice);
            log.append(entries)?;
        }
        log.close()?;
        Ok(store)
    }

    /// Counts events that are written, and remembers some ids of the `events` that there will be.
    pub(super) fn remember(&mut self, entries: &[log::Entry], events: usize, dice: &mut Dice) {
        let one_in = (events / SAMPLE).max(1);
        self.ids.extend(entries.iter().filter(|_| dice.below(one_in) == 0).map(|entry| entry.id.clone()));
        self.events += entries.len();
    }

    pub(super) fn folder(&self) -> &Path {
        &self.home.paths.log
    }

    /// A file or folder of the bench's own, on the same disk.
    pub(super) fn scratch(&self, name: &str) -> PathBuf {
        self.home.scratch(name)
    }

    pub(super) fn open(&self) -> Result<Log, BenchError> {
        open(self.folder())
    }

    pub(super) fn segments(&self) -> Result<Segments, BenchError> {
        segments(self.folder())
    }
}

/// Opens a log with the usual options.
pub(super) fn open(folder: &Path) -> Result<Log, BenchError> {
    Ok(Log::open(folder, log::Options::new("bench", clock::now))?.0)
}

/// So many events in batches of a thousand.
pub(super) fn batches(events: usize) -> impl Iterator<Item = usize> {
    (0..events).step_by(BATCH).map(move |done| BATCH.min(events - done))
}

/// The files of the log in a folder, in the order of their positions.
pub(super) fn segments(folder: &Path) -> Result<Segments, BenchError> {
    let mut out = Segments::default();
    for path in files(folder)? {
        match path.file_name().and_then(|name| name.to_str()) {
            Some(name) if name.ends_with(".open.mcap") => out.open.push(path),
            Some(name) if name.ends_with(".mcap") => out.sealed.push(path),
            _ => {}
        }
    }
    Ok(out)
}

/// Every file right in a folder, by name.
pub(super) fn files(folder: &Path) -> Result<Vec<PathBuf>, BenchError> {
    let listed = std::fs::read_dir(folder).and_then(|entries| {
        let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
        Ok(paths.into_iter().filter(|path| path.is_file()).collect::<Vec<_>>())
    });
    let mut paths = listed.map_err(BenchError::io("list the log"))?;
    paths.sort();
    Ok(paths)
}

/// The bytes of some files together.
pub(super) fn bytes<'a>(paths: impl IntoIterator<Item = &'a PathBuf>) -> Result<u64, BenchError> {
    let lengths = paths.into_iter().map(|path| path.metadata().map(|meta| meta.len()));
    lengths.sum::<Result<u64, _>>().map_err(BenchError::io("measure the log"))
}

/// Copies a log as a crash at this moment would leave it; its writer may go on.
pub(super) fn copy(from: &Path, to: &Path) -> Result<(), BenchError> {
    std::fs::create_dir_all(to).map_err(BenchError::io("make a scratch folder"))?;
    let sealed = segments(from)?.sealed;
    for path in files(from)? {
        let target = to.join(path.file_name().unwrap_or_default());
        let copied = match sealed.contains(&path) {
            true => std::fs::hard_link(&path, target),
            false => std::fs::copy(&path, target).map(drop),
        };
        copied.map_err(BenchError::io("copy the log"))?;
    }
    Ok(())
}

/// Removes a copy.
pub(super) fn remove(folder: &Path) -> Result<(), BenchError> {
    std::fs::remove_dir_all(folder).map_err(BenchError::io("remove a copy of the log"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_batches_of_a_thousand_and_a_rest() {
        for (events, expected) in [(0, vec![]), (999, vec![999]), (1000, vec![1000]), (2001, vec![1000, 1000, 1])] {
            assert_eq!(batches(events).collect::<Vec<_>>(), expected, "{events}");
        }
    }

    #[test]
    fn a_copy_of_a_growing_log_opens_with_all_that_was_acked() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::filled(dir.path(), 1500, 1).unwrap();
        assert_eq!((store.events, store.ids.len(), store.segments().unwrap().open.len()), (1500, 1500, 0));
        let log = store.open().unwrap();
        log.append(Supply::new(2).entries(10)).unwrap();
        let crashed = store.scratch("crashed");
        copy(store.folder(), &crashed).unwrap();
        let left = segments(&crashed).unwrap();
        assert_eq!((left.sealed.len(), left.open.len()), (1, 1));
        let reopened = open(&crashed).unwrap();
        assert_eq!(reopened.stats().events, 1510);
        assert!(store.ids.iter().all(|id| reopened.position(id).is_some()));
        drop(reopened);
        remove(&crashed).unwrap();
        assert!(!crashed.exists() && store.folder().exists());
    }
}
