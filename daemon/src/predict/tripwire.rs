//! The trip-wire of a stratum: whether answers that were sure enough to be automatic keep the promise.
//!
//! Every outcome of a would-be auto is a bet against "wrong at most as often as promised". There are two purses, because
//! two things are known: what became of answers that were *asked* (the person answered themselves, or an audit), and
//! which of those that were *acted on* somebody found wrong. Under the promise an acted-on answer is found wrong no more
//! often than it is wrong, so the second bet is fair too, but one that nobody complained of is no success: it never
//! touches the purse of the asked, and never earns trust back. No purse falls below 1, so that years of right answers
//! cannot buy off a change; when one reaches `TRIPS` nothing in the stratum is automatic until the opposite bet, begun at
//! the trip and fed by the asked alone, has earned `EARNED`. All may be read after every outcome: the wealth of a fair bet
//! is an e-process.

use serde::{Deserialize, Serialize};

/// Wealth at which the wire trips.
const TRIPS: f64 = 10.0;
/// Wealth at which trust is earned again.
const EARNED: f64 = 10.0;
/// How much more often than promised answers are wrong, in the bet against them.
const WORSE: f64 = 2.5;
/// How much less often, in the bet for them.
const BETTER: f64 = 0.25;
/// The least promise that is watched.
pub const LEAST: f64 = 0.5;

/// The lower bounds that an answer stood at under the two gates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stood {
    /// The strict gate's.
    pub strict: f64,
    /// The standard gate's.
    pub standard: f64,
}

impl Stood {
    /// Under one of the gates.
    #[must_use]
    pub fn under(self, strict: bool) -> f64 {
        if strict { self.strict } else { self.standard }
    }
}

/// What became of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// What it stood at.
    pub stood: Stood,
    /// Whether it was right; of one that was acted on, whether nobody said that it was wrong.
    pub hit: bool,
    /// A client acted on it and nobody was asked.
    #[serde(default)]
    pub acted: bool,
}

/// Whether the outcomes, oldest first, that would have been automatic at a threshold leave the wire tripped.
#[must_use]
pub fn tripped(outcomes: &[Outcome], threshold: f64, strict: bool) -> bool {
    let promised = (1.0 - threshold.max(LEAST)).max(1e-3);
    let (worse, better) = ((promised * WORSE).min(f64::midpoint(1.0, promised)), promised * BETTER);
    let (mut purses, mut held) = ([1.0_f64; 2], false);
    for outcome in outcomes.iter().filter(|outcome| outcome.stood.under(strict) >= threshold) {
        if held && outcome.acted {
            continue;
        }
        let against = if held { better } else { worse };
        let odds = if outcome.hit { (1.0 - against) / (1.0 - promised) } else { against / promised };
        let purse = &mut purses[usize::from(outcome.acted)];
        *purse = purse.max(1.0) * odds;
        if *purse >= if held { EARNED } else { TRIPS } {
            (purses, held) = ([1.0; 2], !held);
        }
    }
    held
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcomes(hits: &str, at: f64) -> Vec<Outcome> {
        let stood = Stood { strict: at, standard: at + 0.05 };
        hits.chars().map(|c| Outcome { stood, hit: matches!(c, '+' | '.'), acted: matches!(c, '.' | 'x') }).collect()
    }

    #[test]
    fn it_trips_on_misses_in_a_row_and_is_earned_again() {
        let (bad, good) = ("-".repeat(3), "+".repeat(14));
        let table = [
            (String::new(), false),
            ("+".repeat(300), false),
            ("-".repeat(2), false),
            (bad.clone(), true),
            ("+".repeat(300) + &bad, true),
            (bad.clone() + &"+".repeat(5), true),
            (bad.clone() + &good, false),
            (bad.clone() + &good + &bad, true),
            ("+++++++++-".repeat(30), false),
            ("+-".repeat(10), true),
            // Acted on: `.` nobody complained, `x` found wrong.
            ("xxx".to_owned(), true),
            (".........x".repeat(30), false),
            (".".repeat(300) + "xxx", true),
            ("-..........-..........-".to_owned(), true),
            (bad.clone() + &".".repeat(300), true),
            (bad.clone() + &".".repeat(50) + &good, false),
        ];
        for (hits, expected) in table {
            assert_eq!(tripped(&outcomes(&hits, 0.85), 0.8, true), expected, "{hits}");
        }
    }

    #[test]
    fn only_what_would_have_been_automatic_under_that_gate_counts() {
        let bad = outcomes("-----", 0.78);
        assert!(!tripped(&bad, 0.8, true) && tripped(&bad, 0.8, false) && tripped(&bad, 0.7, true));
        assert!(tripped(&outcomes("--------", 1.0), 1.0, true) && !tripped(&outcomes("+", 0.0), f64::NAN, true));
    }
}
