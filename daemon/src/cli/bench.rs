//! `bench`: the daemon's paths beside the limits of this machine.

use std::path::PathBuf;

use clap::Args;
use clap::builder::PossibleValuesParser;

use super::{Context, print};
use crate::bench::{self, Options};
use crate::failure::Failure;

/// `clone bench`
#[derive(Args)]
pub struct Bench {
    /// Which one, or `all`
    #[arg(value_parser = PossibleValuesParser::new(bench::names().into_iter().chain(["all"])))]
    name: String,
    /// How many events each is given
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    events: u32,
    /// Where the scratch homes go; a real disk, or the figures say nothing
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// Write the JSON here as well
    #[arg(long)]
    out: Option<PathBuf>,
}

/// Runs a bench in scratch homes; touches no home of anybody.
///
/// # Errors
///
/// The daemon does not start, or the disk fails.
pub fn run(context: &Context, arguments: &Bench) -> Result<u8, Failure> {
    let options = Options { events: arguments.events as usize, folder: arguments.dir.clone() };
    if cfg!(debug_assertions) {
        print::note("this is a build without optimisation; its figures say little");
    }
    let name = (arguments.name != "all").then_some(arguments.name.as_str());
    let report = bench::run(name, &options, |name| print::note(format!("{name} ..."))).map_err(Failure::new)?;
    let json = serde_json::to_value(&report).map_err(Failure::new)?;
    if let Some(path) = &arguments.out {
        let text = serde_json::to_string_pretty(&json).map_err(Failure::new)?;
        let unwritable = |error| Failure::new(format!("cannot write `{}`: {error}", path.display()));
        std::fs::write(path, text + "\n").map_err(unwritable)?;
    }
    if context.json {
        print::value(&json);
    } else {
        print::line(format!("{} events; {}", report.events, report.machine));
        report.table().iter().for_each(print::line);
    }
    Ok(0)
}
