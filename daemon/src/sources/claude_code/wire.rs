//! What Claude Code writes, as it writes it.
//!
//! Only the fields that are used are named; everything else is passed over without being held. Parts whose shape
//! differs between versions stay raw and are read when needed, so that a new shape in one place loses that place and
//! not the line.
//! Source: session files of versions 2.0.76 to 2.1.49, and the public notes on later ones.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// One line of a session file.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Record<'a> {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    /// What a `system` record is of.
    pub(super) subtype: Option<String>,
    pub(super) uuid: Option<String>,
    pub(super) session_id: Option<String>,
    pub(super) timestamp: Option<String>,
    pub(super) cwd: Option<String>,
    pub(super) is_sidechain: Option<bool>,
    pub(super) is_meta: Option<bool>,
    pub(super) is_compact_summary: Option<bool>,
    pub(super) is_api_error_message: Option<bool>,
    pub(super) entrypoint: Option<String>,
    pub(super) prompt_source: Option<String>,
    #[serde(rename = "sourceToolUseID")]
    pub(super) source_tool_use_id: Option<String>,
    #[serde(borrow)]
    pub(super) origin: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) message: Option<Message<'a>>,
    #[serde(borrow)]
    pub(super) tool_use_result: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) attachment: Option<&'a RawValue>,
    /// What a `queue-operation` does, and the text that it does it with.
    pub(super) operation: Option<String>,
    #[serde(borrow)]
    pub(super) content: Option<&'a RawValue>,
}

impl Record<'_> {
    /// Whether a `system` record holds a command that the person ran, and not what came of it.
    pub(super) fn is_local_command(&self) -> bool {
        self.subtype.as_deref() == Some("local_command")
            && texts(self.content).iter().any(|text| text.trim_start().starts_with("<command-name>"))
    }
}

/// What was said.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Message<'a> {
    pub(super) model: Option<String>,
    #[serde(borrow)]
    pub(super) content: Option<&'a RawValue>,
}

/// One piece of what was said.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Block<'a> {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) text: Option<String>,
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    #[serde(borrow)]
    pub(super) input: Option<&'a RawValue>,
    pub(super) tool_use_id: Option<String>,
    #[serde(borrow)]
    pub(super) content: Option<&'a RawValue>,
    pub(super) is_error: Option<bool>,
}

/// A prompt that waited for the agent to come round to it.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Attachment<'a> {
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(borrow)]
    pub(super) prompt: Option<&'a RawValue>,
    pub(super) command_mode: Option<String>,
    #[serde(borrow)]
    pub(super) origin: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Kind {
    kind: String,
}

/// Who the tool says made a prompt: the `kind` of its `origin`.
pub(super) fn origin_kind(raw: Option<&RawValue>) -> Option<String> {
    serde_json::from_str::<Kind>(raw?.get()).ok().map(|origin| origin.kind)
}

/// Content as blocks, whether it was written as one text or as a list; nothing where it is neither.
pub(super) fn blocks(raw: Option<&RawValue>) -> Vec<Block<'_>> {
    let Some(raw) = raw.map(RawValue::get) else { return Vec::new() };
    if raw.starts_with('"') {
        let text = serde_json::from_str(raw).ok();
        return vec![Block { kind: "text".to_owned(), text, ..Block::default() }];
    }
    // Piece by piece: one odd block must not lose its neighbours.
    let pieces: Vec<&RawValue> = serde_json::from_str(raw).unwrap_or_default();
    pieces.into_iter().filter_map(|piece| serde_json::from_str(piece.get()).ok()).collect()
}

/// The texts of a content, in order.
pub(super) fn texts(raw: Option<&RawValue>) -> Vec<String> {
    blocks(raw).into_iter().filter(|block| block.kind == "text").filter_map(|block| block.text).collect()
}

/// A JSON object, empty where the value is anything else.
pub(super) fn object(raw: Option<&RawValue>) -> Map<String, Value> {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}
