//! Folders of transcripts that are followed: which files changed, and what was added to them.
//!
//! What is remembered of a file that was read is a hash of its path, its length and its time, never a name: it only spares
//! reading it again, and losing all of it makes no event twice, since every event has the id that its file gives it.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use clone_schema::Event;
use serde::{Deserialize, Serialize};

use super::tail::Tail;
use super::{Counts, Filter, Format, MAX_FILES, files};

/// How many files have their reader kept; the one that was quiet longest is read from its beginning when it grows again.
const MAX_TAILS: usize = 32;

/// A folder that is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// Whose it is.
    pub format: Format,
    /// Where it is.
    pub path: PathBuf,
}

/// How far a file was read, for as long as it stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    inode: u64,
    length: u64,
    modified: i64,
}

impl Mark {
    fn of(meta: &Metadata) -> Self {
        let modified = meta.mtime().wrapping_mul(1_000_000_000).wrapping_add(meta.mtime_nsec());
        Self { inode: meta.ino(), length: meta.len(), modified }
    }
}

/// What was read, to be kept over a restart; derived, and safe to lose.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    files: BTreeMap<String, Mark>,
}

/// Follows folders.
pub struct Follower {
    folders: Vec<Folder>,
    filter: Filter,
    memory: Memory,
    changed: bool,
    tails: BTreeMap<PathBuf, (u64, Tail)>,
    looks: u64,
    counts: BTreeMap<&'static str, Counts>,
    unreadable: BTreeMap<PathBuf, String>,
}

impl Follower {
    /// Follows these folders, going on from what is remembered.
    #[must_use]
    pub fn new(folders: Vec<Folder>, filter: Filter, memory: Memory) -> Self {
        let counts = folders.iter().map(|folder| (folder.format.name(), Counts::default())).collect();
        let (tails, unreadable) = (BTreeMap::new(), BTreeMap::new());
        Self { folders, filter, memory, changed: false, tails, looks: 0, counts, unreadable }
    }

    /// The folders.
    #[must_use]
    pub fn folders(&self) -> &[Folder] {
        &self.folders
    }

    /// What was done with the files of each format since this began.
    #[must_use]
    pub fn counts(&self) -> &BTreeMap<&'static str, Counts> {
        &self.counts
    }

    /// What could not be read, and why.
    pub fn unreadable(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.unreadable.iter().map(|(path, why)| (path.as_path(), why.as_str()))
    }

    /// What is to be kept, where it changed since it was last taken.
    pub fn take_memory(&mut self) -> Option<Memory> {
        std::mem::take(&mut self.changed).then(|| self.memory.clone())
    }

    /// Looks at every file, older sessions first where a folder is new, as long as it may go on.
    ///
    /// It is asked before each file: what is left then is news at the next look.
    pub fn look_at_all(&mut self, may_go_on: &dyn Fn() -> bool, out: &mut dyn FnMut(Event)) {
        for folder in self.folders.clone() {
            if !folder.path.is_dir() {
                continue;
            }
            match files(folder.format, &folder.path, &mut |path| self.is_news(path)) {
                Ok(found) => {
                    found.iter().take_while(|_| may_go_on()).for_each(|path| self.read(folder.format, path, out));
                }
                Err(error) => _ = self.unreadable.insert(folder.path.clone(), error.to_string()),
            }
        }
    }

    /// Looks at one path that moved, be it a file of a folder or a folder inside one.
    pub fn look_at(&mut self, path: &Path, out: &mut dyn FnMut(Event)) {
        let Some(format) = self.folders.iter().find(|folder| path.starts_with(&folder.path)).map(|of| of.format) else {
            return;
        };
        if path.is_dir() {
            let found = files(format, path, &mut |path| self.is_news(path));
            found.unwrap_or_default().iter().for_each(|path| self.read(format, path, out));
        } else if format.takes(path) {
            self.read(format, path, out);
        }
    }

    fn is_news(&self, path: &Path) -> bool {
        path.symlink_metadata().is_ok_and(|meta| self.memory.files.get(&key(path)) != Some(&Mark::of(&meta)))
    }

    fn read(&mut self, format: Format, path: &Path, out: &mut dyn FnMut(Event)) {
        // Taken before reading: what is written meanwhile makes a difference at the next look.
        let Ok(meta) = path.symlink_metadata() else { return };
        let mark = Mark::of(&meta);
        if !meta.is_file() || self.memory.files.get(&key(path)) == Some(&mark) {
            return;
        }
        self.looks += 1;
        let (_, mut tail) = self.tails.remove(path).unwrap_or_else(|| (0, Tail::new(format, path)));
        match tail.read(&self.filter, out) {
            Ok(counts) => {
                self.counts.entry(format.name()).or_default().add(&counts);
                self.unreadable.remove(path);
                self.remember(key(path), mark);
                self.keep(path, tail);
            }
            Err(error) => {
                self.unreadable.insert(path.to_owned(), error.to_string());
            }
        }
    }

    fn remember(&mut self, key: String, mark: Mark) {
        if self.memory.files.len() >= MAX_FILES {
            self.memory.files.clear();
        }
        self.memory.files.insert(key, mark);
        self.changed = true;
    }

    fn keep(&mut self, path: &Path, tail: Tail) {
        if self.tails.len() >= MAX_TAILS {
            let quietest = self.tails.iter().min_by_key(|(_, (look, _))| *look).map(|(path, _)| path.clone());
            quietest.and_then(|path| self.tails.remove(&path));
        }
        self.tails.insert(path.to_owned(), (self.looks, tail));
    }
}

/// What a path is remembered by.
fn key(path: &Path) -> String {
    blake3::hash(path.as_os_str().as_encoded_bytes()).to_hex()[..16].to_owned()
}

#[cfg(test)]
mod tests;
