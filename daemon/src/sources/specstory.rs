//! Markdown exports of SpecStory: Cursor, Copilot, Codex, Gemini, Claude.
//!
//! A file is one session. A line `_**User (time)**_` or `_**Agent (model time)**_` opens a message that runs to the next
//! one. People and agents quote such lines, so a user's counts only after a `---` line or at the top. A message without
//! a time is put one second after the one before it, from the start of the session; a time without a zone is read as
//! UTC, which the exporter writes elsewhere.

mod header;
mod text;

use std::io::{self, BufRead};
use std::path::Path;

use clone_schema::event::{ChoiceKind, Outcome};
use clone_schema::text::tail;
use clone_schema::{Body, Origin, Timestamp};
use jiff::SignedDuration;

pub(super) use self::header::instant_at;
use self::header::{Header, Role};
use self::text::Typed;
use super::lines::{Line, Lines};
use super::{Answer, Item, MAX_SAID_BYTES, MAX_TEXT_BYTES, Tally};

pub(super) fn read(input: &mut dyn BufRead, path: &Path, tally: &mut Tally<'_>) -> io::Result<()> {
    let mut lines = Lines::new(input);
    let mut reader = Reader::new(path, tally);
    while let Some(line) = lines.next()? {
        match line {
            Line::Whole(bytes) | Line::Unfinished(bytes) => reader.line(&String::from_utf8_lossy(bytes)),
            Line::TooLong => reader.tally.counts.skip("line too long"),
        }
    }
    reader.close();
    Ok(())
}

struct Reader<'t, 'a> {
    tally: &'t mut Tally<'a>,
    path: &'t Path,
    /// The project's folder, where the file lies in its `.specstory/history`.
    cwd: Option<String>,
    taken: bool,
    agent: String,
    /// What the ids are made of.
    hash: String,
    started: Option<Timestamp>,
    /// The time of the last message.
    last: Option<Timestamp>,
    opened: bool,
    /// The message that is being read, its number and its text.
    open: Option<(Header, u64, String)>,
    messages: u64,
    /// The last line that is not empty is `---`.
    ruled: bool,
    prompt: Option<String>,
    said: Option<(String, String)>,
}

impl<'t, 'a> Reader<'t, 'a> {
    fn new(path: &'t Path, tally: &'t mut Tally<'a>) -> Self {
        let cwd = project(path);
        let taken = tally.filter.takes(cwd.as_deref().unwrap_or(&path.to_string_lossy()));
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        Self {
            tally,
            path,
            cwd,
            taken,
            agent: "unknown".to_owned(),
            hash: hash(name),
            started: None,
            last: None,
            opened: false,
            open: None,
            messages: 0,
            ruled: true,
            prompt: None,
            said: None,
        }
    }

    fn line(&mut self, line: &str) {
        let trimmed = line.trim_end();
        if let Some(header) = header::message(trimmed).filter(|header| self.opens(header)) {
            self.close();
            self.open = Some((header, self.messages, String::new()));
            self.messages += 1;
            self.ruled = false;
            return;
        }
        match &mut self.open {
            Some((_, _, text)) if text.len() < MAX_TEXT_BYTES => {
                text.push_str(line);
                text.push('\n');
            }
            Some(_) => {}
            None => self.preamble(trimmed),
        }
        if !trimmed.is_empty() {
            self.ruled = trimmed == "---";
        }
    }

    /// Whether a line that looks like a message's first one is: an agent's next message needs no rule before it.
    fn opens(&self, header: &Header) -> bool {
        match &self.open {
            None => true,
            Some((open, ..)) => self.ruled || (open.role == Role::Agent && header.role == Role::Agent),
        }
    }

    /// The lines before the first message say which agent it was, which session and when.
    fn preamble(&mut self, line: &str) {
        if let Some(session) = header::session(line) {
            self.agent = session.agent;
            self.hash = hash(&session.id);
            self.started = session.at.or(self.started);
        } else if line.starts_with("# ") && self.started.is_none() {
            self.started = header::time_in(line);
        }
    }

    /// Hands out the message that was being read.
    fn close(&mut self) {
        let Some((header, number, text)) = self.open.take() else { return };
        self.tally.counts.read += 1;
        let start = self.started.or_else(|| header::time_of_name(self.path));
        let after = self.last.map(|last| last.saturating_add(SignedDuration::from_secs(1)).unwrap_or(last));
        let at = match (header.at, self.last, after.or(start)) {
            (Some(at), Some(last), _) => at.max(last),
            (Some(at), None, _) | (None, _, Some(at)) => at,
            (None, _, None) => return self.tally.counts.skip("no timestamp"),
        };
        self.last = Some(at);
        if let Some(agent) = header.agent.as_deref().filter(|_| self.agent == "unknown") {
            agent.clone_into(&mut self.agent);
        }
        if !self.taken {
            self.tally.counts.skip("excluded project");
        } else if header.sidechain {
            self.tally.counts.skip("sub-agent");
        } else if header.role == Role::User {
            self.user(&text, at, number);
        } else {
            self.answer(&text, at, number);
        }
    }

    fn emit(&mut self, at: Timestamp, number: u64, origin: Origin, body: Body) -> String {
        if !self.opened {
            self.opened = true;
            self.tally.open(&self.hash, self.started.unwrap_or(at).min(at), self.cwd.as_deref(), None);
        }
        let key = format!("{}:{number}", self.hash);
        let id = format!("specstory:{key}");
        let cwd = self.cwd.as_deref();
        self.tally.emit(Item { id: id.clone(), session: &self.hash, at, cwd, project: None, key }, origin, body);
        id
    }

    fn answer(&mut self, text: &str, at: Timestamp, number: u64) {
        let Some(response) = text::of_agent(text) else { return self.tally.counts.skip("tool use") };
        let said = tail(&response, MAX_SAID_BYTES).to_owned();
        let in_response_to = self.prompt.clone();
        let body = Body::AgentResponse { agent: self.agent.clone(), response, in_response_to };
        let id = self.emit(at, number, Origin::Agent, body);
        self.said = Some((id, said));
    }

    fn user(&mut self, text: &str, at: Timestamp, number: u64) {
        let answer = match text::of_user(text) {
            Typed::Nothing(reason) => return self.tally.counts.skip(reason),
            Typed::Prompt { text, origin, command } => {
                self.tally.counts.commands += u64::from(command);
                let body = Body::AgentPrompt { agent: self.agent.clone(), prompt: text };
                self.prompt = Some(self.emit(at, number, origin, body));
                self.said = None;
                return;
            }
            Typed::Button { label, question } => {
                // The label of the one button that was pressed is all that is told of the options.
                let (kind, options) = (ChoiceKind::Question, vec![label.clone()]);
                Answer { kind, question, options, choice: Some(label), outcome: Outcome::Chosen }
            }
            Typed::Interrupt => {
                let said = self.said.as_ref().map(|(_, text)| text.clone()).unwrap_or_default();
                Answer::interrupted(said)
            }
        };
        let before = self.said.as_ref().map(|(id, _)| id.clone());
        let body = answer.body(&self.agent, before);
        self.emit(at, number, Origin::Typed, body);
    }
}

/// The first 16 hex digits of a hash.
fn hash(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex()[..16].to_owned()
}

/// The folder that holds `.specstory`.
fn project(path: &Path) -> Option<String> {
    let home = path.ancestors().find(|folder| folder.file_name().is_some_and(|name| name == ".specstory"))?;
    home.parent().and_then(Path::to_str).filter(|path| !path.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests;
