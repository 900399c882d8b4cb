//! Episode files: front matter, then the summary.

use clone_schema::memory::{Episode, Evidence};
use clone_schema::time::Timestamp;

use crate::document::Document;
use crate::fact::{Reader, evidence_line};
use crate::front_matter::Writer;
use crate::name;
use crate::problem::Problem;

/// The keys of an episode file, in order.
pub const KEYS: &[&str] =
    &["id", "title", "started_at", "ended_at", "sources", "participants", "outcome", "open_ends", "tags", "evidence"];

/// An episode as a file tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct EpisodeDraft {
    pub id: Option<String>,
    pub title: Option<String>,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    pub sources: Option<Vec<String>>,
    pub participants: Option<Vec<String>>,
    pub outcome: Option<String>,
    pub open_ends: Option<Vec<String>>,
    pub tags: Option<Vec<String>>,
    pub evidence: Option<Vec<Evidence>>,
    /// The body.
    pub summary: String,
}

/// Where an episode is kept: `episodes/<date>-<slug>-<short id>.md`, dated in UTC.
#[must_use]
pub fn file_name(episode: &Episode) -> String {
    let date = episode.started_at.strftime("%Y-%m-%d");
    format!("episodes/{date}-{}-{}.md", name::slug(&episode.title, "episode"), name::short_id(&episode.id))
}

/// The file of an episode.
#[must_use]
pub fn render(episode: &Episode) -> String {
    let mut out = Writer::default();
    out.text("id", &episode.id).text("title", &episode.title);
    out.plain("started_at", Some(episode.started_at.to_string()));
    out.plain("ended_at", Some(episode.ended_at.to_string()));
    out.list("sources", &episode.sources).list("participants", &episode.participants);
    out.text("outcome", &episode.outcome);
    out.block("open_ends", episode.open_ends.iter().cloned());
    out.list("tags", &episode.tags);
    out.block("evidence", episode.evidence.iter().map(evidence_line));
    format!("{}\n{}\n", out.finish(), episode.summary)
}

/// Reads an episode file.
#[must_use]
pub fn parse(text: &str) -> (EpisodeDraft, Vec<Problem>) {
    let document = Document::parse(text);
    let mut reader = Reader::new(&document);
    let draft = EpisodeDraft {
        id: reader.text("id"),
        title: reader.text("title"),
        started_at: reader.date("started_at"),
        ended_at: reader.date("ended_at"),
        sources: reader.list("sources"),
        participants: reader.list("participants"),
        outcome: reader.text("outcome"),
        open_ends: reader.list("open_ends"),
        tags: reader.list("tags"),
        evidence: reader.evidence(),
        summary: summary(document.body(), document.line_ending().as_str()).to_owned(),
    };
    (draft, reader.problems)
}

/// The body without the empty line before it and the line end behind it.
fn summary<'a>(body: &'a str, newline: &str) -> &'a str {
    let body = body.strip_prefix(newline).unwrap_or(body);
    body.strip_suffix(newline).unwrap_or(body)
}

impl EpisodeDraft {
    /// The whole episode; nothing when id or times are absent, because an episode is never made up from a file.
    #[must_use]
    pub fn into_episode(self) -> Option<Episode> {
        Some(Episode {
            id: self.id?,
            title: self.title.unwrap_or_default(),
            started_at: self.started_at?,
            ended_at: self.ended_at?,
            summary: self.summary,
            sources: self.sources.unwrap_or_default(),
            participants: self.participants.unwrap_or_default(),
            outcome: self.outcome.unwrap_or_default(),
            open_ends: self.open_ends.unwrap_or_default(),
            tags: self.tags.unwrap_or_default(),
            evidence: self.evidence.unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use clone_schema::event::Origin;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_episode_comes_back(
            texts in prop::collection::vec(any::<String>(), 4),
            lists in prop::collection::vec(prop::collection::vec(any::<String>(), 0..3), 4),
            second in 0_i64..4_000_000_000,
        ) {
            let at = Timestamp::from_second(second).expect("in range");
            let episode = Episode {
                id: texts[0].clone(), title: texts[1].clone(), started_at: at, ended_at: at, summary: texts[2].clone(),
                sources: lists[0].clone(), participants: lists[1].clone(), outcome: texts[3].clone(),
                open_ends: lists[2].clone(), tags: lists[3].clone(),
                evidence: lists[0].iter().map(|id| Evidence { id: id.clone(), origin: Origin::Ours }).collect(),
            };
            let text = render(&episode);
            prop_assert_eq!(parse(&text).0.into_episode(), Some(episode));
            let keys: Vec<_> = Document::parse(&text).entries().iter().map(|entry| entry.key.clone()).collect();
            prop_assert_eq!(keys, KEYS);
        }
    }

    #[test]
    fn a_note_without_front_matter_is_no_episode() {
        let (draft, problems) = parse("just words\n");
        assert_eq!((draft.summary.as_str(), problems.len()), ("just words", 0));
        assert_eq!(draft.into_episode(), None);
    }
}
