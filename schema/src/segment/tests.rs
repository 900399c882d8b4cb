//! Tests of the segment format against itself, against damage, and against the stock `mcap` crate.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::topic::TOPICS;

const FIRST: u64 = 4_000;
const HOME: &str = "home-1";

struct File {
    bytes: Vec<u8>,
    infos: Vec<Info>,
    data: usize,
}

fn text(sequence: u32) -> String {
    format!(r#"{{"id":"event-{sequence}","prompt":"{}"}}"#, "word ".repeat(sequence as usize % 7))
}

/// A sealed file of so many chunks of so many messages.
fn file(chunks: u32, per_chunk: u32) -> File {
    let mut bytes = header(HOME);
    let (mut tally, mut infos) = (Tally::default(), Vec::new());
    for number in 0..chunks {
        let texts: Vec<(u32, String)> = (number * per_chunk..(number + 1) * per_chunk).map(|s| (s, text(s))).collect();
        let messages: Vec<Message<'_>> = texts
            .iter()
            .map(|(sequence, text)| Message {
                sequence: *sequence,
                topic: *sequence as usize % 3,
                log_time: 1_000 + u64::from(*sequence),
                publish_time: 500 + u64::from(*sequence),
                data: text.as_bytes(),
            })
            .collect();
        let encoded = chunk(FIRST, &messages);
        let info = Info { offset: bytes.len() as u64, ..encoded.info };
        bytes.extend_from_slice(&encoded.bytes);
        tally.add(info.clone());
        infos.push(info);
    }
    let data = bytes.len();
    let tail = tally.tail(FIRST, data as u64, crc32fast::hash(&bytes));
    bytes.extend_from_slice(&tail);
    File { bytes, infos, data }
}

fn walked(bytes: &[u8]) -> (Vec<(u32, String)>, Vec<Info>, Walk) {
    let (mut messages, mut infos) = (Vec::new(), Vec::new());
    let walk = walk(bytes, FIRST, |chunk| {
        for message in chunk.messages() {
            messages.push((message.sequence, String::from_utf8(message.data.to_vec()).unwrap()));
        }
        infos.push(chunk.info);
    });
    (messages, infos, walk)
}

fn sequences(messages: &[(u32, String)]) -> Vec<u32> {
    messages.iter().map(|(sequence, _)| *sequence).collect()
}

#[test]
fn what_was_written_is_read() {
    let file = file(3, 5);
    let (messages, infos, walk) = walked(&file.bytes);
    assert_eq!(sequences(&messages), (0..15).collect::<Vec<_>>());
    assert!(messages.iter().all(|(sequence, read)| *read == text(*sequence)));
    assert_eq!(infos, file.infos);
    assert_eq!(walk, Walk { bad: vec![], end: End::Sealed { data: file.data as u64 } });
}

#[test]
fn the_stock_reader_agrees() {
    let file = file(3, 5);
    let ours = walked(&file.bytes).0;
    let stock: Vec<(u32, String)> = mcap::MessageStream::new(&file.bytes)
        .unwrap()
        .map(|message| {
            let message = message.unwrap();
            assert_eq!(message.channel.topic, TOPICS[message.sequence as usize % 3].name);
            assert_eq!(message.channel.message_encoding, "json");
            let schema = message.channel.schema.as_ref().unwrap();
            assert_eq!(schema.name, format!("clone/{}/1", message.channel.topic));
            (message.sequence, String::from_utf8(message.data.to_vec()).unwrap())
        })
        .collect();
    assert_eq!(stock, ours);
    let summary = mcap::Summary::read(&file.bytes).unwrap().unwrap();
    let stats = summary.stats.unwrap();
    assert_eq!((stats.message_count, stats.chunk_count, stats.schema_count, stats.channel_count), (15, 3, 3, 3));
    assert_eq!((stats.message_start_time, stats.message_end_time, stats.metadata_count), (1_000, 1_014, 1));
    assert_eq!(stats.channel_message_counts.into_iter().collect::<Vec<_>>(), [(1, 5), (2, 5), (3, 5)]);
    assert_eq!(summary.chunk_indexes.len(), 3);
    for (index, info) in summary.chunk_indexes.iter().zip(&file.infos) {
        assert_eq!((index.chunk_start_offset, index.chunk_length), (info.offset, info.length));
        assert_eq!((index.compressed_size, index.uncompressed_size), (info.stored, info.unpacked));
    }
    let mut records = mcap::read::LinearReader::new(&file.bytes).unwrap().map(Result::unwrap);
    let metadata = records.find(|record| record.opcode() == METADATA).unwrap();
    let mcap::records::Record::Metadata(metadata) = metadata else { panic!("{metadata:?}") };
    assert_eq!((metadata.name.as_str(), metadata.metadata["home"].as_str()), ("clone", HOME));
}

#[test]
fn a_file_cut_anywhere_gives_an_exact_prefix() {
    let file = file(3, 4);
    for length in 0..file.bytes.len() {
        let (messages, _, walk) = walked(&file.bytes[..length]);
        let whole = file.infos.iter().filter(|info| info.offset + info.length <= length as u64).count() as u32;
        assert_eq!(sequences(&messages), (0..whole * 4).collect::<Vec<_>>(), "cut at {length}");
        assert!(walk.bad.is_empty(), "cut at {length}: {walk:?}");
        match walk.end {
            End::Open => assert!(length > 0),
            End::Torn { cut_short, .. } => assert!(cut_short, "cut at {length}"),
            End::Sealed { .. } => panic!("cut at {length}"),
        }
    }
}

/// A stream of numbers that is the same in every run.
fn numbers() -> impl FnMut(usize) -> usize {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    }
}

#[test]
fn a_flipped_bit_costs_at_most_its_chunk() {
    let file = file(4, 6);
    let mut number = numbers();
    for _ in 0..2_000 {
        let (at, bit) = (number(file.bytes.len()), number(8));
        let mut bytes = file.bytes.clone();
        bytes[at] ^= 1 << bit;
        let (messages, _, walk) = walked(&bytes);
        assert!(messages.iter().all(|(sequence, read)| *read == text(*sequence)), "bit {bit} of byte {at}");
        let hit = |info: &Info| (info.offset..info.offset + info.length).contains(&(at as u64));
        for info in file.infos.iter().filter(|info| !hit(info)) {
            let kept = messages.iter().filter(|(sequence, _)| (info.first..=info.last).contains(sequence)).count();
            assert_eq!(kept, 6, "bit {bit} of byte {at}: {walk:?}");
        }
        let noticed = !walk.bad.is_empty() || !matches!(walk.end, End::Sealed { .. });
        assert!(noticed, "bit {bit} of byte {at} of a sealed file was not noticed");
    }
}

#[test]
fn a_damaged_header_costs_no_event() {
    let file = file(4, 1);
    for at in 0..header(HOME).len() {
        for bit in 0..8 {
            let mut bytes = file.bytes.clone();
            bytes[at] ^= 1 << bit;
            assert_eq!(sequences(&walked(&bytes).0), [0, 1, 2, 3], "bit {bit} of byte {at}");
        }
    }
}

#[test]
fn the_home_is_read_off_a_whole_header_and_no_other() {
    let file = file(1, 1);
    assert_eq!(home(&file.bytes), Some(HOME));
    let start = header(HOME).len();
    for length in 0..start {
        assert_eq!(home(&file.bytes[..length]), None, "cut at {length}");
    }
    assert_eq!(home(&file.bytes[start..]), None);
}

#[test]
fn tails_of_zeros_noise_and_old_data_are_torn() {
    let file = file(2, 3);
    let open = &file.bytes[..file.data];
    let old = &file.bytes[file.infos[0].offset as usize..file.data];
    let messages = [Message { sequence: 99, topic: 0, log_time: 1, publish_time: 1, data: b"{}" }];
    let foreign = chunk(FIRST + 1, &messages).bytes;
    let mut number = numbers();
    let noise: Vec<u8> = (0..5_000).map(|_| number(256) as u8).collect();
    for (name, tail) in [("zeros", &vec![0; 4_500][..]), ("noise", &noise), ("old", old), ("foreign", &foreign)] {
        let bytes = [open, tail].concat();
        let (messages, _, walk) = walked(&bytes);
        assert_eq!(messages.len(), 6, "{name}");
        let end = End::Torn { offset: file.data as u64, cut_short: false };
        assert_eq!(walk, Walk { bad: vec![], end }, "{name}");
    }
}

#[test]
fn damage_with_something_valid_after_it_is_reported_and_not_the_end() {
    let mut file = file(3, 3);
    let hit = file.infos[1].clone();
    file.bytes[hit.offset as usize + 60] ^= 0xff;
    let (messages, _, walk) = walked(&file.bytes);
    assert_eq!(sequences(&messages), [0, 1, 2, 6, 7, 8]);
    assert_eq!((walk.bad[0].offset, walk.bad[0].length), (hit.offset, hit.length));
    assert_eq!((walk.bad[1].offset, walk.bad[1].length, walk.bad.len()), (0, file.data as u64, 2));
    assert!(matches!(walk.end, End::Sealed { .. }));
}

#[test]
fn absurd_lengths_are_refused_without_allocating() {
    let good = chunk(FIRST, &[Message { sequence: 0, topic: 0, log_time: 1, publish_time: 1, data: b"{}" }]).bytes;
    // Record length, unpacked size, name length, stored size.
    for (at, width) in [(1, 8), (25, 8), (37, 4), (41, 8)] {
        for value in [u64::MAX, 1 << 40, MAX_CHUNK as u64 + 1] {
            let mut bytes = good.clone();
            bytes[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
            assert!(decode(&bytes, FIRST).is_err(), "{value} at {at}");
        }
    }
    assert!(decode(&good, FIRST).is_ok());
    assert_eq!(decode(&good, FIRST + 1).unwrap_err(), "the chunk belongs to another file");
}

#[test]
fn a_small_chunk_is_kept_plain_and_a_large_one_packed() {
    let large = text(6).repeat(50);
    let one = |data: &str| {
        let messages = [Message { sequence: 0, topic: 0, log_time: 1, publish_time: 1, data: data.as_bytes() }];
        let encoded = chunk(0, &messages);
        assert_eq!(decode(&encoded.bytes, 0).unwrap().get(0).unwrap().data, data.as_bytes());
        encoded.info
    };
    let info = one(&large);
    assert!(info.zstd && info.stored < info.unpacked / 4, "{info:?}");
    assert!(one("{}").stored <= one("{}").unpacked);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..2_000), plain in any::<bool>()) {
        let bytes = if plain { bytes } else { [&header(HOME)[..], &[CHUNK], &bytes].concat() };
        walk(&bytes, FIRST, |_| {});
        let _ = decode(&bytes, FIRST);
    }

    #[test]
    fn damaged_files_never_give_a_wrong_event(
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20), cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = file(3, 4).bytes;
        for (at, value) in hits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes.truncate(cut.index(bytes.len()) + 1);
        let (messages, _, _) = walked(&bytes);
        prop_assert!(messages.iter().all(|(sequence, read)| *read == text(*sequence)));
    }
}
