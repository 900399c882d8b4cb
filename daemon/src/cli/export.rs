//! Writes events into one new file; it appears under its name once it is whole.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clone_schema::api::LoggedEvent;
use clone_schema::segment::{self, CHUNK_TARGET, Info, Message, Tally};
use clone_schema::time::to_nanos;
use clone_schema::{Position, topic};

use super::events::{Door, Format};
use crate::failure::Failure;
use crate::log::Filter;

/// What an MCAP file names as its home: it is a copy, and nobody's log.
const HOME: &str = "export";

/// What was written.
pub struct Done {
    /// Events.
    pub events: u64,
    /// Bytes of the file.
    pub bytes: u64,
}

/// Writes every wanted event into the new file `out`, readable by its owner only.
///
/// # Errors
///
/// `out` exists or cannot be written, or the events cannot be read; nothing stays behind then.
pub fn write(door: &Door, from: Position, filter: &Filter, format: Format, out: &Path) -> Result<Done, Failure> {
    let failed = |error: io::Error| Failure::new(format!("cannot write `{}`: {error}", out.display()));
    if out.symlink_metadata().is_ok() {
        return Err(failed(io::ErrorKind::AlreadyExists.into()).hint("name a file that is not there yet"));
    }
    let part = Part::begin(out).map_err(failed)?;
    let mut file = Counted { file: BufWriter::new(&part.file), crc: crc32fast::Hasher::new(), bytes: 0 };
    let events = match format {
        Format::Jsonl => lines(door, from, filter, &mut file, &failed)?,
        Format::Mcap => one_segment(door, from, filter, &mut file, &failed)?,
    };
    file.flush().map_err(failed)?;
    let bytes = file.bytes;
    drop(file);
    part.finish(out).map_err(failed)?;
    Ok(Done { events, bytes })
}

/// A file that is removed again unless it is finished.
struct Part {
    file: File,
    path: PathBuf,
}

impl Part {
    fn begin(out: &Path) -> io::Result<Self> {
        let mut name = out.file_name().ok_or(io::ErrorKind::InvalidFilename)?.to_owned();
        name.push(format!(".{}.part", std::process::id()));
        let path = out.with_file_name(name);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Self { file, path })
    }

    fn finish(self, out: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        // A link never replaces a file that came in between.
        std::fs::hard_link(&self.path, out)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _gone = std::fs::remove_file(&self.path);
    }
}

/// A file that knows how much was written and its checksum.
struct Counted<W: Write> {
    file: W,
    crc: crc32fast::Hasher,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.crc.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn lines(
    door: &Door,
    from: Position,
    filter: &Filter,
    file: &mut impl Write,
    failed: &dyn Fn(io::Error) -> Failure,
) -> Result<u64, Failure> {
    let mut events = 0;
    door.each(from, filter, |event| {
        let line = serde_json::to_string(&event).map_err(Failure::new)?;
        // Between the parts of JSON a line break is white space; inside a string it is always escaped.
        writeln!(file, "{}", line.replace(['\n', '\r'], " ")).map_err(failed)?;
        events += 1;
        Ok(true)
    })?;
    Ok(events)
}

/// One sealed segment whose first position is that of the first event.
fn one_segment<W: Write>(
    door: &Door,
    from: Position,
    filter: &Filter,
    file: &mut Counted<W>,
    failed: &dyn Fn(io::Error) -> Failure,
) -> Result<u64, Failure> {
    file.write_all(&segment::header(HOME)).map_err(failed)?;
    let mut segment = Segment { file, base: None, waiting: Vec::new(), size: 0, tally: Tally::default(), events: 0 };
    door.each(from, filter, |event| segment.add(event, failed).map(|()| true))?;
    segment.flush().map_err(failed)?;
    let Segment { tally, base, events, .. } = segment;
    let tail = tally.tail(base.unwrap_or_default().0, file.bytes, file.crc.clone().finalize());
    file.write_all(&tail).map_err(failed)?;
    Ok(events)
}

struct Segment<'a, W: Write> {
    file: &'a mut Counted<W>,
    base: Option<Position>,
    waiting: Vec<LoggedEvent>,
    /// Bytes of the events that wait.
    size: usize,
    tally: Tally,
    events: u64,
}

impl<W: Write> Segment<'_, W> {
    fn add(&mut self, event: LoggedEvent, failed: &dyn Fn(io::Error) -> Failure) -> Result<(), Failure> {
        let base = *self.base.get_or_insert(event.position);
        if u32::try_from(event.position.0 - base.0).is_err() {
            let failure = Failure::new("these events are too many positions apart for one MCAP file");
            return Err(failure.hint("export them in parts, with `--from`"));
        }
        self.size += event.event.get().len();
        self.events += 1;
        self.waiting.push(event);
        if self.size >= CHUNK_TARGET { self.flush().map_err(failed) } else { Ok(()) }
    }

    /// Writes what waits as one chunk.
    fn flush(&mut self) -> io::Result<()> {
        let base = self.base.unwrap_or_default();
        let messages: Vec<Message<'_>> = self.waiting.iter().filter_map(|event| message(event, base)).collect();
        if !messages.is_empty() {
            let encoded = segment::chunk(base.0, &messages);
            self.tally.add(Info { offset: self.file.bytes, ..encoded.info });
            self.file.write_all(&encoded.bytes)?;
        }
        self.waiting.clear();
        self.size = 0;
        Ok(())
    }
}

/// The event as a segment holds it; the daemon sends no topic that it does not know.
fn message(event: &LoggedEvent, base: Position) -> Option<Message<'_>> {
    Some(Message {
        sequence: u32::try_from(event.position.0 - base.0).ok()?,
        topic: topic::find(&event.topic)?.0,
        log_time: to_nanos(event.recorded_at),
        publish_time: to_nanos(event.occurred_at),
        data: event.event.get().as_bytes(),
    })
}
