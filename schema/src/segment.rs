//! Events to MCAP chunks and back, over byte slices, checksum before belief.
//!
//! A segment is a plain MCAP file that any stock reader opens: magic, Header, one Metadata record, Chunks, and once it is
//! sealed DataEnd, a summary, Footer and magic. What would surprise:
//!
//! - Every chunk repeats the Schema and Channel records of the topics in it, so that one damaged chunk costs only itself.
//! - Every Channel carries `first`, the first position of its file. A chunk that drifted in from another file (old disk
//!   blocks, a bad copy) is therefore not believed.
//! - Message indexes are not written: they carry no checksum.
//! - Nothing of a chunk is believed before its checksum, and the chunk header (which no checksum covers) is used only to
//!   find the bytes; times and counts are taken from the messages.

mod decode;
mod encode;
mod schema;
mod walk;

pub use decode::{Chunk, decode};
pub use encode::{Encoded, Tally, chunk, chunk_packed, header};
pub use schema::schema_text;
pub use walk::{Bad, End, Walk, walk};

/// The first and the last eight bytes of an MCAP file.
pub const MAGIC: &[u8; 8] = b"\x89MCAP0\r\n";
/// The longest record that a reader believes, in bytes.
pub const MAX_RECORD: usize = 64 << 20;
/// The largest uncompressed chunk that a reader unpacks, in bytes.
pub const MAX_CHUNK: usize = 64 << 20;
/// Where a writer starts another chunk, in uncompressed bytes.
pub const CHUNK_TARGET: usize = 4 << 20;
/// The MCAP profile, and the name of the metadata record.
pub const PROFILE: &str = "clone";
/// The version of the layout, in the metadata record.
pub const FORMAT: &str = "1";

const HEADER: u8 = 0x01;
const FOOTER: u8 = 0x02;
const SCHEMA: u8 = 0x03;
const CHANNEL: u8 = 0x04;
const MESSAGE: u8 = 0x05;
const CHUNK: u8 = 0x06;
const CHUNK_INDEX: u8 = 0x08;
const STATISTICS: u8 = 0x0b;
const METADATA: u8 = 0x0c;
const DATA_END: u8 = 0x0f;

/// Opcode and length: what every record starts with, in bytes.
const PREFIX: usize = 9;

/// One event as a segment holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Position minus the first position of the file.
    pub sequence: u32,
    /// Index in [`TOPICS`](crate::topic::TOPICS).
    pub topic: usize,
    /// When it was appended, in nanoseconds since 1970.
    pub log_time: u64,
    /// When it happened, in nanoseconds since 1970.
    pub publish_time: u64,
    /// The event's JSON.
    pub data: &'a [u8],
}

/// Where a chunk is and what is in it, all of it known to be true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// Of the record in the file, in bytes.
    pub offset: u64,
    /// Of the whole record, in bytes.
    pub length: u64,
    /// The smallest sequence in it.
    pub first: u32,
    /// The largest sequence in it.
    pub last: u32,
    /// How many messages.
    pub count: u32,
    /// Earliest and latest append, in nanoseconds.
    pub log_time: (u64, u64),
    /// Earliest and latest happening, in nanoseconds.
    pub publish_time: (u64, u64),
    /// Whether the records are packed with zstd.
    pub zstd: bool,
    /// Bytes of the records as stored.
    pub stored: u64,
    /// Bytes of the records unpacked.
    pub unpacked: u64,
    /// Messages per index in the topic table.
    pub topics: std::collections::BTreeMap<usize, u64>,
}

#[cfg(test)]
mod tests;
