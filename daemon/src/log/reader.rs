//! Reads what is durable, always through the checksum.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use clone_schema::segment::{self, Chunk, Message};
use clone_schema::time::{from_nanos, to_nanos};
use clone_schema::topic::TOPICS;
use clone_schema::{Position, Timestamp};

use super::directory::Place;
use super::{Location, Log, LogError, Record, Shared, locked};

/// How many bytes of unpacked chunks are kept.
const CACHE_BYTES: usize = 32 << 20;
/// How many chunks are kept.
const CACHE_CHUNKS: usize = 256;
/// How many chunk places a scan copies at a time, so that it never holds the writer up.
const SCAN_PLACES: usize = 256;

/// The chunks read last, the latest in front.
#[derive(Default)]
pub(super) struct Cache {
    chunks: VecDeque<((u32, u64), Arc<Chunk>)>,
    bytes: usize,
}

impl Cache {
    fn get(&mut self, key: (u32, u64)) -> Option<Arc<Chunk>> {
        let at = self.chunks.iter().position(|(known, _)| *known == key)?;
        let hit = self.chunks.remove(at)?;
        let chunk = hit.1.clone();
        self.chunks.push_front(hit);
        Some(chunk)
    }

    fn put(&mut self, key: (u32, u64), chunk: &Arc<Chunk>) {
        self.bytes += chunk.weight();
        self.chunks.push_front((key, chunk.clone()));
        while self.chunks.len() > 1 && (self.bytes > CACHE_BYTES || self.chunks.len() > CACHE_CHUNKS) {
            let dropped = self.chunks.pop_back();
            self.bytes -= dropped.map_or(0, |(_, chunk)| chunk.weight());
        }
    }
}

/// The `id` of an event, borrowed from its JSON.
pub(super) fn id_in(json: &[u8]) -> Option<Cow<'_, str>> {
    #[derive(serde::Deserialize)]
    struct OnlyId<'a> {
        #[serde(borrow)]
        id: Cow<'a, str>,
    }
    serde_json::from_slice::<OnlyId<'_>>(json).ok().map(|event| event.id)
}

fn record(base: Position, message: &Message<'_>) -> Option<Record> {
    Some(Record {
        position: Position(base.0 + u64::from(message.sequence)),
        topic: TOPICS[message.topic].name,
        id: id_in(message.data)?.into_owned(),
        recorded_at: from_nanos(message.log_time),
        occurred_at: from_nanos(message.publish_time),
        json: String::from_utf8(message.data.to_vec()).ok()?,
    })
}

impl Shared {
    fn base(&self, place: &Place) -> Position {
        self.directory().segments[place.segment as usize].base
    }

    /// The chunk at a place, checked.
    fn chunk(&self, place: &Place) -> Result<Arc<Chunk>, LogError> {
        let key = (place.segment, place.offset);
        if let Some(chunk) = locked(&self.cache).get(key) {
            return Ok(chunk);
        }
        let (name, bytes) = self.bytes(place)?;
        let base = self.base(place);
        let damaged =
            |reason: &str| LogError::Damaged { segment: name.clone(), offset: place.offset, reason: reason.into() };
        let chunk = segment::decode(&bytes, base.0).map_err(damaged)?;
        if u64::from(chunk.info.first) + base.0 != place.first.0 || chunk.info.count != place.count {
            return Err(damaged("the chunk is another one than at the start"));
        }
        let chunk = Arc::new(chunk);
        locked(&self.cache).put(key, &chunk);
        Ok(chunk)
    }

    /// The stored bytes of a chunk and the file they came from.
    fn bytes(&self, place: &Place) -> Result<(String, Vec<u8>), LogError> {
        let name = || self.directory().segments[place.segment as usize].name.clone();
        let length = usize::try_from(place.length).unwrap_or(usize::MAX);
        let read = |name: String| {
            let bytes = self.disk.read_at(&name, place.offset, length);
            bytes.map(|bytes| (name.clone(), bytes)).map_err(|error| (name, error))
        };
        // A file that is sealed in this moment has another name now.
        let outcome = match read(name()) {
            Err((_, error)) if error.kind() == io::ErrorKind::NotFound => read(name()),
            other => other,
        };
        outcome.map_err(|(name, error)| LogError::io("read", name, error))
    }

    /// Up to [`SCAN_PLACES`] places from a position on that `keep` accepts, and where to go on.
    fn places(&self, from: Position, keep: impl Fn(&Place) -> bool) -> (Vec<Place>, Option<Position>) {
        let directory = self.directory();
        let places: Vec<Place> = directory.from(from).filter(|place| keep(place)).take(SCAN_PLACES).collect();
        let next = (places.len() == SCAN_PLACES).then(|| places[SCAN_PLACES - 1].last.next());
        (places, next)
    }

    /// Records in order from the chunks that `keep` accepts; a chunk that went bad is skipped and logged.
    fn scan(
        &self,
        from: Position,
        limit: usize,
        keep: impl Fn(&Place) -> bool,
        wanted: impl Fn(&Message<'_>, Position) -> bool,
    ) -> Result<Vec<Record>, LogError> {
        let (mut out, mut next) = (Vec::new(), Some(from));
        let hidden = self.directory().hidden().clone();
        while let Some(from) = next {
            let places;
            (places, next) = self.places(from, &keep);
            for place in places {
                let chunk = match self.chunk(&place) {
                    Err(error @ LogError::Damaged { .. }) => {
                        tracing::error!(%error, "a scan skips a chunk");
                        continue;
                    }
                    other => other?,
                };
                let base = self.base(&place);
                let messages = chunk.messages().filter(|message| wanted(message, base));
                let records = messages.filter_map(|message| record(base, &message));
                out.extend(records.filter(|record| !hidden.contains(&record.position)).take(limit - out.len()));
                if out.len() >= limit {
                    return Ok(out);
                }
            }
        }
        Ok(out)
    }
}

impl Log {
    /// The event at a position; `None` where there is none, or where a damaged file held it when the log was opened.
    ///
    /// # Errors
    /// [`LogError::Damaged`] where its chunk went bad since, or the file system's.
    pub fn read(&self, position: Position) -> Result<Option<Record>, LogError> {
        let shared = &self.inner.shared;
        let Some(place) = shared.directory().place(position) else { return Ok(None) };
        if shared.directory().hidden().contains(&position) {
            return Ok(None);
        }
        let (base, chunk) = (shared.base(&place), shared.chunk(&place)?);
        let message = at(&chunk, base, position).and_then(|index| chunk.get(index));
        Ok(message.and_then(|message| record(base, &message)))
    }

    /// Up to `limit` events from a position on, ascending; damaged chunks are skipped.
    ///
    /// # Errors
    /// The file system's.
    pub fn scan(&self, from: Position, limit: usize) -> Result<Vec<Record>, LogError> {
        let after = |message: &Message<'_>, base: Position| base.0 + u64::from(message.sequence) >= from.0;
        self.inner.shared.scan(from, limit, |_| true, after)
    }

    /// Up to `limit` events that happened in `from..to`, in the order of their positions; damaged chunks are skipped.
    ///
    /// # Errors
    /// The file system's.
    pub fn scan_time(&self, from: Timestamp, to: Timestamp, limit: usize) -> Result<Vec<Record>, LogError> {
        let range = to_nanos(from)..to_nanos(to);
        let overlaps = |place: &Place| place.occurred.0 < range.end && place.occurred.1 >= range.start;
        self.inner.shared.scan(Position(0), limit, overlaps, |message, _| range.contains(&message.publish_time))
    }

    /// Where the event at a position is stored now; `None` where it cannot be read.
    #[must_use]
    pub fn locate(&self, position: Position) -> Option<Location> {
        let shared = &self.inner.shared;
        let place = shared.directory().place(position)?;
        let (base, chunk) = (shared.base(&place), shared.chunk(&place).ok()?);
        let index = at(&chunk, base, position)?;
        let segment = shared.directory().segments[place.segment as usize].name.clone();
        let time = from_nanos(chunk.get(index)?.log_time);
        Some(Location { segment, offset: place.offset, index: u32::try_from(index).ok()?, time })
    }
}

/// The index in a chunk of the event at a position.
fn at(chunk: &Chunk, base: Position, position: Position) -> Option<usize> {
    chunk.find(u32::try_from(position.0.checked_sub(base.0)?).ok()?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn chunk(bytes: usize) -> Arc<Chunk> {
        let text = "x".repeat(bytes);
        let message = Message { sequence: 0, topic: 0, log_time: 1, publish_time: 1, data: text.as_bytes() };
        Arc::new(segment::decode(&segment::chunk(0, &[message]).bytes, 0).unwrap())
    }

    #[test]
    fn the_cache_keeps_the_latest_within_its_bounds() {
        let mut cache = Cache::default();
        let small = chunk(10);
        for number in 0..CACHE_CHUNKS as u64 + 1 {
            cache.put((0, number), &small);
            assert!(cache.get((0, 1)).is_some() || number < 1);
        }
        assert!(cache.get((0, 0)).is_none() && cache.get((0, CACHE_CHUNKS as u64)).is_some());
        let large = chunk(CACHE_BYTES / 2);
        for number in 0..3 {
            cache.put((1, number), &large);
            assert!(cache.bytes <= CACHE_BYTES);
        }
        assert_eq!((cache.chunks.len(), cache.bytes), (1, large.weight()));
    }

    #[test]
    fn ids_are_read_without_the_rest() {
        for (json, expected) in [
            (r#"{"a":{"id":"no"},"id":"yes"}"#, Some("yes")),
            (r#"{"id":"a\u0062\n"}"#, Some("ab\n")),
            (r#"{"id":1}"#, None),
            (r#"{"id":"a","id":"b"}"#, None),
            (r#"{"id":"a"} x"#, None),
            ("", None),
        ] {
            assert_eq!(id_in(json.as_bytes()).as_deref(), expected, "{json}");
        }
    }
}
