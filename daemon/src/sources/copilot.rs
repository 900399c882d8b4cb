//! Copilot CLI's session log: `session-state/<id>/events.jsonl`, one event of the session a line.
//!
//! What a sub-agent said or was told bears an `agentId`, what the tool wrote in the person's place a `source`; both are left
//! out. Permissions that were refused, answers to questions and aborts are events of their own, and count where they say
//! that a person gave them. The instructions of the first turn tell whether the session runs without one (`copilot -p`),
//! so that the prompt before them waits for them.

use std::collections::VecDeque;
use std::io::{self, BufRead};

use clone_schema::text::{head, tail};
use clone_schema::{Body, Origin, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use super::answer::asked;
use super::lines::{Line, Lines};
use super::{
    Answer, Format, Item, MAX_OPTIONS, MAX_QUESTION_BYTES, MAX_QUESTIONS, MAX_SAID_BYTES, Tally, about, instant,
};

/// The agent's name in events.
const AGENT: &str = Format::Copilot.agent();
/// How many calls and requests without an end are remembered.
const MAX_OPEN: usize = 32;
/// What the instructions of a session without a person say.
const ALONE: &str = "You are running in non-interactive mode";
/// Who answered, where it was a person.
const PERSON: &str = "human_response";
/// The families of events that say nothing about the person; an event of another kind is told as unknown.
const SILENT: &[&str] = &[
    "assistant",
    "command",
    "elicitation",
    "external_tool",
    "hook",
    "mcp",
    "model",
    "permission",
    "session",
    "skill",
    "subagent",
    "system",
    "tool",
    "tool_search",
    "user_input",
];

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Record {
    #[serde(rename = "type")]
    kind: String,
    id: String,
    timestamp: String,
    agent_id: Option<String>,
    data: Value,
}

/// Something that began and has an end of its own.
struct Open {
    id: String,
    event: String,
    at: Timestamp,
    what: String,
}

/// A prompt that waits for the first instructions, and where it was typed.
struct Waiting {
    key: String,
    at: Timestamp,
    prompt: String,
    cwd: Option<String>,
}

/// What carries over from line to line; all of it is bounded.
#[derive(Default)]
struct Past {
    session: Option<String>,
    cwd: Option<String>,
    opened: bool,
    /// Whether nobody is there to ask, once that is known.
    alone: Option<bool>,
    /// The prompt before the first instructions.
    waiting: Option<Waiting>,
    /// Permissions asked for, questions put, and commands that the person runs.
    open: VecDeque<Open>,
    prompt: Option<String>,
    /// The last answer: its event and its end.
    said: Option<(String, String)>,
}

/// Reads a whole file.
pub(super) fn read(input: &mut dyn BufRead, tally: &mut Tally<'_>) -> io::Result<()> {
    let mut lines = Lines::new(input);
    let mut reader = Reader { tally, past: Past::default() };
    while let Some(line) = lines.next()? {
        reader.line(&line);
    }
    reader.send_waiting();
    Ok(())
}

struct Reader<'t, 'a> {
    tally: &'t mut Tally<'a>,
    past: Past,
}

impl Reader<'_, '_> {
    fn line(&mut self, line: &Line<'_>) {
        if let Some(record) = self.tally.record::<Record>(line) {
            self.record(&record);
        }
    }

    fn skip(&mut self, reason: &str) {
        self.tally.counts.skip(reason);
    }

    fn record(&mut self, record: &Record) {
        let Record { kind, id, data, .. } = record;
        if kind == "session.start" {
            self.past.session = data["sessionId"].as_str().filter(|id| !id.is_empty()).map(str::to_owned);
        }
        if let Some(cwd) = data["context"]["cwd"].as_str() {
            self.past.cwd = Some(cwd.to_owned());
        }
        let Some(at) = instant(&record.timestamp) else { return self.skip("no timestamp") };
        match kind.as_str() {
            _ if self.past.session.is_none() => self.skip("no session"),
            _ if id.is_empty() => self.skip("no id"),
            _ if record.agent_id.is_some() || data["parentToolCallId"].is_string() => self.skip("sub-agent"),
            // Nothing in them is the person's, and a prompt of a project that is taken may wait for them.
            "system.message" => self.instructions(data),
            _ if !self.tally.filter.takes(self.past.cwd.as_deref().unwrap_or_default()) => {
                self.skip("excluded project");
            }
            "user.message" => self.user(record, at),
            "assistant.message" => self.answer(record, at),
            "permission.requested" => self.asked(record, at),
            "permission.completed" => self.decided(record, at),
            "human_response.recorded" => self.responded(record, at),
            "tool.execution_start" | "tool.user_requested" => self.began(record, at),
            "tool.execution_complete" => self.ended(record, at),
            "abort" => self.aborted(record, at),
            kind => self.silent(kind),
        }
    }

    fn silent(&mut self, kind: &str) {
        let family = kind.split('.').next().unwrap_or_default();
        if SILENT.contains(&family) { self.skip(family) } else { self.tally.counts.skip_unknown(kind) }
    }

    fn user(&mut self, record: &Record, at: Timestamp) {
        self.send_waiting();
        let text = record.data["content"].as_str().unwrap_or_default().trim();
        if record.data["isAutopilotContinuation"] == true {
            return self.skip("injected: continuation");
        }
        if record.data["source"].as_str().is_some_and(|source| source != "user") {
            return self.skip("injected: context");
        }
        if text.is_empty() {
            return self.skip("no text");
        }
        let (key, prompt, cwd) = (record.id.clone(), text.to_owned(), self.past.cwd.clone());
        self.past.waiting = Some(Waiting { key, at, prompt, cwd });
        if self.past.alone.is_some() {
            self.send_waiting();
        }
    }

    fn instructions(&mut self, data: &Value) {
        self.past.alone = Some(data["content"].as_str().is_some_and(|text| text.contains(ALONE)));
        self.send_waiting();
        self.skip("instructions");
    }

    /// Hands out the prompt that waits; where nobody is there, a script may have sent it.
    fn send_waiting(&mut self) {
        let Some(Waiting { key, at, prompt, cwd }) = self.past.waiting.take() else { return };
        let origin = if self.past.alone == Some(true) { Origin::Unknown } else { Origin::Typed };
        let now = std::mem::replace(&mut self.past.cwd, cwd);
        let id = self.emit(&key, at, origin, Body::AgentPrompt { agent: AGENT.to_owned(), prompt });
        self.past.cwd = now;
        (self.past.prompt, self.past.said) = (Some(id), None);
        self.past.open.clear();
    }

    fn answer(&mut self, record: &Record, at: Timestamp) {
        self.send_waiting();
        let response = record.data["content"].as_str().unwrap_or_default().trim();
        if response.is_empty() {
            return self.skip("tool use");
        }
        let (agent, in_response_to) = (AGENT.to_owned(), self.past.prompt.clone());
        let body = Body::AgentResponse { agent, response: response.to_owned(), in_response_to };
        let id = self.emit(&record.id, at, Origin::Agent, body);
        self.past.said = Some((id, tail(response, MAX_SAID_BYTES).to_owned()));
    }

    /// Remembers what has an end of its own.
    fn remember(&mut self, id: &Value, record: &Record, at: Timestamp, what: String) {
        let Some(id) = id.as_str().map(str::to_owned) else { return };
        if self.past.open.len() >= MAX_OPEN {
            self.past.open.pop_front();
        }
        self.past.open.push_back(Open { id, event: record.id.clone(), at, what });
    }

    fn take(&mut self, id: &Value) -> Option<Open> {
        let at = self.past.open.iter().position(|open| id.as_str() == Some(&open.id))?;
        self.past.open.remove(at)
    }

    fn asked(&mut self, record: &Record, at: Timestamp) {
        let request = &record.data["permissionRequest"];
        let what = ["fullCommandText", "fileName", "path", "url"].iter().find_map(|name| request[*name].as_str());
        let what = what.map_or_else(|| about(request), |what| head(what, MAX_QUESTION_BYTES).to_owned());
        let what = format!("{}: {what}", request["kind"].as_str().unwrap_or_default());
        self.remember(&record.data["requestId"], record, at, what);
        self.skip("permission");
    }

    fn decided(&mut self, record: &Record, at: Timestamp) {
        let result = &record.data["result"];
        if result["kind"] == "cancelled" {
            // The abort that cancelled it stands before it or behind it, and asks what it was about.
            return self.skip("permission");
        }
        let request = self.take(&record.data["requestId"]);
        let by = record.data["decisionSource"].as_str().unwrap_or(PERSON);
        let Some(request) = request.filter(|_| result["kind"] == "denied-interactively-by-user" && by == PERSON) else {
            return self.skip("permission");
        };
        self.choice(&record.id, at, Answer::refused(request.what, result["feedback"].as_str()));
    }

    /// What a person answered to the questions of a form, or to one.
    fn responded(&mut self, record: &Record, at: Timestamp) {
        let answers = if record.data["actor"] == PERSON { answers(&record.data["response"]) } else { Vec::new() };
        if answers.is_empty() {
            return self.skip("human_response");
        }
        self.take(&record.data["toolCallId"]);
        for (n, answer) in answers.into_iter().enumerate() {
            let nth = if n == 0 { String::new() } else { format!("#{n}") };
            self.choice(&format!("{}{nth}", record.id), at, answer);
        }
    }

    fn began(&mut self, record: &Record, at: Timestamp) {
        let arguments = &record.data["arguments"];
        let what = match record.data["toolName"].as_str() {
            Some("ask_user") => arguments["message"].as_str().or_else(|| arguments["question"].as_str()),
            _ if record.kind == "tool.user_requested" => arguments["command"].as_str(),
            _ => None,
        };
        if let Some(what) = what {
            self.remember(&record.data["toolCallId"], record, at, what.to_owned());
        }
        self.skip("tool");
    }

    /// The end of a command that the person ran, or of a question that got no answer.
    fn ended(&mut self, record: &Record, at: Timestamp) {
        let Some(open) = self.take(&record.data["toolCallId"]) else { return self.skip("tool") };
        if record.data["isUserRequested"] == true {
            self.tally.counts.commands += 1;
            let exit_code = record.data["shellExecution"]["exitCode"].as_i64();
            let duration_ms = Some(at.as_millisecond() - open.at.as_millisecond()).filter(|took| *took >= 0);
            let (command, cwd) = (open.what, self.past.cwd.clone());
            let body = Body::TerminalCommand { command, cwd, exit_code, duration_ms };
            self.emit(&open.event, open.at, Origin::Typed, body);
            return;
        }
        let action = record.data["toolTelemetry"]["properties"]["elicitation_action"].as_str();
        if !matches!(action, Some("cancel" | "decline")) {
            return self.skip("tool");
        }
        self.choice(&record.id, at, Answer::dismissed(open.what, Vec::new()));
    }

    fn aborted(&mut self, record: &Record, at: Timestamp) {
        self.send_waiting();
        if record.data["reason"].as_str().is_some_and(|reason| reason != "user_initiated") {
            return self.skip("abort");
        }
        let said = self.past.said.as_ref().map(|(_, said)| said.clone()).unwrap_or_default();
        let question = self.past.open.pop_back().map_or(said, |open| open.what);
        self.choice(&record.id, at, Answer::interrupted(question));
        self.past.open.clear();
    }

    fn choice(&mut self, key: &str, at: Timestamp, answer: Answer) {
        let before = self.past.said.as_ref().map(|(id, _)| id.clone());
        self.emit(key, at, Origin::Typed, answer.body(AGENT, before));
    }

    /// Hands out an event and gives its id back; the first one opens the session.
    fn emit(&mut self, key: &str, at: Timestamp, origin: Origin, body: Body) -> String {
        let session = self.past.session.clone().unwrap_or_default();
        let cwd = self.past.cwd.as_deref();
        if !std::mem::replace(&mut self.past.opened, true) {
            self.tally.open(&session, at, cwd, None);
        }
        let id = format!("copilot:{key}");
        let item = Item { id: id.clone(), session: &session, at, cwd, project: None, key: key.to_owned() };
        self.tally.emit(item, origin, body);
        id
    }
}

/// The questions that a response answers, each with its answer.
fn answers(response: &Value) -> Vec<Answer> {
    let list = |value: &Value| value.as_array().into_iter().flatten().take(MAX_OPTIONS).map(asked).collect::<Vec<_>>();
    if response["responseKind"] != "ask_user" {
        let found = answered(asked(&response["question"]), list(&response["choices"]), &response["answer"]);
        return found.into_iter().collect();
    }
    let message = asked(&response["message"]);
    let fields = response["content"].as_object().into_iter().flatten().take(MAX_QUESTIONS);
    let is_one = response["content"].as_object().is_some_and(|fields| fields.len() == 1);
    let one = |(name, given): (&String, &Value)| {
        let field = &response["requestedSchema"]["properties"][name];
        let title = field["title"].as_str().unwrap_or(name);
        let question = if is_one { message.clone() } else { format!("{message} {title}") };
        answered(question, list(&field["enum"]), given)
    };
    fields.filter_map(one).collect()
}

/// One question and what was given to it: a text, several, a number, or yes and no.
fn answered(question: String, options: Vec<String>, given: &Value) -> Option<Answer> {
    let given: Vec<String> = match given {
        Value::String(text) => vec![text.clone()],
        Value::Array(several) => several.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Value::Bool(_) | Value::Number(_) => vec![given.to_string()],
        Value::Null | Value::Object(_) => Vec::new(),
    };
    let given: Vec<&str> = given.iter().map(String::as_str).collect();
    Answer::given(question, options, &given).filter(|answer| !answer.question.is_empty())
}

#[cfg(test)]
mod tests;
