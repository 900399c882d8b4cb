//! The limit that a prediction is measured against: a bare tantivy index of the same agent texts in memory, asked the
//! same questions as an OR of their rarest terms.
//!
//! `bare_query FILE` reads JSON lines `{"document": TEXT}` and `{"query": TEXT}`, and prints p50, p99 and the worst in
//! milliseconds as one JSON object. Tokenizing the question and choosing its terms count, as they do in a prediction.

#![allow(clippy::print_stdout)]

use std::collections::BTreeSet;
use std::error::Error;
use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use serde::Deserialize;
use tantivy::collector::TopDocs;
use tantivy::query::{BooleanQuery, Occur, Query, TermQuery};
use tantivy::schema::{Field, IndexRecordOption, Schema, TEXT};
use tantivy::tokenizer::{TextAnalyzer, TokenStream};
use tantivy::{Index, Searcher, TantivyDocument, Term};

/// Terms of one question, at most: the rarest.
const MAX_TERMS: usize = 16;
/// Documents that one question finds.
const FOUND: usize = 25;
/// Memory of the writer, in bytes.
const ARENA_BYTES: usize = 50_000_000;

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Line {
    Document(String),
    Query(String),
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: bare_query FILE")?;
    let mut schema = Schema::builder();
    let text = schema.add_text_field("text", TEXT);
    let index = Index::create_in_ram(schema.build());
    let mut writer = index.writer_with_num_threads(1, ARENA_BYTES)?;
    let (mut questions, mut documents) = (Vec::new(), 0_u64);
    let began = Instant::now();
    for line in BufReader::new(std::fs::File::open(path)?).lines() {
        match serde_json::from_str(&line?)? {
            Line::Document(words) => {
                let mut document = TantivyDocument::default();
                document.add_text(text, words);
                writer.add_document(document)?;
                documents += 1;
            }
            Line::Query(words) => questions.push(words),
        }
    }
    writer.commit()?;
    let indexed = began.elapsed();
    let searcher = index.reader()?.searcher();
    let mut analyzer = index.tokenizer_for_field(text)?;
    let mut took = Vec::new();
    // The first round only warms up.
    for round in 0..2 {
        for question in &questions {
            let began = Instant::now();
            ask(&searcher, &mut analyzer, text, question)?;
            if round > 0 {
                took.push(began.elapsed());
            }
        }
    }
    took.sort_unstable();
    let segments = searcher.segment_readers().len();
    let (p50, p99, max) = (at(&took, 50), at(&took, 99), at(&took, 100));
    println!(
        r#"{{"documents":{documents},"segments":{segments},"index_s":{},"n":{},"p50_ms":{p50},"p99_ms":{p99},"max_ms":{max}}}"#,
        indexed.as_secs_f64(),
        took.len()
    );
    Ok(())
}

/// The time that so many per cent stayed below, in milliseconds.
fn at(sorted: &[Duration], percent: usize) -> f64 {
    let place = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(place).map_or(0.0, |took| took.as_secs_f64() * 1000.0)
}

/// The best documents for an OR of the rarest terms of the question.
fn ask(
    searcher: &Searcher,
    analyzer: &mut TextAnalyzer,
    field: Field,
    question: &str,
) -> Result<usize, Box<dyn Error>> {
    let mut words = BTreeSet::new();
    analyzer.token_stream(question).process(&mut |token| {
        words.insert(Term::from_field_text(field, &token.text));
    });
    let mut known = Vec::new();
    for term in words {
        let frequency = searcher.doc_freq(&term)?;
        if frequency > 0 {
            known.push((frequency, term));
        }
    }
    known.sort();
    known.truncate(MAX_TERMS);
    let clauses = known.into_iter().map(|(_, term)| {
        let query: Box<dyn Query> = Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs));
        (Occur::Should, query)
    });
    let query = BooleanQuery::new(clauses.collect());
    Ok(searcher.search(&query, &TopDocs::with_limit(FOUND).order_by_score())?.len())
}
