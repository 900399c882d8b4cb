//! The folder on the disk: what is there, and writing without ever covering an edit.
//!
//! A new file is put in place only where none is. A file that may be written over is replaced by *exchanging* it with the
//! new one and then looking at what came out: an edit that landed in the window is put back. Every file that stood in a note's
//! place, if only for a moment, is kept for a while and looked at again, because an editor that truncates and writes may
//! still hold it open. A late write goes back to its place; where a newer edit stands there, the two are merged.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsStr;
use std::fs::{DirEntry, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirEntryExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clone_markdown::merge::merge;

use super::file::{Exchange, forbidden, make_private, read, sync_folder, take_after};
use super::hash;
use super::reconcile::Found;

/// The largest file that is read, in bytes; a larger one is a problem, never touched.
pub const FILE_BYTES_MAX: u64 = 7 << 20;
/// How long a displaced file is kept and watched for a late write, in seconds.
pub const DISPLACED_SECONDS: i64 = 10;
/// How long a displaced file must be quiet before its late write is merged with a newer edit, in seconds.
const QUIET_SECONDS: i64 = 2;
/// How much text of displaced files is kept in memory, in bytes; late writes to others are kept as notes of their own.
const DISPLACED_BYTES_MAX: usize = 16 << 20;
/// How long the lock of a running `git` keeps us from the folder; an older one was left behind.
const GIT_PATIENCE: Duration = Duration::from_secs(60);
/// How far apart two writes of one file must be for its times to tell them apart.
const FRESH: Duration = Duration::from_millis(50);
/// The most files that are looked at; a folder that holds more than are left is not read at all.
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
    /// The file is one that the daemon must leave alone.
    #[error("{0}, and is left as it is")]
    Forbidden(&'static str),
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
    /// Notes that are missing while their file, or a copy by its name, lies beside: an editor may be in the middle of a save.
    pub aside: BTreeSet<String>,
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

#[derive(Clone, Copy)]
struct Signature {
    modified: (i64, i64),
    size: u64,
    inode: u64,
    /// Whether the file was written so short a time before it was read that its times may not tell of the next write.
    is_fresh: bool,
}

struct Displaced {
    temp: PathBuf,
    path: String,
    hash: String,
    /// Its text, where there is room for it: what a late write and a newer edit were both made of.
    text: Option<String>,
    /// Hash of the text of ours that took its place; empty where a person's stands there.
    by: String,
    since: i64,
    /// A late write that waits until it is quiet.
    late: Option<Late>,
    /// What it looked like when it was last read.
    seen: Option<Signature>,
}

/// A late write that waits until it is quiet.
struct Late {
    hash: String,
    /// Whether nothing stands in its place, as in the middle of a save.
    is_alone: bool,
    /// Since when neither has changed.
    since: i64,
}

impl Displaced {
    /// Whether its late write, and that something stands in its place or nothing, has not changed for a while.
    fn is_quiet(&mut self, late: &[u8], is_alone: bool, now: i64) -> bool {
        let hash = hash(late);
        let known = self.late.take().filter(|known| (&known.hash, known.is_alone) == (&hash, is_alone));
        let since = known.map_or(now, |known| known.since.min(now));
        let is_quiet = now - since >= QUIET_SECONDS;
        self.late = (!is_quiet).then_some(Late { hash, is_alone, since });
        is_quiet
    }
}

/// How much is looked at; beyond it nothing is known, least of all that something is gone.
#[derive(Clone, Copy)]
struct Bounds {
    files: usize,
    depth: usize,
    folders: usize,
}

/// Every folder that may hold notes: a person who tidies facts away into a folder has moved them, not deleted them.
///
/// Hidden folders and links are passed over.
struct Folders {
    bounds: Bounds,
    found: Vec<String>,
    next: usize,
    /// Folders that are not looked at, and why.
    passed_over: BTreeMap<String, String>,
}

impl Folders {
    fn new(bounds: Bounds) -> Self {
        let found = FOLDERS.iter().map(|&folder| folder.to_owned()).collect();
        Self { bounds, found, next: 0, passed_over: BTreeMap::new() }
    }

    /// The next one, whose entries are to be [added](Self::add).
    fn next(&mut self) -> Option<String> {
        self.next += 1;
        self.found.get(self.next - 1).cloned()
    }

    /// Takes an entry of a folder that is another one.
    fn add(&mut self, folder: &str, entry: &DirEntry) {
        let is_folder = !folder.is_empty() && entry.file_type().is_ok_and(|kind| kind.is_dir());
        let Some(name) =
            entry.file_name().to_str().filter(|name| is_folder && !name.starts_with('.')).map(str::to_owned)
        else {
            return;
        };
        let Bounds { depth, folders, .. } = self.bounds;
        let inner = format!("{folder}/{name}");
        if folder.matches('/').count() >= depth {
            let message = format!("it lies more than {depth} folders deep and is not looked at; move it up");
            self.pass_over(inner, folder, message);
        } else if self.found.len() >= folders {
            let message =
                format!("there are more than {folders} folders, and it is not looked at; move some out of the vault");
            self.pass_over(inner, folder, message);
        } else {
            self.found.push(inner);
        }
    }

    /// Of very many such folders, the one that holds them stands for them all.
    fn pass_over(&mut self, inner: String, folder: &str, message: String) {
        let path = if self.passed_over.len() < self.bounds.folders { inner } else { folder.to_owned() };
        self.passed_over.insert(path, message);
    }
}

/// The folder, with what the last look knew.
pub struct Disk {
    root: PathBuf,
    bounds: Bounds,
    known: HashMap<String, (Signature, Found)>,
    displaced: Vec<Displaced>,
    /// Folders that got or lost a file since [`Disk::flush`].
    unsynced: BTreeSet<PathBuf>,
    exchange: Exchange,
    serial: u64,
}

impl Disk {
    /// The folder at this path; nothing is touched yet.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            bounds: Bounds { files: FILES_MAX, depth: DEPTH_MAX, folders: SUBFOLDERS_MAX },
            known: HashMap::new(),
            displaced: Vec::new(),
            unsynced: BTreeSet::new(),
            exchange: Exchange::default(),
            serial: 0,
        }
    }

    /// Whether `git` is at work in the folder: what it makes of the files is not done yet.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        let lock = std::fs::symlink_metadata(self.root.join(".git/index.lock")).and_then(|meta| meta.modified());
        lock.is_ok_and(|since| SystemTime::now().duration_since(since).is_ok_and(|age| age < GIT_PATIENCE))
    }

    /// Looks at every note: by its times and size first, by its bytes where those changed.
    ///
    /// Links, pipes, devices and oversized files are never opened; they are troubles.
    pub fn look(&mut self, note_of: impl Fn(&[u8]) -> Option<String>) -> Look {
        let mut look = Look { root_exists: self.root.is_dir(), ..Look::default() };
        let (mut known, mut others) = (HashMap::new(), BTreeSet::new());
        let mut folders = Folders::new(self.bounds);
        while let Some(folder) = folders.next() {
            let room = self.bounds.files - look.files.len();
            let entries = match entries(&self.root.join(&folder), room) {
                Ok(entries) => entries,
                Err(error) if error.kind() == ErrorKind::NotFound => {
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
                let name = entry.file_name();
                folders.add(&folder, &entry);
                let Some(path) = note_path(&folder, &name) else {
                    look.aside.extend(backed_up(&folder, &name));
                    // What we put aside ourselves is no editor's.
                    others.extend((!name.as_encoded_bytes().starts_with(TEMP_PREFIX.as_bytes())).then(|| entry.ino()));
                    continue;
                };
                let before = self.known.remove(&path);
                match found(&path, &entry.path(), before, &note_of, &mut look.changed) {
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
        for (path, (signature, found)) in std::mem::replace(&mut self.known, known) {
            if others.contains(&signature.inode) && !look.files.contains_key(&path) {
                look.aside.insert(path.clone());
                self.known.insert(path, (signature, found));
            }
        }
        for (folder, message) in folders.passed_over {
            look.troubles.push(Trouble { path: format!("{folder}/"), message });
            look.blocked.folders.insert(folder);
        }
        look.aside.retain(|path| !look.files.contains_key(path));
        look.troubles.sort_by(|a, b| a.path.cmp(&b.path));
        look
    }

    /// Whether nothing at all is at this path; what cannot be told is not gone.
    #[must_use]
    pub fn is_gone(&self, path: &str) -> bool {
        let looked = std::fs::symlink_metadata(self.root.join(path));
        looked.is_err_and(|error| error.kind() == ErrorKind::NotFound)
    }

    /// Reads one note.
    ///
    /// # Errors
    ///
    /// It is not a regular file of acceptable size, or cannot be read; the text says which.
    pub fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        read(&self.root.join(path))
    }

    /// How long ago a note was last written, as the disk says now; one that is not there is as old as can be.
    #[must_use]
    pub fn age(&self, path: &str) -> Duration {
        let modified = std::fs::symlink_metadata(self.root.join(path)).and_then(|meta| meta.modified());
        modified.map_or(Duration::MAX, |at| SystemTime::now().duration_since(at).unwrap_or_default())
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

    /// Writes a note where `may_take` says so of the hash of what stands there, or of nothing.
    ///
    /// # Errors
    ///
    /// A person touched the file, or took it away, which stays so, or the system refused.
    ///
    /// # Durability
    ///
    /// The bytes are on disk when this returns, the name with the next [`Disk::flush`].
    pub fn write(
        &mut self,
        path: &str,
        bytes: &[u8],
        may_take: impl Fn(Option<&str>) -> bool,
        now: i64,
    ) -> Result<(), VaultError> {
        let full = self.root.join(path);
        let current = read(&full).ok();
        if current.as_deref() == Some(bytes) {
            return Ok(());
        }
        if !may_take(current.as_deref().map(hash).as_deref()) {
            return Err(VaultError::Touched(path.to_owned()));
        }
        if let Some(why) = forbidden(&full).filter(|_| current.is_some()) {
            return Err(VaultError::Forbidden(why));
        }
        let temp = self.temp(&full, bytes).map_err(|error| refused(path, error))?;
        match current {
            None => self.exchange.place(&temp, &full).map_err(|error| {
                let _gone = std::fs::remove_file(&temp);
                refused(path, error)
            })?,
            Some(current) => {
                take_after(&temp, &full);
                self.exchange(&full, self.displaced_by(&temp, path, &current, bytes, now))?;
            }
        }
        self.unsynced.extend(full.parent().map(Path::to_owned));
        if let (Some((known, _)), Ok(meta)) = (self.known.get_mut(path), std::fs::symlink_metadata(&full)) {
            (known.inode, known.is_fresh) = (meta.ino(), true);
        }
        Ok(())
    }

    /// Takes a note away, only where its text is one that may be written over; what an editor writes late comes back.
    ///
    /// # Errors
    ///
    /// A person touched the file, which stays theirs, or the system refused.
    ///
    /// # Durability
    ///
    /// The name is gone from the disk with the next [`Disk::flush`].
    pub fn remove(&mut self, path: &str, is_ours: impl Fn(&str) -> bool, now: i64) -> Result<(), VaultError> {
        let io = |error| refused(path, error);
        let full = self.root.join(path);
        if self.is_gone(path) {
            return Ok(());
        }
        let current = read(&full).map_err(|why| io(std::io::Error::other(why)))?;
        if let Some(why) = forbidden(&full) {
            return Err(VaultError::Forbidden(why));
        }
        let temp = self.temp_name(&full);
        std::fs::rename(&full, &temp).map_err(io)?;
        self.unsynced.extend(full.parent().map(Path::to_owned));
        // What came out decides, not what was read before.
        let displaced = Displaced { by: String::new(), ..self.displaced_by(&temp, path, &current, &[], now) };
        if read(&temp).is_ok_and(|out| out == current && is_ours(&hash(&out))) {
            self.displaced.push(displaced);
            return Ok(());
        }
        if let Err(error) = self.exchange.place(&temp, &full) {
            // Another note stands there already, and nobody knows what both came from: this one is shown beside it.
            self.displaced.push(Displaced { hash: String::new(), text: None, ..displaced });
            return Err(io(error));
        }
        Err(VaultError::Touched(path.to_owned()))
    }

    fn displaced_by(&self, temp: &Path, path: &str, current: &[u8], bytes: &[u8], now: i64) -> Displaced {
        let held: usize = self.displaced.iter().filter_map(|old| old.text.as_ref()).map(String::len).sum();
        let has_room = held + current.len() <= DISPLACED_BYTES_MAX;
        let text = std::str::from_utf8(current).ok().filter(|_| has_room).map(str::to_owned);
        let (temp, path) = (temp.to_owned(), path.to_owned());
        Displaced { temp, path, hash: hash(current), text, by: hash(bytes), since: now, late: None, seen: None }
    }

    /// Exchanges a note with its new text; what comes out is watched from then on, whatever it is.
    fn exchange(&mut self, full: &Path, mut displaced: Displaced) -> Result<(), VaultError> {
        let path = displaced.path.clone();
        if let Err(error) = self.exchange.swap(&displaced.temp, full) {
            let _gone = std::fs::remove_file(&displaced.temp);
            return Err(refused(&path, error));
        }
        let out = read(&displaced.temp).map(|bytes| hash(&bytes));
        if out.as_ref() == Ok(&displaced.hash) {
            self.displaced.push(displaced);
            return Ok(());
        }
        // An edit landed between the look and the exchange: it goes back where it was. Our own text stood there for a
        // moment, and an editor may have opened it: what it writes is merged.
        let back = self.exchange.swap(&displaced.temp, full);
        if back.is_ok() {
            displaced.hash = std::mem::take(&mut displaced.by);
        }
        self.displaced.push(displaced);
        back.map_err(|error| refused(&path, error))?;
        Err(VaultError::Touched(path))
    }

    /// Writes down the names of what was written.
    ///
    /// # Errors
    ///
    /// The system refused; the files themselves are on disk.
    pub fn flush(&mut self) -> Result<(), VaultError> {
        for dir in std::mem::take(&mut self.unsynced) {
            sync_folder(&dir).map_err(|source| VaultError::Io { path: dir.display().to_string(), source })?;
        }
        Ok(())
    }

    fn temp_name(&mut self, full: &Path) -> PathBuf {
        self.serial += 1;
        full.with_file_name(format!("{TEMP_PREFIX}{}-{}.tmp", std::process::id(), self.serial))
    }

    fn temp(&mut self, full: &Path, bytes: &[u8]) -> std::io::Result<PathBuf> {
        let temp = self.temp_name(full);
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
        for mut old in std::mem::take(&mut self.displaced) {
            // A look at the end of all time, before everything is folded anew, holds nothing for good.
            old.since = old.since.min(now);
            let is_due = now - old.since >= DISPLACED_SECONDS;
            let seen = std::fs::symlink_metadata(&old.temp).as_ref().map(signature).ok();
            // Times are coarse: the last look reads the bytes whatever they say.
            let is_same = seen.zip(old.seen).is_some_and(|(now, then)| !then.is_fresh && is_same(&now, &then));
            if is_same && !is_due {
                self.displaced.push(old);
                continue;
            }
            old.seen = seen.filter(|_| old.late.is_none());
            match read(&old.temp) {
                Ok(late) if hash(&late) != old.hash => recovered += usize::from(self.give_back(&mut old, &late, now)),
                Ok(_) if is_due => drop(std::fs::remove_file(&old.temp)),
                _ => {}
            }
            if old.temp.exists() {
                self.displaced.push(old);
            }
        }
        recovered
    }

    /// Whether a displaced file is looked at again before long.
    #[must_use]
    pub fn is_unsettled(&self) -> bool {
        !self.displaced.is_empty()
    }

    /// Puts a late write where the person made it, or into the newer edit that stands there; says whether it did.
    fn give_back(&mut self, old: &mut Displaced, late: &[u8], now: i64) -> bool {
        let full = self.root.join(&old.path);
        (old.seen, old.since) = (None, now);
        let Ok(current) = read(&full) else {
            return old.is_quiet(late, true, now) && self.exchange.place(&old.temp, &full).is_ok();
        };
        if hash(&current) != old.by {
            return self.merge_late(old, late, &current, now);
        }
        if self.exchange.swap(&old.temp, &full).is_err() {
            return false;
        }
        let ours = std::mem::take(&mut old.by);
        if read(&old.temp).is_ok_and(|out| hash(&out) == ours) {
            (old.by, old.text) = (hash(late), None);
        }
        // Anything else that came out is a newer edit, which is merged with what stands there now.
        old.hash = ours;
        true
    }

    /// Merges a late write with the newer edit in its place, once it is quiet: half of a write would take the rest out.
    fn merge_late(&mut self, old: &mut Displaced, late: &[u8], current: &[u8], now: i64) -> bool {
        if !old.is_quiet(late, false, now) {
            return false;
        }
        let texts = (old.text.as_deref(), std::str::from_utf8(late), std::str::from_utf8(current));
        let merged = match texts {
            (Some(base), Ok(late), Ok(current)) => Some(merge(base, late, current)),
            _ => None,
        };
        let expected = hash(current);
        match merged.filter(|merged| merged.conflicts.is_empty()) {
            Some(merged) => {
                if self.write(&old.path, merged.text.as_bytes(), |known| known == Some(expected.as_str()), now).is_err()
                {
                    return false;
                }
                // The editor may go on: what it adds is late again.
                (old.hash, old.text) = (hash(late), std::str::from_utf8(late).ok().map(str::to_owned));
                true
            }
            None => show(&old.temp, self.exchange),
        }
    }

    /// Clears what a killed daemon left behind: our own text goes, anything else is kept where the person sees it.
    pub fn sweep(&self, is_known: impl Fn(&[u8]) -> bool) {
        let mut folders = Folders::new(self.bounds);
        while let Some(folder) = folders.next() {
            let Ok(entries) = std::fs::read_dir(self.root.join(&folder)) else { continue };
            for entry in entries.flatten() {
                folders.add(&folder, &entry);
                let path = entry.path();
                if !entry.file_name().to_string_lossy().starts_with(TEMP_PREFIX) {
                    continue;
                }
                match read(&path) {
                    _ if path.extension() == Some(OsStr::new(PART)) => drop(std::fs::remove_file(path)),
                    Ok(bytes) if bytes.is_empty() || is_known(&bytes) => drop(std::fs::remove_file(path)),
                    Ok(_) => drop(show(&path, self.exchange)),
                    Err(_) => {}
                }
            }
        }
    }
}

/// What stands in a file: as it was before where its times and size say so, else as its bytes say.
fn found(
    path: &str,
    full: &Path,
    before: Option<(Signature, Found)>,
    note_of: &impl Fn(&[u8]) -> Option<String>,
    changed: &mut BTreeMap<String, Vec<u8>>,
) -> Result<(Signature, Found), String> {
    let meta = std::fs::symlink_metadata(full).map_err(|error| error.to_string())?;
    let signature = signature(&meta);
    match before {
        Some((known, found)) if !known.is_fresh && is_same(&known, &signature) => Ok((signature, found)),
        _ => {
            let bytes = read(full)?;
            let found = Found { hash: hash(&bytes), note: note_of(&bytes) };
            changed.insert(path.to_owned(), bytes);
            Ok((signature, found))
        }
    }
}

/// Renames a temporary file to a note that the person sees; says whether it is there.
fn show(temp: &Path, exchange: Exchange) -> bool {
    let name = temp.file_name().map(OsStr::to_string_lossy).unwrap_or_default();
    let kept = temp.with_file_name(format!("recovered-{}.md", name.trim_start_matches('.')));
    let placed = exchange.place(temp, &kept);
    if let Err(error) = &placed {
        tracing::warn!(%error, file = %temp.display(), "a displaced note stays where it is");
    }
    placed.is_ok()
}

/// Why the system did not put a note in its place; where what stood there came or went meanwhile, it is looked at again.
fn refused(path: &str, source: std::io::Error) -> VaultError {
    match source.kind() {
        ErrorKind::AlreadyExists | ErrorKind::NotFound => VaultError::Touched(path.to_owned()),
        _ => VaultError::Io { path: path.to_owned(), source },
    }
}

/// What is in a folder, all of it or nothing: half a listing would look like deletions.
fn entries(dir: &Path, room: usize) -> std::io::Result<Vec<DirEntry>> {
    let entries: Vec<DirEntry> = std::fs::read_dir(dir)?.take(room.saturating_add(1)).collect::<Result<_, _>>()?;
    if entries.len() > room {
        let message =
            "there are more files here than Clone looks at, so none of them is read; move some out of the vault";
        return Err(std::io::Error::other(message));
    }
    Ok(entries)
}

/// The path of a note relative to the vault; nothing for hidden files and anything that is not markdown.
fn note_path(folder: &str, name: &OsStr) -> Option<String> {
    let name = name.to_str()?;
    let is_note = !name.starts_with('.') && name.ends_with(".md") && !name.contains(".sync-conflict-");
    is_note.then(|| if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") })
}

/// The note whose copy this file is by its name, such as `tea.md~` or `tea.md.bak`.
///
/// A note that Clone wrote a moment ago was not looked at since, so the number of its file does not tell.
fn backed_up(folder: &str, name: &OsStr) -> Option<String> {
    let (stem, ending) = name.to_str()?.split_once(".md")?;
    let is_copy = !ending.is_empty() && ending.chars().next().is_some_and(|first| !first.is_alphanumeric());
    is_copy.then(|| note_path(folder, OsStr::new(&format!("{stem}.md")))).flatten()
}

/// Whether a file is the one that was seen, unwritten since.
fn is_same(one: &Signature, other: &Signature) -> bool {
    (one.modified, one.size, one.inode) == (other.modified, other.size, other.inode)
}

fn signature(meta: &std::fs::Metadata) -> Signature {
    let age = meta.modified().ok().and_then(|at| SystemTime::now().duration_since(at).ok()).unwrap_or_default();
    Signature {
        modified: (meta.mtime(), meta.mtime_nsec()),
        size: meta.len(),
        inode: meta.ino(),
        is_fresh: age < FRESH,
    }
}

#[cfg(test)]
#[path = "disk_tests.rs"]
mod tests;
