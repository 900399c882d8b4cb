//! Takes secrets of known shapes out of a text, leaving `[secret:<kind>]`.
//!
//! Pure and linear: each byte is looked at once for what could begin a secret, and only then are the bytes after it read,
//! up to a limit. What it leaves is a fixed point: scrubbing again changes nothing, so where something was found it looks
//! again, because what was put there may complete the shape of another. It knows shapes, not meaning: a password in a
//! sentence goes unseen, and an ordinary word is never taken for one.

mod assign;
mod token;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use clone_schema::Event;

/// A text without its secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scrubbed<'a> {
    /// The text; borrowed where nothing was found.
    pub text: Cow<'a, str>,
    /// How many secrets of each kind were taken out.
    pub found: BTreeMap<&'static str, u32>,
}

/// How often a text is gone through at most; two is what texts with secrets take, more only what was made to.
const PASSES: usize = 8;
/// How a replaced secret begins.
const MARK: &str = "[secret:";

/// Where a secret stands and what it is. Its ends are character boundaries, since secrets begin and end in ASCII.
struct Found {
    range: Range<usize>,
    kind: &'static str,
}

/// Replaces every secret of a known shape.
#[must_use]
pub fn scrub(text: &str) -> Scrubbed<'_> {
    let mut out = once(text);
    for _ in 1..PASSES {
        let Cow::Owned(text) = &out.text else { break };
        let Scrubbed { text: Cow::Owned(text), found } = once(text) else { break };
        out.text = Cow::Owned(text);
        for (kind, count) in found {
            *out.found.entry(kind).or_default() += count;
        }
    }
    out
}

/// Goes through a text from its beginning to its end.
fn once(text: &str) -> Scrubbed<'_> {
    let mut found = BTreeMap::new();
    let mut scan = Scan { text, bytes: text.as_bytes(), aws_until: 0 };
    let (mut out, mut kept, mut at) = (String::new(), 0, 0);
    while let Some(secret) = scan.next(&mut at) {
        out.push_str(&text[kept..secret.range.start]);
        out.push_str(MARK);
        out.push_str(secret.kind);
        out.push(']');
        kept = secret.range.end;
        at = kept;
        *found.entry(secret.kind).or_default() += 1;
    }
    if kept == 0 {
        return Scrubbed { text: Cow::Borrowed(text), found };
    }
    out.push_str(&text[kept..]);
    Scrubbed { text: Cow::Owned(out), found }
}

/// Scrubs every text of an event in place and says what was taken out.
pub fn scrub_event(event: &mut Event) -> BTreeMap<&'static str, u32> {
    let mut all = BTreeMap::new();
    for text in event.texts_mut() {
        let Scrubbed { text: clean, found } = scrub(text);
        if let Cow::Owned(clean) = clean {
            *text = clean;
        }
        for (kind, count) in found {
            *all.entry(kind).or_default() += count;
        }
    }
    all
}

/// What is known while going through a text.
struct Scan<'a> {
    text: &'a str,
    bytes: &'a [u8],
    /// Up to here a secret key may follow the id of an AWS key.
    aws_until: usize,
}

impl Scan<'_> {
    /// The next secret from `at` on, moving `at` along.
    fn next(&mut self, at: &mut usize) -> Option<Found> {
        while *at < self.bytes.len() {
            let i = *at;
            *at += 1;
            let found = match self.bytes[i] {
                b'=' | b':' => self.assigned(i),
                b'-' if self.bytes[i..].starts_with(b"-----BEGIN ") => self.pem(i),
                byte if byte.is_ascii_alphanumeric() && self.begins_word(i) => self.token(i),
                _ => None,
            };
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// Whether a token may begin here: in the middle of a word it may not.
    fn begins_word(&self, i: usize) -> bool {
        i == 0 || !is_word(self.bytes[i - 1])
    }

    /// The end of the run of bytes from `start` on for which `keep` holds, at most `limit` long.
    fn run(&self, start: usize, limit: usize, keep: impl Fn(u8) -> bool) -> usize {
        let end = self.bytes.len().min(start.saturating_add(limit));
        self.bytes[start.min(end)..end].iter().position(|byte| !keep(*byte)).map_or(end, |length| start + length)
    }
}

/// A byte of a word, as far as tokens go; any byte of a letter outside ASCII counts as one.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

#[cfg(test)]
mod tests;
