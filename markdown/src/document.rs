//! Any text as byte-order mark, front matter and body.
//!
//! The document owns the text and only marks places in it, so that writing it out gives back the very bytes. A header that
//! is not closed, too large or broken is body or raw text plus a problem, never an error.

use std::ops::Range;

use crate::front_matter::{self, Entry, Value};
use crate::problem::Problem;

/// The largest front matter that is read, in bytes.
pub const MAX_FRONT_MATTER: usize = 64 * 1024;
/// The largest file that is read, in bytes.
pub const MAX_FILE: usize = 8 * 1024 * 1024;
/// How many problems of one file are reported.
pub const MAX_PROBLEMS: usize = 20;

const BOM: char = '\u{feff}';

/// How the lines of a file end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineEnding {
    /// `\n`.
    Lf,
    /// `\r\n`.
    CrLf,
}

impl LineEnding {
    /// The characters.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lf => "\n",
            Self::CrLf => "\r\n",
        }
    }
}

/// What stands before the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Header {
    /// The file does not open with `---`.
    None,
    /// The text between the two fences; empty entries where it is too large to read.
    Read(Range<usize>),
    /// It opens with `---` and cannot be edited: not closed, or too large.
    Broken,
}

/// A file of the vault.
#[derive(Clone, Debug)]
pub struct Document {
    text: String,
    header: Header,
    body: usize,
    ending: LineEnding,
    entries: Vec<Entry>,
    problems: Vec<Problem>,
}

impl Document {
    /// Reads any text.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let ending = line_ending(text);
        let mut document = Self {
            text: text.to_owned(),
            header: Header::None,
            body: 0,
            ending,
            entries: Vec::new(),
            problems: Vec::new(),
        };
        document.body = if text.starts_with(BOM) { BOM.len_utf8() } else { 0 };
        if text.len() > MAX_FILE {
            let message = format!("the file has {} bytes, over the limit of {MAX_FILE}", text.len());
            document.problem(Problem::new(1, 1, message, "split it"));
            return document;
        }
        document.read_header();
        document.check_body();
        document
    }

    fn problem(&mut self, problem: Problem) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(problem);
        }
    }

    fn read_header(&mut self) {
        let start = self.body;
        let Some(first) = lines(&self.text, start).next().filter(|line| is_fence(&self.text[line.clone()])) else {
            return;
        };
        let Some(last) = lines(&self.text, first.end).find(|line| is_fence(&self.text[line.clone()])) else {
            self.header = Header::Broken;
            self.problem(Problem::new(1, 1, "the front matter is not closed", "end it with a line of `---`"));
            return;
        };
        self.body = last.end;
        let header = first.end..last.start;
        if header.len() > MAX_FRONT_MATTER {
            self.header = Header::Broken;
            let message = format!("the front matter has {} bytes, over the limit of {MAX_FRONT_MATTER}", header.len());
            self.problem(Problem::new(1, 1, message, "move the text below the second `---`"));
            return;
        }
        let (entries, problems) = front_matter::scan(&self.text[header.clone()], header.start);
        self.entries = entries;
        self.header = Header::Read(header);
        problems.into_iter().for_each(|problem| self.problem(problem));
    }

    fn check_body(&mut self) {
        if let Some(at) = self.text.find('\0') {
            let (line, column) = place(&self.text, at);
            self.problem(Problem::new(line, column, "the file holds a NUL character", "remove it"));
        }
        if let Some(at) = self.conflict() {
            let (line, column) = place(&self.text, at);
            let hint = "keep one side and remove the marker lines";
            self.problem(Problem::new(line, column, "the file holds merge conflict markers", hint));
        }
    }

    fn conflict(&self) -> Option<usize> {
        let marked = |mark: &str| {
            let mut found = lines(&self.text, 0).filter(|line| self.text[line.clone()].starts_with(mark));
            found.next().map(|line| line.start)
        };
        let start = marked("<<<<<<< ")?;
        marked(">>>>>>> ").map(|_| start)
    }

    /// Whether the text holds the markers of an unfinished merge; such a file is kept and not read for claims.
    #[must_use]
    pub fn is_conflicted(&self) -> bool {
        self.conflict().is_some()
    }

    /// The whole text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What stands before the body.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Everything behind the front matter.
    #[must_use]
    pub fn body(&self) -> &str {
        &self.text[self.body..]
    }

    /// Where the body begins, in bytes.
    #[must_use]
    pub fn body_start(&self) -> usize {
        self.body
    }

    /// How the lines end: as the first line does.
    #[must_use]
    pub fn line_ending(&self) -> LineEnding {
        self.ending
    }

    /// The keys of the front matter in the order of the file, doubles included.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The first entry of this key.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// The value of this key.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&Value> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// What is wrong with the file, at most [`MAX_PROBLEMS`].
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl std::fmt::Display for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// The lines from this byte on, each with its line end.
fn lines(text: &str, from: usize) -> impl Iterator<Item = Range<usize>> + '_ {
    text[from..].split_inclusive('\n').scan(from, |at, line| {
        let range = *at..*at + line.len();
        *at = range.end;
        Some(range)
    })
}

fn is_fence(line: &str) -> bool {
    line.trim_end_matches([' ', '\t', '\r', '\n']) == "---"
}

fn line_ending(text: &str) -> LineEnding {
    match text.find('\n') {
        Some(at) if text[..at].ends_with('\r') => LineEnding::CrLf,
        _ => LineEnding::Lf,
    }
}

/// Line and column of a byte, counted from 1.
pub(crate) fn place(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..at];
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn messages(text: &str) -> Vec<String> {
        Document::parse(text).problems().iter().map(|problem| problem.message.clone()).collect()
    }

    #[test]
    fn file_zoo() {
        let header = "---\nid: a\n---\n";
        let table: &[(&str, &str, usize, &[&str])] = &[
            ("", "", 0, &[]),
            ("A sentence", "A sentence", 0, &[]),
            ("\u{feff}---\r\nid: a\r\n---\r\nbody", "body", 1, &[]),
            ("---\nid: a\n---", "", 1, &[]),
            ("---\nid: a\n---\nx\n---\ny\n", "x\n---\ny\n", 1, &[]),
            ("--- \t\nid: a\n---\n", "", 1, &[]),
            ("---\n---\n", "", 0, &[]),
            ("----\nid: a\n---\n", "----\nid: a\n---\n", 0, &[]),
            ("---\nid: a\n", "---\nid: a\n", 0, &["the front matter is not closed"]),
            ("---\nid: a\n---\na\0b", "a\0b", 1, &["the file holds a NUL character"]),
            (
                "<<<<<<< a\nx\n=======\ny\n>>>>>>> b\n",
                "<<<<<<< a\nx\n=======\ny\n>>>>>>> b\n",
                0,
                &["the file holds merge conflict markers"],
            ),
        ];
        for (text, body, keys, problems) in table {
            let document = Document::parse(text);
            assert_eq!((document.body(), document.entries().len()), (*body, *keys), "{text:?}");
            assert_eq!(messages(text), *problems, "{text:?}");
        }
        assert_eq!(Document::parse(header).line_ending(), LineEnding::Lf);
        assert_eq!(Document::parse("a\r\nb\n").line_ending(), LineEnding::CrLf);
    }

    #[test]
    fn large_headers_and_files_are_kept_and_not_read() {
        let large = format!("---\nid: {}\n---\nbody", "x".repeat(1024 * 1024));
        let document = Document::parse(&large);
        assert_eq!((document.body(), document.entries().len()), ("body", 0));
        assert_eq!(document.header(), &Header::Broken);
        assert!(messages(&large)[0].contains("over the limit"));

        let fits = format!("---\nid: {}\n---\nbody", "x".repeat(MAX_FRONT_MATTER - 5));
        assert!(messages(&fits).is_empty());
        let one_over = format!("---\nid: {}\n---\nbody", "x".repeat(MAX_FRONT_MATTER - 4));
        assert_eq!(messages(&one_over).len(), 1);

        let file = format!("---\nid: a\n---\n{}", "x".repeat(MAX_FILE));
        assert_eq!(messages(&file).len(), 1);
        assert_eq!(Document::parse(&file).to_string(), file);
    }

    #[test]
    fn headers_of_many_lines_are_walked_once() {
        for line in ["\n", "a\n", "a:\n", "- a\n", "a: [\n", "\t\n"] {
            let text = format!("---\n{}---\n", line.repeat(MAX_FRONT_MATTER / line.len()));
            assert_eq!(Document::parse(&text).body(), "", "{line:?}");
        }
    }

    #[test]
    fn problems_are_capped() {
        let text = format!("---\n{}---\n", "no colon\n".repeat(MAX_PROBLEMS + 5));
        assert_eq!(messages(&text).len(), MAX_PROBLEMS);
    }

    #[test]
    fn places_count_characters() {
        assert_eq!(place("é\nñb", 5), (2, 2));
    }

    proptest! {
        #[test]
        fn any_text_comes_back(text in any::<String>(), header in "(?s).{0,60}", body in "(?s).{0,60}") {
            prop_assert_eq!(Document::parse(&text).to_string(), text.clone());
            for text in [format!("---\n{header}\n---\n{body}"), format!("---\r\n{header}\r\n---\r\n{body}")] {
                let document = Document::parse(&text);
                prop_assert_eq!(document.to_string(), text.clone());
                prop_assert!(text.ends_with(document.body()));
            }
        }

        #[test]
        fn anything_like_yaml_is_read(lines in prop::collection::vec("[a-c\"'\\[\\]{}&*!|>:#, \t\\\\-]{0,12}", 0..12)) {
            let text = format!("---\n{}\n---\n", lines.join("\n"));
            let document = Document::parse(&text);
            for entry in document.entries() {
                prop_assert!(text.get(entry.span.clone()).is_some_and(|span| span.contains(&entry.key)));
                prop_assert!(text.get(entry.value_span.clone()).is_some());
            }
        }
    }
}
