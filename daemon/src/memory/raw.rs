//! One event as one sentence: what raw rows show and search.

use clone_schema::event::{Choice, Outcome};
use clone_schema::memory::Raw;
use clone_schema::{Body, Event};

use crate::memory::words::clip;

/// The longest sentence, in characters.
pub const MAX_SENTENCE: usize = 400;

/// The longest text of one event that is searched, in characters.
pub const MAX_SEARCHED: usize = 4_000;

/// The event as a sentence of at most [`MAX_SENTENCE`] characters.
#[must_use]
pub fn sentence(event: &Event) -> String {
    told(event, MAX_SENTENCE)
}

/// The same with at most [`MAX_SEARCHED`] characters: what a search looks through.
#[must_use]
pub fn searched(event: &Event) -> String {
    told(event, MAX_SEARCHED)
}

fn told(event: &Event, limit: usize) -> String {
    let told = match &event.body {
        Body::SessionStarted => "Session started".to_owned(),
        Body::SessionStopped => "Session stopped".to_owned(),
        Body::AppFocused { app, window_title: Some(title) } => format!("Looked at {app}: {title}"),
        Body::AppFocused { app, window_title: None } => format!("Looked at {app}"),
        Body::CaptureFrame { uri, .. } => format!("Frame {uri}"),
        Body::InputKeystroke { .. } => "Pressed a key".to_owned(),
        Body::InputClick { x, y, .. } => format!("Clicked at {x}, {y}"),
        Body::InputScroll { x, y, .. } => format!("Scrolled at {x}, {y}"),
        Body::AgentPrompt { agent, prompt } => format!("To {agent}: {}", clip(prompt, limit)),
        Body::AgentResponse { agent, response, .. } => format!("{agent}: {}", clip(response, limit)),
        Body::TerminalCommand { command, exit_code, .. } => match exit_code {
            Some(code) if *code != 0 => format!("Ran {command} (exit {code})"),
            _ => format!("Ran {command}"),
        },
        Body::BrowserVisited { url, title: Some(title) } => format!("Visited {title} ({url})"),
        Body::BrowserVisited { url, title: None } => format!("Visited {url}"),
        Body::AgentChoice(choice) => answered(choice),
    };
    clip(&told, limit)
}

/// An answered choice as a sentence.
#[must_use]
pub fn answered(choice: &Choice) -> String {
    let question = clip(&choice.question, 160);
    match (choice.outcome, &choice.choice) {
        (Outcome::Chosen, Some(taken)) => format!("Chose “{taken}” for “{question}”"),
        (Outcome::Other, Some(taken)) => format!("Answered “{taken}” to “{question}”"),
        (Outcome::Rejected, _) => format!("Rejected “{question}”"),
        (Outcome::Interrupted, _) => format!("Interrupted “{question}”"),
        (Outcome::Chosen | Outcome::Other, None) => format!("Answered “{question}”"),
    }
}

/// The raw row of an event.
#[must_use]
pub fn row(event: &Event) -> Raw {
    Raw {
        id: event.id.clone(),
        text: sentence(event),
        occurred_at: event.occurred_at,
        source: event.source.name().to_owned(),
        source_detail: event.source_detail.clone(),
        session_id: event.session_id.clone(),
        event_id: event.id.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::session::tests::prompt;

    #[test]
    fn sentences_are_one_line_and_bounded() {
        assert_eq!(sentence(&prompt("e1", "s", 0, "fix\n it")), "To agent: fix it");
        let long = sentence(&prompt("e1", "s", 0, &"word ".repeat(500)));
        assert!(long.chars().count() <= MAX_SENTENCE && long.ends_with('…'), "{long}");
        assert_eq!(row(&prompt("e1", "s", 0, "x")).event_id, "e1");
    }
}
