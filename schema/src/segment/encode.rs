//! Builds the bytes of a segment: header, chunks and the sealing tail.
//!
//! Everything is built in memory; a writer appends each piece with one write and never seeks back.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::{
    CHANNEL, CHUNK, CHUNK_INDEX, DATA_END, FOOTER, FORMAT, HEADER, Info, MAGIC, MESSAGE, METADATA, Message, PREFIX,
    PROFILE, SCHEMA, STATISTICS, schema_text,
};
use crate::topic::TOPICS;

/// Packs event text about 3 times at well above disk speed (297-byte events in chunks of 1,000: 99 bytes each).
const ZSTD_LEVEL: i32 = 3;
/// For what is packed again when nobody waits for it.
const ZSTD_LEVEL_PATIENT: i32 = 9;

/// A chunk record and what is in it.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// The whole record.
    pub bytes: Vec<u8>,
    /// What is in it; `offset` is 0 until the writer knows it.
    pub info: Info,
}

fn u16_le(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_le_bytes());
}
fn u32_le(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}
fn u64_le(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}
fn length_of(out: &mut Vec<u8>, length: usize) {
    u32_le(out, u32::try_from(length).unwrap_or(u32::MAX));
}
fn string(out: &mut Vec<u8>, text: &str) {
    length_of(out, text.len());
    out.extend_from_slice(text.as_bytes());
}
fn string_map(out: &mut Vec<u8>, pairs: &[(&str, &str)]) {
    length_of(out, pairs.iter().map(|(key, value)| 8 + key.len() + value.len()).sum());
    for (key, value) in pairs {
        string(out, key);
        string(out, value);
    }
}

/// Writes opcode and length around what `body` writes.
fn record(out: &mut Vec<u8>, opcode: u8, body: impl FnOnce(&mut Vec<u8>)) {
    out.push(opcode);
    let at = out.len();
    u64_le(out, 0);
    body(out);
    let length = (out.len() - at - 8) as u64;
    out[at..at + 8].copy_from_slice(&length.to_le_bytes());
}

/// Channel and schema id of a topic; 0 is not allowed by MCAP.
fn id_of(topic: usize) -> u16 {
    u16::try_from(topic + 1).unwrap_or(u16::MAX)
}

fn library() -> String {
    format!("clone {}", env!("CARGO_PKG_VERSION"))
}

/// The bytes that a segment of this home starts with.
#[must_use]
pub fn header(home: &str) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    record(&mut out, HEADER, |out| {
        string(out, PROFILE);
        string(out, &library());
    });
    record(&mut out, METADATA, |out| {
        string(out, PROFILE);
        string_map(out, &[("encryption", "none"), ("format", FORMAT), ("home", home)]);
    });
    out
}

fn schema_and_channel(out: &mut Vec<u8>, topic: usize, first: &str) {
    let name = TOPICS[topic].name;
    record(out, SCHEMA, |out| {
        u16_le(out, id_of(topic));
        string(out, &format!("clone/{name}/1"));
        string(out, "jsonschema");
        string(out, schema_text(topic));
    });
    record(out, CHANNEL, |out| {
        u16_le(out, id_of(topic));
        u16_le(out, id_of(topic));
        string(out, name);
        string(out, "json");
        string_map(out, &[("first", first)]);
    });
}

fn message(out: &mut Vec<u8>, message: &Message<'_>) {
    record(out, MESSAGE, |out| {
        u16_le(out, id_of(message.topic));
        u32_le(out, message.sequence);
        u64_le(out, message.log_time);
        u64_le(out, message.publish_time);
        out.extend_from_slice(message.data);
    });
}

/// Lowest and highest of some times; zeros for none.
fn span(times: impl Iterator<Item = u64> + Clone) -> (u64, u64) {
    (times.clone().min().unwrap_or(0), times.max().unwrap_or(0))
}

/// What is in these messages, `offset` and the sizes still zero.
pub(super) fn describe(messages: &[Message<'_>]) -> Info {
    let mut topics = BTreeMap::new();
    for message in messages {
        *topics.entry(message.topic).or_insert(0) += 1;
    }
    Info {
        offset: 0,
        length: 0,
        first: messages.first().map_or(0, |message| message.sequence),
        last: messages.last().map_or(0, |message| message.sequence),
        count: u32::try_from(messages.len()).unwrap_or(u32::MAX),
        log_time: span(messages.iter().map(|message| message.log_time)),
        publish_time: span(messages.iter().map(|message| message.publish_time)),
        zstd: false,
        stored: 0,
        unpacked: 0,
        topics,
    }
}

/// One chunk record of the file whose first position is `first`; packed with zstd where that is smaller.
///
/// The messages are in ascending order of `sequence`, their topics exist, and together they stay under
/// [`MAX_CHUNK`](super::MAX_CHUNK).
#[must_use]
pub fn chunk(first: u64, messages: &[Message<'_>]) -> Encoded {
    chunk_at(ZSTD_LEVEL, first, messages)
}

/// The same chunk, packed with more patience.
#[must_use]
pub fn chunk_packed(first: u64, messages: &[Message<'_>]) -> Encoded {
    chunk_at(ZSTD_LEVEL_PATIENT, first, messages)
}

fn chunk_at(level: i32, first: u64, messages: &[Message<'_>]) -> Encoded {
    let mut info = describe(messages);
    let size: usize = messages.iter().map(|message| message.data.len() + PREFIX + 22).sum();
    let mut records = Vec::with_capacity(size + 256 * info.topics.len());
    let first = first.to_string();
    for topic in info.topics.keys() {
        schema_and_channel(&mut records, *topic, &first);
    }
    for one in messages {
        message(&mut records, one);
    }
    let crc = crc32fast::hash(&records);
    let unpacked = records.len();
    let packed = compress(&records, level).filter(|packed| packed.len() < unpacked);
    info.zstd = packed.is_some();
    let stored = packed.unwrap_or(records);
    let mut bytes = Vec::with_capacity(stored.len() + 64);
    record(&mut bytes, CHUNK, |out| {
        u64_le(out, info.log_time.0);
        u64_le(out, info.log_time.1);
        u64_le(out, unpacked as u64);
        u32_le(out, crc);
        string(out, compression(info.zstd));
        u64_le(out, stored.len() as u64);
        out.extend_from_slice(&stored);
    });
    (info.length, info.stored, info.unpacked) = (bytes.len() as u64, stored.len() as u64, unpacked as u64);
    Encoded { bytes, info }
}

thread_local! {
    /// A megabyte of tables, which took longer to make and to give back than a small chunk to pack.
    static PRESS: RefCell<Option<zstd::bulk::Compressor<'static>>> = const { RefCell::new(None) };
}

/// The bytes packed at a level; nothing where zstd refuses.
fn compress(bytes: &[u8], level: i32) -> Option<Vec<u8>> {
    PRESS.with_borrow_mut(|press| {
        let press = match press {
            Some(press) => press,
            None => press.insert(zstd::bulk::Compressor::new(level).ok()?),
        };
        press.set_compression_level(level).ok()?;
        press.compress(bytes).ok()
    })
}

fn compression(zstd: bool) -> &'static str {
    if zstd { "zstd" } else { "" }
}

/// What a file holds so far, from which its sealing tail is made.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    chunks: Vec<Info>,
    topics: BTreeMap<usize, u64>,
}

impl Tally {
    /// Counts a chunk; its offset must be true.
    pub fn add(&mut self, info: Info) {
        for (topic, count) in &info.topics {
            *self.topics.entry(*topic).or_insert(0) += count;
        }
        // The map is needed only as a sum: a file can hold a hundred thousand chunks.
        self.chunks.push(Info { topics: BTreeMap::new(), ..info });
    }

    /// Whether no chunk was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// DataEnd, summary, Footer and magic for a file whose data ends at `at` and has the checksum `crc` up to there.
    #[must_use]
    pub fn tail(&self, first: u64, at: u64, crc: u32) -> Vec<u8> {
        let mut out = Vec::new();
        record(&mut out, DATA_END, |out| u32_le(out, crc));
        let summary = out.len();
        let first = first.to_string();
        for topic in self.topics.keys() {
            schema_and_channel(&mut out, *topic, &first);
        }
        self.statistics(&mut out);
        for info in &self.chunks {
            chunk_index(&mut out, info);
        }
        out.push(FOOTER);
        u64_le(&mut out, 20);
        u64_le(&mut out, at + summary as u64);
        u64_le(&mut out, 0);
        let crc = crc32fast::hash(&out[summary..]);
        u32_le(&mut out, crc);
        out.extend_from_slice(MAGIC);
        out
    }

    fn statistics(&self, out: &mut Vec<u8>) {
        let times = self.chunks.iter().map(|info| info.log_time);
        record(out, STATISTICS, |out| {
            u64_le(out, self.topics.values().sum());
            u16_le(out, u16::try_from(self.topics.len()).unwrap_or(u16::MAX));
            length_of(out, self.topics.len());
            u32_le(out, 0);
            u32_le(out, 1);
            length_of(out, self.chunks.len());
            u64_le(out, span(times.clone().map(|time| time.0)).0);
            u64_le(out, span(times.map(|time| time.1)).1);
            length_of(out, self.topics.len() * 10);
            for (topic, count) in &self.topics {
                u16_le(out, id_of(*topic));
                u64_le(out, *count);
            }
        });
    }
}

fn chunk_index(out: &mut Vec<u8>, info: &Info) {
    record(out, CHUNK_INDEX, |out| {
        u64_le(out, info.log_time.0);
        u64_le(out, info.log_time.1);
        u64_le(out, info.offset);
        u64_le(out, info.length);
        u32_le(out, 0);
        u64_le(out, 0);
        string(out, compression(info.zstd));
        u64_le(out, info.stored);
        u64_le(out, info.unpacked);
    });
}
