//! Identifiers that stay the same when everything derived is rebuilt.

use serde::{Deserialize, Serialize};

/// A place in the log, given at append, never reused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(pub u64);

impl Position {
    /// The position after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

const CROCKFORD: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// The first `length` Crockford base-32 characters of the BLAKE3 hash over length-prefixed parts.
///
/// Prefixing every part with its length keeps `("ab", "c")` and `("a", "bc")` apart.
#[must_use]
pub fn digest(parts: &[&str], length: usize) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let hash = hasher.finalize();
    let bits = hash.as_bytes().iter().flat_map(|byte| (0..8).rev().map(move |i| (byte >> i) & 1));
    let bits: Vec<u8> = bits.take(length * 5).collect();
    bits.chunks(5)
        .map(|group| group.iter().fold(0_usize, |acc, bit| acc * 2 + usize::from(*bit)))
        .map(|index| char::from(CROCKFORD[index]))
        .collect()
}

/// The id of an episode: `epi_` and ten characters over (session, first event).
#[must_use]
pub fn episode(session_id: &str, first_event: &str) -> String {
    format!("epi_{}", digest(&[session_id, first_event], 10))
}

/// What a fact says, apart from how often it was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Claim {
    /// `preference`, `habit`, `skill`, `artifact`, ...
    pub kind: String,
    /// Whom or what it is about.
    pub subject: String,
    /// Which property.
    pub attribute: String,
    /// Where it holds (a project, an agent), empty for everywhere.
    pub scope: String,
    /// The value; the normalised text where a fact has no slots.
    pub value: String,
    /// `+` or `-`.
    pub polarity: String,
}

impl Claim {
    /// The id of a fact that makes this claim: `fct_` and ten characters over the claim and its first evidence event.
    #[must_use]
    pub fn fact_id(&self, first_evidence: &str) -> String {
        let parts = [
            self.kind.as_str(),
            &self.subject,
            &self.attribute,
            &self.scope,
            &self.value,
            &self.polarity,
            first_evidence,
        ];
        format!("fct_{}", digest(&parts, 10))
    }
}

/// Lower case, every run of anything but letters and digits one space: the form in which two texts are the same.
#[must_use]
pub fn normal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars().flat_map(char::to_lowercase) {
        if c.is_alphanumeric() {
            out.push(c);
        } else if !out.is_empty() && !out.ends_with(' ') {
            out.push(' ');
        }
    }
    if out.ends_with(' ') {
        out.pop();
    }
    out
}

/// Whether this is the normal form of a text; says no at the first letter that differs, and builds nothing.
#[must_use]
pub fn is_normal(text: &str, normal: &str) -> bool {
    let (mut left, mut begun, mut gap) = (normal.chars(), false, false);
    for c in text.chars().flat_map(char::to_lowercase) {
        if !c.is_alphanumeric() {
            gap = begun;
            continue;
        }
        if std::mem::take(&mut gap) && left.next() != Some(' ') || left.next() != Some(c) {
            return false;
        }
        begun = true;
    }
    left.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_keep_parts_apart_and_have_a_fixed_alphabet() {
        assert_ne!(digest(&["ab", "c"], 10), digest(&["a", "bc"], 10));
        let id = episode("s", "e");
        assert_eq!(id.len(), 14);
        assert!(id[4..].bytes().all(|b| CROCKFORD.contains(&b)), "{id}");
    }

    #[test]
    fn ids_never_change_between_versions() {
        assert_eq!(episode("session-1", "event-1"), "epi_fh21m3tr3s");
        let claim = Claim { kind: "preference".into(), value: "use tabs".into(), ..Claim::default() };
        assert_eq!(claim.fact_id("event-1"), "fct_zfpf924126");
    }

    #[test]
    fn normal_form() {
        for (text, expected) in
            [("  Yes, Please! ", "yes please"), ("a_b--c", "a b c"), ("", ""), ("!!", ""), ("日本 語", "日本 語")]
        {
            assert_eq!(normal(text), expected, "{text:?}");
            for other in ["yes please", "a b c", "a b", "a b c d", "", " ", "日本 語", "yesplease", "ab c"] {
                assert_eq!(is_normal(text, other), other == expected, "{text:?} {other:?}");
            }
        }
    }
}
