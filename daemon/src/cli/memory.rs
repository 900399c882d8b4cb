//! `memory` and `context`: what is remembered.

use clap::{Args, Subcommand, ValueEnum};
use clone_schema::Timestamp;
use serde_json::{Value, json};

use super::{Context as Cli, notes, print};
use crate::failure::Failure;

/// `clone memory`
#[derive(Args)]
pub struct Memory {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// List a tier, newest first
    List {
        /// What
        #[arg(value_enum, default_value_t = Tier::Facts)]
        what: Tier,
        /// Only facts of this tier: strong, tentative, candidate
        #[arg(long)]
        tier: Option<String>,
        /// Only facts of this status: active, archived, pending
        #[arg(long)]
        status: Option<String>,
        /// Only facts of this kind: preference, habit, skill, artifact, person, project, vocabulary, statement
        #[arg(long)]
        kind: Option<String>,
        /// How many
        #[arg(long, default_value_t = 20)]
        limit: usize,
        /// How many to pass over
        #[arg(long, default_value_t = 0)]
        offset: usize,
    },
    /// Show one fact or episode, or the profile
    Show {
        /// `fct_…`, `epi_…`, `profile` or `soul`
        id: String,
    },
    /// List what waits for you: sensitive claims, permissions, contradictions, what was seen once
    Audit,
    /// State a fact
    Add(notes::Add),
    /// Let a waiting claim into use, or make a tentative fact sure
    Promote {
        /// `fct_…` or `gate-…`
        id: String,
    },
    /// Take a fact out of use, and never infer it again
    Archive {
        /// `fct_…` or `gate-…`
        id: String,
    },
    /// Find what was said, done or learned
    Search(Search),
    /// Show who changed a note, when, and what
    History(notes::History),
    /// Put an earlier version of a note back
    Undo(notes::Undo),
    /// Open a note in your editor
    Edit(notes::Edit),
    /// Say what notes that are gone from the vault all at once are
    Deletions(notes::Deletions),
}

#[derive(Args)]
struct Search {
    /// The words
    query: String,
    /// Only this tier: fact, episode or raw
    #[arg(long)]
    tier: Option<String>,
    /// Only this session
    #[arg(long)]
    session: Option<String>,
    /// Only this agent
    #[arg(long)]
    agent: Option<String>,
    /// Only this project: its name, or its folder where it has none
    #[arg(long)]
    project: Option<String>,
    /// Only this kind of event, such as agent.prompt
    #[arg(long)]
    topic: Option<String>,
    /// Only what carries this tag; again for any of several
    #[arg(long = "tag")]
    tags: Vec<String>,
    /// Only what happened at or after this day or instant, or this long ago
    #[arg(long, value_parser = super::events::when)]
    from: Option<Timestamp>,
    /// Only what happened before this day or instant
    #[arg(long, value_parser = super::events::when)]
    to: Option<Timestamp>,
    /// How many
    #[arg(long, default_value_t = 10)]
    limit: usize,
    /// How many to pass over
    #[arg(long, default_value_t = 0)]
    offset: usize,
}

#[derive(Clone, Copy, ValueEnum)]
enum Tier {
    Facts,
    Episodes,
    Raw,
    Sessions,
}

/// `clone context`
#[derive(Args)]
pub struct Context {
    /// Only facts whose text holds this
    #[arg(long)]
    goal: Option<String>,
    /// How far back episodes and raw rows go, in minutes
    #[arg(long)]
    recency_minutes: Option<u32>,
    /// The most facts
    #[arg(long)]
    max_facts: Option<usize>,
    /// What to recall for: prints the text for an agent
    #[arg(long)]
    query: Option<String>,
    /// What that text may take, in tokens
    #[arg(long)]
    token_budget: Option<usize>,
    /// Recall from this project only
    #[arg(long)]
    project: Option<String>,
}

/// Lists, shows or searches.
///
/// # Errors
///
/// The daemon is not reachable or knows no such thing.
pub fn run(cli: &Cli, arguments: &Memory) -> Result<u8, Failure> {
    match &arguments.verb {
        Verb::List { what, tier, status, kind, limit, offset } => {
            let mut query = vec![("limit", limit.to_string()), ("offset", offset.to_string())];
            for (name, value) in [("tier", tier), ("status", status), ("kind", kind)] {
                query.extend(value.clone().map(|value| (name, value)));
            }
            list(cli, *what, &query)
        }
        Verb::Show { id } => show(cli, id),
        Verb::Search(asked) => search(cli, asked),
        Verb::Add(arguments) => notes::add(cli, arguments),
        Verb::History(arguments) => notes::history(cli, arguments),
        Verb::Undo(arguments) => notes::undo(cli, arguments),
        Verb::Edit(arguments) => notes::edit(cli, arguments),
        Verb::Deletions(arguments) => notes::deletions(cli, arguments),
        Verb::Audit => audit(cli),
        Verb::Promote { id } => decide(cli, id, "accept"),
        Verb::Archive { id } => decide(cli, id, "reject"),
    }
}

fn search(cli: &Cli, asked: &Search) -> Result<u8, Failure> {
    let body = json!({
        "query": asked.query, "tier": asked.tier, "session_id": asked.session, "agent": asked.agent,
        "project": asked.project, "topic": asked.topic, "tags": asked.tags, "from": asked.from, "to": asked.to,
        "limit": asked.limit, "offset": asked.offset,
    });
    let hits = cli.client()?.blocking("search", None, &[], Some(&body))?;
    rows(cli, &hits, |hit| {
        let text = |name: &str| hit[name].as_str().unwrap_or_default();
        let snippet = print::cut(text("snippet"), 80);
        format!("{}  {:<7}  {snippet}  ({})", day(text("at")), text("tier"), text("id"))
    });
    Ok(0)
}

fn list(cli: &Cli, tier: Tier, query: &[(&str, String)]) -> Result<u8, Failure> {
    let operation = match tier {
        Tier::Facts => "facts_list",
        Tier::Episodes => "episodes_list",
        Tier::Raw => "raw_list",
        Tier::Sessions => "sessions_list",
    };
    let found = cli.client()?.blocking(operation, None, query, None)?;
    rows(cli, &found, |row| {
        let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        match tier {
            Tier::Facts => format!("{}  {:<9}  {}", text("id"), text("tier"), print::cut(&text("text"), 90)),
            Tier::Episodes => {
                format!("{}  {}  {}", text("id"), day(&text("started_at")), print::cut(&text("title"), 80))
            }
            Tier::Raw => format!("{}  {}", day(&text("occurred_at")), print::cut(&text("text"), 100)),
            Tier::Sessions => {
                let events = print::count(row["event_count"].as_u64().unwrap_or_default(), "event");
                format!("{}  {}  {events}", day(&text("started_at")), text("id"))
            }
        }
    });
    Ok(0)
}

fn audit(cli: &Cli) -> Result<u8, Failure> {
    let found = cli.client()?.blocking("promote_list", None, &[], None)?;
    rows(cli, &found, |row| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        format!("{}  {:<20}  {}", text(&row["gate"]), text(&row["reason"]), print::cut(&text(&row["fact"]["text"]), 80))
    });
    Ok(0)
}

fn decide(cli: &Cli, id: &str, choice: &str) -> Result<u8, Failure> {
    let decided = cli.client()?.blocking("promote_decide", Some(id), &[], Some(&json!({"choice": choice})))?;
    if cli.json {
        print::value(&decided);
    } else {
        print::line(format!("{choice}ed {id}"));
    }
    Ok(0)
}

fn show(cli: &Cli, id: &str) -> Result<u8, Failure> {
    let client = cli.client()?;
    let operation = match id {
        "profile" | "soul" => "profile_get",
        id if id.starts_with("epi_") => "episodes_get",
        _ => "facts_get",
    };
    let parameter = (operation != "profile_get").then_some(id);
    let found = client.blocking(operation, parameter, &[], None)?;
    match (cli.json, id) {
        (false, "profile") => print::text(found["body"].as_str().unwrap_or_default()),
        (false, "soul") => print::text(found["soul"].as_str().unwrap_or_default()),
        (false, id) if id.starts_with("epi_") => show_episode(&found),
        (false, _) => show_fact(&found),
        _ => print::value(&found),
    }
    Ok(0)
}

fn show_fact(fact: &Value) {
    let text = |name: &str| fact[name].as_str().unwrap_or_default().to_owned();
    print::line(text("text"));
    print::line(format!("  {}  {}, {}, {}", text("id"), text("kind"), text("tier"), text("provenance")));
    let (support, sessions) = (&fact["support"], fact["sessions"].as_u64().unwrap_or_default());
    let seen = format!("seen {support} of {} times in {}", fact["opportunities"], print::count(sessions, "session"));
    print::line(format!("  {seen}, confidence {}", fact["confidence"]));
    print::line(format!("  `clone why {}` shows what it rests on", text("id")));
}

fn show_episode(episode: &Value) {
    let text = |name: &str| episode[name].as_str().unwrap_or_default().to_owned();
    print::line(text("title"));
    let (from, to) = (print::moment(&text("started_at")), print::moment(&text("ended_at")));
    print::line(format!("  {}  {from} to {to}\n", text("id")));
    print::text(&text("summary"));
}

/// Shows the bundle that a predictor sees.
///
/// # Errors
///
/// The daemon is not reachable or a limit is out of range.
pub fn context(cli: &Cli, arguments: &Context) -> Result<u8, Failure> {
    let body = json!({
        "goal": arguments.goal, "recency_minutes": arguments.recency_minutes, "max_facts": arguments.max_facts,
        "query": arguments.query, "token_budget": arguments.token_budget, "project": arguments.project,
    });
    let bundle = cli.client()?.blocking("context", None, &[], Some(&body))?;
    if cli.json {
        print::value(&bundle);
        return Ok(0);
    }
    if let Some(text) = bundle["text"].as_str() {
        print::text(text);
        return Ok(0);
    }
    print::text(bundle["profile"]["body"].as_str().unwrap_or_default());
    for tier in ["facts", "episodes", "raw"] {
        let rows = bundle[tier].as_array().map_or(&[][..], Vec::as_slice);
        print::line(format!("\n{tier}: {}", rows.len()));
        for row in rows {
            let told = row["text"].as_str().or_else(|| row["title"].as_str()).unwrap_or_default();
            print::line(format!("  {}", print::cut(told, 100)));
        }
    }
    Ok(0)
}

fn rows(cli: &Cli, found: &Value, line: impl Fn(&Value) -> String) {
    if cli.json {
        print::value(found);
        return;
    }
    let rows = found.as_array().map_or(&[][..], Vec::as_slice);
    if rows.is_empty() {
        print::note("nothing found");
    }
    for row in rows {
        print::line(line(row));
    }
}

fn day(instant: &str) -> &str {
    instant.get(..10).unwrap_or(instant)
}
