//! Finds every believable chunk of a segment file, however badly it ends or is damaged inside.
//!
//! After a bad place the walk looks byte by byte for the next chunk that passes its checksum, because the length of a
//! damaged record is no guide. Event text cannot imitate one: JSON holds no control characters.

use super::decode::{Cursor, Frame, NoFrame, decode_frame, frame};
use super::{CHUNK, Chunk, DATA_END, FOOTER, HEADER, MAGIC, METADATA, PREFIX, PROFILE};

/// A range of bytes that is not as it was written, with something valid after it or before its end.
///
/// The one that begins at 0 and covers all data says that some byte changed, in or between the events; what is lost of the
/// events, if anything, is told by the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bad {
    /// Where it starts, in bytes.
    pub offset: u64,
    /// How long it is, in bytes.
    pub length: u64,
    /// What was wrong at its start.
    pub reason: &'static str,
}

/// How a file ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With a good DataEnd, summary and Footer.
    Sealed {
        /// Where the data ends and the tail begins.
        data: u64,
    },
    /// After a whole record, without a DataEnd.
    Open,
    /// With bytes that hold nothing valid.
    Torn {
        /// Where they start.
        offset: u64,
        /// Whether they look like the beginning of one write that never completed. Else durable bytes may have been hit.
        cut_short: bool,
    },
}

/// What a walk found besides the chunks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walk {
    /// Damaged ranges with something valid after them.
    pub bad: Vec<Bad>,
    /// How the file ends.
    pub end: End,
}

struct Walker<'a, F> {
    bytes: &'a [u8],
    first: u64,
    at: usize,
    last: Option<u32>,
    each: F,
}

enum Step {
    Forward,
    Sealed(usize),
    Bad(&'static str),
}

/// Walks the bytes of the segment whose first position is `first`, handing over every good chunk in order.
///
/// Never panics, and allocates at most one unpacked chunk at a time.
pub fn walk(bytes: &[u8], first: u64, each: impl FnMut(Chunk)) -> Walk {
    let mut walker = Walker { bytes, first, at: 0, last: None, each };
    let mut bad = Vec::new();
    loop {
        if walker.at > 0 && walker.at == bytes.len() {
            return Walk { bad, end: End::Open };
        }
        let offset = walker.at;
        match walker.step() {
            Step::Forward => {}
            Step::Sealed(end) => {
                // Damage that was there when the file was sealed is inside the checksum: the range was reported above.
                if !data_agrees(bytes, offset) {
                    bad.push(range(0, offset, "bytes changed after the file was sealed"));
                }
                if end < bytes.len() {
                    bad.push(range(end, bytes.len(), "there are bytes after the end"));
                }
                return Walk { bad, end: End::Sealed { data: offset as u64 } };
            }
            Step::Bad(reason) if walker.resync() => bad.push(range(offset, walker.at, reason)),
            Step::Bad(_) => {
                let end = End::Torn { offset: offset as u64, cut_short: cut_short(bytes, offset) };
                return Walk { bad, end };
            }
        }
    }
}

/// Whether a DataEnd starts at `offset` whose checksum agrees with all that stands before it.
#[must_use]
pub fn data_agrees(bytes: &[u8], offset: usize) -> bool {
    let Some((data, end)) = bytes.split_at_checked(offset) else { return false };
    let mut cursor = Cursor { rest: end };
    cursor.record() == Some((DATA_END, &crc32fast::hash(data).to_le_bytes()))
}

fn range(from: usize, to: usize, reason: &'static str) -> Bad {
    Bad { offset: from as u64, length: (to - from) as u64, reason }
}

impl<F: FnMut(Chunk)> Walker<'_, F> {
    /// Goes over what is at the current place.
    fn step(&mut self) -> Step {
        let here = &self.bytes[self.at..];
        if self.at == 0 {
            return match here.starts_with(MAGIC) {
                true => self.forward(MAGIC.len()),
                false => Step::Bad("the file does not begin like a segment"),
            };
        }
        match here[0] {
            CHUNK => self.chunk(),
            HEADER | METADATA if self.last.is_none() => match preamble(here) {
                Some(length) => self.forward(length),
                None => Step::Bad("the header is damaged"),
            },
            DATA_END => match tail(here) {
                Some(length) => Step::Sealed(self.at + length),
                None => Step::Bad("the tail is damaged"),
            },
            _ => Step::Bad("there is no record of a segment here"),
        }
    }

    fn forward(&mut self, length: usize) -> Step {
        self.at += length;
        Step::Forward
    }

    fn chunk(&mut self) -> Step {
        let Ok(frame) = frame(&self.bytes[self.at..]) else {
            return Step::Bad("the frame of the chunk is damaged");
        };
        match self.believe(&frame) {
            Ok(chunk) => self.accept(chunk),
            Err(reason) => Step::Bad(reason),
        }
    }

    fn believe(&self, frame: &Frame<'_>) -> Result<Chunk, &'static str> {
        let chunk = decode_frame(frame, self.first)?;
        match self.last.is_some_and(|last| chunk.info.first <= last) {
            true => Err("the chunk repeats an earlier sequence"),
            false => Ok(chunk),
        }
    }

    fn accept(&mut self, mut chunk: Chunk) -> Step {
        chunk.info.offset = self.at as u64;
        self.last = Some(chunk.info.last);
        let length = chunk.info.length as usize;
        (self.each)(chunk);
        self.forward(length)
    }

    /// Moves to the next place that holds something valid.
    fn resync(&mut self) -> bool {
        let next = (self.at + 1..self.bytes.len()).find(|at| {
            let here = &self.bytes[*at..];
            match here[0] {
                CHUNK => frame(here).is_ok_and(|frame| self.believe(&frame).is_ok()),
                DATA_END => tail(here).is_some(),
                _ => false,
            }
        });
        self.at = next.unwrap_or(self.at);
        next.is_some()
    }
}

/// The length of the Header or the Metadata record that starts here.
///
/// No checksum covers it, so its parts must fill it exactly: a longer one would swallow the chunks behind it.
fn preamble(here: &[u8]) -> Option<usize> {
    let (opcode, body) = Cursor { rest: here }.record()?;
    let mut cursor = Cursor { rest: body };
    let named = cursor.text()? == PROFILE;
    if opcode == METADATA && usize::try_from(cursor.u32()?).ok()? != cursor.rest.len() {
        return None;
    }
    let mut texts = 0;
    while !cursor.rest.is_empty() {
        cursor.text()?;
        texts += 1;
    }
    let filled = if opcode == METADATA { texts % 2 == 0 } else { texts == 1 };
    (named && filled).then_some(PREFIX + body.len())
}

/// The id of the home that a segment names, where its header is whole.
#[must_use]
pub fn home(bytes: &[u8]) -> Option<&str> {
    let mut cursor = Cursor { rest: bytes.strip_prefix(MAGIC)? };
    loop {
        let here = cursor.rest;
        let length = preamble(here)?;
        let (opcode, body) = cursor.record()?;
        debug_assert_eq!(length, here.len() - cursor.rest.len());
        if opcode == METADATA {
            return named(body, "home");
        }
    }
}

/// A value of the Metadata record with this body.
fn named<'a>(body: &'a [u8], key: &str) -> Option<&'a str> {
    let mut cursor = Cursor { rest: body };
    cursor.text()?;
    cursor.u32()?;
    loop {
        let (name, value) = (cursor.text()?, cursor.text()?);
        if name == key {
            return Some(value);
        }
    }
}

/// The length of the sealing tail that starts here, if it is whole and its checksum agrees.
fn tail(here: &[u8]) -> Option<usize> {
    let mut cursor = Cursor { rest: here };
    let (_, end) = cursor.record()?;
    if end.len() != 4 {
        return None;
    }
    let summary = cursor.rest;
    let mut before_footer = 0;
    loop {
        let (opcode, body) = cursor.record()?;
        if opcode == FOOTER {
            let mut footer = Cursor { rest: body };
            footer.take(16)?;
            let agrees = footer.u32()? == crc32fast::hash(summary.get(..before_footer + PREFIX + 16)?);
            let whole = footer.rest.is_empty() && cursor.take(MAGIC.len())? == MAGIC;
            return (agrees && whole).then(|| here.len() - cursor.rest.len());
        }
        if opcode == CHUNK || opcode == 0 {
            return None;
        }
        before_footer += PREFIX + body.len();
    }
}

/// Whether the bytes from `offset` on look like the beginning of one write.
fn cut_short(bytes: &[u8], offset: usize) -> bool {
    let here = &bytes[offset..];
    if offset == 0 {
        return MAGIC.starts_with(here);
    }
    match here.first() {
        Some(&CHUNK) => matches!(frame(here), Err(NoFrame::CutShort)),
        Some(&(HEADER | METADATA)) => Cursor { rest: here }.record().is_none(),
        // Events come before it, so none was hit.
        Some(&DATA_END) => true,
        _ => false,
    }
}
