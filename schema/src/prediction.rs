//! What Clone answers when an agent asks what the person would reply.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::{ChoiceKind, Origin};
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
    /// The person muted this agent, this project or this hour.
    Mute,
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
    /// What the caller was promised, where it named a precision instead of a threshold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promise: Option<Promise>,
}

/// A stated guarantee: with a confidence of 1 − `delta`, at least `lower` of the answers as sure as this one are right.
///
/// By Clopper and Pearson's exact one-sided bound over labelled outcomes of the same kind of situation, as if the future
/// were like them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Promise {
    /// The precision that was asked for.
    pub precision: f64,
    /// The chance of promising too much.
    pub delta: f64,
    /// Labelled outcomes of answers at least as sure.
    pub n: u32,
    /// How many of them were wrong.
    pub errors: u32,
    /// What can be promised now.
    pub lower: f64,
    /// How many more outcomes are needed, all of them right.
    pub needed: u32,
}

/// How far below the estimate the bound lies that must reach the threshold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// At most one person in twenty below the promised precision.
    #[default]
    Strict,
    /// More coverage, less margin.
    Standard,
}

/// How hours are written.
const HOURS: &str = r"^(([01]?\d|2[0-3])(:[0-5]?\d)?|24(:00?)?)-(([01]?\d|2[0-3])(:[0-5]?\d)?|24(:00?)?)$";

/// Where nothing is ever automatic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Mute {
    /// Agents, as they name themselves.
    #[schemars(length(max = 100), inner(length(max = 500), regex(pattern = r"[^\s]")))]
    pub agents: Vec<String>,
    /// Projects, by a part of their path.
    #[schemars(length(max = 100), inner(length(max = 500), regex(pattern = r"[^\s]")))]
    pub projects: Vec<String>,
    /// Hours of the person's own day, such as `22-7` or `12:30-13:15`; the two ends are not the same.
    #[schemars(with = "Vec<String>", inner(regex(pattern = HOURS)))]
    pub hours: Vec<Hours>,
}

/// Hours of a day, from a minute up to another; over midnight where the first is the later one. Written `22-7` or
/// `12:30-13:15`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hours {
    /// The first minute of the day that is meant.
    pub from: u16,
    /// The first that is not meant any more.
    pub to: u16,
}

impl std::str::FromStr for Hours {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` are no hours; write them as 22-7 or 12:30-13:15");
        let minute = |text: &str| {
            let (hour, minute) = text.trim().split_once(':').unwrap_or((text.trim(), "0"));
            let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
            (hour <= 24 && minute < 60 && hour * 60 + minute <= 1440).then_some(hour * 60 + minute)
        };
        let (from, to) = text.split_once('-').ok_or_else(wrong)?;
        let (from, to) = (minute(from).ok_or_else(wrong)?, minute(to).ok_or_else(wrong)?);
        if from == to { Err(wrong()) } else { Ok(Self { from, to }) }
    }
}

impl TryFrom<String> for Hours {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Hours> for String {
    fn from(Hours { from, to }: Hours) -> Self {
        let minute = |at: u16| match at % 60 {
            0 => (at / 60).to_string(),
            minute => format!("{}:{minute:02}", at / 60),
        };
        format!("{}-{}", minute(from), minute(to))
    }
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
    /// The channel, where the candidates are the options of a dialog.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<ChoiceKind>,
    /// The options were read out of the agent's text: the answer is typed, and no dialog tells of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub typed_menu: bool,
    /// Whether it could be automatic, were the person's switch on and nothing muted.
    #[serde(default)]
    pub would_be_auto: bool,
    /// Whether the person would stop here; never raises a confidence.
    #[serde(default)]
    pub stop_recommended: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_written_as_they_are_read() {
        for text in ["22-7", "12:30-13:15", "0-24", "9-17:05"] {
            assert_eq!(String::from(text.parse::<Hours>().unwrap()), text);
        }
        for text in ["", "7", "7-7", "25-3", "7:60-8", "24:01-3", "a-b", "-1-3"] {
            assert!(text.parse::<Hours>().is_err(), "{text}");
        }
        let mute: Mute = serde_json::from_str(r#"{"hours": ["22-7"]}"#).unwrap();
        assert_eq!(mute.hours, [Hours { from: 1320, to: 420 }]);
    }
}
