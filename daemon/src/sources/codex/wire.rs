//! What Codex CLI writes, as it writes it.
//!
//! Only the fields that are used are named; a part whose shape differs between versions stays raw and is read when
//! needed. Source: rollout files of versions 0.77 and 0.169.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// One line.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Line<'a> {
    pub(super) timestamp: Option<String>,
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(borrow)]
    pub(super) payload: Option<&'a RawValue>,
    pub(super) ordinal: Option<u64>,
}

/// The head of a file, and what a turn repeats of it.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Meta {
    pub(super) id: Option<String>,
    pub(super) session_id: Option<String>,
    forked_from_id: Option<String>,
    /// Where a fork only names what its parent holds.
    history_base: Option<Value>,
    parent_thread_id: Option<String>,
    agent_role: Option<String>,
    pub(super) cwd: Option<String>,
    source: Value,
    thread_source: Value,
}

impl Meta {
    /// Whether the file begins with a copy of another thread's lines.
    pub(super) fn copies(&self) -> bool {
        self.forked_from_id.is_some() && self.history_base.is_none()
    }

    /// Whether a program types here and not a person.
    pub(super) fn is_driven(&self) -> bool {
        let by_program = |source: &Value| match source {
            Value::String(name) => matches!(name.as_str(), "exec" | "mcp" | "subagent" | "sub_agent" | "system"),
            Value::Object(fields) => {
                ["subagent", "sub_agent", "internal"].iter().any(|name| fields.contains_key(*name))
            }
            _ => false,
        };
        by_program(&self.source)
            || by_program(&self.thread_source)
            || self.parent_thread_id.is_some()
            || self.agent_role.is_some()
    }
}

/// What a line is about: an event or an item of the conversation.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Item<'a> {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) role: Option<String>,
    pub(super) message: Option<String>,
    /// What kind of input an event of the person is: absent or `plain` for what they typed.
    #[serde(rename = "kind")]
    pub(super) input_kind: Option<String>,
    pub(super) name: Option<String>,
    pub(super) call_id: Option<String>,
    pub(super) reason: Option<String>,
    #[serde(borrow)]
    pub(super) content: Option<&'a RawValue>,
    /// What the tool notes beside an item: whose its pieces are.
    #[serde(borrow, rename = "internal_chat_message_metadata_passthrough")]
    pub(super) passthrough: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) item: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) arguments: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) input: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) output: Option<&'a RawValue>,
}

/// What an event says was completed.
pub(super) fn completed(raw: Option<&RawValue>) -> Item<'_> {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Passthrough {
    content_item_kinds: Vec<String>,
}

/// Whether newer versions say of every piece that it is not the person's.
pub(super) fn is_tools_own(raw: Option<&RawValue>) -> bool {
    let noted: Passthrough = raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    let kinds = noted.content_item_kinds;
    !kinds.is_empty() && kinds.iter().all(|kind| !kind.starts_with("user.") && kind != "unknown")
}

/// The texts of a content, joined.
pub(super) fn texts(raw: Option<&RawValue>) -> String {
    let pieces: Vec<Value> = raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    let texts: Vec<&str> = pieces.iter().filter_map(|piece| piece["text"].as_str()).collect();
    texts.join("\n")
}

/// A text that may itself be written as JSON, or as an object that holds it.
pub(super) fn text(raw: Option<&RawValue>) -> String {
    match raw.and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok()) {
        Some(Value::String(text)) => text,
        Some(Value::Object(fields)) => {
            let inner = fields.get("content").or_else(|| fields.get("output"));
            inner.and_then(Value::as_str).unwrap_or_default().to_owned()
        }
        _ => String::new(),
    }
}
