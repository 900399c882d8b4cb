//! Finds out at open what the last run left, keeps all that is good, and never appends to it again.
//!
//! A sealed segment whose id block describes it is not read: what is in it is checked when it is asked for, and in idle
//! time. Every other file is read whole.
//!
//! A file that ends badly with nothing valid after it has a torn tail: the tail is copied into the quarantine and cut off.
//! Anything else that is bad is damage: nothing is cut, the good chunks are kept, and the range is reported. A cleaning
//! step that fails (a full disk) leaves the file for the next start; what is good in it is read all the same.

use std::io;

use clone_schema::sabotage::{self, Bug};
use clone_schema::segment::{self, Bad, Chunk, End, Info, Tally, Walk};
use clone_schema::time::from_nanos;
use clone_schema::{Position, Timestamp};
use serde::{Deserialize, Serialize};

use super::directory::{Care, Digest, Directory, Ids, digest};
use super::ids::{Block, Contents, Row};
use super::storage::{Storage, append};
use super::writer::sealed_name;
use super::{LogError, QUARANTINE, keep, pack, reader};

/// Positions skipped at least after damage at the end of the log: an event takes at least one byte, and this is more than
/// any usual commit holds. Durable events may have been hit there, and their positions are cited.
const SKIP: u64 = 65_536;

/// Beyond this a file name is not ours: no log gets there, and sums with it must not overflow.
const MAX_POSITION: u64 = 1 << 56;

/// What recovery found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Files that hold events.
    pub segments: usize,
    /// Readable events.
    pub events: u64,
    /// Ends of files that were moved away.
    pub torn: Vec<TornTail>,
    /// Ranges that cannot be read and were left where they are.
    pub damaged: Vec<Damage>,
}

/// The end of a file that held nothing valid: most often a write that a crash cut short, which nobody was told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The file.
    pub segment: String,
    /// How much was cut off.
    pub bytes: u64,
    /// Where it is now, relative to the log's folder.
    pub moved_to: String,
}

/// A range of a file that cannot be read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Damage {
    /// The file.
    pub segment: String,
    /// Where it starts, in bytes.
    pub offset: u64,
    /// How long it is, in bytes.
    pub bytes: u64,
    /// What is wrong.
    pub reason: String,
    /// When the last readable event before it was recorded.
    pub from: Option<Timestamp>,
    /// When the first readable event after it was recorded.
    pub to: Option<Timestamp>,
}

/// Reads every segment into the directory and cleans up after the last run.
pub(super) fn recover(disk: &dyn Storage, directory: &mut Directory) -> Result<Recovery, LogError> {
    let mut recovery = Recovery::default();
    pack::finish(disk, &mut recovery)?;
    let names = disk.list("").map_err(|error| LogError::io("list", disk.path("").display().to_string(), error))?;
    let mut files: Vec<(Position, bool, String)> = names.iter().cloned().filter_map(parse).collect();
    files.sort();
    let (mut floor, mut read) = (Position(0), Vec::new());
    for (base, open, name) in files {
        if !open && let Some(known) = from_block(disk, directory, base, &name, &mut recovery) {
            floor = known;
            continue;
        }
        let bytes = disk.read(&name).map_err(|error| LogError::io("read", &name, error))?;
        if open && disk.exists(&sealed_name(base)).map_err(|error| LogError::io("look for", &name, error))? {
            // Where this fails, the file is in the way at the next start and no further.
            match retire(disk, base, &name, &bytes) {
                Ok(torn) => recovery.torn.extend(torn),
                Err(error) => tracing::warn!(%error, file = name, "recovery cannot remove a file that it wrote anew"),
            }
            continue;
        }
        let found = Found::read(bytes, base, name);
        let segment = found.add(disk, directory)?;
        floor = found.floor(directory.head);
        found.report(&mut recovery);
        if open
            && !sabotage::is(Bug::AppendAfterTornTail)
            && let Err(error) = found.clean(disk, directory, &mut recovery)
        {
            let bad = Bad { offset: 0, length: 0, reason: "" };
            let reason = format!("recovery left the file as it is: {error}");
            recovery.damaged.push(Damage { reason, ..found.damage(&bad) });
        }
        read.extend(segment.map(|segment| (segment, found.contents(floor))));
    }
    directory.head = directory.head.max(floor);
    for (segment, contents) in read {
        settle(disk, directory, segment, contents)?;
    }
    keep::write_blocks(disk, directory);
    keep::remove_leftovers(disk, &names);
    directory.add_damage(recovery.damaged.iter().cloned());
    recovery.segments = directory.segments.len();
    recovery.events = directory.events();
    Ok(recovery)
}

/// Takes a sealed segment from its block, unread; gives the least position after it.
fn from_block(
    disk: &dyn Storage,
    directory: &mut Directory,
    base: Position,
    name: &str,
    recovery: &mut Recovery,
) -> Option<Position> {
    let length = disk.length(name).ok()?;
    let (block, contents) = Block::open(disk, base, (name, length))
        .inspect_err(|error| tracing::debug!(%error, file = name, "a segment is read because of its id block"))
        .ok()?;
    let index = directory.add_segment(name.to_owned(), base, length);
    contents.places(index, base).for_each(|place| directory.add(place));
    let segment = &mut directory.segments[index as usize];
    (segment.ids, segment.care) = (Ids::Block(Box::new(block)), Care::Done);
    segment.know(&contents);
    directory.hide(&contents.hides);
    recovery.damaged.extend(contents.damaged);
    Some(contents.floor)
}

/// Finds what of a segment that was read stands again in a later one that was not, and makes its block due.
fn settle(disk: &dyn Storage, directory: &mut Directory, segment: u32, mut contents: Contents) -> Result<(), LogError> {
    let hides = healing(disk, directory, |directory| directory.hidden_by_later(disk, segment))?;
    directory.hide(&hides);
    let of_segment = &mut directory.segments[segment as usize];
    contents.hides = [std::mem::take(&mut of_segment.hides), hides].concat();
    of_segment.know(&contents);
    if !of_segment.name.ends_with(".open.mcap") {
        of_segment.care = Care::Due(contents);
    }
    Ok(())
}

/// Asks the directory until no broken block is in the way.
fn healing<T>(
    disk: &dyn Storage,
    directory: &mut Directory,
    ask: impl Fn(&mut Directory) -> Result<T, super::directory::Broken>,
) -> Result<T, LogError> {
    loop {
        match ask(directory) {
            Ok(answer) => return Ok(answer),
            Err(broken) => {
                let segment = &directory.segments[broken.segment];
                let (name, base) = (segment.name.clone(), segment.base);
                let bytes = disk.read(&name).map_err(|error| LogError::io("read", &name, error))?;
                Found::read(bytes, base, name).heal(&mut directory.segments[broken.segment]);
            }
        }
    }
}

/// Removes an open file that a recovery wrote anew, under its last name, and could not remove.
///
/// The new file is what was answered for since. A power cut may have undone a cut of the old one after that: such a file
/// goes into the quarantine, because what came back was never acked in it.
fn retire(disk: &dyn Storage, base: Position, name: &str, bytes: &[u8]) -> io::Result<Option<TornTail>> {
    let (sealed, mut held) = (disk.read(&sealed_name(base))?, true);
    segment::walk(bytes, base.0, |chunk| {
        let Info { offset, length, .. } = chunk.info;
        let range = usize::try_from(offset).unwrap_or(0)..usize::try_from(offset + length).unwrap_or(0);
        held &= sealed.get(range.clone()) == bytes.get(range);
    });
    let torn = if held { None } else { Some(quarantine(disk, name, bytes, 0)?) };
    disk.remove(name)?;
    disk.sync_dir("")?;
    Ok(torn)
}

/// Copies the bytes of a file from `offset` on away, durably.
pub(super) fn quarantine(disk: &dyn Storage, name: &str, bytes: &[u8], offset: u64) -> io::Result<TornTail> {
    let tail = &bytes[usize::try_from(offset).unwrap_or(bytes.len())..];
    disk.create_dir(QUARANTINE)?;
    let mut moved_to = format!("{QUARANTINE}/{name}-{offset}.tail");
    // A start that died in between has left one; its bytes are the same or a part of these.
    for number in 2.. {
        if !disk.exists(&moved_to)? {
            break;
        }
        moved_to = format!("{QUARANTINE}/{name}-{offset}.{number}.tail");
    }
    let copy = disk.create(&moved_to)?;
    append(&*copy, tail)?;
    copy.sync()?;
    disk.sync_dir(QUARANTINE)?;
    disk.sync_dir("")?;
    Ok(TornTail { segment: name.to_owned(), bytes: tail.len() as u64, moved_to })
}

/// First position of a segment and whether it was still open, from its name.
fn parse(name: String) -> Option<(Position, bool, String)> {
    let stem = name.strip_suffix(".mcap")?;
    let digits = stem.strip_suffix(".open").unwrap_or(stem);
    let wellformed = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let base = digits.parse().ok().filter(|base| wellformed && *base <= MAX_POSITION)?;
    Some((Position(base), stem.len() > digits.len(), name))
}

/// One segment as it is on the disk.
pub(super) struct Found {
    name: String,
    base: Position,
    bytes: Vec<u8>,
    walk: Walk,
    tally: Tally,
    rows: Vec<Row>,
    ids: Vec<(Digest, u32)>,
    unknown: Vec<(u64, u64, u32)>,
}

impl Found {
    pub(super) fn read(bytes: Vec<u8>, base: Position, name: String) -> Self {
        let (mut tally, mut rows, mut unknown, mut found) = (Tally::default(), Vec::new(), Vec::new(), Vec::new());
        let walk = segment::walk(&bytes, base.0, |chunk| {
            let info = chunk.info.clone();
            rows.push(Row::from(&info));
            if chunk.unknown > 0 {
                unknown.push((info.offset, info.length, chunk.unknown));
            }
            found.extend(ids(&chunk));
            tally.add(info);
        });
        Self { name, base, bytes, walk, tally, rows, ids: found, unknown }
    }

    /// Adds it to the directory, unless it holds no event.
    fn add(&self, disk: &dyn Storage, directory: &mut Directory) -> Result<Option<u32>, LogError> {
        if self.rows.is_empty() {
            return Ok(None);
        }
        let segment = directory.add_segment(self.name.clone(), self.base, self.length());
        self.contents(Position(0)).places(segment, self.base).for_each(|place| directory.add(place));
        let hides = healing(disk, directory, |directory| directory.add_read_ids(disk, segment, &self.ids))?;
        let known = &mut directory.segments[segment as usize];
        (known.hides, known.odd) = (hides, known.odd || !self.is_sound());
        Ok(Some(segment))
    }

    /// Takes the place of a block that cannot be used.
    pub(super) fn heal(self, segment: &mut super::directory::Segment) {
        let mut contents = self.contents(self.floor(Position(0)));
        contents.hides.clone_from(&segment.hides);
        let known: std::collections::HashMap<Digest, u32> = self.ids.into_iter().collect();
        let mut ids: Vec<(Digest, u32)> = known.into_iter().collect();
        ids.sort_unstable();
        segment.know(&contents);
        (segment.ids, segment.care) = (Ids::Memory(ids), Care::Due(contents));
    }

    /// Whether every byte is as it was written, and known to this version.
    pub(super) fn is_sound(&self) -> bool {
        self.walk.bad.is_empty() && self.unknown.is_empty() && !matches!(self.walk.end, End::Torn { .. })
    }

    /// Whether it was sealed and every byte of it is good.
    pub(super) fn is_sealed(&self) -> bool {
        self.is_sound() && matches!(self.walk.end, End::Sealed { .. })
    }

    /// What its block says of it once it is sealed.
    fn contents(&self, floor: Position) -> Contents {
        let mut recovery = Recovery::default();
        self.report(&mut recovery);
        let segment = sealed_name(self.base);
        let damaged = recovery.damaged.into_iter().map(|damage| Damage { segment: segment.clone(), ..damage });
        Contents { rows: self.rows.clone(), damaged: damaged.collect(), hides: Vec::new(), floor }
    }

    fn length(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// The least position that may be given after this file, were it the last.
    fn floor(&self, head: Position) -> Position {
        let last_good = self.rows.last().map_or(0, |row| row.offset);
        let head = head.max(self.rows.last().map_or(head, |row| Position(self.base.0 + u64::from(row.last) + 1)));
        let bad = self.walk.bad.iter().filter(|bad| bad.offset > last_good).map(|bad| bad.length).sum::<u64>();
        let torn = match self.walk.end {
            End::Torn { offset, cut_short: false } => self.length() - offset,
            _ => 0,
        };
        let lost = bad + torn;
        let skip = if lost > 0 { lost.max(SKIP) } else { 0 };
        Position(head.0.max(self.base.0) + skip)
    }

    fn report(&self, recovery: &mut Recovery) {
        recovery.damaged.extend(self.walk.bad.iter().map(|bad| self.damage(bad)));
        for (offset, length, count) in &self.unknown {
            let bad = Bad { offset: *offset, length: *length, reason: "" };
            let reason = format!("{count} events are of a topic that this version does not know");
            recovery.damaged.push(Damage { reason, ..self.damage(&bad) });
        }
        if let End::Torn { offset, .. } = self.walk.end
            && !self.name.ends_with(".open.mcap")
        {
            let bad =
                Bad { offset, length: self.length() - offset, reason: "the file does not end like a sealed segment" };
            recovery.damaged.push(self.damage(&bad));
        }
    }

    fn damage(&self, bad: &Bad) -> Damage {
        let before = self.rows.iter().rev().find(|row| row.offset < bad.offset);
        let after = self.rows.iter().find(|row| row.offset > bad.offset);
        Damage {
            segment: self.name.clone(),
            offset: bad.offset,
            bytes: bad.length,
            reason: bad.reason.to_owned(),
            from: before.map(|row| from_nanos(row.recorded.1)),
            to: after.map(|row| from_nanos(row.recorded.0)),
        }
    }

    /// Writes what is good of an open file into a new one that is sealed, or removes the file where it holds nothing.
    ///
    /// The file itself is not believed to be on the disk: where a sync of the last run failed, the kernel takes the bytes
    /// for written, shows them, and writes them with no later sync either.
    fn clean(&self, disk: &dyn Storage, directory: &mut Directory, recovery: &mut Recovery) -> io::Result<()> {
        let mut good = self.length();
        if let End::Torn { offset, .. } = self.walk.end
            && offset < good
        {
            recovery.torn.push(quarantine(disk, &self.name, &self.bytes, offset)?);
            good = offset;
        }
        if !(self.tally.is_empty() && self.walk.bad.is_empty()) {
            let length = self.rewrite(disk, good)?;
            if let Some(segment) = directory.segments.last_mut().filter(|segment| segment.name == self.name) {
                (segment.name, segment.bytes) = (sealed_name(self.base), length);
            }
        }
        disk.remove(&self.name)?;
        disk.sync_dir("")
    }

    /// Writes the first `good` bytes and the tail into a new file under the last name; gives its length.
    fn rewrite(&self, disk: &dyn Storage, good: u64) -> io::Result<u64> {
        let fresh = format!("{:020}.recovered", self.base.0);
        if disk.exists(&fresh)? {
            disk.remove(&fresh)?;
        }
        let mut bytes = self.bytes[..usize::try_from(good).unwrap_or(self.bytes.len())].to_vec();
        if !matches!(self.walk.end, End::Sealed { .. }) {
            let tail = self.tally.tail(self.base.0, good, crc32fast::hash(&bytes));
            bytes.extend_from_slice(&tail);
        }
        let copy = disk.create(&fresh)?;
        append(&*copy, &bytes)?;
        copy.sync()?;
        disk.rename(&fresh, &sealed_name(self.base))?;
        disk.sync_dir("")?;
        Ok(bytes.len() as u64)
    }
}

/// The ids in a chunk with their sequences.
pub(super) fn ids(chunk: &Chunk) -> impl Iterator<Item = (Digest, u32)> {
    chunk.messages().filter_map(|message| Some((digest(&reader::id_in(message.data)?), message.sequence)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::Appended;
    use super::super::tests::{
        FIRST_OPEN, FIRST_SEALED, assert_events, clock, copy, entries, entry, folder, names, open,
    };
    use super::*;

    #[test]
    fn only_names_of_segments_are_taken() {
        for (name, expected) in [
            ("00000000000000000000.mcap", Some((Position(0), false))),
            ("00000000000000000042.open.mcap", Some((Position(42), true))),
            ("72057594037927936.mcap", None),
            ("00072057594037927936.mcap", Some((Position(MAX_POSITION), false))),
            ("00072057594037927937.mcap", None),
            ("18446744073709551615.open.mcap", None),
            ("99999999999999999999.mcap", None),
            ("+0000000000000000001.mcap", None),
            ("LOCK", None),
        ] {
            let parsed = parse(name.to_owned()).map(|(base, open, _)| (base, open));
            assert_eq!(parsed, expected, "{name}");
        }
    }

    #[test]
    fn a_copy_taken_while_open_holds_all_that_was_acked() {
        let (dir, crashed) = (folder(), folder());
        let (log, _) = open(dir.path());
        for number in 0..10 {
            log.append(vec![entry(number)]).unwrap();
        }
        copy(dir.path(), crashed.path());
        let (after, recovery) = open(crashed.path());
        assert_eq!((recovery.events, recovery.torn.len()), (10, 0));
        assert_events(&after, 0..10);
        assert_eq!(names(crashed.path()), [FIRST_SEALED]);
        let bytes = std::fs::read(crashed.path().join(FIRST_SEALED)).unwrap();
        let stock: Vec<Vec<u8>> =
            mcap::MessageStream::new(&bytes).unwrap().map(|message| message.unwrap().data.to_vec()).collect();
        assert_eq!(stock, entries(0..10).into_iter().map(|entry| entry.json.into_bytes()).collect::<Vec<_>>());
        assert_eq!(mcap::Summary::read(&bytes).unwrap().unwrap().stats.unwrap().message_count, 10);
    }

    #[test]
    fn a_live_file_cut_anywhere_gives_a_prefix_and_the_log_goes_on() {
        let dir = folder();
        let (log, _) = open(dir.path());
        for number in 0..4 {
            log.append(entries(number * 2..number * 2 + 2)).unwrap();
        }
        let bytes = std::fs::read(dir.path().join(FIRST_OPEN)).unwrap();
        let ends: Vec<u64> = (0..8).map(|position| log.locate(Position(position)).unwrap().offset).collect();
        for length in 0..bytes.len() {
            let crashed = folder();
            std::fs::write(crashed.path().join(FIRST_OPEN), &bytes[..length]).unwrap();
            let (log, recovery) = open(crashed.path());
            // A chunk is whole when the next one begins within the cut.
            let whole = ends.iter().filter(|offset| **offset <= length as u64).count().saturating_sub(2) as u64;
            assert_eq!(recovery.events, whole, "cut at {length}");
            assert!(recovery.damaged.is_empty(), "cut at {length}");
            assert_eq!(log.head(), Position(whole), "cut at {length}");
            let kept: u64 = recovery.torn.iter().map(|torn| torn.bytes).sum();
            for torn in &recovery.torn {
                let tail = std::fs::read(crashed.path().join(&torn.moved_to)).unwrap();
                assert_eq!(tail, bytes[length - kept as usize..length], "cut at {length}");
            }
            log.append(vec![entry(whole)]).unwrap();
            assert_events(&log, 0..whole + 1);
        }
    }

    #[test]
    fn a_flipped_bit_in_a_sealed_file_costs_at_most_its_chunk() {
        let dir = folder();
        let (log, _) = open(dir.path());
        for number in 0..5 {
            log.append(entries(number * 4..number * 4 + 4)).unwrap();
        }
        let offsets: Vec<u64> = (0..5).map(|chunk| log.locate(Position(chunk * 4)).unwrap().offset).collect();
        drop(log);
        let bytes = std::fs::read(dir.path().join(FIRST_SEALED)).unwrap();
        for round in 0..100_usize {
            let (at, bit) = (round * bytes.len() / 100, round % 8);
            let damaged = folder();
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            std::fs::write(damaged.path().join(FIRST_SEALED), &flipped).unwrap();
            let (log, recovery) = open(damaged.path());
            let hit = offsets.iter().rposition(|offset| *offset <= at as u64);
            let read = log.scan(Position(0), usize::MAX).unwrap();
            assert!(read.iter().all(|record| record.json == entry(record.position.0).json), "bit {bit} of byte {at}");
            let lost: Vec<u64> = (0..20).filter(|number| log.read(Position(*number)).unwrap().is_none()).collect();
            assert!(lost.iter().all(|number| Some(*number as usize / 4) == hit), "bit {bit} of byte {at}: {lost:?}");
            assert!(lost.is_empty() || !recovery.damaged.is_empty(), "bit {bit} of byte {at}");
            assert!(recovery.torn.is_empty() && names(damaged.path()) == [FIRST_SEALED]);
            assert_eq!(std::fs::read(damaged.path().join(FIRST_SEALED)).unwrap(), flipped, "a sealed file was changed");
            // A lost position is not given to another event.
            let again = log.append(vec![entry(20)]).unwrap()[0].position;
            assert!(again >= Position(20), "bit {bit} of byte {at}: {again}");
        }
    }

    #[test]
    fn damage_in_a_live_file_is_kept_and_reported_with_its_times() {
        let (dir, crashed) = (folder(), folder());
        let (log, _) = open(dir.path());
        for number in 0..3 {
            log.append(entries(number * 4..number * 4 + 4)).unwrap();
        }
        let hit = log.locate(Position(4)).unwrap().offset;
        let next = log.locate(Position(8)).unwrap().offset;
        let mut bytes = std::fs::read(dir.path().join(FIRST_OPEN)).unwrap();
        bytes[hit as usize + 70] ^= 1;
        std::fs::write(crashed.path().join(FIRST_OPEN), &bytes).unwrap();
        let (log, recovery) = open(crashed.path());
        assert_eq!(
            recovery,
            Recovery {
                segments: 1,
                events: 8,
                torn: vec![],
                damaged: vec![Damage {
                    segment: FIRST_OPEN.into(),
                    offset: hit,
                    bytes: next - hit,
                    reason: recovery.damaged[0].reason.clone(),
                    from: Some(clock()),
                    to: Some(clock()),
                }],
            }
        );
        assert_eq!((log.head(), log.read(Position(5)).unwrap()), (Position(12), None));
        let after = std::fs::read(crashed.path().join(FIRST_SEALED)).unwrap();
        assert_eq!(after[..bytes.len()], bytes, "nothing was cut");
        assert_eq!(log.append(vec![entry(5)]).unwrap()[0], Appended { position: Position(12), new: true });
    }

    #[test]
    fn a_tail_of_zeros_noise_or_old_data_is_moved_away() {
        let dir = folder();
        let (log, _) = open(dir.path());
        log.append(entries(0..4)).unwrap();
        log.append(entries(4..8)).unwrap();
        let bytes = std::fs::read(dir.path().join(FIRST_OPEN)).unwrap();
        let old = bytes[log.locate(Position(0)).unwrap().offset as usize..].to_vec();
        let noise: Vec<u8> =
            (0..4_096_u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
        for (name, tail) in [("zeros", vec![0; 9_000]), ("noise", noise), ("old", old)] {
            let crashed = folder();
            std::fs::write(crashed.path().join(FIRST_OPEN), [&bytes[..], &tail].concat()).unwrap();
            let (log, recovery) = open(crashed.path());
            let moved = std::fs::read(crashed.path().join(&recovery.torn[0].moved_to)).unwrap();
            assert_eq!((moved, recovery.damaged.len()), (tail, 0), "{name}");
            assert_events(&log, 0..8);
            assert!(
                log.append(vec![entry(8)]).unwrap()[0].position > Position(8),
                "{name}: durable events may be in it"
            );
            drop(log);
            let (log, recovery) = open(crashed.path());
            assert!(recovery.torn.is_empty() && recovery.damaged.is_empty(), "{name}: {recovery:?}");
            assert_events(&log, 0..9);
        }
    }

    #[test]
    fn a_file_that_cannot_be_cleaned_is_read_and_left_for_the_next_start() {
        let (dir, crashed) = (folder(), folder());
        let (log, _) = open(dir.path());
        log.append(entries(0..4)).unwrap();
        let bytes = std::fs::read(dir.path().join(FIRST_OPEN)).unwrap();
        std::fs::write(crashed.path().join(FIRST_OPEN), [&bytes[..], &[6, 1]].concat()).unwrap();
        // A file where the quarantine should be.
        std::fs::write(crashed.path().join(QUARANTINE), "").unwrap();
        let (log, recovery) = open(crashed.path());
        assert!(recovery.damaged[0].reason.starts_with("recovery left the file as it is"), "{recovery:?}");
        log.append(vec![entry(4)]).unwrap();
        assert_events(&log, 0..5);
        drop(log);
        std::fs::remove_file(crashed.path().join(QUARANTINE)).unwrap();
        let (log, recovery) = open(crashed.path());
        assert_eq!((recovery.torn[0].bytes, recovery.damaged.len(), recovery.events), (2, 0, 5));
        assert_events(&log, 0..5);
    }

    #[test]
    fn damage_at_the_end_skips_more_positions_than_a_commit_holds() {
        let dir = folder();
        let (log, _) = open(dir.path());
        log.append(entries(0..4)).unwrap();
        log.append(entries(4..8)).unwrap();
        let hit = log.locate(Position(4)).unwrap().offset as usize + 70;
        drop(log);
        let path = dir.path().join(FIRST_SEALED);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[hit] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let (log, _) = open(dir.path());
        assert_eq!(log.append(vec![entry(8)]).unwrap()[0].position, Position(4 + SKIP));
    }

    #[test]
    fn an_old_file_that_comes_back_with_more_than_its_new_copy_is_moved_away_and_not_believed() {
        let (dir, crashed) = (folder(), folder());
        let (log, _) = open(dir.path());
        log.append(entries(0..2)).unwrap();
        copy(dir.path(), crashed.path());
        drop(open(crashed.path()));
        for (more, moved) in [(0, false), (2, true)] {
            log.append(entries(2..2 + more)).unwrap();
            let old = std::fs::read(dir.path().join(FIRST_OPEN)).unwrap();
            std::fs::write(crashed.path().join(FIRST_OPEN), &old).unwrap();
            let (after, recovery) = open(crashed.path());
            let kept: Vec<Vec<u8>> =
                recovery.torn.iter().map(|torn| std::fs::read(crashed.path().join(&torn.moved_to)).unwrap()).collect();
            assert_eq!(kept, if moved { vec![old] } else { vec![] });
            assert_eq!(names(crashed.path()), [FIRST_SEALED]);
            assert_events(&after, 0..2);
        }
    }
}
