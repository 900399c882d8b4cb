//! What is where: which chunk of which segment holds a position, and which position an id has.
//!
//! All of it is in memory and rebuilt from the segments at open. An event costs about 20 bytes here, a chunk about 72.

use std::collections::{BTreeSet, HashMap};

use clone_schema::segment::Info;
use clone_schema::time::from_nanos;
use clone_schema::{Position, Timestamp};

/// How many files back a failed commit is looked for: it goes on in the next file, or a few later while the disk fails.
const LOOK_BACK: usize = 3;

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
    /// Earliest and latest `occurred_at`, in nanoseconds.
    pub(super) occurred: (u64, u64),
}

impl Place {
    pub(super) fn new(segment: u32, base: Position, info: &Info) -> Self {
        Self {
            segment,
            count: info.count,
            offset: info.offset,
            length: info.length,
            first: Position(base.0 + u64::from(info.first)),
            last: Position(base.0 + u64::from(info.last)),
            occurred: info.publish_time,
        }
    }
}

/// One file of the log.
#[derive(Clone, Debug, Default)]
pub(super) struct Segment {
    /// Its name now.
    pub(super) name: String,
    /// Its first position, from which the sequences count.
    pub(super) base: Position,
    /// Durable bytes.
    pub(super) bytes: u64,
    /// Sorted (digest, sequence) while nothing is appended any more.
    ids: Vec<(Digest, u32)>,
}

impl Segment {
    fn position(&self, digest: &Digest) -> Option<Position> {
        let at = self.ids.binary_search_by_key(digest, |(known, _)| *known).ok()?;
        Some(Position(self.base.0 + u64::from(self.ids[at].1)))
    }
}

/// Everything that is durable, and where.
#[derive(Default)]
pub(super) struct Directory {
    pub(super) segments: Vec<Segment>,
    places: Vec<Place>,
    /// Ids of the last segment while it grows.
    live: HashMap<Digest, Position>,
    /// Copies of events whose commit was answered with an error and which were appended again later.
    hidden: BTreeSet<Position>,
    /// The next position to be given.
    pub(super) head: Position,
    pub(super) commits: u64,
}

impl Directory {
    /// Adds a file that nothing was read from yet.
    pub(super) fn add_segment(&mut self, name: String, base: Position, bytes: u64) -> u32 {
        self.seal_ids();
        self.segments.push(Segment { name, base, bytes, ids: Vec::new() });
        u32::try_from(self.segments.len() - 1).unwrap_or(u32::MAX)
    }

    /// Moves the ids of the growing segment into its compact form.
    pub(super) fn seal_ids(&mut self) {
        let Some(segment) = self.segments.last_mut() else { return };
        let base = segment.base.0;
        let ids = self.live.drain().map(|(digest, at)| (digest, u32::try_from(at.0 - base).unwrap_or(u32::MAX)));
        segment.ids.extend(ids);
        segment.ids.sort_unstable();
        segment.ids.shrink_to_fit();
        self.live = HashMap::new();
    }

    /// Adds a chunk. Positions that an earlier file holds too are taken from this one: a failed batch was written again.
    pub(super) fn add(&mut self, place: Place) {
        let start = self.places.partition_point(|known| known.last < place.first);
        let end = self.places.partition_point(|known| known.first <= place.last);
        self.places.splice(start..end.max(start), [place]);
        // These positions are other events now.
        self.hidden.retain(|hidden| !(place.first..=place.last).contains(hidden));
        self.head = self.head.max(place.last.next());
    }

    /// Adds ids of the last segment that are new.
    pub(super) fn add_ids(&mut self, ids: impl IntoIterator<Item = (Digest, Position)>) {
        self.live.extend(ids);
    }

    /// Adds ids that recovery read; of an id that was there before, only the later event counts, because only that one
    /// was acknowledged. Only the [`LOOK_BACK`] files before are looked at.
    pub(super) fn add_read_ids(&mut self, ids: impl IntoIterator<Item = (Digest, Position)>) {
        for (digest, position) in ids {
            let earlier = self.live.insert(digest, position).or_else(|| {
                let mut before = self.segments.iter().enumerate().rev().skip(1).take(LOOK_BACK);
                before.find_map(|(index, segment)| self.owned(index, segment.position(&digest)))
            });
            self.hidden.extend(earlier.filter(|earlier| *earlier != position));
        }
    }

    /// The positions of events that count no more; almost always empty.
    pub(super) fn hidden(&self) -> &BTreeSet<Position> {
        &self.hidden
    }

    /// The position of an id.
    pub(super) fn position(&self, digest: &Digest) -> Option<Position> {
        let live = self.live.get(digest).copied();
        if let Some(position) = self.owned(self.segments.len().saturating_sub(1), live) {
            return Some(position);
        }
        let mut segments = self.segments.iter().enumerate().rev();
        segments.find_map(|(index, segment)| self.owned(index, segment.position(digest)))
    }

    /// The position, where it is read from this segment: else a later file holds another event there.
    fn owned(&self, segment: usize, position: Option<Position>) -> Option<Position> {
        position.filter(|position| self.place(*position).is_some_and(|place| place.segment as usize == segment))
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

    /// How many events the chunks hold.
    pub(super) fn events(&self) -> u64 {
        let stored: u64 = self.places.iter().map(|place| u64::from(place.count)).sum();
        stored.saturating_sub(self.hidden.len() as u64)
    }

    /// Earliest and latest `occurred_at`.
    pub(super) fn occurred(&self) -> Option<(Timestamp, Timestamp)> {
        let oldest = self.places.iter().map(|place| place.occurred.0).min()?;
        let newest = self.places.iter().map(|place| place.occurred.1).max()?;
        Some((from_nanos(oldest), from_nanos(newest)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(segment: u32, first: u64, last: u64) -> Place {
        let count = (last - first + 1) as u32;
        let (first, last) = (Position(first), Position(last));
        Place { segment, count, offset: 0, length: 0, first, last, occurred: (0, 0) }
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
        let mut directory = Directory::default();
        directory.add_segment("a".into(), Position(0), 0);
        directory.add(place(0, 0, 2));
        directory.add_read_ids([(digest("x"), Position(0)), (digest("lost"), Position(1)), (digest("y"), Position(2))]);
        directory.add_segment("b".into(), Position(1), 0);
        directory.add(place(1, 1, 1));
        directory.add_read_ids([(digest("z"), Position(1))]);
        assert_eq!(directory.position(&digest("lost")), None);
        assert_eq!(directory.position(&digest("z")), Some(Position(1)));
        directory.add(place(1, 3, 3));
        directory.add_read_ids([(digest("lost"), Position(3))]);
        assert!(directory.hidden().is_empty(), "{:?}", directory.hidden());
    }

    #[test]
    fn an_id_is_found_in_the_growing_and_in_the_older_segments() {
        let mut directory = Directory::default();
        directory.add_segment("a".into(), Position(0), 0);
        directory.add(place(0, 0, 1));
        directory.add_ids([(digest("x"), Position(0)), (digest("y"), Position(1))]);
        directory.add_segment("b".into(), Position(2), 0);
        directory.add(place(1, 2, 2));
        directory.add_ids([(digest("z"), Position(2))]);
        for (id, expected) in [("x", Some(0)), ("y", Some(1)), ("z", Some(2)), ("w", None)] {
            assert_eq!(directory.position(&digest(id)), expected.map(Position), "{id}");
        }
        assert_eq!(directory.place(Position(1)).map(|place| place.segment), Some(0));
        assert_eq!(directory.place(Position(3)), None);
    }
}
