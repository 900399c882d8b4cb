//! The folder of the log on a real disk.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::storage::{Handle, Lock, OpenFile, Storage};

/// The folder of the log on a disk.
#[derive(Clone)]
pub(super) struct Disk {
    root: PathBuf,
}

impl Disk {
    /// The folder `root`, made with mode 0700 where it is missing.
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(root)?;
        Ok(Self { root: root.to_owned() })
    }
}

impl OpenFile for File {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut file = self;
        Write::write(&mut file, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }
}

impl Storage for Disk {
    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn create_dir(&self, name: &str) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(self.path(name))
    }

    fn create(&self, name: &str) -> io::Result<Handle> {
        let options = OpenOptions::new().append(true).read(true).create_new(true).mode(0o600).clone();
        Ok(Box::new(options.open(self.path(name))?))
    }

    #[cfg(feature = "sabotage")]
    fn reopen(&self, name: &str) -> io::Result<Handle> {
        Ok(Box::new(OpenOptions::new().append(true).read(true).open(self.path(name))?))
    }

    fn lock(&self, name: &str, holder: &str) -> io::Result<Option<Lock>> {
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).clone();
        let mut file = options.open(self.path(name))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{holder}")?;
        Ok(Some(Box::new(file)))
    }

    fn sync_dir(&self, name: &str) -> io::Result<()> {
        File::open(self.path(name))?.sync_all()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        if self.path(to).try_exists()? {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("`{to}` exists")));
        }
        std::fs::rename(self.path(from), self.path(to))
    }

    fn replace(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path(name))
    }

    fn read_at(&self, name: &str, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        File::open(self.path(name))?.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    fn length(&self, name: &str) -> io::Result<u64> {
        Ok(std::fs::metadata(self.path(name))?.len())
    }

    fn list(&self, name: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(self.path(name))? {
            names.extend(entry?.file_name().into_string());
        }
        names.sort();
        Ok(names)
    }

    fn free(&self) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(&self.root)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}
