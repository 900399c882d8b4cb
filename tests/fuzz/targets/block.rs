//! An id block: never a panic on any bytes, even where its checksums agree, and no changed byte is believed.

#![no_main]

use std::sync::OnceLock;

use clone_daemon::log::{Entry, Log, Options, check_block};
use clone_schema::Timestamp;
use libfuzzer_sys::fuzz_target;

const IDS: u64 = 500;

/// The block that a log writes beside a segment of so many events.
fn good() -> &'static [u8] {
    static GOOD: OnceLock<Vec<u8>> = OnceLock::new();
    GOOD.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a folder");
        let options = Options::new("home", || Timestamp::UNIX_EPOCH);
        let (log, _) = Log::open(dir.path(), options).expect("a log");
        let entry = |number: u64| {
            let id = format!("event-{number}");
            let json = format!(r#"{{"id":"{id}"}}"#);
            Entry { id, topic: "agent.prompt", occurred_at: Timestamp::UNIX_EPOCH, json }
        };
        log.append((0..IDS).map(entry).collect()).expect("appended");
        log.close().expect("closed");
        std::fs::read(dir.path().join(format!("{:020}.ids", 0))).expect("its block")
    })
}

/// The same bytes with every checksum made good again, so that what is behind it is reached.
fn forged(bytes: &[u8]) -> Vec<u8> {
    let mut block = b"CLONEID1".to_vec();
    block.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    block.extend_from_slice(&crc32fast::hash(bytes).to_le_bytes());
    block.extend_from_slice(bytes);
    block
}

fuzz_target!(|bytes: &[u8]| {
    let _any = check_block(bytes);
    let _head = check_block(&forged(bytes));
    let good = good();
    assert_eq!(check_block(good), Ok(IDS));
    // The head of a real block with bytes of the input over some of it.
    if let Some((at, over)) = bytes.split_first_chunk::<2>() {
        let at = usize::from(u16::from_le_bytes(*at)) % good.len();
        let mut bad = good.to_vec();
        let end = (at + over.len()).min(bad.len());
        bad[at..end].copy_from_slice(&over[..end - at]);
        assert!(bad == good || check_block(&bad).is_err(), "a changed byte is believed");
        let size = u32::from_le_bytes([bad[8], bad[9], bad[10], bad[11]]) as usize;
        if let Some(head) = bad.get(16..16 + size) {
            let _forged = check_block(&[&forged(head), &bad[16 + size..]].concat());
        }
    }
});
