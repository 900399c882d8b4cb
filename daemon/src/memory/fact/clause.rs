//! Standing rules that are said in parts: `no emojis, ever`, `never print, always the logger`, `small commits please, always`.
//!
//! A sentence is cut at its commas. A part that only says how long (`always`, `as a rule`) makes rules of the others. A rule
//! without a verb is taken only where the words around it leave no other reading: `always show` may be about the product,
//! `always the logger` is not.

/// One rule of a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Clause {
    /// What is wanted or not.
    pub(super) order: String,
    /// When it holds, as far as that was said.
    pub(super) condition: String,
    /// Whether it is wanted.
    pub(super) positive: bool,
    /// Whether it may be a thing without a verb.
    pub(super) bare: bool,
}

/// Parts that only say that a rule stands.
#[rustfmt::skip]
const STANDING: &[&str] = &[
    "always", "ever", "a partir de ahora", "de ahora en adelante", "as a rule", "in general", "from now on", "going forward", "from here on",
    "moving forward", "everywhere", "generally", "from today", "starting today", "from today on", "as a general rule", "no exceptions",
    "in all my projects", "in all my repos", "in any repo", "in every repo", "in all repos", "in any repo of mine",
    "in every project", "on any box", "on every machine", "on all machines", "in every session", "every session",
    "in any of my apps", "in all our repos", "in all our projects", "in every file", "in all files", "in every script", "in all services",
    "hard rule", "that's how i work", "that's how we do it", "i insist on that", "i mean it", "as a habit", "by habit",
    "holds for all my repos", "for every project", "for all projects", "remember that",
    "in future", "in the future too", "for next times too", "not up for debate", "every single time", "any time",
    "no matter what", "under any circumstances", "under no circumstances", "at all",
    "every time", "each time", "at all times", "as of now", "all the time", "without exception", "period", "full stop",
];

/// Words that a part may end with, and that make it a rule.
#[rustfmt::skip]
const ENDS: &[&str] = &[
    " always", " from now on", " going forward", " as a rule", " from here on", " moving forward", " from today",
    " in all my projects", " in all my repos", " in all our repos", " in my projects", " in my repos", " in any repo of mine", " in all repos",
    " in every project", " in every repo", " on all my machines", " on every machine", " in all our projects", " in all files", " in every file",
    " in all services", " in every script", " in our repos", " in all the files", " in everything you write", " for all my projects",
    " in any of my repos", " in any of my projects", " in my codebases", " in every language", " around here", " as a habit", " for every project",
    " every time", " every single time", " at all times", " from today on", " ever again", " ever", " a partir de ahora", " de ahora en adelante", " without exception", " no exceptions",
];

/// Words that a part may begin with, and that make it a rule.
#[rustfmt::skip]
const STARTS: &[&str] = &[
    "from now on ", "from here on ", "going forward ", "as a rule ", "in general ", "by default ", "from today on ", "from today ",
    "moving forward ", "make it a habit to ", "make a habit of ", "get into the habit of ",
    "as a habit ", "as a general thing ", "as a general principle ", "as a general policy ", "as a standing rule ", "as a matter of principle ",
    "for every change ", "as a general rule ", "starting today ", "generally ",
];

/// How a part is said to be wanted or not; whether it stands by itself; whether a thing may follow without a verb.
#[rustfmt::skip]
const SAID: &[(&str, bool, bool, bool)] = &[
    ("i always want you to ", true, true, false), ("i always want ", true, true, true), ("i never want to see ", false, true, true),
    ("i never want ", false, true, true), ("i don't ever want ", false, true, true), ("i want you to always ", true, true, false),
    ("i want you to never ", false, true, false), ("i want you to ", true, false, false), ("i want only ", true, false, true),
    ("i want no ", false, true, true), ("i want ", true, false, true), ("i'd like you to always ", true, true, false), ("i need you to always ", true, true, false),
    ("i expect you to ", true, false, false), ("i expect ", true, false, true),
    ("i now prefer ", true, true, true), ("i prefer to ", true, true, false), ("i prefer ", true, true, true),
    ("i much prefer ", true, true, true), ("i strongly prefer ", true, true, true), ("i always prefer ", true, true, true),
    ("we prefer ", true, true, true), ("we always prefer ", true, true, true), ("i generally prefer ", true, true, true),
    ("i usually prefer ", true, true, true), ("i tend to prefer ", true, true, true), ("my preference is ", true, true, true),
    ("i favour ", true, true, true), ("i favor ", true, true, true), ("we favour ", true, true, true), ("we favor ", true, true, true),
    ("i'd always rather have ", true, true, true), ("i'd rather have ", true, true, true), ("i would rather have ", true, true, true),
    ("i'd rather you always ", true, true, false), ("i'd rather not have ", false, true, true),
    ("i hate ", false, true, true), ("i can't stand ", false, true, true), ("i cannot stand ", false, true, true),
    ("i dislike ", false, true, true), ("i try to avoid ", false, true, true), ("we try to avoid ", false, true, true),
    ("i avoid ", false, true, true), ("we avoid ", false, true, true), ("i really dislike ", false, true, true), ("i really hate ", false, true, true),
    ("i'm not a fan of ", false, true, true), ("i am not a fan of ", false, true, true), ("not a fan of ", false, true, true),
    ("i'm allergic to ", false, true, true), ("big fan of ", true, true, true), ("i'm a fan of ", true, true, true), ("i'm a big fan of ", true, true, true),
    ("i insist on ", true, true, true), ("we insist on ", true, true, true), ("default to ", true, true, true),
    ("your default should be ", true, true, true), ("hands off ", false, true, true), ("stay away from ", false, true, true),
    ("i don't want any ", false, true, true), ("i don't want to see ", false, true, true),
    ("i always use ", true, true, true), ("i only ever use ", true, true, true), ("i only use ", true, true, true), ("we only use ", true, true, true),
    ("with me it's always ", true, true, true), ("for me it's always ", true, true, true), ("it's always ", true, true, true),
    ("i'm a big believer in ", true, true, true), ("i'm all for ", true, true, true), ("zero ", false, false, true),
    ("i always ", true, true, false), ("we always ", true, true, false), ("we never ", false, true, false), ("i never ", false, true, false),
    ("you need to always ", true, true, false), ("quiero que ", true, false, false), ("you should always ", true, true, false), ("you must always ", true, true, false), ("you should never ", false, true, false),
    ("you must never ", false, true, false), ("we should always ", true, true, false), ("we should never ", false, true, false),
    ("always prefer ", true, true, true), ("always favour ", true, true, true), ("always go for ", true, true, true),
    ("always: ", true, true, true), ("never: ", false, true, true),
    ("always ", true, true, false), ("never ever ", false, true, false), ("never again ", false, true, false), ("never ", false, true, false),
    ("don't ever ", false, true, false), ("do not ever ", false, true, false),
    ("we don't use ", false, true, true), ("i don't use ", false, true, true), ("we do not use ", false, true, true),
    ("prefer ", true, false, true), ("avoid ", false, false, true), ("stop using ", false, false, true),
    ("no more ", false, false, true), ("not a single ", false, false, true), ("no ", false, false, true), ("only use ", true, false, true),
    ("just use ", true, false, true), ("only ", true, false, true),
    ("don't ", false, false, false), ("do not ", false, false, false), ("stop the ", false, false, true),
    ("i ", true, false, false), ("we ", true, false, false),
];

/// Words that only tie a part to the others.
const TIES: &[&str] = &["please ", "pls ", "and ", "but ", "so ", "also ", "yes ", "ok ", "okay ", "hey ", "again "];

/// How a part begins that only says what the one before it is not, or what comes after it.
const NOT_ALONE: &[&str] = &["i mean ", "not ", "no longer ", "then ", "rather than ", "instead of "];

/// Conditions that may stand before the word that makes a rule.
const CONDITIONS: &[&str] = &["when ", "if ", "for ", "before ", "after ", "in ", "with ", "whenever ", "while "];

/// Conditions that make a rule of the order behind them.
const WHENEVER: &[&str] = &["whenever ", "every time you ", "each time you ", "any time you ", "anytime you "];

/// How such an order begins.
#[rustfmt::skip]
const ORDERS: &[&str] = &[
    " use ", " add ", " make ", " put ", " run ", " ask ", " do ", " write ", " create ", " go ", " generate ", " prefer ", " include ", " check ",
    " update ", " format ", " start ", " stop ", " don't ", " keep ", " leave ", " please ", " show ", " tell ", " give ", " stick ",
];

/// The rules of a lower-case sentence without its leads.
pub(super) fn clauses(sentence: &str) -> Vec<Clause> {
    let text = sentence.replace([';', '—', '–', '!'], ",").replace(" - ", ", ");
    let mut parts: Vec<&str> = text.split(',').map(trimmed).filter(|part| !part.is_empty()).collect();
    let mut firm = false;
    parts.retain(|part| {
        let says_how_long = STANDING.contains(part) || is_verdict(part);
        firm |= says_how_long;
        !says_how_long && !EMPTY.contains(part)
    });
    if let [first, ..] = parts.as_mut_slice() {
        firm |= strip_start(first, STARTS) || strip_heading(first);
    }
    let mut rules: Vec<Clause> = Vec::new();
    let mut alternative = false;
    for (at, part) in parts.iter().enumerate() {
        let chosen = CHOICES.iter().any(|choice| part.starts_with(choice));
        let instead = alternative || parts.get(at + 1).is_some_and(|next| next.starts_with("never "));
        // `whenever the schema changes, add a migration`: the condition is a part of its own.
        let after = at > 0 && rules.is_empty() && is_condition(parts[at - 1]) && !part.starts_with("i ");
        let rule = clause(part, firm || chosen && instead || after);
        let rule = rule.map(|rule| Clause { bare: rule.bare && (!after || firm), ..rule });
        alternative = rule.as_ref().is_some_and(|rule| !rule.positive);
        rules.extend(rule);
    }
    rules
}

/// `that's my rule`, `thats the house standard`: a part that makes rules of the others.
fn is_verdict(part: &str) -> bool {
    #[rustfmt::skip]
    const NAMES: &[&str] = &[
        "rule", "standard", "pref", "preference", "convention", "way", "style", "policy", "habit", "taste", "practice", "workflow", "deal",
    ];
    const KEPT: &[&str] = &[
        "keep that in mind",
        "keep this in mind",
        "stick to it",
        "stick to that",
        "stick with it",
        "stick with that",
        "whatever ",
        "wherever ",
    ];
    if KEPT.iter().any(|kept| part.starts_with(kept)) {
        return true;
    }
    let rest =
        ["that's ", "that is ", "it's ", "call it ", "which is "].iter().find_map(|lead| part.strip_prefix(lead));
    let owned = rest.and_then(|rest| ["my ", "our ", "the ", "a "].iter().find_map(|whose| rest.strip_prefix(whose)));
    owned.is_some_and(|name| {
        let words: Vec<&str> = name.split(' ').collect();
        (1..=4).contains(&words.len()) && words.iter().any(|word| NAMES.contains(word))
    })
}

/// Parts that say nothing.
const EMPTY: &[&str] =
    &["please", "pls", "thanks", "thank you", "thx", "yes", "no", "ok", "okay", "as always", "as ever"];

/// Whether a part says when a rule holds; what is about to be done once is no such condition.
fn is_condition(part: &str) -> bool {
    const ONCE: &[&str] =
        &["done with", "finished", "ready", "you get to", "you have time", "you can", "you like", "you want", " that"];
    WHENEVER.iter().any(|condition| part.starts_with(condition)) && !ONCE.iter().any(|once| part.contains(once))
}

/// How what is wanted in the place of something is said: `never print, use the logger`.
const CHOICES: &[&str] = &["use ", "prefer ", "go through ", "go with ", "i want ", "i prefer ", "only "];

/// Takes `house style:` and the like off a part; says whether there was one.
fn strip_heading(part: &mut &str) -> bool {
    #[rustfmt::skip]
    const HEADS: &[&str] = &[
        "rule", "style", "pref", "preference", "convention", "taste", "habit", "philosophy", "standard", "policy", "workflow", "default",
        "principle", "setup", "norm",
    ];
    let Some((heading, rest)) = part.split_once(": ") else { return false };
    let words: Vec<&str> = heading.split(' ').collect();
    let names = words.len() <= 6 && words.iter().any(|word| HEADS.contains(&word.trim_end_matches('s')));
    if names {
        *part = rest.trim();
    }
    names
}

/// Takes the first of the marks that a text begins with off it; says whether there was one.
fn strip_start(text: &mut &str, marks: &[&str]) -> bool {
    let rest = marks.iter().find_map(|mark| text.strip_prefix(mark));
    *text = rest.unwrap_or(text).trim();
    rest.is_some()
}

/// Takes the first of the marks that a text ends with off it; says whether there was one.
fn strip_end(text: &mut &str, marks: &[&str]) -> bool {
    let rest = marks.iter().find_map(|mark| text.strip_suffix(mark));
    *text = rest.unwrap_or(text).trim();
    rest.is_some()
}

/// A part without the words that only tie it to others, and without `please`.
fn trimmed(part: &str) -> &str {
    let mut part = part.trim().trim_end_matches(['.', ' ']);
    while let Some(rest) = TIES.iter().find_map(|tie| part.strip_prefix(tie)) {
        part = rest.trim_start();
    }
    part.strip_suffix(" please").or_else(|| part.strip_suffix(" pls")).unwrap_or(part).trim()
}

/// The rule of one part.
fn clause(part: &str, firm: bool) -> Option<Clause> {
    if NOT_ALONE.iter().any(|lead| part.starts_with(lead)) {
        return None;
    }
    let (mut order, mut positive, mut own, mut bare) = (part, true, firm, firm);
    if let Some((said, wanted, stands, thing)) = SAID.iter().find(|(said, ..)| part.starts_with(said)) {
        (order, positive, own, bare) = (&part[said.len()..], *wanted, firm || *stands, *thing);
    } else if let Some((condition, order)) = whenever(part) {
        let (positive, order) = order.strip_prefix("don't ").map_or((true, order), |order| (false, order));
        return Some(Clause { order: order.to_owned(), condition: condition.to_owned(), positive, bare: false });
    } else if let Some((condition, said)) = conditioned(part) {
        let inner = clause(said, firm)?;
        return Some(Clause { condition: condition.to_owned(), ..inner });
    }
    order = order.trim();
    // `from now on always X`, `no longer`: one more mark may follow.
    for (mark, wanted) in
        [("always ", true), ("never ", false), ("only ", true), ("not ", false), ("no ", false), ("using ", true)]
    {
        if let Some(rest) = order.strip_prefix(mark) {
            (order, positive, bare) = (rest, positive == wanted, bare || mark == "only " || mark == "no ");
        }
    }
    // `by default` may as well be about the product: only a verb of work makes it a rule.
    let general = strip_end(&mut order, &[" in general", " by default", " generally"]);
    (own, bare) = (own || general, bare && !general);
    let closed = strip_end(&mut order, ENDS);
    (own, bare) = (own || closed, bare || closed);
    bare |= strip_end(&mut order, &[" only"]) && own;
    let order = compared(trimmed(order), part);
    // `logs, db, everything in UTC, that's my rule`: one word of a list is no rule.
    let alone = order == part && !order.contains(' ') && !closed;
    (own && !alone && !order.is_empty()).then(|| Clause {
        order: order.to_owned(),
        condition: String::new(),
        positive,
        bare,
    })
}

/// What is preferred, without what it is preferred to.
fn compared<'a>(order: &'a str, part: &str) -> &'a str {
    let marks: &[&str] = match () {
        () if ["prefer ", "favour ", "favor "].iter().any(|verb| part.contains(verb)) => {
            &[" over ", " to ", " rather than "]
        }
        () if part.contains("rather have ") || part.contains("better ") => &[" better than ", " than "],
        () => return order,
    };
    marks
        .iter()
        .filter_map(|mark| order.split_once(mark))
        .map(|(order, _)| order)
        .min_by_key(|order| order.len())
        .unwrap_or(order)
}

/// `whenever you draw a diagram use mermaid`: the condition, and the order.
fn whenever(part: &str) -> Option<(&str, &str)> {
    if !is_condition(part) {
        return None;
    }
    let at = ORDERS
        .iter()
        .filter_map(|verb| part.match_indices(verb).find(|(at, _)| !part[..*at].ends_with(" you")).map(|(at, _)| at))
        .min()?;
    let (condition, order) = (part[..at].trim(), trimmed(part[at..].trim()));
    (order.split(' ').count() >= 2).then_some((condition, order))
}

/// `for X I always Y`: the condition, and the rule.
fn conditioned(part: &str) -> Option<(&str, &str)> {
    CONDITIONS.iter().find(|condition| part.starts_with(**condition))?;
    let at = [" i always ", " always ", " never ", " i want ", " i prefer "]
        .iter()
        .filter_map(|mark| part.find(mark))
        .min()?;
    let (condition, said) = (part[..at].trim(), part[at..].trim());
    (condition.split(' ').count() <= 5).then_some((condition, said))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_row_stands_behind_one_that_takes_its_texts() {
        let rows: [(&str, Vec<&str>); 3] = [
            ("SAID", SAID.iter().map(|(said, ..)| *said).collect()),
            ("STARTS", STARTS.to_vec()),
            ("STANDING", STANDING.to_vec()),
        ];
        for (name, rows) in rows {
            for (at, row) in rows.iter().enumerate() {
                let taken = rows[..at].iter().find(|earlier| match name {
                    "STANDING" => *earlier == row,
                    _ => row.starts_with(**earlier),
                });
                assert_eq!(taken, None, "{name}: {row:?}");
                assert!(!TIES.iter().any(|tie| row.starts_with(tie)), "{name}: {row:?} is stripped before");
                assert!(name != "STANDING" || !is_verdict(row), "{row:?} is known without");
            }
        }
    }

    #[test]
    fn parts() {
        let table: &[(&str, &[(&str, bool)])] = &[
            ("no emojis, ever", &[("emojis", false)]),
            ("i want no emojis", &[("emojis", false)]),
            ("never print, always the logger", &[("print", false), ("the logger", true)]),
            ("small commits please, always", &[("small commits", true)]),
            ("from now on no unwrap", &[("unwrap", false)]),
            ("docstrings always, please", &[("docstrings", true)]),
            ("i hate globals, never introduce any", &[("globals", false), ("introduce any", false)]),
            ("for ui work i always want screenshots", &[("screenshots", true)]),
            ("never print, use the logger", &[("print", false), ("use the logger", true)]),
            ("use the logger, always", &[("use the logger", true)]),
            ("use the logger, the build is red", &[]),
            ("as always, thanks", &[]),
            ("no, that is wrong", &[]),
        ];
        for (text, expected) in table {
            let found: Vec<_> = clauses(text).into_iter().map(|clause| (clause.order, clause.positive)).collect();
            let expected: Vec<_> = expected.iter().map(|(order, positive)| ((*order).to_owned(), *positive)).collect();
            assert_eq!(found, expected, "{text:?}");
        }
    }
}
