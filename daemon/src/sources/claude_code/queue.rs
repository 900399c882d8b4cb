//! Prompts typed while the agent works, of which the tool keeps up to three traces.
//!
//! The queue line comes first and has no id of its own; an attachment or a user record may follow with the same text and
//! an id that resumed copies keep. So a queued prompt waits: its record wins when it comes, and only one that went to
//! the agent without a record is handed out by itself.

use std::collections::VecDeque;

use clone_schema::text::head;
use clone_schema::{Timestamp, time};

use crate::sources::MAX_TEXT_BYTES;

/// How many prompts wait at once; the oldest gives way.
pub(super) const MAX_QUEUED: usize = 64;
/// How many prompts that were handed out are remembered, so that a repetition is known.
pub(super) const MAX_SENT: usize = 64;
/// How far apart two traces of one prompt may be, in seconds.
pub(super) const SAME_SECONDS: i64 = 300;

/// A queue line.
pub(super) struct Queued {
    pub(super) session: String,
    pub(super) at: Timestamp,
    /// The directory in which it was typed.
    pub(super) cwd: Option<String>,
    /// The words, where a person typed them.
    pub(super) text: Option<String>,
    /// What the words are known by: those that nobody typed are not kept, and can be long.
    hash: [u8; 32],
    /// It went to the agent.
    ready: bool,
}

impl Queued {
    pub(super) fn new(session: String, at: Timestamp, cwd: Option<String>, words: &str, typed: bool) -> Self {
        let kept = head(words, MAX_TEXT_BYTES);
        Self { session, at, cwd, text: typed.then(|| kept.to_owned()), hash: hash(words), ready: false }
    }
}

/// What waits, and what was handed out.
#[derive(Default)]
pub(super) struct Queue {
    waiting: VecDeque<Queued>,
    /// Session, hash of the text, time.
    sent: VecDeque<(String, [u8; 32], Timestamp)>,
}

impl Queue {
    /// Lets a prompt wait; whether another was dropped for it.
    pub(super) fn enqueue(&mut self, queued: Queued) -> bool {
        let full = self.waiting.len() >= MAX_QUEUED;
        if full {
            self.waiting.pop_front();
        }
        self.waiting.push_back(queued);
        full
    }

    /// The oldest that waits went to the agent; the line that says so does not say which.
    pub(super) fn ready(&mut self) {
        if let Some(queued) = self.waiting.iter_mut().find(|queued| !queued.ready) {
            queued.ready = true;
        }
    }

    /// The next that went to the agent.
    pub(super) fn next_ready(&mut self) -> Option<Queued> {
        let at = self.waiting.iter().position(|queued| queued.ready)?;
        self.waiting.remove(at)
    }

    /// Takes out a waiting prompt whose record has come; whether there was one.
    pub(super) fn take(&mut self, session: &str, text: &str) -> bool {
        // Most files never queue anything, and hashing every text for them would be waste.
        if self.waiting.is_empty() {
            return false;
        }
        let hash = hash(text);
        let same = |queued: &Queued| queued.session == session && queued.hash == hash;
        let at = self.waiting.iter().position(same);
        at.and_then(|at| self.waiting.remove(at)).is_some()
    }

    /// Gives back and forgets what waits.
    pub(super) fn clear(&mut self) -> Vec<Queued> {
        self.waiting.drain(..).collect()
    }

    /// Remembers a prompt that was handed out without a user record.
    pub(super) fn sent(&mut self, session: &str, text: &str, at: Timestamp) {
        if self.sent.len() >= MAX_SENT {
            self.sent.pop_front();
        }
        self.sent.push_back((session.to_owned(), hash(text), at));
    }

    /// Whether a prompt is the repetition of one that was handed out; each excuses one repetition.
    pub(super) fn was_sent(&mut self, session: &str, text: &str, at: Timestamp) -> bool {
        let hash = hash(text);
        let same = |(of, text, sent): &(String, [u8; 32], Timestamp)| {
            of == session && *text == hash && time::seconds_between(*sent, at).abs() <= SAME_SECONDS
        };
        let found = self.sent.iter().position(same);
        found.and_then(|found| self.sent.remove(found)).is_some()
    }
}

fn hash(text: &str) -> [u8; 32] {
    *blake3::hash(text.as_bytes()).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queued(text: &str) -> Queued {
        Queued::new("s".into(), Timestamp::UNIX_EPOCH, None, text, true)
    }

    #[test]
    fn the_queue_and_its_memory_are_bounded() {
        let mut queue = Queue::default();
        let dropped = (0..MAX_QUEUED + 2).filter(|n| queue.enqueue(queued(&n.to_string()))).count();
        assert_eq!((dropped, queue.clear().len()), (2, MAX_QUEUED));
        for n in 0..=MAX_SENT {
            queue.sent("s", &n.to_string(), Timestamp::UNIX_EPOCH);
        }
        assert!(!queue.was_sent("s", "0", Timestamp::UNIX_EPOCH), "the oldest is forgotten");
        assert!(queue.was_sent("s", "1", Timestamp::UNIX_EPOCH));
        assert!(!queue.was_sent("s", "1", Timestamp::UNIX_EPOCH), "one excuses one");
    }

    #[test]
    fn sameness_is_session_text_and_time() {
        let at = |second| Timestamp::from_second(second).expect("in range");
        let table = [
            ("s", "a", SAME_SECONDS, true),
            ("s", "a", SAME_SECONDS + 1, false),
            ("t", "a", 0, false),
            ("s", "b", 0, false),
        ];
        for (session, text, second, expected) in table {
            let mut queue = Queue::default();
            queue.sent("s", "a", at(0));
            assert_eq!(queue.was_sent(session, text, at(second)), expected, "{session} {text} {second}");
        }
    }
}
