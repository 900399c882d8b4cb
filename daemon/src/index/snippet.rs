//! The part of a text that is shown for a hit, and where in it the words stand.

use std::collections::BTreeSet;

use clone_schema::text::head;

use super::tokens;

/// The longest snippet, in characters.
pub const MAX_SNIPPET_CHARS: usize = 240;
/// How much of a snippet comes before the first match, in characters.
const LEAD: usize = 60;
/// How much of a text is looked through for the first match, in bytes.
const LOOKED_BYTES: usize = 16 * 1024;

/// The text around the first of the words, as one line; the beginning where none occurs.
pub(super) fn snippet(text: &str, words: &BTreeSet<&str>) -> String {
    let text = head(text, LOOKED_BYTES);
    let first = tokens::first(text, |piece| words.contains(piece.term.as_str()));
    let at = first.map_or(0, |piece| piece.start);
    let lead = text[..at].char_indices().rev().take(LEAD).last().map_or(at, |(i, _)| i);
    // A cut word at the front says nothing.
    let start = match text[lead..at].find(char::is_whitespace) {
        Some(gap) if lead > 0 => lead + gap,
        _ => lead,
    };
    let mut line = String::new();
    for c in text[start..].chars().map(|c| if c.is_control() { ' ' } else { c }) {
        if !(c.is_whitespace() && (line.is_empty() || line.ends_with(' '))) {
            line.push(if c.is_whitespace() { ' ' } else { c });
        }
        if line.len() > MAX_SNIPPET_CHARS * 4 {
            break;
        }
    }
    let line = if start > 0 { format!("…{}", line.trim()) } else { line.trim().to_owned() };
    match line.char_indices().nth(MAX_SNIPPET_CHARS) {
        None => line,
        Some(_) => line.chars().take(MAX_SNIPPET_CHARS - 1).chain(['…']).collect(),
    }
}

/// Where the words stand in a snippet: from and to, in characters, in order, none within another.
pub(super) fn highlights(snippet: &str, words: &BTreeSet<&str>) -> Vec<(usize, usize)> {
    let chars = |bytes: usize| snippet[..bytes].chars().count();
    let mut out: Vec<(usize, usize)> = Vec::new();
    for piece in tokens::pieces(snippet).into_iter().filter(|piece| words.contains(piece.term.as_str())) {
        let (from, to) = (chars(piece.start), chars(piece.end));
        match out.last_mut() {
            Some(last) if from < last.1 => last.1 = last.1.max(to),
            _ => out.push((from, to)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_snippet_is_one_short_line_around_the_match() {
        let words = BTreeSet::from(["needl"]);
        let text = format!("{} needle\n\n{}", "hay ".repeat(500), "straw ".repeat(500));
        let line = snippet(&text, &words);
        assert_eq!(line.chars().count(), MAX_SNIPPET_CHARS);
        assert!(line.starts_with("…hay ") && line.ends_with('…'), "{line}");
        assert!(line.contains("hay needle straw"), "{line}");
        assert_eq!(snippet("a\tb \u{1b} c", &words), "a b c");
        assert_eq!(snippet("", &words), "");
    }

    #[test]
    fn the_words_are_marked_in_characters_and_overlaps_are_one() {
        let words = BTreeSet::from(["test", "parse_json", "pars"]);
        let line = "…é parse_json in tests, Testing";
        let marked: Vec<String> = highlights(line, &words)
            .into_iter()
            .map(|(from, to)| line.chars().skip(from).take(to - from).collect())
            .collect();
        assert_eq!(marked, ["parse_json", "tests", "Testing"]);
    }

    proptest! {
        #[test]
        fn marks_are_in_order_and_inside(text in "\\PC{0,80}", words in prop::collection::vec("[a-z]{1,2}|\\PC", 0..4)) {
            let words: BTreeSet<&str> = words.iter().map(String::as_str).collect();
            let line = snippet(&text, &words);
            let mut before = 0;
            for (from, to) in highlights(&line, &words) {
                prop_assert!(before <= from && from <= to && to <= line.chars().count());
                before = to;
            }
        }
    }
}
