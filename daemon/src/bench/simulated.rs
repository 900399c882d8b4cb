//! Simulated people: how a model's raw numbers relate to what a person would really send, different for each.
//!
//! The generator, whole: a raw number is drawn from [`GRID`], coarse and high, as models say of themselves. The true chance
//! that the person would send the reply is `σ(a·logit(raw) + b + w·sin(2·logit(raw) + φ))` with `a ~ N(.8, .4)` held to at
//! least .05, `b ~ N(−.8, .8)`, `w ~ N(0, .2)` and `φ` anywhere on the circle: overconfident on the whole, logit-linear but
//! for a wiggle that no two-number curve can follow. All numbers come from one splitmix64 stream, so a seed is a crowd.

use std::f64::consts::TAU;

use crate::dice::Dice;
use crate::predict::calibrate::{logit, sigmoid};

/// The seed of every simulated crowd.
pub(super) const SEED: u64 = 20_260_701;

/// Raw numbers, and how often each is said out of a hundred times.
pub(super) const GRID: [(f64, f64); 11] = [
    (0.2, 4.0),
    (0.3, 6.0),
    (0.4, 7.0),
    (0.5, 9.0),
    (0.6, 12.0),
    (0.7, 16.0),
    (0.75, 9.0),
    (0.8, 14.0),
    (0.85, 9.0),
    (0.9, 9.0),
    (0.95, 5.0),
];

/// Box and Muller's normal number.
fn normal(dice: &mut Dice, mean: f64, deviation: f64) -> f64 {
    let (radius, angle) = ((-2.0 * (1.0 - dice.unit()).ln()).sqrt(), TAU * dice.unit());
    mean + deviation * radius * angle.cos()
}

/// A raw number of a model.
pub(super) fn raw(dice: &mut Dice) -> f64 {
    let mut left = dice.unit() * GRID.iter().map(|(_, weight)| weight).sum::<f64>();
    for (raw, weight) in GRID {
        left -= weight;
        if left < 0.0 {
            return raw;
        }
    }
    GRID[GRID.len() - 1].0
}

/// One simulated person.
#[derive(Clone, Copy, Debug)]
pub(super) struct Person {
    slope: f64,
    offset: f64,
    wiggle: f64,
    phase: f64,
}

impl Person {
    pub(super) fn new(dice: &mut Dice) -> Self {
        Self {
            slope: normal(dice, 0.8, 0.4).max(0.05),
            offset: normal(dice, -0.8, 0.8),
            wiggle: normal(dice, 0.0, 0.2),
            phase: TAU * dice.unit(),
        }
    }

    /// The true chance that the person would send what was said with this raw number.
    pub(super) fn chance(&self, raw: f64) -> f64 {
        let x = logit(raw);
        sigmoid(self.slope * x + self.offset + self.wiggle * (2.0 * x + self.phase).sin())
    }

    /// How much log-loss a curve costs this person beyond the truth, over all that a model may say; no draw is in it.
    pub(super) fn excess(&self, curve: impl Fn(f64) -> f64) -> f64 {
        let total: f64 = GRID.iter().map(|(_, weight)| weight).sum();
        GRID.iter().map(|(raw, weight)| weight / total * apart(self.chance(*raw), curve(*raw))).sum()
    }
}

/// Log-loss of `p` where `q` is true, less that of `q` itself.
fn apart(q: f64, p: f64) -> f64 {
    let p = p.clamp(1e-6, 1.0 - 1e-6);
    q * (q / p).ln() + (1.0 - q) * ((1.0 - q) / (1.0 - p)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_crowd_and_its_numbers_are_spread_as_said() {
        let (mut one, mut two) = (Dice::new(3), Dice::new(3));
        assert_eq!((0..20).map(|_| one.roll()).collect::<Vec<_>>(), (0..20).map(|_| two.roll()).collect::<Vec<_>>());
        let drawn: Vec<f64> = (0..20_000).map(|_| normal(&mut one, 2.0, 3.0)).collect();
        let mean = drawn.iter().sum::<f64>() / 20_000.0;
        let deviation = (drawn.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 20_000.0).sqrt();
        assert!((mean - 2.0).abs() < 0.1 && (deviation - 3.0).abs() < 0.1, "{mean} {deviation}");
        assert!((0..1_000).all(|_| (0.0..1.0).contains(&one.unit())));
        let high = (0..10_000).filter(|_| raw(&mut one) > 0.65).count();
        assert!((5_900..6_500).contains(&high), "{high}");
    }

    #[test]
    fn the_truth_costs_nothing_and_all_else_something() {
        let mut dice = Dice::new(1);
        for _ in 0..50 {
            let person = Person::new(&mut dice);
            assert!(person.excess(|raw| person.chance(raw)).abs() < 1e-12);
            assert!(person.excess(|raw| person.chance(raw) * 0.9) > 0.0);
        }
    }
}
