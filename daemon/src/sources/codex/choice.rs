//! What Codex asked and how the person answered.
//!
//! Two tools wait for a person: `request_user_input` with its questions, and any other whose output says that they
//! refused it.

use std::collections::VecDeque;

use clone_schema::event::Outcome;
use clone_schema::text::head;
use serde_json::Value;

use super::wire::{self, Item};
use crate::sources::answer::asked;
use crate::sources::{Answer, MAX_OPTIONS, MAX_QUESTIONS};

/// How many calls without an output are remembered.
const MAX_CALLS: usize = 32;
/// How many bytes of a call are kept.
const MAX_CALL_BYTES: usize = 500;
/// How a refused call's output begins.
const REFUSED: &[&str] = &["rejected by user", "exec command rejected by user", "patch rejected by user"];

struct Question {
    id: String,
    text: String,
    options: Vec<String>,
}

struct Call {
    id: String,
    /// What it was about to do.
    about: String,
    questions: Vec<Question>,
}

/// The calls without an output, oldest first.
#[derive(Default)]
pub(super) struct Calls {
    waiting: VecDeque<Call>,
}

impl Calls {
    /// Remembers a call.
    pub(super) fn called(&mut self, item: &Item<'_>) {
        let (Some(id), Some(name)) = (item.call_id.clone(), item.name.as_deref()) else { return };
        if self.waiting.len() >= MAX_CALLS {
            self.waiting.pop_front();
        }
        let input = wire::text(item.arguments.or(item.input));
        let questions = if name == "request_user_input" { questions(&input) } else { Vec::new() };
        self.waiting.push_back(Call { id, about: format!("{name}: {}", about(&input)), questions });
    }

    /// What the person did, where an output says so.
    pub(super) fn answered(&mut self, item: &Item<'_>) -> Vec<Answer> {
        let id = item.call_id.as_deref().unwrap_or_default();
        let Some(at) = self.waiting.iter().position(|call| call.id == id) else { return Vec::new() };
        let Some(call) = self.waiting.remove(at) else { return Vec::new() };
        let output = wire::text(item.output);
        if REFUSED.iter().any(|refused| output.trim_start().starts_with(refused)) {
            return vec![Answer::refused(call.about, None)];
        }
        let answers: Value = serde_json::from_str(&output).unwrap_or_default();
        call.questions.into_iter().filter_map(|question| chosen(question, &answers["answers"])).collect()
    }

    /// What the last call without an output was about.
    pub(super) fn last(&self) -> Option<String> {
        self.waiting.back().map(|call| call.about.clone())
    }

    /// Forgets every call.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }
}

/// The command of a call, where it has one, else the start of what it was given.
fn about(input: &str) -> String {
    let fields: Value =
        if input.len() <= MAX_CALL_BYTES * 64 { serde_json::from_str(input).unwrap_or_default() } else { Value::Null };
    let command = fields.get("command").or_else(|| fields.get("cmd"));
    let told = match command {
        Some(Value::String(command)) => command.clone(),
        Some(Value::Array(words)) => words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
        _ => input.to_owned(),
    };
    head(&told, MAX_CALL_BYTES).to_owned()
}

fn questions(input: &str) -> Vec<Question> {
    let input: Value = serde_json::from_str(input).unwrap_or_default();
    let one = |question: &Value| {
        let options = question["options"].as_array().map(Vec::as_slice).unwrap_or_default();
        Question {
            id: asked(&question["id"]),
            text: asked(&question["question"]),
            options: options.iter().take(MAX_OPTIONS).map(|option| asked(&option["label"])).collect(),
        }
    };
    input["questions"].as_array().into_iter().flatten().take(MAX_QUESTIONS).map(one).collect()
}

/// The answer to one question, where it got one; a note that was typed beside an option counts as own words.
fn chosen(question: Question, answers: &Value) -> Option<Answer> {
    let given: Vec<&str> = answers[&question.id]["answers"].as_array()?.iter().filter_map(Value::as_str).collect();
    let Question { text, options, .. } = question;
    let answer = Answer::given(text, options, &given)?;
    if answer.outcome == Outcome::Chosen {
        return Some(answer);
    }
    let words: Vec<&str> = given.iter().map(|answer| answer.strip_prefix("user_note: ").unwrap_or(answer)).collect();
    let choice = Some(words.join(", ")).filter(|choice| !choice.is_empty())?;
    Some(Answer { choice: Some(choice), ..answer })
}
