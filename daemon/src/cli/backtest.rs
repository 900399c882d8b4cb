//! `backtest`: replays history in time order through the live path and writes what it would have said.

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::{Context, print};
use crate::backtest::{self, From, Options, Strata, Summary};
use crate::failure::Failure;

/// `clone backtest`
#[derive(Args)]
pub struct Backtest {
    /// A folder of turns, one JSON Lines file a person
    #[arg(long)]
    turns: PathBuf,
    /// Where the predictions go, one line a turn
    #[arg(long, required_unless_present_any = ["strata", "fit"])]
    out: Option<PathBuf>,
    /// Measure each channel by itself: choices, approvals, ways onward, macros, short acts, prose
    #[arg(long)]
    strata: bool,
    /// Print weights that are fitted to all these people, and predict nothing
    #[arg(long, conflicts_with_all = ["out", "strata", "priors"])]
    fit: bool,
    /// What is held true of people before each is met
    #[arg(long, value_enum, default_value = "shipped")]
    priors: PriorsFrom,
    /// Decide in shadow mode: nothing is `auto`
    #[arg(long)]
    shadow: bool,
    /// The looser of the two gates
    #[arg(long)]
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

/// Replays and writes; touches no home.
///
/// # Errors
///
/// The folder cannot be read or the file cannot be written.
pub fn run(context: &Context, arguments: &Backtest) -> Result<u8, Failure> {
    if arguments.fit {
        let fitted = backtest::fit(&arguments.turns).map_err(Failure::new)?;
        print::value(&serde_json::to_value(fitted).unwrap_or_default());
        return Ok(0);
    }
    let (summary, strata) = match &arguments.out {
        Some(path) => {
            let unwritable = |error| Failure::new(format!("cannot write `{}`: {error}", path.display()));
            let mut out = BufWriter::new(std::fs::File::create(path).map_err(unwritable)?);
            let done = replay(arguments, &mut out)?;
            out.flush().map_err(unwritable)?;
            done
        }
        None => replay(arguments, &mut std::io::sink())?,
    };
    if context.json {
        print::value(&value(summary, strata.as_ref()));
    } else {
        lines(summary, strata.as_ref()).iter().for_each(print::line);
    }
    Ok(0)
}

fn replay(arguments: &Backtest, out: &mut dyn Write) -> Result<(Summary, Option<Strata>), Failure> {
    let priors = match arguments.priors {
        PriorsFrom::None => From::None,
        PriorsFrom::Shipped => From::Shipped,
        PriorsFrom::LeaveOneOut => From::LeaveOneOut,
    };
    let options = Options { shadow: arguments.shadow, strict: !arguments.standard, priors, ..Options::default() };
    if arguments.strata {
        let (summary, strata) = backtest::strata(&arguments.turns, out, options).map_err(Failure::new)?;
        return Ok((summary, Some(strata)));
    }
    Ok((backtest::turns(&arguments.turns, out, options).map_err(Failure::new)?, None))
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
