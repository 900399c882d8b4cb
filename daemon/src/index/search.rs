//! From words to ranked hits, over what is committed and what waits.
//!
//! tantivy finds the best documents; their scores are then summed again here in one fixed order, with the statistics of
//! the index and the overlay together, so that a document has the same score before and after its commit and the order
//! never depends on how segments happen to be cut. The best of them are [ranked](super::rank) among the rows of their
//! sessions, which brings in rows that share no word with the query. Ties go to the newer document, then to the smaller
//! id.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

use clone_schema::Timestamp;
use tantivy::fieldnorm::FieldNormReader;
use tantivy::postings::Postings;
use tantivy::query::{
    BooleanQuery, BoostQuery, ConstScoreQuery, EnableScoring, Occur, Query as TantivyQuery, RangeQuery, TermQuery,
    Weight,
};
use tantivy::schema::IndexRecordOption;
use tantivy::{DocAddress, DocSet, Searcher, TERMINATED, TantivyDocument, TantivyError, Term};

use super::columns::Columns;
use super::document::{Document, Fields, Tier, key, micros};
use super::overlay::{Overlay, Reading};
use super::question::{Clause, Counted, Question, Statistics, TITLE_BOOST};
use super::rank::{self, Row};
use super::snippet::{highlights, snippet};

/// The largest number of hits of one search, those that are passed over included.
pub const MAX_HITS: usize = 1_000;
/// How many documents are ranked among their neighbours: what fits less well is not looked at.
const CANDIDATES: usize = 64;
/// How many documents are fetched at most to break ties at the last place.
const MAX_FETCH: usize = 4_096;
/// What scores that differ only by rounding differ by at most, as a share.
const ROUNDING: f32 = 1e-5;
/// The sessions whose rows are looked at: the best ones.
const MAX_SESSIONS: usize = 8;
/// How many rows they may have together; a session that would exceed it is not looked at.
const MAX_SESSION_ROWS: u64 = 8_192;

/// What to look for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Query<'a> {
    /// Words; anything goes, no text is a syntax error. Without a word that is indexed nothing is found.
    pub text: &'a str,
    /// Only this layer.
    pub tier: Option<Tier>,
    /// Only this session.
    pub session: Option<&'a str>,
    /// Only this agent.
    pub agent: Option<&'a str>,
    /// Only this project.
    pub project: Option<&'a str>,
    /// Only this kind of event.
    pub topic: Option<&'a str>,
    /// Only documents with at least one of these tags; empty for all.
    pub tags: &'a [String],
    /// Only what happened at or after.
    pub since: Option<Timestamp>,
    /// Only what happened before.
    pub until: Option<Timestamp>,
    /// How many hits to pass over.
    pub offset: usize,
    /// How many hits; with the offset at most [`MAX_HITS`].
    pub limit: usize,
    /// Whether hits are to be shown: each then has a snippet, with the words of the query marked in it.
    pub snippets: bool,
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
    /// Its position in the log, 0 for what has none.
    pub position: u64,
    /// Its title, empty for most.
    pub title: String,
    /// Its text, as far as it is indexed.
    pub text: String,
    /// The text around the first match, one line, at most [`MAX_SNIPPET_CHARS`](super::MAX_SNIPPET_CHARS); empty unless
    /// the query wants it.
    pub snippet: String,
    /// Where the words of the query stand in the snippet: from and to, in characters.
    pub highlights: Vec<(usize, usize)>,
}

/// What is searched.
pub(super) struct Shelf<'a> {
    pub searcher: &'a Searcher,
    pub columns: &'a Columns,
    pub overlay: &'a Overlay,
    pub fields: Fields,
}

/// Where a row comes from.
#[derive(Clone, Copy)]
enum Source<'a> {
    Committed(DocAddress),
    Waiting(&'a Document),
}

/// A row that may be shown.
#[derive(Clone, Copy)]
struct Found<'a> {
    row: Row,
    at: i64,
    source: Source<'a>,
}

/// A row and its score among its neighbours.
type Ranked<'a> = (f32, Found<'a>);

/// The best hits, best first.
pub(super) fn search(shelf: &Shelf<'_>, query: &Query<'_>) -> Result<Vec<Hit>, TantivyError> {
    let end = (query.offset.saturating_add(query.limit)).min(MAX_HITS);
    shelf.overlay.count();
    let statistics = Statistics { searcher: shelf.searcher, overlay: shelf.overlay, fields: shelf.fields };
    let question = Question::of(&statistics, shelf.columns, query.text)?;
    if query.limit == 0 || end <= query.offset || question.clauses.is_empty() {
        return Ok(Vec::new());
    }
    // The same for every page of an ordinary length, so that pages fit together.
    let wanted = end.max(CANDIDATES);
    let counted = Counted { statistics: &statistics, question: &question };
    let mut candidates = committed(shelf, &counted, query, wanted)?;
    candidates.extend(waiting(shelf, &question.clauses, query).filter(|found| found.row.own > 0.0));
    candidates.sort_by(|a, b| b.row.own.total_cmp(&a.row.own));
    if let Some(last) = candidates.get(wanted - 1).map(|found| found.row.own) {
        candidates.retain(|found| found.row.own >= last);
    }
    let ranked = in_context(shelf, &question, query, candidates)?;
    page(shelf, &question, ranked, query, end)
}

/// The documents that fit best by their own words; those that tie with the last one too.
fn committed<'a>(
    shelf: &Shelf<'a>,
    counted: &Counted<'_>,
    query: &Query<'_>,
    wanted: usize,
) -> tantivy::Result<Vec<Found<'a>>> {
    let clauses = &counted.question.clauses;
    let wanted = wanted + shelf.overlay.hidden().len();
    let any_of = tantivy_query(shelf.fields, clauses, query);
    let weight = any_of.weight(EnableScoring::enabled_from_statistics_provider(counted, shelf.searcher))?;
    let mut scored = top(shelf.searcher, weight.as_ref(), wanted)?;
    rescore(shelf.searcher, clauses, &mut scored)?;
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    if let Some(last) = scored.get(wanted - 1).map(|(score, _)| *score) {
        scored.retain(|(score, _)| *score >= last);
    }
    scored.retain(|(_, address)| !shelf.overlay.hidden().contains(address));
    Ok(scored.into_iter().map(|(own, address)| on_disk(shelf, address, own)).collect())
}

fn on_disk<'a>(shelf: &Shelf<'a>, address: DocAddress, own: f32) -> Found<'a> {
    let numbers = shelf.columns.numbers(address);
    let (bearings, length) = (numbers.bearings, numbers.length);
    let row = Row { own, group: bearings.group, place: bearings.place, who: bearings.who, length };
    Found { row, at: numbers.at, source: Source::Committed(address) }
}

/// The best documents by tantivy, and all that tie with the last one as far as [`MAX_FETCH`] goes.
///
/// One pass: what a segment must beat is what the segments before it hold.
fn top(searcher: &Searcher, weight: &dyn Weight, wanted: usize) -> tantivy::Result<Vec<(f32, DocAddress)>> {
    let mut best = Best::new(wanted);
    for (ordinal, segment) in (0..).zip(searcher.segment_readers()) {
        let alive = segment.alive_bitset();
        weight.for_each_pruning(best.floor, segment, &mut |doc, score| {
            if alive.is_none_or(|alive| alive.is_alive(doc)) {
                best.offer(score, DocAddress::new(ordinal, doc));
            }
            best.floor
        })?;
    }
    best.cut();
    Ok(best.found)
}

/// The documents that may still be among the best.
struct Best {
    wanted: usize,
    found: Vec<(f32, DocAddress)>,
    /// What a document must have more than.
    floor: f32,
    /// How many are held before those that cannot be among the best any more are dropped.
    room: usize,
}

impl Best {
    fn new(wanted: usize) -> Self {
        Self { wanted, found: Vec::new(), floor: f32::MIN, room: wanted * 2 }
    }

    fn offer(&mut self, score: f32, address: DocAddress) {
        self.found.push((score, address));
        if self.found.len() >= self.room {
            self.cut();
            self.room = self.found.len() + self.wanted;
        }
    }

    /// Drops what is worse than the last that is wanted by more than rounding, and ties beyond [`MAX_FETCH`].
    fn cut(&mut self) {
        if self.found.len() <= self.wanted {
            return;
        }
        self.found.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let last = self.found[self.wanted - 1].0;
        self.floor = (last - last.abs() * ROUNDING).next_down();
        let floor = self.floor;
        self.found.retain(|(score, _)| *score > floor);
        let most = MAX_FETCH.max(self.wanted);
        if self.found.len() >= most {
            self.found.truncate(most);
            self.floor = self.floor.max(self.found[most - 1].0);
        }
    }
}

fn tantivy_query(fields: Fields, clauses: &[Clause], query: &Query<'_>) -> BooleanQuery {
    let any: Vec<(Occur, Box<dyn TantivyQuery>)> = clauses
        .iter()
        .map(|clause| {
            let plain = Box::new(TermQuery::new(clause.term.clone(), IndexRecordOption::WithFreqs));
            let boosted: Box<dyn TantivyQuery> =
                if clause.field == fields.title { Box::new(BoostQuery::new(plain, TITLE_BOOST)) } else { plain };
            (Occur::Should, boosted)
        })
        .collect();
    let filters = filters(fields, query);
    if filters.is_empty() { BooleanQuery::new(any) } else { filtered(any, filters) }
}

/// Any of these, and all of the filters, which count for nothing in the score.
fn filtered(any: Vec<(Occur, Box<dyn TantivyQuery>)>, filters: Vec<Box<dyn TantivyQuery>>) -> BooleanQuery {
    let mut all: Vec<(Occur, Box<dyn TantivyQuery>)> = vec![(Occur::Must, Box::new(BooleanQuery::new(any)))];
    all.extend(filters.into_iter().map(|filter| {
        let unscored: Box<dyn TantivyQuery> = Box::new(ConstScoreQuery::new(filter, 0.0));
        (Occur::Must, unscored)
    }));
    BooleanQuery::new(all)
}

fn filters(fields: Fields, query: &Query<'_>) -> Vec<Box<dyn TantivyQuery>> {
    let term = |field, text: &str| -> Box<dyn TantivyQuery> {
        Box::new(TermQuery::new(Term::from_field_text(field, text), IndexRecordOption::Basic))
    };
    let mut out = Vec::new();
    out.extend(query.tier.map(|tier| term(fields.tier, tier.name())));
    out.extend(query.session.map(|session| term(fields.session_key, &key(session))));
    out.extend(query.agent.map(|agent| term(fields.agent, &key(agent))));
    out.extend(query.project.map(|project| term(fields.project, &key(project))));
    out.extend(query.topic.map(|topic| term(fields.topic, &key(topic))));
    if !query.tags.is_empty() {
        let tags = query.tags.iter().map(|tag| (Occur::Should, term(fields.tag, &key(tag)))).collect();
        out.push(Box::new(BooleanQuery::new(tags)) as Box<dyn TantivyQuery>);
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
    let is = |wanted: Option<&str>, value: &str| wanted.is_none_or(|wanted| wanted == value);
    query.tier.is_none_or(|tier| document.tier == tier)
        && is(query.session, &document.session)
        && is(query.agent, &document.agent)
        && is(query.project, &document.project)
        && is(query.topic, &document.topic)
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
            let index = segment.inverted_index(clause.field)?;
            let Some(mut postings) = index.read_postings(&clause.term, IndexRecordOption::WithFreqs)? else { continue };
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

/// The documents of the overlay that the filters let through, scored as they will be once they are committed.
fn waiting<'a>(shelf: &Shelf<'a>, clauses: &'a [Clause], query: &'a Query<'_>) -> impl Iterator<Item = Found<'a>> {
    let fields = shelf.fields;
    shelf.overlay.documents().filter(|(document, _)| allowed(document, query)).map(move |(document, reading)| {
        let mut own = 0.0_f32;
        for clause in clauses {
            let counts = if clause.field == fields.title { &reading.title } else { &reading.text };
            let frequency = counts.frequency(&clause.word);
            if frequency > 0 {
                own += clause.weight.score(FieldNormReader::fieldnorm_to_id(counts.total()), frequency);
            }
        }
        in_memory(document, reading, own)
    })
}

fn in_memory<'a>(document: &'a Document, reading: &Reading, own: f32) -> Found<'a> {
    let bearings = reading.bearings;
    // As it will be read back: lengths are kept roughly.
    let length = FieldNormReader::id_to_fieldnorm(FieldNormReader::fieldnorm_to_id(reading.text.total()));
    let row = Row { own, group: bearings.group, place: bearings.place, who: bearings.who, length };
    Found { row, at: micros(document.at), source: Source::Waiting(document) }
}

/// Scores the candidates among the rows of their sessions, which may bring in others.
fn in_context<'a>(
    shelf: &Shelf<'a>,
    question: &'a Question,
    query: &'a Query<'_>,
    candidates: Vec<Found<'a>>,
) -> tantivy::Result<Vec<Ranked<'a>>> {
    let mut sessions: BTreeMap<u64, Vec<f32>> = BTreeMap::new();
    for found in candidates.iter().filter(|found| found.row.group != 0) {
        sessions.entry(found.row.group).or_default().push(found.row.own);
    }
    let sessions: BTreeMap<u64, f32> =
        sessions.into_iter().map(|(group, scores)| (group, rank::session(scores.into_iter()))).collect();
    let mut rows = gathered(shelf, question, query, &best(shelf, &sessions)?)?;
    let own: HashMap<DocAddress, f32> =
        candidates.iter().filter_map(|found| Some((found.address()?, found.row.own))).collect();
    let mut ranked = Vec::new();
    for (group, rows) in &mut rows {
        for found in rows.iter_mut() {
            if let Some(address) = found.address() {
                found.row.own = own.get(&address).copied().unwrap_or(0.0);
            }
        }
        rows.sort_by_key(|found| found.row.place);
        let plain: Vec<Row> = rows.iter().map(|found| found.row).collect();
        ranked.extend(rows.iter().enumerate().filter_map(|(at, found)| {
            let near = rank::near(&plain, at)?;
            let found = found.whole(shelf);
            Some((rank::among(near, &found.row, sessions[group], &question.asked), found))
        }));
    }
    for found in candidates.into_iter().filter(|found| !rows.contains_key(&found.row.group)) {
        let session = sessions.get(&found.row.group).copied();
        ranked.push((rank::alone(&found.row, session, &question.asked), found));
    }
    Ok(ranked)
}

impl<'a> Found<'a> {
    /// The row with all that ranks it, of which only its seat may have been read.
    fn whole(self, shelf: &Shelf<'a>) -> Self {
        self.address().map_or(self, |address| on_disk(shelf, address, self.row.own))
    }

    fn address(&self) -> Option<DocAddress> {
        match self.source {
            Source::Committed(address) => Some(address),
            Source::Waiting(_) => None,
        }
    }
}

/// The best sessions, as many as may be looked at.
fn best(shelf: &Shelf<'_>, sessions: &BTreeMap<u64, f32>) -> tantivy::Result<Vec<u64>> {
    let mut order: Vec<(&u64, &f32)> = sessions.iter().collect();
    order.sort_by(|a, b| b.1.total_cmp(a.1).then(a.0.cmp(b.0)));
    let (mut out, mut sum) = (Vec::new(), 0);
    for (group, _) in order.into_iter().take(MAX_SESSIONS) {
        let rows = shelf.searcher.doc_freq(&Term::from_field_u64(shelf.fields.group, *group))?;
        if sum + rows <= MAX_SESSION_ROWS {
            sum += rows;
            out.push(*group);
        }
    }
    Ok(out)
}

/// The rows of these sessions that the filters let through; those of the overlay with their scores, and of the others
/// only the seats.
fn gathered<'a>(
    shelf: &Shelf<'a>,
    question: &'a Question,
    query: &'a Query<'_>,
    groups: &[u64],
) -> tantivy::Result<BTreeMap<u64, Vec<Found<'a>>>> {
    let mut rows: BTreeMap<u64, Vec<Found<'a>>> = groups.iter().map(|group| (*group, Vec::new())).collect();
    if groups.is_empty() {
        return Ok(rows);
    }
    for found in waiting(shelf, &question.clauses, query) {
        if let Some(rows) = rows.get_mut(&found.row.group) {
            rows.push(found);
        }
    }
    let any = groups.iter().map(|group| {
        let term = Term::from_field_u64(shelf.fields.group, *group);
        let term: Box<dyn TantivyQuery> = Box::new(TermQuery::new(term, IndexRecordOption::Basic));
        (Occur::Should, term)
    });
    let weight = filtered(any.collect(), filters(shelf.fields, query))
        .weight(EnableScoring::disabled_from_searcher(shelf.searcher))?;
    for (ordinal, segment) in (0..).zip(shelf.searcher.segment_readers()) {
        let columns = shelf.columns.segment(ordinal);
        let mut take = |docs: &[u32]| {
            for doc in docs.iter().filter(|doc| !segment.is_deleted(**doc)) {
                let (address, (group, place)) = (DocAddress::new(ordinal, *doc), columns.seat(*doc));
                if let Some(rows) = rows.get_mut(&group).filter(|_| !shelf.overlay.hidden().contains(&address)) {
                    let row = Row { own: 0.0, group, place, who: 0, length: 0 };
                    rows.push(Found { row, at: 0, source: Source::Committed(address) });
                }
            }
        };
        weight.for_each_no_score(segment, &mut take)?;
    }
    Ok(rows)
}

/// One page of what was ranked, read from where it lies.
fn page(
    shelf: &Shelf<'_>,
    question: &Question,
    mut ranked: Vec<Ranked<'_>>,
    query: &Query<'_>,
    end: usize,
) -> tantivy::Result<Vec<Hit>> {
    let offset = query.offset;
    let order = |a: &Ranked<'_>, b: &Ranked<'_>| {
        b.0.total_cmp(&a.0).then(b.1.at.cmp(&a.1.at)).then(b.1.row.place.cmp(&a.1.row.place))
    };
    ranked.sort_by(order);
    if let Some(last) = ranked.get(end - 1).copied() {
        ranked.retain(|found| order(found, &last).is_le());
    }
    // Only what ties with something on this page is read besides it.
    let from =
        ranked.get(offset).map_or(ranked.len(), |first| ranked.partition_point(|found| order(found, first).is_lt()));
    let mut read = Vec::new();
    for (score, found) in &ranked[from..] {
        read.extend(document(shelf, found)?.map(|document| (*score, found.at, found.row.place, document)));
    }
    read.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.cmp(&a.1)).then(b.2.cmp(&a.2)).then_with(|| a.3.id.cmp(&b.3.id)));
    let words = query.snippets.then(|| question.words());
    let shown = read.into_iter().skip(offset - from).take(end - offset);
    Ok(shown.map(|(score, _, place, document)| hit(score, place, document, words.as_ref())).collect())
}

fn document(shelf: &Shelf<'_>, found: &Found<'_>) -> tantivy::Result<Option<Document>> {
    match found.source {
        Source::Waiting(document) => Ok(Some(document.clone())),
        Source::Committed(address) => {
            let stored: TantivyDocument = shelf.searcher.doc(address)?;
            Ok(shelf.fields.read(&stored))
        }
    }
}

fn hit(score: f32, place: u64, document: Document, words: Option<&BTreeSet<&str>>) -> Hit {
    let text = if document.text.trim().is_empty() { &document.title } else { &document.text };
    let snippet = words.map_or_else(String::new, |words| snippet(text, words));
    let highlights = words.map_or_else(Vec::new, |words| highlights(&snippet, words));
    Hit {
        id: document.id,
        tier: document.tier,
        score,
        at: document.at,
        session: document.session,
        position: place >> super::cues::TRAIT_BITS,
        title: document.title,
        text: document.text,
        snippet,
        highlights,
    }
}

#[cfg(test)]
mod tests;
