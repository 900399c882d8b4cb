//! Receipts: from a prediction, a fact or an episode down to the bytes of the log.

use clone_schema::event::{Event, Origin};
use clone_schema::memory::{Episode, Evidence};
use clone_schema::{Fault, Position};
use serde_json::{Value, json};

use super::{Engine, ok};
use crate::derive::view::View;
use crate::memory::raw;
use crate::serve::Reply;

/// The most events that one receipt shows.
const EVENTS_SHOWN: usize = 50;

impl Engine {
    pub(super) fn why(&self, id: &str) -> Result<Reply, Fault> {
        match id.get(..4) {
            Some("fct_") => self.why_fact(id),
            Some("epi_") => self.why_episode(id),
            _ => self.why_prediction(id).map_err(|fault| {
                fault.hint("ids are those of `clone predict`, or `fct_…` and `epi_…` of `clone memory list`")
            }),
        }
    }

    fn why_prediction(&self, id: &str) -> Result<Reply, Fault> {
        let prediction = self.prediction_of(id)?;
        let view = self.read()?;
        let cited = prediction.candidates.first().map_or(&[][..], |first| first.evidence.as_slice());
        let evidence: Vec<Evidence> =
            cited.iter().map(|one| Evidence { id: one.id.clone(), origin: one.origin }).collect();
        let facts = prediction.facts.iter().filter_map(|id| view.facts.get(id));
        let facts: Vec<Value> =
            facts.map(|fact| json!({"id": fact.id, "text": fact.text, "support": fact.support})).collect();
        let episodes = prediction.episodes.iter().filter_map(|id| view.episodes.get(id)).map(episode_line);
        let body = json!({
            "what": "prediction",
            "id": prediction.id,
            "text": prediction.predicted_response,
            "created_at": prediction.created_at,
            "status": prediction.status,
            "gate": prediction.gate,
            "confidence": prediction.confidence,
            "probability": prediction.probability,
            "threshold": prediction.threshold,
            "weight": prediction.evidence,
            "reasons": [prediction.reasoning],
            "facts": facts,
            "episodes": episodes.collect::<Vec<_>>(),
            "events": self.receipts(&evidence),
        });
        ok(&body)
    }

    fn why_fact(&self, id: &str) -> Result<Reply, Fault> {
        let view = self.read()?;
        let fact = view.facts.get(id).ok_or_else(|| Fault::not_found(format!("no fact `{id}`")))?;
        let plural = if fact.sessions == 1 { "session" } else { "sessions" };
        let reason = format!("seen {} of {} times in {} {plural}", fact.support, fact.opportunities, fact.sessions);
        ok(&json!({
            "what": "fact",
            "id": fact.id,
            "text": fact.text,
            "reasons": [reason, format!("{}, {}", fact.tier.name(), fact.provenance.name())],
            "facts": [],
            "episodes": holders(&view, &fact.evidence),
            "events": self.receipts(&fact.evidence),
        }))
    }

    fn why_episode(&self, id: &str) -> Result<Reply, Fault> {
        let view = self.read()?;
        let episode = view.episodes.get(id).ok_or_else(|| Fault::not_found(format!("no episode `{id}`")))?;
        let cites = |evidence: &[Evidence]| evidence.iter().any(|one| episode.evidence.iter().any(|e| e.id == one.id));
        let facts = view.facts.values().filter(|fact| cites(&fact.evidence));
        let facts: Vec<Value> = facts.map(|fact| json!({"id": fact.id, "text": fact.text})).collect();
        ok(&json!({
            "what": "episode",
            "id": episode.id,
            "text": episode.title,
            "reasons": [format!("{} to {}", episode.started_at, episode.ended_at)],
            "facts": facts,
            "episodes": [],
            "events": self.receipts(&episode.evidence),
        }))
    }

    /// Each event with its words and its place in the log; an event that is gone says so by having no place.
    fn receipts(&self, evidence: &[Evidence]) -> Vec<Value> {
        evidence.iter().take(EVENTS_SHOWN).map(|one| self.receipt(&one.id, one.origin)).collect()
    }

    fn receipt(&self, id: &str, origin: Origin) -> Value {
        let Some(position) = self.log.position(id) else {
            return json!({"id": id, "origin": origin, "at": null});
        };
        let record = self.log.read(position).ok().flatten();
        let text =
            record.as_ref().and_then(|record| Event::parse(&record.json).ok()).map(|event| raw::sentence(&event));
        json!({
            "id": id,
            "origin": origin,
            "occurred_at": record.map(|record| record.occurred_at),
            "text": text,
            "at": self.place(position),
        })
    }

    fn place(&self, position: Position) -> Option<Value> {
        let place = self.log.locate(position)?;
        Some(json!({
            "segment": place.segment, "offset": place.offset, "index": place.index, "time": place.time,
            "position": position.0,
        }))
    }
}

fn episode_line(episode: &Episode) -> Value {
    json!({"id": episode.id, "title": episode.title, "started_at": episode.started_at})
}

/// The episodes that hold any of this evidence.
fn holders(view: &View, evidence: &[Evidence]) -> Vec<Value> {
    let holds = |episode: &&Episode| episode.evidence.iter().any(|known| evidence.iter().any(|one| one.id == known.id));
    view.episodes.values().filter(holds).take(EVENTS_SHOWN).map(episode_line).collect()
}
