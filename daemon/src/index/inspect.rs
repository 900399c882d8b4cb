//! Whether the bytes of the index are those that were written.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use tantivy::directory::error::OpenReadError;
use tantivy::error::DataCorruption;
use tantivy::schema::{FieldType, Value};
use tantivy::{IndexReader, ReloadPolicy, TantivyDocument, TantivyError};

use super::IndexError;

/// Runs what calls tantivy: over files that lie it panics, and the panic ends here.
pub(super) fn guarded<T>(run: impl FnOnce() -> Result<T, IndexError>) -> Result<T, IndexError> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().cloned();
        let said = said.or_else(|| panic.downcast_ref::<&str>().map(|said| (*said).to_owned()));
        Err(IndexError::Panicked(said.unwrap_or_else(|| "it did not say why".to_owned())))
    })
}

/// Reads every file of every segment against the sum at its end; tantivy itself would read just those that it lists as
/// managed, and that list may be wrong too.
pub(super) fn check(index: &tantivy::Index) -> Result<(), TantivyError> {
    for path in index.load_metas()?.list_segment_files() {
        match index.directory().validate_checksum(&path) {
            // Every file that a segment could have is listed.
            Ok(true) | Err(OpenReadError::FileDoesNotExist(_)) => {}
            Ok(false) => {
                let what = format!("`{}` does not match its sum", path.display());
                return Err(TantivyError::DataCorruption(DataCorruption::comment_only(what)));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Hands every stored text and every term of the index in a folder to `each`, with `stored` or `term`; deleted documents,
/// which stay in their files until those are merged, are among them.
///
/// # Errors
///
/// The files cannot be read as an index.
pub fn contents(dir: &Path, mut each: impl FnMut(&'static str, &str)) -> Result<(), IndexError> {
    guarded(|| {
        let index = tantivy::Index::open_in_dir(dir)?;
        let schema = index.schema();
        let reader: IndexReader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        for segment in reader.searcher().segment_readers() {
            let store = segment.get_store_reader(1).map_err(TantivyError::from)?;
            for number in 0..segment.max_doc() {
                let document: TantivyDocument = store.get(number)?;
                for (_, value) in document.field_values() {
                    value.as_str().into_iter().for_each(|text| each("stored", text));
                }
            }
            for (field, entry) in schema.fields().filter(|(_, entry)| entry.is_indexed()) {
                if !matches!(entry.field_type(), FieldType::Str(_)) {
                    continue;
                }
                let inverted = segment.inverted_index(field)?;
                let mut terms = inverted.terms().stream().map_err(TantivyError::from)?;
                while terms.advance() {
                    each("term", &String::from_utf8_lossy(terms.key()));
                }
            }
        }
        Ok(())
    })
}
