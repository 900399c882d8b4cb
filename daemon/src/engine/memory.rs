//! Memory for callers: raw rows, episodes, facts, profile, the context bundle and search.

use std::collections::BTreeMap;

use clone_schema::api::{ContextRequest, SearchRequest};
use clone_schema::event::Event;
use clone_schema::internal::{Internal, Payload};
use clone_schema::memory::{Episode, Fact, Raw, Status};
use clone_schema::{Fault, Position, Timestamp, fault, topic};
use serde_json::json;

use super::{Engine, Page, instant, log_fault, ok, one_of, within};
use crate::clock;
use crate::derive::view::View;
use crate::index::{self, IndexError, Tier};
use crate::log::Record;
use crate::memory::context::pack::{self, Found, Packed};
use crate::memory::{context, raw};
use crate::serve::Reply;

/// Records read at once while listing the newest.
const WINDOW: u64 = 512;
/// How far back the newest rows are looked for first, in seconds.
const FIRST_LOOK_SECONDS: i64 = 300;
/// How many hits a context is packed from.
const RECALLED: usize = 100;
/// The most records that one list looks through.
const LOOKED_MAX: u64 = 200_000;

impl Engine {
    pub(super) fn raw_list(&self, query: &BTreeMap<String, String>) -> Result<Reply, Fault> {
        let page = Page::of(query, 50, 500)?;
        let session = query.get("session_id").cloned();
        let rows = self.newest_raw(page.offset + page.limit, |row| {
            session.as_ref().is_none_or(|wanted| *wanted == row.session_id)
        })?;
        ok(&page.cut(rows.into_iter()))
    }

    /// The newest raw rows that are wanted, newest first, by walking the log backwards.
    fn newest_raw(&self, count: usize, wanted: impl Fn(&Raw) -> bool) -> Result<Vec<Raw>, Fault> {
        let mut rows = Vec::new();
        let mut end = self.log.head().0;
        let floor = end.saturating_sub(LOOKED_MAX);
        while end > floor && rows.len() < count {
            let start = end.saturating_sub(WINDOW);
            let room = usize::try_from(end - start).unwrap_or(usize::MAX);
            let records = self.log.scan(Position(start), room).map_err(|error| log_fault(&error))?;
            let here = records.iter().rev().filter(|record| record.position.0 < end);
            rows.extend(here.filter_map(raw_row).filter(&wanted));
            end = start;
        }
        rows.truncate(count);
        Ok(rows)
    }

    /// The raw rows that happened since then, the newest of them: by the log's times, so that what is older costs nothing.
    ///
    /// The last minutes are looked at first: a day of typing need not be read for its last fifty rows.
    fn recent_raw(&self, count: usize, since: Timestamp, now: Timestamp) -> Result<Vec<Raw>, Fault> {
        let mut back = FIRST_LOOK_SECONDS;
        loop {
            let from = back_from(now, back).max(since);
            let records = self.log.scan_time(from, Timestamp::MAX, LOOKED_MAX as usize);
            let rows: Vec<Raw> = records.map_err(|error| log_fault(&error))?.iter().filter_map(raw_row).collect();
            let happened = rows.iter().filter(|row| row.occurred_at <= now).count();
            if happened >= count || from == since {
                return Ok(rows);
            }
            back = back.saturating_mul(4);
        }
    }

    pub(super) fn raw_get(&self, id: &str) -> Result<Reply, Fault> {
        let missing = || Fault::not_found(format!("no raw row `{id}`"));
        let position = self.log.position(id).ok_or_else(missing)?;
        let record = self.log.read(position).map_err(|error| log_fault(&error))?.ok_or_else(missing)?;
        ok(&raw_row(&record).ok_or_else(missing)?)
    }

    pub(super) fn episodes_list(&self, query: &BTreeMap<String, String>) -> Result<Reply, Fault> {
        let page = Page::of(query, 50, 200)?;
        let view = self.read()?;
        let mut episodes: Vec<&Episode> = view.episodes.values().collect();
        episodes.sort_by(|a, b| b.started_at.cmp(&a.started_at).then_with(|| a.id.cmp(&b.id)));
        ok(&page.cut(episodes.into_iter()))
    }

    pub(super) fn episodes_get(&self, id: &str) -> Result<Reply, Fault> {
        let view = self.read()?;
        ok(view.episodes.get(id).ok_or_else(|| Fault::not_found(format!("no episode `{id}`")))?)
    }

    pub(super) fn facts_list(&self, query: &BTreeMap<String, String>) -> Result<Reply, Fault> {
        let page = Page::of(query, 50, 200)?;
        one_of(query, "tier", &["candidate", "tentative", "strong"])?;
        one_of(query, "status", &["active", "archived", "pending"])?;
        let view = self.read()?;
        let is = |name: &str, value: &str| query.get(name).is_none_or(|wanted| wanted == value);
        let mut facts: Vec<&Fact> = view
            .facts
            .values()
            .filter(|fact| {
                is("tier", fact.tier.name()) && is("kind", &fact.claim.kind) && is("status", fact.status.name())
            })
            .filter(|fact| query.get("tag").is_none_or(|tag| fact.tags.contains(tag)))
            .collect();
        facts.sort_by(|a, b| b.updated.cmp(&a.updated).then_with(|| a.id.cmp(&b.id)));
        ok(&page.cut(facts.into_iter()))
    }

    pub(super) fn facts_get(&self, id: &str) -> Result<Reply, Fault> {
        let view = self.read()?;
        ok(view.facts.get(id).ok_or_else(|| Fault::not_found(format!("no fact `{id}`")))?)
    }

    pub(super) fn profile_get(&self) -> Result<Reply, Fault> {
        ok(&self.read()?.profile)
    }

    /// The bundle that a predictor sees, by the documented fields and ranges.
    pub(super) fn context(&self, request: &ContextRequest) -> Result<Reply, Fault> {
        let window = context::Window::of(request)?;
        let now = clock::now();
        let since = back_from(now, i64::from(window.recency_minutes) * 60);
        let raw = self.recent_raw(window.max_raw, since, now)?;
        let view = self.read()?;
        let bundle = context::context(request, window, view.facts.values(), view.episodes.values(), raw, now);
        let packed = self.packed(request, &view, &bundle.raw, now)?;
        let mut answer = json!({
            "profile": view.profile,
            "facts": bundle.facts,
            "episodes": bundle.episodes,
            "raw": bundle.raw,
            "meta": {
                "generated_at": now, "recency_minutes": window.recency_minutes, "derived_upto": view.cursor.0,
                "counts": {"facts": bundle.facts.len(), "episodes": bundle.episodes.len(), "raw": bundle.raw.len()},
            },
        });
        if let Some((baseline, packed, budget)) = packed {
            let tokens = (packed.baseline_tokens, packed.recalled_tokens);
            answer["text"] = json!(packed.text);
            answer["meta"]["tokens"] = json!({"budget": budget, "baseline": tokens.0, "recalled": tokens.1});
            answer["meta"]["baseline_bytes"] = json!(baseline.len());
            answer["meta"]["recalled"] = json!(packed.recalled);
        }
        ok(&answer)
    }

    /// What always stands, the text for an agent, and its budget, where the request asks for one.
    fn packed(
        &self,
        request: &ContextRequest,
        view: &View,
        raw: &[Raw],
        now: Timestamp,
    ) -> Result<Option<(String, Packed, usize)>, Fault> {
        if request.query.is_none() && request.token_budget.is_none() {
            return Ok(None);
        }
        let budget = within("token_budget", request.token_budget, 2_000, 100, 32_000)?;
        let found = match request.query.as_deref().or(request.goal.as_deref()) {
            Some(question) => self.recalled(question, request.project.as_deref())?,
            None => (1_u32..).zip(raw).map(|(place, row)| recent(place, row)).collect(),
        };
        let active: Vec<&Fact> = view.facts.values().filter(|fact| fact.status == Status::Active).collect();
        let baseline = pack::baseline(&view.profile.soul, &active);
        let packed = pack::pack(&baseline, found, budget, now);
        Ok(Some((baseline, packed, budget)))
    }

    fn recalled(&self, question: &str, project: Option<&str>) -> Result<Vec<Found>, Fault> {
        let query = index::Query { text: question, project, limit: RECALLED, ..index::Query::default() };
        let hits = self.derived()?.index.search(&query).map_err(|error| index_fault(&error))?;
        let found = hits.into_iter().map(|hit| {
            let text = if hit.text.trim().is_empty() { hit.title } else { hit.text };
            Found { id: hit.id, text, at: hit.at, session: hit.session, score: f64::from(hit.score) }
        });
        Ok(found.collect())
    }

    pub(super) fn search(&self, request: &SearchRequest) -> Result<Reply, Fault> {
        let tier = match request.tier.as_deref() {
            None => None,
            Some("fact") => Some(Tier::Fact),
            Some("episode") => Some(Tier::Episode),
            Some("raw") => Some(Tier::Raw),
            Some(other) => return Err(Fault::invalid(format!("tier must be fact, episode or raw, not `{other}`"))),
        };
        let query = index::Query {
            text: &request.query,
            tier,
            session: request.session_id.as_deref(),
            agent: request.agent.as_deref(),
            project: request.project.as_deref(),
            topic: request.topic.as_deref(),
            tags: request.tags.as_deref().unwrap_or_default(),
            since: request.from,
            until: request.to,
            offset: within("offset", request.offset, 0, 0, index::MAX_HITS - 100)?,
            limit: within("limit", request.limit, 10, 1, 100)?,
            snippets: true,
        };
        let hits = self.derived()?.index.search(&query).map_err(|error| index_fault(&error))?;
        let rows = hits.into_iter().map(|hit| {
            json!({
                "id": hit.id, "tier": hit.tier.name(), "score": hit.score, "at": hit.at, "title": hit.title,
                "session_id": hit.session, "snippet": hit.snippet, "highlights": hit.highlights,
            })
        });
        ok(&rows.collect::<Vec<_>>())
    }

    /// Waits until everything recorded so far is derived.
    pub(super) fn sync(&self) -> Result<Reply, Fault> {
        let position = self.settle()?;
        let view = self.read()?;
        ok(&json!({"derived_upto": position.0, "facts": view.facts.len(), "episodes": view.episodes.len()}))
    }

    pub(super) fn memory_stats(&self, query: &BTreeMap<String, String>) -> Result<Reply, Fault> {
        let since = instant(query, "since")?;
        let view = self.read()?;
        let facts = view.facts.values().map(|fact| fact.updated);
        let episodes = view.episodes.values().map(|episode| episode.ended_at);
        let counted = |times: &mut dyn Iterator<Item = Timestamp>| {
            let times: Vec<_> = times.filter(|at| since.is_none_or(|since| *at >= since)).collect();
            json!({"count": times.len(), "last_updated": times.iter().max()})
        };
        let raw = match since {
            None => view.tallies.values().map(|tally| tally.events).sum(),
            Some(since) => {
                let records = self.log.scan_time(since, Timestamp::MAX, usize::MAX);
                records.map_err(|error| log_fault(&error))?.iter().filter(|r| raw_row(r).is_some()).count() as u64
            }
        };
        let last = view.tallies.values().filter_map(|tally| tally.last).max();
        ok(&json!({
            "profile": {"count": 1, "last_updated": view.facts.values().map(|fact| fact.updated).max()},
            "facts": counted(&mut facts.into_iter()),
            "episodes": counted(&mut episodes.into_iter()),
            "raw": {"count": raw, "last_updated": last},
        }))
    }
}

/// So many seconds before.
fn back_from(now: Timestamp, seconds: i64) -> Timestamp {
    Timestamp::from_second(now.as_second().saturating_sub(seconds)).unwrap_or(Timestamp::MIN)
}

/// A row of the window where nothing is asked for: the newest is the best.
fn recent(place: u32, row: &Raw) -> Found {
    let (id, text, session) = (row.id.clone(), row.text.clone(), row.session_id.clone());
    Found { id, text, at: row.occurred_at, session, score: 1.0 / f64::from(place) }
}

/// A record as a raw row; nothing for what is only our bookkeeping.
fn raw_row(record: &Record) -> Option<Raw> {
    if topic::find(record.topic).is_some_and(|(_, topic)| topic.wire) {
        let event = Event::parse(&record.json).ok()?;
        return Some(Raw {
            id: event.id.clone(),
            text: raw::sentence(&event),
            occurred_at: event.occurred_at,
            source: event.source.name().to_owned(),
            source_detail: event.source_detail.clone(),
            session_id: event.session_id.clone(),
            event_id: event.id,
        });
    }
    match serde_json::from_str::<Internal>(&record.json).ok()? {
        Internal { id, at, payload: Payload::MemoryNoted { text, session_id } } => Some(Raw {
            id: id.clone(),
            text,
            occurred_at: at,
            source: "cli".to_owned(),
            source_detail: None,
            session_id: session_id.unwrap_or_default(),
            event_id: id,
        }),
        _ => None,
    }
}

/// What the index refuses, for a caller: one that is being built again answers in a moment.
fn index_fault(error: &IndexError) -> Fault {
    match error {
        IndexError::Unfilled => Fault::new(fault::Kind::Unavailable, error.to_string()),
        _ => Fault::internal(error),
    }
}
