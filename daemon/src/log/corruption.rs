//! Bits that flip and files that are cut: found before a byte is believed, and paid for with one chunk at most.
//!
//! `FLIPS=20000 cargo test corruption -- --nocapture` for the long run.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use super::script::open_sim;
use super::sim::SimDisk;
use super::tests::{FIRST_OPEN, FIRST_SEALED};
use super::world::Image;
use super::*;
use crate::dice::Dice;

/// Flips in a plain run, over a sealed and an open file each.
const FLIPS: u64 = 2_000;
const CHUNKS: u64 = 24;
const EACH: u64 = 12;

/// An event of about 300 bytes, like none of the others.
fn event(number: u64) -> Entry {
    let mut dice = Dice::new(number);
    let words: String = (0..24).map(|_| format!("{:x} ", dice.below(1 << 30))).collect();
    let id = format!("event-{number}");
    let json = format!(r#"{{"id":"{id}","type":"agent.prompt","prompt":"{words}"}}"#);
    let occurred_at = Timestamp::from_second(1_700_000_000 + number.cast_signed()).unwrap();
    Entry { id, topic: "agent.prompt", occurred_at, json }
}

type Files = BTreeMap<String, Vec<u8>>;

fn open(files: &Files) -> (Log, Recovery) {
    let image = Image { files: files.clone(), ..Image::default() };
    open_sim(&SimDisk::new(&image), ROLL_BYTES).unwrap()
}

/// The files of a log that is open or was closed, and where each of its chunks begins.
fn written(close: bool) -> (Files, Vec<u64>) {
    let disk = SimDisk::new(&Image::default());
    let log = open_sim(&disk, ROLL_BYTES).unwrap().0;
    for chunk in 0..CHUNKS {
        log.append((chunk * EACH..chunk * EACH + EACH).map(event).collect()).unwrap();
    }
    let offsets = (0..CHUNKS).map(|chunk| log.locate(Position(chunk * EACH)).unwrap().offset).collect();
    if close {
        log.close().unwrap();
    }
    // What may be derived from the segments is not what is tested here.
    let names = disk.list("").unwrap().into_iter().filter(|name| name.ends_with(".mcap") || name == "KEY");
    (names.map(|name| (name.clone(), disk.read(&name).unwrap())).collect(), offsets)
}

/// What of the events cannot be read; everything that can be is as it was written.
fn lost(log: &Log, what: &str) -> Vec<u64> {
    let read = log.scan(Position(0), usize::MAX).unwrap();
    let all = read.iter().all(|record| record.json == event(record.position.0).json);
    assert!(all, "{what}: wrong bytes were believed");
    let there: std::collections::BTreeSet<u64> = read.iter().map(|record| record.position.0).collect();
    (0..CHUNKS * EACH).filter(|number| !there.contains(number)).collect()
}

fn flip(files: &Files, offsets: &[u64], name: &str, at: usize, bit: usize) -> usize {
    let what = format!("{name}: bit {bit} of byte {at}");
    let mut damaged = files.clone();
    damaged.get_mut(name).unwrap()[at] ^= 1 << bit;
    let (log, recovery) = open(&damaged);
    let lost = lost(&log, &what);
    let hit = offsets.iter().rposition(|offset| *offset <= at as u64);
    assert!(lost.iter().all(|number| Some((number / EACH) as usize) == hit), "{what}: {lost:?}");
    assert!(lost.is_empty() || lost.len() as u64 == EACH, "{what}: {lost:?}");
    if !lost.is_empty() {
        let told =
            !recovery.torn.is_empty() || recovery.damaged.iter().any(|one| one.from.is_some() || one.to.is_some());
        assert!(told, "{what}: lost without a word ({recovery:?})");
    }
    lost.len()
}

#[test]
fn a_flipped_bit_is_found_and_costs_its_chunk_at_most() {
    let flips = std::env::var("FLIPS").ok().and_then(|text| text.parse().ok()).unwrap_or(FLIPS);
    let mut dice = Dice::new(20_261_124);
    for (close, name) in [(true, FIRST_SEALED), (false, FIRST_OPEN)] {
        let (files, offsets) = written(close);
        let mut lost = 0;
        for _ in 0..flips {
            lost += flip(&files, &offsets, name, dice.below(files[name].len()), dice.below(8));
        }
        eprintln!("{name}: {flips} flips, {lost} events lost with their chunks, 0 silent");
        assert!(lost > 0);
    }
}

#[test]
fn a_smear_is_found_and_costs_the_chunks_it_covers() {
    let mut dice = Dice::new(7);
    let (files, offsets) = written(true);
    for round in 0..300 {
        let mut damaged = files.clone();
        let bytes = damaged.get_mut(FIRST_SEALED).unwrap();
        let at = dice.below(bytes.len());
        let end = bytes.len().min(at + 16 + dice.below(4_080));
        let filler = [0, 0xff, 0xa5][round % 3];
        bytes[at..end].fill(filler);
        let (log, _) = open(&damaged);
        let hit = |offset: usize| offsets.iter().rposition(|begin| *begin <= offset as u64).unwrap_or(0) as u64;
        let lost = lost(&log, "smear");
        assert!(lost.iter().all(|number| (hit(at)..=hit(end)).contains(&(number / EACH))), "{at}..{end}: {lost:?}");
    }
}

#[test]
fn a_cut_at_any_byte_of_the_last_two_chunks_leaves_an_exact_prefix() {
    let (files, offsets) = written(false);
    let whole = files[FIRST_OPEN].len();
    for length in offsets[offsets.len() - 2] as usize..whole {
        let mut cut = files.clone();
        cut.get_mut(FIRST_OPEN).unwrap().truncate(length);
        let (log, recovery) = open(&cut);
        let kept = EACH * if length as u64 >= offsets[offsets.len() - 1] { CHUNKS - 1 } else { CHUNKS - 2 };
        assert_eq!(log.head(), Position(kept), "cut at {length}");
        assert_eq!(lost(&log, "cut"), (kept..CHUNKS * EACH).collect::<Vec<_>>(), "cut at {length}");
        assert!(recovery.damaged.is_empty(), "cut at {length}");
    }
}
