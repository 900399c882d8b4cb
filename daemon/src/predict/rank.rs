//! The numbers that a candidate is judged by, and the shipped weights that turn them into a first guess.
//!
//! The weights were fitted to other people's replies ("would this past reply hit the next one?"); each person's own
//! outcomes then bend the result ([`super::calibrate`]). They are numbers only: no one's words are in them.

use super::calibrate::sigmoid;
use super::situation::{KINDS, Kind};

/// How many numbers describe one candidate.
pub const FEATURES: usize = NAMES.len();

/// What is known of a candidate in a situation.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts {
    /// Replies since it was last said.
    pub age: f64,
    /// Tokens in it.
    pub length: f64,
    /// Similarity of the situation it was said in, by the whole tail and by the last words.
    pub similar: (f64, f64),
    /// Log share of its kin among recent replies: slow, fast.
    pub habit: (f64, f64),
    /// Log share among the answers to like situations: whole tail, last words.
    pub near: (f64, f64),
    /// Log share among replies in this kind of situation.
    pub in_kind: f64,
    /// Log share among what followed the last reply before.
    pub follows: f64,
    /// Said in this session.
    pub in_session: bool,
    /// Said to this agent's project.
    pub in_project: bool,
    /// Token F1 with the last reply.
    pub like_last: f64,
    /// Share of its tokens that the agent just used.
    pub contained: f64,
    /// Log of how often exactly this was said.
    pub count: f64,
    /// A stock phrase, not (yet) this person's.
    pub stock: bool,
}

/// What holds for every candidate of one query.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// What the agent did last.
    pub kind: Kind,
    /// Tokens of the last reply.
    pub last_length: f64,
    /// Replies in this session so far.
    pub position: f64,
    /// Replies known.
    pub known: f64,
}

const NAMES: [&str; 48] = [
    "one",
    "log age",
    "fresh",
    "log length",
    "one word",
    "short",
    "long",
    "similar",
    "similar last",
    "habit",
    "habit fast",
    "near",
    "near last",
    "in kind",
    "follows",
    "in session",
    "in project",
    "like last",
    "is last",
    "contained",
    "count",
    "stock",
    "stock one word",
    "stock offer",
    "short after short",
    "long after long",
    "session position",
    "log known",
    "fresh long",
    "long similar",
    "short near",
    "short habit",
    "middling",
    "long contained",
    "short offer",
    "short question",
    "short options",
    "short failure",
    "short report",
    "short command",
    "short working",
    "long offer",
    "long question",
    "long options",
    "long failure",
    "long report",
    "long command",
    "long working",
];

/// What each number is, for whoever fits the weights.
#[must_use]
pub const fn names() -> &'static [&'static str] {
    &NAMES
}

fn flag(on: bool) -> f64 {
    f64::from(u8::from(on))
}

/// The numbers of one candidate, in the order of [`names`].
#[must_use]
pub fn features(facts: &Facts, setting: &Setting) -> [f64; FEATURES] {
    let (short, long) = (flag(facts.length <= 3.0), flag(facts.length > 60.0));
    let fresh = flag(!facts.stock) * (-facts.age / 5.0).exp2();
    let stock = flag(facts.stock);
    let mut out = [0.0; FEATURES];
    let plain = [
        1.0,
        (1.0 + facts.age).ln() * (1.0 - stock),
        fresh,
        (1.0 + facts.length).ln(),
        flag(facts.length <= 1.0),
        short,
        long,
        facts.similar.0,
        facts.similar.1,
        facts.habit.0,
        facts.habit.1,
        facts.near.0,
        facts.near.1,
        facts.in_kind,
        facts.follows,
        flag(facts.in_session),
        flag(facts.in_project),
        facts.like_last,
        flag(facts.age <= 1.0 && !facts.stock),
        facts.contained,
        facts.count,
        stock,
        stock * flag(facts.length <= 1.0),
        stock * flag(setting.kind == Kind::Offer),
        short * flag(setting.last_length <= 3.0),
        long * flag(setting.last_length > 60.0),
        flag(facts.in_session) * (1.0 + setting.position).ln(),
        (1.0 + setting.known).ln(),
        fresh * long,
        long * facts.similar.0.max(facts.similar.1),
        short * facts.near.1,
        short * facts.habit.0,
        flag(facts.length > 12.0) * (1.0 - long),
        long * facts.contained,
    ];
    out[..plain.len()].copy_from_slice(&plain);
    out[plain.len() + setting.kind.index()] = short;
    out[plain.len() + KINDS + setting.kind.index()] = long;
    out
}

/// The first guess: the chance that a candidate hits, by the shipped weights.
#[must_use]
pub fn guess(features: &[f64; FEATURES]) -> f64 {
    sigmoid(features.iter().zip(&WEIGHTS).map(|(feature, weight)| feature * weight).sum())
}

const WEIGHTS: [f64; FEATURES] = [
    0.1485, -0.2917, 0.0776, 0.3000, 0.0045, -0.2712, -0.5809, 0.3361, 2.2822, 0.3214, 0.2166, 0.2314, 0.2414, 0.0985,
    0.0482, -0.0202, 0.0143, 0.9364, -0.0502, 0.4347, 0.0497, -1.4076, 0.0520, 0.6829, -0.3227, -0.3155, -0.0042,
    0.0576, 2.2689, -0.6185, -0.2398, -0.0799, -1.3585, -2.5955, -0.1461, -0.6760, 0.2139, -0.0990, -0.7336, -0.3501,
    -0.1045, -0.5692, -4.7201, -0.9072, -0.1356, -0.4401, 0.1503, -0.4676,
];
