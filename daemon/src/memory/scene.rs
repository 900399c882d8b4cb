//! What an agent's last words put in front of the person, by simple word scans.
//!
//! English only: a scene that is not recognised costs a habit, a wrong one would make it up.

use clone_schema::text::last_chars;
use serde::{Deserialize, Serialize};

/// How much of the end of an agent's text is read, in characters.
pub const READ: usize = 1_200;

/// A kind of situation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Scene {
    /// The agent offers to do something and waits.
    Offer,
    /// The agent asks something else.
    Question,
    /// The agent shows a plan.
    Plan,
    /// Tests failed.
    TestsFailed,
    /// Tests passed.
    TestsPassed,
    /// Something went wrong.
    Error,
    /// The agent says that it is done.
    Done,
    /// The agent said what it does next and stopped there.
    Midway,
    /// The agent names what it did: a place in `DEEDS`.
    Did(u8),
}

/// What an agent may say that it did: the word, and how a sentence about it begins. Places are kept: state holds them.
#[rustfmt::skip]
const DEEDS: &[(&str, &str)] = &[
    ("refactored", "After a refactoring"), ("fixed", "After a fix"), ("updated", "After an update"), ("added", "After an addition"),
    ("removed", "After a removal"), ("renamed", "After a renaming"), ("wrote", "After an agent wrote something"),
    ("moved", "After a move"), ("created", "After an agent created something"), ("implemented", "After an implementation"),
    ("deployed", "After a deployment"), ("installed", "After an installation"), ("merged", "After a merge"),
    ("migrated", "After a migration"), ("formatted", "After formatting"), ("documented", "After documentation was written"),
    ("upgraded", "After an upgrade"), ("reverted", "After something was reverted"), ("configured", "After a configuration"),
    ("cleaned", "After a clean-up"), ("replaced", "After a replacement"), ("deleted", "After a deletion"), ("pushed", "After a push"),
    ("committed", "After a commit"), ("opened", "After an agent opened something"), ("changed", "After a change"),
    ("extracted", "After an extraction"), ("optimized", "After an optimization"), ("generated", "After an agent generated something"),
    ("reviewed", "After a review"), ("released", "After a release"), ("rebased", "After a rebase"), ("split", "After a split"),
    ("simplified", "After a simplification"), ("bumped", "After a version was raised"), ("ported", "After a port"),
    ("rewrote", "After a rewrite"),
];

impl Scene {
    /// The word in a fact's attribute.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Offer => "offer",
            Self::Question => "question",
            Self::Plan => "plan",
            Self::TestsFailed => "tests-failed",
            Self::TestsPassed => "tests-passed",
            Self::Error => "error",
            Self::Done => "done",
            Self::Midway => "midway",
            Self::Did(deed) => DEEDS[usize::from(deed) % DEEDS.len()].0,
        }
    }

    /// The start of a sentence about it.
    #[must_use]
    pub fn when(self) -> &'static str {
        match self {
            Self::Offer => "When an agent offers to act",
            Self::Question => "When an agent asks a question",
            Self::Plan => "When an agent shows a plan",
            Self::TestsFailed => "After tests fail",
            Self::TestsPassed => "After the tests pass",
            Self::Error => "After an error",
            Self::Done => "When an agent reports that it is done",
            Self::Midway => "When an agent stops midway",
            Self::Did(deed) => DEEDS[usize::from(deed) % DEEDS.len()].1,
        }
    }
}

/// In order: what stands first wins, because the person answers the question rather than the report before it.
const SCANS: &[(Scene, &[&str])] = &[
    (Scene::Plan, &["here is the plan", "here's the plan", "here's my plan", "proposed plan", "implementation plan"]),
    (
        Scene::TestsFailed,
        &[
            "tests failed",
            "test failed",
            "tests are failing",
            "tests still fail",
            "failing tests",
            "tests are still failing",
        ],
    ),
    (Scene::TestsPassed, &["tests pass", "tests are passing", "tests passed", "test suite passes", "all green"]),
    (
        Scene::Error,
        &[
            "error occurred",
            "failed to",
            "i encountered an error",
            "build failed",
            "ran into an error",
            "failed after",
            "failed with",
            "timed out",
            "is stuck",
            "keep crashing",
            "keeps crashing",
        ],
    ),
    (
        Scene::Done,
        &[
            "successfully",
            "is complete",
            "are complete",
            "completed",
            "is now ready",
            "done!",
            "i've added",
            "i've updated",
            "i've fixed",
            "i have updated",
            "i've implemented",
            "summary of changes",
            "is now working",
        ],
    ),
];

const OFFERS: &[&str] = &[
    "shall i",
    "should i",
    "would you like me",
    "do you want me",
    "want me to",
    "ready to proceed",
    "may i",
    "let me know if you'd like me",
    "would you like to proceed",
    "if you want, i can",
];

const MIDWAY: &[&str] = &["let me ", "now let me ", "now i'll ", "next, i'll ", "i'll now ", "now let's "];

/// The scene at the end of an agent's text; none where nothing is recognised.
#[must_use]
pub fn scene(agent_text: &str) -> Option<Scene> {
    let end = last_chars(agent_text, READ).to_lowercase().replace('’', "'");
    let last = end.trim_end().rsplit("\n\n").next().unwrap_or_default();
    if OFFERS.iter().any(|offer| last.contains(offer)) {
        return Some(Scene::Offer);
    }
    if last.trim_end().ends_with(['?', '？']) {
        return Some(Scene::Question);
    }
    let line = last.lines().last().unwrap_or_default().trim_start().replace("let me know", "tell me");
    if MIDWAY.iter().any(|start| line.starts_with(start) || line.contains(&format!(". {start}"))) {
        return Some(Scene::Midway);
    }
    let scanned = SCANS.iter().find(|(_, words)| words.iter().any(|word| end.contains(word))).map(|(scene, _)| *scene);
    scanned.or_else(|| did(last))
}

/// What the last block of a text says that the agent did, in its first words.
fn did(last: &str) -> Option<Scene> {
    const BEFORE: &[&str] =
        &["i", "i've", "have", "just", "also", "now", "successfully", "ok", "done", "we", "and", "then", "has", "been"];
    let first = last.split_once(". ").map_or(last, |(first, _)| first);
    let words = first.split(|c: char| c.is_whitespace() || ".,:;!—-".contains(c)).filter(|word| !word.is_empty());
    let words: Vec<&str> = words.take(24).collect();
    let deed = |word: &str| DEEDS.iter().position(|(deed, _)| *deed == word);
    let own = words.iter().take(5).find(|word| !BEFORE.contains(word)).and_then(|word| deed(word));
    // `the branch has been pushed`
    let passive = || words.windows(3).find(|three| matches!(three[0], "has" | "have") && three[1] == "been");
    let at = own.or_else(|| passive().and_then(|three| deed(three[2])))?;
    u8::try_from(at).ok().map(Scene::Did)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenes() {
        let table = [
            ("All 12 tests pass.", Some(Scene::TestsPassed)),
            ("All tests pass.\n\nShall I commit?", Some(Scene::Offer)),
            ("2 tests failed, others passed", Some(Scene::TestsFailed)),
            ("Which database do you use?", Some(Scene::Question)),
            ("Here's the plan: one, two", Some(Scene::Plan)),
            ("I’ve updated the file.", Some(Scene::Done)),
            ("The build failed", Some(Scene::Error)),
            ("Tests pass.\n\nFound it. Let me mend the parser:", Some(Scene::Midway)),
            ("I refactored the parser as discussed.", Some(Scene::Did(0))),
            ("Looked around.\n\nFixed the bug in line 3.", Some(Scene::Did(1))),
            ("The branch has been pushed with 3 commits.", Some(Scene::Did(22))),
            ("The build of it failed after 12 seconds.", Some(Scene::Error)),
            ("The update changed nothing", None),
            ("Let me know how it goes", None),
            ("Reading the file", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(scene(text), expected, "{text:?}");
        }
    }
}
