//! What was put or removed and is not committed yet, so that a search sees a write at once.
//!
//! A commit costs tens of milliseconds whatever its size, so writes wait here for the next one. An entry hides the
//! committed document of the same id. Words are counted only when a search asks, and once: a long import that nobody
//! searches pays nothing.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tantivy::DocAddress;

use super::document::{Bearings, Document};
use super::tokens;

/// How often each term occurs in one field of one document.
#[derive(Debug, Default)]
pub(super) struct Counts {
    terms: HashMap<String, u32>,
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

/// A document as a search reads it.
#[derive(Debug)]
pub(super) struct Reading {
    pub text: Counts,
    pub title: Counts,
    pub bearings: Bearings,
}

/// One id that was put (with a document) or removed (without).
#[derive(Debug)]
pub(super) struct Entry {
    /// When it came, counted up.
    pub sequence: u64,
    /// The document, or nothing for a removal.
    pub document: Option<Document>,
    /// Where the committed document of this id is.
    pub hides: Option<DocAddress>,
    reading: OnceLock<Reading>,
}

impl Entry {
    /// The document, read once.
    pub fn reading(&self) -> Option<&Reading> {
        let document = self.document.as_ref()?;
        Some(self.reading.get_or_init(|| {
            let (text, title) = (Counts::of(&document.text), Counts::of(&document.title));
            Reading { text, title, bearings: Bearings::of(document) }
        }))
    }

    fn bytes(&self) -> usize {
        self.document.as_ref().map_or(0, |document| document.text.len() + document.title.len())
    }
}

/// The sums over all entries that were counted: [text, title].
#[derive(Debug, Default)]
struct Tally {
    /// The last sequence that was counted; so was every entry before it that is still there.
    upto: u64,
    /// Who speaks in how many documents.
    speakers: HashMap<u64, u64>,
    documents: HashMap<String, [u64; 2]>,
    totals: [u64; 2],
}

impl Tally {
    fn add(&mut self, entry: &Entry) {
        let Some(Reading { text, title, bearings }) = entry.reading() else { return };
        *self.speakers.entry(bearings.who).or_default() += 1;
        for (field, counts) in [text, title].into_iter().enumerate() {
            counts.terms.keys().for_each(|term| self.documents.entry(term.clone()).or_default()[field] += 1);
            self.totals[field] += u64::from(counts.total);
        }
    }

    fn subtract(&mut self, entry: &Entry) {
        if entry.sequence > self.upto {
            return;
        }
        let Some(Reading { text, title, bearings }) = entry.reading() else { return };
        if let Some(documents) = self.speakers.get_mut(&bearings.who) {
            *documents -= 1;
            if *documents == 0 {
                self.speakers.remove(&bearings.who);
            }
        }
        for (field, counts) in [text, title].into_iter().enumerate() {
            self.totals[field] -= u64::from(counts.total);
            for term in counts.terms.keys() {
                let Some(documents) = self.documents.get_mut(term) else { continue };
                documents[field] -= 1;
                if *documents == [0, 0] {
                    self.documents.remove(term);
                }
            }
        }
    }
}

/// The entries that wait for a commit, by id.
#[derive(Debug, Default)]
pub(super) struct Overlay {
    entries: BTreeMap<String, Arc<Entry>>,
    /// The committed documents that entries stand in for.
    hidden: HashSet<DocAddress>,
    tally: Mutex<Tally>,
    sequence: u64,
    bytes: usize,
    /// How many entries are documents.
    held: usize,
}

impl Overlay {
    /// Puts a document, or a removal, in the place of what waits under the same id.
    pub fn set(&mut self, id: String, document: Option<Document>, hides: Option<DocAddress>) {
        self.sequence += 1;
        let entry = Entry { sequence: self.sequence, document, hides, reading: OnceLock::new() };
        self.hidden.extend(hides);
        self.bytes += entry.bytes();
        self.held += usize::from(entry.document.is_some());
        if let Some(old) = self.entries.insert(id, Arc::new(entry)) {
            self.forget(&old);
        }
    }

    fn forget(&mut self, entry: &Entry) {
        self.bytes -= entry.bytes();
        self.held -= usize::from(entry.document.is_some());
        self.tally.get_mut().unwrap_or_else(PoisonError::into_inner).subtract(entry);
    }

    /// Counts what was not counted yet; the sums below are over what was counted.
    pub fn count(&self) {
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        let upto = std::mem::replace(&mut tally.upto, self.sequence);
        if upto < self.sequence {
            self.entries.values().filter(|entry| entry.sequence > upto).for_each(|entry| tally.add(entry));
        }
    }

    /// In how many documents the term occurs: in the text, in the title.
    pub fn frequencies(&self, term: &str) -> [u64; 2] {
        let tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.documents.get(term).copied().unwrap_or_default()
    }

    /// Whether anybody who speaks in what waits has this name.
    pub fn is_speaker(&self, who: u64) -> bool {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).speakers.contains_key(&who)
    }

    /// How many terms there are: in all texts, in all titles.
    pub fn totals(&self) -> [u64; 2] {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).totals
    }

    /// The committed documents that are hidden.
    pub fn hidden(&self) -> &HashSet<DocAddress> {
        &self.hidden
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
    pub fn documents(&self) -> impl Iterator<Item = (&Document, &Reading)> {
        self.entries.values().filter_map(|entry| Some((entry.document.as_ref()?, entry.reading()?)))
    }

    /// How many documents wait.
    pub fn document_count(&self) -> usize {
        self.held
    }

    /// All entries as they are now.
    pub fn snapshot(&self) -> Vec<(String, Arc<Entry>)> {
        self.entries.iter().map(|(id, entry)| (id.clone(), Arc::clone(entry))).collect()
    }

    /// Drops what a commit of this snapshot made durable; what came later stays and hides what was committed, which is
    /// looked up anew: a commit moves documents.
    ///
    /// # Errors
    ///
    /// What `committed` says; the overlay then hides too little and must be settled again.
    pub fn settle<E>(
        &mut self,
        done: &[(String, Arc<Entry>)],
        committed: impl Fn(&str) -> Result<Option<DocAddress>, E>,
    ) -> Result<(), E> {
        let mut touched: HashSet<&str> = HashSet::new();
        for (id, done) in done {
            if self.entries.get(id).is_some_and(|entry| entry.sequence == done.sequence) {
                self.entries.remove(id);
                self.forget(done);
            } else {
                touched.insert(id);
            }
        }
        self.hidden.clear();
        let stale = |(id, entry): &(&String, &Arc<Entry>)| entry.hides.is_some() || touched.contains(id.as_str());
        let stale: Vec<String> = self.entries.iter().filter(stale).map(|(id, _)| id.clone()).collect();
        for id in stale {
            let hides = committed(&id)?;
            let later = self.entries.get(&id).and_then(|entry| entry.document.clone());
            self.set(id, later, hides);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::document::Tier;
    use super::*;

    fn document(text: &str) -> Document {
        Document::new("a", Tier::Raw, text, clone_schema::Timestamp::UNIX_EPOCH)
    }

    fn settled(overlay: &mut Overlay, done: &[(String, Arc<Entry>)], committed: Option<DocAddress>) {
        overlay.settle::<()>(done, |_| Ok(committed)).expect("no error");
    }

    #[test]
    fn a_put_during_a_commit_survives_it_and_hides_what_was_committed() {
        let mut overlay = Overlay::default();
        overlay.set("a".into(), Some(document("one")), None);
        let snapshot = overlay.snapshot();
        overlay.set("a".into(), Some(document("three")), None);
        let place = DocAddress::new(0, 7);
        settled(&mut overlay, &snapshot, Some(place));
        assert_eq!((overlay.len(), overlay.bytes()), (1, 5));
        assert_eq!(overlay.hidden(), &HashSet::from([place]));
        let snapshot = overlay.snapshot();
        settled(&mut overlay, &snapshot, None);
        assert_eq!((overlay.len(), overlay.hidden().len(), overlay.bytes()), (0, 0, 0));
    }

    #[test]
    fn sums_follow_every_change() {
        let mut overlay = Overlay::default();
        overlay.set("a".into(), Some(document("one two")), None);
        overlay.set("b".into(), Some(document("two")), None);
        assert_eq!((overlay.frequencies("two"), overlay.document_count()), ([0, 0], 2), "nobody asked");
        overlay.count();
        overlay.count();
        assert_eq!((overlay.frequencies("two"), overlay.totals()), ([2, 0], [3, 0]));
        overlay.set("a".into(), Some(document("three")), None);
        overlay.set("b".into(), None, None);
        overlay.set("a".into(), Some(document("three")), None);
        overlay.count();
        assert_eq!((overlay.frequencies("two"), overlay.totals()), ([0, 0], [1, 0]));
        assert_eq!((overlay.frequencies("three"), overlay.document_count()), ([1, 0], 1));
        assert!(overlay.is_speaker(0) && !overlay.is_speaker(1));
        let snapshot = overlay.snapshot();
        settled(&mut overlay, &snapshot, None);
        assert_eq!((overlay.frequencies("three"), overlay.totals()), ([0, 0], [0, 0]));
        assert!(overlay.document_count() == 0 && !overlay.is_speaker(0));
    }

    #[test]
    fn counts_are_those_of_the_tokenizer() {
        let mut overlay = Overlay::default();
        overlay.set("a".into(), Some(document("tests test rust")), None);
        let counts: Vec<(u32, u32)> =
            overlay.documents().map(|(_, read)| (read.text.frequency("test"), read.text.total())).collect();
        assert_eq!(counts, [(2, 3)]);
    }
}
