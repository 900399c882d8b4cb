//! `forget`: removes events and everything that rests on them, and searches every file for what is left.

use std::io::{BufRead, IsTerminal};

use clap::Args;
use clone_schema::Timestamp;
use clone_schema::api::{FORGOTTEN_CHARS, ForgetReply, ForgetRequest, Remain};
use serde::Serialize;
use serde_json::json;

use super::events::when;
use super::{Context, print};
use crate::failure::{Failure, exit};

/// Items of a list that are shown.
const SHOWN: usize = 20;

/// `clone forget`
#[derive(Args)]
#[group(id = "what", required = true, multiple = true)]
pub struct Forget {
    /// One event; or a fact or an episode, which stands for the events that it rests on
    #[arg(group = "what")]
    id: Option<String>,
    /// Only of this session
    #[arg(long, group = "what")]
    session: Option<String>,
    /// Only of this agent, application or source
    #[arg(long, group = "what")]
    app: Option<String>,
    /// Only of this project, or of a folder below it
    #[arg(long, group = "what")]
    project: Option<String>,
    /// Only what happened then or later: a day, an instant, or `7d`, `12h`, `30m` ago
    #[arg(long, value_name = "T", value_parser = when, group = "what")]
    from: Option<Timestamp>,
    /// Only what happened before then, told likewise
    #[arg(long, value_name = "T", value_parser = when, group = "what")]
    to: Option<Timestamp>,
    /// Only what holds these words, in either case
    #[arg(long, value_name = "Q", group = "what")]
    text: Option<String>,
    #[command(flatten)]
    how: How,
    /// Forget nothing: look for these words in every file, decoded
    #[arg(long, value_name = "TEXT", group = "what", conflicts_with_all = ["id", "session", "app", "project", "from", "to", "text"])]
    verify: Option<String>,
    /// Forget what the rules of `[retention]` in config.toml keep no longer; once a day that is done by itself
    #[arg(long, group = "what", conflicts_with_all = ["id", "session", "app", "project", "from", "to", "text", "verify"])]
    retention: bool,
    /// The clock is right, although it is ahead of what was to be expected
    #[arg(long, requires = "retention")]
    trust_clock: bool,
}

/// How to forget; not what.
#[derive(Args)]
pub struct How {
    /// Also take what quotes it out of notes that you wrote
    #[arg(long)]
    vault: bool,
    /// Show what would go, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// Forgets, or shows what would go.
///
/// # Errors
///
/// The daemon is not reachable, nobody said yes, or something is left: exit code 4.
pub fn run(cli: &Context, arguments: &Forget) -> Result<u8, Failure> {
    if let Some(text) = &arguments.verify {
        return verify(cli, text);
    }
    if arguments.retention {
        let body = json!({"trust_clock": arguments.trust_clock});
        let reply = cli.client()?.blocking("retention_run", None, &[], Some(&body))?;
        return Ok(told(cli, &serde_json::from_value(reply).map_err(Failure::new)?, false));
    }
    let request = ForgetRequest {
        id: arguments.id.clone(),
        session_id: arguments.session.clone(),
        app: arguments.app.clone(),
        project: arguments.project.clone(),
        from: arguments.from,
        to: arguments.to,
        text: arguments.text.clone(),
        ..ForgetRequest::default()
    };
    wanted(cli, &arguments.how, |vault, dry_run| {
        let request = ForgetRequest { vault, dry_run, ..request.clone() };
        ask(cli, "forget", None, &request)
    })
}

/// Forgets what is asked for, given whether notes of the person's go along and whether it is only shown, after it was shown
/// and somebody said yes.
///
/// # Errors
///
/// As [`run`].
pub fn wanted(
    cli: &Context,
    how: &How,
    ask: impl Fn(bool, bool) -> Result<ForgetReply, Failure>,
) -> Result<u8, Failure> {
    let How { vault, dry_run, yes } = *how;
    if dry_run || !yes {
        let reply = ask(vault, true)?;
        let nothing = reply.events.is_empty() && reply.ended.is_none() && reply.cleared.unwrap_or_default() == 0;
        if dry_run || nothing {
            show(cli, &reply, vault);
            return Ok(0);
        }
        consent(cli, &reply, vault)?;
    }
    Ok(told(cli, &ask(vault, false)?, vault))
}

/// Shows what is forgotten; the exit code says whether all of it is.
fn told(cli: &Context, reply: &ForgetReply, vault: bool) -> u8 {
    show(cli, reply, vault);
    if reply.remains.is_empty() { 0 } else { exit::DEGRADED }
}

/// Asks for one of the operations that forget.
///
/// # Errors
///
/// As [`run`].
pub fn ask(cli: &Context, operation: &str, id: Option<&str>, request: &impl Serialize) -> Result<ForgetReply, Failure> {
    let body = serde_json::to_value(request).map_err(Failure::new)?;
    let answer = cli.client()?.blocking(operation, id, &[], Some(&body))?;
    serde_json::from_value(answer).map_err(Failure::new)
}

/// Shows what would go and asks; where nobody can answer, only `--yes` decides.
fn consent(cli: &Context, reply: &ForgetReply, vault: bool) -> Result<(), Failure> {
    let refused = || Failure::usage("nothing was forgotten: nobody said yes");
    if cli.json || !std::io::stdin().is_terminal() {
        return Err(refused().hint("look with `--dry-run`, then say `--yes`"));
    }
    show(cli, reply, vault);
    print::note("forget this for good? it cannot be undone [y/N]");
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).map_err(Failure::new)?;
    if matches!(line.trim().to_lowercase().as_str(), "y" | "yes") { Ok(()) } else { Err(refused()) }
}

fn show(cli: &Context, reply: &ForgetReply, vault: bool) {
    if cli.json {
        print::value(&json!(reply));
        return;
    }
    ending(reply);
    if reply.events.is_empty() {
        print::note(if reply.yours.is_empty() { "nothing fits" } else { "nothing goes: only notes of yours quote it" });
        list(yours(reply.dry_run, vault), &reply.yours);
        return;
    }
    print::line(if reply.dry_run { "would go:" } else { "forgotten:" });
    for (topic, count) in &reply.events {
        print::line(format!("  {count:>7}  {topic}"));
    }
    for (name, followed) in [("fact", &reply.facts), ("episode", &reply.episodes)] {
        for one in followed.iter().take(SHOWN) {
            let becomes = if one.gone { "goes" } else { "is derived anew" };
            print::line(format!(
                "  {name} {} {becomes}  {}",
                one.id,
                print::cut(one.text.as_deref().unwrap_or(""), 80)
            ));
        }
        more(followed.len(), name);
    }
    list("  note of Clone's: ", &reply.notes);
    list(yours(reply.dry_run, vault), &reply.yours);
    if reply.quarantined > 0 {
        print::line(format!("  {} of the log's quarantine", print::count(reply.quarantined as u64, "file")));
    }
    if !reply.dry_run {
        searched(reply);
    }
}

/// What a wipe says of the source: that it goes on no longer, and what may come again.
fn ending(reply: &ForgetReply) {
    if let Some(ended) = &reply.ended {
        let now = if reply.dry_run { "is, and would no longer be," } else { "is no longer" };
        print::line(format!("the source {now} {ended}"));
    }
    if let Some(count) = reply.cleared.filter(|count| *count > 0) {
        let told = print::count(count as u64, "event");
        print::line(format!("{told} that you took out of it before may come again with an import"));
    }
}

/// What is said of a note of the person's: it is only changed where that was asked for.
fn yours(dry_run: bool, vault: bool) -> &'static str {
    match (dry_run, vault) {
        (_, false) => "  your note quotes it (`--vault` takes it out): ",
        (true, true) => "  your note quotes it, which is taken out: ",
        (false, true) => "  your note, what quoted it taken out: ",
    }
}

/// How much the search of every file says: with all lines, with some of them, or nothing at all.
fn searched(reply: &ForgetReply) {
    let ForgetReply { lines, searched, .. } = *reply;
    if searched == 0 {
        print::line(format!(
            "no file was searched, as no line of {FORGOTTEN_CHARS} or more characters stood only there; \
             `clone forget --verify WORDS` looks for words of yours"
        ));
        return;
    }
    if searched < lines {
        let told = print::count(lines as u64, "line");
        print::line(format!("searched for {searched} of {told} that stood nowhere else"));
    }
    remains(&reply.remains);
}

fn list(what: &str, items: &[String]) {
    items.iter().take(SHOWN).for_each(|item| print::line(format!("{what}{item}")));
    more(items.len(), "note");
}

fn more(count: usize, thing: &str) {
    if count > SHOWN {
        print::line(format!("  … and {}", print::count((count - SHOWN) as u64, thing)));
    }
}

fn remains(found: &[Remain]) {
    if found.is_empty() {
        print::line("every file was searched, decoded: nothing is left");
        return;
    }
    print::line("still found:");
    for Remain { path, form, count } in found {
        print::line(format!("  {path}  {form}  {}", print::count(*count, "place")));
    }
}

fn verify(cli: &Context, text: &str) -> Result<u8, Failure> {
    let answer = cli.client()?.blocking("forget_verify", None, &[], Some(&json!({"text": text})))?;
    let found: Vec<Remain> = serde_json::from_value(answer["remains"].clone()).map_err(Failure::new)?;
    if cli.json {
        print::value(&answer);
    } else {
        remains(&found);
    }
    Ok(if found.is_empty() { 0 } else { exit::DEGRADED })
}
