//! Fact files: one claim each.
//!
//! Evidence stands as `origin:event id`, one per line. The sentence stands twice, as `text` and as the first paragraph of
//! the body: [`FactDraft::sentence`] says when a person changed only the one in the body.

use clone_schema::event::Origin;
use clone_schema::id::{Claim, normal};
use clone_schema::memory::{Evidence, Fact, Provenance, Status, Tier};
use clone_schema::text::one_line;
use clone_schema::time::{self, Timestamp};

use crate::document::{Document, place};
use crate::front_matter::{Value, Writer};
use crate::name;
use crate::problem::Problem;

/// The keys of a fact file, in order.
pub const KEYS: &[&str] = &[
    "id",
    "kind",
    "text",
    "subject",
    "attribute",
    "scope",
    "value",
    "polarity",
    "tier",
    "importance",
    "confidence",
    "support",
    "opportunities",
    "sessions",
    "tags",
    "valid_from",
    "valid_until",
    "status",
    "gate",
    "provenance",
    "evidence",
    "created",
    "updated",
];

/// A fact as a file tells it: everything but the text may be absent.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs)]
pub struct FactDraft {
    pub id: Option<String>,
    pub kind: Option<String>,
    /// The claim: `text`, else the first paragraph of the body; empty in an empty file.
    pub text: String,
    /// The first paragraph of the body where it says something else than `text`.
    pub sentence: Option<String>,
    pub subject: Option<String>,
    pub attribute: Option<String>,
    pub scope: Option<String>,
    pub value: Option<String>,
    pub polarity: Option<String>,
    pub tier: Option<Tier>,
    pub importance: Option<f64>,
    pub confidence: Option<f64>,
    pub support: Option<u32>,
    pub opportunities: Option<u32>,
    pub sessions: Option<u32>,
    pub tags: Option<Vec<String>>,
    pub valid_from: Option<Timestamp>,
    pub valid_until: Option<Timestamp>,
    pub status: Option<Status>,
    pub gate: Option<String>,
    pub provenance: Option<Provenance>,
    pub evidence: Option<Vec<Evidence>>,
    pub created: Option<Timestamp>,
    pub updated: Option<Timestamp>,
    /// The wikilinks of the body, in order.
    pub links: Vec<String>,
}

/// Where a fact is kept: `facts/<slug>-<short id>.md`.
#[must_use]
pub fn file_name(fact: &Fact) -> String {
    format!("facts/{}-{}.md", name::slug(&fact.text, "fact"), name::short_id(&fact.id))
}

/// The file of a fact.
#[must_use]
pub fn render(fact: &Fact) -> String {
    render_linked(fact, &[])
}

/// The file of a fact with wikilinks to these episodes (file names without extension).
#[must_use]
pub fn render_linked(fact: &Fact, episodes: &[String]) -> String {
    let mut out = Writer::default();
    out.text("id", &fact.id).text("kind", &fact.claim.kind).text("text", &fact.text);
    out.text("subject", &fact.claim.subject).text("attribute", &fact.claim.attribute);
    out.text("scope", &fact.claim.scope).text("value", &fact.claim.value).text("polarity", &fact.claim.polarity);
    out.text("tier", fact.tier.name());
    for (key, number) in [("importance", fact.importance), ("confidence", fact.confidence)] {
        out.plain(key, Some(format!("{number:.3}")));
    }
    for (key, count) in [("support", fact.support), ("opportunities", fact.opportunities), ("sessions", fact.sessions)]
    {
        out.plain(key, Some(count.to_string()));
    }
    out.list("tags", &fact.tags);
    out.plain("valid_from", fact.valid_from.map(|at| at.to_string()));
    out.plain("valid_until", fact.valid_until.map(|at| at.to_string()));
    out.text("status", fact.status.name());
    out.value("gate", &fact.gate.clone().map_or(Value::Null, Value::Text));
    out.text("provenance", fact.provenance.name());
    out.block("evidence", fact.evidence.iter().map(evidence_line));
    out.plain("created", Some(fact.created.to_string())).plain("updated", Some(fact.updated.to_string()));
    let plural = if fact.sessions == 1 { "" } else { "s" };
    let seen = format!("Seen {} of {} times in {} session{plural}.", fact.support, fact.opportunities, fact.sessions);
    let links: Vec<_> = episodes.iter().map(|stem| format!("- [[{stem}]]\n")).collect();
    let gap = if links.is_empty() { "" } else { "\n" };
    format!("{}\n{}\n\n{seen}\n{gap}{}", out.finish(), one_line(&fact.text), links.concat())
}

/// Reads a fact file. A file with nothing but a sentence is a draft with that text.
#[must_use]
pub fn parse(text: &str) -> (FactDraft, Vec<Problem>) {
    let document = Document::parse(text);
    let mut reader = Reader::new(&document);
    let sentence = first_paragraph(document.body());
    let stated = reader.text("text");
    let id = reader.text("id");
    // Only our own files repeat the claim in the body; in a person's file the body may say anything beside `text`.
    let sentence_apart = sentence.clone().filter(|_| id.is_some());
    let draft = FactDraft {
        id,
        kind: reader.text("kind"),
        sentence: stated
            .as_ref()
            .and(sentence_apart)
            .filter(|told| stated.as_deref().map(one_line).as_ref() != Some(told)),
        text: stated.or(sentence).unwrap_or_default(),
        subject: reader.text("subject"),
        attribute: reader.text("attribute"),
        scope: reader.text("scope"),
        value: reader.text("value"),
        polarity: reader.text("polarity"),
        tier: reader.read("tier", "`candidate`, `tentative` or `strong`", Tier::from_name),
        importance: reader.read("importance", "a number from 0 to 1", share),
        confidence: reader.read("confidence", "a number from 0 to 1", share),
        support: reader.read("support", "a whole number", |text| text.parse().ok()),
        opportunities: reader.read("opportunities", "a whole number", |text| text.parse().ok()),
        sessions: reader.read("sessions", "a whole number", |text| text.parse().ok()),
        tags: reader.list("tags"),
        valid_from: reader.date("valid_from"),
        valid_until: reader.date("valid_until"),
        status: reader.read("status", "`active`, `archived` or `pending`", Status::from_name),
        gate: reader.text("gate"),
        provenance: reader.read("provenance", "`inferred`, `edited` or `stated`", Provenance::from_name),
        evidence: reader.evidence(),
        created: reader.date("created"),
        updated: reader.date("updated"),
        links: wikilinks(document.body()),
    };
    if draft.text.trim().is_empty() {
        reader.problems.push(Problem::new(1, 1, "the file makes no claim", "write one sentence"));
    }
    (draft, reader.problems)
}

impl FactDraft {
    /// The whole fact: what the file leaves out is what a person's own statement means.
    ///
    /// `event` is the event that holds the file and `at` its time; they stand in for absent evidence and dates.
    #[must_use]
    pub fn into_fact(self, event: &str, at: Timestamp) -> Fact {
        let claim = Claim {
            kind: self.kind.unwrap_or_else(|| "statement".to_owned()),
            subject: self.subject.unwrap_or_else(|| "user".to_owned()),
            attribute: self.attribute.unwrap_or_default(),
            scope: self.scope.unwrap_or_default(),
            value: self.value.unwrap_or_else(|| normal(&self.text)),
            polarity: self.polarity.unwrap_or_else(|| "+".to_owned()),
        };
        let own = || vec![Evidence { id: event.to_owned(), origin: Origin::Typed }];
        let evidence = self.evidence.filter(|list| !list.is_empty()).unwrap_or_else(own);
        Fact {
            id: self.id.unwrap_or_else(|| claim.fact_id(&evidence[0].id)),
            claim,
            text: self.text,
            tier: self.tier.unwrap_or(Tier::Strong),
            importance: self.importance.unwrap_or(0.9),
            confidence: self.confidence.unwrap_or(1.0),
            support: self.support.unwrap_or(1),
            opportunities: self.opportunities.unwrap_or(1),
            sessions: self.sessions.unwrap_or(1),
            tags: self.tags.unwrap_or_default(),
            valid_from: self.valid_from,
            valid_until: self.valid_until,
            status: self.status.unwrap_or(Status::Active),
            gate: self.gate,
            provenance: self.provenance.unwrap_or(Provenance::Stated),
            evidence,
            created: self.created.unwrap_or(at),
            updated: self.updated.unwrap_or(at),
        }
    }
}

/// Reads typed values off a document and collects what does not fit.
pub(crate) struct Reader<'a> {
    document: &'a Document,
    pub(crate) problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(document: &'a Document) -> Self {
        Self { document, problems: document.problems().to_vec() }
    }

    fn wrong(&mut self, key: &str, wanted: &str) {
        if let Some(entry) = self.document.entry(key) {
            let (line, column) = place(self.document.text(), entry.value_span.start);
            self.problems.push(Problem::new(
                line,
                column,
                format!("`{key}` is not {wanted}"),
                format!("write {wanted}"),
            ));
        }
    }

    /// A scalar; raw text was reported already.
    pub(crate) fn text(&mut self, key: &str) -> Option<String> {
        match self.document.value(key)? {
            Value::List(_) => {
                self.wrong(key, "one value");
                None
            }
            value => value.as_text().map(str::to_owned),
        }
    }

    pub(crate) fn read<T>(&mut self, key: &str, wanted: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let text = self.text(key)?;
        let value = parse(&text);
        if value.is_none() {
            self.wrong(key, wanted);
        }
        value
    }

    pub(crate) fn date(&mut self, key: &str) -> Option<Timestamp> {
        self.read(key, "a time like `2026-01-31T12:00:00Z`", date)
    }

    pub(crate) fn list(&mut self, key: &str) -> Option<Vec<String>> {
        self.document.value(key)?.as_list()
    }

    pub(crate) fn evidence(&mut self) -> Option<Vec<Evidence>> {
        let lines = self.list("evidence")?;
        let read: Option<Vec<_>> = lines.iter().map(|line| read_evidence(line)).collect();
        if read.is_none() {
            self.wrong("evidence", "a list of `origin:event id`");
        }
        read
    }
}

pub(crate) fn evidence_line(evidence: &Evidence) -> String {
    format!("{}:{}", evidence.origin.name(), evidence.id)
}

fn read_evidence(line: &str) -> Option<Evidence> {
    let (origin, id) = line.split_once(':')?;
    Some(Evidence { id: id.to_owned(), origin: Origin::from_name(origin)? })
}

/// An instant, or a day, which begins at midnight UTC.
fn date(text: &str) -> Option<Timestamp> {
    time::parse(text).or_else(|| time::parse(&format!("{}T00:00:00Z", text.get(..10).filter(|day| *day == text)?)))
}

fn share(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number| (0.0..=1.0).contains(number))
}

/// The first paragraph that is neither a heading nor our own count.
fn first_paragraph(body: &str) -> Option<String> {
    let mut lines = body.lines().map(str::trim).skip_while(|line| line.is_empty() || line.starts_with("# ")).peekable();
    let counted =
        |line: &str| line.starts_with("Seen ") && (line.ends_with(" sessions.") || line.ends_with(" session."));
    if lines.peek().is_some_and(|line| counted(line)) {
        return None;
    }
    let text = one_line(&lines.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" "));
    (!text.is_empty()).then_some(text)
}

/// The targets of `[[target]]` and `[[target|label]]`.
#[must_use]
pub fn wikilinks(body: &str) -> Vec<String> {
    let targets = body.split("[[").skip(1).filter_map(|rest| rest.split_once("]]"));
    let targets = targets.map(|(inside, _)| inside.split(['|', '#']).next().unwrap_or_default().trim().to_owned());
    targets.filter(|target| !target.is_empty() && !target.contains('\n')).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn timestamp() -> impl Strategy<Value = Timestamp> {
        (0_i64..4_000_000_000).prop_map(|second| Timestamp::from_second(second).expect("in range"))
    }

    prop_compose! {
        fn claim()(texts in prop::collection::vec(any::<String>(), 6)) -> Claim {
            let [kind, subject, attribute, scope, value, polarity] = texts.try_into().expect("six");
            Claim { kind, subject, attribute, scope, value, polarity }
        }
    }

    prop_compose! {
        fn fact()(
            claim in claim(),
            (id, text) in (any::<String>(), "(?s).{1,40}".prop_filter("a claim", |text| !text.trim().is_empty())),
            (importance, confidence) in (0_u32..=1000, 0_u32..=1000),
            (support, opportunities, sessions) in any::<(u32, u32, u32)>(),
            tags in prop::collection::vec(any::<String>(), 0..3),
            (valid_from, created, updated) in (prop::option::of(timestamp()), timestamp(), timestamp()),
            gate in prop::option::of(any::<String>()),
            evidence in prop::collection::vec(any::<String>(), 1..3),
        ) -> Fact {
            let evidence = evidence.into_iter().map(|id| Evidence { id, origin: Origin::Pasted }).collect();
            Fact {
                id, claim, text, tags, gate, evidence, support, opportunities, sessions, created, updated, valid_from,
                tier: Tier::Tentative, status: Status::Pending, provenance: Provenance::Edited, valid_until: Some(created),
                importance: f64::from(importance) / 1000.0, confidence: f64::from(confidence) / 1000.0,
            }
        }
    }

    proptest! {
        #[test]
        fn a_fact_comes_back(fact in fact()) {
            let text = render(&fact);
            let (draft, problems) = parse(&text);
            prop_assert_eq!(draft.sentence.clone(), None, "{}", text);
            prop_assert_eq!(draft.clone().into_fact("x", Timestamp::UNIX_EPOCH), fact.clone());
            prop_assert!(problems.iter().all(|problem| problem.message.contains("NUL")), "{problems:?}");
            prop_assert_eq!(render(&draft.into_fact("x", Timestamp::UNIX_EPOCH)), text);
        }
    }

    #[test]
    fn a_sentence_is_a_stated_fact() {
        for text in
            ["I use tabs.\n", "\u{feff}# Tabs\r\n\r\nI use\r\ntabs.\r\n", "---\ntags: [a]\n---\nI use tabs.\n\nMore."]
        {
            let (draft, problems) = parse(text);
            assert_eq!((draft.text.as_str(), problems.len()), ("I use tabs.", 0), "{text:?}");
            let fact = draft.into_fact("event-1", Timestamp::UNIX_EPOCH);
            assert_eq!(
                (fact.provenance, fact.tier, fact.evidence[0].id.as_str()),
                (Provenance::Stated, Tier::Strong, "event-1")
            );
            assert!(fact.id.starts_with("fct_"));
        }
    }

    #[test]
    fn a_changed_body_shows() {
        for (id, sentence) in [("id: fct_0000000000\n", Some("I use spaces")), ("", None)] {
            let (draft, _) = parse(&format!("---\n{id}text: I use tabs\n---\n\nI use spaces\n\nSeen 1 of 1 times.\n"));
            assert_eq!((draft.text.as_str(), draft.sentence.as_deref()), ("I use tabs", sentence), "{id}");
        }
    }

    #[test]
    fn says_what_does_not_fit() {
        let text = "---\ntext: x\ntier: sure\nimportance: 2\ncreated: soon\nevidence: [a]\nsupport: -1\nid: [a]\n---\n";
        let (_, problems) = parse(text);
        let found: Vec<_> = problems.iter().map(|problem| (problem.line, problem.column)).collect();
        assert_eq!(found, [(8, 5), (3, 7), (4, 13), (7, 10), (6, 11), (5, 10)]);
        assert_eq!(parse("").1[0].message, "the file makes no claim");
    }

    #[test]
    fn links_and_order() {
        let fact = parse("x").0.into_fact("e", Timestamp::UNIX_EPOCH);
        let text = render_linked(&fact, &["2026-01-01-a-0123456789".to_owned()]);
        assert_eq!(parse(&text).0.links, ["2026-01-01-a-0123456789"]);
        let keys: Vec<_> = Document::parse(&text).entries().iter().map(|entry| entry.key.clone()).collect();
        assert_eq!(keys, KEYS);
        assert_eq!(wikilinks("[[a|b]] [[c#d]] [[\n]] [["), ["a", "c"]);
    }
}
