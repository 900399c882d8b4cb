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

/// Labels that the fits read, at most, over all kinds.
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

    /// Adds one label, with what the answer stood at when it was given; the next question fits again.
    pub fn add(&mut self, kind: Kind, row: Row, stood: Stood) {
        if self.rows.len() == MAX_LABELS {
            self.rows.pop_front();
        }
        self.rows.push_back(Labelled { kind, row, stood });
        let seen = &mut self.seen[kind.index()];
        *seen = seen.saturating_add(1);
        self.fitted = Default::default();
    }

    /// How many labels of this kind were given for raw numbers at least as high as this one.
    #[must_use]
    pub fn peers(&self, kind: Kind, raw: f64) -> usize {
        self.of(kind).filter(|row| row.reaches(raw)).count()
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
            labels: self.labels(kind),
            outcomes: mine.map(|label| Outcome { stood: label.stood, hit: label.row.hit() }).collect(),
        }
    }

    /// What is held of a kind's curve now.
    #[must_use]
    pub fn at(&self, kind: Kind) -> &Belief {
        self.fitted[kind.index()].get_or_init(|| {
            let (shipped, apart) = self.scale.prior();
            let others = self.rows.iter().rev().filter(|label| label.kind != kind).map(|label| &label.row);
            shipped.after(others).widened(apart).after(self.of(kind))
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
