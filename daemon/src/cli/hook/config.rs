//! Where each agent and shell keeps its hooks, and which it has.

use std::path::PathBuf;

use super::super::Context;
use crate::failure::Failure;
use crate::paths;

/// Everything that can be hooked, one name each.
pub(super) const NAMES: [&str; 6] = ["claude-code", "codex", "gemini", "bash", "zsh", "fish"];

/// Seconds after which an agent gives a hook up; ours ends long before.
const TIMEOUT_SECONDS: u64 = 5;

/// What kind of file holds the hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// JSON with an object `hooks`, a list for each event; and the timeout of each hook, in the agent's own unit.
    Json { events: &'static [Event], timeout: u64 },
    /// A start file of a shell.
    Shell(&'static str),
}

/// An event of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) name: &'static str,
    /// Only for this tool.
    pub(super) tool: Option<&'static str>,
}

const fn event(name: &'static str) -> Event {
    Event { name, tool: None }
}

const CLAUDE_CODE: &[Event] = &[
    event("UserPromptSubmit"),
    event("Stop"),
    Event { name: "PreToolUse", tool: Some("AskUserQuestion") },
    Event { name: "PostToolUse", tool: Some("AskUserQuestion") },
    event("SessionStart"),
    event("SessionEnd"),
];
const CODEX: &[Event] = &[event("UserPromptSubmit"), event("Stop"), event("SessionStart")];
const GEMINI: &[Event] = &[event("BeforeAgent"), event("AfterAgent"), event("SessionStart"), event("SessionEnd")];

/// One file that hooks go into.
pub(super) struct Target {
    /// The name that `hook run` is called with.
    pub(super) name: &'static str,
    pub(super) file: PathBuf,
    pub(super) kind: Kind,
}

impl Target {
    /// The target of this name; `shell` is the person's own.
    pub(super) fn named(context: &Context, name: &str) -> Result<Self, Failure> {
        let shell = context.env.shell.as_deref().and_then(|path| path.rsplit('/').next().map(str::to_owned));
        let wanted = if name == "shell" { shell.unwrap_or_else(|| "bash".to_owned()) } else { name.to_owned() };
        let known = NAMES.into_iter().find(|known| *known == wanted);
        let known = known.ok_or_else(|| {
            Failure::usage(format!("there is no hook for `{wanted}`")).hint(format!("try {}", NAMES.join(", ")))
        })?;
        let kind = match known {
            "claude-code" => Kind::Json { events: CLAUDE_CODE, timeout: TIMEOUT_SECONDS },
            "codex" => Kind::Json { events: CODEX, timeout: TIMEOUT_SECONDS },
            // It counts in milliseconds; five of them would be over before a process has begun.
            "gemini" => Kind::Json { events: GEMINI, timeout: TIMEOUT_SECONDS * 1000 },
            shell => Kind::Shell(shell),
        };
        let file = paths::hooked(&context.env, known).ok_or_else(|| Failure::usage("`HOME` is not set"))?;
        Ok(Self { name: known, file, kind })
    }
}
