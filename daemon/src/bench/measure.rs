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

    pub(super) fn extend(&mut self, other: &Self) {
        self.0.extend(&other.0);
    }

    /// Runs something and adds how many seconds it took.
    pub(super) fn time<T>(&mut self, run: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let out = run();
        self.add(start.elapsed().as_secs_f64());
        out
    }

    /// All of them together.
    pub(super) fn total(&self) -> f64 {
        self.0.iter().sum()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
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

/// Times of ours and of the limit, taken in turn.
#[derive(Clone, Debug, Default)]
pub(super) struct Pair {
    pub(super) ours: Samples,
    pub(super) limit: Samples,
}

impl Pair {
    /// Times both once. Who goes first changes every time: the second finds warm what the first had to fetch.
    pub(super) fn time<E>(
        &mut self,
        ours: impl FnOnce() -> Result<(), E>,
        limit: impl FnOnce() -> Result<(), E>,
    ) -> Result<(), E> {
        if self.ours.len().is_multiple_of(2) {
            self.ours.time(ours)?;
            self.limit.time(limit)
        } else {
            self.limit.time(limit)?;
            self.ours.time(ours)
        }
    }

    /// Ours and the limit at a percentile, in a unit of which a second has so many.
    pub(super) fn at(&self, percent: f64, per_second: f64) -> (f64, f64) {
        (self.ours.percentile(percent) * per_second, self.limit.percentile(percent) * per_second)
    }

    /// What both do a second, by the median of their times, where one time is for so many.
    pub(super) fn rates(&self, count: f64) -> (f64, f64) {
        (count / self.ours.median(), count / self.limit.median())
    }

    /// Every time, in seconds.
    pub(super) fn raw(&self) -> Value {
        json!({"seconds": {"ours": self.ours.raw(), "limit": self.limit.raw()}})
    }
}

/// Does a round again until there were `most` or they took so many seconds together; at least one.
pub(super) fn rounds<E>(most: usize, seconds: f64, mut round: impl FnMut(usize) -> Result<(), E>) -> Result<(), E> {
    let start = Instant::now();
    for number in 0..most {
        round(number)?;
        if start.elapsed().as_secs_f64() > seconds {
            break;
        }
    }
    Ok(())
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

    #[test]
    fn a_pair_is_compared_at_one_percentile() {
        let of = |values: &[f64]| values.iter().copied().collect::<Samples>();
        let pair = Pair { ours: of(&[0.004, 0.002, 0.009]), limit: of(&[0.001, 0.002, 0.003]) };
        let close = |(a, b): (f64, f64), (c, d): (f64, f64)| (a - c).abs() < 1e-9 && (b - d).abs() < 1e-9;
        assert!(close(pair.at(50.0, 1e3), (4.0, 2.0)));
        assert!(close(pair.at(99.0, 1e6), (9000.0, 3000.0)));
        assert!(close(pair.rates(8.0), (2000.0, 4000.0)));
        assert!((pair.ours.total() - 0.015).abs() < 1e-9 && pair.limit.len() == 3);
    }

    #[test]
    fn the_two_take_turns_at_going_first() {
        let (order, mut pair) = (std::cell::RefCell::new(String::new()), Pair::default());
        let told = |who| {
            order.borrow_mut().push(who);
            Ok::<(), ()>(())
        };
        for _ in 0..3 {
            pair.time(|| told('o'), || told('l')).unwrap();
        }
        assert_eq!((order.into_inner().as_str(), pair.ours.len(), pair.limit.len()), ("ollool", 3, 3));
    }

    #[test]
    fn rounds_end_by_number_or_by_time_and_one_is_always_done() {
        for (most, seconds, expected) in [(3, f64::INFINITY, 3), (3, -1.0, 1), (0, 1.0, 0)] {
            let mut done = 0;
            let counted = rounds(most, seconds, |_| {
                done += 1;
                Ok::<(), ()>(())
            });
            assert_eq!((counted, done), (Ok(()), expected));
        }
    }
}
