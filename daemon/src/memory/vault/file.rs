//! One file of the vault: read without following or blocking, put in place without covering anything, exchanged.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, XattrFlags, renameat_with};
use rustix::io::Errno;

use super::disk::FILE_BYTES_MAX;

/// The extension of the name under which a file is kept while it is exchanged in two steps.
const ASIDE: &str = "aside";
/// The most bytes of extended attributes that are carried over.
const XATTR_BYTES_MAX: usize = 64 * 1024;

/// How two files change places here: in one step where the file system can, else in two.
///
/// Between the two steps lies a window of microseconds that nothing here can close: a save by renaming that lands in it is
/// lost, and a note that is moved away or deleted in it is there again.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Exchange {
    /// Never in one step, as on a file system that cannot.
    pub(super) in_two_steps: bool,
}

impl Exchange {
    /// Puts each of two files in the place of the other.
    pub(super) fn swap(self, temp: &Path, full: &Path) -> std::io::Result<()> {
        if !self.in_two_steps {
            match renameat_with(CWD, temp, CWD, full, RenameFlags::EXCHANGE) {
                Err(error) if is_unknown(error) => {}
                done => return done.map_err(Into::into),
            }
        }
        let aside = temp.with_extension(ASIDE);
        std::fs::hard_link(full, &aside)?;
        std::fs::rename(temp, full)?;
        std::fs::rename(&aside, temp)
    }

    /// Puts a file where none is.
    pub(super) fn place(self, temp: &Path, full: &Path) -> std::io::Result<()> {
        if !self.in_two_steps {
            match renameat_with(CWD, temp, CWD, full, RenameFlags::NOREPLACE) {
                Err(error) if is_unknown(error) => {}
                done => return done.map_err(Into::into),
            }
        }
        std::fs::hard_link(temp, full)?;
        std::fs::remove_file(temp)
    }
}

/// Whether the file system, or the kernel, does not know this way of renaming.
fn is_unknown(error: Errno) -> bool {
    matches!(error, Errno::INVAL | Errno::NOSYS | Errno::NOTSUP)
}

/// Reads a regular file without following a link and without ever blocking on a pipe.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, String> {
    let file = open(path).map_err(|error| refused(&error))?;
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

fn open(path: &Path) -> std::io::Result<File> {
    let flags = (rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits();
    OpenOptions::new().read(true).custom_flags(i32::try_from(flags).unwrap_or(0)).open(path)
}

/// Why a file was not opened; a link is refused by us, and the words of the system for that mislead.
fn refused(error: &std::io::Error) -> String {
    if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) {
        return "a symbolic link, which is never followed; put the file itself here".to_owned();
    }
    error.to_string()
}

/// Why the daemon leaves a file alone that it could write over.
pub(super) fn forbidden(path: &Path) -> Option<&'static str> {
    let meta = std::fs::symlink_metadata(path).ok()?;
    if meta.mode() & 0o200 == 0 {
        return Some("it is read-only");
    }
    if meta.nlink() > 1 {
        return Some("it has other names (hard links), which would not follow");
    }
    (meta.uid() != rustix::process::geteuid().as_raw()).then_some("it belongs to another user")
}

/// Gives a new file the mode and the extended attributes of the one whose place it takes; what cannot be, is left.
pub(super) fn take_after(new: &Path, old: &Path) {
    let (Ok(new), Ok(old)) = (open(new), open(old)) else { return };
    if let Ok(meta) = old.metadata() {
        let _refused = new.set_permissions(std::fs::Permissions::from_mode(meta.mode() & 0o777));
    }
    let mut names = vec![0_u8; XATTR_BYTES_MAX];
    let Ok(length) = rustix::fs::flistxattr(old.as_fd(), &mut names) else { return };
    let mut value = vec![0_u8; XATTR_BYTES_MAX];
    for name in names[..length].split(|byte| *byte == 0).filter(|name| name.starts_with(b"user.")) {
        if let Ok(length) = rustix::fs::fgetxattr(old.as_fd(), name, &mut value) {
            let _refused = rustix::fs::fsetxattr(new.as_fd(), name, &value[..length], XattrFlags::empty());
        }
    }
}

/// Makes a folder that only its owner can enter; an existing one keeps its mode.
pub(super) fn make_private(dir: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Writes down which files a folder holds.
pub(super) fn sync_folder(dir: &Path) -> std::io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_change_places_in_one_step_and_in_two() {
        for in_two_steps in [false, true] {
            let exchange = Exchange { in_two_steps };
            let dir = tempfile::tempdir().unwrap();
            let (a, b) = (dir.path().join("a.tmp"), dir.path().join("b.md"));
            std::fs::write(&a, "new").unwrap();
            std::fs::write(&b, "old").unwrap();
            assert_eq!(exchange.place(&a, &b).unwrap_err().kind(), std::io::ErrorKind::AlreadyExists);
            exchange.swap(&a, &b).unwrap();
            assert_eq!((read(&a).unwrap(), read(&b).unwrap()), (b"old".to_vec(), b"new".to_vec()));
            std::fs::remove_file(&b).unwrap();
            exchange.place(&a, &b).unwrap();
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else is left");
            assert!(exchange.swap(&a, &b).is_err(), "there is nothing to put there");
        }
    }

    #[test]
    fn a_new_file_takes_after_the_old_one_and_some_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (dir.path().join("old.md"), dir.path().join("new.tmp"));
        for file in [&old, &new] {
            std::fs::write(file, "x").unwrap();
        }
        std::fs::set_permissions(&old, std::fs::Permissions::from_mode(0o640)).unwrap();
        let attribute = rustix::fs::setxattr(&old, "user.colour", b"red", XattrFlags::empty());
        take_after(&new, &old);
        assert_eq!(std::fs::metadata(&new).unwrap().mode() & 0o777, 0o640);
        let mut value = [0_u8; 8];
        if attribute.is_ok() {
            let length = rustix::fs::getxattr(&new, "user.colour", &mut value).unwrap();
            assert_eq!(&value[..length], b"red");
        } else {
            eprintln!("SKIPPED: extended attributes (the file system has none)");
        }
        assert_eq!(forbidden(&old), None);
        std::fs::hard_link(&old, dir.path().join("twin")).unwrap();
        assert!(forbidden(&old).unwrap().contains("hard links"));
        std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o440)).unwrap();
        assert!(forbidden(&new).unwrap().contains("read-only"));
    }
}
