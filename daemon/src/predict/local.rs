//! The embedded predictor: what the person said in like situations, in this session and in general.
//!
//! A bounded pool of candidates is gathered (answers to like situations, recent replies, habits, what followed the
//! last reply before, stock phrases), each is described by the numbers of [`rank`](super::rank), and the best few that differ
//! from each other are returned.

use std::collections::HashMap;

use clone_schema::event::ChoiceKind;
use clone_schema::prediction::{Candidate, Weight};
use clone_schema::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::calibrate::Row;
use super::choices::{Choices, Chosen, Offered};
use super::continuation::{Continuation, Endings};
use super::curves::{Curves, Judging, Standing};
use super::habits::Habits;
use super::nearest::Nearest;
use super::part::Part;
use super::rank::Weights;
use super::situation::{Kind, Situation, kind_of};
use super::tripwire::Stood;

/// Habits in the pool.
const LEADERS: usize = 64;

/// One thing an agent said and what the person replied.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pair {
    /// The event id of the person's reply.
    pub reply_id: String,
    /// The event id of the agent's block.
    pub prompt_id: Option<String>,
    /// The session.
    pub session_id: String,
    /// The agent's name.
    pub agent: String,
    /// The project, where known.
    pub project: Option<String>,
    /// When the person replied.
    pub at: Timestamp,
    /// What the agent said last; empty where the person spoke first.
    pub agent_text: String,
    /// What the person typed.
    pub reply: String,
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// The agent's name.
    pub agent: &'a str,
    /// The agent's last text, or a client's whole document.
    pub agent_input: &'a str,
    /// The session, where the caller names one.
    pub session_id: Option<&'a str>,
    /// The project, where known.
    pub project: Option<&'a str>,
    /// Candidates wanted, 1 to [`MAX_K`](clone_schema::prediction::MAX_K).
    pub k: usize,
    /// When it is asked.
    pub at: Timestamp,
}

/// What became of an answer, by a person's word or by what they typed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Label {
    /// The raw number of the first candidate.
    pub raw: f64,
    /// The kind of situation it was given in.
    pub kind: Kind,
    /// Whether the first candidate was a hit.
    pub hit: bool,
    /// 1 for a plain outcome, less for a doubtful one.
    pub weight: f64,
    /// What the answer stood at when it was given.
    pub stood: Stood,
}

/// What became of a prediction that was made; a later word on the same one takes the place of the earlier.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// Which prediction, and whether a client acted on it.
    pub of: Judging,
    /// How it fared.
    pub label: Label,
    /// The channel, where it was an option of a dialog.
    pub channel: Option<ChoiceKind>,
}

/// A first candidate that nobody acts on.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// The words.
    pub response: String,
    /// The predictor's own number.
    pub raw: f64,
    /// What the agent did last.
    pub kind: Kind,
    /// What it stands at.
    pub stood: Stood,
}

/// Ranked candidates, before anyone decides on them.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Best first; `confidence` is still 0 in each.
    pub candidates: Vec<Candidate>,
    /// What stands behind the first.
    pub weight: Weight,
    /// What the curves say of the first.
    pub standing: Standing,
    /// What the agent did last.
    pub kind: Kind,
    /// Nothing of the person's own fits.
    pub abstained: bool,
    /// The channel, where the candidates are the options of a dialog.
    pub channel: Option<ChoiceKind>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Reply {
    pub(super) id: String,
    pub(super) form: Option<u32>,
    pub(super) session: u32,
    pub(super) project: u32,
    /// The reply after this one in its session.
    pub(super) next: Option<u32>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Thread {
    pub(super) last: Option<u32>,
    pub(super) replies: u32,
}

/// Learns pairs and answers queries; everything is in memory.
///
/// What was serialised and read back answers alike to the last bit. No answer depends on the order of a map.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Predictor {
    pub(super) replies: Vec<Reply>,
    pub(super) tails: Nearest,
    pub(super) lasts: Nearest,
    pub(super) habits: Habits,
    pub(super) leaders: Vec<u32>,
    pub(super) sessions: HashMap<String, u32>,
    pub(super) threads: Vec<Thread>,
    pub(super) projects: HashMap<String, u32>,
    pub(super) curves: Curves,
    pub(super) endings: Endings,
    pub(super) letters: usize,
    pub(super) choices: Choices,
    /// No part of what is kept: they come with the program.
    #[serde(skip)]
    pub(super) weights: Weights,
    /// What is left out to see what it gives; nothing in a living predictor.
    #[serde(skip)]
    pub(super) without: Option<Part>,
}

fn number(map: &mut HashMap<String, u32>, name: &str) -> u32 {
    let next = u32::try_from(map.len()).unwrap_or(u32::MAX);
    match map.get(name) {
        Some(number) => *number,
        None => *map.entry(name.to_owned()).or_insert(next),
    }
}

impl Predictor {
    /// A predictor that has met nobody, with other priors than the shipped ones.
    #[must_use]
    pub fn new(priors: &Weights) -> Self {
        Self { weights: priors.clone(), ..Self::default() }
    }

    /// The same without one of its parts.
    #[must_use]
    pub fn without(self, part: Option<Part>) -> Self {
        Self { without: part, ..self }
    }

    /// Learns one pair.
    pub fn learn(&mut self, pair: &Pair) {
        let id = u32::try_from(self.replies.len()).unwrap_or(u32::MAX);
        let session = number(&mut self.sessions, &pair.session_id);
        let project = number(&mut self.projects, pair.project.as_deref().unwrap_or(&pair.agent));
        let spoken = !pair.agent_text.trim().is_empty();
        let situation = Situation::read(&pair.agent_text);
        let form = self.habits.add(id, &pair.reply, spoken.then_some(situation.kind));
        if spoken && form.is_some() {
            self.tails.add(id, &situation.tail);
            self.lasts.add(id, &situation.last);
        }
        if self.threads.len() <= session as usize {
            self.threads.resize_with(session as usize + 1, Thread::default);
        }
        if let Some(before) = self.before(Some(session)) {
            let before = &mut self.replies[before as usize];
            if before.next.is_none() {
                before.next = Some(id);
            }
        }
        let thread = &mut self.threads[session as usize];
        thread.last = Some(id);
        thread.replies += 1;
        if spoken {
            self.endings.replied(situation.kind);
        }
        self.letters += pair.reply_id.len() + 64;
        self.replies.push(Reply { id: pair.reply_id.clone(), form, session, project, next: None });
        if let Some(form) = form {
            let parts = self.habits.form(form).map_or_else(Vec::new, |form| form.parts.clone());
            for form in std::iter::once(form).chain(parts) {
                self.lead(form, id);
            }
        }
    }

    /// Learns that a session ended after an agent's block to which nobody replied.
    ///
    /// The session's next reply, should it be resumed, counts as a reply of its own.
    pub fn learn_end(&mut self, _session_id: &str, last_agent_text: &str) {
        if !last_agent_text.trim().is_empty() {
            self.endings.ended(kind_of(last_agent_text));
        }
    }

    /// Whether the person would reply again in this session.
    #[must_use]
    pub fn continuation(&self, query: &Query<'_>) -> Continuation {
        self.endings.answer(kind_of(query.agent_input))
    }

    /// Learns how an answer fared; only a person's own word, or what they typed, may come here.
    pub fn judge(&mut self, label: Label) {
        self.curves.add(label.kind, Row::new(label.raw, label.hit, label.weight), label.stood);
    }

    /// Learns how a prediction that was made fared, as [`judge`](Self::judge) does.
    pub fn judge_prediction(&mut self, judged: &Judged) {
        if judged.channel.is_some() {
            return self.choices.judge(judged.of, judged.label);
        }
        let Label { raw, kind, hit, weight, stood } = judged.label;
        self.curves.judge(judged.of, kind, Row::new(raw, hit, weight), stood);
    }

    /// Learns which option of a dialog the person took.
    pub fn learn_choice(&mut self, chosen: &Chosen) {
        self.choices.learn(chosen);
    }

    /// The options of a dialog, ranked, from what is known now.
    #[must_use]
    pub fn answer_choice(&self, offered: &Offered<'_>, k: usize) -> Answer {
        self.choices.answer(offered, k)
    }

    /// The kind of an answer with this raw number, and what it would stand at now.
    #[must_use]
    pub fn stood(&self, channel: Option<ChoiceKind>, agent_input: &str, raw: f64) -> (Kind, Stood) {
        if let Some(channel) = channel {
            return self.choices.stood(channel, raw);
        }
        let kind = kind_of(agent_input);
        (kind, self.curves.stood(kind, raw))
    }

    /// How many pairs it has learned.
    #[must_use]
    pub fn len(&self) -> usize {
        self.replies.len()
    }

    /// Whether it has learned none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.replies.is_empty()
    }

    /// Estimated bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let replies = self.replies.len() * std::mem::size_of::<Reply>() + self.letters;
        replies + self.tails.bytes() + self.lasts.bytes() + self.habits.bytes()
    }

    /// The reply before the next one: the session's last, else the last of all.
    pub(super) fn before(&self, session: Option<u32>) -> Option<u32> {
        let in_session = session.and_then(|s| self.threads.get(s as usize)).and_then(|thread| thread.last);
        in_session.or_else(|| u32::try_from(self.replies.len()).ok()?.checked_sub(1))
    }

    /// Keeps the forms with the most mass at hand.
    fn lead(&mut self, form: u32, now: u32) {
        if self.leaders.contains(&form) {
            return;
        }
        self.leaders.push(form);
        if self.leaders.len() > LEADERS {
            let least = self
                .leaders
                .iter()
                .enumerate()
                .min_by(|a, b| self.habits.support(*a.1, 0, now).total_cmp(&self.habits.support(*b.1, 0, now)))
                .map(|(at, _)| at);
            if let Some(at) = least {
                self.leaders.swap_remove(at);
            }
        }
    }
}
