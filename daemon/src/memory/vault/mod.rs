//! The vault: the folder of markdown that a person reads, edits and deletes with any editor.
//!
//! What a person writes, moves or deletes becomes an event first; the [`Ledger`] is folded from those events and is what the
//! folder should look like. [`reconcile`] compares it with the [disk] and says what the person did; writing the difference
//! back is the same operation whether a file is new, stale or lost. Where the person and the daemon both have something to
//! say about one file, theirs and ours are merged before the file is written.

pub mod disk;
mod file;
#[cfg(test)]
mod life_tests;
pub mod reconcile;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// How many of our own earlier versions of a file are remembered, to tell them from a person's edit.
const OURS_MAX: usize = 64;

/// Who wrote the current text of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Author {
    /// The daemon alone.
    Daemon,
    /// A person, perhaps with what the daemon merged into it.
    Person,
}

/// A text that the disk may still hold while a newer one waits to be written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Older {
    /// Hash of the text.
    pub hash: String,
    /// Position of the text of ours that it was made of.
    pub base: Option<u64>,
}

/// The text of ours that a person's was made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// Position of the event that holds it.
    pub position: u64,
    /// Hash of it.
    pub hash: String,
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
    /// What a person's text is merged with when ours changes; none where the file is theirs alone.
    pub base: Option<Base>,
    /// The texts that this one takes the place of, and this one: the disk may be written over where it holds one of them.
    pub ours: Vec<Older>,
    /// Hash of what is known to be on the disk; none when the file was never seen there.
    pub seen: Option<String>,
    /// Position of the event that tells what of ours the person's text left out.
    pub conflict: Option<u64>,
}

impl Row {
    /// Whether the disk is not known to hold this text.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.seen.as_ref() != Some(&self.hash)
    }

    /// Whether the disk may hold this text without anybody having touched it.
    #[must_use]
    pub fn knows(&self, hash: &str) -> bool {
        self.ours.iter().any(|older| older.hash == hash)
    }

    /// Whether this text may be put where the disk holds a text of this hash, or nothing.
    ///
    /// Where it held the note and nothing is there now, somebody took it away: that is theirs to be told first.
    #[must_use]
    pub fn may_take(&self, found: Option<&str>) -> bool {
        found.map_or(self.seen.is_none(), |hash| self.knows(hash))
    }

    /// Hash of what was last seen on the disk; of the text itself where nothing ever was.
    #[must_use]
    pub fn last_seen(&self) -> &str {
        self.seen.as_ref().unwrap_or(&self.hash)
    }

    /// The texts that the disk may hold once a newer one takes the place of this: of a person's, no earlier ones.
    fn replaceable(&self) -> Vec<Older> {
        if self.author == Author::Daemon || self.is_pending() {
            return self.ours.clone();
        }
        vec![Older { hash: self.hash.clone(), base: self.base() }]
    }

    /// Position of the text of ours that this one was made of.
    #[must_use]
    pub fn base(&self) -> Option<u64> {
        match self.author {
            Author::Daemon => Some(self.position),
            Author::Person => self.base.as_ref().map(|base| base.position),
        }
    }

    /// Position of the text of ours that an edit found now began with: of what was on the disk.
    #[must_use]
    pub fn edit_base(&self) -> Option<u64> {
        let seen = self.seen.as_deref().filter(|_| self.is_pending());
        let older = seen.and_then(|seen| self.ours.iter().find(|older| older.hash == seen));
        older.map_or_else(|| self.base(), |older| older.base)
    }
}

/// A text as the log tells it.
#[derive(Clone, Debug, Default)]
pub struct Text<'a> {
    /// Where it stands.
    pub path: &'a str,
    /// What it is.
    pub bytes: &'a [u8],
    /// The id in its front matter.
    pub note: Option<String>,
    /// Position of the event that holds it.
    pub position: u64,
}

/// What the folder should hold, by path relative to its root.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    rows: BTreeMap<String, Row>,
    /// Per id the files that carry it, the oldest first: a function of the rows, in whatever order they came.
    paths: BTreeMap<String, BTreeSet<(u64, String)>>,
    /// Files that the disk is not known to hold as they should be.
    pending: BTreeSet<String>,
    /// Files whose text left some of ours out, and the position of the event that tells of it.
    conflicts: BTreeMap<String, u64>,
}

/// The hash by which two texts are the same.
#[must_use]
pub fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex()[..32].to_owned()
}

impl Ledger {
    /// Folds `vault.written` of a text of ours alone.
    pub fn written(&mut self, text: Text<'_>) {
        self.supersede(text, Author::Daemon, None);
    }

    /// Folds `vault.written` of ours merged into a person's: the text stays theirs.
    ///
    /// `derived` is the hash of ours, and `conflicted` says whether the person's text left some of it out.
    pub fn merged(&mut self, text: Text<'_>, derived: String, conflicted: bool) {
        let (path, position) = (text.path, text.position);
        self.supersede(text, Author::Person, Some(Base { position, hash: derived }));
        self.change(path, |row| row.conflict = conflicted.then_some(position));
    }

    /// Folds `vault.edited` of a text that the person asked for and that the disk is yet to hold.
    ///
    /// A text that is the very base is ours again.
    pub fn asked(&mut self, text: Text<'_>, base: Option<Base>) {
        let is_ours = base.as_ref().is_some_and(|base| base.hash == hash(text.bytes));
        let author = if is_ours { Author::Daemon } else { Author::Person };
        self.supersede(text, author, base);
    }

    /// Folds `vault.edited` of a text that was found on the disk, and so is there.
    ///
    /// A text that is the very base is ours again.
    pub fn edited(&mut self, text: Text<'_>, base: Option<Base>) {
        let path = text.path;
        self.asked(text, base);
        self.change(path, |row| {
            row.ours.drain(..row.ours.len().saturating_sub(1));
            row.seen = Some(row.hash.clone());
        });
    }

    /// Puts a text in the place of what stood there, which the disk may hold for a while.
    fn supersede(&mut self, text: Text<'_>, author: Author, base: Option<Base>) {
        let Text { path, bytes, note, position } = text;
        let hash = hash(bytes);
        let since = self.since(path, note.as_deref(), position);
        let old = self.remove(path);
        let persons = old.as_ref().filter(|row| row.author == Author::Person && author == Author::Person);
        let first = persons.map_or(position, |row| row.first);
        let mut ours = old.as_ref().map(Row::replaceable).unwrap_or_default();
        let seen = old.and_then(|row| row.seen);
        let base = base.filter(|_| author == Author::Person);
        let of = if author == Author::Daemon { Some(position) } else { base.as_ref().map(|base| base.position) };
        ours.retain(|known| known.hash != hash);
        ours.push(Older { hash: hash.clone(), base: of });
        let excess = ours.len().saturating_sub(OURS_MAX);
        // However old, what the disk holds now is kept: it must never pass for a person's edit.
        let oldest = ours.drain(..excess).find(|old| seen.as_ref() == Some(&old.hash));
        ours.splice(..0, oldest);
        self.put(path, Row { position, first, since, hash, author, note, base, ours, seen, conflict: None });
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
        self.mark(path, &row);
        self.rows.insert(path.to_owned(), row);
    }

    /// Changes a row, and what is known of all of them with it.
    fn change(&mut self, path: &str, change: impl FnOnce(&mut Row)) {
        if let Some(mut row) = self.rows.remove(path) {
            change(&mut row);
            self.mark(path, &row);
            self.rows.insert(path.to_owned(), row);
        }
    }

    /// Keeps what would else be looked for in every row.
    fn mark(&mut self, path: &str, row: &Row) {
        if row.is_pending() {
            self.pending.insert(path.to_owned());
        } else {
            self.pending.remove(path);
        }
        match row.conflict {
            Some(position) => self.conflicts.insert(path.to_owned(), position),
            None => self.conflicts.remove(path),
        };
    }

    fn remove(&mut self, path: &str) -> Option<Row> {
        let row = self.rows.remove(path)?;
        self.pending.remove(path);
        self.conflicts.remove(path);
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
        self.change(path, |row| row.seen = hash);
    }

    /// Files that the disk does not hold as they should be.
    pub fn stale(&self) -> impl Iterator<Item = (&str, &Row)> {
        self.pending.iter().filter_map(|path| Some((path.as_str(), self.rows.get(path)?)))
    }

    /// Files whose text left some of ours out, and the position of the event that tells of it.
    #[must_use]
    pub fn conflicts(&self) -> &BTreeMap<String, u64> {
        &self.conflicts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dice::Dice;

    fn text<'a>(path: &'a str, bytes: &'a [u8], note: Option<&str>, position: u64) -> Text<'a> {
        Text { path, bytes, note: note.map(str::to_owned), position }
    }

    #[test]
    fn an_edit_takes_the_file_over_and_a_move_keeps_its_identity() {
        let mut ledger = Ledger::default();
        ledger.written(text("facts/a.md", b"one", Some("fct_1"), 1));
        ledger.written(text("facts/a.md", b"two", Some("fct_1"), 2));
        assert!([b"one", b"two"].iter().all(|text| ledger.get("facts/a.md").unwrap().knows(&hash(*text))));
        ledger.edited(text("facts/a.md", b"mine", Some("fct_1"), 3), None);
        assert_eq!(ledger.get("facts/a.md").unwrap().author, Author::Person);
        assert_eq!(ledger.stale().count(), 0);
        ledger.moved("facts/a.md", "facts/b.md");
        assert_eq!(ledger.path_of("fct_1"), Some("facts/b.md"));
        assert_eq!(ledger.deleted("facts/b.md").unwrap().hash, hash(b"mine"));
        assert_eq!(ledger.path_of("fct_1"), None);
    }

    #[test]
    fn of_two_files_with_one_id_the_older_is_the_note_in_any_order() {
        let mut ledger = Ledger::default();
        ledger.written(text("facts/m.md", b"one", Some("fct_1"), 1));
        for (position, copy) in [(2, "facts/a.md"), (3, "facts/z.md")] {
            ledger.edited(text(copy, b"copy", Some("fct_1"), position), None);
        }
        ledger.edited(text("facts/m.md", b"mine", Some("fct_1"), 4), None);
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
        ledger.written(text("a.md", b"on the disk", None, 1));
        ledger.saw("a.md", Some(hash(b"on the disk")));
        for i in 0..200 {
            ledger.written(text("a.md", format!("{i}").as_bytes(), None, i));
        }
        assert!(ledger.get("a.md").unwrap().knows(&hash(b"on the disk")));
    }

    #[test]
    fn a_file_never_seen_is_stale() {
        let mut ledger = Ledger::default();
        ledger.written(text("a.md", b"one", None, 1));
        assert_eq!(ledger.stale().count(), 1);
        ledger.saw("a.md", Some(hash(b"one")));
        assert_eq!(ledger.stale().count(), 0);
    }

    #[test]
    fn what_is_kept_of_all_rows_is_what_a_walk_over_them_finds() {
        let walked = |ledger: &Ledger| {
            let pending: Vec<String> =
                ledger.rows().filter(|(_, row)| row.is_pending()).map(|(path, _)| path.to_owned()).collect();
            let conflicts: BTreeMap<String, u64> =
                ledger.rows().filter_map(|(path, row)| Some((path.to_owned(), row.conflict?))).collect();
            (pending, conflicts)
        };
        let mut dice = Dice::new(7);
        let mut ledger = Ledger::default();
        let paths = ["a.md", "b.md", "c.md", "d.md"];
        for position in 0..2_000 {
            let (path, other) = (paths[dice.below(4)], paths[dice.below(4)]);
            let bytes = [[b'a', b'b', b'c'][dice.below(3)]];
            let text = text(path, &bytes, None, position);
            match dice.below(7) {
                0 => ledger.written(text),
                1 => ledger.merged(text, hash(b"ours"), dice.one_in(2)),
                2 => ledger.edited(text, None),
                3 => ledger.asked(text, None),
                4 => ledger.moved(path, other),
                5 => drop(ledger.deleted(path)),
                _ => ledger.saw(path, dice.one_in(2).then(|| hash(&bytes))),
            }
            let kept = ledger.stale().map(|(path, _)| path.to_owned()).collect();
            assert_eq!((kept, ledger.conflicts().clone()), walked(&ledger));
        }
    }

    #[test]
    fn a_note_is_made_where_it_never_was_and_not_where_it_was_taken_away() {
        let mut ledger = Ledger::default();
        ledger.written(text("a.md", b"one", None, 1));
        assert!(ledger.get("a.md").unwrap().may_take(None));
        ledger.saw("a.md", Some(hash(b"one")));
        ledger.written(text("a.md", b"two", None, 2));
        let row = ledger.get("a.md").unwrap();
        assert!(row.is_pending() && row.may_take(Some(&hash(b"one"))));
        assert!(!row.may_take(None) && !row.may_take(Some(&hash(b"mine"))));
    }

    #[test]
    fn versions_of_ours_are_bounded() {
        let mut ledger = Ledger::default();
        for i in 0..200 {
            ledger.written(text("a.md", format!("{i}").as_bytes(), None, i));
        }
        assert_eq!(ledger.get("a.md").unwrap().ours.len(), OURS_MAX);
    }

    #[test]
    fn a_merge_stays_the_persons_and_an_edit_of_what_was_on_the_disk_keeps_its_base() {
        let mut ledger = Ledger::default();
        ledger.written(text("a.md", b"ours", None, 1));
        ledger.saw("a.md", Some(hash(b"ours")));
        assert_eq!(ledger.get("a.md").unwrap().edit_base(), Some(1));
        let base = |position, bytes: &[u8]| Some(Base { position, hash: hash(bytes) });
        ledger.edited(text("a.md", b"mine", None, 2), base(1, b"ours"));
        ledger.merged(text("a.md", b"mine, newer", None, 3), hash(b"newer"), true);
        let row = ledger.get("a.md").unwrap();
        assert_eq!((row.author, row.conflict, row.base.clone()), (Author::Person, Some(3), base(3, b"newer")));
        assert!(row.is_pending() && row.knows(&hash(b"mine")));
        assert_eq!(row.edit_base(), Some(1), "the disk still holds what was made of the first text");
        ledger.saw("a.md", Some(hash(b"mine, newer")));
        assert_eq!(ledger.get("a.md").unwrap().edit_base(), Some(3));
        ledger.edited(text("a.md", b"mine alone", None, 4), base(3, b"newer"));
        let row = ledger.get("a.md").unwrap();
        assert!(!row.knows(&hash(b"mine")) && row.conflict.is_none());
    }

    #[test]
    fn a_text_put_back_to_ours_is_ours_again() {
        let mut ledger = Ledger::default();
        let base = Some(Base { position: 1, hash: hash(b"ours") });
        ledger.edited(text("a.md", b"mine", None, 2), base.clone());
        ledger.edited(text("a.md", b"ours", None, 3), base);
        let row = ledger.get("a.md").unwrap();
        assert_eq!((row.author, row.is_pending(), row.edit_base()), (Author::Daemon, false, Some(3)));
    }
}
