//! Tests of the writer over a disk that fails where it is told to.

#![allow(clippy::unwrap_used)]

use std::io;
use std::path::Path;
use std::sync::Mutex;

use super::disk::Disk;
use super::storage::{Handle, Lock, OpenFile, Storage};
use super::tests::{FIRST_OPEN, assert_events, copy, entries, entry, folder, names, open, options};
use super::*;

/// Opens a log over a disk whose faults the test holds.
fn open_faulty(dir: &Path) -> (Log, Arc<Mutex<Faults>>) {
    let disk = Faulty { disk: Disk::open(dir).unwrap(), faults: Arc::default() };
    let faults = disk.faults.clone();
    (Log::open_on(Arc::new(disk), options()).unwrap().0, faults)
}

/// What goes wrong next; each counts down to zero, where it happens.
#[derive(Default)]
struct Faults {
    /// Writes that still fail: the bytes that get through first, and the error.
    append: Vec<(usize, io::ErrorKind)>,
    /// Syncs that still fail.
    sync: usize,
    /// Truncations that still fail.
    truncate: usize,
    /// Creations that still fail.
    create: usize,
    /// The room that the disk says it has, instead of what it has.
    free: Option<u64>,
    /// Every kind of call, in order.
    calls: Vec<&'static str>,
}

/// A real disk with faults.
struct Faulty {
    disk: Disk,
    faults: Arc<Mutex<Faults>>,
}

/// An open file of it.
struct FaultyFile {
    file: Handle,
    faults: Arc<Mutex<Faults>>,
}

fn take(count: &mut usize) -> bool {
    let now = *count > 0;
    *count = count.saturating_sub(1);
    now
}

fn fault(faults: &Mutex<Faults>, call: &'static str, fails: impl FnOnce(&mut Faults) -> bool) -> io::Result<()> {
    let mut faults = locked(faults);
    faults.calls.push(call);
    match fails(&mut faults) {
        true => Err(io::Error::other(format!("injected {call} error"))),
        false => Ok(()),
    }
}

impl OpenFile for FaultyFile {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut faults = locked(&self.faults);
        faults.calls.push("append");
        match faults.append.pop() {
            Some((through, kind)) => {
                super::storage::append(&*self.file, &bytes[..through.min(bytes.len())])?;
                Err(kind.into())
            }
            None => self.file.write(bytes),
        }
    }
    fn sync(&self) -> io::Result<()> {
        fault(&self.faults, "sync", |faults| take(&mut faults.sync))?;
        self.file.sync()
    }
    fn truncate(&self, length: u64) -> io::Result<()> {
        fault(&self.faults, "truncate", |faults| take(&mut faults.truncate))?;
        self.file.truncate(length)
    }
}

impl Storage for Faulty {
    fn path(&self, name: &str) -> std::path::PathBuf {
        self.disk.path(name)
    }
    fn create_dir(&self, name: &str) -> io::Result<()> {
        self.disk.create_dir(name)
    }
    fn create(&self, name: &str) -> io::Result<Handle> {
        fault(&self.faults, "create", |faults| take(&mut faults.create))?;
        Ok(Box::new(FaultyFile { file: self.disk.create(name)?, faults: self.faults.clone() }))
    }
    #[cfg(feature = "sabotage")]
    fn reopen(&self, name: &str) -> io::Result<Handle> {
        Ok(Box::new(FaultyFile { file: self.disk.reopen(name)?, faults: self.faults.clone() }))
    }
    fn lock(&self, name: &str, holder: &str) -> io::Result<Option<Lock>> {
        self.disk.lock(name, holder)
    }
    fn sync_dir(&self, name: &str) -> io::Result<()> {
        fault(&self.faults, "sync_dir", |_| false)?;
        self.disk.sync_dir(name)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fault(&self.faults, "rename", |_| false)?;
        self.disk.rename(from, to)
    }
    fn replace(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.replace(from, to)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }
    fn read_at(&self, name: &str, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        self.disk.read_at(name, offset, length)
    }
    fn length(&self, name: &str) -> io::Result<u64> {
        self.disk.length(name)
    }
    fn list(&self, name: &str) -> io::Result<Vec<String>> {
        self.disk.list(name)
    }
    fn free(&self) -> io::Result<u64> {
        locked(&self.faults).free.map_or_else(|| self.disk.free(), Ok)
    }
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
    assert_eq!(names(dir.path()), [FIRST_OPEN], "the file that was cut back is used on");
    drop(log);
    assert_events(&open(dir.path()).0, 0..4);
}

#[test]
fn below_the_mark_nothing_is_written_and_all_is_read() {
    let dir = folder();
    let disk = Faulty { disk: Disk::open(dir.path()).unwrap(), faults: Arc::default() };
    let faults = disk.faults.clone();
    let (log, _) = Log::open_on(Arc::new(disk), Options { low_water: 100 << 20, ..options() }).unwrap();
    log.append(entries(0..2)).unwrap();
    assert!(log.trouble().is_none());
    locked(&faults).free = Some((100 << 20) - 1);
    assert!(log.trouble().unwrap().error.is_full(), "seen before anybody appends");
    locked(&faults).calls.clear();
    let error = log.append(entries(0..4)).unwrap_err();
    let told = error.to_string();
    assert!(
        told.starts_with("only 99 MiB are free") && told.ends_with("than the 100 MiB that are kept free"),
        "{told}"
    );
    assert_eq!(log.append(entries(0..2)).unwrap()[0], Appended { position: Position(0), new: false });
    assert!(log.trouble().is_some(), "known ids say nothing about the disk");
    log.append_later(entries(2..3)).unwrap();
    assert_events(&log, 0..2);
    assert!(locked(&faults).calls.is_empty(), "nothing was written: {:?}", locked(&faults).calls);
    locked(&faults).free = Some(100 << 20);
    // Nobody appends: the log looks by itself, and writes what it kept.
    while log.head() < Position(3) || log.trouble().is_some() {
        std::thread::yield_now();
    }
    assert_events(&log, 0..3);
}

#[test]
fn a_failing_log_is_well_again_before_anybody_appends() {
    for kind in [io::ErrorKind::StorageFull, io::ErrorKind::FileTooLarge, io::ErrorKind::Other] {
        let dir = folder();
        let (log, faults) = open_faulty(dir.path());
        log.append(entries(0..2)).unwrap();
        locked(&faults).append = vec![(10, kind); 9];
        log.append(entries(2..4)).unwrap_err();
        let since = log.trouble().unwrap().since;
        log.append(entries(2..4)).unwrap_err();
        assert_eq!(log.trouble().unwrap().since, since);
        *locked(&faults) = Faults::default();
        while log.trouble().is_some() {
            std::thread::yield_now();
        }
        assert!(!dir.path().join("probe").exists());
        log.append(entries(2..4)).unwrap();
        assert_events(&log, 0..4);
    }
}

#[test]
fn a_limit_on_the_size_of_files_moves_on_to_another_file() {
    let dir = folder();
    let (log, faults) = open_faulty(dir.path());
    log.append(entries(0..2)).unwrap();
    locked(&faults).append = vec![(10, io::ErrorKind::FileTooLarge)];
    assert_eq!(log.append(entries(2..4)).unwrap()[0].position, Position(2));
    assert_eq!(names(dir.path()), [FIRST_OPEN, "00000000000000000002.open.mcap"]);
    locked(&faults).append = vec![(10, io::ErrorKind::FileTooLarge); 4];
    assert!(matches!(log.append(entries(4..6)), Err(LogError::FileLimit { .. })), "in a new file as well");
    *locked(&faults) = Faults::default();
    drop(log);
    let (log, _) = open(dir.path());
    assert_events(&log, 0..4);
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
        *faults.lock().unwrap() = Faults::default();
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
fn the_positions_of_a_failed_batch_are_not_given_to_other_events() {
    let dir = folder();
    let (log, faults) = open_faulty(dir.path());
    log.append(entries(0..2)).unwrap();
    {
        let mut faults = faults.lock().unwrap();
        (faults.sync, faults.create, faults.truncate) = (1, 1, 1);
    }
    log.append(entries(10..13)).unwrap_err();
    let position = log.append(vec![entry(2)]).unwrap()[0].position;
    assert_eq!((position, log.head()), (Position(5), Position(6)));
    let cited = |log: &Log| log.read(position).unwrap().unwrap().id;
    assert_eq!(cited(&log), "event-2");
    drop(log);
    // The refused events were written after all: they are there, in places of their own.
    let (log, recovery) = open(dir.path());
    assert_eq!((recovery.events, cited(&log).as_str()), (6, "event-2"));
    assert_eq!(log.position("event-10"), Some(Position(2)));
}

#[test]
fn a_cut_that_is_not_synced_does_not_free_the_positions_of_a_failed_batch() {
    let dir = folder();
    let (log, faults) = open_faulty(dir.path());
    log.append(entries(0..2)).unwrap();
    {
        let mut faults = faults.lock().unwrap();
        (faults.sync, faults.create) = (1, 1);
    }
    log.append(entries(10..13)).unwrap_err();
    // A power cut may undo the cut and keep the bytes.
    assert_eq!(log.append(vec![entry(2)]).unwrap()[0].position, Position(5));
}

/// Puts some faults in, by chance.
fn harm(faults: &Mutex<Faults>, number: &mut impl FnMut(usize) -> usize) {
    let kinds = [io::ErrorKind::StorageFull, io::ErrorKind::Other];
    let mut faults = faults.lock().unwrap();
    *faults = Faults::default();
    match number(4) {
        0 => faults.append = (0..number(3)).map(|_| (number(400), kinds[number(2)])).collect(),
        1 => faults.sync = number(4),
        2 => faults.append = vec![(number(400), io::ErrorKind::Other); number(4)],
        _ => return,
    }
    (faults.truncate, faults.create) = (number(3), number(3));
}

#[test]
fn whatever_fails_an_acked_event_stays_where_it_is_once() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut number = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % below as u64) as usize
    };
    let mut refusals = 0;
    for _ in 0..25 {
        let dir = folder();
        let mut acked: Vec<Position> = Vec::new();
        for _run in 0..4 {
            let (log, faults) = open_faulty(dir.path());
            for _ in 0..12 {
                let from = acked.len() as u64;
                let batch = entries(from..from + 1 + number(4) as u64);
                harm(&faults, &mut number);
                // As a client does: until it is taken.
                let appended = loop {
                    match log.append(batch.clone()) {
                        Ok(appended) => break appended,
                        Err(_) => refusals += 1,
                    }
                    assert_eq!(log.head(), acked.last().map_or(Position(0), |last| last.next()));
                    if number(3) == 0 {
                        *faults.lock().unwrap() = Faults::default();
                    }
                };
                acked.extend(appended.iter().map(|one| one.position));
            }
            let crashed = folder();
            copy(dir.path(), crashed.path());
            for log in [&log, &open(crashed.path()).0] {
                assert_events(log, 0..acked.len() as u64);
                let found = (0..acked.len()).map(|event| log.position(&format!("event-{event}")).unwrap());
                assert_eq!(found.collect::<Vec<_>>(), acked);
                assert!(acked.is_sorted_by(|one, next| one < next));
            }
            *faults.lock().unwrap() = Faults::default();
        }
    }
    assert!(refusals > 50, "only {refusals} refusals: the faults do not bite");
}
