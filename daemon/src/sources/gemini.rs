//! Gemini CLI's session files: lines that replay into a conversation, and the single object of older versions.
//!
//! The tool writes a message anew whenever one of its tool calls moves, rewinds by naming a message, and replaces its
//! list when it compresses. We keep what was said and not what the tool remembers: a prompt that was rewound was typed all
//! the same. So an event is made when a text is first seen; a message that comes again with the same words, from
//! wherever, makes none.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read};
use std::path::Path;

use clone_schema::{Body, Origin, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use super::lines::{Line, Lines};
use super::{Answer, Format, Item, Tally, about, instant};

/// The agent's name in events.
const AGENT: &str = Format::Gemini.agent();
/// How many texts of a session are remembered, to know them when they come again.
const MAX_SEEN: usize = 4096;
/// How many bytes the single object of an older version may have.
const MAX_OBJECT_BYTES: u64 = 64 * 1024 * 1024;
/// What the tool answers itself when the person says no to a tool.
const REFUSED: &str = "User did not allow tool call";

/// Texts of the role `user` that nobody typed, by how they begin.
const INJECTED: &[(&str, &str)] = &[
    ("<session_context>", "injected: context"),
    ("<hook_context>", "injected: hook"),
    ("<state_snapshot>", "compaction summary"),
    ("This is the Gemini CLI. We are setting up the context", "injected: context"),
    ("System: Please continue.", "injected: continuation"),
    ("System: ", "injected: system"),
    ("<system-reminder>", "injected: system"),
];

/// A line, or the whole file of an older version.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Record {
    session_id: Option<String>,
    kind: Option<String>,
    directories: Vec<String>,
    messages: Vec<Value>,
    id: Option<String>,
    #[serde(rename = "type")]
    role: Option<String>,
    timestamp: Option<String>,
    content: Value,
    display_content: Value,
    tool_calls: Vec<Value>,
    #[serde(rename = "$rewindTo")]
    rewind_to: Option<Value>,
    #[serde(rename = "$set")]
    set: Option<Value>,
}

/// What carries over from line to line; all of it is bounded.
#[derive(Default)]
pub(super) struct Past {
    session: Option<String>,
    cwd: Option<String>,
    sub_agent: bool,
    opened: bool,
    /// What was said: the message's id, the hash of its words, and how many versions of it made an event.
    seen: VecDeque<Seen>,
    prompt: Option<String>,
    said: Option<String>,
}

struct Seen {
    id: String,
    words: String,
    versions: u32,
}

/// Whether a file is the single object of an older version.
pub(super) fn is_object(path: &Path) -> bool {
    path.extension().is_some_and(|ext| ext == "json")
}

/// The project of a session file: the tool keeps it beside the folder of the sessions.
pub(super) fn project_root(path: &Path) -> Option<String> {
    let chats = path.ancestors().find(|folder| folder.file_name().is_some_and(|name| name == "chats"))?;
    let root = std::fs::read_to_string(chats.parent()?.join(".project_root")).ok()?;
    Some(root.trim().to_owned()).filter(|root| !root.is_empty())
}

/// Reads a whole file.
pub(super) fn read(input: &mut dyn BufRead, path: &Path, tally: &mut Tally<'_>) -> io::Result<()> {
    let mut past = Past::new(path);
    if is_object(path) {
        return past.object(input, tally);
    }
    let mut lines = Lines::new(input);
    while let Some(line) = lines.next()? {
        past.line(&line, tally);
    }
    Ok(())
}

impl Past {
    pub(super) fn new(path: &Path) -> Self {
        Self { cwd: project_root(path), ..Self::default() }
    }

    /// Takes the next line of the file.
    pub(super) fn line(&mut self, line: &Line<'_>, tally: &mut Tally<'_>) {
        if let Some(record) = tally.record(line) {
            Reader { tally, past: self }.record(record);
        }
    }

    fn object(&mut self, input: &mut dyn BufRead, tally: &mut Tally<'_>) -> io::Result<()> {
        let mut bytes = Vec::new();
        input.take(MAX_OBJECT_BYTES + 1).read_to_end(&mut bytes)?;
        tally.counts.read += 1;
        if bytes.len() as u64 > MAX_OBJECT_BYTES {
            tally.counts.skip("file too large");
            return Ok(());
        }
        match serde_json::from_slice::<Record>(&bytes) {
            Ok(record) => Reader { tally, past: self }.record(record),
            Err(error) if error.is_data() => tally.counts.skip("unexpected shape"),
            Err(_) => tally.counts.skip("bad JSON"),
        }
        Ok(())
    }
}

struct Reader<'t, 'a> {
    tally: &'t mut Tally<'a>,
    past: &'t mut Past,
}

impl Reader<'_, '_> {
    fn skip(&mut self, reason: &str) {
        self.tally.counts.skip(reason);
    }

    fn record(&mut self, record: Record) {
        if record.rewind_to.is_some() {
            return self.skip("rewind");
        }
        if let Some(set) = record.set {
            return match serde_json::from_value::<Record>(set) {
                Ok(set) => self.head(set, "settings"),
                Err(_) => self.skip("unexpected shape"),
            };
        }
        if record.id.is_some() && record.role.is_some() {
            return self.message(record);
        }
        self.head(record, "session head");
    }

    /// The first line, a change to it, or the whole of an older file; any of them may hold messages.
    fn head(&mut self, record: Record, reason: &str) {
        self.past.session = self.past.session.take().or(record.session_id).filter(|id| !id.is_empty());
        self.past.sub_agent |= record.kind.as_deref() == Some("subagent");
        self.past.cwd = self.past.cwd.take().or_else(|| record.directories.into_iter().next());
        self.skip(reason);
        for message in record.messages {
            self.tally.counts.read += 1;
            match serde_json::from_value::<Record>(message) {
                Ok(message) => self.message(message),
                Err(_) => self.skip("unexpected shape"),
            }
        }
    }

    fn message(&mut self, record: Record) {
        if self.past.sub_agent {
            return self.skip("sub-agent");
        }
        if self.past.session.is_none() {
            return self.skip("no session");
        }
        if !self.tally.filter.takes(self.past.cwd.as_deref().unwrap_or_default()) {
            return self.skip("excluded project");
        }
        let Some(at) = record.timestamp.as_deref().and_then(instant) else { return self.skip("no timestamp") };
        match record.role.as_deref() {
            Some("user") => self.user(&record, at),
            Some("gemini") => self.answer(&record, at),
            Some(silent @ ("info" | "error" | "warning")) => self.skip(silent),
            role => self.tally.counts.skip_unknown(role.unwrap_or_default()),
        }
    }

    fn user(&mut self, record: &Record, at: Timestamp) {
        let shown = texts(&record.display_content);
        let text = if shown.trim().is_empty() { texts(&record.content) } else { shown };
        let text = text.trim();
        if text.is_empty() {
            return self.skip(if record.content.is_null() { "no text" } else { "tool result" });
        }
        if text.starts_with(['/', '?']) {
            return self.skip("command");
        }
        if let Some((_, reason)) = INJECTED.iter().find(|(prefix, _)| text.starts_with(prefix)) {
            return self.skip(reason);
        }
        let body = Body::AgentPrompt { agent: AGENT.to_owned(), prompt: text.to_owned() };
        if let Some(id) = self.once(record, text, at, Origin::Typed, body) {
            self.past.prompt = Some(id);
            self.past.said = None;
        }
    }

    fn answer(&mut self, record: &Record, at: Timestamp) {
        let text = texts(&record.content);
        if text.trim().is_empty() {
            self.skip("tool use");
        } else {
            let in_response_to = self.past.prompt.clone();
            let body = Body::AgentResponse { agent: AGENT.to_owned(), response: text.clone(), in_response_to };
            if let Some(id) = self.once(record, &text, at, Origin::Agent, body) {
                self.past.said = Some(id);
            }
        }
        for call in record.tool_calls.iter().filter(|call| is_refused(call)) {
            self.refused(call, at);
        }
    }

    fn refused(&mut self, call: &Value, at: Timestamp) {
        let Some(id) = call["id"].as_str().filter(|id| !id.is_empty()) else { return self.skip("no id") };
        let question = format!("{}: {}", call["name"].as_str().unwrap_or_default(), about(&call["args"]));
        let answer = Answer::refused(question, None);
        let record = Record { id: Some(id.to_owned()), ..Record::default() };
        self.once(&record, "refused", at, Origin::Typed, answer.body(AGENT, self.past.said.clone()));
    }

    /// Hands out an event unless these words of this message, or of the same moment, were handed out before.
    fn once(&mut self, record: &Record, text: &str, at: Timestamp, origin: Origin, body: Body) -> Option<String> {
        let message = record.id.clone().filter(|id| !id.is_empty()).unwrap_or_else(|| at.to_string());
        let words = clone_schema::id::digest(&[record.role.as_deref().unwrap_or_default(), text], 16);
        let moment = format!("{at} {words}");
        if self
            .past
            .seen
            .iter()
            .any(|seen| seen.words == moment || (seen.id == message && seen.words.ends_with(&words)))
        {
            self.skip("repeated");
            return None;
        }
        let versions = self.past.seen.iter().rev().find(|seen| seen.id == message).map_or(0, |seen| seen.versions + 1);
        if self.past.seen.len() >= MAX_SEEN {
            self.past.seen.pop_front();
        }
        self.past.seen.push_back(Seen { id: message.clone(), words: moment, versions });
        let nth = if versions == 0 { String::new() } else { format!("#{versions}") };
        Some(self.emit(format!("{message}{nth}"), at, origin, body))
    }

    fn emit(&mut self, message: String, at: Timestamp, origin: Origin, body: Body) -> String {
        let session = self.past.session.clone().unwrap_or_default();
        let cwd = self.past.cwd.as_deref();
        if !std::mem::replace(&mut self.past.opened, true) {
            self.tally.open(&session, at, cwd, None);
        }
        let key = format!("{session}:{message}");
        let id = format!("gemini:{key}");
        self.tally.emit(Item { id: id.clone(), session: &session, at, cwd, project: None, key }, origin, body);
        id
    }
}

/// The texts of a content, whether it is one text, one part or a list of parts.
fn texts(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts: Vec<String> = parts.iter().map(texts).filter(|text| !text.is_empty()).collect();
            texts.join("\n")
        }
        Value::Object(part) if part.get("thought") == Some(&Value::Bool(true)) => String::new(),
        Value::Object(part) => part.get("text").and_then(Value::as_str).unwrap_or_default().to_owned(),
        _ => String::new(),
    }
}

fn is_refused(call: &Value) -> bool {
    call["status"] == "cancelled" && call["result"].to_string().contains(REFUSED)
}

#[cfg(test)]
mod tests;
