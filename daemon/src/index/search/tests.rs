//! One pass over the segments finds what asking each of them again at ties found.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use tantivy::collector::TopDocs;

use super::*;
use crate::index::Index;

/// How many more documents than asked were fetched, for scores that differ only by rounding.
const SLACK: usize = 16;

/// The best documents as a collector finds them: each segment by itself, and all again where the last one ties.
fn collected(
    searcher: &Searcher,
    counted: &Counted<'_>,
    query: &BooleanQuery,
    wanted: usize,
) -> Vec<(f32, DocAddress)> {
    let mut fetch = wanted + SLACK;
    loop {
        let collector = TopDocs::with_limit(fetch).order_by_score();
        let found = searcher.search_with_statistics_provider(query, &collector, counted.statistics).unwrap();
        let (Some(last), Some(wanted)) = (found.last(), found.get(wanted - 1)) else { return found };
        let tied = wanted.0 - last.0 <= wanted.0.abs() * ROUNDING;
        if found.len() < fetch || !tied || fetch >= MAX_FETCH {
            return found;
        }
        fetch = (fetch * 4).min(MAX_FETCH.max(fetch));
    }
}

/// Those that are wanted, and those that tie with the last of them, with their scores summed in one order.
fn kept(
    shelf: &Shelf<'_>,
    clauses: &[Clause],
    mut scored: Vec<(f32, DocAddress)>,
    wanted: usize,
) -> Vec<(u32, DocAddress)> {
    rescore(shelf.searcher, clauses, &mut scored).unwrap();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    if let Some(last) = scored.get(wanted - 1).map(|(score, _)| *score) {
        scored.retain(|(score, _)| *score >= last);
    }
    scored.into_iter().map(|(score, address)| (score.to_bits(), address)).collect()
}

/// What both ways keep.
fn both(index: &Index, query: &Query<'_>, wanted: usize) -> [Vec<(u32, DocAddress)>; 2] {
    let view = index.read();
    let (searcher, columns, overlay, fields) = (&view.searcher, &view.columns, &view.overlay, index.fields);
    let shelf = Shelf { searcher, columns, overlay, fields };
    overlay.count();
    let statistics = Statistics { searcher, overlay, fields };
    let question = Question::of(&statistics, columns, query.text).unwrap();
    let counted = Counted { statistics: &statistics, question: &question };
    let any_of = tantivy_query(fields, &question.clauses, query);
    let weight = any_of.weight(EnableScoring::enabled_from_statistics_provider(&counted, searcher)).unwrap();
    let new = top(searcher, weight.as_ref(), wanted).unwrap();
    let old = collected(searcher, &counted, &any_of, wanted);
    [new, old].map(|scored| kept(&shelf, &question.clauses, scored, wanted))
}

/// An index with so many documents in each segment; the nth has the text and the title that the function gives.
fn filled(segments: &[usize], words: impl Fn(usize) -> (String, String)) -> (tempfile::TempDir, Index) {
    let home = tempfile::tempdir().unwrap();
    let index = Index::open(&home.path().join("index")).unwrap();
    let mut n = 0;
    for (cursor, count) in (0..).zip(segments) {
        let made = (n..n + count).map(|n| {
            let tier = if n % 3 == 0 { Tier::Episode } else { Tier::Raw };
            let (text, title) = words(n);
            Document { title, ..Document::new(format!("d{n}"), tier, text, Timestamp::UNIX_EPOCH) }
        });
        index.put(made.collect()).unwrap();
        n += count;
        index.commit(cursor).unwrap();
    }
    (home, index)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn one_pass_finds_what_the_collector_found(
        segments in prop::collection::vec(0_usize..250, 1..6),
        drawn in prop::collection::vec((0_usize..40, 1_usize..9), 64),
        asked in prop::collection::vec(0_usize..12, 1..6),
        gone in prop::collection::vec(0_usize..400, 0..40),
        is_filtered in any::<bool>(),
    ) {
        // The smaller a number, the more documents have its word; many documents are the same.
        let words = |n: usize| {
            let (seed, count) = drawn[n % drawn.len()];
            let word = |i: usize| format!("w{}", (seed * (i + 3) + n / 97) % (1 + (seed + i * 5) % 14));
            (0..count).map(word).collect::<Vec<_>>().join(" ")
        };
        let title = |n: usize| if n.is_multiple_of(11) { words(n / 11) } else { String::new() };
        let (_home, index) = filled(&segments, |n| (words(n), title(n)));
        index.remove(&gone.iter().map(|n| format!("d{n}")).collect::<Vec<_>>()).unwrap();
        index.commit(9).unwrap();
        let text = asked.iter().map(|n| format!("w{n}")).collect::<Vec<_>>().join(" ");
        let tier = is_filtered.then_some(Tier::Episode);
        for wanted in [1, 2, 7, 64] {
            let [new, old] = both(&index, &Query { text: &text, tier, ..Query::default() }, wanted);
            prop_assert_eq!(new, old, "{} wanted of {:?} for {:?}", wanted, &segments, &text);
        }
    }
}

#[test]
fn more_ties_than_are_fetched_are_cut_in_the_order_of_the_index() {
    let text = |n: usize| if n % 1_000 == 999 { "same same" } else { "same" };
    let (_home, index) = filled(&[2_500, 2_500], |n| (text(n).to_owned(), String::new()));
    let [new, old] = both(&index, &Query { text: "same", ..Query::default() }, 10);
    assert_eq!(new.len(), MAX_FETCH);
    assert!(new == old);
}
