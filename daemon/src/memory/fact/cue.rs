//! Standing rules that a person states in so many words.
//!
//! Precision over recall: a rule is taken only from the start of a sentence, and only when it tells an agent how to work.
//! What sounds alike and is none: orders for now, questions, complaints, and how the product should behave.

use clone_schema::id::normal;
use clone_schema::text::one_line;
use serde::{Deserialize, Serialize};

use crate::memory::fact::about::{About, about, here};
use crate::memory::fact::change::{Change, change};
use crate::memory::fact::clause::clauses;
use crate::memory::fact::guard::{Place, is_standing, place};
use crate::memory::fact::slot;
use crate::memory::fact::tongue;
use crate::memory::fact::topic::wanted;
use crate::memory::fact::wide::wide;

/// The most words of a sentence that is read.
const MAX_WORDS: usize = 32;
/// The most characters of a sentence in a script without spaces.
const MAX_CHARS: usize = 240;

/// How firmly something was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Force {
    /// An order that may be for now: it says so only when it is repeated.
    Asked,
    /// A standing rule or a statement: once is enough.
    Standing,
    /// A standing rule that takes the place of what held before.
    Change,
}

/// One standing rule or statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cue {
    /// The kind of fact that it makes.
    pub(super) kind: &'static str,
    /// What it is about: a property, or `tool`, `workflow`, `style`, `practice`, `remember`.
    pub(super) attribute: String,
    /// What is wanted or not, in normal form.
    pub(super) value: String,
    /// Whether it is wanted.
    pub(super) positive: bool,
    /// Whether another value of the same property takes its place.
    pub(super) single: bool,
    /// Where it holds.
    pub(super) place: Place,
    /// How firmly it was said.
    pub(super) force: Force,
    /// A value that no longer holds, in normal form.
    pub(super) retires: Option<String>,
    /// The sentence.
    pub(super) text: String,
}

/// The rules and statements in sentences.
pub(super) fn cues(sentences: &[&str]) -> Vec<Cue> {
    sentences.iter().flat_map(|sentence| read(sentence)).collect()
}

#[rustfmt::skip]
const LEADS: &[&str] = &[
    "actually", "hey", "fyi", "reminder", "quick note", "for the record", "for future reference", "standing instruction",
    "one more thing", "again", "small thing", "heads up", "well",
    "please", "pls", "also", "and", "but", "so", "ok", "okay", "yes", "note", "remember to", "remember",
    "btw", "by the way", "important", "just", "too", "por favor", "y",
    "además", "no wait",
];

/// Verbs that tell an agent how to work, and what kind of rule each makes.
#[rustfmt::skip]
const VERBS: &[(&str, &str)] = &[
    ("tool", "use run install prefer execute usa usar ejecuta utiliza prefiero"),
    (
        "style",
        "write format explain respond reply answer name document comment summarize be speak talk translate \
         escribe responde explica comenta",
    ),
    (
        "workflow",
        "squash force swallow introduce validate treat bind ship pull store claim end trust pin wrap sort group split keep \
         commit push merge ask test verify check review plan build deploy restart start stop wait confirm \
         read follow update create delete remove edit change touch modify add generate report tell make do \
         double-check lint git exit handle print access rebase revert overwrite pregunta haz verifica \
         actualiza crea borra modifica cambies hagas uses crees borres modifiques preguntes",
    ),
    (
        "practice",
        "assume guess mention include import mock hardcode skip rely call break leave keep avoid put provide \
         give refactor implement save log disable hard-code try omit mantén mantener evita incluye",
    ),
];

fn read(sentence: &str) -> Vec<Cue> {
    let text = one_line(sentence.trim_matches(['*', '_', ' ']));
    if text.ends_with(['?', '？', ':', '：']) || text.chars().count() > MAX_CHARS {
        return Vec::new();
    }
    wide(&text).map_or_else(|| spaced(&text), |cue| vec![cue])
}

/// Languages that part words by spaces.
fn spaced(text: &str) -> Vec<Cue> {
    let lower = written_out(&text.to_lowercase().replace(['’', '‘'], "'"));
    let count = lower.split_whitespace().count();
    if !(2..=MAX_WORDS).contains(&count) || !is_standing(&lower) {
        return Vec::new();
    }
    let led = strip_leads(lower.trim_end_matches(['.', '!', ' ']));
    let (led, place) = place(led);
    let rest = strip_leads(led).trim_end_matches([' ', ',']);
    let rest = rest.strip_suffix(" please").unwrap_or(rest).trim_end_matches([' ', ',']);
    let said = Said { text, lower: &lower, rest, place };
    let told = said.noted().or_else(|| said.changed());
    let told = told.map(|cue| said.beside(cue)).or_else(|| Some(said.parted()).filter(|cues| !cues.is_empty()));
    told.unwrap_or_else(|| {
        let found = said.ruled().or_else(|| said.stated()).or_else(|| said.named()).or_else(|| said.asked());
        found.into_iter().collect()
    })
}

/// A lower-case sentence with the apostrophes that are left out in a hurry.
fn written_out(lower: &str) -> String {
    #[rustfmt::skip]
    const HURRIED: &[(&str, &str)] = &[
        ("dont", "don't"), ("doesnt", "doesn't"), ("cant", "can't"), ("wont", "won't"), ("im", "i'm"), ("ive", "i've"), ("thats", "that's"),
        ("isnt", "isn't"), ("didnt", "didn't"), ("shouldnt", "shouldn't"), ("theres", "there's"), ("youre", "you're"), ("whats", "what's"),
        ("arent", "aren't"), ("wasnt", "wasn't"), ("wouldnt", "wouldn't"), ("couldnt", "couldn't"), ("lets", "let's"),
    ];
    let word = |word: &str| HURRIED.iter().find(|(hurried, _)| *hurried == word).map(|(_, whole)| *whole);
    lower.split(' ').map(|plain| word(plain).unwrap_or(plain)).collect::<Vec<_>>().join(" ")
}

/// A sentence on its way to a cue.
struct Said<'a> {
    text: &'a str,
    lower: &'a str,
    rest: &'a str,
    place: Place,
}

impl Said<'_> {
    fn cue(&self, kind: &'static str, attribute: &str, value: &str, force: Force) -> Cue {
        Cue {
            kind,
            attribute: attribute.to_owned(),
            value: normal(value),
            positive: true,
            single: false,
            place: self.place.clone(),
            force,
            retires: None,
            text: plain(self.text).to_owned(),
        }
    }

    /// `remember that X`, unless X is a rule itself.
    fn noted(&self) -> Option<Cue> {
        let note = noted(self.lower)?;
        let inner = Said { rest: note, place: self.place.clone(), ..*self };
        let inside = inner.parted().into_iter().next().or_else(|| inner.ruled()).or_else(|| inner.stated());
        // `remember the old plan` only points back; `remember that` and `remember:` ask for it to be kept.
        let kept = ["remember that ", "remember: ", "remember, ", "please remember "]
            .iter()
            .any(|lead| self.lower.contains(lead));
        let force = if kept { Force::Standing } else { Force::Asked };
        Some(inside.unwrap_or_else(|| self.cue("statement", "remember", note, force)))
    }

    fn changed(&self) -> Option<Cue> {
        let Change { old, new } = change(self.rest)?;
        // `use Y instead of X` alone may be an order for now.
        let order =
            self.rest.starts_with("use ") || self.rest.starts_with("using ") || self.rest.starts_with("let's use ");
        let firm = !order || is_firm(self.lower);
        let preferred = self.rest.starts_with("prefer ") || self.rest.starts_with("i prefer ");
        let force = if preferred {
            Force::Standing
        } else if firm {
            Force::Change
        } else {
            Force::Asked
        };
        let retires = if preferred { None } else { old.clone() };
        let value = new.as_deref().or(old.as_deref())?;
        if preferred && slot::known(value).is_none() {
            return None;
        }
        if value.split(' ').count() > 2 && slot::known(value).is_none() {
            return Some(self.replaced(value, old.as_deref(), force));
        }
        let known = slot::known(value).or_else(|| old.as_deref().and_then(slot::known));
        let attribute = known.as_ref().map_or("tool", |slot| slot.attribute.as_str());
        let mut cue = self.cue("preference", attribute, value, force);
        cue.positive = new.is_some();
        cue.single = known.is_some_and(|slot| slot.single || old.is_some() && !preferred) && cue.positive;
        cue.retires = retires.filter(|_| force == Force::Change);
        Some(cue)
    }

    /// A whole sentence that takes the place of something: its one known value, or what it says.
    fn replaced(&self, sentence: &str, old: Option<&str>, force: Force) -> Cue {
        let held = slot::held(sentence).filter(|(_, positive)| *positive).map(|(slot, _)| slot);
        let mut cue = match &held {
            Some(slot) => self.cue("preference", &slot.attribute, &slot.value, force),
            None => self.cue("preference", "practice", sentence, force),
        };
        cue.single = held.is_some_and(|slot| slot.single);
        cue.retires = old.map(str::to_owned).filter(|_| force == Force::Change);
        cue
    }

    /// A change, and where it only says what is over, what the other parts of the sentence want.
    fn beside(&self, cue: Cue) -> Vec<Cue> {
        let others = if cue.positive { Vec::new() } else { self.parted() };
        let others = others.into_iter().filter(|other| other.positive && other.value != cue.value);
        std::iter::once(cue.clone()).chain(others).collect()
    }

    /// The rules of the sentence's parts; of two values of one property the wanted one.
    fn parted(&self) -> Vec<Cue> {
        let found =
            Some(clauses(self.rest)).filter(|found| !found.is_empty()).unwrap_or_else(|| tongue::clauses(self.rest));
        let cues: Vec<Cue> = found
            .into_iter()
            .filter_map(|clause| {
                self.finish(&clause.order, &clause.condition, clause.positive, Force::Standing, clause.bare)
            })
            .collect();
        let wanted: Vec<String> =
            cues.iter().filter(|cue| cue.single && cue.positive).map(|cue| cue.attribute.clone()).collect();
        cues.into_iter().filter(|cue| cue.positive || !wanted.contains(&cue.attribute)).collect()
    }

    fn ruled(&self) -> Option<Cue> {
        let rest = self.rest;
        let found = later(rest).or_else(|| preferred(rest)).or_else(|| conditioned(rest));
        let (order, positive, weak) = found?;
        self.finish(order, "", positive, if weak { Force::Asked } else { Force::Standing }, false)
    }

    fn stated(&self) -> Option<Cue> {
        let rest = [", always ", ", never "]
            .iter()
            .find_map(|mark| self.rest.split_once(mark))
            .map_or(self.rest, |(rest, _)| rest);
        let found = if self.place == Place::Here { here(rest) } else { None };
        let About { kind, attribute, value, positive, single, force } = found.or_else(|| about(rest))?;
        Some(Cue { positive, single, value, ..self.cue(kind, &attribute, "", force) })
    }

    /// A known value in a sentence that speaks of how things stand for good, or of this project.
    fn named(&self) -> Option<Cue> {
        #[rustfmt::skip]
        const FOR_GOOD: &[&str] = &[
            " always ", " everywhere ", " in all my ", " in all our ", " in any of my ", " whenever ", " generally ", " in general ",
            " from now on ", " prefer ", " my default ", " our default ", " my tool ", " of choice ", " on all my ", " in my projects ",
            " with me ", " for me ", " for anything ", " stick to it ", " stick with it ", " my package manager ", " reach for ", " my way ",
            " these days ", " our standard ", " is a must ", " are a must ", " needs ", " not optional ", " never ", " every ", " rule ", " my taste ", " my container tool ", " in all repos ", " only ",
        ];
        #[rustfmt::skip]
        const OWN: &[&str] = &[" i ", " i'm ", " i'd ", " i've ", " my ", " me ", " we ", " we're ", " our ", " us ", " you ", " your ", " please ", " pls "];
        #[rustfmt::skip]
        const ORDERS: &[&str] = &[
            "add", "make", "convert", "fix", "change", "create", "build", "install", "update", "remove", "write", "implement", "can", "could", "check",
            "set", "move", "migrate", "help", "let's", "try", "run", "look", "show", "find", "explain", "do", "does", "is", "are", "what", "how",
            "refactor", "rename", "delete", "review", "continue", "read", "see", "test", "start", "deploy", "configure", "replace", "put", "give",
        ];
        #[rustfmt::skip]
        const STATES: &[&str] = &[
            " is ", " are ", " uses ", " has ", " on ", " with ", " builds ", " tests ", " runs ", " in ", " get ", " gets ", " have ", " use ", " does ", " we ",
        ];
        let padded = format!(
            " {} ",
            self.lower.replace([',', '.', ':', ';', '!'], " ").split_whitespace().collect::<Vec<_>>().join(" ")
        );
        let has = |marks: &[&str]| marks.iter().any(|mark| padded.contains(mark));
        let first = self.rest.split(' ').next().unwrap_or_default();
        let here = self.place == Place::Here && !ORDERS.contains(&first) && has(STATES);
        // Talk about what they do not know, or of what went wrong.
        if has(&[
            " how ",
            " why ",
            " what ",
            " can you ",
            " could you ",
            " forget ",
            " forgot ",
            " keep forgetting ",
            " fails ",
            " broke ",
            " error ",
        ]) {
            return None;
        }
        if !(here || has(FOR_GOOD) && has(OWN) && !ORDERS.contains(&first)) || padded.split_whitespace().count() > 18 {
            return None;
        }
        let known = slot::held(self.lower).map(|(slot, positive)| (slot.attribute, slot.value, positive, slot.single));
        let about =
            || wanted(self.lower).map(|(topic, positive)| ("practice".to_owned(), topic.to_owned(), positive, false));
        let (attribute, value, positive, single) = known.or_else(about)?;
        let mut cue = self.cue("preference", &attribute, &value, Force::Standing);
        (cue.positive, cue.single) = (positive, single && positive);
        Some(cue)
    }

    /// A plain order that fills a slot: standing only when it is said again.
    fn asked(&self) -> Option<Cue> {
        let rest = self.rest.strip_prefix("let's ").unwrap_or(self.rest);
        let (positive, order) = negated(rest).map_or((true, rest), |order| (false, order));
        let slot = slot::of(order).filter(|_| order.split(' ').count() <= 10)?;
        let mut cue = self.cue("preference", &slot.attribute, &slot.value, Force::Asked);
        (cue.positive, cue.single) = (positive, slot.single && positive);
        Some(cue)
    }

    /// The cue of an order; `bare` where a thing without a verb is a rule as well.
    fn finish(&self, order: &str, condition: &str, positive: bool, force: Force, bare: bool) -> Option<Cue> {
        let (positive, order) = negated(order).map_or((positive, order), |order| (!positive, order));
        let order = strip_leads(order);
        let (positive, order, bare) = shunned(order).map_or((positive, order, bare), |order| (!positive, order, true));
        if let Some(slot) = slot::of(order).or_else(|| slot::named(order)) {
            let mut cue = self.cue("preference", &slot.attribute, &slot.value, force);
            (cue.positive, cue.single) = (positive, slot.single && positive);
            if !positive
                && [" again", " anymore", " any more", " any longer"].iter().any(|end| self.lower.contains(end))
            {
                (cue.force, cue.retires) = (Force::Change, Some(slot.value));
            }
            return Some(cue);
        }
        let (order, instead) =
            INSTEAD.iter().find_map(|mark| order.split_once(mark)).map_or((order, None), |(o, i)| (o, Some(i)));
        let verb = attribute(order);
        let thing = match verb {
            Some(_) => ALONE.contains(&order),
            None if bare => is_thing(order),
            None => is_clear_thing(order),
        };
        let attribute = verb.or_else(|| thing.then_some("practice"))?;
        let value = normal(order);
        // `use that one first` points at something that was said elsewhere.
        let words: Vec<&str> = value.split(' ').collect();
        let points = |at: usize| words.get(at).is_some_and(|word| POINTING.contains(word));
        let ends = points(words.len() - 1) && !value.ends_with(" one");
        if !thing && words.len() <= 5 && condition.is_empty() && (points(1) || ends) {
            return None;
        }
        // A verb says what to do with something.
        if !value.split(' ').skip(usize::from(!thing)).any(|word| !is_vague(word)) {
            return None;
        }
        let mut cue = self.cue("preference", attribute, &format!("{value} {condition}"), force);
        cue.positive = positive;
        if let Some(old) = instead.filter(|_| positive && force == Force::Standing) {
            (cue.force, cue.retires) = (Force::Change, Some(normal(old)));
        }
        Some(cue)
    }
}

/// Words that stand for something else.
const POINTING: &[&str] = &["it", "them", "that", "this", "those", "these", "one", "ones", "him", "her"];

/// What an order wants left out: `never skip X` wants X.
fn shunned(order: &str) -> Option<&str> {
    #[rustfmt::skip]
    const SHUN: &[&str] = &[
        "skip ", "avoid ", "leave out ", "leave off ", "omit ", "forget to ", "forget about ", "forget ", "stay away from ", "refrain from ",
        "steer clear of ", "stop ", "get rid of ",
    ];
    let rest = SHUN.iter().find_map(|verb| order.strip_prefix(verb))?;
    Some(
        ["using ", "adding ", "writing ", "the use of "]
            .iter()
            .find_map(|lead| rest.strip_prefix(lead))
            .unwrap_or(rest),
    )
}

/// What a rule takes the place of.
const INSTEAD: &[&str] = &[" instead of ", " rather than ", " in place of "];

/// Verbs that are a rule by themselves: `never guess`.
const ALONE: &[&str] = &["rebase", "squash", "lint", "ask", "guess", "tdd", "print", "typecheck", "assume"];

fn is_vague(word: &str) -> bool {
    #[rustfmt::skip]
    const VAGUE: &[&str] = &[
        "that", "this", "it", "them", "these", "so", "again", "do", "always", "anything", "ever", "one", "ones", "any", "same", "things", "thing",
        "something", "stuff", "everything", "mind", "never", "the", "now",
    ];
    VAGUE.contains(&word)
}

/// Whether an order names a thing and no deed: `type hints on everything`.
fn is_thing(order: &str) -> bool {
    #[rustfmt::skip]
    const OTHERS: &[&str] = &[
        "it", "this", "that", "these", "those", "they", "he", "she", "you", "i", "we", "there", "what", "why", "how", "when", "if", "who", "which",
        "because", "thanks", "thank", "to", "my", "your", "his", "her", "their", "from", "not", "for", "in", "on", "at", "with", "show", "redirect",
        "display", "open", "return", "fix", "check", "go", "let", "let's", "see", "look", "idea", "problem", "need", "worries", "wonder", "matter",
        "clue", "as", "or", "we're", "i'm", "you're", "it's", "they're", "that's", "then", "i've", "we've", "please", "easier", "better", "faster", "than", "nothing", "luck", "rush", "more", "longer", "else", "of", "be", "being", "been", "wait",
    ];
    #[rustfmt::skip]
    const FINITE: &[&str] = &[
        "is", "are", "was", "were", "has", "have", "had", "does", "did", "will", "would", "can", "could", "should", "fails", "works", "returns",
        "shows", "breaks", "gets", "goes", "said", "says", "happens", "isn't", "aren't", "doesn't", "it", "that", "this", "you", "i", "me", "its",
        "it's", "cannot", "can't", "won't", "needs", "makes", "seems", "looks", "takes", "comes", "wants", "they", "them", "he", "she",
    ];
    // `every public function gets a docstring`
    const EVERY: &[&str] = &["every", "each", "everything"];
    const GOES: &[&str] = &["gets", "goes", "needs", "has", "must", "should", "it", "its"];
    let first = order.split_whitespace().next().unwrap_or_default();
    let count = order.split_whitespace().count();
    let is_finite = |word: &str| FINITE.contains(&word) && !(EVERY.contains(&first) && GOES.contains(&word));
    (1..=10).contains(&count)
        && first.starts_with(char::is_alphabetic)
        && first.chars().all(|c| c.is_alphanumeric() || "-'.+#_".contains(c))
        && !OTHERS.contains(&first)
        && !order.split_whitespace().any(is_finite)
}

/// Whether it does even where a verb could stand in its place: `the logger`, `small commits`, `tests first`.
fn is_clear_thing(order: &str) -> bool {
    #[rustfmt::skip]
    const LEADS: &[&str] = &[
        "the", "a", "an", "one", "small", "short", "long", "big", "full", "plain", "explicit", "strict", "single", "double", "early", "clean",
        "simple", "minimal", "tests", "separate", "named", "real", "atomic", "descriptive", "meaningful", "tiny", "verbose", "concise", "detailed",
    ];
    let mut words = order.split_whitespace();
    let first = words.next().unwrap_or_default();
    let count = order.split_whitespace().count();
    count == 1 && ALONE.contains(&first)
        || (2..=5).contains(&count) && LEADS.contains(&first) && is_thing(order)
        || count == 2 && words.next() == Some("first") && is_thing(order)
}

/// Words that make an order one for later as well.
fn is_firm(lower: &str) -> bool {
    #[rustfmt::skip]
    const FIRM: &[&str] = &[
        "always", "from now on", "going forward", "from here on", "in the future", "never", "everywhere",
        "by default", "moving forward",
    ];
    FIRM.iter().any(|word| lower.contains(word))
}

/// The sentence without the words that only tie it to the one before: `yes, and from now on …`.
fn plain(text: &str) -> &str {
    const TIES: &[&str] = &["yes", "ok", "okay", "and", "also", "but", "so", "btw"];
    let mut rest = text;
    while let Some((word, behind)) = rest.split_once([' ', ',']) {
        if !TIES.iter().any(|tie| word.eq_ignore_ascii_case(tie)) {
            break;
        }
        rest = behind.trim_start_matches([' ', ',']);
    }
    rest
}

fn strip_leads(mut text: &str) -> &str {
    'again: loop {
        for lead in LEADS {
            if let Some(rest) = text.strip_prefix(lead)
                && rest.starts_with([' ', ',', ':', '.', '-', '!'])
            {
                text = rest.trim_start_matches([' ', ',', ':', '.', '-', '!']);
                continue 'again;
            }
        }
        return text;
    }
}

fn negated(order: &str) -> Option<&str> {
    let marks =
        ["don't ", "do not ", "dont ", "never ", "you don't ", "you do not ", "no ", "nunca ", "i don't want you to "];
    marks.iter().find_map(|mark| order.strip_prefix(mark))
}

fn attribute(order: &str) -> Option<&'static str> {
    const PHRASES: &[&str] = &[
        "go through ",
        "go with ",
        "reach for ",
        "stick to ",
        "show me ",
        "send me ",
        "name ",
        "work in ",
        "work with ",
    ];
    if PHRASES.iter().any(|phrase| order.starts_with(phrase)) {
        return Some("practice");
    }
    let verb = order.split(' ').next()?;
    VERBS.iter().find(|(_, verbs)| verbs.split(' ').any(|known| known == verb)).map(|(attribute, _)| *attribute)
}

/// An order, whether it is wanted, and whether it stands only once it is said again.
type Found<'a> = Option<(&'a str, bool, bool)>;

/// `in the future, X`: without a verb it tells what may come, so only an order counts.
fn later(rest: &str) -> Found<'_> {
    let order = ["in the future", "in future", "en el futuro"].iter().find_map(|time| rest.strip_prefix(time))?;
    Some((strip_leads(order.trim_start_matches([',', ' ', ':'])), true, false))
}

/// `prefer X over Y`: without the second it may be for now.
fn preferred(rest: &str) -> Found<'_> {
    let compared = [" over ", " to ", " instead of ", " rather than "].iter().any(|word| rest.contains(word));
    (compared && rest.starts_with("prefer ")).then_some((rest, true, false))
}

/// `don't X unless I ask`, `before every commit, X`, `X after each change`.
fn conditioned(rest: &str) -> Found<'_> {
    #[rustfmt::skip]
    const UNLESS: &[&str] = &[
        " unless i ", " without asking", " without my ", " without confirm", " unless explicitly", " ever again",
        " sin preguntar", " sin mi permiso",
    ];
    #[rustfmt::skip]
    const EACH: &[&str] = &[
        "after every ", "after each ", "before every ", "before each ", "before any ", "whenever you ",
        "every time you ", "each time you ", "after any ", "cada vez que ",
    ];
    if negated(rest).is_some() && UNLESS.iter().any(|word| rest.contains(word)) {
        return Some((rest, true, false));
    }
    if EACH.iter().any(|lead| rest.starts_with(lead)) {
        let order = rest.split_once(", ").map(|(_, order)| strip_leads(order).trim_start_matches("always "))?;
        // The condition belongs to the rule: the order alone picks the kind, the whole is the value.
        attribute(negated(order).unwrap_or(order))?;
        return Some((order, true, false));
    }
    let late = EACH.iter().any(|word| rest.contains(&format!(" {word}")));
    late.then_some((rest, true, negated(rest).is_none()))
}

/// `remember that X`: what the person wants to be known.
fn noted(lower: &str) -> Option<&str> {
    const SUBJECTS: &[&str] =
        &["i", "i'm", "we", "we're", "the", "our", "my", "it's", "there", "this is", "you are", "you're", "these are"];
    let mut rest = lower.trim_end_matches(['.', '!', ' ']);
    for lead in ["and ", "also ", "but ", "please ", "so ", "ok ", "note: "] {
        rest = rest.strip_prefix(lead).unwrap_or(rest);
    }
    let note = rest.strip_prefix("remember")?.strip_prefix([' ', ',', ':'])?.trim_start();
    let note = note.strip_prefix("that ").unwrap_or(note);
    let fits = SUBJECTS.iter().any(|subject| note.strip_prefix(subject).is_some_and(|behind| behind.starts_with(' ')));
    (fits && note.split_whitespace().count() >= 4).then_some(note)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::memory::words::spoken;

    fn cues(prompt: &str) -> Vec<Cue> {
        super::cues(&spoken(prompt))
    }

    #[test]
    fn standing_rules() {
        #[rustfmt::skip]
        let table = [
            ("Always use tabs for indentation.", "indentation", "tabs", true),
            ("please never commit to main", "workflow", "commit to main", false),
            ("From now on, don't write comments in tests", "style", "write comments in tests", false),
            ("Run the linter after changes from now on", "tool", "run the linter after changes", true),
            ("You should always ask before a push", "workflow", "ask before a push", true),
            ("I prefer small functions", "practice", "small functions", true),
            ("prefer composition over inheritance", "tool", "prefer composition over inheritance", true),
            ("no emojis in commit messages, ever", "practice", "emojis in commit messages", false),
            ("never skip type hints", "practice", "type hints", true),
            ("always avoid unwrap", "practice", "unwrap", false),
            ("please use pnpm, never npm", "js package manager", "pnpm", true),
            ("small commits please, always", "practice", "small commits", true),
            ("whenever you draw a diagram use mermaid", "tool", "use mermaid whenever you draw a diagram", true),
            ("house rule: no semicolons", "practice", "semicolons", false),
            ("rule of thumb: small commits", "practice", "small commits", true),
            ("house style: no semicolons", "practice", "semicolons", false),
            ("this repo is on yarn", "js package manager", "yarn", true),
            ("i indent with tabs, always, whatever the language allows", "indentation", "tabs", true),
            ("i prefer german replies generally", "language of answers", "german", true),
            ("ich bevorzuge kurze Antworten", "practice", "kurze antworten", true),
            ("the staging host is now s4, no longer s3", "practice", "the staging host is s4", true),
            ("from now on keep lines under 100 columns", "line length", "100", true),
            ("Don't push unless I say so", "workflow", "push unless i say so", false),
            ("Before every commit, run the tests", "tool", "run the tests", true),
            ("remember back to our linting work", "", "", false),
            ("If there is an error, always exit with one", "workflow", "exit with one", true),
            ("Do not touch the seeds, never update seeds please.", "workflow", "update seeds", false),
            ("Do not ask me after each step", "workflow", "ask me after each step", false),
            ("Please remember the demo is a static page", "remember", "the demo is a static page", true),
            ("Siempre usa comillas simples", "tool", "usa comillas simples", true),
            ("A partir de ahora, escribe en castellano", "language of answers", "castellano", true),
            ("以后请用中文回答。", "practice", "以后请用中文回答", true),
            ("今後は敬語を使わないでください", "practice", "今後は敬語を使わないでください", false),
            ("앞으로 항상 테스트를 실행해줘", "practice", "앞으로 항상 테스트를 실행해줘", true),
            ("My editor is Neovim", "editor", "neovim", true),
            ("We switched from npm to pnpm.", "js package manager", "pnpm", true),
            ("Remember that I prefer answers in German", "language of answers", "german", true),
        ];
        for (text, attribute, value, positive) in table {
            let found = cues(text);
            let Some(cue) = found.first() else {
                assert_eq!(attribute, "", "{text:?}");
                continue;
            };
            assert_eq!(
                (cue.attribute.as_str(), cue.value.as_str(), cue.positive),
                (attribute, value, positive),
                "{text:?}"
            );
            assert!(cue.force >= Force::Standing, "{text:?}");
        }
        assert_eq!(cues("Yes, and from now on write tests first")[0].text, "from now on write tests first");
        assert_eq!(cues("Please git commit after each step")[0].force, Force::Asked);
        assert_eq!(cues("use pnpm")[0].force, Force::Asked);
        assert_eq!(cues("remember we're in a large tree, but for this deployment it is small"), []);
        assert_eq!(cues("In this project always use tabs")[0].place, Place::Here);
        assert_eq!(cues("Always use tabs in the atlas repo")[0].place, Place::Named("atlas".into()));
    }

    #[test]
    fn what_only_sounds_like_one() {
        let table = [
            "Make sure to fix the bug on line 3 now",
            "Why does it always use the cache?",
            "It always fails",
            "the modal never closes",
            "Always show the sidebar",
            "never mind",
            "always redirect the user to login",
            "don't do that yet",
            "Never do that again",
            "> always use tabs for indentation",
            "```\nalways use tabs for indentation\n```",
            "'x' is declared but never used",
            "we could do it in the future",
            "update the plan so that we can use it in the future",
            "Please remember that for your instructions",
            "run the tests after each change?",
            "Would that be easier to change in the future?",
            "I'd prefer the second option",
            "以后再说吧",
            "以后要做的功能",
            "必ず失敗してしまう",
            "常に表示してください",
            "앞으로 이동해줘",
            "それは必ず失敗する",
            "if a tool has a dry run flag, use that one first, every time",
            "under no circumstances do i want this run on my behalf",
            "every time I save, the page reloads twice",
            "whenever you're done with that, start on the csv import",
            "hide inactive products by default",
            "I want the code to be easier to read in general",
            "Now when you turn around the camera no longer follows your view",
            "the new layout is great, that's the way",
            "use the logger, the build is red",
            "this project needs more tests",
            "the page in this project is broken",
            "ça ne marche toujours pas",
            "siempre falla",
        ];
        for text in table {
            assert_eq!(cues(text), [], "{text:?}");
        }
        assert_eq!(cues(&"Always use tabs for indentation. ".repeat(60)), []);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in any::<String>(), word in "(always|from now on|prefer|以后不要|必ず)[ ,a-z?.]{0,30}") {
            for cue in cues(&text).into_iter().chain(cues(&word)) {
                prop_assert!(!cue.value.is_empty() && !cue.text.is_empty());
            }
        }
    }
}
