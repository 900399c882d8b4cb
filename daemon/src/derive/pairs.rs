//! Reply pairs: what the agent said last, and what the person then typed.

use clone_schema::event::{Body, Event, Meta, Origin, Source};
use clone_schema::text::{head, tail};
use clone_schema::{Position, Timestamp};
use serde::{Deserialize, Serialize};

use crate::log::Log;
use crate::memory::session::Told;
use crate::predict::{self, Label, Predictor, Query};

pub use crate::predict::Pair;

/// Runs of positions that a session remembers before neighbours are merged.
const RUNS_MAX: usize = 512;
/// The end of an agent's text that a pair keeps, in bytes; questions stand at the end.
const SAID_BYTES_MAX: usize = 6_000;
/// The beginning of a reply that a pair keeps, in bytes.
const REPLY_BYTES_MAX: usize = 4_000;

/// Where the events of a session are, and what its agent said last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thread {
    /// First and last position of every run of its events; after merging, a run may hold events of others.
    pub runs: Vec<(u64, u64)>,
    /// When its newest event arrived.
    pub last_recorded: Timestamp,
    /// The project that its events name last.
    #[serde(default)]
    pub project: Option<String>,
    said: Option<Position>,
}

impl Thread {
    /// Takes one more event.
    pub fn extend(&mut self, position: Position, recorded_at: Timestamp) {
        self.last_recorded = recorded_at;
        match self.runs.last_mut() {
            Some((_, last)) if *last + 1 == position.0 => *last = position.0,
            _ => self.runs.push((position.0, position.0)),
        }
        if self.runs.len() > RUNS_MAX {
            let merged = self.runs.chunks(2).map(|pair| (pair[0].0, pair[pair.len() - 1].1));
            self.runs = merged.collect();
        }
    }

    /// The agent said something: the newest block is what a reply answers.
    pub fn agent_said(&mut self, position: Position) {
        self.said = Some(position);
    }

    /// Takes what the agent said since the last prompt, if it said anything.
    pub fn take_said(&mut self) -> Option<Position> {
        self.said.take()
    }

    /// What the agent said since the last prompt, if it said anything.
    #[must_use]
    pub fn said(&self) -> Option<Position> {
        self.said
    }
}

/// What an agent said.
pub struct Said {
    /// The event that holds it.
    pub id: String,
    /// Its end.
    pub text: String,
}

/// Reads back what an agent said.
#[must_use]
pub fn said(log: &Log, position: Position) -> Option<Said> {
    let record = log.read(position).ok()??;
    match Event::parse(&record.json).ok()?.body {
        Body::AgentResponse { response, .. } => {
            Some(Said { id: record.id, text: tail(&response, SAID_BYTES_MAX).to_owned() })
        }
        _ => None,
    }
}

/// The pair of a typed prompt; nothing for an empty one.
#[must_use]
pub fn pair(event: &Event, said: Option<Said>) -> Option<Pair> {
    let Body::AgentPrompt { agent, prompt } = &event.body else { return None };
    if prompt.trim().is_empty() {
        return None;
    }
    let (prompt_id, agent_text) = said.map_or((None, String::new()), |said| (Some(said.id), said.text));
    Some(Pair {
        reply_id: event.id.clone(),
        prompt_id,
        session_id: event.session_id.clone(),
        agent: agent.clone(),
        project: event.project().map(str::to_owned),
        at: event.occurred_at,
        agent_text,
        reply: head(prompt, REPLY_BYTES_MAX).to_owned(),
    })
}

/// A pair as memory takes it: the typed prompt alone.
#[must_use]
pub fn told(position: Position, pair: &Pair) -> Told {
    let meta = Meta { origin: Some(Origin::Typed), project: pair.project.clone(), ..Meta::default() };
    let event = Event {
        id: pair.reply_id.clone(),
        session_id: pair.session_id.clone(),
        occurred_at: pair.at,
        source: Source::Agent,
        source_detail: None,
        meta: Some(meta),
        body: Body::AgentPrompt { agent: pair.agent.clone(), prompt: pair.reply.clone() },
    };
    Told { position, event }
}

/// How a prediction made just before would have fared; nothing where the agent had said nothing.
#[must_use]
pub fn label(predictor: &Predictor, pair: &Pair) -> Option<Label> {
    if pair.agent_text.trim().is_empty() {
        return None;
    }
    let query = Query {
        agent: &pair.agent,
        agent_input: &pair.agent_text,
        session_id: Some(&pair.session_id),
        project: pair.project.as_deref(),
        k: 1,
        at: pair.at,
    };
    let predict::Forecast { response, raw, kind, stood } = predictor.forecast(&query)?;
    Some(Label { raw, kind, hit: predict::hit(&response, &pair.reply), weight: 1.0, stood })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_join_neighbours_and_stay_bounded() {
        let mut thread = Thread::default();
        for position in [1, 2, 3, 7, 8, 20] {
            thread.extend(Position(position), Timestamp::UNIX_EPOCH);
        }
        assert_eq!(thread.runs, [(1, 3), (7, 8), (20, 20)]);
        for i in 0..10_000 {
            thread.extend(Position(100 + i * 2), Timestamp::UNIX_EPOCH);
        }
        assert!(thread.runs.len() <= RUNS_MAX);
        assert_eq!(thread.runs[0].0, 1);
        assert_eq!(thread.runs.last().unwrap().1, 100 + 9_999 * 2);
    }
}
