//! Past situations that are like the present one: BM25 over an inverted index in memory.
//!
//! Only the rarest terms of a query are read, and none that stands in too many situations, so that a long agent
//! text costs no more than a short one.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::postings::Postings;

/// Query terms read, at most; the rarest are taken.
pub const MAX_TERMS: usize = 32;
/// Postings read for one query, at most, over all its terms; the rarest terms come first.
pub const MAX_POSTINGS: usize = 40_000;
/// What lengths below this do to a score is worked out once a query.
const USUAL_LENGTH: u32 = 512;
const K1: f64 = 1.2;
const B: f64 = 0.75;
/// Below this many situations every term is read, however common.
const SMALL: usize = 400;
/// The largest share of situations that a term may stand in once there are many.
const MAX_SHARE: f64 = 0.10;

/// An inverted index of token lists, numbered by the caller in rising order.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Nearest {
    terms: HashMap<String, Postings>,
    /// By number; 0 for numbers that were never added.
    lengths: Vec<u32>,
    items: usize,
    total: f64,
    postings: usize,
    letters: usize,
}

/// A past item and how like the query it is, 0 to about 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Like {
    /// The caller's number.
    pub item: u32,
    /// BM25 over what a copy of the query would score.
    pub similarity: f64,
}

fn counts(tokens: &[String]) -> BTreeMap<&str, u32> {
    let mut counts = BTreeMap::new();
    for token in tokens {
        *counts.entry(token.as_str()).or_insert(0) += 1;
    }
    counts
}

impl Nearest {
    /// Adds one item; numbers must rise.
    pub fn add(&mut self, item: u32, tokens: &[String]) {
        for (term, count) in counts(tokens) {
            match self.terms.get_mut(term) {
                Some(postings) => postings.push(item, count),
                None => self.create(term, item, count),
            }
            self.postings += 1;
        }
        let length = u32::try_from(tokens.len()).unwrap_or(u32::MAX);
        self.lengths.resize(item as usize, 0);
        self.lengths.push(length);
        self.items += 1;
        self.total += f64::from(length);
    }

    fn create(&mut self, term: &str, item: u32, count: u32) {
        self.letters += term.len();
        self.terms.entry(term.to_owned()).or_default().push(item, count);
    }

    /// Estimated bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.postings * 2 + self.lengths.len() * 4 + self.terms.len() * 64 + self.letters
    }

    /// How many items there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items == 0
    }

    /// The `limit` most similar items, best first, the newest first among equals.
    #[must_use]
    pub fn like(&self, tokens: &[String], limit: usize) -> Vec<Like> {
        if self.is_empty() || tokens.is_empty() {
            return Vec::new();
        }
        #[allow(clippy::cast_precision_loss)]
        let (n, query_length) = (self.items as f64, tokens.len() as f64);
        let mean = (self.total / n).max(1.0);
        let (chosen, unseen) = self.choose(tokens);
        let mut scores = Scores::new(self.lengths.len());
        let mut own = unseen * (1.0 + (n + 0.5) / 0.5).ln();
        let damp = |length: f64| K1 * (1.0 - B + B * length / mean);
        let usual: Vec<f64> = (0..USUAL_LENGTH).map(|length| damp(f64::from(length))).collect();
        let mut read = 0;
        for (postings, count) in &chosen {
            #[allow(clippy::cast_precision_loss)]
            let frequency = postings.len() as f64;
            let idf = (1.0 + (n - frequency + 0.5) / (frequency + 0.5)).ln();
            own += idf * count * (K1 + 1.0) / (count + damp(query_length));
            if read + postings.len() > MAX_POSTINGS && read > 0 {
                continue;
            }
            read += postings.len();
            for (item, count) in postings.iter() {
                let count = f64::from(count);
                let length = self.lengths[item as usize];
                let damp = usual.get(length as usize).copied().unwrap_or_else(|| damp(f64::from(length)));
                scores.add(item, idf * count * (K1 + 1.0) / (count + damp));
            }
        }
        scores.best(own.max(1e-9), limit)
    }

    /// The rarest known terms of a query with their postings, rarest first, and how many terms no item has, at most as many
    /// as are read; those make every item less alike.
    fn choose<'a>(&'a self, tokens: &[String]) -> (Vec<(&'a Postings, f64)>, f64) {
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let cap = if self.items < SMALL { usize::MAX } else { ((self.items as f64) * MAX_SHARE) as usize };
        let mut sorted: Vec<&str> = tokens.iter().map(String::as_str).collect();
        sorted.sort_unstable();
        let (mut known, mut unseen) = (Vec::new(), 0);
        for run in sorted.chunk_by(|a, b| a == b) {
            match self.terms.get(run[0]) {
                Some(postings) if postings.len() <= cap => known.push((postings, run[0], run.len())),
                Some(_) => {}
                None => unseen += 1,
            }
        }
        known.sort_by(|a, b| a.0.len().cmp(&b.0.len()).then(a.1.cmp(b.1)));
        known.truncate(MAX_TERMS);
        let number = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        let chosen = known.into_iter().map(|(postings, _, count)| (postings, number(count)));
        (chosen.collect(), number(unseen.min(MAX_TERMS)))
    }
}

/// What every item scores so far; by number, since numbers are dense and a map would cost more than the sums.
struct Scores {
    sums: Vec<f64>,
    /// Items that have scored; every weight is above 0.
    scored: Vec<u32>,
}

impl Scores {
    fn new(items: usize) -> Self {
        Self { sums: vec![0.0; items], scored: Vec::new() }
    }

    fn add(&mut self, item: u32, weight: f64) {
        let sum = &mut self.sums[item as usize];
        if *sum <= 0.0 {
            self.scored.push(item);
        }
        *sum += weight;
    }

    /// Best first, by a total order.
    fn best(self, own: f64, limit: usize) -> Vec<Like> {
        let Self { sums, mut scored } = self;
        if scored.len() > limit && limit > 0 {
            let mut by_sum: Vec<f64> = scored.iter().map(|item| sums[*item as usize]).collect();
            let (_, least, _) = by_sum.select_nth_unstable_by(limit - 1, |a, b| b.total_cmp(a));
            // Sums that differ by less than a division keeps are still told apart below.
            let least = *least * (1.0 - 4.0 * f64::EPSILON);
            scored.retain(|item| sums[*item as usize] >= least);
        }
        let like = |item: u32| Like { item, similarity: sums[item as usize] / own };
        let mut all: Vec<Like> = scored.into_iter().map(like).collect();
        all.sort_by(|a, b| b.similarity.total_cmp(&a.similarity).then(b.item.cmp(&a.item)));
        all.truncate(limit);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::super::situation::tokens;
    use super::*;

    fn index(texts: &[&str]) -> Nearest {
        let mut nearest = Nearest::default();
        for (item, text) in texts.iter().enumerate() {
            nearest.add(u32::try_from(item).unwrap_or(0), &tokens(text));
        }
        nearest
    }

    #[test]
    fn rare_words_find_and_a_copy_scores_about_one() {
        let nearest = index(&["the parser failed", "the lexer works", "the docs are done", "the parser works"]);
        let like = nearest.like(&tokens("the lexer works"), 3);
        assert_eq!(like[0].item, 1);
        assert!((like[0].similarity - 1.0).abs() < 0.1, "{like:?}");
        let strange = nearest.like(&tokens("the lexer zzz yyy xxx"), 3);
        assert!(strange[0].similarity < like[0].similarity, "unknown words make everything less alike");
    }

    #[test]
    fn the_newest_comes_first_among_equals_and_the_limit_holds() {
        let nearest = index(&["same words"; 30]);
        let like = nearest.like(&tokens("same words"), 4);
        assert_eq!(like.iter().map(|like| like.item).collect::<Vec<_>>(), [29, 28, 27, 26]);
        assert!(nearest.like(&[], 4).is_empty() && Nearest::default().like(&tokens("x"), 4).is_empty());
    }

    /// The sums as they are written in a textbook: item after item, in the order of the terms.
    fn plainly(texts: &[Vec<String>], query: &[String], limit: usize) -> Vec<Like> {
        #[allow(clippy::cast_precision_loss)]
        let (n, mean) = (texts.len() as f64, texts.iter().map(Vec::len).sum::<usize>() as f64 / texts.len() as f64);
        let holders = |term: &str| texts.iter().filter(|text| text.iter().any(|token| token == term)).count();
        let mut terms: Vec<(usize, &str, u32)> =
            counts(query).into_iter().map(|(term, count)| (holders(term), term, count)).collect();
        terms.sort_unstable();
        let unseen = terms.iter().filter(|(holders, ..)| *holders == 0).count();
        terms.retain(|(holders, ..)| *holders > 0);
        #[allow(clippy::cast_precision_loss)]
        let weight = |holders: usize, count: u32, length: usize| {
            let (count, idf) = (f64::from(count), (1.0 + (n - holders as f64 + 0.5) / (holders as f64 + 0.5)).ln());
            idf * count * (K1 + 1.0) / (count + K1 * (1.0 - B + B * length as f64 / mean.max(1.0)))
        };
        #[allow(clippy::cast_precision_loss)]
        let mut own = unseen as f64 * (1.0 + (n + 0.5) / 0.5).ln();
        let mut scores = BTreeMap::new();
        for (holders, term, count) in terms.into_iter().take(MAX_TERMS) {
            own += weight(holders, count, query.len());
            for (item, text) in (0_u32..).zip(texts) {
                if let Some(count) = counts(text).get(term) {
                    *scores.entry(item).or_insert(0.0) += weight(holders, *count, text.len());
                }
            }
        }
        let mut all: Vec<Like> =
            scores.into_iter().map(|(item, score)| Like { item, similarity: score / own.max(1e-9) }).collect();
        all.sort_by(|a, b| b.similarity.total_cmp(&a.similarity).then(b.item.cmp(&a.item)));
        all.truncate(limit);
        all
    }

    #[test]
    fn packed_lists_give_the_same_sums_to_the_last_bit() {
        let text = |seed: u32, length: u32| -> Vec<String> {
            (0..length).map(|at| format!("w{}", (seed * 7 + at * at * (seed % 5 + 1)) % 40)).collect()
        };
        let texts: Vec<Vec<String>> = (0..120).map(|seed| text(seed, 1 + seed % 23)).collect();
        let mut nearest = Nearest::default();
        for (item, text) in (0..).zip(&texts) {
            nearest.add(item, text);
        }
        for seed in 0..60 {
            let query = text(seed + 1_000, 1 + seed % 31);
            let (like, plain) = (nearest.like(&query, 9), plainly(&texts, &query, 9));
            let bits = |all: &[Like]| all.iter().map(|like| (like.item, like.similarity.to_bits())).collect::<Vec<_>>();
            assert_eq!(bits(&like), bits(&plain), "{query:?}");
        }
    }

    #[test]
    fn only_the_rarest_terms_are_read_and_common_ones_are_capped() {
        let mut nearest = Nearest::default();
        for item in 0..500_u32 {
            nearest.add(item, &tokens(&format!("common word{item}")));
        }
        assert_eq!(nearest.like(&tokens("common word7"), 10).len(), 1, "`common` stands in every situation");
        let long: Vec<String> = (0..500).map(|at| format!("word{at}")).collect();
        assert_eq!(nearest.like(&long, 500).len(), MAX_TERMS);
        assert!(nearest.bytes() > 500 * 16 && nearest.len() == 500);
    }
}
