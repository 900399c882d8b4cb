//! What a person wants forgotten, held against one record at a time.

use std::collections::HashSet;

use clone_schema::api::{FORGOTTEN_CHARS, ForgetRequest};
use clone_schema::event::{Body, Event};
use clone_schema::internal::{FileText, Internal, Payload};
use clone_schema::{Timestamp, topic};
use serde_json::Value;

use super::retention::Due;
use crate::log::Record;

/// Words of an event that are fewer characters than this are anybody's: they name no one event.
pub const OWN_CHARS: usize = FORGOTTEN_CHARS;
/// The longest part of a line by which it is known again, in characters.
const PHRASE_CHARS: usize = 120;

/// A record, read.
pub enum Known {
    /// What happened.
    Event(Box<Event>),
    /// What the daemon noted.
    Internal(Box<Internal>),
}

impl Known {
    /// Reads a record; nothing for one of a later version.
    #[must_use]
    pub fn of(record: &Record) -> Option<Self> {
        if is_wire(record) {
            return Event::parse(&record.json).ok().map(|event| Self::Event(Box::new(event)));
        }
        Self::internal(record).map(|internal| Self::Internal(Box::new(internal)))
    }

    /// Reads a record of the daemon's own; nothing for any other, which is not read.
    #[must_use]
    pub fn internal(record: &Record) -> Option<Internal> {
        if is_wire(record) { None } else { serde_json::from_str(&record.json).ok() }
    }
}

fn is_wire(record: &Record) -> bool {
    topic::find(record.topic).is_some_and(|(_, topic)| topic.wire)
}

/// The criteria; all that are given must hold.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Only these events.
    pub ids: Option<HashSet<String>>,
    due: Option<Vec<Due>>,
    session: Option<String>,
    app: Option<String>,
    source: Option<String>,
    /// An event of that source, or a session or a project of it.
    item: Option<String>,
    project: Option<String>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    /// In small letters.
    text: Option<String>,
    /// The same in the case that it was asked for in.
    words: Option<String>,
}

impl Selection {
    /// What a request asks for, but its id; nothing where it asks for everything.
    #[must_use]
    pub fn of(request: &ForgetRequest) -> Option<Self> {
        let ForgetRequest { id, session_id, app, source, project, from, to, text, .. } = request;
        let text = text.as_deref().map(str::trim).filter(|text| !text.is_empty());
        let given = id.is_some() || session_id.is_some() || app.is_some() || source.is_some() || project.is_some();
        (given || from.is_some() || to.is_some() || text.is_some()).then(|| Self {
            session: session_id.clone(),
            app: app.as_deref().map(str::to_lowercase),
            source: source.clone(),
            project: project.clone(),
            from: *from,
            to: *to,
            text: text.map(str::to_lowercase),
            words: text.map(str::to_owned),
            ..Self::default()
        })
    }

    /// What the rules of retention keep no longer.
    #[must_use]
    pub fn due(due: Vec<Due>) -> Self {
        Self { due: Some(due), ..Self::default() }
    }

    /// Of these, only one item of their source.
    #[must_use]
    pub fn item(self, item: Option<&str>) -> Self {
        Self { item: item.map(str::to_owned), ..self }
    }

    /// The session or the project that was asked for, by the one of its events that is taken.
    #[must_use]
    pub fn kept_out(&self, event: &Event) -> Option<String> {
        let item = self.item.as_deref()?;
        let [session, project] = items(event);
        let asked = [session.filter(|_| is_session(event, item)), project.filter(|_| event.project() == Some(item))];
        asked.into_iter().flatten().next()
    }

    /// The words that were asked for.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.words.as_deref()
    }

    /// Whether words are all that was asked for.
    #[must_use]
    pub fn is_text_alone(&self) -> bool {
        let Self { ids, due, session, app, source, project, from, to, text, .. } = self;
        let whose = session.is_none() && app.is_none() && source.is_none() && project.is_none();
        text.is_some() && ids.is_none() && due.is_none() && whose && from.is_none() && to.is_none()
    }

    /// Whether a record goes because it was asked for. Files of the vault never are: they follow.
    #[must_use]
    pub fn takes(&self, record: &Record, known: &Known) -> bool {
        let whole = self.ids.as_ref().is_none_or(|ids| ids.contains(&record.id))
            && self.due.as_ref().is_none_or(|due| due.iter().any(|due| due.takes(record)))
            && self.from.is_none_or(|from| record.occurred_at >= from)
            && self.to.is_none_or(|to| record.occurred_at < to);
        whole && self.of_whom(known) && self.text.as_ref().is_none_or(|text| said(known).to_lowercase().contains(text))
    }

    /// By session, agent and project; what is no word of anybody's is never taken.
    fn of_whom(&self, known: &Known) -> bool {
        let is =
            |wanted: &Option<String>, found: Option<&str>| wanted.as_deref().is_none_or(|want| found == Some(want));
        match known {
            Known::Event(event) => {
                is(&self.session, Some(&event.session_id))
                    && self.app.as_ref().is_none_or(|app| apps(event).any(|one| one.to_lowercase() == *app))
                    && is(&self.source, Some(source(event)))
                    && self.item.as_deref().is_none_or(|item| is_item(event, item))
                    && self.project.as_ref().is_none_or(|project| is_below(event.project(), project))
            }
            // What the daemon noted came from nowhere else.
            Known::Internal(_) if self.source.is_some() => false,
            Known::Internal(internal) => match &internal.payload {
                Payload::MemoryNoted { session_id, .. } => {
                    self.app.is_none() && self.project.is_none() && is(&self.session, session_id.as_deref())
                }
                Payload::PredictionMade { prediction } => {
                    let agent = prediction.agent.to_lowercase();
                    self.project.is_none()
                        && is(&self.session, prediction.session_id.as_deref())
                        && is(&self.app, Some(&agent))
                }
                _ => false,
            },
        }
    }
}

fn apps(event: &Event) -> impl Iterator<Item = &str> {
    let app = match &event.body {
        Body::AppFocused { app, .. } => Some(app.as_str()),
        _ => None,
    };
    [event.agent(), event.source_detail.as_deref(), app].into_iter().flatten()
}

/// Where an event came from, as the list of sources names it.
#[must_use]
pub fn source(event: &Event) -> &str {
    event.source_detail.as_deref().unwrap_or(event.source.name())
}

/// The session and the project of an event, as a tombstone remembers them.
#[must_use]
pub fn items(event: &Event) -> [Option<String>; 2] {
    let source = source(event);
    let project = event.project().map(|project| format!("project\n{source}\n{project}"));
    [Some(format!("session\n{source}\n{}", event.session_id)), project]
}

fn is_item(event: &Event, item: &str) -> bool {
    event.id == item || is_session(event, item) || event.project() == Some(item)
}

/// Whether it is of this session, told with or without the source before it.
fn is_session(event: &Event, item: &str) -> bool {
    let bare = event.session_id.strip_prefix(source(event)).and_then(|rest| rest.strip_prefix(':'));
    event.session_id == item || bare == Some(item)
}

/// Whether a project is this one, or a folder below it.
fn is_below(project: Option<&str>, wanted: &str) -> bool {
    let rest = project.and_then(|project| project.strip_prefix(wanted.trim_end_matches('/')));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Everything that a record says, each string on a line of its own.
#[must_use]
pub fn said(known: &Known) -> String {
    match known {
        Known::Event(event) => words(event).join("\n"),
        Known::Internal(internal) => noted(internal),
    }
}

/// Everything that the daemon noted, likewise.
#[must_use]
pub fn noted(internal: &Internal) -> String {
    let mut out = String::new();
    match &internal.payload {
        Payload::VaultWritten(file) | Payload::VaultEdited(file) => out.push_str(&text_of(file)),
        _ => strings(&serde_json::to_value(internal).unwrap_or_default(), &mut out),
    }
    out
}

/// The text of a file, whatever its bytes are.
#[must_use]
pub fn text_of(file: &FileText) -> String {
    let beside = [&file.derived, &file.conflict].into_iter().flatten().map(|text| format!("\n{text}"));
    format!(
        "{}\n{}{}",
        file.path,
        String::from_utf8_lossy(&file.bytes().unwrap_or_default()),
        beside.collect::<String>()
    )
}

fn strings(value: &Value, out: &mut String) {
    match value {
        Value::String(text) => {
            out.push_str(text);
            out.push('\n');
        }
        Value::Array(items) => items.iter().for_each(|item| strings(item, out)),
        Value::Object(fields) => fields.values().for_each(|item| strings(item, out)),
        _ => {}
    }
}

/// The words of an event.
#[must_use]
pub fn words(event: &Event) -> Vec<String> {
    let mut event = event.clone();
    event.texts_mut().into_iter().map(std::mem::take).collect()
}

/// The topic and the words of an event, as a tombstone remembers them; nothing where they are too few to be its own.
#[must_use]
pub fn own_text(event: &Event) -> Option<String> {
    let words: Vec<String> = words(event);
    let words: Vec<&str> = words.iter().flat_map(|text| text.split_whitespace()).collect();
    let text = words.join(" ").to_lowercase();
    (text.chars().count() >= OWN_CHARS).then(|| format!("{}\n{text}", event.topic()))
}

/// Lines by which these words are known again elsewhere, in their own case: files hold no other.
pub fn phrases(words: &str) -> impl Iterator<Item = String> + '_ {
    let lines = words.lines().map(str::trim).filter(|line| line.chars().count() >= OWN_CHARS);
    lines.map(|line| line.chars().take(PHRASE_CHARS).collect::<String>().trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use clone_schema::Position;
    use serde_json::json;

    use super::*;

    fn record(event: &Value) -> Record {
        let event = Event::parse(&event.to_string()).unwrap();
        Record {
            position: Position(7),
            topic: event.topic(),
            id: event.id.clone(),
            recorded_at: event.occurred_at,
            occurred_at: event.occurred_at,
            json: event.to_json(),
        }
    }

    fn prompt() -> Record {
        record(&json!({
            "id": "e1", "session_id": "s1", "occurred_at": "2026-01-02T00:00:00Z", "source": "agent",
            "source_detail": "claude-code", "type": "agent.prompt", "agent": "Claude Code",
            "prompt": "Never push on a “Friday”\nplease", "meta": {"origin": "typed", "cwd": "/home/me/shop/web"},
        }))
    }

    #[test]
    fn every_criterion_that_is_given_must_hold() {
        let cases = [
            (json!({"session_id": "s1"}), true),
            (json!({"session_id": "s"}), false),
            (json!({"app": "claude code"}), true),
            (json!({"app": "claude-code"}), true),
            (json!({"app": "claude"}), false),
            (json!({"source": "claude-code"}), true),
            (json!({"source": "Claude Code"}), false),
            (json!({"source": "agent"}), false),
            (json!({"project": "/home/me/shop"}), true),
            (json!({"project": "/home/me/shop/"}), true),
            (json!({"project": "/home/me/sho"}), false),
            (json!({"from": "2026-01-02T00:00:00Z"}), true),
            (json!({"to": "2026-01-02T00:00:00Z"}), false),
            (json!({"to": "2026-01-02T00:00:01Z"}), true),
            (json!({"text": "push on a “friday”"}), true),
            (json!({"text": "friday\" please"}), false),
            (json!({"text": "Friday", "session_id": "s2"}), false),
        ];
        let record = prompt();
        let known = Known::of(&record).unwrap();
        for (request, expected) in cases {
            let selection = Selection::of(&serde_json::from_value(request.clone()).unwrap()).unwrap();
            assert_eq!(selection.takes(&record, &known), expected, "{request}");
        }
        for nothing in [json!({}), json!({"text": "  "}), json!({"vault": true})] {
            assert!(Selection::of(&serde_json::from_value(nothing).unwrap()).is_none());
        }
    }

    #[test]
    fn a_text_is_its_own_only_where_it_is_long_and_spaces_do_not_matter() {
        let own = |text: &str| {
            let event = json!({
                "id": "e", "session_id": "s", "occurred_at": "2026-01-02T00:00:00Z", "source": "agent",
                "type": "agent.prompt", "agent": "A", "prompt": text,
            });
            own_text(&Event::parse(&event.to_string()).unwrap())
        };
        assert_eq!(own("yes, go on"), None);
        assert_eq!(own("Please  run the\nlinter first"), own(" please run the linter first"));
        assert_ne!(own("please run the linter first"), own("please run the linter last"));
        assert_eq!(
            phrases("short\n  Please run the linter first \n").collect::<Vec<_>>(),
            ["Please run the linter first"]
        );
    }
}
