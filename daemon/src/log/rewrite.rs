//! Writes one segment again without some of its events; every other event keeps its position, bytes and times.
//!
//! Chunks that hold none of them are copied byte for byte. The new file is written beside the old one, read back and
//! compared, made durable, and put in its place in one step; a crash leaves the one or the other. What cannot be read of a
//! segment that is written again is not in the new file: nobody can say that it holds none of those events.

use std::collections::{BTreeSet, HashMap};
use std::io;

use clone_schema::Position;
use clone_schema::segment::{self, Chunk, Info, Message, Tally};

use super::directory::{Digest, Place};
use super::ids::{Contents, Row, block_name};
use super::pack::add;
use super::recover::ids;
use super::storage::{Storage, write_anew};
use super::tombstones::{Keyed, Of, keyed};
use super::writer::sealed_name;
use super::{LogError, Shared, reader};

/// What goes.
pub(super) struct Gone<'a> {
    /// First and last position of every run, ascending.
    pub(super) runs: &'a [(u64, u64)],
    /// From here on there may be copies of them that nobody knows of.
    pub(super) upto: Position,
    /// The keyed hashes of their ids: a commit that failed may have left a copy of an event under another position.
    pub(super) ids: BTreeSet<Keyed>,
    pub(super) key: &'a [u8; 32],
}

impl Gone<'_> {
    /// Whether any of these positions goes.
    pub(super) fn overlaps(&self, first: Position, last: Position) -> bool {
        let at = self.runs.partition_point(|run| run.1 < first.0);
        self.runs.get(at).is_some_and(|run| run.0 <= last.0)
    }

    fn takes(&self, base: Position, message: &Message<'_>) -> bool {
        let position = Position(base.0 + u64::from(message.sequence));
        self.overlaps(position, position)
            || reader::id_in(message.data).is_some_and(|id| self.ids.contains(&keyed(self.key, Of::Id, id.as_bytes())))
    }

    /// Whether a file that nobody reads holds none of them, and all of it can be read.
    pub(super) fn spares(&self, bytes: &[u8]) -> bool {
        let mut clean = true;
        let walk = segment::walk(bytes, 0, |chunk| {
            clean &= !chunk.messages().any(|message| self.takes(Position(0), &message))
        });
        clean && walk.bad.is_empty() && matches!(walk.end, segment::End::Sealed { .. })
    }
}

/// How a segment looks without them.
struct Draft {
    bytes: Vec<u8>,
    tally: Tally,
    rows: Vec<Row>,
    ids: HashMap<Digest, u32>,
    /// Of each chunk by its place before: where it is now, unless nothing is left of it.
    moved: HashMap<u64, Option<Row>>,
    /// How many events are not in it.
    removed: usize,
    /// Over every event that stays.
    kept: blake3::Hasher,
    refused: Option<&'static str>,
}

impl Draft {
    fn new(home_id: &str) -> Self {
        Self {
            bytes: segment::header(home_id),
            tally: Tally::default(),
            rows: Vec::new(),
            ids: HashMap::new(),
            moved: HashMap::new(),
            removed: 0,
            kept: blake3::Hasher::new(),
            refused: None,
        }
    }

    fn take(&mut self, old: &[u8], base: Position, chunk: &Chunk, gone: &Gone<'_>) {
        let stays: Vec<Message<'_>> = chunk.messages().filter(|message| !gone.takes(base, message)).collect();
        let lost = chunk.len() - stays.len();
        self.removed += lost;
        stays.iter().for_each(|message| add(&mut self.kept, base, message));
        let sequences: BTreeSet<u32> = stays.iter().map(|message| message.sequence).collect();
        self.ids.extend(ids(chunk).filter(|(_, sequence)| sequences.contains(sequence)));
        let before = chunk.info.offset;
        let fresh = match (lost, stays.is_empty()) {
            (0, _) => Some(self.copy(old, &chunk.info)),
            (_, true) => None,
            _ => {
                // Events of a topic of a later version would be lost with the rest.
                self.refused = self.refused.or((chunk.unknown > 0).then_some("it holds events of a later version"));
                Some(self.press(base, &stays))
            }
        };
        self.moved.insert(before, fresh);
    }

    fn copy(&mut self, old: &[u8], info: &Info) -> Row {
        let info = Info { offset: self.bytes.len() as u64, ..info.clone() };
        self.push(info, old)
    }

    fn press(&mut self, base: Position, stays: &[Message<'_>]) -> Row {
        let encoded = segment::chunk_packed(base.0, stays);
        let info = Info { offset: self.bytes.len() as u64, ..encoded.info };
        self.push(info, &encoded.bytes)
    }

    fn push(&mut self, info: Info, bytes: &[u8]) -> Row {
        self.bytes.extend_from_slice(bytes);
        let row = Row::from(&info);
        self.rows.push(row);
        self.tally.add(info);
        row
    }

    fn seal(&mut self, base: Position) {
        let tail = self.tally.tail(base.0, self.bytes.len() as u64, crc32fast::hash(&self.bytes));
        self.bytes.extend_from_slice(&tail);
    }

    /// Writes it under a name that nobody reads, durably, and compares what the disk holds then.
    fn write(&self, disk: &dyn Storage, name: &str, base: Position, gone: &Gone<'_>) -> io::Result<()> {
        write_anew(disk, name, &self.bytes)?;
        let back = disk.read(name)?;
        let (mut sum, mut clean) = (blake3::Hasher::new(), true);
        segment::walk(&back, base.0, |chunk| {
            chunk.messages().for_each(|message| {
                clean &= !gone.takes(base, &message);
                add(&mut sum, base, &message);
            });
        });
        if clean && back == self.bytes && sum.finalize() == self.kept.finalize() {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, "the segment without what is forgotten is not as it should be"))
    }
}

/// What is known of a segment that is written again.
struct Old {
    index: usize,
    name: String,
    base: Position,
}

impl Shared {
    /// Writes every segment again that may hold one of these events.
    ///
    /// Nothing else works on sealed segments meanwhile: the caller holds what the keeper holds.
    pub(super) fn rewrite(&self, gone: &Gone<'_>, live: Position) -> Result<(), LogError> {
        let segments = self.directory().segments.len();
        for index in 0..segments {
            let old = {
                let directory = self.directory();
                let segment = &directory.segments[index];
                let number = u32::try_from(index).unwrap_or(u32::MAX);
                let touches = |place: Place| place.last >= gone.upto || gone.overlaps(place.first, place.last);
                let touched = segment.odd || directory.places_of(number).any(touches);
                let dead = !segment.name.is_empty() && (segment.base < live || !segment.name.ends_with(".open.mcap"));
                (touched && dead).then(|| Old { index, name: segment.name.clone(), base: segment.base })
            };
            if let Some(old) = old {
                self.rewrite_one(&old, gone).map_err(|error| LogError::io("forget in", &old.name, error))?;
            }
        }
        Ok(())
    }

    fn rewrite_one(&self, old: &Old, gone: &Gone<'_>) -> io::Result<()> {
        let bytes = self.disk.read(&old.name)?;
        let mut draft = Draft::new(&self.home_id);
        segment::walk(&bytes, old.base.0, |chunk| {
            let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
            let end = place(chunk.info.offset.saturating_add(chunk.info.length));
            let raw = bytes.get(place(chunk.info.offset)..end).unwrap_or_default();
            draft.take(raw, old.base, &chunk, gone);
        });
        if draft.removed == 0 {
            return Ok(());
        }
        if let Some(reason) = draft.refused {
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        if draft.rows.is_empty() {
            self.drop_segment(old)
        } else {
            draft.seal(old.base);
            let name = format!("{:020}.erased", old.base.0);
            draft.write(&*self.disk, &name, old.base, gone)?;
            self.put_in_place(old, &name, &draft)
        }
    }

    /// Takes a segment away of which nothing is left.
    fn drop_segment(&self, old: &Old) -> io::Result<()> {
        let mut directory = self.directory_mut();
        self.drop_block(old.base)?;
        self.disk.remove(&old.name)?;
        directory.exchange(old.index, &HashMap::new());
        directory.segments[old.index].vanish();
        drop(directory);
        self.disk.sync_dir("")
    }

    fn put_in_place(&self, old: &Old, fresh: &str, draft: &Draft) -> io::Result<()> {
        let name = if old.name.ends_with(".open.mcap") { sealed_name(old.base) } else { old.name.clone() };
        let mut directory = self.directory_mut();
        self.drop_block(old.base)?;
        self.disk.replace(fresh, &name)?;
        if name != old.name {
            self.disk.remove(&old.name)?;
        }
        let number = u32::try_from(old.index).unwrap_or(u32::MAX);
        let place = |row: &Option<Row>| row.as_ref().map(|row| Place::new(number, old.base, row));
        let moved = draft.moved.iter().map(|(before, row)| (*before, place(row))).collect();
        directory.exchange(old.index, &moved);
        let segment = &mut directory.segments[old.index];
        let contents = Contents { hides: segment.hides.clone(), ..Contents::of(old.base, draft.rows.clone()) };
        let mut ids: Vec<(Digest, u32)> = draft.ids.iter().map(|(digest, sequence)| (*digest, *sequence)).collect();
        ids.sort_unstable();
        segment.renew((name, draft.bytes.len() as u64), ids, contents);
        drop(directory);
        self.disk.sync_dir("")
    }

    /// The id block of a segment names events that are gone.
    fn drop_block(&self, base: Position) -> io::Result<()> {
        match self.disk.remove(&block_name(base)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
