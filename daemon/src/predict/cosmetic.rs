//! Whether a reply that was sent is the one that was predicted, but for its looks.
//!
//! An edit counts as a yes only when it is cosmetic: half a yes for every edit, as the documented recipe has it, overstates
//! what people send by half of what they change.

use super::situation::{normal, tokens};
use super::stratum::{Verdict, verdict};

/// Of the longer reply's tokens, how many may be changed.
const CHANGED: f64 = 0.1;
/// Tokens of a reply that are compared; longer ones must be the same to the letter.
const TOKENS_MAX: usize = 600;
/// Words that turn a reply into its opposite; both must hold the same of them.
const TURNING: [&str; 19] = [
    "no", "not", "never", "don", "dont", "doesn", "didn", "can", "cannot", "without", "stop", "except", "only",
    "unless", "instead", "isn", "nor", "none", "t",
];

/// Whether what was sent is what was predicted, word for word: what a client types that acts on an answer.
#[must_use]
pub fn is_repeat(predicted: &str, sent: &str) -> bool {
    let (one, two) = (normal(predicted), normal(sent));
    one == two && (!one.is_empty() || predicted.trim() == sent.trim())
}

/// Whether what was sent says the same as what was predicted: the same words, two bare yeses, or a changed word in ten
/// where neither is turned round.
#[must_use]
pub fn is_same(predicted: &str, sent: &str) -> bool {
    if is_repeat(predicted, sent) {
        return true;
    }
    let (kind, other) = (verdict(predicted), verdict(sent));
    if kind == Verdict::Approved && other == Verdict::Approved {
        return true;
    }
    let (one, two) = (tokens(predicted), tokens(sent));
    kind == other && turning(&one) == turning(&two) && is_close(&one, &two)
}

fn turning(tokens: &[String]) -> Vec<&str> {
    let mut found: Vec<&str> = tokens.iter().map(String::as_str).filter(|token| TURNING.contains(token)).collect();
    found.sort_unstable();
    found
}

fn is_close(one: &[String], two: &[String]) -> bool {
    let longer = one.len().max(two.len());
    if longer == 0 || longer > TOKENS_MAX {
        return false;
    }
    let count = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    count(distance(one, two)) <= CHANGED * count(longer)
}

/// Levenshtein's distance in tokens.
fn distance(one: &[String], two: &[String]) -> usize {
    let mut row: Vec<usize> = (0..=two.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, b) in two.iter().enumerate() {
            let change = corner + usize::from(a != b);
            corner = row[j + 1];
            row[j + 1] = change.min(corner + 1).min(row[j] + 1);
        }
    }
    row[two.len()]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn looks_may_differ_and_meaning_may_not() {
        let long = "run the whole test suite again and then commit the parser change to the branch";
        for (predicted, sent, expected) in [
            ("Commit it.", "commit it", true),
            ("yes", "Yes, go ahead!", true),
            ("go on", "continue please", true),
            ("yes", "no", false),
            ("yes", "yes, and add a test for the empty file", false),
            ("commit it", "commit it and push", false),
            (long, "run the whole test suite again and then commit the lexer change to the branch", true),
            (long, "run the whole test suite again and then don't commit the parser change to the branch", false),
            (long, "run the fast test suite again and then commit the lexer change to main", false),
            ("👍", "👍", true),
            ("👍", "👎", false),
            ("", "x", false),
        ] {
            assert_eq!(is_same(predicted, sent), expected, "{predicted} | {sent}");
            assert_eq!(is_same(sent, predicted), expected, "{sent} | {predicted}");
            assert!(expected || !is_repeat(predicted, sent), "{predicted} | {sent}");
        }
    }

    proptest! {
        #[test]
        fn it_goes_both_ways_and_holds_of_itself(a in "[a-c no.]{0,12}", b in "[a-c no.]{0,12}") {
            prop_assert!(is_same(&a, &a));
            prop_assert_eq!(is_same(&a, &b), is_same(&b, &a));
        }
    }
}
