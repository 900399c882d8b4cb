//! What Clone answers when an agent asks what the person would reply.

use serde::{Deserialize, Serialize};

use crate::event::Origin;
use crate::memory::names;
use crate::time::Timestamp;

/// The largest `k`.
pub const MAX_K: usize = 10;
/// The smallest threshold that a caller may name.
pub const MIN_THRESHOLD: f64 = 0.001;
/// The threshold where the caller names none.
pub const DEFAULT_THRESHOLD: f64 = 0.8;

/// Whether the caller may act, or what became of the prediction since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// `confidence ≥ threshold`: the caller may act.
    Auto,
    /// Ask the person.
    Escalated,
    /// The person took it.
    Accepted,
    /// The person sent something else.
    Edited,
    /// The person threw it away.
    Rejected,
}

names!(Status: Auto = "auto", Escalated = "escalated", Accepted = "accepted", Edited = "edited", Rejected = "rejected");

/// Why a prediction is held below the threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// Nothing holds it.
    Open,
    /// The lower bound does not reach the threshold.
    LowerBound,
    /// Too few like situations to judge by.
    EvidenceFloor,
    /// Sure answers in this kind of situation were wrong too often of late.
    TripWire,
    /// It could be automatic and is asked all the same, to see how such answers fare.
    Audit,
    /// The agent asks for something destructive.
    Destructive,
    /// A new home: shown, never acted on.
    Shadow,
    /// The person switched `auto` off everywhere.
    Off,
    /// Nothing is known that fits.
    Abstained,
}

/// One ranked reply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// The reply, in the person's own words.
    pub response: String,
    /// What we stand behind; never above the first candidate's.
    pub confidence: f64,
    /// The calibrated chance that the person would send it.
    pub probability: f64,
    /// The predictor's own number.
    pub raw_confidence: f64,
    /// Why, in one line.
    pub reasoning: String,
    /// The events that hold the replies it was learned from.
    pub evidence: Vec<Cited>,
}

/// One earlier reply that a candidate rests on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cited {
    /// The event id of the reply.
    pub id: String,
    /// Who made the words.
    pub origin: Origin,
    /// How like the present situation was, 0 to 1.
    pub similarity: f64,
}

/// How much stands behind the first candidate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Weight {
    /// Like situations that were found.
    pub n: u32,
    /// How many of them were answered with the first candidate.
    pub agree: u32,
    /// The lower bound of the first candidate's probability.
    pub lower: f64,
    /// Labelled outcomes behind the calibration.
    pub labels: u32,
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// Ours, UUIDv7.
    pub id: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// The agent that asks.
    pub agent: String,
    /// What it asked, whole.
    pub agent_input: String,
    /// The session, where the caller named one.
    pub session_id: Option<String>,
    /// The first candidate's text; never empty.
    pub predicted_response: String,
    /// What we stand behind for `predicted_response`.
    pub confidence: f64,
    /// The predictor's own number for it.
    pub raw_confidence: f64,
    /// The calibrated chance for it.
    pub probability: f64,
    /// Why, in one line.
    pub reasoning: String,
    /// Best first.
    pub candidates: Vec<Candidate>,
    /// How many candidates were asked for.
    pub k: usize,
    /// `auto` ⇔ `confidence ≥ threshold`.
    pub status: Status,
    /// The caller's threshold, unchanged.
    pub threshold: f64,
    /// Which predictor answered.
    pub model: String,
    /// How long it took.
    pub latency_ms: u64,
    /// Nothing is known that fits; `predicted_response` is a filler that no one stands behind.
    pub abstained: bool,
    /// What holds it below the threshold.
    pub gate: Gate,
    /// How much stands behind it.
    pub evidence: Weight,
    /// The facts it rests on.
    pub facts: Vec<String>,
    /// The episodes that the evidence belongs to.
    pub episodes: Vec<String>,
    /// When it was `auto`: the time from which it counts as honoured.
    pub acted_at: Option<Timestamp>,
    /// A continuation's answer, when that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub should_continue: Option<bool>,
    /// Whether the person would stop here; never raises a confidence.
    #[serde(default)]
    pub stop_recommended: bool,
}
