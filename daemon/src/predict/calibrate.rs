//! From a predictor's own number to the chance that it is right: Platt scaling in log-odds space, pulled to a prior.
//!
//! A [`Belief`] is a slope, an offset and how sure we are of the two. A prior is one, and so is what labels make of it, so
//! that no label at all already gives a usable answer and five labels cannot break it (the fit without a prior is at its
//! worst there). Old labels fade. The slope never turns negative. Whose labels meet in one belief: [`super::curves`].

use serde::{Deserialize, Serialize};

/// Labels after which a label weighs half.
pub const HALF_LIFE: f64 = 250.0;
/// Log-odds are held within this bound.
const MAX_LOGIT: f64 = 8.0;
const MAX_STEPS: usize = 12;
/// A fit ends when the step is this small.
const SMALL_STEP: f64 = 1e-7;

/// Log-odds of a probability, held within bounds.
#[must_use]
pub fn logit(p: f64) -> f64 {
    if p.is_nan() {
        return -MAX_LOGIT;
    }
    let p = p.clamp(1e-9, 1.0 - 1e-9);
    (p / (1.0 - p)).ln().clamp(-MAX_LOGIT, MAX_LOGIT)
}

/// The probability of log-odds.
#[must_use]
pub fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// One labelled raw number.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    x: f64,
    y: f64,
    weight: f64,
}

impl Row {
    /// A raw number and whether it was right; a weight that is no number counts for nothing.
    #[must_use]
    pub fn new(raw: f64, hit: bool, weight: f64) -> Self {
        let weight = if weight.is_finite() { weight.clamp(0.0, 1.0) } else { 0.0 };
        Self { x: logit(raw), y: f64::from(u8::from(hit)), weight }
    }

    /// The same, for the record alone: no fit reads it.
    #[must_use]
    pub fn unweighed(self) -> Self {
        Self { weight: 0.0, ..self }
    }

    /// Whether a fit reads it.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.weight > 0.0
    }

    /// Whether it was right.
    #[must_use]
    pub fn hit(&self) -> bool {
        self.y > 0.5
    }

    /// Whether it was given for a raw number at least as high as this one.
    #[must_use]
    pub fn reaches(&self, raw: f64) -> bool {
        self.x >= logit(raw) - 1e-9
    }
}

/// A symmetric two by two matrix over (slope, offset).
#[derive(Clone, Copy, Debug, PartialEq)]
struct Square {
    slope: f64,
    offset: f64,
    both: f64,
}

impl Square {
    fn inverse(self) -> Self {
        let determinant = (self.slope * self.offset - self.both * self.both).max(1e-12);
        Self { slope: self.offset / determinant, offset: self.slope / determinant, both: -self.both / determinant }
    }

    fn times(self, (slope, offset): (f64, f64)) -> (f64, f64) {
        (self.slope * slope + self.both * offset, self.both * slope + self.offset * offset)
    }
}

/// What is held of a curve: slope and offset in log-odds, and their covariance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Belief {
    slope: f64,
    offset: f64,
    spread: Square,
}

/// Loss, gradient and curvature of the penalised log-loss.
#[derive(Clone, Copy)]
struct Slopes {
    loss: f64,
    gradient: (f64, f64),
    curvature: Square,
}

impl Belief {
    /// Slope and offset, each a mean and a standard deviation, independent of each other.
    #[must_use]
    pub const fn new(slope: (f64, f64), offset: (f64, f64)) -> Self {
        let spread = Square { slope: slope.1 * slope.1, offset: offset.1 * offset.1, both: 0.0 };
        Self { slope: slope.0, offset: offset.0, spread }
    }

    /// The same, less sure by these standard deviations of slope and offset.
    #[must_use]
    pub fn widened(mut self, (slope, offset): (f64, f64)) -> Self {
        self.spread.slope += slope * slope;
        self.spread.offset += offset * offset;
        self
    }

    /// The calibrated probability of a raw number.
    #[must_use]
    pub fn probability(&self, raw: f64) -> f64 {
        sigmoid(self.slope * logit(raw) + self.offset)
    }

    /// The lower bound of the probability at so many standard deviations.
    #[must_use]
    pub fn lower(&self, raw: f64, deviations: f64) -> f64 {
        let x = logit(raw);
        let variance = self.spread.slope * x * x + self.spread.offset + 2.0 * self.spread.both * x;
        sigmoid(self.slope * x + self.offset - deviations * variance.max(0.0).sqrt())
    }

    /// What labels, newest first, make of it; always from here, so that it depends on them alone and not on when it was
    /// asked. Damped Newton: a step is halved until the loss falls.
    #[must_use]
    pub fn after<'a>(&self, rows: impl Iterator<Item = &'a Row> + Clone) -> Self {
        let held = self.spread.inverse();
        let (mut slope, mut offset) = (self.slope, self.offset);
        let mut here = self.measure(held, (slope, offset), rows.clone());
        for _ in 0..MAX_STEPS {
            let step = here.step(slope);
            let mut size = 1.0;
            let mut moved = false;
            while size > 1e-4 {
                let next = ((slope - size * step.0).max(0.0), offset - size * step.1);
                let there = self.measure(held, next, rows.clone());
                if there.loss <= here.loss {
                    moved = (next.0 - slope).abs() + (next.1 - offset).abs() > SMALL_STEP;
                    (slope, offset, here) = (next.0, next.1, there);
                    break;
                }
                size *= 0.5;
            }
            if !moved {
                break;
            }
        }
        Self { slope, offset, spread: here.curvature.inverse() }
    }

    fn measure<'a>(&self, held: Square, at: (f64, f64), rows: impl Iterator<Item = &'a Row>) -> Slopes {
        let from = (at.0 - self.slope, at.1 - self.offset);
        let gradient = held.times(from);
        let loss = 0.5 * (from.0 * gradient.0 + from.1 * gradient.1);
        let mut sum = Slopes { loss, gradient, curvature: held };
        let fade = (-1.0 / HALF_LIFE).exp2();
        let mut age = 1.0;
        for row in rows {
            sum.add(row, row.weight * age, at.0 * row.x + at.1);
            age *= fade;
        }
        sum
    }
}

impl Slopes {
    fn add(&mut self, row: &Row, weight: f64, score: f64) {
        // The chance, and log(1 + e^score) - y * score, of one power that cannot overflow.
        let small = (-score.abs()).exp();
        let p = if score > 0.0 { 1.0 } else { small } / (1.0 + small);
        self.loss += weight * (score.max(0.0) + small.ln_1p() - row.y * score);
        let (error, bend) = (weight * (p - row.y), weight * p * (1.0 - p));
        self.gradient.0 += error * row.x;
        self.gradient.1 += error;
        self.curvature.slope += bend * row.x * row.x;
        self.curvature.offset += bend;
        self.curvature.both += bend * row.x;
    }

    /// A Newton step; a slope that is held at zero leaves a step of the offset alone.
    fn step(&self, slope: f64) -> (f64, f64) {
        if slope <= 0.0 && self.gradient.0 > 0.0 {
            return (0.0, self.gradient.1 / self.curvature.offset);
        }
        self.curvature.inverse().times(self.gradient)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDENTITY: Belief = Belief::new((1.0, 0.2), (0.0, 0.35));

    /// Fitted to labels, oldest first.
    fn after(prior: Belief, labels: &[(f64, bool)]) -> Belief {
        let rows: Vec<Row> = labels.iter().rev().map(|(raw, hit)| Row::new(*raw, *hit, 1.0)).collect();
        prior.after(rows.iter())
    }

    #[test]
    fn without_labels_it_is_the_prior() {
        for raw in [0.01, 0.2, 0.5, 0.8, 0.99] {
            assert!((after(IDENTITY, &[]).probability(raw) - raw).abs() < 1e-9, "{raw}");
            assert!(
                IDENTITY.lower(raw, 1.28) < raw
                    && IDENTITY.lower(raw, 1.28) > IDENTITY.widened((0.1, 0.1)).lower(raw, 1.28)
            );
        }
    }

    #[test]
    fn it_stays_monotone_and_finite_on_any_labels() {
        let tables: [&[(f64, bool)]; 5] = [
            &[(0.9, false), (0.1, true)],
            &[(0.0, true), (1.0, false)],
            &[(f64::NAN, true), (0.5, false)],
            &[(0.5, true)],
            &[(1.0, true), (1.0, true), (0.0, false)],
        ];
        for table in tables {
            let labels: Vec<(f64, bool)> = table.iter().copied().cycle().take(400).collect();
            let fitted = after(IDENTITY, &labels);
            let at: Vec<f64> = (0..=100).map(|i| fitted.probability(f64::from(i) / 100.0)).collect();
            assert!(at.windows(2).all(|pair| pair[0] <= pair[1]), "{table:?}");
            assert!(at.iter().all(|p| (0.0..=1.0).contains(p)), "{table:?}");
        }
    }

    #[test]
    fn it_moves_to_what_happens_and_the_bound_tightens() {
        let gap = |belief: &Belief| belief.probability(0.7) - belief.lower(0.7, 1.28);
        let mut labels: Vec<(f64, bool)> = (0..400).map(|i| (0.7, i % 10 != 0)).collect();
        let fitted = after(IDENTITY, &labels);
        assert!((fitted.probability(0.7) - 0.9).abs() < 0.04, "{fitted:?}");
        assert!(gap(&fitted) < gap(&IDENTITY));
        // The person changes: after a few half-lives the curve has followed.
        labels.extend((0..600).map(|i| (0.7, i % 10 == 0)));
        assert!(after(IDENTITY, &labels).probability(0.7) < 0.4);
    }

    #[test]
    fn five_labels_cannot_break_it_and_weight_counts() {
        let five = after(IDENTITY, &[(0.6, true); 5]);
        assert!((0.6..0.8).contains(&five.probability(0.6)), "{five:?}");
        let light = [Row::new(0.6, true, 0.1); 5];
        let nothing = [Row::new(0.6, true, f64::NAN); 5];
        assert!(IDENTITY.after(light.iter()).probability(0.6) < five.probability(0.6));
        assert!((IDENTITY.after(nothing.iter()).probability(0.6) - 0.6).abs() < 1e-9);
    }

    /// A covariance in the prior is kept: labels taken in two steps come to what they come to in one, but for fading.
    #[test]
    fn a_fit_can_go_on_from_a_fit() {
        let loose = Belief::new((1.0, 0.5), (0.0, 1.0));
        let labels: Vec<(f64, bool)> = (0..12).map(|i| (0.4 + 0.05 * f64::from(i % 10), i % 3 != 0)).collect();
        let (once, twice) = (after(loose, &labels), after(after(loose, &labels[..6]), &labels[6..]));
        for raw in [0.3, 0.6, 0.9] {
            assert!((once.probability(raw) - twice.probability(raw)).abs() < 0.02, "{once:?} {twice:?}");
            assert!((once.lower(raw, 1.28) - twice.lower(raw, 1.28)).abs() < 0.03, "{once:?} {twice:?}");
        }
    }
}
