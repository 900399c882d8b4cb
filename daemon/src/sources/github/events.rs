//! Items of GitHub as events: ids from what GitHub calls them, times of the original.

use clone_schema::{Body, Event, Meta, Origin, Source, Timestamp};

use super::super::{Counts, instant, shortened};
use super::human::{self, Words};
use super::wire::{Comment, Commit, Issue, Repository, User};

/// The name in `source_detail` and in front of every id.
pub const NAME: &str = clone_schema::event::GITHUB;
/// The agent that texts on GitHub are addressed to.
const SPEAKER: &str = "GitHub";

/// Whose account it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Person(pub(super) u64);

impl Person {
    pub(super) fn wrote(self, user: Option<&User>) -> bool {
        user.is_some_and(|user| user.id == self.0 && user.kind != "Bot" && !user.login.ends_with("[bot]"))
    }
}

/// Where an item stands.
struct Place<'a> {
    kind: &'static str,
    key: String,
    repository: &'a str,
    session: String,
}

/// The event of an item, or why there is none.
type Made = Result<Event, &'static str>;

/// Hands an event out, or counts why there is none.
pub(super) fn count(made: Made, counts: &mut Counts, out: &mut dyn FnMut(Event)) {
    counts.read += 1;
    match made {
        Ok(event) => {
            counts.events += 1;
            match event.origin() {
                Origin::Typed => counts.human += 1,
                Origin::Agent => counts.agent += 1,
                _ => {}
            }
            out(event);
        }
        Err(reason) => counts.skip(reason),
    }
}

/// What GitHub says of a repository that the person works in.
pub(super) fn repository(repository: &Repository) -> Made {
    let at = at(repository.created_at.as_deref())?;
    let name = &repository.full_name;
    let mut text = if repository.fork { format!("{name}, a fork") } else { name.clone() };
    if let Some(description) = repository.description.as_deref().map(str::trim).filter(|told| !told.is_empty()) {
        text += &format!(": {description}");
    }
    let about = repository.language.iter().chain(&repository.topics).map(String::as_str).collect::<Vec<_>>();
    if !about.is_empty() {
        text += &format!(" ({})", about.join(", "));
    }
    let place = Place { kind: "repository", key: repository.id.to_string(), repository: name, session: name.clone() };
    let body = Body::AgentResponse { agent: SPEAKER.to_owned(), response: text, in_response_to: None };
    Ok(event(place, at, Origin::Agent, body))
}

/// A commit of the person.
pub(super) fn commit(commit: &Commit, repository: &str, person: Person) -> Made {
    if !person.wrote(commit.author.as_ref()) {
        return Err("by somebody else");
    }
    let at = at(commit.commit.author.as_ref().and_then(|signature| signature.date.as_deref()))?;
    let by_web = commit.committer.as_ref().is_some_and(|committer| committer.login == "web-flow");
    let words = human::message(&commit.commit.message, by_web)?;
    let day = at.strftime("%Y-%m-%d");
    let session = format!("{repository}@{day}");
    Ok(told(Place { kind: "commit", key: commit.sha.clone(), repository, session }, at, words))
}

/// An issue or pull request that the person opened.
pub(super) fn issue(issue: &Issue, person: Person) -> Made {
    if !person.wrote(issue.user.as_ref()) {
        return Err("by somebody else");
    }
    if issue.performed_via_github_app.is_some() {
        return Err("written by an app");
    }
    let repository = issue.repository().ok_or("without a repository")?;
    let at = at(Some(&issue.created_at))?;
    let words = human::words(&format!("{}\n\n{}", issue.title, issue.body.as_deref().unwrap_or_default()))?;
    let kind = if issue.pull_request.is_some() { "pull" } else { "issue" };
    let session = format!("{repository}#{}", issue.number);
    Ok(told(Place { kind, key: issue.id.to_string(), repository, session }, at, words))
}

/// A comment or a review of the person in a thread, such as `owner/name#7`.
pub(super) fn comment(comment: &Comment, kind: &'static str, thread: &str, person: Person) -> Made {
    if !person.wrote(comment.user.as_ref()) {
        return Err("by somebody else");
    }
    if comment.performed_via_github_app.is_some() {
        return Err("written by an app");
    }
    let words = human::words(comment.body.as_deref().unwrap_or_default())?;
    let at = at(comment.created_at.as_deref())?;
    let repository = thread.rsplit_once('#').map_or(thread, |(repository, _)| repository);
    Ok(told(Place { kind, key: comment.id.to_string(), repository, session: thread.to_owned() }, at, words))
}

fn at(text: Option<&str>) -> Result<Timestamp, &'static str> {
    text.and_then(instant).ok_or("without a time")
}

fn told(place: Place<'_>, at: Timestamp, (origin, prompt): Words) -> Event {
    event(place, at, origin, Body::AgentPrompt { agent: SPEAKER.to_owned(), prompt })
}

fn event(place: Place<'_>, occurred_at: Timestamp, origin: Origin, body: Body) -> Event {
    let Place { kind, key, repository, session } = place;
    let meta = Meta {
        origin: Some(origin),
        project: Some(repository.to_owned()),
        import_key: Some(format!("{kind}:{key}")),
        ..Meta::default()
    };
    Event {
        id: format!("{NAME}:{kind}:{key}"),
        session_id: format!("{NAME}:{session}"),
        occurred_at,
        source: Source::Integration,
        source_detail: Some(NAME.to_owned()),
        meta: Some(meta),
        body: shortened(body),
    }
}
