//! The table of operations: one name, one method, one path each; engine, routes, client, CLI and MCP all read it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::prediction::DEFAULT_THRESHOLD;
use crate::{Position, Timestamp};

/// One operation of the socket API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The one name that engine method, client and MCP dispatch share.
    pub name: &'static str,
    /// HTTP method.
    pub method: &'static str,
    /// Path with a trailing slash; `{id}` is the one parameter. The same path without the slash answers alike.
    pub path: &'static str,
    /// Which key scope may call it.
    pub scope: Scope,
}

/// What a credential may do; each includes the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// No credential needed, no content returned.
    Open,
    /// Read memory and predictions.
    Read,
    /// Ask for predictions and judge them.
    Predict,
    /// Add events.
    Write,
    /// Everything.
    Admin,
}

impl Scope {
    /// The word in files and on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Read => "read",
            Self::Predict => "predict",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }

    /// The scope that a key may have; nothing for any other word.
    #[must_use]
    pub fn of_key(word: &str) -> Option<Self> {
        [Self::Read, Self::Predict, Self::Write, Self::Admin].into_iter().find(|scope| scope.name() == word)
    }
}

const fn op(name: &'static str, method: &'static str, path: &'static str, scope: Scope) -> Operation {
    Operation { name, method, path, scope }
}

use Scope::{Admin, Open, Predict, Read, Write};

/// Every operation.
pub const OPERATIONS: &[Operation] = &[
    op("health", "GET", "/health/", Open),
    op("status", "GET", "/api/monitoring/status/", Read),
    op("doctor", "POST", "/api/monitoring/doctor/", Admin),
    op("me", "GET", "/api/auth/me/", Read),
    op("token_create", "POST", "/api/auth/token/", Admin),
    op("token_refresh", "POST", "/api/auth/token/refresh/", Open),
    op("keys_list", "GET", "/api/auth/keys/", Admin),
    op("keys_create", "POST", "/api/auth/keys/", Admin),
    op("keys_get", "GET", "/api/auth/keys/{id}/", Admin),
    op("keys_revoke", "DELETE", "/api/auth/keys/{id}/", Admin),
    op("events_ingest", "POST", "/api/recording/events/", Write),
    op("events_get", "GET", "/api/recording/events/{id}/", Read),
    op("events_list", "GET", "/api/events/", Admin),
    op("events_stream", "GET", "/api/events/stream/", Admin),
    op("sessions_list", "GET", "/api/recording/sessions/", Read),
    op("sessions_events", "GET", "/api/recording/sessions/{id}/events/", Read),
    op("raw_list", "GET", "/api/memory/raw/", Read),
    op("raw_add", "POST", "/api/memory/raw/", Write),
    op("raw_get", "GET", "/api/memory/raw/{id}/", Read),
    op("episodes_list", "GET", "/api/memory/episodes/", Read),
    op("episodes_get", "GET", "/api/memory/episodes/{id}/", Read),
    op("facts_list", "GET", "/api/memory/facts/", Read),
    op("facts_get", "GET", "/api/memory/facts/{id}/", Read),
    op("profile_get", "GET", "/api/memory/profile/", Read),
    op("context", "POST", "/api/memory/context/", Read),
    op("search", "POST", "/api/memory/search/", Read),
    op("sync", "POST", "/api/memory/sync/", Write),
    op("promote_list", "GET", "/api/memory/promote/", Read),
    op("promote_decide", "POST", "/api/memory/promote/{id}/", Write),
    op("promote_episodes", "POST", "/api/memory/promote/episodes/", Write),
    op("promote_facts", "POST", "/api/memory/promote/facts/", Write),
    op("memory_stats", "GET", "/api/memory/stats/", Read),
    op("predict", "POST", "/api/predictions/predict/", Predict),
    op("predict_batch", "POST", "/api/predictions/predict/batch/", Predict),
    op("continuation", "POST", "/api/predictions/continuation/", Predict),
    op("feedback", "POST", "/api/predictions/{id}/feedback/", Predict),
    op("predictions_stats", "GET", "/api/predictions/stats/", Read),
    op("predictions_backtest", "GET", "/api/predictions/backtest/", Read),
    op("predictions_list", "GET", "/api/predictions/", Read),
    op("predictions_get", "GET", "/api/predictions/{id}/", Read),
    op("why", "GET", "/api/predictions/{id}/why/", Read),
    op("auto_get", "GET", "/api/predictions/auto/", Read),
    op("auto_set", "POST", "/api/predictions/auto/", Admin),
    op("import_batch", "POST", "/api/sources/import/", Admin),
    op("sources_list", "GET", "/api/sources/", Read),
    op("warmstart_sources", "GET", "/api/warmstart/sources/", Read),
    op("jobs_list", "GET", "/api/jobs/", Read),
    op("monitoring", "GET", "/api/monitoring/", Read),
    op("mcp", "POST", "/mcp/", Read),
    op("mcp_health", "GET", "/mcp/health/", Open),
    op("openapi", "GET", "/openapi.json/", Open),
    op("server_card", "GET", "/.well-known/mcp/server-card.json/", Open),
];

/// The operation of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Operation> {
    OPERATIONS.iter().find(|operation| operation.name == name)
}

/// `POST /api/predictions/predict/`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PredictRequest {
    /// The agent that asks.
    #[schemars(length(min = 1))]
    pub agent: String,
    /// The exact text that the agent shows the person, or a document that ends in it.
    #[schemars(regex(pattern = r"[^\s]"))]
    pub agent_input: String,
    /// How many candidates, 1 to 10.
    #[schemars(range(min = 1, max = 10))]
    #[serde(default = "one")]
    pub k: usize,
    /// From which confidence the caller acts.
    #[schemars(range(min = 0.001, max = 1.0))]
    #[serde(default = "threshold")]
    pub threshold: f64,
    /// `local`, or absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Kept for the wire; 1 to 10080.
    #[schemars(range(min = 1, max = 10080))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recency_minutes: Option<u32>,
    /// The session that the question belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
}

/// The most prompts in one batch.
pub const PROMPTS_MAX: usize = 100;

/// `POST /api/predictions/predict/batch/`: requests that are answered over one state of memory.
///
/// The original's documents name the route and its limit, not its shape; this one is ours.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PredictBatchRequest {
    /// The requests, each as [`PredictRequest`].
    #[schemars(length(min = 1, max = 100))]
    pub prompts: Vec<PredictRequest>,
}

/// `POST /api/predictions/continuation/`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ContinuationRequest {
    /// The agent that asks.
    #[schemars(length(min = 1))]
    pub agent: String,
    /// What the agent last said.
    #[schemars(regex(pattern = r"[^\s]"))]
    pub agent_input: String,
    /// From which confidence the caller acts.
    #[schemars(range(min = 0.001, max = 1.0))]
    #[serde(default = "threshold")]
    pub threshold: f64,
    /// The session that the question belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
}

/// The answer to [`ContinuationRequest`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContinuationReply {
    /// Takes feedback like any prediction.
    pub id: String,
    /// Whether this person would go on.
    pub should_continue: bool,
    /// Confidence in the boolean that is returned.
    pub confidence: f64,
    /// Why, in one line.
    pub reasoning: String,
    /// `auto` ⇔ `confidence ≥ threshold`.
    pub status: crate::prediction::Status,
    /// The caller's threshold, unchanged.
    pub threshold: f64,
    /// The caller's session.
    pub session_id: Option<String>,
    /// Which predictor answered.
    pub model: String,
    /// How long it took.
    pub latency_ms: u64,
}

/// `POST /api/predictions/{id}/feedback/`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct FeedbackRequest {
    /// `accepted`, `edited` or `rejected`.
    pub status: crate::internal::Verdict,
    /// What was really sent; required for `edited`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actual_response: Option<String>,
}

/// `POST /api/memory/context/`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ContextRequest {
    /// Substring of a fact's text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<String>,
    /// Facts must carry at least one of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// Window for episodes and raw rows, 1 to 10080 (default 60).
    #[schemars(range(min = 1, max = 10080))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recency_minutes: Option<u32>,
    /// 1 to 100 (default 20).
    #[schemars(range(min = 1, max = 100))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_facts: Option<usize>,
    /// 1 to 50 (default 10).
    #[schemars(range(min = 1, max = 50))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_episodes: Option<usize>,
    /// 1 to 500 (default 50).
    #[schemars(range(min = 1, max = 500))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_raw: Option<usize>,
}

/// `POST /api/memory/promote/{id}/`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PromoteRequest {
    /// `accept` or `reject`.
    pub choice: String,
}

/// `POST /api/memory/search/`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SearchRequest {
    /// The words to look for.
    pub query: String,
    /// `fact`, `episode`, `raw`, or absent for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// Only this session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// How many, 1 to 100 (default 10).
    #[schemars(range(min = 1, max = 100))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// One event as the log holds it, with its place beside it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LoggedEvent {
    /// Where it is.
    pub position: Position,
    /// Its name in the topic table.
    pub topic: String,
    /// When it was appended.
    pub recorded_at: Timestamp,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// The whole event, byte for byte as it was appended.
    pub event: Box<RawValue>,
}

/// The most events that one page of `GET /api/events/` holds.
pub const PAGE_MAX: usize = 1000;

/// `GET /api/events/?from=&limit=&topic=&since=&until=` or `?last=`: events of every topic, in the order of the log.
///
/// A page ends early where it grows large or where a filter passes many events over; then `more` says so.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventPage {
    /// The events.
    pub events: Vec<LoggedEvent>,
    /// From where to ask for the next page.
    pub next: Position,
    /// Whether there is more behind this page now.
    pub more: bool,
    /// The position after the last event of the log.
    pub head: Position,
}

/// The reply to a batch of events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IngestReply {
    /// Events that were new.
    pub accepted: usize,
    /// Events whose id was known; unchanged.
    pub duplicates: usize,
    /// Events that were refused, by index.
    pub invalid: Vec<Invalid>,
}

/// One refused event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invalid {
    /// Its index in the batch.
    pub index: usize,
    /// The first three things wrong with it.
    pub errors: Vec<String>,
}

const fn one() -> usize {
    1
}

const fn threshold() -> f64 {
    DEFAULT_THRESHOLD
}
