//! `review.md`: what waits for the person, one line per choice, and what their ticks decide.
//!
//! Every choice ends with `^<gate id>-<choice>`. One ticked box of a gate decides it; two decide nothing and are a problem.
//! Lines that a person writes into the note stay, below ours.

use std::collections::BTreeMap;

use clone_schema::memory::{Fact, Status, Tier};

use crate::memory::fact::STAGED_SECONDS;
use crate::memory::gate::{self, Reason, gate_id};

/// The file.
pub const REVIEW: &str = "review.md";
/// The most entries of one heading; the rest waits behind them.
pub const MAX_ENTRIES: usize = 100;

const TITLE: &str = "# Review";
const INTRO: &str = "Tick one box of an entry and save; what is not ticked waits and is not used.";
const NOTHING: &str = "Nothing waits for you.";
const HEADINGS: [&str; 4] = [
    "## Sensitive",
    "## Permissions",
    "## Contradictions (the newer one is in use)",
    "## Seen once (dropped on its date unless it comes again)",
];

/// What the person decided about a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The claim may be used.
    Accept,
    /// The claim must not be inferred again.
    Reject,
}

impl Choice {
    /// The word in events and at the end of a line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Reject => "reject",
        }
    }

    /// The choice of a word; nothing for any other word.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Accept, Self::Reject].into_iter().find(|choice| choice.name() == name)
    }
}

/// The note, whole: what waits, in this order under each heading, then what the person wrote there.
#[must_use]
pub fn render(waiting: &[&Fact], own: &str) -> String {
    let mut groups: [Vec<String>; 4] = Default::default();
    for fact in waiting {
        let group = match gate::reason(fact) {
            Some(Reason::Sensitive(_)) => 0,
            Some(Reason::Action) => 1,
            Some(Reason::Contradiction) => 2,
            None => 3,
        };
        if groups[group].len() < MAX_ENTRIES {
            groups[group].push(entry(fact));
        }
    }
    let mut out = format!("{TITLE}\n\n{INTRO}\n");
    if groups.iter().all(Vec::is_empty) {
        out = format!("{TITLE}\n\n{NOTHING}\n");
    }
    for (heading, entries) in HEADINGS.iter().zip(&groups).filter(|(_, entries)| !entries.is_empty()) {
        out.push_str(&format!("\n{heading}\n\n{}", entries.concat()));
    }
    if !own.is_empty() {
        out.push('\n');
        out.push_str(own);
    }
    out
}

/// The two lines of one entry.
fn entry(fact: &Fact) -> String {
    let gate = gate_id(fact);
    let scope = if fact.claim.scope.is_empty() { String::new() } else { format!(" [in {}]", fact.claim.scope) };
    let why = fact.gate.as_deref().map_or_else(|| staged(fact), |why| format!(" ({why})"));
    let (accept, reject) = match gate::reason(fact) {
        Some(Reason::Contradiction) => ("accept and keep the newer:", "reject and go back to the older:"),
        _ => ("accept:", "reject and never infer again:"),
    };
    format!(
        "- [ ] {accept} {}{scope}{why} ^{gate}-accept\n- [ ] {reject} {}{scope} ^{gate}-reject\n",
        fact.text, fact.text
    )
}

/// Until when a candidate waits.
fn staged(fact: &Fact) -> String {
    let until = clone_schema::Timestamp::from_second(fact.updated.as_second().saturating_add(STAGED_SECONDS));
    until
        .map_or_else(|_| String::new(), |until| format!(" (until {})", until.to_string().get(..10).unwrap_or_default()))
}

/// Whether a fact waits in the note.
#[must_use]
pub fn waits(fact: &Fact) -> bool {
    fact.status == Status::Pending
        || fact.status == Status::Active
            && fact.gate.as_deref() == Some("contradiction")
            && fact.tier != Tier::Candidate
}

/// What the ticks in a note decide, and what is wrong with them.
#[must_use]
pub fn decisions(text: &str) -> (BTreeMap<String, Choice>, Vec<String>) {
    let mut ticked: BTreeMap<String, Vec<Choice>> = BTreeMap::new();
    for line in text.lines() {
        if let Some((gate, choice)) = anchor(line)
            && is_ticked(line)
        {
            ticked.entry(gate.to_owned()).or_default().push(choice);
        }
    }
    let mut problems = Vec::new();
    let mut decided = BTreeMap::new();
    for (gate, choices) in ticked {
        if choices.iter().any(|choice| *choice != choices[0]) {
            problems.push(format!("`{REVIEW}`: both boxes of `{gate}` are ticked, which decides nothing; untick one"));
        } else {
            decided.insert(gate, choices[0]);
        }
    }
    (decided, problems)
}

/// The gate and the choice that a line carries.
fn anchor(line: &str) -> Option<(&str, Choice)> {
    let (_, anchor) = line.trim_end().rsplit_once(" ^")?;
    let (gate, choice) = anchor.rsplit_once('-')?;
    gate.starts_with("gate-").then_some(())?;
    Some((gate, Choice::from_name(choice)?))
}

fn is_ticked(line: &str) -> bool {
    ["- [x]", "- [X]", "* [x]", "* [X]", "+ [x]", "+ [X]"].iter().any(|tick| line.trim_start().starts_with(tick))
}

/// What a person wrote into the note beside our lines.
#[must_use]
pub fn own(text: &str) -> String {
    let ours = |line: &str| {
        let line = line.trim_end();
        line.is_empty()
            || line == TITLE
            || line == INTRO
            || line == NOTHING
            || HEADINGS.contains(&line)
            || anchor(line).is_some()
    };
    let first = text.lines().position(|line| !ours(line));
    let Some(first) = first else { return String::new() };
    // Between their own lines blank ones are theirs too.
    let kept: Vec<&str> = text.lines().skip(first).filter(|line| line.trim().is_empty() || !ours(line)).collect();
    format!("{}\n", kept.join("\n").trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::fact::tests::mined;
    use crate::memory::gate::gated;

    fn waiting() -> Vec<Fact> {
        let said = [
            ("s1", "Remember that my wife is ill"),
            ("s1", "Always deploy to production at night"),
            ("s1", "use pnpm please"),
        ];
        mined(&said).into_iter().map(gated).filter(waits).collect()
    }

    #[test]
    fn one_line_per_choice_under_its_heading() {
        let facts = waiting();
        let note = render(&facts.iter().collect::<Vec<_>>(), "");
        assert_eq!(facts.len(), 3);
        for fact in &facts {
            for choice in ["accept", "reject"] {
                assert_eq!(note.matches(&format!(" ^{}-{choice}\n", gate_id(fact))).count(), 1, "{note}");
            }
        }
        assert!(
            note.contains("## Sensitive") && note.contains("## Permissions") && note.contains("(until 1970-01-15)")
        );
        assert_eq!(decisions(&note), (BTreeMap::new(), vec![]));
        assert_eq!(render(&[], ""), "# Review\n\nNothing waits for you.\n");
    }

    #[test]
    fn one_tick_decides_and_two_are_a_problem() {
        let facts = waiting();
        let gate = gate_id(&facts[0]);
        let note = render(&facts.iter().collect::<Vec<_>>(), "");
        let tick = |note: &str, choice: &str| {
            let line = note.lines().find(|line| line.ends_with(&format!("^{gate}-{choice}"))).expect("a line");
            note.replace(line, &line.replace("[ ]", "[x]"))
        };
        let once = tick(&note, "reject");
        assert_eq!(decisions(&once).0, BTreeMap::from([(gate.clone(), Choice::Reject)]));
        let twice = tick(&once, "accept");
        assert_eq!((decisions(&twice).0.len(), decisions(&twice).1.len()), (0, 1));
    }

    #[test]
    fn a_persons_own_lines_stay() {
        let facts = waiting();
        let note = render(&facts.iter().collect::<Vec<_>>(), "");
        assert_eq!(own(&note), "");
        let theirs = note.replace("## Permissions", "my own words\n\n- and a list\n\n## Permissions");
        assert_eq!(own(&theirs), "my own words\n\n- and a list\n");
        let again = render(&facts.iter().collect::<Vec<_>>(), &own(&theirs));
        assert_eq!((own(&again), again.contains("my own words")), (own(&theirs), true));
    }
}
