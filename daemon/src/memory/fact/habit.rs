//! Replies that the person repeats in like situations, with how often they could have.

use std::collections::BTreeMap;

use clone_schema::id::{Claim, normal};
use clone_schema::memory::{Fact, Tier};
use clone_schema::text::one_line;
use serde::{Deserialize, Serialize};

use crate::memory::fact::lead::Leads;
use crate::memory::fact::support::{Support, lower_bound};
use crate::memory::scene::{Scene, scene};
use crate::memory::session::Told;

/// The longest reply that can be a habit, in words.
pub(super) const MAX_WORDS: usize = 8;
/// The longest reply that can be a habit, in characters, for scripts without spaces.
pub(super) const MAX_CHARS: usize = 60;
/// The most different replies that are counted; those seen once make room, oldest first.
pub(super) const MAX_REPLIES: usize = 5_000;

/// A tentative habit of three or four replies needs this share of its opportunities.
const MIN_SHARE: f64 = 0.3;
/// A tentative habit of five replies or more needs this share.
const MIN_SHARE_OFTEN: f64 = 0.2;
/// A tentative habit is this much more likely in its situation than in general.
const MIN_LIFT: f64 = 1.5;

/// Counts of (situation, reply).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Habits {
    replies: BTreeMap<(Scene, String), Reply>,
    /// How often each situation was answered.
    scenes: BTreeMap<Scene, u32>,
    /// How often anything was answered, recognised or not.
    answers: u32,
    /// How often each short reply was given anywhere.
    anywhere: BTreeMap<String, (u32, u64)>,
    clock: u64,
    leads: Leads,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Reply {
    text: String,
    seen: u64,
    support: Support,
}

impl Habits {
    /// Takes one reply to an agent's text in.
    pub(super) fn observe(&mut self, told: &Told, before: &str, prompt: &str) {
        self.clock += 1;
        self.answers = self.answers.saturating_add(1);
        let scene = scene(before);
        if let Some(scene) = scene {
            *self.scenes.entry(scene).or_default() += 1;
        }
        let key = short(prompt);
        self.leads.observe(told, before, key.as_deref(), prompt);
        let Some(key) = key else { return };
        let clock = self.clock;
        let anywhere = self.anywhere.entry(key.clone()).or_default();
        *anywhere = (anywhere.0.saturating_add(1), clock);
        if let Some(scene) = scene {
            let fresh = || Reply { text: one_line(prompt), seen: clock, support: Support::default() };
            let reply = self.replies.entry((scene, key)).or_insert_with(fresh);
            reply.seen = clock;
            reply.support.add(told);
        }
        self.make_room();
    }

    fn make_room(&mut self) {
        if self.anywhere.len() > MAX_REPLIES {
            let horizon = middle(self.anywhere.values().map(|(_, seen)| *seen));
            self.anywhere.retain(|_, (count, seen)| *count > 1 && *seen > horizon / 2 || *seen > horizon);
        }
        if self.replies.len() > MAX_REPLIES {
            let horizon = middle(self.replies.values().map(|reply| reply.seen));
            self.replies
                .retain(|_, reply| reply.support.count() > 1 && reply.seen > horizon / 2 || reply.seen > horizon);
        }
    }

    pub(super) fn facts(&self) -> Vec<Fact> {
        let mut facts: Vec<Fact> =
            self.replies.iter().filter_map(|((scene, key), reply)| self.fact(*scene, key, reply)).collect();
        let led = self.leads.facts(&facts);
        facts.extend(led);
        facts
    }

    fn fact(&self, scene: Scene, key: &str, reply: &Reply) -> Option<Fact> {
        let (k, n) = (reply.support.count(), *self.scenes.get(&scene)?);
        if k < 3 || reply.support.sessions() < 2 {
            return None;
        }
        let share = f64::from(k) / f64::from(n);
        let anywhere = f64::from(self.anywhere.get(key).map_or(k, |(count, _)| *count).max(k));
        let lift = share / (anywhere / f64::from(self.answers.max(1)));
        let strong = k >= 5 && lower_bound(k, n) >= 0.5;
        if !strong && (share < if k >= 5 { MIN_SHARE_OFTEN } else { MIN_SHARE } || lift < MIN_LIFT) {
            return None;
        }
        let how = if share >= 0.5 { "usually" } else { "often" };
        let text = format!("{}, {how} replies “{}”", scene.when(), reply.text);
        let claim = Claim {
            kind: "habit".into(),
            subject: "user".into(),
            attribute: scene.name().into(),
            scope: String::new(),
            value: key.to_owned(),
            polarity: "+".into(),
        };
        reply.support.fact(claim, text, n, if strong { Tier::Strong } else { Tier::Tentative })
    }
}

pub(super) fn middle(seen: impl Iterator<Item = u64>) -> u64 {
    let mut seen: Vec<_> = seen.collect();
    let at = seen.len() / 2;
    seen.sort_unstable();
    seen.get(at).copied().unwrap_or_default()
}

/// Replies that say the same.
const SAME: &[(&str, &[&str])] = &[
    ("yes", &["y", "yep", "yeah", "yup", "si", "sí", "sure", "はい", "是", "是的", "네"]),
    ("continue", &["go on", "keep going", "continúa", "continua", "sigue", "继续", "続けて"]),
    ("go ahead", &["proceed", "yes proceed", "yes go ahead", "ok go ahead", "adelante"]),
];

/// The form in which two short replies are the same; nothing for a reply that is too long, or that only picks a number or
/// a letter of a list.
fn short(prompt: &str) -> Option<String> {
    if prompt.len() > MAX_CHARS * 4 {
        return None;
    }
    let normal = normal(prompt);
    let words: Vec<_> = normal.split(' ').filter(|word| !matches!(*word, "please" | "pls" | "por" | "favor")).collect();
    let key = words.join(" ");
    let same = SAME.iter().find(|(_, forms)| forms.contains(&key.as_str())).map(|(one, _)| (*one).to_owned());
    let key = same.unwrap_or(key);
    let fits = words.len() <= MAX_WORDS && key.chars().count() <= MAX_CHARS;
    (fits && key.chars().filter(|c| c.is_alphabetic()).count() >= 2).then_some(key)
}

#[cfg(test)]
mod tests {
    use clone_schema::Position;

    use super::*;
    use crate::memory::session::tests::prompt;

    fn told(id: &str, session: &str, second: i64, text: &str) -> Told {
        Told { position: Position(0), event: prompt(id, session, second, text) }
    }

    fn habits(replies: &[(&str, &str, &str)]) -> Vec<Fact> {
        let mut habits = Habits::default();
        for (n, (session, before, reply)) in replies.iter().enumerate() {
            habits.observe(&told(&format!("e{n}"), session, n as i64, reply), before, reply);
        }
        habits.facts()
    }

    #[test]
    fn repeated_replies_are_habits() {
        let mut replies =
            vec![("s1", "All tests pass.", "Commit it."), ("s1", "Reading.", "go"), ("s2", "Reading.", "stop")];
        replies.extend([("s2", "All tests pass.", "commit it, please"); 4]);
        let facts = habits(&replies);
        assert_eq!(facts.len(), 1);
        assert_eq!((facts[0].tier, facts[0].support, facts[0].opportunities), (Tier::Strong, 5, 5));
        assert_eq!(facts[0].text, "After the tests pass, usually replies “Commit it.”");
        assert_eq!(habits(&replies[..4]), []);
    }

    #[test]
    fn one_reply_in_many_forms() {
        let table = [
            ("Y!", Some("yes")),
            ("please continue", Some("continue")),
            ("sigue por favor", Some("continue")),
            ("1", None),
            ("b", None),
            ("2 3", None),
            ("one two three four five six seven eight nine", None),
            ("", None),
        ];
        for (text, key) in table {
            assert_eq!(short(text).as_deref(), key, "{text:?}");
        }
    }

    #[test]
    fn what_is_said_everywhere_is_no_habit() {
        let mut replies = vec![("s1", "All tests pass.", "ok"); 4];
        replies.extend([("s2", "All tests pass.", "what is next"); 9]);
        replies.extend([("s2", "Reading.", "ok"); 20]);
        assert!(habits(&replies).iter().all(|fact| fact.claim.value != "ok"));
    }

    #[test]
    fn counts_are_bounded() {
        let mut habits = Habits::default();
        for n in 0..(MAX_REPLIES as i64 + 2_000) {
            let text = format!("reply {n}");
            habits.observe(&told(&text, "s", n, &text), "All tests pass.", &text);
            assert!(habits.replies.len() <= MAX_REPLIES && habits.anywhere.len() <= MAX_REPLIES);
        }
    }
}
