//! The limit that a prediction is measured against: a bare tantivy index of the same agent texts in memory, asked the same
//! questions as an OR of their rarest terms. Tokenizing the question and choosing its terms count, as in a prediction.

use std::collections::BTreeSet;

use tantivy::collector::TopDocs;
use tantivy::query::{BooleanQuery, Occur, Query, TermQuery};
use tantivy::schema::{Field, IndexRecordOption, Schema, TEXT};
use tantivy::tokenizer::{TextAnalyzer, TokenStream};
use tantivy::{Index, Searcher, TantivyDocument, TantivyError, Term};

use super::BenchError;

/// Terms of one question, at most: the rarest.
const MAX_TERMS: usize = 16;
/// Documents that one question finds.
const FOUND: usize = 25;
/// Memory of the writer, in bytes.
const ARENA_BYTES: usize = 50_000_000;

/// An index that is only asked.
pub(super) struct Bare {
    searcher: Searcher,
    analyzer: TextAnalyzer,
    field: Field,
}

impl Bare {
    pub(super) fn new(texts: &[String]) -> Result<Self, BenchError> {
        Self::filled(texts).map_err(BenchError::limit)
    }

    fn filled(texts: &[String]) -> Result<Self, TantivyError> {
        let mut schema = Schema::builder();
        let field = schema.add_text_field("text", TEXT);
        let index = Index::create_in_ram(schema.build());
        let mut writer = index.writer_with_num_threads(1, ARENA_BYTES)?;
        for text in texts {
            let mut document = TantivyDocument::default();
            document.add_text(field, text);
            writer.add_document(document)?;
        }
        writer.commit()?;
        writer.wait_merging_threads()?;
        Ok(Self { searcher: index.reader()?.searcher(), analyzer: index.tokenizer_for_field(field)?, field })
    }

    /// How many documents the best few for an OR of the rarest terms are.
    pub(super) fn ask(&mut self, question: &str) -> Result<usize, BenchError> {
        self.found(question).map_err(BenchError::limit)
    }

    fn found(&mut self, question: &str) -> Result<usize, TantivyError> {
        let (mut words, field) = (BTreeSet::new(), self.field);
        self.analyzer.token_stream(question).process(&mut |token| {
            words.insert(Term::from_field_text(field, &token.text));
        });
        let mut known = Vec::new();
        for term in words {
            let frequency = self.searcher.doc_freq(&term)?;
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
        Ok(self.searcher.search(&query, &TopDocs::with_limit(FOUND).order_by_score())?.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_finds_what_shares_a_word() {
        let texts = ["the parser failed", "the lexer works", "all is done"].map(str::to_owned);
        let mut bare = Bare::new(&texts).unwrap();
        for (question, found) in [("does the parser work?", 2), ("nothing", 0), ("lexer", 1)] {
            assert_eq!(bare.ask(question).unwrap(), found, "{question}");
        }
    }
}
