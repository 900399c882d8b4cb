//! How the person answered what an agent asked of them, and how much of it is kept.

use clone_schema::Body;
use clone_schema::event::{Choice, ChoiceKind, Outcome};
use clone_schema::text::head;
use serde_json::Value;

/// How many bytes of the last answer are kept, to say what was interrupted.
pub(super) const MAX_SAID_BYTES: usize = 4000;
/// How many questions of one call are kept.
pub(super) const MAX_QUESTIONS: usize = 16;
/// How many options of one question are kept.
pub(super) const MAX_OPTIONS: usize = 32;
/// How many bytes of a question or an option are kept.
pub(super) const MAX_QUESTION_BYTES: usize = 500;

/// What was asked, and what the person did about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) kind: ChoiceKind,
    pub(super) question: String,
    pub(super) options: Vec<String>,
    pub(super) choice: Option<String>,
    pub(super) outcome: Outcome,
}

impl Answer {
    /// The person did not let the agent do something; what they said to it comes trimmed.
    pub(super) fn refused(question: String, words: Option<&str>) -> Self {
        let choice = words.map(str::trim).filter(|words| !words.is_empty()).map(str::to_owned);
        let (kind, outcome) = (ChoiceKind::Permission, Outcome::Rejected);
        Self { kind, question, options: Vec::new(), choice, outcome }
    }

    /// The person stopped the agent in the middle of something.
    pub(super) fn interrupted(question: String) -> Self {
        let (kind, outcome) = (ChoiceKind::Permission, Outcome::Interrupted);
        Self { kind, question, options: Vec::new(), choice: None, outcome }
    }

    /// The person sent a question away.
    pub(super) fn dismissed(question: String, options: Vec<String>) -> Self {
        Self { kind: ChoiceKind::Question, question, options, choice: None, outcome: Outcome::Rejected }
    }

    /// One question and what was given to it, unless that is nothing: options, or anything that is none.
    pub(super) fn given(question: String, options: Vec<String>, given: &[&str]) -> Option<Self> {
        // Long options are cut, so that a chosen one is known by its beginning, and told as it stands among the options.
        let chosen: Option<Vec<&str>> = given.iter().map(|given| offered(&options, given)).collect();
        let (given, outcome) = match &chosen {
            Some(chosen) => (chosen.as_slice(), Outcome::Chosen),
            None => (given, Outcome::Other),
        };
        let choice = Some(given.join(", ")).filter(|choice| !choice.is_empty())?;
        Some(Self { kind: ChoiceKind::Question, question, options, choice: Some(choice), outcome })
    }

    /// What the event says, given the agent and the answer of it that came before.
    pub(super) fn body(self, agent: &str, in_response_to: Option<String>) -> Body {
        let Self { kind, question, options, choice, outcome } = self;
        Body::AgentChoice(Choice { agent: agent.to_owned(), kind, question, options, choice, outcome, in_response_to })
    }
}

/// The option that a text is the whole of, as it is kept.
pub(super) fn offered<'o>(options: &'o [String], given: &str) -> Option<&'o str> {
    options.iter().map(String::as_str).find(|option| *option == head(given, MAX_QUESTION_BYTES))
}

/// A question or an option as it is kept.
pub(super) fn asked(value: &Value) -> String {
    head(value.as_str().unwrap_or_default(), MAX_QUESTION_BYTES).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_is_an_option_or_words_of_their_own() {
        let long = "é".repeat(MAX_QUESTION_BYTES);
        let cut = head(&long, MAX_QUESTION_BYTES);
        let asked = |given: &[&str]| Answer::given("Which?".to_owned(), vec!["A".to_owned(), cut.to_owned()], given);
        let table: [(&[&str], &str, Outcome); 4] = [
            (&["A"], "A", Outcome::Chosen),
            (&["A", &long], &format!("A, {cut}"), Outcome::Chosen),
            (&["A", "b"], "A, b", Outcome::Other),
            (&["A and more"], "A and more", Outcome::Other),
        ];
        for (given, choice, outcome) in table {
            let answer = asked(given).expect("an answer");
            assert_eq!((answer.choice.as_deref(), answer.outcome), (Some(choice), outcome));
        }
        assert_eq!((asked(&[""]), asked(&[])), (None, None));
    }

    #[test]
    fn a_refusal_without_words_has_no_choice() {
        for (words, choice) in [(None, None), (Some(" \n"), None), (Some(" use make "), Some("use make"))] {
            assert_eq!(Answer::refused(String::new(), words).choice.as_deref(), choice);
        }
    }
}
