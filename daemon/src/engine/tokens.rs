//! Access tokens and when keys were used: in memory, gone with the process. Takes `now`, reads no clock.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use clone_schema::Timestamp;

/// Access tokens at once; the oldest gives way.
pub const TOKENS_MAX: usize = 256;

/// One access token, known by its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presented {
    /// The key that renews it.
    pub key_id: String,
    /// Until when it is good.
    pub until: Timestamp,
}

/// What is known of credentials beside the log.
#[derive(Debug, Default)]
pub struct Tokens {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    access: BTreeMap<String, Presented>,
    used: BTreeMap<String, Timestamp>,
    noted: BTreeMap<String, Timestamp>,
}

impl Tokens {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a token in; those that are over go, and the oldest where there are too many.
    pub fn put(&self, hash: String, token: Presented, now: Timestamp) {
        let mut kept = self.kept();
        kept.access.retain(|_, known| known.until > now);
        while kept.access.len() >= TOKENS_MAX {
            let oldest = kept.access.iter().min_by_key(|(_, known)| known.until).map(|(hash, _)| hash.clone());
            let Some(oldest) = oldest else { break };
            kept.access.remove(&oldest);
        }
        kept.access.insert(hash, token);
    }

    /// The key of a token that is good now.
    #[must_use]
    pub fn key_of(&self, hash: &str, now: Timestamp) -> Option<String> {
        self.kept().access.get(hash).filter(|known| known.until > now).map(|known| known.key_id.clone())
    }

    /// Ends every token of a key.
    pub fn end(&self, key_id: &str) {
        self.kept().access.retain(|_, known| known.key_id != key_id);
    }

    /// Remembers a use; the instant for which an event was last written, where one was.
    pub fn used(&self, key_id: &str, now: Timestamp) -> Option<Timestamp> {
        let mut kept = self.kept();
        kept.used.insert(key_id.to_owned(), now);
        kept.noted.get(key_id).copied()
    }

    /// Remembers that an event says so.
    pub fn noted(&self, key_id: &str, now: Timestamp) {
        self.kept().noted.insert(key_id.to_owned(), now);
    }

    /// When a key was last used since the process began.
    #[must_use]
    pub fn last_used(&self, key_id: &str) -> Option<Timestamp> {
        self.kept().used.get(key_id).copied()
    }
}

#[cfg(test)]
mod tests {
    use clone_schema::time::parse;

    use super::*;

    fn at(text: &str) -> Timestamp {
        parse(&format!("2026-01-01T{text}Z")).expect("an instant")
    }

    fn token(key: &str, until: &str) -> Presented {
        Presented { key_id: key.to_owned(), until: at(until) }
    }

    #[test]
    fn a_token_is_good_until_its_time_and_not_longer() {
        let tokens = Tokens::default();
        tokens.put("h".to_owned(), token("k", "11:00:00"), at("10:00:00"));
        for (now, good) in [("10:00:00", true), ("10:59:59", true), ("11:00:00", false), ("12:00:00", false)] {
            assert_eq!(tokens.key_of("h", at(now)).is_some(), good, "{now}");
        }
        assert_eq!(tokens.key_of("other", at("10:00:00")), None);
    }

    #[test]
    fn the_end_of_a_key_ends_its_tokens_alone() {
        let tokens = Tokens::default();
        tokens.put("a".to_owned(), token("k", "11:00:00"), at("10:00:00"));
        tokens.put("b".to_owned(), token("l", "11:00:00"), at("10:00:00"));
        tokens.end("k");
        assert_eq!(tokens.key_of("a", at("10:00:00")), None);
        assert_eq!(tokens.key_of("b", at("10:00:00")).as_deref(), Some("l"));
    }

    #[test]
    fn there_are_never_too_many_and_the_oldest_gives_way() {
        let tokens = Tokens::default();
        for n in 0..=TOKENS_MAX {
            let until = format!("11:{:02}:{:02}", n / 60, n % 60);
            tokens.put(n.to_string(), token("k", &until), at("10:00:00"));
        }
        assert_eq!(tokens.kept().access.len(), TOKENS_MAX);
        assert_eq!(tokens.key_of("0", at("10:00:00")), None);
        assert!(tokens.key_of(&TOKENS_MAX.to_string(), at("10:00:00")).is_some());
    }

    #[test]
    fn uses_are_exact_and_notes_apart() {
        let tokens = Tokens::default();
        assert_eq!(tokens.used("k", at("10:00:00")), None);
        tokens.noted("k", at("10:00:00"));
        assert_eq!(tokens.used("k", at("10:30:00")), Some(at("10:00:00")));
        assert_eq!(tokens.last_used("k"), Some(at("10:30:00")));
        assert_eq!(tokens.last_used("l"), None);
    }
}
