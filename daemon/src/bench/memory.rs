//! How much memory a process with an open log takes, at rest and under load.
//!
//! A heap that other benches warmed says nothing, so a fresh process of this very binary opens the log, measures itself and
//! prints what it found. What would surprise: its figures are those of the kernel (`/proc`), so there are none elsewhere.

use std::path::Path;
use std::process::{Command, Stdio};

use clone_schema::Position;
use serde::{Deserialize, Serialize};

use super::events::Supply;
use super::{BATCH, BenchError, store};
use crate::dice::Dice;
use crate::log::Log;

/// The hidden verb under which a fresh process measures itself.
pub const VERB: &str = "bench-memory";
/// Commits of a thousand events under load, each with a page and some single reads.
const LOAD: usize = 30;
/// Single reads after each commit.
const READS: usize = 100;

/// Resident memory of a process, in bytes; nothing where the system does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// With the log open and nothing asked of it.
    pub rest: Option<u64>,
    /// The most while it appends, scans and reads, opening left aside.
    pub load: Option<u64>,
    /// The most of all, opening included.
    pub peak: Option<u64>,
}

/// Opens a log, or none, uses it, and says what this process took; appends to that log.
///
/// # Errors
///
/// The log cannot be opened, appended to or read.
pub fn of_this_process(log: Option<&Path>) -> Result<Memory, BenchError> {
    let log = log.map(store::open).transpose()?;
    let rest = resident("VmRSS");
    let load = log.as_ref().map(load).transpose()?.unwrap_or(rest);
    Ok(Memory { rest, load, peak: resident("VmHWM") })
}

/// The most resident memory while the log appends, scans and reads all over.
fn load(log: &Log) -> Result<Option<u64>, BenchError> {
    let (mut supply, mut dice, mut most) = (Supply::new(51), Dice::new(52), None);
    for _ in 0..LOAD {
        log.append(supply.entries(BATCH))?;
        let head = usize::try_from(log.head().0).unwrap_or(usize::MAX);
        let mut place = || Position(dice.below(head) as u64);
        std::hint::black_box(log.scan(place(), BATCH)?);
        for _ in 0..READS {
            std::hint::black_box(log.read(place())?);
        }
        most = most.max(resident("VmRSS"));
    }
    Ok(most)
}

/// What the kernel says of this process under that name.
fn resident(name: &str) -> Option<u64> {
    kibibytes(&std::fs::read_to_string("/proc/self/status").ok()?, name).map(|size| size << 10)
}

/// The resident bytes of another process.
pub(super) fn of_process(id: u32) -> Option<u64> {
    kibibytes(&std::fs::read_to_string(format!("/proc/{id}/status")).ok()?, "VmRSS").map(|size| size << 10)
}

fn kibibytes(status: &str, name: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    value.trim().strip_suffix(" kB")?.parse().ok()
}

/// Has a fresh process of this binary measure itself.
pub(super) fn in_a_child(log: Option<&Path>) -> Result<Memory, BenchError> {
    let binary = std::env::current_exe().map_err(BenchError::io("find our own binary"))?;
    let mut command = Command::new(binary);
    command.arg(VERB).args(log).stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = command.output().map_err(BenchError::io("start a process to measure"))?;
    let lost = |told: String| BenchError::Daemon(format!("the measured process said nothing: {told}"));
    if !output.status.success() {
        return Err(lost(output.status.to_string()));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| lost(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_read_by_name() {
        let status = "Name:\tclone\nVmHWM:\t   2048 kB\nVmRSS:\t    1024 kB\nVmRSSx:\t1 kB\n";
        for (name, expected) in [("VmRSS", Some(1024)), ("VmHWM", Some(2048)), ("VmR", None), ("Name", None)] {
            assert_eq!(kibibytes(status, name), expected, "{name}");
        }
    }

    #[test]
    fn load_uses_the_log() {
        let dir = tempfile::tempdir().unwrap();
        let store = store::Store::filled(dir.path(), 1_000, 7).unwrap();
        let memory = of_this_process(Some(store.folder())).unwrap();
        assert_eq!(store.open().unwrap().stats().events, 1_000 + (LOAD * BATCH) as u64);
        let told = [memory.rest, memory.load, memory.peak].map(|bytes| bytes.is_some());
        assert_eq!(told, [cfg!(target_os = "linux"); 3]);
    }
}
