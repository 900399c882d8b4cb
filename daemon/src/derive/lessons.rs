//! What is learned from, one lesson after the other in the order of the log.
//!
//! The same lessons in the same order teach the same: whether they come one by one from a life, from rows after a restart,
//! or the first of them from a [snapshot](super::snapshot).

use clone_schema::Position;
use serde::{Deserialize, Serialize};

use super::pairs::{self, Pair};
use super::progress::Progress;
use crate::memory::fact::Miner;
use crate::predict::{Chosen, Judged, Label, Predictor};
use crate::state::{STRETCH, State, StateError, Table};

/// What the lessons taught.
#[derive(Default, Serialize, Deserialize)]
pub struct Learned {
    /// How many lessons there were.
    pub lessons: u64,
    /// How many of them were reply pairs.
    pub pairs: u64,
    /// The reply model.
    pub predictor: Predictor,
    /// What repeats and what was stated.
    pub miner: Miner,
}

/// One step of what is learned.
pub enum Lesson {
    /// How an answer would have fared.
    Label(Label),
    /// What became of a prediction that was made.
    Judged(Judged),
    /// Which option of a dialog the person took.
    Choice(Chosen),
    /// What the person replied.
    Pair(Pair),
    /// A session ended after the agent spoke.
    End(Ending),
}

/// A session ended after the agent said this.
#[derive(Serialize, Deserialize)]
pub struct Ending {
    /// Which session.
    pub session_id: String,
    /// What the agent said last.
    pub text: String,
}

impl Learned {
    /// Takes one lesson.
    pub fn take(&mut self, position: Position, lesson: &Lesson) {
        self.lessons += 1;
        match lesson {
            Lesson::Label(label) => self.predictor.judge(*label),
            Lesson::Judged(judged) => self.predictor.judge_prediction(judged),
            Lesson::Choice(chosen) => self.predictor.learn_choice(chosen),
            Lesson::Pair(pair) => self.pair(position, pair),
            Lesson::End(ending) => self.predictor.learn_end(&ending.session_id, &ending.text),
        }
    }

    fn pair(&mut self, position: Position, pair: &Pair) {
        self.predictor.learn(pair);
        let said = Some(pair.agent_text.as_str()).filter(|text| !text.is_empty());
        self.miner.observe(&pairs::told(position, pair), said);
        self.pairs += 1;
    }

    /// Takes the lessons that the state keeps of these positions.
    ///
    /// # Errors
    ///
    /// A row is damaged or cannot be read.
    pub fn take_rows(
        &mut self,
        state: &State,
        from: Position,
        until: Position,
        progress: &Progress,
    ) -> Result<(), StateError> {
        let mut from = from.0;
        while from < until.0 {
            progress.at("lessons", from);
            // One stretch at a time is in memory, and none is read twice.
            let end = (from / STRETCH + 1).saturating_mul(STRETCH).min(until.0);
            for (position, lesson) in rows(state, from, end)? {
                self.take(Position(position), &lesson);
            }
            from = end;
        }
        Ok(())
    }
}

/// The lessons of these positions, in order; at one position what was
/// judged before the pair was learned stays before it.
fn rows(state: &State, from: u64, until: u64) -> Result<Vec<(u64, Lesson)>, StateError> {
    let mut found: Vec<(u64, Lesson)> = Vec::new();
    let mut put = |position: u64, lesson: Lesson| found.push((position, lesson));
    state.load_positions(Table::Verdicts, from..until, |position, verdicts: Vec<Judged>| {
        verdicts.into_iter().for_each(|judged| put(position, Lesson::Judged(judged)));
    })?;
    state.load_positions(Table::Choices, from..until, |position, chosen| put(position, Lesson::Choice(chosen)))?;
    state.load_positions(Table::Labels, from..until, |position, label| put(position, Lesson::Label(label)))?;
    state.load_positions(Table::Pairs, from..until, |position, pair| put(position, Lesson::Pair(pair)))?;
    state.load_positions(Table::Endings, from..until, |position, ending| put(position, Lesson::End(ending)))?;
    found.sort_by_key(|(position, _)| *position);
    Ok(found)
}
