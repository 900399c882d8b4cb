//! `demo`: what a newcomer sees first, on a synthetic history in a home of its own.

use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use clap::Args;
use serde_json::{Value, json};

use super::{Context, ask, import, print, why};
use crate::failure::Failure;
use crate::paths::Paths;

/// What the agent says in the three questions of the demo.
const QUESTIONS: [&str; 3] = [
    "All 48 tests pass and clippy is clean. What next?",
    "Here is the plan: first the parser, then the importer, then the docs. Shall I go ahead?",
    "I finished the change to the importer but have not run the test suite yet.",
];

/// `clone demo`
#[derive(Args)]
pub struct Demo {
    /// A folder of Claude Code transcripts
    sample: PathBuf,
}

/// Starts a daemon in a demo home, imports, and shows facts, episodes and predictions with their receipts.
///
/// On a terminal the daemon then stays until Ctrl-C; elsewhere it ends with the demo, so that nothing is left running.
///
/// # Errors
///
/// The demo home cannot be used or the daemon does not start.
pub fn run(context: &Context, arguments: Demo) -> Result<u8, Failure> {
    let home = home(context)?;
    let demo = Context { env: context.env.clone(), paths: Paths::under(&home), json: false };
    let mut daemon = Daemon::start(&home)?;
    print::line(format!("a demo home: {}", home.display()));
    title("1. import a history");
    import::of(&demo, "claude-code", vec![arguments.sample])?;
    if let Some(real) = real_history(context)
        && agreed(&format!("import your own history from {} too? [y/N] ", real.display()))
    {
        import::of(&demo, "claude-code", vec![real])?;
    }
    show(&demo)?;
    next(&home);
    if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        print::note("the demo daemon runs until Ctrl-C");
        daemon.wait();
    }
    Ok(0)
}

fn show(demo: &Context) -> Result<(), Failure> {
    let client = demo.client()?;
    title("2. what it learned (facts)");
    let facts = client.blocking("facts_list", None, &[("limit", "8".to_owned())], None)?;
    for fact in rows(&facts) {
        print::line(format!("  {:<9}  {}", text(fact, "tier"), print::cut(&text(fact, "text"), 100)));
    }
    title("3. what happened (episodes)");
    let episodes = client.blocking("episodes_list", None, &[("limit", "5".to_owned())], None)?;
    for episode in rows(&episodes) {
        let started = text(episode, "started_at");
        let day = started.get(..10).unwrap_or_default().to_owned();
        print::line(format!("  {day}  {}", print::cut(&text(episode, "title"), 90)));
    }
    title("4. what you would reply, and why");
    for question in QUESTIONS {
        print::line(format!("agent: {question}"));
        let body = json!({"agent": "Claude Code", "agent_input": question, "k": 3});
        let answer = client.blocking("predict", None, &[], Some(&body))?;
        ask::show(&answer);
        let receipts = client.blocking("why", Some(&text(&answer, "id")), &[], None)?;
        why::show(&shortened(receipts));
        print::line("");
    }
    Ok(())
}

/// Receipts with two events, which is enough to see what they are.
fn shortened(mut receipts: Value) -> Value {
    if let Some(events) = receipts["events"].as_array_mut() {
        events.truncate(2);
    }
    receipts
}

fn next(home: &Path) {
    title("5. what to type next");
    let clone = std::env::current_exe().map_or_else(|_| "clone".to_owned(), |path| path.display().to_string());
    print::line(format!("  export CLONE_HOME={}", home.display()));
    let steps = [
        (format!("{clone} daemon &"), "the demo's daemon again"),
        (format!("{clone} memory search \"tests\""), "find what was said"),
        (format!("{clone} predict \"Done. Anything else?\""), "ask for a prediction"),
        (format!("ls {}/vault", home.display()), "read, edit, delete with any editor"),
    ];
    let width = steps.iter().map(|(step, _)| step.chars().count()).max().unwrap_or_default();
    for (step, meaning) in steps {
        print::line(format!("  {step:<width$}  # {meaning}"));
    }
    print::line(
        "and for your own life, without CLONE_HOME:  clone daemon;  clone import claude-code ~/.claude/projects",
    );
}

/// The demo's home: short, because a socket path has room for a hundred bytes only.
fn home(context: &Context) -> Result<PathBuf, Failure> {
    if let Some(home) = &context.env.clone_home {
        return Ok(home.clone());
    }
    let base = context.env.home.clone().ok_or_else(|| Failure::usage("`HOME` is not set"))?;
    Ok(base.join(".cache/clone-demo"))
}

fn real_history(context: &Context) -> Option<PathBuf> {
    let standard = || context.env.home.as_ref().map(|home| home.join(".claude"));
    let projects = context.env.claude_config.clone().or_else(standard)?.join("projects");
    projects.is_dir().then_some(projects)
}

/// Asks; anything but yes, and anybody but a person at a terminal, means no.
pub(super) fn agreed(question: &str) -> bool {
    if !std::io::stdin().is_terminal() {
        return false;
    }
    let mut err = std::io::stderr();
    let _gone = write!(err, "{question}").and_then(|()| err.flush());
    let mut answer = String::new();
    let _gone = std::io::stdin().lock().read_line(&mut answer);
    matches!(answer.trim(), "y" | "Y" | "yes")
}

fn title(text: &str) {
    print::line(format!("\n== {text}"));
}

fn rows(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

/// The demo's daemon; ended with the demo.
struct Daemon {
    child: Child,
}

impl Daemon {
    fn start(home: &Path) -> Result<Self, Failure> {
        let binary = std::env::current_exe().map_err(Failure::new)?;
        let mut command = Command::new(binary);
        command.arg("daemon").env("CLONE_HOME", home).env_remove("CLONE_DAEMON_PORT");
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().map_err(Failure::new)?;
        let stderr = child.stderr.take().ok_or_else(|| Failure::new("the daemon has no messages"))?;
        let mut told = String::new();
        let mut lines = BufReader::new(stderr);
        loop {
            let mut line = String::new();
            if lines.read_line(&mut line).map_err(Failure::new)? == 0 {
                return Err(Failure::new(format!("the demo daemon did not start: {}", told.trim())));
            }
            if line.contains("ready") {
                break;
            }
            told.push_str(&line);
        }
        // Somebody must read the rest, or a full pipe would stop the daemon.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        Ok(Self { child })
    }

    fn wait(&mut self) {
        let _ended = self.child.wait();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            let _sent = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ended = self.child.wait();
    }
}
