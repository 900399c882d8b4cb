//! Which agents are followed, and what came of it.

use std::sync::atomic::Ordering;

use clone_schema::api::IngestReply;
use clone_schema::event::Event;
use clone_schema::internal::Payload;
use clone_schema::{Fault, fault};
use serde_json::{Value, json};

use super::{Engine, ok};
use crate::serve::Reply;
use crate::sources::{Counts, Format, github};

/// The setting that names the followed agents, separated by commas.
const FOLLOW: &str = "follow";

impl Engine {
    /// The agents that are followed: what was switched last, else what the file says; nobody by default.
    ///
    /// # Errors
    ///
    /// What was switched is not known now: it is being loaded, or derived anew. Nobody is to be followed, or left, on a
    /// guess.
    pub fn followed(&self) -> Result<Vec<Format>, Fault> {
        let switched = self.read()?.settings.get(FOLLOW).cloned();
        let names = switched.unwrap_or_else(|| self.config.follow.agents.join(","));
        Ok(Format::FOLLOWED.into_iter().filter(|format| names.split(',').any(|name| name == format.name())).collect())
    }

    /// Projects that are passed over, by a part of their path.
    #[must_use]
    pub fn excluded(&self) -> Vec<String> {
        self.config.import.exclude.clone()
    }

    /// Records what a followed transcript holds; what was recorded is on disk before this returns.
    ///
    /// # Errors
    ///
    /// The log takes nothing now; nothing of the batch was recorded.
    pub fn record_followed(&self, events: Vec<Event>) -> Result<IngestReply, Fault> {
        let mut answer = IngestReply::default();
        self.record_events(events, &mut answer)?;
        Ok(answer)
    }

    /// Marks that a followed folder was caught up with, so that its old sessions become episodes at once.
    pub fn caught_up(&self, format: Format, recorded: u64, known: u64, counts: &Counts) {
        let (format, skipped) = (format.name().to_owned(), counts.skipped.clone());
        let mark = Payload::ImportMarked { format, imported: recorded, duplicates: known, skipped };
        if let Err(error) = self.note(mark) {
            tracing::warn!(%error, "the end of a first look at a followed folder was not marked");
        }
    }

    /// What following says of itself, for `status`.
    pub fn tell_following(&self, report: Value) {
        if let Ok(mut following) = self.following.lock() {
            *following = report;
        }
    }

    pub(super) fn following(&self) -> Value {
        self.following.lock().map_or(Value::Null, |report| report.clone())
    }

    pub(super) fn following_get(&self) -> Result<Reply, Fault> {
        let agents: Vec<&str> = self.followed()?.into_iter().map(Format::name).collect();
        ok(&json!({"agents": agents, "following": self.following()}))
    }

    /// `followed` or `connected`, where what comes from a source later is recorded by itself.
    pub(super) fn goes_on(&self, source: &str) -> Result<Option<&'static str>, Fault> {
        if self.followed()?.iter().any(|format| format.name() == source) {
            return Ok(Some("followed"));
        }
        let connected = source == github::NAME && self.github_told()["connected"] == true;
        Ok(connected.then_some("connected"))
    }

    /// Ends that for a source that is wiped.
    pub(super) fn end(&self, source: &str, going: Option<&str>) -> Result<(), Fault> {
        match going {
            None => {}
            Some("connected") => _ = self.github_end()?,
            Some(_) => {
                let others = self.followed()?.into_iter().map(Format::name).filter(|name| *name != source);
                self.follow(&others.collect::<Vec<_>>())?;
            }
        }
        if Format::FOLLOWED.iter().any(|format| format.name() == source) {
            self.wipes.fetch_add(1, Ordering::Release);
        }
        Ok(())
    }

    /// How often an agent that can be followed was wiped: whoever follows one again after that reads it from its beginning.
    #[must_use]
    pub fn wipes(&self) -> u64 {
        self.wipes.load(Ordering::Acquire)
    }

    fn follow(&self, names: &[&str]) -> Result<(), Fault> {
        self.note(Payload::ConfigChanged { key: FOLLOW.to_owned(), value: names.join(",") })?;
        self.settle().map(drop)
    }

    /// Switches following: the whole list, so that nothing is switched on that nobody named.
    pub(super) fn following_set(&self, body: &Value) -> Result<Reply, Fault> {
        let wrong = || {
            let names = Format::FOLLOWED.map(Format::name).join(", ");
            Fault::new(fault::Kind::Invalid, format!("'agents' must be a list of {names}"))
        };
        let mut names: Vec<&str> = Vec::new();
        for agent in body["agents"].as_array().ok_or_else(wrong)? {
            let name = agent.as_str().ok_or_else(wrong)?;
            names.push(Format::FOLLOWED.into_iter().map(Format::name).find(|known| *known == name).ok_or_else(wrong)?);
        }
        self.follow(&names)?;
        self.following_get()
    }
}
