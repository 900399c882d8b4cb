//! Who made a record of the role `user`, for most of them nobody typed.
//!
//! Pure: what the record says goes in, the verdict comes out. The order of the rules is the contract: what a record is,
//! then what the tool says about its origin, then its text. Prefixes, never substrings: people quote these tags in the
//! middle of real prompts.
//! Source: the session format of Claude Code, versions 2.0 to 2.1.

/// What a user record says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::sources) struct Said<'a> {
    pub(in crate::sources) sidechain: bool,
    pub(in crate::sources) meta: bool,
    pub(in crate::sources) compact_summary: bool,
    pub(in crate::sources) tool_result: bool,
    /// A tool made the record.
    pub(in crate::sources) by_tool: bool,
    pub(in crate::sources) origin_kind: Option<&'a str>,
    pub(in crate::sources) prompt_source: Option<&'a str>,
    pub(in crate::sources) entrypoint: Option<&'a str>,
    /// The text blocks, in order.
    pub(in crate::sources) texts: &'a [String],
}

/// What a user record is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sources) enum Act {
    /// The person typed it.
    Prompt(String),
    /// A slash command, as it was typed.
    Command(String),
    /// A shell command, typed after `!`.
    Shell(String),
    /// The person stopped the agent.
    Interrupt,
    /// It went into the agent after a human act, but nobody typed these words.
    Scripted(String),
    /// Not an act of the person, and why not.
    Nothing(&'static str),
}

/// How the note of an interrupt begins.
pub(super) const INTERRUPT: &str = "[Request interrupted by user";

/// Texts that a tool puts in the place of a prompt, by how they begin.
const INJECTED: &[(&str, &str)] = &[
    ("<command-args>", "injected: command"),
    ("<local-command-", "injected: command output"),
    ("Caveat: The messages below", "injected: command output"),
    ("<bash-stdout>", "injected: command output"),
    ("<bash-stderr>", "injected: command output"),
    ("<task-notification>", "injected: task notification"),
    ("<teammate-message", "injected: teammate message"),
    ("<user-prompt-submit-hook>", "injected: hook"),
    ("Stop hook feedback:", "injected: hook"),
    ("<ide_opened_file>", "injected: editor context"),
    ("<ide_selection>", "injected: editor context"),
    ("This session is being continued from a previous conversation", "compaction summary"),
    ("[SUGGESTION MODE:", "injected: suggestion request"),
    ("<TEXTBLOCK>", "injected: template"),
];

/// Texts that a tool sends after a human act.
const SCRIPTED: &[&str] = &["Implement the following plan:", "Continue from where you left off."];

/// Decides who made a user record.
pub(in crate::sources) fn act(said: &Said<'_>) -> Act {
    if let Some(reason) = outright(said) {
        return Act::Nothing(reason);
    }
    let text = own_text(said.texts);
    if text.starts_with(INTERRUPT) {
        return Act::Interrupt;
    }
    let stated = match stated(said) {
        Err(reason) => return Act::Nothing(reason),
        Ok(None) if said.entrypoint.is_some_and(is_driven) => return Act::Nothing("machine-driven"),
        Ok(stated) => stated,
    };
    if text.starts_with("<command-name>") || text.starts_with("<command-message>") {
        return command(&text);
    }
    if let Some(typed) = text.strip_prefix("<bash-input>") {
        return filled(typed.split("</bash-input>").next().unwrap_or_default(), Act::Shell);
    }
    match stated {
        Some(Stated::Human) => filled(&text, Act::Prompt),
        Some(Stated::Suggestion) => filled(&text, Act::Scripted),
        None => by_text(&text),
    }
}

/// Whether a program started the session: where nothing is said about who wrote a prompt in it, that program did.
pub(super) fn is_driven(entrypoint: &str) -> bool {
    entrypoint.starts_with("sdk")
}

/// What the record is, whoever wrote it.
fn outright(said: &Said<'_>) -> Option<&'static str> {
    let rules = [
        (said.sidechain, "sub-agent"),
        (said.compact_summary, "compaction summary"),
        (said.tool_result, "tool result"),
        (said.by_tool, "made by a tool"),
        (said.meta, "meta"),
    ];
    rules.iter().find(|(holds, _)| *holds).map(|(_, reason)| *reason)
}

enum Stated {
    Human,
    /// The tool's own next-prompt suggestion, taken: a human act in words that nobody typed.
    Suggestion,
}

/// What the tool says about the origin, where it says anything.
fn stated(said: &Said<'_>) -> Result<Option<Stated>, &'static str> {
    match (said.origin_kind, said.prompt_source) {
        (Some("human"), Some("suggestion_accepted")) => Ok(Some(Stated::Suggestion)),
        (Some("human"), _) => Ok(Some(Stated::Human)),
        (Some(_), _) => Err("origin is not human"),
        (None, Some("typed" | "queued")) => Ok(Some(Stated::Human)),
        (None, Some("suggestion_accepted")) => Ok(Some(Stated::Suggestion)),
        (None, Some("system" | "sdk")) => Err("prompt source is not human"),
        (None, Some(_)) => Err("prompt source is unknown"),
        (None, None) => Ok(None),
    }
}

/// Older records say nothing: the text decides.
fn by_text(text: &str) -> Act {
    let text = without_reminders(text);
    let text = text.trim();
    if text == "Warmup" {
        return Act::Nothing("injected: warm-up");
    }
    if let Some((_, reason)) = INJECTED.iter().find(|(prefix, _)| text.starts_with(prefix)) {
        return Act::Nothing(reason);
    }
    if SCRIPTED.iter().any(|prefix| text.starts_with(prefix)) {
        return Act::Scripted(text.to_owned());
    }
    filled(text, Act::Prompt)
}

fn filled(text: &str, act: fn(String) -> Act) -> Act {
    match text.trim() {
        "" => Act::Nothing("no text"),
        text => act(text.to_owned()),
    }
}

/// A slash command as the person typed it; one without the slash was run by the agent.
fn command(text: &str) -> Act {
    let name = inside(text, "command-name").unwrap_or_default().trim();
    if !name.starts_with('/') {
        return Act::Nothing("injected: command");
    }
    let args = inside(text, "command-args").unwrap_or_default().trim();
    Act::Command(format!("{name} {args}").trim_end().to_owned())
}

fn inside<'a>(text: &'a str, tag: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{tag}>"))?;
    rest.split_once(&format!("</{tag}>")).map(|(inside, _)| inside)
}

/// The texts without the blocks that an editor or the tool added as blocks of their own.
fn own_text(texts: &[String]) -> String {
    let own = texts.iter().map(|text| text.trim()).filter(|text| !text.is_empty());
    if texts.len() == 1 {
        return own.collect();
    }
    let wholly = |text: &str, tag: &str| text.starts_with(&format!("<{tag}>")) && text.ends_with(&format!("</{tag}>"));
    let added =
        |text: &str| ["ide_opened_file", "ide_selection", "system-reminder"].iter().any(|tag| wholly(text, tag));
    own.filter(|text| !added(text)).collect::<Vec<_>>().join("\n")
}

/// A text without its whole `<system-reminder>` blocks; one that is never closed stays.
fn without_reminders(text: &str) -> String {
    let (mut kept, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, after)) = rest.split_once("<system-reminder>") {
        let Some((_, after)) = after.split_once("</system-reminder>") else { break };
        kept.push_str(before);
        rest = after;
    }
    kept.push_str(rest);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(text: &str) -> Act {
        act(&Said { texts: &[text.to_owned()], ..Said::default() })
    }

    fn prompt(text: &str) -> Act {
        Act::Prompt(text.to_owned())
    }

    #[test]
    fn what_old_records_say_by_their_text() {
        let no = Act::Nothing;
        let table = [
            ("fix the test", prompt("fix the test")),
            ("  fix it \n", prompt("fix it")),
            ("", no("no text")),
            (" \n ", no("no text")),
            ("yes", prompt("yes")),
            ("8", prompt("8")),
            ("はい、お願いします", prompt("はい、お願いします")),
            ("why does <command-name> show up?", prompt("why does <command-name> show up?")),
            ("it said [Request interrupted by user]", prompt("it said [Request interrupted by user]")),
            ("Warmup the cache please", prompt("Warmup the cache please")),
            ("Warmup", no("injected: warm-up")),
            (
                "<command-name>/clear</command-name>\n  <command-message>clear</command-message>",
                Act::Command("/clear".into()),
            ),
            (
                "<command-message>x</command-message>\n<command-name>/x</command-name>\n<command-args>a b</command-args>",
                Act::Command("/x a b".into()),
            ),
            ("<command-message>pdf</command-message><command-name>pdf</command-name>", no("injected: command")),
            ("<command-name>broken", no("injected: command")),
            ("<command-args>a</command-args>", no("injected: command")),
            ("<bash-input>ls -la</bash-input>", Act::Shell("ls -la".into())),
            ("<bash-input></bash-input>", no("no text")),
            ("<bash-stdout>a</bash-stdout><bash-stderr></bash-stderr>", no("injected: command output")),
            ("<bash-stderr>a</bash-stderr>", no("injected: command output")),
            ("<local-command-stdout></local-command-stdout>", no("injected: command output")),
            ("<local-command-stderr>a</local-command-stderr>", no("injected: command output")),
            ("<local-command-caveat>Caveat: a</local-command-caveat>", no("injected: command output")),
            ("Caveat: The messages below were generated", no("injected: command output")),
            ("Caveat: the build is slow", prompt("Caveat: the build is slow")),
            ("<task-notification>\n<task-id>1</task-id>", no("injected: task notification")),
            ("<teammate-message>hi</teammate-message>", no("injected: teammate message")),
            ("<teammate-message teammate_id=\"a\">hi</teammate-message>", no("injected: teammate message")),
            ("<user-prompt-submit-hook>a</user-prompt-submit-hook>", no("injected: hook")),
            ("Stop hook feedback:\n- go on", no("injected: hook")),
            ("<ide_opened_file>a</ide_opened_file>", no("injected: editor context")),
            ("<ide_selection>a</ide_selection>", no("injected: editor context")),
            ("This session is being continued from a previous conversation that", no("compaction summary")),
            ("[SUGGESTION MODE: Suggest what", no("injected: suggestion request")),
            ("<TEXTBLOCK>a", no("injected: template")),
            ("[Request interrupted by user]", Act::Interrupt),
            ("[Request interrupted by user for tool use]", Act::Interrupt),
            ("<system-reminder>a</system-reminder>", no("no text")),
            ("<system-reminder>a</system-reminder>\ngo on", prompt("go on")),
            ("go<system-reminder>a</system-reminder> on", prompt("go on")),
            ("<system-reminder>a</system-reminder>Stop hook feedback: b", no("injected: hook")),
            ("<system-reminder>never closed", prompt("<system-reminder>never closed")),
            ("Implement the following plan:\n# A", Act::Scripted("Implement the following plan:\n# A".into())),
            ("Continue from where you left off.", Act::Scripted("Continue from where you left off.".into())),
        ];
        for (text, expected) in table {
            assert_eq!(verdict(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_the_record_and_the_tool_say_comes_before_the_text() {
        let texts = ["go on".to_owned()];
        let base = Said { texts: &texts, ..Said::default() };
        let yes = prompt("go on");
        let scripted = Act::Scripted("go on".into());
        let no = Act::Nothing;
        let table = [
            (base.clone(), yes.clone()),
            (Said { sidechain: true, origin_kind: Some("human"), ..base.clone() }, no("sub-agent")),
            (Said { meta: true, prompt_source: Some("typed"), ..base.clone() }, no("meta")),
            (Said { compact_summary: true, ..base.clone() }, no("compaction summary")),
            (Said { tool_result: true, ..base.clone() }, no("tool result")),
            (Said { by_tool: true, ..base.clone() }, no("made by a tool")),
            (Said { origin_kind: Some("human"), ..base.clone() }, yes.clone()),
            (Said { origin_kind: Some("human"), prompt_source: Some("sdk"), ..base.clone() }, yes.clone()),
            (
                Said { origin_kind: Some("human"), prompt_source: Some("suggestion_accepted"), ..base.clone() },
                scripted.clone(),
            ),
            (
                Said { origin_kind: Some("task"), prompt_source: Some("typed"), ..base.clone() },
                no("origin is not human"),
            ),
            (Said { prompt_source: Some("typed"), ..base.clone() }, yes.clone()),
            (Said { prompt_source: Some("typed"), entrypoint: Some("sdk-cli"), ..base.clone() }, yes.clone()),
            (Said { prompt_source: Some("queued"), ..base.clone() }, yes.clone()),
            (Said { prompt_source: Some("suggestion_accepted"), ..base.clone() }, scripted),
            (Said { prompt_source: Some("system"), ..base.clone() }, no("prompt source is not human")),
            (Said { prompt_source: Some("sdk"), ..base.clone() }, no("prompt source is not human")),
            (Said { prompt_source: Some("oracle"), ..base.clone() }, no("prompt source is unknown")),
            (Said { entrypoint: Some("cli"), ..base.clone() }, yes),
            (Said { entrypoint: Some("sdk-cli"), ..base }, no("machine-driven")),
        ];
        for (said, expected) in table {
            assert_eq!(act(&said), expected, "{said:?}");
        }
        for text in ["<command-name>/review</command-name>", "<bash-input>ls</bash-input>"] {
            let texts = [text.to_owned()];
            let driven = Said { entrypoint: Some("sdk-ts"), texts: &texts, ..Said::default() };
            assert_eq!(act(&driven), no("machine-driven"), "{text}");
            assert_ne!(act(&Said { prompt_source: Some("typed"), ..driven }), no("machine-driven"), "{text}");
        }
        // Where the tool says that a human typed it, even an injected-looking text is theirs.
        let texts = ["Stop hook feedback: what is that?".to_owned()];
        let said = Said { prompt_source: Some("typed"), texts: &texts, ..Said::default() };
        assert_eq!(act(&said), prompt("Stop hook feedback: what is that?"));
    }

    #[test]
    fn blocks_that_an_editor_added_are_left_out() {
        let table: &[(&[&str], Act)] = &[
            (&["<ide_opened_file>a</ide_opened_file>", "go on"], prompt("go on")),
            (
                &["<ide_selection>a</ide_selection>", "<system-reminder>b</system-reminder>", "go", "on"],
                prompt("go\non"),
            ),
            (&["<ide_selection>a</ide_selection> quoted", "go"], Act::Nothing("injected: editor context")),
            (&[], Act::Nothing("no text")),
        ];
        for (texts, expected) in table {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            assert_eq!(act(&Said { texts: &texts, ..Said::default() }), *expected, "{texts:?}");
        }
    }
}
