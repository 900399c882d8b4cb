//! Power fails after every change of scripted runs, in every way, and again while the log recovers from it.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::script::{Script, event, number, open_sim};
use super::sim::SimDisk;
use super::world::{Ending, Image, Op, World};
use super::*;
use crate::dice::Dice;

/// Distinct states of a plain run; `STATES=2000000 SEED=7` for another.
const STATES: u64 = 20_000;
/// When a plain run that has not seen so many gives up.
const PATIENCE: Duration = Duration::from_secs(300);
/// Changes in a script.
const CHANGES: usize = 200;
/// Random endings after each change.
const TORN: usize = 12;
/// How often the power may fail again during recovery.
const DEPTH: u32 = 2;
/// Events of the checks themselves have numbers from here on.
const CHECKS: u64 = 1 << 40;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// What the log answers for in a state.
#[derive(Clone, Default, Hash)]
struct Promised {
    /// Of the run: states of other runs are others, so that what a run finds depends on its seed alone.
    seed: u64,
    events: BTreeMap<u64, Position>,
    key: Option<[u8; 32]>,
    /// What recovery cut off, where: it must be there or here.
    tails: Vec<(String, Vec<u8>)>,
}

impl Promised {
    fn at(seed: u64, script: &Script, changes: usize) -> Self {
        let events = script.promised(changes).map(|promise| (promise.event, promise.position)).collect();
        let key = (changes >= script.key.0).then_some(script.key.1);
        Self { seed, events, key, tails: Vec::new() }
    }
}

/// One state to look at.
struct Crash<'a> {
    left: &'a World,
    promised: &'a Promised,
    roll_bytes: u64,
    /// How often the power may fail again.
    depth: u32,
}

/// Counts distinct states and looks at each once.
struct Survey {
    seen: Mutex<HashSet<u64>>,
    wrong: Mutex<Vec<String>>,
    wanted: u64,
    over: AtomicBool,
    runs: AtomicU64,
}

impl Survey {
    fn new(wanted: u64) -> Self {
        let (seen, wrong) = (Mutex::default(), Mutex::default());
        Self { seen, wrong, wanted, over: AtomicBool::new(false), runs: AtomicU64::new(0) }
    }

    fn states(&self) -> u64 {
        locked(&self.seen).len() as u64
    }

    /// Whether this state was not seen before.
    fn is_new(&self, left: &World, image: &Image, promised: &Promised) -> bool {
        let mut hasher = DefaultHasher::new();
        (image, promised, left.is_settled()).hash(&mut hasher);
        let mut seen = locked(&self.seen);
        let new = seen.insert(hasher.finish());
        if seen.len() as u64 >= self.wanted {
            self.over.store(true, Ordering::Relaxed);
        }
        new
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn wrong(&self, what: String) {
        let mut wrong = locked(&self.wrong);
        wrong.push(what);
        if wrong.len() >= 20 {
            self.over.store(true, Ordering::Relaxed);
        }
    }

    /// Ends one script at every boundary in every way.
    fn survey(&self, seed: u64) {
        let script = Script::run(seed, CHANGES);
        for violation in script.disk.violations() {
            self.wrong(format!("seed {seed}: {violation}"));
        }
        let (trace, mut dice) = (script.trace(), Dice::new(seed));
        let mut world = World::new(&Image::default());
        for changes in 0..=trace.len() {
            let promised = Promised::at(seed, &script, changes);
            for (number, ending) in endings(&world).enumerate() {
                if self.is_over() {
                    return;
                }
                let left = world.after(ending, &mut dice);
                let crash = Crash { left: &left, promised: &promised, roll_bytes: script.roll_bytes, depth: DEPTH };
                if let Err(what) = self.check(&crash, &mut dice) {
                    self.wrong(format!("seed {seed}, change {changes}, ending {number} ({ending:?}): {what}"));
                }
            }
            trace.get(changes).into_iter().for_each(|op| world.apply(op));
        }
    }

    /// Opens the log on a state and looks whether it keeps what was promised.
    fn check(&self, crash: &Crash<'_>, dice: &mut Dice) -> Result<(), String> {
        let Crash { left, promised, roll_bytes, depth } = *crash;
        let image = &left.image();
        if !self.is_new(left, image, promised) {
            return Ok(());
        }
        kept(image, promised)?;
        let disk = SimDisk::over(left.clone(), Vec::new());
        let (log, recovery) = open_sim(&disk, roll_bytes).map_err(|error| format!("the log does not open: {error}"))?;
        let mut after = Promised { key: Some(log.key()), ..promised.clone() };
        if promised.key.is_some_and(|key| key != log.key()) {
            return Err("the key is another one".into());
        }
        let shown = shown(&log)?;
        for (event, position) in &promised.events {
            if shown.get(event) != Some(position) || log.position(&format!("event-{event}")) != Some(*position) {
                return Err(format!("event {event} was promised at {position} and is at {:?}", shown.get(event)));
            }
        }
        // An id that is not shown must not be answered as known: its event would never be stored.
        let most = promised.events.keys().chain(shown.keys()).filter(|event| **event < CHECKS).max();
        for event in 0..most.map_or(0, |most| most + 60) {
            let known = log.position(&format!("event-{event}"));
            if known.as_ref() != shown.get(&event) {
                return Err(format!("event {event} is known at {known:?} and shown at {:?}", shown.get(&event)));
            }
        }
        after.events = shown;
        after.tails.extend(tails(image, &disk, &recovery)?);
        let recovered = disk.changes();
        let appended = append(&log, &mut after, CHECKS + u64::from(depth))?;
        log.close().map_err(|error| format!("the log does not close: {error}"))?;
        settled(&disk, &after, roll_bytes, appended)?;
        if depth > 0 && dice.one_in(3) {
            self.again(crash, &after, &disk.trace(), recovered, dice)?;
        }
        Ok(())
    }

    /// The power fails again, during the recovery or right after it.
    fn again(
        &self,
        crash: &Crash<'_>,
        after: &Promised,
        trace: &[Op],
        recovered: usize,
        dice: &mut Dice,
    ) -> Result<(), String> {
        let Crash { left, promised: before, roll_bytes, depth } = *crash;
        let changes = dice.below(trace.len() + 1);
        let mut world = left.clone();
        trace[..changes].iter().for_each(|op| world.apply(op));
        let mut promised = before.clone();
        // A tail that was durable before is safe at every moment; events and the key count once the log has shown them.
        if changes >= recovered || left.is_settled() {
            promised.tails.clone_from(&after.tails);
        }
        if changes >= recovered {
            promised.key = after.key;
            promised.events = after.events.clone();
            promised.events.retain(|event, _| *event != CHECKS + u64::from(depth));
        }
        for ending in [Ending::Synced, Ending::Torn, Ending::Process] {
            let left = world.after(ending, dice);
            self.check(&Crash { left: &left, promised: &promised, roll_bytes, depth: depth - 1 }, dice)
                .map_err(|what| format!("then change {changes} of {}, {ending:?}: {what}", trace.len()))?;
        }
        Ok(())
    }
}

/// The ways to end here.
fn endings(world: &World) -> impl Iterator<Item = Ending> + use<> {
    let fixed = [Ending::Process, Ending::Synced, Ending::Unlinked, Ending::Emptied];
    let count = if world.is_settled() { 1 } else { fixed.len() + TORN };
    fixed.into_iter().chain([Ending::Torn; TORN]).take(count)
}

/// What recovery once cut off is in the quarantine or still where it was.
fn kept(image: &Image, promised: &Promised) -> Result<(), String> {
    for (segment, tail) in &promised.tails {
        let quarantined = image.files.iter().any(|(name, bytes)| name.starts_with(QUARANTINE) && bytes == tail);
        if !quarantined && !image.files.get(segment).is_some_and(|bytes| bytes.ends_with(tail)) {
            return Err(format!("{} bytes cut from `{segment}` are gone", tail.len()));
        }
    }
    Ok(())
}

/// What recovery cut off, as it was before, after comparing it with what is in the quarantine now.
fn tails(image: &Image, disk: &SimDisk, recovery: &Recovery) -> Result<Vec<(String, Vec<u8>)>, String> {
    let mut out = Vec::new();
    for torn in &recovery.torn {
        let whole = image.files.get(&torn.segment).map(Vec::as_slice).unwrap_or_default();
        let tail = whole[whole.len().saturating_sub(torn.bytes as usize)..].to_vec();
        if disk.read(&torn.moved_to).ok().as_ref() != Some(&tail) {
            return Err(format!("`{}` does not hold what was cut off", torn.moved_to));
        }
        out.push((torn.segment.clone(), tail));
    }
    Ok(out)
}

/// Every event that the log shows: whole, known, once, in order.
fn shown(log: &Log) -> Result<BTreeMap<u64, Position>, String> {
    let mut out = BTreeMap::new();
    let mut last = None;
    for record in log.scan(Position(0), usize::MAX).map_err(|error| format!("the log does not read: {error}"))? {
        let number = number(&record).ok_or_else(|| format!("`{}` was never sent so", record.id))?;
        if last.is_some_and(|last| last >= record.position) {
            return Err(format!("position {} does not ascend", record.position));
        }
        last = Some(record.position);
        if out.insert(number, record.position).is_some() {
            return Err(format!("event {number} is there twice"));
        }
    }
    Ok(out)
}

/// The log goes on, at a position that nobody had.
fn append(log: &Log, after: &mut Promised, number: u64) -> Result<u64, String> {
    let highest = after.events.values().max().copied();
    let answers = log.append(vec![event(number)]).map_err(|error| format!("the log does not go on: {error}"))?;
    let position = answers[0].position;
    if highest.is_some_and(|highest| position <= highest) {
        return Err(format!("position {position} is given after {highest:?}"));
    }
    after.events.insert(number, position);
    Ok(number)
}

/// A second start finds everything and has nothing to do.
fn settled(disk: &SimDisk, after: &Promised, roll_bytes: u64, appended: u64) -> Result<(), String> {
    let before = disk.changes();
    let (log, recovery) = open_sim(disk, roll_bytes).map_err(|error| format!("the second start fails: {error}"))?;
    if shown(&log)? != after.events {
        return Err(format!("the second start shows other events, event {appended} appended"));
    }
    let did = disk.trace().split_off(before);
    let idle = did.iter().all(|op| matches!(op, Op::Sync(_) | Op::SyncDir(_)));
    if !idle || !recovery.torn.is_empty() {
        let did: Vec<String> = did.iter().map(|op| format!("{op:.60?}").chars().take(60).collect()).collect();
        return Err(format!("the second start still had to do {did:?} ({:?})", recovery.damaged));
    }
    Ok(())
}

#[test]
fn whatever_survives_a_crash_is_what_was_promised() {
    let survey = Survey::new(variable("STATES").unwrap_or(STATES));
    let seed = variable("SEED").unwrap_or(20_261_124);
    let start = Instant::now();
    let patience = (survey.wanted <= STATES).then_some(PATIENCE);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !survey.is_over() && patience.is_none_or(|patience| start.elapsed() < patience) {
                    let run = survey.runs.fetch_add(1, Ordering::Relaxed);
                    survey.survey(seed.wrapping_add(run << 20));
                }
            });
        }
    });
    let (states, wrong) = (survey.states(), locked(&survey.wrong));
    let runs = survey.runs.load(Ordering::Relaxed);
    let seconds = start.elapsed().as_secs();
    eprintln!("{states} states of {runs} runs, {} violations, seed {seed}, {seconds} s", wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(states >= survey.wanted, "only {states} states within {PATIENCE:?}");
}
