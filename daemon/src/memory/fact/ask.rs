//! What the person asks of agents again and again: known wishes, by the words that say them.
//!
//! Every wish is read off phrases that say nothing else, so that each cited prompt shows it. What any agent is asked for
//! (a commit, a test, a review) is not listed: it says nothing about this person, and its words stand in refusals as well.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use clone_schema::id::Claim;
use clone_schema::memory::{Fact, Tier};
use serde::{Deserialize, Serialize};

use crate::memory::fact::support::Support;
use crate::memory::fact::tentative;
use crate::memory::session::Told;
use crate::memory::words::Phrases;

/// A wish is told when it was had this often.
const MIN_COUNT: u32 = 4;
/// A wish is told when it was had in this many sessions.
const MIN_SESSIONS: u32 = 3;

/// A wish: its name, how it is told, and the phrases that say it.
struct Wish {
    name: &'static str,
    told: &'static str,
    phrases: &'static [&'static str],
}

#[rustfmt::skip]
const WISHES: &[Wish] = &[
    Wish {
        name: "questions first",
        told: "Repeatedly asks agents to put clarifying questions before they act",
        phrases: &[
            "ask any questions", "ask me any questions", "ask any additional questions",
            "ask me any additional questions", "ask additional questions", "ask clarifying questions",
            "ask me clarifying questions", "ask any clarifying questions", "ask questions if",
            "if anything is unclear please ask", "ask me questions", "ask me if", "ask if anything",
            "1 clarifying question", "one clarifying question", "ask me one question", "hazme preguntas",
            "pregúntame", "ask any question", "feel free to ask", "let me know if you have any questions",
            "any questions for me", "any clarifying questions",
        ],
    },
    Wish {
        name: "no changes yet",
        told: "Repeatedly asks agents to explain or plan without changing any code",
        phrases: &[
            "don t write code", "don t write any code", "do not write code", "do not write any code",
            "don t make any changes", "do not make any changes", "don t make changes", "don t change anything",
            "do not change anything", "don t implement", "do not implement", "don t do anything",
            "do not take any action", "do not take action", "don t take any action", "without making changes",
            "without making any changes", "before making any changes", "before making changes", "no code yet",
            "don t code", "do not code", "before taking any action", "before you implement", "don t edit",
            "only report back", "do not do any work", "no hagas nada", "no modifiques nada",
            "sin modificar", "do not jump to", "no desarrolles", "just research",
            "research only",
        ],
    },
    Wish {
        name: "plan first",
        told: "Repeatedly asks for a plan before the work",
        phrases: &[
            "make a plan", "create a plan", "create a new plan", "make a new plan", "write a plan",
            "come up with a plan", "give me a plan", "draft a plan", "propose a plan", "see your plan",
            "make a specific plan", "create a high level plan", "plan this out", "let s plan", "plan first",
            "explain your plan", "write up a plan", "create an implementation plan", "haz un plan",
            "outline a plan", "create a detailed plan", "show me the plan", "help me plan",
        ],
    },
    Wish {
        name: "documentation",
        told: "Repeatedly asks agents to keep documentation or the changelog up to date",
        phrases: &[
            "update the readme", "update readme", "update the docs", "update docs", "update the documentation",
            "update our docs", "update the changelog", "update changelog", "write documentation",
            "update our md docs", "update any documentation", "update that doc", "actualiza la documentación",
            "document this", "update the architecture doc", "add a changelog",
        ],
    },
    Wish {
        name: "reasons",
        told: "Repeatedly asks agents to explain the reasons, not only the result",
        phrases: &[
            "why or why not", "explain why", "explain the thought process", "explain your reasoning", "explain the reasons",
            "explain your choice", "explain the reasoning",
        ],
    },
    Wish {
        name: "opinion",
        told: "Repeatedly asks agents for their opinion before deciding",
        phrases: &[
            "what do you think", "what are your thoughts", "what would you recommend", "what do you recommend", "how would you approach",
            "what would you suggest", "te parece", "qué opinas", "your recommendation", "is that a good idea",
            "is this a good idea", "is there a better way",
        ],
    },
    Wish {
        name: "root cause",
        told: "Repeatedly asks agents to find the root cause or go back to first principles",
        phrases: &["root cause", "first principles", "underlying cause", "real cause", "causa raíz", "actual cause"],
    },
    Wish {
        name: "simplicity",
        told: "Repeatedly asks agents to keep the solution simple",
        phrases: &[
            "keep it simple", "as simple as possible", "simple as possible", "keep things simple",
            "simplest approach", "simplest solution", "don t overcomplicate", "do not overcomplicate",
            "over engineer", "overengineer", "keep this simple", "lo más simple",
        ],
    },
    Wish {
        name: "research first",
        told: "Repeatedly asks agents to research before they answer",
        phrases: &[
            "do some research", "research on", "search the web", "search the internet", "do some web research",
            "deep research", "investigate further", "look into the code", "do research", "search online",
            "research how", "check the internet", "look it up", "best practices online",
            "internet for best practices",
        ],
    },
    Wish {
        name: "step by step",
        told: "Repeatedly asks to go one step at a time",
        phrases: &[
            "step by step", "one step at a time", "one thing at a time", "one at a time", "paso a paso",
            "1 at a time", "small steps", "one question at a time",
        ],
    },
    Wish {
        name: "tidying",
        told: "Repeatedly asks agents to clean up or consolidate code",
        phrases: &[
            "clean up", "please consolidate", "remove unused", "dead code", "refactor this",
            "simplify the", "remove duplicate", "let s refactor", "deduplicate",
        ],
    },
];

/// How often each wish was had.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Asks {
    wishes: BTreeMap<String, Support>,
}

impl Asks {
    /// Takes in a prompt, whose sentences are in normal form and parted by two spaces.
    pub(super) fn observe(&mut self, told: &Told, sentences: &str) {
        static PHRASES: OnceLock<Phrases<&'static str>> = OnceLock::new();
        let phrases = PHRASES.get_or_init(|| {
            Phrases::new(WISHES.iter().flat_map(|wish| wish.phrases.iter().map(|phrase| (*phrase, wish.name))))
        });
        let had: BTreeSet<&str> = phrases.find(sentences).map(|(_, _, wish)| wish).collect();
        for wish in had {
            self.wishes.entry(wish.to_owned()).or_default().add(told);
        }
    }

    pub(super) fn facts(&self, prompts: u32) -> impl Iterator<Item = Fact> + '_ {
        WISHES.iter().filter_map(move |wish| {
            let support = self.wishes.get(wish.name)?;
            if !is_repeated(support) {
                return None;
            }
            let claim = Claim {
                kind: "habit".into(),
                subject: "user".into(),
                attribute: "asks for".into(),
                scope: String::new(),
                value: wish.name.into(),
                polarity: "+".into(),
            };
            let mut fact = support.fact(claim, wish.told.to_owned(), prompts, Tier::Tentative)?;
            fact.importance = tentative(f64::from(support.sessions()) / 20.0);
            Some(fact)
        })
    }
}

/// Often enough in three sessions, or half as often again in two.
fn is_repeated(support: &Support) -> bool {
    let (count, sessions) = (support.count(), support.sessions());
    sessions >= MIN_SESSIONS && count >= MIN_COUNT || sessions >= 2 && count >= MIN_COUNT + MIN_COUNT / 2
}

#[cfg(test)]
mod tests {
    use clone_schema::Position;
    use clone_schema::id::normal;

    use super::*;
    use crate::memory::session::tests::prompt;

    #[test]
    fn a_wish_had_in_three_sessions_is_told() {
        let mut asks = Asks::default();
        for (n, session) in ["a", "b", "c", "c"].iter().enumerate() {
            let words = "plan the view  ask any additional questions";
            let event = prompt(&n.to_string(), session, n as i64, words);
            asks.observe(&Told { position: Position(n as u64), event }, words);
            asks.observe(
                &Told { position: Position(9), event: prompt("x", session, 9, "") },
                "> git commit\nwhat a question",
            );
        }
        let facts: Vec<_> = asks.facts(8).collect();
        assert_eq!(facts.len(), 1);
        assert_eq!((facts[0].claim.value.as_str(), facts[0].support, facts[0].sessions), ("questions first", 4, 3));
    }

    #[test]
    fn phrases_are_in_normal_form() {
        for phrase in WISHES.iter().flat_map(|wish| wish.phrases) {
            assert_eq!(normal(phrase), *phrase);
        }
    }
}
