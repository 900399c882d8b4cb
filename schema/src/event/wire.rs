//! The flat shape of the wire: JSON to typed events, on the hot path.

use std::marker::PhantomData;
use std::mem::take;

use serde::de::value::MapAccessDeserializer;
use serde::de::{IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

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
struct Word<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Word<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        T::deserialize(String::deserialize(from)?.into_deserializer()).map(Self)
    }
}

macro_rules! wire {
    ($($name:ident : $shape:ty),* $(,)?) => {
        /// The flat shape of the wire: every field of every type, each perhaps absent.
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wire {
            id: String,
            session_id: String,
            occurred_at: String,
            source: String,
            #[serde(default)]
            source_detail: Option<String>,
            #[serde(rename = "type")]
            type_: String,
            $(#[serde(default, deserialize_with = "present")]
              $name: Option<$shape>,)*
            #[serde(default, deserialize_with = "present")]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    fn into_event(mut self) -> Option<Event> {
        let (_, topic) = topic::find(&self.type_).filter(|(_, topic)| topic.wire)?;
        let (source, implied) = source_of(&self.source)?;
        let detail_ok = source != Source::Integration || self.source_detail.as_deref().is_some_and(|d| !d.is_empty());
        if self.count() != topic.fields.len() || self.id.is_empty() || self.session_id.is_empty() || !detail_ok {
            return None;
        }
        let occurred_at = time::parse_wire(&self.occurred_at)?;
        let meta = mapped_meta(self.meta.take().map(|meta| meta.0), implied, &self.source);
        let (id, session_id) = (take(&mut self.id), take(&mut self.session_id));
        let source_detail = self.source_detail.take();
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
