//! Which of the closed channels a turn belongs to, and what the person did in it, by fixed rules.
//!
//! Two things are told apart, because one is known before the person replies and the other is not. What an agent's text
//! [`opens`] (a choice, an approval, a way onward) names the channel; the reply then only decides the outcome in it. The
//! [`form`] of a reply (macro, slash command, short act, prose) is known afterwards. Were the channel read off the reply
//! too, whoever measures it would pick the turns by their answer.

use clone_schema::text::last_chars;

use super::situation::{self, Kind, last_block, normal, tokens};

/// Replies of up to so many tokens are short acts.
pub const SHORT_TOKENS: usize = 3;
/// From so many characters on, a reply that is sent again and again is a macro.
pub const MACRO_CHARS: usize = 120;
/// How much of the end of an agent's text is read for options, in characters.
const OPTION_CHARS: usize = 1_500;
/// Options beyond so many are no menu.
const MAX_OPTIONS: usize = 9;
/// Approvals and goodbyes that carry nothing else are at most so long, in tokens.
const BARE_TOKENS: usize = 8;

/// What an agent's text opens for the person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opens {
    /// A menu: the words of each option, in order.
    Choice(Vec<String>),
    /// An offer, a plan or a question that yes or no answers.
    Approval,
    /// A report that something is done, or where it stands.
    Continuation,
    /// None of these.
    Nothing,
}

/// What was taken of a menu.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The option at this place, from 0.
    Option(usize),
    /// Several options, free text, or a refusal.
    Other,
}

/// What became of an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Yes and nothing else.
    Approved,
    /// Yes, and more words that matter.
    WithMore,
    /// No, not now, not so.
    Rejected,
    /// Something else altogether.
    Elsewhere,
}

impl Verdict {
    /// Whether it is a yes of either kind.
    #[must_use]
    pub const fn is_yes(self) -> bool {
        matches!(self, Self::Approved | Self::WithMore)
    }
}

/// Where a person goes after a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Onward {
    /// On with what is under way.
    GoOn,
    /// Nothing more is asked for.
    Stop,
    /// Something of their own: a task, a question, a complaint.
    NewTask,
}

/// What a reply is by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A saved text that is sent again and again.
    Macro,
    /// A command of the agent's, `/` first.
    Slash,
    /// At most [`SHORT_TOKENS`] tokens.
    Short,
    /// Anything else.
    Prose,
}

const CHOOSING: [&str; 14] = [
    "which",
    "prefer",
    "choose",
    "pick one",
    "pick an",
    "select",
    "like me to:",
    "want me to:",
    "i can:",
    "options:",
    "cuál",
    "cual ",
    "elige",
    "opción",
];
const WAITING: [&str; 9] = [
    "waiting for your",
    "await your",
    "awaiting your",
    "once you approve",
    "if you approve",
    "let me know if you'd like me to",
    "let me know if you want me to",
    "your go-ahead",
    "espero tu confirmación",
];
const OFFERING: [&str; 25] = [
    "would you like",
    "shall i",
    "should i",
    "shall we",
    "should we",
    "do you want",
    "want me to",
    "ready to",
    "may i",
    "can i",
    "proceed",
    "continue?",
    "go ahead",
    "sound good",
    "sounds good",
    "look good",
    "looks good",
    "make sense",
    "approve",
    "confirm",
    "quieres",
    "te parece",
    "procedo",
    "deseas",
    "te gustaría",
];
/// Words that a question begins with that yes or no answers.
const POLAR: [&str; 27] = [
    "do",
    "does",
    "did",
    "is",
    "are",
    "was",
    "were",
    "should",
    "shall",
    "can",
    "could",
    "would",
    "will",
    "want",
    "ready",
    "ok",
    "okay",
    "may",
    "have",
    "has",
    "puedo",
    "quieres",
    "deseas",
    "procedo",
    "sigo",
    "continúo",
    "está",
];
/// Words that ask for more than a yes, wherever they open a question.
const OPEN: [&str; 11] = ["what", "which", "how", "why", "where", "when", "who", "qué", "cuál", "cómo", "dónde"];

/// What an agent's text, or a client's whole document, opens.
#[must_use]
pub fn opens(text: &str) -> Opens {
    let block = last_block(text).trim();
    let end = last_chars(block, 200).to_lowercase();
    let options = menu(block);
    if options.len() >= 2 && says(&CHOOSING, &last_chars(block, OPTION_CHARS).to_lowercase()) && asks(block, &options) {
        return Opens::Choice(options);
    }
    if offers(&end) {
        return Opens::Approval;
    }
    if situation::kind(block) == Kind::Report { Opens::Continuation } else { Opens::Nothing }
}

/// The words of a text, accents and all.
fn words_of(text: &str) -> Vec<String> {
    normal(text).split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn says(words: &[&str], text: &str) -> bool {
    words.iter().any(|word| text.contains(word))
}

/// The last sentence, where it is a question.
fn question(end: &str) -> Option<&str> {
    let end = end.trim_end_matches(|c: char| !c.is_alphanumeric() && c != '?' && c != '？');
    let body = end.strip_suffix(['?', '？'])?;
    let last = body.rsplit(['.', '!', '?', '\n', '¿', '。']).next();
    last.map(|text| text.trim_start_matches(|c: char| !c.is_alphanumeric()))
}

/// Whether a menu is put to the person: by a question behind it, or by one that leads to it.
fn asks(block: &str, options: &[String]) -> bool {
    if question(&last_chars(block, 300).to_lowercase()).is_some() {
        return options.iter().filter(|option| option.trim_end().ends_with('?')).count() <= 1;
    }
    let tail = last_chars(block, OPTION_CHARS).to_lowercase();
    let lead = tail.lines().take_while(|line| item(line).is_none()).filter(|line| !line.trim().is_empty()).last();
    let whole_tail_is_menu = tail.lines().rev().find(|line| !line.trim().is_empty()).is_some_and(|l| item(l).is_some());
    let asked = |line: &str| line.trim_end_matches(['*', ' ']).ends_with([':', '?']) && says(&CHOOSING, line);
    whole_tail_is_menu && lead.is_some_and(asked)
}

fn offers(end: &str) -> bool {
    let Some(question) = question(end) else { return says(&WAITING, end) };
    let first = words_of(question).into_iter().next().unwrap_or_default();
    if OPEN.contains(&first.as_str()) {
        return false;
    }
    says(&OFFERING, &format!("{question}?")) || POLAR.contains(&first.as_str())
}

/// The place and the words of a line that offers an option.
fn item(line: &str) -> Option<(usize, &str)> {
    let line = line.trim_start_matches(|c: char| matches!(c, '*' | '#' | '-' | '•') || c.is_whitespace());
    let line = strip_word(line, "option ").or_else(|| strip_word(line, "opción ")).unwrap_or(line);
    let line = line.strip_prefix('(').unwrap_or(line);
    let mark = line.chars().next()?;
    let rest = line.get(mark.len_utf8()..)?;
    let close = rest.chars().next()?;
    let place = place(mark)?;
    let words = rest.get(close.len_utf8()..)?.trim_start_matches(['*', ' ']);
    (matches!(close, '.' | ')' | ':') && !words.trim().is_empty()).then_some((place, words))
}

fn strip_word<'a>(line: &'a str, word: &str) -> Option<&'a str> {
    let head = line.get(..word.len())?;
    head.eq_ignore_ascii_case(word).then(|| &line[word.len()..])
}

/// The place that a mark of a menu stands for, from 0.
fn place(mark: char) -> Option<usize> {
    let mark = mark.to_ascii_lowercase();
    match mark {
        '1'..='9' => Some(mark as usize - '1' as usize),
        'a'..='f' => Some(mark as usize - 'a' as usize),
        _ => None,
    }
}

/// The last run of options that counts up from the first, at the end of a text.
fn menu(block: &str) -> Vec<String> {
    let mut options: Vec<String> = Vec::new();
    for (at, words) in last_chars(block, OPTION_CHARS).lines().filter_map(item) {
        if at == 0 {
            options.clear();
        }
        if at == options.len() {
            options.push(words.trim().to_owned());
        }
    }
    if options.len() > MAX_OPTIONS { Vec::new() } else { options }
}

const ORDINALS: [(&str, usize); 12] = [
    ("first", 0),
    ("second", 1),
    ("third", 2),
    ("fourth", 3),
    ("primera", 0),
    ("primero", 0),
    ("segunda", 1),
    ("segundo", 1),
    ("tercera", 2),
    ("tercero", 2),
    ("former", 0),
    ("latter", 1),
];
const DENIALS: [&str; 10] = ["no", "not", "neither", "none", "don", "nope", "without", "both", "all", "ninguna"];
/// Words that stand before the name of an option and say nothing.
const LEADS: [&str; 19] = [
    "ok", "okay", "yes", "sure", "let", "lets", "s", "go", "with", "the", "i", "prefer", "do", "please", "option",
    "opción", "la", "el", "number",
];

/// Which option a reply takes of a menu.
#[must_use]
pub fn taken(options: &[String], reply: &str) -> Taken {
    let words = words_of(reply);
    let lists = reply.lines().filter(|line| item(line).is_some()).count();
    let opening = &words[..words.len().min(BARE_TOKENS)];
    if lists >= 2 || words.is_empty() || opening.iter().any(|word| DENIALS.contains(&word.as_str())) {
        return Taken::Other;
    }
    let found = by_mark(options, reply, &words).or_else(|| by_words(options, &words));
    found.filter(|at| *at < options.len()).map_or(Taken::Other, Taken::Option)
}

fn mark(word: &str) -> Option<usize> {
    let mut chars = word.chars();
    let mark = place(chars.next()?)?;
    chars.next().is_none().then_some(mark)
}

/// By number, letter or ordinal.
fn by_mark(options: &[String], reply: &str, words: &[String]) -> Option<usize> {
    let start = words.iter().position(|word| !LEADS.contains(&word.as_str()))?;
    let named = start > 0 && matches!(words[start - 1].as_str(), "option" | "opción" | "number" | "with" | "la" | "el");
    let (first, next) = (words[start].as_str(), words.get(start + 1).map(String::as_str));
    if let Some((_, at)) = ORDINALS.iter().find(|(word, _)| *word == first) {
        let alone = next.is_none_or(|next| matches!(next, "one" | "option" | "please" | "opción"));
        return alone.then_some(*at);
    }
    let at = mark(first)?;
    let several = matches!(next, Some("and" | "y" | "or" | "then"))
        && words.get(start + 2).is_some_and(|w| mark(w).is_some())
        || next.is_some_and(|next| mark(next).is_some() && next != "a");
    if several {
        return None;
    }
    // `a` is mostly an article, and `1.` mostly begins a list of one's own: both must be borne out by what follows.
    let behind = reply.to_lowercase();
    let behind = behind.find(first).and_then(|at| behind[at + first.len()..].chars().next());
    let clear = next.is_none()
        || named
        || first.parse::<usize>().is_ok() && behind != Some('.')
        || matches!(behind, Some(')' | ','));
    let label = options.get(at).map_or_else(Vec::new, |option| words_of(option));
    let borne_out = words[start + 1..].iter().any(|word| word.len() > 3 && label.contains(word));
    (clear || borne_out).then_some(at)
}

/// By the first words of its name; `None` where two options begin alike.
fn by_words(options: &[String], words: &[String]) -> Option<usize> {
    let start = words.iter().position(|word| !LEADS.contains(&word.as_str()))?;
    let said = &words[start..];
    let fits = |option: &String| {
        let label = words_of(option);
        let shared = label.iter().zip(said).take_while(|(a, b)| a == b).count();
        shared >= 2 || shared == 1 && said.len() <= 2 && said[0].len() > 2
    };
    let mut found = options.iter().enumerate().filter(|(_, option)| fits(option)).map(|(at, _)| at);
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

/// Words that are a yes by themselves.
const YES: [&str; 35] = [
    "yes",
    "yep",
    "yeah",
    "yea",
    "yup",
    "y",
    "sure",
    "proceed",
    "continue",
    "approved",
    "approve",
    "absolutely",
    "definitely",
    "certainly",
    "lgtm",
    "agreed",
    "correct",
    "exactly",
    "si",
    "sí",
    "dale",
    "claro",
    "adelante",
    "vale",
    "continua",
    "continúa",
    "sigue",
    "hazlo",
    "procede",
    "confirmo",
    "confirmed",
    "confirm",
    "ja",
    "oui",
    "affirmative",
];
/// Runs of words that are a yes where a reply, or what follows its first nod, begins with them.
const YES_RUNS: [&[&str]; 18] = [
    &["go", "ahead"],
    &["go", "for", "it"],
    &["go", "on"],
    &["do", "it"],
    &["do", "that"],
    &["sounds", "good"],
    &["looks", "good"],
    &["sounds", "great"],
    &["looks", "great"],
    &["of", "course"],
    &["make", "it", "so"],
    &["ship", "it"],
    &["no", "problem"],
    &["no", "worries"],
    &["why", "not"],
    &["de", "acuerdo"],
    &["por", "supuesto"],
    &["me", "parece", "bien"],
];
/// Words that nod but may lead to anything.
const NODS: [&str; 21] = [
    "ok",
    "okay",
    "k",
    "great",
    "perfect",
    "please",
    "good",
    "nice",
    "cool",
    "awesome",
    "alright",
    "right",
    "fine",
    "excellent",
    "perfecto",
    "bien",
    "genial",
    "bueno",
    "thanks",
    "gracias",
    "venga",
];
/// Words that add nothing to a yes.
const FILL: [&str; 36] = [
    "it",
    "that",
    "this",
    "them",
    "do",
    "the",
    "plan",
    "go",
    "ahead",
    "on",
    "with",
    "for",
    "me",
    "lets",
    "let",
    "s",
    "now",
    "then",
    "so",
    "all",
    "you",
    "thank",
    "and",
    "i",
    "agree",
    "am",
    "sounds",
    "looks",
    "favor",
    "por",
    "por_favor",
    "a",
    "implement",
    "implementation",
    "is",
    "muchas",
];
const NO: [&str; 14] = [
    "no", "nope", "nah", "don", "dont", "stop", "wait", "cancel", "reject", "rejected", "never", "not", "hold", "undo",
];
/// What follows a Spanish `no` that reports and does not refuse.
const REPORTED: [&str; 11] =
    ["hay", "funciona", "se", "me", "esta", "está", "veo", "puedo", "entiendo", "encuentro", "aparece"];

/// What a reply makes of an offer.
#[must_use]
pub fn verdict(reply: &str) -> Verdict {
    let words = words_of(reply);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let Some(first) = words.first() else { return Verdict::Elsewhere };
    let nods = words.iter().take_while(|word| NODS.contains(word)).count();
    if let Some(rest) = yes(&words[nods..]) {
        return approval(&words[nods..], rest);
    }
    if refuses(&words[nods..]) && (nods == 0 || words[nods] != "no") {
        return Verdict::Rejected;
    }
    if nods == words.len() && !matches!(*first, "thanks" | "gracias") {
        return Verdict::Approved;
    }
    Verdict::Elsewhere
}

/// How many words of a yes a reply begins with.
fn yes(words: &[&str]) -> Option<usize> {
    let run = YES_RUNS.iter().find(|run| words.starts_with(run)).map(|run| run.len());
    let one = || words.first().filter(|word| YES.contains(word)).map(|_| 1);
    let length = run.or_else(one)?;
    // `y` is also the Spanish `and`, `si` the Spanish `if`, `correct` a verb, `no problem with x` a report.
    let doubtful = matches!(words[0], "y" | "si" | "correct" | "no" | "confirm" | "exactly" | "why" | "sigue");
    (!doubtful || bare(&words[length..])).then_some(length)
}

fn bare(words: &[&str]) -> bool {
    words.len() < BARE_TOKENS
        && words.iter().all(|word| FILL.contains(word) || NODS.contains(word) || YES.contains(word))
}

fn approval(words: &[&str], length: usize) -> Verdict {
    let rest = &words[length..];
    if rest.starts_with(&["and", "no"]) || rest.first().is_some_and(|word| *word == "no") {
        return Verdict::Elsewhere;
    }
    if bare(rest) { Verdict::Approved } else { Verdict::WithMore }
}

fn refuses(words: &[&str]) -> bool {
    let Some(first) = words.first() else { return false };
    if !NO.contains(first) {
        return false;
    }
    match words.get(1) {
        Some(next) if *first == "no" => !REPORTED.contains(next),
        Some(next) if *first == "not" => matches!(*next, "yet" | "now" | "really" | "this" | "like" | "so" | "that"),
        Some(next) if *first == "don" => *next == "t" && words.get(2).is_none_or(|word| *word != "know"),
        _ => *first != "not" && *first != "don",
    }
}

const ONWARD: [&[&str]; 14] = [
    &["next"],
    &["what", "s", "next"],
    &["whats", "next"],
    &["what", "now"],
    &["now", "what"],
    &["keep", "going"],
    &["resume"],
    &["let", "s", "continue"],
    &["lets", "continue"],
    &["let", "s", "proceed"],
    &["carry", "on"],
    &["siguiente"],
    &["sigamos"],
    &["continuemos"],
];
const DONE: [&str; 22] = [
    "thanks",
    "thank",
    "gracias",
    "bye",
    "done",
    "enough",
    "goodbye",
    "perfect",
    "great",
    "awesome",
    "excellent",
    "nice",
    "cool",
    "perfecto",
    "genial",
    "stop",
    "adiós",
    "night",
    "works",
    "funciona",
    "funcionando",
    "dormir",
];
/// Words that do not make more of a goodbye.
const DONE_FILL: [&str; 26] = [
    "that", "s", "is", "all", "for", "now", "today", "you", "it", "good", "ok", "okay", "job", "work", "so", "much",
    "we", "are", "re", "i", "am", "m", "ya", "muchas", "me", "very",
];

/// Where a reply goes after a report.
#[must_use]
pub fn onward(reply: &str) -> Onward {
    let words = words_of(reply);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let fills = |word: &&str| DONE.contains(word) || DONE_FILL.contains(word);
    let says_done = words.iter().any(|word| DONE.contains(word));
    if says_done && words.len() <= BARE_TOKENS && words.iter().all(fills) {
        return Onward::Stop;
    }
    let nods = words.iter().take_while(|word| NODS.contains(word)).count();
    let on = ONWARD.iter().any(|run| words[nods..].starts_with(run) && words.len() <= nods + run.len() + 4);
    if on || verdict(reply).is_yes() { Onward::GoOn } else { Onward::NewTask }
}

/// What a reply is by itself; `saved` where the same long text was sent before, again and again.
#[must_use]
pub fn form(reply: &str, saved: bool) -> Form {
    let trimmed = reply.trim();
    let command = trimmed.strip_prefix('/').and_then(|rest| rest.split_whitespace().next());
    if saved && trimmed.chars().count() > MACRO_CHARS {
        return Form::Macro;
    }
    match command {
        Some(word) if word.starts_with(char::is_alphabetic) && !word.contains(['/', '.']) => Form::Slash,
        _ if tokens(trimmed).len() <= SHORT_TOKENS && !normal(trimmed).is_empty() => Form::Short,
        _ => Form::Prose,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MENU: &str = "Two ways to go:\n1. Keep the cache in memory\n2. Write the cache to disk\n3. Drop the cache\n\nWhich do you prefer?";
    const LETTERS: &str = "**Option A:** a patch\n**Option B:** a rewrite\nWhich one should I take?";

    #[test]
    fn texts_open_what_they_should() {
        let choice = |words: &[&str]| Opens::Choice(words.iter().map(|w| (*w).to_owned()).collect());
        let table = [
            (MENU, choice(&["Keep the cache in memory", "Write the cache to disk", "Drop the cache"])),
            (LETTERS, choice(&["a patch", "a rewrite"])),
            (
                "Would you like me to:\n1. Push\n2. Wait\n3. Something else?",
                choice(&["Push", "Wait", "Something else?"]),
            ),
            ("Built. If you want, I can:\n1) Push\n2) Wait", choice(&["Push", "Wait"])),
            ("¿Cuál prefieres?\n1) rojo\n2) azul", choice(&["rojo", "azul"])),
            // Questions in a list are no menu, and neither is a list of steps.
            ("1. Which port?\n2. Which host?\n3. Do you use TLS?", Opens::Approval),
            ("Steps:\n1. build\n2. test\nWould you like me to start?", Opens::Approval),
            ("Steps:\n1. build\n2. test\nAll done.", Opens::Continuation),
            ("Shall I commit this?", Opens::Approval),
            ("The plan is ready. Does this look right?", Opens::Approval),
            ("I am waiting for your approval of the plan.", Opens::Approval),
            ("¿Quieres que lo haga ahora?", Opens::Approval),
            ("All tests pass; the feature is complete.", Opens::Continuation),
            ("He corregido el fallo, todo listo.", Opens::Continuation),
            ("What is the name of the table?", Opens::Nothing),
            ("Let me look at the file:", Opens::Nothing),
            ("", Opens::Nothing),
        ];
        for (text, expected) in table {
            assert_eq!(opens(text), expected, "{text}");
        }
    }

    #[test]
    fn options_are_taken_by_number_letter_place_and_name() {
        let menus = [MENU, LETTERS].map(|text| match opens(text) {
            Opens::Choice(options) => options,
            other => panic!("{other:?}"),
        });
        let table: [(usize, &str, Option<usize>); 26] = [
            (0, "1", Some(0)),
            (0, "2.", Some(1)),
            (0, "3)", Some(2)),
            (0, "option 2 please", Some(1)),
            (0, "Let's go with option 3", Some(2)),
            (0, "2, but flush it on exit", Some(1)),
            (0, "2. write it to disk", Some(1)),
            (0, "the first one", Some(0)),
            (0, "la segunda", Some(1)),
            (0, "drop the cache", Some(2)),
            (0, "Write the cache there", Some(1)),
            (0, "1. first do a backup", None),
            (0, "1. run it\n2. show me the log", None),
            (0, "1 and 2", None),
            (0, "do all 3", None),
            (0, "both", None),
            (0, "not 2", None),
            (0, "no, none of these", None),
            (0, "7", None),
            (0, "why would I need a cache?", None),
            (0, "", None),
            (1, "B", Some(1)),
            (1, "a", Some(0)),
            (1, "b) and add a test", Some(1)),
            (1, "a different thing is broken", None),
            (1, "option a", Some(0)),
        ];
        for (menu, reply, expected) in table {
            assert_eq!(taken(&menus[menu], reply), expected.map_or(Taken::Other, Taken::Option), "{reply}");
        }
    }

    #[test]
    fn offers_are_approved_refused_or_passed_over() {
        use Verdict::{Approved, Elsewhere, Rejected, WithMore};
        let table = [
            ("yes", Approved),
            ("Yes please!", Approved),
            ("y", Approved),
            ("ok, go ahead", Approved),
            ("sure, do it", Approved),
            ("Looks good, proceed", Approved),
            ("please continue", Approved),
            ("perfect", Approved),
            ("no problem", Approved),
            ("sí, dale", Approved),
            ("vale, adelante", Approved),
            ("yes but keep the old name", WithMore),
            ("Yes, and add a test for the empty list", WithMore),
            ("go ahead with the second half only", WithMore),
            ("continue with the parser", WithMore),
            ("sí, pero sin borrar nada", WithMore),
            ("no", Rejected),
            ("Nope, leave it", Rejected),
            ("not yet", Rejected),
            ("don't touch that file", Rejected),
            ("wait, that is the wrong branch", Rejected),
            ("no need", Rejected),
            ("no, mejor otra cosa", Rejected),
            ("no funciona el botón", Elsewhere),
            ("I don't know", Elsewhere),
            ("ok so the page is still blank", Elsewhere),
            ("great, now rename the module", Elsewhere),
            ("y dónde está el archivo", Elsewhere),
            ("si falla otra vez, avísame", Elsewhere),
            ("yes and no", Elsewhere),
            ("> Shall I go on? yes\nTraceback (most recent call last)", Elsewhere),
            ("[12:01] error: yes is not a flag", Elsewhere),
            ("nothing happened", Elsewhere),
            ("what does it do?", Elsewhere),
            ("👍", Elsewhere),
        ];
        for (reply, expected) in table {
            assert_eq!(verdict(reply), expected, "{reply}");
        }
    }

    #[test]
    fn after_a_report_people_go_on_stop_or_turn() {
        use Onward::{GoOn, NewTask, Stop};
        let table = [
            ("continue", GoOn),
            ("ok, next", GoOn),
            ("what's next?", GoOn),
            ("now what", GoOn),
            ("sigamos", GoOn),
            ("yes, go on", GoOn),
            ("thanks, that's all", Stop),
            ("Great job!", Stop),
            ("ya funciona, gracias", Stop),
            ("stop", Stop),
            ("thanks, now add a button", NewTask),
            ("it still fails", NewTask),
            ("next to the logo there is a gap that should not be there", NewTask),
            ("why did you change that?", NewTask),
        ];
        for (reply, expected) in table {
            assert_eq!(onward(reply), expected, "{reply}");
        }
    }

    #[test]
    fn forms_are_told_apart() {
        let long = "Read the guide first and then list what is missing in it. ".repeat(4);
        let table = [
            (long.as_str(), true, Form::Macro),
            (long.as_str(), false, Form::Prose),
            ("again", true, Form::Short),
            ("/review the diff", false, Form::Slash),
            ("/plan", false, Form::Slash),
            ("/etc/hosts is wrong here, look", false, Form::Prose),
            ("/tmp/x", false, Form::Short),
            ("go on then", false, Form::Short),
            ("go on then please", false, Form::Prose),
            ("好的", false, Form::Short),
            ("👍", false, Form::Prose),
        ];
        for (reply, saved, expected) in table {
            assert_eq!(form(reply, saved), expected, "{reply}");
        }
    }
}
