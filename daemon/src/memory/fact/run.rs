//! Words that carry meaning and stand together in a clause, and whether what stands around them turns them down.

use crate::memory::words::content;

/// The most words of a clause that are read.
const MAX_CONTENT: usize = 16;
/// How many words run together at most.
const RUN: usize = 3;
/// How many words around a run say whether it is turned down.
const NEAR: usize = 4;

/// Stems that say how something is wanted, and nothing of what.
#[rustfmt::skip]
const MANNER: &[&str] = &[
    "prefer", "preferenc", "us", "rul", "general", "generall", "default", "thing", "stuff", "way", "styl", "work", "cod", "writ", "add", "keep", "giv",
    "get", "got", "see", "sa", "tell", "told", "said", "hat", "lik", "lov", "want", "need", "mind", "not", "record", "futur", "tast", "habit", "stand",
    "principl", "project", "repo", "session", "everyth", "anyth", "someth", "noth", "everywher", "anywher", "person", "gu", "kind", "fan", "again", "onc",
    "still", "even", "much", "more", "mor", "less", "rather", "over", "instead", "peopl", "stick", "go", "goe", "put", "let", "leav", "com", "tak",
    "wish", "insist", "expect", "know", "think", "mean", "what", "how", "who", "why", "where", "which", "than", "but", "too", "here", "back", "about", "he",
    "off", "onl", "own", "min", "am", "not", "did", "does", "doe", "don", "won", "isn", "never", "always", "alread", "part", "case", "exception", "real", "quit",
    "ver", "good", "bad", "best", "better", "new", "old", "one", "two", "day", "week", "toda", "team", "convention", "hard", "eas", "stop", "avoid", "skip",
    "use", "pls", "plz", "ok", "ye", "hey", "btw", "fyi", "thank", "thx", "dont", "im", "ive", "id", "thats", "that", "cant", "u", "ur", "d", "other", "an", "while",
    "until", "unless", "because", "sinc", "though", "they", "their", "he", "she", "his", "her", "was", "were", "had", "could", "may", "might", "let",
    "request", "respect", "whatever", "whoever", "whenev", "whichev", "such", "same", "right", "wrong", "sur", "done", "instruction", "remind", "reminder",
];

fn is_manner(stem: &str) -> bool {
    MANNER.contains(&stem) || stem.chars().count() < 2
}

/// Words that carry meaning, standing together in a clause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// Their stems.
    pub(super) words: String,
    /// As they were said.
    pub(super) shown: String,
    /// Whether the words around them turn them down; nothing where these say neither.
    pub(super) against: Option<bool>,
}

/// The words of a text that carry its meaning, alone and up to three together.
pub(super) fn runs(text: &str) -> Vec<Run> {
    let lower = text.to_lowercase().replace(['’', '‘'], "'");
    let clauses = lower.split([',', '.', ';', ':', '!', '—', '–', '(', ')', '。', '，', '、']);
    let mut found = Vec::new();
    for clause in clauses {
        let said: Vec<&str> =
            clause.split(|c: char| !c.is_alphanumeric() && c != '\'').filter(|word| !word.is_empty()).collect();
        let telling: Vec<(usize, String)> = said
            .iter()
            .enumerate()
            .filter_map(|(at, word)| Some((at, content(word).into_iter().next()?.0)))
            .take(MAX_CONTENT)
            .collect();
        for size in 1..=RUN {
            let kept = telling.windows(size).filter(|few| few.iter().any(|(_, stem)| !is_manner(stem)));
            found.extend(kept.map(|few| Run {
                words: few.iter().map(|(_, stem)| stem.as_str()).collect::<Vec<_>>().join(" "),
                shown: few.iter().map(|(at, _)| said[*at]).collect::<Vec<_>>().join(" "),
                against: against(&said[..few[0].0], &said[few[size - 1].0 + 1..]),
            }));
        }
    }
    found
}

/// Whether the words before and behind turn down what stands between them.
fn against(before: &[&str], behind: &[&str]) -> Option<bool> {
    #[rustfmt::skip]
    const DOWN: &[&str] = &[
        "no", "never", "not", "don't", "dont", "without", "avoid", "hate", "stop", "skip", "dislike", "zero", "than", "over", "drop", "less", "fewer", "few",
        "isn't", "aren't", "won't", "can't", "against", "nothing", "hands", "ban", "banned", "forget", "omit", "instead", "nor", "neither", "many", "much", "out",
        "kein", "keine", "keinen", "nie", "niemals", "ohne", "nicht", "sin", "nunca", "jamás", "evita", "jamais", "pas", "sans", "sem", "mai", "senza", "geen", "nooit",
        "allergic", "tired", "sick", "ditch", "quit", "cease", "refuse", "doesn't", "didn't", "wouldn't", "shouldn't", "mustn't", "nix", "detest", "despise", "loathe",
    ];
    #[rustfmt::skip]
    const UP: &[&str] = &[
        "use", "always", "want", "prefer", "like", "love", "need", "keep", "add", "write", "only", "give", "make", "with", "in", "go", "run", "put", "include", "do",
        "start", "show", "expect", "every", "each", "all", "immer", "siempre", "toujours", "sempre", "altijd", "zawsze", "nur", "solo", "insist", "favour", "favor",
    ];
    #[rustfmt::skip]
    const BEHIND: &[&str] = &[
        "out", "off limits", "off the table", "banned", "forbidden", "away", "aside", "have no", "has no", "is never", "are never", "isn't", "aren't", "is not", "are not",
        "annoy", "annoys", "annoying", "are too", "is too", "make me", "makes me", "drive me", "drives me", "hurt", "weg", "raus", "verboten",
    ];
    let near = &before[before.len().saturating_sub(NEAR)..];
    let downs = near.iter().filter(|word| DOWN.contains(word)).count();
    if downs > 0 {
        // `never skip X` wants X.
        return Some(downs % 2 == 1);
    }
    let after = format!(" {} ", behind[..behind.len().min(NEAR)].join(" "));
    if BEHIND.iter().any(|words| after.contains(&format!(" {words} "))) {
        return Some(true);
    }
    near.iter().any(|word| UP.contains(word)).then_some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_around_turns_down_or_does_not() {
        let table = [
            ("no emoji, ever", "emoji", Some(true)),
            ("please leave every emoji out from now on", "emoji", Some(true)),
            ("emoji have no place in anything you write", "emoji", Some(true)),
            ("never skip the tests", "tests", Some(false)),
            ("early return over else branches", "early return", None),
            ("early return over else branches", "else branches", Some(true)),
            ("don't use npm, we always use pnpm", "pnpm", Some(false)),
            ("don't use npm, we always use pnpm", "npm", Some(true)),
            ("short answers = happy me", "short answers", None),
        ];
        for (text, words, expected) in table {
            let found = runs(text).into_iter().find(|run| run.shown == words);
            assert_eq!(found.map(|run| run.against), Some(expected), "{words:?} in {text:?}");
        }
    }

    #[test]
    fn manner_alone_says_nothing_and_no_run_leaves_its_clause() {
        assert_eq!(runs("i always prefer it, as a rule, everywhere"), []);
        let words: Vec<String> = runs("tabs, please. Spaces never").into_iter().map(|run| run.words).collect();
        assert_eq!(words, ["tab", "spac"]);
    }
}
