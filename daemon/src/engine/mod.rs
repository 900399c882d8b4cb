//! One method per operation; the only place where the log, memory, the index and the predictor meet for a caller.
//!
//! Calls are plain and blocking; the doors run them on a thread of their own. Reads see what is derived, which may lag
//! the log by a moment; `sync` waits until it does not.

mod auto;
mod backtest;
pub mod edits;
pub mod events;
pub mod following;
pub mod forget;
pub mod github;
pub mod jobs;
pub mod keys;
mod loading;
pub mod memory;
pub mod monitoring;
pub mod predictions;
mod promote;
pub mod recording;
mod stats;
pub mod tokens;
pub mod vault;
pub mod why;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, RwLockReadGuard};
use std::time::Duration;

use clone_schema::internal::Payload;
use clone_schema::{Fault, Timestamp, fault};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config::Config;
use crate::derive::progress::Progress;
use crate::derive::view::View;
use crate::derive::{self, Wake};
use crate::log::{Log, LogError};
use crate::paths::Paths;
use crate::serve::{Call, Reply};
use loading::Derived;

/// How long `sync` waits for the loop.
const SETTLE_PATIENCE: Duration = Duration::from_secs(120);

/// What a running daemon answers with.
pub struct Engine {
    log: Log,
    derived: OnceLock<Derived>,
    progress: Arc<Progress>,
    wake: SyncSender<Wake>,
    config: Config,
    paths: Paths,
    started_at: Timestamp,
    http: Mutex<Option<String>>,
    troubles: Mutex<BTreeMap<String, String>>,
    following: Mutex<serde_json::Value>,
    /// How often an agent that can be followed was wiped.
    wipes: AtomicU64,
    github: github::Github,
    tokens: tokens::Tokens,
    key_made: Box<dyn Fn() + Send + Sync>,
    backtests: Arc<backtest::Backtests>,
}

/// What the engine is made of.
pub struct Parts {
    /// L0.
    pub log: Log,
    /// How far loading what is derived has come.
    pub progress: Arc<Progress>,
    /// Wakes the loop.
    pub wake: SyncSender<Wake>,
    /// The person's settings.
    pub config: Config,
    /// Where everything lives.
    pub paths: Paths,
    /// Called when an API key was made, so that the HTTP door opens.
    pub key_made: Box<dyn Fn() + Send + Sync>,
}

impl Engine {
    /// An engine over an open log; what is derived comes [later](Self::loaded).
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts { log, progress, wake, config, paths, key_made } = parts;
        let github = github::Github::new(&paths, &config);
        Self {
            log,
            derived: OnceLock::new(),
            progress,
            wake,
            config,
            paths,
            started_at: crate::clock::now(),
            http: Mutex::new(None),
            troubles: Mutex::default(),
            following: Mutex::default(),
            wipes: AtomicU64::new(0),
            github,
            tokens: tokens::Tokens::default(),
            key_made,
            backtests: Arc::default(),
        }
    }

    /// Answers one call.
    ///
    /// # Errors
    ///
    /// What the operation refuses; the fault carries the status and what to do.
    pub fn call(&self, call: &Call) -> Result<Reply, Fault> {
        let id = call.id.as_deref().unwrap_or_default();
        if Self::waits_for_derived(call.operation) && call.operation.name != "doctor" {
            self.derived()?;
        }
        match call.operation.name {
            "health" | "mcp_health" => self.health(),
            "status" | "monitoring" => self.status(),
            "sources_list" => self.sources_list(),
            "warmstart_sources" => self.warmstart_sources(),
            "jobs_list" => self.jobs_list(&call.query),
            "doctor" => self.doctor(),
            "me" => self.me(call),
            "token_create" => self.token_create(&body(call)?),
            "token_refresh" => self.token_refresh(&body(call)?),
            "keys_list" => self.keys_list(),
            "keys_create" => self.keys_create(&body(call)?),
            "keys_get" => self.keys_get(id),
            "keys_revoke" => self.keys_revoke(id),
            "events_ingest" => self.events_ingest(&call.body),
            "events_get" => self.events_get(id),
            "events_list" => self.events_list(&call.query),
            "events_stream" => self.events_stream(&call.query),
            "sessions_list" => self.sessions_list(),
            "sessions_events" => self.sessions_events(id, &call.query),
            "raw_list" => self.raw_list(&call.query),
            "raw_add" => self.raw_add(&body(call)?),
            "raw_get" => self.raw_get(id),
            "episodes_list" => self.episodes_list(&call.query),
            "episodes_get" => self.episodes_get(id),
            "facts_list" => self.facts_list(&call.query),
            "facts_get" => self.facts_get(id),
            "profile_get" => self.profile_get(),
            "context" => self.context(&body(call)?),
            "search" => self.search(&body(call)?),
            "memory_history" => self.memory_history(&call.query),
            "memory_undo" => self.memory_undo(&body(call)?),
            "deletions_list" => self.deletions_list(),
            "deletions_decide" => self.deletions_decide(&body(call)?),
            "forget" | "forget_verify" | "raw_forget" | "retention_run" | "source_remove" | "source_wipe" => {
                self.forgetting(call, id)
            }
            "sync" => self.sync(),
            "promote_list" => self.promote_list(),
            "promote_decide" => self.promote_decide(id, &body(call)?),
            "promote_episodes" => self.promote_episodes(),
            "promote_facts" => self.promote_facts(),
            "memory_stats" => self.memory_stats(&call.query),
            "predict" => self.predict(body(call)?),
            "predict_batch" => self.predict_batch(body(call)?),
            "continuation" => self.continuation(body(call)?),
            "feedback" => self.feedback(id, &body(call)?, call),
            "predictions_stats" => self.predictions_stats(&call.query),
            "predictions_list" => self.predictions_list(&call.query),
            "predictions_get" => self.predictions_get(id),
            "predictions_backtest" => self.predictions_backtest(&call.query),
            "why" => self.why(id),
            "auto_get" => self.auto_get(),
            "auto_set" => self.auto_set(&body(call)?),
            "mute_get" => self.mute_get(),
            "mute_set" => self.mute_set(&body(call)?),
            "import_batch" => self.import_mark(&body(call)?),
            "following_get" => self.following_get(),
            "following_set" => self.following_set(&body(call)?),
            "secrets_rotate" => self.secrets_rotate(),
            name if name.starts_with("github_") => self.github(call),
            _ => self.edited(call, id),
        }
    }

    /// Says where the HTTP door is, for `status`.
    pub fn opened_http(&self, address: Option<String>) {
        if let Ok(mut http) = self.http.lock() {
            *http = address;
        }
    }

    /// Says in `status` what is wrong, until the next start.
    pub fn trouble(&self, what: &str, message: &str) {
        if let Ok(mut troubles) = self.troubles.lock() {
            troubles.insert(what.to_owned(), message.to_owned());
        }
    }

    /// The derived view, for reading.
    fn read(&self) -> Result<RwLockReadGuard<'_, View>, Fault> {
        let view = self.derived()?.view.read();
        let view = view.map_err(|_| Fault::internal("the derived view is broken; restart the daemon"))?;
        if view.forgetting {
            let message = "something is being forgotten, and everything derived is derived anew; try again";
            return Err(Fault::new(fault::Kind::Unavailable, message).hint("events are recorded meanwhile"));
        }
        Ok(view)
    }

    /// Appends one internal event and waits until it is on disk.
    fn note(&self, payload: Payload) -> Result<String, Fault> {
        let entry = derive::entry(payload);
        let id = entry.id.clone();
        self.log.append(vec![entry]).map_err(|error| log_fault(&error))?;
        Ok(id)
    }

    /// Waits until everything appended so far is derived, in the vault, in the index and in the state.
    fn settle(&self) -> Result<clone_schema::Position, Fault> {
        // The loop could not write because nobody can.
        self.ask(Wake::Settle, SETTLE_PATIENCE, "still deriving; try again")?.map_err(|message| {
            match self.log.trouble() {
                Some(trouble) => log_fault(&trouble.error),
                None => Fault::internal(message),
            }
        })
    }

    /// Asks the loop for something and waits for its answer; `slow` is said where that takes too long.
    fn ask<T>(&self, wake: impl FnOnce(SyncSender<T>) -> Wake, patience: Duration, slow: &str) -> Result<T, Fault> {
        let (told, answer) = sync_channel(1);
        let ended = || Fault::internal("the loop has ended").hint("restart the daemon; what was recorded is safe");
        self.wake.send(wake(told)).map_err(|_| ended())?;
        answer.recv_timeout(patience).map_err(|error| match error {
            RecvTimeoutError::Timeout => Fault::new(fault::Kind::Unavailable, slow),
            RecvTimeoutError::Disconnected => ended(),
        })
    }
}

/// The typed body of a call.
fn body<T: DeserializeOwned>(call: &Call) -> Result<T, Fault> {
    // An array would be read as the fields in their order.
    if call.body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Fault::invalid("the body is not a JSON object"));
    }
    serde_json::from_slice(&call.body).map_err(|error| Fault::invalid(error.to_string()))
}

/// A reply with this status.
fn reply(status: u16, value: &impl Serialize) -> Result<Reply, Fault> {
    let body = serde_json::to_string(value).map_err(Fault::internal)?;
    Ok(Reply { status, body })
}

/// A reply with status 200.
fn ok(value: &impl Serialize) -> Result<Reply, Fault> {
    reply(200, value)
}

/// What the log refuses, for a caller.
fn log_fault(error: &LogError) -> Fault {
    let kind = if error.is_full() { fault::Kind::DiskFull } else { fault::Kind::Unavailable };
    Fault::new(kind, error.to_string()).hint(format!("nothing was recorded: {}; then send it again", error.mend()))
}

/// The farthest that a list is entered.
const OFFSET_MAX: usize = 1_000_000_000;

/// A page of a list: `limit` and `offset`, checked.
struct Page {
    limit: usize,
    offset: usize,
}

impl Page {
    fn of(query: &BTreeMap<String, String>, default: usize, max: usize) -> Result<Self, Fault> {
        let limit = number(query, "limit")?.unwrap_or(default);
        if !(1..=max).contains(&limit) {
            return Err(Fault::invalid(format!("limit must be 1 to {max}")));
        }
        Ok(Self { limit, offset: within("offset", number(query, "offset")?, 0, 0, OFFSET_MAX)? })
    }

    fn cut<T>(&self, rows: impl Iterator<Item = T>) -> Vec<T> {
        rows.skip(self.offset).take(self.limit).collect()
    }
}

fn number(query: &BTreeMap<String, String>, name: &str) -> Result<Option<usize>, Fault> {
    let Some(text) = query.get(name) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| Fault::invalid(format!("`{name}` is not a whole number: `{text}`")))
}

/// Refuses a word in the query that is none of these.
fn one_of(query: &BTreeMap<String, String>, name: &str, words: &[&str]) -> Result<(), Fault> {
    match query.get(name) {
        Some(given) if !words.contains(&given.as_str()) => {
            Err(Fault::invalid(format!("`{name}` must be one of {}, not `{given}`", words.join(", "))))
        }
        _ => Ok(()),
    }
}

/// An instant in the query.
fn instant(query: &BTreeMap<String, String>, name: &str) -> Result<Option<Timestamp>, Fault> {
    let Some(text) = query.get(name) else { return Ok(None) };
    let parsed = clone_schema::time::parse(text);
    parsed.map(Some).ok_or_else(|| Fault::invalid(format!("`{name}` is not an ISO-8601 instant: `{text}`")))
}

/// Refuses a value outside its range.
fn within<T: PartialOrd + std::fmt::Display + Copy>(
    name: &str,
    value: Option<T>,
    default: T,
    low: T,
    high: T,
) -> Result<T, Fault> {
    let value = value.unwrap_or(default);
    if value < low || value > high {
        return Err(Fault::invalid(format!("{name} must be {low} to {high}")));
    }
    Ok(value)
}
