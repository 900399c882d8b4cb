//! GitHub read into events: a walk over its REST API that asks one question at a time and opens no socket itself.
//!
//! Whoever holds the token sends what [`Walk::question`] asks and hands the answer to [`Walk::take`]. How far a walk came is in
//! its [`Memory`], so that the next goes on where a limit, a failure or a restart cut it off; read twice, an item makes the
//! same id. An hour in which nothing moved costs six questions, whose answers are 304 and count against no limit.

mod answer;
mod device;
mod events;
mod human;
mod read;
mod wire;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use clone_schema::{Event, Timestamp, time};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::answer::{Verdict, next_page, reserved, verdict};
use self::events::Person;
use self::wire::Found;
use super::{Counts, Filter, instant};

pub use self::answer::Answer;
pub use self::device::{Device, Polled};
pub use self::events::NAME;

/// Questions in one walk; the next goes on a minute later.
pub const QUESTIONS_MAX: u32 = 10_000;
/// Repositories that are remembered.
pub const REPOSITORIES_MAX: usize = 2_000;
/// Threads that wait to be read; a list with more is read on when these are.
pub const THREADS_MAX: usize = 10_000;
/// Pages of one list in one walk.
pub const PAGES_MAX: u32 = 100;
/// How old a commit may be when it arrives, after the first walk through its repository, in seconds: 90 days.
const LATE_COMMIT_SECONDS: i64 = 90 * 86_400;
/// By how much comments are asked for again, in seconds: a day.
const OVERLAP_SECONDS: i64 = 86_400;
/// From when a walk is due again, in seconds: an hour.
const STALE_SECONDS: i64 = 3_600;
/// Failures in a row on one repository or thread after which it is passed over.
const ITEM_FAILURES: u32 = 3;
/// The first wait after a failure, in seconds; it doubles up to an hour.
const FAILED_SECONDS: i64 = 60;

/// How far GitHub was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// The account's name.
    pub login: Option<String>,
    /// What the token may do, where GitHub says so.
    pub scopes: Option<String>,
    /// When a walk last came to its end.
    pub synced_at: Option<Timestamp>,
    /// Whether GitHub no longer takes the token.
    pub needs_reauth: bool,
    /// Nothing is asked before this instant.
    pub not_before: Option<Timestamp>,
    /// What went wrong last, for the person.
    pub problem: Option<String>,
    failures: u32,
    /// The repository or thread on which it failed last, and how often in a row.
    stuck: Option<(String, u32)>,
    id: Option<u64>,
    etags: BTreeMap<String, Tag>,
    /// When the walk began that is not at its end yet.
    began: Option<Timestamp>,
    /// When the last walk began that read everything: older comments are known.
    read_from: Option<Timestamp>,
    /// Whether a list was left before its end, because it was too long.
    cut: bool,
    /// Whether the list of repositories was read to its end once.
    listed: bool,
    repositories: BTreeMap<String, Pushed>,
    threads: BTreeMap<String, Thread>,
    cursors: BTreeMap<String, Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Tag {
    path: String,
    etag: String,
}

/// When a repository was pushed to, and up to which push its commits were read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Pushed {
    at: String,
    read: Option<String>,
}

/// A thread that waits to be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Thread {
    pull: bool,
    since: Option<Timestamp>,
}

impl Memory {
    /// Whether a walk is due: an hour after the last, and never before GitHub or a failure said so.
    #[must_use]
    pub fn due(&self, now: Timestamp, wanted: bool) -> bool {
        let stale = self.synced_at.is_none_or(|at| time::seconds_between(at, now) >= STALE_SECONDS);
        !self.needs_reauth && (wanted || stale) && self.not_before.is_none_or(|at| at <= now)
    }

    /// Remembers a failure, and waits longer after each.
    pub fn failed(&mut self, why: &str, now: Timestamp) {
        let wait = (FAILED_SECONDS << self.failures.min(6)).min(STALE_SECONDS);
        self.failures = self.failures.saturating_add(1);
        self.not_before = Some(time::after_seconds(now, wait));
        self.problem = Some(why.to_owned());
    }
}

/// A question to GitHub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Path and query, below the base of the API.
    pub path: String,
    /// What an unchanged answer is known by.
    pub etag: Option<String>,
}

/// Why a walk ends before its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Halt {
    /// The token is no longer good.
    #[error("GitHub no longer takes the token; `clone source connect github` connects again")]
    Reauth,
    /// GitHub asks to come back later, or the rest of its hour is left to others.
    #[error("GitHub's limit is reached; it goes on at {0:.0}")]
    Wait(Timestamp),
    /// It broke, or is not GitHub.
    #[error("{0}; it is tried again")]
    Broken(String),
}

/// A list of issues and pull requests, each read from a cursor on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum List {
    Opened,
    CommentedIssues,
    CommentedPulls,
    Reviewed,
}

impl List {
    const ALL: [Self; 4] = [Self::Opened, Self::CommentedIssues, Self::CommentedPulls, Self::Reviewed];

    const fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::CommentedIssues => "commented issues",
            Self::CommentedPulls => "commented pulls",
            Self::Reviewed => "reviewed",
        }
    }

    fn path(self, login: &str, from: Option<Timestamp>) -> String {
        let from = from.map(|at| format!("{at:.0}"));
        let search = |who: &str, what: &str| {
            let updated = from.as_deref().map(|at| format!("+updated%3A%3E%3D{}", at.replace(':', "%3A")));
            let updated = updated.unwrap_or_default();
            format!("/search/issues?q={who}%3A{login}+is%3A{what}{updated}&sort=updated&order=asc&per_page=100")
        };
        match self {
            Self::Opened => {
                let since = from.as_deref().map(|at| format!("&since={at}")).unwrap_or_default();
                format!("/issues?filter=created&state=all&sort=updated&direction=asc&per_page=100{since}")
            }
            Self::CommentedIssues => search("commenter", "issue"),
            Self::CommentedPulls => search("commenter", "pull-request"),
            Self::Reviewed => search("reviewed-by", "pull-request"),
        }
    }
}

/// A part of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Comments,
    LineComments,
    Reviews,
}

impl Part {
    const fn kind(self) -> &'static str {
        match self {
            Self::Comments => "comment",
            Self::LineComments => "review-comment",
            Self::Reviews => "review",
        }
    }
}

/// What is asked next.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Me,
    Repositories,
    Commits(String),
    List(List),
    Thread(String, Part),
    End,
}

/// One reading of GitHub.
pub struct Walk<'a> {
    base: &'a str,
    filter: &'a Filter,
    memory: Memory,
    step: Step,
    path: String,
    pages: u32,
    /// The tag of the first page of the list that is read now.
    tag: Option<Tag>,
    questions: u32,
    counts: Counts,
}

impl<'a> Walk<'a> {
    /// A walk that goes on where `memory` ends; `base` is the address of the API, without a slash at its end.
    #[must_use]
    pub fn new(base: &'a str, filter: &'a Filter, mut memory: Memory) -> Self {
        (memory.needs_reauth, memory.not_before) = (false, None);
        // What waits was listed before the person excluded its repository.
        memory.threads.retain(|thread, _| thread.rsplit_once('#').is_some_and(|(name, _)| filter.takes(name)));
        let (step, path) = (Step::Me, Account::PATH.to_owned());
        Self { base, filter, memory, step, path, pages: 0, tag: None, questions: 0, counts: Counts::default() }
    }

    /// How far it came.
    #[must_use]
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// What it read so far.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The next question; nothing at the end.
    #[must_use]
    pub fn question(&self) -> Option<Question> {
        if self.step == Step::End {
            return None;
        }
        let known = self.tagged().and_then(|name| self.memory.etags.get(name));
        let etag = known.filter(|tag| tag.path == self.path).map(|tag| tag.etag.clone());
        Some(Question { path: self.path.clone(), etag })
    }

    /// Takes the answer to the last question, and hands out the events that it holds.
    ///
    /// # Errors
    ///
    /// GitHub refuses for now or for good; the memory says until when, and keeps what was read.
    pub fn take(&mut self, answer: &Answer, now: Timestamp, out: &mut dyn FnMut(Event)) -> Result<(), Halt> {
        self.questions += 1;
        self.pages += 1;
        self.memory.began.get_or_insert(now);
        match verdict(answer, now) {
            Verdict::Good => match self.read(answer, out) {
                Ok(()) if self.path.is_empty() => self.finish(now),
                Ok(()) => {}
                Err(why) => self.fails(why, now)?,
            },
            Verdict::Unchanged => self.finish(now),
            // Whoever has no account reads nothing.
            Verdict::Skip(why) if self.step == Step::Me => {
                return Err(self.broken(&format!("your account: {why}"), now));
            }
            Verdict::Skip(why) => {
                self.counts.skip(why);
                self.finish(now);
            }
            Verdict::Reauth => {
                self.memory.needs_reauth = true;
                self.memory.problem = Some(Halt::Reauth.to_string());
                return Err(Halt::Reauth);
            }
            Verdict::Wait(until) => return Err(self.wait(until)),
            Verdict::Broken => self.fails(&format!("GitHub answered {}", answer.status), now)?,
        }
        let tired = (self.questions >= QUESTIONS_MAX).then(|| time::after_seconds(now, FAILED_SECONDS));
        match reserved(answer, now).max(tired).filter(|_| self.step != Step::End) {
            Some(until) => Err(self.wait(until)),
            None => Ok(()),
        }
    }

    /// Takes that the last question has no answer, or none that can be read.
    ///
    /// One repository or thread on which that happens each time does not keep the others away: it is passed over.
    ///
    /// # Errors
    ///
    /// Anything else is asked again later; the memory says when.
    pub fn fails(&mut self, why: &str, now: Timestamp) -> Result<(), Halt> {
        if let Some(item) = self.item().map(str::to_owned) {
            let times = self.memory.stuck.as_ref().filter(|(on, _)| *on == item).map_or(0, |(_, times)| *times);
            if times >= ITEM_FAILURES {
                self.memory.failures = 0;
                self.counts.skip("GitHub fails on it");
                self.finish(now);
                return Ok(());
            }
            self.memory.stuck = Some((item, times + 1));
        }
        Err(self.broken(why, now))
    }

    fn wait(&mut self, until: Timestamp) -> Halt {
        self.memory.not_before = Some(until);
        Halt::Wait(until)
    }

    fn broken(&mut self, why: &str, now: Timestamp) -> Halt {
        self.memory.failed(why, now);
        Halt::Broken(why.to_owned())
    }
}

/// Whose token it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The account's name.
    pub login: String,
    /// What the token may do, where GitHub says so.
    pub scopes: Option<String>,
    id: u64,
}

impl Account {
    /// The question for it.
    pub const PATH: &'static str = "/user";

    /// Reads it out of the answer.
    ///
    /// # Errors
    ///
    /// It is no person's, or no account at all.
    pub fn read(answer: &Answer) -> Result<Self, &'static str> {
        let user: wire::User = serde_json::from_slice(&answer.body).map_err(|_| "GitHub answered with no account")?;
        if user.kind != "User" {
            return Err("the token is not a person's");
        }
        if user.login.is_empty() || !user.login.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)) {
            return Err("GitHub answered with no account");
        }
        let scopes = answer.header("x-oauth-scopes").filter(|scopes| !scopes.is_empty()).map(str::to_owned);
        Ok(Self { login: user.login, scopes, id: user.id })
    }

    /// What is remembered of it before anything was read.
    #[must_use]
    pub fn memory(self) -> Memory {
        Memory { login: Some(self.login), scopes: self.scopes, id: Some(self.id), ..Memory::default() }
    }
}

/// Whether this is `owner/name` and nothing that would lead elsewhere in a path.
fn is_repository(name: &str) -> bool {
    let is_part = |part: &str| {
        !matches!(part, "" | "." | "..") && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    name.split_once('/').is_some_and(|(owner, name)| is_part(owner) && is_part(name))
}
