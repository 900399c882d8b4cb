//! The reply pairs of the log itself, oldest first, without anything derived.
//!
//! What a backtest replays: the same pairs that the fold learned, found the same way, by a reader that holds no lock.

use std::collections::{BTreeMap, VecDeque};

use clone_schema::event::{Body, Event, Origin};
use clone_schema::internal::{Internal, Payload};
use clone_schema::{Position, Timestamp};

use super::judging::{Heard, Judgements, Prompted, Waiting};
use super::pairs::{self, Pair};
use crate::log::{Log, LogError, Record};
use crate::predict::{Chosen, Predictor};

/// Events read at once.
const STRIDE: usize = 512;
/// The topics that make a pair, end what one was about to answer, or tell that it was an answer of ours.
const TELLING: [&str; 5] = ["agent.prompt", "agent.response", "agent.choice", "prediction.made", "session.closed"];
/// The topics that add a pair or take one away.
const CHANGING: [&str; 2] = ["agent.prompt", "event.forgotten"];

/// Where the newest pairs of the log are.
#[derive(Debug, Default)]
pub struct History {
    /// Where each prompt stands, and what the agent had said before it.
    places: VecDeque<(Position, Option<Position>)>,
    /// How many pairs there are in all, those included that are not kept.
    pub count: usize,
    /// The position that was read up to.
    pub upto: Position,
}

impl History {
    /// Finds the newest `most` pairs among the typed prompts whose time is wanted.
    ///
    /// # Errors
    ///
    /// The log cannot be read.
    pub fn read(log: &Log, most: usize, wanted: impl Fn(Timestamp) -> bool) -> Result<Self, LogError> {
        let (mut history, mut reader) = (Self::default(), Reader::default());
        let head = log.head();
        while history.upto < head {
            let records = log.scan(history.upto, STRIDE)?;
            let Some(last) = records.last() else { break };
            history.upto = last.position.next();
            for record in records.iter().filter(|record| TELLING.contains(&record.topic)) {
                if let Some(place) = reader.typed(record).filter(|_| wanted(record.occurred_at)) {
                    history.keep(place, most);
                }
            }
        }
        history.upto = history.upto.max(head);
        Ok(history)
    }

    fn keep(&mut self, place: (Position, Option<Position>), most: usize) {
        self.count += 1;
        self.places.push_back(place);
        if self.places.len() > most {
            self.places.pop_front();
        }
    }

    /// How many pairs are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The kept pairs, oldest first, each read when it is asked for; what can no longer be read is left out.
    pub fn pairs<'a>(&'a self, log: &'a Log) -> impl Iterator<Item = Pair> + 'a {
        self.places.iter().filter_map(|(prompt, said)| {
            let record = log.read(*prompt).ok()??;
            let event = Event::parse(&record.json).ok()?;
            pairs::pair(&event, said.and_then(|said| pairs::said(log, said)))
        })
    }
}

/// Whether nothing between two positions adds a pair or takes one away.
///
/// # Errors
///
/// The log cannot be read.
pub fn is_quiet(log: &Log, from: Position, until: Position) -> Result<bool, LogError> {
    let mut from = from;
    while from < until {
        let records = log.scan(from, STRIDE)?;
        let Some(last) = records.last() else { return Ok(true) };
        if records.iter().any(|record| CHANGING.contains(&record.topic)) {
            return Ok(false);
        }
        from = last.position.next();
    }
    Ok(true)
}

/// What the log has told so far, as far as it bears on the next prompt.
#[derive(Default)]
struct Reader {
    /// What the agent of a session said last.
    said: BTreeMap<String, Position>,
    /// Predictions that no prompt has judged yet.
    judgements: Judgements,
    /// Whoever only asks which words are ours needs to know nobody.
    nobody: Predictor,
}

impl Reader {
    /// A typed prompt with words that are not ours, and what its agent had said; everything else only moves what is known.
    fn typed(&mut self, record: &Record) -> Option<(Position, Option<Position>)> {
        if matches!(record.topic, "session.closed" | "prediction.made") {
            self.internal(record);
            return None;
        }
        let event = Event::parse(&record.json).ok()?;
        let is_typed = event.origin() == Origin::Typed;
        match &event.body {
            Body::AgentResponse { .. } => {
                self.said.insert(event.session_id, record.position);
                None
            }
            Body::AgentPrompt { prompt, .. } => {
                let before = self.said.remove(&event.session_id);
                let heard = Heard { text: prompt, typed: is_typed, said: None, dialog: None };
                let is_ours = self.judgements.heard(&event.session_id, heard) == Prompted::Ours;
                let counts = is_typed && !is_ours && !prompt.trim().is_empty();
                counts.then_some((record.position, before))
            }
            Body::AgentChoice(choice) if is_typed && Chosen::new(&event.id, choice, false).is_some() => {
                self.judgements.heard(&event.session_id, Heard::of(choice));
                None
            }
            _ => None,
        }
    }

    fn internal(&mut self, record: &Record) {
        match serde_json::from_str::<Internal>(&record.json).map(|internal| internal.payload) {
            // Whoever comes back to a session that was over answers nothing that was said before.
            Ok(Payload::SessionClosed { session_id, upto, .. })
                if self.said.get(&session_id).is_some_and(|said| said.0 <= upto) =>
            {
                self.said.remove(&session_id);
            }
            Ok(Payload::PredictionMade { prediction }) => {
                let waiting = Waiting::new(record.position, &prediction, &self.nobody);
                if let (Some(session), Some(waiting)) = (&prediction.session_id, waiting) {
                    self.judgements.made(session, waiting);
                }
            }
            _ => {}
        }
    }
}
