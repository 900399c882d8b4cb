//! `auto` and `mute`: what clients may act on, what was answered for the person, and where nothing ever is.

use clap::Args;
use clone_schema::prediction::Hours;
use clone_schema::time::{Timestamp, after_seconds};
use serde_json::{Value, json};

use super::{Context, print};
use crate::client::Client;
use crate::clock;
use crate::failure::Failure;

/// How far back `clone auto status` looks where nobody says, in seconds.
const SINCE_SECONDS: i64 = 24 * 60 * 60;
/// Automatic answers that are listed, at most.
const LISTED: usize = 200;

/// `clone auto`
#[derive(Args)]
pub struct Auto {
    /// `on` lets clients act on sure answers, `off` ends that everywhere, `status` lists what was answered for you; nothing
    /// shows the present setting
    #[arg(value_parser = ["on", "off", "status"])]
    setting: Option<String>,
    /// For `status`: from when on, an instant such as 2026-07-01T08:00:00Z; the last 24 hours unless said
    #[arg(long)]
    since: Option<Timestamp>,
}

/// `clone mute`
#[derive(Args)]
pub struct Mute {
    /// Never answer this agent for you, by the name that it gives itself
    #[arg(long)]
    agent: Vec<String>,
    /// Never answer for you in projects whose path holds this
    #[arg(long)]
    project: Vec<String>,
    /// Never answer for you in these hours of your day, such as 22-7 or 12:30-13:15
    #[arg(long)]
    hours: Vec<Hours>,
    /// Take what is named off the list instead
    #[arg(long)]
    remove: bool,
}

/// Shows or changes whether clients may act on sure answers, or lists what was answered.
///
/// # Errors
///
/// The daemon is not reachable.
pub fn auto(context: &Context, arguments: &Auto) -> Result<u8, Failure> {
    let client = context.client()?;
    if arguments.since.is_some() && arguments.setting.as_deref() != Some("status") {
        return Err(Failure::usage("--since goes with `clone auto status`"));
    }
    let answer = match arguments.setting.as_deref() {
        Some("status") => return status(context, &client, arguments.since),
        Some(setting) => client.blocking("auto_set", None, &[], Some(&json!({"auto": setting})))?,
        None => client.blocking("auto_get", None, &[], None)?,
    };
    if context.json {
        print::value(&answer);
    } else {
        print::line(answer["auto"].as_str().unwrap_or_default());
        print::note(answer["meaning"].as_str().unwrap_or_default());
        would_have(&answer["shadow"]);
    }
    Ok(0)
}

/// The evidence that the switch should be turned by.
fn would_have(shadow: &Value) {
    let number = |name: &str| shadow[name].as_u64().unwrap_or_default();
    if number("would_be_auto") > 0 {
        let (held, judged, right) = (number("would_be_auto"), number("judged"), number("right"));
        print::line(format!("held back so far: {}", print::count(held, "sure answer")));
        print::line(format!("of {judged} that you then answered yourself, {right} were right"));
    }
}

/// Every automatic answer since then, with what was said of it.
fn status(context: &Context, client: &Client, since: Option<Timestamp>) -> Result<u8, Failure> {
    let since = since.unwrap_or_else(|| after_seconds(clock::now(), -SINCE_SECONDS));
    let auto = client.blocking("auto_get", None, &[], None)?;
    let query = [("made", "auto".to_owned()), ("since", since.to_string()), ("limit", LISTED.to_string())];
    let answered = client.blocking("predictions_list", None, &query, None)?;
    if context.json {
        print::value(&json!({"auto": auto["auto"], "since": since, "answered": answered}));
        return Ok(0);
    }
    let rows = answered.as_array().map_or(&[][..], Vec::as_slice);
    print::line(format!("auto is {}", auto["auto"].as_str().unwrap_or_default()));
    let since = print::moment(&since.to_string());
    print::line(format!("answered for you since {since}: {}", print::count(rows.len() as u64, "answer")));
    rows.iter().for_each(show);
    if !rows.is_empty() {
        print::note("was one wrong? `clone wrong ID`");
    }
    Ok(0)
}

fn show(row: &Value) {
    let text = |name: &str| row[name].as_str().unwrap_or_default();
    let verdict = match text("status") {
        "rejected" => "wrong",
        "accepted" => "right",
        "edited" => "edited",
        _ if row["typed"] == false => "you typed something else",
        _ => "",
    };
    print::line(format!("  {}  {}  {}", print::moment(text("created_at")), text("id"), text("agent")));
    print::line(format!("      {}  {verdict}", print::cut(text("predicted_response"), 70)).trim_end().to_owned());
}

/// Shows or changes where nothing is ever automatic.
///
/// # Errors
///
/// The daemon is not reachable, or too much is named.
pub fn mute(context: &Context, arguments: &Mute) -> Result<u8, Failure> {
    let client = context.client()?;
    let mut answer = client.blocking("mute_get", None, &[], None)?;
    let hours = arguments.hours.iter().map(|hours| String::from(*hours)).collect();
    let named = [("agents", arguments.agent.clone()), ("projects", arguments.project.clone()), ("hours", hours)];
    if named.iter().any(|(_, names)| !names.is_empty()) {
        let lists = named.map(|(list, names)| (list.to_owned(), changed(&answer[list], &names, arguments.remove)));
        answer = client.blocking("mute_set", None, &[], Some(&Value::Object(lists.into_iter().collect())))?;
    } else if arguments.remove {
        return Err(Failure::usage("nothing is named that could be removed").hint("add --agent, --project or --hours"));
    }
    if context.json {
        print::value(&answer);
        return Ok(0);
    }
    for (by, lists) in [("", &answer), (" (config)", &answer["by_config"])] {
        for list in ["agents", "projects", "hours"] {
            for name in lists[list].as_array().into_iter().flatten().filter_map(Value::as_str) {
                print::line(format!("{list:<9} {name}{by}"));
            }
        }
    }
    Ok(0)
}

/// A list with names added, each once, or taken off.
fn changed(list: &Value, names: &[String], remove: bool) -> Value {
    let mut list: Vec<String> =
        list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    list.retain(|known| !names.contains(known));
    if !remove {
        list.extend(names.iter().cloned());
    }
    json!(list)
}
