//! What is worked out once for a query: like situations, their votes, and what followed the last reply before.

use std::collections::BTreeMap;

use super::local::{Predictor, Query};
use super::nearby::Nearby;
use super::nearest::Like;
use super::pool::Backing;
use super::rank::Setting;
use super::situation::Situation;

/// Like situations read by the whole tail.
const LIKE_TAIL: usize = 48;
/// Like situations read by the last words.
const LIKE_LAST: usize = 32;
/// Like situations that vote.
const VOTERS: usize = 25;
/// Like situations, and newest replies, whose answers each candidate is compared with word by word.
const NEARBY: usize = 12;
/// Earlier uses of the last reply (and its kin) whose successors are read.
const FOLLOWED: usize = 64;
/// A situation is among the closest from this share of the closest one's similarity on.
const CLOSE: f64 = 0.6;
/// The smallest similarity that is close at all.
const LEAST: f64 = 0.1;
/// Half-life of a vote, in replies.
const VOTE_HALF_LIFE: f64 = 150.0;

/// What holds for all candidates of one query.
pub(super) struct View {
    pub(super) situation: Situation,
    pub(super) setting: Setting,
    pub(super) now: u32,
    pub(super) session: Option<u32>,
    pub(super) project: Option<u32>,
    /// The form of the last reply.
    pub(super) last: Option<u32>,
    /// Similarity by reply number: tail, last words.
    pub(super) similar: [Numbers; 2],
    /// The same by form: the most similar of the situations that it was said in, or that a reply opened with it.
    pub(super) said: [Numbers; 2],
    pub(super) votes: [Votes; 2],
    pub(super) followers: Votes,
    /// The answers to the most similar situations (tail, last words) and the newest.
    pub(super) nearby: Nearby,
    /// Forms of the answers to the closest situations alone: tail, last words.
    pub(super) closest: [Vec<u32>; 2],
    /// The words of the agent's text.
    pub(super) spoken: Spoken,
    /// Mass of all replies, slow and fast, and of those in this kind of situation.
    pub(super) totals: [f64; 2],
    /// See `totals`.
    pub(super) kind_total: f64,
}

/// Values by number, rising.
#[derive(Default)]
pub(super) struct Numbers(Vec<(u32, f64)>);

impl Numbers {
    pub(super) fn get(&self, number: u32) -> Option<f64> {
        self.0.binary_search_by_key(&number, |(number, _)| *number).ok().map(|at| self.0[at].1)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, f64)> + '_ {
        self.0.iter().copied()
    }
}

impl FromIterator<(u32, f64)> for Numbers {
    /// Of equal numbers the last counts.
    fn from_iter<I: IntoIterator<Item = (u32, f64)>>(values: I) -> Self {
        Self(values.into_iter().collect::<BTreeMap<u32, f64>>().into_iter().collect())
    }
}

/// A set of token numbers, one bit each.
pub(super) struct Spoken(Vec<u64>);

impl Spoken {
    fn new(numbers: &[u32], known: usize) -> Self {
        let mut bits = vec![0; known.div_ceil(64)];
        for number in numbers {
            if let Some(word) = bits.get_mut(*number as usize / 64) {
                *word |= 1 << (number % 64);
            }
        }
        Self(bits)
    }

    /// Share of a form's tokens that were spoken; a form of few tokens never has all of it.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn share(&self, tokens: &[u32]) -> f64 {
        let spoken =
            |number: &&u32| self.0.get(**number as usize / 64).is_some_and(|word| word >> (**number % 64) & 1 == 1);
        tokens.iter().filter(spoken).count() as f64 / (tokens.len() + 1) as f64
    }
}

/// Weighted votes for forms.
#[derive(Default)]
pub(super) struct Votes {
    pub(super) by_form: Numbers,
    total: f64,
}

/// Votes while they are counted.
#[derive(Default)]
struct Count {
    by_form: BTreeMap<u32, f64>,
    total: f64,
}

impl Count {
    fn add(&mut self, form: u32, weight: f64) {
        *self.by_form.entry(form).or_insert(0.0) += weight;
        self.total += weight;
    }

    fn done(self) -> Votes {
        Votes { by_form: Numbers(self.by_form.into_iter().collect()), total: self.total }
    }
}

impl Votes {
    /// Log share of the votes, smoothed by as many votes as `doubt`.
    pub(super) fn share(&self, backing: &Backing<'_>, less: f64, doubt: f64) -> f64 {
        let sum = match backing.alone() {
            Some(form) => self.by_form.get(form).unwrap_or(0.0),
            None => self.by_form.iter().filter(|(form, _)| backing.contains(*form)).map(|(_, weight)| weight).sum(),
        };
        log_share(sum - less, self.total, doubt)
    }
}

/// Log of a smoothed share: an unseen reply has about one chance in fifty of a doubt's mass.
pub(super) fn log_share(part: f64, whole: f64, doubt: f64) -> f64 {
    ((part.max(0.0) + 0.02 * doubt) / (whole + doubt)).ln()
}

/// The weight of a vote: like and recent.
pub(super) fn vote(similarity: f64, reply: u32, now: u32) -> f64 {
    similarity * similarity * (-f64::from(now.saturating_sub(reply)) / VOTE_HALF_LIFE).exp2()
}

impl Predictor {
    pub(super) fn view(&self, query: &Query<'_>) -> View {
        let situation = Situation::read(query.agent_input);
        let session = query.session_id.and_then(|name| self.sessions.get(name).copied());
        let now = u32::try_from(self.replies.len()).unwrap_or(u32::MAX);
        let last = self.before(session);
        let last_form = last.and_then(|last| self.replies.get(last as usize)).and_then(|reply| reply.form);
        let likes = [self.tails.like(&situation.tail, LIKE_TAIL), self.lasts.like(&situation.last, LIKE_LAST)];
        let thread = session.and_then(|s| self.threads.get(s as usize));
        View {
            setting: Setting {
                kind: situation.kind,
                last_length: last_form.and_then(|form| self.habits.form(form)).map_or(8.0, |f| f64::from(f.length)),
                position: thread.map_or(0.0, |thread| f64::from(thread.replies)),
                known: f64::from(now),
            },
            now,
            session,
            project: self.projects.get(query.project.unwrap_or(query.agent)).copied(),
            last: last_form,
            similar: [similar(&likes[0]), similar(&likes[1])],
            said: [self.said(&likes[0]), self.said(&likes[1])],
            votes: [self.votes(&likes[0], now), self.votes(&likes[1], now)],
            nearby: Nearby::new(
                &self.habits,
                &[self.nearby(&likes[0], now), self.nearby(&likes[1], now), self.newest(now)],
            ),
            closest: [self.closest(&likes[0]), self.closest(&likes[1])],
            followers: self.followers(last_form, last, now),
            spoken: Spoken::new(&self.habits.known(&situation.tail), self.habits.vocabulary()),
            totals: [self.habits.total(0, now), self.habits.total(1, now)],
            kind_total: self.habits.kind_total(situation.kind, now),
            situation,
        }
    }

    fn votes(&self, likes: &[Like], now: u32) -> Votes {
        let mut votes = Count::default();
        for like in likes.iter().take(VOTERS) {
            if let Some(form) = self.replies[like.item as usize].form {
                votes.add(form, vote(like.similarity, like.item, now));
            }
        }
        votes.done()
    }

    /// The most similar situation of each form that was said in one of them, whole or as an opening.
    fn said(&self, likes: &[Like]) -> Numbers {
        let mut best: BTreeMap<u32, f64> = BTreeMap::new();
        for like in likes {
            let Some(id) = self.replies[like.item as usize].form else { continue };
            let parts = self.habits.form(id).map_or(&[][..], |form| &form.parts);
            for id in std::iter::once(id).chain(parts.iter().copied()) {
                let noted = self.habits.form(id).is_some_and(|form| form.occurrences.binary_search(&like.item).is_ok());
                if noted {
                    let most = best.entry(id).or_insert(0.0);
                    *most = most.max(like.similarity);
                }
            }
        }
        Numbers(best.into_iter().collect())
    }

    fn closest(&self, likes: &[Like]) -> Vec<u32> {
        let least = likes.first().map_or(0.0, |first| (first.similarity * CLOSE).max(LEAST));
        let close = likes.iter().take_while(|like| like.similarity >= least).take(VOTERS);
        close.filter_map(|like| self.replies[like.item as usize].form).collect()
    }

    /// Forms, weights and numbers of the answers to the most similar situations.
    fn nearby(&self, likes: &[Like], now: u32) -> Vec<(u32, f64, u32)> {
        let likes = likes.iter().take(NEARBY);
        likes
            .filter_map(|like| {
                let form = self.replies[like.item as usize].form?;
                Some((form, vote(like.similarity, like.item, now), like.item))
            })
            .collect()
    }

    fn newest(&self, now: u32) -> Vec<(u32, f64, u32)> {
        let first = now.saturating_sub(u32::try_from(NEARBY).unwrap_or(0));
        (first..now).filter_map(|reply| Some((self.replies[reply as usize].form?, 1.0, reply))).collect()
    }

    /// What followed the last reply, and replies like it, before.
    fn followers(&self, last_form: Option<u32>, last: Option<u32>, now: u32) -> Votes {
        let mut votes = Count::default();
        let Some(form) = last_form.and_then(|form| self.habits.form(form)) else { return votes.done() };
        let mut used: Vec<u32> = form.occurrences.clone();
        for kin in &form.kin {
            used.extend(self.habits.form(*kin).map_or(&[][..], |kin| &kin.occurrences));
        }
        used.sort_unstable_by(|a, b| b.cmp(a));
        for reply in used.into_iter().filter(|reply| Some(*reply) != last).take(FOLLOWED) {
            let next = self.replies[reply as usize].next.and_then(|next| self.replies[next as usize].form);
            if let Some(next) = next {
                votes.add(next, vote(1.0, reply, now));
            }
        }
        votes.done()
    }
}

/// Similarity by reply number.
fn similar(likes: &[Like]) -> Numbers {
    likes.iter().map(|like| (like.item, like.similarity)).collect()
}
