//! What the person comes back to whenever they say how they want things to be, in whatever words.
//!
//! Rules that the grammar reads are counted by what they say; said in other words each time, they are many rules said once. Here
//! sentences that sound like a standing wish ([`stance`]) are counted by the words that they share, and a rule that has some of the
//! same sentences gets the support of all of them.
//!
//! What would surprise: the opportunities of a refrain are all the sentences that hold its words, wishes or not, so that a word of
//! everyday work is none.

use std::collections::{BTreeMap, BTreeSet};

use clone_schema::Timestamp;
use clone_schema::id::{Claim, digest, normal};
use clone_schema::memory::{Fact, Provenance, Status, Tier};
use clone_schema::text::one_line;
use serde::{Deserialize, Serialize};

use crate::memory::fact::MAX_TEXT;
use crate::memory::fact::cue::{Cue, Force};
use crate::memory::fact::guard::{is_standing, place};
use crate::memory::fact::habit::middle;
use crate::memory::fact::run::runs;
use crate::memory::fact::stance::stance;
use crate::memory::fact::stated::{Stated, is_loose, scope};
use crate::memory::fact::support::{Support, lower_bound};
use crate::memory::session::Told;
use crate::memory::words::clip;

/// How likely a sentence must be to be a standing wish.
const STANDS: f64 = 0.5;
/// The same where words of it may say that it is for now, or somebody else's.
const DOUBTED: f64 = 0.8;
/// From here on a sentence leaves no doubt.
const PLAIN: f64 = 0.9;
/// How many sentences of a refrain leave no doubt.
const MIN_PLAIN: u32 = 2;
/// How likely its sentences are in the mean.
const MIN_LIKELY: f64 = 0.7;
/// The most words of a prompt that is read as one.
const WHOLE: usize = 40;
/// How often a refrain is said.
const MIN_COUNT: u32 = 5;
/// In how many sessions.
const MIN_SESSIONS: u32 = 2;
/// In how many wordings: what is said in the same words each time is a habit, or pasted.
const MIN_WORDINGS: usize = 3;
/// Up to this share of the wishes may be on the other side, and not the last two: who reads them errs.
const OTHER_SIDE: f64 = 0.3;
/// How many characters tell wordings apart.
const WORDING: usize = 12;
/// The most words that are held.
const MAX_ROWS: usize = 6_000;
/// The most scopes.
const MAX_SCOPES: usize = 32;

/// The words of standing wishes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Refrains {
    /// By scope and words.
    rows: BTreeMap<(String, String), Row>,
    scopes: BTreeSet<String>,
    clock: u64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Row {
    /// The words as they were said.
    shown: String,
    /// The plainest of the sentences, and how plain it is.
    text: String,
    plain: f64,
    /// Sentences for it, against it, and all that hold the words.
    pro: u32,
    con: u32,
    mentions: u32,
    /// How many of the wishes leave no doubt, and how likely all are taken together.
    plainly: u32,
    likely: f64,
    taken: u32,
    /// Whether the last of them that was either was against it, and how many before it in a row.
    last_con: bool,
    in_a_row: u32,
    seen: u64,
    /// When it first was a refrain: of the facts with its sentences, those known by then it is.
    told: Option<Timestamp>,
    /// The first wordings.
    wordings: BTreeSet<String>,
    support: Support,
}

/// A prompt's sentence or, for a short one, all of it.
struct Wish<'a> {
    text: String,
    stands: f64,
    cue: Option<&'a Cue>,
}

impl Refrains {
    /// Takes in the sentences of a prompt and the rules that were read in them.
    pub(super) fn observe(&mut self, told: &Told, sentences: &[&str], cues: &[Cue]) {
        self.clock += 1;
        let wishes = wishes(sentences, cues);
        let project = told.event.project().unwrap_or_default();
        for wish in &wishes {
            let lower = wish.text.to_lowercase();
            let at = wish.cue.map_or_else(|| place(&lower).1, |cue| cue.place.clone());
            let at = scope(&at, project);
            if self.scopes.len() == MAX_SCOPES && !self.scopes.contains(&at) {
                continue;
            }
            self.scopes.insert(at.clone());
            for run in runs(&wish.text) {
                let row = self.rows.entry((at.clone(), run.words)).or_default();
                row.take(wish, &run.shown, run.against, told);
                row.seen = self.clock;
            }
        }
        let mentioned: BTreeSet<String> =
            sentences.iter().flat_map(|sentence| runs(sentence)).map(|run| run.words).collect();
        for key in mentioned.into_iter().flat_map(|words| self.scopes.iter().map(move |at| (at.clone(), words.clone())))
        {
            if let Some(row) = self.rows.get_mut(&key) {
                row.mentions = row.mentions.saturating_add(1);
            }
        }
        if self.rows.len() > MAX_ROWS {
            let horizon = middle(self.rows.values().map(|row| row.seen));
            self.rows.retain(|_, row| row.support.count() > 1 && row.seen > horizon / 2 || row.seen > horizon);
        }
    }

    /// Puts the refrains into the facts that were stated: more support for what has some of the same sentences, which stand for
    /// all of them; a fact of its own where there is none.
    pub(super) fn join(&self, facts: &mut Vec<Fact>, stated: &Stated) {
        let stands = |(scope, words): &(String, String), row: &Row| {
            row.is_told() && !stated.is_over(scope, words, row.support.last())
        };
        let mut rows: Vec<(&(String, String), &Row)> = self.rows.iter().filter(|(key, row)| stands(key, row)).collect();
        rows.sort_by_key(|(key, row)| {
            (std::cmp::Reverse(row.support.count()), std::cmp::Reverse(key.1.split(' ').count()), *key)
        });
        let mut taken: Vec<BTreeSet<String>> = Vec::new();
        for ((scope, _), row) in rows {
            let mine: BTreeSet<String> = row.support.evidence().into_iter().map(|evidence| evidence.id).collect();
            if taken.iter().any(|other| mine.intersection(other).count() * 2 >= mine.len()) {
                continue;
            }
            if let Some(fact) = row.fact(scope) {
                put(facts, fact, &mine, row.told);
                taken.push(mine);
            }
        }
    }
}

/// Puts a refrain among the facts, in place of those that it is made of.
fn put(facts: &mut Vec<Fact>, refrain: Fact, mine: &BTreeSet<String>, told: Option<Timestamp>) {
    let common = |fact: &Fact| fact.evidence.iter().filter(|evidence| mine.contains(&evidence.id)).count();
    let mut same: Vec<usize> = (0..facts.len())
        .filter(|at| facts[*at].claim.kind == "preference" && common(&facts[*at]) * 2 > facts[*at].evidence.len())
        .collect();
    // What is over, or known as well already, stays what it is.
    if same.iter().any(|at| facts[*at].status == Status::Archived || facts[*at].tier == Tier::Strong) {
        return;
    }
    same.retain(|at| {
        facts[*at].claim.scope == refrain.claim.scope && facts[*at].claim.polarity == refrain.claim.polarity
    });
    // The first that was known before; what is read later changes no name. A property tells more than a loose rule.
    same.sort_by_key(|at| (is_loose(&facts[*at].claim.attribute), facts[*at].created, facts[*at].id.clone()));
    let known =
        same.first().copied().filter(|at| !is_loose(&facts[*at].claim.attribute) || Some(facts[*at].created) <= told);
    let joined = known.map_or_else(|| refrain.clone(), |at| with_support(&facts[at], &refrain));
    let gone: BTreeSet<String> = same
        .iter()
        .filter(|at| Some(**at) == known || is_loose(&facts[**at].claim.attribute))
        .map(|at| facts[*at].id.clone())
        .collect();
    facts.retain(|fact| !gone.contains(&fact.id));
    facts.push(joined);
}

/// A fact with all that supports the refrain it is part of.
fn with_support(known: &Fact, refrain: &Fact) -> Fact {
    // The words of a property are plainer than what its sentences share.
    let text = if is_loose(&known.claim.attribute) { &refrain.text } else { &known.text };
    let mut evidence = known.evidence.clone();
    evidence.extend(refrain.evidence.iter().filter(|new| !known.evidence.contains(new)).cloned());
    Fact {
        id: known.id.clone(),
        claim: known.claim.clone(),
        tags: known.tags.clone(),
        text: text.clone(),
        evidence,
        ..refrain.clone()
    }
}

impl Row {
    fn take(&mut self, wish: &Wish<'_>, shown: &str, against: Option<bool>, told: &Told) {
        if self.shown.is_empty() {
            shown.clone_into(&mut self.shown);
        }
        if let Some(against) = against {
            let side = if against { &mut self.con } else { &mut self.pro };
            *side = side.saturating_add(1);
            self.in_a_row = if self.last_con == against { self.in_a_row.saturating_add(1) } else { 1 };
            self.last_con = against;
        }
        if self.wordings.len() < MIN_WORDINGS {
            self.wordings.insert(digest(&[&normal(&wish.text)], WORDING));
        }
        if wish.stands > self.plain {
            (self.plain, self.text) = (wish.stands, clip(&wish.text, MAX_TEXT));
        }
        self.plainly = self.plainly.saturating_add(u32::from(wish.stands >= PLAIN));
        self.likely += wish.stands;
        self.taken = self.taken.saturating_add(1);
        self.support.add(told);
        if self.told.is_none() && self.is_told() {
            self.told = Some(told.event.occurred_at);
        }
    }

    fn is_told(&self) -> bool {
        let (k, n) = (self.support.count(), self.mentions.max(self.support.count()));
        let other = self.pro.min(self.con);
        let turned = other > 0 && self.in_a_row >= 2 && self.last_con == (self.con < self.pro);
        let sided = f64::from(other) <= OTHER_SIDE * f64::from(k) && !turned;
        let sure = self.plainly >= MIN_PLAIN && self.likely >= MIN_LIKELY * f64::from(self.taken);
        sure && k >= MIN_COUNT
            && self.wordings.len() == MIN_WORDINGS
            && self.support.sessions() >= MIN_SESSIONS
            && lower_bound(k, n) >= 0.5
            && sided
    }

    fn fact(&self, scope: &str) -> Option<Fact> {
        let claim = Claim {
            kind: "preference".into(),
            subject: "user".into(),
            attribute: "practice".into(),
            scope: scope.to_owned(),
            value: normal(&self.shown),
            polarity: if self.con > self.pro { "-" } else { "+" }.into(),
        };
        let n = self.mentions.max(self.support.count());
        let mut fact = self.support.fact(claim, self.text.clone(), n, Tier::Strong)?;
        fact.provenance = Provenance::Stated;
        Some(fact)
    }
}

/// What stands for good in a prompt.
fn wishes<'a>(sentences: &[&str], cues: &'a [Cue]) -> Vec<Wish<'a>> {
    let whole = one_line(&sentences.join(" "));
    if (2..=3).contains(&sentences.len()) && whole.split_whitespace().count() <= WHOLE {
        return wish(&whole, cues).into_iter().collect();
    }
    sentences.iter().filter_map(|sentence| wish(sentence, cues)).collect()
}

fn wish<'a>(sentence: &str, cues: &'a [Cue]) -> Option<Wish<'a>> {
    let text = one_line(sentence);
    if text.ends_with(['?', '？', ':', '：']) {
        return None;
    }
    let cue = cues.iter().find(|cue| cue.force >= Force::Standing && text.contains(&cue.text));
    let stands = stance(&text);
    let least = if is_standing(&text.to_lowercase()) { STANDS } else { DOUBTED };
    (cue.is_some() || stands >= least).then_some(Wish { text, stands, cue })
}

#[cfg(test)]
mod tests {
    use crate::memory::fact::tests::mined;

    use super::*;

    const WAYS: [&str; 6] = [
        "as a rule I want every chart in viridis",
        "you picked rainbow colours again, with me it is always viridis",
        "whenever you plot something use viridis please, that's how I do it everywhere",
        "for the record: viridis for all my figures",
        "My default is viridis, in every notebook.",
        "from now on viridis only, I'm colour blind",
    ];

    fn told(prompts: &[&str]) -> Vec<Fact> {
        let sessions = ["s1", "s2", "s3"];
        let prompts: Vec<(&str, &str)> = prompts.iter().enumerate().map(|(n, text)| (sessions[n % 3], *text)).collect();
        let facts = mined(&prompts).into_iter().filter(|fact| fact.claim.kind == "preference");
        facts.filter(|fact| fact.tier == Tier::Strong && fact.status == Status::Active).collect()
    }

    #[test]
    fn one_wish_in_other_words_each_time_is_one_strong_fact() {
        let facts = told(&WAYS);
        assert_eq!(facts.len(), 1, "{facts:#?}");
        let fact = &facts[0];
        assert_eq!((fact.support, fact.claim.polarity.as_str(), fact.evidence.len()), (6, "+", 6));
        assert!(WAYS.contains(&fact.text.as_str()) && fact.text.contains("viridis"), "{}", fact.text);
        let all = mined(&WAYS.map(|text| (if text.len() % 2 == 0 { "s1" } else { "s2" }, text)));
        let about = |fact: &&Fact| fact.text.contains("viridis");
        assert_eq!(
            all.iter().filter(about).count(),
            1,
            "the rules that it is made of stand for themselves no more: {all:#?}"
        );
    }

    #[test]
    fn the_same_words_each_time_are_no_refrain() {
        assert_eq!(
            told(&["for the record: viridis for all my figures"; 6])
                .iter()
                .filter(|fact| fact.text.contains("viridis"))
                .count(),
            0
        );
    }

    #[test]
    fn a_word_of_everyday_work_is_none() {
        let mut prompts = WAYS.to_vec();
        prompts.extend(
            [
                "why is viridis so dark in the third plot",
                "rename viridis.py to colours.py",
                "show viridis next to magma",
            ]
            .repeat(4),
        );
        assert_eq!(told(&prompts), []);
    }

    #[test]
    fn what_is_said_for_and_against_is_none() {
        let against = [
            "never use viridis, in any notebook of mine",
            "I don't want viridis in my figures, ever",
            "as a rule no viridis for me",
        ];
        assert_eq!(told(&[&WAYS[..4], &against].concat()), []);
    }

    #[test]
    fn what_is_over_is_none() {
        assert_eq!(
            told(&[&WAYS[..], &["We switched from viridis to magma."]].concat())
                .iter()
                .filter(|fact| fact.text.contains("viridis") && !fact.text.contains("magma"))
                .count(),
            0
        );
    }

    #[test]
    fn words_are_bounded() {
        let mut refrains = Refrains::default();
        for n in 0..3_000 {
            let text = format!("as a rule i always want alpha{n} beta{n} gamma{n} delta{n} in all my code");
            let event = crate::memory::session::tests::prompt(&n.to_string(), "s", n, &text);
            refrains.observe(&Told { position: clone_schema::Position(0), event }, &[&text], &[]);
            assert!(refrains.rows.len() <= MAX_ROWS + 64);
        }
    }
}
