//! Where events come from, and work in the background: what runs, and what ended.

use std::collections::BTreeMap;

use clone_schema::internal::{Internal, Payload};
use clone_schema::{Fault, Position};
use serde_json::{Value, json};

use super::{Engine, Page, log_fault, ok};
use crate::log::Record;
use crate::serve::Reply;

/// Records read at once while looking for the newest.
const WINDOW: u64 = 512;
/// The most records that one list looks through.
const LOOKED_MAX: u64 = 200_000;
/// Imports that the list of sources shows.
const IMPORTS_SHOWN: usize = 20;

impl Engine {
    /// Every source that sent something, the newest first.
    pub(super) fn sources_list(&self) -> Result<Reply, Fault> {
        ok(&self.sources()?)
    }

    fn sources(&self) -> Result<Vec<Value>, Fault> {
        let view = self.read()?;
        let mut rows: Vec<_> = view.tallies.iter().collect();
        rows.sort_by(|a, b| b.1.last.cmp(&a.1.last).then_with(|| a.0.cmp(b.0)));
        Ok(rows.into_iter().map(|(id, tally)| json!({"id": id, "events": tally.events, "last": tally.last})).collect())
    }

    /// What came, which imports brought it, and whether GitHub is connected.
    pub(super) fn warmstart_sources(&self) -> Result<Reply, Fault> {
        let imports: Vec<Value> = self.imports(IMPORTS_SHOWN)?.iter().filter_map(import).collect();
        let github = self.github_told();
        let mut oauth = json!({"provider": "github", "scope": github["scopes"]});
        for name in ["connected", "needs_reauth", "login", "last_synced_at"] {
            oauth[name] = github[name].clone();
        }
        ok(&json!({"sources": self.sources()?, "imports": imports, "oauth": oauth}))
    }

    /// The derive loop as it stands, then every import, newest first.
    pub(super) fn jobs_list(&self, query: &BTreeMap<String, String>) -> Result<Reply, Fault> {
        let page = Page::of(query, 50, 200)?;
        let (upto, head) = (self.read()?.cursor.0, self.log.head().0);
        let status = if upto < head { "running" } else { "done" };
        let derive = json!({
            "id": "derive", "kind": "derive", "status": status, "finished_at": null,
            "detail": {"derived_upto": upto, "head": head},
        });
        let imports = self.imports(page.offset.saturating_add(page.limit))?;
        ok(&page.cut(std::iter::once(derive).chain(imports.iter().filter_map(import))))
    }

    /// The newest ends of imports.
    fn imports(&self, count: usize) -> Result<Vec<Record>, Fault> {
        let (mut found, mut end) = (Vec::new(), self.log.head().0);
        let floor = end.saturating_sub(LOOKED_MAX);
        while end > floor && found.len() < count {
            let start = end.saturating_sub(WINDOW);
            let room = usize::try_from(end - start).unwrap_or(usize::MAX);
            let records = self.log.scan(Position(start), room).map_err(|error| log_fault(&error))?;
            let here = records.into_iter().rev().filter(|record| record.position.0 < end);
            found.extend(here.filter(|record| record.topic == "import.marked"));
            end = start;
        }
        found.truncate(count);
        Ok(found)
    }
}

fn import(record: &Record) -> Option<Value> {
    match serde_json::from_str::<Internal>(&record.json).ok()? {
        Internal { id, at, payload: Payload::ImportMarked { format, imported, duplicates, skipped } } => Some(json!({
            "id": id, "kind": "import", "status": "done", "finished_at": at,
            "detail": {"format": format, "imported": imported, "duplicates": duplicates, "skipped": skipped},
        })),
        _ => None,
    }
}
