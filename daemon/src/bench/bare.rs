//! What the log is measured beside: the stock `mcap` crate over files, and the decoding that nobody can do without.
//!
//! Everything here does as little as the figure beside it allows: no id is looked up, no JSON is read.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Read, Seek};
use std::os::unix::fs::FileExt;
use std::path::Path;

use mcap::records::{Record, op};
use mcap::sans_io::{LinearReadEvent, LinearReader, LinearReaderOptions, SummaryReadEvent, SummaryReader};

use super::BenchError;

/// Opcode and length: what every record of MCAP starts with, in bytes.
const PREFIX: usize = 9;
/// What every file of MCAP starts with, in bytes.
const MAGIC: usize = 8;

/// The crate's own writer over a file.
pub(super) struct Writer {
    writer: mcap::Writer<BufWriter<File>>,
    disk: File,
    channel: u16,
    sequence: u32,
}

/// The crate's zstd at our level, and a chunk for each sync.
pub(super) fn like_ours() -> mcap::WriteOptions {
    let options = mcap::WriteOptions::new().compression(Some(mcap::Compression::Zstd)).compression_level(3);
    options.compression_threads(0).chunk_size(None).emit_message_indexes(false)
}

/// The crate's own choices, but for the index of messages: it costs 16 bytes an event, and our log has none.
pub(super) fn defaults() -> mcap::WriteOptions {
    mcap::WriteOptions::new().emit_message_indexes(false)
}

impl Writer {
    pub(super) fn create(path: &Path, options: mcap::WriteOptions) -> Result<Self, BenchError> {
        let file = File::create(path).map_err(BenchError::io("make a bare file"))?;
        let disk = file.try_clone().map_err(BenchError::io("make a bare file"))?;
        let mut writer = options.create(BufWriter::new(file)).map_err(BenchError::limit)?;
        let channel = writer.add_channel(0, "bench", "json", &BTreeMap::new()).map_err(BenchError::limit)?;
        Ok(Self { writer, disk, channel, sequence: 0 })
    }

    pub(super) fn write<'a>(&mut self, events: impl IntoIterator<Item = &'a str>) -> Result<(), BenchError> {
        for event in events {
            self.sequence += 1;
            let (sequence, time) = (self.sequence, u64::from(self.sequence));
            let header =
                mcap::records::MessageHeader { channel_id: self.channel, sequence, log_time: time, publish_time: time };
            self.writer.write_to_known_channel(&header, event.as_bytes()).map_err(BenchError::limit)?;
        }
        Ok(())
    }

    /// Ends the chunk and makes all of it durable.
    pub(super) fn sync(&mut self) -> Result<(), BenchError> {
        self.writer.flush().map_err(BenchError::limit)?;
        self.disk.sync_data().map_err(BenchError::io("sync a bare file"))
    }

    /// Ends the file and says how long it is, in bytes.
    pub(super) fn finish(mut self) -> Result<u64, BenchError> {
        self.writer.finish().map_err(BenchError::limit)?;
        drop(self.writer);
        self.disk.metadata().map(|meta| meta.len()).map_err(BenchError::io("measure a bare file"))
    }
}

/// Reads the summary of a sealed file, and nothing but its tail; says how many chunks it lists.
pub(super) fn summary(path: &Path) -> Result<usize, BenchError> {
    let mut file = open(path)?;
    let mut reader = SummaryReader::new();
    while let Some(event) = reader.next_event() {
        match event.map_err(BenchError::limit)? {
            SummaryReadEvent::ReadRequest(need) => {
                let read = file.read(reader.insert(need)).map_err(BenchError::io("read a segment"))?;
                reader.notify_read(read);
            }
            SummaryReadEvent::SeekRequest(to) => {
                reader.notify_seeked(file.seek(to).map_err(BenchError::io("read a segment"))?);
            }
        }
    }
    let summary = reader.finish().ok_or_else(|| BenchError::limit("a sealed file has no summary"))?;
    Ok(summary.chunk_indexes.len())
}

/// Reads every message of a sealed file with the crate's reader, checksums included; says how many.
pub(super) fn messages(path: &Path) -> Result<u64, BenchError> {
    let mut file = open(path)?;
    let mut reader = LinearReader::new_with_options(LinearReaderOptions::default().with_validate_chunk_crcs(true));
    let mut count = 0;
    while let Some(event) = reader.next_event() {
        match event.map_err(BenchError::limit)? {
            LinearReadEvent::ReadRequest(need) => {
                let read = file.read(reader.insert(need)).map_err(BenchError::io("read a segment"))?;
                reader.notify_read(read);
            }
            LinearReadEvent::Record { opcode: op::MESSAGE, data } => {
                std::hint::black_box(mcap::parse_record(op::MESSAGE, data).map_err(BenchError::limit)?);
                count += 1;
            }
            LinearReadEvent::Record { .. } => {}
        }
    }
    Ok(count)
}

/// Reads a file, unpacks each of its chunks and takes their checksums; says how many bytes they unpack to.
pub(super) fn check(path: &Path) -> Result<u64, BenchError> {
    let bytes = std::fs::read(path).map_err(BenchError::io("read a segment"))?;
    let mut rest = bytes.get(MAGIC..).unwrap_or_default();
    let mut unpacked = 0;
    while let Some(length) = record_length(rest).filter(|length| *length <= rest.len()) {
        let (record, after) = rest.split_at(length);
        if record[0] == op::CHUNK {
            unpacked += unpack(record)?.len() as u64;
        }
        rest = after;
    }
    Ok(unpacked)
}

/// The length of the record that begins here, prefix included.
fn record_length(bytes: &[u8]) -> Option<usize> {
    let length = bytes.get(1..PREFIX)?.try_into().map(u64::from_le_bytes).ok()?;
    usize::try_from(length).ok()?.checked_add(PREFIX)
}

/// The length of the chunk record at a place in a file.
pub(super) fn chunk_length(file: &File, offset: u64) -> Result<usize, BenchError> {
    let mut prefix = [0; PREFIX];
    file.read_exact_at(&mut prefix, offset).map_err(BenchError::io("read a segment"))?;
    let length = record_length(&prefix).filter(|_| prefix[0] == op::CHUNK);
    length.ok_or_else(|| BenchError::limit("there is no chunk where the log says so"))
}

/// Reads so many bytes from a place in a file.
pub(super) fn read_at(file: &File, offset: u64, length: usize) -> Result<Vec<u8>, BenchError> {
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, offset).map_err(BenchError::io("read a segment"))?;
    Ok(bytes)
}

/// The records of a chunk, unpacked and their checksum compared.
pub(super) fn unpack(record: &[u8]) -> Result<Vec<u8>, BenchError> {
    let body = record.get(PREFIX..).unwrap_or_default();
    let Record::Chunk { header, data } = mcap::parse_record(op::CHUNK, body).map_err(BenchError::limit)? else {
        return Err(BenchError::limit("a chunk is none"));
    };
    let size = usize::try_from(header.uncompressed_size).unwrap_or(usize::MAX);
    let records = match header.compression.as_str() {
        "zstd" => zstd::bulk::decompress(&data, size).map_err(BenchError::io("unpack a chunk"))?,
        _ => data.into_owned(),
    };
    if crc32fast::hash(&records) != header.uncompressed_crc {
        return Err(BenchError::limit("the checksum of a chunk is wrong"));
    }
    Ok(records)
}

fn open(path: &Path) -> Result<File, BenchError> {
    File::open(path).map_err(BenchError::io("open a segment"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three files' worth of checks over one that the crate wrote: two chunks of two and one events.
    #[test]
    fn what_the_stock_writer_wrote_is_read_in_every_way() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.mcap");
        let mut writer = Writer::create(&path, like_ours()).unwrap();
        for events in [&["one", "two"][..], &["three"]] {
            writer.write(events.iter().copied()).unwrap();
            writer.sync().unwrap();
        }
        let length = writer.finish().unwrap();
        assert_eq!(length, std::fs::metadata(&path).unwrap().len());
        assert_eq!((summary(&path).unwrap(), messages(&path).unwrap()), (2, 3));
        // Of each message a prefix of 9 and a head of 22 bytes; the channel record comes once, in the first chunk:
        // prefix 9, ids 4, "bench" 4 + 5, "json" 4 + 4, empty map 4.
        assert_eq!(check(&path).unwrap(), 3 * 31 + 11 + 34);
    }

    #[test]
    fn a_flipped_bit_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.mcap");
        let mut writer = Writer::create(&path, like_ours()).unwrap();
        writer.write(["some text that is long enough to be packed, that is long enough to be packed"]).unwrap();
        writer.finish().unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        let mut at = MAGIC;
        while bytes[at] != op::CHUNK {
            at += record_length(&bytes[at..]).unwrap();
        }
        let length = chunk_length(&File::open(&path).unwrap(), at as u64).unwrap();
        assert!(unpack(&bytes[at..at + length]).is_ok());
        bytes[at + length - 5] ^= 1;
        assert!(unpack(&bytes[at..at + length]).is_err());
        std::fs::write(&path, &bytes).unwrap();
        assert!(check(&path).is_err() && messages(&path).is_err());
        assert!(chunk_length(&File::open(&path).unwrap(), 0).is_err());
    }
}
