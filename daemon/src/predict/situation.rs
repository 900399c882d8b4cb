//! What an agent said last, as words and as a kind of situation.
//!
//! Clients send anything from one line to a 20 KB document with the whole conversation in it; only the agent's last
//! block says what the person answers to.

use std::collections::BTreeMap;

use clone_schema::text::last_chars;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

/// How much of the end of an agent's text is read, in characters.
pub const TAIL_CHARS: usize = 1_500;
/// How much of the end counts as the last words, in characters.
pub const LAST_CHARS: usize = 300;
/// The largest token count of a reply that is compared; the rest is cut.
pub const MAX_REPLY_TOKENS: usize = 600;

/// What kind of thing the agent did last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It offers to go on, or asks for a yes.
    Offer,
    /// It asks something else.
    Question,
    /// It lists numbered or lettered options.
    Options,
    /// It speaks of a failure.
    Failure,
    /// It reports that something is done.
    Report,
    /// It gives a command to run.
    Command,
    /// It stopped in the middle of its work, or anything else.
    Working,
}

/// How many kinds there are.
pub const KINDS: usize = 7;

impl Kind {
    /// The position in tables.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The word for reasons.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Offer => "offer",
            Self::Question => "question",
            Self::Options => "options",
            Self::Failure => "failure",
            Self::Report => "report",
            Self::Command => "command",
            Self::Working => "work in progress",
        }
    }
}

/// An agent's last block, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Situation {
    /// Tokens of the tail.
    pub tail: Vec<String>,
    /// Tokens of the last words.
    pub last: Vec<String>,
    /// What kind of thing it is.
    pub kind: Kind,
}

impl Situation {
    /// Reads an agent's text or a client's whole document.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let block = last_block(text).trim();
        let tail = last_chars(block, TAIL_CHARS);
        Self { tail: tokens(tail), last: tokens(last_chars(block, LAST_CHARS)), kind: kind(block) }
    }
}

/// The kind of an agent's text or a client's whole document, where nothing else of it is wanted.
#[must_use]
pub fn kind_of(text: &str) -> Kind {
    kind(last_block(text).trim())
}

/// The last block that the agent wrote in a document of `### user` and `### assistant` headers; the whole text where
/// there are none.
///
/// Rules that clients append behind the last block are left out when a known separator (`===` or a rule header)
/// starts them.
#[must_use]
pub fn last_block(text: &str) -> &str {
    let mut start = None;
    let mut end = text.len();
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let head = line.trim();
        if is_agent_header(head) {
            start = Some(offset + line.len());
            end = text.len();
        } else if start.is_some() && end == text.len() && is_other_header(head) {
            end = offset;
        }
        offset += line.len();
    }
    match start {
        Some(start) if !text[start..end].trim().is_empty() => &text[start..end],
        _ => text,
    }
}

fn is_agent_header(line: &str) -> bool {
    let Some(rest) = line.strip_prefix("###") else { return false };
    let rest = rest.trim_start().to_ascii_lowercase();
    rest.starts_with("assistant") || rest.starts_with("agent")
}

fn is_other_header(line: &str) -> bool {
    let user = line.strip_prefix("###").is_some_and(|rest| {
        let rest = rest.trim_start().to_ascii_lowercase();
        rest.starts_with("user") || rest.starts_with("human")
    });
    user || line.starts_with("===")
}

/// Lower-case tokens: runs of letters and digits, and each CJK character by itself.
#[must_use]
pub fn tokens(text: &str) -> Vec<String> {
    let folded: Vec<char> = text.nfkc().flat_map(char::to_lowercase).collect();
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(&first) = folded.get(at) {
        let length = match first {
            c if is_plain(c) => folded[at..].iter().take_while(|c| is_plain(**c)).count(),
            c if is_cjk(c) => 1,
            c if c.is_alphabetic() => folded[at..].iter().take_while(|c| c.is_alphabetic()).count(),
            _ => 0,
        };
        if length > 0 {
            out.push(folded[at..at + length].iter().collect());
        }
        at += length.max(1);
    }
    out
}

const fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

const fn is_cjk(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}')
}

/// The normal form: lower case, one space between words, no punctuation. Two replies with one normal form are one.
#[must_use]
pub fn normal(text: &str) -> String {
    let folded: String =
        text.nfkc().flat_map(char::to_lowercase).map(|c| if c.is_alphanumeric() { c } else { ' ' }).collect();
    folded.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a candidate counts as what the person typed: token F1 of at least one half.
#[must_use]
pub fn hit(candidate: &str, typed: &str) -> bool {
    let (a, b) = (tokens(candidate), tokens(typed));
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for token in &a {
        *counts.entry(token).or_default() += 1;
    }
    let mut common = 0;
    for token in &b {
        if let Some(left) = counts.get_mut(token.as_str())
            && *left > 0
        {
            *left -= 1;
            common += 1;
        }
    }
    common > 0 && 4 * common >= a.len() + b.len()
}

const OFFERS: [&str; 26] = [
    "would you like",
    "shall i",
    "should i",
    "do you want",
    "want me to",
    "ready to",
    "let me know",
    "may i",
    "can i",
    "proceed",
    "continue?",
    "go ahead",
    "sound good",
    "looks good",
    "look good",
    "make sense",
    "approve",
    "confirm",
    "quieres",
    "te parece",
    "procedo",
    "deseas",
    "möchtest",
    "soll ich",
    "voulez-vous",
    "veux-tu",
];
const FAILURES: [&str; 12] = [
    "error",
    "failed",
    "failing",
    "exception",
    "traceback",
    "cannot",
    "unable to",
    "interrupted",
    "rejected",
    "denied",
    "fallo",
    "no puedo",
];
const REPORTS: [&str; 16] = [
    "done",
    "complete",
    "fixed",
    "successful",
    "✅",
    "summary",
    "implemented",
    "now works",
    "should now",
    "updated",
    "created",
    "all set",
    "ready",
    "🎉",
    "completad",
    "listo",
];

/// The kind of situation that a block of agent text leaves the person in.
#[must_use]
pub fn kind(block: &str) -> Kind {
    let block = block.trim();
    let end = last_chars(block, 200).to_lowercase();
    let asks = last_chars(&end, 60).contains(['?', '？']);
    let says = |words: &[&str], text: &str| words.iter().any(|word| text.contains(word));
    if asks && options(block) >= 2 {
        return Kind::Options;
    }
    if asks {
        return if says(&OFFERS, &end) { Kind::Offer } else { Kind::Question };
    }
    if block.ends_with("```") || block.ends_with('`') {
        return Kind::Command;
    }
    let tail = last_chars(block, 400).to_lowercase();
    if block.ends_with(':') || block.ends_with("...") {
        return Kind::Working;
    }
    match () {
        () if says(&OFFERS, &end) => Kind::Offer,
        () if says(&REPORTS, &tail) => Kind::Report,
        () if says(&FAILURES, &tail) => Kind::Failure,
        () => Kind::Working,
    }
}

/// How many lines of the end look like numbered or lettered options.
fn options(block: &str) -> usize {
    last_chars(block, 1_000)
        .lines()
        .filter(|line| {
            let line = line.trim_start_matches(|c: char| c == '*' || c == '#' || c == '-' || c.is_whitespace());
            let line = line.strip_prefix("Option ").unwrap_or(line);
            let mut chars = line.chars();
            let head = chars.next().is_some_and(|c| c.is_ascii_digit() || ('A'..='E').contains(&c));
            head && chars.next().is_some_and(|c| matches!(c, '.' | ')' | ':'))
        })
        .count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tokens_are_words_and_single_cjk_characters() {
        let table: [(&str, &[&str]); 6] = [
            ("Fix it, NOW!", &["fix", "it", "now"]),
            ("snake_case v2", &["snake_case", "v2"]),
            ("好的继续", &["好", "的", "继", "续"]),
            ("네 계속", &["네", "계", "속"]),
            ("ＦＵＬＬ　ｗｉｄｔｈ", &["full", "width"]),
            ("— … !", &[]),
        ];
        for (text, expected) in table {
            assert_eq!(tokens(text), expected, "{text}");
        }
    }

    #[test]
    fn a_hit_shares_half_of_the_tokens() {
        let table = [
            ("yes", "Yes!", true),
            ("yes", "yes please go", true),
            ("yes", "yes please go on", false),
            ("a b c d", "a b x y", true),
            ("a b c d", "a x y z", false),
            ("a a a", "a", true),
            ("a a a a", "a", false),
            ("继续", "请继续", true),
            ("", "", false),
        ];
        for (candidate, typed, expected) in table {
            assert_eq!(hit(candidate, typed), expected, "{candidate} | {typed}");
        }
    }

    #[test]
    fn the_last_block_of_a_document_is_found() {
        let table = [
            ("plain text", "plain text"),
            ("### user (x)\nhello\n### assistant (current iter 2)\nthe end", "the end"),
            ("### assistant (prior)\none\n### user\ntwo\n### assistant\nthree\n=== rules ===\nfour", "three\n"),
            ("### assistant\n\n", "### assistant\n\n"),
        ];
        for (text, expected) in table {
            assert_eq!(last_block(text), expected);
        }
    }

    #[test]
    fn kinds_are_told_apart() {
        let table = [
            ("I fixed it. Would you like me to commit?", Kind::Offer),
            ("Which port does it use?", Kind::Question),
            ("1. one\n2. two\nWhich one?", Kind::Options),
            ("The build failed with an error.", Kind::Failure),
            ("All done, the tests pass now.", Kind::Report),
            ("Run this:\n```\nmake\n```", Kind::Command),
            ("Let me look at the file:", Kind::Working),
            ("", Kind::Working),
        ];
        for (text, expected) in table {
            assert_eq!(kind(text), expected, "{text}");
            assert!(kind(text).index() < KINDS);
        }
    }

    #[test]
    fn normal_forms_ignore_case_and_punctuation() {
        assert_eq!(normal("  Yes, PLEASE!! "), "yes please");
        assert_eq!(normal("/plan_it"), normal("plan it"));
        assert_eq!(normal("👍?"), "");
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "(### assistant\n|=== |[a-z네好?`.:\n 1-3]){0,40}") {
            let situation = Situation::read(&text);
            prop_assert!(situation.last.len() <= LAST_CHARS && situation.tail.len() <= TAIL_CHARS);
            prop_assert!(text.contains(last_block(&text)));
            prop_assert_eq!(hit(&text, &text), !tokens(&text).is_empty());
        }
    }
}
