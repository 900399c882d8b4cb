//! Typed events to the flat shape of the wire, borrowed: every event that is stored passes here.
//!
//! The order of the keys is part of the stored bytes: the base fields, then those of the type in the order of
//! [`wire`](super::wire), then `meta`.

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{Body, Event};

impl Event {
    /// The event as one line of JSON with the keys in a fixed order.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("id", &self.id)?;
        map.serialize_entry("session_id", &self.session_id)?;
        map.serialize_entry("occurred_at", &self.occurred_at)?;
        map.serialize_entry("source", self.source.name())?;
        if let Some(detail) = &self.source_detail {
            map.serialize_entry("source_detail", detail)?;
        }
        map.serialize_entry("type", self.topic())?;
        body(&self.body, &mut map)?;
        if let Some(meta) = &self.meta {
            map.serialize_entry("meta", meta)?;
        }
        map.end()
    }
}

macro_rules! entries {
    ($map:ident: $($name:literal = $value:expr),* $(,)?) => {{
        $($map.serialize_entry($name, $value)?;)*
        Ok(())
    }};
}

fn body<M: SerializeMap>(body: &Body, map: &mut M) -> Result<(), M::Error> {
    match body {
        Body::SessionStarted | Body::SessionStopped => Ok(()),
        Body::AppFocused { app, window_title } => entries!(map: "app" = app, "window_title" = window_title),
        Body::CaptureFrame { uri, content_hash, width, height } => {
            entries!(map: "uri" = uri, "content_hash" = content_hash, "width" = width, "height" = height)
        }
        Body::InputKeystroke { event_type, modifiers } => {
            entries!(map: "event_type" = event_type, "modifiers" = modifiers)
        }
        Body::InputClick { x, y, button, modifiers } => {
            entries!(map: "x" = x, "y" = y, "button" = button, "modifiers" = modifiers)
        }
        Body::InputScroll { x, y, delta_x, delta_y, modifiers } => {
            entries!(map: "x" = x, "y" = y, "delta_x" = delta_x, "delta_y" = delta_y, "modifiers" = modifiers)
        }
        Body::AgentPrompt { agent, prompt } => entries!(map: "agent" = agent, "prompt" = prompt),
        Body::AgentResponse { agent, response, in_response_to } => {
            entries!(map: "agent" = agent, "response" = response, "in_response_to" = in_response_to)
        }
        Body::TerminalCommand { command, cwd, exit_code, duration_ms } => entries!(
            map: "command" = command, "cwd" = cwd, "exit_code" = exit_code, "duration_ms" = duration_ms
        ),
        Body::BrowserVisited { url, title } => entries!(map: "url" = url, "title" = title),
        Body::AgentChoice(choice) => entries!(
            map: "agent" = &choice.agent, "in_response_to" = &choice.in_response_to, "kind" = &choice.kind,
            "question" = &choice.question, "options" = &choice.options, "choice" = &choice.choice,
            "outcome" = &choice.outcome
        ),
    }
}
