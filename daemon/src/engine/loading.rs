//! What a start has not loaded yet: who waits for it, and what is said meanwhile.

use std::sync::{Arc, RwLock};

use clone_schema::api::Operation;
use clone_schema::{Fault, fault};
use serde_json::{Value, json};

use super::Engine;
use crate::derive::view::View;
use crate::index::Index;

/// Operations that the log alone answers, from the moment the door is open; all others wait until everything derived is
/// loaded, because an answer from a part of it would be wrong.
const GROUND: &[&str] = &[
    "health",
    "status",
    "monitoring",
    "mcp_health",
    "me",
    "events_ingest",
    "events_get",
    "events_list",
    "events_stream",
    "raw_add",
    "raw_get",
    "raw_list",
    "import_batch",
    "predictions_backtest",
];

/// What everything but the log answers from.
pub(super) struct Derived {
    pub(super) index: Arc<Index>,
    pub(super) view: Arc<RwLock<View>>,
}

impl Engine {
    /// Takes what is derived, once it is loaded; from here on every operation answers.
    pub fn loaded(&self, index: Arc<Index>, view: Arc<RwLock<View>>) {
        let _second = self.derived.set(Derived { index, view });
    }

    /// Whether this operation needs what is derived.
    #[must_use]
    pub fn waits_for_derived(operation: &Operation) -> bool {
        !GROUND.contains(&operation.name)
    }

    /// What is derived.
    pub(super) fn derived(&self) -> Result<&Derived, Fault> {
        self.derived.get().ok_or_else(|| {
            let (step, position) = self.progress.now();
            let head = self.log.head();
            let message = format!("still loading what was derived ({step}, position {position} of {head}); try again");
            Fault::new(fault::Kind::Unavailable, message)
                .hint("events are recorded meanwhile; `clone status` shows how far it is")
        })
    }

    /// How far loading is, for `status`; null once everything is loaded.
    pub(super) fn loading(&self) -> Value {
        let (step, position) = self.progress.now();
        if self.derived.get().is_some() {
            return Value::Null;
        }
        json!({"step": step, "position": position, "of": self.log.head().0})
    }
}
