//! Events as a working day makes them: about 340 bytes, varied, and the same in every run.

use clone_schema::topic;
use serde_json::{Value, json};

use crate::dice::Dice;
use crate::log::Entry;

/// Events of one session.
const SESSION: u64 = 60;
/// Seconds between two events.
const PACE: u64 = 20;
/// 2026-01-01T00:00:00Z.
const BEGIN: i64 = 1_767_225_600;

const SYLLABLES: &[&str] =
    &["ba", "de", "ko", "lin", "mar", "no", "per", "qui", "ra", "sto", "ten", "ul", "ver", "xi", "yo", "zem"];
const COMMON: &[&str] = &[
    "the", "to", "and", "a", "in", "is", "it", "for", "test", "file", "run", "of", "this", "with", "please", "not",
    "add", "fix", "check", "error", "that", "again", "then", "should", "now", "code", "we", "one", "line", "build",
];
const PROJECTS: &[&str] = &["parser", "website", "billing", "notes", "firmware"];
const COMMANDS: &[&str] = &["cargo test", "git status", "git diff", "make lint", "ls -la", "git log -5"];

/// Makes one event after another.
pub(super) struct Supply {
    dice: Dice,
    made: u64,
}

impl Supply {
    pub(super) fn new(seed: u64) -> Self {
        Self { dice: Dice::new(seed), made: 0 }
    }

    /// The next event, as JSON.
    pub(super) fn event(&mut self) -> String {
        self.entry().json
    }

    /// The next event, as the log takes it.
    pub(super) fn entry(&mut self) -> Entry {
        let (number, dice) = (self.made, &mut self.dice);
        self.made += 1;
        let (high, low) = (dice.roll(), dice.roll());
        let id = format!(
            "{:08x}-{:04x}-7{:03x}-8{:03x}-{:012x}",
            high >> 32,
            high >> 16 & 0xffff,
            high & 0xfff,
            low >> 52,
            low & 0xffff_ffff_ffff
        );
        let seconds = BEGIN + i64::try_from(number * PACE).unwrap_or(0);
        let at = clone_schema::Timestamp::from_second(seconds).unwrap_or(clone_schema::Timestamp::UNIX_EPOCH);
        let session = number / SESSION;
        let project = PROJECTS[usize::try_from(session).unwrap_or(0) % PROJECTS.len()];
        let mut event = json!({
            "id": id, "session_id": format!("bench:{session:08}"), "occurred_at": at.to_string(),
            "meta": {"origin": "typed", "cwd": format!("/home/somebody/src/{project}")},
        });
        payload(&mut event, number, dice);
        let topic = event["type"].as_str().and_then(topic::find).map_or("", |(_, topic)| topic.name);
        Entry { id, topic, occurred_at: at, json: event.to_string() }
    }

    /// So many events, as the log takes them.
    pub(super) fn entries(&mut self, count: usize) -> Vec<Entry> {
        (0..count).map(|_| self.entry()).collect()
    }

    /// So many events, each as JSON.
    pub(super) fn take(&mut self, count: usize) -> Vec<String> {
        (0..count).map(|_| self.event()).collect()
    }
}

/// What depends on the type: mostly an agent and a person in turn, with some commands and pages between.
fn payload(event: &mut Value, number: u64, dice: &mut Dice) {
    let fields = match (number % 10, number % 2) {
        (7, _) => {
            let command = format!("{} {}", dice.pick(COMMANDS), words(dice, 3));
            json!({"type": "terminal.command", "source": "cli", "command": command, "cwd": null, "exit_code": 0,
                "duration_ms": dice.below(9000)})
        }
        (9, _) => {
            let url = format!("https://docs.example.org/{}/{}.html", word(dice), word(dice));
            json!({"type": "browser.visited", "source": "desktop", "url": url, "title": words(dice, 6)})
        }
        (_, 0) => {
            event["meta"]["origin"] = json!("agent");
            json!({"type": "agent.response", "source": "agent", "agent": "Claude Code", "response": words(dice, 18),
                "in_response_to": null})
        }
        _ => json!({"type": "agent.prompt", "source": "agent", "agent": "Claude Code", "prompt": words(dice, 11)}),
    };
    for (name, value) in fields.as_object().into_iter().flatten() {
        event[name] = value.clone();
    }
}

/// About so many words.
fn words(dice: &mut Dice, about: usize) -> String {
    let count = 1 + about / 2 + dice.below(about);
    (0..count).map(|_| word(dice)).collect::<Vec<_>>().join(" ")
}

/// Half common words, half made of syllables: as few words make up half of what people write.
fn word(dice: &mut Dice) -> String {
    if dice.below(2) == 0 {
        return dice.pick(COMMON).to_owned();
    }
    (0..2 + dice.below(2)).map(|_| dice.pick(SYLLABLES)).collect()
}

/// Events as the body of one request.
pub(super) fn body(events: &[String]) -> Vec<u8> {
    format!("[{}]", events.join(",")).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_says_what_its_json_says() {
        for entry in Supply::new(7).entries(100) {
            let event = clone_schema::Event::parse(&entry.json).unwrap();
            assert_eq!(
                (event.id.as_str(), event.topic(), event.occurred_at),
                (&*entry.id, entry.topic, entry.occurred_at)
            );
        }
    }

    #[test]
    fn every_event_is_valid_and_they_are_as_large_as_real_ones() {
        let events = Supply::new(7).take(1000);
        assert_eq!(events, Supply::new(7).take(1000));
        let bytes: usize = events.iter().map(String::len).sum();
        assert!((300_000..380_000).contains(&bytes), "{bytes}");
        for event in &events {
            assert!(clone_schema::Event::parse(event).is_ok(), "{event}");
        }
        let ids: std::collections::BTreeSet<&str> = events.iter().map(String::as_str).collect();
        assert_eq!(ids.len(), events.len());
    }
}
