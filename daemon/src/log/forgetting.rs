//! Tests of forgetting in the log: other events stay byte for byte and in place, and no crash leaves a half.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};

use super::script::{event, events, number};
use super::sim::{Fault, SimDisk};
use super::tests::options;
use super::tombstones::{Of, keyed};
use super::world::Image;
use super::*;

/// Every seventh event, and a whole commit, and the last.
fn goes(number: u64) -> bool {
    number % 7 == 3 || (9..12).contains(&number) || number == 44
}

fn open(disk: &SimDisk) -> Log {
    let options =
        Options { packing: Packing { run: 2, small: 100_000, most: 400_000, least: 0, chunk: 4_000 }, ..options() };
    Log::open_on(Arc::new(disk.clone()), options).unwrap().0
}

/// The files of a disk nobody works on.
fn image(disk: &SimDisk) -> Image {
    let files = disk.list("").unwrap().into_iter().filter(|name| name != QUARANTINE);
    Image { files: files.map(|name| (name.clone(), disk.read(&name).unwrap())).collect(), ..Image::default() }
}

/// A log of 45 events in four segments, the last of them still open when it is asked.
fn written() -> Image {
    let disk = SimDisk::new(&Image::default());
    for run in 0..4 {
        let log = open(&disk);
        for commit in 0..4 - u64::from(run == 3) {
            let from = run * 12 + commit * 3;
            log.append(events(from..from + 3)).unwrap();
        }
        log.close().unwrap();
    }
    image(&disk)
}

fn erasure(log: &Log) -> Erasure {
    let gone: Vec<u64> = (0..45).filter(|number| goes(*number)).collect();
    let id = |number: &u64| log.keyed(Of::Id, format!("event-{number}").as_bytes());
    Erasure {
        id: "erasure".to_owned(),
        at: options_now(),
        by: "person".to_owned(),
        runs: gone.iter().map(|number| (*number, *number)).collect(),
        upto: log.head(),
        stones: gone.iter().map(|number| Tombstone { id: id(number), text: None }).collect(),
        withdrawn: Vec::new(),
        files: Vec::new(),
        holds: Holds::Forever,
        items: Vec::new(),
    }
}

fn options_now() -> Timestamp {
    super::tests::clock()
}

fn all_steps(log: &Log, erasure: &Erasure) -> Result<(), LogError> {
    log.begin_erasure(erasure)?;
    go_on(log)
}

fn go_on(log: &Log) -> Result<(), LogError> {
    log.erase()?;
    log.end_erasure()
}

/// What stays is where its number says, whole; what went is nowhere.
fn assert_forgotten(log: &Log, what: &str) {
    let read = log.scan(Position(0), usize::MAX).unwrap();
    let numbers: Vec<(u64, u64)> = read.iter().map(|record| (record.position.0, number(record).unwrap())).collect();
    let expected: Vec<(u64, u64)> = (0..45).filter(|number| !goes(*number)).map(|number| (number, number)).collect();
    assert_eq!(numbers, expected, "{what}");
    for number in 0..45 {
        let (position, id) = (Position(number), format!("event-{number}"));
        if goes(number) {
            assert_eq!(
                (log.position(&id), log.read(position).unwrap(), log.locate(position)),
                (None, None, None),
                "{what}"
            );
            assert!(log.is_forgotten(&id, || None, options_now()), "{what}: {id}");
        } else {
            assert_eq!(log.position(&id), Some(position), "{what}");
            assert_eq!(log.read(position).unwrap().unwrap().json, event(number).json, "{what}");
        }
    }
}

/// No file of the disk holds an id of what went, in a chunk or in an id block.
fn assert_gone_from_files(disk: &SimDisk, what: &str) {
    for name in disk.list("").unwrap() {
        let bytes = disk.read(&name).unwrap();
        let base = recover::parse(name.clone()).map_or(0, |(base, _, _)| base.0);
        clone_schema::segment::walk(&bytes, base, |chunk| {
            for message in chunk.messages() {
                let id = reader::id_in(message.data).unwrap();
                let number: u64 = id.trim_start_matches("event-").parse().unwrap();
                assert!(!goes(number), "{what}: `{name}` holds {id}");
            }
        });
        let digests =
            (0..45).filter(|number| goes(*number)).map(|number| directory::digest(&format!("event-{number}")));
        for digest in digests {
            assert!(!bytes.windows(16).any(|window| window == digest), "{what}: `{name}` holds a digest");
        }
        assert!(!name.ends_with(".erased") && !name.ends_with(".packed") && name != forget::JOURNAL, "{what}: {name}");
    }
}

#[test]
fn what_is_forgotten_is_gone_and_all_else_is_where_it_was() {
    let disk = SimDisk::new(&written());
    let log = open(&disk);
    let erasure = erasure(&log);
    log.begin_erasure(&erasure).unwrap();
    assert_forgotten(&log, "from the journal on");
    go_on(&log).unwrap();
    assert_forgotten(&log, "at once");
    assert_eq!(log.stats().events, (0..45).filter(|number| !goes(*number)).count() as u64);
    let next = log.append(events(100..101)).unwrap();
    assert!(next[0].position.0 >= 45, "no position is given twice: {next:?}");
    log.inner.shared.tend();
    log.close().unwrap();
    assert_gone_from_files(&disk, "closed");
    let log = open(&disk);
    assert!(
        log.is_forgotten("event-3", || None, options_now()) && !log.is_forgotten("event-4", || None, options_now())
    );
    assert_eq!(log.read(next[0].position).unwrap().unwrap().id, "event-100");
}

#[test]
fn a_batch_that_was_past_the_door_leaves_no_copy_and_the_next_one_finds_it_shut() {
    let start = written();
    let disk = SimDisk::new(&start);
    let log = open(&disk);
    log.begin_erasure(&erasure(&log)).unwrap();
    assert!(log.is_forgotten("event-3", || None, options_now()), "refused from the journal on");
    // Whoever had asked before is recorded, as an id that is hidden is not known; one event stays beside it.
    log.append(vec![event(3), event(100), event(10)]).unwrap();
    let killed = disk.killed(&start, disk.changes());
    go_on(&log).unwrap();
    log.close().unwrap();
    let after_a_crash = open(&killed);
    assert!(after_a_crash.is_forgotten("event-3", || None, options_now()), "refused before anybody can append");
    go_on(&after_a_crash).unwrap();
    after_a_crash.close().unwrap();
    for (disk, what) in [(disk, "at once"), (killed, "by the next run")] {
        assert_gone_from_files(&disk, what);
        let log = open(&disk);
        assert_eq!((log.position("event-3"), log.position("event-10")), (None, None), "{what}");
        assert_eq!(log.position("event-100"), Some(Position(46)), "{what}");
        assert_eq!(log.stats().events, (0..45).filter(|number| !goes(*number)).count() as u64 + 1, "{what}");
    }
}

#[test]
fn tombstones_that_were_lost_are_told_until_all_are_found_again() {
    let new = SimDisk::new(&Image::default());
    let log = open(&new);
    assert!(!log.is_lost() && new.exists(tombstones::TOMBSTONES).unwrap(), "a new log has them from birth on");
    for damage in [None, Some(b"damaged".to_vec()), Some(Vec::new())] {
        let mut image = written();
        let erased = SimDisk::new(&image);
        let log = open(&erased);
        all_steps(&log, &erasure(&log)).unwrap();
        log.close().unwrap();
        image = self::image(&erased);
        image.files.remove(tombstones::TOMBSTONES).unwrap();
        image.files.extend(damage.map(|bytes| (tombstones::TOMBSTONES.to_owned(), bytes)));
        let disk = SimDisk::new(&image);
        let log = open(&disk);
        assert!(log.is_lost());
        // A part of them must not pass for all, should the fold be cut short.
        let id = |number: u64| log.keyed(Of::Id, format!("event-{number}").as_bytes());
        log.bury(&[id(3)], &[], options_now()).unwrap();
        log.close().unwrap();
        let log = open(&disk);
        assert!(log.is_lost());
        log.bury(&[id(3), id(9)], &[], options_now()).unwrap();
        log.found().unwrap();
        log.close().unwrap();
        let log = open(&disk);
        assert!(!log.is_lost() && log.is_forgotten("event-9", || None, options_now()));
    }
}

#[test]
fn a_cleared_source_lets_in_what_was_taken_out_of_it_before_and_nothing_else() {
    let disk = SimDisk::new(&written());
    let log = open(&disk);
    let id = |number: u64| log.keyed(Of::Id, format!("event-{number}").as_bytes());
    let grave = |number: u64| Grave {
        ids: vec![id(number)],
        texts: Vec::new(),
        items: vec![log.keyed(Of::Item, format!("thread-{number}").as_bytes())],
    };
    let out = |log: &Log| {
        let is_out = |number: &u64| log.is_forgotten(&format!("event-{number}"), || None, options_now());
        let is_kept = |number: &u64| log.is_kept_out(|| vec![format!("thread-{number}")]);
        ((0..9).filter(is_out).collect::<Vec<_>>(), (0..9).filter(is_kept).collect::<Vec<_>>())
    };
    log.bury(&[id(1)], &[], options_now()).unwrap();
    log.keep_out("one", &grave(2), options_now(), Some(Position(5))).unwrap();
    log.keep_out("two", &grave(3), options_now(), Some(Position(6))).unwrap();
    assert_eq!((out(&log), log.removed_from("one")), ((vec![1, 2, 3], vec![2, 3]), 1));
    log.let_in("one", Position(7)).unwrap();
    assert_eq!(out(&log), (vec![1, 3], vec![3]));
    log.keep_out("one", &grave(4), options_now(), None).unwrap();
    // The log is folded anew: what it says comes once more, in its order.
    for _ in 0..2 {
        log.bury(&[id(1)], &[], options_now()).unwrap();
        log.keep_out("one", &grave(2), options_now(), Some(Position(5))).unwrap();
        assert_eq!(out(&log), (vec![1, 3, 4], vec![3, 4]), "not for a moment is it refused again");
        log.let_in("one", Position(7)).unwrap();
        log.keep_out("one", &grave(4), options_now(), Some(Position(8))).unwrap();
        assert_eq!(out(&log), (vec![1, 3, 4], vec![3, 4]));
    }
    log.close().unwrap();
    let log = open(&disk);
    assert_eq!((out(&log), log.removed_from("two")), ((vec![1, 3, 4], vec![3, 4]), 1));
}

#[test]
fn what_holds_until_an_erasure_ends_is_refused_over_kills_and_then_no_longer() {
    let start = written();
    let disk = SimDisk::new(&start);
    let log = open(&disk);
    log.bury(&[log.keyed(Of::Id, b"event-900")], &[], options_now()).unwrap();
    let from = disk.changes();
    let erasure = Erasure { holds: Holds::UntilEnded("one".to_owned()), ..erasure(&log) };
    all_steps(&log, &erasure).unwrap();
    let until = disk.changes();
    log.close().unwrap();
    let is_out = |log: &Log, id: &str| log.is_forgotten(id, || None, options_now());
    for changes in from..=until {
        let killed = disk.killed(&start, changes);
        let log = open(&killed);
        let what = format!("killed after {} of {} changes", changes - from, until - from);
        assert_eq!(is_out(&log, "event-3"), log.is_erasing(), "{what}");
        assert!(is_out(&log, "event-900"), "{what}: what was forgotten is refused all the while");
        go_on(&log).unwrap();
        assert!(!is_out(&log, "event-3") && is_out(&log, "event-900"), "{what}");
        if log.position("event-3").is_none() {
            assert!(log.append(vec![event(3)]).unwrap()[0].new, "{what}: it may come again");
        }
        log.close().unwrap();
    }
}

#[test]
fn what_an_earlier_version_wrote_is_read_and_the_log_is_asked_for_the_rest() {
    let disk = SimDisk::new(&written());
    let log = open(&disk);
    let key = log.inner.shared.key;
    let whole =
        Erasure { holds: Holds::UntilCleared("one".to_owned()), items: vec![Keyed::default()], ..erasure(&log) };
    log.begin_erasure(&whole).unwrap();
    log.close().unwrap();
    let log = open(&disk);
    assert_eq!(log.erasure().as_ref(), Some(&whole), "as it was written");
    log.close().unwrap();
    // Neither file said more before.
    let mut image = image(&disk);
    let body = postcard::to_stdvec(&whole).unwrap();
    image.files.insert(forget::JOURNAL.to_owned(), tombstones::sealed(&body, &key));
    let stones = (BTreeSet::from([keyed(&key, Of::Id, b"event-900")]), BTreeMap::<Keyed, Timestamp>::new());
    let body = postcard::to_stdvec(&stones).unwrap();
    image.files.insert(tombstones::TOMBSTONES.to_owned(), tombstones::sealed(&body, &key));
    let log = open(&SimDisk::new(&image));
    assert_eq!(log.erasure(), Some(Erasure { holds: Holds::Forever, items: Vec::new(), ..whole }));
    assert!(log.is_forgotten("event-900", || None, options_now()) && log.is_lost());
    log.found().unwrap();
    assert!(!log.is_lost());
    // What this version writes, an earlier one reads: the rest of the bytes is none of its business.
    let bytes = log.inner.shared.disk.read(tombstones::TOMBSTONES).unwrap();
    let body = tombstones::opened(&bytes, &key).unwrap();
    let read: (BTreeSet<Keyed>, BTreeMap<Keyed, Timestamp>) = postcard::from_bytes(body).unwrap();
    assert!(read.0.contains(&keyed(&key, Of::Id, b"event-900")));
}

#[test]
fn a_kill_between_any_two_changes_of_the_disk_is_made_good_by_the_next_start() {
    let start = written();
    let disk = SimDisk::new(&start);
    let log = open(&disk);
    let from = disk.changes();
    let erasure = erasure(&log);
    all_steps(&log, &erasure).unwrap();
    let until = disk.changes();
    log.close().unwrap();
    let mut unfinished = 0;
    for changes in from..=until {
        let killed = disk.killed(&start, changes);
        let log = open(&killed);
        let what = format!("killed after {} of {} changes", changes - from, until - from);
        if log.is_erasing() {
            unfinished += 1;
            assert_forgotten(&log, &what);
        } else if changes < until {
            // The journal was not durable: nothing was begun. Or its last removal was.
            let all = log.scan(Position(0), usize::MAX).unwrap().len() == 45;
            if all {
                all_steps(&log, &erasure).unwrap();
            }
        }
        go_on(&log).unwrap();
        assert_forgotten(&log, &what);
        log.close().unwrap();
        assert_gone_from_files(&killed, &what);
    }
    eprintln!("{} kills, {unfinished} of them inside: nothing of it came back, nothing else went", until - from + 1);
    assert!(unfinished > 20, "{unfinished}");
}

#[test]
fn a_call_of_the_disk_that_fails_leaves_all_or_nothing_and_the_next_try_ends_it() {
    for call in ["write", "sync", "create", "replace", "remove", "sync_dir", "read"] {
        for at in 0..12 {
            let disk = SimDisk::new(&written());
            let log = open(&disk);
            let erasure = erasure(&log);
            disk.set_faults(vec![Fault::once(call, at, std::io::ErrorKind::Other)]);
            let outcome = all_steps(&log, &erasure);
            disk.set_faults(Vec::new());
            let what = format!("{call} {at}: {outcome:?}");
            if outcome.is_err() {
                match log.erasure() {
                    Some(_) => go_on(&log).unwrap(),
                    None => all_steps(&log, &erasure).unwrap(),
                }
            }
            assert_forgotten(&log, &what);
            log.close().unwrap();
            let log = open(&disk);
            assert_forgotten(&log, &what);
        }
    }
}

#[test]
fn hashes_differ_by_what_they_are_over_and_by_the_key() {
    let hashes = [
        keyed(&[1; 32], Of::Id, b"a"),
        keyed(&[1; 32], Of::Text, b"a"),
        keyed(&[2; 32], Of::Id, b"a"),
        keyed(&[1; 32], Of::Id, b"b"),
    ];
    let distinct: std::collections::BTreeSet<Keyed> = hashes.into_iter().collect();
    assert_eq!(distinct.len(), hashes.len());
}
