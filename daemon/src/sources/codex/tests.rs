//! Whole files in, events out.

use clone_schema::Event;
use serde_json::{Value, json};

use super::*;
use crate::sources::{Counts, Filter, Format};

fn import(text: &str) -> (Vec<Event>, Counts) {
    import_with(text, &Filter::default())
}

fn import_with(text: &str, filter: &Filter) -> (Vec<Event>, Counts) {
    let mut events = Vec::new();
    let mut out = |event| events.push(event);
    let mut tally = Tally { format: Format::Codex, filter, out: &mut out, counts: Counts::default() };
    read(&mut text.as_bytes(), &mut tally).expect("memory reads");
    let counts = tally.counts;
    (events, counts)
}

/// Lines a minute apart behind a head, as the versions without numbers write them.
fn lines(head: Value, records: &[(&str, Value)]) -> String {
    let line = |n: usize, kind: &str, payload: &Value| {
        json!({"timestamp": format!("2026-01-04T20:{n:02}:00.000Z"), "type": kind, "payload": payload}).to_string()
    };
    let head = line(0, "session_meta", &head);
    let rest = records.iter().enumerate().map(|(n, (kind, payload))| line(n + 1, kind, payload));
    std::iter::once(head).chain(rest).map(|line| line + "\n").collect()
}

fn head() -> Value {
    json!({"id": "t1", "cwd": "/w/app", "source": "cli"})
}

fn item(role: &str, text: &str) -> (&'static str, Value) {
    let kind = if role == "assistant" { "output_text" } else { "input_text" };
    ("response_item", json!({"type": "message", "role": role, "content": [{"type": kind, "text": text}]}))
}

fn user_event(text: &str) -> (&'static str, Value) {
    ("event_msg", json!({"type": "user_message", "message": text, "images": []}))
}

fn agent_event(text: &str) -> (&'static str, Value) {
    ("event_msg", json!({"type": "agent_message", "message": text}))
}

fn completed(kind: &str, text: &str) -> (&'static str, Value) {
    (
        "event_msg",
        json!({"type": "item_completed", "item": {"type": kind, "content": [{"type": "text", "text": text}]}}),
    )
}

fn call(id: &str, name: &str, arguments: &Value) -> (&'static str, Value) {
    let arguments = arguments.to_string();
    ("response_item", json!({"type": "function_call", "name": name, "arguments": arguments, "call_id": id}))
}

fn output(id: &str, output: Value) -> (&'static str, Value) {
    ("response_item", json!({"type": "function_call_output", "call_id": id, "output": output}))
}

fn brief(event: &Event) -> String {
    match &event.body {
        Body::AgentPrompt { prompt, .. } => format!("> {prompt}"),
        Body::AgentResponse { response, .. } => format!("< {response}"),
        Body::TerminalCommand { command, exit_code, .. } => format!("$ {command} {exit_code:?}"),
        Body::AgentChoice(choice) => {
            format!("{:?} {:?} {} {:?}", choice.kind, choice.outcome, choice.question, choice.choice)
        }
        _ => event.topic().to_owned(),
    }
}

fn briefs(head: Value, records: &[(&str, Value)]) -> Vec<String> {
    import(&lines(head, records)).0.iter().skip(1).map(brief).collect()
}

#[test]
fn both_traces_of_a_text_make_one_event_whichever_comes_first() {
    let context = item("user", "<environment_context>\n<cwd>/w</cwd>");
    let tables = [
        vec![
            context.clone(),
            item("user", "go on"),
            user_event("go on"),
            agent_event("Done."),
            item("assistant", "Done."),
        ],
        vec![
            context.clone(),
            user_event("go on"),
            item("user", "go on"),
            item("assistant", "Done."),
            agent_event("Done."),
        ],
        vec![
            context.clone(),
            item("user", "go on"),
            completed("UserMessage", "go on"),
            completed("AgentMessage", "Done."),
            item("assistant", "Done."),
        ],
        vec![context, item("user", "go on"), item("assistant", "Done.")],
    ];
    for table in tables {
        assert_eq!(briefs(head(), &table), ["> go on", "< Done."], "{table:?}");
    }
    // The same words in two turns are two events.
    let table = [user_event("go on"), agent_event("Done."), user_event("go on"), agent_event("Done.")];
    assert_eq!(briefs(head(), &table), ["> go on", "< Done.", "> go on", "< Done."]);
}

#[test]
fn ids_are_numbers_where_lines_have_them_and_times_with_a_hash_where_not() {
    let text = lines(head(), &[user_event("go on")]);
    let (events, _) = import(&text);
    let ids: Vec<&str> = events.iter().map(|event| event.id.as_str()).collect();
    assert_eq!(ids[0], "codex:t1:start");
    assert!(ids[1].starts_with("codex:t1:2026-01-04T20:01:00Z+") && ids[1].len() == 38, "{ids:?}");
    let numbered = text.replace("\"payload\"", "\"ordinal\":7,\"payload\"");
    assert_eq!(import(&numbered).0[1].id, "codex:t1:7");
    for event in &events {
        assert_eq!(Event::parse(&event.to_json()).as_ref(), Ok(event), "the wire takes it");
        assert_eq!(event.session_id, "codex:t1");
    }
}

#[test]
fn programs_and_copies_are_not_a_person() {
    let said = [user_event("go on"), agent_event("Done.")];
    for source in [json!("exec"), json!("mcp"), json!({"subagent": {"thread_spawn": {}}})] {
        assert!(import(&lines(json!({"id": "t", "source": source}), &said)).0.is_empty(), "{source}");
    }
    assert!(import(&lines(json!({"id": "t", "parent_thread_id": "p"}), &said)).0.is_empty());
    // A fork of an old version copies its parent in one burst; a new one names it.
    let fork = json!({"id": "t2", "forked_from_id": "t1"});
    let text = lines(fork, &[user_event("old"), user_event("new")]).replace("20:01:00", "20:00:01");
    assert_eq!(import(&text).0.iter().skip(1).map(brief).collect::<Vec<_>>(), ["> new"]);
    let base = json!({"id": "t2", "forked_from_id": "t1", "history_base": {"thread_id": "t1"}});
    assert_eq!(briefs(base, &said).len(), 2);
}

#[test]
fn a_last_text_whose_event_may_still_come_waits() {
    let (events, counts) = import(&lines(head(), &[item("user", "go on")]));
    assert!(events.is_empty());
    assert_eq!(counts.skipped.get("still waiting"), Some(&1));
    let table = [item("user", "go on"), item("assistant", "Done."), item("user", "thanks")];
    assert_eq!(briefs(head(), &table), ["> go on", "< Done.", "> thanks"]);
}

#[test]
fn a_prompt_that_waits_belongs_to_the_project_in_which_it_was_typed() {
    let moved = ("turn_context", json!({"cwd": "/w/secret"}));
    let table = [item("user", "go on"), item("assistant", "Done."), item("user", "thanks"), moved, item("user", "so")];
    let filter = Filter { exclude: vec!["secret".to_owned()], ..Filter::default() };
    let (events, _) = import_with(&lines(head(), &table), &filter);
    assert_eq!(events.iter().skip(1).map(brief).collect::<Vec<_>>(), ["> go on", "< Done.", "> thanks"]);
    for event in events {
        assert_eq!(event.meta.and_then(|meta| meta.cwd).as_deref(), Some("/w/app"));
    }
}

#[test]
fn what_the_person_chose_refused_and_stopped() {
    let questions =
        json!({"questions": [{"id": "q", "question": "Which?", "options": [{"label": "A"}, {"label": "B"}]}]});
    let given = |answers: Value| json!({"answers": {"q": {"answers": answers}}}).to_string();
    let ask = || call("c", "request_user_input", &questions);
    let shell = || call("s", "shell_command", &json!({"command": "rm -r build"}));
    let shell_item = "<user_shell_command>\n<command>\nls\n</command>\n<result>\nExit code: 0\n</result>\n";
    let table: [(Vec<_>, &[&str]); 6] = [
        (vec![ask(), output("c", json!(given(json!(["B"]))))], &["Question Chosen Which? Some(\"B\")"]),
        (
            vec![ask(), output("c", json!(given(json!(["none of these"]))))],
            &["Question Other Which? Some(\"none of these\")"],
        ),
        (
            vec![shell(), output("s", json!("exec command rejected by user"))],
            &["Permission Rejected shell_command: rm -r build None"],
        ),
        (vec![shell(), output("s", json!({"content": "Exit code: 0"}))], &[]),
        (
            vec![shell(), ("event_msg", json!({"type": "turn_aborted", "reason": "interrupted"}))],
            &["Permission Interrupted shell_command: rm -r build None"],
        ),
        (vec![item("user", shell_item)], &["$ ls Some(0)"]),
    ];
    for (records, expected) in table {
        assert_eq!(briefs(head(), &records), expected, "{records:?}");
    }
}

#[test]
fn what_says_nothing_is_counted() {
    let table = [
        (("event_msg", json!({"type": "token_count"})), "token_count"),
        (("event_msg", json!({"type": "oracle"})), "unknown kind: oracle"),
        (("world_state", json!({})), "world_state"),
        (("oracle", json!({})), "unknown kind: oracle"),
        (("event_msg", json!(7)), "unexpected shape"),
        (("turn_context", json!({"cwd": "/x"})), "turn context"),
        (item("developer", "rules"), "instructions"),
        (item("assistant", " "), "empty answer"),
    ];
    for (record, reason) in &table {
        let (events, counts) = import(&lines(head(), std::slice::from_ref(record)));
        assert!(events.is_empty(), "{record:?}");
        assert_eq!(counts.skipped.get(*reason), Some(&1), "{record:?}: {counts:?}");
    }
    for junk in ["", "{", "null", "7", "{\"type\":7}", "{\"timestamp\":\"x\",\"type\":\"event_msg\"}"] {
        assert_eq!(import(&format!("{junk}\n")).0, [], "{junk}");
    }
}
