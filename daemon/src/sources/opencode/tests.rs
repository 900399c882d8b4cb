//! Exports of the shape that OpenCode 1.18 writes, in; events out.

#![allow(clippy::unwrap_used)]

use clone_schema::Event;
use clone_schema::event::Outcome;
use serde_json::json;

use super::*;
use crate::sources::{Counts, Filter};

/// Milliseconds of an instant, so many seconds into the session.
fn at(second: i64) -> i64 {
    1_777_968_000_000 + second * 1000
}

fn text(text: &str) -> Value {
    json!({"type": "text", "id": format!("prt_{text}"), "text": text})
}

fn tool(id: &str, tool: &str, state: &Value) -> Value {
    json!({"type": "tool", "id": id, "tool": tool, "callID": "call_1", "state": state})
}

fn message(n: i64, role: &str, parts: &[Value]) -> Value {
    let info = json!({"id": format!("msg_{n}"), "sessionID": "ses_1", "role": role, "time": {"created": at(n)}});
    json!({"info": info, "parts": parts})
}

/// An export of these messages; the session has what is given besides.
fn export(info: &Value, messages: &[Value]) -> String {
    let mut session =
        json!({"id": "ses_1", "directory": "/w/app", "title": "x", "time": {"created": at(0), "updated": at(9)}});
    session.as_object_mut().unwrap().extend(info.as_object().unwrap().clone());
    json!({"info": session, "messages": messages}).to_string()
}

fn import(text: &str) -> (Vec<Event>, Counts) {
    let (mut events, filter) = (Vec::new(), Filter::default());
    let mut out = |event| events.push(event);
    let mut tally = Tally { format: Format::OpenCode, filter: &filter, out: &mut out, counts: Counts::default() };
    read(&mut text.as_bytes(), &mut tally).unwrap();
    let counts = tally.counts;
    for event in &events {
        assert_eq!(Event::parse(&event.to_json()).as_ref(), Ok(event), "the wire takes it");
    }
    (events, counts)
}

fn choices(events: &[Event]) -> Vec<(&str, &str, Option<&str>, Outcome)> {
    let choices = events.iter().filter_map(|event| match &event.body {
        Body::AgentChoice(choice) => {
            Some((event.id.as_str(), choice.question.as_str(), choice.choice.as_deref(), choice.outcome))
        }
        _ => None,
    });
    choices.collect()
}

#[test]
fn a_prompt_and_its_answer_without_what_the_tool_wrote_itself() {
    let read = json!({"type": "text", "id": "prt_r", "synthetic": true, "text": "Called the Read tool"});
    let file = json!({"type": "file", "id": "prt_f", "mime": "text/plain", "url": "file:///w/app/a"});
    let step = json!({"type": "step-start", "id": "prt_s", "snapshot": "x"});
    let done = json!({"status": "completed", "input": {"command": "ls"}, "output": "a", "time": {"start": at(2), "end": at(2)}});
    let mut summary = message(7, "assistant", &[text("what happened so far")]);
    summary["info"]["summary"] = json!(true);
    let messages = [
        message(1, "user", &[text("look at this"), read, file]),
        message(2, "assistant", &[step.clone(), text("I look."), tool("prt_t", "bash", &done)]),
        message(3, "assistant", &[step, tool("prt_u", "bash", &done)]),
        message(4, "assistant", &[text("Done."), text("What next?")]),
        message(5, "user", &[text("Create or update `AGENTS.md` for this repository.\n\nThe goal is")]),
        message(6, "user", &[json!({"type": "compaction", "id": "prt_c", "auto": false})]),
        summary,
        message(8, "oracle", &[text("?")]),
        json!({"info": 7}),
    ];
    let (events, counts) = import(&export(&json!({}), &messages));
    let ids: Vec<&str> = events.iter().map(|event| event.id.as_str()).collect();
    assert_eq!(ids, ["opencode:ses_1:start", "opencode:msg_1", "opencode:msg_2", "opencode:msg_4"]);
    let Body::AgentPrompt { prompt, .. } = &events[1].body else { panic!("{:?}", events[1]) };
    assert_eq!(prompt, "look at this");
    let Body::AgentResponse { response, in_response_to, agent } = &events[3].body else { panic!("{:?}", events[3]) };
    assert_eq!((response.as_str(), agent.as_str()), ("Done.\n\nWhat next?", "OpenCode"));
    assert_eq!(in_response_to.as_deref(), Some("opencode:msg_1"));
    assert_eq!((events[1].session_id.as_str(), events[1].occurred_at.as_millisecond()), ("opencode:ses_1", at(1)));
    let meta = events[1].meta.as_ref().unwrap();
    assert_eq!((meta.cwd.as_deref(), meta.origin), (Some("/w/app"), Some(Origin::Typed)));
    assert_eq!((counts.read, counts.human, counts.agent), (9, 1, 2));
    for reason in
        ["tool use", "injected: command", "no text", "compaction summary", "unknown kind: oracle", "unexpected shape"]
    {
        assert_eq!(counts.skipped.get(reason), Some(&1), "{reason}: {counts:?}");
    }
}

#[test]
fn what_the_person_refused_answered_and_stopped() {
    let failed = |input: Value, error: &str| json!({"status": "error", "input": input, "error": error, "time": {"start": at(1), "end": at(3)}});
    let command = json!({"command": "rm x", "description": "Removes x"});
    let no = "The user rejected permission to use this specific tool call.";
    let but =
        "The user rejected permission to use this specific tool call with the following feedback: use find instead";
    let asks = json!({"questions": [
        {"question": "Which colour?", "options": [{"label": "Red"}, {"label": "Blue"}]},
        {"question": "Why?", "options": []},
        {"question": "Unanswered?", "options": []},
    ]});
    let answered = json!({"status": "completed", "input": asks, "metadata": {"answers": [["Blue"], ["it is warm"], []]}, "time": {"end": at(4)}});
    let mut stopped = message(
        9,
        "assistant",
        &[text("I remove."), tool("prt_5", "bash", &failed(command.clone(), "Tool execution aborted"))],
    );
    stopped["info"]["error"] = json!({"name": "MessageAbortedError", "data": {"message": "Aborted"}});
    let mut silenced = message(10, "assistant", &[text("So I will now")]);
    silenced["info"]["error"] = json!({"name": "MessageAbortedError"});
    let mut broken = message(11, "assistant", &[text("Hm.")]);
    broken["info"]["error"] = json!({"name": "APIError"});
    let messages = [
        message(2, "assistant", &[text("I remove."), tool("prt_1", "bash", &failed(command.clone(), no))]),
        message(3, "assistant", &[tool("prt_2", "bash", &failed(command.clone(), but))]),
        message(4, "assistant", &[tool("prt_3", "question", &answered)]),
        message(
            5,
            "assistant",
            &[tool(
                "prt_4",
                "question",
                &failed(json!({"questions": [{"question": "Now?"}]}), "The user dismissed this question"),
            )],
        ),
        message(6, "assistant", &[tool("prt_6", "bash", &failed(command, "no such file"))]),
        stopped,
        silenced,
        broken,
    ];
    let (events, counts) = import(&export(&json!({}), &messages));
    let expected = [
        ("opencode:prt_1", "bash: rm x", None, Outcome::Rejected),
        ("opencode:prt_2", "bash: rm x", Some("use find instead"), Outcome::Rejected),
        ("opencode:prt_3", "Which colour?", Some("Blue"), Outcome::Chosen),
        ("opencode:prt_3#1", "Why?", Some("it is warm"), Outcome::Other),
        ("opencode:prt_4", "Now?", None, Outcome::Rejected),
        ("opencode:msg_9#stopped", "bash: rm x", None, Outcome::Interrupted),
        ("opencode:msg_10#stopped", "So I will now", None, Outcome::Interrupted),
    ];
    assert_eq!(choices(&events), expected);
    assert_eq!(events[2].occurred_at.as_millisecond(), at(3), "when it was refused, not when it was asked");
    let Body::AgentChoice(choice) = &events[2].body else { panic!("{:?}", events[2]) };
    assert_eq!(choice.in_response_to.as_deref(), Some("opencode:msg_2"));
    assert_eq!((counts.choices, counts.skipped["tool use"]), (7, 1));
}

#[test]
fn what_the_person_ran_themselves_is_a_command() {
    let told = json!({"type": "text", "id": "prt_t", "synthetic": true, "text": "The following tool was executed by the user"});
    let done =
        json!({"status": "completed", "input": {"command": "make"}, "time": {"start": at(2), "end": at(2) + 124}});
    let messages = [message(1, "user", &[told]), message(2, "assistant", &[tool("prt_1", "bash", &done)])];
    let (events, counts) = import(&export(&json!({}), &messages));
    let Body::TerminalCommand { command, cwd, duration_ms, .. } = &events[1].body else { panic!("{:?}", events[1]) };
    assert_eq!((command.as_str(), cwd.as_deref(), *duration_ms), ("make", Some("/w/app"), Some(124)));
    assert_eq!((counts.commands, counts.human, counts.agent), (1, 1, 0));
}

#[test]
fn sub_agents_are_left_out_and_what_a_command_line_said_may_be_a_scripts() {
    let messages = [message(1, "user", &[text("go on")])];
    let (events, counts) = import(&export(&json!({"parentID": "ses_0"}), &messages));
    assert_eq!((events.len(), counts.read, counts.skipped["sub-agent"]), (0, 1, 1));
    let denied = json!({"permission": [{"permission": "question", "pattern": "*", "action": "deny"}]});
    let (events, counts) = import(&export(&denied, &messages));
    assert_eq!(events[1].meta.as_ref().unwrap().origin, Some(Origin::Unknown));
    assert_eq!(counts.human, 0);
}

#[test]
fn what_is_no_export_is_counted() {
    for (text, reason) in
        [("", "bad JSON"), ("{\"info\":{\"id\":\"s\"},\"mess", "bad JSON"), ("[1]", "unexpected shape")]
    {
        let (events, counts) = import(text);
        assert_eq!((events.len(), counts.skipped.get(reason)), (0, Some(&1)), "{text}: {counts:?}");
    }
    let deep = export(&json!({}), &[json!("deep"), message(1, "user", &[text("x")])]);
    let (events, counts) = import(&deep.replace("\"deep\"", &format!("{}{}", "[".repeat(200), "]".repeat(200))));
    assert_eq!((events.len(), counts.skipped["unexpected shape"]), (2, 1), "one message costs no other");
    let (events, counts) = import(&export(&json!({"id": ""}), &[message(1, "user", &[text("x")])]));
    assert_eq!((events.len(), counts.skipped["no session"]), (0, 1));
}
