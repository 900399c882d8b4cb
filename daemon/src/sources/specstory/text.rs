//! What of a message the person typed, and what of an answer the agent said.
//!
//! Pure. Editors wrap a prompt in what they know (open files, rules, the date); agents' answers carry their tools' output.
//! Both are taken off; what is left is never edited.

use clone_schema::Origin;

use crate::sources::claude_code::human::{self, Act, Said};

/// What a user's message is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// Words that went into the agent; the origin says whether the person typed them.
    Prompt { text: String, origin: Origin, command: bool },
    /// A button under a question, which the export writes as if it were typed.
    Button { label: String, question: String },
    /// The person stopped the agent.
    Interrupt,
    /// Not an act of the person.
    Nothing(&'static str),
}

/// Elements in which an editor puts what was typed.
const ASKED: &[&str] = &["user_query", "userRequest"];
/// Elements that an editor adds around it.
const ADDED: &[&str] = &[
    "INSTRUCTIONS",
    "additional_data",
    "attached_files",
    "attachment",
    "attachments",
    "context",
    "current_file",
    "editorContext",
    "environment_context",
    "environment_info",
    "hook_context",
    "ide_opened_file",
    "ide_selection",
    "manually_attached_skills",
    "open_and_recently_viewed_files",
    "permissions instructions",
    "project_layout",
    "reminderInstructions",
    "repoContext",
    "rules",
    "session_context",
    "skill",
    "subagent_notification",
    "system-reminder",
    "system_reminder",
    "turn_aborted",
    "user_info",
    "user_instructions",
    "user_rules",
    "user_shell_command",
    "workspace_info",
];
/// Lines after which Codex's editor extension puts what was typed.
const REQUESTS: &[&str] = &["## My request for Codex:"];
/// The line after which Gemini puts the files that were named.
const REFERENCED: &str = "\n--- Content from referenced files ---";

/// Reads a user's message.
pub(super) fn of_user(text: &str) -> Typed {
    let text = without_rule(text);
    let asked = match ASKED.iter().find_map(|tag| inside(text, tag)) {
        Some(asked) => asked,
        None => REQUESTS.iter().find_map(|line| text.split_once(line)).map_or(text, |(_, asked)| asked),
    };
    let asked = asked.find(REFERENCED).map_or(asked, |end| &asked[..end]);
    let asked = without_added(asked.trim());
    if asked.starts_with("# AGENTS.md instructions for") {
        return Typed::Nothing("injected: editor context");
    }
    if let Some((label, question)) = button(asked) {
        return Typed::Button { label, question };
    }
    match human::act(&Said { texts: &[asked.to_owned()], ..Said::default() }) {
        Act::Prompt(text) => Typed::Prompt { text, origin: Origin::Typed, command: false },
        Act::Command(text) | Act::Shell(text) => Typed::Prompt { text, origin: Origin::Typed, command: true },
        Act::Scripted(text) => Typed::Prompt { text, origin: Origin::Unknown, command: false },
        Act::Interrupt => Typed::Interrupt,
        Act::Nothing(reason) => Typed::Nothing(reason),
    }
}

/// Reads an agent's message; none where it said nothing.
pub(super) fn of_agent(text: &str) -> Option<String> {
    let said = without_tools(without_rule(text));
    let said = said.trim();
    let empty = said.is_empty() || said.starts_with("Tool use: **") || is_exporters(said);
    (!empty).then(|| said.to_owned())
}

/// A note of the exporter's own.
fn is_exporters(said: &str) -> bool {
    said.starts_with("Resumed from a ") && said.ends_with(" session via SpecStory.")
}

/// A message without the `---` that divides it from the next, and without space around it.
fn without_rule(text: &str) -> &str {
    let text = text.trim();
    match text.strip_suffix("---") {
        Some(before) if before.is_empty() || before.ends_with('\n') => before.trim_end(),
        _ => text,
    }
}

fn inside<'a>(text: &'a str, tag: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{tag}>"))?;
    rest.rsplit_once(&format!("</{tag}>")).map(|(inside, _)| inside)
}

/// Takes the elements that an editor adds off both ends; in the middle they are quoted and stay.
fn without_added(mut text: &str) -> &str {
    'again: loop {
        text = text.trim();
        for tag in ADDED {
            let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
            if let Some((_, rest)) = text.strip_prefix(&open).and_then(|rest| rest.split_once(&close)) {
                text = rest;
                continue 'again;
            }
            let before = text.strip_suffix(&close).and_then(|inner| inner.rsplit_once(&open));
            if let Some((before, _)) = before.filter(|(before, _)| before.is_empty() || before.ends_with('\n')) {
                text = before;
                continue 'again;
            }
        }
        return text;
    }
}

/// Copilot writes a button as `@agent Continue: "Continue to iterate?"`.
fn button(text: &str) -> Option<(String, String)> {
    let (label, question) = text.strip_prefix("@agent ")?.split_once(": \"")?;
    let question = question.strip_suffix('"')?;
    let short = !label.is_empty() && label.len() <= 40 && !text.contains('\n');
    short.then(|| (label.to_owned(), question.to_owned()))
}

/// An answer without thoughts, tools and folded output. Inside a code fence such tags are the answer's own.
fn without_tools(text: &str) -> String {
    const FOLDED: [(&str, &str); 3] =
        [("<think>", "</think>"), ("<tool-use", "</tool-use>"), ("<details>", "</details>")];
    let (mut kept, mut folded, mut fenced) = (String::with_capacity(text.len()), None, false);
    for line in text.lines() {
        let start = line.trim_start();
        if folded.is_none() && !fenced {
            folded = FOLDED.iter().find(|(open, _)| start.starts_with(open)).map(|(_, close)| *close);
        }
        match folded {
            Some(close) if line.contains(close) => folded = None,
            Some(_) => {}
            None => {
                fenced ^= start.starts_with("```") || start.starts_with("~~~");
                kept.push_str(line);
                kept.push('\n');
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_typed() {
        let typed = |text: &str| Typed::Prompt { text: text.into(), origin: Origin::Typed, command: false };
        let table = [
            ("\ngo on\n\n---\n\n", typed("go on")),
            ("a\n---\nb", typed("a\n---\nb")),
            ("a---", typed("a---")),
            ("---", Typed::Nothing("no text")),
            ("<user_query>\ngo on\n</user_query>", typed("go on")),
            ("<additional_data>x</additional_data>\n<user_query>go</user_query>", typed("go")),
            ("<context>\ndate\n</context>\n<userRequest>\ngo\n</userRequest>", typed("go")),
            ("# Context from my IDE setup:\n\n## Open tabs:\n- a\n\n## My request for Codex:\ngo", typed("go")),
            (
                "# AGENTS.md instructions for /w\n\n<INSTRUCTIONS>x</INSTRUCTIONS>",
                Typed::Nothing("injected: editor context"),
            ),
            ("<environment_context>\n<cwd>/w</cwd>\n</environment_context>", Typed::Nothing("no text")),
            ("<rules>a</rules>\ngo\n<attachments>b</attachments>", typed("go")),
            ("what does <rules>a</rules> mean?", typed("what does <rules>a</rules> mean?")),
            ("look at @a.md\n--- Content from referenced files ---\nContent", typed("look at @a.md")),
            ("<system-reminder>a</system-reminder>", Typed::Nothing("no text")),
            ("[Request interrupted by user]", Typed::Interrupt),
            ("@agent Continue: \"Go on?\"", Typed::Button { label: "Continue".into(), question: "Go on?".into() }),
            ("@agent fix it", typed("@agent fix it")),
            (
                "<command-name>/x</command-name>",
                Typed::Prompt { text: "/x".into(), origin: Origin::Typed, command: true },
            ),
        ];
        for (text, expected) in table {
            assert_eq!(of_user(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_an_agent_said() {
        let table = [
            ("\nDone.\n\n---\n\n", Some("Done.")),
            ("<think><details><summary>T</summary>\na\n</details></think>\n", None),
            ("<think>a</think>\nDone.", Some("Done.")),
            ("A\n<tool-use data-x=\"y\"><details>\nraw\n</details></tool-use>\nB", Some("A\nB")),
            ("<details><summary>Edit</summary>\nx\n</details>\n", None),
            ("```html\n<details>\nx\n</details>\n```", Some("```html\n<details>\nx\n</details>\n```")),
            ("Tool use: **exec** `ls`\n\n```\na\n```", None),
            ("Resumed from a Codex CLI session via SpecStory.", None),
            ("Never <details>closed\n", Some("Never <details>closed")),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(of_agent(text).as_deref(), expected, "{text:?}");
        }
    }
}
