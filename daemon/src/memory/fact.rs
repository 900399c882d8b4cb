//! Facts from what the person typed: standing rules they stated, replies they repeat, commands they use.
//!
//! Only events of origin `typed` support anything. The miner folds event after event and holds counts, never events.

mod cue;
mod habit;
mod support;
mod wide;

use std::borrow::Cow;
use std::collections::BTreeMap;

use clone_schema::event::{Choice, Outcome};
use clone_schema::id::Claim;
use clone_schema::memory::{Fact, Provenance, Status, Tier};
use clone_schema::{Body, Origin, Timestamp};
use serde::{Deserialize, Serialize};

use crate::memory::fact::cue::{Cue, cues};
use crate::memory::fact::habit::Habits;
use crate::memory::fact::support::{Support, lower_bound};
use crate::memory::session::Told;
use crate::memory::words::clip;

/// The most stated rules and the most commands that are held.
pub const MAX_CLAIMS: usize = 2_000;
/// The longest text of a fact, in characters.
pub const MAX_TEXT: usize = 240;
/// Importance of a strong fact.
pub const STRONG: f64 = 0.9;
/// Importance of a tentative fact.
pub const TENTATIVE: f64 = 0.5;

/// Counts what the person does, and says it as facts.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Miner {
    stated: BTreeMap<Stated, Rule>,
    commands: BTreeMap<String, Support>,
    habits: Habits,
    prompts: u32,
}

/// What makes two statements the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Stated {
    attribute: Cow<'static, str>,
    scope: String,
    value: String,
    positive: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Rule {
    text: String,
    /// Shown only when it was said in two sessions.
    weak: bool,
    support: Support,
}

impl Miner {
    /// Takes one event in; `before` is the agent's last text in the session, when no other prompt came between.
    pub fn observe(&mut self, told: &Told, before: Option<&str>) {
        let event = &told.event;
        if event.origin() != Origin::Typed {
            return;
        }
        let prompt = match &event.body {
            Body::AgentPrompt { prompt, .. } => prompt,
            Body::AgentChoice(Choice { outcome: Outcome::Other, choice: Some(words), .. }) => {
                cues(words).into_iter().for_each(|cue| self.state(cue, told));
                return;
            }
            _ => return,
        };
        self.prompts = self.prompts.saturating_add(1);
        if let Some(command) = command(prompt) {
            let known = self.commands.len();
            if known < MAX_CLAIMS || self.commands.contains_key(command) {
                self.commands.entry(command.to_owned()).or_default().add(told);
            }
            return;
        }
        cues(prompt).into_iter().for_each(|cue| self.state(cue, told));
        if let Some(before) = before {
            self.habits.observe(told, before, prompt);
        }
    }

    fn state(&mut self, cue: Cue, told: &Told) {
        let scope = if cue.scoped { told.event.project().unwrap_or_default().to_owned() } else { String::new() };
        let key = Stated { attribute: cue.attribute.into(), scope, value: cue.value, positive: cue.positive };
        if self.stated.len() >= MAX_CLAIMS && !self.stated.contains_key(&key) {
            return;
        }
        let fresh = || Rule { text: clip(&cue.text, MAX_TEXT), weak: cue.weak, support: Support::default() };
        let rule = self.stated.entry(key).or_insert_with(fresh);
        rule.weak &= cue.weak;
        rule.support.add(told);
    }

    /// Every fact that the events so far support, by id.
    #[must_use]
    pub fn facts(&self) -> Vec<Fact> {
        let stated = self.stated.iter().filter_map(|(key, rule)| self.rule(key, rule));
        let commands = self.commands.iter().filter_map(|(name, support)| self.command(name, support));
        let mut facts: Vec<Fact> = stated.chain(commands).chain(self.habits.facts()).collect();
        facts.sort_by(|a, b| a.id.cmp(&b.id));
        facts
    }

    fn rule(&self, key: &Stated, rule: &Rule) -> Option<Fact> {
        let repeated = rule.support.sessions() >= 2;
        if rule.weak && !repeated {
            return None;
        }
        let claim = Claim {
            kind: if key.attribute == "remember" { "statement" } else { "preference" }.into(),
            subject: "user".into(),
            attribute: key.attribute.clone().into_owned(),
            scope: key.scope.clone(),
            value: key.value.clone(),
            polarity: if key.positive { "+" } else { "-" }.into(),
        };
        let tier = if repeated && !rule.weak { Tier::Strong } else { Tier::Tentative };
        let mut fact = rule.support.fact(claim, rule.text.clone(), rule.support.count(), tier)?;
        fact.valid_until = self.contradicted(key, &rule.support);
        if fact.valid_until.is_some() {
            fact.status = Status::Archived;
        }
        Some(fact)
    }

    /// When the opposite was stated after this, if it was.
    fn contradicted(&self, key: &Stated, support: &Support) -> Option<Timestamp> {
        let opposite = self.stated.get(&Stated { positive: !key.positive, ..key.clone() })?;
        (opposite.support.last() > support.last()).then(|| opposite.support.first_since(support.newest())).flatten()
    }

    fn command(&self, name: &str, support: &Support) -> Option<Fact> {
        if support.count() < 3 || support.sessions() < 2 {
            return None;
        }
        let claim = Claim {
            kind: "artifact".into(),
            subject: "user".into(),
            attribute: "command".into(),
            scope: String::new(),
            value: name.to_owned(),
            polarity: "+".into(),
        };
        let text =
            format!("Often uses the command {name} ({} times in {} sessions)", support.count(), support.sessions());
        let tier = if support.count() >= 5 { Tier::Strong } else { Tier::Tentative };
        support.fact(claim, text, self.prompts, tier)
    }
}

/// The slash command that a prompt begins with; a path has a second slash.
fn command(prompt: &str) -> Option<&str> {
    let word = prompt.split_whitespace().next()?;
    let name = word.strip_prefix('/')?;
    let usable = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.len() <= 40
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_:".contains(c));
    usable.then_some(word)
}

impl Support {
    /// The fact that this support makes; nothing without evidence.
    fn fact(&self, claim: Claim, text: String, opportunities: u32, tier: Tier) -> Option<Fact> {
        let evidence = self.evidence();
        let first = evidence.first()?;
        let confidence = lower_bound(self.count(), opportunities);
        Some(Fact {
            id: claim.fact_id(&first.id),
            tags: vec![claim.kind.clone(), claim.attribute.clone()],
            claim,
            text,
            tier,
            importance: if tier == Tier::Strong { STRONG } else { TENTATIVE },
            confidence: (confidence * 1000.0).floor() / 1000.0,
            support: self.count(),
            opportunities,
            sessions: self.sessions(),
            valid_from: self.first_at(),
            valid_until: None,
            status: Status::Active,
            gate: None,
            provenance: Provenance::Inferred,
            evidence,
            created: self.first_at()?,
            updated: self.newest()?,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use clone_schema::event::ChoiceKind;
    use clone_schema::{Meta, Position};

    use super::*;
    use crate::memory::session::tests::{event, prompt};

    pub(crate) fn mined(prompts: &[(&str, &str)]) -> Vec<Fact> {
        let mut miner = Miner::default();
        for (n, (session, text)) in prompts.iter().enumerate() {
            let event = prompt(&format!("e{n}"), session, n as i64, text);
            miner.observe(&Told { position: Position(n as u64), event }, None);
        }
        miner.facts()
    }

    #[test]
    fn a_rule_said_twice_is_strong() {
        let once = mined(&[("s1", "Always run the linter before you commit.")]);
        assert_eq!((once.len(), once[0].tier, once[0].importance), (1, Tier::Tentative, TENTATIVE));
        assert_eq!(once[0].text, "Always run the linter before you commit.");
        let twice = mined(&[
            ("s1", "Always run the linter before you commit."),
            ("s2", "always run the linter before you commit"),
        ]);
        assert_eq!((twice.len(), twice[0].tier, twice[0].support), (1, Tier::Strong, 2));
        assert_eq!(twice[0].id, once[0].id);
    }

    #[test]
    fn the_opposite_closes_the_older() {
        let facts = mined(&[("s1", "always use tabs for indentation"), ("s2", "never use tabs for indentation")]);
        let find = |polarity: &str| facts.iter().find(|fact| fact.claim.polarity == polarity).expect("both");
        assert_eq!((find("+").status, find("+").valid_until), (Status::Archived, Some(find("-").created)));
        assert_eq!((find("-").status, find("-").valid_until), (Status::Active, None));
    }

    #[test]
    fn the_opposite_counts_at_the_same_instant_and_not_in_another_scope() {
        let mut miner = Miner::default();
        for (n, text) in
            ["never use tabs here", "always use tabs here", "never use tabs here in this project"].iter().enumerate()
        {
            miner.observe(&Told { position: Position(n as u64), event: prompt(&n.to_string(), "s", 7, text) }, None);
        }
        let status: Vec<_> = miner.facts().into_iter().map(|fact| (fact.evidence[0].id.clone(), fact.status)).collect();
        assert!(status.contains(&("0".into(), Status::Archived)) && status.contains(&("1".into(), Status::Active)));
    }

    #[test]
    fn words_typed_into_a_choice_state_rules_too() {
        let choice = Choice {
            agent: "agent".into(),
            kind: ChoiceKind::Permission,
            question: "Run it?".into(),
            options: vec![],
            choice: Some("never push without asking me".into()),
            outcome: Outcome::Other,
            in_response_to: None,
        };
        let mut miner = Miner::default();
        miner.observe(&Told { position: Position(0), event: event("e", "s", 0, Body::AgentChoice(choice)) }, None);
        assert_eq!(miner.facts()[0].claim.polarity, "-");
    }

    #[test]
    fn only_what_was_typed_counts() {
        let mut miner = Miner::default();
        let mut event = prompt("e", "s", 0, "Always use tabs for indentation");
        for origin in [Origin::Pasted, Origin::Ours, Origin::Unknown, Origin::Agent, Origin::Screen] {
            event.meta = Some(Meta { origin: Some(origin), ..Meta::default() });
            miner.observe(&Told { position: Position(0), event: event.clone() }, None);
        }
        event.meta = None;
        miner.observe(&Told { position: Position(0), event }, None);
        assert_eq!(miner.facts(), []);
    }

    #[test]
    fn commands_need_three_uses_in_two_sessions() {
        let uses =
            [("s1", "/review now"), ("s1", "/review"), ("s2", "/review x"), ("s1", "/usr/bin/x"), ("s2", "/other")];
        let facts = mined(&uses);
        assert_eq!(facts.len(), 1);
        assert_eq!((facts[0].claim.value.as_str(), facts[0].support, facts[0].opportunities), ("/review", 3, 5));
        assert_eq!(mined(&uses[..2]), []);
    }

    #[test]
    fn claims_are_bounded() {
        let mut miner = Miner::default();
        for n in 0..=MAX_CLAIMS {
            let event = prompt(&n.to_string(), "s", 0, &format!("/c{n}"));
            miner.observe(&Told { position: Position(0), event }, None);
        }
        assert_eq!(miner.commands.len(), MAX_CLAIMS);
    }

    /// Prints counts only; the turns are somebody's.
    #[test]
    fn real_turns() {
        use std::io::Write as _;
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
        if !root.exists() {
            let _ = writeln!(std::io::stderr(), "SKIPPED: no shared data");
            return;
        }
        for folder in ["turns", "turns-small"] {
            let mut paths: Vec<_> =
                std::fs::read_dir(root.join(folder)).into_iter().flatten().flatten().map(|e| e.path()).collect();
            paths.sort();
            for path in paths.iter().filter(|path| path.extension().is_some_and(|e| e == "jsonl")) {
                let facts = of_turns(&std::fs::read_to_string(path).expect("readable"));
                assert!(facts.len() < 60, "{} facts are more than anybody reads", facts.len());
                assert!(facts.iter().all(|fact| fact.evidence.iter().all(|evidence| evidence.origin == Origin::Typed)));
                let name = path.file_stem().unwrap_or_default().to_string_lossy();
                let _ = writeln!(std::io::stderr(), "{name}: {} facts", facts.len());
            }
        }
    }

    fn of_turns(lines: &str) -> Vec<Fact> {
        let mut miner = Miner::default();
        for (n, line) in lines.lines().enumerate() {
            let turn: serde_json::Value = serde_json::from_str(line).expect("a turn");
            let text = |key: &str| turn[key].as_str().unwrap_or_default().to_owned();
            if text("kind") == "template" {
                continue;
            }
            let event = prompt(&format!("e{n}"), &text("session"), n as i64, &text("reply"));
            let before = text("agent_prompt");
            miner.observe(
                &Told { position: Position(n as u64), event },
                Some(before.as_str()).filter(|b| !b.is_empty()),
            );
        }
        miner.facts()
    }
}
