//! `source`: where memory comes from, who is followed, and which services are connected.

mod github;

use clap::{Args, Subcommand};
use clone_schema::api::{RemoveRequest, WipeRequest};
use serde_json::{Value, json};

use super::{Context, forget, print};
use crate::client::Client;
use crate::failure::Failure;

/// `clone source`
#[derive(Args)]
pub struct Source {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Show what came from where, and which agents are followed
    List,
    /// Go on recording what these agents write, from now on and over restarts
    Follow {
        /// claude-code, codex or gemini
        #[arg(required = true)]
        agents: Vec<String>,
    },
    /// Connect a service, and read it every hour from then on
    Connect {
        /// The service
        #[arg(value_parser = [GITHUB])]
        service: String,
        /// Take the token from standard input, rather than show a code to enter in a browser
        #[arg(long)]
        token_stdin: bool,
    },
    /// Read a connected service now
    Sync {
        /// The service
        #[arg(value_parser = [GITHUB])]
        service: String,
    },
    /// No longer follow this agent, or end the connection to a service, whose removed items may come again then; what was
    /// recorded stays
    Disconnect {
        /// claude-code, codex, gemini or github
        source: String,
    },
    /// Take one item out of a source; no import or reading brings it back until the source is wiped or disconnected
    Remove {
        /// The source, as `clone source list` names it
        name: String,
        /// An event; or a session or a project, such as a thread or OWNER/REPOSITORY, of which nothing more is taken then
        id: String,
        #[command(flatten)]
        how: forget::How,
    },
    /// Forget everything that came from a source, and follow it no more; importing it again starts over
    Wipe {
        /// The source, as `clone source list` names it
        name: String,
        #[command(flatten)]
        how: forget::How,
    },
    /// Seal the tokens of connected services with a new key
    Rotate,
}

/// The service that can be connected.
const GITHUB: &str = crate::sources::github::NAME;

/// Shows or switches the sources.
///
/// # Errors
///
/// The daemon is not reachable, or refuses.
pub fn run(context: &Context, arguments: &Source) -> Result<u8, Failure> {
    let client = context.client()?;
    let answer = match &arguments.verb {
        Verb::List => list(&client)?,
        Verb::Follow { agents } => follow(&client, agents)?,
        Verb::Connect { token_stdin, .. } => github::connect(&client, *token_stdin)?,
        Verb::Sync { .. } => github::sync(&client)?,
        Verb::Disconnect { source } if source == GITHUB => github::disconnect(&client)?,
        Verb::Disconnect { source } => disconnect(&client, source)?,
        Verb::Remove { name, id, how } => return remove(context, name, id, how),
        Verb::Wipe { name, how } => return wipe(context, name, how),
        Verb::Rotate => client.blocking("secrets_rotate", None, &[], None)?,
    };
    match &arguments.verb {
        _ if context.json => print::value(&answer),
        Verb::Rotate => print::line(format!("{} sealed with a new key", count(&answer["secrets"]))),
        Verb::List | Verb::Follow { .. } => show(&answer),
        Verb::Disconnect { source } if source != GITHUB => show(&answer),
        _ => github::show(&answer),
    }
    Ok(0)
}

/// Follows these agents beside those that are followed already.
///
/// # Errors
///
/// As [`run`].
pub fn follow(client: &Client, agents: &[String]) -> Result<Value, Failure> {
    let mut all = followed(client)?;
    all.extend(agents.iter().cloned());
    all.sort();
    all.dedup();
    Ok(client.blocking("following_set", None, &[], Some(&json!({"agents": all})))?)
}

fn disconnect(client: &Client, agent: &str) -> Result<Value, Failure> {
    let mut all = followed(client)?;
    let before = all.len();
    all.retain(|name| name != agent);
    if all.len() == before {
        return Err(Failure::new(format!("`{agent}` is not followed")).hint("`clone source list` shows who is"));
    }
    Ok(client.blocking("following_set", None, &[], Some(&json!({"agents": all})))?)
}

/// Takes one item out of a source.
fn remove(context: &Context, name: &str, id: &str, how: &forget::How) -> Result<u8, Failure> {
    forget::wanted(context, how, |vault, dry_run| {
        let request = RemoveRequest { id: id.to_owned(), vault, dry_run };
        forget::ask(context, "source_remove", Some(name), &request)
    })
}

/// Forgets a source whole; it is no longer followed or connected.
fn wipe(context: &Context, name: &str, how: &forget::How) -> Result<u8, Failure> {
    forget::wanted(context, how, |vault, dry_run| {
        forget::ask(context, "source_wipe", Some(name), &WipeRequest { vault, dry_run })
    })
}

fn followed(client: &Client) -> Result<Vec<String>, Failure> {
    let answer = client.blocking("following_get", None, &[], None)?;
    Ok(agents(&answer).map(str::to_owned).collect())
}

/// Who is followed, in an answer about that.
fn agents(answer: &Value) -> impl Iterator<Item = &str> {
    answer["agents"].as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn list(client: &Client) -> Result<Value, Failure> {
    let mut answer = client.blocking("following_get", None, &[], None)?;
    answer["github"] = client.blocking("github_get", None, &[], None)?;
    answer["sources"] = client.blocking("status", None, &[], None)?["sources"].clone();
    Ok(answer)
}

fn show(answer: &Value) {
    for (name, tally) in answer["sources"].as_object().into_iter().flatten() {
        let last = print::moment(tally["last"].as_str().unwrap_or("-"));
        print::line(format!("{name:<24} {:>8} events, last {last}", tally["events"]));
    }
    let agents: Vec<&str> = agents(answer).collect();
    let told =
        if agents.is_empty() { "nobody; `clone source follow AGENT` begins".to_owned() } else { agents.join(", ") };
    print::line(format!("followed: {told}"));
    if answer["github"].is_object() {
        github::show(&answer["github"]);
    }
}

fn count(secrets: &Value) -> String {
    print::count(secrets.as_u64().unwrap_or_default(), "secret")
}
