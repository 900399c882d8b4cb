//! What the vault should say: facts after the person's word, episodes, profile and soul card.

use std::collections::{BTreeMap, BTreeSet};

use clone_markdown::episode::EpisodeDraft;
use clone_markdown::fact::FactDraft;
use clone_markdown::front_matter::Value;
use clone_markdown::{Document as Markdown, episode, fact, name};
use clone_schema::Timestamp;
use clone_schema::event::Origin;
use clone_schema::id::Claim;
use clone_schema::internal::FileText;
use clone_schema::memory::{Episode, Evidence, Fact, Provenance, Status, Tier};

use super::view::{View, claim_key, memory_document};
use crate::index::{self, Document};
use crate::log::Log;
use crate::memory::profile;
use crate::memory::vault::{Author, hash};

/// Problems of one note that are shown.
const PROBLEMS_SHOWN: usize = 3;
/// The file of the profile.
pub const PROFILE: &str = "profile.md";
/// The file of the soul card.
pub const SOUL: &str = "soul.md";

/// A note that a person wrote or changed.
#[derive(Clone, Debug)]
pub struct Note {
    /// Its text.
    pub text: String,
    /// The event that first held a note of the person's here: the identity of a fact without an id.
    pub first: String,
    /// When it was last written.
    pub at: Timestamp,
    reading: Reading,
    problems: Vec<String>,
}

#[derive(Clone, Debug)]
enum Reading {
    Fact(Box<FactDraft>),
    Episode(Box<EpisodeDraft>),
    Other,
}

impl Note {
    /// Reads a note; whatever it holds, its text is kept.
    #[must_use]
    pub fn new(path: &str, bytes: &[u8], first: &str, at: Timestamp) -> Self {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let (reading, mut problems) = if path.starts_with("facts/") {
            let (draft, problems) = fact::parse(&text);
            (Reading::Fact(Box::new(draft)), shown(path, &problems))
        } else if path.starts_with("episodes/") {
            let (draft, problems) = episode::parse(&text);
            (Reading::Episode(Box::new(draft)), shown(path, &problems))
        } else {
            (Reading::Other, Vec::new())
        };
        let mut reading = reading;
        if std::str::from_utf8(bytes).is_err() {
            reading = Reading::Other;
            problems = vec![format!("`{path}`: not UTF-8; save it as UTF-8 and it is read")];
        }
        Self { text, first: first.to_owned(), at, reading, problems }
    }

    /// The same note under another path.
    #[must_use]
    pub fn at_path(self, path: &str) -> Self {
        Self::new(path, self.text.as_bytes(), &self.first, self.at)
    }

    /// What is wrong with it.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }
}

fn shown(path: &str, problems: &[clone_markdown::Problem]) -> Vec<String> {
    let line = |problem: &clone_markdown::Problem| {
        format!("`{path}` line {}, column {}: {}; {}", problem.line, problem.column, problem.message, problem.hint)
    };
    problems.iter().take(PROBLEMS_SHOWN).map(line).collect()
}

/// The id in the front matter of a note.
#[must_use]
pub fn note_id(text: &str) -> Option<String> {
    let markdown = Markdown::parse(text);
    let id = markdown.value("id")?.as_text()?.trim().to_owned();
    (!id.is_empty()).then_some(id)
}

/// The keys under which a deleted note stays deleted.
#[must_use]
pub fn withdrawal(path: &str, text: &str, id: Option<&str>) -> Vec<String> {
    if !path.starts_with("facts/") && !path.starts_with("episodes/") {
        return Vec::new();
    }
    let mut keys: Vec<String> = id.map(str::to_owned).into_iter().collect();
    if path.starts_with("facts/") {
        let fact = fact::parse(text).0.into_fact("", Timestamp::UNIX_EPOCH);
        keys.push(claim_key(&fact.claim));
    }
    keys
}

/// What the log must be told: documents for the index, documents to take out, and files to write.
#[derive(Default)]
pub struct Told {
    /// Documents that are new or changed.
    pub documents: Vec<Document>,
    /// Ids of documents that are gone.
    pub removed: Vec<String>,
    /// Files whose text differs from what the log holds.
    pub files: Vec<FileText>,
    /// Gates that the person decided, and how.
    pub decided: Vec<(String, String)>,
}

impl View {
    /// Works out what follows from everything folded, and what of it the log does not hold yet.
    pub fn refresh(&mut self, log: &Log) -> Told {
        let mut told = Told::default();
        if !std::mem::take(&mut self.facts_due) && self.episodes_due.is_empty() {
            return told;
        }
        self.refresh_facts(&mut told);
        self.refresh_episodes(&mut told);
        self.refresh_plain(&mut told);
        self.tell_facts(log, &mut told);
        self.tell_episodes(log, &mut told);
        self.refresh_profile(log, &mut told);
        self.tell_review(&mut told);
        self.note_problems();
        told
    }

    /// Everything that memory has in the index: facts, episodes, and a person's other notes.
    #[must_use]
    pub fn documents(&self) -> Vec<Document> {
        let note = |id: &str| self.stated.get(id).and_then(|path| self.notes.get(path));
        let used = self.facts.iter().filter(|(_, fact)| fact.status != Status::Pending);
        let facts = used.map(|(id, fact)| fact_document(fact, note(id)));
        let episodes = self.episodes.values().map(memory_document);
        let plain = self.plain.keys().filter_map(|path| Some(plain_document(path, self.notes.get(path)?)));
        facts.chain(episodes).chain(plain).collect()
    }

    fn refresh_facts(&mut self, told: &mut Told) {
        let (facts, stated) = self.facts_now();
        self.stated = stated;
        let waits = |fact: &Fact| fact.status == Status::Pending;
        for (id, fact) in facts.iter().filter(|(_, fact)| !waits(fact)) {
            if self.facts.get(id) != Some(fact) {
                let note = self.stated.get(id).and_then(|path| self.notes.get(path));
                told.documents.push(fact_document(fact, note));
            }
        }
        told.removed.extend(self.facts.keys().filter(|id| facts.get(*id).is_none_or(waits)).cloned());
        self.facts = facts;
    }

    /// Inferred facts without what the person withdrew, then the person's own notes over them; and which are notes.
    fn facts_now(&mut self) -> (BTreeMap<String, Fact>, BTreeMap<String, String>) {
        let kept =
            |fact: &Fact| !self.withdrawn.contains(&fact.id) && !self.withdrawn.contains(&claim_key(&fact.claim));
        let inferred = self.learned.miner.facts().into_iter().filter(kept).collect();
        let mut facts = self.decided(inferred);
        let mut taken = BTreeMap::new();
        self.beneath.clear();
        for (path, note) in &self.notes {
            let Reading::Fact(draft) = &note.reading else { continue };
            if draft.text.trim().is_empty() {
                continue;
            }
            let fact = persons_fact(draft, note, &facts);
            let owner = self.ledger.path_of(&fact.id).is_none_or(|owner| owner == path);
            if owner && !taken.contains_key(&fact.id) {
                taken.insert(fact.id.clone(), path.clone());
                if let Some(inferred) = facts.insert(fact.id.clone(), fact) {
                    self.beneath.insert(inferred.id.clone(), inferred);
                }
            }
        }
        (facts, taken)
    }

    fn refresh_episodes(&mut self, told: &mut Told) {
        let drafts = self.notes.values().filter_map(|note| match &note.reading {
            Reading::Episode(draft) => draft.clone().into_episode(),
            _ => None,
        });
        let told_anew = drafts.filter(|episode| self.episodes.get(&episode.id) != Some(episode));
        for episode in told_anew.collect::<Vec<_>>() {
            told.documents.push(memory_document(&episode));
            self.hold(episode);
        }
    }

    /// A person's other notes, and their own profile and soul card, are found by search as plain text.
    fn refresh_plain(&mut self, told: &mut Told) {
        let plain = self.notes.iter().filter(|(_, note)| matches!(note.reading, Reading::Other));
        let now: BTreeMap<String, String> =
            plain.map(|(path, note)| (path.clone(), hash(note.text.as_bytes()))).collect();
        for (path, _) in now.iter().filter(|(path, hash)| self.plain.get(*path) != Some(hash)) {
            told.documents.push(plain_document(path, &self.notes[path]));
        }
        let gone = self.plain.keys().filter(|path| !now.contains_key(*path));
        told.removed.extend(gone.map(|path| plain_id(path)));
        self.plain = now;
    }

    /// Compiles profile and soul card afresh; what a person wrote into them stays, merged with what is new.
    fn refresh_profile(&mut self, log: &Log, told: &mut Told) {
        let facts = || self.facts.values();
        let compiled = [(PROFILE, profile::profile(facts())), (SOUL, profile::soul(facts(), self.soul_tokens))];
        for (path, text) in &compiled {
            self.tell_file(path, text, log, told);
        }
        let [body, soul] = compiled.map(|(path, text)| self.notes.get(path).map_or(text, |note| note.text.clone()));
        (self.profile.body, self.profile.soul) = (body, soul);
    }

    fn tell_facts(&mut self, log: &Log, told: &mut Told) {
        let inferred = self.facts.values().filter(|fact| !self.stated.contains_key(&fact.id));
        for fact in inferred.chain(self.beneath.values()).filter(|fact| is_told(fact)) {
            let path = self.ledger.path_of(&fact.id).map_or_else(|| fact::file_name(fact), str::to_owned);
            let stems: BTreeSet<String> =
                fact.evidence.iter().filter_map(|one| self.holder(&one.id)).map(|held| self.stem(held)).collect();
            let stems: Vec<String> = stems.into_iter().collect();
            self.tell_file(&path, &fact::render_linked(fact, &stems), log, told);
        }
        let known = std::mem::take(&mut self.put_away);
        for (path, position) in self.orphans() {
            if known.get(&path) != Some(&position) {
                let Some(text) = super::vault::text_at(log, position) else { continue };
                let archived = archived(&text);
                if archived != text {
                    self.tell_file(&path, &archived, log, told);
                    continue;
                }
            }
            self.put_away.insert(path, position);
        }
    }

    /// The name by which a note links to an episode.
    fn stem(&self, held: &Episode) -> String {
        let path = self.ledger.path_of(&held.id).map_or_else(|| episode::file_name(held), str::to_owned);
        name::stem(&path).to_owned()
    }

    /// Files of ours whose fact no longer holds: they are kept, marked as archived.
    fn orphans(&self) -> Vec<(String, u64)> {
        let ours = self.ledger.rows().filter(|(path, row)| path.starts_with("facts/") && row.author == Author::Daemon);
        let gone = ours.filter(|(_, row)| row.note.as_ref().is_some_and(|note| !self.facts.contains_key(note)));
        gone.map(|(path, row)| (path.to_owned(), row.position)).collect()
    }

    fn tell_episodes(&mut self, log: &Log, told: &mut Told) {
        for id in std::mem::take(&mut self.episodes_due) {
            if let Some(found) = self.episodes.get(&id) {
                let path = self.ledger.path_of(&id).map_or_else(|| episode::file_name(found), str::to_owned);
                self.tell_file(&path, &episode::render(found), log, told);
            }
        }
    }

    /// A file is told when its text differs from what the log holds.
    fn tell_file(&self, path: &str, text: &str, log: &Log, told: &mut Told) {
        let known = (self.ledger.get(path), self.versions.of(path));
        told.files.extend(super::vault::due(known, path, text, log));
    }

    fn note_problems(&mut self) {
        self.problems.retain(|key, _| !key.starts_with("note:"));
        for path in self.ledger.conflicts().keys() {
            let problem = format!(
                "`{path}`: you and Clone changed the same lines; yours stand, Clone's are in `conflicts/{path}` beside the \
                 state; save the note again to settle it"
            );
            self.problems.insert(format!("note:{path}:conflict"), problem);
        }
        for (path, note) in &self.notes {
            for (i, problem) in note.problems().iter().enumerate() {
                self.problems.insert(format!("note:{path}:{i}"), problem.clone());
            }
            let Reading::Fact(draft) = &note.reading else { continue };
            if let Some(id) = &draft.id
                && self.ledger.path_of(id).is_some_and(|owner| owner != path)
            {
                let problem = format!("`{path}`: the id `{id}` belongs to another file; remove the line `id:` here");
                self.problems.insert(format!("note:{path}:id"), problem);
            }
        }
    }
}

/// A person's note as a fact: their words over whatever was inferred under the same id.
fn persons_fact(draft: &FactDraft, note: &Note, inferred: &BTreeMap<String, Fact>) -> Fact {
    let mut draft = draft.clone();
    let known = draft.id.as_ref().and_then(|id| inferred.get(id));
    // The claim stands twice in a file of ours; whichever of the two the person changed is what they say now.
    if let Some(sentence) = draft.sentence.take()
        && known.is_none_or(|known| known.text == draft.text)
    {
        draft.text = sentence;
    }
    // What the miner took from the person's words is `stated` in our file; once they change the file it is theirs.
    let ours = |provenance| provenance == Provenance::Inferred || known.is_some();
    if draft.provenance.is_none_or(ours) && draft.id.is_some() {
        draft.provenance = Some(Provenance::Edited);
    }
    if let Some(known) = known {
        (draft.support, draft.opportunities) = (Some(known.support), Some(known.opportunities));
        draft.sessions = Some(known.sessions);
        draft.evidence = Some(known.evidence.clone());
    }
    let mut fact = draft.into_fact(&note.first, note.at);
    let own = Evidence { id: note.first.clone(), origin: Origin::Typed };
    if !fact.evidence.contains(&own) {
        fact.evidence.push(own);
    }
    fact.updated = note.at;
    fact
}

/// What waits for the person stands in `review.md` only, until they decide.
fn is_told(fact: &Fact) -> bool {
    fact.tier != Tier::Candidate && fact.status != Status::Pending
}

/// The text of a fact file with its status set to archived, every other byte the same.
fn archived(text: &str) -> String {
    let status = Value::Text(Status::Archived.name().to_owned());
    clone_markdown::edit::set(text, "status", &status).unwrap_or_else(|_| text.to_owned())
}

fn plain_id(path: &str) -> String {
    format!("note:{path}")
}

fn plain_document(path: &str, note: &Note) -> Document {
    let document = Document::new(plain_id(path), index::Tier::Raw, &note.text, note.at);
    Document { title: name::stem(path).to_owned(), ..document }
}

fn with_body(claim: &str, text: &str) -> String {
    let markdown = Markdown::parse(text);
    let body = markdown.body().trim();
    if body.contains(claim) { body.to_owned() } else { format!("{claim}\n{body}") }
}

/// A fact, as the index takes it: the claim, and whatever else a person wrote below it.
fn fact_document(fact: &Fact, note: Option<&Note>) -> Document {
    let Claim { kind, scope, .. } = &fact.claim;
    let mut tags = fact.tags.clone();
    tags.extend([kind.clone(), fact.tier.name().to_owned()]);
    let text = note.map_or_else(|| fact.text.clone(), |note| with_body(&fact.text, &note.text));
    Document { title: scope.clone(), tags, ..Document::new(&fact.id, index::Tier::Fact, text, fact.updated) }
}
