//! Events of a person who works with an agent: words as common as in a language, replies that often are a habit.
//!
//! The texts decide what a prediction costs, so they are longer and more varied than those of the ingest benches: 200 to
//! 1,500 characters of an agent, of 20,000 words of which few make up most of a text.

use serde_json::{Value, json};

use crate::dice::Dice;

/// Different words.
const WORDS: usize = 20_000;
/// Replies of one session.
const SESSION_REPLIES: usize = 20;
/// Seconds between two events.
const PACE: usize = 20;
/// 2026-01-01T00:00:00Z.
const BEGIN: i64 = 1_767_225_600;

const STOP: &[&str] = &[
    "the", "to", "of", "and", "a", "in", "is", "it", "that", "for", "on", "with", "this", "be", "as", "are", "was",
    "not", "you", "have", "but", "at", "if", "from", "will", "can", "all", "so", "or", "now", "by", "an", "we", "no",
    "do",
];
const SYLLABLES: &[&str] = &[
    "ba", "de", "ko", "lin", "mar", "no", "per", "qui", "ra", "sto", "ten", "ul", "ver", "xi", "yo", "zem", "fo", "gi",
];
const HABITS: &[&str] = &[
    "yes",
    "continue",
    "go on",
    "yes, commit",
    "run all tests",
    "looks good",
    "no, undo that",
    "commit and push",
    "try again",
    "fix it",
    "what next?",
    "explain why",
];

/// A language: every word, and how common the words up to it are.
pub(super) struct Words {
    words: Vec<String>,
    sums: Vec<f64>,
}

impl Words {
    pub(super) fn new() -> Self {
        let mut dice = Dice::new(7);
        let mut words: Vec<String> = STOP.iter().map(|word| (*word).to_owned()).collect();
        while words.len() < WORDS {
            let syllables = 2 + dice.below(3);
            words.push((0..syllables).map(|_| SYLLABLES[dice.below(SYLLABLES.len())]).collect());
        }
        let mut total = 0.0;
        let sums = (0_u32..).take(words.len()).map(|rank| {
            total += (f64::from(rank) + 2.7).powf(-1.05);
            total
        });
        Self { sums: sums.collect(), words }
    }

    fn word(&self, dice: &mut Dice) -> &str {
        let (most, fine) = (self.sums.last().copied().unwrap_or(0.0), 1_u32 << 30);
        let drawn = u32::try_from(dice.below(fine as usize)).unwrap_or(0);
        let share = most * f64::from(drawn) / f64::from(fine);
        let at = self.sums.partition_point(|sum| *sum <= share);
        self.words.get(at).map_or("", String::as_str)
    }

    /// So many characters at least, and up to so many more.
    pub(super) fn text(&self, dice: &mut Dice, (least, more): (usize, usize)) -> String {
        let length = least + dice.below(more);
        let mut out = String::new();
        while out.len() < length {
            out.push_str(self.word(dice));
            out.push_str(if dice.below(12) == 0 { ". " } else { " " });
        }
        out.truncate(length);
        out
    }

    /// What an agent says.
    pub(super) fn said(&self, dice: &mut Dice) -> String {
        self.text(dice, (200, 1_300))
    }

    fn reply(&self, dice: &mut Dice) -> String {
        if dice.below(10) < 3 {
            let place = dice.below(HABITS.len()).min(dice.below(HABITS.len()));
            return HABITS[place].to_owned();
        }
        self.text(dice, (20, 280))
    }
}

/// Makes one event after another.
pub(super) struct Life<'a> {
    words: &'a Words,
    dice: Dice,
    made: usize,
    /// One exchange in so many events.
    stride: usize,
    /// Everything that the agent said.
    pub(super) said: Vec<String>,
}

impl<'a> Life<'a> {
    /// A life of so many events, of which so many are replies; at most one event in three is.
    pub(super) fn new(words: &'a Words, events: usize, replies: usize) -> Self {
        let stride = (events / replies.max(1)).max(3);
        Self { words, dice: Dice::new(11), made: 0, stride, said: Vec::new() }
    }

    /// The next events, each as JSON.
    pub(super) fn take(&mut self, count: usize) -> Vec<String> {
        (0..count).map(|_| self.event().to_string()).collect()
    }

    fn event(&mut self) -> Value {
        let at = self.made;
        self.made += 1;
        let seconds = BEGIN + i64::try_from(at * PACE).unwrap_or(0);
        let time = clone_schema::Timestamp::from_second(seconds).unwrap_or(clone_schema::Timestamp::UNIX_EPOCH);
        let session = at / (self.stride * SESSION_REPLIES);
        let mut event = json!({
            "id": format!("life:{at}"), "session_id": format!("life:{session}"), "occurred_at": time.to_string(),
            "source": "agent", "meta": {"origin": "typed", "cwd": format!("/home/somebody/src/{}", session % 5)},
        });
        let fields = match at % self.stride {
            0 => {
                let said = self.words.said(&mut self.dice);
                self.said.push(said.clone());
                event["meta"]["origin"] = json!("agent");
                json!({"type": "agent.response", "agent": "Claude Code", "response": said, "in_response_to": null})
            }
            1 => json!({"type": "agent.prompt", "agent": "Claude Code", "prompt": self.words.reply(&mut self.dice)}),
            _ => {
                let command = self.words.text(&mut self.dice, (10, 40));
                json!({"type": "terminal.command", "source": "cli", "command": command, "cwd": null, "exit_code": 0,
                    "duration_ms": 9})
            }
        };
        for (name, value) in fields.as_object().into_iter().flatten() {
            event[name] = value.clone();
        }
        event
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_has_the_replies_that_were_asked_for_and_is_the_same_every_time() {
        let words = Words::new();
        for (events, replies, expected) in [(3_000, 1_000, 1_000), (3_000, 60, 60), (3_000, 3_000, 1_000)] {
            let mut life = Life::new(&words, events, replies);
            let made = life.take(events);
            let typed = made.iter().filter(|event| event.contains("\"agent.prompt\"")).count();
            assert_eq!((typed, life.said.len()), (expected, expected));
            assert!(made.iter().all(|event| clone_schema::Event::parse(event).is_ok()));
            assert_eq!(made, Life::new(&words, events, replies).take(events));
        }
    }
}
