//! The command line: arguments, dispatch, and one file per verb.
//!
//! Every verb is a client of the socket, except `daemon` (which is the other end), `backtest --turns` and `bench` (which
//! touch no home), `path`, and `log`, which holds the log's lock itself while no daemon does. Transcripts are read here, in the person's own process, and travel as events: the
//! daemon never opens a path that a caller names.

pub mod ask;
pub mod auto;
pub mod backtest;
pub mod bench;
pub mod daemon;
pub mod demo;
pub mod events;
pub mod export;
pub mod forget;
pub mod hook;
pub mod import;
pub mod ingest;
pub mod keys;
pub mod log;
pub mod look;
pub mod memory;
pub mod notes;
pub mod print;
pub mod source;
pub mod why;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::client::Client;
use crate::env::Env;
use crate::failure::{Failure, exit};
use crate::paths::Paths;

/// Learns how you work and predicts what you would reply to your AI agents
#[derive(Parser)]
#[command(name = "clone", version, max_term_width = 100, arg_required_else_help = true)]
struct Arguments {
    /// Print JSON with a stable shape instead of text
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Run the daemon in the foreground
    Daemon,
    /// Show what runs, what it holds and what is wrong
    Status,
    /// Check everything with a live write, index and read
    Doctor,
    /// Read the history of an agent into memory
    Import(import::Import),
    /// Show where memory comes from, and follow agents or stop following them
    Source(source::Source),
    /// Record what you do with agents and shells as it happens
    Hook(hook::Hook),
    /// Record CloneEvents from a JSON array or JSON lines
    Ingest(ingest::Ingest),
    /// Ask what you would reply
    Predict(ask::Predict),
    /// Ask whether you would go on or be done
    Continue(ask::Continue),
    /// Say what became of a prediction
    Feedback(ask::Feedback),
    /// Say that an answer given for you was wrong
    Wrong(ask::Wrong),
    /// Show what a prediction, fact or episode rests on, down to the bytes of the log
    Why(why::Why),
    /// List, show and search what is remembered
    Memory(memory::Memory),
    /// Forget events and everything that rests on them, in every file, for good
    Forget(forget::Forget),
    /// Show the bundle that a predictor sees
    Context(memory::Context),
    /// Make, list and revoke API keys for the HTTP door
    Keys(keys::Keys),
    /// Print where something lives
    Path(look::Path),
    /// Allow or end `auto` answers everywhere
    Auto(auto::Auto),
    /// Never answer for you: by agent, project or hour
    Mute(auto::Mute),
    /// Read, check, export and repair the log itself
    Log(log::Log),
    /// Replay history in time order and measure the predictions
    Backtest(backtest::Backtest),
    /// Measure the daemon beside the limits of this machine, in a scratch home
    Bench(bench::Bench),
    /// Measure the memory of this process with a log, for `bench`
    #[command(hide = true, name = crate::bench::MEMORY_VERB)]
    BenchMemory(bench::Memory),
    /// Speak MCP over standard input and output
    Mcp,
    /// Show everything once, on a synthetic history in a home of its own
    #[command(hide = true)]
    Demo(demo::Demo),
}

/// What every verb gets.
pub struct Context {
    /// The environment, read once.
    pub env: Env,
    /// Where everything lives.
    pub paths: Paths,
    /// Whether to print JSON.
    pub json: bool,
}

impl Context {
    /// A client of the daemon of this home.
    ///
    /// # Errors
    ///
    /// `CLONE_API_URL` does not name a loopback address; the daemon itself is tried at the first call.
    pub fn client(&self) -> Result<Client, Failure> {
        match &self.env.api_url {
            Some(url) => Ok(Client::http(url, self.env.api_token.as_deref())?),
            None => Ok(Client::connect(&self.paths.socket)),
        }
    }
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return refused(&error),
    };
    let json = arguments.json;
    let outcome = context(json).and_then(|context| run(&context, arguments.verb));
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            print::failure(&failure, json);
            ExitCode::from(failure.code)
        }
    }
}

/// Help and the version are shown as they are; a wrong command line is a failure like any other, in JSON too.
fn refused(error: &clap::Error) -> ExitCode {
    let is_help = error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    if !error.use_stderr() || is_help {
        let _shown = error.print();
        return if is_help { ExitCode::from(exit::USAGE) } else { ExitCode::SUCCESS };
    }
    // The arguments could not be read, so the flag is looked for by hand.
    let json = std::env::args_os().any(|argument| argument == "--json");
    print::failure(&usage(&error.to_string()), json);
    ExitCode::from(exit::USAGE)
}

/// What clap says in paragraphs, as one line and one hint.
fn usage(told: &str) -> Failure {
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut paragraphs = told.split("\n\n").map(one_line);
    let first = paragraphs.next().unwrap_or_default();
    let failure = Failure::usage(first.strip_prefix("error: ").unwrap_or(&first));
    let kept = paragraphs.filter(|text| text.starts_with("tip: ") || text.starts_with("Usage: "));
    let mut advice: Vec<_> = kept.map(|text| text.replacen("tip: ", "", 1).replacen("Usage: ", "use ", 1)).collect();
    advice.push("`--help` tells more".to_owned());
    failure.hint(advice.join("; "))
}

fn context(json: bool) -> Result<Context, Failure> {
    let env = Env::read();
    let paths = Paths::of(&env).map_err(|error| Failure::usage(error).hint("set HOME, or CLONE_HOME to a folder"))?;
    Ok(Context { env, paths, json })
}

fn run(context: &Context, verb: Verb) -> Result<u8, Failure> {
    match verb {
        Verb::Daemon => daemon::run(context),
        Verb::Status => look::status(context),
        Verb::Doctor => look::doctor(context),
        Verb::Import(arguments) => import::run(context, arguments),
        Verb::Source(arguments) => source::run(context, &arguments),
        Verb::Hook(arguments) => hook::run(context, arguments),
        Verb::Ingest(arguments) => ingest::run(context, &arguments),
        Verb::Predict(arguments) => ask::predict(context, &arguments),
        Verb::Continue(arguments) => ask::go_on(context, &arguments),
        Verb::Feedback(arguments) => ask::feedback(context, &arguments),
        Verb::Wrong(arguments) => ask::wrong(context, &arguments),
        Verb::Why(arguments) => why::run(context, &arguments),
        Verb::Memory(arguments) => memory::run(context, &arguments),
        Verb::Forget(arguments) => forget::run(context, &arguments),
        Verb::Context(arguments) => memory::context(context, &arguments),
        Verb::Keys(arguments) => keys::run(context, &arguments),
        Verb::Path(arguments) => look::path(context, &arguments),
        Verb::Auto(arguments) => auto::auto(context, &arguments),
        Verb::Mute(arguments) => auto::mute(context, &arguments),
        Verb::Log(arguments) => log::run(context, &arguments),
        Verb::Backtest(arguments) => backtest::run(context, &arguments),
        Verb::Bench(arguments) => bench::run(context, &arguments),
        Verb::BenchMemory(arguments) => bench::memory(&arguments),
        Verb::Mcp => daemon::mcp(context),
        Verb::Demo(arguments) => demo::run(context, arguments),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_command_line_is_one_error_and_one_hint() {
        for (line, error, hint) in [
            (
                "why",
                "the following required arguments were not provided: <ID>",
                "use clone why <ID>; `--help` tells more",
            ),
            (
                "auto maybe",
                "invalid value 'maybe' for '[SETTING]' [possible values: on, off, status]",
                "`--help` tells more",
            ),
            ("predcit", "unrecognized subcommand 'predcit'", "a similar subcommand exists: 'predict'; use clone"),
            ("predict -k 11 hi", "invalid value '11' for '--k <K>': 11 is not in 1..=10", "`--help` tells more"),
        ] {
            let arguments = std::iter::once("clone").chain(line.split(' '));
            let Err(refused) = Arguments::try_parse_from(arguments) else { panic!("{line}") };
            let failure = usage(&refused.to_string());
            assert_eq!((failure.message.as_str(), failure.code), (error, exit::USAGE));
            assert!(failure.hint.as_deref().is_some_and(|told| told.starts_with(hint)), "{failure:?}");
        }
    }
}
