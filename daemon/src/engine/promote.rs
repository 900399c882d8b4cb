//! What waits for the person, over the wire: list it, decide it.

use clone_schema::Fault;
use clone_schema::api::PromoteRequest;
use clone_schema::internal::Payload;
use clone_schema::memory::Fact;
use serde_json::{Value, json};

use super::{Engine, ok};
use crate::memory::gate::{self, gate_id};
use crate::memory::review::Choice;
use crate::serve::Reply;

impl Engine {
    pub(super) fn promote_list(&self) -> Result<Reply, Fault> {
        let view = self.read()?;
        ok(&view.waiting().into_iter().map(waiting).collect::<Vec<_>>())
    }

    /// Decides about a gate, or about the fact of this id, and waits until memory follows.
    pub(super) fn promote_decide(&self, id: &str, request: &PromoteRequest) -> Result<Reply, Fault> {
        let choice = Choice::from_name(&request.choice)
            .ok_or_else(|| Fault::invalid(format!("`choice` must be accept or reject, not `{}`", request.choice)))?;
        let gate = self.gate_of(id)?;
        self.note(Payload::GateDecided { gate: gate.clone(), choice: choice.name().to_owned() })?;
        self.settle()?;
        ok(&json!({"gate": gate, "choice": choice.name()}))
    }

    fn gate_of(&self, id: &str) -> Result<String, Fault> {
        let view = self.read()?;
        if view.stated.contains_key(id) {
            return Err(Fault::invalid(format!("`{id}` is your own note; edit its file instead")));
        }
        let named = view.facts.get(id).map(gate_id);
        let known = || view.facts.values().map(gate_id).find(|gate| gate == id);
        let decided = || view.decisions.contains_key(id).then(|| id.to_owned());
        named.or_else(known).or_else(decided).ok_or_else(|| Fault::not_found(format!("no fact or gate `{id}`")))
    }

    /// Episodes are told as sessions end; this waits until all that could be told is.
    pub(super) fn promote_episodes(&self) -> Result<Reply, Fault> {
        let position = self.settle()?;
        let view = self.read()?;
        ok(&json!({"derived_upto": position.0, "episodes": view.episodes.len()}))
    }

    /// Facts follow from every typed word at once; this waits until all that could be taken is.
    pub(super) fn promote_facts(&self) -> Result<Reply, Fault> {
        let position = self.settle()?;
        let view = self.read()?;
        ok(&json!({"derived_upto": position.0, "facts": view.facts.len(), "waiting": view.waiting().len()}))
    }
}

fn waiting(fact: &Fact) -> Value {
    let reason = gate::reason(fact).map_or_else(|| "candidate".to_owned(), gate::Reason::name);
    json!({"gate": gate_id(fact), "reason": reason, "fact": fact, "choices": ["accept", "reject"]})
}
