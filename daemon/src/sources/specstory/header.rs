//! The lines by which an export says who speaks, in which session, and when.
//!
//! Pure. Several generations of the exporter are read: `_**User**_`, `_**User (2025-10-04 03:06Z)**_`,
//! `_**Agent (copilot/claude-sonnet-4.5)**_`, `_**Agent (gpt-5 2026-08-03 21:15:04Z)**_`, `**User** (2025-10-04 03:06Z)`.

use std::path::Path;

use clone_schema::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Which side speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    User,
    Agent,
}

/// The first line of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) role: Role,
    /// The agent, where the model's name gives it away.
    pub(super) agent: Option<String>,
    pub(super) at: Option<Timestamp>,
    pub(super) sidechain: bool,
}

/// The session's line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) agent: String,
    pub(super) id: String,
    pub(super) at: Option<Timestamp>,
}

/// Reads a whole line as the first of a message.
pub(super) fn message(line: &str) -> Option<Header> {
    let inner = match line.strip_prefix("_**") {
        Some(rest) => rest.strip_suffix("**_")?.to_owned(),
        None => {
            let (role, rest) = line.strip_prefix("**")?.split_once("**")?;
            format!("{role}{rest}")
        }
    };
    let (said, detail) = match inner.split_once('(') {
        Some((said, detail)) => (said.trim(), detail.trim_end().strip_suffix(')')?),
        None => (inner.trim(), ""),
    };
    let (role, sidechain) = match said.split_once(" - ") {
        Some((role, "sidechain")) => (role, true),
        Some(_) => return None,
        None => (said, false),
    };
    let role = match role {
        "User" | "Human" => Role::User,
        "Agent" | "Assistant" => Role::Agent,
        _ => return None,
    };
    let agent = detail.contains("copilot/").then(|| "Copilot".to_owned());
    Some(Header { role, agent, at: time_in(detail), sidechain })
}

/// Reads a line like `<!-- Codex CLI Session 019f… (2026-08-03 21:15:02Z) -->`.
pub(super) fn session(line: &str) -> Option<Session> {
    let inner = line.strip_prefix("<!--")?.strip_suffix("-->")?.trim();
    let (name, rest) = inner.split_once(" Session ")?;
    let id = rest.split_whitespace().next()?.to_owned();
    Some(Session { agent: agent(name), id, at: time_in(rest) })
}

/// The agent as people call it.
fn agent(name: &str) -> String {
    let lower = name.to_lowercase();
    let known = [
        ("copilot", "Copilot"),
        ("vscode", "Copilot"),
        ("cursor", "Cursor"),
        ("codex", "Codex CLI"),
        ("gemini", "Gemini CLI"),
        ("claude", "Claude Code"),
    ];
    let found = known.iter().find(|(part, _)| lower.contains(part));
    found.map_or(name.trim(), |(_, name)| name).to_owned()
}

/// The first instant in a line.
pub(super) fn time_in(line: &str) -> Option<Timestamp> {
    line.match_indices("20").find_map(|(at, _)| instant_at(&line[at..]))
}

/// The instant that a text begins with: `2025-10-04 03:06Z`, `2025-06-19 13:36:36`, `2026-08-18T06:55:56.123Z`.
///
/// Without a zone it is read as UTC.
pub(in crate::sources) fn instant_at(text: &str) -> Option<Timestamp> {
    let date = text.get(..10)?;
    let clock = text.get(10..)?.strip_prefix([' ', 'T'])?;
    let end = clock.find(|c: char| !c.is_ascii_digit() && !":.".contains(c)).unwrap_or(clock.len());
    let clock = clock[..end].trim_end_matches('.');
    let clock = if clock.len() == 5 { format!("{clock}:00") } else { clock.to_owned() };
    let civil: DateTime = format!("{date}T{clock}").parse().ok()?;
    Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// The instant in a file's name, `2025-06-19_13-36Z-title.md`.
pub(super) fn time_of_name(path: &Path) -> Option<Timestamp> {
    let name = path.file_name()?.to_str()?;
    let (date, rest) = (name.get(..10)?, name.get(10..)?.strip_prefix('_')?);
    let clock: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == '-').collect();
    instant_at(&format!("{date} {}", clock.trim_end_matches('-').replace('-', ":")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Option<Timestamp> {
        Some(text.parse().expect("a timestamp"))
    }

    #[test]
    fn message_lines_of_every_generation() {
        let minute = "2025-10-04T03:06:00Z";
        let table = [
            ("_**User**_", Role::User, None, None, false),
            ("_**User (2025-10-04 03:06Z)**_", Role::User, None, Some(minute), false),
            ("**User** (2025-10-04 03:06Z)", Role::User, None, Some(minute), false),
            ("**Human**", Role::User, None, None, false),
            ("_**Assistant**_", Role::Agent, None, None, false),
            ("_**Assistant (default)**_", Role::Agent, None, None, false),
            ("_**Agent (copilot/claude-sonnet-4.5)**_", Role::Agent, Some("Copilot"), None, false),
            ("_**Agent (model copilot/gpt-5)**_", Role::Agent, Some("Copilot"), None, false),
            ("_**Agent (gpt-5 2025-10-04 03:06:00Z)**_", Role::Agent, None, Some(minute), false),
            ("_**Agent - sidechain (2025-10-04 03:06Z)**_", Role::Agent, None, Some(minute), true),
        ];
        for (line, role, agent, time, sidechain) in table {
            let expected = Header { role, agent: agent.map(str::to_owned), at: time.and_then(at), sidechain };
            assert_eq!(message(line), Some(expected), "{line}");
        }
        for line in ["_**User", "**User** said so", "_**Note**_", "**User", "_**User - x**_", "_**User (a**_", ""] {
            assert_eq!(message(line), None, "{line}");
        }
    }

    #[test]
    fn session_lines_and_agents() {
        let table = [
            ("<!-- cursor Session a-1 (2025-10-04 03:08Z) -->", "Cursor"),
            ("<!-- Cursor IDE Session a-1 (2025-10-04 03:08:00Z) -->", "Cursor"),
            ("<!-- VS Code Copilot IDE Session a-1 (2025-10-04 03:08:00Z) -->", "Copilot"),
            ("<!-- vscode Session a-1 (2025-10-04 03:08Z) -->", "Copilot"),
            ("<!-- Codex CLI Session a-1 (2025-10-04 03:08Z) -->", "Codex CLI"),
            ("<!-- Gemini CLI Session a-1 (2025-10-04 03:08Z) -->", "Gemini CLI"),
            ("<!-- Claude Code Session a-1 (2025-10-04 03:08Z) -->", "Claude Code"),
            ("<!-- Other Session a-1 (2025-10-04 03:08Z) -->", "Other"),
        ];
        for (line, agent) in table {
            let expected = Session { agent: agent.into(), id: "a-1".into(), at: at("2025-10-04T03:08:00Z") };
            assert_eq!(session(line), Some(expected), "{line}");
        }
        assert_eq!(session("<!-- Generated by SpecStory -->"), None);
    }

    #[test]
    fn instants_in_text_and_names() {
        let table = [
            ("# Title (2025-06-19 13:36:36)", Some("2025-06-19T13:36:36Z")),
            ("{\"timestamp\":\"2026-08-18T06:55:56.123Z\"}", Some("2026-08-18T06:55:56.123Z")),
            ("2025-13-01 10:00Z", None),
            ("20 of 2025", None),
            ("20é5-10-04 03:06Z", None),
        ];
        for (text, expected) in table {
            assert_eq!(time_in(text), expected.and_then(at), "{text}");
        }
        let name = |name: &str| time_of_name(Path::new(name));
        assert_eq!(name("a/2025-06-19_13-36Z-title.md"), at("2025-06-19T13:36:00Z"));
        assert_eq!(name("2025-06-19_13-36-05Z.md"), at("2025-06-19T13:36:05Z"));
        assert_eq!(name("notes.md"), None);
    }
}
