//! A disk that is slower than those who append: nobody is answered before it is done, and nobody is turned away unheard.

#![allow(clippy::unwrap_used)]

use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};

use super::script::{event, open_sim};
use super::sim::SimDisk;
use super::world::Image;
use super::*;

type Answer = Receiver<Result<Vec<Appended>, LogError>>;

/// Queues one event and waits until its sync waits for the disk, which the caller holds up.
fn on_its_way(log: &Log, disk: &SimDisk, number: u64) -> Answer {
    let (reply, answer) = sync_channel(1);
    log.inner.shared.queue.push(Job { entries: vec![event(number)], reply: Some(reply), seal: false }).unwrap();
    while !disk.sync_waits() {
        assert_eq!(answer.try_recv().err(), Some(TryRecvError::Empty), "answered without a sync");
        std::thread::yield_now();
    }
    answer
}

#[test]
fn nobody_is_answered_and_nothing_is_shown_before_the_sync_returns() {
    let disk = SimDisk::new(&Image::default());
    let log = open_sim(&disk, ROLL_BYTES).unwrap().0;
    log.append(vec![event(0)]).unwrap();
    let held = disk.hold_syncs();
    let answer = on_its_way(&log, &disk, 1);
    assert_eq!(answer.try_recv().err(), Some(TryRecvError::Empty), "answered before the sync returned");
    assert_eq!((log.head(), log.position("event-1")), (Position(1), None), "shown before the sync returned");
    assert_eq!((log.read(Position(1)).unwrap(), log.stats().events), (None, 1));
    drop(held);
    assert_eq!(answer.recv().unwrap().unwrap(), [Appended { position: Position(1), new: true }]);
    assert_eq!((log.head(), log.position("event-1")), (Position(2), Some(Position(1))));
}

#[test]
fn a_full_queue_blocks_its_appenders_and_nothing_acked_is_missing() {
    const ROOM: usize = 4;
    const APPENDERS: usize = 18;
    let disk = SimDisk::new(&Image::default());
    let options = Options { queue: ROOM, ..super::tests::options() };
    let log = Log::open_on(Arc::new(disk.clone()), options).unwrap().0;
    log.append(vec![event(0)]).unwrap();
    let acked: Vec<(u64, Position)> = std::thread::scope(|scope| {
        let held = disk.hold_syncs();
        let answer = on_its_way(&log, &disk, 1);
        let append = |number: u64| (number, log.append(vec![event(number)]).unwrap()[0].position);
        let appenders: Vec<_> = (2..2 + APPENDERS as u64).map(|number| scope.spawn(move || append(number))).collect();
        while log.inner.shared.queue.blocked() < APPENDERS - ROOM {
            let answered = appenders.iter().filter(|appender| appender.is_finished()).count();
            assert_eq!(answered, 0, "answered by a full queue while nothing reaches the disk");
            std::thread::yield_now();
        }
        drop(held);
        assert_eq!(answer.recv().unwrap().unwrap()[0].position, Position(1));
        appenders.into_iter().map(|appender| appender.join().unwrap()).collect()
    });
    drop(log);
    let log = open_sim(&disk, ROLL_BYTES).unwrap().0;
    for (number, position) in acked {
        assert_eq!(log.read(position).unwrap().unwrap().json, event(number).json, "acked event {number} is missing");
    }
    assert_eq!(log.stats().events, 2 + APPENDERS as u64);
}
