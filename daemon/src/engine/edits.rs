//! Memory written by callers: every call is an edit of a note, or the deletion of one, and so stands in the log as the
//! person's; a rebuild keeps it, `memory history` shows it, and `memory undo` takes it back.

use clone_markdown::front_matter::Value;
use clone_markdown::{Document, edit, episode, fact};
use clone_schema::api::{EpisodeEdit, FactEdit, ProfileEdit};
use clone_schema::event::Origin;
use clone_schema::internal::{FileText, Payload};
use clone_schema::memory::{Episode, Evidence, Fact, Provenance, Status};
use clone_schema::text::one_line;
use clone_schema::{Fault, Timestamp, fault};

use super::{Engine, SETTLE_PATIENCE, body, log_fault, reply};
use crate::clock;
use crate::derive::notes::{PROFILE, SOUL};
use crate::derive::vault::text_at;
use crate::derive::{self, Wake};
use crate::serve::{Call, Reply};

/// The longest claim, title or tag, in characters.
const LINE_CHARS_MAX: usize = 2_000;
/// The most tags of one note.
const TAGS_MAX: usize = 50;

/// A note to be changed: where it is, what it says, and the text of ours that it was made of.
struct Found {
    path: String,
    text: String,
    base: Option<u64>,
}

impl Engine {
    /// Answers what changes memory.
    pub(super) fn edited(&self, call: &Call, id: &str) -> Result<Reply, Fault> {
        match call.operation.name {
            "facts_add" => self.facts_add(&body(call)?),
            "facts_edit" => self.facts_edit(id, &body(call)?),
            "facts_delete" => self.facts_delete(id),
            "episodes_add" => self.episodes_add(&body(call)?),
            "episodes_edit" => self.episodes_edit(id, &body(call)?),
            "episodes_delete" => self.episodes_delete(id),
            "profile_set" => self.profile_set(&body(call)?),
            "profile_delete" => self.profile_delete(),
            other => Err(Fault::internal(format!("operation `{other}` has no method"))),
        }
    }

    /// States a fact.
    fn facts_add(&self, asked: &FactEdit) -> Result<Reply, Fault> {
        let text = asked.text.as_deref().ok_or_else(|| Fault::invalid("'text' is a required property"))?;
        let text = line("text", text)?;
        let (event, at) = (clock::new_id(), clock::now());
        let note = changed(&format!("{text}\n"), &values_of_fact(asked)?)?;
        let note = if fact::parse(&note).0.text == text { note } else { set(&note, "text", &Value::Text(text))? };
        let stated = fact::parse(&note).0.into_fact(&event, at);
        self.write(&event, FileText::new(&fact::file_name(&stated), note.as_bytes()))?;
        let found = self.read()?.facts.get(&stated.id).cloned();
        reply(201, &found.ok_or_else(|| Fault::internal("the fact was noted and is not found"))?)
    }

    /// Changes what a fact says; the person's word from then on.
    fn facts_edit(&self, id: &str, asked: &FactEdit) -> Result<Reply, Fault> {
        let values = values_of_fact(asked)?;
        self.settle()?;
        let (fact, found) = self.fact_note(id)?;
        let mut note = changed(&found.text, &values)?;
        if let Some(text) = &asked.text {
            note = reworded(&note, &fact.text, &line("text", text)?)?;
        }
        // A note of the person's goes by the event that first held it and by its words: these change.
        if fact::parse(&note).0.id.is_none() {
            let provenance = Value::Text(Provenance::Stated.name().to_owned());
            note = set(&set(&note, "id", &Value::Text(id.to_owned()))?, "provenance", &provenance)?;
        }
        self.write(&clock::new_id(), FileText { base: found.base, ..FileText::new(&found.path, note.as_bytes()) })?;
        self.facts_get(id)
    }

    /// Withdraws a fact: it is not inferred again.
    fn facts_delete(&self, id: &str) -> Result<Reply, Fault> {
        self.settle()?;
        let (_, found) = self.fact_note(id)?;
        self.withdraw(found)
    }

    /// The fact of this id, and its note as it is or as it would be.
    fn fact_note(&self, id: &str) -> Result<(Fact, Found), Fault> {
        let view = self.read()?;
        let fact = view.facts.get(id).ok_or_else(|| Fault::not_found(format!("no fact `{id}`")))?.clone();
        let path = view.stated.get(id).map(String::as_str).or_else(|| view.ledger.path_of(id)).map(str::to_owned);
        drop(view);
        let path = path.unwrap_or_else(|| fact::file_name(&fact));
        let found = self.note_at(&path)?.unwrap_or_else(|| Found { path, text: fact::render(&fact), base: None });
        Ok((fact, found))
    }

    /// Tells an episode that nobody recorded.
    fn episodes_add(&self, asked: &EpisodeEdit) -> Result<Reply, Fault> {
        let (event, now) = (clock::new_id(), clock::now());
        let title = asked.title.as_deref().ok_or_else(|| Fault::invalid("'title' is a required property"))?;
        let started_at = asked.started_at.unwrap_or(now);
        let ended_at = asked.ended_at.unwrap_or(started_at);
        ordered(started_at, ended_at)?;
        let told = Episode {
            id: clone_schema::id::episode("", &event),
            title: line("title", title)?,
            started_at,
            ended_at,
            summary: asked.summary.clone().unwrap_or_default(),
            sources: Vec::new(),
            participants: Vec::new(),
            outcome: asked.outcome.clone().unwrap_or_default(),
            open_ends: asked.open_ends.clone().unwrap_or_default(),
            tags: tags(asked.tags.as_deref())?,
            evidence: vec![Evidence { id: event.clone(), origin: Origin::Typed }],
        };
        self.write(&event, FileText::new(&episode::file_name(&told), episode::render(&told).as_bytes()))?;
        let found = self.read()?.episodes.get(&told.id).cloned();
        reply(201, &found.ok_or_else(|| Fault::internal("the episode was noted and is not found"))?)
    }

    /// Changes how an episode is told.
    fn episodes_edit(&self, id: &str, asked: &EpisodeEdit) -> Result<Reply, Fault> {
        let values = values_of_episode(asked)?;
        self.settle()?;
        let (told, found) = self.episode_note(id)?;
        ordered(asked.started_at.unwrap_or(told.started_at), asked.ended_at.unwrap_or(told.ended_at))?;
        let mut note = changed(&found.text, &values)?;
        if let Some(summary) = &asked.summary {
            let document = Document::parse(&note);
            let newline = document.line_ending().as_str();
            note = format!("{}{newline}{summary}{newline}", &note[..document.body_start()]);
        }
        self.write(&clock::new_id(), FileText { base: found.base, ..FileText::new(&found.path, note.as_bytes()) })?;
        self.episodes_get(id)
    }

    /// Takes an episode away: it is not told again.
    fn episodes_delete(&self, id: &str) -> Result<Reply, Fault> {
        self.settle()?;
        let (_, found) = self.episode_note(id)?;
        self.withdraw(found)
    }

    fn episode_note(&self, id: &str) -> Result<(Episode, Found), Fault> {
        let view = self.read()?;
        let told = view.episodes.get(id).ok_or_else(|| Fault::not_found(format!("no episode `{id}`")))?.clone();
        let path = view.ledger.path_of(id).map(str::to_owned);
        drop(view);
        let path = path.unwrap_or_else(|| episode::file_name(&told));
        let found = self.note_at(&path)?.unwrap_or_else(|| Found { path, text: episode::render(&told), base: None });
        Ok((told, found))
    }

    /// Writes the profile, the soul card, or both as the person's; what is learned later is merged into them.
    fn profile_set(&self, asked: &ProfileEdit) -> Result<Reply, Fault> {
        if asked.body.is_none() && asked.soul.is_none() {
            return Err(Fault::invalid("nothing says what to write").hint("give `body`, `soul` or both"));
        }
        self.settle()?;
        for (path, text) in [(PROFILE, &asked.body), (SOUL, &asked.soul)] {
            let Some(text) = text else { continue };
            let base = self.note_at(path)?.and_then(|found| found.base);
            self.write(&clock::new_id(), FileText { base, ..FileText::new(path, text.as_bytes()) })?;
        }
        self.profile_get()
    }

    /// Takes what the person wrote out of profile and soul card: both are compiled afresh.
    fn profile_delete(&self) -> Result<Reply, Fault> {
        self.settle()?;
        for path in [PROFILE, SOUL] {
            if let Some(found) = self.note_at(path)? {
                self.withdraw(found)?;
            }
        }
        Ok(Reply { status: 204, body: String::new() })
    }

    /// The note at this path, where there is one.
    fn note_at(&self, path: &str) -> Result<Option<Found>, Fault> {
        let view = self.read()?;
        let Some(row) = view.ledger.get(path) else { return Ok(None) };
        let (position, base) = (row.position, row.edit_base());
        drop(view);
        let text = text_at(&self.log, position)
            .ok_or_else(|| Fault::internal(format!("the text of `{path}` cannot be read back from the log")))?;
        Ok(Some(Found { path: path.to_owned(), text, base }))
    }

    /// Records a text of a note as the person's, and waits until memory and the folder follow.
    fn write(&self, event: &str, file: FileText) -> Result<(), Fault> {
        let file = FileText { asked: true, ..file };
        let entry = derive::entry_with_id(event.to_owned(), Payload::VaultEdited(file));
        self.log.append(vec![entry]).map_err(|error| log_fault(&error))?;
        self.settle().map(drop)
    }

    /// Deletes a note, and waits until memory and the folder follow.
    fn withdraw(&self, found: Found) -> Result<Reply, Fault> {
        if self.read()?.ledger.get(&found.path).is_none() {
            // What has no note yet is withdrawn by one that comes and goes.
            self.note(Payload::VaultEdited(FileText {
                asked: true,
                ..FileText::new(&found.path, found.text.as_bytes())
            }))?;
        }
        let deleted = self.ask(|told| Wake::Delete(found.path, told), SETTLE_PATIENCE, "still at it; try again")?;
        deleted
            .map_err(|message| Fault::new(fault::Kind::Unavailable, message).hint("nothing was deleted; try again"))?;
        self.settle()?;
        Ok(Reply { status: 204, body: String::new() })
    }
}

/// The keys of the front matter that a request gives.
type Values = Vec<(&'static str, Value)>;

fn values_of_fact(asked: &FactEdit) -> Result<Values, Fault> {
    let mut values = Values::new();
    if let Some(kind) = &asked.kind {
        values.push(("kind", Value::Text(line("kind", kind)?)));
    }
    if let Some(importance) = asked.importance {
        if !(0.0..=1.0).contains(&importance) {
            return Err(Fault::invalid("importance must be 0 to 1"));
        }
        values.push(("importance", Value::Plain(format!("{importance:.3}"))));
    }
    if let Some(status) = &asked.status {
        let known = Status::from_name(status).filter(|status| *status != Status::Pending);
        let known =
            known.ok_or_else(|| Fault::invalid(format!("status must be active or archived, not `{status}`")))?;
        values.push(("status", Value::Text(known.name().to_owned())));
    }
    if asked.tags.is_some() {
        values.push(("tags", Value::List(tags(asked.tags.as_deref())?)));
    }
    Ok(values)
}

fn values_of_episode(asked: &EpisodeEdit) -> Result<Values, Fault> {
    let mut values = Values::new();
    if let Some(title) = &asked.title {
        values.push(("title", Value::Text(line("title", title)?)));
    }
    for (key, at) in [("started_at", asked.started_at), ("ended_at", asked.ended_at)] {
        values.extend(at.map(|at| (key, Value::Plain(at.to_string()))));
    }
    values.extend(asked.outcome.clone().map(|outcome| ("outcome", Value::Text(one_line(&outcome)))));
    values.extend(asked.open_ends.clone().map(|ends| ("open_ends", Value::List(ends))));
    if asked.tags.is_some() {
        values.push(("tags", Value::List(tags(asked.tags.as_deref())?)));
    }
    Ok(values)
}

/// Words on one line, of which there are some and not too many.
fn line(name: &str, text: &str) -> Result<String, Fault> {
    let text = one_line(text);
    match text.chars().count() {
        0 => Err(Fault::invalid(format!("`{name}` is empty"))),
        1..=LINE_CHARS_MAX => Ok(text),
        _ => Err(Fault::invalid(format!("`{name}` is over {LINE_CHARS_MAX} characters"))),
    }
}

fn tags(given: Option<&[String]>) -> Result<Vec<String>, Fault> {
    let given = given.unwrap_or_default();
    if given.len() > TAGS_MAX {
        return Err(Fault::invalid(format!("tags must be {TAGS_MAX} or fewer")));
    }
    given.iter().map(|tag| line("tags", tag)).collect()
}

fn ordered(started_at: Timestamp, ended_at: Timestamp) -> Result<(), Fault> {
    if ended_at < started_at { Err(Fault::invalid("`ended_at` is before `started_at`")) } else { Ok(()) }
}

/// A note with these values in its front matter.
fn changed(note: &str, values: &Values) -> Result<String, Fault> {
    values.iter().try_fold(note.to_owned(), |note, (key, value)| set(&note, key, value))
}

fn set(note: &str, key: &str, value: &Value) -> Result<String, Fault> {
    edit::set(note, key, value).map_err(|error| Fault::invalid(error.to_string()).hint("edit its file instead"))
}

/// A note of a fact with other words: where the claim stands in its body, and in its front matter where that says it.
fn reworded(note: &str, old: &str, new: &str) -> Result<String, Fault> {
    let (head, body) = note.split_at(Document::parse(note).body_start());
    let note = format!("{head}{}", body.replacen(&one_line(old), new, 1));
    let states = Document::parse(&note).entry("text").is_some();
    if states || fact::parse(&note).0.text != new {
        return set(&note, "text", &Value::Text(new.to_owned()));
    }
    Ok(note)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_reworded_wherever_its_note_says_it_and_nothing_else_is() {
        let cases = [
            ("I drink tea.\n\nSince 2019.\n", "I drink rum.\n\nSince 2019.\n"),
            ("---\ntext: I drink tea.\n---\n\nI drink tea.\n", "---\ntext: I drink rum.\n---\n\nI drink rum.\n"),
            ("---\nx: 1\n---\nI  drink\ntea.\n", "---\nx: 1\ntext: I drink rum.\n---\nI  drink\ntea.\n"),
        ];
        for (note, expected) in cases {
            let told = reworded(note, "I drink tea.", "I drink rum.").unwrap();
            assert_eq!((told.as_str(), fact::parse(&told).0.text.as_str()), (expected, "I drink rum."), "{note:?}");
        }
    }
}
