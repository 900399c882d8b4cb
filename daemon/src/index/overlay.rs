//! What was put or removed and is not committed yet, so that a search sees a write at once.
//!
//! A commit costs tens of milliseconds whatever its size, so writes wait here for the next one. An entry hides the
//! committed document of the same id, and counts its words only when the first search asks.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use super::document::Document;
use super::tokens;

/// How often each term occurs in one field of one document.
#[derive(Debug, Default)]
pub(super) struct Counts {
    terms: BTreeMap<String, u32>,
    total: u32,
}

impl Counts {
    fn of(text: &str) -> Self {
        let mut counts = Self::default();
        for piece in tokens::pieces(text) {
            *counts.terms.entry(piece.term).or_default() += 1;
            counts.total += 1;
        }
        counts
    }

    /// How often the term occurs.
    pub fn frequency(&self, term: &str) -> u32 {
        self.terms.get(term).copied().unwrap_or(0)
    }

    /// How many terms there are.
    pub fn total(&self) -> u32 {
        self.total
    }
}

/// One id that was put (with a document) or removed (without).
#[derive(Debug)]
pub(super) struct Entry {
    /// When it came, counted up.
    pub sequence: u64,
    /// The document, or nothing for a removal.
    pub document: Option<Document>,
    /// Whether a committed document of this id exists.
    pub hides: bool,
    counts: OnceLock<(Counts, Counts)>,
}

impl Entry {
    /// The words of the text and of the title.
    pub fn counts(&self) -> Option<&(Counts, Counts)> {
        let document = self.document.as_ref()?;
        Some(self.counts.get_or_init(|| (Counts::of(&document.text), Counts::of(&document.title))))
    }

    fn bytes(&self) -> usize {
        self.document.as_ref().map_or(0, |document| document.text.len() + document.title.len())
    }
}

/// The entries that wait for a commit, by id.
#[derive(Debug, Default)]
pub(super) struct Overlay {
    entries: BTreeMap<String, Arc<Entry>>,
    sequence: u64,
    bytes: usize,
}

impl Overlay {
    /// Puts a document, or a removal, in the place of what waits under the same id.
    pub fn set(&mut self, id: String, document: Option<Document>, hides: bool) {
        self.sequence += 1;
        let entry = Entry { sequence: self.sequence, document, hides, counts: OnceLock::new() };
        self.bytes += entry.bytes();
        if let Some(old) = self.entries.insert(id, Arc::new(entry)) {
            self.bytes -= old.bytes();
        }
    }

    /// Whether an entry stands in for the committed document of this id.
    pub fn covers(&self, id: &str) -> bool {
        self.entries.contains_key(id)
    }

    /// How many committed documents are hidden.
    pub fn hidden(&self) -> usize {
        self.entries.values().filter(|entry| entry.hides).count()
    }

    /// How many ids wait.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many bytes of text wait.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The documents that wait, in the order of their ids.
    pub fn documents(&self) -> impl Iterator<Item = (&Document, &(Counts, Counts))> {
        self.entries.values().filter_map(|entry| Some((entry.document.as_ref()?, entry.counts()?)))
    }

    /// How many documents wait.
    pub fn document_count(&self) -> usize {
        self.entries.values().filter(|entry| entry.document.is_some()).count()
    }

    /// All entries as they are now.
    pub fn snapshot(&self) -> Vec<(String, Arc<Entry>)> {
        self.entries.iter().map(|(id, entry)| (id.clone(), Arc::clone(entry))).collect()
    }

    /// Drops what a commit of this snapshot made durable; what came later stays and hides what was committed.
    pub fn settle(&mut self, committed: &[(String, Arc<Entry>)]) {
        for (id, done) in committed {
            match self.entries.get(id) {
                Some(entry) if entry.sequence == done.sequence => {
                    self.bytes -= entry.bytes();
                    self.entries.remove(id);
                }
                Some(entry) if entry.hides != done.document.is_some() => {
                    let later = entry.document.clone();
                    self.set(id.clone(), later, done.document.is_some());
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::document::Tier;
    use super::*;

    fn document(text: &str) -> Document {
        Document {
            id: "a".into(),
            tier: Tier::Raw,
            text: text.into(),
            title: String::new(),
            tags: Vec::new(),
            at: clone_schema::Timestamp::UNIX_EPOCH,
            session: String::new(),
            agent: String::new(),
        }
    }

    #[test]
    fn a_put_during_a_commit_survives_it_and_hides_what_was_committed() {
        let mut overlay = Overlay::default();
        overlay.set("a".into(), Some(document("one")), false);
        let snapshot = overlay.snapshot();
        overlay.set("a".into(), Some(document("three")), false);
        overlay.settle(&snapshot);
        assert_eq!((overlay.len(), overlay.hidden(), overlay.bytes()), (1, 1, 5));
        let snapshot = overlay.snapshot();
        overlay.settle(&snapshot);
        assert_eq!((overlay.len(), overlay.bytes()), (0, 0));
    }

    #[test]
    fn counts_are_those_of_the_tokenizer() {
        let mut overlay = Overlay::default();
        overlay.set("a".into(), Some(document("tests test rust")), false);
        let counts: Vec<(u32, u32)> =
            overlay.documents().map(|(_, (text, _))| (text.frequency("test"), text.total())).collect();
        assert_eq!(counts, [(2, 3)]);
    }
}
