//! Packs sealed segments of many small chunks, or many small segments, into one of larger chunks; positions stay.
//!
//! The new file is written beside the old ones, read back and compared with them event by event, and made durable before
//! anything of them goes. It is then called `<first position>.<last first position>.merge`, which says which files it
//! stands for: from that moment on a start that finds it finishes what was begun.

use std::io;

use clone_schema::Position;
use clone_schema::segment::{self, Chunk, Encoded, Message, Tally};

use super::directory::{Care, Digest, Directory, Place};
use super::ids::{Contents, Row};
use super::recover::{Damage, Found, Recovery, ids, quarantine};
use super::storage::{Handle, Storage, append};
use super::writer::sealed_name;
use super::{LogError, Shared};

/// Bytes that are read at once when a file is read back.
const PIECE: usize = 4 << 20;

/// What is packed again, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packing {
    /// Unpacked bytes of a chunk.
    pub(super) chunk: u64,
    /// A segment below so many bytes is small.
    pub(super) small: u64,
    /// So many small segments in a row become one.
    pub(super) run: usize,
    /// Bytes of small segments that become one, at most.
    pub(super) most: u64,
    /// Below so many bytes a segment alone is left as it is.
    pub(super) least: u64,
}

impl Packing {
    /// Leaves everything as it is.
    pub(super) fn never() -> Self {
        Self { run: usize::MAX, least: u64::MAX, ..Self::default() }
    }
}

impl Default for Packing {
    fn default() -> Self {
        Self { chunk: 512 << 10, small: 8 << 20, run: 8, most: super::ROLL_BYTES, least: 256 << 10 }
    }
}

/// A sealed segment to be packed.
#[derive(Clone, Debug)]
struct Input {
    index: u32,
    name: String,
    base: Position,
    places: Vec<Place>,
}

/// The file that was made of some.
struct Packed {
    bytes: u64,
    rows: Vec<Row>,
    ids: Vec<(Digest, u32)>,
    tally: Tally,
}

/// An event that waits for its chunk to be full.
struct Waiting {
    sequence: u32,
    topic: usize,
    log_time: u64,
    publish_time: u64,
    data: Vec<u8>,
}

impl Waiting {
    fn new(sequence: u32, message: &Message<'_>) -> Self {
        let Message { topic, log_time, publish_time, data, .. } = *message;
        Self { sequence, topic, log_time, publish_time, data: data.to_vec() }
    }

    fn message(&self) -> Message<'_> {
        let Self { sequence, topic, log_time, publish_time, .. } = *self;
        Message { sequence, topic, log_time, publish_time, data: &self.data }
    }
}

/// Writes a packed file chunk by chunk.
struct Press<'a> {
    handle: Handle,
    base: Position,
    most: u64,
    at: u64,
    crc: crc32fast::Hasher,
    /// Over every byte that was written.
    written: blake3::Hasher,
    waiting: Vec<Waiting>,
    weight: u64,
    made: Packed,
    /// Over every event that went in.
    sum: &'a mut blake3::Hasher,
}

impl Shared {
    /// Packs once, where something is to be packed; says whether it did.
    pub(super) fn pack_once(&self) -> bool {
        let Some(inputs) = choose(&self.directory(), self.packing) else { return false };
        match self.pack(&inputs) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%error, file = inputs[0].name, "a segment cannot be packed again and stays as it is");
                let mut directory = self.directory_mut();
                inputs.iter().for_each(|input| directory.segments[input.index as usize].odd = true);
                false
            }
        }
    }

    fn pack(&self, inputs: &[Input]) -> Result<(), LogError> {
        let (base, last) = (inputs[0].base, inputs[inputs.len() - 1].base);
        let draft = format!("{:020}.packed", base.0);
        let failed = |error| LogError::io("pack", sealed_name(base), error);
        let made = press(&*self.disk, &draft, inputs, self.packing.chunk, &self.home_id).map_err(failed)?;
        let merge = merge_name(base, last);
        self.swap(inputs, &draft, &merge, made).map_err(failed)?;
        self.disk.sync_dir("").map_err(failed)?;
        for input in &inputs[1..] {
            self.disk.remove(&input.name).map_err(failed)?;
        }
        self.disk.sync_dir("").map_err(failed)?;
        let mut directory = self.directory_mut();
        let replaced = self.disk.replace(&merge, &sealed_name(base));
        // A call that failed may have had its effect.
        if replaced.is_ok() || self.disk.exists(&merge).is_ok_and(|there| !there) {
            directory.segments[inputs[0].index as usize].name = sealed_name(base);
        }
        drop(directory);
        replaced.and_then(|()| self.disk.sync_dir("")).map_err(failed)
    }

    /// Gives the file its name and lets readers read it.
    fn swap(&self, inputs: &[Input], draft: &str, merge: &str, made: Packed) -> io::Result<()> {
        let mut directory = self.directory_mut();
        let indices: Vec<u32> = inputs.iter().map(|input| input.index).collect();
        let stretch = directory.stretch(&indices).ok_or(io::ErrorKind::InvalidInput)?;
        // A reader found one of them damaged in the meantime.
        if indices.iter().any(|index| directory.segments[*index as usize].odd) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.disk.rename(draft, merge)?;
        let first = indices[0];
        for index in &indices[1..] {
            directory.segments[*index as usize].vanish();
        }
        let contents = Contents::of(inputs[0].base, made.rows);
        let places: Vec<Place> = contents.places(first, inputs[0].base).collect();
        directory.replace(stretch, places);
        directory.segments[first as usize].renew((merge.to_owned(), made.bytes), made.ids, contents);
        Ok(())
    }
}

/// The name of a packed file that stands for the segments from `base` to `last`.
fn merge_name(base: Position, last: Position) -> String {
    format!("{:020}.{:020}.merge", base.0, last.0)
}

/// The first positions of the first and the last segment that such a file stands for.
pub(super) fn merged(name: &str) -> Option<(Position, Position)> {
    let (base, last) = name.strip_suffix(".merge")?.split_once('.')?;
    (base.len() == 20 && last.len() == 20).then_some(())?;
    Some((Position(base.parse().ok()?), Position(last.parse().ok()?)))
}

/// What is worth packing: a run of small segments, or one of many small chunks.
fn choose(directory: &Directory, packing: Packing) -> Option<Vec<Input>> {
    let input = |index: usize| {
        let segment = &directory.segments[index];
        let index = u32::try_from(index).ok()?;
        let known = segment.care == Care::Done && !segment.odd && !segment.name.is_empty();
        let places: Vec<Place> = if known { directory.places_of(index).collect() } else { Vec::new() };
        let whole = !places.is_empty() && places.len() == segment.chunks.0;
        whole.then(|| Input { index, name: segment.name.clone(), base: segment.base, places })
    };
    let sealed = (0..directory.segments.len()).filter(|index| !directory.segments[*index].name.is_empty());
    let (mut run, mut bytes): (Vec<Input>, u64) = (Vec::new(), 0);
    for index in sealed {
        let segment = &directory.segments[index];
        let small = segment.bytes < packing.small && bytes + segment.bytes <= packing.most;
        match input(index).filter(|_| small) {
            Some(input) => {
                bytes += segment.bytes;
                run.push(input);
            }
            None if run.len() >= packing.run => return Some(run),
            None => (run, bytes) = (Vec::new(), 0),
        }
        let loose = segment.chunks.0 as u64 > 4 * (segment.chunks.1 / packing.chunk + 1);
        if loose
            && segment.bytes >= packing.least
            && let Some(alone) = input(index)
        {
            return Some(vec![alone]);
        }
    }
    (run.len() >= packing.run).then_some(run)
}

/// Writes the packed file durably and compares it with what it is made of.
fn press(disk: &dyn Storage, draft: &str, inputs: &[Input], chunk: u64, home_id: &str) -> io::Result<Packed> {
    if disk.exists(draft)? {
        disk.remove(draft)?;
    }
    let base = inputs[0].base;
    let mut sum = blake3::Hasher::new();
    let mut press = Press::begin(disk.create(draft)?, base, chunk, home_id, &mut sum)?;
    for input in inputs {
        for place in &input.places {
            let chunk = read(disk, &input.name, input.base, place.offset, place.length)?;
            if chunk.unknown > 0 || chunk.info.count != place.count {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a chunk is another one than before"));
            }
            press.take(&chunk, input.base)?;
        }
    }
    let (made, written) = press.end()?;
    let mut back = blake3::Hasher::new();
    for row in &made.rows {
        let chunk = read(disk, draft, base, row.offset, row.length)?;
        chunk.messages().for_each(|message| add(&mut back, base, &message));
    }
    if back.finalize() != sum.finalize() || whole(disk, draft, made.bytes)? != written {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the packed file is not the same"));
    }
    Ok(made)
}

/// The hash of a whole file, read piece by piece.
fn whole(disk: &dyn Storage, name: &str, length: u64) -> io::Result<blake3::Hash> {
    let mut sum = blake3::Hasher::new();
    for from in (0..length).step_by(PIECE) {
        sum.update(&disk.read_at(name, from, PIECE.min(usize::try_from(length - from).unwrap_or(PIECE)))?);
    }
    Ok(sum.finalize())
}

fn read(disk: &dyn Storage, name: &str, base: Position, offset: u64, length: u64) -> io::Result<Chunk> {
    let bytes = disk.read_at(name, offset, usize::try_from(length).unwrap_or(usize::MAX))?;
    segment::decode(&bytes, base.0).map_err(|reason| io::Error::new(io::ErrorKind::InvalidData, reason))
}

/// Adds all that an event is to a sum.
pub(super) fn add(sum: &mut blake3::Hasher, base: Position, message: &Message<'_>) {
    let numbers = [
        base.0 + u64::from(message.sequence),
        message.topic as u64,
        message.log_time,
        message.publish_time,
        message.data.len() as u64,
    ];
    for number in numbers {
        sum.update(&number.to_le_bytes());
    }
    sum.update(message.data);
}

impl<'a> Press<'a> {
    fn begin(
        handle: Handle,
        base: Position,
        most: u64,
        home_id: &str,
        sum: &'a mut blake3::Hasher,
    ) -> io::Result<Self> {
        let made = Packed { bytes: 0, rows: Vec::new(), ids: Vec::new(), tally: Tally::default() };
        let (crc, written) = (crc32fast::Hasher::new(), blake3::Hasher::new());
        let mut press = Self { handle, base, most, at: 0, crc, written, waiting: Vec::new(), weight: 0, made, sum };
        press.write(&segment::header(home_id))?;
        Ok(press)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        append(&*self.handle, bytes)?;
        self.crc.update(bytes);
        self.written.update(bytes);
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// Takes the events of a chunk of the file whose first position is `base`.
    fn take(&mut self, chunk: &Chunk, base: Position) -> io::Result<()> {
        let ahead = u32::try_from(base.0 - self.base.0).map_err(io::Error::other)?;
        self.made.ids.extend(ids(chunk).map(|(digest, sequence)| (digest, sequence + ahead)));
        for message in chunk.messages() {
            add(self.sum, base, &message);
            let sequence = message.sequence.checked_add(ahead).ok_or(io::ErrorKind::InvalidInput)?;
            if self.weight > 0 && self.weight + message.data.len() as u64 > self.most {
                self.flush()?;
            }
            self.weight += message.data.len() as u64;
            self.waiting.push(Waiting::new(sequence, &message));
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        self.weight = 0;
        if waiting.is_empty() {
            return Ok(());
        }
        let messages: Vec<Message<'_>> = waiting.iter().map(Waiting::message).collect();
        let Encoded { bytes, mut info } = segment::chunk_packed(self.base.0, &messages);
        info.offset = self.at;
        self.write(&bytes)?;
        self.made.rows.push(Row::from(&info));
        self.made.tally.add(info);
        Ok(())
    }

    /// Seals the file; gives what is in it, and the hash of it.
    fn end(mut self) -> io::Result<(Packed, blake3::Hash)> {
        self.flush()?;
        let tail = self.made.tally.tail(self.base.0, self.at, self.crc.clone().finalize());
        self.write(&tail)?;
        self.handle.sync()?;
        self.made.bytes = self.at;
        self.made.ids.sort_unstable();
        Ok((self.made, self.written.finalize()))
    }
}

/// Finishes what a run that died had begun to put in the place of the segments that it was made of.
pub(super) fn finish(disk: &dyn Storage, recovery: &mut Recovery) -> Result<(), LogError> {
    let names = disk.list("").map_err(|error| LogError::io("list", disk.path("").display().to_string(), error))?;
    for (name, (base, last)) in names.iter().filter_map(|name| Some((name, merged(name)?))) {
        let failed = |error| LogError::io("finish", name, error);
        let found = Found::read(disk.read(name).map_err(failed)?, base, name.clone());
        if !found.is_sealed() {
            // It was whole when it got its name. What it was made of may be there or not.
            recovery.damaged.push(set_aside(disk, name).map_err(failed)?);
            continue;
        }
        let stands_for = |other: &&String| {
            let stem = other.strip_suffix(".mcap").filter(|stem| stem.len() == 20);
            stem.and_then(|stem| stem.parse().ok()).is_some_and(|at: u64| base.0 < at && at <= last.0)
        };
        names.iter().filter(stands_for).try_for_each(|other| disk.remove(other)).map_err(failed)?;
        disk.sync_dir("").map_err(failed)?;
        disk.replace(name, &sealed_name(base)).map_err(failed)?;
        disk.sync_dir("").map_err(failed)?;
    }
    Ok(())
}

/// Moves a packed file that went bad into the quarantine.
fn set_aside(disk: &dyn Storage, name: &str) -> io::Result<Damage> {
    let bytes = disk.read(name)?;
    let moved = quarantine(disk, name, &bytes, 0)?;
    disk.remove(name)?;
    disk.sync_dir("")?;
    let reason = format!("a packed file went bad before it was in its place; it is in `{}`", moved.moved_to);
    Ok(Damage { segment: name.to_owned(), bytes: moved.bytes, reason, ..Damage::default() })
}
