//! From a predictor's own number to the chance that it is right: Platt scaling in log-odds space, pulled to a prior.
//!
//! The prior is the identity, so that no label at all already gives a usable answer and five labels cannot break it
//! (the fit without a prior is at its worst there). Old labels fade. The slope never turns negative.

use std::collections::VecDeque;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

/// Labels that a fit reads, at most; at the half-life below the oldest of them weighs under a twentieth.
pub const MAX_LABELS: usize = 1_200;
/// Labels after which a label weighs half.
pub const HALF_LIFE: f64 = 250.0;
/// Log-odds are held within this bound.
const MAX_LOGIT: f64 = 8.0;
const MAX_STEPS: usize = 12;
/// A fit ends when the step is this small.
const SMALL_STEP: f64 = 1e-7;

/// Where the fit starts and how hard it is held there.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prior {
    /// Slope: mean and standard deviation.
    pub slope: (f64, f64),
    /// Offset in log-odds: mean and standard deviation.
    pub offset: (f64, f64),
}

/// The identity, held as firmly as people differ from each other.
pub const PRIOR: Prior = Prior { slope: (1.0, 0.2), offset: (0.0, 0.35) };

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

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Row {
    x: f64,
    y: f64,
    weight: f64,
}

/// A curve and the labels behind it; fitted when it is first asked after a label, and always from the prior, so that it
/// depends on the labels alone and not on when it was asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Curve {
    prior: Prior,
    rows: VecDeque<Row>,
    seen: u32,
    #[serde(skip)]
    fitted: OnceLock<Fit>,
}

#[derive(Clone, Copy, Debug)]
struct Fit {
    slope: f64,
    offset: f64,
    /// Covariance of (slope, offset): variances and covariance.
    spread: (f64, f64, f64),
}

impl Default for Curve {
    fn default() -> Self {
        Self::new(PRIOR)
    }
}

/// Gradient and curvature of the penalised log-loss.
#[derive(Clone, Copy)]
struct Slopes {
    loss: f64,
    gradient: (f64, f64),
    curvature: (f64, f64, f64),
}

impl Curve {
    /// A curve without labels.
    #[must_use]
    pub fn new(prior: Prior) -> Self {
        Self { prior, rows: VecDeque::new(), seen: 0, fitted: OnceLock::new() }
    }

    /// How many labels it has seen.
    #[must_use]
    pub fn labels(&self) -> u32 {
        self.seen
    }

    /// Adds one label; the next question fits again.
    pub fn add(&mut self, raw: f64, hit: bool, weight: f64) {
        let weight = if weight.is_finite() { weight.clamp(0.0, 1.0) } else { 0.0 };
        if self.rows.len() == MAX_LABELS {
            self.rows.pop_front();
        }
        self.rows.push_back(Row { x: logit(raw), y: f64::from(u8::from(hit)), weight });
        self.seen = self.seen.saturating_add(1);
        self.fitted = OnceLock::new();
    }

    fn fitted(&self) -> &Fit {
        self.fitted.get_or_init(|| self.fit())
    }

    /// How many labels were given for raw numbers at least as high as this one.
    #[must_use]
    pub fn peers(&self, raw: f64) -> usize {
        let x = logit(raw) - 1e-9;
        self.rows.iter().filter(|row| row.x >= x).count()
    }

    /// The calibrated probability.
    #[must_use]
    pub fn probability(&self, raw: f64) -> f64 {
        let fit = self.fitted();
        sigmoid(fit.slope * logit(raw) + fit.offset)
    }

    /// The lower bound of the probability at so many standard deviations.
    #[must_use]
    pub fn lower(&self, raw: f64, deviations: f64) -> f64 {
        let (x, fit) = (logit(raw), self.fitted());
        let variance = fit.spread.0 * x * x + fit.spread.1 + 2.0 * fit.spread.2 * x;
        sigmoid(fit.slope * x + fit.offset - deviations * variance.max(0.0).sqrt())
    }

    fn measure(&self, slope: f64, offset: f64) -> Slopes {
        let (slope_variance, offset_variance) = (self.prior.slope.1.powi(2), self.prior.offset.1.powi(2));
        let (ds, d0) = (slope - self.prior.slope.0, offset - self.prior.offset.0);
        let mut sum = Slopes {
            loss: 0.5 * (ds * ds / slope_variance + d0 * d0 / offset_variance),
            gradient: (ds / slope_variance, d0 / offset_variance),
            curvature: (1.0 / slope_variance, 1.0 / offset_variance, 0.0),
        };
        let fade = (-1.0 / HALF_LIFE).exp2();
        let mut age = 1.0;
        for row in self.rows.iter().rev() {
            let weight = row.weight * age;
            age *= fade;
            let score = slope * row.x + offset;
            let p = sigmoid(score);
            // log(1 + e^score) - y * score, without overflow.
            sum.loss += weight * (score.max(0.0) + (-score.abs()).exp().ln_1p() - row.y * score);
            let (error, bend) = (weight * (p - row.y), weight * p * (1.0 - p));
            sum.gradient.0 += error * row.x;
            sum.gradient.1 += error;
            sum.curvature.0 += bend * row.x * row.x;
            sum.curvature.1 += bend;
            sum.curvature.2 += bend * row.x;
        }
        sum
    }

    /// Damped Newton: a step is halved until the loss falls.
    fn fit(&self) -> Fit {
        let (mut slope, mut offset) = (self.prior.slope.0, self.prior.offset.0);
        let mut here = self.measure(slope, offset);
        for _ in 0..MAX_STEPS {
            let (a, b, c) = here.curvature;
            let determinant = (a * b - c * c).max(1e-12);
            // A slope that is held at zero leaves a fit of the offset alone.
            let held = slope <= 0.0 && here.gradient.0 > 0.0;
            let (step_slope, step_offset) = if held {
                (0.0, here.gradient.1 / b)
            } else {
                (
                    (b * here.gradient.0 - c * here.gradient.1) / determinant,
                    (a * here.gradient.1 - c * here.gradient.0) / determinant,
                )
            };
            let mut size = 1.0;
            let mut moved = false;
            while size > 1e-4 {
                let next = ((slope - size * step_slope).max(0.0), offset - size * step_offset);
                let there = self.measure(next.0, next.1);
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
        let (a, b, c) = here.curvature;
        let determinant = (a * b - c * c).max(1e-12);
        Fit { slope, offset, spread: (b / determinant, a / determinant, -c / determinant) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_labels_it_is_the_identity() {
        let curve = Curve::default();
        for raw in [0.01, 0.2, 0.5, 0.8, 0.99] {
            assert!((curve.probability(raw) - raw).abs() < 1e-9, "{raw}");
            assert!(curve.lower(raw, 1.28) < raw);
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
            let mut curve = Curve::default();
            for (raw, hit) in table.iter().cycle().take(400) {
                curve.add(*raw, *hit, 1.0);
            }
            let at: Vec<f64> = (0..=100).map(|i| curve.probability(f64::from(i) / 100.0)).collect();
            assert!(at.windows(2).all(|pair| pair[0] <= pair[1]), "{table:?}");
            assert!(at.iter().all(|p| (0.0..=1.0).contains(p)), "{table:?}");
        }
    }

    #[test]
    fn it_moves_to_what_happens_and_the_bound_tightens() {
        let mut curve = Curve::default();
        let (p0, gap0) = (curve.probability(0.7), curve.probability(0.7) - curve.lower(0.7, 1.28));
        for i in 0..400_u32 {
            curve.add(0.7, i % 10 != 0, 1.0);
        }
        let (p, gap) = (curve.probability(0.7), curve.probability(0.7) - curve.lower(0.7, 1.28));
        assert!((p - 0.9).abs() < 0.04 && p > p0, "{p}");
        assert!(gap < gap0, "{gap} {gap0}");
        // The person changes: after a few half-lives the curve has followed.
        for i in 0..600_u32 {
            curve.add(0.7, i % 10 == 0, 1.0);
        }
        assert!(curve.probability(0.7) < 0.4, "{}", curve.probability(0.7));
    }

    #[test]
    fn five_labels_cannot_break_it() {
        let mut curve = Curve::default();
        (0..5).for_each(|_| curve.add(0.6, true, 1.0));
        assert!((0.6..0.8).contains(&curve.probability(0.6)), "{}", curve.probability(0.6));
    }

    #[test]
    fn labels_are_bounded_and_weight_counts() {
        let (mut heavy, mut light) = (Curve::default(), Curve::default());
        for _ in 0..50 {
            heavy.add(0.5, true, 1.0);
            light.add(0.5, true, 0.1);
        }
        assert!(heavy.probability(0.5) > light.probability(0.5));
        for _ in 0..MAX_LABELS + 10 {
            light.add(0.3, false, f64::NAN);
        }
        assert_eq!(light.rows.len(), MAX_LABELS);
        assert_eq!(light.labels() as usize, MAX_LABELS + 60);
        assert_eq!((light.peers(0.2), light.peers(0.4)), (MAX_LABELS, 0));
    }
}
