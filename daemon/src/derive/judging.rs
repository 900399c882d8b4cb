//! What becomes of predictions: how a typed prompt or a verdict judges the one before it.
//!
//! Nothing trains on itself: a prompt that repeats an automatic answer is the client's typing, whatever it says of its
//! origin, and an automatic answer that nobody looked at teaches nothing. Only two voices are heard, the person's own
//! verdict and, more softly, what they then typed; verdicts of programs are kept and shown.

use std::collections::BTreeMap;

use clone_schema::Position;
use clone_schema::event::{Choice, ChoiceKind};
use clone_schema::internal::{Feedback, Verdict};
use clone_schema::prediction::{Prediction, Status};
use serde::{Deserialize, Serialize};

use crate::predict::stratum::{self, Opens, Taken};
use crate::predict::{self, Asked, Judged, Judging, Kind, Label, Predictor, Stood, situation};

/// What a prompt says of a prediction, beside a verdict: whoever has seen an answer may follow it.
const IMPLICIT: f64 = 0.5;
/// Predictions of one session that wait for its next prompt, at most; the oldest gives way.
const WAITING_MAX: usize = 8;
/// Sessions with waiting predictions, at most; the one that waits longest gives way.
const SESSIONS_MAX: usize = 1_000;

/// A prediction that is not judged yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    /// Position of `prediction.made`.
    pub position: u64,
    /// What was predicted.
    pub response: String,
    raw: f64,
    kind: Kind,
    stood: Stood,
    /// A client was told that it may act on it.
    pub auto: bool,
    /// The channel, where it was an option.
    channel: Option<ChoiceKind>,
    /// The question of the dialog that it was for; none where the answer is typed.
    asked: Option<Asked>,
    /// The options in the order shown, where the agent's text showed them.
    menu: Vec<String>,
}

/// What the person, or a client for them, gave an agent.
#[derive(Clone, Copy, Debug)]
pub struct Heard<'a> {
    /// The prompt, or the option taken.
    pub text: &'a str,
    /// It says that a person typed it.
    pub typed: bool,
    /// What the agent said before it.
    pub said: Option<&'a str>,
    /// The channel and the question, where it answers a dialog.
    pub dialog: Option<(ChoiceKind, &'a str)>,
}

impl<'a> Heard<'a> {
    /// What the person answered a dialog with.
    #[must_use]
    pub fn of(choice: &'a Choice) -> Self {
        let text = choice.choice.as_deref().unwrap_or_default();
        Self { text, typed: true, said: None, dialog: Some((choice.kind, &choice.question)) }
    }
}

impl Waiting {
    /// A prediction as it waits; none for one that no curve stands behind, as a continuation's.
    #[must_use]
    pub fn new(position: Position, prediction: &Prediction, predictor: &Predictor) -> Option<Self> {
        let raw = prediction.raw_confidence;
        if prediction.should_continue.is_some() || raw <= 0.0 {
            return None;
        }
        let (kind, stood) = predictor.stood(prediction.channel, &prediction.agent_input, raw);
        let is_dialog = prediction.channel.is_some() && !prediction.typed_menu;
        Some(Self {
            position: position.0,
            response: prediction.predicted_response.clone(),
            raw,
            kind,
            stood,
            auto: prediction.status == Status::Auto,
            channel: prediction.channel,
            asked: is_dialog.then(|| Asked::new(&prediction.agent_input)),
            menu: if prediction.typed_menu { menu(&prediction.agent_input) } else { Vec::new() },
        })
    }

    /// What it teaches that it was right or wrong, said so surely.
    fn judged(&self, hit: bool, weight: f64) -> Judged {
        let of = Judging { prediction: self.position, acted: self.auto };
        let label = Label { raw: self.raw, kind: self.kind, hit, weight, stood: self.stood };
        Judged { of, label, channel: self.channel }
    }

    /// An automatic answer of which nobody has said anything yet.
    #[must_use]
    pub fn acted_on(&self) -> Option<Judged> {
        self.auto.then(|| self.judged(true, 0.0))
    }

    /// What the person's own verdict teaches.
    #[must_use]
    pub fn by_person(&self, feedback: &Feedback) -> Judged {
        let sent = feedback.actual_response.as_deref().unwrap_or_default();
        let hit = match feedback.status {
            Verdict::Accepted => true,
            Verdict::Edited => self.is_what(sent),
            Verdict::Rejected => false,
        };
        self.judged(hit, 1.0)
    }

    /// Whether it was made for what is answered now: what is typed, or just this question of a dialog.
    fn is_answered_by(&self, heard: &Heard<'_>) -> bool {
        match (&self.asked, heard.dialog) {
            (None, None) => true,
            (Some(asked), Some((channel, question))) => self.channel == Some(channel) && asked.is(question),
            _ => false,
        }
    }

    /// Whether this was sent: of options just this one, else this but for its looks.
    fn is_what(&self, sent: &str) -> bool {
        match self.channel {
            Some(_) => predict::is_repeat(&self.response, sent) || self.is_taken_by(sent),
            None => predict::is_same(&self.response, sent),
        }
    }

    /// Whether a client that acts on it types just this: its words, or one word that names it in the menu.
    fn is_typed_by(&self, prompt: &str) -> bool {
        let one_word = !situation::normal(prompt).contains(' ');
        predict::is_repeat(&self.response, prompt) || one_word && self.is_taken_by(prompt)
    }

    /// Whether it is the option of the menu in the agent's text that a reply takes, by number or by name.
    fn is_taken_by(&self, reply: &str) -> bool {
        let at = self.menu.iter().position(|option| *option == self.response);
        at.is_some_and(|at| stratum::taken(&self.menu, reply) == Taken::Option(at))
    }
}

/// The options that a text puts to the person.
fn menu(text: &str) -> Vec<String> {
    match stratum::opens(text) {
        Opens::Choice(options) => options,
        _ => Vec::new(),
    }
}

/// The predictions of one session since its last prompt.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Open {
    waiting: Vec<Waiting>,
    /// The automatic answer that was the last prompt.
    acted: Option<Waiting>,
}

/// What a prompt is, seen from the predictions before it.
#[derive(Clone, Debug, PartialEq)]
pub enum Prompted {
    /// Nothing was predicted that it could speak of.
    Plain,
    /// A client typed an automatic answer.
    Ours,
    /// The person typed: what it says of the newest prediction, and what it teaches.
    Judges {
        /// Position of the newest prediction, and whether it was right; none where only an earlier answer is judged.
        newest: Option<(u64, bool)>,
        /// The lessons.
        lessons: Vec<Judged>,
    },
}

/// Waiting predictions by session.
#[derive(Default)]
pub struct Judgements(BTreeMap<String, Open>);

impl Judgements {
    /// The predictions of a session, where any wait.
    #[must_use]
    pub fn get(&self, session: &str) -> Option<&Open> {
        self.0.get(session)
    }

    /// Puts back what the state kept.
    pub fn restore(&mut self, session: String, open: Open) {
        self.0.insert(session, open);
    }

    /// A prediction was made in a session; names the session that gives way to it, if one must.
    pub fn made(&mut self, session: &str, waiting: Waiting) -> Option<String> {
        let open = self.0.entry(session.to_owned()).or_default();
        if open.waiting.len() == WAITING_MAX {
            open.waiting.remove(0);
        }
        open.waiting.push(waiting);
        if self.0.len() <= SESSIONS_MAX {
            return None;
        }
        let oldest = self.0.iter().min_by_key(|(_, open)| open.newest()).map(|(session, _)| session.clone())?;
        self.0.remove(&oldest);
        Some(oldest)
    }

    /// A prompt or an answer to a dialog came: what it is, and what is known of the session from now on. An answer to a
    /// dialog leaves waiting what was predicted of prompts and of other questions.
    pub fn heard(&mut self, session: &str, heard: Heard<'_>) -> Prompted {
        let Some(mut open) = self.0.remove(session) else { return Prompted::Plain };
        let (of_it, others): (Vec<Waiting>, Vec<Waiting>) =
            open.waiting.into_iter().partition(|one| one.is_answered_by(&heard));
        open.waiting = if heard.dialog.is_some() { others } else { Vec::new() };
        if let Some(auto) = of_it.iter().rev().find(|one| one.auto && one.is_typed_by(heard.text)) {
            self.keep(session, Open { acted: Some(auto.clone()), ..open });
            return Prompted::Ours;
        }
        if !heard.typed || heard.dialog.is_some() {
            self.keep(session, open.clone());
        }
        let newest = of_it.last().filter(|_| heard.typed);
        let judged = newest.map(|newest| newest.judged(newest.is_what(heard.text), IMPLICIT));
        let regretted =
            open.acted.filter(|_| heard.typed && heard.dialog.is_none() && is_regret(heard.text, heard.said));
        let lessons: Vec<Judged> = regretted.map(|acted| acted.judged(false, 0.0)).into_iter().chain(judged).collect();
        if lessons.is_empty() {
            return Prompted::Plain;
        }
        Prompted::Judges { newest: judged.map(|judged| (judged.of.prediction, judged.label.hit)), lessons }
    }

    fn keep(&mut self, session: &str, open: Open) {
        if !open.waiting.is_empty() || open.acted.is_some() {
            self.0.insert(session.to_owned(), open);
        }
    }
}

impl Open {
    fn newest(&self) -> u64 {
        self.waiting.iter().chain(&self.acted).map(|one| one.position).max().unwrap_or_default()
    }
}

/// Whether a prompt takes back the automatic answer before it: a no where the agent asked nothing that it could answer.
fn is_regret(prompt: &str, said: Option<&str>) -> bool {
    let asked =
        said.is_some_and(|said| matches!(situation::kind_of(said), Kind::Offer | Kind::Question | Kind::Options));
    !asked && stratum::verdict(prompt) == stratum::Verdict::Rejected
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(position: u64, response: &str, auto: bool) -> Waiting {
        let stood = Stood { strict: 0.9, standard: 0.95 };
        Waiting {
            position,
            response: response.to_owned(),
            raw: 0.9,
            kind: Kind::Report,
            stood,
            auto,
            channel: None,
            asked: None,
            menu: Vec::new(),
        }
    }

    fn option(position: u64, response: &str, asked: &str) -> Waiting {
        let (channel, asked) = (Some(ChoiceKind::Question), Some(Asked::new(asked)));
        Waiting { channel, asked, ..waiting(position, response, false) }
    }

    fn after(predictions: &[Waiting]) -> Judgements {
        let mut judgements = Judgements::default();
        predictions.iter().for_each(|one| assert_eq!(judgements.made("s", one.clone()), None));
        judgements
    }

    fn spoken<'a>(text: &'a str, typed: bool, said: Option<&'a str>) -> Heard<'a> {
        Heard { text, typed, said, dialog: None }
    }

    fn heard(prompted: Prompted) -> Vec<(u64, bool, bool)> {
        let Prompted::Judges { lessons, .. } = prompted else { return Vec::new() };
        lessons.iter().map(|one| (one.of.prediction, one.of.acted, one.label.hit)).collect()
    }

    #[test]
    fn what_is_typed_next_judges_the_newest_prediction() {
        let made = [waiting(1, "commit it", false), waiting(2, "go on", false)];
        for (prompt, typed, expected) in [
            ("go on!", true, vec![(2, false, true)]),
            ("now the parser", true, vec![(2, false, false)]),
            ("go on", false, vec![]),
        ] {
            let mut judgements = after(&made);
            assert_eq!(heard(judgements.heard("s", spoken(prompt, typed, None))), expected, "{prompt}");
            assert_eq!(judgements.heard("s", spoken(prompt, true, None)), Prompted::Plain, "once");
        }
        assert_eq!(after(&made).heard("other", spoken("go on", true, None)), Prompted::Plain);
    }

    #[test]
    fn a_client_that_types_an_automatic_answer_is_no_person_and_a_no_after_it_is_harm() {
        let auto = || after(&[waiting(1, "go on", true)]);
        for typed in [true, false] {
            assert_eq!(auto().heard("s", spoken("Go on", typed, None)), Prompted::Ours);
        }
        // The person answered themselves, and otherwise.
        assert_eq!(heard(auto().heard("s", spoken("stop here", true, None))), [(1, true, false)]);
        for (said, then, harm) in [
            (Some("All of it is done."), "no, that was wrong, revert it", true),
            (Some("All of it is done."), "thanks, now the parser", false),
            (Some("Shall I also clean up?"), "no, leave that", false),
        ] {
            let mut judgements = auto();
            assert_eq!(judgements.heard("s", spoken("go on", true, None)), Prompted::Ours);
            let expected = if harm { vec![(1, true, false)] } else { vec![] };
            assert_eq!(heard(judgements.heard("s", spoken(then, true, said))), expected, "{then}");
        }
    }

    #[test]
    fn an_answer_to_a_dialog_judges_its_own_channel_alone() {
        let option = option(2, "yes", "Run the tests?");
        let answer =
            |text| Heard { dialog: Some((ChoiceKind::Question, "Run the tests?")), ..spoken(text, true, None) };
        for (text, hit) in [("Yes", true), ("yes, always", false)] {
            let mut judgements = after(&[waiting(1, "go on", false), option.clone()]);
            assert_eq!(heard(judgements.heard("s", answer(text))), [(2, false, hit)], "{text}");
            assert_eq!(heard(judgements.heard("s", spoken("go on", true, None))), [(1, false, true)]);
        }
        let mut judgements = after(&[Waiting { auto: true, ..option }]);
        assert_eq!(judgements.heard("s", answer("yes")), Prompted::Ours);
    }

    /// One use of a tool may ask several questions, whose answers come one by one.
    #[test]
    fn each_question_of_a_dialog_judges_its_own_prediction() {
        let questions = ["Which store do you prefer?", "Which name?"];
        let made = [option(1, "redb", questions[0]), option(2, "short", "Two more things.\n\nWhich name?")];
        let answer =
            |text, question| Heard { dialog: Some((ChoiceKind::Question, question)), ..spoken(text, true, None) };
        let mut judgements = after(&made);
        assert_eq!(judgements.heard("s", answer("all", "Which tests?")), Prompted::Plain);
        assert_eq!(heard(judgements.heard("s", answer("redb", questions[0]))), [(1, false, true)]);
        assert_eq!(heard(judgements.heard("s", answer("long", questions[1]))), [(2, false, false)]);
        assert_eq!(judgements.get("s"), None, "both are judged");
        let other = Heard { dialog: Some((ChoiceKind::Permission, questions[0])), ..spoken("redb", true, None) };
        assert_eq!(after(&made).heard("s", other), Prompted::Plain);
    }

    /// A menu in a text is answered by typing, whatever channel its options were learned in.
    #[test]
    fn an_option_of_a_menu_in_a_text_is_judged_by_what_is_typed() {
        let menu: Vec<String> = ["redb", "sqlite", "plain files"].map(str::to_owned).into();
        let option = |auto| Waiting {
            channel: Some(ChoiceKind::Question),
            menu: menu.clone(),
            ..waiting(1, "plain files", auto)
        };
        for (typed, ours, hit) in [
            ("plain files", true, true),
            ("3", true, true),
            ("option 3, please", false, true),
            ("plain files, and commit it then", false, true),
            ("2", false, false),
            ("none of them", false, false),
        ] {
            let prompted = after(&[option(true)]).heard("s", spoken(typed, true, None));
            assert_eq!(prompted == Prompted::Ours, ours, "{typed}");
            assert_eq!(heard(prompted), if ours { vec![] } else { vec![(1, true, hit)] }, "{typed}");
            let judged = after(&[option(false)]).heard("s", spoken(typed, true, None));
            assert_eq!(heard(judged), [(1, false, hit)], "{typed}");
        }
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut judgements = Judgements::default();
        for position in 0..20 {
            judgements.made("s", waiting(position, "go on", false));
        }
        assert_eq!(judgements.get("s").map(|open| open.waiting.len()), Some(WAITING_MAX));
        for position in 0..SESSIONS_MAX as u64 {
            let gone = judgements.made(&format!("t{position}"), waiting(100 + position, "go on", false));
            assert_eq!(gone.as_deref(), (position + 1 == SESSIONS_MAX as u64).then_some("s"));
        }
    }
}
