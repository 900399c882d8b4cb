//! Texts as lines, and what changed between two of them.
//!
//! Two lines are the same when their words are, whatever ends them: an editor that saves `\r\n` for `\n` has changed
//! nothing.

use std::ops::Range;

use imara_diff::{Algorithm, Diff, InternedInput};

/// Lines of one text that took the place of lines of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hunk {
    /// Which lines of the earlier text went.
    pub before: Range<usize>,
    /// Which lines of the later text came.
    pub after: Range<usize>,
}

impl Hunk {
    /// Whether it only adds lines.
    #[must_use]
    pub fn only_adds(&self) -> bool {
        self.before.is_empty()
    }
}

/// The lines of a text, each with its line end; only the last may have none.
#[must_use]
pub fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

/// A line without its line end.
#[must_use]
pub fn words(line: &str) -> &str {
    line.strip_suffix("\r\n").or_else(|| line.strip_suffix('\n')).unwrap_or(line)
}

/// What changed from some lines to others, in order; two neighbours never touch.
#[must_use]
pub fn hunks(before: &[&str], after: &[&str]) -> Vec<Hunk> {
    let mut input = InternedInput::default();
    input.update_before(before.iter().map(|line| words(line)));
    input.update_after(after.iter().map(|line| words(line)));
    let mut diff = Diff::compute(Algorithm::Histogram, &input);
    // Of the places that a change could stand at, the same one on both sides of a merge.
    diff.postprocess_no_heuristic(&input);
    let range = |range: Range<u32>| range.start as usize..range.end as usize;
    diff.hunks().map(|hunk| Hunk { before: range(hunk.before), after: range(hunk.after) }).collect()
}

/// What one version of a text changed in the one before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The lines that went, without their line ends.
    pub removed: Vec<String>,
    /// The lines that came, without their line ends.
    pub added: Vec<String>,
}

/// The lines that went and the lines that came.
#[must_use]
pub fn change(before: &str, after: &str) -> Change {
    let (before, after) = (lines(before), lines(after));
    let mut change = Change::default();
    for hunk in hunks(&before, &after) {
        change.removed.extend(before[hunk.before].iter().map(|line| words(line).to_owned()));
        change.added.extend(after[hunk.after].iter().map(|line| words(line).to_owned()));
    }
    change
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_are_no_change() {
        assert!(hunks(&lines("a\nb\n"), &lines("a\r\nb")).is_empty());
        assert_eq!(words("a\r\n"), "a");
        assert_eq!(words("a\r"), "a\r", "a lone carriage return is a character");
        assert!(lines("").is_empty());
    }

    #[test]
    fn a_change_is_told_by_its_lines() {
        let change = change("a\nb\nc\n", "a\nB\nc\nd");
        assert_eq!((change.removed, change.added), (vec!["b".to_owned()], vec!["B".to_owned(), "d".to_owned()]));
    }
}
