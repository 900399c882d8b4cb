//! The tools that record: sessions, prompts, responses, any event.
//!
//! What cannot be read is refused and never made up: an id that was made up would let a retry record the event twice. A
//! `source` outside the enum is kept in `meta.raw_source`, because the real clients send some. Recorded prompts carry no
//! `meta.origin`: nobody says that a human typed them, so they never train as if one had; an origin that a caller claims
//! is dropped.

use clone_schema::api::IngestReply;
use clone_schema::event::{RAW_SOURCES, SOURCES};
use clone_schema::{Fault, Timestamp};
use rmcp::model::JsonObject;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::tools::unfit;
use super::{Ask, Call};

/// The `source` of an event whose caller names none.
const DEFAULT_SOURCE: &str = "agent";

/// The `source_detail` of an integration that names none, which the schema does not allow.
const DEFAULT_DETAIL: &str = "mcp";

/// Where an event comes from, as every recording tool takes it.
#[derive(Deserialize, JsonSchema)]
pub(super) struct From {
    /// desktop, cli, mobile, smartglass, agent or integration; agent where absent. Other values are kept as sent.
    source: Option<String>,
    /// The tool or provider behind the source.
    source_detail: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct StopArgs {
    /// The session to end.
    session_id: String,
    #[serde(flatten)]
    from: From,
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct PromptArgs {
    /// The session that the prompt belongs to.
    session_id: String,
    /// Name of the agent that was prompted.
    agent: String,
    /// What was sent into the agent.
    prompt: String,
    #[serde(flatten)]
    from: From,
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct ResponseArgs {
    /// The session that the response belongs to.
    session_id: String,
    /// Name of the agent that answered.
    agent: String,
    /// What the agent answered.
    response: String,
    /// The event_id of the prompt that it answers.
    in_response_to: Option<String>,
    #[serde(flatten)]
    from: From,
}

/// Any event: what is not named here goes on as it came.
#[derive(Deserialize, JsonSchema)]
pub(super) struct EventArgs {
    /// session.started, session.stopped, agent.prompt, agent.response, app.focused, capture.frame, input.keystroke,
    /// input.click, input.scroll, terminal.command, browser.visited or agent.choice.
    r#type: Option<String>,
    /// The session that the event belongs to; one of its own where absent.
    session_id: Option<String>,
    /// When it happened, ISO-8601; now where absent.
    occurred_at: Option<String>,
    /// The idempotency key; made up where absent.
    id: Option<String>,
    /// What else is known of it; an origin is dropped.
    meta: Option<JsonObject>,
    /// The whole event, where a client wraps it.
    event: Option<JsonObject>,
    #[serde(flatten)]
    from: From,
    /// Its own fields, as they came.
    #[serde(flatten)]
    #[schemars(skip)]
    rest: JsonObject,
}

pub(super) async fn start(from: &From, call: &Call) -> Result<JsonObject, Fault> {
    send(call, made("session.started", Uuid::now_v7().to_string(), from, json!({}))).await
}

pub(super) async fn stop(given: StopArgs, call: &Call) -> Result<JsonObject, Fault> {
    let StopArgs { session_id, from } = given;
    send(call, made("session.stopped", session_id, &from, json!({}))).await
}

pub(super) async fn prompt(given: PromptArgs, call: &Call) -> Result<JsonObject, Fault> {
    let PromptArgs { session_id, agent, prompt, from } = given;
    send(call, made("agent.prompt", session_id, &from, json!({"agent": agent, "prompt": prompt}))).await
}

pub(super) async fn response(given: ResponseArgs, call: &Call) -> Result<JsonObject, Fault> {
    let ResponseArgs { session_id, agent, response, in_response_to, from } = given;
    let body = json!({"agent": agent, "response": response, "in_response_to": in_response_to});
    send(call, made("agent.response", session_id, &from, body)).await
}

/// Any event, as it came or wrapped in `event`, with what it lacks filled in.
pub(super) async fn event(mut given: JsonObject, call: &Call) -> Result<JsonObject, Fault> {
    let mut read = named(given.clone())?;
    if let Some(inner) = read.event.take() {
        given.extend(inner);
        read = named(given)?;
    }
    let EventArgs { r#type, session_id, occurred_at, id, meta, event: _, from, rest } = read;
    let topic = r#type.ok_or_else(|| unfit("missing field `type`"))?;
    let session = session_id.unwrap_or_else(|| Uuid::now_v7().to_string());
    let mut event = made(&topic, session, &from, Value::Object(rest));
    if let Some(mut meta) = meta {
        meta.remove("origin");
        for (name, value) in event["meta"].as_object().into_iter().flatten() {
            meta.insert(name.clone(), value.clone());
        }
        event["meta"] = Value::Object(meta);
    }
    for (name, value) in [("id", id), ("occurred_at", occurred_at)] {
        if let Some(value) = value {
            event[name] = value.into();
        }
    }
    send(call, event).await
}

/// The arguments of an event; its own fields keep their nulls, which some must have.
fn named(given: JsonObject) -> Result<EventArgs, Fault> {
    serde_json::from_value(Value::Object(given)).map_err(|error| unfit(&error.to_string()))
}

/// Sends one event and says under which ids it is known.
async fn send(call: &Call, event: Value) -> Result<JsonObject, Fault> {
    let ids = [("session_id", event["session_id"].clone()), ("event_id", event["id"].clone())];
    let answer = call(Ask::post("events_ingest", json!([event]))).await?;
    let reply: IngestReply = serde_json::from_value(answer)
        .map_err(|error| Fault::internal(format!("`events_ingest` answered something else: {error}")))?;
    if let Some(invalid) = reply.invalid.first() {
        return Err(Fault::invalid(format!("the event is refused: {}", invalid.errors.join("; "))));
    }
    Ok(ids.into_iter().map(|(name, id)| (name.to_owned(), id)).collect())
}

fn made(topic: &str, session_id: String, from: &From, body: Value) -> Value {
    let said = from.source.as_deref().filter(|source| !source.is_empty()).unwrap_or(DEFAULT_SOURCE);
    let known = SOURCES.contains(&said) || RAW_SOURCES.iter().any(|(raw, _)| *raw == said);
    let source = if known { said } else { DEFAULT_SOURCE };
    let detail = from.source_detail.as_deref().filter(|detail| !detail.is_empty());
    let detail = detail.or((source == "integration").then_some(DEFAULT_DETAIL));
    let mut event = json!({"id": Uuid::now_v7().to_string(), "session_id": session_id,
        "occurred_at": Timestamp::now().to_string(), "source": source, "source_detail": detail, "type": topic});
    if let (Value::Object(event), Value::Object(body)) = (&mut event, body) {
        event.extend(body);
    }
    if !known {
        event["meta"] = json!({"raw_source": said});
    }
    event
}
