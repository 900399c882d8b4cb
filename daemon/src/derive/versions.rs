//! What became of each note, version by version: who wrote it when, and where the log holds the text.
//!
//! A cache of the `vault.*` events; it outlives the note, so that a deleted one can come back.

use std::collections::BTreeMap;

use clone_schema::Timestamp;
use serde::{Deserialize, Serialize};

/// How many versions of one note are remembered; of more, the daemon's own are forgotten first.
pub const VERSIONS_MAX: usize = 100;

/// How many of the newest are kept whoever wrote them: by these an outdated save is told from a wish.
const RECENT: usize = 32;

/// What happened to a note.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "lowercase")]
pub enum What {
    /// The daemon wrote it.
    Written,
    /// The daemon merged what is new into what the person wrote.
    Merged,
    /// A person wrote it.
    Edited,
    /// A person asked for an earlier version, or for a change, through Clone.
    Asked,
    /// It was moved here.
    Moved {
        /// From where.
        from: String,
    },
    /// It was deleted.
    Deleted {
        /// The id in its front matter.
        note: Option<String>,
    },
}

impl What {
    /// Whether the event holds a text.
    #[must_use]
    pub fn has_text(&self) -> bool {
        !matches!(self, Self::Moved { .. } | Self::Deleted { .. })
    }

    /// Who did it.
    #[must_use]
    pub fn by(&self) -> &'static str {
        if matches!(self, Self::Written | Self::Merged) { "clone" } else { "person" }
    }
}

/// One version of a note.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Its number, counted from 1; numbers of forgotten versions are not given again.
    pub number: u32,
    /// Position of the event.
    pub position: u64,
    /// When.
    pub at: Timestamp,
    /// Position of the text of ours that this one was made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<u64>,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// The versions of every note, by path.
#[derive(Debug, Default)]
pub struct Versions {
    by_path: BTreeMap<String, Vec<Version>>,
    /// Where a deleted note was, by its id.
    gone: BTreeMap<String, String>,
}

impl Versions {
    /// Adds what happened to a note.
    pub fn add(&mut self, path: &str, position: u64, at: Timestamp, what: What) {
        if let What::Deleted { note: Some(note) } = &what {
            self.gone.insert(note.clone(), path.to_owned());
        }
        let versions = self.by_path.entry(path.to_owned()).or_default();
        let number = versions.last().map_or(1, |last| last.number + 1);
        versions.push(Version { number, position, at, base: None, what });
        // A moved note brings its own along.
        while versions.len() > VERSIONS_MAX {
            let older = versions.len().saturating_sub(RECENT);
            let ours = versions[..older].iter().position(|version| version.what.by() == "clone");
            versions.remove(ours.unwrap_or(0));
        }
    }

    /// Says of what text of ours the newest version of a note was made.
    pub fn based_on(&mut self, path: &str, base: Option<u64>) {
        if let Some(last) = self.by_path.get_mut(path).and_then(|versions| versions.last_mut()) {
            last.base = base;
        }
    }

    /// Takes the versions of a note along to where it was moved, behind those of a note that was there.
    pub fn moved(&mut self, from: &str, to: &str, position: u64, at: Timestamp) {
        let moved = self.by_path.remove(from).unwrap_or_default();
        let there = self.by_path.entry(to.to_owned()).or_default();
        let before = there.last().map_or(0, |last| last.number);
        there.extend(moved.into_iter().map(|version| Version { number: version.number + before, ..version }));
        self.add(to, position, at, What::Moved { from: from.to_owned() });
    }

    /// The versions of the note at this path, oldest first.
    #[must_use]
    pub fn of(&self, path: &str) -> &[Version] {
        self.by_path.get(path).map_or(&[], Vec::as_slice)
    }

    /// Where the deleted note of this path or this id was, and the last version of it that has a text.
    #[must_use]
    pub fn deleted(&self, path: &str, note: Option<&str>) -> Option<(&str, &Version)> {
        let by_note = note.and_then(|note| self.gone.get(note)).map(String::as_str);
        [Some(path), by_note].into_iter().flatten().find_map(|path| {
            let (path, versions) = self.by_path.get_key_value(path)?;
            let is_gone = matches!(versions.last()?.what, What::Deleted { .. });
            let last = versions.iter().rev().find(|version| version.what.has_text()).filter(|_| is_gone)?;
            Some((path.as_str(), last))
        })
    }

    /// Loads what a restart kept.
    pub fn put(&mut self, path: String, versions: Vec<Version>) {
        if let Some(What::Deleted { note: Some(note) }) = versions.last().map(|last| &last.what) {
            self.gone.insert(note.clone(), path.clone());
        }
        self.by_path.insert(path, versions);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_note_keeps_its_versions_through_moves_and_deletion() {
        let mut versions = Versions::default();
        versions.add("a.md", 1, at(1), What::Written);
        versions.add("a.md", 2, at(2), What::Edited);
        versions.moved("a.md", "b.md", 3, at(3));
        assert!(versions.of("a.md").is_empty() && versions.deleted("b.md", None).is_none());
        versions.add("b.md", 4, at(4), What::Deleted { note: Some("fct_1".into()) });
        let mut restarted = Versions::default();
        restarted.put("b.md".into(), versions.of("b.md").to_vec());
        for versions in [versions, restarted] {
            let numbers: Vec<_> =
                versions.of("b.md").iter().map(|version| (version.number, version.position)).collect();
            assert_eq!(numbers, [(1, 1), (2, 2), (3, 3), (4, 4)]);
            for (path, note) in [("b.md", None), ("c.md", Some("fct_1"))] {
                let (path, last) = versions.deleted(path, note).unwrap();
                assert_eq!((path, last.position), ("b.md", 2));
            }
        }
    }

    #[test]
    fn versions_are_bounded_and_a_persons_go_last() {
        let mut versions = Versions::default();
        versions.add("a.md", 0, at(0), What::Edited);
        (1..500).for_each(|i| versions.add("a.md", i, at(1), What::Written));
        let kept = versions.of("a.md");
        assert_eq!((kept.len(), kept[0].position, kept[1].position), (VERSIONS_MAX, 0, 401));
        assert_eq!(kept.last().unwrap().number, 500);
        (500..800).for_each(|i| versions.add("a.md", i, at(2), What::Edited));
        assert_eq!(versions.of("a.md").len(), VERSIONS_MAX);
        versions.add("a.md", 800, at(3), What::Merged);
        (801..820).for_each(|i| versions.add("a.md", i, at(3), What::Edited));
        assert!(versions.of("a.md").iter().any(|version| version.position == 800), "what we wrote last is still known");
        (0..500).for_each(|i| versions.add("b.md", i, at(1), What::Written));
        versions.moved("a.md", "b.md", 900, at(4));
        assert_eq!(versions.of("b.md").len(), VERSIONS_MAX);
    }
}
