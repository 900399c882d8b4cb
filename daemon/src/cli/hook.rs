//! `hook`: small programs that agents and shells run for us.
//!
//! `hook run` must never be in the way: it says nothing, ends within a fixed time whatever happens, and its exit code is
//! always 0. It reads the transcript that the agent names, here in the person's own process, and sends what its reader
//! makes of the end of it: the ids are those of an import, so a hook, following and an import record each turn once.

mod config;
mod edit;
mod run;
mod shell;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use self::config::Target;
use self::edit::Plan;
use super::{Context, print};
use crate::failure::Failure;

/// `clone hook`
#[derive(Args)]
pub struct Hook {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Add the hooks to an agent's settings or a shell's start file; shows what it adds and keeps a copy
    Install {
        /// claude-code, codex, gemini, or shell (bash, zsh, fish for one that is not yours)
        name: String,
        /// Show what would be added, and change nothing
        #[arg(long)]
        dry_run: bool,
        /// Ask for a prediction when the agent stops, and show it
        #[arg(long)]
        predict: bool,
    },
    /// Take out what `install` added, and nothing else
    Remove {
        /// As for `install`
        name: String,
        /// Show what would be taken out, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Show which hooks are installed
    Status,
    /// Print what `install shell` adds, to be evaluated by the shell
    Init {
        /// bash, zsh or fish
        #[arg(value_parser = ["bash", "zsh", "fish"])]
        shell: String,
    },
    /// Record what the agent or shell tells on standard input; always succeeds, says nothing
    Run(run::Run),
}

/// Installs, removes, shows or runs hooks.
///
/// # Errors
///
/// The name is not known, or a file cannot be read, understood or written; it is as it was then. Never for `run`.
pub fn run(context: &Context, arguments: Hook) -> Result<u8, Failure> {
    match arguments.verb {
        Verb::Install { name, dry_run, predict } => install(context, &name, dry_run, predict),
        Verb::Remove { name, dry_run } => remove(context, &name, dry_run),
        Verb::Status => status(context),
        Verb::Init { shell } => {
            print::text(&shell::snippet(&shell, &program()?));
            Ok(0)
        }
        Verb::Run(arguments) => Ok(run::run(context, arguments)),
    }
}

/// How an agent or a shell calls this program.
fn program() -> Result<String, Failure> {
    let path = std::env::current_exe().map_err(Failure::new)?;
    path.into_os_string().into_string().map_err(|_| Failure::new("the path of this program is not UTF-8"))
}

fn install(context: &Context, name: &str, dry_run: bool, predict: bool) -> Result<u8, Failure> {
    let target = Target::named(context, name)?;
    let plan = edit::install(&target, &program()?, predict)?;
    tell(context, &target.file, &plan, "+");
    if !dry_run && !plan.is_empty() {
        edit::apply(context, &target, &plan)?;
        print::note(format!("`{}` changed; `clone hook remove {name}` takes it out again", target.file.display()));
    }
    Ok(0)
}

fn remove(context: &Context, name: &str, dry_run: bool) -> Result<u8, Failure> {
    let target = Target::named(context, name)?;
    let plan = edit::removal(context, &target)?;
    tell(context, &target.file, &plan, "-");
    if !dry_run && !plan.is_empty() {
        edit::take_out(context, &target, &plan)?;
    }
    Ok(0)
}

/// Shows a change as its lines.
fn tell(context: &Context, file: &std::path::Path, plan: &Plan, sign: &str) {
    if context.json {
        return print::value(&json!({"file": file, "changes": plan.texts(), "sign": sign}));
    }
    if plan.is_empty() {
        return print::line(format!("{}: nothing to do", file.display()));
    }
    print::line(format!("{}:", file.display()));
    for line in plan.texts().iter().flat_map(|text| text.lines()).filter(|line| !line.trim().is_empty()) {
        print::line(format!("{sign} {line}"));
    }
}

fn status(context: &Context) -> Result<u8, Failure> {
    let mut rows: Vec<(&str, PathBuf, bool)> = Vec::new();
    for name in config::NAMES {
        let target = Target::named(context, name)?;
        let there = edit::is_installed(&target);
        rows.push((name, target.file, there));
    }
    if context.json {
        let told =
            |(name, file, there): &(&str, PathBuf, bool)| json!({"name": name, "file": file, "installed": there});
        print::value(&json!(rows.iter().map(told).collect::<Vec<_>>()));
    } else {
        for (name, file, there) in rows {
            print::line(format!(
                "{name:<12} {:<14} {}",
                if there { "installed" } else { "not installed" },
                file.display()
            ));
        }
    }
    Ok(0)
}
