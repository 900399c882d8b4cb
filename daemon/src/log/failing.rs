//! Disks that fail in one way and go on failing, or are mended: what was acked is there, and the rest is refused aloud.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::io::ErrorKind;

use super::script::{event, events, number, open_sim};
use super::sim::{Fault, SimDisk};
use super::world::{Ending, Image, World};
use super::*;
use crate::dice::Dice;

/// Every kind of call that may fail.
const CALLS: [&str; 10] =
    ["write", "sync", "truncate", "create", "sync_dir", "rename", "remove", "read", "list", "create_dir"];

fn stored(log: &Log) -> BTreeSet<u64> {
    let records = log.scan(Position(0), usize::MAX).unwrap();
    let numbers: BTreeSet<u64> = records.iter().map(|record| number(record).unwrap()).collect();
    assert_eq!(numbers.len(), records.len(), "an event is there twice");
    numbers
}

/// Appends while calls of one kind fail.
fn survives(fault: &Fault) {
    let what = format!("{fault:?}");
    let disk = SimDisk::new(&Image::default());
    let log = open_sim(&disk, 3_000).unwrap().0;
    disk.set_faults(vec![fault.clone()]);
    let mut acked = BTreeSet::new();
    for step in 0..30 {
        let batch = step * 3..step * 3 + 3;
        if log.append(events(batch.clone())).is_ok() {
            acked.extend(batch);
        }
    }
    let refused = log.append(vec![event(500)]).is_err();
    drop(log);
    disk.set_faults(vec![]);
    let log = open_sim(&disk, 3_000).unwrap().0;
    assert!(acked.is_subset(&stored(&log)), "{what}");
    assert_eq!(disk.violations(), Vec::<String>::new(), "{what}");
    let hit = fault.times == u64::MAX && fault.from < 20;
    if hit && matches!(fault.call, "write" | "sync") && fault.kind == ErrorKind::Other {
        assert!(refused, "{what}: a disk that fails for ever is refused, not silently trusted");
    }
    log.append(vec![event(600)]).unwrap_or_else(|error| panic!("{what}: {error}"));
}

#[test]
fn any_call_may_fail_once_or_for_ever() {
    for call in CALLS {
        for from in 0..40 {
            survives(&Fault::once(call, from, ErrorKind::Other));
            survives(&Fault { effect: true, ..Fault::once(call, from, ErrorKind::Other) });
            survives(&Fault::for_ever(call, from, ErrorKind::Other));
        }
        for from in 0..10 {
            survives(&Fault { times: 3, ..Fault::once(call, from, ErrorKind::StorageFull) });
        }
    }
    for from in 0..40 {
        survives(&Fault { times: 3, ..Fault::once("write", from, ErrorKind::Interrupted) });
    }
}

#[test]
fn a_disk_that_fills_up_and_is_freed_loses_nothing_acked() {
    let disk = SimDisk::new(&Image::default());
    let log = open_sim(&disk, 30_000).unwrap().0;
    let (mut acked, mut next) = (BTreeSet::new(), 0);
    for cycle in 0..20 {
        disk.set_capacity(Some(disk.used() + 2_000 + cycle * 37));
        let refusal = loop {
            let batch = next..next + 7;
            next += 7;
            match log.append(events(batch.clone())) {
                Ok(_) => acked.extend(batch),
                Err(error) => break error,
            }
        };
        assert!(refusal.is_full(), "{refusal}");
        assert!(acked.iter().all(|event| log.position(&format!("event-{event}")).is_some()), "reads go on");
        disk.set_capacity(None);
        log.append(vec![event(next)]).unwrap_or_else(|error| panic!("cycle {cycle} does not resume: {error}"));
        acked.insert(next);
        next += 1;
    }
    drop(log);
    assert!(acked.is_subset(&stored(&open_sim(&disk, 30_000).unwrap().0)));
}

#[test]
fn what_a_failed_sync_gave_up_is_never_answered_as_known() {
    let disk = SimDisk::new(&Image::default());
    let log = open_sim(&disk, ROLL_BYTES).unwrap().0;
    log.append(events(0..3)).unwrap();
    // The batch is in the file and not on the disk, and nothing can be done about it.
    disk.set_faults(["sync", "truncate", "create"].map(|call| Fault::for_ever(call, 0, ErrorKind::Other)).to_vec());
    log.append(events(3..6)).unwrap_err();
    drop(log);
    // The same kernel still shows the bytes to the next process.
    disk.set_faults(vec![]);
    let log = open_sim(&disk, ROLL_BYTES).unwrap().0;
    log.append(events(3..6)).unwrap();
    let mut world = World::new(&Image::default());
    disk.trace().iter().for_each(|op| world.apply(op));
    drop(log);
    let left = SimDisk::over(world.after(Ending::Synced, &mut Dice::new(1)), Vec::new());
    let log = open_sim(&left, ROLL_BYTES).unwrap().0;
    assert!((3..6).all(|event| stored(&log).contains(&event)), "acked events are lost");
}

#[test]
fn bulk_events_wait_for_room_and_are_never_dropped() {
    let options = Options { queue: 8, ..super::tests::options() };
    let log = Log::open_on(Arc::new(SimDisk::new(&Image::default())), options).unwrap().0;
    for number in 0..200 {
        log.append_later(vec![event(number)]).unwrap();
    }
    log.append(vec![]).unwrap();
    assert_eq!(log.stats().events, 200);
}
