//! What is where: which chunk of which segment holds a position, and which position an id has.
//!
//! Chunks are in memory, about 88 bytes each. The ids of a segment are in memory, 20 bytes each, until its block is written
//! (see [`ids`](super::ids)); from then on they are asked of the disk.

use std::collections::{BTreeSet, HashMap};

use clone_schema::time::from_nanos;
use clone_schema::{Position, Timestamp};

use super::ids::{Block, BlockError, Contents, Row};
use super::storage::Storage;
use super::{Damage, LogError};

/// How many files back a failed commit is looked for: it goes on in the next file, or a few later while the disk fails.
const LOOK_BACK: usize = 3;
/// How many damaged ranges are told; more than these say nothing new.
const DAMAGED_MAX: usize = 1_000;

/// The first 16 bytes of the BLAKE3 hash of an event id.
pub(super) type Digest = [u8; 16];

/// The digest under which an id is indexed.
pub(super) fn digest(id: &str) -> Digest {
    let mut out = [0; 16];
    out.copy_from_slice(&blake3::hash(id.as_bytes()).as_bytes()[..16]);
    out
}

/// One good chunk of one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Index of the segment in the directory.
    pub(super) segment: u32,
    pub(super) count: u32,
    pub(super) offset: u64,
    pub(super) length: u64,
    pub(super) first: Position,
    pub(super) last: Position,
    /// Earliest and latest append, in nanoseconds.
    pub(super) recorded: (u64, u64),
    /// Earliest and latest `occurred_at`, in nanoseconds.
    pub(super) occurred: (u64, u64),
}

impl Place {
    pub(super) fn new(segment: u32, base: Position, row: &Row) -> Self {
        Self {
            segment,
            count: row.count,
            offset: row.offset,
            length: row.length,
            first: Position(base.0 + u64::from(row.first)),
            last: Position(base.0 + u64::from(row.last)),
            recorded: row.recorded,
            occurred: row.occurred,
        }
    }
}

/// The ids of a segment with their sequences.
#[derive(Debug)]
pub(super) enum Ids {
    /// Sorted, in memory.
    Memory(Vec<(Digest, u32)>),
    /// On the disk.
    Block(Box<Block>),
}

impl Default for Ids {
    fn default() -> Self {
        Self::Memory(Vec::new())
    }
}

impl Ids {
    fn find(&self, disk: &dyn Storage, digest: &Digest) -> Result<Option<u32>, BlockError> {
        match self {
            Self::Memory(ids) => Ok(ids.binary_search_by_key(digest, |(known, _)| *known).ok().map(|at| ids[at].1)),
            Self::Block(block) => block.find(disk, digest),
        }
    }
}

/// What a segment is to the keeper.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Care {
    /// It may still grow, or could not be sealed.
    #[default]
    None,
    /// It is sealed and waits for its block.
    Due(Contents),
    /// It is sealed, and what its block says of it is wrong: it must be read again.
    Stale,
    /// It is sealed and has its block.
    Done,
}

/// One file of the log.
#[derive(Debug, Default)]
pub(super) struct Segment {
    /// Its name now; empty where its events went into the one before.
    pub(super) name: String,
    /// Its first position, from which the sequences count.
    pub(super) base: Position,
    /// Durable bytes.
    pub(super) bytes: u64,
    /// How often it was written anew.
    pub(super) generation: u32,
    /// Its good chunks when it was sealed, and their unpacked bytes.
    pub(super) chunks: (usize, u64),
    pub(super) ids: Ids,
    pub(super) care: Care,
    /// What its block says of events that count no more.
    pub(super) hides: Vec<(Position, Position)>,
    /// Whether something of it is or was damaged, or stands in another file too: it is left as it is.
    pub(super) odd: bool,
}

impl Segment {
    /// Takes what is known of it besides its ids.
    pub(super) fn know(&mut self, contents: &Contents) {
        self.chunks = (contents.rows.len(), contents.rows.iter().map(|row| row.unpacked).sum());
        self.odd |= !contents.damaged.is_empty();
        self.hides.clone_from(&contents.hides);
    }

    /// Takes a file that was written in the place of the one before; its ids are sorted.
    pub(super) fn renew(&mut self, (name, bytes): (String, u64), ids: Vec<(Digest, u32)>, contents: Contents) {
        (self.name, self.bytes) = (name, bytes);
        self.generation += 1;
        self.know(&contents);
        (self.ids, self.care) = (Ids::Memory(ids), Care::Due(contents));
    }

    /// Forgets the file: nothing is left of it, or all of it stands in the one before.
    pub(super) fn vanish(&mut self) {
        (self.name, self.bytes, self.ids, self.care) = (String::new(), 0, Ids::default(), Care::None);
        self.generation += 1;
    }
}

/// An id block that cannot be used, and the index of its segment.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) segment: usize,
    pub(super) error: BlockError,
}

/// Everything that is durable, and where.
#[derive(Default)]
pub(super) struct Directory {
    pub(super) segments: Vec<Segment>,
    places: Vec<Place>,
    /// Ids of the last segment while it grows.
    live: HashMap<Digest, u32>,
    /// Copies of events whose commit was answered with an error and which were appended again later, by their segment.
    hidden: BTreeSet<(u32, Position)>,
    /// First and last position of every run of events that is being forgotten: nobody is shown them.
    pub(super) erased: Vec<(u64, u64)>,
    /// What cannot be read.
    damaged: Vec<Damage>,
    /// The next position to be given.
    pub(super) head: Position,
    pub(super) commits: u64,
}

impl Directory {
    /// Adds a file that nothing was read from yet.
    pub(super) fn add_segment(&mut self, name: String, base: Position, bytes: u64) -> u32 {
        self.settle_ids();
        self.segments.push(Segment { name, base, bytes, ..Segment::default() });
        u32::try_from(self.segments.len() - 1).unwrap_or(u32::MAX)
    }

    /// Moves the ids of the growing segment into its compact form.
    pub(super) fn settle_ids(&mut self) {
        let Some(Segment { ids: Ids::Memory(ids), .. }) = self.segments.last_mut() else { return };
        ids.extend(std::mem::take(&mut self.live));
        ids.sort_unstable();
        ids.shrink_to_fit();
    }

    /// Adds a chunk. Positions that an earlier file holds too are taken from this one: a failed batch was written again.
    pub(super) fn add(&mut self, place: Place) {
        let start = self.places.partition_point(|known| known.last < place.first);
        let end = self.places.partition_point(|known| known.first <= place.last).max(start);
        for taken in &self.places[start..end] {
            self.segments[taken.segment as usize].odd = true;
            self.segments[place.segment as usize].odd = true;
        }
        self.places.splice(start..end, [place]);
        self.head = self.head.max(place.last.next());
    }

    /// Adds ids of the last segment that are new.
    pub(super) fn add_ids(&mut self, ids: impl IntoIterator<Item = (Digest, u32)>) {
        self.live.extend(ids);
    }

    /// Adds the ids of a segment that was read, in the order of their sequences; of an id that is there twice, only the
    /// later event counts, because only that one was acknowledged. Only the [`LOOK_BACK`] files before are looked at. Gives
    /// what counts no more, as [`Contents::hides`] keeps it.
    ///
    /// # Errors
    /// The block of a file before is broken.
    pub(super) fn add_read_ids(
        &mut self,
        disk: &dyn Storage,
        segment: u32,
        ids: &[(Digest, u32)],
    ) -> Result<Vec<(Position, Position)>, Broken> {
        let (index, base) = (segment as usize, self.segments[segment as usize].base.0);
        let (mut known, mut hides) = (HashMap::with_capacity(ids.len()), Vec::new());
        for (digest, sequence) in ids.iter().copied() {
            let earlier = match known.insert(digest, sequence) {
                Some(earlier) => Some((index, Position(base + u64::from(earlier)))),
                None => self.near(disk, index.saturating_sub(LOOK_BACK)..index, &digest)?,
            };
            if let Some((index, position)) = earlier
                && position.0 != base + u64::from(sequence)
            {
                hides.push((self.segments[index].base, position));
            }
        }
        let mut ids: Vec<(Digest, u32)> = known.into_iter().collect();
        ids.sort_unstable();
        self.segments[index].ids = Ids::Memory(ids);
        self.hide(&hides);
        Ok(hides)
    }

    /// What of a segment that was read counts no more because a later file, which was not read, holds it again.
    ///
    /// # Errors
    /// The block of such a file is broken.
    pub(super) fn hidden_by_later(
        &self,
        disk: &dyn Storage,
        segment: u32,
    ) -> Result<Vec<(Position, Position)>, Broken> {
        let index = segment as usize;
        let later = index + 1..self.segments.len().min(index + 1 + LOOK_BACK);
        let Ids::Memory(ids) = &self.segments[index].ids else { return Ok(Vec::new()) };
        let blocks = self.segments[later.clone()].iter().any(|later| matches!(later.ids, Ids::Block(_)));
        let (mut hides, base) = (Vec::new(), self.segments[index].base);
        for (digest, sequence) in ids.iter().filter(|_| blocks) {
            let own = Position(base.0 + u64::from(*sequence));
            if self.near(disk, later.clone(), digest)?.is_some_and(|(_, position)| position != own)
                && self.owned(index, Some(own)).is_some()
            {
                hides.push((base, own));
            }
        }
        Ok(hides)
    }

    /// The last of these segments that has an id, and the position there.
    fn near(
        &self,
        disk: &dyn Storage,
        range: std::ops::Range<usize>,
        digest: &Digest,
    ) -> Result<Option<(usize, Position)>, Broken> {
        for index in range.rev() {
            let segment = &self.segments[index];
            let found = segment.ids.find(disk, digest).map_err(|error| Broken { segment: index, error })?;
            let position = found.map(|sequence| Position(segment.base.0 + u64::from(sequence)));
            if let Some(position) = self.owned(index, position) {
                return Ok(Some((index, position)));
            }
        }
        Ok(None)
    }

    /// These events count no more: the first position of their file, and theirs.
    pub(super) fn hide(&mut self, hides: &[(Position, Position)]) {
        for (base, position) in hides {
            let Some(index) = self.segments.iter().position(|segment| segment.base == *base) else { continue };
            self.segments[index].odd = true;
            self.hidden.insert((u32::try_from(index).unwrap_or(u32::MAX), *position));
        }
    }

    /// Whether the event at a position of a segment counts no more; almost always none does.
    pub(super) fn is_hidden(&self, segment: u32, position: Position) -> bool {
        self.is_erased(position) || !self.hidden.is_empty() && self.hidden.contains(&(segment, position))
    }

    /// Whether the event at a position is being forgotten.
    fn is_erased(&self, position: Position) -> bool {
        let at = self.erased.partition_point(|run| run.1 < position.0);
        self.erased.get(at).is_some_and(|run| run.0 <= position.0)
    }

    /// The position of an id.
    ///
    /// # Errors
    /// The block of a segment is broken: it must be healed before the answer is known.
    pub(super) fn position(&self, disk: &dyn Storage, digest: &Digest) -> Result<Option<Position>, Broken> {
        let last = self.segments.len().saturating_sub(1);
        let live = self.live.get(digest).map(|sequence| Position(self.segments[last].base.0 + u64::from(*sequence)));
        if let Some(position) = self.owned(last, live) {
            return Ok(Some(position));
        }
        Ok(self.near(disk, 0..self.segments.len(), digest)?.map(|(_, position)| position))
    }

    /// The position, where it is read from this segment: else a later file holds another event there.
    fn owned(&self, segment: usize, position: Option<Position>) -> Option<Position> {
        let here = |position: &Position| self.place(*position).is_some_and(|place| place.segment as usize == segment);
        position.filter(|position| here(position) && !self.is_erased(*position))
    }

    /// The chunk that holds a position.
    pub(super) fn place(&self, position: Position) -> Option<Place> {
        self.from(position).next().filter(|place| place.first <= position)
    }

    /// The chunks with this position or a later one, in order.
    pub(super) fn from(&self, position: Position) -> impl Iterator<Item = Place> {
        let start = self.places.partition_point(|place| place.last < position);
        self.places[start..].iter().copied()
    }

    /// The chunks of a segment that are read from it.
    pub(super) fn places_of(&self, segment: u32) -> impl Iterator<Item = Place> {
        self.from(self.segments[segment as usize].base).filter(move |place| place.segment == segment)
    }

    /// Where in the list the chunks of these segments are, if nothing lies between them.
    pub(super) fn stretch(&self, segments: &[u32]) -> Option<std::ops::Range<usize>> {
        let of_these = |place: &Place| segments.contains(&place.segment);
        let start = self.places.iter().position(of_these)?;
        let end = self.places.iter().rposition(of_these)? + 1;
        self.places[start..end].iter().all(of_these).then_some(start..end)
    }

    /// Puts the chunks of a segment that was written anew in the place of those that were there.
    pub(super) fn replace(&mut self, stretch: std::ops::Range<usize>, places: impl IntoIterator<Item = Place>) {
        self.places.splice(stretch, places);
    }

    /// Moves the chunks of a segment that was written anew, by where they were in it; what is not named is gone.
    pub(super) fn exchange(&mut self, index: usize, moved: &HashMap<u64, Option<Place>>) {
        self.places.retain_mut(|place| {
            if place.segment as usize != index {
                return true;
            }
            let fresh = moved.get(&place.offset).copied().flatten();
            *place = fresh.unwrap_or(*place);
            fresh.is_some()
        });
        let name = &self.segments[index].name;
        self.damaged.retain(|damage| damage.segment != *name);
    }

    /// Takes a chunk out that turned out to be damaged; its ids are not known any more. False where it is not there.
    pub(super) fn lose(&mut self, place: &Place, reason: &str) -> bool {
        let Some(at) = self.places.iter().position(|known| known == place) else { return false };
        let before = at.checked_sub(1).map(|before| from_nanos(self.places[before].recorded.1));
        let after = self.places.get(at + 1).map(|after| from_nanos(after.recorded.0));
        let segment = &mut self.segments[place.segment as usize];
        let damage = Damage {
            segment: segment.name.clone(),
            offset: place.offset,
            bytes: place.length,
            reason: reason.to_owned(),
            from: before,
            to: after,
        };
        segment.odd = true;
        if segment.care == Care::Done {
            segment.care = Care::Stale;
        }
        self.places.remove(at);
        self.add_damage([damage]);
        true
    }

    /// Remembers what cannot be read.
    pub(super) fn add_damage(&mut self, damaged: impl IntoIterator<Item = Damage>) {
        for damage in damaged {
            if self.damaged.len() < DAMAGED_MAX && !self.damaged.contains(&damage) {
                self.damaged.push(damage);
            }
        }
    }

    /// What cannot be read.
    pub(super) fn damaged(&self) -> &[Damage] {
        &self.damaged
    }

    /// How many events the chunks hold.
    pub(super) fn events(&self) -> u64 {
        let stored: u64 = self.places.iter().map(|place| u64::from(place.count)).sum();
        let shown = |(segment, position): &&(u32, Position)| {
            self.place(*position).is_some_and(|place| place.segment == *segment)
        };
        stored.saturating_sub(self.hidden.iter().filter(shown).count() as u64)
    }

    /// Earliest and latest `occurred_at`.
    pub(super) fn occurred(&self) -> Option<(Timestamp, Timestamp)> {
        let oldest = self.places.iter().map(|place| place.occurred.0).min()?;
        let newest = self.places.iter().map(|place| place.occurred.1).max()?;
        Some((from_nanos(oldest), from_nanos(newest)))
    }
}

impl From<Broken> for LogError {
    fn from(broken: Broken) -> Self {
        let error = match broken.error {
            BlockError::Io(error) => error,
            BlockError::Unfit(reason) => std::io::Error::new(std::io::ErrorKind::InvalidData, reason),
        };
        Self::io("read an id block of", "the log", error)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    use super::super::sim::SimDisk;
    use super::super::world::Image;

    fn place(segment: u32, first: u64, last: u64) -> Place {
        let count = (last - first + 1) as u32;
        let (first, last) = (Position(first), Position(last));
        Place { segment, count, offset: 0, length: 0, first, last, recorded: (0, 0), occurred: (0, 0) }
    }

    fn disk() -> SimDisk {
        SimDisk::new(&Image::default())
    }

    #[test]
    fn a_batch_that_was_written_again_is_taken_from_the_later_file() {
        let mut directory = Directory::default();
        directory.add_segment("a".into(), Position(0), 0);
        for (first, last) in [(0, 4), (5, 7), (8, 9)] {
            directory.add(place(0, first, last));
        }
        directory.add_segment("b".into(), Position(5), 0);
        directory.add(place(1, 5, 7));
        assert_eq!(
            directory.from(Position(0)).map(|place| (place.segment, place.first.0)).collect::<Vec<_>>(),
            [(0, 0), (1, 5), (0, 8)]
        );
        assert_eq!(directory.events(), 10);
        assert_eq!(directory.head, Position(10));
    }

    #[test]
    fn an_event_whose_place_another_took_is_neither_known_nor_hidden() {
        let (mut directory, disk) = (Directory::default(), disk());
        directory.add_segment("a".into(), Position(0), 0);
        directory.add(place(0, 0, 2));
        let ids = [(digest("x"), 0), (digest("lost"), 1), (digest("y"), 2)];
        directory.add_read_ids(&disk, 0, &ids).unwrap();
        directory.add_segment("b".into(), Position(1), 0);
        directory.add(place(1, 1, 1));
        directory.add(place(1, 3, 3));
        let hides = directory.add_read_ids(&disk, 1, &[(digest("z"), 0), (digest("lost"), 2)]).unwrap();
        assert!(hides.is_empty(), "{hides:?}");
        let position = |id: &str| directory.position(&disk, &digest(id)).unwrap();
        assert_eq!((position("lost"), position("z"), position("y")), (Some(Position(3)), Some(Position(1)), None));
        assert!(directory.segments.iter().all(|segment| segment.odd), "they are read together and kept apart");
    }

    #[test]
    fn of_an_event_that_is_there_twice_only_the_later_counts() {
        let (mut directory, disk) = (Directory::default(), disk());
        directory.add_segment("a".into(), Position(0), 0);
        directory.add(place(0, 0, 1));
        directory.add_read_ids(&disk, 0, &[(digest("x"), 0), (digest("twice"), 1)]).unwrap();
        directory.add_segment("b".into(), Position(2), 0);
        directory.add(place(1, 2, 2));
        let hides = directory.add_read_ids(&disk, 1, &[(digest("twice"), 0)]).unwrap();
        assert_eq!(hides, [(Position(0), Position(1))]);
        assert!(directory.is_hidden(0, Position(1)) && !directory.is_hidden(1, Position(2)));
        assert_eq!((directory.events(), directory.position(&disk, &digest("twice")).unwrap()), (2, Some(Position(2))));
    }

    #[test]
    fn an_id_is_found_in_the_growing_and_in_the_older_segments() {
        let (mut directory, disk) = (Directory::default(), disk());
        directory.add_segment("a".into(), Position(0), 0);
        directory.add(place(0, 0, 1));
        directory.add_ids([(digest("x"), 0), (digest("y"), 1)]);
        directory.add_segment("b".into(), Position(2), 0);
        directory.add(place(1, 2, 2));
        directory.add_ids([(digest("z"), 0)]);
        for (id, expected) in [("x", Some(0)), ("y", Some(1)), ("z", Some(2)), ("w", None)] {
            assert_eq!(directory.position(&disk, &digest(id)).unwrap(), expected.map(Position), "{id}");
        }
        assert_eq!(directory.place(Position(1)).map(|place| place.segment), Some(0));
        assert_eq!(directory.place(Position(3)), None);
    }

    #[test]
    fn a_lost_chunk_takes_its_ids_along_and_is_told_with_its_times() {
        let (mut directory, disk) = (Directory::default(), disk());
        directory.add_segment("a".into(), Position(0), 0);
        for (number, name) in [(0, "x"), (1, "y"), (2, "z")] {
            directory.add(Place { recorded: (number, number), offset: 9, ..place(0, number, number) });
            directory.add_ids([(digest(name), number as u32)]);
        }
        let lost = directory.place(Position(1)).unwrap();
        assert!(directory.lose(&lost, "bad") && !directory.lose(&lost, "bad"));
        let known = |id: &str| directory.position(&disk, &digest(id)).unwrap().is_some();
        assert_eq!((known("x"), known("y"), known("z")), (true, false, true));
        let [damage] = directory.damaged() else { panic!("{:?}", directory.damaged()) };
        assert_eq!((damage.from, damage.to), (Some(from_nanos(0)), Some(from_nanos(2))));
        assert_eq!((damage.offset, directory.head), (9, Position(3)));
    }
}
