//! The search index: a cache of the log and the vault, safe to delete.
//!
//! A write is visible at once (it waits in an overlay) and durable after [`Index::commit`], which also records up to
//! which log position everything is indexed. An index that cannot be read, or that another version wrote, is set aside
//! and begun anew with no cursor, which tells the caller to index everything again. A lock that somebody holds, a
//! missing permission or a full disk is never taken for a broken index.
//!
//! tantivy checks no byte that it reads. All of them are checked against their sums when the index is opened, and again
//! when a call fails or panics as it would over a wrong byte: then the index is [`Index::is_suspect`], and whoever owns
//! the log looks at it with [`Index::is_sound`], begins it anew and fills it.
//!
//! One thread writes, one merges; commits, reloads and searches block the caller.

mod columns;
mod cues;
mod document;
mod inspect;
mod overlay;
mod question;
mod rank;
mod search;
mod snippet;
mod stem;
mod tokens;

use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tantivy::directory::error::{LockError, OpenDirectoryError, OpenReadError};
use tantivy::directory::{INDEX_WRITER_LOCK, MmapDirectory};
use tantivy::indexer::IndexWriterOptions;
use tantivy::schema::{IndexRecordOption, Value};
use tantivy::{
    Directory, DocAddress, DocSet, IndexReader, IndexWriter, ReloadPolicy, Searcher, TERMINATED, TantivyDocument,
    TantivyError, Term,
};

pub use document::{Document, MAX_TEXT_BYTES, Tier};
pub use inspect::contents;
pub use question::MAX_TERMS;
pub use search::{Hit, MAX_HITS, Query};
pub use snippet::MAX_SNIPPET_CHARS;

use columns::Columns;
use document::Fields;
use overlay::Overlay;

/// The version of the schema, the tokenizer and the payload, written with every commit.
pub(crate) const VERSION: u32 = 3;
/// The memory in which the writer gathers a segment, in bytes.
const ARENA_BYTES: usize = 30_000_000;
/// How many ids may wait before they are committed unasked.
pub const MAX_PENDING: usize = 4_096;
/// How much text may wait before it is committed unasked, in bytes.
pub const MAX_PENDING_BYTES: usize = 8 * 1024 * 1024;

/// Why the index could not do it.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// Another process, or another [`Index`] in this one, writes it.
    #[error("the index in `{0}` is in use by another process")]
    Busy(PathBuf),
    /// The file system said no.
    #[error("cannot use the index folder `{path}`: {source}")]
    Io {
        /// The folder.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
    /// tantivy said no.
    #[error("the search index failed: {0}")]
    Failed(#[from] TantivyError),
    /// tantivy panicked, as it does over files that lie.
    #[error("the search index failed: it panicked: {0}")]
    Panicked(String),
    /// It was set aside and is not filled yet.
    #[error("the search index is being built again; ask again in a moment")]
    Unfilled,
}

impl IndexError {
    /// Whether the system refused, which says nothing about what is indexed.
    ///
    /// tantivy has many words for a full disk; a thread of its writer says only that it died.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Io { .. } => true,
            Self::Failed(error) => !is_broken(error),
            Self::Busy(_) | Self::Panicked(_) | Self::Unfilled => false,
        }
    }

    /// Whether it may be the files, and not the lock, the permissions or the disk.
    fn is_suspicious(&self) -> bool {
        match self {
            Self::Failed(error) => is_broken(error),
            Self::Panicked(_) => true,
            Self::Io { .. } | Self::Busy(_) | Self::Unfilled => false,
        }
    }
}

/// What a search looks at, changed as one.
struct View {
    searcher: Searcher,
    columns: Columns,
    overlay: Overlay,
    cursor: Option<u64>,
}

impl View {
    /// What is committed, and nothing that waits.
    fn of(searcher: Searcher, fields: Fields, cursor: Option<u64>) -> tantivy::Result<Self> {
        let columns = Columns::open(&searcher, fields)?;
        Ok(Self { searcher, columns, overlay: Overlay::default(), cursor })
    }

    fn count(&self) -> u64 {
        (self.searcher.num_docs() + self.overlay.document_count() as u64)
            .saturating_sub(self.overlay.hidden().len() as u64)
    }
}

/// What writes, one call at a time.
struct Writing {
    index: tantivy::Index,
    reader: IndexReader,
    /// None after a failed commit, opened again by the next.
    writer: Option<IndexWriter>,
}

/// The index of one home.
pub struct Index {
    dir: PathBuf,
    fields: Fields,
    writing: Mutex<Writing>,
    view: RwLock<View>,
    /// A call failed in a way that wrong bytes make it fail.
    suspect: AtomicBool,
    /// It lacks what it should hold.
    unfilled: AtomicBool,
    set_aside: AtomicU64,
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl Index {
    /// Opens the index in `dir`, creating it where there is none.
    ///
    /// A broken or foreign one is renamed to `<dir>.broken` (replacing an earlier one) and an empty one takes its place.
    ///
    /// # Errors
    ///
    /// [`IndexError::Busy`] while somebody else has it open: stop the other process. [`IndexError::Io`] where the folder
    /// cannot be used: mend its permissions or free some space.
    pub fn open(dir: &Path) -> Result<Self, IndexError> {
        let io = |source| IndexError::Io { path: dir.to_owned(), source };
        private(dir).map_err(io)?;
        let (loaded, set_aside) = {
            let _lock = MmapDirectory::open(dir)
                .map_err(TantivyError::from)
                .and_then(|directory| Ok(directory.acquire_lock(&INDEX_WRITER_LOCK)?))
                .map_err(|error| refused(dir, error))?;
            match inspect::guarded(|| Ok(load(dir)?)) {
                Ok(Some(loaded)) => (loaded, 0),
                Ok(None) => (anew(dir)?, 1),
                Err(error) if error.is_suspicious() => (anew(dir)?, 1),
                Err(IndexError::Failed(error)) => return Err(refused(dir, error)),
                Err(error) => return Err(error),
            }
        };
        let (_, fields) = document::schema();
        let (writing, view) = started(dir, loaded)?;
        Ok(Self {
            dir: dir.to_owned(),
            fields,
            writing: Mutex::new(writing),
            view: RwLock::new(view),
            suspect: AtomicBool::new(false),
            unfilled: AtomicBool::new(false),
            set_aside: AtomicU64::new(set_aside),
        })
    }

    /// Whether a call failed, since the index was opened or looked at, as wrong bytes make it fail.
    #[must_use]
    pub fn is_suspect(&self) -> bool {
        self.suspect.load(Ordering::Relaxed)
    }

    /// Checks every byte of every file that counts; a sound index is suspected no more.
    ///
    /// # Errors
    ///
    /// The system refuses to read it, which says nothing about the bytes.
    pub fn is_sound(&self) -> Result<bool, IndexError> {
        let writing = lock(&self.writing);
        let sound = !self.unfilled.load(Ordering::Relaxed)
            && match inspect::guarded(|| Ok(inspect::check(&writing.index)?)) {
                Ok(()) => true,
                Err(error) if error.is_suspicious() => false,
                Err(error) => return Err(error),
            };
        if sound {
            self.suspect.store(false, Ordering::Relaxed);
        }
        Ok(sound)
    }

    /// Sets the index aside and begins an empty one; searches are refused until it is [`filled`](Self::filled).
    ///
    /// # Errors
    ///
    /// The system refuses; the index stays suspect.
    pub fn begin_anew(&self) -> Result<(), IndexError> {
        self.unfilled.store(true, Ordering::Relaxed);
        let mut writing = lock(&self.writing);
        writing.writer = None;
        let (fresh, view) = started(&self.dir, anew(&self.dir)?)?;
        *writing = fresh;
        *self.write() = view;
        self.set_aside.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Throws the index away, files and all, and begins an empty one, as [`begin_anew`](Self::begin_anew) does.
    ///
    /// # Errors
    ///
    /// The system refuses; do it again.
    pub fn begin_empty(&self) -> Result<(), IndexError> {
        self.begin_anew()?;
        let aside = set_aside(&self.dir);
        match std::fs::remove_dir_all(&aside) {
            Err(source) if source.kind() != ErrorKind::NotFound => Err(IndexError::Io { path: aside, source }),
            _ => Ok(()),
        }
    }

    /// Takes the caller's word that everything is in it again.
    pub fn filled(&self) {
        self.suspect.store(false, Ordering::Relaxed);
        self.unfilled.store(false, Ordering::Relaxed);
    }

    /// How often it was set aside by this process, when it was opened and since.
    #[must_use]
    pub fn times_set_aside(&self) -> u64 {
        self.set_aside.load(Ordering::Relaxed)
    }

    /// What could not even wait for a commit is lost to this index.
    fn lacks(&self) {
        self.unfilled.store(true, Ordering::Relaxed);
        self.suspect.store(true, Ordering::Relaxed);
    }

    /// Runs a call of tantivy; one that fails as over wrong bytes makes the index suspect.
    fn watched<T>(&self, run: impl FnOnce() -> Result<T, IndexError>) -> Result<T, IndexError> {
        inspect::guarded(run).inspect_err(|error| {
            if error.is_suspicious() {
                self.suspect.store(true, Ordering::Relaxed);
            }
        })
    }

    /// The log position up to which everything is indexed, as of the last commit; none in a new index.
    #[must_use]
    pub fn cursor(&self) -> Option<u64> {
        self.read().cursor
    }

    /// Indexes documents, replacing those of the same id.
    ///
    /// # Durability
    ///
    /// Visible to the next search, durable after the next commit. When [`MAX_PENDING`] or [`MAX_PENDING_BYTES`] is
    /// exceeded they are committed at once, without moving the cursor.
    ///
    /// # Errors
    ///
    /// When such a commit fails; the documents stay visible and are tried again by the next commit. When its files cannot
    /// be read the index is suspect, not sound, and must be filled anew.
    pub fn put(&self, documents: Vec<Document>) -> Result<(), IndexError> {
        let full = self.watched(|| {
            let mut view = self.write();
            for document in documents {
                let hides = alive(&view.searcher, self.fields, &document.id)?;
                view.overlay.set(document.id.clone(), Some(document.trimmed()), hides);
            }
            Ok(is_full(&view.overlay))
        });
        let full = full.inspect_err(|_| self.lacks())?;
        if full { self.flush() } else { Ok(()) }
    }

    /// Takes documents out; ids that are not in it are passed over.
    ///
    /// # Durability
    ///
    /// As of [`put`](Self::put).
    ///
    /// # Errors
    ///
    /// As of [`put`](Self::put).
    pub fn remove(&self, ids: &[String]) -> Result<(), IndexError> {
        let full = self.watched(|| {
            let mut view = self.write();
            for id in ids {
                let hides = alive(&view.searcher, self.fields, id)?;
                view.overlay.set(id.clone(), None, hides);
            }
            Ok(is_full(&view.overlay))
        });
        let full = full.inspect_err(|_| self.lacks())?;
        if full { self.flush() } else { Ok(()) }
    }

    /// The ids of the committed documents of a layer.
    ///
    /// # Errors
    ///
    /// When the files of the index cannot be read.
    pub fn ids(&self, tier: Tier) -> Result<Vec<String>, IndexError> {
        self.watched(|| self.ids_of(tier))
    }

    fn ids_of(&self, tier: Tier) -> Result<Vec<String>, IndexError> {
        let view = self.read();
        let term = Term::from_field_text(self.fields.tier, tier.name());
        let mut ids = Vec::new();
        for segment in view.searcher.segment_readers() {
            let index = segment.inverted_index(self.fields.tier)?;
            let postings = index.read_postings(&term, IndexRecordOption::Basic).map_err(TantivyError::from)?;
            let Some(mut postings) = postings else { continue };
            let store = segment.get_store_reader(1).map_err(TantivyError::from)?;
            while postings.doc() != TERMINATED {
                if !segment.is_deleted(postings.doc()) {
                    let document: TantivyDocument = store.get(postings.doc())?;
                    ids.extend(document.get_first(self.fields.id).and_then(|id| id.as_str()).map(str::to_owned));
                }
                postings.advance();
            }
        }
        Ok(ids)
    }

    /// Empties the index, and forgets up to where it was filled.
    ///
    /// # Durability
    ///
    /// It is empty on the disk when this returns.
    ///
    /// # Errors
    ///
    /// When the disk refuses; nothing is lost then.
    pub fn clear(&self) -> Result<(), IndexError> {
        self.watched(|| {
            let mut writing = lock(&self.writing);
            let mut open = self.taken(&mut writing)?;
            open.delete_all_documents()?;
            let mut commit = open.prepare_commit()?;
            commit.set_payload(&payload(None, 0));
            commit.commit()?;
            writing.reader.reload()?;
            let mut view = self.write();
            *view = View::of(writing.reader.searcher(), self.fields, None)?;
            writing.writer = Some(open);
            Ok(())
        })
    }

    /// Makes what waits durable and records that everything before and at `cursor` is indexed.
    ///
    /// Costs tens of milliseconds whatever its size: batch. A call with nothing new to record costs nothing.
    ///
    /// # Errors
    ///
    /// When the disk refuses; nothing is lost, what waits stays visible and the next commit tries again.
    pub fn commit(&self, cursor: u64) -> Result<(), IndexError> {
        self.commit_as(Some(cursor))
    }

    /// How many ids wait for a commit.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.read().overlay.len()
    }

    /// The best hits, best first; ties go to the newer, then to the smaller id.
    ///
    /// A row may be found that shares no word with the query: what stands beside a match often answers.
    ///
    /// # Errors
    ///
    /// When the files of the index cannot be read; never because of the words of the query.
    pub fn search(&self, query: &Query<'_>) -> Result<Vec<Hit>, IndexError> {
        if self.unfilled.load(Ordering::Relaxed) {
            return Err(IndexError::Unfilled);
        }
        self.watched(|| {
            let view = self.read();
            let (searcher, columns, overlay) = (&view.searcher, &view.columns, &view.overlay);
            Ok(search::search(&search::Shelf { searcher, columns, overlay, fields: self.fields }, query)?)
        })
    }

    /// How many documents can be found.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.read().count()
    }

    fn flush(&self) -> Result<(), IndexError> {
        let cursor = self.cursor();
        self.commit_as(cursor)
    }

    fn commit_as(&self, cursor: Option<u64>) -> Result<(), IndexError> {
        self.watched(|| {
            let mut writing = lock(&self.writing);
            let (waiting, count) = {
                let view = self.read();
                if view.overlay.len() == 0 && view.cursor == cursor {
                    return Ok(());
                }
                (view.overlay.snapshot(), view.count())
            };
            let mut open = self.taken(&mut writing)?;
            for (id, entry) in &waiting {
                open.delete_term(self.fields.id_term(id));
                if let Some(document) = &entry.document {
                    open.add_document(self.fields.to_tantivy(document))?;
                }
            }
            let mut commit = open.prepare_commit()?;
            commit.set_payload(&payload(cursor, count));
            commit.commit()?;
            writing.reader.reload()?;
            let searcher = writing.reader.searcher();
            let columns = Columns::open(&searcher, self.fields)?;
            let mut view = self.write();
            view.overlay.settle(&waiting, |id| alive(&searcher, self.fields, id))?;
            (view.searcher, view.columns, view.cursor) = (searcher, columns, cursor);
            writing.writer = Some(open);
            Ok(())
        })
    }

    /// The writer, which must be put back once it did its work: one that failed on the way is dropped, and its lock with
    /// it. After one that failed a new one first takes away the files that were left, or they would add up until there
    /// is no room for a single file more.
    fn taken(&self, writing: &mut Writing) -> Result<IndexWriter, IndexError> {
        if let Some(open) = writing.writer.take() {
            return Ok(open);
        }
        let open = new_writer(&self.dir, &writing.index)?;
        if let Err(error) = open.garbage_collect_files().wait() {
            tracing::debug!(%error, "files of a failed commit stay for now");
        }
        Ok(open)
    }

    fn read(&self) -> RwLockReadGuard<'_, View> {
        self.view.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, View> {
        self.view.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a loaded index begins with.
fn started(dir: &Path, (index, reader, cursor): Loaded) -> Result<(Writing, View), IndexError> {
    let writer = Some(new_writer(dir, &index)?);
    let (_, fields) = document::schema();
    let view = inspect::guarded(|| Ok(View::of(reader.searcher(), fields, cursor)?))?;
    Ok((Writing { index, reader, writer }, view))
}

fn is_full(overlay: &Overlay) -> bool {
    overlay.len() > MAX_PENDING || overlay.bytes() > MAX_PENDING_BYTES
}

fn new_writer(dir: &Path, index: &tantivy::Index) -> Result<IndexWriter, IndexError> {
    let options = IndexWriterOptions::builder()
        .num_worker_threads(1)
        .num_merge_threads(1)
        .memory_budget_per_thread(ARENA_BYTES)
        .build();
    index.writer_with_options(options).map_err(|error| refused(dir, error))
}

/// Where the committed document of this id is. Term statistics also count deleted documents, so they cannot say.
fn alive(searcher: &Searcher, fields: Fields, id: &str) -> tantivy::Result<Option<DocAddress>> {
    let term = fields.id_term(id);
    for (ordinal, segment) in (0..).zip(searcher.segment_readers()) {
        let index = segment.inverted_index(fields.key)?;
        let Some(mut postings) = index.read_postings(&term, IndexRecordOption::Basic)? else { continue };
        while postings.doc() != TERMINATED {
            if !segment.is_deleted(postings.doc()) {
                return Ok(Some(DocAddress::new(ordinal, postings.doc())));
            }
            postings.advance();
        }
    }
    Ok(None)
}

type Loaded = (tantivy::Index, IndexReader, Option<u64>);

/// Opens what is in the folder; none where another version wrote it.
fn load(dir: &Path) -> Result<Option<Loaded>, TantivyError> {
    let (schema, _) = document::schema();
    let index = if tantivy::Index::exists(&MmapDirectory::open(dir)?)? {
        tantivy::Index::open_in_dir(dir)?
    } else {
        tantivy::Index::create_in_dir(dir, schema.clone())?
    };
    if index.schema() != schema {
        return Ok(None);
    }
    index.tokenizers().register(document::TOKENIZER, tokens::Terms);
    inspect::check(&index)?;
    let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
    let count = IndexReader::searcher(&reader).num_docs();
    let cursor = match index.load_metas()?.payload.as_deref() {
        None if count == 0 => None,
        written => match written.and_then(read_payload) {
            Some((cursor, documents)) if documents == count => cursor,
            _ => return Ok(None),
        },
    };
    Ok(Some((index, reader, cursor)))
}

/// Makes a folder that only its owner can enter; an existing one keeps its mode.
fn private(dir: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Where a broken index goes.
fn set_aside(dir: &Path) -> PathBuf {
    let mut aside = dir.as_os_str().to_owned();
    aside.push(".broken");
    aside.into()
}

/// Sets aside what is in the folder and begins an empty index.
fn anew(dir: &Path) -> Result<Loaded, IndexError> {
    let io = |source| IndexError::Io { path: dir.to_owned(), source };
    let aside = set_aside(dir);
    match std::fs::remove_dir_all(&aside) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(io(error)),
        _ => {}
    }
    match std::fs::rename(dir, &aside) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(io(error)),
        _ => {}
    }
    tracing::warn!(dir = %dir.display(), "the search index was set aside and is built again");
    private(dir).map_err(io)?;
    let loaded = load(dir).map_err(|error| refused(dir, error))?;
    loaded.ok_or_else(|| TantivyError::InternalError("a new index has an old schema".to_owned()).into())
}

/// What a commit says of itself: up to where everything is indexed, and how many documents there are.
///
/// Its sum, and the count, are what shows that the list of segments itself is wrong: nothing else guards it.
fn payload(cursor: Option<u64>, documents: u64) -> String {
    let cursor = cursor.map_or_else(|| "-".to_owned(), |cursor| cursor.to_string());
    let text = format!("clone-index {VERSION} {cursor} {documents}");
    format!("{text} {:08x}", crc32fast::hash(text.as_bytes()))
}

/// The cursor and the count in a payload of this version.
fn read_payload(text: &str) -> Option<(Option<u64>, u64)> {
    let (said, sum) = text.rsplit_once(' ')?;
    if sum != format!("{:08x}", crc32fast::hash(said.as_bytes())) {
        return None;
    }
    let (cursor, documents) = said.strip_prefix(&format!("clone-index {VERSION} "))?.split_once(' ')?;
    let cursor = if cursor == "-" { None } else { Some(cursor.parse().ok()?) };
    Some((cursor, documents.parse().ok()?))
}

/// Whether the files themselves are at fault, and not the lock, the permissions or the disk.
fn is_broken(error: &TantivyError) -> bool {
    let damaged = |error: &std::io::Error| matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof);
    match error {
        TantivyError::DataCorruption(_)
        | TantivyError::IncompatibleIndex(_)
        | TantivyError::DeserializeError(_)
        | TantivyError::SchemaError(_)
        | TantivyError::InternalError(_)
        | TantivyError::OpenReadError(OpenReadError::FileDoesNotExist(_) | OpenReadError::IncompatibleIndex(_)) => true,
        TantivyError::OpenReadError(OpenReadError::IoError { io_error, .. }) => damaged(io_error),
        TantivyError::IoError(error) => damaged(error),
        _ => false,
    }
}

/// The error of a folder that may not be used now.
fn refused(dir: &Path, error: TantivyError) -> IndexError {
    let io = |error: &std::io::Error| IndexError::Io {
        path: dir.to_owned(),
        source: std::io::Error::new(error.kind(), error.to_string()),
    };
    match &error {
        TantivyError::LockFailure(LockError::LockBusy, _) => IndexError::Busy(dir.to_owned()),
        TantivyError::LockFailure(LockError::IoError(inner), _) | TantivyError::IoError(inner) => io(inner),
        TantivyError::OpenDirectoryError(OpenDirectoryError::IoError { io_error, .. })
        | TantivyError::OpenReadError(OpenReadError::IoError { io_error, .. }) => io(io_error),
        _ => IndexError::Failed(error),
    }
}

#[cfg(test)]
mod tests;
