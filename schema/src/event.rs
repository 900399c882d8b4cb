//! What happened, as producers send it.
//!
//! Two ways in that agree (a property test holds them together): [`Event::parse`] reads typed structs on the hot path;
//! [`problems`] walks the [topic table](crate::topic) over a JSON value and says what is wrong, the first three errors in
//! JSON-pointer order. The slow way runs only when the fast way refused.

use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::time::Timestamp;
use crate::topic::{self, Shape};

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
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "not_null_word")]
    pub origin: Option<Origin>,
    /// The working directory.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "not_null")]
    pub cwd: Option<String>,
    /// The project, where it is not the working directory.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "not_null")]
    pub project: Option<String>,
    /// What the importer calls this item, for tombstones.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "not_null")]
    pub import_key: Option<String>,
    /// The `source` that the client sent, where it is outside the enum.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "not_null")]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Reads one event of the wire, mapping the odd `source` values of real clients.
    ///
    /// # Errors
    ///
    /// The first three problems in JSON-pointer order; mend the event and send it again alone.
    pub fn parse(json: &str) -> Result<Self, Vec<Problem>> {
        match serde_json::from_str::<Object<Wire>>(json).ok().and_then(|wire| wire.0.into_event()) {
            Some(event) => Ok(event),
            None => Err(explain(json)),
        }
    }

    /// The event as one line of JSON with the keys in a fixed order.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(&Wire::from_event(self)).unwrap_or_default()
    }

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

/// Distinguishes an absent key from a null one, which [`Option`] alone cannot.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

/// An optional key that may be absent but not null.
fn not_null<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

/// As [`not_null`], for a [`Word`].
fn not_null_word<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    Word::deserialize(from).map(|word| Some(word.0))
}

/// A struct that is read from an object alone; serde would also take an array of its fields in order.
#[derive(Serialize)]
#[serde(transparent)]
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(ObjectVisitor(PhantomData)).map(Self)
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

/// An enum that is read from a string alone; serde would also take `{"press": null}`.
#[derive(Serialize)]
#[serde(transparent)]
struct Word<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Word<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        T::deserialize(String::deserialize(from)?.into_deserializer()).map(Self)
    }
}

macro_rules! wire {
    ($($name:ident : $shape:ty),* $(,)?) => {
        /// The flat shape of the wire: every field of every type, each perhaps absent.
        #[derive(Default, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire {
            id: String,
            session_id: String,
            occurred_at: String,
            source: String,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            source_detail: Option<String>,
            #[serde(rename = "type")]
            type_: String,
            $(#[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
              $name: Option<$shape>,)*
            #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
            meta: Option<Object<Meta>>,
        }

        impl Wire {
            /// How many type-dependent fields are present.
            fn count(&self) -> usize {
                0 $(+ usize::from(self.$name.is_some()))*
            }
        }
    };
}

wire! {
    agent: String,
    prompt: String,
    response: String,
    in_response_to: Option<String>,
    app: String,
    window_title: Option<String>,
    uri: String,
    content_hash: Option<String>,
    width: Whole,
    height: Whole,
    event_type: Word<KeyAction>,
    x: Whole,
    y: Whole,
    delta_x: Whole,
    delta_y: Whole,
    button: Whole,
    modifiers: Object<Modifiers>,
    command: String,
    cwd: Option<String>,
    exit_code: Option<Whole>,
    duration_ms: Option<Whole>,
    url: String,
    title: Option<String>,
    kind: Word<ChoiceKind>,
    question: String,
    options: Vec<String>,
    choice: Option<String>,
    outcome: Word<Outcome>,
}

/// A whole number; `1.0` counts as one, as JSON Schema has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
struct Whole(i64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let number = serde_json::Number::deserialize(from)?;
        whole(&number).map(Self).ok_or_else(|| serde::de::Error::custom("not a whole number of 64 bits"))
    }
}

/// The number as 64 bits, when it is whole and fits.
fn whole(number: &serde_json::Number) -> Option<i64> {
    if let Some(value) = number.as_i64() {
        return Some(value);
    }
    let value = number.as_f64().filter(|_| number.is_f64())?;
    // -2^63 is a float, 2^63 - 1 is not: the float next to it is already too large.
    let fits = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&value);
    #[allow(clippy::cast_possible_truncation)]
    (fits && value.fract() == 0.0).then_some(value as i64)
}

/// The source of a wire value, and the origin it implies when the value is one that real clients send outside the enum.
fn source_of(value: &str) -> Option<(Source, Option<Origin>)> {
    let source = match value {
        "desktop" => Source::Desktop,
        "cli" => Source::Cli,
        "mobile" => Source::Mobile,
        "smartglass" => Source::Smartglass,
        "agent" => Source::Agent,
        "integration" => Source::Integration,
        _ => {
            let (_, origin) = RAW_SOURCES.iter().find(|(raw, _)| *raw == value)?;
            return Some((Source::Agent, Some(*origin)));
        }
    };
    Some((source, None))
}

impl Source {
    /// The value on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Desktop => "desktop",
            Self::Cli => "cli",
            Self::Mobile => "mobile",
            Self::Smartglass => "smartglass",
            Self::Agent => "agent",
            Self::Integration => "integration",
        }
    }
}

impl Origin {
    /// The value on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Typed => "typed",
            Self::Agent => "agent",
            Self::Screen => "screen",
            Self::Pasted => "pasted",
            Self::Ours => "ours",
            Self::Unknown => "unknown",
        }
    }
}

impl Wire {
    /// The typed event, or nothing when any rule is broken.
    fn into_event(self) -> Option<Event> {
        let (_, topic) = topic::find(&self.type_).filter(|(_, topic)| topic.wire)?;
        let (source, implied) = source_of(&self.source)?;
        let detail_ok = source != Source::Integration || self.source_detail.as_deref().is_some_and(|d| !d.is_empty());
        if self.count() != topic.fields.len() || self.id.is_empty() || self.session_id.is_empty() || !detail_ok {
            return None;
        }
        let occurred_at = crate::time::parse_wire(&self.occurred_at)?;
        let meta = mapped_meta(self.meta.as_ref().map(|meta| meta.0.clone()), implied, &self.source);
        let (id, session_id, source_detail) = (self.id.clone(), self.session_id.clone(), self.source_detail.clone());
        Some(Event { id, session_id, occurred_at, source, source_detail, meta, body: self.into_body()? })
    }

    fn into_body(self) -> Option<Body> {
        Some(match self.type_.as_str() {
            "session.started" => Body::SessionStarted,
            "session.stopped" => Body::SessionStopped,
            "app.focused" => Body::AppFocused { app: filled(self.app)?, window_title: self.window_title? },
            "capture.frame" => Body::CaptureFrame {
                uri: filled(self.uri)?,
                content_hash: self.content_hash?,
                width: positive(self.width)?,
                height: positive(self.height)?,
            },
            "input.keystroke" => Body::InputKeystroke { event_type: self.event_type?.0, modifiers: self.modifiers?.0 },
            "input.click" => Body::InputClick {
                x: self.x?.0,
                y: self.y?.0,
                button: positive(self.button)?,
                modifiers: self.modifiers?.0,
            },
            "input.scroll" => Body::InputScroll {
                x: self.x?.0,
                y: self.y?.0,
                delta_x: self.delta_x?.0,
                delta_y: self.delta_y?.0,
                modifiers: self.modifiers?.0,
            },
            "agent.prompt" => Body::AgentPrompt { agent: filled(self.agent)?, prompt: self.prompt? },
            "agent.response" => Body::AgentResponse {
                agent: filled(self.agent)?,
                response: self.response?,
                in_response_to: self.in_response_to?,
            },
            "terminal.command" => Body::TerminalCommand {
                command: filled(self.command)?,
                cwd: self.cwd?,
                exit_code: self.exit_code?.map(|n| n.0),
                duration_ms: self.duration_ms?.map(|n| n.0),
            },
            "browser.visited" => Body::BrowserVisited { url: filled(self.url)?, title: self.title? },
            "agent.choice" => Body::AgentChoice(Choice {
                agent: filled(self.agent)?,
                kind: self.kind?.0,
                question: self.question?,
                options: self.options?,
                choice: self.choice?,
                outcome: self.outcome?.0,
                in_response_to: self.in_response_to?,
            }),
            _ => return None,
        })
    }

    fn from_event(event: &Event) -> Self {
        let mut wire = Self {
            id: event.id.clone(),
            session_id: event.session_id.clone(),
            occurred_at: event.occurred_at.to_string(),
            source: event.source.name().to_owned(),
            source_detail: event.source_detail.clone(),
            type_: event.topic().to_owned(),
            meta: event.meta.clone().map(Object),
            ..Self::default()
        };
        wire.fill(event.body.clone());
        wire
    }

    fn fill(&mut self, body: Body) {
        match body {
            Body::SessionStarted | Body::SessionStopped => {}
            Body::AppFocused { app, window_title } => {
                (self.app, self.window_title) = (Some(app), Some(window_title));
            }
            Body::CaptureFrame { uri, content_hash, width, height } => {
                (self.uri, self.content_hash) = (Some(uri), Some(content_hash));
                (self.width, self.height) = (Some(Whole(width)), Some(Whole(height)));
            }
            Body::InputKeystroke { event_type, modifiers } => {
                (self.event_type, self.modifiers) = (Some(Word(event_type)), Some(Object(modifiers)));
            }
            Body::InputClick { x, y, button, modifiers } => {
                (self.x, self.y) = (Some(Whole(x)), Some(Whole(y)));
                (self.button, self.modifiers) = (Some(Whole(button)), Some(Object(modifiers)));
            }
            Body::InputScroll { x, y, delta_x, delta_y, modifiers } => {
                (self.x, self.y, self.modifiers) = (Some(Whole(x)), Some(Whole(y)), Some(Object(modifiers)));
                (self.delta_x, self.delta_y) = (Some(Whole(delta_x)), Some(Whole(delta_y)));
            }
            Body::AgentPrompt { agent, prompt } => (self.agent, self.prompt) = (Some(agent), Some(prompt)),
            Body::AgentResponse { agent, response, in_response_to } => {
                (self.agent, self.response, self.in_response_to) = (Some(agent), Some(response), Some(in_response_to));
            }
            Body::TerminalCommand { command, cwd, exit_code, duration_ms } => {
                (self.command, self.cwd) = (Some(command), Some(cwd));
                (self.exit_code, self.duration_ms) = (Some(exit_code.map(Whole)), Some(duration_ms.map(Whole)));
            }
            Body::BrowserVisited { url, title } => (self.url, self.title) = (Some(url), Some(title)),
            Body::AgentChoice(choice) => {
                (self.agent, self.kind, self.question) =
                    (Some(choice.agent), Some(Word(choice.kind)), Some(choice.question));
                (self.options, self.choice) = (Some(choice.options), Some(choice.choice));
                (self.outcome, self.in_response_to) = (Some(Word(choice.outcome)), Some(choice.in_response_to));
            }
        }
    }
}

/// The meta of an event whose `source` was mapped: the raw value kept, the implied origin overriding what was claimed.
fn mapped_meta(meta: Option<Meta>, implied: Option<Origin>, raw: &str) -> Option<Meta> {
    let Some(origin) = implied else { return meta };
    Some(Meta { origin: Some(origin), raw_source: Some(raw.to_owned()), ..meta.unwrap_or_default() })
}

fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

fn positive(number: Option<Whole>) -> Option<i64> {
    number.map(|n| n.0).filter(|n| *n >= 1)
}

/// Why an event was refused, for a caller; never empty.
fn explain(json: &str) -> Vec<Problem> {
    let mut found = match serde_json::from_str::<Value>(json) {
        Ok(value) => problems(&value),
        Err(error) => vec![Problem { pointer: String::new(), message: format!("not JSON: {error}") }],
    };
    if found.is_empty() {
        // A duplicated key is the one thing that a JSON value no longer shows.
        found.push(Problem { pointer: String::new(), message: "a key appears twice".to_owned() });
    }
    found.truncate(MAX_PROBLEMS);
    found
}

/// Everything wrong with a wire event, in JSON-pointer order.
#[must_use]
pub fn problems(value: &Value) -> Vec<Problem> {
    let Some(map) = value.as_object() else {
        return vec![Problem { pointer: String::new(), message: format!("{} is not of type 'object'", show(value)) }];
    };
    let mut found = Vec::new();
    for key in ["id", "session_id", "occurred_at", "source", "type"] {
        if !map.contains_key(key) {
            found.push(at("", format!("'{key}' is a required property")));
        }
    }
    let topic = map.get("type").and_then(Value::as_str).and_then(topic::find).filter(|(_, topic)| topic.wire);
    if let Some(value) = map.get("type").filter(|_| topic.is_none()) {
        found.push(at("/type", format!("{} is not one of {}", show(value), list(&topic::wire_names()))));
    }
    let fields = topic.map_or(&[][..], |(_, topic)| topic.fields);
    for field in fields.iter().filter(|field| !map.contains_key(field.name)) {
        found.push(at("", format!("'{}' is a required property", field.name)));
    }
    for (key, value) in map {
        match key.as_str() {
            "id" | "session_id" => shape(value, Shape::Text { non_empty: true }, &format!("/{key}"), &mut found),
            "occurred_at" => instant(value, &mut found),
            "source" => source(value, map, &mut found),
            "source_detail" => shape(value, Shape::TextOrNull, "/source_detail", &mut found),
            "type" => {}
            "meta" => meta(value, &mut found),
            _ => match fields.iter().find(|field| field.name == key) {
                Some(field) => shape(value, field.shape, &format!("/{key}"), &mut found),
                None if topic.is_some() => found.push(unexpected("", key)),
                None => {}
            },
        }
    }
    found.sort();
    found
}

fn at(pointer: &str, message: String) -> Problem {
    Problem { pointer: pointer.to_owned(), message }
}

fn unexpected(pointer: &str, key: &str) -> Problem {
    at(pointer, format!("Additional properties are not allowed ('{key}' was unexpected)"))
}

fn list(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    format!("[{}]", quoted.join(", "))
}

/// A value as the reference validator quotes it, cut so that an error never repeats a document.
fn show(value: &Value) -> String {
    let text = match value {
        Value::String(text) => format!("'{text}'"),
        Value::Null => "None".to_owned(),
        other => other.to_string(),
    };
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn instant(value: &Value, found: &mut Vec<Problem>) {
    match value.as_str() {
        None => found.push(at("/occurred_at", format!("{} is not of type 'string'", show(value)))),
        Some(text) if crate::time::parse_wire(text).is_none() => {
            found.push(at("/occurred_at", format!("{} is not a 'date-time'", show(value))));
        }
        Some(_) => {}
    }
}

fn source(value: &Value, map: &serde_json::Map<String, Value>, found: &mut Vec<Problem>) {
    match value.as_str().and_then(source_of) {
        None => found.push(at("/source", format!("{} is not one of {}", show(value), list(SOURCES)))),
        Some((Source::Integration, _)) => match map.get("source_detail") {
            None => found.push(at("", "'source_detail' is a required property".to_owned())),
            Some(Value::Null) => found.push(at("/source_detail", "None is not of type 'string'".to_owned())),
            Some(Value::String(text)) if text.is_empty() => {
                found.push(at("/source_detail", "'' should be non-empty".to_owned()));
            }
            Some(_) => {}
        },
        Some(_) => {}
    }
}

fn meta(value: &Value, found: &mut Vec<Problem>) {
    let Some(map) = value.as_object() else {
        found.push(at("/meta", format!("{} is not of type 'object'", show(value))));
        return;
    };
    for (key, value) in map {
        let pointer = format!("/meta/{key}");
        match key.as_str() {
            "origin" => shape(value, Shape::OneOf(ORIGINS), &pointer, found),
            key if META_FIELDS.contains(&key) => shape(value, Shape::Text { non_empty: false }, &pointer, found),
            key => found.push(unexpected("/meta", key)),
        }
    }
}

fn shape(value: &Value, shape: Shape, pointer: &str, found: &mut Vec<Problem>) {
    match shape {
        Shape::TextOrNull | Shape::IntOrNull if value.is_null() => {}
        Shape::Text { .. } | Shape::TextOrNull => match value.as_str() {
            None => found.push(at(pointer, format!("{} is not of type 'string'", show(value)))),
            Some("") if shape == (Shape::Text { non_empty: true }) => {
                found.push(at(pointer, "'' should be non-empty".to_owned()));
            }
            Some(_) => {}
        },
        Shape::Int { .. } | Shape::IntOrNull => {
            let min = if let Shape::Int { min } = shape { min } else { None };
            match (value.as_number().and_then(whole), min) {
                (None, _) => found.push(at(pointer, format!("{} is not of type 'integer'", show(value)))),
                (Some(n), Some(min)) if n < min => {
                    found.push(at(pointer, format!("{n} is less than the minimum of {min}")));
                }
                _ => {}
            }
        }
        Shape::OneOf(values) => {
            if !value.as_str().is_some_and(|text| values.contains(&text)) {
                found.push(at(pointer, format!("{} is not one of {}", show(value), list(values))));
            }
        }
        Shape::Texts => match value.as_array() {
            None => found.push(at(pointer, format!("{} is not of type 'array'", show(value)))),
            Some(items) => {
                for (i, item) in items.iter().enumerate().filter(|(_, item)| !item.is_string()) {
                    found.push(at(&format!("{pointer}/{i}"), format!("{} is not of type 'string'", show(item))));
                }
            }
        },
        Shape::Modifiers => modifiers(value, pointer, found),
    }
}

fn modifiers(value: &Value, pointer: &str, found: &mut Vec<Problem>) {
    let Some(map) = value.as_object() else {
        found.push(at(pointer, format!("{} is not of type 'object'", show(value))));
        return;
    };
    for key in MODIFIER_KEYS {
        match map.get(*key) {
            None => found.push(at(pointer, format!("'{key}' is a required property"))),
            Some(value) if !value.is_boolean() => {
                found.push(at(&format!("{pointer}/{key}"), format!("{} is not of type 'boolean'", show(value))));
            }
            Some(_) => {}
        }
    }
    for key in map.keys().filter(|key| !MODIFIER_KEYS.contains(&key.as_str())) {
        found.push(unexpected(pointer, key));
    }
}
