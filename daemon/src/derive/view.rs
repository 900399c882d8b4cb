//! Everything derived, in memory: a fold over the log, one record at a time.
//!
//! What a record changes is a function of the records before it and of nothing else: not of how many came at once, and
//! not of the time. That is what makes a rebuild give the same answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use clone_schema::api::Scope;
use clone_schema::event::{Body, Choice, Event, Origin};
use clone_schema::id::Claim;
use clone_schema::internal::{Feedback, FileText, Forgotten, Internal, Judge, Key, Payload, Verdict};
use clone_schema::memory::{Episode, Fact, Profile, SoulTokens};
use clone_schema::prediction::{Gate, Prediction, Status};
use clone_schema::{Position, Timestamp};
use serde::{Deserialize, Serialize};

use super::holders::Holders;
use super::imports::Imports;
use super::judging::{Heard, Judgements, Prompted, Waiting};
use super::lessons::{Ending, Learned, Lesson};
use super::notes::{self, Note};
use super::pairs::{self, Thread};
use super::selection;
use super::versions::{Versions, What};
use crate::index::Document;
use crate::log::{Grave, Keyed, Log, Record};
use crate::memory::session::{Closing, Sessions};
use crate::memory::vault::{Author, Base, Ledger, Row, Text, hash};
use crate::memory::{self, episode};
use crate::predict::{Chosen, Judged};
use crate::state::{Batch, Table};

/// What is known of one prediction without reading it back from the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// Position of `prediction.made`.
    pub position: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// The agent that asked.
    pub agent: String,
    /// The session it belongs to.
    pub session_id: Option<String>,
    /// `auto` or `escalated`, as answered.
    pub made: Status,
    /// What held it.
    pub gate: Gate,
    /// The caller's threshold.
    pub threshold: f64,
    /// It answers whether to go on, not what to say.
    pub continuation: bool,
    /// It could have been automatic but for the person's switch or a mute.
    pub held_back: bool,
    /// The newest verdict and who gave it.
    pub verdict: Option<(Verdict, Judge)>,
    /// By the person's own newest verdict, whether it was right; programs do not change it.
    pub person: Option<bool>,
    /// By what the person typed next, whether it was right.
    pub typed: Option<bool>,
    /// The facts it cited.
    pub facts: Vec<String>,
}

impl Mark {
    /// What is known of a prediction that was just made.
    #[must_use]
    pub fn new(position: Position, prediction: &Prediction) -> Self {
        Self {
            position: position.0,
            created_at: prediction.created_at,
            agent: prediction.agent.clone(),
            session_id: prediction.session_id.clone(),
            made: prediction.status,
            gate: prediction.gate,
            threshold: prediction.threshold,
            continuation: prediction.should_continue.is_some(),
            held_back: prediction.would_be_auto && matches!(prediction.gate, Gate::Shadow | Gate::Off | Gate::Mute),
            verdict: None,
            person: None,
            typed: None,
            facts: prediction.facts.clone(),
        }
    }

    /// Whether it was right, as the person said or else as they typed; none where neither happened.
    #[must_use]
    pub fn right(&self) -> Option<bool> {
        self.person.or(self.typed)
    }

    /// The status as the wire lists it: the verdict where there is one, else what was answered.
    #[must_use]
    pub fn status(&self) -> Status {
        match self.verdict {
            Some((Verdict::Accepted, _)) => Status::Accepted,
            Some((Verdict::Edited, _)) => Status::Edited,
            Some((Verdict::Rejected, _)) => Status::Rejected,
            None => self.made,
        }
    }
}

/// An API key without the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRow {
    /// What the person calls it.
    pub label: String,
    /// Hash of the whole key.
    pub hash: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// What it may do.
    #[serde(default = "everything")]
    pub scope: Scope,
    /// Whether it only renews the tokens of a page.
    #[serde(default)]
    pub renews: bool,
}

/// What a key of before there were scopes may do.
const fn everything() -> Scope {
    Scope::Admin
}

/// How much came from one source, and when last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Events.
    pub events: u64,
    /// When the newest of them happened.
    pub last: Option<Timestamp>,
}

/// What waits for the next commit.
#[derive(Default)]
pub struct Changes {
    /// Rows that are final already.
    pub rows: Batch,
    /// Documents put into the index since the last commit.
    pub documents: usize,
    /// Documents to take out of the index.
    pub removed: Vec<String>,
    /// An import ended here: sessions before it may close by the time of their events.
    pub import_ended: Option<Position>,
    /// Sessions whose row changed.
    pub sessions: BTreeSet<String>,
    /// Files of the vault whose row changed.
    pub files: BTreeSet<String>,
    /// Notes of which there is a new version.
    pub versions: BTreeSet<String>,
    /// Sources whose tally changed.
    pub tallies: BTreeSet<String>,
}

/// Everything derived.
#[derive(Default)]
pub struct View {
    /// Something is being forgotten, and nobody is answered from here meanwhile.
    pub forgetting: bool,
    /// The next position to fold.
    pub cursor: Position,
    /// Sessions and their open stretches.
    pub sessions: Sessions,
    /// Per session: where its events are and what the agent said last.
    pub threads: BTreeMap<String, Thread>,
    /// The reply model, and what repeats and was stated.
    pub learned: Learned,
    /// L1.
    pub episodes: BTreeMap<String, Episode>,
    /// Which episode rests on which event; see [`View::holder`].
    pub(super) holders: Holders,
    /// Our files whose fact no longer holds and that say so already: path, and position of the text.
    pub(super) put_away: BTreeMap<String, u64>,
    /// Notes that a person wrote or changed, by path.
    pub notes: BTreeMap<String, Note>,
    /// L2, as it stands after the person's word.
    pub facts: BTreeMap<String, Fact>,
    /// Facts that stand in a person's own file, and the path of it.
    pub stated: BTreeMap<String, String>,
    /// What is inferred beneath such a fact, by its id.
    pub beneath: BTreeMap<String, Fact>,
    /// Plain notes of a person's that the index holds: path and hash.
    pub plain: BTreeMap<String, String>,
    /// L3, as it stands after the person's word.
    pub profile: Profile,
    /// What the soul card may take.
    pub soul_tokens: SoulTokens,
    /// What the person decided, by gate.
    pub decisions: BTreeMap<String, String>,
    /// Claims and episodes that must not come back, by key.
    pub withdrawn: BTreeSet<String>,
    /// Predictions by their position; the log knows which id stands there.
    pub predictions: BTreeMap<u64, Mark>,
    /// Predictions that no prompt has judged yet.
    pub judgements: Judgements,
    /// Predictions that are answered and not folded yet, by id; see [`View::pending`].
    pending: Mutex<BTreeMap<String, Prediction>>,
    /// API keys by id.
    pub keys: BTreeMap<String, KeyRow>,
    /// Settings that are events.
    pub settings: BTreeMap<String, String>,
    /// What the vault should hold.
    pub ledger: Ledger,
    /// What became of each note.
    pub versions: Versions,
    /// Notes that are gone from the vault, so many at once that somebody must say what it was.
    pub held: BTreeSet<String>,
    /// How much came from where.
    pub tallies: BTreeMap<String, Tally>,
    /// Imports that ended.
    pub imports: Imports,
    /// What is wrong, by what it concerns.
    pub problems: BTreeMap<String, String>,
    /// Facts must be worked out again.
    pub facts_due: bool,
    /// Episodes whose note must be written.
    pub episodes_due: BTreeSet<String>,
}

/// The key under which a deleted claim stays deleted, whatever evidence comes later.
#[must_use]
pub fn claim_key(claim: &Claim) -> String {
    claim.fact_id("")
}

impl View {
    /// Nothing yet, and how long the soul card may become.
    #[must_use]
    pub fn new(soul_tokens: SoulTokens) -> Self {
        Self { soul_tokens, ..Self::default() }
    }

    /// Folds one record.
    pub fn fold(&mut self, record: &Record, log: &Log, changes: &mut Changes, documents: &mut Vec<Document>) {
        let wire = clone_schema::topic::find(record.topic).is_some_and(|(_, topic)| topic.wire);
        if wire {
            match Event::parse(&record.json) {
                Ok(event) => self.fold_event(record, event, log, changes, documents),
                Err(_) => self.unreadable(record),
            }
        } else {
            match serde_json::from_str::<Internal>(&record.json) {
                Ok(internal) => self.fold_internal(record, internal, log, changes, documents),
                Err(_) => self.unreadable(record),
            }
        }
        self.cursor = record.position.next();
    }

    /// Predictions that are answered and not folded yet, by id.
    ///
    /// Behind a lock of their own: an answer never waits to change the view, which readers may hold for long.
    pub fn pending(&self) -> MutexGuard<'_, BTreeMap<String, Prediction>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of the prediction with this id, once it is folded.
    #[must_use]
    pub fn mark(&self, id: &str, log: &Log) -> Option<&Mark> {
        self.predictions.get(&log.position(id)?.0)
    }

    fn unreadable(&mut self, record: &Record) {
        let message = format!(
            "event at position {} ({}) is of a version that this daemon cannot read",
            record.position, record.topic
        );
        self.problems.insert("unreadable".to_owned(), message);
    }

    fn fold_event(
        &mut self,
        record: &Record,
        event: Event,
        log: &Log,
        changes: &mut Changes,
        documents: &mut Vec<Document>,
    ) {
        self.tally(&event, changes);
        self.sessions.fold(record.position, &event);
        documents.extend(document(record.position, &event));
        let thread = self.threads.entry(event.session_id.clone()).or_default();
        thread.extend(record.position, record.recorded_at);
        if let Some(project) = event.project().filter(|project| thread.project.as_deref() != Some(project)) {
            thread.project = Some(project.to_owned());
        }
        changes.sessions.insert(event.session_id.clone());
        match &event.body {
            Body::AgentResponse { .. } => thread.agent_said(record.position),
            Body::AgentChoice(choice) if event.origin() == Origin::Typed => {
                self.chosen(record.position, &event, choice, changes);
            }
            Body::AgentPrompt { prompt, .. } => {
                let said = thread.take_said().and_then(|position| pairs::said(log, position));
                let (typed, text) = (event.origin() == Origin::Typed, said.as_ref().map(|said| said.text.as_str()));
                let heard = Heard { text: prompt, typed, said: text, dialog: None };
                let predicted = self.heard(record.position, &event.session_id, heard, changes);
                // What was written for other people is remembered; it is no reply to an agent, and nothing asked of one.
                if event.origin() == Origin::Typed && predicted != Prompted::Ours && !event.is_for_people() {
                    self.learn(record.position, &event, said, &predicted, changes);
                }
            }
            _ => {}
        }
    }

    /// Predicts first, judges the prediction by what was typed, then learns: the past never sees the future.
    ///
    /// Where a prediction was made for just this prompt, it is that one which is judged.
    fn learn(
        &mut self,
        position: Position,
        event: &Event,
        said: Option<pairs::Said>,
        predicted: &Prompted,
        changes: &mut Changes,
    ) {
        let Some(pair) = pairs::pair(event, said) else { return };
        let judged = matches!(predicted, Prompted::Judges { newest: Some(_), .. });
        if let Some(label) = pairs::label(&self.learned.predictor, &pair).filter(|_| !judged) {
            changes.rows.put(Table::Labels, &position.0.to_be_bytes(), &label);
            self.learned.take(position, &Lesson::Label(label));
        }
        changes.rows.put(Table::Pairs, &position.0.to_be_bytes(), &pair);
        self.learned.take(position, &Lesson::Pair(pair));
        self.facts_due = true;
    }

    fn tally(&mut self, event: &Event, changes: &mut Changes) {
        let source = selection::source(event).to_owned();
        let tally = self.tallies.entry(source.clone()).or_default();
        tally.events += 1;
        tally.last = tally.last.max(Some(event.occurred_at));
        changes.tallies.insert(source);
    }

    fn fold_internal(
        &mut self,
        record: &Record,
        internal: Internal,
        log: &Log,
        changes: &mut Changes,
        documents: &mut Vec<Document>,
    ) {
        let Internal { id, at, payload } = internal;
        match payload {
            Payload::PredictionMade { prediction } => self.made(record.position, &prediction, changes),
            Payload::FeedbackGiven(feedback) => self.judged(record.position, &feedback, log, changes),
            Payload::KeyCreated(key) => self.key(key, at, changes),
            Payload::KeyRevoked { key_id } => {
                self.keys.remove(&key_id);
                changes.rows.remove(Table::Keys, key_id.as_bytes());
            }
            Payload::ConfigChanged { key, value } => {
                changes.rows.put(Table::Settings, key.as_bytes(), &value);
                self.settings.insert(key, value);
            }
            Payload::VaultWritten(file) => self.written(record.position, &id, &file, at, changes),
            Payload::VaultEdited(file) => self.edited(record.position, &id, &file, at, log, changes),
            Payload::VaultMoved { from, to } => self.moved(record.position, &from, &to, at, changes),
            Payload::VaultDeleted { path, .. } => self.deleted(record.position, &path, at, log, changes),
            Payload::SessionClosed { session_id, upto, .. } => {
                self.closed(record.position, &session_id, upto, log, changes, documents);
            }
            Payload::EventForgotten(forgotten) => self.forgotten(record.position, &forgotten, at, log, changes),
            // For the record: which answers were asked only to see how such answers fare.
            Payload::ChoiceAudited { .. } => {}
            Payload::ImportMarked { .. } => self.imports.ended(record.position, changes),
            Payload::GateDecided { gate, choice } => {
                changes.rows.put(Table::Gates, gate.as_bytes(), &choice);
                self.decisions.insert(gate, choice);
                self.facts_due = true;
            }
            Payload::MemoryNoted { text, session_id } => {
                documents.push(noted(record.position, &id, &text, session_id.as_deref(), at));
            }
        }
    }

    /// What was withdrawn stays so; the log learns what it does not take again, should it have lost that.
    fn forgotten(&mut self, said: Position, forgotten: &Forgotten, at: Timestamp, log: &Log, changes: &mut Changes) {
        for key in &forgotten.withdrawn {
            changes.rows.put(Table::Withdrawn, key.as_bytes(), &true);
            self.withdrawn.insert(key.clone());
        }
        let hashes = |digits: &[String]| -> Vec<Keyed> {
            digits.iter().filter_map(|one| clone_schema::text::unhex(one)?.try_into().ok()).collect()
        };
        let (ids, texts, items) = (hashes(&forgotten.ids), hashes(&forgotten.texts), hashes(&forgotten.items));
        let buried = match &forgotten.removed_from {
            None => log.bury(&ids, &texts, at),
            Some(source) => log.keep_out(source, &Grave { ids, texts, items }, at, Some(said)),
        };
        let cleared = forgotten.cleared.as_ref().map_or(Ok(()), |source| log.let_in(source, said));
        if let Err(error) = buried.and(cleared) {
            tracing::error!(%error, "what was forgotten can come back until the next start");
        }
    }

    fn made(&mut self, position: Position, prediction: &Prediction, changes: &mut Changes) {
        let mark = Mark::new(position, prediction);
        changes.rows.put(Table::Predictions, &position.0.to_be_bytes(), &mark);
        self.pending().remove(&prediction.id);
        self.predictions.insert(position.0, mark);
        let Some(waiting) = Waiting::new(position, prediction, &self.learned.predictor) else { return };
        self.taught(position, waiting.acted_on().into_iter().collect(), changes);
        if let Some(session) = &prediction.session_id {
            if let Some(gone) = self.judgements.made(session, waiting) {
                changes.rows.remove(Table::Waiting, gone.as_bytes());
            }
            self.keep_waiting(session, changes);
        }
    }

    /// Takes what the person gave an agent as a word on the predictions before it; a verdict of theirs outranks it.
    fn heard(&mut self, position: Position, session: &str, heard: Heard<'_>, changes: &mut Changes) -> Prompted {
        if self.judgements.get(session).is_none() {
            return Prompted::Plain;
        }
        let prompted = self.judgements.heard(session, heard);
        self.keep_waiting(session, changes);
        if let Prompted::Judges { newest, lessons } = &prompted {
            if let Some((mark, right)) = newest.and_then(|(at, right)| Some((self.predictions.get_mut(&at)?, right))) {
                mark.typed = Some(right);
                self.facts_due |= !mark.facts.is_empty();
                changes.rows.put(Table::Predictions, &mark.position.to_be_bytes(), mark);
            }
            let by_person = |judged: &&Judged| {
                self.predictions.get(&judged.of.prediction).is_some_and(|mark| mark.person.is_some())
            };
            let lessons = lessons.iter().filter(|judged| !by_person(judged)).copied().collect();
            self.taught(position, lessons, changes);
        }
        prompted
    }

    /// Learns which option of a dialog was taken, unless a client took it for the person.
    fn chosen(&mut self, position: Position, event: &Event, choice: &Choice, changes: &mut Changes) {
        let Some(chosen) = Chosen::new(&event.id, choice, false) else { return };
        let heard = self.heard(position, &event.session_id, Heard::of(choice), changes);
        if heard == Prompted::Ours {
            return;
        }
        let predicted = matches!(heard, Prompted::Judges { newest: Some(_), .. });
        let chosen = Chosen { predicted, ..chosen };
        changes.rows.put(Table::Choices, &position.0.to_be_bytes(), &chosen);
        self.learned.take(position, &Lesson::Choice(chosen));
    }

    fn keep_waiting(&self, session: &str, changes: &mut Changes) {
        match self.judgements.get(session) {
            Some(open) => changes.rows.put(Table::Waiting, session.as_bytes(), open),
            None => changes.rows.remove(Table::Waiting, session.as_bytes()),
        }
    }

    fn taught(&mut self, position: Position, lessons: Vec<Judged>, changes: &mut Changes) {
        if lessons.is_empty() {
            return;
        }
        changes.rows.put(Table::Verdicts, &position.0.to_be_bytes(), &lessons);
        lessons.into_iter().for_each(|judged| self.learned.take(position, &Lesson::Judged(judged)));
    }

    /// The newest verdict wins; one on a prediction that nobody knows stays in the log and changes nothing here. Only a
    /// person's teaches, and the same one twice teaches nothing more.
    fn judged(&mut self, position: Position, feedback: &Feedback, log: &Log, changes: &mut Changes) {
        let made = log.position(&feedback.prediction_id);
        let Some(mark) = made.and_then(|made| self.predictions.get_mut(&made.0)) else { return };
        mark.verdict = Some((feedback.status, feedback.judge));
        self.facts_due |= !mark.facts.is_empty();
        let waiting = (feedback.judge == Judge::Person)
            .then(|| prediction_at(log, Position(mark.position)))
            .flatten()
            .and_then(|prediction| Waiting::new(Position(mark.position), &prediction, &self.learned.predictor));
        let judged = waiting.map(|waiting| waiting.by_person(feedback));
        let news = judged.filter(|judged| mark.person != Some(judged.label.hit));
        if let Some(judged) = judged {
            mark.person = Some(judged.label.hit);
        }
        changes.rows.put(Table::Predictions, &mark.position.to_be_bytes(), mark);
        self.taught(position, news.into_iter().collect(), changes);
    }

    fn key(&mut self, key: Key, at: Timestamp, changes: &mut Changes) {
        let Key { key_id, label, hash, scope, renews } = key;
        let row = KeyRow { label, hash, created_at: at, scope, renews };
        changes.rows.put(Table::Keys, key_id.as_bytes(), &row);
        self.keys.insert(key_id, row);
    }

    fn written(&mut self, position: Position, event: &str, file: &FileText, at: Timestamp, changes: &mut Changes) {
        let bytes = file.bytes().unwrap_or_default();
        let text = Text { path: &file.path, bytes: &bytes, note: super::note_id(&bytes), position: position.0 };
        changes.files.insert(file.path.clone());
        let what = if file.derived.is_some() { What::Merged } else { What::Written };
        match &file.derived {
            Some(derived) => {
                self.ledger.merged(text, hash(derived.as_bytes()), file.conflict.is_some());
                self.person_wrote(event, &file.path, &bytes, at);
            }
            None => {
                self.ledger.written(text);
                self.notes.remove(&file.path);
            }
        }
        self.version(&file.path, position, at, what, changes);
    }

    fn edited(
        &mut self,
        position: Position,
        event: &str,
        file: &FileText,
        at: Timestamp,
        log: &Log,
        changes: &mut Changes,
    ) {
        let bytes = file.bytes().unwrap_or_default();
        let text = Text { path: &file.path, bytes: &bytes, note: super::note_id(&bytes), position: position.0 };
        let note = text.note.clone();
        let base = file.base.or_else(|| self.ledger.get(&file.path)?.edit_base());
        let base = base.or_else(|| self.revived(&file.path, note.as_deref(), log, changes));
        let base = base.and_then(|position| {
            let text = super::vault::base_at(log, position)?;
            Some(Base { position, hash: hash(text.as_bytes()) })
        });
        let what = if file.asked { What::Asked } else { What::Edited };
        if file.asked {
            self.ledger.asked(text, base);
        } else {
            self.ledger.edited(text, base);
        }
        self.version(&file.path, position, at, what, changes);
        changes.files.insert(file.path.clone());
        if self.is_persons(&file.path) {
            self.person_wrote(event, &file.path, &bytes, at);
        } else {
            self.notes.remove(&file.path);
            self.facts_due = true;
        }
    }

    /// A deleted note that is there again takes its withdrawal back; gives the text of ours that it was made of.
    fn revived(&mut self, path: &str, note: Option<&str>, log: &Log, changes: &mut Changes) -> Option<u64> {
        if self.ledger.get(path).is_some() {
            return None;
        }
        let (path, last) = self.versions.deleted(path, note)?;
        let (position, base) = (last.position, last.base);
        let text = super::vault::text_at(log, position)?;
        for key in notes::withdrawal(path, &text, notes::note_id(&text).as_deref()) {
            changes.rows.remove(Table::Withdrawn, key.as_bytes());
            self.withdrawn.remove(&key);
        }
        // An episode is derived once: what a person puts back of it is theirs.
        if path.starts_with("episodes/") { None } else { base }
    }

    fn version(&mut self, path: &str, position: Position, at: Timestamp, what: What, changes: &mut Changes) {
        self.versions.add(path, position.0, at, what);
        self.versions.based_on(path, self.ledger.get(path).and_then(Row::base));
        changes.versions.insert(path.to_owned());
    }

    fn person_wrote(&mut self, event: &str, path: &str, bytes: &[u8], at: Timestamp) {
        let first = self.notes.get(path).map_or_else(|| event.to_owned(), |note| note.first.clone());
        self.take_note(path, bytes, &first, at);
    }

    /// Reads a note of a person's into what outranks every inference.
    pub fn take_note(&mut self, path: &str, bytes: &[u8], first: &str, at: Timestamp) {
        self.notes.insert(path.to_owned(), Note::new(path, bytes, first, at));
        self.facts_due = true;
    }

    fn moved(&mut self, position: Position, from: &str, to: &str, at: Timestamp, changes: &mut Changes) {
        self.ledger.moved(from, to);
        self.versions.moved(from, to, position.0, at);
        changes.versions.extend([from.to_owned(), to.to_owned()]);
        if let Some(note) = self.notes.remove(from) {
            self.notes.insert(to.to_owned(), note.at_path(to));
        }
        changes.files.extend([from.to_owned(), to.to_owned()]);
        self.facts_due = true;
    }

    /// A deleted claim is a standing "do not infer again"; a deleted profile or soul card is compiled afresh.
    fn deleted(&mut self, position: Position, path: &str, at: Timestamp, log: &Log, changes: &mut Changes) {
        let Some(row) = self.ledger.deleted(path) else { return };
        self.version(path, position, at, What::Deleted { note: row.note.clone() }, changes);
        changes.files.insert(path.to_owned());
        self.notes.remove(path);
        self.facts_due = true;
        let text = super::vault::text_at(log, row.position).unwrap_or_default();
        for key in notes::withdrawal(path, &text, row.note.as_deref()) {
            changes.rows.put(Table::Withdrawn, key.as_bytes(), &true);
            self.withdrawn.insert(key);
        }
        if let Some(id) = row.note
            && self.let_go(&id)
        {
            changes.rows.remove(Table::Episodes, id.as_bytes());
            changes.removed.push(id);
        }
    }

    /// The agent's last words got no reply: that is how this person is done.
    fn ended(&mut self, position: Position, session_id: &str, upto: u64, log: &Log, changes: &mut Changes) {
        let Some(thread) = self.threads.get_mut(session_id) else { return };
        if thread.said().is_none_or(|said| said.0 > upto) {
            return;
        }
        let Some(said) = thread.take_said().and_then(|said| pairs::said(log, said)) else { return };
        let ending = Ending { session_id: session_id.to_owned(), text: said.text };
        changes.rows.put(Table::Endings, &position.0.to_be_bytes(), &ending);
        self.learned.take(position, &Lesson::End(ending));
    }

    fn closed(
        &mut self,
        position: Position,
        session_id: &str,
        upto: u64,
        log: &Log,
        changes: &mut Changes,
        documents: &mut Vec<Document>,
    ) {
        self.ended(position, session_id, upto, log, changes);
        changes.sessions.insert(session_id.to_owned());
        let Some(stretch) = self.sessions.closed(session_id, Position(upto)) else { return };
        if let Some(episode) = episode::episode(&stretch).filter(|episode| !self.withdrawn.contains(&episode.id)) {
            changes.rows.put(Table::Episodes, episode.id.as_bytes(), &episode);
            documents.push(memory_document(&episode));
            self.episodes_due.insert(episode.id.clone());
            self.hold(episode);
        }
    }

    /// Sessions that are over at this time.
    ///
    /// A live session is idle by when its last event *arrived*, so that an import in progress is never cut in two; once
    /// an import has ended, the time of the events alone decides over what came before its end. A full stretch is over
    /// whatever the time: what waits for its end is held in memory.
    #[must_use]
    pub fn closings(&self, now: Timestamp, imported: Option<Position>) -> Vec<Closing> {
        let quiet = |closing: &Closing| {
            let arrived = self.threads.get(&closing.session_id).map_or(now, |thread| thread.last_recorded);
            imported.is_some_and(|mark| closing.upto < mark)
                || clone_schema::time::seconds_between(arrived, now) >= memory::session::IDLE_SECONDS
        };
        let due = self.sessions.close_due(now).into_iter();
        due.filter(|closing| closing.reason != "idle" || quiet(closing)).collect()
    }

    /// The rows of everything that changed.
    pub fn rows(&self, changes: &Changes, batch: &mut Batch) {
        for id in &changes.sessions {
            if let Some(row) = super::load::session_row(self, id) {
                batch.put(Table::Sessions, id.as_bytes(), &row);
            }
        }
        for path in &changes.files {
            match self.ledger.get(path) {
                Some(row) => batch.put(Table::Vault, path.as_bytes(), row),
                None => batch.remove(Table::Vault, path.as_bytes()),
            }
        }
        for path in &changes.versions {
            match self.versions.of(path) {
                [] => batch.remove(Table::Versions, path.as_bytes()),
                versions => batch.put(Table::Versions, path.as_bytes(), &versions),
            }
        }
        for source in &changes.tallies {
            batch.put(Table::Tallies, source.as_bytes(), &self.tallies[source]);
        }
    }

    /// Whether a file of the vault belongs to a person.
    #[must_use]
    pub fn is_persons(&self, path: &str) -> bool {
        self.ledger.get(path).is_some_and(|row| row.author == Author::Person)
    }
}

/// The prediction that stands at a position of the log.
fn prediction_at(log: &Log, position: Position) -> Option<Prediction> {
    let record = log.read(position).ok()??;
    match serde_json::from_str::<Internal>(&record.json).ok()?.payload {
        Payload::PredictionMade { prediction } => Some(*prediction),
        _ => None,
    }
}

/// The raw row of an event, as the index takes it; events without words are not searched for.
fn document(position: Position, event: &Event) -> Option<Document> {
    let words = matches!(
        event.body,
        Body::AgentPrompt { .. }
            | Body::AgentResponse { .. }
            | Body::TerminalCommand { .. }
            | Body::BrowserVisited { .. }
            | Body::AgentChoice(_)
    );
    let agent = event.agent().unwrap_or_default();
    let speaker = if matches!(event.body, Body::AgentResponse { .. }) { agent } else { "" };
    words.then(|| Document {
        session: event.session_id.clone(),
        agent: agent.to_owned(),
        speaker: speaker.to_owned(),
        project: event.project().unwrap_or_default().to_owned(),
        topic: event.topic().to_owned(),
        position: place(position),
        ..Document::new(&event.id, crate::index::Tier::Raw, memory::raw::searched(event), event.occurred_at)
    })
}

/// The document of a record, for an index that lost it.
#[must_use]
pub fn record_document(record: &Record) -> Option<Document> {
    let wire = clone_schema::topic::find(record.topic).is_some_and(|(_, topic)| topic.wire);
    if wire {
        return document(record.position, &Event::parse(&record.json).ok()?);
    }
    match serde_json::from_str::<Internal>(&record.json).ok()? {
        Internal { id, at, payload: Payload::MemoryNoted { text, session_id } } => {
            Some(noted(record.position, &id, &text, session_id.as_deref(), at))
        }
        _ => None,
    }
}

/// A position as the index takes it, which keeps 0 for what has none.
fn place(position: Position) -> u64 {
    position.0 + 1
}

/// The kind of event of a note.
const NOTED: &str = "memory.noted";

fn noted(position: Position, id: &str, text: &str, session: Option<&str>, at: Timestamp) -> Document {
    let session = session.unwrap_or_default().to_owned();
    let document = Document::new(id, crate::index::Tier::Raw, text, at);
    Document { session, topic: NOTED.to_owned(), position: place(position), ..document }
}

/// An episode, as the index takes it.
#[must_use]
pub fn memory_document(episode: &Episode) -> Document {
    let document = Document::new(&episode.id, crate::index::Tier::Episode, &episode.summary, episode.ended_at);
    Document {
        title: episode.title.clone(),
        tags: episode.tags.clone(),
        agent: episode.participants.first().cloned().unwrap_or_default(),
        ..document
    }
}
