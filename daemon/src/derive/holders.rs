//! Which episodes rest on which event: kept beside them, so that nobody looks through all of them.

use std::collections::BTreeSet;

use clone_schema::memory::Episode;

use super::view::View;

/// Events, each with the ids of the episodes that rest on it.
#[derive(Debug, Default)]
pub struct Holders(BTreeSet<(String, String)>);

impl Holders {
    /// Takes an episode.
    pub fn hold(&mut self, episode: &Episode) {
        self.0.extend(pairs(episode));
    }

    /// Lets an episode go that was taken as it is here.
    pub fn let_go(&mut self, episode: &Episode) {
        for pair in pairs(episode) {
            self.0.remove(&pair);
        }
    }

    /// The episode that rests on an event, of several the one with the last id: a rebuild must link the same.
    #[must_use]
    pub fn of(&self, event: &str) -> Option<&str> {
        let from = (event.to_owned(), String::new());
        let found = self.0.range(from..).take_while(|(held, _)| held == event).last();
        found.map(|(_, episode)| episode.as_str())
    }
}

impl View {
    /// Takes an episode, new or told anew.
    pub fn hold(&mut self, episode: Episode) {
        self.let_go(&episode.id);
        self.holders.hold(&episode);
        self.episodes.insert(episode.id.clone(), episode);
    }

    /// Lets an episode go; says whether there was one. What rests on the same events is their holder then.
    pub(super) fn let_go(&mut self, id: &str) -> bool {
        let gone = self.episodes.remove(id);
        gone.inspect(|episode| self.holders.let_go(episode)).is_some()
    }

    /// The episode that rests on an event; of several the one with the last id.
    #[must_use]
    pub fn holder(&self, event: &str) -> Option<&Episode> {
        self.episodes.get(self.holders.of(event)?)
    }
}

fn pairs(episode: &Episode) -> impl Iterator<Item = (String, String)> + '_ {
    episode.evidence.iter().map(|evidence| (evidence.id.clone(), episode.id.clone()))
}

#[cfg(test)]
mod tests {
    use clone_schema::Timestamp;
    use clone_schema::event::Origin;
    use clone_schema::memory::Evidence;

    use super::*;

    fn episode(id: &str, events: &[&str]) -> Episode {
        let evidence = events.iter().map(|id| Evidence { id: (*id).to_owned(), origin: Origin::Typed });
        Episode {
            id: id.to_owned(),
            title: String::new(),
            started_at: Timestamp::UNIX_EPOCH,
            ended_at: Timestamp::UNIX_EPOCH,
            summary: String::new(),
            sources: Vec::new(),
            participants: Vec::new(),
            outcome: String::new(),
            open_ends: Vec::new(),
            tags: Vec::new(),
            evidence: evidence.collect(),
        }
    }

    fn holder(view: &View, event: &str) -> Option<String> {
        view.holder(event).map(|episode| episode.id.clone())
    }

    #[test]
    fn whatever_went_before_the_holder_is_that_of_the_episodes_there_are() {
        let (first, last) = (episode("epi_a", &["one", "two"]), episode("epi_b", &["one"]));
        let mut view = View::default();
        view.hold(last.clone());
        view.hold(first.clone());
        assert_eq!((holder(&view, "one"), holder(&view, "two")), (Some("epi_b".into()), Some("epi_a".into())));
        assert!(view.let_go("epi_b") && !view.let_go("epi_b"));
        assert_eq!(holder(&view, "one").as_deref(), Some("epi_a"));
        view.hold(last);
        // Told anew, it rests on something else.
        view.hold(episode("epi_b", &["three"]));
        let found: Vec<_> = ["one", "two", "three"].iter().map(|event| holder(&view, event)).collect();
        let mut anew = View::default();
        view.episodes.values().for_each(|episode| anew.hold(episode.clone()));
        assert_eq!(found, ["epi_a", "epi_a", "epi_b"].map(|id| Some(id.to_owned())));
        assert_eq!(found, ["one", "two", "three"].map(|event| holder(&anew, event)), "as after a restart");
        assert_eq!((holder(&view, "on"), holder(&view, "zero")), (None, None));
    }
}
