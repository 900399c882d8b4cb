//! Where events come from, and work in the background: what runs, and what ended.

use std::collections::BTreeMap;

use clone_schema::internal::{Internal, Payload};
use clone_schema::{Fault, Position};
use serde_json::{Value, json};

use super::{Engine, Page, log_fault, ok};
use crate::serve::Reply;

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
        let newest: Vec<Position> = self.read()?.imports.newest().take(IMPORTS_SHOWN).collect();
        let imports: Vec<Value> =
            newest.into_iter().filter_map(|at| self.import(at).transpose()).collect::<Result<_, _>>()?;
        let github = self.github_told();
        let mut oauth = json!({"provider": "github", "scope": github["scopes"]});
        for name in ["connected", "needs_reauth", "login", "last_synced_at"] {
            oauth[name] = github[name].clone();
        }
        ok(&json!({"sources": self.sources()?, "imports": imports, "oauth": oauth}))
    }

    /// The derive loop as it stands, then the imports that are kept in mind, newest first.
    pub(super) fn jobs_list(&self, query: &BTreeMap<String, String>) -> Result<Reply, Fault> {
        let page = Page::of(query, 50, 200)?;
        let (upto, shown) = {
            let view = self.read()?;
            let jobs = std::iter::once(None).chain(view.imports.newest().map(Some));
            (view.cursor.0, page.cut(jobs))
        };
        let jobs = shown.into_iter().map(|job| job.map_or_else(|| Ok(Some(self.deriving(upto))), |at| self.import(at)));
        ok(&jobs.filter_map(Result::transpose).collect::<Result<Vec<Value>, Fault>>()?)
    }

    fn deriving(&self, upto: u64) -> Value {
        let head = self.log.head().0;
        let status = if upto < head { "running" } else { "done" };
        json!({
            "id": "derive", "kind": "derive", "status": status, "finished_at": null,
            "detail": {"derived_upto": upto, "head": head},
        })
    }

    /// The import that ended at a position of the log.
    fn import(&self, at: Position) -> Result<Option<Value>, Fault> {
        let Some(record) = self.log.read(at).map_err(|error| log_fault(&error))? else { return Ok(None) };
        Ok(match serde_json::from_str(&record.json) {
            Ok(Internal { id, at, payload: Payload::ImportMarked { format, imported, duplicates, skipped } }) => {
                Some(json!({
                    "id": id, "kind": "import", "status": "done", "finished_at": at,
                    "detail": {"format": format, "imported": imported, "duplicates": duplicates, "skipped": skipped},
                }))
            }
            _ => None,
        })
    }
}
