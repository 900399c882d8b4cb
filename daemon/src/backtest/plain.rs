//! The plain predictors that ours is told beside: who says nothing, the most frequent reply, the reply to the nearest
//! situation.

use std::collections::HashMap;

use crate::predict::nearest::Nearest;
use crate::predict::situation::{Situation, normal};
use crate::predict::{Pair, hit};

use super::score::{PRECISION, Row, share};

/// Candidates of each.
const TRIO: usize = 3;
/// Nearest situations that are read for the three different replies.
const NEAREST: usize = 25;

/// One person's replies, and how often each was sent.
#[derive(Default)]
pub(super) struct Frequent {
    /// By normal form: how often, and the place of the newest.
    counts: HashMap<String, (usize, usize)>,
    replies: Vec<String>,
}

impl Frequent {
    /// Takes one more reply; says its place.
    pub(super) fn add(&mut self, reply: &str) -> usize {
        let place = self.replies.len();
        let entry = self.counts.entry(normal(reply)).or_insert((0, place));
        *entry = (entry.0 + 1, place);
        self.replies.push(reply.to_owned());
        place
    }

    /// The three that were sent most often, the newest first among equals: how often, and where.
    pub(super) fn most(&self) -> Vec<(usize, usize)> {
        let mut best: Vec<(usize, usize)> = self.counts.values().copied().collect();
        if best.len() > TRIO {
            best.select_nth_unstable_by(TRIO, |a, b| b.cmp(a));
            best.truncate(TRIO);
        }
        best.sort_unstable_by(|a, b| b.cmp(a));
        best
    }

    /// The words at a place.
    pub(super) fn reply(&self, place: usize) -> &str {
        &self.replies[place]
    }
}

/// One person's plain predictors, learning reply after reply.
#[derive(Default)]
pub struct Plain {
    frequent: Frequent,
    nearest: Nearest,
}

/// What each of them would have got.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rows {
    /// Who never says anything.
    pub silent: Row,
    /// The reply that was sent most often.
    pub frequent: Row,
    /// The reply to the most similar situation.
    pub nearest: Row,
}

impl Plain {
    /// What they would have said before this reply came, and how that fared.
    #[must_use]
    pub fn answer(&self, pair: &Pair) -> Rows {
        Rows { silent: Row::default(), frequent: self.frequent(&pair.reply), nearest: self.nearest(pair) }
    }

    /// Learns one reply.
    pub fn learn(&mut self, pair: &Pair) {
        if normal(&pair.reply).is_empty() {
            return;
        }
        if let Ok(item) = u32::try_from(self.frequent.add(&pair.reply)) {
            self.nearest.add(item, &Situation::read(&pair.agent_text).tail);
        }
    }

    fn frequent(&self, typed: &str) -> Row {
        let best = self.frequent.most();
        let probability = best.first().map_or(0.0, |(times, _)| share(*times, self.frequent.replies.len()));
        self.row(probability, best.iter().map(|(_, place)| *place), typed)
    }

    fn nearest(&self, pair: &Pair) -> Row {
        let likes = self.nearest.like(&Situation::read(&pair.agent_text).tail, NEAREST);
        let mut places: Vec<usize> = Vec::new();
        for like in &likes {
            let place = like.item as usize;
            let known =
                places.iter().any(|other| normal(self.frequent.reply(*other)) == normal(self.frequent.reply(place)));
            if !known && places.len() < TRIO {
                places.push(place);
            }
        }
        let probability = likes.first().map_or(0.0, |first| first.similarity.clamp(0.0, 1.0));
        self.row(probability, places.into_iter(), &pair.reply)
    }

    fn row(&self, probability: f64, places: impl Iterator<Item = usize>, typed: &str) -> Row {
        let hits: Vec<bool> = places.map(|place| hit(self.frequent.reply(place), typed)).collect();
        Row {
            probability,
            hit: hits.first() == Some(&true),
            any: hits.contains(&true),
            auto: probability >= PRECISION && !hits.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clone_schema::Timestamp;

    fn pair(said: &str, reply: &str) -> Pair {
        Pair {
            reply_id: String::new(),
            prompt_id: None,
            session_id: String::new(),
            agent: String::new(),
            project: None,
            at: Timestamp::UNIX_EPOCH,
            agent_text: said.to_owned(),
            reply: reply.to_owned(),
        }
    }

    #[test]
    fn each_says_what_its_name_says() {
        let mut plain = Plain::default();
        assert_eq!(plain.answer(&pair("go on?", "yes")), Rows::default(), "who knows nothing says nothing");
        for (said, reply) in
            [("the tests pass", "commit it"), ("the lint fails", "fix the lint"), ("done", "Commit it!")]
        {
            plain.learn(&pair(said, reply));
        }
        let rows = plain.answer(&pair("the lint fails", "fix the lint"));
        assert_eq!((rows.frequent.hit, rows.frequent.any, rows.silent.any), (false, true, false));
        assert!((rows.frequent.probability - 2.0 / 3.0).abs() < 1e-12 && !rows.frequent.auto);
        assert!(rows.nearest.hit && rows.nearest.auto && rows.nearest.probability > 0.9, "{rows:?}");
        let rows = plain.answer(&pair("the lint fails", "commit it"));
        assert!(rows.frequent.hit && !rows.nearest.hit && rows.nearest.auto, "sure and wrong: {rows:?}");
    }
}
