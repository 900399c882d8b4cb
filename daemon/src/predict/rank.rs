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

/// The place of the first number that stands for one kind of situation: all from here on do.
pub(super) const BY_KIND: usize = FEATURES - 2 * KINDS;

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
    out[..BY_KIND].copy_from_slice(&plain);
    out[BY_KIND + setting.kind.index()] = short;
    out[BY_KIND + KINDS + setting.kind.index()] = long;
    out
}

fn weigh(features: &[f64; FEATURES], weights: &[f64; FEATURES]) -> f64 {
    features.iter().zip(weights).map(|(feature, weight)| feature * weight).sum()
}

/// The weights that turn the numbers of a candidate into an order and a first guess.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// For the order of a pool.
    pub order: [f64; FEATURES],
    /// For the log-odds that a candidate hits.
    pub chance: [f64; FEATURES],
    /// From any candidate's log-odds to those of one that was put first: slope, offset.
    pub first: (f64, f64),
}

impl Default for Weights {
    fn default() -> Self {
        Self::shipped()
    }
}

impl Weights {
    /// What was fitted to other people's replies.
    #[must_use]
    pub const fn shipped() -> Self {
        Self { order: ORDER, chance: CHANCE, first: FIRST }
    }

    /// Weights that nothing was fitted for: the mean of the log shares of habit, of like situations and of like last
    /// words, a share being taken for a chance.
    #[must_use]
    pub fn neutral() -> Self {
        let share = |name: &&str| matches!(*name, "habit" | "near" | "near last");
        let mean = NAMES.map(|name| if share(&name) { 1.0 / 3.0 } else { 0.0 });
        Self { order: mean, chance: mean, first: (1.0, 0.0) }
    }

    /// What a pool is ordered by; only differences within one pool mean anything.
    #[must_use]
    pub fn order(&self, features: &[f64; FEATURES]) -> f64 {
        weigh(features, &self.order)
    }

    /// The first guess: the chance that a candidate hits.
    #[must_use]
    pub fn guess(&self, features: &[f64; FEATURES]) -> f64 {
        sigmoid(self.first.0 * weigh(features, &self.chance) + self.first.1)
    }
}

/// From any candidate's log-odds to those of one that was put first.
const FIRST: (f64, f64) = (0.5044, -1.4106);

/// Fitted to which of a pool's candidates hit, in turns where one did (conditional logit).
const ORDER: [f64; FEATURES] = [
    0.0000, -0.1058, 1.1761, -0.0370, -0.0163, 0.2116, -0.0248, 0.9216, 1.6148, 0.1338, 0.1292, 0.1533, 0.1817, 0.1042,
    0.0437, 0.2929, 0.1759, 0.9629, -0.0945, 0.3950, 0.5018, 0.1011, -0.1955, 0.8367, -0.2843, -0.3027, 0.0552,
    -0.0000, 3.0572, -0.5584, -0.0410, -0.0032, -0.3893, -1.5635, -0.3002, -0.4423, -0.0360, 1.3109, 0.5336, -1.8251,
    0.6237, 0.1522, 0.6927, -0.0615, -0.2107, -0.0850, 0.2743, -0.0967, -1.7913, -0.6046, 0.2118, -0.0228, -0.2949,
    0.0817,
];

/// Fitted to whether a candidate hits, over all turns (logistic).
const CHANCE: [f64; FEATURES] = [
    0.3456, -0.1939, 0.2307, 0.0708, 0.1166, -0.1809, -0.2844, 0.3431, 1.8527, 0.2955, 0.2633, 0.0941, 0.3237, 0.1331,
    0.0538, 0.3125, 0.1515, 1.2630, -0.2368, 0.6282, -0.0808, -0.5869, -0.0920, 0.8396, -0.1888, -0.2834, -0.0555,
    0.0146, 1.9232, 0.3012, -0.2305, 0.0127, -0.8663, -2.4816, -0.4926, -0.9801, 0.3317, 2.0631, -1.2017, -0.6121,
    -0.1498, -0.5729, 0.3290, 0.0941, -0.5607, 0.0864, -0.0999, 0.0661, -3.1864, -0.7131, -0.2238, -0.0170, 0.4494,
    -0.3588,
];
