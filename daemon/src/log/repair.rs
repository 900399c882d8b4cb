//! Writes a new log with every event of a damaged one that can be read; the old one is never touched.
//!
//! Every segment is read, written, read back and compared before the next, so one is in memory at a time. What would
//! surprise:
//!
//! - Good chunks are copied byte for byte: positions, times and topics that this version does not know stay as they are.
//! - The new log grows in a folder beside its place and is moved there once it is whole; a repair that a crash cut short
//!   is simply run again.
//! - Positions of events that were lost at the end are never given again: an empty segment keeps them taken.

use std::io;
use std::path::{Path, PathBuf};

use clone_schema::Position;
use clone_schema::segment::{self, Info, Tally};

use super::LogError;
use super::disk::Disk;
use super::forget::JOURNAL;
use super::inspect::{Inspection, inspect};
use super::lock::KEY;
use super::recover::{SKIP, parse};
use super::storage::{Storage, append};
use super::tombstones::TOMBSTONES;
use super::verify::{Source, Verification};
use super::writer::sealed_name;

/// Why a log was not repaired; the old one is as it was.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RepairError {
    /// The old log cannot be read, or the new one not be written.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The new folder holds something.
    #[error("`{0}` is not an empty folder")]
    NotEmpty(String),
    /// The new folder has no name of its own, or lies in the old log.
    #[error("`{0}` is no place for a log beside the old one")]
    Place(String),
    /// What was read back is not what was written.
    #[error("`{0}` does not read back as it was written; look at the disk")]
    Differs(String),
}

/// What a repair found and wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repaired {
    /// What the old log holds, and what of it could not be saved.
    pub found: Verification,
    /// Segments in the new log.
    pub segments: u64,
    /// Events in them.
    pub events: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Whether the key was copied; without one the daemon makes another.
    pub key: bool,
}

/// Writes what can be read of the log in `dir` into the new folder `out`; `each` is told every segment's name first.
///
/// # Errors
/// [`RepairError`]; `out` is not there then. Run it again.
pub fn repair(dir: &Path, out: &Path, mut each: impl FnMut(&str)) -> Result<Repaired, RepairError> {
    let source = Source::open(dir)?;
    let target = Target::begin(dir, out)?;
    let home = source.home();
    let mut total = (0, 0, 0);
    let found = source.read(&mut each, |found, bytes| {
        if let Some(new) = salvage(found, bytes, &home) {
            target.write(found, &new)?;
            total = (total.0 + 1, total.1 + found.events + found.unknown, total.2 + new.len() as u64);
        }
        Ok::<_, RepairError>(())
    })?;
    if let Some(taken) = taken(&found) {
        let (name, bytes) = (sealed_name(taken), sealed(taken, &home, &[]));
        target.put(&name, &bytes)?;
        total = (total.0 + 1, total.1, total.2 + bytes.len() as u64);
    }
    let key = target.key(&source)?;
    target.finish()?;
    Ok(Repaired { found, segments: total.0, events: total.1, bytes: total.2, key })
}

/// The bytes of a segment that holds every good chunk of this one; `None` where there is none.
///
/// A whole file is copied as it is. `home` is written where the file does not name its own.
#[must_use]
pub fn salvage(found: &Inspection, bytes: &[u8], home: &str) -> Option<Vec<u8>> {
    if found.whole {
        return Some(bytes.to_vec());
    }
    let mut chunks = Vec::new();
    segment::walk(bytes, found.base.0, |chunk| chunks.push(chunk.info));
    let home = segment::home(bytes).unwrap_or(home);
    let kept: Vec<(Info, &[u8])> =
        chunks.into_iter().filter_map(|info| Some((info.clone(), slice(bytes, &info)?))).collect();
    (!kept.is_empty()).then(|| sealed(found.base, home, &kept))
}

fn slice<'a>(bytes: &'a [u8], info: &Info) -> Option<&'a [u8]> {
    let start = usize::try_from(info.offset).ok()?;
    bytes.get(start..start + usize::try_from(info.length).ok()?)
}

/// A sealed segment of these chunks.
fn sealed(base: Position, home: &str, chunks: &[(Info, &[u8])]) -> Vec<u8> {
    let (mut out, mut tally) = (segment::header(home), Tally::default());
    for (info, bytes) in chunks {
        tally.add(Info { offset: out.len() as u64, ..info.clone() });
        out.extend_from_slice(bytes);
    }
    let tail = tally.tail(base.0, out.len() as u64, crc32fast::hash(&out));
    out.extend_from_slice(&tail);
    out
}

/// The position that an empty segment must take, so that no position is given twice; `None` where none is lost at the end.
fn taken(found: &Verification) -> Option<Position> {
    let last = found.segments.last()?;
    let known = found.segments.iter().filter_map(|segment| segment.positions).map(|(_, last)| last.next()).max();
    let head = known.unwrap_or(Position(0));
    (last.lost_at_end > 0).then(|| Position(head.max(last.base).0 + last.lost_at_end.max(SKIP) - 1))
}

/// The new log while it grows.
struct Target {
    staging: PathBuf,
    out: PathBuf,
    disk: Disk,
}

impl Target {
    /// Makes the folder that the new log grows in, afresh.
    fn begin(dir: &Path, out: &Path) -> Result<Self, RepairError> {
        let (staging, out) = (beside(dir, out)?, out.to_owned());
        match std::fs::read_dir(&out).map(|mut entries| entries.next().is_none()) {
            Ok(true) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            _ => return Err(RepairError::NotEmpty(out.display().to_string())),
        }
        clear(&staging)?;
        let disk = Disk::open(&staging).map_err(|error| LogError::io("make", staging.display().to_string(), error))?;
        Ok(Self { staging, out, disk })
    }

    /// Writes a segment and reads it back.
    fn write(&self, found: &Inspection, bytes: &[u8]) -> Result<(), RepairError> {
        let name = sealed_name(found.base);
        self.put(&name, bytes)?;
        let back = self.disk.read(&name).map_err(|error| LogError::io("read", &name, error))?;
        let again = inspect(&name, &back);
        let same = back == bytes && again.is_some_and(|again| again.whole && again.digest == found.digest);
        if same { Ok(()) } else { Err(RepairError::Differs(self.disk.path(&name).display().to_string())) }
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), LogError> {
        let write = || {
            let file = self.disk.create(name)?;
            append(&*file, bytes)?;
            file.sync()
        };
        write().map_err(|error| LogError::io("write", self.disk.path(name).display().to_string(), error))
    }

    /// Copies the key where it is a good one, with what only it opens: what was forgotten, and what is being forgotten.
    fn key(&self, source: &Source) -> Result<bool, LogError> {
        let Some(key) = source.disk.read(KEY).ok().filter(|key| key.len() == 32) else { return Ok(false) };
        // Without tombstones the log is folded anew, which finds them again; without the journal all would be shown again.
        if let Ok(stones) = source.disk.read(TOMBSTONES) {
            self.put(TOMBSTONES, &stones)?;
        }
        match source.disk.read(JOURNAL) {
            Ok(journal) => self.put(JOURNAL, &journal)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(LogError::io("read", JOURNAL, error)),
        }
        self.put(KEY, &key).map(|()| true)
    }

    /// Moves the new log to its place.
    fn finish(&self) -> Result<(), LogError> {
        let parent = self.out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let place = || {
            self.disk.sync_dir("")?;
            // An empty folder gives way; anything else does not.
            std::fs::rename(&self.staging, &self.out)?;
            Disk::at(parent).sync_dir("")
        };
        place().map_err(|error| LogError::io("make", self.out.display().to_string(), error))
    }
}

/// The folder that the new log grows in: in the same folder as its place, so that moving it is one step.
fn beside(dir: &Path, out: &Path) -> Result<PathBuf, RepairError> {
    let wrong = || RepairError::Place(out.display().to_string());
    let mut name = out.file_name().ok_or_else(wrong)?.to_owned();
    name.push(".unfinished");
    let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let real =
        |path: &Path| path.canonicalize().map_err(|error| LogError::io("find", path.display().to_string(), error));
    if real(parent)?.starts_with(real(dir)?) {
        return Err(wrong());
    }
    Ok(parent.join(name))
}

/// Removes what an earlier repair left, file by file, and nothing that a repair does not write.
fn clear(staging: &Path) -> Result<(), RepairError> {
    let disk = Disk::at(staging);
    let failed = |error| LogError::io("clear", staging.display().to_string(), error);
    let names = match disk.list("") {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        names => names.map_err(failed)?,
    };
    let ours = |name: &String| [KEY, TOMBSTONES, JOURNAL].contains(&&**name) || parse(name.clone()).is_some();
    if !names.iter().all(ours) {
        return Err(RepairError::NotEmpty(staging.display().to_string()));
    }
    names.iter().try_for_each(|name| disk.remove(name)).map_err(failed)?;
    std::fs::remove_dir(staging).map_err(failed)?;
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::tests::{FIRST_OPEN, FIRST_SEALED, assert_events, copy, entries, entry, folder, names, open};
    use super::super::verify::verify;
    use super::*;

    /// A log of two segments: four events in two chunks each.
    fn two() -> tempfile::TempDir {
        let dir = folder();
        for number in 0..2 {
            let (log, _) = open(dir.path());
            for half in 0..2 {
                let first = number * 4 + half * 2;
                log.append(entries(first..first + 2)).unwrap();
            }
            log.close().unwrap();
        }
        dir
    }

    fn repaired(dir: &Path) -> (tempfile::TempDir, PathBuf, Repaired) {
        let around = folder();
        let out = around.path().join("new");
        let told = repair(dir, &out, |_| {}).unwrap();
        (around, out, told)
    }

    fn flip(path: &Path, at: usize) {
        let mut bytes = std::fs::read(path).unwrap();
        bytes[at] ^= 1;
        std::fs::write(path, bytes).unwrap();
    }

    fn ids(dir: &Path) -> Vec<(u64, String)> {
        let (log, _) = open(dir);
        let records = log.scan(Position(0), usize::MAX).unwrap();
        records.into_iter().map(|record| (record.position.0, record.id)).collect()
    }

    #[test]
    fn what_is_being_forgotten_is_not_shown_by_the_new_log_either() {
        let dir = two();
        let (log, _) = open(dir.path());
        let erasure = super::super::Erasure {
            id: "erasure".to_owned(),
            at: super::super::tests::clock(),
            by: "person".to_owned(),
            runs: vec![(1, 2)],
            upto: log.head(),
            stones: Vec::new(),
            withdrawn: Vec::new(),
            files: Vec::new(),
            holds: crate::log::Holds::Forever,
            items: Vec::new(),
        };
        log.begin_erasure(&erasure).unwrap();
        log.close().unwrap();
        let (_around, out, _) = repaired(dir.path());
        let (log, _) = open(&out);
        assert_eq!(log.erasure(), Some(erasure));
        let shown: Vec<u64> = log.scan(Position(0), 9).unwrap().iter().map(|record| record.position.0).collect();
        assert_eq!(shown, [0, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn a_whole_log_is_copied_byte_for_byte() {
        let dir = two();
        let (_around, out, told) = repaired(dir.path());
        assert!(told.found.is_clean() && told.key);
        assert_eq!((told.segments, told.events), (2, 8));
        for name in names(dir.path()).iter().map(String::as_str).chain([KEY]) {
            assert_eq!(std::fs::read(dir.path().join(name)).unwrap(), std::fs::read(out.join(name)).unwrap(), "{name}");
        }
        assert_eq!(names(dir.path()), names(&out));
    }

    #[test]
    fn all_but_the_damaged_chunk_is_saved_at_its_position() {
        let dir = two();
        let (log, _) = open(dir.path());
        let place = log.locate(Position(1)).unwrap();
        drop(log);
        flip(&dir.path().join(FIRST_SEALED), place.offset as usize + 60);
        let before = std::fs::read(dir.path().join(FIRST_SEALED)).unwrap();
        let (_around, out, told) = repaired(dir.path());
        assert_eq!((told.found.damaged.len(), told.events), (2, 6));
        assert_eq!(before, std::fs::read(dir.path().join(FIRST_SEALED)).unwrap(), "the old log is not touched");
        assert!(verify(&out, |_| {}).unwrap().is_clean());
        let expected: Vec<(u64, String)> = (2..8).map(|number| (number, entry(number).id)).collect();
        assert_eq!(ids(&out), expected);
        assert_eq!(ids(dir.path()), expected, "the daemon reads the same of the old one");
    }

    #[test]
    fn an_open_file_is_sealed_and_its_torn_tail_left_behind() {
        let (dir, crashed) = (folder(), folder());
        let (log, _) = open(dir.path());
        log.append(entries(0..3)).unwrap();
        copy(dir.path(), crashed.path());
        let path = crashed.path().join(FIRST_OPEN);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend_from_slice(&[6, 200, 0, 0]);
        std::fs::write(&path, bytes).unwrap();
        let (_around, out, told) = repaired(crashed.path());
        assert!(told.found.is_clean() && told.found.notes[0].what.contains("cut short"), "{told:?}");
        assert_eq!(names(&out), [FIRST_SEALED]);
        assert_events(&open(&out).0, 0..3);
    }

    #[test]
    fn positions_of_what_was_lost_at_the_end_are_never_given_again() {
        let dir = two();
        let last = names(dir.path()).pop().unwrap();
        let path = dir.path().join(last);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..200]).unwrap();
        let (_around, out, told) = repaired(dir.path());
        assert_eq!((told.found.missing.len(), told.events), (1, 4));
        for _ in 0..2 {
            let (log, recovery) = open(&out);
            assert!(recovery.damaged.is_empty() && recovery.torn.is_empty(), "{recovery:?}");
            assert!(log.head().0 > 8, "{}", log.head());
            log.append(vec![entry(log.head().0)]).unwrap();
            log.close().unwrap();
        }
        let positions: Vec<u64> = ids(&out).into_iter().map(|(position, _)| position).collect();
        assert_eq!(positions, [0, 1, 2, 3, 4 + SKIP, 5 + SKIP]);
        assert!(verify(&out, |_| {}).unwrap().is_clean());
    }

    #[test]
    fn a_repair_that_was_cut_short_is_run_again_and_nothing_foreign_is_removed() {
        let dir = two();
        let around = folder();
        let (out, staging) = (around.path().join("new"), around.path().join("new.unfinished"));
        std::fs::create_dir(&staging).unwrap();
        std::fs::write(staging.join(FIRST_SEALED), b"half").unwrap();
        std::fs::create_dir(&out).unwrap();
        assert_eq!(repair(dir.path(), &out, |_| {}).unwrap().events, 8);
        assert!(!staging.exists());
        assert!(matches!(repair(dir.path(), &out, |_| {}), Err(RepairError::NotEmpty(_))));
        std::fs::create_dir(&staging).unwrap();
        std::fs::write(staging.join("letter.txt"), b"dear").unwrap();
        std::fs::remove_dir_all(&out).unwrap();
        assert!(matches!(repair(dir.path(), &out, |_| {}), Err(RepairError::NotEmpty(_))));
        assert!(staging.join("letter.txt").exists() && !out.exists());
    }

    #[test]
    fn the_new_log_lies_beside_the_old_one() {
        let dir = two();
        for out in [dir.path().join("new"), PathBuf::from("/"), dir.path().join("..")] {
            assert!(matches!(repair(dir.path(), &out, |_| {}), Err(RepairError::Place(_))), "{}", out.display());
        }
        assert!(matches!(repair(dir.path(), dir.path(), |_| {}), Err(RepairError::NotEmpty(_))));
    }

    #[test]
    fn what_does_not_read_back_as_the_old_file_is_told() {
        let dir = two();
        let found = verify(dir.path(), |_| {}).unwrap().segments;
        let bytes = |at: usize| std::fs::read(dir.path().join(&found[at].name)).unwrap();
        let around = folder();
        let target = Target::begin(dir.path(), &around.path().join("new")).unwrap();
        target.write(&found[0], &bytes(0)).unwrap();
        let other = Inspection { digest: found[0].digest, ..found[1].clone() };
        assert!(matches!(target.write(&other, &bytes(1)), Err(RepairError::Differs(_))));
    }

    #[test]
    fn a_key_that_is_none_is_left_out() {
        let dir = two();
        std::fs::write(dir.path().join(KEY), b"short").unwrap();
        let (_around, out, told) = repaired(dir.path());
        assert!(!told.key && !out.join(KEY).exists());
        assert_events(&open(&out).0, 0..8);
    }
}
