//! `curve`: the figures of the log over growing logs, one column each.
//!
//! Everything happens in this process on a log that it fills in commits of a thousand, but for the memory, which a fresh
//! process measures. What would surprise:
//!
//! - The bare writer beside the ingest takes one commit in so many where the log is long, so that it never writes more than
//!   about a million events. Both figures are per event.
//! - A log is filled, measured and removed before the next begins.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Value, json};

use super::events::Supply;
use super::measure::{Samples, number};
use super::report::figure;
use super::store::{self, Store};
use super::{BATCH, BenchError, Row, Target, bare, machine, memory, read, start};
use crate::dice::Dice;

/// Commits that the bare writer takes at most, about.
const BARE_COMMITS: usize = 1_000;
/// What an event may need on the disk, in bytes: the log, a copy of its last file, and the files beside.
const ROOM: u64 = 320;
/// What is needed in any case, in bytes.
const ROOM_LEAST: u64 = 256 << 20;

/// The same figures of several logs.
#[derive(Clone, Debug, Serialize)]
pub struct Curve {
    /// Where it ran.
    pub machine: Value,
    /// How long all of it took, in seconds.
    pub seconds: f64,
    /// What was found, in the order that was asked for.
    pub points: Vec<Point>,
}

/// The figures of one log.
#[derive(Clone, Debug, Serialize)]
pub struct Point {
    /// How many events it holds.
    pub events: usize,
    /// How long measuring it took, in seconds.
    pub seconds: f64,
    /// The load of the machine when it began.
    pub load: Value,
    /// Always the same rows, each beside its limit.
    pub rows: Vec<Row>,
}

/// Measures logs of so many events; `begun` hears of each before it is filled.
///
/// # Errors
///
/// [`BenchError::Room`] before anything is written where the largest log would not fit; else the log's and the disk's.
pub fn curve(events: &[usize], folder: &Path, begun: impl Fn(usize)) -> Result<Curve, BenchError> {
    std::fs::create_dir_all(folder).map_err(BenchError::io("make the scratch folder"))?;
    check_room(folder, events.iter().copied().max().unwrap_or(0))?;
    let (clock, machine) = (std::time::Instant::now(), machine::describe(folder));
    let mut points = Vec::new();
    for events in events {
        begun(*events);
        points.push(point(folder, *events)?);
    }
    Ok(Curve { machine, seconds: clock.elapsed().as_secs_f64(), points })
}

fn check_room(folder: &Path, events: usize) -> Result<(), BenchError> {
    let stat = rustix::fs::statvfs(folder).map_err(|error| BenchError::Io("ask for free space", error.into()))?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    let need = room(events);
    if need > free { Err(BenchError::Room { need, free }) } else { Ok(()) }
}

fn room(events: usize) -> u64 {
    (events as u64).saturating_mul(ROOM).saturating_add(ROOM_LEAST)
}

fn point(folder: &Path, events: usize) -> Result<Point, BenchError> {
    let (clock, load) = (std::time::Instant::now(), machine::load());
    let mut store = Store::new(folder)?;
    let mut rows = fill(&mut store, events)?;
    rows.extend(start::rows(&start::clean(&store)?, &start::killed(&store)?));
    rows.extend(memory_rows(&store)?);
    rows.extend(read::rows(&read::cold(&store)?, &read::warm(&store)?));
    Ok(Point { events, seconds: clock.elapsed().as_secs_f64(), load, rows })
}

/// Two bare files beside a log: one is timed, the other is what the crate makes of the events by itself.
struct Beside {
    paths: [PathBuf; 2],
    timed: bare::Writer,
    small: bare::Writer,
    events: usize,
}

impl Beside {
    fn new(store: &Store) -> Result<Self, BenchError> {
        let paths = ["timed.mcap", "small.mcap"].map(|name| store.scratch(name));
        let timed = bare::Writer::create(&paths[0], bare::like_ours())?;
        let small = bare::Writer::create(&paths[1], bare::defaults())?;
        Ok(Self { paths, timed, small, events: 0 })
    }

    /// Writes a commit to both; the first counts.
    fn write(&mut self, events: &[String], times: &mut Samples) -> Result<(), BenchError> {
        let texts = || events.iter().map(String::as_str);
        times.time(|| self.timed.write(texts()).and_then(|()| self.timed.sync()))?;
        self.events += events.len();
        self.small.write(texts())
    }

    /// Ends and removes both; says how many bytes an event takes by itself.
    fn finish(self) -> Result<f64, BenchError> {
        self.timed.finish()?;
        let bytes = self.small.finish()?;
        for path in &self.paths {
            std::fs::remove_file(path).map_err(BenchError::io("remove a bare file"))?;
        }
        Ok(number(bytes) / number(self.events as u64))
    }
}

/// Fills the log beside the bare writers; what that took, and what is on the disk afterwards.
fn fill(store: &mut Store, events: usize) -> Result<Vec<Row>, BenchError> {
    let one_in = (events / BATCH / BARE_COMMITS).max(1);
    let (log, mut beside) = (store.open()?, Beside::new(store)?);
    let (mut supply, mut dice) = (Supply::new(61), Dice::new(62));
    let [mut ours, mut bare]: [Samples; 2] = Default::default();
    for (number, count) in store::batches(events).enumerate() {
        let entries = supply.entries(count);
        store.remember(&entries, events, &mut dice);
        let texts: Vec<String> = match number % one_in {
            0 => entries.iter().map(|entry| entry.json.clone()).collect(),
            _ => Vec::new(),
        };
        ours.time(|| log.append(entries))?;
        if !texts.is_empty() {
            beside.write(&texts, &mut bare)?;
        }
    }
    ours.time(|| log.close())?;
    let written = beside.events;
    let (bytes, limit) = (store::bytes(&store.segments()?.sealed)?, beside.finish()?);
    let folder = store::bytes(&store::files(store.folder())?)?;
    let per_second = |events: usize, times: &Samples| number(events as u64) / times.total();
    let rates = (per_second(events, &ours), per_second(written, &bare));
    let sizes = (number(bytes) / number(events as u64), limit);
    Ok(vec![
        Row::compare("ingest", "events/s", rates)
            .beside("the mcap crate's writer, zstd, fdatasync per 1,000")
            .target(Target::AtLeast(0.5))
            .raw(json!({"commit_seconds": {"ours": ours.raw(), "limit": bare.raw()}, "events_beside": written})),
        Row::compare("size sealed", "B/event", sizes)
            .beside("the mcap crate's writer, its defaults, no index")
            .target(Target::AtMost(1.1))
            .raw(json!({"sealed": bytes, "folder": folder})),
    ])
}

/// What a fresh process takes with a copy of the log, beside one that opens none.
fn memory_rows(store: &Store) -> Result<[Row; 2], BenchError> {
    let bare = memory::in_a_child(None)?;
    let copy = store.scratch("measured");
    store::copy(store.folder(), &copy)?;
    let ours = memory::in_a_child(Some(&copy))?;
    store::remove(&copy)?;
    let mib = |bytes: Option<u64>| bytes.map_or(f64::NAN, |bytes| number(bytes) / f64::from(1 << 20));
    let row = |name: &str, ours: Option<u64>| {
        Row::compare(name, "MiB RSS", (mib(ours), mib(bare.rest))).beside("a process that opens no log")
    };
    let raw = json!({"bytes": {"ours": ours, "limit": bare}});
    Ok([row("memory at rest", ours.rest).raw(raw), row("memory under load", ours.load)])
}

impl Curve {
    /// One line for each figure, one column for each log, the ratio to the limit behind each number, under a head.
    #[must_use]
    pub fn table(&self) -> Vec<String> {
        let line = |name: &str, unit: &str, cells: &mut dyn Iterator<Item = String>, beside: &str| {
            let cells: String = cells.map(|cell| format!(" {cell:>18}")).collect();
            format!("{name:<24} {unit:<9}{cells}  {beside}").trim_end().to_owned()
        };
        let mut heads = self.points.iter().map(|point| point.events.to_string());
        let mut out = vec![line("log", "unit", &mut heads, "(ratio to) the limit")];
        let first = self.points.first().map(|point| point.rows.as_slice()).unwrap_or_default();
        for (index, row) in first.iter().enumerate() {
            let mut cells = self.points.iter().filter_map(|point| point.rows.get(index)).map(cell);
            out.push(line(&row.name, row.unit, &mut cells, row.beside));
        }
        out
    }
}

fn cell(row: &Row) -> String {
    let mark = if row.met() == Some(false) { "!" } else { "" };
    format!("{} ({mark}{:.2})", figure(row.ours), row.ratio)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_would_not_fit_is_refused_before_anything_is_written() {
        assert_eq!(room(0), 256 << 20);
        assert_eq!(room(1_000_000), 320_000_000 + (256 << 20));
        let dir = tempfile::tempdir().unwrap();
        let refused = curve(&[1000, usize::MAX], dir.path(), |_| panic!("it began"));
        assert!(matches!(refused, Err(BenchError::Room { need: u64::MAX, .. })));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn filling_writes_every_event_and_removes_the_files_beside() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::new(dir.path()).unwrap();
        let rows = fill(&mut store, 2_500).unwrap();
        let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!((names, store.events), (vec!["ingest", "size sealed"], 2_500));
        assert_eq!(rows[0].raw["events_beside"], 2_500);
        assert_eq!(store.open().unwrap().stats().events, 2_500);
        assert!(!store.scratch("timed.mcap").exists() && !store.scratch("small.mcap").exists());
    }

    #[test]
    fn the_table_has_a_line_a_figure_and_a_column_a_log() {
        let row = |ours: f64| Row::compare("size", "B/event", (ours, 100.0)).target(Target::AtMost(1.1));
        let point = |events, ours| Point { events, seconds: 1.0, load: Value::Null, rows: vec![row(ours)] };
        let curve = Curve { machine: Value::Null, seconds: 2.0, points: vec![point(10, 105.0), point(20, 150.0)] };
        let cells: Vec<Vec<String>> =
            curve.table().iter().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect();
        assert_eq!(cells[0][..4], ["log", "unit", "10", "20"]);
        assert_eq!(cells[1], ["size", "B/event", "105", "(1.05)", "150", "(!1.50)"]);
    }
}
