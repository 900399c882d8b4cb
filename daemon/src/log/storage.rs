//! What the log asks of a disk, and nothing more.
//!
//! The log names files relative to its folder and never touches the file system itself, so that the same code runs over a
//! real disk and over a simulated one that loses power at every step. What would surprise:
//!
//! - [`OpenFile::write`] may write less than it was given, and may be interrupted: [`append`] is what callers use.
//! - A new name is durable only after [`Storage::sync_dir`], whatever was synced in the file itself.

use std::io;
use std::path::PathBuf;

use clone_schema::sabotage::{self, Bug};

/// The largest file that is read whole, in bytes; far above any segment.
const MAX_FILE: u64 = 1 << 30;

/// An open file of the log.
pub(super) type Handle = Box<dyn OpenFile>;
/// A lock that is let go when this is dropped.
pub(super) type Lock = Box<dyn Send + Sync>;

/// A file that is open to append to.
pub(super) trait OpenFile: Send + Sync {
    /// Writes a beginning of these bytes at the end of the file and says how many.
    fn write(&self, bytes: &[u8]) -> io::Result<usize>;
    /// Makes the bytes of the file durable.
    fn sync(&self) -> io::Result<()>;
    /// Cuts the file.
    fn truncate(&self, length: u64) -> io::Result<()>;
}

/// The folder of the log.
pub(super) trait Storage: Send + Sync {
    /// The path of a file, for messages.
    fn path(&self, name: &str) -> PathBuf;
    /// Makes a folder inside with mode 0700, durable once the folder around it is synced.
    fn create_dir(&self, name: &str) -> io::Result<()>;
    /// A new file to append to, mode 0600; refuses an existing one.
    fn create(&self, name: &str) -> io::Result<Handle>;
    /// A file to append to again. Nothing but a planted bug asks for it.
    #[cfg(feature = "sabotage")]
    fn reopen(&self, name: &str) -> io::Result<Handle>;
    /// Locks a file, made with mode 0600 where it is missing, and writes the holder into it; `None` while it is held.
    fn lock(&self, name: &str, holder: &str) -> io::Result<Option<Lock>>;
    /// Makes the names in a folder durable; the empty name is the log's own folder.
    fn sync_dir(&self, name: &str) -> io::Result<()>;
    /// Renames a file, never over an existing one.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Renames a file over an existing one.
    fn replace(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// So many bytes from a place in a file, or `UnexpectedEof`.
    fn read_at(&self, name: &str, offset: u64, length: usize) -> io::Result<Vec<u8>>;
    /// The length of a file in bytes.
    fn length(&self, name: &str) -> io::Result<u64>;
    /// The names in a folder, in order; the empty name is the log's own folder.
    fn list(&self, name: &str) -> io::Result<Vec<String>>;
    /// Bytes that may still be written.
    fn free(&self) -> io::Result<u64>;

    /// Whether a file is there.
    fn exists(&self, name: &str) -> io::Result<bool> {
        match self.length(name) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A whole file.
    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let length = self.length(name)?;
        if length > MAX_FILE {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("`{name}` has {length} bytes")));
        }
        self.read_at(name, 0, usize::try_from(length).unwrap_or(usize::MAX))
    }
}

/// Appends all of the bytes; an error says that an unknown part of them was written.
pub(super) fn append(file: &dyn OpenFile, bytes: &[u8]) -> io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        match file.write(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => rest = &rest[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes a file afresh and makes its bytes durable; its name is so only once the folder is synced.
pub(super) fn write_anew(disk: &dyn Storage, name: &str, bytes: &[u8]) -> io::Result<()> {
    if disk.exists(name)? {
        disk.remove(name)?;
    }
    let file = disk.create(name)?;
    append(&*file, bytes)?;
    file.sync()
}

/// Makes the bytes of a commit durable. A sync that failed is never asked for again: the kernel may have dropped the pages.
pub(super) fn sync(file: &dyn OpenFile) -> io::Result<()> {
    if sabotage::is(Bug::SkipFdatasync) {
        return Ok(());
    }
    file.sync().or_else(|error| if sabotage::is(Bug::RetryFailedFsync) { file.sync() } else { Err(error) })
}
