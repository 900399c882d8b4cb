//! Tests of what is done for sealed segments: id blocks that are believed and healed, packing that changes no event.

#![allow(clippy::unwrap_used)]

use super::ids::block_name;
use super::script::{event, events, number};
use super::sim::{Fault, SimDisk};
use super::tests::{FIRST_SEALED, options};
use super::world::Image;
use super::*;
use crate::dice::Dice;

const BLOCK: &str = "00000000000000000000.ids";

fn packing() -> Packing {
    Packing { chunk: 40_000, small: 100_000, run: 3, most: 400_000, least: 0 }
}

fn open(disk: &SimDisk) -> (Log, Recovery) {
    let options = Options { packing: packing(), ..options() };
    Log::open_on(Arc::new(disk.clone()), options).unwrap()
}

fn disk_of(image: Image) -> SimDisk {
    SimDisk::new(&image)
}

/// The files of a disk nobody works on.
fn image(disk: &SimDisk) -> Image {
    let files = disk.list("").unwrap().into_iter().map(|name| (name.clone(), disk.read(&name).unwrap()));
    Image { files: files.collect(), ..Image::default() }
}

/// A log of so many closed runs with so many commits of three events in each.
fn runs(runs: u64, commits: u64) -> SimDisk {
    let disk = disk_of(Image::default());
    for run in 0..runs {
        let (log, _) = open(&disk);
        for commit in 0..commits {
            let from = (run * commits + commit) * 3;
            log.append(events(from..from + 3)).unwrap();
        }
        log.close().unwrap();
    }
    disk
}

/// Every event is where its number says, known and whole.
fn assert_all(log: &Log, expected: std::ops::Range<u64>, what: &str) {
    let read = log.scan(Position(0), usize::MAX).unwrap();
    let numbers: Vec<(u64, u64)> = read.iter().map(|record| (record.position.0, number(record).unwrap())).collect();
    assert_eq!(numbers, expected.clone().map(|number| (number, number)).collect::<Vec<_>>(), "{what}");
    for number in expected {
        assert_eq!(log.position(&format!("event-{number}")), Some(Position(number)), "{what}");
        assert_eq!(log.read(Position(number)).unwrap().unwrap().json, event(number).json, "{what}");
    }
}

fn sealed(disk: &SimDisk) -> Vec<String> {
    disk.list("").unwrap().into_iter().filter(|name| name.ends_with(".mcap")).collect()
}

#[test]
fn a_start_reads_the_blocks_and_not_the_segments() {
    let disk = runs(2, 5);
    let mut files = image(&disk);
    for (name, bytes) in files.files.iter_mut().filter(|(name, _)| name.ends_with(".mcap")) {
        // All but the end, which names it.
        let data = bytes.len() - 100;
        bytes[..data].fill(0xee);
        assert!(data > 1_000, "{name}");
    }
    let (log, recovery) = open(&disk_of(files));
    assert_eq!((recovery.events, recovery.damaged, log.head()), (30, vec![], Position(30)));
    assert_eq!(log.position("event-29"), Some(Position(29)));
    let error = log.read(Position(29)).unwrap_err();
    assert!(matches!(error, LogError::Damaged { .. }), "nothing is believed: {error}");
}

#[test]
fn a_damaged_chunk_behind_a_block_is_told_and_its_events_may_come_again() {
    let disk = runs(1, 5);
    let (log, _) = open(&disk);
    let hit = log.locate(Position(6)).unwrap().offset;
    log.close().unwrap();
    let mut files = image(&disk);
    files.files.get_mut(FIRST_SEALED).unwrap()[hit as usize + 80] ^= 4;
    let disk = disk_of(files);
    let (log, recovery) = open(&disk);
    assert!(recovery.damaged.is_empty());
    assert_eq!(log.scan(Position(0), usize::MAX).unwrap().len(), 12, "the rest is read");
    let told = |damaged: &[Damage]| {
        let one = damaged.iter().find(|one| one.offset == hit).unwrap();
        assert_eq!(one.segment, FIRST_SEALED);
        assert!(one.from.is_some() && one.to.is_some());
    };
    told(&log.damaged());
    assert_eq!(log.position("event-6"), None);
    let again = log.append(events(6..9)).unwrap();
    assert_eq!(again[0], Appended { position: Position(15), new: true });
    log.inner.shared.tend();
    told(&log.damaged());
    log.close().unwrap();
    let (log, recovery) = open(&disk);
    told(&recovery.damaged);
    assert_eq!((recovery.events, log.position("event-6")), (15, Some(Position(15))));
}

#[test]
fn idle_time_finds_damage_before_a_reader_does() {
    let disk = runs(1, 20);
    let mut files = image(&disk);
    let bytes = files.files.get_mut(FIRST_SEALED).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let (log, _) = open(&disk_of(files));
    let mut next = Some(Position(0));
    while let Some(from) = next {
        next = log.inner.shared.scrub(from);
    }
    assert_eq!(log.damaged().len(), 1);
}

#[test]
fn whatever_becomes_of_a_block_an_event_is_known_and_written_once() {
    let disk = runs(1, 70);
    let good = image(&disk);
    let length = good.files[BLOCK].len();
    let mut dice = Dice::new(20_261_125);
    for round in 0..400 {
        let mut files = good.clone();
        let block = files.files.get_mut(BLOCK).unwrap();
        match round % 4 {
            0 => block.truncate(dice.below(length)),
            1 => block[dice.below(length)..].fill(0),
            _ => block[dice.below(length)] ^= 1 << dice.below(8),
        }
        let disk = disk_of(files);
        let (log, _) = open(&disk);
        let answers = log.append(events(0..210)).unwrap();
        assert!(answers.iter().all(|answer| !answer.new), "round {round}");
        assert_all(&log, 0..210, &format!("round {round}"));
        log.close().unwrap();
        assert_eq!(disk.read(BLOCK).unwrap().len(), length, "round {round}: it is made anew");
        assert_all(&open(&disk).0, 0..210, &format!("round {round}"));
    }
}

#[test]
fn many_small_segments_become_one_and_every_event_stays() {
    let disk = runs(5, 12);
    let before = sealed(&disk);
    let size = |disk: &SimDisk| sealed(disk).iter().map(|name| disk.length(name).unwrap()).sum::<u64>();
    let (log, loose) = (open(&disk).0, size(&disk));
    assert_all(&log, 0..180, "before");
    log.inner.shared.tend();
    assert_eq!((before.len(), sealed(&disk), log.stats().segments), (5, vec![FIRST_SEALED.to_owned()], 1));
    assert!(size(&disk) < loose / 2, "{} of {loose} bytes", size(&disk));
    assert_all(&log, 0..180, "packed");
    log.append(events(180..183)).unwrap();
    log.close().unwrap();
    let (log, recovery) = open(&disk);
    assert_eq!((recovery.events, recovery.damaged), (183, vec![]));
    assert_all(&log, 0..183, "reopened");
    let bytes = disk.read(FIRST_SEALED).unwrap();
    let stock: Vec<Vec<u8>> = mcap::MessageStream::new(&bytes).unwrap().map(|one| one.unwrap().data.to_vec()).collect();
    assert_eq!(stock, events(0..180).into_iter().map(|entry| entry.json.into_bytes()).collect::<Vec<_>>());
    let summary = mcap::Summary::read(&bytes).unwrap().unwrap();
    assert_eq!(summary.stats.unwrap().message_count, 180);
    assert!(!disk.list("").unwrap().iter().any(|name| name.ends_with("merge") || name.ends_with("packed")));
}

#[test]
fn a_segment_of_many_small_chunks_is_packed_alone_and_once() {
    let disk = runs(1, 60);
    let (log, loose) = (open(&disk).0, disk.length(FIRST_SEALED).unwrap());
    log.inner.shared.tend();
    let packed = disk.read(FIRST_SEALED).unwrap();
    assert!((packed.len() as u64) < loose / 2, "{} of {loose}", packed.len());
    let changes = disk.changes();
    log.inner.shared.tend();
    assert_eq!(disk.changes(), changes, "there is nothing more to pack");
    assert_all(&log, 0..180, "packed");
}

#[test]
fn packing_that_fails_anywhere_leaves_every_event_readable() {
    let good = image(&runs(4, 6));
    for call in ["create", "write", "sync", "rename", "sync_dir", "remove", "replace", "read"] {
        for from in 0..6 {
            for effect in [false, true] {
                let what = format!("{call} {from} {effect}");
                let disk = disk_of(good.clone());
                let (log, _) = open(&disk);
                disk.set_faults(vec![Fault { effect, ..Fault::once(call, from, std::io::ErrorKind::Other) }]);
                log.inner.shared.tend();
                disk.set_faults(vec![]);
                assert_all(&log, 0..72, &what);
                log.append(events(72..75)).unwrap();
                log.inner.shared.tend();
                assert_all(&log, 0..75, &what);
                log.close().unwrap();
                let (log, recovery) = open(&disk);
                assert_eq!(recovery.damaged, vec![], "{what}");
                assert_all(&log, 0..75, &what);
                assert_eq!(disk.violations(), Vec::<String>::new(), "{what}");
            }
        }
    }
}

#[test]
fn readers_go_on_while_segments_are_packed_under_them() {
    let disk = runs(6, 10);
    let (log, _) = open(&disk);
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let mut dice = Dice::new(3);
            for round in 0..300 {
                let at = dice.below(180) as u64;
                assert_eq!(log.read(Position(at)).unwrap().unwrap().json, event(at).json);
                if round % 30 == 0 {
                    assert_all(&log, 0..180, "meanwhile");
                }
            }
        });
        log.inner.shared.tend();
        reading.join().unwrap();
    });
    assert_eq!(log.stats().segments, 1);
    assert!(log.damaged().is_empty());
}

#[test]
fn a_packed_file_that_went_bad_before_it_was_in_its_place_is_set_aside() {
    let disk = runs(1, 3);
    let mut files = image(&disk);
    let merge = format!("{:020}.{:020}.merge", 0, 0);
    let mut bytes = files.files[FIRST_SEALED].clone();
    bytes[300] ^= 1;
    files.files.insert(merge.clone(), bytes);
    let disk = disk_of(files);
    let (log, recovery) = open(&disk);
    assert_eq!((recovery.damaged.len(), recovery.events), (1, 9), "{recovery:?}");
    assert_all(&log, 0..9, "the file that it was made of is there");
    assert!(disk.exists(&format!("{QUARANTINE}/{merge}-0.tail")).unwrap() && !disk.exists(&merge).unwrap());
}

#[test]
fn leftovers_of_a_run_that_died_are_removed() {
    let disk = runs(1, 3);
    let mut files = image(&disk);
    for name in ["00000000000000000000.packed", "00000000000000000000.ids.new", "00000000000000000900.ids"] {
        files.files.insert(name.to_owned(), vec![1, 2, 3]);
    }
    let disk = disk_of(files);
    assert_all(&open(&disk).0, 0..9, "leftovers");
    let names: Vec<String> = disk.list("").unwrap().into_iter().filter(|name| name.starts_with("000")).collect();
    assert_eq!(names, [block_name(Position(0)), FIRST_SEALED.to_owned()]);
}
