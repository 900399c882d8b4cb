//! What may be promised of answers from counted outcomes alone: Clopper and Pearson's exact one-sided bound.
//!
//! A caller that names a precision instead of a threshold is promised it in these terms: with a confidence of 1 − δ, at
//! least that share of answers at least as sure as this one is right, were the future like the labelled past. What is
//! missing is told as a number of outcomes, so that silence reads as progress.

use clone_schema::prediction::Promise;

use super::local::Answer;

/// The chance of promising too much.
pub const DELTA: f64 = 0.1;
/// More outcomes than this are not worth telling.
const NEEDED_MAX: u32 = 100_000;
/// Halvings of the interval in which the bound lies.
const HALVINGS: usize = 40;

/// The lower bound of a share of which so many of `n` outcomes were errors.
#[must_use]
pub fn lower(n: u32, errors: u32) -> f64 {
    if errors >= n {
        return 0.0;
    }
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if at_most(errors, n, 1.0 - middle) <= DELTA { low = middle } else { high = middle }
    }
    low
}

/// How many more outcomes are needed, all of them right, until so much can be promised.
#[must_use]
pub fn needed(n: u32, errors: u32, precision: f64) -> u32 {
    let kept = |more: u32| at_most(errors.min(n), n + more, 1.0 - precision) <= DELTA && n + more > errors;
    if precision >= 1.0 || !kept(NEEDED_MAX) {
        return NEEDED_MAX;
    }
    let (mut short, mut enough) = (0, NEEDED_MAX);
    if kept(0) {
        return 0;
    }
    while enough - short > 1 {
        let middle = u32::midpoint(short, enough);
        if kept(middle) { enough = middle } else { short = middle }
    }
    enough
}

/// The chance of at most so many errors in `n` outcomes, each an error with this chance.
#[must_use]
pub fn at_most(errors: u32, n: u32, chance: f64) -> f64 {
    let (chance, n) = (chance.clamp(1e-12, 1.0 - 1e-12), f64::from(n));
    // In logarithms: the first term alone would be nothing for many outcomes.
    let mut term = n * (1.0 - chance).ln();
    let mut sum = term.exp();
    for k in 1..=errors {
        let k = f64::from(k);
        term += ((n - k + 1.0) / k).ln() + (chance / (1.0 - chance)).ln();
        sum += term.exp();
    }
    sum
}

/// Holds an answer to what the counts can promise, and says what is missing.
pub fn hold(answer: &mut Answer, precision: f64) {
    let (n, errors) = (answer.standing.peers, answer.standing.errors);
    let lower = lower(n, errors);
    let stood = &mut answer.standing.stood;
    (stood.strict, stood.standard) = (stood.strict.min(lower), stood.standard.min(lower));
    let needed = needed(n, errors, precision);
    answer.weight.promise = Some(Promise { precision, delta: DELTA, n, errors, lower, needed });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The published table of outcomes that are needed, by errors.
    #[test]
    fn the_counts_are_those_of_the_table() {
        for (precision, counts) in [
            (0.80, [11, 18, 25, 45]),
            (0.90, [22, 38, 52, 91]),
            (0.95, [45, 77, 105, 184]),
            (0.99, [230, 388, 531, 926]),
        ] {
            for (errors, n) in [0, 1, 2, 5].into_iter().zip(counts) {
                assert!(lower(n, errors) >= precision && lower(n - 1, errors) < precision, "{precision} {errors} {n}");
                assert_eq!(
                    (needed(n, errors, precision), needed(n - 4, errors, precision)),
                    (0, 4),
                    "{precision} {errors}"
                );
            }
        }
        assert_eq!((lower(0, 0).to_bits(), lower(3, 3).to_bits(), needed(0, 0, 0.8)), (0, 0, 11));
        assert_eq!((needed(5, 0, 1.0), needed(50_000, 0, 0.8)), (NEEDED_MAX, 0));
    }

    proptest! {
        #[test]
        fn more_right_outcomes_promise_more_and_errors_less(n in 0..400_u32, errors in 0..60_u32) {
            let errors = errors.min(n);
            prop_assert!(lower(n + 1, errors) >= lower(n, errors));
            prop_assert!(lower(n + 1, errors + 1) <= lower(n, errors) + 1e-9);
            prop_assert!((0.0..=1.0).contains(&lower(n, errors)));
        }
    }
}
