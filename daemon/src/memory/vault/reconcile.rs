//! What a person did to the folder, told from the ledger and the disk alone.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::disk::Blocked;
use super::{Author, Ledger, Row, hash};

/// More missing files than this, and more than [`MASS_SHARE`] of all, is an accident and not a wish.
pub const MASS_FILES: usize = 25;
/// The share of files whose absence is an accident.
pub const MASS_SHARE: f64 = 0.2;

/// A file on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Hash of its bytes.
    pub hash: String,
    /// The id in its front matter.
    pub note: Option<String>,
}

/// One thing that a person did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Wrote this file.
    Edited {
        /// Its path.
        path: String,
        /// Position of the text of ours that the edit began with, where it did.
        base: Option<u64>,
    },
    /// Moved or renamed a file; a changed text follows as [`Act::Edited`].
    Moved {
        /// The path before.
        from: String,
        /// The path after.
        to: String,
    },
    /// Deleted this file.
    Deleted(String),
}

/// What the comparison found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What the person did, in the order in which it must be told: moves, edits, deletions.
    pub acts: Vec<Act>,
    /// What is on the disk and known: path and hash.
    pub seen: Vec<(String, Option<String>)>,
    /// How many files are missing by accident and come back.
    pub lost: usize,
    /// Files that are missing, so many at once that somebody must say whether that was meant.
    pub held: BTreeSet<String>,
}

/// Compares the folder with the ledger.
///
/// A missing root is never taken for a deletion: the files come back. A sudden mass of missing files is held until somebody
/// says what it was. A file that was never seen on the disk is not missing, only not written yet; one that could not be
/// read is not missing either.
#[must_use]
pub fn reconcile(ledger: &Ledger, disk: &BTreeMap<String, Found>, root_exists: bool, blocked: &Blocked) -> Outcome {
    let mut outcome = Outcome::default();
    let mut missing = Missing::new(ledger, disk, blocked);
    let mut edits = Vec::new();
    let edited =
        |path: &str, row: Option<&Row>| Act::Edited { path: path.to_owned(), base: row.and_then(Row::edit_base) };
    for (path, found) in disk {
        match ledger.get(path) {
            Some(row) if is_untouched(row, found) => outcome.seen.push((path.clone(), Some(found.hash.clone()))),
            Some(row) => edits.push(edited(path, Some(row))),
            None => match missing.take(ledger, found) {
                Some(from) => {
                    let row = ledger.get(&from).filter(|row| !is_untouched(row, found));
                    edits.extend(row.map(|row| edited(path, Some(row))));
                    outcome.acts.push(Act::Moved { from, to: path.clone() });
                }
                None => edits.push(edited(path, None)),
            },
        }
    }
    outcome.acts.extend(edits);
    let on_disk = ledger.rows().filter(|(_, row)| row.seen.is_some()).count();
    let missing = missing.paths;
    // Everything gone at once, the profile too, is an empty folder where the real one is not mounted.
    if !root_exists || (missing.len() > 1 && missing.len() == on_disk) {
        outcome.lost = missing.len();
        outcome.seen.extend(missing.into_iter().map(|path| (path, None)));
    } else if is_mass(missing.len(), on_disk) {
        outcome.held = missing;
    } else {
        outcome.acts.extend(missing.into_iter().map(Act::Deleted));
    }
    outcome
}

/// Takes a file that had text and is empty now for unchanged while it may be in the middle of a save; says whether any is.
pub fn set_aside_emptied(
    ledger: &Ledger,
    disk: &mut BTreeMap<String, Found>,
    may_be_saving: impl Fn(&str) -> bool,
) -> bool {
    let empty = hash(b"");
    let mut saving = false;
    for (path, found) in disk.iter_mut().filter(|(_, found)| found.hash == empty) {
        if let Some(row) = ledger.get(path).filter(|row| row.last_seen() != empty)
            && may_be_saving(path)
        {
            row.last_seen().clone_into(&mut found.hash);
            saving = true;
        }
    }
    saving
}

/// Whether a file holds what the log says, or an earlier text that waits to be written over.
///
/// Of ours any earlier text is one; a person who puts an earlier text of their own back has edited the file.
fn is_untouched(row: &Row, found: &Found) -> bool {
    let may_be_older = row.author == Author::Daemon || row.is_pending();
    row.hash == found.hash || (may_be_older && row.knows(&found.hash))
}

/// Files that were on the disk and are not any more.
struct Missing {
    paths: BTreeSet<String>,
    by_hash: HashMap<String, Vec<String>>,
}

impl Missing {
    fn new(ledger: &Ledger, disk: &BTreeMap<String, Found>, blocked: &Blocked) -> Self {
        let gone = ledger.rows().filter(|(path, row)| row.seen.is_some() && !disk.contains_key(*path));
        let (mut paths, mut by_hash) = (BTreeSet::new(), HashMap::<String, Vec<String>>::new());
        for (path, row) in gone.filter(|(path, _)| !blocked.holds(path)) {
            paths.insert(path.to_owned());
            by_hash.entry(row.hash.clone()).or_default().push(path.to_owned());
        }
        Self { paths, by_hash }
    }

    /// The missing file that this new one was, which then is not missing: the same id in the front matter, else the same text.
    fn take(&mut self, ledger: &Ledger, found: &Found) -> Option<String> {
        let by_note = found.note.as_deref().and_then(|note| ledger.path_of(note));
        let by_note = by_note.filter(|path| self.paths.contains(*path)).map(str::to_owned);
        let by_text = || {
            let same = self.by_hash.get(&found.hash)?;
            same.iter().find(|path| self.paths.contains(*path)).cloned()
        };
        let from = by_note.or_else(by_text)?;
        self.paths.remove(&from);
        Some(from)
    }
}

fn is_mass(missing: usize, on_disk: usize) -> bool {
    #[allow(clippy::cast_precision_loss)]
    let share = missing as f64 / on_disk.max(1) as f64;
    missing > MASS_FILES && share > MASS_SHARE
}

#[cfg(test)]
mod tests {
    use super::super::{Base, Text};
    use super::*;

    fn ledger(files: &[(&str, &str)]) -> Ledger {
        let mut ledger = Ledger::default();
        for (i, (path, text)) in files.iter().enumerate() {
            let note = Some(format!("id-{path}"));
            ledger.written(Text { path, bytes: text.as_bytes(), note, position: i as u64 });
            ledger.saw(path, Some(hash(text.as_bytes())));
        }
        ledger
    }

    fn disk(files: &[(&str, &str, Option<&str>)]) -> BTreeMap<String, Found> {
        let found =
            |text: &str, note: &Option<&str>| Found { hash: hash(text.as_bytes()), note: note.map(str::to_owned) };
        files.iter().map(|(path, text, note)| ((*path).to_owned(), found(text, note))).collect()
    }

    fn acts(ledger: &Ledger, files: &[(&str, &str, Option<&str>)]) -> Vec<Act> {
        reconcile(ledger, &disk(files), true, &Blocked::default()).acts
    }

    #[test]
    fn what_a_person_can_do() {
        let ledger = ledger(&[("a.md", "one"), ("b.md", "two")]);
        let moved = |from: &str, to: &str| Act::Moved { from: from.into(), to: to.into() };
        let edited = |path: &str, base: Option<u64>| Act::Edited { path: path.into(), base };
        type Files<'a> = &'a [(&'a str, &'a str, Option<&'a str>)];
        let cases: &[(&str, Files<'_>, Vec<Act>)] = &[
            ("nothing", &[("a.md", "one", None), ("b.md", "two", None)], vec![]),
            ("edits", &[("a.md", "ONE", None), ("b.md", "two", None)], vec![edited("a.md", Some(0))]),
            (
                "adds",
                &[("a.md", "one", None), ("b.md", "two", None), ("c.md", "new", None)],
                vec![edited("c.md", None)],
            ),
            ("deletes", &[("a.md", "one", None)], vec![Act::Deleted("b.md".into())]),
            ("renames", &[("a.md", "one", None), ("c.md", "two", None)], vec![moved("b.md", "c.md")]),
            (
                "renames and edits",
                &[("a.md", "one", None), ("c.md", "changed", Some("id-b.md"))],
                vec![moved("b.md", "c.md"), edited("c.md", Some(1))],
            ),
            (
                "copies with the id inside",
                &[("a.md", "one", None), ("b.md", "two", None), ("c.md", "two", Some("id-b.md"))],
                vec![edited("c.md", None)],
            ),
        ];
        for (what, files, expected) in cases {
            assert_eq!(acts(&ledger, files), *expected, "a person {what}");
        }
    }

    #[test]
    fn an_older_version_of_ours_is_not_an_edit() {
        let mut ledger = ledger(&[("a.md", "one")]);
        ledger.written(Text { path: "a.md", bytes: b"two", note: None, position: 9 });
        let outcome = reconcile(&ledger, &disk(&[("a.md", "one", None)]), true, &Blocked::default());
        assert!(outcome.acts.is_empty());
        assert_eq!(outcome.seen, [("a.md".to_owned(), Some(hash(b"one")))]);
    }

    #[test]
    fn a_note_emptied_in_mid_save_holds_what_was_last_seen_there() {
        let mut ledger = ledger(&[("a.md", "one")]);
        ledger.written(Text { path: "a.md", bytes: b"two", note: None, position: 9 });
        let mut found = disk(&[("a.md", "", None), ("new.md", "", None)]);
        assert!(set_aside_emptied(&ledger, &mut found, |_| true));
        let outcome = reconcile(&ledger, &found, true, &Blocked::default());
        assert_eq!(outcome.acts, [Act::Edited { path: "new.md".into(), base: None }]);
        assert_eq!(outcome.seen, [("a.md".to_owned(), Some(hash(b"one")))], "our new text waits to be written");
        let mut found = disk(&[("a.md", "", None)]);
        assert!(!set_aside_emptied(&ledger, &mut found, |_| false), "for a while only");
        assert_eq!(acts(&ledger, &[("a.md", "", None)]), [Act::Edited { path: "a.md".into(), base: Some(0) }]);
        ledger.edited(Text { path: "a.md", bytes: b"", note: None, position: 10 }, None);
        assert!(!set_aside_emptied(&ledger, &mut found, |_| true), "a note that a person left empty is no save");
    }

    #[test]
    fn a_lost_folder_comes_back_and_a_mass_of_lost_files_is_held() {
        let names: Vec<String> = (0..40).map(|i| format!("{i}.md")).collect();
        let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), name.as_str())).collect();
        let ledger = ledger(&files);
        let lost_root = reconcile(&ledger, &BTreeMap::new(), false, &Blocked::default());
        assert_eq!((lost_root.acts.len(), lost_root.lost), (0, 40));
        assert_eq!(reconcile(&ledger, &BTreeMap::new(), true, &Blocked::default()).lost, 40, "not mounted");
        let kept =
            |n: usize| -> Vec<(&str, &str, Option<&str>)> { files[n..].iter().map(|(p, t)| (*p, *t, None)).collect() };
        let held = reconcile(&ledger, &disk(&kept(26)), true, &Blocked::default());
        assert_eq!((held.held.len(), held.acts.len(), held.lost), (26, 0, 0));
        assert!(held.seen.iter().all(|(_, hash)| hash.is_some()), "nothing that is held comes back by itself");
        assert_eq!(reconcile(&ledger, &disk(&kept(25)), true, &Blocked::default()).acts.len(), 25);
    }

    #[test]
    fn a_file_not_yet_written_is_not_deleted() {
        let mut ledger = Ledger::default();
        ledger.written(Text { path: "a.md", bytes: b"one", note: None, position: 1 });
        assert_eq!(reconcile(&ledger, &BTreeMap::new(), true, &Blocked::default()), Outcome::default());
    }

    #[test]
    fn a_person_who_puts_their_earlier_text_back_has_edited() {
        let mut ledger = ledger(&[("a.md", "ours")]);
        let base = || Some(Base { position: 0, hash: hash(b"ours") });
        ledger.edited(Text { path: "a.md", bytes: b"mine", note: None, position: 1 }, base());
        ledger.merged(Text { path: "a.md", bytes: b"merged", note: None, position: 2 }, hash(b"newer"), false);
        let found = disk(&[("a.md", "mine", None)]);
        assert!(reconcile(&ledger, &found, true, &Blocked::default()).acts.is_empty(), "the merge waits to be written");
        ledger.saw("a.md", Some(hash(b"merged")));
        let acts = reconcile(&ledger, &found, true, &Blocked::default()).acts;
        assert_eq!(acts, [Act::Edited { path: "a.md".into(), base: Some(2) }]);
    }

    #[test]
    fn a_mass_of_renames_is_told_in_one_walk() {
        let names: Vec<String> = (0..20_000).map(|i| format!("{i}.md")).collect();
        let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), name.as_str())).collect();
        let moved: Vec<String> = names.iter().map(|name| format!("archive/{name}")).collect();
        let found: Vec<(&str, &str, Option<&str>)> =
            moved.iter().zip(&names).map(|(to, text)| (to.as_str(), text.as_str(), None)).collect();
        let acts = acts(&ledger(&files), &found);
        assert_eq!(acts.len(), names.len());
        assert!(acts.iter().all(|act| matches!(act, Act::Moved { from, to } if to.ends_with(from))));
    }
}
