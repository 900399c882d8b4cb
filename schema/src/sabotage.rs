//! Bugs to plant, so that the tests of the log are tested: each has a suite that must go red.
//!
//! With the feature `sabotage`, `SABOTAGE=<name>` plants one bug when the process starts; a name that is not in the list
//! ends it with a panic. Without the feature [`is`] is a constant `false` and every hook compiles away; a build without
//! debug assertions refuses the feature. `make sabotage` reads the table below and runs every suite, without a bug and with
//! it. The list is here, and not in the daemon, because one bug sits in [`segment`](crate::segment).
//!
//! | name | what it plants | suite that must go red | why that suite |
//! | --- | --- | --- | --- |
//! | `skip-fdatasync` | a commit is answered and never synced | `--lib log::crash_states` | kill -9 keeps the page cache: only a disk that loses power sees it |
//! | `ack-before-fsync` | a commit is answered before it is written | `--lib log::slow` | the time between is microseconds, so a disk is made to wait in it |
//! | `skip-directory-fsync` | the name of a new segment is never synced | `--lib log::crash_states` | the bytes are durable and no name leads to them: only a simulated folder forgets names |
//! | `retry-failed-fsync` | a failed sync is called again and believed | `--lib log::failing` | every Nth sync fails once there, and the disk notes a file that is synced again |
//! | `append-after-torn-tail` | the first commit goes on in the file that a crash left | `--lib log::failing` | what a failed sync left in that file is shown, and no later sync writes it |
//! | `trust-chunk-length` | the length of a chunk is believed before it is compared | `--lib log::corruption` | one flipped bit of a length may cost its chunk, not those behind it, and never leads past the end |
//! | `no-lock` | nobody is asked whether the log is held | `--test tests lock` | two daemons over one log exist only as processes |
//! | `drop-instead-of-back-pressure` | a full queue drops and answers Ok | `--lib log::slow` | a queue is full only while the disk is slower than those who append |

#[cfg(all(feature = "sabotage", not(debug_assertions)))]
compile_error!("the feature `sabotage` plants bugs: it is for tests and never for a release");

/// One bug that can be planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// A commit is answered and never synced.
    SkipFdatasync,
    /// A commit is answered before it is written.
    AckBeforeFsync,
    /// The name of a new segment is never synced.
    SkipDirectoryFsync,
    /// A failed sync is called again and believed.
    RetryFailedFsync,
    /// The first commit goes on in the file that a crash left.
    AppendAfterTornTail,
    /// The length of a chunk is believed before it is compared.
    TrustChunkLength,
    /// Nobody is asked whether the log is held.
    NoLock,
    /// A full queue drops and answers Ok.
    DropInsteadOfBackPressure,
}

/// Whether this bug is planted: never, without the feature.
#[cfg(not(feature = "sabotage"))]
#[must_use]
#[inline(always)]
pub const fn is(_bug: Bug) -> bool {
    false
}

#[cfg(feature = "sabotage")]
pub use planted::is;

#[cfg(feature = "sabotage")]
mod planted {
    use std::sync::LazyLock;

    use super::Bug;

    const NAMES: [(&str, Bug); 8] = [
        ("skip-fdatasync", Bug::SkipFdatasync),
        ("ack-before-fsync", Bug::AckBeforeFsync),
        ("skip-directory-fsync", Bug::SkipDirectoryFsync),
        ("retry-failed-fsync", Bug::RetryFailedFsync),
        ("append-after-torn-tail", Bug::AppendAfterTornTail),
        ("trust-chunk-length", Bug::TrustChunkLength),
        ("no-lock", Bug::NoLock),
        ("drop-instead-of-back-pressure", Bug::DropInsteadOfBackPressure),
    ];

    static PLANTED: LazyLock<Option<Bug>> =
        LazyLock::new(|| std::env::var_os("SABOTAGE").map(|name| named(&name.to_string_lossy())));

    /// Whether this bug is planted.
    ///
    /// # Panics
    /// When `SABOTAGE` names none that there is.
    #[must_use]
    pub fn is(bug: Bug) -> bool {
        *PLANTED == Some(bug)
    }

    fn named(name: &str) -> Bug {
        let known = NAMES.iter().find(|(known, _)| *known == name);
        let list = || NAMES.map(|(known, _)| known).join(" ");
        known.unwrap_or_else(|| panic!("SABOTAGE=`{name}` is no bug of ours; there are: {}", list())).1
    }
}
