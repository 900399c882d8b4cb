//! `status`, `doctor` and `path`: what runs, whether it works, where it lives.

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::{Context, print};
use crate::failure::{Failure, exit};

/// `clone path`
#[derive(Args)]
pub struct Path {
    /// Which place
    which: Place,
}

#[derive(Clone, Copy, ValueEnum)]
enum Place {
    Config,
    Vault,
    Log,
    State,
    Socket,
}

/// Prints where something lives; needs no daemon.
///
/// # Errors
///
/// Never.
pub fn path(context: &Context, arguments: &Path) -> Result<u8, Failure> {
    let paths = &context.paths;
    let place = match arguments.which {
        Place::Config => &paths.config,
        Place::Vault => &paths.vault,
        Place::Log => &paths.log,
        Place::State => &paths.state_dir,
        Place::Socket => &paths.socket,
    };
    if context.json {
        print::value(&json!({"path": place}));
    } else {
        print::line(place.display());
    }
    Ok(0)
}

/// Shows what runs; exit code 4 when something is wrong.
///
/// # Errors
///
/// The daemon is not reachable.
pub fn status(context: &Context) -> Result<u8, Failure> {
    let answer = context.client()?.blocking("status", None, &[], None)?;
    let problems = answer["problems"].as_array().map_or(0, Vec::len);
    if context.json {
        print::value(&answer);
    } else {
        show_status(&answer);
    }
    Ok(if problems == 0 { 0 } else { exit::DEGRADED })
}

/// How much is remembered, or how far loading it is.
fn memory(answer: &Value) -> String {
    let (counts, loading) = (&answer["counts"], &answer["loading"]);
    if let Some(step) = loading["step"].as_str() {
        return format!("loading {step}, position {} of {}", loading["position"], loading["of"]);
    }
    let names = ["sessions", "episodes", "facts", "reply_pairs", "predictions"];
    names.map(|name| format!("{} {name}", counts[name])).join(", ").replace('_', " ")
}

/// How the person's own history would have been answered; nothing before the first replay.
fn replayed(backtest: &Value) -> Option<String> {
    let share = |name: &str| print::percent(backtest[name].as_f64().unwrap_or_default());
    match backtest["scored"].as_u64() {
        None if backtest["running"] == true => Some("your history is being replayed".to_owned()),
        None => None,
        Some(scored) => Some(format!(
            "{} replies scored: first right {}, one of three {}; {} automatic, {} of them wrong (`clone backtest`)",
            scored,
            share("top1"),
            share("top3"),
            backtest["autos"],
            backtest["wrong_autos"]
        )),
    }
}

fn show_status(answer: &Value) {
    let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
    print::line(format!(
        "clone {}, pid {}, since {}",
        text("version"),
        answer["pid"],
        print::moment(&text("started_at"))
    ));
    print::line(format!("home    {}", text("home")));
    print::line(format!("socket  {}", text("socket")));
    print::line(format!("http    {}", answer["http"].as_str().unwrap_or("closed (opens with the first API key)")));
    print::line(format!("auto    {}", text("auto")));
    let log = &answer["log"];
    let number = |name: &str| log[name].as_u64().unwrap_or_default();
    print::line(format!(
        "log     {} in {}, {}",
        print::count(number("events"), "event"),
        print::count(number("segments"), "segment"),
        print::size(number("bytes"))
    ));
    print::line(format!("memory  {}", memory(answer)));
    if let Some(told) = replayed(&answer["backtest"]) {
        print::line(format!("replay  {told}"));
    }
    for (source, last) in answer["sources"].as_object().into_iter().flatten() {
        print::line(format!(
            "source  {source}: {} events, last {}",
            last["events"],
            print::moment(last["last"].as_str().unwrap_or("-"))
        ));
    }
    if answer["github"]["connected"] == true {
        let place = match answer["github"]["token_in"].as_str() {
            Some("keychain") => "the keychain",
            _ => "a sealed file",
        };
        print::line(format!("github  connected, its token in {place}"));
    }
    for problem in answer["problems"].as_array().map_or(&[][..], Vec::as_slice) {
        print::line(format!("problem {}", problem.as_str().unwrap_or_default()));
    }
}

/// Runs every check; exit code 4 when one fails.
///
/// # Errors
///
/// The daemon is not reachable.
pub fn doctor(context: &Context) -> Result<u8, Failure> {
    let answer = context.client()?.blocking("doctor", None, &[], None)?;
    let checks = answer["checks"].as_array().map_or(&[][..], Vec::as_slice);
    if context.json {
        print::value(&answer);
    } else {
        for check in checks {
            let mark = if check["ok"] == true { "ok  " } else { "FAIL" };
            let text = |name: &str| check[name].as_str().unwrap_or_default().to_owned();
            print::line(format!("{mark} {}: {}", text("name"), text("detail")));
            if check["ok"] != true {
                print::line(format!("     mend: {}", text("mend")));
            }
        }
    }
    Ok(if checks.iter().all(|check| check["ok"] == true) { 0 } else { exit::DEGRADED })
}
