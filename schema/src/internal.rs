//! Events that only the daemon writes: what it predicted, what it was told, and every byte of the vault.
//!
//! Each carries an `id` and an `at` like any event, so that the log treats them alike. Unknown keys are kept out on
//! purpose: these payloads are ours, and a version that adds a key makes it optional.

use serde::{Deserialize, Serialize};

use crate::api::Scope;
use crate::prediction::Prediction;
use crate::text;
use crate::time::Timestamp;

/// One internal event: its payload under its topic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Payload {
    /// A prediction was answered.
    #[serde(rename = "prediction.made")]
    PredictionMade {
        /// The whole answer with its receipts.
        prediction: Box<Prediction>,
    },
    /// A verdict on a prediction; the newest wins.
    #[serde(rename = "feedback.given")]
    FeedbackGiven(Feedback),
    /// An answer that could have been automatic was asked instead, to see how such answers fare.
    #[serde(rename = "choice.audited")]
    ChoiceAudited {
        /// Which prediction.
        prediction_id: String,
    },
    /// An API key was made; only its hash is kept.
    #[serde(rename = "key.created")]
    KeyCreated(Key),
    /// An API key was revoked.
    #[serde(rename = "key.revoked")]
    KeyRevoked {
        /// Which key.
        key_id: String,
    },
    /// The daemon wrote a file of the vault.
    #[serde(rename = "vault.written")]
    VaultWritten(FileText),
    /// A person wrote a file of the vault.
    #[serde(rename = "vault.edited")]
    VaultEdited(FileText),
    /// A person moved or renamed a file of the vault.
    #[serde(rename = "vault.moved")]
    VaultMoved {
        /// The path before, relative to the vault.
        from: String,
        /// The path after, relative to the vault.
        to: String,
    },
    /// A file of the vault is gone.
    #[serde(rename = "vault.deleted")]
    VaultDeleted {
        /// The path, relative to the vault.
        path: String,
        /// Who removed it: `person` or `daemon`.
        by: String,
    },
    /// A session is over: stopped, idle, or followed by another stretch.
    #[serde(rename = "session.closed")]
    SessionClosed {
        /// Which session.
        session_id: String,
        /// Position of the last event that belongs to the closed stretch.
        upto: u64,
        /// `stopped`, `idle`, `topic`, `project` or `agent` where something else began, `full` where a stretch reached its limit.
        reason: String,
    },
    /// An import run finished.
    #[serde(rename = "import.marked")]
    ImportMarked {
        /// `claude-code`, `specstory`, `turns`, ...
        format: String,
        /// How many items were new.
        imported: u64,
        /// How many were known already.
        duplicates: u64,
        /// How many were passed over, by reason.
        skipped: std::collections::BTreeMap<String, u64>,
    },
    /// A setting changed.
    #[serde(rename = "config.changed")]
    ConfigChanged {
        /// Which setting.
        key: String,
        /// The new value.
        value: String,
    },
    /// Events were forgotten: what stays is where they were, and hashes that only this log can compare.
    #[serde(rename = "event.forgotten")]
    EventForgotten(Forgotten),
    /// The person decided about a claim that waited, or that was in use; the newest decision wins.
    #[serde(rename = "gate.decided")]
    GateDecided {
        /// Which gate: an id over the claim, so that it stays decided whatever evidence comes.
        gate: String,
        /// `accept` or `reject`.
        choice: String,
    },
    /// Somebody told Clone something.
    #[serde(rename = "memory.noted")]
    MemoryNoted {
        /// The words.
        text: String,
        /// The session it belongs to, if any.
        session_id: Option<String>,
    },
}

/// What stays of forgotten events; no content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forgotten {
    /// Who wanted it: `person` or `retention`.
    pub by: String,
    /// First and last position of every run.
    pub runs: Vec<(u64, u64)>,
    /// Keyed hashes of their ids, hexadecimal.
    pub ids: Vec<String>,
    /// Keyed hashes of their texts, hexadecimal.
    pub texts: Vec<String>,
    /// Ids of claims that were withdrawn in notes that went along: they stay withdrawn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withdrawn: Vec<String>,
    /// The source that a person took an item out of (✕): these hashes hold until it is cleared. Nothing where somebody
    /// forgot: they hold for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed_from: Option<String>,
    /// Keyed hashes of sessions and projects of that source of which nothing more is taken, hexadecimal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<String>,
    /// The source whose items, taken out before this, may come again: it was wiped or disconnected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleared: Option<String>,
}

/// An internal event as the log holds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Internal {
    /// Ours, UUIDv7.
    pub id: String,
    /// When.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub payload: Payload,
}

/// A verdict on a prediction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feedback {
    /// Which prediction.
    pub prediction_id: String,
    /// What the person made of it.
    pub status: Verdict,
    /// What was really sent.
    pub actual_response: Option<String>,
    /// Who judged. Only [`Judge::Person`] and [`Judge::Implicit`] ever train.
    pub judge: Judge,
}

/// The three verdicts of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Sent as it was.
    Accepted,
    /// Something else was sent.
    Edited,
    /// Thrown away.
    Rejected,
}

/// Who gave a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Judge {
    /// A person, through the CLI or the page.
    Person,
    /// A program over the wire; kept and shown, never trained on.
    Machine,
    /// What the person typed next in the same session.
    Implicit,
}

/// An API key without the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// The id that lists and revocations name.
    pub key_id: String,
    /// What the person calls it.
    pub label: String,
    /// BLAKE3 of the whole key, hexadecimal.
    pub hash: String,
    /// What it may do; keys of before there were scopes may do everything.
    #[serde(default = "everything", skip_serializing_if = "is_everything")]
    pub scope: Scope,
    /// Whether it opens nothing itself and only renews the tokens of a page.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub renews: bool,
}

const fn everything() -> Scope {
    Scope::Admin
}

fn is_everything(scope: &Scope) -> bool {
    *scope == Scope::Admin
}

/// A file of the vault, whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileText {
    /// The path, relative to the vault, with `/` between parts.
    pub path: String,
    /// The text; hexadecimal where [`hex`](Self::hex) says so, because the bytes are not UTF-8.
    pub text: String,
    /// Whether `text` is hexadecimal.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hex: bool,
    /// What the daemon would have written alone, where `text` is that merged into what a person wrote; the base of the
    /// next merge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub derived: Option<String>,
    /// What of `derived` is not in `text`, because the person wrote something else there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conflict: Option<String>,
    /// Position of the event with the text of ours that a person's edit began with; the last one where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<u64>,
    /// Whether the person asked for this text and the daemon has yet to write it; an edit found in the folder stands there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub asked: bool,
}

impl FileText {
    /// A file of these bytes, kept exactly whatever they are.
    #[must_use]
    pub fn new(path: &str, bytes: &[u8]) -> Self {
        // Text of mostly control characters grows sixfold as JSON; hexadecimal only doubles.
        let dense = bytes.iter().filter(|byte| byte.is_ascii_control() && !byte.is_ascii_whitespace()).count();
        let (text, hex) = match std::str::from_utf8(bytes) {
            Ok(text) if dense * 5 <= bytes.len() => (text.to_owned(), false),
            _ => (text::hex(bytes), true),
        };
        Self { path: path.to_owned(), text, hex, ..Self::default() }
    }

    /// The bytes of the file; nothing when the hexadecimal is broken.
    #[must_use]
    pub fn bytes(&self) -> Option<Vec<u8>> {
        if !self.hex {
            return Some(self.text.clone().into_bytes());
        }
        text::unhex(&self.text)
    }
}

impl Internal {
    /// The topic that this event is kept under.
    #[must_use]
    pub fn topic(&self) -> &'static str {
        match &self.payload {
            Payload::PredictionMade { .. } => "prediction.made",
            Payload::FeedbackGiven(_) => "feedback.given",
            Payload::ChoiceAudited { .. } => "choice.audited",
            Payload::KeyCreated(_) => "key.created",
            Payload::KeyRevoked { .. } => "key.revoked",
            Payload::VaultWritten(_) => "vault.written",
            Payload::VaultEdited(_) => "vault.edited",
            Payload::VaultMoved { .. } => "vault.moved",
            Payload::VaultDeleted { .. } => "vault.deleted",
            Payload::SessionClosed { .. } => "session.closed",
            Payload::ImportMarked { .. } => "import.marked",
            Payload::ConfigChanged { .. } => "config.changed",
            Payload::EventForgotten(_) => "event.forgotten",
            Payload::GateDecided { .. } => "gate.decided",
            Payload::MemoryNoted { .. } => "memory.noted",
        }
    }

    /// The event as one line of JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_any_bytes_comes_back_and_broken_hexadecimal_does_not() {
        for bytes in [&b""[..], b"text", b"\xff\x00\x0a", "日本".as_bytes()] {
            let file = FileText::new("facts/a.md", bytes);
            assert_eq!((file.hex, file.bytes().as_deref()), (std::str::from_utf8(bytes).is_err(), Some(bytes)));
        }
        for text in ["f", "ff0", "+f", "fg", "é"] {
            let file = FileText { path: "a".into(), text: text.into(), hex: true, ..FileText::default() };
            assert_eq!(file.bytes(), None, "{text}");
        }
    }
}
