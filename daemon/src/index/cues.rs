//! What a text gives away without being understood: whose it is, whether it asks, whether it names a time.

/// How many bits [`traits`] takes.
pub(super) const TRAIT_BITS: u32 = 2;
/// The text ends with a question: what was asked for more often stands after it.
const ASKS: u64 = 1;
/// The text names a day, a month or another time.
const TIMED: u64 = 2;
/// How much of the end and of the beginning of a text is looked at, in bytes.
const LOOKED_BYTES: usize = 4_096;
/// How many words one name may have.
const MAX_NAME_WORDS: usize = 4;

/// Words that say when, lower case, sorted.
const TIME_WORDS: &[&str] = &[
    "afternoon",
    "ago",
    "april",
    "august",
    "autumn",
    "december",
    "evening",
    "fall",
    "february",
    "friday",
    "january",
    "july",
    "june",
    "last",
    "march",
    "may",
    "monday",
    "month",
    "morning",
    "next",
    "night",
    "november",
    "october",
    "recently",
    "saturday",
    "september",
    "spring",
    "summer",
    "sunday",
    "thursday",
    "today",
    "tomorrow",
    "tonight",
    "tuesday",
    "wednesday",
    "week",
    "weekend",
    "winter",
    "year",
    "yesterday",
];

/// One word of a text as it stands in names, and its place in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub text: String,
    pub start: usize,
    pub end: usize,
}

/// A number for a text: the same on every machine, 0 for the empty text alone.
pub(super) fn hash(text: &str) -> u64 {
    if text.is_empty() {
        return 0;
    }
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&blake3::hash(text.as_bytes()).as_bytes()[..8]);
    u64::from_le_bytes(bytes).max(1)
}

/// A number for a name, whatever its case and punctuation; 0 where it has no letters or too many words.
pub(super) fn who(name: &str) -> u64 {
    let words = words(name);
    if words.len() > MAX_NAME_WORDS { 0 } else { hash(&joined(&words)) }
}

/// Every run of words that could be a name: its number, and its place in bytes.
pub(super) fn names(words: &[Word]) -> impl Iterator<Item = (u64, usize, usize)> + '_ {
    let runs = (0..words.len()).flat_map(move |from| {
        let most = MAX_NAME_WORDS.min(words.len() - from);
        (1..=most).map(move |count| &words[from..from + count])
    });
    runs.map(|run| (hash(&joined(run)), run[0].start, run[run.len() - 1].end))
}

fn joined(words: &[Word]) -> String {
    words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ")
}

/// The words of a text in lower case, a final `'s` left out.
pub(super) fn words(text: &str) -> Vec<Word> {
    let inside = |c: char| c.is_alphanumeric() || matches!(c, '\'' | '’');
    let mut out = Vec::new();
    let mut rest = 0;
    while let Some(start) = text[rest..].find(inside).map(|at| rest + at) {
        let end = text[start..].find(|c| !inside(c)).map_or(text.len(), |at| start + at);
        let word = text[start..end].trim_matches(['\'', '’']).to_lowercase().replace('’', "'");
        let word = word.strip_suffix("'s").unwrap_or(&word);
        if !word.is_empty() {
            out.push(Word { text: word.to_owned(), start, end });
        }
        rest = end;
    }
    out
}

/// What kind of text it is, in [`TRAIT_BITS`] bits.
pub(super) fn traits(text: &str) -> u64 {
    let tail = text.trim_end();
    let asks = if tail.ends_with(['?', '？']) { ASKS } else { 0 };
    let head = &text[..text.floor_char_boundary(LOOKED_BYTES)];
    asks | if words(head).iter().any(is_time) { TIMED } else { 0 }
}

fn is_time(word: &Word) -> bool {
    let singular = word.text.strip_suffix('s').unwrap_or(&word.text);
    [singular, word.text.as_str()].iter().any(|word| TIME_WORDS.binary_search(word).is_ok()) || is_year(&word.text)
}

fn is_year(word: &str) -> bool {
    word.len() == 4 && (word.starts_with("19") || word.starts_with("20")) && word.bytes().all(|b| b.is_ascii_digit())
}

/// Whether the traits are those of a text that ends with a question.
pub(super) const fn asks(traits: u64) -> bool {
    traits & ASKS != 0
}

/// Whether the traits are those of a text that names a time.
pub(super) const fn is_timed(traits: u64) -> bool {
    traits & TIMED != 0
}

/// Whether a query asks for a time.
pub(super) fn asks_when(words: &[Word]) -> bool {
    let is = |at: usize, text: &str| words.get(at).is_some_and(|word| word.text == text);
    (0..words.len()).any(|at| {
        let which = is(at, "what") || is(at, "which");
        let unit = ["time", "day", "date", "month", "year", "week"].iter().any(|unit| is(at + 1, unit));
        is(at, "when")
            || is(at, "date")
            || (which && unit)
            || (is(at, "how") && is(at + 1, "long") && is(at + 2, "ago"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_words_are_sorted() {
        assert!(TIME_WORDS.is_sorted(), "binary search needs it");
    }

    #[test]
    fn names_are_found_whatever_their_case_and_punctuation() {
        let found = |text: &str, name: &str| names(&words(text)).any(|(hash, ..)| hash == who(name));
        for (text, name, expected) in [
            ("what did Ann's sister say", "ann", true),
            ("what did ann’s sister say", "Ann", true),
            ("ask claude-code again", "Claude Code", true),
            ("review the code of claude", "Claude Code", false),
            ("annual report", "Ann", false),
            ("qui est Zoë ?", "zoë", true),
        ] {
            assert_eq!(found(text, name), expected, "{name} in {text}");
        }
        assert_eq!((who(""), who("—"), who("a b c d e")), (0, 0, 0));
    }

    #[test]
    fn a_name_is_where_it_stands() {
        let text = "did Claude Code pass";
        let place = names(&words(text)).find(|(hash, ..)| *hash == who("claude code"));
        assert_eq!(place.map(|(_, start, end)| &text[start..end]), Some("Claude Code"));
    }

    #[test]
    fn traits_of_texts() {
        for (text, asking, timed) in [
            ("Shall I go on? ", true, false),
            ("好吗？", true, false),
            ("We met last week.", false, true),
            ("It took two years", false, true),
            ("since 2019", false, true),
            ("port 20190", false, false),
            ("", false, false),
        ] {
            assert_eq!((asks(traits(text)), is_timed(traits(text))), (asking, timed), "{text:?}");
        }
    }

    #[test]
    fn queries_that_ask_for_a_time() {
        for (text, expected) in [
            ("When did we deploy?", true),
            ("which day was it", true),
            ("how long ago did it break", true),
            ("how long is it", false),
            ("what time", true),
            ("the whenever clause", false),
            ("", false),
        ] {
            assert_eq!(asks_when(&words(text)), expected, "{text:?}");
        }
    }
}
