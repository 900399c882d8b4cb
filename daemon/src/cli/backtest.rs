//! `backtest`: replays history in time order through the live path and writes what it would have said.

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::Args;

use super::{Context, print};
use crate::backtest::{self, Options};
use crate::failure::Failure;

/// `clone backtest`
#[derive(Args)]
pub struct Backtest {
    /// A folder of turns, one JSON Lines file a person
    #[arg(long)]
    turns: PathBuf,
    /// Where the predictions go, one line a turn
    #[arg(long)]
    out: PathBuf,
    /// Decide in shadow mode: nothing is `auto`
    #[arg(long)]
    shadow: bool,
    /// The looser of the two gates
    #[arg(long)]
    standard: bool,
}

/// Replays and writes; touches no home.
///
/// # Errors
///
/// The folder cannot be read or the file cannot be written.
pub fn run(context: &Context, arguments: &Backtest) -> Result<u8, Failure> {
    let unwritable = |error| Failure::new(format!("cannot write `{}`: {error}", arguments.out.display()));
    let file = std::fs::File::create(&arguments.out).map_err(unwritable)?;
    let mut out = BufWriter::new(file);
    let options = Options { shadow: arguments.shadow, strict: !arguments.standard, ..Options::default() };
    let summary = backtest::turns(&arguments.turns, &mut out, options).map_err(Failure::new)?;
    out.flush().map_err(unwritable)?;
    if context.json {
        print::value(&serde_json::to_value(summary).unwrap_or_default());
    } else {
        let backtest::Summary { people, turns, predicted, hits, any_hits, autos, wrong_autos, unreadable } = summary;
        print::line(format!("{people} people, {turns} turns, {predicted} predicted, {unreadable} lines unreadable"));
        print::line(format!("first candidate right {hits}, any of three {any_hits}"));
        print::line(format!("auto {autos}, of them wrong {wrong_autos}"));
    }
    Ok(0)
}
