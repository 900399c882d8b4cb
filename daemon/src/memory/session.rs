//! Sessions, and the open stretches that become episodes once they are closed.
//!
//! A stretch ends only when a `session.closed` event is folded: [`Sessions::close_due`] proposes, the log decides. A gap
//! inside a session is a boundary too, so that an import in one go gives the same stretches as a life lived slowly. So is the
//! place where it [turns to something else](super::shift).

use std::collections::BTreeMap;

use clone_schema::memory::Session;
use clone_schema::text::last_chars;
use clone_schema::time::seconds_between;
use clone_schema::{Body, Event, Position, Timestamp};

use super::shift::Turns;

/// A stretch is over when nothing happened for this long, in seconds.
pub const IDLE_SECONDS: i64 = 30 * 60;
/// The most events of one open stretch that are kept.
pub const MAX_EVENTS: usize = 5_000;
/// The most characters of one text in an open stretch: half from its start, half from its end.
pub const MAX_TEXT: usize = 4_000;

/// An event and its place in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Its place.
    pub position: Position,
    /// The event; long texts are cut in the middle.
    pub event: Event,
}

/// The events of a session between two closings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Which session.
    pub session_id: String,
    /// Its events in log order, without input and frames.
    pub events: Vec<Told>,
}

/// A stretch that is over and waits for its `session.closed` event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closing {
    /// Which session.
    pub session_id: String,
    /// The last event that belongs to the stretch.
    pub upto: Position,
    /// `stopped`, `idle`, `topic`, `project` or `agent` where something else began, or `full` where [`MAX_EVENTS`] was reached.
    pub reason: &'static str,
}

/// Every session, and what is open in each.
#[derive(Clone, Debug, Default)]
pub struct Sessions {
    rows: BTreeMap<String, Session>,
    open: BTreeMap<String, Open>,
}

#[derive(Clone, Debug)]
struct Open {
    events: Vec<Told>,
    first: Position,
    last: Position,
    last_at: Timestamp,
    boundaries: Vec<(Position, &'static str)>,
    /// Events kept since the last boundary.
    kept: usize,
    turns: Turns,
}

impl Sessions {
    /// Takes one event in.
    pub fn fold(&mut self, position: Position, event: &Event) {
        self.row_of(event);
        self.stretch_of(position, event).fold(position, event);
    }

    fn stretch_of(&mut self, position: Position, event: &Event) -> &mut Open {
        self.open.entry(event.session_id.clone()).or_insert_with(|| Open {
            events: Vec::new(),
            first: position,
            last: position,
            last_at: event.occurred_at,
            boundaries: Vec::new(),
            kept: 0,
            turns: Turns::default(),
        })
    }

    fn row_of(&mut self, event: &Event) {
        let row = self.rows.entry(event.session_id.clone()).or_insert_with(|| Session {
            id: event.session_id.clone(),
            started_at: event.occurred_at,
            ended_at: None,
            source: event.source.name().to_owned(),
            source_detail: event.source_detail.clone(),
            event_count: 0,
        });
        row.event_count += 1;
        match event.body {
            Body::SessionStarted => {
                row.started_at = event.occurred_at;
                row.source = event.source.name().to_owned();
                row.source_detail.clone_from(&event.source_detail);
            }
            Body::SessionStopped => row.ended_at = row.ended_at.max(Some(event.occurred_at)),
            _ => {}
        }
    }

    /// The stretches that are over at `now`, in order of session and position.
    #[must_use]
    pub fn close_due(&self, now: Timestamp) -> Vec<Closing> {
        let due = self.open.iter().flat_map(|(id, open)| {
            let idle = seconds_between(open.last_at, now) > IDLE_SECONDS;
            let stopped = open.boundaries.last().is_some_and(|(upto, _)| *upto == open.last);
            let end = (idle && !stopped).then_some((open.last, "idle"));
            open.boundaries
                .iter()
                .copied()
                .chain(end)
                .map(|(upto, reason)| (id.clone(), upto, reason))
                .collect::<Vec<_>>()
        });
        due.map(|(session_id, upto, reason)| Closing { session_id, upto, reason }).collect()
    }

    /// Takes a `session.closed` event in: what it closes, or nothing when that was closed before.
    pub fn closed(&mut self, session_id: &str, upto: Position) -> Option<Stretch> {
        let open = self.open.get_mut(session_id)?;
        let keep = open.events.iter().position(|told| told.position > upto).unwrap_or(open.events.len());
        let rest = open.events.split_off(keep);
        let events = std::mem::replace(&mut open.events, rest);
        open.boundaries.retain(|(boundary, _)| *boundary > upto);
        open.first = Position(upto.0.saturating_add(1));
        open.turns.forget(upto);
        if open.boundaries.is_empty() {
            open.kept = open.events.len();
        }
        if open.last <= upto {
            self.open.remove(session_id);
        }
        (!events.is_empty()).then(|| Stretch { session_id: session_id.to_owned(), events })
    }

    /// First position of the open stretch of a session.
    #[must_use]
    pub fn open_from(&self, id: &str) -> Option<Position> {
        self.open.get(id).map(|open| open.first)
    }

    /// Takes a row back that a restart kept.
    pub fn restore(&mut self, session: Session) {
        self.rows.insert(session.id.clone(), session);
    }

    /// Takes an event of an open stretch back, whose row was restored.
    pub fn reopen(&mut self, position: Position, event: &Event) {
        self.stretch_of(position, event).fold(position, event);
    }

    /// The row of a session.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Session> {
        self.rows.get(id)
    }

    /// Every row, by id.
    pub fn rows(&self) -> impl Iterator<Item = &Session> {
        self.rows.values()
    }
}

impl Open {
    /// Ends a stretch here; events go on to the next one.
    fn end(&mut self, upto: Position, reason: &'static str) {
        self.boundaries.push((upto, reason));
        self.kept = self.events.iter().rev().take_while(|told| told.position > upto).count();
        self.turns.forget(upto);
    }

    fn fold(&mut self, position: Position, event: &Event) {
        let quiet = seconds_between(self.last_at, event.occurred_at);
        if quiet > IDLE_SECONDS && self.boundaries.last().is_none_or(|(upto, _)| *upto < self.last) {
            self.end(self.last, "idle");
        }
        if let Some(part) = self.turns.fold(position, event, self.last, quiet) {
            self.end(part.upto, part.reason);
        }
        self.last = position;
        self.last_at = self.last_at.max(event.occurred_at);
        if is_told(&event.body) {
            let mut event = event.clone();
            event.texts_mut().into_iter().for_each(shorten);
            self.events.push(Told { position, event });
            self.kept += 1;
        }
        if matches!(event.body, Body::SessionStopped) {
            self.end(position, "stopped");
        } else if self.kept == MAX_EVENTS {
            self.end(position, "full");
        }
    }
}

/// Input and frames say nothing in words.
fn is_told(body: &Body) -> bool {
    !matches!(
        body,
        Body::InputKeystroke { .. } | Body::InputClick { .. } | Body::InputScroll { .. } | Body::CaptureFrame { .. }
    )
}

/// Cuts the middle out of a text over [`MAX_TEXT`] characters.
fn shorten(text: &mut String) {
    if text.len() <= MAX_TEXT || text.chars().count() <= MAX_TEXT {
        return;
    }
    let head: String = text.chars().take(MAX_TEXT / 2).collect();
    *text = format!("{head}\n…\n{}", last_chars(text, MAX_TEXT / 2));
}

#[cfg(test)]
pub(crate) mod tests {
    use clone_schema::{Meta, Origin, Source};
    use proptest::prelude::*;

    use super::super::shift::tests::turn;
    use super::*;

    pub(crate) fn event(id: &str, session: &str, second: i64, body: Body) -> Event {
        let occurred_at = Timestamp::from_second(second).expect("in range");
        let meta = matches!(body, Body::AgentPrompt { .. } | Body::AgentChoice(_))
            .then(|| Meta { origin: Some(Origin::Typed), ..Meta::default() });
        Event {
            id: id.into(),
            session_id: session.into(),
            occurred_at,
            source: Source::Agent,
            source_detail: None,
            meta,
            body,
        }
    }

    pub(crate) fn prompt(id: &str, session: &str, second: i64, text: &str) -> Event {
        event(id, session, second, Body::AgentPrompt { agent: "agent".into(), prompt: text.into() })
    }

    pub(crate) fn response(id: &str, session: &str, second: i64, text: &str) -> Event {
        let body = Body::AgentResponse { agent: "agent".into(), response: text.into(), in_response_to: None };
        event(id, session, second, body)
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    #[test]
    fn bookends() {
        let mut sessions = Sessions::default();
        sessions.fold(Position(0), &prompt("a", "s", 100, "x"));
        sessions.fold(Position(1), &event("b", "s", 90, Body::SessionStarted));
        sessions.fold(Position(2), &event("c", "s", 200, Body::SessionStopped));
        sessions.fold(Position(3), &event("d", "s", 150, Body::SessionStopped));
        let row = sessions.get("s").expect("a row");
        assert_eq!((row.started_at, row.ended_at, row.event_count), (at(90), Some(at(200)), 4));
    }

    #[test]
    fn stopped_at_once_idle_later() {
        let mut sessions = Sessions::default();
        sessions.fold(Position(0), &prompt("a", "s", 0, "x"));
        assert_eq!(sessions.close_due(at(IDLE_SECONDS)), []);
        let idle = Closing { session_id: "s".into(), upto: Position(0), reason: "idle" };
        assert_eq!(sessions.close_due(at(IDLE_SECONDS + 1)), [idle]);
        sessions.fold(Position(1), &event("b", "s", 5, Body::SessionStopped));
        let stopped = Closing { session_id: "s".into(), upto: Position(1), reason: "stopped" };
        assert_eq!(sessions.close_due(at(IDLE_SECONDS * 9)), [stopped]);
        assert_eq!(sessions.closed("s", Position(1)).map(|stretch| stretch.events.len()), Some(2));
        assert_eq!(sessions.closed("s", Position(1)), None);
        assert_eq!(sessions.close_due(at(IDLE_SECONDS * 9)), []);
    }

    #[test]
    fn a_gap_parts_stretches_however_they_were_batched() {
        let events = [prompt("a", "s", 0, "x"), prompt("b", "s", 10_000, "y"), prompt("c", "s", 20_000, "z")];
        let (mut batch, mut slow) = (Sessions::default(), Sessions::default());
        let mut told = Vec::new();
        for (position, event) in (0..).map(Position).zip(&events) {
            batch.fold(position, event);
            for closing in slow.close_due(event.occurred_at) {
                told.extend(slow.closed(&closing.session_id, closing.upto));
            }
            slow.fold(position, event);
        }
        let batched: Vec<_> =
            batch.close_due(at(20_001)).iter().filter_map(|closing| batch.closed("s", closing.upto)).collect();
        assert_eq!((batched.len(), &batched), (2, &told));
    }

    #[test]
    fn another_subject_parts_a_stretch_and_takes_its_turns_along() {
        let mut sessions = Sessions::default();
        for (n, subject) in (0..).zip("bbbccc".chars()) {
            let (asked, said) = turn(subject);
            sessions.fold(Position(2 * n), &prompt(&format!("p{n}"), "s", 0, &asked));
            sessions.fold(Position(2 * n + 1), &response(&format!("r{n}"), "s", 0, &said));
        }
        let topic = Closing { session_id: "s".into(), upto: Position(5), reason: "topic" };
        assert_eq!(sessions.close_due(at(0)), [topic]);
        let ids = |stretch: Stretch| stretch.events.into_iter().map(|told| told.event.id).collect::<Vec<_>>();
        assert_eq!(sessions.closed("s", Position(5)).map(ids).unwrap(), ["p0", "r0", "p1", "r1", "p2", "r2"]);
        assert_eq!(sessions.closed("s", Position(11)).map(ids).unwrap(), ["p3", "r3", "p4", "r4", "p5", "r5"]);
    }

    #[test]
    fn stretches_are_bounded() {
        let mut sessions = Sessions::default();
        for n in 0..=MAX_EVENTS as u64 {
            sessions.fold(Position(n), &prompt(&n.to_string(), "s", 0, "x"));
        }
        let due = sessions.close_due(at(0));
        assert_eq!((due.len(), due[0].reason, due[0].upto), (1, "full", Position(MAX_EVENTS as u64 - 1)));
        assert_eq!(sessions.closed("s", due[0].upto).map(|stretch| stretch.events.len()), Some(MAX_EVENTS));
        assert_eq!(sessions.closed("s", Position(u64::MAX)).map(|stretch| stretch.events.len()), Some(1));

        sessions.fold(Position(9_000), &prompt("long", "s", 0, &"é".repeat(MAX_TEXT + 1)));
        let stretch = sessions.closed("s", Position(9_000)).expect("open");
        let Body::AgentPrompt { prompt, .. } = &stretch.events[0].event.body else { panic!("a prompt") };
        assert_eq!(prompt.chars().count(), MAX_TEXT + 3);
    }

    proptest! {
        /// However often closings are asked for on the way, the same events end up in the same stretches.
        #[test]
        fn stretches_do_not_depend_on_batches(
            steps in prop::collection::vec((0_i64..4_000, 0_u8..3, any::<bool>(), any::<bool>()), 1..40),
        ) {
            let steps = steps.into_iter().map(|(wait, session, stop, ask)| (wait, session, if stop { ' ' } else { 'b' }, ask));
            same_stretches(steps.collect());
        }

        /// Nor where sessions turn from one subject to another.
        #[test]
        fn subjects_do_not_depend_on_batches(
            steps in prop::collection::vec((prop_oneof![30_i64..60, 700_i64..2_000], 0_u8..2, "[bbbcccd ]", any::<bool>()), 1..60),
        ) {
            let subject = |subject: String| subject.chars().next().unwrap_or_default();
            same_stretches(steps.into_iter().map(|(wait, session, text, ask)| (wait, session, subject(text), ask)).collect());
        }
    }

    /// Turns of sessions: how long after the last one, of which session, about what, and whether closings are asked for first; a
    /// turn about nothing is an end.
    fn same_stretches(steps: Vec<(i64, u8, char, bool)>) {
        let (mut once, mut often) = (Sessions::default(), Sessions::default());
        let (mut a, mut b) = (Vec::new(), Vec::new());
        let (mut now, mut place) = (0, 0);
        for (wait, session, subject, ask) in steps {
            now += wait;
            if ask {
                drain(&mut often, at(now), &mut b);
            }
            let (asked, said) = turn(subject);
            let session = session.to_string();
            let events = if subject == ' ' {
                vec![event(&place.to_string(), &session, now, Body::SessionStopped)]
            } else {
                let (ask, answer) = (place.to_string(), format!("{place} answered"));
                vec![prompt(&ask, &session, now, &asked), response(&answer, &session, now + 20, &said)]
            };
            for event in events {
                once.fold(Position(place), &event);
                often.fold(Position(place), &event);
                place += 1;
            }
        }
        drain(&mut once, Timestamp::MAX, &mut a);
        drain(&mut often, Timestamp::MAX, &mut b);
        a.sort();
        b.sort();
        assert_eq!(a, b);
    }

    fn drain(sessions: &mut Sessions, now: Timestamp, into: &mut Vec<Vec<u64>>) {
        for closing in sessions.close_due(now) {
            let stretch = sessions.closed(&closing.session_id, closing.upto).expect("due only when open");
            into.push(stretch.events.iter().map(|told| told.position.0).collect());
        }
    }
}
