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
    /// Only ever the opening of a longer reply.
    pub part: bool,
    /// Mean token F1 with the answers to like situations (tail, last words) and with the newest replies.
    pub mean: (f64, f64, f64),
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

const NAMES: [&str; 54] = [
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
    "part",
    "part one word",
    "part short",
    "mean near",
    "mean near last",
    "mean recent",
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
        flag(facts.part),
        flag(facts.part && facts.length <= 1.0),
        flag(facts.part && facts.length <= 5.0),
        facts.mean.0,
        facts.mean.1,
        facts.mean.2,
    ];
    out[..plain.len()].copy_from_slice(&plain);
    out[plain.len() + setting.kind.index()] = short;
    out[plain.len() + KINDS + setting.kind.index()] = long;
    out
}

fn weigh(features: &[f64; FEATURES], weights: &[f64; FEATURES]) -> f64 {
    features.iter().zip(weights).map(|(feature, weight)| feature * weight).sum()
}

/// What a pool is ordered by; only differences within one pool mean anything.
#[must_use]
pub fn order(features: &[f64; FEATURES]) -> f64 {
    weigh(features, &ORDER)
}

/// The first guess: the chance that a candidate hits, by the shipped weights.
#[must_use]
pub fn guess(features: &[f64; FEATURES]) -> f64 {
    sigmoid(FIRST.0 * weigh(features, &CHANCE) + FIRST.1)
}

/// From any candidate's log-odds to those of one that was put first.
const FIRST: (f64, f64) = (0.4859, -1.5537);

/// Fitted to which of a pool's candidates hit, in turns where one did (conditional logit).
const ORDER: [f64; FEATURES] = [
    0.0000, -0.3307, 0.6868, 0.1576, 0.4035, 0.4062, -0.2500, 0.1755, 2.4516, 0.2896, -0.0639, 0.1375, 0.0884, 0.1007,
    0.0212, 0.3983, 1.1332, 1.3181, -0.5307, 0.9869, 0.2166, 0.4378, -0.7343, 0.9228, -0.8192, -0.6225, 0.0188, 0.0000,
    3.8679, -1.0239, -0.0613, 0.0424, -1.1945, -4.0341, -0.6517, -1.2692, 0.3605, 2.6716, 2.4104, -2.9290, 1.0626,
    0.1245, 1.1280, 0.0374, -0.1515, 0.1958, 0.5344, -0.2328, -4.9331, -1.1198, -0.1239, -0.3972, -0.6762, -0.2410,
];

/// Fitted to whether a candidate hits, over all turns (logistic).
const CHANCE: [f64; FEATURES] = [
    0.1770, -0.2151, 0.3344, 0.1245, 0.2311, -0.3756, -0.3282, 0.4042, 1.7478, 0.3132, 0.2656, 0.0967, 0.2701, 0.1325,
    0.1004, 0.2670, 0.2059, 1.0742, -0.1992, 0.6517, -0.1189, -0.5188, -0.2187, 0.9412, -0.2420, -0.3273, -0.0597,
    0.0328, 2.4860, -0.3845, -0.3568, 0.0309, -0.9649, -2.9902, -0.5348, -1.0371, 0.3790, 1.9615, 0.2786, -1.4503,
    -0.3697, -0.7276, 0.1719, -0.1474, -0.7432, -0.2448, -0.2493, 0.0461, -3.8420, -0.7602, -0.4135, 0.1313, 0.1586,
    -0.4398,
];
