//! The documented recipe that ours stands beside: `σ(a·raw + b)` by maximum likelihood.
//!
//! As it is written down: below five labels the raw number itself; an edited reply counts as half a hit; fitted again after
//! every twenty labels; automatic from the threshold on. Nothing is said there of separable labels, where the likelihood has
//! no maximum: the steps are damped and end after [`MAX_STEPS`].

use crate::predict::calibrate::sigmoid;

/// Labels below which the raw number is taken as it is.
const FEWEST: usize = 5;
/// Labels between two fits.
const REFIT: usize = 20;
/// Newton steps of a fit, at most.
const MAX_STEPS: usize = 25;

/// The recipe's curve for one person.
#[derive(Clone, Debug, Default)]
pub(super) struct Recipe {
    rows: Vec<(f64, f64)>,
    fitted: Option<(f64, f64)>,
}

impl Recipe {
    /// Takes one label, 1 for a hit and ½ for an edit, and fits when the recipe says so.
    pub(super) fn add(&mut self, raw: f64, y: f64) {
        self.rows.push((raw, y));
        if self.rows.len() == FEWEST || self.rows.len().is_multiple_of(REFIT) {
            self.fit();
        }
    }

    pub(super) fn probability(&self, raw: f64) -> f64 {
        self.fitted.map_or(raw, |(slope, offset)| sigmoid(slope * raw + offset))
    }

    /// Fits now, where there are labels enough.
    pub(super) fn fit(&mut self) {
        if self.rows.len() < FEWEST {
            return;
        }
        let (mut at, mut loss) = ((1.0, 0.0), f64::INFINITY);
        for _ in 0..MAX_STEPS {
            let (step, here) = self.step(at);
            loss = loss.min(here);
            let halves = (0..12).map(|power| 0.5_f64.powi(power));
            let mut tried = halves.map(|size| (at.0 - size * step.0, at.1 - size * step.1));
            let Some(next) = tried.find(|next| self.step(*next).1 < loss) else { break };
            at = next;
        }
        self.fitted = Some(at);
    }

    /// The Newton step of the likelihood, and the log-loss.
    fn step(&self, (slope, offset): (f64, f64)) -> ((f64, f64), f64) {
        let (mut g, mut h, mut loss) = ((0.0, 0.0), (1e-9, 1e-9, 0.0), 0.0);
        for (x, y) in &self.rows {
            let score = slope * x + offset;
            let p = sigmoid(score);
            loss += score.max(0.0) + (-score.abs()).exp().ln_1p() - y * score;
            let bend = p * (1.0 - p);
            g = (g.0 + (p - y) * x, g.1 + p - y);
            h = (h.0 + bend * x * x, h.1 + bend, h.2 + bend * x);
        }
        let determinant = (h.0 * h.1 - h.2 * h.2).max(1e-12);
        (((h.1 * g.0 - h.2 * g.1) / determinant, (h.0 * g.1 - h.2 * g.0) / determinant), loss)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_identity_below_five_and_finds_the_likeliest_curve_with_many() {
        let mut recipe = Recipe::default();
        (0..4).for_each(|_| recipe.add(0.6, 1.0));
        assert!((recipe.probability(0.3) - 0.3).abs() < 1e-12);
        let mut recipe = Recipe::default();
        for i in 0..400_u32 {
            recipe.add(0.2, f64::from(u8::from(i % 4 == 0)));
            recipe.add(0.9, f64::from(u8::from(i % 10 != 0)));
        }
        assert!((recipe.probability(0.2) - 0.25).abs() < 1e-3, "{}", recipe.probability(0.2));
        assert!((recipe.probability(0.9) - 0.9).abs() < 1e-3, "{}", recipe.probability(0.9));
    }

    #[test]
    fn half_a_hit_lies_between_and_separable_labels_stay_finite() {
        let mut recipe = Recipe::default();
        (0..40).for_each(|i| recipe.add(0.5 + f64::from(i % 2) * 0.2, 0.5));
        assert!((recipe.probability(0.6) - 0.5).abs() < 1e-6);
        let mut recipe = Recipe::default();
        (0..5).for_each(|i| recipe.add(0.5 + 0.1 * f64::from(i), f64::from(u8::from(i > 2))));
        assert!(recipe.probability(0.9).is_finite() && recipe.probability(0.9) > 0.99);
    }
}
