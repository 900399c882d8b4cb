//! One chunk record to messages, checksum first.
//!
//! No length is used before it was compared with the bytes that are there, and nothing is parsed before the checksum of
//! the unpacked records agreed.

use super::{CHANNEL, CHUNK, Info, MAX_CHUNK, MAX_RECORD, MESSAGE, Message, PREFIX, SCHEMA, encode};
use crate::sabotage::{self, Bug};
use crate::topic;

/// A chunk whose checksum agreed.
#[derive(Clone, Debug)]
pub struct Chunk {
    records: Vec<u8>,
    rows: Vec<Row>,
    /// Where it is and what is in it; `offset` is 0 unless a walk found it. Messages of unknown topics count only in
    /// `last`.
    pub info: Info,
    /// Messages whose topic this version does not know; they are kept in the file and not handed out.
    pub unknown: u32,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    sequence: u32,
    topic: usize,
    log_time: u64,
    publish_time: u64,
    start: usize,
    end: usize,
}

impl Chunk {
    /// How many messages it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it holds no message of a known topic.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Bytes in memory, about.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.records.len() + self.rows.len() * size_of::<Row>()
    }

    /// The message at this index.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Message<'_>> {
        self.rows.get(index).map(|row| self.message(row))
    }

    /// The index of the message with this sequence.
    #[must_use]
    pub fn find(&self, sequence: u32) -> Option<usize> {
        self.rows.binary_search_by_key(&sequence, |row| row.sequence).ok()
    }

    /// Every message in order.
    pub fn messages(&self) -> impl Iterator<Item = Message<'_>> {
        self.rows.iter().map(|row| self.message(row))
    }

    fn message(&self, row: &Row) -> Message<'_> {
        Message {
            sequence: row.sequence,
            topic: row.topic,
            log_time: row.log_time,
            publish_time: row.publish_time,
            data: &self.records[row.start..row.end],
        }
    }
}

/// A cursor that never reads past its end.
pub(super) struct Cursor<'a> {
    pub(super) rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(head)
    }
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }
    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }
    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }
    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }
    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
    /// A 64-bit length that is no longer than what is left.
    pub(super) fn length(&mut self) -> Option<usize> {
        let length = usize::try_from(self.u64()?).ok()?;
        (length <= self.rest.len()).then_some(length)
    }
    pub(super) fn text(&mut self) -> Option<&'a str> {
        let length = usize::try_from(self.u32()?).ok()?;
        std::str::from_utf8(self.take(length)?).ok()
    }
    /// Opcode and body of the next record.
    pub(super) fn record(&mut self) -> Option<(u8, &'a [u8])> {
        let opcode = self.u8()?;
        let length = self.length()?;
        Some((opcode, self.take(length)?))
    }
}

/// Where the parts of a chunk record are; structure only, nothing believed.
pub(super) struct Frame<'a> {
    pub(super) length: usize,
    unpacked: usize,
    crc: u32,
    zstd: bool,
    stored: &'a [u8],
}

/// Why there is no chunk at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoFrame {
    /// It begins like a chunk and the bytes end before it does.
    CutShort,
    /// It is no chunk.
    Other,
}

/// Reads the frame of a chunk record that starts at the first byte.
pub(super) fn frame(bytes: &[u8]) -> Result<Frame<'_>, NoFrame> {
    const FIXED: u64 = 8 + 8 + 8 + 4 + 4 + 8;
    if bytes.first() != Some(&CHUNK) {
        return Err(NoFrame::Other);
    }
    let short = NoFrame::CutShort;
    let mut cursor = Cursor { rest: &bytes[1..] };
    let length = cursor.u64().ok_or(short)?;
    if !(FIXED..=MAX_RECORD as u64).contains(&length) {
        return Err(NoFrame::Other);
    }
    cursor.take(16).ok_or(short)?;
    let unpacked = cursor.u64().ok_or(short)?;
    if unpacked > MAX_CHUNK as u64 {
        return Err(NoFrame::Other);
    }
    let crc = cursor.u32().ok_or(short)?;
    let name = cursor.u32().ok_or(short)?;
    let zstd = match name {
        0 => false,
        4 if cursor.take(4).ok_or(short)? == b"zstd" => true,
        _ => return Err(NoFrame::Other),
    };
    let stored = cursor.u64().ok_or(short)?;
    if stored.checked_add(FIXED + u64::from(name)) != Some(length) && !sabotage::is(Bug::TrustChunkLength) {
        return Err(NoFrame::Other);
    }
    let stored = usize::try_from(stored).ok().and_then(|stored| cursor.take(stored)).ok_or(short)?;
    let unpacked = usize::try_from(unpacked).map_err(|_| NoFrame::Other)?;
    Ok(Frame { length: PREFIX + length as usize, unpacked, crc, zstd, stored })
}

fn unpack(frame: &Frame<'_>) -> Option<Vec<u8>> {
    let records = match frame.zstd {
        true => zstd::bulk::decompress(frame.stored, frame.unpacked).ok()?,
        false => frame.stored.to_vec(),
    };
    (records.len() == frame.unpacked).then_some(records)
}

/// The messages of the chunk record that starts at the first byte, in the file whose first position is `first`.
///
/// # Errors
/// Why the record cannot be believed.
pub fn decode(bytes: &[u8], first: u64) -> Result<Chunk, &'static str> {
    let frame = frame(bytes).map_err(|_| "no chunk record")?;
    decode_frame(&frame, first)
}

pub(super) fn decode_frame(frame: &Frame<'_>, first: u64) -> Result<Chunk, &'static str> {
    let records = unpack(frame).ok_or("the chunk cannot be unpacked")?;
    if crc32fast::hash(&records) != frame.crc {
        return Err("the checksum of the chunk does not agree");
    }
    let (rows, unknown, last) = rows(&records, first)?;
    let mut chunk = Chunk { records, rows, info: encode::describe(&[]), unknown };
    chunk.info = encode::describe(&chunk.messages().collect::<Vec<_>>());
    if chunk.rows.is_empty() {
        chunk.info.first = last;
    }
    chunk.info.last = last;
    chunk.info.length = frame.length as u64;
    (chunk.info.zstd, chunk.info.stored) = (frame.zstd, frame.stored.len() as u64);
    chunk.info.unpacked = frame.unpacked as u64;
    Ok(chunk)
}

/// Every message of a known topic, how many are of unknown ones, and the last sequence of all.
fn rows(records: &[u8], first: u64) -> Result<(Vec<Row>, u32, u32), &'static str> {
    const MALFORMED: &str = "a record in the chunk is malformed";
    let mut channels = std::collections::BTreeMap::new();
    let (mut rows, mut unknown, mut last) = (Vec::new(), 0, None);
    let mut cursor = Cursor { rest: records };
    while !cursor.rest.is_empty() {
        let (opcode, body) = cursor.record().ok_or(MALFORMED)?;
        match opcode {
            SCHEMA => {}
            CHANNEL => {
                let (id, topic) = channel(body, first)?;
                channels.insert(id, topic);
            }
            MESSAGE => {
                let end = records.len() - cursor.rest.len();
                let (id, row) = row(body, end).ok_or(MALFORMED)?;
                if last.is_some_and(|last| last >= row.sequence) {
                    return Err("the sequence of the chunk does not ascend");
                }
                last = Some(row.sequence);
                match channels.get(&id).ok_or("a message in the chunk has no channel")? {
                    Some(topic) => rows.push(Row { topic: *topic, ..row }),
                    None => unknown += 1,
                }
            }
            _ => return Err("a record in the chunk is of an unexpected kind"),
        }
    }
    Ok((rows, unknown, last.ok_or("the chunk is empty")?))
}

/// Id of a channel and index of its topic, if this version knows it.
fn channel(body: &[u8], first: u64) -> Result<(u16, Option<usize>), &'static str> {
    let mut cursor = Cursor { rest: body };
    let parts = (|| Some((cursor.u16()?, cursor.u16()?, cursor.text()?, cursor.text()?, cursor.u32()?)))();
    let (id, _, topic, _, _) = parts.ok_or("a channel in the chunk is malformed")?;
    let bound = (|| Some(cursor.text()? == "first" && cursor.text()?.parse() == Ok(first)))();
    if bound != Some(true) {
        return Err("the chunk belongs to another file");
    }
    Ok((id, topic::find(topic).map(|(index, _)| index)))
}

fn row(body: &[u8], end: usize) -> Option<(u16, Row)> {
    let mut cursor = Cursor { rest: body };
    let (id, sequence) = (cursor.u16()?, cursor.u32()?);
    let (log_time, publish_time) = (cursor.u64()?, cursor.u64()?);
    Some((id, Row { sequence, topic: 0, log_time, publish_time, start: end - cursor.rest.len(), end }))
}
