//! The segment walker: never panics on any bytes, and hands over nothing that was not written.

#![no_main]

mod sample;

use clone_schema::segment::{decode, header, walk};
use libfuzzer_sys::fuzz_target;
use sample::{FIRST, damaged, sealed};

/// Walks and checks what holds for any bytes; the texts of all messages in order.
fn walked(bytes: &[u8]) -> Vec<Vec<u8>> {
    let (mut texts, mut end) = (Vec::new(), 0);
    let found = walk(bytes, FIRST, |chunk| {
        let (from, to) = (chunk.info.offset, chunk.info.offset + chunk.info.length);
        assert!(from >= end && to <= bytes.len() as u64, "chunks stand one behind the other");
        end = to;
        let again = decode(&bytes[from as usize..], FIRST).expect("a chunk that was handed over can be read again");
        assert_eq!((again.len(), again.unknown), (chunk.len(), chunk.unknown));
        assert_eq!(chunk.messages().count(), chunk.len());
        for message in chunk.messages() {
            assert_eq!(chunk.find(message.sequence).and_then(|index| chunk.get(index)), Some(message));
            texts.push(message.data.to_vec());
        }
    });
    for bad in &found.bad {
        assert!(bad.offset + bad.length <= bytes.len() as u64, "{bad:?}");
    }
    texts
}

fuzz_target!(|data: &[u8]| {
    match data.split_first() {
        Some((0, edits)) => {
            let (bytes, written) = sealed();
            let mut written = written.iter().map(String::as_bytes);
            for text in walked(&damaged(bytes, edits)) {
                assert!(written.any(|known| known == text), "an event that nobody wrote, or out of order");
            }
        }
        Some((1, rest)) => drop(walked(&[header("home").as_slice(), rest].concat())),
        _ => drop(walked(data)),
    }
});
