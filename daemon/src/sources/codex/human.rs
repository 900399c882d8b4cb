//! Who made a text of the role `user`: the tool sends much of its own under it.
//!
//! Pure. Prefixes, never substrings: people quote these in the middle of real prompts.

/// What a text is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// The person typed it.
    Prompt(String),
    /// A shell command that the person ran after `!`.
    Shell { command: String, exit_code: Option<i64> },
    /// Not an act of the person, and why not.
    Nothing(&'static str),
}

/// Texts that the tool makes, by how they begin.
const INJECTED: &[(&str, &str)] = &[
    ("# AGENTS.md instructions", "injected: instructions"),
    ("<user_instructions>", "injected: instructions"),
    ("<INSTRUCTIONS>", "injected: instructions"),
    ("<permissions instructions>", "injected: instructions"),
    ("<personality_spec>", "injected: instructions"),
    ("<collaboration_mode>", "injected: instructions"),
    ("<model_switch>", "injected: instructions"),
    ("<skills_instructions>", "injected: instructions"),
    ("<apps_instructions>", "injected: instructions"),
    ("<plugins_instructions>", "injected: instructions"),
    ("<environment_context>", "injected: context"),
    ("<additional_context>", "injected: context"),
    ("<internal_context>", "injected: context"),
    ("<token_budget>", "injected: context"),
    ("<recommended_plugins>", "injected: context"),
    ("<skill>", "injected: skill"),
    ("<turn_aborted>", "injected: note of an interrupt"),
    ("<subagent_notification>", "injected: task notification"),
    ("<next_prompt_suggestion>", "injected: suggestion request"),
    ("<hook_prompt", "injected: hook"),
    ("Warning: The maximum number of unified exec processes", "injected: warning"),
    ("Warning: apply_patch was requested via ", "injected: warning"),
    ("Warning: Your account was flagged ", "injected: warning"),
    ("Another language model started to solve this problem", "compaction summary"),
    ("<proposed_plan>", "injected: plan"),
];
/// How a shell command that the person ran begins.
pub(super) const SHELL: &str = "<user_shell_command>";
/// Where an editor's extension puts what the person typed, behind what it adds itself.
const REQUEST: &str = "## My request for Codex:";
const EDITOR: &[&str] = &["# Context from my IDE setup:", "# Files mentioned by the user:"];

/// Decides who made a text.
pub(super) fn act(text: &str) -> Act {
    let text = text.trim();
    if let Some(run) = text.strip_prefix(SHELL) {
        return shell(run);
    }
    if let Some((_, reason)) = INJECTED.iter().find(|(prefix, _)| text.starts_with(prefix)) {
        return Act::Nothing(reason);
    }
    let typed = if EDITOR.iter().any(|prefix| text.starts_with(prefix)) {
        text.split_once(REQUEST).map_or("", |(_, typed)| typed)
    } else {
        text
    };
    match typed.trim() {
        "" => Act::Nothing("no text"),
        typed => Act::Prompt(typed.to_owned()),
    }
}

fn shell(run: &str) -> Act {
    let Some(command) = inside(run, "command").filter(|command| !command.is_empty()) else {
        return Act::Nothing("no text");
    };
    let result = inside(run, "result").unwrap_or_default();
    let exit_code = result.lines().find_map(|line| line.strip_prefix("Exit code: ")?.trim().parse().ok());
    Act::Shell { command: command.to_owned(), exit_code }
}

fn inside<'a>(text: &'a str, tag: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{tag}>"))?;
    rest.split_once(&format!("</{tag}>")).map(|(inside, _)| inside.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_text_is_by_how_it_begins() {
        let prompt = |text: &str| Act::Prompt(text.to_owned());
        let no = Act::Nothing;
        let table = [
            ("fix the test", prompt("fix the test")),
            (" go on\n", prompt("go on")),
            ("", no("no text")),
            ("what is <environment_context> for?", prompt("what is <environment_context> for?")),
            ("# AGENTS.md instructions for /w\n\n<INSTRUCTIONS>", no("injected: instructions")),
            ("# AGENTS.md is too long, shorten it", prompt("# AGENTS.md is too long, shorten it")),
            ("<environment_context>\n  <cwd>/w</cwd>", no("injected: context")),
            ("<turn_aborted>\nThe user interrupted", no("injected: note of an interrupt")),
            ("<subagent_notification>{}", no("injected: task notification")),
            ("# Context from my IDE setup:\n## Open tabs:\n- a\n\n## My request for Codex:\ngo on\n", prompt("go on")),
            ("# Context from my IDE setup:\n## Open tabs:", no("no text")),
            (
                "<user_shell_command>\n<command>\nls -la\n</command>\n<result>\nExit code: 2\nDuration: 0.1 seconds\n",
                Act::Shell { command: "ls -la".into(), exit_code: None },
            ),
            (
                "<user_shell_command>\n<command>\nls\n</command>\n<result>\nExit code: 2\nOutput:\n</result>\n",
                Act::Shell { command: "ls".into(), exit_code: Some(2) },
            ),
            ("<user_shell_command></user_shell_command>", no("no text")),
        ];
        for (text, expected) in table {
            assert_eq!(act(text), expected, "{text:?}");
        }
    }
}
