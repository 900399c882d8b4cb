//! From a ranked pool to an answer: the best few that differ, with probability, evidence and a reason.

use clone_schema::event::Origin;
use clone_schema::prediction::{Candidate, Cited, MAX_K, Weight};

use super::choices::Offered;
use super::local::{Answer, Forecast, Predictor, Query};
use super::part::Part;
use super::pool::Ranked;
use super::situation::Kind;
use super::view::View;

/// Events cited for one candidate.
const MAX_CITED: usize = 5;
/// From this similarity on a situation counts as like the present one.
const LIKE_ENOUGH: f64 = 0.2;
/// Deviations below the estimate that the strict and the standard lower bound lie. `gate-sim` chose the strict one: at
/// 1.28 more than one simulated person in twenty gets less precision than promised, at 1.64 the coverage is below two
/// fifths of an oracle's.
pub const STRICT: f64 = 1.5;
/// See [`STRICT`].
pub const STANDARD: f64 = 0.84;

impl Predictor {
    /// Ranked candidates for a query, from what is known now.
    #[must_use]
    pub fn answer(&self, query: &Query<'_>) -> Answer {
        if let Some((kind, options)) = self.choices.recognised(query.agent_input) {
            let offered = Offered { kind, question: query.agent_input, options: &options };
            return self.choices.answer(&offered, query.k.clamp(1, MAX_K));
        }
        let view = self.view(query);
        let ranked = self.rank(&view);
        let chosen = self.choose(ranked, query.k.clamp(1, MAX_K));
        self.finish(&view, &chosen)
    }

    /// The first candidate alone, without what it takes to stand behind it: enough to judge by what was then typed.
    #[must_use]
    pub fn forecast(&self, query: &Query<'_>) -> Option<Forecast> {
        let view = self.view(query);
        let first = self.choose(self.rank(&view), 1).into_iter().next()?;
        let kind = view.situation.kind;
        Some(Forecast {
            stood: self.curves.stood(kind, first.raw),
            response: first.text.to_owned(),
            raw: first.raw,
            kind,
        })
    }

    /// The best few: first those that would not hit each other, then, if room is left, the rest.
    fn choose<'a>(&self, ranked: Vec<Ranked<'a>>, k: usize) -> Vec<Ranked<'a>> {
        let mut chosen: Vec<Ranked<'a>> = Vec::new();
        let mut spare: Vec<Ranked<'a>> = Vec::new();
        for candidate in ranked {
            if chosen.len() == k {
                break;
            }
            let double = candidate.form.is_some_and(|form| chosen.iter().any(|other| other.backing.contains(form)))
                || chosen.iter().any(|other| other.form.is_some_and(|form| candidate.backing.contains(form)));
            if double { spare.push(candidate) } else { chosen.push(candidate) }
        }
        chosen.extend(spare);
        chosen.truncate(k);
        chosen.sort_by(|a, b| b.order.total_cmp(&a.order));
        chosen
    }

    fn finish(&self, view: &View, chosen: &[Ranked<'_>]) -> Answer {
        let mut left = 1.0;
        let mut candidates = Vec::with_capacity(chosen.len());
        for ranked in chosen {
            let ceiling = candidates.last().map_or(1.0, |last: &Candidate| last.probability);
            let probability = self.chance(view.situation.kind, ranked.raw).min(left).min(ceiling);
            left = (left - probability).max(0.0);
            candidates.push(self.candidate(view, ranked, probability));
        }
        let first = chosen.first();
        let raw = first.map_or(0.0, |first| first.raw);
        let (n, agree) = first.map_or((0, 0), |first| self.agreement(view, first));
        let standing = self.curves.standing(view.situation.kind, raw);
        Answer {
            weight: Weight { n, agree, lower: standing.stood.strict, labels: standing.labels, promise: None },
            standing,
            kind: view.situation.kind,
            abstained: first.is_none_or(|first| first.backing.is_empty()),
            channel: None,
            candidates,
        }
    }

    /// The chance of a raw number, as the person's own outcomes bend it.
    fn chance(&self, kind: Kind, raw: f64) -> f64 {
        if self.without == Some(Part::Curves) { raw } else { self.curves.at(kind).probability(raw) }
    }

    /// How many like situations there are, and how many of them were answered with the candidate or its kin.
    fn agreement(&self, view: &View, ranked: &Ranked<'_>) -> (u32, u32) {
        let (mut n, mut agree) = (0, 0);
        for (reply, similarity) in view.similar[0].iter() {
            if similarity >= LIKE_ENOUGH {
                n += 1;
                let form = self.replies[reply as usize].form;
                agree += u32::from(form.is_some_and(|form| ranked.backing.contains(form)));
            }
        }
        (n, agree)
    }

    fn candidate(&self, view: &View, ranked: &Ranked<'_>, probability: f64) -> Candidate {
        let mut cited: Vec<(u32, f64)> = Vec::new();
        for form in ranked.backing.forms() {
            for reply in self.habits.form(form).map_or(&[][..], |form| &form.occurrences) {
                let similarity = view.similar[0].get(*reply).unwrap_or(0.0);
                cited.push((*reply, similarity.max(view.similar[1].get(*reply).unwrap_or(0.0))));
            }
        }
        cited.sort_by(|a, b| b.1.total_cmp(&a.1).then(b.0.cmp(&a.0)));
        cited.truncate(MAX_CITED);
        Candidate {
            response: ranked.text.to_owned(),
            confidence: 0.0,
            probability,
            raw_confidence: ranked.raw,
            reasoning: self.reason(view, ranked, &cited),
            evidence: cited.into_iter().map(|(reply, similarity)| self.cite(reply, similarity)).collect(),
        }
    }

    fn cite(&self, reply: u32, similarity: f64) -> Cited {
        let id = self.replies[reply as usize].id.clone();
        Cited { id, origin: Origin::Typed, similarity: (similarity.min(1.0) * 1000.0).round() / 1000.0 }
    }

    fn reason(&self, view: &View, ranked: &Ranked<'_>, cited: &[(u32, f64)]) -> String {
        let kind = view.situation.kind.name();
        let Some(form) = ranked.form.and_then(|form| self.habits.form(form)) else {
            return format!("a common reply here ({kind}); you have not used it yet");
        };
        let close = cited.iter().filter(|(_, similarity)| *similarity >= LIKE_ENOUGH).count();
        let said = match form.count {
            0 => "longer replies of yours open with this".to_owned(),
            1 => "you said this once".to_owned(),
            count => format!("you said this {count} times"),
        };
        // Only the closest few uses are looked at, so the words must not sound like a share of all of them.
        match (close, cited.len()) {
            (0, _) => format!("a habit: {said}, though never to words much like these ({kind})"),
            (1, 1) => format!("{said}, to words like these ({kind})"),
            (close, looked) => format!("{said}; {close} of the closest {looked} to words like these ({kind})"),
        }
    }
}
