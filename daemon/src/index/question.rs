//! What a query asks: its words and their weights, the speakers it names, and whether it wants a time.

use std::collections::BTreeSet;

use clone_schema::text::head;
use tantivy::query::{Bm25StatisticsProvider, Bm25Weight};
use tantivy::schema::Field;
use tantivy::{Searcher, Term};

use super::columns::Columns;
use super::cues;
use super::document::Fields;
use super::overlay::Overlay;
use super::rank::Asked;
use super::tokens::{self, Kind};

/// How many terms of a query are searched: the rarest ones.
pub const MAX_TERMS: usize = 16;
/// How many different terms of a long query are looked at, in its order.
const MAX_CANDIDATES: usize = 256;
/// How much of a query is looked at, in bytes.
const MAX_QUERY_BYTES: usize = 16 * 1024;
/// How many words of a query may name a speaker.
const MAX_NAMING: usize = 48;
/// How much more a word of the title counts.
pub(super) const TITLE_BOOST: f32 = 2.0;

/// One place where a word of the query may be.
pub(super) struct Clause {
    pub field: Field,
    pub word: String,
    pub term: Term,
    /// In how many documents it is.
    documents: u64,
    pub weight: Bm25Weight,
}

/// A query, read.
pub(super) struct Question {
    pub clauses: Vec<Clause>,
    /// How many documents there are, and how many words their texts and titles have.
    total: u64,
    tokens: [u64; 2],
    pub asked: Asked,
}

/// A word of the query that occurs, and in how many texts and titles it does.
struct Known {
    is_weak: bool,
    place: usize,
    word: String,
    documents: [u64; 2],
}

/// Word statistics of the index and the overlay together.
pub(super) struct Statistics<'a> {
    pub searcher: &'a Searcher,
    pub overlay: &'a Overlay,
    pub fields: Fields,
}

impl Statistics<'_> {
    /// The place of a field in the sums of the overlay.
    fn place(&self, field: Field) -> usize {
        usize::from(field == self.fields.title)
    }

    fn documents(&self, field: Field, word: &str) -> tantivy::Result<u64> {
        self.doc_freq(&Term::from_field_text(field, word))
    }
}

impl Bm25StatisticsProvider for Statistics<'_> {
    fn total_num_tokens(&self, field: Field) -> tantivy::Result<u64> {
        let committed = Bm25StatisticsProvider::total_num_tokens(self.searcher, field)?;
        Ok(committed + self.overlay.totals()[self.place(field)])
    }

    fn total_num_docs(&self) -> tantivy::Result<u64> {
        let waiting = self.overlay.document_count() as u64;
        Ok(Bm25StatisticsProvider::total_num_docs(self.searcher)? + waiting)
    }

    fn doc_freq(&self, term: &Term) -> tantivy::Result<u64> {
        let value = term.value();
        let word = value.as_str().unwrap_or_default();
        Ok(self.searcher.doc_freq(term)? + self.overlay.frequencies(word)[self.place(term.field())])
    }
}

impl Question {
    /// Reads a query. Names of speakers are no words of it where it has others: that somebody is addressed by a name says
    /// little about what was said.
    pub fn of(statistics: &Statistics<'_>, columns: &Columns, text: &str) -> tantivy::Result<Self> {
        let text = head(text, MAX_QUERY_BYTES);
        let plain = cues::words(text);
        let (mut who, mut named) = (Vec::new(), Vec::new());
        for (name, start, end) in cues::names(&plain[..plain.len().min(MAX_NAMING)]) {
            if columns.is_speaker(name) || statistics.overlay.is_speaker(name) {
                who.push(name);
                named.push((start, end));
            }
        }
        let total = statistics.total_num_docs()?;
        let known = known(statistics, words(text, &named))?;
        let weight = known.iter().map(|word| idf(word.documents[0].max(word.documents[1]), total)).sum();
        let fields = [statistics.fields.text, statistics.fields.title];
        let tokens = [statistics.total_num_tokens(fields[0])?, statistics.total_num_tokens(fields[1])?];
        let clauses = clauses(fields, known, total, tokens);
        Ok(Self { clauses, total, tokens, asked: Asked { who, when: cues::asks_when(&plain), weight } })
    }

    /// The words that are searched for.
    pub fn words(&self) -> BTreeSet<&str> {
        self.clauses.iter().map(|clause| clause.word.as_str()).collect()
    }
}

/// The statistics of a query's own words, which were counted when it was read.
pub(super) struct Counted<'a> {
    pub statistics: &'a Statistics<'a>,
    pub question: &'a Question,
}

impl Bm25StatisticsProvider for Counted<'_> {
    fn total_num_tokens(&self, field: Field) -> tantivy::Result<u64> {
        Ok(self.question.tokens[self.statistics.place(field)])
    }

    fn total_num_docs(&self) -> tantivy::Result<u64> {
        Ok(self.question.total)
    }

    fn doc_freq(&self, term: &Term) -> tantivy::Result<u64> {
        let known = self.question.clauses.iter().find(|clause| clause.term == *term);
        known.map_or_else(|| self.statistics.doc_freq(term), |clause| Ok(clause.documents))
    }
}

/// The rarest words of the query that occur at all, in alphabetical order.
fn known(statistics: &Statistics<'_>, words: Vec<(String, Kind)>) -> tantivy::Result<Vec<Known>> {
    let fields = [statistics.fields.text, statistics.fields.title];
    let mut known = Vec::new();
    for (place, (word, kind)) in words.into_iter().enumerate() {
        let documents = [statistics.documents(fields[0], &word)?, statistics.documents(fields[1], &word)?];
        if documents != [0, 0] {
            known.push(Known { is_weak: kind == Kind::Ideograph, place, word, documents });
        }
    }
    known.sort_by_key(|word| (word.is_weak, word.documents[0] + word.documents[1], word.place));
    known.truncate(MAX_TERMS);
    known.sort_by(|a, b| a.word.cmp(&b.word));
    Ok(known)
}

fn clauses(fields: [Field; 2], known: Vec<Known>, total: u64, tokens: [u64; 2]) -> Vec<Clause> {
    let lengths = tokens.map(|tokens| tokens as f32 / total.max(1) as f32);
    let mut out = Vec::new();
    for Known { word, documents, .. } in known {
        for (i, boost) in [(0, 1.0), (1, TITLE_BOOST)] {
            if documents[i] > 0 {
                let weight = Bm25Weight::for_one_term_without_explain(documents[i], total, lengths[i]);
                let (field, weight) = (fields[i], weight.boost_by(boost));
                let term = Term::from_field_text(field, &word);
                out.push(Clause { field, word: word.clone(), term, documents: documents[i], weight });
            }
        }
    }
    out
}

/// What a word that occurs in so many documents is worth; deleted ones may still be counted.
fn idf(documents: u64, total: u64) -> f32 {
    let (documents, total) = (documents as f32, total.max(documents) as f32);
    ((total - documents + 0.5) / (documents + 0.5)).ln_1p()
}

/// The different words of a query in its order, without names and those that say nothing, unless there are no others.
fn words(text: &str, named: &[(usize, usize)]) -> Vec<(String, Kind)> {
    let pieces = tokens::pieces(text);
    let is_name = |piece: &tokens::Piece| named.iter().any(|(start, end)| *start <= piece.start && piece.end <= *end);
    let says = |piece: &tokens::Piece| piece.kind != Kind::Stop;
    let all_named = pieces.iter().all(|piece| is_name(piece) || !says(piece));
    let all_stop = pieces.iter().all(|piece| !says(piece));
    let mut seen = BTreeSet::new();
    pieces
        .into_iter()
        .filter(|piece| piece.kind != Kind::Syllable && (all_stop || says(piece)) && (all_named || !is_name(piece)))
        .filter(|piece| seen.insert(piece.term.clone()))
        .take(MAX_CANDIDATES)
        .map(|piece| (piece.term, piece.kind))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, named: &[(usize, usize)]) -> Vec<String> {
        words(text, named).into_iter().map(|(word, _)| word).collect()
    }

    #[test]
    fn a_query_of_stop_words_alone_keeps_them() {
        assert_eq!(found("to be or", &[]), ["to", "be", "or"]);
        assert_eq!(found("what about the index index", &[]), ["index"]);
        assert_eq!(found("한국어", &[]), ["한국", "국어"]);
    }

    #[test]
    fn names_are_no_words_where_there_are_others() {
        assert_eq!(found("what did Ann's sister sell", &[(9, 14)]), ["sister", "sell"]);
        assert_eq!(found("what did Ann do", &[(9, 12)]), ["ann"]);
        assert_eq!(found("Ann", &[(0, 3)]), ["ann"]);
    }

    #[test]
    fn a_huge_query_is_cut() {
        let text = (0..100_000).map(|i| format!("w{i} ")).collect::<String>();
        assert_eq!(words(&text, &[]).len(), MAX_CANDIDATES);
    }
}
