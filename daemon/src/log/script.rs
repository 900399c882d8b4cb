//! Scripted runs of a log over the disk in memory: what it was sent, what it promised, and after which change.

#![allow(clippy::unwrap_used)]

use std::io::ErrorKind;

use super::sim::{Fault, SimDisk};
use super::tests::{entry, options};
use super::world::{Image, Op};
use super::*;
use crate::dice::Dice;

/// An event of about 300 bytes that does not pack well, so that a write has many sectors.
pub(super) fn event(number: u64) -> Entry {
    let mut dice = Dice::new(number);
    let noise: String = (0..12).map(|_| format!("{:016x}", dice.roll())).collect();
    let id = format!("event-{number}");
    let json = format!(r#"{{"type":"agent.prompt","id":"{id}","session_id":"s","prompt":"{noise}"}}"#);
    Entry { id, json, ..entry(0) }
}

pub(super) fn events(range: std::ops::Range<u64>) -> Vec<Entry> {
    range.map(event).collect()
}

/// The number of an event that is stored as it was sent.
pub(super) fn number(record: &Record) -> Option<u64> {
    let number = record.id.strip_prefix("event-")?.parse().ok()?;
    (event(number).json == record.json).then_some(number)
}

/// Opens a log over a simulated disk.
pub(super) fn open_sim(disk: &SimDisk, roll_bytes: u64) -> Result<(Log, Recovery), LogError> {
    let packing = Packing { chunk: 1_500, small: 4_000, run: 2, most: 12_000, least: 0 };
    let options = Options { roll_bytes, packing, ..options() };
    Log::open_on(Arc::new(disk.clone()), options)
}

/// From this change on, the log answers for an event at a position.
#[derive(Clone, Debug)]
pub(super) struct Promise {
    pub(super) after: usize,
    pub(super) event: u64,
    pub(super) position: Position,
}

/// A run from an empty disk.
pub(super) struct Script {
    pub(super) disk: SimDisk,
    pub(super) promises: Vec<Promise>,
    /// The key, and the change after which it stays.
    pub(super) key: (usize, [u8; 32]),
    pub(super) roll_bytes: u64,
    log: Log,
    next: u64,
    /// Sent, and answered with an error.
    owed: Vec<u64>,
    faulty: bool,
    dice: Dice,
}

impl Script {
    /// Runs until there were so many changes.
    pub(super) fn run(seed: u64, changes: usize) -> Self {
        let mut dice = Dice::new(seed);
        let roll_bytes = [2_000, 9_000, ROLL_BYTES][dice.below(3)];
        let disk = SimDisk::new(&Image::default());
        let (log, _) = open_sim(&disk, roll_bytes).unwrap();
        let key = (disk.changes(), log.key());
        let promises = Vec::new();
        let mut script = Self { disk, promises, key, roll_bytes, log, next: 0, owed: Vec::new(), faulty: false, dice };
        while script.disk.changes() < changes {
            script.step();
        }
        script.log.close().unwrap_or_default();
        script
    }

    fn step(&mut self) {
        match self.dice.below(20) {
            0..10 => self.append(),
            10..12 => self.later(),
            12 => self.again(),
            13..15 => self.restart(),
            15 => self.kill(),
            16 => self.log.inner.shared.tend(),
            17..19 if !self.faulty => self.break_disk(),
            _ => self.repair_disk(),
        }
    }

    fn size(&mut self) -> u64 {
        let most = [2, 2, 5, 5, 50][self.dice.below(5)];
        1 + self.dice.below(most) as u64
    }

    fn fresh(&mut self) -> Vec<u64> {
        let size = self.size();
        self.next += size;
        (self.next - size..self.next).collect()
    }

    /// Sends a batch, with what is owed in front, as a client does.
    fn append(&mut self) {
        let mut batch = std::mem::take(&mut self.owed);
        batch.extend(self.fresh());
        match self.log.append(batch.iter().copied().map(event).collect()) {
            Ok(answers) => self.promise(batch.into_iter().zip(answers.iter().map(|one| one.position))),
            Err(_) => self.owed = batch,
        }
    }

    /// Sends without waiting; nothing is promised.
    fn later(&mut self) {
        let batch = self.fresh();
        self.log.append_later(batch.into_iter().map(event).collect()).unwrap_or_default();
    }

    /// Sends what was sent before.
    fn again(&mut self) {
        if self.next > 0 {
            let number = self.dice.below(self.next as usize) as u64;
            if let Ok(answers) = self.log.append(vec![event(number)]) {
                self.promise([(number, answers[0].position)]);
            }
        }
    }

    fn promise(&mut self, kept: impl IntoIterator<Item = (u64, Position)>) {
        let after = self.disk.changes();
        self.promises.extend(kept.into_iter().map(|(event, position)| Promise { after, event, position }));
    }

    /// Closes and opens again; a log that cannot be opened over a broken disk is opened after its repair.
    fn restart(&mut self) {
        self.log.close().unwrap_or_default();
        self.open();
    }

    /// The process dies after one of the last changes and another one goes on with what it left.
    fn kill(&mut self) {
        let back = self.dice.below(8);
        let at = self.disk.changes().saturating_sub(back);
        let disk = self.disk.killed(&Image::default(), at);
        self.log.close().unwrap_or_default();
        (self.disk, self.faulty) = (disk, false);
        self.promises.retain(|promise| promise.after <= at);
        self.open();
        if at < self.key.0 {
            self.key = (self.disk.changes(), self.log.key());
        }
    }

    fn open(&mut self) {
        let opened = open_sim(&self.disk, self.roll_bytes).or_else(|_| {
            self.repair_disk();
            open_sim(&self.disk, self.roll_bytes)
        });
        self.log = opened.unwrap().0;
        if !self.faulty {
            // What a reader was shown is cited from then on.
            let shown = self.log.scan(Position(0), usize::MAX).unwrap();
            self.promise(shown.iter().filter_map(|record| Some((number(record)?, record.position))));
        }
    }

    fn repair_disk(&mut self) {
        self.disk.set_faults(Vec::new());
        self.disk.set_capacity(None);
        self.disk.set_most_per_write(usize::MAX);
        self.faulty = false;
    }

    fn break_disk(&mut self) {
        self.faulty = true;
        let from = self.dice.below(4) as u64;
        let calls = ["sync", "sync", "sync", "sync", "write", "create", "rename", "sync_dir", "remove", "truncate"];
        let call = calls[self.dice.below(calls.len())];
        let (times, effect) = (1 + self.dice.below(3) as u64, self.dice.one_in(2));
        match self.dice.below(5) {
            0 => self.disk.set_most_per_write(1 + self.dice.below(300)),
            1 => self.disk.set_capacity(Some(self.disk.used() + self.dice.below(6_000) as u64)),
            _ => self.disk.set_faults(vec![Fault { times, effect, ..Fault::once(call, from, ErrorKind::Other) }]),
        }
    }

    /// What was promised once so many changes were made.
    pub(super) fn promised(&self, changes: usize) -> impl Iterator<Item = &Promise> {
        self.promises.iter().filter(move |promise| promise.after <= changes)
    }

    /// Every change.
    pub(super) fn trace(&self) -> Vec<Op> {
        self.disk.trace()
    }
}
