//! Whether anything may be automatic: the global switch, and what the person muted.

use clone_schema::Fault;
use clone_schema::internal::Payload;
use clone_schema::prediction::{Gate, Mute, Policy};
use serde_json::{Value, json};

use super::{Engine, ok, stats};
use crate::clock;
use crate::derive::view::{Mark, View};
use crate::predict::{Mode, Query, mute};
use crate::serve::Reply;

/// The setting that holds `on`, `off` or nothing.
pub const AUTO: &str = "auto";
/// The setting that holds what is muted beside the file of settings, as JSON.
const MUTE: &str = "mute";
/// Muted agents, projects and hours, at most.
const MUTED_MAX: usize = 100;
/// The longest name of one, in bytes.
const MUTED_BYTES_MAX: usize = 500;

impl Engine {
    /// How predictions are decided now; a new home runs in shadow mode until the person switches `auto` on.
    pub(super) fn mode(&self, view: &View, query: &Query<'_>, policy: Option<Policy>) -> Mode {
        let held = match auto_setting(view) {
            "on" => self.is_muted(view, query).then_some(Gate::Mute),
            "off" => Some(Gate::Off),
            _ => Some(Gate::Shadow),
        };
        Mode { strict: policy.unwrap_or(self.config.predict.policy) == Policy::Strict, held }
    }

    fn is_muted(&self, view: &View, query: &Query<'_>) -> bool {
        let minute = clock::minute_of_day(query.at);
        let holds = |muted: &Mute| mute::holds(muted, query.agent, query.project, minute);
        holds(&self.config.mute) || holds(&muted(view))
    }

    pub(super) fn auto_get(&self) -> Result<Reply, Fault> {
        let view = self.read()?;
        let auto = auto_setting(&view);
        let marks: Vec<&Mark> = view.predictions.values().collect();
        ok(&json!({"auto": auto, "meaning": auto_meaning(auto), "shadow": stats::shadow(&marks)}))
    }

    pub(super) fn auto_set(&self, body: &Value) -> Result<Reply, Fault> {
        let value = match body["auto"].as_str() {
            Some(value @ ("on" | "off")) => value.to_owned(),
            _ => return Err(Fault::invalid("'auto' must be 'on' or 'off'")),
        };
        self.note(Payload::ConfigChanged { key: AUTO.to_owned(), value })?;
        self.settle()?;
        self.auto_get()
    }

    /// What is muted by the person's word, and apart from it what the file of settings mutes.
    pub(super) fn mute_get(&self) -> Result<Reply, Fault> {
        let Mute { agents, projects, hours } = muted(&*self.read()?);
        ok(&json!({"agents": agents, "projects": projects, "hours": hours, "by_config": self.config.mute}))
    }

    /// Takes the whole of what is to be muted, in the place of what was.
    pub(super) fn mute_set(&self, mute: &Mute) -> Result<Reply, Fault> {
        let names = mute.agents.iter().chain(&mute.projects);
        if names.clone().count() + mute.hours.len() > MUTED_MAX {
            return Err(Fault::invalid(format!("at most {MUTED_MAX} agents, projects and hours can be muted")));
        }
        if names.clone().any(|name| name.trim().is_empty() || name.len() > MUTED_BYTES_MAX) {
            return Err(Fault::invalid(format!("a muted name has 1 to {MUTED_BYTES_MAX} bytes")));
        }
        let value = serde_json::to_string(mute).map_err(Fault::internal)?;
        self.note(Payload::ConfigChanged { key: MUTE.to_owned(), value })?;
        self.settle()?;
        self.mute_get()
    }
}

fn muted(view: &View) -> Mute {
    view.settings.get(MUTE).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// `on`, `off` or `shadow`.
pub(super) fn auto_setting(view: &View) -> &str {
    view.settings.get(AUTO).map_or("shadow", String::as_str)
}

fn auto_meaning(auto: &str) -> &'static str {
    match auto {
        "on" => "clients may act on answers that reach their threshold",
        "off" => "nothing is ever auto, until `clone auto on`",
        _ => "a new home only shows what it would have said; `clone auto on` lets clients act on sure answers",
    }
}
