//! `predict`, `continue` and `feedback`: the product on the command line.

use std::io::{IsTerminal, Read};

use clap::Args;
use serde_json::{Value, json};

use super::{Context, print};
use crate::failure::{Failure, exit};

/// The largest prompt that is read from standard input, in bytes.
const PROMPT_BYTES_MAX: u64 = 1 << 20;

/// `clone predict`
#[derive(Args)]
pub struct Predict {
    /// The agent that asks, such as "Claude Code"
    #[arg(long, default_value = "Claude Code")]
    agent: String,
    /// How many candidates, 1 to 10
    #[arg(long, short, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=10))]
    k: u64,
    /// From which confidence the answer counts as `auto`, 0.001 to 1
    #[arg(long, default_value_t = 0.8, value_parser = share)]
    threshold: f64,
    /// Promise this precision instead of asking for a threshold, 0.001 to 1
    #[arg(long, value_parser = share, conflicts_with = "threshold")]
    target_precision: Option<f64>,
    /// How cautious the gate is; as configured unless said
    #[arg(long, value_parser = ["strict", "standard"])]
    policy: Option<String>,
    /// The project, by its path, where the session does not tell
    #[arg(long)]
    project: Option<String>,
    /// The predictor; `local` is the only one yet
    #[arg(long)]
    model: Option<String>,
    /// The session that the question belongs to
    #[arg(long)]
    session: Option<String>,
    /// Exit with 10 when the answer is escalated
    #[arg(long)]
    exit_status: bool,
    /// What the agent said; `-`, or nothing in a pipe, reads standard input
    prompt: Option<String>,
}

/// `clone continue`
#[derive(Args)]
pub struct Continue {
    /// The agent that asks
    #[arg(long, default_value = "Claude Code")]
    agent: String,
    /// From which confidence the answer counts as `auto`, 0.001 to 1
    #[arg(long, default_value_t = 0.8, value_parser = share)]
    threshold: f64,
    /// The session that the question belongs to
    #[arg(long)]
    session: Option<String>,
    /// What the agent said; `-`, or nothing in a pipe, reads standard input
    prompt: Option<String>,
}

/// `clone feedback`
#[derive(Args)]
pub struct Feedback {
    /// The prediction
    id: String,
    /// What became of it
    #[arg(value_parser = ["accepted", "edited", "rejected"])]
    status: String,
    /// What you really sent
    #[arg(long)]
    actual: Option<String>,
}

/// `clone wrong`
#[derive(Args)]
pub struct Wrong {
    /// The prediction, as `clone auto status` lists it
    id: String,
    /// What you would have sent
    #[arg(long)]
    actual: Option<String>,
}

/// Asks for one prediction.
///
/// # Errors
///
/// The daemon is not reachable or refuses the request.
pub fn predict(context: &Context, arguments: &Predict) -> Result<u8, Failure> {
    let mut body = json!({
        "agent": arguments.agent, "agent_input": prompt(arguments.prompt.as_deref())?,
        "k": arguments.k, "threshold": arguments.threshold,
    });
    set(&mut body, "model", arguments.model.as_deref());
    set(&mut body, "policy", arguments.policy.as_deref());
    set(&mut body, "project", arguments.project.as_deref());
    if let Some(precision) = arguments.target_precision {
        body["target_precision"] = json!(precision);
    }
    set(&mut body, "session_id", arguments.session.as_deref());
    let answer = context.client()?.blocking("predict", None, &[], Some(&body))?;
    if context.json {
        print::value(&answer);
    } else {
        show(&answer);
    }
    let escalated = answer["status"] != "auto";
    Ok(if arguments.exit_status && escalated { exit::ESCALATED } else { 0 })
}

/// Prints one prediction for a person.
pub fn show(answer: &Value) {
    let candidates = answer["candidates"].as_array().map_or(&[][..], Vec::as_slice);
    let gate = answer["gate"].as_str().unwrap_or("open");
    let status = answer["status"].as_str().unwrap_or_default();
    print::line(format!("{status} ({})  {}", gate_words(gate), answer["id"].as_str().unwrap_or_default()));
    if let Some(needed) = answer["evidence"]["promise"]["needed"].as_u64().filter(|needed| *needed > 0) {
        print::line(format!("  {} more, all right, until that can be promised", print::count(needed, "outcome")));
    }
    for (i, candidate) in candidates.iter().enumerate() {
        let text = print::cut(candidate["response"].as_str().unwrap_or_default(), 70);
        let probability = candidate["probability"].as_f64().unwrap_or_default();
        print::line(format!("  {}. {:>7}  {text}", i + 1, print::percent(probability)));
        print::line(format!("             {}", print::cut(candidate["reasoning"].as_str().unwrap_or_default(), 100)));
    }
}

/// Why a prediction is not `auto`, in words.
#[must_use]
pub fn gate_words(gate: &str) -> &str {
    match gate {
        "open" => "nothing holds it",
        "lower_bound" => "not sure enough",
        "evidence_floor" => "too little evidence",
        "trip_wire" => "sure answers of this kind were wrong of late",
        "audit" => "asked to see how sure answers fare",
        "destructive" => "destructive: always yours",
        "mute" => "muted here",
        "shadow" => "shadow mode: shown, never acted on",
        "off" => "auto is off",
        "abstained" => "nothing known that fits",
        other => other,
    }
}

/// Asks whether the person would go on.
///
/// # Errors
///
/// The daemon is not reachable or refuses the request.
pub fn go_on(context: &Context, arguments: &Continue) -> Result<u8, Failure> {
    let input = prompt(arguments.prompt.as_deref())?;
    let mut body = json!({"agent": arguments.agent, "agent_input": input, "threshold": arguments.threshold});
    set(&mut body, "session_id", arguments.session.as_deref());
    let answer = context.client()?.blocking("continuation", None, &[], Some(&body))?;
    if context.json {
        print::value(&answer);
    } else {
        let word = if answer["should_continue"] == true { "go on" } else { "be done" };
        let confidence = answer["confidence"].as_f64().unwrap_or_default();
        let status = answer["status"].as_str().unwrap_or_default();
        if confidence > 0.0 {
            print::line(format!("{word}, at least {} sure ({status})", print::percent(confidence)));
            print::line(format!("  {}", answer["reasoning"].as_str().unwrap_or_default()));
        } else {
            print::line(format!("{word}, but too little is known to stand behind it ({status})"));
        }
    }
    Ok(0)
}

/// Says what became of a prediction.
///
/// # Errors
///
/// The daemon is not reachable, does not know the prediction, or misses what was really sent.
pub fn feedback(context: &Context, arguments: &Feedback) -> Result<u8, Failure> {
    verdict(context, &arguments.id, &arguments.status, arguments.actual.as_deref())
}

/// Says that an answer was wrong: one word for `feedback ID rejected`.
///
/// # Errors
///
/// The daemon is not reachable or does not know the prediction.
pub fn wrong(context: &Context, arguments: &Wrong) -> Result<u8, Failure> {
    verdict(context, &arguments.id, "rejected", arguments.actual.as_deref())
}

fn verdict(context: &Context, id: &str, status: &str, actual: Option<&str>) -> Result<u8, Failure> {
    let mut body = json!({"status": status});
    set(&mut body, "actual_response", actual);
    // A verdict typed here is a person's own; the same call by a program is not.
    let judge = [("judge", "person".to_owned())];
    let answer = context.client()?.blocking("feedback", Some(id), &judge, Some(&body))?;
    if context.json {
        print::value(&answer);
    } else {
        print::line(format!("noted: {id} is {status}"));
    }
    Ok(0)
}

fn set(body: &mut Value, key: &str, value: Option<&str>) {
    if let Some(value) = value {
        body[key] = json!(value);
    }
}

fn share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.001..=1.0).contains(&share) { Ok(share) } else { Err("must be 0.001 to 1".to_owned()) }
}

/// What the agent said; where nobody gave it and nobody pipes it in, nothing waits for a person to type it.
fn prompt(argument: Option<&str>) -> Result<String, Failure> {
    let text = match argument {
        Some(text) if text != "-" => text.to_owned(),
        None if std::io::stdin().is_terminal() => String::new(),
        _ => piped()?,
    };
    if text.trim().is_empty() {
        let hint = "give what the agent said as an argument, or pipe it in";
        return Err(Failure::usage("nothing to predict from: the prompt is empty").hint(hint));
    }
    Ok(text)
}

fn piped() -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let mut input = std::io::stdin().lock().take(PROMPT_BYTES_MAX + 1);
    input.read_to_end(&mut bytes).map_err(|error| Failure::new(format!("cannot read standard input: {error}")))?;
    if bytes.len() as u64 > PROMPT_BYTES_MAX {
        let message = format!("the prompt is larger than {} MiB", PROMPT_BYTES_MAX >> 20);
        return Err(Failure::usage(message).hint("send the end of it, such as with `tail -c 100000`"));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
