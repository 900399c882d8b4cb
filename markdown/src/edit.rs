//! Sets one key of the front matter and leaves every other byte alone.

use crate::document::{Document, Header};
use crate::front_matter::Value;

/// Why a file was left as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The front matter is not closed or too large; adding to it could put our words into the person's text.
    #[error("the front matter is broken")]
    Broken,
    /// The value is text that we do not understand and would lose.
    #[error("the value of `{key}` is not understood")]
    Raw {
        /// Which key.
        key: String,
    },
    /// The value is a list over several lines with a comment in it, which one line would lose.
    #[error("the value of `{key}` holds a comment")]
    Comment {
        /// Which key.
        key: String,
    },
}

/// The text with this key set: the value alone changes; a new key becomes the last line of the front matter.
///
/// # Errors
///
/// [`Error`] when the change could cost something that a person wrote; the file is then left to the person.
pub fn set(text: &str, key: &str, value: &Value) -> Result<String, Error> {
    let document = Document::parse(text);
    let newline = document.line_ending().as_str();
    let rendered = value.render();
    if let Some(entry) = document.entry(key) {
        if matches!(entry.value, Value::Raw(_)) {
            return Err(Error::Raw { key: key.to_owned() });
        }
        let span = entry.value_span.clone();
        if holds_comment(&text[span.clone()]) {
            return Err(Error::Comment { key: key.to_owned() });
        }
        // `key:` alone, or a block list below it, has no space behind the colon.
        let space = if text[..span.start].ends_with(':') { " " } else { "" };
        let gap = if span.is_empty() && text[span.end..].starts_with('#') { " " } else { "" };
        return Ok(format!("{}{space}{rendered}{gap}{}", &text[..span.start], &text[span.end..]));
    }
    let line = format!("{key}: {rendered}{newline}");
    match document.header() {
        Header::Broken => Err(Error::Broken),
        Header::Read(span) => Ok(format!("{}{line}{}", &text[..span.end], &text[span.end..])),
        Header::None if text.len() > crate::document::MAX_FILE => Err(Error::Broken),
        Header::None => {
            let (bom, body) = text.split_at(document.body_start());
            Ok(format!("{bom}---{newline}{line}---{newline}{newline}{body}"))
        }
    }
}

/// Whether a value over several lines holds a comment; a quoted ` #` counts as one too, which costs an edit at the most.
fn holds_comment(value: &str) -> bool {
    let opens = |at: usize| value[..at].chars().next_back().is_none_or(char::is_whitespace);
    value.contains('\n') && value.match_indices('#').any(|(at, _)| opens(at))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plain(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn changes_one_value() {
        let table = [
            ("---\nid: a # note\nx: &y 1\n---\nbody", "id", "---\nid: new # note\nx: &y 1\n---\nbody"),
            ("---\r\nid: 'a'\r\nx: 1\r\n---\r\nbody", "id", "---\r\nid: new\r\nx: 1\r\n---\r\nbody"),
            ("---\nid:\nx: 1\n---\n", "id", "---\nid: new\nx: 1\n---\n"),
            ("---\nid: # note\n---\n", "id", "---\nid: new # note\n---\n"),
            ("---\nid:\n  - a\n  - b\nx: 1\n---\n", "id", "---\nid: new\nx: 1\n---\n"),
            ("---\nx: 1\n---\nbody", "id", "---\nx: 1\nid: new\n---\nbody"),
            ("\u{feff}a\r\nb", "id", "\u{feff}---\r\nid: new\r\n---\r\n\r\na\r\nb"),
            ("", "id", "---\nid: new\n---\n\n"),
        ];
        for (text, key, expected) in table {
            assert_eq!(set(text, key, &plain("new")).as_deref(), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn leaves_broken_files_alone() {
        assert_eq!(set("---\nid: a\n", "id", &plain("b")), Err(Error::Broken));
        assert_eq!(set("---\nid: &a b\n---\n", "id", &plain("b")), Err(Error::Raw { key: "id".into() }));
        for list in ["\n  - a\n  # why\n  - b", "\n# why\n- b", " # why\n  - b", "\n  - a\t# why"] {
            let text = format!("---\nid:{list}\nx: 1\n---\n");
            assert_eq!(set(&text, "id", &plain("b")), Err(Error::Comment { key: "id".into() }), "{list:?}");
        }
    }

    proptest! {
        #[test]
        fn other_lines_stay(
            before in prop::collection::vec("[b-z]: [a-z'\"#\\[ ]{0,8}", 0..4),
            body in "(?s).{0,40}",
            value in any::<String>(),
            crlf in any::<bool>(),
        ) {
            let newline = if crlf { "\r\n" } else { "\n" };
            let head: String = before.iter().map(|line| format!("{line}{newline}")).collect();
            let text = format!("---{newline}{head}a: old{newline}---{newline}{body}");
            let changed = set(&text, "a", &plain(&value)).expect("the key is there");
            let (front, back) = (format!("---{newline}{head}a: "), format!("{newline}---{newline}{body}"));
            prop_assert!(changed.starts_with(&front) && changed.ends_with(&back), "{}", changed);
            let read = Document::parse(&changed);
            prop_assert_eq!(read.value("a").and_then(Value::as_text), Some(value.as_str()));
            prop_assert_eq!(read.body(), body);
        }
    }
}
