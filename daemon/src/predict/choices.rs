//! Choices: which of the options that an agent offers this person takes, learned per channel and never assumed.
//!
//! A dialog is a menu (a channel and its options) with a question. How often an option was taken is counted at four places, each
//! the prior of the next: its place in the list, its words wherever they were offered, the menu, the question. So a
//! known question answers for itself, and a new one with known options borrows. Old counts fade, that a person may change.
//! No option is pooled with free replies: channels have curves of their own.

use std::collections::BTreeMap;

use clone_schema::event::{Choice, ChoiceKind, Origin, Outcome};
use clone_schema::prediction::{Candidate, Cited, Weight};
use clone_schema::text::{head, tail};
use serde::{Deserialize, Serialize};

use super::calibrate::Row;
use super::curves::{Curves, Judging};
use super::gate::filler;
use super::local::{Answer, Label};
use super::situation::{Kind, last_block, normal};
use super::stratum::{Opens, opens};
use super::tripwire::Stood;

/// Options of one menu that are read.
const OPTIONS_MAX: usize = 16;
/// Menus, questions of one menu, and options that are known at once; the one that was not offered for longest gives way.
const MENUS_MAX: usize = 1_000;
/// See [`MENUS_MAX`].
const QUESTIONS_MAX: usize = 64;
/// See [`MENUS_MAX`].
const WORDS_MAX: usize = 4_000;
/// The beginning of a question that tells it from others, in bytes.
const QUESTION_BYTES: usize = 400;
/// The end of a text that is kept to find a question in, in bytes.
const BLOCK_BYTES: usize = 4_000;
/// What every count keeps when the same is offered again.
const FADE: f64 = 0.97;
/// How many choices the prior of a place is worth.
const DOUBT: f64 = 2.0;
/// Choices cited for one candidate.
const CITED_MAX: usize = 5;

/// An answered dialog, as it teaches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chosen {
    /// The event that holds it.
    pub id: String,
    /// The channel.
    pub kind: ChoiceKind,
    /// The beginning of the question.
    pub question: String,
    /// The options in the order shown.
    pub options: Vec<String>,
    /// Which was taken; none for words of the person's own and for a refusal.
    pub taken: Option<usize>,
    /// A prediction was made for it, so that it is that one which is judged.
    pub predicted: bool,
}

impl Chosen {
    /// A choice as it teaches; none where nothing was offered, or where the person only stopped the agent.
    #[must_use]
    pub fn new(id: &str, choice: &Choice, predicted: bool) -> Option<Self> {
        let Choice { kind, question, options, choice, outcome, .. } = choice;
        if !(1..=OPTIONS_MAX).contains(&options.len()) || *outcome == Outcome::Interrupted {
            return None;
        }
        let said = choice.as_deref().map(normal).filter(|_| *outcome == Outcome::Chosen);
        let taken = said.and_then(|said| options.iter().position(|option| normal(option) == said));
        // A plan that is sent back is the last option of its dialog, in the agent's own order.
        let sent_back = *kind == ChoiceKind::Plan && *outcome == Outcome::Rejected && options.len() == 2;
        Some(Self {
            id: id.to_owned(),
            kind: *kind,
            question: head(question, QUESTION_BYTES).to_owned(),
            options: options.clone(),
            taken: taken.or_else(|| sent_back.then_some(1)),
            predicted,
        })
    }
}

/// A dialog that waits for an answer.
#[derive(Clone, Copy, Debug)]
pub struct Offered<'a> {
    /// The channel.
    pub kind: ChoiceKind,
    /// The question, or a text that holds it.
    pub question: &'a str,
    /// The options in the order shown.
    pub options: &'a [String],
}

/// The question of a dialog, as it is known again from the words of whoever tells of it later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    head: String,
    block: String,
}

impl Asked {
    /// A question, or a text that ends in it.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let block = tail(last_block(text), BLOCK_BYTES);
        Self { head: normal(head(text, QUESTION_BYTES)), block: normal(block) }
    }

    /// Whether it is this question; one without words may be any.
    #[must_use]
    pub fn is(&self, question: &str) -> bool {
        let question = normal(head(question, QUESTION_BYTES));
        self.head == question || self.block.contains(&question)
    }
}

/// How often something was offered and taken.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Count {
    offered: f64,
    taken: f64,
    newest: u64,
}

impl Count {
    fn take(&mut self, taken: bool, now: u64) {
        self.offered = self.offered * FADE + 1.0;
        self.taken = self.taken * FADE + f64::from(u8::from(taken));
        self.newest = now;
    }

    fn share(&self, prior: f64, doubt: f64) -> f64 {
        (self.taken + doubt * prior) / (self.offered + doubt)
    }
}

/// The answers to one menu or question.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Answers {
    options: Vec<Count>,
    /// The newest events and what was taken in each.
    cited: Vec<(String, Option<u32>)>,
    newest: u64,
}

impl Answers {
    fn take(&mut self, chosen: &Chosen, now: u64) {
        self.options.resize_with(chosen.options.len(), Count::default);
        let counts = self.options.iter_mut().enumerate();
        counts.for_each(|(at, count)| count.take(chosen.taken == Some(at), now));
        if self.cited.len() == 2 * CITED_MAX {
            self.cited.remove(0);
        }
        let taken = chosen.taken.and_then(|at| u32::try_from(at).ok());
        self.cited.push((chosen.id.clone(), taken));
        self.newest = now;
    }

    fn share(&self, at: usize, prior: f64) -> f64 {
        self.options.get(at).map_or(prior, |count| count.share(prior, 1.0))
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Menu {
    answers: Answers,
    questions: BTreeMap<String, Answers>,
}

/// What is known of one person's choices.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Choices {
    places: BTreeMap<String, Count>,
    words: BTreeMap<String, Count>,
    menus: BTreeMap<String, Menu>,
    curves: Curves,
    now: u64,
}

/// One option with its number.
struct Scored {
    at: usize,
    raw: f64,
    own: bool,
}

fn channel(kind: ChoiceKind) -> &'static str {
    match kind {
        ChoiceKind::Question => "question",
        ChoiceKind::Permission => "permission",
        ChoiceKind::Plan => "plan",
    }
}

/// The kind of situation under which a channel's labels are kept, in curves that hold nothing else.
fn kind_of(kind: ChoiceKind) -> Kind {
    match kind {
        ChoiceKind::Question => Kind::Options,
        ChoiceKind::Permission => Kind::Command,
        ChoiceKind::Plan => Kind::Offer,
    }
}

fn word_key(kind: ChoiceKind, option: &str) -> String {
    format!("{}|{}", channel(kind), normal(option))
}

fn menu_key(kind: ChoiceKind, options: &[String]) -> String {
    let words: Vec<String> = options.iter().map(|option| normal(option)).collect();
    format!("{}|{}", channel(kind), words.join("|"))
}

impl Choices {
    /// Learns one answered dialog: first how an answer to it would have fared, then what was taken.
    pub fn learn(&mut self, chosen: &Chosen) {
        let offered = Offered { kind: chosen.kind, question: &chosen.question, options: &chosen.options };
        if let Some(first) = self
            .scored(&offered, self.known(&offered))
            .into_iter()
            .next()
            .filter(|first| first.own && !chosen.predicted)
        {
            let (kind, hit) = (kind_of(chosen.kind), chosen.taken == Some(first.at));
            self.curves.add(kind, Row::new(first.raw, hit, 1.0), self.curves.stood(kind, first.raw));
        }
        self.now += 1;
        let now = self.now;
        for (at, option) in chosen.options.iter().enumerate() {
            let taken = chosen.taken == Some(at);
            self.places.entry(format!("{}|{at}", channel(chosen.kind))).or_default().take(taken, now);
            self.words.entry(word_key(chosen.kind, option)).or_default().take(taken, now);
        }
        let menu = self.menus.entry(menu_key(chosen.kind, &chosen.options)).or_default();
        menu.answers.take(chosen, now);
        menu.questions.entry(normal(&chosen.question)).or_default().take(chosen, now);
        bound(&mut menu.questions, QUESTIONS_MAX, |answers| answers.newest);
        bound(&mut self.menus, MENUS_MAX, |menu| menu.answers.newest);
        bound(&mut self.words, WORDS_MAX, |count| count.newest);
    }

    /// Learns how a prediction of a choice fared.
    pub fn judge(&mut self, of: Judging, label: Label) {
        self.curves.judge(of, label.kind, Row::new(label.raw, label.hit, label.weight), label.stood);
    }

    /// What an answer in a channel stands at, and the kind under which it is judged.
    #[must_use]
    pub fn stood(&self, kind: ChoiceKind, raw: f64) -> (Kind, Stood) {
        (kind_of(kind), self.curves.stood(kind_of(kind), raw))
    }

    /// The menu that a text puts to the person, where they have answered that menu in a dialog before.
    #[must_use]
    pub fn recognised(&self, text: &str) -> Option<(ChoiceKind, Vec<String>)> {
        if self.menus.is_empty() {
            return None;
        }
        let Opens::Choice(options) = opens(text) else { return None };
        let kinds = [ChoiceKind::Question, ChoiceKind::Permission, ChoiceKind::Plan];
        let known = kinds.into_iter().find(|kind| self.menus.contains_key(&menu_key(*kind, &options)));
        known.map(|kind| (kind, options))
    }

    /// The options best first, with what stands behind the first.
    #[must_use]
    pub fn answer(&self, offered: &Offered<'_>, k: usize) -> Answer {
        let known = self.known(offered);
        let scored = self.scored(offered, known);
        let (kind, first) = (kind_of(offered.kind), scored.first());
        let standing = self.curves.standing(kind, first.map_or(0.0, |first| first.raw));
        let curve = self.curves.at(kind);
        let seen = known.map(|(_, seen)| seen);
        let agreeing = |at: usize| seen.map_or(0, |seen| seen.cited.iter().filter(|one| is(one.1, at)).count());
        let candidates = scored.iter().take(k).map(|one| {
            let cited =
                seen.into_iter().flat_map(|seen| seen.cited.iter().rev()).filter(|(_, taken)| is(*taken, one.at));
            Candidate {
                response: offered.options[one.at].clone(),
                probability: curve.probability(one.raw),
                raw_confidence: one.raw,
                reasoning: self.reason(offered, one.at, seen),
                evidence: cited.take(CITED_MAX).map(|(id, _)| cite(id)).collect(),
                ..filler()
            }
        });
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Answer {
            weight: Weight {
                n: count(seen.map_or(0, |seen| seen.cited.len())),
                agree: count(first.map_or(0, |first| agreeing(first.at))),
                lower: standing.stood.strict,
                labels: standing.labels,
                promise: None,
            },
            candidates: candidates.collect(),
            standing,
            kind,
            abstained: first.is_none_or(|first| !first.own),
            channel: Some(offered.kind),
        }
    }

    /// Every option with its number, best first; the numbers sum to at most 1.
    fn scored(&self, offered: &Offered<'_>, known: Option<(&Menu, &Answers)>) -> Vec<Scored> {
        let options = &offered.options[..offered.options.len().min(OPTIONS_MAX)];
        // One more than there are: a person may always say something else.
        let even = 1.0 / (f64::from(u32::try_from(options.len()).unwrap_or(u32::MAX)) + 1.0);
        let one = |(at, option): (usize, &String)| {
            let place = self.places.get(&format!("{}|{at}", channel(offered.kind)));
            let place = place.map_or(even, |count| count.share(even, DOUBT));
            let word = self.words.get(&word_key(offered.kind, option));
            let words = word.map_or(place, |count| count.share(place, DOUBT));
            let raw = known.map_or(words, |(menu, seen)| seen.share(at, menu.answers.share(at, words)));
            Scored { at, raw, own: word.is_some() }
        };
        let mut scored: Vec<Scored> = options.iter().enumerate().map(one).collect();
        let sum: f64 = scored.iter().map(|one| one.raw).sum();
        scored.iter_mut().filter(|_| sum > 1.0).for_each(|one| one.raw /= sum);
        scored.sort_by(|a, b| b.raw.total_cmp(&a.raw).then(a.at.cmp(&b.at)));
        scored
    }

    /// A menu that was answered before, and the answers to just this question, else to the menu.
    fn known(&self, offered: &Offered<'_>) -> Option<(&Menu, &Answers)> {
        let menu = self.menus.get(&menu_key(offered.kind, offered.options))?;
        let asked = normal(head(offered.question, QUESTION_BYTES));
        let whole = || normal(last_block(offered.question));
        let exact = menu.questions.get(&asked);
        let within = || {
            let whole = whole();
            menu.questions.iter().find(|(question, _)| !question.is_empty() && whole.contains(*question))
        };
        Some((menu, exact.or_else(|| within().map(|(_, answers)| answers)).unwrap_or(&menu.answers)))
    }

    fn reason(&self, offered: &Offered<'_>, at: usize, seen: Option<&Answers>) -> String {
        let times = |count: &Count| (count.taken.round(), count.offered.round());
        if let Some((taken, of)) = seen.and_then(|seen| seen.options.get(at)).map(times) {
            return format!("you took this {taken} of about {of} times that it was asked of late");
        }
        match self.words.get(&word_key(offered.kind, &offered.options[at])).map(times) {
            Some((taken, of)) => format!("you took this {taken} of about {of} times in other menus"),
            None => "you have not been offered this yet".to_owned(),
        }
    }
}

fn is(taken: Option<u32>, at: usize) -> bool {
    taken.is_some_and(|taken| taken as usize == at)
}

fn cite(id: &str) -> Cited {
    Cited { id: id.to_owned(), origin: Origin::Typed, similarity: 1.0 }
}

/// Drops what is oldest until a map is within its bound.
fn bound<T>(map: &mut BTreeMap<String, T>, most: usize, newest: impl Fn(&T) -> u64) {
    while map.len() > most {
        let Some(oldest) = map.iter().min_by_key(|(_, value)| newest(value)).map(|(key, _)| key.clone()) else {
            return;
        };
        map.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    fn choice(kind: ChoiceKind, question: &str, shown: &[&str], choice: Option<&str>, outcome: Outcome) -> Choice {
        Choice {
            agent: "a".into(),
            kind,
            question: question.into(),
            options: options(shown),
            choice: choice.map(str::to_owned),
            outcome,
            in_response_to: None,
        }
    }

    fn taught(rows: &[(&str, &[&str], &str, usize)]) -> Choices {
        let mut choices = Choices::default();
        for (question, shown, taken, times) in rows {
            for n in 0..*times {
                let one = choice(ChoiceKind::Question, question, shown, Some(taken), Outcome::Chosen);
                choices.learn(&Chosen::new(&format!("{question}{n}"), &one, false).unwrap());
            }
        }
        choices
    }

    fn first(choices: &Choices, kind: ChoiceKind, question: &str, shown: &[&str]) -> (String, f64, bool) {
        let shown = options(shown);
        let answer = choices.answer(&Offered { kind, question, options: &shown }, 3);
        (answer.candidates[0].response.clone(), answer.candidates[0].raw_confidence, answer.abstained)
    }

    #[test]
    fn what_was_taken_before_is_first_and_nothing_is_assumed() {
        let none = first(&Choices::default(), ChoiceKind::Question, "Which?", &["one (Recommended)", "two"]);
        assert!(none.2 && none.1 < 0.34, "no option is favoured by its place or its praise: {none:?}");
        let rows: [(&str, &[&str], &str, usize); 2] = [
            ("Which store?", &["redb", "sqlite", "files"], "sqlite", 8),
            ("Which name?", &["short", "long"], "long", 3),
        ];
        let choices = taught(&rows);
        let (text, raw, abstained) =
            first(&choices, ChoiceKind::Question, "Which store?", &["redb", "sqlite", "files"]);
        assert!(text == "sqlite" && raw > 0.85 && !abstained, "{text} {raw}");
        // Another question with a known option borrows, in its own channel only.
        let lent = first(&choices, ChoiceKind::Question, "Where to?", &["memory", "sqlite"]);
        assert!(lent.0 == "sqlite" && lent.1 < raw && !lent.2, "{lent:?}");
        assert!(first(&choices, ChoiceKind::Plan, "Which store?", &["redb", "sqlite", "files"]).2);
    }

    #[test]
    fn a_person_may_change_and_a_refusal_is_no_option() {
        let shown: &[&str] = &["redb", "sqlite"];
        let choices = taught(&[("Which?", shown, "redb", 20), ("Which?", shown, "sqlite", 25)]);
        assert_eq!(first(&choices, ChoiceKind::Question, "Which?", shown).0, "sqlite");
        let refused = choice(ChoiceKind::Question, "Which?", shown, None, Outcome::Rejected);
        assert_eq!(Chosen::new("e", &refused, false).unwrap().taken, None);
        let own = choice(ChoiceKind::Question, "Which?", shown, Some("redb"), Outcome::Other);
        assert_eq!(Chosen::new("e", &own, false).unwrap().taken, None);
        let plan = choice(ChoiceKind::Plan, "p", &["approve", "keep planning"], None, Outcome::Rejected);
        assert_eq!(Chosen::new("e", &plan, false).unwrap().taken, Some(1));
        for (shown, outcome) in [(&[][..], Outcome::Rejected), (shown, Outcome::Interrupted)] {
            assert!(Chosen::new("e", &choice(ChoiceKind::Question, "q", shown, None, outcome), false).is_none());
        }
    }

    #[test]
    fn a_menu_in_a_text_is_recognised_once_it_was_answered_in_a_dialog() {
        let text = "I looked at both.\n1. redb\n2. sqlite\nWhich store do you prefer?";
        let shown: &[&str] = &["redb", "sqlite"];
        assert!(Choices::default().recognised(text).is_none());
        let choices = taught(&[("Which store do you prefer?", shown, "sqlite", 3)]);
        assert_eq!(choices.recognised(text), Some((ChoiceKind::Question, options(shown))));
        assert_eq!(first(&choices, ChoiceKind::Question, text, shown).0, "sqlite");
        assert!(choices.recognised("1. one\n2. two\nWhich one?").is_none());
    }

    #[test]
    fn what_is_known_is_bounded_and_numbers_are_chances() {
        let mut choices = Choices::default();
        for n in 0..1_200_usize {
            let shown = [format!("a{}", n % 1_100), "b".to_owned(), "c".to_owned()];
            let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
            let one = choice(ChoiceKind::Question, &format!("q{n}"), &shown, Some(shown[n % 3]), Outcome::Chosen);
            choices.learn(&Chosen::new("e", &one, false).unwrap());
        }
        assert!(choices.menus.len() <= MENUS_MAX && choices.words.len() <= WORDS_MAX);
        let shown = options(&["a7", "b", "c"]);
        let offered = Offered { kind: ChoiceKind::Question, question: "q", options: &shown };
        let scored = choices.scored(&offered, choices.known(&offered));
        assert!(scored.iter().map(|one| one.raw).sum::<f64>() <= 1.0 + 1e-9);
        assert!(scored.windows(2).all(|pair| pair[0].raw >= pair[1].raw));
    }
}
