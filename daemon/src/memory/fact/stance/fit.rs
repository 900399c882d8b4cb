//! Makes the weights of [`stance`](super::stance) from sentences with labels, for `clone bench stance`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;

use super::{BIAS, SCALE, features, logistic, tokens, weighed};
use crate::dice::Dice;

/// A word that fewer sentences have is a blank, and a pair or three that fewer have is left out.
const MIN_SENTENCES: usize = 3;
/// Passes over the sentences.
const PASSES: usize = 40;
/// How fast weights follow.
const RATE: f64 = 0.5;
/// How much each weight costs.
const COST: f64 = 0.000_3;
/// Weights below are left out.
const LEAST: f64 = 0.05;

/// A sentence, and whether it is a wish that stands.
#[derive(Clone, Debug)]
pub struct Example {
    /// The sentence.
    pub text: String,
    /// Whether it is.
    pub stands: bool,
}

/// Features and their weights.
pub type Weights = BTreeMap<String, f64>;

/// How likely it is that a sentence is a wish that stands, by such weights.
#[must_use]
pub fn weigh(weights: &Weights, sentence: &str) -> f64 {
    weighed(&tokens(sentence), |feature| weights.get(feature).copied())
}

/// The weights that sentences make.
#[must_use]
pub fn fit(examples: &[Example]) -> Weights {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let tokens: Vec<Vec<String>> = examples.iter().map(|example| tokens(&example.text)).collect();
    for words in &tokens {
        words.iter().collect::<BTreeSet<_>>().into_iter().for_each(|word| *seen.entry(word.clone()).or_default() += 1);
    }
    seen.retain(|_, count| *count >= MIN_SENTENCES);
    let rows: Vec<BTreeSet<String>> =
        tokens.iter().map(|words| features(words, |word| seen.contains_key(word))).collect();
    let mut often: BTreeMap<&str, usize> = BTreeMap::new();
    rows.iter().flatten().for_each(|feature| *often.entry(feature).or_default() += 1);
    let names: Vec<&str> = often.iter().filter(|(_, count)| **count >= MIN_SENTENCES).map(|(name, _)| *name).collect();
    let place: HashMap<&str, usize> = names.iter().enumerate().map(|(at, name)| (*name, at)).collect();
    let rows: Vec<(f64, Vec<usize>)> = rows
        .iter()
        .map(|row| {
            (
                (row.len().max(1) as f64).sqrt(),
                row.iter().filter_map(|name| place.get(name.as_str()).copied()).collect(),
            )
        })
        .collect();
    let labels: Vec<bool> = examples.iter().map(|example| example.stands).collect();
    let (found, bias) = descend(&rows, &labels, names.len());
    let mut weights: Weights = names.iter().map(|name| (*name).to_owned()).zip(found).collect();
    // A word that is known but says nothing is still no blank.
    weights.retain(|name, weight| weight.abs() >= LEAST || seen.contains_key(name));
    weights.insert(BIAS.to_owned(), bias);
    weights
}

/// Logistic regression by adaptive gradient descent, and what is added to every row.
fn descend(rows: &[(f64, Vec<usize>)], labels: &[bool], width: usize) -> (Vec<f64>, f64) {
    let (mut weights, mut squares) = (vec![0.0; width], vec![1e-3; width]);
    let (mut bias, mut bias_square) = (0.0, 1e-3);
    let mut order: Vec<usize> = (0..rows.len()).collect();
    let mut dice = Dice::new(7);
    for _ in 0..PASSES {
        for at in (1..order.len()).rev() {
            order.swap(at, dice.below(at + 1));
        }
        for &at in &order {
            let (long, row) = &rows[at];
            let score = bias + row.iter().map(|feature| weights[*feature] / long).sum::<f64>();
            let slope = logistic(score) - f64::from(u8::from(labels[at]));
            for &feature in row {
                let slope: f64 = slope / long + COST * weights[feature];
                squares[feature] += slope * slope;
                weights[feature] -= RATE * slope / squares[feature].sqrt();
            }
            bias_square += slope * slope;
            bias -= RATE * slope / f64::sqrt(bias_square);
        }
    }
    (weights, bias)
}

/// The rows of `weights.tsv`.
#[must_use]
pub fn written(weights: &Weights) -> String {
    let mut out = String::new();
    for (feature, weight) in weights {
        let _ = writeln!(out, "{feature}\t{:.0}", weight * SCALE);
    }
    out
}
