//! What makes a sentence no standing word of the person's, and where a sentence holds.

use std::sync::OnceLock;

use clone_schema::id::normal;
use serde::{Deserialize, Serialize};

use crate::memory::words::Phrases;

/// Where something holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Place {
    /// Everywhere, as far as the sentence goes.
    #[default]
    Anywhere,
    /// In the project that it was said in.
    Here,
    /// In the project of this name.
    Named(String),
}

/// Orders for now.
#[rustfmt::skip]
const FOR_NOW: &[&str] = &[
    "yet", "for now", "this time", "right now", "at the moment", "today only", "currently", "this line", "this bug",
    "this error", "this file", "for this", "this function", "this button", "this one", "those", "once again",
    "por ahora", "todavía", "esta vez", "just this once", "this once", "in this case", "temporarily",
    "for the moment", "for today", "until", "this test", "this commit", "this pr", "this branch", "this task",
    "this change", "this page", "this component", "this class", "this method", "this script", "this module",
    "this screen", "this endpoint", "this query", "this session", "this step", "here only", "as an experiment",
    "just here", "this issue", "this ticket", "vorerst", "diesmal", "pour l'instant", "cette fois", "momentan",
    "heute", "only this", "this particular", "this example", "this snippet", "this migration", "for that file",
    "in that file", "in this function", "for the demo", "one off", "one-off", "this refactor", "this feature",
    "this week only",
];

/// Talk about what is not so: questions, wishes of others, what might be.
#[rustfmt::skip]
const UNREAL: &[&str] = &[
    "what if", "suppose", "imagine", "hypothetically", "i wonder", "would you", "could you", "would it", "should i",
    "should we", "do you", "might", "maybe", "perhaps", "let's say", "for example", "e.g", "is it",
    "are you", "why", "he prefers", "she prefers", "they prefer", "some people", "people who", "someone",
    "most people", "if i were", "if we were", "if i was", "if we ever", "if we had", "i could", "we could",
    "i might", "we might", "if i ever", "thinking about", "thinking of", "considering", "tempted to", "not sure",
    "i guess", "i used to think", "pretend", "as if", "could have", "would have", "should have", "was thinking",
    "debating", "or should", "in theory", "i'd say", "apparently", "joking", "just kidding", "sarcasm",
    "what happens",
];

/// Talk that is somebody else's.
#[rustfmt::skip]
const REPORTED: &[&str] = &[
    "says", "said", "told me", "tells", "wrote", "according to", "the docs say", "the error is", "quote", "quoted", "claims", "stack overflow",
    "suggests", "recommends", "reads", "states that", "ignore previous", "ignore all", "disregard", "system prompt", "you are now", "chatgpt", "the ai",
    "his rule", "her rule", "their rule", "the article", "the tutorial", "the blog", "asks for", "the warning", "the web page", "the website",
];

/// Talk about the product.
#[rustfmt::skip]
const PRODUCT: &[&str] = &[
    "users", "the user", "user", "customers", "the customer", "the modal", "the sidebar", "the button", "visitors",
    "the player", "the bot",
];

/// Why a sentence is no standing word.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It is not so, or not their own word.
    Own,
    /// It is for now, or about the product.
    Now,
}

/// Whether a lower-case sentence may be a standing word of the person's own.
pub(super) fn is_standing(lower: &str) -> bool {
    let padded = format!(
        " {} ",
        lower
            .replace([',', '.', '!', ';', ':', '(', ')', '"', '“', '”'], " ")
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    );
    static KINDS: OnceLock<Phrases<Kind>> = OnceLock::new();
    let kinds = KINDS.get_or_init(|| {
        let lists = [(Kind::Own, UNREAL), (Kind::Own, REPORTED), (Kind::Now, FOR_NOW), (Kind::Now, PRODUCT)];
        Phrases::new(lists.into_iter().flat_map(|(kind, words)| words.iter().map(move |word| (*word, kind))))
    });
    // `for this project` is for good, `for this` is for now.
    let padded = [
        "this project",
        "this repo",
        "this repository",
        "this codebase",
        "this service",
        "this app",
        "this monorepo",
        "this workspace",
    ]
    .iter()
    .fold(padded, |text, here| text.replace(&format!(" {here} "), " here "))
    // Their own word, not another's.
    .replace(" what i said ", " ");
    let has = |wanted: Kind| kinds.find(&padded).any(|(_, _, kind)| kind == wanted);
    // What names a term it explains may use any word.
    let explains =
        [" i mean ", " stands for ", " short for ", " is what we call "].iter().any(|mark| padded.contains(mark));
    !has(Kind::Own) && (explains || !has(Kind::Now)) && !is_quoted(lower)
}

/// Whether the sentence is mostly somebody's words in quotation marks.
fn is_quoted(lower: &str) -> bool {
    let marks = [('"', '"'), ('“', '”'), ('„', '“'), ('«', '»'), ('`', '`')];
    let quoted = marks.iter().filter_map(|(open, close)| {
        let (_, rest) = lower.split_once(*open)?;
        rest.split_once(*close).map(|(inside, _)| inside.split_whitespace().count())
    });
    quoted.max().unwrap_or_default() >= 4
}

/// Takes `in this project`, `in the billing repo` off a lower-case sentence.
pub(super) fn place(rest: &str) -> (&str, Place) {
    #[rustfmt::skip]
    const HERE: &[&str] = &[
        "in this project", "in this repo", "in this repository", "in this codebase", "for this project",
        "for this repo", "on this project", "en este proyecto", "for this codebase", "for this repository",
        "in diesem projekt", "dans ce projet", "in our repo", "in our codebase", "this project:",
        "within this project", "inside this project", "in this app", "in this service", "in this package", "in this workspace",
        "for this app", "for this service", "in this one repo", "in this code base", "on this repo", "on this codebase", "in this monorepo",
        "in here",
    ];
    for here in HERE {
        if let Some(behind) = rest.strip_prefix(here) {
            return (behind.trim_start_matches([',', ' ', ':']), Place::Here);
        }
        if let Some(before) = rest.strip_suffix(here) {
            return (before.trim_end_matches([',', ' ']), Place::Here);
        }
    }
    named(rest).unwrap_or_else(|| {
        let padded = format!(" {rest} ");
        let here = HERE.iter().any(|here| rest.contains(here))
            || ["project", "repo", "repository", "codebase", "service", "app", "monorepo"]
                .iter()
                .any(|what| [" ", "'s ", ","].iter().any(|end| padded.contains(&format!(" this {what}{end}"))));
        (rest, if here { Place::Here } else { Place::Anywhere })
    })
}

/// `in the X project, …`, `… in project X`.
fn named(rest: &str) -> Option<(&str, Place)> {
    const IN: &[&str] = &["in the ", "for the ", "on the ", "in project ", "for project ", "in repo ", "in "];
    const KINDS: &[&str] = &[" project", " repo", " repository", " codebase"];
    let of = |text: &str| -> Option<String> {
        let inner = IN.iter().find_map(|lead| text.strip_prefix(lead))?;
        let bare = text.starts_with("in project ") || text.starts_with("for project ") || text.starts_with("in repo ");
        let name = KINDS.iter().find_map(|kind| inner.strip_suffix(kind)).or(bare.then_some(inner))?;
        let name = normal(name);
        (!name.is_empty()
            && name.split(' ').count() <= 3
            && !name.split(' ').any(|word| {
                ["this", "that", "same", "other", "whole", "every", "any", "all", "my", "our"].contains(&word)
            }))
        .then_some(name)
    };
    if let Some((head, behind)) = rest.split_once(", ")
        && let Some(name) = of(head)
    {
        return Some((behind.trim_start(), Place::Named(name)));
    }
    // `in the X repo always …`
    for kind in KINDS {
        if let Some((head, behind)) = rest.split_once(&format!("{kind} "))
            && let Some(name) = of(&format!("{head}{kind}"))
        {
            return Some((behind.trim_start(), Place::Named(name)));
        }
    }
    let at = IN.iter().filter_map(|lead| rest.rfind(&format!(" {lead}"))).max()?;
    let name = of(rest[at..].trim())?;
    Some((rest[..at].trim_end_matches([',', ' ']), Place::Named(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        let table = [
            ("in this project, use tabs", "use tabs", Place::Here),
            ("always use tabs in this repo", "always use tabs", Place::Here),
            ("in the billing service repo, use spaces", "use spaces", Place::Named("billing service".into())),
            ("use spaces for the atlas project", "use spaces", Place::Named("atlas".into())),
            ("always use tabs", "always use tabs", Place::Anywhere),
        ];
        for (text, rest, at) in table {
            assert_eq!(place(text), (rest, at), "{text:?}");
        }
    }

    #[test]
    fn somebody_elses_words_and_words_for_now() {
        for text in [
            "the readme says always use tabs",
            "use tabs for this file",
            "what if we always used tabs",
            "maybe always use tabs",
            "he said never to push",
            "the article \"always use tabs in your code\" is wrong",
            "always redirect the user to login",
            "never push until i say so",
        ] {
            assert!(!is_standing(text), "{text:?}");
        }
        assert!(is_standing("always use tabs") && is_standing("never push without asking"));
    }
}
