//! The benches: each path of the daemon beside the limit that the machine sets it, measured in the same run.
//!
//! A bench starts the real daemon in a scratch home and talks HTTP over its socket, as any client does. What would
//! surprise:
//!
//! - Speed on a shared machine says little alone. Every row therefore measures its limit too, in turn with ours, and the
//!   ratio of the two medians is what counts.
//! - Before a limit is measured the daemon has derived everything that it was given, so that it takes no core from it.
//! - The scratch home lies on a real disk. On a tmpfs a sync costs nothing and the figures say nothing; the report names
//!   the file system.

mod concurrent;
mod events;
mod home;
mod ingest;
mod machine;
mod measure;
mod report;
mod wire;

use std::path::PathBuf;

use home::Home;
pub use report::{Report, Row, Target};

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
const BENCHES: &[(&str, Bench)] =
    &[("ingest-batch", ingest::batch), ("ingest-small", ingest::small), ("ingest-concurrent", concurrent::run)];

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
