//! `import`: the history of an agent, read here and sent as events.

mod auto;

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use clone_schema::Event;
use clone_schema::event::{Body, Origin};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{Context, print, source};
use crate::client::Client;
use crate::config::Config;
use crate::failure::Failure;
use crate::scrub;
use crate::sources::{self, Counts, Filter, Format};

/// Events in one request.
const BATCH: usize = 500;
/// Bytes in one request, below what the door takes.
const BATCH_BYTES: usize = 4 << 20;

/// `clone import`
#[derive(Args)]
pub struct Import {
    /// Whose history: claude-code, codex, gemini, copilot, opencode, aider, chatgpt, specstory or turns; `auto` finds what is on this machine
    format: String,
    /// Files, or folders that are walked; where the agent keeps them when none is named
    paths: Vec<PathBuf>,
    /// Only projects whose path holds this
    #[arg(long)]
    include: Vec<String>,
    /// Never projects whose path holds this
    #[arg(long)]
    exclude: Vec<String>,
    /// Show exactly what would be stored, and store nothing
    #[arg(long)]
    dry_run: bool,
    /// Then go on recording what this agent writes: claude-code, codex and gemini
    #[arg(long)]
    watch: bool,
    /// With `auto`: import everything that was found without asking
    #[arg(long)]
    yes: bool,
}

/// Reads the history and sends it; running it again adds nothing.
///
/// # Errors
///
/// The format is not known, a path cannot be read, or the daemon is not reachable. What was sent before is kept.
pub fn run(context: &Context, mut arguments: Import) -> Result<u8, Failure> {
    if arguments.format == "auto" {
        return auto::run(context, &arguments);
    }
    let format = Format::from_name(&arguments.format).ok_or_else(|| {
        if arguments.format == sources::github::NAME {
            return Failure::usage("GitHub is no file").hint("`clone source connect github` reads it, every hour");
        }
        Failure::usage(format!("no importer for `{}`", arguments.format))
            .hint(format!("try {}", Format::ALL.map(Format::name).join(", ")))
    })?;
    if arguments.watch && !Format::FOLLOWED.contains(&format) {
        return Err(Failure::usage(format!("`{}` cannot be followed", arguments.format)));
    }
    if arguments.paths.is_empty() {
        arguments.paths = auto::standard(context, format)?;
    }
    let config = Config::read(&context.paths.config).map_err(Failure::new)?;
    let mut exclude = config.import.exclude;
    exclude.extend(arguments.exclude);
    let filter = Filter { include: arguments.include, exclude };
    let mut files = Vec::new();
    for path in &arguments.paths {
        files.extend(sources::transcripts(format, path).map_err(|error| {
            Failure::new(error).hint("give files that you can read, or folders of them, such as `~/.claude/projects`")
        })?);
    }
    let mut run = Run::new(context, arguments.dry_run)?;
    for (i, file) in files.iter().enumerate() {
        print::progress(format!("{} of {}: {}", i + 1, files.len(), file.display()));
        run.file(format, file, &filter)?;
    }
    print::progress_end();
    run.finish(context, format, files.len())?;
    if arguments.watch && !arguments.dry_run {
        source::follow(&context.client()?, &[format.name().to_owned()])?;
        print::note(format!("{} is followed from now on; `clone source disconnect {0}` ends it", format.name()));
    }
    Ok(0)
}

/// Imports these paths with the defaults.
///
/// # Errors
///
/// As [`run`].
pub fn of(context: &Context, format: &str, paths: Vec<PathBuf>) -> Result<u8, Failure> {
    let (include, exclude) = (Vec::new(), Vec::new());
    let (dry_run, watch, yes) = (false, false, false);
    run(context, Import { format: format.to_owned(), paths, include, exclude, dry_run, watch, yes })
}

/// Waits until everything sent is derived, however long that takes; what was sent is safe meanwhile.
fn until_derived(client: &Client) -> Result<(), Failure> {
    print::progress("making episodes and facts of it");
    loop {
        match client.blocking("sync", None, &[], None) {
            Err(error) if error.status() == Some(503) => {}
            Err(error) => return Err(error.into()),
            Ok(_) => break,
        }
    }
    print::progress_end();
    Ok(())
}

struct Run {
    client: Option<Client>,
    batch: Vec<String>,
    bytes: usize,
    counts: Counts,
    new: u64,
    known: u64,
    refused: u64,
    secrets: BTreeMap<&'static str, u32>,
    unreadable: Vec<String>,
    /// In a dry run that prints JSON: the events themselves.
    would_store: Option<Vec<Value>>,
}

impl Run {
    fn new(context: &Context, dry: bool) -> Result<Self, Failure> {
        let client = if dry { None } else { Some(context.client()?) };
        if let Some(client) = &client {
            client.blocking("health", None, &[], None)?;
        }
        Ok(Self {
            client,
            batch: Vec::new(),
            bytes: 0,
            counts: Counts::default(),
            new: 0,
            known: 0,
            refused: 0,
            secrets: BTreeMap::new(),
            unreadable: Vec::new(),
            would_store: (dry && context.json).then(Vec::new),
        })
    }

    /// Reads one file; a file that cannot be read is said aloud and the run goes on.
    fn file(&mut self, format: Format, path: &std::path::Path, filter: &Filter) -> Result<(), Failure> {
        let mut failed = None;
        let read = sources::read(format, path, filter, &mut |event| {
            if failed.is_none() {
                failed = self.take(event).err();
            }
        });
        match (failed, read) {
            (Some(failure), _) => return Err(failure),
            (None, Ok(counts)) => self.counts.add(&counts),
            (None, Err(error)) => self.unreadable.push(format!("{}: {error}", path.display())),
        }
        self.flush()
    }

    fn take(&mut self, mut event: Event) -> Result<(), Failure> {
        for (kind, count) in scrub::scrub_event(&mut event) {
            *self.secrets.entry(kind).or_default() += count;
        }
        if self.client.is_none() {
            match &mut self.would_store {
                Some(events) => events.push(serde_json::from_str(&event.to_json()).map_err(Failure::new)?),
                None => show(&event),
            }
            return Ok(());
        }
        let json = event.to_json();
        self.bytes += json.len();
        self.batch.push(json);
        if self.batch.len() >= BATCH || self.bytes >= BATCH_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Failure> {
        let Some(client) = self.client.as_ref().filter(|_| !self.batch.is_empty()) else { return Ok(()) };
        let items: Result<Vec<Box<RawValue>>, _> = self.batch.drain(..).map(RawValue::from_string).collect();
        let body = items.and_then(serde_json::to_value).map_err(Failure::new)?;
        self.bytes = 0;
        let reply = client.blocking("events_ingest", None, &[], Some(&body))?;
        self.new += reply["accepted"].as_u64().unwrap_or_default();
        self.known += reply["duplicates"].as_u64().unwrap_or_default();
        self.refused += reply["invalid"].as_array().map_or(0, Vec::len) as u64;
        Ok(())
    }

    /// Marks the end, so that what was imported becomes episodes and facts before this returns.
    fn finish(&self, context: &Context, format: Format, files: usize) -> Result<(), Failure> {
        if let Some(client) = &self.client {
            let body = json!({
                "format": format.name(), "imported": self.new, "duplicates": self.known, "skipped": self.counts.skipped,
            });
            client.blocking("import_batch", None, &[], Some(&body))?;
            until_derived(client)?;
        }
        if context.json {
            print::value(&self.summary(format, files));
        } else {
            self.tell(format, files);
        }
        Ok(())
    }

    fn summary(&self, format: Format, files: usize) -> Value {
        let mut summary = json!({
            "format": format.name(), "files": files, "read": self.counts.read, "events": self.counts.events,
            "human": self.counts.human, "agent": self.counts.agent, "choices": self.counts.choices,
            "imported": self.new, "known": self.known, "refused": self.refused, "skipped": self.counts.skipped,
            "secrets_replaced": self.secrets, "unreadable": self.unreadable, "dry_run": self.client.is_none(),
        });
        if let Some(events) = &self.would_store {
            summary["would_store"] = json!(events);
        }
        summary
    }

    fn tell(&self, format: Format, files: usize) {
        let Counts { human, agent, choices, .. } = &self.counts;
        let verb = if self.client.is_none() { "would store" } else { "imported" };
        let stored = if self.client.is_none() { self.counts.events } else { self.new };
        let (stored, from) = (print::count(stored, "event"), print::count(files as u64, "file"));
        print::line(format!("{verb} {stored} from {from}; {} seen before", self.known));
        print::line(format!("  {human} typed by you, {agent} said by agents, {choices} choices answered"));
        for (reason, count) in &self.counts.skipped {
            print::line(format!("  skipped {count:>5}  {reason}"));
        }
        for (kind, count) in &self.secrets {
            print::line(format!("  replaced {count:>4}  secret: {kind}"));
        }
        if self.counts.events == 0 && self.unreadable.is_empty() {
            print::note(format!("nothing here looks like {} history", format.name()));
        }
        for file in &self.unreadable {
            print::note(format!("warning: {file}"));
        }
    }
}

/// One event of a dry run: exactly what would be stored, on one line.
fn show(event: &Event) {
    if let Body::AgentPrompt { .. } = event.body
        && event.origin() == Origin::Typed
    {
        print::line(format!("typed  {}", event.to_json()));
    } else {
        print::line(format!("       {}", event.to_json()));
    }
}
