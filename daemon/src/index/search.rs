//! From words to ranked hits, over what is committed and what waits.
//!
//! tantivy finds the best documents; their scores are then summed again here in one fixed order, with the statistics of
//! the index and the overlay together, so that a document has the same score before and after its commit and the order
//! never depends on how segments happen to be cut. Ties go to the newer document, then to the smaller id.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ops::Bound;

use clone_schema::Timestamp;
use clone_schema::text::head;
use tantivy::collector::TopDocs;
use tantivy::fieldnorm::FieldNormReader;
use tantivy::postings::Postings;
use tantivy::query::{
    Bm25StatisticsProvider, Bm25Weight, BooleanQuery, BoostQuery, ConstScoreQuery, Occur, RangeQuery, TermQuery,
};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocAddress, DocSet, Searcher, TERMINATED, TantivyDocument, TantivyError, Term};

use super::document::{Document, Fields, Tier, key, micros};
use super::overlay::Overlay;
use super::tokens::{self, Kind};

/// How many terms of a query are searched: the rarest ones.
pub const MAX_TERMS: usize = 16;
/// How many different terms of a long query are looked at, in its order.
const MAX_CANDIDATES: usize = 256;
/// How much of a query is looked at, in bytes.
const MAX_QUERY_BYTES: usize = 16 * 1024;
/// The largest number of hits of one search.
pub const MAX_HITS: usize = 1_000;
/// How many documents are fetched at most to break ties at the last place.
const MAX_FETCH: usize = 4_096;
/// How many more documents than asked are fetched, for scores that differ only by rounding.
const SLACK: usize = 16;
/// How much more a word of the title counts.
const TITLE_BOOST: f32 = 2.0;
/// The longest snippet, in characters.
pub const MAX_SNIPPET_CHARS: usize = 240;
/// How much of a snippet comes before the first match, in characters.
const SNIPPET_LEAD: usize = 60;

/// What to look for.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// Words; anything goes, no text is a syntax error. Without a word that is indexed nothing is found.
    pub text: &'a str,
    /// Only this layer.
    pub tier: Option<Tier>,
    /// Only this session.
    pub session: Option<&'a str>,
    /// Only this agent.
    pub agent: Option<&'a str>,
    /// Only documents with at least one of these tags; empty for all.
    pub tags: &'a [String],
    /// Only what happened at or after.
    pub since: Option<Timestamp>,
    /// Only what happened before.
    pub until: Option<Timestamp>,
    /// How many hits, at most [`MAX_HITS`].
    pub limit: usize,
}

/// One document that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// Its id.
    pub id: String,
    /// Its layer.
    pub tier: Tier,
    /// How well it fits: unbounded, comparable only within one search.
    pub score: f32,
    /// When it happened.
    pub at: Timestamp,
    /// Its session.
    pub session: String,
    /// The text around the first match, one line, at most [`MAX_SNIPPET_CHARS`].
    pub snippet: String,
}

/// One place where a word of the query may be.
struct Clause {
    field: Field,
    word: String,
    weight: Bm25Weight,
}

/// Word statistics of the index and the overlay together.
struct Statistics<'a> {
    searcher: &'a Searcher,
    overlay: &'a Overlay,
    fields: Fields,
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

/// The best hits, best first.
pub(super) fn search(
    searcher: &Searcher,
    overlay: &Overlay,
    fields: Fields,
    query: &Query<'_>,
) -> Result<Vec<Hit>, TantivyError> {
    let limit = query.limit.min(MAX_HITS);
    overlay.count();
    let statistics = Statistics { searcher, overlay, fields };
    let clauses = clauses(&statistics, query.text)?;
    if limit == 0 || clauses.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = committed(&statistics, &clauses, query, limit)?;
    found.extend(waiting(overlay, fields, &clauses, query));
    found.sort_by(best_first);
    found.truncate(limit);
    let words: BTreeSet<&str> = clauses.iter().map(|clause| clause.word.as_str()).collect();
    Ok(found.into_iter().map(|(score, document)| hit(score, document, &words)).collect())
}

fn best_first(a: &(f32, Document), b: &(f32, Document)) -> Ordering {
    b.0.total_cmp(&a.0).then(b.1.at.cmp(&a.1.at)).then_with(|| a.1.id.cmp(&b.1.id))
}

/// The rarest words of the query that occur at all, in alphabetical order, with their weights.
fn clauses(statistics: &Statistics<'_>, text: &str) -> tantivy::Result<Vec<Clause>> {
    let fields = [statistics.fields.text, statistics.fields.title];
    let total = statistics.total_num_docs()?;
    let mut ranked = Vec::new();
    for (place, (word, kind)) in words(text).into_iter().enumerate() {
        let frequencies = [statistics.documents(fields[0], &word)?, statistics.documents(fields[1], &word)?];
        if frequencies != [0, 0] {
            ranked.push((kind == Kind::Ideograph, frequencies[0] + frequencies[1], place, word, frequencies));
        }
    }
    ranked.sort();
    ranked.truncate(MAX_TERMS);
    ranked.sort_by(|a, b| a.3.cmp(&b.3));
    let mut lengths = [0.0_f32; 2];
    for (length, field) in lengths.iter_mut().zip(fields) {
        *length = statistics.total_num_tokens(field)? as f32 / total.max(1) as f32;
    }
    let mut out = Vec::new();
    for (_, _, _, word, frequencies) in ranked {
        for (i, boost) in [(0, 1.0), (1, TITLE_BOOST)] {
            if frequencies[i] > 0 {
                let weight = Bm25Weight::for_one_term_without_explain(frequencies[i], total, lengths[i]);
                out.push(Clause { field: fields[i], word: word.clone(), weight: weight.boost_by(boost) });
            }
        }
    }
    Ok(out)
}

/// The different words of a query in its order, without those that say nothing unless there are no others.
fn words(text: &str) -> Vec<(String, Kind)> {
    let text = head(text, MAX_QUERY_BYTES);
    let pieces = tokens::pieces(text);
    let all_stop = pieces.iter().all(|piece| piece.kind == Kind::Stop);
    let mut seen = BTreeSet::new();
    pieces
        .into_iter()
        .filter(|piece| piece.kind != Kind::Syllable && (all_stop || piece.kind != Kind::Stop))
        .filter(|piece| seen.insert(piece.term.clone()))
        .take(MAX_CANDIDATES)
        .map(|piece| (piece.term, piece.kind))
        .collect()
}

fn committed(
    statistics: &Statistics<'_>,
    clauses: &[Clause],
    query: &Query<'_>,
    limit: usize,
) -> tantivy::Result<Vec<(f32, Document)>> {
    let wanted = limit + statistics.overlay.hidden();
    let mut scored = top(statistics, &tantivy_query(statistics.fields, clauses, query), wanted)?;
    rescore(statistics.searcher, clauses, &mut scored)?;
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    if let Some(last) = scored.get(wanted - 1).map(|(score, _)| *score) {
        scored.retain(|(score, _)| *score >= last);
    }
    let mut out = Vec::new();
    for (score, address) in scored {
        let stored: TantivyDocument = statistics.searcher.doc(address)?;
        out.extend(statistics.fields.read(&stored).map(|document| (score, document)));
    }
    out.retain(|(_, document)| !statistics.overlay.covers(&document.id));
    Ok(out)
}

/// The best documents by tantivy, and all that tie with the last one as far as [`MAX_FETCH`] goes.
fn top(statistics: &Statistics<'_>, query: &BooleanQuery, wanted: usize) -> tantivy::Result<Vec<(f32, DocAddress)>> {
    let mut fetch = wanted + SLACK;
    loop {
        let collector = TopDocs::with_limit(fetch).order_by_score();
        let found = statistics.searcher.search_with_statistics_provider(query, &collector, statistics)?;
        let full = found.len() == fetch;
        let (Some(last), Some(wanted)) = (found.last(), found.get(wanted - 1)) else { return Ok(found) };
        let tied = wanted.0 - last.0 <= wanted.0.abs() * 1e-5;
        if !full || !tied || fetch >= MAX_FETCH {
            return Ok(found);
        }
        fetch = (fetch * 4).min(MAX_FETCH.max(fetch));
    }
}

fn tantivy_query(fields: Fields, clauses: &[Clause], query: &Query<'_>) -> BooleanQuery {
    let any: Vec<(Occur, Box<dyn tantivy::query::Query>)> = clauses
        .iter()
        .map(|clause| {
            let term = Term::from_field_text(clause.field, &clause.word);
            let plain = Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs));
            let boosted: Box<dyn tantivy::query::Query> =
                if clause.field == fields.title { Box::new(BoostQuery::new(plain, TITLE_BOOST)) } else { plain };
            (Occur::Should, boosted)
        })
        .collect();
    let filters = filters(fields, query);
    if filters.is_empty() {
        return BooleanQuery::new(any);
    }
    let mut all: Vec<(Occur, Box<dyn tantivy::query::Query>)> = vec![(Occur::Must, Box::new(BooleanQuery::new(any)))];
    all.extend(filters.into_iter().map(|filter| {
        let unscored: Box<dyn tantivy::query::Query> = Box::new(ConstScoreQuery::new(filter, 0.0));
        (Occur::Must, unscored)
    }));
    BooleanQuery::new(all)
}

fn filters(fields: Fields, query: &Query<'_>) -> Vec<Box<dyn tantivy::query::Query>> {
    let term = |field, text: &str| -> Box<dyn tantivy::query::Query> {
        Box::new(TermQuery::new(Term::from_field_text(field, text), IndexRecordOption::Basic))
    };
    let mut out = Vec::new();
    out.extend(query.tier.map(|tier| term(fields.tier, tier.name())));
    out.extend(query.session.map(|session| term(fields.session_key, &key(session))));
    out.extend(query.agent.map(|agent| term(fields.agent, &key(agent))));
    if !query.tags.is_empty() {
        let tags = query.tags.iter().map(|tag| (Occur::Should, term(fields.tag, &key(tag)))).collect();
        out.push(Box::new(BooleanQuery::new(tags)) as Box<dyn tantivy::query::Query>);
    }
    if query.since.is_some() || query.until.is_some() {
        let bound = |at: Timestamp| Term::from_field_i64(fields.at, micros(at));
        let since = query.since.map_or(Bound::Unbounded, |at| Bound::Included(bound(at)));
        let until = query.until.map_or(Bound::Unbounded, |at| Bound::Excluded(bound(at)));
        out.push(Box::new(RangeQuery::new(since, until)));
    }
    out
}

fn allowed(document: &Document, query: &Query<'_>) -> bool {
    query.tier.is_none_or(|tier| document.tier == tier)
        && query.session.is_none_or(|session| document.session == session)
        && query.agent.is_none_or(|agent| document.agent == agent)
        && (query.tags.is_empty() || query.tags.iter().any(|tag| document.tags.contains(tag)))
        && query.since.is_none_or(|at| micros(document.at) >= micros(at))
        && query.until.is_none_or(|at| micros(document.at) < micros(at))
}

/// Sums each score again, clause by clause.
fn rescore(searcher: &Searcher, clauses: &[Clause], found: &mut [(f32, DocAddress)]) -> tantivy::Result<()> {
    found.sort_by_key(|(_, address)| *address);
    for group in found.chunk_by_mut(|a, b| a.1.segment_ord == b.1.segment_ord) {
        group.iter_mut().for_each(|(score, _)| *score = 0.0);
        let segment = searcher.segment_reader(group[0].1.segment_ord);
        for clause in clauses {
            let norms = segment.get_fieldnorms_reader(clause.field)?;
            let term = Term::from_field_text(clause.field, &clause.word);
            let index = segment.inverted_index(clause.field)?;
            let Some(mut postings) = index.read_postings(&term, IndexRecordOption::WithFreqs)? else { continue };
            for (score, address) in group.iter_mut() {
                if postings.doc() != TERMINATED && postings.doc() < address.doc_id {
                    postings.seek(address.doc_id);
                }
                if postings.doc() == address.doc_id {
                    *score += clause.weight.score(norms.fieldnorm_id(address.doc_id), postings.term_freq());
                }
            }
        }
    }
    Ok(())
}

/// The documents of the overlay that fit, scored as they will be once they are committed.
fn waiting<'a>(
    overlay: &'a Overlay,
    fields: Fields,
    clauses: &'a [Clause],
    query: &'a Query<'_>,
) -> impl Iterator<Item = (f32, Document)> + 'a {
    overlay.documents().filter(|(document, _)| allowed(document, query)).filter_map(move |(document, counts)| {
        let mut score = 0.0_f32;
        for clause in clauses {
            let counts = if clause.field == fields.title { &counts.1 } else { &counts.0 };
            let frequency = counts.frequency(&clause.word);
            if frequency > 0 {
                score += clause.weight.score(FieldNormReader::fieldnorm_to_id(counts.total()), frequency);
            }
        }
        (score > 0.0).then(|| (score, document.clone()))
    })
}

fn hit(score: f32, document: Document, words: &BTreeSet<&str>) -> Hit {
    let text = if document.text.trim().is_empty() { &document.title } else { &document.text };
    let snippet = snippet(text, words);
    Hit { id: document.id, tier: document.tier, score, at: document.at, session: document.session, snippet }
}

/// The text around the first of the words, as one line; the beginning where none occurs.
fn snippet(text: &str, words: &BTreeSet<&str>) -> String {
    let first = tokens::pieces(text).into_iter().find(|piece| words.contains(piece.term.as_str()));
    let at = first.map_or(0, |piece| piece.start);
    let lead = text[..at].char_indices().rev().take(SNIPPET_LEAD).last().map_or(at, |(i, _)| i);
    // A cut word at the front says nothing.
    let start = match text[lead..at].find(char::is_whitespace) {
        Some(gap) if lead > 0 => lead + gap,
        _ => lead,
    };
    let mut line = String::new();
    for c in text[start..].chars().map(|c| if c.is_control() { ' ' } else { c }) {
        if !(c.is_whitespace() && (line.is_empty() || line.ends_with(' '))) {
            line.push(if c.is_whitespace() { ' ' } else { c });
        }
        if line.len() > MAX_SNIPPET_CHARS * 4 {
            break;
        }
    }
    let line = if start > 0 { format!("…{}", line.trim()) } else { line.trim().to_owned() };
    match line.char_indices().nth(MAX_SNIPPET_CHARS) {
        None => line,
        Some(_) => line.chars().take(MAX_SNIPPET_CHARS - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snippet_is_one_short_line_around_the_match() {
        let words = BTreeSet::from(["needl"]);
        let text = format!("{} needle\n\n{}", "hay ".repeat(500), "straw ".repeat(500));
        let line = snippet(&text, &words);
        assert_eq!(line.chars().count(), MAX_SNIPPET_CHARS);
        assert!(line.starts_with("…hay ") && line.ends_with('…'), "{line}");
        assert!(line.contains("hay needle straw"), "{line}");
        assert_eq!(snippet("a\tb \u{1b} c", &words), "a b c");
        assert_eq!(snippet("", &words), "");
    }

    #[test]
    fn a_query_of_stop_words_alone_keeps_them() {
        let found = |text| words(text).into_iter().map(|(word, _)| word).collect::<Vec<_>>();
        assert_eq!(found("to be or"), ["to", "be", "or"]);
        assert_eq!(found("what about the index index"), ["index"]);
        assert_eq!(found("한국어"), ["한국", "국어"]);
    }

    #[test]
    fn a_huge_query_is_cut() {
        let text = (0..100_000).map(|i| format!("w{i} ")).collect::<String>();
        assert_eq!(words(&text).len(), MAX_CANDIDATES);
    }
}
