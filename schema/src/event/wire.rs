//! The flat shape of the wire: JSON to typed events and back, on the hot path.

use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::{
    Body, Choice, ChoiceKind, Event, KeyAction, Meta, Modifiers, Origin, Outcome, Problem, Source, problems, source_of,
};
use crate::{time, topic};

impl Event {
    /// Reads one event of the wire, mapping the odd `source` values of real clients.
    ///
    /// # Errors
    ///
    /// The first three problems in JSON-pointer order; mend the event and send it again alone.
    pub fn parse(json: &str) -> Result<Self, Vec<Problem>> {
        match serde_json::from_str::<Object<Wire>>(json).ok().and_then(|wire| wire.0.into_event()) {
            Some(event) => Ok(event),
            None => Err(problems::explain(json)),
        }
    }

    /// The event as one line of JSON with the keys in a fixed order.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(&Wire::from_event(self)).unwrap_or_default()
    }
}

/// An optional key that may be absent; a null one is read by `T`, which [`Option`] alone would take for an absent one.
pub(super) fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

/// As [`present`], for a [`Word`].
pub(super) fn present_word<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
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
pub(super) fn whole(number: &serde_json::Number) -> Option<i64> {
    if let Some(value) = number.as_i64() {
        return Some(value);
    }
    let value = number.as_f64().filter(|_| number.is_f64())?;
    // -2^63 is a float, 2^63 - 1 is not: the float next to it is already too large.
    let fits = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&value);
    #[allow(clippy::cast_possible_truncation)]
    (fits && value.fract() == 0.0).then_some(value as i64)
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
        let occurred_at = time::parse_wire(&self.occurred_at)?;
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
