//! Secrets that give themselves away by how they begin.
//!
//! Sources: the token formats that the issuers publish for secret scanning.

use super::{Found, Scan};

/// How far after the id of an AWS key its secret is looked for, in bytes.
const AWS_NEAR: usize = 200;
/// A token has no longest length; nothing can begin inside a run that was read in vain, so each is read once.
const MAX_TOKEN: usize = usize::MAX;

/// What a token is made of after its prefix.
#[derive(Clone, Copy)]
enum Made {
    /// Letters and digits.
    Alnum,
    /// Letters, digits and `_`.
    Word,
    /// Letters, digits, `_` and `-`.
    Url,
}

impl Made {
    fn holds(self, byte: u8) -> bool {
        byte.is_ascii_alphanumeric()
            || (byte == b'_' && !matches!(self, Self::Alnum))
            || (byte == b'-' && matches!(self, Self::Url))
    }
}

/// Prefix, what follows, at least how many bytes of it, kind. The longer of two prefixes stands first.
const PREFIXES: &[(&str, Made, usize, &str)] = &[
    ("ghp_", Made::Alnum, 30, "github"),
    ("gho_", Made::Alnum, 30, "github"),
    ("ghu_", Made::Alnum, 30, "github"),
    ("ghs_", Made::Alnum, 30, "github"),
    ("ghr_", Made::Alnum, 30, "github"),
    ("github_pat_", Made::Word, 40, "github"),
    ("glpat-", Made::Url, 20, "gitlab"),
    ("sk-ant-", Made::Url, 20, "anthropic"),
    ("sk-", Made::Url, 20, "openai"),
    ("xoxa-", Made::Url, 10, "slack"),
    ("xoxb-", Made::Url, 10, "slack"),
    ("xoxe-", Made::Url, 10, "slack"),
    ("xoxo-", Made::Url, 10, "slack"),
    ("xoxp-", Made::Url, 10, "slack"),
    ("xoxr-", Made::Url, 10, "slack"),
    ("xoxs-", Made::Url, 10, "slack"),
    ("xapp-", Made::Url, 20, "slack"),
    ("sk_live_", Made::Alnum, 16, "stripe"),
    ("rk_live_", Made::Alnum, 16, "stripe"),
    ("sk_test_", Made::Alnum, 16, "stripe"),
    ("rk_test_", Made::Alnum, 16, "stripe"),
    ("whsec_", Made::Alnum, 24, "stripe"),
    ("AIza", Made::Url, 35, "google"),
    ("npm_", Made::Alnum, 36, "npm"),
    ("pypi-", Made::Url, 50, "pypi"),
    ("clone_", Made::Alnum, 40, "clone"),
    ("hf_", Made::Alnum, 34, "hugging-face"),
];

impl Scan<'_> {
    /// A token that begins at `i`.
    pub(super) fn token(&mut self, i: usize) -> Option<Found> {
        let found = match self.bytes[i] {
            b'a' | b'c' | b'g' | b'h' | b'n' | b'p' | b'r' | b's' | b'w' | b'x' => self.prefixed(i),
            b'A' => self.aws_id(i).or_else(|| self.prefixed(i)),
            b'e' => self.jwt(i),
            b'b' | b'B' => self.bearer(i),
            _ => None,
        };
        found.or_else(|| self.slack_hook(i)).or_else(|| self.aws_secret(i))
    }

    fn prefixed(&self, i: usize) -> Option<Found> {
        let rest = &self.bytes[i..];
        let (prefix, made, least, kind) = *PREFIXES.iter().find(|(prefix, ..)| rest.starts_with(prefix.as_bytes()))?;
        if matches!(made, Made::Url) && self.after_dash(i) {
            return None;
        }
        let start = i + prefix.len();
        let end = self.run(start, MAX_TOKEN, |byte| made.holds(byte));
        let body = &self.bytes[start..end];
        let long = body.len() >= least && !self.goes_on(end);
        let likely = match kind {
            "openai" => has_random_run(body),
            "slack" | "gitlab" => body.iter().any(u8::is_ascii_digit),
            _ => is_mixed(body),
        };
        (long && likely).then_some(Found { range: i..end, kind })
    }

    /// Whether a `-` stands before: then this is the middle of a longer run.
    fn after_dash(&self, i: usize) -> bool {
        i > 0 && self.bytes[i - 1] == b'-'
    }

    /// Whether a word goes on where a token ended: then it was part of something else.
    fn goes_on(&self, end: usize) -> bool {
        self.bytes.get(end).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
    }

    fn aws_id(&mut self, i: usize) -> Option<Found> {
        let rest = &self.bytes[i..];
        if !rest.starts_with(b"AKIA") && !rest.starts_with(b"ASIA") {
            return None;
        }
        let end = self.run(i, 21, |byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        let whole = end - i == 20 && !self.goes_on(end);
        whole.then(|| {
            self.aws_until = end + AWS_NEAR;
            Found { range: i..end, kind: "aws-key-id" }
        })
    }

    /// Forty characters of base64 near the id of a key; a git hash has no capitals.
    fn aws_secret(&self, i: usize) -> Option<Found> {
        if i >= self.aws_until {
            return None;
        }
        let in_secret = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'/' || byte == b'+';
        let start = if i > 0 && in_secret(self.bytes[i - 1]) { return None } else { i };
        let end = self.run(start, 41, in_secret);
        let body = &self.bytes[start..end];
        let mixed =
            is_mixed(body) && body.iter().any(u8::is_ascii_uppercase) && body.iter().any(u8::is_ascii_lowercase);
        (body.len() == 40 && mixed && !self.goes_on(end)).then_some(Found { range: start..end, kind: "aws-secret" })
    }

    /// Three parts of base64url, the first of which begins a JSON object.
    fn jwt(&self, i: usize) -> Option<Found> {
        if !self.bytes[i..].starts_with(b"eyJ") || self.after_dash(i) {
            return None;
        }
        let mut end = i;
        for part in 0..3 {
            let start = if part == 0 { i } else { end + 1 };
            if part > 0 && self.bytes.get(end) != Some(&b'.') {
                return None;
            }
            end = self.run(start, MAX_TOKEN, |byte| Made::Url.holds(byte));
            if end.saturating_sub(start) < 8 {
                return None;
            }
        }
        Some(Found { range: i..end, kind: "jwt" })
    }

    /// What follows the word `Bearer`, where it looks like a token and not like prose.
    fn bearer(&self, i: usize) -> Option<Found> {
        let word = self.bytes.get(i..i + 7)?;
        if !word.eq_ignore_ascii_case(b"bearer ") {
            return None;
        }
        let start = i + 7;
        let end = self.run(start, MAX_TOKEN, |byte| Made::Url.holds(byte) || b".~+/=".contains(&byte));
        let body = &self.bytes[start..end];
        (body.len() >= 16 && is_mixed(body)).then_some(Found { range: start..end, kind: "bearer" })
    }

    /// The path of an incoming hook of Slack, which is all it takes to post there.
    fn slack_hook(&self, i: usize) -> Option<Found> {
        let host = b"hooks.slack.com/services/";
        if !self.bytes[i..].starts_with(host) {
            return None;
        }
        let start = i + host.len();
        let end = self.run(start, MAX_TOKEN, |byte| byte.is_ascii_alphanumeric() || byte == b'/');
        (end - start >= 20).then_some(Found { range: start..end, kind: "slack" })
    }

    /// A private key from its first line to its last, or to where its lines stop looking like one.
    pub(super) fn pem(&self, i: usize) -> Option<Found> {
        let title_end = i + 11 + self.text[i + 11..].bytes().take(60).position(|byte| byte == b'-')?;
        if !self.bytes[i + 11..title_end].ends_with(b"PRIVATE KEY") || !self.bytes[title_end..].starts_with(b"-----") {
            return None;
        }
        let body = title_end + 5;
        let kind = "private-key";
        if let Some(end) = self.pem_end(body) {
            return Some(Found { range: i..end, kind });
        }
        let mut end = body;
        loop {
            let gap =
                self.run(end, 8, |byte| byte.is_ascii_whitespace() || byte == b'\\' || byte == b'n' || byte == b'r');
            let line = self.run(gap, MAX_TOKEN, |byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte));
            if line - gap < 16 {
                break;
            }
            end = line;
        }
        (end > body).then_some(Found { range: i..end, kind })
    }

    /// The end of the block, when the next row of dashes ends it and does not begin another: so no text is read twice.
    fn pem_end(&self, body: usize) -> Option<usize> {
        let start = body + self.text[body..].find("-----")?;
        let title = start + self.bytes[start..].strip_prefix(b"-----END ").map(|_| 9)?;
        let dashes = title + self.text[title..].bytes().take(60).position(|byte| byte == b'-')?;
        let whole = self.bytes[title..dashes].ends_with(b"PRIVATE KEY") && self.bytes[dashes..].starts_with(b"-----");
        whole.then_some(dashes + 5)
    }
}

/// Letters and digits both: a name made of words alone is no token.
fn is_mixed(body: &[u8]) -> bool {
    body.iter().any(u8::is_ascii_digit) && body.iter().any(u8::is_ascii_alphabetic)
}

/// A stretch of 16 or more letters and digits, mixed: names of packages and files are words joined by `-`.
fn has_random_run(body: &[u8]) -> bool {
    body.split(|byte| !byte.is_ascii_alphanumeric()).any(|run| run.len() >= 16 && is_mixed(run))
}
