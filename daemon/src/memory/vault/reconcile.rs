//! What a person did to the folder, told from the ledger and the disk alone.

use std::collections::{BTreeMap, BTreeSet};

use super::disk::Blocked;
use super::{Author, Ledger};

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
    Edited(String),
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
    /// Files that are missing by accident and come back.
    pub held: usize,
}

/// Compares the folder with the ledger.
///
/// A missing root, and a sudden mass of missing files, is never taken for a deletion: the files come back. A file that was
/// never seen on the disk is not missing, only not written yet; one that could not be read is not missing either.
#[must_use]
pub fn reconcile(ledger: &Ledger, disk: &BTreeMap<String, Found>, root_exists: bool, blocked: &Blocked) -> Outcome {
    let mut outcome = Outcome::default();
    let mut missing = missing(ledger, disk, blocked);
    let mut edits = Vec::new();
    for (path, found) in disk {
        match ledger.get(path) {
            Some(row) if row.hash == found.hash => outcome.seen.push((path.clone(), Some(found.hash.clone()))),
            Some(row) if row.author == Author::Daemon && row.ours.contains(&found.hash) => {
                outcome.seen.push((path.clone(), Some(found.hash.clone())));
            }
            Some(_) => edits.push(Act::Edited(path.clone())),
            None => match origin(ledger, &missing, found) {
                Some(from) => {
                    let same = ledger.get(&from).is_some_and(|row| row.hash == found.hash);
                    missing.remove(&from);
                    outcome.acts.push(Act::Moved { from, to: path.clone() });
                    if !same {
                        edits.push(Act::Edited(path.clone()));
                    }
                }
                None => edits.push(Act::Edited(path.clone())),
            },
        }
    }
    outcome.acts.extend(edits);
    let on_disk = ledger.rows().filter(|(_, row)| row.seen.is_some()).count();
    if !root_exists || is_mass(missing.len(), on_disk) {
        outcome.held = missing.len();
        outcome.seen.extend(missing.into_iter().map(|path| (path, None)));
    } else {
        outcome.acts.extend(missing.into_iter().map(Act::Deleted));
    }
    outcome
}

/// Files that were on the disk and are not any more.
fn missing(ledger: &Ledger, disk: &BTreeMap<String, Found>, blocked: &Blocked) -> BTreeSet<String> {
    let gone = ledger.rows().filter(|(path, row)| row.seen.is_some() && !disk.contains_key(*path));
    let gone = gone.filter(|(path, _)| !blocked.holds(path));
    gone.map(|(path, _)| path.to_owned()).collect()
}

/// The missing file that this new one was: the same id in the front matter, else the same text.
fn origin(ledger: &Ledger, missing: &BTreeSet<String>, found: &Found) -> Option<String> {
    let by_note = found.note.as_deref().and_then(|note| ledger.path_of(note)).filter(|path| missing.contains(*path));
    let by_text = || missing.iter().find(|path| ledger.get(path).is_some_and(|row| row.hash == found.hash));
    by_note.map(str::to_owned).or_else(|| by_text().cloned())
}

fn is_mass(missing: usize, on_disk: usize) -> bool {
    #[allow(clippy::cast_precision_loss)]
    let share = missing as f64 / on_disk.max(1) as f64;
    // Everything gone at once, the profile too, is an empty folder where the real one is not mounted.
    (missing > MASS_FILES && share > MASS_SHARE) || (missing > 1 && missing == on_disk)
}

#[cfg(test)]
mod tests {
    use super::super::hash;
    use super::*;

    fn ledger(files: &[(&str, &str)]) -> Ledger {
        let mut ledger = Ledger::default();
        for (i, (path, text)) in files.iter().enumerate() {
            ledger.written(path, text.as_bytes(), Some(format!("id-{path}")), i as u64);
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
        let edited = |path: &str| Act::Edited(path.into());
        type Files<'a> = &'a [(&'a str, &'a str, Option<&'a str>)];
        let cases: &[(&str, Files<'_>, Vec<Act>)] = &[
            ("nothing", &[("a.md", "one", None), ("b.md", "two", None)], vec![]),
            ("edits", &[("a.md", "ONE", None), ("b.md", "two", None)], vec![edited("a.md")]),
            ("adds", &[("a.md", "one", None), ("b.md", "two", None), ("c.md", "new", None)], vec![edited("c.md")]),
            ("deletes", &[("a.md", "one", None)], vec![Act::Deleted("b.md".into())]),
            ("renames", &[("a.md", "one", None), ("c.md", "two", None)], vec![moved("b.md", "c.md")]),
            (
                "renames and edits",
                &[("a.md", "one", None), ("c.md", "changed", Some("id-b.md"))],
                vec![moved("b.md", "c.md"), edited("c.md")],
            ),
            (
                "copies with the id inside",
                &[("a.md", "one", None), ("b.md", "two", None), ("c.md", "two", Some("id-b.md"))],
                vec![edited("c.md")],
            ),
        ];
        for (what, files, expected) in cases {
            assert_eq!(acts(&ledger, files), *expected, "a person {what}");
        }
    }

    #[test]
    fn an_older_version_of_ours_is_not_an_edit() {
        let mut ledger = ledger(&[("a.md", "one")]);
        ledger.written("a.md", b"two", None, 9);
        let outcome = reconcile(&ledger, &disk(&[("a.md", "one", None)]), true, &Blocked::default());
        assert!(outcome.acts.is_empty());
        assert_eq!(outcome.seen, [("a.md".to_owned(), Some(hash(b"one")))]);
    }

    #[test]
    fn a_lost_folder_and_a_mass_of_lost_files_come_back() {
        let names: Vec<String> = (0..40).map(|i| format!("{i}.md")).collect();
        let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), name.as_str())).collect();
        let ledger = ledger(&files);
        let lost_root = reconcile(&ledger, &BTreeMap::new(), false, &Blocked::default());
        assert_eq!((lost_root.acts.len(), lost_root.held), (0, 40));
        let kept =
            |n: usize| -> Vec<(&str, &str, Option<&str>)> { files[n..].iter().map(|(p, t)| (*p, *t, None)).collect() };
        assert_eq!(reconcile(&ledger, &disk(&kept(26)), true, &Blocked::default()).held, 26);
        assert_eq!(reconcile(&ledger, &disk(&kept(25)), true, &Blocked::default()).acts.len(), 25);
    }

    #[test]
    fn a_file_not_yet_written_is_not_deleted() {
        let mut ledger = Ledger::default();
        ledger.written("a.md", b"one", None, 1);
        assert_eq!(reconcile(&ledger, &BTreeMap::new(), true, &Blocked::default()), Outcome::default());
    }
}
