//! The part of YAML that the vault understands.
//!
//! One key per line at the left margin. A value is a scalar (plain, `'single'`, `"double"`), a list in brackets on one
//! line, or a block list of scalars (`- x`). Everything else (anchors, aliases, tags, nested maps, block scalars) is kept
//! as raw text and reported: expanding it would let a small file grow, and writing it back would lose what it was.

use std::ops::Range;

use crate::problem::Problem;
use crate::scalar::{is_number_or_date, read_flow, read_scalar, scalar};

/// A value of the front matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Absent, `null` or `~`.
    Null,
    /// An unquoted scalar: a word, a number, a date.
    Plain(String),
    /// Text; quoted where it must be.
    Text(String),
    /// A list of scalars.
    List(Vec<String>),
    /// Text that is not understood and never rewritten.
    Raw(String),
}

impl Value {
    /// The text of a scalar.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Plain(text) | Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The items of a list; a scalar counts as a list of one, null as an empty one.
    #[must_use]
    pub fn as_list(&self) -> Option<Vec<String>> {
        match self {
            Self::Null => Some(Vec::new()),
            Self::List(items) => Some(items.clone()),
            Self::Plain(text) | Self::Text(text) => Some(vec![text.clone()]),
            Self::Raw(_) => None,
        }
    }

    /// The value as it stands behind `key: `, on one line.
    #[must_use]
    pub fn render(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Plain(text) if is_number_or_date(text) => text.clone(),
            Self::Plain(text) | Self::Text(text) => scalar(text, ""),
            Self::List(items) => {
                format!("[{}]", items.iter().map(|item| scalar(item, ",[]{}")).collect::<Vec<_>>().join(", "))
            }
            Self::Raw(text) => text.clone(),
        }
    }
}

/// One key of a front matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Its value.
    pub value: Value,
    /// The lines that it takes, with their line ends, in bytes of the file.
    pub span: Range<usize>,
    /// Where the value stands; from behind the colon where there is none.
    pub value_span: Range<usize>,
    /// Its line, counted from 1.
    pub line: usize,
}

/// Writes front matter line by line.
#[derive(Debug, Default)]
pub struct Writer(String);

impl Writer {
    /// Adds a key with a value on one line.
    pub fn value(&mut self, key: &str, value: &Value) -> &mut Self {
        self.0.push_str(&format!("{key}: {}\n", value.render()));
        self
    }

    /// Adds a text.
    pub fn text(&mut self, key: &str, text: &str) -> &mut Self {
        self.value(key, &Value::Text(text.to_owned()))
    }

    /// Adds a number, a date or null.
    pub fn plain(&mut self, key: &str, value: Option<String>) -> &mut Self {
        self.value(key, &value.map_or(Value::Null, Value::Plain))
    }

    /// Adds a short list on one line.
    pub fn list(&mut self, key: &str, items: &[String]) -> &mut Self {
        self.value(key, &Value::List(items.to_vec()))
    }

    /// Adds a list with one line per item.
    pub fn block(&mut self, key: &str, items: impl IntoIterator<Item = String>) -> &mut Self {
        let lines: Vec<_> = items.into_iter().map(|item| format!("  - {}\n", scalar(&item, ",[]{}"))).collect();
        if lines.is_empty() {
            return self.list(key, &[]);
        }
        self.0.push_str(&format!("{key}:\n{}", lines.concat()));
        self
    }

    /// The front matter between its fences.
    #[must_use]
    pub fn finish(&self) -> String {
        format!("---\n{}---\n", self.0)
    }
}

/// Reads the text between the fences; `offset` is where it stands in the file, whose second line it begins.
pub(crate) fn scan(text: &str, offset: usize) -> (Vec<Entry>, Vec<Problem>) {
    let lines = lines_of(text, offset);
    let (mut entries, mut problems): (Vec<Entry>, Vec<Problem>) = (Vec::new(), Vec::new());
    let mut seen = std::collections::BTreeSet::new();
    let mut rest = lines.as_slice();
    while let Some((head, tail)) = rest.split_first() {
        // First, so that a header of nothing but empty lines is walked once.
        if head.is_idle() {
            rest = tail;
            continue;
        }
        let more = tail.iter().take_while(|line| line.continues()).count();
        let more = more - tail[..more].iter().rev().take_while(|line| line.is_idle()).count();
        let (block, next) = tail.split_at(more);
        rest = next;
        match read_entry(head, block) {
            Ok((entry, found)) => {
                problems.extend(found);
                if !seen.insert(entry.key.clone()) {
                    let hint = "keep one of them; the first counts";
                    problems.push(Problem::new(head.number, 1, format!("the key `{}` stands twice", entry.key), hint));
                }
                entries.push(entry);
            }
            Err(problem) => problems.push(problem),
        }
    }
    (entries, problems)
}

/// One line without its line end.
struct Line<'a> {
    text: &'a str,
    at: usize,
    end: usize,
    number: usize,
}

impl Line<'_> {
    /// Blank, or nothing but a comment.
    fn is_idle(&self) -> bool {
        let text = self.text.trim_start();
        text.is_empty() || text.starts_with('#')
    }

    /// Belongs to the key above: indented, an item of a list, or idle between such lines.
    fn continues(&self) -> bool {
        self.text.starts_with([' ', '\t']) || self.text == "-" || self.text.starts_with("- ") || self.is_idle()
    }
}

fn lines_of(text: &str, offset: usize) -> Vec<Line<'_>> {
    let mut at = offset;
    let mut lines = Vec::new();
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let text = line.strip_suffix('\n').unwrap_or(line);
        let text = text.strip_suffix('\r').unwrap_or(text);
        // The fence above is line 1.
        lines.push(Line { text, at, end: at + line.len(), number: index + 2 });
        at += line.len();
    }
    lines
}

fn read_entry(head: &Line<'_>, block: &[Line<'_>]) -> Result<(Entry, Option<Problem>), Problem> {
    let not_a_key =
        || Problem::new(head.number, 1, "not a `key: value` line", "write `key: value`, or remove the line");
    let (key, rest) = split_key(head.text).ok_or_else(not_a_key)?;
    let lead = rest.len() - rest.trim_start().len();
    let value_at = head.at + (head.text.len() - rest.len()) + lead;
    let column = head.text[..value_at - head.at].chars().count() + 1;
    let end = block.last().map_or(head.end, |line| line.end);
    let last = block.last().unwrap_or(head);
    let rest = rest.trim_start();
    let (value, length) = match read_value(rest, block) {
        Ok(read) => read,
        Err(message) => {
            let value_span = value_at..last.at + last.text.len();
            let value = Value::Raw(raw_text(rest, block));
            let entry = Entry { key: key.to_owned(), value, span: head.at..end, value_span, line: head.number };
            let hint = "write one quoted line, or a list `[a, b]`; the text is kept as it is";
            return Ok((entry, Some(Problem::new(head.number, column, message, hint))));
        }
    };
    let value_span = match length {
        Some(length) => value_at..value_at + length,
        None => value_at..last.at + last.text.len(),
    };
    Ok((Entry { key: key.to_owned(), value, span: head.at..end, value_span, line: head.number }, None))
}

/// The key and what stands behind its colon.
fn split_key(line: &str) -> Option<(&str, &str)> {
    let at = line.char_indices().find_map(|(at, c)| {
        let behind = &line[at + c.len_utf8()..];
        (c == ':' && (behind.is_empty() || behind.starts_with([' ', '\t']))).then_some(at)
    })?;
    let key = line[..at].trim_end();
    let odd = |c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ' | '/'));
    let usable = !key.is_empty() && !key.starts_with([' ', '-', '.']) && !key.contains(odd);
    usable.then(|| (key, &line[at + 1..]))
}

fn raw_text(rest: &str, block: &[Line<'_>]) -> String {
    std::iter::once(rest).chain(block.iter().map(|line| line.text)).collect::<Vec<_>>().join("\n")
}

/// The value and, where it stands on the line of its key, how many bytes it takes there.
fn read_value(rest: &str, block: &[Line<'_>]) -> Result<(Value, Option<usize>), String> {
    let bare = rest.is_empty() || rest.starts_with('#');
    if !block.is_empty() {
        return if bare {
            read_block(block).map(|list| (list, None))
        } else {
            Err("a value over several lines".into())
        };
    }
    if bare {
        return Ok((Value::Null, Some(0)));
    }
    let (value, length) = if rest.starts_with('[') { read_flow(rest)? } else { read_scalar(rest, "")? };
    let behind = &rest[length..];
    let tail = behind.trim_start();
    if tail.is_empty() || (tail.starts_with('#') && tail.len() < behind.len()) {
        return Ok((value, Some(length)));
    }
    Err("text behind the end of a value".into())
}

fn read_block(block: &[Line<'_>]) -> Result<Value, String> {
    let mut items = Vec::new();
    for line in block.iter().filter(|line| !line.is_idle()) {
        if line.text.starts_with('\t') {
            return Err("a tab where YAML wants spaces".into());
        }
        let text = line.text.trim_start();
        let item = text.strip_prefix("- ").ok_or("a nested value")?.trim_start();
        let (value, length) = read_scalar(item, "")?;
        let tail = item[length..].trim_start();
        if !(tail.is_empty() || tail.starts_with('#')) || split_key(item).is_some() {
            return Err("a nested value".into());
        }
        items.push(value.as_text().unwrap_or("null").to_owned());
    }
    Ok(Value::List(items))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> (Value, Option<String>) {
        let (entries, problems) = scan(text, 0);
        assert_eq!(entries.len(), 1, "{text:?}: {problems:?}");
        (entries[0].value.clone(), problems.first().map(|problem| problem.message.clone()))
    }

    fn list(items: &[&str]) -> Value {
        Value::List(items.iter().map(|item| (*item).to_owned()).collect())
    }

    #[test]
    fn reads_scalars_and_lists() {
        let table = [
            ("a:", Value::Null),
            ("a: ~", Value::Null),
            ("a: # note", Value::Null),
            ("a: 0.5", Value::Plain("0.5".into())),
            ("a: x y # note", Value::Plain("x y".into())),
            ("a: x\t# note # more", Value::Plain("x".into())),
            ("a: x#y", Value::Plain("x#y".into())),
            ("a: http://x", Value::Plain("http://x".into())),
            ("a: 'it''s'", Value::Text("it's".into())),
            (r#"a: "q\" \\ \n é \u00e9" # note"#, Value::Text("q\" \\ \n é é".into())),
            ("a: []", list(&[])),
            ("a: [x, 'y, z', \"w\" , v]", list(&["x", "y, z", "w", "v"])),
            ("a: [x,]", list(&["x"])),
            ("a:\n  - x\n\n  # note\n  - typed:b:c\n", list(&["x", "typed:b:c"])),
            ("a:\n- x\n- 'y'\n", list(&["x", "y"])),
        ];
        for (text, value) in table {
            assert_eq!(read(text), (value, None), "{text:?}");
        }
    }

    #[test]
    fn keeps_what_it_does_not_understand() {
        let table = [
            ("a: &x 1", "an anchor"),
            ("a: *x", "an alias"),
            ("a: !!str 1", "a tag"),
            ("a: {b: 1}", "a nested map"),
            ("a: |\n  text\n  more", "a value over several lines"),
            ("a:\n  b: 1", "a nested value"),
            ("a:\n  - b: 1", "a nested value"),
            ("a:\n\t- b", "a tab where YAML wants spaces"),
            ("a: [b", "a list that is not closed on its line"),
            ("a: [[b]]", "a nested value"),
            ("a: [b,,c]", "an empty item in a list"),
            ("a: \"b", "a quote that is not closed on its line"),
            ("a: \"b\\q\"", "an escape that is not known"),
            ("a: \"b\" c", "text behind the end of a value"),
        ];
        for (text, message) in table {
            let (value, problem) = read(text);
            assert!(matches!(value, Value::Raw(_)), "{text:?}: {value:?}");
            assert_eq!(problem.as_deref(), Some(message), "{text:?}");
        }
    }

    #[test]
    fn an_alias_bomb_stays_small() {
        let mut text = String::from("a: &a [x, x]\n");
        for c in 'b'..='z' {
            text.push_str(&format!("{c}: &{c} [*a, *a, *a, *a, *a, *a, *a, *a]\n"));
        }
        let (entries, problems) = scan(&text, 0);
        assert_eq!((entries.len(), problems.len()), (26, 26));
        assert!(entries.iter().all(|entry| matches!(entry.value, Value::Raw(_))));
    }

    #[test]
    fn reports_lines_that_are_no_keys_and_doubles() {
        let (entries, problems) = scan("a: 1\nnonsense\n- x\na: 2\n", 4);
        assert_eq!(entries.len(), 2);
        let found: Vec<_> = problems.iter().map(|problem| (problem.line, problem.message.as_str())).collect();
        assert_eq!(found, [(3, "not a `key: value` line"), (5, "the key `a` stands twice")]);
    }

    #[test]
    fn writes_text_that_other_readers_take_for_text() {
        let table = [
            ("use tabs", "use tabs"),
            ("typed:a:b", "typed:a:b"),
            ("", "\"\""),
            ("no", "\"no\""),
            ("12", "\"12\""),
            ("+", "\"+\""),
            ("a: b", "\"a: b\""),
            ("a #b", "\"a #b\""),
            ("a:", "\"a:\""),
            ("- a", "\"- a\""),
            ("a\n---\nb", "\"a\\n---\\nb\""),
            ("日本", "日本"),
        ];
        for (text, expected) in table {
            assert_eq!(Value::Text(text.into()).render(), expected, "{text:?}");
        }
        assert_eq!(list(&["a", "b,c"]).render(), "[a, \"b,c\"]");
        assert_eq!(Value::Plain("2026-05-05T12:00:00Z".into()).render(), "2026-05-05T12:00:00Z");
        assert_eq!(Value::Plain("x: y".into()).render(), "\"x: y\"");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(text in any::<String>(), items in prop::collection::vec(any::<String>(), 0..4)) {
            let mut writer = Writer::default();
            writer.text("a", &text).list("b", &items).block("c", items.clone());
            let out = writer.finish();
            let document = crate::Document::parse(&out);
            prop_assert!(document.entries().len() == 3, "{out}");
            prop_assert_eq!(document.value("a").and_then(Value::as_text), Some(text.as_str()));
            for key in ["b", "c"] {
                prop_assert_eq!(document.value(key).and_then(Value::as_list), Some(items.clone()));
            }
        }
    }
}
