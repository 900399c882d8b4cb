//! Facts from what the person typed: what they state, what replaces it, what they ask for again and again, the replies they
//! repeat, the commands and tools they use.
//!
//! Only events of origin `typed` support anything. The miner folds event after event and holds counts, never events; what
//! it says is a function of the events alone, and the newest of them is its clock.

mod about;
mod ask;
mod change;
mod clause;
mod cue;
mod guard;
mod habit;
mod lead;
mod named;
mod refrain;
mod run;
mod slot;
pub mod stance;
mod stated;
mod support;
mod tongue;
mod topic;
mod wide;

use std::collections::BTreeMap;

use clone_schema::event::{Choice, Outcome};
use clone_schema::id::{Claim, normal};
use clone_schema::memory::{Fact, Provenance, Status, Tier};
use clone_schema::{Body, Origin, Timestamp};
use serde::{Deserialize, Serialize};

use crate::memory::fact::ask::Asks;
use crate::memory::fact::cue::cues;
use crate::memory::fact::habit::Habits;
use crate::memory::fact::named::Named;
use crate::memory::fact::refrain::Refrains;
use crate::memory::fact::stated::Stated;
use crate::memory::fact::support::{Support, lower_bound};
use crate::memory::session::Told;
use crate::memory::words::spoken;

/// The most stated rules and the most commands that are held.
pub const MAX_CLAIMS: usize = 2_000;
/// The longest text of a fact, in characters.
pub const MAX_TEXT: usize = 240;
/// Importance of a strong fact.
pub const STRONG: f64 = 0.9;
/// Importance of a candidate.
pub const CANDIDATE: f64 = 0.3;
/// How long a candidate waits for a second time, in seconds.
pub const STAGED_SECONDS: i64 = 14 * 24 * 3_600;

/// The importance of a tentative fact whose weight is from 0 to 1.
fn tentative(weight: f64) -> f64 {
    ((0.4 + 0.2 * weight.clamp(0.0, 1.0)) * 1000.0).round() / 1000.0
}

/// Counts what the person does, and says it as facts.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Miner {
    stated: Stated,
    refrains: Refrains,
    commands: BTreeMap<String, Support>,
    habits: Habits,
    asks: Asks,
    named: Named,
    prompts: u32,
    /// When the newest event happened.
    now: Timestamp,
}

impl Miner {
    /// Takes one event in; `before` is the agent's last text in the session, when no other prompt came between.
    pub fn observe(&mut self, told: &Told, before: Option<&str>) {
        let event = &told.event;
        if event.origin() != Origin::Typed {
            return;
        }
        self.now = self.now.max(event.occurred_at);
        let prompt = match &event.body {
            Body::AgentPrompt { prompt, .. } => prompt,
            Body::AgentChoice(Choice { outcome: Outcome::Other, choice: Some(words), .. }) => {
                cues(&spoken(words)).into_iter().for_each(|cue| self.stated.observe(cue, told));
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
        let sentences = spoken(prompt);
        let found = cues(&sentences);
        self.refrains.observe(told, &sentences, &found);
        found.into_iter().for_each(|cue| self.stated.observe(cue, told));
        let normal = sentences.into_iter().map(normal).collect::<Vec<_>>().join("  ");
        self.asks.observe(told, &normal);
        self.named.observe(told, &normal);
        if let Some(before) = before {
            self.habits.observe(told, before, prompt);
        }
    }

    /// Every fact that the events so far support, by id; a candidate that was not said again in time is none.
    #[must_use]
    pub fn facts(&self) -> Vec<Fact> {
        let commands = self.commands.iter().filter_map(|(name, support)| self.command(name, support));
        let mut facts: Vec<Fact> = self.stated.facts(self.now).collect();
        self.refrains.join(&mut facts, &self.stated);
        facts.extend(commands.chain(self.habits.facts()));
        facts.extend(self.asks.facts(self.prompts).chain(self.named.facts(self.prompts)));
        facts.sort_by(|a, b| a.id.cmp(&b.id));
        facts
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
        let mut fact = support.fact(claim, format!("Uses the command {name}"), self.prompts, Tier::Tentative)?;
        fact.importance = tentative(f64::from(support.sessions()) / 10.0);
        Some(fact)
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
            importance: importance(tier, self.count()),
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

/// The importance of a tier; the more a strong fact was seen, the higher it stands.
fn importance(tier: Tier, count: u32) -> f64 {
    match tier {
        Tier::Strong => STRONG + 0.01 * f64::from(count.saturating_sub(5).min(9)),
        Tier::Tentative => 0.5,
        Tier::Candidate => CANDIDATE,
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

    /// Statements a day apart in one project each, in as many sessions: (project, words).
    fn told_daily(statements: &[(&str, &str)]) -> Vec<Fact> {
        let mut miner = Miner::default();
        for (n, (project, text)) in statements.iter().enumerate() {
            let mut event = prompt(&format!("e{n}"), &format!("s{n}"), n as i64 * 86_400, text);
            event.meta =
                Some(Meta { origin: Some(Origin::Typed), project: Some((*project).to_owned()), ..Meta::default() });
            miner.observe(&Told { position: Position(n as u64), event }, None);
        }
        miner.facts()
    }

    fn active(facts: &[Fact]) -> Vec<(&str, &str)> {
        let active = facts.iter().filter(|fact| fact.status == Status::Active);
        let mut active: Vec<_> = active.map(|fact| (fact.claim.value.as_str(), fact.claim.scope.as_str())).collect();
        active.sort_unstable();
        active
    }

    #[test]
    fn five_times_in_two_sessions_is_strong() {
        let rule = "Always run the linter before you commit.";
        let once = mined(&[("s1", rule)]);
        assert_eq!((once.len(), once[0].tier, once[0].importance), (1, Tier::Tentative, 0.55));
        assert_eq!((once[0].text.as_str(), once[0].provenance), (rule, Provenance::Stated));
        let often = mined(&[
            ("s1", rule),
            ("s2", rule),
            ("s2", rule),
            ("s3", rule),
            ("s3", "before you commit, always run the linter"),
        ]);
        assert_eq!((often.len(), often[0].tier, often[0].support), (1, Tier::Strong, 5));
        assert!(often[0].importance >= STRONG);
        assert_eq!(often[0].id, once[0].id);
        let one_session = mined(&[("s1", rule); 6]);
        assert_eq!(one_session[0].tier, Tier::Tentative);
    }

    #[test]
    fn wordings_of_one_rule_are_one() {
        let facts = mined(&[
            ("s1", "Always run the tests before you commit."),
            ("s2", "Please always run tests before committing"),
            ("s3", "never commit without running the tests"),
            ("s4", "From now on run the tests before every commit"),
            ("s5", "Before every commit, always run the tests"),
        ]);
        let facts: Vec<_> = facts.into_iter().filter(|fact| fact.claim.kind == "preference").collect();
        assert_eq!((facts.len(), facts[0].tier, facts[0].sessions), (1, Tier::Strong, 5), "{facts:?}");
    }

    #[test]
    fn once_without_a_standing_word_waits_two_weeks() {
        let facts = told_daily(&[("a", "use pnpm please")]);
        assert_eq!((facts[0].tier, facts[0].status), (Tier::Candidate, Status::Pending));
        let day = |days: i64| prompt("later", "s9", days * 86_400, "what is next");
        for (days, kept) in [(14, true), (15, false)] {
            let mut miner = Miner::default();
            let event = prompt("e", "s", 0, "use pnpm please");
            miner.observe(&Told { position: Position(0), event }, None);
            miner.observe(&Told { position: Position(1), event: day(days) }, None);
            assert_eq!(!miner.facts().is_empty(), kept, "after {days} days");
        }
        let again = told_daily(&[("a", "use pnpm please"), ("a", "use pnpm")]);
        assert_eq!((again.len(), again[0].tier, again[0].status), (1, Tier::Tentative, Status::Active));
    }

    #[test]
    fn the_newer_word_closes_the_older() {
        for newer in [
            "We switched from npm to pnpm.",
            "From now on use pnpm instead of npm",
            "I no longer use npm, it's pnpm now",
            "Actually, we've moved over to pnpm",
            "npm is out, pnpm is in",
            "Always use pnpm",
            "My package manager of choice is pnpm",
        ] {
            let facts = told_daily(&[("a", "Always use npm"), ("a", newer)]);
            assert_eq!(active(&facts), [("pnpm", "")], "{newer:?}: {facts:?}");
            let old = facts.iter().find(|fact| fact.claim.value == "npm").expect("kept");
            assert_eq!(old.valid_until.map(|at| at.as_second()), Some(86_400), "{newer:?}");
        }
        let backwards = told_daily(&[("a", "We switched from npm to pnpm."), ("a", "We switched from pnpm to npm.")]);
        assert_eq!(active(&backwards), [("npm", "")]);
    }

    #[test]
    fn an_old_transcript_imported_late_closes_nothing() {
        let mut miner = Miner::default();
        for (n, (second, text)) in [(86_400, "Always use pnpm"), (0, "Always use npm")].iter().enumerate() {
            let event = prompt(&n.to_string(), &n.to_string(), *second, text);
            miner.observe(&Told { position: Position(n as u64), event }, None);
        }
        assert_eq!(active(&miner.facts()), [("pnpm", "")]);
    }

    #[test]
    fn what_differs_between_projects_holds_in_each() {
        let facts = told_daily(&[("atlas", "Always use tabs"), ("borea", "Always use spaces")]);
        assert_eq!(active(&facts), [("spaces", "borea"), ("tabs", "atlas")]);
        let facts = told_daily(&[
            ("x", "In the atlas repo, use tabs from now on"),
            ("x", "In the borea repo always use spaces"),
        ]);
        assert_eq!(active(&facts), [("spaces", "borea"), ("tabs", "atlas")]);
        let facts = told_daily(&[("atlas", "Always use tabs"), ("borea", "From now on use spaces instead of tabs")]);
        assert_eq!(active(&facts), [("spaces", "")]);
    }

    #[test]
    fn the_opposite_closes_the_older() {
        let facts = mined(&[("s1", "always use tabs for indentation"), ("s2", "never use tabs for indentation")]);
        let find = |polarity: &str| facts.iter().find(|fact| fact.claim.polarity == polarity).expect("both");
        assert_eq!((find("+").status, find("+").valid_until), (Status::Archived, Some(find("-").created)));
        assert_eq!((find("-").status, find("-").valid_until), (Status::Active, None));
        let loose = mined(&[("s1", "always add comments to tests"), ("s2", "never add any comments to the tests")]);
        assert_eq!(active(&loose).len(), 1);
    }

    #[test]
    fn what_takes_the_place_of_something_strong_is_asked_about() {
        let strong = [("a", "Always use tabs"); 5];
        let facts = told_daily(&[&strong[..], &[("a", "Always use spaces")]].concat());
        let new = facts.iter().find(|fact| fact.claim.value == "spaces").expect("there");
        assert_eq!((new.gate.as_deref(), new.status), (Some("contradiction"), Status::Active));
        let facts = told_daily(&[&strong[..], &[("a", "We switched from tabs to spaces")]].concat());
        assert!(facts.iter().all(|fact| fact.gate.is_none()));
        assert_eq!(active(&facts), [("spaces", "")]);
    }

    #[test]
    fn the_opposite_counts_at_the_same_instant_and_not_in_another_scope() {
        let mut miner = Miner::default();
        for (n, text) in
            ["never use tabs here", "always use tabs here", "never use tabs in this project"].iter().enumerate()
        {
            let mut event = prompt(&n.to_string(), "s", 7, text);
            event.meta = Some(Meta { origin: Some(Origin::Typed), project: Some("p".into()), ..Meta::default() });
            miner.observe(&Told { position: Position(n as u64), event }, None);
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
