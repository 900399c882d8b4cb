//! What a person says of themselves, of others, of words and of places: `my manager is Ada`, `by POC I mean …`.

use clone_schema::id::normal;

use crate::memory::fact::cue::Force;
use crate::memory::fact::slot;

/// A statement about somebody or something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct About {
    /// The kind of fact.
    pub(super) kind: &'static str,
    /// The property.
    pub(super) attribute: String,
    /// The value, in normal form.
    pub(super) value: String,
    /// Whether it is so, or not wanted.
    pub(super) positive: bool,
    /// Whether another value takes its place.
    pub(super) single: bool,
    /// How firmly it was said.
    pub(super) force: Force,
}

impl About {
    /// The same, in place of what held before where it says so.
    fn changed(self, is_change: bool) -> Self {
        let force = if is_change { Force::Change } else { self.force };
        Self { force, ..self }
    }
}

/// Things of a person's or a team's that have one name or value at a time.
#[rustfmt::skip]
const THINGS: &[(&str, &str)] = &[
    (
        "preference",
        "editor shell browser terminal indentation font theme keyboard linter formatter framework database language stack os \
         laptop machine convention style tone bundler orm ide setup workflow layout license spelling",
    ),
    (
        "person",
        "manager boss lead colleague teammate coworker mentor cofounder designer reviewer client customer pm cto ceo partner \
         assistant intern name nickname team company employer title role job pronouns director supervisor",
    ),
    (
        "artifact",
        "branch repo repository port host url server endpoint database-url dashboard registry bucket domain cluster tracker \
         board wiki staging production site website channel folder directory path endpoint machine ci provider hosting cloud \
         runner manager-file version schedule deadline standup meeting sprint timezone zone day hours",
    ),
    ("project", "project product app startup game library"),
];

/// Roles that `X is my …` names.
const ROLES: &str = "manager boss lead colleague teammate coworker mentor cofounder co-founder designer reviewer client customer pm \
    cto ceo assistant intern director supervisor architect tester dba sysadmin accountant";

/// The statement that a lower-case sentence without its leads makes.
pub(super) fn about(sentence: &str) -> Option<About> {
    let rest = sentence.trim_start_matches("that ");
    vocabulary(rest)
        .or_else(|| named(rest))
        .or_else(|| mine(rest))
        .or_else(|| other(rest))
        .or_else(|| skill(rest))
        .or_else(|| role(rest))
        .or_else(|| uses(rest))
        .or_else(|| likes(rest))
        .or_else(|| place(rest))
}

/// `the docs in this repo are always German`: what is said of a thing of this project only.
pub(super) fn here(sentence: &str) -> Option<About> {
    let (thing, value) = [" are always ", " is always ", " are only ", " must always be "]
        .iter()
        .find_map(|mark| sentence.split_once(mark))?;
    let thing = [" in this ", " of this ", " here"]
        .iter()
        .find_map(|mark| thing.split_once(mark))
        .map_or(thing, |(thing, _)| thing);
    let name = thing.strip_prefix("the ").or_else(|| thing.strip_prefix("all ")).unwrap_or(thing);
    let value =
        [" in ", " with ", " by "].iter().find_map(|mark| value.split_once(mark)).map_or(value, |(_, value)| value);
    (name.split(' ').count() <= 3 && value.split(' ').count() <= 4 && is_value(value))
        .then(|| of_user("preference", name, value))
        .flatten()
}

fn of_user(kind: &'static str, attribute: &str, value: &str) -> Option<About> {
    let (attribute, value) = (normal(attribute), normal(value));
    if value.is_empty() || attribute.is_empty() || value.split(' ').count() > 12 {
        return None;
    }
    Some(About { kind, attribute, value, positive: true, single: true, force: Force::Standing })
}

/// `when I say X I mean Y`, `by X I mean Y`, `X is short for Y`.
fn vocabulary(rest: &str) -> Option<About> {
    #[rustfmt::skip]
    const LEADS: &[&str] = &[
        "when i say ", "whenever i say ", "if i say ", "when i write ", "by ", "when i type ", "whenever i write ",
        "when we say ",
    ];
    #[rustfmt::skip]
    const MEANS: &[&str] = &[
        " i mean ", " we mean ", " it means ", " that means ", " i am talking about ", " i'm talking about ",
        " i always mean ",
    ];
    let told = LEADS.iter().find_map(|lead| rest.strip_prefix(lead));
    let (term, meaning) = match told {
        Some(told) => MEANS.iter().find_map(|means| told.split_once(means))?,
        None => [
            " is short for ",
            " stands for ",
            " is our name for ",
            " is what we call ",
            " is shorthand for ",
            " is our word for ",
            " is my shorthand for ",
            " is our shorthand for ",
            " is our nickname for ",
            " is our abbreviation for ",
            " is my word for ",
            " is our term for ",
        ]
        .iter()
        .find_map(|mark| rest.split_once(mark))?,
    };
    let term = term
        .trim_matches(|c: char| " ,\"'“”‘’`".contains(c))
        .trim_start_matches("the term ")
        .trim_start_matches("the word ");
    let clear = (1..=4).contains(&term.split_whitespace().count())
        && !matches!(term, "it" | "this" | "that" | "what" | "which");
    clear.then(|| of_user("vocabulary", term, meaning)).flatten()
}

/// `my name is X`, `call me X`.
fn named(rest: &str) -> Option<About> {
    let value = ["my name is ", "call me ", "address me as ", "please call me ", "you can call me ", "i go by "]
        .iter()
        .find_map(|lead| rest.strip_prefix(lead))?;
    let fits = value.split_whitespace().count() <= 3
        && !["when ", "if ", "back", "an ", "a ", "crazy"].iter().any(|no| value.starts_with(no));
    fits.then(|| of_user("person", "name", value)).flatten()
}

/// `my editor is X`, `our default branch is X`.
fn mine(rest: &str) -> Option<About> {
    let own = ["my ", "our "].iter().find_map(|lead| rest.strip_prefix(lead));
    let thing = own.or_else(|| rest.strip_prefix("the ").filter(|thing| thing.starts_with("default ")))?;
    #[rustfmt::skip]
    const IS: &[(&str, bool)] = &[
        (" is now ", true), (" has moved to ", true), (" moved to ", true), (" has changed to ", true),
        (" changed to ", true), (" is called ", false), (" switched to ", true), (" will be ", false),
        (" is ", false), (" are ", false), (" runs on ", false), (" lives at ", false), (" lives in ", false),
        (" is at ", false),
    ];
    let (name, value, change) =
        IS.iter().find_map(|(is, change)| thing.split_once(is).map(|(n, v)| (n, v, *change)))?;
    let ends = [", ", " so ", " because ", "; "];
    let value = &value[..ends.iter().filter_map(|end| value.find(end)).min().unwrap_or(value.len())];
    let (value, late) = strip_now(value);
    let name = normal(name);
    let words: Vec<&str> = name.split(' ').collect();
    let last = words.last().copied().unwrap_or_default();
    let (plain, chosen) = property(&name);
    let known = THINGS.iter().find(|(_, things)| things.split_whitespace().any(|thing| thing == last));
    let kind = match known {
        _ if chosen => "preference",
        Some((kind, _)) => kind,
        None if slot::known(value.trim_start_matches("the ")).is_some() => "preference",
        None => return None,
    };
    if words.len() > 4 || !is_value(value) {
        return None;
    }
    let known = slot::known(value).filter(|slot| slot.single && kind == "preference");
    let found = match known {
        Some(slot) => of_user("preference", &slot.attribute, &slot.value)?,
        None => of_user(kind, plain, value)?,
    };
    Some(found.changed(change || late))
}

/// The property that a name in normal form stands for, and whether the name says that its value was chosen:
/// `favourite editor` is the editor, while `default branch` is a property of its own.
fn property(name: &str) -> (&str, bool) {
    const TASTE: &[&str] = &["preferred ", "favorite ", "favourite ", "go to ", "usual "];
    const KEPT: &[&str] = &["default ", "primary "];
    let plain = TASTE.iter().find_map(|lead| name.strip_prefix(lead)).unwrap_or(name);
    let plain = plain.strip_suffix(" of choice").unwrap_or(plain);
    (plain, plain.len() < name.len() || KEPT.iter().any(|lead| name.starts_with(lead)))
}

/// A value names something; a state (`broken`, `not working`) is none.
fn is_value(value: &str) -> bool {
    #[rustfmt::skip]
    const STATES: &[&str] = &[
        "not ", "broken", "failing", "down", "slow", "too ", "very ", "so ", "still ", "missing", "wrong",
        "getting ", "being ", "going ", "that ", "to ", "about ", "working", "ready", "done", "empty", "full",
        "out of ", "no ", "now ", "really ", "pretty ", "a bit ", "a mess", "really", "what ", "how ", "why ",
        "the same", "here", "there", "this", "it", "good", "bad", "fine", "ok", "like ", "where ", "on fire",
        "currently ", "also ", "just ", "already ", "supposed ", "trying ", "asking ", "having ", "different",
        "all ", "always ", "mad ",
    ];
    let words = value.split_whitespace().count();
    (1..=8).contains(&words) && !STATES.iter().any(|state| value.starts_with(state))
}

fn strip_now(value: &str) -> (&str, bool) {
    let value = value.trim_end_matches(['.', '!', ' ']);
    let ends = [" now", " from now on", " these days", " as of today", " going forward", " nowadays", ", from now on"];
    ends.iter().find_map(|end| value.strip_suffix(end)).map_or((value, false), |value| (value, true))
}

/// `X is my manager`, `X is our favourite editor`.
fn other(rest: &str) -> Option<About> {
    if let Some((name, how)) = rest.split_once(" is what ")
        && ["we ", "i ", "our team ", "the team "].iter().any(|who| how.starts_with(who))
        && let Some(slot) = slot::known(name)
    {
        return of_user("preference", &slot.attribute, &slot.value);
    }
    let (name, role) =
        [" is my ", " is our ", " is now my ", " is now our "].iter().find_map(|mark| rest.split_once(mark))?;
    let change = rest.contains(" is now ");
    let (role, late) = strip_now(role);
    let subject = normal(name);
    if subject.is_empty()
        || subject.split(' ').count() > 3
        || matches!(subject.as_str(), "this" | "that" | "it" | "here" | "what" | "he" | "she")
    {
        return None;
    }
    let role_name = normal(role);
    let last = role_name.split(' ').next_back().unwrap_or_default();
    let (plain, chosen) = property(&role_name);
    let found = if ROLES.split_whitespace().any(|known| known == last) && role_name.split(' ').count() <= 4 {
        of_user("person", &role_name, &subject)?
    } else if let Some(slot) = slot::known(&subject) {
        of_user("preference", &slot.attribute, &slot.value)?
    } else if chosen {
        of_user("preference", plain, &subject)?
    } else {
        return None;
    };
    Some(found.changed(change || late))
}

/// `I'm fluent in X`, `I'm new to X`, `I know X well`.
fn skill(rest: &str) -> Option<About> {
    #[rustfmt::skip]
    const LEVELS: &[(&str, &str)] = &[
        ("i'm fluent in ", "fluent"), ("i am fluent in ", "fluent"), ("i'm new to ", "new"),
        ("i am new to ", "new"), ("i'm learning ", "learning"), ("i am learning ", "learning"),
        ("i'm an expert in ", "expert"), ("i am an expert in ", "expert"), ("i'm experienced in ", "experienced"),
        ("i'm experienced with ", "experienced"), ("i'm comfortable with ", "comfortable"),
        ("i am comfortable with ", "comfortable"), ("i'm comfortable in ", "comfortable"),
        ("i don't know ", "none"), ("i'm good at ", "good"), ("i am good at ", "good"),
        ("i'm not familiar with ", "none"), ("i am not familiar with ", "none"), ("i'm familiar with ", "familiar"),
        ("i am familiar with ", "familiar"), ("i'm proficient in ", "proficient"),
        ("i am proficient in ", "proficient"), ("i have never used ", "none"), ("i've never used ", "none"),
        ("i'm a beginner in ", "new"), ("i'm a beginner at ", "new"), ("i'm bad at ", "weak"),
        ("i'm an expert at ", "expert"), ("i'm well versed in ", "experienced"),
        ("i am experienced with ", "experienced"), ("i have a lot of experience with ", "experienced"),
        ("i have a lot of experience in ", "experienced"), ("i'm still new to ", "new"),
        ("i'm still learning ", "learning"), ("i teach ", "expert"), ("i am experienced in ", "experienced"),
        ("i can read ", "familiar"),
    ];
    let found = LEVELS.iter().find_map(|(lead, level)| rest.strip_prefix(lead).map(|what| (what, *level)));
    let (what, level) = match found {
        Some(found) => found,
        None => (rest.strip_prefix("i know ")?.split_once(" well")?.0, "good"),
    };
    let what = what.split([',', ';']).next().unwrap_or_default().trim_start_matches("the ");
    let what = [" so ", " and ", " but ", " because "]
        .iter()
        .filter_map(|mark| what.split_once(mark))
        .map(|(a, _)| a)
        .min_by_key(|a| a.len())
        .unwrap_or(what);
    const VAGUE: &[&str] = &[
        "this", "that", "what", "how", "why", "if", "it", "where", "when", "which", "who", "whether", "these", "your",
        "yet", "anything", "the",
    ];
    let first = what.split_whitespace().next().unwrap_or_default();
    let fits = (1..=4).contains(&what.split_whitespace().count()) && !VAGUE.contains(&first);
    fits.then(|| of_user("skill", what, level)).flatten()
}

/// `I'm a backend engineer`, `I work at X`, `I'm working on X`.
fn role(rest: &str) -> Option<About> {
    const JOBS: &str = "engineer developer designer manager student teacher founder researcher scientist writer analyst architect \
        consultant freelancer programmer lead cto ceo administrator sysadmin solopreneur contractor maintainer dev sre doctor lawyer nurse";
    for lead in ["i'm a ", "i am a ", "i'm an ", "i am an ", "i work as a ", "i work as an "] {
        if let Some(job) = rest.strip_prefix(lead) {
            let job = job.split([',', ';']).next().unwrap_or_default();
            let job = [" at ", " with ", " who ", " and ", " in ", " on ", " by ", " for ", " so "]
                .iter()
                .fold(job, |job, mark| job.split_once(mark).map_or(job, |(job, _)| job));
            let last = job.split_whitespace().next_back().unwrap_or_default();
            let fits = job.split_whitespace().count() <= 4 && JOBS.split_whitespace().any(|known| known == last);
            return fits.then(|| of_user("person", "role", job)).flatten();
        }
    }
    for (lead, kind, attribute) in [
        ("i work at ", "person", "employer"),
        ("i work for ", "person", "employer"),
        ("i'm employed at ", "person", "employer"),
        ("i live in ", "person", "home"),
        ("i'm based in ", "person", "home"),
        ("i am based in ", "person", "home"),
        ("i moved to ", "person", "home"),
        ("i'm building ", "project", "building"),
        ("my side project is ", "project", "side project"),
    ] {
        if let Some(value) = rest.strip_prefix(lead) {
            let (value, change) = strip_now(value);
            let fits = value.split_whitespace().count() <= 4 && is_value(value);
            return Some(fits.then(|| of_user(kind, attribute, value)).flatten()?.changed(change));
        }
    }
    None
}

/// `we use X for Y`, `I always use X`, `this project uses X`: tools in use.
fn uses(rest: &str) -> Option<About> {
    #[rustfmt::skip]
    const LEADS: &[&str] = &[
        "i use ", "we use ", "i only use ", "we only use ", "i mostly use ", "we mostly use ", "i usually use ",
        "we usually use ", "i work with ", "we work with ", "we deploy to ", "we deploy on ", "we host on ",
        "i work in ", "i write in ", "we're on ", "i'm on ", "we run on ", "this project uses ",
        "the project uses ", "our project uses ", "this repo uses ", "the team uses ", "our team uses ",
        "we are on ", "i develop on ", "i'm using ", "we're using ", "we are using ", "i am using ",
        "i typically use ", "i generally use ", "i normally use ", "we stick to ", "i stick to ", "we follow ",
        "we standardized on ", "this project always uses ", "this project only uses ", "this repo always uses ", "this repo only uses ",
        "this app uses ", "this app always uses ", "this codebase uses ", "this codebase always uses ", "this service uses ",
        "this service always uses ", "the project always uses ", "i do all my editing in ", "i do my editing in ", "i edit in ",
        "i do everything in ", "we format with ", "we test with ", "i code in ", "we write ", "i write ",
        "everyone here uses ", "the codebase uses ",
    ];
    let lead = LEADS.iter().find(|lead| rest.starts_with(**lead))?;
    let what = strip_now(&rest[lead.len()..]).0;
    let slot = slot::of(&format!("use {what}"))?;
    let words = what.split_whitespace().count();
    // `I'm using X to …` tells of now; a habit says always, mostly, we.
    let now = lead.contains("'m using")
        || lead.contains("'re using")
        || lead.contains("are using")
        || lead.contains("am using");
    (words <= 9 && !what.contains(" to ")).then_some(About {
        kind: "preference",
        attribute: slot.attribute,
        value: slot.value,
        positive: true,
        single: slot.single,
        force: if now { Force::Asked } else { Force::Standing },
    })
}

/// `I like X`, `I hate X`: only of kinds of things, never of this or that one.
fn likes(rest: &str) -> Option<About> {
    #[rustfmt::skip]
    const LEADS: &[(&str, bool)] = &[
        ("i hate ", false), ("i dislike ", false), ("i can't stand ", false), ("i love ", true),
        ("i really like ", true), ("i like ", true), ("i don't like ", false), ("i do not like ", false),
        ("i'm a fan of ", true), ("i'm not a fan of ", false), ("i am not a fan of ", false),
        ("i'm a big fan of ", true), ("i don't want ", false), ("i never want ", false), ("we hate ", false),
        ("we love ", true), ("we avoid ", false), ("i avoid ", false), ("i enjoy ", true), ("i can't bear ", false),
    ];
    const PARTICULAR: &[&str] = &[
        "the", "this", "that", "it", "these", "those", "how", "your", "what", "where", "when", "them", "him", "her",
        "you", "one", "a", "an", "to", "our", "my", "idea", "both", "all", "any", "anything", "their", "either",
        "things", "its", "option", "approach", "version", "having", "seeing",
    ];
    let (what, positive) =
        LEADS.iter().find_map(|(lead, positive)| rest.strip_prefix(lead).map(|what| (what, *positive)))?;
    let words: Vec<&str> = what.split_whitespace().collect();
    let clear = (1..=8).contains(&words.len()) && !words.iter().take(1).any(|word| PARTICULAR.contains(word));
    let now = words.iter().any(|word| {
        matches!(*word, "this" | "that" | "here" | "it" | "the" | "these" | "those" | "you" | "more" | "too" | "they")
    });
    let slot = slot::of(&format!("use {what}"));
    if !clear || now {
        return None;
    }
    let (attribute, value, single) = match slot {
        Some(slot) => (slot.attribute, slot.value, slot.single && positive),
        None => ("taste".to_owned(), normal(what), false),
    };
    // What is liked may be one of many; only what is known replaces another.
    Some(About {
        kind: "preference",
        attribute,
        value,
        positive,
        single,
        force: if what.contains(" to be ") && words.len() > 6 { Force::Asked } else { Force::Standing },
    })
}

/// `the staging server is at X`, `the docs live in X`: where something is.
fn place(rest: &str) -> Option<About> {
    let thing = rest.strip_prefix("the ")?;
    let (name, place) = [
        " is at ",
        " lives at ",
        " lives in ",
        " live in ",
        " is located at ",
        " is located in ",
        " is reachable at ",
        " are in ",
        " runs on port ",
    ]
    .iter()
    .find_map(|mark| thing.split_once(mark))?;
    let words = name.split_whitespace().count();
    let concrete = place.contains(['/', '.', ':', '_']) || place.trim().parse::<u32>().is_ok();
    let value = place.split_whitespace().next().unwrap_or_default().trim_matches(['.', ',', '`']);
    (words <= 4 && concrete && place.split_whitespace().count() <= 3)
        .then(|| of_user("artifact", name, value))
        .flatten()
        .map(|mut found| {
            value.clone_into(&mut found.value);
            found
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements() {
        let table = [
            ("when i say ship it i mean deploy to staging", "vocabulary", "ship it", "deploy to staging"),
            ("poc is short for proof of concept", "vocabulary", "poc", "proof of concept"),
            ("my name is ada", "person", "name", "ada"),
            ("my editor is vs code", "preference", "editor", "vscode"),
            ("our default branch is trunk", "preference", "default branch", "trunk"),
            ("trunk is our default branch", "preference", "default branch", "trunk"),
            ("ed is my go-to editor", "preference", "editor", "ed"),
            ("my editor of choice is ed", "preference", "editor", "ed"),
            ("jest is what we always test with", "preference", "js test runner", "jest"),
            ("ada is my manager", "person", "manager", "ada"),
            ("my manager is now bob", "person", "manager", "bob"),
            ("i'm new to rust, so explain more", "skill", "rust", "new"),
            ("i know terraform well", "skill", "terraform", "good"),
            ("i am a data engineer at a bank", "person", "role", "data engineer"),
            ("we use jira", "preference", "issue tracker", "jira"),
            ("i use loguru for logging", "preference", "for logging", "loguru"),
            ("i hate emojis in commit messages", "preference", "taste", "emojis in commit messages"),
            ("the staging server is at staging.example.org", "artifact", "staging server", "staging.example.org"),
        ];
        for (text, kind, attribute, value) in table {
            let found = about(text).unwrap_or_else(|| panic!("{text:?}"));
            assert_eq!(
                (found.kind, found.attribute.as_str(), found.value.as_str()),
                (kind, attribute, value),
                "{text:?}"
            );
        }
    }

    #[test]
    fn talk_is_no_statement() {
        for text in [
            "i like it",
            "i don't like this button",
            "i hate how slow it is",
            "i like that idea",
            "my build is failing",
            "our tests are now green",
            "i don't know what this does",
            "the button is at the top",
            "i'm using the wrong branch",
            "it is my fault",
            "i use this to test",
            "i love the new design",
            "i'm a bit lost",
            "call me when it is done",
            "i want the sidebar to close",
            "",
        ] {
            assert_eq!(about(text), None, "{text:?}");
        }
    }
}
