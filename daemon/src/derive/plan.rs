//! What follows from forgetting some events: what the daemon wrote because of them, found without guessing.
//!
//! The log is folded once more without them, beside the running view. Whatever that shadow knows differently rests on them:
//! its notes go with all their versions and are written anew from what is left. What cannot be derived again (predictions,
//! verdicts) goes where it cites one of them, or repeats a line that stands in none of the events that stay.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use aho_corasick::AhoCorasick;
use clone_schema::api::{Followed, ForgetReply};
use clone_schema::internal::{FileText, Internal, Payload};
use clone_schema::{Position, Timestamp};

use super::DeriveError;
use super::notes;
use super::selection::{Known, OWN_CHARS, Selection, noted, own_text, phrases, said, text_of};
use super::view::{Changes, View};
use crate::log::{Doomed, Erasure, Holds, Keyed, Log, LogError, Of, Record, Tombstone};
use crate::memory::vault::{Author, hash};

/// Records read at once.
const SCAN: usize = 1_000;
/// Lines of what is forgotten by which it is looked for, at most.
const PHRASES_MAX: usize = 5_000;
/// Lines of what is forgotten that are held against all that stays, at most: an automaton is made of them.
const LINES_MAX: usize = 4 * PHRASES_MAX;
/// How often what follows from what follows is looked for.
const ROUNDS: usize = 5;
/// Bytes of an id that nobody writes by chance.
const ID_BYTES: usize = 8;
/// Characters of a fact or an episode that a dry run shows.
const SHOWN_CHARS: usize = 120;

/// What goes, and why it is known to be all.
#[derive(Default)]
pub struct Plan {
    /// Positions of what goes, with their topics.
    pub gone: BTreeMap<u64, &'static str>,
    /// What stays of it.
    stones: Vec<Tombstone>,
    /// Sessions and projects of which nothing more is taken.
    items: BTreeSet<Keyed>,
    withdrawn: BTreeSet<String>,
    files: Vec<Doomed>,
    facts: Vec<Followed>,
    episodes: Vec<Followed>,
    notes: BTreeSet<String>,
    yours: BTreeSet<String>,
    /// Notes of the person's without the lines that quote it.
    pub cleaned: Vec<FileText>,
    /// What a search for the rest looks for: lines, and ids, that stand nowhere else.
    pub marks: Vec<String>,
    /// How many such lines there are.
    lines: usize,
}

impl Plan {
    /// The journal of it.
    #[must_use]
    pub fn erasure(&self, id: String, at: Timestamp, upto: Position, by: &str, holds: Holds) -> Erasure {
        Erasure {
            id,
            at,
            by: by.to_owned(),
            runs: runs(self.gone.keys().copied()),
            upto,
            stones: self.stones.clone(),
            withdrawn: self.withdrawn.iter().cloned().collect(),
            files: self.files.clone(),
            holds,
            items: self.items.iter().copied().collect(),
        }
    }

    /// The answer to whoever asked.
    #[must_use]
    pub fn reply(&self, dry_run: bool) -> ForgetReply {
        let mut events = BTreeMap::new();
        for topic in self.gone.values() {
            *events.entry((*topic).to_owned()).or_default() += 1;
        }
        let told = |followed: &[Followed]| {
            let shown = |one: &Followed| Followed { text: one.text.clone().filter(|_| dry_run), ..one.clone() };
            followed.iter().map(shown).collect()
        };
        ForgetReply {
            dry_run,
            events,
            facts: told(&self.facts),
            episodes: told(&self.episodes),
            notes: self.notes.iter().cloned().collect(),
            yours: self.yours.iter().cloned().collect(),
            lines: self.lines,
            ..ForgetReply::default()
        }
    }
}

/// First and last of every run of ascending positions.
fn runs(positions: impl Iterator<Item = u64>) -> Vec<(u64, u64)> {
    let mut out: Vec<(u64, u64)> = Vec::new();
    for position in positions {
        match out.last_mut() {
            Some((_, last)) if *last + 1 == position => *last = position,
            _ => out.push((position, position)),
        }
    }
    out
}

/// Works out what goes. Costs two readings of the whole log, one of them a fold, and two to six of what the daemon noted.
///
/// # Errors
///
/// The log cannot be read.
pub fn plan(log: &Log, view: &View, selection: &Selection, vault: bool) -> Result<Plan, DeriveError> {
    let mut planner = Planner { log, view, vault, plan: Plan::default(), ids: HashSet::new(), paths: BTreeSet::new() };
    let mut lines = planner.select(selection)?;
    // Words that no event holds may stand in a note or a verdict all the same.
    if planner.plan.gone.is_empty() && !selection.is_text_alone() {
        return Ok(planner.plan);
    }
    let shadow = planner.shadow(&mut lines)?;
    planner.compare(shadow);
    planner.plan.lines = lines.len();
    lines.truncate(PHRASES_MAX);
    planner.follow(&lines)?;
    planner.doom(&lines)?;
    let mut plan = planner.plan;
    plan.marks = lines;
    Ok(plan)
}

/// Lines by which what is forgotten is known again; no more than [`LINES_MAX`].
struct Lines {
    /// The words that were asked for: whatever else is cut, they are looked for.
    asked: Option<String>,
    others: BTreeSet<String>,
}

impl Lines {
    fn new(asked: Option<&str>) -> Self {
        Self { asked: asked.map(str::to_owned), others: BTreeSet::new() }
    }

    fn take(&mut self, said: &str) {
        let most = LINES_MAX - usize::from(self.asked.is_some());
        for line in phrases(said).filter(|line| self.asked.as_ref() != Some(line)) {
            if self.others.len() >= most {
                return;
            }
            self.others.insert(line);
        }
    }

    /// Those that were asked for, then the others in their order.
    fn listed(self) -> Vec<String> {
        self.asked.into_iter().chain(self.others).collect()
    }
}

struct Planner<'a> {
    log: &'a Log,
    view: &'a View,
    /// Whether the person's own notes go along.
    vault: bool,
    plan: Plan,
    /// Of events and predictions that go.
    ids: HashSet<String>,
    /// Of notes of ours that go.
    paths: BTreeSet<String>,
}

/// What the log is without them.
struct Shadow {
    view: View,
    /// Notes that it would write otherwise.
    told: Vec<String>,
}

/// Reads the log up to where the view is.
pub(super) fn each(log: &Log, until: Position, mut take: impl FnMut(&Record)) -> Result<(), LogError> {
    let mut from = Position(0);
    while from < until {
        let records = log.scan(from, SCAN)?;
        let Some(last) = records.last() else { break };
        from = last.position.next();
        records.iter().filter(|record| record.position < until).for_each(&mut take);
    }
    Ok(())
}

impl Planner<'_> {
    /// Takes what was asked for; gives the lines by which it is known again.
    fn select(&mut self, selection: &Selection) -> Result<Vec<String>, LogError> {
        let (mut lines, mut found) = (Lines::new(selection.text()), Vec::new());
        each(self.log, self.view.cursor, |record| {
            let Some(known) = Known::of(record).filter(|known| selection.takes(record, known)) else { return };
            let text = match &known {
                Known::Event(event) => {
                    let item = selection.kept_out(event);
                    self.plan.items.extend(item.map(|item| self.log.keyed(Of::Item, item.as_bytes())));
                    own_text(event)
                }
                Known::Internal(_) => None,
            };
            if !matches!(&known, Known::Internal(internal) if matches!(internal.payload, Payload::PredictionMade { .. }))
            {
                lines.take(&said(&known));
            }
            found.push((record.position.0, record.topic, record.id.clone(), text));
        })?;
        for (position, topic, id, text) in found {
            let text = text.map(|text| self.log.keyed(Of::Text, text.as_bytes()));
            self.plan.stones.push(Tombstone { id: self.log.keyed(Of::Id, id.as_bytes()), text });
            self.plan.gone.insert(position, topic);
            self.ids.insert(id);
        }
        Ok(lines.listed())
    }

    /// Folds everything else, and drops the lines that it says as well: they give nothing away.
    fn shadow(&self, lines: &mut Vec<String>) -> Result<Shadow, LogError> {
        let (mut view, mut changes) = (View::new(self.view.soul_tokens), Changes::default());
        let finder = finder(lines)?;
        let mut common = BTreeSet::new();
        each(self.log, self.view.cursor, |record| {
            if self.plan.gone.contains_key(&record.position.0) {
                return;
            }
            let known = Known::of(record);
            view.fold(record, self.log, &mut changes, &mut Vec::new());
            changes = Changes::default();
            let ground = matches!(&known, Some(Known::Event(_)))
                || matches!(&known, Some(Known::Internal(one)) if matches!(one.payload, Payload::MemoryNoted { .. }));
            if let Some(known) = known.filter(|_| ground) {
                let said = said(&known).to_lowercase();
                common.extend(finder.find_overlapping_iter(&said).map(|hit| hit.pattern().as_usize()));
            }
        })?;
        let mut number = 0..;
        lines.retain(|_| number.next().is_some_and(|number| !common.contains(&number)));
        let told = view.refresh(self.log).files.into_iter().map(|file| file.path).collect();
        Ok(Shadow { view, told })
    }

    /// What differs rests on what goes.
    fn compare(&mut self, shadow: Shadow) {
        let mut changed = BTreeSet::new();
        let mut counted = BTreeSet::new();
        for (id, fact) in self.view.facts.iter().filter(|(id, fact)| shadow.view.facts.get(*id) != Some(fact)) {
            let rests = fact.evidence.iter().any(|one| self.ids.contains(&one.id));
            let left = shadow.view.facts.get(id);
            // Where only its numbers change, its notes say nothing of what goes.
            let only_counts = !rests && left.is_some_and(|left| left.text == fact.text);
            if only_counts {
                counted.insert(id.clone())
            } else {
                changed.insert(id.clone())
            };
            self.plan.facts.push(followed(id, left.is_none(), &fact.text));
        }
        let other = |id: &String, episode: &_| shadow.view.episodes.get(id) != Some(episode);
        for (id, episode) in self.view.episodes.iter().filter(|(id, episode)| other(id, episode)) {
            changed.insert(id.clone());
            self.plan.episodes.push(followed(id, !shadow.view.episodes.contains_key(id), &episode.title));
        }
        let ours = |path: &str| {
            let row = self.view.ledger.get(path).filter(|row| row.author == Author::Daemon);
            row.is_some_and(|row| !row.note.as_ref().is_some_and(|id| counted.contains(id)))
        };
        let by_id = self.view.ledger.rows().filter(|(_, row)| row.note.as_ref().is_some_and(|id| changed.contains(id)));
        let paths = by_id.map(|(path, _)| path.to_owned()).chain(shadow.told).filter(|path| ours(path));
        self.paths.extend(paths.collect::<Vec<_>>());
        let ended = self.view.threads.keys().filter(|id| !shadow.view.threads.contains_key(*id));
        self.ids.extend(ended.map(|id| format!("session:{id}")).collect::<Vec<_>>());
    }

    /// Takes what the daemon wrote because of it, again and again until there is no more.
    fn follow(&mut self, lines: &[String]) -> Result<(), LogError> {
        for _ in 0..ROUNDS {
            let before = (self.plan.gone.len(), self.paths.len(), self.ids.len());
            let stems = self.paths.iter().map(|path| clone_markdown::name::stem(path).to_owned());
            let stems = stems.filter(|stem| stem.chars().count() >= OWN_CHARS);
            let finder = finder(&lines.iter().cloned().chain(stems).collect::<Vec<_>>())?;
            each(self.log, self.view.cursor, |record| {
                if !self.plan.gone.contains_key(&record.position.0)
                    && let Some(internal) = Known::internal(record)
                {
                    self.follow_one(record.position.0, record.topic, &internal, &finder);
                }
            })?;
            if before == (self.plan.gone.len(), self.paths.len(), self.ids.len()) {
                break;
            }
        }
        self.follow_names()
    }

    /// Whether a record cites what goes, or repeats its words.
    fn repeats(&self, internal: &Internal, finder: &AhoCorasick) -> bool {
        if let Payload::PredictionMade { prediction } = &internal.payload
            && prediction.candidates.iter().flat_map(|one| &one.evidence).any(|one| self.ids.contains(&one.id))
        {
            return true;
        }
        let said = noted(internal);
        self.cites(&said) || finder.is_match(&said.to_lowercase())
    }

    /// Whether a text holds one of the ids as a word; shorter ones are anybody's words.
    fn cites(&self, text: &str) -> bool {
        let apart = |c: char| c.is_whitespace() || "\"'`,;()[]{}|<>".contains(c);
        text.split(apart).any(|word| word.len() >= ID_BYTES && self.ids.contains(word))
    }

    fn follow_one(&mut self, position: u64, topic: &'static str, internal: &Internal, finder: &AhoCorasick) {
        let goes = match &internal.payload {
            Payload::KeyCreated(_) | Payload::KeyRevoked { .. } | Payload::ConfigChanged { .. } => false,
            Payload::EventForgotten(_) | Payload::ImportMarked { .. } => false,
            // Paths follow their files.
            Payload::VaultMoved { .. } | Payload::VaultDeleted { .. } => false,
            Payload::SessionClosed { session_id, .. } => self.ids.contains(&format!("session:{session_id}")),
            Payload::FeedbackGiven(feedback) => {
                self.ids.contains(&feedback.prediction_id) || self.repeats(internal, finder)
            }
            Payload::VaultEdited(file) | Payload::VaultWritten(file) if is_persons(internal, file) => {
                let quotes = self.repeats(internal, finder);
                if quotes {
                    self.plan.yours.insert(file.path.clone());
                }
                quotes && self.vault
            }
            Payload::VaultWritten(file) => {
                let goes = self.paths.contains(&file.path) || self.repeats(internal, finder);
                if goes {
                    self.paths.insert(file.path.clone());
                    self.withdraw(file);
                }
                goes
            }
            _ => self.repeats(internal, finder),
        };
        if goes {
            self.plan.gone.insert(position, topic);
            if matches!(internal.payload, Payload::PredictionMade { .. }) {
                self.ids.insert(internal.id.clone());
            }
        }
    }

    /// A claim that was withdrawn stays so without the note that said it.
    fn withdraw(&mut self, file: &FileText) {
        let text = text_of(file);
        let text = text.split_once('\n').map_or("", |(_, text)| text);
        let keys = notes::withdrawal(&file.path, text, notes::note_id(text).as_deref());
        let known = keys.into_iter().filter(|key| self.view.withdrawn.contains(key));
        self.plan.withdrawn.extend(known);
    }

    /// Takes moves and deletions of files of which no version stays.
    fn follow_names(&mut self) -> Result<(), LogError> {
        let (mut kept, mut named) = (HashSet::new(), Vec::new());
        each(self.log, self.view.cursor, |record| {
            let Some(internal) = Known::internal(record) else { return };
            match internal.payload {
                _ if self.plan.gone.contains_key(&record.position.0) => {}
                Payload::VaultEdited(file) | Payload::VaultWritten(file) => drop(kept.insert(file.path)),
                Payload::VaultMoved { from, to } => named.push((record.position.0, record.topic, vec![from, to])),
                Payload::VaultDeleted { path, .. } => named.push((record.position.0, record.topic, vec![path])),
                _ => {}
            }
        })?;
        // A file that stays and was moved goes on under both names.
        let mut more = true;
        while std::mem::take(&mut more) {
            for (_, _, paths) in &named {
                if paths.iter().any(|path| kept.contains(path)) {
                    for path in paths {
                        more |= kept.insert(path.clone());
                    }
                }
            }
        }
        let touched = |paths: &[String]| {
            paths.iter().any(|path| self.paths.contains(path) || self.plan.yours.contains(path))
                && !paths.iter().any(|path| kept.contains(path))
        };
        let gone: Vec<_> = named.into_iter().filter(|(_, _, paths)| touched(paths)).collect();
        self.plan.gone.extend(gone.into_iter().map(|(position, topic, _)| (position, topic)));
        Ok(())
    }

    /// The files that go from the disk.
    fn doom(&mut self, lines: &[String]) -> Result<(), LogError> {
        let rows: Vec<_> = self.view.ledger.rows().map(|(path, row)| (path.to_owned(), row.clone())).collect();
        for (path, row) in rows {
            let persons = row.author == Author::Person;
            let goes = if persons { self.vault && self.plan.yours.contains(&path) } else { self.paths.contains(&path) };
            if !goes {
                continue;
            }
            if persons {
                self.plan.cleaned.extend(self.cleaned(&path, lines)?);
            } else {
                self.plan.notes.insert(path.clone());
            }
            let holds = row
                .ours
                .iter()
                .map(|older| &older.hash)
                .chain([&row.hash])
                .map(|hash| self.log.keyed(Of::Bytes, hash.as_bytes()));
            let path = self.log.keyed(Of::Path, path.as_bytes());
            self.plan.files.push(Doomed { path, holds: holds.collect() });
        }
        Ok(())
    }

    /// A note of the person's without the lines that quote it; a fact or an episode that quotes it goes whole.
    fn cleaned(&self, path: &str, lines: &[String]) -> Result<Option<FileText>, LogError> {
        let Some(note) =
            self.view.notes.get(path).filter(|_| !path.starts_with("facts/") && !path.starts_with("episodes/"))
        else {
            return Ok(None);
        };
        let finder = finder(lines)?;
        let quotes = |line: &&str| finder.is_match(&line.to_lowercase()) || self.cites(line);
        let kept: String = note.text.split_inclusive('\n').filter(|line| !quotes(line)).collect();
        Ok(Some(FileText { asked: true, ..FileText::new(path, kept.as_bytes()) }))
    }
}

/// Whether a text holds what a person wrote: their own, or ours merged into it.
fn is_persons(internal: &Internal, file: &FileText) -> bool {
    matches!(internal.payload, Payload::VaultEdited(_)) || file.derived.is_some()
}

fn followed(id: &str, gone: bool, text: &str) -> Followed {
    Followed { id: id.to_owned(), gone, text: Some(text.chars().take(SHOWN_CHARS).collect()) }
}

/// Finds any of these in what is in small letters.
fn finder(lines: &[String]) -> Result<AhoCorasick, LogError> {
    let built = AhoCorasick::new(lines.iter().map(|line| line.to_lowercase())).map_err(std::io::Error::other);
    built.map_err(|error| LogError::Io { what: "look for", file: "what is forgotten".to_owned(), source: error.into() })
}

/// Whether these bytes are what a doomed file may hold.
#[must_use]
pub fn may_go(log: &Log, doomed: &Doomed, bytes: &[u8]) -> bool {
    doomed.holds.contains(&log.keyed(Of::Bytes, hash(bytes).as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bounded_and_the_words_that_were_asked_for_come_first() {
        for (asked, others) in [(None, LINES_MAX), (Some("zebra"), LINES_MAX - 1)] {
            let mut lines = Lines::new(asked);
            for number in 0..LINES_MAX + 10 {
                lines.take(&format!("the line of number {number:06}\nthe line of number 000000\nshort"));
            }
            let listed = lines.listed();
            assert_eq!(listed.first().map(String::as_str), asked.or(Some("the line of number 000000")));
            assert_eq!(listed.len(), LINES_MAX);
            assert_eq!(listed.last(), Some(&format!("the line of number {:06}", others - 1)));
        }
        let mut lines = Lines::new(Some("a line that is said"));
        lines.take("a line that is said\na line that is said");
        assert_eq!(lines.listed(), ["a line that is said"]);
    }
}
