//! Session logs of the shape that Copilot CLI 1.0 writes, in; events out.

#![allow(clippy::unwrap_used)]

use clone_schema::Event;
use clone_schema::event::Outcome;
use serde_json::json;

use super::*;
use crate::sources::{Counts, Filter};

const INSTRUCTIONS: &str = "You are the GitHub Copilot CLI.";

/// Lines a second apart; the head of the session comes before them.
fn lines(records: &[(&str, Value)]) -> String {
    let start =
        json!({"sessionId": "s1", "context": {"cwd": "/w/app", "branch": "main"}, "startTime": "2026-11-26T02:00:00Z"});
    let mut text = String::new();
    for (n, (kind, data)) in std::iter::once(&("session.start", start)).chain(records).enumerate() {
        let at = format!("2026-11-26T02:00:{n:02}.000Z");
        let agent = data.get("sub").map(|_| "agent-1");
        let mut record = json!({"type": kind, "id": format!("e{n}"), "timestamp": at, "parentId": null, "data": data});
        if let Some(agent) = agent {
            record["agentId"] = json!(agent);
        }
        text += &format!("{record}\n");
    }
    text
}

fn import(text: &str) -> (Vec<Event>, Counts) {
    import_with(text, &Filter::default())
}

fn import_with(text: &str, filter: &Filter) -> (Vec<Event>, Counts) {
    let mut events = Vec::new();
    let mut out = |event| events.push(event);
    let mut tally = Tally { format: Format::Copilot, filter, out: &mut out, counts: Counts::default() };
    read(&mut text.as_bytes(), &mut tally).unwrap();
    let counts = tally.counts;
    for event in &events {
        assert_eq!(Event::parse(&event.to_json()).as_ref(), Ok(event), "the wire takes it");
    }
    (events, counts)
}

fn user(text: &str) -> (&'static str, Value) {
    let seen = format!("<current_datetime>2026-11-26</current_datetime>\n\n{text}");
    ("user.message", json!({"content": text, "transformedContent": seen, "delivery": "idle"}))
}

fn said(text: &str) -> (&'static str, Value) {
    ("assistant.message", json!({"content": text, "toolRequests": [], "model": "m1"}))
}

fn system(text: &str) -> (&'static str, Value) {
    ("system.message", json!({"role": "system", "content": text}))
}

#[test]
fn a_prompt_and_its_answer_without_what_the_tool_wrote_itself() {
    let (events, counts) = import(&lines(&[
        user("look at this"),
        system(INSTRUCTIONS),
        ("assistant.turn_start", json!({"turnId": "0"})),
        said("I look."),
        ("tool.execution_start", json!({"toolCallId": "c", "toolName": "bash", "arguments": {"command": "ls"}})),
        ("tool.execution_complete", json!({"toolCallId": "c", "success": true})),
        said(""),
        said("Done. What next?"),
        ("user.message", json!({"content": "# A skill", "source": "skill-pdf"})),
        ("user.message", json!({"content": "go on", "isAutopilotContinuation": true})),
        ("user.message", json!({"content": "do this part", "sub": true})),
        ("assistant.message", json!({"content": "The part is done.", "parentToolCallId": "c"})),
        ("oracle.spoke", json!({})),
        ("session.shutdown", json!({})),
    ]));
    let ids: Vec<&str> = events.iter().map(|event| event.id.as_str()).collect();
    assert_eq!(ids, ["copilot:s1:start", "copilot:e1", "copilot:e4", "copilot:e8"]);
    let Body::AgentPrompt { prompt, .. } = &events[1].body else { panic!("{:?}", events[1]) };
    assert_eq!(prompt, "look at this");
    let Body::AgentResponse { response, in_response_to, agent } = &events[3].body else { panic!("{:?}", events[3]) };
    assert_eq!((response.as_str(), agent.as_str()), ("Done. What next?", "Copilot"));
    assert_eq!(in_response_to.as_deref(), Some("copilot:e1"));
    assert_eq!(
        (events[1].session_id.as_str(), events[1].occurred_at.to_string().as_str()),
        ("copilot:s1", "2026-11-26T02:00:01Z")
    );
    let meta = events[1].meta.as_ref().unwrap();
    assert_eq!((meta.cwd.as_deref(), meta.origin), (Some("/w/app"), Some(Origin::Typed)));
    assert_eq!((counts.read, counts.human, counts.agent), (15, 1, 2));
    for (reason, count) in [
        ("session", 2),
        ("instructions", 1),
        ("assistant", 1),
        ("tool", 2),
        ("tool use", 1),
        ("injected: context", 1),
        ("injected: continuation", 1),
        ("sub-agent", 2),
        ("unknown kind: oracle.spoke", 1),
    ] {
        assert_eq!(counts.skipped.get(reason), Some(&count), "{reason}: {counts:?}");
    }
}

#[test]
fn what_was_said_where_nobody_is_there_may_be_a_scripts() {
    let alone = format!("{INSTRUCTIONS} You are running in non-interactive mode and have no way to communicate");
    for (instructions, origin) in [(INSTRUCTIONS, Origin::Typed), (alone.as_str(), Origin::Unknown)] {
        let (events, _) = import(&lines(&[user("go"), system(instructions), said("Gone."), user("again")]));
        let prompts = events.iter().filter(|event| matches!(event.body, Body::AgentPrompt { .. }));
        let origins: Vec<_> = prompts.map(|event| event.meta.as_ref().unwrap().origin).collect();
        assert_eq!(origins, [Some(origin); 2]);
    }
    let (events, _) = import(&lines(&[user("unanswered")]));
    assert_eq!(events.len(), 2, "it waits for instructions, but not past the end");
}

#[test]
fn a_session_that_moves_tells_what_was_said_in_the_projects_that_are_taken() {
    let moved = |cwd: &str| ("session.context_changed", json!({"context": {"cwd": cwd}}));
    let text = lines(&[
        user("in app"),
        moved("/w/secret"),
        system(INSTRUCTIONS),
        said("I look at the secret."),
        user("in secret"),
        moved("/w/app"),
        said("I look."),
    ]);
    let filter = |exclude: &str| Filter { exclude: vec![exclude.to_owned()], ..Filter::default() };
    for (excluded, expected) in [("secret", ["e1", "e7"]), ("app", ["e4", "e5"])] {
        let (events, _) = import_with(&text, &filter(excluded));
        let ids: Vec<&str> = events.iter().skip(1).map(|event| event.id.as_str()).collect();
        assert_eq!(ids, expected.map(|id| format!("copilot:{id}")), "without {excluded}");
        let cwd = |event: &Event| event.meta.as_ref().unwrap().cwd.clone().unwrap();
        assert!(events.iter().all(|event| !cwd(event).contains(excluded)), "without {excluded}");
    }
}

#[test]
fn what_the_person_refused_answered_and_stopped() {
    let ask = |id: &str| {
        let request = json!({"kind": "shell", "toolCallId": "c", "fullCommandText": "rm x", "intention": "Removes x"});
        ("permission.requested", json!({"requestId": id, "permissionRequest": request}))
    };
    let done = |id: &str, by: &str, result: Value| {
        ("permission.completed", json!({"requestId": id, "decisionSource": by, "result": result}))
    };
    let no = json!({"kind": "denied-interactively-by-user"});
    let but = json!({"kind": "denied-interactively-by-user", "feedback": "use make instead"});
    let schema = json!({"properties": {"colour": {"type": "string", "title": "Colour", "enum": ["Red", "Blue"]}}});
    let picked = |answer: &str| json!({"responseKind": "ask_user", "content": {"colour": answer}, "message": "Which?", "requestedSchema": schema});
    let typed = json!({"responseKind": "user_input", "question": "Why?", "choices": ["a", "b"], "answer": "because"});
    let start =
        ("tool.execution_start", json!({"toolCallId": "q", "toolName": "ask_user", "arguments": {"message": "Now?"}}));
    let cancelled = json!({"toolCallId": "q", "toolTelemetry": {"properties": {"elicitation_action": "cancel"}}});
    let (events, counts) = import(&lines(&[
        user("clean up"),
        system(INSTRUCTIONS),
        said("I remove x."),
        ask("1"),
        done("1", "human_response", no.clone()),
        ask("2"),
        done("2", "human_response", but),
        ask("3"),
        done("3", "host_policy", no),
        ask("4"),
        done("4", "human_response", json!({"kind": "approved"})),
        ("human_response.recorded", json!({"actor": "human_response", "response": picked("Blue")})),
        ("human_response.recorded", json!({"actor": "human_response", "response": picked("green")})),
        ("human_response.recorded", json!({"actor": "host_automation", "response": picked("Red")})),
        ("human_response.recorded", json!({"actor": "human_response", "response": typed})),
        start,
        ("tool.execution_complete", cancelled),
        ask("5"),
        done("5", "", json!({"kind": "cancelled", "reason": "Session aborted"})),
        ("abort", json!({"reason": "user_initiated"})),
        ("abort", json!({"reason": "user_initiated"})),
        ("abort", json!({"reason": "autopilot_credit_limit"})),
    ]));
    let choices = events.iter().filter_map(|event| match &event.body {
        Body::AgentChoice(choice) => {
            Some((event.id.as_str(), choice.question.as_str(), choice.choice.as_deref(), choice.outcome))
        }
        _ => None,
    });
    let expected = [
        ("copilot:e5", "shell: rm x", None, Outcome::Rejected),
        ("copilot:e7", "shell: rm x", Some("use make instead"), Outcome::Rejected),
        ("copilot:e12", "Which?", Some("Blue"), Outcome::Chosen),
        ("copilot:e13", "Which?", Some("green"), Outcome::Other),
        ("copilot:e15", "Why?", Some("because"), Outcome::Other),
        ("copilot:e17", "Now?", None, Outcome::Rejected),
        ("copilot:e20", "shell: rm x", None, Outcome::Interrupted),
        ("copilot:e21", "I remove x.", None, Outcome::Interrupted),
    ];
    assert_eq!(choices.collect::<Vec<_>>(), expected);
    assert_eq!((counts.choices, counts.skipped["abort"], counts.skipped["human_response"]), (8, 1, 1));
}

#[test]
fn what_the_person_ran_themselves_is_a_command() {
    let run =
        json!({"toolCallId": "u", "toolName": "local_shell", "arguments": {"command": "make", "description": "x"}});
    let done = json!({"toolCallId": "u", "isUserRequested": true, "success": false, "shellExecution": {"exitCode": 2}});
    let (events, counts) = import(&lines(&[("tool.user_requested", run), ("tool.execution_complete", done)]));
    let Body::TerminalCommand { command, cwd, exit_code, duration_ms } = &events[1].body else {
        panic!("{:?}", events[1])
    };
    assert_eq!(
        (command.as_str(), cwd.as_deref(), *exit_code, *duration_ms),
        ("make", Some("/w/app"), Some(2), Some(1000))
    );
    assert_eq!((events[1].id.as_str(), counts.commands, counts.human), ("copilot:e1", 1, 1));
}
