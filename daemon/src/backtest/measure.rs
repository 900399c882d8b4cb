//! The measures of a forecast of yes or no: how well it ranks, how far it is off, and both beside the running base rate.

use serde::Serialize;

/// A forecast and what came of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Forecast {
    /// The chance that was given.
    pub probability: f64,
    /// What came of it.
    pub came: bool,
}

/// Forecasts are held this far from certainty where a logarithm is taken.
const SURE: f64 = 1e-6;
/// What the running base rate counts before the first outcome: half a yes and half a no.
const HALF: f64 = 0.5;

fn number(came: bool) -> f64 {
    f64::from(u8::from(came))
}

fn count(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}

/// The chance that something that came was given more than something that did not, ties counting half; `None` where
/// only one of the two happened.
#[must_use]
pub fn auc(forecasts: &[Forecast]) -> Option<f64> {
    let mut sorted = forecasts.to_vec();
    sorted.sort_by(|a, b| a.probability.total_cmp(&b.probability));
    let (mut below, mut won, mut came) = (0.0, 0.0, 0.0);
    for tied in sorted.chunk_by(|a, b| a.probability.total_cmp(&b.probability).is_eq()) {
        let yes = count(tied.iter().filter(|forecast| forecast.came).count());
        let no = count(tied.len()) - yes;
        won += yes * (below + no / 2.0);
        below += no;
        came += yes;
    }
    (came > 0.0 && below > 0.0).then(|| won / (came * below))
}

fn mean(forecasts: &[Forecast], loss: impl Fn(&Forecast) -> f64) -> Option<f64> {
    (!forecasts.is_empty()).then(|| forecasts.iter().map(loss).sum::<f64>() / count(forecasts.len()))
}

/// The mean square of what a forecast was off.
#[must_use]
pub fn brier(forecasts: &[Forecast]) -> Option<f64> {
    mean(forecasts, |forecast| (forecast.probability - number(forecast.came)).powi(2))
}

/// The mean log-loss, in nats.
#[must_use]
pub fn log_loss(forecasts: &[Forecast]) -> Option<f64> {
    mean(forecasts, |forecast| {
        let p = forecast.probability.clamp(SURE, 1.0 - SURE);
        -(if forecast.came { p } else { 1.0 - p }).ln()
    })
}

/// What someone would have said who only counts: the rate so far, before each outcome.
#[must_use]
pub fn running_rate(forecasts: &[Forecast]) -> Vec<Forecast> {
    let mut came = HALF;
    let rates = forecasts.iter().enumerate().map(|(seen, forecast)| {
        let probability = came / (count(seen) + 2.0 * HALF);
        came += number(forecast.came);
        Forecast { probability, came: forecast.came }
    });
    rates.collect()
}

/// Outcomes of each kind that a person needs to count in a mean over people.
const LEAST: usize = 5;

/// Forecasts of yes or no, measured; each person's in the order in which they were made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Measured {
    /// Outcomes.
    pub n: usize,
    /// Outcomes that came.
    pub came: usize,
    /// The [`auc`] over everybody.
    pub auc: Option<f64>,
    /// The mean of the people's own, of those with at least five outcomes of each kind.
    pub auc_mean: Option<f64>,
    /// How many people that mean is over.
    pub people: usize,
    /// See [`brier`].
    pub brier: Option<f64>,
    /// The same of each person's running base rate.
    pub brier_base: Option<f64>,
    /// See [`log_loss`].
    pub log_loss: Option<f64>,
    /// The same of each person's running base rate.
    pub log_loss_base: Option<f64>,
}

/// Measures forecasts.
#[must_use]
pub fn measure(people: &[Vec<Forecast>]) -> Measured {
    let all: Vec<Forecast> = people.concat();
    let base: Vec<Forecast> = people.iter().flat_map(|person| running_rate(person)).collect();
    let came = |forecasts: &[Forecast]| forecasts.iter().filter(|forecast| forecast.came).count();
    let enough = |person: &&Vec<Forecast>| came(person) >= LEAST && person.len() - came(person) >= LEAST;
    let each: Vec<f64> = people.iter().filter(enough).filter_map(|person| auc(person)).collect();
    Measured {
        n: all.len(),
        came: came(&all),
        auc: auc(&all),
        auc_mean: (!each.is_empty()).then(|| each.iter().sum::<f64>() / count(each.len())),
        people: each.len(),
        brier: brier(&all),
        brier_base: brier(&base),
        log_loss: log_loss(&all),
        log_loss_base: log_loss(&base),
    }
}

/// A guess that was made with some confidence: whether it was right, and whether it is one of those asked about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Guess {
    /// The chance that was given.
    pub probability: f64,
    /// Whether it was right.
    pub right: bool,
    /// Whether it is one of those whose coverage is asked for.
    pub asked: bool,
}

/// Guesses that precision is not read from fewer of.
const FEWEST: usize = 10;

/// How many of those asked about lie in the longest run of the surest guesses whose precision reaches `precision`.
///
/// The run is over all guesses: who says beforehand which of them are easy reads the answer.
#[must_use]
pub fn covered(guesses: &[Guess], precision: f64) -> usize {
    let mut sorted = guesses.to_vec();
    sorted.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    let (mut right, mut seen, mut asked, mut best) = (0, 0, 0, 0);
    for tied in sorted.chunk_by(|a, b| a.probability.total_cmp(&b.probability).is_eq()) {
        right += tied.iter().filter(|guess| guess.right).count();
        asked += tied.iter().filter(|guess| guess.asked).count();
        seen += tied.len();
        if seen >= FEWEST && count(right) >= precision * count(seen) {
            best = asked;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forecasts(pairs: &[(f64, bool)]) -> Vec<Forecast> {
        pairs.iter().map(|(probability, came)| Forecast { probability: *probability, came: *came }).collect()
    }

    /// Forecasts with what came, and their AUC.
    type Counted = (&'static [(f64, bool)], Option<f64>);

    #[test]
    fn auc_as_counted_by_hand() {
        let table: [Counted; 7] = [
            (&[(0.9, true), (0.1, false)], Some(1.0)),
            (&[(0.1, true), (0.9, false)], Some(0.0)),
            (&[(0.5, true), (0.5, false)], Some(0.5)),
            // Pairs: (.8,.6) won, (.8,.3) won, (.4,.6) lost, (.4,.3) won.
            (&[(0.8, true), (0.6, false), (0.4, true), (0.3, false)], Some(0.75)),
            // Pairs: (.6,.6) half, (.6,.2) won, (.2,.6) lost, (.2,.2) half.
            (&[(0.6, true), (0.6, false), (0.2, true), (0.2, false)], Some(0.5)),
            (&[(0.6, true)], None),
            (&[], None),
        ];
        for (pairs, expected) in table {
            assert_eq!(auc(&forecasts(pairs)), expected, "{pairs:?}");
        }
    }

    #[test]
    fn brier_and_log_loss_as_counted_by_hand() {
        let made = forecasts(&[(0.8, true), (0.4, false)]);
        // (0.04 + 0.16) / 2, and -(ln 0.8 + ln 0.6) / 2.
        assert!((brier(&made).unwrap() - 0.1).abs() < 1e-12);
        assert!((log_loss(&made).unwrap() - 0.366_984_587_5).abs() < 1e-9);
        assert!(log_loss(&forecasts(&[(0.0, true)])).unwrap().is_finite());
        assert_eq!((brier(&[]), log_loss(&[])), (None, None));
    }

    #[test]
    fn the_base_rate_never_sees_what_it_is_about_to_be_measured_on() {
        let made = running_rate(&forecasts(&[(0.0, true), (0.0, true), (0.0, false)]));
        let rates: Vec<f64> = made.iter().map(|forecast| forecast.probability).collect();
        // 0.5/1, 1.5/2, 2.5/3.
        assert_eq!(rates, [0.5, 0.75, 2.5 / 3.0]);
        let measured = measure(std::slice::from_ref(&made));
        assert_eq!((measured.n, measured.came), (3, 2));
        assert_eq!((measured.brier, measured.auc_mean), (measured.brier_base, None));
    }

    #[test]
    fn the_mean_is_over_people_with_enough_of_both() {
        let good: Vec<Forecast> =
            (0..10).map(|at| Forecast { probability: if at < 5 { 0.2 } else { 0.8 }, came: at >= 5 }).collect();
        let blind: Vec<Forecast> = (0..10).map(|at| Forecast { probability: 0.5, came: at >= 5 }).collect();
        let few = forecasts(&[(0.9, false), (0.1, true)]);
        let measured = measure(&[good, blind, few]);
        assert_eq!((measured.auc_mean, measured.people, measured.n), (Some(0.75), 2, 22));
    }

    #[test]
    fn coverage_is_read_off_all_guesses() {
        let guess = |probability: f64, right: bool, asked: bool| Guess { probability, right, asked };
        let mut guesses: Vec<Guess> = (0..8).map(|at| guess(0.9, true, at < 4)).collect();
        guesses.extend([guess(0.8, false, true), guess(0.8, false, false)]);
        // 8 of 10 right, 5 of them asked about; one more miss and nothing reaches 0.8 with ten.
        assert_eq!(covered(&guesses, 0.8), 5);
        assert_eq!(covered(&guesses, 0.81), 0);
        guesses.push(guess(0.8, false, true));
        assert_eq!(covered(&guesses, 0.8), 0);
        assert_eq!(covered(&guesses[..8], 0.8), 0, "too few");
    }
}
