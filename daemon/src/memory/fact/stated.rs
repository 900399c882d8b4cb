//! What the person stated, what of it still holds, and since when.
//!
//! Statements come in the order of the log but count in the order in which they were said, so that an old transcript
//! imported late closes nothing that is newer.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use clone_schema::id::{Claim, normal};
use clone_schema::memory::{Evidence, Fact, Provenance, Status, Tier};
use clone_schema::time::seconds_between;
use clone_schema::{Position, Timestamp};
use serde::{Deserialize, Serialize};

use crate::memory::fact::cue::{Cue, Force};
use crate::memory::fact::guard::Place;
use crate::memory::fact::support::{Support, lower_bound};
use crate::memory::fact::topic::topic;
use crate::memory::fact::{CANDIDATE, MAX_CLAIMS, MAX_TEXT, STAGED_SECONDS, tentative};
use crate::memory::session::Told;
use crate::memory::words::{clip, likeness, stems};

/// From here on two wordings are the same rule, whatever each has of its own.
const SAME: f64 = 0.8;
/// From here on they are where one only says more than the other.
const MORE: f64 = 0.6;
/// The most projects that a rule remembers.
const MAX_PROJECTS: usize = 16;
/// Properties that hold many rules at once, and so are told apart by the rules' words.
const LOOSE: &[&str] = &["tool", "workflow", "style", "practice", "taste"];
/// Whether a property holds many rules at once.
pub(super) fn is_loose(attribute: &str) -> bool {
    LOOSE.contains(&attribute)
}

/// The gate of a claim that takes the place of a strong one.
pub(super) const CONTRADICTION: &str = "contradiction";

/// A time and, for like times, a place in the log.
type When = (Timestamp, Position);

/// Everything that was stated.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Stated {
    rules: BTreeMap<Key, Rule>,
    /// Scope and value of what was said to be over, and when last.
    ended: BTreeMap<(String, String), (When, Evidence)>,
}

/// What makes two statements the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Key {
    kind: String,
    attribute: String,
    scope: String,
    value: String,
    positive: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Rule {
    text: String,
    force: Force,
    single: bool,
    stems: BTreeSet<String>,
    projects: BTreeSet<String>,
    support: Support,
}

/// How a claim came to its end.
struct End {
    at: Timestamp,
    by: Option<Evidence>,
}

impl Stated {
    pub(super) fn observe(&mut self, cue: Cue, told: &Told) {
        let project = told.event.project().unwrap_or_default();
        let scope = scope(&cue.place, project);
        if let Some(old) = &cue.retires {
            self.retire(scope.clone(), old.clone(), told);
        }
        let key = self.key(&cue, scope);
        if self.rules.len() >= MAX_CLAIMS && !self.rules.contains_key(&key) {
            return;
        }
        let rule = self.rules.entry(key).or_insert_with(|| Rule {
            text: clip(&cue.text, MAX_TEXT),
            force: cue.force,
            single: cue.single,
            stems: gist(&cue.value),
            projects: BTreeSet::new(),
            support: Support::default(),
        });
        if cue.force > rule.force {
            (rule.force, rule.text) = (cue.force, clip(&cue.text, MAX_TEXT));
        }
        rule.single |= cue.single;
        if !project.is_empty() && rule.projects.len() < MAX_PROJECTS {
            rule.projects.insert(project.to_owned());
        }
        rule.support.add(told);
    }

    fn retire(&mut self, scope: String, value: String, told: &Told) {
        if self.ended.len() >= MAX_CLAIMS {
            return;
        }
        let when = (told.event.occurred_at, told.position);
        let evidence = Evidence { id: told.event.id.clone(), origin: told.event.origin() };
        let known = self.ended.entry((scope, value)).or_insert_with(|| (when, evidence.clone()));
        if known.0 < when {
            *known = (when, evidence);
        }
    }

    /// The key of a cue: that of a like rule where there is one, and the property of what it replaces.
    fn key(&self, cue: &Cue, scope: String) -> Key {
        let mut key = Key {
            kind: cue.kind.to_owned(),
            attribute: cue.attribute.clone(),
            scope,
            value: cue.value.clone(),
            positive: cue.positive,
        };
        if let Some(old) = cue.retires.as_ref().filter(|_| key.attribute == "tool")
            && let Some(replaced) = self.rules.iter().find(|(known, _)| known.positive && known.value == *old)
        {
            key.attribute.clone_from(&replaced.0.attribute);
            key.kind.clone_from(&replaced.0.kind);
        }
        if !LOOSE.contains(&key.attribute.as_str()) {
            return key;
        }
        // `never commit without tests` says `test before you commit`.
        if !key.positive && asks_for_more(&key.value) {
            key.positive = true;
        }
        let (own, about) = (gist(&key.value), topic(&key.value));
        let like = |(known, rule): &(&Key, &Rule)| {
            LOOSE.contains(&known.attribute.as_str())
                && (&known.kind, &known.scope, known.positive) == (&key.kind, &key.scope, key.positive)
                && (is_same(&rule.stems, &own) || about.is_some() && topic(&known.value) == about)
        };
        self.rules.iter().find(like).map_or(key.clone(), |(known, _)| known.clone())
    }

    pub(super) fn facts(&self, now: Timestamp) -> impl Iterator<Item = Fact> + '_ {
        self.rules.iter().filter_map(move |(key, rule)| self.fact(key, rule, now))
    }

    fn fact(&self, key: &Key, rule: &Rule, now: Timestamp) -> Option<Fact> {
        let against = self.against(key, rule);
        let (count, sessions) = (rule.support.count(), rule.support.sessions());
        let tier = tier(rule, against);
        let staged = seconds_between(rule.support.newest()?, now);
        if tier == Tier::Candidate && staged > STAGED_SECONDS {
            return None;
        }
        let claim = Claim {
            kind: key.kind.clone(),
            subject: "user".to_owned(),
            attribute: key.attribute.clone(),
            scope: self.scope_of(key, rule),
            value: key.value.clone(),
            polarity: if key.positive { "+" } else { "-" }.into(),
        };
        let mut fact = rule.support.fact(claim, rule.text.clone(), count.saturating_add(against), tier)?;
        match tier {
            Tier::Tentative if rule.force >= Force::Standing => {
                fact.importance = if sessions >= 2 { 0.6 } else { 0.55 }
            }
            Tier::Tentative => fact.importance = tentative(lower_bound(count, count + against)),
            Tier::Candidate => (fact.importance, fact.status) = (CANDIDATE, Status::Pending),
            Tier::Strong => {}
        }
        if rule.force >= Force::Standing {
            fact.provenance = Provenance::Stated;
        }
        if let Some(End { at, by }) = self.end(key, rule) {
            (fact.valid_until, fact.status) = (Some(at), Status::Archived);
            fact.evidence.extend(by.filter(|by| !fact.evidence.contains(by)));
        } else if self.replaces_strong(key, rule) {
            fact.gate = Some(CONTRADICTION.to_owned());
        }
        Some(fact)
    }

    /// When and by which words a claim came to its end, if it did.
    fn end(&self, key: &Key, rule: &Rule) -> Option<End> {
        let last = rule.support.last()?;
        let said = self.ended_by_name(key, rule, last);
        let others = self.others(key).filter(|(other, by)| {
            by.support.last() > Some(last) && closes(by, rule) && self.conflict(key, rule, other, by)
        });
        let replaced = others.filter_map(|(_, by)| {
            let at = by.support.first_since(rule.support.newest())?;
            Some(End { at, by: by.support.evidence_at(at) })
        });
        said.into_iter().chain(replaced).min_by_key(|end| end.at)
    }

    /// Whether words were said to be over after a time.
    pub(super) fn is_over(&self, scope: &str, words: &str, last: Option<When>) -> bool {
        let words: BTreeSet<String> = words.split(' ').map(str::to_owned).collect();
        let named = |old: &str| Some(stems(old)).is_some_and(|old| !old.is_empty() && old.is_subset(&words));
        let of_scope = |at: &str| at == scope || at.is_empty();
        self.ended.iter().any(|((at, old), (when, _))| of_scope(at) && Some(*when) > last && named(old))
    }

    fn ended_by_name(&self, key: &Key, rule: &Rule, last: When) -> Option<End> {
        if !key.positive {
            return None;
        }
        let scopes = [key.scope.as_str(), ""];
        let found = scopes.iter().filter_map(|scope| {
            let names = self.ended.iter().filter(|((at, old), _)| at == scope && is_over(key, rule, old));
            names
                .map(|(_, (when, by))| (*when, by.clone()))
                .filter(|(when, _)| *when > last)
                .min_by_key(|(when, _)| *when)
        });
        found.min_by_key(|(when, _)| *when).map(|((at, _), by)| End { at, by: Some(by) })
    }

    /// The rules about the same property; all loose ones are about one.
    fn others<'a>(&'a self, key: &Key) -> impl Iterator<Item = (&'a Key, &'a Rule)> + use<'a> {
        let loose = LOOSE.contains(&key.attribute.as_str());
        let from = Key {
            attribute: if loose { String::new() } else { key.attribute.clone() },
            scope: String::new(),
            value: String::new(),
            positive: false,
            ..key.clone()
        };
        let key = key.clone();
        let rest = self.rules.range((Bound::Included(from), Bound::Unbounded));
        rest.take_while(move |(other, _)| other.kind == key.kind && (loose || other.attribute == key.attribute))
    }

    /// Whether two claims cannot both hold.
    fn conflict(&self, key: &Key, rule: &Rule, other: &Key, by: &Rule) -> bool {
        if key == other || key.scope != other.scope || apart(rule, by) {
            return false;
        }
        let loose = LOOSE.contains(&key.attribute.as_str());
        if key.positive != other.positive {
            return key.value == other.value && key.attribute == other.attribute
                || loose && LOOSE.contains(&other.attribute.as_str()) && is_same(&rule.stems, &by.stems);
        }
        let refined = names(&key.value, &other.value) || names(&other.value, &key.value);
        key.positive && rule.single && by.single && key.attribute == other.attribute && !refined
    }

    /// How often the opposite was said while this was already known.
    fn against(&self, key: &Key, rule: &Rule) -> u32 {
        let since = rule.support.first_when();
        let later =
            self.others(key).filter(|(other, by)| by.support.last() > since && self.conflict(key, rule, other, by));
        later.map(|(_, by)| by.support.count_since(since)).sum()
    }

    /// Where a claim holds: values that differ between projects, and were said in one each, hold there.
    fn scope_of(&self, key: &Key, rule: &Rule) -> String {
        if key.scope.is_empty()
            && rule.single
            && rule.projects.len() == 1
            && self.others(key).any(|(other, by)| {
                by.single && other.positive && other.scope.is_empty() && other.value != key.value && apart(rule, by)
            })
        {
            return rule.projects.first().cloned().unwrap_or_default();
        }
        key.scope.clone()
    }

    /// Whether this took the place of something strong, without a word that it should.
    fn replaces_strong(&self, key: &Key, rule: &Rule) -> bool {
        rule.force < Force::Change
            && self.others(key).any(|(other, old)| {
                tier(old, 0) == Tier::Strong
                    && rule.support.last() > old.support.last()
                    && self.conflict(other, old, key, rule)
            })
    }
}

fn is_same(a: &BTreeSet<String>, b: &BTreeSet<String>) -> bool {
    let like = likeness(a, b);
    like >= SAME || like >= MORE && (a.is_subset(b) || b.is_subset(a))
}

/// `never X without Y` asks for Y before X, unless Y is leave from the person.
fn asks_for_more(value: &str) -> bool {
    const LEAVE: &[&str] = &[
        "asking",
        "my",
        "permission",
        "approval",
        "confirm",
        "checking with",
        "telling",
        "explicit",
        "a reason",
        "me",
        "consent",
    ];
    value.split_once(" without ").is_some_and(|(_, more)| !LEAVE.iter().any(|leave| more.starts_with(leave)))
}

fn tier(rule: &Rule, against: u32) -> Tier {
    let (count, sessions) = (rule.support.count(), rule.support.sessions());
    if count >= 5 && sessions >= 2 && against == 0 && lower_bound(count, count) >= 0.5 {
        Tier::Strong
    } else if rule.force >= Force::Standing || sessions >= 2 || count >= 3 {
        Tier::Tentative
    } else {
        Tier::Candidate
    }
}

/// Whether one statement is firm enough to end another.
fn closes(by: &Rule, rule: &Rule) -> bool {
    by.force >= Force::Standing
        || by.support.sessions() >= 2
        || rule.force < Force::Standing && rule.support.count() < 2
}

/// Said in different projects only, and not as a change.
fn apart(a: &Rule, b: &Rule) -> bool {
    !a.projects.is_empty()
        && !b.projects.is_empty()
        && a.projects.is_disjoint(&b.projects)
        && a.force < Force::Change
        && b.force < Force::Change
        && (a.projects.len() == 1 || b.projects.len() == 1)
}

/// Whether a value goes by a name: the same words, or the name among them.
fn names(value: &str, name: &str) -> bool {
    value == name || format!(" {value} ").contains(&format!(" {name} "))
}

/// Whether what was said to be over names a rule.
fn is_over(key: &Key, rule: &Rule, old: &str) -> bool {
    // `make` is a program and a verb: `make small commits` is not over with it.
    let is_verb = GENERIC.contains(&old) && key.value.starts_with(old) && key.value != old;
    let words = stems(old);
    let by_stems = !words.is_empty() && old.split(' ').count() <= 2 && words.is_subset(&rule.stems);
    !is_verb && (names(&key.value, old) || by_stems && LOOSE.contains(&key.attribute.as_str()))
}

/// Verbs that only say that something is wanted.
#[rustfmt::skip]
const GENERIC: &[&str] = &[
    "use", "using", "write", "add", "make", "prefer", "want", "keep", "call", "do", "put", "go", "give", "include", "have", "create", "stick",
    "like", "show", "provide", "produce", "adopt", "apply", "follow",
];

/// The words of a rule that say what it is about: `always add X`, `write X everywhere` and `X on everything` are one.
fn gist(value: &str) -> BTreeSet<String> {
    const ADVERBS: &[&str] =
        &["everywhere", "everything", "only", "things", "code", "through", "anywhere", "over", "better"];
    let contrasts = [" over ", " rather than ", " instead of ", " better than ", " than "];
    let value = contrasts
        .iter()
        .filter_map(|mark| value.split_once(mark))
        .map(|(value, _)| value)
        .min_by_key(|value| value.len())
        .unwrap_or(value);
    let (first, rest) = value.split_once(' ').unwrap_or((value, ""));
    let order = if GENERIC.contains(&first) && !rest.is_empty() { rest } else { value };
    let words: Vec<&str> = order.split(' ').filter(|word| !ADVERBS.contains(word)).collect();
    let mut found = stems(&words.join(" "));
    // What comes first is no matter of course.
    if words.len() > 1 && words.contains(&"first") {
        found.insert("first".to_owned());
    }
    if found.is_empty() { stems(value) } else { found }
}

/// Where a cue holds, in the words of its event where they name the same project.
pub(super) fn scope(place: &Place, project: &str) -> String {
    match place {
        Place::Anywhere => String::new(),
        Place::Here => project.to_owned(),
        Place::Named(name) => {
            let last = project.rsplit(['/', '\\']).next().unwrap_or_default();
            if normal(last) == *name || normal(project) == *name { project.to_owned() } else { name.clone() }
        }
    }
}
