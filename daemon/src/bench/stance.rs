//! `stance`: how well a sentence that says how a person wants things to be is told from one that does not, and the weights for it.
//!
//! Each fifth of the sentences is weighed by weights made of the others. The folder is `tests/data/memory`: `stance/*.tsv` (a label, a
//! sentence), and of three word sets the cue sentences and the wordings of preferences.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::memory::fact::stance::fit::{Example, Weights, fit, weigh, written};

/// Parts that are weighed by the others.
const PARTS: usize = 5;
/// From which likelihoods on a sentence is taken for one.
const LEAST: [f64; 3] = [0.5, 0.7, 0.9];
/// The word sets that are learned from; the others stay unseen.
const SETS: [&str; 3] = ["", "second", "third"];

/// What the sentences came to.
#[derive(Clone, Debug, Serialize)]
pub struct Stance {
    /// Sentences.
    pub sentences: usize,
    /// Those that stand.
    pub standing: usize,
    /// From so likely on: how many of the sentences taken stand, and how many of those that stand are taken.
    pub at: Vec<(f64, f64, f64)>,
    /// The rows of the weights.
    #[serde(skip)]
    pub weights: String,
}

/// Fits and measures on the sentences of a folder.
///
/// # Errors
///
/// A file cannot be read: give the folder of the sentences.
pub fn stance(folder: &Path) -> std::io::Result<Stance> {
    let all = examples(folder)?;
    let mut scored: Vec<(f64, bool)> = Vec::new();
    for part in 0..PARTS {
        let (own, others): (Vec<_>, Vec<_>) = all.iter().cloned().enumerate().partition(|(at, _)| at % PARTS == part);
        let weights = fit(&others.into_iter().map(|(_, example)| example).collect::<Vec<_>>());
        scored.extend(own.into_iter().map(|(_, example)| (weigh(&weights, &example.text), example.stands)));
    }
    let weights: Weights = fit(&all);
    let standing = all.iter().filter(|example| example.stands).count();
    let at = LEAST.map(|least| {
        let (precision, recall) = at(&scored, standing, least);
        (least, precision, recall)
    });
    Ok(Stance { sentences: all.len(), standing, at: at.to_vec(), weights: written(&weights) })
}

#[allow(clippy::cast_precision_loss)]
fn at(scored: &[(f64, bool)], standing: usize, least: f64) -> (f64, f64) {
    let taken: Vec<bool> = scored.iter().filter(|(score, _)| *score >= least).map(|(_, stands)| *stands).collect();
    let right = taken.iter().filter(|stands| **stands).count() as f64;
    (right / taken.len().max(1) as f64, right / standing.max(1) as f64)
}

/// Every sentence with a label.
fn examples(folder: &Path) -> std::io::Result<Vec<Example>> {
    let files = std::fs::read_dir(folder.join("stance"))?;
    let mut paths: Vec<PathBuf> = files.map(|file| Ok(file?.path())).collect::<std::io::Result<_>>()?;
    paths.sort();
    let mut all = Vec::new();
    let example = |stands: bool, text: &str| Example { text: text.to_owned(), stands };
    for path in paths {
        all.extend(rows(&path)?.iter().filter(|row| row.len() >= 2).map(|row| example(row[0] != "none", &row[1])));
    }
    for set in SETS {
        let cues = rows(&folder.join(set).join("cues.tsv"))?;
        all.extend(cues.iter().filter(|row| row.len() >= 3).map(|row| example(row[0] == "pref", &row[2])));
        // The first set has its wordings in the rig.
        let ways = folder.join(set).join("preferences.tsv");
        let ways = if ways.exists() { rows(&ways)? } else { Vec::new() };
        all.extend(ways.iter().flat_map(|row| &row[1..]).map(|text| example(true, text)));
    }
    Ok(all)
}

fn rows(path: &Path) -> std::io::Result<Vec<Vec<String>>> {
    let text = std::fs::read_to_string(path)?;
    let rows = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(rows.map(|line| line.split('\t').map(str::to_owned).collect()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::fact::stance::SHIPPED;

    #[test]
    fn the_shipped_weights_are_what_the_sentences_make() {
        let found = stance(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/memory")).expect("there");
        assert!(found.weights == SHIPPED, "`clone bench stance --data tests/data/memory --out …/stance/weights.tsv`");
        let (_, precision, recall) = found.at[0];
        assert!(precision >= 0.85 && recall >= 0.8, "{:?}", found.at);
    }
}
