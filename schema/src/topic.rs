//! One table of every kind of event that the log can hold.
//!
//! The wire validator, the JSON Schema, the TypeScript types and the MCAP schemas are all read off this table; the typed
//! structs in [`event`](crate::event) are proven equal to it by tests.

/// What a field of a wire event may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A string, perhaps with at least one character.
    Text {
        /// Refuses the empty string.
        non_empty: bool,
    },
    /// A string or null.
    TextOrNull,
    /// A whole number that fits in 64 bits.
    Int {
        /// The smallest allowed value.
        min: Option<i64>,
    },
    /// A whole number or null.
    IntOrNull,
    /// One of these strings.
    OneOf(&'static [&'static str]),
    /// An array of strings.
    Texts,
    /// `{shift, ctrl, alt, meta}`, all booleans.
    Modifiers,
}

/// One field of a wire event beyond the base fields; all of them are required, null only where the shape says so.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The key on the wire.
    pub name: &'static str,
    /// What it may hold.
    pub shape: Shape,
}

/// Who may see a topic, from least to most private.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privacy {
    /// Our own bookkeeping; no content.
    Bookkeeping,
    /// What was done, not what was said.
    Activity,
    /// Words that a person or an agent wrote.
    Words,
}

/// Whether an ingest reply waits for this topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The reply is sent after fdatasync.
    Acked,
    /// Written with the next commit; never delays a reply.
    Bulk,
}

/// One kind of event.
#[derive(Clone, Copy, Debug)]
pub struct Topic {
    /// The event type on the wire and the MCAP topic.
    pub name: &'static str,
    /// Fields beyond the base; empty for internal topics, whose payloads are typed in [`internal`](crate::internal).
    pub fields: &'static [Field],
    /// Whether producers may send it.
    pub wire: bool,
    /// Who may see it.
    pub privacy: Privacy,
    /// Whether a reply waits for it.
    pub durability: Durability,
}

const fn text(name: &'static str) -> Field {
    Field { name, shape: Shape::Text { non_empty: false } }
}
const fn name_text(name: &'static str) -> Field {
    Field { name, shape: Shape::Text { non_empty: true } }
}
const fn maybe_text(name: &'static str) -> Field {
    Field { name, shape: Shape::TextOrNull }
}
const fn int(name: &'static str) -> Field {
    Field { name, shape: Shape::Int { min: None } }
}
const fn at_least_one(name: &'static str) -> Field {
    Field { name, shape: Shape::Int { min: Some(1) } }
}
const fn maybe_int(name: &'static str) -> Field {
    Field { name, shape: Shape::IntOrNull }
}
const MODIFIERS: Field = Field { name: "modifiers", shape: Shape::Modifiers };

/// The values of `outcome` in `agent.choice`.
pub const CHOICE_OUTCOMES: &[&str] = &["chosen", "other", "rejected", "interrupted"];
/// The values of `kind` in `agent.choice`.
pub const CHOICE_KINDS: &[&str] = &["question", "permission", "plan"];

const fn wire(name: &'static str, privacy: Privacy, durability: Durability, fields: &'static [Field]) -> Topic {
    Topic { name, fields, wire: true, privacy, durability }
}
const fn internal(name: &'static str, privacy: Privacy, durability: Durability) -> Topic {
    Topic { name, fields: &[], wire: false, privacy, durability }
}

use Durability::{Acked, Bulk};
use Privacy::{Activity, Bookkeeping, Words};

/// Every topic. The index plus one is the MCAP channel and schema id, so new topics go at the end.
pub const TOPICS: &[Topic] = &[
    wire("session.started", Activity, Acked, &[]),
    wire("session.stopped", Activity, Acked, &[]),
    wire("app.focused", Activity, Bulk, &[name_text("app"), maybe_text("window_title")]),
    wire(
        "capture.frame",
        Activity,
        Acked,
        &[name_text("uri"), maybe_text("content_hash"), at_least_one("width"), at_least_one("height")],
    ),
    wire(
        "input.keystroke",
        Activity,
        Bulk,
        &[Field { name: "event_type", shape: Shape::OneOf(&["press", "release"]) }, MODIFIERS],
    ),
    wire("input.click", Activity, Bulk, &[int("x"), int("y"), at_least_one("button"), MODIFIERS]),
    wire("input.scroll", Activity, Bulk, &[int("x"), int("y"), int("delta_x"), int("delta_y"), MODIFIERS]),
    wire("agent.prompt", Words, Acked, &[name_text("agent"), text("prompt")]),
    wire("agent.response", Words, Acked, &[name_text("agent"), text("response"), maybe_text("in_response_to")]),
    wire(
        "terminal.command",
        Words,
        Acked,
        &[name_text("command"), maybe_text("cwd"), maybe_int("exit_code"), maybe_int("duration_ms")],
    ),
    wire("browser.visited", Activity, Acked, &[name_text("url"), maybe_text("title")]),
    wire(
        "agent.choice",
        Words,
        Acked,
        &[
            name_text("agent"),
            Field { name: "kind", shape: Shape::OneOf(CHOICE_KINDS) },
            text("question"),
            Field { name: "options", shape: Shape::Texts },
            maybe_text("choice"),
            Field { name: "outcome", shape: Shape::OneOf(CHOICE_OUTCOMES) },
            maybe_text("in_response_to"),
        ],
    ),
    internal("prediction.made", Words, Bulk),
    internal("feedback.given", Words, Acked),
    internal("choice.audited", Bookkeeping, Bulk),
    internal("key.created", Bookkeeping, Acked),
    internal("key.revoked", Bookkeeping, Acked),
    internal("vault.written", Words, Acked),
    internal("vault.edited", Words, Acked),
    internal("vault.moved", Words, Acked),
    internal("vault.deleted", Words, Acked),
    internal("session.closed", Bookkeeping, Acked),
    internal("gate.decided", Words, Acked),
    internal("fact.judged", Words, Acked),
    internal("event.forgotten", Bookkeeping, Acked),
    internal("import.marked", Bookkeeping, Acked),
    internal("capture.paused", Bookkeeping, Acked),
    internal("capture.resumed", Bookkeeping, Acked),
    internal("capture.lost", Bookkeeping, Acked),
    internal("model.called", Words, Acked),
    internal("model.answered", Words, Acked),
    internal("config.changed", Bookkeeping, Acked),
    internal("memory.noted", Words, Acked),
];

/// The topic of this name and its index in [`TOPICS`].
#[must_use]
pub fn find(name: &str) -> Option<(usize, &'static Topic)> {
    TOPICS.iter().enumerate().find(|(_, topic)| topic.name == name)
}

/// The names of the types that producers may send, in order.
#[must_use]
pub fn wire_names() -> Vec<&'static str> {
    TOPICS.iter().filter(|topic| topic.wire).map(|topic| topic.name).collect()
}
