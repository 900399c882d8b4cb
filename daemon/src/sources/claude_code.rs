//! Claude Code's session files.
//!
//! One event per text block, in the order of the file: an answer that the tool splits over several lines stays split.
//! Most records of the role `user` are not the person's; [`human`] decides. A prompt typed while the agent works appears
//! up to three times (a queue line, an attachment, a record of its own): [`queue`] lets one through. Sub-agents'
//! records are left out, both sides.

mod choice;
pub(super) mod human;
mod queue;
mod wire;

use std::io::{self, BufRead};
use std::path::Path;

use clone_schema::text::tail;
use clone_schema::{Body, Origin, Timestamp};
use serde_json::value::RawValue;

use self::choice::Tools;
use self::human::{Act, Said};
use self::queue::{Queue, Queued};
use self::wire::{Attachment, Block, Record};
use super::lines::{Line, Lines};
use super::{Answer, Format, Item, MAX_SAID_BYTES, Tally, instant};

/// The agent's name in events.
const AGENT: &str = Format::ClaudeCode.agent();
/// How many sessions of one file are remembered as opened.
const MAX_SESSIONS: usize = 64;

/// Kinds of record in which nobody says anything to anybody.
const SILENT: &[&str] = &[
    "summary",
    "system",
    "progress",
    "file-history-snapshot",
    "last-prompt",
    "mode",
    "permission-mode",
    "ai-title",
    "custom-title",
    "agent-name",
    "agent-setting",
    "agent-color",
    "pr-link",
    "bridge-session",
];

/// Whether a file holds a sub-agent's side of a session: nothing in it is the person's.
pub(super) fn is_sub_agent(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let folder = path.parent().and_then(Path::file_name);
    name.starts_with("agent-") || folder.is_some_and(|folder| folder == "subagents")
}

/// Reads a whole file.
pub(super) fn read(input: &mut dyn BufRead, sub_agent: bool, tally: &mut Tally<'_>) -> io::Result<()> {
    let (mut lines, mut past) = (Lines::new(input), Past::new(sub_agent));
    while let Some(line) = lines.next()? {
        past.line(&line, tally);
    }
    past.finish(tally);
    Ok(())
}

/// A session seen in this file.
struct Session {
    id: String,
    first: Timestamp,
    opened: bool,
}

/// Where a record stands, and how many events it made so far.
struct Place {
    session: String,
    at: Timestamp,
    /// The directory then: a prompt may wait while the session moves.
    cwd: Option<String>,
    key: String,
    made: u32,
}

/// What carries over from line to line; all of it is bounded.
#[derive(Default)]
pub(super) struct Past {
    /// The file is a sub-agent's side of a session.
    sub_agent: bool,
    sessions: Vec<Session>,
    cwd: Option<String>,
    /// The last thing the person typed.
    prompt: Option<String>,
    /// The last answer: its event and its text.
    said: Option<(String, String)>,
    tools: Tools,
    queue: Queue,
    /// The person has just said no to a tool; the interrupt that follows is the same act.
    refused: bool,
    /// A program runs the session now; a file can be taken up again at a terminal.
    driven: bool,
}

impl Past {
    pub(super) fn new(sub_agent: bool) -> Self {
        Self { sub_agent, ..Self::default() }
    }

    /// Takes the next line of the file.
    pub(super) fn line(&mut self, line: &Line<'_>, tally: &mut Tally<'_>) {
        if self.sub_agent {
            tally.counts.read += 1;
            return tally.counts.skip("sub-agent");
        }
        if let Some(record) = tally.record(line) {
            Reader { tally, past: self }.record(record);
        }
    }

    /// The end of a file that is not followed.
    pub(super) fn finish(&mut self, tally: &mut Tally<'_>) {
        Reader { tally, past: self }.finish();
    }
}

struct Reader<'t, 'a> {
    tally: &'t mut Tally<'a>,
    past: &'t mut Past,
}

impl Reader<'_, '_> {
    fn record(&mut self, mut record: Record<'_>) {
        self.past.cwd = record.cwd.take().or_else(|| self.past.cwd.take());
        self.past.driven = record.entrypoint.as_deref().map_or(self.past.driven, human::is_driven);
        let kind = record.kind.take().unwrap_or_default();
        match kind.as_str() {
            "user" | "assistant" | "attachment" | "queue-operation" => {}
            "system" if record.is_local_command() => {}
            kind if SILENT.contains(&kind) => return self.skip(kind),
            kind => return self.tally.counts.skip_unknown(kind),
        }
        let Some(at) = record.timestamp.as_deref().and_then(instant) else { return self.skip("no timestamp") };
        let Some(session) = record.session_id.take().filter(|id| !id.is_empty()) else {
            return self.skip("no session");
        };
        self.meet(&session, at);
        if !self.tally.filter.takes(self.past.cwd.as_deref().unwrap_or_default()) {
            return self.skip("excluded project");
        }
        if kind == "queue-operation" {
            return self.queue_line(&record, session, at);
        }
        let Some(key) = record.uuid.take().filter(|id| !id.is_empty()) else { return self.skip("no id") };
        let mut place = Place { session, at, cwd: self.past.cwd.clone(), key, made: 0 };
        match kind.as_str() {
            "user" => self.user(&record, &mut place),
            "assistant" => self.assistant(&record, &mut place),
            "system" => self.local_command(&record, &mut place),
            _ => self.attachment(&record, &mut place),
        }
    }

    fn skip(&mut self, reason: &str) {
        self.tally.counts.skip(reason);
    }

    /// Remembers when a session was first seen.
    fn meet(&mut self, id: &str, first: Timestamp) {
        if self.past.sessions.iter().all(|session| session.id != id) {
            if self.past.sessions.len() >= MAX_SESSIONS {
                self.past.sessions.remove(0);
            }
            self.past.sessions.push(Session { id: id.to_owned(), first, opened: false });
        }
    }

    /// Hands out an event and gives its id back; the first one of a session opens it.
    fn emit(&mut self, place: &mut Place, origin: Origin, body: Body) -> String {
        let cwd = place.cwd.as_deref();
        if let Some(session) =
            self.past.sessions.iter_mut().find(|session| session.id == place.session && !session.opened)
        {
            session.opened = true;
            self.tally.open(&session.id, session.first, cwd, None);
        }
        let key = if place.made == 0 { place.key.clone() } else { format!("{}#{}", place.key, place.made) };
        place.made += 1;
        let id = format!("claude-code:{key}");
        let item = Item { id: id.clone(), session: &place.session, at: place.at, cwd, project: None, key };
        self.tally.emit(item, origin, body);
        id
    }

    fn assistant(&mut self, record: &Record<'_>, place: &mut Place) {
        if record.is_sidechain == Some(true) {
            return self.skip("sub-agent");
        }
        let Some(message) = &record.message else { return self.skip("no message") };
        if record.is_api_error_message == Some(true) || message.model.as_deref() == Some("<synthetic>") {
            return self.skip("not the model");
        }
        self.send_queued();
        self.past.refused = false;
        let mut reason = "empty answer";
        for block in wire::blocks(message.content) {
            match (block.kind.as_str(), &block.text) {
                ("text", Some(text)) if !text.trim().is_empty() => self.answer(text, place),
                ("tool_use", _) => {
                    self.past.tools.used(&block);
                    reason = "tool use";
                }
                ("thinking" | "redacted_thinking", _) => reason = "thinking",
                _ => {}
            }
        }
        if place.made == 0 {
            self.skip(reason);
        }
    }

    fn answer(&mut self, text: &str, place: &mut Place) {
        let in_response_to = self.past.prompt.clone();
        let body = Body::AgentResponse { agent: AGENT.to_owned(), response: text.to_owned(), in_response_to };
        let id = self.emit(place, Origin::Agent, body);
        // The end of an answer is what the person was looking at.
        self.past.said = Some((id, tail(text, MAX_SAID_BYTES).to_owned()));
    }

    fn user(&mut self, record: &Record<'_>, place: &mut Place) {
        let blocks = wire::blocks(record.message.as_ref().and_then(|message| message.content));
        let sidechain = record.is_sidechain == Some(true);
        let tool_result = blocks.iter().any(|block| block.kind == "tool_result");
        if tool_result && !sidechain {
            return self.results(&blocks, record.tool_use_result, place);
        }
        let texts: Vec<String> = blocks.into_iter().filter(|b| b.kind == "text").filter_map(|b| b.text).collect();
        let origin = wire::origin_kind(record.origin);
        let act = human::act(&Said {
            sidechain,
            tool_result,
            meta: record.is_meta == Some(true),
            compact_summary: record.is_compact_summary == Some(true),
            by_tool: record.source_tool_use_id.is_some(),
            origin_kind: origin.as_deref(),
            prompt_source: record.prompt_source.as_deref(),
            entrypoint: record.entrypoint.as_deref(),
            texts: &texts,
        });
        if !sidechain {
            self.unqueue(&act, &texts, place);
        }
        let acted = matches!(act, Act::Prompt(_) | Act::Command(_) | Act::Shell(_));
        self.act(act, place);
        if acted {
            self.past.tools.clear();
        }
    }

    /// What came back from tools; older versions put the note of an interrupt into the same record.
    fn results(&mut self, blocks: &[Block<'_>], details: Option<&RawValue>, place: &mut Place) {
        for block in blocks {
            if block.kind == "tool_result" {
                let answers = self.past.tools.answered(block, details);
                self.answered(answers, place);
            } else if block.text.as_deref().is_some_and(|text| text.starts_with(human::INTERRUPT)) && !self.past.refused
            {
                self.interrupt(place);
            }
        }
        if place.made == 0 {
            self.skip("tool result");
        }
    }

    fn attachment(&mut self, record: &Record<'_>, place: &mut Place) {
        let parsed = record.attachment.map(|raw| serde_json::from_str::<Attachment<'_>>(raw.get()));
        let Some(Ok(attachment)) = parsed else { return self.skip("unexpected shape") };
        if attachment.kind != "queued_command" {
            return self.skip("attachment");
        }
        let texts = wire::texts(attachment.prompt);
        if attachment.command_mode.as_deref().is_some_and(|mode| mode != "prompt" && mode != "bash") {
            let act = Act::Nothing("injected: task notification");
            self.unqueue(&act, &texts, place);
            self.act(act, place);
            return;
        }
        let origin = wire::origin_kind(attachment.origin.or(record.origin));
        let act = human::act(&Said {
            sidechain: record.is_sidechain == Some(true),
            meta: record.is_meta == Some(true),
            origin_kind: origin.as_deref(),
            prompt_source: record.prompt_source.as_deref(),
            entrypoint: record.entrypoint.as_deref(),
            texts: &texts,
            ..Said::default()
        });
        self.unqueue(&act, &texts, place);
        let act = match act {
            Act::Prompt(text) if attachment.command_mode.as_deref() == Some("bash") => Act::Shell(text),
            act => act,
        };
        let text = self.act(act, place);
        if let Some(text) = text {
            self.past.queue.sent(&place.session, &text, place.at);
        }
    }

    /// A command that the tool carries out itself; newer versions keep it as a record of their own.
    fn local_command(&mut self, record: &Record<'_>, place: &mut Place) {
        let act = human::act(&Said {
            sidechain: record.is_sidechain == Some(true),
            meta: record.is_meta == Some(true),
            entrypoint: record.entrypoint.as_deref(),
            texts: &wire::texts(record.content),
            ..Said::default()
        });
        self.act(act, place);
    }

    /// Takes out the queue line whose record says that nobody typed it: the line does not say so itself.
    fn unqueue(&mut self, act: &Act, texts: &[String], place: &Place) {
        if let Act::Nothing(reason) = act
            && self.past.queue.take(&place.session, texts.join("\n").trim())
        {
            self.skip(reason);
        }
    }

    /// Hands out what a person did, once, and gives back the words.
    fn act(&mut self, act: Act, place: &mut Place) -> Option<String> {
        let shell = matches!(act, Act::Shell(_));
        let (text, origin) = match act {
            Act::Nothing(reason) => {
                self.skip(reason);
                return None;
            }
            Act::Interrupt => {
                self.interrupt(place);
                return None;
            }
            Act::Scripted(text) => (text, Origin::Unknown),
            Act::Prompt(text) | Act::Command(text) | Act::Shell(text) => (text, Origin::Typed),
        };
        if self.past.queue.was_sent(&place.session, &text, place.at) {
            self.skip("queued prompt repeated");
            return None;
        }
        if self.past.queue.take(&place.session, &text) {
            self.skip("queued prompt repeated");
        }
        let body = if shell {
            let (command, cwd) = (text.clone(), place.cwd.clone());
            Body::TerminalCommand { command, cwd, exit_code: None, duration_ms: None }
        } else {
            Body::AgentPrompt { agent: AGENT.to_owned(), prompt: text.clone() }
        };
        self.typed(body, origin, place);
        Some(text)
    }

    fn typed(&mut self, body: Body, origin: Origin, place: &mut Place) {
        let command = match &body {
            Body::TerminalCommand { .. } => true,
            Body::AgentPrompt { prompt, .. } => is_command(prompt),
            _ => false,
        };
        self.tally.counts.commands += u64::from(command && origin == Origin::Typed);
        self.past.refused = false;
        let id = self.emit(place, origin, body);
        self.past.prompt = Some(id);
        // What the agent said before this is no longer what it would be stopped in.
        self.past.said = None;
    }

    fn answered(&mut self, answers: Vec<Answer>, place: &mut Place) {
        for answer in answers {
            self.past.refused |= answer.outcome == clone_schema::event::Outcome::Rejected;
            self.choice(answer, place);
        }
    }

    fn choice(&mut self, answer: Answer, place: &mut Place) {
        if self.past.driven {
            return self.skip("machine-driven");
        }
        let before = self.past.said.as_ref().map(|(id, _)| id.clone());
        self.emit(place, Origin::Typed, answer.body(AGENT, before));
    }

    fn interrupt(&mut self, place: &mut Place) {
        if std::mem::take(&mut self.past.refused) {
            return self.skip("interrupt after a refusal");
        }
        let said = self.past.said.as_ref().map(|(_, text)| text.clone()).unwrap_or_default();
        let answer = self.past.tools.interrupted(said);
        self.choice(answer, place);
    }

    fn queue_line(&mut self, record: &Record<'_>, session: String, at: Timestamp) {
        match record.operation.as_deref() {
            Some("enqueue") => {
                let (texts, cwd) = (wire::texts(record.content), self.past.cwd.clone());
                let queued = match human::act(&Said { texts: &texts, ..Said::default() }) {
                    Act::Prompt(text) | Act::Command(text) | Act::Shell(text) if !is_task(&text) => {
                        Queued::new(session, at, cwd, &text, true)
                    }
                    _ => Queued::new(session, at, cwd, texts.join("\n").trim(), false),
                };
                if self.past.queue.enqueue(queued) {
                    self.skip("queue overflow");
                }
            }
            Some("popAll") => {
                self.drop_queued("queued prompt taken back");
                self.skip("queue-operation");
            }
            Some("dequeue" | "remove") => {
                self.past.queue.ready();
                self.skip("queue-operation");
            }
            _ => self.skip("queue-operation"),
        }
    }

    /// Hands out the queued prompts that went to the agent without a record of their own.
    fn send_queued(&mut self) {
        while let Some(queued) = self.past.queue.next_ready() {
            let Some(text) = queued.text.filter(|_| !self.past.driven) else {
                self.skip(if self.past.driven { "machine-driven" } else { "injected: task notification" });
                continue;
            };
            let time = queued.at.to_string();
            let key = format!("queued-{}", clone_schema::id::digest(&[&queued.session, &time, &text], 16));
            self.past.queue.sent(&queued.session, &text, queued.at);
            let mut place = Place { session: queued.session, at: queued.at, cwd: queued.cwd, key, made: 0 };
            let body = Body::AgentPrompt { agent: AGENT.to_owned(), prompt: text };
            self.typed(body, Origin::Typed, &mut place);
        }
    }

    /// What still waits at the end of the file never went to the agent; it comes when the file has grown.
    fn finish(&mut self) {
        self.send_queued();
        self.drop_queued("still queued");
    }

    fn drop_queued(&mut self, reason: &str) {
        for queued in self.past.queue.clear() {
            self.skip(if queued.text.is_some() { reason } else { "injected: task notification" });
        }
    }
}

/// A slash and a name, and not a path.
fn is_command(prompt: &str) -> bool {
    let name = prompt.strip_prefix('/').and_then(|rest| rest.split_whitespace().next());
    name.is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":-_".contains(&byte)))
}

/// The queue also carries the end of a background task, as JSON.
fn is_task(text: &str) -> bool {
    text.starts_with("{\"task_id\":")
}

#[cfg(test)]
mod tests;
