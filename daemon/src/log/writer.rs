//! The one thread that writes: numbers, encodes, appends, syncs, and only then answers.
//!
//! A write error is undone by cutting the file back. A sync error is never retried on the same file, because the kernel
//! may have dropped the pages: the batch is written again, with the same positions, into a new one.
//!
//! Before each commit the disk is asked for its room. A log that fails looks every second whether it still does, by
//! writing to a file of its own ([`PROBE`]), so that it is well again before somebody appends.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread::JoinHandle;

use clone_schema::sabotage::{self, Bug};
use clone_schema::segment::{self, CHUNK_TARGET, Info, Message, Tally};
use clone_schema::time::to_nanos;
use clone_schema::{Position, Timestamp, topic};

use super::directory::{Broken, Care, Digest, Place, digest};
use super::ids::{Contents, Row};
use super::queue::Job;
use super::storage::{Handle, append, sync};
use super::{Appended, LogError, Options, Shared};

/// A file that is written and removed again to see whether the disk takes anything; no segment and never read.
const PROBE: &str = "probe";
/// The least bytes that the probe writes: a small commit and the first pages of a new file.
const PROBE_BYTES: usize = 64 << 10;
/// The most bytes that it writes, however large the commit was that failed.
const PROBE_BYTES_MAX: usize = 4 << 20;

/// The name of the file that is being written and whose first position is this.
pub(super) fn open_name(base: Position) -> String {
    format!("{:020}.open.mcap", base.0)
}

/// The name of that file once it is sealed.
pub(super) fn sealed_name(base: Position) -> String {
    format!("{:020}.mcap", base.0)
}

/// An entry that is not in the log yet, with its place to be.
struct Fresh<'a> {
    position: Position,
    digest: Digest,
    topic: usize,
    occurred: u64,
    json: &'a str,
}

/// The file that is being written.
struct Live {
    handle: Handle,
    base: Position,
    /// Its index in the directory, once it holds something durable.
    segment: Option<u32>,
    /// Up to here everything is durable.
    good: u64,
    tally: Tally,
    rows: Vec<Row>,
    crc: crc32fast::Hasher,
}

/// The answers to every job, and what must be written first.
type Numbered<'a> = (Vec<Vec<Appended>>, Vec<Fresh<'a>>);

struct Writer {
    shared: Arc<Shared>,
    options: Options,
    live: Option<Live>,
    next: Position,
    /// Whether bytes of an unanswered commit may still be on the disk.
    doubt: bool,
    /// How many bytes the last attempt of a commit had.
    tried: usize,
}

/// Closes the queue when the writer ends in any way, so that nobody waits for it for ever.
struct Last(Arc<Shared>);

impl Drop for Last {
    fn drop(&mut self) {
        self.0.queue.abandon();
    }
}

/// Starts the writer; `next` is the first position that it may give.
pub(super) fn start(
    shared: Arc<Shared>,
    options: Options,
    next: Position,
) -> Result<JoinHandle<Result<(), LogError>>, LogError> {
    let last = Last(shared.clone());
    let writer = Writer { shared, options, live: None, next, doubt: false, tried: 0 };
    let run = move || {
        let _last = last;
        writer.run()
    };
    let thread = std::thread::Builder::new().name("log-writer".to_owned()).spawn(run);
    thread.map_err(|error| LogError::io("start", "log-writer", error))
}

impl Writer {
    fn run(mut self) -> Result<(), LogError> {
        let mut outcome = Ok(());
        while let Some(jobs) = self.shared.queue.take() {
            if jobs.is_empty() {
                self.judge(self.probe());
            } else {
                outcome = self.serve(jobs);
            }
        }
        outcome.and(self.finish())
    }

    /// Commits jobs and answers those who wait.
    fn serve(&mut self, jobs: Vec<Job>) -> Result<(), LogError> {
        let outcome = self.number(&jobs).and_then(|(answers, fresh)| {
            let wrote = !fresh.is_empty();
            if sabotage::is(Bug::AckBeforeFsync) {
                jobs.iter().zip(&answers).for_each(|(job, answer)| job.answer(answer.clone()));
            }
            if wrote {
                self.commit(&fresh)?;
            }
            Ok((answers, wrote))
        });
        let (answers, wrote) = match outcome {
            Ok(done) => done,
            Err(error) => {
                self.refuse(jobs, &error);
                return Err(error);
            }
        };
        // Known ids are answered while the disk fails too, and say nothing about it.
        if wrote {
            self.judge(Ok(()));
        }
        let sealed = if jobs.iter().any(|job| job.seal) { self.finish() } else { Ok(()) };
        for (job, answer) in jobs.into_iter().zip(answers) {
            match (&sealed, job.seal, &job.reply) {
                (Err(error), true, Some(reply)) => drop(reply.send(Err(error.clone()))),
                _ => job.answer(answer),
            }
        }
        if wrote {
            self.wake();
        }
        Ok(())
    }

    /// Tells those who wait why nothing was written, and keeps what nobody waits for.
    fn refuse(&self, jobs: Vec<Job>, error: &LogError) {
        self.judge(Err(error.clone()));
        let (awaited, bulk): (Vec<Job>, Vec<Job>) = jobs.into_iter().partition(|job| job.reply.is_some());
        let lost: usize = bulk.iter().map(|job| job.entries.len()).sum();
        if !self.shared.queue.give_back(bulk) {
            tracing::error!(events = lost, "bulk events were lost because the log was closed while the disk fails");
        }
        for reply in awaited.into_iter().filter_map(|job| job.reply) {
            let _ = reply.send(Err(error.clone()));
        }
    }

    /// Says what has changed: that the log fails, or that it does not any more.
    fn judge(&self, outcome: Result<(), LogError>) {
        match outcome {
            Ok(()) => {
                if let Some(trouble) = self.shared.queue.recover() {
                    tracing::info!(since = %trouble.since, "the log writes again");
                }
            }
            Err(error) => {
                if self.shared.queue.fail(&error, (self.options.now)()) {
                    tracing::error!(%error, mend = error.mend(), "the log cannot write");
                }
            }
        }
    }

    /// Whether what made the last commit fail is over.
    fn probe(&self) -> Result<(), LogError> {
        self.shared.check_room()?;
        let disk = &self.shared.disk;
        // The last daemon may have died over it.
        let _ = disk.remove(PROBE);
        let written = disk.create(PROBE).and_then(|file| {
            append(&*file, &vec![0; self.tried.clamp(PROBE_BYTES, PROBE_BYTES_MAX)])?;
            file.sync()
        });
        let _ = disk.remove(PROBE);
        written.map_err(|error| LogError::io("write", PROBE, error))
    }

    fn wake(&self) {
        if let Some(wake) = &self.options.wake {
            let head = self.shared.directory().head;
            wake(head);
        }
    }

    /// Gives a position to every entry, the known one where its id is known; heals what it needs to know that.
    fn number<'a>(&self, jobs: &'a [Job]) -> Result<Numbered<'a>, LogError> {
        loop {
            match self.try_number(jobs) {
                Ok(numbered) => return Ok(numbered),
                Err(broken) => self.shared.heal(broken)?,
            }
        }
    }

    fn try_number<'a>(&self, jobs: &'a [Job]) -> Result<Numbered<'a>, Broken> {
        let (directory, disk) = (self.shared.directory(), &*self.shared.disk);
        let (mut fresh, mut numbered) = (Vec::new(), HashMap::new());
        let mut next = self.next;
        let mut answer = |entry: &'a super::Entry| {
            let digest = digest(&entry.id);
            let known = match numbered.get(&digest) {
                Some(position) => Some(*position),
                None => directory.position(disk, &digest)?,
            };
            if let Some(position) = known {
                return Ok(Appended { position, new: false });
            }
            let position = next;
            next = next.next();
            numbered.insert(digest, position);
            let topic = topic::find(entry.topic).map_or(0, |(index, _)| index);
            fresh.push(Fresh { position, digest, topic, occurred: to_nanos(entry.occurred_at), json: &entry.json });
            Ok(Appended { position, new: true })
        };
        let answers: Result<_, Broken> = jobs.iter().map(|job| job.entries.iter().map(&mut answer).collect()).collect();
        Ok((answers?, fresh))
    }

    /// Makes the batch durable, on a second try in another file.
    fn commit(&mut self, fresh: &[Fresh<'_>]) -> Result<(), LogError> {
        self.shared.check_room()?;
        let now = (self.options.now)();
        let outcome = match self.attempt(fresh, now) {
            Err(error @ LogError::DiskFull { .. }) => Err(error),
            Err(error) => {
                tracing::warn!(%error, "the log writes a batch again");
                self.attempt(fresh, now)
            }
            done => done,
        };
        let after = fresh.last().map_or(self.next, |last| last.position.next());
        // What may still be on the disk keeps its positions.
        if outcome.is_ok() || self.doubt {
            self.next = after;
        }
        self.doubt = false;
        outcome
    }

    fn attempt(&mut self, fresh: &[Fresh<'_>], now: Timestamp) -> Result<(), LogError> {
        let Some((first, last)) = fresh.first().zip(fresh.last()) else { return Ok(()) };
        self.roll(last.position);
        let live = match self.live.take() {
            Some(live) => live,
            None => self.left_behind().map_or_else(|| self.begin(first.position), Ok)?,
        };
        let (bytes, infos) = encode(fresh, &live, now);
        let name = open_name(live.base);
        self.tried = bytes.len();
        if let Err(error) = append(&*live.handle, &bytes) {
            let error = LogError::io("append to", name, error);
            match error {
                // Such a limit is on each file: another one may have room.
                LogError::FileLimit { .. } => self.abandon(live),
                _ => self.roll_back(live),
            }
            return Err(error);
        }
        if let Err(error) = sync(&*live.handle) {
            self.abandon(live);
            return Err(LogError::io("sync", name, error));
        }
        self.live = Some(self.publish(live, &bytes, infos, fresh));
        Ok(())
    }

    /// Cuts a file back to what is durable and goes on with it; leaves it where that fails.
    fn roll_back(&mut self, live: Live) {
        match live.handle.truncate(live.good).and_then(|()| live.handle.sync()) {
            Ok(()) => self.live = Some(live),
            Err(error) => {
                tracing::warn!(%error, file = open_name(live.base), "the log cannot cut a file back and leaves it");
                self.abandon(live);
            }
        }
    }

    /// Leaves a file for the next recovery. One that holds nothing durable is removed: its name will be needed again.
    fn abandon(&mut self, live: Live) {
        let name = open_name(live.base);
        let disk = &self.shared.disk;
        let outcome = match live.segment {
            None => disk.remove(&name),
            // Without a sync this proves nothing, but most often it holds.
            Some(_) => live.handle.truncate(live.good),
        };
        if let Err(error) = &outcome {
            tracing::warn!(%error, file = name, "the log leaves bytes of a failed commit");
        }
        self.doubt |= outcome.is_err() || live.segment.is_some();
    }

    /// Seals the file when it is full, or when `last` would be too far from its first position.
    fn roll(&mut self, last: Position) {
        let full = |live: &mut Live| {
            live.good >= self.options.roll_bytes || last.0.saturating_sub(live.base.0) > u64::from(u32::MAX)
        };
        if let Some(live) = self.live.take_if(full)
            && let Err(error) = self.seal(live)
        {
            tracing::warn!(%error, "the log leaves a full file to be sealed at the next start");
        }
    }

    /// Begins a file.
    fn begin(&self, base: Position) -> Result<Live, LogError> {
        let (disk, name) = (&self.shared.disk, open_name(base));
        let header = segment::header(&self.options.home_id);
        let handle = disk.create(&name).map_err(|error| LogError::io("create", &name, error))?;
        let write = || {
            append(&*handle, &header)?;
            handle.sync()?;
            if sabotage::is(Bug::SkipDirectoryFsync) { Ok(()) } else { disk.sync_dir("") }
        };
        if let Err(error) = write() {
            // The next try needs the name; where this fails too, recovery removes the file.
            let _ = disk.remove(&name);
            return Err(LogError::io("begin", &name, error));
        }
        let mut crc = crc32fast::Hasher::new();
        crc.update(&header);
        Ok(Live {
            handle,
            base,
            segment: None,
            good: header.len() as u64,
            tally: Tally::default(),
            rows: Vec::new(),
            crc,
        })
    }

    /// The open file that a crash left, where the planted bug goes on in it; else none.
    #[cfg(feature = "sabotage")]
    fn left_behind(&self) -> Option<Live> {
        let directory = self.shared.directory();
        let index = directory.segments.len().checked_sub(1)?;
        let name = directory.segments[index].name.clone();
        if !sabotage::is(Bug::AppendAfterTornTail) || directory.commits > 0 || !name.ends_with(".open.mcap") {
            return None;
        }
        let (bytes, base) = (self.shared.disk.read(&name).ok()?, directory.segments[index].base);
        let (mut tally, mut rows, mut crc) = (Tally::default(), Vec::new(), crc32fast::Hasher::new());
        segment::walk(&bytes, base.0, |chunk| {
            rows.push(Row::from(&chunk.info));
            tally.add(chunk.info);
        });
        crc.update(&bytes);
        let (handle, segment) = (self.shared.disk.reopen(&name).ok()?, u32::try_from(index).ok());
        Some(Live { handle, base, segment, good: bytes.len() as u64, tally, rows, crc })
    }
    #[cfg(not(feature = "sabotage"))]
    const fn left_behind(&self) -> Option<Live> {
        None
    }

    /// Shows what is durable now to the readers.
    fn publish(&self, mut live: Live, bytes: &[u8], infos: Vec<Info>, fresh: &[Fresh<'_>]) -> Live {
        live.crc.update(bytes);
        live.good += bytes.len() as u64;
        let mut directory = self.shared.directory_mut();
        let segment = *live.segment.get_or_insert_with(|| directory.add_segment(open_name(live.base), live.base, 0));
        directory.segments[segment as usize].bytes = live.good;
        for info in infos {
            let row = Row::from(&info);
            directory.add(Place::new(segment, live.base, &row));
            live.rows.push(row);
            live.tally.add(info);
        }
        directory.add_ids(fresh.iter().map(|one| (one.digest, sequence(live.base, one.position))));
        directory.commits += 1;
        drop(directory);
        live
    }

    /// Writes the tail and gives the file its last name.
    fn seal(&self, mut live: Live) -> Result<(), LogError> {
        let (disk, name) = (&self.shared.disk, open_name(live.base));
        let Some(segment) = live.segment else {
            return disk.remove(&name).map_err(|error| LogError::io("remove", name, error));
        };
        let tail = live.tally.tail(live.base.0, live.good, live.crc.finalize());
        let contents = Contents::of(live.base, std::mem::take(&mut live.rows));
        let write = || {
            append(&*live.handle, &tail)?;
            live.handle.sync()?;
            // Under the lock, so that no reader sees the old name after it is gone.
            let mut directory = self.shared.directory_mut();
            let sealed = sealed_name(live.base);
            disk.rename(&name, &sealed)?;
            directory.settle_ids();
            let segment = &mut directory.segments[segment as usize];
            (segment.name, segment.bytes) = (sealed, live.good + tail.len() as u64);
            segment.know(&contents);
            segment.care = Care::Due(contents);
            drop(directory);
            disk.sync_dir("")
        };
        write().map_err(|error| LogError::io("seal", &name, error))?;
        self.shared.keeper.wake();
        Ok(())
    }

    fn finish(&mut self) -> Result<(), LogError> {
        self.live.take().map_or(Ok(()), |live| self.seal(live))
    }
}

/// A position as its file counts it.
fn sequence(base: Position, position: Position) -> u32 {
    u32::try_from(position.0 - base.0).unwrap_or(u32::MAX)
}

/// The batch as chunks, one after the other, and what is in each.
fn encode(fresh: &[Fresh<'_>], live: &Live, now: Timestamp) -> (Vec<u8>, Vec<Info>) {
    let log_time = to_nanos(now);
    let (mut bytes, mut infos) = (Vec::new(), Vec::new());
    let (mut messages, mut size) = (Vec::new(), 0);
    let mut flush = |messages: &mut Vec<Message<'_>>| {
        let encoded = segment::chunk(live.base.0, messages);
        infos.push(Info { offset: live.good + bytes.len() as u64, ..encoded.info });
        bytes.extend_from_slice(&encoded.bytes);
        messages.clear();
    };
    for one in fresh {
        if size > 0 && size + one.json.len() > CHUNK_TARGET {
            flush(&mut messages);
            size = 0;
        }
        size += one.json.len();
        messages.push(Message {
            sequence: sequence(live.base, one.position),
            topic: one.topic,
            log_time,
            publish_time: one.occurred,
            data: one.json.as_bytes(),
        });
    }
    flush(&mut messages);
    (bytes, infos)
}
