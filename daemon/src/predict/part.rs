//! The parts of the predictor that can be left out, so that a replay tells what each of them gives.

use super::rank::{BY_KIND, names};

/// One part: where candidates come from, or what they are judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Candidates: what the person says most.
    Habits,
    /// Candidates: what they said in like situations.
    Alike,
    /// Candidates: what they said last.
    Recent,
    /// Candidates: what followed the last reply before, and its share among what did.
    Followers,
    /// Candidates: the sentences that longer replies open with.
    Openings,
    /// Candidates: what people in general say.
    Stock,
    /// Where the closest situations were answered alike, that counts by itself.
    Agreement,
    /// The person's own outcomes bend the chance.
    Curves,
    /// How like the situation is in which a candidate was said.
    Similarity,
    /// Its share among the answers to like situations.
    Votes,
    /// Its share among recent replies.
    Shares,
    /// The kind of situation.
    Kinds,
    /// Session and project.
    Session,
    /// Its words beside those of the agent, of the last reply and of the answers nearby.
    Words,
}

impl Part {
    /// Every part.
    pub const ALL: [Self; 14] = [
        Self::Habits,
        Self::Alike,
        Self::Recent,
        Self::Followers,
        Self::Openings,
        Self::Stock,
        Self::Agreement,
        Self::Curves,
        Self::Similarity,
        Self::Votes,
        Self::Shares,
        Self::Kinds,
        Self::Session,
        Self::Words,
    ];

    /// The word for tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Habits => "habits",
            Self::Alike => "like situations",
            Self::Recent => "recent replies",
            Self::Followers => "what followed",
            Self::Openings => "openings",
            Self::Stock => "stock phrases",
            Self::Agreement => "agreement",
            Self::Curves => "own calibration",
            Self::Similarity => "similarity",
            Self::Votes => "votes",
            Self::Shares => "shares",
            Self::Kinds => "kinds",
            Self::Session => "session",
            Self::Words => "words",
        }
    }

    /// The numbers of a candidate that are nothing without it: those of these names, and of names that begin so. To the
    /// kinds belong, beside these, all from [`BY_KIND`] on.
    const fn numbers(self) -> (&'static [&'static str], &'static str) {
        const NONE: &str = "-";
        match self {
            Self::Followers => (&["follows"], NONE),
            Self::Similarity => (&["similar", "similar last", "long similar"], NONE),
            Self::Votes => (&["near", "near last", "short near"], NONE),
            Self::Shares => (&["habit", "habit fast", "short habit", "count"], NONE),
            Self::Kinds => (&["in kind", "stock offer"], NONE),
            Self::Session => (&["in session", "in project"], "session"),
            Self::Words => (&["like last", "is last", "contained", "long contained"], "mean"),
            _ => (&[], NONE),
        }
    }

    /// Takes this part's numbers out of a candidate's.
    pub(super) fn silence(self, features: &mut [f64]) {
        let (named, begin) = self.numbers();
        for (at, (feature, name)) in features.iter_mut().zip(names()).enumerate() {
            let by_kind = self == Self::Kinds && at >= BY_KIND;
            if by_kind || named.contains(name) || name.starts_with(begin) {
                *feature = 0.0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_name_of_a_part_is_a_number_and_no_number_belongs_to_two() {
        let mut taken = BTreeSet::new();
        for part in Part::ALL {
            let mut features = vec![1.0; names().len()];
            part.silence(&mut features);
            let (named, _) = part.numbers();
            assert!(named.iter().all(|name| names().contains(name)), "{part:?}");
            for (name, feature) in names().iter().zip(&features) {
                assert!(*feature > 0.0 || taken.insert(*name), "{name} belongs to two");
            }
        }
        assert!(taken.contains("long working") && taken.contains("short offer") && !taken.contains("part short"));
        assert!(taken.contains("mean near") && taken.contains("session position") && !taken.contains("one"));
        let distinct: BTreeSet<&str> = Part::ALL.iter().map(|part| part.name()).collect();
        assert_eq!(distinct.len(), Part::ALL.len());
    }
}
