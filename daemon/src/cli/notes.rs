//! `memory add`, `history`, `undo`, `edit` and `deletions`: the notes of the vault.

use std::process::Command;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::{Context, print};
use crate::failure::Failure;

/// `clone memory add`
#[derive(Args)]
pub struct Add {
    /// What holds, in one sentence
    text: String,
    /// What kind of claim it is, such as preference or habit
    #[arg(long)]
    kind: Option<String>,
    /// How much it counts, 0 to 1
    #[arg(long)]
    importance: Option<f64>,
    /// A tag; again for more
    #[arg(long = "tag")]
    tags: Vec<String>,
}

/// `clone memory history`
#[derive(Args)]
pub struct History {
    /// An id (`fct_…`, `epi_…`) or a path in the vault, of a deleted note too
    note: String,
    /// Show the changed lines too
    #[arg(long)]
    lines: bool,
}

/// `clone memory undo`
#[derive(Args)]
pub struct Undo {
    /// An id (`fct_…`, `epi_…`) or a path in the vault, of a deleted note too
    note: String,
    /// Which version to put back, as `history` numbers them; the one before otherwise
    #[arg(long)]
    to: Option<u32>,
}

/// `clone memory edit`
#[derive(Args)]
pub struct Edit {
    /// An id (`fct_…`, `epi_…`), `profile`, `soul` or a path in the vault
    note: String,
}

/// `clone memory deletions`
#[derive(Args)]
pub struct Deletions {
    /// List what waits, say that it was meant, or put it back
    #[arg(value_enum, default_value_t = Decision::List)]
    decision: Decision,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Decision {
    List,
    Confirm,
    Restore,
}

/// States a fact.
///
/// # Errors
///
/// The daemon is not reachable, or a value is out of range.
pub fn add(cli: &Context, arguments: &Add) -> Result<u8, Failure> {
    let Add { text, kind, importance, tags } = arguments;
    let tags = (!tags.is_empty()).then_some(tags);
    let body = json!({"text": text, "kind": kind, "importance": importance, "tags": tags});
    let fact = cli.client()?.blocking("facts_add", None, &[], Some(&body))?;
    if cli.json {
        print::value(&fact);
    } else {
        print::line(format!("noted as {}", fact["id"].as_str().unwrap_or_default()));
    }
    Ok(0)
}

/// Shows what became of a note.
///
/// # Errors
///
/// The daemon is not reachable or knows no such note.
pub fn history(cli: &Context, arguments: &History) -> Result<u8, Failure> {
    let found = looked_up(cli, &arguments.note)?;
    if cli.json {
        print::value(&found);
        return Ok(0);
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    print::line(text(&found["path"]));
    if let (held @ 1.., Some(id)) = (found["still_held"].as_u64().unwrap_or_default(), found["id"].as_str()) {
        let events = print::count(held, "event");
        print::line(format!(
            "deleted; the log still holds {events} that it rested on, which `clone forget {id}` takes away too"
        ));
    }
    for version in found["versions"].as_array().into_iter().flatten() {
        let change = match text(&version["what"]).as_str() {
            "moved" => format!("moved from {}", text(&version["from"])),
            "deleted" => "deleted".to_owned(),
            _ if version["forgotten"] == true => "forgotten".to_owned(),
            what => format!("{what}, +{} −{} lines", version["added"], version["removed"]),
        };
        let at = print::moment(&text(&version["at"]));
        print::line(format!("{:>5}  {at}  {:<6}  {change}", version["number"], text(&version["by"])));
        if arguments.lines {
            for (mark, kind) in [("-", "removed"), ("+", "added")] {
                for line in version["lines"][kind].as_array().into_iter().flatten() {
                    print::line(format!("         {mark} {}", print::harmless(&text(line))));
                }
            }
        }
    }
    Ok(0)
}

fn looked_up(cli: &Context, note: &str) -> Result<Value, Failure> {
    let of = match note {
        "profile" | "soul" => format!("{note}.md"),
        note => note.to_owned(),
    };
    Ok(cli.client()?.blocking("memory_history", None, &[("of", of)], None)?)
}

/// Puts an earlier version of a note back.
///
/// # Errors
///
/// The daemon is not reachable or knows no such version.
pub fn undo(cli: &Context, arguments: &Undo) -> Result<u8, Failure> {
    let body = json!({"of": arguments.note, "to": arguments.to});
    let done = cli.client()?.blocking("memory_undo", None, &[], Some(&body))?;
    if cli.json {
        print::value(&done);
    } else {
        let path = done["path"].as_str().unwrap_or_default();
        print::line(format!("`{path}` is as it was in version {}; undo again to take that back", done["to"]));
    }
    Ok(0)
}

/// Opens a note in the person's editor and waits until what they saved is derived.
///
/// # Errors
///
/// The daemon is not reachable, knows no such note, or the editor cannot be run.
pub fn edit(cli: &Context, arguments: &Edit) -> Result<u8, Failure> {
    let found = looked_up(cli, &arguments.note)?;
    let path = found["path"].as_str().unwrap_or_default();
    if found["exists"] != true {
        return Err(Failure::new(format!("`{path}` was deleted")).hint(format!("`clone memory undo {path}` first")));
    }
    let editor = cli.env.editor.clone().unwrap_or_else(|| "vi".to_owned());
    let mut words = editor.split_whitespace();
    let program = words.next().unwrap_or("vi");
    let ran = Command::new(program).args(words).arg(cli.paths.vault.join(path)).status();
    let hint = "set EDITOR to the editor you use";
    match ran {
        Ok(status) if status.success() => {}
        Ok(status) => return Err(Failure::new(format!("`{program}` ended with {status}; nothing else was done"))),
        Err(error) => return Err(Failure::new(format!("cannot run `{program}`: {error}")).hint(hint)),
    }
    cli.client()?.blocking("sync", None, &[], Some(&json!({})))?;
    Ok(0)
}

/// Lists notes that are gone all at once, or says what that was.
///
/// # Errors
///
/// The daemon is not reachable.
pub fn deletions(cli: &Context, arguments: &Deletions) -> Result<u8, Failure> {
    let client = cli.client()?;
    if arguments.decision == Decision::List {
        let held = client.blocking("deletions_list", None, &[], None)?;
        if cli.json {
            print::value(&held);
        } else {
            held.as_array().into_iter().flatten().for_each(|row| print::line(row["path"].as_str().unwrap_or_default()));
        }
        return Ok(0);
    }
    let confirm = arguments.decision == Decision::Confirm;
    let done = client.blocking("deletions_decide", None, &[], Some(&json!({"confirm": confirm})))?;
    if cli.json {
        print::value(&done);
    } else {
        let what = if confirm { "deleted, and their claims are not inferred again" } else { "put back" };
        print::line(format!("{} {what}", print::count(done["notes"].as_u64().unwrap_or_default(), "note")));
    }
    Ok(0)
}
