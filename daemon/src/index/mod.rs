//! The search index: a cache of the log and the vault, safe to delete.
//!
//! A write is visible at once (it waits in an overlay) and durable after [`Index::commit`], which also records up to
//! which log position everything is indexed. An index that cannot be read, or that another version wrote, is set aside
//! and begun anew with no cursor, which tells the caller to index everything again. A lock that somebody holds, a
//! missing permission or a full disk is never taken for a broken index.
//!
//! One thread writes, one merges; commits, reloads and searches block the caller.

mod document;
mod overlay;
mod search;
mod stem;
mod tokens;

use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tantivy::directory::error::{LockError, OpenDirectoryError, OpenReadError};
use tantivy::directory::{INDEX_WRITER_LOCK, MmapDirectory};
use tantivy::indexer::IndexWriterOptions;
use tantivy::schema::{IndexRecordOption, Value};
use tantivy::{
    Directory, DocSet, IndexReader, IndexWriter, ReloadPolicy, Searcher, TERMINATED, TantivyDocument, TantivyError,
    Term,
};

pub use document::{Document, MAX_TEXT_BYTES, Tier};
pub use search::{Hit, MAX_HITS, MAX_SNIPPET_CHARS, MAX_TERMS, Query};

use document::Fields;
use overlay::Overlay;

/// The version of the schema and the tokenizer, written with every commit.
pub(crate) const VERSION: u32 = 1;
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
            Self::Busy(_) => false,
        }
    }
}

/// What a search looks at, changed as one.
struct View {
    searcher: Searcher,
    overlay: Overlay,
    cursor: Option<u64>,
}

/// The index of one home.
pub struct Index {
    dir: PathBuf,
    index: tantivy::Index,
    reader: IndexReader,
    fields: Fields,
    /// None after a failed commit, opened again by the next.
    writer: Mutex<Option<IndexWriter>>,
    view: RwLock<View>,
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
        let (index, reader, cursor) = {
            let _lock = MmapDirectory::open(dir)
                .map_err(TantivyError::from)
                .and_then(|directory| Ok(directory.acquire_lock(&INDEX_WRITER_LOCK)?))
                .map_err(|error| refused(dir, error))?;
            match load(dir) {
                Ok(Some(loaded)) => loaded,
                Ok(None) => anew(dir)?,
                Err(error) if is_broken(&error) => anew(dir)?,
                Err(error) => return Err(refused(dir, error)),
            }
        };
        let (_, fields) = document::schema();
        let writer = Mutex::new(Some(new_writer(dir, &index)?));
        let view = RwLock::new(View { searcher: reader.searcher(), overlay: Overlay::default(), cursor });
        Ok(Self { dir: dir.to_owned(), index, reader, fields, writer, view })
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
    /// When such a commit fails; the documents stay visible and are tried again by the next commit.
    pub fn put(&self, documents: Vec<Document>) -> Result<(), IndexError> {
        let full = {
            let mut view = self.write();
            for document in documents {
                let hides = is_alive(&view.searcher, self.fields, &document.id)?;
                view.overlay.set(document.id.clone(), Some(document.trimmed()), hides);
            }
            is_full(&view.overlay)
        };
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
        let full = {
            let mut view = self.write();
            for id in ids {
                let hides = is_alive(&view.searcher, self.fields, id)?;
                view.overlay.set(id.clone(), None, hides);
            }
            is_full(&view.overlay)
        };
        if full { self.flush() } else { Ok(()) }
    }

    /// The ids of the committed documents of a layer.
    ///
    /// # Errors
    ///
    /// When the files of the index cannot be read.
    pub fn ids(&self, tier: Tier) -> Result<Vec<String>, IndexError> {
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
        let mut writer = lock(&self.writer);
        let mut open = match writer.take() {
            Some(open) => open,
            None => new_writer(&self.dir, &self.index)?,
        };
        open.delete_all_documents()?;
        let mut commit = open.prepare_commit()?;
        commit.set_payload(&payload(None));
        commit.commit()?;
        self.reader.reload()?;
        *writer = Some(open);
        let mut view = self.write();
        *view = View { searcher: self.reader.searcher(), overlay: Overlay::default(), cursor: None };
        Ok(())
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
    /// # Errors
    ///
    /// When the files of the index cannot be read; never because of the words of the query.
    pub fn search(&self, query: &Query<'_>) -> Result<Vec<Hit>, IndexError> {
        let view = self.read();
        Ok(search::search(&view.searcher, &view.overlay, self.fields, query)?)
    }

    /// How many documents can be found.
    #[must_use]
    pub fn count(&self) -> u64 {
        let view = self.read();
        (view.searcher.num_docs() + view.overlay.document_count() as u64).saturating_sub(view.overlay.hidden() as u64)
    }

    fn flush(&self) -> Result<(), IndexError> {
        let cursor = self.cursor();
        self.commit_as(cursor)
    }

    fn commit_as(&self, cursor: Option<u64>) -> Result<(), IndexError> {
        let mut writer = lock(&self.writer);
        let waiting = {
            let view = self.read();
            if view.overlay.len() == 0 && view.cursor == cursor {
                return Ok(());
            }
            view.overlay.snapshot()
        };
        let mut open = match writer.take() {
            Some(open) => open,
            None => new_writer(&self.dir, &self.index)?,
        };
        for (id, entry) in &waiting {
            open.delete_term(self.fields.id_term(id));
            if let Some(document) = &entry.document {
                open.add_document(self.fields.to_tantivy(document))?;
            }
        }
        let mut commit = open.prepare_commit()?;
        commit.set_payload(&payload(cursor));
        commit.commit()?;
        self.reader.reload()?;
        // A writer that failed on the way was dropped, and its lock with it.
        *writer = Some(open);
        let mut view = self.write();
        view.searcher = self.reader.searcher();
        view.overlay.settle(&waiting);
        view.cursor = cursor;
        Ok(())
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

/// Whether a committed document of this id exists. Term statistics also count deleted documents, so they cannot say.
fn is_alive(searcher: &Searcher, fields: Fields, id: &str) -> tantivy::Result<bool> {
    let term = fields.id_term(id);
    for segment in searcher.segment_readers() {
        let index = segment.inverted_index(fields.key)?;
        let Some(mut postings) = index.read_postings(&term, IndexRecordOption::Basic)? else { continue };
        while postings.doc() != TERMINATED {
            if !segment.is_deleted(postings.doc()) {
                return Ok(true);
            }
            postings.advance();
        }
    }
    Ok(false)
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
    let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
    let cursor = match index.load_metas()?.payload.as_deref() {
        None if IndexReader::searcher(&reader).num_docs() == 0 => None,
        written => match written.and_then(read_payload) {
            Some(cursor) => cursor,
            None => return Ok(None),
        },
    };
    Ok(Some((index, reader, cursor)))
}

/// Makes a folder that only its owner can enter; an existing one keeps its mode.
fn private(dir: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Sets aside what is in the folder and begins an empty index.
fn anew(dir: &Path) -> Result<Loaded, IndexError> {
    let io = |source| IndexError::Io { path: dir.to_owned(), source };
    let mut aside = dir.as_os_str().to_owned();
    aside.push(".broken");
    match std::fs::remove_dir_all(&aside) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(io(error)),
        _ => {}
    }
    std::fs::rename(dir, &aside).map_err(io)?;
    tracing::warn!(dir = %dir.display(), "the search index could not be read; it was set aside and is built again");
    private(dir).map_err(io)?;
    let loaded = load(dir).map_err(|error| refused(dir, error))?;
    loaded.ok_or_else(|| TantivyError::InternalError("a new index has an old schema".to_owned()).into())
}

fn payload(cursor: Option<u64>) -> String {
    format!("clone-index {VERSION} {}", cursor.map_or_else(|| "-".to_owned(), |cursor| cursor.to_string()))
}

/// The cursor in a payload of this version.
fn read_payload(text: &str) -> Option<Option<u64>> {
    let rest = text.strip_prefix(&format!("clone-index {VERSION} "))?;
    if rest == "-" { Some(None) } else { rest.parse().ok().map(Some) }
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
