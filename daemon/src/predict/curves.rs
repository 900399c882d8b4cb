//! Whose labels meet in one curve: those of one predictor in one kind of situation; the other kinds only lend a prior.
//!
//! Every predictor has [`Curves`] of its own, for their raw numbers mean different things ([`Scale`]). The levels are
//! global → person → kind: the shipped prior, pulled by the labels of the *other* kinds, loosened by how much kinds differ,
//! pulled by the kind's own labels. A kind's own labels are left out of what it borrows, so that none counts twice and a
//! lower bound stays one. Fitted when first asked after a label, from the labels alone.

use std::collections::VecDeque;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::answer::{STANDARD, STRICT};
use super::calibrate::{Belief, Row};
use super::situation::{KINDS, Kind};
use super::tripwire::{LEAST, Outcome, Stood};

/// Labels that the fits read, at most, over all kinds; and as many answers that were acted on, which only the trip-wire
/// reads.
pub const MAX_LABELS: usize = 1_200;

/// What a predictor's raw numbers are before anyone calibrates them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scale {
    /// The embedded predictor's, whose shipped weights were fitted on other people: near the truth already.
    #[default]
    Shipped,
    /// What a model says of itself: coarse and mostly overconfident, nobody knows by how much. The prior leans a little to
    /// that side and is loose; the identity, held as loosely, costs more at every small number of labels.
    Model,
}

impl Scale {
    /// The shipped prior, and how much kinds of one person differ (deviations of slope and offset).
    const fn prior(self) -> (Belief, (f64, f64)) {
        match self {
            Self::Shipped => (Belief::new((1.0, 0.17), (0.0, 0.25)), (0.1, 0.25)),
            Self::Model => (Belief::new((0.9, 0.4), (-0.4, 0.8)), (0.3, 0.6)),
        }
    }
}

/// A raw number, what the answer stood at, and what became of it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Labelled {
    kind: Kind,
    row: Row,
    stood: Stood,
    /// The prediction that it judges, where one was made.
    #[serde(default)]
    of: Option<Judging>,
}

impl Labelled {
    fn outcome(&self) -> Outcome {
        Outcome { stood: self.stood, hit: self.row.hit(), acted: self.is_acted() }
    }

    fn is_acted(&self) -> bool {
        self.of.is_some_and(|of| of.acted)
    }
}

/// Which prediction a label judges, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judging {
    /// The position of the prediction in the log.
    pub prediction: u64,
    /// A client acted on it and nobody was asked: the trip-wire counts it, no curve does.
    pub acted: bool,
}

/// What the curves say of one raw number.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    /// The calibrated probability.
    pub probability: f64,
    /// Its lower bounds.
    pub stood: Stood,
    /// Labels of the kind that were given for raw numbers at least as high.
    pub peers: u32,
    /// How many of those were wrong.
    pub errors: u32,
    /// Labels of the kind.
    pub labels: u32,
    /// What became of answers of the kind that stood at [`LEAST`] or higher, oldest first.
    pub outcomes: Vec<Outcome>,
}

/// The labels of one predictor, and a curve for each kind of situation.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Curves {
    scale: Scale,
    rows: VecDeque<Labelled>,
    seen: [u32; KINDS],
    #[serde(skip)]
    fitted: [OnceLock<Belief>; KINDS],
}

impl Curves {
    /// Curves without labels.
    #[must_use]
    pub fn new(scale: Scale) -> Self {
        Self { scale, ..Self::default() }
    }

    /// How many labels it has seen in a kind of situation.
    #[must_use]
    pub fn labels(&self, kind: Kind) -> u32 {
        self.seen[kind.index()]
    }

    /// Takes what became of a prediction: in the place of what was said of it before, so that a verdict that is taken
    /// back leaves no trace; else as [`add`](Self::add) does.
    pub fn judge(&mut self, of: Judging, kind: Kind, row: Row, stood: Stood) {
        let row = if of.acted { row.unweighed() } else { row };
        let said = |label: &&mut Labelled| label.of.is_some_and(|known| known.prediction == of.prediction);
        match self.rows.iter_mut().rev().find(said) {
            Some(label) => (label.row, label.of) = (row, Some(of)),
            None => self.push(Labelled { kind, row, stood, of: Some(of) }),
        }
        self.fitted = Default::default();
    }

    /// Adds one label, with what the answer stood at when it was given; the next question fits again.
    pub fn add(&mut self, kind: Kind, row: Row, stood: Stood) {
        self.push(Labelled { kind, row, stood, of: None });
        self.fitted = Default::default();
    }

    /// The oldest of its own sort gives way: whoever acts often must not thereby forget what people said.
    fn push(&mut self, label: Labelled) {
        let acted = label.is_acted();
        let mut alike = (0..).zip(&self.rows).filter(|(_, row)| row.is_acted() == acted).map(|(at, _)| at);
        if let Some(oldest) = alike.next()
            && alike.count() + 1 >= MAX_LABELS
        {
            self.rows.remove(oldest);
        }
        let seen = &mut self.seen[label.kind.index()];
        *seen = seen.saturating_add(u32::from(!acted));
        self.rows.push_back(label);
    }

    /// How many labels of this kind were given for raw numbers at least as high as this one.
    #[must_use]
    pub fn peers(&self, kind: Kind, raw: f64) -> usize {
        self.of(kind).filter(|row| row.counts() && row.reaches(raw)).count()
    }

    /// How many labels of this kind for raw numbers at least as high were wrong; [`peers`](Self::peers) is of how many.
    #[must_use]
    pub fn errors(&self, kind: Kind, raw: f64) -> usize {
        self.of(kind).filter(|row| row.counts() && row.reaches(raw) && !row.hit()).count()
    }

    /// What an answer with this raw number stands at.
    #[must_use]
    pub fn stood(&self, kind: Kind, raw: f64) -> Stood {
        let curve = self.at(kind);
        Stood { strict: curve.lower(raw, STRICT), standard: curve.lower(raw, STANDARD) }
    }

    /// Everything that a decision about this raw number needs.
    #[must_use]
    pub fn standing(&self, kind: Kind, raw: f64) -> Standing {
        let mine = self.rows.iter().filter(|label| label.kind == kind && label.stood.standard >= LEAST);
        Standing {
            probability: self.at(kind).probability(raw),
            stood: self.stood(kind, raw),
            peers: u32::try_from(self.peers(kind, raw)).unwrap_or(u32::MAX),
            errors: u32::try_from(self.errors(kind, raw)).unwrap_or(u32::MAX),
            labels: self.labels(kind),
            outcomes: mine.map(Labelled::outcome).collect(),
        }
    }

    /// What is held of a kind's curve now.
    #[must_use]
    pub fn at(&self, kind: Kind) -> &Belief {
        self.fitted[kind.index()].get_or_init(|| {
            let (shipped, apart) = self.scale.prior();
            let read = |row: &&Row| row.counts();
            let others = self.rows.iter().rev().filter(|label| label.kind != kind).map(|label| &label.row).filter(read);
            shipped.after(others).widened(apart).after(self.of(kind).filter(read))
        })
    }

    /// The labels of a kind, newest first.
    fn of(&self, kind: Kind) -> impl Iterator<Item = &Row> + Clone {
        self.rows.iter().rev().filter(move |label| label.kind == kind).map(|label| &label.row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taught(scale: Scale, kind: Kind, labels: u32, hit: bool) -> Curves {
        let mut curves = Curves::new(scale);
        (0..labels).for_each(|_| curves.add(kind, Row::new(0.6, hit, 1.0), Stood::default()));
        curves
    }

    #[test]
    fn shipped_numbers_are_taken_at_their_word_and_a_models_are_not() {
        let (shipped, model) = (Curves::new(Scale::Shipped), Curves::new(Scale::Model));
        for raw in [0.1, 0.5, 0.9] {
            assert!((shipped.at(Kind::Offer).probability(raw) - raw).abs() < 1e-9);
            assert!(model.stood(Kind::Offer, raw).strict < shipped.stood(Kind::Offer, raw).strict);
        }
        assert!(model.at(Kind::Offer).probability(0.9) < 0.9);
    }

    #[test]
    fn kinds_lend_each_other_a_prior_and_are_not_pooled() {
        for scale in [Scale::Shipped, Scale::Model] {
            let new = Curves::new(scale).at(Kind::Failure).probability(0.6);
            let curves = taught(scale, Kind::Offer, 100, true);
            let (own, lent) = (curves.at(Kind::Offer).probability(0.6), curves.at(Kind::Failure).probability(0.6));
            assert!(new < lent && lent < own, "{new} {lent} {own}");
            let gap = |kind| curves.at(kind).probability(0.6) - curves.stood(kind, 0.6).strict;
            assert!(gap(Kind::Failure) > gap(Kind::Offer), "what is lent is less sure");
            assert_eq!((curves.peers(Kind::Failure, 0.5), curves.labels(Kind::Failure)), (0, 0));
            let mut both = curves.clone();
            (0..100).for_each(|_| both.add(Kind::Failure, Row::new(0.6, false, 1.0), Stood::default()));
            assert!(both.at(Kind::Offer).probability(0.6) > 0.7 && both.at(Kind::Failure).probability(0.6) < 0.5);
        }
    }

    #[test]
    fn a_kinds_own_labels_count_once() {
        let (curves, scale) = (taught(Scale::Model, Kind::Offer, 10, true), Scale::Model.prior());
        let rows = [Row::new(0.6, true, 1.0); 10];
        assert_eq!(*curves.at(Kind::Offer), scale.0.widened(scale.1).after(rows.iter()));
    }

    /// Accepted, then rejected: as if it had been rejected at once. One that was acted on is no label of the curve.
    #[test]
    fn a_verdict_that_is_taken_back_leaves_no_trace() {
        let stood = Stood { strict: 0.85, standard: 0.9 };
        let said = |verdicts: &[(u64, bool, bool)]| {
            let mut curves = taught(Scale::Shipped, Kind::Offer, 20, true);
            for (prediction, hit, acted) in verdicts {
                let of = Judging { prediction: *prediction, acted: *acted };
                curves.judge(of, Kind::Offer, Row::new(0.9, *hit, 1.0), stood);
            }
            (serde_json::to_string(&curves).unwrap(), curves.standing(Kind::Offer, 0.5))
        };
        assert_eq!(
            said(&[(1, true, false), (2, true, false), (1, false, false)]),
            said(&[(1, false, false), (2, true, false)])
        );
        assert_eq!(said(&[(1, false, false), (1, true, false), (1, true, false)]), said(&[(1, true, false)]));
        let (none, harmed) = (said(&[]).1, said(&[(1, true, true), (1, false, true)]).1);
        assert_eq!((none.probability, none.peers, none.labels), (harmed.probability, harmed.peers, harmed.labels));
        assert_eq!(harmed.outcomes, [Outcome { stood, hit: false, acted: true }]);
    }

    #[test]
    fn what_is_acted_on_pushes_no_label_out() {
        let (mut curves, stood) = (taught(Scale::Shipped, Kind::Offer, 20, true), Stood { strict: 0.8, standard: 0.9 });
        let (before, most) = (curves.standing(Kind::Offer, 0.5), MAX_LABELS as u64);
        for prediction in 0..2 * most {
            curves.judge(Judging { prediction, acted: true }, Kind::Offer, Row::new(0.9, true, 1.0), stood);
        }
        let after = curves.standing(Kind::Offer, 0.5);
        assert_eq!((after.peers, after.labels, after.probability), (20, 20, before.probability));
        assert_eq!((after.outcomes.len(), curves.rows.len()), (MAX_LABELS, MAX_LABELS + 20));
        (0..MAX_LABELS).for_each(|_| curves.add(Kind::Report, Row::new(0.3, true, 1.0), Stood::default()));
        assert_eq!((curves.peers(Kind::Offer, 0.5), curves.rows.len()), (0, 2 * MAX_LABELS), "labels push labels out");
    }

    #[test]
    fn labels_are_bounded_and_outcomes_are_those_of_the_kind_that_stood_high() {
        let mut curves = taught(Scale::Shipped, Kind::Offer, 3, true);
        let high = Stood { strict: 0.4, standard: 0.6 };
        for i in 0..MAX_LABELS {
            curves.add(Kind::Report, Row::new(0.3, i % 2 == 0, 1.0), if i < 20 { high } else { Stood::default() });
        }
        assert_eq!((curves.rows.len(), curves.peers(Kind::Offer, 0.2), curves.labels(Kind::Offer)), (MAX_LABELS, 0, 3));
        assert_eq!((curves.peers(Kind::Report, 0.2), curves.peers(Kind::Report, 0.4)), (MAX_LABELS, 0));
        let standing = curves.standing(Kind::Report, 0.3);
        assert_eq!((standing.outcomes.len(), standing.outcomes[0].hit, standing.outcomes[1].hit), (20, true, false));
        assert!(curves.standing(Kind::Offer, 0.3).outcomes.is_empty());
    }
}
