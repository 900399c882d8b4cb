//! aider's history of a project: one markdown file that every session is appended to.
//!
//! `# aider chat started at …` opens a session, a line `#### …` that ends in two spaces is the person's, `> …` is the tool's
//! own, and everything else is the agent's. An agent writes headings of the fourth level too, so a `####` counts only
//! where the person can have typed: behind the tool's own lines, another such line, or the session's first one. The time
//! is the session's start plus a second per message; aider writes it without a zone, and it is read as UTC.

use std::io::{self, BufRead};
use std::path::Path;

use clone_schema::{Body, Origin, Timestamp};
use jiff::SignedDuration;

use super::lines::{Line, Lines};
use super::{Format, Item, MAX_TEXT_BYTES, Tally, cut};

/// The agent's name in events.
const AGENT: &str = Format::Aider.agent();
const STARTED: &str = "# aider chat started at ";
/// Flags with which a program hands over a prompt.
const SCRIPTED: &[&str] = &[" --message ", " --message=", " -m ", " --message-file", " -f ", " --msg "];

/// Who the lines that are being gathered belong to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    Tool,
    Person,
    Agent,
}

struct Reader<'t, 'a> {
    tally: &'t mut Tally<'a>,
    cwd: Option<String>,
    /// The session's id and when it began.
    session: Option<(String, Timestamp)>,
    /// Its first prompt came with the command.
    scripted: bool,
    opened: bool,
    number: i64,
    who: Who,
    text: String,
    prompt: Option<String>,
}

/// Reads a whole file.
pub(super) fn read(input: &mut dyn BufRead, path: &Path, tally: &mut Tally<'_>) -> io::Result<()> {
    let cwd = path.parent().and_then(Path::to_str).filter(|dir| !dir.is_empty()).map(str::to_owned);
    let (session, prompt, text) = (None, None, String::new());
    let mut reader =
        Reader { tally, cwd, session, scripted: false, opened: false, number: 0, who: Who::Tool, text, prompt };
    let mut lines = Lines::new(input);
    while let Some(line) = lines.next()? {
        match line {
            Line::Whole(bytes) | Line::Unfinished(bytes) => reader.line(&String::from_utf8_lossy(bytes)),
            Line::TooLong => reader.tally.counts.skip("line too long"),
        }
    }
    reader.close();
    Ok(())
}

impl Reader<'_, '_> {
    fn line(&mut self, line: &str) {
        if let Some(at) = line.strip_prefix(STARTED).and_then(started) {
            return self.start(at);
        }
        if line.trim().is_empty() {
            // Between two texts of one speaker it belongs to the text.
            return self.add("");
        }
        if line.starts_with("> ") || line == ">" {
            self.scripted |= self.number == 0 && SCRIPTED.iter().any(|flag| line.contains(flag));
            return self.turn_to(Who::Tool);
        }
        let typed = line.strip_prefix("####").filter(|rest| rest.starts_with(' ') && line.ends_with("  "));
        match typed.filter(|_| self.who != Who::Agent) {
            Some(typed) => {
                self.turn_to(Who::Person);
                self.add(typed.trim());
            }
            None => {
                self.turn_to(Who::Agent);
                self.add(line);
            }
        }
    }

    fn start(&mut self, at: Timestamp) {
        self.close();
        let project = self.cwd.clone().unwrap_or_default();
        self.session = Some((clone_schema::id::digest(&[&project, &at.to_string()], 16), at));
        (self.scripted, self.opened, self.number, self.prompt) = (false, false, 0, None);
    }

    fn add(&mut self, line: &str) {
        if self.who != Who::Tool && self.text.len() < MAX_TEXT_BYTES {
            self.text.push_str(line);
            self.text.push('\n');
        }
    }

    fn turn_to(&mut self, who: Who) {
        if self.who != who {
            self.close();
            self.who = who;
        }
    }

    /// Hands out what was gathered.
    fn close(&mut self) {
        let (who, text) = (std::mem::replace(&mut self.who, Who::Tool), std::mem::take(&mut self.text));
        let mut text = text.trim().to_owned();
        if who == Who::Tool || text.is_empty() {
            return;
        }
        self.tally.counts.read += 1;
        let Some((session, began)) = self.session.clone() else { return self.tally.counts.skip("no session") };
        if !self.tally.filter.takes(self.cwd.as_deref().unwrap_or_default()) {
            return self.tally.counts.skip("excluded project");
        }
        cut(&mut text, MAX_TEXT_BYTES);
        let agent = AGENT.to_owned();
        if who == Who::Agent {
            let in_response_to = self.prompt.clone();
            self.emit(&session, began, Origin::Agent, Body::AgentResponse { agent, response: text, in_response_to });
            return;
        }
        let by_program = self.scripted && self.prompt.is_none();
        let origin = if by_program { Origin::Unknown } else { Origin::Typed };
        self.tally.counts.commands += u64::from(text.starts_with('/') && !by_program);
        self.prompt = Some(self.emit(&session, began, origin, Body::AgentPrompt { agent, prompt: text }));
    }

    fn emit(&mut self, session: &str, began: Timestamp, origin: Origin, body: Body) -> String {
        let cwd = self.cwd.as_deref();
        if !std::mem::replace(&mut self.opened, true) {
            self.tally.open(session, began, cwd, None);
        }
        let at = began.saturating_add(SignedDuration::from_secs(self.number + 1)).unwrap_or(began);
        let key = format!("{session}:{}", self.number);
        self.number += 1;
        let id = format!("aider:{key}");
        self.tally.emit(Item { id: id.clone(), session, at, cwd, project: None, key }, origin, body);
        id
    }
}

/// `2026-11-25 22:39:20`, as UTC.
fn started(text: &str) -> Option<Timestamp> {
    let (day, time) = text.trim().split_once(' ')?;
    super::instant(&format!("{day}T{time}Z"))
}

#[cfg(test)]
mod tests {
    use clone_schema::Event;

    use super::*;
    use crate::sources::{Counts, Filter, Format};

    fn import(text: &str) -> (Vec<Event>, Counts) {
        let (mut events, filter) = (Vec::new(), Filter::default());
        let mut out = |event| events.push(event);
        let mut tally = Tally { format: Format::Aider, filter: &filter, out: &mut out, counts: Counts::default() };
        read(&mut text.as_bytes(), Path::new("/w/app/.aider.chat.history.md"), &mut tally).expect("memory reads");
        let counts = tally.counts;
        (events, counts)
    }

    fn briefs(text: &str) -> Vec<String> {
        let brief = |event: &Event| match &event.body {
            Body::AgentPrompt { prompt, .. } if event.origin() == Origin::Typed => format!("> {prompt}"),
            Body::AgentPrompt { prompt, .. } => format!("? {prompt}"),
            Body::AgentResponse { response, .. } => format!("< {response}"),
            _ => event.topic().to_owned(),
        };
        import(text).0.iter().map(brief).collect()
    }

    const HEAD: &str =
        "\n# aider chat started at 2026-11-25 22:39:20\n\n> /usr/bin/aider --model m  \n> Aider v0.86.2  \n";

    #[test]
    fn turns_commands_and_headings_that_an_agent_wrote() {
        let text = format!(
            "{HEAD}\n#### fix it  \n#### and test it  \n\nI will.\n\n#### Plan\n#### Steps  \n\nDone.\n\n> Tokens: 5 sent.  \n\n#### /add a.py  \n\n> Added a.py to the chat  \n"
        );
        let expected = [
            "session.started",
            "> fix it\nand test it",
            "< I will.\n\n#### Plan\n#### Steps  \n\nDone.",
            "> /add a.py",
        ];
        assert_eq!(briefs(&text), expected);
        let (events, counts) = import(&text);
        assert_eq!((counts.human, counts.agent, counts.commands), (2, 1, 1));
        assert_eq!(events[1].occurred_at.to_string(), "2026-11-25T22:39:21Z");
        for event in &events {
            assert_eq!(Event::parse(&event.to_json()).as_ref(), Ok(event), "the wire takes it");
        }
        // A file that grew has the same ids for what it had.
        let more = import(&format!("{text}\n#### thanks  \n")).0;
        assert_eq!(more[..events.len()], events);
    }

    #[test]
    fn what_came_with_the_command_was_not_typed() {
        let head = HEAD.replace("--model m", "--message go --model m");
        let text = format!("{head}\n#### go  \n\nDone.\n\n> Tokens: 5 sent.  \n\n#### thanks  \n");
        assert_eq!(briefs(&text), ["session.started", "? go", "< Done.", "> thanks"]);
        assert_eq!(briefs("#### lost  \n"), Vec::<String>::new());
    }
}
