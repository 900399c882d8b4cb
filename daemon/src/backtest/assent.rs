//! Would this person say yes? A small logistic over the situation, started at what holds for people and bent by each
//! reply of the person.
//!
//! Every weight has a mean and a precision of its own, so that what is shipped gives way where the person's replies say
//! otherwise, and only there. The words of the agent's last sentence come in hashed: no word is kept.

use clone_schema::text::last_chars;

use crate::predict::calibrate::sigmoid;
use crate::predict::fit::{Sparse, dot, sparse};
use crate::predict::situation::{KINDS, kind, last_block, normal};
use crate::predict::stratum::{Opens, Verdict, opens, verdict};

/// Buckets that the words of the last sentence are hashed to.
const BUCKETS: usize = 96;
/// Buckets that agents' names are hashed to.
const AGENTS: usize = 8;
/// Numbers that are no buckets.
const PLAIN: usize = 22 + KINDS;
/// How many numbers describe a situation.
pub(super) const FEATURES: usize = PLAIN + AGENTS + BUCKETS;
/// Words of the last sentence that are read.
const MAX_WORDS: usize = 40;
/// The log-odds of a yes where nothing is known.
const BLANK: f64 = -2.2;
/// Precision of a shipped weight, of the first one (the person's own rate) and where nothing is shipped.
const FIRM: f64 = 12.0;
/// See [`FIRM`].
const FIRST: f64 = 2.0;
/// See [`FIRM`].
const LOOSE: f64 = 4.0;

/// What the person did before, as far as it bears on the next reply.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Before {
    /// Replies in the session so far.
    pub replies: u32,
    /// The session's last reply: what it made of an offer, and whether it was a short act.
    pub last: Option<Past>,
    /// The reply before that one said yes.
    pub yes_before: bool,
}

/// A reply, as far as it bears on the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Past {
    yes: bool,
    more: bool,
    no: bool,
    length: u16,
}

impl Before {
    /// The same after one more reply.
    #[must_use]
    pub fn then(self, reply: &str) -> Self {
        let verdict = verdict(reply);
        let last = Past {
            yes: verdict.is_yes(),
            more: verdict == Verdict::WithMore,
            no: verdict == Verdict::Rejected,
            length: u16::try_from(normal(reply).split(' ').count()).unwrap_or(u16::MAX),
        };
        Self { replies: self.replies.saturating_add(1), last: Some(last), yes_before: self.last.is_some_and(|l| l.yes) }
    }
}

fn bucket(word: &str, buckets: usize) -> usize {
    // FNV-1a: the same on every machine and in every version, which the shipped weights need.
    let hash = word.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    usize::try_from((hash ^ hash >> 32) % buckets as u64).unwrap_or(0)
}

fn says(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| text.contains(word))
}

/// The last sentence with words in it.
fn last_sentence(end: &str) -> &str {
    let mut sentences = end.rsplit(['.', '!', '?', '\n', '¿', '。']);
    sentences.find(|sentence| sentence.chars().filter(|c| c.is_alphanumeric()).count() >= 2).unwrap_or("")
}

/// The numbers of a situation.
#[must_use]
pub(super) fn features(agent_text: &str, agent: &str, before: Before) -> Sparse {
    let block = last_block(agent_text).trim();
    let end = last_chars(block, 300).to_lowercase();
    let tail = last_chars(block, 800).to_lowercase();
    let opens = opens(agent_text);
    let asks = last_chars(&end, 60).contains(['?', '？']);
    let last = before.last;
    let on = |flag: bool| f64::from(u8::from(flag));
    let size = f64::from(u32::try_from(block.len()).unwrap_or(u32::MAX));
    let offered = opens == Opens::Approval;
    let said_yes = last.is_some_and(|l| l.yes);
    let mut out = vec![0.0; FEATURES];
    let plain = [
        1.0,
        on(matches!(opens, Opens::Choice(_))),
        on(offered),
        on(opens == Opens::Continuation),
        on(asks),
        on(end.trim_end_matches(['*', '_', ' ']).ends_with('?')),
        on(says(&tail, &["error", "failed", "fails", "cannot", "unable"])),
        on(says(&tail, &["done", "complete", "success", "✅", "fixed", "all set"])),
        on(says(&tail, &["plan", "phase", "step", "next"])),
        on(says(&end, &["shall i", "should i", "want me to", "like me to", "quieres que", "proceed"])),
        on(says(&end, &["let me know", "test", "try it", "check", "verify"])),
        on(end.contains(" or ")),
        on(last.is_none()),
        on(said_yes),
        on(last.is_some_and(|l| l.more)),
        on(last.is_some_and(|l| l.no)),
        on(last.is_some_and(|l| l.length <= 3)),
        on(last.is_some_and(|l| l.length > 30)),
        on(before.yes_before),
        on(said_yes && offered),
        f64::from(before.replies).ln_1p() / 3.0,
        size.ln_1p() / 8.0,
    ];
    out[..plain.len()].copy_from_slice(&plain);
    out[plain.len() + kind(block).index()] = 1.0;
    out[PLAIN + bucket(agent, AGENTS)] = 1.0;
    let sentence = normal(last_sentence(&end));
    let words: Vec<&str> = sentence.split(' ').filter(|word| !word.is_empty()).take(MAX_WORDS).collect();
    let share = 1.0 / f64::from(u32::try_from(words.len().max(1)).unwrap_or(1)).sqrt();
    words.iter().for_each(|word| out[PLAIN + AGENTS + bucket(word, BUCKETS)] += share);
    sparse(&out)
}

/// What holds for people: a mean for every weight.
pub(super) type Prior = [f64; FEATURES];

/// Fitted to other people's replies (`clone backtest --fit`).
pub(super) const SHIPPED: Prior = [
    -1.5229, 0.0660, 0.3285, -0.2646, 0.1539, 0.2939, -0.2237, 0.1841, 0.3574, 0.8648, 0.1926, -0.3207, 0.0618, 0.5852,
    -0.2576, 0.4078, 0.1410, 0.3074, 0.4432, 0.1002, -0.2888, -0.5970, 0.0235, -0.0963, -0.1924, -0.1433, -0.2646,
    -0.4800, -0.3697, -0.8525, -0.6704, 0.0000, 0.0000, 0.0000, 0.0000, 0.0000, 0.0000, -0.0039, 0.0759, 0.0514,
    -0.2606, 0.0213, 0.1429, 0.0294, -0.0886, 0.1334, -0.0989, 0.0951, 0.0056, -0.0355, -0.0418, 0.2431, -0.4179,
    -0.0065, 0.0288, 0.2445, 0.0075, -0.0847, 0.0287, 0.1400, -0.3269, 0.2694, 0.1544, 0.1293, -0.1519, 0.0131,
    -0.1365, 0.0204, 0.0179, 0.0355, -0.1179, -0.1395, -0.0748, -0.0513, -0.3046, 0.0730, 0.0461, 0.0402, 0.1112,
    0.2196, -0.0404, 0.0447, 0.2955, 0.0435, -0.1311, 0.1789, -0.1349, -0.0854, 0.0254, 0.0634, -0.0676, 0.0336,
    -0.0372, -0.1561, -0.7418, 0.1088, -0.0029, -0.0983, -0.0496, 0.0058, -0.1047, 0.3586, -0.1400, -0.1498, -0.3018,
    -0.0066, -0.0940, -0.2443, 0.1104, 0.1693, -0.1173, -0.0228, 0.1521, 0.1991, -0.1215, 0.2400, -0.1546, -0.0569,
    -0.1287, -0.0551, 0.0799, 0.2010, -0.1632, -0.3566, 0.1598, -0.0548, 0.0785, 0.1199, -0.1994, -0.1522, -0.4145,
    -0.0176, -0.0236,
];

/// Nothing is known of people but that a yes is rare.
#[must_use]
pub(super) fn blank() -> Prior {
    let mut out = [0.0; FEATURES];
    out[0] = BLANK;
    out
}

/// The weights as they stand for one person.
#[derive(Clone, Debug)]
pub(super) struct Assent {
    mean: Vec<f64>,
    precision: Vec<f64>,
}

impl Default for Assent {
    fn default() -> Self {
        Self::new(&SHIPPED)
    }
}

impl Assent {
    /// Starts at what holds for people.
    #[must_use]
    pub fn new(prior: &Prior) -> Self {
        let mut precision = vec![FIRM; FEATURES];
        precision[0] = FIRST;
        Self { mean: prior.to_vec(), precision }
    }

    /// Starts with nothing.
    #[must_use]
    pub fn untaught() -> Self {
        let mut precision = vec![LOOSE; FEATURES];
        precision[0] = FIRST;
        Self { mean: blank().to_vec(), precision }
    }

    /// The chance of a yes; nearer to one half than the means say where the weights are not sure.
    #[must_use]
    pub fn probability(&self, x: &[(u16, f32)]) -> f64 {
        let variance: f64 = x.iter().map(|(at, v)| f64::from(v * v) / self.precision[*at as usize]).sum();
        sigmoid(dot(&self.mean, x) / (1.0 + std::f64::consts::PI * variance / 8.0).sqrt())
    }

    /// Learns what came of it: one step of Newton's for each weight by itself.
    pub fn learn(&mut self, x: &[(u16, f32)], yes: bool) {
        let p = sigmoid(dot(&self.mean, x));
        let wrong = f64::from(u8::from(yes)) - p;
        for (at, value) in x {
            let (at, value) = (*at as usize, f64::from(*value));
            self.precision[at] += p * (1.0 - p) * value * value;
            self.mean[at] += wrong * value / self.precision[at];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: &str = "I can add the index. Shall I do it?";
    const REPORT: &str = "All done, the tests pass.";

    #[test]
    fn columns_rise_and_stay_within_bounds() {
        for text in [OFFER, REPORT, "", "1. a\n2. b\nWhich?", "¿Quieres que siga?", "네, 계속할까요?"] {
            let x = features(text, "A", Before::default().then("yes").then("no"));
            assert!(x.windows(2).all(|pair| pair[0].0 < pair[1].0), "{text}");
            assert!(x.iter().all(|(at, value)| (*at as usize) < FEATURES && value.is_finite()), "{text}");
        }
    }

    #[test]
    fn a_person_who_always_agrees_to_offers_and_never_to_reports_is_learned() {
        let mut assent = Assent::untaught();
        let (offer, report) = (features(OFFER, "A", Before::default()), features(REPORT, "A", Before::default()));
        let first = assent.probability(&offer);
        for _ in 0..60 {
            assent.learn(&offer, true);
            assent.learn(&report, false);
        }
        assert!(first < 0.3 && assent.probability(&offer) > 0.9, "{first}");
        assert!(assent.probability(&report) < 0.1);
    }

    #[test]
    fn what_a_reply_was_is_remembered_for_the_next() {
        let before = Before::default().then("yes").then("no, leave it");
        let last = before.last.unwrap();
        assert!((last.no, last.yes, before.yes_before, before.replies) == (true, false, true, 2));
        assert_ne!(features(OFFER, "A", before), features(OFFER, "A", Before::default().then("yes")));
    }
}
