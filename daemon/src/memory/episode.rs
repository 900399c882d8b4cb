//! One closed stretch as an episode: what was asked, done, decided and left open, in the words that were used.
//!
//! Nothing is paraphrased: every line is cut from one event and ends with the id of that event.

use clone_schema::event::Outcome;
use clone_schema::memory::{Episode, Evidence};
use clone_schema::{Body, Event, Origin};

use crate::memory::raw::answered;
use crate::memory::scene::{Scene, scene};
use crate::memory::session::Stretch;
use crate::memory::words::{clip, own_lines, sentences};

/// The longest title, in characters.
pub const MAX_TITLE: usize = 80;
/// The longest line of a summary, in characters, without its citation.
pub const MAX_LINE: usize = 240;
/// The most prompts in a summary.
pub const MAX_ASKED: usize = 6;
/// The most answers in a summary.
pub const MAX_DONE: usize = 5;
/// The most decisions in a summary.
pub const MAX_DECIDED: usize = 6;

/// The lines of one heading, each with the event it was cut from.
type Lines<'a> = Vec<(String, &'a Event)>;

/// The episode of a stretch; nothing when nothing was said that is worth telling.
#[must_use]
pub fn episode(stretch: &Stretch) -> Option<Episode> {
    let events: Vec<&Event> = stretch.events.iter().map(|told| &told.event).collect();
    let first = events.first()?;
    let asked = asked(&events);
    let opening = asked.iter().find(|(line, event)| event.origin() == Origin::Typed && words(line) >= 2);
    if opening.is_none() && exchanges(&events) < 2 {
        return None;
    }
    let title = opening.or(asked.first()).map(|(line, _)| clip(line, MAX_TITLE))?;
    let (done, decided, open) = (done(&events), decided(&events), open_end(&events));
    let outcome = outcome(&events);
    let sections: [(&str, Lines<'_>); 5] = [
        ("Asked", spread(asked, MAX_ASKED)),
        ("Done", spread(done, MAX_DONE)),
        ("Decided", spread(decided, MAX_DECIDED)),
        ("Outcome", outcome.clone().into_iter().collect()),
        ("Open", open.clone().into_iter().collect()),
    ];
    Some(Episode {
        id: clone_schema::id::episode(&stretch.session_id, &first.id),
        title,
        started_at: events.iter().map(|event| event.occurred_at).min()?,
        ended_at: events.iter().map(|event| event.occurred_at).max()?,
        summary: summary(&sections),
        sources: distinct(events.iter().flat_map(|event| [Some(event.source.name()), event.source_detail.as_deref()])),
        participants: distinct(std::iter::once(Some("user")).chain(events.iter().map(|event| event.agent()))),
        outcome: outcome.map(|(line, _)| line).unwrap_or_default(),
        open_ends: open.map(|(line, _)| line).into_iter().collect(),
        tags: distinct(events.iter().map(|event| event.project().and_then(|path| path.rsplit(['/', '\\']).next()))),
        evidence: evidence(&sections),
    })
}

fn summary(sections: &[(&str, Lines<'_>)]) -> String {
    let told = sections.iter().filter(|(_, lines)| !lines.is_empty());
    let told = told.map(|(heading, lines)| {
        let lines: Vec<_> = lines.iter().map(|(line, event)| format!("- {line} ({})", event.id)).collect();
        format!("## {heading}\n\n{}", lines.join("\n"))
    });
    told.collect::<Vec<_>>().join("\n\n")
}

/// The cited events once each, in the order of their first citation.
fn evidence(sections: &[(&str, Lines<'_>)]) -> Vec<Evidence> {
    let mut out: Vec<Evidence> = Vec::new();
    for (_, event) in sections.iter().flat_map(|(_, lines)| lines) {
        if !out.iter().any(|known| known.id == event.id) {
            out.push(Evidence { id: event.id.clone(), origin: event.origin() });
        }
    }
    out
}

/// Sorted, without doubles and empty names.
fn distinct<'a>(names: impl Iterator<Item = Option<&'a str>>) -> Vec<String> {
    let names: std::collections::BTreeSet<_> = names.flatten().filter(|name| !name.is_empty()).collect();
    names.into_iter().map(str::to_owned).collect()
}

fn words(line: &str) -> usize {
    // Scripts without spaces: four characters carry about as much as two words.
    line.split_whitespace().count().max(line.chars().filter(|c| *c >= '\u{3000}').count() / 2)
}

/// What somebody asked of an agent: the first own line of each prompt, but never words that are ours or the agent's.
fn asked<'a>(events: &[&'a Event]) -> Lines<'a> {
    let asks = events.iter().filter_map(|event| match &event.body {
        Body::AgentPrompt { prompt, .. } if matches!(event.origin(), Origin::Typed | Origin::Unknown) => {
            let line = own_lines(prompt).first().copied()?;
            Some((clip(line, MAX_LINE), *event))
        }
        _ => None,
    });
    asks.filter(|(line, _)| !line.is_empty()).collect()
}

/// The last sentence of each agent's last text before the next prompt, questions left out.
fn done<'a>(events: &[&'a Event]) -> Lines<'a> {
    let mut lines = Vec::new();
    for (at, event) in events.iter().enumerate() {
        let Body::AgentResponse { response, .. } = &event.body else { continue };
        let next = events[at + 1..]
            .iter()
            .find(|next| matches!(next.body, Body::AgentPrompt { .. } | Body::AgentResponse { .. }));
        if next.is_some_and(|next| matches!(next.body, Body::AgentResponse { .. })) {
            continue;
        }
        let own = own_lines(response);
        let told = own.iter().rev().flat_map(|line| sentences(line).into_iter().rev());
        if let Some(line) = told.into_iter().find(|line| !line.ends_with(['?', '？', ':']) && words(line) >= 3) {
            lines.push((clip(line, MAX_LINE), *event));
        }
    }
    lines
}

fn decided<'a>(events: &[&'a Event]) -> Lines<'a> {
    let choices = events.iter().filter_map(|event| match &event.body {
        Body::AgentChoice(choice) if choice.outcome != Outcome::Interrupted => {
            Some((clip(&answered(choice), MAX_LINE), *event))
        }
        _ => None,
    });
    choices.collect()
}

/// The newest result that an agent reported.
fn outcome<'a>(events: &[&'a Event]) -> Option<(String, &'a Event)> {
    events.iter().rev().find_map(|event| {
        let Body::AgentResponse { response, .. } = &event.body else { return None };
        let told = match scene(response)? {
            Scene::TestsPassed => "tests passed",
            Scene::TestsFailed => "tests failed",
            Scene::Error => "an error was reported",
            Scene::Done | Scene::Did(_) => "the agent reported that it was done",
            Scene::Plan => "a plan was shown",
            Scene::Offer | Scene::Question | Scene::Midway => return None,
        };
        Some((told.to_owned(), *event))
    })
}

/// A last question of an agent that nobody answered.
fn open_end<'a>(events: &[&'a Event]) -> Option<(String, &'a Event)> {
    let said = |event: &&&Event| {
        matches!(event.body, Body::AgentPrompt { .. } | Body::AgentResponse { .. } | Body::AgentChoice(_))
    };
    let last = events.iter().rev().find(said)?;
    let Body::AgentResponse { response, .. } = &last.body else { return None };
    let question = own_lines(response).last().copied().and_then(|line| sentences(line).last().copied())?;
    question.ends_with(['?', '？']).then(|| (clip(question, MAX_LINE), *last))
}

fn exchanges(events: &[&Event]) -> usize {
    let mut asked = false;
    let mut count = 0;
    for event in events {
        match event.body {
            Body::AgentPrompt { .. } => asked = true,
            Body::AgentResponse { .. } if std::mem::take(&mut asked) => count += 1,
            _ => {}
        }
    }
    count
}

/// The first half and the newest half where there are too many.
fn spread(mut lines: Lines<'_>, limit: usize) -> Lines<'_> {
    if lines.len() > limit {
        let head = limit.div_ceil(2);
        lines.drain(head..lines.len() - (limit - head));
    }
    lines
}

#[cfg(test)]
mod tests {
    use clone_schema::Position;
    use clone_schema::event::{Choice, ChoiceKind};

    use super::*;
    use crate::memory::session::Told;
    use crate::memory::session::tests::{event, prompt, response};

    fn stretch(events: Vec<Event>) -> Stretch {
        let events = (0..).map(Position).zip(events).map(|(position, event)| Told { position, event });
        Stretch { session_id: "s".into(), events: events.collect() }
    }

    #[test]
    fn every_line_cites_its_event() {
        let choice = Choice {
            agent: "agent".into(),
            kind: ChoiceKind::Question,
            question: "Which one?".into(),
            options: vec!["A".into()],
            choice: Some("A".into()),
            outcome: Outcome::Chosen,
            in_response_to: None,
        };
        let told = stretch(vec![
            prompt("e1", "s", 0, "Mend the parser, please"),
            response("e2", "s", 1, "Looking at it now.\n\nI fixed the parser. All tests pass."),
            event("e3", "s", 2, Body::AgentChoice(choice)),
            prompt("e4", "s", 3, "now the docs"),
            response("e5", "s", 4, "The docs are written now.\n\nShall I commit?"),
        ]);
        let episode = episode(&told).expect("worth telling");
        assert_eq!(episode.title, "Mend the parser, please");
        assert_eq!(
            episode.summary,
            "## Asked\n\n- Mend the parser, please (e1)\n- now the docs (e4)\n\n## Done\n\n- All tests pass. (e2)\n- \
             The docs are written now. (e5)\n\n## Decided\n\n- Chose “A” for “Which one?” (e3)\n\n## Outcome\n\n- tests \
             passed (e2)\n\n## Open\n\n- Shall I commit? (e5)"
        );
        assert_eq!((episode.outcome.as_str(), episode.open_ends), ("tests passed", vec!["Shall I commit?".to_owned()]));
        assert_eq!(episode.participants, ["agent", "user"]);
        let ids: Vec<_> = episode.evidence.iter().map(|evidence| evidence.id.as_str()).collect();
        assert_eq!(ids, ["e1", "e4", "e2", "e5", "e3"]);
    }

    #[test]
    fn trivial_stretches_make_none() {
        for events in [
            vec![],
            vec![prompt("e1", "s", 0, "hi")],
            vec![prompt("e1", "s", 0, "hi"), response("e2", "s", 1, "Hello")],
            vec![response("e1", "s", 0, "Nobody asked me")],
        ] {
            assert_eq!(episode(&stretch(events)), None);
        }
        assert!(episode(&stretch(vec![prompt("e1", "s", 0, "修正してください")])).is_some());
    }

    #[test]
    fn long_stretches_stay_short() {
        let events = (0..40).flat_map(|n| {
            [prompt(&format!("p{n}"), "s", n, "ask something"), response(&format!("r{n}"), "s", n, "It was done well.")]
        });
        let episode = episode(&stretch(events.collect())).expect("worth telling");
        assert!(episode.summary.contains("(p0)") && episode.summary.contains("(p39)"));
        assert_eq!(episode.evidence.len(), MAX_ASKED + MAX_DONE);
    }
}
