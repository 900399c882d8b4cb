//! The two files beside the segments: `LOCK`, held for life and never deleted, and `KEY`, made once.

use std::io;
use std::time::Duration;

use clone_schema::sabotage::{self, Bug};

use super::LogError;
use super::storage::{Lock, Storage, append};

pub(super) const LOCK: &str = "LOCK";
pub(super) const KEY: &str = "KEY";

/// How often a loser looks who the holder is before that is unknown.
const LOOKS: usize = 100;
/// How long it waits in between: a holder needs microseconds to write its name.
const PAUSE: Duration = Duration::from_millis(10);

/// Locks the log for as long as the returned value lives and writes our pid into it.
pub(super) fn hold(disk: &dyn Storage) -> Result<Lock, LogError> {
    let failed = |error| LogError::io("lock", disk.path(LOCK).display().to_string(), error);
    if sabotage::is(Bug::NoLock) {
        return Ok(Box::new(()));
    }
    for _ in 0..LOOKS {
        if let Some(lock) = disk.lock(LOCK, &std::process::id().to_string()).map_err(failed)? {
            return Ok(lock);
        }
        if let Some(pid) = holder(disk) {
            return Err(LogError::Locked { folder: disk.path("").display().to_string(), pid: pid.to_string() });
        }
        std::thread::sleep(PAUSE);
    }
    Err(LogError::Locked { folder: disk.path("").display().to_string(), pid: "unknown".to_owned() })
}

/// The process that the lock file names, while it lives. The file names the last holder until the next has written itself
/// into it, and for ever where that one was killed.
fn holder(disk: &dyn Storage) -> Option<i32> {
    let text = String::from_utf8(disk.read(LOCK).ok()?).ok()?;
    let pid = rustix::process::Pid::from_raw(text.trim().parse().ok()?)?;
    let gone = rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH);
    (!gone).then(|| pid.as_raw_nonzero().get())
}

/// The key, made once.
pub(super) fn key(disk: &dyn Storage) -> Result<[u8; 32], LogError> {
    const NEW: &str = "KEY.new";
    let failed = |error| LogError::io("make", disk.path(KEY).display().to_string(), error);
    if disk.exists(KEY).map_err(failed)? {
        // A start that died in between may have left the name unsynced, and this key is used from here on.
        disk.sync_dir("").map_err(failed)?;
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
        append(&*file, &key)?;
        file.sync()?;
        disk.rename(NEW, KEY)?;
        disk.sync_dir("")
    };
    write().map_err(failed)?;
    Ok(key)
}
