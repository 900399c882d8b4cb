//! What a gate did to simulated people, counted alike for every gate.

use serde_json::{Value, json};

use super::measure::number;
use crate::predict::promise::at_most;

/// How unlikely a count must be, were the promise kept, before it speaks against it.
const SIGNIFICANT: f64 = 0.05;

/// One person's automatic answers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Tally {
    /// Prompts.
    pub(super) prompts: u32,
    /// Answers that were automatic.
    pub(super) autos: u32,
    /// Those that were right.
    pub(super) right: u32,
}

impl Tally {
    /// Counts one prompt.
    pub(super) fn take(&mut self, auto: bool, right: bool) {
        self.prompts += 1;
        self.autos += u32::from(auto);
        self.right += u32::from(auto && right);
    }

    /// Fewer of the automatic answers were right than promised.
    fn is_below(self, promised: f64) -> bool {
        f64::from(self.right) < promised * f64::from(self.autos) - 1e-9
    }

    /// So few that a kept promise would hardly give as few.
    fn is_plainly_below(self, promised: f64) -> bool {
        self.is_below(promised) && at_most(self.right, self.autos, promised) < SIGNIFICANT
    }
}

/// What a gate did to all of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Crowd {
    pub(super) coverage: f64,
    pub(super) precision: f64,
    /// The share of people with fewer right answers than promised, by chance or not.
    pub(super) below: f64,
    /// The share of people of whom chance does not explain it.
    pub(super) plainly: f64,
    /// The share of people with an automatic answer at all.
    pub(super) served: f64,
}

impl Crowd {
    /// The figures over people, each promised so much.
    pub(super) fn of(people: &[Tally], promised: f64) -> Self {
        let sum = |part: fn(&Tally) -> u32| number(people.iter().map(|one| u64::from(part(one))).sum());
        let share = |is: &dyn Fn(&Tally) -> bool| {
            number(people.iter().filter(|tally| is(tally)).count() as u64) / number(people.len() as u64)
        };
        Self {
            coverage: sum(|tally| tally.autos) / sum(|tally| tally.prompts).max(1.0),
            precision: sum(|tally| tally.right) / sum(|tally| tally.autos).max(1.0),
            below: share(&|tally| tally.is_below(promised)),
            plainly: share(&|tally| tally.is_plainly_below(promised)),
            served: share(&|tally| tally.autos > 0),
        }
    }

    pub(super) fn json(self) -> Value {
        json!({
            "coverage": self.coverage, "precision": self.precision, "below": self.below,
            "significantly_below": self.plainly, "served": self.served,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_alone_is_told_apart_from_a_broken_promise() {
        let tally = |right, autos| Tally { prompts: 100, autos, right };
        assert!((at_most(0, 3, 0.8) - 0.008).abs() < 1e-9 && (at_most(5, 5, 0.3) - 1.0).abs() < 1e-9);
        // The first term of many tries is less than any number: half of all people still have no more than the mean.
        assert!((at_most(400, 600, 2.0 / 3.0) - 0.51).abs() < 0.02 && !tally(476, 600).is_plainly_below(0.8));
        // Two of three: below .8, as half of all people with three answers are. One of four: hardly.
        let crowd = Crowd::of(&[tally(2, 3), tally(1, 4), tally(8, 10), tally(0, 0)], 0.8);
        assert_eq!((crowd.below, crowd.plainly, crowd.served), (0.5, 0.25, 0.75));
        assert!((crowd.coverage - 17.0 / 400.0).abs() < 1e-12 && (crowd.precision - 11.0 / 17.0).abs() < 1e-12);
    }
}
