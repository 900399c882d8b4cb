//! What a row of answers is worth: hits, calibration with its noise floor, coverage at a precision, utility.
//!
//! The same figures as the score of the people's turns, so that a person's own history and a folder of people are told
//! by one measure. What would surprise: equal probabilities share a bin and a place in a ranking, because no threshold
//! can part them.

use clone_schema::prediction::Status;
use serde::{Deserialize, Serialize};

use super::measure::{Forecast, Guess, brier, covered};
use crate::dice::Dice;
use crate::predict::{Decided, hit};

/// Bins of the calibration error.
pub const BINS: usize = 15;
/// The precision at which coverage is told, and the threshold at which utility is.
pub const PRECISION: f64 = 0.8;
/// What one wrong automatic answer costs, in right ones: at this price the threshold 0.8 breaks even.
pub const WRONG_COSTS: f64 = 4.0;
/// Perfect forecasters that the noise floor is read from.
const FORECASTERS: usize = 200;

/// One answer and what came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Row {
    /// The chance that was given for the first candidate.
    pub probability: f64,
    /// The first candidate was a hit.
    pub hit: bool,
    /// One of the candidates was.
    pub any: bool,
    /// A caller would have acted on it.
    pub auto: bool,
}

/// The figures of many answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Answers.
    pub n: usize,
    /// Share of first candidates that were hits.
    pub top1: f64,
    /// Share of answers with a hit among the candidates.
    pub top3: f64,
    /// Mean square of what the probabilities were off; 0 where there are no answers, like every share here.
    pub brier: f64,
    /// How much better than saying the share of hits every time; nothing where every answer came out alike.
    pub skill: Option<f64>,
    /// See [`ece`].
    pub ece: f64,
    /// Answers that a caller would have acted on.
    pub autos: usize,
    /// Those that were wrong.
    pub wrong_autos: usize,
    /// Right automatic answers less four times the wrong ones, over all answers.
    pub utility: f64,
    /// Share of answers in the longest run of the surest that are right four times in five.
    pub coverage: f64,
}

#[allow(clippy::cast_precision_loss)]
pub(super) fn number(n: usize) -> f64 {
    n as f64
}

/// A share; 0 of nothing.
pub(super) fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { number(part) / number(whole) }
}

impl Row {
    /// An answer, and the reply that then came.
    #[must_use]
    pub fn of(decided: &Decided, reply: &str) -> Self {
        Self {
            probability: decided.candidates.first().map_or(0.0, |first| first.probability),
            hit: hit(decided.predicted_response(), reply),
            any: decided.candidates.iter().any(|candidate| hit(&candidate.response, reply)),
            auto: decided.status == Status::Auto,
        }
    }

    /// What an automatic answer gained or cost; nothing was gained by any other.
    #[must_use]
    pub fn utility(&self) -> f64 {
        match (self.auto, self.hit) {
            (false, _) => 0.0,
            (true, true) => 1.0,
            (true, false) => -WRONG_COSTS,
        }
    }

    /// The probability and what came.
    #[must_use]
    pub fn forecast(&self) -> Forecast {
        Forecast { probability: self.probability, came: self.hit }
    }
}

impl Score {
    /// The figures of these answers.
    #[must_use]
    pub fn of(rows: &[Row]) -> Self {
        let count = |is: fn(&Row) -> bool| rows.iter().filter(|row| is(row)).count();
        let forecasts: Vec<Forecast> = rows.iter().map(Row::forecast).collect();
        let guess = |row: &Row| Guess { probability: row.probability, right: row.hit, asked: true };
        let guesses: Vec<Guess> = rows.iter().map(guess).collect();
        Self {
            n: rows.len(),
            top1: share(count(|row| row.hit), rows.len()),
            top3: share(count(|row| row.any), rows.len()),
            brier: brier(&forecasts).unwrap_or(0.0),
            skill: skill(&forecasts),
            ece: ece(&forecasts),
            autos: count(|row| row.auto),
            wrong_autos: count(|row| row.auto && !row.hit),
            utility: if rows.is_empty() {
                0.0
            } else {
                rows.iter().map(Row::utility).sum::<f64>() / number(rows.len())
            },
            coverage: share(covered(&guesses, PRECISION), rows.len()),
        }
    }
}

/// How much smaller the mean square error is than that of saying the share of what came every time.
#[must_use]
pub fn skill(forecasts: &[Forecast]) -> Option<f64> {
    let rate = share(forecasts.iter().filter(|forecast| forecast.came).count(), forecasts.len());
    let plain = rate * (1.0 - rate);
    if plain > 0.0 { brier(forecasts).map(|off| 1.0 - off / plain) } else { None }
}

/// Forecasts of about one probability.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// Forecasts.
    pub n: usize,
    /// The mean of what was said.
    pub said: f64,
    /// The share of what came.
    pub came: f64,
}

/// Forecasts in bins of about the same size, by rising probability.
#[must_use]
pub fn bins(forecasts: &[Forecast]) -> Vec<Bin> {
    let mut sorted = forecasts.to_vec();
    sorted.sort_by(|a, b| a.probability.total_cmp(&b.probability));
    binned(&sorted)
}

fn binned(sorted: &[Forecast]) -> Vec<Bin> {
    let full = number(sorted.len()) / number(BINS);
    let mut out = Vec::new();
    let (mut n, mut said, mut came) = (0, 0.0, 0);
    for tied in sorted.chunk_by(|a, b| a.probability.total_cmp(&b.probability).is_eq()) {
        n += tied.len();
        said += tied.iter().map(|forecast| forecast.probability).sum::<f64>();
        came += tied.iter().filter(|forecast| forecast.came).count();
        if number(n) >= full {
            out.push(Bin { n, said: said / number(n), came: share(came, n) });
            (n, said, came) = (0, 0.0, 0);
        }
    }
    if n > 0 {
        out.push(Bin { n, said: said / number(n), came: share(came, n) });
    }
    out
}

fn error(bins: &[Bin]) -> f64 {
    let all: usize = bins.iter().map(|bin| bin.n).sum();
    bins.iter().map(|bin| (bin.said - bin.came).abs() * share(bin.n, all)).sum()
}

/// The expected calibration error: how far what came is from what was said, over [`BINS`] bins of about equal size.
#[must_use]
pub fn ece(forecasts: &[Forecast]) -> f64 {
    error(&bins(forecasts))
}

/// What a forecaster shows that is never off: the mean of its calibration error, and what it exceeds one time in twenty.
///
/// Its outcomes are drawn from the very probabilities, by a seed of our own: the same forecasts give the same floor.
#[must_use]
pub fn floor(forecasts: &[Forecast]) -> (f64, f64) {
    if forecasts.is_empty() {
        return (0.0, 0.0);
    }
    let mut sorted = forecasts.to_vec();
    sorted.sort_by(|a, b| a.probability.total_cmp(&b.probability));
    let mut dice = Dice::new(15);
    let mut errors: Vec<f64> = Vec::with_capacity(FORECASTERS);
    for _ in 0..FORECASTERS {
        for forecast in &mut sorted {
            forecast.came = dice.unit() < forecast.probability;
        }
        errors.push(error(&binned(&sorted)));
    }
    errors.sort_by(f64::total_cmp);
    let mean = errors.iter().sum::<f64>() / number(errors.len());
    (mean, errors[errors.len() * 19 / 20])
}

/// How much is answered and how often that is right, from the surest answer on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Share of all answers.
    pub coverage: f64,
    /// Share of these that were hits.
    pub precision: f64,
    /// The smallest probability among them.
    pub probability: f64,
}

/// Coverage against precision, at most `most` points of it and always the last.
#[must_use]
pub fn coverage(rows: &[Row], most: usize) -> Vec<Point> {
    let mut sorted = rows.to_vec();
    sorted.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    let step = number(sorted.len()) / number(most.max(1));
    let (mut out, mut seen, mut hits) = (Vec::<Point>::new(), 0, 0);
    for tied in sorted.chunk_by(|a, b| a.probability.total_cmp(&b.probability).is_eq()) {
        seen += tied.len();
        hits += tied.iter().filter(|row| row.hit).count();
        if number(seen) >= step * number(out.len() + 1) || seen == sorted.len() {
            let probability = tied[0].probability;
            out.push(Point { coverage: share(seen, sorted.len()), precision: share(hits, seen), probability });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(probability: f64, hit: bool, any: bool, auto: bool) -> Row {
        Row { probability, hit, any, auto }
    }

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-12
    }

    #[test]
    fn a_score_as_counted_by_hand() {
        let rows = [
            row(0.9, true, true, true),
            row(0.8, false, true, true),
            row(0.2, false, false, false),
            row(0.1, true, true, false),
        ];
        let score = Score::of(&rows);
        assert_eq!((score.n, score.autos, score.wrong_autos), (4, 2, 1));
        assert!(close(score.top1, 0.5) && close(score.top3, 0.75));
        // (.01 + .64 + .04 + .81) / 4, beside .25 for saying one half.
        assert!(close(score.brier, 0.375) && close(score.skill.unwrap(), -0.5), "{score:?}");
        // (1 - 4) / 4.
        assert!(close(score.utility, -0.75));
        // Four bins of one: .1 + .8 + .2 + .9, a quarter each.
        assert!(close(score.ece, 0.5), "{score:?}");
        assert_eq!(score.coverage.to_bits(), 0.0_f64.to_bits(), "ten are the least that precision is read from");
        assert_eq!(Score::of(&[]), Score::default());
        assert_eq!(Score::of(&rows[..1]).skill, None, "nothing beats what always happens");
    }

    #[test]
    fn equal_probabilities_share_a_bin_and_the_rest_is_cut_into_fifteen() {
        let forecast = |probability: f64, came: bool| Forecast { probability, came };
        let tied: Vec<Forecast> = (0..30).map(|at| forecast(0.25, at % 3 == 0)).collect();
        assert_eq!(bins(&tied), [Bin { n: 30, said: 0.25, came: 1.0 / 3.0 }]);
        let spread: Vec<Forecast> = (0..30).map(|at| forecast(f64::from(at) / 30.0, at >= 15)).collect();
        assert_eq!(bins(&spread).iter().map(|bin| bin.n).collect::<Vec<_>>(), [2; 15]);
        // Seven bins below say 6.5/30 on average and nothing comes, seven above miss by 7.5/30, the middle one by 0.5/30.
        assert!(close(ece(&spread), (7.0 * 6.5 + 7.0 * 7.5 + 0.5) / 30.0 / 15.0), "{}", ece(&spread));
    }

    #[test]
    fn the_floor_is_what_a_perfect_forecaster_shows() {
        let certain: Vec<Forecast> =
            (0..100).map(|at| Forecast { probability: f64::from(at % 2), came: false }).collect();
        assert_eq!(floor(&certain), (0.0, 0.0), "who says 0 and 1 and is never wrong has no error");
        let even = |n: usize| vec![Forecast { probability: 0.5, came: false }; n];
        // One bin of n: the error is |binomial/n - 1/2|, whose mean is near sqrt(1 / (2 pi n)).
        let (mean, high) = floor(&even(10_000));
        assert!((mean - 0.004).abs() < 0.001 && high > mean && high < 0.013, "{mean} {high}");
        assert!(floor(&even(100)).0 > 5.0 * mean);
        assert_eq!(floor(&even(100)), floor(&even(100)));
    }

    #[test]
    fn coverage_runs_from_the_surest_to_all() {
        let rows = [
            row(0.9, true, true, false),
            row(0.9, false, false, false),
            row(0.5, true, true, false),
            row(0.1, false, false, false),
        ];
        let points = coverage(&rows, 4);
        let shown: Vec<(f64, f64)> = points.iter().map(|point| (point.coverage, point.precision)).collect();
        assert_eq!(shown, [(0.5, 0.5), (0.75, 2.0 / 3.0), (1.0, 0.5)]);
        assert_eq!(coverage(&rows, 1), [Point { coverage: 1.0, precision: 0.5, probability: 0.1 }]);
        assert!(coverage(&[], 9).is_empty());
    }
}
