//! Where one session turns to something else, told by the words of several turns on either side of a prompt.
//!
//! A wrong part tears a story in two, a missing one only makes it longer: so a part needs two turns that share next to
//! nothing with those before them. It stands before a prompt whose predecessor was answered, never between a prompt and its
//! reply. Where the words do not tell (other scripts, short turns, reports of trouble) nothing is parted.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::sync::OnceLock;

use clone_schema::text::last_chars;
use clone_schema::{Body, Event, Origin, Position};

use super::words::{spoken, stems};

/// How long nothing may have happened before a prompt that goes on with the same, in seconds.
pub const AWAY_SECONDS: i64 = 10 * 60;
/// Turns whose words stand for what it was about.
const BEFORE: usize = 6;
/// Fewer turns than this are no subject of their own yet.
const BEFORE_MIN: usize = 2;
/// Turns whose words stand for what it is about now.
const AFTER: usize = 2;
/// The share of words that two subjects have in common at most.
const COMMON_SHARE: f64 = 0.1;
/// The same after [`AWAY_SECONDS`].
const COMMON_SHARE_AWAY: f64 = 0.25;
/// The fewest words on either side that tell anything.
const WORDS_MIN: usize = 40;
/// The fewest words of a prompt that begins a subject.
const ASKED_MIN: usize = 4;
/// How much of a text is read, in characters: of a prompt from its start, of an answer from its end.
const READ: usize = 2_000;
/// Where the scripts begin that part no words.
const LAST_SCRIPT: char = '\u{e00}';
/// Letters by which two words are the same: more would part the forms of one word in most languages.
const LETTERS: usize = 5;

/// Words of any subject.
#[rustfmt::skip]
const COMMON: &str = "what how why which who where here can could may might need use get got see look let know think like add new file code change \
    update create run work fix fixed issue test one two three still back thing way right good great perfect okay yes etc per same other more most \
    only even than too very much many well really go about because but they their these those which while both between through over under again \
    already done show set line read write call start end check help find found base current follow second next last user summary complete \
    implement anything everything something nothing don doesn isn let ll";

/// Words of a prompt that goes on with the last answer, or tells how it went wrong, however strange the rest of it is.
const GOES_ON: &[&str] =
    &["error", "fail", "exception", "traceback", "broken", "wrong", "crash", "still", "again", "almost", "instead"];

/// The last turns of an open stretch.
#[derive(Clone, Debug, Default)]
pub struct Turns(VecDeque<Turn>);

/// A prompt and what came of it.
#[derive(Clone, Debug)]
struct Turn {
    id: String,
    at: Position,
    /// The last event before it.
    after: Position,
    /// Whether nothing happened for a while before it.
    away: bool,
    agent: Option<String>,
    project: Option<String>,
    prompt: String,
    /// What the agent said last.
    said: Option<String>,
    /// An answer in it belongs to an earlier prompt.
    tangled: bool,
    /// The words of what was asked, where it can begin a subject.
    asked: BTreeSet<Word>,
    /// The words of all of it, once the next one begins.
    words: BTreeSet<Word>,
}

/// The first letters of a word in one number, as every open stretch holds hundreds of them.
type Word = u64;

/// Where something else begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The last event of what was before.
    pub upto: Position,
    /// `topic`, `project` or `agent`.
    pub reason: &'static str,
}

impl Turns {
    /// Takes an event in; gives back where something else began, if only now that is known.
    ///
    /// `last` is the event before it, and `quiet` the seconds since then.
    pub fn fold(&mut self, position: Position, event: &Event, last: Position, quiet: i64) -> Option<Part> {
        match &event.body {
            Body::AgentPrompt { prompt, .. } if event.origin() == Origin::Typed => {
                let mut turn = Turn::new(position, event, prompt);
                (turn.after, turn.away) = (last, quiet > AWAY_SECONDS);
                self.begin(turn)
            }
            Body::AgentResponse { response, in_response_to, .. } => {
                if let Some(turn) = self.0.back_mut() {
                    turn.said = Some(last_chars(response, READ).to_owned());
                    turn.tangled |= in_response_to.as_ref().is_some_and(|id| *id != turn.id);
                }
                None
            }
            _ => None,
        }
    }

    /// Forgets what came up to here: another stretch begins behind it.
    pub fn forget(&mut self, upto: Position) {
        self.0.retain(|turn| turn.at > upto);
    }

    fn begin(&mut self, turn: Turn) -> Option<Part> {
        if let Some(last) = self.0.back_mut() {
            last.end();
        }
        let part = self.elsewhere(&turn).or_else(|| self.shifted());
        if let Some(part) = part {
            self.forget(part.upto);
        }
        self.0.push_back(turn);
        if self.0.len() > BEFORE + AFTER {
            self.0.pop_front();
        }
        part
    }

    /// Whether a person came back after a while to another project or another agent.
    fn elsewhere(&self, turn: &Turn) -> Option<Part> {
        let last = self.0.back().filter(|last| turn.away && last.said.is_some() && !last.tangled)?;
        let upto = turn.after;
        if last.agent != turn.agent {
            return Some(Part { upto, reason: "agent" });
        }
        let (before, now) = (last.project.as_deref()?, turn.project.as_deref()?);
        let inside = |one: &str, other: &str| std::path::Path::new(one).starts_with(other);
        (!inside(before, now) && !inside(now, before)).then_some(Part { upto, reason: "project" })
    }

    /// Whether the last complete turns are about something else than those before them.
    fn shifted(&self) -> Option<Part> {
        let from = self.0.len().checked_sub(AFTER).filter(|from| *from >= BEFORE_MIN)?;
        let first = &self.0[from];
        let is_whole = self.0[from - 1].said.is_some() && self.0.range(from..).all(|turn| !turn.tangled);
        if !is_whole || first.asked.len() < ASKED_MIN {
            return None;
        }
        let all = |turns: std::collections::vec_deque::Iter<'_, Turn>| -> BTreeSet<Word> {
            turns.flat_map(|turn| turn.words.iter().copied()).collect()
        };
        let (before, after) = (all(self.0.range(..from)), all(self.0.range(from..)));
        let limit = if first.away { COMMON_SHARE_AWAY } else { COMMON_SHARE };
        let is_new = before.len().min(after.len()) >= WORDS_MIN
            && shared(&after, &before) <= limit
            && shared(&first.asked, &before) <= limit;
        is_new.then_some(Part { upto: first.after, reason: "topic" })
    }
}

impl Turn {
    fn new(at: Position, event: &Event, prompt: &str) -> Self {
        // A long prompt was pasted: nothing in it is their own, and nothing of it is worth a look.
        let own = spoken(prompt);
        let goes_on = || {
            let lower = prompt.to_lowercase();
            GOES_ON.iter().any(|word| lower.contains(word))
        };
        let asked = if own.is_empty() || goes_on() { BTreeSet::new() } else { content(&own.join(" ")) };
        Self {
            id: event.id.clone(),
            at,
            after: at,
            away: false,
            agent: event.agent().map(str::to_owned),
            project: event.project().map(str::to_owned),
            prompt: prompt.chars().take(READ).collect(),
            said: None,
            tangled: false,
            asked,
            words: BTreeSet::new(),
        }
    }

    /// Nothing more comes: its texts become words.
    fn end(&mut self) {
        self.words = content(&std::mem::take(&mut self.prompt));
        if let Some(said) = &mut self.said {
            self.words.extend(content(&std::mem::take(said)));
        }
    }
}

/// The share of the smaller set that is in the other one too.
fn shared(one: &BTreeSet<Word>, other: &BTreeSet<Word>) -> f64 {
    one.intersection(other).count() as f64 / one.len().min(other.len()).max(1) as f64
}

/// The words that tell what a text is about, without those that stand in any and those of scripts that part no words.
fn content(text: &str) -> BTreeSet<Word> {
    static COMMONS: OnceLock<HashSet<Word>> = OnceLock::new();
    let commons = COMMONS.get_or_init(|| cut(COMMON).collect());
    cut(text).filter(|word| !commons.contains(word)).collect()
}

fn cut(text: &str) -> impl Iterator<Item = Word> {
    let tells = |word: &String| {
        word.len() > 1 && word.chars().all(|c| c < LAST_SCRIPT) && !word.bytes().all(|byte| byte.is_ascii_digit())
    };
    stems(text).into_iter().filter(tells).map(|word| packed(&word))
}

/// No two words of five letters below [`LAST_SCRIPT`], which take twelve bits each, have one number.
fn packed(word: &str) -> Word {
    word.chars().take(LETTERS).fold(0, |number, c| number << 12 | Word::from(u32::from(c)))
}

#[cfg(test)]
pub(crate) mod tests {
    use clone_schema::Meta;
    use proptest::prelude::*;

    use super::super::session::tests::{prompt, response};
    use super::*;

    /// Where turns are parted: the last event before, and why. Events stand at 1, 2, 3 and so on, prompts at odd places.
    fn parts(turns: &[(String, String)], away: Option<usize>) -> Vec<(u64, &'static str)> {
        let mut all = Turns::default();
        let mut out = Vec::new();
        for (n, (asked, said)) in turns.iter().enumerate() {
            let at = Position(n as u64 * 2 + 1);
            let quiet = if away == Some(n) { AWAY_SECONDS + 1 } else { 60 };
            let event = prompt(&format!("p{n}"), "s", 0, asked);
            out.extend(all.fold(at, &event, Position(at.0 - 1), quiet).map(|part| (part.upto.0, part.reason)));
            let event = response(&format!("r{n}"), "s", 0, said);
            all.fold(at.next(), &event, at, 1);
        }
        out
    }

    /// Fifty words of a subject, which has a letter.
    fn words(subject: char) -> Vec<String> {
        (b'a'..b'k').flat_map(|a| (b'p'..b'u').map(move |b| format!("{subject}{}{}ok", a as char, b as char))).collect()
    }

    /// A turn about a subject.
    pub(crate) fn turn(subject: char) -> (String, String) {
        let words = words(subject);
        (format!("Please {}", words[..6].join(" ")), words.join(" "))
    }

    /// Turns about these subjects.
    fn life(subjects: &str) -> Vec<(String, String)> {
        subjects.chars().map(turn).collect()
    }

    #[test]
    fn two_turns_about_something_else_part_a_session_before_the_first_of_them() {
        for (subjects, expected) in [
            ("bbbbbbbbbbbb", vec![]),
            ("bbcccc", vec![(4, "topic")]),
            ("bbbbbbbbccc", vec![(16, "topic")]),
            ("bbbbcccddd", vec![(8, "topic"), (14, "topic")]),
            // One turn about something else, or one of a kind at the start, is no part; nor is what nobody went on with.
            ("bbbbcbbb", vec![]),
            ("bccccc", vec![]),
            ("bbbbcc", vec![]),
        ] {
            assert_eq!(parts(&life(subjects), None), expected, "{subjects}");
        }
    }

    #[test]
    fn words_in_common_keep_turns_together_and_fewer_of_them_after_a_while() {
        // Of fifty words, ten are those of the turns before.
        let akin = |asked: &str| (asked.to_owned(), [&words('c')[10..], &words('b')[40..]].concat().join(" "));
        let mut turns = life("bbb");
        turns.extend([akin(&turn('c').0), akin(&turn('c').0), turn('c')]);
        assert_eq!(parts(&turns, None), []);
        assert_eq!(parts(&turns, Some(3)), [(6, "topic")]);
    }

    #[test]
    fn what_does_not_tell_parts_nothing() {
        let table: [(&str, (String, String)); 4] = [
            ("short", ("go on".to_owned(), words('c').join(" "))),
            ("trouble", (format!("now there is an error in {}", words('c').join(" ")), words('c').join(" "))),
            ("few words", (words('c')[..10].join(" "), "done".to_owned())),
            ("no words", ("请修改这个文件，然后运行所有的测试".to_owned(), "好的，我已经修改了文件。".repeat(20))),
        ];
        for (what, odd) in table {
            let turns = [life("bbb"), vec![odd.clone(), odd.clone(), odd]].concat();
            assert_eq!(parts(&turns, None), [], "{what}");
        }
    }

    #[test]
    fn an_answer_that_comes_late_keeps_its_prompt() {
        let mut turns = Turns::default();
        let (mut at, mut parts) = (0, Vec::new());
        for (n, (asked, said)) in life("bbbccc").into_iter().enumerate() {
            let event = prompt(&format!("p{n}"), "s", 0, &asked);
            parts.extend(turns.fold(Position(at + 1), &event, Position(at), 60));
            let mut event = response(&format!("r{n}"), "s", 0, &said);
            if let Body::AgentResponse { in_response_to, .. } = &mut event.body {
                *in_response_to = Some(if n == 4 { "p2".into() } else { format!("p{n}") });
            }
            turns.fold(Position(at + 2), &event, Position(at + 1), 1);
            at += 2;
        }
        assert_eq!(parts, []);
    }

    #[test]
    fn another_project_or_agent_after_a_while_is_another_story() {
        let asked = |id: &str, agent: &str, project: Option<&str>| {
            let mut event = prompt(id, "s", 0, "go on");
            event.body = Body::AgentPrompt { agent: agent.into(), prompt: "go on".into() };
            let meta = event.meta.take().unwrap_or_default();
            event.meta = Some(Meta { project: project.map(str::to_owned), ..meta });
            event
        };
        let part = |reason| Some(Part { upto: Position(2), reason });
        for (agent, project, quiet, expected) in [
            ("agent", Some("/src/tea"), AWAY_SECONDS + 1, None),
            ("agent", Some("/src/tea/pot"), AWAY_SECONDS + 1, None),
            ("agent", None, AWAY_SECONDS + 1, None),
            ("agent", Some("/src/teapot"), AWAY_SECONDS + 1, part("project")),
            ("agent", Some("/src/teapot"), AWAY_SECONDS, None),
            ("other", Some("/src/tea"), AWAY_SECONDS + 1, part("agent")),
            ("other", Some("/src/tea"), AWAY_SECONDS, None),
        ] {
            let mut turns = Turns::default();
            turns.fold(Position(1), &asked("a", "agent", Some("/src/tea")), Position(0), 0);
            let next = asked("b", agent, project);
            assert_eq!(turns.clone().fold(Position(2), &next, Position(1), quiet), None, "nobody answered yet");
            turns.fold(Position(2), &response("r", "s", 0, "Done."), Position(1), 1);
            assert_eq!(turns.fold(Position(3), &next, Position(2), quiet), expected, "{agent} {project:?} {quiet}");
        }
    }

    #[test]
    fn no_two_words_are_one_number() {
        let words = ["a", "ab", "ba", "abc", "abcde", "abcdf", "ähnli", "ahnli", "привт", "привe", "aaaaa", "aaaa"];
        let numbers: HashSet<Word> = words.iter().map(|word| packed(word)).collect();
        assert_eq!(numbers.len(), words.len());
        assert_eq!(packed("abcdef"), packed("abcde"), "the first letters count");
    }

    proptest! {
        /// Whatever is forgotten on the way up to a part, the parts behind it are the same: a restart knows no more.
        #[test]
        fn parts_do_not_depend_on_what_lies_behind_a_part(subjects in "[bcd]{2,30}") {
            let turns = life(&subjects);
            let whole = parts(&turns, None);
            if let Some((upto, _)) = whole.first() {
                let from = usize::try_from(upto / 2).unwrap_or_default();
                let rest: Vec<_> =
                    parts(&turns[from..], None).into_iter().map(|(at, reason)| (at + upto, reason)).collect();
                prop_assert_eq!(&rest, &whole[1..]);
            }
        }
    }

    /// Prints counts only; the turns are somebody's.
    #[test]
    fn real_turns() {
        use std::io::Write as _;
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/turns");
        let mut paths: Vec<_> = std::fs::read_dir(root).into_iter().flatten().flatten().map(|e| e.path()).collect();
        paths.sort();
        let (mut prompts, mut parted) = (0, 0);
        for path in paths {
            let lines = std::fs::read_to_string(path).expect("readable");
            prompts += lines.lines().count();
            parted += of_turns(&lines);
        }
        let _ = writeln!(std::io::stderr(), "{parted} parts among {prompts} prompts; SKIPPED if there are none");
        assert!(parted * 100 <= prompts, "people change the subject less often than that");
    }

    fn of_turns(lines: &str) -> usize {
        let mut sessions: std::collections::BTreeMap<String, (Turns, Option<i64>)> = Default::default();
        let mut parts = 0;
        for (n, line) in (0..).zip(lines.lines()) {
            let turn: serde_json::Value = serde_json::from_str(line).expect("a turn");
            let text = |key: &str| turn[key].as_str().unwrap_or_default().to_owned();
            let now = clone_schema::time::parse(&text("ts")).map(|at| at.as_second());
            let (turns, before) = sessions.entry(text("session")).or_default();
            let at = Position(n * 2 + 1);
            if !text("agent_prompt").is_empty() {
                turns.fold(Position(at.0 - 1), &response(&format!("r{n}"), "s", 0, &text("agent_prompt")), at, 0);
            }
            let quiet = now.zip(*before).map_or(0, |(now, before)| now - before);
            let part = turns.fold(at, &prompt(&format!("p{n}"), "s", 0, &text("reply")), Position(at.0 - 1), quiet);
            *before = now;
            parts += usize::from(part.is_some());
        }
        parts
    }
}
