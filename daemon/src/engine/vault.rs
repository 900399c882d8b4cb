//! The notes of the vault for callers: their versions, the way back to one, and what is gone all at once.

use std::collections::BTreeMap;

use clone_markdown::lines::{Change, change};
use clone_schema::Fault;
use clone_schema::api::{DeletionsRequest, UndoRequest};
use clone_schema::internal::{FileText, Payload};
use serde_json::{Value, json};

use super::{Engine, SETTLE_PATIENCE, ok};
use crate::derive::Wake;
use crate::derive::forget::evidence;
use crate::derive::vault::{bytes_at, text_at};
use crate::derive::versions::{Version, What};
use crate::derive::view::View;
use crate::serve::Reply;

/// The most changed lines that one version shows of each kind.
const LINES_SHOWN: usize = 20;

impl Engine {
    /// The versions of one note, newest first: who, when, and which lines changed.
    pub(super) fn memory_history(&self, query: &BTreeMap<String, String>) -> Result<Reply, Fault> {
        let of =
            query.get("of").ok_or_else(|| Fault::invalid("`of` says which note: an id, or a path in the vault"))?;
        let view = self.read()?;
        let path = path_of(&view, of)?;
        let versions = view.versions.of(&path).to_vec();
        let is_there = view.ledger.get(&path).is_some();
        let note = view.ledger.get(&path).map_or_else(|| deleted(&versions), |row| row.note.clone());
        let rests = note.as_ref().filter(|_| !is_there).and_then(|id| evidence(&view, id)).unwrap_or_default();
        drop(view);
        // Who deletes a note is rid of the claim, and not of what was said: that goes only with `forget`.
        let held = rests.iter().filter(|id| self.log.position(id).is_some()).count();
        let mut rows: Vec<Value> = Vec::new();
        let mut before = String::new();
        for version in versions {
            let text = version.what.has_text().then(|| text_at(&self.log, version.position)).flatten();
            let changed = text.as_ref().map_or_else(Change::default, |text| change(&before, text));
            rows.push(row(&version, &changed, text.is_none() && version.what.has_text()));
            before = text.unwrap_or(before);
        }
        rows.reverse();
        ok(&json!({"path": path, "id": note, "exists": is_there, "still_held": held, "versions": rows}))
    }

    /// Puts an earlier text of a note back, as the person's.
    pub(super) fn memory_undo(&self, request: &UndoRequest) -> Result<Reply, Fault> {
        // What a person did a moment ago in the folder is a version too.
        self.settle()?;
        let view = self.read()?;
        let path = path_of(&view, &request.of)?;
        let (number, bytes) = self.earlier(view.versions.of(&path), view.ledger.get(&path).is_some(), request.to)?;
        let base = view.ledger.get(&path).and_then(|row| row.edit_base());
        drop(view);
        let file = FileText { asked: true, base, ..FileText::new(&path, &bytes) };
        self.note(Payload::VaultEdited(file))?;
        self.settle()?;
        ok(&json!({"path": path, "to": number}))
    }

    /// The version that was asked for, or the last one with another text than the note has now.
    fn earlier(&self, versions: &[Version], is_there: bool, to: Option<u32>) -> Result<(u32, Vec<u8>), Fault> {
        let mut texts = versions.iter().rev().filter(|version| version.what.has_text());
        if let Some(to) = to {
            let found = texts.find(|version| version.number == to);
            let found = found.ok_or_else(|| Fault::not_found(format!("no version {to} with a text")))?;
            let bytes = bytes_at(&self.log, found.position);
            return Ok((to, bytes.ok_or_else(|| Fault::not_found(format!("version {to} was forgotten")))?));
        }
        let mut texts = texts.filter_map(|version| Some((version.number, bytes_at(&self.log, version.position)?)));
        let now = if is_there { texts.next().map(|(_, bytes)| bytes) } else { None };
        let hint = "delete its file to be rid of it";
        texts
            .find(|(_, bytes)| now.as_ref() != Some(bytes))
            .ok_or_else(|| Fault::not_found("there is no earlier version").hint(hint))
    }

    /// Notes that are gone all at once and wait for a word.
    pub(super) fn deletions_list(&self) -> Result<Reply, Fault> {
        ok(&self.read()?.held.iter().map(|path| json!({"path": path})).collect::<Vec<_>>())
    }

    /// Says what notes that are gone all at once are: deleted, or an accident.
    pub(super) fn deletions_decide(&self, request: &DeletionsRequest) -> Result<Reply, Fault> {
        self.settle()?;
        let decided =
            self.ask(|told| Wake::Deletions(request.confirm, told), SETTLE_PATIENCE, "still at it; try again");
        let notes = decided?.map_err(Fault::internal)?;
        self.settle()?;
        ok(&json!({"notes": notes, "deleted": request.confirm}))
    }
}

/// The id that a deleted note had.
fn deleted(versions: &[Version]) -> Option<String> {
    match &versions.last()?.what {
        What::Deleted { note } => note.clone(),
        _ => None,
    }
}

/// The path of a note that is named by its id or its path, of a deleted one too.
fn path_of(view: &View, of: &str) -> Result<String, Fault> {
    let of = of.trim_start_matches("./");
    let known = |path: &str| view.ledger.get(path).is_some() || !view.versions.of(path).is_empty();
    if known(of) {
        return Ok(of.to_owned());
    }
    let by_id = view.ledger.path_of(of).or_else(|| view.versions.deleted("", Some(of)).map(|(path, _)| path));
    let hint = "`clone memory list` shows ids; a path is relative to the vault";
    by_id.map(str::to_owned).ok_or_else(|| Fault::not_found(format!("no note `{of}`")).hint(hint))
}

fn row(version: &Version, changed: &Change, is_forgotten: bool) -> Value {
    let mut row = serde_json::to_value(version).unwrap_or_default();
    let shown = |lines: &[String]| json!(lines.iter().take(LINES_SHOWN).collect::<Vec<_>>());
    row["by"] = json!(version.what.by());
    row["added"] = json!(changed.added.len());
    row["removed"] = json!(changed.removed.len());
    row["lines"] = json!({"added": shown(&changed.added), "removed": shown(&changed.removed)});
    row["forgotten"] = json!(is_forgotten);
    row
}
