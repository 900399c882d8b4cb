//! Words of agents that a reply of the person follows: `… lint warnings in the same module …` leads to “fix them too”.
//!
//! [`scene`](crate::memory::scene) knows the situations that agents name in English; here any run of words is one, where one reply
//! follows it too often for chance. Runs are looked for among the newest answers; what was found is counted from then on.

use std::collections::{BTreeSet, VecDeque};

use clone_schema::id::{Claim, normal};
use clone_schema::memory::{Fact, Tier};
use clone_schema::text::one_line;
use serde::{Deserialize, Serialize};

use crate::memory::fact::support::{Mention, Support, lower_bound};
use crate::memory::session::Told;

/// How many answers are looked at for what comes before a reply.
const RECENT: usize = 512;
/// How many of them with one reply are compared.
const ALIKE: usize = 16;
/// How many leads are held; those that least often led to their reply make room.
const MAX_LEADS: usize = 512;
/// How many words of an agent's last lines are read.
const READ: usize = 48;
/// The longest word that is read, in bytes.
const LONGEST: usize = 64;
/// How many words a run has at least.
const RUN: usize = 3;
/// How many runs of a text are weighed.
const WEIGHED: usize = 6;
/// How often a reply followed a run when the run is first noticed.
const MIN_SEEN: u32 = 4;
/// The least share of its run's answers that a reply surely has.
const MIN_BOUND: f64 = 0.5;
/// How many runs of words might have come before a reply by chance: the level of the test is divided by it.
const CHANCES: f64 = 1_000.0;
/// The level of the test.
const LEVEL: f64 = 0.05;

/// The newest answers, and the runs of words found among them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Leads {
    recent: VecDeque<Answer>,
    leads: Vec<Lead>,
}

/// One answer to an agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Answer {
    /// What the agent said last, words parted and framed by single spaces, figures as `#`.
    said: String,
    /// The short form of the reply; empty for one that is no habit.
    key: String,
    mention: Mention,
}

/// A run of words and the reply that follows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Lead {
    /// Framed by spaces, as in [`Answer::said`].
    run: String,
    key: String,
    reply: String,
    /// How often the run was answered.
    answered: u32,
    support: Support,
}

impl Leads {
    /// Takes in a reply to an agent's text; `key` is its short form, where it has one.
    pub(super) fn observe(&mut self, told: &Told, before: &str, key: Option<&str>, prompt: &str) {
        let said = said(before);
        let key = key.unwrap_or_default();
        let mut known = false;
        for lead in self.leads.iter_mut().filter(|lead| said.contains(&lead.run)) {
            lead.answered = lead.answered.saturating_add(1);
            if lead.key == key {
                lead.support.add(told);
                known = true;
            }
        }
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(Answer { said, key: key.to_owned(), mention: Mention::of(told) });
        if !known
            && !key.is_empty()
            && let Some(lead) = self.found(prompt)
        {
            self.keep(lead);
        }
    }

    /// The run of words before the newest reply that it follows too often for chance.
    fn found(&self, prompt: &str) -> Option<Lead> {
        let newest = self.recent.back()?;
        let alike: Vec<&Answer> =
            self.recent.iter().rev().filter(|answer| answer.key == newest.key).take(ALIKE).collect();
        if alike.len() < MIN_SEEN as usize {
            return None;
        }
        let mut seen: Vec<(u32, String)> = runs(&newest.said)
            .map(|run| (count(alike.iter().filter(|answer| answer.said.contains(&run))), run))
            .filter(|(seen, _)| *seen >= MIN_SEEN)
            .collect();
        seen.sort_by_key(|(seen, _)| std::cmp::Reverse(*seen));
        let mut weighed: Vec<Lead> = Vec::new();
        for (_, run) in seen {
            if weighed.len() < WEIGHED && !weighed.iter().any(|lead| lead.run.contains(&run)) {
                weighed.push(self.weighed(&run, &newest.key, prompt));
            }
        }
        let given = count(self.recent.iter().filter(|answer| answer.key == newest.key));
        let anywhere = f64::from(given) / self.recent.len() as f64;
        // Of equals the longest says most.
        let size = |lead: &Lead| lead.run.split(' ').count();
        weighed
            .into_iter()
            .filter(|lead| lead.bound() >= MIN_BOUND && lead.chance(anywhere) * CHANCES <= LEVEL)
            .max_by(|a, b| a.bound().total_cmp(&b.bound()).then_with(|| size(a).cmp(&size(b))))
    }

    /// What the newest answers say of a run of words and a reply.
    fn weighed(&self, run: &str, key: &str, prompt: &str) -> Lead {
        let led: Vec<&Answer> =
            self.recent.iter().filter(|answer| answer.key == key && answer.said.contains(run)).collect();
        let run = widened(run, &led);
        let mut support = Support::default();
        led.iter().for_each(|answer| support.note(&answer.mention));
        let answered = count(self.recent.iter().filter(|answer| answer.said.contains(&run)));
        Lead { run, key: key.to_owned(), reply: one_line(prompt), answered, support }
    }

    fn keep(&mut self, lead: Lead) {
        if self.leads.len() == MAX_LEADS {
            let least = (0..self.leads.len()).min_by_key(|at| self.leads[*at].support.count());
            least.map(|at| self.leads.remove(at));
        }
        self.leads.push(lead);
    }

    /// Every habit that the leads make, but those that `shown` tells by the same events.
    pub(super) fn facts(&self, shown: &[Fact]) -> Vec<Fact> {
        let mut leads: Vec<&Lead> = self.leads.iter().collect();
        leads.sort_by_key(|lead| (std::cmp::Reverse(lead.support.count()), &lead.run, &lead.key));
        let mut told: Vec<BTreeSet<String>> =
            shown.iter().filter(|fact| fact.tier == Tier::Strong).map(cited).collect();
        let mut facts = Vec::new();
        for fact in leads.into_iter().filter_map(Lead::fact) {
            let mine = cited(&fact);
            if !told.iter().any(|theirs| mine.intersection(theirs).count() * 2 >= mine.len()) {
                told.push(mine);
                facts.push(fact);
            }
        }
        facts
    }
}

fn cited(fact: &Fact) -> BTreeSet<String> {
    fact.evidence.iter().map(|evidence| evidence.id.clone()).collect()
}

impl Lead {
    fn bound(&self) -> f64 {
        lower_bound(self.support.count(), self.answered)
    }

    /// How likely so many replies are by chance, where the reply has a share of all.
    fn chance(&self, anywhere: f64) -> f64 {
        tail(self.support.count(), self.answered, anywhere)
    }

    fn fact(&self) -> Option<Fact> {
        let (k, n) = (self.support.count(), self.answered);
        if self.support.sessions() < 2 || self.bound() < MIN_BOUND {
            return None;
        }
        let shown = self.run.trim().replace(" # ", " … ");
        let text = format!("When an agent says “… {shown} …”, usually replies “{}”", self.reply);
        let claim = Claim {
            kind: "habit".into(),
            subject: "user".into(),
            attribute: format!("says {}", normal(&shown)),
            scope: String::new(),
            value: self.key.clone(),
            polarity: "+".into(),
        };
        self.support.fact(claim, text, n, if k >= 5 { Tier::Strong } else { Tier::Tentative })
    }
}

fn count<T>(of: impl Iterator<Item = T>) -> u32 {
    u32::try_from(of.count()).unwrap_or(u32::MAX)
}

/// The words of an agent's last lines: the first and the last of the block before which it left a line empty.
fn said(text: &str) -> String {
    let block = text.trim_end().rsplit("\n\n").find(|block| block.split_whitespace().count() >= RUN).unwrap_or(text);
    // A block without empty lines may be a whole log, and a word of it a whole file.
    let masked = |word: &str| match word {
        word if word.contains(|c: char| c.is_ascii_digit()) || word.len() > LONGEST => "#".to_owned(),
        word => normal(word),
    };
    let mut words = block.split_whitespace();
    let head: Vec<String> = words.by_ref().take(READ / 2).map(masked).collect();
    let mut tail: Vec<String> = words.rev().take(READ / 2).map(masked).collect();
    tail.reverse();
    let words: Vec<&str> = head.iter().chain(&tail).map(String::as_str).filter(|word| !word.is_empty()).collect();
    format!(" {} ", words.join(" "))
}

/// Each run of words of a framed text, framed; those of figures and small words alone say nothing.
fn runs(said: &str) -> impl Iterator<Item = String> {
    let words: Vec<&str> = said.split(' ').filter(|word| !word.is_empty()).collect();
    let telling = |run: &&[&str]| run.iter().any(|word| word.chars().count() >= 4);
    let runs: Vec<String> = words.windows(RUN).filter(telling).map(|run| format!(" {} ", run.join(" "))).collect();
    runs.into_iter()
}

/// A run with the words around it that stand in every text of a reply.
fn widened(run: &str, led: &[&Answer]) -> String {
    let around: Vec<(Vec<&str>, Vec<&str>)> = led
        .iter()
        .filter_map(|answer| answer.said.split_once(run))
        .map(|(before, behind)| {
            (
                before.split(' ').rev().filter(|word| !word.is_empty()).collect(),
                behind.split(' ').filter(|word| !word.is_empty()).collect(),
            )
        })
        .collect();
    let shared = |sides: Vec<&Vec<&str>>| -> usize {
        let first = sides.first().map_or(&[][..], |side| side.as_slice());
        (0..first.len()).take_while(|at| sides.iter().all(|side| side.get(*at) == first.get(*at))).count()
    };
    let before = shared(around.iter().map(|(before, _)| before).collect());
    let behind = shared(around.iter().map(|(_, behind)| behind).collect());
    let first = around.first();
    let mut words: Vec<&str> =
        first.map(|(words, _)| words[..before].iter().rev().copied().collect()).unwrap_or_default();
    words.extend(run.split(' ').filter(|word| !word.is_empty()));
    words.extend(first.map(|(_, words)| &words[..behind]).unwrap_or_default());
    // A figure at an end leaves nothing to say there.
    while words.len() > RUN && words.last() == Some(&"#") {
        words.pop();
    }
    let from = words.iter().position(|word| *word != "#").unwrap_or(0).min(words.len().saturating_sub(RUN));
    format!(" {} ", words[from..].join(" "))
}

/// How likely it is that something of a share happens at least `k` times of `n` by chance.
fn tail(k: u32, n: u32, share: f64) -> f64 {
    let share = share.clamp(1e-9, 1.0 - 1e-9);
    let mut term = (1.0 - share).powi(i32::try_from(n).unwrap_or(i32::MAX));
    let mut below = 0.0;
    for i in 0..k.min(n) {
        below += term;
        term *= f64::from(n - i) / f64::from(i + 1) * share / (1.0 - share);
    }
    (1.0 - below).max(0.0)
}

#[cfg(test)]
mod tests {
    use clone_schema::Position;

    use super::*;
    use crate::memory::session::tests::prompt;

    fn facts(replies: &[(&str, String, &str)]) -> Vec<Fact> {
        let mut leads = Leads::default();
        for (n, (session, before, reply)) in replies.iter().enumerate() {
            let event = prompt(&format!("e{n}"), session, n as i64, reply);
            leads.observe(&Told { position: Position(n as u64), event }, before, Some(&normal(reply)), reply);
        }
        leads.facts(&[])
    }

    const THINGS: [&str; 7] =
        ["the parser", "the cache", "the login", "a header", "the map view", "the ledger", "my queue"];
    const OTHERS: [&str; 7] =
        ["why", "rename it", "where is it", "hide that", "what is next", "look again", "and the docs"];

    fn noticed(n: usize) -> String {
        format!(
            "I looked around.\n\nWhile working on {} I noticed {n} lint warnings in the same module.",
            THINGS[n % 7]
        )
    }

    fn between(n: usize) -> (&'static str, String, &'static str) {
        ("s1", format!("I moved {} to line {n} as you said.", THINGS[n % 7]), OTHERS[n % 7])
    }

    #[test]
    fn words_that_a_reply_follows_are_a_habit() {
        let mut replies = Vec::new();
        for n in 0..8 {
            replies.push((if n % 2 == 0 { "s1" } else { "s2" }, noticed(n), "fix them too"));
            replies.extend((0..5).map(|more| between(n * 5 + more)));
        }
        replies.push(("s2", noticed(9), "why"));
        let found = facts(&replies);
        assert_eq!(found.len(), 1, "{found:#?}");
        assert_eq!(
            found[0].text,
            "When an agent says “… i noticed … lint warnings in the same module …”, usually replies “fix them too”"
        );
        assert_eq!((found[0].tier, found[0].support, found[0].opportunities), (Tier::Strong, 8, 9));
    }

    #[test]
    fn a_reply_that_is_given_anywhere_follows_nothing() {
        let mut replies: Vec<_> = (0..40).map(between).map(|(session, before, _)| (session, before, "ok")).collect();
        replies.extend((0..6).map(|n| ("s2", noticed(n), "ok")));
        assert_eq!(facts(&replies), []);
    }

    #[test]
    fn one_session_is_no_habit_and_other_replies_end_one() {
        let often = |session: fn(usize) -> &'static str| -> Vec<(&'static str, String, &'static str)> {
            (0..8)
                .flat_map(|n| [(session(n), noticed(n), "fix them too"), between(n), between(n + 3), between(n + 5)])
                .collect()
        };
        assert_eq!(facts(&often(|_| "s1")), []);
        let mut ended = often(|n| if n % 2 == 0 { "s1" } else { "s2" });
        assert_eq!(facts(&ended).len(), 1);
        ended.extend((0..12).map(|n| ("s3", noticed(n), OTHERS[n % 7])));
        assert_eq!(facts(&ended), []);
    }

    #[test]
    fn what_is_read_is_bounded_and_masked() {
        let long = format!("begin {} end", "word ".repeat(100_000));
        assert_eq!(said(&long).split_whitespace().count(), READ);
        assert!(said(&long).starts_with(" begin word ") && said(&long).ends_with(" word end "));
        assert_eq!(said("Old.\n\nAll 12 tests pass (v1.2)."), " all # tests pass # ");
        assert_eq!(said(""), "  ");
    }

    #[test]
    fn chance() {
        for (k, n, share, low, high) in
            [(4, 4, 0.1, 0.000_09, 0.000_11), (0, 5, 0.3, 1.0, 1.0), (3, 5, 0.5, 0.49, 0.51)]
        {
            let p = tail(k, n, share);
            assert!((low..=high).contains(&p), "{k} of {n} at {share}: {p}");
        }
    }
}
