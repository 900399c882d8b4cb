//! Whole files in, events out; the lines are shaped like those of version 0.61.

use clone_schema::Event;
use serde_json::{Value, json};

use super::*;
use crate::sources::{Counts, Filter, Format};

fn import(lines: &[Value]) -> (Vec<Event>, Counts) {
    let (mut events, filter, mut past) = (Vec::new(), Filter::default(), Past::default());
    let mut out = |event| events.push(event);
    let mut tally = Tally { format: Format::Gemini, filter: &filter, out: &mut out, counts: Counts::default() };
    for line in lines {
        past.line(&Line::Whole(line.to_string().as_bytes()), &mut tally);
    }
    let counts = tally.counts;
    (events, counts)
}

fn header() -> Value {
    json!({"sessionId": "s1", "projectHash": "h", "startTime": "2026-11-25T22:00:00.000Z", "kind": "main"})
}

fn user(id: &str, text: &str) -> Value {
    json!({"id": id, "timestamp": "2026-11-25T22:01:00.000Z", "type": "user", "content": [{"text": text}]})
}

fn agent(id: &str, text: &str) -> Value {
    json!({"id": id, "timestamp": "2026-11-25T22:02:00.000Z", "type": "gemini", "content": text, "toolCalls": []})
}

fn brief(event: &Event) -> String {
    match &event.body {
        Body::AgentPrompt { prompt, .. } => format!("{} > {prompt}", event.id),
        Body::AgentResponse { response, .. } => format!("{} < {response}", event.id),
        Body::AgentChoice(choice) => format!("{} {:?} {}", event.id, choice.outcome, choice.question),
        _ => event.id.clone(),
    }
}

fn briefs(lines: &[Value]) -> Vec<String> {
    let lines: Vec<Value> = std::iter::once(header()).chain(lines.iter().cloned()).collect();
    import(&lines).0.iter().skip(1).map(brief).collect()
}

#[test]
fn a_prompt_and_its_answer() {
    let (events, counts) = import(&[header(), user("a", "fix it"), agent("b", "Done.")]);
    let ids: Vec<&str> = events.iter().map(|event| event.id.as_str()).collect();
    assert_eq!(ids, ["gemini:s1:start", "gemini:s1:a", "gemini:s1:b"]);
    assert_eq!((counts.human, counts.agent, events[1].session_id.as_str()), (1, 1, "gemini:s1"));
    let Body::AgentResponse { in_response_to, .. } = &events[2].body else { panic!("{:?}", events[2]) };
    assert_eq!(in_response_to.as_deref(), Some("gemini:s1:a"));
    for event in &events {
        assert_eq!(Event::parse(&event.to_json()).as_ref(), Ok(event), "the wire takes it");
    }
}

#[test]
fn a_message_that_comes_again_makes_an_event_only_for_new_words() {
    let again = json!({"$set": {"messages": [user("a", "fix it"), user("z", "fix it"), agent("b", "Done.")]}});
    let lines =
        [user("a", "fix it"), agent("b", "Do"), agent("b", "Do"), agent("b", "Done."), again, user("c", "thanks")];
    let expected = ["gemini:s1:a > fix it", "gemini:s1:b < Do", "gemini:s1:b#1 < Done.", "gemini:s1:c > thanks"];
    assert_eq!(briefs(&lines), expected);
}

#[test]
fn what_was_rewound_was_typed_all_the_same() {
    let lines = [user("a", "fix it"), agent("b", "Done."), json!({"$rewindTo": "a"}), user("c", "fix this")];
    assert_eq!(briefs(&lines), ["gemini:s1:a > fix it", "gemini:s1:b < Done.", "gemini:s1:c > fix this"]);
}

#[test]
fn what_the_tool_sends_itself_is_not_the_persons() {
    let shown = json!({"id": "a", "timestamp": "2026-11-25T22:01:00Z", "type": "user",
                       "content": [{"text": "look\n--- file ---\n..."}], "displayContent": [{"text": "look @a.rs"}]});
    let table = [
        (shown, vec!["gemini:s1:a > look @a.rs"]),
        (user("a", "<session_context>\nThis is the Gemini CLI."), vec![]),
        (user("a", "<hook_context>x</hook_context>"), vec![]),
        (user("a", "/help"), vec![]),
        (user("a", "?"), vec![]),
        (user("a", " "), vec![]),
        (
            json!({"id": "a", "timestamp": "2026-11-25T22:01:00Z", "type": "user", "content": [{"functionResponse": {}}]}),
            vec![],
        ),
        (json!({"id": "a", "timestamp": "2026-11-25T22:01:00Z", "type": "info", "content": "x"}), vec![]),
        (json!({"id": "a", "type": "user", "content": "x"}), vec![]),
    ];
    for (line, expected) in table {
        assert_eq!(briefs(std::slice::from_ref(&line)), expected, "{line}");
    }
    let sub = json!({"sessionId": "s2", "kind": "subagent"});
    assert!(import(&[sub, user("a", "go on")]).0.is_empty());
}

#[test]
fn a_refused_tool_is_a_choice() {
    let mut line = agent("b", "I will run it.");
    let result = json!([{"functionResponse": {"response": {"error": "[Operation Cancelled] Reason: User did not allow tool call"}}}]);
    line["toolCalls"] = json!([{"id": "t", "name": "run_shell_command", "args": {"command": "ls"}, "status": "cancelled", "result": result}]);
    let expected = ["gemini:s1:b < I will run it.", "gemini:s1:t Rejected run_shell_command: ls"];
    assert_eq!(briefs(&[line.clone(), line]), expected);
}

#[test]
fn the_single_object_of_older_versions_has_the_same_ids() {
    let (mut events, filter, mut past) = (Vec::new(), Filter::default(), Past::default());
    let mut out = |event| events.push(event);
    let mut tally = Tally { format: Format::Gemini, filter: &filter, out: &mut out, counts: Counts::default() };
    let mut whole = header();
    whole["messages"] = json!([user("a", "fix it"), agent("b", "Done.")]);
    past.object(&mut whole.to_string().as_bytes(), &mut tally).expect("memory reads");
    assert_eq!(events, import(&[header(), user("a", "fix it"), agent("b", "Done.")]).0);
}
