//! The table of operations: one name, one method, one path each; engine, routes, client, CLI and MCP all read it.

use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Number;
use serde_json::value::RawValue;

use crate::event::ChoiceKind;
use crate::prediction::{DEFAULT_THRESHOLD, Policy};
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

impl Operation {
    /// Whether a request of it carries a body.
    #[must_use]
    pub fn takes_body(&self) -> bool {
        matches!(self.method, "POST" | "PATCH")
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
    op("episodes_add", "POST", "/api/memory/episodes/", Write),
    op("episodes_get", "GET", "/api/memory/episodes/{id}/", Read),
    op("episodes_edit", "PATCH", "/api/memory/episodes/{id}/", Write),
    op("episodes_delete", "DELETE", "/api/memory/episodes/{id}/", Write),
    op("facts_list", "GET", "/api/memory/facts/", Read),
    op("facts_add", "POST", "/api/memory/facts/", Write),
    op("facts_get", "GET", "/api/memory/facts/{id}/", Read),
    op("facts_edit", "PATCH", "/api/memory/facts/{id}/", Write),
    op("facts_delete", "DELETE", "/api/memory/facts/{id}/", Write),
    op("profile_get", "GET", "/api/memory/profile/", Read),
    op("profile_set", "POST", "/api/memory/profile/", Write),
    op("profile_delete", "DELETE", "/api/memory/profile/", Write),
    op("context", "POST", "/api/memory/context/", Read),
    op("search", "POST", "/api/memory/search/", Read),
    op("memory_history", "GET", "/api/memory/history/", Read),
    op("memory_undo", "POST", "/api/memory/undo/", Write),
    op("deletions_list", "GET", "/api/memory/deletions/", Read),
    op("deletions_decide", "POST", "/api/memory/deletions/", Write),
    op("forget", "POST", "/api/memory/forget/", Admin),
    op("forget_verify", "POST", "/api/memory/forget/verify/", Admin),
    op("retention_run", "POST", "/api/memory/retention/", Admin),
    op("raw_forget", "DELETE", "/api/memory/raw/{id}/", Admin),
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
    op("mute_get", "GET", "/api/predictions/mute/", Read),
    op("mute_set", "POST", "/api/predictions/mute/", Admin),
    op("import_batch", "POST", "/api/sources/import/", Admin),
    op("following_get", "GET", "/api/sources/following/", Read),
    op("following_set", "POST", "/api/sources/following/", Admin),
    op("github_get", "GET", "/api/sources/github/", Read),
    op("github_connect", "POST", "/api/sources/github/", Admin),
    op("github_disconnect", "DELETE", "/api/sources/github/", Admin),
    op("github_sync", "POST", "/api/sources/github/sync/", Admin),
    op("source_remove", "POST", "/api/sources/{id}/remove/", Admin),
    op("source_wipe", "POST", "/api/sources/{id}/wipe/", Admin),
    op("secrets_rotate", "POST", "/api/secrets/rotate/", Admin),
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
    /// The agent that asks, such as "Claude Code".
    #[schemars(length(min = 1))]
    pub agent: String,
    /// The exact text that the agent shows the person, or a document that ends in it.
    #[schemars(regex(pattern = r"[^\s]"))]
    pub agent_input: String,
    /// How many candidates, 1 to 10; 1 where absent.
    #[schemars(range(min = 1, max = 10))]
    #[serde(default = "one", deserialize_with = "whole")]
    pub k: usize,
    /// From which confidence the caller acts, and `status` is `auto`; 0.8 where absent.
    #[schemars(range(min = 0.001, max = 1.0))]
    #[serde(default = "threshold")]
    pub threshold: f64,
    /// The precision that the caller wants to be promised, 0.001 to 1, in the place of a threshold.
    #[schemars(range(min = 0.001, max = 1.0))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_precision: Option<f64>,
    /// How cautious the gate is; as the person set it where the caller does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
    /// The options of a dialog, 1 to 16: the candidates are these and nothing else.
    #[schemars(length(min = 1, max = 16), inner(length(max = 1000), regex(pattern = r"[^\s]")))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<Vec<String>>,
    /// What kind of dialog it is; a question where nobody says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<ChoiceKind>,
    /// The project, by its path, where the session does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// `local`, or absent.
    #[schemars(extend("enum" = ["local", null]))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Kept for the wire; 1 to 10080.
    #[schemars(range(min = 1, max = 10080))]
    #[serde(default, deserialize_with = "maybe_whole", skip_serializing_if = "Option::is_none")]
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
    /// The requests, each as [`PredictRequest`]; one that is none is refused alone.
    #[schemars(length(min = 1, max = 100))]
    pub prompts: Vec<serde_json::Value>,
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
    /// From which confidence the caller acts, and `status` is `auto`; 0.8 where absent.
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
    #[serde(default, deserialize_with = "maybe_whole", skip_serializing_if = "Option::is_none")]
    pub recency_minutes: Option<u32>,
    /// 1 to 100 (default 20).
    #[schemars(range(min = 1, max = 100))]
    #[serde(default, deserialize_with = "maybe_whole", skip_serializing_if = "Option::is_none")]
    pub max_facts: Option<usize>,
    /// 1 to 50 (default 10).
    #[schemars(range(min = 1, max = 50))]
    #[serde(default, deserialize_with = "maybe_whole", skip_serializing_if = "Option::is_none")]
    pub max_episodes: Option<usize>,
    /// 1 to 500 (default 50).
    #[schemars(range(min = 1, max = 500))]
    #[serde(default, deserialize_with = "maybe_whole", skip_serializing_if = "Option::is_none")]
    pub max_raw: Option<usize>,
    /// What to recall for; with it, or with a budget, the answer has a `text` for an agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// What `text` may take, 100 to 32000 tokens (default 2000); what always stands is never cut.
    #[schemars(range(min = 100, max = 32000))]
    #[serde(default, deserialize_with = "maybe_whole", skip_serializing_if = "Option::is_none")]
    pub token_budget: Option<usize>,
    /// Only what was recalled from this project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
}

/// `POST /api/memory/forget/`: every criterion that is given must hold, and one must be given.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ForgetRequest {
    /// One event; or a fact or an episode, which stands for the events that it rests on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Only of this session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// Only of this agent, application or source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// Only what came from this source, as the list of sources names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Only of this project, or of a folder below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Only what happened then or later.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Only what happened before.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
    /// Only what holds these words, whatever their case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Also takes what quotes it out of notes that the person wrote.
    #[serde(default)]
    pub vault: bool,
    /// Tells what would go and changes nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// `POST /api/sources/{id}/remove/`: takes one item out of a source.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveRequest {
    /// An event of the source; or a session or a project of it, such as a thread or a repository, of which nothing more is
    /// taken then.
    #[schemars(regex(pattern = r"[^\s]"))]
    pub id: String,
    /// Also takes what quotes it out of notes that the person wrote.
    #[serde(default)]
    pub vault: bool,
    /// Tells what would go and changes nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// `POST /api/sources/{id}/wipe/`: forgets all that came from a source, so that the person may start over.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WipeRequest {
    /// Also takes what quotes it out of notes that the person wrote.
    #[serde(default)]
    pub vault: bool,
    /// Tells what would go and changes nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// `POST /api/memory/retention/`: looks at the rules of `[retention]` now.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct RetentionRequest {
    /// Whether the person says that the clock is right, where it is ahead of what was to be expected.
    #[serde(default)]
    pub trust_clock: bool,
}

/// The shortest line by which what was forgotten is known again and looked for, in characters.
pub const FORGOTTEN_CHARS: usize = 16;

/// The answer to [`ForgetRequest`], [`RemoveRequest`] and [`WipeRequest`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForgetReply {
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// Events that go, by topic: what was asked for, and what the daemon had written because of it.
    pub events: std::collections::BTreeMap<String, u64>,
    /// Facts that go or change.
    pub facts: Vec<Followed>,
    /// Episodes that go or change.
    pub episodes: Vec<Followed>,
    /// Notes of the daemon that are written anew or go.
    pub notes: Vec<String>,
    /// Notes of the person that quote it; they are changed only where that was asked for.
    pub yours: Vec<String>,
    /// Quarantined files that went along.
    pub quarantined: usize,
    /// Lines that stood nowhere else, by which every file can be searched; of what goes, only the first 20,000 lines are
    /// held against what stays.
    #[serde(default)]
    pub lines: usize,
    /// With how many of them every file was searched; none in a dry run, or where there is no such line.
    #[serde(default)]
    pub searched: usize,
    /// What that search still finds; empty where nothing is left, and where nothing was searched.
    pub remains: Vec<Remain>,
    /// Of a wipe: `followed` or `connected`, where the source was that and no longer is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// Of a wipe: how many events that were taken out of the source before may come again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleared: Option<usize>,
}

/// A fact or an episode that follows from what is forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Followed {
    /// Its id.
    pub id: String,
    /// Whether it goes; else it is derived anew from what is left.
    pub gone: bool,
    /// What it says, in a dry run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// A place that still holds something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Remain {
    /// The file.
    pub path: String,
    /// How it is written there: `plain`, `name`, `zstd`, `stored`, `term`, ...
    pub form: String,
    /// How many places.
    pub count: u64,
}

/// `POST /api/memory/facts/`, where `text` is needed, and `PATCH /api/memory/facts/{id}/`, where what is absent stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct FactEdit {
    /// The claim, on one line.
    #[schemars(regex(pattern = r"[^\s]"))]
    pub text: Option<String>,
    /// What kind of claim it is.
    #[schemars(regex(pattern = r"[^\s]"))]
    pub kind: Option<String>,
    /// How much it counts, 0 to 1.
    #[schemars(range(min = 0, max = 1))]
    pub importance: Option<f64>,
    /// All its tags.
    #[schemars(length(max = 50), inner(regex(pattern = r"[^\s]")))]
    pub tags: Option<Vec<String>>,
    /// `active` or `archived`.
    #[schemars(extend("enum" = ["active", "archived", null]))]
    pub status: Option<String>,
}

/// `POST /api/memory/episodes/`, where `title` is needed, and `PATCH /api/memory/episodes/{id}/`, where what is absent stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct EpisodeEdit {
    /// One line.
    #[schemars(regex(pattern = r"[^\s]"))]
    pub title: Option<String>,
    /// The whole text.
    pub summary: Option<String>,
    /// When it began; now for a new one.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub started_at: Option<Timestamp>,
    /// When it ended, never before it began; where it began for a new one.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub ended_at: Option<Timestamp>,
    /// How it ended.
    pub outcome: Option<String>,
    /// What is left to do.
    pub open_ends: Option<Vec<String>>,
    /// All its tags.
    #[schemars(length(max = 50), inner(regex(pattern = r"[^\s]")))]
    pub tags: Option<Vec<String>>,
}

/// `POST /api/memory/profile/`: one of the two at least; what is absent stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ProfileEdit {
    /// The profile, whole.
    pub body: Option<String>,
    /// The soul card, whole.
    pub soul: Option<String>,
}

/// `POST /api/memory/forget/verify/`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct VerifyRequest {
    /// The words to look for in every file.
    #[schemars(regex(pattern = r"[^\s]"))]
    pub text: String,
}

/// `POST /api/memory/promote/{id}/`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PromoteRequest {
    /// `accept` or `reject`.
    #[schemars(extend("enum" = ["accept", "reject"]))]
    pub choice: String,
}

/// `POST /api/memory/search/`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SearchRequest {
    /// The words to look for.
    pub query: String,
    /// `fact`, `episode`, `raw`, or absent for all.
    #[schemars(extend("enum" = ["fact", "episode", "raw", null]))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// Only this session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// Only this agent, as it is named in the events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Only this project: `meta.project`, else `meta.cwd`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Only this kind of event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// Only what carries at least one of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// Only what happened at or after this instant.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<crate::Timestamp>,
    /// Only what happened before this instant.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<crate::Timestamp>,
    /// How many, 1 to 100 (default 10).
    #[schemars(range(min = 1, max = 100))]
    #[serde(default, deserialize_with = "maybe_whole", skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// How many to pass over, 0 to 900.
    #[serde(default, deserialize_with = "maybe_whole", skip_serializing_if = "Option::is_none")]
    pub offset: Option<usize>,
}

/// `POST /api/memory/undo/`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct UndoRequest {
    /// Which note: its id, or its path in the vault.
    pub of: String,
    /// Which version, as the history numbers them; absent: the last one with another text.
    #[schemars(range(min = 0, max = 4294967295_u32))]
    #[serde(default, deserialize_with = "maybe_whole", skip_serializing_if = "Option::is_none")]
    pub to: Option<u32>,
}

/// `POST /api/memory/deletions/`: what notes that are gone all at once are.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DeletionsRequest {
    /// Whether the person deleted them; they come back otherwise.
    pub confirm: bool,
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
    /// Events that were forgotten before, and stay so.
    #[serde(default, skip_serializing_if = "is_none")]
    pub forgotten: usize,
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

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_none(count: &usize) -> bool {
    *count == 0
}

const fn one() -> usize {
    1
}

const fn threshold() -> f64 {
    DEFAULT_THRESHOLD
}

/// A whole number however JSON writes it: to JSON, and to languages that know one kind of number, `5.0` is one too.
fn whole<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<u64>,
{
    let given = Number::deserialize(from)?;
    whole_number(&given).ok_or_else(|| D::Error::custom(format!("`{given}` is not a whole number of this range")))
}

fn maybe_whole<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<u64>,
{
    let Some(given) = Option::<Number>::deserialize(from)? else { return Ok(None) };
    let whole = whole_number(&given);
    whole.map(Some).ok_or_else(|| D::Error::custom(format!("`{given}` is not a whole number of this range")))
}

/// A whole number of a range, which some clients write as a float.
#[must_use]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
pub fn whole_number<T: TryFrom<u64>>(given: &Number) -> Option<T> {
    let exact = |float: f64| (float.fract() == 0.0 && (0.0..=u32::MAX as f64).contains(&float)).then_some(float as u64);
    T::try_from(given.as_u64().or_else(|| given.as_f64().and_then(exact))?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_number_may_be_written_as_a_float_and_nothing_else_may() {
        for (k, expected) in
            [("5", Some(5)), ("5.0", Some(5)), ("1e1", Some(10)), ("5.5", None), ("-1", None), ("\"5\"", None)]
        {
            let text = format!(r#"{{"agent":"a","agent_input":"b","k":{k},"recency_minutes":{k}}}"#);
            let read = serde_json::from_str::<PredictRequest>(&text).ok();
            assert_eq!(read.as_ref().map(|read| read.k), expected, "{k}");
            assert_eq!(read.and_then(|read| read.recency_minutes), expected.map(|k| k as u32), "{k}");
        }
        let search = serde_json::from_str::<SearchRequest>(r#"{"query":"q","limit":5.0,"offset":2.0}"#).expect("whole");
        assert_eq!((search.limit, search.offset), (Some(5), Some(2)));
        let undo = |to: &str| serde_json::from_str::<UndoRequest>(&format!(r#"{{"of":"n","to":{to}}}"#));
        assert_eq!((undo("2.0").expect("whole").to, undo("null").expect("none").to), (Some(2), None));
        assert!(undo("2.5").is_err() && undo("4294967296").is_err());
        let context = serde_json::from_str::<ContextRequest>(r#"{"token_budget":500.0}"#).expect("whole");
        assert_eq!(context.token_budget, Some(500));
        let none = serde_json::from_str::<ContextRequest>(r#"{"max_raw":null}"#).expect("null is absent");
        assert_eq!((none.max_raw, none.max_facts), (None, None));
    }
}
