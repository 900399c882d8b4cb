//! `backtest`: replays history in time order through the live path and shows, or writes, what it would have said.
//!
//! The person's own history is replayed by the daemon, which alone may read its log; a folder of turns is replayed here.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use clone_schema::time::Timestamp;
use serde_json::{Value, json};

use super::events::when;
use super::{Context, print};
use crate::backtest::own::Report;
use crate::backtest::people::Tables;
use crate::backtest::{self, From, Options, Strata, Summary, plot};
use crate::failure::Failure;

/// `clone backtest`
#[derive(Args)]
pub struct Backtest {
    /// Score your replies from here on: a day, an instant, or how long ago (`30d`)
    #[arg(long, value_name = "D", value_parser = when)]
    since: Option<Timestamp>,
    /// Leave out what you replied from here on
    #[arg(long, value_name = "D", value_parser = when)]
    until: Option<Timestamp>,
    /// Score replies to this agent alone
    #[arg(long, value_name = "A")]
    agent: Option<String>,
    /// Write the plots as one SVG file as well
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    #[command(flatten)]
    people: People,
}

/// A folder of other people's turns instead of your own history
#[derive(Args)]
struct People {
    /// A folder of turns, one JSON Lines file a person, instead of your own history
    #[arg(long, value_name = "DIR", conflicts_with_all = ["since", "until", "agent", "plot"])]
    turns: Option<PathBuf>,
    /// Where the predictions go, one line a turn
    #[arg(long, value_name = "FILE", requires = "turns")]
    out: Option<PathBuf>,
    /// Measure each channel by itself: choices, approvals, ways onward, macros, short acts, prose
    #[arg(long, requires = "turns")]
    strata: bool,
    /// Tell what is learned by 20, 50, 100 and 500 turns
    #[arg(long, requires = "turns")]
    curve: bool,
    /// Draw each person's sessions anew, and tell what their skill is at least
    #[arg(long, requires = "turns")]
    bootstrap: bool,
    /// Predict each person from another's history as well
    #[arg(long, requires = "turns")]
    other: bool,
    /// Leave out each part of the predictor in turn
    #[arg(long, requires = "turns")]
    ablate: bool,
    /// Print weights that are fitted to all these people, and predict nothing
    #[arg(long, requires = "turns", conflicts_with_all = ["out", "strata", "priors", "curve", "bootstrap", "other", "ablate"])]
    fit: bool,
    /// What is held true of people before each is met
    #[arg(long, value_enum, default_value = "shipped", requires = "turns")]
    priors: PriorsFrom,
    /// Decide in shadow mode: nothing is `auto`
    #[arg(long, requires = "turns")]
    shadow: bool,
    /// The looser of the two gates
    #[arg(long, requires = "turns")]
    standard: bool,
}

/// Where priors come from
#[derive(Clone, Copy, ValueEnum)]
enum PriorsFrom {
    /// Neutral weights
    None,
    /// What the program comes with
    Shipped,
    /// Fitted to the other people of the folder, for each anew
    LeaveOneOut,
}

/// Replays your own history, or a folder of turns.
///
/// # Errors
///
/// The daemon is not reachable; a folder cannot be read or a file cannot be written.
pub fn run(context: &Context, arguments: &Backtest) -> Result<u8, Failure> {
    match &arguments.people.turns {
        Some(folder) => people(context, &arguments.people, folder),
        None => own(context, arguments),
    }
}

/// Asks the daemon until its replay is done; touches no file but the plot.
fn own(context: &Context, arguments: &Backtest) -> Result<u8, Failure> {
    let client = context.client()?;
    let instant = |name, at: Option<Timestamp>| at.map(|at| (name, at.to_string()));
    let mut query: Vec<(&str, String)> = Vec::new();
    query.extend(instant("since", arguments.since));
    query.extend(instant("until", arguments.until));
    query.extend(arguments.agent.clone().map(|agent| ("agent", agent)));
    let mut answer = client.blocking("predictions_backtest", None, &query, None)?;
    while answer["state"] == "running" {
        print::progress(format!("replaying {} of {}", answer["done"], answer["of"]));
        answer = client.blocking("predictions_backtest", None, &query, None)?;
    }
    print::progress_end();
    let report: Report = serde_json::from_value(answer["report"].take()).map_err(Failure::new)?;
    if let Some(path) = &arguments.plot {
        let unwritable = |error| Failure::new(format!("cannot write `{}`: {error}", path.display()));
        std::fs::write(path, backtest::svg(&report)).map_err(unwritable)?;
    }
    if context.json {
        print::value(&serde_json::to_value(&report).map_err(Failure::new)?);
    } else {
        plot::lines(&report).iter().for_each(print::line);
    }
    Ok(0)
}

/// Replays and writes; touches no home.
fn people(context: &Context, arguments: &People, folder: &Path) -> Result<u8, Failure> {
    if arguments.fit {
        let fitted = backtest::fit(folder).map_err(Failure::new)?;
        print::value(&serde_json::to_value(fitted).unwrap_or_default());
        return Ok(0);
    }
    let tables = arguments.tables();
    if arguments.out.is_none() && !arguments.strata && tables == Tables::default() {
        return Err(
            Failure::usage("nothing to do with these turns").hint("name a file with `--out`, or give `--strata`")
        );
    }
    let (summary, strata) = match &arguments.out {
        Some(path) => {
            let unwritable = |error| Failure::new(format!("cannot write `{}`: {error}", path.display()));
            let mut out = BufWriter::new(std::fs::File::create(path).map_err(unwritable)?);
            let done = replay(arguments, folder, &mut out)?;
            out.flush().map_err(unwritable)?;
            done
        }
        None => replay(arguments, folder, &mut std::io::sink())?,
    };
    let told = match tables == Tables::default() {
        true => None,
        false => Some(backtest::people::people(folder, arguments.options(), tables).map_err(Failure::new)?),
    };
    if context.json {
        let mut value = value(summary, strata.as_ref());
        if let Some(told) = &told {
            value["tables"] = json!(told);
        }
        print::value(&value);
    } else {
        lines(summary, strata.as_ref()).iter().for_each(print::line);
        told.iter().flat_map(backtest::people::People::table).for_each(print::line);
    }
    Ok(0)
}

impl People {
    fn tables(&self) -> Tables {
        Tables { curve: self.curve, bootstrap: self.bootstrap, other: self.other, ablate: self.ablate }
    }

    fn options(&self) -> Options {
        let priors = match self.priors {
            PriorsFrom::None => From::None,
            PriorsFrom::Shipped => From::Shipped,
            PriorsFrom::LeaveOneOut => From::LeaveOneOut,
        };
        Options { shadow: self.shadow, strict: !self.standard, priors, ..Options::default() }
    }
}

fn replay(arguments: &People, folder: &Path, out: &mut dyn Write) -> Result<(Summary, Option<Strata>), Failure> {
    let options = arguments.options();
    if arguments.strata {
        let (summary, strata) = backtest::strata(folder, out, options).map_err(Failure::new)?;
        return Ok((summary, Some(strata)));
    }
    Ok((backtest::turns(folder, out, options).map_err(Failure::new)?, None))
}

fn value(summary: Summary, strata: Option<&Strata>) -> Value {
    let mut out = serde_json::to_value(summary).unwrap_or_default();
    if let Some(strata) = strata {
        out["strata"] = json!(strata);
    }
    out
}

fn lines(summary: Summary, strata: Option<&Strata>) -> Vec<String> {
    let Summary { people, turns, predicted, hits, any_hits, autos, wrong_autos, unreadable } = summary;
    let mut out = vec![
        format!("{people} people, {turns} turns, {predicted} predicted, {unreadable} lines unreadable"),
        format!("first candidate right {hits}, any of three {any_hits}"),
        format!("auto {autos}, of them wrong {wrong_autos}"),
    ];
    out.extend(strata.into_iter().flat_map(Strata::table));
    out
}
