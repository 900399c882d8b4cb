//! Exchanges kept one per line: what the agent said last, and what the person then typed.
//!
//! The shape is `{user, session, turn, ts, agent, agent_prompt, reply, kind}`, oldest first. `ts` is often the start of
//! the session for every line of it; the order of lines is what counts.

use std::io::{self, BufRead};

use clone_schema::{Body, Origin};
use serde::Deserialize;
use serde_json::Value;

use super::lines::Lines;
use super::{Item, Tally, instant};

/// A line as it is sent; more keys are ignored.
#[derive(Deserialize)]
struct Turn {
    user: String,
    session: String,
    /// A number in practice; a text is taken as well.
    turn: Value,
    ts: String,
    #[serde(default)]
    agent: String,
    #[serde(default)]
    agent_prompt: String,
    #[serde(default)]
    reply: String,
    /// The project, hashed.
    source_repo_hash: Option<String>,
}

/// How many sessions are remembered as opened; opening one twice costs a duplicate id, nothing more.
const MAX_OPEN: usize = 1024;

/// What carries over from line to line.
#[derive(Default)]
struct Past {
    opened: Vec<String>,
    /// Session and event id of the last thing the person typed.
    prompt: Option<(String, String)>,
}

pub(super) fn read(input: &mut dyn BufRead, tally: &mut Tally<'_>) -> io::Result<()> {
    let (mut lines, mut past) = (Lines::new(input), Past::default());
    while let Some(line) = lines.next()? {
        if let Some(turn) = tally.record::<Turn>(&line) {
            one(&turn, &mut past, tally);
        }
    }
    Ok(())
}

fn one(turn: &Turn, past: &mut Past, tally: &mut Tally<'_>) {
    let number = match &turn.turn {
        Value::Number(number) => number.to_string(),
        Value::String(text) if !text.is_empty() => text.clone(),
        _ => return tally.counts.skip("unexpected shape"),
    };
    let Some(at) = instant(&turn.ts) else { return tally.counts.skip("no timestamp") };
    let project = turn.source_repo_hash.as_deref();
    if !tally.filter.takes(project.unwrap_or_default()) {
        return tally.counts.skip("excluded project");
    }
    if turn.agent_prompt.trim().is_empty() && turn.reply.trim().is_empty() {
        return tally.counts.skip("no text");
    }
    let session = format!("{}:{}", turn.user, turn.session);
    if !past.opened.contains(&session) {
        if past.opened.len() >= MAX_OPEN {
            past.opened.remove(0);
        }
        past.opened.push(session.clone());
        tally.open(&session, at, None, project);
    }
    let agent = if turn.agent.is_empty() { "unknown".to_owned() } else { turn.agent.clone() };
    let key = format!("{}:{number}", turn.user);
    let item = |key: String| Item { id: format!("turns:{key}"), session: &session, at, cwd: None, project, key };
    if !turn.agent_prompt.trim().is_empty() {
        let before = past.prompt.as_ref().filter(|(of, _)| *of == session).map(|(_, id)| id.clone());
        let body =
            Body::AgentResponse { agent: agent.clone(), response: turn.agent_prompt.clone(), in_response_to: before };
        tally.emit(item(format!("{key}:a")), Origin::Agent, body);
    }
    if !turn.reply.trim().is_empty() {
        past.prompt = Some((session.clone(), format!("turns:{key}")));
        tally.emit(item(key), Origin::Typed, Body::AgentPrompt { agent, prompt: turn.reply.clone() });
    }
}
