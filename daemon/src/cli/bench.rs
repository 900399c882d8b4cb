//! `bench`: the daemon's paths beside the limits of this machine.

use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::{Value, json};

use super::{Context, print};
use crate::backtest::{self, people};
use crate::bench::{self, BenchError, Options, Source};
use crate::failure::Failure;

/// The name of the curve, which is no part of `all`.
const CURVE: &str = "curve";
/// The name of the one that answers questions from a folder, which is no part of `all` either.
const RECALL: &str = "recall";
/// The one that makes the weights for what stands, which is no part of `all` either.
const STANCE: &str = "stance";
/// Those that measure data instead of the machine, and are no part of `all` either.
const ON_DATA: [&str; 4] = ["replay", "strata", "hygiene", "honesty"];
/// How many events a bench is given where nobody says.
const EVENTS: u32 = 100_000;
/// How long the logs of the curve are where nobody says.
const CURVE_EVENTS: &[u32] = &[10_000, 100_000, 1_000_000];

/// `clone bench-memory`, which a bench starts to have a fresh process measure itself
#[derive(Args)]
pub struct Memory {
    /// The log that is opened and appended to
    log: Option<PathBuf>,
}

/// `clone bench`
#[derive(Args)]
pub struct Bench {
    /// Which one, or `all` of them; `curve` measures the log at several lengths; `replay`, `strata` and `honesty` measure
    /// people's turns, `hygiene` transcripts, `recall` conversations; `stance` makes the weights for what stands
    #[arg(value_parser = PossibleValuesParser::new(bench::names().into_iter().chain(["all", CURVE, RECALL, STANCE]).chain(ON_DATA)))]
    name: String,
    /// For `recall`: the folder with `docs.jsonl` and `queries.jsonl`; the results go to `--out`
    #[arg(required_if_eq("name", RECALL))]
    input: Option<PathBuf>,
    /// How many events each is given, by default 100000; for `curve` a list, by default 10000,100000,1000000
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
    events: Vec<u32>,
    /// Where the scratch homes go; a real disk, or the figures say nothing
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// The folder of turns, one JSON Lines file a person, of transcripts, one folder a format, or of sentences
    #[arg(long, required_if_eq_any = ON_DATA.into_iter().chain([STANCE]).map(|name| ("name", name)).collect::<Vec<_>>())]
    data: Option<PathBuf>,
    /// Write the JSON here as well
    #[arg(long)]
    out: Option<PathBuf>,
}

/// Runs a bench in scratch homes; touches no home of anybody.
///
/// # Errors
///
/// The daemon does not start, or the disk fails or has not enough room.
pub fn run(context: &Context, arguments: &Bench) -> Result<u8, Failure> {
    if cfg!(debug_assertions) {
        print::note("this is a build without optimisation; its figures say little");
    }
    if let (RECALL, Some(input)) = (arguments.name.as_str(), &arguments.input) {
        return recall(context, arguments, input);
    }
    if let (STANCE, Some(data)) = (arguments.name.as_str(), &arguments.data) {
        return stance(context, arguments.out.as_deref(), data);
    }
    let (json, table) = match (arguments.name.as_str(), &arguments.data) {
        (CURVE, _) => curve(arguments)?,
        (name, Some(data)) if ON_DATA.contains(&name) => on_data(name, data)?,
        _ => benches(arguments)?,
    };
    if let Some(path) = &arguments.out {
        let text = serde_json::to_string_pretty(&json).map_err(Failure::new)?;
        let unwritable = |error| Failure::new(format!("cannot write `{}`: {error}", path.display()));
        std::fs::write(path, text + "\n").map_err(unwritable)?;
    }
    if context.json {
        print::value(&json);
    } else {
        table.iter().for_each(print::line);
    }
    Ok(0)
}

fn recall(context: &Context, arguments: &Bench, input: &Path) -> Result<u8, Failure> {
    let out = arguments
        .out
        .as_deref()
        .ok_or_else(|| Failure::usage("`recall` writes its results: name a file with --out"))?;
    let found = bench::recall(input, out, &arguments.dir).map_err(Failure::new)?;
    if context.json {
        print::value(&serde_json::to_value(&found).map_err(Failure::new)?);
    } else {
        let bench::Recall { turns, questions, search_p50_ms, context_p50_ms } = found;
        print::line(format!("{questions} questions over {turns} turns; results in {}", out.display()));
        print::line(format!("p50: search {search_p50_ms:.2} ms, context of 2,000 tokens {context_p50_ms:.2} ms"));
    }
    Ok(0)
}

/// Measures the weights for what stands, and writes them where they are wanted.
fn stance(context: &Context, out: Option<&Path>, data: &Path) -> Result<u8, Failure> {
    let found = bench::stance(data).map_err(|error| {
        Failure::new(format!("cannot read the sentences: {error}")).hint("they stand in `tests/data/memory`")
    })?;
    if let Some(path) = out {
        let unwritable = |error| Failure::new(format!("cannot write `{}`: {error}", path.display()));
        std::fs::write(path, &found.weights).map_err(unwritable)?;
    }
    if context.json {
        print::value(&serde_json::to_value(&found).map_err(Failure::new)?);
        return Ok(0);
    }
    print::line(format!("{} sentences, {} of them stand", found.sentences, found.standing));
    for (least, precision, recall) in &found.at {
        print::line(format!("from {least}: precision {precision:.3}, recall {recall:.3}"));
    }
    Ok(0)
}

/// What this process takes with a log; hidden, and JSON whatever was asked for.
///
/// # Errors
///
/// The log cannot be used.
pub fn memory(arguments: &Memory) -> Result<u8, Failure> {
    let memory = bench::of_this_process(arguments.log.as_deref()).map_err(Failure::new)?;
    print::value(&serde_json::to_value(memory).map_err(Failure::new)?);
    Ok(0)
}

/// What the predictor is worth on people whom its weights were not fitted to, or what the importers made of transcripts.
fn on_data(name: &str, data: &Path) -> Result<(Value, Vec<String>), Failure> {
    let fair = backtest::Options { priors: backtest::From::LeaveOneOut, ..backtest::Options::default() };
    match name {
        "hygiene" => {
            let sources = bench::hygiene(data).map_err(Failure::new)?;
            if sources.is_empty() {
                return Err(Failure::new(format!("no folder of transcripts in `{}`", data.display()))
                    .hint("one folder a format is wanted: `claude-code`, `codex`, `gemini`, `specstory`"));
            }
            Ok((json!(sources), sources.iter().flat_map(Source::table).collect()))
        }
        "strata" => {
            let (_, strata) = backtest::strata(data, &mut std::io::sink(), fair).map_err(Failure::new)?;
            Ok((json!(strata), strata.table()))
        }
        "honesty" => {
            let rows = people::honesty(data).map_err(Failure::new)?;
            let table = rows.iter().map(|(name, score)| people::line(name, score)).collect();
            Ok((json!({"rows": rows}), table))
        }
        _ => {
            let tables = people::Tables { curve: true, bootstrap: true, other: true, ablate: false };
            let told = people::people(data, fair, tables).map_err(Failure::new)?;
            Ok((json!(told), told.table()))
        }
    }
}

fn benches(arguments: &Bench) -> Result<(Value, Vec<String>), Failure> {
    let events = match arguments.events.as_slice() {
        [] => EVENTS,
        [events] => *events,
        _ => return Err(Failure::usage("only `curve` takes more than one number of events")),
    };
    let options = Options { events: events as usize, folder: arguments.dir.clone() };
    let name = (arguments.name != "all").then_some(arguments.name.as_str());
    let report = bench::run(name, &options, |name| print::note(format!("{name} ..."))).map_err(Failure::new)?;
    let head = format!("{} events; {}", report.events, report.machine);
    let table = std::iter::once(head).chain(report.table()).collect();
    Ok((serde_json::to_value(&report).map_err(Failure::new)?, table))
}

fn curve(arguments: &Bench) -> Result<(Value, Vec<String>), Failure> {
    let asked = if arguments.events.is_empty() { CURVE_EVENTS } else { &arguments.events };
    let events: Vec<usize> = asked.iter().map(|events| *events as usize).collect();
    let curve = bench::curve(&events, &arguments.dir, |events| print::note(format!("a log of {events} events ...")));
    let curve = curve.map_err(|error| match error {
        BenchError::Room { .. } => {
            Failure::new(error).hint("name a folder on another disk with --dir, or fewer events")
        }
        _ => Failure::new(error),
    })?;
    let table = std::iter::once(curve.machine.to_string()).chain(curve.table()).collect();
    Ok((serde_json::to_value(&curve).map_err(Failure::new)?, table))
}
