//! What the table of operations does not know of a route: one line of prose, its query, its body, its replies.
//!
//! A field's schema is JSON text, so that the table stays a table. Replies name the fields that are always there; more may
//! come.

use serde_json::{Map, Value, json};

use super::of;
use crate::api::{
    ContextRequest, ContinuationRequest, DeletionsRequest, EpisodeEdit, FactEdit, FeedbackRequest, ForgetRequest,
    PAGE_MAX, PredictBatchRequest, PredictRequest, ProfileEdit, PromoteRequest, RemoveRequest, RetentionRequest,
    SearchRequest, UndoRequest, VerifyRequest, WipeRequest,
};
use crate::prediction::Mute;

/// The name of a field, `?` behind it where it may be missing, and its schema as JSON text.
pub type Param = (&'static str, &'static str);

/// What a parameter of the query takes.
#[derive(Clone, Copy, Debug)]
pub enum Takes {
    /// Any text.
    Text,
    /// A text without which there is nothing to answer.
    Needed,
    /// An instant with an offset.
    Time,
    /// A whole number of this range.
    Int(u64, u64),
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// The name of a topic.
    Topic,
}

/// What a request carries.
#[derive(Clone, Copy, Debug)]
pub enum Body {
    /// Nothing, or an empty object.
    Nothing,
    /// An object of these fields.
    Fields(&'static [Param]),
    /// What a type of ours says.
    Of(fn() -> Value),
}

/// What an answer carries.
#[derive(Clone, Copy, Debug)]
pub enum Reply {
    /// No body.
    Nothing,
    /// Any JSON.
    Any,
    /// An object that has these fields.
    Object(&'static [Param]),
    /// An array of such objects.
    List(&'static [Param]),
    /// Server-sent events.
    Stream,
}

/// One operation, described.
#[derive(Debug)]
pub struct Route {
    /// Its name in the table of operations.
    pub name: &'static str,
    /// One line.
    pub summary: &'static str,
    /// The parameters of its query.
    pub query: &'static [(&'static str, Takes)],
    /// Its body.
    pub body: Body,
    /// Its good answers, by status.
    pub replies: &'static [(u16, Reply)],
}

/// The description of this operation.
#[must_use]
pub fn find(name: &str) -> Option<&'static Route> {
    ROUTES.iter().find(|route| route.name == name)
}

const TEXT: &str = r#"{"type":"string"}"#;
const TEXT_OR_NULL: &str = r#"{"type":["string","null"]}"#;
const NOT_BLANK: &str = r#"{"type":"string","pattern":"[^\\s]"}"#;
const INT: &str = r#"{"type":"integer"}"#;
const SHARE: &str = r#"{"type":"number","minimum":0,"maximum":1}"#;
const BOOL: &str = r#"{"type":"boolean"}"#;
const LIST: &str = r#"{"type":"array"}"#;
const OBJECT: &str = r#"{"type":"object"}"#;
const ANY: &str = "{}";
const INSTANT: &str = r#"{"type":"string","format":"date-time"}"#;
const LABEL: &str = r#"{"type":"string","minLength":1,"maxLength":200,"pattern":"[^\\s]"}"#;
const LABEL_OR_NULL: &str = r#"{"type":["string","null"],"minLength":1,"maxLength":200,"pattern":"[^\\s]"}"#;
const SCOPE: &str = r#"{"enum":["read","predict","write","admin",null]}"#;
const EVENTS: &str = r#"{"type":"array","minItems":1,"maxItems":1000,"items":{}}"#;

const KEY: &[Param] = &[
    ("id", TEXT),
    ("label", TEXT),
    ("scope", TEXT),
    ("kind", TEXT),
    ("created_at", INSTANT),
    ("last_used", TEXT_OR_NULL),
];
const ACCESS: &[Param] =
    &[("access", TEXT), ("expires_in", INT), ("expires_at", INSTANT), ("key_id", TEXT), ("scope", TEXT)];
const EVENT: &[Param] = &[("id", TEXT), ("session_id", TEXT), ("type", TEXT), ("occurred_at", TEXT), ("source", TEXT)];
const RAW: &[Param] = &[
    ("id", TEXT),
    ("text", TEXT),
    ("occurred_at", TEXT),
    ("source", TEXT),
    ("session_id", TEXT_OR_NULL),
    ("event_id", TEXT),
];
const EPISODE: &[Param] = &[("id", TEXT), ("title", TEXT), ("summary", TEXT), ("evidence", LIST)];
const FORGOTTEN: &[Param] = &[
    ("dry_run", BOOL),
    ("events", OBJECT),
    ("facts", LIST),
    ("episodes", LIST),
    ("notes", LIST),
    ("yours", LIST),
    ("quarantined", INT),
    ("lines", INT),
    ("searched", INT),
    ("remains", LIST),
    ("ended?", r#"{"enum":["followed","connected"]}"#),
    ("cleared?", INT),
];
const WAITING: &[Param] = &[("gate", TEXT), ("reason", TEXT), ("fact", OBJECT), ("choices", LIST)];
const FACT: &[Param] = &[
    ("id", TEXT),
    ("kind", TEXT),
    ("text", TEXT),
    ("tier", TEXT),
    ("importance", SHARE),
    ("tags", LIST),
    ("evidence", LIST),
];
const PREDICTION: &[Param] = &[
    ("id", TEXT),
    ("predicted_response", TEXT),
    ("confidence", SHARE),
    ("raw_confidence", SHARE),
    ("probability", SHARE),
    ("candidates", LIST),
    ("k", INT),
    ("status", TEXT),
    ("threshold", SHARE),
    ("model", TEXT),
    ("latency_ms", INT),
    ("stop_recommended", BOOL),
];
const STATUS: &[Param] =
    &[("version", TEXT), ("pid", INT), ("started_at", INSTANT), ("log", OBJECT), ("problems", LIST)];
const SOURCE: &[Param] = &[("id", TEXT), ("events", INT), ("last", TEXT_OR_NULL)];
const STATS: &[Param] = &[
    ("total", INT),
    ("by_status", OBJECT),
    ("precision", ANY),
    ("automation_rate", ANY),
    ("verified", OBJECT),
    ("shadow", OBJECT),
];
const AUTO: &[Param] = &[("auto", TEXT), ("meaning", TEXT), ("shadow", OBJECT)];
const MUTE: &[Param] = &[("agents", LIST), ("projects", LIST), ("hours", LIST), ("by_config", OBJECT)];
const GITHUB: &[Param] = &[
    ("connected", BOOL),
    ("login", TEXT_OR_NULL),
    ("needs_reauth", BOOL),
    ("last_synced_at", TEXT_OR_NULL),
    ("syncing", BOOL),
    ("problem", TEXT_OR_NULL),
];
const HEALTH: &[Param] = &[("status", TEXT), ("version", TEXT)];

const SINCE: (&str, Takes) = ("since", Takes::Time);
const UNTIL: (&str, Takes) = ("until", Takes::Time);
const WINDOW: &[(&str, Takes)] = &[SINCE, UNTIL];
const OFFSET: (&str, Takes) = ("offset", Takes::Int(0, 1_000_000_000));
const LIMIT_200: (&str, Takes) = ("limit", Takes::Int(1, 200));
const STATUSES: &[&str] = &["pending", "auto", "escalated", "accepted", "edited", "rejected"];
const FROM: (&str, Takes) = ("from", Takes::Int(0, 1 << 53));

/// A row of an operation that takes no body.
const fn bare(
    name: &'static str,
    summary: &'static str,
    query: &'static [(&'static str, Takes)],
    replies: &'static [(u16, Reply)],
) -> Route {
    Route { name, summary, query, body: Body::Nothing, replies }
}

const fn post(name: &'static str, summary: &'static str, body: Body, replies: &'static [(u16, Reply)]) -> Route {
    Route { name, summary, query: &[], body, replies }
}

/// Every description, in the order of the table of operations.
pub const ROUTES: &[Route] = &[
    bare("health", "Whether the daemon runs", &[], &[(200, Reply::Object(HEALTH))]),
    bare("status", "What runs, what it holds and what is wrong", &[], &[(200, Reply::Object(STATUS))]),
    post(
        "doctor",
        "Check everything with a live round trip",
        Body::Nothing,
        &[(200, Reply::Object(&[("checks", LIST)]))],
    ),
    bare(
        "me",
        "Who the credential is",
        &[],
        &[(200, Reply::Object(&[("id", TEXT), ("scope", TEXT), ("version", TEXT)]))],
    ),
    post(
        "token_create",
        "Sign a page in",
        Body::Fields(&[("label?", LABEL_OR_NULL), ("scope?", SCOPE)]),
        &[(201, Reply::Object(ACCESS))],
    ),
    post(
        "token_refresh",
        "Exchange a refresh token for an access token of 60 minutes",
        Body::Fields(&[("refresh", TEXT)]),
        &[(200, Reply::Object(ACCESS))],
    ),
    bare("keys_list", "List the API keys", &[], &[(200, Reply::List(KEY))]),
    post(
        "keys_create",
        "Make an API key; it is shown once",
        Body::Fields(&[("label", LABEL), ("scope?", SCOPE)]),
        &[(
            201,
            Reply::Object(&[("id", TEXT), ("key", TEXT), ("label", TEXT), ("scope", TEXT), ("created_at", INSTANT)]),
        )],
    ),
    bare("keys_get", "One API key", &[], &[(200, Reply::Object(KEY))]),
    bare("keys_revoke", "End an API key at once", &[], &[(204, Reply::Nothing)]),
    post(
        "events_ingest",
        "Record 1 to 1000 CloneEvents; one bad event never fails the batch",
        Body::Of(|| serde_json::from_str(EVENTS).unwrap_or_default()),
        &[(200, Reply::Object(INGESTED)), (201, Reply::Object(INGESTED))],
    ),
    bare("events_get", "One event", &[], &[(200, Reply::Object(EVENT))]),
    bare(
        "events_list",
        "Events of every topic, in the order of the log",
        &[
            FROM,
            ("limit", Takes::Int(1, PAGE_MAX as u64)),
            ("topic", Takes::Topic),
            SINCE,
            UNTIL,
            ("last", Takes::Int(1, PAGE_MAX as u64)),
        ],
        &[(200, Reply::Object(&[("events", LIST), ("next", INT), ("more", BOOL), ("head", INT)]))],
    ),
    bare(
        "events_stream",
        "Events as they are appended",
        &[FROM, ("topic", Takes::Topic), SINCE, UNTIL],
        &[(200, Reply::Stream)],
    ),
    bare(
        "sessions_list",
        "The 50 newest sessions",
        &[],
        &[(200, Reply::List(&[("id", TEXT), ("started_at", TEXT), ("event_count", INT)]))],
    ),
    bare(
        "sessions_events",
        "The events of a session, oldest first",
        &[("limit", Takes::Int(1, 2000)), OFFSET],
        &[(200, Reply::List(EVENT))],
    ),
    bare(
        "raw_list",
        "Events as sentences, newest first",
        &[("limit", Takes::Int(1, 500)), OFFSET, ("session_id", Takes::Text)],
        &[(200, Reply::List(RAW))],
    ),
    post(
        "raw_add",
        "Note something down",
        Body::Fields(&[("text", NOT_BLANK), ("session_id?", TEXT_OR_NULL)]),
        &[(201, Reply::Object(RAW))],
    ),
    bare("raw_get", "One event as a sentence", &[], &[(200, Reply::Object(RAW))]),
    bare("episodes_list", "Episodes, newest first", &[LIMIT_200, OFFSET], &[(200, Reply::List(EPISODE))]),
    post(
        "episodes_add",
        "Tell an episode that nobody recorded",
        Body::Of(new_episode),
        &[(201, Reply::Object(EPISODE))],
    ),
    bare("episodes_get", "One episode", &[], &[(200, Reply::Object(EPISODE))]),
    post(
        "episodes_edit",
        "Change how an episode is told; what is absent stays",
        Body::Of(of::<EpisodeEdit>),
        &[(200, Reply::Object(EPISODE))],
    ),
    bare("episodes_delete", "Take an episode away; it is not told again", &[], &[(204, Reply::Nothing)]),
    bare(
        "facts_list",
        "Facts, newest first",
        &[
            LIMIT_200,
            OFFSET,
            ("tier", Takes::OneOf(&["candidate", "tentative", "strong"])),
            ("kind", Takes::Text),
            ("status", Takes::OneOf(&["active", "archived", "pending"])),
            ("tag", Takes::Text),
        ],
        &[(200, Reply::List(FACT))],
    ),
    post("facts_add", "State a fact", Body::Of(new_fact), &[(201, Reply::Object(FACT))]),
    bare("facts_get", "One fact", &[], &[(200, Reply::Object(FACT))]),
    post(
        "facts_edit",
        "Change what a fact says; what is absent stays",
        Body::Of(of::<FactEdit>),
        &[(200, Reply::Object(FACT))],
    ),
    bare("facts_delete", "Withdraw a fact; it is not inferred again", &[], &[(204, Reply::Nothing)]),
    bare(
        "profile_get",
        "The profile and the soul card",
        &[],
        &[(200, Reply::Object(&[("body", TEXT), ("soul", TEXT)]))],
    ),
    post(
        "profile_set",
        "Write the profile, the soul card or both; what is learned later is merged in",
        Body::Of(profile),
        &[(200, Reply::Object(&[("body", TEXT), ("soul", TEXT)]))],
    ),
    bare(
        "profile_delete",
        "Compile profile and soul card afresh, without what the person wrote",
        &[],
        &[(204, Reply::Nothing)],
    ),
    post(
        "context",
        "The bundle that a predictor sees",
        Body::Of(of::<ContextRequest>),
        &[(
            200,
            Reply::Object(&[("profile", OBJECT), ("facts", LIST), ("episodes", LIST), ("raw", LIST), ("meta", OBJECT)]),
        )],
    ),
    post("search", "Search memory by words", Body::Of(of::<SearchRequest>), &[(200, Reply::List(FOUND))]),
    bare(
        "memory_history",
        "The versions of a note, newest first",
        &[("of", Takes::Needed)],
        &[(
            200,
            Reply::Object(&[
                ("path", TEXT),
                ("id", TEXT_OR_NULL),
                ("exists", BOOL),
                ("still_held", INT),
                ("versions", LIST),
            ]),
        )],
    ),
    post(
        "memory_undo",
        "Put an earlier version of a note back",
        Body::Of(of::<UndoRequest>),
        &[(200, Reply::Object(&[("path", TEXT), ("to", INT)]))],
    ),
    bare(
        "deletions_list",
        "Notes that are gone from the vault all at once and wait for a word",
        &[],
        &[(200, Reply::List(&[("path", TEXT)]))],
    ),
    post(
        "deletions_decide",
        "Say whether notes that are gone all at once were meant to be",
        Body::Of(of::<DeletionsRequest>),
        &[(200, Reply::Object(&[("notes", INT), ("deleted", BOOL)]))],
    ),
    post(
        "forget",
        "Forget events and all that rests on them, for good; every criterion that is given must hold",
        Body::Of(forgetting),
        &[(200, Reply::Object(FORGOTTEN))],
    ),
    post(
        "forget_verify",
        "Look for words in every file, decoded",
        Body::Of(of::<VerifyRequest>),
        &[(200, Reply::Object(&[("remains", LIST)]))],
    ),
    post(
        "retention_run",
        "Forget what the rules of retention keep no longer",
        Body::Of(of::<RetentionRequest>),
        &[(200, Reply::Object(FORGOTTEN))],
    ),
    bare("raw_forget", "Forget one event", &[], &[(204, Reply::Nothing)]),
    post(
        "sync",
        "Wait until everything recorded so far is derived",
        Body::Nothing,
        &[(200, Reply::Object(&[("derived_upto", INT), ("facts", INT), ("episodes", INT)]))],
    ),
    bare("promote_list", "What waits for the person, oldest first", &[], &[(200, Reply::List(WAITING))]),
    post(
        "promote_decide",
        "Decide about a fact or a gate",
        Body::Of(of::<PromoteRequest>),
        &[(200, Reply::Object(&[("gate", TEXT), ("choice", TEXT)]))],
    ),
    post(
        "promote_episodes",
        "Tell episodes of everything recorded so far",
        Body::Nothing,
        &[(200, Reply::Object(&[("derived_upto", INT), ("episodes", INT)]))],
    ),
    post(
        "promote_facts",
        "Take facts from everything recorded so far",
        Body::Nothing,
        &[(200, Reply::Object(&[("derived_upto", INT), ("facts", INT), ("waiting", INT)]))],
    ),
    bare(
        "memory_stats",
        "Counts and last updates of each tier",
        &[("since", Takes::Time)],
        &[(200, Reply::Object(&[("profile", OBJECT), ("facts", OBJECT), ("episodes", OBJECT), ("raw", OBJECT)]))],
    ),
    post("predict", "Predict the person's reply", Body::Of(of::<PredictRequest>), &[(201, Reply::Object(PREDICTION))]),
    post(
        "predict_batch",
        "Predict up to 100 replies over one state of memory",
        Body::Of(batch),
        &[(201, Reply::Object(&[("predictions", LIST)]))],
    ),
    post(
        "continuation",
        "Predict whether the person would go on",
        Body::Of(of::<ContinuationRequest>),
        &[(201, Reply::Object(CONTINUATION)), (200, Reply::Object(CONTINUATION))],
    ),
    post(
        "feedback",
        "Say what became of a prediction",
        Body::Of(verdict),
        &[(200, Reply::Object(&[("id", TEXT), ("status", TEXT), ("actual_response", TEXT_OR_NULL)]))],
    ),
    bare(
        "predictions_stats",
        "Counts by the documented formulas, and what a person verified",
        WINDOW,
        &[(200, Reply::Object(STATS))],
    ),
    bare(
        "predictions_backtest",
        "The person's own history, each reply predicted before it was learned, or how far that is",
        &[SINCE, UNTIL, ("agent", Takes::Text)],
        &[
            (200, Reply::Object(&[("state", r#"{"const":"done"}"#), ("report", OBJECT)])),
            (202, Reply::Object(&[("state", r#"{"const":"running"}"#), ("done", INT), ("of", INT)])),
        ],
    ),
    bare(
        "predictions_list",
        "Predictions, newest first",
        &[
            LIMIT_200,
            OFFSET,
            ("status", Takes::OneOf(STATUSES)),
            ("made", Takes::OneOf(STATUSES)),
            ("agent", Takes::Text),
            ("session", Takes::Text),
            ("session_id", Takes::Text),
            SINCE,
            UNTIL,
        ],
        &[(200, Reply::List(PREDICTION))],
    ),
    bare("predictions_get", "One prediction whole", &[], &[(200, Reply::Object(PREDICTION))]),
    bare(
        "why",
        "What a prediction, fact or episode rests on",
        &[],
        &[(200, Reply::Object(&[("what", TEXT), ("id", TEXT), ("facts", LIST), ("episodes", LIST), ("events", LIST)]))],
    ),
    bare("auto_get", "Whether answers may be automatic", &[], &[(200, Reply::Object(AUTO))]),
    post(
        "auto_set",
        "Allow or end automatic answers everywhere",
        Body::Fields(&[("auto", r#"{"enum":["on","off"]}"#)]),
        &[(200, Reply::Object(AUTO))],
    ),
    bare("mute_get", "Where answers are never automatic", &[], &[(200, Reply::Object(MUTE))]),
    post("mute_set", "Mute agents, projects and hours", Body::Of(of::<Mute>), &[(200, Reply::Object(MUTE))]),
    post(
        "import_batch",
        "Mark the end of an import",
        Body::Fields(&[
            ("format", r#"{"type":"string","minLength":1}"#),
            ("imported?", ANY),
            ("duplicates?", ANY),
            ("skipped?", ANY),
        ]),
        &[(201, Reply::Object(&[("marked", BOOL)]))],
    ),
    bare(
        "following_get",
        "Which agents are followed, and what came of it",
        &[],
        &[(200, Reply::Object(&[("agents", LIST), ("following", ANY)]))],
    ),
    post(
        "following_set",
        "Follow these agents and no others",
        Body::Fields(&[("agents", r#"{"type":"array","items":{"enum":["claude-code","codex","gemini"]}}"#)]),
        &[(200, Reply::Object(&[("agents", LIST), ("following", ANY)]))],
    ),
    bare("github_get", "Whether GitHub is connected, and what was read", &[], &[(200, Reply::Object(GITHUB))]),
    post(
        "github_connect",
        "Connect GitHub with a token, or begin the device flow where none is given",
        Body::Fields(&[("token?", TEXT_OR_NULL)]),
        &[(200, Reply::Object(GITHUB))],
    ),
    bare("github_disconnect", "Take the token away; what was read stays", &[], &[(200, Reply::Object(GITHUB))]),
    post("github_sync", "Read GitHub now", Body::Nothing, &[(200, Reply::Object(GITHUB))]),
    post(
        "source_remove",
        "Take one event, session or project out of a source; it stays out until the source is wiped or disconnected",
        Body::Of(of::<RemoveRequest>),
        &[(200, Reply::Object(FORGOTTEN))],
    ),
    post(
        "source_wipe",
        "Forget all that came from a source and follow it no more; a later import may bring it back",
        Body::Of(of::<WipeRequest>),
        &[(200, Reply::Object(FORGOTTEN))],
    ),
    post(
        "secrets_rotate",
        "Seal every secret with a new key",
        Body::Nothing,
        &[(200, Reply::Object(&[("secrets", INT)]))],
    ),
    bare("sources_list", "What events come from", &[], &[(200, Reply::List(SOURCE))]),
    bare(
        "warmstart_sources",
        "What a new home can be filled from, and what came",
        &[],
        &[(200, Reply::Object(&[("sources", LIST), ("imports", LIST), ("oauth", OBJECT)]))],
    ),
    bare(
        "jobs_list",
        "Work in the background: what runs, and what ended",
        &[LIMIT_200, OFFSET],
        &[(200, Reply::List(&[("id", TEXT), ("kind", TEXT), ("status", TEXT), ("detail", OBJECT)]))],
    ),
    bare("monitoring", "The same as the status", &[], &[(200, Reply::Object(STATUS))]),
    post(
        "mcp",
        "MCP over Streamable HTTP",
        Body::Of(|| serde_json::from_str(JSON_RPC).unwrap_or_default()),
        &[(200, Reply::Any), (202, Reply::Nothing)],
    ),
    bare("mcp_health", "Whether MCP is served", &[], &[(200, Reply::Object(HEALTH))]),
    bare("openapi", "This document", &[], &[(200, Reply::Object(&[("openapi", TEXT), ("paths", OBJECT)]))]),
    bare(
        "server_card",
        "What a registry shows of the MCP server",
        &[],
        &[(200, Reply::Object(&[("serverInfo", OBJECT), ("tools", LIST)]))],
    ),
];

const INGESTED: &[Param] = &[("accepted", INT), ("duplicates", INT), ("invalid", LIST)];
const FOUND: &[Param] = &[("id", TEXT), ("tier", TEXT), ("score", r#"{"type":"number"}"#), ("snippet", TEXT)];
const CONTINUATION: &[Param] =
    &[("id", TEXT), ("should_continue", BOOL), ("confidence", SHARE), ("status", TEXT), ("threshold", SHARE)];
const JSON_RPC: &str = r#"{"type":"object","required":["jsonrpc","method"],"properties":{"jsonrpc":{"const":"2.0"},"id":{"type":["integer","string"]},"method":{"type":"string"}}}"#;

/// The request of `facts_add`: what an edit may change, with a claim.
fn new_fact() -> Value {
    with(of::<FactEdit>(), "text")
}

/// The request of `episodes_add`: what an edit may change, with a title.
fn new_episode() -> Value {
    with(of::<EpisodeEdit>(), "title")
}

/// The schema of an edit in which one text must be there, and not blank.
fn with(mut edit: Value, text: &str) -> Value {
    edit["required"] = json!([text]);
    let description = edit["properties"][text]["description"].take();
    edit["properties"][text] = json!({"type": "string", "pattern": r"[^\s]", "description": description});
    edit
}

/// The request of `profile_set`: one of the two must be there.
fn profile() -> Value {
    one_of_these(of::<ProfileEdit>(), &["body", "soul"])
}

/// The request of `forget`: one criterion must be there.
fn forgetting() -> Value {
    let mut schema =
        one_of_these(of::<ForgetRequest>(), &["id", "session_id", "app", "source", "project", "from", "to"]);
    if let Some(ways) = schema["anyOf"].as_array_mut() {
        ways.push(json!({"required": ["text"], "properties": {"text": {"type": "string", "pattern": r"[^\s]"}}}));
    }
    schema
}

/// A schema in which at least one of these texts must be there.
fn one_of_these(mut schema: Value, names: &[&str]) -> Value {
    let there = |name: &&str| {
        let properties = Map::from_iter([((*name).to_owned(), json!({"type": "string"}))]);
        json!({"required": [name], "properties": properties})
    };
    schema["anyOf"] = names.iter().map(there).collect();
    schema
}

/// The request of `feedback`: an edit says what was really sent.
fn verdict() -> Value {
    let mut schema = of::<FeedbackRequest>();
    schema["if"] = json!({"properties": {"status": {"const": "edited"}}});
    schema["then"] = json!({"required": ["actual_response"], "properties": {"actual_response": {"type": "string"}}});
    schema
}

/// The request of `predict_batch`: each prompt is judged apart, so the batch takes anything.
fn batch() -> Value {
    let mut schema = of::<PredictBatchRequest>();
    schema["properties"]["prompts"]["items"] = json!({});
    schema
}
