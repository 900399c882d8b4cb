//! One segment file as it lies there: what can be read of it, and what cannot. Pure.

use clone_schema::segment::{self, Bad, Chunk, End, Walk};
use clone_schema::time::from_nanos;
use clone_schema::{Position, Timestamp};

use super::recover::parse;
use super::{Damage, reader};

/// What one segment file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// The name of the file.
    pub name: String,
    /// The first position that it may hold, from its name.
    pub base: Position,
    /// Whether its name says that it was sealed.
    pub sealed: bool,
    /// Its length in bytes.
    pub bytes: u64,
    /// Chunks whose checksum agrees.
    pub chunks: u64,
    /// Events in them that this version can read.
    pub events: u64,
    /// Events in them whose topic this version does not know; they are kept, and a later version reads them.
    pub unknown: u64,
    /// The first and the last position in them.
    pub positions: Option<(Position, Position)>,
    /// When the first and the last of them were recorded.
    pub recorded: Option<(Timestamp, Timestamp)>,
    /// Ranges that are not as they were written.
    pub damaged: Vec<Damage>,
    /// Positions that were given and cannot be read.
    pub missing: Vec<Missing>,
    /// The end of an open file that a crash cut short, in bytes: nobody was told that it was recorded.
    pub cut_short: u64,
    /// The hash of every good chunk, byte for byte and in order.
    pub digest: [u8; 32],
    /// Bytes behind the last good chunk that may have held events.
    pub(super) lost_at_end: u64,
    /// Whether there is nothing to mend: sealed, and every byte as it was written.
    pub(super) whole: bool,
}

/// A range of positions that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The file that held them.
    pub segment: String,
    /// The first one.
    pub first: Position,
    /// The last one; `None` where nobody can tell, because the log ends there.
    pub last: Option<Position>,
}

/// Reads the bytes of a file; `None` where its name is not that of a segment.
///
/// Never panics, whatever the bytes are, and holds at most one unpacked chunk at a time.
#[must_use]
pub fn inspect(name: &str, bytes: &[u8]) -> Option<Inspection> {
    let (base, open, name) = parse(name.to_owned())?;
    let mut seen =
        Seen { name, base, bytes, held: Vec::new(), data: u64::MAX, events: 0, unknown: 0, nameless: Vec::new() };
    let mut hasher = blake3::Hasher::new();
    let walk = segment::walk(bytes, base.0, |chunk| {
        hasher.update(seen.slice(&chunk));
        seen.add(&chunk);
    });
    Some(seen.judge(!open, &walk, *hasher.finalize().as_bytes()))
}

/// A good chunk: where it is, what it holds, and when that was recorded.
struct Held {
    offset: u64,
    end: u64,
    first: u32,
    last: u32,
    recorded: (u64, u64),
}

struct Seen<'a> {
    name: String,
    base: Position,
    bytes: &'a [u8],
    held: Vec<Held>,
    /// From here on there are no events, whatever is wrong there.
    data: u64,
    events: u64,
    unknown: u64,
    /// Chunks with events that carry no id: offset, length, how many.
    nameless: Vec<(u64, u64, usize)>,
}

impl<'a> Seen<'a> {
    fn slice(&self, chunk: &Chunk) -> &'a [u8] {
        let end = usize::try_from(chunk.info.offset + chunk.info.length).unwrap_or(usize::MAX);
        let start = usize::try_from(chunk.info.offset).unwrap_or(usize::MAX);
        self.bytes.get(start..end).unwrap_or_default()
    }

    fn add(&mut self, chunk: &Chunk) {
        let info = &chunk.info;
        self.held.push(Held {
            offset: info.offset,
            end: info.offset + info.length,
            first: info.first,
            last: info.last,
            recorded: info.log_time,
        });
        let nameless = chunk.messages().filter(|message| reader::id_in(message.data).is_none()).count();
        if nameless > 0 {
            self.nameless.push((info.offset, info.length, nameless));
        }
        self.events += (chunk.len() - nameless) as u64;
        self.unknown += u64::from(chunk.unknown);
    }

    fn judge(mut self, sealed: bool, walk: &Walk, digest: [u8; 32]) -> Inspection {
        let mut bad = walk.bad.clone();
        let length = self.bytes.len() as u64;
        let mut cut_short = 0;
        match walk.end {
            End::Torn { offset, cut_short: true } if !sealed => cut_short = length - offset,
            End::Torn { offset, .. } => {
                bad.push(Bad { offset, length: length - offset, reason: torn(sealed) });
                if segment::data_agrees(self.bytes, usize::try_from(offset).unwrap_or(usize::MAX)) {
                    self.data = offset;
                }
            }
            End::Open if sealed => bad.push(Bad { offset: length, length: 0, reason: torn(true) }),
            End::Sealed { data } => self.data = data,
            End::Open => {}
        }
        Inspection {
            chunks: self.held.len() as u64,
            events: self.events,
            unknown: self.unknown,
            positions: self.positions(),
            recorded: self.recorded(),
            missing: self.missing(&bad),
            lost_at_end: self.lost_at_end(&bad),
            damaged: bad.iter().map(|bad| self.damage(bad)).chain(self.nameless()).collect(),
            whole: sealed && bad.is_empty(),
            bytes: length,
            base: self.base,
            name: self.name,
            sealed,
            cut_short,
            digest,
        }
    }

    fn at(&self, sequence: u32) -> Position {
        Position(self.base.0 + u64::from(sequence))
    }

    fn positions(&self) -> Option<(Position, Position)> {
        Some((self.at(self.held.first()?.first), self.at(self.held.last()?.last)))
    }

    fn recorded(&self) -> Option<(Timestamp, Timestamp)> {
        let first = self.held.iter().map(|held| held.recorded.0).min()?;
        let last = self.held.iter().map(|held| held.recorded.1).max()?;
        Some((from_nanos(first), from_nanos(last)))
    }

    /// The good chunks around a bad range; `None` for one that tells of no lost event: it runs
    /// over good chunks, or stands behind all data.
    fn around(&self, bad: &Bad) -> Option<(Option<&Held>, Option<&Held>)> {
        if bad.offset >= self.data {
            return None;
        }
        let after = self.held.partition_point(|held| held.end <= bad.offset);
        let next = self.held.get(after);
        let covers = next.is_some_and(|held| held.offset < bad.offset + bad.length);
        (!covers).then(|| (after.checked_sub(1).and_then(|at| self.held.get(at)), next))
    }

    fn damage(&self, bad: &Bad) -> Damage {
        let (before, after) = self.around(bad).unwrap_or_default();
        Damage {
            segment: self.name.clone(),
            offset: bad.offset,
            bytes: bad.length,
            reason: bad.reason.to_owned(),
            from: before.map(|held| from_nanos(held.recorded.1)),
            to: after.map(|held| from_nanos(held.recorded.0)),
        }
    }

    fn nameless(&self) -> impl Iterator<Item = Damage> {
        self.nameless.iter().map(|(offset, length, count)| {
            let bad = Bad { offset: *offset, length: *length, reason: "" };
            Damage { reason: format!("{count} events in the chunk carry no id"), ..self.damage(&bad) }
        })
    }

    /// The positions that stood where something bad stands now.
    fn missing(&self, bad: &[Bad]) -> Vec<Missing> {
        let mut out: Vec<Missing> = Vec::new();
        for (before, after) in bad.iter().filter_map(|bad| self.around(bad)) {
            let first = before.map_or(self.base, |held| self.at(held.last).next());
            let last = after.map(|held| self.at(held.first));
            let segment = self.name.clone();
            match last {
                Some(next) if next > first => {
                    out.push(Missing { segment, first, last: Some(Position(next.0 - 1)) });
                }
                Some(_) => {}
                None => out.push(Missing { segment, first, last: None }),
            }
        }
        out.dedup();
        out
    }

    fn lost_at_end(&self, bad: &[Bad]) -> u64 {
        let end = self.held.last().map_or(0, |held| held.end);
        bad.iter().filter(|bad| bad.offset >= end && self.around(bad).is_some()).map(|bad| bad.length.max(1)).sum()
    }
}

fn torn(sealed: bool) -> &'static str {
    match sealed {
        true => "the file does not end like a sealed segment",
        false => "the end of the file holds nothing valid",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use clone_schema::segment::{Message, Tally, chunk, header};
    use proptest::prelude::*;

    use super::super::salvage;
    use super::*;

    const NAME: &str = "00000000000000000100.mcap";
    const BASE: u64 = 100;

    /// A sealed file of so many chunks of two events, and where each chunk is.
    fn sealed(chunks: u32) -> (Vec<u8>, Vec<(usize, usize)>) {
        let (mut bytes, mut tally, mut places) = (header("home"), Tally::default(), Vec::new());
        for number in 0..chunks {
            let texts: Vec<String> = (0..2).map(|n| format!(r#"{{"id":"{number}-{n}"}}"#)).collect();
            let messages: Vec<Message<'_>> = texts
                .iter()
                .zip(number * 2..)
                .map(|(text, sequence)| {
                    let time = 1_000_000_000 * u64::from(number + 1);
                    Message { sequence, topic: 0, log_time: time, publish_time: time, data: text.as_bytes() }
                })
                .collect();
            let encoded = chunk(BASE, &messages);
            places.push((bytes.len(), encoded.bytes.len()));
            tally.add(segment::Info { offset: bytes.len() as u64, ..encoded.info });
            bytes.extend_from_slice(&encoded.bytes);
        }
        let tail = tally.tail(BASE, bytes.len() as u64, crc32fast::hash(&bytes));
        bytes.extend_from_slice(&tail);
        (bytes, places)
    }

    #[test]
    fn a_whole_file_is_told_as_it_is() {
        let (bytes, _) = sealed(3);
        let found = inspect(NAME, &bytes).unwrap();
        assert_eq!((found.chunks, found.events, found.bytes), (3, 6, bytes.len() as u64));
        assert_eq!(found.positions, Some((Position(100), Position(105))));
        assert_eq!(found.recorded, Some((from_nanos(1_000_000_000), from_nanos(3_000_000_000))));
        assert!(found.whole && found.damaged.is_empty() && found.missing.is_empty(), "{found:?}");
        assert_eq!(inspect("notes.txt", &bytes), None);
    }

    #[test]
    fn a_bad_chunk_is_told_with_its_range_its_positions_and_its_time() {
        let (mut bytes, places) = sealed(3);
        let (offset, length) = places[1];
        bytes[offset + length - 1] ^= 1;
        let found = inspect(NAME, &bytes).unwrap();
        let bad = &found.damaged[0];
        assert_eq!((bad.offset, bad.bytes), (offset as u64, length as u64));
        assert_eq!((bad.from, bad.to), (Some(from_nanos(1_000_000_000)), Some(from_nanos(3_000_000_000))));
        let gone = Missing { segment: NAME.into(), first: Position(102), last: Some(Position(103)) };
        assert_eq!(found.missing, [gone]);
        let over_all = &found.damaged[1];
        assert_eq!((over_all.offset, over_all.from, over_all.to), (0, None, None), "it tells of no lost event");
        assert_eq!((found.damaged.len(), found.events, found.lost_at_end), (2, 4, 0));
    }

    #[test]
    fn a_sealed_file_that_was_cut_lost_its_end_and_an_open_one_only_what_nobody_was_told_of() {
        let (bytes, places) = sealed(3);
        let cut = places[2].0 + 10;
        let found = inspect(NAME, &bytes[..cut]).unwrap();
        assert_eq!((found.damaged.len(), found.damaged[0].offset, found.lost_at_end), (1, places[2].0 as u64, 10));
        let gone = Missing { segment: NAME.into(), first: Position(104), last: None };
        assert_eq!(found.missing, [gone]);
        let found = inspect("00000000000000000100.open.mcap", &bytes[..cut]).unwrap();
        assert!(found.damaged.is_empty() && found.missing.is_empty() && !found.whole, "{found:?}");
        assert_eq!((found.cut_short, found.events, found.lost_at_end), (10, 4, 0));
        // Cut behind a whole chunk, where the file only lacks its end.
        let found = inspect(NAME, &bytes[..places[2].0]).unwrap();
        assert_eq!((found.damaged.len(), found.missing.len()), (1, 1), "{found:?}");
        assert!(found.lost_at_end > 0);
    }

    #[test]
    fn a_damaged_summary_costs_no_event() {
        let (mut bytes, _) = sealed(2);
        let at = bytes.len() - 20;
        bytes[at] ^= 1;
        let found = inspect(NAME, &bytes).unwrap();
        assert_eq!((found.damaged.len(), found.events, found.lost_at_end), (1, 4, 0), "{found:?}");
        assert!(found.missing.is_empty());
    }

    proptest! {
        #[test]
        fn whatever_is_done_to_a_file_what_is_left_of_it_is_told_and_saved(
            edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
            cut in prop::option::of(any::<prop::sample::Index>()), is_open in any::<bool>(),
        ) {
            let (whole, places) = sealed(4);
            let mut bytes = whole.clone();
            for (at, value) in edits {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            bytes.truncate(cut.map_or(bytes.len(), |cut| cut.index(bytes.len())));
            let found = inspect(if is_open { "00000000000000000100.open.mcap" } else { NAME }, &bytes).unwrap();
            prop_assert_eq!(!is_open && found.damaged.is_empty(), !is_open && bytes == whole);
            let intact = places.iter().filter(|(at, length)| bytes.get(*at..at + length) == Some(&whole[*at..at + length]));
            prop_assert!(found.chunks >= intact.count() as u64, "a chunk that was not hit is read: {:?}", found);
            for missing in &found.missing {
                prop_assert!(missing.last.is_none_or(|last| last >= missing.first), "{:?}", missing);
            }
            if let Some(new) = salvage(&found, &bytes, "home") {
                let again = inspect(NAME, &new).unwrap();
                prop_assert!(again.whole && again.damaged.is_empty(), "{:?}", again);
                prop_assert_eq!((again.digest, again.events, again.positions), (found.digest, found.events, found.positions));
            } else {
                prop_assert_eq!(found.chunks, 0);
            }
        }
    }

    #[test]
    fn an_event_without_an_id_is_damage() {
        let one = Message { sequence: 0, topic: 0, log_time: 1, publish_time: 1, data: b"{}" };
        let bytes = [header("home"), chunk(BASE, &[one]).bytes].concat();
        let found = inspect("00000000000000000100.open.mcap", &bytes).unwrap();
        assert_eq!((found.damaged.len(), found.events), (1, 0));
    }
}
