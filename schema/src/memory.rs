//! Sessions, episodes, facts and the profile as plain data.

use serde::{Deserialize, Serialize};

use crate::event::Origin;
use crate::id::Claim;
use crate::time::Timestamp;

/// A `RecordingSession`: what the wire calls a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The `session_id` of its events.
    pub id: String,
    /// When it began: the bookend where there is one, else the first event.
    pub started_at: Timestamp,
    /// When it ended; none while it goes on.
    pub ended_at: Option<Timestamp>,
    /// Where its first event came from.
    pub source: String,
    /// The provider or tool.
    pub source_detail: Option<String>,
    /// How many events it holds.
    pub event_count: u64,
}

/// One event that a claim rests on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Evidence {
    /// The event id.
    pub id: String,
    /// Who made the words.
    pub origin: Origin,
}

/// L1: a told, time-bounded summary of related events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Episode {
    /// `epi_…`, stable under rebuild.
    pub id: String,
    /// One line: what it was about.
    pub title: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// The summary, in the person's language.
    pub summary: String,
    /// The sources and tools it came from.
    pub sources: Vec<String>,
    /// Who took part.
    pub participants: Vec<String>,
    /// How it ended.
    pub outcome: String,
    /// What was left open.
    pub open_ends: Vec<String>,
    /// Tags.
    pub tags: Vec<String>,
    /// The events it rests on.
    pub evidence: Vec<Evidence>,
}

/// How sure a fact is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// Seen once; staged for 14 days.
    Candidate,
    /// Seen in one or two sessions; lighter weight.
    Tentative,
    /// Seen 5 times or more over 2 sessions or more, without contradiction; or stated by the person.
    Strong,
}

/// Whether a fact is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// In use.
    Active,
    /// Kept for its provenance, out of use.
    Archived,
    /// Waits for the person.
    Pending,
}

/// How a fact came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provenance {
    /// Clone inferred it.
    Inferred,
    /// Clone inferred it and the person changed it.
    Edited,
    /// The person wrote it.
    Stated,
}

macro_rules! names {
    ($type:ty: $($variant:ident = $name:literal),+) => {
        impl $type {
            /// The word in files and on the wire.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
            /// The value of a word; nothing for any other word.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}
pub(crate) use names;

names!(Tier: Candidate = "candidate", Tentative = "tentative", Strong = "strong");
names!(Status: Active = "active", Archived = "archived", Pending = "pending");
names!(Provenance: Inferred = "inferred", Edited = "edited", Stated = "stated");

/// L2: an atomic claim with its evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fact {
    /// `fct_…`, stable under rebuild.
    pub id: String,
    /// What it says, apart from how often it was seen: kind, subject, attribute, scope, value, polarity.
    #[serde(flatten)]
    pub claim: Claim,
    /// The claim as a sentence.
    pub text: String,
    /// How sure.
    pub tier: Tier,
    /// 0 to 1: its weight in a prediction.
    pub importance: f64,
    /// 0 to 1: the lower bound of support over opportunities.
    pub confidence: f64,
    /// How often it was seen.
    pub support: u32,
    /// How often it could have been seen.
    pub opportunities: u32,
    /// In how many sessions.
    pub sessions: u32,
    /// Tags.
    pub tags: Vec<String>,
    /// Since when it holds.
    pub valid_from: Option<Timestamp>,
    /// Until when it held.
    pub valid_until: Option<Timestamp>,
    /// Whether it is in use.
    pub status: Status,
    /// The gate that holds it, if any.
    pub gate: Option<String>,
    /// How it came to be.
    pub provenance: Provenance,
    /// The events it rests on.
    pub evidence: Vec<Evidence>,
    /// When its first evidence happened.
    pub created: Timestamp,
    /// When its newest evidence happened.
    pub updated: Timestamp,
}

/// L3: the standing summary.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// `profile.md`, whole.
    pub body: String,
    /// `soul.md`, whole.
    pub soul: String,
}

/// The most tokens that the soul card takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct SoulTokens(usize);

impl SoulTokens {
    /// The fewest and the most that can be set: a heading and a line, and more than any agent reads each time.
    pub const BOUNDS: std::ops::RangeInclusive<i64> = 50..=10_000;

    /// The number.
    #[must_use]
    pub const fn get(self) -> usize {
        self.0
    }
}

impl Default for SoulTokens {
    fn default() -> Self {
        Self(600)
    }
}

impl TryFrom<i64> for SoulTokens {
    type Error = String;

    fn try_from(tokens: i64) -> Result<Self, String> {
        let (low, high) = Self::BOUNDS.into_inner();
        let within = usize::try_from(tokens).ok().filter(|_| Self::BOUNDS.contains(&tokens));
        within.map(Self).ok_or_else(|| format!("a soul card takes {low} to {high} tokens, not {tokens}"))
    }
}

impl From<SoulTokens> for i64 {
    fn from(tokens: SoulTokens) -> Self {
        Self::try_from(tokens.0).unwrap_or(*SoulTokens::BOUNDS.end())
    }
}

/// One event as a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Raw {
    /// The event id again: a raw row is a view of an event.
    pub id: String,
    /// The sentence.
    pub text: String,
    /// When.
    pub occurred_at: Timestamp,
    /// Where it came from.
    pub source: String,
    /// The provider or tool.
    pub source_detail: Option<String>,
    /// The session.
    pub session_id: String,
    /// The event it is a view of.
    pub event_id: String,
}
