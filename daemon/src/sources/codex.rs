//! Codex CLI's rollout files.
//!
//! The tool writes most things twice, as an event and as the item that goes to the model. Whichever of the two comes
//! first makes our event and the other is a repetition; an item that only the model sees (instructions, the environment)
//! is told by how it begins, in [`human`]. A fork begins with a copy of its parent under new times: the copied turns are
//! known by the burst in which they were written, and passed over.

mod choice;
mod human;
mod wire;

use std::collections::VecDeque;
use std::io::{self, BufRead};

use clone_schema::text::tail;
use clone_schema::{Body, Origin, Timestamp, time};
use serde_json::value::RawValue;

use self::choice::Calls;
use self::human::Act;
use self::wire::{Item as Payload, Line as Record, Meta};
use super::lines::{Line, Lines};
use super::{Answer, Format, Item, MAX_SAID_BYTES, Tally, instant};

/// The agent's name in events.
const AGENT: &str = Format::Codex.agent();
/// How many texts of the present turn are remembered, to know the second trace of each.
const MAX_TRACES: usize = 64;
/// How many seconds after the head of a fork its copied turns are written at most.
const COPY_SECONDS: i64 = 2;

/// Kinds of event and item in which nobody says anything to anybody.
const SILENT: &[&str] = &[
    "agent_reasoning",
    "agent_reasoning_raw_content",
    "agent_reasoning_section_break",
    "context_compacted",
    "custom_tool_call_output",
    "entered_review_mode",
    "exited_review_mode",
    "ghost_snapshot",
    "local_shell_call",
    "mcp_tool_call_end",
    "patch_apply_end",
    "reasoning",
    "task_complete",
    "task_started",
    "thread_name_updated",
    "thread_rolled_back",
    "thread_settings_applied",
    "token_count",
    "turn_complete",
    "turn_started",
    "web_search_call",
    "web_search_end",
    "compaction",
    "compaction_summary",
];

/// Reads a whole file.
pub(super) fn read(input: &mut dyn BufRead, tally: &mut Tally<'_>) -> io::Result<()> {
    let (mut lines, mut past) = (Lines::new(input), Past::default());
    while let Some(line) = lines.next()? {
        past.line(&line, tally);
    }
    past.finish(tally);
    Ok(())
}

/// Which of the two traces of a text came.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stream {
    Event,
    Item,
}

/// A text of the person's role that waits for its event: files of old versions have none.
struct Waiting {
    text: String,
    place: Place,
}

/// Where a line stands.
#[derive(Clone)]
struct Place {
    at: Timestamp,
    /// The directory then: a line may wait while the session moves.
    cwd: Option<String>,
    /// What the tool calls the line: its number, else its time.
    name: String,
    numbered: bool,
    /// Events made of this line so far.
    made: u32,
}

/// What carries over from line to line; all of it is bounded.
#[derive(Default)]
pub(super) struct Past {
    thread: Option<String>,
    cwd: Option<String>,
    /// Nobody types here: `exec`, an MCP client, a sub-agent.
    driven: bool,
    /// When the head of a fork was written.
    forked: Option<Timestamp>,
    opened: bool,
    /// The file has events of what the person said.
    evented: bool,
    waiting: VecDeque<Waiting>,
    /// The texts of this turn and which trace made the event.
    traces: VecDeque<([u8; 32], Stream)>,
    prompt: Option<String>,
    said: Option<(String, String)>,
    calls: Calls,
}

impl Past {
    /// Takes the next line of the file.
    pub(super) fn line(&mut self, line: &Line<'_>, tally: &mut Tally<'_>) {
        if let Some(record) = tally.record(line) {
            Reader { tally, past: self }.record(&record);
        }
    }

    /// The end of a file that is not followed.
    ///
    /// A last text whose event may still be written stays away, unless this file has shown that it has no events: its
    /// event would have another id.
    pub(super) fn finish(&mut self, tally: &mut Tally<'_>) {
        let mut reader = Reader { tally, past: self };
        if reader.past.opened && !reader.past.evented {
            return reader.send_waiting();
        }
        while reader.past.waiting.pop_front().is_some() {
            reader.skip("still waiting");
        }
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

    fn record(&mut self, record: &Record<'_>) {
        let Some(at) = record.timestamp.as_deref().and_then(instant) else { return self.skip("no timestamp") };
        match record.kind.as_str() {
            "session_meta" => return self.meta(record.payload, at),
            "turn_context" => return self.turn_context(record.payload),
            "response_item" | "event_msg" => {}
            "compacted" | "inter_agent_communication" | "token_usage_record" | "world_state" => {
                return self.skip(&record.kind);
            }
            kind => return self.tally.counts.skip_unknown(kind),
        }
        if self.past.thread.is_none() {
            return self.skip("no session");
        }
        if self.past.driven {
            return self.skip("machine-driven");
        }
        if self.past.forked.is_some_and(|head| time::seconds_between(head, at).abs() <= COPY_SECONDS) {
            return self.skip("copied by a fork");
        }
        if !self.tally.filter.takes(self.past.cwd.as_deref().unwrap_or_default()) {
            return self.skip("excluded project");
        }
        let Some(payload) = record.payload.and_then(|raw| serde_json::from_str::<Payload<'_>>(raw.get()).ok()) else {
            return self.skip("unexpected shape");
        };
        let (name, numbered) = match record.ordinal {
            Some(ordinal) => (ordinal.to_string(), true),
            None => (at.to_string(), false),
        };
        let stream = if record.kind == "event_msg" { Stream::Event } else { Stream::Item };
        let cwd = self.past.cwd.clone();
        self.payload(payload, stream, Place { at, cwd, name, numbered, made: 0 });
    }

    /// The first head of a file names the thread; a later one is a fork's copy of its parent's.
    fn meta(&mut self, raw: Option<&RawValue>, at: Timestamp) {
        let meta: Meta = raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
        if self.past.thread.is_none() {
            self.past.thread = meta.id.clone().or(meta.session_id.clone()).filter(|id| !id.is_empty());
            self.past.driven = meta.is_driven();
            self.past.forked = meta.copies().then_some(at);
            self.past.cwd = meta.cwd;
        }
        self.skip("session head");
    }

    fn turn_context(&mut self, raw: Option<&RawValue>) {
        let meta: Meta = raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
        self.past.cwd = meta.cwd.or_else(|| self.past.cwd.take());
        self.skip("turn context");
    }

    fn payload(&mut self, payload: Payload<'_>, stream: Stream, mut place: Place) {
        match payload.kind.as_str() {
            "user_message" => self.user_event(&payload, place),
            "item_completed" => self.completed(&payload, place),
            "message" if payload.role.as_deref() == Some("user") => self.user_item(&payload, &mut place),
            "message" if payload.role.as_deref() == Some("assistant") => {
                self.answer(&wire::texts(payload.content), stream, &mut place);
            }
            "message" => self.skip("instructions"),
            "agent_message" => self.answer(&payload.message.unwrap_or_default(), stream, &mut place),
            "function_call" | "custom_tool_call" => {
                self.send_waiting();
                self.past.calls.called(&payload);
                self.skip("tool use");
            }
            "function_call_output" => self.output(&payload, &mut place),
            "turn_aborted" => self.aborted(&payload, &mut place),
            kind if SILENT.contains(&kind) => self.skip(kind),
            kind => self.tally.counts.skip_unknown(kind),
        }
    }

    /// Newer versions wrap what was said into an item of their own.
    fn completed(&mut self, payload: &Payload<'_>, mut place: Place) {
        let said = wire::completed(payload.item);
        match said.kind.as_str() {
            "UserMessage" => {
                let message = Some(wire::texts(said.content));
                self.user_event(&Payload { message, ..Payload::default() }, place);
            }
            "AgentMessage" => self.answer(&wire::texts(said.content), Stream::Event, &mut place),
            _ => self.skip("item_completed"),
        }
    }

    /// What the tool says the person sent.
    fn user_event(&mut self, payload: &Payload<'_>, place: Place) {
        self.past.evented = true;
        for _ in 0..self.past.waiting.len() {
            self.past.waiting.pop_front();
            self.skip("repeated");
        }
        if payload.input_kind.as_deref().is_some_and(|kind| kind != "plain") {
            return self.skip("injected: context");
        }
        self.act(human::act(payload.message.as_deref().unwrap_or_default()), place);
    }

    /// What goes to the model as the person's: an event with the same words may follow, so it waits.
    fn user_item(&mut self, payload: &Payload<'_>, place: &mut Place) {
        let text = wire::texts(payload.content);
        if wire::is_tools_own(payload.passthrough) && !text.trim_start().starts_with(human::SHELL) {
            return self.skip("injected: context");
        }
        match human::act(&text) {
            // Only this stream has the commands that the person ran.
            act @ Act::Shell { .. } => self.act(act, place.clone()),
            Act::Nothing(reason) => self.skip(reason),
            Act::Prompt(_) if self.past.evented => self.skip("repeated"),
            Act::Prompt(text) => {
                if self.past.waiting.len() >= MAX_TRACES {
                    self.past.waiting.pop_front();
                    self.skip("queue overflow");
                }
                self.past.waiting.push_back(Waiting { text, place: place.clone() });
            }
        }
    }

    /// Hands out what no event came for.
    fn send_waiting(&mut self) {
        while let Some(Waiting { text, place }) = self.past.waiting.pop_front() {
            self.act(Act::Prompt(text), place);
        }
    }

    fn act(&mut self, act: Act, mut place: Place) {
        let body = match act {
            Act::Nothing(reason) => return self.skip(reason),
            Act::Prompt(prompt) => Body::AgentPrompt { agent: AGENT.to_owned(), prompt },
            Act::Shell { command, exit_code } => {
                self.tally.counts.commands += 1;
                Body::TerminalCommand { command, cwd: place.cwd.clone(), exit_code, duration_ms: None }
            }
        };
        self.past.traces.clear();
        self.past.calls.clear();
        let id = self.emit(&mut place, Origin::Typed, body);
        self.past.prompt = Some(id);
        self.past.said = None;
    }

    fn answer(&mut self, text: &str, stream: Stream, place: &mut Place) {
        self.send_waiting();
        if text.trim().is_empty() {
            return self.skip("empty answer");
        }
        let hash = *blake3::hash(text.as_bytes()).as_bytes();
        let twin = self.past.traces.iter().position(|(of, made_by)| *of == hash && *made_by != stream);
        if let Some(twin) = twin {
            self.past.traces.remove(twin);
            return self.skip("repeated");
        }
        if self.past.traces.len() >= MAX_TRACES {
            self.past.traces.pop_front();
        }
        self.past.traces.push_back((hash, stream));
        let (agent, response) = (AGENT.to_owned(), text.to_owned());
        let body = Body::AgentResponse { agent, response, in_response_to: self.past.prompt.clone() };
        let id = self.emit(place, Origin::Agent, body);
        self.past.said = Some((id, tail(text, MAX_SAID_BYTES).to_owned()));
    }

    fn output(&mut self, payload: &Payload<'_>, place: &mut Place) {
        let answers = self.past.calls.answered(payload);
        if answers.is_empty() {
            return self.skip("tool result");
        }
        for answer in answers {
            self.choice(answer, place);
        }
    }

    /// The person stopped the agent; other reasons end a turn too.
    fn aborted(&mut self, payload: &Payload<'_>, place: &mut Place) {
        self.send_waiting();
        if payload.reason.as_deref().is_some_and(|reason| reason != "interrupted") {
            return self.skip("turn replaced");
        }
        let said = self.past.said.as_ref().map(|(_, text)| text.clone()).unwrap_or_default();
        let question = self.past.calls.last().unwrap_or(said);
        self.choice(Answer::interrupted(question), place);
        self.past.calls.clear();
    }

    fn choice(&mut self, answer: Answer, place: &mut Place) {
        let before = self.past.said.as_ref().map(|(id, _)| id.clone());
        self.emit(place, Origin::Typed, answer.body(AGENT, before));
    }

    /// Hands out an event and gives its id back; the first one of a file opens the session.
    fn emit(&mut self, place: &mut Place, origin: Origin, body: Body) -> String {
        let thread = self.past.thread.clone().unwrap_or_default();
        if !std::mem::replace(&mut self.past.opened, true) {
            self.tally.open(&thread, place.at, place.cwd.as_deref(), None);
        }
        let key = key(&thread, place, &body);
        place.made += 1;
        let id = format!("codex:{key}");
        let cwd = place.cwd.as_deref();
        let item = Item { id: id.clone(), session: &thread, at: place.at, cwd, project: None, key };
        self.tally.emit(item, origin, body);
        id
    }
}

/// The thread and the line's number; where lines have none, their time and what was said.
fn key(thread: &str, place: &Place, body: &Body) -> String {
    let nth = if place.made == 0 { String::new() } else { format!("#{}", place.made) };
    if place.numbered {
        return format!("{thread}:{}{nth}", place.name);
    }
    let said = match body {
        Body::AgentPrompt { prompt: text, .. }
        | Body::AgentResponse { response: text, .. }
        | Body::TerminalCommand { command: text, .. } => text.as_str(),
        Body::AgentChoice(choice) => choice.question.as_str(),
        _ => "",
    };
    format!("{thread}:{}+{}{nth}", place.name, clone_schema::id::digest(&[said], 8))
}

#[cfg(test)]
mod tests;
