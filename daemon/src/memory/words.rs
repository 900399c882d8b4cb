//! The person's own sentences: prompts without code, quotes and pasted lines.

use clone_schema::text::one_line;

/// The longest prompt that is read for what the person says, in characters; longer ones are mostly pasted.
pub const MAX_SPOKEN: usize = 1_200;
/// The most lines of such a prompt.
pub const MAX_LINES: usize = 12;

/// The sentences that the person wrote, without fences, quotes, lists and lines that look like code; none from a prompt
/// that is too long to be typed.
#[must_use]
pub fn spoken(prompt: &str) -> Vec<&str> {
    if prompt.chars().count() > MAX_SPOKEN || prompt.lines().count() > MAX_LINES {
        return Vec::new();
    }
    own_lines(prompt).into_iter().flat_map(sentences).filter(|sentence| !is_code(sentence)).collect()
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
