//! Past situations that are like the present one: BM25 over an inverted index in memory.
//!
//! Only the rarest terms of a query are read, and none that stands in too many situations, so that a long agent
//! text costs no more than a short one.

use std::collections::BTreeMap;
use std::collections::HashMap;

/// Query terms read, at most; the rarest are taken.
pub const MAX_TERMS: usize = 32;
/// Postings read for one query, at most, over all its terms; the rarest terms come first.
pub const MAX_POSTINGS: usize = 40_000;
const K1: f64 = 1.2;
const B: f64 = 0.75;
/// Below this many situations every term is read, however common.
const SMALL: usize = 400;
/// The largest share of situations that a term may stand in once there are many.
const MAX_SHARE: f64 = 0.10;

/// One occurrence of a term.
#[derive(Clone, Copy, Debug)]
struct Posting {
    item: u32,
    count: f32,
}

/// An inverted index of token lists, numbered by the caller in rising order.
#[derive(Debug, Default)]
pub struct Nearest {
    terms: HashMap<String, Vec<Posting>>,
    lengths: Vec<(u32, u32)>,
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

fn counts(tokens: &[String]) -> BTreeMap<&str, f64> {
    let mut counts = BTreeMap::new();
    for token in tokens {
        *counts.entry(token.as_str()).or_insert(0.0) += 1.0;
    }
    counts
}

impl Nearest {
    /// Adds one item; numbers must rise.
    pub fn add(&mut self, item: u32, tokens: &[String]) {
        for (term, count) in counts(tokens) {
            if !self.terms.contains_key(term) {
                self.letters += term.len();
            }
            #[allow(clippy::cast_possible_truncation)]
            self.terms.entry(term.to_owned()).or_default().push(Posting { item, count: count as f32 });
            self.postings += 1;
        }
        let length = u32::try_from(tokens.len()).unwrap_or(u32::MAX);
        self.lengths.push((item, length));
        self.total += f64::from(length);
    }

    /// Estimated bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.postings * 8 + self.lengths.len() * 8 + self.terms.len() * 64 + self.letters
    }

    /// How many items there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lengths.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// The `limit` most similar items, best first, the newest first among equals.
    #[must_use]
    pub fn like(&self, tokens: &[String], limit: usize) -> Vec<Like> {
        if self.is_empty() || tokens.is_empty() {
            return Vec::new();
        }
        #[allow(clippy::cast_precision_loss)]
        let (n, query_length) = (self.lengths.len() as f64, tokens.len() as f64);
        let mean = (self.total / n).max(1.0);
        let chosen = self.choose(tokens);
        let mut scores: HashMap<u32, f64> = HashMap::new();
        let mut own = self.unseen(tokens) * (1.0 + (n + 0.5) / 0.5).ln();
        let mut read = 0;
        for (postings, count) in &chosen {
            #[allow(clippy::cast_precision_loss)]
            let frequency = postings.len() as f64;
            let idf = (1.0 + (n - frequency + 0.5) / (frequency + 0.5)).ln();
            own += idf * count * (K1 + 1.0) / (count + K1 * (1.0 - B + B * query_length / mean));
            if read + postings.len() > MAX_POSTINGS && read > 0 {
                continue;
            }
            read += postings.len();
            for posting in *postings {
                let length = f64::from(self.length(posting.item));
                let count = f64::from(posting.count);
                let weight = idf * count * (K1 + 1.0) / (count + K1 * (1.0 - B + B * length / mean));
                *scores.entry(posting.item).or_insert(0.0) += weight;
            }
        }
        best(scores, own.max(1e-9), limit)
    }

    /// The rarest known terms of a query with their postings, rarest first.
    fn choose<'a>(&'a self, tokens: &[String]) -> Vec<(&'a [Posting], f64)> {
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let cap =
            if self.lengths.len() < SMALL { usize::MAX } else { ((self.lengths.len() as f64) * MAX_SHARE) as usize };
        let mut known: Vec<(usize, &str, f64)> = counts(tokens)
            .into_iter()
            .filter_map(|(term, count)| self.terms.get(term).map(|p| (p.len(), term, count)))
            .filter(|(frequency, _, _)| *frequency <= cap)
            .collect();
        known.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.cmp(b.1)));
        known.truncate(MAX_TERMS);
        known.into_iter().filter_map(|(_, term, count)| Some((self.terms.get(term)?.as_slice(), count))).collect()
    }

    /// How many of a query's terms no item has, at most as many as are read; they make every item less alike.
    fn unseen(&self, tokens: &[String]) -> f64 {
        let unseen = counts(tokens).into_keys().filter(|term| !self.terms.contains_key(*term)).count();
        f64::from(u32::try_from(unseen.min(MAX_TERMS)).unwrap_or(0))
    }

    fn length(&self, item: u32) -> u32 {
        match self.lengths.binary_search_by_key(&item, |(number, _)| *number) {
            Ok(at) => self.lengths[at].1,
            Err(_) => 0,
        }
    }
}

/// Best first; a total order, so that the map's own order never shows.
fn best(scores: HashMap<u32, f64>, own: f64, limit: usize) -> Vec<Like> {
    let mut all: Vec<Like> = scores.into_iter().map(|(item, score)| Like { item, similarity: score / own }).collect();
    let order = |a: &Like, b: &Like| b.similarity.total_cmp(&a.similarity).then(b.item.cmp(&a.item));
    if all.len() > limit && limit > 0 {
        all.select_nth_unstable_by(limit - 1, order);
        all.truncate(limit);
    }
    all.sort_by(order);
    all
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
