//! `search`: a search over the socket, beside a bare tantivy query of the same words.
//!
//! The bare index holds the texts of the same events in one field with tantivy's own tokenizer, on the same disk, and gives
//! out the stored texts of its ten best: what any program that calls tantivy would do at least. What the socket costs a
//! caller that asks for nothing (`health`) is added to it.

use serde_json::{Value, json};
use tantivy::collector::TopDocs;
use tantivy::query::{BooleanQuery, Occur, Query, TermQuery};
use tantivy::schema::{Field, IndexRecordOption, STORED, Schema, TEXT};
use tantivy::{Index, Searcher, TantivyDocument, Term};

use super::events::{Supply, body};
use super::measure::Pair;
use super::{BenchError, Home, Options, Row, Target};
use crate::dice::Dice;

/// How many searches are measured.
const SEARCHES: usize = 1_000;
/// Searches before the first that is measured.
const WARMING: usize = 100;
/// How many hits each gives.
const HITS: usize = 10;
/// The fewest and the most words of a search.
const WORDS: (usize, usize) = (2, 5);
/// Memory of the bare writer, in bytes.
const ARENA_BYTES: usize = 50_000_000;

/// A bare index and the field of its texts.
struct Bare {
    searcher: Searcher,
    text: Field,
}

pub(super) fn run(options: &Options) -> Result<Vec<Row>, BenchError> {
    let home = Home::started(&options.folder)?;
    let mut daemon = home.connect()?;
    let (mut supply, mut texts) = (Supply::new(31), Vec::new());
    for count in super::store::batches(options.events) {
        let events = supply.take(count);
        texts.extend(events.iter().filter_map(|event| words_of(event)));
        daemon.ingest(&body(&events), events.len(), false)?;
    }
    daemon.settle()?;
    let bare = Bare::filled(&home.scratch("bare"), &texts)?;
    // Not before: the daemon hangs up on a caller that says nothing for long.
    let (mut daemon, mut beside) = (home.connect()?, home.connect()?);
    let (mut pair, mut dice) = (Pair::default(), Dice::new(32));
    for number in 0..WARMING + SEARCHES {
        if number == WARMING {
            pair = Pair::default();
        }
        let words = asked(&texts, &mut dice);
        let query = json!({"query": words, "limit": HITS}).to_string();
        let ours = || daemon.json("POST", "/api/memory/search/", query.as_bytes()).and_then(|hits| some(&hits));
        pair.time(ours, || bare.ask(&words).and_then(|()| beside.health()))?;
    }
    let beside = "a bare tantivy query of the same words, and the `health` round trip";
    let p50 = Row::compare("search p50", "us", pair.at(50.0, 1e6)).beside(beside);
    let p99 = Row::compare("search p99", "us", pair.at(99.0, 1e6)).beside(beside);
    Ok(vec![p50.target(Target::AtMost(1.5)).raw(pair.raw()), p99])
}

fn some(hits: &Value) -> Result<(), BenchError> {
    let found = hits.as_array().is_some_and(|hits| !hits.is_empty());
    if found { Ok(()) } else { Err(BenchError::Daemon(format!("a search for recorded words found nothing: {hits}"))) }
}

/// The words of an event that a search looks at.
fn words_of(event: &str) -> Option<String> {
    let event: Value = serde_json::from_str(event).ok()?;
    let text = ["prompt", "response", "command", "title"].iter().find_map(|name| event[*name].as_str())?;
    Some(text.to_owned())
}

/// Some words of one text, as a person remembers them: not the smallest.
fn asked(texts: &[String], dice: &mut Dice) -> String {
    let (fewest, most) = WORDS;
    loop {
        let count = fewest + dice.below(most - fewest + 1);
        let words = texts[dice.below(texts.len())].split(' ').filter(|word| word.len() > 4).take(count);
        let words: Vec<&str> = words.collect();
        if words.len() >= fewest {
            return words.join(" ");
        }
    }
}

impl Bare {
    fn filled(folder: &std::path::Path, texts: &[String]) -> Result<Self, BenchError> {
        std::fs::create_dir(folder).map_err(BenchError::io("make a bare index"))?;
        let mut schema = Schema::builder();
        let text = schema.add_text_field("text", TEXT | STORED);
        let index = Index::create_in_dir(folder, schema.build()).map_err(BenchError::limit)?;
        let mut writer = index.writer_with_num_threads(1, ARENA_BYTES).map_err(BenchError::limit)?;
        for words in texts {
            let mut document = TantivyDocument::default();
            document.add_text(text, words);
            writer.add_document(document).map_err(BenchError::limit)?;
        }
        writer.commit().map_err(BenchError::limit)?;
        let searcher = index.reader().map_err(BenchError::limit)?.searcher();
        Ok(Self { searcher, text })
    }

    fn ask(&self, words: &str) -> Result<(), BenchError> {
        let clauses = words.split(' ').map(|word| {
            let term = Term::from_field_text(self.text, word);
            let query: Box<dyn Query> = Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs));
            (Occur::Should, query)
        });
        let query = BooleanQuery::new(clauses.collect());
        let top = TopDocs::with_limit(HITS).order_by_score();
        for (_, address) in self.searcher.search(&query, &top).map_err(BenchError::limit)? {
            std::hint::black_box(self.searcher.doc::<TantivyDocument>(address).map_err(BenchError::limit)?);
        }
        Ok(())
    }
}
