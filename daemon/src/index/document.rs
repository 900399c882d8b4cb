//! What is indexed, and how it lies in tantivy.
//!
//! Ids, sessions, agents and tags come from clients and may be of any length, which tantivy's terms may not: what is
//! matched is a [`key`], what is shown is stored beside it. Instants are kept to the microsecond.

use clone_schema::Timestamp;
use tantivy::schema::{
    FAST, Field, INDEXED, IndexRecordOption, STORED, STRING, Schema, TextFieldIndexing, TextOptions, Value,
};
use tantivy::{TantivyDocument, Term};

use super::cues;

/// How much of a text is indexed and kept for snippets, in bytes; the log holds the rest.
pub const MAX_TEXT_BYTES: usize = 128 * 1024;
/// The longest id, session, agent or tag that is matched as it is, in bytes; a longer one is matched by its hash.
const MAX_KEY_BYTES: usize = 256;
/// The name under which the tokenizer is registered; part of the format.
pub(super) const TOKENIZER: &str = "clone1";

/// Which layer of memory a document belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// An atomic claim (L2).
    Fact,
    /// A told stretch of time (L1).
    Episode,
    /// One event (L0).
    Raw,
}

impl Tier {
    /// The name in the index.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fact => "fact",
            Self::Episode => "episode",
            Self::Raw => "raw",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::Fact, Self::Episode, Self::Raw].into_iter().find(|tier| tier.name() == name)
    }
}

/// One thing that can be found. Begin with [`Document::new`] and fill in what is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The id of the fact, episode or event; a second document with the same id replaces the first.
    pub id: String,
    /// Its layer.
    pub tier: Tier,
    /// What is searched; the first [`MAX_TEXT_BYTES`] of it.
    pub text: String,
    /// What is searched with more weight.
    pub title: String,
    /// Tags to filter by.
    pub tags: Vec<String>,
    /// When it happened.
    pub at: Timestamp,
    /// The session to filter by, empty for none.
    pub session: String,
    /// The agent to filter by, empty for none.
    pub agent: String,
    /// Who said it, where a query that names them should find it first; empty for the person or for nobody.
    pub speaker: String,
    /// The project to filter by, empty for none.
    pub project: String,
    /// The kind of event to filter by, empty for none.
    pub topic: String,
    /// Where it is in the log: what comes before and after it within its session; 0 where there is no order.
    pub position: u64,
}

impl Document {
    /// A document of which nothing is known but its words and its time.
    #[must_use]
    pub fn new(id: impl Into<String>, tier: Tier, text: impl Into<String>, at: Timestamp) -> Self {
        let [title, session, agent, speaker, project, topic] = std::array::from_fn(|_| String::new());
        let (id, text, tags, position) = (id.into(), text.into(), Vec::new(), 0);
        Self { id, tier, text, title, tags, at, session, agent, speaker, project, topic, position }
    }

    /// Cuts what is over a limit, so that a document answers the same before and after a commit.
    pub(super) fn trimmed(mut self) -> Self {
        for text in [&mut self.text, &mut self.title] {
            text.truncate(text.floor_char_boundary(MAX_TEXT_BYTES));
        }
        self.at = Timestamp::from_microsecond(micros(self.at)).unwrap_or(self.at);
        self
    }
}

/// What an id, a session, an agent or a tag is matched by.
pub(super) fn key(text: &str) -> String {
    if text.len() <= MAX_KEY_BYTES { text.to_owned() } else { format!("blake3:{}", blake3::hash(text.as_bytes())) }
}

/// The instant as it is indexed.
pub(super) fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

/// The fields of the index.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields {
    pub key: Field,
    pub id: Field,
    pub tier: Field,
    pub text: Field,
    pub title: Field,
    pub tag: Field,
    pub at: Field,
    pub session: Field,
    pub session_key: Field,
    pub agent: Field,
    pub project: Field,
    pub topic: Field,
    /// The [hash](super::cues::hash) of the session, by which its rows are gathered; 0 for none.
    pub group: Field,
    /// The [hash](super::cues::hash) of the speaker's name; 0 for none.
    pub who: Field,
    /// The position in the log, and in its lowest bits the [traits](super::cues::traits) of the text.
    pub place: Field,
}

/// The schema of the index and its fields. A change needs a new [`VERSION`](super::VERSION).
pub(super) fn schema() -> (Schema, Fields) {
    let mut schema = Schema::builder();
    // Frequencies without positions: no query here is a phrase.
    let indexing = TextFieldIndexing::default().set_tokenizer(TOKENIZER).set_index_option(IndexRecordOption::WithFreqs);
    let words = TextOptions::default().set_indexing_options(indexing).set_stored();
    let fields = Fields {
        key: schema.add_text_field("key", STRING),
        id: schema.add_text_field("id", STORED),
        tier: schema.add_text_field("tier", STRING | STORED),
        text: schema.add_text_field("text", words.clone()),
        title: schema.add_text_field("title", words),
        tag: schema.add_text_field("tag", STRING),
        at: schema.add_i64_field("at", INDEXED | FAST | STORED),
        session: schema.add_text_field("session", STORED),
        session_key: schema.add_text_field("session_key", STRING),
        agent: schema.add_text_field("agent", STRING),
        project: schema.add_text_field("project", STRING),
        topic: schema.add_text_field("topic", STRING),
        group: schema.add_u64_field("group", INDEXED | FAST),
        who: schema.add_u64_field("who", INDEXED | FAST),
        place: schema.add_u64_field("place", FAST),
    };
    (schema.build(), fields)
}

impl Fields {
    /// The term that names one document.
    pub fn id_term(&self, id: &str) -> Term {
        Term::from_field_text(self.key, &key(id))
    }

    /// The document as tantivy takes it.
    pub fn to_tantivy(self, document: &Document) -> TantivyDocument {
        let mut out = TantivyDocument::new();
        out.add_text(self.key, key(&document.id));
        out.add_text(self.id, &document.id);
        out.add_text(self.tier, document.tier.name());
        out.add_text(self.text, &document.text);
        out.add_text(self.title, &document.title);
        for tag in &document.tags {
            out.add_text(self.tag, key(tag));
        }
        out.add_i64(self.at, micros(document.at));
        out.add_text(self.session, &document.session);
        out.add_text(self.session_key, key(&document.session));
        out.add_text(self.agent, key(&document.agent));
        out.add_text(self.project, key(&document.project));
        out.add_text(self.topic, key(&document.topic));
        let Bearings { group, who, place } = Bearings::of(document);
        for (field, value) in [(self.group, group), (self.who, who), (self.place, place)] {
            out.add_u64(field, value);
        }
        out
    }

    /// What was stored of a document, or nothing when a field is missing: what is only matched is not stored.
    pub fn read(self, stored: &TantivyDocument) -> Option<Document> {
        let text = |field| stored.get_first(field).and_then(|value| value.as_str()).map(str::to_owned);
        let at = stored.get_first(self.at).and_then(|value| value.as_i64())?;
        let at = Timestamp::from_microsecond(at).ok()?;
        let document = Document::new(text(self.id)?, Tier::named(&text(self.tier)?)?, text(self.text)?, at);
        Some(Document { title: text(self.title)?, session: text(self.session)?, ..document })
    }
}

/// Where a document stands among others, in numbers that are read for every document that may be found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bearings {
    pub group: u64,
    pub who: u64,
    pub place: u64,
}

impl Bearings {
    pub fn of(document: &Document) -> Self {
        let place = document.position << cues::TRAIT_BITS | cues::traits(&document.text);
        // What has no place in its session has no neighbours there.
        let group = if document.position == 0 { 0 } else { cues::hash(&document.session) };
        Self { group, who: cues::who(&document.speaker), place }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_comes_back() {
        let (_, fields) = schema();
        let at = "2026-05-05T12:34:56.123456789Z".parse().unwrap();
        let document = Document::new("x".repeat(100_000), Tier::Episode, "text", at);
        let document = Document { title: "title".into(), session: "s".into(), ..document }.trimmed();
        assert_eq!(document.at.to_string(), "2026-05-05T12:34:56.123456Z");
        assert_eq!(fields.read(&fields.to_tantivy(&document)), Some(document));
    }

    #[test]
    fn long_keys_stay_apart_and_short_ones_stay_themselves() {
        assert_eq!(key("abc"), "abc");
        let (a, b) = (key(&"a".repeat(300)), key(&"a".repeat(301)));
        assert!(a != b && a.len() < MAX_KEY_BYTES);
    }

    #[test]
    fn a_long_text_is_cut_on_a_character() {
        let document = Document::new("", Tier::Raw, "é".repeat(MAX_TEXT_BYTES), Timestamp::UNIX_EPOCH);
        assert_eq!(document.trimmed().text.len(), MAX_TEXT_BYTES);
    }
}
