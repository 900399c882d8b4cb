//! `log verify` and `log repair`: the log on the disk, with no daemon running.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::events::{Cat, Export, Tail};
use super::{Context, events, print};
use crate::failure::{Failure, exit};
use crate::log::{self, Damage, Inspection, LogError, Missing, RepairError, Repaired, Verification};

/// `clone log`
#[derive(Args)]
pub struct Log {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Print events in the order of the log
    Cat(Cat),
    /// Print the last events, and with `-f` every one that follows
    Tail(Tail),
    /// Write events into a file, as JSON lines or MCAP
    Export(Export),
    /// Read every byte and say what is damaged; no daemon may run. Exit code 4 when something is
    Verify(Verify),
    /// Write what can be read into a new log; no daemon may run. Exit code 4 when not all of it could be saved
    Repair(Repair),
}

#[derive(Args)]
struct Verify {
    /// The folder of the log; that of this home where none is named
    dir: Option<PathBuf>,
}

#[derive(Args)]
struct Repair {
    /// The folder of the log; that of this home where none is named
    dir: Option<PathBuf>,
    /// The folder of the new log; it must not hold anything
    #[arg(long, value_name = "NEWDIR")]
    out: PathBuf,
}

/// Reads, checks or repairs the log.
///
/// # Errors
///
/// The log cannot be read, or somebody else holds it.
pub fn run(context: &Context, arguments: &Log) -> Result<u8, Failure> {
    match &arguments.verb {
        Verb::Cat(cat) => events::cat(context, cat),
        Verb::Tail(tail) => events::tail(context, tail),
        Verb::Export(export) => events::export(context, export),
        Verb::Verify(verify) => check(context, verify.dir.as_deref().unwrap_or(&context.paths.log)),
        Verb::Repair(repair) => mend(context, repair.dir.as_deref().unwrap_or(&context.paths.log), &repair.out),
    }
}

fn check(context: &Context, dir: &Path) -> Result<u8, Failure> {
    let outcome = log::verify(dir, |name| print::progress(format!("reading {name}")));
    print::progress_end();
    let found = outcome.map_err(|error| refused(&error))?;
    if context.json {
        print::value(
            &json!({"folder": dir, "clean": found.is_clean(), "events": found.events(), "bytes": found.bytes(),
            "segments": found.segments.iter().map(segment).collect::<Vec<_>>(), "damaged": damaged(&found),
            "missing": missing(&found), "notes": notes(&found)}),
        );
    } else {
        show(&found);
    }
    Ok(if found.is_clean() { 0 } else { exit::DEGRADED })
}

fn mend(context: &Context, dir: &Path, out: &Path) -> Result<u8, Failure> {
    let outcome = log::repair(dir, out, |name| print::progress(format!("saving {name}")));
    print::progress_end();
    let done = outcome.map_err(unmended)?;
    let found = &done.found;
    if context.json {
        print::value(&json!({"folder": dir, "out": out, "complete": found.is_clean(), "segments": done.segments,
            "events": done.events, "bytes": done.bytes, "key": done.key, "damaged": damaged(found),
            "missing": missing(found), "notes": notes(found)}));
    } else {
        show_repaired(&done, dir, out);
    }
    Ok(if found.is_clean() { 0 } else { exit::DEGRADED })
}

fn unmended(error: RepairError) -> Failure {
    match error {
        RepairError::Log(error) => refused(&error),
        RepairError::NotEmpty(_) => Failure::new(error).hint("name a folder that is not there yet"),
        RepairError::Place(_) => Failure::new(error).hint("name a new folder outside the log"),
        RepairError::Differs(_) => Failure::new(error),
    }
}

/// What the log refuses, with what to do.
pub fn refused(error: &LogError) -> Failure {
    let failure = Failure::new(error);
    match error {
        LogError::Locked { .. } => {
            failure.hint("a daemon (or another `clone log`) uses it: end that first, as with `kill PID`")
        }
        LogError::NoLog(_) => failure.hint("`clone path log` says where the log of this home is"),
        LogError::Io { .. } => failure.hint("look at the folder, its owner, and the kernel's messages"),
        _ => failure,
    }
}

fn segment(found: &Inspection) -> Value {
    json!({"name": found.name, "base": found.base, "sealed": found.sealed, "bytes": found.bytes,
        "chunks": found.chunks, "events": found.events, "unknown": found.unknown,
        "first": found.positions.map(|span| span.0), "last": found.positions.map(|span| span.1),
        "recorded_from": found.recorded.map(|span| span.0), "recorded_to": found.recorded.map(|span| span.1)})
}

fn damaged(found: &Verification) -> Vec<Value> {
    let one = |Damage { segment, offset, bytes, reason, from, to }: &Damage| json!({"segment": segment, "offset": offset, "bytes": bytes, "reason": reason, "from": from, "to": to});
    found.damaged.iter().map(one).collect()
}

fn missing(found: &Verification) -> Vec<Value> {
    let one = |Missing { segment, first, last }: &Missing| json!({"segment": segment, "first": first, "last": last});
    found.missing.iter().map(one).collect()
}

fn notes(found: &Verification) -> Vec<Value> {
    found.notes.iter().map(|note| json!({"name": note.name, "what": note.what})).collect()
}

fn show(found: &Verification) {
    for one in &found.segments {
        print::line(format!(
            "segment  {}  {}, {}, {}{}",
            one.name,
            print::count(one.chunks, "chunk"),
            print::count(one.events, "event"),
            print::size(one.bytes),
            one.recorded.map_or_else(String::new, |(from, to)| format!("  {} to {}", moment(from), moment(to)))
        ));
    }
    show_wrong(found);
    let total = format!("{} in {}", print::count(found.events(), "event"), print::size(found.bytes()));
    if found.is_clean() {
        print::line(format!("clean    {total}"));
    } else {
        print::line(format!("damaged  {total} can be read"));
        print::note("`clone log repair --out NEWDIR` writes what can be read into a new log");
    }
}

fn show_wrong(found: &Verification) {
    for Damage { segment, offset, bytes, reason, from, to } in &found.damaged {
        let end = offset + bytes;
        print::line(format!("damage   {segment}  bytes {offset} to {end}: {reason}"));
        if from.is_some() || to.is_some() {
            let (from, to) = (time_or(*from, "the beginning"), time_or(*to, "the end"));
            print::line(format!("         recorded between {from} and {to}"));
        }
    }
    for Missing { segment, first, last } in &found.missing {
        let last = last.map_or_else(|| "the end".to_owned(), |last| last.to_string());
        print::line(format!("missing  {segment}  positions {first} to {last}"));
    }
    for note in &found.notes {
        print::line(format!("note     {}: {}", note.name, note.what));
    }
}

fn show_repaired(done: &Repaired, dir: &Path, out: &Path) {
    show_wrong(&done.found);
    let saved = print::count(done.events, "event");
    print::line(format!("saved    {saved} in {}, read back and compared", print::count(done.segments, "segment")));
    if !done.found.missing.is_empty() {
        print::line("         what is missing above could not be saved");
    } else if !done.found.is_clean() {
        print::line("         no event is known to be lost");
    }
    if !done.key {
        print::note("the key could not be saved; the daemon makes a new one");
    }
    print::note(format!("to use it, move `{}` aside and `{}` into its place", dir.display(), out.display()));
}

fn moment(at: clone_schema::Timestamp) -> String {
    print::moment(&at.to_string())
}

fn time_or(at: Option<clone_schema::Timestamp>, otherwise: &str) -> String {
    at.map_or_else(|| otherwise.to_owned(), moment)
}
