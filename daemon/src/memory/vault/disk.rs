//! The folder on the disk: what is there, and writing without ever covering an edit.
//!
//! A new file is put in place only where none is. A file of ours is replaced by *exchanging* it with the new one and then
//! looking at what came out: an edit that landed in the window is put back. The displaced file is kept for a while and
//! looked at again, because an editor that truncates and writes may still hold it open.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsStr;
use std::fs::{DirEntry, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::hash;
use super::reconcile::Found;

/// The largest file that is read, in bytes; a larger one is a problem, never touched.
pub const FILE_BYTES_MAX: u64 = 7 << 20;
/// How long a displaced file is kept and watched for a late write, in seconds.
pub const DISPLACED_SECONDS: i64 = 10;
/// The most files that are looked at.
pub const FILES_MAX: usize = 200_000;
/// The folders that hold notes; the root itself is one, and folders inside the other two hold notes as well.
pub const FOLDERS: &[&str] = &["", "facts", "episodes"];
/// How many folders inside each other are looked at below `facts` and `episodes`.
pub const DEPTH_MAX: usize = 8;
/// The most folders that are looked at.
pub const SUBFOLDERS_MAX: usize = 10_000;
const TEMP_PREFIX: &str = ".clone-";
/// The extension of a temporary file that is not whole yet.
const PART: &str = "part";

/// Why a write did not happen.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// Somebody wrote the file meanwhile; it stays theirs.
    #[error("`{0}` was touched meanwhile")]
    Touched(String),
    /// The system refused.
    #[error("cannot write `{path}`: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Something about a file that a person should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The path, relative to the vault.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

/// What one look at the folder found.
#[derive(Debug, Default)]
pub struct Look {
    /// Whether the folder and all its parts could be read; where not, nothing that is missing was deleted.
    pub root_exists: bool,
    /// Its notes.
    pub files: BTreeMap<String, Found>,
    /// The bytes of notes whose content changed since the last look.
    pub changed: BTreeMap<String, Vec<u8>>,
    /// What cannot be read.
    pub troubles: Vec<Trouble>,
    /// Where it is.
    pub blocked: Blocked,
}

/// Notes, and whole folders, that are there and cannot be read: nothing is known of them, least of all that they are gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blocked {
    paths: BTreeSet<String>,
    folders: BTreeSet<String>,
}

impl Blocked {
    /// Whether nothing is known of this note.
    #[must_use]
    pub fn holds(&self, path: &str) -> bool {
        let mut folders = path.match_indices('/').map(|(end, _)| &path[..end]);
        self.paths.contains(path) || self.folders.contains("") || folders.any(|folder| self.folders.contains(folder))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Signature {
    modified: (i64, i64),
    size: u64,
    inode: u64,
}

struct Displaced {
    temp: PathBuf,
    path: String,
    hash: String,
    /// Hash of our text that took its place.
    by: String,
    since: i64,
}

/// The folder, with what the last look knew.
pub struct Disk {
    root: PathBuf,
    known: HashMap<String, (Signature, Found)>,
    displaced: Vec<Displaced>,
    serial: u64,
}

impl Disk {
    /// The folder at this path; nothing is touched yet.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), known: HashMap::new(), displaced: Vec::new(), serial: 0 }
    }

    /// Looks at every note: by its times and size first, by its bytes where those changed.
    ///
    /// Links, pipes, devices and oversized files are never opened; they are troubles.
    pub fn look(&mut self, note_of: impl Fn(&[u8]) -> Option<String>) -> Look {
        let mut look = Look { root_exists: self.root.is_dir(), ..Look::default() };
        let mut known = HashMap::new();
        for folder in self.folders() {
            let entries = match entries(&self.root.join(&folder)) {
                Ok(entries) => entries,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    look.root_exists &= !FOLDERS.contains(&folder.as_str());
                    continue;
                }
                Err(error) => {
                    look.troubles.push(Trouble { path: format!("{folder}/"), message: error.to_string() });
                    look.blocked.folders.insert(folder);
                    continue;
                }
            };
            for entry in entries {
                let Some(path) = note_path(&folder, &entry.file_name()) else { continue };
                match self.found(&path, &entry.path(), &note_of, &mut look.changed) {
                    Ok((signature, found)) => {
                        look.files.insert(path.clone(), found.clone());
                        known.insert(path, (signature, found));
                    }
                    Err(message) => {
                        look.blocked.paths.insert(path.clone());
                        look.troubles.push(Trouble { path, message });
                    }
                }
            }
        }
        self.known = known;
        look.troubles.sort_by(|a, b| a.path.cmp(&b.path));
        look
    }

    /// Every folder that may hold notes: a person who tidies facts away into a folder has moved them, not deleted them.
    ///
    /// Hidden folders and links are passed over.
    fn folders(&self) -> Vec<String> {
        let mut folders: Vec<String> = FOLDERS.iter().map(|&folder| folder.to_owned()).collect();
        let mut next = 0;
        while let Some(folder) = folders.get(next).cloned() {
            next += 1;
            if folder.is_empty() || folder.matches('/').count() >= DEPTH_MAX {
                continue;
            }
            let Ok(entries) = std::fs::read_dir(self.root.join(&folder)) else { continue };
            for entry in entries.flatten() {
                let inner = entry.file_name().to_str().filter(|name| !name.starts_with('.')).map(str::to_owned);
                let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
                if let Some(name) = inner.filter(|_| is_folder && folders.len() < SUBFOLDERS_MAX) {
                    folders.push(format!("{folder}/{name}"));
                }
            }
        }
        folders
    }

    fn found(
        &self,
        path: &str,
        full: &Path,
        note_of: &impl Fn(&[u8]) -> Option<String>,
        changed: &mut BTreeMap<String, Vec<u8>>,
    ) -> Result<(Signature, Found), String> {
        let meta = std::fs::symlink_metadata(full).map_err(|error| error.to_string())?;
        let signature = signature(&meta);
        match self.known.get(path) {
            Some((known, found)) if *known == signature => Ok((signature, found.clone())),
            _ => {
                let bytes = read(full)?;
                let found = Found { hash: hash(&bytes), note: note_of(&bytes) };
                changed.insert(path.to_owned(), bytes);
                Ok((signature, found))
            }
        }
    }

    /// Whether nothing at all is at this path; what cannot be told is not gone.
    #[must_use]
    pub fn is_gone(&self, path: &str) -> bool {
        let looked = std::fs::symlink_metadata(self.root.join(path));
        looked.is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
    }

    /// Reads one note.
    ///
    /// # Errors
    ///
    /// It is not a regular file of acceptable size, or cannot be read; the text says which.
    pub fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        read(&self.root.join(path))
    }

    /// How long ago a note was last written, in seconds; 0 for one that was never looked at.
    #[must_use]
    pub fn age_seconds(&self, path: &str, now: i64) -> i64 {
        self.known.get(path).map_or(0, |(signature, _)| now - signature.modified.0)
    }

    /// Makes the folder and its parts.
    ///
    /// # Errors
    ///
    /// The system refused.
    pub fn make(&self) -> Result<(), VaultError> {
        for folder in FOLDERS {
            let dir = self.root.join(folder);
            make_private(&dir).map_err(|source| VaultError::Io { path: dir.display().to_string(), source })?;
        }
        Ok(())
    }

    /// Writes a note, only where no file is or where the file's hash is one that may be written over.
    ///
    /// # Errors
    ///
    /// A person touched the file, which stays theirs, or the system refused.
    ///
    /// # Durability
    ///
    /// The file and its directory entry are on disk when this returns.
    pub fn write(
        &mut self,
        path: &str,
        bytes: &[u8],
        is_ours: impl Fn(&str) -> bool,
        now: i64,
    ) -> Result<(), VaultError> {
        let io = |source| VaultError::Io { path: path.to_owned(), source };
        let full = self.root.join(path);
        let temp = self.temp(&full, bytes).map_err(io)?;
        let outcome = match read(&full) {
            Ok(current) if hash(&current) == hash(bytes) => std::fs::remove_file(&temp).map_err(io),
            Ok(current) if is_ours(&hash(&current)) => {
                let displaced = Displaced {
                    temp: temp.clone(),
                    path: path.to_owned(),
                    hash: hash(&current),
                    by: hash(bytes),
                    since: now,
                };
                self.exchange(&full, displaced)
            }
            Ok(_) => Err(VaultError::Touched(path.to_owned())),
            Err(_) => place(&temp, &full).map_err(|error| match error.kind() {
                std::io::ErrorKind::AlreadyExists => VaultError::Touched(path.to_owned()),
                _ => io(error),
            }),
        };
        if outcome.is_err() {
            self.discard(temp, path, bytes, now);
        }
        outcome?;
        sync_parent(&full).map_err(io)
    }

    fn exchange(&mut self, full: &Path, displaced: Displaced) -> Result<(), VaultError> {
        let io = |source| VaultError::Io { path: displaced.path.clone(), source };
        swap(&displaced.temp, full).map_err(io)?;
        let out = read(&displaced.temp).map(|bytes| hash(&bytes));
        if out.as_ref() != Ok(&displaced.hash) {
            // An edit landed between the look and the exchange: it goes back where it was.
            swap(&displaced.temp, full).map_err(io)?;
            return Err(VaultError::Touched(displaced.path));
        }
        self.displaced.push(displaced);
        Ok(())
    }

    /// Clears a temporary file whose write failed; where it holds anything but our text, that goes back to its place.
    fn discard(&mut self, temp: PathBuf, path: &str, ours: &[u8], now: i64) {
        if read(&temp).is_ok_and(|held| held != ours) {
            let ours = hash(ours);
            self.displaced.push(Displaced { temp, path: path.to_owned(), hash: ours.clone(), by: ours, since: now });
        } else {
            let _gone = std::fs::remove_file(&temp);
        }
    }

    fn temp(&mut self, full: &Path, bytes: &[u8]) -> std::io::Result<PathBuf> {
        self.serial += 1;
        let name = format!("{TEMP_PREFIX}{}-{}.tmp", std::process::id(), self.serial);
        let temp = full.with_file_name(name);
        if let Some(dir) = full.parent() {
            make_private(dir)?;
        }
        // Under another name until it is whole: what a power cut leaves of it must never pass for a person's text.
        let part = temp.with_extension(PART);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| std::fs::rename(&part, &temp));
        written.inspect_err(|_| drop(std::fs::remove_file(&part)))?;
        Ok(temp)
    }

    /// Looks again at displaced files: a late write of an editor is put back, the rest goes after a while.
    pub fn settle(&mut self, now: i64) -> usize {
        let mut recovered = 0;
        for old in std::mem::take(&mut self.displaced) {
            let changed = read(&old.temp).is_ok_and(|bytes| hash(&bytes) != old.hash);
            if changed && give_back(&old, &self.root.join(&old.path)) {
                recovered += 1;
            } else if !changed && now - old.since >= DISPLACED_SECONDS {
                let _gone = std::fs::remove_file(&old.temp);
            } else {
                self.displaced.push(old);
            }
        }
        recovered
    }

    /// Clears what a killed daemon left behind: our own text goes, anything else is kept where the person sees it.
    pub fn sweep(&self, is_ours: impl Fn(&str) -> bool) {
        for folder in self.folders() {
            let Ok(entries) = std::fs::read_dir(self.root.join(folder)) else { continue };
            for entry in entries.flatten() {
                let path = entry.path();
                if !entry.file_name().to_string_lossy().starts_with(TEMP_PREFIX) {
                    continue;
                }
                match read(&path) {
                    _ if path.extension() == Some(OsStr::new(PART)) => drop(std::fs::remove_file(path)),
                    Ok(bytes) if bytes.is_empty() || is_ours(&hash(&bytes)) => drop(std::fs::remove_file(path)),
                    Ok(_) => show(&path),
                    Err(_) => {}
                }
            }
        }
    }
}

/// Puts a late write where the person made it; says whether it is there. What it finds there is ours, or is kept beside it.
fn give_back(old: &Displaced, full: &Path) -> bool {
    if swap(&old.temp, full).is_err() {
        return place(&old.temp, full).is_ok();
    }
    match read(&old.temp) {
        Ok(bytes) if hash(&bytes) == old.by => drop(std::fs::remove_file(&old.temp)),
        _ => show(&old.temp),
    }
    true
}

/// Renames a temporary file to a note that the person sees.
fn show(temp: &Path) {
    let name = temp.file_name().map(OsStr::to_string_lossy).unwrap_or_default();
    let kept = temp.with_file_name(format!("recovered-{}.md", name.trim_start_matches('.')));
    if let Err(error) = place(temp, &kept) {
        tracing::warn!(%error, file = %temp.display(), "a displaced note stays where it is");
    }
}

/// What is in a folder, all of it or nothing: half a listing would look like deletions.
fn entries(dir: &Path) -> std::io::Result<Vec<DirEntry>> {
    std::fs::read_dir(dir)?.take(FILES_MAX).collect()
}

/// The path of a note relative to the vault; nothing for hidden files and anything that is not markdown.
fn note_path(folder: &str, name: &OsStr) -> Option<String> {
    let name = name.to_str()?;
    let is_note = !name.starts_with('.') && name.ends_with(".md") && !name.contains(".sync-conflict-");
    is_note.then(|| if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") })
}

fn signature(meta: &std::fs::Metadata) -> Signature {
    Signature { modified: (meta.mtime(), meta.mtime_nsec()), size: meta.len(), inode: meta.ino() }
}

/// Reads a regular file without following a link and without ever blocking on a pipe.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    let flags = (rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits();
    let flags = i32::try_from(flags).unwrap_or(0);
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(|error| refused(&error))?;
    let meta = file.metadata().map_err(|error| error.to_string())?;
    if !meta.is_file() {
        return Err("not a regular file".to_owned());
    }
    if meta.len() > FILE_BYTES_MAX {
        return Err(format!("larger than {} MiB", FILE_BYTES_MAX >> 20));
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// Why a file was not opened; a link is refused by us, and the words of the system for that mislead.
fn refused(error: &std::io::Error) -> String {
    if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) {
        return "a symbolic link, which is never followed; put the file itself here".to_owned();
    }
    error.to_string()
}

/// Makes a folder that only its owner can enter; an existing one keeps its mode.
fn make_private(dir: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

fn place(temp: &Path, full: &Path) -> std::io::Result<()> {
    renameat_with(CWD, temp, CWD, full, RenameFlags::NOREPLACE).map_err(Into::into)
}

fn swap(a: &Path, b: &Path) -> std::io::Result<()> {
    renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE).map_err(Into::into)
}

fn sync_parent(path: &Path) -> std::io::Result<()> {
    match path.parent() {
        Some(dir) => File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk() -> (tempfile::TempDir, Disk) {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::new(&dir.path().join("vault"));
        disk.make().unwrap();
        (dir, disk)
    }

    fn hashes(texts: &'static [&str]) -> impl Fn(&str) -> bool {
        |known| texts.iter().any(|text| hash(text.as_bytes()) == known)
    }

    #[test]
    fn folders_inside_facts_hold_notes_and_links_are_named() {
        let (dir, mut disk) = disk();
        let facts = dir.path().join("vault/facts");
        for folder in ["archive/2026", ".trash"] {
            std::fs::create_dir_all(facts.join(folder)).unwrap();
            std::fs::write(facts.join(folder).join("a.md"), "a sentence").unwrap();
        }
        std::os::unix::fs::symlink(facts.join("archive"), facts.join("linked")).unwrap();
        std::os::unix::fs::symlink(facts.join("archive/2026/a.md"), facts.join("link.md")).unwrap();
        let look = disk.look(|_| None);
        assert_eq!(look.files.keys().collect::<Vec<_>>(), ["facts/archive/2026/a.md"]);
        let [trouble] = look.troubles.as_slice() else { panic!("{:?}", look.troubles) };
        assert!(trouble.message.contains("symbolic link"), "{trouble:?}");
    }

    #[test]
    fn writes_new_files_and_replaces_only_its_own() {
        let (dir, mut disk) = disk();
        let full = dir.path().join("vault/facts/a.md");
        disk.write("facts/a.md", b"one", |_| false, 0).unwrap();
        disk.write("facts/a.md", b"two", hashes(&["one"]), 0).unwrap();
        assert_eq!(std::fs::read(&full).unwrap(), b"two");
        std::fs::write(&full, "mine").unwrap();
        let refused = disk.write("facts/a.md", b"three", hashes(&["one", "two"]), 0);
        assert!(matches!(refused, Err(VaultError::Touched(_))));
        assert_eq!(std::fs::read(&full).unwrap(), b"mine");
    }

    #[test]
    fn a_late_write_to_the_displaced_file_is_put_back() {
        let (dir, mut disk) = disk();
        let full = dir.path().join("vault/a.md");
        disk.write("a.md", b"one", |_| false, 0).unwrap();
        let mut editor = OpenOptions::new().write(true).open(&full).unwrap();
        disk.write("a.md", b"two", hashes(&["one"]), 0).unwrap();
        editor.write_all(b"typed late").unwrap();
        assert_eq!(disk.settle(1), 1);
        assert_eq!(std::fs::read(&full).unwrap(), b"typed late");
        assert_eq!(std::fs::read_dir(dir.path().join("vault")).unwrap().count(), 3, "no temporary file is left");
    }

    #[test]
    fn a_late_write_outlives_the_file_and_a_newer_edit() {
        for (newer, names) in [(None, vec!["a.md"]), (Some("newer"), vec!["a.md", "recovered-clone"])] {
            let (dir, mut disk) = disk();
            let full = dir.path().join("vault/a.md");
            disk.write("a.md", b"one", |_| false, 0).unwrap();
            let mut editor = OpenOptions::new().write(true).open(&full).unwrap();
            disk.write("a.md", b"two", hashes(&["one"]), 0).unwrap();
            editor.write_all(b"typed late").unwrap();
            match newer {
                Some(text) => std::fs::write(&full, text).unwrap(),
                None => std::fs::remove_file(&full).unwrap(),
            }
            assert_eq!(disk.settle(DISPLACED_SECONDS), 1);
            assert_eq!(std::fs::read(&full).unwrap(), b"typed late");
            let kept = disk.look(|_| None);
            assert_eq!(kept.files.len(), names.len(), "nothing that a person wrote is gone: {:?}", kept.files.keys());
            assert!(kept.files.keys().zip(&names).all(|(file, name)| file.starts_with(name)));
        }
    }

    #[test]
    fn what_a_power_cut_leaves_of_our_text_is_no_note() {
        let (dir, mut disk) = disk();
        std::fs::write(dir.path().join("vault/facts/.clone-1-1.part"), "half of our te").unwrap();
        std::fs::write(dir.path().join("vault/facts/.clone-1-2.tmp"), "displaced and not ours").unwrap();
        disk.sweep(|_| false);
        let files: Vec<String> = disk.look(|_| None).files.into_keys().collect();
        assert_eq!(files, ["facts/recovered-clone-1-2.tmp.md"]);
        assert!(!dir.path().join("vault/facts/.clone-1-1.part").exists());
    }

    #[test]
    fn what_cannot_be_read_is_blocked_and_not_gone() {
        let (dir, mut disk) = disk();
        std::os::unix::fs::symlink("nowhere", dir.path().join("vault/facts/a.md")).unwrap();
        let look = disk.look(|_| None);
        assert!(look.blocked.holds("facts/a.md") && !look.blocked.holds("a.md"));
        assert!(!disk.is_gone("facts/a.md") && disk.is_gone("a.md"));
    }

    #[test]
    fn displaced_files_go_after_a_while() {
        let (dir, mut disk) = disk();
        disk.write("a.md", b"one", |_| false, 0).unwrap();
        disk.write("a.md", b"two", hashes(&["one"]), 0).unwrap();
        assert_eq!(disk.settle(DISPLACED_SECONDS - 1), 0);
        assert_eq!(std::fs::read_dir(dir.path().join("vault")).unwrap().count(), 4);
        disk.settle(DISPLACED_SECONDS);
        assert_eq!(std::fs::read_dir(dir.path().join("vault")).unwrap().count(), 3);
    }

    #[test]
    fn looks_only_at_notes_and_never_blocks() {
        let (dir, mut disk) = disk();
        let vault = dir.path().join("vault");
        std::fs::write(vault.join("a.md"), "one").unwrap();
        std::fs::write(vault.join(".hidden.md"), "no").unwrap();
        std::fs::write(vault.join("b.txt"), "no").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", vault.join("link.md")).unwrap();
        rustix::fs::mkfifoat(CWD, vault.join("pipe.md"), rustix::fs::Mode::RUSR).unwrap();
        std::fs::create_dir(vault.join("folder.md")).unwrap();
        let look = disk.look(|_| None);
        assert_eq!(look.files.keys().collect::<Vec<_>>(), ["a.md"]);
        let troubled: Vec<&str> = look.troubles.iter().map(|trouble| trouble.path.as_str()).collect();
        assert_eq!(troubled, ["folder.md", "link.md", "pipe.md"]);
        assert!(disk.look(|_| None).changed.is_empty(), "a second look reads nothing");
    }

    #[test]
    fn sweeps_its_own_leftovers_and_keeps_a_persons() {
        let (dir, disk) = disk();
        let vault = dir.path().join("vault");
        std::fs::write(vault.join(".clone-1-1.tmp"), "ours").unwrap();
        std::fs::write(vault.join(".clone-1-2.tmp"), "theirs").unwrap();
        disk.sweep(|known| known == hash(b"ours"));
        let mut names: Vec<_> = std::fs::read_dir(&vault).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["episodes", "facts", "recovered-clone-1-2.tmp.md"]);
    }
}
