//! `log cat`, `log tail` and `log export`: the events themselves, through the daemon where one runs.

use std::collections::VecDeque;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};
use clone_schema::api::{EventPage, LoggedEvent, PAGE_MAX};
use clone_schema::topic::TOPICS;
use clone_schema::{Position, Timestamp, time};
use serde_json::{Value, json};

use super::log::refused;
use super::{Context, export, print};
use crate::client::{Client, ClientError};
use crate::clock;
use crate::failure::{Failure, exit};
use crate::log::{self, Filter};

/// Words of an event on one line, in characters.
const WORDS: usize = 100;
/// The fields that say best what an event is about, the first that is there wins.
const TELLING: &[&str] =
    &["prompt", "response", "command", "question", "path", "text", "title", "url", "window_title", "app", "uri"];

/// `clone log cat`
#[derive(Args)]
pub struct Cat {
    #[command(flatten)]
    range: Range,
    /// At most so many
    #[arg(long)]
    limit: Option<u64>,
}

/// `clone log tail`
#[derive(Args)]
pub struct Tail {
    /// How many of the last events
    #[arg(short, default_value_t = 10, value_parser = clap::value_parser!(u64).range(..=PAGE_MAX as u64))]
    n: u64,
    /// Go on with every event that is recorded, until the daemon ends
    #[arg(short, long)]
    follow: bool,
}

/// `clone log export`
#[derive(Args)]
pub struct Export {
    /// What to write
    #[arg(long, value_enum)]
    format: Format,
    /// The new file
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    range: Range,
}

/// What an export writes.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One JSON object per line: position, topic, recorded_at, occurred_at, event
    Jsonl,
    /// One MCAP file that any reader of MCAP opens
    Mcap,
}

#[derive(Args)]
struct Range {
    /// Only from this position on
    #[arg(long, value_name = "POS", default_value_t = 0)]
    from: u64,
    /// Only this kind of event
    #[arg(long, value_parser = PossibleValuesParser::new(TOPICS.iter().map(|topic| topic.name)), hide_possible_values = true)]
    topic: Option<String>,
    /// Only what happened then or later: `2026-05-05`, `2026-05-05T12:00:00Z`, or `7d`, `12h`, `30m` ago
    #[arg(long, value_name = "D", value_parser = when)]
    since: Option<Timestamp>,
    /// Only what happened before then, told likewise
    #[arg(long, value_name = "D", value_parser = when)]
    until: Option<Timestamp>,
}

impl Range {
    fn filter(&self) -> Filter {
        Filter { topic: self.topic.clone(), since: self.since, until: self.until }
    }
}

/// A day (in UTC, as times are shown), an instant, or how long ago.
pub(super) fn when(text: &str) -> Result<Timestamp, String> {
    at(text, clock::now()).ok_or_else(|| "give a day, an instant with its offset, or `7d`, `12h`, `30m`".to_owned())
}

fn at(text: &str, now: Timestamp) -> Option<Timestamp> {
    let ago = |number: &str, seconds: i64| {
        let number: u32 = number.parse().ok()?;
        Timestamp::from_second(now.as_second().checked_sub(i64::from(number).checked_mul(seconds)?)?).ok()
    };
    let day = || time::parse(&format!("{text}T00:00:00Z"));
    match text.split_at_checked(text.len().saturating_sub(1)) {
        Some((number, "d")) => ago(number, 86_400),
        Some((number, "h")) => ago(number, 3_600),
        Some((number, "m")) => ago(number, 60),
        _ => time::parse(text).or_else(day),
    }
}

/// The way to the events: the daemon, or the log itself where none runs.
pub enum Door {
    /// A daemon that answers.
    Daemon(Client),
    /// The log, held by us.
    Offline(log::Log),
}

impl Door {
    /// The daemon where it runs; else the log is opened as a daemon would open it, what a crash left is dealt with too.
    fn open(context: &Context) -> Result<Self, Failure> {
        let client = context.client()?;
        match client.blocking("health", None, &[], None) {
            Err(ClientError::NotReachable { .. }) if context.env.api_url.is_none() => {}
            answer => return answer.map(|_| Self::Daemon(client)).map_err(Failure::from),
        }
        let dir = &context.paths.log;
        if !dir.is_dir() {
            return Err(refused(&log::LogError::NoLog(dir.display().to_string())));
        }
        let opened = log::Log::open(dir, log::Options::reading(clock::now));
        opened.map(|(log, _)| Self::Offline(log)).map_err(|error| refused(&error))
    }

    fn page(&self, from: Position, limit: usize, filter: &Filter) -> Result<EventPage, Failure> {
        match self {
            Self::Daemon(client) => Ok(client.events_list(&query(from, limit, filter))?),
            Self::Offline(log) => log.page(from, limit, filter).map(Into::into).map_err(|error| refused(&error)),
        }
    }

    fn last(&self, count: usize) -> Result<EventPage, Failure> {
        match self {
            Self::Daemon(client) => Ok(client.events_list(&[("last", count.to_string())])?),
            Self::Offline(log) => log.last(count).map(Into::into).map_err(|error| refused(&error)),
        }
    }

    /// Every wanted event that is in the log now; `each` says whether to go on.
    pub fn each(
        &self,
        from: Position,
        filter: &Filter,
        mut each: impl FnMut(LoggedEvent) -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        let mut page = self.page(from, PAGE_MAX, filter)?;
        // What is recorded meanwhile is not waited for, or an end might never come.
        let end = page.head;
        loop {
            let (next, more) = (page.next, page.more && page.next < end);
            for event in VecDeque::from(page.events) {
                if event.position >= end || !each(event)? {
                    return Ok(());
                }
            }
            if !more {
                return Ok(());
            }
            page = self.page(next, PAGE_MAX, filter)?;
        }
    }
}

fn query(from: Position, limit: usize, filter: &Filter) -> Vec<(&'static str, String)> {
    let mut query = vec![("from", from.to_string()), ("limit", limit.to_string())];
    query.extend(filter.topic.clone().map(|topic| ("topic", topic)));
    query.extend(filter.since.map(|since| ("since", since.to_string())));
    query.extend(filter.until.map(|until| ("until", until.to_string())));
    query
}

/// Prints events in the order of the log.
///
/// # Errors
///
/// The log cannot be read.
pub fn cat(context: &Context, arguments: &Cat) -> Result<u8, Failure> {
    let mut left = arguments.limit.unwrap_or(u64::MAX);
    if left == 0 {
        return Ok(0);
    }
    Door::open(context)?.each(Position(arguments.range.from), &arguments.range.filter(), |event| {
        show(context, &event);
        left -= 1;
        Ok(left > 0)
    })?;
    Ok(0)
}

/// Prints the last events, and goes on where that was asked for.
///
/// # Errors
///
/// The log cannot be read, or nobody runs to follow.
pub fn tail(context: &Context, arguments: &Tail) -> Result<u8, Failure> {
    let door = Door::open(context)?;
    let count = usize::try_from(arguments.n).unwrap_or(PAGE_MAX);
    // None are asked for as one, because a page says from where to go on.
    let page = door.last(count.max(1))?;
    if count > 0 {
        page.events.iter().for_each(|event| show(context, event));
    }
    if !arguments.follow {
        return Ok(0);
    }
    let Door::Daemon(client) = door else {
        let failure = Failure::new("no daemon runs, so nothing is recorded that could be followed");
        return Err(failure.hint("start it with `clone daemon`").code(exit::UNREACHABLE));
    };
    client.events_stream(page.next, |event| show(context, &event))?;
    print::note("the daemon ended");
    Ok(0)
}

/// Writes events into a file.
///
/// # Errors
///
/// The log cannot be read, or the file exists or cannot be written.
pub fn export(context: &Context, arguments: &Export) -> Result<u8, Failure> {
    let door = Door::open(context)?;
    let (from, filter) = (Position(arguments.range.from), arguments.range.filter());
    let done = export::write(&door, from, &filter, arguments.format, &arguments.out)?;
    if context.json {
        print::value(&json!({"out": arguments.out, "events": done.events, "bytes": done.bytes}));
    } else {
        let events = print::count(done.events, "event");
        print::line(format!("{events}, {} in {}", print::size(done.bytes), arguments.out.display()));
    }
    Ok(0)
}

fn show(context: &Context, event: &LoggedEvent) {
    if context.json {
        print::json_line(event.event.get());
        return;
    }
    let at = print::moment(&event.occurred_at.to_string());
    let value: Value = serde_json::from_str(event.event.get()).unwrap_or_default();
    print::line(format!("{:>8}  {at}  {:<16}  {}", event.position, event.topic, words(&value)));
}

/// What an event is about, on one line.
fn words(event: &Value) -> String {
    let telling = TELLING.iter().find_map(|name| event[name].as_str().filter(|text| !text.trim().is_empty()));
    let rest = || {
        let mut rest = event.clone();
        for known in ["id", "type", "at", "occurred_at", "meta", "source", "source_detail"] {
            rest.as_object_mut().map(|rest| rest.remove(known));
        }
        rest.to_string()
    };
    print::cut(&telling.map_or_else(rest, str::to_owned), WORDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_day_an_instant_or_how_long_ago() {
        let now = time::parse("2026-05-05T12:00:00Z").expect("an instant");
        for (text, expected) in [
            ("2026-05-01", Some("2026-05-01T00:00:00Z")),
            ("2026-05-01T10:00:00+02:00", Some("2026-05-01T08:00:00Z")),
            ("2d", Some("2026-05-03T12:00:00Z")),
            ("36h", Some("2026-05-04T00:00:00Z")),
            ("90m", Some("2026-05-05T10:30:00Z")),
            ("yesterday", None),
            ("d", None),
            ("-1d", None),
            ("4294967295d", None),
            ("", None),
            ("日", None),
        ] {
            assert_eq!(at(text, now), expected.and_then(time::parse), "{text}");
        }
    }

    #[test]
    fn an_event_is_told_by_its_words_or_by_what_it_holds() {
        for (event, expected) in [
            (json!({"id": "a", "type": "agent.prompt", "agent": "X", "prompt": "do\nit"}), "do it"),
            (json!({"id": "a", "type": "input.click", "at": "now", "x": 1}), r#"{"x":1}"#),
            (json!({"title": " ", "url": "http://localhost"}), "http://localhost"),
        ] {
            assert_eq!(words(&event), expected);
        }
    }
}
