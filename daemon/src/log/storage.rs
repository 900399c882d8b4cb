//! Every file operation of the log, in one place.
//!
//! The rest of the log names files relative to its folder and never touches the file system itself, so that a test can
//! put faults here and a later storage can simulate a power cut.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The largest file that is read whole, in bytes; far above any segment.
const MAX_FILE: u64 = 1 << 30;

/// The folder of the log on a disk.
#[derive(Clone)]
pub(super) struct Disk {
    root: PathBuf,
    #[cfg(test)]
    pub(super) faults: std::sync::Arc<std::sync::Mutex<Faults>>,
}

/// An open file of the log.
pub(super) struct Handle(File);

/// What goes wrong next; each counts down to zero, where it happens.
#[cfg(test)]
#[derive(Default)]
pub(super) struct Faults {
    /// Appends that still fail, the bytes that get through first, and the error.
    pub(super) append: Vec<(usize, io::ErrorKind)>,
    /// Syncs that still fail.
    pub(super) sync: usize,
    /// Truncations that still fail.
    pub(super) truncate: usize,
    /// Creations that still fail.
    pub(super) create: usize,
    /// Every kind of call, in order.
    pub(super) calls: Vec<&'static str>,
}

impl Disk {
    /// The folder `root`, made with mode 0700 where it is missing.
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(root)?;
        Ok(Self {
            root: root.to_owned(),
            #[cfg(test)]
            faults: Default::default(),
        })
    }

    /// The path of a file, for errors and locks.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Makes a folder inside with mode 0700, durable once the folder itself is synced.
    pub(super) fn create_dir(&self, name: &str) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(self.path(name))
    }

    /// A new file to append to, mode 0600; refuses an existing one.
    pub(super) fn create(&self, name: &str) -> io::Result<Handle> {
        #[cfg(test)]
        self.fault("create", |faults| take(&mut faults.create))?;
        let options = OpenOptions::new().append(true).read(true).create_new(true).mode(0o600).clone();
        options.open(self.path(name)).map(Handle)
    }

    /// An existing file to append to.
    pub(super) fn reopen(&self, name: &str) -> io::Result<Handle> {
        OpenOptions::new().append(true).read(true).open(self.path(name)).map(Handle)
    }

    /// A file to lock and to write the holder into, mode 0600, kept as it is.
    pub(super) fn lock_file(&self, name: &str) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(self.path(name))
    }

    /// Appends with one write; an error says that an unknown part of the bytes was written.
    pub(super) fn append(&self, handle: &Handle, bytes: &[u8]) -> io::Result<()> {
        #[cfg(test)]
        self.short_write(handle, bytes)?;
        let written = loop {
            match (&handle.0).write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        match written == bytes.len() {
            true => Ok(()),
            // The rest, so that the reason (most likely a full disk) is known.
            false => (&handle.0).write_all(&bytes[written..]),
        }
    }

    /// Makes the bytes of a file durable.
    pub(super) fn sync(&self, handle: &Handle) -> io::Result<()> {
        #[cfg(test)]
        self.fault("sync", |faults| take(&mut faults.sync))?;
        handle.0.sync_data()
    }

    /// Makes the names in a folder durable; the empty name is the log's own folder.
    pub(super) fn sync_dir(&self, name: &str) -> io::Result<()> {
        #[cfg(test)]
        self.fault("sync_dir", |_| false)?;
        File::open(self.path(name))?.sync_all()
    }

    /// Cuts a file.
    pub(super) fn truncate(&self, handle: &Handle, length: u64) -> io::Result<()> {
        #[cfg(test)]
        self.fault("truncate", |faults| take(&mut faults.truncate))?;
        handle.0.set_len(length)
    }

    /// Renames a file, never over an existing one.
    pub(super) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        #[cfg(test)]
        self.fault("rename", |_| false)?;
        if self.path(to).try_exists()? {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("`{to}` exists")));
        }
        std::fs::rename(self.path(from), self.path(to))
    }

    /// Removes a file.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path(name))
    }

    /// So many bytes from a place in a file.
    pub(super) fn read_at(&self, name: &str, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        File::open(self.path(name))?.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    /// A whole file.
    pub(super) fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let file = File::open(self.path(name))?;
        let length = file.metadata()?.len();
        if length > MAX_FILE {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("`{name}` has {length} bytes")));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        file.take(MAX_FILE).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Whether a file is there.
    pub(super) fn exists(&self, name: &str) -> io::Result<bool> {
        self.path(name).try_exists()
    }

    /// The names in the log's folder, in order.
    pub(super) fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.root)? {
            names.extend(entry?.file_name().into_string());
        }
        names.sort();
        Ok(names)
    }
}

#[cfg(test)]
fn take(count: &mut usize) -> bool {
    let now = *count > 0;
    *count = count.saturating_sub(1);
    now
}

#[cfg(test)]
impl Disk {
    fn fault(&self, call: &'static str, fails: impl FnOnce(&mut Faults) -> bool) -> io::Result<()> {
        let mut faults = super::locked(&self.faults);
        faults.calls.push(call);
        match fails(&mut faults) {
            true => Err(io::Error::other(format!("injected {call} error"))),
            false => Ok(()),
        }
    }

    fn short_write(&self, handle: &Handle, bytes: &[u8]) -> io::Result<()> {
        let mut faults = super::locked(&self.faults);
        faults.calls.push("append");
        match faults.append.pop() {
            Some((through, kind)) => {
                (&handle.0).write_all(&bytes[..through.min(bytes.len())])?;
                Err(kind.into())
            }
            None => Ok(()),
        }
    }
}
