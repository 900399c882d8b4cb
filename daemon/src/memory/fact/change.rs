//! What no longer holds, and what took its place: `we switched from npm to pnpm`.
//!
//! A change is read only where the person speaks of themselves or of their team, and where it names a value that is known
//! or short: `switch to the other branch` is an order for now.

use clone_schema::id::normal;

use crate::memory::fact::slot;

/// One change; at least one side is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    /// What no longer holds, in normal form.
    pub(super) old: Option<String>,
    /// What holds now, in normal form.
    pub(super) new: Option<String>,
}

/// The most words of a value.
const MAX_WORDS: usize = 4;

/// The change that a lower-case sentence without its leads tells of.
pub(super) fn change(sentence: &str) -> Option<Change> {
    let text = format!(" {} ", sentence.trim());
    let (plain, spoken) = subject(sentence);
    moved(plain, spoken)
        .or_else(|| instead(plain))
        .or_else(|| dropped(plain, spoken))
        .or_else(|| replaced(plain))
        .or_else(|| before_and_now(plain))
        .or_else(|| now(plain, spoken))
        .or_else(|| among_known(&text))
        .or_else(|| replacing(sentence))
        .filter(|change| change.old.is_some() || change.new.is_some())
        .filter(|change| change.old != change.new)
}

/// The sentence without who speaks and small adverbs, and whether somebody speaks of themselves at all.
fn subject(sentence: &str) -> (&str, bool) {
    #[rustfmt::skip]
    const WHO: &[&str] = &[
        "i ", "we ", "i've ", "we've ", "i'm ", "we're ", "i'd ", "the team ", "the project ", "this project ",
        "our team ", "my team ", "the company ", "everyone ", "everybody ", "this repo ", "the repo ",
        "the whole team ", "our company ",
    ];
    #[rustfmt::skip]
    const BETWEEN: &[&str] = &[
        "have ", "has ", "had ", "am ", "are ", "is ", "was ", "were ", "been ", "just ", "recently ", "finally ",
        "actually ", "already ", "also ", "officially ", "fully ", "completely ", "decided to ", "all ", "both ",
        "really ", "since ", "now ", "lately ", "gradually ", "basically ", "ended up ", "totally ", "entirely ",
        "permanently ",
    ];
    let mut rest = TIMES.iter().fold(sentence, |rest, time| {
        rest.strip_prefix(time).map_or(rest, |rest| rest.trim_start_matches([' ', ',', ':', '-', '—']))
    });
    let spoken = WHO.iter().find_map(|who| rest.strip_prefix(who));
    rest = spoken.unwrap_or(rest);
    // `now` itself is a mark of change and is looked for later.
    while let Some(behind) = BETWEEN.iter().find_map(|word| rest.strip_prefix(word)) {
        if rest.starts_with("now ") && (behind.starts_with("use ") || behind.starts_with("prefer ")) {
            break;
        }
        rest = behind;
    }
    (rest, spoken.is_some())
}

/// When a change began to hold.
#[rustfmt::skip]
const TIMES: &[&str] = &[
    "turns out", "after years", "ok you convinced me", "you convinced me",
    "as of today", "actually", "hey", "so", "well", "quick note", "for the record", "as of now", "as of this week", "since last week", "last week", "yesterday", "this week",
    "starting today", "starting now", "starting tomorrow", "effective immediately", "heads up", "quick update",
    "update", "fyi", "news", "change of plans", "change of plan", "correction", "by the way", "btw", "note",
    "small change", "i changed my mind", "changed my mind", "i've changed my mind", "on second thought",
    "scratch that", "after the retro", "after some thought", "these days", "nowadays", "last month", "this month",
    "earlier this week",
];

/// A value that can be told apart from talk: short, no pronoun, no path.
fn value(text: &str) -> Option<String> {
    #[rustfmt::skip]
    const ENDS: &[&str] = &[
        " now", " from now on", " going forward", " please", " anymore", " any more", " any longer", " last week",
        " yesterday", " today", " this week", " recently", " everywhere", " for good", " instead", " entirely",
        " completely", " altogether", " last weekend", " over the weekend", " the other day", " last month", " these days", " this month", " as well", " across the board",
        " for everything", " in this project", " here", " for all projects", " in all projects", " nowadays",
        " a while ago", " already", " moving forward",
    ];
    const STARTS: &[&str] = &[
        "hosted at ",
        "hosted on ",
        "using ",
        "use ",
        "to ",
        "with ",
        "the use of ",
        "plain ",
        "just ",
        "only ",
        "good old ",
        "on ",
    ];
    #[rustfmt::skip]
    const VAGUE: &[&str] = &[
        "it", "this", "that", "them", "these", "those", "the", "a", "an", "another", "main", "master", "what",
        "how", "my", "your", "here", "there", "something", "anything", "one", "other", "new", "so", "be", "do",
        "some", "any", "if", "when", "where", "our", "their", "his", "her", "branch", "different",
    ];
    let mut text = text.trim_matches(|c: char| c == ' ' || ",;:-—.!".contains(c));
    for _ in 0..3 {
        for end in ENDS {
            text = text.strip_suffix(end).unwrap_or(text).trim_end_matches([',', ' ']);
        }
        for start in STARTS {
            text = text.strip_prefix(start).unwrap_or(text);
        }
    }
    // Behind a comma another thought begins, and `for X` tells what for.
    let head = [", ", " because", " since ", " as ", " after ", " when ", " and ", " for ", " in ", " so ", " but "];
    let cut = head.iter().filter_map(|mark| text.find(mark)).min().unwrap_or(text.len());
    let text = &text[..cut];
    let text = ENDS.iter().find_map(|end| text.strip_suffix(end)).unwrap_or(text);
    if text.contains(['/', '\\', '@', '{', '(', '`', '=', '_']) {
        return None;
    }
    let value = normal(text);
    let words: Vec<&str> = value.split(' ').collect();
    let clear = !words.iter().any(|word| VAGUE.contains(word)) || slot::known(&value).is_some();
    (!value.is_empty() && words.len() <= MAX_WORDS && clear)
        .then(|| slot::known(&value).map_or(value, |slot| slot.value))
}

fn pair(old: &str, new: &str) -> Option<Change> {
    Some(Change { old: Some(value(old)?), new: Some(value(new)?) })
}

/// `switched from X to Y`, `moved to Y`, `migrated off X`.
fn moved(text: &str, spoken: bool) -> Option<Change> {
    #[rustfmt::skip]
    const VERBS: &[&str] = &[
        "switched", "switching", "moved", "moving", "migrated", "migrating", "changed", "changing", "converted",
        "transitioned", "transitioning", "went", "gone", "jumped", "shifted", "made the switch", "made the move",
        "crossed over", "going",
    ];
    let rest = VERBS.iter().find_map(|verb| text.strip_prefix(verb))?;
    let rest = [" over", " everything", " entirely", " completely", " all the way", " away", " our setup", " my setup"]
        .iter()
        .fold(rest, |rest, word| rest.strip_prefix(word).unwrap_or(rest));
    let from = [" from ", " off of ", " off "].iter().find_map(|word| rest.strip_prefix(word));
    if let Some(from) = from {
        let split = [" to ", " onto ", " over to ", " and onto ", " and now use ", " towards "]
            .iter()
            .find_map(|word| from.split_once(word));
        return match split {
            Some((old, new)) => pair(old.trim_end_matches(" over"), new),
            None if spoken => {
                let (old, new) = split_thought(from);
                Some(Change { old: Some(value(old)?), new: new.and_then(stated_now) })
            }
            None => None,
        };
    }
    let to = [" to ", " onto ", " with "].iter().find_map(|word| rest.strip_prefix(word)).filter(|_| spoken)?;
    if let Some((new, old)) = to.split_once(" from ") {
        return pair(old, new);
    }
    // A place to go to may be anything: only a known value is a choice.
    let new = value(to).filter(|new| slot::known(new).is_some())?;
    Some(Change { old: None, new: Some(new) })
}

/// `use Y instead of X`, `Y rather than X`, `instead of X use Y`.
fn instead(text: &str) -> Option<Change> {
    const VERBS: &[&str] =
        &["use ", "prefer ", "choose ", "pick ", "go with ", "using ", "want ", "take ", "stick with ", "let's use "];
    let text = text.strip_prefix("now ").unwrap_or(text);
    for lead in ["instead of ", "rather than "] {
        if let Some(rest) = text.strip_prefix(lead) {
            let (old, new) =
                rest.split_once(", ").or_else(|| rest.split_once(" use ")).or_else(|| rest.split_once(" please "))?;
            let new = new.trim_start_matches("please ").trim_start_matches("i want ").trim_start_matches("we ");
            let new = new.trim_start_matches("you should ").trim_start_matches("always ").trim_start_matches("now ");
            return pair(old, VERBS.iter().find_map(|verb| new.strip_prefix(verb)).unwrap_or(new));
        }
    }
    let rest = VERBS.iter().find_map(|verb| text.strip_prefix(verb))?;
    for (mark, swap) in [
        (" instead of ", false),
        (" rather than ", false),
        (" over ", false),
        (", not ", false),
        (" in place of ", false),
        (" and not ", false),
        (" not ", false),
        (" to replace ", false),
    ] {
        if let Some((new, old)) = rest.split_once(mark) {
            return if swap { pair(new, old) } else { pair(old, new) };
        }
    }
    None
}

/// `no longer use X`, `stopped using X`, `dropped X for Y`, `X is deprecated, use Y`.
fn dropped(text: &str, spoken: bool) -> Option<Change> {
    #[rustfmt::skip]
    const ENDED: &[&str] = &[
        "no longer use ", "no longer using ", "no longer want ", "no longer like ", "no longer prefer ",
        "no longer need ", "no longer write ", "no longer on ", "not using ", "stopped using ", "stop using ",
        "quit using ", "done with ", "dropped ", "ditched ", "abandoned ", "retired ", "got rid of ", "gave up on ", "gave up ", "forget what i said about ",
        "moved away from ", "finished with ", "through with ", "left ", "phased out ", "dumped ", "giving up on ",
        "drop ", "moving away from ", "dropping ", "ditching ", "don't use ", "do not use ", "not on ", "forget about ",
        "forget ", "killed off ", "sunsetted ", "deprecated ", "removed ", "don't want ", "don't like ",
        "don't write ", "goodbye ", "no more ", "leaving ", "abandoning ", "retiring ", "said goodbye to ",
    ];
    const NEEDS_ANYMORE: &[&str] =
        &["not using ", "don't use ", "do not use ", "not on ", "don't want ", "don't like ", "don't write "];
    let lead = ENDED.iter().find(|lead| text.starts_with(**lead)).copied().or_else(|| no_longer(text))?;
    let rest = &text[lead.len()..];
    let ended = [" anymore", " any more", " any longer", " for good"].iter().any(|word| rest.contains(word));
    if NEEDS_ANYMORE.contains(&lead) && !ended {
        return None;
    }
    for mark in [" in favor of ", " in favour of ", " for "] {
        if let Some((old, new)) = rest.split_once(mark) {
            let change = pair(old, new).filter(|_| spoken);
            if change.is_some() {
                return change;
            }
        }
    }
    let (old, new) = split_thought(rest);
    let old = value(old)?;
    let new = new.and_then(stated_now);
    // Without somebody who speaks, only what is known or was replaced in the same breath.
    let told = spoken || new.is_some() || ended || lead.starts_with("no longer") || lead.starts_with("stop using");
    told.then_some(Change { old: Some(old), new })
}

/// `no longer build with`, `don't deploy to`: the words before what is over.
fn no_longer(text: &str) -> Option<&str> {
    const WITH: &[&str] = &["with ", "on ", "to ", "in ", "through ", "at ", "for "];
    let rest = text.strip_prefix("no longer ")?;
    let (_, rest) = rest.split_once(' ')?;
    let rest = WITH.iter().find_map(|with| rest.strip_prefix(with))?;
    Some(&text[..text.len() - rest.len()])
}

/// `X. Use Y` in one sentence: what stands behind a comma, a dash or `and now`.
fn split_thought(text: &str) -> (&str, Option<&str>) {
    const MARKS: &[&str] = &[", ", "; ", " — ", " - ", " and now ", " but ", " – ", " so "];
    let at = MARKS.iter().filter_map(|mark| text.find(mark).map(|at| (at, mark.len()))).min();
    at.map_or((text, None), |(at, length)| (&text[..at], Some(&text[at + length..])))
}

/// The value in `it's Y now`, `use Y`, `we're on Y`.
fn stated_now(thought: &str) -> Option<String> {
    #[rustfmt::skip]
    const LEADS: &[&str] = &[
        "use ", "we use ", "i use ", "it's ", "now it's ", "we're on ", "i'm on ", "we now use ", "i now use ",
        "now use ", "we are on ", "go with ", "i prefer ", "we prefer ", "switch to ", "please use ", "now we use ",
        "now i use ", "we're using ", "i'm using ", "using ", "prefer ", "hello ", "now on ", "it is ",
        "everything is ", "we went with ", "welcome ", "from now on ", "only ", "always use ", "all ", "now ",
        "we do ", "i do ", "and ", "just ",
    ];
    let mut rest = thought.trim();
    for _ in 0..3 {
        rest = LEADS.iter().find_map(|lead| rest.strip_prefix(lead)).unwrap_or(rest);
    }
    let led = rest.len() < thought.trim().len();
    let named = value(rest).filter(|new| led || slot::known(new).is_some());
    named.or_else(|| match slot::all(thought).as_slice() {
        // `ruff does the formatting`: the only value that is named.
        [only] if only.2.single => Some(only.2.value.clone()),
        _ => None,
    })
}

/// `X is out, Y is in`, `Y replaces X`, `swapped X for Y`, `X was replaced by Y`.
fn replaced(text: &str) -> Option<Change> {
    for verb in ["swapped out ", "swapped ", "traded ", "exchanged ", "swapping ", "trading "] {
        if let Some(rest) = text.strip_prefix(verb) {
            let (old, new) = rest.split_once(" for ").or_else(|| rest.split_once(" with "))?;
            return pair(old.trim_end_matches(" out"), new);
        }
    }
    if let Some(rest) = text.strip_prefix("replaced ") {
        let (old, new) = rest.split_once(" with ").or_else(|| rest.split_once(" by "))?;
        return pair(old, new);
    }
    for mark in [" has replaced ", " replaces ", " replaced ", " supersedes ", " takes over from ", " took over from "]
    {
        if let Some((new, old)) = text.split_once(mark) {
            return pair(old, new);
        }
    }
    for mark in [
        " was replaced by ",
        " was replaced with ",
        " has been replaced by ",
        " has been replaced with ",
        " is replaced by ",
        " got replaced by ",
        " is now replaced by ",
        " gave way to ",
        " is superseded by ",
    ] {
        if let Some((old, new)) = text.split_once(mark) {
            return pair(old, new);
        }
    }
    for mark in [
        " is out",
        " is gone",
        " is dead",
        " is deprecated",
        " is history",
        " is retired",
        " is over",
        " is no longer",
        " are out",
        " are gone",
        " are dead",
        " are deprecated",
        " are history",
        " are over",
    ] {
        if let Some((old, behind)) = text.split_once(mark).filter(|(old, _)| !old.contains(", ")) {
            let new = split_thought(behind).1;
            let old = value(old).filter(|old| slot::known(old).is_some() || new.is_some())?;
            let new = new.and_then(|thought| thought.strip_suffix(" is in").map_or_else(|| stated_now(thought), value));
            return Some(Change { old: Some(old), new });
        }
    }
    None
}

/// `used to use X, now Y`.
fn before_and_now(text: &str) -> Option<Change> {
    const VERBS: &[&str] =
        &["use ", "prefer ", "like ", "write ", "be on ", "work with ", "work in ", "run ", "go with "];
    let rest = text.strip_prefix("used to ")?;
    let rest = VERBS.iter().find_map(|verb| rest.strip_prefix(verb)).unwrap_or(rest);
    let (old, new) = split_thought(rest);
    let new = new?.trim_start_matches("but ").trim_start_matches("and ").trim_start_matches("these days ");
    Some(Change { old: Some(value(old)?), new: stated_now(new.trim_start_matches("nowadays ")) })
}

/// `now use Y`, `use Y now`, `started using Y`, `standardised on Y`.
fn now(text: &str, spoken: bool) -> Option<Change> {
    #[rustfmt::skip]
    const BEGUN: &[&str] = &[
        "now use ", "now prefer ", "started using ", "adopted ", "standardized on ", "standardised on ",
        "settled on ", "going with ", "went with ", "go with ", "embraced ", "picked up ", "taken up ",
        "all in on ", "went all in on ", "fallen in love with ", "came around to ", "come around to ",
        "converted to ", "chosen ", "chose ", "picked ",
    ];
    const HELD: &[&str] = &["use ", "using ", "prefer ", "on ", "write "];
    let begun = BEGUN.iter().find_map(|lead| text.strip_prefix(lead)).filter(|_| spoken);
    let ends = [" now", " these days", " nowadays", " now instead"];
    let held = || {
        let rest = HELD.iter().find_map(|lead| text.strip_prefix(lead))?;
        ends.iter().any(|end| rest.ends_with(end)).then_some(rest)
    };
    let new = value(begun.or_else(held)?)?;
    slot::known(&new).map(|slot| Change { old: None, new: Some(slot.value) })
}

/// `the staging host is now S4, no longer S3`: what is so now, of a sentence that says what it takes the place of.
fn replacing(sentence: &str) -> Option<Change> {
    #[rustfmt::skip]
    const NOW: &[&str] = &[
        " from now on ", " as of now ", " now ", " from here on ", " going forward ", " as of today ", " these days ", " nowadays ", " starting today ",
        " moving forward ", " from today on ", " from today ",
    ];
    #[rustfmt::skip]
    const NOT: &[&str] = &[
        ", not ", ", no longer ", " instead of ", " rather than ", " and not ", " and no longer ", ", never ", ", no more ", " in place of ",
    ];
    let padded = format!(
        " {} ",
        sentence.replace(" anymore", "").replace(" any more", "").replace(" any longer", "").replace(',', " ,")
    );
    let time = NOW.iter().find(|time| padded.contains(**time))?;
    let plain = padded.replacen(*time, " ", 1).replace(" ,", ",");
    let (new, old) = NOT.iter().find_map(|not| plain.split_once(not))?;
    let old = old.trim().trim_matches([',', ' ', '.']);
    let old = ["to ", "in ", "with ", "on ", "by ", "at ", "from ", "the "]
        .iter()
        .find_map(|word| old.strip_prefix(word))
        .unwrap_or(old);
    let new = new.trim().trim_matches([',', ' ']);
    let (news, olds) = (new.split(' ').count(), old.split(' ').count());
    let told = (2..=12).contains(&news) && (1..=4).contains(&olds) && !new.contains(',');
    let vague = ["it", "this", "that", "them", "these", "those", "me", "you"];
    (told
        && !vague.contains(&old)
        && !new.split(' ').any(|word| matches!(word, "it" | "this" | "that" | "error" | "fails" | "works")))
    .then(|| Change { old: Some(normal(old)), new: Some(normal(new)) })
}

/// Two known values of one property and a word of change, in whatever order; or one known value and `now`.
fn among_known(text: &str) -> Option<Change> {
    #[rustfmt::skip]
    const MARKS: &[&str] = &[
        " switch", " moved ", " move ", " migrat", " drop", " ditch", " replac", " swap", " instead ",
        " no longer ", " anymore ", " goodbye ", " bye ", " retir", " abandon", " left ", " now ", " from now on ",
        " over ", " rather than ", " nowadays ", " these days ", " going forward ", " used to ", " gone ", " out ",
        " deprecated ", " changed ", " tired ", " fed up ", " soured ", " had it with ", " parted ways ", " threw out ", " retired ",
        " taken over ", " took over ", " had its time ", " moved over ", " any more ", " pulled the plug ", " read only ",
        " back on ", " in the bin ", " overruled ", " not ", " no more ", " outgrown ", " outgrew ",
    ];
    let normal_text = format!(" {} ", normal(text));
    if !MARKS.iter().any(|mark| normal_text.contains(mark)) || text.contains(" if ") || text.contains(" both ") {
        return None;
    }
    let found = slot::all(text);
    match found.as_slice() {
        [first, .., last]
            if first.2.value != last.2.value && found.iter().all(|one| one.2.attribute == first.2.attribute) =>
        {
            let (olds, news): (Vec<_>, Vec<_>) = found.iter().partition(|one| is_old(&normal_text, one.0, one.1));
            match (olds.as_slice(), news.as_slice()) {
                ([old, ..], [new]) => Some(Change { old: Some(old.2.value.clone()), new: Some(new.2.value.clone()) }),
                _ => None,
            }
        }
        [only] if only.2.single => one_known(&normal_text, only),
        _ => None,
    }
}

/// `everything goes through pnpm now`: only where the person tells how they work.
fn one_known(text: &str, only: &(usize, usize, slot::Slot)) -> Option<Change> {
    const OURS: &[&str] =
        &[" we ", " i ", " our ", " my ", " we re ", " i m ", " everything ", " all ", " i ve ", " we ve "];
    #[rustfmt::skip]
    const WORK: &[&str] = &[
        " use ", " using ", " prefer ", " goes through ", " runs on ", " live on ", " lives on ", " is our ",
        " is my ", " on ", " go with ", " rely on ",
    ];
    let now = [" now ", " these days ", " nowadays ", " from now on ", " going forward "]
        .iter()
        .any(|mark| text.contains(mark));
    let ours = OURS.iter().any(|word| text.contains(word)) && WORK.iter().any(|word| text.contains(word));
    let short = text.split_whitespace().count() <= 14;
    (now && ours && short && !is_old(text, only.0, only.1))
        .then(|| Change { old: None, new: Some(only.2.value.clone()) })
}

/// Whether the words beside a value say that it is over.
fn is_old(text: &str, from: usize, to: usize) -> bool {
    #[rustfmt::skip]
    const BEFORE: &[&str] = &[
        "from", "or", "nor", "than", "over", "off", "of", "dropped", "dropping",
        "ditched", "ditching", "goodbye", "bye", "retired", "retiring", "replaced", "replaces", "replacing",
        "abandoned", "done with", "left", "leaving", "no more", "not", "no longer use", "no longer using",
        "stopped using", "stop using", "used to use", "used to be", "used to be on", "swapped", "swapped out",
        "traded", "gave up on", "outgrown", "outgrew",
        "moved past", "goodbye to", "no longer on", "without", "drop", "ditch", "replace", "forget", "forget about",
        "used to prefer", "dumped", "don t use", "not use", "soured on", "fed up with", "had it with", "pulled the plug on",
        "parted ways with", "threw out", "dislike the", "used", "was", "liked", "preferred",
        "loved", "were on", "was on",
    ];
    #[rustfmt::skip]
    const BEHIND: &[&str] = &[
        "is out", "is gone", "anymore", "any more", "is dead", "is deprecated", "is history", "is over",
        "is no longer", "was", "is retired", "out", "gave way", "has been replaced",
        "has been dropped", "is being retired", "any longer", "got replaced", "isn t", "didn t work",
        "has been retired", "got dropped", "is done", "no longer", "had its time", "got retired", "finally got retired", "is in the bin",
        "is too", "is read only", "is switched off",
    ];
    let (before, behind) = (text[..from + 1].trim(), text.get(to + 1..).unwrap_or_default().trim());
    let ends = |mark: &str| before == mark || before.ends_with(&format!(" {mark}"));
    let starts = |mark: &str| behind == mark || behind.starts_with(&format!("{mark} "));
    BEFORE.iter().any(|mark| ends(mark)) || BEHIND.iter().any(|mark| starts(mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_in_many_words() {
        let table = [
            ("we switched from npm to pnpm", Some("npm"), Some("pnpm")),
            ("i've moved over from vs code to neovim last week", Some("vscode"), Some("neovim")),
            ("we migrated off jenkins", Some("jenkins"), None),
            ("use pnpm instead of npm from now on", Some("npm"), Some("pnpm")),
            ("instead of jest, please use vitest", Some("jest"), Some("vitest")),
            ("we no longer use yarn", Some("yarn"), None),
            ("we no longer use yarn, it's pnpm now", Some("yarn"), Some("pnpm")),
            ("don't use moment anymore", Some("moment"), None),
            ("i stopped using emacs", Some("emacs"), None),
            ("we dropped webpack in favour of vite", Some("webpack"), Some("vite")),
            ("black is out, ruff format is in", Some("black"), Some("ruff format")),
            ("drizzle has replaced prisma", Some("prisma"), Some("drizzle")),
            ("we swapped mysql for postgres", Some("mysql"), Some("postgres")),
            ("i used to prefer tabs, but now spaces", Some("tabs"), Some("spaces")),
            ("we now use poetry", None, Some("poetry")),
            ("we're on gitlab now", None, Some("gitlab")),
            ("everything goes through pnpm these days, we are done with npm", Some("npm"), Some("pnpm")),
            ("goodbye npm, hello pnpm", Some("npm"), Some("pnpm")),
            ("i'm all in on vitest these days", None, Some("vitest")),
            ("from now on uv instead of pip or poetry", Some("pip"), Some("uv")),
            ("our database is postgres now, mysql is gone", Some("mysql"), Some("postgres")),
        ];
        for (text, old, new) in table {
            let change = change(text).unwrap_or_else(|| panic!("{text:?}"));
            assert_eq!((change.old.as_deref(), change.new.as_deref()), (old, new), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_change_of_mind() {
        for text in [
            "switch to the phase 12 branch",
            "i moved the file from src to lib",
            "i switched to main and pulled",
            "the endpoint no longer works",
            "do not use the old one",
            "replace the button with a link",
            "we should compare npm and pnpm",
            "remove the fetch and use axios here",
            "you can drop the table",
            "",
        ] {
            assert_eq!(change(text), None, "{text:?}");
        }
    }
}
