//! What waits for the person, what they decided, and how facts fared: from the log onto the facts.

use std::collections::BTreeMap;

use clone_schema::internal::FileText;
use clone_schema::memory::{Fact, Status, Tier};

use super::notes::Told;
use super::view::View;
use crate::memory::decay::Verdicts;
use crate::memory::fact::STRONG;
use crate::memory::gate::{gate_id, gated};
use crate::memory::review::{self, Choice, REVIEW};
use crate::memory::vault::hash;

impl View {
    /// Inferred facts as the person's decisions and verdicts leave them.
    pub(super) fn decided(&self, inferred: Vec<Fact>) -> BTreeMap<String, Fact> {
        let verdicts = self.verdicts();
        let gated = inferred.into_iter().map(gated);
        let mut facts: BTreeMap<String, Fact> = gated.map(|fact| (fact.id.clone(), fact)).collect();
        let decided: Vec<(String, Choice)> =
            facts.values().filter_map(|fact| Some((fact.id.clone(), self.choice(fact)?))).collect();
        for (id, choice) in decided {
            match choice {
                Choice::Accept => accept(facts.get_mut(&id)),
                Choice::Reject => reject(&id, &mut facts),
            }
        }
        facts.into_iter().map(|(id, fact)| (id, verdicts.weigh(fact))).collect()
    }

    fn choice(&self, fact: &Fact) -> Option<Choice> {
        Choice::from_name(self.decisions.get(&gate_id(fact))?)
    }

    /// The ledger: the person's own verdict on every prediction that cites facts, else what they typed instead.
    fn verdicts(&self) -> Verdicts {
        let mut verdicts = Verdicts::default();
        for (at, mark) in &self.predictions {
            if let Some(right) = mark.right() {
                mark.facts.iter().for_each(|fact| verdicts.judge(fact, *at, Some(right)));
            }
        }
        verdicts
    }

    /// What waits for the person, oldest first.
    #[must_use]
    pub fn waiting(&self) -> Vec<&Fact> {
        let mut waiting: Vec<&Fact> = self.facts.values().filter(|fact| review::waits(fact)).collect();
        waiting.retain(|fact| !self.stated.contains_key(&fact.id));
        waiting.sort_by(|a, b| a.created.cmp(&b.created).then_with(|| a.id.cmp(&b.id)));
        waiting
    }

    /// Tells the log what the person ticked, or, where nothing is new, what waits now.
    pub(super) fn tell_review(&mut self, told: &mut Told) {
        let note = self.notes.get(REVIEW).map(|note| note.text.clone());
        let (ticked, wrong) = note.as_deref().map(review::decisions).unwrap_or_default();
        self.problems.retain(|key, _| !key.starts_with("review:"));
        for (i, problem) in wrong.iter().enumerate() {
            self.problems.insert(format!("review:{i}"), problem.clone());
        }
        let news = ticked
            .into_iter()
            .filter(|(gate, choice)| self.decisions.get(gate).is_none_or(|known| known != choice.name()));
        told.decided.extend(news.map(|(gate, choice)| (gate, choice.name().to_owned())));
        // A box in doubt stays as it was ticked.
        if told.decided.is_empty() && wrong.is_empty() {
            self.write_review(note.as_deref().unwrap_or_default(), told);
        }
    }

    fn write_review(&self, note: &str, told: &mut Told) {
        let waiting = self.waiting();
        let row = self.ledger.get(REVIEW);
        if row.is_none() && waiting.is_empty() {
            return;
        }
        let own = review::own(note);
        let text = review::render(&waiting, &own);
        if row.is_some_and(|row| row.hash == hash(text.as_bytes())) {
            return;
        }
        if own.is_empty() {
            // Nothing of the person's is in it any more: their ticks are in the log.
            told.files.push(FileText::new(REVIEW, text.as_bytes()));
        } else if super::vault::is_due(row, &text) {
            let derived = Some(review::render(&waiting, ""));
            told.files.push(FileText { derived, ..FileText::new(REVIEW, text.as_bytes()) });
        }
    }
}

/// What waited is in use; what was in use already is sure.
fn accept(fact: Option<&mut Fact>) {
    let Some(fact) = fact else { return };
    fact.gate = None;
    if fact.status == Status::Pending {
        fact.status = Status::Active;
        if fact.tier == Tier::Candidate {
            (fact.tier, fact.importance) = (Tier::Tentative, 0.5);
        }
    } else if fact.status == Status::Active && fact.tier == Tier::Tentative {
        (fact.tier, fact.importance) = (Tier::Strong, STRONG);
    }
}

/// What waited is not inferred again; what was in use is archived, and what it had replaced holds again.
fn reject(id: &str, facts: &mut BTreeMap<String, Fact>) {
    let Some(fact) = facts.get(id).cloned() else { return };
    if fact.status == Status::Pending {
        facts.remove(id);
        return;
    }
    let about = |other: &Fact| {
        (&other.claim.subject, &other.claim.attribute, &other.claim.scope)
            == (&fact.claim.subject, &fact.claim.attribute, &fact.claim.scope)
    };
    for other in facts.values_mut().filter(|other| about(other) && other.status == Status::Archived) {
        if fact.gate.is_some() && other.valid_until == fact.valid_from {
            (other.status, other.valid_until) = (Status::Active, None);
        }
    }
    if let Some(fact) = facts.get_mut(id) {
        (fact.status, fact.gate) = (Status::Archived, None);
    }
}
