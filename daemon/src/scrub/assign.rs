//! Secrets that are known by the name in front of them: `API_KEY=…`, `"password": "…"`, `scheme://user:…@host`.
//!
//! `NAME=value` in capitals is how environments are written, and its value is taken as it stands. In lower case it is
//! as often code, so there the value must be quoted or look random. References (`$TOKEN`, `process.env.TOKEN`) and
//! placeholders (`your-key-here`) are left alone in both.

use super::{Found, MARK, Scan};

/// How long a name may be, in bytes.
const MAX_NAME: usize = 64;
/// How long a value may be, in bytes; what is longer is not a password.
const MAX_VALUE: usize = 1024;
/// How short a value may be.
const MIN_VALUE: usize = 8;

/// How a name ends that stands for a secret, in lower case.
const NAMES: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "api_key",
    "apikey",
    "api-key",
    "secret_key",
    "secretkey",
    "access_key",
    "accesskey",
    "auth_key",
    "private_key",
    "encryption_key",
    "credentials",
];

/// What stands where a secret would be put.
const PLACEHOLDERS: &[&str] = &[
    "your",
    "example",
    "placeholder",
    "changeme",
    "change-me",
    "change_me",
    "xxxx",
    "****",
    "....",
    "redacted",
    "undefined",
    "insert",
    "process.env",
    "os.environ",
    "getenv",
    "secrets.",
];

impl Scan<'_> {
    /// A secret that the `=` or `:` at `i` gives to a name, or that an address carries.
    pub(super) fn assigned(&self, i: usize) -> Option<Found> {
        if self.bytes[i] == b':' && self.bytes[i..].starts_with(b"://") {
            return self.address(i + 3);
        }
        let (name, quoted_name) = self.name_before(i)?;
        if !NAMES.iter().any(|end| ends_with(name, end)) {
            return None;
        }
        let start = self.run(i + 1, 4, |byte| byte == b' ');
        let tight = self.bytes[i] == b'=' && start == i + 1 && self.bytes[i - 1] != b' ' && !quoted_name;
        let environment = tight && !name.bytes().any(|byte| byte.is_ascii_lowercase());
        let (range, quoted) = self.value(start, environment)?;
        let value = &self.text[range.clone()];
        let refused = value.len() < MIN_VALUE || (!environment && !quoted && !is_random(value)) || is_reference(value);
        if refused || (quoted && !environment && value.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')) {
            return None;
        }
        Some(Found { kind: self.kind_of(&range), range })
    }

    /// The name that ends before `i`, and whether it stands in quotes.
    fn name_before(&self, i: usize) -> Option<(&str, bool)> {
        let floor = i.saturating_sub(MAX_NAME);
        let mut end = i;
        while end > floor && self.bytes[end - 1] == b' ' {
            end -= 1;
        }
        let quoted = end > floor && matches!(self.bytes[end - 1], b'"' | b'\'');
        if quoted {
            end -= 1;
            // A quote inside a JSON text carries a backslash.
            end -= usize::from(end > floor && self.bytes[end - 1] == b'\\');
        }
        let mut start = end;
        while start > floor && (self.bytes[start - 1].is_ascii_alphanumeric() || b"_-".contains(&self.bytes[start - 1]))
        {
            start -= 1;
        }
        (start < end).then(|| (&self.text[start..end], quoted))
    }

    /// The value from `start` on, without its quotes, and whether it had any.
    fn value(&self, start: usize, environment: bool) -> Option<(std::ops::Range<usize>, bool)> {
        let escaped = self.bytes.get(start) == Some(&b'\\');
        let start = start + usize::from(escaped);
        let quote = self.bytes.get(start).copied().filter(|byte| matches!(byte, b'"' | b'\''));
        if let Some(quote) = quote {
            let from = start + 1;
            let end = self.run(from, MAX_VALUE, |byte| byte != quote && byte != b'\\' && !byte.is_ascii_whitespace());
            let closed = self.bytes.get(end).is_some_and(|byte| *byte == quote || *byte == b'\\');
            return closed.then_some((from..end, true));
        }
        let ends = |byte: u8| {
            byte.is_ascii_whitespace() || b"\"'`;&|\\".contains(&byte) || (!environment && b",()[]{}<>".contains(&byte))
        };
        let end = self.run(start, MAX_VALUE, |byte| !ends(byte));
        let call = self.bytes.get(end).is_some_and(|byte| b"([".contains(byte));
        (!escaped && !call && end - start < MAX_VALUE).then_some((start..end, false))
    }

    /// A value that is a token of a known shape is called by that shape.
    fn kind_of(&self, range: &std::ops::Range<usize>) -> &'static str {
        let mut scan = Scan { text: self.text, bytes: self.bytes, aws_until: 0 };
        let token = self.bytes[range.start].is_ascii_alphanumeric().then(|| scan.token(range.start)).flatten();
        token.filter(|token| token.range == *range).map_or("assignment", |token| token.kind)
    }

    /// The user and password in front of an address's host.
    fn address(&self, start: usize) -> Option<Found> {
        let in_user = |byte: u8| byte.is_ascii_graphic() && !b"/?#@\"'`<>\\[]".contains(&byte);
        let end = self.run(start, MAX_VALUE, in_user);
        if self.bytes.get(end) != Some(&b'@') {
            return None;
        }
        let (user, password) = self.text[start..end].split_once(':')?;
        let reference = password.starts_with(['$', '{', '%', '*']) && !password.starts_with("%2");
        let found = !password.is_empty() && !reference && !user.starts_with(MARK);
        found.then_some(Found { range: start + user.len() + 1..end, kind: "url" })
    }
}

/// Whether a name ends so, letter case ignored.
fn ends_with(name: &str, end: &str) -> bool {
    let tail = name.len().checked_sub(end.len()).and_then(|from| name.as_bytes().get(from..));
    tail.is_some_and(|tail| tail.eq_ignore_ascii_case(end.as_bytes()))
}

/// Names what holds the secret, or stands where one would be.
fn is_reference(value: &str) -> bool {
    if value.starts_with(['$', '<', '{', '(', '[', '%', '=', '>', '@']) {
        return true;
    }
    let lower = value.to_ascii_lowercase();
    let path = value.starts_with(['/', '~', '.']) && value.contains('/') && lower == value;
    let elsewhere = path || value.contains("://") || is_path_of_names(value);
    elsewhere || PLACEHOLDERS.iter().any(|part| lower.contains(part))
}

/// `settings.SECRET_KEY`, `self.token_source`: names joined by dots, without a digit.
fn is_path_of_names(value: &str) -> bool {
    let is_name = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    value.contains('.') && value.split('.').all(is_name)
}

/// Letters and two digits at least: what a name, a type or a word in a sentence seldom has.
fn is_random(value: &str) -> bool {
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    digits >= 2
        && value.bytes().any(|byte| byte.is_ascii_alphabetic())
        && !value.contains("::")
        && !value.contains("//")
}
