//! Times and what is told of them: medians and percentiles, nothing that assumes a shape.

use std::time::Instant;

use serde_json::{Value, json};

/// Measured numbers of one kind.
#[derive(Clone, Debug, Default)]
pub(super) struct Samples(Vec<f64>);

impl Samples {
    pub(super) fn add(&mut self, value: f64) {
        self.0.push(value);
    }

    /// Runs something and adds how many seconds it took.
    pub(super) fn time<T>(&mut self, run: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let out = run();
        self.add(start.elapsed().as_secs_f64());
        out
    }

    pub(super) fn median(&self) -> f64 {
        self.percentile(50.0)
    }

    /// The smallest number that so many per cent of the numbers do not exceed; not a number where there are none.
    pub(super) fn percentile(&self, percent: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
    }

    /// Every number where they are few, else what a person would ask of them.
    pub(super) fn raw(&self) -> Value {
        const FEW: usize = 32;
        if self.0.len() <= FEW {
            return json!(self.0);
        }
        let [p50, p90, p99] = [50.0, 90.0, 99.0].map(|percent| self.percentile(percent));
        json!({"n": self.0.len(), "p50": p50, "p90": p90, "p99": p99, "max": self.percentile(100.0)})
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

/// So many a second, for each of the times.
pub(super) fn rates(count: usize, seconds: &Samples) -> Samples {
    #[allow(clippy::cast_precision_loss)]
    seconds.0.iter().map(|seconds| count as f64 / seconds).collect()
}

/// A count as a number to divide by.
#[allow(clippy::cast_precision_loss)]
pub(super) fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_measured_values() {
        for (values, percent, expected) in [
            (vec![3.0, 1.0, 2.0], 50.0, 2.0),
            (vec![4.0, 1.0, 3.0, 2.0], 50.0, 2.0),
            (vec![1.0], 99.0, 1.0),
            ((1..=100).map(f64::from).collect(), 99.0, 99.0),
            ((1..=100).map(f64::from).collect(), 100.0, 100.0),
            (vec![1.0, 2.0], 0.0, 1.0),
        ] {
            assert!((values.iter().copied().collect::<Samples>().percentile(percent) - expected).abs() < f64::EPSILON);
        }
        assert!(Samples::default().median().is_nan());
    }

    #[test]
    fn many_numbers_are_told_in_short() {
        let few: Samples = [1.0, 2.0].into_iter().collect();
        assert_eq!(few.raw(), json!([1.0, 2.0]));
        let many: Samples = (1..=100).map(f64::from).collect();
        assert_eq!(many.raw(), json!({"n": 100, "p50": 50.0, "p90": 90.0, "p99": 99.0, "max": 100.0}));
        assert!((rates(10, &few).median() - 5.0).abs() < f64::EPSILON);
    }
}
