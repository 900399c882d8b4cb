//! Whether the bytes of the index are those that were written.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tantivy::TantivyError;
use tantivy::directory::error::OpenReadError;
use tantivy::error::DataCorruption;

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
