//! Tests of the log through its public face, and through a disk that fails where it is told to.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

const START: i64 = 1_700_000_000;

fn at(second: u64) -> Timestamp {
    Timestamp::from_second(START + second as i64).unwrap()
}

fn clock() -> Timestamp {
    at(1_000_000)
}

/// A folder in memory where there is one: these tests sync thousands of times, and no power fails in them.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn options() -> Options {
    Options { home_id: "home-1".into(), roll_bytes: ROLL_BYTES, queue: QUEUE, wake: None, now: clock }
}

fn entry(number: u64) -> Entry {
    let id = format!("event-{number}");
    let json = format!(r#"{{"type":"agent.prompt","id":"{id}","prompt":"{}"}}"#, "word ".repeat(number as usize % 9));
    Entry { id, topic: "agent.prompt", occurred_at: at(number), json }
}

fn entries(range: std::ops::Range<u64>) -> Vec<Entry> {
    range.map(entry).collect()
}

fn open(dir: &Path) -> (Log, Recovery) {
    Log::open(dir, options()).unwrap()
}

/// Opens a log over a disk whose faults the test holds.
fn open_faulty(dir: &Path) -> (Log, Arc<Mutex<storage::Faults>>) {
    let disk = Disk::open(dir).unwrap();
    let faults = disk.faults.clone();
    (Log::open_on(disk, options()).unwrap().0, faults)
}

/// Every event is there, once, whole and in order.
fn assert_events(log: &Log, expected: std::ops::Range<u64>) {
    let read: Vec<String> = log.scan(Position(0), usize::MAX).unwrap().into_iter().map(|record| record.json).collect();
    assert_eq!(read, expected.clone().map(|number| entry(number).json).collect::<Vec<_>>());
    for number in expected {
        let position = log.position(&format!("event-{number}")).unwrap();
        assert_eq!(log.read(position).unwrap().unwrap().id, format!("event-{number}"));
    }
}

/// The files of a folder as they are now, as after a crash.
fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        if entry.path().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

fn names(dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".mcap")).collect();
    names.sort();
    names
}

const FIRST_OPEN: &str = "00000000000000000000.open.mcap";
const FIRST_SEALED: &str = "00000000000000000000.mcap";

#[test]
fn what_was_appended_is_read() {
    let dir = folder();
    let (log, recovery) = open(dir.path());
    assert_eq!(recovery, Recovery::default());
    assert!(names(dir.path()).is_empty(), "an idle start writes no segment");
    let appended = log.append(entries(0..5)).unwrap();
    assert_eq!(appended, (0..5).map(|number| Appended { position: Position(number), new: true }).collect::<Vec<_>>());
    assert_eq!(log.head(), Position(5));
    assert_eq!(
        log.read(Position(3)).unwrap().unwrap(),
        Record {
            position: Position(3),
            topic: "agent.prompt",
            id: "event-3".into(),
            recorded_at: clock(),
            occurred_at: at(3),
            json: entry(3).json,
        }
    );
    assert_eq!(log.read(Position(5)).unwrap(), None);
    let place = log.locate(Position(3)).unwrap();
    assert_eq!((place.segment.as_str(), place.index, place.time), (FIRST_OPEN, 3, clock()));
    let stats = log.stats();
    assert_eq!((stats.segments, stats.events, stats.commits), (1, 5, 1));
    assert_eq!((stats.oldest, stats.newest), (Some(at(0)), Some(at(4))));
    log.close().unwrap();
    assert_eq!(names(dir.path()), [FIRST_SEALED]);
    assert_eq!(log.stats().bytes, std::fs::metadata(dir.path().join(FIRST_SEALED)).unwrap().len());
}

#[test]
fn an_id_is_written_once() {
    let dir = folder();
    let (log, _) = open(dir.path());
    let batch = vec![entry(0), entry(1), entry(0)];
    let appended: Vec<(u64, bool)> = log.append(batch).unwrap().iter().map(|one| (one.position.0, one.new)).collect();
    assert_eq!(appended, [(0, true), (1, true), (0, false)]);
    let again = Entry { json: r#"{"id":"event-1","other":"content"}"#.into(), ..entry(1) };
    assert_eq!(log.append(vec![again.clone()]).unwrap(), [Appended { position: Position(1), new: false }]);
    drop(log);
    let (log, _) = open(dir.path());
    assert_eq!(log.append(vec![again, entry(2)]).unwrap()[0], Appended { position: Position(1), new: false });
    assert_events(&log, 0..3);
}

#[test]
fn a_reopened_log_goes_on_in_a_new_file() {
    let dir = folder();
    for run in 0..3_u64 {
        let (log, recovery) = open(dir.path());
        assert_eq!((recovery.segments as u64, recovery.events), (run, run * 4));
        assert!(recovery.torn.is_empty() && recovery.damaged.is_empty(), "{recovery:?}");
        log.append(entries(run * 4..run * 4 + 4)).unwrap();
        assert_events(&log, 0..run * 4 + 4);
        if run == 1 {
            log.close().unwrap();
            log.close().unwrap();
            assert!(matches!(log.append(entries(0..1)), Err(LogError::Closed)));
            assert_events(&log, 0..8);
        }
    }
    assert_eq!(names(dir.path()).len(), 3);
}

#[test]
fn appenders_share_commits() {
    let dir = folder();
    let (log, _) = open(dir.path());
    std::thread::scope(|scope| {
        for thread in 0..8_u64 {
            let log = log.clone();
            scope.spawn(move || {
                for number in 0..200 {
                    let appended = log.append(vec![entry(thread * 200 + number)]).unwrap();
                    assert!(appended[0].new && log.head() > appended[0].position);
                }
            });
        }
    });
    let stats = log.stats();
    assert_eq!((stats.events, log.head()), (1_600, Position(1_600)));
    assert!(stats.commits < 1_600, "{stats:?}");
}

#[test]
fn a_copy_taken_while_open_holds_all_that_was_acked() {
    let (dir, crashed) = (folder(), folder());
    let (log, _) = open(dir.path());
    for number in 0..10 {
        log.append(vec![entry(number)]).unwrap();
    }
    copy(dir.path(), crashed.path());
    let (after, recovery) = open(crashed.path());
    assert_eq!((recovery.events, recovery.torn.len()), (10, 0));
    assert_events(&after, 0..10);
    assert_eq!(names(crashed.path()), [FIRST_SEALED]);
    let bytes = std::fs::read(crashed.path().join(FIRST_SEALED)).unwrap();
    let stock: Vec<Vec<u8>> =
        mcap::MessageStream::new(&bytes).unwrap().map(|message| message.unwrap().data.to_vec()).collect();
    assert_eq!(stock, entries(0..10).into_iter().map(|entry| entry.json.into_bytes()).collect::<Vec<_>>());
    assert_eq!(mcap::Summary::read(&bytes).unwrap().unwrap().stats.unwrap().message_count, 10);
}

#[test]
fn a_live_file_cut_anywhere_gives_a_prefix_and_the_log_goes_on() {
    let dir = folder();
    let (log, _) = open(dir.path());
    for number in 0..4 {
        log.append(entries(number * 2..number * 2 + 2)).unwrap();
    }
    let bytes = std::fs::read(dir.path().join(FIRST_OPEN)).unwrap();
    let ends: Vec<u64> = (0..8).map(|position| log.locate(Position(position)).unwrap().offset).collect();
    for length in 0..bytes.len() {
        let crashed = folder();
        std::fs::write(crashed.path().join(FIRST_OPEN), &bytes[..length]).unwrap();
        let (log, recovery) = open(crashed.path());
        // A chunk is whole when the next one begins within the cut.
        let whole = ends.iter().filter(|offset| **offset <= length as u64).count().saturating_sub(2) as u64;
        assert_eq!(recovery.events, whole, "cut at {length}");
        assert!(recovery.damaged.is_empty(), "cut at {length}");
        assert_eq!(log.head(), Position(whole), "cut at {length}");
        let kept: u64 = recovery.torn.iter().map(|torn| torn.bytes).sum();
        for torn in &recovery.torn {
            let tail = std::fs::read(crashed.path().join(&torn.moved_to)).unwrap();
            assert_eq!(tail, bytes[length - kept as usize..length], "cut at {length}");
        }
        log.append(vec![entry(whole)]).unwrap();
        assert_events(&log, 0..whole + 1);
    }
}

#[test]
fn the_lock_names_its_holder() {
    let dir = folder();
    let (log, _) = open(dir.path());
    let Err(error) = Log::open(dir.path(), options()) else { panic!("opened twice") };
    assert!(error.to_string().ends_with(&format!("process {}", std::process::id())), "{error}");
    log.close().unwrap();
    let key = log.key();
    let (again, _) = open(dir.path());
    assert_eq!(again.key(), key);
    assert!(dir.path().join(LOCK).exists());
}

#[test]
fn files_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let parent = folder();
    let dir = parent.path().join("log");
    let (log, _) = open(&dir);
    log.append(entries(0..1)).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    for name in [LOCK, KEY, FIRST_OPEN] {
        assert_eq!(mode(&dir.join(name)), 0o600, "{name}");
    }
}

#[test]
fn entries_that_could_not_be_read_back_are_refused() {
    let dir = folder();
    let (log, _) = open(dir.path());
    let large = format!(r#"{{"id":"event-0","x":"{}"}}"#, "x".repeat(MAX_EVENT_BYTES));
    for (bad, expected) in [
        (Entry { topic: "no.such", ..entry(0) }, "the topic `no.such` is not known"),
        (Entry { json: "{}".into(), ..entry(0) }, "the JSON of event `event-0` does not hold that id"),
        (Entry { json: r#"{"id":"event-0""#.into(), ..entry(0) }, "the JSON of event `event-0` does not hold that id"),
        (Entry { json: large, ..entry(0) }, "event `event-0` has 16777239 bytes, more than 16777216"),
    ] {
        assert_eq!(log.append(vec![entry(1), bad]).unwrap_err().to_string(), expected);
    }
    assert_eq!((log.head(), log.append(vec![]).unwrap()), (Position(0), vec![]));
}

#[test]
fn a_full_segment_is_sealed_and_the_next_begins() {
    let dir = folder();
    let (log, _) = Log::open(dir.path(), Options { roll_bytes: 1_000, ..options() }).unwrap();
    for number in 0..20 {
        log.append(vec![entry(number)]).unwrap();
        assert_events(&log, 0..number + 1);
    }
    let files = names(dir.path());
    assert!(files.len() > 3 && files.iter().filter(|name| name.ends_with(".open.mcap")).count() == 1, "{files:?}");
    drop(log);
    let (log, recovery) = open(dir.path());
    assert_eq!((recovery.events, recovery.segments), (20, files.len()));
    assert_events(&log, 0..20);
}

#[test]
fn bulk_is_written_with_the_next_commit_and_at_close() {
    let dir = folder();
    let (log, _) = open(dir.path());
    log.append_later(entries(0..3)).unwrap();
    assert_eq!(log.append(vec![entry(3)]).unwrap()[0].position, Position(3));
    assert_eq!(log.stats().commits, 1);
    log.append_later(entries(4..6)).unwrap();
    log.close().unwrap();
    assert_events(&log, 0..6);
}

#[test]
fn a_full_queue_blocks_and_drops_nothing() {
    let dir = folder();
    let (log, _) = Log::open(dir.path(), Options { queue: 4, ..options() }).unwrap();
    for number in 0..100 {
        log.append_later(entries(number * 3..number * 3 + 3)).unwrap();
    }
    log.append_later(entries(300..350)).unwrap();
    log.close().unwrap();
    assert_events(&log, 0..350);
}

#[test]
fn the_writer_tells_of_each_new_head() {
    let dir = folder();
    let seen = Arc::new(AtomicU64::new(0));
    let told = seen.clone();
    let wake: Box<dyn Fn(Position) + Send + Sync> = Box::new(move |head| told.store(head.0, Ordering::SeqCst));
    let (log, _) = Log::open(dir.path(), Options { wake: Some(wake), ..options() }).unwrap();
    log.append(entries(0..7)).unwrap();
    log.close().unwrap();
    assert_eq!(seen.load(Ordering::SeqCst), 7);
}

#[test]
fn scans_go_by_position_and_by_time() {
    let dir = folder();
    let (log, _) = open(dir.path());
    for number in 0..600 {
        log.append_later(vec![entry(number)]).unwrap();
        if number % 2 == 1 {
            log.append(vec![]).unwrap();
        }
    }
    log.append(vec![entry(600)]).unwrap();
    let positions = |records: Vec<Record>| records.into_iter().map(|record| record.position.0).collect::<Vec<_>>();
    assert_eq!(positions(log.scan(Position(590), 5).unwrap()), (590..595).collect::<Vec<_>>());
    assert_eq!(positions(log.scan(Position(0), 601).unwrap()), (0..601).collect::<Vec<_>>());
    assert_eq!(positions(log.scan_time(at(300), at(305), 100).unwrap()), (300..305).collect::<Vec<_>>());
    assert_eq!(positions(log.scan_time(at(300), at(305), 2).unwrap()), [300, 301]);
    assert!(log.scan(Position(601), 10).unwrap().is_empty() && log.scan(Position(0), 0).unwrap().is_empty());
}

#[test]
fn a_full_disk_is_named_and_leaves_nothing_behind() {
    let dir = folder();
    let (log, faults) = open_faulty(dir.path());
    log.append(entries(0..2)).unwrap();
    let before = std::fs::read(dir.path().join(FIRST_OPEN)).unwrap();
    for through in [0, 1, 50, usize::MAX] {
        faults.lock().unwrap().append = vec![(through, io::ErrorKind::StorageFull)];
        let error = log.append(entries(2..4)).unwrap_err();
        assert!(matches!(error, LogError::DiskFull { .. }), "{error}");
        assert_eq!(std::fs::read(dir.path().join(FIRST_OPEN)).unwrap(), before, "{through} bytes got through");
        assert_eq!(log.head(), Position(2));
    }
    assert_eq!(log.append(entries(2..4)).unwrap()[0], Appended { position: Position(2), new: true });
    drop(log);
    assert_events(&open(dir.path()).0, 0..4);
}

#[test]
fn a_short_write_that_cannot_be_cut_back_moves_on_to_another_file() {
    let dir = folder();
    let (log, faults) = open_faulty(dir.path());
    log.append(entries(0..2)).unwrap();
    {
        let mut faults = faults.lock().unwrap();
        (faults.append, faults.truncate) = (vec![(70, io::ErrorKind::Other)], 2);
    }
    assert_eq!(log.append(entries(2..4)).unwrap()[0].position, Position(2));
    assert_events(&log, 0..4);
    assert_eq!(names(dir.path()), [FIRST_OPEN, "00000000000000000002.open.mcap"]);
    drop(log);
    let (log, recovery) = open(dir.path());
    assert_eq!((recovery.events, recovery.torn.len(), recovery.torn[0].bytes), (4, 1, 70));
    assert_events(&log, 0..4);
}

#[test]
fn a_failed_sync_is_never_tried_again_on_the_same_file() {
    for truncations_fail in [0, 9] {
        let dir = folder();
        let (log, faults) = open_faulty(dir.path());
        log.append(entries(0..2)).unwrap();
        {
            let mut faults = faults.lock().unwrap();
            (faults.sync, faults.truncate, faults.calls) = (1, truncations_fail, vec![]);
        }
        assert_eq!(log.append(entries(2..4)).unwrap()[0].position, Position(2));
        let calls = faults.lock().unwrap().calls.clone();
        assert_eq!(calls, ["append", "sync", "truncate", "create", "append", "sync", "sync_dir", "append", "sync"]);
        faults.lock().unwrap().truncate = 0;
        drop(log);
        // With the batch in both files it is read once.
        let (log, recovery) = open(dir.path());
        assert_eq!((recovery.events, log.head()), (4, Position(4)));
        assert_events(&log, 0..4);
    }
}

#[test]
fn the_first_commit_survives_a_failed_sync_too() {
    let dir = folder();
    let (log, faults) = open_faulty(dir.path());
    // The header is synced first.
    for failing in [1, 2] {
        let number = log.head().0;
        let live = names(dir.path());
        faults.lock().unwrap().sync = failing;
        match log.append(vec![entry(number)]) {
            Ok(appended) => assert_eq!(appended[0].position, Position(number), "{live:?}"),
            Err(error) => {
                assert!(error.to_string().contains("injected sync error"), "{error}");
                faults.lock().unwrap().sync = 0;
                log.append(vec![entry(number)]).unwrap();
            }
        }
        assert_events(&log, 0..number + 1);
    }
    drop(log);
    assert_events(&open(dir.path()).0, 0..2);
}

#[test]
fn a_log_that_fails_refuses_and_tries_again() {
    let dir = folder();
    let (log, faults) = open_faulty(dir.path());
    log.append(entries(0..2)).unwrap();
    for _ in 0..3 {
        {
            let mut faults = faults.lock().unwrap();
            (faults.sync, faults.create, faults.truncate) = (2, 2, 2);
        }
        let error = log.append(entries(2..4)).unwrap_err();
        assert!(error.to_string().contains("injected"), "{error}");
        assert_eq!((log.head(), log.position("event-2")), (Position(2), None));
        *faults.lock().unwrap() = storage::Faults::default();
    }
    let appended = log.append(entries(2..4)).unwrap();
    assert!(appended[0].position >= Position(2), "{appended:?}");
    assert_events(&log, 0..4);
    let positions: Vec<_> = (2..4).map(|number| log.position(&format!("event-{number}"))).collect();
    drop(log);
    let (log, _) = open(dir.path());
    assert_events(&log, 0..4);
    assert_eq!((2..4).map(|number| log.position(&format!("event-{number}"))).collect::<Vec<_>>(), positions);
}

#[test]
fn bulk_is_kept_while_the_disk_is_full() {
    let dir = folder();
    let (log, faults) = open_faulty(dir.path());
    faults.lock().unwrap().append = vec![(0, io::ErrorKind::StorageFull); 4];
    log.append_later(entries(0..3)).unwrap();
    // Creating the file, then each try of the batch, fails for want of room.
    let mut refused = 0;
    while let Err(error) = log.append(vec![entry(3)]) {
        assert!(matches!(error, LogError::DiskFull { .. }), "{error}");
        refused += 1;
    }
    assert!((1..=4).contains(&refused), "{refused}");
    assert_events(&log, 0..4);
}

#[test]
fn a_flipped_bit_in_a_sealed_file_costs_at_most_its_chunk() {
    let dir = folder();
    let (log, _) = open(dir.path());
    for number in 0..5 {
        log.append(entries(number * 4..number * 4 + 4)).unwrap();
    }
    let offsets: Vec<u64> = (0..5).map(|chunk| log.locate(Position(chunk * 4)).unwrap().offset).collect();
    drop(log);
    let bytes = std::fs::read(dir.path().join(FIRST_SEALED)).unwrap();
    for round in 0..100_usize {
        let (at, bit) = (round * bytes.len() / 100, round % 8);
        let damaged = folder();
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << bit;
        std::fs::write(damaged.path().join(FIRST_SEALED), &flipped).unwrap();
        let (log, recovery) = open(damaged.path());
        let hit = offsets.iter().rposition(|offset| *offset <= at as u64);
        let read = log.scan(Position(0), usize::MAX).unwrap();
        assert!(read.iter().all(|record| record.json == entry(record.position.0).json), "bit {bit} of byte {at}");
        let lost: Vec<u64> = (0..20).filter(|number| log.read(Position(*number)).unwrap().is_none()).collect();
        assert!(lost.iter().all(|number| Some(*number as usize / 4) == hit), "bit {bit} of byte {at}: {lost:?}");
        assert!(lost.is_empty() || !recovery.damaged.is_empty(), "bit {bit} of byte {at}");
        assert!(recovery.torn.is_empty() && names(damaged.path()) == [FIRST_SEALED]);
        assert_eq!(std::fs::read(damaged.path().join(FIRST_SEALED)).unwrap(), flipped, "a sealed file was changed");
        // A lost position is not given to another event.
        let again = log.append(vec![entry(20)]).unwrap()[0].position;
        assert!(again >= Position(20), "bit {bit} of byte {at}: {again}");
    }
}

#[test]
fn damage_in_a_live_file_is_kept_and_reported_with_its_times() {
    let (dir, crashed) = (folder(), folder());
    let (log, _) = open(dir.path());
    for number in 0..3 {
        log.append(entries(number * 4..number * 4 + 4)).unwrap();
    }
    let hit = log.locate(Position(4)).unwrap().offset;
    let next = log.locate(Position(8)).unwrap().offset;
    let mut bytes = std::fs::read(dir.path().join(FIRST_OPEN)).unwrap();
    bytes[hit as usize + 70] ^= 1;
    std::fs::write(crashed.path().join(FIRST_OPEN), &bytes).unwrap();
    let (log, recovery) = open(crashed.path());
    assert_eq!(
        recovery,
        Recovery {
            segments: 1,
            events: 8,
            torn: vec![],
            damaged: vec![Damage {
                segment: FIRST_OPEN.into(),
                offset: hit,
                bytes: next - hit,
                reason: recovery.damaged[0].reason.clone(),
                from: Some(clock()),
                to: Some(clock()),
            }],
        }
    );
    assert_eq!((log.head(), log.read(Position(5)).unwrap()), (Position(12), None));
    let after = std::fs::read(crashed.path().join(FIRST_SEALED)).unwrap();
    assert_eq!(after[..bytes.len()], bytes, "nothing was cut");
    assert_eq!(log.append(vec![entry(5)]).unwrap()[0], Appended { position: Position(12), new: true });
}

#[test]
fn a_tail_of_zeros_noise_or_old_data_is_moved_away() {
    let dir = folder();
    let (log, _) = open(dir.path());
    log.append(entries(0..4)).unwrap();
    log.append(entries(4..8)).unwrap();
    let bytes = std::fs::read(dir.path().join(FIRST_OPEN)).unwrap();
    let old = bytes[log.locate(Position(0)).unwrap().offset as usize..].to_vec();
    let noise: Vec<u8> = (0..4_096_u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
    for (name, tail) in [("zeros", vec![0; 9_000]), ("noise", noise), ("old", old)] {
        let crashed = folder();
        std::fs::write(crashed.path().join(FIRST_OPEN), [&bytes[..], &tail].concat()).unwrap();
        let (log, recovery) = open(crashed.path());
        let moved = std::fs::read(crashed.path().join(&recovery.torn[0].moved_to)).unwrap();
        assert_eq!((moved, recovery.damaged.len()), (tail, 0), "{name}");
        assert_events(&log, 0..8);
        assert!(log.append(vec![entry(8)]).unwrap()[0].position > Position(8), "{name}: durable events may be in it");
        drop(log);
        let (log, recovery) = open(crashed.path());
        assert!(recovery.torn.is_empty() && recovery.damaged.is_empty(), "{name}: {recovery:?}");
        assert_events(&log, 0..9);
    }
}

#[test]
fn a_chunk_that_goes_bad_while_the_log_is_open_is_an_error_and_not_a_wrong_event() {
    let dir = folder();
    let (log, _) = open(dir.path());
    log.append(entries(0..4)).unwrap();
    log.append(entries(4..8)).unwrap();
    let (path, place) = (dir.path().join(FIRST_OPEN), log.locate(Position(4)).unwrap());
    log.close().unwrap();
    let (log, _) = open(dir.path());
    let sealed = path.with_file_name(FIRST_SEALED);
    let mut bytes = std::fs::read(&sealed).unwrap();
    bytes[place.offset as usize + 80] ^= 4;
    std::fs::write(&sealed, bytes).unwrap();
    assert!(matches!(log.read(Position(4)), Err(LogError::Damaged { .. })));
    assert_eq!(log.scan(Position(0), 100).unwrap().len(), 4);
    assert_eq!(log.read(Position(0)).unwrap().unwrap().json, entry(0).json);
}

#[test]
fn a_broken_key_is_refused_and_not_replaced() {
    let dir = folder();
    drop(open(dir.path()));
    std::fs::write(dir.path().join(KEY), [1; 31]).unwrap();
    assert!(matches!(Log::open(dir.path(), options()), Err(LogError::Key(_))));
    assert_eq!(std::fs::read(dir.path().join(KEY)).unwrap(), [1; 31]);
}

#[test]
fn a_large_batch_is_split_into_chunks() {
    let dir = folder();
    let (log, _) = open(dir.path());
    let large = |number: u64| {
        let json = format!(r#"{{"id":"event-{number}","x":"{}"}}"#, number.to_string().repeat(1_500_000));
        Entry { json, ..entry(number) }
    };
    log.append((0..5).map(large).collect()).unwrap();
    let offsets: Vec<u64> = (0..5).map(|position| log.locate(Position(position)).unwrap().offset).collect();
    assert!(offsets[0] == offsets[1] && offsets[1] < offsets[2] && log.stats().commits == 1, "{offsets:?}");
    drop(log);
    let (log, _) = open(dir.path());
    for number in 0..5 {
        assert_eq!(log.read(Position(number)).unwrap().unwrap().json, large(number).json);
    }
}

/// Prints how fast the log takes and gives events; run with `--ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn throughput() {
    let dir = tempfile::tempdir().unwrap();
    let make = |number: u64| {
        let id = format!("event-{number}");
        let words = (0..28).map(|word| format!("{:x} ", (number * 31 + word * 7).wrapping_mul(2_654_435_761) % 65_536));
        let json = format!(
            r#"{{"type":"agent.prompt","id":"{id}","source":"agent","prompt":"{}"}}"#,
            words.collect::<String>()
        );
        Entry { id, topic: "agent.prompt", occurred_at: at(number), json }
    };
    let batches: Vec<Vec<Entry>> =
        (0..100).map(|batch| (batch * 1_000..batch * 1_000 + 1_000).map(make).collect()).collect();
    let bytes: usize = batches.iter().flatten().map(|entry| entry.json.len()).sum();
    let (log, _) = open(dir.path());
    let timed = |name: &str, work: &mut dyn FnMut()| {
        let start = std::time::Instant::now();
        work();
        let seconds = start.elapsed().as_secs_f64();
        eprintln!("{name}: {seconds:.2} s, {:.0} events/s", 100_000.0 / seconds);
    };
    timed("append", &mut || batches.iter().for_each(|batch| drop(log.append(batch.clone()).unwrap())));
    timed("scan", &mut || assert_eq!(log.scan(Position(0), 100_000).unwrap().len(), 100_000));
    eprintln!("{} B of JSON each, {} B stored", bytes / 100_000, log.stats().bytes / 100_000);
    log.close().unwrap();
    timed("open", &mut || assert_eq!(open(dir.path()).1.events, 100_000));
    let (log, _) = open(dir.path());
    let mut single: Vec<f64> = (100_000..100_300)
        .map(|number| {
            let start = std::time::Instant::now();
            log.append(vec![make(number)]).unwrap();
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    single.sort_by(f64::total_cmp);
    eprintln!("single append: p50 {:.2} ms, p99 {:.2} ms", single[150], single[297]);
}
