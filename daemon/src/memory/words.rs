//! The person's own sentences: prompts without code, quotes and pasted lines.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use clone_schema::id::normal;
use clone_schema::text::one_line;

/// The longest prompt that is read for what the person says, in characters; longer ones are mostly pasted.
pub const MAX_SPOKEN: usize = 1_200;
/// The most lines of such a prompt.
pub const MAX_LINES: usize = 12;

/// The sentences that the person wrote, without fences, quotes, lists and lines that look like code; none from a prompt
/// that is too long to be typed, or that gives itself out as somebody else's.
#[must_use]
pub fn spoken(prompt: &str) -> Vec<&str> {
    if prompt.chars().count() > MAX_SPOKEN || prompt.lines().count() > MAX_LINES || is_posing(prompt) {
        return Vec::new();
    }
    let lines = own_lines(prompt);
    // What stands behind `here is the page:` was pasted.
    let own = lines.iter().position(|line| introduces(line)).unwrap_or(lines.len());
    lines[..own].iter().flat_map(|line| sentences(line)).filter(|sentence| !is_code(sentence)).collect()
}

/// Whether a prompt carries the marks of words that were made for a model to obey.
fn is_posing(prompt: &str) -> bool {
    const LABELS: &[&str] =
        &["system:", "assistant:", "user:", "human:", "[system", "<system", "### instruction", "[inst]", "developer:"];
    #[rustfmt::skip]
    const ORDERS: &[&str] = &[
        "ignore previous", "ignore all previous", "disregard previous", "disregard all", "ignore the above",
        "ignore your instructions",
    ];
    let lower = prompt.to_lowercase();
    ORDERS.iter().any(|order| lower.contains(order))
        || lower.lines().any(|line| LABELS.iter().any(|label| line.trim_start().starts_with(label)))
}

/// Whether a line only introduces what follows it.
fn introduces(line: &str) -> bool {
    #[rustfmt::skip]
    const WORDS: &[&str] = &[
        "says", "said", "reads", "wrote", "output", "error", "log", "message", "email", "comment", "ticket",
        "issue", "readme", "docs", "page", "article", "text", "here is", "here's", "this is what", "following",
        "below", "paste", "from", "snippet", "review", "transcript", "quote", "spec", "post", "answer", "got this",
        "found this",
    ];
    let lower = line.to_lowercase();
    lower.ends_with([':', '：']) && WORDS.iter().any(|word| lower.contains(word))
}

/// The lines outside fences that are neither quoted nor items of a list.
#[must_use]
pub fn own_lines(text: &str) -> Vec<&str> {
    let mut fenced = false;
    let mut lines = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with("```") {
            fenced = !fenced;
        } else if !fenced
            && !line.is_empty()
            && !line.starts_with(['>', '#', '|', '<', '/', '@', '"', '{', '[', '-', '*'])
        {
            lines.push(line);
        }
    }
    lines
}

/// Splits a line behind `.`, `!`, `?` and their wide forms; a narrow mark ends a sentence only before white space.
#[must_use]
pub fn sentences(line: &str) -> Vec<&str> {
    let (mut out, mut start) = (Vec::new(), 0);
    for (at, c) in line.char_indices() {
        let end = at + c.len_utf8();
        let narrow = matches!(c, '.' | '!' | '?') && line[end..].starts_with(char::is_whitespace);
        if narrow || matches!(c, '。' | '！' | '？') {
            out.push(line[start..end].trim());
            start = end;
        }
    }
    out.push(line[start..].trim());
    out.retain(|sentence| !sentence.is_empty());
    out
}

/// Phrases that are looked for in one pass, whatever their number.
#[derive(Debug)]
pub struct Phrases<T>(HashMap<String, Vec<(Cow<'static, str>, T)>>);

impl<T: Copy> Phrases<T> {
    /// Phrases and what each stands for; words are parted by one space.
    pub fn new(phrases: impl Iterator<Item = (impl Into<Cow<'static, str>>, T)>) -> Self {
        let mut starts: HashMap<String, Vec<(Cow<'static, str>, T)>> = HashMap::new();
        for (phrase, stands) in phrases {
            let phrase = phrase.into();
            let first = phrase.split(' ').next().unwrap_or_default().to_owned();
            starts.entry(first).or_default().push((phrase, stands));
        }
        Self(starts)
    }

    /// Where each phrase stands in a text as whole words, and what it stands for.
    pub fn find<'a>(&'a self, text: &'a str) -> impl Iterator<Item = (usize, &'a str, T)> + 'a {
        let starts = std::iter::once(0).chain(text.match_indices(' ').map(|(at, _)| at + 1));
        starts.flat_map(move |at| {
            let rest = &text[at..];
            let word = rest.split(' ').next().unwrap_or_default();
            let known = self.0.get(word).map_or(&[][..], Vec::as_slice).iter();
            let whole = move |phrase: &str| {
                rest.strip_prefix(phrase).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
            };
            known.filter(move |(phrase, _)| whole(phrase)).map(move |(phrase, stands)| (at, &**phrase, *stands))
        })
    }
}

/// The words of a text that carry its meaning, cut to their stems: by them two wordings of one rule are the same.
#[must_use]
pub fn stems(text: &str) -> BTreeSet<String> {
    content(text).into_iter().map(|(stem, _)| stem).collect()
}

/// The words of a text that carry its meaning, in their order: the stem and the word.
#[must_use]
pub fn content(text: &str) -> Vec<(String, String)> {
    #[rustfmt::skip]
    const EMPTY: &[&str] = &[
        "the", "a", "an", "to", "of", "and", "or", "in", "on", "at", "for", "with", "you", "your", "i", "we", "my",
        "our", "it", "is", "are", "be", "been", "that", "this", "please", "always", "never", "do", "don", "t", "not",
        "every", "each", "all", "any", "make", "sure", "me", "them", "before", "after", "when", "whenever", "time",
        "if", "should", "must", "want", "have", "has", "first", "then", "also", "just", "without", "by", "as", "so",
        "will", "can", "would", "like", "ever", "no", "from", "now", "going", "forward", "re", "s", "ll", "ve", "m",
        "us", "there", "its", "some", "into", "out", "up", "remember",
    ];
    let normal = normal(text);
    let words = normal.split(' ').filter(|word| !word.is_empty() && !EMPTY.contains(word));
    words.map(|word| (stem(word), word.to_owned())).collect()
}

/// A word without its English ending; rough, and the same for all forms of one word more often than not.
fn stem(word: &str) -> String {
    if !word.is_ascii() || word.len() < 4 {
        return word.to_owned();
    }
    let cut = ["ations", "ation", "ings", "ing", "ied", "ies", "ed", "es", "s", "ly"]
        .iter()
        .find_map(|end| word.strip_suffix(end).filter(|left| left.len() >= 3))
        .unwrap_or(word);
    let bytes = cut.as_bytes();
    let doubled = bytes.len() > 3
        && bytes[bytes.len() - 1] == bytes[bytes.len() - 2]
        && !cut.ends_with('s')
        && !cut.ends_with('l');
    let cut = if doubled { &cut[..cut.len() - 1] } else { cut };
    cut.trim_end_matches(['e', 'y', 'i']).to_owned()
}

/// How much two sets of stems have in common, 0 to 1.
#[must_use]
pub fn likeness(a: &BTreeSet<String>, b: &BTreeSet<String>) -> f64 {
    let common = a.intersection(b).count();
    let all = a.len() + b.len() - common;
    if all == 0 { 0.0 } else { common as f64 / all as f64 }
}

fn is_code(sentence: &str) -> bool {
    const MARKS: &[&str] = &["=>", "==", "();", "://", "&&", "</", "::", "\\n", "\t", "`\"", ": '", "\":"];
    MARKS.iter().any(|mark| sentence.contains(mark)) || sentence.ends_with([';', '{', '}'])
}

/// At most so many characters on one line, cut at a word where that is possible, with `…` where something was cut.
#[must_use]
pub fn clip(text: &str, limit: usize) -> String {
    // Reading a little more than the limit is enough and keeps huge texts cheap.
    let head: String = text.chars().take(limit.saturating_mul(4).saturating_add(64)).collect();
    let line = one_line(&head);
    if line.chars().count() <= limit && head.len() == text.len() {
        return line;
    }
    let cut: String = line.chars().take(limit.saturating_sub(1)).collect();
    let word = cut.rfind(' ').filter(|at| *at * 2 > cut.len()).map_or(cut.as_str(), |at| &cut[..at]);
    format!("{}…", word.trim_end_matches([' ', '.', ',', ';', ':']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_spoken() {
        let prompt = "Do this. And e.g. that!\n> quoted. Never.\n```\nAlways code.\n```\n- an item\nlet x = a();\n以后用这个。好";
        assert_eq!(spoken(prompt), ["Do this.", "And e.g.", "that!", "以后用这个。", "好"]);
        assert!(spoken(&"word ".repeat(MAX_SPOKEN)).is_empty());
        assert!(spoken(&"word\n".repeat(MAX_LINES + 1)).is_empty());
    }

    #[test]
    fn clips_at_words() {
        for (text, limit, expected) in [
            ("a b", 5, "a b"),
            ("one two three", 9, "one two…"),
            ("a\n b", 9, "a b"),
            ("xxxxxxxx", 4, "xxx…"),
            ("one two. three four", 10, "one two…"),
            ("", 4, ""),
        ] {
            assert_eq!(clip(text, limit), expected, "{text:?}");
        }
    }
}
