//! The benches: each path of the daemon beside the limit that the machine sets it, measured in the same run.
//!
//! | bench | what | beside |
//! | --- | --- | --- |
//! | `ingest-batch`, `ingest-small`, `ingest-concurrent` | acked events of one client, and of 64 | each says |
//! | `read-by-id` | one event by its id: not in the cache, in it, over the socket | read and unpack its chunk; a hash map; `health` |
//! | `scan` | every event in order | the `mcap` crate's reader over the same files |
//! | `start` | open the log; spawn the daemon until it answers; each after a clean stop and after kill -9 | the files' summaries; the index |
//! | `verify` | read and check every byte of the log | unpack and take the checksum of every chunk |
//! | `size` | bytes an event, in commits of 1 to 1,000; open, sealed, packed | the `mcap` crate's writer with its defaults |
//! | `latency` | a prediction over the socket, and the memory it needs | a bare query of the same terms, and `health` |
//! | `calib-sim` | simulated people: what a curve costs after 5 to 100 labels | the documented recipe; the raw number |
//! | `gate-sim` | simulated people: who gets less precision than promised, before and after they change | an oracle; the documented recipe |
//! | `routine-sim` | simulated people with routines: how much is automatic, and how much of it right | an oracle; the documented recipe |
//! | `search` | a search over the socket | a bare tantivy query of the same words, and `health` |
//! | [`recall()`] | how much evidence of real questions a search finds | nothing; it is scored elsewhere |
//! | [`hygiene()`] | transcripts as the importers read them: what is left out, and that no artefact is left in | none |
//! | [`stance()`] | how well standing wishes are told from other sentences | sentences that the weights were not made of |
//! | [`curve()`] | the log's figures over growing logs | each of the above |
//!
//! The benches of the daemon start the real one in a scratch home and talk HTTP over its socket, as any client does; those
//! of the log alone open it in this process. What would surprise:
//!
//! - Speed on a shared machine says little alone. Every row therefore measures its limit too, in turn with ours, and the
//!   ratio of the two medians is what counts.
//! - Before a limit is measured the daemon has derived everything that it was given, so that it takes no core from it.
//! - The scratch home lies on a real disk. On a tmpfs a sync costs nothing and the figures say nothing; the report names
//!   the file system.
//! - Nothing drops the page cache: what is not cached by us is read from memory, by ours and by the limit alike. The limits
//!   are those of a processor and of syncs, not of a cold disk.
//! - Where a round may take minutes (starting a daemon on a long history), there are as many rounds as fit in one, and at
//!   least one; the raw numbers say how many.

mod bare;
mod bare_query;
mod calib_sim;
mod concurrent;
mod curve;
mod events;
mod gate_sim;
mod home;
mod hygiene;
mod ingest;
mod latency;
mod life;
mod machine;
mod measure;
mod memory;
mod read;
mod recall;
mod recipe;
mod report;
mod routine_sim;
mod scan;
mod search;
mod simulated;
mod size;
mod stance;
mod start;
mod store;
mod tally;
mod wire;

use std::path::PathBuf;

use crate::log::LogError;

pub use curve::{Curve, Point, curve};
use home::Home;
pub use hygiene::{Source, hygiene};
pub use memory::{Memory, VERB as MEMORY_VERB, of_this_process};
pub use recall::{Recall, recall};
pub use report::{Report, Row, Target};
pub use stance::{Stance, stance};

/// How often ours and the limit are measured in turn.
const ROUNDS: usize = 5;
/// Events in one batch, which is the most that the daemon takes.
const BATCH: usize = 1000;

/// How a bench is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many events it is given.
    pub events: usize,
    /// Where the scratch homes go.
    pub folder: PathBuf,
}

/// Why a bench could not be run.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The file system failed.
    #[error("cannot {0}: {1}")]
    Io(&'static str, std::io::Error),
    /// The daemon did not start, ended, or answered what nobody expects.
    #[error("{0}")]
    Daemon(String),
    /// The log refused.
    #[error("{0}")]
    Log(#[from] LogError),
    /// The log does not hold what the bench wrote.
    #[error("the log lost what was written: {0}")]
    Lost(String),
    /// The disk has not enough room, by a careful estimate.
    #[error("about {} MiB are needed and {} MiB are free", need >> 20, free >> 20)]
    Room {
        /// Bytes that are needed.
        need: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// The bare limit could not be measured.
    #[error("the limit could not be measured: {0}")]
    Limit(String),
}

impl BenchError {
    fn io(what: &'static str) -> impl Fn(std::io::Error) -> Self {
        move |error| Self::Io(what, error)
    }

    fn limit(error: impl std::fmt::Display) -> Self {
        Self::Limit(error.to_string())
    }
}

type Bench = fn(&Options) -> Result<Vec<Row>, BenchError>;

/// Every bench by its name.
const BENCHES: &[(&str, Bench)] = &[
    ("ingest-batch", ingest::batch),
    ("ingest-small", ingest::small),
    ("ingest-concurrent", concurrent::run),
    ("read-by-id", read::run),
    ("scan", scan::run),
    ("verify", scan::verify),
    ("size", size::run),
    ("start", start::run),
    ("search", search::run),
    ("latency", latency::run),
    ("calib-sim", calib_sim::run),
    ("gate-sim", gate_sim::run),
    ("routine-sim", routine_sim::run),
];

/// The names of the benches, in the order in which `all` runs them.
#[must_use]
pub fn names() -> Vec<&'static str> {
    BENCHES.iter().map(|(name, _)| *name).collect()
}

/// Runs one bench, or all of them where no name is given; `begun` hears of each before it runs.
///
/// # Errors
///
/// The daemon does not start or answers wrong, or the disk fails.
pub fn run(name: Option<&str>, options: &Options, begun: impl Fn(&str)) -> Result<Report, BenchError> {
    std::fs::create_dir_all(&options.folder).map_err(BenchError::io("make the scratch folder"))?;
    let start = std::time::Instant::now();
    let machine = machine::describe(&options.folder);
    let mut rows = Vec::new();
    for (_, bench) in
        BENCHES.iter().filter(|(known, _)| name.is_none_or(|name| name == *known)).inspect(|(known, _)| begun(known))
    {
        rows.extend(bench(options)?);
    }
    Ok(Report { machine, events: options.events, seconds: start.elapsed().as_secs_f64(), rows })
}
