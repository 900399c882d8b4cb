//! How likely a sentence says how a person wants things to be in general, so that what is asked for in many words is noticed.
//!
//! The grammar (`clause.rs`) reads what it knows and says what is wanted; this one knows no sentence, and only weighs
//! words: a linear model over the words, pairs and threes of a sentence. Words that few sentences of the training had are one
//! blank, so that what is asked for does not matter.
//!
//! # Source
//!
//! Logistic regression over n-grams; `stance/weights.tsv` is what [`fit`] makes of the sentences in `tests/data/memory`, written for it
//! by several hands; `clone bench stance` makes it anew, and a test says whether it still is.

pub mod fit;

use std::collections::{BTreeSet, HashMap};
use std::sync::OnceLock;

/// The most words and marks of a sentence that are weighed.
const MAX_TOKENS: usize = 60;
/// Weights are written in this part of one.
const SCALE: f64 = 100.0;

/// How likely it is that a sentence is a wish that stands.
#[must_use]
pub fn stance(sentence: &str) -> f64 {
    weighed(&tokens(sentence), |feature| weights().get(feature).copied())
}

/// The same by any weights.
fn weighed(tokens: &[String], weight: impl Fn(&str) -> Option<f64>) -> f64 {
    let found = features(tokens, |word| weight(word).is_some());
    let long = (found.len().max(1) as f64).sqrt();
    let sum: f64 = found.iter().filter_map(|feature| weight(feature)).sum();
    logistic(weight(BIAS).unwrap_or_default() + sum / long)
}

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

type Weights = HashMap<&'static str, f64>;

/// The row of what is added to every sentence.
const BIAS: &str = "bias";

/// The rows that are shipped.
pub const SHIPPED: &str = include_str!("stance/weights.tsv");

fn weights() -> &'static Weights {
    static FOUND: OnceLock<Weights> = OnceLock::new();
    FOUND.get_or_init(|| {
        let lines = SHIPPED.lines();
        lines
            .filter_map(|line| line.split_once('\t'))
            .filter_map(|(feature, weight)| Some((feature, weight.parse::<f64>().ok()? / SCALE)))
            .collect()
    })
}

/// Words in lower case, marks, and each letter of a script without spaces.
fn tokens(sentence: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut within = false;
    for c in sentence.chars().flat_map(char::to_lowercase) {
        let c = if matches!(c, '’' | '‘') { '\'' } else { c };
        let alone = matches!(c, '\u{3040}'..='\u{30ff}' | '\u{4e00}'..='\u{9fff}' | ',' | '.' | '!' | '?' | ':' | ';' | '=' | '…' | '。' | '、' | '，' | '！' | '？');
        if alone {
            out.push(c.to_string());
        } else if c.is_alphanumeric() || c == '\'' {
            match out.last_mut().filter(|_| within) {
                Some(word) => word.push(c),
                None => out.push(c.to_string()),
            }
        }
        within = !alone && (c.is_alphanumeric() || c == '\'');
        if out.len() > MAX_TOKENS {
            break;
        }
    }
    out.truncate(MAX_TOKENS);
    out.into_iter()
        .map(|token| if token.contains(|c: char| c.is_ascii_digit()) { "#".to_owned() } else { token })
        .collect()
}

/// The words, pairs and threes of a sentence, each once; a word that is not known is a blank.
fn features(tokens: &[String], known: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let mut words = vec!["^"];
    words.extend(tokens.iter().map(|token| if known(token) { token.as_str() } else { "_" }));
    words.push("$");
    let mut found: BTreeSet<String> = words[1..words.len() - 1].iter().map(|word| (*word).to_owned()).collect();
    for size in 2..=3 {
        found.extend(words.windows(size).filter(|few| few.iter().any(|word| *word != "_")).map(|few| few.join(" ")));
    }
    found
}
