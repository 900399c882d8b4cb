//! Light English stemming and the words that say nothing.
//!
//! The rules for plurals, `-ed`, `-ing`, `-y` and the last `-e` of Porter's algorithm, and no more: the long suffixes
//! (`-ation`, `-ness`) conflate words that a person means apart. Irregular forms (`went`, `built`) become the form that the
//! rules begin with. Words with anything but `a` to `z` are left alone.
//!
//! Source: M. F. Porter, "An algorithm for suffix stripping", 1980, steps 1a, 1b, 1c and 5a.

const STOP_WORDS: &[&str] = &[
    "a",
    "about",
    "above",
    "again",
    "against",
    "also",
    "am",
    "an",
    "and",
    "any",
    "are",
    "as",
    "at",
    "be",
    "because",
    "been",
    "being",
    "below",
    "between",
    "both",
    "but",
    "by",
    "can",
    "could",
    "did",
    "didnt",
    "do",
    "does",
    "doesnt",
    "doing",
    "dont",
    "during",
    "each",
    "few",
    "for",
    "from",
    "further",
    "get",
    "got",
    "had",
    "has",
    "have",
    "having",
    "he",
    "her",
    "hers",
    "herself",
    "him",
    "himself",
    "his",
    "how",
    "i",
    "if",
    "in",
    "into",
    "is",
    "isnt",
    "it",
    "its",
    "itself",
    "just",
    "like",
    "me",
    "might",
    "more",
    "most",
    "must",
    "my",
    "myself",
    "nor",
    "of",
    "on",
    "once",
    "or",
    "our",
    "ours",
    "ourselves",
    "really",
    "shall",
    "she",
    "should",
    "so",
    "some",
    "such",
    "than",
    "that",
    "the",
    "their",
    "them",
    "themselves",
    "then",
    "there",
    "these",
    "they",
    "this",
    "through",
    "to",
    "too",
    "until",
    "us",
    "very",
    "was",
    "wasnt",
    "we",
    "were",
    "what",
    "when",
    "where",
    "which",
    "while",
    "who",
    "whom",
    "whose",
    "why",
    "will",
    "with",
    "would",
    "you",
    "your",
    "yours",
    "yourself",
];

/// Irregular forms and what they are forms of, sorted: no rule finds them, and a person asks with one for the other.
const IRREGULAR: &[(&str, &str)] = &[
    ("ate", "eat"),
    ("became", "become"),
    ("began", "begin"),
    ("begun", "begin"),
    ("bit", "bite"),
    ("bitten", "bite"),
    ("blew", "blow"),
    ("blown", "blow"),
    ("bought", "buy"),
    ("broke", "break"),
    ("broken", "break"),
    ("brought", "bring"),
    ("built", "build"),
    ("burnt", "burn"),
    ("came", "come"),
    ("caught", "catch"),
    ("children", "child"),
    ("chose", "choose"),
    ("chosen", "choose"),
    ("dealt", "deal"),
    ("drank", "drink"),
    ("drawn", "draw"),
    ("dreamt", "dream"),
    ("drew", "draw"),
    ("driven", "drive"),
    ("drove", "drive"),
    ("drunk", "drink"),
    ("eaten", "eat"),
    ("fallen", "fall"),
    ("feet", "foot"),
    ("fell", "fall"),
    ("felt", "feel"),
    ("flew", "fly"),
    ("flown", "fly"),
    ("forgot", "forget"),
    ("forgotten", "forget"),
    ("fought", "fight"),
    ("found", "find"),
    ("froze", "freeze"),
    ("frozen", "freeze"),
    ("gave", "give"),
    ("given", "give"),
    ("goes", "go"),
    ("gone", "go"),
    ("grew", "grow"),
    ("grown", "grow"),
    ("heard", "hear"),
    ("held", "hold"),
    ("hid", "hide"),
    ("hidden", "hide"),
    ("hung", "hang"),
    ("kept", "keep"),
    ("knew", "know"),
    ("known", "know"),
    ("lain", "lie"),
    ("learnt", "learn"),
    ("led", "lead"),
    ("left", "leave"),
    ("lent", "lend"),
    ("lost", "lose"),
    ("made", "make"),
    ("meant", "mean"),
    ("men", "man"),
    ("met", "meet"),
    ("mice", "mouse"),
    ("paid", "pay"),
    ("people", "person"),
    ("ran", "run"),
    ("ridden", "ride"),
    ("risen", "rise"),
    ("rode", "ride"),
    ("rose", "rise"),
    ("said", "say"),
    ("sang", "sing"),
    ("sat", "sit"),
    ("saw", "see"),
    ("seen", "see"),
    ("sent", "send"),
    ("shot", "shoot"),
    ("shown", "show"),
    ("slept", "sleep"),
    ("sold", "sell"),
    ("spent", "spend"),
    ("spoke", "speak"),
    ("spoken", "speak"),
    ("stole", "steal"),
    ("stolen", "steal"),
    ("stood", "stand"),
    ("sung", "sing"),
    ("swam", "swim"),
    ("swore", "swear"),
    ("sworn", "swear"),
    ("swum", "swim"),
    ("taken", "take"),
    ("taught", "teach"),
    ("teeth", "tooth"),
    ("thought", "think"),
    ("threw", "throw"),
    ("thrown", "throw"),
    ("told", "tell"),
    ("took", "take"),
    ("understood", "understand"),
    ("went", "go"),
    ("woke", "wake"),
    ("woken", "wake"),
    ("women", "woman"),
    ("won", "win"),
    ("wore", "wear"),
    ("worn", "wear"),
    ("written", "write"),
    ("wrote", "write"),
];

/// Whether the lower-case word says nothing about what a text is about.
pub(super) fn is_stop_word(word: &str) -> bool {
    STOP_WORDS.binary_search(&word).is_ok()
}

/// The stem of a lower-case word.
pub(super) fn stem(word: String) -> String {
    if word.len() < 3 || !word.bytes().all(|b| b.is_ascii_lowercase()) {
        return word;
    }
    let mut word = regular(word);
    plural(&mut word);
    past(&mut word);
    if word.ends_with('y') && vowel_in(&word[..word.len() - 1]) {
        word.replace_range(word.len() - 1.., "i");
    }
    if word.ends_with('e') {
        let rest = &word[..word.len() - 1];
        if measure(rest) > 1 || (measure(rest) == 1 && !short_end(rest)) {
            word.pop();
        }
    }
    word
}

fn regular(word: String) -> String {
    match IRREGULAR.binary_search_by_key(&word.as_str(), |(form, _)| form) {
        Ok(found) => IRREGULAR[found].1.to_owned(),
        Err(_) => word,
    }
}

fn plural(word: &mut String) {
    if word.ends_with("sses") || word.ends_with("ies") {
        word.truncate(word.len() - 2);
    } else if word.ends_with('s') && !word.ends_with("ss") && !word.ends_with("us") && !word.ends_with("is") {
        word.pop();
    }
}

fn past(word: &mut String) {
    if word.ends_with("eed") {
        if measure(&word[..word.len() - 3]) > 0 {
            word.pop();
        }
        return;
    }
    let Some(rest) = word.strip_suffix("ed").or_else(|| word.strip_suffix("ing")) else { return };
    if !vowel_in(rest) {
        return;
    }
    word.truncate(rest.len());
    let doubled = word.len() >= 2 && word.as_bytes()[word.len() - 1] == word.as_bytes()[word.len() - 2];
    if ["at", "bl", "iz"].iter().any(|end| word.ends_with(end)) {
        word.push('e');
    } else if doubled && !word.ends_with(['a', 'e', 'i', 'o', 'u', 'l', 's', 'z']) {
        word.pop();
    } else if measure(word) == 1 && short_end(word) {
        word.push('e');
    }
}

/// Whether the letter is a consonant; `y` is one at the start and after a vowel.
fn consonant(word: &[u8], i: usize) -> bool {
    match word[i] {
        b'a' | b'e' | b'i' | b'o' | b'u' => false,
        b'y' => i == 0 || !consonant(word, i - 1),
        _ => true,
    }
}

fn vowel_in(word: &str) -> bool {
    (0..word.len()).any(|i| !consonant(word.as_bytes(), i))
}

/// How many times a vowel is followed by a consonant: Porter's m.
fn measure(word: &str) -> usize {
    let word = word.as_bytes();
    (1..word.len()).filter(|i| consonant(word, *i) && !consonant(word, i - 1)).count()
}

/// Whether the word ends consonant, vowel, consonant other than w, x, y: Porter's *o.
fn short_end(word: &str) -> bool {
    let bytes = word.as_bytes();
    let n = bytes.len();
    n >= 3
        && consonant(bytes, n - 3)
        && !consonant(bytes, n - 2)
        && consonant(bytes, n - 1)
        && !matches!(bytes[n - 1], b'w' | b'x' | b'y')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stop_words_are_sorted() {
        assert!(STOP_WORDS.is_sorted(), "binary search needs it");
        assert!(IRREGULAR.is_sorted(), "binary search needs it");
        assert!(is_stop_word("the") && !is_stop_word("index"));
    }

    #[test]
    fn forms_of_one_word_meet() {
        let families: &[&[&str]] = &[
            &["test", "tests", "tested", "testing"],
            &["run", "runs", "running"],
            &["make", "makes", "making"],
            &["note", "notes", "noted", "noting"],
            &["query", "queries"],
            &["file", "files", "filed", "filing"],
            &["class", "classes"],
            &["commit", "commits", "committed", "committing"],
            &["update", "updates", "updated", "updating"],
            &["go", "goes", "going", "went", "gone"],
            &["build", "builds", "building", "built"],
            &["write", "writes", "writing", "wrote", "written"],
        ];
        for family in families {
            let stems: std::collections::BTreeSet<String> =
                family.iter().map(|word| stem((*word).to_owned())).collect();
            assert_eq!(stems.len(), 1, "{family:?} became {stems:?}");
        }
    }

    #[test]
    fn other_words_stay_apart() {
        for (word, expected) in
            [("status", "status"), ("is", "is"), ("not", "not"), ("utf8", "utf8"), ("naïve", "naïve"), ("sing", "sing")]
        {
            assert_eq!(stem(word.to_owned()), expected);
        }
        assert_ne!(stem("noting".into()), stem("not".into()));
    }
}
