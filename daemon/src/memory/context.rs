//! What a predictor sees of the memory: the bundle of `/api/memory/context/`.

pub mod pack;

use clone_schema::api::ContextRequest;
use clone_schema::memory::{Episode, Fact, Raw, Status};
use clone_schema::{Fault, Timestamp};

/// The facts, episodes and raw rows that a request asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Context<'a> {
    /// Active facts by importance, then the newest.
    pub facts: Vec<&'a Fact>,
    /// Episodes that ended in the window, newest first.
    pub episodes: Vec<&'a Episode>,
    /// Raw rows of the window, newest first.
    pub raw: Vec<Raw>,
}

/// The limits in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// How far back episodes and raw rows go, in minutes.
    pub recency_minutes: u32,
    /// The most facts.
    pub max_facts: usize,
    /// The most episodes.
    pub max_episodes: usize,
    /// The most raw rows.
    pub max_raw: usize,
}

impl Window {
    /// The limits of a request.
    ///
    /// # Errors
    ///
    /// Invalid when a limit is outside its range; the message names it.
    pub fn of(request: &ContextRequest) -> Result<Self, Fault> {
        let minutes = request.recency_minutes.map(|minutes| minutes as usize);
        let minutes = within("recency_minutes", minutes, 60, 10_080)?;
        Ok(Self {
            recency_minutes: u32::try_from(minutes).unwrap_or(u32::MAX),
            max_facts: within("max_facts", request.max_facts, 20, 100)?,
            max_episodes: within("max_episodes", request.max_episodes, 10, 50)?,
            max_raw: within("max_raw", request.max_raw, 50, 500)?,
        })
    }
}

fn within(name: &str, value: Option<usize>, otherwise: usize, most: usize) -> Result<usize, Fault> {
    let value = value.unwrap_or(otherwise);
    let fits = (1..=most).contains(&value);
    if fits { Ok(value) } else { Err(Fault::invalid(format!("`{name}` must be from 1 to {most}, not {value}"))) }
}

/// Selects the bundle: what is left out is not copied.
#[must_use]
pub fn context<'a>(
    request: &ContextRequest,
    window: Window,
    facts: impl Iterator<Item = &'a Fact>,
    episodes: impl Iterator<Item = &'a Episode>,
    mut raw: Vec<Raw>,
    now: Timestamp,
) -> Context<'a> {
    let since = now.as_second().saturating_sub(i64::from(window.recency_minutes) * 60);
    let recent = |at: Timestamp| at.as_second() >= since && at <= now;

    let goal = request.goal.as_deref().map(str::to_lowercase);
    let tags = request.tags.as_deref().unwrap_or_default();
    let mut facts: Vec<&Fact> = facts.filter(|fact| wanted(fact, goal.as_deref(), tags)).collect();
    facts.sort_by(|a, b| {
        let newer = b.updated.cmp(&a.updated);
        b.importance.total_cmp(&a.importance).then(newer).then_with(|| a.id.cmp(&b.id))
    });
    facts.truncate(window.max_facts);
    let mut episodes: Vec<&Episode> = episodes.filter(|episode| recent(episode.ended_at)).collect();
    episodes.sort_by(|a, b| b.ended_at.cmp(&a.ended_at).then_with(|| a.id.cmp(&b.id)));
    episodes.truncate(window.max_episodes);
    raw.retain(|row| recent(row.occurred_at));
    raw.sort_by(|a, b| b.occurred_at.cmp(&a.occurred_at).then_with(|| a.id.cmp(&b.id)));
    raw.truncate(window.max_raw);
    Context { facts, episodes, raw }
}

/// Whether an active fact has the goal, in lower case, in its text, and one of the tags; no tags are all.
fn wanted(fact: &Fact, goal: Option<&str>, tags: &[String]) -> bool {
    fact.status == Status::Active
        && goal.is_none_or(|goal| fact.text.to_lowercase().contains(goal))
        && (tags.is_empty() || tags.iter().any(|tag| fact.tags.contains(tag)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::fact::tests::mined;
    use crate::memory::raw::row;
    use crate::memory::session::tests::prompt;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    #[test]
    fn facts_by_goal_tag_and_importance() {
        let rules =
            [("s1", "always use tabs for indentation"), ("s1", "never commit to main"), ("s2", "never commit to main")];
        let facts = mined(&rules);
        let texts = |request: &ContextRequest| {
            let window = Window::of(request).expect("valid");
            let context = context(request, window, facts.iter(), [].iter(), Vec::new(), at(0));
            context.facts.into_iter().map(|fact| fact.claim.value.as_str()).collect::<Vec<_>>()
        };
        let request = ContextRequest::default();
        assert_eq!(texts(&request), ["commit to main", "tabs"]);
        assert_eq!(texts(&ContextRequest { max_facts: Some(1), ..request.clone() }), ["commit to main"]);
        assert_eq!(texts(&ContextRequest { goal: Some("TABS".into()), ..request.clone() }), ["tabs"]);
        assert_eq!(texts(&ContextRequest { tags: Some(vec!["indentation".into()]), ..request }), ["tabs"]);
    }

    #[test]
    fn the_window_and_the_caps() {
        let rows: Vec<_> = (0..100).map(|n| row(&prompt(&format!("e{n:02}"), "s", n * 60, "x"))).collect();
        let request = ContextRequest { recency_minutes: Some(10), ..ContextRequest::default() };
        let window = Window::of(&request).expect("valid");
        let found = context(&request, window, [].iter(), [].iter(), rows, at(5_400)).raw;
        let ids: Vec<_> = found.iter().map(|row| row.id.as_str()).collect();
        assert_eq!((ids.len(), ids[0], ids[10]), (11, "e90", "e80"));
        for request in [
            ContextRequest { max_raw: Some(501), ..ContextRequest::default() },
            ContextRequest { recency_minutes: Some(0), ..ContextRequest::default() },
        ] {
            assert!(Window::of(&request).is_err());
        }
    }
}
