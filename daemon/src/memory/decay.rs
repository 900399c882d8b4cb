//! How a fact fares: a ledger of the person's verdicts on what was said because of it.
//!
//! The weight of a fact is worked out from the ledger each time, never changed in place: a verdict that is taken back
//! leaves exactly what was there before.

use std::collections::BTreeMap;

use clone_schema::memory::{Fact, Status};
use serde::{Deserialize, Serialize};

/// What a confirmation adds.
pub const UP: f64 = 0.04;
/// What a contradiction takes.
pub const DOWN: f64 = 0.08;
/// Below this a fact is archived.
pub const ARCHIVED_BELOW: f64 = 0.2;

/// Verdicts by fact, one per prediction that cites it: whether it was borne out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdicts {
    facts: BTreeMap<String, BTreeMap<u64, bool>>,
}

impl Verdicts {
    /// Takes the newest verdict on the prediction at this position; none takes an earlier one back.
    pub fn judge(&mut self, fact: &str, prediction: u64, borne_out: Option<bool>) {
        let verdicts = self.facts.entry(fact.to_owned()).or_default();
        match borne_out {
            Some(borne_out) => drop(verdicts.insert(prediction, borne_out)),
            None => drop(verdicts.remove(&prediction)),
        }
        if verdicts.is_empty() {
            self.facts.remove(fact);
        }
    }

    /// How often a fact was borne out and how often not.
    #[must_use]
    pub fn of(&self, fact: &str) -> (usize, usize) {
        let verdicts = self.facts.get(fact);
        let ups = verdicts.map_or(0, |verdicts| verdicts.values().filter(|up| **up).count());
        (ups, verdicts.map_or(0, BTreeMap::len) - ups)
    }

    /// The fact as the verdicts leave it.
    #[must_use]
    pub fn weigh(&self, mut fact: Fact) -> Fact {
        let (ups, downs) = self.of(&fact.id);
        if ups + downs == 0 {
            return fact;
        }
        let weight = fact.importance + UP * ups as f64 - DOWN * downs as f64;
        fact.importance = (weight.clamp(0.0, 1.0) * 1000.0).round() / 1000.0;
        if fact.importance < ARCHIVED_BELOW && fact.status == Status::Active {
            fact.status = Status::Archived;
        }
        fact
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::memory::fact::tests::mined;

    #[test]
    fn steps_are_visible_and_low_facts_are_archived() {
        let fact = mined(&[("s", "Always use tabs")]).remove(0);
        let mut verdicts = Verdicts::default();
        verdicts.judge(&fact.id, 1, Some(true));
        assert_eq!(verdicts.weigh(fact.clone()).importance, 0.59);
        verdicts.judge(&fact.id, 1, Some(false));
        assert_eq!(verdicts.weigh(fact.clone()).importance, 0.47);
        (2..=5).for_each(|at| verdicts.judge(&fact.id, at, Some(false)));
        let low = verdicts.weigh(fact.clone());
        assert_eq!((low.importance, low.status, low.evidence), (0.15, Status::Archived, fact.evidence));
    }

    proptest! {
        /// Any verdicts, each turned around and taken back again, leave the fact as it was, at every clamp.
        #[test]
        fn a_flip_restores_what_was_before(
            before in prop::collection::vec((0_u64..30, any::<bool>()), 0..30),
            flips in prop::collection::vec(100_u64..130, 0..30),
        ) {
            let fact = mined(&[("s", "Always use tabs")]).remove(0);
            let mut verdicts = Verdicts::default();
            before.iter().for_each(|(at, up)| verdicts.judge(&fact.id, *at, Some(*up)));
            let known = (verdicts.clone(), verdicts.weigh(fact.clone()));
            for at in &flips {
                verdicts.judge(&fact.id, *at, Some(at % 2 == 0));
                verdicts.judge(&fact.id, *at, Some(at % 2 == 1));
            }
            flips.iter().for_each(|at| verdicts.judge(&fact.id, *at, None));
            prop_assert_eq!((verdicts.clone(), verdicts.weigh(fact)), known);
        }
    }
}
