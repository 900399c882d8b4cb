//! `source`: where memory comes from, and who is followed.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Context, print};
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
    /// No longer follow this agent; what was recorded stays
    Disconnect {
        /// claude-code, codex or gemini
        agent: String,
    },
}

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
        Verb::Disconnect { agent } => disconnect(&client, agent)?,
    };
    if context.json {
        print::value(&answer);
    } else {
        show(&answer);
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

fn followed(client: &Client) -> Result<Vec<String>, Failure> {
    let answer = client.blocking("following_get", None, &[], None)?;
    let agents = answer["agents"].as_array().into_iter().flatten();
    Ok(agents.filter_map(Value::as_str).map(str::to_owned).collect())
}

fn list(client: &Client) -> Result<Value, Failure> {
    let mut answer = client.blocking("following_get", None, &[], None)?;
    answer["sources"] = client.blocking("status", None, &[], None)?["sources"].clone();
    Ok(answer)
}

fn show(answer: &Value) {
    for (name, tally) in answer["sources"].as_object().into_iter().flatten() {
        let last = print::moment(tally["last"].as_str().unwrap_or("-"));
        print::line(format!("{name:<24} {:>8} events, last {last}", tally["events"]));
    }
    let agents: Vec<&str> = answer["agents"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let told =
        if agents.is_empty() { "nobody; `clone source follow AGENT` begins".to_owned() } else { agents.join(", ") };
    print::line(format!("followed: {told}"));
}
