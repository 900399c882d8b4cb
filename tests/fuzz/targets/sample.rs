//! A small segment and ways to damage it, for the targets that read segments.

use clone_schema::segment::{Message, Tally, chunk, header};
use clone_schema::topic::TOPICS;

/// The first position of the segment.
pub const FIRST: u64 = 7;

/// A small sealed file: two chunks of a few events.
pub fn sealed() -> (Vec<u8>, Vec<String>) {
    let texts: Vec<String> = (0..6).map(|number| format!(r#"{{"id":"event-{number}"}}"#)).collect();
    let messages: Vec<Message<'_>> = texts
        .iter()
        .enumerate()
        .map(|(i, text)| Message {
            sequence: i as u32,
            topic: i % TOPICS.len(),
            log_time: 1_000 + i as u64,
            publish_time: 900 + i as u64,
            data: text.as_bytes(),
        })
        .collect();
    let (mut bytes, mut tally) = (header("home"), Tally::default());
    for part in messages.chunks(3) {
        let mut encoded = chunk(FIRST, part);
        encoded.info.offset = bytes.len() as u64;
        bytes.extend_from_slice(&encoded.bytes);
        tally.add(encoded.info);
    }
    let crc = crc(&bytes);
    let tail = tally.tail(FIRST, bytes.len() as u64, crc);
    bytes.extend_from_slice(&tail);
    (bytes, texts)
}

/// CRC-32, bit by bit: the fuzz workspace needs no crate for a few hundred bytes.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}

/// Two bytes say where, the third what: overwrite a byte, cut the file, or put one in.
pub fn damaged(mut bytes: Vec<u8>, edits: &[u8]) -> Vec<u8> {
    // Few enough that a checksum of 32 bits cannot be made to agree.
    for edit in edits.chunks_exact(4).take(2) {
        let at = usize::from(u16::from_le_bytes([edit[0], edit[1]])) % bytes.len().max(1);
        match edit[2] % 4 {
            0 | 1 if at < bytes.len() => bytes[at] = edit[3],
            2 => bytes.truncate(at),
            _ => bytes.insert(at, edit[3]),
        }
    }
    bytes
}
