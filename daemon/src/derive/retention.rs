//! What of the log is kept no longer, by the person's rules, and whether the clock that says so may be believed: pure.
//!
//! A clock that is wrong would take everything at once, and nothing brings it back. So the wall clock is held against one
//! that only counts: where it is more than a day ahead of what that says, nothing goes until the person confirms it.

use std::collections::BTreeMap;

use clone_schema::time::seconds_between;
use clone_schema::{Position, Timestamp};
use serde::{Deserialize, Serialize};

use crate::config::Keep;
use crate::log::Record;

/// Seconds of a day.
const DAY: i64 = 86_400;
/// How far the wall clock may be ahead of the one that counts, in seconds.
const LEAP: i64 = DAY;
/// How long the machine may have been off where nothing counts, in seconds.
const OFF: i64 = 30 * DAY;

/// What two clocks say at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// The wall clock.
    pub at: Timestamp,
    /// Since when the other counts, and the seconds since; nothing where there is none that counts through sleep.
    pub up: Option<(String, i64)>,
}

impl Moment {
    /// By how many seconds the wall clock is ahead of what was to be expected, where that is more than it may be.
    #[must_use]
    pub fn leap_since(&self, before: &Self) -> Option<i64> {
        let wall = seconds_between(before.at, self.at);
        let (ahead, allowed) = match (&before.up, &self.up) {
            (Some((boot, then)), Some((same, now))) if boot == same => (wall - (now - then), LEAP),
            _ => (wall, OFF),
        };
        (ahead > allowed).then_some(ahead)
    }
}

/// What of one topic goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    topic: String,
    /// What happened before this.
    before: Option<Timestamp>,
    /// What stands below this.
    below: Option<Position>,
}

impl Due {
    /// Whether this record goes.
    #[must_use]
    pub fn takes(&self, record: &Record) -> bool {
        record.topic == self.topic
            && (self.before.is_some_and(|before| record.occurred_at < before)
                || self.below.is_some_and(|below| record.position < below))
    }
}

/// Works out what goes, from two readings of the log from its beginning.
#[derive(Debug)]
pub struct Weigher<'a> {
    rules: &'a BTreeMap<String, Keep>,
    now: Timestamp,
    /// Bytes of each topic that has a limit of them; from the second reading on, those that are too many.
    bytes: BTreeMap<&'a str, u64>,
    below: BTreeMap<&'a str, Position>,
    /// Whether any is too old.
    is_old: bool,
}

impl<'a> Weigher<'a> {
    /// Begins with these rules.
    #[must_use]
    pub fn new(rules: &'a BTreeMap<String, Keep>, now: Timestamp) -> Self {
        let sized = rules.iter().filter(|(_, keep)| keep.max_mb.is_some());
        let bytes = sized.map(|(topic, _)| (topic.as_str(), 0)).collect();
        Self { rules, now, bytes, below: BTreeMap::new(), is_old: false }
    }

    /// Takes a record of the first reading.
    pub fn weigh(&mut self, record: &Record) {
        if let Some(bytes) = self.bytes.get_mut(record.topic) {
            *bytes += record.json.len() as u64;
        }
        self.is_old = self.is_old || self.before(record.topic).is_some_and(|before| record.occurred_at < before);
    }

    /// Ends the first reading; says whether a second one is needed.
    pub fn weighed(&mut self) -> bool {
        for (topic, bytes) in &mut self.bytes {
            let most = self.rules.get(*topic).and_then(|keep| keep.max_mb).map_or(u64::MAX, |mb| u64::from(mb) << 20);
            *bytes = bytes.saturating_sub(most);
        }
        self.bytes.retain(|_, bytes| *bytes > 0);
        !self.bytes.is_empty()
    }

    /// Takes a record of the second reading: the oldest go first.
    pub fn lighten(&mut self, record: &Record) {
        let Some((topic, bytes)) = self.bytes.get_key_value(record.topic).filter(|(_, bytes)| **bytes > 0) else {
            return;
        };
        let (topic, left) = (*topic, bytes.saturating_sub(record.json.len() as u64));
        self.below.insert(topic, record.position.next());
        self.bytes.insert(topic, left);
    }

    /// What goes; nothing where every rule is kept.
    #[must_use]
    pub fn due(&self) -> Vec<Due> {
        if !self.is_old && self.below.is_empty() {
            return Vec::new();
        }
        let due = self.rules.keys().map(|topic| Due {
            topic: topic.clone(),
            before: self.before(topic),
            below: self.below.get(topic.as_str()).copied(),
        });
        due.filter(|due| due.before.is_some() || due.below.is_some()).collect()
    }

    fn before(&self, topic: &str) -> Option<Timestamp> {
        let days = self.rules.get(topic)?.max_days?;
        Timestamp::from_second(self.now.as_second().saturating_sub(i64::from(days) * DAY)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    fn moment(wall: i64, up: Option<(&str, i64)>) -> Moment {
        Moment { at: at(wall), up: up.map(|(boot, up)| (boot.to_owned(), up)) }
    }

    #[test]
    fn a_wall_clock_that_leaves_the_other_behind_is_not_believed() {
        let one = |up: i64| Some(("one", up));
        let cases = [
            (one(0), 60, one(60), None),
            (one(0), DAY, one(0), None),
            (one(0), DAY + 1, one(0), Some(DAY + 1)),
            (one(0), 90 * DAY, one(90 * DAY), None),
            (one(0), 90 * DAY, one(10), Some(90 * DAY - 10)),
            (one(0), -90 * DAY, one(10), None),
            (one(50), 20 * DAY, Some(("two", 5)), None),
            (one(50), 31 * DAY, Some(("two", 5)), Some(31 * DAY)),
            (None, 30 * DAY, None, None),
            (None, 30 * DAY + 1, one(5), Some(30 * DAY + 1)),
        ];
        for (before, wall, up, expected) in cases {
            let (before, now) = (moment(0, before), moment(wall, up));
            assert_eq!(now.leap_since(&before), expected, "{before:?} {now:?}");
        }
    }

    fn record(position: u64, topic: &'static str, day: i64, bytes: usize) -> Record {
        Record {
            position: Position(position),
            topic,
            id: position.to_string(),
            recorded_at: at(0),
            occurred_at: at(day * DAY),
            json: "x".repeat(bytes),
        }
    }

    /// What goes of a log of two topics on day 100, by position.
    fn gone(rules: &str, records: &[Record]) -> Vec<u64> {
        let rules: BTreeMap<String, Keep> = toml::from_str(rules).unwrap();
        let mut weigher = Weigher::new(&rules, at(100 * DAY));
        records.iter().for_each(|record| weigher.weigh(record));
        if weigher.weighed() {
            records.iter().for_each(|record| weigher.lighten(record));
        }
        let due = weigher.due();
        let taken = records.iter().filter(|record| due.iter().any(|due| due.takes(record)));
        taken.map(|record| record.position.0).collect()
    }

    #[test]
    fn what_is_older_or_more_than_a_rule_says_goes_and_nothing_else_does() {
        let half = 512 << 10;
        let records: Vec<Record> = (0..10)
            .map(|number| {
                let topic = if number % 2 == 0 { "agent.prompt" } else { "agent.response" };
                record(number, topic, number as i64 * 10, half)
            })
            .collect();
        let cases: [(&str, &[u64]); 7] = [
            ("", &[]),
            ("\"agent.prompt\" = { max_days = 200 }", &[]),
            ("\"agent.prompt\" = { max_days = 60 }", &[0, 2]),
            ("\"agent.response\" = { max_mb = 1 }", &[1, 3, 5]),
            ("\"agent.response\" = { max_mb = 3 }", &[]),
            ("\"agent.response\" = { max_mb = 2, max_days = 80 }", &[1]),
            ("\"agent.prompt\" = { max_days = 90 }\n\"agent.response\" = { max_mb = 0 }", &[0, 1, 3, 5, 7, 9]),
        ];
        for (rules, expected) in cases {
            assert_eq!(gone(rules, &records), expected, "{rules}");
        }
    }
}
