//! Whether everything works: health, status, and the doctor's live round trip.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use clone_schema::Fault;
use clone_schema::internal::Payload;
use serde_json::{Value, json};

use super::auto::auto_setting;
use super::{Engine, ok};
use crate::clock;
use crate::derive::view::{Tally, View};
use crate::index::{Document, Index, Query, Tier};
use crate::log::Trouble;
use crate::serve::Reply;
use crate::state;

impl Engine {
    pub(super) fn health(&self) -> Result<Reply, Fault> {
        ok(&json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")}))
    }

    pub(super) fn status(&self) -> Result<Reply, Fault> {
        let http = self.http.lock().map_or(None, |http| http.clone());
        let log = self.log.stats();
        let view = self.derived.get().and_then(|_| self.read().ok());
        let view = view.as_deref();
        ok(&json!({
            "version": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
            "started_at": self.started_at,
            "home": self.paths.state_dir,
            "vault": self.paths.vault,
            "socket": self.paths.socket,
            "http": http,
            "auto": view.map(auto_setting),
            "loading": self.loading(),
            "log": {
                "events": log.events, "segments": log.segments, "bytes": log.bytes,
                "commits": log.commits,
                "oldest": log.oldest, "newest": log.newest, "head": self.log.head().0,
                "derived": view.map(|view| view.cursor.0),
            },
            "rebuilds": self.rebuilds(),
            "counts": view.map(|view| self.counts(view)),
            "backtest": self.replayed(),
            "spend": {"model_calls": 0},
            "sources": view.map(sources),
            "following": self.following(),
            "github": self.github_kept(),
            "problems": self.problems(view),
        }))
    }

    fn counts(&self, view: &View) -> Value {
        json!({
            "sessions": view.threads.len(), "episodes": view.episodes.len(), "facts": view.facts.len(),
            "reply_pairs": view.learned.pairs, "predictions": view.predictions.len() + view.pending().len(),
            "indexed": self.derived.get().map(|derived| derived.index.count()),
        })
    }

    /// How often something derived was set aside and built again since the daemon began.
    fn rebuilds(&self) -> Value {
        let index = self.derived.get().map_or(0, |derived| derived.index.times_set_aside());
        json!({"state": state::times_set_aside(), "index": index})
    }

    fn problems(&self, view: Option<&View>) -> Vec<String> {
        let mut found: Vec<String> = self.log.trouble().iter().map(not_recording).collect();
        found.extend(self.troubles.lock().iter().flat_map(|troubles| troubles.values().cloned()));
        found.extend(self.github_problem());
        found.extend(view.into_iter().flat_map(|view| view.problems.values().cloned()));
        for damage in self.log.damaged() {
            found.push(format!(
                "log segment `{}` is damaged at byte {} ({} bytes): {}",
                damage.segment, damage.offset, damage.bytes, damage.reason
            ));
        }
        found
    }

    /// Runs every check, each with its mend.
    pub(super) fn doctor(&self) -> Result<Reply, Fault> {
        let mut checks = vec![self.check_log()];
        match self.derived() {
            Ok(derived) => checks.extend([check_index(&derived.index), self.check_derived()]),
            Err(fault) => checks.push(check("derived", false, &fault.message, "wait, and look again")),
        }
        for (name, path) in [("log folder", &self.paths.log), ("vault folder", &self.paths.vault)] {
            checks.push(check_private(name, path));
        }
        let view = self.derived.get().map(|_| self.read()).transpose()?;
        let problems = self.problems(view.as_deref());
        let detail = if problems.is_empty() { "none".to_owned() } else { problems.join("; ") };
        checks.push(check(
            "problems",
            problems.is_empty(),
            &detail,
            "`clone status` names each; mend it and look again",
        ));
        ok(&json!({"checks": checks}))
    }

    /// Writes one event durably and reads it back by id.
    fn check_log(&self) -> Value {
        let wrote = self.note(Payload::ConfigChanged { key: "doctor.checked".to_owned(), value: "yes".to_owned() });
        let id = match wrote {
            Ok(id) => id,
            Err(fault) => return check("log", false, &fault.message, &fault.hint.unwrap_or_default()),
        };
        let position = self.log.position(&id).ok_or_else(|| "the event cannot be found by its id".to_owned());
        let read = position.and_then(|position| self.log.read(position).map_err(|error| error.to_string()));
        match read {
            Ok(Some(record)) => check("log", true, &format!("wrote and read back position {}", record.position), ""),
            Ok(None) => check("log", false, "the event cannot be read back", "restart the daemon"),
            Err(message) => check("log", false, &message, "look at the disk and the kernel's messages, then restart"),
        }
    }

    fn check_derived(&self) -> Value {
        match self.settle() {
            Ok(position) => check("derived", true, &format!("everything up to position {position}"), ""),
            Err(fault) => check("derived", false, &fault.message, "see the daemon's messages; restart it"),
        }
    }
}

/// How much came from where, and when last.
fn sources(view: &View) -> Value {
    let line =
        |(source, tally): (&String, &Tally)| (source.clone(), json!({"events": tally.events, "last": tally.last}));
    Value::Object(view.tallies.iter().map(line).collect())
}

/// Puts a word into the index, finds it, and takes it out again.
fn check_index(index: &Index) -> Value {
    let word = format!("doctor{}", clock::new_id().replace('-', ""));
    let document = Document::new(&word, Tier::Raw, &word, clock::now());
    let query = Query { text: &word, limit: 1, ..Query::default() };
    let found = index.put(vec![document]).and_then(|()| index.search(&query));
    let removed = index.remove(std::slice::from_ref(&word));
    match (found, removed) {
        (Ok(hits), Ok(())) if hits.first().is_some_and(|hit| hit.id == word) => {
            check("index", true, "a new word was found at once", "")
        }
        (Ok(_), Ok(())) => check("index", false, "a new word was not found", "stop, delete the index folder, start"),
        (Err(error), _) | (_, Err(error)) => {
            check("index", false, &error.to_string(), "stop, delete the index folder, start")
        }
    }
}

fn not_recording(trouble: &Trouble) -> String {
    let Trouble { error, since } = trouble;
    format!("not recording since {since:.0}: {error}; {}", error.mend())
}

fn check(name: &str, ok: bool, detail: &str, mend: &str) -> Value {
    json!({"name": name, "ok": ok, "detail": detail, "mend": mend})
}

fn check_private(name: &str, path: &Path) -> Value {
    let mend = format!("chmod 700 {}", path.display());
    match std::fs::metadata(path) {
        Ok(meta) if meta.permissions().mode() & 0o077 == 0 => check(name, true, "only you can enter it", ""),
        Ok(_) => check(name, false, "other users can enter it", &mend),
        Err(error) => check(name, false, &error.to_string(), "start the daemon: it makes its folders"),
    }
}
