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

/// The index of a segment, its generation, and where in it.
type Key = (u32, u32, u64);

/// The chunks read last, the latest in front.
#[derive(Default)]
pub(super) struct Cache {
    chunks: VecDeque<(Key, Arc<Chunk>)>,
    bytes: usize,
}

impl Cache {
    fn get(&mut self, key: Key) -> Option<Arc<Chunk>> {
        let at = self.chunks.iter().position(|(known, _)| *known == key)?;
        let hit = self.chunks.remove(at)?;
        let chunk = hit.1.clone();
        self.chunks.push_front(hit);
        Some(chunk)
    }

    fn put(&mut self, key: Key, chunk: &Arc<Chunk>) {
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

/// A chunk and the file that held it when it was looked up.
struct Source {
    place: Place,
    name: String,
    base: Position,
    generation: u32,
}

/// Why a chunk was not read.
enum Unread {
    /// Its file was sealed or written anew meanwhile: look it up again.
    Moved,
    Failed(LogError),
}

impl Shared {
    /// The first chunk from a position on that is wanted.
    fn source(&self, from: Position, keep: impl Fn(&Place) -> bool) -> Option<Source> {
        let directory = self.directory();
        let place = directory.from(from).find(|place| keep(place))?;
        let segment = &directory.segments[place.segment as usize];
        Some(Source { place, name: segment.name.clone(), base: segment.base, generation: segment.generation })
    }

    /// The chunk that holds a position, with the first position of its file.
    fn chunk_at(&self, position: Position) -> Result<Option<(Source, Arc<Chunk>)>, LogError> {
        loop {
            let Some(source) = self.source(position, |_| true).filter(|source| source.place.first <= position) else {
                return Ok(None);
            };
            match self.chunk(&source) {
                Ok(chunk) => return Ok(Some((source, chunk))),
                Err(Unread::Moved) => {}
                Err(Unread::Failed(error)) => return Err(error),
            }
        }
    }

    /// The chunk of a source, checked; one that is damaged is taken out of the directory.
    fn chunk(&self, source: &Source) -> Result<Arc<Chunk>, Unread> {
        let key = (source.place.segment, source.generation, source.place.offset);
        if let Some(chunk) = locked(&self.cache).get(key) {
            return Ok(chunk);
        }
        let chunk = Arc::new(self.read_checked(source)?);
        locked(&self.cache).put(key, &chunk);
        Ok(chunk)
    }

    /// Reads a chunk from the disk and checks it.
    fn read_checked(&self, source: &Source) -> Result<Chunk, Unread> {
        let Source { place, name, base, .. } = source;
        let length = usize::try_from(place.length).unwrap_or(usize::MAX);
        let outcome = match self.disk.read_at(name, place.offset, length) {
            Ok(bytes) => believed(&bytes, *base, place),
            // The file ends before the chunk does: bytes are lost, not hard to read.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err("the file ends within the chunk"),
            Err(_) if self.is_moved(source) => return Err(Unread::Moved),
            Err(error) => return Err(Unread::Failed(LogError::io("read", name, error))),
        };
        outcome.map_err(|reason| {
            if self.is_moved(source) {
                return Unread::Moved;
            }
            if self.directory_mut().lose(place, reason) {
                tracing::error!(file = name, offset = place.offset, reason, "a chunk of the log is damaged");
                self.keeper.wake();
            }
            let (segment, reason) = (name.clone(), reason.to_owned());
            Unread::Failed(LogError::Damaged { segment, offset: place.offset, reason })
        })
    }

    /// Whether the file of a source is another one by now.
    fn is_moved(&self, source: &Source) -> bool {
        let directory = self.directory();
        let segment = &directory.segments[source.place.segment as usize];
        segment.name != source.name || segment.generation != source.generation
    }

    /// Records in order from the chunks that `keep` accepts; a chunk that is damaged is skipped.
    fn scan(
        &self,
        from: Position,
        limit: usize,
        keep: impl Fn(&Place) -> bool,
        wanted: impl Fn(&Message<'_>) -> bool,
    ) -> Result<Vec<Record>, LogError> {
        let (mut out, mut from) = (Vec::new(), from);
        while let Some(source) = self.source(from, &keep).filter(|_| out.len() < limit) {
            let chunk = match self.chunk(&source) {
                Err(Unread::Moved) => continue,
                Err(Unread::Failed(LogError::Damaged { .. })) => {
                    from = source.place.last.next();
                    continue;
                }
                Err(Unread::Failed(error)) => return Err(error),
                Ok(chunk) => chunk,
            };
            let start = from.0.saturating_sub(source.base.0);
            let messages = chunk.messages().filter(|message| u64::from(message.sequence) >= start && wanted(message));
            let records = messages.filter_map(|message| record(source.base, &message));
            let shown = records.filter(|record| !self.is_hidden(&source, record.position));
            out.extend(shown.take(limit - out.len()));
            from = source.place.last.next();
        }
        Ok(out)
    }

    fn is_hidden(&self, source: &Source, position: Position) -> bool {
        self.directory().is_hidden(source.place.segment, position)
    }

    /// Reads the first chunk from a position on again, past the cache, and says where it ends.
    pub(super) fn scrub(&self, from: Position) -> Option<Position> {
        let source = self.source(from, |_| true)?;
        if let Err(Unread::Failed(error @ LogError::Io { .. })) = self.read_checked(&source) {
            tracing::warn!(%error, "a chunk of the log cannot be read in idle time");
        }
        Some(source.place.last.next())
    }
}

/// The chunk in these bytes, if it is the one that stood there.
fn believed(bytes: &[u8], base: Position, place: &Place) -> Result<Chunk, &'static str> {
    let chunk = segment::decode(bytes, base.0)?;
    let same = u64::from(chunk.info.first) + base.0 == place.first.0 && chunk.info.count == place.count;
    if same { Ok(chunk) } else { Err("the chunk is another one than at the start") }
}

impl Log {
    /// The event at a position; `None` where there is none, or where a damaged file held it when the log was opened.
    ///
    /// # Errors
    /// [`LogError::Damaged`] where its chunk went bad since, or the file system's.
    pub fn read(&self, position: Position) -> Result<Option<Record>, LogError> {
        let shared = &self.inner.shared;
        let Some((source, chunk)) = shared.chunk_at(position)? else { return Ok(None) };
        if shared.is_hidden(&source, position) {
            return Ok(None);
        }
        let message = at(&chunk, source.base, position).and_then(|index| chunk.get(index));
        Ok(message.and_then(|message| record(source.base, &message)))
    }

    /// Up to `limit` events from a position on, ascending; damaged chunks are skipped.
    ///
    /// # Errors
    /// The file system's.
    pub fn scan(&self, from: Position, limit: usize) -> Result<Vec<Record>, LogError> {
        self.inner.shared.scan(from, limit, |_| true, |_| true)
    }

    /// Up to `limit` events that happened in `from..to`, in the order of their positions; damaged chunks are skipped.
    ///
    /// # Errors
    /// The file system's.
    pub fn scan_time(&self, from: Timestamp, to: Timestamp, limit: usize) -> Result<Vec<Record>, LogError> {
        let range = to_nanos(from)..to_nanos(to);
        let overlaps = |place: &Place| place.occurred.0 < range.end && place.occurred.1 >= range.start;
        self.inner.shared.scan(Position(0), limit, overlaps, |message| range.contains(&message.publish_time))
    }

    /// Where the event at a position is stored now; `None` where it cannot be read.
    #[must_use]
    pub fn locate(&self, position: Position) -> Option<Location> {
        let (source, chunk) = self.inner.shared.chunk_at(position).ok()??;
        if self.inner.shared.is_hidden(&source, position) {
            return None;
        }
        let index = at(&chunk, source.base, position)?;
        let time = from_nanos(chunk.get(index)?.log_time);
        Some(Location { segment: source.name, offset: source.place.offset, index: u32::try_from(index).ok()?, time })
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
            cache.put((0, 0, number), &small);
            assert!(cache.get((0, 0, 1)).is_some() || number < 1);
        }
        assert!(cache.get((0, 0, 0)).is_none() && cache.get((0, 0, CACHE_CHUNKS as u64)).is_some());
        let large = chunk(CACHE_BYTES / 2);
        for number in 0..3 {
            cache.put((1, 0, number), &large);
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
