//! ChatGPT's export: `conversations.json`, a list of trees of messages.
//!
//! One conversation is held at a time. Every branch was said, so every message counts, in the order of their times; an edit
//! of a prompt is a prompt of its own. What is hidden from the conversation, what a tool said or got, and what the person
//! keeps about themselves for every conversation is left out.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufRead};

use clone_schema::{Body, Origin, Timestamp};
use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_json::Value;

use super::{Format, Item, Tally};

/// The agent's name in events.
const AGENT: &str = Format::ChatGpt.agent();

#[derive(Default, Deserialize)]
#[serde(default)]
struct Conversation {
    id: Option<String>,
    conversation_id: Option<String>,
    mapping: BTreeMap<String, Node>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Node {
    message: Option<Message>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Message {
    id: String,
    author: Author,
    create_time: Option<f64>,
    content: Content,
    metadata: Metadata,
    recipient: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Author {
    role: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Content {
    content_type: String,
    parts: Vec<Value>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata {
    is_visually_hidden_from_conversation: bool,
    is_user_system_message: bool,
}

/// Reads a whole export.
pub(super) fn read(input: &mut dyn BufRead, tally: &mut Tally<'_>) -> io::Result<()> {
    let mut json = serde_json::Deserializer::from_reader(input);
    match json.deserialize_seq(Conversations { tally }) {
        Err(error) if error.is_io() => Err(error.into()),
        Err(error) => {
            tally.counts.skip(if error.is_eof() { "unfinished file" } else { "unexpected shape" });
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// Takes the conversations one by one.
struct Conversations<'t, 'a> {
    tally: &'t mut Tally<'a>,
}

impl<'de> Visitor<'de> for Conversations<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of conversations")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        // As a value first: one odd conversation must not lose its neighbours.
        while let Some(conversation) = list.next_element::<Value>()? {
            match serde_json::from_value::<Conversation>(conversation) {
                Ok(conversation) => one(conversation, self.tally),
                Err(_) => self.tally.counts.skip("unexpected shape"),
            }
        }
        Ok(())
    }
}

fn one(conversation: Conversation, tally: &mut Tally<'_>) {
    let Some(session) = conversation.conversation_id.or(conversation.id).filter(|id| !id.is_empty()) else {
        return tally.counts.skip("no session");
    };
    let mut messages: Vec<(Timestamp, Message)> = Vec::new();
    // A conversation belongs to no project that is known.
    let is_taken = tally.filter.takes("");
    for message in conversation.mapping.into_values().filter_map(|node| node.message) {
        tally.counts.read += 1;
        match message.create_time.and_then(instant) {
            _ if !is_taken => tally.counts.skip("excluded project"),
            Some(at) => messages.push((at, message)),
            None => tally.counts.skip("no timestamp"),
        }
    }
    messages.sort_by(|(a, left), (b, right)| a.cmp(b).then_with(|| left.id.cmp(&right.id)));
    let (mut opened, mut prompt) = (false, None);
    for (at, message) in messages {
        let body = match body(&message, prompt.as_ref()) {
            Ok(body) => body,
            Err(reason) => {
                tally.counts.skip(reason);
                continue;
            }
        };
        if !std::mem::replace(&mut opened, true) {
            tally.open(&session, at, None, None);
        }
        let origin = if matches!(body, Body::AgentPrompt { .. }) { Origin::Typed } else { Origin::Agent };
        let id = format!("chatgpt:{}", message.id);
        if origin == Origin::Typed {
            prompt = Some(id.clone());
        }
        tally.emit(Item { id, session: &session, at, cwd: None, project: None, key: message.id }, origin, body);
    }
}

/// What a message says, and to whom; else why it counts for nothing.
fn body(message: &Message, prompt: Option<&String>) -> Result<Body, &'static str> {
    if message.id.is_empty() {
        return Err("no id");
    }
    if message.metadata.is_visually_hidden_from_conversation || message.metadata.is_user_system_message {
        return Err("hidden");
    }
    if !matches!(message.content.content_type.as_str(), "text" | "multimodal_text") {
        return Err("not a text");
    }
    let texts: Vec<&str> = message.content.parts.iter().filter_map(Value::as_str).collect();
    let (agent, text) = (AGENT.to_owned(), texts.join("\n").trim().to_owned());
    match message.author.role.as_str() {
        _ if text.is_empty() => Err("no text"),
        "user" => Ok(Body::AgentPrompt { agent, prompt: text }),
        "assistant" if message.recipient.as_deref().is_none_or(|to| to == "all") => {
            Ok(Body::AgentResponse { agent, response: text, in_response_to: prompt.cloned() })
        }
        "assistant" => Err("tool use"),
        "tool" => Err("tool result"),
        "system" => Err("instructions"),
        _ => Err("unknown role"),
    }
}

/// Seconds since 1970, with a fraction.
fn instant(seconds: f64) -> Option<Timestamp> {
    // A fraction of a second survives; what no calendar has is no time.
    let is_sane = seconds.is_finite() && seconds.abs() < 1e11;
    is_sane.then(|| Timestamp::from_microsecond((seconds * 1e6).round() as i64).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sources::{Counts, Filter, Format};

    #[test]
    fn messages_of_every_branch_in_the_order_of_their_times() {
        let message = |id: &str, role: &str, at: f64, text: &str| {
            json!({"message": {"id": id, "author": {"role": role}, "create_time": at, "recipient": "all",
                               "content": {"content_type": "text", "parts": [text]}, "metadata": {}}})
        };
        let mut hidden = message("h", "user", 1.0, "about me");
        hidden["message"]["metadata"] = json!({"is_visually_hidden_from_conversation": true});
        let mut tool = message("t", "assistant", 2.5, "search()");
        tool["message"]["recipient"] = json!("browser");
        let mapping = json!({"root": {"message": null}, "z": message("a", "user", 1_700_000_000.25, "hello"), "h": hidden, "t": tool,
                             "b": message("b", "assistant", 1_700_000_001.0, "Hi."), "c": message("c", "user", 1_700_000_002.0, "bye"),
                             "s": message("s", "system", 1.0, "rules"), "x": message("x", "user", f64::from(0), " ")});
        let export = json!([{"conversation_id": "k", "mapping": mapping}, {"mapping": 7}, {"id": "empty"}]).to_string();
        let (mut events, filter) = (Vec::new(), Filter::default());
        let mut out = |event| events.push(event);
        let mut tally = Tally { format: Format::ChatGpt, filter: &filter, out: &mut out, counts: Counts::default() };
        read(&mut export.as_bytes(), &mut tally).expect("memory reads");
        let counts = tally.counts;
        let ids: Vec<&str> = events.iter().map(|event: &clone_schema::Event| event.id.as_str()).collect();
        assert_eq!(ids, ["chatgpt:k:start", "chatgpt:a", "chatgpt:b", "chatgpt:c"]);
        assert_eq!(events[1].occurred_at.to_string(), "2023-11-14T22:13:20.25Z");
        assert_eq!((counts.human, counts.agent, counts.skipped["unexpected shape"]), (2, 1, 1));
        for event in &events {
            assert_eq!(clone_schema::Event::parse(&event.to_json()).as_ref(), Ok(event), "the wire takes it");
        }
    }
}
