//! Things that people want or do not want of agents in many words: `type hints on args`, `no untyped code, type hints are a must`.
//!
//! Two wishes about the same of them, both for it or both against it, are one. Only what leaves little to say beyond yes or no is
//! listed: comments, tests or commits are wanted in too many ways.

use std::sync::OnceLock;

use clone_schema::id::normal;

use crate::memory::words::Phrases;

/// Each thing, by its names in normal form; the first is the one by which it goes.
#[rustfmt::skip]
const TOPICS: &[&[&str]] = &[
    &["type hints", "type hint", "type annotations", "typehints"], &["docstrings", "docstring", "doc strings"],
    &["emojis", "emoji", "emoticons"], &["force push", "force pushing", "force pushes", "force pushed", "push force", "force with lease"],
    &["small commits", "small commit", "tiny commits", "atomic commits"], &["big commits", "one big commit", "big commit"],
    &["mocks", "mock", "mocking"], &["early returns", "early return", "guard clauses", "return early"],
    &["semicolons", "semicolon"], &["trailing commas", "trailing comma"], &["named exports", "named export"],
    &["default exports", "default export"], &["worktrees", "worktree", "git worktree", "git worktrees"], &["draft prs", "draft pr", "pr as draft", "as a draft", "as draft", "draft pull requests"],
    &["dry runs", "dry run", "dry run mode"], &["sudo"], &["print debugging", "debug prints", "print statements"], &["the any type", "any type", "any types"],
    &["unwrap", "unwraps"], &["global variables", "globals", "global state"], &["magic numbers", "magic number"],
    &["new dependencies", "new dependency", "extra dependencies", "adding dependencies", "third party dependencies"],
    &["bullet points", "bullet point", "bullets", "bullet list", "bullet lists", "bullet style"], &["walls of text", "wall of text"],
    &["feature flags", "feature flag"], &["tdd", "test driven development"], &["tests first", "test first"], &["stack traces", "stack trace", "full stack traces"],
    &["commented out code"], &["todo comments", "todos in code"], &["license headers", "licence headers", "license header", "licence header"],
    &["inline styles", "inline style"], &["orms", "an orm"], &["linear history", "history linear"], &["signed commits", "sign commits"],
    &["jsdoc"], &["console log", "console logs"], &["async await"],
    &["default arguments"], &["nested ifs", "deep nesting", "nested if"], &["one liners", "one liner"], &["abbreviations", "abbreviated names"],
    &["snapshot tests", "snapshot testing"], &["code coverage"], &["strict mode"], &["screenshots", "screenshot"], &["mermaid", "mermaid diagrams"],
    &["ascii diagrams", "ascii art"], &["full suite", "whole suite", "entire suite", "full test suite"], &["changelog entry", "changelog note", "line in the changelog", "update the changelog", "entry in the changelog", "changelog up to date"],
    &["clarifying questions"], &["oxford comma"], &["passive voice"],
];

/// The thing that a text in normal form speaks of, where it is only one.
pub(super) fn topic(text: &str) -> Option<&'static str> {
    let text = normal(text);
    let mut found = topics().find(&text).map(|(_, _, topic)| topic);
    let first = found.next()?;
    found.all(|other| other == first).then_some(first)
}

fn topics() -> &'static Phrases<&'static str> {
    static FOUND: OnceLock<Phrases<&'static str>> = OnceLock::new();
    FOUND.get_or_init(|| Phrases::new(TOPICS.iter().flat_map(|names| names.iter().map(|name| (*name, names[0])))))
}

/// The thing that a sentence speaks of, and whether it is wanted; nothing where that is not plain.
pub(super) fn wanted(sentence: &str) -> Option<(&'static str, bool)> {
    #[rustfmt::skip]
    const DOWN: &[&str] = &[
        "no", "never", "not", "don t", "without", "avoid", "hate", "stop", "skip", "dislike", "zero", "hands off", "off limits", "can t stand",
        "instead of", "than", "over", "drop", "less", "fewer", "isn t", "won t", "against", "nothing", "leave out", "out of", "sick of",
    ];
    let text = normal(sentence);
    let topic = topic(&text)?;
    let at = topics().find(&text).map(|(at, ..)| at).min()?;
    let before: Vec<&str> = text[..at].split(' ').filter(|word| !word.is_empty()).collect();
    let padded = format!(" {text} ");
    if [" unless ", " except ", " but ", " if ", " only when "].iter().any(|mark| padded.contains(mark)) {
        return None;
    }
    let near = format!(" {} ", before[before.len().saturating_sub(3)..].join(" "));
    let is_down = |words: &str| DOWN.iter().any(|down| words.contains(&format!(" {down} ")));
    let behind = [
        " off limits",
        " is never ",
        " are never ",
        " annoy",
        " are banned",
        " is banned",
        " never wanted",
        " in there",
    ];
    let anywhere = is_down(&padded) || behind.iter().any(|mark| padded.contains(mark));
    match (is_down(&near) || behind.iter().any(|mark| padded.contains(mark)), anywhere) {
        (true, _) => Some((topic, false)),
        (false, false) => Some((topic, true)),
        // `no untyped code, type hints are a must`: what is turned down may be something else, or not.
        (false, true) => [" must ", " needs ", " not optional ", " always "]
            .iter()
            .any(|mark| padded.contains(mark))
            .then_some((topic, true)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_and_what_is_not() {
        let table = [
            ("every function you write for me needs type hints", Some(("type hints", true))),
            ("no untyped defs please, type hints are a must", Some(("type hints", true))),
            ("no emoji in anything you write for me", Some(("emojis", false))),
            ("a force push is off limits for you", Some(("force push", false))),
            ("no mocks unless it is a paid api", None),
            ("tabs and emojis and mocks", None),
            ("nothing of the kind", None),
        ];
        for (text, expected) in table {
            assert_eq!(wanted(text), expected, "{text:?}");
        }
    }

    #[test]
    fn names_are_in_normal_form() {
        for name in TOPICS.iter().flat_map(|names| names.iter()) {
            assert_eq!(normal(name), *name);
        }
    }
}
