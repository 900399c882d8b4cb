//! Tests of the log through its public face, and what the tests of its parts share.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use super::lock::{KEY, LOCK};
use super::*;

const START: i64 = 1_700_000_000;

fn at(second: u64) -> Timestamp {
    Timestamp::from_second(START + second as i64).unwrap()
}

pub(super) fn clock() -> Timestamp {
    at(1_000_000)
}

/// A folder in memory where there is one: these tests sync thousands of times, and no power fails in them.
pub(super) fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

pub(super) fn options() -> Options {
    Options::new("home-1", clock)
}

pub(super) fn entry(number: u64) -> Entry {
    let id = format!("event-{number}");
    let json = format!(r#"{{"type":"agent.prompt","id":"{id}","prompt":"{}"}}"#, "word ".repeat(number as usize % 9));
    Entry { id, topic: "agent.prompt", occurred_at: at(number), json }
}

pub(super) fn entries(range: std::ops::Range<u64>) -> Vec<Entry> {
    range.map(entry).collect()
}

pub(super) fn open(dir: &Path) -> (Log, Recovery) {
    Log::open(dir, options()).unwrap()
}

/// Every event is there, once, whole and in order.
pub(super) fn assert_events(log: &Log, expected: std::ops::Range<u64>) {
    let read: Vec<String> = log.scan(Position(0), usize::MAX).unwrap().into_iter().map(|record| record.json).collect();
    assert_eq!(read, expected.clone().map(|number| entry(number).json).collect::<Vec<_>>());
    for number in expected {
        let position = log.position(&format!("event-{number}")).unwrap();
        assert_eq!(log.read(position).unwrap().unwrap().id, format!("event-{number}"));
    }
}

/// The files of a folder as they are now, as after a crash.
pub(super) fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        if entry.path().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

pub(super) fn names(dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".mcap")).collect();
    names.sort();
    names
}

pub(super) const FIRST_OPEN: &str = "00000000000000000000.open.mcap";
pub(super) const FIRST_SEALED: &str = "00000000000000000000.mcap";

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

#[test]
fn readers_see_whole_events_while_files_are_sealed_under_them() {
    let dir = folder();
    // Packed under them, they would be two files in the end; that is another test.
    let packing = Packing { run: usize::MAX, least: u64::MAX, ..Packing::default() };
    let (log, _) = Log::open(dir.path(), Options { roll_bytes: 600, packing, ..options() }).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            let log = log.clone();
            scope.spawn(move || {
                let mut last = 0;
                while last < 300 {
                    let head = log.head().0;
                    for position in last..head {
                        assert_eq!(log.read(Position(position)).unwrap().unwrap().json, entry(position).json);
                        assert!(log.locate(Position(position)).is_some());
                    }
                    assert!(log.scan(Position(0), usize::MAX).unwrap().len() as u64 >= head);
                    last = head;
                }
            });
        }
        for number in 0..300 {
            log.append(vec![entry(number)]).unwrap();
        }
    });
    assert!(log.stats().segments > 50, "{:?}", log.stats());
}
