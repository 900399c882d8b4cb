//! Reads a whole log without changing it and says what is there, what is damaged, and what is odd.
//!
//! One segment is in memory at a time. The lock is held meanwhile, so no daemon runs on the log. What would surprise:
//!
//! - Nothing is cleaned up, so what a crash left is told and stays; the next start of the daemon deals with it.
//! - Two files may hold the same positions after a failed sync: the log wrote the batch again, and the later one counts.

use std::io;
use std::path::Path;

use clone_schema::{Position, Timestamp, segment};

use super::disk::Disk;
use super::forget::JOURNAL;
use super::ids::check_block;
use super::inspect::{Inspection, Missing, inspect};
use super::lock::{self, KEY, LOCK};
use super::pack::merged;
use super::recover::parse;
use super::storage::{Lock, Storage};
use super::tombstones::TOMBSTONES;
use super::writer::sealed_name;
use super::{Damage, LogError, QUARANTINE};

/// Enough of a file to hold its header, in bytes.
const HEADER_BYTES: usize = 4096;

/// What a log holds and what is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// Every segment file in the order of its positions.
    pub segments: Vec<Inspection>,
    /// Every range that is not as it was written, and every file that cannot be read.
    pub damaged: Vec<Damage>,
    /// Positions that were given and cannot be read.
    pub missing: Vec<Missing>,
    /// What is odd and costs no event.
    pub notes: Vec<Note>,
}

/// Something odd that costs no event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The file.
    pub name: String,
    /// What is odd about it.
    pub what: String,
}

impl Verification {
    /// Whether nothing is lost or damaged.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.damaged.is_empty() && self.missing.is_empty()
    }

    /// Readable events; those that two files hold count twice.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.segments.iter().map(|segment| segment.events).sum()
    }

    /// Bytes in the segments.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    fn note(&mut self, name: impl Into<String>, what: impl Into<String>) {
        self.notes.push(Note { name: name.into(), what: what.into() });
    }
}

/// Reads every byte of the log in `dir`; `each` is told the name of every segment before it is read.
///
/// # Errors
/// [`LogError::Locked`] while a daemon holds it, [`LogError::NoLog`], or the file system's.
pub fn verify(dir: &Path, mut each: impl FnMut(&str)) -> Result<Verification, LogError> {
    let source = Source::open(dir)?;
    source.read(&mut each, |_, _| Ok(()))
}

/// A file that packing has not moved into its place yet; it stands for the segments from `base` to `last`.
struct Packed {
    base: Position,
    last: Position,
    name: String,
    /// Where it is not, what it was made of counts.
    whole: bool,
}

/// A log that nobody else may open while this lives.
pub(super) struct Source {
    pub(super) disk: Disk,
    names: Vec<String>,
    /// Packed files that a crash left beside what they were made of, and whether each counts.
    packed: Vec<Packed>,
    _lock: Option<Lock>,
}

impl Source {
    pub(super) fn open(dir: &Path) -> Result<Self, LogError> {
        let disk = Disk::at(dir);
        let names = || disk.list("").map_err(|error| LogError::io("list", dir.display().to_string(), error));
        // Looked at first, because the lock makes a file.
        if !names()?.iter().any(|name| name == KEY || parse(name.clone()).is_some() || merged(name).is_some()) {
            return Err(LogError::NoLog(dir.display().to_string()));
        }
        let lock = match lock::hold(&disk) {
            Ok(lock) => Some(lock),
            // Nobody can write there, so nobody needs to be kept out.
            Err(LogError::Io { source, .. }) if source.kind() == io::ErrorKind::ReadOnlyFilesystem => None,
            Err(error) => return Err(error),
        };
        let names = names()?;
        let packed = names.iter().filter_map(|name| Packed::read(&disk, name)).collect();
        Ok(Self { disk, names, packed, _lock: lock })
    }

    /// The segments that count, in order: their first position, the name to read them by, and the file.
    ///
    /// An open file is passed over where a recovery wrote it anew, and a sealed one where a packed file stands for it.
    fn segments(&self) -> Vec<(Position, String, String)> {
        let mut files: Vec<_> = self.names.iter().cloned().filter_map(parse).collect();
        files.retain(|(base, open, _)| !(*open && self.names.contains(&sealed_name(*base))));
        let packed = || self.packed.iter().filter(|packed| packed.whole);
        files.retain(|(base, open, _)| *open || !packed().any(|one| (one.base..=one.last).contains(base)));
        let mut out: Vec<_> = files.into_iter().map(|(base, _, name)| (base, name.clone(), name)).collect();
        out.extend(packed().map(|one| (one.base, sealed_name(one.base), one.name.clone())));
        out.sort();
        out
    }

    /// The id of the home, from the first file that names it.
    pub(super) fn home(&self) -> String {
        let start = |name: &str| {
            let length = usize::try_from(self.disk.length(name).ok()?).ok()?;
            self.disk.read_at(name, 0, length.min(HEADER_BYTES)).ok()
        };
        let named = |(_, _, name): (Position, String, String)| Some(segment::home(&start(&name)?)?.to_owned());
        self.segments().into_iter().find_map(named).unwrap_or_else(|| "unknown".to_owned())
    }

    /// Reads everything; `found` is given every segment with its bytes.
    pub(super) fn read<E: From<LogError>>(
        &self,
        mut before: impl FnMut(&str),
        mut found: impl FnMut(&Inspection, &[u8]) -> Result<(), E>,
    ) -> Result<Verification, E> {
        let mut out = Verification::default();
        for (_, alias, name) in self.segments() {
            before(&name);
            let bytes = match self.disk.read(&name) {
                Ok(bytes) => bytes,
                Err(error) if is_ours(&error) => return Err(LogError::io("read", name, error).into()),
                Err(error) => {
                    out.damaged.push(whole(&name, format!("the file cannot be read: {error}")));
                    continue;
                }
            };
            if let Some(inspection) = inspect(&alias, &bytes) {
                let inspection = Inspection { name, ..inspection };
                found(&inspection, &bytes)?;
                out.segments.push(inspection);
            }
        }
        gather(&mut out);
        self.key(&mut out)?;
        self.others(&mut out)?;
        Ok(out)
    }

    fn key(&self, out: &mut Verification) -> Result<(), LogError> {
        let reason = match self.disk.read(KEY) {
            Ok(bytes) if bytes.len() == 32 => return Ok(()),
            Ok(bytes) => format!("the key has {} bytes and not 32; restore it from a backup", bytes.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                "the key is missing; restore it from a backup, or what was forgotten may come back".to_owned()
            }
            Err(error) => return Err(LogError::io("read", KEY, error)),
        };
        out.damaged.push(whole(KEY, reason));
        Ok(())
    }

    /// Notes every name that is neither a segment that counts nor the key.
    fn others(&self, out: &mut Verification) -> Result<(), LogError> {
        for name in &self.names {
            match name.as_str() {
                LOCK | KEY | TOMBSTONES => {}
                QUARANTINE => self.quarantine(out)?,
                _ => match parse(name.clone()) {
                    Some((base, true, _)) if self.names.contains(&sealed_name(base)) => {
                        out.note(name, "a recovery wrote it anew; the next start of the daemon removes it");
                    }
                    Some(_) => {}
                    None => out.notes.extend(other(name).or_else(|| self.block(name))),
                },
            }
        }
        for packed in self.packed.iter().filter(|packed| !packed.whole) {
            let reason = "a packed file went bad before it was in its place; what it was made of may be gone";
            out.damaged.push(whole(&packed.name, reason.to_owned()));
        }
        Ok(())
    }

    /// What is wrong with an id block.
    fn block(&self, name: &str) -> Option<Note> {
        let stem = name.strip_suffix(".ids")?;
        let wrong = match self.disk.read(name) {
            Ok(bytes) => check_block(&bytes).err()?.to_owned(),
            Err(error) => error.to_string(),
        };
        let what = format!("the id block of `{stem}.mcap` is made anew by the next start: {wrong}");
        Some(Note { name: name.to_owned(), what })
    }

    fn quarantine(&self, out: &mut Verification) -> Result<(), LogError> {
        let failed = |error| LogError::io("list", QUARANTINE, error);
        for name in self.disk.list(QUARANTINE).map_err(failed)? {
            let name = format!("{QUARANTINE}/{name}");
            let bytes = self.disk.length(&name).map_err(failed)?;
            out.note(name, format!("{bytes} bytes that a recovery cut off and kept"));
        }
        Ok(())
    }
}

impl Packed {
    fn read(disk: &Disk, name: &str) -> Option<Self> {
        let (base, last) = merged(name)?;
        let found = disk.read(name).ok().and_then(|bytes| inspect(&sealed_name(base), &bytes));
        Some(Self { base, last, name: name.to_owned(), whole: found.is_some_and(|found| found.whole) })
    }
}

/// Whether a failure to read says something about us and not about the file.
fn is_ours(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::NotFound | io::ErrorKind::OutOfMemory)
}

fn whole(name: &str, reason: String) -> Damage {
    Damage { segment: name.to_owned(), offset: 0, bytes: 0, reason, from: None, to: None }
}

/// What a file is that is no segment; `None` for one that belongs here.
fn other(name: &str) -> Option<Note> {
    let digits = name.get(..20).is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let what = match (name, name.get(20..)) {
        ("probe", _) => "a log that could not write tried the disk with it; nothing reads it",
        (JOURNAL, _) => "something is being forgotten; the next start of the daemon goes on with it",
        ("ERASE.new" | "TOMBSTONES.new", _) => "it was never finished; nothing reads it",
        ("KEY.new", _) => "a key that was never finished; nothing reads it",
        // Ids beside their segment are derived, and made anew where they are missing or wrong.
        (_, Some(".ids")) if digits => return None,
        _ if merged(name).is_some() => return None,
        (_, Some(".ids.new" | ".packed" | ".erased")) if digits => {
            "work that a crash cut short; the next start removes it"
        }
        (_, Some(".recovered")) if digits => "a recovery that was cut short; the next one writes it anew",
        _ if name.ends_with(".mcap") => "the name is not that of a segment, so its events are not read",
        _ => "the name is not one of the log's; nothing reads it",
    };
    Some(Note { name: name.to_owned(), what: what.to_owned() })
}

/// Puts together what the files say, and what is odd between them.
fn gather(out: &mut Verification) {
    let segments = std::mem::take(&mut out.segments);
    for (at, segment) in segments.iter().enumerate() {
        let (before, after) = (recorded(&segments[..at], true), recorded(&segments[at + 1..], false));
        for damage in &segment.damaged {
            out.damaged.push(bounded(damage, segment, before, after));
        }
        let next = segments.get(at + 1).map(|next| next.base);
        for missing in &segment.missing {
            let last = missing.last.or_else(|| Some(Position(next?.0.checked_sub(1)?)));
            if last.is_none_or(|last| last >= missing.first) {
                out.missing.push(Missing { last, ..missing.clone() });
            }
        }
        if segment.cut_short > 0 {
            let what =
                format!("its last {} bytes are a write that a crash cut short; nobody was told", segment.cut_short);
            out.note(&segment.name, what);
        }
        if segment.unknown > 0 {
            let what = format!("{} events are of topics that this version does not know", segment.unknown);
            out.note(&segment.name, what);
        }
    }
    between(out, &segments);
    out.segments = segments;
}

/// When the nearest event of these segments was recorded: the last one's end, or the first one's start.
fn recorded(segments: &[Inspection], last: bool) -> Option<Timestamp> {
    let mut spans = segments.iter().filter_map(|segment| segment.recorded);
    if last { spans.next_back().map(|span| span.1) } else { spans.next().map(|span| span.0) }
}

/// A damage at the rim of a file lies between the events of the files around it.
fn bounded(damage: &Damage, segment: &Inspection, before: Option<Timestamp>, after: Option<Timestamp>) -> Damage {
    let mut out = damage.clone();
    let told = out.from.is_some() || out.to.is_some() || segment.missing.iter().any(|missing| missing.last.is_none());
    // One over all data tells of no lost event.
    if told && (out.offset > 0 || segment.chunks == 0) {
        out.from = out.from.or(before);
        out.to = out.to.or(after);
    }
    out
}

/// Notes where the positions of two files overlap or leave a gap.
fn between(out: &mut Verification, segments: &[Inspection]) {
    let mut head: Option<(Position, &str)> = None;
    for segment in segments {
        let expected = head.map_or(Position(0), |(last, _)| last.next());
        if let (Some((last, earlier)), true) = (head, segment.base < expected) {
            let what =
                format!("positions {} to {last} are in `{earlier}` as well; the later file counts", segment.base);
            out.note(&segment.name, what);
        }
        let known = out.missing.iter().any(|gap| gap.first == expected);
        if segment.base > expected && !known {
            let until = segment.base.0 - 1;
            let what = format!("positions {expected} to {until} are in no file: they were skipped, or a file is gone");
            out.note(&segment.name, what);
        }
        if let Some((_, last)) = segment.positions
            && head.is_none_or(|(known, _)| last > known)
        {
            head = Some((last, &segment.name));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::tests::{FIRST_SEALED, entries, folder, open};
    use super::*;

    /// A log of three segments of four events each.
    fn three() -> tempfile::TempDir {
        let dir = folder();
        for number in 0..3 {
            let (log, _) = open(dir.path());
            for half in 0..2 {
                let first = number * 4 + half * 2;
                log.append(entries(first..first + 2)).unwrap();
            }
            log.close().unwrap();
        }
        dir
    }

    fn found(dir: &Path) -> Verification {
        verify(dir, |_| {}).unwrap()
    }

    #[test]
    fn a_log_that_was_closed_is_clean() {
        let dir = three();
        let mut read = Vec::new();
        let told = verify(dir.path(), |name| read.push(name.to_owned())).unwrap();
        assert!(told.is_clean() && told.notes.is_empty(), "{told:?}");
        assert_eq!((told.events(), told.segments.len(), read.len()), (12, 3, 3));
        assert_eq!(told.bytes(), told.segments.iter().map(|segment| segment.bytes).sum::<u64>());
    }

    #[test]
    fn a_held_log_and_a_folder_without_one_are_refused() {
        let dir = folder();
        assert!(matches!(verify(dir.path(), |_| {}), Err(LogError::NoLog(_))));
        assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none(), "looking leaves nothing behind");
        assert!(matches!(verify(&dir.path().join("none"), |_| {}), Err(LogError::Io { .. })));
        let (_log, _) = open(dir.path());
        assert!(matches!(verify(dir.path(), |_| {}), Err(LogError::Locked { .. })));
    }

    #[test]
    fn damage_at_the_end_of_a_file_lies_between_it_and_the_next() {
        let dir = three();
        let path = dir.path().join(FIRST_SEALED);
        let bytes = std::fs::read(&path).unwrap();
        let whole = found(dir.path());
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let told = found(dir.path());
        let damage = &told.damaged[0];
        assert_eq!((damage.segment.as_str(), damage.to), (FIRST_SEALED, whole.segments[1].recorded.map(|span| span.0)));
        let lost = told.missing.first().unwrap();
        assert_eq!(lost.last, Some(Position(3)), "{told:?}");
        assert!(told.notes.is_empty(), "what is lost is no gap beside: {told:?}");
    }

    #[test]
    fn a_file_that_is_gone_and_one_that_came_twice_are_noted() {
        let dir = three();
        let names: Vec<String> = found(dir.path()).segments.into_iter().map(|segment| segment.name).collect();
        let middle = dir.path().join(&names[1]);
        let kept = std::fs::read(&middle).unwrap();
        std::fs::remove_file(&middle).unwrap();
        let told = found(dir.path());
        assert!(told.is_clean());
        assert!(told.notes[0].what.starts_with("positions 4 to 7 are in no file"), "{told:?}");
        std::fs::write(&middle, kept).unwrap();
        std::fs::write(dir.path().join("00000000000000000004.open.mcap"), b"x").unwrap();
        let told = found(dir.path());
        assert!(told.is_clean() && told.notes[0].what.contains("wrote it anew"), "{told:?}");
    }

    #[test]
    fn a_packed_file_stands_for_what_it_was_made_of_only_while_it_is_whole() {
        let dir = three();
        let (sealed, merge) = (dir.path().join(FIRST_SEALED), format!("{:020}.{:020}.merge", 0, 0));
        std::fs::copy(&sealed, dir.path().join(&merge)).unwrap();
        let told = found(dir.path());
        assert_eq!((told.events(), told.segments[0].name.as_str(), told.segments.len()), (12, merge.as_str(), 3));
        std::fs::remove_file(&sealed).unwrap();
        let told = found(dir.path());
        assert!(told.is_clean() && told.notes.is_empty() && told.events() == 12, "{told:?}");
        std::fs::copy(dir.path().join(&merge), &sealed).unwrap();
        std::fs::write(dir.path().join(&merge), b"x").unwrap();
        let told = found(dir.path());
        assert_eq!((told.events(), told.segments[0].name.as_str()), (12, FIRST_SEALED));
        assert_eq!(told.damaged[0].segment, merge);
    }

    #[test]
    fn names_that_are_no_segments_and_a_key_that_is_none_are_told() {
        let dir = three();
        for name in ["probe", "00000000000000000000.recovered", "00000000000000000000.ids", "5.mcap", "notes.txt"] {
            std::fs::write(dir.path().join(name), b"x").unwrap();
        }
        std::fs::create_dir(dir.path().join(QUARANTINE)).unwrap();
        std::fs::write(dir.path().join(QUARANTINE).join("a.tail"), b"xyz").unwrap();
        let told = found(dir.path());
        let notes: Vec<&str> = told.notes.iter().map(|note| note.name.as_str()).collect();
        assert_eq!(
            notes,
            [
                "00000000000000000000.ids",
                "00000000000000000000.recovered",
                "5.mcap",
                "notes.txt",
                "probe",
                "quarantine/a.tail"
            ],
            "{told:?}"
        );
        assert!(told.notes[0].what.ends_with("is made anew by the next start: it is cut short"), "{:?}", told.notes[0]);
        assert!(told.is_clean());
        std::fs::write(dir.path().join(KEY), b"short").unwrap();
        assert_eq!(found(dir.path()).damaged[0].segment, KEY);
        std::fs::remove_file(dir.path().join(KEY)).unwrap();
        assert!(!found(dir.path()).is_clean());
    }
}
