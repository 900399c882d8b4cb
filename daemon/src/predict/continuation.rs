//! Whether the person would go on with a task, or is done with it: a smoothed rate by kind of situation.
//!
//! After each agent block the person either replied or the session ended there. The rate of each kind is pulled to
//! the overall rate, and that to a prior, so that few sessions say little.

use serde::{Deserialize, Serialize};

use super::situation::{KINDS, Kind};

/// The prior chance that a person replies to an agent's block: most blocks of a session are replied to.
const PRIOR: f64 = 0.8;
/// How many blocks the prior counts as.
const PRIOR_WEIGHT: f64 = 5.0;
/// How many blocks the overall rate counts as, in each kind.
const POOL_WEIGHT: f64 = 12.0;
/// What a block still counts after the next one; half after about 700.
const FADE: f64 = 0.999;
/// Blocks below which nothing is stood behind.
const ENOUGH: f64 = 20.0;
/// Deviations below the estimate that the lower bound lies.
const DEVIATIONS: f64 = 1.28;

/// Whether the person would reply again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Continuation {
    /// The likelier of the two.
    pub should_continue: bool,
    /// The chance that `should_continue` is right, 0.5 to 1.
    pub probability: f64,
    /// What we stand behind: its lower bound, 0 while too little is known.
    pub lower: f64,
    /// Blocks (faded) behind it.
    pub known: f64,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Tally {
    replied: f64,
    ended: f64,
}

impl Tally {
    fn fade(&mut self) {
        self.replied *= FADE;
        self.ended *= FADE;
    }

    fn known(self) -> f64 {
        self.replied + self.ended
    }

    fn rate(self, pull: f64, weight: f64) -> f64 {
        (self.replied + pull * weight) / (self.known() + weight)
    }
}

/// How sessions ended so far.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Endings {
    all: Tally,
    kinds: [Tally; KINDS],
}

impl Endings {
    /// The person replied to a block.
    pub fn replied(&mut self, kind: Kind) {
        self.fade();
        self.all.replied += 1.0;
        self.kinds[kind.index()].replied += 1.0;
    }

    /// Nobody replied to a block.
    pub fn ended(&mut self, kind: Kind) {
        self.fade();
        self.all.ended += 1.0;
        self.kinds[kind.index()].ended += 1.0;
    }

    fn fade(&mut self) {
        self.all.fade();
        self.kinds.iter_mut().for_each(Tally::fade);
    }

    /// Whether the person would reply in this kind of situation.
    #[must_use]
    pub fn answer(&self, kind: Kind) -> Continuation {
        let overall = self.all.rate(PRIOR, PRIOR_WEIGHT);
        let tally = self.kinds[kind.index()];
        let rate = tally.rate(overall, POOL_WEIGHT);
        let should_continue = rate >= 0.5;
        let probability = if should_continue { rate } else { 1.0 - rate };
        let weight = tally.known() + POOL_WEIGHT;
        let deviation = (probability * (1.0 - probability) / weight).sqrt();
        let known = self.all.known();
        let lower = if known < ENOUGH { 0.0 } else { (probability - DEVIATIONS * deviation).max(0.0) };
        Continuation { should_continue, probability, lower, known }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_known_is_the_prior_and_not_stood_behind() {
        let answer = Endings::default().answer(Kind::Report);
        assert!(answer.should_continue);
        assert!((answer.probability - PRIOR).abs() < 1e-9);
        assert_eq!(answer.lower.to_bits(), 0.0_f64.to_bits());
    }

    #[test]
    fn kinds_part_ways_and_the_probability_belongs_to_the_boolean() {
        let mut endings = Endings::default();
        for _ in 0..200 {
            endings.replied(Kind::Offer);
            endings.ended(Kind::Report);
        }
        let (offer, report) = (endings.answer(Kind::Offer), endings.answer(Kind::Report));
        assert!(offer.should_continue && offer.probability > 0.9, "{offer:?}");
        assert!(!report.should_continue && report.probability > 0.9, "{report:?}");
        assert!(offer.lower < offer.probability && offer.lower > 0.8);
        let unseen = endings.answer(Kind::Failure);
        assert!((0.5..0.6).contains(&unseen.probability), "{unseen:?}");
    }

    #[test]
    fn the_rate_is_calibrated_on_a_steady_person() {
        let mut endings = Endings::default();
        let (mut sum, mut replied) = (0.0, 0.0);
        for i in 0..1_000_u32 {
            // Three blocks in four get a reply, in a fixed shuffle.
            let on = (i.wrapping_mul(2_654_435_761) >> 16) % 4 != 0;
            if i >= 100 {
                let answer = endings.answer(Kind::Report);
                sum += if answer.should_continue { answer.probability } else { 1.0 - answer.probability };
                replied += f64::from(u8::from(on));
            }
            if on { endings.replied(Kind::Report) } else { endings.ended(Kind::Report) }
        }
        assert!((sum - replied).abs() / 900.0 < 0.03, "{sum} {replied}");
    }
}
