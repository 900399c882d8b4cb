//! The standing profile and the soul card: active facts as a person would be introduced to an agent.

use clone_markdown::profile::{Line, Section, render};
use clone_schema::memory::{Fact, SoulTokens, Status, Tier};

use super::context::pack::tokens;

/// The most facts of one heading of the profile.
pub const MAX_LINES: usize = 40;

/// Which facts stand under which heading, and how that heading addresses an agent.
const HEADINGS: &[(&str, &[&str])] = &[
    ("Said by the person", &["statement"]),
    ("Standing preferences", &["preference"]),
    ("Habits", &["habit"]),
    ("Skills", &["skill"]),
    ("Commands and artifacts", &["artifact"]),
];

/// `profile.md`, whole.
#[must_use]
pub fn profile<'a>(facts: impl IntoIterator<Item = &'a Fact>) -> String {
    let ranked = ranked(facts);
    if ranked.is_empty() {
        return render("Profile", "Nothing is known yet: no active fact rests on anything this person typed.", &[]);
    }
    let known: Vec<&str> = HEADINGS.iter().flat_map(|(_, kinds)| kinds.iter().copied()).collect();
    let mut sections: Vec<Section> = HEADINGS
        .iter()
        .map(|(heading, kinds)| section(heading, &ranked, |fact| kinds.contains(&fact.claim.kind.as_str())))
        .collect();
    sections.push(section("Other", &ranked, |fact| !known.contains(&fact.claim.kind.as_str())));
    sections.retain(|section| !section.lines.is_empty());
    let intro = "You work for one person. What follows was stated or typed by them; every line cites the facts it rests \
                 on. Follow what is certain, treat “tentative” as a hint, and ask when nothing here applies.";
    render("Profile", intro, &sections)
}

fn section(heading: &str, facts: &[&Fact], belongs: impl Fn(&Fact) -> bool) -> Section {
    let lines = facts.iter().filter(|fact| belongs(fact)).take(MAX_LINES).map(|fact| line(fact));
    Section { heading: heading.to_owned(), lines: lines.collect() }
}

fn line(fact: &Fact) -> Line {
    let scope = if fact.claim.scope.is_empty() { String::new() } else { format!(" [in {}]", fact.claim.scope) };
    let doubt = if fact.tier == Tier::Strong { "" } else { " — tentative" };
    Line { text: format!("{}{scope}{doubt}", fact.text), facts: vec![fact.id.clone()] }
}

/// `soul.md`, whole: the most important facts that fit in so many tokens; a function of these and nothing else.
#[must_use]
pub fn soul<'a>(facts: impl IntoIterator<Item = &'a Fact>, budget: SoulTokens) -> String {
    let ranked = ranked(facts);
    let mut out = String::from("# Soul card\n\n");
    if ranked.is_empty() {
        out.push_str("Nothing is known about this person yet.\n");
    }
    let mut room = budget.get().saturating_sub(tokens(&out));
    for line in ranked.iter().map(|fact| line(fact).render()) {
        if let Some(left) = room.checked_sub(tokens(&line)) {
            room = left;
            out.push_str(&line);
        }
    }
    out
}

/// The active facts by importance, then id: an order that only changes when a fact does.
fn ranked<'a>(facts: impl IntoIterator<Item = &'a Fact>) -> Vec<&'a Fact> {
    let mut active: Vec<_> =
        facts.into_iter().filter(|fact| fact.status == Status::Active && fact.tier != Tier::Candidate).collect();
    active.sort_by(|a, b| b.importance.total_cmp(&a.importance).then_with(|| a.id.cmp(&b.id)));
    active
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::fact::tests::mined;

    #[test]
    fn says_so_when_nothing_is_known() {
        assert!(profile(&[]).contains("Nothing is known yet"));
        assert!(soul(&[], SoulTokens::default()).contains("Nothing is known"));
    }

    #[test]
    fn cites_every_active_fact_and_no_other() {
        let mut facts = mined(&[("s1", "always use tabs for indentation"), ("s1", "never commit to the main branch")]);
        facts[1].status = Status::Archived;
        for text in [profile(&facts), soul(&facts, SoulTokens::default())] {
            assert!(text.contains(&facts[0].id) && !text.contains(&facts[1].id), "{text}");
        }
    }

    #[test]
    fn the_soul_card_keeps_its_budget_and_its_bytes() {
        let rules: Vec<_> = (0..200).map(|n| format!("always use library number {n} for everything")).collect();
        let rules: Vec<_> = rules.iter().map(|rule| ("s1", rule.as_str())).collect();
        let mut facts = mined(&rules);
        assert_eq!(facts.len(), 200);
        let mut lines = 2;
        for budget in [100, 600, 2_000].map(|budget| SoulTokens::try_from(budget).unwrap()) {
            let card = soul(&facts, budget);
            assert!(tokens(&card) <= budget.get() && card.lines().count() > lines, "{budget:?}");
            lines = card.lines().count();
            facts.reverse();
            assert_eq!(soul(&facts, budget), card);
        }
    }
}
