//! What `opencode export` writes of a session: one object with the session and its messages, each of them in parts.
//!
//! OpenCode keeps its sessions in a database of its own; the export is the way out that it offers. A sub-agent's session is
//! left out, and so is what the tool wrote in the person's place (`synthetic`), what a built-in command stands for, and
//! summaries. What the person refused, answered or stopped stands in the parts of the tools.

use std::io::{self, BufRead, Read};

use clone_schema::text::tail;
use clone_schema::{Body, Origin, Timestamp};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::answer::asked;
use super::{Answer, Format, Item, MAX_OPTIONS, MAX_QUESTIONS, MAX_SAID_BYTES, Tally, about};

/// The agent's name in events.
const AGENT: &str = Format::OpenCode.agent();
/// How many bytes an export may have.
const MAX_BYTES: u64 = 64 * 1024 * 1024;
/// What the tool writes in the person's place before a command that they ran themselves.
const RAN: &str = "The following tool was executed by the user";
/// How the error of a refused tool begins; what the person said to it follows the second.
const REFUSED: &str = "The user rejected permission to use this specific tool call";
const FEEDBACK: &str = " with the following feedback: ";
/// The errors of a question that got no answer, and of a tool that was stopped.
const DISMISSED: &str = "The user dismissed this question";
const ABORTED: &str = "Tool execution aborted";
/// How the texts of built-in commands begin; the export does not say that a command was typed.
const COMMANDS: &[&str] = &["Create or update `AGENTS.md` for this repository.", "You are a code reviewer."];

#[derive(Default, Deserialize)]
#[serde(default)]
struct Export<'a> {
    info: Session,
    /// Each still as it stands in the file, so that an export is held once.
    #[serde(borrow)]
    messages: Vec<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Session {
    id: String,
    directory: Option<String>,
    #[serde(rename = "parentID")]
    parent: Option<String>,
    permission: Value,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Message {
    info: Info,
    parts: Vec<Part>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Info {
    id: String,
    role: String,
    time: Times,
    /// `true` where an assistant's message sums up what was compacted.
    summary: Value,
    error: Value,
}

/// Milliseconds since 1970.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Times {
    created: Option<i64>,
    start: Option<i64>,
    end: Option<i64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Part {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    text: String,
    synthetic: bool,
    ignored: bool,
    tool: String,
    state: State,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct State {
    input: Value,
    error: String,
    metadata: Value,
    time: Times,
}

/// Reads a whole export.
pub(super) fn read(input: &mut dyn BufRead, tally: &mut Tally<'_>) -> io::Result<()> {
    let mut bytes = Vec::new();
    input.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        tally.counts.skip("file too large");
        return Ok(());
    }
    match serde_json::from_slice::<Export<'_>>(&bytes) {
        Ok(export) => session(export, tally),
        Err(error) => tally.counts.skip(if error.is_data() { "unexpected shape" } else { "bad JSON" }),
    }
    Ok(())
}

fn session(export: Export<'_>, tally: &mut Tally<'_>) {
    let Export { info, messages } = export;
    let count = messages.len() as u64;
    let refused = match &info {
        Session { id, .. } if id.is_empty() => Some("no session"),
        Session { parent: Some(_), .. } => Some("sub-agent"),
        Session { directory, .. } if !tally.filter.takes(directory.as_deref().unwrap_or_default()) => {
            Some("excluded project")
        }
        _ => None,
    };
    if let Some(reason) = refused {
        tally.counts.read += count;
        return tally.counts.skip_many(reason, count);
    }
    let origin = if is_scripted(&info.permission) { Origin::Unknown } else { Origin::Typed };
    let mut reader = Reader { tally, session: info, origin, opened: false, ran: false, prompt: None, said: None };
    for message in messages {
        reader.tally.counts.read += 1;
        match serde_json::from_str(message.get()) {
            Ok(message) => reader.message(&message),
            Err(_) => reader.skip("unexpected shape"),
        }
    }
}

/// Whether `opencode run` made the session, in which nobody can be asked: a person may have typed the command, or a script.
fn is_scripted(permission: &Value) -> bool {
    let denies = |rule: &Value| rule["permission"] == "question" && rule["action"] == "deny";
    permission.as_array().is_some_and(|rules| rules.iter().any(denies))
}

struct Reader<'t, 'a> {
    tally: &'t mut Tally<'a>,
    session: Session,
    /// What is known of who sent the prompts.
    origin: Origin,
    opened: bool,
    /// The next message holds what the person ran themselves.
    ran: bool,
    prompt: Option<String>,
    /// The last answer: its event and its end.
    said: Option<(String, String)>,
}

impl Reader<'_, '_> {
    fn skip(&mut self, reason: &str) {
        self.tally.counts.skip(reason);
    }

    fn message(&mut self, message: &Message) {
        let Info { id, role, time, .. } = &message.info;
        let Some(at) = instant(time.created) else { return self.skip("no timestamp") };
        match role.as_str() {
            _ if id.is_empty() => self.skip("no id"),
            "user" => self.user(message, at),
            "assistant" if message.info.summary == true => self.skip("compaction summary"),
            "assistant" if std::mem::take(&mut self.ran) => self.ran(message, at),
            "assistant" => self.answer(message, at),
            role => self.tally.counts.skip_unknown(role),
        }
    }

    fn user(&mut self, message: &Message, at: Timestamp) {
        let prompt = texts(message);
        self.ran = prompt.is_empty() && message.parts.iter().any(|part| part.synthetic && part.text == RAN);
        match prompt {
            _ if self.ran => self.skip("shell command"),
            prompt if prompt.is_empty() => self.skip("no text"),
            prompt if COMMANDS.iter().any(|command| prompt.starts_with(command)) => self.skip("injected: command"),
            prompt => {
                let (agent, origin) = (AGENT.to_owned(), self.origin);
                let id = self.emit(&message.info.id, at, origin, Body::AgentPrompt { agent, prompt });
                (self.prompt, self.said) = (Some(id), None);
            }
        }
    }

    /// What the person ran with `!`.
    fn ran(&mut self, message: &Message, at: Timestamp) {
        for part in message.parts.iter().filter(|part| part.kind == "tool") {
            let Some(command) = part.state.input["command"].as_str() else { continue };
            self.tally.counts.commands += 1;
            let Times { start, end, .. } = part.state.time;
            let duration_ms = end.zip(start).and_then(|(end, start)| end.checked_sub(start)).filter(|took| *took >= 0);
            let (command, cwd, exit_code) = (command.to_owned(), self.session.directory.clone(), None);
            self.emit(&part.id, at, Origin::Typed, Body::TerminalCommand { command, cwd, exit_code, duration_ms });
        }
    }

    fn answer(&mut self, message: &Message, at: Timestamp) {
        let response = texts(message);
        let answers: Vec<(String, Timestamp, Answer)> =
            message.parts.iter().flat_map(|part| answers(part, at)).collect();
        let stopped = self.stopped(message, &response);
        if response.is_empty() && answers.is_empty() && stopped.is_none() {
            return self.skip("tool use");
        }
        if !response.is_empty() {
            let said = tail(&response, MAX_SAID_BYTES).to_owned();
            let (agent, in_response_to) = (AGENT.to_owned(), self.prompt.clone());
            let body = Body::AgentResponse { agent, response, in_response_to };
            let id = self.emit(&message.info.id, at, Origin::Agent, body);
            self.said = Some((id, said));
        }
        for (key, at, answer) in answers.into_iter().chain(stopped) {
            let before = self.said.as_ref().map(|(id, _)| id.clone());
            self.emit(&key, at, Origin::Typed, answer.body(AGENT, before));
        }
    }

    /// The person stopped the agent: in the middle of the last tool that was stopped with it, else of what it said.
    fn stopped(&self, message: &Message, response: &str) -> Option<(String, Timestamp, Answer)> {
        let is_aborted = |part: &&Part| part.state.error == ABORTED || part.state.metadata["interrupted"] == true;
        let tool = message.parts.iter().rev().find(is_aborted);
        if tool.is_none() && message.info.error["name"] != "MessageAbortedError" {
            return None;
        }
        let before = self.said.as_ref().map_or("", |(_, said)| said.as_str());
        let said = if response.is_empty() { before } else { tail(response, MAX_SAID_BYTES) };
        let question = tool.map_or_else(|| said.to_owned(), what);
        let at = instant(tool.and_then(|part| part.state.time.end).or(message.info.time.created))?;
        Some((format!("{}#stopped", message.info.id), at, Answer::interrupted(question)))
    }

    /// Hands out an event and gives its id back; the first one opens the session.
    fn emit(&mut self, key: &str, at: Timestamp, origin: Origin, body: Body) -> String {
        let (session, cwd) = (&self.session.id, self.session.directory.as_deref());
        if !std::mem::replace(&mut self.opened, true) {
            self.tally.open(session, at, cwd, None);
        }
        let id = format!("opencode:{key}");
        self.tally.emit(Item { id: id.clone(), session, at, cwd, project: None, key: key.to_owned() }, origin, body);
        id
    }
}

/// What a message says in its own words.
fn texts(message: &Message) -> String {
    let own = message.parts.iter().filter(|part| part.kind == "text" && !part.synthetic && !part.ignored);
    let texts: Vec<&str> = own.map(|part| part.text.trim()).filter(|text| !text.is_empty()).collect();
    texts.join("\n\n")
}

/// What the person did, where the part of a tool says so: the event's key, when, and what.
fn answers(part: &Part, otherwise: Timestamp) -> Vec<(String, Timestamp, Answer)> {
    let at = instant(part.state.time.end).unwrap_or(otherwise);
    let found = match part.state.error.strip_prefix(REFUSED) {
        _ if part.kind != "tool" || part.id.is_empty() => Vec::new(),
        Some(rest) => vec![Answer::refused(what(part), rest.strip_prefix(FEEDBACK))],
        None if part.tool == "question" => questions(part),
        None => Vec::new(),
    };
    let key = |n: usize| if n == 0 { part.id.clone() } else { format!("{}#{n}", part.id) };
    found.into_iter().enumerate().map(|(n, answer)| (key(n), at, answer)).collect()
}

/// The questions that were put, with what was answered to each; those without an answer only where all were dismissed.
fn questions(part: &Part) -> Vec<Answer> {
    let is_dismissed = part.state.error == DISMISSED;
    let answers = part.state.metadata["answers"].as_array().map(Vec::as_slice).unwrap_or_default();
    let questions = part.state.input["questions"].as_array().into_iter().flatten().take(MAX_QUESTIONS).enumerate();
    let one = |(n, question): (usize, &Value)| {
        let options = question["options"].as_array().into_iter().flatten().take(MAX_OPTIONS);
        let options: Vec<String> = options.map(|option| asked(&option["label"])).collect();
        let given = answers.get(n).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let given: Vec<&str> = given.collect();
        match is_dismissed && given.is_empty() {
            true => Some(Answer::dismissed(asked(&question["question"]), options)),
            false => Answer::given(asked(&question["question"]), options, &given),
        }
    };
    questions.filter_map(one).collect()
}

/// A tool and what it was about to do.
fn what(part: &Part) -> String {
    format!("{}: {}", part.tool, about(&part.state.input))
}

fn instant(milliseconds: Option<i64>) -> Option<Timestamp> {
    Timestamp::from_millisecond(milliseconds?).ok()
}

#[cfg(test)]
mod tests;
