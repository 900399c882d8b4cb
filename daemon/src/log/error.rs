//! Why the log refuses; every error says what to do or which file it is about.

use std::io;
use std::sync::Arc;

use super::MAX_EVENT_BYTES;

/// Why the log refused.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LogError {
    /// Another process holds the log.
    #[error("the log in `{folder}` is held by process {pid}")]
    Locked {
        /// The folder of the log.
        folder: String,
        /// The holder, or `unknown`.
        pid: String,
    },
    /// The disk is full. Nothing of the batch is in the log; the next append tries again.
    #[error("no space is left to write `{file}`")]
    DiskFull {
        /// The file that could not grow.
        file: String,
    },
    /// The disk is nearly full, and the log leaves the rest to others. Nothing was written; the next append looks again.
    #[error("only {} MiB are free on the disk of `{folder}`, less than the {} MiB that are kept free", free >> 20, mark >> 20)]
    LowWater {
        /// The folder of the log.
        folder: String,
        /// Bytes that are free.
        free: u64,
        /// Bytes that must be.
        mark: u64,
    },
    /// A limit on the size of files was reached, in another file as well. Nothing of the batch is in the log.
    #[error("a limit on the size of files ends `{file}`")]
    FileLimit {
        /// The file that could not grow.
        file: String,
    },
    /// The file system failed. Whether the batch survives is not known; the next append tries again.
    #[error("cannot {what} `{file}`: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file.
        file: String,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The topic is not in the table.
    #[error("the topic `{0}` is not known")]
    UnknownTopic(String),
    /// The JSON of an entry does not carry its id.
    #[error("the JSON of event `{0}` does not hold that id")]
    WrongId(String),
    /// An event is larger than [`MAX_EVENT_BYTES`].
    #[error("event `{id}` has {bytes} bytes, more than {MAX_EVENT_BYTES}")]
    TooLarge {
        /// The event.
        id: String,
        /// Its size.
        bytes: usize,
    },
    /// A chunk went bad after the log was opened.
    #[error("`{segment}` is damaged at byte {offset}: {reason}")]
    Damaged {
        /// The file.
        segment: String,
        /// Of the chunk, in bytes.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
    /// `KEY` does not hold 32 bytes.
    #[error("the key file `{0}` is damaged; restore it from a backup")]
    Key(String),
    /// `ERASE` is damaged, so that it is not known what must not be shown.
    #[error(
        "the erase journal `{0}` is damaged, and what was being forgotten is not known; remove it, start, and forget it again"
    )]
    Journal(String),
    /// There is neither a segment nor a key in the folder.
    #[error("there is no log in `{0}`")]
    NoLog(String),
    /// The log was closed.
    #[error("the log is closed")]
    Closed,
}

impl LogError {
    pub(super) fn io(what: &'static str, file: impl Into<String>, source: io::Error) -> Self {
        let file = file.into();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { file },
            io::ErrorKind::FileTooLarge => Self::FileLimit { file },
            _ => Self::Io { what, file, source: Arc::new(source) },
        }
    }

    /// Whether room is all that is missing: everything is well again once there is some.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::DiskFull { .. } | Self::LowWater { .. } | Self::FileLimit { .. })
    }

    /// What a person can do so that the log writes again; it does so by itself then.
    #[must_use]
    pub fn mend(&self) -> &'static str {
        match self {
            Self::DiskFull { .. } => "free some space, remove many small files, or raise the quota",
            Self::LowWater { .. } => {
                "free some space, or lower `low_water_mb` under `[log]` in config.toml and restart"
            }
            Self::FileLimit { .. } => "raise the limit that the daemon runs under (`ulimit -f`)",
            Self::Io { source, .. } if source.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                "the file system is read-only: look for its errors in the kernel's messages, then remount it"
            }
            Self::Io { .. } => "look at the disk and the kernel's messages, and at the owner of the folder",
            _ => "restart the daemon",
        }
    }
}
