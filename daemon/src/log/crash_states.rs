//! Every ending that a crash can leave, at every operation of recorded runs: nothing acked is lost, nothing is invented.
//!
//! `STATES=2000000 SEED=7 cargo test --release crash_states -- --nocapture` goes on as long as is asked.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::ErrorKind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::sim::{CALLS, Call, Dice, Ending, Fault, Files, Sim, Trace};
use super::tests::{entry, options};
use super::*;

/// States in a plain run.
const STATES: usize = 20_000;
/// A plain run ends here even with fewer states, and fails then.
const PATIENCE: Duration = Duration::from_secs(300);
/// Small, so that a run seals files often.
const ROLL: u64 = 3_000;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// What an appender was told, and after how many operations of the disk.
struct Acked {
    after: usize,
    position: Option<Position>,
    entry: Entry,
}

/// A run on a simulated disk and what its appender knows.
struct Run {
    trace: Trace,
    acked: Vec<Acked>,
    key: (usize, [u8; 32]),
}

fn open_sim(sim: &Sim) -> Result<(Log, Recovery), LogError> {
    Log::open_on(Arc::new(sim.clone()), Options { roll_bytes: ROLL, ..options() })
}

/// Appends, reopens and fails by the seed, and records it all.
fn script(seed: u64, steps: usize, start: Files, first: u64) -> Run {
    let (sim, mut dice) = (Sim::holding(start), Dice(seed));
    let mut log = open_sim(&sim).unwrap().0;
    let key = (sim.ops(), log.key());
    let (mut acked, mut next, mut unknown, mut later) = (Vec::new(), first, Vec::new(), Vec::new());
    for _ in 0..steps {
        match dice.below(12) {
            0 => {
                log.close().unwrap_or_default();
                drop(log);
                sim.set_faults(vec![]);
                log = open_sim(&sim).unwrap().0;
                later.clear();
            }
            1 => {
                let count = dice.below(4) as u64;
                let entries: Vec<Entry> = (next..next + count).map(entry).collect();
                next += count;
                if log.append_later(entries.clone()).is_ok() {
                    later.extend(entries);
                }
            }
            2 => {
                if log.append(vec![]).is_ok() {
                    let after = sim.ops();
                    acked.extend(later.drain(..).map(|entry| Acked { after, position: None, entry }));
                }
            }
            3 => sim.set_faults(vec![trouble(&mut dice)]),
            _ => {
                let count = 1 + dice.below(9) as u64;
                let mut entries: Vec<Entry> = (next..next + count).map(entry).collect();
                next += count;
                // What was refused is sent again, as a client does.
                entries.extend(unknown.drain(..).take(5));
                match log.append(entries.clone()) {
                    Ok(answers) => {
                        let after = sim.ops();
                        let told = entries.into_iter().zip(answers);
                        let told = told.map(|(entry, at)| Acked { after, position: Some(at.position), entry });
                        acked.extend(told);
                    }
                    Err(_) => unknown = entries,
                }
            }
        }
    }
    drop(log);
    assert_eq!(sim.violations(), Vec::<String>::new(), "seed {seed}");
    Run { trace: sim.trace(), acked, key }
}

/// Something that goes wrong soon, once or twice.
fn trouble(dice: &mut Dice) -> Fault {
    let (after, times) = (dice.below(3), 1 + dice.below(2));
    match dice.below(6) {
        0 => Fault::Short { after, times, bytes: dice.below(300) },
        1 => Fault::Fails { call: Call::Write, after, times, error: ErrorKind::StorageFull },
        2 => Fault::Fails { call: Call::Write, after, times, error: ErrorKind::Interrupted },
        3 => Fault::Fails { call: Call::Sync, after, times, error: ErrorKind::Other },
        4 => Fault::Fails { call: Call::Truncate, after, times, error: ErrorKind::Other },
        _ => Fault::Fails {
            call: [Call::Create, Call::SyncDir, Call::Rename, Call::Remove][dice.below(4)],
            after,
            times,
            error: ErrorKind::Other,
        },
    }
}

/// Opens what a crash left, holds it against what was acked, goes on, and opens it once more.
fn check(run: &Run, count: usize, files: &Files, what: &str) -> Trace {
    let sim = Sim::holding(files.clone());
    let (log, recovery) = open_sim(&sim).unwrap_or_else(|error| panic!("{what}: {error}"));
    let opening = sim.trace();
    let acked: Vec<&Acked> = run.acked.iter().filter(|one| one.after <= count).collect();
    let stored = stored(&log, what);
    for Acked { position, entry, .. } in &acked {
        let at = log.position(&entry.id).unwrap_or_else(|| panic!("{what}: {} is lost ({recovery:?})", entry.id));
        assert!(position.is_none_or(|position| position == at), "{what}: {} moved to {at}", entry.id);
        assert_eq!(stored.get(&entry.id), Some(&(at, entry.json.clone())), "{what}: {}", entry.id);
    }
    if run.key.0 <= count && !acked.is_empty() {
        assert_eq!(log.key(), run.key.1, "{what}: the key is another one");
    }
    let fresh = entry(1_000_000);
    let at = log.append(vec![fresh.clone()]).unwrap_or_else(|error| panic!("{what}: {error}"))[0];
    let taken = acked.iter().any(|one| one.position == Some(at.position));
    assert!(at.new && !taken, "{what}: {at:?} was given before");
    log.close().unwrap();
    drop(log);
    let (log, second) = open_sim(&sim).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(second.torn.is_empty(), "{what}: {second:?}");
    assert_eq!(second.events, stored.len() as u64 + 1, "{what}");
    assert_eq!(log.position(&fresh.id), Some(at.position), "{what}");
    assert_eq!(sim.violations(), Vec::<String>::new(), "{what}");
    opening
}

/// Everything that is read, by id; each id once, positions ascending, every byte as it was sent.
fn stored(log: &Log, what: &str) -> BTreeMap<String, (Position, String)> {
    let records = log.scan(Position(0), usize::MAX).unwrap();
    assert!(records.windows(2).all(|pair| pair[0].position < pair[1].position), "{what}: the order");
    let count = records.len();
    let stored: BTreeMap<_, _> =
        records.into_iter().map(|record| (record.id, (record.position, record.json))).collect();
    assert_eq!(stored.len(), count, "{what}: an id is there twice");
    for (id, (_, json)) in &stored {
        let number = id.strip_prefix("event-").and_then(|number| number.parse().ok()).unwrap();
        assert_eq!(json, &entry(number).json, "{what}: {id} was never sent like this");
    }
    stored
}

fn fingerprint(files: &Files, count: usize) -> u64 {
    let mut hasher = blake3::Hasher::new();
    for (name, bytes) in files {
        hasher.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes());
        hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
    }
    hasher.update(&(count as u64).to_le_bytes());
    u64::from_le_bytes(hasher.finalize().as_bytes()[..8].try_into().unwrap())
}

/// The endings at one boundary of a run; every fourth is followed by a second crash during its recovery.
fn boundary(run: &Run, seed: u64, count: usize, seen: &mut HashSet<u64>) {
    let mut dice = Dice(seed ^ (count as u64) << 20);
    let acked = run.acked.iter().filter(|one| one.after <= count).count();
    for round in 0..8 {
        let ending = [Ending::Killed, Ending::Synced].get(round).copied().unwrap_or(Ending::Torn);
        let files = run.trace.ending(count, ending, &mut dice);
        if !seen.insert(fingerprint(&files, acked)) {
            continue;
        }
        let what = format!("seed {seed}, {ending:?} after operation {count}, round {round}");
        let opening = check(run, count, &files, &what);
        if round % 4 == 3 && opening.len() > 0 {
            let again = dice.below(opening.len() + 1);
            let files = opening.ending(again, Ending::Torn, &mut dice);
            if seen.insert(fingerprint(&files, acked)) {
                check(run, count, &files, &format!("{what}, then again after {again} of its recovery"));
            }
        }
    }
}

#[test]
fn no_crash_state_loses_or_invents_anything() {
    let (wanted, seed) = (number("STATES", STATES as u64) as usize, number("SEED", 20_261_124));
    let start = Instant::now();
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    let reached = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for worker in 0..workers as u64 {
            let reached = &reached;
            scope.spawn(move || {
                for round in 0.. {
                    let seed = seed.wrapping_add((round * workers as u64 + worker).wrapping_mul(0x9e37_79b9_7f4a_7c15));
                    let run = script(seed, 24, Files::new(), 0);
                    let mut seen = HashSet::new();
                    for count in 0..=run.trace.len() {
                        let before = seen.len();
                        boundary(&run, seed, count, &mut seen);
                        let now = reached.fetch_add(seen.len() - before, Ordering::Relaxed);
                        if now >= wanted || (wanted == STATES && start.elapsed() > PATIENCE) {
                            return;
                        }
                    }
                }
            });
        }
    });
    let reached = reached.into_inner();
    eprintln!("{reached} crash states, 0 violations, seed {seed}, {:.1} s", start.elapsed().as_secs_f64());
    assert!(reached >= wanted, "{reached} states only");
}

/// Appends while calls of one kind fail; what was acked is there, whatever else happened.
fn survives(call: Call, after: usize, times: usize, error: ErrorKind) {
    let what = format!("{call:?} number {after} fails {times} times with {error:?}");
    let sim = Sim::default();
    let log = open_sim(&sim).unwrap().0;
    sim.set_faults(vec![Fault::Fails { call, after, times, error }]);
    let mut acked = BTreeSet::new();
    for step in 0..30 {
        let entries: Vec<Entry> = (step * 5..step * 5 + 5).map(entry).collect();
        if log.append(entries.clone()).is_ok() {
            acked.extend(entries.into_iter().map(|entry| entry.id));
        }
    }
    let refused = log.append(vec![entry(500)]).is_err();
    drop(log);
    sim.set_faults(vec![]);
    let log = open_sim(&sim).unwrap().0;
    let stored = stored(&log, &what);
    assert!(acked.iter().all(|id| stored.contains_key(id)), "{what}");
    assert_eq!(sim.violations(), Vec::<String>::new(), "{what}");
    let hit = times == usize::MAX && after < 25;
    if hit && matches!(call, Call::Write | Call::Sync) && error == ErrorKind::Other {
        assert!(refused, "{what}: a disk that fails for ever is refused, not silently trusted");
    }
    log.append(vec![entry(600)]).unwrap_or_else(|error| panic!("{what}: {error}"));
}

#[test]
fn any_call_may_fail_once_or_for_ever() {
    for call in CALLS {
        for after in 0..40 {
            for times in [1, 2, usize::MAX] {
                survives(call, after, times, ErrorKind::Other);
            }
        }
        for after in 0..10 {
            survives(call, after, 3, ErrorKind::StorageFull);
        }
    }
    for after in 0..40 {
        survives(Call::Write, after, 3, ErrorKind::Interrupted);
    }
}

#[test]
fn a_disk_that_fills_up_and_is_freed_loses_nothing_acked() {
    let sim = Sim::default();
    let log = open_sim(&sim).unwrap().0;
    let (mut acked, mut next, mut refused) = (BTreeSet::new(), 0, 0);
    for cycle in 0..20 {
        sim.set_capacity(Some(sim.used() + 2_000 + cycle * 37));
        let full_at = next + 200;
        while next < full_at {
            let entries: Vec<Entry> = (next..next + 7).map(entry).collect();
            next += 7;
            match log.append(entries.clone()) {
                Ok(_) => acked.extend(entries.into_iter().map(|entry| entry.id)),
                Err(error) => {
                    assert!(matches!(error, LogError::DiskFull { .. }), "{error}");
                    refused += 1;
                    break;
                }
            }
        }
        assert!(acked.iter().all(|id| log.position(id).is_some()), "reads go on");
        sim.set_capacity(None);
        let one = entry(next);
        next += 1;
        log.append(vec![one.clone()]).unwrap_or_else(|error| panic!("cycle {cycle} does not resume: {error}"));
        acked.insert(one.id);
    }
    assert_eq!(refused, 20, "every cycle filled the disk");
    drop(log);
    let log = open_sim(&sim).unwrap().0;
    let stored = stored(&log, "after 20 cycles");
    assert!(acked.iter().all(|id| stored.contains_key(id)));
}

#[test]
fn what_a_failed_sync_gave_up_is_never_answered_as_known() {
    let sim = Sim::default();
    let log = open_sim(&sim).unwrap().0;
    log.append((0..3).map(entry).collect()).unwrap();
    // The batch is in the file and not on the disk, and nothing can be done about it.
    let fails = |call| Fault::Fails { call, after: 0, times: usize::MAX, error: ErrorKind::Other };
    sim.set_faults([Call::Sync, Call::Truncate, Call::Create].map(fails).to_vec());
    let batch: Vec<Entry> = (3..6).map(entry).collect();
    log.append(batch.clone()).unwrap_err();
    drop(log);
    // The same kernel still shows the bytes to the next process.
    sim.set_faults(vec![]);
    let log = open_sim(&sim).unwrap().0;
    log.append(batch.clone()).unwrap();
    let after = sim.trace();
    drop(log);
    let left = after.ending(after.len(), Ending::Synced, &mut Dice(1));
    let log = open_sim(&Sim::holding(left)).unwrap().0;
    for entry in batch {
        assert!(log.position(&entry.id).is_some(), "{} was acked and is lost", entry.id);
    }
}

#[test]
fn bulk_events_wait_for_room_and_are_never_dropped() {
    let sim = Sim::default();
    let options = Options { queue: 8, ..options() };
    let log = Log::open_on(Arc::new(sim), options).unwrap().0;
    for number in 0..200 {
        log.append_later(vec![entry(number)]).unwrap();
    }
    log.append(vec![]).unwrap();
    assert_eq!(log.stats().events, 200);
}
