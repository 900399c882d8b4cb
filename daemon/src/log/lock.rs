//! The two files beside the segments: `LOCK`, held for life and never deleted, and `KEY`, made once.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};

use super::LogError;
use super::storage::Disk;

pub(super) const LOCK: &str = "LOCK";
pub(super) const KEY: &str = "KEY";

/// Locks the log for the life of the returned file and writes our pid into it.
pub(super) fn hold(disk: &Disk) -> Result<File, LogError> {
    let failed = |error| LogError::io("lock", disk.path(LOCK).display().to_string(), error);
    let mut file = disk.lock_file(LOCK).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let _ = file.take(32).read_to_string(&mut pid);
            let pid = if pid.trim().is_empty() { "unknown".to_owned() } else { pid.trim().to_owned() };
            return Err(LogError::Locked { folder: disk.path("").display().to_string(), pid });
        }
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    file.set_len(0).and_then(|()| file.rewind()).map_err(failed)?;
    writeln!(file, "{}", std::process::id()).map_err(failed)?;
    Ok(file)
}

/// The key, made once.
pub(super) fn key(disk: &Disk) -> Result<[u8; 32], LogError> {
    const NEW: &str = "KEY.new";
    let failed = |error| LogError::io("make", disk.path(KEY).display().to_string(), error);
    if disk.exists(KEY).map_err(failed)? {
        let bytes = disk.read(KEY).map_err(|error| LogError::io("read", KEY, error))?;
        return bytes.try_into().map_err(|_| LogError::Key(disk.path(KEY).display().to_string()));
    }
    if disk.exists(NEW).map_err(failed)? {
        disk.remove(NEW).map_err(failed)?;
    }
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|error| failed(io::Error::other(error.to_string())))?;
    let write = || {
        let file = disk.create(NEW)?;
        disk.append(&file, &key)?;
        disk.sync(&file)?;
        disk.rename(NEW, KEY)?;
        disk.sync_dir("")
    };
    write().map_err(failed)?;
    Ok(key)
}
