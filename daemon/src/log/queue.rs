//! What waits for the writer: bounded, never dropping, blocking the appender when it is full.
//!
//! While the disk fails, nobody blocks: once the queue is full, one waiting append at a time is let through as a probe, and
//! all others get the last error at once. The writer is woken every second to look whether it still fails.

use std::collections::VecDeque;
use std::sync::mpsc::SyncSender;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use clone_schema::sabotage::{self, Bug};
use clone_schema::{Position, Timestamp};

use super::{Appended, Entry, LogError, Trouble, locked};

/// How long a bulk entry may wait for a commit that somebody waits for.
const BULK_DELAY: Duration = Duration::from_secs(1);
/// How often the writer looks whether the disk still fails.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// How long a commit waits for those whom the last one answered: less than a sync takes on most disks.
const COMPANY: Duration = Duration::from_micros(150);
/// How many bytes of JSON may wait.
const MAX_BYTES: usize = 64 << 20;
/// How many bytes of JSON go into one commit, unless one batch alone has more.
const COMMIT_BYTES: usize = 16 << 20;

/// Entries that are appended together.
pub(super) struct Job {
    pub(super) entries: Vec<Entry>,
    /// Nobody waits where it is `None`.
    pub(super) reply: Option<SyncSender<Result<Vec<Appended>, LogError>>>,
    /// Whether the open segment is sealed after them.
    pub(super) seal: bool,
}

impl Job {
    fn bytes(&self) -> usize {
        self.entries.iter().map(|entry| entry.json.len() + entry.id.len()).sum()
    }

    /// Tells who waits where the entries are; an appender that went away needs no answer.
    pub(super) fn answer(&self, appended: Vec<Appended>) {
        let _ = self.reply.as_ref().map(|reply| reply.send(Ok(appended)));
    }

    /// Drops the job and says that it is written: what a planted bug does.
    fn pretend(self) -> Result<(), LogError> {
        let nowhere = Appended { position: Position(0), new: true };
        self.answer(vec![nowhere; self.entries.len()]);
        Ok(())
    }
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    entries: usize,
    bytes: usize,
    /// Jobs that somebody waits for.
    awaited: usize,
    /// How many of them the last commit took.
    company: usize,
    /// Appenders that wait for room.
    blocked: usize,
    /// When the next job must be taken even if nobody waits for it.
    deadline: Option<Instant>,
    closed: bool,
    failing: Option<Trouble>,
    /// When the writer looks again, while the disk fails.
    probe: Option<Instant>,
}

impl State {
    fn due(&self, now: Instant) -> bool {
        let late = self.deadline.is_some_and(|deadline| deadline <= now);
        // Blocked appenders of a failing log are refused, not served.
        let wanted = self.awaited > 0 || (self.blocked > 0 && self.failing.is_none());
        !self.jobs.is_empty() && (wanted || self.closed || late)
    }
}

/// A bounded queue of jobs.
pub(super) struct Queue {
    state: Mutex<State>,
    room: Condvar,
    work: Condvar,
    limit: usize,
}

impl Queue {
    pub(super) fn new(limit: usize) -> Self {
        Self { state: Mutex::default(), room: Condvar::new(), work: Condvar::new(), limit }
    }

    /// Adds a job, waiting for room.
    pub(super) fn push(&self, job: Job) -> Result<(), LogError> {
        let (entries, bytes) = (job.entries.len(), job.bytes());
        let mut state = locked(&self.state);
        loop {
            if state.closed {
                return Err(LogError::Closed);
            }
            let fits = state.entries + entries <= self.limit && state.bytes + bytes <= MAX_BYTES;
            if fits || state.jobs.is_empty() {
                break;
            }
            if let Some(trouble) = &state.failing {
                if job.reply.is_some() && state.awaited == 0 {
                    break;
                }
                return Err(trouble.error.clone());
            }
            if sabotage::is(Bug::DropInsteadOfBackPressure) {
                return job.pretend();
            }
            state.blocked += 1;
            self.work.notify_one();
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.blocked -= 1;
        }
        state.deadline.get_or_insert_with(|| Instant::now() + BULK_DELAY);
        state.awaited += usize::from(job.reply.is_some());
        (state.entries, state.bytes) = (state.entries + entries, state.bytes + bytes);
        state.jobs.push_back(job);
        self.work.notify_one();
        Ok(())
    }

    /// All jobs for the next commit; none while the disk fails and it is time to look again; `None` when the queue is closed
    /// and empty.
    pub(super) fn take(&self) -> Option<Vec<Job>> {
        let mut state = locked(&self.state);
        loop {
            let now = Instant::now();
            // Before the jobs: known ids alone may keep the writer busy, and they say nothing about the disk.
            if !state.closed && state.probe.is_some_and(|probe| probe <= now) {
                return Some(Vec::new());
            }
            if state.due(now) {
                state = self.gather(state, now);
                return Some(self.drain(&mut state));
            }
            if state.closed {
                return None;
            }
            state = self.wait(state, now);
        }
    }

    /// Lets those come who were just answered and most often have more: they share the next sync then. Whoever appends
    /// alone never waits.
    fn gather<'a>(&'a self, mut state: MutexGuard<'a, State>, now: Instant) -> MutexGuard<'a, State> {
        while state.awaited > 0 && state.awaited < state.company && !state.closed && now.elapsed() < COMPANY {
            drop(state);
            std::thread::yield_now();
            state = locked(&self.state);
        }
        state.company = state.awaited;
        state
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, now: Instant) -> MutexGuard<'a, State> {
        match state.deadline.into_iter().chain(state.probe).min() {
            Some(deadline) => {
                let wait = self.work.wait_timeout(state, deadline.saturating_duration_since(now));
                wait.unwrap_or_else(PoisonError::into_inner).0
            }
            None => self.work.wait(state).unwrap_or_else(PoisonError::into_inner),
        }
    }

    fn drain(&self, state: &mut State) -> Vec<Job> {
        let (mut jobs, mut taken) = (Vec::new(), 0);
        while let Some(job) = state.jobs.pop_front() {
            let bytes = job.bytes();
            if taken > 0 && taken + bytes > COMMIT_BYTES {
                state.jobs.push_front(job);
                break;
            }
            taken += bytes;
            state.bytes = state.bytes.saturating_sub(bytes);
            state.entries = state.entries.saturating_sub(job.entries.len());
            state.awaited -= usize::from(job.reply.is_some());
            jobs.push(job);
        }
        if state.jobs.is_empty() {
            state.deadline = None;
        }
        self.room.notify_all();
        jobs
    }

    /// Puts jobs that nobody waits for back in front, to be tried again. False when the queue is closed.
    pub(super) fn give_back(&self, jobs: Vec<Job>) -> bool {
        let mut state = locked(&self.state);
        if state.closed {
            return jobs.is_empty();
        }
        for job in jobs.into_iter().rev() {
            (state.entries, state.bytes) = (state.entries + job.entries.len(), state.bytes + job.bytes());
            state.jobs.push_front(job);
        }
        state.deadline = (!state.jobs.is_empty()).then(|| Instant::now() + BULK_DELAY);
        true
    }

    /// Says that the last commit failed; blocked appenders learn of it. True where the one before did not.
    pub(super) fn fail(&self, error: &LogError, now: Timestamp) -> bool {
        let mut state = locked(&self.state);
        let since = state.failing.as_ref().map_or(now, |trouble| trouble.since);
        let before = state.failing.replace(Trouble { error: error.clone(), since });
        state.probe = Some(Instant::now() + PROBE_EVERY);
        self.room.notify_all();
        before.is_none()
    }

    /// Says that all is well; gives back what was not.
    pub(super) fn recover(&self) -> Option<Trouble> {
        let mut state = locked(&self.state);
        state.probe = None;
        let before = state.failing.take();
        if before.is_some() {
            self.room.notify_all();
        }
        before
    }

    /// Why the last commit failed.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        locked(&self.state).failing.clone()
    }

    /// How many appenders wait for room.
    #[cfg(test)]
    pub(super) fn blocked(&self) -> usize {
        locked(&self.state).blocked
    }

    /// Refuses further jobs and wakes everybody.
    pub(super) fn close(&self) {
        locked(&self.state).closed = true;
        self.room.notify_all();
        self.work.notify_all();
    }

    /// Drops what is queued, which tells those who wait that the log is closed.
    pub(super) fn abandon(&self) {
        self.close();
        locked(&self.state).jobs.clear();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::mpsc::{Receiver, sync_channel};

    use super::super::tests::{clock, entries};
    use super::*;

    type Answer = Receiver<Result<Vec<Appended>, LogError>>;

    fn bulk(count: u64, bytes: usize) -> Job {
        let mut entries = entries(0..count);
        entries[0].json = "x".repeat(bytes);
        Job { entries, reply: None, seal: false }
    }

    fn awaited() -> (Job, Answer) {
        let (reply, answer) = sync_channel(1);
        (Job { entries: entries(0..1), reply: Some(reply), seal: false }, answer)
    }

    #[test]
    fn a_commit_takes_so_many_bytes_and_no_more() {
        let queue = Queue::new(100);
        for _ in 0..3 {
            queue.push(bulk(1, COMMIT_BYTES / 2)).unwrap();
        }
        queue.push(bulk(1, COMMIT_BYTES * 2)).unwrap();
        queue.close();
        let taken: Vec<usize> = std::iter::from_fn(|| queue.take()).map(|jobs| jobs.len()).collect();
        assert_eq!(taken, [1, 1, 1, 1], "two halves and their ids are more than one commit");
    }

    #[test]
    fn so_many_bytes_wait_and_no_more() {
        let queue = Queue::new(100);
        queue.push(bulk(1, MAX_BYTES - 1_000)).unwrap();
        queue.fail(&LogError::DiskFull { file: "f".into() }, clock());
        assert!(matches!(queue.push(bulk(1, 2_000)), Err(LogError::DiskFull { .. })));
        queue.push(bulk(1, 500)).unwrap();
    }

    #[test]
    fn a_failing_log_refuses_at_once_and_lets_one_probe_through() {
        let queue = Queue::new(4);
        queue.push(bulk(4, 10)).unwrap();
        queue.fail(&LogError::DiskFull { file: "f".into() }, clock());
        assert!(matches!(queue.push(bulk(1, 10)), Err(LogError::DiskFull { .. })));
        let ((probe, _answer), (other, _)) = (awaited(), awaited());
        queue.push(probe).unwrap();
        assert!(matches!(queue.push(other), Err(LogError::DiskFull { .. })));
        let jobs = queue.take().unwrap();
        assert_eq!(jobs.len(), 2);
        assert!(queue.give_back(jobs.into_iter().filter(|job| job.reply.is_none()).collect()));
        queue.close();
        assert_eq!(queue.take().unwrap()[0].entries.len(), 4, "what was given back is there");
    }

    #[test]
    fn a_failing_log_looks_again_although_nobody_appends() {
        let queue = Queue::new(4);
        let full = LogError::DiskFull { file: "f".into() };
        assert!(queue.fail(&full, clock()) && !queue.fail(&full, clock()));
        assert!(queue.take().unwrap().is_empty(), "it is woken with nothing to write");
        assert!(queue.recover().is_some() && queue.recover().is_none() && queue.trouble().is_none());
        queue.fail(&full, clock());
        queue.close();
        assert!(queue.take().is_none(), "a closed one ends and does not look again");
    }

    #[test]
    fn a_commit_waits_a_moment_for_as_many_as_the_last_one_answered() {
        let queue = Queue::new(100);
        let push = || queue.push(awaited().0).unwrap();
        (0..3).for_each(|_| push());
        assert_eq!(queue.take().unwrap().len(), 3);
        std::thread::scope(|scope| {
            push();
            scope.spawn(|| (0..2).for_each(|_| push()));
            // They come in time, or the moment is over: nothing waits for ever, and nothing is lost.
            let taken = queue.take().unwrap().len();
            assert!((1..=3).contains(&taken), "{taken}");
        });
        push();
        assert!(!queue.take().unwrap().is_empty());
    }

    #[test]
    fn a_closed_queue_refuses_and_gives_what_it_has() {
        let queue = Queue::new(4);
        queue.push(bulk(1, 10)).unwrap();
        queue.close();
        assert!(matches!(queue.push(bulk(1, 10)), Err(LogError::Closed)));
        assert_eq!(queue.take().unwrap().len(), 1);
        assert!(queue.take().is_none());
        assert!(!queue.give_back(vec![bulk(1, 10)]) && queue.give_back(vec![]));
    }

    #[test]
    fn a_batch_larger_than_the_queue_goes_in_alone() {
        let queue = Queue::new(4);
        queue.push(bulk(9, 10)).unwrap();
        std::thread::scope(|scope| {
            let blocked = scope.spawn(|| queue.push(bulk(1, 10)));
            assert_eq!(queue.take().unwrap()[0].entries.len(), 9);
            blocked.join().unwrap().unwrap();
        });
    }

    #[test]
    fn those_who_wait_learn_that_the_writer_is_gone() {
        let queue = Queue::new(4);
        let (job, answer) = awaited();
        queue.push(job).unwrap();
        queue.abandon();
        assert!(answer.recv().is_err());
    }
}
