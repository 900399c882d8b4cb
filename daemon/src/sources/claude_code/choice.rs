//! What a tool asked of the person, and how they answered.
//!
//! Pure. A tool's use and its result are two records: the use waits here, cut short, until the result comes. Only three
//! results are the person's act: an answered question, a plan approved, and a refusal.

use std::collections::VecDeque;

use clone_schema::event::{ChoiceKind, Outcome};
use clone_schema::text::head;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::wire::{self, Block};
use crate::sources::Answer;
use crate::sources::answer::{asked, offered};

/// How many tool uses wait for their result; the oldest gives way.
pub(super) const MAX_TOOLS: usize = 256;
/// How many questions of one use are kept.
const MAX_QUESTIONS: usize = 8;
/// How many options of one question are kept.
const MAX_OPTIONS: usize = 16;
/// How many bytes of a tool's input stand for it.
const MAX_INPUT_BYTES: usize = 500;
/// How many bytes of a plan or a question are kept.
const MAX_PLAN_BYTES: usize = 8000;

const REFUSED: &str = "The user doesn't want to proceed with this tool use";
/// What stands in the results of tools that an interrupt cut off.
const CANCELLED: [&str; 2] = ["The user doesn't want to take this action right now", "[Request interrupted by user"];
const REASON: &str = "the user said:\n";
/// Words that the tool itself puts after or in place of a reason.
const REASON_NOTE: &str = "\n\nNote: The user's next message may contain";
const CLARIFY: &str = "The user wants to clarify these questions";
const APPROVED: &str = "User has approved";

/// A question with its options in the order shown.
struct Question {
    text: String,
    options: Vec<String>,
}

enum Tool {
    Questions(Vec<Question>),
    Plan(String),
    /// Any other tool: its name and the start of its input.
    Other(String),
}

/// The tool uses without a result, oldest first.
#[derive(Default)]
pub(super) struct Tools {
    waiting: VecDeque<(String, Tool)>,
}

impl Tools {
    /// Remembers a tool use.
    pub(super) fn used(&mut self, block: &Block<'_>) {
        let (Some(id), Some(name)) = (&block.id, &block.name) else { return };
        if self.waiting.len() >= MAX_TOOLS {
            self.waiting.pop_front();
        }
        self.waiting.push_back((id.clone(), tool(name, block.input)));
    }

    /// What the person did, where a tool's result says so.
    pub(super) fn answered(&mut self, block: &Block<'_>, details: Option<&RawValue>) -> Vec<Answer> {
        let id = block.tool_use_id.as_deref().unwrap_or_default();
        let said = wire::texts(block.content).join("\n");
        if CANCELLED.iter().any(|cancelled| said.starts_with(cancelled)) {
            // The note of the interrupt follows, and asks which tool it was.
            return Vec::new();
        }
        let at = self.waiting.iter().position(|(of, _)| of == id);
        let tool = at.and_then(|at| self.waiting.remove(at)).map(|(_, tool)| tool);
        if said.starts_with(REFUSED) || (block.is_error == Some(true) && is_refusal(details)) {
            return refused(tool, reason(&said));
        }
        match tool {
            Some(Tool::Questions(questions)) if block.is_error != Some(true) => chosen(questions, details, &said),
            Some(Tool::Plan(plan)) if said.starts_with(APPROVED) => {
                vec![plan_answer(plan, Some("approve".to_owned()), Outcome::Chosen)]
            }
            _ => Vec::new(),
        }
    }

    /// Forgets every use: the person has typed something new, so what has no result never gets one.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }

    /// The person stopped the agent: in the middle of the last tool that has no result, else of what it said.
    pub(super) fn interrupted(&mut self, said: String) -> Answer {
        let last = self.waiting.pop_back().map(|(_, tool)| tool);
        self.waiting.clear();
        let (kind, question, options) = match last {
            Some(Tool::Questions(questions)) => match questions.into_iter().next() {
                Some(question) => (ChoiceKind::Question, question.text, question.options),
                None => (ChoiceKind::Permission, said, Vec::new()),
            },
            Some(Tool::Plan(plan)) => (ChoiceKind::Plan, plan, plan_options()),
            Some(Tool::Other(summary)) => (ChoiceKind::Permission, summary, Vec::new()),
            None => (ChoiceKind::Permission, said, Vec::new()),
        };
        Answer { kind, question, options, choice: None, outcome: Outcome::Interrupted }
    }
}

fn tool(name: &str, input: Option<&RawValue>) -> Tool {
    match name {
        "AskUserQuestion" => Tool::Questions(questions(&wire::object(input))),
        "ExitPlanMode" => Tool::Plan(shortened(wire::object(input).get("plan"), MAX_PLAN_BYTES)),
        _ => Tool::Other(summary(name, input)),
    }
}

fn questions(input: &Map<String, Value>) -> Vec<Question> {
    let list = input.get("questions").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let one = |question: &Value| {
        let options = question["options"].as_array().map(Vec::as_slice).unwrap_or_default();
        let label = |option: &Value| asked(option.get("label").unwrap_or(option));
        Question {
            text: shortened(question.get("question"), MAX_PLAN_BYTES),
            options: options.iter().take(MAX_OPTIONS).map(label).collect(),
        }
    };
    list.iter().take(MAX_QUESTIONS).map(one).collect()
}

/// A tool and what it was about to do: the command or the file where there is one, else the start of the input.
fn summary(name: &str, input: Option<&RawValue>) -> String {
    let raw = input.map(RawValue::get).unwrap_or_default();
    let fields = if raw.len() <= MAX_PLAN_BYTES * 8 { wire::object(input) } else { Map::new() };
    let known = ["command", "file_path", "url", "pattern", "description", "prompt"];
    let known = known.iter().find_map(|key| fields.get(*key)).filter(|value| value.is_string());
    let about = match known {
        Some(value) => shortened(Some(value), MAX_INPUT_BYTES),
        None => head(raw, MAX_INPUT_BYTES).to_owned(),
    };
    format!("{name}: {about}")
}

fn shortened(value: Option<&Value>, limit: usize) -> String {
    let text = value.and_then(Value::as_str).unwrap_or_default();
    head(text, limit).to_owned()
}

fn is_refusal(details: Option<&RawValue>) -> bool {
    let text: String = details.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    let text = text.strip_prefix("Error: ").unwrap_or(&text);
    text.starts_with(REFUSED) || text.starts_with("User rejected")
}

/// What the person typed with the refusal; the tool's own words around it are not theirs.
fn reason(said: &str) -> Option<String> {
    let (_, typed) = said.split_once(REASON)?;
    let typed = typed.split_once(REASON_NOTE).map_or(typed, |(typed, _)| typed).trim();
    (!typed.is_empty() && !typed.starts_with(CLARIFY)).then(|| typed.to_owned())
}

fn refused(tool: Option<Tool>, reason: Option<String>) -> Vec<Answer> {
    let outcome = Outcome::Rejected;
    match tool {
        Some(Tool::Plan(plan)) => vec![plan_answer(plan, reason, outcome)],
        Some(Tool::Questions(questions)) if !questions.is_empty() => {
            let one = |question: Question| Answer {
                kind: ChoiceKind::Question,
                question: question.text,
                options: question.options,
                choice: reason.clone(),
                outcome,
            };
            questions.into_iter().map(one).collect()
        }
        other => {
            let question = if let Some(Tool::Other(summary)) = other { summary } else { String::new() };
            let (kind, options) = (ChoiceKind::Permission, Vec::new());
            vec![Answer { kind, question, options, choice: reason, outcome }]
        }
    }
}

fn plan_answer(question: String, choice: Option<String>, outcome: Outcome) -> Answer {
    Answer { kind: ChoiceKind::Plan, question, options: plan_options(), choice, outcome }
}

fn plan_options() -> Vec<String> {
    vec!["approve".to_owned(), "keep planning".to_owned()]
}

/// The answer to each question that got one.
fn chosen(questions: Vec<Question>, details: Option<&RawValue>, said: &str) -> Vec<Answer> {
    let details = wire::object(details);
    let answers = details.get("answers").and_then(Value::as_object);
    let mut found = Vec::new();
    for question in questions {
        let answer = match answers {
            Some(answers) => answers.get(&question.text).and_then(|given| answer_text(given, &question.options)),
            None => quoted_answer(said, &question.text).map(|given| told(given, &question.options)),
        };
        let Some(answer) = answer.filter(|answer| !answer.is_empty()) else { continue };
        let outcome = if is_offered(&answer, &question.options) { Outcome::Chosen } else { Outcome::Other };
        let (kind, choice) = (ChoiceKind::Question, Some(answer));
        found.push(Answer { kind, question: question.text, options: question.options, choice, outcome });
    }
    found
}

/// An answer as it stands among the options, where it is one of them.
fn told(given: &str, options: &[String]) -> String {
    offered(options, given).unwrap_or(given).to_owned()
}

/// One answer; several that were ticked together stand as one text.
fn answer_text(value: &Value, options: &[String]) -> Option<String> {
    match value {
        Value::String(given) => Some(told(given, options)),
        Value::Array(parts) => {
            let parts = parts.iter().filter_map(Value::as_str).map(|given| told(given, options));
            Some(parts.collect::<Vec<_>>().join(", "))
        }
        _ => None,
    }
}

/// Older results only quote the answers: `"question"="answer"`.
fn quoted_answer<'s>(said: &'s str, question: &str) -> Option<&'s str> {
    let (_, rest) = said.split_once(&format!("\"{question}\"=\""))?;
    let end = ["\", \"", "\". ", "\"."].iter().filter_map(|end| rest.find(end)).min().or_else(|| rest.find('"'))?;
    Some(&rest[..end])
}

/// Whether an answer is one option, or several of them ticked together.
fn is_offered(answer: &str, options: &[String]) -> bool {
    if options.iter().any(|option| option == answer) {
        return true;
    }
    let mut rest = answer;
    loop {
        let longest = options.iter().filter(|option| !option.is_empty() && rest.starts_with(option.as_str()));
        let Some(option) = longest.max_by_key(|option| option.len()) else { return false };
        rest = &rest[option.len()..];
        match rest.strip_prefix(", ") {
            Some(more) => rest = more,
            None => return rest.is_empty(),
        }
    }
}
