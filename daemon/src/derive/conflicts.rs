//! What of ours a person's notes left out, as files beside the state: a cache, made anew from `vault.written` events.
//!
//! The notes themselves never hold a marker of it.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The folder and what it holds.
pub struct Conflicts {
    dir: PathBuf,
    /// Per note the position of the event that tells of its conflict.
    kept: BTreeMap<String, u64>,
}

impl Conflicts {
    /// The folder beside the state; what an earlier run left in it goes.
    #[must_use]
    pub fn new(state_dir: &Path) -> Self {
        let dir = state_dir.join("conflicts");
        if let Err(error) = std::fs::remove_dir_all(&dir)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "old conflict texts stay");
        }
        Self { dir, kept: BTreeMap::new() }
    }

    /// Makes the folder hold these conflicts, by note and position, and no others.
    pub fn keep(&mut self, wanted: BTreeMap<String, u64>, text: impl Fn(u64) -> Option<String>) {
        if wanted == self.kept {
            return;
        }
        for path in self.kept.keys().filter(|path| !wanted.contains_key(*path)) {
            let _gone = std::fs::remove_file(self.dir.join(path));
        }
        for (path, position) in wanted.iter().filter(|(path, position)| self.kept.get(*path) != Some(position)) {
            let Some(text) = text(*position) else { continue };
            if let Err(error) = write(&self.dir.join(path), &text) {
                tracing::warn!(%error, path, "a conflict text is not written; `clone memory history` shows it");
            }
        }
        self.kept = wanted;
    }
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(dir) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    }
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}
