//! L0 for callers: ingest, one event, sessions and their events.

use std::collections::{BTreeMap, BTreeSet};

use clone_schema::Fault;
use clone_schema::api::{IngestReply, Invalid};
use clone_schema::event::Event;
use clone_schema::internal::Payload;
use clone_schema::topic::{self, Durability};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{Engine, Page, log_fault, ok, reply};
use crate::derive::selection::{items, own_text};
use crate::log::{Entry, Record};
use crate::scrub;
use crate::serve::Reply;

/// The most events in one batch.
pub const BATCH_MAX: usize = 1000;
/// Sessions in a list.
const SESSIONS_LISTED: usize = 50;

impl Engine {
    /// Records a batch; one bad event never fails it, and what was recorded is on disk before this returns.
    pub(super) fn events_ingest(&self, body: &[u8]) -> Result<Reply, Fault> {
        let items: Vec<&RawValue> = serde_json::from_slice(body)
            .map_err(|error| Fault::invalid(format!("the body is not a JSON array of events: {error}")))?;
        if items.is_empty() || items.len() > BATCH_MAX {
            return Err(Fault::invalid(format!("a batch holds 1 to {BATCH_MAX} events, not {}", items.len())));
        }
        let mut answer = IngestReply::default();
        let mut entries = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            match Event::parse(item.get()) {
                Ok(event) => entries.extend(self.wanted(event, &mut answer)),
                Err(problems) => {
                    let errors = problems.into_iter().map(|problem| problem.message).collect();
                    answer.invalid.push(Invalid { index, errors });
                }
            }
        }
        self.record(entries, &mut answer)?;
        reply(if answer.accepted > 0 { 201 } else { 200 }, &answer)
    }

    /// Records events that no caller sent, as a batch is.
    pub(super) fn record_events(&self, events: Vec<Event>, answer: &mut IngestReply) -> Result<(), Fault> {
        let entries = events.into_iter().filter_map(|event| self.wanted(event, answer)).collect();
        self.record(entries, answer)
    }

    /// An event as the log takes it: without secrets; nothing where it was forgotten and comes again.
    ///
    /// Secrets go first: what was forgotten is known by the text that was recorded, and that had none.
    fn wanted(&self, mut event: Event, answer: &mut IngestReply) -> Option<Entry> {
        let found = scrub::scrub_event(&mut event);
        let is_forgotten = self.log.is_forgotten(&event.id, || own_text(&event), event.occurred_at);
        if is_forgotten || self.log.is_kept_out(|| items(&event).into_iter().flatten().collect()) {
            answer.forgotten += 1;
            return None;
        }
        if !found.is_empty() {
            tracing::info!(?found, "secrets were replaced before they were recorded");
        }
        Some(Entry {
            id: event.id.clone(),
            topic: event.topic(),
            occurred_at: event.occurred_at,
            json: event.to_json(),
        })
    }

    fn record(&self, entries: Vec<Entry>, answer: &mut IngestReply) -> Result<(), Fault> {
        if entries.is_empty() {
            return Ok(());
        }
        let bulk = entries
            .iter()
            .all(|entry| topic::find(entry.topic).is_some_and(|(_, topic)| topic.durability == Durability::Bulk));
        if bulk {
            return self.record_later(entries, answer);
        }
        let appended = self.log.append(entries).map_err(|error| log_fault(&error))?;
        answer.accepted = appended.iter().filter(|one| one.new).count();
        answer.duplicates = appended.len() - answer.accepted;
        Ok(())
    }

    /// Focus and pointer bulk is queued, not waited for.
    fn record_later(&self, entries: Vec<Entry>, answer: &mut IngestReply) -> Result<(), Fault> {
        let mut seen = BTreeSet::new();
        let (fresh, known): (Vec<Entry>, Vec<Entry>) = entries
            .into_iter()
            .partition(|entry| self.log.position(&entry.id).is_none() && seen.insert(entry.id.clone()));
        answer.accepted = fresh.len();
        answer.duplicates = known.len();
        self.log.append_later(fresh).map_err(|error| log_fault(&error))
    }

    pub(super) fn events_get(&self, id: &str) -> Result<Reply, Fault> {
        let record = self.record_of(id)?;
        let value: Value = serde_json::from_str(&record.json).map_err(Fault::internal)?;
        ok(&value)
    }

    /// The record of a wire event.
    pub(super) fn record_of(&self, id: &str) -> Result<Record, Fault> {
        let missing = || Fault::not_found(format!("no event `{id}`"));
        let position = self.log.position(id).ok_or_else(missing)?;
        let record = self.log.read(position).map_err(|error| log_fault(&error))?.ok_or_else(missing)?;
        let wire = topic::find(record.topic).is_some_and(|(_, topic)| topic.wire);
        if wire { Ok(record) } else { Err(missing()) }
    }

    pub(super) fn sessions_list(&self) -> Result<Reply, Fault> {
        let view = self.read()?;
        let mut sessions: Vec<_> = view.sessions.rows().collect();
        sessions.sort_by(|a, b| b.started_at.cmp(&a.started_at).then_with(|| a.id.cmp(&b.id)));
        sessions.truncate(SESSIONS_LISTED);
        ok(&sessions)
    }

    pub(super) fn sessions_events(&self, id: &str, query: &BTreeMap<String, String>) -> Result<Reply, Fault> {
        let page = Page::of(query, 500, 2000)?;
        let runs = match self.read()?.threads.get(id) {
            Some(thread) => thread.runs.clone(),
            None => return Err(Fault::not_found(format!("no session `{id}`"))),
        };
        let mut found: Vec<(clone_schema::Timestamp, Value)> = Vec::new();
        for (first, last) in runs {
            let count = usize::try_from(last + 1 - first).unwrap_or(usize::MAX).min(BATCH_MAX * 10);
            let records = self.log.scan(clone_schema::Position(first), count).map_err(|error| log_fault(&error))?;
            for record in records.into_iter().filter(|record| record.position.0 <= last) {
                let value: Value = serde_json::from_str(&record.json).unwrap_or_default();
                if value["session_id"] == id && topic::find(record.topic).is_some_and(|(_, topic)| topic.wire) {
                    found.push((record.occurred_at, value));
                }
            }
            if found.len() >= page.offset + page.limit {
                break;
            }
        }
        found.sort_by_key(|(at, _)| *at);
        ok(&page.cut(found.into_iter().map(|(_, value)| value)))
    }

    /// Marks the end of an import, so that its sessions become episodes at once; `sync` waits until they are.
    pub(super) fn import_mark(&self, body: &Value) -> Result<Reply, Fault> {
        let count = |name: &str| body[name].as_u64().unwrap_or_default();
        let format = body["format"].as_str().filter(|format| !format.is_empty());
        let format = format.ok_or_else(|| Fault::invalid("'format' is a required property"))?.to_owned();
        let skipped = body["skipped"].as_object().into_iter().flatten();
        let skipped = skipped.map(|(reason, n)| (reason.clone(), n.as_u64().unwrap_or_default())).collect();
        let (imported, duplicates) = (count("imported"), count("duplicates"));
        self.note(Payload::ImportMarked { format, imported, duplicates, skipped })?;
        if imported > 0 {
            self.replay_all();
        }
        reply(201, &json!({"marked": true}))
    }

    pub(super) fn raw_add(&self, body: &Value) -> Result<Reply, Fault> {
        let text = body["text"].as_str().filter(|text| !text.trim().is_empty());
        let text = text.ok_or_else(|| Fault::invalid("'text' is a required property"))?;
        let text = scrub::scrub(text).text.into_owned();
        let session_id = match &body["session_id"] {
            Value::Null => None,
            Value::String(session) => Some(session.clone()),
            other => return Err(Fault::invalid(format!("'session_id' is not a string: {other}"))),
        };
        let id = self.note(Payload::MemoryNoted { text: text.clone(), session_id: session_id.clone() })?;
        reply(
            201,
            &json!({
                "id": id, "event_id": id, "text": text, "session_id": session_id, "source": "cli",
                "source_detail": null, "occurred_at": crate::clock::now(),
            }),
        )
    }
}
