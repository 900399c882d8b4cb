//! The only place that prints: data to standard output, everything else to standard error.
//!
//! Text that came from elsewhere is made harmless first: control characters, escape sequences and direction overrides
//! never reach a terminal. A reader that went away is success.

use std::fmt::Display;
use std::io::{IsTerminal, Write};

use clone_schema::text::{clipped, one_line};
use serde_json::{Value, json};

use crate::failure::Failure;

/// Prints one line of data.
pub fn line(text: impl Display) {
    out(&format!("{}\n", harmless(&text.to_string())));
}

/// Prints text of several lines as data.
pub fn text(text: &str) {
    for one in text.lines() {
        line(one);
    }
}

/// Prints a JSON value as data, indented.
pub fn value(value: &Value) {
    out(&format!("{}\n", serde_json::to_string_pretty(value).unwrap_or_default()));
}

/// Prints one JSON text as data, on one line.
pub fn json_line(json: &str) {
    out(&format!("{}\n", harmless_json(json)));
}

/// Prints a note for the person, which is not data.
pub fn note(text: impl Display) {
    let mut err = std::io::stderr().lock();
    let _gone = writeln!(err, "{}", harmless(&text.to_string()));
}

/// Overwrites one line of progress; silent where nobody watches.
pub fn progress(text: impl Display) {
    let mut err = std::io::stderr();
    if err.is_terminal() {
        let _gone = write!(err, "\r\x1b[K{}", harmless(&text.to_string()));
        let _gone = err.flush();
    }
}

/// Ends a line of progress.
pub fn progress_end() {
    progress("");
}

/// Prints a failure: as JSON on standard output where JSON was asked for, else two lines on standard error.
pub fn failure(failure: &Failure, as_json: bool) {
    if as_json {
        value(&json!({"error": failure.message, "hint": failure.hint}));
        return;
    }
    note(format!("error: {}", failure.message));
    if let Some(hint) = &failure.hint {
        note(format!("hint: {hint}"));
    }
}

/// The first so many characters of a text, on one line.
#[must_use]
pub fn cut(text: &str, characters: usize) -> String {
    clipped(one_line(text), characters)
}

/// A number of things, in the singular where it is one.
#[must_use]
pub fn count(number: u64, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

/// A size in bytes that a person can read.
#[must_use]
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{}.{} kB", bytes / 1_000, bytes / 100 % 10),
        1_000_000..1_000_000_000 => format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10),
        _ => format!("{}.{} GB", bytes / 1_000_000_000, bytes / 100_000_000 % 10),
    }
}

/// A time to the second, without the letters between: `2026-05-05 12:00:00Z`.
#[must_use]
pub fn moment(instant: &str) -> String {
    let seconds = instant.get(..19).filter(|_| instant.ends_with('Z'));
    seconds.map_or_else(|| instant.to_owned(), |seconds| format!("{}Z", seconds.replacen('T', " ", 1)))
}

/// A percentage with one decimal.
#[must_use]
pub fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn out(text: &str) {
    let mut out = std::io::stdout().lock();
    if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush())
        && error.kind() == std::io::ErrorKind::BrokenPipe
    {
        // Whoever read us has seen enough; that is no failure.
        std::process::exit(0);
    }
}

/// The text without anything that a terminal would obey.
#[must_use]
pub fn harmless(text: &str) -> String {
    text.chars().filter(|c| *c == '\n' || *c == '\t' || !obeyed(*c)).collect()
}

/// The same JSON value on one line, and in no terminal anything but text: what one would obey is escaped.
#[must_use]
pub fn harmless_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            // Such a one stands between the parts of JSON; inside a string it is escaped already.
            '\n' | '\r' | '\t' => out.push(' '),
            c if obeyed(c) => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

fn obeyed(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_gets_through() {
        for (text, expected) in [
            ("plain\ttab", "plain\ttab"),
            ("\x1b[31mred\x1b]52;c;aGk=\x07", "[31mred]52;c;aGk="),
            ("a\u{9b}31mb", "a31mb"),
            ("left\u{202e}right", "leftright"),
        ] {
            assert_eq!(harmless(text), expected);
        }
    }

    #[test]
    fn json_stays_the_same_value_and_holds_nothing_that_a_terminal_obeys() {
        let text = "{\"a\":\n\"x\u{9b}31m\u{202e}\u{7f} \\u001b[0m\"}";
        let shown = harmless_json(text);
        assert_eq!(shown, "{\"a\": \"x\\u009b31m\\u202e\\u007f \\u001b[0m\"}");
        let value = |json: &str| serde_json::from_str::<Value>(json).expect("JSON");
        assert_eq!(value(&shown), value(text));
    }

    #[test]
    fn numbers_and_times_for_a_person() {
        assert_eq!((count(1, "file"), count(0, "file")), ("1 file".to_owned(), "0 files".to_owned()));
        for (bytes, expected) in [(999, "999 B"), (41_798, "41.7 kB"), (2_035_487, "2.0 MB"), (7 << 30, "7.5 GB")] {
            assert_eq!(size(bytes), expected);
        }
        assert_eq!(moment("2026-05-05T12:00:00.123456789Z"), "2026-05-05 12:00:00Z");
        assert_eq!((moment("-"), moment("日本語日本語日本語Z")), ("-".to_owned(), "日本語日本語日本語Z".to_owned()));
    }

    #[test]
    fn cuts_by_characters_on_one_line() {
        assert_eq!(cut("a\nb  c", 10), "a b c");
        assert_eq!(cut("日本語です", 3), "日本語…");
    }
}
