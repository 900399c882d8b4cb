//! The seven tools: what each takes, what it returns, and which operation it calls.
//!
//! Arguments are read leniently, because the real clients send fields and `source` values that no document names: an
//! unknown field is ignored and a `source` outside the enum is kept in `meta.raw_source`. Recorded prompts carry no
//! `meta.origin`: nobody says that a human typed them, so they never train as if one had.

use std::sync::Arc;

use clone_schema::api::IngestReply;
use clone_schema::event::{RAW_SOURCES, SOURCES};
use clone_schema::{Fault, Timestamp};
use rmcp::model::{JsonObject, ToolAnnotations};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Call;

/// The `source` of an event whose caller names none.
const DEFAULT_SOURCE: &str = "agent";

/// The `source_detail` of an integration that names none, which the schema does not allow.
const DEFAULT_DETAIL: &str = "mcp";

/// One of the seven tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// What would the person reply?
    PredictNextPrompt,
    /// Would the person go on?
    PredictContinuation,
    /// What became of a prediction.
    SubmitFeedback,
    /// Opens a session.
    StartSession,
    /// Ends a session.
    StopSession,
    /// What went into an agent.
    RecordAgentPrompt,
    /// What came out of an agent.
    RecordAgentResponse,
}

use Tool::{
    PredictContinuation, PredictNextPrompt, RecordAgentPrompt, RecordAgentResponse, StartSession, StopSession,
    SubmitFeedback,
};

const TOOLS: &[(Tool, &str, &str)] = &[
    (
        PredictNextPrompt,
        "predict_next_prompt",
        "Predict what the person would type in reply to an agent: ranked candidates with calibrated confidence. Act on the \
         first one only when status is auto; otherwise ask the person.",
    ),
    (
        PredictContinuation,
        "predict_continuation",
        "Predict whether the person would let a self-correcting loop go on: should_continue with calibrated confidence.",
    ),
    (
        SubmitFeedback,
        "submit_feedback",
        "Report what became of a prediction: accepted, edited (with what was really sent) or rejected.",
    ),
    (StartSession, "start_session", "Open a recording session; pass the returned session_id to the later calls."),
    (StopSession, "stop_session", "End a recording session."),
    (
        RecordAgentPrompt,
        "record_agent_prompt",
        "Record what was sent into an agent; the returned event_id pairs with in_response_to of the response.",
    ),
    (RecordAgentResponse, "record_agent_response", "Record what an agent answered."),
];

#[derive(Deserialize, JsonSchema)]
#[allow(dead_code)]
struct PredictArgs {
    /// Name of the agent that asks, such as "Claude Code".
    agent: String,
    /// The exact text that the agent shows the person.
    agent_input: String,
    /// How many candidates, 1 to 10; 1 where absent.
    #[schemars(range(min = 1, max = 10))]
    k: Option<u32>,
    /// From which confidence status is auto; 0.8 where absent.
    #[schemars(range(min = 0.0, max = 1.0))]
    threshold: Option<f64>,
    /// The session that the question belongs to.
    session_id: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[allow(dead_code)]
struct ContinuationArgs {
    /// Name of the agent that asks.
    agent: String,
    /// What the agent last said.
    agent_input: String,
    /// From which confidence status is auto; 0.8 where absent.
    #[schemars(range(min = 0.0, max = 1.0))]
    threshold: Option<f64>,
    /// The session that the question belongs to.
    session_id: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
struct FeedbackArgs {
    /// The id of the prediction.
    prediction_id: String,
    /// accepted, edited or rejected.
    status: Verdict,
    /// What was really sent; required for edited.
    actual_response: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Accepted,
    Edited,
    Rejected,
}

impl Verdict {
    const fn name(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Edited => "edited",
            Self::Rejected => "rejected",
        }
    }
}

/// Where an event comes from, as every recording tool takes it.
#[derive(Deserialize, JsonSchema)]
struct From {
    /// desktop, cli, mobile, smartglass, agent or integration; agent where absent. Other values are kept as sent.
    source: Option<String>,
    /// The tool or provider behind the source.
    source_detail: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
struct StopArgs {
    /// The session to end.
    session_id: String,
    #[serde(flatten)]
    from: From,
}

#[derive(Deserialize, JsonSchema)]
struct PromptArgs {
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
struct ResponseArgs {
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

/// The tool of this name.
#[must_use]
pub fn find(name: &str) -> Option<Tool> {
    TOOLS.iter().find(|(_, known, _)| *known == name).map(|(tool, ..)| *tool)
}

/// Every tool as `tools/list` shows it.
#[must_use]
pub fn list() -> Vec<rmcp::model::Tool> {
    TOOLS.iter().map(|(tool, name, description)| describe(*tool, name, description)).collect()
}

fn describe(tool: Tool, name: &'static str, description: &'static str) -> rmcp::model::Tool {
    let bare = rmcp::model::Tool::new(name, description, JsonObject::new());
    let with_input = match tool {
        PredictNextPrompt => bare.with_input_schema::<PredictArgs>(),
        PredictContinuation => bare.with_input_schema::<ContinuationArgs>(),
        SubmitFeedback => bare.with_input_schema::<FeedbackArgs>(),
        StartSession => bare.with_input_schema::<From>(),
        StopSession => bare.with_input_schema::<StopArgs>(),
        RecordAgentPrompt => bare.with_input_schema::<PromptArgs>(),
        RecordAgentResponse => bare.with_input_schema::<ResponseArgs>(),
    };
    let predicts = matches!(tool, PredictNextPrompt | PredictContinuation);
    // A prediction is logged but changes nothing that the caller could see; a second verdict of the same words neither.
    let hints = ToolAnnotations::new().read_only(predicts).destructive(false).open_world(false);
    let hints = hints.idempotent(predicts || matches!(tool, SubmitFeedback | StopSession));
    with_input.with_raw_output_schema(Arc::new(output(tool))).with_annotations(hints)
}

/// The output schema: the fields that are promised; clients refuse a result that breaks it, so nothing more is said.
fn output(tool: Tool) -> JsonObject {
    let text = json!({"type": "string"});
    let share = json!({"type": "number", "minimum": 0, "maximum": 1});
    let status = json!({"type": "string", "enum": ["auto", "escalated"]});
    let candidate = json!({"type": "object", "required": ["response", "confidence"],
        "properties": {"response": text, "confidence": share, "reasoning": text}});
    let (properties, required) = match tool {
        PredictNextPrompt => (
            json!({"id": text, "predicted_response": text, "confidence": share, "reasoning": text, "status": status,
                "candidates": {"type": "array", "items": candidate}, "k": {"type": "integer"}, "threshold": share,
                "model": text, "latency_ms": {"type": "integer"}, "stop_recommended": {"type": "boolean"}}),
            json!(["id", "predicted_response", "confidence", "status", "candidates", "threshold"]),
        ),
        PredictContinuation => (
            json!({"id": text, "should_continue": {"type": "boolean"}, "confidence": share, "reasoning": text,
                "status": status, "threshold": share, "model": text, "latency_ms": {"type": "integer"}}),
            json!(["should_continue", "confidence", "status", "threshold"]),
        ),
        SubmitFeedback => (json!({"prediction_id": text, "status": text}), json!(["prediction_id", "status"])),
        _ => (json!({"session_id": text, "event_id": text}), json!(["session_id", "event_id"])),
    };
    let schema = [("type", json!("object")), ("properties", properties), ("required", required)];
    schema.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Runs one tool.
///
/// # Errors
///
/// `Invalid` for arguments that do not fit, otherwise what `call` says.
pub async fn run(tool: Tool, arguments: JsonObject, call: &Call) -> Result<JsonObject, Fault> {
    match tool {
        PredictNextPrompt => pass::<PredictArgs>("predict", arguments, call).await,
        PredictContinuation => pass::<ContinuationArgs>("continuation", arguments, call).await,
        SubmitFeedback => feedback(read(&arguments)?, call).await,
        StartSession => {
            let from = read(&arguments)?;
            record(call, "session.started", Uuid::now_v7().to_string(), &from, json!({})).await
        }
        StopSession => {
            let StopArgs { session_id, from } = read(&arguments)?;
            record(call, "session.stopped", session_id, &from, json!({})).await
        }
        RecordAgentPrompt => {
            let PromptArgs { session_id, agent, prompt, from } = read(&arguments)?;
            record(call, "agent.prompt", session_id, &from, json!({"agent": agent, "prompt": prompt})).await
        }
        RecordAgentResponse => {
            let ResponseArgs { session_id, agent, response, in_response_to, from } = read(&arguments)?;
            let body = json!({"agent": agent, "response": response, "in_response_to": in_response_to});
            record(call, "agent.response", session_id, &from, body).await
        }
    }
}

fn read<T: DeserializeOwned>(arguments: &JsonObject) -> Result<T, Fault> {
    serde_json::from_value(Value::Object(arguments.clone()))
        .map_err(|error| Fault::invalid(format!("the arguments do not fit: {error}")))
}

/// Hands the arguments on as they came, nulls left out, once they were seen to fit.
async fn pass<T: DeserializeOwned>(operation: &str, mut given: JsonObject, call: &Call) -> Result<JsonObject, Fault> {
    read::<T>(&given)?;
    given.retain(|_, value| !value.is_null());
    match call(operation.to_owned(), None, Value::Object(given)).await? {
        Value::Object(object) => Ok(object),
        other => Err(Fault::internal(format!("`{operation}` answered no JSON object but {}", kind(&other)))),
    }
}

const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

async fn feedback(given: FeedbackArgs, call: &Call) -> Result<JsonObject, Fault> {
    let FeedbackArgs { prediction_id, status, actual_response } = given;
    let mut body = json!({"status": status.name()});
    if let Some(actual) = actual_response {
        body["actual_response"] = actual.into();
    }
    let answer = call("feedback".to_owned(), Some(prediction_id.clone()), body).await?;
    let mut object = if let Value::Object(object) = answer { object } else { JsonObject::new() };
    object.entry("prediction_id").or_insert_with(|| prediction_id.into());
    object.entry("status").or_insert_with(|| status.name().into());
    Ok(object)
}

/// Sends one event and says under which ids it is known.
async fn record(call: &Call, topic: &str, session_id: String, from: &From, body: Value) -> Result<JsonObject, Fault> {
    let event_id = Uuid::now_v7().to_string();
    let event = event(topic, &event_id, &session_id, from, body);
    let answer = call("events_ingest".to_owned(), None, json!([event])).await?;
    let reply: IngestReply = serde_json::from_value(answer)
        .map_err(|error| Fault::internal(format!("`events_ingest` answered something else: {error}")))?;
    if let Some(invalid) = reply.invalid.first() {
        return Err(Fault::invalid(format!("the event is refused: {}", invalid.errors.join("; "))));
    }
    let ids = [("session_id", session_id), ("event_id", event_id)];
    Ok(ids.into_iter().map(|(name, id)| (name.to_owned(), id.into())).collect())
}

fn event(topic: &str, id: &str, session_id: &str, from: &From, body: Value) -> Value {
    let said = from.source.as_deref().filter(|source| !source.is_empty()).unwrap_or(DEFAULT_SOURCE);
    let known = SOURCES.contains(&said) || RAW_SOURCES.iter().any(|(raw, _)| *raw == said);
    let source = if known { said } else { DEFAULT_SOURCE };
    let detail = from.source_detail.as_deref().filter(|detail| !detail.is_empty());
    let detail = detail.or((source == "integration").then_some(DEFAULT_DETAIL));
    let mut event = json!({"id": id, "session_id": session_id, "occurred_at": Timestamp::now().to_string(),
        "source": source, "source_detail": detail, "type": topic});
    if let (Value::Object(event), Value::Object(body)) = (&mut event, body) {
        event.extend(body);
    }
    if !known {
        event["meta"] = json!({"raw_source": said});
    }
    event
}
