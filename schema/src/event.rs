//! What happened, as producers send it.
//!
//! Two ways in that agree (a property test holds them together): [`Event::parse`] reads typed structs on the hot path;
//! [`problems`] walks the [topic table](crate::topic) over a JSON value and says what is wrong, the first three errors in
//! JSON-pointer order. The slow way runs only when the fast way refused.

mod problems;
mod wire;
mod write;

use serde::{Deserialize, Serialize};

pub use self::problems::problems;
use crate::memory::names;
use crate::time::Timestamp;

/// How many problems of one event are reported.
pub const MAX_PROBLEMS: usize = 3;

/// Where an event came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A computer's screen and input.
    Desktop,
    /// A terminal.
    Cli,
    /// A phone.
    Mobile,
    /// Glasses.
    Smartglass,
    /// An agent.
    Agent,
    /// A third-party service, named by `source_detail`.
    Integration,
}

/// The values of `source` on the wire.
pub const SOURCES: &[&str] = &["desktop", "cli", "mobile", "smartglass", "agent", "integration"];

/// Values that real clients send outside the enum, and the origin that each implies. All map to [`Source::Agent`].
///
/// `user` is what a loop plugin calls the text that it injects itself, so it is never taken for human typing.
pub const RAW_SOURCES: &[(&str, Origin)] = &[
    ("user", Origin::Unknown),
    ("clone-prediction", Origin::Ours),
    ("auto-answer", Origin::Ours),
    ("tool-use", Origin::Agent),
];

/// The `source_detail` of what the person wrote on GitHub.
pub const GITHUB: &str = "github";

/// Who made the words of an event. Only [`Origin::Typed`] trains and only it supports a preference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The person typed it.
    Typed,
    /// An agent said it.
    Agent,
    /// It was on the screen.
    Screen,
    /// It was pasted.
    Pasted,
    /// Clone itself predicted or answered it.
    Ours,
    /// Nobody said.
    #[default]
    Unknown,
}

/// The values of `meta.origin` on the wire.
pub const ORIGINS: &[&str] = &["typed", "agent", "screen", "pasted", "ours", "unknown"];

/// The optional base field: what else is known about an event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Meta {
    /// Who made the words.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "wire::present_word")]
    pub origin: Option<Origin>,
    /// The working directory.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "wire::present")]
    pub cwd: Option<String>,
    /// The project, where it is not the working directory.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "wire::present")]
    pub project: Option<String>,
    /// What the importer calls this item, for tombstones.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "wire::present")]
    pub import_key: Option<String>,
    /// The `source` that the client sent, where it is outside the enum.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "wire::present")]
    pub raw_source: Option<String>,
}

/// The names of the fields of `meta`.
pub const META_FIELDS: &[&str] = &["origin", "cwd", "project", "import_key", "raw_source"];

/// Which modifier keys were held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Modifiers {
    pub shift: bool,
    pub ctrl: bool,
    pub alt: bool,
    pub meta: bool,
}

/// The names of the modifier keys.
pub const MODIFIER_KEYS: &[&str] = &["shift", "ctrl", "alt", "meta"];

/// Whether a key went down or up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum KeyAction {
    Press,
    Release,
}

/// What an agent asked for when it offered a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum ChoiceKind {
    Question,
    Permission,
    Plan,
}

/// How the person answered an offered choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// One of the options.
    Chosen,
    /// Words of their own.
    Other,
    /// No.
    Rejected,
    /// Stopped without an answer.
    Interrupted,
}

/// The part of an event that depends on its type.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Body {
    SessionStarted,
    SessionStopped,
    AppFocused { app: String, window_title: Option<String> },
    CaptureFrame { uri: String, content_hash: Option<String>, width: i64, height: i64 },
    InputKeystroke { event_type: KeyAction, modifiers: Modifiers },
    InputClick { x: i64, y: i64, button: i64, modifiers: Modifiers },
    InputScroll { x: i64, y: i64, delta_x: i64, delta_y: i64, modifiers: Modifiers },
    AgentPrompt { agent: String, prompt: String },
    AgentResponse { agent: String, response: String, in_response_to: Option<String> },
    TerminalCommand { command: String, cwd: Option<String>, exit_code: Option<i64>, duration_ms: Option<i64> },
    BrowserVisited { url: String, title: Option<String> },
    AgentChoice(Choice),
}

/// An answered choice: what was offered and what the person took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The agent that offered.
    pub agent: String,
    /// What it asked for.
    pub kind: ChoiceKind,
    /// The question.
    pub question: String,
    /// The options in the order shown.
    pub options: Vec<String>,
    /// The option taken, or the words typed instead; none where the person said no or stopped.
    pub choice: Option<String>,
    /// How the person answered.
    pub outcome: Outcome,
    /// The event that held the question.
    pub in_response_to: Option<String>,
}

/// One observed thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The idempotency key.
    pub id: String,
    /// The session it belongs to.
    pub session_id: String,
    /// When it happened, by the producer's clock.
    pub occurred_at: Timestamp,
    /// Where it came from.
    pub source: Source,
    /// The provider or tool; never absent where the source is `integration`.
    pub source_detail: Option<String>,
    /// What else is known.
    pub meta: Option<Meta>,
    /// The part that depends on the type.
    pub body: Body,
}

/// One thing wrong with an event.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// JSON pointer to the value that is wrong.
    pub pointer: String,
    /// What is wrong, in the words of the reference validator.
    pub message: String,
}

impl Event {
    /// The event type.
    #[must_use]
    pub fn topic(&self) -> &'static str {
        match &self.body {
            Body::SessionStarted => "session.started",
            Body::SessionStopped => "session.stopped",
            Body::AppFocused { .. } => "app.focused",
            Body::CaptureFrame { .. } => "capture.frame",
            Body::InputKeystroke { .. } => "input.keystroke",
            Body::InputClick { .. } => "input.click",
            Body::InputScroll { .. } => "input.scroll",
            Body::AgentPrompt { .. } => "agent.prompt",
            Body::AgentResponse { .. } => "agent.response",
            Body::TerminalCommand { .. } => "terminal.command",
            Body::BrowserVisited { .. } => "browser.visited",
            Body::AgentChoice(_) => "agent.choice",
        }
    }

    /// Who made the words; what an agent said is the agent's unless somebody knows better.
    #[must_use]
    pub fn origin(&self) -> Origin {
        match (self.meta.as_ref().and_then(|meta| meta.origin), &self.body) {
            (Some(origin), _) => origin,
            (None, Body::AgentResponse { .. }) => Origin::Agent,
            (None, _) => Origin::Unknown,
        }
    }

    /// Whether its words were written on a service for other people, not to an agent.
    #[must_use]
    pub fn is_for_people(&self) -> bool {
        self.source == Source::Integration && self.source_detail.as_deref() == Some(GITHUB)
    }

    /// The agent that spoke or was spoken to.
    #[must_use]
    pub fn agent(&self) -> Option<&str> {
        match &self.body {
            Body::AgentPrompt { agent, .. } | Body::AgentResponse { agent, .. } => Some(agent),
            Body::AgentChoice(choice) => Some(&choice.agent),
            _ => None,
        }
    }

    /// The project: named by the producer, else the working directory.
    #[must_use]
    pub fn project(&self) -> Option<&str> {
        let meta = self.meta.as_ref()?;
        meta.project.as_deref().or(meta.cwd.as_deref())
    }

    /// Every text a person or program wrote, for the scrubber: mutable, in place.
    pub fn texts_mut(&mut self) -> Vec<&mut String> {
        match &mut self.body {
            Body::AppFocused { window_title, .. } => window_title.iter_mut().collect(),
            Body::AgentPrompt { prompt, .. } => vec![prompt],
            Body::AgentResponse { response, .. } => vec![response],
            Body::TerminalCommand { command, .. } => vec![command],
            Body::BrowserVisited { url, title } => std::iter::once(url).chain(title.iter_mut()).collect(),
            Body::AgentChoice(choice) => {
                let Choice { question, options, choice, .. } = choice;
                std::iter::once(question).chain(options.iter_mut()).chain(choice.iter_mut()).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// The source of a wire value, and the origin it implies when the value is one that real clients send outside the enum.
fn source_of(value: &str) -> Option<(Source, Option<Origin>)> {
    let raw = || RAW_SOURCES.iter().find(|(raw, _)| *raw == value);
    let known = Source::from_name(value).map(|source| (source, None));
    known.or_else(|| raw().map(|(_, origin)| (Source::Agent, Some(*origin))))
}

names!(Source: Desktop = "desktop", Cli = "cli", Mobile = "mobile", Smartglass = "smartglass", Agent = "agent",
    Integration = "integration");
names!(Origin: Typed = "typed", Agent = "agent", Screen = "screen", Pasted = "pasted", Ours = "ours",
    Unknown = "unknown");
