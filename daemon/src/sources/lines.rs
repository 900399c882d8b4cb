//! Lines of a file, one at a time, none longer than a limit.
//!
//! A transcript is written while it is read, and a single line can hold hundreds of megabytes of pictures. A line over
//! the limit is passed over without being held; the last line is told apart when it has no end yet.

use std::io::{self, BufRead};

/// How many bytes a line may have; a longer one is skipped and counted.
pub const MAX_LINE_BYTES: usize = 16 * 1024 * 1024;

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// The bytes without their line end.
    Whole(&'a [u8]),
    /// The last bytes of the file, which no line end closes.
    Unfinished(&'a [u8]),
    /// A line over the limit.
    TooLong,
}

/// Reads lines into one buffer that is used again.
pub(super) struct Lines<R> {
    input: R,
    limit: usize,
    buffer: Vec<u8>,
    /// Bytes of the lines that have an end.
    used: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        Self::with_limit(input, MAX_LINE_BYTES)
    }

    fn with_limit(input: R, limit: usize) -> Self {
        Self { input, limit, buffer: Vec::new(), used: 0 }
    }

    /// How many bytes all lines so far have with their ends; one without an end does not count.
    pub(super) fn used(&self) -> u64 {
        self.used
    }

    /// The next line, or none at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        let (ended, length) = self.fill()?;
        Ok((ended || length > 0).then(|| self.line(ended, length)))
    }

    /// The next line that has its end, or none where the last one is still being written.
    pub(super) fn next_ended(&mut self) -> io::Result<Option<Line<'_>>> {
        let (ended, length) = self.fill()?;
        Ok(ended.then(|| self.line(ended, length)))
    }

    /// Reads up to the next line end into the buffer; whether there was one, and how long the line is.
    fn fill(&mut self) -> io::Result<(bool, usize)> {
        self.buffer.clear();
        let (mut length, mut ended) = (0_usize, false);
        while !ended {
            let chunk = match self.input.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if chunk.is_empty() {
                break;
            }
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let part = &chunk[..end.unwrap_or(chunk.len())];
            length += part.len();
            if length <= self.limit {
                self.buffer.extend_from_slice(part);
            }
            ended = end.is_some();
            let used = part.len() + usize::from(ended);
            self.input.consume(used);
        }
        self.used += if ended { length as u64 + 1 } else { 0 };
        Ok((ended, length))
    }

    fn line(&self, ended: bool, length: usize) -> Line<'_> {
        match ended {
            _ if length > self.limit => Line::TooLong,
            true => Line::Whole(self.buffer.strip_suffix(b"\r").unwrap_or(&self.buffer)),
            false => Line::Unfinished(&self.buffer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str, limit: usize) -> Vec<String> {
        let mut lines = Lines::with_limit(std::io::BufReader::with_capacity(3, text.as_bytes()), limit);
        let mut found = Vec::new();
        while let Some(line) = lines.next().expect("memory reads") {
            found.push(match line {
                Line::Whole(bytes) => format!("whole {}", String::from_utf8_lossy(bytes)),
                Line::Unfinished(bytes) => format!("unfinished {}", String::from_utf8_lossy(bytes)),
                Line::TooLong => "too long".to_owned(),
            });
        }
        found
    }

    #[test]
    fn lines_ends_and_the_limit() {
        let table: &[(&str, &[&str])] = &[
            ("", &[]),
            ("\n", &["whole "]),
            ("a\nb\n", &["whole a", "whole b"]),
            ("a\r\nb", &["whole a", "unfinished b"]),
            ("12345678\n", &["whole 12345678"]),
            ("123456789\nb\n", &["too long", "whole b"]),
            ("123456789", &["too long"]),
        ];
        for (text, expected) in table {
            assert_eq!(all(text, 8), *expected, "{text:?}");
        }
    }
}
