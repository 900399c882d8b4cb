//! The vault: the folder of markdown that a person reads, edits and deletes with any editor.
//!
//! First, safe form: the daemon creates files and rewrites only what it wrote itself and nobody touched since. What a
//! person writes, moves or deletes becomes an event first; the [`Ledger`] is folded from those events and is what the
//! folder should look like. [`reconcile`] compares it with the [disk] and says what the person did;
//! writing the difference back is the same operation whether a file is new, stale or lost.

pub mod disk;
pub mod reconcile;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// How many of our own earlier versions of a file are remembered, to tell them from a person's edit.
const OURS_MAX: usize = 64;

/// Who wrote the current text of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Author {
    /// The daemon: it may write the file again.
    Daemon,
    /// A person: the daemon never writes it again.
    Person,
}

/// What the log knows of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Position of the event that holds the text.
    pub position: u64,
    /// Position of the first text that a person wrote here: the identity of a note that carries no id.
    pub first: u64,
    /// Position of the first text with this id here: of two files with one id, the older one is the note.
    pub since: u64,
    /// Hash of the text.
    pub hash: String,
    /// Who wrote it.
    pub author: Author,
    /// The id in the front matter, which outranks the file's name.
    pub note: Option<String>,
    /// Hashes of what the daemon wrote here since a person last did.
    pub ours: Vec<String>,
    /// Hash of what is known to be on the disk; none when the file was never seen there.
    pub seen: Option<String>,
}

/// What the folder should hold, by path relative to its root.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    rows: BTreeMap<String, Row>,
    /// Per id the files that carry it, the oldest first: a function of the rows, in whatever order they came.
    paths: BTreeMap<String, BTreeSet<(u64, String)>>,
}

/// The hash by which two texts are the same.
#[must_use]
pub fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex()[..32].to_owned()
}

impl Ledger {
    /// Folds `vault.written`.
    pub fn written(&mut self, path: &str, bytes: &[u8], note: Option<String>, position: u64) {
        let hash = hash(bytes);
        let since = self.since(path, note.as_deref(), position);
        let (mut ours, seen) = match self.remove(path) {
            Some(row) if row.author == Author::Daemon => (row.ours, row.seen),
            Some(row) => (Vec::new(), row.seen),
            None => (Vec::new(), None),
        };
        ours.retain(|known| *known != hash);
        ours.push(hash.clone());
        let excess = ours.len().saturating_sub(OURS_MAX);
        // However old, what the disk holds now is kept: it must never pass for a person's edit.
        let oldest = ours.drain(..excess).find(|old| seen.as_ref() == Some(old));
        ours.splice(..0, oldest);
        self.put(path, Row { position, first: position, since, hash, author: Author::Daemon, note, ours, seen });
    }

    /// Folds `vault.edited`; the edit was found on the disk, so it is there.
    pub fn edited(&mut self, path: &str, bytes: &[u8], note: Option<String>, position: u64) {
        let hash = hash(bytes);
        let since = self.since(path, note.as_deref(), position);
        let known = self.remove(path).filter(|row| row.author == Author::Person);
        let first = known.map_or(position, |row| row.first);
        let seen = Some(hash.clone());
        self.put(path, Row { position, first, since, hash, author: Author::Person, note, ours: Vec::new(), seen });
    }

    /// Since when this path carries this id.
    fn since(&self, path: &str, note: Option<&str>, position: u64) -> u64 {
        self.rows.get(path).filter(|row| row.note.as_deref() == note).map_or(position, |row| row.since)
    }

    /// Folds `vault.moved`.
    pub fn moved(&mut self, from: &str, to: &str) {
        if let Some(row) = self.remove(from) {
            self.put(to, row);
        }
    }

    /// Folds `vault.deleted`; gives back what was there.
    pub fn deleted(&mut self, path: &str) -> Option<Row> {
        self.remove(path)
    }

    /// Loads a row that a restart kept.
    pub fn put(&mut self, path: &str, row: Row) {
        if let Some(note) = &row.note {
            self.paths.entry(note.clone()).or_default().insert((row.since, path.to_owned()));
        }
        self.rows.insert(path.to_owned(), row);
    }

    fn remove(&mut self, path: &str) -> Option<Row> {
        let row = self.rows.remove(path)?;
        if let Some(note) = &row.note
            && let Some(paths) = self.paths.get_mut(note)
        {
            paths.remove(&(row.since, path.to_owned()));
            if paths.is_empty() {
                self.paths.remove(note);
            }
        }
        Some(row)
    }

    /// The row of this path.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Row> {
        self.rows.get(path)
    }

    /// The path of the file that carries this id; of several, the one that has carried it the longest.
    #[must_use]
    pub fn path_of(&self, note: &str) -> Option<&str> {
        self.paths.get(note)?.first().map(|(_, path)| path.as_str())
    }

    /// Every row, by path.
    pub fn rows(&self) -> impl Iterator<Item = (&str, &Row)> {
        self.rows.iter().map(|(path, row)| (path.as_str(), row))
    }

    /// Notes what is on the disk now.
    pub fn saw(&mut self, path: &str, hash: Option<String>) {
        if let Some(row) = self.rows.get_mut(path) {
            row.seen = hash;
        }
    }

    /// Files of the daemon that the disk does not hold as they should be.
    #[must_use]
    pub fn stale(&self) -> Vec<(String, Row)> {
        let stale = self.rows.iter().filter(|(_, row)| row.seen.as_ref() != Some(&row.hash));
        stale.map(|(path, row)| (path.clone(), row.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_takes_the_file_over_and_a_move_keeps_its_identity() {
        let mut ledger = Ledger::default();
        ledger.written("facts/a.md", b"one", Some("fct_1".into()), 1);
        ledger.written("facts/a.md", b"two", Some("fct_1".into()), 2);
        assert_eq!(ledger.get("facts/a.md").unwrap().ours, [hash(b"one"), hash(b"two")]);
        ledger.edited("facts/a.md", b"mine", Some("fct_1".into()), 3);
        assert_eq!(ledger.get("facts/a.md").unwrap().author, Author::Person);
        assert!(ledger.stale().is_empty());
        ledger.moved("facts/a.md", "facts/b.md");
        assert_eq!(ledger.path_of("fct_1"), Some("facts/b.md"));
        assert_eq!(ledger.deleted("facts/b.md").unwrap().hash, hash(b"mine"));
        assert_eq!(ledger.path_of("fct_1"), None);
    }

    #[test]
    fn of_two_files_with_one_id_the_older_is_the_note_in_any_order() {
        let mut ledger = Ledger::default();
        ledger.written("facts/m.md", b"one", Some("fct_1".into()), 1);
        for (position, copy) in [(2, "facts/a.md"), (3, "facts/z.md")] {
            ledger.edited(copy, b"copy", Some("fct_1".into()), position);
        }
        ledger.edited("facts/m.md", b"mine", Some("fct_1".into()), 4);
        assert_eq!(ledger.path_of("fct_1"), Some("facts/m.md"));
        let mut restarted = Ledger::default();
        ledger.rows().for_each(|(path, row)| restarted.put(path, row.clone()));
        assert_eq!(restarted.path_of("fct_1"), Some("facts/m.md"));
        restarted.deleted("facts/m.md");
        assert_eq!(restarted.path_of("fct_1"), Some("facts/a.md"));
    }

    #[test]
    fn the_version_on_the_disk_stays_ours_however_many_follow() {
        let mut ledger = Ledger::default();
        ledger.written("a.md", b"on the disk", None, 1);
        ledger.saw("a.md", Some(hash(b"on the disk")));
        for i in 0..200 {
            ledger.written("a.md", format!("{i}").as_bytes(), None, i);
        }
        assert!(ledger.get("a.md").unwrap().ours.contains(&hash(b"on the disk")));
    }

    #[test]
    fn a_file_never_seen_is_stale() {
        let mut ledger = Ledger::default();
        ledger.written("a.md", b"one", None, 1);
        assert_eq!(ledger.stale().len(), 1);
        ledger.saw("a.md", Some(hash(b"one")));
        assert!(ledger.stale().is_empty());
    }

    #[test]
    fn versions_of_ours_are_bounded() {
        let mut ledger = Ledger::default();
        for i in 0..200 {
            ledger.written("a.md", format!("{i}").as_bytes(), None, i);
        }
        assert_eq!(ledger.get("a.md").unwrap().ours.len(), OURS_MAX);
    }
}
